// SPDX-License-Identifier: Apache-2.0
/*
 * judge.c - one case, several readers: the oracle and the IR in this process, the ruleset by way of a
 * real kernel (one network namespace a node), the second oracle through its pipe.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>

#include <ripstop/dataplane.h>

#include "tests/prove/bpfwalk.h"
#include "tests/prove/scene.h"
#include "tests/prove/second.h"
#include "tests/prove/walks.h"

#define TABLE "ripstop"
#define ASKED(j, reader) ((j)->use & 1u << (reader))

struct seat { /* a node, from case to case */
	int ns;
	struct rs_dp *dp;
	struct rs_dp *bpf;
	struct rs_compiler *compiler;
	struct rs_ir *ir;
	struct rs_ruleset *rules;
};

struct pv_judge {
	unsigned int made;
	unsigned int use;
	int home; /* the namespace that we came from; -1 without a dataplane */
	struct seat seats[PV_MAX_NODES];
	struct pv_second *second;
};

void pv_verdicts_free(struct pv_verdicts *v)
{
	for (size_t i = 0; i < v->n; i++) {
		free(v->hits[i]);
		free(v->broken[i]);
	}
	memset(v, 0, sizeof(*v));
}

/* ---- life ------------------------------------------------------------------------------------ */

static int open_ns(struct rs_err *err)
{
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? rs_err_sys(err, errno, "own network namespace") : fd;
}

static int enter(int ns, struct rs_err *err)
{
	return setns(ns, CLONE_NEWNET) < 0 ? rs_err_sys(err, errno, "setns") : 0;
}

static int make_namespaces(struct pv_judge *j, struct rs_err *err)
{
	j->home = open_ns(err);
	if (j->home < 0)
		return j->home;
	for (size_t i = 0; i < PV_MAX_NODES; i++) {
		if (unshare(CLONE_NEWNET) < 0)
			return rs_err_sys(err, errno, "a network namespace of its own");
		j->seats[i].ns = open_ns(err);
		if (j->seats[i].ns < 0)
			return j->seats[i].ns;
	}
	return enter(j->home, err);
}

int pv_judge_new(unsigned int readers, struct pv_judge **out, struct rs_err *err)
{
	struct pv_judge *j = rs_new(struct pv_judge);
	int rc = 0;

	j->made = j->use = readers;
	j->home = -1;
	for (size_t i = 0; i < PV_MAX_NODES; i++)
		j->seats[i].ns = -1;
	if (ASKED(j, PV_RULESET) || ASKED(j, PV_EBPF))
		rc = make_namespaces(j, err);
	if (rc == 0 && ASKED(j, PV_EBPF))
		rc = pv_bpf_mount(err);
	if (rc == 0 && ASKED(j, PV_SECOND))
		rc = pv_second_new(&j->second, err);
	if (rc < 0) {
		pv_judge_free(j);
		return rc;
	}
	*out = j;
	return 0;
}

void pv_judge_use(struct pv_judge *j, unsigned int readers)
{
	j->use = readers & j->made;
}

static void forget_answers(struct seat *s)
{
	rs_ir_free(s->ir);
	s->ir = NULL;
	rs_ruleset_free(s->rules);
	s->rules = NULL;
}

static int end_dataplane(const struct seat *s, struct rs_dp **dp, struct rs_err *err)
{
	int rc;

	if (!*dp)
		return 0;
	rc = enter(s->ns, err);
	if (rc == 0)
		rc = (*dp)->ops->remove(*dp, err);
	(*dp)->ops->close(*dp);
	*dp = NULL;
	return rc;
}

/* Numbers, table and stamps begin anew. */
static int reset(struct seat *s, struct rs_err *err)
{
	int rc;

	forget_answers(s);
	rs_compiler_free(s->compiler);
	s->compiler = NULL;
	rc = end_dataplane(s, &s->dp, err);
	return rc < 0 ? rc : end_dataplane(s, &s->bpf, err);
}

void pv_judge_free(struct pv_judge *j)
{
	if (!j)
		return;
	for (size_t i = 0; i < PV_MAX_NODES; i++) {
		reset(&j->seats[i], NULL);
		if (j->seats[i].ns >= 0)
			close(j->seats[i].ns);
	}
	if (j->home >= 0) {
		enter(j->home, NULL);
		close(j->home);
	}
	pv_second_free(j->second);
	free(j);
}

/* ---- what the agent of each node does ---------------------------------------------------------- */

static int commit(struct seat *s, struct rs_err *err)
{
	struct rs_dp_commit done;
	struct rs_dp_config cfg;
	int rc = enter(s->ns, err);

	if (rc == 0 && !s->dp) {
		rs_dp_config_default(&cfg);
		rc = rs_dp_nft.open(&cfg, &s->dp, err);
	}
	if (rc == 0)
		rc = rs_dp_nft.commit(s->dp, s->ir, &done, err);
	return rc < 0 ? rc : rs_ruleset_read(TABLE, &s->rules, err);
}

static int program(struct pv_judge *j, const struct pv_scene *scene, size_t node,
		   struct rs_err *err)
{
	struct rs_world w = pv_scene_world(scene, node);
	struct seat *s = &j->seats[node];
	int rc;

	if (!s->compiler)
		s->compiler = rs_compiler_new(NULL);
	rc = rs_compile(s->compiler, &w, &s->ir, NULL, err);
	if (rc == 0 && ASKED(j, PV_RULESET))
		rc = commit(s, err);
	if (rc == 0 && ASKED(j, PV_EBPF))
		rc = enter(s->ns, err);
	if (rc == 0 && ASKED(j, PV_EBPF))
		rc = pv_bpf_commit(&s->bpf, node, s->ir, err);
	if (rc < 0)
		return rs_err_wrap(err, "node %s", scene->nodes[node].at.name);
	rs_compiler_committed(s->compiler, s->ir);
	return 0;
}

static int program_all(struct pv_judge *j, const struct pv_scene *scene, bool fresh,
		       struct rs_err *err)
{
	int rc = 0;
	size_t i;

	for (i = 0; i < PV_MAX_NODES; i++) {
		forget_answers(&j->seats[i]);
		if (fresh)
			rc = reset(&j->seats[i], err);
		if (rc == 0 && i < scene->n_nodes)
			rc = program(j, scene, i, err);
		if (rc < 0)
			break;
	}
	if (j->home >= 0 && enter(j->home, NULL) < 0)
		abort(); /* nothing may go on in a namespace that is not its own */
	return rc;
}

/* ---- verdicts ---------------------------------------------------------------------------------- */

static struct rs_flow_end flow_end(const struct pv_end *e)
{
	return (struct rs_flow_end){
		.ns = e->pod ? e->pod->ns : NULL,
		.name = e->pod ? e->pod->name : NULL,
		.addr = e->addr,
		.node = e->kind == PV_END_NODE,
	};
}

/* The oracle judges the whole flow; it is asked at the node where the flow begins if that is one of
 * ours, because "the node itself" means that one. */
static bool ask_oracle(const struct pv_scene *s, const struct pv_flow *f)
{
	int node = f->src.node >= 0 ? f->src.node : f->dst.node;
	struct rs_world w = pv_scene_world(s, node >= 0 ? (size_t)node : 0);
	struct rs_flow flow = {
		.src = flow_end(&f->src),
		.dst = flow_end(&f->dst),
		.proto = f->proto,
		.port = f->port,
	};

	return rs_oracle(&w, &flow) == RS_VERDICT_ALLOW;
}

static bool ir_says(const struct pv_judge *j, int node, const struct pv_flow *f)
{
	struct rs_ir_verdict v;

	rs_ir_eval(j->seats[node].ir, &f->src.addr, &f->dst.addr, f->proto, f->port, &v);
	return v.allow;
}

static bool ask_ir(const struct pv_judge *j, const struct pv_flow *f)
{
	if (f->src.kind == PV_END_NODE && f->dst.node == f->src.node)
		return true; /* made by the node itself: the kernel knows before it asks the IR */
	if (f->src.kind == PV_END_POD && !ir_says(j, f->src.node, f))
		return false;
	return f->dst.kind != PV_END_POD || ir_says(j, f->dst.node, f);
}

/* At one node, as its agent would answer: from the objects alone, not from the rules in force. */
static int explain_at(const struct pv_scene *s, int node, const struct pv_flow *f, bool *allow,
		      struct rs_err *err)
{
	struct rs_world w = pv_scene_world(s, (size_t)node);
	struct rs_flow flow = {
		.src = flow_end(&f->src),
		.dst = flow_end(&f->dst),
		.proto = f->proto,
		.port = f->port,
	};
	struct rs_explanation *x;
	int rc;

	flow.src.node = f->src.kind == PV_END_NODE && f->src.node == node;
	flow.dst.node = f->dst.kind == PV_END_NODE && f->dst.node == node;
	rc = rs_explain(&w, NULL, &flow, &x, err);
	if (rc < 0)
		return rs_err_wrap(err, "explain at %s", s->nodes[node].at.name);
	*allow = *allow && x->verdict == RS_VERDICT_ALLOW;
	rs_explanation_free(x);
	return 0;
}

/* Both halves, each by the node of its pod. */
static int ask_explain(const struct pv_scene *s, const struct pv_flow *f, bool *allow,
		       struct rs_err *err)
{
	int rc = 0;

	*allow = true;
	if (f->src.kind == PV_END_POD)
		rc = explain_at(s, f->src.node, f, allow, err);
	if (rc == 0 && f->dst.kind == PV_END_POD &&
	    (f->src.kind != PV_END_POD || f->src.node != f->dst.node))
		rc = explain_at(s, f->dst.node, f, allow, err);
	return rc;
}

/* An end that is a node is the node of the other end, if it is meant at all. */
static int explain_offline(const struct pv_scene *s, const struct rs_local_pod *pods, size_t n_pods,
			   const struct pv_flow *f, bool *allow, struct rs_err *err)
{
	bool at_home = f->src.node == f->dst.node;
	struct rs_world w = pv_scene_world(s, 0);
	struct rs_flow flow = {
		.src = flow_end(&f->src),
		.dst = flow_end(&f->dst),
		.proto = f->proto,
		.port = f->port,
	};
	struct rs_explanation *x;
	int rc;

	w.locals = pods;
	w.n_locals = n_pods;
	w.node_ranges = s->pod_ranges.v;
	w.n_node_ranges = s->pod_ranges.n;
	flow.src.node = f->src.kind == PV_END_NODE && at_home;
	flow.dst.node = f->dst.kind == PV_END_NODE && at_home;
	rc = rs_explain(&w, NULL, &flow, &x, err);
	if (rc < 0)
		return rs_err_wrap(err, "explain offline");
	*allow = x->verdict == RS_VERDICT_ALLOW;
	rs_explanation_free(x);
	return 0;
}

/* The pods of all nodes as subjects of one world. */
static int ask_offline(const struct pv_scene *s, struct pv_verdicts *out, struct rs_err *err)
{
	struct rs_vec(struct rs_local_pod) pods = { 0 };
	bool allow = false;
	int rc = 0;

	for (size_t i = 0; i < s->n_nodes; i++)
		for (size_t k = 0; k < s->nodes[i].locals.n; k++)
			*rs_vec_push(&pods) = s->nodes[i].locals.v[k];
	for (size_t i = 0; rc == 0 && i < s->n_flows; i++) {
		rc = explain_offline(s, pods.v, pods.n, &s->flows[i], &allow, err);
		out->v[PV_OFFLINE][i] = allow;
	}
	rs_vec_free(&pods);
	return rc;
}

static int ask_ruleset(const struct pv_judge *j, const struct pv_scene *scene,
		       struct pv_verdicts *out, struct rs_err *err)
{
	struct pv_walks w = { .scene = scene };
	bool allow;
	size_t i;
	int rc;

	for (i = 0; i < scene->n_nodes; i++)
		w.rules[i] = j->seats[i].rules;
	rc = pv_walks_begin(&w, err);
	for (i = 0; rc == 0 && i < scene->n_flows; i++) {
		rc = pv_walks_flow(&w, &scene->flows[i], &allow, &out->broken[i], err);
		out->v[PV_RULESET][i] = allow;
	}
	return rc < 0 ? rs_err_wrap(err, "the ruleset") : 0;
}

static int ask_ebpf(const struct pv_judge *j, const struct pv_scene *scene, struct pv_verdicts *out,
		    struct rs_err *err)
{
	struct pv_walks w = { .scene = scene };
	int rc = 0;

	for (size_t i = 0; i < scene->n_nodes; i++)
		w.bpf[i] = j->seats[i].bpf;
	for (size_t i = 0; rc == 0 && i < scene->n_flows; i++) {
		char *broken = NULL;
		bool allow;

		rc = pv_walks_flow(&w, &scene->flows[i], &allow, &broken, err);
		out->v[PV_EBPF][i] = allow;
		if (out->broken[i])
			free(broken);
		else
			out->broken[i] = broken;
	}
	return rc < 0 ? rs_err_wrap(err, "the eBPF programs") : 0;
}

static int judge(struct pv_judge *j, const struct pv_scene *scene, bool fresh,
		 struct pv_verdicts *out, struct rs_err *err)
{
	bool allow;
	size_t i;
	int rc = 0;

	if (ASKED(j, PV_IR) || ASKED(j, PV_RULESET) || ASKED(j, PV_EBPF))
		rc = program_all(j, scene, fresh, err);
	for (i = 0; rc == 0 && i < scene->n_flows; i++) {
		if (ASKED(j, PV_ORACLE))
			out->v[PV_ORACLE][i] = ask_oracle(scene, &scene->flows[i]);
		if (ASKED(j, PV_IR))
			out->v[PV_IR][i] = ask_ir(j, &scene->flows[i]);
		if (ASKED(j, PV_EXPLAIN)) {
			rc = ask_explain(scene, &scene->flows[i], &allow, err);
			out->v[PV_EXPLAIN][i] = allow;
		}
	}
	if (rc == 0 && ASKED(j, PV_OFFLINE))
		rc = ask_offline(scene, out, err);
	if (rc == 0 && ASKED(j, PV_RULESET))
		rc = ask_ruleset(j, scene, out, err);
	if (rc == 0 && ASKED(j, PV_EBPF))
		rc = ask_ebpf(j, scene, out, err);
	return rc;
}

int pv_judge_case(struct pv_judge *j, const struct pv_case *c, bool fresh, struct pv_verdicts *out,
		  struct rs_err *err)
{
	pv_auto_scene struct pv_scene *scene = NULL;
	rs_auto_err second = { 0 };
	int rc, rc2 = 0;

	memset(out, 0, sizeof(*out));
	memset(out->v, -1, sizeof(out->v));
	rc = pv_scene_make(c, &scene, err);
	if (rc < 0)
		return rc;
	out->n = scene->n_flows;
	if (ASKED(j, PV_SECOND)) {
		rc = pv_second_send(j->second, c, err);
		if (rc < 0)
			return rc;
	}
	rc = judge(j, scene, fresh, out, err);
	/* Fetched whatever happened: the pipe must be empty for the next case. */
	if (ASKED(j, PV_SECOND))
		rc2 = pv_second_fetch(j->second, out, rc < 0 ? &second : err);
	rc = rc < 0 ? rc : rc2;
	if (rc < 0)
		pv_verdicts_free(out);
	return rc;
}
