// SPDX-License-Identifier: Apache-2.0
/* cmd_monitor.c - `ripstop monitor`: what was dropped, record by record. */
#include "cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "cli/put_record.h"

#define LAST 20
#define POLL_MS 500

/* A run of it. */
struct monitor {
	struct cli_run *r;
	char *pod;
	size_t shown;
	int64_t from;		   /* id of the next record that is not shown yet; 0: none is */
	struct json_object *first; /* the first answer: its counts are where we began */
	struct json_object *now;   /* the last answer, of which the items have been shown */
};

static bool streams(enum cli_output o)
{
	return o == CLI_TABLE || o == CLI_WIDE || o == CLI_JSONL || o == CLI_HUBBLE;
}

int cli_monitor_check(const struct cli_run *r)
{
	const char *v = r->opt.verdict;

	if (v && strcasecmp(v, "dropped") && strcasecmp(v, "denied")) {
		cli_error("leave --verdict out, or write --verdict dropped",
			  "there are records of dropped packets only, none with the verdict %s", v);
		return CLI_USAGE;
	}
	if (r->opt.follow && !streams(r->opt.output)) {
		cli_error("with --follow: table, wide, jsonl or hubble",
			  "--follow has no end, so it cannot make one object");
		return CLI_USAGE;
	}
	return 0;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static void add_number(struct json_object *o, const char *key, int64_t n)
{
	json_object_object_add(o, key, json_object_new_int64(n));
}

static int64_t number(struct json_object *o, const char *key)
{
	struct json_object *v = rs_json_get(o, key);

	return json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : 0;
}

static struct json_object *question(const struct monitor *m)
{
	const struct cli_options *opt = &m->r->opt;
	struct json_object *req = json_object_new_object();

	rs_json_add_str(req, "pod", m->pod);
	if (!m->pod)
		rs_json_add_str(req, "namespace", opt->namespace);
	rs_json_add_str(req, "reason", opt->reason);
	rs_json_add_str(req, "direction", opt->direction);
	if (m->from)
		add_number(req, "from", m->from);
	else if (opt->has_last && !opt->last)
		add_number(req, "from", INT64_MAX);
	else if (opt->has_last || !opt->since_ms)
		add_number(req, "last", opt->has_last ? opt->last : LAST);
	if (opt->since_ms)
		add_number(req, "sinceMs", opt->since_ms);
	return req;
}

static int nonsense(void)
{
	cli_error("are this program and the agent of one release? see: ripstop version",
		  "the agent's records do not go on from where they ended");
	return CLI_NO_AGENT;
}

static int ask(struct monitor *m)
{
	int64_t was = m->from, next;
	int code;

	json_object_put(m->now);
	m->now = NULL;
	code = cli_call(m->r, question(m), "records", "FlowRecords", &m->now);
	if (code)
		return code;
	next = number(m->now, "next");
	if (next < was && was > 1) { /* ids begin anew with an agent */
		m->from = 1;
		return ask(m);
	}
	if (next < 1 || (cli_true(m->now, "more") && next <= was))
		return nonsense();
	m->from = next;
	return 0;
}

/* ---- showing --------------------------------------------------------------------------------- */

static void show(struct monitor *m)
{
	struct json_object *items = rs_json_get(m->now, "items");

	m->shown += cli_count(m->now, "items");
	for (size_t i = 0; i < cli_count(m->now, "items"); i++) {
		struct json_object *item = json_object_array_get_idx(items, i);

		if (m->r->opt.output == CLI_JSONL && !m->r->list)
			cli_put_line(m->r, item);
		else if (m->r->opt.output == CLI_HUBBLE)
			cli_put_hubble(m->r, item);
		else
			cli_put_record(m->r, item);
	}
}

void cli_put_unseen(struct cli_run *r, const struct cli_unseen *u)
{
	if (r->opt.output != CLI_TABLE && r->opt.output != CLI_WIDE) {
		if (u->suppressed || u->lost)
			cli_warn("%lld dropped packets were suppressed by the log limit, %lld lost",
				 (long long)u->suppressed, (long long)u->lost);
		return;
	}
	cli_putf(r, "-- %lld suppressed by the log limit (%lld/s and pod), %lld lost, %s --\n",
		 (long long)u->suppressed, (long long)u->rate, (long long)u->lost, u->when);
}

bool cli_unseen_since(struct cli_unseen *u, struct json_object *first, struct json_object *now)
{
	struct json_object *then = rs_json_get(first, "counts"), *counts;
	int64_t suppressed, lost;

	counts = rs_json_get(now, "counts");
	suppressed = number(counts, "suppressed") - number(then, "suppressed");
	lost = number(counts, "lost") - number(then, "lost");
	if (!counts || suppressed < 0 || lost < 0)
		return false;
	u->rate = number(now, "ratePerPod");
	u->suppressed += suppressed;
	u->lost += lost;
	return true;
}

/* What was dropped and has no line here. */
static void put_footer(struct monitor *m)
{
	rs_autofree char *since = cli_cell(rs_json_get(m->now, "counts"), "since");
	rs_autofree char *when = rs_asprintf("since %s", since);
	struct cli_unseen u = { .when = m->r->opt.follow ? "while this followed" : when };

	if (cli_unseen_since(&u, m->r->opt.follow ? m->first : NULL, m->now))
		cli_put_unseen(m->r, &u);
}

/* There is a reason why nothing will ever come. */
static int refused(struct monitor *m)
{
	const char *why = rs_json_text(m->now, "whyNone", NULL);

	if (!why)
		return 0;
	cli_error("ripstop status tells the conditions of the agent", "there are no records: %s",
		  why);
	return CLI_NO_AGENT;
}

/* ---- once, and again ------------------------------------------------------------------------- */

/* All pages of what is there, as they come. */
static int stream_pages(struct monitor *m)
{
	int code;

	do {
		code = ask(m);
		if (!code)
			code = refused(m);
		if (code)
			return code;
		if (!m->first)
			m->first = json_object_get(m->now);
		show(m);
		/* Of many nodes, what each says goes out behind its name. */
		code = m->r->many ? 0 : cli_flush(m->r);
	} while (!code && cli_true(m->now, "more"));
	return code;
}

/* All pages as one object. */
static int one_object(struct monitor *m)
{
	struct json_object *items;
	int code = ask(m);

	if (!code)
		code = refused(m);
	if (code)
		return code;
	m->first = json_object_get(m->now);
	items = rs_json_get(m->first, "items");
	while (cli_true(m->now, "more") && !(code = ask(m)))
		for (size_t i = 0; i < cli_count(m->now, "items"); i++)
			json_object_array_add(items, json_object_get(json_object_array_get_idx(
							     rs_json_get(m->now, "items"), i)));
	if (code)
		return code;
	json_object_object_del(m->first, "more");
	cli_put_object(m->r, m->first);
	return CLI_YES;
}

/* Until a signal comes, which waits while an answer is shown. */
static int follow(struct monitor *m, const sigset_t *stop)
{
	const struct timespec wait = { .tv_nsec = POLL_MS * 1000000L };
	int code = 0;

	while (!code && sigtimedwait(stop, NULL, &wait) < 0)
		code = stream_pages(m);
	return code;
}

static int run(struct monitor *m)
{
	sigset_t stop, before;
	int code;

	if (!streams(m->r->opt.output) || m->r->list)
		return one_object(m);
	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTERM);
	if (m->r->opt.follow)
		sigprocmask(SIG_BLOCK, &stop, &before);
	code = stream_pages(m);
	if (!code && m->r->opt.follow)
		code = follow(m, &stop);
	if (!code) {
		if (!m->shown && !m->r->opt.follow)
			cli_warn("no record %s",
				 m->r->n_operands || m->r->opt.namespace || m->r->opt.reason ||
						 m->r->opt.direction || m->r->opt.since_ms
					 ? "fits"
					 : "of a dropped packet is there");
		put_footer(m);
	}
	if (m->r->opt.follow)
		sigprocmask(SIG_SETMASK, &before, NULL);
	return code;
}

int cli_cmd_monitor(struct cli_run *r)
{
	struct monitor m = { .r = r };
	int code = cli_monitor_check(r);

	if (!code) {
		m.pod = r->n_operands ? cli_qualified(r, r->operands[0]) : NULL;
		code = run(&m);
	}
	/* Of many nodes, this one knows it. */
	if (!code && r->n_operands)
		r->named[0] = true;
	json_object_put(m.first);
	json_object_put(m.now);
	free(m.pod);
	return code;
}
