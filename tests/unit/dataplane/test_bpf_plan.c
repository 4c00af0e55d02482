// SPDX-License-Identifier: Apache-2.0
/* test_bpf_plan.c - an IR as tables of the eBPF maps and back; and that between the writing of a
 * change and its epoch every key still says what it said. */
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
#include "dataplane/ebpf/ebpf.h"

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
	ir->addrs = rs_ir_alloc(ir, 3, sizeof(*ir->addrs));
	ir->addrs[0] = (struct rs_ir_addr){ addr("10.0.0.2"), 7, NULL };
	ir->addrs[1] = (struct rs_ir_addr){ addr("10.0.0.9"), 300, NULL };
	ir->addrs[2] = (struct rs_ir_addr){ addr("fd00::9"), 300, NULL };
	ir->n_addrs = 3;
	ir->ranges = rs_ir_alloc(ir, 2, sizeof(*ir->ranges));
	ir->ranges[0] = (struct rs_ir_range){ addr("10.1.0.0"), addr("10.1.0.76"), 2 };
	ir->ranges[1] = (struct rs_ir_range){ addr("255.0.0.0"), addr("255.255.255.255"), 2 };
	ir->n_ranges = 2;
	ir->locals = rs_ir_alloc(ir, 2, sizeof(*ir->locals));
	ir->locals[0] = (struct rs_ir_local){ addr("10.0.0.2"), 1, 1, NULL };
	ir->locals[1] = (struct rs_ir_local){ addr("10.0.0.3"), 2, 1, NULL };
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
	ir->ports = rs_ir_alloc(ir, 9, sizeof(*ir->ports));
	ir->ports[0] = (struct rs_ir_port){ 0, 0, 65535, true };
	ir->ports[1] = (struct rs_ir_port){ 6, 5432, 5434, true };
	ir->ports[2] = (struct rs_ir_port){ 0, 0, 65535, true };
	ir->ports[3] = (struct rs_ir_port){ 6, 25, 25, false };
	for (uint16_t i = 0; i < 5; i++)
		ir->ports[4 + i] = (struct rs_ir_port){ 17, 2 * i + 1, 2 * i + 1 + (i == 4), true };
	ir->n_ports = 9;
	ir->profiles = rs_ir_alloc(ir, 5, sizeof(*ir->profiles));
	ir->profiles[0] = (struct rs_ir_profile){ RS_PROFILE_ALLOW, 0, 1 };
	ir->profiles[1] = (struct rs_ir_profile){ RS_PROFILE_DENY, 1, 0 };
	ir->profiles[2] = (struct rs_ir_profile){ 3, 1, 1 };
	ir->profiles[3] = (struct rs_ir_profile){ 4, 2, 2 };
	ir->profiles[4] = (struct rs_ir_profile){ 5, 4, 5 };
	ir->n_profiles = 5;
	ir->guards = rs_ir_alloc(ir, 3, sizeof(*ir->guards));
	ir->guards[0] =
		(struct rs_ir_guard){ 7, addr("10.0.0.3"), { 2, 0, 0, 0, 0, 3 }, { 0 }, NULL };
	ir->guards[1] = (struct rs_ir_guard){
		256, addr("10.0.0.2"), { 2, 0, 0, 0, 0, 2 }, addr("fe80::2"), "rs1"
	};
	ir->guards[2] = (struct rs_ir_guard){
		256, addr("fd00::2"), { 2, 0, 0, 0, 0, 2 }, addr("fe80::2"), "rs1"
	};
	ir->n_guards = 3;
	ir->node_ranges = rs_ir_alloc(ir, 1, sizeof(*ir->node_ranges));
	rs_cidr_parse("10.0.0.0/24", &ir->node_ranges[0], NULL, NULL);
	ir->n_node_ranges = 1;
	return ir;
}

static const char small_text[] = "rs_ends 10.0.0.2 class 7 in 1 out 1 free\n"
				 "rs_ends 10.0.0.3 in 2 out 1\n"
				 "rs_ends 10.0.0.9 class 300\n"
				 "rs_ends fd00::9 class 300\n"
				 "rs_ranges 10.1.0.0/26 2\n"
				 "rs_ranges 10.1.0.64/29 2\n"
				 "rs_ranges 10.1.0.72/30 2\n"
				 "rs_ranges 10.1.0.76/32 2\n"
				 "rs_ranges 255.0.0.0/8 2\n"
				 "rs_cells 1 . 1 default 1\n"
				 "rs_cells 1 . 2 . 2 3\n"
				 "rs_cells 1 . 2 . 300 4\n"
				 "rs_cells 1 . 2 default 2 isolated\n"
				 "rs_cells 2 . 1 default 1\n"
				 "rs_runs 3 proto 6 5432-5434\n"
				 "rs_runs 4 proto 0 0-65535\n"
				 "rs_runs 4 proto 6 in rs_ports\n"
				 "rs_runs 5 proto 17 in rs_ports\n"
				 "rs_ports 4 proto 6 port 25/16 2\n"
				 "rs_ports 5 proto 17 port 1/16 1\n"
				 "rs_ports 5 proto 17 port 3/16 1\n"
				 "rs_ports 5 proto 17 port 5/16 1\n"
				 "rs_ports 5 proto 17 port 7/16 1\n"
				 "rs_ports 5 proto 17 port 9/16 1\n"
				 "rs_ports 5 proto 17 port 10/16 1\n"
				 "rs_links 7 10.0.0.3\n"
				 "rs_links 256 10.0.0.2 fd00::2\n"
				 "rs_own 10.0.0.0/24 1\n";

static void test_print(void **state)
{
	struct rs_ir *ir = small_ir();
	rs_autofree char *text = rs_dp_ebpf.print(NULL, ir);

	(void)state;
	assert_string_equal(text, small_text);
	rs_ir_free(ir);
}

static void test_there_and_back(void **state)
{
	struct rs_ir *ir = small_ir(), *back = NULL;
	rs_auto_bpf_plan *p = NULL;

	(void)state;
	assert_int_equal(rs_bpf_plan_from_ir(ir, NULL, &p, NULL), 0);
	assert_int_equal(rs_bpf_plan_to_ir(p, &back, NULL), 0);
	if (!rs_ir_equal(ir, back)) {
		rs_autofree char *a = rs_ir_print(ir);
		rs_autofree char *b = rs_ir_print(back);

		assert_string_equal(a, b);
		fail();
	}
	assert_int_equal(back->generation, 5);
	assert_true(back->groups[1].isolated);
	assert_false(back->groups[0].isolated);
	rs_ir_free(ir);
	rs_ir_free(back);
}

static void test_too_many_addresses(void **state)
{
	struct rs_ir *ir = rs_ir_new();
	rs_auto_bpf_plan *p = NULL;
	rs_auto_err err = { 0 };

	(void)state;
	ir->n_guards = RS_BPF_LINK_ADDRS + 1;
	ir->guards = rs_ir_alloc(ir, ir->n_guards, sizeof(*ir->guards));
	for (size_t i = 0; i < ir->n_guards; i++) {
		ir->guards[i].ifindex = 9;
		ir->guards[i].addr = addr("10.0.0.1");
		ir->guards[i].addr.b[3] = (uint8_t)i;
	}
	assert_int_equal(rs_bpf_plan_from_ir(ir, NULL, &p, &err), -E2BIG);
	ir->n_guards--;
	assert_int_equal(rs_bpf_plan_from_ir(ir, NULL, &p, &err), 0);
	rs_ir_free(ir);
}

/* A damaged map is named, not guessed at. */
static void test_damage(void **state)
{
	struct rs_bpf_prefix no_family = { .plen = 40 };
	struct rs_bpf_runs_key nine = { .profile = 9, .proto = 6 };
	struct rs_bpf_runs seven = { .n = 7 };
	struct rs_bpf_end end = { .flags = RS_BPF_END_CLASS };
	struct rs_bpf_addr nobody = { .family = 5 };
	uint32_t one = 1;
	const struct {
		enum rs_bpf_map m;
		const void *key, *value;
	} bad[] = {
		{ RS_BPF_MAP_ENDS, &nobody, &end },
		{ RS_BPF_MAP_RANGES, &no_family, &one },
		{ RS_BPF_MAP_OWN, &no_family, &one },
		{ RS_BPF_MAP_RUNS, &nine, &seven },
	};

	(void)state;
	for (size_t i = 0; i < RS_ARRAY_SIZE(bad); i++) {
		rs_auto_bpf_plan *p = rs_bpf_plan_new();
		struct rs_ir *ir = NULL;
		rs_auto_err err = { 0 };

		rs_bpf_table_add(&p->t[bad[i].m], bad[i].m, bad[i].key, bad[i].value);
		assert_int_equal(rs_bpf_plan_to_ir(p, &ir, &err), -EBADMSG);
		assert_non_null(strstr(rs_err_str(&err), rs_bpf_tables[bad[i].m].name));
	}
}

/* ---- ranges ---------------------------------------------------------------------------------- */

struct cover {
	uint64_t next; /* the first that is not covered */
	size_t n;
};

static void on_prefix(const uint8_t *first, unsigned int len, void *arg)
{
	struct cover *c = arg;
	uint32_t lo = (uint32_t)first[0] << 8 | first[1];

	assert_int_equal(lo, c->next);
	assert_int_equal(lo & ((1u << (16 - len)) - 1), 0);
	c->next = lo + (1u << (16 - len));
	c->n++;
}

/* Every range of some thousand is covered exactly, by aligned prefixes in order. */
static void test_split(void **state)
{
	(void)state;
	srandom(7);
	for (int i = 0; i < 5000; i++) {
		uint32_t a = (uint32_t)random() & 0xffff, b = (uint32_t)random() & 0xffff;
		uint32_t lo = i ? (a < b ? a : b) : 0, hi = i ? (a < b ? b : a) : 0xffff;
		uint8_t from[2] = { (uint8_t)(lo >> 8), (uint8_t)lo };
		uint8_t to[2] = { (uint8_t)(hi >> 8), (uint8_t)hi };
		struct cover c = { .next = lo };

		rs_bpf_split(from, to, 2, on_prefix, &c);
		assert_int_equal(c.next, hi + 1);
		assert_true(c.n <= 30);
	}
}

/* ---- the moment between two states ----------------------------------------------------------- */

/* Prefixes of a byte, so that many lie inside each other: as the third byte of 10.0.x.0. */
static void random_state(struct rs_bpf_plan *p)
{
	int n = (int)(random() % 12);

	for (int i = 0; i < n; i++) {
		uint32_t len = (uint32_t)(random() % 9), value = 1 + (uint32_t)(random() % 3);
		uint8_t x = (uint8_t)(random() & ~(0xff >> len) & 0xff);
		struct rs_bpf_prefix key = { .plen = RS_BPF_FAMILY_BITS + 16 + len,
					     .addr.family = RS_BPF_AF_IP4 };

		memcpy(key.addr.a, (uint8_t[4]){ 10, 0, x, 0 }, 4);
		rs_bpf_table_add(&p->t[RS_BPF_MAP_RANGES], RS_BPF_MAP_RANGES, &key, &value);
	}
	rs_bpf_table_sort(&p->t[RS_BPF_MAP_RANGES], RS_BPF_MAP_RANGES, NULL);
}

/* What a state says, by its longest prefix. */
static uint32_t says(const struct rs_bpf_table *t, uint8_t x)
{
	struct rs_bpf_prefix full = { .plen = RS_BPF_FAMILY_BITS + 32,
				      .addr.family = RS_BPF_AF_IP4 };
	uint32_t value = 0;

	memcpy(full.addr.a, (uint8_t[4]){ 10, 0, x, 9 }, 4);
	for (size_t i = 0; i < t->n; i++) /* a prefix stands before those inside it */
		if (rs_bpf_covers(RS_BPF_MAP_RANGES, rs_bpf_key(t, RS_BPF_MAP_RANGES, i),
				  (const uint8_t *)&full))
			memcpy(&value, rs_bpf_value(t, RS_BPF_MAP_RANGES, i), sizeof(value));
	return value;
}

/* The map after the steps, seen from an epoch: both states' prefixes, each with its own answer. */
static void seen_from(const struct rs_bpf_plan *from, const struct rs_bpf_steps *steps, bool later,
		      struct rs_bpf_table *out)
{
	const struct rs_bpf_table *t = &from->t[RS_BPF_MAP_RANGES];

	for (size_t i = 0; i < steps->n; i++) {
		const struct rs_bpf_step *s = &steps->v[i];
		const void *value = s->value;

		if (s->op == RS_BPF_STEP_ADD && !later)
			value = &s->before;
		if (s->op == RS_BPF_STEP_ADD || later)
			rs_bpf_table_add(out, RS_BPF_MAP_RANGES, s->key, value);
	}
	for (size_t i = 0; i < t->n; i++)
		rs_bpf_table_add(out, RS_BPF_MAP_RANGES, rs_bpf_key(t, RS_BPF_MAP_RANGES, i),
				 rs_bpf_value(t, RS_BPF_MAP_RANGES, i));
	rs_bpf_table_order(out, RS_BPF_MAP_RANGES); /* of equal keys the first stays */
}

static void test_between(void **state)
{
	(void)state;
	srandom(11);
	for (int round = 0; round < 3000; round++) {
		rs_auto_bpf_plan *from = rs_bpf_plan_new();
		rs_auto_bpf_plan *to = rs_bpf_plan_new();
		struct rs_bpf_steps steps = { 0 };
		struct rs_bpf_table before = { 0 }, after = { 0 };

		random_state(from);
		random_state(to);
		rs_bpf_steps_make(from, to, &steps);
		seen_from(from, &steps, false, &before);
		seen_from(from, &steps, true, &after);
		for (int x = 0; x < 256; x++) {
			assert_int_equal(says(&before, (uint8_t)x),
					 says(&from->t[RS_BPF_MAP_RANGES], (uint8_t)x));
			assert_int_equal(says(&after, (uint8_t)x),
					 says(&to->t[RS_BPF_MAP_RANGES], (uint8_t)x));
		}
		rs_bpf_table_free(&before);
		rs_bpf_table_free(&after);
		rs_vec_free(&steps);
	}
}

/* Editing a table is the same as making it anew. */
static void test_edit(void **state)
{
	(void)state;
	srandom(5);
	for (int round = 0; round < 2000; round++) {
		struct rs_bpf_table whole = { 0 }, from = { 0 }, to = { 0 }, want = { 0 };

		for (uint32_t i = 0; i < 24; i++) {
			uint32_t cell[3] = { 1, 1, i }, old[2] = { 1 + (uint32_t)random() % 3, i };
			uint32_t new[2] = { 1 + (uint32_t)random() % 3, i };
			uint32_t what = (uint32_t)random() % 8;
			bool was = what & 1, is = what & 2, moves = what & 4;

			if (!moves)
				is = was, new[0] = old[0];
			if (was)
				rs_bpf_table_add(&whole, RS_BPF_MAP_CELLS, cell, old);
			if (was && moves)
				rs_bpf_table_add(&from, RS_BPF_MAP_CELLS, cell, old);
			if (is && moves)
				rs_bpf_table_add(&to, RS_BPF_MAP_CELLS, cell, new);
			if (is)
				rs_bpf_table_add(&want, RS_BPF_MAP_CELLS, cell, new);
		}
		rs_bpf_table_edit(&whole, RS_BPF_MAP_CELLS, &from, &to);
		assert_int_equal(whole.n, want.n);
		if (want.n) {
			assert_memory_equal(whole.keys, want.keys, want.n * 12);
			assert_memory_equal(whole.values, want.values, want.n * 8);
		}
		rs_bpf_table_free(&whole);
		rs_bpf_table_free(&from);
		rs_bpf_table_free(&to);
		rs_bpf_table_free(&want);
	}
}

/* A join on a node that knows its groups: the address and the link, nothing else. */
static void test_join_is_small(void **state)
{
	struct rs_ir *ir = small_ir(), *more = small_ir();
	rs_auto_bpf_plan *from = NULL;
	rs_auto_bpf_plan *to = NULL;
	struct rs_bpf_steps steps = { 0 };

	(void)state;
	ir->n_locals--;
	ir->guards++;
	ir->n_guards--;
	assert_int_equal(rs_bpf_plan_from_ir(ir, NULL, &from, NULL), 0);
	assert_int_equal(rs_bpf_plan_from_ir(more, NULL, &to, NULL), 0);
	rs_bpf_steps_make(from, to, &steps);
	assert_int_equal(steps.n, 2);
	assert_int_equal(steps.v[0].op, RS_BPF_STEP_ADD);
	assert_int_equal(steps.v[1].map, RS_BPF_MAP_LINKS);
	rs_vec_free(&steps);
	rs_ir_free(ir);
	rs_ir_free(more);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_too_many_addresses),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_between),
		cmocka_unit_test(test_edit),
		cmocka_unit_test(test_join_is_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
