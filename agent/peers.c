// SPDX-License-Identifier: Apache-2.0
/*
 * peers.c - a route to the pod range of every other node, by that node's InternalIP.
 *
 * Only over a link that both are on: behind a router the next hop would not know the range. Ours
 * are told from pods' host routes by their next hop, and from everybody else's by their protocol
 * number; a route of somebody else to the same range stays and is a condition.
 */
#include "agent/agent.h"

#include <errno.h>
#include <string.h>

#define SHOWN 32 /* conditions; more are counted */

struct sync {
	struct rs_agent *a;
	struct rs_nl *nl;
	const struct rs_node_ranges *nodes;
	/* Of one family: */
	struct rs_route *all; /* ours in front, by range, then the others */
	size_t n_all, n_ours;
	const struct rs_node_range **peers; /* by range */
	size_t n_peers;
	struct rs_link_addr *own; /* addresses of this machine */
	size_t n_own;
	size_t shown, hidden;
};

static void complain(struct sync *s, const char *type, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void complain(struct sync *s, const char *type, const char *fmt, ...)
{
	rs_autofree char *text = NULL;
	va_list ap;

	if (s->shown == SHOWN) {
		s->hidden++;
		return;
	}
	va_start(ap, fmt);
	text = rs_vasprintf(fmt, ap);
	va_end(ap);
	rs_conditions_add(&s->a->routes, type, "%s", text);
	s->shown++;
}

static bool ours(const struct rs_route *r)
{
	return r->protocol == RS_NL_ROUTE_PROTO && r->via.family && !r->unreachable;
}

/* The longest route to an address, the one of least metric among equals. Not by way of a route of
 * ours: a range must not prove itself. */
static const struct rs_route *route_to(const struct sync *s, const struct rs_addr *to)
{
	const struct rs_route *best = NULL;

	for (size_t i = s->n_ours; i < s->n_all; i++) {
		const struct rs_route *r = &s->all[i];

		if (!rs_cidr_contains(&r->dst, to))
			continue;
		if (!best || r->dst.len > best->dst.len ||
		    (r->dst.len == best->dst.len && r->priority < best->priority))
			best = r;
	}
	return best;
}

static const struct rs_link_addr *own_inside(const struct sync *s, const struct rs_cidr *c)
{
	for (size_t i = 0; i < s->n_own; i++)
		if (rs_cidr_contains(c, &s->own[i].addr))
			return &s->own[i];
	return NULL;
}

static bool is_own(const struct sync *s, const struct rs_addr *a)
{
	for (size_t i = 0; i < s->n_own; i++)
		if (!rs_addr_cmp(&s->own[i].addr, a))
			return true;
	return false;
}

/* Over which link a node is reached; 0 and a condition when none of ours leads straight there. */
static uint32_t link_to(struct sync *s, const struct rs_node_range *r, const char *range)
{
	const struct rs_link_addr *held = own_inside(s, &r->cidr);
	const struct rs_route *how;
	char text[RS_ADDR_STRLEN];

	if (held) {
		complain(s, "PodCIDRRefused",
			 "node %s: podCIDR %s is not used: it holds the address %s of this node "
			 "(%s)",
			 r->node, range, rs_addr_str(&held->addr, text), s->a->opt.node_name);
		return 0;
	}
	if (!r->via.family) {
		complain(s, "NodeUnreachable",
			 "node %s has no InternalIP of the family of its podCIDR %s: no route",
			 r->node, range);
		return 0;
	}
	rs_addr_str(&r->via, text);
	if (is_own(s, &r->via)) {
		complain(s, "NodeUnreachable",
			 "node %s: its InternalIP %s is an address of this node (%s): no route to "
			 "%s",
			 r->node, text, s->a->opt.node_name, range);
		return 0;
	}
	how = route_to(s, &r->via);
	if (!how || how->unreachable || how->via.family || !how->ifindex) {
		complain(s, "NodeUnreachable",
			 "node %s: its InternalIP %s is not on a link of this node: no route to %s "
			 "(tunnels are not built)",
			 r->node, text, range);
		return 0;
	}
	return how->ifindex;
}

static int by_range(const void *a, const void *b)
{
	const struct rs_route *x = a, *y = b;

	if (ours(x) != ours(y))
		return ours(x) ? -1 : 1;
	return rs_cidr_cmp(&x->dst, &y->dst);
}

static const struct rs_route *ours_to(const struct sync *s, const struct rs_cidr *range)
{
	struct rs_route key = { .dst = *range,
				.via = { .family = range->addr.family },
				.protocol = RS_NL_ROUTE_PROTO };

	return s->n_ours ? bsearch(&key, s->all, s->n_ours, sizeof(*s->all), by_range) : NULL;
}

static void set_route(struct sync *s, const struct rs_node_range *r)
{
	struct rs_route want = { .dst = r->cidr, .via = r->via };
	char range[RS_CIDR_STRLEN];
	rs_auto_err err = { 0 };
	const struct rs_route *have;

	rs_cidr_str(&r->cidr, range);
	want.ifindex = link_to(s, r, range);
	if (!want.ifindex)
		return;
	have = ours_to(s, &want.dst);
	if (have && !rs_addr_cmp(&have->via, &want.via) && have->ifindex == want.ifindex)
		return;
	if (rs_route_add(s->nl, &want, have, &err) == 0) {
		rs_log(RS_LOG_INFO, have ? "route changed" : "route added", "range", range, "node",
		       r->node, NULL);
		return;
	}
	if (err.num == EEXIST)
		complain(s, "RouteTaken",
			 "node %s: another program has a route to %s: ours is not set", r->node,
			 range);
	else
		complain(s, "RouteMissing", "node %s: %s", r->node, rs_err_str(&err));
}

static int by_peer(const void *a, const void *b)
{
	const struct rs_node_range *const *x = a, *const *y = b;

	return rs_cidr_cmp(&(*x)->cidr, &(*y)->cidr);
}

/* Does a route of ours lead to a range that counts still, and may be reached so? */
static bool wanted(const struct sync *s, const struct rs_route *r)
{
	struct rs_node_range key = { .cidr = r->dst };
	const struct rs_node_range *at = &key, *const * found;

	found = s->n_peers ? bsearch(&at, s->peers, s->n_peers, sizeof(at), by_peer) : NULL;
	return found && !rs_addr_cmp(&(*found)->via, &r->via) && !own_inside(s, &r->dst);
}

static void remove_stale(struct sync *s)
{
	char range[RS_CIDR_STRLEN];

	for (size_t i = 0; i < s->n_ours; i++) {
		rs_auto_err err = { 0 };

		if (wanted(s, &s->all[i]))
			continue;
		rs_cidr_str(&s->all[i].dst, range);
		if (rs_route_del(s->nl, &s->all[i], &err) < 0)
			complain(s, "RouteMissing", "%s", rs_err_str(&err));
		else
			rs_log(RS_LOG_INFO, "route removed", "range", range, NULL);
		s->all[i].via = (struct rs_addr){ .family = s->all[i].via.family };
	}
}

static void gather_peers(struct sync *s, int family)
{
	s->n_peers = 0;
	for (size_t i = 0; s->a->opt.node_routes && i < s->nodes->n; i++)
		if (!s->nodes->v[i].own && s->nodes->v[i].cidr.addr.family == family)
			s->peers[s->n_peers++] = &s->nodes->v[i];
	if (s->n_peers)
		qsort(s->peers, s->n_peers, sizeof(*s->peers), by_peer);
}

static int sync_family(struct sync *s, int family, struct rs_err *err)
{
	int rc = rs_route_list(s->nl, family, false, &s->all, &s->n_all, err);

	if (rc < 0)
		return rc;
	if (s->n_all)
		qsort(s->all, s->n_all, sizeof(*s->all), by_range);
	for (s->n_ours = 0; s->n_ours < s->n_all && ours(&s->all[s->n_ours]);)
		s->n_ours++;
	gather_peers(s, family);
	/* Before the first sync a Node object may only not be known yet. */
	if (rs_reconcile_synced(s->a->rec))
		remove_stale(s);
	for (size_t i = 0; i < s->n_peers; i++)
		set_route(s, s->peers[i]);
	free(s->all);
	s->all = NULL;
	return 0;
}

void rs_peers_sync(struct rs_agent *a)
{
	struct sync s = { .a = a, .nl = rs_host_netlink(a->host_real) };
	rs_auto_err err = { 0 };
	int rc;

	s.nodes = rs_reconcile_node_ranges(a->rec);
	for (size_t i = 0; i < s.nodes->refused.n; i++)
		rs_conditions_copy(&a->routes, &s.nodes->refused.v[i]);
	s.peers = rs_new0(const struct rs_node_range *, s.nodes->n);
	rc = rs_addr_list(s.nl, 0, &s.own, &s.n_own, &err);
	if (rc == 0)
		rc = sync_family(&s, RS_AF_IP4, &err);
	if (rc == 0)
		rc = sync_family(&s, RS_AF_IP6, &err);
	if (rc < 0)
		complain(&s, "RouteMissing", "routes to other nodes: %s", rs_err_str(&err));
	if (s.hidden)
		rs_conditions_add(&a->routes, "NodeUnreachable", "and %zu more of the kind",
				  s.hidden);
	free(s.own);
	free(s.peers);
}

int rs_peers_remove(struct rs_nl *nl, struct rs_err *err)
{
	static const int families[] = { RS_AF_IP4, RS_AF_IP6 };
	int rc = 0;

	for (size_t f = 0; rc == 0 && f < RS_ARRAY_SIZE(families); f++) {
		rs_autofree struct rs_route *v = NULL;
		size_t n = 0;

		rc = rs_route_list(nl, families[f], true, &v, &n, err);
		for (size_t i = 0; rc == 0 && i < n; i++)
			if (ours(&v[i]))
				rc = rs_route_del(nl, &v[i], err);
	}
	return rc;
}
