// SPDX-License-Identifier: Apache-2.0
/*
 * mapwalk.c - a described packet, judged by what the maps of one set say: what docs/ebpf.md says
 * that the programs do, written down a second time.
 */
#include "ruleset/mset.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

#define TRIES 8
#define LOOPBACK_INDEX 1
#define IN 1 /* directions of a cell */
#define OUT 2

/* A verdict is NULL, or why it is dropped. */
static const char ingress[] = "policy-ingress", egress[] = "policy-egress",
		  unprogrammed[] = "not-programmed", spoofed[] = "spoofed", invalid[] = "invalid",
		  quiet[] = "quiet";

struct judge {
	struct mset_look look;
	const struct rs_packet *p;
};

/* ---- what the packet is ---------------------------------------------------------------------- */

static bool is_pod_link(const struct judge *j, uint32_t index, uint32_t group)
{
	return index && (group & ~1u) == (j->look.link_group & ~1u);
}

static bool from_pod(const struct judge *j)
{
	return is_pod_link(j, j->p->iif, j->p->iif_group);
}

static bool to_pod(const struct judge *j)
{
	return is_pod_link(j, j->p->oif, j->p->oif_group);
}

static bool same(const struct rs_addr *a, const struct rs_addr *b)
{
	return rs_addr_cmp(a, b) == 0;
}

static bool has_options(const struct rs_packet *p)
{
	return p->src.family == RS_AF_IP4 && p->ip_words && p->ip_words != 5;
}

static bool is_icmp6(const struct rs_packet *p)
{
	return p->src.family == RS_AF_IP6 && p->proto == IPPROTO_ICMPV6;
}

static bool has_flow(const struct rs_packet *p)
{
	return p->ct_state & (RS_CT_NEW | RS_CT_ESTABLISHED | RS_CT_RELATED);
}

/* An error about the flow; what is related otherwise is what a helper expected. */
static bool is_error(const struct rs_packet *p)
{
	return (p->ct_state & RS_CT_RELATED) &&
	       (p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6);
}

static const struct rs_addr *client(const struct rs_packet *p)
{
	return &p->orig.src;
}

static const struct rs_addr *server(const struct rs_packet *p)
{
	return &p->reply.src;
}

/* ---- what the maps say ----------------------------------------------------------------------- */

static uint32_t flags_of(struct judge *j, const struct rs_addr *a)
{
	struct rs_bpf_end e;

	return mset_end(&j->look, a, &e) ? e.flags : 0;
}

static bool is_free(struct judge *j, const struct rs_addr *a)
{
	return flags_of(j, a) & RS_BPF_END_FREE;
}

static bool port_in(const struct rs_bpf_runs *r, uint16_t port)
{
	for (unsigned int i = 0; i < RS_BPF_RUNS && i < r->n && r->n != RS_BPF_RUNS_MORE; i++)
		if (r->lo[i] <= port && port <= r->hi[i])
			return true;
	return false;
}

static bool profile_allows(struct judge *j, uint32_t profile)
{
	const struct rs_packet *p = j->p;
	bool ping = p->ct_proto == IPPROTO_ICMP || p->ct_proto == IPPROTO_ICMPV6;
	uint16_t port = ping ? 0 : p->reply.sport;
	struct rs_bpf_runs r = { 0 };
	uint32_t says = 0;

	if (profile == RS_BPF_PROFILE_ALLOW || profile == RS_BPF_PROFILE_DENY || !profile)
		return profile == RS_BPF_PROFILE_ALLOW;
	if (mset_runs(&j->look, profile, p->ct_proto, &r)) {
		if (port_in(&r, port))
			return true;
		if (r.n == RS_BPF_RUNS_MORE)
			says = mset_port(&j->look, profile, p->ct_proto, port);
	}
	if (says)
		return says == RS_BPF_PORT_ALLOW;
	return mset_runs(&j->look, profile, 0, &r) && port_in(&r, port);
}

/* The answer of a group about its peer: by the peer's class, else by the range that its address is
 * in, else what holds for all. */
static bool group_allows(struct judge *j, uint32_t dir, uint32_t group, const struct rs_addr *peer)
{
	struct rs_bpf_end e;
	uint32_t profile = 0, range;

	if (mset_end(&j->look, peer, &e) && (e.flags & RS_BPF_END_CLASS))
		profile = mset_cell(&j->look, dir, group, e.cls);
	if (!profile) {
		range = mset_prefix(&j->look, MSET_RANGES, peer);
		profile = range ? mset_cell(&j->look, dir, group, range) : 0;
	}
	if (!profile)
		profile = mset_cell(&j->look, dir, group, RS_BPF_DEFAULT);
	return profile_allows(j, profile);
}

/* ---- the guard ------------------------------------------------------------------------------- */

static bool is_loopback(const struct rs_addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	return a->family == RS_AF_IP4 ? a->b[0] == 127 : !memcmp(a->b, one, sizeof(one));
}

static bool is_quiet(const struct rs_packet *p)
{
	static const uint8_t none[16];
	uint8_t t = p->icmp_type;

	return (t >= 130 && t <= 134) || t == 137 || t == 143 ||
	       !memcmp(p->src.b, none, sizeof(none));
}

static bool link_has(const struct rs_bpf_link *l, const struct rs_addr *a)
{
	struct rs_bpf_addr key = mset_addr(a);

	for (uint32_t i = 0; i < l->n; i++)
		if (!memcmp(&l->addr[i], &key, sizeof(key)))
			return true;
	return false;
}

static const char *guard_pod(struct judge *j)
{
	const struct rs_packet *p = j->p;
	struct rs_bpf_addr src = mset_addr(&p->src);
	struct rs_bpf_link l = { 0 };
	bool known;

	if (is_loopback(&p->dst))
		return spoofed;
	if (has_options(p) && !is_free(j, &p->src))
		return invalid;
	known = mset_link(&j->look, p->iif, &l);
	if (is_icmp6(p)) {
		bool neighbour = p->icmp_type == 135 || p->icmp_type == 136;

		if (is_quiet(p))
			return quiet;
		if (known && neighbour && p->ttl == 255 && !memcmp(&l.ll, &src, sizeof(src)))
			return NULL;
	}
	if (!known)
		return unprogrammed;
	return link_has(&l, &p->src) ? NULL : spoofed;
}

static const char *guard(struct judge *j)
{
	if (from_pod(j))
		return guard_pod(j);
	if (j->p->iif == LOOPBACK_INDEX)
		return NULL;
	return mset_prefix(&j->look, MSET_OWN, &j->p->src) ? spoofed : NULL;
}

/* ---- the judge ------------------------------------------------------------------------------- */

/* Where an end of the packet is a pod that is isolated, or not known. */
static const char *isolated_end(struct judge *j)
{
	if (from_pod(j) && !is_free(j, &j->p->src))
		return invalid;
	return to_pod(j) && !is_free(j, &j->p->dst) ? invalid : NULL;
}

static const char *without_flow(struct judge *j)
{
	const struct rs_packet *p = j->p;
	uint8_t t = p->icmp_type;

	if (is_icmp6(p) && ((t >= 130 && t <= 132) || t == 143) && p->dst.b[0] == 0xff &&
	    p->dst.b[1] == 0x02)
		return NULL;
	return isolated_end(j);
}

/* A flow that conntrack takes for new, and whose packet is no beginning. */
static bool mid_stream(const struct rs_packet *p)
{
	if (!(p->ct_state & (RS_CT_NEW | RS_CT_RELATED)) || is_error(p))
		return false;
	if (p->ct_proto == IPPROTO_TCP)
		return p->proto != IPPROTO_TCP || (p->tcp_flags & 0x17) != 0x02;
	return p->ct_proto == IPPROTO_SCTP && (p->proto != IPPROTO_SCTP || p->sctp_chunk != 1);
}

/* The end is one of ours by its link, and has no group. */
static const char *missing(const struct judge *j, bool of_server)
{
	if (from_pod(j) && j->p->ct_reply == of_server)
		return unprogrammed;
	return to_pod(j) && j->p->ct_reply != of_server ? unprogrammed : NULL;
}

static const char *halves(struct judge *j, uint32_t out, uint32_t in)
{
	const struct rs_packet *p = j->p;
	const char *why;

	if (out && !group_allows(j, OUT, out, server(p)))
		return egress;
	why = out ? NULL : missing(j, false);
	if (why)
		return why;
	if (in)
		return group_allows(j, IN, in, client(p)) ? NULL : ingress;
	if (out)
		return missing(j, true);
	return from_pod(j) || to_pod(j) ? unprogrammed : NULL;
}

static const char *judge_tuple(struct judge *j)
{
	const struct rs_packet *p = j->p;
	struct rs_bpf_end c, s;
	const char *why;

	if (is_icmp6(p) && p->ttl == 255 && p->icmp_type >= 133 && p->icmp_type <= 137)
		return NULL;
	if (!has_flow(p))
		return without_flow(j);
	why = mid_stream(p) ? isolated_end(j) : NULL;
	if (why)
		return why;
	mset_end(&j->look, client(p), &c);
	if ((c.flags & RS_BPF_END_LOCAL) && same(client(p), server(p)))
		return NULL;
	mset_end(&j->look, server(p), &s);
	return halves(j, c.out_group, s.in_group);
}

/* An error that a pod sends about a flow of which its source is no end. */
static bool forged_error(struct judge *j)
{
	const struct rs_packet *p = j->p;

	if (!is_error(p) || (p->iif && !from_pod(j)))
		return false;
	return !(flags_of(j, &p->src) & RS_BPF_END_LOCAL) ||
	       (!same(&p->src, client(p)) && !same(&p->src, server(p)));
}

static const char *judge_flow(struct judge *j)
{
	return forged_error(j) ? invalid : judge_tuple(j);
}

/* IPv4 multicast that the node routes comes without the link that it came by. */
static bool routed_multicast(struct judge *j)
{
	const struct rs_addr *d = &j->p->dst;
	struct rs_bpf_end e;

	if (d->family != RS_AF_IP4 || (d->b[0] & 0xf0) != 0xe0)
		return false;
	mset_end(&j->look, &j->p->src, &e);
	return e.out_group || (to_pod(j) && (d->b[0] != 0xe0 || d->b[1] || d->b[2]));
}

static const char *own_packet(struct judge *j)
{
	const struct rs_packet *p = j->p;
	struct rs_bpf_end e;

	if (to_pod(j) && has_options(p) && !is_free(j, &p->dst))
		return invalid;
	if (!routed_multicast(j))
		return NULL;
	mset_end(&j->look, &p->src, &e);
	if (!has_flow(p) && !(e.flags & RS_BPF_END_FREE) && e.out_group)
		return invalid;
	return judge_flow(j);
}

static const char *to_node(struct judge *j)
{
	const struct rs_packet *p = j->p;
	bool expected = (p->ct_state & RS_CT_RELATED) && !is_error(p);

	if (!from_pod(j))
		return NULL;
	if (forged_error(j))
		return invalid;
	if (has_flow(p) && p->ct_reply && !expected)
		return NULL;
	return judge_flow(j);
}

/* ---- a walk ---------------------------------------------------------------------------------- */

static const char *at_hook(struct judge *j, enum mset_hook hook)
{
	if (hook == MSET_GUARD)
		return guard(j);
	if (hook == MSET_TO_NODE)
		return to_node(j);
	return j->p->iif ? judge_flow(j) : own_packet(j);
}

/* -EAGAIN: the epoch turned meanwhile. */
static int walk_once(const struct mset_place *set, enum mset_hook hook, const struct rs_packet *p,
		     struct rs_mapwalk *out)
{
	struct rs_bpf_cfg cfg = { 0 }, after = { 0 };
	struct judge j = { .look = { .set = set, .out = out }, .p = p };

	out->n_found = 0;
	j.look.rc = mset_read_cfg(set, &cfg);
	j.look.epoch = cfg.epoch;
	j.look.link_group = cfg.link_group;
	out->generation = cfg.generation[cfg.epoch & 1];
	if (!j.look.rc)
		out->reason = at_hook(&j, hook);
	if (!j.look.rc)
		j.look.rc = mset_read_cfg(set, &after);
	if (!j.look.rc && after.epoch != cfg.epoch)
		j.look.rc = -EAGAIN;
	return j.look.rc;
}

static int walk_set(const struct mset_place *set, enum mset_hook hook, const struct rs_packet *p,
		    struct rs_mapwalk *out, struct rs_err *err)
{
	static const char *const names[] = { "rs_nf_guard", "rs_nf_forwarded", "rs_nf_to_node" };
	int rc = -EAGAIN;

	memset(out, 0, sizeof(*out));
	snprintf(out->program, sizeof(out->program), "%s", names[hook]);
	out->attached = set->linked[hook][p->src.family == RS_AF_IP6];
	for (int i = 0; out->attached && i < TRIES && rc == -EAGAIN; i++)
		rc = walk_once(set, hook, p, out);
	if (out->attached && rc)
		return rs_err_sys(err, -rc, "read the maps");
	out->accept = !out->reason;
	return 0;
}

int rs_mapset_walk(const struct rs_mapset *m, enum rs_hook hook, const struct rs_packet *p,
		   struct rs_mapwalk *out, struct rs_err *err)
{
	enum mset_hook at = hook == RS_HOOK_PREROUTING ? MSET_GUARD
			    : hook == RS_HOOK_INPUT    ? MSET_TO_NODE
						       : MSET_FORWARDED;
	int rc = 0;

	if (at == MSET_FORWARDED && hook != RS_HOOK_POSTROUTING)
		return rs_err_set(err, EINVAL, "no program stands at this hook");
	/* Each set judges: what one of them drops is dropped. */
	for (size_t i = 0; !rc && i < m->n; i++) {
		rc = walk_set(&m->place[i], at, p, out, err);
		if (!rc && !out->accept)
			break;
	}
	return rc;
}
