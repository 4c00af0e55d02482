// SPDX-License-Identifier: Apache-2.0
/* test_apisplit.c - the splitter of API answers: every text at every cut gives the same objects. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "source/apisplit.h"

/* What came out: the values, one a line, and the rest behind a '#'. */
struct seen {
	struct rs_strbuf text;
	int fail_at; /* this call fails, counted from 1; 0: none */
	int calls;
};

static int take(void *arg, enum rs_split_part part, const char *text, size_t len,
		struct rs_err *err)
{
	struct seen *s = arg;

	if (++s->calls == s->fail_at)
		return rs_err_set(err, EBADMSG, "refused by its taker");
	if (part == RS_SPLIT_REST)
		rs_strbuf_putc(&s->text, '#');
	rs_strbuf_add(&s->text, text, len);
	rs_strbuf_putc(&s->text, '\n');
	return 0;
}

/* Feed text in two pieces, cut at `cut`, each piece in memory of its own size. */
static int feed(enum rs_split_form form, const char *text, size_t len, size_t cut,
		struct seen *seen, struct rs_err *err)
{
	struct rs_split *s = rs_split_new(form, take, seen);
	rs_autofree char *a = rs_memdup(text, cut ? cut : 1);
	rs_autofree char *b = rs_memdup(text + cut, len - cut ? len - cut : 1);
	int rc = rs_split_feed(s, a, cut, err);

	if (rc == 0)
		rc = rs_split_feed(s, b, len - cut, err);
	if (rc == 0)
		rc = rs_split_end(s, err);
	rs_split_free(s);
	return rc;
}

static void expect_n(enum rs_split_form form, const char *text, size_t len, const char *out,
		     const char *error)
{
	size_t cut;

	for (cut = 0; cut <= len; cut++) {
		struct seen seen = { 0 };
		rs_auto_err err = { 0 };
		int rc = feed(form, text, len, cut, &seen, &err);

		if ((rc < 0) != (error != NULL))
			fail_msg("cut at %zu of %s: %d %s", cut, text, rc, rs_err_str(&err));
		if (error && !strstr(rs_err_str(&err), error))
			fail_msg("cut at %zu of %s: \"%s\"", cut, text, rs_err_str(&err));
		if (out && strcmp(rs_strbuf_str(&seen.text), out))
			fail_msg("cut at %zu of %s: got \"%s\"", cut, text,
				 rs_strbuf_str(&seen.text));
		rs_strbuf_free(&seen.text);
	}
}

static void expect(enum rs_split_form form, const char *text, const char *out, const char *error)
{
	expect_n(form, text, strlen(text), out, error);
}

static void streams_at_every_cut(void **state)
{
	(void)state;
	expect(RS_SPLIT_STREAM, "", "", NULL);
	expect(RS_SPLIT_STREAM, " \r\n\t", "", NULL);
	expect(RS_SPLIT_STREAM, "{}{}\n{\"a\":1}", "{}\n{}\n{\"a\":1}\n", NULL);
	expect(RS_SPLIT_STREAM, "{\"a\":\"}\\\"{\\\\\"}{\"b\":[{\"c\":[]}]}",
	       "{\"a\":\"}\\\"{\\\\\"}\n{\"b\":[{\"c\":[]}]}\n", NULL);
	expect(RS_SPLIT_STREAM, "{\"\xe2\x98\x83\":\"\xf0\x9f\x90\x89\"}",
	       "{\"\xe2\x98\x83\":\"\xf0\x9f\x90\x89\"}\n", NULL);
}

static void bad_streams_at_every_cut_XB12(void **state)
{
	(void)state;
	expect(RS_SPLIT_STREAM, "{", "", "ends in the middle");
	expect(RS_SPLIT_STREAM, "{}{\"a\":\"", "{}\n", "ends in the middle");
	expect(RS_SPLIT_STREAM, "{}]", "{}\n", "byte 0x5d");
	expect(RS_SPLIT_STREAM, "[{}]", "", "byte 0x5b");
	expect(RS_SPLIT_STREAM, "{]", "", "another bracket");
	expect(RS_SPLIT_STREAM, "{\"a\":[}", "", "another bracket");
	expect(RS_SPLIT_STREAM, "{} null", "{}\n", "byte 0x6e");
	expect(RS_SPLIT_STREAM, "{\xff}", "", "byte 0xff");
	expect_n(RS_SPLIT_STREAM, "{\0}", 3, "", "byte 0x00");
}

static void lists_at_every_cut(void **state)
{
	(void)state;
	expect(RS_SPLIT_LIST,
	       "{\"kind\":\"L\",\"items\":[{\"a\":1} , {\"b\":[2,{}]}],\"x\":{\"items\":[3]}}\n",
	       "{\"a\":1}\n{\"b\":[2,{}]}\n#{\"kind\":\"L\",\"items\":[],\"x\":{\"items\":[3]}}\n",
	       NULL);
	expect(RS_SPLIT_LIST, "{\"items\" : [ ] }", "#{\"items\" : [] }\n", NULL);
	expect(RS_SPLIT_LIST, "{\"items\":null,\"a\":[1]}", "#{\"items\":null,\"a\":[1]}\n", NULL);
	expect(RS_SPLIT_LIST, "{\"kind\":\"items\",\"b\":[1]}", "#{\"kind\":\"items\",\"b\":[1]}\n",
	       NULL);
	/* A name written otherwise is not found: its taker sees items in the rest, and refuses. */
	expect(RS_SPLIT_LIST, "{\"\\u0069tems\":[{}]}", "#{\"\\u0069tems\":[{}]}\n", NULL);
	expect(RS_SPLIT_LIST, "{\"items\":{\"a\":[{}]}}", "#{\"items\":{\"a\":[{}]}}\n", NULL);
	expect(RS_SPLIT_LIST, "{}", "#{}\n", NULL);
}

static void bad_lists_at_every_cut_XB12(void **state)
{
	(void)state;
	expect(RS_SPLIT_LIST, "", "", "ends in the middle");
	expect(RS_SPLIT_LIST, "{\"items\":[{}", "{}\n", "ends in the middle");
	expect(RS_SPLIT_LIST, "{\"items\":[{}]", "{}\n", "ends in the middle");
	expect(RS_SPLIT_LIST, "{\"items\":[{},]}", "{}\n", "an object is expected");
	expect(RS_SPLIT_LIST, "{\"items\":[,{}]}", "", "an object is expected");
	expect(RS_SPLIT_LIST, "{\"items\":[{}{}]}", "{}\n", "',' or ']'");
	expect(RS_SPLIT_LIST, "{\"items\":[null]}", "", "an object is expected");
	expect(RS_SPLIT_LIST, "{\"items\":[{}],\"items\":[]}", "{}\n", "two fields");
	expect(RS_SPLIT_LIST, "{}{}", "#{}\n", "the list has ended");
	expect(RS_SPLIT_LIST, "[]", "", "a list is expected");
}

static void its_taker_can_refuse(void **state)
{
	struct seen seen = { .fail_at = 2 };
	rs_auto_err err = { 0 };

	(void)state;
	assert_int_equal(feed(RS_SPLIT_STREAM, "{}{}{}", 6, 3, &seen, &err), -EBADMSG);
	assert_int_equal(seen.calls, 2);
	assert_string_equal(rs_err_str(&err), "refused by its taker");
	rs_strbuf_free(&seen.text);
}

static int fill(struct rs_split *s, size_t n, struct rs_err *err)
{
	rs_autofree char *block = rs_calloc(1, RS_MIB);
	int rc = 0;

	memset(block, 'x', RS_MIB);
	for (; n && rc == 0; n -= n < RS_MIB ? n : RS_MIB)
		rc = rs_split_feed(s, block, n < RS_MIB ? n : RS_MIB, err);
	return rc;
}

static void bounds_hold_XB12(void **state)
{
	struct seen seen = { 0 };
	struct rs_split *s = rs_split_new(RS_SPLIT_STREAM, take, &seen);
	rs_auto_err err = { 0 };
	size_t i;

	(void)state;
	/* {"a":" ... "} of just the bound */
	assert_int_equal(rs_split_feed(s, "{\"a\":\"", 6, &err), 0);
	assert_int_equal(fill(s, RS_SPLIT_MAX_OBJECT - 8, &err), 0);
	assert_int_equal(rs_split_feed(s, "\"}", 2, &err), 0);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(rs_split_feed(s, "{\"a\":\"", 6, &err), 0);
	assert_int_equal(fill(s, RS_SPLIT_MAX_OBJECT - 7, &err), 0);
	assert_int_equal(rs_split_feed(s, "\"}", 2, &err), -EFBIG);
	rs_split_free(s);
	s = rs_split_new(RS_SPLIT_LIST, take, &seen);
	assert_int_equal(rs_split_feed(s, "{\"a\":\"", 6, &err), 0);
	assert_int_equal(fill(s, RS_SPLIT_MAX_REST, &err), -EFBIG);
	rs_split_free(s);
	s = rs_split_new(RS_SPLIT_STREAM, take, &seen);
	for (i = 0; i < 128; i++)
		assert_int_equal(rs_split_feed(s, i ? "[" : "{", 1, &err), 0);
	assert_int_equal(rs_split_feed(s, "[", 1, &err), -EFBIG);
	rs_split_free(s);
	rs_strbuf_free(&seen.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams_at_every_cut),
		cmocka_unit_test(bad_streams_at_every_cut_XB12),
		cmocka_unit_test(lists_at_every_cut),
		cmocka_unit_test(bad_lists_at_every_cut_XB12),
		cmocka_unit_test(its_taker_can_refuse),
		cmocka_unit_test(bounds_hold_XB12),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
