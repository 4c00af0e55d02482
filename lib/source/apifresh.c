// SPDX-License-Identifier: Apache-2.0
/* apifresh.c - fresh reads: one pod and the policies of its namespace, by consistent LIST. */
#include "source/api.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/base.h"

#define MAX_AT_ONCE 512

/* One list of a fresh read. */
struct part {
	struct rs_apifresh *of;
	enum rs_kind kind;
	struct rs_http_req *req; /* NULL: over */
	struct rs_split *split;
	struct rs_store *got;
	struct rs_apinames odd;
	char *rv, *cont;
};

struct rs_apifresh {
	struct rs_apifresh *next;
	struct rs_api *api;
	int64_t number;
	char *ns, *pod;
	struct part pods, policies;
	struct rs_err err;
	bool over;
};

/* ---- its lists ------------------------------------------------------------------------------- */

static int on_part(void *arg, enum rs_split_part part, const char *text, size_t len,
		   struct rs_err *err)
{
	struct part *p = arg;

	if (part == RS_SPLIT_REST)
		return rs_apitake_rest(p->kind, text, len, &p->rv, &p->cont, err);
	return rs_apitake_one(p->got, p->kind, text, len, &p->odd, err);
}

static int on_body(void *arg, const char *data, size_t len, struct rs_err *err)
{
	struct part *p = arg;

	return rs_split_feed(p->split, data, len, err);
}

static void fold_part(struct part *p, const char *name)
{
	rs_apitake_fold(&p->of->api->kinds[p->kind], p->got, &p->odd, p->of->ns, name, p->rv);
}

/* Without a limit there is one page. The pod is folded last: it makes use of the policies. */
static void fold(struct rs_apifresh *f)
{
	bool found = rs_store_pod(f->pods.got, f->ns, f->pod) != NULL;
	size_t n;
	const char *const *why = rs_store_warnings(f->pods.got, &n);

	if (!found && f->pods.odd.v.n && !rs_store_pod(f->api->store, f->ns, f->pod))
		rs_err_set(&f->err, EBADMSG, "its object cannot be read: %s",
			   n ? why[n - 1] : "nobody knows why");
	else if (!found && !f->pods.odd.v.n)
		rs_err_set(&f->err, ENOENT, "the API server has no pod %s/%s", f->ns, f->pod);
	fold_part(&f->policies, NULL);
	fold_part(&f->pods, f->pod);
}

static void on_done(void *arg, const struct rs_http_result *r, const struct rs_err *why)
{
	struct part *p = arg;
	struct rs_apifresh *f = p->of;
	rs_auto_err err = { 0 };

	p->req = NULL;
	if (why)
		rs_err_set(&err, why->num, "%s", rs_err_str(why));
	else
		rs_split_end(p->split, &err);
	if (!err.num && p->cont)
		rs_err_set(&err, EPROTO, "a list without limit came in pages");
	if (err.num && !f->err.num) {
		rs_api_blame(&err, r->status, p->kind, "read");
		rs_err_move(&f->err, &err);
	}
	if (f->pods.req || f->policies.req)
		return;
	f->over = true;
	if (!f->err.num)
		fold(f);
}

static const struct rs_http_ops http_ops = { .body = on_body, .done = on_done };

static int begin_part(struct rs_apifresh *f, struct part *p, enum rs_kind kind, const char *path,
		      struct rs_err *err)
{
	p->of = f;
	p->kind = kind;
	p->got = rs_store_new();
	p->split = rs_split_new(RS_SPLIT_LIST, on_part, p);
	return rs_http_get(f->api->reads, path, f->api->cfg.answer_ms, f->api->cfg.answer_ms,
			   &http_ops, p, &p->req, err);
}

static void part_clear(struct rs_apifresh *f, struct part *p, bool cancel)
{
	if (p->req && cancel)
		rs_http_cancel(f->api->reads, p->req);
	rs_split_free(p->split);
	rs_store_free(p->got);
	rs_apinames_free(&p->odd);
	free(p->rv);
	free(p->cont);
}

static void fresh_free(struct rs_apifresh *f, bool cancel)
{
	part_clear(f, &f->pods, cancel);
	part_clear(f, &f->policies, cancel);
	rs_err_clear(&f->err);
	free(f->ns);
	free(f->pod);
	free(f);
}

/* ---- the front ------------------------------------------------------------------------------- */

static struct rs_apifresh **find(struct rs_api *api, int64_t number)
{
	struct rs_apifresh **at = &api->fresh;

	while (*at && (*at)->number != number)
		at = &(*at)->next;
	return at;
}

static int begin_both(struct rs_apifresh *f, struct rs_err *err)
{
	rs_autofree char *ns = rs_api_escape(f->ns), *pod = rs_api_escape(f->pod);
	rs_autofree char *pods = rs_asprintf(
		"/api/v1/namespaces/%s/pods?fieldSelector=metadata.name%%3D%s", ns, pod);
	rs_autofree char *policies =
		rs_asprintf("/apis/networking.k8s.io/v1/namespaces/%s/networkpolicies", ns);
	int rc = begin_part(f, &f->pods, RS_KIND_POD, pods, err);

	return rc < 0 ? rc : begin_part(f, &f->policies, RS_KIND_POLICY, policies, err);
}

int64_t rs_apifresh_begin(struct rs_api *api, const char *ns, const char *pod, struct rs_err *err)
{
	struct rs_apifresh *f;
	size_t n = 0;
	int rc;

	for (f = api->fresh; f; f = f->next)
		n++;
	if (!rs_store_synced(api->store))
		return rs_err_set(err, EAGAIN, "the API source has not told all objects yet");
	if (n >= MAX_AT_ONCE)
		return rs_err_set(err, EAGAIN, "%zu fresh reads are on their way", n);
	f = rs_new(struct rs_apifresh);
	f->api = api;
	f->ns = rs_strdup(ns);
	f->pod = rs_strdup(pod);
	f->number = ++api->fresh_last;
	rc = begin_both(f, err);
	if (rc < 0) {
		fresh_free(f, true);
		return rs_err_wrap(err, "fresh read");
	}
	f->next = api->fresh;
	api->fresh = f;
	return f->number;
}

int rs_apifresh_state(struct rs_api *api, int64_t number, struct rs_err *err)
{
	struct rs_apifresh *f = *find(api, number);
	int rc;

	if (!f)
		return rs_err_set(err, EINVAL, "no fresh read has this number");
	if (!f->over)
		return -EINPROGRESS;
	rc = -f->err.num;
	if (rc < 0)
		rs_err_move(err, &f->err);
	rs_apifresh_drop(api, number);
	return rc;
}

void rs_apifresh_drop(struct rs_api *api, int64_t number)
{
	struct rs_apifresh **at = find(api, number), *f = *at;

	if (!f)
		return;
	*at = f->next;
	fresh_free(f, true);
}

void rs_apifresh_clear(struct rs_api *api)
{
	struct rs_apifresh *f;

	while ((f = api->fresh)) {
		api->fresh = f->next;
		fresh_free(f, false);
	}
}
