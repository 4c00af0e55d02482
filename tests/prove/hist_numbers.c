// SPDX-License-Identifier: Apache-2.0
/*
 * hist_numbers.c - what lib/policy/number.h promises, looked at from outside: from one IR to the
 * next, without a look into the compiler.
 *
 * - A number that is new lies above all numbers given out before, committed or not: so none is used
 *   again, whatever it meant.
 * - A profile's number keeps its ports, a group's its policies.
 * - A class or group whose number lives on over a step either lost no member, or none of its cells
 *   (and not its default) changed: a packet may look up one half before and the other after.
 */
#include <stdio.h>
#include <string.h>

#include "tests/prove/canon.h"
#include "tests/prove/hist.h"

struct step {
	const struct hist_numbers *n;
	const struct rs_ir *a; /* committed last */
	const struct rs_ir *b;
	char *why;
};

static void complain(struct step *s, char *why)
{
	if (s->why)
		free(why);
	else
		s->why = why;
}

/* ---- what is given out ----------------------------------------------------------------------- */

static void raise_to(uint32_t *max, uint32_t no)
{
	if (no > *max)
		*max = no;
}

void hist_numbers_see(struct hist_numbers *n, const struct rs_ir *ir)
{
	size_t i;

	for (i = 0; ir && i < ir->n_addrs; i++)
		raise_to(&n->max_class, ir->addrs[i].cls);
	for (i = 0; ir && i < ir->n_ranges; i++)
		raise_to(&n->max_class, ir->ranges[i].cls);
	for (i = 0; ir && i < ir->n_cells; i++)
		raise_to(&n->max_class, ir->cells[i].cls);
	for (i = 0; ir && i < ir->n_groups; i++)
		raise_to(&n->max_group, ir->groups[i].group);
	for (i = 0; ir && i < ir->n_profiles; i++)
		raise_to(&n->max_profile, ir->profiles[i].profile);
}

static bool has_class(const struct rs_ir *ir, uint32_t cls)
{
	size_t i;

	if (cls == RS_CLASS_WORLD)
		return true;
	for (i = 0; i < ir->n_addrs; i++)
		if (ir->addrs[i].cls == cls)
			return true;
	for (i = 0; i < ir->n_ranges; i++)
		if (ir->ranges[i].cls == cls)
			return true;
	return false;
}

static bool new_number(const struct step *s, bool before, uint32_t no, uint32_t max)
{
	return !(s->a && before) && no <= max;
}

static void check_classes(struct step *s)
{
	const struct rs_ir *b = s->b;
	size_t i;

	for (i = 0; i < b->n_addrs + b->n_ranges; i++) {
		uint32_t no = i < b->n_addrs ? b->addrs[i].cls : b->ranges[i - b->n_addrs].cls;

		if (no && new_number(s, s->a && has_class(s->a, no), no, s->n->max_class))
			complain(s, rs_asprintf("class %u is used again (%u were given out)", no,
						s->n->max_class));
	}
}

static void check_groups(struct step *s, bool seeded)
{
	for (size_t i = 0; i < s->b->n_groups; i++) {
		const struct rs_ir_group *g = &s->b->groups[i];
		const struct rs_ir_group *was =
			s->a ? rs_ir_group(s->a, (enum rs_ir_dir)g->dir, g->group) : NULL;
		rs_autofree char *now = pv_canon_policies(s->b, g), *then = NULL;

		if (new_number(s, was, g->group, s->n->max_group))
			complain(s, rs_asprintf("group %u is used again (%u were given out)",
						g->group, s->n->max_group));
		if (!was || seeded)
			continue;
		then = pv_canon_policies(s->a, was);
		if (strcmp(now, then) != 0)
			complain(s,
				 rs_asprintf("group %u: %s before, %s now", g->group, then, now));
	}
}

static void check_profiles(struct step *s)
{
	for (size_t i = 0; i < s->b->n_profiles; i++) {
		uint32_t no = s->b->profiles[i].profile;
		bool was = s->a && rs_ir_profile(s->a, no);
		rs_autofree char *now = pv_canon_profile(s->b, no), *then = NULL;

		if (no < RS_PROFILE_FIRST)
			continue;
		if (new_number(s, was, no, s->n->max_profile))
			complain(s, rs_asprintf("profile %u is used again (%u were given out)", no,
						s->n->max_profile));
		then = was ? pv_canon_profile(s->a, no) : NULL;
		if (then && strcmp(now, then) != 0)
			complain(s, rs_asprintf("profile %u: %s before, %s now", no, then, now));
	}
}

/* ---- who left, what changed ------------------------------------------------------------------ */

static bool range_left(const struct rs_ir *b, const struct rs_ir_range *was)
{
	struct rs_addr at = was->lo;

	for (size_t i = 0; i < b->n_ranges; i++) {
		const struct rs_ir_range *r = &b->ranges[i];

		if (rs_addr_cmp(&r->hi, &at) < 0 || r->lo.family != at.family)
			continue;
		if (rs_addr_cmp(&r->lo, &at) > 0 || r->cls != was->cls)
			return true;
		if (rs_addr_cmp(&r->hi, &was->hi) >= 0)
			return false;
		at = r->hi;
		rs_addr_next(&at);
	}
	return true;
}

static bool class_left(const struct step *s, uint32_t cls)
{
	uint32_t now;
	size_t i;

	for (i = 0; i < s->a->n_addrs; i++)
		if (s->a->addrs[i].cls == cls &&
		    (!rs_ir_class_exact(s->b, &s->a->addrs[i].addr, &now) || now != cls))
			return true;
	for (i = 0; i < s->a->n_ranges; i++)
		if (s->a->ranges[i].cls == cls && range_left(s->b, &s->a->ranges[i]))
			return true;
	return false;
}

static bool group_left(const struct step *s, uint8_t dir, uint32_t group)
{
	for (size_t i = 0; i < s->a->n_locals; i++) {
		const struct rs_ir_local *was = &s->a->locals[i], *now;
		bool in = dir == RS_DIR_IN;

		if ((in ? was->in_group : was->out_group) != group)
			continue;
		now = rs_ir_local(s->b, &was->addr);
		if (!now || (in ? now->in_group : now->out_group) != group)
			return true;
	}
	return false;
}

static bool lives_on(const struct step *s, const struct rs_ir_cell *c)
{
	enum rs_ir_dir dir = (enum rs_ir_dir)c->dir;

	return rs_ir_group(s->a, dir, c->group) && rs_ir_group(s->b, dir, c->group) &&
	       has_class(s->a, c->cls) && has_class(s->b, c->cls);
}

/* Both ends of c live on, and the other IR has not the same there. */
static bool cell_changed(const struct step *s, const struct rs_ir_cell *c,
			 const struct rs_ir *other)
{
	const struct rs_ir_cell *o = rs_ir_cell(other, (enum rs_ir_dir)c->dir, c->group, c->cls);

	return lives_on(s, c) && (!o || o->profile != c->profile);
}

static void check_cell(struct step *s, const struct rs_ir_cell *c, const struct rs_ir *other)
{
	if (!cell_changed(s, c, other))
		return;
	if (c->cls != RS_CLASS_WORLD && class_left(s, c->cls))
		complain(s,
			 rs_asprintf("class %u lost a member, and its cell with group %u changed",
				     c->cls, c->group));
	if (group_left(s, c->dir, c->group))
		complain(s,
			 rs_asprintf("group %u lost a member, and its cell with class %u changed",
				     c->group, c->cls));
}

static void check_cells(struct step *s)
{
	size_t i;

	for (i = 0; i < s->a->n_cells; i++)
		check_cell(s, &s->a->cells[i], s->b);
	for (i = 0; i < s->b->n_cells; i++)
		check_cell(s, &s->b->cells[i], s->a);
	for (i = 0; i < s->b->n_groups; i++) {
		const struct rs_ir_group *g = &s->b->groups[i];
		const struct rs_ir_group *was = rs_ir_group(s->a, (enum rs_ir_dir)g->dir, g->group);

		if (was && was->profile != g->profile && group_left(s, g->dir, g->group))
			complain(s, rs_asprintf("group %u lost a member, and its default changed",
						g->group));
	}
}

char *hist_numbers_check(const struct hist_numbers *n, const struct rs_ir *last, bool seeded,
			 const struct rs_ir *ir)
{
	struct step s = { n, last, ir, NULL };

	check_classes(&s);
	check_groups(&s, seeded);
	check_profiles(&s);
	if (last)
		check_cells(&s);
	return s.why;
}

/* ---- the same -------------------------------------------------------------------------------- */

bool hist_numbers_same(const struct rs_ir *a, const struct rs_ir *b)
{
	rs_autofree char *ca = pv_canon(a, false), *cb = pv_canon(b, false);
	size_t i;

	if (strcmp(ca, cb) != 0 || a->n_groups != b->n_groups || a->n_cells != b->n_cells)
		return false;
	for (i = 0; i < a->n_addrs; i++)
		if (a->addrs[i].cls != b->addrs[i].cls)
			return false;
	for (i = 0; i < a->n_ranges; i++)
		if (a->ranges[i].cls != b->ranges[i].cls)
			return false;
	for (i = 0; i < a->n_locals; i++)
		if (a->locals[i].in_group != b->locals[i].in_group ||
		    a->locals[i].out_group != b->locals[i].out_group)
			return false;
	for (i = 0; i < a->n_cells; i++)
		if (a->cells[i].profile != b->cells[i].profile)
			return false;
	for (i = 0; i < a->n_groups; i++)
		if (a->groups[i].profile != b->groups[i].profile)
			return false;
	return true;
}
