// SPDX-License-Identifier: Apache-2.0
/*
 * draftcells.c - cells of a draft in the order of an IR, by numbers that were given or proposed.
 *
 * A draft has the cells of each group in one piece. So the groups are sorted, and within each its
 * cells where they are not sorted as they come: numbers of classes mostly rise as a draft's do.
 */
#include <stdlib.h>

#include "base/base.h"
#include "policy/compile.h"
#include "policy/irtools.h"

/* Cells [from, to) of one group. */
struct run {
	uint8_t dir;
	uint32_t group;
	size_t from, to;
};

struct runs rs_vec(struct run);

static int cmp_run(const void *a, const void *b)
{
	const struct run *x = a, *y = b;

	if (x->dir != y->dir)
		return x->dir < y->dir ? -1 : 1;
	return (x->group > y->group) - (x->group < y->group);
}

static void find_runs(const struct rs_draft *d, const uint32_t *groups, struct runs *out)
{
	size_t from, to;

	for (from = 0; from < d->cells.n; from = to) {
		uint32_t group = d->cells.v[from].group;

		for (to = from + 1; to < d->cells.n && d->cells.v[to].group == group;)
			to++;
		*rs_vec_push(out) = (struct run){ rs_draft_ir_dir(d->groups.v[group].dir),
						  groups[group], from, to };
	}
	if (out->n > 1)
		qsort(out->v, out->n, sizeof(*out->v), cmp_run);
}

static void put_run(const struct rs_draft *d, const struct run *r, const uint32_t *classes,
		    const uint32_t *profiles, struct rs_ir_cell *out)
{
	bool sorted = true;
	size_t i, n = 0;

	for (i = r->from; i < r->to; i++, n++) {
		const struct rs_draft_cell *c = &d->cells.v[i];

		out[n] = (struct rs_ir_cell){
			.dir = r->dir,
			.group = r->group,
			.cls = classes[c->cls],
			.profile = profiles[c->content],
			.first_why = (uint32_t)i,
		};
		sorted &= !n || out[n - 1].cls < out[n].cls;
	}
	if (!sorted)
		qsort(out, n, sizeof(*out), rs_ir_cell_cmp);
}

void rs_draft_ir_cells(const struct rs_draft *d, const uint32_t *groups, const uint32_t *classes,
		       const uint32_t *profiles, struct rs_ir_cell *out)
{
	struct runs runs = { 0 };
	size_t i, n = 0;

	find_runs(d, groups, &runs);
	for (i = 0; i < runs.n; i++) {
		put_run(d, &runs.v[i], classes, profiles, out + n);
		n += runs.v[i].to - runs.v[i].from;
	}
	rs_vec_free(&runs);
}
