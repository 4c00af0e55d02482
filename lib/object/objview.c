// SPDX-License-Identifier: Apache-2.0
/* objview.c - sorted views of a store that small changes leave sorted; see objview.h. */
#include "object/objview.h"

#include <string.h>

#include "base/base.h"

/* More than that and nobody looks meanwhile: sorting once is quicker. */
#define MAX_EDITS 16384u
#define COST_REPLACED 1u
#define COST_MOVED 8u /* everything behind it moves */

static int cmp(const struct rs_meta *x, const struct rs_meta *y)
{
	int d = strcmp(x->ns ? x->ns : "", y->ns ? y->ns : "");

	return d ? d : strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b)
{
	return cmp(*(const struct rs_meta *const *)a, *(const struct rs_meta *const *)b);
}

static void make_room(struct rs_objview *view, size_t n)
{
	if (n <= view->cap)
		return;
	view->cap = n + n / 16 + 16;
	view->v = rs_reallocarray(view->v, view->cap, sizeof(*view->v));
}

void rs_objview_begin(struct rs_objview *view, size_t n)
{
	make_room(view, n + 1); /* never NULL */
	view->n = 0;
}

void rs_objview_sort(struct rs_objview *view)
{
	if (view->n > 1)
		qsort(view->v, view->n, sizeof(*view->v), by_name);
	view->fresh = true;
}

/* The first that is not below m. */
static size_t lower(const struct rs_objview *view, const struct rs_meta *m)
{
	size_t lo = 0, hi = view->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (cmp(view->v[mid], m) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool worth_it(struct rs_objview *view, unsigned int cost)
{
	view->edits += view->fresh ? cost : 0;
	if (view->edits > MAX_EDITS)
		view->fresh = false;
	return view->fresh;
}

/* Where it stands. What is not where it has to be makes the view be made anew. */
static bool find(struct rs_objview *view, const struct rs_meta *was, size_t *at)
{
	*at = lower(view, was);
	view->fresh = *at < view->n && view->v[*at] == was;
	return view->fresh;
}

void rs_objview_put(struct rs_objview *view, const struct rs_meta *was, const struct rs_meta *now)
{
	size_t at;

	if (!worth_it(view, was ? COST_REPLACED : COST_MOVED))
		return;
	if (was) {
		if (find(view, was, &at))
			view->v[at] = now;
		return;
	}
	at = lower(view, now);
	make_room(view, view->n + 1);
	memmove(&view->v[at + 1], &view->v[at], (view->n - at) * sizeof(*view->v));
	view->v[at] = now;
	view->n++;
}

void rs_objview_gone(struct rs_objview *view, const struct rs_meta *was)
{
	size_t at;

	if (!worth_it(view, COST_MOVED) || !find(view, was, &at))
		return;
	view->n--;
	memmove(&view->v[at], &view->v[at + 1], (view->n - at) * sizeof(*view->v));
}

void rs_objview_free(struct rs_objview *view)
{
	free(view->v);
	memset(view, 0, sizeof(*view));
}
