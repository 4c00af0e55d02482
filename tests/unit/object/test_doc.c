// SPDX-License-Identifier: Apache-2.0
/* test_doc.c - texts to document trees: positions, scalars, budgets, hostile input. */
#include "decode_try.h"

#include "object/doc.h"

/* Open, read the first document; what must be refused is compared with message. */
static struct rs_doc_reader *open_one(const char *text, size_t len, enum rs_doc_format format,
				      bool unique, const struct rs_doc_node **root,
				      const char *message)
{
	struct rs_doc_reader *r = NULL;
	rs_auto_err err = { 0 };
	int rc = rs_doc_open("f", text, len, format, unique, &r, &err);

	while (rc == 0) {
		rc = rs_doc_next(r, root, &err);
		if (rc <= 0 || !message)
			break;
		rc = 0;
	}
	if (message)
		assert_string_equal(rs_err_str(&err), message);
	else if (rc < 0)
		fail_msg("refused: %s", rs_err_str(&err));
	return r;
}

static void refused(const char *text, enum rs_doc_format format, const char *message)
{
	const struct rs_doc_node *root;

	rs_doc_close(open_one(text, strlen(text), format, true, &root, message));
}

static void expect_scalar(const char *plain, enum rs_doc_type type, int64_t integer)
{
	rs_autofree char *text = rs_asprintf("- %s\n", plain);
	const struct rs_doc_node *root, *node;
	struct rs_doc_reader *r = open_one(text, strlen(text), RS_DOC_YAML, true, &root, NULL);

	node = root->items->value;
	if (node->type != type)
		fail_msg("%s is %s", plain, rs_doc_type_name(node->type));
	if (type == RS_DOC_INT)
		assert_int_equal(node->integer, integer);
	if (type == RS_DOC_BOOL)
		assert_int_equal(node->boolean, integer);
	rs_doc_close(r);
}

static void yaml_scalars_as_go_reads_them(void **state)
{
	static const char *const strings[] = { "a",	"\"80\"",     "'true'", "!!str 80", "! yes",
					       "1.2.3", "10.0.0.1",   "0x",	"0b2",	    "1e",
					       "-",	"2024-01-01", "1_a",	"nul",	    "tru",
					       "+-5",	"0xx1",	      "..5" };
	static const char *const floats[] = {
		"1.5", "-.5", "1e3", "08", "9223372036854775808", ".inf", ".NaN", "1.", "!!float 1"
	};
	size_t i;

	(void)state;
	for (i = 0; i < RS_ARRAY_SIZE(strings); i++)
		if (strcmp(strings[i], "-"))
			expect_scalar(strings[i], RS_DOC_STRING, 0);
	for (i = 0; i < RS_ARRAY_SIZE(floats); i++)
		expect_scalar(floats[i], RS_DOC_FLOAT, 0);
	expect_scalar("", RS_DOC_NULL, 0);
	expect_scalar("~", RS_DOC_NULL, 0);
	expect_scalar("Null", RS_DOC_NULL, 0);
	expect_scalar("yes", RS_DOC_BOOL, 1);
	expect_scalar("y", RS_DOC_BOOL, 1);
	expect_scalar("off", RS_DOC_BOOL, 0);
	expect_scalar("!!bool \"True\"", RS_DOC_BOOL, 1);
	expect_scalar("0", RS_DOC_INT, 0);
	expect_scalar("012", RS_DOC_INT, 10);
	expect_scalar("0o12", RS_DOC_INT, 10);
	expect_scalar("0x1F", RS_DOC_INT, 31);
	expect_scalar("-0b11", RS_DOC_INT, -3);
	expect_scalar("+5", RS_DOC_INT, 5);
	expect_scalar("1_000", RS_DOC_INT, 1000);
	expect_scalar("9223372036854775807", RS_DOC_INT, INT64_MAX);
	expect_scalar("-9223372036854775808", RS_DOC_INT, INT64_MIN);
	expect_scalar("!!int \"7\"", RS_DOC_INT, 7);
}

static void yaml_positions_count_characters(void **state)
{
	static const char text[] = "# c\n\"\xc3\xa9\xe2\x82\xac\": {k: [v, w]}\n";
	const struct rs_doc_node *root;
	struct rs_doc_reader *r = open_one(text, strlen(text), RS_DOC_YAML, true, &root, NULL);
	const struct rs_doc_node *list = root->items->value->items->value;

	(void)state;
	assert_int_equal(root->pos.line, 2);
	assert_int_equal(root->items->value->pos.col, 7);
	assert_int_equal(list->items->next->value->pos.col, 15);
	rs_doc_close(r);
}

static void json_positions_and_values(void **state)
{
	static const char text[] =
		" {\"\xc3\xa9\": [1, -2.5e3,\n  true, null, \"\\ud83d\\ude00\\n\\u00e9\"]}";
	const struct rs_doc_node *root, *list;
	const struct rs_doc_item *i;
	struct rs_doc_reader *r = open_one(text, strlen(text), RS_DOC_JSON, true, &root, NULL);

	(void)state;
	assert_int_equal(root->pos.col, 2);
	list = root->items->value;
	assert_int_equal(list->pos.col, 8);
	assert_int_equal(list->n, 5);
	i = list->items;
	assert_int_equal(i->value->integer, 1);
	i = i->next;
	assert_int_equal(i->value->type, RS_DOC_FLOAT);
	assert_int_equal(i->value->pos.col, 12);
	i = i->next;
	assert_true(i->value->boolean);
	assert_int_equal(i->value->pos.line, 2);
	assert_int_equal(i->value->pos.col, 3);
	i = i->next->next;
	assert_string_equal(i->value->text, "\xf0\x9f\x98\x80\n\xc3\xa9");
	rs_doc_close(r);
}

static void json_is_strict(void **state)
{
	(void)state;
	refused("{\"a\":1,}", RS_DOC_JSON,
		"f:1:8: not JSON: a key in double quotes is expected here");
	refused("[1,]", RS_DOC_JSON, "f:1:4: not JSON: a value is expected here");
	refused("[1 2]", RS_DOC_JSON, "f:1:4: not JSON: ',' or ']' is expected here");
	refused("{\"a\" 1}", RS_DOC_JSON, "f:1:6: not JSON: ':' is expected behind a key");
	refused("{a:1}", RS_DOC_JSON, "f:1:2: not JSON: a key in double quotes is expected here");
	refused("['a']", RS_DOC_JSON, "f:1:2: not JSON: a value is expected here");
	refused("[01]", RS_DOC_JSON, "f:1:4: not JSON: malformed number");
	refused("[1.]", RS_DOC_JSON, "f:1:4: not JSON: malformed number");
	refused("[nul]", RS_DOC_JSON, "f:1:2: not JSON: a value is expected here");
	refused("[\"a", RS_DOC_JSON, "f:1:4: not JSON: the text ends inside a string");
	refused("[", RS_DOC_JSON, "f:1:2: not JSON: the text ends where a value is expected");
	refused("// c\n[]", RS_DOC_JSON, "f:1:1: not JSON: a value is expected here");
	refused("[] x", RS_DOC_JSON, "f:1:4: not JSON: a value is expected here");
	refused("[\"\t\"]", RS_DOC_JSON, "f:1:3: not JSON: a control character in a string");
	refused("[\"\\x\"]", RS_DOC_JSON, "f:1:4: not JSON: unknown escape in a string");
	refused("[\"\\ud83d\"]", RS_DOC_JSON, "f:1:9: not JSON: half of a surrogate pair");
	refused("[\"\\ude00\"]", RS_DOC_JSON, "f:1:9: not JSON: half of a surrogate pair");
}

static void XB12_bytes_that_are_no_text(void **state)
{
	static const char *const bad_utf8[] = { "\xff",		"\xc0\x80",
						"\xed\xa0\x80", "\xf4\x90\x80\x80",
						"\xe2\x82",	"\x80" };
	const struct rs_doc_node *root;
	size_t i;

	(void)state;
	for (i = 0; i < RS_ARRAY_SIZE(bad_utf8); i++) {
		rs_autofree char *json = rs_asprintf("[\n\"%s\"]", bad_utf8[i]);
		rs_auto_err err = { 0 };
		struct rs_doc_reader *r = NULL;

		refused(json, RS_DOC_JSON, "f:2:2: not JSON: a string is not UTF-8");
		assert_int_equal(rs_doc_open("f", json, strlen(json), RS_DOC_YAML, true, &r, &err),
				 0);
		assert_true(rs_doc_next(r, &root, &err) < 0);
		rs_doc_close(r);
	}
	refused("[\"a\\u0000\"]", RS_DOC_JSON, "f:1:10: not JSON: a string holds a NUL character");
	refused("- \"a\\0\"\n", RS_DOC_YAML, "f:1:3: a string holds a NUL character");
	rs_doc_close(open_one("[\"a\0b\"]", 7, RS_DOC_JSON, true, &root,
			      "f:1:4: not JSON: a control character in a string"));
}

static void G5_duplicate_keys(void **state)
{
	static const char text[] = "{\"a\":1,\"b\":2,\n\"a\":3}";
	const struct rs_doc_node *root;
	struct rs_doc_reader *r;

	(void)state;
	refused(text, RS_DOC_JSON, "f:2:1: \"a\" is given twice, first in line 1");
	refused("a: 1\nb: 2\na: 3\n", RS_DOC_YAML, "f:3:1: \"a\" is given twice, first in line 1");
	r = open_one(text, strlen(text), RS_DOC_JSON, false, &root, NULL);
	assert_int_equal(root->n, 2);
	assert_int_equal(rs_doc_get(root, "a")->value->integer, 3);
	assert_int_equal(rs_doc_get(root, "b")->value->integer, 2);
	rs_doc_close(r);
}

static void G4_many_keys_are_checked_fast(void **state)
{
	rs_auto_strbuf b = { 0 };
	int i;

	(void)state;
	rs_strbuf_putc(&b, '{');
	for (i = 0; i < 200000; i++)
		rs_strbuf_printf(&b, "\"k%d\":0,", i);
	rs_strbuf_puts(&b, "\n\"k7\":1}");
	refused(rs_strbuf_str(&b), RS_DOC_JSON, "f:2:1: \"k7\" is given twice, first in line 1");
}

static char *repeat(const char *s, size_t n)
{
	rs_auto_strbuf b = { 0 };

	while (n--)
		rs_strbuf_puts(&b, s);
	return rs_strbuf_steal(&b);
}

static void XG5_depth_budget(void **state)
{
	rs_autofree char *open = repeat("[", 64), *shut = repeat("]", 64);
	rs_autofree char *good = rs_asprintf("%s%s", open, shut);
	rs_autofree char *bad = rs_asprintf("[%s%s]", open, shut);
	rs_autofree char *map = repeat("{\"a\":", 65);
	rs_autofree char *huge = repeat("[{\"a\":", RS_DOC_MAX_BYTES / 6);
	const struct rs_doc_node *root;

	(void)state;
	rs_doc_close(open_one(good, strlen(good), RS_DOC_JSON, true, &root, NULL));
	rs_doc_close(open_one(good, strlen(good), RS_DOC_YAML, true, &root, NULL));
	refused(bad, RS_DOC_JSON, "f:1:65: nested more than 64 levels deep");
	refused(bad, RS_DOC_YAML, "f:1:65: nested more than 64 levels deep");
	refused(map, RS_DOC_JSON, "f:1:321: nested more than 64 levels deep");
	refused(huge, RS_DOC_JSON, "f:1:193: nested more than 64 levels deep");
	refused(huge, RS_DOC_YAML, "f:1:193: nested more than 64 levels deep");
}

static void XG5_byte_budget(void **state)
{
	size_t len = 50 * RS_MIB;
	rs_autofree char *text = rs_calloc(1, len);
	struct rs_doc_reader *r = NULL;
	rs_auto_err err = { 0 };

	(void)state;
	memset(text, '[', len);
	assert_true(rs_doc_open("f", text, len, RS_DOC_JSON, true, &r, &err) < 0);
	assert_null(r);
	assert_string_equal(rs_err_str(&err),
			    "f: 52428800 bytes are more than a text may have (16777216)");
}

static void XG5_node_budget(void **state)
{
	rs_autofree char *items = repeat("0,", RS_DOC_MAX_NODES);
	rs_autofree char *text = rs_asprintf("[%s0]", items);
	rs_autofree char *many = repeat("[]\n", RS_DOC_MAX_NODES + 1);

	(void)state;
	refused(text, RS_DOC_JSON, "f:1:4000000: too many nodes: more than 2000000 in one text");
	/* Many small documents count together. */
	refused(many, RS_DOC_JSON, "f:2000001:1: too many nodes: more than 2000000 in one text");
}

static void XG5_alias_bomb(void **state)
{
	static const char bomb[] = "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
				   "b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
				   "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
				   "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
				   "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n";
	rs_auto_strbuf deep = { 0 };
	int i;

	(void)state;
	refused(bomb, RS_DOC_YAML,
		"f:4:32: too many nodes: aliases expand this text beyond measure");
	rs_strbuf_puts(&deep, "- &a0 [x]\n");
	for (i = 1; i < 70; i++)
		rs_strbuf_printf(&deep, "- &a%d [*a%d]\n", i, i - 1);
	refused(rs_strbuf_str(&deep), RS_DOC_YAML, "f:64:9: nested more than 64 levels deep");
}

static void XG5_tag_directives(void **state)
{
	rs_auto_strbuf b = { 0 };
	int i;

	(void)state;
	for (i = 0; i < 200000; i++)
		rs_strbuf_printf(&b, "%%TAG !a%d! tag:x%d\n", i, i);
	rs_strbuf_puts(&b, "--- a\n");
	refused(rs_strbuf_str(&b), RS_DOC_YAML, "f:65:1: more than 64 %TAG directives");
}

static void yaml_aliases(void **state)
{
	static const char text[] = "base: &b {k: [1]}\nuse: *b\nkeys: {&k name: 1, other: *k}\n";
	const struct rs_doc_node *root;
	struct rs_doc_reader *r = open_one(text, strlen(text), RS_DOC_YAML, true, &root, NULL);

	(void)state;
	assert_ptr_equal(rs_doc_get(root, "use")->value, rs_doc_get(root, "base")->value);
	assert_string_equal(rs_doc_get(rs_doc_get(root, "keys")->value, "other")->value->text,
			    "name");
	rs_doc_close(r);
	refused("a: *nope\n", RS_DOC_YAML, "f:1:4: alias *nope has no anchor above it");
	refused("a: &a [*a]\n", RS_DOC_YAML, "f:1:8: alias *a stands inside its own anchor");
	refused("a: &a x\n---\nb: *a\n", RS_DOC_YAML, "f:3:4: alias *a has no anchor above it");
	refused("x: &b {a: 1}\nz:\n  <<: *b\n", RS_DOC_YAML,
		"f:3:3: merge keys (<<) are not supported: write the fields out");
}

static void yaml_oddities_are_refused(void **state)
{
	(void)state;
	refused("{a: 1}: b\n", RS_DOC_YAML, "f:1:1: not YAML: a key must be a string");
	refused("true: b\n", RS_DOC_YAML,
		"f:1:1: the key true is read as a bool: put it in quotes");
	refused("012: b\n", RS_DOC_YAML,
		"f:1:1: the key 012 is read as a number: put it in quotes");
	refused("a: !!binary aGk=\n", RS_DOC_YAML,
		"f:1:4: the tag tag:yaml.org,2002:binary does not fit aGk=");
	refused("a: !!int x\n", RS_DOC_YAML, "f:1:4: the tag tag:yaml.org,2002:int does not fit x");
	refused("a: !foo [x]\n", RS_DOC_YAML, "f:1:4: the tag !foo does not fit a list");
	refused("a: b\n  c: d: e\n", RS_DOC_YAML,
		"f:2:4: not YAML: mapping values are not allowed in this context");
	refused("a: 'b\n", RS_DOC_YAML,
		"f:2:1: not YAML: found unexpected end of stream while scanning a quoted scalar "
		"that "
		"begins in line 1");
}

static void templates_are_named(void **state)
{
	(void)state;
	refused("a: b\n---\n# {{ fine }}\nkind: X\nname: {{ .Values.x }}\n", RS_DOC_YAML,
		"f:5:7: template text (\"{{\") is not YAML; reading stopped at 5:8: a key must be "
		"a "
		"string");
	refused("kind: X\n{{- if .Values.on }}\na: b\n", RS_DOC_YAML,
		"f:2:1: template text (\"{{\") is not YAML; reading stopped at 3:1: could not "
		"find expected ':' while scanning a simple key that begins in line 2");
	try_bad("apiVersion: v1\nkind: Pod\nmetadata: {name: \"{{ .n }}\"}\n", false,
		"f:3:18: Pod: metadata.name: \"{{ .n }}\" is template text: render it first (helm "
		"template)");
}

static void empty_texts_are_fine(void **state)
{
	static const char *const texts[] = { "",   "\n", "# c\n", "---\n", "---\n# c\n---\n...\n",
					     "~\n" };
	size_t i;

	(void)state;
	for (i = 0; i < RS_ARRAY_SIZE(texts); i++)
		rs_store_free(try_good(texts[i], false, RS_ADMIT_STRICT));
	rs_store_free(try_good("", true, RS_ADMIT_STRICT));
	rs_store_free(try_good(" \n", true, RS_ADMIT_STRICT));
	rs_store_free(try_good("\xef\xbb\xbf# c\n", false, RS_ADMIT_STRICT));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(yaml_scalars_as_go_reads_them),
		cmocka_unit_test(yaml_positions_count_characters),
		cmocka_unit_test(json_positions_and_values),
		cmocka_unit_test(json_is_strict),
		cmocka_unit_test(G4_many_keys_are_checked_fast),
		cmocka_unit_test(G5_duplicate_keys),
		cmocka_unit_test(XB12_bytes_that_are_no_text),
		cmocka_unit_test(XG5_depth_budget),
		cmocka_unit_test(XG5_byte_budget),
		cmocka_unit_test(XG5_node_budget),
		cmocka_unit_test(XG5_alias_bomb),
		cmocka_unit_test(XG5_tag_directives),
		cmocka_unit_test(yaml_aliases),
		cmocka_unit_test(yaml_oddities_are_refused),
		cmocka_unit_test(templates_are_named),
		cmocka_unit_test(empty_texts_are_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
