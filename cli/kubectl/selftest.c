// SPDX-License-Identifier: Apache-2.0
/*
 * selftest.c - `kubectl ripstop test --self`: does an installation do what it is for? Two pods of
 * our own, policies that deny and allow, packets between the pods, and what explain says of them.
 *
 * A policy counts once its pod's node has committed it (kubewait.c): from then on the first packet
 * decides, and no second one is tried. Packets that fare otherwise than explain says are a bug of
 * ours; only where nothing ever came through, even without a policy, the network may be to blame.
 */
#include "cli/kubectl/selftest.h"

#include <stdio.h>
#include <string.h>

#include "cli/hidden.h"
#include "cli/wait.h"

#define MAX_FLOWS 2
#define MAX_PROBES (MAX_FLOWS * 2) /* and families */
#define EXPLAIN_MS 20000
#define ASK_MS 10000
/* A pod that is ready here may be news to the agent of the other node. */
#define SETTLE_MS 15000
#define PAUSE_MS 500

#define SERVER "{\"matchLabels\":{\"ripstop.dev/selftest\":\"server\"}}"
#define CLIENT "{\"matchLabels\":{\"ripstop.dev/selftest\":\"client\"}}"

static const struct phase {
	const char *name;
	const char *policy, *spec; /* NULL: none is applied */
	bool of_client;		   /* the policy is about the client, not the server */
	struct flow {
		int port; /* 0: none */
		bool allow;
	} flows[MAX_FLOWS];
} phases[] = {
	{ "without a policy",
	  NULL,
	  NULL,
	  false,
	  { { SELF_PORT, true }, { SELF_OTHER_PORT, true } } },
	{ "default deny",
	  "default-deny",
	  "{\"podSelector\":{},\"policyTypes\":[\"Ingress\"]}",
	  false,
	  { { SELF_PORT, false } } },
	{ "one port allowed",
	  "allow-client",
	  "{\"podSelector\":" SERVER ",\"policyTypes\":[\"Ingress\"],\"ingress\":[{\"from\":"
	  "[{\"podSelector\":" CLIENT "}],\"ports\":[{\"protocol\":\"TCP\",\"port\":8080}]}]}",
	  false,
	  { { SELF_PORT, true }, { SELF_OTHER_PORT, false } } },
	{ "egress denied",
	  "client-stays",
	  "{\"podSelector\":" CLIENT ",\"policyTypes\":[\"Egress\"]}",
	  true,
	  { { SELF_PORT, false } } },
};

_Static_assert(SELF_PORT == 8080, "allow-client allows it");

static struct self_check *add(struct self_test *t, const char *phase, const char *what)
{
	struct self_check *c = rs_vec_push(&t->checks);

	c->name = rs_asprintf("%s%s%s", phase, *what ? ": " : "", what);
	return c;
}

static void settle(struct self_check *c, bool ok, char *found, const char *hint)
{
	free(c->found);
	free(c->hint);
	c->result = ok ? SELF_OK : SELF_FAILED;
	c->found = found;
	c->hint = ok ? NULL : rs_strdup(hint);
}

/* ---- packets --------------------------------------------------------------------------------- */

static void question(const struct self_test *t, const struct self_check *x, struct kube_child *c)
{
	rs_autofree char *port = rs_asprintf("%d", x->port);

	c->max_out = 4 * RS_KIB;
	kube_begin(t->r, c, "exec");
	kube_words(c, (const char *const[]){ "-n", t->ns, t->client.name, "-c", "peer", "--",
					     "ripstop", "__connect", x->to, port, NULL });
}

static bool is_greeting(const struct self_test *t, const struct kube_child *c)
{
	rs_autofree char *want = rs_asprintf(CLI_PEER_GREETING "%s\n", t->server.name);

	return !strcmp(rs_strbuf_str(&c->out), want);
}

/* The exit codes of `ripstop __connect`. A kubectl that fails says nothing of packets. */
static void take_fate(struct self_test *t, const struct kube_child *c, struct self_check *x)
{
	struct kube_answer a = { 0 };

	free(rs_steal_ptr(&x->found));
	x->packets = SELF_UNKNOWN;
	if (!kube_failed(c, true, &a)) {
		x->packets = c->status ? SELF_DROP : SELF_PASS;
		if (x->packets == SELF_PASS && !is_greeting(t, c)) {
			x->packets = SELF_REFUSED;
			x->found = rs_strdup("somebody else answered");
		}
	} else if (a.code == CLI_NOT_FOUND) {
		x->packets = SELF_REFUSED;
		x->found = rs_steal_ptr(&a.cause);
	} else if (!t->why.code) {
		t->why = a;
		return;
	}
	kube_answer_clear(&a);
}

static int send_packets(struct self_test *t, struct self_check *x, size_t n)
{
	struct kube_child c[MAX_PROBES] = { 0 };

	for (size_t i = 0; i < n; i++)
		question(t, &x[i], &c[i]);
	kube_spawn(c, n, rs_mono_ms() + SELF_CALL_MS);
	for (size_t i = 0; i < n; i++) {
		take_fate(t, &c[i], &x[i]);
		kube_child_clear(&c[i]);
	}
	return t->why.code;
}

/* ---- what explain says ----------------------------------------------------------------------- */

static enum self_fate fate_of(const char *verdict)
{
	return !strcmp(verdict, "allowed")  ? SELF_PASS
	       : !strcmp(verdict, "denied") ? SELF_DROP
					    : SELF_UNKNOWN;
}

static char *pod_of(const struct self_test *t, const struct self_end *e)
{
	return rs_asprintf("%s/%s", t->ns, e->name);
}

/* The half that nobody judged. */
static const char *why_unknown(struct json_object *o)
{
	static const char *const halves[] = { "egress", "ingress" };

	for (size_t i = 0; i < RS_ARRAY_SIZE(halves); i++) {
		struct json_object *half = rs_json_get(o, halves[i]);

		if (!cli_true(half, "known"))
			return rs_json_text(half, "reason", NULL);
	}
	return NULL;
}

/* *why: of an answer that is none; the caller frees it. What is told meanwhile says the same. */
static enum self_fate explain(struct self_test *t, const struct self_check *x, char **why)
{
	rs_autofree char *src = pod_of(t, &t->client), *dst = pod_of(t, &t->server);
	rs_autofree char *port = rs_asprintf("%d", x->port);
	rs_autojson struct json_object *req = json_object_new_object();
	struct kube_answer a = { 0 };
	enum self_fate fate = SELF_UNKNOWN;
	rs_auto_strbuf told = { 0 };

	rs_json_add_str(req, "src", src);
	rs_json_add_str(req, "dst", dst);
	rs_json_add_str(req, "port", port);
	json_object_object_add(req, "family", json_object_new_int(strchr(x->to, ':') ? 6 : 4));
	t->r->kube->deadline = rs_mono_ms() + EXPLAIN_MS;
	t->r->opt.timeout_ms = ASK_MS;
	cli_say_into(&told);
	kube_explain(t->r, req, &a);
	cli_say_into(&t->said);
	if (!a.code)
		fate = fate_of(rs_json_text(a.o, "verdict", ""));
	if (fate == SELF_UNKNOWN)
		*why = rs_strdup(a.code ? a.cause : why_unknown(a.o));
	kube_answer_clear(&a);
	return fate;
}

/* ---- judging --------------------------------------------------------------------------------- */

static const char *packets_word(enum self_fate f)
{
	return f == SELF_PASS ? "answered" : f == SELF_DROP ? "dropped" : "refused";
}

static const char *explain_word(enum self_fate f)
{
	return f == SELF_PASS ? "allowed" : f == SELF_DROP ? "denied" : "no verdict";
}

static bool is_as_expected(const struct self_check *x)
{
	enum self_fate want = x->allow ? SELF_PASS : SELF_DROP;

	return x->packets == want && x->explain == want;
}

static const char *hint_of(const struct self_check *x, bool baseline, bool disagrees)
{
	if (disagrees)
		return "this is a bug of ours: kubectl ripstop bundle makes an archive for a "
		       "report";
	if (x->explain == SELF_UNKNOWN)
		return "kubectl ripstop status tells how the agents are";
	if (baseline)
		return "do packets pass between these nodes? routes, the cloud's firewall, "
		       "kubectl ripstop status; kubectl ripstop monitor --since 5m shows drops of "
		       "ours";
	return "kubectl ripstop status and policies tell what the agents have";
}

/* Packets that fare otherwise than explain says. One that was refused was judged by somebody else;
 * and where nothing is denied, what does not arrive may be lost on the way. */
static bool differs(const struct self_check *x, bool baseline)
{
	if (x->packets == SELF_PASS)
		return x->explain == SELF_DROP;
	return !baseline && x->packets == SELF_DROP && x->explain == SELF_PASS;
}

/* `why`: explain's, where it gave no verdict. */
static void judge(struct self_test *t, struct self_check *x, bool baseline, const char *why)
{
	rs_autofree char *more = rs_steal_ptr(&x->found);
	rs_auto_strbuf found = { 0 };

	rs_strbuf_puts(&found, packets_word(x->packets));
	if (more)
		rs_strbuf_printf(&found, " (%s)", more);
	rs_strbuf_printf(&found, "; explain: %s", explain_word(x->explain));
	if (why)
		rs_strbuf_printf(&found, " (%s)", why);
	t->disagrees = t->disagrees || differs(x, baseline);
	settle(x, is_as_expected(x), rs_strbuf_steal(&found),
	       hint_of(x, baseline, differs(x, baseline)));
}

static bool all_ok(const struct self_check *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (x[i].result != SELF_OK)
			return false;
	return true;
}

static int probe(struct self_test *t, struct self_check *x, size_t n, bool baseline)
{
	if (send_packets(t, x, n))
		return t->why.code;
	for (size_t i = 0; i < n && !kube_caught(); i++) {
		rs_autofree char *why = NULL;

		x[i].explain = explain(t, &x[i], &why);
		judge(t, &x[i], baseline, why);
	}
	return 0;
}

/* The checks of a phase: each flow by each family that comes through at all. */
static size_t plan(struct self_test *t, const struct phase *p)
{
	size_t n = 0;

	for (size_t f = 0; f < MAX_FLOWS && p->flows[f].port; f++)
		for (size_t i = 0; i < t->server.n_ips; i++) {
			const struct flow *flow = &p->flows[f];
			rs_autofree char *what = rs_asprintf("tcp/%d is %s", flow->port,
							     flow->allow ? "answered" : "dropped");
			struct self_check *x;

			if (t->server.mute[i])
				continue;
			x = add(t, p->name, what);
			x->to = rs_strdup(t->server.ips[i]);
			x->port = flow->port;
			x->allow = flow->allow;
			n++;
		}
	return n;
}

/* Denials of a family in which nothing ever arrives would prove nothing. */
static bool mute(struct self_test *t, const struct self_check *x, size_t n)
{
	bool any = false;

	for (size_t i = 0; i < t->server.n_ips; i++) {
		for (size_t k = 0; k < n; k++)
			if (!strcmp(x[k].to, t->server.ips[i]) && x[k].result != SELF_OK)
				t->server.mute[i] = true;
		any = any || !t->server.mute[i];
	}
	return any;
}

/* Without policies a second packet may do what the first did not: the agents learn of the pods. */
static int baseline(struct self_test *t, const struct phase *p, int timeout_ms, bool *go_on)
{
	size_t n = plan(t, p);
	struct self_check *x = &t->checks.v[t->checks.n - n];
	int64_t end =
		rs_mono_ms() + (timeout_ms && timeout_ms < SETTLE_MS ? timeout_ms : SETTLE_MS);
	int code;

	do {
		t->disagrees = false;
		code = probe(t, x, n, true);
	} while (!code && !all_ok(x, n) && rs_mono_ms() < end && !kube_rest(PAUSE_MS));
	*go_on = mute(t, x, n);
	return code;
}

/* ---- phases ---------------------------------------------------------------------------------- */

/* Until the pod's node has committed it. */
static int enforce(struct self_test *t, const struct phase *p, int timeout_ms, bool *go_on)
{
	rs_autofree char *object = self_policy(t, p->policy, p->spec);
	const char *node = p->of_client ? t->client.node : t->server.node;
	rs_autofree char *what = rs_asprintf("the policy is in force on %s", node);
	struct self_check *c = add(t, p->name, what);
	struct cli_wait w = { .policy = true, .ns = t->ns, .name = (char *)p->policy };
	rs_autojson struct json_object *nodes = NULL;
	int code = self_create(t, object);

	if (code)
		return code;
	t->r->opt.node = node;
	code = cli_wait(t->r, &w, timeout_ms ? timeout_ms : CLI_WAIT_MS, &nodes, go_on);
	t->r->opt.node = NULL;
	free(w.uid);
	if (code && code != CLI_TIMEOUT)
		return code;
	*go_on = *go_on && !code;
	settle(c, *go_on,
	       *go_on ? rs_strdup("committed")
	       : code ? rs_strdup("kubectl gave no answer in time")
		      : cli_wait_why(nodes),
	       "kubectl ripstop status says what an agent waits for; --timeout waits longer");
	return 0;
}

static void not_run(struct self_test *t, const struct phase *p, const char *why)
{
	struct self_check *c = add(t, p->name, "");

	c->found = rs_asprintf("not run: %s", why);
}

static int run_phase(struct self_test *t, const struct phase *p, int timeout_ms, const char **stop)
{
	bool go_on = true;
	size_t n;
	int code;

	if (!p->policy) {
		code = baseline(t, p, timeout_ms, &go_on);
		*stop = go_on ? NULL : "nothing comes through without a policy";
		return code;
	}
	code = enforce(t, p, timeout_ms, &go_on);
	if (code || !go_on) {
		*stop = "the policy before is not in force";
		return code;
	}
	n = plan(t, p);
	return probe(t, &t->checks.v[t->checks.n - n], n, false);
}

static int wait_ready(struct self_test *t, const char **stop)
{
	struct self_check *c = add(t, "the pods are ready", "");
	rs_autofree char *trouble = NULL;
	int code = self_pods(t, &trouble);
	bool ready = !trouble;

	if (code || kube_caught())
		return code;
	if (!ready)
		*stop = "the pods are not ready";
	settle(c, ready,
	       trouble ? rs_steal_ptr(&trouble)
		       : rs_asprintf("%s on %s, %s on %s", t->server.name, t->server.node,
				     t->client.name, t->client.node),
	       "--keep leaves them for kubectl describe; images are pulled without the agents' "
	       "secrets");
	return 0;
}

/* 0, or a code: it could not be run on. */
static int run_all(struct self_test *t)
{
	int timeout_ms = t->r->opt.timeout_ms, code;
	const char *stop = NULL;

	code = self_prepare(t);
	if (!code && !kube_caught())
		code = wait_ready(t, &stop);
	for (size_t i = 0; i < RS_ARRAY_SIZE(phases) && !code && !kube_caught(); i++) {
		cli_progress_step(i + 1);
		if (stop)
			not_run(t, &phases[i], stop);
		else
			code = run_phase(t, &phases[i], timeout_ms, &stop);
	}
	return code;
}

/* ---- the end --------------------------------------------------------------------------------- */

static void clean_up(struct self_test *t, bool wait)
{
	rs_autofree char *why = NULL, *hint = NULL;

	if (!t->made || t->r->opt.keep)
		return;
	why = self_remove(t, wait);
	hint = rs_asprintf("kubectl delete namespace %s", t->ns);
	if (wait)
		settle(add(t, "all of it is removed", ""), !why,
		       why ? rs_asprintf("namespace %s: %s", t->ns, why)
			   : rs_asprintf("namespace %s", t->ns),
		       hint);
	else if (why)
		cli_error(hint, "namespace %s was not removed: %s", t->ns, why);
}

static int exit_of(const struct self_test *t)
{
	if (t->disagrees) {
		cli_error("kubectl ripstop bundle makes an archive for a report",
			  "packets fare otherwise than explain says");
		return CLI_DISAGREES;
	}
	return self_count(t, SELF_FAILED) ? CLI_NO : CLI_YES;
}

/* After a signal what was said on the way is about that only. */
static void tell(struct self_test *t, int code)
{
	cli_progress_hide();
	if (kube_caught()) {
		cli_error(t->r->opt.keep && t->made ? "--keep: its namespace stays" : NULL,
			  "interrupted");
		return;
	}
	fputs(rs_strbuf_str(&t->said), stderr);
	if (t->why.code)
		kube_tell(&t->why, NULL);
	else if (code && !t->said.len)
		cli_error(NULL, "test --self could not be run on");
}

static int run(struct self_test *t)
{
	bool stopped;
	int code;

	cli_progress_begin(t->r, "testing", RS_ARRAY_SIZE(phases) + 1);
	cli_say_into(&t->said);
	code = run_all(t);
	cli_say_into(NULL);
	stopped = kube_caught();
	if (code || stopped || t->said.len)
		tell(t, code);
	clean_up(t, !code && !stopped);
	cli_progress_end();
	if (code || stopped)
		return code == CLI_TIMEOUT && !stopped ? code : CLI_NO_AGENT;
	self_put(t->r, t);
	return exit_of(t);
}

static void clear_end(struct self_end *e)
{
	while (e->n_ips)
		free(e->ips[--e->n_ips]);
	free(e->node);
}

static void clear(struct self_test *t)
{
	for (size_t i = 0; i < t->checks.n; i++) {
		struct self_check *c = &t->checks.v[i];

		free(c->name);
		free(c->to);
		free(c->found);
		free(c->hint);
	}
	rs_vec_free(&t->checks);
	rs_strbuf_free(&t->said);
	clear_end(&t->server);
	clear_end(&t->client);
	json_object_put(t->pull_secrets);
	kube_answer_clear(&t->why);
	free(t->pull_policy);
	free(t->image);
	free(t->ns);
}

int kube_selftest(struct cli_run *r)
{
	struct self_test t = { .r = r, .server.name = "server", .client.name = "client" };
	int code = cli_self_check(r);

	if (code)
		return code;
	if (!kube_catch())
		return CLI_NO_AGENT;
	code = run(&t);
	kube_release();
	clear(&t);
	return code;
}
