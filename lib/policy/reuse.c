// SPDX-License-Identifier: Apache-2.0
/* reuse.c - facets of an earlier compile, put into the words of this one; see reuse.h. */
#include "policy/reuse.h"

#include <string.h>

#include "base/base.h"
#include "object/store.h"
#include "policy/renaming.h"

struct rs_reuse {
	struct rs_classifier *x;
	const struct rs_cc *old;
	struct rs_renaming names;
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
	r->window = n + r->old->classifier->known_locals + r->x->c->subjects.n + 1;
	return true;
}

/* ---- the whole ------------------------------------------------------------------------------- */

struct rs_reuse *rs_reuse_new(struct rs_classifier *x, const struct rs_cc *old, uint64_t since)
{
	struct rs_reuse *r = rs_new(struct rs_reuse);

	r->x = x;
	r->old = old;
	if (read_changes(r, since) && rs_renaming_make(&r->names, x->c, old))
		return r;
	rs_reuse_free(r);
	return NULL;
}

void rs_reuse_free(struct rs_reuse *r)
{
	if (!r)
		return;
	rs_renaming_clear(&r->names);
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
	for (i = 0; r->untouched && i < r->names.fresh.n; i++)
		r->untouched = !rs_classifier_reaches(x, r->names.fresh.v[i]);
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
	return rs_renaming_facet(&r->names, facet);
}
