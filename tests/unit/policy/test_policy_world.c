// SPDX-License-Identifier: Apache-2.0
/* A pod of this node by its name, among sorted ones and those behind them. */
#include "policytest.h"

#include "policy/world.h"

static const struct rs_local_pod pods[] = {
	{ .ns = "a", .name = "x" }, { .ns = "b", .name = "p" }, { .ns = "b", .name = "q" },
	{ .ns = "b", .name = "q" }, { .ns = "b", .name = "q" }, { .ns = "c", .name = "a" },
	{ .ns = "z", .name = "z" }, { .ns = "b", .name = "a" },
};

static void expect(size_t n_sorted, const char *ns, const char *name, const struct rs_local_pod *is)
{
	const struct rs_world w = { .locals = pods,
				    .n_locals = RS_ARRAY_SIZE(pods),
				    .n_sorted = n_sorted };

	assert_ptr_equal(rs_world_local(&w, ns, name), is);
}

static void found_wherever_it_is(void **state)
{
	(void)state;
	for (size_t n_sorted = 0; n_sorted < RS_ARRAY_SIZE(pods); n_sorted++) {
		expect(n_sorted, "a", "x", &pods[0]);
		expect(n_sorted, "b", "p", &pods[1]);
		expect(n_sorted, "b", "q", &pods[2]); /* the first of three */
		expect(n_sorted, "c", "a", &pods[5]);
		expect(n_sorted, "z", "z", &pods[6]);
		expect(n_sorted, "b", "a", &pods[7]);
		expect(n_sorted, "a", "a", NULL);
		expect(n_sorted, "b", "r", NULL);
		expect(n_sorted, "zz", "a", NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(found_wherever_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
