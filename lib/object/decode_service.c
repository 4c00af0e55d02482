// SPDX-License-Identifier: Apache-2.0
/* decode_service.c - Services and EndpointSlices: which addresses lead to which pods. */
#include "object/decode.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "object/labels.h"
#include "object/syntax.h"

/* More than any of them has; keeps the search for equal addresses short. */
#define MAX_IPS 256
#define MAX_ENDS 1000 /* the API's own bound of one slice */
#define MAX_PORTS 1000

/* ---- shared ---------------------------------------------------------------------------------- */

/* A list of maps under that name, no longer than most. */
static int list_of(struct rs_dec *d, const struct rs_at *up, const char *field, size_t most,
		   struct rs_at *out)
{
	*out = rs_at_field(up, field);
	if (rs_dec_type(d, out, RS_DOC_LIST) < 0)
		return -EINVAL;
	if (rs_at_count(out) > most)
		return rs_dec_fail(d, out, "more than %zu items", most);
	return 0;
}

static int port_name(struct rs_dec *d, const struct rs_at *at, char **out)
{
	const char *name;

	if (rs_dec_string(d, at, "name", &name) < 0)
		return -EINVAL;
	*out = name && *name ? rs_strdup(name) : NULL;
	return 0;
}

/* ---- Service: addresses ---------------------------------------------------------------------- */

static int add_ip(struct rs_dec *d, const struct rs_at *at, struct rs_service *v)
{
	const char *text;
	struct rs_addr a;
	size_t i;

	if (rs_dec_text(d, at, &text) < 0)
		return -EINVAL;
	if (!strcmp(text, "None")) {
		v->headless = true;
		return 0;
	}
	if (!*text)
		return 0;
	if (rs_addr_parse(text, &a, NULL) < 0)
		return rs_dec_fail(d, at, "\"%.64s\" is not an IP address", text);
	for (i = 0; i < v->n_ips; i++)
		if (!rs_addr_cmp(&v->ips[i], &a))
			return 0;
	if (v->n_ips == MAX_IPS)
		return rs_dec_fail(d, at, "more than %d addresses", MAX_IPS);
	v->ips[v->n_ips++] = a;
	return 0;
}

static int add_ips(struct rs_dec *d, const struct rs_at *list, const char *field,
		   struct rs_service *v)
{
	const struct rs_doc_item *item;
	size_t n = 0;

	for (item = rs_at_first(list); item; item = item->next) {
		struct rs_at at = rs_at_item(list, n++, item), inner;

		if (field && rs_dec_type(d, &at, RS_DOC_MAP) < 0)
			return -EINVAL;
		inner = field ? rs_at_field(&at, field) : at;
		/* A load balancer may have a name only. */
		if (field && !inner.node)
			continue;
		if (rs_dec_contain(d, add_ip(d, &inner, v), NULL) < 0)
			return -EINVAL;
	}
	return 0;
}

static int service_ips(struct rs_dec *d, const struct rs_at *spec, const struct rs_at *status,
		       struct rs_service *v)
{
	struct rs_at one = rs_at_field(spec, "clusterIP"), list, more;
	struct rs_at balancer = rs_at_field(status, "loadBalancer");

	v->ips = rs_new0(struct rs_addr, MAX_IPS);
	if (one.node && add_ip(d, &one, v) < 0)
		return -EINVAL;
	if (list_of(d, spec, "clusterIPs", MAX_IPS, &list) < 0 || add_ips(d, &list, NULL, v) < 0)
		return -EINVAL;
	v->n_cluster_ips = v->n_ips;
	if (list_of(d, spec, "externalIPs", MAX_IPS, &more) < 0 || add_ips(d, &more, NULL, v) < 0)
		return -EINVAL;
	if (rs_dec_type(d, &balancer, RS_DOC_MAP) < 0 ||
	    list_of(d, &balancer, "ingress", MAX_IPS, &more) < 0 || add_ips(d, &more, "ip", v) < 0)
		return -EINVAL;
	v->ips = rs_reallocarray(v->ips, v->n_ips + 1, sizeof(*v->ips));
	return 0;
}

/* ---- Service: ports -------------------------------------------------------------------------- */

static int target(struct rs_dec *d, const struct rs_at *at, struct rs_service_port *p)
{
	struct rs_at field = rs_at_field(at, "targetPort");
	const char *text, *fault;

	if (!field.node)
		return 0;
	if (field.node->type != RS_DOC_STRING) {
		p->target_kind = RS_TARGET_NUMBER;
		return rs_dec_port(d, &field, &p->target);
	}
	if (rs_dec_text(d, &field, &text) < 0)
		return -EINVAL;
	if (!*text)
		return 0;
	fault = rs_syntax_port_name(text);
	if (fault)
		return rs_dec_fail(d, &field, "\"%.64s\" %s", text, fault);
	p->target_kind = RS_TARGET_NAME;
	p->target_name = rs_strdup(text);
	return 0;
}

static int service_port(struct rs_dec *d, const struct rs_at *at, struct rs_service_port *p)
{
	struct rs_at port = rs_at_field(at, "port"), node = rs_at_field(at, "nodePort");

	if (!at->node)
		return rs_dec_fail(d, at, "null where a port is expected");
	if (rs_dec_type(d, at, RS_DOC_MAP) < 0 || port_name(d, at, &p->name) < 0 ||
	    rs_dec_proto(d, at, &p->proto) < 0 || rs_dec_port(d, &port, &p->port) < 0 ||
	    target(d, at, p) < 0)
		return -EINVAL;
	/* 0 asks for one to be chosen. */
	if (!node.node || (node.node->type == RS_DOC_INT && !node.node->integer))
		return 0;
	return rs_dec_port(d, &node, &p->node_port);
}

static int service_ports(struct rs_dec *d, const struct rs_at *spec, struct rs_service *v)
{
	const struct rs_doc_item *item;
	struct rs_at list;

	if (list_of(d, spec, "ports", MAX_PORTS, &list) < 0)
		return -EINVAL;
	v->ports = rs_new0(struct rs_service_port, rs_at_count(&list));
	for (item = rs_at_first(&list); item; item = item->next) {
		struct rs_at at = rs_at_item(&list, v->n_ports, item);

		if (service_port(d, &at, &v->ports[v->n_ports++]) < 0)
			return -EINVAL;
	}
	return 0;
}

int rs_dec_service(struct rs_dec *d, const struct rs_at *root, struct rs_service *v)
{
	struct rs_at spec = rs_at_field(root, "spec"), status = rs_at_field(root, "status");
	const char *type, *traffic;

	if (rs_dec_meta(d, root, true, &v->meta) < 0 || rs_dec_type(d, &spec, RS_DOC_MAP) < 0 ||
	    rs_dec_type(d, &status, RS_DOC_MAP) < 0 || rs_dec_string(d, &spec, "type", &type) < 0 ||
	    rs_dec_string(d, &spec, "externalTrafficPolicy", &traffic) < 0 ||
	    rs_dec_labels(d, &spec, "selector", &v->selector) < 0)
		return -EINVAL;
	v->type = rs_strdup(type && *type ? type : "ClusterIP");
	v->local_only = traffic && !strcmp(traffic, "Local");
	if (service_ips(d, &spec, &status, v) < 0)
		return -EINVAL;
	return service_ports(d, &spec, v);
}

/* ---- EndpointSlice --------------------------------------------------------------------------- */

static int target_ref(struct rs_dec *d, const struct rs_at *at, struct rs_slice *e,
		      struct rs_slice_end *end)
{
	struct rs_at ref = rs_at_field(at, "targetRef");
	const char *kind, *ns, *name;

	if (rs_dec_type(d, &ref, RS_DOC_MAP) < 0 || rs_dec_string(d, &ref, "kind", &kind) < 0 ||
	    rs_dec_string(d, &ref, "namespace", &ns) < 0 ||
	    rs_dec_string(d, &ref, "name", &name) < 0)
		return -EINVAL;
	if (!kind || strcmp(kind, "Pod") || !name || !*name)
		return 0;
	end->pod_ns = rs_strdup(ns && *ns ? ns : e->meta.ns);
	end->pod_name = rs_strdup(name);
	return 0;
}

static int is_ready(struct rs_dec *d, const struct rs_at *at, bool *ready)
{
	struct rs_at conditions = rs_at_field(at, "conditions");

	if (rs_dec_type(d, &conditions, RS_DOC_MAP) < 0)
		return -EINVAL;
	*ready = true;
	if (!rs_at_field(&conditions, "ready").node)
		return 0;
	return rs_dec_bool(d, &conditions, "ready", ready);
}

/* Consumers take the first address only: the others are aliases of the same. */
static int slice_end(struct rs_dec *d, const struct rs_at *at, struct rs_slice *e,
		     struct rs_slice_end *end)
{
	const struct rs_doc_item *first;
	struct rs_at list, text;
	const char *addr;

	if (!at->node)
		return rs_dec_fail(d, at, "null where an endpoint is expected");
	if (rs_dec_type(d, at, RS_DOC_MAP) < 0 || is_ready(d, at, &end->ready) < 0 ||
	    target_ref(d, at, e, end) < 0 || list_of(d, at, "addresses", 100, &list) < 0)
		return -EINVAL;
	first = rs_at_first(&list);
	if (!first)
		return rs_dec_fail(d, &list, "an address is missing");
	text = rs_at_item(&list, 0, first);
	if (rs_dec_text(d, &text, &addr) < 0)
		return -EINVAL;
	if (rs_addr_parse(addr, &end->addr, NULL) < 0)
		return rs_dec_fail(d, &text, "\"%.64s\" is not an IP address", addr);
	return 0;
}

static int slice_ends(struct rs_dec *d, const struct rs_at *root, struct rs_slice *e)
{
	const struct rs_doc_item *item;
	struct rs_at list;

	if (list_of(d, root, "endpoints", MAX_ENDS, &list) < 0)
		return -EINVAL;
	e->ends = rs_new0(struct rs_slice_end, rs_at_count(&list));
	for (item = rs_at_first(&list); item; item = item->next) {
		struct rs_at at = rs_at_item(&list, e->n_ends, item);

		if (slice_end(d, &at, e, &e->ends[e->n_ends++]) < 0)
			return -EINVAL;
	}
	return 0;
}

static int slice_ports(struct rs_dec *d, const struct rs_at *root, struct rs_slice *e)
{
	const struct rs_doc_item *item;
	struct rs_at list;

	if (list_of(d, root, "ports", MAX_PORTS, &list) < 0)
		return -EINVAL;
	e->ports = rs_new0(struct rs_slice_port, rs_at_count(&list));
	for (item = rs_at_first(&list); item; item = item->next) {
		struct rs_at at = rs_at_item(&list, e->n_ports, item), port;
		struct rs_slice_port *p = &e->ports[e->n_ports++];

		port = rs_at_field(&at, "port");
		if (rs_dec_type(d, &at, RS_DOC_MAP) < 0 || port_name(d, &at, &p->name) < 0 ||
		    rs_dec_proto(d, &at, &p->proto) < 0)
			return -EINVAL;
		if (port.node && rs_dec_port(d, &port, &p->port) < 0)
			return -EINVAL;
	}
	return 0;
}

int rs_dec_slice(struct rs_dec *d, const struct rs_at *root, struct rs_slice *e)
{
	const char *service, *type;

	if (rs_dec_meta(d, root, true, &e->meta) < 0 ||
	    rs_dec_string(d, root, "addressType", &type) < 0)
		return -EINVAL;
	service = rs_labels_get(&e->meta.labels, "kubernetes.io/service-name");
	e->service = rs_strdup(service);
	/* Names of hosts lead nowhere that a policy could see. */
	if (type && !strcmp(type, "FQDN"))
		return 0;
	if (slice_ends(d, root, e) < 0)
		return -EINVAL;
	return slice_ports(d, root, e);
}
