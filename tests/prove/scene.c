// SPDX-License-Identifier: Apache-2.0
/* scene.c - from the JSON of a case to a store, local pods and flows; see scene.h. */
#include "tests/prove/scene.h"

#include <errno.h>
#include <string.h>

#include "base/jsonio.h"

static int slot(const struct rs_addr *a)
{
	return a->family == RS_AF_IP6;
}

static json_object *item(json_object *list, size_t i)
{
	return json_object_array_get_idx(list, i);
}

static size_t length(json_object *list)
{
	return json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
}

/* ---- world ----------------------------------------------------------------------------------- */

static int read_place(json_object *o, struct pv_place *p, struct rs_err *err)
{
	json_object *list = rs_json_get(o, "addresses");
	struct rs_addr a;
	size_t i;

	p->name = rs_json_text(o, "name", NULL);
	if (!p->name)
		return rs_err_set(err, EINVAL, "a node or host without a name");
	for (i = 0; i < length(list); i++) {
		if (rs_addr_parse(json_object_get_string(item(list, i)), &a, err) < 0)
			return rs_err_wrap(err, "%s", p->name);
		p->addr[slot(&a)] = a;
	}
	if (!i) /* a golden case has no way to say so */
		return rs_err_set(err, EINVAL, "%s has no address", p->name);
	return 0;
}

static int read_cidr(json_object *text, struct rs_cidr *out, struct rs_err *err)
{
	if (!json_object_is_type(text, json_type_string))
		return rs_err_set(err, EINVAL, "a range is not a string");
	return rs_cidr_parse(json_object_get_string(text), out, NULL, err);
}

static int read_node(json_object *o, struct pv_node *n, struct rs_err *err)
{
	json_object *ranges = rs_json_get(o, "ranges");
	int rc = read_place(o, &n->at, err);

	for (size_t i = 0; rc == 0 && i < length(ranges); i++)
		rc = read_cidr(item(ranges, i), rs_vec_push(&n->ranges), err);
	return rc;
}

static int read_world(json_object *w, struct pv_scene *s, struct rs_err *err)
{
	json_object *ranges = rs_json_get(w, "podRanges"), *nodes = rs_json_get(w, "nodes"),
		    *hosts = rs_json_get(w, "hosts");
	int rc = 0;
	size_t i;

	s->lenient = json_object_get_boolean(rs_json_get(w, "lenient"));
	for (i = 0; rc == 0 && i < length(ranges); i++)
		rc = read_cidr(item(ranges, i), rs_vec_push(&s->pod_ranges), err);
	if (rc < 0)
		return rc;
	s->n_nodes = length(nodes);
	if (!s->pod_ranges.n)
		return rs_err_set(err, EINVAL, "a world without pod ranges");
	if (!s->n_nodes || s->n_nodes > PV_MAX_NODES)
		return rs_err_set(err, EINVAL, "a world of %zu nodes", s->n_nodes);
	for (i = 0; rc == 0 && i < s->n_nodes; i++)
		rc = read_node(item(nodes, i), &s->nodes[i], err);
	for (i = 0; rc == 0 && i < length(hosts); i++)
		rc = read_place(item(hosts, i), rs_vec_push(&s->hosts), err);
	return rc;
}

/* ---- objects --------------------------------------------------------------------------------- */

static int decode(json_object *objects, struct pv_scene *s, struct rs_err *err)
{
	const char *items = json_object_to_json_string_ext(objects, JSON_C_TO_STRING_PLAIN);
	rs_autofree char *text =
		rs_asprintf("{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":%s}", items);
	rs_auto_err why = { 0 };
	int kind;

	s->store = rs_store_new();
	if (rs_decode_text(s->store, "case.json", text, strlen(text), true,
			   s->lenient ? RS_ADMIT_LENIENT : RS_ADMIT_STRICT, &why) < 0)
		return rs_err_set(err, EBADMSG, "the decoder refuses: %s", rs_err_str(&why));
	if (!s->lenient)
		rs_store_finish_folder(s->store);
	for (kind = 0; kind < RS_KINDS; kind++)
		rs_store_set_synced(s->store, (enum rs_kind)kind, true);
	return 0;
}

/* A pod lives where its addresses say and, if it names a node, where that says as well: a claim to
 * an address of another node is only a claim. */
static bool lives_on(const struct pv_node *n, const struct rs_pod *pod)
{
	if (pod->host_network || rs_pod_finished(pod))
		return false;
	if (pod->node && strcmp(pod->node, n->at.name) != 0)
		return false;
	for (size_t i = 0; i < pod->n_ips; i++)
		if (rs_cidrs_contain(n->ranges.v, n->ranges.n, &pod->ips[i]))
			return true;
	return false;
}

static void add_local(struct pv_node *n, const struct rs_pod *pod)
{
	uint32_t at = (uint32_t)n->locals.n;

	*rs_vec_push(&n->locals) = (struct rs_local_pod){
		.ns = pod->meta.ns,
		.name = pod->meta.name,
		.labels = &pod->meta.labels,
		.ips = pod->ips,
		.n_ips = pod->n_ips,
		.ports = pod->ports,
		.n_ports = pod->n_ports,
		.ifindex = PV_FIRST_LINK + at,
		.ifname = "rsprove",
		.mac = { 2, 0, 0, 0, (uint8_t)(at >> 8), (uint8_t)at },
		.ll = { RS_AF_IP6, { 0xfe, 0x80, [14] = (uint8_t)(at >> 8), [15] = (uint8_t)at } },
	};
}

static void find_locals(struct pv_scene *s)
{
	const struct rs_pod *const *pods;
	size_t i, k, n;

	pods = rs_store_pods(s->store, &n);
	for (i = 0; i < s->n_nodes; i++)
		for (k = 0; k < n; k++)
			if (lives_on(&s->nodes[i], pods[k]))
				add_local(&s->nodes[i], pods[k]);
}

/* ---- flows ----------------------------------------------------------------------------------- */

static int find_pod(const struct pv_scene *s, const char *text, int want, struct pv_end *e,
		    struct rs_err *err)
{
	const char *slash = strchr(text, '/');
	size_t i, k, m;

	for (i = 0; slash && i < s->n_nodes; i++)
		for (k = 0; k < s->nodes[i].locals.n; k++) {
			const struct rs_local_pod *p = &s->nodes[i].locals.v[k];

			if (strncmp(p->ns, text, (size_t)(slash - text)) != 0 ||
			    p->ns[slash - text] || strcmp(p->name, slash + 1) != 0)
				continue;
			*e = (struct pv_end){ .kind = PV_END_POD, .node = (int)i, .pod = p };
			for (m = 0; m < p->n_ips; m++)
				if (slot(&p->ips[m]) == want)
					e->addr = p->ips[m];
			return 0;
		}
	return rs_err_set(err, EINVAL, "no pod %s on a node", text);
}

static int find_place(const struct pv_scene *s, const char *node, const char *host, int want,
		      struct pv_end *e, struct rs_err *err)
{
	size_t i;

	for (i = 0; node && i < s->n_nodes; i++)
		if (strcmp(s->nodes[i].at.name, node) == 0) {
			*e = (struct pv_end){ PV_END_NODE, (int)i, NULL, node,
					      s->nodes[i].at.addr[want] };
			return 0;
		}
	for (i = 0; host && i < s->hosts.n; i++)
		if (strcmp(s->hosts.v[i].name, host) == 0) {
			*e = (struct pv_end){ PV_END_HOST, -1, NULL, host,
					      s->hosts.v[i].addr[want] };
			return 0;
		}
	return rs_err_set(err, EINVAL, "no %s %s in the world", node ? "node" : "host",
			  node	 ? node
			  : host ? host
				 : "(an end without a name)");
}

static int read_end(const struct pv_scene *s, json_object *o, int want, struct pv_end *e,
		    struct rs_err *err)
{
	const char *pod = rs_json_text(o, "pod", NULL);
	int rc = pod ? find_pod(s, pod, want, e, err)
		     : find_place(s, rs_json_text(o, "node", NULL), rs_json_text(o, "host", NULL),
				  want, e, err);

	if (rc == 0 && e->addr.family == RS_AF_NONE)
		return rs_err_set(err, EINVAL, "an end without an address of the family");
	return rc;
}

static int read_flow(const struct pv_scene *s, json_object *o, struct pv_flow *f,
		     struct rs_err *err)
{
	int64_t proto = 0, port = 0, family = 0;
	int rc = rs_json_int(o, "proto", 0, 255, &proto, err);

	if (rc == 0)
		rc = rs_json_opt_int(o, "port", 0, 65535, &port, err);
	if (rc == 0)
		rc = rs_json_int(o, "family", 4, 6, &family, err);
	f->proto = (uint8_t)proto;
	f->port = (uint16_t)port;
	f->family = (uint8_t)family;
	if (rc == 0)
		rc = read_end(s, rs_json_get(o, "src"), family == 6, &f->src, err);
	if (rc == 0)
		rc = read_end(s, rs_json_get(o, "dst"), family == 6, &f->dst, err);
	return rc < 0 ? -EINVAL : 0;
}

static int read_flows(json_object *list, struct pv_scene *s, struct rs_err *err)
{
	s->n_flows = length(list);
	if (s->n_flows > PV_MAX_FLOWS)
		return rs_err_set(err, EINVAL, "%zu flows in one world", s->n_flows);
	for (size_t i = 0; i < s->n_flows; i++)
		if (read_flow(s, item(list, i), &s->flows[i], err) < 0)
			return rs_err_wrap(err, "flow %zu", i);
	return 0;
}

/* ---- the whole ------------------------------------------------------------------------------- */

int pv_scene_make(const struct pv_case *c, struct pv_scene **out, struct rs_err *err)
{
	pv_auto_scene struct pv_scene *s = rs_new(struct pv_scene);
	int rc;

	*out = NULL;
	rc = read_world(rs_json_get(c->root, "world"), s, err);
	if (rc == 0)
		rc = decode(rs_json_get(c->root, "objects"), s, err);
	if (rc < 0)
		return rc;
	find_locals(s);
	rc = read_flows(rs_json_get(c->root, "flows"), s, err);
	if (rc == 0)
		*out = rs_steal_ptr(&s);
	return rc;
}

void pv_scene_free(struct pv_scene *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < PV_MAX_NODES; i++) {
		rs_vec_free(&s->nodes[i].ranges);
		rs_vec_free(&s->nodes[i].locals);
	}
	rs_vec_free(&s->hosts);
	rs_vec_free(&s->pod_ranges);
	rs_store_free(s->store);
	free(s);
}

struct rs_world pv_scene_world(const struct pv_scene *s, size_t node)
{
	const struct pv_node *n = &s->nodes[node];

	return (struct rs_world){
		.store = s->store,
		.locals = n->locals.v,
		.n_locals = n->locals.n,
		.pod_ranges = s->pod_ranges.v,
		.n_pod_ranges = s->pod_ranges.n,
		.node_ranges = n->ranges.v,
		.n_node_ranges = n->ranges.n,
	};
}

static void put_end(struct rs_strbuf *b, const struct pv_end *e)
{
	char addr[RS_ADDR_STRLEN];

	if (e->kind == PV_END_POD)
		rs_strbuf_printf(b, "%s/%s", e->pod->ns, e->pod->name);
	else
		rs_strbuf_printf(b, "%s %s", e->kind == PV_END_NODE ? "node" : "host", e->name);
	rs_strbuf_printf(b, " (%s)", rs_addr_str(&e->addr, addr));
}

char *pv_flow_text(const struct pv_flow *f)
{
	struct rs_strbuf b = { 0 };

	put_end(&b, &f->src);
	rs_strbuf_puts(&b, " -> ");
	put_end(&b, &f->dst);
	if (f->proto == 6 || f->proto == 17 || f->proto == 132)
		rs_strbuf_printf(&b, " %s/%u",
				 f->proto == 6	  ? "tcp"
				 : f->proto == 17 ? "udp"
						  : "sctp",
				 f->port);
	else
		rs_strbuf_printf(&b, " ip/%u", f->proto);
	return rs_strbuf_steal(&b);
}
