// SPDX-License-Identifier: Apache-2.0
/* portset.c - unions and intersections of ports with the rule that allows first; see portset.h. */
#include "policy/portset.h"

#include <string.h>

void rs_portset_free(struct rs_portset *s)
{
	rs_vec_free(&s->runs);
	s->all = false;
}

static void push(struct rs_portset *s, uint8_t proto, uint32_t lo, uint32_t hi, uint32_t rule)
{
	struct rs_ir_portrule *r = rs_vec_push(&s->runs);

	r->proto = proto;
	r->lo = (uint16_t)lo;
	r->hi = (uint16_t)hi;
	r->rule = rule;
}

static int cmp_run(const void *a, const void *b)
{
	const struct rs_ir_portrule *x = a, *y = b;

	if (x->proto != y->proto)
		return x->proto < y->proto ? -1 : 1;
	return x->lo < y->lo ? -1 : x->lo > y->lo;
}

static void sort(struct rs_portset *s)
{
	if (s->runs.n > 1)
		qsort(s->runs.v, s->runs.n, sizeof(*s->runs.v), cmp_run);
}

void rs_portset_paint(struct rs_portset *s, uint8_t proto, uint16_t lo, uint16_t hi, uint32_t rule)
{
	size_t i, n = s->runs.n;
	uint32_t at = lo;

	if (s->all)
		return;
	/* Runs are sorted, so the gaps come in order; new runs go behind and are sorted in once. */
	for (i = 0; i < n && at <= hi; i++) {
		const struct rs_ir_portrule r = s->runs.v[i];

		if (r.proto != proto || r.hi < at)
			continue;
		if (r.lo > hi)
			break;
		if (r.lo > at)
			push(s, proto, at, r.lo - 1u, rule);
		at = r.hi + 1u;
	}
	if (at <= hi)
		push(s, proto, at, hi, rule);
	if (s->runs.n != n)
		sort(s);
}

void rs_portset_paint_all(struct rs_portset *s, uint32_t rule)
{
	if (s->all)
		return;
	s->all = true;
	push(s, 0, 0, UINT16_MAX, rule);
	sort(s);
}

void rs_portset_intersect(struct rs_portset *a, const struct rs_portset *b)
{
	struct rs_portset out = { 0 };
	size_t i, j;

	if (b->all)
		return;
	if (a->all) {
		rs_portset_free(a);
		for (j = 0; j < b->runs.n; j++)
			*rs_vec_push(&a->runs) = b->runs.v[j];
		return;
	}
	for (i = 0; i < a->runs.n; i++) {
		const struct rs_ir_portrule *x = &a->runs.v[i];

		for (j = 0; j < b->runs.n; j++) {
			const struct rs_ir_portrule *y = &b->runs.v[j];
			uint16_t lo = x->lo > y->lo ? x->lo : y->lo;
			uint16_t hi = x->hi < y->hi ? x->hi : y->hi;

			if (x->proto == y->proto && lo <= hi)
				push(&out, x->proto, lo, hi, x->rule);
		}
	}
	sort(&out);
	rs_portset_free(a);
	*a = out;
}

void rs_portset_content(const struct rs_portset *s, struct rs_ports *out)
{
	size_t i;

	out->n = 0;
	if (s->all) {
		*rs_vec_push(out) = (struct rs_ir_port){ 0, 0, UINT16_MAX, true };
		return;
	}
	for (i = 0; i < s->runs.n; i++) {
		const struct rs_ir_portrule *r = &s->runs.v[i];
		struct rs_ir_port *last = out->n ? &out->v[out->n - 1] : NULL;

		if (last && last->proto == r->proto && last->hi + 1u >= r->lo)
			last->hi = r->hi;
		else
			*rs_vec_push(out) = (struct rs_ir_port){ r->proto, r->lo, r->hi, true };
	}
}

bool rs_ports_allow(const struct rs_ir_port *v, size_t n, uint8_t proto, uint16_t port)
{
	bool rest = false;
	size_t i;

	for (i = 0; i < n; i++) {
		if (v[i].proto == 0)
			rest = v[i].allow;
		else if (v[i].proto == proto && v[i].lo <= port && port <= v[i].hi)
			return v[i].allow;
	}
	return rest;
}

bool rs_ports_subset(const struct rs_ir_port *a, size_t na, const struct rs_ir_port *b, size_t nb)
{
	size_t i, j = 0;

	/* A run of protocol 0 stands first, and alone: everything. Entries that deny are
	 * unproven. */
	for (i = 0; i < na; i++)
		if (!a[i].allow)
			return false;
	for (i = 0; i < nb; i++)
		if (!b[i].allow)
			return false;
	if (nb && b[0].proto == 0)
		return true;
	for (i = 0; i < na; i++) {
		while (j < nb &&
		       (b[j].proto < a[i].proto || (b[j].proto == a[i].proto && b[j].hi < a[i].hi)))
			j++;
		if (a[i].proto == 0 || j == nb || b[j].proto != a[i].proto || b[j].lo > a[i].lo)
			return false;
	}
	return true;
}
