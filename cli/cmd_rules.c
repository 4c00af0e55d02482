// SPDX-License-Identifier: Apache-2.0
/* cmd_rules.c - `ripstop rules POD`: who may reach a pod and whom it may reach, rule by rule. */
#include "cli/cli.h"
#include "cli/offline/offline.h"

#include <string.h>
#include <time.h>

enum {
	COL_DIRECTION,
	COL_NR,
	COL_VERDICT,
	COL_PEERS,
	COL_PORTS,
	COL_SOURCE,
	COL_RULE,
	COL_WHERE,
	COL_JUDGED, /* from here on: what an agent counts */
	COL_PACKETS,
	COL_BYTES,
	COL_DROPS,
	COL_LAST,
	N_COLUMNS
};

/* Manifests have no kernel that could count; on a screen drops stand in the heading, and 80 columns
 * hold no more than the rules. */
static size_t end_column(const struct cli_run *r, bool screen)
{
	if (r->opt.n_files || (screen && r->opt.output != CLI_WIDE))
		return COL_JUDGED;
	return screen ? COL_DROPS : N_COLUMNS;
}

static void put_fact(struct cli_run *r, const char *name, char *text)
{
	if (strcmp(text, "-"))
		cli_putf(r, "   %s%s%s", name, *name ? " " : "", text);
	free(text);
}

/* The agent knows where the pod is, files know what it belongs to. */
static void put_pod(struct cli_run *r, struct json_object *o)
{
	struct json_object *pod = rs_json_get(o, "pod"), *meta = rs_json_get(o, "metadata");
	struct json_object *workload = rs_json_get(pod, "workload");
	rs_autofree char *kind = cli_cell(workload, "kind");
	rs_autofree char *name = cli_cell(workload, "name");

	cli_put_safe(r, rs_json_text(pod, "namespace", "-"));
	cli_put(r, "/");
	cli_put_safe(r, rs_json_text(pod, "name", "-"));
	put_fact(r, "", cli_cell_list(pod, "ips", ","));
	if (workload && strcmp(kind, "Pod"))
		cli_putf(r, "   %s %s", kind, name);
	put_fact(r, "node", cli_cell(workload ? pod : meta, "node"));
	put_fact(r, "labels", cli_cell_labels(rs_json_get(pod, "labels")));
	put_fact(r, "generation", cli_cell_number(meta, "generation"));
	put_fact(r, "", cli_cell(pod, "where"));
	cli_put(r, "\n");
}

static void add_rule(struct cli_table *t, struct json_object *rule, size_t nr, const char *dir)
{
	bool nothing = cli_true(rule, "allowsNothing");
	rs_autofree char *why = cli_cell(rule, "whyNothing");
	rs_autofree char *peers = cli_cell(rule, "peers");
	rs_autofree char *index = cli_cell_number(rule, "index");
	char *cells[N_COLUMNS] = {
		[COL_DIRECTION] = rs_strdup(dir),
		[COL_NR] = rs_asprintf("%zu", nr),
		[COL_VERDICT] = rs_strdup(nothing ? "NOTHING" : "ALLOW"),
		[COL_PEERS] = nothing ? rs_asprintf("%s (%s)", peers, why) : rs_strdup(peers),
		[COL_PORTS] = cli_cell(rule, "ports"),
		[COL_SOURCE] = cli_cell(rule, "source"),
		[COL_RULE] = rs_asprintf("%s[%s]", dir, index),
		[COL_WHERE] = cli_cell(rule, "where"),
		[COL_JUDGED] = cli_cell_number(rule, "judged"),
		[COL_PACKETS] = cli_cell_number(rule, "packets"),
		[COL_BYTES] = cli_cell_number(rule, "bytes"),
	};

	cli_table_row(t, cells);
	cli_table_color(t, COL_VERDICT, nothing ? CLI_WARN : CLI_GOOD);
}

/* "41s", "9m": since then; NULL where that is not known. */
static char *age_of(struct json_object *half)
{
	const char *text = rs_json_text(half, "lastDrop", "");
	struct tm tm = { 0 };
	long long s;

	if (!strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm))
		return NULL;
	s = (long long)(time(NULL) - timegm(&tm));
	s = s < 0 ? 0 : s;
	if (s >= 86400)
		return rs_asprintf("%lldd", s / 86400);
	if (s >= 3600)
		return rs_asprintf("%lldh", s / 3600);
	return s >= 60 ? rs_asprintf("%lldm", s / 60) : rs_asprintf("%llds", s);
}

static void add_default(struct cli_table *t, struct json_object *half, const char *dir)
{
	bool isolated = cli_true(half, "isolated");
	size_t policies = cli_count(half, "isolatedBy");
	char *cells[N_COLUMNS] = {
		[COL_DIRECTION] = rs_strdup(dir),
		[COL_NR] = rs_strdup("-"),
		[COL_VERDICT] = rs_strdup(isolated ? "DENY" : "ALLOW"),
		[COL_PEERS] = rs_strdup(isolated ? "everything else" : "everything"),
		[COL_PORTS] = rs_strdup(isolated ? "-" : "any"),
		[COL_SOURCE] = !isolated || !policies
				       ? rs_strdup("no policy")
				       : rs_asprintf("default of %zu %s", policies,
						     policies == 1 ? "policy" : "policies"),
		[COL_DROPS] = isolated ? cli_cell_number(half, "dropRecords") : NULL,
		[COL_LAST] = isolated ? age_of(half) : NULL,
	};

	cli_table_row(t, cells);
	cli_table_color(t, COL_VERDICT, isolated ? CLI_BAD : CLI_GOOD);
}

static struct cli_table *new_table(size_t first, size_t end, const char *peers)
{
	struct cli_column columns[N_COLUMNS] = {
		{ "DIRECTION", false }, { "#", true },	    { "VERDICT", false },
		{ peers, false },	{ "PORTS", false }, { "SOURCE", false },
		{ "RULE", false },	{ "WHERE", false }, { "JUDGED", true },
		{ "PACKETS", true },	{ "BYTES", true },  { "DROPS", true },
		{ "LAST", true },
	};

	return cli_table_new(columns, N_COLUMNS, first, end);
}

static void add_half(struct cli_table *t, struct json_object *half, const char *dir)
{
	struct json_object *rules = rs_json_get(half, "rules");
	size_t i, n = cli_count(half, "rules");

	for (i = 0; i < n; i++)
		add_rule(t, json_object_array_get_idx(rules, i), i + 1, dir);
	add_default(t, half, dir);
}

static void put_heading(struct cli_run *r, struct json_object *half, const char *title)
{
	bool isolated = cli_true(half, "isolated");
	rs_autofree char *by = cli_cell_list(half, "isolatedBy", ", ");
	rs_autofree char *drops = cli_cell_number(half, "dropRecords");
	rs_autofree char *age = age_of(half);

	if (isolated && !strcmp(by, "-"))
		cli_putf(r, "%s  closed: the pod's labels are not known, nothing is allowed",
			 title);
	else
		cli_putf(r, "%s  %s%s", title, isolated ? "isolated by " : "open",
			 isolated ? by : ": no policy isolates it");
	if (isolated && strcmp(drops, "-") && strcmp(drops, "0"))
		cli_putf(r, "; %s drop record%s%s%s%s", drops, strcmp(drops, "1") ? "s" : "",
			 age ? ", the last " : "", age ? age : "", age ? " ago" : "");
	cli_put(r, "\n");
}

static void put_half(struct cli_run *r, struct json_object *half, const char *dir,
		     const char *title, const char *peers)
{
	struct cli_table *t = new_table(COL_NR, end_column(r, true), peers);

	put_heading(r, half, title);
	add_half(t, half, dir);
	cli_table_end(r, t, "  ", !r->opt.no_headers);
}

static void put_screen(struct cli_run *r, struct json_object *o)
{
	struct json_object *in = rs_json_get(o, "ingress"), *out = rs_json_get(o, "egress");

	put_pod(r, o);
	put_half(r, in, "ingress", "INGRESS", "FROM");
	put_half(r, out, "egress", "EGRESS ", "TO");
	if (cli_true(in, "isolated") || cli_true(out, "isolated"))
		cli_put(r,
			"Replies of allowed flows pass, and so does what this node itself begins "
			"towards the pod.\n");
}

static void put_rows(struct cli_run *r, struct json_object *o)
{
	struct cli_table *t = new_table(COL_DIRECTION, end_column(r, false), "PEERS");

	add_half(t, rs_json_get(o, "ingress"), "ingress");
	add_half(t, rs_json_get(o, "egress"), "egress");
	cli_table_end(r, t, "", !r->opt.no_headers);
}

static int ask(struct cli_run *r, struct json_object **o)
{
	rs_autofree char *pod = cli_qualified(r, r->operands[0]);
	struct json_object *req = json_object_new_object();

	rs_json_add_str(req, "pod", pod);
	return cli_call(r, req, "rules", "Rules", o);
}

int cli_cmd_rules(struct cli_run *r)
{
	rs_autojson struct json_object *o = NULL;
	int code = cli_is_offline(r) ? cli_offline_rules(r, &o) : ask(r, &o);

	if (code)
		return code;
	if (cli_wants_object(r))
		cli_put_object(r, o);
	else if (cli_only_tables(r))
		put_rows(r, o);
	else
		put_screen(r, o);
	return CLI_YES;
}
