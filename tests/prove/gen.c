// SPDX-License-Identifier: Apache-2.0
/* gen.c - a random cluster from a seed and a number; see gen.h. */
#include "tests/prove/gen.h"

#include <stdio.h>
#include <string.h>

#include "base/base.h"

/* ---- helpers of all parts -------------------------------------------------------------------- */

uint32_t gen_weighted(struct pv_rng *r, const uint8_t *weights, uint32_t n)
{
	uint32_t sum = 0, at, i;

	for (i = 0; i < n; i++)
		sum += weights[i];
	at = pv_below(r, sum);
	for (i = 0; at >= weights[i]; i++)
		at -= weights[i];
	return i;
}

bool gen_theme(const struct pv_gen *g, enum gen_theme theme)
{
	return g->themes & theme;
}

bool gen_fault(struct pv_gen *g, uint32_t percent)
{
	if (!g->lenient)
		return false;
	return pv_chance(g->rng, gen_theme(g, GEN_FAULTS) ? 4 * percent : percent);
}

void gen_add_str(json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, json_object_new_string(value));
}

void gen_add_int(json_object *o, const char *key, int64_t value)
{
	json_object_object_add(o, key, json_object_new_int64(value));
}

void gen_push_str(json_object *list, const char *value)
{
	json_object_array_add(list, json_object_new_string(value));
}

json_object *gen_object(struct pv_gen *g, const char *kind, const char *ns, const char *name,
			json_object **meta)
{
	json_object *o = json_object_new_object();

	*meta = json_object_new_object();
	gen_add_str(o, "apiVersion", strcmp(kind, "NetworkPolicy") ? "v1" : "networking.k8s.io/v1");
	gen_add_str(o, "kind", kind);
	gen_add_str(*meta, "name", name);
	if (ns)
		gen_add_str(*meta, "namespace", ns);
	json_object_object_add(o, "metadata", *meta);
	json_object_array_add(g->objects, o);
	return o;
}

void gen_anchor(struct pv_gen *g, const struct rs_addr *a)
{
	if (a->family != RS_AF_NONE && g->n_anchors < GEN_MAX_ANCHORS)
		g->anchors[g->n_anchors++] = *a;
}

/* ---- words ----------------------------------------------------------------------------------- */

/* n different ones of the list, in random order. */
static uint32_t some_words(struct pv_gen *g, const char *const *from, uint32_t n_from, uint32_t n,
			   const char **out)
{
	uint32_t taken = 0, got = 0, i;

	while (got < n) {
		i = pv_below(g->rng, n_from);
		if (taken & (1U << i))
			continue;
		taken |= 1U << i;
		out[got++] = from[i];
	}
	return got;
}

static void choose_words(struct pv_gen *g)
{
	static const char *const keys[] = { "app", "tier",   "App", "example.com/tier",
					    "env", "a.b/app" };
	static const char *const values[] = { "a", "b", "c", "A", "", "a-b" };
	static const char *const names[] = { "http", "web", "dns", "metrics", "p-80" };
	static const uint16_t ports[] = { 1, 2, 53, 80, 81, 443, 8080, 8081, 65534, 65535 };
	uint32_t n = 2 + pv_below(g->rng, 3), taken = 0, i;

	g->n_keys = some_words(g, keys, RS_ARRAY_SIZE(keys), n, g->keys);
	n = 2 + pv_below(g->rng, 3);
	g->n_values = some_words(g, values, RS_ARRAY_SIZE(values), n, g->values);
	n = 2 + pv_below(g->rng, 2);
	g->n_port_names = some_words(g, names, RS_ARRAY_SIZE(names), n, g->port_names);
	n = 3 + pv_below(g->rng, 4);
	while (g->n_ports < n) {
		i = pv_below(g->rng, RS_ARRAY_SIZE(ports));
		if (taken & (1U << i))
			continue;
		taken |= 1U << i;
		g->ports[g->n_ports++] = ports[i];
	}
}

static void choose_themes(struct pv_gen *g)
{
	static const struct {
		uint32_t theme;
		uint8_t percent;
		bool lenient_only;
	} chances[] = {
		{ GEN_ONE_SUBJECT, 6, false }, { GEN_BLOCKS, 25, false },
		{ GEN_NAMED, 28, false },      { GEN_FAULTS, 40, true },
		{ GEN_STRANGERS, 40, false },  { GEN_UNKNOWN_NS, 35, true },
		{ GEN_LIARS, 30, true },       { GEN_LINK_LOCAL, 30, true },
		{ GEN_ODD_CIDRS, 25, false },  { GEN_GHOSTS, 20, false },
	};
	size_t i;

	for (i = 0; i < RS_ARRAY_SIZE(chances); i++) {
		bool on = pv_chance(g->rng, chances[i].percent);

		if (on && (g->lenient || !chances[i].lenient_only))
			g->themes |= chances[i].theme;
	}
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static struct rs_cidr cidr_of(const char *text)
{
	struct rs_cidr c = { 0 };

	rs_cidr_parse(text, &c, NULL, NULL);
	return c;
}

/* Ranges far apart, or next to each other so that one block can end where the next node begins. */
static void node_ranges(struct pv_gen *g, bool packed)
{
	char text[RS_CIDR_STRLEN];
	uint32_t i;

	for (i = 0; i < g->n_nodes; i++) {
		struct gen_node *n = &g->nodes[i];

		if (g->has[0]) {
			snprintf(text, sizeof(text), packed ? "10.244.1.%u/26" : "10.244.%u.0/24",
				 packed ? 64 * i : i + 1);
			n->range[0] = cidr_of(text);
		}
		if (g->has[1]) {
			snprintf(text, sizeof(text),
				 packed ? "fd00:10:244:1::%x/122" : "fd00:10:244:%x::/64",
				 packed ? 64 * i : i + 1);
			n->range[1] = cidr_of(text);
		}
	}
}

static void node_addresses(struct gen_node *n, uint32_t i, const bool has[2])
{
	char text[RS_ADDR_STRLEN];

	snprintf(n->name, sizeof(n->name), "n%u", (i + 1) & 0xff);
	if (has[0]) {
		snprintf(text, sizeof(text), "192.0.2.%u", i + 1);
		rs_addr_parse(text, &n->addr[0], NULL);
	}
	if (has[1]) {
		snprintf(text, sizeof(text), "fd00:192::%x", i + 1);
		rs_addr_parse(text, &n->addr[1], NULL);
	}
}

static void node_object(struct pv_gen *g, const struct gen_node *n)
{
	json_object *spec = json_object_new_object(), *status = json_object_new_object();
	json_object *ranges = json_object_new_array(), *addresses = json_object_new_array();
	json_object *o, *meta;
	char text[RS_CIDR_STRLEN];
	int f;

	o = gen_object(g, "Node", NULL, n->name, &meta);
	for (f = 0; f < 2; f++) {
		json_object *a = json_object_new_object();

		if (!g->has[f]) {
			json_object_put(a);
			continue;
		}
		gen_push_str(ranges, rs_cidr_str(&n->range[f], text));
		gen_add_str(a, "type", "InternalIP");
		gen_add_str(a, "address", rs_addr_str(&n->addr[f], text));
		json_object_array_add(addresses, a);
	}
	gen_add_str(spec, "podCIDR", json_object_get_string(json_object_array_get_idx(ranges, 0)));
	json_object_object_add(spec, "podCIDRs", ranges);
	json_object_object_add(o, "spec", spec);
	json_object_object_add(status, "addresses", addresses);
	json_object_object_add(o, "status", status);
}

static void make_nodes(struct pv_gen *g)
{
	bool packed = pv_chance(g->rng, 30), objects;
	uint32_t i;

	g->n_nodes = 1 + pv_below(g->rng, g->shape.max_nodes);
	g->cluster[0] = cidr_of("10.244.0.0/16");
	g->cluster[1] = cidr_of("fd00:10:244::/48");
	node_ranges(g, packed);
	/* Without Node objects a podIP counts anywhere in the cluster's ranges: no liars then. */
	objects = pv_chance(g->rng, 85) || gen_theme(g, GEN_LIARS);
	for (i = 0; i < g->n_nodes; i++) {
		node_addresses(&g->nodes[i], i, g->has);
		gen_anchor(g, &g->nodes[i].addr[0]);
		gen_anchor(g, &g->nodes[i].addr[1]);
		if (objects)
			node_object(g, &g->nodes[i]);
	}
}

/* ---- namespaces ------------------------------------------------------------------------------ */

json_object *gen_labels(struct pv_gen *g)
{
	json_object *labels = json_object_new_object();
	uint32_t i;

	for (i = 0; i < g->n_keys; i++) {
		if (!pv_chance(g->rng, 55))
			continue;
		gen_add_str(labels, g->keys[i], g->values[pv_below(g->rng, g->n_values)]);
	}
	if (json_object_object_length(labels) || pv_chance(g->rng, 50))
		return labels;
	json_object_put(labels);
	return NULL;
}

static void namespace_object(struct pv_gen *g, struct gen_ns *ns)
{
	json_object *meta, *labels = gen_labels(g);

	gen_object(g, "Namespace", NULL, ns->name, &meta);
	if (!labels)
		labels = json_object_new_object();
	/* An API server writes this label always; a very old one did not. */
	if (!g->lenient || pv_chance(g->rng, 85))
		gen_add_str(labels, "kubernetes.io/metadata.name", ns->name);
	json_object_object_add(meta, "labels", labels);
	ns->labels = labels;
	if (pv_chance(g->rng, 10)) {
		json_object *status = json_object_new_object(), *o;

		gen_add_str(meta, "deletionTimestamp", "2026-01-01T00:00:00Z");
		o = json_object_array_get_idx(g->objects, json_object_array_length(g->objects) - 1);
		gen_add_str(status, "phase", "Terminating");
		json_object_object_add(o, "status", status);
	}
}

static void make_namespaces(struct pv_gen *g)
{
	/* Names that are parts of each other: "a" with "b-c" is not "a-b" with "c". */
	static const char *const names[] = { "a", "a-b", "shop", "bank", "default", "ops" };
	const char *chosen[GEN_MAX_NS];
	uint32_t n = 1 + pv_below(g->rng, 4), unknown, i;

	g->n_ns = some_words(g, names, RS_ARRAY_SIZE(names), n + 1, chosen);
	unknown = gen_theme(g, GEN_UNKNOWN_NS) ? pv_below(g->rng, g->n_ns) : g->n_ns;
	for (i = 0; i < g->n_ns; i++) {
		g->ns[i].name = chosen[i];
		if (i != unknown)
			namespace_object(g, &g->ns[i]);
	}
}

/* ---- the case -------------------------------------------------------------------------------- */

static json_object *address_list(const struct rs_addr addr[2])
{
	json_object *list = json_object_new_array();
	char text[RS_ADDR_STRLEN];
	int f;

	for (f = 0; f < 2; f++)
		if (addr[f].family != RS_AF_NONE)
			gen_push_str(list, rs_addr_str(&addr[f], text));
	return list;
}

static json_object *cidr_list(const struct pv_gen *g, const struct rs_cidr cidr[2])
{
	json_object *list = json_object_new_array();
	char text[RS_CIDR_STRLEN];
	int f;

	for (f = 0; f < 2; f++)
		if (g->has[f])
			gen_push_str(list, rs_cidr_str(&cidr[f], text));
	return list;
}

static json_object *world_of(const struct pv_gen *g)
{
	json_object *world = json_object_new_object(), *nodes = json_object_new_array();
	json_object *hosts = json_object_new_array(), *o;
	uint32_t i;

	json_object_object_add(world, "lenient", json_object_new_boolean(g->lenient));
	json_object_object_add(world, "podRanges", cidr_list(g, g->cluster));
	for (i = 0; i < g->n_nodes; i++) {
		o = json_object_new_object();
		gen_add_str(o, "name", g->nodes[i].name);
		json_object_object_add(o, "ranges", cidr_list(g, g->nodes[i].range));
		json_object_object_add(o, "addresses", address_list(g->nodes[i].addr));
		json_object_array_add(nodes, o);
	}
	for (i = 0; i < g->n_hosts; i++) {
		o = json_object_new_object();
		gen_add_str(o, "name", g->hosts[i].name);
		json_object_object_add(o, "addresses", address_list(g->hosts[i].addr));
		json_object_array_add(hosts, o);
	}
	json_object_object_add(world, "nodes", nodes);
	json_object_object_add(world, "hosts", hosts);
	return world;
}

static struct pv_shape bounded(const struct pv_shape *shape)
{
	struct pv_shape s = *shape;

	if (s.max_pods < 2)
		s.max_pods = 2;
	if (s.max_pods > 60)
		s.max_pods = 60;
	if (s.max_policies < 1)
		s.max_policies = 1;
	if (s.max_policies > 40)
		s.max_policies = 40;
	if (s.max_nodes < 1)
		s.max_nodes = 1;
	if (s.max_nodes > PV_MAX_NODES)
		s.max_nodes = PV_MAX_NODES;
	if (s.flows < 1)
		s.flows = 1;
	if (s.flows > PV_MAX_FLOWS)
		s.flows = PV_MAX_FLOWS;
	return s;
}

void pv_generate(uint64_t seed, uint64_t index, const struct pv_shape *shape, struct pv_case *out)
{
	struct pv_gen *g = rs_new(struct pv_gen);
	struct pv_rng rng;
	uint32_t families;

	pv_rng_seed(&rng, seed, index);
	g->rng = &rng;
	g->shape = bounded(shape);
	g->objects = json_object_new_array();
	g->lenient = pv_chance(&rng, 34) && !g->shape.strict;
	families = gen_choose(&rng, 74, 14, 12);
	g->has[0] = families != 2;
	g->has[1] = families != 1;
	choose_themes(g);
	choose_words(g);
	make_nodes(g);
	make_namespaces(g);
	gen_pods(g);
	gen_hosts(g);
	gen_policies(g);
	out->root = json_object_new_object();
	json_object_object_add(out->root, "objects", g->objects);
	json_object_object_add(out->root, "world", world_of(g));
	json_object_object_add(out->root, "flows", json_object_new_array());
	pv_flows(&rng, g->shape.flows, out);
	free(g);
}
