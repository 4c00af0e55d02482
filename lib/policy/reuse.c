// SPDX-License-Identifier: Apache-2.0
/* reuse.c - facets of an earlier compile, put into the words of this one; see reuse.h. */
#include "policy/reuse.h"

#include <string.h>

#include "base/base.h"
#include "object/store.h"

struct rs_reuse {
	struct rs_classifier *x;
	const struct rs_cc *old;
	uint32_t *atoms;	   /* of old to those of x; RS_NONE: not in use any more */
	uint32_t *named;	   /* the same of named ports that tell peers apart */
	uint32_t *facets;	   /* the same, as far as they were asked for */
	struct rs_u32s fresh;	   /* atoms of x that old has not */
	struct rs_intern spaces;   /* namespaces that did */
	size_t at, window;	   /* in old's known pods: where the next one is */
	const char *ns;		   /* the namespace that the next two are of */
	bool untouched, unchanged; /* by atoms that are new; its labels */
};

/* ---- what changed ---------------------------------------------------------------------------- */

static bool read_changes(struct rs_reuse *r, uint64_t since)
{
	const struct rs_store *store = r->x->c->w->store;
	size_t n, i;

	if (!rs_store_changes(store, since, &n))
		return false;
	for (i = 0; i < n; i++) {
		const struct rs_store_change ch = rs_store_change(store, since, i);

		if (ch.kind == RS_KIND_NAMESPACE && !ch.same)
			rs_intern_put(&r->spaces, ch.name, strlen(ch.name), NULL);
	}
	r->window = n + r->old->subjects.n + r->x->c->subjects.n + 1;
	return true;
}

/* ---- old words to new ones ------------------------------------------------------------------- */

static void match_atoms(struct rs_reuse *r)
{
	const struct rs_cc *c = r->x->c;
	struct rs_intern by_hash = { 0 };
	rs_autofree bool *had = rs_new0(bool, c->atoms.n);
	size_t i;

	for (i = 0; i < c->atoms.n; i++)
		rs_intern_put(&by_hash, &c->atoms.v[i].hash, sizeof(struct rs_hash), NULL);
	for (i = 0; i < r->old->atoms.n; i++) {
		r->atoms[i] =
			rs_intern_find(&by_hash, &r->old->atoms.v[i].hash, sizeof(struct rs_hash));
		if (r->atoms[i] != RS_NONE)
			had[r->atoms[i]] = true;
	}
	for (i = 0; i < c->atoms.n; i++)
		if (!had[i])
			*rs_vec_push(&r->fresh) = (uint32_t)i;
	rs_intern_free(&by_hash);
}

static bool tells_apart(const struct rs_cc *c, uint32_t id)
{
	return id != RS_NONE && c->named_out.v[id];
}

/* False: peers are told apart by a name that they were not asked for. */
static bool match_named(struct rs_reuse *r)
{
	const struct rs_cc *c = r->x->c;
	const void *key;
	size_t len;
	uint32_t i;

	for (i = 0; i < r->old->named_out.n; i++) {
		key = rs_intern_key(&r->old->named, i, &len);
		r->named[i] = rs_intern_find(&c->named, key, len);
		if (!tells_apart(r->old, i) || !tells_apart(c, r->named[i]))
			r->named[i] = RS_NONE;
	}
	for (i = 0; i < c->named_out.n; i++) {
		key = rs_intern_key(&c->named, i, &len);
		if (tells_apart(c, i) &&
		    !tells_apart(r->old, rs_intern_find(&r->old->named, key, len)))
			return false;
	}
	return true;
}

static uint32_t translate(struct rs_reuse *r, uint32_t facet)
{
	const struct rs_facet *f = &r->old->facets.v[facet];
	struct rs_u32s atoms = { 0 };
	struct rs_u64s named = { 0 };
	uint32_t id;
	size_t i;

	for (i = 0; i < f->atoms.n; i++)
		if (r->atoms[f->atoms.v[i]] != RS_NONE)
			*rs_vec_push(&atoms) = r->atoms[f->atoms.v[i]];
	for (i = 0; i < f->named.n; i++) {
		id = r->named[f->named.v[i] >> 16];
		if (id != RS_NONE)
			*rs_vec_push(&named) =
				rs_named_pair(id, (uint16_t)(f->named.v[i] & 0xffff));
	}
	rs_u32s_sort_unique(&atoms);
	rs_u64s_sort_unique(&named);
	id = rs_classifier_facet(r->x->c, &atoms, &named);
	rs_vec_free(&atoms);
	rs_vec_free(&named);
	return id;
}

/* ---- the whole ------------------------------------------------------------------------------- */

struct rs_reuse *rs_reuse_new(struct rs_classifier *x, const struct rs_cc *old, uint64_t since)
{
	struct rs_reuse *r = rs_new(struct rs_reuse);
	size_t i;

	r->x = x;
	r->old = old;
	r->atoms = rs_new0(uint32_t, old->atoms.n);
	r->named = rs_new0(uint32_t, old->named_out.n);
	r->facets = rs_new0(uint32_t, old->facets.n);
	for (i = 0; i < old->facets.n; i++)
		r->facets[i] = RS_NONE;
	if (read_changes(r, since) && match_named(r)) {
		match_atoms(r);
		return r;
	}
	rs_reuse_free(r);
	return NULL;
}

void rs_reuse_free(struct rs_reuse *r)
{
	if (!r)
		return;
	free(r->atoms);
	free(r->named);
	free(r->facets);
	rs_vec_free(&r->fresh);
	rs_intern_free(&r->spaces);
	free(r);
}

static void enter_namespace(struct rs_reuse *r)
{
	const struct rs_classifier *x = r->x;
	size_t i;

	if (r->ns == x->ns)
		return;
	r->ns = x->ns;
	r->unchanged = rs_intern_find(&r->spaces, x->ns, strlen(x->ns)) == RS_NONE;
	r->untouched = true;
	for (i = 0; r->untouched && i < r->fresh.n; i++)
		r->untouched = !rs_classifier_reaches(x, r->fresh.v[i]);
}

/* A pod that has not changed is the same object. One that has is another, at another place: the
 * store's memory of its changes still holds the old one. */
static bool find(struct rs_reuse *r, const struct rs_pod *p, uint32_t *facet)
{
	const struct rs_classifier *was = r->old->classifier;
	size_t end = r->at + r->window, i;

	for (i = r->at; i < was->known.n && i < end; i++) {
		if (was->known.v[i].pod != p)
			continue;
		*facet = was->known.v[i].facet;
		r->at = i + 1;
		return true;
	}
	return false;
}

uint32_t rs_reuse_facet(struct rs_reuse *r, const struct rs_pod *p)
{
	uint32_t facet;

	if (!find(r, p, &facet) || facet == RS_NONE)
		return RS_NONE;
	enter_namespace(r);
	if (!r->unchanged || !r->untouched)
		return RS_NONE;
	if (r->facets[facet] == RS_NONE)
		r->facets[facet] = translate(r, facet);
	return r->facets[facet];
}
