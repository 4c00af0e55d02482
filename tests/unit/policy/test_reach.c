// SPDX-License-Identifier: Apache-2.0
/*
 * Reach against rs_ir_eval(): random IRs, every pair of addresses, every protocol at every port where
 * an answer could change. The IRs hold what compiled ones may: cells of exact and of range classes,
 * ends that are not local, groups that deny by default and groups that nobody knows.
 */
#include "policytest.h"

#include "policy/reach.h"

#define ADDRS 24
#define CLASSES 9
#define GROUPS 5
#define PROFILES 12 /* numbers from 1: the two fixed ones first */

static uint64_t seed;

static uint32_t rnd(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 20) % n;
}

static struct rs_addr addr(uint32_t i)
{
	char text[32];

	snprintf(text, sizeof(text), "10.0.%u.%u", i / 8, i % 8 + 1);
	return A(text);
}

/* Runs of one protocol lie apart: those of a profile are merged. */
static void make_profile(struct rs_ir *ir, struct rs_ir_profile *p)
{
	static const uint8_t protos[] = { TCP, UDP, SCTP };
	size_t k;

	p->first = (uint32_t)ir->n_ports;
	if (rnd(6) == 0) {
		ir->ports[ir->n_ports++] = (struct rs_ir_port){ 0, 0, UINT16_MAX, true };
		p->n = 1;
		return;
	}
	for (k = 0; k < RS_ARRAY_SIZE(protos); k++) {
		uint32_t at = rnd(4), last;

		if (rnd(3) == 0) {
			ir->ports[ir->n_ports++] =
				(struct rs_ir_port){ protos[k], 0, UINT16_MAX, true };
			continue;
		}
		while (rnd(3) && at <= UINT16_MAX) {
			last = at + rnd(3) * rnd(40000);
			last = last > UINT16_MAX ? UINT16_MAX : last;
			ir->ports[ir->n_ports++] = (struct rs_ir_port){ protos[k], (uint16_t)at,
									(uint16_t)last, true };
			at = last + 2 + rnd(5);
		}
	}
	p->n = (uint32_t)ir->n_ports - p->first;
}

static void make_profiles(struct rs_ir *ir)
{
	uint32_t i;

	ir->profiles = rs_ir_alloc(ir, PROFILES, sizeof(*ir->profiles));
	ir->ports = rs_ir_alloc(ir, 4096, sizeof(*ir->ports));
	for (i = RS_PROFILE_FIRST; i <= PROFILES; i++) {
		struct rs_ir_profile *p = &ir->profiles[ir->n_profiles++];

		p->profile = i;
		make_profile(ir, p);
	}
}

static void make_addresses(struct rs_ir *ir)
{
	uint32_t i;

	ir->addrs = rs_ir_alloc(ir, ADDRS, sizeof(*ir->addrs));
	ir->locals = rs_ir_alloc(ir, ADDRS, sizeof(*ir->locals));
	ir->ranges = rs_ir_alloc(ir, ADDRS / 8, sizeof(*ir->ranges));
	for (i = 0; i < ADDRS; i++) {
		if (rnd(3))
			ir->addrs[ir->n_addrs++] =
				(struct rs_ir_addr){ .addr = addr(i), .cls = 1 + rnd(CLASSES) };
		if (rnd(4)) /* group GROUPS + 1 does not exist */
			ir->locals[ir->n_locals++] = (struct rs_ir_local){
				.addr = addr(i),
				.in_group = 1 + rnd(GROUPS + 1),
				.out_group = 1 + rnd(GROUPS + 1),
			};
	}
	for (i = 0; i < ADDRS; i += 8)
		if (rnd(3))
			ir->ranges[ir->n_ranges++] =
				(struct rs_ir_range){ addr(i), addr(i + 5), 1 + rnd(CLASSES) };
}

static void make_cells(struct rs_ir *ir)
{
	uint32_t dir, g, c;

	ir->groups = rs_ir_alloc(ir, 2 * (size_t)GROUPS, sizeof(*ir->groups));
	ir->cells = rs_ir_alloc(ir, 2 * (size_t)GROUPS * CLASSES, sizeof(*ir->cells));
	for (dir = RS_DIR_IN; dir <= RS_DIR_OUT; dir++)
		for (g = 1; g <= GROUPS; g++) {
			ir->groups[ir->n_groups++] = (struct rs_ir_group){
				.dir = (uint8_t)dir,
				.group = g,
				.profile = 1 + rnd(PROFILES),
				.isolated = rnd(2),
			};
			for (c = 1; c <= CLASSES; c++)
				if (rnd(2))
					ir->cells[ir->n_cells++] = (struct rs_ir_cell){
						.dir = (uint8_t)dir,
						.group = g,
						.cls = c,
						.profile = 1 + rnd(PROFILES),
					};
		}
}

static struct rs_ir *make_ir(void)
{
	struct rs_ir *ir = rs_ir_new();

	make_profiles(ir);
	make_addresses(ir);
	make_cells(ir);
	return ir;
}

/* ---- the comparison -------------------------------------------------------------------------- */

static void check_port(const struct rs_ir *ir, uint32_t c, uint32_t s, const struct rs_reach *r,
		       uint8_t proto, uint16_t port)
{
	struct rs_addr from = addr(c), to = addr(s);
	struct rs_ir_verdict v;

	rs_ir_eval(ir, &from, &to, proto, port, &v);
	if (v.allow != rs_reach_allows(r, proto, port)) {
		rs_autofree char *text = rs_reach_str(r);

		fail_msg("%u -> %u proto %u port %u: eval %d, reach \"%s\"", c, s, proto, port,
			 v.allow, text);
	}
}

/* At the ends of every run of every profile, and one beside them. */
static void check_pair(const struct rs_ir *ir, uint32_t c, uint32_t s, const struct rs_reach *r)
{
	static const uint8_t protos[] = { TCP, UDP, SCTP };
	size_t i, k;

	for (i = 0; i < ir->n_ports; i++)
		for (k = 0; k < RS_ARRAY_SIZE(protos); k++) {
			check_port(ir, c, s, r, protos[k], ir->ports[i].lo);
			check_port(ir, c, s, r, protos[k], ir->ports[i].hi);
			check_port(ir, c, s, r, protos[k], (uint16_t)(ir->ports[i].lo - 1));
			check_port(ir, c, s, r, protos[k], (uint16_t)(ir->ports[i].hi + 1));
		}
	check_port(ir, c, s, r, ICMP, 0);
}

static void check_form(const struct rs_reach *r)
{
	size_t i;

	for (i = 0; i < r->n; i++) {
		const struct rs_reach_port *p = &r->v[i];

		assert_true(p->lo <= p->hi);
		if (p->proto == RS_REACH_ANY)
			assert_true(r->n == 1 && p->lo == 0 && p->hi == UINT16_MAX);
		if (i && p[-1].proto == p->proto)
			assert_true(p[-1].hi + 1 < p->lo);
		else if (i)
			assert_true(p[-1].proto < p->proto);
	}
}

static bool isolated(const struct rs_ir *ir, enum rs_ir_dir dir, uint32_t group)
{
	const struct rs_ir_group *g = rs_ir_group(ir, dir, group);

	return group != UINT32_MAX && (!g || g->isolated);
}

static void check_row(const struct rs_ir *ir, struct rs_reach_table *t,
		      const struct rs_reach_key *keys, uint32_t c)
{
	uint32_t row[ADDRS], s;

	rs_reach_table_row(t, c, row);
	for (s = 0; s < ADDRS; s++) {
		struct rs_reach r;

		if (s == c)
			continue;
		rs_ir_reach(ir, &keys[c], &keys[s], &r);
		check_form(&r);
		check_pair(ir, c, s, &r);
		assert_true(r.out_isolated == isolated(ir, RS_DIR_OUT, keys[c].out_group));
		assert_true(r.in_isolated == isolated(ir, RS_DIR_IN, keys[s].in_group));
		assert_true(rs_reach_table_isolated(t, c, RS_DIR_OUT) == r.out_isolated);
		assert_true(rs_reach_table_isolated(t, s, RS_DIR_IN) == r.in_isolated);
		assert_true(row[s] < rs_reach_table_count(t));
		assert_true(rs_reach_equal(rs_reach_table_get(t, row[s]), &r));
		assert_true((row[s] == RS_REACH_NONE) == (r.n == 0));
		assert_true((row[s] == RS_REACH_ALL) == (r.n && r.v[0].proto == RS_REACH_ANY));
		rs_reach_clear(&r);
	}
}

static void numbers_differ_where_ports_do(const struct rs_reach_table *t)
{
	size_t n = rs_reach_table_count(t), i, k;

	for (i = 0; i < n; i++)
		for (k = i + 1; k < n; k++)
			assert_false(rs_reach_equal(rs_reach_table_get(t, (uint32_t)i),
						    rs_reach_table_get(t, (uint32_t)k)));
}

static void reach_equals_eval_at_every_boundary(void **state)
{
	struct rs_reach_key keys[ADDRS];
	struct rs_reach_table *t;
	uint64_t world;
	uint32_t i;

	(void)state;
	for (world = 1; world <= 12; world++) {
		struct rs_ir *ir;

		seed = world * 0x9e3779b97f4a7c15ULL + 1;
		ir = make_ir();
		for (i = 0; i < ADDRS; i++) {
			struct rs_addr a = addr(i);

			rs_reach_key(ir, &a, &keys[i]);
		}
		t = rs_reach_table_new(ir, keys, ADDRS);
		for (i = 0; i < ADDRS; i++)
			check_row(ir, t, keys, i);
		numbers_differ_where_ports_do(t);
		rs_reach_table_free(t);
		rs_ir_free(ir);
	}
}

/* ---- by hand --------------------------------------------------------------------------------- */

static void reads(struct tw *t, const char *from, const char *to, const char *want)
{
	struct rs_addr a = A(from), b = A(to);
	struct rs_reach_key x, y;
	struct rs_reach r;

	rs_reach_key(t->ir, &a, &x);
	rs_reach_key(t->ir, &b, &y);
	rs_ir_reach(t->ir, &x, &y, &r);
	{
		rs_autofree char *text = rs_reach_str(&r);

		assert_string_equal(text, want);
	}
	rs_reach_clear(&r);
}

static void reach_in_words(void **state)
{
	struct tw *t = tw_new(NS("shop", "") POD("shop", "api", "app: api", "10.0.0.1") POD(
		"shop", "db", "app: db", "10.0.0.2") POD("shop", "web", "app: web", "10.0.0.3")
				      POD("shop", "api2", "app: api", "10.0.0.4") POLICY(
					      "shop", "db",
					      "podSelector: {matchLabels: {app: db}}, ingress: ["
					      "{from: [{podSelector: {matchLabels: {app: api}}}], "
					      "ports: [{port: 80}, "
					      "{port: 81}, {port: 443}, {port: 8000, endPort: "
					      "8100}, {protocol: UDP}]}]")
					      POLICY("shop", "api",
						     "podSelector: {matchLabels: {app: api}}, "
						     "policyTypes: [Egress], egress: [{ports: "
						     "[{port: 443}, {port: 53, "
						     "protocol: UDP}, {port: 8050, endPort: 9000}, "
						     "{port: 80, protocol: SCTP}]}]"));

	(void)state;
	tw_local(t, "shop", "api");
	tw_local(t, "shop", "db");
	tw_local(t, "shop", "web");
	tw_compile(t);
	reads(t, "10.0.0.1", "10.0.0.2", "tcp/443,8050-8100 udp/53");
	reads(t, "10.0.0.4", "10.0.0.2", "tcp/80-81,443,8000-8100 udp");
	reads(t, "10.0.0.1", "10.0.0.3", "tcp/443,8050-9000 udp/53 sctp/80");
	reads(t, "10.0.0.3", "10.0.0.2", "none");
	reads(t, "10.0.0.2", "10.0.0.3", "any");
	reads(t, "192.0.2.1", "10.0.0.3", "any");
	reads(t, "192.0.2.1", "192.0.2.2", "any");
	tw_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reach_equals_eval_at_every_boundary),
		cmocka_unit_test(reach_in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
