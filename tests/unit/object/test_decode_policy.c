// SPDX-License-Identifier: Apache-2.0
/* test_decode_policy.c - NetworkPolicy from text: defaults, validation, positions. */
#include "decode_try.h"

#define HEAD                                     \
	"apiVersion: networking.k8s.io/v1\n"     \
	"kind: NetworkPolicy\n"                  \
	"metadata: {name: x, namespace: shop}\n" \
	"spec:\n"
#define REFUSED(pos) "f:" pos ": NetworkPolicy shop/x: spec."

static const struct rs_policy *the_policy(const struct rs_store *s)
{
	const struct rs_policy *p = rs_store_policy(s, "shop", "x");

	assert_non_null(p);
	return p;
}

/* Decode HEAD and spec lines; types and numbers of rules must be as given. */
static void expect_shape(const char *spec, bool in, bool out, size_t n_in, size_t n_out)
{
	rs_autofree char *text = rs_asprintf("%s%s", HEAD, spec);
	struct rs_store *s = try_good(text, false, RS_ADMIT_STRICT);
	const struct rs_policy *p = the_policy(s);

	assert_int_equal(p->isolates[RS_INGRESS], in);
	assert_int_equal(p->isolates[RS_EGRESS], out);
	assert_int_equal(p->n_rules[RS_INGRESS], n_in);
	assert_int_equal(p->n_rules[RS_EGRESS], n_out);
	rs_store_free(s);
}

static void A2_policy_types_default(void **state)
{
	(void)state;
	expect_shape("  podSelector: {}\n", true, false, 0, 0);
	expect_shape("  policyTypes: []\n", true, false, 0, 0);
	expect_shape("  policyTypes: null\n", true, false, 0, 0);
	expect_shape("  egress: [{}]\n", true, true, 0, 1);
	expect_shape("  egress: []\n", true, false, 0, 0);
	expect_shape("  ingress: [{}]\n  egress: [{}]\n", true, true, 1, 1);
}

static void A3_ingress_list_without_type_is_ignored(void **state)
{
	(void)state;
	expect_shape("  policyTypes: [Egress]\n  ingress: [{}]\n", false, true, 0, 0);
}

static void A4_egress_list_without_type_is_ignored(void **state)
{
	struct rs_store *s =
		try_good(HEAD "  policyTypes: [Ingress]\n  egress: [{}]\n", false, RS_ADMIT_STRICT);

	(void)state;
	assert_int_equal(the_policy(s)->n_rules[RS_EGRESS], 0);
	assert_true(has_warning(s, "f:6:11: NetworkPolicy shop/x: spec.egress: ignored"));
	rs_store_free(s);
	try_bad(HEAD "  policyTypes: [Ingress]\n  egress: [{to: 1}]\n", false,
		REFUSED("6:17") "egress[0].to: \"1\" is a number where a list is expected");
}

static void A5_egress_type_without_rules(void **state)
{
	(void)state;
	expect_shape("  policyTypes: [Egress]\n", false, true, 0, 0);
	expect_shape("  policyTypes: [Ingress, Egress]\n", true, true, 0, 0);
}

static void A6_null_empty_absent_rules(void **state)
{
	(void)state;
	expect_shape("  ingress: null\n", true, false, 0, 0);
	expect_shape("  ingress: []\n", true, false, 0, 0);
	expect_shape("  ingress:\n", true, false, 0, 0);
	expect_shape("  ingress: [{}]\n", true, false, 1, 0);
	try_bad(HEAD "  ingress:\n  -\n", false,
		REFUSED("6:4") "ingress[0]: null is not a rule; {} allows everything");
}

static void A8_A9_subject(void **state)
{
	static const char *const specs[] = { "  podSelector: {}\n", "  podSelector: null\n",
					     "  policyTypes: [Ingress]\n" };
	size_t i;

	(void)state;
	for (i = 0; i < RS_ARRAY_SIZE(specs); i++) {
		rs_autofree char *text = rs_asprintf("%s%s", HEAD, specs[i]);
		struct rs_store *s = try_good(text, false, RS_ADMIT_STRICT);

		assert_true(the_policy(s)->subject.present);
		assert_false(the_policy(s)->subject.invalid);
		assert_int_equal(the_policy(s)->subject.n_reqs, 0);
		rs_store_free(s);
	}
}

/* ---- peers ----------------------------------------------------------------------------------- */

static const struct rs_rule *one_rule(const struct rs_store *s)
{
	assert_int_equal(the_policy(s)->n_rules[RS_INGRESS], 1);
	return &the_policy(s)->rules[RS_INGRESS][0];
}

static void B6_absent_null_empty_selector(void **state)
{
	struct rs_store *s = try_good(HEAD "  ingress:\n"
					   "  - from:\n"
					   "    - {podSelector: {}, namespaceSelector: null}\n"
					   "    - {namespaceSelector: {matchLabels: null}}\n",
				      false, RS_ADMIT_STRICT);
	const struct rs_rule *r = one_rule(s);

	(void)state;
	assert_false(r->any_peer);
	assert_int_equal(r->n_peers, 2);
	assert_true(r->peers[0].pod_selector.present);
	assert_false(r->peers[0].ns_selector.present);
	assert_true(r->peers[1].ns_selector.present);
	assert_int_equal(r->peers[1].ns_selector.n_reqs, 0);
	assert_false(r->peers[1].pod_selector.present);
	rs_store_free(s);
}

static void B8_any_peer_only_when_absent(void **state)
{
	static const char *const specs[] = { "  ingress: [{}]\n", "  ingress: [{from: null}]\n",
					     "  ingress: [{from: []}]\n" };
	size_t i;

	(void)state;
	for (i = 0; i < RS_ARRAY_SIZE(specs); i++) {
		rs_autofree char *text = rs_asprintf("%s%s", HEAD, specs[i]);
		struct rs_store *s = try_good(text, false, RS_ADMIT_STRICT);

		assert_true(one_rule(s)->any_peer);
		assert_true(one_rule(s)->any_port);
		rs_store_free(s);
	}
}

static void B9_empty_peer(void **state)
{
	struct rs_store *s;

	(void)state;
	try_bad(HEAD "  ingress:\n  - from: [{}]\n", false,
		REFUSED("6:12") "ingress[0].from[0]: a peer needs podSelector, namespaceSelector "
				"or ipBlock");
	s = try_good(HEAD "  ingress:\n  - from: [{}, {futureSelector: {}}, null]\n", false,
		     RS_ADMIT_LENIENT);
	assert_false(one_rule(s)->any_peer);
	assert_int_equal(one_rule(s)->n_peers, 3);
	assert_true(one_rule(s)->peers[0].invalid);
	assert_true(one_rule(s)->peers[1].invalid);
	assert_true(one_rule(s)->peers[2].invalid);
	assert_string_equal(one_rule(s)->peers[1].why,
			    "spec.ingress[0].from[1]: a peer needs podSelector, namespaceSelector "
			    "or ipBlock");
	rs_store_free(s);
}

static void B10_ipblock_is_exclusive(void **state)
{
	static const char text[] = HEAD "  ingress:\n"
					"  - from:\n"
					"    - ipBlock: {cidr: 10.0.0.0/8}\n"
					"      podSelector: {}\n";
	struct rs_store *s;

	(void)state;
	try_bad(text, false,
		REFUSED("7:16") "ingress[0].from[0].ipBlock: ipBlock cannot stand beside a "
				"selector in one peer");
	s = try_good(text, false, RS_ADMIT_LENIENT);
	assert_true(one_rule(s)->peers[0].invalid);
	assert_false(one_rule(s)->any_peer);
	rs_store_free(s);
}

static void B13_except_is_a_strict_part(void **state)
{
	struct rs_store *s;

	(void)state;
	try_bad(HEAD "  egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]}]\n",
		false,
		REFUSED("5:56") "egress[0].to[0].ipBlock.except[0]: 10.0.0.0/8 is not a strict "
				"part "
				"of 10.0.0.0/8");
	try_bad(HEAD "  egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/9]}}]}]\n",
		false,
		REFUSED("5:56") "egress[0].to[0].ipBlock.except[0]: 11.0.0.0/9 is not a strict "
				"part "
				"of 10.0.0.0/8");
	try_bad(HEAD "  egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [\"fd00::/8\"]}}]}]\n",
		false,
		REFUSED("5:56") "egress[0].to[0].ipBlock.except[0]: fd00::/8 is not a strict part "
				"of 10.0.0.0/8");
	s = try_good(HEAD "  ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, "
			  "except: [10.0.0.0/9, 10.128.0.0/9]}}]}]\n",
		     false, RS_ADMIT_STRICT);
	assert_int_equal(one_rule(s)->peers[0].block.n_except, 2);
	rs_store_free(s);
}

static void expect_cidr(const char *written, const char *read, bool warns)
{
	rs_autofree char *text =
		rs_asprintf("%s  ingress: [{from: [{ipBlock: {cidr: \"%s\"}}]}]\n", HEAD, written);
	struct rs_store *s = try_good(text, false, RS_ADMIT_STRICT);
	char buf[RS_CIDR_STRLEN];
	size_t n;

	assert_true(one_rule(s)->peers[0].has_block);
	assert_string_equal(rs_cidr_str(&one_rule(s)->peers[0].block.cidr, buf), read);
	rs_store_warnings(s, &n);
	assert_int_equal(n, warns);
	rs_store_free(s);
}

static void B15_host_bits_are_masked(void **state)
{
	(void)state;
	expect_cidr("10.0.0.0/24", "10.0.0.0/24", false);
	expect_cidr("10.0.0.5/24", "10.0.0.0/24", true);
	expect_cidr("0.0.0.0/0", "0.0.0.0/0", false);
	expect_cidr("fd00::1/64", "fd00::/64", true);
}

static void B16_leading_zeros_are_decimal(void **state)
{
	(void)state;
	expect_cidr("010.1.2.0/24", "10.1.2.0/24", true);
	try_bad(HEAD "  ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/33}}]}]\n", false,
		REFUSED("5:38") "ingress[0].from[0].ipBlock.cidr: \"10.0.0.0/33\" is not a CIDR "
				"(address/length)");
	try_bad(HEAD "  ingress: [{from: [{ipBlock: {except: []}}]}]\n", false,
		REFUSED("5:31") "ingress[0].from[0].ipBlock.cidr: the CIDR is missing");
}

static void B17_v4_mapped_block_warns(void **state)
{
	struct rs_store *s =
		try_good(HEAD "  ingress: [{from: [{ipBlock: {cidr: \"::ffff:10.0.0.0/104\"}}]}]\n",
			 false, RS_ADMIT_STRICT);

	(void)state;
	assert_true(has_warning(s, "matches nothing"));
	assert_false(one_rule(s)->peers[0].invalid);
	rs_store_free(s);
}

/* ---- ports ----------------------------------------------------------------------------------- */

static void C1_C2_C3_any_ports(void **state)
{
	struct rs_store *s = try_good(HEAD "  ingress:\n"
					   "  - ports: [{}, {protocol: UDP}, {port: null}]\n",
				      false, RS_ADMIT_STRICT);
	const struct rs_rule *r = one_rule(s);

	(void)state;
	assert_false(r->any_port);
	assert_int_equal(r->n_ports, 3);
	assert_int_equal(r->ports[0].kind, RS_PORT_ANY);
	assert_int_equal(r->ports[0].proto, RS_PROTO_TCP);
	assert_int_equal(r->ports[1].proto, RS_PROTO_UDP);
	assert_int_equal(r->ports[2].kind, RS_PORT_ANY);
	rs_store_free(s);
}

static void C7_end_port(void **state)
{
	struct rs_store *s =
		try_good(HEAD "  ingress: [{ports: [{port: 80, endPort: 90, protocol: SCTP}]}]\n",
			 false, RS_ADMIT_STRICT);

	(void)state;
	assert_int_equal(one_rule(s)->ports[0].lo, 80);
	assert_int_equal(one_rule(s)->ports[0].hi, 90);
	assert_int_equal(one_rule(s)->ports[0].proto, RS_PROTO_SCTP);
	rs_store_free(s);
	try_bad(HEAD "  ingress: [{ports: [{port: 80, endPort: 79}]}]\n", false,
		REFUSED("5:42") "ingress[0].ports[0].endPort: 79 is below the port, 80");
	try_bad(HEAD "  ingress: [{ports: [{port: web, endPort: 79}]}]\n", false,
		REFUSED("5:43") "ingress[0].ports[0].endPort: endPort needs a port with a number");
	try_bad(HEAD "  ingress: [{ports: [{endPort: 79}]}]\n", false,
		REFUSED("5:32") "ingress[0].ports[0].endPort: endPort needs a port with a number");
}

static void C9_port_bounds(void **state)
{
	struct rs_store *s =
		try_good(HEAD "  ingress: [{ports: [{port: 1, endPort: 65535}, {port: 65535}]}]\n",
			 false, RS_ADMIT_STRICT);

	(void)state;
	assert_int_equal(one_rule(s)->ports[0].hi, 65535);
	assert_int_equal(one_rule(s)->ports[1].lo, 65535);
	rs_store_free(s);
	try_bad(HEAD "  ingress:\n  - ports:\n    - port: 80\n    - port: 70000\n", false,
		REFUSED("8:13") "ingress[0].ports[1].port: 70000 is not a port (1..65535)");
	try_bad(HEAD "  ingress: [{ports: [{port: 0}]}]\n", false,
		REFUSED("5:29") "ingress[0].ports[0].port: 0 is not a port (1..65535)");
	try_bad(HEAD "  ingress: [{ports: [{port: -1}]}]\n", false,
		REFUSED("5:29") "ingress[0].ports[0].port: -1 is not a port (1..65535)");
	try_bad(HEAD "  ingress: [{ports: [{port: 1, endPort: 65536}]}]\n", false,
		REFUSED("5:41") "ingress[0].ports[0].endPort: 65536 is not a port (1..65535)");
}

static void C19_numeric_string_is_a_name(void **state)
{
	struct rs_store *s;

	(void)state;
	try_bad(HEAD "  ingress: [{ports: [{port: \"80\"}]}]\n", false,
		REFUSED("5:29") "ingress[0].ports[0].port: \"80\" in quotes is a name, not a "
				"number");
	s = try_good(HEAD "  ingress: [{ports: [{port: \"80\"}]}]\n", false, RS_ADMIT_LENIENT);
	assert_true(one_rule(s)->ports[0].invalid);
	assert_false(one_rule(s)->any_port);
	rs_store_free(s);
	s = try_good(HEAD "  ingress: [{ports: [{port: http-8}]}]\n", false, RS_ADMIT_STRICT);
	assert_int_equal(one_rule(s)->ports[0].kind, RS_PORT_NAMED);
	assert_string_equal(one_rule(s)->ports[0].name, "http-8");
	rs_store_free(s);
	try_bad(HEAD "  ingress: [{ports: [{port: a--b}]}]\n", false,
		REFUSED("5:29") "ingress[0].ports[0].port: \"a--b\" is not a port name (lower-case "
				"letters, digits, single '-' inside)");
}

static void G6_floats_are_no_ports(void **state)
{
	(void)state;
	try_bad("{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\","
		"\"metadata\":{\"name\":\"x\",\"namespace\":\"shop\"},\"spec\":\n"
		"{\"ingress\":[{\"ports\":[{\"port\":80.0}]}]}}",
		true, REFUSED("2:31") "ingress[0].ports[0].port: 80.0 is not a whole number");
	try_bad(HEAD "  ingress: [{ports: [{port: 8e1}]}]\n", false,
		REFUSED("5:29") "ingress[0].ports[0].port: 8e1 is not a whole number");
}

static void G2_unknown_enums(void **state)
{
	struct rs_store *s;

	(void)state;
	try_bad(HEAD "  ingress: [{ports: [{protocol: ICMP}]}]\n", false,
		REFUSED("5:33") "ingress[0].ports[0].protocol: \"ICMP\" is not a protocol (TCP, "
				"UDP, "
				"SCTP)");
	try_bad(HEAD "  policyTypes: [Ingres]\n", false,
		REFUSED("5:17") "policyTypes[0]: \"Ingres\" is not a policy type (Ingress, "
				"Egress)");
	s = try_good(HEAD "  policyTypes: [Ingress, Foo]\n  egress: [{}]\n"
			  "  ingress: [{ports: [{protocol: ICMP}]}, {}]\n",
		     false, RS_ADMIT_LENIENT);
	/* Foo may mean egress: isolated, and what it would allow is not known to count. */
	assert_true(the_policy(s)->isolates[RS_INGRESS]);
	assert_true(the_policy(s)->isolates[RS_EGRESS]);
	assert_int_equal(the_policy(s)->n_rules[RS_EGRESS], 0);
	assert_int_equal(the_policy(s)->n_rules[RS_INGRESS], 2);
	assert_true(the_policy(s)->rules[RS_INGRESS][0].ports[0].invalid);
	assert_false(the_policy(s)->rules[RS_INGRESS][0].any_port);
	assert_true(the_policy(s)->rules[RS_INGRESS][1].any_port);
	rs_store_free(s);
	s = try_good(HEAD "  policyTypes: [Foo]\n  ingress: [{}]\n", false, RS_ADMIT_LENIENT);
	assert_true(the_policy(s)->isolates[RS_INGRESS] && the_policy(s)->isolates[RS_EGRESS]);
	assert_int_equal(the_policy(s)->n_rules[RS_INGRESS], 0);
	rs_store_free(s);
}

/* ---- selectors ------------------------------------------------------------------------------- */

static void D5_empty_value_is_a_value(void **state)
{
	struct rs_store *s =
		try_good(HEAD "  podSelector: {matchLabels: {k: \"\"}}\n", false, RS_ADMIT_STRICT);

	(void)state;
	assert_int_equal(the_policy(s)->subject.n_reqs, 1);
	assert_string_equal(the_policy(s)->subject.reqs[0].values[0], "");
	rs_store_free(s);
	try_bad(HEAD "  podSelector: {matchLabels: {k: }}\n", false,
		REFUSED("5:34") "podSelector.matchLabels[k]: null where a string is expected (an "
				"empty one is \"\")");
}

static void expect_subject_invalid(const char *expr)
{
	rs_autofree char *text =
		rs_asprintf("%s  podSelector: {matchExpressions: [%s]}\n", HEAD, expr);
	struct rs_store *s = rs_store_new();
	rs_auto_err err = { 0 };

	assert_true(rs_decode_text(s, "f", text, strlen(text), false, RS_ADMIT_STRICT, &err) < 0);
	rs_store_free(s);
	s = try_good(text, false, RS_ADMIT_LENIENT);
	assert_true(the_policy(s)->subject_invalid);
	assert_true(the_policy(s)->subject.invalid);
	assert_non_null(the_policy(s)->subject.why);
	assert_true(the_policy(s)->isolates[RS_INGRESS]);
	rs_store_free(s);
}

static void D6_D7_invalid_selectors(void **state)
{
	(void)state;
	expect_subject_invalid("{key: a, operator: In}");
	expect_subject_invalid("{key: a, operator: In, values: []}");
	expect_subject_invalid("{key: a, operator: NotIn, values: null}");
	expect_subject_invalid("{key: a, operator: Exists, values: [b]}");
	expect_subject_invalid("{key: a, operator: DoesNotExist, values: [b]}");
	expect_subject_invalid("{key: a, operator: Gt, values: [b]}");
	expect_subject_invalid("{key: a, operator: in, values: [b]}");
	expect_subject_invalid("{key: \"-a\", operator: Exists}");
	expect_subject_invalid("{key: a}");
	expect_subject_invalid("{operator: Exists}");
	expect_subject_invalid("{key: a, operator: In, values: [\"b c\"]}");
	expect_subject_invalid("null");
	try_bad(HEAD "  podSelector:\n    matchExpressions:\n    - {key: a, operator: Gt}\n", false,
		REFUSED("7:26") "podSelector.matchExpressions[0].operator: \"Gt\" is not an "
				"operator "
				"(In, NotIn, Exists, DoesNotExist)");
}

static void D6_invalid_peer_selector_matches_nothing(void **state)
{
	struct rs_store *s = try_good(
		HEAD "  ingress:\n  - from: [{podSelector: {matchExpressions: [{key: a}]}, "
		     "namespaceSelector: {}}]\n",
		false, RS_ADMIT_LENIENT);

	(void)state;
	assert_true(one_rule(s)->peers[0].invalid);
	assert_true(one_rule(s)->peers[0].pod_selector.invalid);
	assert_false(one_rule(s)->any_peer);
	assert_false(the_policy(s)->subject_invalid);
	rs_store_free(s);
}

static void D9_labels_and_expressions_in_order(void **state)
{
	struct rs_store *s =
		try_good(HEAD "  podSelector:\n"
			      "    matchExpressions: [{key: a, operator: NotIn, values: [x]}]\n"
			      "    matchLabels: {b: z, a: x}\n",
			 false, RS_ADMIT_STRICT);
	rs_autofree char *str = rs_selector_str(&the_policy(s)->subject);

	(void)state;
	assert_string_equal(str, "b=z,a=x,a notin (x)");
	rs_store_free(s);
}

/* ---- slips of the pen ------------------------------------------------------------------------ */

static void unknown_fields_are_refused_in_policies(void **state)
{
	struct rs_store *s;

	(void)state;
	try_bad(HEAD "  podselector: {}\n", false,
		"f:5:3: NetworkPolicy shop/x: spec: unknown field \"podselector\" (is "
		"\"podSelector\" meant?)");
	try_bad(HEAD "  egres: []\n", false,
		"f:5:3: NetworkPolicy shop/x: spec: unknown field \"egres\" (is \"egress\" "
		"meant?)");
	try_bad(HEAD "  ingress:\n  - to: []\n", false,
		"f:6:5: NetworkPolicy shop/x: spec.ingress[0]: unknown field \"to\"");
	try_bad(HEAD "  ingress:\n  - from:\n    - podSelector: {matchLables: {a: b}}\n", false,
		"f:7:21: NetworkPolicy shop/x: spec.ingress[0].from[0].podSelector: unknown field "
		"\"matchLables\" (is \"matchLabels\" meant?)");
	/* Two items where one with both selectors was meant is legal; a stray key is not. */
	s = try_good(HEAD "  podselector: {}\n  zzz: 1\n", false, RS_ADMIT_LENIENT);
	assert_non_null(the_policy(s));
	rs_store_free(s);
}

static void kinds_and_versions_are_exact(void **state)
{
	struct rs_store *s;

	(void)state;
	try_bad("apiVersion: extensions/v1beta1\nkind: NetworkPolicy\nmetadata: {name: x}\n", false,
		"f:1:13: document: apiVersion: \"extensions/v1beta1\" is not the apiVersion of a "
		"NetworkPolicy (networking.k8s.io/v1)");
	try_bad("apiVersion: networking.k8s.io/v1\nkind: Networkpolicy\n", false,
		"f:2:7: document: kind: kind is written \"NetworkPolicy\", not \"Networkpolicy\"");
	try_bad("kind: Pod\n", false,
		"f:1:1: document: not a Kubernetes object: it has no apiVersion");
	try_bad("a: b\n", false, "f:1:1: document: not a Kubernetes object: it has no kind");
	try_bad("- a\n", false,
		"f:1:1: document: a Kubernetes object is expected here, not a list");
	s = try_good("apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {name: x}\n",
		     false, RS_ADMIT_STRICT);
	assert_true(has_warning(s, "1 object skipped: Ripstop does not read NetworkPolicy "
				   "(projectcalico.org/v3)"));
	rs_store_free(s);
}

static void broken_policy_is_closed_under_lenient(void **state)
{
	static const char *const specs[] = { " 7\n", "\n  podSelector: 7\n", "\n  ingress: 7\n",
					     "\n  egress: {}\n" };
	size_t i;

	(void)state;
	for (i = 0; i < RS_ARRAY_SIZE(specs); i++) {
		rs_autofree char *text =
			rs_asprintf("%.*s%s", (int)strlen(HEAD) - 1, HEAD, specs[i]);
		struct rs_store *s = try_good(text, false, RS_ADMIT_LENIENT);

		assert_true(the_policy(s)->subject_invalid);
		assert_true(the_policy(s)->isolates[RS_INGRESS]);
		assert_int_equal(the_policy(s)->n_rules[RS_INGRESS], 0);
		rs_store_free(s);
	}
}

static void broken_metadata_closes_the_namespace_under_lenient(void **state)
{
	static const char text[] = "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\","
				   "\"metadata\":{\"name\":\"x\",\"namespace\":\"shop\",\"labels\":[]},"
				   "\"spec\":{\"policyTypes\":[\"Egress\"],\"egress\":[{}]}}";
	struct rs_store *s = try_good(text, true, RS_ADMIT_LENIENT);

	(void)state;
	assert_true(the_policy(s)->subject_invalid);
	assert_non_null(the_policy(s)->subject.why);
	assert_true(the_policy(s)->isolates[RS_INGRESS] && the_policy(s)->isolates[RS_EGRESS]);
	assert_int_equal(the_policy(s)->n_rules[RS_EGRESS], 0);
	rs_store_free(s);
}

static void broken_rule_allows_nothing_under_lenient(void **state)
{
	struct rs_store *s = try_good(HEAD "  ingress: [{from: 7}, {ports: {}}, null, 7]\n", false,
				      RS_ADMIT_LENIENT);
	size_t i;

	(void)state;
	assert_int_equal(the_policy(s)->n_rules[RS_INGRESS], 4);
	for (i = 0; i < 4; i++) {
		assert_false(the_policy(s)->rules[RS_INGRESS][i].any_peer);
		assert_int_equal(the_policy(s)->rules[RS_INGRESS][i].n_peers, 0);
	}
	rs_store_free(s);
}

static void positions(void **state)
{
	struct rs_store *s = try_good("# first\n---\n" HEAD "  podSelector:\n"
				      "    matchLabels: {a: b}\n"
				      "  ingress:\n"
				      "  - from:\n"
				      "    - podSelector: {}\n"
				      "    ports:\n"
				      "    - port: 80\n",
				      false, RS_ADMIT_STRICT);
	const struct rs_policy *p = the_policy(s);

	(void)state;
	assert_string_equal(p->meta.pos.file, "f");
	assert_int_equal(p->meta.pos.line, 3);
	assert_int_equal(p->meta.pos.col, 1);
	assert_int_equal(p->subject.pos.line, 8);
	assert_int_equal(p->subject.pos.col, 5);
	assert_int_equal(one_rule(s)->pos.line, 10);
	assert_int_equal(one_rule(s)->pos.col, 5);
	assert_int_equal(one_rule(s)->peers[0].pos.line, 11);
	assert_int_equal(one_rule(s)->peers[0].pos.col, 7);
	assert_int_equal(one_rule(s)->ports[0].pos.line, 13);
	assert_int_equal(one_rule(s)->ports[0].pos.col, 7);
	rs_store_free(s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(A2_policy_types_default),
		cmocka_unit_test(A3_ingress_list_without_type_is_ignored),
		cmocka_unit_test(A4_egress_list_without_type_is_ignored),
		cmocka_unit_test(A5_egress_type_without_rules),
		cmocka_unit_test(A6_null_empty_absent_rules),
		cmocka_unit_test(A8_A9_subject),
		cmocka_unit_test(B6_absent_null_empty_selector),
		cmocka_unit_test(B8_any_peer_only_when_absent),
		cmocka_unit_test(B9_empty_peer),
		cmocka_unit_test(B10_ipblock_is_exclusive),
		cmocka_unit_test(B13_except_is_a_strict_part),
		cmocka_unit_test(B15_host_bits_are_masked),
		cmocka_unit_test(B16_leading_zeros_are_decimal),
		cmocka_unit_test(B17_v4_mapped_block_warns),
		cmocka_unit_test(C1_C2_C3_any_ports),
		cmocka_unit_test(C7_end_port),
		cmocka_unit_test(C9_port_bounds),
		cmocka_unit_test(C19_numeric_string_is_a_name),
		cmocka_unit_test(D5_empty_value_is_a_value),
		cmocka_unit_test(D6_D7_invalid_selectors),
		cmocka_unit_test(D6_invalid_peer_selector_matches_nothing),
		cmocka_unit_test(D9_labels_and_expressions_in_order),
		cmocka_unit_test(G2_unknown_enums),
		cmocka_unit_test(G6_floats_are_no_ports),
		cmocka_unit_test(unknown_fields_are_refused_in_policies),
		cmocka_unit_test(kinds_and_versions_are_exact),
		cmocka_unit_test(broken_policy_is_closed_under_lenient),
		cmocka_unit_test(broken_metadata_closes_the_namespace_under_lenient),
		cmocka_unit_test(broken_rule_allows_nothing_under_lenient),
		cmocka_unit_test(positions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
