// SPDX-License-Identifier: Apache-2.0
/*
 * reachtable.c - reach between all pairs of many keys, a row at a time; see reach.h.
 *
 * A pair's answer comes from two numbers: what the client's egress group gives the server's class,
 * and what the server's ingress group gives the client's class. A row spreads both out once, over
 * the classes and over the groups that the keys have; then each pair is two look-ups. What two
 * numbers give together is worked out at first sight.
 */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "policy/intern.h"
#include "policy/irtools.h"
#include "policy/reachtools.h"

struct pair {
	uint64_t key; /* both numbers + 1; 0: empty */
	uint32_t number;
};

struct in_cell {
	uint32_t group; /* place in in_groups */
	uint32_t number;
};

struct rs_reach_table {
	const struct rs_ir *ir;
	size_t n;
	struct rs_reach_key *keys;

	struct rs_intern contents;
	struct rs_vec(struct rs_reach) reaches; /* by number */
	struct pair *pairs;
	size_t n_pairs, cap_pairs; /* cap: a power of two */

	struct rs_u32s classes;	  /* of the keys, sorted */
	uint32_t *exact, *range;  /* of each key: its place in classes, or classes.n */
	uint32_t *cell_number;	  /* of each cell of ir */
	struct rs_u32s in_groups; /* of the keys, sorted */
	uint32_t *in_place;	  /* of each key */
	uint32_t *in_default;	  /* numbers, by place */
	size_t *first_in;	  /* by place of a class: its run of in_cells */
	struct in_cell *in_cells;

	uint32_t *by_class, *by_group; /* of the row at hand */
};

/* ---- numbers --------------------------------------------------------------------------------- */

/* Takes r. */
static uint32_t number_of(struct rs_reach_table *t, struct rs_reach *r)
{
	rs_auto_strbuf key = { 0 };
	bool fresh;
	uint32_t number;
	size_t i;

	rs_key_u32(&key, (uint32_t)r->n);
	for (i = 0; i < r->n; i++) {
		rs_key_u32(&key, r->v[i].proto);
		rs_key_u32(&key, (uint32_t)r->v[i].lo << 16 | r->v[i].hi);
	}
	number = rs_intern_put(&t->contents, key.s, key.len, &fresh);
	if (fresh)
		*rs_vec_push(&t->reaches) = *r;
	else
		rs_reach_clear(r);
	return number;
}

static uint32_t number_of_profile(struct rs_reach_table *t, uint32_t profile)
{
	struct rs_reach r;

	rs_reach_of_profile(t->ir, profile, &r);
	return number_of(t, &r);
}

static struct pair *slot(struct pair *v, size_t cap, uint64_t key)
{
	size_t i = (size_t)(key * 0x9e3779b97f4a7c15ULL >> 20) & (cap - 1);

	while (v[i].key && v[i].key != key)
		i = (i + 1) & (cap - 1);
	return &v[i];
}

static void grow_pairs(struct rs_reach_table *t)
{
	size_t cap = t->cap_pairs ? t->cap_pairs * 2 : 1024, i;
	struct pair *v = rs_new0(struct pair, cap);

	for (i = 0; i < t->cap_pairs; i++)
		if (t->pairs[i].key)
			*slot(v, cap, t->pairs[i].key) = t->pairs[i];
	free(t->pairs);
	t->pairs = v;
	t->cap_pairs = cap;
}

static uint32_t both_in_parts(struct rs_reach_table *t, uint32_t a, uint32_t b)
{
	uint64_t key = ((uint64_t)(a < b ? a : b) << 32 | (a < b ? b : a)) + 1;
	struct rs_reach r;
	struct pair *p;

	if (t->n_pairs * 2 >= t->cap_pairs)
		grow_pairs(t);
	p = slot(t->pairs, t->cap_pairs, key);
	if (!p->key) {
		p->key = key;
		t->n_pairs++;
		rs_reach_both(&t->reaches.v[a], &t->reaches.v[b], &r);
		p->number = number_of(t, &r);
	}
	return p->number;
}

static inline uint32_t both(struct rs_reach_table *t, uint32_t a, uint32_t b)
{
	if (a == RS_REACH_NONE || b == RS_REACH_ALL || a == b)
		return a;
	if (b == RS_REACH_NONE || a == RS_REACH_ALL)
		return b;
	return both_in_parts(t, a, b);
}

/* ---- making a table -------------------------------------------------------------------------- */

static uint32_t place(const struct rs_u32s *v, uint32_t x)
{
	uint32_t at = rs_u32s_find(v, x);

	return at == RS_NONE ? (uint32_t)v->n : at;
}

static uint32_t class_place(const struct rs_reach_table *t, uint32_t cls)
{
	return cls == RS_CLASS_WORLD ? (uint32_t)t->classes.n : place(&t->classes, cls);
}

static void index_keys(struct rs_reach_table *t)
{
	size_t i;

	for (i = 0; i < t->n; i++) {
		*rs_vec_push(&t->classes) = t->keys[i].cls;
		*rs_vec_push(&t->classes) = t->keys[i].range_cls;
		*rs_vec_push(&t->in_groups) = t->keys[i].in_group;
	}
	rs_u32s_sort_unique(&t->classes);
	rs_u32s_sort_unique(&t->in_groups);
	t->exact = rs_new0(uint32_t, t->n + 1);
	t->range = rs_new0(uint32_t, t->n + 1);
	t->in_place = rs_new0(uint32_t, t->n + 1);
	for (i = 0; i < t->n; i++) {
		t->exact[i] = class_place(t, t->keys[i].cls);
		t->range[i] = class_place(t, t->keys[i].range_cls);
		t->in_place[i] = place(&t->in_groups, t->keys[i].in_group);
	}
}

/* The default of a group; an end that is not local has no say, a group that nobody knows denies. */
static uint32_t group_number(struct rs_reach_table *t, enum rs_ir_dir dir, uint32_t group)
{
	const struct rs_ir_group *g;

	if (group == UINT32_MAX)
		return RS_REACH_ALL;
	g = rs_ir_group(t->ir, dir, group);
	return number_of_profile(t, g ? g->profile : RS_PROFILE_DENY);
}

/* The ingress cells by class: a row has one client, so it wants all groups' cells of its class. */
static void index_in_cells(struct rs_reach_table *t)
{
	const struct rs_ir *ir = t->ir;
	size_t i, *at;

	t->first_in = rs_new0(size_t, t->classes.n + 2);
	t->in_cells = rs_new0(struct in_cell, ir->n_cells + 1);
	for (i = 0; i < ir->n_cells; i++)
		if (ir->cells[i].dir == RS_DIR_IN)
			t->first_in[place(&t->classes, ir->cells[i].cls) + 1]++;
	for (i = 1; i < t->classes.n + 2; i++)
		t->first_in[i] += t->first_in[i - 1];
	at = rs_memdup(t->first_in, (t->classes.n + 2) * sizeof(*at));
	for (i = 0; i < ir->n_cells; i++) {
		const struct rs_ir_cell *c = &ir->cells[i];

		if (c->dir == RS_DIR_IN)
			t->in_cells[at[place(&t->classes, c->cls)]++] =
				(struct in_cell){ place(&t->in_groups, c->group),
						  t->cell_number[i] };
	}
	free(at);
}

struct rs_reach_table *rs_reach_table_new(const struct rs_ir *ir, const struct rs_reach_key *keys,
					  size_t n)
{
	struct rs_reach_table *t = rs_new(struct rs_reach_table);
	size_t i;

	t->ir = ir;
	t->n = n;
	t->keys = rs_memdup(keys, n * sizeof(*keys));
	number_of_profile(t, RS_PROFILE_DENY); /* RS_REACH_NONE, RS_REACH_ALL: in this order */
	number_of_profile(t, RS_PROFILE_ALLOW);
	index_keys(t);
	t->cell_number = rs_new0(uint32_t, ir->n_cells + 1);
	for (i = 0; i < ir->n_cells; i++)
		t->cell_number[i] = number_of_profile(t, ir->cells[i].profile);
	t->in_default = rs_new0(uint32_t, t->in_groups.n + 1);
	for (i = 0; i < t->in_groups.n; i++)
		t->in_default[i] = group_number(t, RS_DIR_IN, t->in_groups.v[i]);
	index_in_cells(t);
	t->by_class = rs_new0(uint32_t, t->classes.n + 1);
	t->by_group = rs_new0(uint32_t, t->in_groups.n + 1);
	return t;
}

void rs_reach_table_free(struct rs_reach_table *t)
{
	size_t i;

	if (!t)
		return;
	for (i = 0; i < t->reaches.n; i++)
		rs_reach_clear(&t->reaches.v[i]);
	rs_vec_free(&t->reaches);
	rs_intern_free(&t->contents);
	rs_vec_free(&t->classes);
	rs_vec_free(&t->in_groups);
	free(t->keys);
	free(t->pairs);
	free(t->exact);
	free(t->range);
	free(t->cell_number);
	free(t->in_place);
	free(t->in_default);
	free(t->first_in);
	free(t->in_cells);
	free(t->by_class);
	free(t->by_group);
	free(t);
}

/* ---- rows ------------------------------------------------------------------------------------ */

size_t rs_reach_first_cell(const struct rs_ir *ir, enum rs_ir_dir dir, uint32_t group)
{
	struct rs_ir_cell key = { .dir = (uint8_t)dir, .group = group };
	size_t lo = 0, hi = ir->n_cells;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (rs_ir_cell_cmp(&ir->cells[mid], &key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* What the client's egress group has cells for; the others stay UINT32_MAX. */
static void spread_out(struct rs_reach_table *t, uint32_t group)
{
	const struct rs_ir *ir = t->ir;
	size_t i;

	memset(t->by_class, 0xff, (t->classes.n + 1) * sizeof(*t->by_class));
	if (group == UINT32_MAX)
		return;
	for (i = rs_reach_first_cell(ir, RS_DIR_OUT, group); i < ir->n_cells; i++) {
		const struct rs_ir_cell *c = &ir->cells[i];

		if (c->dir != RS_DIR_OUT || c->group != group)
			break;
		t->by_class[place(&t->classes, c->cls)] = t->cell_number[i];
	}
	t->by_class[t->classes.n] = UINT32_MAX; /* classes that no key has, and the world */
}

static void spread_in_class(struct rs_reach_table *t, uint32_t cls)
{
	size_t i;

	if (cls == t->classes.n)
		return;
	for (i = t->first_in[cls]; i < t->first_in[cls + 1]; i++)
		t->by_group[t->in_cells[i].group] = t->in_cells[i].number;
}

/* The exact class has the last word. */
static void spread_in(struct rs_reach_table *t, size_t client)
{
	memcpy(t->by_group, t->in_default, t->in_groups.n * sizeof(*t->by_group));
	spread_in_class(t, t->range[client]);
	spread_in_class(t, t->exact[client]);
}

void rs_reach_table_row(struct rs_reach_table *t, size_t client, uint32_t *row)
{
	uint32_t group = t->keys[client].out_group;
	uint32_t rest = group_number(t, RS_DIR_OUT, group);
	size_t j;

	spread_out(t, group);
	spread_in(t, client);
	for (j = 0; j < t->n; j++) {
		uint32_t out = t->by_class[t->exact[j]];

		if (out == UINT32_MAX)
			out = t->by_class[t->range[j]];
		if (out == UINT32_MAX)
			out = rest;
		row[j] = both(t, out, t->by_group[t->in_place[j]]);
	}
}

bool rs_reach_table_isolated(const struct rs_reach_table *t, size_t key, enum rs_ir_dir dir)
{
	uint32_t group = dir == RS_DIR_IN ? t->keys[key].in_group : t->keys[key].out_group;
	const struct rs_ir_group *g;

	if (group == UINT32_MAX)
		return false;
	g = rs_ir_group(t->ir, dir, group);
	return !g || g->isolated;
}

size_t rs_reach_table_count(const struct rs_reach_table *t)
{
	return t->reaches.n;
}

const struct rs_reach *rs_reach_table_get(const struct rs_reach_table *t, uint32_t number)
{
	return &t->reaches.v[number];
}
