// SPDX-License-Identifier: Apache-2.0
/*
 * outside.c - addresses that are no pod's, cut where the ipBlocks of either side cut them.
 *
 * Addresses that are alike on each side are one subject. The largest of each family together are
 * "world"; the others have the text of their first range. Pod ranges are left out: who lives there
 * is a pod, or nobody.
 */
#include "cli/whatif/whatif.h"

#include <string.h>

struct cut {
	struct rs_addr at;
};

struct cuts rs_vec(struct cut);

struct part {
	uint32_t cls[SIDES];
	struct rs_span span;
};

struct parts rs_vec(struct part);

static int cut_cmp(const void *a, const void *b)
{
	return rs_addr_cmp(&((const struct cut *)a)->at, &((const struct cut *)b)->at);
}

static void add_cut(struct cuts *c, const struct rs_addr *a)
{
	*rs_vec_push(c) = (struct cut){ *a };
}

static void add_cuts(const struct rs_ir *ir, int family, struct cuts *c)
{
	size_t i;

	for (i = 0; i < ir->n_ranges; i++) {
		struct rs_addr after = ir->ranges[i].hi;

		if (ir->ranges[i].lo.family != family)
			continue;
		add_cut(c, &ir->ranges[i].lo);
		if (rs_addr_next(&after))
			add_cut(c, &after);
	}
}

static bool in_pod_ranges(struct cli_world *const worlds[SIDES], const struct rs_addr *a)
{
	int side;

	for (side = 0; side < SIDES; side++)
		if (worlds[side] &&
		    rs_cidrs_contain(worlds[side]->w.pod_ranges, worlds[side]->w.n_pod_ranges, a))
			return true;
	return false;
}

static void add_part(struct cli_world *const worlds[SIDES], struct rs_span span, struct parts *out)
{
	struct part *p;
	int side;

	if (in_pod_ranges(worlds, &span.lo))
		return;
	p = rs_vec_push(out);
	p->span = span;
	for (side = 0; side < SIDES; side++)
		if (worlds[side])
			p->cls[side] = rs_ir_class_range(worlds[side]->ir, &span.lo);
}

static void cut_family(struct cli_world *const worlds[SIDES], int family, struct parts *out)
{
	struct rs_addr first = { .family = (uint8_t)family }, last = first;
	struct cuts cuts = { 0 };
	size_t i;
	int side;

	memset(last.b, 0xff, rs_addr_bytes(family));
	add_cut(&cuts, &first);
	for (side = 0; side < SIDES; side++)
		if (worlds[side])
			add_cuts(worlds[side]->ir, family, &cuts);
	qsort(cuts.v, cuts.n, sizeof(*cuts.v), cut_cmp);
	for (i = 0; i < cuts.n; i++) {
		struct rs_span s = { cuts.v[i].at, last };

		if (i + 1 < cuts.n && !rs_addr_cmp(&cuts.v[i + 1].at, &s.lo))
			continue;
		if (i + 1 < cuts.n) {
			s.hi = cuts.v[i + 1].at;
			rs_addr_prev(&s.hi);
		}
		add_part(worlds, s, out);
	}
	rs_vec_free(&cuts);
}

static int part_cmp(const void *a, const void *b)
{
	const struct part *x = a, *y = b;
	int d = memcmp(x->cls, y->cls, sizeof(x->cls));

	return d ? d : rs_addr_cmp(&x->span.lo, &y->span.lo);
}

/* ---- subjects of the parts ------------------------------------------------------------------- */

static double size_of(const struct subject *s)
{
	double sum = 0;
	size_t i, k;

	for (i = 0; i < s->spans.n; i++) {
		double n = 0;

		for (k = 0; k < rs_addr_bytes(s->spans.v[i].lo.family); k++)
			n = n * 256 + s->spans.v[i].hi.b[k] - s->spans.v[i].lo.b[k];
		sum += n + 1;
	}
	return sum;
}

static void add_span(struct subject *s, const struct rs_span *span)
{
	struct rs_span *last = s->spans.n ? &s->spans.v[s->spans.n - 1] : NULL;
	struct rs_addr after = last ? last->hi : span->lo;

	if (last && rs_addr_next(&after) && !rs_addr_cmp(&after, &span->lo))
		last->hi = span->hi;
	else
		*rs_vec_push(&s->spans) = *span;
}

static bool bit(const struct rs_addr *a, unsigned int i)
{
	return a->b[i / 8] >> (7 - i % 8) & 1;
}

/* The prefix length of the block that the span is; false when it is none. */
static bool is_block(const struct rs_span *s, uint8_t *len)
{
	unsigned int bits = rs_addr_bits(s->lo.family), i;

	for (*len = 0; *len < bits && bit(&s->lo, *len) == bit(&s->hi, *len);)
		++*len;
	for (i = *len; i < bits; i++)
		if (bit(&s->lo, i) || !bit(&s->hi, i))
			return false;
	return true;
}

static char *span_text(const struct rs_span *s)
{
	char lo[RS_ADDR_STRLEN], hi[RS_ADDR_STRLEN], cidr[RS_CIDR_STRLEN];
	struct rs_cidr c = { .addr = s->lo };

	if (!rs_addr_cmp(&s->lo, &s->hi))
		return rs_strdup(rs_addr_str(&s->lo, lo));
	if (is_block(s, &c.len))
		return rs_strdup(rs_cidr_str(&c, cidr));
	return rs_asprintf("%s-%s", rs_addr_str(&s->lo, lo), rs_addr_str(&s->hi, hi));
}

static void name_it(struct subject *s)
{
	rs_autofree char *first = span_text(&s->spans.v[0]);

	s->text = s->spans.n == 1 ? rs_strdup(first)
				  : rs_asprintf("%s and %zu more", first, s->spans.n - 1);
}

/* The subjects of one family behind out->v[from]; the largest is moved to *world. */
static void take_world(struct subjects *out, size_t from, struct subject *world)
{
	size_t i, best = from;

	for (i = from + 1; i < out->n; i++)
		if (size_of(&out->v[i]) > size_of(&out->v[best]))
			best = i;
	for (i = 0; i < out->v[best].spans.n; i++)
		*rs_vec_push(&world->spans) = out->v[best].spans.v[i];
	for (i = 0; i < FAMILIES; i++)
		if (out->v[best].addr[i].family)
			world->addr[i] = out->v[best].addr[i];
	rs_vec_free(&out->v[best].spans);
	out->n--;
	memmove(&out->v[best], &out->v[best + 1], (out->n - best) * sizeof(*out->v));
}

static void add_family(struct cli_world *const worlds[SIDES], int family, struct subjects *out,
		       struct subject *world)
{
	struct parts parts = { 0 };
	size_t i, from = out->n;

	cut_family(worlds, family, &parts);
	if (parts.n > 1)
		qsort(parts.v, parts.n, sizeof(*parts.v), part_cmp);
	for (i = 0; i < parts.n; i++) {
		struct subject *s;

		if (!i || memcmp(parts.v[i].cls, parts.v[i - 1].cls, sizeof(parts.v[i].cls))) {
			s = rs_vec_push(out);
			s->outside = true;
			s->addr[family_index(family)] = parts.v[i].span.lo;
		}
		add_span(&out->v[out->n - 1], &parts.v[i].span);
	}
	if (out->n > from)
		take_world(out, from, world);
	for (i = from; i < out->n; i++)
		name_it(&out->v[i]);
	rs_vec_free(&parts);
}

static int by_addr(const void *a, const void *b)
{
	const struct subject *x = a, *y = b;

	return rs_addr_cmp(&x->spans.v[0].lo, &y->spans.v[0].lo);
}

static bool has_family(struct cli_world *const worlds[SIDES], int family)
{
	size_t i;
	int side;

	for (side = 0; side < SIDES; side++)
		for (i = 0; worlds[side] && i < worlds[side]->ir->n_locals; i++)
			if (worlds[side]->ir->locals[i].addr.family == family)
				return true;
	return false;
}

void subjects_add_outside(struct cli_world *const worlds[SIDES], struct subjects *out)
{
	struct subject world = { .outside = true };
	size_t from = out->n;

	add_family(worlds, RS_AF_IP4, out, &world);
	if (has_family(worlds, RS_AF_IP6))
		add_family(worlds, RS_AF_IP6, out, &world);
	if (out->n - from > 1)
		qsort(&out->v[from], out->n - from, sizeof(*out->v), by_addr);
	world.text = rs_strdup("world");
	*rs_vec_push(out) = world;
}

uint32_t subjects_of_addr(const struct subjects *s, const struct rs_addr *a)
{
	size_t i, k;

	for (i = 0; i < s->n; i++)
		for (k = 0; k < s->v[i].spans.n; k++)
			if (s->v[i].spans.v[k].lo.family == a->family &&
			    rs_addr_cmp(&s->v[i].spans.v[k].lo, a) <= 0 &&
			    rs_addr_cmp(a, &s->v[i].spans.v[k].hi) <= 0)
				return (uint32_t)i;
	return UINT32_MAX;
}
