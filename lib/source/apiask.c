// SPDX-License-Identifier: Apache-2.0
/*
 * apiask.c - asks the server whether a namespace is being deleted, by consistent LIST: before the
 * end of a policy of it takes effect, and only where a pod of this node is in it.
 *
 * One question a namespace is on its way. Policies whose end was told behind its beginning wait for
 * the next: only that one is surely later than what deleted them.
 */
#include "source/api.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "object/store.h"

#define AT_ONCE 16
#define AGAIN_MS 100	  /* after a failure; doubles */
#define AGAIN_MAX_MS 3200 /* up to this */
#define TICK_MS 100	  /* how soon somebody is seen to have waited long enough */

struct rs_apiask {
	struct rs_apiask *next;
	struct rs_api *api;
	char *ns;
	int64_t due_ms;
	int again_ms;
	struct rs_http_req *req; /* NULL: none is on its way */
	struct rs_split *split;
	struct rs_store *got;
	struct rs_apinames odd;
	char *rv, *cont;
};

static void drop_answer(struct rs_apiask *a)
{
	rs_split_free(a->split);
	rs_store_free(a->got);
	rs_apinames_free(&a->odd);
	free(a->rv);
	free(a->cont);
	a->split = NULL;
	a->got = NULL;
	a->rv = a->cont = NULL;
}

static void again(struct rs_apiask *a)
{
	drop_answer(a);
	a->due_ms = rs_mono_ms() + a->again_ms;
	a->again_ms = a->again_ms * 2 < AGAIN_MAX_MS ? a->again_ms * 2 : AGAIN_MAX_MS;
}

static void ask_free(struct rs_apiask *a)
{
	drop_answer(a);
	free(a->ns);
	free(a);
}

/* ---- the answer ------------------------------------------------------------------------------ */

static int on_part(void *arg, enum rs_split_part part, const char *text, size_t len,
		   struct rs_err *err)
{
	struct rs_apiask *a = arg;

	if (part == RS_SPLIT_REST)
		return rs_apitake_rest(RS_KIND_NAMESPACE, text, len, &a->rv, &a->cont, err);
	return rs_apitake_one(a->got, RS_KIND_NAMESPACE, text, len, &a->odd, err);
}

static int on_body(void *arg, const char *data, size_t len, struct rs_err *err)
{
	struct rs_apiask *a = arg;

	return rs_split_feed(a->split, data, len, err);
}

static void on_done(void *arg, const struct rs_http_result *r, const struct rs_err *why)
{
	struct rs_apiask *a = arg;
	bool good = !why && r->status == 200 && rs_split_end(a->split, NULL) == 0 && !a->cont;
	const struct rs_namespace *ns = good ? rs_store_namespace(a->got, a->ns) : NULL;

	a->req = NULL;
	/* An object that cannot be read says nothing of itself. */
	if (!good || (!ns && a->odd.v.n)) {
		again(a);
		return;
	}
	rs_apihold_answer(a->api, a->ns, ns);
	a->due_ms = 0;
	a->again_ms = AGAIN_MS;
	drop_answer(a);
}

/* ---- the question ---------------------------------------------------------------------------- */

static const struct rs_http_ops http_ops = { .body = on_body, .done = on_done };

/* Where no pod of ours is in it, nothing can open. */
static bool matters(const struct rs_api *api, const char *ns)
{
	size_t n;
	const struct rs_pod *const *v = rs_store_pods(api->store, &n);

	if (!api->node_name || !api->kinds[RS_KIND_POD].synced)
		return true;
	for (size_t i = 0; i < n; i++)
		if (!strcmp(v[i]->meta.ns, ns) && v[i]->node && !strcmp(v[i]->node, api->node_name))
			return true;
	return false;
}

/* False: nobody waits for it (any more). */
static bool ask(struct rs_apiask *a)
{
	rs_autofree char *ns = rs_api_escape(a->ns);
	rs_autofree char *path = rs_asprintf("%s?fieldSelector=metadata.name%%3D%s",
					     rs_apikind_path(RS_KIND_NAMESPACE), ns);

	if (!rs_apihold_asked(a->api, a->ns))
		return false;
	if (!matters(a->api, a->ns)) {
		rs_apihold_answer(a->api, a->ns, NULL);
		return false;
	}
	a->got = rs_store_new();
	a->split = rs_split_new(RS_SPLIT_LIST, on_part, a);
	if (rs_http_get(a->api->reads, path, a->api->cfg.ask_ms, a->api->cfg.ask_ms, &http_ops, a,
			&a->req, NULL) < 0)
		again(a);
	return true;
}

/* ---- the front ------------------------------------------------------------------------------- */

void rs_apiask_begin(struct rs_api *api, const char *ns)
{
	struct rs_apiask *a;

	for (a = api->asks; a; a = a->next)
		if (!strcmp(a->ns, ns))
			return;
	a = rs_new(struct rs_apiask);
	a->api = api;
	a->ns = rs_strdup(ns);
	a->again_ms = AGAIN_MS;
	a->next = api->asks;
	api->asks = a;
}

void rs_apiask_run(struct rs_api *api, int64_t now)
{
	struct rs_apiask **at = &api->asks, *a;
	int n = 0;

	if (!api->asks)
		return;
	rs_apihold_expire(api, now);
	for (a = api->asks; a; a = a->next)
		n += a->req != NULL;
	while ((a = *at)) {
		if (a->req || now < a->due_ms || n >= AT_ONCE) {
			at = &a->next;
		} else if (ask(a)) {
			n++;
			at = &a->next;
		} else {
			*at = a->next;
			ask_free(a);
		}
	}
}

int64_t rs_apiask_due(const struct rs_api *api)
{
	return api->asks ? rs_mono_ms() + TICK_MS : -1;
}

void rs_apiask_clear(struct rs_api *api)
{
	struct rs_apiask *a;

	while ((a = api->asks)) {
		api->asks = a->next;
		ask_free(a);
	}
}
