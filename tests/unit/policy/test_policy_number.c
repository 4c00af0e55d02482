// SPDX-License-Identifier: Apache-2.0
/* Numbers bound to meanings, determinism: number.h, hole F6. */
#include "numberworld.h"

#include "policy/irtools.h"

static void unchanged_objects_give_the_same_generation(void **state)
{
	struct tw *t = base();
	struct rs_ir *before = NULL;

	(void)state;
	assert_int_equal(t->ir->generation, 1);
	step(t, &before);
	assert_int_equal(t->ir->generation, 1);
	assert_true(rs_ir_equal(before, t->ir));
	put(t, RS_KIND_POLICY, "shop", "a", ALLOW_API("81"));
	step(t, &before);
	assert_int_equal(t->ir->generation, 2);
	assert_false(rs_ir_equal(before, t->ir));
	rs_ir_free(before);
	tw_free(t);
}

static bool has_class(const struct rs_ir *ir, uint32_t no)
{
	size_t i;

	for (i = 0; i < ir->n_addrs; i++)
		if (ir->addrs[i].cls == no)
			return true;
	for (i = 0; i < ir->n_ranges; i++)
		if (ir->ranges[i].cls == no)
			return true;
	return false;
}

static bool has_group(const struct rs_ir *ir, uint32_t no)
{
	size_t i;

	for (i = 0; i < ir->n_groups; i++)
		if (ir->groups[i].group == no)
			return true;
	return false;
}

static bool has_profile(const struct rs_ir *ir, uint32_t no)
{
	size_t i;

	for (i = 0; i < ir->n_profiles; i++)
		if (ir->profiles[i].profile == no)
			return true;
	return false;
}

/* Whatever `tried` got anew is not in `later`; returns how many numbers of each kind that were. */
static void assert_spared(const struct rs_ir *was, const struct rs_ir *tried,
			  const struct rs_ir *later, size_t n[3])
{
	size_t i;

	n[0] = n[1] = n[2] = 0;
	for (i = 0; i < tried->n_addrs; i++)
		if (!has_class(was, tried->addrs[i].cls)) {
			n[0]++;
			assert_false(has_class(later, tried->addrs[i].cls));
		}
	for (i = 0; i < tried->n_groups; i++)
		if (!has_group(was, tried->groups[i].group)) {
			n[1]++;
			assert_false(has_group(later, tried->groups[i].group));
		}
	for (i = 0; i < tried->n_profiles; i++)
		if (!has_profile(was, tried->profiles[i].profile)) {
			n[2]++;
			assert_false(has_profile(later, tried->profiles[i].profile));
		}
}

/* A batch that failed for us may be in force: the kernel's answer can be lost. */
static void XF6_numbers_of_an_uncommitted_compile_are_not_given_out_again(void **state)
{
	struct tw *t = base();
	struct rs_ir *a, *b, *c;
	size_t n[3];

	(void)state;
	put(t, RS_KIND_POLICY, "shop", "a",
	    POLICY("shop", "a",
		   "podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: "
		   "{app: job}}}, {namespaceSelector: {}}], ports: [{port: 7}]}]"));
	a = tw_compile_only(t);
	put(t, RS_KIND_POLICY, "shop", "a", ALLOW_API("99"));
	b = tw_compile_only(t); /* other meanings */
	assert_int_equal(a->generation, b->generation);
	assert_spared(t->ir, a, b, n);
	assert_true(n[0] && n[1] && n[2]);
	/* The IR in force may be read back and taken over: that forgets nothing. */
	rs_compiler_committed(t->comp, t->ir);
	rs_compiler_committed(t->comp, a);
	put(t, RS_KIND_POLICY, "shop", "a", ALLOW_API("98"));
	c = tw_compile_only(t);
	assert_spared(a, b, c, n);
	assert_true(n[2]);
	rs_ir_free(a);
	rs_ir_free(b);
	rs_ir_free(c);
	tw_free(t);
}

/* Only what is new costs numbers: one that was committed stays with its meaning over any failure. */
static void an_uncommitted_compile_changes_no_committed_number(void **state)
{
	struct tw *t = base();
	struct rs_ir *again;

	(void)state;
	put(t, RS_KIND_POLICY, "shop", "a", ALLOW_API("99"));
	rs_ir_free(tw_compile_only(t));
	put(t, RS_KIND_POLICY, "shop", "a", ALLOW_API("80"));
	again = tw_compile_only(t);
	assert_true(rs_ir_equal(again, t->ir));
	assert_int_equal(again->generation, t->ir->generation);
	rs_ir_free(again);
	tw_free(t);
}

/* A later history makes gaps in the numbers; then the agent starts again with only the kernel's IR. */
static void a_restart_with_unchanged_objects_changes_nothing(void **state)
{
	struct tw *t = base();
	struct rs_ir *before = NULL, *seed, *again;
	struct rs_compiler *fresh;

	(void)state;
	put(t, RS_KIND_POLICY, "shop", "b", NULL);
	step(t, &before);
	put(t, RS_KIND_POLICY, "shop", "b", ALLOW_WEB);
	put(t, RS_KIND_POD, "shop", "api", NULL);
	put(t, RS_KIND_POLICY, "shop", "a", ALLOW_API("99"));
	step(t, &before);
	seed = rs_ir_copy_relations(t->ir);
	fresh = rs_compiler_new(seed);
	assert_int_equal(rs_compile(fresh, &t->w, &again, NULL, NULL), 0);
	assert_true(rs_ir_equal(again, seed));
	assert_true(rs_ir_equal(again, t->ir));
	assert_int_equal(again->generation, t->ir->generation);
	assert_false(rs_ir_may_refuse(seed, again));
	rs_compiler_committed(fresh, again);
	rs_ir_free(again);
	assert_int_equal(rs_compile(fresh, &t->w, &again, NULL, NULL), 0);
	assert_true(rs_ir_equal(again, seed));
	rs_ir_free(again);
	rs_compiler_free(fresh);
	rs_ir_free(seed);
	rs_ir_free(before);
	tw_free(t);
}

static uint32_t max_number(const struct rs_ir *ir)
{
	uint32_t max = 0;
	size_t i;

	for (i = 0; i < ir->n_addrs; i++)
		max = ir->addrs[i].cls > max ? ir->addrs[i].cls : max;
	for (i = 0; i < ir->n_ranges; i++)
		max = ir->ranges[i].cls > max ? ir->ranges[i].cls : max;
	return max;
}

static void a_restart_with_changed_objects_takes_numbers_above_the_seed(void **state)
{
	struct tw *t = base();
	struct rs_ir *seed = rs_ir_copy_relations(t->ir), *again;
	struct rs_compiler *fresh = rs_compiler_new(seed);
	uint32_t api, cls, max = max_number(seed);
	struct rs_addr job = A("10.0.0.5"), a2 = A("10.0.0.2");

	(void)state;
	put(t, RS_KIND_POLICY, "other", "p", NULL);
	tw_yaml(t, POLICY("shop", "c",
			  "podSelector: {}, ingress: [{from: [{namespaceSelector: "
			  "{matchLabels: {team: o}}}]}]"));
	api = tw_class(t, "10.0.0.2");
	assert_int_equal(rs_compile(fresh, &t->w, &again, NULL, NULL), 0);
	assert_true(rs_ir_class_exact(again, &job, &cls));
	assert_true(cls > max);
	assert_true(rs_ir_class_exact(again, &a2, &cls));
	assert_int_equal(cls, api);
	assert_int_equal(again->generation, seed->generation + 1);
	rs_ir_free(again);
	rs_compiler_free(fresh);
	rs_ir_free(seed);
	tw_free(t);
}

static void a_number_stays_with_its_meaning_and_is_never_reused(void **state)
{
	struct tw *t = base();
	struct rs_ir *before = NULL;
	uint32_t api = tw_class(t, "10.0.0.2"), max = max_number(t->ir);

	(void)state;
	/* A member joins, another selector comes into use elsewhere: api's class is what it was. */
	tw_yaml(t, POD("shop", "api3", "app: api", "10.0.0.9"));
	step(t, &before);
	assert_int_equal(tw_class(t, "10.0.0.9"), api);
	assert_int_equal(tw_class(t, "10.0.0.2"), api);
	/* The meaning vanishes and comes back: another number, above all that were used. */
	put(t, RS_KIND_POLICY, "shop", "a", NULL);
	step(t, &before);
	assert_int_not_equal(tw_class(t, "10.0.0.2"), api);
	max = max_number(t->ir) > max ? max_number(t->ir) : max;
	tw_yaml(t, ALLOW_API("80"));
	step(t, &before);
	assert_int_not_equal(tw_class(t, "10.0.0.2"), api);
	assert_true(tw_class(t, "10.0.0.2") > max);
	rs_ir_free(before);
	tw_free(t);
}

/* holes F6: in one step api2 leaves the class of api and the class is allowed more. */
static void XF6_left_and_changed_gets_a_fresh_number(void **state)
{
	struct tw *t = base();
	struct rs_ir *before = NULL;
	uint32_t api = tw_class(t, "10.0.0.2"), web = tw_class(t, "10.0.0.4");

	(void)state;
	put(t, RS_KIND_POD, "shop", "api2", POD("shop", "api2", "app: web", "10.0.0.3"));
	put(t, RS_KIND_POLICY, "shop", "a", ALLOW_API("443"));
	step(t, &before);
	assert_int_not_equal(tw_class(t, "10.0.0.2"), api);
	assert_int_equal(tw_class(t, "10.0.0.3"), web); /* it only gained a member */
	assert_int_equal(tw_class(t, "10.0.0.4"), web);
	rs_ir_free(before);
	tw_free(t);
}

static void XF6_left_alone_or_changed_alone_keeps_the_number(void **state)
{
	struct tw *t = base();
	struct rs_ir *before = NULL;
	uint32_t api = tw_class(t, "10.0.0.2");

	(void)state;
	put(t, RS_KIND_POD, "shop", "api2", POD("shop", "api2", "app: web", "10.0.0.3"));
	step(t, &before);
	assert_int_equal(tw_class(t, "10.0.0.2"), api);
	put(t, RS_KIND_POLICY, "shop", "a", ALLOW_API("443"));
	step(t, &before);
	assert_int_equal(tw_class(t, "10.0.0.2"), api);
	rs_ir_free(before);
	tw_free(t);
}

static void XF6_groups_too(void **state)
{
	struct tw *t = tw_new(BASE ALLOW_API("80") POD("shop", "db2", "app: db", "10.0.0.6"));
	struct rs_ir *before = NULL;
	uint32_t db;

	(void)state;
	tw_local(t, "shop", "db");
	tw_local(t, "shop", "db2");
	t->locals[0].n_ports = 0;
	tw_compile(t);
	db = in_group(t, "10.0.0.1");
	assert_int_equal(in_group(t, "10.0.0.6"), db);
	relabel_local(t, 1, "web");
	step(t, &before);
	assert_int_equal(in_group(t, "10.0.0.1"), db);
	relabel_local(t, 1, "db");
	step(t, &before);
	assert_int_equal(in_group(t, "10.0.0.6"), db);
	relabel_local(t, 1, "web");
	put(t, RS_KIND_POLICY, "shop", "a", ALLOW_API("443"));
	step(t, &before);
	assert_int_not_equal(in_group(t, "10.0.0.1"), db);
	rs_ir_free(before);
	tw_free(t);
}

/* The same for ranges: half of a block's addresses go to a class of two blocks, the block may more. */
static void XF6_ranges_too(void **state)
{
	struct tw *t = tw_new(BASE BLOCK("r", "198.51.100.0/24", "80"));
	struct rs_ir *before = NULL;
	uint32_t n;

	(void)state;
	tw_local(t, "shop", "db");
	tw_yaml(t, BLOCK("s", "203.0.113.0/24", "80"));
	tw_compile(t);
	n = tw_class(t, "198.51.100.200");
	assert_int_not_equal(n, RS_CLASS_WORLD);
	put(t, RS_KIND_POLICY, "shop", "r", BLOCK("r", "198.51.100.0/24", "81"));
	step(t, &before);
	assert_int_equal(tw_class(t, "198.51.100.200"), n);
	put(t, RS_KIND_POLICY, "shop", "r", BLOCK("r", "198.51.100.0/24", "82"));
	put(t, RS_KIND_POLICY, "shop", "s", BLOCK("s", "198.51.100.0/25", "443"));
	step(t, &before);
	assert_int_not_equal(tw_class(t, "198.51.100.200"), n);
	assert_int_not_equal(tw_class(t, "198.51.100.1"), n);
	rs_ir_free(before);
	tw_free(t);
}

/* ---- determinism ----------------------------------------------------------------------------- */

static char *shuffled(const char *const *parts, size_t n, size_t start, bool locals_turned)
{
	struct tw *t = tw_new(NULL);
	struct rs_local_pod swap;
	char *text;
	size_t i;

	for (i = 0; i < n; i++)
		tw_yaml(t, parts[(start + i * 3) % n]);
	tw_range(t, "10.0.0.0/16");
	tw_local(t, "shop", "db")->ifindex = 5;
	tw_local(t, "shop", "web")->ifindex = 6;
	if (locals_turned) {
		swap = t->locals[0];
		t->locals[0] = t->locals[1];
		t->locals[1] = swap;
	}
	tw_compile(t);
	text = rs_ir_print(t->ir);
	tw_free(t);
	return text;
}

static void the_order_of_the_input_makes_no_difference(void **state)
{
	static const char *const parts[] = {
		NS("shop", "team: s"),
		ALLOW_WEB,
		POD("shop", "api", "app: api", "10.0.0.2"),
		POD("shop", "api2", "app: api", "10.0.0.3"),
		POD("shop", "web", "app: web", "10.0.0.4"),
		PORTS_POD("shop", "db", "app: db", "10.0.0.1", "{name: sql, containerPort: 5432}"),
		POD("other", "job", "app: job", "10.0.0.5"),
		ALLOW_API("80"),
	};
	rs_autofree char *want = shuffled(parts, RS_ARRAY_SIZE(parts), 0, false);
	size_t i;

	(void)state;
	for (i = 1; i < RS_ARRAY_SIZE(parts); i++) {
		rs_autofree char *got = shuffled(parts, RS_ARRAY_SIZE(parts), i, i & 1);

		assert_string_equal(got, want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unchanged_objects_give_the_same_generation),
		cmocka_unit_test(XF6_numbers_of_an_uncommitted_compile_are_not_given_out_again),
		cmocka_unit_test(an_uncommitted_compile_changes_no_committed_number),
		cmocka_unit_test(a_restart_with_unchanged_objects_changes_nothing),
		cmocka_unit_test(a_restart_with_changed_objects_takes_numbers_above_the_seed),
		cmocka_unit_test(a_number_stays_with_its_meaning_and_is_never_reused),
		cmocka_unit_test(XF6_left_and_changed_gets_a_fresh_number),
		cmocka_unit_test(XF6_left_alone_or_changed_alone_keeps_the_number),
		cmocka_unit_test(XF6_groups_too),
		cmocka_unit_test(XF6_ranges_too),
		cmocka_unit_test(the_order_of_the_input_makes_no_difference),
	};

	return cmocka_run_group_tests_name("policy/number", tests, NULL, NULL);
}
