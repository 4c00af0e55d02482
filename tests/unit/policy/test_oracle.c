// SPDX-License-Identifier: Apache-2.0
/*
 * The oracle on small clusters, one rule of the NetworkPolicy semantics a test. Expectations are
 * written from the API text; the compiler is not asked here.
 */
#include "policytest.h"

#define WEB POD("shop", "web", "app: web", "10.0.0.1")
#define DB POD("shop", "db", "app: db", "10.0.0.2")
#define OTHER POD("other", "web", "app: web", "10.0.0.3")
#define BASE NS("shop", "team: shop") NS("other", "team: other") WEB DB OTHER
#define OUTSIDE "192.0.2.10"
#define INGRESS(spec) POLICY("shop", "p", "podSelector: {matchLabels: {app: db}}, " spec)
#define WEB_IP "10.0.0.1"
#define DB_IP "10.0.0.2"
#define OTHER_IP "10.0.0.3"

static bool verdict(const struct tw *t, const char *src, const char *dst, uint8_t proto,
		    uint16_t port)
{
	struct rs_flow f = { .proto = proto, .port = port };

	f.src.addr = A(src);
	f.dst.addr = A(dst);
	return rs_oracle(&t->w, &f) == RS_VERDICT_ALLOW;
}

#define allows(t, s, d, proto, port) assert_true(verdict(t, s, d, proto, port))
#define denies(t, s, d, proto, port) assert_false(verdict(t, s, d, proto, port))

/* Each test is its objects and its lines; the cluster is made and freed around it. */
#define ORACLE_TEST(name, objects)              \
	static void name##_body(struct tw *t);  \
	static void name(void **unused)         \
	{                                       \
		struct tw *t = tw_new(objects); \
                                                \
		(void)unused;                   \
		name##_body(t);                 \
		tw_free(t);                     \
	}                                       \
	static void name##_body(struct tw *t)

ORACLE_TEST(no_policy_allows_everything, BASE)
{
	allows(t, WEB_IP, DB_IP, TCP, 80);
	allows(t, OUTSIDE, DB_IP, ICMP, 0);
	allows(t, DB_IP, OUTSIDE, 47, 0);
	allows(t, OUTSIDE, "192.0.2.11", TCP, 80);
}

ORACLE_TEST(A1_isolation_is_per_direction, BASE INGRESS("policyTypes: [Ingress]"))
{
	denies(t, WEB_IP, DB_IP, TCP, 80);
	allows(t, DB_IP, WEB_IP, TCP, 80);
}

ORACLE_TEST(A3_egress_type_ignores_ingress, BASE INGRESS("policyTypes: [Egress], ingress: []"))
{
	allows(t, WEB_IP, DB_IP, TCP, 80);
	denies(t, DB_IP, WEB_IP, TCP, 80);
}

ORACLE_TEST(A10_policies_add_up,
	    BASE INGRESS("ingress: [{ports: [{port: 80}]}]")
		    POLICY("shop", "q", "podSelector: {}, ingress: [{ports: [{port: 81}]}]"))
{
	allows(t, WEB_IP, DB_IP, TCP, 80);
	allows(t, WEB_IP, DB_IP, TCP, 81);
	denies(t, WEB_IP, DB_IP, TCP, 82);
	denies(t, DB_IP, WEB_IP, TCP, 80);
}

ORACLE_TEST(A12_subjects_of_own_namespace, BASE POLICY("shop", "p", "policyTypes: [Ingress]"))
{
	denies(t, OTHER_IP, WEB_IP, TCP, 80);
	allows(t, WEB_IP, OTHER_IP, TCP, 80);
}

ORACLE_TEST(
	A13_host_network_is_neither_subject_nor_peer, BASE
	"---\napiVersion: v1\nkind: Pod\nmetadata: {name: h, namespace: shop, labels: {app: web}}\n"
	"spec: {hostNetwork: true}\nstatus: {podIPs: [{ip: 192.0.2.1}]}\n" INGRESS(
		"ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]")
		POLICY("shop", "q",
		       "podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]"))
{
	denies(t, "192.0.2.1", DB_IP, TCP, 80);
	allows(t, "192.0.2.1", OUTSIDE, TCP, 80);
	denies(t, WEB_IP, OUTSIDE, TCP, 80);
}

ORACLE_TEST(A15_both_ends_must_allow,
	    BASE INGRESS("ingress: [{}]")
		    POLICY("shop", "q",
			   "podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]"))
{
	denies(t, WEB_IP, DB_IP, TCP, 80);
	allows(t, OTHER_IP, DB_IP, TCP, 80);
}

ORACLE_TEST(
	B1_items_are_ored_B2_selectors_of_one_item_are_anded,
	BASE INGRESS(
		"ingress: [{ports: [{port: 1}], from: [{namespaceSelector: {matchLabels: {team: "
		"other}}}, {podSelector: {matchLabels: {app: web}}}]}, {ports: [{port: 2}], from: "
		"[{namespaceSelector: {matchLabels: {team: other}}, podSelector: {matchLabels: "
		"{app: "
		"db}}}]}]"))
{
	allows(t, WEB_IP, DB_IP, TCP, 1);
	allows(t, OTHER_IP, DB_IP, TCP, 1);
	denies(t, OTHER_IP, DB_IP, TCP, 2);
}

ORACLE_TEST(B7_empty_selectors_match_pods_only,
	    BASE INGRESS("ingress: [{from: [{namespaceSelector: {}, podSelector: {}}]}]"))
{
	allows(t, OTHER_IP, DB_IP, TCP, 80);
	denies(t, OUTSIDE, DB_IP, TCP, 80);
	denies(t, "10.0.0.99", DB_IP, TCP, 80);
}

ORACLE_TEST(B8_missing_peers_are_everybody, BASE INGRESS("ingress: [{ports: [{port: 80}]}]"))
{
	allows(t, OUTSIDE, DB_IP, TCP, 80);
	denies(t, OUTSIDE, DB_IP, UDP, 80);
}

ORACLE_TEST(B9_peer_without_known_field_matches_nothing,
	    BASE INGRESS("ingress: [{from: [{}]}, {from: [{fieldOfALaterApi: {}}]}]"))
{
	denies(t, WEB_IP, DB_IP, TCP, 80);
	denies(t, OUTSIDE, DB_IP, TCP, 80);
}

ORACLE_TEST(
	B12_except_is_of_its_own_block,
	BASE INGRESS("ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/24, except: [10.0.0.2/31]}}, "
		     "{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.0/25, 192.0.2.128/25]}}]}]"))
{
	allows(t, WEB_IP, DB_IP, TCP, 80);
	denies(t, OTHER_IP, DB_IP, TCP, 80);
	allows(t, "10.0.0.4", DB_IP, TCP, 80);
	denies(t, "10.0.1.0", DB_IP, TCP, 80);
	denies(t, OUTSIDE, DB_IP, TCP, 80);
}

ORACLE_TEST(B17_mapped_block_matches_nothing_B18_family,
	    BASE POD("shop", "six", "app: db", "fd00::2") INGRESS(
		    "ingress: [{ports: [{port: 1}], from: [{ipBlock: {cidr: "
		    "'::ffff:0.0.0.0/96'}}]}, {ports: [{port: 2}], from: [{ipBlock: {cidr: "
		    "0.0.0.0/0}}]}, {ports: [{port: 3}], from: [{ipBlock: {cidr: '::/0'}}]}]"))
{
	denies(t, OUTSIDE, DB_IP, TCP, 1);
	denies(t, "::ffff:192.0.2.10", "fd00::2", TCP, 1);
	allows(t, OUTSIDE, DB_IP, TCP, 2);
	denies(t, "2001:db8::1", "fd00::2", TCP, 2);
	allows(t, "2001:db8::1", "fd00::2", TCP, 3);
	denies(t, OUTSIDE, DB_IP, TCP, 3);
}

ORACLE_TEST(B24_unknown_namespace_matches_no_namespace_selector,
	    BASE POD("lost", "web", "app: web", "10.0.0.7")
		    INGRESS("ingress: [{from: [{namespaceSelector: {}}, {namespaceSelector: "
			    "{matchExpressions: [{key: team, operator: DoesNotExist}]}}]}]")
			    POLICY("lost", "p", "ingress: [{from: [{podSelector: {}}]}]")
				    POD("lost", "db", "app: db", "10.0.0.8"))
{
	denies(t, "10.0.0.7", DB_IP, TCP, 80);
	allows(t, "10.0.0.7", "10.0.0.8", TCP, 80);
	denies(t, WEB_IP, "10.0.0.8", TCP, 80);
}

ORACLE_TEST(
	C2_C3_C4_C7_ports,
	BASE INGRESS("ingress: [{ports: [{port: 53}, {protocol: UDP, port: 100, endPort: 65535}, "
		     "{protocol: SCTP}]}]"))
{
	allows(t, WEB_IP, DB_IP, TCP, 53);
	denies(t, WEB_IP, DB_IP, UDP, 53);
	denies(t, WEB_IP, DB_IP, UDP, 99);
	allows(t, WEB_IP, DB_IP, UDP, 100);
	allows(t, WEB_IP, DB_IP, UDP, 65535);
	allows(t, WEB_IP, DB_IP, SCTP, 1);
	denies(t, WEB_IP, DB_IP, ICMP, 0);
}

#define NAMED                                                                                  \
	PORTS_POD("shop", "one", "app: srv", "10.0.0.11", "{name: http, containerPort: 8080}") \
	PORTS_POD("other", "two", "app: srv", "10.0.0.12",                                     \
		  "{name: http, containerPort: 9090}, "                                        \
		  "{name: http, containerPort: 53, protocol: UDP}")

ORACLE_TEST(C10_C15_named_port_ingress,
	    BASE NAMED POLICY("shop", "p", "ingress: [{ports: [{port: http}]}]"))
{
	allows(t, WEB_IP, "10.0.0.11", TCP, 8080);
	denies(t, WEB_IP, "10.0.0.11", TCP, 9090);
	denies(t, OTHER_IP, DB_IP, TCP, 8080);
}

ORACLE_TEST(
	C11_C12_C13_C14_named_port_egress,
	BASE NAMED POLICY(
		"shop", "p",
		"policyTypes: [Egress], podSelector: {matchLabels: {app: web}}, egress: [{ports: "
		"[{port: http}]}, {to: [{ipBlock: {cidr: 10.0.0.12/32}}, {ipBlock: {cidr: "
		"192.0.2.0/24}}], ports: [{port: http, protocol: UDP}]}]"))
{
	allows(t, WEB_IP, "10.0.0.11", TCP, 8080);
	allows(t, WEB_IP, "10.0.0.12", TCP, 9090);
	denies(t, WEB_IP, "10.0.0.12", TCP, 8080);
	denies(t, WEB_IP, "10.0.0.12", TCP, 53);
	allows(t, WEB_IP, "10.0.0.12", UDP, 53);
	denies(t, WEB_IP, OUTSIDE, TCP, 8080);
	denies(t, WEB_IP, OUTSIDE, UDP, 53);
}

ORACLE_TEST(
	C23_C27_only_rules_without_ports_allow_other_protocols,
	BASE INGRESS(
		"ingress: [{ports: [{}], from: [{podSelector: {}}]}, {from: [{namespaceSelector: "
		"{matchLabels: {team: other}}}]}]"))
{
	denies(t, WEB_IP, DB_IP, ICMP, 0);
	denies(t, WEB_IP, DB_IP, 47, 0);
	allows(t, OTHER_IP, DB_IP, ICMP, 0);
	allows(t, OTHER_IP, DB_IP, 47, 0);
}

ORACLE_TEST(
	D3_D5_missing_key_and_empty_value,
	BASE POD("shop", "none", "", "10.0.0.7") POD("shop", "empty", "app: ''", "10.0.0.8")
		INGRESS("ingress: [{ports: [{port: 1}], from: [{podSelector: {matchExpressions: "
			"[{key: "
			"app, operator: NotIn, values: [web]}]}}]}, {ports: [{port: 2}], from: "
			"[{podSelector: {matchLabels: {app: ''}}}]}, {ports: [{port: 3}], from: "
			"[{podSelector: {matchExpressions: [{key: app, operator: Exists}]}}]}]"))
{
	allows(t, "10.0.0.8", DB_IP, TCP, 3);
	denies(t, "10.0.0.7", DB_IP, TCP, 3);
	allows(t, "10.0.0.7", DB_IP, TCP, 1);
	denies(t, WEB_IP, DB_IP, TCP, 1);
	denies(t, "10.0.0.7", DB_IP, TCP, 2);
	allows(t, "10.0.0.8", DB_IP, TCP, 2);
}

ORACLE_TEST(
	D6_invalid_subject_isolates_its_namespace,
	BASE POLICY(
		"shop", "p",
		"podSelector: {matchExpressions: [{key: app, operator: In, values: []}]}, ingress: "
		"[{}], policyTypes: [Ingress]"))
{
	denies(t, OTHER_IP, WEB_IP, TCP, 80);
	denies(t, OTHER_IP, DB_IP, TCP, 80);
	allows(t, DB_IP, OTHER_IP, TCP, 80);
}

ORACLE_TEST(
	D6_D7_invalid_peer_selector_matches_nothing,
	BASE INGRESS(
		"ingress: [{from: [{podSelector: {matchExpressions: [{key: app, operator: "
		"Later}]}}, "
		"{podSelector: {matchExpressions: [{key: x, operator: NotIn, values: []}]}}]}]"))
{
	denies(t, WEB_IP, DB_IP, TCP, 80);
}

ORACLE_TEST(E_2_self, BASE POLICY("shop", "p", "policyTypes: [Ingress, Egress]"))
{
	allows(t, DB_IP, DB_IP, TCP, 80);
	denies(t, DB_IP, WEB_IP, TCP, 80);
}

ORACLE_TEST(E_2_self_by_another_of_its_addresses,
	    "---\napiVersion: v1\nkind: Pod\nmetadata: {name: db, namespace: shop}\nspec: {}\n"
	    "status: {podIPs: [{ip: 10.0.0.2}, {ip: 10.0.0.20}]}\n" POLICY(
		    "shop", "p", "policyTypes: [Ingress, Egress]"))
{
	allows(t, DB_IP, "10.0.0.20", TCP, 80);
}

static bool with_node(const struct tw *t, const char *src, const char *dst, bool from)
{
	struct rs_flow f = { .proto = TCP, .port = 80 };

	f.src.addr = A(src);
	f.dst.addr = A(dst);
	f.src.node = from;
	f.dst.node = !from;
	return rs_oracle(&t->w, &f) == RS_VERDICT_ALLOW;
}

ORACLE_TEST(E_14_node_reaches_its_own_pods_only, BASE POLICY("shop", "p", "policyTypes: [Ingress]"))
{
	tw_local(t, "shop", "db");
	assert_true(with_node(t, "192.0.2.1", DB_IP, true));
	assert_false(with_node(t, "192.0.2.1", WEB_IP, true)); /* another node's pod */
	denies(t, "192.0.2.1", DB_IP, TCP, 80);		       /* the address alone is nothing */
}

ORACLE_TEST(E_16_own_node_is_judged_by_egress,
	    BASE POLICY("shop", "p",
			"policyTypes: [Egress], podSelector: {matchLabels: {app: db}}, egress: "
			"[{to: [{ipBlock: "
			"{cidr: 192.0.2.1/32}}]}]"))
{
	tw_local(t, "shop", "db");
	assert_true(with_node(t, DB_IP, "192.0.2.1", false));
	assert_false(with_node(t, DB_IP, "192.0.2.2", false));
	assert_true(with_node(t, WEB_IP, "192.0.2.2", false));
}

#define PHASE_POD(name, ip, phase)                               \
	"---\napiVersion: v1\nkind: Pod\nmetadata: {name: " name \
	", namespace: shop, labels: {app: web}}\n"               \
	"spec: {}\nstatus: {phase: " phase ", podIPs: [{ip: " ip "}]}\n"

ORACLE_TEST(F4_finished_pods_are_no_peers,
	    BASE PHASE_POD("done", "10.0.0.21",
			   "Succeeded") PHASE_POD("dead", "10.0.0.22",
						  "Failed") PHASE_POD("new", "10.0.0.23", "Pending")
		    INGRESS("ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]"))
{
	denies(t, "10.0.0.21", DB_IP, TCP, 80);
	denies(t, "10.0.0.22", DB_IP, TCP, 80);
	allows(t, "10.0.0.23", DB_IP, TCP, 80);
}

ORACLE_TEST(F4_a_finished_local_pod_is_still_a_subject,
	    BASE PHASE_POD("done", "10.0.0.21", "Succeeded")
		    POLICY("shop", "q",
			   "podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress, "
			   "Egress], egress: [{}]")
			    INGRESS("ingress: [{from: [{podSelector: {}}]}]"))
{
	tw_local(t, "shop", "done");
	denies(t, OTHER_IP, "10.0.0.21", TCP, 80);
	allows(t, "10.0.0.21", OUTSIDE, TCP, 80);
	denies(t, "10.0.0.21", DB_IP, TCP, 80); /* no peer any more */
}

#define SRV_PORTS "spec: {containers: [{name: c, ports: [{name: http, containerPort: 80}]}]}\n"

ORACLE_TEST(F4_C12_a_finished_pod_lends_no_port_names, BASE
	    "---\napiVersion: v1\nkind: Pod\nmetadata: {name: done, namespace: other}\n" SRV_PORTS
	    "status: {phase: Failed, podIPs: [{ip: 10.0.0.21}]}\n"
	    "---\napiVersion: v1\nkind: Pod\nmetadata: {name: live, namespace: other}\n" SRV_PORTS
	    "status: {podIPs: [{ip: 10.0.0.22}]}\n" POLICY(
		    "shop", "p", "policyTypes: [Egress], egress: [{ports: [{port: http}]}]"))
{
	tw_local(t, "other", "done");
	denies(t, WEB_IP, "10.0.0.21", TCP, 80);
	allows(t, WEB_IP, "10.0.0.22", TCP, 80);
}

ORACLE_TEST(F22_closed_pod_is_shut_both_ways, BASE)
{
	tw_local(t, "shop", "db")->closed = true;
	denies(t, WEB_IP, DB_IP, TCP, 80);
	denies(t, DB_IP, OUTSIDE, ICMP, 0);
	allows(t, DB_IP, DB_IP, TCP, 80);
	assert_true(with_node(t, "192.0.2.1", DB_IP, true));
}

ORACLE_TEST(record_overrides_the_store,
	    BASE INGRESS("ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]"))
{
	struct rs_local_pod *l = tw_local(t, "shop", "web");
	struct rs_labels now = { 0 };

	rs_labels_set(&now, "app", "db");
	rs_labels_free((struct rs_labels *)l->labels);
	*(struct rs_labels *)l->labels = now;
	denies(t, WEB_IP, DB_IP, TCP, 80);    /* as a peer it is no longer app=web */
	denies(t, OTHER_IP, WEB_IP, TCP, 80); /* as a subject it is app=db */
	((struct rs_addr *)l->ips)[0] = A("10.0.0.9");
	denies(t, OTHER_IP, "10.0.0.9", TCP, 80);
	allows(t, OTHER_IP, WEB_IP, TCP, 80); /* the store's address is nobody's now */
	denies(t, WEB_IP, DB_IP, TCP, 80);    /* nor is it app=web, as the store says */
}

ORACLE_TEST(record_decides_who_has_an_address,
	    BASE POD("shop", "thief", "app: web", "10.0.0.3")
		    INGRESS("ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]"))
{
	denies(t, OTHER_IP, DB_IP, TCP, 80); /* of two claims one is not allowed */
	tw_local(t, "shop", "thief");
	allows(t, OTHER_IP, DB_IP, TCP, 80);
}

ORACLE_TEST(
	address_claimed_twice_needs_what_is_allowed_for_both,
	BASE POD("shop", "b", "app: b", "10.0.0.1") INGRESS(
		"ingress: [{ports: [{port: 1}], from: [{podSelector: {matchLabels: {app: web}}}]}, "
		"{ports: [{port: 1}, {port: 2}], from: [{podSelector: {matchLabels: {app: "
		"b}}}]}]"))
{
	allows(t, WEB_IP, DB_IP, TCP, 1); /* two rules, one for each */
	denies(t, WEB_IP, DB_IP, TCP, 2);
}

ORACLE_TEST(address_claimed_twice_as_destination,
	    BASE POD("other", "b", "app: b", DB_IP) INGRESS("ingress: [{ports: [{port: 1}]}]")
		    POLICY("other", "p",
			   "podSelector: {matchLabels: {app: b}}, ingress: [{ports: [{port: 1, "
			   "endPort: 2}]}]"))
{
	allows(t, WEB_IP, DB_IP, TCP, 1);
	denies(t, WEB_IP, DB_IP, TCP, 2); /* allowed for other/b only */
}

#define NODE(cidr) \
	"---\napiVersion: v1\nkind: Node\nmetadata: {name: n1}\nspec: {podCIDRs: [" cidr "]}\n"
#define ON_NODE(name, ip)                                        \
	"---\napiVersion: v1\nkind: Pod\nmetadata: {name: " name \
	", namespace: shop, labels: {app: web}}\n"               \
	"spec: {nodeName: n1}\nstatus: {podIPs: [{ip: " ip "}]}\n"

ORACLE_TEST(podip_counts_only_inside_its_nodes_cidrs,
	    BASE NODE("10.9.0.0/24") ON_NODE("in", "10.9.0.5") ON_NODE("out", "10.9.1.5")
		    INGRESS("ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]"))
{
	allows(t, "10.9.0.5", DB_IP, TCP, 80);
	denies(t, "10.9.1.5", DB_IP, TCP, 80);
	allows(t, WEB_IP, DB_IP, TCP, 80); /* no node, no ranges: believed */
	tw_range(t, "10.0.0.2/32");
	denies(t, WEB_IP, DB_IP, TCP, 80); /* outside of the cluster's ranges */
	allows(t, "10.9.0.5", DB_IP, TCP, 80);
}

ORACLE_TEST(an_end_by_name_alone_is_that_pod, BASE INGRESS("policyTypes: [Ingress]"))
{
	struct rs_flow f = { .proto = TCP, .port = 80 };

	f.src = (struct rs_flow_end){ .ns = "shop", .name = "web" };
	f.dst = (struct rs_flow_end){ .ns = "shop", .name = "db" };
	assert_int_equal(rs_oracle(&t->w, &f), RS_VERDICT_DENY);
	f.dst.name = "web";
	f.src.name = "db";
	assert_int_equal(rs_oracle(&t->w, &f), RS_VERDICT_ALLOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_policy_allows_everything),
		cmocka_unit_test(A1_isolation_is_per_direction),
		cmocka_unit_test(A3_egress_type_ignores_ingress),
		cmocka_unit_test(A10_policies_add_up),
		cmocka_unit_test(A12_subjects_of_own_namespace),
		cmocka_unit_test(A13_host_network_is_neither_subject_nor_peer),
		cmocka_unit_test(A15_both_ends_must_allow),
		cmocka_unit_test(B1_items_are_ored_B2_selectors_of_one_item_are_anded),
		cmocka_unit_test(B7_empty_selectors_match_pods_only),
		cmocka_unit_test(B8_missing_peers_are_everybody),
		cmocka_unit_test(B9_peer_without_known_field_matches_nothing),
		cmocka_unit_test(B12_except_is_of_its_own_block),
		cmocka_unit_test(B17_mapped_block_matches_nothing_B18_family),
		cmocka_unit_test(B24_unknown_namespace_matches_no_namespace_selector),
		cmocka_unit_test(C2_C3_C4_C7_ports),
		cmocka_unit_test(C10_C15_named_port_ingress),
		cmocka_unit_test(C11_C12_C13_C14_named_port_egress),
		cmocka_unit_test(C23_C27_only_rules_without_ports_allow_other_protocols),
		cmocka_unit_test(D3_D5_missing_key_and_empty_value),
		cmocka_unit_test(D6_invalid_subject_isolates_its_namespace),
		cmocka_unit_test(D6_D7_invalid_peer_selector_matches_nothing),
		cmocka_unit_test(E_2_self),
		cmocka_unit_test(E_2_self_by_another_of_its_addresses),
		cmocka_unit_test(E_14_node_reaches_its_own_pods_only),
		cmocka_unit_test(E_16_own_node_is_judged_by_egress),
		cmocka_unit_test(F4_finished_pods_are_no_peers),
		cmocka_unit_test(F4_a_finished_local_pod_is_still_a_subject),
		cmocka_unit_test(F4_C12_a_finished_pod_lends_no_port_names),
		cmocka_unit_test(F22_closed_pod_is_shut_both_ways),
		cmocka_unit_test(record_overrides_the_store),
		cmocka_unit_test(record_decides_who_has_an_address),
		cmocka_unit_test(address_claimed_twice_needs_what_is_allowed_for_both),
		cmocka_unit_test(address_claimed_twice_as_destination),
		cmocka_unit_test(podip_counts_only_inside_its_nodes_cidrs),
		cmocka_unit_test(an_end_by_name_alone_is_that_pod),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
