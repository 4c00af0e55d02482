/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * bpf_tcleave.h - ebpf-tc: what a pod sends, before anybody knows where it goes.
 *
 * A destination may be a Service's, and is translated behind us. So nothing is judged here that a
 * program sees once more on its way out, at another device, or at the look-up of a socket of this
 * node. What would pass none of them is judged here by what is known, or dropped.
 */
#ifndef RIPSTOP_BPF_TCLEAVE_H
#define RIPSTOP_BPF_TCLEAVE_H

#include "bpf/bpf_tc.h"

extern struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb, struct bpf_sock_tuple *tuple,
					 __u32 len, struct bpf_ct_opts___rs *opts,
					 __u32 opts_len) __ksym __weak;
extern void bpf_ct_release(struct nf_conn *ct) __ksym __weak;

/* The number moves with every device that comes or goes. */
static __always_inline __u32 rs_devices(struct __sk_buff *skb)
{
	struct sk_buff *k = (void *)skb;
	struct net_device *dev = NULL;
	struct net *net = NULL;
	__u32 seq = 0;

	bpf_core_read(&dev, sizeof(dev), &k->dev);
	bpf_core_read(&net, sizeof(net), &dev->nd_net.net);
	bpf_core_read(&seq, sizeof(seq), &net->dev_base_seq);
	return seq;
}

/* A program of ours stands at every way out. */
static __always_inline bool rs_devices_whole(struct __sk_buff *skb)
{
	__u32 zero = 0;
	const struct rs_bpf_cfg *c = bpf_map_lookup_elem(&rs_cfg, &zero);
	__u32 whole = c ? *(const volatile __u32 *)&c->devices : 0;

	return whole && whole == rs_devices(skb);
}

/* Of an entry that conntrack gave, of TCP or UDP; member by member: beside the question there is no
 * room on the stack for both tuples (bpf_flow.h). */
static __always_inline void rs_entry_ends(const struct nf_conn *ct, struct rs_bpf_view *v)
{
	__be16 port = 0;

	v->client.family = v->server.family = v->src.family;
	if (v->src.family == RS_BPF_AF_IP6) {
		bpf_core_read(v->client.a, 16, &ct->tuplehash[0].tuple.src.u3);
		bpf_core_read(v->server.a, 16, &ct->tuplehash[1].tuple.src.u3);
	} else {
		bpf_core_read(v->client.a, 4, &ct->tuplehash[0].tuple.src.u3);
		bpf_core_read(v->server.a, 4, &ct->tuplehash[1].tuple.src.u3);
	}
	v->flow_proto = v->l4;
	bpf_core_read(&port, sizeof(port), &ct->tuplehash[1].tuple.src.u);
	v->port = bpf_ntohs(port);
}

/* Conntrack's entry, of TCP and UDP: it tells no others. */
__noinline int rs_tc_known(struct __sk_buff *skb, struct rs_bpf_view *v)
{
	struct bpf_ct_opts___rs o = {};
	struct bpf_sock_tuple t = {};
	unsigned long status = 0;
	struct nf_conn *ct;
	bool six;

	if (!v)
		return false;
	six = v->src.family == RS_BPF_AF_IP6;
	o.netns_id = -1; /* ours */
	o.l4proto = v->l4;
	if (six) {
		__builtin_memcpy(t.ipv6.saddr, v->src.a, 16);
		__builtin_memcpy(t.ipv6.daddr, v->dst.a, 16);
		t.ipv6.sport = bpf_htons(v->sport);
		t.ipv6.dport = bpf_htons(v->dport);
	} else {
		t.ipv4.saddr = v->src.a[0];
		t.ipv4.daddr = v->dst.a[0];
		t.ipv4.sport = bpf_htons(v->sport);
		t.ipv4.dport = bpf_htons(v->dport);
	}
	ct = bpf_skb_ct_lookup(skb, &t, six ? sizeof(t.ipv6) : sizeof(t.ipv4), &o, sizeof(o));
	if (!ct)
		return false;
	bpf_core_read(&status, sizeof(status), &ct->status);
	rs_entry_ends(ct, v);
	v->reply = o.dir;
	v->state = v->reply || status & RS_CT_SEEN_REPLY ? RS_BPF_CT_ESTABLISHED : RS_BPF_CT_NEW;
	rs_tc_midstream(ct, v);
	bpf_ct_release(ct);
	return true;
}

static __always_inline long rs_tc_route(struct __sk_buff *skb, const struct rs_bpf_view *v,
					__u32 flags)
{
	struct bpf_fib_lookup f = { .ifindex = skb->ifindex };

	if (v->src.family == RS_BPF_AF_IP6) {
		f.family = RS_PF_IP6;
		__builtin_memcpy(f.ipv6_src, v->src.a, 16);
		__builtin_memcpy(f.ipv6_dst, v->dst.a, 16);
	} else {
		f.family = RS_PF_IP4;
		f.ipv4_src = v->src.a[0];
		f.ipv4_dst = v->dst.a[0];
	}
	return bpf_fib_lookup(skb, &f, sizeof(f), flags);
}

/* Routed to this node, or to all of a network of its, or to nobody: the kernel tells them not
 * apart. */
static __always_inline bool rs_tc_stays(struct __sk_buff *skb, const struct rs_bpf_view *v)
{
	long rc = rs_tc_route(skb, v, 0);

	return rc < 0 || rc == BPF_FIB_LKUP_RET_NOT_FWDED || rc == BPF_FIB_LKUP_RET_FWD_DISABLED;
}

/* Of what stays: a broadcast address lies in a network that the main table has a route to. */
static __always_inline bool rs_maybe_broadcast(struct __sk_buff *skb, const struct rs_bpf_view *v)
{
	return v->src.family == RS_BPF_AF_IP4 &&
	       rs_tc_route(skb, v, BPF_FIB_LOOKUP_DIRECT) != BPF_FIB_LKUP_RET_NOT_FWDED;
}

static __always_inline bool rs_to_many(const struct rs_bpf_view *v)
{
	const __u8 *d = (const void *)v->dst.a;

	if (v->dst.family == RS_BPF_AF_IP6)
		return d[0] == 0xff;
	return d[0] >= 224; /* groups, and the broadcast address */
}

/* A pod's default, with its flags; 0: nothing is known. */
static __always_inline __u32 rs_egress_default(const struct rs_bpf_addr *a, __u64 now)
{
	struct rs_bpf_cell key; /* no initialiser: the compiler would keep one in a map */
	struct rs_bpf_cell_slots *s;
	__u64 any = 0, i;

	key.dir = RS_DIR_OUT;
	key.group = rs_egress_group(a, now);
	key.cls = RS_BPF_DEFAULT;
	s = bpf_map_lookup_elem(&rs_cells, &key);
	if (!s)
		return 0;
	i = rs_slot(s->epoch, now, &any);
	return any ? s->v[i].profile : 0;
}

static __always_inline bool rs_egress_isolated(const struct rs_bpf_addr *a, __u64 now)
{
	__u32 says = rs_egress_default(a, now);

	return !says || says & RS_BPF_GROUP_ISOLATED;
}

static __always_inline bool rs_has_sockets(const struct rs_bpf_view *v)
{
	return v->l4 == RS_TCP || v->l4 == RS_UDP;
}

static __always_inline bool rs_error_type(const struct rs_bpf_view *v)
{
	__u8 t = v->icmp_type;

	if (!v->l4_read)
		return false;
	if (v->l4 == RS_ICMP6)
		return v->src.family == RS_BPF_AF_IP6 && t >= 1 && t <= 4;
	return v->l4 == RS_ICMP && (t == 3 || t == 4 || t == 5 || t == 11 || t == 12);
}

struct rs_ports {
	__be16 from, to;
};

/* The packet that an error quotes, as far as a flow is known by it. */
static __always_inline bool rs_quoted(const struct rs_bytes *b, const struct rs_bpf_view *v,
				      struct rs_bpf_view *q)
{
	bool six = v->src.family == RS_BPF_AF_IP6;
	__u32 at = b->at + 8, head = 40;
	struct rs_ports ports = {};
	__u8 words = 0;

	q->src.family = q->dst.family = v->src.family;
	if (six ? !rs_read(b, at + 8, q->src.a, 16) || !rs_read(b, at + 24, q->dst.a, 16)
		: !rs_read(b, at + 12, q->src.a, 4) || !rs_read(b, at + 16, q->dst.a, 4))
		return false;
	if (!rs_read(b, at + (six ? 6 : 9), &q->l4, 1))
		return false;
	if (!six) {
		if (!rs_read(b, at, &words, 1))
			return false;
		head = (words & 15) * 4;
	}
	if (rs_read(b, at + head, &ports, sizeof(ports))) {
		q->sport = bpf_ntohs(ports.from);
		q->dport = bpf_ntohs(ports.to);
	}
	return true;
}

/* As if it were a flow of its own, that goes where it says. */
__noinline int rs_tc_as_it_stands(const struct rs_now *n, struct rs_bpf_view *v, __u8 state)
{
	if (!n || !v)
		return RS_BPF_DROP(RS_BPF_MALFORMED, 1);
	v->client = v->src;
	v->server = v->dst;
	v->flow_proto = v->l4;
	v->port = v->dport;
	v->reply = 0;
	v->state = state;
	return rs_to_node(n, v);
}

/* Only asked: it is judged, and counted, where it leaves. Of length 0 it counts for no rule. */
static __always_inline bool rs_tc_might_go(const struct rs_now *n, struct rs_bpf_view *v)
{
	__u32 len = v->len, verdict;

	v->len = 0;
	verdict = rs_tc_as_it_stands(n, v, RS_BPF_CT_ESTABLISHED);
	v->len = len;
	return verdict == RS_BPF_ACCEPT;
}

static __always_inline __u32 rs_tc_might_go_on(const struct rs_now *n, struct rs_bpf_view *v)
{
	__u32 len = v->len, verdict;

	v->len = 0;
	verdict = rs_judge_flow(n, v);
	v->len = len;
	return verdict;
}

static __always_inline __u32 rs_tc_known_to_node(const struct rs_now *n,
						 const struct rs_bpf_view *v)
{
	if (!v->reply)
		return rs_to_node(n, v);
	if (v->l4 == RS_UDP)
		rs_note(RS_UDP, &v->src, v->sport, &v->dst, v->dport);
	return RS_BPF_ACCEPT;
}

static __always_inline bool rs_lone_syn(const struct rs_bpf_view *v)
{
	return (v->tcp_flags & 0x17) == 0x02;
}

/* The first of a flow: wherever it goes, a program is there. While that is not known of some
 * device, a pod that may not send to anybody begins nothing. */
static __always_inline __u32 rs_tc_begin(struct __sk_buff *skb, const struct rs_now *n,
					 const struct rs_bpf_view *v)
{
	if (rs_devices_whole(skb))
		return RS_BPF_ACCEPT;
	if (rs_egress_isolated(&v->src, n->epoch))
		return rs_unprog_from();
	if (v->l4 == RS_TCP && !rs_lone_syn(v))
		return RS_BPF_DROP(RS_BPF_INVALID, 1);
	return RS_BPF_ACCEPT;
}

/* An error to this node, judged as the flow that it quotes: of which the pod must be an end. */
static __always_inline __u32 rs_tc_error(struct __sk_buff *skb, const struct rs_now *n,
					 const struct rs_bytes *b, struct rs_bpf_view *v)
{
	struct rs_bpf_view q = {};
	bool own, known;

	if (!rs_quoted(b, v, &q))
		return RS_BPF_DROP(RS_BPF_INVALID, 1);
	own = rs_same_addr(&q.src, &v->src) || rs_same_addr(&q.dst, &v->src);
	known = rs_has_sockets(&q) && rs_tc_known(skb, &q);
	if (rs_is_free(&v->src, n->epoch) && (own || (rs_has_sockets(&q) && !known)))
		return RS_BPF_ACCEPT;
	if (!own || !known)
		return RS_BPF_DROP(RS_BPF_INVALID, 1);
	v->client = q.client;
	v->server = q.server;
	v->flow_proto = q.flow_proto;
	v->port = q.port;
	v->reply = !q.reply;
	v->state = RS_BPF_CT_RELATED;
	return rs_to_node(n, v);
}

#define RS_ECHO_NS (10 * RS_SECOND)

static __always_inline bool rs_tc_is_asked_echo(const struct rs_bpf_view *v)
{
	return rs_is_echo(v, true) &&
	       bpf_ktime_get_ns() - rs_noted_ns(RS_ICMP, &v->src, 0, &v->dst, 0) < RS_ECHO_NS;
}

/* Of no protocol that conntrack is asked about. */
static __always_inline __u32 rs_tc_deaf(const struct rs_now *n, struct rs_bpf_view *v)
{
	__u32 verdict = rs_tc_as_it_stands(n, v, RS_BPF_CT_ESTABLISHED);

	if (verdict == RS_BPF_ACCEPT && rs_is_init(v))
		rs_note(RS_SCTP, &v->src, v->sport, &v->dst, v->dport);
	return verdict;
}

/* To this node: there is no way out to be judged at, but a socket, where it is looked up. What goes
 * to all of a network is delivered without that. */
static __always_inline __u32 rs_tc_to_node(struct __sk_buff *skb, const struct rs_now *n,
					   const struct rs_bytes *b, struct rs_bpf_view *v)
{
	__u32 verdict = RS_BPF_ACCEPT;

	if (rs_error_type(v))
		return rs_tc_error(skb, n, b, v);
	if (rs_is_free(&v->src, n->epoch) || rs_tc_is_asked_echo(v))
		return RS_BPF_ACCEPT;
	if (rs_has_sockets(v) && b->later)
		return RS_BPF_ACCEPT; /* with the first fragment it comes to a socket, or never */
	if (!rs_has_sockets(v) || rs_to_many(v))
		return rs_tc_deaf(n, v);
	if (!v->l4_read)
		return RS_BPF_DROP(RS_BPF_INVALID, 1);
	if (rs_tc_known(skb, v))
		return rs_tc_known_to_node(n, v);
	if (v->l4 == RS_TCP ? !rs_lone_syn(v) : rs_maybe_broadcast(skb, v))
		verdict = rs_tc_as_it_stands(n, v, RS_BPF_CT_NEW);
	return verdict == RS_BPF_ACCEPT ? rs_tc_begin(skb, n, v) : verdict;
}

/* Translated to this node it would come to no socket's look-up, and to no way out. TCP and UDP do;
 * of SCTP nothing is said before an answer, which is judged. An echo request may go where it says:
 * its answer is judged too. All else, if it might go everywhere. */
static __always_inline bool rs_tc_would_be_lost(const struct rs_now *n, struct rs_bpf_view *v)
{
	if (rs_has_sockets(v) || v->l4 == RS_SCTP)
		return false;
	if (v->l4_read && v->l4 == (v->src.family == RS_BPF_AF_IP6 ? RS_ICMP6 : RS_ICMP))
		return rs_is_echo(v, false) && !rs_tc_might_go(n, v);
	return rs_egress_default(&v->src, n->epoch) !=
		       (RS_BPF_PROFILE_ALLOW | RS_BPF_GROUP_ISOLATED) ||
	       !rs_tc_might_go(n, v);
}

/* Behind the guard. */
static __always_inline __u32 rs_tc_leave(struct __sk_buff *skb, const struct rs_now *n,
					 const struct rs_bytes *b, struct rs_bpf_view *v)
{
	bool free = rs_is_free(&v->src, n->epoch);

	if (rs_is_icmp6(v) && v->hops == 255 && v->icmp_type >= 133 && v->icmp_type <= 137)
		return RS_BPF_ACCEPT;
	if (free && !rs_error_type(v))
		return RS_BPF_ACCEPT;
	if (rs_to_many(v) || rs_tc_stays(skb, v))
		return rs_tc_to_node(skb, n, b, v);
	if (free)
		return RS_BPF_ACCEPT;
	if (rs_egress_isolated(&v->src, n->epoch) && rs_tc_would_be_lost(n, v)) {
		v->client = v->src; /* whose denial it is */
		v->server = v->dst;
		return RS_BPF_DROP(RS_BPF_POLICY_EGRESS, 1);
	}
	if (rs_devices_whole(skb))
		return RS_BPF_ACCEPT;
	if (rs_has_sockets(v) && v->l4_read && rs_tc_known(skb, v))
		return rs_tc_might_go_on(n, v);
	return rs_tc_begin(skb, n, v);
}

#endif
