// SPDX-License-Identifier: Apache-2.0
/* judgeflow.c - one flow in one world: the verdict, and why in a line. */
#include "cli/whatif/judgeflow.h"

#include <errno.h>
#include <string.h>

#include "policy/words.h"

void judged_clear(struct judged *j)
{
	free(j->why);
	free(j->where);
	memset(j, 0, sizeof(*j));
}

struct rs_addr judge_addr(const struct cli_world *cw, const struct judge_end *e, int family)
{
	struct rs_addr none = { 0 };
	const struct rs_local_pod *p;
	size_t i;

	if (e->end == UINT32_MAX)
		return e->addr[family_index(family)];
	p = &cw->w.locals[e->end];
	for (i = 0; i < p->n_ips; i++)
		if (p->ips[i].family == family)
			return p->ips[i];
	return none;
}

char *judge_text(const struct cli_world *cw, const struct judge_end *e)
{
	char text[RS_ADDR_STRLEN];

	if (e->text)
		return rs_strdup(e->text);
	if (e->end != UINT32_MAX)
		return cli_endpoint_text(&cw->ends[e->end]);
	return rs_strdup(rs_addr_str(&e->addr[e->addr[0].family ? 0 : 1], text));
}

bool judge_alike(const struct cli_world *cw, const struct judge_end *src,
		 const struct judge_end *dst)
{
	return src->end != UINT32_MAX && src->end == dst->end && cw->ends[src->end].is_template;
}

char *judge_port_text(uint8_t proto, uint16_t port)
{
	bool ports = proto == RS_PROTO_TCP || proto == RS_PROTO_UDP || proto == RS_PROTO_SCTP;
	rs_auto_strbuf b = { 0 };

	rs_put_port_range(&b, proto, ports ? port : 0, ports ? port : UINT16_MAX);
	return rs_strbuf_steal(&b);
}

static struct rs_flow_end flow_end(const struct cli_world *cw, const struct judge_end *e,
				   int family)
{
	struct rs_flow_end f = { .addr = judge_addr(cw, e, family), .node = e->node };

	if (e->end != UINT32_MAX) {
		f.ns = cw->ends[e->end].ns;
		f.name = cw->ends[e->end].name;
	}
	return f;
}

/* ---- words ----------------------------------------------------------------------------------- */

static void put_rule(struct rs_strbuf *b, const char *rule)
{
	if (rule)
		rs_strbuf_printf(b, "%s%s", b->len ? " and " : "", rule);
}

static void say_allowed(const struct rs_explanation *x, struct judged *out)
{
	rs_auto_strbuf b = { 0 };

	put_rule(&b, x->egress.rule);
	put_rule(&b, x->ingress.rule);
	if (!b.len && x->egress.known && x->ingress.known)
		rs_strbuf_puts(&b, x->note ? x->note : "no policy isolates either end");
	if (!b.len)
		rs_strbuf_puts(&b, x->ingress.known ? x->ingress.reason : x->egress.reason);
	out->why = rs_strbuf_steal(&b);
	out->where = rs_strdup(x->ingress.rule ? x->ingress.where : x->egress.where);
}

static void say_denied(const struct rs_explanation *x, struct judged *out)
{
	bool out_denies = x->egress.known && x->egress.verdict == RS_VERDICT_DENY;
	const struct rs_half_explained *h = out_denies ? &x->egress : &x->ingress;

	out->why = rs_asprintf("%s: %s", x->denied_at ? x->denied_at : "denied",
			       h->reason ? h->reason : "denied");
	out->where = rs_strdup(h->miss_where);
}

/* Two pods of one template: no object names the second one. */
static void say_alike(const struct cli_world *cw, const struct rs_ir_verdict *v, struct judged *out)
{
	const struct rs_ir_half *h = v->out.applies && !v->out.allow ? &v->out : &v->in;
	const char *dir = h == &v->out ? "egress" : "ingress";
	const struct rs_ir_rule *r;

	out->allow = v->allow;
	if (!v->allow) {
		out->why =
			rs_asprintf("%s: no rule allows it between two pods of one workload", dir);
		return;
	}
	if (v->in.rule == UINT32_MAX) {
		out->why = rs_strdup("no policy isolates its ingress");
		return;
	}
	r = &cw->ir->rules[v->in.rule];
	out->why = rs_asprintf("%s/%s spec.%s[%u]", r->ns, r->name, dir, r->index);
	out->where = rs_pos_text(&(struct rs_pos){ r->file, r->line, r->col });
}

int judge_flow(struct cli_world *cw, const struct judge_flow *q, struct judged *out,
	       struct rs_err *err)
{
	struct rs_flow flow = {
		.src = flow_end(cw, &q->src, q->family),
		.dst = flow_end(cw, &q->dst, q->family),
		.proto = q->proto,
		.port = q->port,
	};
	struct rs_explanation *x = NULL;
	const struct rs_ir *ir;
	int rc = cli_world_ir(cw, &ir, err);

	memset(out, 0, sizeof(*out));
	if (rc < 0)
		return rc;
	if (judge_alike(cw, &q->src, &q->dst)) {
		struct rs_ir_verdict v;

		rs_ir_eval_others(ir, &flow.src.addr, &flow.dst.addr, q->proto, q->port, &v);
		say_alike(cw, &v, out);
		return 0;
	}
	rc = rs_explain(&cw->w, ir, &flow, &x, err);
	if (rc < 0)
		return rc;
	out->allow = x->verdict == RS_VERDICT_ALLOW;
	if (out->allow)
		say_allowed(x, out);
	else
		say_denied(x, out);
	rs_explanation_free(x);
	return 0;
}
