// SPDX-License-Identifier: Apache-2.0
/* gen_select.c - label selectors, with everything that a selector may leave out or get wrong. */
#include "tests/prove/gen.h"

#include "base/base.h"

static const char *random_key(struct pv_gen *g)
{
	return g->keys[pv_below(g->rng, g->n_keys)];
}

static const char *random_value(struct pv_gen *g)
{
	return g->values[pv_below(g->rng, g->n_values)];
}

/* A label of the aim, or two random words. */
static void a_label(struct pv_gen *g, json_object *aim, const char **key, const char **value)
{
	uint32_t n = aim ? (uint32_t)json_object_object_length(aim) : 0, at;

	*key = random_key(g);
	*value = random_value(g);
	if (!n || pv_chance(g->rng, 20))
		return;
	at = pv_below(g->rng, n);
	json_object_object_foreach(aim, k, v)
	{
		if (at--)
			continue;
		*key = k;
		*value = json_object_get_string(v);
	}
}

static json_object *match_labels(struct pv_gen *g, json_object *aim)
{
	json_object *map = json_object_new_object();
	uint32_t n = gen_choose(g->rng, 8, 60, 25);
	const char *key, *value;

	while (n--) {
		a_label(g, aim, &key, &value);
		gen_add_str(map, key, value);
	}
	return map;
}

static json_object *value_list(struct pv_gen *g, const char *first, bool of_names)
{
	json_object *list = json_object_new_array();
	uint32_t n = gen_choose(g->rng, 45, 35, 20);

	gen_push_str(list, first);
	while (n--)
		gen_push_str(list,
			     of_names ? g->ns[pv_below(g->rng, g->n_ns)].name : random_value(g));
	return list;
}

/* What later or broken writers make of an expression. Each makes the selector invalid (D6, D7). */
static void spoil(struct pv_gen *g, json_object *e)
{
	json_object *list;

	switch (pv_below(g->rng, 5)) {
	case 0:
		gen_add_str(e, "operator", "Gt");
		break;
	case 1:
		gen_add_str(e, "operator", pv_chance(g->rng, 50) ? "In" : "NotIn");
		json_object_object_add(e, "values", json_object_new_array());
		break;
	case 2:
		gen_add_str(e, "operator", pv_chance(g->rng, 50) ? "In" : "NotIn");
		json_object_object_del(e, "values");
		break;
	case 3:
		list = json_object_new_array();
		gen_push_str(list, random_value(g));
		gen_add_str(e, "operator", pv_chance(g->rng, 50) ? "Exists" : "DoesNotExist");
		json_object_object_add(e, "values", list);
		break;
	default:
		gen_add_str(e, "operator", "in");
		break;
	}
}

static json_object *expression(struct pv_gen *g, json_object *aim, bool of_namespaces)
{
	static const char *const operators[] = { "In", "NotIn", "Exists", "DoesNotExist" };
	json_object *e = json_object_new_object();
	uint32_t op = gen_choose(g->rng, 40, 28, 18, 14);
	bool names = of_namespaces && pv_chance(g->rng, 35);
	const char *key, *value;

	a_label(g, aim, &key, &value);
	if (names) {
		key = "kubernetes.io/metadata.name";
		value = g->ns[pv_below(g->rng, g->n_ns)].name;
	} else if (pv_chance(g->rng, 6)) {
		key = "nobody-has-this";
	}
	gen_add_str(e, "key", key);
	gen_add_str(e, "operator", operators[op]);
	if (op < 2)
		json_object_object_add(e, "values", value_list(g, value, names));
	else if (pv_chance(g->rng, 20))
		json_object_object_add(e, "values",
				       pv_chance(g->rng, 50) ? NULL : json_object_new_array());
	return e;
}

static json_object *match_expressions(struct pv_gen *g, json_object *aim, bool of_namespaces)
{
	json_object *list = json_object_new_array();
	uint32_t n = gen_choose(g->rng, 8, 62, 22, 8), i;

	for (i = 0; i < n; i++)
		json_object_array_add(list, expression(g, aim, of_namespaces));
	return list;
}

json_object *gen_selector(struct pv_gen *g, json_object *aim, bool of_namespaces)
{
	json_object *s = json_object_new_object(), *list;
	uint32_t form = gen_choose(g->rng, 40, 32, 14, 14);
	bool spoilt = gen_fault(g, 4);

	if (form == 0 || form == 2)
		json_object_object_add(s, "matchLabels", match_labels(g, aim));
	else if (pv_chance(g->rng, 12))
		json_object_object_add(s, "matchLabels",
				       pv_chance(g->rng, 50) ? NULL : json_object_new_object());
	if (form == 1 || form == 2)
		json_object_object_add(s, "matchExpressions",
				       match_expressions(g, aim, of_namespaces));
	else if (pv_chance(g->rng, 12))
		json_object_object_add(s, "matchExpressions",
				       pv_chance(g->rng, 50) ? NULL : json_object_new_array());
	if (!spoilt)
		return s;
	if (!json_object_object_get_ex(s, "matchExpressions", &list) || !list) {
		list = json_object_new_array();
		json_object_object_add(s, "matchExpressions", list);
	}
	json_object_array_add(list, expression(g, aim, of_namespaces));
	spoil(g, json_object_array_get_idx(list, json_object_array_length(list) - 1));
	return s;
}
