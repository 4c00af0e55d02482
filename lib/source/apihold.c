// SPDX-License-Identifier: Apache-2.0
/*
 * apihold.c - a policy that is deleted while its namespace is being deleted stays in force until
 * the namespace is gone: its pods outlive it by their grace period, and nothing shall open for them.
 *
 * What a watch tells of its end is written to a folder, so that a restart does not forget it. A
 * policy that a list lost is only held in memory: the list does not say what it was.
 */
#include "source/api.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base.h"
#include "base/jsonio.h"
#include "object/store.h"

#define MAX_FILE (8 * RS_MIB)
#define MAX_FILES 4096

static bool is_uid(const char *s)
{
	return s && *s && strlen(s) <= 64 &&
	       strspn(s, "0123456789abcdefABCDEF-") == strlen(s);
}

/* "NAMESPACE-UID_POLICY-UID.json" */
static char *file_name(const struct rs_namespace *ns, const struct rs_meta *policy)
{
	if (!is_uid(ns->meta.uid) || !policy || !is_uid(policy->uid))
		return NULL;
	return rs_asprintf("%s_%s.json", ns->meta.uid, policy->uid);
}

static int open_folder(const struct rs_api *api, struct rs_err *err)
{
	int fd, rc;

	rc = rs_mkdir_p(api->held_dir, 0700, err);
	if (rc < 0)
		return rc;
	fd = open(api->held_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? rs_err_sys(err, errno, "open %s", api->held_dir) : fd;
}

/* What cannot be written is held all the same, until a restart. */
static void save(struct rs_api *api, const char *name, struct json_object *o)
{
	rs_auto_err err = { 0 };
	const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
	int fd;

	if (!api->held_dir || !name || !text)
		return;
	fd = open_folder(api, &err);
	if (fd >= 0) {
		rs_file_write_at(fd, name, text, strlen(text), RS_FILE_REPLACE, &err);
		close(fd);
	}
	if (err.num)
		rs_store_warn(api->store, "a policy of a namespace that is being deleted is not "
					  "safe from a restart: %s",
			      rs_err_str(&err));
}

static struct rs_apiheld *find(struct rs_api *api, const char *ns, const char *name)
{
	for (size_t i = 0; i < api->held.n; i++)
		if (!strcmp(api->held.v[i].ns, ns) && !strcmp(api->held.v[i].name, name))
			return &api->held.v[i];
	return NULL;
}

static struct rs_apiheld *add(struct rs_api *api, const struct rs_namespace *ns,
			      const struct rs_meta *policy)
{
	struct rs_apiheld *h = find(api, policy->ns, policy->name);

	if (h)
		return h;
	h = rs_vec_push(&api->held);
	h->ns = rs_strdup(policy->ns);
	h->name = rs_strdup(policy->name);
	h->ns_uid = rs_strdup(ns->meta.uid);
	h->file = file_name(ns, policy);
	return h;
}

static const struct rs_namespace *going(const struct rs_api *api, const char *name)
{
	const struct rs_namespace *ns = name ? rs_store_namespace(api->store, name) : NULL;

	return ns && ns->meta.deleting ? ns : NULL;
}

bool rs_apihold_keep(struct rs_api *api, enum rs_kind kind, const char *ns, const char *name,
		     struct json_object *o)
{
	const struct rs_namespace *dying = kind == RS_KIND_POLICY ? going(api, ns) : NULL;
	const struct rs_meta *policy =
		dying ? rs_store_find(api->store, RS_KIND_POLICY, ns, name) : NULL;
	struct rs_apiheld *h;

	if (!policy)
		return false;
	h = add(api, dying, policy);
	if (o)
		save(api, h->file, o);
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

static void forget(struct rs_api *api, size_t i)
{
	struct rs_apiheld *h = &api->held.v[i];

	if (api->held_dir && h->file) {
		rs_autofree char *path = rs_asprintf("%s/%s", api->held_dir, h->file);

		unlink(path);
	}
	free(h->ns);
	free(h->name);
	free(h->ns_uid);
	free(h->file);
	api->held.v[i] = api->held.v[--api->held.n];
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

void rs_apihold_settle(struct rs_api *api)
{
	for (size_t i = 0; i < api->held.n;) {
		const struct rs_apiheld *h = &api->held.v[i];
		const struct rs_namespace *ns = rs_store_namespace(api->store, h->ns);

		if (ns && same_text(ns->meta.uid, h->ns_uid)) {
			i++;
			continue;
		}
		api->changed |= rs_store_del(api->store, RS_KIND_POLICY, h->ns, h->name);
		forget(api, i);
	}
}

void rs_apihold_clear(struct rs_api *api)
{
	for (size_t i = 0; i < api->held.n; i++) {
		free(api->held.v[i].ns);
		free(api->held.v[i].name);
		free(api->held.v[i].ns_uid);
		free(api->held.v[i].file);
	}
	rs_vec_free(&api->held);
	free(api->held_dir);
}

/* ---- after a restart ------------------------------------------------------------------------- */

/* 1: of a namespace that is still being deleted, and in the store now. */
static int restore(struct rs_api *api, const char *text, size_t len, const char *file)
{
	struct rs_store *one = rs_store_new();
	const struct rs_policy *const *v;
	const struct rs_namespace *ns;
	rs_autofree char *name = NULL;
	size_t n;
	int kept = 0;

	rs_apitake_one(one, RS_KIND_POLICY, text, len, NULL, NULL);
	v = rs_store_policies(one, &n);
	ns = n == 1 ? going(api, v[0]->meta.ns) : NULL;
	name = ns ? file_name(ns, &v[0]->meta) : NULL;
	if (name && !strcmp(name, file) &&
	    !rs_store_find(api->store, RS_KIND_POLICY, v[0]->meta.ns, v[0]->meta.name)) {
		add(api, ns, &v[0]->meta);
		rs_store_move(api->store, one, RS_KIND_POLICY, api->kinds[RS_KIND_POLICY].mark);
		api->changed = true;
		kept = 1;
	}
	rs_store_free(one);
	return kept;
}

static bool restore_file(struct rs_api *api, int dirfd, const char *name)
{
	rs_autofree char *text = NULL;
	size_t len;

	return rs_file_read_at(dirfd, name, MAX_FILE, &text, &len, NULL) == 0 &&
	       restore(api, text, len, name);
}

void rs_apihold_restore(struct rs_api *api)
{
	rs_autoclosedir DIR *d = api->held_dir ? opendir(api->held_dir) : NULL;
	const struct dirent *e;
	int n = 0;

	while (d && n < MAX_FILES && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		n++;
		if (!restore_file(api, dirfd(d), e->d_name))
			unlinkat(dirfd(d), e->d_name, 0);
	}
}
