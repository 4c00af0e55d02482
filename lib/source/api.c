// SPDX-License-Identifier: Apache-2.0
/* api.c - a Kubernetes API server as a source: the seam, and what its kinds share; see api.h. */
#include "source/api.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/base.h"

#define PAGE 500
#define BACKOFF_MS 800
#define BACKOFF_MAX_MS 30000
#define IDLE_MS 120000
#define ANSWER_MS 15000
#define ASK_MS 1000

static struct rs_api *api_of(const struct rs_source *src)
{
	return (struct rs_api *)(uintptr_t)src;
}

char *rs_api_escape(const char *text)
{
	rs_auto_strbuf b = { 0 };

	if (!text)
		return NULL;
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			     (c >= 'A' && c <= 'Z') || strchr("-._~", c);

		rs_strbuf_printf(&b, plain ? "%c" : "%%%02X", c);
	}
	return rs_strbuf_steal(&b);
}

/* ---- dispatch -------------------------------------------------------------------------------- */

/* The kinds fail alike when the server is gone: the first speaks for all. */
static int failure(const struct rs_api *api, struct rs_err *err)
{
	int i;

	for (i = 0; i < RS_KINDS; i++) {
		const struct rs_err *f = &api->kinds[i].failure;

		if (!f->num)
			continue;
		rs_err_set(err, f->num, "%s%s", rs_err_str(f),
			   api->kinds[i].synced ? " (the last good state stays)" : "");
		if (f->hint)
			rs_err_hint(err, "%s", f->hint);
		return -f->num;
	}
	return 0;
}

static int api_dispatch(struct rs_source *src, bool *changed, struct rs_err *err)
{
	struct rs_api *api = api_of(src);
	int i;

	rs_http_run(api->http);
	rs_http_run(api->reads);
	for (i = 0; i < RS_KINDS; i++)
		rs_apikind_run(&api->kinds[i], rs_mono_ms());
	rs_apiask_run(api, rs_mono_ms());
	if (!api->restored && rs_store_synced(api->store)) {
		api->restored = true;
		rs_apihold_restore(api);
	}
	*changed = api->changed && rs_store_synced(api->store);
	if (*changed)
		api->changed = false;
	return failure(api, err);
}

/* The sooner of left milliseconds and a due time; negative is never. */
static int64_t sooner(int64_t left, int64_t due, int64_t now)
{
	if (due < 0 || (left >= 0 && due - now >= left))
		return left;
	return due > now ? due - now : 0;
}

static int api_timeout_ms(const struct rs_source *src)
{
	const struct rs_api *api = api_of(src);
	int64_t now = rs_mono_ms(), left = rs_http_timeout_ms(api->http);
	int reads = rs_http_timeout_ms(api->reads), i;

	left = sooner(left, reads < 0 ? -1 : now + reads, now);
	for (i = 0; i < RS_KINDS; i++)
		left = sooner(left, rs_apikind_due(&api->kinds[i]), now);
	return (int)sooner(left, rs_apiask_due(api), now);
}

/* ---- what it is ------------------------------------------------------------------------------ */

static int api_fd(const struct rs_source *src)
{
	return api_of(src)->epfd;
}

static const struct rs_store *api_store(const struct rs_source *src)
{
	return api_of(src)->store;
}

static int64_t kind_age_s(const struct rs_apikind *k)
{
	return k->heard_ms ? (rs_mono_ms() - k->heard_ms) / 1000 : -1;
}

static int64_t api_age_s(const struct rs_source *src)
{
	int64_t oldest = 0;
	int i;

	for (i = 0; i < RS_KINDS; i++) {
		int64_t age = kind_age_s(&api_of(src)->kinds[i]);

		if (age < 0)
			return -1;
		oldest = age > oldest ? age : oldest;
	}
	return oldest;
}

static void api_kind(const struct rs_source *src, enum rs_kind kind, struct rs_source_kind *out)
{
	const struct rs_apikind *k = &api_of(src)->kinds[kind];

	*out = k->n;
	out->synced = k->synced;
	out->age_s = kind_age_s(k);
	out->error = k->failure.num ? rs_err_str(&k->failure) : NULL;
}

static void api_resync(struct rs_source *src)
{
	int i;

	for (i = 0; i < RS_KINDS; i++)
		rs_apikind_resync(&api_of(src)->kinds[i]);
}

static int64_t api_fresh(struct rs_source *src, const char *ns, const char *pod, struct rs_err *err)
{
	return rs_apifresh_begin(api_of(src), ns, pod, err);
}

static int api_fresh_state(struct rs_source *src, int64_t number, struct rs_err *err)
{
	return rs_apifresh_state(api_of(src), number, err);
}

static void api_fresh_drop(struct rs_source *src, int64_t number)
{
	rs_apifresh_drop(api_of(src), number);
}

/* ---- open and close -------------------------------------------------------------------------- */

static void api_close(struct rs_source *src)
{
	struct rs_api *api = api_of(src);
	size_t f;
	int i;

	if (!api)
		return;
	rs_http_close(api->http);
	rs_http_close(api->reads);
	if (api->epfd >= 0)
		close(api->epfd);
	rs_apifresh_clear(api);
	for (i = 0; i < RS_KINDS; i++)
		rs_apikind_clear(&api->kinds[i]);
	for (f = 0; f < api->floors.n; f++) {
		free(api->floors.v[f].ns);
		free(api->floors.v[f].name);
	}
	rs_vec_free(&api->floors);
	rs_apiask_clear(api);
	rs_apihold_clear(api);
	rs_store_free(api->store);
	rs_apiconf_clear(&api->conf);
	free(api);
}

static int or_default(int value, int def)
{
	return value > 0 ? value : def;
}

static void set_numbers(struct rs_source_config *to, const struct rs_source_config *from)
{
	to->page_size = or_default(from->page_size, PAGE);
	to->backoff_ms = or_default(from->backoff_ms, BACKOFF_MS);
	to->backoff_max_ms = or_default(from->backoff_max_ms, BACKOFF_MAX_MS);
	to->watch_s = or_default(from->watch_s, 0);
	to->idle_ms = or_default(from->idle_ms, IDLE_MS);
	to->answer_ms = or_default(from->answer_ms, ANSWER_MS);
	to->ask_ms = or_default(from->ask_ms, ASK_MS);
}

static int open_http(struct rs_api *api, struct rs_err *err)
{
	struct rs_http **both[] = { &api->http, &api->reads };
	int rc = 0;

	api->epfd = epoll_create1(EPOLL_CLOEXEC);
	for (size_t i = 0; rc == 0 && i < RS_ARRAY_SIZE(both); i++) {
		struct epoll_event ev = { .events = EPOLLIN };

		rc = rs_http_open(&api->conf, both[i], err);
		if (rc == 0 && epoll_ctl(api->epfd, EPOLL_CTL_ADD, rs_http_fd(*both[i]), &ev) < 0)
			rc = rs_err_sys(err, errno, "descriptors of the API source");
	}
	return rc;
}

static int api_open(const struct rs_source_config *cfg, struct rs_source **out, struct rs_err *err)
{
	struct rs_api *api = rs_new(struct rs_api);
	int rc, i;

	api->base.ops = &rs_source_api;
	api->epfd = -1;
	api->store = rs_store_new();
	set_numbers(&api->cfg, cfg);
	api->node_name = rs_strdup(cfg->node_name);
	api->state_dir = rs_strdup(cfg->state_dir);
	for (i = 0; i < RS_KINDS; i++)
		rs_apikind_init(&api->kinds[i], api, (enum rs_kind)i);
	rc = rs_apiconf_load(cfg, &api->conf, err);
	if (rc == 0)
		rc = open_http(api, err);
	if (rc < 0) {
		api_close(&api->base);
		return rc;
	}
	*out = &api->base;
	return 0;
}

const struct rs_source_ops rs_source_api = {
	.name = "api",
	.open = api_open,
	.fd = api_fd,
	.timeout_ms = api_timeout_ms,
	.dispatch = api_dispatch,
	.store = api_store,
	.age_s = api_age_s,
	.close = api_close,
	.kind = api_kind,
	.resync = api_resync,
	.fresh = api_fresh,
	.fresh_state = api_fresh_state,
	.fresh_drop = api_fresh_drop,
};
