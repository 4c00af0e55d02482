// SPDX-License-Identifier: Apache-2.0
/* printer.c - text of objects: escapes, colours, cells. put_table.c makes tables of cells, put_object.c
 * writes whole objects. */
#include "cli/cli.h"

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
