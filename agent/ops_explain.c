// SPDX-License-Identifier: Apache-2.0
/* ops_explain.c - explain SRC DST PORT: who the operands are, then the engine's reasons as JSON. */
#include "agent/ops.h"

#include <errno.h>
#include <string.h>

#include "base/jsonio.h"

/* Addresses of the outside that nobody holds (RFC 5737, RFC 3849): they stand for "world". */
#define WORLD_IP4 "203.0.113.1"
#define WORLD_IP6 "2001:db8:ffff::1"

/* What an operand means: a pod, this node or a plain address, with one address a family at most. */
struct end {
	const char *text;
	char *ns, *name;
	bool node;
	struct rs_addr ip4, ip6; /* family 0: none */
};

static void end_clear(struct end *e)
{
	free(e->ns);
	free(e->name);
}

static void take_addr(struct end *e, const struct rs_addr *a)
{
	struct rs_addr *slot = a->family == RS_AF_IP4 ? &e->ip4 : &e->ip6;

	if (!slot->family)
		*slot = *a;
}

static int find_pod(struct rs_agent *a, const struct rs_world *w, const char *ns, struct end *e,
		    struct rs_err *err)
{
	const struct rs_attached *local;
	const struct rs_pod *pod;
	int rc = rs_operand_pod(e->text, ns, &e->ns, &e->name, err);

	if (rc < 0)
		return rc;
	local = rs_registry_by_pod(a->reg, e->ns, e->name);
	pod = rs_store_pod(w->store, e->ns, e->name);
	if (!local && !pod)
		return rs_operand_no_pod(a, e->ns, e->name, err);
	/* On its node's network: if that is this node, its packets are the node's own. */
	if (!local && pod->host_network && pod->n_ips) {
		rc = a->host.own_addr(a->host.arg, &pod->ips[0], err);
		if (rc < 0)
			return rc;
		e->node = rc > 0;
	}
	for (size_t i = 0; local && i < local->rec->n_ips; i++)
		take_addr(e, &local->rec->ips[i]);
	for (size_t i = 0; !local && i < pod->n_ips; i++)
		take_addr(e, &pod->ips[i]);
	if (!e->ip4.family && !e->ip6.family)
		return rs_err_set(err, ENOENT, "pod %s/%s has no address yet", e->ns, e->name);
	return 0;
}

static int find_node(struct rs_agent *a, struct end *e, struct rs_err *err)
{
	rs_autofree struct rs_link_addr *v = NULL;
	size_t n = 0;
	int rc = rs_addr_list(rs_host_netlink(a->host_real), 0, &v, &n, err);

	if (rc < 0)
		return rs_err_wrap(err, "read this node's addresses");
	e->node = true;
	for (size_t i = 0; i < n; i++)
		if (!rs_addr_is_loopback(&v[i].addr) && !rs_addr_is_linklocal(&v[i].addr))
			take_addr(e, &v[i].addr);
	if (!e->ip4.family && !e->ip6.family)
		return rs_err_set(err, ENOENT, "this node has no address but loopback");
	return 0;
}

/* An address may be a pod's or the node's own: then that is who is meant. */
static int find_addr(struct rs_agent *a, const struct rs_world *w, struct end *e,
		     const struct rs_addr *addr, struct rs_err *err)
{
	const struct rs_attached *local = rs_registry_by_addr(a->reg, addr);
	size_t n;
	const struct rs_pod *const *pods = rs_store_pods(w->store, &n);
	int own;

	take_addr(e, addr);
	if (local) {
		e->ns = rs_strdup(local->rec->pod_ns);
		e->name = rs_strdup(local->rec->pod_name);
		return 0;
	}
	own = a->host.own_addr(a->host.arg, addr, err);
	if (own != 0) {
		e->node = own > 0;
		return own < 0 ? own : 0;
	}
	for (size_t i = 0; i < n && !e->name; i++)
		for (size_t j = 0; j < pods[i]->n_ips && !e->name; j++)
			if (!pods[i]->host_network && !rs_pod_finished(pods[i]) &&
			    !rs_registry_by_pod(a->reg, pods[i]->meta.ns, pods[i]->meta.name) &&
			    !rs_addr_cmp(&pods[i]->ips[j], addr)) {
				e->ns = rs_strdup(pods[i]->meta.ns);
				e->name = rs_strdup(pods[i]->meta.name);
			}
	return 0;
}

static int find_end(struct rs_agent *a, const struct rs_world *w, const char *ns, struct end *e,
		    struct rs_err *err)
{
	struct rs_addr addr;
	int rc;

	if (!strcmp(e->text, "node"))
		return find_node(a, e, err);
	if (!strcmp(e->text, "world")) {
		rc = rs_addr_parse(WORLD_IP4, &e->ip4, err);
		return rc < 0 ? rc : rs_addr_parse(WORLD_IP6, &e->ip6, err);
	}
	if (rs_addr_parse(e->text, &addr, NULL) == 0 && rs_addr_is_loopback(&addr)) {
		rs_err_set(err, EINVAL, "%s never leaves the machine or pod that uses it", e->text);
		return rs_err_hint(err, "this node is called: node");
	}
	if (rs_addr_parse(e->text, &addr, NULL) == 0)
		return find_addr(a, w, e, &addr, err);
	return find_pod(a, w, ns, e, err);
}

/* ---- the flow -------------------------------------------------------------------------------- */

struct question {
	struct end src, dst;
	uint8_t proto; /* 0: ICMP */
	uint16_t port;
};

static struct rs_flow_end flow_end(const struct end *e, int family)
{
	return (struct rs_flow_end){
		.ns = e->ns,
		.name = e->name,
		.addr = family == RS_AF_IP4 ? e->ip4 : e->ip6,
		.node = e->node,
	};
}

static int explain_family(struct rs_agent *a, const struct question *q, int family,
			  struct rs_explanation **out, struct rs_err *err)
{
	struct rs_flow flow = { .src = flow_end(&q->src, family),
				.dst = flow_end(&q->dst, family),
				.proto = q->proto,
				.port = q->port };
	const struct rs_ir *ir = rs_reconcile_clean(a->rec) ? rs_reconcile_ir(a->rec) : NULL;
	struct rs_world w;
	int rc;

	if (!flow.src.addr.family || !flow.dst.addr.family)
		return rs_err_set(err, EAFNOSUPPORT, "%s and %s share no IPv%d address",
				  q->src.text, q->dst.text, family);
	if (!q->proto)
		flow.proto = family == RS_AF_IP4 ? 1 : 58;
	rs_reconcile_world(a->rec, &w);
	rc = rs_explain(&w, ir, &flow, out, err);
	if (rc == -EUCLEAN) {
		rs_err_wrap(err, "internal disagreement, please report it");
		return -EUCLEAN;
	}
	return rc;
}

/* Both families where both ends have both; a difference must be asked for by family. */
static int explain_any(struct rs_agent *a, const struct question *q, int *family,
		       struct rs_explanation **out, struct rs_err *err)
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
	rc = explain_family(a, q, *family, out, err);
	if (rc < 0 || !four || !six)
		return rc;
	rc = explain_family(a, q, RS_AF_IP6, &other, err);
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

static const char *verdict(enum rs_verdict v)
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
		rs_json_add_str(o, "verdict", verdict(h->verdict));
	rs_json_add_str(o, "reason", h->reason);
	json_object_object_add(o, "isolatedBy", rs_op_strings(h->isolated_by, h->n_isolated_by));
	rs_json_add_str(o, "rule", h->rule);
	rs_json_add_str(o, "where", h->where);
	if (h->miss_rule)
		json_object_object_add(o, "miss", miss_json(h));
	return o;
}

static struct json_object *end_json(const struct end *e, int family)
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

/* What a reader of the kernel's rules must know to describe the packet. */
static int add_kernel(struct rs_agent *a, const struct question *q, int family,
		      struct json_object *o, struct rs_err *err)
{
	struct rs_flow_end src = flow_end(&q->src, family), dst = flow_end(&q->dst, family);
	int rc = rs_op_add_link(a, rs_json_get(o, "source"), &src.addr, err);

	if (rc == 0)
		rc = rs_op_add_link(a, rs_json_get(o, "destination"), &dst.addr, err);
	rs_op_add_node(a, o, family);
	return rc < 0 ? rs_err_wrap(err, "links of this flow") : 0;
}

static const char *proto_name(uint8_t proto)
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

static struct json_object *result_json(struct rs_agent *a, const struct question *q, int family,
				       const struct rs_explanation *x)
{
	struct json_object *o = rs_op_object(a, "ExplainResult");

	rs_json_add_str(o, "verdict", verdict(x->verdict));
	json_object_object_add(o, "source", end_json(&q->src, family));
	json_object_object_add(o, "destination", end_json(&q->dst, family));
	rs_json_add_str(o, "protocol", proto_name(q->proto));
	if (q->port)
		json_object_object_add(o, "port", json_object_new_int(q->port));
	rs_json_add_str(o, "deniedAt", x->denied_at);
	rs_json_add_str(o, "note", x->note);
	json_object_object_add(o, "egress", half_json(&x->egress));
	json_object_object_add(o, "ingress", half_json(&x->ingress));
	return o;
}

/* ---- the operation --------------------------------------------------------------------------- */

static int read_question(struct rs_agent *a, struct json_object *body, struct question *q,
			 struct rs_err *err)
{
	const char *ns = rs_json_text(body, "namespace", NULL);
	struct rs_world w;
	int rc;

	q->src.text = rs_json_text(body, "src", "");
	q->dst.text = rs_json_text(body, "dst", "");
	rc = rs_operand_port(rs_json_text(body, "port", ""), &q->proto, &q->port, err);
	if (rc < 0)
		return rc;
	rs_reconcile_world(a->rec, &w);
	rc = find_end(a, &w, ns, &q->src, err);
	return rc < 0 ? rc : find_end(a, &w, ns, &q->dst, err);
}

static int explain(struct rs_agent *a, struct json_object *body, struct json_object **out,
		   struct rs_err *err)
{
	struct question q = { 0 };
	bool kernel = false;
	struct rs_explanation *x = NULL;
	int64_t wanted = 0;
	int family = 0, rc;

	if (!rs_reconcile_synced(a->rec)) {
		rs_autofree char *why = rs_reconcile_why_not_ready(a->rec);

		return rs_err_set(err, EAGAIN, "%s", why ? why : "not synced");
	}
	rc = rs_json_opt_int(body, "family", 0, 6, &wanted, err);
	if (rc == 0 && wanted != 0 && wanted != 4 && wanted != 6)
		rc = rs_err_set(err, EINVAL, "family is 4 or 6");
	if (rc == 0)
		rc = rs_json_opt_bool(body, "kernel", &kernel, err);
	if (rc == 0)
		rc = read_question(a, body, &q, err);
	if (rc == 0) {
		family = (int)wanted;
		rc = family ? explain_family(a, &q, family, &x, err)
			    : explain_any(a, &q, &family, &x, err);
	}
	if (rc == 0) {
		*out = result_json(a, &q, family, x);
		if (kernel)
			rc = add_kernel(a, &q, family, *out, err);
	}
	rs_explanation_free(x);
	end_clear(&q.src);
	end_clear(&q.dst);
	return rc;
}

void rs_op_explain(struct rs_agent *a, struct rs_request *req, struct json_object *body)
{
	struct json_object *o = NULL;
	rs_auto_err err = { 0 };

	if (explain(a, body, &o, &err) == 0) {
		rs_request_answer(req, o);
		return;
	}
	json_object_put(o);
	rs_request_fail(req, &err);
}
