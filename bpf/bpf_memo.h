/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * bpf_memo.h - what was allowed between two ends at an epoch, kept by each processor for itself.
 *
 * The halves of a verdict are a function of the flow's ends, its protocol, its port and the epoch,
 * and of nothing else (every look-up in them is by these), so what they said once they say until
 * the epoch moves: an entry of another epoch is none. Refusals are not kept.
 *
 * Programs of one processor interrupt each other, so an entry has a sequence number, odd while it
 * is written: who finds it odd, or moved, looks everything up.
 */
#ifndef RIPSTOP_BPF_MEMO_H
#define RIPSTOP_BPF_MEMO_H

#include "bpf/bpf_lookup.h"

#define RS_MIX 0x9e3779b1u

/* 0: that end has no group. Else RS_ALLOWED and the slot of the rule. */
struct rs_allowed {
	__u32 by_out;
	__u32 by_in;
};

static __always_inline __u32 rs_memo_what(const struct rs_bpf_view *v)
{
	return (__u32)v->port | (__u32)v->flow_proto << 16 | v->client.family << 24;
}

static __always_inline struct rs_bpf_memo *rs_memo_of(const struct rs_bpf_view *v)
{
	__u32 h = (v->client.a[0] ^ v->client.a[2] ^ v->client.a[3]) * RS_MIX;

	h = (h ^ v->server.a[0] ^ v->server.a[2] ^ v->server.a[3]) * RS_MIX;
	h = (h ^ rs_memo_what(v)) * RS_MIX;
	h = h >> 16 & (RS_BPF_MEMOS - 1);
	return bpf_map_lookup_elem(&rs_memos, &h);
}

static __always_inline bool rs_memo_is(const struct rs_bpf_memo *m, const struct rs_bpf_view *v,
				       __u64 epoch)
{
	if (m->epoch != epoch || m->what != rs_memo_what(v))
		return false;
	for (int i = 0; i < 4; i++)
		if (m->client[i] != v->client.a[i] || m->server[i] != v->server.a[i])
			return false;
	return v->server.family == v->client.family;
}

static __always_inline bool rs_memo_get(const struct rs_bpf_view *v, __u64 epoch,
					struct rs_allowed *to)
{
	const struct rs_bpf_memo *m = rs_memo_of(v);
	__u32 turn;

	if (!m)
		return false;
	turn = *(const volatile __u32 *)&m->turn;
	barrier();
	if (turn & 1 || !rs_memo_is(m, v, epoch))
		return false;
	to->by_out = m->by_out;
	to->by_in = m->by_in;
	barrier();
	return *(const volatile __u32 *)&m->turn == turn;
}

static __always_inline void rs_memo_put(const struct rs_bpf_view *v, __u64 epoch,
					const struct rs_allowed *a)
{
	struct rs_bpf_memo *m = rs_memo_of(v);
	__u32 turn;

	if (!m || v->server.family != v->client.family)
		return;
	turn = *(const volatile __u32 *)&m->turn;
	if (turn & 1 || __sync_val_compare_and_swap(&m->turn, turn, turn + 1) != turn)
		return;
	barrier();
	m->epoch = epoch;
	m->what = rs_memo_what(v);
	for (int i = 0; i < 4; i++) {
		m->client[i] = v->client.a[i];
		m->server[i] = v->server.a[i];
	}
	m->by_out = a->by_out;
	m->by_in = a->by_in;
	barrier();
	*(volatile __u32 *)&m->turn = turn + 2;
}

#endif
