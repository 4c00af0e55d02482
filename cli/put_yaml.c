// SPDX-License-Identifier: Apache-2.0
/* put_yaml.c - objects as YAML. */
#include "cli/put_yaml.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Words that a reader of YAML 1.1 or 1.2 takes for something else than text. */
static bool is_word_of_yaml(const char *s)
{
	static const char *const words[] = { "y",   "n",    "yes",   "no",  "on",
					     "off", "true", "false", "null" };
	size_t i;

	for (i = 0; i < RS_ARRAY_SIZE(words); i++)
		if (!strcasecmp(s, words[i]))
			return true;
	return false;
}

/* Text that means itself without quotes. Stricter than it need be: what begins with a digit, a dot
 * or a sign may be a number, a time or a date, and nobody misreads a quoted string. */
static bool is_plain(const char *s)
{
	size_t i;

	if (!isalpha((unsigned char)s[0]) && s[0] != '/' && s[0] != '_')
		return false;
	for (i = 1; s[i]; i++) {
		if (s[i] == ' ' && s[i + 1] && !strchr(" #", s[i + 1]))
			continue;
		if (s[i] == ':' && s[i + 1] && s[i + 1] != ' ')
			continue;
		if (!isalnum((unsigned char)s[i]) && !strchr("_-./=+()[],;<>@$*", s[i]))
			return false;
	}
	return !is_word_of_yaml(s);
}

static void put_text(struct rs_strbuf *b, struct json_object *o)
{
	const char *s = json_object_get_string(o);

	if (is_plain(s))
		rs_strbuf_puts(b, s);
	else
		cli_put_json_text(b, o, JSON_C_TO_STRING_PLAIN);
}

static void put_value(struct rs_strbuf *b, struct json_object *o, size_t depth, bool in_item);

static void indent(struct rs_strbuf *b, size_t depth)
{
	while (depth--)
		rs_strbuf_puts(b, "  ");
}

/* A key that is longer than YAML's limit of 1024 for one on its value's line is announced by "?". */
static void put_key(struct rs_strbuf *b, const char *key, size_t depth)
{
	rs_autojson struct json_object *o = json_object_new_string(key);
	rs_auto_strbuf text = { 0 };

	put_text(&text, o);
	if (text.len > 1000)
		rs_strbuf_puts(b, "? ");
	rs_strbuf_puts(b, text.s);
	if (text.len > 1000) {
		rs_strbuf_putc(b, '\n');
		indent(b, depth);
	}
	rs_strbuf_putc(b, ':');
}

/* The first member of an object that is an item of a list stands behind its dash. */
static void put_members(struct rs_strbuf *b, struct json_object *o, size_t depth, bool in_item)
{
	struct json_object_iterator it = json_object_iter_begin(o), end = json_object_iter_end(o);
	bool first = true;

	for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
		if (!first || !in_item)
			indent(b, depth);
		first = false;
		put_key(b, json_object_iter_peek_name(&it), depth);
		put_value(b, json_object_iter_peek_value(&it), depth + 1, false);
	}
}

static void put_items(struct rs_strbuf *b, struct json_object *a, size_t depth, bool in_item)
{
	size_t i, n = json_object_array_length(a);

	for (i = 0; i < n; i++) {
		if (i || !in_item)
			indent(b, depth);
		rs_strbuf_putc(b, '-');
		put_value(b, json_object_array_get_idx(a, i), depth + 1, true);
	}
}

static void put_scalar(struct rs_strbuf *b, struct json_object *o)
{
	rs_strbuf_putc(b, ' ');
	if (json_object_is_type(o, json_type_string))
		put_text(b, o);
	else if (json_object_is_type(o, json_type_object))
		rs_strbuf_puts(b, "{}");
	else if (json_object_is_type(o, json_type_array))
		rs_strbuf_puts(b, "[]");
	else
		cli_put_json_text(b, o, JSON_C_TO_STRING_PLAIN);
	rs_strbuf_putc(b, '\n');
}

/* What stands behind "key:" or "-", to the end of its line or of its block. */
static void put_value(struct rs_strbuf *b, struct json_object *o, size_t depth, bool in_item)
{
	bool object = json_object_is_type(o, json_type_object) && json_object_object_length(o);
	bool array = json_object_is_type(o, json_type_array) && json_object_array_length(o);

	if (!object && !array) {
		put_scalar(b, o);
		return;
	}
	rs_strbuf_putc(b, in_item ? ' ' : '\n');
	if (object)
		put_members(b, o, depth, in_item);
	else
		put_items(b, o, depth, in_item);
}

void cli_put_yaml(struct rs_strbuf *b, struct json_object *o)
{
	if (json_object_is_type(o, json_type_object) && json_object_object_length(o))
		put_members(b, o, 0, false);
	else if (json_object_is_type(o, json_type_array) && json_object_array_length(o))
		put_items(b, o, 0, false);
	else
		put_scalar(b, o);
}
