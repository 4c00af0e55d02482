// SPDX-License-Identifier: Apache-2.0
/* looking.c - which pods may be others than they were; see looking.h. */
#include "policy/looking.h"

#include <string.h>

#include "base/base.h"
#include "object/store.h"

/* More pods than this, and all are looked at: it gathers better. */
#define MAX_LOOKED 4096u
/* The same, when more new selectors than this are tried on each pod. */
#define MAX_TRIED 4u

static void name_key(struct rs_strbuf *b, const char *ns, const char *name)
{
	rs_strbuf_reset(b);
	rs_key_str(b, ns);
	rs_key_str(b, name);
}

/* False: two have one name. */
static bool put_name(struct rs_intern *t, struct rs_strbuf *b, const char *ns, const char *name)
{
	bool fresh;

	name_key(b, ns, name);
	rs_intern_put(t, b->s, b->len, &fresh);
	return fresh;
}

static bool index_locals(struct rs_looking *a)
{
	const struct rs_world *w = a->c->w;
	rs_auto_strbuf b = { 0 };
	bool ok = true;
	size_t i;

	for (i = 0; ok && i < a->k->n_locals; i++)
		ok = put_name(&a->was_here, &b, a->k->locals[i].ns, a->k->locals[i].name);
	for (i = 0; ok && i < w->n_locals; i++)
		ok = put_name(&a->is_here, &b, w->locals[i].ns, w->locals[i].name);
	return ok;
}

/* pod: as it is in the store. was: before the changes, if it is among them. */
static void look_at(struct rs_looking *a, const char *ns, const char *name,
		    const struct rs_pod *pod, const struct rs_pod *was)
{
	rs_auto_strbuf key = { 0 };
	struct rs_looked *l;
	uint32_t was_id, is_id;
	bool fresh;

	name_key(&key, ns, name);
	rs_intern_put(&a->looked_at, key.s, key.len, &fresh);
	if (!fresh)
		return;
	was_id = rs_intern_find(&a->was_here, key.s, key.len);
	is_id = rs_intern_find(&a->is_here, key.s, key.len);
	l = rs_vec_push(&a->v);
	*l = (struct rs_looked){
		.ns = ns,
		.name = name,
		.was_local = was_id == RS_NONE ? NULL : &a->k->locals[was_id],
		.was = was,
		.local = is_id == RS_NONE ? NULL : &a->c->w->locals[is_id],
		.pod = pod,
	};
}

static void look_at_unchanged(struct rs_looking *a, const char *ns, const char *name)
{
	const struct rs_pod *pod = rs_store_pod(a->c->w->store, ns, name);

	look_at(a, ns, name, pod, pod);
}

/* False: something changed on which more than itself depends. */
static bool look_at_changes(struct rs_looking *a, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		struct rs_store_change ch = rs_store_change(a->c->w->store, a->k->sequence, i);

		if (ch.kind == RS_KIND_POD)
			look_at(a, ch.ns, ch.name, rs_store_pod(a->c->w->store, ch.ns, ch.name),
				(const struct rs_pod *)(const void *)ch.was);
		else if (ch.kind != RS_KIND_POLICY && !ch.same)
			return false;
	}
	return true;
}

static void look_at_locals(struct rs_looking *a)
{
	const struct rs_world *w = a->c->w;
	struct rs_intern same = { 0 };
	rs_autofree bool *stays = rs_new0(bool, a->k->n_locals);
	rs_auto_strbuf b = { 0 };
	size_t i;

	for (i = 0; i < a->k->n_locals; i++)
		rs_intern_put_digest(&same, &a->k->locals[i].hash, NULL);
	for (i = 0; i < w->n_locals; i++) {
		struct rs_hash hash = rs_kept_local_hash(&w->locals[i], &b);
		uint32_t id = rs_intern_find_digest(&same, &hash);

		if (id == RS_NONE)
			look_at_unchanged(a, w->locals[i].ns, w->locals[i].name);
		else
			stays[id] = true;
	}
	for (i = 0; i < a->k->n_locals; i++)
		if (!stays[i])
			look_at_unchanged(a, a->k->locals[i].ns, a->k->locals[i].name);
	rs_intern_free(&same);
}

/* ---- whom a new selector may reach ----------------------------------------------------------- */

/* New atoms about the same namespaces. */
struct reach {
	const uint32_t *atoms;
	size_t n;
};

static bool matches_any(const struct rs_looking *a, const struct reach *r,
			const struct rs_labels *labels)
{
	size_t i;

	for (i = 0; i < r->n; i++) {
		const struct rs_selector *pods = a->c->atoms.v[r->atoms[i]].pods;

		if (!pods || rs_selector_matches(pods, labels))
			return true;
	}
	return false;
}

static size_t first_stored(const struct rs_pod *const *pods, size_t n, const char *ns)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(pods[mid]->meta.ns, ns) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static size_t first_subject(const struct rs_cc *c, const char *ns)
{
	size_t lo = 0, hi = c->subjects.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(c->subjects.v[mid].pod->ns, ns) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void look_at_namespace(struct rs_looking *a, const struct reach *r, const char *ns)
{
	const struct rs_pod *const *pods;
	size_t n, i;

	pods = rs_store_pods(a->c->w->store, &n);
	for (i = first_stored(pods, n, ns); i < n && !strcmp(pods[i]->meta.ns, ns); i++) {
		a->tried += r->n;
		if (matches_any(a, r, &pods[i]->meta.labels))
			look_at(a, pods[i]->meta.ns, pods[i]->meta.name, pods[i], pods[i]);
	}
	for (i = first_subject(a->c, ns); i < a->c->subjects.n; i++) {
		const struct rs_local_pod *p = a->c->subjects.v[i].pod;

		if (strcmp(p->ns, ns) != 0)
			break;
		if (!p->closed && matches_any(a, r, p->labels))
			look_at_unchanged(a, p->ns, p->name);
	}
}

static bool too_many(const struct rs_looking *a)
{
	size_t n;

	rs_store_pods(a->c->w->store, &n);
	return a->v.n > MAX_LOOKED || a->tried > MAX_TRIED * n + MAX_LOOKED;
}

/* One that no object speaks of is reached by its name alone. */
static void look_at_reach(struct rs_looking *a, const struct reach *r)
{
	const struct rs_atom *atom = &a->c->atoms.v[r->atoms[0]];
	const struct rs_namespace *const *v;
	size_t n, i;

	if (atom->ns_dim == RS_NONE) {
		look_at_namespace(a, r, rs_intern_key(&a->c->ns_names, atom->ns, NULL));
		return;
	}
	v = rs_store_namespaces(a->c->w->store, &n);
	for (i = 0; i < n && !too_many(a); i++)
		if (rs_selector_matches(a->c->ns_dim_sel.v[atom->ns_dim], &v[i]->meta.labels))
			look_at_namespace(a, r, v[i]->meta.name);
}

static int by_namespaces(const void *x, const void *y, void *arg)
{
	const struct rs_cc *c = arg;
	const struct rs_atom *a = &c->atoms.v[*(const uint32_t *)x];
	const struct rs_atom *b = &c->atoms.v[*(const uint32_t *)y];

	if (a->ns_dim != b->ns_dim)
		return a->ns_dim < b->ns_dim ? -1 : 1;
	return (a->ns > b->ns) - (a->ns < b->ns);
}

static void look_at_reached(struct rs_looking *a)
{
	const struct rs_u32s *fresh = &a->names->fresh;
	rs_autofree uint32_t *atoms = rs_new0(uint32_t, fresh->n);
	size_t from, to;

	if (!fresh->n)
		return;
	memcpy(atoms, fresh->v, fresh->n * sizeof(*atoms));
	qsort_r(atoms, fresh->n, sizeof(*atoms), by_namespaces, a->c);
	for (from = 0; from < fresh->n && !too_many(a); from = to) {
		for (to = from + 1; to < fresh->n; to++)
			if (by_namespaces(&atoms[from], &atoms[to], a->c) != 0)
				break;
		look_at_reach(a, &(struct reach){ atoms + from, to - from });
	}
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Pods of the store that are looked at for a change come first: those know what they were. */
bool rs_looking_choose(struct rs_looking *a)
{
	size_t n;

	if (!rs_kept_follows(a->k, a->c->w, &n) || !index_locals(a) || !look_at_changes(a, n))
		return false;
	look_at_locals(a);
	look_at_reached(a);
	return !too_many(a);
}

void rs_looking_clear(struct rs_looking *a)
{
	rs_intern_free(&a->was_here);
	rs_intern_free(&a->is_here);
	rs_intern_free(&a->looked_at);
	rs_vec_free(&a->v);
}
