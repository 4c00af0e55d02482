// SPDX-License-Identifier: Apache-2.0
/* store.c - objects by kind, namespace and name, with sorted views that are made when asked for. */
#include "object/changes.h"
#include "object/objtable.h"
#include "object/objview.h"
#include "object/packed.h"
#include "object/store.h"

#include <ripstop/workload.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "object/keyed_hash.h"
#include "object/object_equal.h"

/* More than this many lines helps nobody, and their number comes from outside. */
#define MAX_WARNINGS 200

struct file {
	UT_hash_handle hh;
	char name[];
};

struct skipped {
	UT_hash_handle hh;
	size_t count;
	size_t warning; /* index */
	char key[];
};

struct rs_store {
	struct rs_objtable objects[RS_KINDS];
	uint64_t serial;
	struct rs_changes changes; /* from the first time that all kinds are synced */
	struct rs_objview views[RS_KINDS];
	bool synced[RS_KINDS];
	uint64_t revision;
	struct file *files;
	struct skipped *skipped;
	struct rs_vec(char *) warnings;
};

/* ---- kinds ----------------------------------------------------------------------------------- */

_Static_assert(offsetof(struct rs_namespace, meta) == 0, "metadata comes first");
_Static_assert(offsetof(struct rs_pod, meta) == 0, "metadata comes first");
_Static_assert(offsetof(struct rs_policy, meta) == 0, "metadata comes first");
_Static_assert(offsetof(struct rs_node, meta) == 0, "metadata comes first");

void rs_object_free(enum rs_kind kind, void *o)
{
	switch (kind) {
	case RS_KIND_NAMESPACE:
		rs_namespace_free(o);
		break;
	case RS_KIND_POD:
		rs_pod_free(o);
		break;
	case RS_KIND_POLICY:
		rs_policy_free(o);
		break;
	default:
		rs_node_free(o);
		break;
	}
}

static bool object_equal(enum rs_kind kind, const void *a, const void *b)
{
	switch (kind) {
	case RS_KIND_NAMESPACE:
		return rs_namespace_equal(a, b);
	case RS_KIND_POD:
		return rs_pod_equal(a, b);
	case RS_KIND_POLICY:
		return rs_policy_equal(a, b);
	default:
		return rs_node_equal(a, b);
	}
}

/* ---- changes --------------------------------------------------------------------------------- */

uint64_t rs_store_serial(const struct rs_store *s)
{
	return s->serial;
}

uint64_t rs_store_sequence(const struct rs_store *s)
{
	return s->changes.sequence;
}

bool rs_store_changes(const struct rs_store *s, uint64_t since, size_t *n)
{
	return rs_changes_since(&s->changes, since, n);
}

struct rs_store_change rs_store_change(const struct rs_store *s, uint64_t since, size_t i)
{
	return rs_changes_at(&s->changes, since, i);
}

/* ---- life ------------------------------------------------------------------------------------ */

struct rs_store *rs_store_new(void)
{
	static _Atomic uint64_t serials;
	struct rs_store *s = rs_new(struct rs_store);

	s->serial = ++serials;
	return s;
}

/* Out of the table, into the changes. */
static void slot_gone(struct rs_store *s, enum rs_kind kind, struct rs_objslot *slot)
{
	struct rs_meta *was = slot->object;

	rs_objview_gone(&s->views[kind], was);
	rs_objtable_remove(&s->objects[kind], slot);
	rs_changes_add(&s->changes, kind, was, NULL, false);
	s->revision++;
}

static void free_names(struct rs_store *s)
{
	struct file *f, *next_file;
	struct skipped *k, *next_skipped;

	HASH_ITER(hh, s->files, f, next_file) {
		HASH_DEL(s->files, f);
		free(f);
	}
	HASH_ITER(hh, s->skipped, k, next_skipped) {
		HASH_DEL(s->skipped, k);
		free(k);
	}
}

void rs_store_free(struct rs_store *s)
{
	size_t i;
	int kind;

	if (!s)
		return;
	for (kind = 0; kind < RS_KINDS; kind++) {
		struct rs_objtable *t = &s->objects[kind];

		for (i = 0; i < t->n; i++)
			rs_object_free((enum rs_kind)kind, t->v[i].object);
		rs_objtable_free(t);
		rs_objview_free(&s->views[kind]);
	}
	rs_changes_free(&s->changes);
	free_names(s);
	for (i = 0; i < s->warnings.n; i++)
		free(s->warnings.v[i]);
	rs_vec_free(&s->warnings);
	free(s);
}

/* ---- objects --------------------------------------------------------------------------------- */

static struct rs_objslot *find(const struct rs_store *s, enum rs_kind kind, const char *ns,
			       const char *name)
{
	return rs_objtable_find(&s->objects[kind], ns, name);
}

/* The mark stays what it was. */
static struct rs_objslot *put(struct rs_store *s, enum rs_kind kind, struct rs_meta *o,
			      bool *differs)
{
	struct rs_meta *packed = rs_object_pack(kind, o), *was = NULL;
	struct rs_objslot *slot = find(s, kind, packed->ns, packed->name);

	*differs = true;
	if (slot) {
		was = slot->object;
		*differs = !object_equal(kind, was, packed);
		/* Also an equal object takes the old one's place: its position may have moved. */
		slot->object = packed;
	} else {
		slot = rs_objtable_add(&s->objects[kind], packed);
	}
	rs_objview_put(&s->views[kind], was, packed);
	rs_changes_add(&s->changes, kind, was, packed, !*differs);
	s->revision += *differs;
	return slot;
}

bool rs_store_put(struct rs_store *s, enum rs_kind kind, void *o)
{
	bool differs;

	put(s, kind, o, &differs);
	return differs;
}

bool rs_store_put_namespace(struct rs_store *s, struct rs_namespace *o)
{
	return rs_store_put(s, RS_KIND_NAMESPACE, o);
}

bool rs_store_put_pod(struct rs_store *s, struct rs_pod *o)
{
	return rs_store_put(s, RS_KIND_POD, o);
}

bool rs_store_put_policy(struct rs_store *s, struct rs_policy *o)
{
	return rs_store_put(s, RS_KIND_POLICY, o);
}

bool rs_store_put_node(struct rs_store *s, struct rs_node *o)
{
	return rs_store_put(s, RS_KIND_NODE, o);
}

bool rs_store_del(struct rs_store *s, enum rs_kind kind, const char *ns, const char *name)
{
	struct rs_objslot *slot = find(s, kind, ns, name);

	if (!slot)
		return false;
	slot_gone(s, kind, slot);
	return true;
}

/* ---- a new list in place of the old ---------------------------------------------------------- */

bool rs_store_mark(struct rs_store *s, enum rs_kind kind, const char *ns, const char *name,
		   uint32_t mark)
{
	struct rs_objslot *slot = find(s, kind, ns, name);

	if (slot)
		slot->mark = mark;
	return slot != NULL;
}

bool rs_store_marked(const struct rs_store *s, enum rs_kind kind, const char *ns, const char *name,
		     uint32_t mark)
{
	const struct rs_objslot *slot = find(s, kind, ns, name);

	return slot && slot->mark == mark;
}

static void warn_safe(struct rs_store *s, const char *safe);

bool rs_store_move(struct rs_store *s, struct rs_store *from, enum rs_kind kind, uint32_t mark)
{
	struct rs_objtable *t = &from->objects[kind];
	bool any = false;
	size_t i;

	for (i = 0; i < t->n; i++) {
		bool differs;

		put(s, kind, t->v[i].object, &differs)->mark = mark;
		any |= differs;
	}
	rs_objtable_free(t);
	from->views[kind].fresh = false;
	for (i = 0; i < from->warnings.n; i++)
		warn_safe(s, from->warnings.v[i]);
	return any;
}

bool rs_store_sweep(struct rs_store *s, enum rs_kind kind, uint32_t mark)
{
	const struct rs_objtable *t = &s->objects[kind];
	bool any = false;
	size_t i = 0;

	while (i < t->n) {
		if (t->v[i].mark == mark) {
			i++;
			continue;
		}
		slot_gone(s, kind, &t->v[i]); /* another is in its place now */
		any = true;
	}
	return any;
}

const struct rs_meta *rs_store_find(const struct rs_store *s, enum rs_kind kind, const char *ns,
				    const char *name)
{
	const struct rs_objslot *slot = find(s, kind, ns, name);

	return slot ? slot->object : NULL;
}

const struct rs_namespace *rs_store_namespace(const struct rs_store *s, const char *name)
{
	return (const void *)rs_store_find(s, RS_KIND_NAMESPACE, NULL, name);
}

const struct rs_pod *rs_store_pod(const struct rs_store *s, const char *ns, const char *name)
{
	return (const void *)rs_store_find(s, RS_KIND_POD, ns, name);
}

const struct rs_policy *rs_store_policy(const struct rs_store *s, const char *ns, const char *name)
{
	return (const void *)rs_store_find(s, RS_KIND_POLICY, ns, name);
}

const struct rs_node *rs_store_node(const struct rs_store *s, const char *name)
{
	return (const void *)rs_store_find(s, RS_KIND_NODE, NULL, name);
}

/* ---- views ----------------------------------------------------------------------------------- */

/* The view is a cache: making it changes nothing that a caller can see of a const store. */
static const void *const *view(const struct rs_store *s, enum rs_kind kind, size_t *n)
{
	struct rs_objview *view = &((struct rs_store *)(uintptr_t)s)->views[kind];
	const struct rs_objtable *t = &s->objects[kind];

	if (!view->fresh) {
		rs_objview_begin(view, t->n);
		for (view->n = 0; view->n < t->n; view->n++)
			view->v[view->n] = t->v[view->n].object;
		rs_objview_sort(view);
	}
	view->edits = 0;
	*n = view->n;
	return view->v;
}

const struct rs_namespace *const *rs_store_namespaces(const struct rs_store *s, size_t *n)
{
	return (const struct rs_namespace *const *)view(s, RS_KIND_NAMESPACE, n);
}

const struct rs_pod *const *rs_store_pods(const struct rs_store *s, size_t *n)
{
	return (const struct rs_pod *const *)view(s, RS_KIND_POD, n);
}

const struct rs_policy *const *rs_store_policies(const struct rs_store *s, size_t *n)
{
	return (const struct rs_policy *const *)view(s, RS_KIND_POLICY, n);
}

const struct rs_node *const *rs_store_nodes(const struct rs_store *s, size_t *n)
{
	return (const struct rs_node *const *)view(s, RS_KIND_NODE, n);
}

const struct rs_meta *const *rs_store_metas(const struct rs_store *s, enum rs_kind kind, size_t *n)
{
	return (const struct rs_meta *const *)view(s, kind, n);
}

/* ---- state ----------------------------------------------------------------------------------- */

void rs_store_set_synced(struct rs_store *s, enum rs_kind kind, bool synced)
{
	s->synced[kind] = synced;
	if (rs_store_synced(s))
		rs_changes_begin(&s->changes);
}

bool rs_store_synced(const struct rs_store *s)
{
	int kind;

	for (kind = 0; kind < RS_KINDS; kind++)
		if (!s->synced[kind])
			return false;
	return true;
}

uint64_t rs_store_revision(const struct rs_store *s)
{
	return s->revision;
}

void rs_store_follow(struct rs_store *s, const struct rs_store *older, bool changed)
{
	s->revision = older->revision + changed;
}

const char *rs_store_file(struct rs_store *s, const char *name)
{
	size_t len = strlen(name);
	struct file *f;

	HASH_FIND_STR(s->files, name, f);
	if (!f) {
		f = rs_calloc(1, sizeof(*f) + len + 1);
		memcpy(f->name, name, len + 1);
		HASH_ADD_KEYPTR(hh, s->files, f->name, len, f);
	}
	return f->name;
}

/* ---- warnings -------------------------------------------------------------------------------- */

static void warn_safe(struct rs_store *s, const char *safe)
{
	size_t i;

	if (s->warnings.n > MAX_WARNINGS)
		return;
	for (i = 0; i < s->warnings.n; i++)
		if (!strcmp(s->warnings.v[i], safe))
			return;
	*rs_vec_push(&s->warnings) =
		rs_strdup(s->warnings.n == MAX_WARNINGS ? "further warnings are not shown" : safe);
}

static void warn_text(struct rs_store *s, const char *text)
{
	rs_auto_strbuf safe = { 0 };

	rs_strbuf_puts_safe(&safe, text);
	warn_safe(s, rs_strbuf_str(&safe));
}

void rs_store_warn(struct rs_store *s, const char *fmt, ...)
{
	rs_autofree char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = rs_vasprintf(fmt, ap);
	va_end(ap);
	warn_text(s, text);
}

static char *skip_text(const struct skipped *k)
{
	rs_auto_strbuf safe = { 0 };

	rs_strbuf_puts_safe(&safe, k->key);
	return rs_asprintf("%zu object%s skipped: Ripstop does not read %s", k->count,
			   k->count == 1 ? "" : "s", rs_strbuf_str(&safe));
}

void rs_store_skip(struct rs_store *s, const char *kind, const char *api_version)
{
	rs_autofree char *key = rs_asprintf("%.128s (%.128s)", kind, api_version);
	struct skipped *k;

	HASH_FIND_STR(s->skipped, key, k);
	if (!k && s->warnings.n >= MAX_WARNINGS) {
		warn_text(s, key);
		return;
	}
	if (!k) {
		k = rs_calloc(1, sizeof(*k) + strlen(key) + 1);
		memcpy(k->key, key, strlen(key) + 1);
		k->warning = s->warnings.n;
		*rs_vec_push(&s->warnings) = rs_strdup("");
		HASH_ADD_KEYPTR(hh, s->skipped, k->key, strlen(k->key), k);
	}
	k->count++;
	free(s->warnings.v[k->warning]);
	s->warnings.v[k->warning] = skip_text(k);
}

const char *const *rs_store_warnings(const struct rs_store *s, size_t *n)
{
	*n = s->warnings.n;
	return (const char *const *)s->warnings.v;
}

static bool warnings_equal(const struct rs_store *a, const struct rs_store *b)
{
	size_t i;

	if (a->warnings.n != b->warnings.n)
		return false;
	for (i = 0; i < a->warnings.n; i++)
		if (strcmp(a->warnings.v[i], b->warnings.v[i]))
			return false;
	return true;
}

/* Whether s has an object that is equal. */
static bool is_same(const struct rs_store *s, enum rs_kind kind, const struct rs_meta *o)
{
	const struct rs_objslot *slot = find(s, kind, o->ns, o->name);

	return slot && object_equal(kind, o, slot->object);
}

bool rs_store_equal(const struct rs_store *a, const struct rs_store *b)
{
	size_t i;
	int kind;

	for (kind = 0; kind < RS_KINDS; kind++) {
		const struct rs_objtable *t = &a->objects[kind];

		if (a->synced[kind] != b->synced[kind] || t->n != b->objects[kind].n)
			return false;
		for (i = 0; i < t->n; i++)
			if (!is_same(b, (enum rs_kind)kind, t->v[i].object))
				return false;
	}
	return warnings_equal(a, b);
}

/* ---- a folder's namespaces ------------------------------------------------------------------- */

/* Names of those that were made, for the warning: the first ten. */
struct implied {
	struct rs_strbuf names;
	size_t count;
};

static void imply_namespace(struct rs_store *s, const char *ns, struct implied *im)
{
	struct rs_namespace *o;

	if (rs_store_find(s, RS_KIND_NAMESPACE, NULL, ns))
		return;
	if (++im->count <= 10)
		rs_strbuf_printf(&im->names, "%s%s", im->names.len ? ", " : "", ns);
	o = rs_new(struct rs_namespace);
	o->meta.name = rs_strdup(ns);
	o->implied = true;
	rs_store_put_namespace(s, o);
}

static void imply_namespaces(struct rs_store *s, enum rs_kind kind, struct implied *im)
{
	size_t n, i;
	const struct rs_meta *const *v = (const struct rs_meta *const *)view(s, kind, &n);

	for (i = 0; i < n; i++)
		imply_namespace(s, v[i]->ns, im);
}

void rs_store_finish_with(struct rs_store *s, const struct rs_extras *x)
{
	struct implied im = { 0 };
	const struct rs_objtable *namespaces = &s->objects[RS_KIND_NAMESPACE];
	size_t i;

	imply_namespaces(s, RS_KIND_POD, &im);
	imply_namespaces(s, RS_KIND_POLICY, &im);
	for (i = 0; x && i < x->n_workloads; i++)
		imply_namespace(s, x->workloads[i].meta.ns, &im);
	if (im.count > 10)
		rs_strbuf_printf(&im.names, " and %zu more", im.count - 10);
	if (im.count)
		rs_store_warn(s,
			      "used and not defined, so without labels of %s own: namespace%s %s",
			      im.count > 1 ? "their" : "its", im.count > 1 ? "s" : "",
			      rs_strbuf_str(&im.names));
	rs_strbuf_free(&im.names);
	/* The API server sets this label and lets nobody choose it (semantics D10). */
	for (i = 0; i < namespaces->n; i++) {
		struct rs_meta *m = namespaces->v[i].object;

		rs_labels_set(&m->labels, "kubernetes.io/metadata.name", m->name);
	}
}

void rs_store_finish_folder(struct rs_store *s)
{
	rs_store_finish_with(s, NULL);
}
