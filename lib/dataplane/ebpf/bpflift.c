// SPDX-License-Identifier: Apache-2.0
/* bpflift.c - the way back: tables of keys and values to an IR. */
#include "dataplane/ebpf/bpfplan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

static int bad(struct rs_err *err, enum rs_bpf_map m, const uint8_t *key, const char *why)
{
	rs_autofree char *name = rs_bpf_key_str(m, key);

	return rs_err_set(err, EBADMSG, "%s: %s", name, why);
}

static bool known_family(uint32_t family)
{
	return family == RS_AF_IP4 || family == RS_AF_IP6;
}

/* ---- addresses ------------------------------------------------------------------------------- */

static int lift_ends(const struct rs_bpf_table *t, struct rs_ir *ir, struct rs_err *err)
{
	ir->addrs = rs_ir_alloc(ir, t->n, sizeof(*ir->addrs));
	ir->locals = rs_ir_alloc(ir, t->n, sizeof(*ir->locals));
	for (size_t i = 0; i < t->n; i++) {
		const uint8_t *key = rs_bpf_key(t, RS_BPF_MAP_ENDS, i);
		struct rs_bpf_addr a;
		struct rs_bpf_end e;

		memcpy(&a, key, sizeof(a));
		memcpy(&e, rs_bpf_value(t, RS_BPF_MAP_ENDS, i), sizeof(e));
		if (!known_family(a.family))
			return bad(err, RS_BPF_MAP_ENDS, key, "no address");
		if (e.flags & RS_BPF_END_CLASS)
			ir->addrs[ir->n_addrs++] =
				(struct rs_ir_addr){ .addr = rs_bpf_addr_to(&a), .cls = e.cls };
		if (e.flags & RS_BPF_END_LOCAL)
			ir->locals[ir->n_locals++] =
				(struct rs_ir_local){ .addr = rs_bpf_addr_to(&a),
						      .in_group = e.in_group,
						      .out_group = e.out_group };
	}
	return 0;
}

/* First and last address of an entry; false: it is none. */
static bool bounds(const uint8_t *key, struct rs_addr *lo, struct rs_addr *hi)
{
	struct rs_bpf_prefix p;
	struct rs_cidr c;

	memcpy(&p, key, sizeof(p));
	if (!known_family(p.addr.family) || p.plen < RS_BPF_FAMILY_BITS ||
	    p.plen > RS_BPF_FAMILY_BITS + rs_addr_bits((int)p.addr.family))
		return false;
	c.addr = rs_bpf_addr_to(&p.addr);
	c.len = (uint8_t)(p.plen - RS_BPF_FAMILY_BITS);
	*lo = rs_cidr_first(&c);
	*hi = rs_cidr_last(&c);
	return true;
}

/* Prefixes that touch and have one class were one range. */
static int lift_ranges(const struct rs_bpf_table *t, struct rs_ir *ir, struct rs_err *err)
{
	ir->ranges = rs_ir_alloc(ir, t->n, sizeof(*ir->ranges));
	for (size_t i = 0; i < t->n; i++) {
		struct rs_ir_range *last = ir->n_ranges ? &ir->ranges[ir->n_ranges - 1] : NULL;
		const uint8_t *key = rs_bpf_key(t, RS_BPF_MAP_RANGES, i);
		struct rs_addr lo, hi, next;
		uint32_t cls;

		if (!bounds(key, &lo, &hi))
			return bad(err, RS_BPF_MAP_RANGES, key, "no prefix");
		memcpy(&cls, rs_bpf_value(t, RS_BPF_MAP_RANGES, i), sizeof(cls));
		if (last)
			next = last->hi;
		if (last && last->cls == cls && rs_addr_next(&next) && !rs_addr_cmp(&next, &lo)) {
			last->hi = hi;
			continue;
		}
		ir->ranges[ir->n_ranges++] = (struct rs_ir_range){ .lo = lo, .hi = hi, .cls = cls };
	}
	return 0;
}

static int lift_own(const struct rs_bpf_table *t, struct rs_ir *ir, struct rs_err *err)
{
	ir->node_ranges = rs_ir_alloc(ir, t->n, sizeof(*ir->node_ranges));
	for (size_t i = 0; i < t->n; i++) {
		const uint8_t *key = rs_bpf_key(t, RS_BPF_MAP_OWN, i);
		struct rs_bpf_prefix p;
		struct rs_addr lo, hi;

		if (!bounds(key, &lo, &hi))
			return bad(err, RS_BPF_MAP_OWN, key, "no prefix");
		memcpy(&p, key, sizeof(p));
		ir->node_ranges[ir->n_node_ranges++] =
			(struct rs_cidr){ .addr = lo,
					  .len = (uint8_t)(p.plen - RS_BPF_FAMILY_BITS) };
	}
	return 0;
}

/* ---- cells ----------------------------------------------------------------------------------- */

static void lift_cells(const struct rs_bpf_table *t, struct rs_ir *ir)
{
	ir->groups = rs_ir_alloc(ir, t->n, sizeof(*ir->groups));
	ir->cells = rs_ir_alloc(ir, t->n, sizeof(*ir->cells));
	for (size_t i = 0; i < t->n; i++) {
		struct rs_bpf_cell key;
		struct rs_bpf_cell_value v;
		uint32_t value;

		memcpy(&key, rs_bpf_key(t, RS_BPF_MAP_CELLS, i), sizeof(key));
		memcpy(&v, rs_bpf_value(t, RS_BPF_MAP_CELLS, i), sizeof(v));
		value = v.profile;
		if (key.cls == RS_BPF_DEFAULT)
			ir->groups[ir->n_groups++] = (struct rs_ir_group){
				.dir = (uint8_t)key.dir,
				.group = key.group,
				.profile = value & RS_BPF_PROFILE_MASK,
				.isolated = value & RS_BPF_GROUP_ISOLATED,
				.over_budget = value & RS_BPF_GROUP_OVER_BUDGET,
			};
		else
			ir->cells[ir->n_cells++] = (struct rs_ir_cell){
				.dir = (uint8_t)key.dir,
				.group = key.group,
				.cls = key.cls,
				.profile = value & RS_BPF_PROFILE_MASK,
			};
	}
}

/* ---- profiles -------------------------------------------------------------------------------- */

struct numbers rs_vec(uint32_t);

static int number_cmp(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static struct rs_bpf_runs_key runs_key(const struct rs_bpf_table *t, size_t i)
{
	struct rs_bpf_runs_key key;

	memcpy(&key, rs_bpf_key(t, RS_BPF_MAP_RUNS, i), sizeof(key));
	return key;
}

/* The two fixed ones, those that a cell names, and those that have ports. */
static void find_profiles(const struct rs_bpf_table *runs, const struct rs_ir *ir,
			  struct numbers *to)
{
	size_t n = 0;

	*rs_vec_push(to) = RS_PROFILE_ALLOW;
	*rs_vec_push(to) = RS_PROFILE_DENY;
	for (size_t i = 0; i < ir->n_groups; i++)
		*rs_vec_push(to) = ir->groups[i].profile;
	for (size_t i = 0; i < ir->n_cells; i++)
		*rs_vec_push(to) = ir->cells[i].profile;
	for (size_t i = 0; i < runs->n; i++)
		*rs_vec_push(to) = runs_key(runs, i).profile;
	qsort(to->v, to->n, sizeof(*to->v), number_cmp);
	for (size_t i = 0; i < to->n; i++)
		if (!n || to->v[n - 1] != to->v[i])
			to->v[n++] = to->v[i];
	to->n = n;
}

static bool port_of(const uint8_t *key, struct rs_ir_port *out)
{
	const uint8_t *b = key + 4;
	uint32_t plen, lo = (uint32_t)b[5] << 8 | b[6];

	memcpy(&plen, key, sizeof(plen));
	memset(out, 0, sizeof(*out));
	if (plen < 40 || plen > 56 || !b[4])
		return false;
	out->proto = b[4];
	out->lo = (uint16_t)lo;
	out->hi = (uint16_t)(lo + (1u << (56 - plen)) - 1);
	return true;
}

/* Of one profile: runs that touch and are alike were one. */
static void add_port(struct rs_ir *ir, struct rs_ir_profile *pr, struct rs_ir_port port)
{
	struct rs_ir_port *last = pr->n ? &ir->ports[ir->n_ports - 1] : NULL;

	if (last && last->proto == port.proto && last->allow == port.allow &&
	    last->hi + 1 == port.lo) {
		last->hi = port.hi;
		return;
	}
	ir->ports[ir->n_ports++] = port;
	pr->n++;
}

/* The entries of rs_ports that are of this profile and protocol stand together. */
static int lift_long_list(const struct rs_bpf_table *t, const struct rs_bpf_runs_key *key,
			  struct rs_ir *ir, struct rs_ir_profile *pr, struct rs_err *err)
{
	struct rs_bpf_port before = { .plen = 0 };
	struct rs_ir_port port;
	uint32_t value;
	size_t at;

	for (int i = 0; i < 4; i++)
		before.b[i] = (uint8_t)(key->profile >> (24 - 8 * i));
	before.b[4] = (uint8_t)key->proto;
	rs_bpf_table_find(t, RS_BPF_MAP_PORTS, (const uint8_t *)&before, &at);
	for (; at < t->n; at++) {
		const uint8_t *k = rs_bpf_key(t, RS_BPF_MAP_PORTS, at);

		if (memcmp(before.b, k + 4, 5) != 0)
			break;
		if (!port_of(k, &port))
			return bad(err, RS_BPF_MAP_PORTS, k, "no run of ports");
		memcpy(&value, rs_bpf_value(t, RS_BPF_MAP_PORTS, at), sizeof(value));
		port.allow = value == RS_BPF_PORT_ALLOW;
		add_port(ir, pr, port);
	}
	return 0;
}

static int lift_runs(const struct rs_bpf_plan *p, size_t at, struct rs_ir *ir,
		     struct rs_ir_profile *pr, struct rs_err *err)
{
	const struct rs_bpf_table *t = &p->t[RS_BPF_MAP_RUNS];
	struct rs_bpf_runs_key key = runs_key(t, at);
	struct rs_bpf_runs runs;

	memcpy(&runs, rs_bpf_value(t, RS_BPF_MAP_RUNS, at), sizeof(runs));
	if (runs.n == RS_BPF_RUNS_MORE)
		return lift_long_list(&p->t[RS_BPF_MAP_PORTS], &key, ir, pr, err);
	if (runs.n > RS_BPF_RUNS || key.proto > 255)
		return bad(err, RS_BPF_MAP_RUNS, rs_bpf_key(t, RS_BPF_MAP_RUNS, at), "no runs");
	for (uint32_t i = 0; i < runs.n; i++)
		add_port(ir, pr,
			 (struct rs_ir_port){ .proto = (uint8_t)key.proto,
					      .lo = runs.lo[i],
					      .hi = runs.hi[i],
					      .allow = true });
	return 0;
}

/* The two fixed ones have their ports in no table. */
static void lift_fixed(struct rs_ir *ir, struct rs_ir_profile *pr)
{
	if (pr->profile != RS_PROFILE_ALLOW)
		return;
	ir->ports[ir->n_ports++] = (struct rs_ir_port){ .hi = 65535, .allow = true };
	pr->n = 1;
}

static int lift_profiles(const struct rs_bpf_plan *p, struct rs_ir *ir, struct rs_err *err)
{
	const struct rs_bpf_table *runs = &p->t[RS_BPF_MAP_RUNS];
	size_t at = 0, most = p->t[RS_BPF_MAP_PORTS].n + RS_BPF_RUNS * runs->n + 1;
	struct numbers all = { 0 };
	int rc = 0;

	find_profiles(runs, ir, &all);
	ir->profiles = rs_ir_alloc(ir, all.n, sizeof(*ir->profiles));
	ir->ports = rs_ir_alloc(ir, most, sizeof(*ir->ports));
	for (size_t i = 0; i < all.n && !rc; i++) {
		struct rs_ir_profile *pr = &ir->profiles[ir->n_profiles++];

		pr->profile = all.v[i];
		pr->first = (uint32_t)ir->n_ports;
		if (pr->profile < RS_PROFILE_FIRST)
			lift_fixed(ir, pr);
		for (; at < runs->n && !rc && runs_key(runs, at).profile == pr->profile; at++)
			rc = lift_runs(p, at, ir, pr, err);
	}
	rs_vec_free(&all);
	return rc;
}

/* ---- links ----------------------------------------------------------------------------------- */

static int guard_cmp(const void *a, const void *b)
{
	const struct rs_ir_guard *x = a, *y = b;

	if (x->ifindex != y->ifindex)
		return x->ifindex < y->ifindex ? -1 : 1;
	return rs_addr_cmp(&x->addr, &y->addr);
}

static int lift_link(struct rs_ir *ir, const uint8_t *key, const struct rs_bpf_link *l,
		     struct rs_err *err)
{
	if (l->n > RS_BPF_LINK_ADDRS || (l->ll.family && l->ll.family != RS_AF_IP6))
		return bad(err, RS_BPF_MAP_LINKS, key, "no list of addresses");
	for (uint32_t i = 0; i < l->n; i++) {
		struct rs_ir_guard *g = &ir->guards[ir->n_guards++];
		char name[sizeof(l->name) + 1] = { 0 };

		if (!known_family(l->addr[i].family))
			return bad(err, RS_BPF_MAP_LINKS, key, "no address");
		memcpy(&g->ifindex, key, sizeof(g->ifindex));
		g->addr = rs_bpf_addr_to(&l->addr[i]);
		memcpy(g->mac, l->mac, sizeof(g->mac));
		if (l->ll.family)
			g->ll = rs_bpf_addr_to(&l->ll);
		memcpy(name, l->name, sizeof(l->name));
		g->ifname = *name ? rs_ir_strdup(ir, name) : NULL;
	}
	return 0;
}

static int lift_links(const struct rs_bpf_table *t, struct rs_ir *ir, struct rs_err *err)
{
	int rc = 0;

	ir->guards = rs_ir_alloc(ir, t->n * RS_BPF_LINK_ADDRS, sizeof(*ir->guards));
	for (size_t i = 0; i < t->n && !rc; i++) {
		struct rs_bpf_link l;

		memcpy(&l, rs_bpf_value(t, RS_BPF_MAP_LINKS, i), sizeof(l));
		rc = lift_link(ir, rs_bpf_key(t, RS_BPF_MAP_LINKS, i), &l, err);
	}
	if (ir->n_guards)
		qsort(ir->guards, ir->n_guards, sizeof(*ir->guards), guard_cmp);
	return rc;
}

int rs_bpf_plan_to_ir(const struct rs_bpf_plan *p, struct rs_ir **out, struct rs_err *err)
{
	struct rs_ir *ir = rs_ir_new();
	int rc;

	ir->generation = p->generation;
	lift_cells(&p->t[RS_BPF_MAP_CELLS], ir);
	rc = lift_ends(&p->t[RS_BPF_MAP_ENDS], ir, err);
	if (!rc)
		rc = lift_ranges(&p->t[RS_BPF_MAP_RANGES], ir, err);
	if (!rc)
		rc = lift_own(&p->t[RS_BPF_MAP_OWN], ir, err);
	if (!rc)
		rc = lift_profiles(p, ir, err);
	if (!rc)
		rc = lift_links(&p->t[RS_BPF_MAP_LINKS], ir, err);
	if (rc) {
		rs_ir_free(ir);
		return rc;
	}
	*out = ir;
	return 0;
}
