// SPDX-License-Identifier: Apache-2.0
/* routes.c - unreachable routes for this node's pod ranges; a pod's own host route is longer and
 * wins. Routes to other nodes: peers.c. */
#include "agent/agent.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool listed(const struct rs_cidr *v, size_t n, const struct rs_cidr *c)
{
	for (size_t i = 0; i < n; i++)
		if (!rs_cidr_cmp(&v[i], c))
			return true;
	return false;
}

static int remove_others(struct rs_nl *nl, int family, const struct rs_cidr *keep, size_t n_keep,
			 struct rs_err *err)
{
	rs_autofree struct rs_route *v = NULL;
	size_t n = 0;
	int rc = rs_route_list(nl, family, true, &v, &n, err);

	for (size_t i = 0; rc == 0 && i < n; i++)
		if (v[i].unreachable && !listed(keep, n_keep, &v[i].dst))
			rc = rs_route_del(nl, &v[i], err);
	return rc;
}

static int remove_stale(struct rs_nl *nl, const struct rs_cidr *keep, size_t n, struct rs_err *err)
{
	int rc = remove_others(nl, RS_AF_IP4, keep, n, err);

	return rc < 0 ? rc : remove_others(nl, RS_AF_IP6, keep, n, err);
}

int rs_routes_remove(struct rs_nl *nl, struct rs_err *err)
{
	int rc = remove_stale(nl, NULL, 0, err);

	return rc < 0 ? rc : rs_peers_remove(nl, err);
}

static void complain(struct rs_agent *a, const struct rs_err *err)
{
	rs_conditions_add(&a->routes, "RouteMissing", "%s", rs_err_str(err));
}

static void add_missing(struct rs_agent *a, const struct rs_cidr *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct rs_route r = { .dst = v[i], .unreachable = true };
		char text[RS_CIDR_STRLEN];
		rs_auto_err err = { 0 };

		if (rs_route_add(rs_host_netlink(a->host_real), &r, true, &err) < 0) {
			rs_err_wrap(&err, "unreachable route for %s", rs_cidr_str(&v[i], text));
			complain(a, &err);
		}
	}
}

/* The first address of this node inside one of its pod ranges: 1, 0 when there is none. */
static int own_inside(struct rs_agent *a, const struct rs_cidr *v, size_t n, char *text,
		      size_t size, struct rs_err *err)
{
	rs_autofree struct rs_link_addr *own = NULL;
	char range[RS_CIDR_STRLEN], addr[RS_ADDR_STRLEN];
	size_t count = 0;
	int rc = rs_addr_list(rs_host_netlink(a->host_real), 0, &own, &count, err);

	if (rc < 0)
		return rs_err_wrap(err, "read this node's addresses");
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < count; j++)
			if (rs_cidr_contains(&v[i], &own[j].addr)) {
				snprintf(text, size,
					 "pod range %s of this node holds the node's own "
					 "address %s",
					 rs_cidr_str(&v[i], range),
					 rs_addr_str(&own[j].addr, addr));
				return 1;
			}
	return 0;
}

/*
 * The guard drops what comes with a pod's address from elsewhere: with the node's own network as
 * pod range nobody on it would reach the node any more. Where pods live the node goes on, and says
 * so.
 */
int rs_routes_check(struct rs_agent *a, struct rs_err *err)
{
	char text[160];
	size_t n_pods;
	int rc;

	rs_registry_list(a->reg, &n_pods);
	if (n_pods)
		return 0;
	rc = own_inside(a, a->opt.node_ranges.v, a->opt.node_ranges.n, text, sizeof(text), err);
	if (rc <= 0)
		return rc;
	rs_err_set(err, EADDRINUSE, "%s", text);
	return rs_err_hint(err,
			   "choose other --node-ranges, or remove the address if it is left over");
}

static void complain_of_own(struct rs_agent *a, const struct rs_world *w)
{
	char text[160];

	if (own_inside(a, w->node_ranges, w->n_node_ranges, text, sizeof(text), NULL) > 0)
		rs_conditions_add(&a->routes, "NodeAddressInRange",
				  "%s: what comes from that network is dropped as forged", text);
}

/* A dry run leaves the kernel alone. */
void rs_routes_sync(struct rs_agent *a, bool look)
{
	uint64_t serial = rs_reconcile_node_ranges(a->rec)->serial;

	rs_auto_err err = { 0 };
	struct rs_world w;

	if (a->dp->ops == &rs_dp_null || (!look && a->routes_done && a->routes_serial == serial))
		return;
	a->routes_serial = serial;
	a->routes_done = rs_reconcile_synced(a->rec);
	rs_reconcile_ranges(a->rec, &w);
	rs_conditions_free(&a->routes);
	memset(&a->routes, 0, sizeof(a->routes));
	if (!w.n_node_ranges)
		rs_conditions_add(
			&a->routes, "NoNodeRanges",
			"the pod ranges of this node are not known (--node-ranges, or "
			"spec.podCIDRs of the Node object %s): sources inside them are not "
			"checked on other links, and they have no unreachable route",
			a->opt.node_name);
	complain_of_own(a, &w);
	add_missing(a, w.node_ranges, w.n_node_ranges);
	/* Before the first sync a Node object may only not be known yet. */
	if (rs_reconcile_synced(a->rec) &&
	    remove_stale(rs_host_netlink(a->host_real), w.node_ranges, w.n_node_ranges, &err) < 0)
		complain(a, &err);
	rs_peers_sync(a);
	rs_masquerade_sync(a);
}
