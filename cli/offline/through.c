// SPDX-License-Identifier: Apache-2.0
/* through.c - a flow to a Service: where its address leads, and every backend judged by itself. */
#include "cli/offline/offline.h"

#include <errno.h>
#include <string.h>

struct count {
	size_t ready, not_ready, allowed, denied;
	size_t other_family; /* backends that no address of the source can reach */
};

/* ---- which port of the Service --------------------------------------------------------------- */

static bool is_asked(const struct cli_port *asked, const struct rs_service_port *p)
{
	if (p->proto != asked->proto && !(asked->name && asked->any_proto))
		return false;
	if (asked->name)
		return p->name && !strcmp(p->name, asked->name);
	return p->port == asked->lo;
}

static int no_port(const struct cli_service *s, const struct cli_port *asked, struct rs_err *err)
{
	rs_auto_strbuf b = { 0 };
	size_t i;

	for (i = 0; i < s->o->n_ports; i++) {
		const struct rs_service_port *p = &s->o->ports[i];

		rs_strbuf_printf(&b, "%s%s/%u", i ? ", " : "", rs_answer_proto(p->proto), p->port);
		if (p->name)
			rs_strbuf_printf(&b, " (%s)", p->name);
	}
	if (asked->name)
		rs_err_set(err, ENOENT, "Service %s/%s has no port named %s", s->o->meta.ns,
			   s->o->meta.name, asked->name);
	else
		rs_err_set(err, ENOENT, "Service %s/%s has no port %s/%u", s->o->meta.ns,
			   s->o->meta.name, rs_answer_proto(asked->proto), asked->lo);
	if (!b.len)
		return rs_err_hint(err, "it has no ports at all");
	return rs_err_hint(err, "it has %s", rs_strbuf_str(&b));
}

static int find_port(const struct cli_service *s, const struct cli_port *asked,
		     const struct rs_service_port **out, struct rs_err *err)
{
	size_t i;

	if (!asked->proto || asked->lo != asked->hi) {
		rs_err_set(err, EINVAL, "a Service leads single ports of TCP, UDP or SCTP on");
		return rs_err_hint(err, "ask for one port, or for the pods behind it");
	}
	for (i = 0; i < s->o->n_ports; i++)
		if (is_asked(asked, &s->o->ports[i])) {
			*out = &s->o->ports[i];
			return 0;
		}
	return no_port(s, asked, err);
}

static bool serves(const struct cli_backend *b, const struct rs_service_port *p)
{
	if (b->proto != p->proto || !b->port_name != !p->name)
		return false;
	return !p->name || !strcmp(b->port_name, p->name);
}

/* ---- who a backend is ------------------------------------------------------------------------ */

static size_t by_address(const struct cli_world *cw, const struct rs_addr *a)
{
	size_t i, j;

	for (i = 0; i < cw->n_ends; i++)
		for (j = 0; cw->ends[i].given_ip && j < cw->w.locals[i].n_ips; j++)
			if (!rs_addr_cmp(&cw->w.locals[i].ips[j], a))
				return i;
	return SIZE_MAX;
}

/* A slice of a cluster beside workloads of git: the pod is one of the template's. */
static size_t by_selector(const struct cli_world *cw, const struct cli_service *s)
{
	size_t i;

	for (i = 0; i < cw->n_ends; i++)
		if (cw->ends[i].is_template && !strcmp(cw->ends[i].ns, s->o->meta.ns) &&
		    cli_service_selects(s->o, cw->w.locals[i].labels))
			return i;
	return SIZE_MAX;
}

size_t cli_find_backend(const struct cli_world *cw, const struct cli_service *s,
			const struct cli_backend *b)
{
	const struct cli_endpoint *e =
		b->pod_name ? cli_world_endpoint(cw, b->pod_ns, b->pod_name) : NULL;
	size_t i = e ? (size_t)(e - cw->ends) : by_address(cw, &b->addr);

	return i == SIZE_MAX ? by_selector(cw, s) : i;
}

/* Only the address of the backend's family: the Service leads to that one. */
static int backend_end(const struct cli_flow *f, const struct cli_service *s,
		       const struct cli_backend *b, struct cli_flow_ends *out)
{
	size_t i = cli_find_backend(f->cw, s, b), j;
	struct cli_flow_end *e = rs_vec_push(&out->v);
	char text[RS_ADDR_STRLEN];

	/* A template reaches another of its pods, not itself. */
	if (i != SIZE_MAX && i == f->src.v.v[0].end && f->sibling != SIZE_MAX) {
		i = f->sibling;
		out->siblings = true;
	}
	*e = (struct cli_flow_end){ .end = i };
	if (i == SIZE_MAX) {
		*(b->addr.family == RS_AF_IP4 ? &e->e.ip4 : &e->e.ip6) = b->addr;
		*rs_vec_push(&out->texts) = rs_strdup(rs_addr_str(&b->addr, text));
	} else {
		const struct rs_local_pod *l = &f->cw->w.locals[i];

		for (j = 0; j < l->n_ips; j++)
			if (l->ips[j].family == b->addr.family)
				*(b->addr.family == RS_AF_IP4 ? &e->e.ip4 : &e->e.ip6) = l->ips[j];
		e->e.ns = l->ns;
		e->e.name = l->name;
		e->assumed = !f->cw->ends[i].given_ip;
		*rs_vec_push(&out->texts) = cli_endpoint_text(&f->cw->ends[i]);
	}
	e->e.text = out->texts.v[0];
	return e->e.ip4.family || e->e.ip6.family;
}

/* ---- judging --------------------------------------------------------------------------------- */

static bool source_has(const struct cli_flow *f, int family)
{
	size_t i;

	for (i = 0; i < f->src.v.n; i++) {
		const struct rs_answer_end *e = &f->src.v.v[i].e;

		if (!e->node && !(family == RS_AF_IP4 ? e->ip4.family : e->ip6.family))
			return false;
	}
	return true;
}

static int judge_backend(struct cli_flow *f, const struct cli_service *s,
			 const struct rs_service_port *p, const struct cli_backend *b,
			 struct json_object *list, struct count *n, struct rs_err *err)
{
	uint16_t port = s->o->headless && !f->port.name ? f->port.lo : b->port;
	struct cli_flow one = *f;
	struct json_object *o;
	enum rs_verdict verdict;
	int rc;

	if ((f->family && b->addr.family != f->family) || !source_has(f, b->addr.family)) {
		n->other_family++;
		return 0;
	}
	one.port = (struct cli_port){ .proto = p->proto, .lo = port, .hi = port };
	one.family = b->addr.family;
	memset(&one.dst, 0, sizeof(one.dst));
	o = json_object_new_object();
	rc = backend_end(f, s, b, &one.dst) ? cli_judge(&one, o, &verdict, err)
					    : rs_err_set(err, EINVAL, "%s has no IPv%d address",
							 one.dst.v.v[0].e.text, b->addr.family);
	if (rc == 0) {
		(*(verdict == RS_VERDICT_ALLOW ? &n->allowed : &n->denied))++;
		json_object_array_add(list, json_object_get(o));
	}
	json_object_put(o);
	cli_flow_ends_clear(&one.dst);
	return rc;
}

static int judge_backends(struct cli_flow *f, const struct cli_service *s,
			  const struct rs_service_port *p, struct json_object *list,
			  struct count *n, struct rs_err *err)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < s->n_backends && rc == 0; i++) {
		if (!serves(&s->backends[i], p))
			continue;
		n->ready += s->backends[i].ready;
		n->not_ready += !s->backends[i].ready;
		if (s->backends[i].ready)
			rc = judge_backend(f, s, p, &s->backends[i], list, n, err);
	}
	/* Their addresses are those of their nodes, which a selector does not tell. */
	if (rc == 0 && !n->ready && s->n_host) {
		rs_err_set(err, ENOENT, "what is behind Service %s/%s is in the host network",
			   s->o->meta.ns, s->o->meta.name);
		return rs_err_hint(err, "ask for the addresses of the nodes instead");
	}
	if (rc == 0 && n->ready && n->ready == n->other_family)
		rc = rs_err_set(err, EAFNOSUPPORT,
				"no backend of Service %s/%s has an address of that family",
				s->o->meta.ns, s->o->meta.name);
	return rc;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void add_number(struct json_object *o, const char *key, size_t n)
{
	json_object_object_add(o, key, json_object_new_int64((int64_t)n));
}

static struct json_object *service_json(const struct cli_service *s,
					const struct rs_service_port *p, const struct count *n)
{
	struct json_object *o = json_object_new_object();

	rs_json_add_str(o, "namespace", s->o->meta.ns);
	rs_json_add_str(o, "name", s->o->meta.name);
	rs_json_add_str(o, "type", s->o->type);
	json_object_object_add(o, "headless", json_object_new_boolean(s->o->headless));
	rs_json_add_str(o, "portName", p->name);
	add_number(o, "port", p->port);
	json_object_object_add(o, "ips", rs_answer_ips(s->o->ips, s->o->n_ips));
	rs_json_add_str(o, "backendsFrom", s->from_slices ? "EndpointSlices" : "selector");
	add_number(o, "ready", n->ready);
	add_number(o, "notReady", n->not_ready);
	add_number(o, "allowed", n->allowed);
	add_number(o, "denied", n->denied);
	return o;
}

/* An address that the flow would go to; the first of the family, if there is one. */
static const struct rs_addr *address_of(const struct cli_service *s, int family)
{
	size_t i;

	for (i = 0; i < s->o->n_ips; i++)
		if (!family || s->o->ips[i].family == family)
			return &s->o->ips[i];
	return NULL;
}

static void add_ends(const struct cli_flow *f, const struct cli_service *s,
		     struct json_object *list, struct json_object *o)
{
	struct json_object *first = json_object_array_get_idx(list, 0);
	struct json_object *dst = json_object_new_object(), *src;
	rs_autofree char *text = rs_asprintf("svc/%s/%s", s->o->meta.ns, s->o->meta.name);
	const struct rs_addr *a = address_of(s, f->family);
	char addr[RS_ADDR_STRLEN];

	src = json_object_get(rs_json_get(first, "source"));
	if (!src) {
		src = json_object_new_object();
		rs_json_add_str(src, "text", f->src.v.v[0].e.text);
	}
	rs_json_add_str(dst, "text", text);
	if (a)
		rs_json_add_str(dst, "ip", rs_addr_str(a, addr));
	json_object_object_add(o, "source", src);
	json_object_object_add(o, "destination", dst);
}

/* What cannot be seen in objects. */
static void add_note(const struct cli_flow *f, const struct cli_service *s, const struct count *n,
		     struct json_object *o)
{
	rs_auto_strbuf b = { 0 };

	if (!n->ready)
		rs_strbuf_printf(&b,
				 "Service %s/%s has no ready backend on this port%s: nobody "
				 "answers",
				 s->o->meta.ns, s->o->meta.name,
				 s->from_slices	    ? ""
				 : s->o->selector.n ? " (no pod that was read has its selector's "
						      "labels and port)"
						    : " (it has no selector, and no EndpointSlice "
						      "was read)");
	else if (f->src.v.v[0].end == SIZE_MAX && !f->src.v.v[0].e.node)
		rs_strbuf_puts(&b, "a node or load balancer on the way may put its own address in "
				   "place of the client's: then ipBlocks see that one");
	if (b.len)
		rs_json_add_str(o, "note", rs_strbuf_str(&b));
}

static void fill(const struct cli_flow *f, const struct cli_service *s,
		 const struct rs_service_port *p, const struct count *n, struct json_object *list,
		 struct json_object *o)
{
	bool allowed = n->allowed && !n->denied;
	rs_autofree char *at = rs_asprintf("Service %s/%s", s->o->meta.ns, s->o->meta.name);
	size_t i;

	rs_json_add_str(o, "verdict", allowed ? "allowed" : "denied");
	add_ends(f, s, list, o);
	rs_json_add_str(o, "protocol", rs_answer_proto(p->proto));
	add_number(o, "port", f->port.name ? p->port : f->port.lo);
	for (i = 0; n->denied && i < json_object_array_length(list); i++) {
		struct json_object *b = json_object_array_get_idx(list, i);

		if (rs_json_get(b, "deniedAt")) {
			rs_json_add_str(o, "deniedAt", rs_json_text(b, "deniedAt", NULL));
			break;
		}
	}
	if (!n->ready)
		rs_json_add_str(o, "deniedAt", at);
	json_object_object_add(o, "service", service_json(s, p, n));
	json_object_object_add(o, "backends", json_object_get(list));
	add_note(f, s, n, o);
}

int cli_judge_service(struct cli_flow *f, const struct cli_service *s, struct json_object *o,
		      struct rs_err *err)
{
	rs_autojson struct json_object *list = json_object_new_array();
	const struct rs_service_port *p = NULL;
	struct count n = { 0 };
	int rc;

	if (!strcmp(s->o->type, "ExternalName")) {
		rs_err_set(err, EINVAL, "Service %s/%s is another name for a host outside",
			   s->o->meta.ns, s->o->meta.name);
		return rs_err_hint(err, "ask for the address that the name has");
	}
	rc = find_port(s, &f->port, &p, err);
	if (rc == 0)
		rc = judge_backends(f, s, p, list, &n, err);
	if (rc == 0)
		fill(f, s, p, &n, list, o);
	return rc;
}
