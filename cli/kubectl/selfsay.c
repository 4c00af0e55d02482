// SPDX-License-Identifier: Apache-2.0
/* selfsay.c - what came of `test --self`: lines, the object of kind SelfTest, JUnit XML. */
#include "cli/kubectl/selftest.h"

#include <string.h>

#include "answer/answer.h"
#include "cli/whatif/assert.h"

size_t self_count(const struct self_test *t, enum self_result result)
{
	size_t n = 0;

	for (size_t i = 0; i < t->checks.n; i++)
		n += t->checks.v[i].result == result;
	return n;
}

static bool is_one_node(const struct self_test *t)
{
	return t->server.node && t->client.node && !strcmp(t->server.node, t->client.node);
}

/* "client -> 10.244.1.7 tcp/8080"; NULL: it is about none. */
static char *flow_text(const struct self_test *t, const struct self_check *c)
{
	return c->to ? rs_asprintf("%s -> %s tcp/%d", t->client.name, c->to, c->port) : NULL;
}

/* ---- lines ----------------------------------------------------------------------------------- */

static char *safe(const char *text)
{
	rs_auto_strbuf b = { 0 };

	rs_strbuf_puts_safe(&b, text ? text : "-");
	return rs_strbuf_steal(&b);
}

static void add_row(const struct self_test *t, struct cli_table *table, const struct self_check *c)
{
	static const char *const words[] = { "-", "ok", "FAIL" };
	static const enum cli_color colors[] = { CLI_WARN, CLI_GOOD, CLI_BAD };
	rs_autofree char *flow = flow_text(t, c);
	char *cells[] = { rs_strdup(words[c->result]), safe(c->name), safe(flow), safe(c->found) };

	cli_table_row(table, cells);
	cli_table_color(table, 0, colors[c->result]);
}

/* What to do stands once: most failures have it in common. */
static void put_hints(struct cli_run *r, const struct self_test *t)
{
	const char *last = "";

	for (size_t i = 0; i < t->checks.n; i++) {
		const char *hint = t->checks.v[i].hint;

		if (!hint || !strcmp(hint, last))
			continue;
		cli_put(r, "hint: ");
		cli_put_safe(r, hint);
		cli_put(r, "\n");
		last = hint;
	}
}

static void put_summary(struct cli_run *r, const struct self_test *t)
{
	size_t failed = self_count(t, SELF_FAILED), left = self_count(t, SELF_NOT_RUN);

	cli_putf(r, "%zu tests: %zu ok, %zu failed", t->checks.n, self_count(t, SELF_OK), failed);
	if (left)
		cli_putf(r, ", %zu not run", left);
	cli_put(r, "\n");
	if (is_one_node(t)) {
		cli_put(r, "Both pods are on ");
		cli_put_safe(r, t->server.node);
		cli_put(r, ": nothing between nodes was tested.\n");
	}
	if (r->opt.keep)
		cli_putf(r, "Kept: kubectl delete namespace %s\n", t->ns);
}

static void put_lines(struct cli_run *r, const struct self_test *t)
{
	static const struct cli_column columns[] = {
		{ "RESULT", false }, { "TEST", false }, { "FLOW", false }, { "FOUND", false }
	};
	size_t n = RS_ARRAY_SIZE(columns);
	struct cli_table *table = cli_table_new(columns, n, 0, n);

	for (size_t i = 0; i < t->checks.n; i++)
		add_row(t, table, &t->checks.v[i]);
	cli_table_end(r, table, "", !r->opt.no_headers && r->opt.output != CLI_TABLE);
	if (cli_only_tables(r))
		return;
	put_hints(r, t);
	put_summary(r, t);
}

/* ---- the object ------------------------------------------------------------------------------ */

static struct json_object *end_json(const struct self_end *e)
{
	struct json_object *o = json_object_new_object(), *ips = json_object_new_array();

	rs_json_add_str(o, "name", e->name);
	rs_json_add_str(o, "node", e->node);
	for (size_t i = 0; i < e->n_ips; i++)
		json_object_array_add(ips, json_object_new_string(e->ips[i]));
	json_object_object_add(o, "addresses", ips);
	return o;
}

static struct json_object *check_json(const struct self_test *t, const struct self_check *c)
{
	static const char *const results[] = { "skipped", "ok", "fail" };
	static const char *const packets[] = { NULL, "answered", "dropped", "refused" };
	static const char *const explains[] = { "unknown", "allowed", "denied", "unknown" };
	struct json_object *o = json_object_new_object();

	rs_json_add_str(o, "result", results[c->result]);
	rs_json_add_str(o, "name", c->name);
	if (c->to) {
		rs_json_add_str(o, "from", t->client.name);
		rs_json_add_str(o, "to", c->to);
		json_object_object_add(o, "port", json_object_new_int(c->port));
		rs_json_add_str(o, "expect", c->allow ? "allow" : "deny");
		rs_json_add_str(o, "packets", packets[c->packets]);
		rs_json_add_str(o, "explain", explains[c->explain]);
	}
	rs_json_add_str(o, "found", c->found ? c->found : "-");
	rs_json_add_str(o, "hint", c->hint);
	return o;
}

static void add_number(struct json_object *o, const char *key, size_t n)
{
	json_object_object_add(o, key, json_object_new_uint64(n));
}

static void put_object(struct cli_run *r, const struct self_test *t)
{
	rs_autojson struct json_object *o = rs_answer_new("SelfTest", "kubectl", NULL);
	struct json_object *items = json_object_new_array();

	rs_json_add_str(o, "namespace", t->ns);
	json_object_object_add(o, "kept", json_object_new_boolean(r->opt.keep));
	json_object_object_add(o, "server", end_json(&t->server));
	json_object_object_add(o, "client", end_json(&t->client));
	add_number(o, "tests", t->checks.n);
	add_number(o, "failed", self_count(t, SELF_FAILED));
	add_number(o, "skipped", self_count(t, SELF_NOT_RUN));
	json_object_object_add(o, "disagrees", json_object_new_boolean(t->disagrees));
	for (size_t i = 0; i < t->checks.n; i++)
		json_object_array_add(items, check_json(t, &t->checks.v[i]));
	json_object_object_add(o, "items", items);
	cli_put_object(r, o);
}

/* ---- JUnit ----------------------------------------------------------------------------------- */

static void put_case(struct cli_run *r, const struct self_test *t, const struct self_check *c)
{
	rs_autofree char *flow = flow_text(t, c);
	rs_autofree char *name = flow ? rs_asprintf("%s (%s)", c->name, flow) : rs_strdup(c->name);

	cli_put(r, "    <testcase");
	junit_attribute(r, "classname", "ripstop test --self");
	junit_attribute(r, "name", name);
	if (c->result == SELF_OK) {
		cli_put(r, "/>\n");
		return;
	}
	cli_put(r, c->result == SELF_FAILED ? ">\n      <failure" : ">\n      <skipped");
	junit_attribute(r, "message", c->found ? c->found : "-");
	cli_put(r, ">");
	junit_text(r, c->hint ? c->hint : "");
	cli_put(r, c->result == SELF_FAILED ? "</failure>\n" : "</skipped>\n");
	cli_put(r, "    </testcase>\n");
}

static void put_junit(struct cli_run *r, const struct self_test *t)
{
	size_t failed = self_count(t, SELF_FAILED), left = self_count(t, SELF_NOT_RUN);

	cli_put(r, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
	cli_putf(r, "<testsuites name=\"ripstop\" tests=\"%zu\" failures=\"%zu\">\n", t->checks.n,
		 failed);
	cli_putf(r,
		 "  <testsuite name=\"ripstop test --self\" tests=\"%zu\" failures=\"%zu\" "
		 "skipped=\"%zu\">\n",
		 t->checks.n, failed, left);
	for (size_t i = 0; i < t->checks.n; i++)
		put_case(r, t, &t->checks.v[i]);
	cli_put(r, "  </testsuite>\n</testsuites>\n");
}

void self_put(struct cli_run *r, const struct self_test *t)
{
	if (r->opt.output == CLI_JUNIT)
		put_junit(r, t);
	else if (cli_wants_object(r))
		put_object(r, t);
	else
		put_lines(r, t);
}
