// SPDX-License-Identifier: Apache-2.0
/* routes.c - unreachable routes for this node's pod ranges; a pod's own host route is longer and wins. */
#include "agent/agent.h"

#include <errno.h>
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
	return remove_stale(nl, NULL, 0, err);
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

/* A dry run leaves the kernel alone. */
void rs_routes_sync(struct rs_agent *a)
{
	rs_auto_err err = { 0 };
	struct rs_world w;

	if (a->dp->ops == &rs_dp_null)
		return;
	rs_reconcile_world(a->rec, &w);
	rs_conditions_free(&a->routes);
	memset(&a->routes, 0, sizeof(a->routes));
	if (!w.n_node_ranges)
		rs_conditions_add(
			&a->routes, "NoNodeRanges",
			"the pod ranges of this node are not known (--node-ranges, or a "
			"Node object): sources inside them are not checked on other links, "
			"and they have no unreachable route");
	add_missing(a, w.node_ranges, w.n_node_ranges);
	/* Before the first sync a Node object may only not be known yet. */
	if (rs_reconcile_synced(a->rec) &&
	    remove_stale(rs_host_netlink(a->host_real), w.node_ranges, w.n_node_ranges, &err) < 0)
		complain(a, &err);
}
