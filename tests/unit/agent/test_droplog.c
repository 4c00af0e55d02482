// SPDX-License-Identifier: Apache-2.0
/* What is remembered of drops: agent/droplog.c, its file agent/dropfile.c, and agent/judged.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>

#include "agent/droplog.h"
#include "agent/dropwatch.h"
#include "agent/judged.h"

/* ---- the account ----------------------------------------------------------------------------- */

static void look(struct rs_drop_account *a, uint64_t dropped, uint64_t logged, uint64_t received,
		 uint64_t gaps)
{
	struct rs_dp_log_counts now = { dropped, logged, received, gaps };

	rs_drop_account_look(a, &now);
}

static void begin(struct rs_drop_account *a, uint64_t dropped, uint64_t logged)
{
	struct rs_dp_log_counts now = { dropped, logged, 0, 0 };

	rs_drop_account_open(a, &now, 7);
}

static void expect(const struct rs_drop_account *a, uint64_t dropped, uint64_t records,
		   uint64_t suppressed, uint64_t lost)
{
	assert_int_equal(a->dropped, dropped);
	assert_int_equal(a->records, records);
	assert_int_equal(a->suppressed, suppressed);
	assert_int_equal(a->lost, lost);
}

static void what_was_before_is_not_counted(void **state)
{
	struct rs_drop_account a;

	(void)state;
	begin(&a, 1000, 900);
	look(&a, 1010, 906, 6, 0);
	expect(&a, 10, 6, 4, 0);
	assert_int_equal(a.since_ns, 7);
}

static void a_record_on_its_way_is_not_lost(void **state)
{
	struct rs_drop_account a;

	(void)state;
	begin(&a, 0, 0);
	look(&a, 10, 10, 7, 0); /* three have not been read yet */
	expect(&a, 10, 7, 0, 0);
	look(&a, 30, 30, 28, 0); /* two others */
	expect(&a, 30, 28, 0, 0);
	look(&a, 30, 30, 30, 0);
	expect(&a, 30, 30, 0, 0);
}

static void what_does_not_come_is_lost_once(void **state)
{
	struct rs_drop_account a;

	(void)state;
	begin(&a, 0, 0);
	look(&a, 50, 40, 25, 0);
	look(&a, 50, 40, 25, 0);
	expect(&a, 50, 25, 10, 15);
	look(&a, 50, 40, 25, 0);
	expect(&a, 50, 25, 10, 15);
	/* The next record's number misses the same fifteen. */
	look(&a, 51, 41, 26, 15);
	expect(&a, 51, 26, 10, 15);
	look(&a, 51, 41, 26, 15);
	expect(&a, 51, 26, 10, 15);
}

static void a_gap_is_lost_at_once(void **state)
{
	struct rs_drop_account a;

	(void)state;
	begin(&a, 0, 0);
	look(&a, 20, 20, 15, 5);
	expect(&a, 20, 15, 0, 5);
}

static void counters_that_begin_anew(void **state)
{
	struct rs_drop_account a;

	(void)state;
	begin(&a, 100, 100);
	look(&a, 130, 110, 10, 0);
	expect(&a, 30, 10, 20, 0);
	look(&a, 4, 3, 13, 0); /* the table was made again: 3 new records, 1 suppressed */
	expect(&a, 34, 13, 21, 0);
	/* Two records came between the last look and the new table: they count as dropped too. */
	look(&a, 1, 1, 16, 0);
	expect(&a, 37, 16, 21, 0);
	assert_int_equal(a.records + a.suppressed + a.lost, a.dropped);
}

/* ---- the ring and the rows ------------------------------------------------------------------- */

static void add(struct rs_droplog *l, int64_t time_ns, const char *policy, size_t len)
{
	struct rs_drop_entry e = { .time_ns = time_ns, .len = len };

	e.text = rs_calloc(1, len + 1);
	e.policy = policy ? rs_strdup(policy) : NULL;
	rs_droplog_add(l, &e);
}

static void the_oldest_make_room_by_number_and_by_bytes(void **state)
{
	struct rs_droplog *l = rs_droplog_new(4, 1000, 8);

	(void)state;
	assert_int_equal(rs_droplog_next(l), 1);
	for (int i = 0; i < 6; i++)
		add(l, i, NULL, 100);
	assert_int_equal(rs_droplog_count(l), 4);
	assert_int_equal(rs_droplog_at(l, 0)->id, 3);
	assert_int_equal(rs_droplog_at(l, 3)->id, 6);
	add(l, 7, NULL, 750);
	assert_int_equal(rs_droplog_count(l), 3);
	assert_int_equal(rs_droplog_at(l, 0)->id, 5);
	add(l, 8, NULL, 5000); /* larger than all the room: it stays alone */
	assert_int_equal(rs_droplog_count(l), 1);
	assert_int_equal(rs_droplog_at(l, 0)->id, 8);
	assert_int_equal(rs_droplog_next(l), 9);
	rs_droplog_free(l);
}

static void the_ring_grows_up_to_its_number(void **state)
{
	struct rs_droplog *l = rs_droplog_new(40, 1000, 8);

	(void)state;
	for (int i = 0; i < 16; i++)
		add(l, i, NULL, 60);
	add(l, 16, NULL, 200); /* three go, so the ring begins in its middle when it grows */
	assert_int_equal(rs_droplog_count(l), 14);
	for (int i = 17; i < 20; i++)
		add(l, i, NULL, 1);
	for (int i = 20; i < 100; i++) {
		size_t n = rs_droplog_count(l) < 40 ? rs_droplog_count(l) + 1 : 40;

		add(l, i, NULL, 1);
		assert_true(rs_droplog_count(l) <= n);
		for (size_t k = 0; k < rs_droplog_count(l); k++) {
			assert_int_equal(rs_droplog_at(l, k)->id,
					 rs_droplog_next(l) - rs_droplog_count(l) + k);
			assert_int_equal(rs_droplog_at(l, k)->time_ns, rs_droplog_at(l, k)->id - 1);
		}
	}
	assert_int_equal(rs_droplog_count(l), 40);
	rs_droplog_free(l);
}

static void tally(struct rs_droplog *l, const char *pod, enum rs_direction dir,
		  enum rs_drop_reason reason, const char *policies, int64_t time_ns)
{
	struct rs_drop_entry e = { .dir = dir, .reason = reason, .time_ns = time_ns };

	rs_droplog_tally(l, pod, &e, policies);
}

static void rows_are_bounded_and_the_quiet_one_goes(void **state)
{
	struct rs_droplog *l = rs_droplog_new(4, 1000, 2);
	const struct rs_drop_row *rows;
	int64_t last;
	size_t n;

	(void)state;
	tally(l, "a/x", RS_INGRESS, RS_DROP_POLICY_INGRESS, "a/p, a/q", 1);
	tally(l, NULL, RS_EGRESS, RS_DROP_SPOOFED, "", 2);
	tally(l, "a/x", RS_INGRESS, RS_DROP_POLICY_INGRESS, "a/p, a/q", 3);
	assert_int_equal(rs_droplog_pod(l, "a/x", RS_INGRESS, true, &last), 2);
	assert_int_equal(last, 3);
	tally(l, "a/x", RS_INGRESS, RS_DROP_INVALID, "", 4);
	rows = rs_droplog_rows(l, &n);
	assert_int_equal(n, 2);
	assert_string_equal(rows[1].pod, "a/x"); /* in the place of the forged one */
	assert_int_equal(rs_droplog_pod(l, "a/x", RS_INGRESS, true, &last), 2);
	assert_int_equal(rs_droplog_pod(l, "a/x", RS_INGRESS, false, &last), 3);
	assert_int_equal(rs_droplog_pod(l, "a/x", RS_EGRESS, false, &last), 0);
	rs_droplog_free(l);
}

static void policies_are_counted_each(void **state)
{
	struct rs_droplog *l = rs_droplog_new(4, 1000, 2);
	const struct rs_drop_policy *v;
	size_t n;

	(void)state;
	tally(l, "a/x", RS_INGRESS, RS_DROP_POLICY_INGRESS, "a/p, a/q", 1);
	tally(l, "a/y", RS_INGRESS, RS_DROP_POLICY_INGRESS, "a/q", 1);
	tally(l, "a/y", RS_EGRESS, RS_DROP_POLICY_EGRESS, "a/q", 1);
	tally(l, "a/y", RS_EGRESS, RS_DROP_SPOOFED, "", 1);
	v = rs_droplog_policies(l, &n);
	assert_int_equal(n, 3);
	assert_string_equal(v[1].name, "a/q");
	assert_int_equal(v[0].records, 1);
	assert_int_equal(v[1].records, 2);
	for (int i = 0; i < 3000; i++) {
		rs_autofree char *name = rs_asprintf("b/%d", i);

		tally(l, "a/x", RS_INGRESS, RS_DROP_POLICY_INGRESS, name, 1);
	}
	v = rs_droplog_policies(l, &n);
	assert_int_equal(n, 1025); /* and one for all the others */
	assert_null(v[1024].name);
	assert_int_equal(v[1024].records, 3000 - 1021);
	rs_droplog_free(l);
}

static void the_last_minutes(void **state)
{
	struct rs_droplog *l = rs_droplog_new(8, 1000, 2);
	uint64_t n;

	(void)state;
	assert_null(rs_droplog_top(l, 0, &n));
	add(l, 10, "a/p", 1);
	add(l, 11, "a/q", 1);
	add(l, 12, "a/q", 1);
	add(l, 13, NULL, 1);
	assert_string_equal(rs_droplog_top(l, 0, &n), "a/q");
	assert_int_equal(n, 2);
	assert_string_equal(rs_droplog_top(l, 12, &n), "a/q");
	assert_int_equal(n, 1);
	rs_droplog_pulse(l, 5, 1000000);
	rs_droplog_pulse(l, 8, 1005000);
	rs_droplog_pulse(l, 20, 1200000);
	assert_int_equal(rs_droplog_recent(l, 1200000), 20);
	assert_int_equal(rs_droplog_recent(l, 1310000), 12); /* the first two are too old */
	rs_droplog_pulse(l, 21, 1310000);
	assert_int_equal(rs_droplog_recent(l, 1310000), 13);
	rs_droplog_pulse(l, 22, 9000000);
	assert_int_equal(rs_droplog_recent(l, 9000000), 1);
	assert_int_equal(rs_droplog_recent(l, 9400000), 0);
	rs_droplog_free(l);
}

/* ---- the file -------------------------------------------------------------------------------- */

static long size_of(const char *dir, const char *name)
{
	rs_autofree char *path = rs_asprintf("%s/%s", dir, name);
	struct stat st;

	return stat(path, &st) < 0 ? -1 : (long)st.st_size;
}

static void a_full_file_is_turned_over(void **state)
{
	char dir[] = "/tmp/rs-dropfile-XXXXXX";
	rs_autofree char *path = NULL;
	struct rs_dropfile *f = NULL;

	(void)state;
	assert_non_null(mkdtemp(dir));
	path = rs_asprintf("%s/d", dir);
	assert_int_equal(rs_dropfile_open(path, 25, 2, &f, NULL), 0);
	for (int i = 0; i < 7; i++)
		rs_dropfile_put(f, "0123456789", 10);
	assert_int_equal(size_of(dir, "d"), 11);
	assert_int_equal(size_of(dir, "d.1"), 22);
	assert_int_equal(size_of(dir, "d.2"), 22);
	assert_int_equal(size_of(dir, "d.3"), -1);
	assert_int_equal(rs_dropfile_unwritten(f), 0);
	rs_dropfile_close(f);
	assert_int_equal(rs_dropfile_open(path, 25, 0, &f, NULL), 0); /* what is there is kept */
	rs_dropfile_put(f, "0123456789", 10);
	assert_int_equal(size_of(dir, "d"), 22);
	rs_dropfile_put(f, "0123456789", 10);
	assert_int_equal(size_of(dir, "d"), 11);
	assert_int_equal(size_of(dir, "d.1"), 22); /* of before: nobody keeps more */
	rs_dropfile_close(f);
	for (int i = 0; i < 3; i++) {
		rs_autofree char *old = i ? rs_asprintf("%s.%d", path, i) : rs_strdup(path);

		unlink(old);
	}
	rmdir(dir);
}

static void a_slow_reader_is_not_waited_for(void **state)
{
	char dir[] = "/tmp/rs-dropfile-XXXXXX", line[4000];
	rs_autofree char *path = NULL;
	struct rs_dropfile *f = NULL;
	rs_auto_err err = { 0 };
	int fd;

	(void)state;
	memset(line, 'x', sizeof(line));
	assert_non_null(mkdtemp(dir));
	path = rs_asprintf("%s/pipe", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(rs_dropfile_open(path, 25, 2, &f, &err), -ENXIO); /* nobody reads */
	fd = open(path, O_RDONLY | O_NONBLOCK);
	assert_int_equal(rs_dropfile_open(path, 25, 2, &f, NULL), 0);
	for (int i = 0; i < 100; i++)
		rs_dropfile_put(f, line, sizeof(line));
	assert_in_range(rs_dropfile_unwritten(f), 50, 99);
	assert_int_equal(rs_dropfile_error(f)->num, EAGAIN);
	while (read(fd, line, sizeof(line)) > 0)
		;
	rs_dropfile_put(f, "y", 1);
	assert_int_equal(rs_dropfile_error(f)->num, 0);
	rs_dropfile_close(f);
	close(fd);
	unlink(path);
	rmdir(dir);
}

/* Its own stdout may be a pipe that blocks: a write that waits would end in the alarm. */
static void a_slow_reader_of_stdout_is_not_waited_for(void **state)
{
	rs_autofree char *line = rs_calloc(1, 4000);
	struct rs_dropfile *f = NULL;
	uint64_t unwritten;
	int ends[2], keep;

	(void)state;
	memset(line, 'x', 3999);
	fflush(stdout);
	keep = dup(STDOUT_FILENO);
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDOUT_FILENO);
	alarm(30);
	assert_int_equal(rs_dropfile_open("-", 25, 2, &f, NULL), 0);
	for (int i = 0; i < 100; i++)
		rs_dropfile_put(f, line, 3999);
	unwritten = rs_dropfile_unwritten(f);
	rs_dropfile_close(f);
	alarm(0);
	dup2(keep, STDOUT_FILENO);
	close(keep);
	close(ends[0]);
	close(ends[1]);
	assert_in_range(unwritten, 50, 99);
}

/* ---- judgements ------------------------------------------------------------------------------ */

#define POD "10.0.0.1"

static struct rs_addr addr(const char *text)
{
	struct rs_addr a;

	assert_int_equal(rs_addr_parse(text, &a, NULL), 0);
	return a;
}

/* One pod in ingress group 4. Class 7 (exact) is let in by rule 0, class 8 (a range) by rule 1. */
static struct rs_ir *judged_ir(bool open_default)
{
	struct rs_ir *ir = rs_ir_new();

	ir->locals = rs_ir_alloc(ir, 1, sizeof(*ir->locals));
	ir->locals[0] = (struct rs_ir_local){ addr(POD), 4, 5, NULL };
	ir->n_locals = 1;
	ir->rules = rs_ir_alloc(ir, 2, sizeof(*ir->rules));
	for (uint32_t i = 0; i < 2; i++)
		ir->rules[i] = (struct rs_ir_rule){ "shop", "p", RS_DIR_IN, i, NULL, 0, 0 };
	ir->n_rules = 2;
	ir->whys = rs_ir_alloc(ir, 2, sizeof(*ir->whys));
	ir->whys[0] = (struct rs_ir_portrule){ 6, 80, 80, 0 };
	ir->whys[1] = (struct rs_ir_portrule){ 6, 80, 80, 1 };
	ir->n_whys = 2;
	ir->groups = rs_ir_alloc(ir, 1, sizeof(*ir->groups));
	ir->groups[0] = (struct rs_ir_group){ .dir = RS_DIR_IN,
					      .group = 4,
					      .isolated = true,
					      .first_why = 1,
					      .n_why = open_default };
	ir->n_groups = 1;
	ir->ranges = rs_ir_alloc(ir, 1, sizeof(*ir->ranges));
	ir->ranges[0] = (struct rs_ir_range){ addr("10.1.0.0"), addr("10.1.0.9"), 8 };
	ir->n_ranges = 1;
	ir->cells = rs_ir_alloc(ir, 2, sizeof(*ir->cells));
	ir->cells[0] = (struct rs_ir_cell){ RS_DIR_IN, 4, 7, 3, 0, 1 };
	ir->cells[1] = (struct rs_ir_cell){ RS_DIR_IN, 4, 8, 3, 1, 1 };
	ir->n_cells = open_default ? 1 : 2;
	return ir;
}

static int64_t judged(bool open_default, uint64_t dflt, uint64_t seven, uint64_t eight,
		      uint32_t rule)
{
	struct rs_dp_judged v[] = { { RS_DIR_IN, 4, 0, dflt },
				    { RS_DIR_IN, 4, 7, seven },
				    { RS_DIR_IN, 4, 8, eight } };
	struct rs_dp_stats s = { .judged = v, .n_judged = 3 };
	struct rs_ir *ir = judged_ir(open_default);
	struct rs_addr a = addr(POD);
	int64_t n = rs_judged_rule(ir, &s, &a, RS_INGRESS, "shop/p", rule);

	rs_ir_free(ir);
	return n;
}

static void judgements_of_a_rule(void **state)
{
	(void)state;
	assert_int_equal(judged(false, 99, 12, 5, 0), 12);
	assert_int_equal(judged(false, 99, 12, 5, 1), 5);
	assert_int_equal(judged(false, 99, 12, 0, 1), 0);
	assert_int_equal(judged(false, 99, 12, 5, 2), -1); /* decides nowhere */
	assert_int_equal(judged(true, 99, 12, 0, 1), 99);  /* the default is its doing */
	/* Nothing in its own cell, but its peers may stand in the range's: not "never". */
	assert_int_equal(judged(false, 99, 0, 5, 0), -1);
	assert_int_equal(judged(false, 99, 0, 0, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_before_is_not_counted),
		cmocka_unit_test(a_record_on_its_way_is_not_lost),
		cmocka_unit_test(what_does_not_come_is_lost_once),
		cmocka_unit_test(a_gap_is_lost_at_once),
		cmocka_unit_test(counters_that_begin_anew),
		cmocka_unit_test(the_oldest_make_room_by_number_and_by_bytes),
		cmocka_unit_test(the_ring_grows_up_to_its_number),
		cmocka_unit_test(rows_are_bounded_and_the_quiet_one_goes),
		cmocka_unit_test(policies_are_counted_each),
		cmocka_unit_test(the_last_minutes),
		cmocka_unit_test(a_full_file_is_turned_over),
		cmocka_unit_test(a_slow_reader_is_not_waited_for),
		cmocka_unit_test(a_slow_reader_of_stdout_is_not_waited_for),
		cmocka_unit_test(judgements_of_a_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
