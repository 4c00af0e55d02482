// SPDX-License-Identifier: Apache-2.0
/* cmd_policies.c - `ripstop policies`: every policy and the pods of this node that it selects. */
#include "cli/cli.h"

#include <string.h>

static const struct cli_column columns[] = {
	{ "NAMESPACE", false },	   { "NAME", false },  { "TYPES", false },
	{ "POD-SELECTOR", false }, { "PODS", true },   { "INGRESS", true },
	{ "EGRESS", true },	   { "WHERE", false }, { "SELECTS", false },
};

#define N_COLUMNS RS_ARRAY_SIZE(columns)

static void add_row(struct cli_table *t, struct json_object *p)
{
	char *cells[N_COLUMNS] = {
		cli_cell(p, "namespace"),
		cli_cell(p, "name"),
		cli_cell_list(p, "types", ","),
		cli_cell(p, "podSelector"),
		rs_asprintf("%zu", cli_count(p, "selects")),
		cli_cell_number(p, "ingressRules"),
		cli_cell_number(p, "egressRules"),
		cli_cell(p, "where"),
		cli_cell_list(p, "selects", ","),
	};

	cli_table_row(t, cells);
}

static void put_warnings(struct json_object *p)
{
	struct json_object *a = rs_json_get(p, "warnings");
	size_t i, n = cli_count(p, "warnings");

	for (i = 0; i < n; i++) {
		const char *s = json_object_get_string(json_object_array_get_idx(a, i));

		cli_warn("%s/%s: %s", rs_json_text(p, "namespace", "-"),
			 rs_json_text(p, "name", "-"), s ? s : "-");
	}
}

static void render(struct cli_run *r, struct json_object *list)
{
	struct json_object *items = rs_json_get(list, "items");
	size_t i, n = cli_count(list, "items");
	size_t last = r->opt.output == CLI_WIDE ? N_COLUMNS : N_COLUMNS - 1;
	struct cli_table *t;

	if (!n && r->many && r->n_operands)
		return;
	if (!n) {
		cli_warn("there are no policies%s", r->opt.namespace ? " in that namespace" : "");
		return;
	}
	t = cli_table_new(columns, N_COLUMNS, r->opt.namespace ? 1 : 0, last);
	for (i = 0; i < n; i++)
		add_row(t, json_object_array_get_idx(items, i));
	cli_table_end(r, t, "", !r->opt.no_headers);
	for (i = 0; i < n; i++)
		put_warnings(json_object_array_get_idx(items, i));
}

static struct json_object *request(const struct cli_run *r)
{
	struct json_object *req = json_object_new_object();
	rs_autofree char *name = r->n_operands ? cli_qualified(r, r->operands[0]) : NULL;
	char *slash = name ? strchr(name, '/') : NULL;

	if (slash) {
		*slash = '\0';
		rs_json_add_str(req, "namespace", name);
		rs_json_add_str(req, "name", slash + 1);
	} else if (r->opt.namespace) {
		rs_json_add_str(req, "namespace", r->opt.namespace);
	} else {
		json_object_object_add(req, "all", json_object_new_boolean(true));
	}
	return req;
}

int cli_cmd_policies(struct cli_run *r)
{
	rs_autojson struct json_object *list = NULL;
	const char *missing = NULL;
	int code = cli_call(r, request(r), "policies", "PolicyList", &list);

	if (code)
		return code;
	cli_keep_named(r, list, &missing);
	if (missing) {
		cli_error("ripstop policies lists them", "no policy %s", missing);
		return CLI_NOT_FOUND;
	}
	if (cli_wants_object(r))
		cli_put_object(r, list);
	else
		render(r, list);
	return CLI_YES;
}
