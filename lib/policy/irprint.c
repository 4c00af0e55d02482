// SPDX-License-Identifier: Apache-2.0
/* irprint.c - the golden text of an IR: one line a tuple, in the order of <ripstop/ir.h>. */
#include "base/base.h"
#include "policy/irtools.h"
#include "policy/words.h"

static const char *dir_name(uint8_t dir)
{
	return dir == RS_DIR_IN ? "in" : "out";
}

static void put_addr(struct rs_strbuf *b, const struct rs_addr *a)
{
	char text[RS_ADDR_STRLEN];

	rs_strbuf_puts(b, rs_addr_str(a, text));
}

static void put_comment(struct rs_strbuf *b, const char *s)
{
	if (s) {
		rs_strbuf_puts(b, " # ");
		rs_strbuf_puts_safe(b, s);
	}
	rs_strbuf_putc(b, '\n');
}

static void put_profile_no(struct rs_strbuf *b, uint32_t profile)
{
	if (profile == RS_PROFILE_ALLOW)
		rs_strbuf_puts(b, "allow");
	else if (profile == RS_PROFILE_DENY)
		rs_strbuf_puts(b, "deny");
	else
		rs_strbuf_printf(b, "%u", profile);
}

static void put_why(struct rs_strbuf *b, const struct rs_ir *ir, uint32_t first, uint32_t n)
{
	uint32_t i;

	for (i = first; i < first + n; i++) {
		const struct rs_ir_portrule *r = &ir->whys[i];
		const struct rs_ir_rule *rule;

		if (r->rule >= ir->n_rules)
			continue;
		rule = &ir->rules[r->rule];
		rs_strbuf_puts(b, i == first ? " # " : "; ");
		rs_put_port_range(b, r->proto, r->lo, r->hi);
		rs_strbuf_putc(b, ' ');
		rs_strbuf_puts_safe(b, rule->ns);
		rs_strbuf_putc(b, '/');
		rs_strbuf_puts_safe(b, rule->name);
		rs_strbuf_printf(b, " %s[%u]", rule->dir == RS_DIR_IN ? "ingress" : "egress",
				 rule->index);
	}
	rs_strbuf_putc(b, '\n');
}

static void put_addresses(struct rs_strbuf *b, const struct rs_ir *ir)
{
	size_t i;

	for (i = 0; i < ir->n_addrs; i++) {
		rs_strbuf_puts(b, "addr ");
		put_addr(b, &ir->addrs[i].addr);
		rs_strbuf_printf(b, " class %u", ir->addrs[i].cls);
		put_comment(b, ir->addrs[i].comment);
	}
	for (i = 0; i < ir->n_ranges; i++) {
		rs_strbuf_puts(b, "range ");
		put_addr(b, &ir->ranges[i].lo);
		rs_strbuf_putc(b, '-');
		put_addr(b, &ir->ranges[i].hi);
		rs_strbuf_printf(b, " class %u\n", ir->ranges[i].cls);
	}
	for (i = 0; i < ir->n_locals; i++) {
		rs_strbuf_puts(b, "local ");
		put_addr(b, &ir->locals[i].addr);
		rs_strbuf_printf(b, " in %u out %u", ir->locals[i].in_group,
				 ir->locals[i].out_group);
		put_comment(b, ir->locals[i].comment);
	}
}

static void put_group(struct rs_strbuf *b, const struct rs_ir *ir, const struct rs_ir_group *g)
{
	uint32_t i;

	rs_strbuf_printf(b, "group %s %u default ", dir_name(g->dir), g->group);
	put_profile_no(b, g->profile);
	rs_strbuf_puts(b, !g->isolated ? " open" : " isolated");
	if (g->over_budget)
		rs_strbuf_puts(b, " over-budget");
	for (i = 0; i < g->n_policies; i++) {
		const struct rs_ir_policy *p =
			&ir->policies[ir->group_policies[g->first_policy + i]];

		rs_strbuf_puts(b, i ? ", " : " by ");
		rs_strbuf_puts_safe(b, p->ns);
		rs_strbuf_putc(b, '/');
		rs_strbuf_puts_safe(b, p->name);
	}
	put_why(b, ir, g->first_why, g->n_why);
}

static void put_cells(struct rs_strbuf *b, const struct rs_ir *ir)
{
	size_t i;

	for (i = 0; i < ir->n_groups; i++)
		put_group(b, ir, &ir->groups[i]);
	for (i = 0; i < ir->n_cells; i++) {
		const struct rs_ir_cell *c = &ir->cells[i];

		rs_strbuf_printf(b, "cell %s %u class %u profile ", dir_name(c->dir), c->group,
				 c->cls);
		put_profile_no(b, c->profile);
		put_why(b, ir, c->first_why, c->n_why);
	}
}

static void put_profiles(struct rs_strbuf *b, const struct rs_ir *ir)
{
	size_t i, k;

	for (i = 0; i < ir->n_profiles; i++) {
		const struct rs_ir_profile *p = &ir->profiles[i];

		rs_strbuf_puts(b, "profile ");
		put_profile_no(b, p->profile);
		for (k = 0; k < p->n; k++) {
			const struct rs_ir_port *port = &ir->ports[p->first + k];

			rs_strbuf_puts(b, k ? ", " : " ");
			if (!port->allow)
				rs_strbuf_putc(b, '!');
			rs_put_port_range(b, port->proto, port->lo, port->hi);
		}
		rs_strbuf_puts(b, p->n ? "\n" : " none\n");
	}
}

static void put_guards(struct rs_strbuf *b, const struct rs_ir *ir)
{
	char text[RS_CIDR_STRLEN];
	size_t i;

	for (i = 0; i < ir->n_guards; i++) {
		const struct rs_ir_guard *g = &ir->guards[i];

		rs_strbuf_printf(b, "guard %u ", g->ifindex);
		put_addr(b, &g->addr);
		rs_strbuf_printf(b, " mac %02x:%02x:%02x:%02x:%02x:%02x", g->mac[0], g->mac[1],
				 g->mac[2], g->mac[3], g->mac[4], g->mac[5]);
		if (g->ll.family != RS_AF_NONE) {
			rs_strbuf_puts(b, " ll ");
			put_addr(b, &g->ll);
		}
		put_comment(b, g->ifname);
	}
	for (i = 0; i < ir->n_node_ranges; i++)
		rs_strbuf_printf(b, "node-range %s\n", rs_cidr_str(&ir->node_ranges[i], text));
}

char *rs_ir_print(const struct rs_ir *ir)
{
	struct rs_strbuf b = { 0 };

	put_addresses(&b, ir);
	put_cells(&b, ir);
	put_profiles(&b, ir);
	put_guards(&b, ir);
	return rs_strbuf_steal(&b);
}
