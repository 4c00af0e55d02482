// SPDX-License-Identifier: Apache-2.0
/*
 * shrink.c - delta debugging over a JSON tree: leave out ever smaller pieces for as long as the case
 * still fails (Zeller, Hildebrandt: Simplifying and isolating failure-inducing input, 2002).
 *
 * It knows nothing of networks. A case that became senseless does not fail as the first one did, so
 * the caller's predicate refuses the step, and the step is undone.
 */
#include <string.h>

#include "base/base.h"
#include "base/jsonio.h"
#include "tests/prove/prove.h"

struct shrinker {
	struct pv_case *c;
	pv_still_fails fails;
	void *ctx;
	unsigned int steps; /* left */
	bool progress;
};

struct member {
	char *key; /* NULL: of a list */
	json_object *value;
};

struct members {
	struct member *v;
	size_t n;
	size_t cap;
};

/* Without these an object is not smaller but another thing. */
static bool needed(const char *key)
{
	static const char *const keys[] = {
		"apiVersion", "kind",	  "metadata", "name",	    "namespace", "spec",  "cidr",
		"key",	      "operator", "ip",	      "containers", "objects",	 "world", "flows",
		"podRanges",  "nodes",	  "ranges",   "src",	    "dst",	 "proto", "family",
		"pod",	      "node",	  "host",     "addresses",  "lenient",
	};

	for (size_t i = 0; key && i < RS_ARRAY_SIZE(keys); i++)
		if (strcmp(key, keys[i]) == 0)
			return true;
	return false;
}

/* ---- lists and objects alike ----------------------------------------------------------------- */

static void take_apart(json_object *o, struct members *m)
{
	size_t i;

	if (json_object_is_type(o, json_type_array)) {
		for (i = 0; i < json_object_array_length(o); i++)
			rs_vec_push(m)->value = json_object_get(json_object_array_get_idx(o, i));
		return;
	}
	json_object_object_foreach(o, key, value)
	{
		struct member *new = rs_vec_push(m);

		new->key = rs_strdup(key);
		new->value = json_object_get(value);
	}
}

static void empty(json_object *o, const struct members *m)
{
	if (json_object_is_type(o, json_type_array)) {
		json_object_array_del_idx(o, 0, json_object_array_length(o));
		return;
	}
	for (size_t i = 0; i < m->n; i++)
		json_object_object_del(o, m->v[i].key);
}

/* Fill o with all of m but [from, to). */
static void put_together(json_object *o, const struct members *m, size_t from, size_t to)
{
	size_t i;

	empty(o, m);
	for (i = 0; i < m->n; i++) {
		if (i >= from && i < to)
			continue;
		json_object_get(m->v[i].value);
		if (m->v[i].key)
			json_object_object_add(o, m->v[i].key, m->v[i].value);
		else
			json_object_array_add(o, m->v[i].value);
	}
}

static void drop_member(struct member *m)
{
	free(m->key);
	json_object_put(m->value);
}

static void forget(struct members *m, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		drop_member(&m->v[i]);
	if (to < m->n)
		memmove(&m->v[from], &m->v[to], (m->n - to) * sizeof(*m->v));
	m->n -= to - from;
}

static bool still_fails(struct shrinker *s)
{
	if (!s->steps)
		return false;
	s->steps--;
	return s->fails(s->ctx, s->c);
}

static bool any_needed(const struct members *m, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (needed(m->v[i].key))
			return true;
	return false;
}

/* Try to leave out pieces of `size` members. */
static void without_pieces(struct shrinker *s, json_object *o, struct members *m, size_t size)
{
	size_t from, to;

	for (from = 0; from < m->n && s->steps; from = to) {
		to = from + size < m->n ? from + size : m->n;
		if (any_needed(m, from, to))
			continue;
		put_together(o, m, from, to);
		if (still_fails(s)) {
			forget(m, from, to);
			s->progress = true;
			to = from;
		} else {
			put_together(o, m, 0, 0);
		}
	}
}

static bool is_tree(json_object *o)
{
	return json_object_is_type(o, json_type_array) || json_object_is_type(o, json_type_object);
}

static void shrink_level(struct shrinker *s, json_object *o)
{
	struct members m = { 0 };
	size_t size;

	take_apart(o, &m);
	for (size = m.n / 2; size > 1; size /= 2)
		without_pieces(s, o, &m, size);
	without_pieces(s, o, &m, 1);
	forget(&m, 0, m.n);
	rs_vec_free(&m);
}

static void shrink_tree(struct shrinker *s, json_object *o)
{
	struct members m = { 0 };

	if (!is_tree(o) || !s->steps)
		return;
	shrink_level(s, o);
	take_apart(o, &m);
	for (size_t i = 0; i < m.n; i++)
		shrink_tree(s, m.v[i].value);
	forget(&m, 0, m.n);
	rs_vec_free(&m);
}

/* A case without faults can be fed to a folder, and so be played with packets. */
static void try_strict(struct shrinker *s)
{
	json_object *world = rs_json_get(s->c->root, "world");

	if (!json_object_get_boolean(rs_json_get(world, "lenient")))
		return;
	json_object_object_add(world, "lenient", json_object_new_boolean(false));
	if (!still_fails(s))
		json_object_object_add(world, "lenient", json_object_new_boolean(true));
}

void pv_shrink(struct pv_case *c, pv_still_fails fails, void *ctx, unsigned int max_steps)
{
	struct shrinker s = { c, fails, ctx, max_steps, true };
	json_object *flows = rs_json_get(c->root, "flows");
	json_object *objects = rs_json_get(c->root, "objects");

	while (s.progress && s.steps) {
		s.progress = false;
		/* What costs most first: flows, then whole objects, then what is in them. */
		if (flows)
			shrink_level(&s, flows);
		if (objects)
			shrink_level(&s, objects);
		shrink_tree(&s, c->root);
	}
	try_strict(&s);
}
