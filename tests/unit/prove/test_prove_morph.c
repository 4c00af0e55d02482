// SPDX-License-Identifier: Apache-2.0
/* The metamorphic rules: each keeps its relation by the oracle, over some hundred worlds, and finds
 * something to change in enough of them. */
#include "prove_try.h"

#define WORLDS 50

struct answers {
	size_t n;
	bool allow[PV_MAX_FLOWS];
};

static struct answers ask(const struct pv_case *c)
{
	struct pv_scene *s = scene_of(c);
	struct answers a = { .n = s->n_flows };
	size_t i;

	for (i = 0; i < s->n_flows; i++)
		a.allow[i] = oracle_allows(s, &s->flows[i]);
	pv_scene_free(s);
	return a;
}

static json_object *flow_of(const struct pv_case *c, size_t i)
{
	return json_object_array_get_idx(json_object_object_get(c->root, "flows"), i);
}

static bool ends_in_ns(const struct pv_case *c, size_t i, const char *ns)
{
	static const char *const ends[] = { "src", "dst" };
	json_object *pod;
	size_t k, n = strlen(ns);

	for (k = 0; k < 2; k++) {
		pod = json_object_object_get(json_object_object_get(flow_of(c, i), ends[k]), "pod");
		if (pod && !strncmp(json_object_get_string(pod), ns, n) &&
		    json_object_get_string(pod)[n] == '/')
			return true;
	}
	return false;
}

/* was: the answers to c. Returns those to what the rule made of it. */
static struct answers check_relation(const struct pv_case *c, const struct answers *was,
				     const struct pv_morphed *m, uint64_t world)
{
	struct answers is = ask(&m->c);
	size_t i;

	assert_int_equal(was->n, is.n);
	for (i = 0; i < was->n; i++) {
		bool fine = was->allow[i] == is.allow[i];

		if (m->relation == PV_ONLY_LOOSER)
			fine = !was->allow[i] || is.allow[i];
		if (m->relation == PV_SAME_OUTSIDE && ends_in_ns(c, i, m->ns))
			fine = true;
		if (!fine)
			fail_msg("world %lu, \"%s\": flow %zu %s was %s\nbefore: %s\nafter: %s",
				 (unsigned long)world, m->name, i,
				 json_object_to_json_string(flow_of(c, i)),
				 was->allow[i] ? "allowed" : "denied", case_text(c),
				 case_text(&m->c));
	}
	return is;
}

static void test_relations_hold(void **state)
{
	size_t used[64] = { 0 }, rule;
	uint64_t i;

	(void)state;
	assert_in_range(pv_morphs(), 10, 64);
	for (i = 0; i < WORLDS; i++) {
		struct answers was;
		struct pv_case c;

		pv_generate(21, i, &whole, &c);
		was = ask(&c);
		for (rule = 0; rule < pv_morphs(); rule++) {
			struct pv_morphed m;
			struct pv_rng r;

			pv_rng_seed(&r, i, rule);
			if (!pv_morph(&c, rule, &r, &m))
				continue;
			used[rule]++;
			check_relation(&c, &was, &m, i);
			pv_case_free(&m.c);
		}
		pv_case_free(&c);
	}
	for (rule = 0; rule < pv_morphs(); rule++)
		if (used[rule] < WORLDS / 10)
			fail_msg("rule %zu had something to change in %zu of %d worlds", rule,
				 used[rule], WORLDS);
}

/* A rule changes a copy, says so, and does the same to the same case twice. */
static void test_morphs_are_deterministic(void **state)
{
	size_t rule;
	uint64_t i;

	(void)state;
	for (i = 0; i < 20; i++) {
		struct pv_case c;
		rs_autofree char *text = NULL;

		pv_generate(22, i, &whole, &c);
		text = rs_strdup(case_text(&c));
		for (rule = 0; rule < pv_morphs(); rule++) {
			struct pv_morphed a, b;
			struct pv_rng r, q;

			pv_rng_seed(&r, i, rule);
			pv_rng_seed(&q, i, rule);
			if (!pv_morph(&c, rule, &r, &a))
				continue;
			assert_true(pv_morph(&c, rule, &q, &b));
			assert_string_equal(case_text(&a.c), case_text(&b.c));
			assert_string_not_equal(case_text(&a.c), text);
			assert_string_equal(case_text(&c), text);
			pv_case_free(&a.c);
			pv_case_free(&b.c);
		}
		pv_case_free(&c);
	}
}

/* Morphs of morphs: each keeps its relation on what another has made. */
static void test_morphs_follow_each_other(void **state)
{
	struct pv_rng r;
	uint64_t i;
	int step;

	(void)state;
	pv_rng_seed(&r, 23, 0);
	for (i = 0; i < WORLDS / 2; i++) {
		struct answers was;
		struct pv_case c;

		pv_generate(23, i, &whole, &c);
		was = ask(&c);
		for (step = 0; step < 6; step++) {
			size_t rule = pv_below(&r, (uint32_t)pv_morphs());
			struct pv_morphed m;

			if (!pv_morph(&c, rule, &r, &m))
				continue;
			was = check_relation(&c, &was, &m, i);
			pv_case_free(&c);
			c = m.c;
		}
		pv_case_free(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_relations_hold),
		cmocka_unit_test(test_morphs_are_deterministic),
		cmocka_unit_test(test_morphs_follow_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
