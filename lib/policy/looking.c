// SPDX-License-Identifier: Apache-2.0
/* looking.c - which pods may be others than they were; see looking.h. */
#include "policy/looking.h"

#include <string.h>

#include "base/base.h"
#include "object/store.h"

/* More pods than this, and all are looked at: it gathers better. */
#define MAX_LOOKED 4096u

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
		rs_intern_put(&same, &a->k->locals[i].hash, sizeof(struct rs_hash), NULL);
	for (i = 0; i < w->n_locals; i++) {
		struct rs_hash hash = rs_kept_local_hash(&w->locals[i], &b);
		uint32_t id = rs_intern_find(&same, &hash, sizeof(hash));

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

/* ---- which namespaces ------------------------------------------------------------------------ */

static void matching_namespaces(struct rs_looking *a, uint32_t dim, struct rs_intern *spaces)
{
	const struct rs_namespace *const *v;
	size_t n, i;

	v = rs_store_namespaces(a->c->w->store, &n);
	for (i = 0; i < n; i++)
		if (rs_selector_matches(a->c->ns_dim_sel.v[dim], &v[i]->meta.labels))
			rs_intern_put(spaces, v[i]->meta.name, strlen(v[i]->meta.name), NULL);
}

/* Those that a new atom may reach. One that no object speaks of is reached by its name alone. */
static void reached_namespaces(struct rs_looking *a, struct rs_intern *spaces)
{
	rs_autofree bool *done = rs_new0(bool, a->c->ns_dim_sel.n);
	size_t i, len;

	for (i = 0; i < a->names->fresh.n; i++) {
		const struct rs_atom *atom = &a->c->atoms.v[a->names->fresh.v[i]];
		const void *name;

		if (atom->ns_dim == RS_NONE) {
			name = rs_intern_key(&a->c->ns_names, atom->ns, &len);
			rs_intern_put(spaces, name, len, NULL);
		} else if (!done[atom->ns_dim]) {
			done[atom->ns_dim] = true;
			matching_namespaces(a, atom->ns_dim, spaces);
		}
	}
}

static void look_at_namespace(struct rs_looking *a, const char *ns)
{
	const struct rs_world *w = a->c->w;
	const struct rs_pod *const *pods;
	size_t n, lo = 0, hi, i;

	pods = rs_store_pods(a->c->w->store, &n);
	hi = n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(pods[mid]->meta.ns, ns) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < n && !strcmp(pods[lo]->meta.ns, ns) && a->v.n <= MAX_LOOKED; lo++)
		look_at(a, pods[lo]->meta.ns, pods[lo]->meta.name, pods[lo], pods[lo]);
	for (i = 0; i < w->n_locals; i++)
		if (!strcmp(w->locals[i].ns, ns))
			look_at_unchanged(a, w->locals[i].ns, w->locals[i].name);
}

static void look_at_reached(struct rs_looking *a)
{
	struct rs_intern spaces = { 0 };
	uint32_t i;

	reached_namespaces(a, &spaces);
	for (i = 0; i < spaces.by_id.n && a->v.n <= MAX_LOOKED; i++)
		look_at_namespace(a, rs_intern_key(&spaces, i, NULL));
	rs_intern_free(&spaces);
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
	return a->v.n <= MAX_LOOKED;
}

void rs_looking_clear(struct rs_looking *a)
{
	rs_intern_free(&a->was_here);
	rs_intern_free(&a->is_here);
	rs_intern_free(&a->looked_at);
	rs_vec_free(&a->v);
}
