// SPDX-License-Identifier: Apache-2.0
/* answer_explain.c - the answer about one flow: in which family, and the engine's reasons. */
#include "answer/answer.h"

#include <errno.h>

#include "base/base.h"

/* ---- the flow -------------------------------------------------------------------------------- */

static struct rs_flow_end flow_end(const struct rs_answer_end *e, int family)
{
	return (struct rs_flow_end){
		.ns = e->ns,
		.name = e->name,
		.addr = family == RS_AF_IP4 ? e->ip4 : e->ip6,
		.node = e->node,
	};
}

static int explain_family(const struct rs_world *w, const struct rs_ir *ir,
			  const struct rs_question *q, int family, struct rs_explanation **out,
			  struct rs_err *err)
{
	struct rs_flow flow = { .src = flow_end(&q->src, family),
				.dst = flow_end(&q->dst, family),
				.proto = q->proto,
				.port = q->port };
	int rc;

	if (!flow.src.addr.family || !flow.dst.addr.family)
		return rs_err_set(err, EAFNOSUPPORT, "%s and %s share no IPv%d address",
				  q->src.text, q->dst.text, family);
	if (!q->proto)
		flow.proto = family == RS_AF_IP4 ? 1 : 58;
	rc = rs_explain(w, ir, &flow, out, err);
	if (rc == -EUCLEAN) {
		rs_err_wrap(err, "internal disagreement, please report it");
		return -EUCLEAN;
	}
	return rc;
}

/* Both families where both ends have both; a difference must be asked for by family. */
static int explain_any(const struct rs_world *w, const struct rs_ir *ir,
		       const struct rs_question *q, int *family, struct rs_explanation **out,
		       struct rs_err *err)
{
	bool four = q->src.ip4.family && q->dst.ip4.family;
	bool six = q->src.ip6.family && q->dst.ip6.family;
	struct rs_explanation *other = NULL;
	int rc;

	if (!four && !six)
		return rs_err_set(err, EAFNOSUPPORT,
				  "%s and %s have no address of one family in common", q->src.text,
				  q->dst.text);
	*family = four ? RS_AF_IP4 : RS_AF_IP6;
	rc = explain_family(w, ir, q, *family, out, err);
	if (rc < 0 || !four || !six)
		return rc;
	rc = explain_family(w, ir, q, RS_AF_IP6, &other, err);
	if (rc == 0 && other->verdict != (*out)->verdict) {
		rc = rs_err_set(err, EINVAL, "IPv4 is %s and IPv6 is %s",
				(*out)->verdict == RS_VERDICT_ALLOW ? "allowed" : "denied",
				other->verdict == RS_VERDICT_ALLOW ? "allowed" : "denied");
		rs_err_hint(err, "say which one: --family 4 or --family 6");
	}
	rs_explanation_free(other);
	if (rc < 0) {
		rs_explanation_free(*out);
		*out = NULL;
	}
	return rc;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static const char *verdict_word(enum rs_verdict v)
{
	return v == RS_VERDICT_ALLOW ? "allowed" : "denied";
}

static struct json_object *miss_json(const struct rs_half_explained *h)
{
	struct json_object *o = json_object_new_object();

	rs_json_add_str(o, "rule", h->miss_rule);
	rs_json_add_str(o, "where", h->miss_where);
	rs_json_add_str(o, "ports", h->miss_ports);
	rs_json_add_str(o, "peers", h->miss_peers);
	rs_json_add_str(o, "hint", h->miss_hint);
	return o;
}

static struct json_object *half_json(const struct rs_half_explained *h)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "known", json_object_new_boolean(h->known));
	if (h->known)
		rs_json_add_str(o, "verdict", verdict_word(h->verdict));
	rs_json_add_str(o, "reason", h->reason);
	json_object_object_add(o, "isolatedBy",
			       rs_answer_strings(h->isolated_by, h->n_isolated_by));
	rs_json_add_str(o, "rule", h->rule);
	rs_json_add_str(o, "where", h->where);
	if (h->miss_rule)
		json_object_object_add(o, "miss", miss_json(h));
	return o;
}

static struct json_object *end_json(const struct rs_answer_end *e, int family)
{
	struct json_object *o = json_object_new_object();
	char text[RS_ADDR_STRLEN];

	rs_json_add_str(o, "text", e->text);
	rs_json_add_str(o, "namespace", e->ns);
	rs_json_add_str(o, "name", e->name);
	if (e->node)
		json_object_object_add(o, "node", json_object_new_boolean(true));
	rs_json_add_str(o, "ip", rs_addr_str(family == RS_AF_IP4 ? &e->ip4 : &e->ip6, text));
	return o;
}

const char *rs_answer_proto(uint8_t proto)
{
	switch (proto) {
	case RS_PROTO_TCP:
		return "tcp";
	case RS_PROTO_UDP:
		return "udp";
	case RS_PROTO_SCTP:
		return "sctp";
	default:
		return "icmp";
	}
}

static void fill(struct json_object *o, const struct rs_question *q, int family,
		 const struct rs_explanation *x)
{
	rs_json_add_str(o, "verdict", verdict_word(x->verdict));
	json_object_object_add(o, "source", end_json(&q->src, family));
	json_object_object_add(o, "destination", end_json(&q->dst, family));
	rs_json_add_str(o, "protocol", rs_answer_proto(q->proto));
	if (q->port)
		json_object_object_add(o, "port", json_object_new_int(q->port));
	rs_json_add_str(o, "deniedAt", x->denied_at);
	rs_json_add_str(o, "note", x->note);
	json_object_object_add(o, "egress", half_json(&x->egress));
	json_object_object_add(o, "ingress", half_json(&x->ingress));
}

int rs_answer_explain(struct json_object *o, const struct rs_world *w, const struct rs_ir *ir,
		      struct rs_question *q, enum rs_verdict *verdict, struct rs_err *err)
{
	struct rs_explanation *x = NULL;
	int rc = q->family ? explain_family(w, ir, q, q->family, &x, err)
			   : explain_any(w, ir, q, &q->family, &x, err);

	if (rc < 0)
		return rc;
	*verdict = x->verdict;
	fill(o, q, q->family, x);
	rs_explanation_free(x);
	return 0;
}
