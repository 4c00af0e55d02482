// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * ripstop.bpf.c - the programs: thin front ends that describe a packet to the judge and the guard,
 * and two that user space runs.
 */
#include "bpf/bpf_guard.h"

#include "bpf/bpf_drop.h"
#include "bpf/bpf_flow.h"
#include "bpf/bpf_packet.h"
#include "bpf/bpf_tcguard.h"
#include "bpf/bpf_tcleave.h"

#define RS_NF_DROP 0
#define RS_NF_ACCEPT 1

static __always_inline __u32 rs_at_hook(const struct rs_now *n, __u32 hook,
					const struct rs_bpf_view *v)
{
	if (hook == RS_BPF_HOOK_GUARD)
		return rs_is_known(n, v) ? RS_BPF_ACCEPT : rs_guard(n, v);
	return hook == RS_BPF_HOOK_FORWARDED ? rs_forwarded(n, v) : rs_to_node(n, v);
}

/* What can be said without a look at the packet's header, of the hooks that know its flow. */
static __always_inline bool rs_by_flow(const struct rs_now *n, __u32 hook,
				       const struct rs_bpf_view *v)
{
	if (hook == RS_BPF_HOOK_TO_NODE)
		return rs_goes_on_to_node(n, v);
	return hook == RS_BPF_HOOK_FORWARDED && rs_goes_on(n, v);
}

/* ---- netfilter ------------------------------------------------------------------------------- */

static __always_inline void rs_links_of(const struct nf_hook_state *state, struct rs_bpf_view *v)
{
	/* A device that is not there reads as 0. */
	v->iif = state->in->ifindex;
	v->iif_group = state->in->group;
	v->oif = state->out->ifindex;
	v->oif_group = state->out->group;
}

/* The rules look at the transport header of what begins or is related, and of ICMPv6; a record of a
 * drop tells it too. */
static __always_inline bool rs_looks_at_l4(const struct rs_bpf_view *v)
{
	return v->state == RS_BPF_CT_NEW || v->state == RS_BPF_CT_RELATED || v->l4 == RS_ICMP6;
}

/* v is zeroed but for its flow and links. */
static __always_inline int rs_nf_judge(struct bpf_nf_ctx *ctx, __u32 hook, const struct rs_now *n,
				       struct rs_bpf_view *v)
{
	struct rs_bytes b = { .from = ctx->skb, .dynptr = true };
	__u32 verdict;
	bool looks;

	rs_bytes_near(&b, ctx->skb);
	rs_describe_ip(&b, ctx->state->pf == RS_PF_IP6, v);
	looks = rs_looks_at_l4(v);
	if (looks)
		rs_describe_l4(&b, v);
	verdict = rs_at_hook(n, hook, v);
	if (verdict == RS_BPF_ACCEPT)
		return RS_NF_ACCEPT;
	if (!looks)
		rs_describe_l4(&b, v);
	rs_dropped(n, v, verdict);
	return RS_NF_DROP;
}

static __always_inline int rs_nf_flow(struct bpf_nf_ctx *ctx, __u32 hook)
{
	struct rs_bpf_view v = {};
	struct rs_now n;

	if (!bpf_dynptr_from_skb || !rs_now_get(&n))
		return RS_NF_DROP;
	rs_links_of(ctx->state, &v);
	if (hook == RS_BPF_HOOK_TO_NODE && !rs_from_pod(&n, &v))
		return RS_NF_ACCEPT;
	v.len = ctx->skb->len;
	rs_flow(ctx->skb->_nfct, &v);
	if (rs_by_flow(&n, hook, &v))
		return RS_NF_ACCEPT;
	return rs_nf_judge(ctx, hook, &n, &v);
}

/* A packet by a pod link from an address of which that link was found to have it. */
static __always_inline bool rs_nf_is_known(struct bpf_nf_ctx *ctx)
{
	const struct net_device *in = ctx->state->in;
	struct rs_bytes b = {};
	struct rs_now n;
	__u32 iif;

	if (!RS_IS_NEAR || !rs_now_get(&n))
		return false;
	iif = in->ifindex;
	if (!rs_pod_link(&n, iif, in->group))
		return false;
	rs_bytes_near(&b, ctx->skb);
	return rs_glance(&b, ctx->state->pf == RS_PF_IP6, n.epoch, iif, 0);
}

/* Not inlined: what is known needs none of its memory. */
static __noinline int rs_nf_guard_any(struct bpf_nf_ctx *ctx)
{
	struct rs_bpf_view v = {};
	struct rs_now n;

	if (!bpf_dynptr_from_skb || !rs_now_get(&n))
		return RS_NF_DROP;
	rs_links_of(ctx->state, &v);
	v.len = ctx->skb->len;
	return rs_nf_judge(ctx, RS_BPF_HOOK_GUARD, &n, &v);
}

SEC("?netfilter")
int rs_nf_guard(struct bpf_nf_ctx *ctx)
{
	if (rs_nf_is_known(ctx))
		return RS_NF_ACCEPT;
	return rs_nf_guard_any(ctx);
}

SEC("?netfilter")
int rs_nf_forwarded(struct bpf_nf_ctx *ctx)
{
	return rs_nf_flow(ctx, RS_BPF_HOOK_FORWARDED);
}

SEC("?netfilter")
int rs_nf_to_node(struct bpf_nf_ctx *ctx)
{
	return rs_nf_flow(ctx, RS_BPF_HOOK_TO_NODE);
}

/* Accepts everything: attached for a moment, to see whether programs can be. */
SEC("?netfilter")
int rs_nf_trial(struct bpf_nf_ctx *ctx)
{
	return RS_NF_ACCEPT;
}

/* ---- tc -------------------------------------------------------------------------------------- */

/* Beside the netfilter guard, at each pod's link. */
static __noinline int rs_tc_guard_any(struct __sk_buff *skb)
{
	struct rs_bytes b = { .from = skb };
	struct rs_bpf_view v = {};
	struct rs_now n;

	if (!rs_now_get(&n))
		return RS_TC_DROP;
	return rs_tc_end(&n, &v, rs_guard_frame(skb, &n, &b, &v));
}

SEC("tc")
int rs_tc_guard(struct __sk_buff *skb)
{
	if (rs_tc_is_known(skb))
		return RS_TC_NEXT;
	return rs_tc_guard_any(skb);
}

/* The programs of ebpf-tc from here on. */
SEC("?tc")
int rs_tc_from_pod(struct __sk_buff *skb)
{
	struct rs_bytes b = { .from = skb };
	struct rs_bpf_view v = {};
	struct rs_now n;
	__u32 verdict;

	if (!rs_now_get(&n))
		return RS_TC_DROP;
	verdict = rs_guard_frame(skb, &n, &b, &v);
	if (verdict == RS_BPF_ACCEPT && rs_tc_is_ip(skb)) {
		rs_describe_l4(&b, &v);
		verdict = rs_tc_leave(skb, &n, &b, &v);
	}
	return rs_tc_end(&n, &v, verdict);
}

SEC("?tc")
int rs_tc_to_pod(struct __sk_buff *skb)
{
	struct rs_bpf_view v = {};
	struct rs_now n;

	if (!rs_tc_is_ip(skb))
		return RS_TC_NEXT;
	if (!rs_now_get(&n))
		return RS_TC_DROP;
	v.oif_group = n.link_group;
	return rs_tc_way_out(skb, &n, &v);
}

/* What this node sends by another device than a pod's passes, as everywhere. */
SEC("?tc")
int rs_tc_to_world(struct __sk_buff *skb)
{
	struct rs_bpf_view v = {};
	struct rs_now n;

	if (!rs_tc_is_ip(skb) || (!skb->ingress_ifindex && rs_tc_has_socket(skb)))
		return RS_TC_NEXT;
	return rs_now_get(&n) ? rs_tc_way_out(skb, &n, &v) : RS_TC_DROP;
}

SEC("?tc")
int rs_tc_from_world(struct __sk_buff *skb)
{
	struct rs_bytes b = { .from = skb };
	struct rs_bpf_view v = { .iif = skb->ifindex };
	struct rs_now n;

	if (!rs_tc_is_ip(skb))
		return RS_TC_NEXT;
	if (!rs_now_get(&n))
		return RS_TC_DROP;
	rs_tc_begin_at(skb, &b);
	rs_tc_describe(skb, &b, &v);
	return rs_tc_end(&n, &v, rs_guard(&n, &v));
}

SEC("?tc")
int rs_tc_devices(struct __sk_buff *skb)
{
	return rs_devices(skb);
}

/* A socket of this node, not connected, for what came from a pod: its first packet here. */
SEC("?sk_lookup")
int rs_sk_local(struct bpf_sk_lookup *ctx)
{
	struct rs_bpf_view v = { .iif = ctx->ingress_ifindex };
	struct rs_now n;
	__u32 verdict;

	if (!v.iif || !rs_now_get(&n) || !rs_link(v.iif, n.epoch))
		return SK_PASS;
	if (ctx->family == RS_PF_IP6) {
		v.src.family = v.dst.family = RS_BPF_AF_IP6;
		for (int i = 0; i < 4; i++) {
			v.src.a[i] = ctx->remote_ip6[i];
			v.dst.a[i] = ctx->local_ip6[i];
		}
	} else {
		v.src.family = v.dst.family = RS_BPF_AF_IP4;
		v.src.a[0] = ctx->remote_ip4;
		v.dst.a[0] = ctx->local_ip4;
	}
	v.iif_group = n.link_group;
	v.l4 = v.flow_proto = ctx->protocol;
	v.l4_read = 1;
	v.tcp_flags = 0x02;
	v.sport = bpf_ntohs(ctx->remote_port);
	v.dport = v.port = ctx->local_port;
	v.client = v.src;
	v.server = v.dst;
	v.state = RS_BPF_CT_NEW;
	if (v.l4 == RS_UDP && rs_noted_ns(RS_UDP, &v.src, v.sport, &v.dst, v.dport))
		return SK_PASS;
	verdict = rs_to_node(&n, &v);
	if (verdict == RS_BPF_ACCEPT)
		return SK_PASS;
	rs_dropped(&n, &v, verdict);
	return SK_DROP;
}

/* ---- run by user space ----------------------------------------------------------------------- */

/* The verdict about a described packet; nothing is counted. */
SEC("tc")
int rs_judge(struct __sk_buff *skb)
{
	struct rs_bpf_view v;
	struct rs_now n;
	__u32 hook;

	if (!rs_now_get(&n) ||
	    bpf_skb_load_bytes(skb, __builtin_offsetof(struct rs_bpf_case, hook), &hook, 4) ||
	    bpf_skb_load_bytes(skb, __builtin_offsetof(struct rs_bpf_case, view), &v, sizeof(v)))
		return RS_BPF_DROP(RS_BPF_MALFORMED, 0);
	return rs_by_flow(&n, hook, &v) ? RS_BPF_ACCEPT : rs_at_hook(&n, hook, &v);
}

#define RS_NO_EDIT 2

/* The slot to write: the one of this epoch, else the older; RS_NO_EDIT: nothing to cancel. */
static __always_inline int rs_slot_to_edit(const __u64 *epoch, const struct rs_bpf_edit *e)
{
	if (epoch[0] == e->epoch)
		return 0;
	if (epoch[1] == e->epoch)
		return 1;
	if (e->op == RS_BPF_EDIT_CANCEL)
		return RS_NO_EDIT;
	return epoch[0] <= epoch[1] ? 0 : 1;
}

/* Nobody reads a slot while its epoch is 0, or before the current one reaches it. */
#define RS_EDIT(slots, edit, value)                                                 \
	do {                                                                        \
		int i_ = rs_slot_to_edit((slots)->epoch, edit);                     \
		volatile __u64 *at_ = i_ ? &(slots)->epoch[1] : &(slots)->epoch[0]; \
		if (i_ == RS_NO_EDIT)                                               \
			break;                                                      \
		if ((edit)->op == RS_BPF_EDIT_CANCEL) {                             \
			*at_ = 0;                                                   \
			break;                                                      \
		}                                                                   \
		if (i_)                                                             \
			(slots)->v[1] = (value);                                    \
		else                                                                \
			(slots)->v[0] = (value);                                    \
		barrier();                                                          \
		*at_ = (edit)->epoch;                                               \
	} while (0)

static __always_inline int rs_edit_num(struct rs_bpf_num_slots *s, const struct rs_bpf_edit *e)
{
	if (!s)
		return RS_BPF_EDIT_ABSENT;
	RS_EDIT(s, e, e->value.num);
	return RS_BPF_EDIT_DONE;
}

static __always_inline int rs_edit_end(const struct rs_bpf_edit *e)
{
	struct rs_bpf_end_slots *s = bpf_map_lookup_elem(&rs_ends, &e->key.end);

	if (!s)
		return RS_BPF_EDIT_ABSENT;
	RS_EDIT(s, e, e->value.end);
	return RS_BPF_EDIT_DONE;
}

static __always_inline int rs_edit_cell(const struct rs_bpf_edit *e)
{
	struct rs_bpf_cell_slots *s = bpf_map_lookup_elem(&rs_cells, &e->key.cell);

	if (!s)
		return RS_BPF_EDIT_ABSENT;
	RS_EDIT(s, e, e->value.cell);
	return RS_BPF_EDIT_DONE;
}

static __always_inline int rs_edit_runs(const struct rs_bpf_edit *e)
{
	struct rs_bpf_runs_slots *s = bpf_map_lookup_elem(&rs_runs, &e->key.runs);

	if (!s)
		return RS_BPF_EDIT_ABSENT;
	RS_EDIT(s, e, e->value.runs);
	return RS_BPF_EDIT_DONE;
}

static __always_inline int rs_edit_link(const struct rs_bpf_edit *e)
{
	struct rs_bpf_link_slots *s = bpf_map_lookup_elem(&rs_links, &e->key.link);

	if (!s)
		return RS_BPF_EDIT_ABSENT;
	RS_EDIT(s, e, e->value.link);
	return RS_BPF_EDIT_DONE;
}

SEC("tc")
int rs_edit(struct __sk_buff *skb)
{
	struct rs_bpf_edit e;

	if (bpf_skb_load_bytes(skb, 0, &e, sizeof(e)))
		return RS_BPF_EDIT_ABSENT;
	switch (e.map) {
	case RS_BPF_MAP_ENDS:
		return rs_edit_end(&e);
	case RS_BPF_MAP_LINKS:
		return rs_edit_link(&e);
	case RS_BPF_MAP_RANGES:
		return rs_edit_num(bpf_map_lookup_elem(&rs_ranges, &e.key.prefix), &e);
	case RS_BPF_MAP_OWN:
		return rs_edit_num(bpf_map_lookup_elem(&rs_own, &e.key.prefix), &e);
	case RS_BPF_MAP_CELLS:
		return rs_edit_cell(&e);
	case RS_BPF_MAP_RUNS:
		return rs_edit_runs(&e);
	case RS_BPF_MAP_WHYS:
		return rs_edit_num(bpf_map_lookup_elem(&rs_whys, &e.key.port), &e);
	case RS_BPF_MAP_PORTS:
		return rs_edit_num(bpf_map_lookup_elem(&rs_ports, &e.key.port), &e);
	}
	return RS_BPF_EDIT_ABSENT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
