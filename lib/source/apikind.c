// SPDX-License-Identifier: Apache-2.0
/* apikind.c - one kind of objects: when it is listed, when it is watched, how long to wait. */
#include "source/api.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/base.h"

/* A watch that has lived so long was no failure. */
#define SETTLE_MS 5000
#define WASTED_MAX 3 /* watches in a row that told nothing: the version may be stale */
#define GRACE_S 30   /* a watch may be that much longer than was asked for */

struct where {
	const char *plural;
	const char *group; /* for RBAC */
	const char *path;
	const char *selector;
};

static const struct where kinds[RS_KINDS] = {
	[RS_KIND_NAMESPACE] = { "namespaces", "", "/api/v1/namespaces", "" },
	[RS_KIND_POD] = { "pods", "", "/api/v1/pods",
			  "&fieldSelector=status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed" },
	[RS_KIND_POLICY] = { "networkpolicies", "networking.k8s.io",
			     "/apis/networking.k8s.io/v1/networkpolicies", "" },
	[RS_KIND_NODE] = { "nodes", "", "/api/v1/nodes", "" },
};

const char *rs_apikind_plural(enum rs_kind kind)
{
	return kinds[kind].plural;
}

const char *rs_apikind_path(enum rs_kind kind)
{
	return kinds[kind].path;
}

void rs_api_blame(struct rs_err *err, int status, enum rs_kind kind, const char *what)
{
	rs_err_wrap(err, "%s %s", what, kinds[kind].plural);
	if (status == 401)
		rs_err_hint(err, "The server does not take our token or certificate.");
	if (status == 403)
		rs_err_hint(err,
			    "A ClusterRole of ours must have the verbs list and watch on %s of "
			    "the API group \"%s\".",
			    kinds[kind].plural, kinds[kind].group);
}

/* ---- its end --------------------------------------------------------------------------------- */

static void drop_request(struct rs_apikind *k)
{
	k->req = NULL;
	rs_split_free(k->split);
	k->split = NULL;
	k->good = false;
}

static void wait_ms(struct rs_apikind *k, int64_t ms)
{
	k->phase = RS_API_IDLE;
	k->due_ms = rs_mono_ms() + ms;
}

void rs_apikind_alive(struct rs_apikind *k)
{
	k->heard_ms = rs_mono_ms();
	k->fails = k->wasted = 0;
	rs_err_clear(&k->failure);
}

/* From 3/4 to 5/4 of a time, so that a thousand nodes do not come back in one moment. */
static int64_t jitter(int64_t ms)
{
	return ms - ms / 4 + (int64_t)arc4random_uniform((uint32_t)(ms / 2 + 1));
}

static void fail(struct rs_apikind *k, const struct rs_http_result *r, struct rs_err *err,
		 const char *what)
{
	int64_t ms = k->api->cfg.backoff_ms, max = k->api->cfg.backoff_max_ms;
	unsigned int i;

	k->n.failures++;
	for (i = 0; i < k->fails && ms < max; i++)
		ms *= 2;
	k->fails++;
	ms = jitter(ms < max ? ms : max);
	if (ms > max)
		ms = max;
	if (r && ms < (int64_t)r->retry_after_s * 1000)
		ms = (int64_t)r->retry_after_s * 1000;
	rs_api_blame(err, r ? r->status : 0, k->kind, what);
	rs_err_move(&k->failure, err);
	rs_apitake_drop(k);
	wait_ms(k, ms);
}

static void list_done(struct rs_apikind *k, const struct rs_http_result *r, struct rs_err *err)
{
	if (!err->num)
		rs_split_end(k->split, err);
	drop_request(k);
	k->relist = true;
	if (err->num) {
		/* The next page of a list that is no more: all of it again. */
		free(k->cont);
		k->cont = NULL;
		fail(k, r, err, "list");
		return;
	}
	wait_ms(k, 0);
	if (k->cont)
		return;
	k->relist = k->list_next = false;
	rs_apitake_finish(k, k->list_rv);
}

/* Ended before it had told the whole list. */
static void initial_done(struct rs_apikind *k, const struct rs_http_result *r, struct rs_err *err)
{
	bool unknown = !err->num || err->num == EOPNOTSUPP || err->num == ETIMEDOUT;

	drop_request(k);
	k->relist = true;
	if (r->status == 400 || r->status == 422)
		k->no_stream = true;
	k->list_next = r->status == 200 && unknown;
	if (!k->no_stream && !k->list_next) {
		fail(k, r, err, "watch");
		return;
	}
	rs_apitake_drop(k);
	wait_ms(k, 0);
}

/* An answer that said nothing and ended. */
static void wasted(struct rs_apikind *k, const struct rs_http_result *r, struct rs_err *err)
{
	if (!err->num)
		rs_err_set(err, EPROTO, "the server ends the stream without a word");
	if (++k->wasted >= WASTED_MAX) {
		k->relist = true;
		k->wasted = 0;
	}
	fail(k, r, err, "watch");
}

static void watch_done(struct rs_apikind *k, const struct rs_http_result *r, struct rs_err *err)
{
	int64_t lived = rs_mono_ms() - k->opened_ms;
	bool told = k->n.events != k->taken_at_open;
	/* Silence may be as it should: the next watch tells. */
	bool silent = err->num == ETIMEDOUT && r->status == 200;

	if (!err->num)
		rs_split_end(k->split, err);
	drop_request(k);
	k->relist = err->num == ESTALE;
	if (!err->num && lived >= k->watch_s * 500)
		k->heard_ms = rs_mono_ms();
	if (silent)
		k->wasted = 0;
	if (silent || (!err->num && (told || lived >= 1000)))
		wait_ms(k, 0);
	else if (r->status == 200 && !told && lived < 1000)
		wasted(k, r, err);
	else
		fail(k, r, err, "watch");
}

static void on_done(void *arg, const struct rs_http_result *r, const struct rs_err *why)
{
	struct rs_apikind *k = arg;
	rs_auto_err err = { 0 };

	if (why) {
		rs_err_set(&err, why->num, "%s", rs_err_str(why));
		if (why->hint)
			rs_err_hint(&err, "%s", why->hint);
	}
	switch (k->phase) {
	case RS_API_LIST:
		list_done(k, r, &err);
		break;
	case RS_API_INITIAL:
		initial_done(k, r, &err);
		break;
	default:
		watch_done(k, r, &err);
		break;
	}
}

/* ---- its bytes ------------------------------------------------------------------------------- */

static void on_head(void *arg)
{
	struct rs_apikind *k = arg;

	k->good = true;
}

static int on_body(void *arg, const char *data, size_t len, struct rs_err *err)
{
	struct rs_apikind *k = arg;

	return rs_split_feed(k->split, data, len, err);
}

static int on_part(void *arg, enum rs_split_part part, const char *text, size_t len,
		   struct rs_err *err)
{
	struct rs_apikind *k = arg;

	if (k->phase != RS_API_LIST)
		return rs_apitake_event(k, text, len, err);
	if (part == RS_SPLIT_REST)
		return rs_apitake_rest(k->kind, text, len, &k->list_rv, &k->cont, err);
	return rs_apitake_item(k, text, len, err);
}

/* ---- its beginning --------------------------------------------------------------------------- */

static const struct rs_http_ops http_ops = { .head = on_head, .body = on_body, .done = on_done };

static void begin(struct rs_apikind *k, const char *path, int64_t idle_ms, int64_t max_ms)
{
	bool list = k->phase == RS_API_LIST;
	rs_auto_err err = { 0 };

	k->opened_ms = rs_mono_ms();
	k->taken_at_open = k->n.events;
	k->split = rs_split_new(list ? RS_SPLIT_LIST : RS_SPLIT_STREAM, on_part, k);
	if (rs_http_get(k->api->http, path, idle_ms, max_ms, &http_ops, k, &k->req, &err) < 0) {
		drop_request(k);
		fail(k, NULL, &err, list ? "list" : "watch");
	}
}

static void begin_list(struct rs_apikind *k)
{
	rs_autofree char *cont = rs_api_escape(k->cont);
	rs_autofree char *path =
		rs_asprintf("%s?limit=%d%s%s%s", kinds[k->kind].path, k->api->cfg.page_size,
			    kinds[k->kind].selector, cont ? "&continue=" : "", cont ? cont : "");

	if (!k->cont) {
		k->n.lists++;
		rs_apitake_begin(k);
	}
	k->phase = RS_API_LIST;
	begin(k, path, k->api->cfg.answer_ms, 0);
}

static int64_t watch_length(struct rs_apikind *k)
{
	k->watch_s = k->api->cfg.watch_s;
	if (!k->watch_s)
		k->watch_s = 300 + (int)arc4random_uniform(301);
	return (k->watch_s + GRACE_S) * (int64_t)1000;
}

static void begin_initial(struct rs_apikind *k)
{
	int64_t max_ms = watch_length(k);
	rs_autofree char *path =
		rs_asprintf("%s?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
			    "&allowWatchBookmarks=true&timeoutSeconds=%d%s",
			    kinds[k->kind].path, k->watch_s, kinds[k->kind].selector);

	k->n.lists++;
	rs_apitake_begin(k);
	k->phase = RS_API_INITIAL;
	begin(k, path, k->api->cfg.answer_ms, max_ms);
}

static void begin_watch(struct rs_apikind *k)
{
	int64_t max_ms = watch_length(k);
	rs_autofree char *rv = rs_api_escape(k->rv);
	rs_autofree char *path = rs_asprintf(
		"%s?watch=1&resourceVersion=%s&allowWatchBookmarks=true&timeoutSeconds=%d%s",
		kinds[k->kind].path, rv, k->watch_s, kinds[k->kind].selector);

	k->n.watches++;
	k->phase = RS_API_WATCH;
	begin(k, path, k->api->cfg.idle_ms, max_ms);
}

/* ---- the front ------------------------------------------------------------------------------- */

void rs_apikind_init(struct rs_apikind *k, struct rs_api *api, enum rs_kind kind)
{
	k->api = api;
	k->kind = kind;
	k->relist = true;
	k->mark = 1;
}

void rs_apikind_clear(struct rs_apikind *k)
{
	rs_split_free(k->split);
	rs_apitake_drop(k);
	free(k->rv);
	free(k->list_rv);
	free(k->cont);
	rs_err_clear(&k->failure);
}

void rs_apikind_run(struct rs_apikind *k, int64_t now)
{
	if (k->phase == RS_API_WATCH && k->good) {
		/* It is answered again. How long to wait next time is another matter. */
		if (!k->wasted)
			rs_err_clear(&k->failure);
		if (k->fails && now - k->opened_ms >= SETTLE_MS) {
			k->fails = k->wasted = 0;
			rs_err_clear(&k->failure);
		}
	}
	if (k->phase != RS_API_IDLE || now < k->due_ms)
		return;
	if (!k->relist)
		begin_watch(k);
	else if (k->no_stream || k->list_next || k->cont)
		begin_list(k);
	else
		begin_initial(k);
}

int64_t rs_apikind_due(const struct rs_apikind *k)
{
	if (k->phase == RS_API_IDLE)
		return k->due_ms;
	if (k->phase == RS_API_WATCH && k->good && k->fails)
		return k->opened_ms + SETTLE_MS;
	return -1;
}

void rs_apikind_resync(struct rs_apikind *k)
{
	if (k->phase == RS_API_LIST || k->phase == RS_API_INITIAL)
		return;
	if (k->req)
		rs_http_cancel(k->api->http, k->req);
	drop_request(k);
	k->relist = true;
	wait_ms(k,
		k->phase == RS_API_IDLE && k->due_ms > rs_mono_ms() ? k->due_ms - rs_mono_ms() : 0);
}
