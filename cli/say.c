// SPDX-License-Identifier: Apache-2.0
/* say.c - what goes to stderr, and names of objects. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "cli/term.h"

static const char *speaking_of;
static struct rs_strbuf *into;

void cli_speak_of(const char *node)
{
	speaking_of = node;
}

void cli_say_into(struct rs_strbuf *b)
{
	into = b;
}

static void say(const char *prefix, const char *text)
{
	rs_auto_strbuf b = { 0 };
	rs_autofree char *line = NULL;

	rs_strbuf_puts(&b, prefix);
	rs_strbuf_puts_safe(&b, text);
	rs_strbuf_putc(&b, '\n');
	line = cli_term_text(rs_strbuf_steal(&b));
	cli_progress_hide();
	if (into)
		rs_strbuf_puts(into, line);
	else
		fputs(line, stderr);
}

static void say_about(const char *what, const char *text)
{
	rs_auto_strbuf b = { 0 };

	rs_strbuf_printf(&b, "%sripstop: ", cli_self.before);
	if (speaking_of) {
		rs_strbuf_puts_safe(&b, speaking_of);
		rs_strbuf_puts(&b, ": ");
	}
	rs_strbuf_puts(&b, what);
	say(b.s, text);
}

void cli_error(const char *hint, const char *fmt, ...)
{
	rs_autofree char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = rs_vasprintf(fmt, ap);
	va_end(ap);
	say_about("", text);
	if (hint)
		say("  hint: ", hint);
}

void cli_warn(const char *fmt, ...)
{
	rs_autofree char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = rs_vasprintf(fmt, ap);
	va_end(ap);
	say_about("warning: ", text);
}

/* ---- names ----------------------------------------------------------------------------------- */

bool cli_is_plain_name(const char *operand)
{
	struct rs_addr a;

	return !strpbrk(operand, "/:=@,") && strcmp(operand, "world") && strcmp(operand, "node") &&
	       rs_addr_parse(operand, &a, NULL) < 0;
}

char *cli_qualified(const struct cli_run *r, const char *operand)
{
	if (r->opt.namespace && cli_is_plain_name(operand))
		return rs_asprintf("%s/%s", r->opt.namespace, operand);
	return rs_strdup(operand);
}

static bool names(const char *operand, struct json_object *item)
{
	const char *slash = strchr(operand, '/'), *ns = rs_json_text(item, "namespace", "");
	const char *name = slash ? slash + 1 : operand;

	if (slash && (strlen(ns) != (size_t)(slash - operand) || strncmp(ns, operand, strlen(ns))))
		return false;
	return !strcmp(rs_json_text(item, "name", ""), name);
}

void cli_keep_named(const struct cli_run *r, struct json_object *list, const char **missing)
{
	struct json_object *items = rs_json_get(list, "items");
	struct json_object *kept = json_object_new_array();
	size_t i, n = cli_count(list, "items");
	int k;

	*missing = NULL;
	for (i = 0; i < n; i++) {
		struct json_object *item = json_object_array_get_idx(items, i);
		bool wanted = r->n_operands == 0;

		if (r->opt.namespace &&
		    strcmp(rs_json_text(item, "namespace", ""), r->opt.namespace))
			continue;
		for (k = 0; k < r->n_operands; k++)
			if (names(r->operands[k], item))
				wanted = r->named[k] = true;
		if (wanted)
			json_object_array_add(kept, json_object_get(item));
	}
	for (k = r->n_operands - 1; k >= 0 && !r->many; k--)
		if (!r->named[k])
			*missing = r->operands[k];
	json_object_object_add(list, "items", kept);
}
