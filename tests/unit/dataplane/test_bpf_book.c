// SPDX-License-Identifier: Apache-2.0
/* test_bpf_book.c - which slot counts for which rule: every port of every cell leads to the slot of its
 * rule, slots and lists stay from IR to IR, nothing is given out that may still be counted in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/base.h"
#include "dataplane/ebpf/ebpf.h"

/* An IR of these rules' names (index and direction from the last two characters, as "web0i"), one cell
 * for each list of reasons. */
struct reason {
	uint8_t proto;
	uint16_t lo, hi;
	uint32_t rule;
	bool last; /* of its cell */
};

static struct rs_ir *ir_of(const char *const *names, size_t n, const struct reason *r, size_t n_r)
{
	struct rs_ir *ir = rs_ir_new();
	uint32_t first = 0;

	ir->rules = rs_ir_alloc(ir, n, sizeof(*ir->rules));
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(names[i]);
		rs_autofree char *name = rs_strndup(names[i], len - 2);

		ir->rules[ir->n_rules++] =
			(struct rs_ir_rule){ .ns = "ns",
					     .name = rs_ir_strdup(ir, name),
					     .dir = names[i][len - 1] == 'o' ? RS_DIR_OUT
									     : RS_DIR_IN,
					     .index = (uint32_t)(names[i][len - 2] - '0') };
	}
	ir->n_whys = n_r;
	ir->whys = rs_ir_alloc(ir, n_r, sizeof(*ir->whys));
	ir->cells = rs_ir_alloc(ir, n_r, sizeof(*ir->cells));
	for (uint32_t i = 0; i < n_r; i++) {
		ir->whys[i] = (struct rs_ir_portrule){ r[i].proto, r[i].lo, r[i].hi, r[i].rule };
		if (!r[i].last)
			continue;
		ir->cells[ir->n_cells++] = (struct rs_ir_cell){ .dir = RS_DIR_IN,
								.group = 1,
								.cls = i,
								.profile = 3,
								.first_why = first,
								.n_why = i + 1 - first };
		first = i + 1;
	}
	return ir;
}

static uint32_t slot(const struct rs_bpf_book *b, const char *name, uint32_t index, uint32_t dir)
{
	for (size_t i = 0; i < b->rules.n; i++)
		if (!strcmp(b->rules.v[i].name, name) && b->rules.v[i].index == index &&
		    b->rules.v[i].dir == dir)
			return b->rules.v[i].slot;
	return 0;
}

/* As rs_rule_of() of bpf/bpf_lookup.h. */
static uint32_t looked_up(const struct rs_bpf_table *whys, uint32_t rule, uint8_t proto,
			  uint16_t port)
{
	for (int turn = 0; turn < 2 && rule & RS_BPF_RULE_LIST; turn++) {
		struct rs_bpf_port key = { .plen = 56 };
		uint32_t found = 0;

		for (int i = 0; i < 4; i++)
			key.b[i] = (uint8_t)((rule & ~RS_BPF_RULE_LIST) >> (24 - 8 * i));
		key.b[4] = turn ? 0 : proto;
		key.b[5] = turn ? 0 : (uint8_t)(port >> 8);
		key.b[6] = turn ? 0 : (uint8_t)port;
		for (size_t i = 0; i < whys->n; i++)
			if (rs_bpf_covers(RS_BPF_MAP_WHYS, rs_bpf_key(whys, RS_BPF_MAP_WHYS, i),
					  (const uint8_t *)&key))
				memcpy(&found, rs_bpf_value(whys, RS_BPF_MAP_WHYS, i),
				       sizeof(found));
		if (found || turn)
			return found;
	}
	return rule;
}

static struct rs_bpf_table table_of(const struct rs_bpf_book *b)
{
	struct rs_bpf_table t = { 0 };

	rs_bpf_book_put(b, &t);
	rs_bpf_table_sort(&t, RS_BPF_MAP_WHYS, NULL);
	return t;
}

static void test_slots_stay(void **state)
{
	static const char *const one[] = { "a0i", "b0i", "b1i" };
	static const char *const two[] = { "0first0i", "a0i", "b1i", "b0o" };
	const struct reason r1[] = { { 6, 80, 80, 0, true },
				     { 0, 0, 0, 1, true },
				     { 6, 1, 9, 2, true } };
	const struct reason r2[] = { { 6, 80, 80, 1, true },
				     { 0, 0, 0, 2, true },
				     { 6, 1, 9, 0, true },
				     { 6, 1, 9, 3, true } };
	struct rs_ir *x = ir_of(one, 3, r1, 3), *y = ir_of(two, 4, r2, 4);
	rs_auto_bpf_book *a = rs_bpf_book_make(NULL, x, RS_BPF_WHYS);
	rs_auto_bpf_book *b = rs_bpf_book_make(a, y, RS_BPF_WHYS);
	rs_auto_bpf_book *c = rs_bpf_book_make(b, x, RS_BPF_WHYS);

	(void)state;
	assert_int_equal(a->rules.n, 3);
	assert_int_equal(slot(a, "a", 0, RS_DIR_IN), 1);
	assert_int_equal(slot(b, "a", 0, RS_DIR_IN), 1);
	assert_int_equal(slot(b, "b", 1, RS_DIR_IN), slot(a, "b", 1, RS_DIR_IN));
	/* What one book leaves, the next does not give out: a packet may still count there. */
	assert_int_not_equal(slot(b, "0first", 0, RS_DIR_IN), slot(a, "b", 0, RS_DIR_IN));
	assert_int_not_equal(slot(b, "b", 0, RS_DIR_OUT), slot(a, "b", 0, RS_DIR_IN));
	assert_int_equal(slot(c, "b", 0, RS_DIR_IN), slot(a, "b", 0, RS_DIR_IN));
	assert_true(a->rules.v[1].fresh && !a->rules.v[1].dirty);
	assert_true(c->rules.v[1].fresh && c->rules.v[1].dirty);
	assert_false(c->rules.v[0].fresh);
	assert_int_equal(rs_bpf_book_rule(a, 1, 1), slot(a, "b", 0, RS_DIR_IN));
	assert_int_equal(rs_bpf_book_rule(a, 1, 0), 0);
	rs_ir_free(x);
	rs_ir_free(y);
}

static void test_unused_and_mute(void **state)
{
	static const char *const names[] = { "a0i", "b0i" };
	const struct reason r[] = { { 6, 80, 80, 1, true }, { 6, 80, 80, UINT32_MAX, true } };
	struct rs_ir *x = ir_of(names, 2, r, 2), *none = rs_ir_new();
	rs_auto_bpf_book *b = rs_bpf_book_make(NULL, x, RS_BPF_WHYS);

	(void)state;
	assert_int_equal(b->rules.n, 1); /* a decides nowhere */
	assert_int_equal(rs_bpf_book_rule(b, 1, 1), 0);
	assert_true(rs_bpf_book_is_mute(none));
	assert_false(rs_bpf_book_is_mute(x));
	rs_ir_free(x);
	rs_ir_free(none);
}

/* Of more rules than slots the last are not counted, and said to be so; a list for which there is no
 * room is nobody's. */
static void test_no_room(void **state)
{
	static const char *const names[] = { "a0i", "b0i", "c0i" };
	const struct reason r[] = { { 6, 80, 80, 0, false },
				    { 17, 53, 53, 1, true },
				    { 6, 1, 1, 2, true } };
	struct rs_ir *x = ir_of(names, 3, r, 3), *many = rs_ir_new();
	rs_auto_bpf_book *b = rs_bpf_book_make(NULL, x, 10);
	rs_auto_bpf_book *m = NULL;
	uint32_t n = RS_BPF_RULES + 5;

	(void)state;
	assert_int_equal(rs_bpf_book_rule(b, 0, 2), 0);
	assert_true(b->rules.v[0].partly && b->rules.v[1].partly && !b->rules.v[2].partly);
	assert_int_equal(rs_bpf_book_rule(b, 2, 1), slot(b, "c", 0, RS_DIR_IN));
	many->rules = rs_ir_alloc(many, n, sizeof(*many->rules));
	many->whys = rs_ir_alloc(many, n, sizeof(*many->whys));
	many->cells = rs_ir_alloc(many, n, sizeof(*many->cells));
	many->n_rules = many->n_whys = many->n_cells = n;
	for (uint32_t i = 0; i < n; i++) {
		many->rules[i] = (struct rs_ir_rule){ "ns", "p", RS_DIR_IN, i, NULL, 0, 0 };
		many->whys[i].rule = i;
		many->cells[i] = (struct rs_ir_cell){ .first_why = i, .n_why = 1 };
	}
	m = rs_bpf_book_make(NULL, many, RS_BPF_WHYS);
	for (uint32_t i = 0; i < n; i++) {
		bool room = i < RS_BPF_RULES - 1;

		assert_int_equal(rs_bpf_book_rule(m, i, 1), room ? i + 1 : 0);
		assert_int_equal(m->rules.v[i].partly, !room);
	}
	rs_ir_free(x);
	rs_ir_free(many);
}

/* ---- random ---------------------------------------------------------------------------------- */

#define NAMES 12

static const char *const all[NAMES] = { "a0i", "a1i", "a0o", "b0i", "b1i", "c0i",
					"c1o", "d0i", "d9i", "e0i", "f0i", "f1i" };

/* Cells of disjoint runs, as the compiler makes them, behind some of those that were there. */
static size_t random_reasons(struct reason *r, size_t had, size_t most)
{
	static const uint8_t protos[] = { 6, 17, 0 };
	size_t n = 0;

	for (size_t i = 0; i < had && random() % 12; i++)
		if (r[i].last)
			n = i + 1;
	while (n + 8 < most && random() % 8) {
		size_t begin = n;

		for (size_t p = 0; p < 3; p++) {
			uint32_t at = (uint32_t)(random() % 50);

			for (int k = (int)(random() % 3); k > 0 && (p < 2 || n == begin); k--) {
				uint32_t hi = at + (uint32_t)(random() % 300);

				r[n++] = (struct reason){ protos[p], p < 2 ? (uint16_t)at : 0,
							  p < 2 ? (uint16_t)hi : UINT16_MAX,
							  (uint32_t)(random() % NAMES), false };
				at = hi + 1 + (uint32_t)(random() % 2);
				if (p == 2)
					break;
			}
		}
		if (n > begin)
			r[n - 1].last = true;
	}
	return n;
}

/* The rule that the IR names, as rs_ir_eval(). */
static uint32_t named(const struct rs_ir *ir, const struct rs_ir_cell *c, uint8_t proto,
		      uint16_t port)
{
	uint32_t rest = UINT32_MAX;

	for (uint32_t i = c->first_why; i < c->first_why + c->n_why; i++) {
		const struct rs_ir_portrule *y = &ir->whys[i];

		if (!y->proto)
			rest = y->rule;
		else if (y->proto == proto && y->lo <= port && port <= y->hi)
			return y->rule;
	}
	return rest;
}

static void check_cells(const struct rs_ir *ir, const struct rs_bpf_book *b)
{
	struct rs_bpf_table t = table_of(b);

	for (size_t i = 0; i < ir->n_cells; i++) {
		const struct rs_ir_cell *c = &ir->cells[i];
		uint32_t says = rs_bpf_book_rule(b, c->first_why, c->n_why);

		for (int k = 0; k < 40; k++) {
			uint8_t proto = random() % 2 ? 6 : 17;
			uint16_t port = (uint16_t)(random() % 700);
			uint32_t rule = named(ir, c, proto, port);

			if (rule == UINT32_MAX)
				continue; /* not allowed, so not asked */
			assert_int_equal(looked_up(&t, says, proto, port),
					 slot(b, ir->rules[rule].name, ir->rules[rule].index,
					      ir->rules[rule].dir));
		}
	}
	rs_bpf_table_free(&t);
}

/* Another agent: what the maps hold, and no more. */
static struct rs_bpf_book *read_back(const struct rs_bpf_book *b)
{
	struct rs_bpf_book *to = rs_bpf_book_new();
	struct rs_bpf_table t = table_of(b);

	for (size_t i = b->rules.n; i-- > 0;) {
		const struct rs_bpf_booked *x = &b->rules.v[i];
		struct rs_bpf_rule r = { .dir = x->dir, .index = x->index };

		snprintf(r.ns, sizeof(r.ns), "%s", x->ns);
		snprintf(r.name, sizeof(r.name), "%s", x->name);
		rs_bpf_book_add(to, x->slot, &r);
	}
	rs_bpf_book_adopt(to, &t);
	rs_bpf_table_free(&t);
	return to;
}

static void check_kept(const struct rs_bpf_book *old, const struct rs_bpf_book *b)
{
	for (size_t i = 0; i < b->rules.n; i++) {
		const struct rs_bpf_booked *x = &b->rules.v[i];
		uint32_t was = slot(old, x->name, x->index, x->dir);

		assert_true(x->slot && !x->partly && x->fresh == !was);
		if (was)
			assert_int_equal(x->slot, was);
		for (size_t k = 0; k < old->rules.n && !was; k++)
			assert_int_not_equal(x->slot, old->rules.v[k].slot);
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(x->slot, b->rules.v[k].slot);
	}
}

static void test_random(void **state)
{
	struct rs_bpf_book *old = rs_bpf_book_new();
	struct reason r[40];
	size_t n = 0;

	(void)state;
	srandom(3);
	for (int round = 0; round < 1500; round++) {
		struct rs_ir *ir = ir_of(all, NAMES, r, n = random_reasons(r, n, RS_ARRAY_SIZE(r)));
		struct rs_bpf_book *b = rs_bpf_book_make(old, ir, RS_BPF_WHYS);
		struct rs_bpf_book *next, *again;
		struct rs_bpf_table t, u;

		check_cells(ir, b);
		check_kept(old, b);
		/* The same IR after a restart: the same slots and lists. */
		next = read_back(b);
		again = rs_bpf_book_make(next, ir, RS_BPF_WHYS);
		t = table_of(b);
		u = table_of(again);
		check_kept(next, again);
		if (t.n == u.n && t.n)
			assert_memory_equal(t.keys, u.keys, t.n * sizeof(struct rs_bpf_port));
		rs_bpf_table_free(&t);
		rs_bpf_table_free(&u);
		rs_bpf_book_free(old);
		rs_bpf_book_free(again);
		old = round % 3 ? b : next;
		rs_bpf_book_free(round % 3 ? next : b);
		rs_ir_free(ir);
	}
	rs_bpf_book_free(old);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slots_stay),
		cmocka_unit_test(test_unused_and_mute),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
