// SPDX-License-Identifier: Apache-2.0
/* morph_noise.c - what counts for nothing comes or goes. The verdicts stay. */
#include <string.h>

#include "base/base.h"
#include "tests/prove/gen.h"
#include "tests/prove/gen_flows.h"
#include "tests/prove/morph.h"

/* Keys that no world has a word for. */
#define UNASKED_KEY "nobody.example/asks"
#define UNUSED_KEY "nobody.example/has"

static json_object *some_of(struct morph *m, const char *kind)
{
	size_t n = morph_count(m, kind);

	return n ? morph_nth(m, kind, pv_below(m->r, (uint32_t)n)) : NULL;
}

/* A policy that selects nobody isolates nobody, until somebody comes (A17). */
void morph_unused_policies(struct morph *m)
{
	uint32_t n = 1 + pv_below(m->r, 4);

	while (n--) {
		json_object *spec = morph_new_policy(m, morph_ns_of(some_of(m, "Pod")));
		json_object *selector = json_object_new_object(), *labels, *types;

		labels = json_object_new_object();
		gen_add_str(labels, UNUSED_KEY, "x");
		json_object_object_add(selector, "matchLabels", labels);
		json_object_object_add(spec, "podSelector", selector);
		types = json_object_new_array();
		gen_push_str(types, "Ingress");
		gen_push_str(types, "Egress");
		json_object_object_add(spec, "policyTypes", types);
	}
}

static void label_all(struct morph *m, const char *kind)
{
	size_t n = morph_count(m, kind), i;

	for (i = 0; i < n; i++) {
		json_object *meta = fl_get(morph_nth(m, kind, i), "metadata");
		json_object *labels = fl_get(meta, "labels");

		if (pv_chance(m->r, 40))
			continue;
		if (!labels) {
			labels = json_object_new_object();
			json_object_object_add(meta, "labels", labels);
		}
		gen_add_str(labels, UNASKED_KEY, pv_chance(m->r, 50) ? "" : "x");
		m->changed = true;
	}
}

/* A selector looks at the keys that it names. */
void morph_unused_labels(struct morph *m)
{
	label_all(m, "Pod");
	label_all(m, "Namespace");
	label_all(m, "NetworkPolicy");
}

/* A container that is over, or that may have no ports, with every name of the pod's own ports on
 * another number. */
static json_object *idle_container(json_object *pod, const char *name)
{
	json_object *c = json_object_new_object(), *ports = json_object_new_array(), *list, *p;
	json_object *first = fl_get(morph_spec(pod), "containers");
	size_t i;

	list = fl_get(json_object_array_get_idx(first, 0), "ports");
	for (i = 0; i < fl_count(list); i++) {
		const char *named = fl_text(json_object_array_get_idx(list, i), "name");

		p = json_object_new_object();
		if (*named)
			gen_add_str(p, "name", named);
		gen_add_int(p, "containerPort", 80);
		json_object_array_add(ports, p);
	}
	gen_add_str(c, "name", name);
	gen_add_str(c, "image", "example.com/idle");
	json_object_object_add(c, "ports", ports);
	return c;
}

static void add_container(json_object *pod, const char *field, const char *name)
{
	json_object *spec = morph_spec(pod), *list = fl_get(spec, field);

	if (!fl_count(list)) {
		list = json_object_new_array();
		json_object_object_add(spec, field, list);
	}
	json_object_array_add(list, idle_container(pod, name));
}

static void move_host_ports(json_object *pod)
{
	json_object *containers = fl_get(morph_spec(pod), "containers"), *ports;
	size_t i, k;

	for (i = 0; i < fl_count(containers); i++) {
		ports = fl_get(json_object_array_get_idx(containers, i), "ports");
		for (k = 0; k < fl_count(ports); k++)
			gen_add_int(json_object_array_get_idx(ports, k), "hostPort",
				    (int64_t)(30000 + 10 * i + k));
	}
}

/* Host ports (C20), init containers that end (C17), ephemeral containers (C18). */
void morph_unused_ports(struct morph *m)
{
	size_t n = morph_count(m, "Pod"), i;

	for (i = 0; i < n; i++) {
		json_object *pod = morph_nth(m, "Pod", i);

		if (pv_chance(m->r, 50))
			add_container(pod, "initContainers", "over");
		if (pv_chance(m->r, 50))
			add_container(pod, "ephemeralContainers", "debugger");
		move_host_ports(pod);
		m->changed = true;
	}
}

/* Whoever has finished is nobody's peer, and its address is not its own (F4). */
void morph_drop_finished(struct morph *m)
{
	json_object *list = morph_objects(m), *o;
	const char *phase;
	size_t i = 0;

	while (i < fl_count(list)) {
		o = json_object_array_get_idx(list, i);
		phase = fl_text(fl_get(o, "status"), "phase");
		if (!strcmp(fl_text(o, "kind"), "Pod") &&
		    (!strcmp(phase, "Succeeded") || !strcmp(phase, "Failed"))) {
			json_object_array_del_idx(list, i, 1);
			m->changed = true;
		} else {
			i++;
		}
	}
}

static void later_in_rule(struct morph *m, json_object *policy, json_object *rule)
{
	json_object *ports = fl_get(rule, "ports");
	size_t i;

	(void)policy;
	(void)m;
	gen_add_str(rule, "laterField", "x");
	for (i = 0; i < fl_count(ports); i++)
		gen_add_str(json_object_array_get_idx(ports, i), "laterField", "x");
}

static void later_in_policy(struct morph *m, json_object *policy, json_object *same)
{
	(void)m;
	gen_add_str(policy, "laterField", "x");
	gen_add_str(morph_spec(same), "laterField", "x");
}

/* Fields of a later API (G2): ignored wherever they stand, but a folder refuses them in a policy. */
void morph_unknown_fields(struct morph *m)
{
	size_t n = morph_count(m, "Pod"), i;

	for (i = 0; i < n; i++) {
		gen_add_str(morph_spec(morph_nth(m, "Pod", i)), "laterField", "x");
		m->changed = true;
	}
	if (!m->lenient)
		return;
	morph_each_rule(m, later_in_rule);
	morph_each_policy(m, later_in_policy);
}
