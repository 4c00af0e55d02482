// SPDX-License-Identifier: Apache-2.0
/*
 * refuse.c - may a step from one IR to another refuse a flow that the first accepts? "No" is a
 * proof.
 *
 * Proven: no pod of this node and no link's source has changed, no address has left an exact class
 * (one without may get one); and every look-up of every group of a pod here gives at least what it
 * gave, whatever ranges are now under an address.
 * Everything else is "maybe", and a maybe costs one judgement per live flow, never a leak.
 */
#include <string.h>

#include "base/base.h"
#include "policy/irtools.h"
#include "policy/portset.h"

/* A way that a look-up can take, before and after: an exact class over a range class
 * (RS_CLASS_WORLD: none). */
struct path {
	bool has_exact;
	uint32_t exact_a; /* class before; only where it had one */
	uint32_t exact_b;
	bool had_exact;
	uint32_t range_a, range_b;
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

static bool same_locals(const struct rs_ir *a, const struct rs_ir *b)
{
	size_t i;

	if (a->n_locals != b->n_locals)
		return false;
	for (i = 0; i < a->n_locals; i++)
		if (!rs_ir_same_local(&a->locals[i], &b->locals[i]))
			return false;
	return true;
}

/* A group that some address has, before and after. */
struct pair {
	const struct rs_ir_group *a, *b;
};

static bool pair_up(const struct rs_ir *a, const struct rs_ir *b, uint8_t dir, uint32_t group,
		    struct pair *out)
{
	out->a = rs_ir_group(a, dir, group);
	out->b = rs_ir_group(b, dir, group);
	if (!out->a && !out->b)
		return true;
	return out->a && out->b && (out->a->isolated || !out->b->isolated);
}

static int cmp_pair(const void *x, const void *y)
{
	const struct pair *p = x, *q = y;

	return p->a < q->a ? -1 : p->a > q->a;
}

/*
 * The groups of a's local addresses, which are b's; caller frees. A group that no address has
 * judges nothing: that of a pod which is only expected may come, go and change. NULL: one of them
 * is not in both, or isolates where it did not.
 */
static struct pair *pair_groups(const struct rs_ir *a, const struct rs_ir *b, size_t *n)
{
	rs_autofree struct pair *v = rs_new0(struct pair, 2 * a->n_locals + 1);
	size_t i, k;

	for (i = 0, k = 0; i < a->n_locals; i++)
		if (!pair_up(a, b, RS_DIR_IN, a->locals[i].in_group, &v[k++]) ||
		    !pair_up(a, b, RS_DIR_OUT, a->locals[i].out_group, &v[k++]))
			return NULL;
	if (k > 1)
		qsort(v, k, sizeof(*v), cmp_pair);
	for (i = 0, *n = 0; i < k; i++)
		if (v[i].a && (!*n || cmp_pair(&v[*n - 1], &v[i]) != 0))
			v[(*n)++] = v[i];
	return rs_steal_ptr(&v);
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

/* A step and the ways that look-ups take in it. */
struct step {
	const struct rs_ir *a, *b;
	bool same_ranges;
	bool others;	    /* old, plain and moved are there */
	struct paths old;   /* of addresses that keep their exact class */
	struct paths added; /* of those that get one */
	struct paths plain; /* of addresses without one */
	struct paths moved; /* of old and plain, where another range is below now */
};

static void step_clear(struct step *s)
{
	rs_vec_free(&s->old);
	rs_vec_free(&s->added);
	rs_vec_free(&s->plain);
	rs_vec_free(&s->moved);
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

static void fill_ranges(const struct step *s, const struct rs_addr *at, struct path *x)
{
	x->range_b = rs_ir_class_range(s->b, at);
	x->range_a = s->same_ranges ? x->range_b : rs_ir_class_range(s->a, at);
}

static void push(struct step *s, struct paths *p, const struct path *x)
{
	*rs_vec_push(p) = *x;
	if (x->range_a != x->range_b && p != &s->added)
		*rs_vec_push(&s->moved) = *x;
}

static void push_exact(struct step *s, const struct rs_ir_addr *now, bool had)
{
	struct path x;

	memset(&x, 0, sizeof(x)); /* compared with memcmp, padding and all */
	x.has_exact = true;
	x.had_exact = had;
	x.exact_a = had ? now->cls : 0;
	x.exact_b = now->cls;
	fill_ranges(s, &now->addr, &x);
	push(s, had ? &s->old : &s->added, &x);
}

/* The paths of exact addresses that are new; false when one has left or moved. */
static bool added_paths(struct step *s)
{
	const struct rs_ir *a = s->a, *b = s->b;
	size_t i, k = 0;

	for (i = 0; i < b->n_addrs; i++) {
		const struct rs_ir_addr *now = &b->addrs[i];
		int d = k < a->n_addrs ? rs_addr_cmp(&a->addrs[k].addr, &now->addr) : 1;

		if (d < 0 || (!d && a->addrs[k].cls != now->cls))
			return false;
		if (d)
			push_exact(s, now, false);
		k += !d;
	}
	unique(&s->added);
	return k == a->n_addrs;
}

/* Those of addresses that have the class which they had. */
static void old_paths(struct step *s)
{
	size_t i;

	for (i = 0; i < s->a->n_addrs; i++)
		push_exact(s, &s->a->addrs[i], true);
}

static void push_plain(struct step *s, const struct rs_addr *at)
{
	struct path x;

	memset(&x, 0, sizeof(x));
	fill_ranges(s, at, &x);
	push(s, &s->plain, &x);
}

/* Between two ends of ranges, of a's or b's, nothing changes: an address of each such piece. */
static void push_ends(struct step *s, const struct rs_ir *of)
{
	size_t i;

	for (i = 0; i < of->n_ranges; i++) {
		struct rs_addr behind = of->ranges[i].hi;

		push_plain(s, &of->ranges[i].lo);
		if (rs_addr_next(&behind))
			push_plain(s, &behind);
	}
}

static void range_paths(struct step *s)
{
	static const struct rs_addr first[] = { { .family = RS_AF_IP4 }, { .family = RS_AF_IP6 } };
	size_t i;

	for (i = 0; i < RS_ARRAY_SIZE(first); i++)
		push_plain(s, &first[i]);
	push_ends(s, s->b);
	if (!s->same_ranges)
		push_ends(s, s->a);
}

/* All but those that are new: most steps are told without them. */
static void other_paths(struct step *s)
{
	if (s->others)
		return;
	s->others = true;
	old_paths(s);
	range_paths(s);
	unique(&s->old);
	unique(&s->plain);
	unique(&s->moved);
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

static bool group_loosens(const struct step *s, const struct pair *g, const struct paths *p)
{
	size_t i;

	for (i = 0; i < p->n; i++) {
		const struct path *x = &p->v[i];
		uint32_t before = look_up(s->a, g->a, x->had_exact, x->exact_a, x->range_a);
		uint32_t after = look_up(s->b, g->b, x->has_exact, x->exact_b, x->range_b);

		if (!loosens(s->a, before, s->b, after))
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
static bool group_same(const struct rs_ir *a, const struct rs_ir *b, const struct pair *both)
{
	const struct rs_ir_group *g = both->a;
	size_t i = first_cell(a, g), k = first_cell(b, g);

	if (!same_profile(a, g->profile, b, both->b->profile))
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
static bool group_tightens(const struct rs_ir *a, const struct rs_ir *b, const struct pair *both)
{
	const struct rs_ir_group *g = both->a;
	size_t i = first_cell(a, g), k = first_cell(b, g);

	if (!loosens(a, g->profile, b, both->b->profile))
		return true;
	for (; i < a->n_cells && a->cells[i].dir == g->dir && a->cells[i].group == g->group; i++) {
		while (k < b->n_cells && rs_ir_cell_cmp(&b->cells[k], &a->cells[i]) < 0)
			k++;
		if (k < b->n_cells && !rs_ir_cell_cmp(&b->cells[k], &a->cells[i]) &&
		    !loosens(a, a->cells[i].profile, b, b->cells[k].profile))
			return true;
	}
	return false;
}

static bool one_loosens(struct step *s, const struct pair *g)
{
	bool same = group_same(s->a, s->b, g);

	if (!group_loosens(s, g, &s->added))
		return false;
	if (same && s->same_ranges)
		return true;
	other_paths(s);
	if (same)
		return group_loosens(s, g, &s->moved);
	return group_loosens(s, g, &s->plain) && group_loosens(s, g, &s->old);
}

static bool all_loosen(struct step *s)
{
	size_t n = 0, i;
	rs_autofree struct pair *groups = pair_groups(s->a, s->b, &n);

	for (i = 0; groups && i < n; i++)
		if (group_tightens(s->a, s->b, &groups[i]))
			return false;
	if (!groups || !added_paths(s))
		return false;
	for (i = 0; i < n; i++)
		if (!one_loosens(s, &groups[i]))
			return false;
	return true;
}

bool rs_ir_may_refuse(const struct rs_ir *a, const struct rs_ir *b)
{
	struct step s = { .a = a, .b = b, .same_ranges = same_ranges(a, b) };
	bool proven = rs_ir_same_node_ranges(a, b) && same_locals(a, b) && guards_kept(a, b) &&
		      all_loosen(&s);

	step_clear(&s);
	return !proven;
}

/* Of moves only coming can be proven to refuse nothing, and not of a pod of this node. */
bool rs_ir_moves_may_refuse(const struct rs_ir *ir, const struct rs_ir_moves *m)
{
	struct step s = { .a = ir, .b = ir, .same_ranges = true };
	rs_autofree struct pair *groups = NULL;
	bool proven = !m->n_locals;
	size_t i, n = 0;

	for (i = 0; proven && i < m->n; i++) {
		const struct rs_ir_addr now = { .addr = m->v[i].addr, .cls = m->v[i].to };

		if (m->v[i].from == m->v[i].to)
			continue;
		proven = m->v[i].from == RS_CLASS_NONE;
		if (proven)
			push_exact(&s, &now, false);
	}
	unique(&s.added);
	groups = proven ? pair_groups(ir, ir, &n) : NULL;
	for (i = 0; groups && proven && i < n; i++)
		proven = group_loosens(&s, &groups[i], &s.added);
	step_clear(&s);
	return !proven || !groups;
}
