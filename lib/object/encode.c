// SPDX-License-Identifier: Apache-2.0
/* encode.c - objects as Kubernetes' own JSON, with just the fields that Ripstop keeps; see
 * encode.h. */
#include "object/encode.h"

#include "base/base.h"
#include "base/jsonio.h"
#include "object/store.h"

/* ---- parts ----------------------------------------------------------------------------------- */

/* A map that holds nothing but the reason why it matches nothing. */
static struct json_object *fault(const char *why)
{
	struct json_object *o = json_object_new_object();

	rs_json_add_str(o, RS_ENCODED_FAULT, why ? why : "it cannot be read");
	return o;
}

static struct json_object *text(const char *s)
{
	return json_object_new_string(s);
}

static struct json_object *labels_json(const struct rs_labels *l)
{
	struct json_object *o = json_object_new_object();

	for (size_t i = 0; i < l->n; i++)
		rs_json_add_str(o, l->v[i].key, l->v[i].value);
	return o;
}

static struct json_object *meta_json(const struct rs_meta *m)
{
	struct json_object *o = json_object_new_object();

	rs_json_add_str(o, "namespace", m->ns);
	rs_json_add_str(o, "name", m->name);
	rs_json_add_str(o, "uid", m->uid);
	rs_json_add_str(o, "resourceVersion", m->resource_version);
	if (m->generation)
		json_object_object_add(o, "generation", json_object_new_int64(m->generation));
	if (m->deleting)
		rs_json_add_str(o, "deletionTimestamp", RS_ENCODED_MOMENT);
	if (m->labels.n)
		json_object_object_add(o, "labels", labels_json(&m->labels));
	return o;
}

static struct json_object *object_json(const char *api_version, const char *kind,
				       const struct rs_meta *m, struct json_object **meta)
{
	struct json_object *o = json_object_new_object();

	rs_json_add_str(o, "apiVersion", api_version);
	rs_json_add_str(o, "kind", kind);
	*meta = meta_json(m);
	json_object_object_add(o, "metadata", *meta);
	return o;
}

static struct json_object *add_map(struct json_object *o, const char *key)
{
	struct json_object *map = json_object_new_object();

	json_object_object_add(o, key, map);
	return map;
}

static struct json_object *add_list(struct json_object *o, const char *key)
{
	struct json_object *list = json_object_new_array();

	json_object_object_add(o, key, list);
	return list;
}

static void add_cidrs(struct json_object *o, const char *key, const struct rs_cidr *v, size_t n)
{
	struct json_object *list = n ? add_list(o, key) : NULL;
	char buf[RS_CIDR_STRLEN];

	for (size_t i = 0; i < n; i++)
		json_object_array_add(list, text(rs_cidr_str(&v[i], buf)));
}

static void add_protocol(struct json_object *o, uint8_t proto)
{
	rs_json_add_str(o, "protocol",
			proto == RS_PROTO_UDP	 ? "UDP"
			: proto == RS_PROTO_SCTP ? "SCTP"
						 : "TCP");
}

/* ---- NetworkPolicy --------------------------------------------------------------------------- */

/* A matchLabels entry is an In with one value to every reader, and the order stays. */
static struct json_object *requirement_json(const struct rs_requirement *r)
{
	static const char *const ops[] = { [RS_OP_IN] = "In",
					   [RS_OP_NOT_IN] = "NotIn",
					   [RS_OP_EXISTS] = "Exists",
					   [RS_OP_NOT_EXISTS] = "DoesNotExist" };
	struct json_object *o = json_object_new_object(), *values;

	rs_json_add_str(o, "key", r->key);
	rs_json_add_str(o, "operator", ops[r->op]);
	values = r->n_values ? add_list(o, "values") : NULL;
	for (size_t i = 0; i < r->n_values; i++)
		json_object_array_add(values, text(r->values[i]));
	return o;
}

static void add_selector(struct json_object *o, const char *key, const struct rs_selector *s)
{
	struct json_object *list, *map;

	if (!s->present)
		return;
	if (s->invalid) {
		json_object_object_add(o, key, fault(s->why));
		return;
	}
	map = add_map(o, key);
	list = s->n_reqs ? add_list(map, "matchExpressions") : NULL;
	for (size_t i = 0; i < s->n_reqs; i++)
		json_object_array_add(list, requirement_json(&s->reqs[i]));
}

static struct json_object *port_json(const struct rs_policy_port *p)
{
	struct json_object *o;

	if (p->invalid)
		return fault(p->why);
	o = json_object_new_object();
	add_protocol(o, p->proto);
	if (p->kind == RS_PORT_NAMED)
		rs_json_add_str(o, "port", p->name);
	if (p->kind == RS_PORT_RANGE)
		json_object_object_add(o, "port", json_object_new_int(p->lo));
	if (p->kind == RS_PORT_RANGE && p->hi != p->lo)
		json_object_object_add(o, "endPort", json_object_new_int(p->hi));
	return o;
}

static struct json_object *peer_json(const struct rs_peer *p)
{
	struct json_object *o, *block;
	char buf[RS_CIDR_STRLEN];

	if (p->invalid)
		return fault(p->why);
	o = json_object_new_object();
	add_selector(o, "namespaceSelector", &p->ns_selector);
	add_selector(o, "podSelector", &p->pod_selector);
	if (!p->has_block)
		return o;
	block = add_map(o, "ipBlock");
	rs_json_add_str(block, "cidr", rs_cidr_str(&p->block.cidr, buf));
	add_cidrs(block, "except", p->block.except, p->block.n_except);
	return o;
}

static struct json_object *rule_json(const struct rs_rule *r, const char *peers)
{
	struct json_object *o, *list;

	/* An empty list would say the opposite: everybody, every port. */
	if ((!r->any_peer && !r->n_peers) || (!r->any_port && !r->n_ports))
		return fault("the rule cannot be read and allows nothing");
	o = json_object_new_object();
	list = r->any_peer ? NULL : add_list(o, peers);
	for (size_t i = 0; i < r->n_peers; i++)
		json_object_array_add(list, peer_json(&r->peers[i]));
	list = r->any_port ? NULL : add_list(o, "ports");
	for (size_t i = 0; i < r->n_ports; i++)
		json_object_array_add(list, port_json(&r->ports[i]));
	return o;
}

struct json_object *rs_encode_policy(const struct rs_policy *p)
{
	static const struct {
		const char *type, *list, *peers;
	} dirs[RS_DIRECTIONS] = {
		[RS_INGRESS] = { "Ingress", "ingress", "from" },
		[RS_EGRESS] = { "Egress", "egress", "to" },
	};
	struct json_object *meta, *spec, *types;
	struct json_object *o =
		object_json("networking.k8s.io/v1", "NetworkPolicy", &p->meta, &meta);

	spec = add_map(o, "spec");
	add_selector(spec, "podSelector", &p->subject);
	types = add_list(spec, "policyTypes");
	for (int d = 0; d < RS_DIRECTIONS; d++) {
		struct json_object *list = p->n_rules[d] ? add_list(spec, dirs[d].list) : NULL;

		if (p->isolates[d])
			json_object_array_add(types, text(dirs[d].type));
		for (size_t i = 0; i < p->n_rules[d]; i++)
			json_object_array_add(list, rule_json(&p->rules[d][i], dirs[d].peers));
	}
	return o;
}

/* ---- Pod ------------------------------------------------------------------------------------- */

static void add_owner(struct json_object *meta, const struct rs_pod *p)
{
	struct json_object *owner;

	if (!p->owner_name)
		return;
	owner = json_object_new_object();
	rs_json_add_str(owner, "kind", p->owner_kind);
	rs_json_add_str(owner, "name", p->owner_name);
	json_object_object_add(owner, "controller", json_object_new_boolean(true));
	json_object_array_add(add_list(meta, "ownerReferences"), owner);
}

/* Which container declares a port means nothing to a policy: one holds them all. */
static void add_ports(struct json_object *spec, const struct rs_pod *p)
{
	struct json_object *container, *list;

	if (!p->n_ports)
		return;
	container = json_object_new_object();
	rs_json_add_str(container, "name", "ports");
	list = add_list(container, "ports");
	for (size_t i = 0; i < p->n_ports; i++) {
		struct json_object *o = json_object_new_object();

		rs_json_add_str(o, "name", p->ports[i].name);
		json_object_object_add(o, "containerPort", json_object_new_int(p->ports[i].port));
		add_protocol(o, p->ports[i].proto);
		json_object_array_add(list, o);
	}
	json_object_array_add(add_list(spec, "containers"), container);
}

static void add_status(struct json_object *o, const struct rs_pod *p)
{
	static const char *const phases[] = { [RS_PHASE_UNKNOWN] = NULL,
					      [RS_PHASE_PENDING] = "Pending",
					      [RS_PHASE_RUNNING] = "Running",
					      [RS_PHASE_SUCCEEDED] = "Succeeded",
					      [RS_PHASE_FAILED] = "Failed" };
	struct json_object *status = add_map(o, "status"), *list;
	char buf[RS_ADDR_STRLEN];

	rs_json_add_str(status, "phase", phases[p->phase]);
	list = p->n_ips ? add_list(status, "podIPs") : NULL;
	for (size_t i = 0; i < p->n_ips; i++) {
		struct json_object *ip = json_object_new_object();

		rs_json_add_str(ip, "ip", rs_addr_str(&p->ips[i], buf));
		json_object_array_add(list, ip);
	}
}

struct json_object *rs_encode_pod(const struct rs_pod *p)
{
	struct json_object *meta, *spec, *o = object_json("v1", "Pod", &p->meta, &meta);

	if (p->config_hash)
		rs_json_add_str(add_map(meta, "annotations"), "kubernetes.io/config.hash",
				p->config_hash);
	add_owner(meta, p);
	spec = add_map(o, "spec");
	rs_json_add_str(spec, "nodeName", p->node);
	if (p->host_network)
		json_object_object_add(spec, "hostNetwork", json_object_new_boolean(true));
	add_ports(spec, p);
	add_status(o, p);
	return o;
}

/* ---- Namespace, Node ------------------------------------------------------------------------- */

struct json_object *rs_encode_namespace(const struct rs_namespace *n)
{
	struct json_object *meta;

	return object_json("v1", "Namespace", &n->meta, &meta);
}

struct json_object *rs_encode_node(const struct rs_node *n)
{
	struct json_object *meta, *o = object_json("v1", "Node", &n->meta, &meta), *list;
	char buf[RS_ADDR_STRLEN];

	add_cidrs(add_map(o, "spec"), "podCIDRs", n->pod_cidrs, n->n_pod_cidrs);
	list = add_list(add_map(o, "status"), "addresses");
	for (size_t i = 0; i < n->n_addrs; i++) {
		struct json_object *a = json_object_new_object();

		rs_json_add_str(a, "type", i < n->n_internal ? "InternalIP" : "ExternalIP");
		rs_json_add_str(a, "address", rs_addr_str(&n->addrs[i], buf));
		json_object_array_add(list, a);
	}
	return o;
}

struct json_object *rs_encode(enum rs_kind kind, const struct rs_meta *m)
{
	/* meta is the first member of every kind. */
	switch (kind) {
	case RS_KIND_NAMESPACE:
		return rs_encode_namespace((const struct rs_namespace *)(const void *)m);
	case RS_KIND_POD:
		return rs_encode_pod((const struct rs_pod *)(const void *)m);
	case RS_KIND_POLICY:
		return rs_encode_policy((const struct rs_policy *)(const void *)m);
	default:
		return rs_encode_node((const struct rs_node *)(const void *)m);
	}
}
