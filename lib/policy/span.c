// SPDX-License-Identifier: Apache-2.0
/* span.c - interval sets of addresses; see span.h. */
#include "policy/span.h"

void rs_spans_add_cidr(struct rs_spans *s, const struct rs_cidr *c)
{
	struct rs_span *n = rs_vec_push(s);

	n->lo = rs_cidr_first(c);
	n->hi = rs_cidr_last(c);
}

static int cmp_span(const void *a, const void *b)
{
	return rs_addr_cmp(&((const struct rs_span *)a)->lo, &((const struct rs_span *)b)->lo);
}

void rs_spans_normalise(struct rs_spans *s)
{
	size_t i, n = 0;

	if (s->n < 2)
		return;
	qsort(s->v, s->n, sizeof(*s->v), cmp_span);
	for (i = 0; i < s->n; i++) {
		struct rs_addr after = n ? s->v[n - 1].hi : s->v[i].lo;
		bool joins = n && after.family == s->v[i].lo.family &&
			     (!rs_addr_next(&after) || rs_addr_cmp(&s->v[i].lo, &after) <= 0);

		if (!joins)
			s->v[n++] = s->v[i];
		else if (rs_addr_cmp(&s->v[i].hi, &s->v[n - 1].hi) > 0)
			s->v[n - 1].hi = s->v[i].hi;
	}
	s->n = n;
}

void rs_spans_add_block(struct rs_spans *s, const struct rs_ipblock *b)
{
	struct rs_addr at = rs_cidr_first(&b->cidr), end = rs_cidr_last(&b->cidr);
	struct rs_spans out = { 0 };
	bool done = false;
	size_t i;

	if (rs_cidr_is_v4mapped(&b->cidr))
		return;
	for (i = 0; i < b->n_except; i++)
		if (rs_cidr_overlaps(&b->cidr, &b->except[i]))
			rs_spans_add_cidr(&out, &b->except[i]);
	rs_spans_normalise(&out);
	for (i = 0; i < out.n && !done; i++) {
		struct rs_addr before = out.v[i].lo;

		if (rs_addr_cmp(&out.v[i].lo, &at) > 0 && rs_addr_prev(&before))
			*rs_vec_push(s) = (struct rs_span){ at, before };
		at = out.v[i].hi;
		done = rs_addr_cmp(&at, &end) >= 0 || !rs_addr_next(&at);
	}
	if (!done)
		*rs_vec_push(s) = (struct rs_span){ at, end };
	rs_vec_free(&out);
}

bool rs_ipblock_contains(const struct rs_ipblock *b, const struct rs_addr *a)
{
	size_t i;

	if (rs_cidr_is_v4mapped(&b->cidr) || !rs_cidr_contains(&b->cidr, a))
		return false;
	for (i = 0; i < b->n_except; i++)
		if (rs_cidr_contains(&b->except[i], a))
			return false;
	return true;
}
