/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* bpf_lookup.h - the relations as they are at one epoch. */
#ifndef RIPSTOP_BPF_LOOKUP_H
#define RIPSTOP_BPF_LOOKUP_H

#include "bpf/bpf_maps.h"

/* Arithmetic instead of branches, each of which doubles what the verifier has to walk. An epoch
 * is below 2^63; one that has not come counts as 0. */
static __always_inline __u64 rs_due(const __u64 *epoch, __u64 now)
{
	__u64 e = *(const volatile __u64 *)epoch;
	__u64 late = (__u64)((__s64)(now - e) >> 63);

	barrier_var(late);
	return e & ~late;
}

/* Which of two slots counts; *any 0: none. */
static __always_inline __u64 rs_slot(const __u64 *epoch, __u64 now, __u64 *any)
{
	__u64 a = rs_due(&epoch[0], now), b = rs_due(&epoch[1], now);
	__u64 i = (a - b) >> 63;

	barrier_var(i);
	*any = a | b;
	return i & 1;
}

/* What is known of an address; flags 0: nothing. */
static __always_inline void rs_end(const struct rs_bpf_addr *a, __u64 now, struct rs_bpf_end *out)
{
	struct rs_bpf_end_slots *s = bpf_map_lookup_elem(&rs_ends, a);
	__u64 any = 0, i;

	__builtin_memset(out, 0, sizeof(*out));
	if (!s)
		return;
	i = rs_slot(s->epoch, now, &any);
	if (any)
		*out = s->v[i];
}

static __always_inline __u32 rs_num(const struct rs_bpf_num_slots *s, __u64 now)
{
	__u64 any = 0, i;

	if (!s)
		return 0;
	i = rs_slot(s->epoch, now, &any);
	return any ? s->v[i] : 0;
}

static __always_inline __u32 rs_in_prefix(void *map, const struct rs_bpf_addr *a, __u64 now)
{
	struct rs_bpf_prefix key = { .plen = RS_BPF_FAMILY_BITS + 128, .addr = *a };

	if (a->family == RS_BPF_AF_IP4)
		key.plen = RS_BPF_FAMILY_BITS + 32;
	return rs_num(bpf_map_lookup_elem(map, &key), now);
}

static __always_inline const struct rs_bpf_cell_value *rs_cell(const struct rs_bpf_view *v,
							       __u32 dir, __u32 group, __u32 cls,
							       __u64 now)
{
	struct rs_bpf_cell key = { .dir = dir, .group = group, .cls = cls };
	struct rs_bpf_cell_slots *s = bpf_map_lookup_elem(&rs_cells, &key);
	__u64 any = 0, i;

	if (!s)
		return NULL;
	i = rs_slot(s->epoch, now, &any);
	if (!any || !s->v[i].profile)
		return NULL;
	/* Of later packets there would be one at each processor, all waiting for this memory. */
	if (v->state == RS_BPF_CT_NEW && v->len)
		__sync_fetch_and_add(&s->judged, 1);
	return &s->v[i];
}

/* RS_BPF_PORT_ALLOW, RS_BPF_RUNS_MORE, or 0. */
static __always_inline __u32 rs_runs_say(__u32 profile, __u32 proto, __u16 port, __u64 now)
{
	struct rs_bpf_runs_key key = { .profile = profile, .proto = proto };
	struct rs_bpf_runs_slots *s = bpf_map_lookup_elem(&rs_runs, &key);
	const struct rs_bpf_runs *r;
	__u64 any = 0, i;

	if (!s)
		return 0;
	i = rs_slot(s->epoch, now, &any);
	if (!any)
		return 0;
	r = &s->v[i];
	for (__u32 k = 0; k < RS_BPF_RUNS; k++)
		if (k < r->n && r->lo[k] <= port && port <= r->hi[k])
			return RS_BPF_PORT_ALLOW;
	return r->n == RS_BPF_RUNS_MORE ? RS_BPF_RUNS_MORE : 0;
}

/* What a trie by port says; 0: nothing. */
static __always_inline __u32 rs_at_port(void *map, __u32 number, __u8 proto, __u16 port, __u64 now)
{
	struct rs_bpf_port key;

	/* Not an initialiser: the compiler would keep one in .rodata, which is a map more. */
	key.plen = 56;
	key.b[7] = 0;
	key.b[0] = number >> 24;
	key.b[1] = number >> 16;
	key.b[2] = number >> 8;
	key.b[3] = number;
	key.b[4] = proto;
	key.b[5] = port >> 8;
	key.b[6] = port;
	return rs_num(bpf_map_lookup_elem(map, &key), now);
}

/* What is listed nowhere is denied. */
static __always_inline bool rs_port_allowed(__u32 profile, __u8 proto, __u16 port, __u64 now)
{
	__u32 says;

	if (profile == RS_BPF_PROFILE_ALLOW)
		return true;
	if (profile == RS_BPF_PROFILE_DENY || !profile)
		return false;
	says = rs_runs_say(profile, proto, port, now);
	if (says == RS_BPF_RUNS_MORE)
		says = rs_at_port(&rs_ports, profile, proto, port, now);
	if (!says)
		says = rs_runs_say(profile, 0, port, now);
	return says == RS_BPF_PORT_ALLOW;
}

/* The slot of rs_hits that a packet counts in, of what a cell says. */
static __always_inline __u32 rs_rule_of(__u32 rule, const struct rs_bpf_view *v, __u64 now)
{
	__u32 list = rule & ~RS_BPF_RULE_LIST, slot;

	if (!(rule & RS_BPF_RULE_LIST))
		return rule;
	slot = rs_at_port(&rs_whys, list, v->flow_proto, v->port, now);
	return slot ? slot : rs_at_port(&rs_whys, list, 0, 0, now);
}

/* A packet that a rule let through. */
static __always_inline void rs_hit(const struct rs_bpf_view *v, __u32 slot)
{
	struct rs_bpf_count *c;

	if (!v->len || !slot)
		return;
	c = bpf_map_lookup_elem(&rs_hits, &slot);
	if (!c)
		return;
	c->packets++;
	c->bytes += v->len;
}

static __always_inline bool rs_same_addr(const struct rs_bpf_addr *x, const struct rs_bpf_addr *y)
{
	return x->family == y->family && x->a[0] == y->a[0] && x->a[1] == y->a[1] &&
	       x->a[2] == y->a[2] && x->a[3] == y->a[3];
}

static __always_inline __u32 rs_flags(const struct rs_bpf_addr *a, __u64 now)
{
	struct rs_bpf_end e;

	rs_end(a, now, &e);
	return e.flags;
}

static __always_inline bool rs_is_local(const struct rs_bpf_addr *a, __u64 now)
{
	return rs_flags(a, now) & RS_BPF_END_LOCAL;
}

/* An address of a pod that is isolated in no direction; an unknown one is not. */
static __always_inline bool rs_is_free(const struct rs_bpf_addr *a, __u64 now)
{
	return rs_flags(a, now) & RS_BPF_END_FREE;
}

#endif
