/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * bpf_tcguard.h - the guard at a pod's link: what bpf_guard.h says of a packet, and of the frame
 * around it that its hardware address is the pod's, and that ARP claims no other.
 */
#ifndef RIPSTOP_BPF_TCGUARD_H
#define RIPSTOP_BPF_TCGUARD_H

#include "bpf/bpf_tc.h"

struct rs_arp {
	__be16 hardware, proto;
	__u8 hardware_len, proto_len;
	__be16 op;
	__u8 sender_mac[6], sender[4], target_mac[6], target[4];
};

/* A link of which no hardware address is known may have any. */
static __always_inline bool rs_link_mac(const struct rs_bpf_link *l, const __u8 *mac)
{
	__u8 known = 0, differs = 0;

	for (int i = 0; i < 6; i++) {
		known |= l->mac[i];
		differs |= l->mac[i] ^ mac[i];
	}
	return !known || !differs;
}

/* A sender of 0 asks whether an address is taken. */
static __always_inline __u32 rs_guard_arp(const struct rs_bytes *b, const struct rs_bpf_link *l)
{
	struct rs_bpf_addr sender = { .family = RS_BPF_AF_IP4 };
	struct rs_arp a;

	if (!rs_read_far(b, RS_ETH_LEN, &a, sizeof(a)))
		return RS_BPF_COUNT_QUIET;
	__builtin_memcpy(sender.a, a.sender, 4);
	if (!rs_link_mac(l, a.sender_mac) || (sender.a[0] && !rs_link_has(l, &sender)))
		return rs_spoofed();
	return RS_BPF_ACCEPT;
}

/* What is neither IP nor ARP has nobody on a routed link that would take it. */
static __always_inline __u32 rs_guard_other(struct __sk_buff *skb, const struct rs_bytes *b,
					    const struct rs_bpf_link *l)
{
	if (!l)
		return rs_unprog_from();
	return rs_tc_is(skb, RS_ETH_ARP) ? rs_guard_arp(b, l) : RS_BPF_COUNT_QUIET;
}

static __always_inline __u32 rs_guard_mac(const struct rs_bytes *b, const struct rs_bpf_link *l)
{
	__u8 mac[8] = {};

	if (!l)
		return rs_unprog_from();
	if (!rs_read(b, 6, mac, 6))
		return RS_BPF_DROP(RS_BPF_MALFORMED, 1);
	return rs_link_mac(l, mac) ? RS_BPF_ACCEPT : rs_spoofed();
}

/* Of the transport header the guard asks for ICMPv6's alone, and a record of a drop for any. */
static __always_inline __u32 rs_guard_ip(struct __sk_buff *skb, const struct rs_now *n,
					 struct rs_bytes *b, struct rs_bpf_view *v,
					 const struct rs_bpf_link *l)
{
	__u32 verdict;

	rs_tc_begin_at(skb, b);
	rs_tc_describe_ip(skb, b, v);
	if (v->l4 == RS_ICMP6)
		rs_describe_l4(b, v);
	verdict = rs_guard_pod(n, v, l);
	if (verdict == RS_BPF_ACCEPT)
		verdict = rs_guard_mac(b, l);
	if (verdict != RS_BPF_ACCEPT)
		rs_describe_l4(b, v);
	return verdict;
}

/* A frame of which the address, and the hardware address before it, were found to be its link's. */
static __always_inline bool rs_tc_is_known(struct __sk_buff *skb)
{
	struct rs_bytes b = {};
	struct rs_now n;

	if (!RS_IS_NEAR || !rs_tc_is_ip(skb) || !rs_now_get(&n))
		return false;
	rs_tc_begin_at(skb, &b);
	return rs_glance(&b, rs_tc_is(skb, RS_ETH_IP6), n.epoch, skb->ifindex, b.near);
}

/* Everything that a pod sends; v is zeroed. Of a packet that passes the transport header may not
 * have been read. */
static __always_inline __u32 rs_guard_frame(struct __sk_buff *skb, const struct rs_now *n,
					    struct rs_bytes *b, struct rs_bpf_view *v)
{
	const struct rs_bpf_link *l = rs_link(skb->ifindex, n->epoch);
	__u32 verdict;

	v->iif = skb->ifindex;
	v->iif_group = n->link_group;
	if (rs_tc_is_ip(skb))
		return rs_guard_ip(skb, n, b, v, l);
	v->len = skb->len;
	verdict = rs_guard_other(skb, b, l);
	return verdict == RS_BPF_ACCEPT ? rs_guard_mac(b, l) : verdict;
}

#endif
