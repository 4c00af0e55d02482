// SPDX-License-Identifier: Apache-2.0
/* What people are told: explanations, nearest misses, effective rules. */
#include "policytest.h"

#include <errno.h>

#define SHOP                                                                                      \
	NS("shop", "team: s")                                                                     \
	NS("other", "team: o")                                                                    \
	PORTS_POD("shop", "db", "app: db", "10.0.0.1", "{name: sql, containerPort: 5432}")        \
	POD("shop", "api", "app: api", "10.0.0.2")                                                \
	POD("shop", "web", "app: web", "10.0.0.3")                                                \
	POD("other", "six", "app: six", "fd00::6")                                                \
	POLICY("shop", "db-allow-api",                                                            \
	       "podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress, Egress], ingress: " \
	       "[{from: [{podSelector: {matchLabels: {app: api}}}], ports: [{port: sql}]}, "      \
	       "{from: "                                                                          \
	       "[{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.128/25]}}]}]")

static struct tw *shop(void)
{
	struct tw *t = tw_new(SHOP);

	tw_local(t, "shop", "db");
	tw_local(t, "shop", "web");
	tw_compile(t);
	return t;
}

static struct rs_flow_end pod(const char *ns, const char *name)
{
	return (struct rs_flow_end){ .ns = ns, .name = name };
}

static struct rs_explanation *ask(struct tw *t, struct rs_flow_end src, struct rs_flow_end dst,
				  uint8_t proto, uint16_t port)
{
	struct rs_flow f = { src, dst, proto, port };
	struct rs_explanation *x;
	rs_auto_err err = { 0 };

	if (rs_explain(&t->w, t->ir, &f, &x, &err) < 0)
		fail_msg("%s", rs_err_str(&err));
	return x;
}

static int refusal(struct tw *t, struct rs_flow_end src, struct rs_flow_end dst, const char *says)
{
	struct rs_flow f = { src, dst, TCP, 80 };
	struct rs_explanation *x;
	rs_auto_err err = { 0 };
	int rc = rs_explain(&t->w, t->ir, &f, &x, &err);

	assert_true(rc < 0);
	assert_null(x);
	assert_non_null(strstr(rs_err_str(&err), says));
	return rc;
}

static void an_allowed_flow_names_its_rule(void **state)
{
	struct tw *t = shop();
	struct rs_explanation *x = ask(t, pod("shop", "api"), pod("shop", "db"), TCP, 5432);

	(void)state;
	assert_int_equal(x->verdict, RS_VERDICT_ALLOW);
	assert_false(x->egress.known); /* api lives elsewhere */
	assert_string_equal(x->ingress.rule, "shop/db-allow-api spec.ingress[0]");
	assert_non_null(strstr(x->ingress.where, "world.yaml:"));
	assert_string_equal(x->ingress.isolated_by[0], "shop/db-allow-api");
	assert_non_null(strstr(x->note, "shop/api is on another node"));
	rs_explanation_free(x);
	tw_free(t);
}

static void a_denied_peer_names_the_nearest_miss(void **state)
{
	struct tw *t = shop();
	struct rs_explanation *x = ask(t, pod("shop", "web"), pod("shop", "db"), TCP, 5432);

	(void)state;
	assert_int_equal(x->verdict, RS_VERDICT_DENY);
	assert_string_equal(x->denied_at, "ingress of shop/db");
	assert_int_equal(x->egress.verdict, RS_VERDICT_ALLOW);
	assert_string_equal(x->egress.reason, "no policy isolates its egress");
	assert_string_equal(x->ingress.reason, "isolated by shop/db-allow-api; none of its rules "
					       "allows tcp/5432 from shop/web");
	assert_string_equal(x->ingress.miss_rule, "shop/db-allow-api spec.ingress[0]");
	assert_string_equal(x->ingress.miss_ports, "tcp/5432 matches");
	assert_string_equal(x->ingress.miss_peers,
			    "podSelector app=api does NOT match: the pod has app=web");
	assert_string_equal(x->ingress.miss_hint,
			    "label shop/web so that app=api matches it, or add a peer that matches "
			    "shop/web to shop/db-allow-api spec.ingress[0].from");
	assert_null(x->ingress.rule);
	rs_explanation_free(x);
	tw_free(t);
}

static void a_denied_port_names_the_nearest_miss(void **state)
{
	struct tw *t = shop();
	struct rs_explanation *x;

	(void)state;
	rs_store_del(t->store, RS_KIND_POLICY, "shop", "db-allow-api");
	tw_yaml(t, POLICY("shop", "p",
			  "podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: "
			  "{app: web}}}], ports: [{port: 1}, {port: nope}]}]"));
	tw_compile(t);
	x = ask(t, pod("shop", "web"), pod("shop", "db"), TCP, 5433);
	assert_string_equal(x->ingress.miss_ports, "tcp/5433 is not among tcp/1,tcp/nope; shop/db "
						   "declares no port named nope");
	assert_string_equal(x->ingress.miss_peers, "shop/web matches");
	assert_non_null(strstr(x->ingress.reason, "allows tcp/5433 from shop/web"));
	assert_string_equal(x->ingress.miss_hint, "add tcp/5433 to shop/p spec.ingress[0].ports");
	rs_explanation_free(x);
	x = ask(t, pod("shop", "web"), pod("shop", "db"), ICMP, 0);
	assert_non_null(
		strstr(x->ingress.miss_hint, "icmp is allowed only by a rule without ports"));
	rs_explanation_free(x);
	tw_free(t);
}

static void outside_addresses(void **state)
{
	struct tw *t = shop();
	struct rs_flow_end in = { .addr = A("192.0.2.7") }, out = { .addr = A("192.0.2.200") };
	struct rs_explanation *x = ask(t, in, pod("shop", "db"), TCP, 9);

	(void)state;
	assert_int_equal(x->verdict, RS_VERDICT_ALLOW);
	assert_string_equal(x->ingress.rule, "shop/db-allow-api spec.ingress[1]");
	rs_explanation_free(x);
	x = ask(t, out, pod("shop", "db"), TCP, 9);
	assert_string_equal(x->ingress.miss_peers,
			    "ipBlock 192.0.2.0/24 does NOT match 192.0.2.200: it "
			    "lies in the except 192.0.2.128/25");
	assert_string_equal(x->ingress.miss_hint, "add an ipBlock that holds 192.0.2.200 to "
						  "shop/db-allow-api spec.ingress[1].from");
	rs_explanation_free(x);
	/* An address of a pod is that pod. */
	in.addr = A("10.0.0.3");
	x = ask(t, in, pod("shop", "db"), TCP, 9);
	assert_string_equal(x->denied_at, "ingress of shop/db");
	assert_true(x->egress.known);
	rs_explanation_free(x);
	tw_free(t);
}

static void E_14_E_16_the_node_itself(void **state)
{
	struct tw *t = shop();
	struct rs_flow_end node = { .node = true };
	struct rs_explanation *x = ask(t, node, pod("shop", "db"), TCP, 1);

	(void)state;
	assert_int_equal(x->verdict, RS_VERDICT_ALLOW);
	assert_non_null(strstr(x->ingress.reason, "this node itself"));
	rs_explanation_free(x);
	assert_int_equal(refusal(t, pod("shop", "db"), node, "say which address"), -EINVAL);
	node.addr = A("172.16.0.1");
	x = ask(t, pod("shop", "db"), node, TCP, 10250);
	assert_string_equal(x->denied_at, "egress of shop/db");
	assert_string_equal(x->egress.reason, "isolated by shop/db-allow-api, without any egress "
					      "rule: a policy is needed that allows tcp/10250 to "
					      "this node");
	assert_non_null(strstr(x->ingress.reason, "no policy guards the node"));
	assert_null(x->egress.miss_rule);
	rs_explanation_free(x);
	x = ask(t, pod("shop", "web"), node, TCP, 10250);
	assert_int_equal(x->verdict, RS_VERDICT_ALLOW);
	rs_explanation_free(x);
	tw_free(t);
}

static void E_2_self(void **state)
{
	struct tw *t = shop();
	struct rs_explanation *x = ask(t, pod("shop", "db"), pod("shop", "db"), TCP, 1);

	(void)state;
	assert_int_equal(x->verdict, RS_VERDICT_ALLOW);
	assert_non_null(strstr(x->note, "itself"));
	assert_non_null(strstr(x->egress.reason, "itself"));
	rs_explanation_free(x);
	tw_free(t);
}

static void questions_without_an_answer(void **state)
{
	struct tw *t = shop();
	struct rs_flow_end wrong = pod("shop", "db");

	(void)state;
	assert_int_equal(refusal(t, pod("shop", "nobody"), pod("shop", "db"), "no pod shop/nobody"),
			 -ENOENT);
	assert_int_equal(refusal(t, pod("shop", "db"), pod("other", "six"), "same family"),
			 -EAFNOSUPPORT);
	wrong.addr = A("10.9.9.9");
	assert_int_equal(refusal(t, wrong, pod("shop", "web"), "does not hold 10.9.9.9"),
			 -EADDRNOTAVAIL);
	tw_free(t);
}

static void rules_in_force_that_differ_are_an_error(void **state)
{
	struct tw *t = shop();

	(void)state;
	rs_store_del(t->store, RS_KIND_POLICY, "shop", "db-allow-api"); /* and not compiled */
	assert_int_equal(refusal(t, pod("shop", "web"), pod("shop", "db"), "by the objects"),
			 -EUCLEAN);
	tw_free(t);
}

static void over_budget_is_said(void **state)
{
	struct tw *t = shop();
	struct rs_explanation *x;

	(void)state;
	t->w.max_cells_per_group = 1;
	tw_compile(t);
	x = ask(t, pod("shop", "api"), pod("shop", "db"), TCP, 5432);
	assert_int_equal(x->verdict, RS_VERDICT_DENY);
	assert_non_null(strstr(x->ingress.reason, "more cells"));
	rs_explanation_free(x);
	tw_free(t);
}

static void effective_rules(void **state)
{
	struct tw *t = shop();
	struct rs_effective_rules *r;
	rs_auto_err err = { 0 };

	(void)state;
	assert_int_equal(rs_effective_rules(&t->w, "shop", "db", &r, &err), 0);
	assert_true(r->isolated[RS_INGRESS] && r->isolated[RS_EGRESS]);
	assert_int_equal(r->n, 2);
	assert_string_equal(r->v[0].peers, "ns/shop pods app=api (1 pod)");
	assert_string_equal(r->v[0].ports, "tcp/sql");
	assert_string_equal(r->v[0].source, "shop/db-allow-api");
	assert_false(r->v[0].allows_nothing);
	assert_string_equal(r->v[1].peers, "192.0.2.0/24 except 192.0.2.128/25");
	assert_string_equal(r->v[1].ports, "any");
	rs_effective_rules_free(r);
	t->locals[0].n_ports = 0;
	assert_int_equal(rs_effective_rules(&t->w, "shop", "db", &r, &err), 0);
	assert_true(r->v[0].allows_nothing);
	rs_effective_rules_free(r);
	assert_int_equal(rs_effective_rules(&t->w, "shop", "web", &r, &err), 0);
	assert_false(r->isolated[RS_INGRESS] || r->isolated[RS_EGRESS] || r->n);
	rs_effective_rules_free(r);
	assert_int_equal(rs_effective_rules(&t->w, "shop", "nobody", &r, &err), -ENOENT);
	tw_free(t);
}

/* failures: no text of an object steers a terminal. */
static void hostile_names_are_escaped(void **state)
{
	struct tw *t = tw_new(NULL);
	struct rs_pod *p = rs_new(struct rs_pod);
	struct rs_explanation *x;
	struct rs_flow f = { .src.node = true, .src.addr = A("10.0.0.1"), .proto = TCP };

	(void)state;
	p->meta.ns = rs_strdup("shop");
	p->meta.name = rs_strdup("\033[2Jx");
	p->ips = rs_memdup(&f.src.addr, sizeof(f.src.addr));
	p->n_ips = 1;
	rs_store_put_pod(t->store, p);
	f.src.node = false;
	f.dst = pod("shop", "\033[2Jx");
	f.src.addr = A("10.0.0.9");
	tw_local(t, "shop", "\033[2Jx");
	t->locals[0].closed = true;
	assert_int_equal(rs_explain(&t->w, NULL, &f, &x, NULL), 0);
	assert_null(strchr(x->denied_at, '\033'));
	assert_null(strchr(x->ingress.reason, '\033'));
	rs_explanation_free(x);
	tw_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_allowed_flow_names_its_rule),
		cmocka_unit_test(a_denied_peer_names_the_nearest_miss),
		cmocka_unit_test(a_denied_port_names_the_nearest_miss),
		cmocka_unit_test(outside_addresses),
		cmocka_unit_test(E_14_E_16_the_node_itself),
		cmocka_unit_test(E_2_self),
		cmocka_unit_test(questions_without_an_answer),
		cmocka_unit_test(rules_in_force_that_differ_are_an_error),
		cmocka_unit_test(over_budget_is_said),
		cmocka_unit_test(effective_rules),
		cmocka_unit_test(hostile_names_are_escaped),
	};

	return cmocka_run_group_tests_name("policy/explain", tests, NULL, NULL);
}
