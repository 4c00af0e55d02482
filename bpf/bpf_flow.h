/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* bpf_flow.h - the state that is in force, and a flow as the kernel's conntrack has it. */
#ifndef RIPSTOP_BPF_FLOW_H
#define RIPSTOP_BPF_FLOW_H

#include "bpf/bpf_judge.h"
#include "bpf/bpf_near.h"

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

/* Of a flow: its ends, protocol and server port. */
static __always_inline bool rs_ends_of_flow(const struct nf_conn *ct, struct rs_bpf_view *v)
{
	struct rs_tuples t;
	__be16 port;
	bool six;

	if (bpf_probe_read_kernel(&t, sizeof(t), &ct->tuplehash[0].tuple))
		return false;
	six = *(const __u16 *)RS_AT(&t, ct, [0].tuple.src.l3num) != RS_PF_IP4;
	rs_end_of_flow(six, RS_AT(&t, ct, [0].tuple.src.u3), &v->client);
	rs_end_of_flow(six, RS_AT(&t, ct, [1].tuple.src.u3), &v->server);
	v->flow_proto = *(const __u8 *)RS_AT(&t, ct, [0].tuple.dst.protonum);
	if (v->flow_proto == RS_ICMP || v->flow_proto == RS_ICMP6)
		return true; /* what stands there is no port */
	port = *(const __be16 *)RS_AT(&t, ct, [1].tuple.src.u);
	v->port = bpf_ntohs(port);
	return true;
}

#define RS_NEAR_AT(type, ct, member) \
	RS_NEAR(type, (unsigned long)(ct) + bpf_core_field_offset((ct)->tuplehash member))

static __always_inline void rs_near_end(bool six, __u64 from, struct rs_bpf_addr *to)
{
	to->family = six ? RS_BPF_AF_IP6 : RS_BPF_AF_IP4;
	to->a[0] = RS_NEAR(__u32, from);
	if (!six)
		return;
	to->a[1] = RS_NEAR(__u32, from + 4);
	to->a[2] = RS_NEAR(__u32, from + 8);
	to->a[3] = RS_NEAR(__u32, from + 12);
}

static __always_inline void rs_near_flow(const struct nf_conn *ct, struct rs_bpf_view *v)
{
	unsigned long at = (unsigned long)ct;
	bool six = RS_NEAR_AT(__u16, ct, [0].tuple.src.l3num) != RS_PF_IP4;

	rs_near_end(six, at + bpf_core_field_offset(ct->tuplehash[0].tuple.src.u3), &v->client);
	rs_near_end(six, at + bpf_core_field_offset(ct->tuplehash[1].tuple.src.u3), &v->server);
	v->flow_proto = RS_NEAR_AT(__u8, ct, [0].tuple.dst.protonum);
	if (v->flow_proto != RS_ICMP && v->flow_proto != RS_ICMP6)
		v->port = bpf_ntohs(RS_NEAR_AT(__be16, ct, [1].tuple.src.u));
}

/* nfct: sk_buff._nfct. */
static __always_inline void rs_flow(unsigned long nfct, struct rs_bpf_view *v)
{
	__u32 info = nfct & RS_CTINFO_MASK;
	const struct nf_conn *ct = (const void *)(nfct & ~RS_CTINFO_MASK);

	if (!ct || info > RS_CTINFO_RELATED_REPLY)
		return;
	if (RS_IS_NEAR)
		rs_near_flow(ct, v);
	else if (!rs_ends_of_flow(ct, v))
		return;
	v->reply = info >= RS_CTINFO_REPLY;
	if (info == RS_CTINFO_NEW)
		v->state = RS_BPF_CT_NEW;
	else if (info == RS_CTINFO_RELATED || info == RS_CTINFO_RELATED_REPLY)
		v->state = RS_BPF_CT_RELATED;
	else
		v->state = RS_BPF_CT_ESTABLISHED;
}

#endif
