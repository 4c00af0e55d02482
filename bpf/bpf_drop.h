/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* bpf_drop.h - a dropped packet is counted, and recorded as far as its pod's rate allows. */
#ifndef RIPSTOP_BPF_DROP_H
#define RIPSTOP_BPF_DROP_H

#include "bpf/bpf_judge.h"

#define RS_SECOND 1000000000ull

static __always_inline void rs_count(__u32 index, __u32 bytes)
{
	struct rs_bpf_count *c = bpf_map_lookup_elem(&rs_counts, &index);

	if (!c)
		return;
	c->packets++;
	c->bytes += bytes;
}

/* Two CPUs that meet here may let one record too many pass. */
static __always_inline bool rs_may_log(const struct rs_bpf_addr *who, __u32 rate, __u64 now_ns)
{
	struct rs_bpf_rate fresh = { .since_ns = now_ns, .left = rate - 1 };
	struct rs_bpf_rate *r = bpf_map_lookup_elem(&rs_rates, who);

	if (!r) {
		bpf_map_update_elem(&rs_rates, who, &fresh, BPF_ANY);
		return true;
	}
	if (now_ns - r->since_ns >= RS_SECOND) {
		*r = fresh;
		return true;
	}
	if (!r->left)
		return false;
	r->left--;
	return true;
}

/* Whose policies deny; 0: not a policy's. */
static __always_inline __u32 rs_denying_group(const struct rs_now *n, const struct rs_bpf_view *v,
					      __u32 verdict)
{
	struct rs_bpf_end e;

	if (verdict == RS_BPF_DROP(RS_BPF_POLICY_INGRESS, 0)) {
		rs_end(&v->server, n->epoch, &e);
		return e.in_group;
	}
	if (verdict == RS_BPF_DROP(RS_BPF_POLICY_EGRESS, 1))
		return rs_egress_group(&v->client, n->epoch);
	return 0;
}

/* One that finds no room is lost, and shows as counted here and read by nobody. */
static __always_inline void rs_record(const struct rs_now *n, const struct rs_bpf_view *v,
				      __u32 verdict, __u64 now_ns)
{
	__u32 group = rs_denying_group(n, v, verdict);
	struct rs_bpf_event *e;

	rs_count(RS_BPF_COUNT_LOGGED, v->len);
	e = bpf_ringbuf_reserve(&rs_events, sizeof(*e), 0);
	if (!e)
		return;
	e->time_ns = now_ns;
	e->generation = n->generation;
	e->verdict = verdict;
	e->group = group;
	e->view = *v;
	bpf_ringbuf_submit(e, 0);
}

/* A denial is the pod's whose policy denies; every other drop is its link's. */
static __always_inline void rs_who(const struct rs_bpf_view *v, __u32 verdict,
				   struct rs_bpf_addr *who)
{
	if (verdict == RS_BPF_DROP(RS_BPF_POLICY_INGRESS, 0)) {
		*who = v->server;
		return;
	}
	if (verdict == RS_BPF_DROP(RS_BPF_POLICY_EGRESS, 1)) {
		*who = v->client;
		return;
	}
	who->family = RS_BPF_AF_LINK;
	who->a[0] = verdict & 1 ? v->iif : v->oif;
	who->a[1] = who->a[2] = who->a[3] = 0;
}

/* Counts, records, and gives the verdict back. */
__noinline int rs_dropped(const struct rs_now *n, const struct rs_bpf_view *v, __u32 verdict)
{
	struct rs_bpf_addr who;
	__u64 now_ns;

	if (!n || !v || verdict >= RS_BPF_COUNT_LOGGED)
		return verdict;
	rs_count(verdict, v->len);
	if (verdict == RS_BPF_COUNT_QUIET || !n->log_rate)
		return verdict;
	rs_who(v, verdict, &who);
	now_ns = bpf_ktime_get_ns();
	if (rs_may_log(&who, n->log_rate, now_ns))
		rs_record(n, v, verdict, now_ns);
	return verdict;
}

#endif
