// SPDX-License-Identifier: Apache-2.0
/* morph.c - the table of metamorphic rules, walks over policies, and what can only loosen. */
#include "tests/prove/morph.h"

#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "tests/prove/gen.h"
#include "tests/prove/gen_flows.h"

/* ---- walks ----------------------------------------------------------------------------------- */

json_object *morph_objects(const struct morph *m)
{
	return fl_get(m->root, "objects");
}

json_object *morph_nth(const struct morph *m, const char *kind, size_t at)
{
	json_object *list = morph_objects(m), *o;
	size_t i;

	for (i = 0; i < fl_count(list); i++) {
		o = json_object_array_get_idx(list, i);
		if (!strcmp(fl_text(o, "kind"), kind) && !at--)
			return o;
	}
	return NULL;
}

size_t morph_count(const struct morph *m, const char *kind)
{
	size_t n = 0;

	while (morph_nth(m, kind, n))
		n++;
	return n;
}

json_object *morph_spec(json_object *object)
{
	return fl_get(object, "spec");
}

const char *morph_ns_of(json_object *object)
{
	return fl_text(fl_get(object, "metadata"), "namespace");
}

const char *morph_name_of(json_object *object)
{
	return fl_text(fl_get(object, "metadata"), "name");
}

json_object *morph_copy(json_object *o)
{
	json_object *copy = NULL;

	if (o && json_object_deep_copy(o, &copy, NULL) < 0)
		rs_oom();
	return copy;
}

/* Names of the generator have no dot. */
static void set_new_name(struct morph *m, json_object *policy)
{
	rs_autofree char *name =
		rs_asprintf("%.200s.%zu", morph_name_of(policy), fl_count(morph_objects(m)));

	gen_add_str(fl_get(policy, "metadata"), "name", name);
}

json_object *morph_add_policy(struct morph *m, json_object *like)
{
	json_object *copy = morph_copy(like);

	set_new_name(m, copy);
	json_object_array_add(morph_objects(m), copy);
	m->changed = true;
	return copy;
}

json_object *morph_new_policy(struct morph *m, const char *ns)
{
	json_object *o = json_object_new_object(), *meta = json_object_new_object();
	json_object *spec = json_object_new_object();

	gen_add_str(o, "apiVersion", "networking.k8s.io/v1");
	gen_add_str(o, "kind", "NetworkPolicy");
	gen_add_str(meta, "name", "new");
	gen_add_str(meta, "namespace", ns);
	json_object_object_add(o, "metadata", meta);
	json_object_object_add(o, "spec", spec);
	json_object_array_add(morph_objects(m), o);
	set_new_name(m, o);
	m->changed = true;
	return spec;
}

int morph_isolates(json_object *policy)
{
	json_object *spec = morph_spec(policy), *types = fl_get(spec, "policyTypes");
	int bits = 0;
	size_t i;

	for (i = 0; i < fl_count(types); i++) {
		const char *s = json_object_get_string(json_object_array_get_idx(types, i));

		if (!strcmp(s, "Ingress"))
			bits |= 1;
		else if (!strcmp(s, "Egress"))
			bits |= 2;
		else
			return -1;
	}
	if (!fl_count(types))
		bits = fl_count(fl_get(spec, "egress")) ? 3 : 1;
	return bits;
}

void morph_rewrite(struct morph *m, json_object *parent, const char *field, morph_item fn)
{
	json_object *list = fl_get(parent, field), *out;
	size_t i;

	if (!fl_count(list))
		return;
	out = json_object_new_array();
	for (i = 0; i < fl_count(list); i++)
		fn(m, json_object_array_get_idx(list, i), out);
	json_object_object_add(parent, field, out);
}

/* Policies that a visit adds are not visited. */
void morph_each_policy(struct morph *m, morph_visit fn)
{
	size_t n = morph_count(m, "NetworkPolicy"), i;

	for (i = 0; i < n; i++) {
		json_object *p = morph_nth(m, "NetworkPolicy", i);

		fn(m, p, p);
	}
}

const char *morph_peers_field(json_object *rule)
{
	if (fl_count(fl_get(rule, "from")))
		return "from";
	return fl_count(fl_get(rule, "to")) ? "to" : NULL;
}

void morph_each_rule(struct morph *m, morph_visit fn)
{
	static const char *const fields[] = { "ingress", "egress" };
	size_t n = morph_count(m, "NetworkPolicy"), i, k, f;

	for (i = 0; i < n; i++)
		for (f = 0; f < 2; f++) {
			json_object *p = morph_nth(m, "NetworkPolicy", i);
			json_object *list = fl_get(morph_spec(p), fields[f]);

			for (k = 0; k < fl_count(list); k++)
				fn(m, p, json_object_array_get_idx(list, k));
		}
}

void morph_each_peer(struct morph *m, morph_visit fn)
{
	static const char *const fields[] = { "ingress", "egress" };
	size_t n = morph_count(m, "NetworkPolicy"), i, k, f, q;

	for (i = 0; i < n; i++)
		for (f = 0; f < 2; f++) {
			json_object *p = morph_nth(m, "NetworkPolicy", i);
			json_object *list = fl_get(morph_spec(p), fields[f]), *peers;

			for (k = 0; k < fl_count(list); k++) {
				peers = fl_get(json_object_array_get_idx(list, k),
					       f ? "to" : "from");
				for (q = 0; q < fl_count(peers); q++)
					fn(m, p, json_object_array_get_idx(peers, q));
			}
		}
}

static void selectors_of_peer(struct morph *m, json_object *policy, json_object *peer)
{
	json_object *s = fl_get(peer, "podSelector");

	if (s)
		m->inner(m, policy, s);
	s = fl_get(peer, "namespaceSelector");
	if (s)
		m->inner(m, policy, s);
}

static void selector_of_policy(struct morph *m, json_object *policy, json_object *same)
{
	json_object *s = fl_get(morph_spec(same), "podSelector");

	if (s)
		m->inner(m, policy, s);
}

void morph_each_selector(struct morph *m, morph_visit fn)
{
	m->inner = fn;
	morph_each_policy(m, selector_of_policy);
	morph_each_peer(m, selectors_of_peer);
}

/* ---- what can only loosen -------------------------------------------------------------------- */

/* A rule for somebody: everybody, the pods here, the pods everywhere, a family. */
static json_object *allowing_rule(struct morph *m, const char *peers)
{
	json_object *rule = json_object_new_object(), *list = json_object_new_array();
	json_object *peer = json_object_new_object(), *block;
	uint32_t form = pv_below(m->r, 4);

	if (form == 0) {
		json_object_put(list);
		json_object_put(peer);
	} else if (form == 3) {
		block = json_object_new_object();
		gen_add_str(block, "cidr", pv_chance(m->r, 50) ? "0.0.0.0/0" : "::/0");
		json_object_object_add(peer, "ipBlock", block);
	} else {
		json_object_object_add(peer, form == 1 ? "podSelector" : "namespaceSelector",
				       json_object_new_object());
	}
	if (form) {
		json_object_array_add(list, peer);
		json_object_object_add(rule, peers, list);
	}
	if (pv_chance(m->r, 50)) {
		list = json_object_new_array();
		json_object_array_add(list, json_object_new_object()); /* every TCP port */
		json_object_object_add(rule, "ports", list);
	}
	return rule;
}

static json_object *list_of(json_object *parent, const char *field)
{
	json_object *list = fl_get(parent, field);

	if (fl_count(list))
		return list;
	list = json_object_new_array();
	json_object_object_add(parent, field, list);
	return list;
}

/* A rule more in a direction in which the policy isolates anyway. Rules are ORed; an invalid subject
 * isolates as before and still allows nothing. */
static void added_rule(struct morph *m)
{
	size_t n = morph_count(m, "NetworkPolicy");
	json_object *p = n ? morph_nth(m, "NetworkPolicy", pv_below(m->r, (uint32_t)n)) : NULL;
	int bits = p ? morph_isolates(p) : -1;
	bool egress;

	if (bits <= 0)
		return;
	egress = bits == 2 || (bits == 3 && pv_chance(m->r, 50));
	json_object_array_add(list_of(morph_spec(p), egress ? "egress" : "ingress"),
			      allowing_rule(m, egress ? "to" : "from"));
	m->changed = true;
}

/* One item more where there is a list already: peers and ports are ORed, and one that is invalid
 * spoils itself alone. An absent or empty list means everybody, so it stays. */
static void wider_rule(struct morph *m, json_object *policy, json_object *rule)
{
	const char *peers = morph_peers_field(rule);
	json_object *item;

	(void)policy;
	if (peers && pv_chance(m->r, 30)) {
		item = json_object_new_object();
		json_object_object_add(item, "podSelector", json_object_new_object());
		json_object_array_add(fl_get(rule, peers), item);
		m->changed = true;
	}
	if (fl_count(fl_get(rule, "ports")) && pv_chance(m->r, 30)) {
		item = json_object_new_object();
		gen_add_str(item, "protocol", pv_chance(m->r, 50) ? "UDP" : "TCP");
		json_object_array_add(fl_get(rule, "ports"), item);
		m->changed = true;
	}
}

static void wider_rules(struct morph *m)
{
	morph_each_rule(m, wider_rule);
}

/* Without its excepts a block holds what it held and more. If one was a fault, the block begins to
 * match, which is looser too. */
static void lift_excepts(struct morph *m, json_object *policy, json_object *peer)
{
	json_object *block = fl_get(peer, "ipBlock");

	(void)policy;
	if (!fl_count(fl_get(block, "except")) || pv_chance(m->r, 50))
		return;
	json_object_object_del(block, "except");
	m->changed = true;
}

static void fewer_excepts(struct morph *m)
{
	morph_each_peer(m, lift_excepts);
}

/* Another policy with the same subject and directions: whom it selects is isolated there already. */
static void second_policy(struct morph *m)
{
	static const char *const types[] = { "Ingress", "Egress" };
	static const char *const lists[] = { "ingress", "egress" };
	static const char *const peers[] = { "from", "to" };
	size_t n = morph_count(m, "NetworkPolicy");
	json_object *p = n ? morph_nth(m, "NetworkPolicy", pv_below(m->r, (uint32_t)n)) : NULL;
	int bits = p ? morph_isolates(p) : -1, dir;
	json_object *spec, *list, *rules;

	if (bits <= 0)
		return;
	spec = morph_spec(morph_add_policy(m, p));
	list = json_object_new_array();
	for (dir = 0; dir < 2; dir++) {
		json_object_object_del(spec, lists[dir]);
		if (!(bits & (1 << dir)))
			continue;
		gen_push_str(list, types[dir]);
		rules = json_object_new_array();
		json_object_array_add(rules, allowing_rule(m, peers[dir]));
		json_object_object_add(spec, lists[dir], rules);
	}
	json_object_object_add(spec, "policyTypes", list);
}

/* ---- another namespace ----------------------------------------------------------------------- */

static void spoil_policy(struct morph *m, json_object *policy)
{
	json_object *spec = morph_spec(policy);

	switch (pv_below(m->r, 3)) {
	case 0:
		json_object_object_del(spec, "ingress");
		break;
	case 1:
		json_object_object_del(spec, "policyTypes");
		break;
	default:
		json_object_object_add(spec, "podSelector", json_object_new_object());
		break;
	}
	m->changed = true;
}

/* Policies change, go and come in one namespace. They judge no pod but those of their own. */
static void one_namespace(struct morph *m)
{
	json_object *list = morph_objects(m), *o, *types = json_object_new_array();
	size_t n = morph_count(m, "Pod"), i = 0;

	o = morph_nth(m, "Pod", pv_below(m->r, (uint32_t)n));
	snprintf(m->ns, sizeof(m->ns), "%.63s", morph_ns_of(o));
	while (i < fl_count(list)) {
		o = json_object_array_get_idx(list, i);
		if (strcmp(fl_text(o, "kind"), "NetworkPolicy") != 0 ||
		    strcmp(morph_ns_of(o), m->ns) != 0 || pv_chance(m->r, 30)) {
			i++;
		} else if (pv_chance(m->r, 50)) {
			json_object_array_del_idx(list, i, 1);
		} else {
			spoil_policy(m, o);
			i++;
		}
	}
	gen_push_str(types, pv_chance(m->r, 50) ? "Ingress" : "Egress");
	json_object_object_add(morph_new_policy(m, m->ns), "policyTypes", types);
}

/* ---- the table ------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	enum pv_relation relation;
	void (*apply)(struct morph *m);
} rules[] = {
	{ "an added rule", PV_ONLY_LOOSER, added_rule },
	{ "added peers and ports", PV_ONLY_LOOSER, wider_rules },
	{ "excepts left out", PV_ONLY_LOOSER, fewer_excepts },
	{ "a second policy for isolated pods", PV_ONLY_LOOSER, second_policy },
	{ "policies of another namespace", PV_SAME_OUTSIDE, one_namespace },
	{ "permuted lists", PV_SAME, morph_permute },
	{ "doubled entries", PV_SAME, morph_double_entries },
	{ "a rule for each peer", PV_SAME, morph_rule_per_peer },
	{ "a rule for each port", PV_SAME, morph_rule_per_port },
	{ "a policy for each direction", PV_SAME, morph_policy_per_direction },
	{ "a policy for each rule", PV_SAME, morph_policy_per_rule },
	{ "doubled policies", PV_SAME, morph_double_policies },
	{ "defaults written out", PV_SAME, morph_defaults },
	{ "labels as expressions", PV_SAME, morph_expressions },
	{ "the own namespace written out", PV_SAME, morph_own_namespace },
	{ "blocks split into halves", PV_SAME, morph_split_blocks },
	{ "excepts inside excepts", PV_SAME, morph_nested_excepts },
	{ "port ranges split", PV_SAME, morph_split_ranges },
	{ "renamed policies", PV_SAME, morph_rename_policies },
	{ "renamed pods", PV_SAME, morph_rename_pods },
	{ "renamed nodes", PV_SAME, morph_rename_nodes },
	{ "renamed namespaces", PV_SAME, morph_rename_namespaces },
	{ "pods elsewhere", PV_SAME, morph_move_pods },
	{ "policies that select nobody", PV_SAME, morph_unused_policies },
	{ "labels that nobody asks for", PV_SAME, morph_unused_labels },
	{ "ports that count for nothing", PV_SAME, morph_unused_ports },
	{ "finished pods left out", PV_SAME, morph_drop_finished },
	{ "unknown fields", PV_SAME, morph_unknown_fields },
};

size_t pv_morphs(void)
{
	return RS_ARRAY_SIZE(rules);
}

bool pv_morph(const struct pv_case *c, size_t rule, struct pv_rng *r, struct pv_morphed *out)
{
	struct pv_case copy = pv_case_copy(c);
	struct morph m = { .root = copy.root, .r = r };

	m.lenient = json_object_get_boolean(fl_get(fl_get(copy.root, "world"), "lenient"));
	rules[rule].apply(&m);
	if (!m.changed) {
		pv_case_free(&copy);
		return false;
	}
	*out = (struct pv_morphed){
		.c = copy,
		.relation = rules[rule].relation,
		.name = rules[rule].name,
	};
	snprintf(out->ns, sizeof(out->ns), "%s", m.ns);
	return true;
}
