/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* bpf_guard.h - what may come from a pod link, and who may not claim to be a pod: the chains guard,
 * from_pod and pod_icmp6 of lib/dataplane/nft/skeleton.c. */
#ifndef RIPSTOP_BPF_GUARD_H
#define RIPSTOP_BPF_GUARD_H

#include "bpf/bpf_judge.h"
#include "bpf/bpf_source.h"

#define RS_LOOPBACK_INDEX 1

static __always_inline __u32 rs_spoofed(void)
{
	return RS_BPF_DROP(RS_BPF_SPOOFED, 1);
}

static __always_inline bool rs_to_loopback(const struct rs_bpf_view *v)
{
	const __u32 *d = v->dst.a;

	if (v->dst.family == RS_BPF_AF_IP4)
		return (d[0] & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000);
	return !d[0] && !d[1] && !d[2] && d[3] == bpf_htonl(1);
}

static __always_inline const struct rs_bpf_link *rs_link(__u32 index, __u64 now)
{
	struct rs_bpf_link_slots *s = bpf_map_lookup_elem(&rs_links, &index);
	__u64 any = 0, i;

	if (!s)
		return NULL;
	i = rs_slot(s->epoch, now, &any);
	return any && s->v[i].n ? &s->v[i] : NULL;
}

static __always_inline bool rs_link_has(const struct rs_bpf_link *l, const struct rs_bpf_addr *a)
{
	for (__u32 i = 0; i < RS_BPF_LINK_ADDRS; i++)
		if (i < l->n && rs_same_addr(&l->addr[i], a))
			return true;
	return false;
}

/* Router and listener messages, redirects, duplicate address detection. */
static __always_inline bool rs_quiet(const struct rs_bpf_view *v)
{
	const __u32 *s = v->src.a;
	__u8 t = v->icmp_type;

	if (v->l4_read && ((t >= 130 && t <= 134) || t == 137 || t == 143))
		return true;
	return !s[0] && !s[1] && !s[2] && !s[3];
}

static __always_inline bool rs_neighbour(const struct rs_bpf_view *v, const struct rs_bpf_link *l)
{
	return v->l4_read && v->hops == 255 && (v->icmp_type == 135 || v->icmp_type == 136) && l &&
	       rs_same_addr(&l->ll, &v->src);
}

/* l: of v->iif; NULL where it is not programmed. */
static __always_inline __u32 rs_guard_pod(const struct rs_now *n, const struct rs_bpf_view *v,
					  const struct rs_bpf_link *l)
{
	if (v->broken)
		return RS_BPF_DROP(RS_BPF_MALFORMED, 1);
	if (rs_to_loopback(v))
		return rs_spoofed();
	if (v->options && !rs_is_free(&v->src, n->epoch))
		return RS_BPF_DROP(RS_BPF_INVALID, 1);
	if (v->src.family == RS_BPF_AF_IP6 && v->l4 == RS_ICMP6) {
		if (rs_quiet(v))
			return RS_BPF_COUNT_QUIET;
		if (rs_neighbour(v, l))
			return RS_BPF_ACCEPT;
	}
	if (!l)
		return rs_unprog_from();
	if (!rs_link_has(l, &v->src))
		return rs_spoofed();
	rs_source_put(v, l, n->epoch);
	return RS_BPF_ACCEPT;
}

/* Of it the guard asks no more than whether its link has its source, and that was found. */
static __always_inline bool rs_is_known(const struct rs_now *n, const struct rs_bpf_view *v)
{
	return rs_from_pod(n, v) && !v->broken && !v->options && !rs_to_loopback(v) &&
	       (v->src.family != RS_BPF_AF_IP6 || v->l4 != RS_ICMP6) &&
	       rs_source_again(n->epoch, v->iif, &v->src);
}

static __always_inline __u32 rs_guard(const struct rs_now *n, const struct rs_bpf_view *v)
{
	if (rs_from_pod(n, v))
		return rs_guard_pod(n, v, rs_link(v->iif, n->epoch));
	if (v->iif == RS_LOOPBACK_INDEX || v->broken == RS_BPF_NO_HEADER)
		return RS_BPF_ACCEPT;
	return rs_in_prefix(&rs_own, &v->src, n->epoch) ? rs_spoofed() : RS_BPF_ACCEPT;
}

#endif
