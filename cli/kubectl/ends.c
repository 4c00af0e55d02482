// SPDX-License-Identifier: Apache-2.0
/*
 * ends.c - rules and explain: the node of a pod is asked about it.
 *
 * An agent judges the ends that are pods of its node and says of the other that it does not know.
 * So the source's node is asked for the egress half and the destination's for the ingress half, and
 * the two are put together. A half that nobody could judge is never filled in: one denial is a
 * verdict, one permission is not.
 */
#include "cli/kubectl/kubectl.h"

#include <string.h>

#define MAX_ASKED 3

/* ---- rules ----------------------------------------------------------------------------------- */

static void host_network(const struct kube_pod *p, struct kube_answer *a)
{
	kube_refuse(a, CLI_NOT_FOUND,
		    rs_asprintf("pod %s/%s uses its node's network: no policy is about it", p->ns,
				p->name),
		    NULL);
}

/* Its full name, so that agent and kubectl mean one pod. */
static void name_pod(struct json_object *request, const char *key, const struct kube_pod *p)
{
	rs_autofree char *name = rs_asprintf("%s/%s", p->ns, p->name);

	rs_json_add_str(request, key, name);
}

void kube_rules(struct cli_run *r, struct json_object *request, struct kube_answer *a)
{
	rs_autofree char *operand = rs_strdup(rs_json_text(request, "pod", ""));
	struct kube_pod p = { 0 };

	if (kube_find_pod(r, operand, &p, a) == 0 && p.host_network) {
		host_network(&p, a);
	} else if (a->code == 0) {
		kube_answer_clear(a);
		name_pod(request, "pod", &p);
		kube_ask_node(r, r->opt.node ? r->opt.node : p.node, "rules", "Rules", request, a);
	}
	kube_pod_clear(&p);
}

/* ---- explain: who is asked ------------------------------------------------------------------- */

struct end {
	const char *key, *half; /* "source", "egress" */
	bool is_pod, is_node;
	struct kube_pod pod; /* node NULL: none is known */
};

struct asked {
	char *node;
	struct kube_answer a;
};

struct question {
	struct json_object *request;
	struct end ends[2];
	struct asked asked[MAX_ASKED];
	size_t n;
};

static const struct asked *ask_node(struct cli_run *r, struct question *q, const char *node)
{
	struct asked *new;
	size_t i;

	for (i = 0; i < q->n; i++)
		if (!strcmp(q->asked[i].node, node))
			return &q->asked[i];
	new = &q->asked[q->n++];
	new->node = rs_strdup(node);
	kube_ask_node(r, node, "explain", "ExplainResult", q->request, &new->a);
	return new;
}

/* Neither end is a pod by its name: every agent knows whose an address is. */
static int ask_any(struct cli_run *r, struct question *q, struct kube_answer *a)
{
	struct kube_agents agents = { 0 };
	size_t i = 0;

	if (q->ends[0].is_node || q->ends[1].is_node) {
		kube_refuse(a, CLI_USAGE, rs_strdup("which node is meant?"), "say it: --node NODE");
	} else if (kube_find_agents(r, NULL, &agents, a) == 0) {
		while (i + 1 < agents.n && agents.v[i].trouble)
			i++;
		ask_node(r, q, agents.v[i].node);
	}
	kube_agents_clear(&agents);
	return a->code;
}

static const struct asked *first_answer(const struct question *q)
{
	size_t i;

	for (i = 0; i < q->n; i++)
		if (!q->asked[i].a.code)
			return &q->asked[i];
	return NULL;
}

static bool is_known(struct json_object *answer, const struct end *e)
{
	return cli_true(rs_json_get(answer, e->half), "known");
}

/* An address that an agent knows as a pod's: that pod's node is asked too. */
static void ask_holder(struct cli_run *r, struct question *q, struct end *e)
{
	const struct asked *first = first_answer(q);
	struct json_object *end = first ? rs_json_get(first->a.o, e->key) : NULL;
	const char *ns = rs_json_text(end, "namespace", NULL);
	const char *name = rs_json_text(end, "name", NULL);
	rs_autofree char *text = ns && name ? rs_asprintf("%s/%s", ns, name) : NULL;
	struct kube_answer a = { 0 };

	if (e->is_pod || !text || cli_true(end, "node") || is_known(first->a.o, e))
		return;
	e->is_pod = true;
	if (kube_find_pod(r, text, &e->pod, &a))
		kube_tell(&a, NULL);
	else
		ask_node(r, q, e->pod.node);
	kube_answer_clear(&a);
}

static int ask_ends(struct cli_run *r, struct question *q, struct kube_answer *a)
{
	size_t i;

	for (i = 0; i < 2 && !r->opt.node; i++)
		if (q->ends[i].is_pod)
			ask_node(r, q, q->ends[i].pod.node);
	if (r->opt.node)
		ask_node(r, q, r->opt.node);
	else if (!q->n && ask_any(r, q, a))
		return a->code;
	for (i = 0; i < 2 && !r->opt.node; i++)
		ask_holder(r, q, &q->ends[i]);
	return 0;
}

/* ---- explain: what they answered ------------------------------------------------------------- */

/* The answer that decides about an end: of its own node, else the one that judged it, else the
 * first. NULL: its own node did not answer. */
static const struct asked *judge(const struct question *q, const struct end *e)
{
	size_t i;

	for (i = 0; i < q->n && e->is_pod && e->pod.node; i++)
		if (!strcmp(q->asked[i].node, e->pod.node))
			return q->asked[i].a.code ? NULL : &q->asked[i];
	for (i = 0; i < q->n; i++)
		if (!q->asked[i].a.code && is_known(q->asked[i].a.o, e))
			return &q->asked[i];
	return first_answer(q);
}

static struct json_object *unjudged(const struct end *e, const char *why)
{
	struct json_object *half = json_object_new_object();
	rs_autofree char *reason =
		e->pod.node ? rs_asprintf("%s %s", e->pod.node, why) : rs_strdup(why);

	json_object_object_add(half, "known", json_object_new_boolean(false));
	rs_json_add_str(half, "reason", reason);
	return half;
}

/* An end's half in the result. False when a pod's half is not known. */
static bool put_half(const struct question *q, const struct end *e, struct json_object *result)
{
	const struct asked *j = judge(q, e);
	struct json_object *half = j ? rs_json_get(j->a.o, e->half) : NULL;

	if (!j || (e->is_pod && !e->pod.host_network && !is_known(j->a.o, e))) {
		json_object_object_add(
			result, e->half,
			unjudged(e, j && e->pod.node ? "does not hold that pod: was it attached by "
						       "another network?"
				    : j		     ? "its node is not known"
						     : "judges it and did not answer"));
		return false;
	}
	json_object_object_add(result, e->half, json_object_get(half));
	if (q->n > 1 && is_known(j->a.o, e))
		rs_json_add_str(half, "node", j->node);
	return true;
}

static void put_nodes(const struct question *q, struct json_object *result)
{
	struct json_object *meta = json_object_new_object(), *nodes = json_object_new_array();
	size_t i;

	for (i = 0; i < q->n; i++)
		if (!q->asked[i].a.code)
			json_object_array_add(nodes, json_object_new_string(q->asked[i].node));
	json_object_object_add(meta, "nodes", nodes);
	json_object_object_add(result, "metadata", meta);
}

static bool is_denied(struct json_object *result, const char *half)
{
	struct json_object *h = rs_json_get(result, half);

	return cli_true(h, "known") && strcmp(rs_json_text(h, "verdict", ""), "allowed");
}

/* Both nodes must have meant the same two addresses. */
static bool is_same_flow(struct json_object *a, struct json_object *b)
{
	return !strcmp(rs_json_text(rs_json_get(a, "source"), "ip", ""),
		       rs_json_text(rs_json_get(b, "source"), "ip", "")) &&
	       !strcmp(rs_json_text(rs_json_get(a, "destination"), "ip", ""),
		       rs_json_text(rs_json_get(b, "destination"), "ip", ""));
}

static void put_denied_at(struct json_object *result, const char *half, const char *end)
{
	struct json_object *e = rs_json_get(result, end);
	const char *ns = rs_json_text(e, "namespace", NULL), *name = rs_json_text(e, "name", NULL);
	rs_autofree char *text =
		ns && name ? rs_asprintf("%s of %s/%s", half, ns, name)
			   : rs_asprintf("%s of %s", half, rs_json_text(e, "text", "?"));

	rs_json_add_str(result, "deniedAt", text);
}

/* What each node's kernel does, in the order of asking. */
static void put_kernels(const struct question *q, struct json_object *result)
{
	struct json_object *all = json_object_new_array();

	for (size_t i = 0; i < q->n; i++) {
		struct json_object *list = rs_json_get(q->asked[i].a.o, "kernels");

		for (size_t k = 0; k < cli_count(q->asked[i].a.o, "kernels"); k++)
			json_object_array_add(all,
					      json_object_get(json_object_array_get_idx(list, k)));
	}
	json_object_object_add(result, "kernels", all);
}

static struct json_object *merge(const struct question *q, const struct asked *first)
{
	struct json_object *o = json_object_new_object(), *v;
	static const char *const same[] = { "apiVersion",  "kind",     "verdict", "source",
					    "destination", "protocol", "port",	  "note" };
	bool whole;
	size_t i;

	for (i = 0; i < RS_ARRAY_SIZE(same); i++)
		if ((v = rs_json_get(first->a.o, same[i])))
			json_object_object_add(o, same[i], json_object_get(v));
	put_nodes(q, o);
	if (cli_true(q->request, "kernel"))
		put_kernels(q, o);
	whole = put_half(q, &q->ends[0], o);
	whole = put_half(q, &q->ends[1], o) && whole;
	if (is_denied(o, "egress"))
		put_denied_at(o, "egress", "source");
	else if (is_denied(o, "ingress"))
		put_denied_at(o, "ingress", "destination");
	rs_json_add_str(o, "verdict",
			rs_json_get(o, "deniedAt") ? "denied"
			: whole			   ? "allowed"
						   : "unknown");
	return o;
}

/* What stands in the way of a verdict, told; a code when there is nothing to show at all. */
static int check_answers(const struct question *q, struct kube_answer *a)
{
	const struct asked *first = first_answer(q);
	size_t i;

	for (i = 0; i < q->n; i++) {
		const struct kube_answer *x = &q->asked[i].a;

		/* A question that one node refuses is refused: family, unknown pod. */
		if (x->code && (!first || x->code == CLI_USAGE || x->code == CLI_NOT_FOUND)) {
			kube_refuse(a, x->code, rs_asprintf("%s: %s", q->asked[i].node, x->cause),
				    x->hint);
			return a->code;
		}
		if (!x->code && !is_same_flow(x->o, first->a.o)) {
			kube_refuse(a, CLI_NO_AGENT,
				    rs_asprintf("%s and %s do not know the same addresses of these "
						"ends",
						first->node, q->asked[i].node),
				    "one of them is behind: ask again");
			return a->code;
		}
	}
	for (i = 0; i < q->n; i++)
		if (q->asked[i].a.code)
			kube_tell(&q->asked[i].a, q->asked[i].node);
	return 0;
}

static int find_end(struct cli_run *r, struct question *q, struct end *e, const char *key,
		    struct kube_answer *a)
{
	const char *text = rs_json_text(q->request, key, "");
	rs_autofree char *operand = rs_strdup(text);
	struct rs_addr addr;

	e->is_node = !strcmp(text, "node");
	if (e->is_node || !strcmp(text, "world") || rs_addr_parse(text, &addr, NULL) == 0)
		return 0;
	e->is_pod = true;
	if (kube_find_pod(r, operand, &e->pod, a))
		return a->code;
	kube_answer_clear(a);
	name_pod(q->request, key, &e->pod);
	return 0;
}

static int explain(struct cli_run *r, struct question *q, struct kube_answer *a)
{
	if (find_end(r, q, &q->ends[0], "src", a) || find_end(r, q, &q->ends[1], "dst", a) ||
	    ask_ends(r, q, a))
		return a->code;
	kube_answer_clear(a);
	if (check_answers(q, a))
		return a->code;
	/* One node that was named answers for itself. */
	a->o = r->opt.node ? json_object_get(q->asked[0].a.o) : merge(q, first_answer(q));
	if (!strcmp(rs_json_text(a->o, "verdict", ""), "unknown"))
		cli_error(NULL, "no verdict: what one end says is not known");
	return 0;
}

void kube_explain(struct cli_run *r, struct json_object *request, struct kube_answer *a)
{
	struct question q = {
		.request = request,
		.ends = { { .key = "source", .half = "egress" },
			  { .key = "destination", .half = "ingress" } },
	};

	explain(r, &q, a);
	kube_pod_clear(&q.ends[0].pod);
	kube_pod_clear(&q.ends[1].pod);
	while (q.n) {
		free(q.asked[--q.n].node);
		kube_answer_clear(&q.asked[q.n].a);
	}
}
