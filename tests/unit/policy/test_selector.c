// SPDX-License-Identifier: Apache-2.0
/* Label selectors: rules D1 to D14 (docs/tests.md). */
#include "policytest.h"

static bool matches(enum rs_op op, const char *key, const char *values, const char *labels)
{
	struct rs_requirement r = { .op = op };
	struct rs_selector s = { .present = true, .reqs = &r, .n_reqs = 1 };
	struct rs_labels l = { 0 };
	char *v[2], copy[64], *comma;
	bool ok;

	r.key = (char *)(uintptr_t)key;
	r.values = v;
	if (values) {
		snprintf(copy, sizeof(copy), "%s", values);
		v[r.n_values++] = copy;
		comma = strchr(copy, ',');
		if (comma) {
			*comma = '\0';
			v[r.n_values++] = comma + 1;
		}
	}
	if (*labels)
		assert_int_equal(rs_labels_parse(labels, '=', &l, NULL), 0);
	ok = rs_selector_matches(&s, &l);
	rs_labels_free(&l);
	return ok;
}

static void D1_all_requirements_hold(void **state)
{
	char key[] = "app", web[] = "web", *v[] = { web };
	struct rs_requirement r[2] = {
		{ .key = key, .op = RS_OP_IN, .values = v, .n_values = 1 },
		{ .key = key, .op = RS_OP_NOT_IN, .values = v, .n_values = 1 }
	};
	struct rs_selector s = { .present = true, .reqs = r, .n_reqs = 1 };
	struct rs_labels l = { 0 };

	(void)state;
	rs_labels_set(&l, "app", "web");
	assert_true(rs_selector_matches(&s, &l));
	s.n_reqs = 2; /* D9: one key twice may not be satisfiable */
	assert_false(rs_selector_matches(&s, &l));
	s.n_reqs = 0;
	assert_true(rs_selector_matches(&s, &l));
	rs_labels_free(&l);
	assert_true(rs_selector_matches(&s, &l));
}

static void D2_in(void **state)
{
	(void)state;
	assert_true(matches(RS_OP_IN, "app", "web,api", "app=api"));
	assert_false(matches(RS_OP_IN, "app", "web,api", "app=db"));
	assert_false(matches(RS_OP_IN, "app", "web", ""));
}

static void D3_not_in(void **state)
{
	(void)state;
	assert_true(matches(RS_OP_NOT_IN, "app", "web", ""));
	assert_true(matches(RS_OP_NOT_IN, "app", "web", "app=db"));
	assert_false(matches(RS_OP_NOT_IN, "app", "web,db", "app=db"));
}

static void D4_exists(void **state)
{
	(void)state;
	assert_true(matches(RS_OP_EXISTS, "app", NULL, "app=db"));
	assert_false(matches(RS_OP_EXISTS, "app", NULL, "tier=db"));
	assert_true(matches(RS_OP_NOT_EXISTS, "app", NULL, "tier=db"));
	assert_false(matches(RS_OP_NOT_EXISTS, "app", NULL, "app=db"));
}

static void D5_empty_value_is_a_value(void **state)
{
	(void)state;
	assert_true(matches(RS_OP_EXISTS, "app", NULL, "app="));
	assert_true(matches(RS_OP_IN, "app", "", "app="));
	assert_false(matches(RS_OP_NOT_EXISTS, "app", NULL, "app="));
}

static void D6_D7_invalid_matches_nothing(void **state)
{
	struct rs_selector s = { .present = true, .invalid = true };
	struct rs_labels l = { 0 };

	(void)state;
	assert_false(rs_selector_matches(&s, &l));
	assert_false(matches(RS_OP_IN, "app", NULL, "app=web"));
	assert_false(matches(RS_OP_NOT_IN, "app", NULL, "app=web"));
	assert_false(matches((enum rs_op)77, "app", NULL, "app=web"));
}

static void D8_exact_bytes(void **state)
{
	(void)state;
	assert_false(matches(RS_OP_IN, "app", "Web", "app=web"));
	assert_false(matches(RS_OP_IN, "x.io/app", "web", "app=web"));
	assert_true(matches(RS_OP_IN, "x.io/app", "web", "x.io/app=web"));
}

static void B6_absent_is_not_empty(void **state)
{
	struct rs_selector s = { .present = false };
	struct rs_labels l = { 0 };

	(void)state;
	assert_false(rs_selector_matches(&s, &l));
	s.present = true;
	assert_false(rs_selector_matches(&s, NULL)); /* B24: labels that nobody knows */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(D1_all_requirements_hold),
		cmocka_unit_test(D2_in),
		cmocka_unit_test(D3_not_in),
		cmocka_unit_test(D4_exists),
		cmocka_unit_test(D5_empty_value_is_a_value),
		cmocka_unit_test(D6_D7_invalid_matches_nothing),
		cmocka_unit_test(D8_exact_bytes),
		cmocka_unit_test(B6_absent_is_not_empty),
	};

	return cmocka_run_group_tests_name("policy/selector", tests, NULL, NULL);
}
