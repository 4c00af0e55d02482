// SPDX-License-Identifier: Apache-2.0
/* testsay.c - what came of assertions: lines, the object of kind TestResult, JUnit XML. */
#include <string.h>

#include "answer/answer.h"
#include "cli/whatif/assert.h"

size_t suites_failed(const struct suites *v)
{
	size_t i, k, n = 0;

	for (i = 0; i < v->n; i++)
		for (k = 0; k < v->v[i].tests.n; k++)
			n += !v->v[i].tests.v[k].passed;
	return n;
}

static size_t suites_tests(const struct suites *v)
{
	size_t i, n = 0;

	for (i = 0; i < v->n; i++)
		n += v->v[i].tests.n;
	return n;
}

static char *safe(const char *text)
{
	rs_auto_strbuf b = { 0 };

	rs_strbuf_puts_safe(&b, text ? text : "-");
	return rs_strbuf_steal(&b);
}

static char *place(const struct suite *s, const struct assertion *a)
{
	return rs_asprintf("%s:%d:%d", s->file, a->line, a->col);
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* The reason stands beside what failed; wide, csv and md have it for all. */
static void add_line(const struct cli_run *r, struct cli_table *t, const struct suite *s,
		     const struct assertion *a)
{
	bool all = r->opt.output != CLI_TABLE;
	rs_autofree char *at = place(s, a);
	char *cells[] = {
		rs_strdup(a->passed ? "ok" : "FAIL"),
		safe(a->name),
		safe(at),
		a->passed && !all ? rs_strdup("") : safe(a->reason),
		a->passed && !all ? rs_strdup("") : safe(a->where),
	};

	cli_table_row(t, cells);
	cli_table_color(t, 0, a->passed ? CLI_GOOD : CLI_BAD);
}

static void put_lines(struct cli_run *r, const struct suites *v)
{
	static const struct cli_column columns[] = { { "RESULT", false },
						     { "TEST", false },
						     { "AT", false },
						     { "REASON", false },
						     { "RULE", false } };
	size_t n = RS_ARRAY_SIZE(columns), i, k, failed = suites_failed(v);
	struct cli_table *t = cli_table_new(columns, n, 0, n);

	for (i = 0; i < v->n; i++)
		for (k = 0; k < v->v[i].tests.n; k++)
			add_line(r, t, &v->v[i], &v->v[i].tests.v[k]);
	cli_table_end(r, t, "", !r->opt.no_headers && r->opt.output != CLI_TABLE);
	if (!cli_only_tables(r))
		cli_putf(r, "%zu test%s: %zu ok, %zu failed\n", suites_tests(v),
			 suites_tests(v) == 1 ? "" : "s", suites_tests(v) - failed, failed);
}

/* ---- the object ------------------------------------------------------------------------------ */

static struct json_object *test_json(const struct suite *s, const struct assertion *a)
{
	struct json_object *o = json_object_new_object();
	rs_autofree char *at = place(s, a);

	rs_json_add_str(o, "result", a->passed ? "ok" : "fail");
	rs_json_add_str(o, "suite", s->name);
	rs_json_add_str(o, "name", a->name);
	rs_json_add_str(o, "from", a->from);
	rs_json_add_str(o, "to", a->to);
	rs_json_add_str(o, "port", a->port);
	rs_json_add_str(o, "expect", a->allow ? "allow" : "deny");
	rs_json_add_str(o, "reason", a->reason);
	rs_json_add_str(o, "rule", a->where);
	rs_json_add_str(o, "at", at);
	return o;
}

static void put_object(struct cli_run *r, const struct suites *v, const char *source)
{
	rs_autojson struct json_object *o = rs_answer_new("TestResult", source, NULL);
	struct json_object *items = json_object_new_array();
	size_t i, k;

	json_object_object_add(o, "tests", json_object_new_uint64(suites_tests(v)));
	json_object_object_add(o, "failed", json_object_new_uint64(suites_failed(v)));
	for (i = 0; i < v->n; i++)
		for (k = 0; k < v->v[i].tests.n; k++)
			json_object_array_add(items, test_json(&v->v[i], &v->v[i].tests.v[k]));
	json_object_object_add(o, "items", items);
	cli_put_object(r, o);
}

/* ---- JUnit ----------------------------------------------------------------------------------- */

/* XML has no way to write most control characters: they are escaped as for a terminal. */
void junit_text(struct cli_run *r, const char *text)
{
	rs_autofree char *s = safe(text);
	const char *c;

	for (c = s; *c; c++)
		switch (*c) {
		case '&':
			cli_put(r, "&amp;");
			break;
		case '<':
			cli_put(r, "&lt;");
			break;
		case '>':
			cli_put(r, "&gt;");
			break;
		case '"':
			cli_put(r, "&quot;");
			break;
		default:
			cli_putf(r, "%c", *c);
		}
}

void junit_attribute(struct cli_run *r, const char *name, const char *text)
{
	cli_putf(r, " %s=\"", name);
	junit_text(r, text);
	cli_put(r, "\"");
}

static void put_case(struct cli_run *r, const struct suite *s, const struct assertion *a)
{
	rs_autofree char *at = place(s, a);

	cli_put(r, "    <testcase");
	junit_attribute(r, "classname", s->name);
	junit_attribute(r, "name", a->name);
	junit_attribute(r, "file", s->file);
	cli_putf(r, " line=\"%d\"", a->line);
	if (a->passed) {
		cli_put(r, "/>\n");
		return;
	}
	cli_put(r, ">\n      <failure");
	junit_attribute(r, "message", a->reason);
	cli_put(r, ">");
	junit_text(r, at);
	cli_put(r, ": expected ");
	cli_put(r, a->allow ? "allow; " : "deny; ");
	junit_text(r, a->reason);
	if (a->where) {
		cli_put(r, " (");
		junit_text(r, a->where);
		cli_put(r, ")");
	}
	cli_put(r, "</failure>\n    </testcase>\n");
}

static void put_junit(struct cli_run *r, const struct suites *v)
{
	size_t i, k;

	cli_put(r, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
	cli_putf(r, "<testsuites name=\"ripstop\" tests=\"%zu\" failures=\"%zu\">\n",
		 suites_tests(v), suites_failed(v));
	for (i = 0; i < v->n; i++) {
		const struct suite *s = &v->v[i];
		size_t failed = 0;

		for (k = 0; k < s->tests.n; k++)
			failed += !s->tests.v[k].passed;
		cli_put(r, "  <testsuite");
		junit_attribute(r, "name", s->name);
		cli_putf(r, " tests=\"%zu\" failures=\"%zu\">\n", s->tests.n, failed);
		for (k = 0; k < s->tests.n; k++)
			put_case(r, s, &s->tests.v[k]);
		cli_put(r, "  </testsuite>\n");
	}
	cli_put(r, "</testsuites>\n");
}

void suites_put(struct cli_run *r, const struct suites *v, const char *source)
{
	if (r->opt.output == CLI_JUNIT)
		put_junit(r, v);
	else if (cli_wants_object(r))
		put_object(r, v, source);
	else
		put_lines(r, v);
}
