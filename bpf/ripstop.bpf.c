// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * ripstop.bpf.c - the programs: thin front ends that describe a packet to the judge and the guard,
 * and two that user space runs.
 */
#include "bpf/bpf_guard.h"

#include "bpf/bpf_drop.h"
#include "bpf/bpf_packet.h"

#define RS_NF_DROP 0
#define RS_NF_ACCEPT 1

extern int bpf_dynptr_from_skb(struct sk_buff *skb, __u64 flags,
			       struct bpf_dynptr *p) __ksym __weak;

/* Without a configuration nothing is programmed. */
static __always_inline bool rs_now_get(struct rs_now *n)
{
	__u32 zero = 0;
	const struct rs_bpf_cfg *c = bpf_map_lookup_elem(&rs_cfg, &zero);

	if (!c)
		return false;
	n->epoch = *(const volatile __u64 *)&c->epoch;
	n->generation = c->generation[n->epoch & 1];
	n->link_group = c->link_group;
	n->log_rate = c->log_rate;
	return true;
}

static __always_inline __u32 rs_at_hook(const struct rs_now *n, __u32 hook,
					const struct rs_bpf_view *v)
{
	if (hook == RS_BPF_HOOK_GUARD)
		return rs_guard(n, v);
	return hook == RS_BPF_HOOK_FORWARDED ? rs_forwarded(n, v) : rs_to_node(n, v);
}

/* ---- netfilter ------------------------------------------------------------------------------- */

/* Both tuples of a flow, as they lie in the kernel: one read, and then members at their offsets. */
struct rs_tuples {
	__u64 b[14];
};

#define RS_AT(t, ct, member)                                                                    \
	((const void *)((const __u8 *)(t)->b + (bpf_core_field_offset((ct)->tuplehash member) - \
						bpf_core_field_offset((ct)->tuplehash[0].tuple))))

static __always_inline void rs_end_of_flow(bool six, const __u32 *from, struct rs_bpf_addr *to)
{
	to->family = six ? RS_BPF_AF_IP6 : RS_BPF_AF_IP4;
	to->a[0] = from[0];
	if (!six)
		return;
	to->a[1] = from[1];
	to->a[2] = from[2];
	to->a[3] = from[3];
}

static __always_inline void rs_flow(const struct sk_buff *skb, struct rs_bpf_view *v)
{
	unsigned long nfct = skb->_nfct;
	__u32 info = nfct & RS_CTINFO_MASK;
	const struct nf_conn *ct = (const void *)(nfct & ~RS_CTINFO_MASK);
	struct rs_tuples t;
	__be16 port;
	bool six;

	if (!ct || info > RS_CTINFO_RELATED_REPLY)
		return;
	if (bpf_probe_read_kernel(&t, sizeof(t), &ct->tuplehash[0].tuple))
		return;
	v->reply = info >= RS_CTINFO_REPLY;
	if (info == RS_CTINFO_NEW)
		v->state = RS_BPF_CT_NEW;
	else if (info == RS_CTINFO_RELATED || info == RS_CTINFO_RELATED_REPLY)
		v->state = RS_BPF_CT_RELATED;
	else
		v->state = RS_BPF_CT_ESTABLISHED;
	six = *(const __u16 *)RS_AT(&t, ct, [0].tuple.src.l3num) != RS_PF_IP4;
	rs_end_of_flow(six, RS_AT(&t, ct, [0].tuple.src.u3), &v->client);
	rs_end_of_flow(six, RS_AT(&t, ct, [1].tuple.src.u3), &v->server);
	v->flow_proto = *(const __u8 *)RS_AT(&t, ct, [0].tuple.dst.protonum);
	if (v->flow_proto == RS_ICMP || v->flow_proto == RS_ICMP6)
		return; /* what stands there is no port */
	port = *(const __be16 *)RS_AT(&t, ct, [1].tuple.src.u);
	v->port = bpf_ntohs(port);
}

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

static __always_inline int rs_netfilter(struct bpf_nf_ctx *ctx, __u32 hook)
{
	struct rs_bpf_view v = {};
	struct bpf_dynptr data;
	struct rs_bytes b = { .from = &data, .dynptr = true };
	struct rs_now n;
	__u32 verdict;
	bool looks;

	if (!bpf_dynptr_from_skb || bpf_dynptr_from_skb(ctx->skb, 0, &data) || !rs_now_get(&n))
		return RS_NF_DROP;
	rs_links_of(ctx->state, &v);
	v.len = ctx->skb->len;
	rs_describe_ip(&b, ctx->state->pf == RS_PF_IP6, &v);
	if (hook != RS_BPF_HOOK_GUARD)
		rs_flow(ctx->skb, &v);
	looks = rs_looks_at_l4(&v);
	if (looks)
		rs_describe_l4(&b, &v);
	verdict = rs_at_hook(&n, hook, &v);
	if (verdict == RS_BPF_ACCEPT)
		return RS_NF_ACCEPT;
	if (!looks)
		rs_describe_l4(&b, &v);
	rs_dropped(&n, &v, verdict);
	return RS_NF_DROP;
}

SEC("?netfilter")
int rs_nf_guard(struct bpf_nf_ctx *ctx)
{
	return rs_netfilter(ctx, RS_BPF_HOOK_GUARD);
}

SEC("?netfilter")
int rs_nf_forwarded(struct bpf_nf_ctx *ctx)
{
	return rs_netfilter(ctx, RS_BPF_HOOK_FORWARDED);
}

SEC("?netfilter")
int rs_nf_to_node(struct bpf_nf_ctx *ctx)
{
	return rs_netfilter(ctx, RS_BPF_HOOK_TO_NODE);
}

/* Accepts everything: attached for a moment, to see whether programs can be. */
SEC("?netfilter")
int rs_nf_trial(struct bpf_nf_ctx *ctx)
{
	return RS_NF_ACCEPT;
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
	return rs_at_hook(&n, hook, &v);
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
