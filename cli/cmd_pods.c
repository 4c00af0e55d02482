// SPDX-License-Identifier: Apache-2.0
/* cmd_pods.c - `ripstop pods`: what hangs on this node and how far it is isolated. */
#include "cli/cli.h"
#include "cli/offline/offline.h"

#include <string.h>

static const struct cli_column columns[] = {
	{ "NAMESPACE", false }, { "POD", false },    { "IP", false },	       { "VETH", false },
	{ "INGRESS", false },	{ "EGRESS", false }, { "POLICIES", true },     { "IN-DROP", true },
	{ "OUT-DROP", true },	{ "STATE", false },  { "LABELS-FROM", false }, { "LABELS", false },
	{ "CONTAINER", false },
};

#define N_COLUMNS RS_ARRAY_SIZE(columns)
#define N_NARROW 10

static bool in_list(struct json_object *o, const char *key, const char *name)
{
	struct json_object *a = rs_json_get(o, key);
	size_t i, n = cli_count(o, key);

	for (i = 0; i < n; i++) {
		const char *s = json_object_get_string(json_object_array_get_idx(a, i));

		if (s && !strcmp(s, name))
			return true;
	}
	return false;
}

/* Policies of both directions, each once. */
static size_t count_policies(struct json_object *in, struct json_object *out)
{
	struct json_object *a = rs_json_get(out, "policies");
	size_t i, n = cli_count(in, "policies");

	for (i = 0; i < cli_count(out, "policies"); i++) {
		const char *s = json_object_get_string(json_object_array_get_idx(a, i));

		n += s && !in_list(in, "policies", s);
	}
	return n;
}

static char *isolation(struct json_object *pod, const char *dir)
{
	struct json_object *d = rs_json_get(pod, dir);

	if (!rs_json_get(d, "isolated"))
		return NULL;
	return rs_strdup(cli_true(d, "isolated") ? "isolated" : "open");
}

static char *drops(struct json_object *pod, const char *dir)
{
	return cli_cell_number(rs_json_get(pod, dir), "dropRecords");
}

static char *state(struct json_object *pod)
{
	rs_autofree char *name = cli_cell(pod, "state");
	rs_autofree char *gen = cli_cell_number(pod, "generation");

	return rs_asprintf("%s%s%s", name, *gen == '-' ? "" : " @", *gen == '-' ? "" : gen);
}

static void add_row(struct cli_table *t, struct json_object *pod)
{
	char *cells[N_COLUMNS] = {
		cli_cell(pod, "namespace"),
		cli_cell(pod, "name"),
		cli_cell_list(pod, "ips", ","),
		cli_cell(pod, "interface"),
		isolation(pod, "ingress"),
		isolation(pod, "egress"),
		rs_asprintf("%zu", count_policies(rs_json_get(pod, "ingress"),
						  rs_json_get(pod, "egress"))),
		drops(pod, "ingress"),
		drops(pod, "egress"),
		state(pod),
		cli_cell(pod, "labelsFrom"),
		cli_cell_labels(rs_json_get(pod, "labels")),
		cli_cell(pod, "containerID"),
	};

	cli_table_row(t, cells);
	if (strcmp(rs_json_text(pod, "state", ""), "enforced"))
		cli_table_color(t, N_NARROW - 1, CLI_WARN);
}

static void render(struct cli_run *r, struct json_object *list)
{
	struct json_object *items = rs_json_get(list, "items");
	size_t i, n = cli_count(list, "items");
	size_t last = r->opt.output == CLI_WIDE ? N_COLUMNS : N_NARROW;
	struct cli_table *t;

	if (!n && r->many && r->n_operands)
		return;
	if (!n) {
		cli_warn("there are no pods%s on this node",
			 r->opt.namespace ? " of that namespace" : "");
		return;
	}
	t = cli_table_new(columns, N_COLUMNS, r->opt.namespace ? 1 : 0, last);
	for (i = 0; i < n; i++)
		add_row(t, json_object_array_get_idx(items, i));
	cli_table_end(r, t, "", !r->opt.no_headers);
}

/* ---- pods of objects: nobody has made them yet, or nobody asked where ------------------------ */

static const struct cli_column object_columns[] = {
	{ "NAMESPACE", false }, { "POD", false },      { "KIND", false },   { "INGRESS", false },
	{ "EGRESS", false },	{ "POLICIES", true },  { "WHERE", false },  { "IP", false },
	{ "NODE", false },	{ "WORKLOAD", false }, { "LABELS", false },
};

#define N_OBJECT_COLUMNS RS_ARRAY_SIZE(object_columns)
#define N_OBJECT_NARROW 7

static void add_object_row(struct cli_table *t, struct json_object *pod)
{
	struct json_object *workload = rs_json_get(pod, "workload");
	char *cells[N_OBJECT_COLUMNS] = {
		cli_cell(pod, "namespace"),
		cli_cell(pod, "name"),
		cli_cell(workload, "kind"),
		isolation(pod, "ingress"),
		isolation(pod, "egress"),
		rs_asprintf("%zu", count_policies(rs_json_get(pod, "ingress"),
						  rs_json_get(pod, "egress"))),
		cli_cell(pod, "where"),
		cli_cell_list(pod, "ips", ","),
		cli_cell(pod, "node"),
		cli_cell(workload, "name"),
		cli_cell_labels(rs_json_get(pod, "labels")),
	};

	cli_table_row(t, cells);
}

static void render_objects(struct cli_run *r, struct json_object *list)
{
	struct json_object *items = rs_json_get(list, "items");
	size_t i, n = cli_count(list, "items");
	size_t last = r->opt.output == CLI_WIDE ? N_OBJECT_COLUMNS : N_OBJECT_NARROW;
	struct cli_table *t;

	if (!n) {
		cli_warn("there are no pods%s in %s", r->opt.namespace ? " of that namespace" : "",
			 rs_json_text(rs_json_get(list, "metadata"), "from", "them"));
		return;
	}
	t = cli_table_new(object_columns, N_OBJECT_COLUMNS, r->opt.namespace ? 1 : 0, last);
	for (i = 0; i < n; i++)
		add_object_row(t, json_object_array_get_idx(items, i));
	cli_table_end(r, t, "", !r->opt.no_headers);
}

/* ---- the verb -------------------------------------------------------------------------------- */

static int ask(struct cli_run *r, struct json_object **list)
{
	struct json_object *req = json_object_new_object();

	if (r->opt.namespace)
		rs_json_add_str(req, "namespace", r->opt.namespace);
	else
		json_object_object_add(req, "all", json_object_new_boolean(true));
	return cli_call(r, req, "pods", "PodList", list);
}

int cli_cmd_pods(struct cli_run *r)
{
	rs_autojson struct json_object *list = NULL;
	bool files = r->opt.n_files;
	const char *missing = NULL;
	int code = files ? cli_offline_pods(r, &list) : ask(r, &list);

	if (code)
		return code;
	cli_keep_named(r, list, &missing);
	if (missing) {
		cli_error(files ? "ripstop pods lists them, with the same -f"
				: "ripstop pods lists those of this node",
			  "no pod %s %s", missing, files ? "in what was read" : "on this node");
		return CLI_NOT_FOUND;
	}
	cli_keep_labeled(r, list);
	if (cli_wants_object(r))
		cli_put_object(r, list);
	else if (files)
		render_objects(r, list);
	else
		render(r, list);
	return CLI_YES;
}
