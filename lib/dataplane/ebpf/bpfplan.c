// SPDX-License-Identifier: Apache-2.0
/* bpfplan.c - an IR as the tables that the maps should hold. Pure. */
#include "dataplane/ebpf/bpfplan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "dataplane/ebpf/bpfbook.h"

struct rs_bpf_plan *rs_bpf_plan_new(void)
{
	return rs_new(struct rs_bpf_plan);
}

void rs_bpf_plan_free(struct rs_bpf_plan *p)
{
	if (!p)
		return;
	for (int m = 0; m < RS_BPF_MAPS; m++)
		rs_bpf_table_free(&p->t[m]);
	free(p);
}

size_t rs_bpf_plan_elements(const struct rs_bpf_plan *p)
{
	size_t n = 0;

	for (int m = 0; p && m < RS_BPF_MAPS; m++)
		n += p->t[m].n;
	return n;
}

static void put(struct rs_bpf_plan *p, enum rs_bpf_map m, const void *key, const void *value)
{
	rs_bpf_table_add(&p->t[m], m, key, value);
}

/* ---- addresses ------------------------------------------------------------------------------- */

static bool isolated(const struct rs_ir *ir, enum rs_ir_dir dir, uint32_t group)
{
	const struct rs_ir_group *g = rs_ir_group(ir, dir, group);

	return !g || g->isolated; /* a group that is not there is no reason to trust */
}

static void fill_local(const struct rs_ir *ir, const struct rs_ir_local *l, struct rs_bpf_end *e)
{
	e->flags |= RS_BPF_END_LOCAL;
	e->in_group = l->in_group;
	e->out_group = l->out_group;
	if (!isolated(ir, RS_DIR_IN, l->in_group) && !isolated(ir, RS_DIR_OUT, l->out_group))
		e->flags |= RS_BPF_END_FREE;
}

/* Both lists are sorted by address: what both know of one becomes one element. */
static void put_ends(struct rs_bpf_plan *p, const struct rs_ir *ir)
{
	size_t i = 0, j = 0;

	while (i < ir->n_addrs || j < ir->n_locals) {
		int c = i == ir->n_addrs    ? 1
			: j == ir->n_locals ? -1
					    : rs_addr_cmp(&ir->addrs[i].addr, &ir->locals[j].addr);
		struct rs_bpf_addr key =
			rs_bpf_addr_of(c <= 0 ? &ir->addrs[i].addr : &ir->locals[j].addr);
		struct rs_bpf_end e = { 0 };

		if (c <= 0) {
			e.flags = RS_BPF_END_CLASS;
			e.cls = ir->addrs[i++].cls;
		}
		if (c >= 0)
			fill_local(ir, &ir->locals[j++], &e);
		put(p, RS_BPF_MAP_ENDS, &key, &e);
	}
}

struct range {
	struct rs_bpf_plan *p;
	enum rs_bpf_map m;
	uint32_t family;
	uint32_t value;
};

static void put_prefix(const uint8_t *first, unsigned int len, void *arg)
{
	struct range *r = arg;
	struct rs_bpf_prefix key = { .plen = RS_BPF_FAMILY_BITS + len, .addr.family = r->family };

	memcpy(key.addr.a, first, rs_addr_bytes((int)r->family));
	put(r->p, r->m, &key, &r->value);
}

static void put_range(struct rs_bpf_plan *p, enum rs_bpf_map m, const struct rs_addr *lo,
		      const struct rs_addr *hi, uint32_t value)
{
	struct range r = { .p = p, .m = m, .family = lo->family, .value = value };

	rs_bpf_split(lo->b, hi->b, (unsigned int)rs_addr_bytes(lo->family), put_prefix, &r);
}

static void put_ranges(struct rs_bpf_plan *p, const struct rs_ir *ir)
{
	for (size_t i = 0; i < ir->n_ranges; i++)
		if (ir->ranges[i].cls != RS_CLASS_WORLD)
			put_range(p, RS_BPF_MAP_RANGES, &ir->ranges[i].lo, &ir->ranges[i].hi,
				  ir->ranges[i].cls);
	for (size_t i = 0; i < ir->n_node_ranges; i++) {
		struct rs_addr lo = rs_cidr_first(&ir->node_ranges[i]);
		struct rs_addr hi = rs_cidr_last(&ir->node_ranges[i]);

		put_range(p, RS_BPF_MAP_OWN, &lo, &hi, 1);
	}
}

/* ---- cells and profiles ---------------------------------------------------------------------- */

/* A number that is listed nowhere denies; 0 would be no cell, and a wider one would answer. */
static uint32_t profile_of(uint32_t profile)
{
	return profile && profile <= RS_BPF_PROFILE_MASK ? profile : RS_PROFILE_DENY;
}

static void put_cells(struct rs_bpf_plan *p, const struct rs_ir *ir, const struct rs_bpf_book *book)
{
	for (size_t i = 0; i < ir->n_groups; i++) {
		const struct rs_ir_group *g = &ir->groups[i];
		struct rs_bpf_cell key = { .dir = g->dir,
					   .group = g->group,
					   .cls = RS_BPF_DEFAULT };
		struct rs_bpf_cell_value value = {
			.profile = profile_of(g->profile),
			.rule = rs_bpf_book_rule(book, g->first_why, g->n_why),
		};

		value.profile |= g->isolated ? RS_BPF_GROUP_ISOLATED : 0;
		value.profile |= g->over_budget ? RS_BPF_GROUP_OVER_BUDGET : 0;
		put(p, RS_BPF_MAP_CELLS, &key, &value);
	}
	for (size_t i = 0; i < ir->n_cells; i++) {
		const struct rs_ir_cell *c = &ir->cells[i];
		struct rs_bpf_cell key = { .dir = c->dir, .group = c->group, .cls = c->cls };
		struct rs_bpf_cell_value value = {
			.profile = profile_of(c->profile),
			.rule = rs_bpf_book_rule(book, c->first_why, c->n_why),
		};

		put(p, RS_BPF_MAP_CELLS, &key, &value);
	}
}

struct run {
	struct rs_bpf_plan *p;
	uint32_t profile;
	uint8_t proto;
	uint32_t value;
};

static void put_port(struct rs_bpf_plan *p, uint32_t profile, uint8_t proto, const uint8_t *port,
		     uint32_t plen, uint32_t value)
{
	struct rs_bpf_port key = { .plen = plen };

	for (int i = 0; i < 4; i++)
		key.b[i] = (uint8_t)(profile >> (24 - 8 * i));
	key.b[4] = proto;
	memcpy(key.b + 5, port, 2);
	put(p, RS_BPF_MAP_PORTS, &key, &value);
}

static void put_port_prefix(const uint8_t *first, unsigned int len, void *arg)
{
	const struct run *r = arg;

	put_port(r->p, r->profile, r->proto, first, 40 + len, r->value);
}

static void put_run(struct rs_bpf_plan *p, uint32_t profile, const struct rs_ir_port *port)
{
	uint32_t value = port->allow ? RS_BPF_PORT_ALLOW : RS_BPF_PORT_DENY;
	struct run r = { .p = p, .profile = profile, .proto = port->proto, .value = value };
	uint8_t lo[2] = { (uint8_t)(port->lo >> 8), (uint8_t)port->lo };
	uint8_t hi[2] = { (uint8_t)(port->hi >> 8), (uint8_t)port->hi };

	rs_bpf_split(lo, hi, 2, put_port_prefix, &r);
}

static bool fits(const struct rs_ir_port *ports, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!ports[i].allow)
			return false;
	return n <= RS_BPF_RUNS;
}

/* The ports of one protocol. */
static void put_proto(struct rs_bpf_plan *p, uint32_t profile, const struct rs_ir_port *ports,
		      uint32_t n)
{
	struct rs_bpf_runs_key key = { .profile = profile, .proto = ports->proto };
	struct rs_bpf_runs runs = { .n = (uint16_t)n };

	if (!ports->proto && !ports->allow)
		return; /* what is listed nowhere is denied */
	for (uint32_t i = 0; i < RS_BPF_RUNS; i++)
		runs.lo[i] = 1; /* and hi 0: no port */
	if (!fits(ports, n))
		runs.n = RS_BPF_RUNS_MORE;
	for (uint32_t i = 0; i < n; i++) {
		if (runs.n == RS_BPF_RUNS_MORE) {
			put_run(p, profile, &ports[i]);
			continue;
		}
		runs.lo[i] = ports[i].lo;
		runs.hi[i] = ports[i].hi;
	}
	put(p, RS_BPF_MAP_RUNS, &key, &runs);
}

static void put_profile(struct rs_bpf_plan *p, uint32_t profile, const struct rs_ir_port *ports,
			uint32_t n)
{
	for (uint32_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && ports[end].proto == ports[i].proto;)
			end++;
		put_proto(p, profile, &ports[i], end - i);
	}
}

static void put_profiles(struct rs_bpf_plan *p, const struct rs_ir *ir)
{
	for (size_t i = 0; i < ir->n_profiles; i++) {
		const struct rs_ir_profile *pr = &ir->profiles[i];

		if (pr->profile >= RS_PROFILE_FIRST)
			put_profile(p, pr->profile, &ir->ports[pr->first], pr->n);
	}
}

/* ---- links ----------------------------------------------------------------------------------- */

static void begin_link(const struct rs_ir_guard *g, struct rs_bpf_link *l)
{
	memset(l, 0, sizeof(*l));
	memcpy(l->mac, g->mac, sizeof(l->mac));
	if (g->ifname)
		snprintf(l->name, sizeof(l->name), "%s", g->ifname);
}

/* Sorted by interface index: the addresses of one link stand together. */
static int put_links(struct rs_bpf_plan *p, const struct rs_ir *ir, struct rs_err *err)
{
	struct rs_bpf_link l = { 0 };

	for (size_t i = 0; i < ir->n_guards; i++) {
		const struct rs_ir_guard *g = &ir->guards[i];

		if (!i || ir->guards[i - 1].ifindex != g->ifindex)
			begin_link(g, &l);
		if (l.n == RS_BPF_LINK_ADDRS)
			return rs_err_set(err, E2BIG,
					  "link %s has more than %d addresses, which the eBPF "
					  "guard does not look at",
					  g->ifname ? g->ifname : "?", RS_BPF_LINK_ADDRS);
		l.addr[l.n++] = rs_bpf_addr_of(&g->addr);
		if (g->ll.family)
			l.ll = rs_bpf_addr_of(&g->ll);
		if (i + 1 == ir->n_guards || ir->guards[i + 1].ifindex != g->ifindex)
			put(p, RS_BPF_MAP_LINKS, &g->ifindex, &l);
	}
	return 0;
}

int rs_bpf_plan_from_ir(const struct rs_ir *ir, const struct rs_bpf_book *book,
			struct rs_bpf_plan **out, struct rs_err *err)
{
	rs_auto_bpf_plan *p = rs_bpf_plan_new();
	int rc;

	p->generation = ir->generation;
	put_ends(p, ir);
	put_ranges(p, ir);
	put_cells(p, ir, book);
	rs_bpf_book_put(book, &p->t[RS_BPF_MAP_WHYS]);
	put_profiles(p, ir);
	rc = put_links(p, ir, err);
	if (rc)
		return rc;
	for (int m = 0; m < RS_BPF_MAPS; m++)
		rs_bpf_table_sort(&p->t[m], m, NULL);
	*out = rs_steal_ptr(&p);
	return 0;
}

static void keep_rule(struct rs_bpf_table *t, size_t i, const struct rs_bpf_table *model)
{
	uint8_t *value = t->values + i * rs_bpf_tables[RS_BPF_MAP_CELLS].value;
	struct rs_bpf_cell_value mine, theirs;
	size_t at;

	if (!rs_bpf_table_find(model, RS_BPF_MAP_CELLS, rs_bpf_key(t, RS_BPF_MAP_CELLS, i), &at))
		return;
	memcpy(&mine, value, sizeof(mine));
	memcpy(&theirs, rs_bpf_value(model, RS_BPF_MAP_CELLS, at), sizeof(theirs));
	mine.rule = theirs.rule;
	memcpy(value, &mine, sizeof(mine));
}

void rs_bpf_plan_keep_rules(struct rs_bpf_plan *p, const struct rs_bpf_plan *model)
{
	const struct rs_bpf_table *whys = &model->t[RS_BPF_MAP_WHYS];

	for (size_t i = 0; i < p->t[RS_BPF_MAP_CELLS].n; i++)
		keep_rule(&p->t[RS_BPF_MAP_CELLS], i, &model->t[RS_BPF_MAP_CELLS]);
	rs_bpf_table_free(&p->t[RS_BPF_MAP_WHYS]);
	for (size_t i = 0; i < whys->n; i++)
		put(p, RS_BPF_MAP_WHYS, rs_bpf_key(whys, RS_BPF_MAP_WHYS, i),
		    rs_bpf_value(whys, RS_BPF_MAP_WHYS, i));
}

/* ---- text ------------------------------------------------------------------------------------ */

static void print_runs(struct rs_strbuf *b, const uint8_t *value)
{
	struct rs_bpf_runs r;

	memcpy(&r, value, sizeof(r));
	if (r.n == RS_BPF_RUNS_MORE)
		rs_strbuf_puts(b, " in rs_ports");
	for (uint32_t i = 0; i < r.n && r.n <= RS_BPF_RUNS; i++)
		rs_strbuf_printf(b, " %u-%u", r.lo[i], r.hi[i]);
}

static void print_cell(struct rs_strbuf *b, const uint8_t *value)
{
	struct rs_bpf_cell_value v;

	memcpy(&v, value, sizeof(v));
	rs_strbuf_printf(b, " %u", v.profile & RS_BPF_PROFILE_MASK);
	if (v.profile & RS_BPF_GROUP_ISOLATED)
		rs_strbuf_puts(b, " isolated");
	if (v.rule & RS_BPF_RULE_LIST)
		rs_strbuf_printf(b, " rules %u", v.rule & ~RS_BPF_RULE_LIST);
	else if (v.rule)
		rs_strbuf_printf(b, " rule %u", v.rule);
}

static void print_value(struct rs_strbuf *b, enum rs_bpf_map m, const uint8_t *value)
{
	struct rs_bpf_link l;
	struct rs_bpf_end e;
	char text[RS_ADDR_STRLEN];
	uint32_t num;

	if (m == RS_BPF_MAP_ENDS) {
		memcpy(&e, value, sizeof(e));
		if (e.flags & RS_BPF_END_CLASS)
			rs_strbuf_printf(b, " class %u", e.cls);
		if (e.flags & RS_BPF_END_LOCAL)
			rs_strbuf_printf(b, " in %u out %u", e.in_group, e.out_group);
		if (e.flags & RS_BPF_END_FREE)
			rs_strbuf_puts(b, " free");
	} else if (m == RS_BPF_MAP_RUNS) {
		print_runs(b, value);
	} else if (m == RS_BPF_MAP_LINKS) {
		memcpy(&l, value, sizeof(l));
		for (uint32_t i = 0; i < l.n; i++) {
			struct rs_addr a = rs_bpf_addr_to(&l.addr[i]);

			rs_strbuf_printf(b, " %s", rs_addr_str(&a, text));
		}
	} else if (m == RS_BPF_MAP_CELLS) {
		print_cell(b, value);
	} else {
		memcpy(&num, value, sizeof(num));
		rs_strbuf_printf(b, " %u", num);
	}
}

char *rs_bpf_plan_print(const struct rs_bpf_plan *p)
{
	struct rs_strbuf b = { 0 };

	for (int m = 0; m < RS_BPF_MAPS; m++)
		for (size_t i = 0; i < p->t[m].n; i++) {
			rs_autofree char *key = rs_bpf_key_str(m, rs_bpf_key(&p->t[m], m, i));

			rs_strbuf_puts(&b, key);
			print_value(&b, m, rs_bpf_value(&p->t[m], m, i));
			rs_strbuf_putc(&b, '\n');
		}
	return rs_strbuf_steal(&b);
}
