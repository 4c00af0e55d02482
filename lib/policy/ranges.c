// SPDX-License-Identifier: Apache-2.0
/*
 * ranges.c - second step of a compile: cut both address families into intervals whose addresses
 * lie in the same ipBlocks; intervals with the same set of blocks are one range class.
 *
 * The pod ranges of the cluster count as one block more ("unknown pod"): no v1 rule names it.
 */
#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "policy/compile.h"

/* Set members written while sweeping; beyond it the policies with most intervals lose their
 * ipBlocks and deny. Honest worlds stay far below: it is the product of intervals and nesting
 * depth. */
#define MAX_SWEEP_WORK (8UL * 1024 * 1024)

struct event {
	struct rs_addr at;
	uint32_t block;
	bool begins;
};

struct sweep {
	struct rs_vec(struct event) events;
	struct rs_u32s active; /* sorted */
	size_t work;
};

static void add_span(struct sweep *s, const struct rs_span *span, uint32_t block)
{
	struct rs_addr after = span->hi;

	*rs_vec_push(&s->events) = (struct event){ span->lo, block, true };
	if (rs_addr_next(&after))
		*rs_vec_push(&s->events) = (struct event){ after, block, false };
}

static int cmp_event(const void *a, const void *b)
{
	const struct event *x = a, *y = b;
	int d = rs_addr_cmp(&x->at, &y->at);

	if (d)
		return d;
	return x->block < y->block ? -1 : x->block > y->block;
}

static void collect(const struct rs_cc *c, struct sweep *s)
{
	uint32_t inside = (uint32_t)c->blocks.by_id.n;
	rs_autofree bool *wanted = rs_new0(bool, inside);
	struct rs_spans pods = { 0 };
	size_t i, k;

	for (i = 0; i < c->rules.n; i++)
		if (c->rules.v[i].block != RS_NONE)
			wanted[c->rules.v[i].block] = true;
	for (i = 0; i < inside; i++) {
		size_t bytes;
		const struct rs_span *v = rs_intern_key(&c->blocks, (uint32_t)i, &bytes);

		for (k = 0; wanted[i] && k < bytes / sizeof(*v); k++)
			add_span(s, &v[k], (uint32_t)i);
	}
	for (i = 0; i < c->w->n_pod_ranges; i++)
		rs_spans_add_cidr(&pods, &c->w->pod_ranges[i]);
	rs_spans_normalise(&pods);
	for (i = 0; i < pods.n; i++)
		add_span(s, &pods.v[i], inside);
	rs_vec_free(&pods);
	if (s->events.n > 1)
		qsort(s->events.v, s->events.n, sizeof(*s->events.v), cmp_event);
}

static void toggle(struct rs_u32s *set, uint32_t block, bool begins)
{
	size_t lo = 0, hi = set->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (set->v[mid] < block)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (begins) {
		rs_vec_push(set);
		memmove(&set->v[lo + 1], &set->v[lo], (set->n - 1 - lo) * sizeof(*set->v));
		set->v[lo] = block;
	} else if (lo < set->n && set->v[lo] == block) {
		set->n--;
		memmove(&set->v[lo], &set->v[lo + 1], (set->n - lo) * sizeof(*set->v));
	}
}

/* A range class is known in all compiles by the contents of its blocks, whatever their numbers. */
static struct rs_hash range_key(const struct rs_cc *c, const struct rs_u32s *set)
{
	rs_autofree struct rs_hash *v = rs_new0(struct rs_hash, set->n);
	size_t i;

	for (i = 0; i < set->n; i++)
		if (set->v[i] < c->blocks.by_id.n)
			v[i] = c->block_hash.v[set->v[i]];
	if (set->n > 1)
		qsort(v, set->n, sizeof(*v), rs_hash_cmp);
	return rs_hash_bytes(v, set->n * sizeof(*v));
}

static uint32_t class_of_set(struct rs_cc *c, const struct rs_u32s *set)
{
	struct rs_draft_class *cls;
	bool fresh;
	uint32_t id = rs_intern_put(&c->range_keys, set->v, set->n * sizeof(*set->v), &fresh);
	size_t i;

	if (!fresh)
		return c->range_cls_of.v[id];
	*rs_vec_push(&c->range_cls_of) = (uint32_t)c->d.classes.n;
	cls = rs_vec_push(&c->d.classes);
	cls->range = true;
	for (i = 0; i < set->n; i++)
		*rs_vec_push(&cls->members) = set->v[i];
	cls->key = range_key(c, set);
	return c->range_cls_of.v[id];
}

static void emit(struct rs_cc *c, struct sweep *s, const struct rs_addr *lo,
		 const struct rs_addr *hi)
{
	struct rs_draft_range *last = c->d.ranges.n ? &c->d.ranges.v[c->d.ranges.n - 1] : NULL;
	struct rs_addr after;
	uint32_t cls;

	if (!s->active.n)
		return;
	s->work += s->active.n;
	cls = class_of_set(c, &s->active);
	if (last && last->cls == cls && last->hi.family == lo->family) {
		after = last->hi;
		if (rs_addr_next(&after) && !rs_addr_cmp(&after, lo)) {
			last->hi = *hi;
			return;
		}
	}
	*rs_vec_push(&c->d.ranges) = (struct rs_draft_range){ *lo, *hi, cls };
}

static struct rs_addr family_end(const struct rs_addr *a)
{
	struct rs_addr end = { .family = a->family };

	memset(end.b, 0xff, rs_addr_bytes(a->family));
	return end;
}

static void run(struct rs_cc *c, struct sweep *s)
{
	size_t i = 0;

	while (i < s->events.n && s->work <= MAX_SWEEP_WORK) {
		struct rs_addr at = s->events.v[i].at, end = family_end(&at);

		for (; i < s->events.n && !rs_addr_cmp(&s->events.v[i].at, &at); i++)
			toggle(&s->active, s->events.v[i].block, s->events.v[i].begins);
		if (i < s->events.n && s->events.v[i].at.family == at.family) {
			end = s->events.v[i].at;
			rs_addr_prev(&end);
			emit(c, s, &at, &end);
		} else {
			emit(c, s, &at, &end);
			s->active.n = 0;
		}
	}
}

static void forget(struct rs_cc *c)
{
	size_t i;

	for (i = 1; i < c->d.classes.n; i++)
		rs_vec_free(&c->d.classes.v[i].members);
	c->d.classes.n = 1;
	c->d.ranges.n = 0;
	c->range_cls_of.n = 0;
	rs_intern_free(&c->range_keys);
}

/* Intervals of each policy; those with at least half of the largest number lose their ipBlocks. */
static void drop_heaviest(struct rs_cc *c)
{
	rs_autofree size_t *spans = rs_new0(size_t, c->policies.n);
	size_t i, max = 0, bytes;

	for (i = 0; i < c->rules.n; i++) {
		const struct rs_crule *r = &c->rules.v[i];

		if (r->block == RS_NONE)
			continue;
		rs_intern_key(&c->blocks, r->block, &bytes);
		spans[r->policy] += bytes / sizeof(struct rs_span);
		if (spans[r->policy] > max)
			max = spans[r->policy];
	}
	for (i = 0; i < c->rules.n; i++) {
		struct rs_cpolicy *p = &c->policies.v[c->rules.v[i].policy];

		if (spans[c->rules.v[i].policy] * 2 < max || !max)
			continue;
		c->rules.v[i].block = RS_NONE;
		if (!p->no_blocks)
			rs_conditions_add(
				c->conditions, "BlockBudget",
				"%s/%s has %zu address intervals, more than can be "
				"enforced: the pods that it selects are denied everything",
				p->p->meta.ns, p->p->meta.name, spans[c->rules.v[i].policy]);
		p->no_blocks = true;
	}
}

int rs_cc_ranges(struct rs_cc *c, struct rs_err *err)
{
	bool fits = false;
	int round;

	rs_vec_push(&c->d.classes)->range = true; /* the world */
	for (round = 0; round < 64 && !fits; round++) {
		struct sweep s = { 0 };

		if (round) {
			forget(c);
			drop_heaviest(c);
		}
		collect(c, &s);
		run(c, &s);
		fits = s.work <= MAX_SWEEP_WORK;
		rs_vec_free(&s.events);
		rs_vec_free(&s.active);
	}
	if (!fits)
		return rs_err_set(err, E2BIG,
				  "the ipBlocks in use cut the addresses into too many "
				  "classes to be enforced");
	return 0;
}

uint32_t rs_draft_range_of(const struct rs_draft *d, const struct rs_addr *a)
{
	size_t lo = 0, hi = d->ranges.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (rs_addr_cmp(&d->ranges.v[mid].hi, a) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < d->ranges.n && rs_addr_cmp(&d->ranges.v[lo].lo, a) <= 0)
		return d->ranges.v[lo].cls;
	return 0;
}
