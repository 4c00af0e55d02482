// SPDX-License-Identifier: Apache-2.0
/* Pods of other nodes as moves (moves.h), and when only a compile will do. */
#include "policytest.h"

#include "policy/claimset.h"

#define BASE                                                                             \
	NS("shop", "team: s")                                                            \
	POD("shop", "db", "app: db", "10.0.0.1")                                         \
	POD("shop", "api", "app: api", "10.0.0.2")                                       \
	POD("shop", "api2", "app: api", "10.0.0.3")                                      \
	POD("shop", "web", "app: web", "10.0.0.4")                                       \
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
	rs_compiler_committed(t->comp, t->ir);
	return t;
}

/* What moves make of the IR is what a compiler that knows nothing else makes of the world. */
static void moved(struct tw *t, size_t n, bool differs)
{
	struct rs_ir_moves m;
	struct rs_ir *whole;

	assert_true(rs_compile_moves(t->comp, &t->w, true, &m));
	assert_int_equal(m.n, n);
	assert_int_equal(m.generation, t->ir->generation + differs);
	rs_ir_apply(t->ir, &m);
	rs_compiler_moved(t->comp, &m);
	rs_ir_moves_clear(&m);
	assert_int_equal(rs_compile(t->comp, &t->w, &whole, NULL, NULL), 0);
	assert_true(rs_ir_equal(whole, t->ir));
	assert_int_equal(whole->generation, t->ir->generation);
	rs_compiler_committed(t->comp, whole);
	rs_ir_free(whole);
}

static void only_a_compile(struct tw *t, const char *why)
{
	struct rs_ir_moves m;

	if (rs_compile_moves(t->comp, &t->w, true, &m))
		fail_msg("moved: %s", why);
	/* And it stays so until there was one. */
	assert_false(rs_compile_moves(t->comp, &t->w, true, &m));
	rs_ir_free(t->ir);
	t->ir = NULL;
	tw_compile(t);
	rs_compiler_committed(t->comp, t->ir);
	moved(t, 0, false);
}

static void put(struct tw *t, const char *text)
{
	tw_yaml(t, text);
}

static void pods_that_come_go_and_change(void **state)
{
	struct tw *t = base();
	uint32_t cls;

	(void)state;
	moved(t, 0, false);
	put(t, POD("shop", "api3", "app: api", "10.0.0.9"));
	moved(t, 1, true);
	assert_true(rs_ir_class_exact(
		t->ir, &(struct rs_addr){ .family = RS_AF_IP4, .b = { 10, 0, 0, 9 } }, &cls));
	put(t, POD("shop", "api3", "app: web", "10.0.0.9"));
	moved(t, 1, true);
	rs_store_del(t->store, RS_KIND_POD, "shop", "api2");
	put(t, POD("shop", "heir", "app: api", "10.0.0.3"));
	moved(t, 1, false); /* only its name */
	rs_store_del(t->store, RS_KIND_POD, "shop", "api3");
	put(t, POD("shop", "other", "app: other", "10.0.0.77"));
	moved(t, 0, false); /* no rule sees either */
	tw_free(t);
}

#define PENDING(name, labels)                                    \
	"---\nkind: Pod\napiVersion: v1\nmetadata: {name: " name \
	", namespace: shop, labels: {" labels "}}\nstatus: {phase: Pending}\n"
#define FINISHED(name, labels, ip)                                                               \
	"---\nkind: Pod\napiVersion: v1\nmetadata: {name: " name                                 \
	", namespace: shop, labels: {" labels "}}\nstatus: {phase: Succeeded, podIPs: [{ip: " ip \
	"}]}\n"

/* Expected alone, compiled; then it hangs here with that address. */
static void come(struct tw *t, struct rs_local_pod *room, const char *name, const char *ip)
{
	struct rs_local_pod *l;
	struct rs_addr a = A(ip);

	t->w.n_expected = 0;
	tw_expect(t, room, "shop", name);
	only_a_compile(t, "it is expected");
	t->w.n_expected = 0;
	l = tw_local(t, "shop", name);
	free((void *)(uintptr_t)l->ips);
	l->ips = rs_memdup(&a, sizeof(a));
	l->n_ips = 1;
	t->w.n_sorted = t->w.n_locals;
}

/* Names that sort in the order in which they come, behind "db". */
static void pods_that_were_expected_come_by_moves(void **state)
{
	struct rs_cidr node = C("10.0.0.0/24");
	struct rs_local_pod room[1];
	struct tw *t = base();
	struct rs_ir_moves m;

	(void)state;
	t->w.node_ranges = &node;
	t->w.n_node_ranges = 1;
	put(t, POLICY("shop", "b", "podSelector: {matchLabels: {app: e}}, ingress: []"));
	put(t, PENDING("e1", "app: e") PENDING("e2", "app: e") PENDING("e3", "app: e")
		       PENDING("e4", "app: e"));
	come(t, room, "e1", "10.0.0.21");
	put(t, PENDING("e1", "app: e"));
	assert_true(tw_allows(t, "10.0.0.2", "10.0.0.21", RS_PROTO_TCP, 80));
	moved(t, 0, true); /* no rule names it as a peer: it has no class */
	assert_false(tw_allows(t, "10.0.0.2", "10.0.0.21", RS_PROTO_TCP, 80));
	put(t, POD("shop", "e1", "app: e", "10.0.0.21"));
	moved(t, 0, false); /* the kubelet tells of its address */
	put(t, FINISHED("e1", "app: e", "10.0.0.21"));
	only_a_compile(t, "it has finished");

	put(t, POLICY("shop", "b",
		      "podSelector: {matchLabels: {app: e}}, ingress: [{from: [{podSelector: "
		      "{matchLabels: {app: e}}}]}]"));
	come(t, room, "e2", "10.0.0.22");
	moved(t, 1, true); /* the first of a class that was made for it */
	assert_false(tw_allows(t, "10.0.0.2", "10.0.0.22", RS_PROTO_TCP, 80));
	come(t, room, "e3", "10.0.0.23");
	assert_false(rs_compile_moves(t->comp, &t->w, false, &m));
	rs_ir_free(t->ir);
	t->ir = NULL;
	tw_compile(t);
	rs_compiler_committed(t->comp, t->ir);
	come(t, room, "e4", "192.0.2.1");
	only_a_compile(t, "an address that is not the node's");
	tw_free(t);
}

static void pods_that_were_expected_otherwise_do_not(void **state)
{
	struct rs_cidr node = C("10.0.0.0/24");
	struct rs_local_pod room[1];
	struct tw *t = base();

	(void)state;
	t->w.node_ranges = &node;
	t->w.n_node_ranges = 1;
	put(t, PENDING("e1", "app: e") PENDING("e3", "app: e"));
	come(t, room, "e1", "10.0.0.21");
	t->locals[1].closed = true;
	only_a_compile(t, "it is closed");
	t->locals[1].closed = false;
	only_a_compile(t, "it is open");
	put(t, POD("shop", "e2", "app: e", "10.0.0.66"));
	come(t, room, "e2", "10.0.0.22");
	only_a_compile(t, "its object has an address, of another sandbox");
	come(t, room, "e3", "10.0.0.23");
	put(t, PENDING("e3", "app: db"));
	only_a_compile(t, "its object has changed");
	put(t, PENDING("e4", "app: e"));
	come(t, room, "e4", "10.0.0.1");
	only_a_compile(t, "another pod's address");
	tw_free(t);
}

static void a_pod_that_is_expected_is_compiled(void **state)
{
	struct tw *t = base();
	struct rs_local_pod room[2];

	(void)state;
	put(t, POD("other", "new", "app: new", "10.0.0.20"));
	moved(t, 0, false);
	tw_expect(t, room, "other", "new");
	only_a_compile(t, "it is expected");
	put(t, POLICY("other", "deny", "podSelector: {}, ingress: []"));
	only_a_compile(t, "a policy selects it");
	t->w.n_expected = 0;
	only_a_compile(t, "it is not expected any more");
	tw_free(t);
}

static void what_only_a_compile_can_do(void **state)
{
	struct tw *t = base();

	(void)state;
	/* Another policy; a pod of this node; a namespace; an address that two claim. */
	put(t, POLICY("shop", "b", "podSelector: {}, ingress: []"));
	only_a_compile(t, "a policy");
	t->locals[0].closed = true;
	only_a_compile(t, "a pod of this node");
	t->locals[0].closed = false;
	only_a_compile(t, "the same");
	put(t, NS("shop", "team: other"));
	only_a_compile(t, "a namespace");
	put(t, POD("shop", "thief", "app: api", "10.0.0.2"));
	only_a_compile(t, "two claim");
	rs_store_del(t->store, RS_KIND_POD, "shop", "thief");
	only_a_compile(t, "one of two goes");
	/* The last of its class; an address outside the ranges. */
	rs_store_del(t->store, RS_KIND_POD, "shop", "api2");
	moved(t, 1, true);
	rs_store_del(t->store, RS_KIND_POD, "shop", "api");
	only_a_compile(t, "the last of a class");
	put(t, POD("shop", "out", "app: web", "192.0.2.1"));
	only_a_compile(t, "outside");
	/* Moves that were not committed, and locals that are others. */
	put(t, POD("shop", "late", "app: web", "10.0.0.12"));
	{
		struct rs_ir_moves m;

		assert_true(rs_compile_moves(t->comp, &t->w, true, &m));
		rs_ir_moves_clear(&m);
	}
	only_a_compile(t, "not committed");
	t->locals[0].closed = true;
	only_a_compile(t, "other locals");
	tw_free(t);
}

static void policies_that_select_nobody_here(void **state)
{
	struct tw *t = base();

	(void)state;
	put(t, POLICY("shop", "b", "podSelector: {matchLabels: {app: web}}, ingress: []"));
	moved(t, 0, false);
	put(t, POLICY("shop", "b", "podSelector: {matchLabels: {app: api}}, ingress: [{}]"));
	put(t, POLICY("else", "c", "podSelector: {}, ingress: []"));
	put(t, POD("shop", "api3", "app: api", "10.0.0.9"));
	moved(t, 1, true);
	rs_store_del(t->store, RS_KIND_POLICY, "shop", "b");
	moved(t, 0, false);
	/* Of two changes at once the first one counts, too, and so does the last. */
	put(t, POLICY("shop", "b", "podSelector: {matchLabels: {app: db}}, ingress: []"));
	put(t, POLICY("shop", "b", "podSelector: {matchLabels: {app: web}}, ingress: []"));
	only_a_compile(t, "it came and went over to others");
	put(t, POLICY("shop", "b", "podSelector: {matchLabels: {app: db}}, ingress: []"));
	only_a_compile(t, "a policy of a pod of this node");
	rs_store_del(t->store, RS_KIND_POLICY, "shop", "b");
	only_a_compile(t, "it goes");
	put(t, POLICY("shop", "b", "podSelector: {matchExpressions: [{key: app, operator: In}]}"));
	only_a_compile(t, "a selector that is not valid isolates the namespace");
	t->locals[0].closed = true;
	only_a_compile(t, "other locals");
	rs_store_del(t->store, RS_KIND_POLICY, "shop", "b");
	moved(t, 0, false); /* a closed pod has no policies */
	tw_free(t);
}

/* What a stamp stands for is not read as long as it is the same; what is no pointer always is. */
static void a_stamp_stands_for_what_is_pointed_to(void **state)
{
	struct tw *t = base();
	struct rs_labels *l = (struct rs_labels *)(void *)(uintptr_t)t->locals[0].labels;

	(void)state;
	assert_int_not_equal(rs_local_stamp(), rs_local_stamp());
	t->locals[0].stamp = rs_local_stamp();
	only_a_compile(t, "it has a stamp now");
	rs_labels_set(l, "more", "z");
	moved(t, 0, false);
	t->locals[0].stamp = rs_local_stamp();
	only_a_compile(t, "another stamp");
	t->locals[0].ifindex++;
	only_a_compile(t, "the same stamp, another link");
	t->locals[0].mac[5]++;
	only_a_compile(t, "the same stamp, another address of the link");
	t->locals[0].closed = true;
	only_a_compile(t, "the same stamp, closed");
	t->locals[0].stamp = 0;
	only_a_compile(t, "no stamp any more");
	rs_labels_set(l, "more", "y");
	only_a_compile(t, "no stamp, other labels");
	tw_free(t);
}

static bool has_class(const struct tw *t, uint8_t last)
{
	struct rs_addr a = { .family = RS_AF_IP4, .b = { 10, 0, 0, last } };
	uint32_t cls;

	return rs_ir_class_exact(t->ir, &a, &cls);
}

static void change(struct tw *t, const char *text)
{
	put(t, text);
	rs_ir_free(t->ir);
	t->ir = NULL;
	tw_compile(t);
	rs_compiler_committed(t->comp, t->ir);
}

/* What a compile takes over from the one before it: nothing that a change could have touched. */
static void what_a_pod_was_is_not_what_it_is(void **state)
{
	struct tw *t = base();

	(void)state;
	put(t, "apiVersion: v1\nkind: Pod\nmetadata: {namespace: shop, name: http, labels: {app: "
	       "http}}\nspec: {containers: [{name: c, ports: [{name: http, containerPort: "
	       "8080}]}]}\nstatus: {podIP: 10.0.0.5}\n");
	change(t, NS("other", "team: o") POD("other", "far", "app: far", "10.0.0.6"));
	assert_true(has_class(t, 2) && has_class(t, 3) && !has_class(t, 4) && !has_class(t, 5));
	/* A selector that is new reaches pods that have not changed. */
	change(t, POLICY("shop", "b",
			 "podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: "
			 "web}}}]}]"));
	assert_true(has_class(t, 2) && has_class(t, 4) && !has_class(t, 5) && !has_class(t, 6));
	/* A namespace's labels do. */
	change(t, POLICY("shop", "b",
			 "podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: "
			 "{team: x}}}]}]"));
	assert_true(has_class(t, 2) && !has_class(t, 4) && !has_class(t, 6));
	change(t, NS("other", "team: x"));
	assert_true(has_class(t, 2) && !has_class(t, 4) && has_class(t, 6));
	/* So does the name of a port. */
	change(t,
	       POLICY("shop", "b",
		      "podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: http}]}]"));
	assert_true(has_class(t, 2) && has_class(t, 5) && !has_class(t, 6));
	rs_store_del(t->store, RS_KIND_POLICY, "shop", "b");
	change(t, POD("shop", "web", "app: api", "10.0.0.4"));
	assert_true(has_class(t, 2) && has_class(t, 4) && !has_class(t, 5));
	tw_free(t);
}

static void claims_are_counted(void **state)
{
	struct rs_claimset s = { 0 };

	(void)state;
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 5000; i++) {
			struct rs_addr a = { .family = RS_AF_IP4 };

			memcpy(a.b, &i, 4);
			assert_int_equal(rs_claimset_add(&s, &a), 1);
			if (i % 3 == 0)
				assert_int_equal(rs_claimset_add(&s, &a), 2);
		}
		for (uint32_t i = 0; i < 5000; i++) {
			struct rs_addr a = { .family = RS_AF_IP4 };

			memcpy(a.b, &i, 4);
			assert_int_equal(rs_claimset_count(&s, &a), i % 3 ? 1 : 2);
			assert_int_equal(rs_claimset_remove(&s, &a), i % 3 ? 0 : 1);
			if (i % 3 == 0)
				assert_int_equal(rs_claimset_remove(&s, &a), 0);
			assert_int_equal(rs_claimset_count(&s, &a), 0);
		}
		assert_int_equal(s.n, 0);
	}
	rs_claimset_free(&s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(pods_that_come_go_and_change),
		cmocka_unit_test(a_pod_that_is_expected_is_compiled),
		cmocka_unit_test(pods_that_were_expected_come_by_moves),
		cmocka_unit_test(pods_that_were_expected_otherwise_do_not),
		cmocka_unit_test(what_only_a_compile_can_do),
		cmocka_unit_test(policies_that_select_nobody_here),
		cmocka_unit_test(a_stamp_stands_for_what_is_pointed_to),
		cmocka_unit_test(what_a_pod_was_is_not_what_it_is),
		cmocka_unit_test(claims_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
