// SPDX-License-Identifier: Apache-2.0
/* Steps that may refuse a flow, and those of which it is proven that they do not: refuse.c, holes F1. */
#include "numberworld.h"

static bool refuses(struct tw *t, struct rs_ir **before)
{
	step(t, before);
	return rs_ir_may_refuse(*before, t->ir);
}

static void XF1_a_join_a_leave_a_relabel_a_first_policy_may_refuse(void **state)
{
	struct tw *t = base();
	struct rs_ir *before = NULL;

	(void)state;
	assert_false(refuses(t, &before));
	tw_local(t, "shop", "api2"); /* an address that was nobody's becomes somebody's */
	assert_true(refuses(t, &before));
	tw_yaml(t, POLICY("shop", "z", "podSelector: {matchLabels: {app: api}}"));
	assert_true(refuses(t, &before));
	put(t, RS_KIND_POD, "other", "job", NULL); /* nobody's peer: no class of its own */
	assert_false(refuses(t, &before));
	put(t, RS_KIND_POD, "shop", "api", NULL);
	assert_true(refuses(t, &before));
	relabel_local(t, 0, "web");
	assert_true(refuses(t, &before));
	rs_ir_free(before);
	tw_free(t);
}

static size_t n_cells(const struct rs_ir *ir, uint32_t group)
{
	size_t i, n = 0;

	for (i = 0; i < ir->n_cells; i++)
		n += ir->cells[i].dir == RS_DIR_IN && ir->cells[i].group == group;
	return n;
}

/* What an expected pod needs is there before it: its join brings its address and nothing else. */
static void what_is_expected_refuses_nothing_and_is_there_at_the_join(void **state)
{
	struct tw *t = tw_new(BASE ALLOW_API("80") ALLOW_WEB);
	struct rs_local_pod room[1];
	struct rs_ir *before = NULL;
	uint32_t group;

	(void)state;
	tw_local(t, "shop", "web");
	tw_range(t, "10.0.0.0/16");
	tw_compile(t);
	assert_int_equal(t->ir->n_cells, 0);
	tw_expect(t, room, "shop", "db");
	assert_false(refuses(t, &before));
	assert_true(t->ir->n_groups > before->n_groups && t->ir->n_cells);
	assert_int_equal(t->ir->n_locals, 1);
	assert_int_equal(t->ir->n_guards, before->n_guards);
	assert_true(tw_allows(t, "10.0.0.5", "10.0.0.1", RS_PROTO_TCP, 1)); /* not here yet */
	put(t, RS_KIND_POLICY, "shop", "a", ALLOW_API("81")); /* tightened, and nobody meets it */
	assert_false(refuses(t, &before));
	assert_false(rs_ir_equal(before, t->ir));

	t->w.n_expected = 0;
	tw_local(t, "shop", "db");
	assert_true(refuses(t, &before));
	assert_int_equal(t->ir->n_groups, before->n_groups);
	assert_int_equal(t->ir->n_cells, before->n_cells);
	assert_int_equal(t->ir->n_profiles, before->n_profiles);
	group = in_group(t, "10.0.0.1");
	assert_true(n_cells(t->ir, group) && n_cells(t->ir, group) == n_cells(before, group));
	assert_false(tw_allows(t, "10.0.0.5", "10.0.0.1", RS_PROTO_TCP, 1));
	assert_true(tw_allows(t, "10.0.0.2", "10.0.0.1", RS_PROTO_TCP, 81));
	rs_ir_free(before);
	tw_free(t);
}

static void loosening_does_not_refuse_tightening_does(void **state)
{
	struct tw *t = base();
	struct rs_ir *before = NULL;

	(void)state;
	put(t, RS_KIND_POLICY, "shop", "a", ALLOW_API("80, endPort: 90"));
	assert_false(refuses(t, &before));
	assert_false(rs_ir_equal(before, t->ir));
	put(t, RS_KIND_POLICY, "shop", "a", ALLOW_API("81, endPort: 90"));
	assert_true(refuses(t, &before));
	put(t, RS_KIND_POLICY, "shop", "a", ALLOW_API("81"));
	assert_true(refuses(t, &before));
	rs_ir_free(before);
	tw_free(t);
}

static void tightening_only_outside_refuses(void **state)
{
	struct tw *t = tw_new(BASE BLOCK("r", "198.51.100.0/24", "80, endPort: 90"));
	struct rs_ir *before = NULL;

	(void)state;
	tw_local(t, "shop", "db");
	tw_compile(t);
	put(t, RS_KIND_POLICY, "shop", "r", BLOCK("r", "198.51.100.0/24", "80, endPort: 89"));
	assert_true(refuses(t, &before));
	put(t, RS_KIND_POLICY, "shop", "r", BLOCK("r", "198.51.100.0/24", "80, endPort: 90"));
	assert_false(refuses(t, &before));
	rs_ir_free(before);
	tw_free(t);
}

/* Policies of v1 only add, so this IR is made by hand: an exact class that may less than its range. */
static void a_peer_that_joins_with_less_refuses(void **state)
{
	struct rs_ir_group g = {
		.dir = RS_DIR_IN, .group = 1, .profile = RS_PROFILE_ALLOW, .isolated = true
	};
	struct rs_ir_local l = { .addr = A("10.0.0.1"), .in_group = 1 };
	struct rs_ir_cell c = {
		.dir = RS_DIR_IN, .group = 1, .cls = 7, .profile = RS_PROFILE_DENY
	};
	struct rs_ir_addr peer = { .addr = A("10.0.0.2"), .cls = 7 };
	struct rs_ir *a = rs_ir_new(), *b = rs_ir_new();

	(void)state;
	a->groups = b->groups = &g;
	a->locals = b->locals = &l;
	a->cells = b->cells = &c;
	a->n_groups = b->n_groups = a->n_locals = b->n_locals = a->n_cells = b->n_cells = 1;
	assert_false(rs_ir_may_refuse(a, b));
	b->addrs = &peer;
	b->n_addrs = 1;
	assert_true(rs_ir_may_refuse(a, b));
	c.profile = RS_PROFILE_ALLOW;
	assert_false(rs_ir_may_refuse(a, b));
	rs_ir_free(a);
	rs_ir_free(b);
}

static void a_remote_peer_that_joins_refuses_nothing(void **state)
{
	struct tw *t = base();
	struct rs_ir *before = NULL;

	(void)state;
	tw_yaml(t, POD("shop", "api3", "app: api", "10.0.0.77"));
	assert_false(refuses(t, &before));
	assert_true(tw_allows(t, "10.0.0.77", "10.0.0.1", TCP, 80));
	rs_ir_free(before);
	tw_free(t);
}

/* A wider block takes nothing away, a narrower one does, though both are new ranges. */
static void a_block_refuses_where_it_gets_narrower(void **state)
{
	struct tw *t = tw_new(BASE BLOCK("r", "198.51.100.0/24", "80"));
	struct rs_ir *before = NULL;

	(void)state;
	tw_local(t, "shop", "db");
	tw_range(t, "10.0.0.0/16");
	tw_compile(t);
	put(t, RS_KIND_POLICY, "shop", "r", BLOCK("r", "198.51.0.0/16", "80"));
	assert_false(refuses(t, &before));
	assert_false(rs_ir_equal(before, t->ir));
	put(t, RS_KIND_POLICY, "shop", "r", BLOCK("r", "198.51.0.0/17", "80"));
	assert_true(refuses(t, &before));
	put(t, RS_KIND_POLICY, "shop", "r", BLOCK("r", "2001:db8::/32", "80"));
	assert_true(refuses(t, &before));
	rs_ir_free(before);
	tw_free(t);
}

/* An exact class that says nothing to a group leaves its addresses to the range below them. */
static void a_range_that_changes_below_a_pod_may_refuse(void **state)
{
	struct rs_ir_group g = {
		.dir = RS_DIR_IN, .group = 1, .profile = RS_PROFILE_DENY, .isolated = true
	};
	struct rs_ir_local l = { .addr = A("10.0.0.1"), .in_group = 1 };
	struct rs_ir_cell cells[] = {
		{ .dir = RS_DIR_IN, .group = 1, .cls = 5, .profile = RS_PROFILE_ALLOW }
	};
	struct rs_ir_addr peer = { .addr = A("10.0.0.2"), .cls = 7 };
	struct rs_ir_range ra = { .lo = A("10.0.0.2"), .hi = A("10.0.0.2"), .cls = 5 }, rb = ra;
	struct rs_ir *a = rs_ir_new(), *b = rs_ir_new();

	(void)state;
	a->groups = b->groups = &g;
	a->locals = b->locals = &l;
	a->cells = b->cells = cells;
	a->addrs = b->addrs = &peer;
	a->ranges = &ra;
	b->ranges = &rb;
	a->n_groups = b->n_groups = a->n_locals = b->n_locals = a->n_cells = b->n_cells = 1;
	a->n_addrs = b->n_addrs = a->n_ranges = b->n_ranges = 1;
	assert_false(rs_ir_may_refuse(a, b));
	rb.cls = 6; /* of which no cell speaks */
	assert_true(rs_ir_may_refuse(a, b));
	assert_false(rs_ir_may_refuse(b, a));
	rs_ir_free(a);
	rs_ir_free(b);
}

static void a_changed_range_may_refuse(void **state)
{
	struct tw *t = base();
	struct rs_ir *before = NULL;
	struct rs_cidr node = C("10.0.0.0/24");

	(void)state;
	tw_yaml(t, POLICY("shop", "z",
			  "podSelector: {matchLabels: {app: db}}, ingress: [{from: "
			  "[{ipBlock: {cidr: 203.0.113.0/24}}]}]"));
	assert_true(refuses(t, &before));
	t->w.node_ranges = &node;
	t->w.n_node_ranges = 1;
	assert_true(refuses(t, &before));
	t->locals[1].ifindex = 0; /* a guard goes */
	assert_true(refuses(t, &before));
	t->locals[1].ifindex = 99; /* a guard comes */
	assert_false(refuses(t, &before));
	rs_ir_free(before);
	tw_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(XF1_a_join_a_leave_a_relabel_a_first_policy_may_refuse),
		cmocka_unit_test(what_is_expected_refuses_nothing_and_is_there_at_the_join),
		cmocka_unit_test(loosening_does_not_refuse_tightening_does),
		cmocka_unit_test(tightening_only_outside_refuses),
		cmocka_unit_test(a_peer_that_joins_with_less_refuses),
		cmocka_unit_test(a_remote_peer_that_joins_refuses_nothing),
		cmocka_unit_test(a_block_refuses_where_it_gets_narrower),
		cmocka_unit_test(a_range_that_changes_below_a_pod_may_refuse),
		cmocka_unit_test(a_changed_range_may_refuse),
	};

	return cmocka_run_group_tests_name("policy/refuse", tests, NULL, NULL);
}
