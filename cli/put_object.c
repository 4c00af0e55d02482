// SPDX-License-Identifier: Apache-2.0
/* put_object.c - an object as it is, for programs: JSON, JSON Lines, YAML, names. */
#include "cli/cli.h"

#include <string.h>

#include "cli/put_yaml.h"

/* ---- JSON ------------------------------------------------------------------------------------ */

/* Two and three byte sequences that a terminal may act on: DEL and C1, and the marks and overrides
 * of direction. json-c has written what is below 0x20 as escapes already. */
static unsigned int steering(const unsigned char *p, size_t *len)
{
	unsigned int cp;

	*len = 1;
	if (p[0] == 0x7f)
		return 0x7f;
	if ((p[0] & 0xe0) == 0xc0 && p[1]) {
		*len = 2;
		cp = (p[0] & 0x1fu) << 6 | (p[1] & 0x3f);
		return (cp >= 0x80 && cp <= 0x9f) || cp == 0x61c ? cp : 0;
	}
	if ((p[0] & 0xf0) == 0xe0 && p[1] && p[2]) {
		*len = 3;
		cp = (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3f);
		return (cp >= 0x200b && cp <= 0x200f) || (cp >= 0x2028 && cp <= 0x202e) ||
				       (cp >= 0x2060 && cp <= 0x206f) || cp == 0xfeff ||
				       cp >= 0xfffe
			       ? cp
			       : 0;
	}
	return 0;
}

void cli_put_json_text(struct rs_strbuf *b, struct json_object *o, int flags)
{
	const char *text =
		json_object_to_json_string_ext(o, flags | JSON_C_TO_STRING_NOSLASHESCAPE);
	const unsigned char *p = (const unsigned char *)text;

	while (p && *p) {
		size_t len;
		unsigned int cp = steering(p, &len);

		if (cp)
			rs_strbuf_printf(b, "\\u%04x", cp);
		else
			rs_strbuf_add(b, p, len);
		p += len;
	}
}

static void put_json(struct cli_run *r, struct json_object *o)
{
	cli_put_json_text(&r->out, o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED);
	cli_put(r, "\n");
}

/* Several documents follow each other with -w. */
static void put_document(struct cli_run *r, struct json_object *o)
{
	if (r->watching)
		cli_put(r, "---\n");
	cli_put_yaml(&r->out, o);
}

/* ---- item by item ---------------------------------------------------------------------------- */

static void put_line(struct cli_run *r, struct json_object *o)
{
	cli_put_json_text(&r->out, o, JSON_C_TO_STRING_PLAIN);
	cli_put(r, "\n");
}

static void put_name(struct cli_run *r, struct json_object *o)
{
	const char *ns = rs_json_text(o, "namespace", NULL), *name = rs_json_text(o, "name", NULL);

	if (!name)
		return;
	if (ns) {
		cli_put_safe(r, ns);
		cli_put(r, "/");
	}
	cli_put_safe(r, name);
	cli_put(r, "\n");
}

static bool is_list(struct json_object *o)
{
	return json_object_is_type(rs_json_get(o, "items"), json_type_array);
}

/* Items of the list of one node of many: each says whose it is. */
static void keep_node(struct json_object *item, const char *node)
{
	if (node && json_object_is_type(item, json_type_object) && !rs_json_get(item, "node") &&
	    !rs_json_get(item, "node_name"))
		rs_json_add_str(item, "node", node);
}

/* Every item; of a list of lists those of the lists. */
static void each_item(struct cli_run *r, struct json_object *o, const char *node,
		      void (*put)(struct cli_run *r, struct json_object *item))
{
	struct json_object *items = rs_json_get(o, "items");
	size_t i, n = cli_count(o, "items");

	if (!is_list(o)) {
		put(r, o);
		return;
	}
	for (i = 0; i < n; i++) {
		struct json_object *item = json_object_array_get_idx(items, i);

		if (is_list(item)) {
			each_item(r, item,
				  rs_json_text(rs_json_get(item, "metadata"), "node", NULL), put);
			continue;
		}
		keep_node(item, node);
		put(r, item);
	}
}

/* ---- the front ------------------------------------------------------------------------------- */

bool cli_wants_object(const struct cli_run *r)
{
	return CLI_FORM(r->opt.output) & (CLI_FORMS_OBJECT | CLI_FORM(CLI_NAME));
}

void cli_put_object(struct cli_run *r, struct json_object *o)
{
	if (r->list)
		json_object_array_add(r->list, json_object_get(o));
	else if (r->opt.output == CLI_JSONL)
		each_item(r, o, NULL, put_line);
	else if (r->opt.output == CLI_NAME)
		each_item(r, o, NULL, put_name);
	else if (r->opt.output == CLI_YAML)
		put_document(r, o);
	else if (r->watching)
		put_line(r, o);
	else
		put_json(r, o);
}
