// SPDX-License-Identifier: Apache-2.0
/* canon.c - an IR without its numbers; see canon.h. */
#include "tests/prove/canon.h"

#include <stdio.h>
#include <string.h>

#include "base/base.h"

struct lines {
	struct rs_vec(char *) of;
	const struct rs_ir *ir;
	bool people;
};

static void add_line(struct lines *l, char *text)
{
	*rs_vec_push(&l->of) = text;
}

#define add(l, ...) add_line(l, rs_asprintf(__VA_ARGS__))

static const char *dir_name(uint8_t dir)
{
	return dir == RS_DIR_IN ? "in" : "out";
}

/* ---- names of numbers ------------------------------------------------------------------------ */

/* A class is called after the first range or address that it holds: no other class holds that. */
static char *class_name(const struct rs_ir *ir, uint32_t cls)
{
	char text[RS_ADDR_STRLEN];
	size_t i;

	if (cls == RS_CLASS_WORLD)
		return rs_strdup("world");
	for (i = 0; i < ir->n_ranges; i++)
		if (ir->ranges[i].cls == cls)
			return rs_asprintf("[%s..]", rs_addr_str(&ir->ranges[i].lo, text));
	for (i = 0; i < ir->n_addrs; i++)
		if (ir->addrs[i].cls == cls)
			return rs_asprintf("[%s]", rs_addr_str(&ir->addrs[i].addr, text));
	return rs_strdup("nobody");
}

static char *group_name(const struct rs_ir *ir, uint8_t dir, uint32_t group)
{
	char text[RS_ADDR_STRLEN];

	for (size_t i = 0; i < ir->n_locals; i++) {
		const struct rs_ir_local *l = &ir->locals[i];

		if ((dir == RS_DIR_IN ? l->in_group : l->out_group) == group)
			return rs_asprintf("%s(%s)", dir_name(dir), rs_addr_str(&l->addr, text));
	}
	return rs_asprintf("%s(nobody)", dir_name(dir));
}

char *pv_canon_profile(const struct rs_ir *ir, uint32_t profile)
{
	const struct rs_ir_profile *p = rs_ir_profile(ir, profile);
	struct rs_strbuf b = { 0 };

	if (profile == RS_PROFILE_ALLOW || profile == RS_PROFILE_DENY)
		return rs_strdup(profile == RS_PROFILE_ALLOW ? "allow" : "deny");
	for (uint32_t i = 0; p && i < p->n; i++) {
		const struct rs_ir_port *port = &ir->ports[p->first + i];

		rs_strbuf_printf(&b, "%s%s%u/%u-%u", i ? " " : "", port->allow ? "" : "!",
				 port->proto, port->lo, port->hi);
	}
	if (!b.len)
		rs_strbuf_puts(&b, p ? "empty" : "missing");
	return rs_strbuf_steal(&b);
}

char *pv_canon_policies(const struct rs_ir *ir, const struct rs_ir_group *g)
{
	struct rs_strbuf b = { 0 };

	rs_strbuf_puts(&b, g->isolated ? "isolated by" : "open");
	for (uint32_t i = 0; i < g->n_policies; i++) {
		const struct rs_ir_policy *p =
			&ir->policies[ir->group_policies[g->first_policy + i]];

		rs_strbuf_printf(&b, " %s/%s", p->ns, p->name);
	}
	return rs_strbuf_steal(&b);
}

/* ---- lines ----------------------------------------------------------------------------------- */

static void put_addrs(struct lines *l)
{
	char lo[RS_ADDR_STRLEN], hi[RS_ADDR_STRLEN];
	const struct rs_ir *ir = l->ir;
	size_t i;

	for (i = 0; i < ir->n_addrs; i++) {
		rs_autofree char *cls = class_name(ir, ir->addrs[i].cls);

		add(l, "addr %s class %s", rs_addr_str(&ir->addrs[i].addr, lo), cls);
	}
	for (i = 0; i < ir->n_ranges; i++) {
		rs_autofree char *cls = class_name(ir, ir->ranges[i].cls);

		add(l, "range %s-%s class %s", rs_addr_str(&ir->ranges[i].lo, lo),
		    rs_addr_str(&ir->ranges[i].hi, hi), cls);
	}
	for (i = 0; i < ir->n_locals; i++) {
		rs_autofree char *in = group_name(ir, RS_DIR_IN, ir->locals[i].in_group);
		rs_autofree char *out = group_name(ir, RS_DIR_OUT, ir->locals[i].out_group);

		add(l, "local %s %s %s", rs_addr_str(&ir->locals[i].addr, lo), in, out);
	}
}

static void put_why(const struct lines *l, struct rs_strbuf *b, uint32_t first, uint32_t n)
{
	for (uint32_t i = first; l->people && i < first + n; i++) {
		const struct rs_ir_portrule *w = &l->ir->whys[i];
		const struct rs_ir_rule *r =
			w->rule < l->ir->n_rules ? &l->ir->rules[w->rule] : NULL;

		rs_strbuf_printf(b, "; %u/%u-%u", w->proto, w->lo, w->hi);
		if (r)
			rs_strbuf_printf(b, " %s/%s %s[%u]", r->ns, r->name, dir_name(r->dir),
					 r->index);
	}
}

static void put_group(struct lines *l, const struct rs_ir_group *g)
{
	rs_autofree char *name = group_name(l->ir, g->dir, g->group);
	rs_autofree char *ports = pv_canon_profile(l->ir, g->profile);
	rs_autofree char *by = pv_canon_policies(l->ir, g);
	struct rs_strbuf b = { 0 };

	if (strstr(name, "nobody"))
		add(l, "orphan group %s %u", name, g->group);
	rs_strbuf_printf(&b, "group %s default %s %s", name, ports,
			 g->isolated ? "isolated" : "open");
	if (l->people)
		rs_strbuf_printf(&b, "%s %s", g->over_budget ? " over budget" : "", by);
	put_why(l, &b, g->first_why, g->n_why);
	add_line(l, rs_strbuf_steal(&b));
}

static void put_cell(struct lines *l, const struct rs_ir_cell *c)
{
	rs_autofree char *group = group_name(l->ir, c->dir, c->group);
	rs_autofree char *cls = class_name(l->ir, c->cls);
	rs_autofree char *ports = pv_canon_profile(l->ir, c->profile);
	struct rs_strbuf b = { 0 };

	if (strstr(group, "nobody") || !strcmp(cls, "nobody"))
		add(l, "orphan cell %s %u class %s %u", group, c->group, cls, c->cls);
	rs_strbuf_printf(&b, "cell %s %s %s", group, cls, ports);
	put_why(l, &b, c->first_why, c->n_why);
	add_line(l, rs_strbuf_steal(&b));
}

static bool profile_used(const struct rs_ir *ir, uint32_t profile)
{
	size_t i;

	for (i = 0; i < ir->n_cells; i++)
		if (ir->cells[i].profile == profile)
			return true;
	for (i = 0; i < ir->n_groups; i++)
		if (ir->groups[i].profile == profile)
			return true;
	return false;
}

static void put_rest(struct lines *l)
{
	char text[RS_CIDR_STRLEN], ll[RS_ADDR_STRLEN];
	const struct rs_ir *ir = l->ir;
	size_t i;

	for (i = 0; i < ir->n_profiles; i++) {
		rs_autofree char *ports = pv_canon_profile(ir, ir->profiles[i].profile);

		if (ir->profiles[i].profile < RS_PROFILE_FIRST)
			continue; /* fixed: a kernel has both always */
		if (!profile_used(ir, ir->profiles[i].profile))
			add(l, "orphan profile %u %s", ir->profiles[i].profile, ports);
		add(l, "profile %s", ports);
	}
	for (i = 0; i < ir->n_guards; i++)
		add(l, "guard %u %s ll %s", ir->guards[i].ifindex,
		    rs_addr_str(&ir->guards[i].addr, text),
		    ir->guards[i].ll.family ? rs_addr_str(&ir->guards[i].ll, ll) : "none");
	for (i = 0; i < ir->n_node_ranges; i++)
		add(l, "node-range %s", rs_cidr_str(&ir->node_ranges[i], text));
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Groups, cells and profiles come in the order of their numbers: sorted here by what they mean. */
char *pv_canon(const struct rs_ir *ir, bool people)
{
	struct lines l = { .ir = ir, .people = people };
	struct rs_strbuf b = { 0 };
	size_t i;

	put_addrs(&l);
	for (i = 0; i < ir->n_groups; i++)
		put_group(&l, &ir->groups[i]);
	for (i = 0; i < ir->n_cells; i++)
		put_cell(&l, &ir->cells[i]);
	put_rest(&l);
	if (l.of.n)
		qsort(l.of.v, l.of.n, sizeof(*l.of.v), by_text);
	for (i = 0; i < l.of.n; i++) {
		rs_strbuf_printf(&b, "%s\n", l.of.v[i]);
		free(l.of.v[i]);
	}
	rs_vec_free(&l.of);
	return rs_strbuf_steal(&b);
}

char *pv_canon_diff(const char *a, const char *b)
{
	while (*a || *b) {
		size_t la = strcspn(a, "\n"), lb = strcspn(b, "\n");

		if (la != lb || memcmp(a, b, la) != 0)
			return rs_asprintf("-%.*s\n+%.*s\n", (int)la, a, (int)lb, b);
		a += la + (a[la] == '\n');
		b += lb + (b[lb] == '\n');
	}
	return NULL;
}
