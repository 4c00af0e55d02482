// SPDX-License-Identifier: Apache-2.0
/* gen_policy.c - policies: subjects, types, rules, peers; absent, null and empty kept apart. */
#include "tests/prove/gen.h"

#include <stdio.h>

#include "base/base.h"

/* ---- peers ----------------------------------------------------------------------------------- */

static const struct gen_pod *some_pod(struct pv_gen *g)
{
	return &g->pods[pv_below(g->rng, g->n_pods)];
}

static json_object *pod_selector(struct pv_gen *g, const struct gen_pod *aim)
{
	if (pv_chance(g->rng, 15))
		return json_object_new_object();
	return gen_selector(g, aim->labels, false);
}

static json_object *namespace_selector(struct pv_gen *g, const struct gen_pod *aim)
{
	if (pv_chance(g->rng, 20))
		return json_object_new_object();
	return gen_selector(g, g->ns[aim->ns].labels, true);
}

/* A field that is there and says nothing. */
static void maybe_null(struct pv_gen *g, json_object *o, const char *field)
{
	if (pv_chance(g->rng, 8))
		json_object_object_add(o, field, NULL);
}

static void selector_peer(struct pv_gen *g, json_object *peer, uint32_t form)
{
	const struct gen_pod *aim = some_pod(g);

	if (form != 0)
		json_object_object_add(peer, "namespaceSelector", namespace_selector(g, aim));
	else
		maybe_null(g, peer, "namespaceSelector");
	if (form != 1)
		json_object_object_add(peer, "podSelector", pod_selector(g, aim));
	else
		maybe_null(g, peer, "podSelector");
	maybe_null(g, peer, "ipBlock");
}

/* What a later API may send, or a broken writer: no known field, or two forms in one (B9, B10). */
static void odd_peer(struct pv_gen *g, json_object *peer)
{
	switch (pv_below(g->rng, 4)) {
	case 0:
		break;
	case 1:
		gen_add_str(peer, "laterSelector", "x");
		break;
	case 2:
		json_object_object_add(peer, "podSelector", NULL);
		break;
	default:
		json_object_object_add(peer, "ipBlock", gen_block(g));
		json_object_object_add(peer,
				       pv_chance(g->rng, 50) ? "podSelector" : "namespaceSelector",
				       json_object_new_object());
		break;
	}
}

static json_object *one_peer(struct pv_gen *g)
{
	json_object *peer = json_object_new_object();
	uint32_t form = gen_theme(g, GEN_BLOCKS) ? gen_choose(g->rng, 10, 8, 7, 75)
						 : gen_choose(g->rng, 30, 22, 20, 28);

	if (gen_fault(g, 5)) {
		odd_peer(g, peer);
		return peer;
	}
	if (form < 3) {
		selector_peer(g, peer, form);
		return peer;
	}
	json_object_object_add(peer, "ipBlock", gen_block(g));
	maybe_null(g, peer, "podSelector");
	maybe_null(g, peer, "namespaceSelector");
	return peer;
}

/* ---- rules ----------------------------------------------------------------------------------- */

/* Absent, null or empty. */
static void put_nothing(struct pv_gen *g, json_object *o, const char *field)
{
	switch (gen_choose(g->rng, 60, 18, 22)) {
	case 1:
		json_object_object_add(o, field, NULL);
		break;
	case 2:
		json_object_object_add(o, field, json_object_new_array());
		break;
	default:
		break;
	}
}

static void put_items(struct pv_gen *g, json_object *o, const char *field, uint32_t n,
		      json_object *(*make)(struct pv_gen *))
{
	json_object *list = json_object_new_array(), *copy;
	uint32_t i;

	for (i = 0; i < n; i++)
		json_object_array_add(list, make(g));
	if (pv_chance(g->rng, 8)) {
		copy = NULL;
		json_object_deep_copy(json_object_array_get_idx(list, 0), &copy, NULL);
		json_object_array_add(list, copy);
	}
	json_object_object_add(o, field, list);
}

static json_object *one_rule(struct pv_gen *g, const char *peers)
{
	json_object *rule = json_object_new_object();
	uint32_t n = gen_choose(g->rng, 12, 40, 25, 15, 8);

	if (pv_chance(g->rng, 5))
		return rule;
	if (n)
		put_items(g, rule, peers, n, one_peer);
	else
		put_nothing(g, rule, peers);
	n = gen_choose(g->rng, 30, 34, 18, 10, 8);
	if (n)
		put_items(g, rule, "ports", n, gen_port);
	else
		put_nothing(g, rule, "ports");
	if (gen_fault(g, 1))
		gen_add_str(rule, "laterField", "x");
	return rule;
}

static json_object *rule_list(struct pv_gen *g, const char *peers)
{
	json_object *list = json_object_new_array();
	uint32_t n = 1 + gen_choose(g->rng, 62, 26, 12), i;

	for (i = 0; i < n; i++)
		json_object_array_add(list, one_rule(g, peers));
	return list;
}

static void put_rules(struct pv_gen *g, json_object *spec, const char *field, const char *peers)
{
	if (pv_chance(g->rng, 28))
		put_nothing(g, spec, field);
	else
		json_object_object_add(spec, field, rule_list(g, peers));
}

/* ---- the policy ------------------------------------------------------------------------------ */

static void put_types(struct pv_gen *g, json_object *spec)
{
	static const char *const first[] = { "Ingress", "Egress", "Ingress", "Egress", "Ingress" };
	static const char *const second[] = { NULL, NULL, "Egress", "Ingress", "Ingress" };
	json_object *list;
	uint32_t at;

	if (pv_chance(g->rng, 30)) {
		put_nothing(g, spec, "policyTypes");
		return;
	}
	at = gen_choose(g->rng, 28, 24, 34, 8, 3);
	list = json_object_new_array();
	if (gen_fault(g, 3))
		gen_push_str(list, pv_chance(g->rng, 50) ? "ingress" : "Both");
	else
		gen_push_str(list, first[at]);
	if (second[at])
		gen_push_str(list, second[at]);
	json_object_object_add(spec, "policyTypes", list);
}

static void put_subject(struct pv_gen *g, json_object *spec, const struct gen_pod *aim, bool sure)
{
	json_object *exact;

	if (sure) {
		json_object_object_add(spec, "podSelector", json_object_new_object());
		return;
	}
	if (gen_theme(g, GEN_ONE_SUBJECT) && aim->labels && pv_chance(g->rng, 70)) {
		exact = json_object_new_object();
		json_object_object_add(exact, "matchLabels", json_object_get(aim->labels));
		json_object_object_add(spec, "podSelector", exact);
		return;
	}
	switch (gen_choose(g->rng, 24, 5, 5, 66)) {
	case 0:
		json_object_object_add(spec, "podSelector", json_object_new_object());
		break;
	case 1:
		break;
	case 2:
		json_object_object_add(spec, "podSelector", NULL);
		break;
	default:
		json_object_object_add(spec, "podSelector", gen_selector(g, aim->labels, false));
		break;
	}
}

static void one_policy(struct pv_gen *g, uint32_t i)
{
	const struct gen_pod *aim = gen_theme(g, GEN_ONE_SUBJECT) ? &g->pods[g->star]
				    : i == 0			  ? &g->pods[i]
								  : some_pod(g);
	json_object *o, *meta, *spec = json_object_new_object();
	uint32_t letter = pv_below(g->rng, 26);
	char name[24];

	snprintf(name, sizeof(name), "%c-%u", (char)('a' + letter), i);
	o = gen_object(g, "NetworkPolicy", g->ns[aim->ns].name, name, &meta);
	if (pv_chance(g->rng, 4))
		gen_add_str(meta, "deletionTimestamp", "2026-01-01T00:00:00Z");
	/* In most worlds the first policy takes a whole namespace: something is isolated. */
	put_subject(g, spec, aim, i == 0 && pv_chance(g->rng, 60));
	put_types(g, spec);
	put_rules(g, spec, "ingress", "from");
	put_rules(g, spec, "egress", "to");
	if (gen_fault(g, 1))
		gen_add_str(spec, "laterField", "x");
	json_object_object_add(o, "spec", spec);
}

void gen_policies(struct pv_gen *g)
{
	static const uint8_t tops[] = { 4, 12, 40 };
	uint32_t max = tops[gen_choose(g->rng, 40, 40, 20)], n, i;

	if (gen_theme(g, GEN_ONE_SUBJECT))
		max = 40;
	if (max > g->shape.max_policies)
		max = g->shape.max_policies;
	n = 1 + pv_below(g->rng, max);
	for (i = 0; i < n; i++)
		one_policy(g, i);
}
