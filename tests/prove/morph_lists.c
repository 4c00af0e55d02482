// SPDX-License-Identifier: Apache-2.0
/* morph_lists.c - lists in another order, doubled, taken apart. The verdicts stay. */
#include <string.h>

#include "base/base.h"
#include "tests/prove/gen.h"
#include "tests/prove/gen_flows.h"
#include "tests/prove/morph.h"

/* ---- order ----------------------------------------------------------------------------------- */

static void shuffle(struct morph *m, json_object *list)
{
	size_t n = fl_count(list), i;

	for (i = n; i > 1; i--) {
		size_t k = pv_below(m->r, (uint32_t)i);
		json_object *a, *b;

		if (k == i - 1)
			continue;
		a = json_object_get(json_object_array_get_idx(list, i - 1));
		b = json_object_get(json_object_array_get_idx(list, k));
		json_object_array_put_idx(list, i - 1, b);
		json_object_array_put_idx(list, k, a);
		m->changed = true;
	}
}

/* The keys of a map, the last one first. */
static void turn_keys(json_object *map)
{
	size_t n = (size_t)json_object_object_length(map), i = 0;
	rs_autofree char **keys = rs_new0(char *, n);
	rs_autofree json_object **values = rs_new0(json_object *, n);

	json_object_object_foreach(map, key, v)
	{
		keys[i] = rs_strdup(key);
		values[i++] = json_object_get(v);
	}
	while (i--) {
		json_object_object_del(map, keys[i]);
		json_object_object_add(map, keys[i], values[i]);
		free(keys[i]);
	}
}

static void permute_all(struct morph *m, json_object *o)
{
	size_t i;

	if (o && json_object_is_type(o, json_type_array)) {
		for (i = 0; i < fl_count(o); i++)
			permute_all(m, json_object_array_get_idx(o, i));
		shuffle(m, o);
	}
	if (!o || !json_object_is_type(o, json_type_object))
		return;
	json_object_object_foreach(o, key, v)
	{
		(void)key;
		permute_all(m, v);
	}
	turn_keys(o);
}

/* Every list of an object is a set to the API: policies, rules, peers, ports, excepts, expressions,
 * values, types, containers, addresses. A fault spoils what holds it wherever it stands in there. */
void morph_permute(struct morph *m)
{
	permute_all(m, morph_objects(m));
}

/* ---- doubled --------------------------------------------------------------------------------- */

static void keep(json_object *item, json_object *out)
{
	json_object_array_add(out, json_object_get(item));
}

static void twice(struct morph *m, json_object *item, json_object *out)
{
	keep(item, out);
	if (pv_chance(m->r, 60))
		return;
	json_object_array_add(out, morph_copy(item));
	m->changed = true;
}

static void double_in_rule(struct morph *m, json_object *policy, json_object *rule)
{
	const char *peers = morph_peers_field(rule);

	(void)policy;
	if (peers)
		morph_rewrite(m, rule, peers, twice);
	morph_rewrite(m, rule, "ports", twice);
}

static void double_rules(struct morph *m, json_object *policy, json_object *same)
{
	(void)same;
	morph_rewrite(m, morph_spec(policy), "ingress", twice);
	morph_rewrite(m, morph_spec(policy), "egress", twice);
}

/* Rules, peers and ports are ORed (C22). */
void morph_double_entries(struct morph *m)
{
	morph_each_rule(m, double_in_rule);
	morph_each_policy(m, double_rules);
}

static void double_policy(struct morph *m, json_object *policy, json_object *same)
{
	(void)same;
	if (pv_chance(m->r, 40))
		morph_add_policy(m, policy);
}

/* Policies are ORed: a second one isolates and allows what the first did. */
void morph_double_policies(struct morph *m)
{
	morph_each_policy(m, double_policy);
}

/* ---- taken apart ----------------------------------------------------------------------------- */

/* A rule for each item of the list, the rest of it the same. No list becomes empty, so nobody
 * becomes everybody: a rule whose only peer is a fault allows nothing, as the peer did before. */
static void apart(struct morph *m, json_object *rule, const char *field, json_object *out)
{
	json_object *items = field ? fl_get(rule, field) : NULL, *one, *copy;
	size_t i;

	if (fl_count(items) < 2) {
		keep(rule, out);
		return;
	}
	for (i = 0; i < fl_count(items); i++) {
		copy = morph_copy(rule);
		one = json_object_new_array();
		json_object_array_add(one, morph_copy(json_object_array_get_idx(items, i)));
		json_object_object_add(copy, field, one);
		json_object_array_add(out, copy);
	}
	m->changed = true;
}

static void per_peer(struct morph *m, json_object *rule, json_object *out)
{
	apart(m, rule, morph_peers_field(rule), out);
}

static void per_port(struct morph *m, json_object *rule, json_object *out)
{
	apart(m, rule, "ports", out);
}

static void rules_per_peer(struct morph *m, json_object *policy, json_object *same)
{
	(void)same;
	morph_rewrite(m, morph_spec(policy), "ingress", per_peer);
	morph_rewrite(m, morph_spec(policy), "egress", per_peer);
}

static void rules_per_port(struct morph *m, json_object *policy, json_object *same)
{
	(void)same;
	morph_rewrite(m, morph_spec(policy), "ingress", per_port);
	morph_rewrite(m, morph_spec(policy), "egress", per_port);
}

/* (p1 or p2) and ports = (p1 and ports) or (p2 and ports). */
void morph_rule_per_peer(struct morph *m)
{
	morph_each_policy(m, rules_per_peer);
}

void morph_rule_per_port(struct morph *m)
{
	morph_each_policy(m, rules_per_port);
}

static void set_types(json_object *spec, int bits)
{
	json_object *list = json_object_new_array();

	if (bits & 1)
		gen_push_str(list, "Ingress");
	if (bits & 2)
		gen_push_str(list, "Egress");
	json_object_object_add(spec, "policyTypes", list);
}

static void per_direction(struct morph *m, json_object *policy, json_object *same)
{
	json_object *other;

	(void)same;
	if (morph_isolates(policy) != 3)
		return;
	other = morph_add_policy(m, policy);
	set_types(morph_spec(policy), 1);
	json_object_object_del(morph_spec(policy), "egress");
	set_types(morph_spec(other), 2);
	json_object_object_del(morph_spec(other), "ingress");
}

/* Directions know nothing of each other (A1, A14). An invalid subject isolates its namespace in the
 * directions of its policy, so both halves together do what the whole did. */
void morph_policy_per_direction(struct morph *m)
{
	morph_each_policy(m, per_direction);
}

static void per_rule(struct morph *m, json_object *policy, json_object *same)
{
	static const char *const fields[] = { "ingress", "egress" };
	int bits = morph_isolates(policy), dir;
	json_object *list, *one, *spec;
	size_t i;

	(void)same;
	for (dir = 0; dir < 2 && bits > 0; dir++) {
		list = json_object_get(fl_get(morph_spec(policy), fields[dir]));
		for (i = 1; i < fl_count(list); i++) {
			spec = morph_spec(morph_add_policy(m, policy));
			set_types(spec, bits);
			json_object_object_del(spec, fields[!dir]);
			one = json_object_new_array();
			json_object_array_add(one, morph_copy(json_object_array_get_idx(list, i)));
			json_object_object_add(spec, fields[dir], one);
		}
		if (fl_count(list) > 1) {
			set_types(morph_spec(policy), bits);
			one = json_object_new_array();
			json_object_array_add(one, morph_copy(json_object_array_get_idx(list, 0)));
			json_object_object_add(morph_spec(policy), fields[dir], one);
		}
		json_object_put(list);
	}
}

/* Each part isolates what the whole isolated, and the allows of policies are ORed (A10). */
void morph_policy_per_rule(struct morph *m)
{
	morph_each_policy(m, per_rule);
}
