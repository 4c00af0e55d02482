// SPDX-License-Identifier: Apache-2.0
/*
 * apihold.c - a policy that is deleted while its namespace is being deleted stays in force until
 * the namespace is gone: its pods outlive it by their grace period, and nothing may open for them.
 *
 * Each kind is watched for itself, so the end of a policy may be told before that of its namespace.
 * Therefore a deletion waits until the server has been asked how the namespace stands (apiask.c).
 *
 * What is told of the end of such a policy is written to a folder, so that a restart does not
 * forget it. One that a list lost is only held in memory: the list does not say what it was.
 */
#include "source/api.h"

#include <string.h>
#include <sys/stat.h>

#include "base/base.h"
#include "base/jsonio.h"
#include "base/statedir.h"
#include "object/keyed_hash.h"
#include "object/store.h"

#define FOLDER "held"
#define MAX_FILE (8 * RS_MIB)
/* The folder is memory, and ours to answer for. */
#define MAX_FILES 4096
#define MAX_BYTES (16 * RS_MIB)
#define UNASKED INT64_MAX
#define FORM (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

struct rs_apiheld {
	UT_hash_handle hh;
	char *key; /* "NAMESPACE/NAME" */
	char *ns, *name;
	char *uid, *rv;	  /* of the policy: another that takes its name is not held */
	char *ns_uid;	  /* of the namespace; NULL: it has none, or is not known yet */
	char *text;	  /* what is still to be saved */
	char *file;	  /* what it was saved as */
	size_t size;	  /* of that */
	int64_t until_ms; /* how long it waits to hear of its namespace; 0: it is held. UNASKED: the
			   * question that is on its way, if any, began before its end was told */
};

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool is_uid(const char *s)
{
	return s && *s && strlen(s) <= 64 &&
	       strspn(s, "0123456789abcdefABCDEF-") == strlen(s);
}

/* "NAMESPACE-UID_POLICY-UID.json" */
static char *file_name(const char *ns_uid, const char *policy_uid)
{
	return is_uid(ns_uid) && is_uid(policy_uid) ? rs_asprintf("%s_%s.json", ns_uid, policy_uid)
						    : NULL;
}

/* ---- the folder ------------------------------------------------------------------------------ */

/* Once: the next would most likely fail alike, and there may be thousands. */
static void unsafe(struct rs_api *api, const char *why)
{
	if (!api->held_warned)
		rs_store_warn(api->store, "policies of a namespace that is being deleted are not "
					  "safe from a restart: %s",
			      why);
	api->held_warned = true;
}

/* Only what the decoder reads: annotations and managed fields can be larger than all of it. */
static char *text_of(struct json_object *o)
{
	static const char *const keep[] = { "name", "namespace", "uid", "resourceVersion" };
	rs_autojson struct json_object *out = json_object_new_object();
	struct json_object *from = rs_json_get(o, "metadata"), *meta = json_object_new_object();

	for (size_t i = 0; i < RS_ARRAY_SIZE(keep); i++)
		rs_json_add_str(meta, keep[i], rs_json_text(from, keep[i], NULL));
	json_object_object_add(out, "metadata", meta);
	json_object_object_add(out, "spec", json_object_get(rs_json_get(o, "spec")));
	return rs_strdup(json_object_to_json_string_ext(out, FORM));
}

static void count(struct rs_api *api, struct rs_apiheld *h, char *file, size_t size)
{
	h->file = file;
	h->size = size;
	api->held_files++;
	api->held_bytes += size;
}

/* What cannot be written is held all the same, until a restart. */
static void save(struct rs_api *api, struct rs_apiheld *h)
{
	rs_autofree char *text = rs_steal_ptr(&h->text), *name = NULL;
	struct rs_statedir d = { .fd = -1 };
	rs_auto_err err = { 0 };
	size_t size = text ? strlen(text) : 0;

	if (!api->state_dir || !text || h->file)
		return;
	name = file_name(h->ns_uid, h->uid);
	if (!name) {
		unsafe(api, "its uid is none");
		return;
	}
	if (api->held_files >= MAX_FILES || size > MAX_FILE || api->held_bytes + size > MAX_BYTES) {
		unsafe(api, "they are too many or too large");
		return;
	}
	if (rs_statedir_open(api->state_dir, FOLDER, &d, &err) == 0 &&
	    rs_statedir_write(&d, name, text, RS_FILE_REPLACE, &err) == 0)
		count(api, h, rs_steal_ptr(&name), size);
	rs_statedir_close(&d);
	if (err.num)
		unsafe(api, rs_err_str(&err));
}

static void drop_file(struct rs_api *api, struct rs_apiheld *h)
{
	rs_autofree char *path = NULL;

	if (!h->file)
		return;
	path = rs_asprintf("%s/" FOLDER "/%s", api->state_dir, h->file);
	unlink(path);
	api->held_files--;
	api->held_bytes -= h->size;
	free(h->file);
	h->file = NULL;
}

/* ---- entries --------------------------------------------------------------------------------- */

static struct rs_apiheld *find(const struct rs_api *api, const char *ns, const char *name)
{
	rs_autofree char *key = rs_asprintf("%s/%s", ns, name);
	struct rs_apiheld *h;

	HASH_FIND_STR(api->held, key, h);
	return h;
}

static void entry_free(struct rs_api *api, struct rs_apiheld *h)
{
	HASH_DEL(api->held, h);
	free(h->key);
	free(h->ns);
	free(h->name);
	free(h->uid);
	free(h->rv);
	free(h->ns_uid);
	free(h->text);
	free(h->file);
	free(h);
}

static void forget(struct rs_api *api, struct rs_apiheld *h)
{
	drop_file(api, h);
	entry_free(api, h);
}

static bool is_about(const struct rs_apiheld *h, const struct rs_meta *policy)
{
	return policy && same_text(h->uid, policy->uid) &&
	       same_text(h->rv, policy->resource_version);
}

/* The end of a policy; that of one which had its name before is of no more interest. */
static struct rs_apiheld *add(struct rs_api *api, const struct rs_meta *policy)
{
	struct rs_apiheld *h = find(api, policy->ns, policy->name);

	if (h && is_about(h, policy))
		return h;
	if (h)
		forget(api, h);
	h = rs_new(struct rs_apiheld);
	h->key = rs_asprintf("%s/%s", policy->ns, policy->name);
	h->ns = rs_strdup(policy->ns);
	h->name = rs_strdup(policy->name);
	h->uid = rs_strdup(policy->uid);
	h->rv = rs_strdup(policy->resource_version);
	h->until_ms = UNASKED;
	HASH_ADD_KEYPTR(hh, api->held, h->key, strlen(h->key), h);
	return h;
}

/* Its namespace is being deleted. */
static void hold(struct rs_api *api, struct rs_apiheld *h, const struct rs_namespace *ns)
{
	free(h->ns_uid);
	h->ns_uid = rs_strdup(ns->meta.uid);
	h->until_ms = 0;
	save(api, h);
}

/* The deletion takes effect, unless another has the name by now. */
static void release(struct rs_api *api, struct rs_apiheld *h)
{
	if (is_about(h, rs_store_find(api->store, RS_KIND_POLICY, h->ns, h->name)))
		api->changed |= rs_store_del(api->store, RS_KIND_POLICY, h->ns, h->name);
	forget(api, h);
}

/* ---- policies end ---------------------------------------------------------------------------- */

void rs_apihold_told(struct rs_api *api, enum rs_kind kind, const char *ns, const char *name,
		     struct json_object *o)
{
	struct rs_apiheld *h = kind == RS_KIND_POLICY ? find(api, ns, name) : NULL;

	if (!h || h->text || h->file ||
	    !same_text(h->uid, rs_json_text(rs_json_get(o, "metadata"), "uid", NULL)))
		return;
	h->text = text_of(o);
	if (!h->until_ms)
		save(api, h);
}

bool rs_apihold_keep(struct rs_api *api, enum rs_kind kind, const char *ns, const char *name,
		     struct json_object *o)
{
	const struct rs_meta *policy =
		kind == RS_KIND_POLICY ? rs_store_find(api->store, kind, ns, name) : NULL;
	const struct rs_namespace *its = policy ? rs_store_namespace(api->store, ns) : NULL;
	struct rs_apiheld *h;

	/* With the namespace all that was in it has gone. */
	if (!policy || (!its && api->kinds[RS_KIND_NAMESPACE].synced))
		return false;
	h = add(api, policy);
	if (o)
		rs_apihold_told(api, kind, ns, name, o);
	/* Held, and the watch of namespaces does not know yet why. */
	if (!h->until_ms && its && same_text(h->ns_uid, its->meta.uid))
		return true;
	if (its && its->meta.deleting)
		hold(api, h, its);
	else
		rs_apiask_begin(api, ns);
	return true;
}

void rs_apihold_listed(struct rs_apikind *k)
{
	struct rs_api *api = k->api;
	const struct rs_policy *const *v;
	size_t n;

	if (k->kind != RS_KIND_POLICY)
		return;
	v = rs_store_policies(api->store, &n);
	for (size_t i = 0; i < n; i++) {
		const struct rs_meta *m = &v[i]->meta;

		/* The list has it, and it is about to be moved in. */
		if (rs_store_find(k->staging, RS_KIND_POLICY, m->ns, m->name) ||
		    rs_store_marked(api->store, RS_KIND_POLICY, m->ns, m->name, k->mark))
			continue;
		if (rs_apihold_keep(api, RS_KIND_POLICY, m->ns, m->name, NULL))
			rs_store_mark(api->store, RS_KIND_POLICY, m->ns, m->name, k->mark);
	}
}

/* ---- namespaces end -------------------------------------------------------------------------- */

void rs_apihold_settle(struct rs_api *api)
{
	bool all = api->kinds[RS_KIND_NAMESPACE].synced;
	struct rs_apiheld *h, *next;

	HASH_ITER(hh, api->held, h, next) {
		const struct rs_namespace *ns = rs_store_namespace(api->store, h->ns);

		if (!ns && !all)
			continue;
		if (!ns || (!h->until_ms && !same_text(ns->meta.uid, h->ns_uid)))
			release(api, h);
		else if (h->until_ms && ns->meta.deleting)
			hold(api, h, ns);
	}
}

bool rs_apihold_asked(struct rs_api *api, const char *ns)
{
	int64_t until = rs_mono_ms() + api->cfg.ask_ms;
	struct rs_apiheld *h, *next;
	bool any = false;

	HASH_ITER(hh, api->held, h, next) {
		if (!h->until_ms || strcmp(h->ns, ns) != 0)
			continue;
		if (h->until_ms == UNASKED)
			h->until_ms = until;
		any = true;
	}
	return any;
}

void rs_apihold_answer(struct rs_api *api, const char *name, const struct rs_namespace *ns)
{
	struct rs_apiheld *h, *next;

	HASH_ITER(hh, api->held, h, next) {
		if (!h->until_ms || h->until_ms == UNASKED || strcmp(h->ns, name) != 0)
			continue;
		if (ns && ns->meta.deleting)
			hold(api, h, ns);
		else
			release(api, h);
	}
}

void rs_apihold_expire(struct rs_api *api, int64_t now)
{
	const struct rs_apikind *k = &api->kinds[RS_KIND_NAMESPACE];
	struct rs_apiheld *h, *next;

	/* While nobody tells of namespaces, what is in force stays. */
	if (k->phase != RS_API_WATCH || !k->good)
		return;
	HASH_ITER(hh, api->held, h, next)
		if (h->until_ms && now >= h->until_ms)
			release(api, h);
}

void rs_apihold_clear(struct rs_api *api)
{
	struct rs_apiheld *h, *next;

	HASH_ITER(hh, api->held, h, next)
		entry_free(api, h);
	free(api->node_name);
	free(api->state_dir);
}

/* ---- after a restart ------------------------------------------------------------------------- */

struct restore {
	struct rs_api *api;
	struct rs_statedir dir;
};

/* Of a namespace that is still being deleted: into the store with it. */
static bool take(struct rs_api *api, const char *text, size_t len, const char *file)
{
	struct rs_store *one = rs_store_new();
	const struct rs_policy *const *v;
	const struct rs_namespace *ns;
	rs_autofree char *name = NULL;
	struct rs_apiheld *h;
	bool kept;
	size_t n;

	rs_apitake_one(one, RS_KIND_POLICY, text, len, NULL, NULL);
	v = rs_store_policies(one, &n);
	ns = n == 1 ? rs_store_namespace(api->store, v[0]->meta.ns) : NULL;
	name = ns && ns->meta.deleting ? file_name(ns->meta.uid, v[0]->meta.uid) : NULL;
	if (!name || strcmp(name, file) != 0) {
		rs_store_free(one);
		return false;
	}
	h = find(api, v[0]->meta.ns, v[0]->meta.name);
	kept = h && h->file && !strcmp(h->file, file); /* our own already */
	if (!rs_store_find(api->store, RS_KIND_POLICY, v[0]->meta.ns, v[0]->meta.name)) {
		h = add(api, &v[0]->meta);
		hold(api, h, ns);
		count(api, h, rs_steal_ptr(&name), len);
		rs_store_move(api->store, one, RS_KIND_POLICY, api->kinds[RS_KIND_POLICY].mark);
		kept = api->changed = true;
	}
	rs_store_free(one);
	return kept;
}

static int take_file(const char *name, void *arg)
{
	struct restore *r = arg;
	rs_autofree char *text = NULL;
	size_t len;

	if (rs_statedir_read(&r->dir, name, MAX_FILE, &text, &len, NULL) < 0 ||
	    !take(r->api, text, len, name))
		rs_statedir_unlink(&r->dir, name, NULL);
	return 0;
}

void rs_apihold_restore(struct rs_api *api)
{
	rs_autofree char *path =
		api->state_dir ? rs_asprintf("%s/" FOLDER, api->state_dir) : NULL;
	struct restore r = { .api = api, .dir = { .fd = -1 } };
	rs_auto_err err = { 0 };
	struct stat st;

	/* Most nodes never need one. */
	if (!path || lstat(path, &st) < 0)
		return;
	if (rs_statedir_open(api->state_dir, FOLDER, &r.dir, &err) == 0) {
		rs_statedir_sweep(&r.dir);
		rs_statedir_each(&r.dir, take_file, &r, &err);
	}
	rs_statedir_close(&r.dir);
	if (err.num)
		unsafe(api, rs_err_str(&err));
}
