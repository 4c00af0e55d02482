// SPDX-License-Identifier: Apache-2.0
/* printer.c - the one place that makes text of objects: escapes, colours, tables, JSON. */
#include "cli/cli.h"

#include <libsmartcols.h>
#include <stdio.h>
#include <string.h>

void cli_put(struct cli_run *r, const char *text)
{
	rs_strbuf_puts(&r->out, text);
}

void cli_put_safe(struct cli_run *r, const char *text)
{
	rs_strbuf_puts_safe(&r->out, text);
}

void cli_putf(struct cli_run *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	rs_strbuf_vprintf(&r->out, fmt, ap);
	va_end(ap);
}

void cli_put_colored(struct cli_run *r, enum cli_color color, const char *text)
{
	static const char *const sgr[] = { "", "\033[32m", "\033[1;31m", "\033[33m" };

	if (!r->colored || color == CLI_PLAIN) {
		cli_put(r, text);
		return;
	}
	cli_putf(r, "%s%s\033[0m", sgr[color], text);
}

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
				       (cp >= 0x2060 && cp <= 0x206f) || cp == 0xfeff
			       ? cp
			       : 0;
	}
	return 0;
}

void cli_put_json(struct cli_run *r, struct json_object *o)
{
	const unsigned char *p;

	if (r->list) {
		json_object_array_add(r->list, json_object_get(o));
		return;
	}
	p = (const unsigned char *)json_object_to_json_string_ext(
		o,
		JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE);
	while (p && *p) {
		size_t len;
		unsigned int cp = steering(p, &len);

		if (cp)
			cli_putf(r, "\\u%04x", cp);
		else
			rs_strbuf_add(&r->out, p, len);
		p += len;
	}
	cli_put(r, "\n");
}

bool cli_wants_object(const struct cli_run *r)
{
	return CLI_FORM(r->opt.output) & CLI_FORMS_OBJECT;
}

void cli_put_object(struct cli_run *r, struct json_object *o)
{
	cli_put_json(r, o);
}

/* ---- cells ----------------------------------------------------------------------------------- */

static char *safe_or_dash(const char *text)
{
	rs_auto_strbuf b = { 0 };

	if (!text || !*text)
		return rs_strdup("-");
	rs_strbuf_puts_safe(&b, text);
	return rs_strbuf_steal(&b);
}

char *cli_cell(struct json_object *o, const char *key)
{
	return safe_or_dash(rs_json_text(o, key, NULL));
}

size_t cli_count(struct json_object *o, const char *key)
{
	struct json_object *a = rs_json_get(o, key);

	return json_object_is_type(a, json_type_array) ? json_object_array_length(a) : 0;
}

bool cli_true(struct json_object *o, const char *key)
{
	struct json_object *v = rs_json_get(o, key);

	return json_object_is_type(v, json_type_boolean) && json_object_get_boolean(v);
}

char *cli_cell_list(struct json_object *o, const char *key, const char *sep)
{
	struct json_object *a = rs_json_get(o, key);
	rs_auto_strbuf b = { 0 };
	size_t i, n = cli_count(o, key);

	for (i = 0; i < n; i++) {
		struct json_object *item = json_object_array_get_idx(a, i);

		if (!json_object_is_type(item, json_type_string))
			continue;
		if (b.len)
			rs_strbuf_puts(&b, sep);
		rs_strbuf_puts_safe(&b, json_object_get_string(item));
	}
	return b.len ? rs_strbuf_steal(&b) : rs_strdup("-");
}

char *cli_cell_number(struct json_object *o, const char *key)
{
	struct json_object *v = rs_json_get(o, key);

	if (!json_object_is_type(v, json_type_int))
		return rs_strdup("-");
	return rs_asprintf("%lld", (long long)json_object_get_int64(v));
}

char *cli_cell_labels(struct json_object *labels)
{
	struct json_object_iterator it, end;
	rs_auto_strbuf b = { 0 };

	if (!json_object_is_type(labels, json_type_object))
		return rs_strdup("-");
	end = json_object_iter_end(labels);
	for (it = json_object_iter_begin(labels); !json_object_iter_equal(&it, &end);
	     json_object_iter_next(&it)) {
		struct json_object *v = json_object_iter_peek_value(&it);

		if (b.len)
			rs_strbuf_putc(&b, ',');
		rs_strbuf_puts_safe(&b, json_object_iter_peek_name(&it));
		rs_strbuf_putc(&b, '=');
		if (json_object_is_type(v, json_type_string))
			rs_strbuf_puts_safe(&b, json_object_get_string(v));
	}
	return b.len ? rs_strbuf_steal(&b) : rs_strdup("-");
}

/* ---- tables ---------------------------------------------------------------------------------- */

struct cli_table {
	struct libscols_table *tb;
	struct libscols_line *row; /* the last one */
	size_t n, first, last;
};

struct cli_table *cli_table_new(const struct cli_column *columns, size_t n, size_t first,
				size_t last)
{
	struct cli_table *t = rs_new(struct cli_table);
	size_t i;

	t->tb = scols_new_table();
	t->n = n;
	t->first = first;
	t->last = last;
	if (!t->tb)
		rs_oom();
	/* Never cut to the terminal: a shortened name is a wrong name. */
	scols_table_set_termforce(t->tb, SCOLS_TERMFORCE_NEVER);
	/* Cells are escaped already; a second time would double every backslash. */
	scols_table_enable_noencoding(t->tb, 1);
	scols_table_set_column_separator(t->tb, "  ");
	for (i = first; i < last; i++)
		if (!scols_table_new_column(t->tb, columns[i].name, 0,
					    columns[i].right ? SCOLS_FL_RIGHT : 0))
			rs_oom();
	return t;
}

void cli_table_row(struct cli_table *t, char **cells)
{
	struct libscols_line *line = t->row = scols_table_new_line(t->tb, NULL);
	size_t i;

	if (!line)
		rs_oom();
	for (i = 0; i < t->n; i++)
		if (i < t->first || i >= t->last)
			free(cells[i]);
		else if (scols_line_refer_data(line, i - t->first,
					       cells[i] ? cells[i] : rs_strdup("-")))
			rs_oom();
}

void cli_table_color(struct cli_table *t, size_t column, enum cli_color color)
{
	static const char *const names[] = { NULL, "green", "red", "brown" };

	if (names[color] && column >= t->first && column < t->last)
		scols_cell_set_color(scols_line_get_cell(t->row, column - t->first), names[color]);
}

void cli_table_end(struct cli_run *r, struct cli_table *t, const char *indent, bool headers)
{
	char *text = NULL, *line, *save = NULL;

	scols_table_enable_noheadings(t->tb, !headers);
	scols_table_enable_colors(t->tb, r->colored);
	if (scols_print_table_to_string(t->tb, &text))
		rs_oom();
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		size_t len = strlen(line);

		while (len && line[len - 1] == ' ')
			len--;
		cli_putf(r, "%s%.*s\n", indent, (int)len, line);
	}
	free(text);
	scols_unref_table(t->tb);
	free(t);
}
