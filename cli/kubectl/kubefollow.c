// SPDX-License-Identifier: Apache-2.0
/*
 * kubefollow.c - `kubectl ripstop monitor --follow`: `ripstop monitor --follow -o jsonl` in the
 * agents' containers, side by side, their lines as they come.
 *
 * A line is shown whole or not at all. Nobody waits for anybody: of each node a piece is read a
 * turn, and where our own reader is slow all of them are held: records that an agent keeps no more
 * by then are not shown. Before and after it the agents are asked for their counts.
 */
#include "cli/kubectl/kubectl.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/put_record.h"
#include "cli/term.h"

#define MAX_LINE (64 * RS_KIB)
#define MAX_DEPTH 32
#define ASK_MS 10000
#define GRACE_MS 1500
#define LAST_MS 3000 /* the user has pressed Ctrl-C and waits */

struct follow;

/* One node. */
struct follower {
	struct follow *f;
	const struct kube_agent *agent;
	struct rs_strbuf line;	   /* that has no end yet */
	struct json_object *first; /* its counts when we began; NULL: it is not followed */
	bool over;
};

struct follow {
	struct cli_run *r;
	struct kube_agents agents; /* at most KUBE_MAX_CHILDREN */
	struct kube_child child[KUBE_MAX_CHILDREN];
	struct follower of[KUBE_MAX_CHILDREN];
	char *pod;
	size_t width; /* of the longest name of a node; 0: there is one node, which is not told */
	struct kube_sink out;
	size_t n_failed;
	int code;  /* of those that failed; 4 when they differ */
	bool deaf; /* nobody reads us */
};

/* ---- who is followed ------------------------------------------------------------------------- */

/* A drop is recorded at the end that refused, which may be the other pod's node: all are
 * followed. */
static int narrow(struct follow *f, const char *node, struct kube_answer *a)
{
	struct cli_run *r = f->r;

	if (f->agents.n <= KUBE_MAX_CHILDREN)
		return 0;
	if (!node) {
		kube_refuse(a, CLI_USAGE,
			    rs_asprintf("%zu nodes: at most %d are followed at once", f->agents.n,
					KUBE_MAX_CHILDREN),
			    "name a pod or --node NODE; what every node dropped is in its drop log "
			    "(docs/monitor.md)");
		return a->code;
	}
	cli_warn(
		"%zu nodes, of which at most %d are followed at once: only %s is, and drops at the "
		"other end of this pod's flows are not seen",
		f->agents.n, KUBE_MAX_CHILDREN, node);
	kube_agents_clear(&f->agents);
	return kube_find_agents(r, node, &f->agents, a);
}

static int find(struct follow *f, struct kube_answer *a)
{
	struct cli_run *r = f->r;
	rs_autofree char *operand = r->n_operands ? cli_qualified(r, r->operands[0]) : NULL;
	struct kube_pod p = { 0 };
	int code = operand ? kube_find_pod(r, operand, &p, a) : 0;

	if (!code) {
		kube_answer_clear(a);
		f->pod = operand ? rs_asprintf("%s/%s", p.ns, p.name) : NULL;
		code = kube_find_agents(r, r->opt.node, &f->agents, a);
	}
	if (!code) {
		kube_answer_clear(a);
		code = narrow(f, p.node, a);
	}
	kube_pod_clear(&p);
	return code;
}

static char *safe_name(const char *node)
{
	rs_auto_strbuf b = { 0 };

	rs_strbuf_puts_safe(&b, node);
	return rs_strbuf_steal(&b);
}

static void measure(struct follow *f)
{
	for (size_t i = 0; i < f->agents.n && f->agents.n > 1; i++) {
		rs_autofree char *name = safe_name(f->agents.v[i].node);
		size_t width = cli_term_width(name);

		f->width = width > f->width ? width : f->width;
	}
}

/* ---- counts ---------------------------------------------------------------------------------- */

/* It is told once, and the others go on. */
static void failed(struct follower *t, const struct kube_answer *a)
{
	struct follow *f = t->f;

	t->over = true;
	kube_tell(a, t->agent->node);
	f->code = f->n_failed++ && f->code != a->code ? CLI_NO_AGENT : a->code;
}

/* The counts of those that are followed, of all of them at first. */
static void ask_counts(struct follow *f, struct kube_answer *answers, bool first)
{
	rs_autojson struct json_object *req = json_object_new_object();
	size_t i = 0;

	json_object_object_add(req, "from", json_object_new_int64(INT64_MAX));
	while (i < f->agents.n) {
		struct kube_agent asked[KUBE_AT_ONCE];
		struct kube_answer a[KUBE_AT_ONCE];
		size_t of[KUBE_AT_ONCE], n = 0;

		for (; i < f->agents.n && n < KUBE_AT_ONCE; i++)
			if (first || !f->of[i].over) {
				asked[n] = f->agents.v[i];
				of[n++] = i;
			}
		kube_ask(f->r, asked, n, "records", "FlowRecords", req, a);
		for (size_t k = 0; k < n; k++)
			answers[of[k]] = a[k];
	}
}

static void begin_counts(struct follow *f)
{
	struct kube_answer a[KUBE_MAX_CHILDREN] = { 0 };

	f->r->kube->deadline =
		rs_mono_ms() + (f->r->opt.timeout_ms ? f->r->opt.timeout_ms : ASK_MS);
	ask_counts(f, a, true);
	for (size_t i = 0; i < f->agents.n; i++) {
		struct follower *t = &f->of[i];

		*t = (struct follower){ .f = f, .agent = &f->agents.v[i] };
		if (a[i].code && !kube_caught())
			failed(t, &a[i]);
		t->over = a[i].code != 0;
		t->first = json_object_get(a[i].o);
		kube_answer_clear(&a[i]);
	}
}

static void put_footer(struct follow *f)
{
	struct kube_answer a[KUBE_MAX_CHILDREN] = { 0 };
	struct cli_unseen u = { 0 };
	rs_autofree char *when = NULL;
	size_t n = 0;

	f->r->kube->deadline = rs_mono_ms() + LAST_MS;
	ask_counts(f, a, false);
	for (size_t i = 0; i < f->agents.n; i++) {
		if (a[i].o && cli_unseen_since(&u, f->of[i].first, a[i].o))
			n++;
		kube_answer_clear(&a[i]);
	}
	when = n == f->agents.n
		       ? rs_strdup("while this followed")
		       : rs_asprintf("while this followed, on %zu of %zu nodes", n, f->agents.n);
	u.when = when;
	if (n)
		cli_put_unseen(f->r, &u);
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* What the commands made, on its way. Programs read UTF-8. */
static void give(struct follow *f)
{
	char *text = rs_strbuf_steal(&f->r->out);
	rs_autofree char *out = cli_wants_object(f->r) ? text : cli_term_text(text);

	kube_sink_add(&f->out, out, strlen(out));
}

static void put_record(struct follower *t, struct json_object *o)
{
	struct follow *f = t->f;
	rs_autofree char *name = safe_name(t->agent->node);

	if (f->r->opt.output == CLI_JSONL) {
		if (!rs_json_get(o, "node_name"))
			rs_json_add_str(o, "node_name", t->agent->node);
		cli_put_line(f->r, o);
	} else if (f->r->opt.output == CLI_HUBBLE) {
		cli_put_hubble(f->r, o);
	} else {
		if (f->width)
			cli_putf(f->r, "%s%*s  ", name, (int)(f->width - cli_term_width(name)), "");
		cli_put_record(f->r, o);
	}
	give(f);
}

/* It does not speak as it should: nothing more is taken from it. */
static void refuse(struct follower *t, struct kube_child *c, char *why)
{
	struct kube_answer a = { 0 };

	kube_refuse(&a, CLI_NO_AGENT, why,
		    "are this program and the agents of one release? see: kubectl ripstop version");
	failed(t, &a);
	kube_answer_clear(&a);
	kube_stop(c);
}

static void put_line(struct follower *t, struct kube_child *c)
{
	rs_autojson struct json_object *o = NULL;
	rs_auto_err err = { 0 };

	if (rs_json_parse(rs_strbuf_str(&t->line), t->line.len, MAX_DEPTH, &o, &err) < 0)
		refuse(t, c, rs_asprintf("its record cannot be used: %s", rs_err_str(&err)));
	else
		put_record(t, o);
	rs_strbuf_reset(&t->line);
}

static void take(struct kube_child *c, const char *data, size_t n)
{
	struct follower *t = c->arg;

	while (n && !t->over) {
		const char *end = memchr(data, '\n', n);
		size_t len = end ? (size_t)(end - data) : n;

		if (t->line.len + len > MAX_LINE) {
			refuse(t, c,
			       rs_asprintf("it says a line of more than %zu KiB",
					   MAX_LINE / RS_KIB));
			return;
		}
		rs_strbuf_add(&t->line, data, len);
		if (!end)
			return;
		put_line(t, c);
		data += len + 1;
		n -= len + 1;
	}
}

/* ---- following ------------------------------------------------------------------------------- */

static void flag(struct kube_child *c, const char *name, const char *value)
{
	rs_autofree char *word = value ? rs_asprintf("--%s=%s", name, value) : NULL;

	if (word)
		kube_word(c, word);
}

static void question(struct follow *f, struct kube_child *c)
{
	const struct cli_options *o = &f->r->opt;
	rs_autofree char *last = o->has_last ? rs_asprintf("%d", o->last) : NULL;
	rs_autofree char *ms = o->timeout_ms ? rs_asprintf("%dms", o->timeout_ms) : NULL;
	rs_autofree char *since =
		o->since_ms ? rs_asprintf("%llds", (long long)o->since_ms / 1000) : NULL;

	kube_words(c, (const char *const[]){ "monitor", "--follow", "-o", "jsonl", NULL });
	flag(c, "socket", o->socket);
	flag(c, "timeout", ms);
	flag(c, "last", last);
	flag(c, "since", since);
	flag(c, "reason", o->reason);
	flag(c, "direction", o->direction);
	if (f->pod)
		kube_words(c, (const char *const[]){ "--", f->pod, NULL });
	else
		flag(c, "namespace", o->namespace);
}

static void start(struct follow *f)
{
	for (size_t i = 0; i < f->agents.n; i++) {
		struct kube_child *c = &f->child[i];

		if (f->of[i].over)
			continue;
		kube_enter(f->r, c, f->of[i].agent, true);
		question(f, c);
		c->take = take;
		c->grace_ms = GRACE_MS;
		c->arg = &f->of[i];
		kube_start(c);
	}
}

/* Those that have ended of themselves. */
static void tell_ended(struct follow *f)
{
	for (size_t i = 0; i < f->agents.n && !kube_caught(); i++) {
		struct follower *t = &f->of[i];
		struct kube_answer a = { 0 };

		if (t->over || f->child[i].pid)
			continue;
		if (!kube_failed(&f->child[i], true, &a))
			kube_refuse(&a, CLI_NO_AGENT,
				    rs_strdup("it is not followed any more: its monitor ended"),
				    NULL);
		failed(t, &a);
		kube_answer_clear(&a);
	}
}

static void hold(struct follow *f)
{
	bool full = kube_sink_full(&f->out);

	for (size_t i = 0; i < f->agents.n; i++)
		f->child[i].held = full;
}

static void end(struct follow *f)
{
	for (size_t i = 0; i < f->agents.n; i++)
		kube_stop(&f->child[i]);
	while (kube_turn(f->child, f->agents.n, 0, NULL))
		;
}

/* Until a signal comes, nobody reads us, or nobody is left. */
static void follow(struct follow *f)
{
	struct pollfd out = { .fd = STDOUT_FILENO };

	start(f);
	tell_ended(f);
	do {
		out.events = kube_sink_left(&f->out) ? POLLOUT : 0;
		if (!kube_turn(f->child, f->agents.n, 0, &out))
			break;
		tell_ended(f);
		kube_sink_flush(&f->out);
		hold(f);
		f->deaf = f->out.error || out.revents & (POLLERR | POLLHUP | POLLNVAL);
	} while (!f->deaf);
	end(f);
}

static int conclude(struct follow *f)
{
	if (f->out.error && f->out.error != EPIPE) {
		cli_error(NULL, "write the answer: %s", strerror(f->out.error));
		return CLI_NO_AGENT;
	}
	if (!f->n_failed || f->deaf)
		return CLI_YES;
	if (f->n_failed == f->agents.n)
		return f->code;
	cli_error(NULL, "%zu of %zu nodes were not followed to the end", f->n_failed, f->agents.n);
	return CLI_PARTIAL;
}

static int run(struct follow *f)
{
	struct kube_answer a = { 0 };
	int code = find(f, &a);
	bool stopped;

	if (code && !kube_caught())
		kube_tell(&a, NULL);
	kube_answer_clear(&a);
	if (code)
		return kube_caught() ? CLI_YES : code;
	measure(f);
	begin_counts(f);
	if (!kube_caught())
		follow(f);
	/* A second Ctrl-C ends the asking. */
	stopped = kube_caught();
	kube_forget();
	if (!f->deaf && f->n_failed < f->agents.n)
		put_footer(f);
	give(f);
	if (!f->deaf)
		kube_sink_finish(&f->out, stopped ? LAST_MS : -1);
	return conclude(f);
}

int kube_follow(struct cli_run *r)
{
	struct follow f = { .r = r, .out = { .fd = STDOUT_FILENO } };
	int code = cli_monitor_check(r);

	if (code)
		return code;
	if (!kube_catch())
		return CLI_NO_AGENT;
	code = run(&f);
	kube_release();
	for (size_t i = 0; i < f.agents.n && i < KUBE_MAX_CHILDREN; i++) {
		kube_child_clear(&f.child[i]);
		rs_strbuf_free(&f.of[i].line);
		json_object_put(f.of[i].first);
	}
	kube_agents_clear(&f.agents);
	kube_sink_clear(&f.out);
	free(f.pod);
	return code;
}
