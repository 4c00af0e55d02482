// SPDX-License-Identifier: Apache-2.0
/* renaming.c - old words to new ones; see renaming.h. */
#include "policy/renaming.h"

#include <string.h>

#include "base/base.h"
#include "policy/classify.h"

static void match_atoms(struct rs_renaming *r)
{
	const struct rs_cc *c = r->c;
	struct rs_intern by_hash = { 0 };
	rs_autofree bool *had = rs_new0(bool, c->atoms.n);
	size_t i;

	for (i = 0; i < c->atoms.n; i++)
		rs_intern_put_digest(&by_hash, &c->atoms.v[i].hash, NULL);
	for (i = 0; i < r->old->atoms.n; i++) {
		r->atoms[i] = rs_intern_find_digest(&by_hash, &r->old->atoms.v[i].hash);
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
static bool match_named(struct rs_renaming *r)
{
	const struct rs_cc *c = r->c;
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

static uint32_t rename_facet(struct rs_renaming *r, uint32_t facet)
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
	id = rs_classifier_facet(r->c, &atoms, &named);
	rs_vec_free(&atoms);
	rs_vec_free(&named);
	return id;
}

uint32_t rs_renaming_facet(struct rs_renaming *r, uint32_t facet)
{
	if (r->facets[facet] == RS_NONE)
		r->facets[facet] = rename_facet(r, facet);
	return r->facets[facet];
}

bool rs_renaming_make(struct rs_renaming *r, struct rs_cc *c, const struct rs_cc *old)
{
	size_t i;

	*r = (struct rs_renaming){
		.c = c,
		.old = old,
		.atoms = rs_new0(uint32_t, old->atoms.n),
		.named = rs_new0(uint32_t, old->named_out.n),
		.facets = rs_new0(uint32_t, old->facets.n),
	};
	for (i = 0; i < old->facets.n; i++)
		r->facets[i] = RS_NONE;
	if (!match_named(r))
		return false;
	match_atoms(r);
	return true;
}

void rs_renaming_clear(struct rs_renaming *r)
{
	free(r->atoms);
	free(r->named);
	free(r->facets);
	rs_vec_free(&r->fresh);
	memset(r, 0, sizeof(*r));
}
