/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * bpf_packet.h - the bytes of a packet to its description. What lies in one piece at its beginning
 * is read there (bpf_near.h); the rest by two readers: the kernel's dynptr (netfilter) and the
 * bytes of a socket buffer (tc, tests). Which one is known when it is compiled.
 */
#ifndef RIPSTOP_BPF_PACKET_H
#define RIPSTOP_BPF_PACKET_H

#include "bpf/bpf_near.h"

#include <ripstop/bpfabi.h>

/* No packet that anybody sends for a purpose has more. */
#define RS_EXT_HEADERS 64

struct rs_ip4 {
	__u8 version_words, tos;
	__be16 len, id, fragment;
	__u8 ttl, proto;
	__be16 check;
	__be32 src, dst;
};

struct rs_ip6 {
	__be32 version_class_label;
	__be16 len;
	__u8 next, hops;
	__u32 src[4], dst[4];
};

extern int bpf_dynptr_from_skb(struct sk_buff *skb, __u64 flags,
			       struct bpf_dynptr *p) __ksym __weak;

struct rs_bytes {
	void *from; /* struct sk_buff, else struct __sk_buff */
	bool dynptr;
	bool is_near;
	__u64 near;  /* where they begin, */
	__u32 whole; /* and how many lie there */
	bool l4;     /* what comes next is the transport header */
	bool fragment;
	bool later; /* a fragment without the transport header */
	__u32 at;   /* of the next header */
};

static __always_inline bool rs_read_far(const struct rs_bytes *b, __u32 at, void *to, __u32 len)
{
	struct bpf_dynptr d;

	if (!b->dynptr)
		return !bpf_skb_load_bytes(b->from, at, to, len);
	return !bpf_dynptr_from_skb(b->from, 0, &d) && !bpf_dynptr_read(to, len, &d, at, 0);
}

static __always_inline bool rs_read(const struct rs_bytes *b, __u32 at, void *to, __u32 len)
{
	if (!RS_IS_NEAR || !b->is_near || (__u64)at + len > b->whole)
		return rs_read_far(b, at, to, len);
	rs_near_copy(b->near + at, to, len);
	return true;
}

/* Before anything is read near. */
static __always_inline void rs_bytes_near(struct rs_bytes *b, const struct sk_buff *skb)
{
	b->is_near = true;
	b->near = (unsigned long)skb->data;
	b->whole = skb->len - skb->data_len;
}

/* Of TCP and SCTP 14 bytes, of the others 4. */
static __always_inline void rs_read_l4(const struct rs_bytes *b, struct rs_bpf_view *v)
{
	__u8 h[14] = {};
	bool longer = v->l4 == RS_TCP || v->l4 == RS_SCTP;

	if (longer ? !rs_read(b, b->at, h, 14) : !rs_read(b, b->at, h, 4))
		return;
	v->l4_read = 1;
	if (v->l4 == RS_ICMP || v->l4 == RS_ICMP6) {
		v->icmp_type = h[0];
		v->icmp_code = h[1];
		return;
	}
	if (!longer && v->l4 != RS_UDP)
		return;
	v->sport = h[0] << 8 | h[1];
	v->dport = h[2] << 8 | h[3];
	if (v->l4 == RS_TCP)
		v->tcp_flags = h[13];
	if (v->l4 == RS_SCTP)
		v->sctp_chunk = h[12];
}

static __always_inline void rs_read_ip4(struct rs_bytes *b, struct rs_bpf_view *v)
{
	__u32 words;
	struct rs_ip4 h;

	if (!rs_read(b, b->at, &h, sizeof(h)) || h.version_words >> 4 != 4) {
		v->broken = RS_BPF_NO_HEADER;
		return;
	}
	v->src.a[0] = h.src;
	v->dst.a[0] = h.dst;
	words = h.version_words & 15;
	v->options = words != 5;
	v->l4 = h.proto;
	b->at += words * 4;
	b->fragment = h.fragment & bpf_htons(0x3fff);
	b->later = h.fragment & bpf_htons(0x1fff);
	b->l4 = words >= 5 && !b->later;
}

static __always_inline bool rs_is_ext(__u8 next)
{
	return next == 0 || next == 43 || next == 44 || next == 51 || next == 60;
}

/* d is for a reader by dynptr. */
static __always_inline bool rs_read_by(const struct rs_bytes *b, const struct bpf_dynptr *d,
				       void *to, __u32 len)
{
	if (b->dynptr)
		return !bpf_dynptr_read(to, len, d, b->at, 0);
	return !bpf_skb_load_bytes(b->from, b->at, to, len);
}

/* One extension header; false: nothing behind it can be read. */
static __always_inline bool rs_skip_ext(struct rs_bytes *b, const struct bpf_dynptr *d, __u8 *next)
{
	__u8 h[4], what = *next;

	if (!rs_read_by(b, d, h, sizeof(h)))
		return false;
	*next = h[0];
	if (what == 44) {
		b->at += 8;
		b->fragment = true;
		b->later = (h[2] << 8 | h[3]) & 0xfff8;
		return !b->later;
	}
	b->at += what == 51 ? (h[1] + 2) * 4 : (h[1] + 1) * 8;
	return true;
}

/* Whatever stands between the header and what it carries. */
static __always_inline void rs_read_far_ip6(struct rs_bytes *b, struct rs_bpf_view *v)
{
	struct bpf_dynptr d;
	struct rs_ip6 h;
	__u8 next;

	if ((b->dynptr && bpf_dynptr_from_skb(b->from, 0, &d)) ||
	    !rs_read_by(b, &d, &h, sizeof(h)) ||
	    (h.version_class_label & bpf_htonl(0xf0000000)) != bpf_htonl(0x60000000)) {
		v->broken = RS_BPF_NO_HEADER;
		return;
	}
	__builtin_memcpy(v->src.a, h.src, 16);
	__builtin_memcpy(v->dst.a, h.dst, 16);
	v->hops = h.hops;
	next = h.next;
	b->at += sizeof(h);
	for (int i = 0; i < RS_EXT_HEADERS && rs_is_ext(next); i++)
		if (!rs_skip_ext(b, &d, &next)) {
			v->l4 = rs_is_ext(next) ? 0 : next;
			return;
		}
	if (rs_is_ext(next)) { /* a chain without a purpose */
		v->broken = RS_BPF_ENDLESS;
		return;
	}
	v->l4 = next;
	b->l4 = true;
}

static __always_inline bool rs_is_plain_ip6(const struct rs_bytes *b)
{
	__u64 at = b->near + b->at;

	return RS_IS_NEAR && b->is_near && (__u64)b->at + sizeof(struct rs_ip6) <= b->whole &&
	       RS_NEAR(__u8, at) >> 4 == 6 &&
	       !rs_is_ext(RS_NEAR(__u8, at + __builtin_offsetof(struct rs_ip6, next)));
}

static __always_inline void rs_read_ip6(struct rs_bytes *b, struct rs_bpf_view *v)
{
	__u64 at = b->near + b->at;

	if (!rs_is_plain_ip6(b)) {
		b->is_near = false; /* the verifier would walk twice what comes then */
		rs_read_far_ip6(b, v);
		return;
	}
	rs_near_copy(at + __builtin_offsetof(struct rs_ip6, src), v->src.a, 16);
	rs_near_copy(at + __builtin_offsetof(struct rs_ip6, dst), v->dst.a, 16);
	v->hops = RS_NEAR(__u8, at + __builtin_offsetof(struct rs_ip6, hops));
	v->l4 = RS_NEAR(__u8, at + __builtin_offsetof(struct rs_ip6, next));
	b->at += sizeof(struct rs_ip6);
	b->l4 = true;
}

/* v is zeroed: all but the transport header. */
static __always_inline void rs_describe_ip(struct rs_bytes *b, bool six, struct rs_bpf_view *v)
{
	v->src.family = v->dst.family = six ? RS_BPF_AF_IP6 : RS_BPF_AF_IP4;
	if (six)
		rs_read_ip6(b, v);
	else
		rs_read_ip4(b, v);
}

/* Then of that what the rules look at. */
static __always_inline void rs_describe_l4(const struct rs_bytes *b, struct rs_bpf_view *v)
{
	if (b->l4)
		rs_read_l4(b, v);
}

/* v is zeroed. Addresses, and of the transport header what the rules look at. */
static __always_inline void rs_describe(struct rs_bytes *b, bool six, struct rs_bpf_view *v)
{
	rs_describe_ip(b, six, v);
	rs_describe_l4(b, v);
}

#endif
