// SPDX-License-Identifier: Apache-2.0
/*
 * refuse.c - may a step from one IR to another refuse a flow that the first accepts? "No" is a
 * proof.
 *
 * Proven: nothing that says where an address belongs has changed, except that addresses without
 * an exact class got one; and every look-up of every group gives at least what it gave.
 * Everything else is "maybe", and a maybe costs one judgement per live flow, never a leak.
 */
#include <string.h>

#include "base/base.h"
#include "policy/irtools.h"
#include "policy/portset.h"

/* A way that a look-up can take: an exact class over a range class (RS_CLASS_WORLD: none). */
struct path {
	bool has_exact;
	uint32_t exact_a; /* class before; only where it had one */
	uint32_t exact_b;
	bool had_exact;
	uint32_t range;
};

struct paths rs_vec(struct path);

static int cmp_path(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct path));
}

static void unique(struct paths *p)
{
	size_t i, n = 0;

	if (p->n < 2)
		return;
	qsort(p->v, p->n, sizeof(*p->v), cmp_path);
	for (i = 0; i < p->n; i++)
		if (!n || cmp_path(&p->v[n - 1], &p->v[i]) != 0)
			p->v[n++] = p->v[i];
	p->n = n;
}

static bool same_ranges(const struct rs_ir *a, const struct rs_ir *b)
{
	size_t i;

	if (a->n_ranges != b->n_ranges)
		return false;
	for (i = 0; i < a->n_ranges; i++)
		if (!rs_ir_same_range(&a->ranges[i], &b->ranges[i]))
			return false;
	return true;
}

static bool same_locals(const struct rs_ir *a, const struct rs_ir *b)
{
	size_t i;

	if (a->n_locals != b->n_locals || a->n_groups != b->n_groups)
		return false;
	for (i = 0; i < a->n_locals; i++)
		if (!rs_ir_same_local(&a->locals[i], &b->locals[i]))
			return false;
	for (i = 0; i < a->n_groups; i++)
		if (a->groups[i].dir != b->groups[i].dir ||
		    a->groups[i].group != b->groups[i].group ||
		    (b->groups[i].isolated && !a->groups[i].isolated))
			return false;
	return true;
}

/* What a link may send from only grows. */
static bool guards_kept(const struct rs_ir *a, const struct rs_ir *b)
{
	size_t i, k = 0;

	for (i = 0; i < a->n_guards; i++) {
		const struct rs_ir_guard *g = &a->guards[i];

		while (k < b->n_guards && (b->guards[k].ifindex < g->ifindex ||
					   (b->guards[k].ifindex == g->ifindex &&
					    rs_addr_cmp(&b->guards[k].addr, &g->addr) < 0)))
			k++;
		if (k == b->n_guards || b->guards[k].ifindex != g->ifindex ||
		    rs_addr_cmp(&b->guards[k].addr, &g->addr) != 0 ||
		    rs_addr_cmp(&b->guards[k].ll, &g->ll) != 0)
			return false;
	}
	return true;
}

static void push_path(struct paths *p, const struct rs_ir *b, const struct rs_ir_addr *now,
		      bool had)
{
	struct path x;

	memset(&x, 0, sizeof(x)); /* compared with memcmp, padding and all */
	x.has_exact = true;
	x.had_exact = had;
	x.exact_a = had ? now->cls : 0;
	x.exact_b = now->cls;
	x.range = rs_ir_class_range(b, &now->addr);
	*rs_vec_push(p) = x;
}

/* The paths of exact addresses that are new; false when one has left or moved. */
static bool added_paths(const struct rs_ir *a, const struct rs_ir *b, struct paths *added)
{
	size_t i, k = 0;

	for (i = 0; i < b->n_addrs; i++) {
		const struct rs_ir_addr *now = &b->addrs[i];
		int d = k < a->n_addrs ? rs_addr_cmp(&a->addrs[k].addr, &now->addr) : 1;

		if (d < 0 || (!d && a->addrs[k].cls != now->cls))
			return false;
		if (d)
			push_path(added, b, now, false);
		k += !d;
	}
	unique(added);
	return k == a->n_addrs;
}

/* Those of addresses that have the class which they had. */
static void old_paths(const struct rs_ir *a, const struct rs_ir *b, struct paths *old)
{
	size_t i;

	for (i = 0; i < a->n_addrs; i++)
		push_path(old, b, &a->addrs[i], true);
	unique(old);
}

static void range_paths(const struct rs_ir *ir, struct paths *p)
{
	struct path x;
	size_t i;

	memset(&x, 0, sizeof(x));
	*rs_vec_push(p) = x; /* the world */
	for (i = 0; i < ir->n_ranges; i++) {
		x.range = ir->ranges[i].cls;
		*rs_vec_push(p) = x;
	}
	unique(p);
}

static uint32_t look_up(const struct rs_ir *ir, const struct rs_ir_group *g, bool has_exact,
			uint32_t exact, uint32_t range)
{
	const struct rs_ir_cell *c = NULL;

	if (has_exact)
		c = rs_ir_cell(ir, g->dir, g->group, exact);
	if (!c && range != RS_CLASS_WORLD)
		c = rs_ir_cell(ir, g->dir, g->group, range);
	return c ? c->profile : g->profile;
}

static bool loosens(const struct rs_ir *a, uint32_t before, const struct rs_ir *b, uint32_t after)
{
	const struct rs_ir_port *x, *y;
	size_t nx, ny;

	x = rs_ir_profile_ports(a, before, &nx);
	y = rs_ir_profile_ports(b, after, &ny);
	return rs_ports_subset(x, nx, y, ny);
}

static bool group_loosens(const struct rs_ir *a, const struct rs_ir *b, size_t group,
			  const struct paths *p)
{
	const struct rs_ir_group *ga = &a->groups[group], *gb = &b->groups[group];
	size_t i;

	for (i = 0; i < p->n; i++) {
		const struct path *x = &p->v[i];
		uint32_t before = look_up(a, ga, x->had_exact, x->exact_a, x->range);
		uint32_t after = look_up(b, gb, x->has_exact, x->exact_b, x->range);

		if (!loosens(a, before, b, after))
			return false;
	}
	return true;
}

static size_t first_cell(const struct rs_ir *ir, const struct rs_ir_group *g)
{
	size_t lo = 0, hi = ir->n_cells;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct rs_ir_cell *c = &ir->cells[mid];

		if (c->dir < g->dir || (c->dir == g->dir && c->group < g->group))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool same_profile(const struct rs_ir *a, uint32_t pa, const struct rs_ir *b, uint32_t pb)
{
	return loosens(a, pa, b, pb) && loosens(b, pb, a, pa);
}

/* Most groups do not change in a step; those need no walk over all classes. */
static bool group_same(const struct rs_ir *a, const struct rs_ir *b, size_t group)
{
	const struct rs_ir_group *g = &a->groups[group];
	size_t i = first_cell(a, g), k = first_cell(b, g);

	if (!same_profile(a, g->profile, b, b->groups[group].profile))
		return false;
	for (; i < a->n_cells && a->cells[i].dir == g->dir && a->cells[i].group == g->group;
	     i++, k++)
		if (k == b->n_cells || rs_ir_cell_cmp(&a->cells[i], &b->cells[k]) != 0 ||
		    !same_profile(a, a->cells[i].profile, b, b->cells[k].profile))
			return false;
	return k == b->n_cells || b->cells[k].dir != g->dir || b->cells[k].group != g->group;
}

/* A cell that stays and allows less than it did, or a default: most steps that refuse something
 * have one, and need no walk over the addresses to be told. */
static bool tightens(const struct rs_ir *a, const struct rs_ir *b)
{
	size_t i, k = 0;

	for (i = 0; i < a->n_groups; i++)
		if (!loosens(a, a->groups[i].profile, b, b->groups[i].profile))
			return true;
	for (i = 0; i < a->n_cells; i++) {
		while (k < b->n_cells && rs_ir_cell_cmp(&b->cells[k], &a->cells[i]) < 0)
			k++;
		if (k < b->n_cells && !rs_ir_cell_cmp(&b->cells[k], &a->cells[i]) &&
		    !loosens(a, a->cells[i].profile, b, b->cells[k].profile))
			return true;
	}
	return false;
}

static bool changed_group_loosens(const struct rs_ir *a, const struct rs_ir *b, size_t group,
				  struct paths *plain, struct paths *old)
{
	if (!plain->n) { /* the first that changed */
		range_paths(b, plain);
		old_paths(a, b, old);
	}
	return group_loosens(a, b, group, plain) && group_loosens(a, b, group, old);
}

static bool all_loosen(const struct rs_ir *a, const struct rs_ir *b)
{
	struct paths old = { 0 }, added = { 0 }, plain = { 0 };
	bool proven = added_paths(a, b, &added);
	size_t i;

	for (i = 0; proven && i < a->n_groups; i++)
		proven = group_loosens(a, b, i, &added) &&
			 (group_same(a, b, i) ||
			  changed_group_loosens(a, b, i, &plain, &old));
	rs_vec_free(&old);
	rs_vec_free(&added);
	rs_vec_free(&plain);
	return proven;
}

bool rs_ir_may_refuse(const struct rs_ir *a, const struct rs_ir *b)
{
	return !rs_ir_same_node_ranges(a, b) || !same_ranges(a, b) || !same_locals(a, b) ||
	       !guards_kept(a, b) || tightens(a, b) || !all_loosen(a, b);
}

/* Of moves only coming can be proven to refuse nothing. */
bool rs_ir_moves_may_refuse(const struct rs_ir *ir, const struct rs_ir_moves *m)
{
	struct paths added = { 0 };
	bool proven = true;
	size_t i;

	for (i = 0; proven && i < m->n; i++) {
		const struct rs_ir_addr now = { .addr = m->v[i].addr, .cls = m->v[i].to };

		if (m->v[i].from == m->v[i].to)
			continue;
		proven = m->v[i].from == RS_CLASS_NONE;
		if (proven)
			push_path(&added, ir, &now, false);
	}
	unique(&added);
	for (i = 0; proven && i < ir->n_groups; i++)
		proven = group_loosens(ir, ir, i, &added);
	rs_vec_free(&added);
	return !proven;
}
