/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * bpf_tc.h - a packet at tc, described to the guard and the judge.
 *
 * On its way out it still carries the kernel's conntrack entry, so the flow is known as exactly as
 * at a netfilter hook, of a fragment too; only its addresses may have been translated. On its way
 * in from a pod conntrack has not seen it, and is asked.
 */
#ifndef RIPSTOP_BPF_TC_H
#define RIPSTOP_BPF_TC_H

#include "bpf/bpf_drop.h"
#include "bpf/bpf_flow.h"
#include "bpf/bpf_guard.h"
#include "bpf/bpf_packet.h"

#define RS_TC_NEXT (-1) /* other programs at this device have their say */
#define RS_TC_DROP 2

#define RS_ETH_IP4 0x0800
#define RS_ETH_IP6 0x86dd
#define RS_ETH_ARP 0x0806
#define RS_ETH_LEN 14

static __always_inline bool rs_tc_is(const struct __sk_buff *skb, __u16 proto)
{
	return skb->protocol == bpf_htons(proto);
}

static __always_inline bool rs_tc_is_ip(const struct __sk_buff *skb)
{
	return rs_tc_is(skb, RS_ETH_IP4) || rs_tc_is(skb, RS_ETH_IP6);
}

/* Where the IP header lies: not every device has an Ethernet header before it. What a program
 * gets as its context is the kernel's struct itself. */
static __always_inline __u32 rs_tc_net(struct __sk_buff *skb)
{
	struct sk_buff *k = (void *)skb;
	unsigned char *head = NULL, *data = NULL;
	__u16 net = 0;

	bpf_core_read(&head, sizeof(head), &k->head);
	bpf_core_read(&data, sizeof(data), &k->data);
	bpf_core_read(&net, sizeof(net), &k->network_header);
	return (__u32)(head + net - data);
}

/* Lets b begin at the IP header. */
static __always_inline void rs_tc_begin_at(struct __sk_buff *skb, struct rs_bytes *b)
{
	const struct sk_buff *k;

	if (!RS_IS_NEAR) {
		b->at = rs_tc_net(skb);
		return;
	}
	k = bpf_cast_to_kern_ctx(skb);
	rs_bytes_near(b, k);
	b->at = (__u32)((unsigned long)k->head + k->network_header - b->near);
}

/* v is zeroed; b is left at the transport header. */
static __always_inline void rs_tc_describe_ip(struct __sk_buff *skb, struct rs_bytes *b,
					      struct rs_bpf_view *v)
{
	v->len = skb->len - b->at;
	rs_describe_ip(b, rs_tc_is(skb, RS_ETH_IP6), v);
}

static __always_inline void rs_tc_describe(struct __sk_buff *skb, struct rs_bytes *b,
					   struct rs_bpf_view *v)
{
	rs_tc_describe_ip(skb, b, v);
	rs_describe_l4(b, v);
}

static __always_inline int rs_tc_end(const struct rs_now *n, const struct rs_bpf_view *v,
				     __u32 verdict)
{
	if (verdict == RS_BPF_ACCEPT)
		return RS_TC_NEXT;
	rs_dropped(n, v, verdict);
	return RS_TC_DROP;
}

/* ---- what conntrack does not tell ------------------------------------------------------------ */

static __always_inline void rs_note(__u32 proto, const struct rs_bpf_addr *from, __u16 from_port,
				    const struct rs_bpf_addr *to, __u16 to_port)
{
	struct rs_bpf_note key = {
		.from = *from, .to = *to, .from_port = from_port, .to_port = to_port, .proto = proto
	};
	__u64 now_ns = bpf_ktime_get_ns();

	bpf_map_update_elem(&rs_notes, &key, &now_ns, BPF_ANY);
}

/* 0: it was not noted. */
static __always_inline __u64 rs_noted_ns(__u32 proto, const struct rs_bpf_addr *from,
					 __u16 from_port, const struct rs_bpf_addr *to,
					 __u16 to_port)
{
	struct rs_bpf_note key = {
		.from = *from, .to = *to, .from_port = from_port, .to_port = to_port, .proto = proto
	};
	const __u64 *at = bpf_map_lookup_elem(&rs_notes, &key);

	return at ? *at : 0;
}

static __always_inline bool rs_is_echo(const struct rs_bpf_view *v, bool answer)
{
	if (!v->l4_read)
		return false;
	if (v->src.family == RS_BPF_AF_IP6)
		return v->l4 == RS_ICMP6 && v->icmp_type == (answer ? 129 : 128);
	return v->l4 == RS_ICMP && v->icmp_type == (answer ? 0 : 8);
}

static __always_inline bool rs_is_init(const struct rs_bpf_view *v)
{
	return v->l4 == RS_SCTP && v->l4_read && v->sctp_chunk == 1;
}

static __always_inline bool rs_picked_up(const struct nf_conn *ct)
{
	__u8 flags = 0;

	bpf_core_read(&flags, 1, &ct->proto.tcp.seen[0].flags);
	return flags & RS_CT_TCP_LIBERAL;
}

static __always_inline __u16 rs_client_port(const struct nf_conn *ct)
{
	__be16 port = 0;

	bpf_core_read(&port, sizeof(port), &ct->tuplehash[0].tuple.src.u);
	return bpf_ntohs(port);
}

/*
 * A packet that is dropped here has left its entry in conntrack, where a netfilter hook drops it
 * before that. One in mid-stream leaves an entry that may stand the wrong way round, and the next
 * packet from the other end would be its reply. So all that belongs to such an entry is in
 * mid-stream, and no beginning.
 */
static __always_inline void rs_tc_midstream(const struct nf_conn *ct, struct rs_bpf_view *v)
{
	bool first = v->state == RS_BPF_CT_NEW, unknown = false;

	if (v->state == RS_BPF_CT_NONE || (v->state == RS_BPF_CT_RELATED && rs_is_error(v)))
		return;
	if (v->flow_proto == RS_TCP)
		unknown = rs_picked_up(ct);
	else if (v->flow_proto == RS_SCTP)
		unknown =
			!(first && rs_is_init(v)) &&
			!rs_noted_ns(RS_SCTP, &v->client, rs_client_port(ct), &v->server, v->port);
	if (!unknown)
		return;
	v->state = RS_BPF_CT_NEW;
	v->tcp_flags = 0;
	v->sctp_chunk = 0;
}

/* ---- on the way out -------------------------------------------------------------------------- */

/*
 * Addresses as they were before source NAT, where the judge expects them. Of an error the source
 * may be anything by now: conntrack makes it the flow's, whoever sent it. But the guard at the
 * pod's link knew it, so it was one of that link's.
 */
static __always_inline void rs_tc_undo_nat(struct rs_bpf_view *v, const struct rs_bpf_link *from)
{
	if (v->state == RS_BPF_CT_NONE)
		return;
	if (v->state != RS_BPF_CT_RELATED || !rs_is_error(v)) {
		v->src = v->reply ? v->server : v->client;
		v->dst = v->reply ? v->client : v->server;
		return;
	}
	if (!from)
		return;
	if (rs_link_has(from, &v->client))
		v->src = v->client;
	else if (rs_link_has(from, &v->server))
		v->src = v->server;
}

/* Not static: the verifier walks each once, by itself. This one says whether it is a fragment. */
__noinline int rs_tc_read(struct __sk_buff *skb, struct rs_bpf_view *v)
{
	struct rs_bytes b = { .from = skb };

	if (!v)
		return 0;
	rs_tc_begin_at(skb, &b);
	rs_tc_describe(skb, &b, v);
	return b.fragment;
}

__noinline int rs_tc_flow(__u64 nfct, struct rs_bpf_view *v)
{
	if (!v)
		return 0;
	rs_flow(nfct, v);
	rs_tc_midstream((const void *)(nfct & ~RS_CTINFO_MASK), v);
	return 0;
}

/*
 * From this node to a pod. Its answers to what the pod began are judged as that: they are all that
 * is left to refuse where no program saw the question, and what a socket's look-up refused is
 * answered by the kernel, where a denial is silent. Of errors only those of the flow's own server:
 * "no such Service" is for everybody to hear.
 */
static __always_inline __u32 rs_tc_own_to_pod(const struct rs_now *n, const struct rs_bpf_view *v)
{
	bool answers = v->state == RS_BPF_CT_ESTABLISHED ||
		       (v->state == RS_BPF_CT_RELATED && rs_same_addr(&v->src, &v->server));

	if (answers && v->reply && rs_is_local(&v->client, n->epoch))
		return rs_fresh(n, v);
	return rs_forwarded(n, v);
}

static __always_inline __u32 rs_tc_judge_out(const struct rs_now *n, const struct rs_bpf_view *v,
					     __u64 nfct)
{
	__u32 verdict;

	if (!v->iif_group && rs_guard(n, v) != RS_BPF_ACCEPT)
		return rs_spoofed();
	verdict = rs_forwarded(n, v);
	if (verdict == RS_BPF_ACCEPT && v->state == RS_BPF_CT_NEW && rs_is_init(v))
		rs_note(RS_SCTP, &v->client, rs_client_port((const void *)(nfct & ~RS_CTINFO_MASK)),
			&v->server, v->port);
	return verdict;
}

/* The guard saw it where it came in. What a pod sent is taken for one from a pod link. */
static __always_inline __u32 rs_tc_from_nowhere(const struct rs_now *n, struct rs_bpf_view *v)
{
	if (rs_is_local(&v->src, n->epoch)) {
		v->iif = v->oif;
		v->iif_group = n->link_group;
	}
	return rs_judge_flow(n, v);
}

__noinline int rs_tc_judge(const struct rs_now *n, struct rs_bpf_view *v, __u64 nfct,
			   bool made_here)
{
	const struct rs_bpf_link *from;

	if (!n || !v)
		return RS_BPF_DROP(RS_BPF_MALFORMED, 0);
	/* A pod link is known by its entry: what has none gets past no guard. */
	from = rs_link(v->iif, n->epoch);
	v->iif_group = from ? n->link_group : 0;
	rs_tc_undo_nat(v, from);
	if (v->iif)
		return rs_tc_judge_out(n, v, nfct);
	return made_here ? rs_tc_own_to_pod(n, v) : rs_tc_from_nowhere(n, v);
}

/*
 * Where the node has to cut a forwarded packet into fragments anew, IPv6 forgets the device that it
 * came by: they look made here. What is made here has a socket, and so have its fragments.
 */
static __always_inline bool rs_tc_has_socket(struct __sk_buff *skb)
{
	struct sk_buff *k = (void *)skb;
	void *sk = NULL;

	bpf_core_read(&sk, sizeof(sk), &k->sk);
	return sk;
}

/* v: what it goes to. */
static __always_inline int rs_tc_way_out(struct __sk_buff *skb, const struct rs_now *n,
					 struct rs_bpf_view *v)
{
	struct sk_buff *k = (void *)skb;
	unsigned long nfct = 0;
	bool fragment, made_here;

	v->iif = skb->ingress_ifindex;
	v->oif = skb->ifindex;
	fragment = rs_tc_read(skb, v);
	made_here = !fragment || rs_tc_has_socket(skb);
	bpf_core_read(&nfct, sizeof(nfct), &k->_nfct);
	rs_tc_flow(nfct, v);
	if (!v->iif && made_here && rs_is_echo(v, false))
		rs_note(RS_ICMP, &v->dst, 0, &v->src, 0);
	return rs_tc_end(n, v, rs_tc_judge(n, v, nfct, made_here));
}

#endif
