// SPDX-License-Identifier: Apache-2.0
/* simtext.c - who reaches whom in one world, for people and as the object of kind Simulation. */
#include <string.h>

#include "answer/answer.h"
#include "cli/whatif/judgeflow.h"
#include "cli/whatif/simulate.h"

/* Names that one cell holds without --all. */
#define FEW_NAMES 6

static const char *text_of(const struct sim *s, uint32_t subject)
{
	return whatif_subjects(s->w)->v[subject].text;
}

static void put_names(struct rs_strbuf *b, const struct sim *s, const struct rs_u32s *v,
		      size_t most)
{
	size_t i;

	for (i = 0; i < v->n && i < most; i++) {
		rs_strbuf_puts(b, i ? ", " : "");
		rs_strbuf_puts_safe(b, text_of(s, v->v[i]));
	}
	if (i < v->n)
		rs_strbuf_printf(b, " and %zu more", v->n - i);
}

static char *from_cell(const struct sim *s, const struct sim_row *row, size_t most)
{
	rs_auto_strbuf b = { 0 };

	if (row->cover == COVER_LIST)
		put_names(&b, s, &row->from, most);
	else
		rs_strbuf_puts(&b, row->cover == COVER_PODS ? "every pod" : "everyone");
	if (row->cover == COVER_BUT_FEW) {
		rs_strbuf_puts(&b, " but ");
		put_names(&b, s, &row->few, most);
	}
	return rs_strbuf_steal(&b);
}

static char *names_cell(const struct sim *s, const struct rs_u32s *v, size_t most)
{
	rs_auto_strbuf b = { 0 };

	put_names(&b, s, v, most);
	return b.len ? rs_strbuf_steal(&b) : rs_strdup("-");
}

static char *safe(const char *text)
{
	rs_auto_strbuf b = { 0 };

	rs_strbuf_puts_safe(&b, text ? text : "-");
	return rs_strbuf_steal(&b);
}

/* ---- connectivity ---------------------------------------------------------------------------- */

static void put_rows(struct cli_run *r, const struct sim *s)
{
	static const struct cli_column columns[] = {
		{ "FROM", false }, { "TO", false }, { "PORTS", false }, { "BY", false }
	};
	size_t n = RS_ARRAY_SIZE(columns), i;
	size_t most = r->opt.show_all || r->opt.output != CLI_TABLE ? SIZE_MAX : FEW_NAMES;
	struct cli_table *t = cli_table_new(columns, n, 0, n);

	for (i = 0; i < s->rows.n; i++) {
		const struct sim_row *row = &s->rows.v[i];
		char *cells[] = { from_cell(s, row, most), names_cell(s, &row->to, most),
				  safe(row->ports), safe(row->rules) };

		cli_table_row(t, cells);
	}
	cli_table_end(r, t, cli_only_tables(r) ? "" : "  ", !r->opt.no_headers);
}

static void put_flows(struct cli_run *r, const struct sim *s)
{
	static const struct cli_column columns[] = {
		{ "VERDICT", false }, { "RECORDS", true }, { "DROPPED", true }, { "FROM", false },
		{ "TO", false },      { "PORT", false },   { "WHY", false },	{ "WHERE", false },
	};
	size_t n = RS_ARRAY_SIZE(columns), i;
	struct cli_table *t = cli_table_new(columns, n, 0, n);

	for (i = 0; i < s->flows.n; i++) {
		const struct sim_flow *f = &s->flows.v[i];
		char *cells[] = {
			rs_strdup(f->allowed ? "ALLOW" : "DENY"),
			rs_asprintf("%llu", (unsigned long long)f->seen),
			rs_asprintf("%llu", (unsigned long long)f->dropped),
			safe(f->from),
			safe(f->to),
			judge_port_text(f->proto, f->port),
			safe(f->why),
			safe(f->where),
		};

		cli_table_row(t, cells);
		cli_table_color(t, 0, f->allowed ? CLI_GOOD : CLI_BAD);
	}
	cli_table_end(r, t, cli_only_tables(r) ? "" : "  ", !r->opt.no_headers);
}

/* ---- the frame ------------------------------------------------------------------------------- */

static const char *const by_words[] = { "workload", "pod", "namespace" };

static void put_free(struct cli_run *r, const struct sim *s)
{
	static const char *const what[RS_DIRECTIONS] = { "ingress", "egress" };
	size_t most = r->opt.show_all ? SIZE_MAX : 20;
	int dir;

	cli_put(r, "Not isolated\n");
	for (dir = 0; dir < RS_DIRECTIONS; dir++) {
		rs_autofree char *names = names_cell(s, &s->free[dir], most);

		cli_putf(r, "  %-8s %zu of %zu: %s\n", what[dir], s->free[dir].n, s->n_pods, names);
	}
}

static void put_warnings(struct cli_run *r, const struct sim *s)
{
	const struct rs_conditions *c = &s->cw->conditions;
	size_t i;

	if (c->n)
		cli_put(r, "Warnings\n");
	for (i = 0; i < c->n; i++) {
		cli_putf(r, "  %s: ", c->v[i].type);
		cli_put_safe(r, c->v[i].text);
		cli_put(r, "\n");
	}
}

static void put_traffic_summary(struct cli_run *r, const struct sim *s)
{
	cli_putf(r,
		 "%zu flow%s of %zu record%s: %zu denied; %zu record%s no flow, %zu of a pod "
		 "that is not there\n",
		 s->flows.n, s->flows.n == 1 ? "" : "s", s->records.read,
		 s->records.read == 1 ? "" : "s", s->n_denied, s->records.other,
		 s->records.other == 1 ? " is" : "s are", s->strangers);
}

static void put_summary(struct cli_run *r, const struct sim *s)
{
	size_t policies;

	rs_store_policies(s->cw->store, &policies);
	cli_putf(r, "%zu %s%s, %zu polic%s, %llu pairs open, %llu closed, %zu warning%s\n",
		 s->n_pods, by_words[s->by], s->n_pods == 1 ? "" : "s", policies,
		 policies == 1 ? "y" : "ies", (unsigned long long)s->open,
		 (unsigned long long)s->closed, s->cw->conditions.n,
		 s->cw->conditions.n == 1 ? "" : "s");
	if (!s->hint)
		return;
	cli_put(r, "hint: ripstop lint -f ");
	cli_put_safe(r, s->hint);
	cli_put(r, " finds likely mistakes\n");
}

void sim_text(struct cli_run *r, const struct sim *s)
{
	if (cli_only_tables(r)) {
		(s->traffic ? put_flows : put_rows)(r, s);
		return;
	}
	cli_put(r, s->traffic ? "Recorded flows in " : "Connectivity in ");
	cli_put_safe(r, s->cw->from);
	if (!s->traffic)
		cli_putf(r, ", by %s", by_words[s->by]);
	cli_put(r, "\n");
	if (s->traffic) {
		put_flows(r, s);
		put_traffic_summary(r, s);
		return;
	}
	if (s->listed)
		put_rows(r, s);
	else
		cli_putf(r,
			 "  %llu pairs are open, too many to list: --by ns, or ripstop matrix "
			 "-o html\n",
			 (unsigned long long)s->open);
	put_free(r, s);
	put_warnings(r, s);
	put_summary(r, s);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static struct json_object *names_json(const struct sim *s, const struct rs_u32s *v)
{
	struct json_object *list = json_object_new_array();
	size_t i;

	for (i = 0; i < v->n; i++)
		json_object_array_add(list, subject_json(&whatif_subjects(s->w)->v[v->v[i]]));
	return list;
}

static void add_number(struct json_object *o, const char *key, uint64_t n)
{
	json_object_object_add(o, key, json_object_new_uint64(n));
}

static struct json_object *row_json(const struct sim *s, const struct sim_row *row)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "from", names_json(s, &row->from));
	json_object_object_add(o, "to", names_json(s, &row->to));
	rs_json_add_str(o, "ports", row->ports);
	rs_json_add_str(o, "by", row->rules);
	return o;
}

static struct json_object *flow_json(const struct sim_flow *f)
{
	struct json_object *o = json_object_new_object();
	rs_autofree char *port = judge_port_text(f->proto, f->port);

	rs_json_add_str(o, "verdict", f->allowed ? "allowed" : "denied");
	rs_json_add_str(o, "from", f->from);
	rs_json_add_str(o, "to", f->to);
	rs_json_add_str(o, "port", port);
	add_number(o, "records", f->seen);
	add_number(o, "dropped", f->dropped);
	rs_json_add_str(o, "why", f->why);
	rs_json_add_str(o, "where", f->where);
	return o;
}

static struct json_object *summary_json(const struct sim *s)
{
	struct json_object *o = json_object_new_object();
	size_t policies;

	rs_store_policies(s->cw->store, &policies);
	add_number(o, "subjects", s->n_pods);
	add_number(o, "policies", policies);
	add_number(o, "open", s->open);
	add_number(o, "closed", s->closed);
	if (s->traffic) {
		add_number(o, "records", s->records.read);
		add_number(o, "recordsWithoutFlow", s->records.other);
		add_number(o, "recordsOfStrangers", s->strangers);
		add_number(o, "denied", s->n_denied);
	}
	return o;
}

static struct json_object *warnings_json(const struct sim *s)
{
	struct json_object *list = json_object_new_array();
	size_t i, n;
	const char *const *v = rs_store_warnings(s->cw->store, &n);

	for (i = 0; i < n; i++)
		json_object_array_add(list, json_object_new_string(v[i]));
	for (i = 0; i < s->cw->conditions.n; i++)
		json_object_array_add(list, json_object_new_string(s->cw->conditions.v[i].text));
	return list;
}

struct json_object *sim_json(const struct sim *s)
{
	static const char *const by[] = { "workload", "pod", "ns" };
	struct json_object *meta;
	struct json_object *o =
		rs_answer_new(s->traffic ? "TrafficVerdicts" : "Simulation", s->cw->origin, &meta);
	struct json_object *items = json_object_new_array(), *free_ = json_object_new_object();
	size_t i;

	rs_json_add_str(meta, "from", s->cw->from);
	rs_json_add_str(o, "by", by[s->by]);
	json_object_object_add(o, "summary", summary_json(s));
	json_object_object_add(o, "complete", json_object_new_boolean(s->listed));
	for (i = 0; i < s->rows.n; i++)
		json_object_array_add(items, row_json(s, &s->rows.v[i]));
	for (i = 0; i < s->flows.n; i++)
		json_object_array_add(items, flow_json(&s->flows.v[i]));
	json_object_object_add(o, "items", items);
	json_object_object_add(free_, "ingress", names_json(s, &s->free[RS_INGRESS]));
	json_object_object_add(free_, "egress", names_json(s, &s->free[RS_EGRESS]));
	json_object_object_add(o, "notIsolated", free_);
	json_object_object_add(o, "warnings", warnings_json(s));
	return o;
}
