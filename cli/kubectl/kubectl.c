// SPDX-License-Identifier: Apache-2.0
/* kubectl.c - cli/kubectl/ is `kubectl ripstop`: the commands of cli/ asked of a whole cluster. */
#include "cli/kubectl/kubectl.h"

#include <string.h>

static bool set_node(struct cli_options *o, const char *v)
{
	o->node = v;
	return *v != '\0';
}

static bool set_agent_namespace(struct cli_options *o, const char *v)
{
	o->agent_namespace = v;
	return *v && !strchr(v, '/');
}

#define TO_KUBECTL(letter, name, arg, help)                                                  \
	{                                                                                    \
		letter, name, arg, help, "ripstop status --context prod", CLI_F_COMMON, NULL \
	}

static const struct cli_flag flags[] = {
	{ 0, "node", "NODE", "ask the agent of this node and no other", "ripstop status --node n1",
	  CLI_F_COMMON, set_node },
	{ 0, "agent-namespace", "NAME", "where the agents are (ripstop-system)",
	  "ripstop status --agent-namespace net", CLI_F_COMMON, set_agent_namespace },
	TO_KUBECTL(0, "context", "NAME", "this and what follows goes to kubectl"),
	TO_KUBECTL(0, "kubeconfig", "FILE", "the file that says where clusters are"),
	TO_KUBECTL(0, "cluster", "NAME", "a cluster of that file"),
	TO_KUBECTL(0, "user", "NAME", "a user of that file"),
	TO_KUBECTL(0, "as", "USER", "ask in the name of another"),
	TO_KUBECTL(0, "as-group", "GROUP", "and of a group of his; may be repeated"),
	TO_KUBECTL(0, "as-uid", "UID", "and of his UID"),
	TO_KUBECTL('s', "server", "URL", "the API server"),
	TO_KUBECTL(0, "token", "TOKEN", "a bearer token"),
	TO_KUBECTL(0, "certificate-authority", "FILE", "who signed the API server's certificate"),
	TO_KUBECTL(0, "client-certificate", "FILE", "your certificate"),
	TO_KUBECTL(0, "client-key", "FILE", "and its key"),
	TO_KUBECTL(0, "tls-server-name", "NAME", "the name in the API server's certificate"),
	TO_KUBECTL(0, "insecure-skip-tls-verify", NULL, "take any certificate"),
	TO_KUBECTL(0, "request-timeout", "TIME", "for one request of kubectl"),
	TO_KUBECTL(0, "cache-dir", "FOLDER", "kubectl's cache"),
	{ 0 },
};

/* ---- a verb on many nodes -------------------------------------------------------------------- */

struct tally {
	size_t yes, no, failed, without; /* without: it does not know what was named */
	int code;			 /* of those that failed; 4 when they differ */
};

static void count(struct tally *t, int code)
{
	if (code == CLI_YES)
		t->yes++;
	else if (code == CLI_NO)
		t->no++;
	else if (code == CLI_NOT_FOUND)
		t->without++;
	else
		t->code = t->failed++ && t->code != code ? CLI_NO_AGENT : code;
}

/* A line with the node's name before what it answered, if it answered anything. */
static int one_node(struct cli_run *r, const char *node)
{
	struct rs_strbuf before = r->out;
	int code;

	memset(&r->out, 0, sizeof(r->out));
	cli_speak_of(node);
	r->at_node = node;
	code = r->cmd->run(r);
	r->at_node = NULL;
	cli_speak_of(NULL);
	if (r->out.len && (cli_only_tables(r) || r->opt.output == CLI_HUBBLE)) {
		rs_strbuf_add(&before, r->out.s, r->out.len);
	} else if (r->out.len) {
		rs_strbuf_puts(&before, before.len ? "\nnode " : "node ");
		rs_strbuf_puts_safe(&before, node);
		rs_strbuf_putc(&before, '\n');
		rs_strbuf_add(&before, r->out.s, r->out.len);
	}
	rs_strbuf_free(&r->out);
	r->out = before;
	return code;
}

/* An operand that no node knows. */
static int nowhere(const struct cli_run *r)
{
	int i;

	for (i = 0; i < r->n_operands; i++)
		if (!r->named[i]) {
			cli_error(NULL, "no node has %s", r->operands[i]);
			return CLI_NOT_FOUND;
		}
	return 0;
}

static int conclude(const struct cli_run *r, const struct tally *t)
{
	size_t answered = t->yes + t->no + t->without;

	if (t->failed && answered) {
		cli_error(NULL, "%zu of %zu nodes did not answer", t->failed, t->failed + answered);
		return CLI_PARTIAL;
	}
	if (t->failed)
		return t->code;
	return nowhere(r) ? CLI_NOT_FOUND : t->no ? CLI_NO : CLI_YES;
}

static void put_list(struct cli_run *r, struct json_object *list)
{
	rs_autojson struct json_object *o = json_object_new_object();

	rs_json_add_str(o, "apiVersion", "ripstop.dev/v1");
	rs_json_add_str(o, "kind", "List");
	json_object_object_add(o, "items", json_object_get(list));
	cli_put_object(r, o);
}

static int all_nodes(struct cli_run *r)
{
	struct kube *k = r->kube;
	rs_autojson struct json_object *list = NULL;
	struct tally t = { 0 };
	int code;

	r->many = true;
	if (cli_wants_object(r))
		r->list = json_object_new_array();
	cli_progress_begin(r, "asking nodes", k->agents.n);
	for (k->turn = 0; k->turn < k->agents.n; k->turn++)
		count(&t, one_node(r, k->agents.v[k->turn].node));
	cli_progress_end();
	code = conclude(r, &t);
	list = rs_steal_ptr(&r->list);
	if (code == CLI_NOT_FOUND)
		rs_strbuf_reset(&r->out);
	else if (list && json_object_array_length(list))
		put_list(r, list);
	return code;
}

/* ---- the verb -------------------------------------------------------------------------------- */

static bool is_about_a_pod(const struct cli_command *c)
{
	return c->run == cli_cmd_rules || c->run == cli_cmd_explain || c->run == cli_cmd_wait;
}

/* Judged here, once: by files, or by the cluster's objects. */
static bool is_about_a_world(const struct cli_run *r)
{
	static const char *const verbs[] = { "matrix", "diff", "simulate", "lint", "test" };

	for (size_t i = 0; i < RS_ARRAY_SIZE(verbs); i++)
		if (!strcmp(r->cmd->name, verbs[i]))
			return true;
	return r->opt.n_files > 0;
}

static int run_verb(struct cli_run *r)
{
	struct kube *k = r->kube;

	if (r->opt.self)
		return kube_selftest(r);
	if (is_about_a_world(r))
		return r->cmd->run(r);
	if (is_about_a_pod(r->cmd))
		return r->cmd->run(r);
	if (r->cmd->run == cli_cmd_bundle)
		return kube_bundle(r);
	if (r->cmd->run == cli_cmd_monitor && r->opt.follow)
		return kube_follow(r);
	if (r->cmd->run == cli_cmd_doctor) {
		cli_error("run `ripstop doctor` on the node itself: a container does not see it",
			  "doctor looks at the machine that it runs on");
		return CLI_USAGE;
	}
	if (r->cmd->run == cli_cmd_capture)
		return r->cmd->run(r);
	if (kube_find_agents(r, r->opt.node, &k->agents, &k->none) == 0)
		kube_answer_clear(&k->none);
	if (!k->none.code && !r->opt.node)
		return all_nodes(r);
	/* Where there is no agent at all, `version` still tells its own. */
	return r->cmd->run(r);
}

static int run(struct cli_run *r)
{
	struct kube k = { 0 };
	int code;

	if (r->opt.timeout_ms)
		k.deadline = rs_mono_ms() + r->opt.timeout_ms;
	r->kube = &k;
	code = run_verb(r);
	r->kube = NULL;
	while (k.n_answers)
		kube_answer_clear(&k.answers[--k.n_answers]);
	kube_answer_clear(&k.none);
	kube_agents_clear(&k.agents);
	return code;
}

const struct cli_program cli_self = {
	.name = "kubectl-ripstop",
	.before = "kubectl ",
	.about = "kubectl ripstop shows what is enforced in a cluster, and why: kubectl finds the\n"
		 "agents, and ripstop is run in their containers. status, pods, policies and "
		 "version\n"
		 "ask every node, rules and explain those of the pods; --node asks one only.",
	.flags = flags,
	.run = run,
	.wait_round = kube_wait_round,
	.live = kube_live,
	.capture = kube_capture,
};

int main(int argc, char **argv)
{
	return cli_main(argc, argv);
}
