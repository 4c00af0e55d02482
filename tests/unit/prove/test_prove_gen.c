// SPDX-License-Identifier: Apache-2.0
/* The generator: the same case twice, cases that keep the promises of prove.h, verdicts of both kinds. */
#include "prove_try.h"

#define WORLDS 200
#define STRICT_WORLDS 1000

static void test_numbers(void **state)
{
	struct pv_rng a, b, c;
	uint32_t seen[10] = { 0 }, i;
	bool differs = false;

	(void)state;
	pv_rng_seed(&a, 7, 1);
	pv_rng_seed(&b, 7, 1);
	pv_rng_seed(&c, 7, 2);
	for (i = 0; i < 1000; i++) {
		uint64_t x = pv_rng_next(&a);

		assert_int_equal(x, pv_rng_next(&b));
		differs |= x != pv_rng_next(&c);
	}
	assert_true(differs);
	for (i = 0; i < 10000; i++)
		seen[pv_below(&a, 10)]++;
	for (i = 0; i < 10; i++)
		assert_in_range(seen[i], 800, 1200);
	assert_int_equal(pv_below(&a, 1), 0);
	assert_false(pv_chance(&a, 0));
	assert_true(pv_chance(&a, 100));
}

/* The algorithm is xoshiro256** as published: its first output from the state {1, 2, 3, 4}. */
static void test_published_numbers(void **state)
{
	struct pv_rng r = { { 1, 2, 3, 4 } };

	(void)state;
	assert_int_equal(pv_rng_next(&r), 11520);
	assert_int_equal(pv_rng_next(&r), 0);
	assert_int_equal(pv_rng_next(&r), 1509978240);
}

static void test_same_text_twice(void **state)
{
	uint64_t i;

	(void)state;
	for (i = 0; i < 60; i++) {
		struct pv_case a, b, other;

		pv_generate(3, i, &whole, &a);
		pv_generate(3, i + 1, &whole, &other);
		pv_generate(3, i, &whole, &b);
		assert_string_equal(case_text(&a), case_text(&b));
		assert_string_not_equal(case_text(&a), case_text(&other));
		pv_case_free(&a);
		pv_case_free(&b);
		pv_case_free(&other);
	}
}

static void test_copies_are_deep(void **state)
{
	struct pv_case a, b;
	rs_autofree char *text = NULL;
	struct pv_rng r;

	(void)state;
	pv_generate(3, 1, &whole, &a);
	b = pv_case_copy(&a);
	text = rs_strdup(case_text(&a));
	assert_string_equal(case_text(&b), text);
	pv_rng_seed(&r, 1, 1);
	pv_flows(&r, 3, &b);
	assert_string_not_equal(case_text(&b), text);
	assert_string_equal(case_text(&a), text);
	pv_case_free(&a);
	assert_null(a.root);
	pv_case_free(&b);
}

/* What prove.h promises of ends; the rest is checked by the scene, which refuses a broken case. */
static void check_flow(const struct pv_scene *s, const struct pv_flow *f)
{
	bool has_ports = f->proto == 6 || f->proto == 17 || f->proto == 132;
	size_t i, k, n;
	const struct pv_flow *x = f;

	assert_true(x->src.kind == PV_END_POD || x->dst.kind == PV_END_POD);
	assert_int_equal(has_ports, f->port != 0);
	assert_int_not_equal(f->proto, f->family == 4 ? 58 : 1);
	assert_int_equal(f->src.addr.family, f->family);
	assert_int_equal(f->dst.addr.family, f->family);
	/* A host inside a node's range never meets a pod of that node. */
	for (i = 0; i < s->n_nodes; i++)
		for (k = 0; k < s->nodes[i].ranges.n; k++) {
			n = rs_cidr_contains(&s->nodes[i].ranges.v[k], &f->src.addr) +
			    rs_cidr_contains(&s->nodes[i].ranges.v[k], &f->dst.addr);
			if (x->src.kind == PV_END_HOST || x->dst.kind == PV_END_HOST)
				assert_true(n < 2);
		}
}

static void check_unique(const struct pv_scene *s)
{
	size_t i, k, q, r;

	for (i = 0; i < s->n_nodes; i++)
		for (k = 0; k < s->nodes[i].locals.n; k++)
			for (q = 0; q < k; q++)
				for (r = 0; r < s->nodes[i].locals.v[k].n_ips; r++) {
					const struct rs_local_pod *a = &s->nodes[i].locals.v[k];
					const struct rs_local_pod *b = &s->nodes[i].locals.v[q];
					size_t m;

					for (m = 0; m < b->n_ips; m++)
						assert_int_not_equal(
							rs_addr_cmp(&a->ips[r], &b->ips[m]), 0);
				}
}

static void test_sizes(void **state)
{
	size_t pods, policies, most_pods = 0, most_policies = 0, nodes[PV_MAX_NODES + 1] = { 0 };
	uint64_t i, lenient = 0;

	(void)state;
	for (i = 0; i < WORLDS; i++) {
		struct pv_scene *s;
		struct pv_case c;

		pv_generate(11, i, &whole, &c);
		s = scene_of(&c);
		rs_store_pods(s->store, &pods);
		rs_store_policies(s->store, &policies);
		assert_in_range(pods, 2, 64);
		assert_in_range(policies, 1, 40);
		assert_int_equal(s->n_flows, PV_MAX_FLOWS);
		most_pods = pods > most_pods ? pods : most_pods;
		most_policies = policies > most_policies ? policies : most_policies;
		nodes[s->n_nodes]++;
		lenient += s->lenient;
		check_unique(s);
		for (size_t k = 0; k < s->n_flows; k++)
			check_flow(s, &s->flows[k]);
		pv_scene_free(s);
		pv_case_free(&c);
	}
	assert_true(most_pods > 40 && most_policies > 30);
	assert_true(nodes[1] > WORLDS / 10 && nodes[2] > WORLDS / 10 && nodes[3] > WORLDS / 10);
	assert_in_range(lenient, WORLDS / 5, WORLDS / 2);
}

/* A smaller shape is kept to. Lenient worlds may have three pods more, who lie about their address. */
static void test_shape(void **state)
{
	static const struct pv_shape small = { 4, 2, 10, 1, true };
	size_t n;
	uint64_t i;

	(void)state;
	for (i = 0; i < 200; i++) {
		struct pv_scene *s;
		struct pv_case c;

		pv_generate(5, i, &small, &c);
		s = scene_of(&c);
		assert_false(s->lenient);
		assert_int_equal(s->n_nodes, 1);
		assert_int_equal(s->n_flows, 10);
		rs_store_pods(s->store, &n);
		assert_in_range(n, 2, 4);
		rs_store_policies(s->store, &n);
		assert_in_range(n, 1, 2);
		pv_scene_free(s);
		pv_case_free(&c);
	}
}

/* A folder takes every strict world: the scene decodes as a folder does and fails on a refusal. */
static void test_strict_worlds_are_admitted(void **state)
{
	uint64_t i;

	(void)state;
	for (i = 0; i < STRICT_WORLDS; i++) {
		struct pv_scene *s;
		struct pv_case c;

		pv_generate(2, i, &strict, &c);
		s = scene_of(&c);
		assert_false(s->lenient);
		pv_scene_free(s);
		pv_case_free(&c);
	}
}

static void test_both_verdicts(void **state)
{
	uint64_t i, flows = 0, allowed = 0, one_sided = 0;

	(void)state;
	for (i = 0; i < WORLDS; i++) {
		size_t here = 0;
		struct pv_scene *s;
		struct pv_case c;

		pv_generate(1, i, &whole, &c);
		s = scene_of(&c);
		for (size_t k = 0; k < s->n_flows; k++)
			here += oracle_allows(s, &s->flows[k]);
		flows += s->n_flows;
		allowed += here;
		one_sided += here == 0 || here == s->n_flows;
		pv_scene_free(s);
		pv_case_free(&c);
	}
	print_message("%.1f %% denied; %lu of %d worlds have one verdict only\n",
		      100.0 * (double)(flows - allowed) / (double)flows, (unsigned long)one_sided,
		      WORLDS);
	assert_in_range(100 * (flows - allowed) / flows, 35, 65);
	assert_true(one_sided < WORLDS / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_published_numbers),
		cmocka_unit_test(test_same_text_twice),
		cmocka_unit_test(test_copies_are_deep),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_shape),
		cmocka_unit_test(test_strict_worlds_are_admitted),
		cmocka_unit_test(test_both_verdicts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
