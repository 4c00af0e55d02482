/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * bpf_judge.h - what passes a policy: the rules of lib/dataplane/nft/skeleton.c, where each one's
 * reason stands, over a packet that a front end has described.
 *
 * There is no stamp and nothing is kept of a flow: every packet is judged by its flow's own tuple,
 * so a tightened policy cuts it with the next one. What is kept (bpf_memo.h) holds for an epoch.
 */
#ifndef RIPSTOP_BPF_JUDGE_H
#define RIPSTOP_BPF_JUDGE_H

#include "bpf/bpf_lookup.h"
#include "bpf/bpf_memo.h"

#define RS_DIR_IN 1 /* enum rs_ir_dir */
#define RS_DIR_OUT 2

#define RS_NO_CLASS RS_BPF_DEFAULT

#define RS_ALLOWED 0x40000000u
#define RS_SLOT_MASK (RS_ALLOWED - 1)

struct rs_now {
	__u64 epoch;
	__u64 generation;
	__u32 link_group;
	__u32 log_rate;
};

static __always_inline bool rs_pod_link(const struct rs_now *n, __u32 index, __u32 group)
{
	return index && (group & ~1u) == (n->link_group & ~1u);
}

static __always_inline bool rs_from_pod(const struct rs_now *n, const struct rs_bpf_view *v)
{
	return rs_pod_link(n, v->iif, v->iif_group);
}

static __always_inline bool rs_to_pod(const struct rs_now *n, const struct rs_bpf_view *v)
{
	return rs_pod_link(n, v->oif, v->oif_group);
}

static __always_inline __u32 rs_unprog_from(void)
{
	return RS_BPF_DROP(RS_BPF_NOT_PROGRAMMED, 1);
}

static __always_inline __u32 rs_unprog_to(void)
{
	return RS_BPF_DROP(RS_BPF_NOT_PROGRAMMED, 0);
}

static __always_inline bool rs_is_icmp6(const struct rs_bpf_view *v)
{
	return v->src.family == RS_BPF_AF_IP6 && v->l4 == RS_ICMP6 && v->l4_read;
}

/* Of a related packet: an error, not what a helper expected. */
static __always_inline bool rs_is_error(const struct rs_bpf_view *v)
{
	return v->l4 == RS_ICMP || v->l4 == RS_ICMP6;
}

/* One half, of a group about a peer and its class: 0 where it denies, else RS_ALLOWED and the slot
 * of the rule. As all functions here that are not static: the verifier walks it once, by itself,
 * and not at each call. */
__noinline int rs_half(const struct rs_bpf_view *v, __u64 epoch, __u32 dir, __u32 group, __u32 cls)
{
	const struct rs_bpf_cell_value *c = NULL;
	__u32 range;

	if (!v)
		return 0;
	if (cls != RS_NO_CLASS)
		c = rs_cell(v, dir, group, cls, epoch);
	if (!c) {
		range = rs_in_prefix(&rs_ranges, dir == RS_DIR_OUT ? &v->server : &v->client,
				     epoch);
		if (range)
			c = rs_cell(v, dir, group, range, epoch);
	}
	if (!c)
		c = rs_cell(v, dir, group, RS_BPF_DEFAULT, epoch);
	if (!c || !rs_port_allowed(c->profile & RS_BPF_PROFILE_MASK, v->flow_proto, v->port, epoch))
		return 0;
	return RS_ALLOWED | rs_rule_of(c->rule, v, epoch);
}

/* A drop where an end of the packet is an isolated pod, or one that is not known. */
static __always_inline __u32 rs_isolated_end(const struct rs_now *n, const struct rs_bpf_view *v)
{
	if (rs_from_pod(n, v) && !rs_is_free(&v->src, n->epoch))
		return RS_BPF_DROP(RS_BPF_INVALID, 1);
	if (rs_to_pod(n, v) && !rs_is_free(&v->dst, n->epoch))
		return RS_BPF_DROP(RS_BPF_INVALID, 0);
	return RS_BPF_ACCEPT;
}

static __always_inline bool rs_listener(__u8 type)
{
	return (type >= 130 && type <= 132) || type == 143;
}

static __always_inline __u32 rs_no_flow(const struct rs_now *n, const struct rs_bpf_view *v)
{
	if (rs_is_icmp6(v) && rs_listener(v->icmp_type) &&
	    (v->dst.a[0] & bpf_htonl(0xffff0000)) == bpf_htonl(0xff020000))
		return RS_BPF_ACCEPT;
	return rs_isolated_end(n, v);
}

/* What cannot be read to the transport header is no beginning either. */
static __always_inline bool rs_midstream(const struct rs_bpf_view *v)
{
	__u8 proto = v->flow_proto;

	if (v->state != RS_BPF_CT_NEW && v->state != RS_BPF_CT_RELATED)
		return false;
	if (v->state == RS_BPF_CT_RELATED && rs_is_error(v))
		return false;
	if (proto == RS_TCP)
		return !v->l4_read || v->l4 != proto || (v->tcp_flags & 0x17) != 0x02;
	if (proto == RS_SCTP)
		return !v->l4_read || v->l4 != proto || v->sctp_chunk != 1;
	return false;
}

/* A pod link carries an end of the flow that has no group: the client's in this direction, the
 * server's in the other. */
static __always_inline __u32 rs_missing(const struct rs_now *n, const struct rs_bpf_view *v,
					bool server)
{
	if (rs_from_pod(n, v) && !!v->reply == server)
		return rs_unprog_from();
	if (rs_to_pod(n, v) && !!v->reply != server)
		return rs_unprog_to();
	return RS_BPF_ACCEPT;
}

static __always_inline __u32 rs_class_of(const struct rs_bpf_end *e)
{
	return e->flags & RS_BPF_END_CLASS ? e->cls : RS_NO_CLASS;
}

/* Groups of what is not local are 0. */
static __always_inline __u32 rs_egress_group(const struct rs_bpf_addr *a, __u64 now)
{
	struct rs_bpf_end e;

	rs_end(a, now, &e);
	return e.out_group;
}

/* What neither half refuses. */
static __always_inline __u32 rs_pass(const struct rs_now *n, const struct rs_bpf_view *v,
				     const struct rs_allowed *a)
{
	__u32 verdict = RS_BPF_ACCEPT;

	if (!a->by_out)
		verdict = rs_missing(n, v, false);
	else if (!a->by_in)
		verdict = rs_missing(n, v, true);
	if (verdict != RS_BPF_ACCEPT)
		return verdict;
	if (a->by_out || a->by_in) {
		rs_hit(v, a->by_out & RS_SLOT_MASK);
		rs_hit(v, a->by_in & RS_SLOT_MASK);
		return RS_BPF_ACCEPT;
	}
	if (rs_from_pod(n, v))
		return rs_unprog_from();
	return rs_to_pod(n, v) ? rs_unprog_to() : RS_BPF_ACCEPT;
}

static __always_inline __u32 rs_halves(const struct rs_now *n, const struct rs_bpf_view *v,
				       const struct rs_bpf_end *c, const struct rs_bpf_end *s)
{
	struct rs_allowed a = {};
	__u32 verdict;

	if (c->out_group) {
		a.by_out = rs_half(v, n->epoch, RS_DIR_OUT, c->out_group, rs_class_of(s));
		if (!a.by_out)
			return RS_BPF_DROP(RS_BPF_POLICY_EGRESS, 1);
	} else {
		verdict = rs_missing(n, v, false);
		if (verdict != RS_BPF_ACCEPT)
			return verdict;
	}
	if (s->in_group) {
		a.by_in = rs_half(v, n->epoch, RS_DIR_IN, s->in_group, rs_class_of(c));
		if (!a.by_in)
			return RS_BPF_DROP(RS_BPF_POLICY_INGRESS, 0);
	}
	rs_memo_put(v, n->epoch, &a);
	return rs_pass(n, v, &a);
}

static __always_inline __u32 rs_fresh(const struct rs_now *n, const struct rs_bpf_view *v)
{
	struct rs_bpf_end c, s;
	struct rs_allowed a;
	__u32 verdict;

	if (rs_is_icmp6(v) && v->hops == 255 && v->icmp_type >= 133 && v->icmp_type <= 137)
		return RS_BPF_ACCEPT;
	if (v->state == RS_BPF_CT_NONE)
		return rs_no_flow(n, v);
	if (rs_midstream(v)) {
		verdict = rs_isolated_end(n, v);
		if (verdict != RS_BPF_ACCEPT)
			return verdict;
	}
	/* First packets are looked up: cells count them. */
	if (v->state != RS_BPF_CT_NEW && rs_memo_get(v, n->epoch, &a))
		return rs_pass(n, v, &a);
	rs_end(&v->client, n->epoch, &c);
	if (c.flags & RS_BPF_END_LOCAL && rs_same_addr(&v->client, &v->server))
		return RS_BPF_ACCEPT;
	rs_end(&v->server, n->epoch, &s);
	return rs_halves(n, v, &c, &s);
}

/* An error that a pod sends must be about a flow of which its source is an end. */
static __always_inline bool rs_foreign_error(const struct rs_now *n, const struct rs_bpf_view *v)
{
	if (!rs_is_error(v))
		return false;
	if (v->iif && !rs_from_pod(n, v))
		return false;
	return !rs_is_local(&v->src, n->epoch) ||
	       (!rs_same_addr(&v->src, &v->client) && !rs_same_addr(&v->src, &v->server));
}

__noinline int rs_judge_flow(const struct rs_now *n, const struct rs_bpf_view *v)
{
	if (!n || !v)
		return RS_BPF_DROP(RS_BPF_MALFORMED, 0);
	if (v->state == RS_BPF_CT_RELATED && rs_foreign_error(n, v))
		return RS_BPF_DROP(RS_BPF_INVALID, 1);
	return rs_fresh(n, v);
}

/* ---- the hooks ------------------------------------------------------------------------------- */

static __always_inline bool rs_to_group(const struct rs_bpf_view *v)
{
	return v->dst.family == RS_BPF_AF_IP4 &&
	       (v->dst.a[0] & bpf_htonl(0xf0000000)) == bpf_htonl(0xe0000000);
}

/* Where the node routes multicast, an IPv4 packet comes without the link that it came by. */
static __always_inline bool rs_routed_group(const struct rs_now *n, const struct rs_bpf_view *v)
{
	if (!rs_to_group(v))
		return false;
	if (rs_egress_group(&v->src, n->epoch))
		return true;
	return rs_to_pod(n, v) && (v->dst.a[0] & bpf_htonl(0xffffff00)) != bpf_htonl(0xe0000000);
}

/* A packet of this node. */
static __always_inline __u32 rs_own_packet(const struct rs_now *n, const struct rs_bpf_view *v)
{
	if (rs_to_pod(n, v) && v->options && !rs_is_free(&v->dst, n->epoch))
		return RS_BPF_DROP(RS_BPF_INVALID, 0);
	if (!rs_routed_group(n, v))
		return RS_BPF_ACCEPT;
	if (v->state == RS_BPF_CT_NONE && !rs_is_free(&v->src, n->epoch) &&
	    rs_egress_group(&v->src, n->epoch))
		return RS_BPF_DROP(RS_BPF_INVALID, 1);
	return rs_judge_flow(n, v);
}

static __always_inline __u32 rs_forwarded(const struct rs_now *n, const struct rs_bpf_view *v)
{
	return v->iif ? rs_judge_flow(n, v) : rs_own_packet(n, v);
}

/* A forwarded packet of a flow that conntrack knows, and of which the memos say that it may: of the
 * packet itself no rule asks anything then. v is described but for its header. */
static __always_inline bool rs_goes_on(const struct rs_now *n, const struct rs_bpf_view *v)
{
	struct rs_allowed a;

	return v->state == RS_BPF_CT_ESTABLISHED && v->iif && rs_memo_get(v, n->epoch, &a) &&
	       rs_pass(n, v, &a) == RS_BPF_ACCEPT;
}

/* Answers to what the node began pass; not what a helper expected, and not an error by a pod about
 * another's flow. */
static __always_inline __u32 rs_to_node(const struct rs_now *n, const struct rs_bpf_view *v)
{
	bool helper = v->state == RS_BPF_CT_RELATED && !rs_is_error(v);

	if (!rs_from_pod(n, v))
		return RS_BPF_ACCEPT;
	if (v->state == RS_BPF_CT_RELATED && rs_foreign_error(n, v))
		return RS_BPF_DROP(RS_BPF_INVALID, 1);
	if (v->state != RS_BPF_CT_NONE && v->reply && !helper)
		return RS_BPF_ACCEPT;
	return rs_judge_flow(n, v);
}

static __always_inline bool rs_goes_on_to_node(const struct rs_now *n, const struct rs_bpf_view *v)
{
	return !rs_from_pod(n, v) || (v->state == RS_BPF_CT_ESTABLISHED && v->reply) ||
	       rs_goes_on(n, v);
}

#endif
