/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * bpf_source.h - which sources a pod link was found to have, kept by each processor for itself, and
 * the glance by which a guard knows such a packet again.
 *
 * Whether a link has an address, and which MAC it has, is a function of link, address and epoch: an
 * entry of another epoch is none, as in bpf_memo.h, where also stands why an entry has a sequence
 * number. Only what was found is kept. What else a guard asks, of the packet or of the link's group,
 * it asks of every packet, here or in bpf_guard.h.
 */
#ifndef RIPSTOP_BPF_SOURCE_H
#define RIPSTOP_BPF_SOURCE_H

#include "bpf/bpf_memo.h"
#include "bpf/bpf_packet.h"

/* An address as it lies in memory, and the MAC before it: in frame the bytes 4 to 11 of an Ethernet
 * frame, with the family in the place of the two of its receiver. */
struct rs_source {
	__u64 a[2];
	__u64 frame;
};

union rs_words {
	__u64 q[2];
	__u32 w[4];
	__u8 b[16];
};

#define RS_SENDER_MAC bpf_cpu_to_be64(0x0000ffffffffffffull)
#define RS_FAMILY(family) bpf_cpu_to_be64((__u64)(family) << 48)

static __always_inline struct rs_bpf_source *rs_source_of(__u32 iif, const struct rs_source *x)
{
	__u64 a = x->a[0] ^ x->a[1];
	__u32 h = (__u32)(a ^ a >> 32) * RS_MIX;

	h = (h ^ iif) * RS_MIX;
	h = h >> 16 & (RS_BPF_SOURCES - 1);
	return bpf_map_lookup_elem(&rs_sources, &h);
}

/* mask: of x->frame. */
static __always_inline bool rs_source_known(__u64 epoch, __u32 iif, const struct rs_source *x,
					    __u64 mask)
{
	const struct rs_bpf_source *s = rs_source_of(iif, x);
	__u32 turn;

	if (!s)
		return false;
	turn = *(const volatile __u32 *)&s->turn;
	barrier();
	if (turn & 1 || s->epoch != epoch || s->iif != iif || s->a[0] != x->a[0] ||
	    s->a[1] != x->a[1] || (s->frame ^ x->frame) & mask)
		return false;
	barrier();
	return *(const volatile __u32 *)&s->turn == turn;
}

static __always_inline void rs_source_from(const struct rs_bpf_addr *a, const __u8 *mac,
					   struct rs_source *x)
{
	union rs_words w;

	for (int i = 0; i < 4; i++)
		w.w[i] = a->a[i];
	x->a[0] = w.q[0];
	x->a[1] = w.q[1];
	w.q[0] = 0;
	for (int i = 0; mac && i < 6; i++)
		w.b[2 + i] = mac[i];
	x->frame = w.q[0] | RS_FAMILY(a->family);
}

/* The same of an address that was read. */
static __always_inline bool rs_source_again(__u64 epoch, __u32 iif, const struct rs_bpf_addr *a)
{
	struct rs_source x;

	rs_source_from(a, NULL, &x);
	return rs_source_known(epoch, iif, &x, ~RS_SENDER_MAC);
}

/* Not static: its memory is needed for no longer than it takes. l has v->src. */
__noinline int rs_source_put(const struct rs_bpf_view *v, const struct rs_bpf_link *l, __u64 epoch)
{
	struct rs_bpf_source *s;
	struct rs_source x;
	__u32 turn;

	if (!v || !l)
		return 0;
	rs_source_from(&v->src, l->mac, &x);
	s = rs_source_of(v->iif, &x);
	if (!s)
		return 0;
	turn = *(const volatile __u32 *)&s->turn;
	if (turn & 1 || __sync_val_compare_and_swap(&s->turn, turn, turn + 1) != turn)
		return 0;
	barrier();
	s->epoch = epoch;
	s->iif = v->iif;
	s->a[0] = x.a[0];
	s->a[1] = x.a[1];
	s->frame = x.frame;
	barrier();
	*(volatile __u32 *)&s->turn = turn + 2;
	return 0;
}

/* ---- a glance -------------------------------------------------------------------------------- */

#define RS_NEAR_OF(type, header, at, member) \
	RS_NEAR(type, (at) + __builtin_offsetof(struct header, member))

static __always_inline void rs_glance_source(__u64 at, bool six, struct rs_source *x)
{
	union rs_words w = {};

	if (six) {
		x->a[0] = RS_NEAR_OF(__u64, rs_ip6, at, src);
		x->a[1] = RS_NEAR_OF(__u64, rs_ip6, at, src[2]);
		x->frame = RS_FAMILY(RS_BPF_AF_IP6);
		return;
	}
	w.w[0] = RS_NEAR_OF(__u32, rs_ip4, at, src);
	x->a[0] = w.q[0];
	x->a[1] = 0;
	x->frame = RS_FAMILY(RS_BPF_AF_IP4);
}

/* IPv4 without options, IPv6 with TCP or UDP right behind its header; and not to the loopback. */
static __always_inline bool rs_glance_plain(__u64 at, bool six)
{
	__u32 dst;
	__u8 next;

	if (!six) {
		dst = RS_NEAR_OF(__u32, rs_ip4, at, dst);
		return RS_NEAR(__u8, at) == 0x45 &&
		       (dst & bpf_htonl(0xff000000)) != bpf_htonl(0x7f000000);
	}
	next = RS_NEAR_OF(__u8, rs_ip6, at, next);
	return RS_NEAR(__u8, at) >> 4 == 6 && (next == RS_TCP || next == RS_UDP) &&
	       RS_NEAR_OF(__u64, rs_ip6, at, dst);
}

/* b is at the header of IP. frame: where the Ethernet frame begins; 0: its MAC is not asked for. */
static __always_inline bool rs_glance(const struct rs_bytes *b, bool six, __u64 epoch, __u32 iif,
				      __u64 frame)
{
	__u64 at = b->near + b->at, mask = ~RS_SENDER_MAC;
	struct rs_source x;

	if ((__u64)b->at + (six ? sizeof(struct rs_ip6) : sizeof(struct rs_ip4)) > b->whole)
		return false;
	rs_glance_source(at, six, &x);
	if (frame) {
		x.frame |= RS_NEAR(__u64, frame + 4) & RS_SENDER_MAC;
		mask = ~0ull;
	}
	return rs_source_known(epoch, iif, &x, mask) && rs_glance_plain(at, six);
}

#endif
