// SPDX-License-Identifier: Apache-2.0
/* test_canon.c - an IR without its numbers: what is the same, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/base.h"
#include "tests/prove/canon.h"

static struct rs_addr addr(uint8_t last)
{
	return (struct rs_addr){ RS_AF_IP4, { 10, 0, 0, last } };
}

/* Two peers, one of them in a block; one local pod; numbers from n on. */
static struct rs_ir *make(uint32_t n)
{
	struct rs_ir *ir = rs_ir_new();

	ir->addrs = rs_ir_alloc(ir, 2, sizeof(*ir->addrs));
	ir->addrs[ir->n_addrs++] = (struct rs_ir_addr){ addr(7), n, NULL };
	ir->addrs[ir->n_addrs++] = (struct rs_ir_addr){ addr(8), n + 1, NULL };
	ir->ranges = rs_ir_alloc(ir, 1, sizeof(*ir->ranges));
	ir->ranges[ir->n_ranges++] = (struct rs_ir_range){ addr(64), addr(127), n + 2 };
	ir->locals = rs_ir_alloc(ir, 1, sizeof(*ir->locals));
	ir->locals[ir->n_locals++] = (struct rs_ir_local){ addr(9), n, n, NULL };
	ir->groups = rs_ir_alloc(ir, 2, sizeof(*ir->groups));
	ir->groups[ir->n_groups++] = (struct rs_ir_group){
		.dir = RS_DIR_IN, .group = n, .profile = RS_PROFILE_DENY, .isolated = true
	};
	ir->groups[ir->n_groups++] =
		(struct rs_ir_group){ .dir = RS_DIR_OUT, .group = n, .profile = RS_PROFILE_ALLOW };
	ir->cells = rs_ir_alloc(ir, 2, sizeof(*ir->cells));
	ir->cells[ir->n_cells++] = (struct rs_ir_cell){ RS_DIR_IN, n, n, n + 3, 0, 0 };
	ir->profiles = rs_ir_alloc(ir, 1, sizeof(*ir->profiles));
	ir->profiles[ir->n_profiles++] = (struct rs_ir_profile){ n + 3, 0, 1 };
	ir->ports = rs_ir_alloc(ir, 1, sizeof(*ir->ports));
	ir->ports[ir->n_ports++] = (struct rs_ir_port){ 6, 80, 80, true };
	ir->guards = rs_ir_alloc(ir, 1, sizeof(*ir->guards));
	ir->guards[ir->n_guards++] = (struct rs_ir_guard){ .ifindex = 3, .addr = addr(9) };
	return ir;
}

/* What separates the text of `changed` from that of make(5); frees it. */
static char *diff_to(struct rs_ir *changed)
{
	struct rs_ir *ir = make(5);
	rs_autofree char *a = pv_canon(ir, false), *b = pv_canon(changed, false);

	rs_ir_free(ir);
	rs_ir_free(changed);
	return pv_canon_diff(a, b);
}

static void test_other_numbers_are_no_difference(void **state)
{
	rs_autofree char *diff = diff_to(make(40));

	(void)state;
	assert_null(diff);
}

static void test_who_shares_a_class_is_one(void **state)
{
	struct rs_ir *ir = make(5);
	rs_autofree char *diff = NULL;

	(void)state;
	ir->addrs[1].cls = ir->addrs[0].cls;
	diff = diff_to(ir);
	assert_string_equal(diff, "-addr 10.0.0.8 class [10.0.0.8]\n"
				  "+addr 10.0.0.8 class [10.0.0.7]\n");
}

static void test_ports_are_one(void **state)
{
	struct rs_ir *ir = make(5);
	rs_autofree char *diff = NULL;

	(void)state;
	ir->ports[0].hi = 81;
	diff = diff_to(ir);
	assert_string_equal(diff, "-cell in(10.0.0.9) [10.0.0.7] 6/80-80\n"
				  "+cell in(10.0.0.9) [10.0.0.7] 6/80-81\n");
}

static void test_every_relation_counts(void **state)
{
	for (int what = 0; what < 6; what++) {
		struct rs_ir *ir = make(5);
		rs_autofree char *diff = NULL;

		ir->n_addrs -= what == 0;
		ir->n_ranges -= what == 1;
		ir->n_locals -= what == 2;
		ir->n_cells -= what == 3;
		ir->n_guards -= what == 4;
		ir->groups[0].isolated = what != 5;
		diff = diff_to(ir);
		assert_non_null(diff);
	}
	(void)state;
}

static void test_what_nothing_leads_to_is_an_orphan(void **state)
{
	struct rs_ir *ir = make(5);
	rs_autofree char *before = pv_canon(ir, false), *after = NULL;

	(void)state;
	assert_null(strstr(before, "orphan"));
	ir->cells[0] = (struct rs_ir_cell){ RS_DIR_IN, 5, 99, RS_PROFILE_ALLOW, 0, 0 };
	ir->groups[1].group = 98;
	after = pv_canon(ir, false);
	rs_ir_free(ir);
	assert_non_null(strstr(after, "orphan cell in(10.0.0.9) 5 class nobody 99\n"));
	assert_non_null(strstr(after, "orphan group out(nobody) 98\n"));
	assert_non_null(strstr(after, "orphan profile 8 6/80-80\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_other_numbers_are_no_difference),
		cmocka_unit_test(test_who_shares_a_class_is_one),
		cmocka_unit_test(test_ports_are_one),
		cmocka_unit_test(test_every_relation_counts),
		cmocka_unit_test(test_what_nothing_leads_to_is_an_orphan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
