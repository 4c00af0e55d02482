// SPDX-License-Identifier: Apache-2.0
/* agents.c - which pod is the agent of which node, and on which node a pod is. */
#include "cli/kubectl/kubectl.h"

#include <errno.h>
#include <string.h>

#define NAMESPACE "ripstop-system"
#define MAX_NAME 253

const char *kube_agent_namespace(const struct cli_run *r)
{
	return r->opt.agent_namespace ? r->opt.agent_namespace : NAMESPACE;
}

void kube_agents_clear(struct kube_agents *v)
{
	size_t i;

	for (i = 0; i < v->n; i++) {
		free(v->v[i].pod);
		free(v->v[i].node);
		free(v->v[i].trouble);
	}
	rs_vec_free(v);
}

void kube_pod_clear(struct kube_pod *p)
{
	free(p->ns);
	free(p->name);
	free(p->node);
	memset(p, 0, sizeof(*p));
}

static void get(struct cli_run *r, struct kube_child *c, const char *kind, bool maybe,
		struct kube_answer *a)
{
	c->max_out = KUBE_MAX_GET;
	kube_spawn(c, 1, r->kube->deadline);
	kube_read(c, kind, false, maybe, a);
	kube_child_clear(c);
}

/* ---- agents ---------------------------------------------------------------------------------- */

static struct json_object *container(struct json_object *pod, const char *name)
{
	struct json_object *list = rs_json_get(rs_json_get(pod, "status"), "containerStatuses");
	size_t i, n = cli_count(rs_json_get(pod, "status"), "containerStatuses");

	for (i = 0; i < n; i++) {
		struct json_object *c = json_object_array_get_idx(list, i);

		if (!strcmp(rs_json_text(c, "name", ""), name))
			return c;
	}
	return NULL;
}

static char *why_waiting(struct json_object *state)
{
	struct json_object *w = rs_json_get(state, "waiting"),
			   *t = rs_json_get(state, "terminated");
	const char *reason = rs_json_text(w ? w : t, "reason", NULL);
	const char *message = rs_json_text(w ? w : t, "message", NULL);

	if (!reason)
		return NULL;
	return message ? rs_asprintf("%s, %s", reason, message) : rs_strdup(reason);
}

char *kube_pod_trouble(struct json_object *pod, const char *name)
{
	struct json_object *c = container(pod, name), *state = rs_json_get(c, "state");
	const char *phase = rs_json_text(rs_json_get(pod, "status"), "phase", "unknown");
	rs_autofree char *why = why_waiting(state);

	if (rs_json_get(state, "running"))
		return NULL;
	return why ? rs_asprintf("its container %s does not run: %s", name, why)
		   : rs_asprintf("its container %s does not run; the pod is %s", name, phase);
}

/* While a DaemonSet is rolled out a node has two: the one that runs counts, and of two that do the
 * one that stays. */
static bool is_better(const struct kube_agent *a, const struct kube_agent *b)
{
	if (!a->trouble != !b->trouble)
		return !a->trouble;
	return !a->leaving && b->leaving;
}

static void swap(struct kube_agent *a, struct kube_agent *b)
{
	struct kube_agent t = *a;

	*a = *b;
	*b = t;
}

static int add_agent(struct kube_agents *out, struct json_object *pod, struct rs_err *err)
{
	struct json_object *meta = rs_json_get(pod, "metadata"), *spec = rs_json_get(pod, "spec");
	struct kube_agent *a = rs_vec_push(out);
	size_t i;
	int rc = rs_json_str(meta, "name", MAX_NAME, &a->pod, err);

	if (rc == 0)
		rc = rs_json_opt_str(spec, "nodeName", MAX_NAME, &a->node, err);
	if (rc < 0)
		return rc;
	/* Not being ready is no obstacle: `ripstop status` tells why. */
	a->trouble = kube_pod_trouble(pod, "agent");
	a->leaving = rs_json_get(meta, "deletionTimestamp");
	for (i = 0; a->node && i + 1 < out->n && strcmp(out->v[i].node, a->node); i++)
		;
	if (a->node && i + 1 == out->n)
		return 0;
	if (a->node && is_better(a, &out->v[i]))
		swap(a, &out->v[i]);
	/* One that is on no node yet, or is not the node's best. */
	free(a->pod);
	free(a->node);
	free(a->trouble);
	out->n--;
	return 0;
}

static int by_node(const void *a, const void *b)
{
	return strcmp(((const struct kube_agent *)a)->node, ((const struct kube_agent *)b)->node);
}

static void no_agent(struct cli_run *r, const char *node, struct kube_answer *a)
{
	const char *ns = kube_agent_namespace(r);
	rs_autofree char *hint = rs_asprintf("kubectl -n %s get pods -o wide shows the agents", ns);

	if (node)
		kube_refuse(a, CLI_NO_AGENT,
			    rs_asprintf("no agent is on node %s (namespace %s)", node, ns), hint);
	else
		kube_refuse(a, CLI_NO_AGENT,
			    rs_asprintf("no agent is in namespace %s (pods with the labels "
					"%s)",
					ns, KUBE_LABELS),
			    "is Ripstop installed there? another namespace: --agent-namespace");
}

static int read_agents(struct json_object *list, struct kube_agents *out, struct kube_answer *a)
{
	struct json_object *items = rs_json_get(list, "items");
	size_t i, n = cli_count(list, "items");
	rs_auto_err err = { 0 };

	for (i = 0; i < n; i++)
		if (add_agent(out, json_object_array_get_idx(items, i), &err) < 0) {
			kube_refuse(a, CLI_NO_AGENT,
				    rs_asprintf("kubectl's list of agents cannot be used: %s",
						rs_err_str(&err)),
				    NULL);
			return a->code;
		}
	if (out->n)
		qsort(out->v, out->n, sizeof(*out->v), by_node);
	return 0;
}

int kube_find_agents(struct cli_run *r, const char *node, struct kube_agents *out,
		     struct kube_answer *a)
{
	struct kube_child c = { 0 };

	kube_begin(r, &c, "get");
	kube_words(&c, (const char *const[]){ "pods", "-n", kube_agent_namespace(r), "-l",
					      KUBE_LABELS, NULL });
	if (node) {
		rs_autofree char *where = rs_asprintf("spec.nodeName=%s", node);

		kube_word(&c, "--field-selector");
		kube_word(&c, where);
	}
	kube_words(&c, (const char *const[]){ "-o", "json", NULL });
	get(r, &c, "List", false, a);
	if (a->code == 0 && read_agents(a->o, out, a) == 0 && !out->n)
		no_agent(r, node, a);
	return a->code;
}

/* ---- a pod ----------------------------------------------------------------------------------- */

/* Letters of names of objects; others would be words of kubectl's own grammar (a/b, a,b, -a). */
static bool is_name(const char *s, size_t len)
{
	return len > 0 && len <= MAX_NAME && *s != '-' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-.") >= len;
}

static int split(const char *operand, struct kube_pod *out, struct kube_answer *a)
{
	const char *text = operand, *slash;

	if (!strncmp(text, "pod/", 4) && strchr(text + 4, '/'))
		text += 4;
	slash = strchr(text, '/');
	if ((slash && !is_name(text, (size_t)(slash - text))) ||
	    !is_name(slash ? slash + 1 : text, strlen(slash ? slash + 1 : text))) {
		kube_refuse(a, CLI_USAGE,
			    rs_asprintf("\"%s\" is no pod: write [NAMESPACE/]NAME", operand), NULL);
		return a->code;
	}
	out->ns = slash ? rs_strndup(text, (size_t)(slash - text)) : NULL;
	out->name = rs_strdup(slash ? slash + 1 : text);
	return 0;
}

static void no_pod(const struct kube_pod *p, struct kube_answer *a)
{
	rs_autofree char *hint =
		rs_asprintf("kubectl get pods -A --field-selector metadata.name=%s "
			    "looks in every namespace",
			    p->name);

	kube_refuse(a, CLI_NOT_FOUND,
		    p->ns ? rs_asprintf("no pod %s/%s", p->ns, p->name)
			  : rs_asprintf("no pod %s in kubectl's namespace", p->name),
		    hint);
}

/* It must be the pod that was asked for. */
static int read_pod(struct json_object *o, struct kube_pod *p, struct rs_err *err)
{
	struct json_object *meta = rs_json_get(o, "metadata"), *spec = rs_json_get(o, "spec");
	rs_autofree char *ns = NULL, *name = NULL;
	int rc = rs_json_str(meta, "namespace", MAX_NAME, &ns, err);

	if (rc == 0)
		rc = rs_json_str(meta, "name", MAX_NAME, &name, err);
	if (rc == 0)
		rc = rs_json_opt_str(spec, "nodeName", MAX_NAME, &p->node, err);
	if (rc < 0)
		return rc;
	if (strcmp(name, p->name) || (p->ns && strcmp(ns, p->ns)))
		return rs_err_set(err, EBADMSG, "it is another pod, %s/%s", ns, name);
	free(p->ns);
	p->ns = rs_steal_ptr(&ns);
	p->host_network = cli_true(spec, "hostNetwork");
	return 0;
}

int kube_find_pod(struct cli_run *r, const char *operand, struct kube_pod *out,
		  struct kube_answer *a)
{
	struct kube_child c = { 0 };
	rs_auto_err err = { 0 };

	if (split(operand, out, a))
		return a->code;
	kube_begin(r, &c, "get");
	kube_words(&c, (const char *const[]){ "pods", "--ignore-not-found", "-o", "json", NULL });
	if (out->ns)
		kube_words(&c, (const char *const[]){ "-n", out->ns, NULL });
	kube_words(&c, (const char *const[]){ "--", out->name, NULL });
	get(r, &c, "Pod", true, a);
	if (a->code == 0 && !a->o)
		no_pod(out, a);
	else if (a->code == 0 && read_pod(a->o, out, &err) < 0)
		kube_refuse(a, CLI_NO_AGENT,
			    rs_asprintf("kubectl's answer about pod %s cannot be used: %s", operand,
					rs_err_str(&err)),
			    NULL);
	else if (a->code == 0 && !out->node)
		kube_refuse(a, CLI_NOT_FOUND,
			    rs_asprintf("pod %s/%s is on no node yet", out->ns, out->name), NULL);
	return a->code;
}
