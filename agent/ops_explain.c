// SPDX-License-Identifier: Apache-2.0
/* ops_explain.c - explain SRC DST PORT: who the operands are, then the answer. */
#include "agent/ops.h"

#include <errno.h>
#include <string.h>

#include "answer/answer.h"
#include "base/jsonio.h"

/* Addresses of the outside that nobody holds (RFC 5737, RFC 3849): they stand for "world". */
#define WORLD_IP4 "203.0.113.1"
#define WORLD_IP6 "2001:db8:ffff::1"

/* Names of an end, which the answer borrows. */
struct end {
	struct rs_answer_end e;
	char *ns, *name;
};

static void end_clear(struct end *e)
{
	free(e->ns);
	free(e->name);
}

static void take_addr(struct end *e, const struct rs_addr *a)
{
	struct rs_addr *slot = a->family == RS_AF_IP4 ? &e->e.ip4 : &e->e.ip6;

	if (!slot->family)
		*slot = *a;
}

static int find_pod(struct rs_agent *a, const struct rs_world *w, const char *ns, struct end *e,
		    struct rs_err *err)
{
	const struct rs_attached *local;
	const struct rs_pod *pod;
	int rc = rs_operand_pod(e->e.text, ns, &e->ns, &e->name, err);

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
		e->e.node = rc > 0;
	}
	for (size_t i = 0; local && i < local->rec->n_ips; i++)
		take_addr(e, &local->rec->ips[i]);
	for (size_t i = 0; !local && i < pod->n_ips; i++)
		take_addr(e, &pod->ips[i]);
	if (!e->e.ip4.family && !e->e.ip6.family)
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
	e->e.node = true;
	for (size_t i = 0; i < n; i++)
		if (!rs_addr_is_loopback(&v[i].addr) && !rs_addr_is_linklocal(&v[i].addr))
			take_addr(e, &v[i].addr);
	if (!e->e.ip4.family && !e->e.ip6.family)
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
		e->e.node = own > 0;
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

	if (!strcmp(e->e.text, "node"))
		return find_node(a, e, err);
	if (!strcmp(e->e.text, "world")) {
		rc = rs_addr_parse(WORLD_IP4, &e->e.ip4, err);
		return rc < 0 ? rc : rs_addr_parse(WORLD_IP6, &e->e.ip6, err);
	}
	if (rs_addr_parse(e->e.text, &addr, NULL) == 0 && rs_addr_is_loopback(&addr)) {
		rs_err_set(err, EINVAL, "%s never leaves the machine or pod that uses it",
			   e->e.text);
		return rs_err_hint(err, "this node is called: node");
	}
	if (rs_addr_parse(e->e.text, &addr, NULL) == 0)
		return find_addr(a, w, e, &addr, err);
	return find_pod(a, w, ns, e, err);
}

/* What a reader of the kernel's rules must know to describe the packet. */
static int add_kernel(struct rs_agent *a, const struct rs_question *q, struct json_object *o,
		      struct rs_err *err)
{
	bool four = q->family == RS_AF_IP4;
	int rc = rs_op_add_link(a, rs_json_get(o, "source"), four ? &q->src.ip4 : &q->src.ip6, err);

	if (rc == 0)
		rc = rs_op_add_link(a, rs_json_get(o, "destination"),
				    four ? &q->dst.ip4 : &q->dst.ip6, err);
	rs_op_add_node(a, o, q->family);
	return rc < 0 ? rs_err_wrap(err, "links of this flow") : 0;
}

/* ---- the operation --------------------------------------------------------------------------- */

struct ends {
	struct end src, dst;
};

static int read_question(struct rs_agent *a, struct json_object *body, const struct rs_world *w,
			 struct ends *ends, struct rs_question *q, struct rs_err *err)
{
	const char *ns = rs_json_text(body, "namespace", NULL);
	int rc;

	ends->src.e.text = rs_json_text(body, "src", "");
	ends->dst.e.text = rs_json_text(body, "dst", "");
	rc = rs_operand_port(rs_json_text(body, "port", ""), &q->proto, &q->port, err);
	if (rc == 0)
		rc = find_end(a, w, ns, &ends->src, err);
	if (rc == 0)
		rc = find_end(a, w, ns, &ends->dst, err);
	q->src = ends->src.e;
	q->src.ns = ends->src.ns;
	q->src.name = ends->src.name;
	q->dst = ends->dst.e;
	q->dst.ns = ends->dst.ns;
	q->dst.name = ends->dst.name;
	return rc;
}

static int explain(struct rs_agent *a, struct json_object *body, struct json_object *o,
		   struct ends *ends, struct rs_err *err)
{
	const struct rs_ir *ir = rs_reconcile_clean(a->rec) ? rs_reconcile_ir(a->rec) : NULL;
	struct rs_question q = { 0 };
	enum rs_verdict verdict;
	struct rs_world w;
	bool kernel = false;
	int64_t wanted = 0;
	int rc;

	if (!rs_reconcile_synced(a->rec)) {
		rs_autofree char *why = rs_reconcile_why_not_ready(a->rec);

		return rs_err_set(err, EAGAIN, "%s", why ? why : "not synced");
	}
	rc = rs_json_opt_int(body, "family", 0, 6, &wanted, err);
	if (rc == 0 && wanted != 0 && wanted != 4 && wanted != 6)
		rc = rs_err_set(err, EINVAL, "family is 4 or 6");
	q.family = (int)wanted;
	rs_reconcile_world(a->rec, &w);
	if (rc == 0)
		rc = rs_json_opt_bool(body, "kernel", &kernel, err);
	if (rc == 0)
		rc = read_question(a, body, &w, ends, &q, err);
	if (rc == 0)
		rc = rs_answer_explain(o, &w, ir, &q, &verdict, err);
	return rc == 0 && kernel ? add_kernel(a, &q, o, err) : rc;
}

void rs_op_explain(struct rs_agent *a, struct rs_request *req, struct json_object *body)
{
	struct json_object *o = rs_op_object(a, "ExplainResult");
	struct ends ends = { 0 };
	rs_auto_err err = { 0 };

	if (explain(a, body, o, &ends, &err) == 0) {
		rs_request_answer(req, o);
	} else {
		json_object_put(o);
		rs_request_fail(req, &err);
	}
	end_clear(&ends.src);
	end_clear(&ends.dst);
}
