// SPDX-License-Identifier: Apache-2.0
/* flow.c - explain in a world of objects: which flows the three operands name. */
#include "cli/offline/offline.h"

#include <errno.h>
#include <string.h>

RS_DEFINE_CLEANUP(cleanup_world, struct cli_world *, cli_world_free)

struct question {
	struct cli_operand src, dst;
	struct cli_flow f;
};

static void question_clear(struct question *q)
{
	cli_operand_clear(&q->src);
	cli_operand_clear(&q->dst);
	cli_flow_ends_clear(&q->f.src);
	cli_flow_ends_clear(&q->f.dst);
}

/* ---- operands -------------------------------------------------------------------------------- */

static int operand(struct cli_run *r, struct cli_world *cw, const char *text, struct cli_operand *o,
		   struct rs_err *err)
{
	int rc = cli_world_operand(cw, text, r->opt.namespace, o, err);

	if (rc == 0 && o->n_ends > 1 && !strncmp(text, "ns/", 3)) {
		rc = rs_err_set(err, EINVAL, "%s are %zu pods", text, o->n_ends);
		rs_err_hint(err, "ripstop matrix tells of many; explain tells of two ends");
	}
	return rc;
}

/* Another pod of a template, as it is: with its labels, its ports, and an address of its own. */
static int make_sibling(struct cli_world *cw, size_t i, size_t *out, struct rs_err *err)
{
	const char *name = cw->ends[i].name;

	return cli_world_sibling(cw, i, rs_asprintf("%s (another pod)", name), out, err);
}

/* A template that speaks to itself or to a Service before itself. */
static int add_sibling(struct question *q, struct rs_err *err)
{
	struct cli_world *cw = q->f.cw;
	size_t i;

	q->f.sibling = SIZE_MAX;
	if (q->src.kind != CLI_OPERAND_ENDPOINTS || q->src.n_ends != 1)
		return 0;
	i = q->src.ends[0];
	if (!cw->ends[i].is_template)
		return 0;
	if (q->dst.kind == CLI_OPERAND_SERVICE)
		return make_sibling(cw, i, &q->f.sibling, err);
	if (q->dst.kind != CLI_OPERAND_ENDPOINTS || q->dst.n_ends != 1 || q->dst.ends[0] != i)
		return 0;
	q->f.dst.siblings = true;
	return make_sibling(cw, i, &q->dst.ends[0], err);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void add_endpoint(const struct cli_world *cw, size_t i, struct cli_flow_ends *out)
{
	const struct rs_local_pod *l = &cw->w.locals[i];
	struct cli_flow_end *e = rs_vec_push(&out->v);
	size_t j;

	*rs_vec_push(&out->texts) = cli_endpoint_text(&cw->ends[i]);
	*e = (struct cli_flow_end){ .end = i, .assumed = !cw->ends[i].given_ip };
	e->e.text = out->texts.v[out->texts.n - 1];
	e->e.ns = l->ns;
	e->e.name = l->name;
	for (j = l->n_ips; j-- > 0;)
		*(l->ips[j].family == RS_AF_IP4 ? &e->e.ip4 : &e->e.ip6) = l->ips[j];
}

static void add_address(const struct cli_operand *o, bool node, struct cli_flow_ends *out)
{
	struct cli_flow_end *e = rs_vec_push(&out->v);

	*e = (struct cli_flow_end){ .end = SIZE_MAX };
	e->e.text = o->text;
	e->e.node = node;
	e->e.ip4 = o->addr4;
	e->e.ip6 = o->addr6;
}

static int make_ends(const struct question *q, const struct cli_operand *o,
		     struct cli_flow_ends *out, struct rs_err *err)
{
	size_t i;

	switch (o->kind) {
	case CLI_OPERAND_ENDPOINTS:
		for (i = 0; i < o->n_ends; i++)
			add_endpoint(q->f.cw, o->ends[i], out);
		return 0;
	case CLI_OPERAND_RANGE:
		return cli_cut_range(q->f.cw, q->f.ir, &o->range, out, err);
	case CLI_OPERAND_NODE:
		add_address(o, true, out);
		return 0;
	default:
		add_address(o, false, out);
		return 0;
	}
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static int check_nodes(struct question *q, struct rs_err *err)
{
	const struct cli_operand *src = &q->src, *dst = &q->dst;

	if (dst->kind == CLI_OPERAND_NODE && !dst->addr4.family && !dst->addr6.family) {
		rs_err_set(err, EINVAL, "which node? its address decides");
		return rs_err_hint(err, "node/NAME of a Node that was read, or the address itself");
	}
	if (src->kind != CLI_OPERAND_NODE)
		return 0;
	if (dst->kind != CLI_OPERAND_ENDPOINTS) {
		rs_err_set(err, EINVAL, "what a node begins is judged at a pod only");
		return rs_err_hint(err, "DST is a pod, where SRC is a node");
	}
	if (strchr(src->text, '/'))
		q->f.node = strchr(src->text, '/') + 1;
	return 0;
}

/* ---- the answer ------------------------------------------------------------------------------ */

static int resolve(struct cli_run *r, struct question *q, struct rs_err *err)
{
	struct cli_world *cw = q->f.cw;
	int rc = operand(r, cw, r->operands[0], &q->src, err);

	if (rc == 0 && q->src.kind == CLI_OPERAND_SERVICE) {
		rc = rs_err_set(err, EINVAL, "%s is a Service: it begins no flows", q->src.text);
		rs_err_hint(err, "SRC is a pod or an address");
	}
	if (rc == 0)
		rc = operand(r, cw, r->operands[1], &q->dst, err);
	if (rc == 0)
		rc = check_nodes(q, err);
	return rc < 0 ? rc : add_sibling(q, err);
}

/* The rules of those that the question is about. */
static int make_rules(struct question *q, struct rs_err *err)
{
	struct rs_vec(size_t) v = { 0 };
	size_t i;
	int rc;

	for (i = 0; i < q->src.n_ends; i++)
		*rs_vec_push(&v) = q->src.ends[i];
	for (i = 0; i < q->dst.n_ends; i++)
		*rs_vec_push(&v) = q->dst.ends[i];
	for (i = 0; q->dst.service && i < q->dst.service->n_backends; i++) {
		size_t end =
			cli_find_backend(q->f.cw, q->dst.service, &q->dst.service->backends[i]);

		if (end != SIZE_MAX)
			*rs_vec_push(&v) = end;
	}
	if (q->f.sibling != SIZE_MAX)
		*rs_vec_push(&v) = q->f.sibling;
	rc = cli_world_ir_of(q->f.cw, v.v, v.n, &q->f.ir, err);
	rs_vec_free(&v);
	return rc;
}

static int judge(struct question *q, struct json_object *o, struct rs_err *err)
{
	struct cli_flow *f = &q->f;
	enum rs_verdict verdict;
	int rc = make_rules(q, err);

	if (rc == 0)
		rc = make_ends(q, &q->src, &f->src, err);
	if (rc == 0 && q->dst.kind != CLI_OPERAND_SERVICE)
		rc = make_ends(q, &q->dst, &f->dst, err);
	if (rc < 0)
		return rc;
	return q->dst.service ? cli_judge_service(f, q->dst.service, o, err)
			      : cli_judge(f, o, &verdict, err);
}

/* Ranges as they were given: the answer is about all of it. */
static void name_ends(const struct question *q, struct json_object *o)
{
	if (q->src.kind == CLI_OPERAND_RANGE)
		rs_json_add_str(rs_json_get(o, "source"), "range", q->src.text);
	if (q->dst.kind == CLI_OPERAND_RANGE)
		rs_json_add_str(rs_json_get(o, "destination"), "range", q->dst.text);
}

static int code_of(int rc)
{
	if (rc == -EUCLEAN)
		return CLI_DISAGREES;
	return cli_operand_code(rc);
}

/* An agent need not be asked what no agent knows. */
static bool names_service(const struct cli_run *r)
{
	return !strncmp(r->operands[1], "svc/", 4) || !strncmp(r->operands[1], "service/", 8);
}

static int no_services(const struct cli_run *r)
{
	cli_error("ask with -f and the Service's manifest, or kubectl ripstop, or name a pod "
		  "behind it",
		  "the agent knows no Services, so not %s either", r->operands[1]);
	return CLI_NO_AGENT;
}

int cli_offline_explain(struct cli_run *r, struct json_object **out)
{
	rs_cleanup(cleanup_world) struct cli_world *cw = NULL;
	struct question q = { 0 };
	rs_auto_err err = { 0 };
	int code, rc;

	if (!r->opt.n_files && !r->kube && names_service(r))
		return no_services(r);
	code = cli_world_open(r, &cw);
	if (code)
		return code;
	q.f.cw = cw;
	q.f.family = r->opt.family;
	rc = cli_port_parse(r->operands[2], &q.f.port, &err);
	if (rc == 0)
		rc = resolve(r, &q, &err);
	if (rc == 0) {
		*out = cli_offline_object(cw, "ExplainResult");
		rc = judge(&q, *out, &err);
	}
	if (rc == 0)
		name_ends(&q, *out);
	question_clear(&q);
	if (rc == 0)
		return 0;
	if (rc == -EAFNOSUPPORT && !err.hint)
		rs_err_hint(&err, "pods without an address get one of each family that "
				  "--cluster-cidr CIDR[,CIDR] names");
	cli_error(err.hint, "%s", rs_err_str(&err));
	json_object_put(rs_steal_ptr(out));
	return code_of(rc);
}
