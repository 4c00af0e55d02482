// SPDX-License-Identifier: Apache-2.0
/* apitake.c - what answers of the API server say about objects; see api.h. */
#include "source/api.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "base/jsonio.h"
#include "object/decode.h"
#include "object/store.h"

#define DEPTH 64
#define INITIAL_END "k8s.io/initial-events-end"

/* Who an object is; all borrowed from the JSON. */
struct head {
	const char *ns;
	const char *name;
	const char *uid;
	const char *rv;
	uint64_t version; /* rv as a number, 0 when it is none */
};

uint64_t rs_api_version(const char *text)
{
	uint64_t v = 0;

	for (; text && *text; text++)
		if (*text < '0' || *text > '9' || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*text - '0'), &v))
			return 0;
	return v;
}

static bool same(const char *a, const char *b)
{
	return a && b && !strcmp(a, b);
}

static const char *api_version(enum rs_kind kind)
{
	return kind == RS_KIND_POLICY ? "networking.k8s.io/v1" : "v1";
}

static bool namespaced(enum rs_kind kind)
{
	return kind == RS_KIND_POD || kind == RS_KIND_POLICY;
}

/* Items of a list do not say what they are: the list does. */
static int check_kind(enum rs_kind kind, struct json_object *o, struct rs_err *err)
{
	const char *k = rs_json_text(o, "kind", NULL), *v = rs_json_text(o, "apiVersion", NULL);

	if ((k && strcmp(k, rs_kind_name(kind))) || (v && strcmp(v, api_version(kind))))
		return rs_err_set(err, EBADMSG, "%.40s %.60s where a %s is expected", v ? v : "",
				  k ? k : "", rs_kind_name(kind));
	if (!k)
		rs_json_add_str(o, "kind", rs_kind_name(kind));
	if (!v)
		rs_json_add_str(o, "apiVersion", api_version(kind));
	return 0;
}

static int read_head(enum rs_kind kind, struct json_object *o, struct head *h, struct rs_err *err)
{
	struct json_object *meta = rs_json_get(o, "metadata");

	if (check_kind(kind, o, err) < 0)
		return -EBADMSG;
	h->ns = namespaced(kind) ? rs_json_text(meta, "namespace", NULL) : NULL;
	h->name = rs_json_text(meta, "name", NULL);
	h->uid = rs_json_text(meta, "uid", NULL);
	h->rv = rs_json_text(meta, "resourceVersion", NULL);
	h->version = rs_api_version(h->rv);
	if (!h->name || !*h->name || (namespaced(kind) && (!h->ns || !*h->ns)))
		return rs_err_set(err, EBADMSG, "a %s without a name or namespace",
				  rs_kind_name(kind));
	return 0;
}

int rs_apitake_decode(struct rs_store *s, enum rs_kind kind, struct json_object *o,
		      struct rs_err *err)
{
	rs_auto_err why = { 0 };
	struct head h;

	if (read_head(kind, o, &h, err) < 0)
		return -EBADMSG;
	if (rs_decode_json(s, "API", o, RS_ADMIT_LENIENT, &why) < 0)
		rs_store_warn(s, "%s %s%s%s cannot be read: %s", rs_kind_name(kind),
			      h.ns ? h.ns : "", h.ns ? "/" : "", h.name, rs_err_str(&why));
	return rs_store_find(s, kind, h.ns, h.name) != NULL;
}

void rs_apinames_free(struct rs_apinames *n)
{
	size_t i;

	for (i = 0; i < n->v.n; i++) {
		free(n->v.v[i].ns);
		free(n->v.v[i].name);
	}
	rs_vec_free(&n->v);
}

static void name_push(struct rs_apinames *to, const char *ns, const char *name)
{
	*rs_vec_push(&to->v) = (struct rs_apiname){ rs_strdup(ns), rs_strdup(name) };
}

static int parse(const char *text, size_t len, struct json_object **out, struct rs_err *err)
{
	/* Two levels more than an object may have, for the event around it. */
	return rs_json_parse(text, len, DEPTH + 2, out, err);
}

int rs_apitake_one(struct rs_store *s, enum rs_kind kind, const char *text, size_t len,
		   struct rs_apinames *odd, struct rs_err *err)
{
	rs_autojson struct json_object *o = NULL;
	struct head h;
	int rc = parse(text, len, &o, err);

	if (rc == 0)
		rc = read_head(kind, o, &h, err);
	if (rc == 0)
		rc = rs_apitake_decode(s, kind, o, err);
	if (rc == 0 && odd)
		name_push(odd, h.ns, h.name);
	return rc < 0 ? rc : 0;
}

/* ---- state that fresh reads brought ---------------------------------------------------------- */

static bool floor_covers(const struct rs_apifloor *f, enum rs_kind kind, const char *ns,
			 const char *name)
{
	return f->kind == kind && same(f->ns, ns) && (!f->name || same(f->name, name));
}

static bool below_floor(const struct rs_api *api, enum rs_kind kind, const struct head *h)
{
	size_t i;

	for (i = 0; i < api->floors.n; i++)
		if (floor_covers(&api->floors.v[i], kind, h->ns, h->name) && h->version &&
		    h->version <= api->floors.v[i].rv)
			return true;
	return false;
}

/* The watch of that kind has come as far as version: what is below needs no floor. */
static void drop_floors(struct rs_api *api, enum rs_kind kind, uint64_t version)
{
	size_t i, kept = 0;

	for (i = 0; i < api->floors.n; i++) {
		struct rs_apifloor *f = &api->floors.v[i];

		if (f->kind != kind || f->rv > version) {
			api->floors.v[kept++] = *f;
			continue;
		}
		free(f->ns);
		free(f->name);
	}
	api->floors.n = kept;
}

static void add_floor(struct rs_api *api, enum rs_kind kind, const char *ns, const char *name,
		      uint64_t version)
{
	size_t i;

	for (i = 0; i < api->floors.n; i++) {
		struct rs_apifloor *f = &api->floors.v[i];

		if (f->kind != kind || !same(f->ns, ns) ||
		    (f->name != name && !same(f->name, name)))
			continue;
		f->rv = version > f->rv ? version : f->rv;
		return;
	}
	*rs_vec_push(&api->floors) = (struct rs_apifloor){
		.kind = kind, .ns = rs_strdup(ns), .name = rs_strdup(name), .rv = version
	};
}

/* Copies, because deleting spoils the view. */
static void covered(const struct rs_store *s, const struct rs_apifloor *f, struct rs_apinames *out)
{
	size_t n, i;
	const struct rs_meta *const *v = rs_store_metas(s, f->kind, &n);

	for (i = 0; i < n; i++)
		if (floor_covers(f, f->kind, v[i]->ns, v[i]->name))
			name_push(out, v[i]->ns, v[i]->name);
}

/* A list that is older than a fresh read does not undo it. */
static void keep_floor(struct rs_apikind *k, const struct rs_apifloor *f)
{
	struct rs_apinames staged = { 0 }, held = { 0 };
	size_t i;

	covered(k->staging, f, &staged);
	for (i = 0; i < staged.v.n; i++)
		rs_store_del(k->staging, k->kind, staged.v.v[i].ns, staged.v.v[i].name);
	covered(k->api->store, f, &held);
	for (i = 0; i < held.v.n; i++)
		rs_store_mark(k->api->store, k->kind, held.v.v[i].ns, held.v.v[i].name, k->mark);
	rs_apinames_free(&staged);
	rs_apinames_free(&held);
}

static bool is_among(const struct rs_apinames *names, const struct rs_apiname *n)
{
	size_t i;

	for (i = 0; i < names->v.n; i++)
		if (same(names->v.v[i].ns, n->ns) && same(names->v.v[i].name, n->name))
			return true;
	return false;
}

/* Whatever from does not hold of it is gone. */
static bool drop_others(struct rs_apikind *k, const struct rs_store *from,
			const struct rs_apinames *odd, const struct rs_apifloor *f,
			uint64_t version)
{
	struct rs_store *store = k->api->store;
	struct rs_apinames held = { 0 };
	bool changed = false;
	size_t i;

	covered(store, f, &held);
	for (i = 0; i < held.v.n; i++) {
		const struct rs_apiname *n = &held.v.v[i];
		const struct rs_meta *m = rs_store_find(store, k->kind, n->ns, n->name);

		if (rs_store_find(from, k->kind, n->ns, n->name) || is_among(odd, n) ||
		    rs_api_version(m->resource_version) > version)
			continue;
		if (!rs_apihold_keep(k->api, k->kind, n->ns, n->name, NULL))
			changed |= rs_store_del(store, k->kind, n->ns, n->name);
	}
	rs_apinames_free(&held);
	return changed;
}

/* What the store has already in a later version stays. */
static void drop_older(struct rs_apikind *k, struct rs_store *from)
{
	size_t n, i;
	const struct rs_meta *const *v = rs_store_metas(from, k->kind, &n);
	struct rs_apinames old = { 0 };

	for (i = 0; i < n; i++) {
		const struct rs_meta *m =
			rs_store_find(k->api->store, k->kind, v[i]->ns, v[i]->name);

		if (m &&
		    rs_api_version(m->resource_version) > rs_api_version(v[i]->resource_version))
			name_push(&old, v[i]->ns, v[i]->name);
	}
	for (i = 0; i < old.v.n; i++)
		rs_store_del(from, k->kind, old.v.v[i].ns, old.v.v[i].name);
	rs_apinames_free(&old);
}

void rs_apitake_fold(struct rs_apikind *k, struct rs_store *from, const struct rs_apinames *odd,
		     const char *ns, const char *name, const char *rv)
{
	struct rs_apifloor f = { .kind = k->kind,
				 .ns = (char *)(uintptr_t)ns,
				 .name = (char *)(uintptr_t)name };
	uint64_t version = rs_api_version(rv);
	bool changed;

	/* The watch has passed it while the answer was on its way: it knows better. */
	if (!version || version <= rs_api_version(k->rv))
		return;
	changed = drop_others(k, from, odd, &f, version);
	drop_older(k, from);
	changed |= rs_store_move(k->api->store, from, k->kind, k->mark);
	add_floor(k->api, k->kind, ns, name, version);
	k->api->changed |= changed;
}

/* ---- lists ----------------------------------------------------------------------------------- */

void rs_apitake_begin(struct rs_apikind *k)
{
	rs_apitake_drop(k);
	k->staging = rs_store_new();
	k->mark++;
}

void rs_apitake_drop(struct rs_apikind *k)
{
	rs_store_free(k->staging);
	k->staging = NULL;
}

void rs_apitake_finish(struct rs_apikind *k, const char *rv)
{
	struct rs_api *api = k->api;
	uint64_t version = rs_api_version(rv);
	bool changed;
	size_t i;

	drop_floors(api, k->kind, version);
	for (i = 0; i < api->floors.n; i++)
		if (api->floors.v[i].kind == k->kind)
			keep_floor(k, &api->floors.v[i]);
	rs_apihold_listed(k);
	changed = rs_store_move(api->store, k->staging, k->kind, k->mark);
	changed |= rs_store_sweep(api->store, k->kind, k->mark);
	if (k->kind == RS_KIND_NAMESPACE)
		rs_apihold_settle(api);
	rs_apitake_drop(k);
	api->changed |= changed || !k->synced;
	k->synced = true;
	rs_store_set_synced(api->store, k->kind, true);
	free(k->rv);
	k->rv = rs_strdup(rv);
	rs_apikind_alive(k);
}

/* An object as a list tells it. */
static int list_object(struct rs_apikind *k, struct json_object *o, const struct head *h,
		       struct rs_err *err)
{
	const struct rs_meta *old = rs_store_find(k->api->store, k->kind, h->ns, h->name);
	int rc;

	if (old && same(old->uid, h->uid) && same(old->resource_version, h->rv) &&
	    !rs_store_find(k->staging, k->kind, h->ns, h->name)) {
		rs_store_mark(k->api->store, k->kind, h->ns, h->name, k->mark);
		return 0;
	}
	rc = rs_apitake_decode(k->staging, k->kind, o, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	/* It exists, though we cannot read it: what we last could is better than nothing. */
	k->n.unreadable++;
	rs_store_mark(k->api->store, k->kind, h->ns, h->name, k->mark);
	return 0;
}

int rs_apitake_item(struct rs_apikind *k, const char *text, size_t len, struct rs_err *err)
{
	rs_autojson struct json_object *o = NULL;
	struct head h;
	int rc = parse(text, len, &o, err);

	if (rc == 0)
		rc = read_head(k->kind, o, &h, err);
	return rc < 0 ? rc : list_object(k, o, &h, err);
}

int rs_apitake_rest(enum rs_kind kind, const char *text, size_t len, char **rv, char **cont,
		    struct rs_err *err)
{
	rs_autofree char *expected = rs_asprintf("%sList", rs_kind_name(kind));
	rs_autojson struct json_object *o = NULL;
	struct json_object *items = NULL, *meta;
	const char *version, *more;

	if (parse(text, len, &o, err) < 0)
		return -EBADMSG;
	if (!same(rs_json_text(o, "kind", NULL), expected) ||
	    !same(rs_json_text(o, "apiVersion", NULL), api_version(kind)))
		return rs_err_set(err, EBADMSG, "%.60s where a %s is expected",
				  rs_json_text(o, "kind", "something"), expected);
	if (!json_object_object_get_ex(o, "items", &items) ||
	    (items &&
	     (!json_object_is_type(items, json_type_array) || json_object_array_length(items))))
		return rs_err_set(err, EBADMSG, "a %s without items", expected);
	meta = rs_json_get(o, "metadata");
	version = rs_json_text(meta, "resourceVersion", NULL);
	more = rs_json_text(meta, "continue", NULL);
	if (!version || !*version)
		return rs_err_set(err, EBADMSG, "a %s without resourceVersion", expected);
	free(*rv);
	*rv = rs_strdup(version);
	free(*cont);
	*cont = more && *more ? rs_strdup(more) : NULL;
	return 0;
}

/* ---- events ---------------------------------------------------------------------------------- */

static void advance(struct rs_apikind *k, const char *rv)
{
	uint64_t version = rs_api_version(rv);

	if (!rv || !*rv || (version && version < rs_api_version(k->rv)))
		return;
	if (!same(k->rv, rv)) {
		free(k->rv);
		k->rv = rs_strdup(rv);
	}
	drop_floors(k->api, k->kind, version);
}

/* An object whose event is out of order tells that others were lost or swapped. */
static int backwards(const struct head *h, const struct rs_apikind *k, struct rs_err *err)
{
	return rs_err_set(err, ESTALE, "events out of order: resourceVersion %.40s after %.40s",
			  h->rv, k->rv);
}

/* 1: to be applied; 0: said before, or stale. */
static int in_order(const struct rs_apikind *k, bool deleted, const struct head *h,
		    struct rs_err *err)
{
	const struct rs_meta *old = rs_store_find(k->api->store, k->kind, h->ns, h->name);
	uint64_t stands = rs_api_version(k->rv);

	/* Old servers tell an object's end with its last version. */
	if (old && same(old->uid, h->uid) && same(old->resource_version, h->rv))
		return deleted;
	if (below_floor(k->api, k->kind, h))
		return 0;
	if (h->version && h->version < stands)
		return backwards(h, k, err);
	return 1;
}

static int put(struct rs_apikind *k, struct json_object *o, const struct head *h,
	       struct rs_err *err)
{
	struct rs_store *one = rs_store_new();
	int rc = rs_apitake_decode(one, k->kind, o, err);

	if (rc == 0)
		k->n.unreadable++;
	/* With nothing in it the warning moves. */
	if (rc >= 0)
		k->api->changed |= rs_store_move(k->api->store, one, k->kind, k->mark);
	if (rc >= 0)
		advance(k, h->rv);
	rs_store_free(one);
	return rc < 0 ? rc : 0;
}

static int watched(struct rs_apikind *k, bool deleted, struct json_object *o, const struct head *h,
		   struct rs_err *err)
{
	int rc = in_order(k, deleted, h, err);

	if (rc == 0 && deleted)
		rs_apihold_told(k->api, k->kind, h->ns, h->name, o);
	if (rc <= 0)
		return rc;
	rc = 0;
	if (!deleted)
		rc = put(k, o, h, err);
	else if (!rs_apihold_keep(k->api, k->kind, h->ns, h->name, o))
		k->api->changed |= rs_store_del(k->api->store, k->kind, h->ns, h->name);
	if (k->kind == RS_KIND_NAMESPACE)
		rs_apihold_settle(k->api);
	if (rc == 0)
		advance(k, h->rv);
	return rc;
}

static int initial(struct rs_apikind *k, bool deleted, struct json_object *o, const struct head *h,
		   struct rs_err *err)
{
	if (!deleted)
		return list_object(k, o, h, err);
	rs_store_del(k->staging, k->kind, h->ns, h->name);
	rs_store_mark(k->api->store, k->kind, h->ns, h->name, k->mark - 1);
	return 0;
}

static int bookmark(struct rs_apikind *k, struct json_object *o, struct rs_err *err)
{
	struct json_object *meta = rs_json_get(o, "metadata");
	const char *rv = rs_json_text(meta, "resourceVersion", NULL);
	bool end = same(rs_json_text(rs_json_get(meta, "annotations"), INITIAL_END, NULL), "true");

	if (check_kind(k->kind, o, err) < 0)
		return -EBADMSG;
	if (!rv || !*rv)
		return rs_err_set(err, EBADMSG, "a bookmark without resourceVersion");
	if (k->phase != RS_API_INITIAL) {
		if (rs_api_version(rv) && rs_api_version(rv) < rs_api_version(k->rv))
			return rs_err_set(err, ESTALE,
					  "a bookmark goes back: resourceVersion %.40s after %.40s",
					  rv, k->rv);
		advance(k, rv);
		rs_apikind_alive(k);
		return 0;
	}
	if (!end)
		return rs_err_set(err, EOPNOTSUPP, "a bookmark inside the initial events");
	k->phase = RS_API_WATCH;
	if (k->req)
		rs_http_patience(k->req, k->api->cfg.idle_ms);
	rs_apitake_finish(k, rv);
	return 0;
}

/*
 * A Status in the stream. In place of initial events it says that this server cannot tell them: one
 * whose etcd is older than 3.4.25 answers 200 and then 500 (RequestWatchProgress is disabled).
 */
static int error_event(const struct rs_apikind *k, struct json_object *o, struct rs_err *err)
{
	int64_t code = 0;
	const char *reason = rs_json_text(o, "reason", "");

	if (!same(rs_json_text(o, "kind", NULL), "Status"))
		return rs_err_set(err, EBADMSG, "an ERROR event without a Status");
	rs_json_opt_int(o, "code", 0, 999, &code, NULL);
	if (code == 410 || same(reason, "Expired") || same(reason, "Gone"))
		return rs_err_set(err, ESTALE, "410 in the stream: %.200s",
				  rs_json_text(o, "message", "too old"));
	return rs_err_set(err, k->phase == RS_API_INITIAL ? EOPNOTSUPP : EPROTO,
			  "status %d in the stream: %.200s", (int)code,
			  rs_json_text(o, "message", "no message"));
}

static int object_event(struct rs_apikind *k, const char *type, struct json_object *o,
			struct rs_err *err)
{
	bool deleted = same(type, "DELETED");
	struct head h;
	int rc;

	if (!deleted && !same(type, "ADDED") && !same(type, "MODIFIED"))
		return rs_err_set(err, EBADMSG, "an event of type \"%.40s\"", type);
	if (read_head(k->kind, o, &h, err) < 0)
		return -EBADMSG;
	if (k->phase == RS_API_INITIAL)
		return initial(k, deleted, o, &h, err);
	rc = watched(k, deleted, o, &h, err);
	if (rc == 0)
		rs_apikind_alive(k);
	return rc;
}

int rs_apitake_event(struct rs_apikind *k, const char *text, size_t len, struct rs_err *err)
{
	rs_autojson struct json_object *event = NULL;
	struct json_object *o;
	const char *type;

	if (parse(text, len, &event, err) < 0)
		return -EBADMSG;
	type = rs_json_text(event, "type", NULL);
	o = rs_json_get(event, "object");
	if (!type || !json_object_is_type(o, json_type_object))
		return rs_err_set(err, EBADMSG, "an event without type or object");
	k->n.events++;
	if (same(type, "ERROR"))
		return error_event(k, o, err);
	if (same(type, "BOOKMARK"))
		return bookmark(k, o, err);
	return object_event(k, type, o, err);
}
