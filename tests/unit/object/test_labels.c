// SPDX-License-Identifier: Apache-2.0
/* test_labels.c - sets of labels, their text forms, and the names Kubernetes allows. */
#include "decode_try.h"

#include "object/syntax.h"

static void labels_stay_sorted_and_unique(void **state)
{
	struct rs_labels l = { 0 }, copy;

	(void)state;
	rs_labels_set(&l, "b", "1");
	rs_labels_set(&l, "a", "");
	rs_labels_set(&l, "c", "3");
	rs_labels_set(&l, "b", "2");
	assert_int_equal(l.n, 3);
	assert_string_equal(l.v[0].key, "a");
	assert_string_equal(l.v[2].key, "c");
	assert_string_equal(rs_labels_get(&l, "b"), "2");
	assert_string_equal(rs_labels_get(&l, "a"), "");
	assert_null(rs_labels_get(&l, "A"));
	copy = rs_labels_copy(&l);
	assert_true(rs_labels_equal(&l, &copy));
	rs_labels_set(&copy, "a", "x");
	assert_false(rs_labels_equal(&l, &copy));
	rs_labels_free(&copy);
	rs_labels_free(&l);
	assert_int_equal(l.n, 0);
}

/* Setting a label from its own value must not read what was freed. */
static void set_from_itself(void **state)
{
	struct rs_labels l = { 0 };

	(void)state;
	rs_labels_set(&l, "a", "x");
	rs_labels_set(&l, "a", rs_labels_get(&l, "a"));
	assert_string_equal(rs_labels_get(&l, "a"), "x");
	rs_labels_free(&l);
}

static void parse_good(const char *text, char sep, const char *expect)
{
	struct rs_labels l = { 0 };
	rs_auto_err err = { 0 };
	rs_autofree char *str = NULL;

	if (rs_labels_parse(text, sep, &l, &err) < 0)
		fail_msg("%s: %s", text, rs_err_str(&err));
	str = rs_labels_str(&l);
	assert_string_equal(str, expect);
	rs_labels_free(&l);
}

static void parse_bad(const char *text, char sep, const char *message)
{
	struct rs_labels l = { 0 };
	rs_auto_err err = { 0 };

	assert_true(rs_labels_parse(text, sep, &l, &err) < 0);
	assert_string_equal(rs_err_str(&err), message);
	assert_null(l.v);
}

static void labels_from_text(void **state)
{
	(void)state;
	parse_good("", ':', "");
	parse_good("tier:be,app:web", ':', "app=web,tier=be");
	parse_good("a.b/c=x,d=", '=', "a.b/c=x,d=");
	parse_bad("app", ':', "\"app\" is not a label (KEY:VALUE)");
	parse_bad("app=web", ':', "\"app=web\" is not a label (KEY:VALUE)");
	parse_bad("a:b,", ':', "the list of labels ends with a comma");
	parse_bad(",a:b", ':', "\"\" is not a label (KEY:VALUE)");
	parse_bad("a:b,a:c", ':', "label a is given twice");
	parse_bad(
		"a:b:c", ':',
		"value \"b:c\" of label a is not a label value (letters, digits, '-', '_' and '.' "
		"inside)");
	parse_bad(" a:b", ':',
		  "label key \" a\" is not a label key (letters, digits, '-', '_' and '.' inside)");
	parse_bad(
		"a:\x1b[2J", ':',
		"value \"\\x1b[2J\" of label a is not a label value (letters, digits, '-', '_' and "
		"'.' inside)");
}

static void label_syntax(void **state)
{
	char s[300];

	(void)state;
	assert_null(rs_syntax_label_key("app"));
	assert_null(rs_syntax_label_key("kubernetes.io/metadata.name"));
	assert_null(rs_syntax_label_key("a-b.c_D"));
	assert_non_null(rs_syntax_label_key(""));
	assert_non_null(rs_syntax_label_key("/a"));
	assert_non_null(rs_syntax_label_key("a/"));
	assert_non_null(rs_syntax_label_key("a/b/c"));
	assert_non_null(rs_syntax_label_key("A.b/c"));
	assert_non_null(rs_syntax_label_key("-a"));
	assert_non_null(rs_syntax_label_key("a_"));
	assert_non_null(rs_syntax_label_key("\xc3\xa9"));
	memset(s, 'a', sizeof(s));
	s[63] = '\0';
	assert_null(rs_syntax_label_key(s));
	assert_null(rs_syntax_label_value(s));
	assert_null(rs_syntax_dns_label(s));
	s[63] = 'a';
	s[64] = '\0';
	assert_non_null(rs_syntax_label_key(s));
	assert_non_null(rs_syntax_label_value(s));
	assert_non_null(rs_syntax_dns_label(s));
	assert_null(rs_syntax_dns_subdomain(s));
	assert_null(rs_syntax_label_value(""));
	assert_non_null(rs_syntax_label_value("a b"));
	assert_non_null(rs_syntax_label_value("."));
	assert_non_null(rs_syntax_dns_subdomain("a..b"));
	assert_non_null(rs_syntax_dns_subdomain("a-.b"));
	assert_non_null(rs_syntax_dns_subdomain(""));
	assert_non_null(rs_syntax_dns_label("a.b"));
}

static void C19_port_names(void **state)
{
	(void)state;
	assert_null(rs_syntax_port_name("http"));
	assert_null(rs_syntax_port_name("p8"));
	assert_null(rs_syntax_port_name("8p"));
	assert_null(rs_syntax_port_name("abcdefghijklmno"));
	assert_non_null(rs_syntax_port_name("abcdefghijklmnop"));
	assert_non_null(rs_syntax_port_name("80"));
	assert_non_null(rs_syntax_port_name("HTTP"));
	assert_non_null(rs_syntax_port_name("a--b"));
	assert_non_null(rs_syntax_port_name("-a"));
	assert_non_null(rs_syntax_port_name("a.b"));
	assert_non_null(rs_syntax_port_name(""));
}

static void selector_text(void **state)
{
	char *v[] = { (char *)(uintptr_t) "a", (char *)(uintptr_t) "b" };
	struct rs_requirement r[] = {
		{ .key = (char *)(uintptr_t) "app", .op = RS_OP_IN, .values = v, .n_values = 1 },
		{ .key = (char *)(uintptr_t) "tier", .op = RS_OP_IN, .values = v, .n_values = 2 },
		{ .key = (char *)(uintptr_t) "t", .op = RS_OP_NOT_IN, .values = v, .n_values = 1 },
		{ .key = (char *)(uintptr_t) "x", .op = RS_OP_EXISTS },
		{ .key = (char *)(uintptr_t) "y", .op = RS_OP_NOT_EXISTS },
	};
	struct rs_selector s = { 0 };
	rs_autofree char *none = rs_selector_str(&s), *all = NULL, *full = NULL, *bad = NULL;

	(void)state;
	assert_string_equal(none, "<none>");
	s.present = true;
	all = rs_selector_str(&s);
	assert_string_equal(all, "<all>");
	s.reqs = r;
	s.n_reqs = RS_ARRAY_SIZE(r);
	full = rs_selector_str(&s);
	assert_string_equal(full, "app=a,tier in (a,b),t notin (a),x,!y");
	s.invalid = true;
	bad = rs_selector_str(&s);
	assert_string_equal(bad, "<invalid>");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(labels_stay_sorted_and_unique),
		cmocka_unit_test(set_from_itself),
		cmocka_unit_test(labels_from_text),
		cmocka_unit_test(label_syntax),
		cmocka_unit_test(C19_port_names),
		cmocka_unit_test(selector_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
