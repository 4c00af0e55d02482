/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* bpf_flow.h - the state that is in force, and a flow as the kernel's conntrack has it. */
#ifndef RIPSTOP_BPF_FLOW_H
#define RIPSTOP_BPF_FLOW_H

#include "bpf/bpf_judge.h"

/* Without a configuration nothing is programmed. */
static __always_inline bool rs_now_get(struct rs_now *n)
{
	__u32 zero = 0;
	const struct rs_bpf_cfg *c = bpf_map_lookup_elem(&rs_cfg, &zero);

	if (!c)
		return false;
	n->epoch = *(const volatile __u64 *)&c->epoch;
	n->link_group = c->link_group;
	n->log_rate = c->log_rate;
	return true;
}

static __always_inline void rs_end_of_flow(const struct nf_conntrack_tuple *t,
					   struct rs_bpf_addr *to)
{
	__u16 family = 0;

	bpf_core_read(&family, sizeof(family), &t->src.l3num);
	if (family == RS_PF_IP4) {
		to->family = RS_BPF_AF_IP4;
		bpf_core_read(to->a, 4, &t->src.u3);
	} else {
		to->family = RS_BPF_AF_IP6;
		bpf_core_read(to->a, 16, &t->src.u3);
	}
}

static __always_inline void rs_flow_ends(const struct nf_conn *ct, struct rs_bpf_view *v)
{
	__be16 port = 0;

	rs_end_of_flow(&ct->tuplehash[0].tuple, &v->client);
	rs_end_of_flow(&ct->tuplehash[1].tuple, &v->server);
	bpf_core_read(&v->flow_proto, 1, &ct->tuplehash[0].tuple.dst.protonum);
	if (v->flow_proto == RS_ICMP || v->flow_proto == RS_ICMP6)
		return; /* what stands there is no port */
	bpf_core_read(&port, sizeof(port), &ct->tuplehash[1].tuple.src.u);
	v->port = bpf_ntohs(port);
}

/* nfct: sk_buff._nfct. */
static __always_inline void rs_flow(unsigned long nfct, struct rs_bpf_view *v)
{
	__u32 info = nfct & RS_CTINFO_MASK;
	const struct nf_conn *ct = (const void *)(nfct & ~RS_CTINFO_MASK);

	if (!ct || info > RS_CTINFO_RELATED_REPLY)
		return;
	v->reply = info >= RS_CTINFO_REPLY;
	if (info == RS_CTINFO_NEW)
		v->state = RS_BPF_CT_NEW;
	else if (info == RS_CTINFO_RELATED || info == RS_CTINFO_RELATED_REPLY)
		v->state = RS_BPF_CT_RELATED;
	else
		v->state = RS_BPF_CT_ESTABLISHED;
	rs_flow_ends(ct, v);
}

#endif
