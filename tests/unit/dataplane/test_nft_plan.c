// SPDX-License-Identifier: Apache-2.0
/* test_nft_plan.c - an IR as elements and chains and back, the differences, and the text of both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>

#include "base/base.h"
#include "dataplane/nft/plan.h"
#include "dataplane/nft/skeleton.h"
#include "dataplane/nft/stamp.h"

static struct rs_addr addr(const char *text)
{
	struct rs_addr a;

	assert_int_equal(rs_addr_parse(text, &a, NULL), 0);
	return a;
}

/* Two local pods, one of them isolated for ingress; a remote peer; a range up to the last address. */
static struct rs_ir *small_ir(void)
{
	struct rs_ir *ir = rs_ir_new();

	ir->generation = 5;
	ir->addrs = rs_ir_alloc(ir, 2, sizeof(*ir->addrs));
	ir->addrs[0] = (struct rs_ir_addr){ addr("10.0.0.9"), 300, "shop/we\"b" };
	ir->addrs[1] = (struct rs_ir_addr){ addr("fd00::9"), 300, NULL };
	ir->n_addrs = 2;
	ir->ranges = rs_ir_alloc(ir, 2, sizeof(*ir->ranges));
	ir->ranges[0] = (struct rs_ir_range){ addr("10.1.0.0"), addr("10.1.0.76"), 2 };
	ir->ranges[1] = (struct rs_ir_range){ addr("255.0.0.0"), addr("255.255.255.255"), 2 };
	ir->n_ranges = 2;
	ir->locals = rs_ir_alloc(ir, 2, sizeof(*ir->locals));
	ir->locals[0] = (struct rs_ir_local){ addr("10.0.0.2"), 1, 1, "shop/free" };
	ir->locals[1] = (struct rs_ir_local){ addr("10.0.0.3"), 2, 1, "shop/db" };
	ir->n_locals = 2;
	ir->groups = rs_ir_alloc(ir, 3, sizeof(*ir->groups));
	ir->groups[0] = (struct rs_ir_group){ RS_DIR_IN, 1, RS_PROFILE_ALLOW, .isolated = false };
	ir->groups[1] = (struct rs_ir_group){ RS_DIR_IN, 2, RS_PROFILE_DENY, .isolated = true };
	ir->groups[2] = (struct rs_ir_group){ RS_DIR_OUT, 1, RS_PROFILE_ALLOW, .isolated = false };
	ir->n_groups = 3;
	ir->cells = rs_ir_alloc(ir, 2, sizeof(*ir->cells));
	ir->cells[0] = (struct rs_ir_cell){ RS_DIR_IN, 2, 2, 3, 0, 0 };
	ir->cells[1] = (struct rs_ir_cell){ RS_DIR_IN, 2, 300, 4, 0, 0 };
	ir->n_cells = 2;
	ir->ports = rs_ir_alloc(ir, 3, sizeof(*ir->ports));
	ir->ports[0] = (struct rs_ir_port){ 6, 5432, 5432, true };
	ir->ports[1] = (struct rs_ir_port){ 0, 0, 65535, true };
	ir->ports[2] = (struct rs_ir_port){ 6, 25, 25, false };
	ir->n_ports = 3;
	ir->profiles = rs_ir_alloc(ir, 2, sizeof(*ir->profiles));
	ir->profiles[0] = (struct rs_ir_profile){ 3, 0, 1 };
	ir->profiles[1] = (struct rs_ir_profile){ 4, 1, 2 };
	ir->n_profiles = 2;
	ir->guards = rs_ir_alloc(ir, 2, sizeof(*ir->guards));
	ir->guards[0] =
		(struct rs_ir_guard){ 7, addr("10.0.0.3"), { 2, 0, 0, 0, 0, 3 }, { 0 }, NULL };
	ir->guards[1] = (struct rs_ir_guard){
		256, addr("10.0.0.2"), { 2, 0, 0, 0, 0, 2 }, addr("fe80::2"), "rs1"
	};
	ir->n_guards = 2;
	ir->node_ranges = rs_ir_alloc(ir, 2, sizeof(*ir->node_ranges));
	rs_cidr_parse("10.0.0.0/24", &ir->node_ranges[0], NULL, NULL);
	rs_cidr_parse("10.0.0.128/25", &ir->node_ranges[1], NULL, NULL);
	ir->n_node_ranges = 2;
	return ir;
}

static const char small_text[] =
	"table inet ripstop  # fixed rules: layout 4\n"
	"map cls4 {\n\t10.0.0.9 : 300  # shop/we?b\n}\n"
	"map cls6 {\n\tfd00::9 : 300\n}\n"
	"map rng4 {\n\t10.1.0.0-10.1.0.76 : 2\n\t255.0.0.0-255.255.255.255 : 2\n}\n"
	"map grp_in4 {\n\t10.0.0.2 : 1  # shop/free\n\t10.0.0.3 : 2  # shop/db\n}\n"
	"map grp_out4 {\n\t10.0.0.2 : 1  # shop/free\n\t10.0.0.3 : 1  # shop/db\n}\n"
	"map cells {\n\t1 . 2 . 2 : 3\n\t1 . 2 . 300 : 4\n}\n"
	"map dflt {\n\t1 . 1 : 1  # open\n\t1 . 2 : 2  # isolated\n\t2 . 1 : 1  # open\n}\n"
	"map ports_in {\n\t1 . 1 : goto in_p1\n\t1 . 2 : goto in_p2\n\t1 . 3 : goto in_p3\n"
	"\t1 . 4 : goto in_p4\n}\n"
	"map ports_out {\n\t2 . 1 : goto out_p1\n\t2 . 2 : goto out_p2\n}\n"
	"set guard4 {\n\t7 . 10.0.0.3  # - 02:00:00:00:00:03 -\n"
	"\t256 . 10.0.0.2  # rs1 02:00:00:00:00:02 fe80::2\n}\n"
	"set guard_ll {\n\t256 . fe80::2\n}\n"
	"set plinks {\n\t7\n\t256\n}\n"
	"set self4 {\n\t10.0.0.2 . 10.0.0.2\n\t10.0.0.3 . 10.0.0.3\n}\n"
	"set free4 {\n\t10.0.0.2\n}\n"
	"set own4 {\n\t10.0.0.0-10.0.0.255\n}\n"
	"chain in_p1 {\n\tgoto restamp\n\tgoto deny_in\n}\n"
	"chain in_p2 {\n\tgoto deny_in\n}\n"
	"chain in_p3 {\n\tct protocol tcp ct reply proto-src 5432 goto restamp\n\tgoto deny_in\n}\n"
	"chain in_p4 {\n\tct protocol tcp ct reply proto-src 25 goto deny_in\n\tgoto restamp\n"
	"\tgoto deny_in\n}\n"
	"chain out_p1 {\n\treturn\n\tgoto deny_out\n}\n"
	"chain out_p2 {\n\tgoto deny_out\n}\n";

static void test_print(void **state)
{
	struct rs_ir *ir = small_ir();
	rs_autofree char *text = rs_dp_nft.print(NULL, ir);
	rs_autofree char *again = rs_dp_nft.print(NULL, ir);

	(void)state;
	assert_string_equal(text, small_text);
	assert_string_equal(text, again);
	rs_ir_free(ir);
}

static void test_there_and_back(void **state)
{
	struct rs_ir *ir = small_ir(), *back = NULL;
	rs_auto_plan struct rs_nft_plan *p = NULL;

	(void)state;
	ir->n_node_ranges = 1; /* a range inside another is not stored twice */
	p = rs_nft_plan_from_ir(ir);
	assert_int_equal(rs_nft_plan_to_ir(p, &back, NULL), 0);
	assert_int_equal(back->generation, 5);
	/* Ports come back in the IR's order: every protocol first. */
	assert_true(rs_ir_equal(ir, back));
	assert_memory_equal(back->guards[1].mac, ir->guards[1].mac, 6);
	rs_ir_free(back);
	rs_ir_free(ir);
}

/* A number without a profile must deny, not fall through to a wider cell (absence is never open). */
static void test_unknown_profile_denies(void **state)
{
	struct rs_ir *ir = small_ir();
	rs_auto_plan struct rs_nft_plan *p = NULL;

	(void)state;
	ir->cells[1].profile = 77;
	ir->groups[0].profile = 78;
	p = rs_nft_plan_from_ir(ir);
	assert_int_equal(p->set[SET_CELLS].data[1], RS_PROFILE_DENY);
	assert_int_equal(p->set[SET_DFLT].data[0], RS_PROFILE_DENY);
	rs_ir_free(ir);
}

/* A local address whose group is not in the IR counts as isolated. */
static void test_unknown_group_is_not_free(void **state)
{
	struct rs_ir *ir = small_ir();
	rs_auto_plan struct rs_nft_plan *p = NULL;

	(void)state;
	ir->locals[0].out_group = 9;
	p = rs_nft_plan_from_ir(ir);
	assert_int_equal(p->set[SET_FREE4].n, 0);
	rs_ir_free(ir);
}

static void test_damaged_plans(void **state)
{
	struct rs_ir *ir = small_ir(), *back = NULL;
	rs_auto_plan struct rs_nft_plan *a = rs_nft_plan_from_ir(ir);
	rs_auto_plan struct rs_nft_plan *b = rs_nft_plan_from_ir(ir);
	static const uint8_t odd[8] = { 10, 0, 2, 1, 10, 0, 2, 9 };
	rs_auto_err err = { 0 };

	(void)state;
	rs_nft_plan_add(a, SET_OWN4, odd, 0, NULL);
	assert_int_equal(rs_nft_plan_to_ir(a, &back, &err), -EBADMSG);
	assert_non_null(strstr(rs_err_str(&err), "own4"));
	b->set[SET_GUARD4].text[0] = 0;
	assert_int_equal(rs_nft_plan_to_ir(b, &back, &err), -EBADMSG);
	rs_ir_free(ir);
}

static void test_diff(void **state)
{
	struct rs_ir *a = small_ir(), *b = small_ir();
	rs_auto_plan struct rs_nft_plan *pa = rs_nft_plan_from_ir(a);
	rs_auto_plan struct rs_nft_plan *pb = NULL;
	struct rs_nft_diff d;

	(void)state;
	rs_nft_diff_make(pa, pa, &d);
	assert_int_equal(d.edits, 0);
	rs_nft_diff_free(&d);
	b->addrs[0].cls = 301;	    /* changed: deleted and added */
	b->n_cells = 1;		    /* its profile is used by nobody now, and stays */
	b->ports[0].hi = 5433;	    /* same number, other rules */
	b->locals[1].comment = "x"; /* a comment is part of an element */
	pb = rs_nft_plan_from_ir(b);
	rs_nft_diff_make(pa, pb, &d);
	assert_int_equal(d.set[SET_CLS4].del.n, 1);
	assert_int_equal(d.set[SET_CLS4].add.n, 1);
	assert_int_equal(d.set[SET_CELLS].del.n, 1);
	assert_int_equal(d.set[SET_CELLS].add.n, 0);
	assert_int_equal(d.set[SET_IN4].add.n, 1);
	assert_int_equal(d.set[SET_PORTS_IN].del.n, 0);
	assert_int_equal(d.chain_change.n, 1);
	assert_int_equal(d.chain_add.n + d.chain_del.n, 0);
	rs_nft_diff_free(&d);
	rs_ir_free(a);
	rs_ir_free(b);
}

static void test_slim_plans_compare(void **state)
{
	struct rs_ir *ir = small_ir();
	rs_auto_plan struct rs_nft_plan *a = rs_nft_plan_from_ir(ir);
	rs_auto_plan struct rs_nft_plan *b = rs_nft_plan_from_ir(ir);
	struct rs_nft_diff d;

	(void)state;
	rs_nft_plan_slim(a);
	assert_null(rs_nft_comment(a, SET_CLS4, 0));
	rs_nft_diff_make(a, b, &d);
	assert_int_equal(d.edits, 0);
	rs_nft_diff_free(&d);
	rs_ir_free(ir);
}

/* The whole fixed part, as a person reads it. UPDATE_GOLDEN=1 writes it. */
static void test_skeleton(void **state)
{
	static const char path[] = "tests/unit/dataplane/skeleton.txt";
	struct rs_dp_config cfg;
	rs_autofree char *text = NULL, *want = NULL;
	rs_auto_err err = { 0 };

	(void)state;
	rs_dp_config_default(&cfg);
	text = rs_nft_skeleton_print(&cfg);
	if (getenv("UPDATE_GOLDEN")) {
		rs_autofclose FILE *f = fopen(path, "w");

		assert_non_null(f);
		fputs(text, f);
	}
	assert_int_equal(rs_file_read(path, RS_MIB, &want, NULL, &err), 0);
	assert_string_equal(text, want);
}

/* Every chain that a rule goes to exists, and ends in a verdict, but for what no pod sent. */
static void test_skeleton_is_closed(void **state)
{
	static const char *const may_return[] = { "pod_icmp6", "isolated_end" };
	struct rs_nft_skeleton s;
	struct rs_dp_config cfg;

	(void)state;
	rs_dp_config_default(&cfg);
	rs_nft_skeleton_make(&s, &cfg, true, 1);
	for (size_t c = 0; c < rs_nft_n_chains; c++) {
		const struct rs_nft_rule *last = NULL;
		bool open = !strcmp(rs_nft_chains[c].name, "from_others");

		for (size_t i = 0; i < s.n; i++)
			if (!strcmp(s.v[i].chain, rs_nft_chains[c].name))
				last = &s.v[i];
		for (size_t i = 0; i < RS_ARRAY_SIZE(may_return); i++)
			open |= !strcmp(rs_nft_chains[c].name, may_return[i]);
		assert_non_null(last);
		if (!open) /* unconditional: nothing but a counter in front of the verdict */
			assert_true(
				last->x[last->n - 1].op == OP_VERDICT &&
				(last->n == 1 || (last->n == 2 && last->x[0].op == OP_COUNTER)));
	}
	for (size_t i = 0; i < s.n; i++)
		for (size_t k = 0; k < s.v[i].n; k++) {
			bool found = s.v[i].x[k].op != OP_VERDICT || !s.v[i].x[k].name;

			for (size_t c = 0; c < rs_nft_n_chains; c++)
				found |= s.v[i].x[k].name &&
					 !strcmp(rs_nft_chains[c].name, s.v[i].x[k].name);
			assert_true(found);
		}
	rs_nft_skeleton_free(&s);
}

static void test_profile_names(void **state)
{
	static const char *const wrong[] = { "in_p",  "in_p1x", "in_p01",	 "out_q3",
					     "judge", "in_p-1", "in_p4294967296" };
	char name[RS_NFT_NAME_LEN];
	uint32_t profile;
	uint8_t dir;

	(void)state;
	rs_nft_profile_chain(name, RS_DIR_OUT, UINT32_MAX);
	assert_true(rs_nft_profile_of_chain(name, &dir, &profile));
	assert_int_equal(dir, RS_DIR_OUT);
	assert_int_equal(profile, UINT32_MAX);
	for (size_t i = 0; i < RS_ARRAY_SIZE(wrong); i++)
		assert_false(rs_nft_profile_of_chain(wrong[i], &dir, &profile));
}

static void test_mark_masks(void **state)
{
	static const uint32_t wrong[] = { 0, 1, 0x00050000, 0xffffffff, 0x1ffff };
	struct rs_nft_stamps s;
	rs_auto_err err = { 0 };

	(void)state;
	for (size_t i = 0; i < RS_ARRAY_SIZE(wrong); i++)
		assert_int_equal(rs_nft_stamps_init(&s, wrong[i], &err), -EINVAL);
	assert_int_equal(rs_nft_stamps_init(&s, 0x00ff0000, &err), 0);
	assert_int_equal(s.last, 255);
	assert_int_equal(rs_nft_stamp_bits(0x00ff0000, 3), 0x00030000);
	rs_nft_stamps_free(&s);
}

static void test_front_door(void **state)
{
	struct rs_dp_commit done;
	struct rs_ir *ir = small_ir(), *back;
	struct rs_dp_config cfg;
	struct rs_dp *dp;

	(void)state;
	assert_ptr_equal(rs_dp_by_name("nft"), &rs_dp_nft);
	assert_ptr_equal(rs_dp_by_name("null"), &rs_dp_null);
	assert_ptr_equal(rs_dp_by_name("ebpf"), &rs_dp_ebpf);
	assert_ptr_equal(rs_dp_by_name("ebpf-tc"), &rs_dp_ebpf_tc);
	assert_null(rs_dp_by_name("bpf"));
	assert_null(rs_dp_by_name(NULL));
	assert_string_equal(rs_drop_reason_name(RS_DROP_NOT_PROGRAMMED), "not-programmed");
	rs_dp_config_default(&cfg);
	assert_int_equal(rs_dp_null.open(&cfg, &dp, NULL), 0);
	assert_int_equal(rs_dp_null.commit(dp, ir, &done, NULL), 0);
	assert_true(done.changed);
	assert_int_equal(rs_dp_null.commit(dp, ir, &done, NULL), 0);
	assert_false(done.changed);
	assert_int_equal(rs_dp_null.read(dp, &back, NULL), 0);
	assert_true(rs_ir_equal(ir, back));
	rs_ir_free(back);
	rs_dp_null.close(dp);
	rs_ir_free(ir);
}

/* Whatever stands where: a listing's quotes stay closed, and nothing reaches a terminal. */
static void test_comments_are_harmless(void **state)
{
	static const char bad[] = { '"', '\\', '\n', '\x1b', '\x1f', '\x7f', '\x80', '\xff' };

	(void)state;
	for (size_t n = 1; n <= RS_NFT_COMMENT_MAX + 20; n++)
		for (size_t i = 0; i < n; i++) {
			rs_auto_plan struct rs_nft_plan *p = rs_nft_plan_new();
			char text[RS_NFT_COMMENT_MAX + 21], want[sizeof(text)];
			uint32_t key[2] = { 1, 2 };

			memset(text, '~' - (char)(n % 2 * ('~' - ' ')), n);
			text[n] = '\0';
			memcpy(want, text, sizeof(text));
			text[i] = bad[(n + i) % sizeof(bad)];
			want[i] = '?';
			want[n < RS_NFT_COMMENT_MAX ? n : RS_NFT_COMMENT_MAX] = '\0';
			rs_nft_plan_add(p, SET_CLS4, &key[0], 1, text);
			rs_nft_plan_add(p, SET_CLS4, &key[1], 1, want);
			assert_string_equal(rs_nft_comment(p, SET_CLS4, 0), want);
			assert_int_equal(p->set[SET_CLS4].hash[0], p->set[SET_CLS4].hash[1]);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_unknown_profile_denies),
		cmocka_unit_test(test_unknown_group_is_not_free),
		cmocka_unit_test(test_damaged_plans),
		cmocka_unit_test(test_diff),
		cmocka_unit_test(test_slim_plans_compare),
		cmocka_unit_test(test_skeleton),
		cmocka_unit_test(test_skeleton_is_closed),
		cmocka_unit_test(test_profile_names),
		cmocka_unit_test(test_mark_masks),
		cmocka_unit_test(test_front_door),
		cmocka_unit_test(test_comments_are_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
