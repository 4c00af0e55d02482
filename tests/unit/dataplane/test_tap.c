// SPDX-License-Identifier: Apache-2.0
/* test_tap.c - copies from before and behind a place find each other: lib/dataplane/nft/tappair.c. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include <string.h>

#include "base/base.h"
#include "dataplane/nft/tap.h"

static const uint8_t tcp4[] = { 0x45, 0, 0,  40, 0,    7,    0,	   0,	 64, 6, 0, 0, 10,   0,
				0,    1, 10, 0,	 0,    2,    0x9c, 0x40, 21, 8, 0, 0, 0,    1,
				0,    0, 0,  0,	 0x50, 0x12, 0,	   0,	 1,  2, 0, 0, 0xaa, 0xbb };

static struct rs_capture_packet packet(const uint8_t *data, size_t n, bool from_pod)
{
	return (struct rs_capture_packet){ .from_pod = from_pod, .data = data, .len = n };
}

static void add(struct rs_tap_pairs *t, enum tap_point point, const uint8_t *data, int64_t now)
{
	struct rs_capture_packet p = packet(data, sizeof(tcp4), true);

	rs_tap_pairs_add(t, point, &p, now);
}

/* The fate of the next one; -1: none is decided. */
static int next(struct rs_tap_pairs *t, int64_t now)
{
	const struct rs_capture_packet *p = rs_tap_pairs_next(t, now);

	return p ? (int)p->fate : -1;
}

static void what_comes_behind_has_passed(void **state)
{
	struct rs_tap_pairs *t = rs_tap_pairs_new();
	const struct rs_capture_packet *p;

	(void)state;
	assert_int_equal(rs_tap_pairs_due(t), -1);
	add(t, TAP_FORWARDED, tcp4, 1000);
	assert_int_equal(next(t, 1000), -1);
	add(t, TAP_FORWARDED_PASSED, tcp4, 1000);
	assert_int_equal(rs_tap_pairs_due(t), 0);
	p = rs_tap_pairs_next(t, 1000);
	assert_int_equal(p->fate, RS_CAPTURE_PASSED);
	assert_memory_equal(p->data, tcp4, sizeof(tcp4));
	assert_int_equal(next(t, 1000000), -1);
	rs_tap_pairs_free(t);
}

static void what_does_not_is_dropped_after_a_while(void **state)
{
	struct rs_tap_pairs *t = rs_tap_pairs_new();

	(void)state;
	add(t, TAP_TO_NODE, tcp4, 1000);
	add(t, TAP_GUARD, tcp4, 1001);
	assert_int_equal(next(t, 1000 + TAP_PATIENCE_MS - 1), -1);
	assert_int_equal(rs_tap_pairs_due(t), 1000 + TAP_PATIENCE_MS);
	assert_int_equal(next(t, 1000 + TAP_PATIENCE_MS), RS_CAPTURE_DROPPED);
	assert_int_equal(next(t, 1000 + TAP_PATIENCE_MS), -1);
	assert_int_equal(next(t, 1001 + TAP_PATIENCE_MS), RS_CAPTURE_GUARD);
	rs_tap_pairs_free(t);
}

static void the_guard_lets_on_to_the_next_place(void **state)
{
	struct rs_tap_pairs *t = rs_tap_pairs_new();

	(void)state;
	add(t, TAP_GUARD, tcp4, 0);
	add(t, TAP_GUARD_PASSED, tcp4, 0);
	assert_int_equal(next(t, 1000), -1);
	/* Its like from before we listened is nothing to show. */
	add(t, TAP_GUARD_PASSED, tcp4, 0);
	assert_int_equal(next(t, 1000), -1);
	assert_int_equal(rs_tap_pairs_due(t), -1);
	/* Behind the verdict it is. */
	add(t, TAP_TO_NODE_PASSED, tcp4, 0);
	assert_int_equal(next(t, 0), RS_CAPTURE_PASSED);
	rs_tap_pairs_free(t);
}

/* Of two equal packets the newer one has just passed. */
static void of_equal_ones_the_newest_passes(void **state)
{
	struct rs_tap_pairs *t = rs_tap_pairs_new();

	(void)state;
	add(t, TAP_FORWARDED, tcp4, 0);
	add(t, TAP_FORWARDED, tcp4, 5);
	add(t, TAP_FORWARDED_PASSED, tcp4, 5);
	assert_int_equal(next(t, 10), -1); /* the order stays */
	assert_int_equal(next(t, 1000), RS_CAPTURE_DROPPED);
	assert_int_equal(next(t, 1000), RS_CAPTURE_PASSED);
	rs_tap_pairs_free(t);
}

static void places_and_directions_are_not_mixed(void **state)
{
	struct rs_tap_pairs *t = rs_tap_pairs_new();
	struct rs_capture_packet back = packet(tcp4, sizeof(tcp4), false);

	(void)state;
	add(t, TAP_FORWARDED, tcp4, 0);
	add(t, TAP_TO_NODE_PASSED, tcp4, 0);
	rs_tap_pairs_add(t, TAP_FORWARDED_PASSED, &back, 0);
	assert_int_equal(next(t, 1000), RS_CAPTURE_DROPPED);
	assert_int_equal(next(t, 1000), RS_CAPTURE_PASSED);
	assert_int_equal(next(t, 1000), RS_CAPTURE_PASSED);
	rs_tap_pairs_free(t);
}

static bool pairs(const uint8_t *a, const uint8_t *b, size_t n)
{
	struct rs_tap_pairs *t = rs_tap_pairs_new();
	struct rs_capture_packet before = packet(a, n, true), behind = packet(b, n, true);
	bool passed;

	rs_tap_pairs_add(t, TAP_FORWARDED, &before, 0);
	rs_tap_pairs_add(t, TAP_FORWARDED_PASSED, &behind, 0);
	passed = next(t, 1000) == RS_CAPTURE_PASSED;
	rs_tap_pairs_free(t);
	return passed;
}

/* Byte by byte: what source NAT changes may differ, and nothing else. */
static void assert_only(const uint8_t *data, size_t n, const char *nat)
{
	uint8_t *other = rs_memdup(data, n);

	assert_int_equal(strlen(nat), n);
	for (size_t i = 0; i < n; i++) {
		other[i] ^= 0x80;
		if (pairs(data, other, n) != (nat[i] == 'n'))
			fail_msg("byte %zu", i);
		other[i] ^= 0x80;
	}
	free(other);
}

static void source_nat_may_have_been_at_work(void **state)
{
	uint8_t udp6[40 + 12] = { 0x60, [5] = 12, [6] = 17, [7] = 64, [8] = 0xfd, [24] = 0xfd };
	uint8_t later[sizeof(tcp4)], icmp[28] = { 0x45, [3] = 28, [8] = 64, [9] = 1, [20] = 8 };

	(void)state;
	assert_only(tcp4, sizeof(tcp4), "..........nnnnnn....nn..............nn....");
	assert_only(udp6, sizeof(udp6), "........nnnnnnnnnnnnnnnn................nn....nn....");
	assert_only(icmp, sizeof(icmp), "..........nnnnnn......nnnn..");
	/* A later fragment has no ports. */
	memcpy(later, tcp4, sizeof(later));
	later[7] = 3;
	assert_only(later, sizeof(later), "..........nnnnnn..........................");
	assert_true(pairs(tcp4, tcp4, 3));
	assert_true(pairs(tcp4, tcp4, 0));
}

static void a_loss_leaves_the_verdict_unknown(void **state)
{
	struct rs_tap_pairs *t = rs_tap_pairs_new();

	(void)state;
	add(t, TAP_FORWARDED, tcp4, 0);
	add(t, TAP_FORWARDED_PASSED, tcp4, 0);
	add(t, TAP_FORWARDED, tcp4, 0);
	rs_tap_pairs_lost(t);
	add(t, TAP_FORWARDED, tcp4, 0);
	assert_int_equal(next(t, 1000), RS_CAPTURE_PASSED);
	assert_int_equal(next(t, 1000), RS_CAPTURE_UNKNOWN);
	assert_int_equal(next(t, 1000), RS_CAPTURE_DROPPED);
	rs_tap_pairs_free(t);
}

/* Nobody takes them: the newest stay. */
static void memory_is_bounded(void **state)
{
	struct rs_tap_pairs *t = rs_tap_pairs_new();
	uint8_t data[sizeof(tcp4)];
	size_t n = 0;

	(void)state;
	memcpy(data, tcp4, sizeof(data));
	for (uint32_t i = 0; i < 20000; i++) {
		memcpy(data + 38, &i, sizeof(i));
		add(t, TAP_FORWARDED, data, 0);
	}
	while (next(t, 1000) >= 0)
		n++;
	assert_in_range(n, 1000, 10000);
	rs_tap_pairs_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_comes_behind_has_passed),
		cmocka_unit_test(what_does_not_is_dropped_after_a_while),
		cmocka_unit_test(the_guard_lets_on_to_the_next_place),
		cmocka_unit_test(of_equal_ones_the_newest_passes),
		cmocka_unit_test(places_and_directions_are_not_mixed),
		cmocka_unit_test(source_nat_may_have_been_at_work),
		cmocka_unit_test(a_loss_leaves_the_verdict_unknown),
		cmocka_unit_test(memory_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
