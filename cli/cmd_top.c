// SPDX-License-Identifier: Apache-2.0
/* cmd_top.c - `ripstop top`: what is dropped now, and most: by reason, by pod or by policy. */
#include "cli/cli.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

/* Between the two looks that a rate takes, where there was no look before. */
#define PAUSE_MS 1000
#define MAX_LOOKS 64 /* at drop records, a page each */

struct line {
	char *name; /* "policy-ingress", "shop/db-0"; with by policy "shop/deny ingress" */
	uint64_t n, before;
	uint64_t dir[2]; /* by pod: ingress, egress */
	char *last;	 /* by pod: when; NULL */
};

struct lines rs_vec(struct line);

/* Of a node; it lives from look to look of -w. */
struct sight {
	char *node; /* NULL: the agent of this node */
	struct lines now;
	int64_t at_ms, before_ms; /* 0: there was no look before */
	int64_t next;		  /* by policy: the first record that was not seen */
};

static struct rs_vec(struct sight *) sights;

static struct sight *sight_of(const char *node)
{
	struct sight *s;

	for (size_t i = 0; i < sights.n; i++)
		if (!strcmp(sights.v[i]->node ? sights.v[i]->node : "", node ? node : ""))
			return sights.v[i];
	s = *rs_vec_push(&sights) = rs_new(struct sight);
	s->node = rs_strdup(node);
	return s;
}

static struct line *line_of(struct sight *s, const char *name)
{
	struct line *l;

	for (size_t i = 0; i < s->now.n; i++)
		if (!strcmp(s->now.v[i].name, name))
			return &s->now.v[i];
	l = rs_vec_push(&s->now);
	l->name = rs_strdup(name);
	return l;
}

/* Never below what was before: an agent that starts anew counts from 0. */
static uint64_t number(struct json_object *o, const char *key)
{
	struct json_object *v = rs_json_get(o, key);
	int64_t n = json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : 0;

	return n > 0 ? (uint64_t)n : 0;
}

/* ---- one look -------------------------------------------------------------------------------- */

static int by_reason(struct cli_run *r, struct sight *s)
{
	rs_autojson struct json_object *o = NULL;
	int code = cli_call(r, json_object_new_object(), "status", "Status", &o);
	struct json_object *drops = rs_json_get(o, "drops");

	if (code)
		return code;
	if (!json_object_is_type(drops, json_type_object)) {
		cli_error("see ripstop status", "the agent does not know its drops");
		return CLI_NO_AGENT;
	}
	json_object_object_foreach(drops, key, v)
	{
		(void)v;
		line_of(s, key)->n = number(drops, key);
	}
	return 0;
}

static int no_records(const char *why)
{
	cli_error("ripstop top --by reason needs none", "the agent keeps no drop records: %s", why);
	return CLI_NO_AGENT;
}

static void see_pod(struct sight *s, struct json_object *pod)
{
	static const char *const dirs[] = { "ingress", "egress" };
	rs_autofree char *name = rs_asprintf("%s/%s", rs_json_text(pod, "namespace", "-"),
					     rs_json_text(pod, "name", "-"));
	struct line *l = line_of(s, name);

	free(rs_steal_ptr(&l->last));
	l->n = 0;
	for (int d = 0; d < 2; d++) {
		struct json_object *half = rs_json_get(pod, dirs[d]);
		const char *last = rs_json_text(half, "lastDrop", NULL);

		l->dir[d] = number(half, "dropRecords");
		if (__builtin_add_overflow(l->n, l->dir[d], &l->n))
			l->n = UINT64_MAX;
		/* Moments are RFC 3339: later ones sort behind. */
		if (last && (!l->last || strcmp(last, l->last) > 0)) {
			free(l->last);
			l->last = rs_strdup(last);
		}
	}
}

static int by_pod(struct cli_run *r, struct sight *s)
{
	struct json_object *req = json_object_new_object(), *items;
	rs_autojson struct json_object *o = NULL;
	int code;

	json_object_object_add(req, "all", json_object_new_boolean(true));
	code = cli_call(r, req, "pods", "PodList", &o);
	if (code)
		return code;
	items = rs_json_get(o, "items");
	for (size_t i = 0; i < cli_count(o, "items"); i++) {
		struct json_object *pod = json_object_array_get_idx(items, i);

		if (!rs_json_get(rs_json_get(pod, "ingress"), "dropRecords"))
			return no_records("it gives no number for any pod");
		see_pod(s, pod);
	}
	return 0;
}

/* A packet that several policies refuse counts for each of them. */
static void see_record(struct sight *s, struct json_object *record)
{
	static const char *const keys[] = { "ingress_denied_by", "egress_denied_by" };
	static const char *const dirs[] = { "ingress", "egress" };
	uint64_t n = number(record, "count");

	for (int d = 0; d < 2; d++) {
		struct json_object *list = rs_json_get(record, keys[d]);

		for (size_t i = 0; i < cli_count(record, keys[d]); i++) {
			struct json_object *p = json_object_array_get_idx(list, i);
			rs_autofree char *name =
				rs_asprintf("%s/%s %s", rs_json_text(p, "namespace", "-"),
					    rs_json_text(p, "name", "-"), dirs[d]);

			line_of(s, name)->n += n ? n : 1;
		}
	}
}

static int see_page(struct cli_run *r, struct sight *s, bool *more)
{
	struct json_object *req = json_object_new_object(), *items;
	rs_autojson struct json_object *o = NULL;
	int code;

	if (s->next)
		json_object_object_add(req, "from", json_object_new_int64(s->next));
	code = cli_call(r, req, "records", "FlowRecords", &o);
	if (code)
		return code;
	if (rs_json_text(o, "whyNone", NULL))
		return no_records(rs_json_text(o, "whyNone", ""));
	items = rs_json_get(o, "items");
	for (size_t i = 0; i < cli_count(o, "items"); i++)
		see_record(s, json_object_array_get_idx(items, i));
	*more = cli_true(o, "more") && (int64_t)number(o, "next") > s->next;
	s->next = (int64_t)number(o, "next");
	return 0;
}

static int by_policy(struct cli_run *r, struct sight *s)
{
	bool more = true;
	int code = 0;

	/* Of many nodes each is asked once. */
	for (int i = 0; i < MAX_LOOKS && more && code == 0; i++) {
		code = see_page(r, s, &more);
		more = more && !r->kube;
	}
	return code;
}

static int look(struct cli_run *r, struct sight *s)
{
	int64_t now = rs_mono_ms();
	int code;

	for (size_t i = 0; i < s->now.n; i++)
		s->now.v[i].before = s->now.v[i].n;
	s->before_ms = s->at_ms;
	switch (r->opt.by) {
	case CLI_BY_POD:
		code = by_pod(r, s);
		break;
	case CLI_BY_POLICY:
		code = by_policy(r, s);
		break;
	default:
		code = by_reason(r, s);
	}
	s->at_ms = code ? 0 : now;
	return code;
}

/* ---- what it means --------------------------------------------------------------------------- */

/* Since the look before. An agent that started anew has counted from 0 again. */
static uint64_t gained(const struct line *l)
{
	return l->n < l->before ? 0 : l->n - l->before;
}

/* Drops a second; below 0: not known. */
static double rate(const struct sight *s, const struct line *l)
{
	int64_t ms = s->at_ms - s->before_ms;

	if (!s->before_ms || ms <= 0)
		return -1;
	return (double)gained(l) * 1000.0 / (double)ms;
}

static int by_rate(const void *pa, const void *pb)
{
	const struct line *a = pa, *b = pb;
	uint64_t da = gained(a), db = gained(b);

	if (da != db)
		return da < db ? 1 : -1;
	if (a->n != b->n)
		return a->n < b->n ? 1 : -1;
	return strcmp(a->name, b->name);
}

static void split(const char *name, char **ns, char **rest)
{
	const char *slash = strchr(name, '/');

	*ns = slash ? rs_strndup(name, (size_t)(slash - name)) : NULL;
	*rest = rs_strdup(slash ? slash + 1 : name);
}

static struct json_object *line_json(const struct cli_run *r, const struct sight *s,
				     const struct line *l)
{
	struct json_object *o = json_object_new_object();
	rs_autofree char *ns = NULL, *name = NULL;
	char *space;

	split(l->name, &ns, &name);
	if (r->opt.by == CLI_BY_POLICY && (space = strrchr(name, ' '))) {
		*space = '\0';
		rs_json_add_str(o, "direction", space + 1);
	}
	rs_json_add_str(o, "namespace", ns);
	rs_json_add_str(o, ns ? "name" : "reason", name);
	if (r->opt.by == CLI_BY_POD) {
		json_object_object_add(o, "ingress", json_object_new_uint64(l->dir[0]));
		json_object_object_add(o, "egress", json_object_new_uint64(l->dir[1]));
		rs_json_add_str(o, "lastDrop", l->last);
	}
	json_object_object_add(o, ns ? "records" : "packets", json_object_new_uint64(l->n));
	if (rate(s, l) >= 0)
		json_object_object_add(o, "perSecond", json_object_new_double(rate(s, l)));
	return o;
}

static const char *by_name(const struct cli_run *r)
{
	return r->opt.by == CLI_BY_POD ? "pod" : r->opt.by == CLI_BY_POLICY ? "policy" : "reason";
}

static void put_object(struct cli_run *r, const struct sight *s)
{
	rs_autojson struct json_object *o = json_object_new_object();
	struct json_object *meta = json_object_new_object(), *items = json_object_new_array();

	rs_json_add_str(o, "apiVersion", "ripstop.dev/v1");
	rs_json_add_str(o, "kind", "Top");
	rs_json_add_str(meta, "source", "agent");
	rs_json_add_str(meta, "node", s->node);
	json_object_object_add(o, "metadata", meta);
	rs_json_add_str(o, "by", by_name(r));
	for (size_t i = 0; i < s->now.n; i++)
		if (s->now.v[i].n)
			json_object_array_add(items, line_json(r, s, &s->now.v[i]));
	json_object_object_add(o, "items", items);
	cli_put_object(r, o);
}

/* ---- for people ------------------------------------------------------------------------------ */

static const struct cli_column reasons[] = { { "REASON", false },
					     { "PER-S", true },
					     { "PACKETS", true } };
static const struct cli_column pods[] = { { "POD", false },    { "PER-S", true },
					  { "RECORDS", true }, { "INGRESS", true },
					  { "EGRESS", true },  { "LAST", false } };
static const struct cli_column policies[] = {
	{ "POLICY", false }, { "DIRECTION", false }, { "PER-S", true }, { "RECORDS", true }
};

static char *rate_cell(const struct sight *s, const struct line *l)
{
	return rate(s, l) < 0 ? NULL : rs_asprintf("%.1f", rate(s, l));
}

static char *safe(const char *text, size_t n)
{
	rs_autofree char *part = rs_strndup(text, n);
	rs_auto_strbuf b = { 0 };

	rs_strbuf_puts_safe(&b, part);
	return rs_strbuf_steal(&b);
}

static void put_row(const struct cli_run *r, const struct sight *s, const struct line *l,
		    struct cli_table *t)
{
	const char *space = strrchr(l->name, ' ');
	char *cells[6] = { safe(l->name, space ? (size_t)(space - l->name) : strlen(l->name)) };
	size_t i = 1;

	if (r->opt.by == CLI_BY_POLICY)
		cells[i++] = rs_strdup(space ? space + 1 : NULL);
	cells[i++] = rate_cell(s, l);
	cells[i++] = rs_asprintf("%llu", (unsigned long long)l->n);
	if (r->opt.by == CLI_BY_POD) {
		cells[i++] = rs_asprintf("%llu", (unsigned long long)l->dir[0]);
		cells[i++] = rs_asprintf("%llu", (unsigned long long)l->dir[1]);
		cells[i++] = l->last ? safe(l->last, strlen(l->last)) : NULL;
	}
	cli_table_row(t, cells);
}

static struct cli_table *table_of(const struct cli_run *r)
{
	size_t n_pods = RS_ARRAY_SIZE(pods), n_policies = RS_ARRAY_SIZE(policies);

	if (r->opt.by == CLI_BY_POD)
		return cli_table_new(pods, n_pods, 0, n_pods);
	if (r->opt.by == CLI_BY_POLICY)
		return cli_table_new(policies, n_policies, 0, n_policies);
	return cli_table_new(reasons, RS_ARRAY_SIZE(reasons), 0, RS_ARRAY_SIZE(reasons));
}

static void put_lines(struct cli_run *r, const struct sight *s)
{
	struct cli_table *t = table_of(r);
	size_t shown = 0;

	for (size_t i = 0; i < s->now.n; i++)
		if (s->now.v[i].n) {
			put_row(r, s, &s->now.v[i], t);
			shown++;
		}
	cli_table_end(r, t, "", !r->opt.no_headers);
	if (!shown && !cli_only_tables(r))
		cli_put(r, "nothing was dropped yet\n");
}

int cli_cmd_top(struct cli_run *r)
{
	struct sight *s = sight_of(r->many ? r->at_node : NULL);
	bool first = !s->at_ms;
	int code;

	if (r->opt.by_given && r->opt.by != CLI_BY_POD && r->opt.by < CLI_BY_POLICY) {
		cli_error("ripstop top --by pod", "top goes by policy, pod or reason");
		return CLI_USAGE;
	}
	code = look(r, s);
	if (code == 0 && first && !r->kube) {
		poll(NULL, 0, r->opt.interval_ms ? r->opt.interval_ms : PAUSE_MS);
		code = look(r, s);
	}
	if (code)
		return code;
	if (s->now.n)
		qsort(s->now.v, s->now.n, sizeof(*s->now.v), by_rate);
	if (cli_wants_object(r))
		put_object(r, s);
	else
		put_lines(r, s);
	return CLI_YES;
}
