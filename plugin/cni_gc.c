// SPDX-License-Identifier: Apache-2.0
/* cni_gc.c - GC: releases every attachment of this network that the runtime no longer lists. */
#include <errno.h>
#include <string.h>

#include "plugin/cni.h"

/* For each attachment: with an agent that hangs, the sum must stay bearable. */
#define DETACH_MS 2000

struct gc {
	struct cni_call *call;
	struct rs_endpoint_store *store;
	struct rs_ipam *ipam;
	int64_t start_s;
	struct rs_vec(struct cni_attachment) stale;
	struct rs_err *err; /* the first failure */
	int rc;
};

static void note(struct gc *g, int rc, struct rs_err *why)
{
	if (g->rc == 0) {
		g->rc = rc;
		rs_err_move(g->err, why);
	} else {
		cni_warn("%s", rs_err_str(why));
	}
}

static int collect(struct rs_endpoint *owned, const char *name, const struct rs_err *why, void *arg)
{
	rs_cleanup(cni_cleanup_endpoint) struct rs_endpoint *e = owned;
	struct gc *g = arg;
	struct cni_attachment *slot;

	if (!e) {
		cni_warn("%s: %s", name, rs_err_str(why));
		return 0;
	}
	if (!e->network || strcmp(e->network, g->call->conf.name) ||
	    cni_config_is_valid_attachment(&g->call->conf, e->container_id, e->ifname))
		return 0;
	/* Younger than the list it is missing from: an ADD that runs beside us. */
	if (e->created_s > g->start_s)
		return 0;
	slot = rs_vec_push(&g->stale);
	slot->container_id = rs_steal_ptr(&e->container_id);
	slot->ifname = rs_steal_ptr(&e->ifname);
	return 0;
}

static void release_stale(struct gc *g)
{
	size_t i;

	for (i = 0; i < g->stale.n; i++) {
		struct cni_release r = {
			.conf = &g->call->conf,
			.store = g->store,
			.ipam = g->ipam,
			.container_id = g->stale.v[i].container_id,
			.ifname = g->stale.v[i].ifname,
			.ask_agent = true,
			.timeout_ms = DETACH_MS,
		};
		rs_auto_err why = { 0 };
		int rc = cni_release(&r, &why);

		if (rc < 0)
			note(g, rc, &why);
	}
}

/* A lease without a record was left by a DEL that died between the two. Asked under the leases'
 * lock: an ADD writes its record before it takes a lease. */
static bool keep_lease(const char *container_id, const char *ifname, void *arg)
{
	rs_cleanup(cni_cleanup_endpoint) struct rs_endpoint *e = NULL;
	struct gc *g = arg;

	if (cni_config_is_valid_attachment(&g->call->conf, container_id, ifname))
		return true;
	return rs_endpoint_load(g->store, container_id, ifname, &e, NULL) != -ENOENT;
}

static void sweep(struct gc *g)
{
	rs_auto_err why = { 0 };
	int rc = rs_ipam_sweep(g->ipam, keep_lease, g, &why);

	if (rc < 0)
		note(g, rc, &why);
}

static void gc_clear(struct gc *g)
{
	size_t i;

	for (i = 0; i < g->stale.n; i++) {
		free(g->stale.v[i].container_id);
		free(g->stale.v[i].ifname);
	}
	rs_vec_free(&g->stale);
	rs_endpoint_store_close(g->store);
	rs_ipam_close(g->ipam);
}

static void collect_all(struct gc *g)
{
	rs_auto_err why = { 0 };
	int rc = rs_endpoint_store_open(g->call->conf.state_dir, &g->store, &why);

	if (rc == 0)
		rc = cni_ipam_open(g->call, &g->ipam, &why);
	if (rc == 0)
		rc = rs_endpoint_each(g->store, collect, g, &why);
	if (rc < 0) {
		note(g, rc, &why);
		return;
	}
	release_stale(g);
	sweep(g);
}

int cni_gc(struct cni_call *c, struct rs_err *err)
{
	rs_cleanup(gc_clear) struct gc g = { .call = c, .err = err, .start_s = rs_now_s() };

	/* Absent and empty differ: nothing is known to be stale, or everything is. */
	if (c->conf.has_attachments)
		collect_all(&g);
	if (c->conf.ipam_type) {
		rs_auto_err why = { 0 };
		int rc = cni_delegate(c, CNI_GC, NULL, &why);

		if (rc < 0)
			note(&g, rc, &why);
	}
	return g.rc;
}
