// SPDX-License-Identifier: Apache-2.0
/* yaml_out.c - block style for what holds something, JSON for what is empty or a value. */
#include "tests/prove/yaml_out.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static void put_value(struct rs_strbuf *b, json_object *o, int indent);

/* A word that no reader of YAML takes for anything but a string. */
static bool is_plain(const char *s)
{
	static const char *const taken[] = { "null", "true", "false", "yes", "no",
					     "on",   "off",  "y",     "n" };
	size_t i;

	if (!isalpha((unsigned char)*s))
		return false;
	for (i = 0; s[i]; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr("_./-", s[i]))
			return false;
	for (i = 0; i < RS_ARRAY_SIZE(taken); i++)
		if (strcasecmp(s, taken[i]) == 0)
			return false;
	return true;
}

static void put_string(struct rs_strbuf *b, const char *s)
{
	if (is_plain(s))
		rs_strbuf_puts(b, s);
	else
		rs_strbuf_put_json(b, s);
}

static bool is_full(json_object *o)
{
	return (json_object_is_type(o, json_type_object) && json_object_object_length(o)) ||
	       (json_object_is_type(o, json_type_array) && json_object_array_length(o));
}

static void put_spaces(struct rs_strbuf *b, int n)
{
	rs_strbuf_printf(b, "%*s", n, "");
}

/* The first member stands where the cursor is, the others below it. */
static void put_object(struct rs_strbuf *b, json_object *o, int indent)
{
	bool first = true;

	json_object_object_foreach(o, key, value)
	{
		if (!first)
			put_spaces(b, indent);
		first = false;
		put_string(b, key);
		rs_strbuf_putc(b, ':');
		if (is_full(value)) {
			rs_strbuf_putc(b, '\n');
			put_spaces(b, indent + 2);
			put_value(b, value, indent + 2);
		} else {
			rs_strbuf_putc(b, ' ');
			put_value(b, value, indent);
		}
	}
}

static void put_list(struct rs_strbuf *b, json_object *o, int indent)
{
	for (size_t i = 0; i < json_object_array_length(o); i++) {
		if (i)
			put_spaces(b, indent);
		rs_strbuf_puts(b, "- ");
		put_value(b, json_object_array_get_idx(o, i), indent + 2);
	}
}

static void put_value(struct rs_strbuf *b, json_object *o, int indent)
{
	if (is_full(o)) {
		if (json_object_is_type(o, json_type_object))
			put_object(b, o, indent);
		else
			put_list(b, o, indent);
		return;
	}
	if (json_object_is_type(o, json_type_string))
		put_string(b, json_object_get_string(o));
	else
		rs_strbuf_puts(b, o ? json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN)
				    : "null");
	rs_strbuf_putc(b, '\n');
}

void pv_yaml_put(struct rs_strbuf *b, json_object *o)
{
	put_value(b, o, 0);
}
