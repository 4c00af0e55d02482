// SPDX-License-Identifier: Apache-2.0
/* lint_print.c - findings for people and as an object of kind LintResult (docs/json.md). */
#include "cli/lint/lint_print.h"

#include <string.h>

/* ---- the object ------------------------------------------------------------------------------ */

static void add_int(struct json_object *o, const char *key, size_t n)
{
	json_object_object_add(o, key, json_object_new_int64((int64_t)n));
}

static struct json_object *object_of(const struct lint_policy *pol)
{
	struct json_object *o = json_object_new_object();

	rs_json_add_str(o, "kind", "NetworkPolicy");
	rs_json_add_str(o, "namespace", pol->ns);
	rs_json_add_str(o, "name", pol->name);
	return o;
}

static struct json_object *item_of(const struct lint_finding *f)
{
	const struct lint_rule *rule = &lint_rules[f->id];
	struct json_object *o = json_object_new_object();

	rs_json_add_str(o, "rule", rule->id);
	rs_json_add_str(o, "severity", lint_severity_name(f->severity));
	rs_json_add_str(o, "file", f->pol->text->name);
	add_int(o, "line", (size_t)f->pos.line);
	add_int(o, "column", (size_t)f->pos.col);
	json_object_object_add(o, "object", object_of(f->pol));
	if (*f->path)
		rs_json_add_str(o, "field", f->path);
	rs_json_add_str(o, "message", f->text);
	rs_json_add_str(o, "why", rule->why);
	rs_json_add_str(o, "fix", rule->fix);
	return o;
}

static size_t count_suppressed(const struct lint *l)
{
	size_t i, n = 0;

	for (i = 0; i < l->found.n; i++)
		n += l->found.v[i].suppressed;
	return n;
}

static struct json_object *summary_of(const struct lint *l)
{
	struct json_object *o = json_object_new_object();

	add_int(o, "policies", l->policies.n);
	add_int(o, "errors", lint_count(l, LINT_ERROR));
	add_int(o, "warnings", lint_count(l, LINT_WARNING));
	add_int(o, "notes", lint_count(l, LINT_NOTE));
	add_int(o, "suppressed", count_suppressed(l));
	return o;
}

static struct json_object *result_of(const struct lint *l)
{
	struct json_object *o = json_object_new_object(), *meta = json_object_new_object();
	struct json_object *items = json_object_new_array();
	size_t i;

	rs_json_add_str(o, "apiVersion", "ripstop.dev/v1");
	rs_json_add_str(o, "kind", "LintResult");
	rs_json_add_str(meta, "source", "files");
	add_int(meta, "files", l->texts.n);
	json_object_object_add(o, "metadata", meta);
	json_object_object_add(o, "summary", summary_of(l));
	for (i = 0; i < l->found.n; i++)
		if (!l->found.v[i].suppressed)
			json_object_array_add(items, item_of(&l->found.v[i]));
	json_object_object_add(o, "items", items);
	return o;
}

/* ---- the table ------------------------------------------------------------------------------- */

static const struct cli_column columns[] = {
	{ "WHERE", false }, { "SEVERITY", false }, { "RULE", false }, { "POLICY", false },
	{ "TEXT", false },  { "FIELD", false },	   { "FIX", false },
};

#define N_COLUMNS RS_ARRAY_SIZE(columns)
#define N_NARROW 5

static char *safe(const char *text)
{
	rs_auto_strbuf b = { 0 };

	rs_strbuf_puts_safe(&b, text);
	return rs_strbuf_steal(&b);
}

static void add_row(struct cli_table *t, const struct lint_finding *f)
{
	static const enum cli_color colors[] = { CLI_PLAIN, CLI_WARN, CLI_BAD };
	rs_autofree char *file = safe(f->pol->text->name), *ns = safe(f->pol->ns);
	rs_autofree char *name = safe(f->pol->name);
	char *cells[N_COLUMNS] = {
		rs_asprintf("%s:%d:%d", file, f->pos.line, f->pos.col),
		rs_strdup(lint_severity_name(f->severity)),
		rs_strdup(lint_rules[f->id].id),
		rs_asprintf("%s/%s", ns, name),
		safe(f->text),
		safe(*f->path ? f->path : "-"),
		rs_strdup(lint_rules[f->id].fix),
	};

	cli_table_row(t, cells);
	cli_table_color(t, 1, colors[f->severity]);
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

/* For people only: a line that a program would take for a row. */
static void put_summary(struct cli_run *r, const struct lint *l)
{
	size_t errors = lint_count(l, LINT_ERROR), warnings = lint_count(l, LINT_WARNING);
	size_t notes = lint_count(l, LINT_NOTE), suppressed = count_suppressed(l);

	cli_putf(r, "%zu polic%s, %zu error%s, %zu warning%s, %zu note%s", l->policies.n,
		 l->policies.n == 1 ? "y" : "ies", errors, plural(errors), warnings,
		 plural(warnings), notes, plural(notes));
	if (suppressed)
		cli_putf(r, ", %zu ignored", suppressed);
	cli_put(r, "\n");
}

static void put_table(struct cli_run *r, const struct lint *l)
{
	bool people = !cli_only_tables(r);
	size_t i, n = 0;
	struct cli_table *t = cli_table_new(columns, N_COLUMNS, 0,
					    r->opt.output == CLI_TABLE ? N_NARROW : N_COLUMNS);

	for (i = 0; i < l->found.n; i++) {
		if (l->found.v[i].suppressed)
			continue;
		add_row(t, &l->found.v[i]);
		n++;
	}
	cli_table_end(r, t, "", !r->opt.no_headers && (n || !people));
	if (people)
		put_summary(r, l);
}

void lint_print(struct cli_run *r, const struct lint *l)
{
	rs_autojson struct json_object *o = NULL;

	if (r->opt.output == CLI_SARIF) {
		o = lint_sarif(l);
		cli_put_object(r, o);
	} else if (cli_wants_object(r)) {
		o = result_of(l);
		cli_put_object(r, o);
	} else {
		put_table(r, l);
	}
}
