// SPDX-License-Identifier: Apache-2.0
/* kubeask.c - a question to agents: `kubectl exec POD -c agent -- ripstop VERB -o json`. */
#include "cli/kubectl/kubectl.h"

#include <string.h>

void kube_begin(const struct cli_run *r, struct kube_child *c, const char *verb)
{
	size_t i;

	kube_word(c, "kubectl");
	for (i = 0; i < r->n_flags; i++)
		kube_word(c, r->flags[i]);
	kube_word(c, verb);
}

static void flag(struct kube_child *c, const char *name, const char *value)
{
	rs_autofree char *word = value ? rs_asprintf("%s=%s", name, value) : NULL;

	if (word)
		kube_word(c, word);
}

/* Names that an object gave stand behind "--": they are no flags. */
static void operands(struct kube_child *c, struct json_object *req)
{
	const char *ns = rs_json_text(req, "namespace", NULL);
	const char *name = rs_json_text(req, "name", NULL), *src = rs_json_text(req, "src", NULL);
	const char *one = rs_json_text(req, "pod", NULL);
	rs_autofree char *joined = name ? rs_asprintf("%s/%s", ns, name) : NULL;

	if (joined)
		one = joined;
	if (one)
		kube_words(c, (const char *const[]){ "--", one, NULL });
	else if (src)
		kube_words(c, (const char *const[]){ "--", src, rs_json_text(req, "dst", ""),
						     rs_json_text(req, "port", ""), NULL });
}

/* The agent's own ripstop puts the pages together, so there is no "from". */
static void record_flags(struct kube_child *c, struct json_object *req)
{
	rs_autofree char *last = cli_cell_number(req, "last");
	struct json_object *ms = rs_json_get(req, "sinceMs");
	rs_autofree char *since =
		ms ? rs_asprintf("%llds", (long long)json_object_get_int64(ms) / 1000) : NULL;

	flag(c, "--last", rs_json_get(req, "from") ? "0" : rs_json_get(req, "last") ? last : NULL);
	flag(c, "--since", since);
	flag(c, "--reason", rs_json_text(req, "reason", NULL));
	flag(c, "--direction", rs_json_text(req, "direction", NULL));
}

void kube_enter(const struct cli_run *r, struct kube_child *c, const struct kube_agent *agent,
		bool leashed)
{
	kube_begin(r, c, "exec");
	if (leashed)
		kube_word(c, "-i");
	kube_words(c, (const char *const[]){ "-n", kube_agent_namespace(r), agent->pod, "-c",
					     "agent", "--", "ripstop", NULL });
	if (leashed)
		kube_word(c, "__leash");
	c->leashed = leashed;
	c->node = agent->node;
}

void kube_not_running(const struct cli_run *r, const struct kube_agent *agent,
		      struct kube_answer *a)
{
	rs_autofree char *hint = rs_asprintf("kubectl -n %s describe pod %s tells more",
					     kube_agent_namespace(r), agent->pod);

	kube_refuse(a, CLI_NO_AGENT, rs_asprintf("pod %s: %s", agent->pod, agent->trouble), hint);
}

static void exec(struct cli_run *r, struct kube_child *c, const struct kube_agent *agent,
		 const char *op, struct json_object *req)
{
	const char *verb = strcmp(op, "records") ? op : "monitor";
	struct json_object *family = rs_json_get(req, "family");
	rs_autofree char *ms = r->opt.timeout_ms ? rs_asprintf("%dms", r->opt.timeout_ms) : NULL;

	kube_enter(r, c, agent, false);
	kube_words(c, (const char *const[]){ verb, "-o", "json", NULL });
	flag(c, "--socket", r->opt.socket);
	flag(c, "--timeout", ms);
	if (family)
		flag(c, "--family", json_object_get_int(family) == 6 ? "6" : "4");
	if (cli_true(req, "check"))
		kube_word(c, "--check");
	if (cli_true(req, "repair"))
		kube_word(c, "--repair");
	if (cli_true(req, "kernel"))
		kube_word(c, "--kernel");
	if (verb != op)
		record_flags(c, req);
	if (!rs_json_get(req, "name"))
		flag(c, "--namespace", rs_json_text(req, "namespace", NULL));
	operands(c, req);
	c->max_out = KUBE_MAX_ANSWER;
}

void kube_ask(struct cli_run *r, const struct kube_agent *v, size_t n, const char *op,
	      const char *kind, struct json_object *request, struct kube_answer *answers)
{
	struct kube_child c[KUBE_AT_ONCE] = { 0 };
	size_t of[KUBE_AT_ONCE], i, asked = 0;

	for (i = 0; i < n; i++) {
		memset(&answers[i], 0, sizeof(answers[i]));
		if (v[i].trouble) {
			kube_not_running(r, &v[i], &answers[i]);
			continue;
		}
		exec(r, &c[asked], &v[i], op, request);
		of[asked++] = i;
	}
	kube_spawn(c, asked, r->kube->deadline);
	for (i = 0; i < asked; i++) {
		kube_read(&c[i], kind, true, false, &answers[of[i]]);
		kube_child_clear(&c[i]);
	}
}

void kube_ask_node(struct cli_run *r, const char *node, const char *op, const char *kind,
		   struct json_object *request, struct kube_answer *a)
{
	struct kube_agents agents = { 0 };

	if (kube_find_agents(r, node, &agents, a) == 0) {
		kube_answer_clear(a);
		kube_ask(r, agents.v, 1, op, kind, request, a);
	}
	kube_agents_clear(&agents);
}

/* ---- the commands' question ------------------------------------------------------------------ */

static void forget(struct kube *k)
{
	while (k->n_answers)
		kube_answer_clear(&k->answers[--k->n_answers]);
}

/* The one whose turn it is, asked together with those that come next. */
static struct kube_answer *answer_in_turn(struct cli_run *r, const char *op, const char *kind,
					  struct json_object *request)
{
	struct kube *k = r->kube;

	if (k->none.code)
		return &k->none;
	if (k->turn >= k->asked + k->n_answers) {
		size_t left = k->agents.n - k->turn;

		forget(k);
		cli_progress_step(k->turn);
		k->asked = k->turn;
		k->n_answers = left < KUBE_AT_ONCE ? left : KUBE_AT_ONCE;
		kube_ask(r, &k->agents.v[k->asked], k->n_answers, op, kind, request, k->answers);
	}
	return &k->answers[k->turn - k->asked];
}

int cli_call(struct cli_run *r, struct json_object *request, const char *op, const char *kind,
	     struct json_object **result)
{
	rs_autojson struct json_object *req = request;
	struct kube_answer own = { 0 }, *a = &own;
	const char *node = NULL;
	int code;

	if (!strcmp(op, "rules")) {
		kube_rules(r, req, &own);
	} else if (!strcmp(op, "explain")) {
		kube_explain(r, req, &own);
	} else {
		a = answer_in_turn(r, op, kind, req);
		node = r->many && !r->kube->none.code ? r->kube->agents.v[r->kube->turn].node
						      : NULL;
	}
	/* On one of many nodes: another may know it. */
	code = a->code;
	if (code && !(r->many && code == CLI_NOT_FOUND))
		kube_tell(a, node);
	*result = rs_steal_ptr(&a->o);
	kube_answer_clear(&own);
	return code;
}
