// SPDX-License-Identifier: Apache-2.0
/* test_base.c - errors, strings, addresses, files. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/base.h"

static void error_chain_reads_outside_in(void **state)
{
	rs_auto_err err = { 0 };

	(void)state;
	assert_int_equal(rs_err_sys(&err, ENODEV, "link %s", "rs1"), -ENODEV);
	assert_int_equal(rs_err_wrap(&err, "add route %s", "10.0.0.1/32"), -ENODEV);
	assert_string_equal(rs_err_str(&err), "add route 10.0.0.1/32: link rs1: No such device");
	rs_err_cni(&err, RS_CNI_IO);
	rs_err_cni(&err, RS_CNI_TRY_AGAIN);
	assert_int_equal(err.cni, RS_CNI_IO);
	rs_err_hint(&err, "plug it in");
	assert_string_equal(err.hint, "plug it in");
	assert_int_equal(rs_err_set(&err, EINVAL, "second"), -EINVAL);
	assert_string_equal(rs_err_str(&err), "second");
	assert_null(err.hint);
	assert_int_equal(err.cni, RS_CNI_NONE);
}

static void error_may_be_null(void **state)
{
	(void)state;
	assert_int_equal(rs_err_set(NULL, EPERM, "x"), -EPERM);
	assert_int_equal(rs_err_wrap(NULL, "x"), -EIO);
	rs_err_clear(NULL);
}

static void error_moves(void **state)
{
	rs_auto_err a = { 0 };
	rs_auto_err b = { 0 };

	(void)state;
	rs_err_set(&a, EINVAL, "first");
	rs_err_set(&b, EPERM, "second");
	rs_err_move(&a, &b);
	assert_string_equal(rs_err_str(&a), "second");
	assert_int_equal(b.num, 0);
	assert_string_equal(rs_err_str(&b), "no error");
}

static void strbuf_grows_and_resets(void **state)
{
	rs_auto_strbuf b = { 0 };
	int i;

	(void)state;
	assert_string_equal(rs_strbuf_str(&b), "");
	for (i = 0; i < 1000; i++)
		rs_strbuf_printf(&b, "%d,", i);
	assert_int_equal(b.len, strlen(b.s));
	assert_memory_equal(b.s + b.len - 4, "999,", 5);
	rs_strbuf_reset(&b);
	assert_string_equal(rs_strbuf_str(&b), "");
}

static void terminal_text_is_escaped(void **state)
{
	rs_auto_strbuf b = { 0 };

	(void)state;
	/* ESC, a right-to-left override, a lone continuation byte, a C1 control, a backslash */
	rs_strbuf_puts_safe(&b, "a\x1b[31m\xe2\x80\xae\x80\xc2\x9b\\\xc3\xa9");
	assert_string_equal(rs_strbuf_str(&b),
			    "a\\x1b[31m\\xe2\\x80\\xae\\x80\\xc2\\x9b\\\\\xc3\xa9");
}

static void json_text_is_quoted(void **state)
{
	rs_auto_strbuf b = { 0 };

	(void)state;
	rs_strbuf_put_json(&b, "a\"b\\c\n\x01\xff");
	assert_string_equal(rs_strbuf_str(&b), "\"a\\\"b\\\\c\\u000a\\u0001\xef\xbf\xbd\"");
}

static void check_cidr(const char *in, const char *want, bool canonical)
{
	char buf[RS_CIDR_STRLEN];
	struct rs_cidr c;
	bool canon = false;

	assert_int_equal(rs_cidr_parse(in, &c, &canon, NULL), 0);
	assert_string_equal(rs_cidr_str(&c, buf), want);
	assert_int_equal(canon, canonical);
}

static void B15_B16_cidrs_read_as_kubernetes_reads_them(void **state)
{
	(void)state;
	check_cidr("10.0.0.0/8", "10.0.0.0/8", true);
	check_cidr("10.0.0.5/24", "10.0.0.0/24", false);
	check_cidr("010.1.2.3/8", "10.0.0.0/8", false);
	check_cidr("0.0.0.0/0", "0.0.0.0/0", true);
	check_cidr("2001:DB8::1/32", "2001:db8::/32", false);
	check_cidr("::/0", "::/0", true);
	check_cidr("10.1.2.3/31", "10.1.2.2/31", false);
}

static void bad_addresses_are_refused(void **state)
{
	static const char *const bad[] = { "",	      "10.0.0.0",   "10.0.0.0/33",  "10.0.0/8",
					   "::/129",  "256.0.0.1/8", "10.0.0.0/",   "10.0.0.0/8 ",
					   "/8",      "10.0.0.0/+8", "10.0.0.0/-1", "10.0.0.0/08888",
					   "a.b.c.d/8", "fe80::1%eth0/64", "1.2.3.4.5/8" };
	struct rs_cidr c;
	struct rs_addr a;
	size_t i;

	(void)state;
	for (i = 0; i < RS_ARRAY_SIZE(bad); i++)
		assert_true(rs_cidr_parse(bad[i], &c, NULL, NULL) < 0);
	assert_true(rs_cidr_parse(NULL, &c, NULL, NULL) < 0);
	assert_true(rs_addr_parse("1.2.3.4 ", &a, NULL) < 0);
	assert_true(rs_addr_parse("fe80::1%1", &a, NULL) < 0);
}

static void B17_v4_mapped_blocks_are_known(void **state)
{
	struct rs_cidr c;

	(void)state;
	assert_int_equal(rs_cidr_parse("::ffff:10.0.0.0/104", &c, NULL, NULL), 0);
	assert_true(rs_cidr_is_v4mapped(&c));
	assert_int_equal(rs_cidr_parse("::/0", &c, NULL, NULL), 0);
	assert_false(rs_cidr_is_v4mapped(&c));
}

static void address_arithmetic_knows_the_ends(void **state)
{
	struct rs_cidr all4, all6;
	struct rs_addr a, b;
	char buf[RS_ADDR_STRLEN];

	(void)state;
	rs_cidr_parse("0.0.0.0/0", &all4, NULL, NULL);
	rs_cidr_parse("::/0", &all6, NULL, NULL);
	a = rs_cidr_last(&all4);
	assert_false(rs_addr_next(&a));
	assert_true(rs_addr_prev(&a));
	assert_string_equal(rs_addr_str(&a, buf), "255.255.255.254");
	a = rs_cidr_first(&all6);
	assert_false(rs_addr_prev(&a));
	b = rs_cidr_last(&all6);
	assert_true(rs_addr_distance(&a, &b) == UINT64_MAX);
	rs_addr_parse("10.0.0.255", &a, NULL);
	rs_addr_parse("10.0.2.1", &b, NULL);
	assert_int_equal(rs_addr_distance(&a, &b), 258);
	assert_true(rs_addr_add(&a, 258));
	assert_int_equal(rs_addr_cmp(&a, &b), 0);
	assert_false(rs_addr_add(&a, 1ull << 40));
}

static void cidr_relations(void **state)
{
	struct rs_cidr wide, narrow, other;
	struct rs_addr a;

	(void)state;
	rs_cidr_parse("10.0.0.0/8", &wide, NULL, NULL);
	rs_cidr_parse("10.1.0.0/16", &narrow, NULL, NULL);
	rs_cidr_parse("11.0.0.0/16", &other, NULL, NULL);
	assert_true(rs_cidr_covers(&wide, &narrow));
	assert_false(rs_cidr_covers(&narrow, &wide));
	assert_true(rs_cidr_overlaps(&narrow, &wide));
	assert_false(rs_cidr_overlaps(&other, &wide));
	rs_addr_parse("10.1.255.255", &a, NULL);
	assert_true(rs_cidr_contains(&narrow, &a));
	rs_addr_next(&a);
	assert_false(rs_cidr_contains(&narrow, &a));
}

static void files_are_all_or_nothing(void **state)
{
	char dir[] = "/tmp/ripstop-test-XXXXXX";
	rs_auto_err err = { 0 };
	rs_autofree char *text = NULL;
	rs_autoclose int fd = -1;
	size_t len = 0;

	(void)state;
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(rs_file_write_at(fd, "a", "one", 3, RS_FILE_CREATE, &err), 0);
	assert_int_equal(rs_file_write_at(fd, "a", "two", 3, RS_FILE_CREATE, &err), -EEXIST);
	assert_int_equal(rs_file_read_at(fd, "a", 100, &text, &len, &err), 0);
	assert_string_equal(text, "one");
	free(text);
	text = NULL;
	assert_int_equal(rs_file_write_at(fd, "a", "three", 5, RS_FILE_REPLACE, &err), 0);
	assert_int_equal(rs_file_read_at(fd, "a", 4, &text, &len, &err), -EFBIG);
	assert_int_equal(rs_file_read_at(fd, "a", 5, &text, &len, &err), 0);
	assert_int_equal(len, 5);
	assert_int_equal(mkfifoat(fd, "fifo", 0600), 0);
	assert_int_equal(rs_file_read_at(fd, "fifo", 5, &text, &len, &err), -EINVAL);
	unlinkat(fd, "fifo", 0);
	unlinkat(fd, "a", 0);
	assert_int_equal(rmdir(dir), 0); /* no temporary file is left */
}

static void folders_are_made_with_parents(void **state)
{
	char dir[] = "/tmp/ripstop-test-XXXXXX";
	rs_auto_err err = { 0 };
	rs_autofree char *deep = NULL, *mid = NULL;

	(void)state;
	assert_non_null(mkdtemp(dir));
	mid = rs_asprintf("%s/a", dir);
	deep = rs_asprintf("%s/b", mid);
	assert_int_equal(rs_mkdir_p(deep, 0700, &err), 0);
	assert_int_equal(rs_mkdir_p(deep, 0700, &err), 0);
	assert_int_equal(rs_mkdir_p("/proc/self/status/x", 0700, &err), -ENOTDIR);
	rmdir(deep);
	rmdir(mid);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(error_chain_reads_outside_in),
		cmocka_unit_test(error_may_be_null),
		cmocka_unit_test(error_moves),
		cmocka_unit_test(strbuf_grows_and_resets),
		cmocka_unit_test(terminal_text_is_escaped),
		cmocka_unit_test(json_text_is_quoted),
		cmocka_unit_test(B15_B16_cidrs_read_as_kubernetes_reads_them),
		cmocka_unit_test(bad_addresses_are_refused),
		cmocka_unit_test(B17_v4_mapped_blocks_are_known),
		cmocka_unit_test(address_arithmetic_knows_the_ends),
		cmocka_unit_test(cidr_relations),
		cmocka_unit_test(files_are_all_or_nothing),
		cmocka_unit_test(folders_are_made_with_parents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
