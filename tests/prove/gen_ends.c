// SPDX-License-Identifier: Apache-2.0
/* gen_ends.c - from the JSON of a case to the ends and port numbers of its flows; see gen_flows.h. */
#include "tests/prove/gen_flows.h"

#include <stdio.h>
#include <string.h>

#include "base/base.h"

/* ---- JSON that may lack anything ------------------------------------------------------------- */

json_object *fl_get(json_object *o, const char *key)
{
	json_object *v = NULL;

	if (o && json_object_is_type(o, json_type_object))
		json_object_object_get_ex(o, key, &v);
	return v;
}

size_t fl_count(json_object *list)
{
	return list && json_object_is_type(list, json_type_array) ? json_object_array_length(list)
								  : 0;
}

const char *fl_text(json_object *o, const char *key)
{
	json_object *v = fl_get(o, key);

	return v && json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
}

static void add_address(struct fl_end *e, const char *s)
{
	struct rs_addr a;

	if (rs_addr_parse(s, &a, NULL) == 0)
		e->addr[a.family == RS_AF_IP6] = a;
}

/* ---- where addresses lie --------------------------------------------------------------------- */

static uint32_t node_of(json_object *world, const struct rs_addr *a)
{
	json_object *nodes = fl_get(world, "nodes"), *ranges;
	struct rs_cidr c;
	size_t i, k;

	for (i = 0; i < fl_count(nodes); i++) {
		ranges = fl_get(json_object_array_get_idx(nodes, i), "ranges");
		for (k = 0; k < fl_count(ranges); k++) {
			const char *s =
				json_object_get_string(json_object_array_get_idx(ranges, k));

			if (rs_cidr_parse(s, &c, NULL, NULL) == 0 && rs_cidr_contains(&c, a))
				return (uint32_t)i;
		}
	}
	return FL_NO_NODE;
}

static uint32_t node_of_end(json_object *world, const struct fl_end *e)
{
	return node_of(world, &e->addr[e->addr[0].family == RS_AF_NONE]);
}

static uint32_t node_named(json_object *world, const char *name)
{
	json_object *nodes = fl_get(world, "nodes");
	size_t i;

	for (i = 0; i < fl_count(nodes); i++)
		if (!strcmp(fl_text(json_object_array_get_idx(nodes, i), "name"), name))
			return (uint32_t)i;
	return FL_NO_NODE;
}

/* ---- pods ------------------------------------------------------------------------------------ */

static uint8_t proto_named(const char *name)
{
	if (!strcmp(name, "UDP"))
		return 17;
	return !strcmp(name, "SCTP") ? 132 : 6;
}

static void add_port(struct fl_end *e, json_object *p, const char *field)
{
	json_object *number = fl_get(p, field);

	if (!number || e->n_ports == RS_ARRAY_SIZE(e->ports))
		return;
	e->ports[e->n_ports++] = (struct fl_port){
		.name = fl_text(p, "name"),
		.proto = proto_named(fl_text(p, "protocol")),
		.port = (uint16_t)json_object_get_int(number),
	};
}

/* Also numbers that do not count: somebody may take them for what they are not. */
static void add_ports(struct fl_end *e, json_object *containers)
{
	json_object *ports, *p;
	size_t i, k;

	for (i = 0; i < fl_count(containers); i++) {
		ports = fl_get(json_object_array_get_idx(containers, i), "ports");
		for (k = 0; k < fl_count(ports); k++) {
			p = json_object_array_get_idx(ports, k);
			add_port(e, p, "containerPort");
			add_port(e, p, "hostPort");
		}
	}
}

static void add_pod(struct fl_world *w, json_object *world, json_object *pod)
{
	json_object *meta = fl_get(pod, "metadata"), *spec = fl_get(pod, "spec");
	json_object *status = fl_get(pod, "status"), *ips = fl_get(status, "podIPs");
	const char *phase = fl_text(status, "phase");
	struct fl_end *e = &w->ends[w->n_ends];
	size_t i;

	*e = (struct fl_end){ .what = FL_POD, .ns = fl_text(meta, "namespace") };
	if (json_object_get_boolean(fl_get(spec, "hostNetwork")) || !strcmp(phase, "Succeeded") ||
	    !strcmp(phase, "Failed"))
		return;
	snprintf(e->name, sizeof(e->name), "%.63s/%.63s", e->ns, fl_text(meta, "name"));
	for (i = 0; i < fl_count(ips); i++)
		add_address(e, fl_text(json_object_array_get_idx(ips, i), "ip"));
	if (!fl_count(ips))
		add_address(e, fl_text(status, "podIP"));
	e->node = node_of_end(world, e);
	/* One that claims an address of another node is nowhere. */
	if (e->node == FL_NO_NODE || e->node != node_named(world, fl_text(spec, "nodeName")))
		return;
	e->labels = fl_get(meta, "labels");
	add_ports(e, fl_get(spec, "containers"));
	add_ports(e, fl_get(spec, "initContainers"));
	add_ports(e, fl_get(spec, "ephemeralContainers"));
	w->n_ends++;
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void add_others(struct fl_world *w, json_object *world, const char *field, enum fl_what what)
{
	json_object *list = fl_get(world, field), *addresses;
	size_t i, k;

	for (i = 0; i < fl_count(list); i++) {
		json_object *o = json_object_array_get_idx(list, i);
		struct fl_end *e = &w->ends[w->n_ends++];

		*e = (struct fl_end){ .what = what };
		snprintf(e->name, sizeof(e->name), "%.63s", fl_text(o, "name"));
		addresses = fl_get(o, "addresses");
		for (k = 0; k < fl_count(addresses); k++)
			add_address(
				e, json_object_get_string(json_object_array_get_idx(addresses, k)));
		e->node = what == FL_NODE ? (uint32_t)i : node_of_end(world, e);
	}
}

static void add_number(struct fl_world *w, int64_t port)
{
	size_t i;

	if (port < 1 || port > 65535 || w->n_ports == RS_ARRAY_SIZE(w->ports))
		return;
	for (i = 0; i < w->n_ports; i++)
		if (w->ports[i] == port)
			return;
	w->ports[w->n_ports++] = (uint16_t)port;
}

/* Every "port" and "endPort" anywhere in it, with both neighbours. */
static void add_numbers(struct fl_world *w, json_object *o)
{
	size_t i;

	for (i = 0; i < fl_count(o); i++)
		add_numbers(w, json_object_array_get_idx(o, i));
	if (!o || !json_object_is_type(o, json_type_object))
		return;
	json_object_object_foreach(o, key, v)
	{
		if (!strcmp(key, "port") || !strcmp(key, "endPort")) {
			int64_t n = json_object_get_int64(v);

			add_number(w, n);
			add_number(w, n - 1);
			add_number(w, n + 1);
		} else {
			add_numbers(w, v);
		}
	}
}

/* ---- who is selected ------------------------------------------------------------------------- */

json_object *fl_namespace_labels(const struct fl_world *w, const char *name)
{
	json_object *o, *meta;
	size_t i;

	for (i = 0; i < fl_count(w->objects); i++) {
		o = json_object_array_get_idx(w->objects, i);
		meta = fl_get(o, "metadata");
		if (!strcmp(fl_text(o, "kind"), "Namespace") &&
		    !strcmp(fl_text(meta, "name"), name))
			return fl_get(meta, "labels");
	}
	return NULL;
}

static void mark_selected(struct fl_world *w)
{
	size_t i, k;

	for (i = 0; i < w->n_policies; i++)
		for (k = 0; k < w->n_ends; k++) {
			struct fl_end *e = &w->ends[k];
			json_object *p = w->policies[i];

			if (e->what == FL_POD &&
			    !strcmp(e->ns, fl_text(fl_get(p, "metadata"), "namespace")) &&
			    fl_selects(fl_get(fl_get(p, "spec"), "podSelector"), e->labels))
				e->selected = true;
		}
}

struct fl_world *fl_world_new(const struct pv_case *c)
{
	json_object *objects = fl_get(c->root, "objects"), *world = fl_get(c->root, "world"), *o;
	struct fl_world *w = rs_new(struct fl_world);
	size_t i;

	w->ends = rs_new0(struct fl_end, fl_count(objects) + fl_count(fl_get(world, "nodes")) +
						 fl_count(fl_get(world, "hosts")) + 1);
	w->policies = rs_new0(json_object *, fl_count(objects) + 1);
	w->objects = objects;
	for (i = 0; i < fl_count(objects); i++) {
		o = json_object_array_get_idx(objects, i);
		if (!strcmp(fl_text(o, "kind"), "Pod"))
			add_pod(w, world, o);
		if (strcmp(fl_text(o, "kind"), "NetworkPolicy") != 0)
			continue;
		w->policies[w->n_policies++] = o;
		add_numbers(w, fl_get(o, "spec"));
	}
	add_others(w, world, "nodes", FL_NODE);
	add_others(w, world, "hosts", FL_HOST);
	mark_selected(w);
	return w;
}

void fl_world_free(struct fl_world *w)
{
	free(w->ends);
	free(w->policies);
	free(w);
}
