// SPDX-License-Identifier: Apache-2.0
/* When a compile takes classes over from the one before (reclass.h), and when moves are enough (moves.h). */
#include "policytest.h"

#define BASE                                                                             \
	NS("shop", "team: s")                                                            \
	NS("far", "team: f")                                                             \
	POD("shop", "db", "app: db", "10.0.0.1")                                         \
	POD("shop", "api", "app: api", "10.0.0.2")                                       \
	POD("shop", "web", "app: web", "10.0.0.3")                                       \
	POD("far", "x", "app: x", "10.0.0.4")                                            \
	POLICY("shop", "a",                                                              \
	       "podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: " \
	       "{matchLabels: {app: api}}}]}]")

static struct tw *base(void)
{
	struct tw *t = tw_new(BASE);

	tw_local(t, "shop", "db");
	tw_range(t, "10.0.0.0/16");
	for (int k = 0; k < RS_KINDS; k++)
		rs_store_set_synced(t->store, (enum rs_kind)k, true);
	tw_compile(t);
	return t;
}

static void quick(struct tw *t, bool yes, const char *what)
{
	uint64_t before = rs_compiler_quick(t->comp);

	tw_compile(t);
	if ((rs_compiler_quick(t->comp) > before) != yes)
		fail_msg("%s: %s", what, yes ? "looked at all pods" : "did not look at all pods");
}

static void by_moves(struct tw *t, const char *what, bool moves)
{
	struct rs_ir_moves m;

	if (rs_compile_moves(t->comp, &t->w, true, &m) != moves)
		fail_msg("%s: %s", what, moves ? "no moves" : "moves");
	if (moves)
		rs_compiler_moved(t->comp, &m);
	rs_ir_moves_clear(&m);
}

static void what_is_quick_and_what_is_not(void **state)
{
	struct tw *t = base();

	(void)state;
	assert_true(tw_class(t, "10.0.0.2") != tw_class(t, "10.0.0.3"));
	tw_yaml(t, POLICY("shop", "b",
			  "podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: "
			  "web}}}]}]"));
	quick(t, true, "a policy");
	assert_true(tw_allows(t, "10.0.0.3", "10.0.0.1", TCP, 80));
	assert_false(tw_allows(t, "10.0.0.4", "10.0.0.1", TCP, 80));
	tw_yaml(t, POLICY("shop", "b",
			  "podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: "
			  "{team: f}}}]}]"));
	quick(t, true, "it is about another namespace now");
	assert_false(tw_allows(t, "10.0.0.3", "10.0.0.1", TCP, 80));
	assert_true(tw_allows(t, "10.0.0.4", "10.0.0.1", TCP, 80));
	tw_yaml(t, NS("far", "team: f, more: m"));
	quick(t, false, "a namespace");
	tw_local(t, "shop", "api");
	quick(t, true, "a pod of this node comes");
	t->w.n_locals--;
	quick(t, true, "and goes");
	t->w.n_locals++; /* for tw_free() */
	quick(t, true, "and comes");
	tw_yaml(t, POD("far", "thief", "app: x", "10.0.0.4"));
	quick(t, false, "two claim an address");
	tw_yaml(t, POLICY("shop", "b", "podSelector: {}, ingress: []"));
	quick(t, true, "that nobody looks at");
	rs_store_del(t->store, RS_KIND_POD, "far", "thief");
	quick(t, false, "one of them goes");
	tw_yaml(t, POD("far", "out", "app: x", "192.0.2.1"));
	quick(t, false, "an address outside");
	tw_yaml(t, POLICY("shop", "b",
			  "podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: "
			  "http}]}]"));
	quick(t, false, "the name of a port");
	tw_yaml(t, POLICY("shop", "b", "podSelector: {}, ingress: [{}]"));
	quick(t, true, "and away with it");
	by_moves(t, "nothing has changed", true);
	rs_store_del(t->store, RS_KIND_POD, "shop", "api");
	by_moves(t, "a pod of this node loses its object", false);
	quick(t, true, "which changes little");
	tw_yaml(t, POLICY("shop", "b",
			  "podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: "
			  "solo}}}]}]"));
	quick(t, true, "a peer that nobody is");
	tw_yaml(t, POD("shop", "solo", "app: solo", "10.0.0.7"));
	by_moves(t, "a class that is new", false);
	quick(t, true, "its first pod");
	rs_store_del(t->store, RS_KIND_POD, "shop", "solo");
	by_moves(t, "the last of its class goes", false);
	quick(t, true, "and the class with it");
	tw_yaml(t, POD("shop", "api3", "app: api", "10.0.0.8")
			   POD("far", "twin", "app: x", "10.0.0.4"));
	by_moves(t, "one of two that come claims another's address", false);
	quick(t, false, "which all have to be looked at for");
	rs_store_del(t->store, RS_KIND_POD, "far", "twin");
	quick(t, false, "and again when it goes");
	tw_range(t, "10.1.0.0/16");
	quick(t, false, "pod ranges");
	tw_free(t);
}

/* What was compiled and never committed is nothing to start from. */
static void what_is_in_force_counts(void **state)
{
	struct tw *t = base();

	(void)state;
	tw_yaml(t, POLICY("shop", "b", "podSelector: {}, ingress: []"));
	rs_ir_free(tw_compile_only(t));
	quick(t, false, "not committed");
	quick(t, true, "committed");
	tw_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_quick_and_what_is_not),
		cmocka_unit_test(what_is_in_force_counts),
	};

	return cmocka_run_group_tests_name("policy/quick", tests, NULL, NULL);
}
