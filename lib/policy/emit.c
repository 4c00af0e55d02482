// SPDX-License-Identifier: Apache-2.0
/* emit.c - last step of a compile: the draft and its numbers become an IR. */
#include <string.h>

#include "base/base.h"
#include "policy/compile.h"
#include "policy/irtools.h"
#include "policy/number.h"

/* "ns/name". */
static const char *pod_comment(struct rs_ir *ir, const char *ns, const char *name)
{
	size_t a = strlen(ns), b = strlen(name);
	char *s = rs_ir_alloc(ir, a + b + 2, 1);

	memcpy(s, ns, a);
	s[a] = '/';
	memcpy(s + a + 1, name, b + 1);
	return s;
}

static void emit_addresses(const struct rs_cc *c, const struct rs_numbers *no, struct rs_ir *ir)
{
	size_t i;

	ir->n_addrs = c->d.addrs.n;
	ir->addrs = rs_ir_alloc(ir, ir->n_addrs, sizeof(*ir->addrs));
	for (i = 0; i < ir->n_addrs; i++) {
		ir->addrs[i].addr = c->d.addrs.v[i].addr;
		ir->addrs[i].cls = no->classes[c->d.addrs.v[i].cls];
		ir->addrs[i].comment = rs_ir_strdup(ir, c->d.addrs.v[i].comment);
	}
	ir->n_ranges = c->d.ranges.n;
	ir->ranges = rs_ir_alloc(ir, ir->n_ranges, sizeof(*ir->ranges));
	for (i = 0; i < ir->n_ranges; i++) {
		ir->ranges[i].lo = c->d.ranges.v[i].lo;
		ir->ranges[i].hi = c->d.ranges.v[i].hi;
		ir->ranges[i].cls = no->classes[c->d.ranges.v[i].cls];
	}
	ir->n_locals = c->d.locals.n;
	ir->locals = rs_ir_alloc(ir, ir->n_locals, sizeof(*ir->locals));
	for (i = 0; i < ir->n_locals; i++) {
		const struct rs_draft_local *l = &c->d.locals.v[i];
		const struct rs_local_pod *p = c->subjects.v[l->subject].pod;

		ir->locals[i].addr = l->addr;
		ir->locals[i].in_group = no->groups[l->group[RS_INGRESS]];
		ir->locals[i].out_group = no->groups[l->group[RS_EGRESS]];
		ir->locals[i].comment = pod_comment(ir, p->ns, p->name);
	}
}

static int cmp_group(const void *a, const void *b)
{
	const struct rs_ir_group *x = a, *y = b;

	if (x->dir != y->dir)
		return x->dir < y->dir ? -1 : 1;
	return x->group < y->group ? -1 : x->group > y->group;
}

static void emit_groups(const struct rs_cc *c, const struct rs_numbers *no, struct rs_ir *ir)
{
	size_t i, k, at = 0, total = 0;

	for (i = 0; i < c->d.groups.n; i++)
		total += c->d.groups.v[i].policies.n;
	ir->n_group_policies = total;
	ir->group_policies = rs_ir_alloc(ir, total, sizeof(*ir->group_policies));
	ir->n_groups = c->d.groups.n;
	ir->groups = rs_ir_alloc(ir, ir->n_groups, sizeof(*ir->groups));
	for (i = 0; i < ir->n_groups; i++) {
		const struct rs_draft_group *d = &c->d.groups.v[i];
		struct rs_ir_group *g = &ir->groups[i];

		g->dir = rs_draft_ir_dir(d->dir);
		g->group = no->groups[i];
		g->profile = no->profiles[d->content];
		g->isolated = d->kind != RS_GROUP_OPEN;
		g->over_budget = d->over_budget;
		g->first_policy = (uint32_t)at;
		g->n_policies = (uint32_t)d->policies.n;
		g->first_why = d->why;
		g->n_why = d->n_why;
		for (k = 0; k < d->policies.n; k++)
			ir->group_policies[at++] = d->policies.v[k];
	}
	if (ir->n_groups > 1)
		qsort(ir->groups, ir->n_groups, sizeof(*ir->groups), cmp_group);
}

static void emit_cells(const struct rs_cc *c, const struct rs_numbers *no, struct rs_ir *ir)
{
	size_t i;

	ir->n_cells = c->d.cells.n;
	ir->cells = rs_ir_alloc(ir, ir->n_cells, sizeof(*ir->cells));
	rs_draft_ir_cells(&c->d, no->groups, no->classes, no->profiles, ir->cells);
	for (i = 0; i < ir->n_cells; i++) {
		const struct rs_draft_cell *d = &c->d.cells.v[ir->cells[i].first_why];

		ir->cells[i].first_why = d->why;
		ir->cells[i].n_why = d->n_why;
	}
	ir->n_whys = c->d.whys.n;
	ir->whys = rs_ir_alloc(ir, ir->n_whys, sizeof(*ir->whys));
	if (ir->n_whys)
		memcpy(ir->whys, c->d.whys.v, ir->n_whys * sizeof(*ir->whys));
}

static int cmp_profile(const void *a, const void *b)
{
	const struct rs_ir_profile *x = a, *y = b;

	return x->profile < y->profile ? -1 : x->profile > y->profile;
}

static void emit_profiles(const struct rs_cc *c, const struct rs_numbers *no, struct rs_ir *ir)
{
	size_t i, k, ports = 0, n = 0;

	for (i = 0; i < c->d.contents.n; i++) {
		if (!no->profiles[i])
			continue;
		ports += c->d.contents.v[i].n;
		n++;
	}
	ir->n_profiles = n;
	ir->profiles = rs_ir_alloc(ir, n, sizeof(*ir->profiles));
	ir->n_ports = ports;
	ir->ports = rs_ir_alloc(ir, ports, sizeof(*ir->ports));
	n = 0;
	for (i = 0; i < c->d.contents.n; i++) {
		if (!no->profiles[i])
			continue;
		/* `first` is the draft's index until the profiles are in their order. */
		ir->profiles[n++] = (struct rs_ir_profile){ no->profiles[i], (uint32_t)i,
							    (uint32_t)c->d.contents.v[i].n };
	}
	if (n > 1)
		qsort(ir->profiles, n, sizeof(*ir->profiles), cmp_profile);
	for (i = 0, ports = 0; i < n; i++) {
		const struct rs_ports *from = &c->d.contents.v[ir->profiles[i].first];

		ir->profiles[i].first = (uint32_t)ports;
		for (k = 0; k < from->n; k++)
			ir->ports[ports++] = from->v[k];
	}
}

int rs_ir_guard_cmp(const void *a, const void *b)
{
	const struct rs_ir_guard *x = a, *y = b;

	if (x->ifindex != y->ifindex)
		return x->ifindex < y->ifindex ? -1 : 1;
	return rs_addr_cmp(&x->addr, &y->addr);
}

static void emit_guards(const struct rs_cc *c, struct rs_ir *ir)
{
	size_t i, k, n = 0, m = 0;

	for (i = 0; i < c->subjects.n; i++)
		n += c->subjects.v[i].pod->n_ips;
	ir->guards = rs_ir_alloc(ir, n, sizeof(*ir->guards));
	for (i = 0, n = 0; i < c->subjects.n; i++) {
		const struct rs_local_pod *p = c->subjects.v[i].pod;

		for (k = 0; p->ifindex && k < p->n_ips; k++) {
			struct rs_ir_guard *g;

			if (p->ips[k].family == RS_AF_NONE)
				continue;
			g = &ir->guards[n++];
			g->ifindex = p->ifindex;
			g->addr = p->ips[k];
			memcpy(g->mac, p->mac, sizeof(g->mac));
			g->ll = p->ll;
			g->ifname = rs_ir_strdup(ir, p->ifname);
		}
	}
	if (n > 1)
		qsort(ir->guards, n, sizeof(*ir->guards), rs_ir_guard_cmp);
	for (i = 0; i < n; i++)
		if (!m || rs_ir_guard_cmp(&ir->guards[m - 1], &ir->guards[i]) != 0)
			ir->guards[m++] = ir->guards[i];
	ir->n_guards = m;
}

static int cmp_cidr(const void *a, const void *b)
{
	return rs_cidr_cmp(a, b);
}

/* A pod whose address came from elsewhere (an external IPAM plugin) must not be forged either. */
static size_t add_outsiders(const struct rs_cc *c, struct rs_ir *ir, size_t n)
{
	size_t i;

	for (i = 0; i < ir->n_locals; i++) {
		const struct rs_addr *a = &ir->locals[i].addr;

		if (rs_cidrs_contain(c->w->node_ranges, c->w->n_node_ranges, a))
			continue;
		ir->node_ranges[n].addr = *a;
		ir->node_ranges[n++].len = (uint8_t)rs_addr_bits(a->family);
	}
	return n;
}

static void report_outsiders(const struct rs_cc *c)
{
	const struct rs_local_pod *first = NULL;
	char text[RS_ADDR_STRLEN];
	size_t i, j, n = 0;

	/* Without ranges there is nothing to be outside of. */
	for (i = 0; c->w->n_node_ranges && i < c->w->n_locals; i++)
		for (j = 0; j < c->w->locals[i].n_ips; j++) {
			const struct rs_addr *a = &c->w->locals[i].ips[j];

			if (rs_cidrs_contain(c->w->node_ranges, c->w->n_node_ranges, a) || n++)
				continue;
			first = &c->w->locals[i];
			rs_addr_str(a, text);
		}
	if (first)
		rs_conditions_add(c->conditions, "PodAddressOutsideRanges",
				  "%zu addresses of this node's pods lie outside its pod ranges "
				  "(the first: %s/%s %s): they are guarded, other nodes learn no "
				  "route to them",
				  n, first->ns, first->name, text);
}

static void emit_node_ranges(const struct rs_cc *c, struct rs_ir *ir)
{
	size_t n = c->w->n_node_ranges, i, m = 0;

	ir->node_ranges = rs_ir_alloc(ir, n + ir->n_locals, sizeof(*ir->node_ranges));
	if (n)
		memcpy(ir->node_ranges, c->w->node_ranges, n * sizeof(*ir->node_ranges));
	n = add_outsiders(c, ir, n);
	report_outsiders(c);
	if (n)
		qsort(ir->node_ranges, n, sizeof(*ir->node_ranges), cmp_cidr);
	for (i = 0; i < n; i++)
		if (!m || rs_cidr_cmp(&ir->node_ranges[m - 1], &ir->node_ranges[i]) != 0)
			ir->node_ranges[m++] = ir->node_ranges[i];
	ir->n_node_ranges = m;
}

static void emit_people(const struct rs_cc *c, struct rs_ir *ir)
{
	size_t i;

	ir->n_policies = c->policies.n;
	ir->policies = rs_ir_alloc(ir, ir->n_policies, sizeof(*ir->policies));
	for (i = 0; i < ir->n_policies; i++) {
		ir->policies[i].ns = rs_ir_strdup(ir, c->policies.v[i].p->meta.ns);
		ir->policies[i].name = rs_ir_strdup(ir, c->policies.v[i].p->meta.name);
	}
	ir->n_rules = c->rules.n;
	ir->rules = rs_ir_alloc(ir, ir->n_rules, sizeof(*ir->rules));
	for (i = 0; i < ir->n_rules; i++) {
		const struct rs_crule *r = &c->rules.v[i];

		ir->rules[i].ns = ir->policies[r->policy].ns;
		ir->rules[i].name = ir->policies[r->policy].name;
		ir->rules[i].dir = rs_draft_ir_dir(r->dir);
		ir->rules[i].index = r->index;
		ir->rules[i].file = rs_ir_strdup(ir, r->rule->pos.file);
		ir->rules[i].line = r->rule->pos.line;
		ir->rules[i].col = r->rule->pos.col;
	}
}

struct rs_ir *rs_cc_emit(const struct rs_cc *c, const struct rs_numbers *no)
{
	struct rs_ir *ir = rs_ir_new();

	emit_addresses(c, no, ir);
	emit_groups(c, no, ir);
	emit_cells(c, no, ir);
	emit_profiles(c, no, ir);
	emit_guards(c, ir);
	emit_node_ranges(c, ir);
	emit_people(c, ir);
	return ir;
}
