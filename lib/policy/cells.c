// SPDX-License-Identifier: Apache-2.0
/*
 * cells.c - fifth step of a compile: what each (group, class) may, stored where it differs from
 * what the lookup would find without it.
 *
 * A group's default is what rules without peers give. A range class can only add rules whose
 * ipBlocks hold it; an exact class adds rules whose selectors match its facet, and numbers for
 * the port names of egress rules. So only classes that some rule of the group touches are looked
 * at.
 */
#include <string.h>

#include "base/base.h"
#include "policy/compile.h"

/* For each number a list, made of nodes in one array; touched ones are remembered for clearing. */
struct lists {
	struct rs_u32s *of;
	struct rs_u32s touched;
};

struct answer {
	uint32_t content, why, n_why;
};

/* How the egress rules of a group use a port name; a set of these. */
enum name_use {
	NAME_USED = 1,
	NAME_TO_ANY = 2,    /* by a rule without peers */
	NAME_TO_BLOCKS = 4, /* by a rule with ipBlocks */
};

struct work {
	struct rs_cc *c;
	/* for all groups */
	struct rs_u32s *atom_facets;
	struct rs_u32s *named_facets;
	struct rs_u32s *block_classes;
	/* of the group at hand */
	struct rs_draft_group *g;
	uint32_t group;
	struct rs_u32s any;  /* rules without peers */
	struct lists facets; /* facet: rules that select it */
	struct lists ranges; /* range class: rules whose blocks hold it */
	uint8_t *name_use;   /* by name: enum name_use */
	bool any_named;
	struct rs_intern seen;
	struct rs_vec(struct answer) answers;
	struct answer *range_answer; /* by draft class */
	struct rs_strbuf key;
	struct rs_u32s rules;
};

static void lists_init(struct lists *l, size_t n)
{
	l->of = rs_new0(struct rs_u32s, n);
}

static void lists_add(struct lists *l, uint32_t at, uint32_t rule)
{
	if (!l->of[at].n)
		*rs_vec_push(&l->touched) = at;
	if (!l->of[at].n || l->of[at].v[l->of[at].n - 1] != rule)
		*rs_vec_push(&l->of[at]) = rule;
}

static void lists_clear(struct lists *l)
{
	size_t i;

	for (i = 0; i < l->touched.n; i++)
		l->of[l->touched.v[i]].n = 0;
	l->touched.n = 0;
}

static void u32s_free(struct rs_u32s *v, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		rs_vec_free(&v[i]);
	free(v);
}

static void note_names(struct work *x, const struct rs_crule *r)
{
	size_t i;

	for (i = 0; i < r->named.n; i++) {
		if (r->named.v[i] == RS_NONE)
			continue;
		x->any_named = true;
		x->name_use[r->named.v[i]] |= NAME_USED | (r->rule->any_peer ? NAME_TO_ANY : 0) |
					      (r->block != RS_NONE ? NAME_TO_BLOCKS : 0);
	}
}

/* Rules stand for themselves; RS_NONE marks a facet that is touched by a port name alone. */
static void gather(struct work *x)
{
	const struct rs_cc *c = x->c;
	size_t i, k, n;

	for (i = 0; i < x->g->policies.n; i++) {
		const struct rs_cpolicy *p = &c->policies.v[x->g->policies.v[i]];
		uint32_t first = p->first_rule[x->g->dir];

		for (k = first; k < first + p->n_rules[x->g->dir]; k++) {
			const struct rs_crule *r = &c->rules.v[k];

			if (r->rule->any_peer)
				*rs_vec_push(&x->any) = (uint32_t)k;
			for (n = 0; r->block != RS_NONE && n < x->block_classes[r->block].n; n++)
				lists_add(&x->ranges, x->block_classes[r->block].v[n], (uint32_t)k);
			for (n = 0; n < r->atoms.n; n++) {
				const struct rs_u32s *f = &x->atom_facets[r->atoms.v[n]];
				size_t m;

				for (m = 0; m < f->n; m++)
					lists_add(&x->facets, f->v[m], (uint32_t)k);
			}
			if (x->g->dir == RS_EGRESS)
				note_names(x, r);
		}
	}
}

static bool in_touched_range(const struct work *x, const struct rs_facet *f)
{
	size_t i;

	for (i = 0; i < f->classes.n; i++)
		if (x->ranges.of[x->c->d.classes.v[f->classes.v[i]].range_cls].n)
			return true;
	return false;
}

/*
 * Declaring a name makes a pod differ from its range, too, where an egress rule that uses the name
 * holds for the pod by its address alone. A rule that selects pods has touched those that it
 * selects, and says nothing about others.
 */
static void touch_named(struct work *x)
{
	size_t i, k;

	for (i = 0; x->any_named && i < x->c->named_out.n; i++) {
		const struct rs_u32s *f = &x->named_facets[i];

		if (!(x->name_use[i] & (NAME_TO_ANY | NAME_TO_BLOCKS)))
			continue;
		for (k = 0; k < f->n; k++)
			if (!x->facets.of[f->v[k]].n &&
			    (x->name_use[i] & NAME_TO_ANY ||
			     in_touched_range(x, &x->c->facets.v[f->v[k]])))
				lists_add(&x->facets, f->v[k], RS_NONE);
	}
}

static void paint_named(struct rs_portset *s, const struct rs_u64s *pairs, uint32_t id,
			uint8_t proto, uint32_t rule)
{
	size_t i;

	for (i = 0; i < pairs->n; i++)
		if (pairs->v[i] >> 16 == id) {
			uint16_t port = (uint16_t)(pairs->v[i] & 0xffff);

			rs_portset_paint(s, proto, port, port, rule);
		}
}

static void paint_rule(const struct rs_cc *c, struct rs_portset *s, uint32_t rule,
		       const struct rs_u64s *pairs)
{
	const struct rs_crule *r = &c->rules.v[rule];
	size_t i;

	if (r->rule->any_port) {
		rs_portset_paint_all(s, rule);
		return;
	}
	for (i = 0; i < r->rule->n_ports; i++) {
		const struct rs_policy_port *p = &r->rule->ports[i];

		if (p->invalid)
			continue;
		if (p->kind == RS_PORT_NAMED)
			paint_named(s, pairs, r->named.v[i], p->proto, rule);
		else if (p->kind == RS_PORT_ANY)
			rs_portset_paint(s, p->proto, 0, UINT16_MAX, rule);
		else
			rs_portset_paint(s, p->proto, p->lo, p->hi, rule);
	}
}

static uint32_t content_id(struct rs_cc *c, const struct rs_ports *ports)
{
	rs_auto_strbuf key = { 0 };
	struct rs_ports *copy;
	bool fresh;
	uint32_t id;
	size_t i;

	for (i = 0; i < ports->n; i++) {
		rs_key_u32(&key, ports->v[i].proto);
		rs_key_u32(&key, (uint32_t)ports->v[i].lo << 16 | ports->v[i].hi);
	}
	id = rs_intern_put(&c->content_keys, rs_strbuf_str(&key), key.len, &fresh);
	if (!fresh)
		return id;
	copy = rs_vec_push(&c->d.contents);
	for (i = 0; i < ports->n; i++)
		*rs_vec_push(copy) = ports->v[i];
	return id;
}

static void why_of(struct rs_cc *c, const struct rs_portset *s, struct answer *a)
{
	rs_auto_strbuf key = { 0 };
	struct rs_u32s *at;
	bool fresh;
	uint32_t id;
	size_t i;

	for (i = 0; i < s->runs.n; i++) {
		rs_key_u32(&key, s->runs.v[i].proto);
		rs_key_u32(&key, (uint32_t)s->runs.v[i].lo << 16 | s->runs.v[i].hi);
		rs_key_u32(&key, s->runs.v[i].rule);
	}
	id = rs_intern_put(&c->why_keys, rs_strbuf_str(&key), key.len, &fresh);
	if (fresh) {
		at = rs_vec_push(&c->why_at);
		*rs_vec_push(at) = (uint32_t)c->d.whys.n;
		for (i = 0; i < s->runs.n; i++)
			*rs_vec_push(&c->d.whys) = s->runs.v[i];
	}
	a->why = c->why_at.v[id].v[0];
	a->n_why = (uint32_t)s->runs.n;
}

static struct answer finish(struct rs_cc *c, struct rs_portset *s)
{
	struct rs_ports ports = { 0 };
	struct answer a = { 0 };

	rs_portset_content(s, &ports);
	a.content = content_id(c, &ports);
	why_of(c, s, &a);
	rs_vec_free(&ports);
	rs_portset_free(s);
	return a;
}

static void take(struct rs_u32s *to, const struct rs_u32s *from)
{
	size_t i;

	for (i = 0; i < from->n; i++)
		if (from->v[i] != RS_NONE)
			*rs_vec_push(to) = from->v[i];
}

/* The rules that one facet (or, with facet RS_NONE, a plain address) of a range class meets. */
static void rules_for(struct work *x, uint32_t range, uint32_t facet)
{
	x->rules.n = 0;
	take(&x->rules, &x->ranges.of[range]);
	if (facet != RS_NONE)
		take(&x->rules, &x->facets.of[facet]);
	rs_u32s_sort_unique(&x->rules);
}

static const struct rs_u64s *pairs_for(const struct work *x, uint32_t facet)
{
	static const struct rs_u64s none;

	if (x->g->dir == RS_INGRESS)
		return &x->g->named;
	return facet == RS_NONE ? &none : &x->c->facets.v[facet].named;
}

static void paint(struct work *x, struct rs_portset *s, uint32_t range, uint32_t facet)
{
	size_t i;

	rules_for(x, range, facet);
	take(&x->rules, &x->any);
	rs_u32s_sort_unique(&x->rules);
	for (i = 0; i < x->rules.n && !s->all; i++)
		paint_rule(x->c, s, x->rules.v[i], pairs_for(x, facet));
}

/* Classes that meet the same rules with the same numbers have the same answer: it is made once. */
static void answer_key(struct work *x, uint32_t range, uint32_t facet)
{
	const struct rs_u64s *pairs = pairs_for(x, facet);
	size_t i;

	rules_for(x, range, facet);
	rs_key_u32(&x->key, (uint32_t)x->rules.n);
	if (x->rules.n)
		rs_strbuf_add(&x->key, x->rules.v, x->rules.n * sizeof(*x->rules.v));
	for (i = 0; x->g->dir == RS_EGRESS && i < pairs->n; i++) {
		if (!x->name_use[pairs->v[i] >> 16])
			continue;
		rs_key_u32(&x->key, 1); /* one more */
		rs_strbuf_add(&x->key, &pairs->v[i], sizeof(pairs->v[i]));
	}
	rs_key_u32(&x->key, 0);
}

/* What a class of these facets may: what every one of them may. No facet: a plain address. */
static struct answer answer_for(struct work *x, uint32_t range, const struct rs_u32s *facets)
{
	struct rs_portset s = { 0 };
	size_t i, n = facets ? facets->n : 0;
	bool fresh;
	uint32_t id;

	rs_strbuf_reset(&x->key);
	for (i = 0; i < n || !i; i++)
		answer_key(x, range, n ? facets->v[i] : RS_NONE);
	id = rs_intern_put(&x->seen, x->key.s, x->key.len, &fresh);
	if (!fresh)
		return x->answers.v[id];
	for (i = 0; i < n || !i; i++) {
		struct rs_portset one = { 0 };

		paint(x, i ? &one : &s, range, n ? facets->v[i] : RS_NONE);
		if (i)
			rs_portset_intersect(&s, &one);
		rs_portset_free(&one);
	}
	*rs_vec_push(&x->answers) = finish(x->c, &s);
	return x->answers.v[id];
}

static void add_cell(struct work *x, uint32_t cls, const struct answer *a)
{
	*rs_vec_push(&x->c->d.cells) =
		(struct rs_draft_cell){ x->group, cls, a->content, a->why, a->n_why };
}

static void range_cells(struct work *x)
{
	size_t i;

	for (i = 0; i < x->ranges.touched.n; i++) {
		uint32_t cls = x->ranges.touched.v[i];
		struct answer a = answer_for(x, cls, NULL);

		x->range_answer[cls] = a;
		if (a.content != x->g->content)
			add_cell(x, cls, &a);
	}
}

/* A class of several facets is met through its first; untouched ones leave it what its range
 * has. */
static bool is_met(const struct work *x, const struct rs_draft_class *cls, uint32_t facet)
{
	size_t i;

	if (cls->members.v[0] != facet)
		return false;
	for (i = 0; i < cls->members.n; i++)
		if (!x->facets.of[cls->members.v[i]].n)
			return false;
	return true;
}

static void exact_cells(struct work *x, size_t limit)
{
	size_t i, k;

	for (i = 0; i < x->facets.touched.n; i++) {
		uint32_t facet = x->facets.touched.v[i];
		const struct rs_u32s *classes = &x->c->facets.v[facet].classes;

		for (k = 0; k < classes->n && x->c->d.cells.n <= limit; k++) {
			const struct rs_draft_class *cls = &x->c->d.classes.v[classes->v[k]];
			uint32_t below = x->g->content;
			struct answer a;

			if (!is_met(x, cls, facet))
				continue;
			if (x->ranges.of[cls->range_cls].n)
				below = x->range_answer[cls->range_cls].content;
			a = answer_for(x, cls->range_cls, &cls->members);
			if (a.content != below)
				add_cell(x, classes->v[k], &a);
		}
	}
}

static void deny_over_budget(struct work *x)
{
	const struct rs_draft_group *g = x->g;
	const struct rs_meta *m = &x->c->policies.v[g->policies.v[0]].p->meta;

	x->g->over_budget = true;
	rs_conditions_add(
		x->c->conditions, "CellBudget",
		"%s of the pods that %s/%s%s isolates needs more than %u cells: everything is "
		"denied there; use fewer distinct peers",
		g->dir == RS_INGRESS ? "ingress" : "egress", m->ns, m->name,
		g->policies.n > 1 ? " (with others)" : "", x->c->max_cells);
}

static void group_done(struct work *x)
{
	x->any.n = 0;
	lists_clear(&x->facets);
	lists_clear(&x->ranges);
	memset(x->name_use, 0, x->c->named_out.n * sizeof(*x->name_use));
	x->any_named = false;
	rs_intern_free(&x->seen);
	x->answers.n = 0;
}

static int cmp_class(const void *a, const void *b)
{
	const struct rs_draft_cell *x = a, *y = b;

	return x->cls < y->cls ? -1 : x->cls > y->cls;
}

/* Profiles are numbered in this order, which must not hang on the numbers of facets. */
static void sort_cells(struct work *x, size_t first)
{
	size_t n = x->c->d.cells.n - first;

	if (n > 1)
		qsort(x->c->d.cells.v + first, n, sizeof(*x->c->d.cells.v), cmp_class);
}

static void isolated_group(struct work *x)
{
	size_t first = x->c->d.cells.n;
	struct answer a;

	gather(x);
	touch_named(x);
	a = answer_for(x, 0, NULL);
	x->g->content = a.content;
	x->g->why = a.why;
	x->g->n_why = a.n_why;
	if (a.content != RS_CONTENT_ALL) {
		range_cells(x);
		exact_cells(x, first + x->c->max_cells);
	}
	if (x->c->d.cells.n - first > x->c->max_cells)
		deny_over_budget(x);
	if (x->g->over_budget) {
		x->c->d.cells.n = first;
		x->g->content = RS_CONTENT_NONE;
		x->g->n_why = 0;
	}
	sort_cells(x, first);
	group_done(x);
}

static void fixed_group(struct rs_cc *c, struct rs_draft_group *g)
{
	struct rs_portset s = { 0 };
	struct answer a;

	if (g->kind == RS_GROUP_OPEN)
		rs_portset_paint_all(&s, RS_NONE);
	a = finish(c, &s);
	g->content = a.content;
	g->why = a.why;
	g->n_why = a.n_why;
}

static void index_facets(struct work *x)
{
	size_t i, k;

	for (i = 0; i < x->c->facets.n; i++) {
		const struct rs_facet *f = &x->c->facets.v[i];

		for (k = 0; k < f->atoms.n; k++)
			*rs_vec_push(&x->atom_facets[f->atoms.v[k]]) = (uint32_t)i;
		for (k = 0; k < f->named.n; k++)
			*rs_vec_push(&x->named_facets[f->named.v[k] >> 16]) = (uint32_t)i;
	}
	for (i = 1; i < x->c->d.classes.n; i++) {
		const struct rs_draft_class *cls = &x->c->d.classes.v[i];

		for (k = 0; cls->range && k < cls->members.n; k++)
			if (cls->members.v[k] < x->c->blocks.by_id.n)
				*rs_vec_push(&x->block_classes[cls->members.v[k]]) = (uint32_t)i;
	}
}

static void work_free(struct work *x)
{
	const struct rs_cc *c = x->c;

	u32s_free(x->atom_facets, c->atoms.n);
	u32s_free(x->named_facets, c->named_out.n);
	u32s_free(x->block_classes, c->blocks.by_id.n);
	u32s_free(x->facets.of, c->facets.n);
	u32s_free(x->ranges.of, c->d.classes.n);
	rs_vec_free(&x->facets.touched);
	rs_vec_free(&x->ranges.touched);
	rs_vec_free(&x->any);
	rs_vec_free(&x->rules);
	rs_vec_free(&x->answers);
	rs_strbuf_free(&x->key);
	free(x->name_use);
	free(x->range_answer);
}

void rs_cc_cells(struct rs_cc *c)
{
	struct rs_ports all = { 0 }, none = { 0 };
	struct work x = { .c = c };
	size_t i;

	*rs_vec_push(&all) = (struct rs_ir_port){ 0, 0, UINT16_MAX, true };
	content_id(c, &all);  /* RS_CONTENT_ALL */
	content_id(c, &none); /* RS_CONTENT_NONE */
	rs_vec_free(&all);
	x.atom_facets = rs_new0(struct rs_u32s, c->atoms.n);
	x.named_facets = rs_new0(struct rs_u32s, c->named_out.n);
	x.block_classes = rs_new0(struct rs_u32s, c->blocks.by_id.n);
	x.name_use = rs_new0(uint8_t, c->named_out.n);
	x.range_answer = rs_new0(struct answer, c->d.classes.n);
	lists_init(&x.facets, c->facets.n);
	lists_init(&x.ranges, c->d.classes.n);
	index_facets(&x);
	for (i = 0; i < c->d.groups.n; i++) {
		x.g = &c->d.groups.v[i];
		x.group = (uint32_t)i;
		if (x.g->kind == RS_GROUP_ISOLATED)
			isolated_group(&x);
		else
			fixed_group(c, x.g);
	}
	work_free(&x);
}
