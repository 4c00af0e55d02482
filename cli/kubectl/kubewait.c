// SPDX-License-Identifier: Apache-2.0
/*
 * kubewait.c - `kubectl ripstop wait`: the object as the API server has it, and what every agent
 * says of that UID and generation. A node that does not know the policy yet cannot know that it
 * selects none of its pods, so all of them are waited for.
 */
#include "cli/kubectl/kubectl.h"

#include <errno.h>
#include <string.h>

#include "cli/wait.h"

#define MAX_NAME 253

/* Letters of names of objects; others would be words of kubectl's own grammar. */
static bool is_name(const char *s)
{
	return *s && *s != '-' && strlen(s) <= MAX_NAME &&
	       s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-.")] == '\0';
}

static int read_policy(struct json_object *o, struct cli_wait *w, struct rs_err *err)
{
	struct json_object *meta = rs_json_get(o, "metadata");
	rs_autofree char *name = NULL;
	int64_t generation = 0;
	int rc = rs_json_str(meta, "name", MAX_NAME, &name, err);

	if (rc == 0 && strcmp(name, w->name))
		return rs_err_set(err, EBADMSG, "it is another policy, %s", name);
	free(rs_steal_ptr(&w->uid));
	if (rc == 0)
		rc = rs_json_str(meta, "uid", MAX_NAME, &w->uid, err);
	if (rc == 0)
		rc = rs_json_opt_int(meta, "generation", 0, INT64_MAX, &generation, err);
	w->generation = generation;
	return rc;
}

static int find_policy(struct cli_run *r, struct cli_wait *w, struct kube_answer *a)
{
	struct kube_child c = { 0 };
	rs_auto_err err = { 0 };

	kube_begin(r, &c, "get");
	kube_words(&c,
		   (const char *const[]){ "networkpolicies.networking.k8s.io", "--ignore-not-found",
					  "-o", "json", "-n", w->ns, "--", w->name, NULL });
	c.max_out = KUBE_MAX_GET;
	kube_spawn(&c, 1, r->kube->deadline);
	kube_read(&c, "NetworkPolicy", false, true, a);
	kube_child_clear(&c);
	if (a->code == 0 && !a->o)
		kube_refuse(a, CLI_NOT_FOUND, rs_asprintf("no policy %s/%s", w->ns, w->name), NULL);
	else if (a->code == 0 && read_policy(a->o, w, &err) < 0)
		kube_refuse(a, CLI_NO_AGENT,
			    rs_asprintf("kubectl's answer about policy %s/%s cannot be used: %s",
					w->ns, w->name, rs_err_str(&err)),
			    NULL);
	return a->code;
}

/* The pod's node; where it is bound to none yet, there is nothing to ask. */
static int find_pod(struct cli_run *r, struct cli_wait *w, char **node, struct kube_answer *a)
{
	rs_autofree char *operand = rs_asprintf("%s/%s", w->ns, w->name);
	struct kube_pod p = { 0 };

	if (kube_find_pod(r, operand, &p, a) == 0 && p.host_network)
		kube_refuse(a, CLI_NOT_FOUND,
			    rs_asprintf("pod %s uses its node's network: no policy is about it",
					operand),
			    NULL);
	*node = rs_strdup(p.node);
	kube_pod_clear(&p);
	return a->code;
}

static struct json_object *question(const struct cli_wait *w)
{
	struct json_object *req = json_object_new_object();

	rs_json_add_str(req, "namespace", w->ns);
	if (w->policy)
		rs_json_add_str(req, "name", w->name);
	return req;
}

/* What these agents say. An agent that does not answer has not committed anything that is known. */
static bool ask(struct cli_run *r, struct cli_wait *w, const struct kube_agents *agents,
		struct json_object *nodes)
{
	rs_autojson struct json_object *req = question(w);
	struct kube_answer v[KUBE_AT_ONCE];
	bool done = true;

	for (size_t from = 0; from < agents->n; from += KUBE_AT_ONCE) {
		size_t n = agents->n - from < KUBE_AT_ONCE ? agents->n - from : KUBE_AT_ONCE;

		kube_ask(r, &agents->v[from], n, w->policy ? "policies" : "pods",
			 w->policy ? "PolicyList" : "PodList", req, v);
		for (size_t i = 0; i < n; i++) {
			const char *node = agents->v[from + i].node;
			struct json_object *one;

			if (!v[i].code || v[i].code == CLI_NOT_FOUND) {
				done = cli_wait_judge(w, node, v[i].o, nodes) && done;
			} else {
				one = json_object_new_object();
				rs_json_add_str(one, "node", node);
				json_object_object_add(one, "enforced",
						       json_object_new_boolean(false));
				rs_json_add_str(one, "why", v[i].cause);
				json_object_array_add(nodes, one);
				done = false;
			}
			kube_answer_clear(&v[i]);
		}
	}
	return done;
}

int kube_wait_round(struct cli_run *r, struct cli_wait *w, struct json_object *nodes, bool *done)
{
	struct kube_agents agents = { 0 };
	struct kube_answer a = { 0 };
	rs_autofree char *node = rs_strdup(r->opt.node);
	int code;

	if (!is_name(w->ns) || !is_name(w->name)) {
		cli_error(NULL, "wait: \"%s/%s\" is no name", w->ns, w->name);
		return CLI_USAGE;
	}
	r->kube->deadline = w->deadline;
	code = w->policy ? find_policy(r, w, &a) : find_pod(r, w, &node, &a);
	if (!code) {
		kube_answer_clear(&a);
		code = kube_find_agents(r, node, &agents, &a);
	}
	if (code == CLI_TIMEOUT && w->answered)
		code = 0;
	else if (code)
		kube_tell(&a, NULL);
	else
		*done = ask(r, w, &agents, nodes);
	kube_answer_clear(&a);
	kube_agents_clear(&agents);
	return code;
}
