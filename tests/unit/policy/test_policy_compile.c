// SPDX-License-Identifier: Apache-2.0
/* What is compiled, rule by rule (ids: docs/tests.md), asked of the IR as a dataplane would. */
#include "policytest.h"

/* shop/db (local), shop/api, shop/web, other/api; an outside host is 192.0.2.1. */
#define SHOP                                                                             \
	NS("shop", "team: s")                                                            \
	NS("other", "team: o")                                                           \
	PORTS_POD("shop", "db", "app: db", "10.0.0.1",                                   \
		  "{name: sql, containerPort: 5432}, {name: sql, containerPort: 5433}, " \
		  "{name: dns, protocol: UDP, containerPort: 53}")                       \
	POD("shop", "api", "app: api", "10.0.0.2")                                       \
	POD("shop", "web", "app: web", "10.0.0.3")                                       \
	PORTS_POD("other", "api", "app: api", "10.0.0.4", "{name: sql, containerPort: 7000}")

#define DB "10.0.0.1"
#define API "10.0.0.2"
#define WEB "10.0.0.3"
#define OTHER "10.0.0.4"
#define WORLD "192.0.2.1"

static struct tw *shop(const char *policies)
{
	struct tw *t = tw_new(SHOP);

	tw_yaml(t, policies);
	tw_local(t, "shop", "db");
	tw_compile(t);
	return t;
}

#define IN(from, proto, port) tw_allows(t, from, DB, proto, port)
#define OUT(to, proto, port) tw_allows(t, DB, to, proto, port)

static void A1_isolation_is_per_direction(void **state)
{
	struct tw *t = shop(POLICY("shop", "p", "podSelector: {}, policyTypes: [Ingress]"));

	(void)state;
	assert_false(IN(API, TCP, 80));
	assert_false(IN(WORLD, ICMP, 0)); /* C23 */
	assert_true(OUT(API, TCP, 80));
	assert_true(OUT(WORLD, ICMP, 0));
	tw_free(t);
}

static void A3_rules_of_a_direction_that_is_not_a_type_are_ignored(void **state)
{
	struct tw *t = shop(POLICY("shop", "p",
				   "podSelector: {}, policyTypes: [Egress], ingress: [{from: "
				   "[{podSelector: {}}]}]"));

	(void)state;
	assert_true(IN(WORLD, TCP, 80));
	assert_false(OUT(API, TCP, 80)); /* A5 */
	tw_free(t);
}

static void A6_an_empty_rule_allows_everything(void **state)
{
	struct tw *t = shop(POLICY("shop", "p", "podSelector: {}, ingress: [{}]"));

	(void)state;
	assert_true(IN(WORLD, TCP, 80));
	assert_true(IN(WORLD, 47, 0)); /* A7, C27 */
	assert_true(IN(WORLD, ICMP, 0));
	assert_int_equal(t->ir->n_cells, 0);
	tw_free(t);
}

static void A10_policies_add_up(void **state)
{
	struct tw *t =
		shop(POLICY("shop", "a",
			    "podSelector: {}, ingress: [{from: [{podSelector: "
			    "{matchLabels: {app: api}}}], ports: [{port: 80}]}]")
			     POLICY("shop", "b",
				    "podSelector: {}, ingress: [{from: [{podSelector: {}}], ports: "
				    "[{port: 81}]}]"));

	(void)state;
	assert_true(IN(API, TCP, 80));
	assert_true(IN(API, TCP, 81));
	assert_false(IN(WEB, TCP, 80));
	assert_true(IN(WEB, TCP, 81));
	tw_free(t);
}

static void A12_only_the_own_namespace_is_subject(void **state)
{
	struct tw *t = shop(POLICY("other", "p", "podSelector: {}"));

	(void)state;
	assert_true(IN(WORLD, TCP, 80));
	tw_free(t);
}

static void B2_B3_B4_namespace_and_pod(void **state)
{
	struct tw *t = shop(POLICY(
		"shop", "p",
		"podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: "
		"o}}, podSelector: {matchLabels: {app: web}}}], ports: [{port: 1}]}, {from: "
		"[{podSelector: {matchLabels: {app: api}}}], ports: [{port: 2}]}, {from: "
		"[{namespaceSelector: {matchLabels: {team: o}}}], ports: [{port: 3}]}]"));

	(void)state;
	assert_false(IN(OTHER, TCP, 1));
	assert_false(IN(WEB, TCP, 1));
	assert_true(IN(API, TCP, 2));
	assert_false(IN(OTHER, TCP, 2));
	assert_true(IN(OTHER, TCP, 3));
	assert_false(IN(API, TCP, 3));
	tw_free(t);
}

static void B7_empty_selectors_match_pods_only(void **state)
{
	struct tw *t = shop(POLICY(
		"shop", "p", "podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]"));

	(void)state;
	assert_true(IN(OTHER, TCP, 80));
	assert_false(IN(WORLD, TCP, 80));
	tw_free(t);
}

static void B9_B27_a_peer_without_a_form_matches_nothing(void **state)
{
	struct tw *t = shop(POLICY("shop", "p", "podSelector: {}, ingress: [{from: [{}]}]"));

	(void)state;
	assert_false(IN(API, TCP, 80));
	assert_false(IN(WORLD, TCP, 80));
	assert_true(tw_condition(t, "InvalidPolicy", "shop/p spec.ingress[0].from[0]"));
	assert_non_null(t->cond.v[0].about);
	assert_string_equal(t->cond.v[0].about->ns, "shop");
	assert_string_equal(t->cond.v[0].about->name, "p");
	tw_free(t);
}

static void B11_B12_B14_ipblocks(void **state)
{
	struct tw *t = shop(
		POLICY("shop", "p",
		       "podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/24, except: "
		       "[10.0.0.2/31, 10.0.0.3/32, 10.0.0.128/25]}}], ports: [{port: 80}]}, {from: "
		       "[{ipBlock: {cidr: 10.0.0.3/32}}], ports: [{port: 80}]}]"));

	(void)state;
	assert_true(IN(OTHER, TCP, 80)); /* a pod, by its address */
	assert_false(IN(API, TCP, 80));	 /* excepted */
	assert_true(IN(WEB, TCP, 80));	 /* excepted in one rule, allowed by another */
	assert_true(IN("10.0.0.127", TCP, 80));
	assert_false(IN("10.0.0.128", TCP, 80));
	assert_false(IN("10.0.1.0", TCP, 80));
	tw_free(t);
}

static void B13_excepts_that_cover_the_block(void **state)
{
	struct tw *t = shop(POLICY("shop", "p",
				   "podSelector: {}, ingress: [{from: [{ipBlock: {cidr: "
				   "0.0.0.0/0, except: [0.0.0.0/1, 128.0.0.0/1]}}]}]"));

	(void)state;
	assert_false(IN("0.0.0.0", TCP, 80));
	assert_false(IN("255.255.255.255", TCP, 80));
	assert_int_equal(t->ir->n_ranges, 0);
	tw_free(t);
}

static void B17_B18_families(void **state)
{
	struct tw *t = tw_new(SHOP POD("shop", "six", "app: six", "fd00::1") POLICY(
		"shop", "p",
		"podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: "
		"4}]}, {from: [{ipBlock: {cidr: '::/0'}}], ports: [{port: 6}]}, {from: [{ipBlock: "
		"{cidr: '::ffff:10.0.0.0/104'}}], ports: [{port: 5}]}]"));

	(void)state;
	tw_local(t, "shop", "db");
	tw_local(t, "shop", "six");
	tw_compile(t);
	assert_true(IN(WORLD, TCP, 4));
	assert_false(IN(WORLD, TCP, 6));
	assert_false(IN("10.0.0.9", TCP, 5));
	assert_true(tw_allows(t, "2001:db8::1", "fd00::1", TCP, 6));
	assert_true(tw_allows(t, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fd00::1", TCP, 6));
	assert_false(tw_allows(t, "2001:db8::1", "fd00::1", TCP, 4));
	assert_false(tw_allows(t, "::ffff:10.0.0.9", "fd00::1", TCP, 5));
	tw_free(t);
}

static void B19_nested_prefixes_merge(void **state)
{
	struct tw *t = shop(POLICY("shop", "a",
				   "podSelector: {}, ingress: [{from: [{ipBlock: {cidr: "
				   "10.0.0.0/8}}], ports: [{port: 80}]}]")
				    POLICY("shop", "b",
					   "podSelector: {}, ingress: [{from: [{ipBlock: {cidr: "
					   "10.1.0.0/16}}], ports: [{port: 443}]}]"));

	(void)state;
	assert_true(IN("10.1.0.1", TCP, 80));
	assert_true(IN("10.1.0.1", TCP, 443));
	assert_false(IN("10.2.0.1", TCP, 443));
	tw_free(t);
}

static void B24_an_unknown_namespace_matches_nothing(void **state)
{
	struct tw *t = tw_new(SHOP POD("ghost", "g", "app: api", "10.0.0.9") POLICY(
		"shop", "p",
		"podSelector: {}, ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: "
		"x, "
		"operator: DoesNotExist}]}}]}, {from: [{namespaceSelector: {matchExpressions: "
		"[{key: "
		"team, operator: NotIn, values: [q]}]}, podSelector: {}}]}]"));

	(void)state;
	tw_local(t, "shop", "db");
	tw_compile(t);
	assert_true(IN(OTHER, TCP, 80));
	assert_false(IN("10.0.0.9", TCP, 80));
	tw_yaml(t, NS("ghost", "team: g"));
	tw_compile(t);
	assert_true(IN("10.0.0.9", TCP, 80));
	tw_free(t);
}

static void B23_A13_host_network_pods_are_no_peers(void **state)
{
	struct tw *t = tw_new(SHOP "---\nkind: Pod\napiVersion: v1\nmetadata: {name: h, namespace: "
				   "shop, labels: {app: "
				   "api}}\nspec: {hostNetwork: true, containers: []}\nstatus: "
				   "{podIP: 10.9.0.1, podIPs: "
				   "[{ip: 10.9.0.1}]}\n" POLICY(
					   "shop", "p",
					   "podSelector: {}, ingress: [{from: [{podSelector: {}}], "
					   "ports: [{port: 80}]}, {from: [{ipBlock: {cidr: "
					   "10.9.0.0/16}}], ports: [{port: 81}]}]"));

	(void)state;
	tw_local(t, "shop", "db");
	tw_compile(t);
	assert_false(IN("10.9.0.1", TCP, 80));
	assert_true(IN("10.9.0.1", TCP, 81));
	tw_free(t);
}

#define FINISHED(phase)                                                                         \
	"---\nkind: Pod\napiVersion: v1\nmetadata: {name: api, namespace: shop, labels: {app: " \
	"api}}\n"                                                                               \
	"spec: {containers: []}\nstatus: {phase: " phase ", podIP: 10.0.0.2, podIPs: [{ip: "    \
	"10.0.0.2}]}\n"

static void replace_api(struct tw *t, const char *text)
{
	rs_store_del(t->store, RS_KIND_POD, "shop", "api");
	tw_yaml(t, text);
}

static void F4_F5_finished_pods_are_no_peers_terminating_ones_are(void **state)
{
	struct tw *t = shop(
		POLICY("shop", "p", "podSelector: {}, ingress: [{from: [{podSelector: {}}]}]"));

	(void)state;
	assert_true(IN(API, TCP, 80));
	replace_api(t, FINISHED("Succeeded"));
	tw_compile(t);
	assert_false(IN(API, TCP, 80));
	replace_api(t, FINISHED("Failed"));
	tw_compile(t);
	assert_false(IN(API, TCP, 80));
	replace_api(t, "---\nkind: Pod\napiVersion: v1\nmetadata: {name: api, namespace: shop, "
		       "deletionTimestamp: '2026-01-01T00:00:00Z', labels: {app: api}}\nspec: "
		       "{containers: []}\nstatus: {phase: Running, podIPs: [{ip: 10.0.0.2}]}\n");
	tw_compile(t);
	assert_true(IN(API, TCP, 80));
	tw_free(t);
}

/* holes F13: whatever the API says or forgets, a local pod keeps its place as a subject. */
static void XF13_a_local_pod_stays_a_subject(void **state)
{
	struct tw *t = tw_new(SHOP POLICY("shop", "p",
					  "podSelector: {matchLabels: {app: api}}, "
					  "ingress: [{from: [{podSelector: {}}]}]"));
	struct rs_local_pod *api;

	(void)state;
	tw_local(t, "shop", "db");
	api = tw_local(t, "shop", "api");
	tw_compile(t);
	assert_false(tw_allows(t, WORLD, API, TCP, 80));
	api->ns = "shop";
	api->name = "api";
	replace_api(t, FINISHED("Failed"));
	api->ports = NULL;
	api->n_ports = 0;
	tw_compile(t);
	assert_false(tw_allows(t, WORLD, API, TCP, 80));
	assert_true(tw_allows(t, DB, API, TCP, 80));
	rs_store_del(t->store, RS_KIND_POD, "shop", "api");
	tw_compile(t);
	assert_false(tw_allows(t, WORLD, API, TCP, 80));
	api->closed = true; /* labels lost: nothing at all */
	tw_compile(t);
	assert_false(tw_allows(t, DB, API, TCP, 80));
	assert_false(tw_allows(t, API, WORLD, TCP, 80));
	tw_free(t);
}

static void XF13_two_claims_of_one_address(void **state)
{
	struct tw *t = tw_new(SHOP POD("other", "twin", "app: twin", "10.0.0.2") POLICY(
		"shop", "p",
		"podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: api}}}], "
		"ports: "
		"[{port: 80}, {port: 81}]}, {from: [{namespaceSelector: {}, podSelector: "
		"{matchLabels: {app: twin}}}], ports: [{port: 81}, {port: 82}]}]"));

	(void)state;
	tw_local(t, "shop", "db");
	tw_compile(t);
	assert_false(IN(API, TCP, 80));
	assert_true(IN(API, TCP, 81)); /* by different rules, but allowed for both */
	assert_false(IN(API, TCP, 82));
	assert_true(tw_condition(t, "AddressClaimedTwice", "other/twin"));
	tw_local(t, "shop", "api"); /* now the local record decides */
	tw_compile(t);
	assert_true(IN(API, TCP, 80));
	assert_false(IN(API, TCP, 82));
	assert_true(tw_condition(t, "AddressClaimedTwice", "other/twin"));
	tw_free(t);
}

static void XF13_two_local_pods_at_one_address_are_closed_there(void **state)
{
	struct tw *t = tw_new(SHOP POD("shop", "twin", "app: twin", "10.0.0.1"));

	(void)state;
	tw_local(t, "shop", "db");
	tw_local(t, "shop", "twin");
	tw_compile(t);
	assert_false(IN(API, TCP, 80));
	assert_false(OUT(API, TCP, 80));
	assert_true(tw_condition(t, "AddressClaimedTwice", "shop/twin"));
	tw_free(t);
}

static void XF13_pod_ips_count_inside_their_ranges(void **state)
{
	static const char policy[] =
		POLICY("shop", "p", "podSelector: {}, ingress: [{from: [{podSelector: {}}]}]");
	struct tw *t = shop(policy);

	(void)state;
	assert_true(IN(API, TCP, 80));
	tw_range(t, "10.0.0.0/31");
	tw_compile(t);
	assert_false(IN(API, TCP, 80));
	assert_true(tw_condition(t, "PodAddressOutsideRanges", "other/api 10.0.0.4"));
	tw_yaml(t, "---\nkind: Node\napiVersion: v1\nmetadata: {name: n1}\nspec: {podCIDR: "
		   "10.0.0.0/24, podCIDRs: [10.0.0.0/24]}\n---\nkind: Node\napiVersion: v1\n"
		   "metadata: {name: n2}\nspec: {podCIDRs: [10.1.0.0/24]}\n");
	replace_api(t,
		    "---\nkind: Pod\napiVersion: v1\nmetadata: {name: api, namespace: shop}\n"
		    "spec: {nodeName: n1, containers: []}\nstatus: {podIPs: [{ip: 10.0.0.2}]}\n");
	tw_compile(t);
	assert_true(IN(API, TCP, 80));
	replace_api(t,
		    "---\nkind: Pod\napiVersion: v1\nmetadata: {name: api, namespace: shop}\n"
		    "spec: {nodeName: n2, containers: []}\nstatus: {podIPs: [{ip: 10.0.0.2}]}\n");
	tw_compile(t);
	assert_false(IN(API, TCP, 80));
	tw_free(t);
}

static void C1_to_C9_ports(void **state)
{
	struct tw *t = shop(POLICY(
		"shop", "p",
		"podSelector: {}, ingress: [{ports: [{port: 80}, {port: 80}, {port: 9000, "
		"endPort: 9010}, {port: 9011}, {port: 9005, endPort: 9020}, {protocol: UDP}, "
		"{port: 65535}]}]"));
	struct rs_ir_profile p;

	(void)state;
	assert_true(IN(WORLD, TCP, 80));
	assert_false(IN(WORLD, SCTP, 80)); /* C4 */
	assert_true(IN(WORLD, TCP, 9000));
	assert_true(IN(WORLD, TCP, 9020));
	assert_false(IN(WORLD, TCP, 9021));
	assert_true(IN(WORLD, UDP, 1));
	assert_true(IN(WORLD, TCP, 65535)); /* C9 */
	assert_false(IN(WORLD, ICMP, 0));   /* C23 */
	p = *rs_ir_profile(t->ir, t->ir->groups[0].profile);
	assert_int_equal(p.n, 4); /* C8, C22: merged */
	tw_free(t);
}

static void C10_C16_named_ports_of_the_subject(void **state)
{
	struct tw *t = shop(POLICY(
		"shop", "p", "podSelector: {}, ingress: [{ports: [{port: sql}, {port: dns}]}]"));

	(void)state;
	assert_true(IN(API, TCP, 5432));
	assert_true(IN(API, TCP, 5433));
	assert_false(IN(API, TCP, 7000));
	assert_false(IN(API, TCP, 53)); /* C14: dns is UDP */
	assert_false(IN(API, UDP, 53));
	tw_free(t);
}

static void C11_C12_C13_named_ports_of_the_destination(void **state)
{
	struct tw *t = shop(
		POLICY("shop", "p",
		       "podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: "
		       "sql}]}]")
			POLICY("shop", "q",
			       "podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: "
			       "{cidr: 10.0.0.0/24}}], ports: [{port: sql}]}]"));

	(void)state;
	assert_true(OUT(OTHER, TCP, 7000));
	assert_false(OUT(OTHER, TCP, 5432)); /* no cross product */
	assert_false(OUT(API, TCP, 7000));
	assert_false(OUT(WORLD, TCP, 7000));
	assert_false(OUT("10.0.0.99", TCP, 7000));
	rs_store_del(t->store, RS_KIND_POLICY, "shop", "p");
	tw_compile(t);
	assert_true(OUT(OTHER, TCP, 7000)); /* C13: a pod inside the block that declares it */
	assert_false(OUT("10.0.0.99", TCP, 7000));
	tw_free(t);
}

static void D6_an_invalid_subject_isolates_its_namespace(void **state)
{
	struct tw *t = shop(POLICY("shop", "p",
				   "podSelector: {matchExpressions: [{key: a, operator: Near}]}, "
				   "ingress: [{}]"));

	(void)state;
	assert_false(IN(API, TCP, 80));
	assert_true(OUT(API, TCP, 80));
	assert_true(tw_condition(t, "InvalidPolicy", "shop/p spec.podSelector"));
	assert_true(t->cond.v[0].about && !strcmp(t->cond.v[0].about->name, "p"));
	tw_free(t);
}

static void E_2_a_pod_reaches_itself(void **state)
{
	struct tw *t = shop(POLICY("shop", "p", "podSelector: {}, policyTypes: [Ingress, Egress]"));
	struct rs_addr db = A(DB);
	struct rs_ir_verdict v;

	(void)state;
	rs_ir_eval(t->ir, &db, &db, TCP, 80, &v);
	assert_true(v.allow && v.self);
	tw_free(t);
}

/* holes F5: a local pod that no policy selects has groups all the same. */
static void XF5_every_local_address_has_both_groups(void **state)
{
	struct tw *t = shop(POLICY("other", "p", "podSelector: {}"));
	struct rs_addr db = A(DB);
	const struct rs_ir_local *l = rs_ir_local(t->ir, &db);

	(void)state;
	assert_non_null(l);
	assert_true(l->in_group && l->out_group);
	assert_int_equal(rs_ir_group(t->ir, RS_DIR_IN, l->in_group)->profile, RS_PROFILE_ALLOW);
	assert_int_equal(rs_ir_group(t->ir, RS_DIR_OUT, l->out_group)->profile, RS_PROFILE_ALLOW);
	tw_free(t);
}

/* holes F12: inside the pod ranges and held by nobody is a class of its own. */
static void XF12_unknown_pod_is_a_class(void **state)
{
	struct tw *t = tw_new(SHOP);

	(void)state;
	tw_range(t, "10.0.0.0/16");
	tw_local(t, "shop", "db");
	tw_compile(t);
	assert_int_not_equal(tw_class(t, "10.0.9.9"), RS_CLASS_WORLD);
	assert_int_equal(tw_class(t, WORLD), RS_CLASS_WORLD);
	tw_free(t);
}

/* holes F15: cells do not multiply when an ipBlock covers the pods. */
static void XF15_a_block_around_the_pods_costs_one_cell(void **state)
{
	struct tw *t = shop(
		POLICY("shop", "p",
		       "podSelector: {}, ingress: [{from: [{ipBlock: {cidr: "
		       "0.0.0.0/0}}], ports: [{port: 80}]}, {from: [{podSelector: {}}], ports: "
		       "[{port: 80}]}]")
			POLICY("shop", "q",
			       "podSelector: {}, policyTypes: [Egress], egress: [{to: "
			       "[{podSelector: {matchLabels: {app: api}}}]}, {to: [{podSelector: "
			       "{matchLabels: {app: web}}}]}]"));
	size_t i, in = 0;

	(void)state;
	for (i = 0; i < t->ir->n_cells; i++)
		in += t->ir->cells[i].dir == RS_DIR_IN;
	assert_int_equal(in, 1);
	assert_true(IN(API, TCP, 80));
	assert_true(IN(WORLD, TCP, 80));
	tw_free(t);
}

static void the_cell_budget_denies_and_says_so(void **state)
{
	struct tw *t = tw_new(SHOP POLICY(
		"shop", "p",
		"podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: api}}}], "
		"ports: "
		"[{port: 1}]}, {from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: "
		"2}]}]"));

	(void)state;
	tw_local(t, "shop", "db");
	t->w.max_cells_per_group = 2;
	tw_compile(t);
	assert_true(IN(API, TCP, 1));
	t->w.max_cells_per_group = 1;
	tw_compile(t);
	assert_false(IN(API, TCP, 1));
	assert_false(IN(WEB, TCP, 2));
	assert_true(OUT(API, TCP, 1));
	assert_int_equal(t->ir->n_cells, 0);
	assert_true(t->ir->groups[0].over_budget && t->ir->groups[0].isolated);
	assert_true(tw_condition(t, "CellBudget", "shop/p"));
	tw_free(t);
}

static void the_block_budget_denies_the_heavy_policy_only(void **state)
{
	struct tw *t = tw_new(SHOP POLICY("shop", "light",
					  "podSelector: {matchLabels: {app: api}}, "
					  "ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}]}]"));
	struct rs_strbuf b = { 0 };
	uint32_t i;

	(void)state;
	rs_strbuf_puts(&b,
		       "---\nkind: NetworkPolicy\napiVersion: networking.k8s.io/v1\nmetadata: "
		       "{name: heavy, namespace: shop}\nspec:\n  podSelector: {matchLabels: {app: "
		       "db}}\n  ingress:\n");
	for (i = 0; i < 3000; i++)
		rs_strbuf_printf(
			&b, "  - from: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.7.%u.%u/32]}}]\n",
			i >> 7, (i & 127) * 2);
	tw_yaml(t, b.s);
	rs_strbuf_free(&b);
	tw_local(t, "shop", "db");
	tw_local(t, "shop", "api");
	tw_compile(t);
	assert_true(tw_condition(t, "BlockBudget", "shop/heavy"));
	assert_false(IN(WORLD, TCP, 80));
	assert_true(tw_allows(t, WORLD, API, TCP, 80));
	assert_false(tw_allows(t, "192.0.3.1", API, TCP, 80));
	tw_free(t);
}

static void rule_ids_name_the_first_rule_that_allows(void **state)
{
	struct tw *t = shop(
		POLICY("shop", "b", "podSelector: {}, ingress: [{ports: [{port: 80}]}]")
			POLICY("shop", "a",
			       "podSelector: {}, ingress: [{from: [{podSelector: {}}], ports: "
			       "[{port: 81}]}, {from: [{podSelector: {}}], ports: [{port: 80}, "
			       "{port: 81}]}]"));
	struct rs_addr api = A(API), db = A(DB), world = A(WORLD);
	struct rs_ir_verdict v;

	(void)state;
	rs_ir_eval(t->ir, &api, &db, TCP, 80, &v);
	assert_string_equal(t->ir->rules[v.in.rule].name, "a");
	assert_int_equal(t->ir->rules[v.in.rule].index, 1);
	rs_ir_eval(t->ir, &world, &db, TCP, 80, &v);
	assert_string_equal(t->ir->rules[v.in.rule].name, "b");
	assert_int_equal(v.in.cls, RS_CLASS_WORLD);
	rs_ir_eval(t->ir, &world, &db, TCP, 81, &v);
	assert_false(v.allow);
	assert_int_equal(v.in.rule, UINT32_MAX);
	tw_free(t);
}

static void print_is_the_golden_text(void **state)
{
	struct tw *t = shop(POLICY("shop", "p",
				   "podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: "
				   "{app: api}}}], ports: [{port: 5432}, {protocol: UDP}]}]"));
	rs_autofree char *text = NULL;

	(void)state;
	text = rs_ir_print(t->ir);
	assert_string_equal(text, "addr 10.0.0.2 class 1 # shop/api\n"
				  "local 10.0.0.1 in 1 out 2 # shop/db\n"
				  "group in 1 default deny isolated by shop/p\n"
				  "group out 2 default allow open\n"
				  "cell in 1 class 1 profile 3 # tcp/5432 shop/p ingress[0]; udp "
				  "shop/p ingress[0]\n"
				  "profile allow any\n"
				  "profile deny none\n"
				  "profile 3 tcp/5432, udp\n"
				  "guard 11 10.0.0.1 mac 00:00:00:00:00:00 # rstest\n"
				  "node-range 10.0.0.1/32\n");
	tw_free(t);
}

/* Nobody but its own link may send from a pod's address, wherever the address came from. */
static void XF9_a_pod_outside_the_node_ranges_is_guarded_too(void **state)
{
	struct tw *t = shop("");
	struct rs_cidr node[2], outside;
	size_t i;

	(void)state;
	assert_int_equal(rs_cidr_parse("10.9.0.0/24", &node[0], NULL, NULL), 0);
	assert_int_equal(rs_cidr_parse("10.0.0.0/24", &node[1], NULL, NULL), 0);
	assert_int_equal(rs_cidr_parse(DB "/32", &outside, NULL, NULL), 0);
	t->w.node_ranges = node;
	t->w.n_node_ranges = 1;
	tw_compile(t);
	assert_int_equal(t->ir->n_node_ranges, 2);
	for (i = 0; i < 2 && rs_cidr_cmp(&t->ir->node_ranges[i], &outside); i++)
		;
	assert_true(i < 2);
	assert_true(tw_condition(t, "PodAddressOutsideRanges", "1 addresses of this node's pods"));
	assert_true(tw_condition(t, "PodAddressOutsideRanges", "shop/db " DB));
	t->w.n_node_ranges = 2; /* inside: the range is enough */
	tw_compile(t);
	assert_int_equal(t->ir->n_node_ranges, 2);
	assert_false(tw_condition(t, "PodAddressOutsideRanges", "shop/db"));
	t->w.n_node_ranges = 0; /* not known: nothing can be said */
	tw_compile(t);
	assert_false(tw_condition(t, "PodAddressOutsideRanges", "shop/db"));
	tw_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(A1_isolation_is_per_direction),
		cmocka_unit_test(A3_rules_of_a_direction_that_is_not_a_type_are_ignored),
		cmocka_unit_test(A6_an_empty_rule_allows_everything),
		cmocka_unit_test(A10_policies_add_up),
		cmocka_unit_test(A12_only_the_own_namespace_is_subject),
		cmocka_unit_test(B2_B3_B4_namespace_and_pod),
		cmocka_unit_test(B7_empty_selectors_match_pods_only),
		cmocka_unit_test(B9_B27_a_peer_without_a_form_matches_nothing),
		cmocka_unit_test(B11_B12_B14_ipblocks),
		cmocka_unit_test(B13_excepts_that_cover_the_block),
		cmocka_unit_test(B17_B18_families),
		cmocka_unit_test(B19_nested_prefixes_merge),
		cmocka_unit_test(B24_an_unknown_namespace_matches_nothing),
		cmocka_unit_test(B23_A13_host_network_pods_are_no_peers),
		cmocka_unit_test(F4_F5_finished_pods_are_no_peers_terminating_ones_are),
		cmocka_unit_test(XF13_a_local_pod_stays_a_subject),
		cmocka_unit_test(XF13_two_claims_of_one_address),
		cmocka_unit_test(XF13_two_local_pods_at_one_address_are_closed_there),
		cmocka_unit_test(XF13_pod_ips_count_inside_their_ranges),
		cmocka_unit_test(C1_to_C9_ports),
		cmocka_unit_test(C10_C16_named_ports_of_the_subject),
		cmocka_unit_test(C11_C12_C13_named_ports_of_the_destination),
		cmocka_unit_test(D6_an_invalid_subject_isolates_its_namespace),
		cmocka_unit_test(E_2_a_pod_reaches_itself),
		cmocka_unit_test(XF5_every_local_address_has_both_groups),
		cmocka_unit_test(XF12_unknown_pod_is_a_class),
		cmocka_unit_test(XF15_a_block_around_the_pods_costs_one_cell),
		cmocka_unit_test(the_cell_budget_denies_and_says_so),
		cmocka_unit_test(the_block_budget_denies_the_heavy_policy_only),
		cmocka_unit_test(rule_ids_name_the_first_rule_that_allows),
		cmocka_unit_test(print_is_the_golden_text),
		cmocka_unit_test(XF9_a_pod_outside_the_node_ranges_is_guarded_too),
	};

	return cmocka_run_group_tests_name("policy/compile", tests, NULL, NULL);
}
