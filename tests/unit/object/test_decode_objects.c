// SPDX-License-Identifier: Apache-2.0
/* test_decode_objects.c - Pod, Namespace, Node, lists and metadata from text. */
#include "decode_try.h"

#include <json-c/json.h>

#include "object/decode.h"

static const struct rs_pod *the_pod(const struct rs_store *s)
{
	const struct rs_pod *p = rs_store_pod(s, "default", "a");

	assert_non_null(p);
	return p;
}

static struct rs_store *pod_with(const char *rest)
{
	rs_autofree char *text =
		rs_asprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n%s", rest);

	return try_good(text, false, RS_ADMIT_STRICT);
}

#define POD_REFUSED(pos) "f:" pos ": Pod default/a: "

static void pod_refused(const char *rest, const char *message)
{
	rs_autofree char *text =
		rs_asprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n%s", rest);

	try_bad(text, false, message);
}

static void C17_restartable_init_containers_count(void **state)
{
	struct rs_store *s = pod_with(
		"spec:\n"
		"  initContainers:\n"
		"  - {name: i, ports: [{name: init, containerPort: 1}]}\n"
		"  - {name: s, restartPolicy: Always, ports: [{name: side, containerPort: 2}]}\n"
		"  - {name: o, restartPolicy: OnFailure, ports: [{name: once, containerPort: 3}]}\n"
		"  containers:\n"
		"  - {name: c, ports: [{name: web, containerPort: 80}, {containerPort: 81}]}\n"
		"  - {name: d, ports: [{name: dns, containerPort: 53, protocol: UDP}]}\n"
		"  ephemeralContainers:\n"
		"  - {name: e, ports: [{name: eph, containerPort: 4}]}\n");
	const struct rs_pod *p = the_pod(s);

	(void)state;
	assert_int_equal(p->n_ports, 3);
	assert_string_equal(p->ports[0].name, "web");
	assert_int_equal(p->ports[0].port, 80);
	assert_int_equal(p->ports[0].proto, RS_PROTO_TCP);
	assert_string_equal(p->ports[1].name, "dns");
	assert_int_equal(p->ports[1].proto, RS_PROTO_UDP);
	assert_string_equal(p->ports[2].name, "side");
	assert_int_equal(p->ports[2].port, 2);
	rs_store_free(s);
}

static void E_29_all_pod_ips(void **state)
{
	struct rs_store *s =
		pod_with("status:\n  podIP: 10.0.0.9\n"
			 "  podIPs: [{ip: 10.0.0.1}, {ip: \"fd00::1\"}, {ip: 10.0.0.1}]\n");
	char buf[RS_ADDR_STRLEN];

	(void)state;
	assert_int_equal(the_pod(s)->n_ips, 2);
	assert_string_equal(rs_addr_str(&the_pod(s)->ips[1], buf), "fd00::1");
	rs_store_free(s);
	s = pod_with("status: {podIP: 10.0.0.9, podIPs: null}\n");
	assert_int_equal(the_pod(s)->n_ips, 1);
	assert_string_equal(rs_addr_str(&the_pod(s)->ips[0], buf), "10.0.0.9");
	rs_store_free(s);
	s = pod_with("status: {podIP: \"\"}\n");
	assert_int_equal(the_pod(s)->n_ips, 0);
	rs_store_free(s);
	pod_refused("status: {podIP: 10.0.0.256}\n",
		    POD_REFUSED("4:17") "status.podIP: \"10.0.0.256\" is not an IP address");
}

static void F4_F5_phase_and_deletion(void **state)
{
	static const struct {
		const char *text;
		enum rs_phase phase;
	} cases[] = { { "Pending", RS_PHASE_PENDING },	   { "Running", RS_PHASE_RUNNING },
		      { "Succeeded", RS_PHASE_SUCCEEDED }, { "Failed", RS_PHASE_FAILED },
		      { "Unknown", RS_PHASE_UNKNOWN },	   { "\"\"", RS_PHASE_UNKNOWN } };
	struct rs_store *s;
	size_t i;

	(void)state;
	for (i = 0; i < RS_ARRAY_SIZE(cases); i++) {
		rs_autofree char *rest = rs_asprintf("status: {phase: %s}\n", cases[i].text);

		s = pod_with(rest);
		assert_int_equal(the_pod(s)->phase, cases[i].phase);
		assert_false(the_pod(s)->meta.deleting);
		rs_store_free(s);
	}
	s = try_good("apiVersion: v1\nkind: Pod\nmetadata: {name: a, deletionTimestamp: "
		     "2024-01-01T00:00:00Z}\n",
		     false, RS_ADMIT_STRICT);
	assert_true(the_pod(s)->meta.deleting);
	rs_store_free(s);
}

static void pod_fields(void **state)
{
	struct rs_store *s =
		try_good("apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  uid: u-1\n"
			 "  resourceVersion: \"7\"\n  generation: 3\n"
			 "  annotations: {kubernetes.io/config.hash: abc}\n"
			 "  ownerReferences:\n"
			 "  - {kind: Other, name: o}\n"
			 "  - {kind: ReplicaSet, name: rs, controller: true}\n"
			 "spec: {nodeName: n1, hostNetwork: true}\n",
			 false, RS_ADMIT_STRICT);
	const struct rs_pod *p = the_pod(s);

	(void)state;
	assert_string_equal(p->meta.uid, "u-1");
	assert_string_equal(p->meta.resource_version, "7");
	assert_int_equal(p->meta.generation, 3);
	assert_string_equal(p->config_hash, "abc");
	assert_string_equal(p->owner_kind, "ReplicaSet");
	assert_string_equal(p->owner_name, "rs");
	assert_string_equal(p->node, "n1");
	assert_true(p->host_network);
	rs_store_free(s);
	pod_refused(
		"spec: {hostNetwork: 1}\n",
		POD_REFUSED("4:21") "spec.hostNetwork: \"1\" is a number where a bool is expected");
}

static void G3_null_wherever_a_list_or_map_can_be(void **state)
{
	struct rs_store *s = pod_with("spec: {containers: null, initContainers: [null]}\n"
				      "status: null\n");

	(void)state;
	assert_int_equal(the_pod(s)->n_ports, 0);
	rs_store_free(s);
	s = try_good("apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: null, "
		     "annotations: null, ownerReferences: null}\nspec: null\n",
		     false, RS_ADMIT_STRICT);
	assert_int_equal(the_pod(s)->meta.labels.n, 0);
	rs_store_free(s);
}

static void XB8_bad_address_costs_only_itself_under_lenient(void **state)
{
	struct rs_store *s = try_good("apiVersion: v1\nkind: Pod\n"
				      "metadata: {name: a, namespace: default}\n"
				      "status: {podIPs: [{ip: x}, {}, null, {ip: 10.0.0.2}]}\n",
				      false, RS_ADMIT_LENIENT);

	(void)state;
	assert_int_equal(the_pod(s)->n_ips, 1);
	assert_true(has_warning(s, "Pod default/a: status.podIPs[0].ip: \"x\" is not an IP"));
	rs_store_free(s);
}

static void XB9_bad_object_costs_only_itself_under_lenient(void **state)
{
	struct rs_store *s =
		try_good("{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"items\":["
			 "{\"metadata\":{\"name\":\"BAD\",\"namespace\":\"x\"}}, 7, null, {},"
			 "{\"metadata\":{\"name\":\"no-namespace\"}},"
			 "{\"metadata\":{\"name\":\"a\",\"namespace\":\"default\"}}]}",
			 true, RS_ADMIT_LENIENT);
	size_t n;

	(void)state;
	rs_store_pods(s, &n);
	assert_int_equal(n, 1);
	assert_non_null(the_pod(s));
	rs_store_free(s);
}

static void labels_are_read_as_kubernetes_reads_them(void **state)
{
	struct rs_store *s =
		try_good("apiVersion: v1\nkind: Namespace\n"
			 "metadata: {name: a, labels: {z: \"1\", a.b/c: D_e.f, e: \"\"}}\n",
			 false, RS_ADMIT_STRICT);
	rs_autofree char *str = rs_labels_str(&rs_store_namespace(s, "a")->meta.labels);

	(void)state;
	assert_string_equal(str, "a.b/c=D_e.f,e=,z=1");
	rs_store_free(s);
	try_bad("apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  labels:\n    debug: no\n",
		false,
		POD_REFUSED(
			"6:12") "metadata.labels[debug]: no is read as a bool: put it in quotes");
	try_bad("apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  labels:\n    v: 1.10\n", false,
		POD_REFUSED(
			"6:8") "metadata.labels[v]: 1.10 is read as a number: put it in quotes");
	try_bad("apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  labels:\n    yes: a\n", false,
		"f:6:5: the key yes is read as a bool: put it in quotes");
	try_bad("apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  labels: {a: \"b c\"}\n", false,
		POD_REFUSED("5:15") "metadata.labels[a]: \"b c\" is not a label value (letters, "
				    "digits, '-', '_' and '.' inside)");
}

static void G1_names(void **state)
{
	char name[254 + 1];
	rs_autofree char *good = NULL, *bad = NULL;
	struct rs_store *s;

	(void)state;
	memset(name, 'a', 254);
	name[254] = '\0';
	bad = rs_asprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\n", name);
	try_bad(bad, false,
		"f:3:18: Pod: metadata.name: \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaa\" is longer than 253 characters");
	name[253] = '\0';
	good = rs_asprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: %.63s}\n",
			   name, name);
	s = try_good(good, false, RS_ADMIT_STRICT);
	rs_store_free(s);
	try_bad("apiVersion: v1\nkind: Pod\nmetadata: {namespace: x}\n", false,
		"f:3:11: Pod: metadata.name: the name is missing");
	try_bad("apiVersion: v1\nkind: Pod\n", false,
		"f:1:1: Pod: metadata.name: the name is missing");
	try_bad("apiVersion: v1\nkind: Pod\nmetadata: {name: a/b}\n", false,
		"f:3:18: Pod: metadata.name: \"a/b\" is not a DNS name (lower-case letters, "
		"digits, "
		"'-' and '.' inside)");
	try_bad("apiVersion: v1\nkind: Namespace\nmetadata: {name: a.b}\n", false,
		"f:3:18: Namespace: metadata.name: \"a.b\" is not a DNS label (lower-case letters, "
		"digits, '-' inside)");
}

static void G8_messages_are_safe_for_a_terminal(void **state)
{
	struct rs_store *s =
		try_good("apiVersion: v1\nkind: \"\\e[31mX\"\n", false, RS_ADMIT_STRICT);

	(void)state;
	assert_true(has_warning(s, "\\x1b[31mX"));
	rs_store_free(s);
	try_bad("apiVersion: v1\nkind: Pod\nmetadata: {name: \"a\\e[2J\"}\n", false,
		"f:3:18: Pod: metadata.name: \"a\\x1b[2J\" is not a DNS name (lower-case letters, "
		"digits, '-' and '.' inside)");
}

static void misspelled_metadata_warns(void **state)
{
	struct rs_store *s = try_good("apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n"
				      "  lables: {a: b}\n",
				      false, RS_ADMIT_STRICT);

	(void)state;
	assert_true(has_warning(s, "f:5:3: Pod default/a: metadata: unknown field \"lables\" is "
				   "ignored (is \"labels\" meant?)"));
	rs_store_free(s);
}

static void lists_are_unrolled(void **state)
{
	static const char text[] = "apiVersion: v1\nkind: List\nitems:\n"
				   "- {apiVersion: v1, kind: Namespace, metadata: {name: n1}}\n"
				   "- apiVersion: v1\n  kind: PodList\n  items:\n"
				   "  - metadata: {name: a}\n"
				   "  - metadata: {name: b}\n"
				   "    spec: {hostNetwork: 3}\n";
	struct rs_store *s =
		try_good("{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":"
			 "\"NetworkPolicyList\",\"items\":[{\"metadata\":{\"name\":\"p\"}}]}",
			 true, RS_ADMIT_STRICT);

	(void)state;
	assert_non_null(rs_store_policy(s, "default", "p"));
	rs_store_free(s);
	try_bad(text, false,
		"f:10:25: Pod default/b: spec.hostNetwork: \"3\" is a number where a bool is "
		"expected");
	try_bad("apiVersion: v1\nkind: List\nitems: {}\n", false,
		"f:3:8: List: items: a map where a list is expected");
	s = try_good("apiVersion: v1\nkind: PodList\n---\napiVersion: v1\nkind: List\nitems: []\n",
		     false, RS_ADMIT_STRICT);
	rs_store_free(s);
}

static void unknown_kinds_are_counted(void **state)
{
	struct rs_store *s = try_good("apiVersion: v1\nkind: Secret\n---\napiVersion: v1\n"
				      "kind: Secret\n---\napiVersion: apps/v1\nkind: Deployment\n",
				      false, RS_ADMIT_STRICT);
	size_t n;

	(void)state;
	rs_store_warnings(s, &n);
	assert_int_equal(n, 2);
	assert_true(has_warning(s, "2 objects skipped: Ripstop does not read Secret (v1)"));
	assert_true(has_warning(s, "1 object skipped: Ripstop does not read Deployment (apps/v1)"));
	rs_store_free(s);
}

static void one_name_twice_is_refused(void **state)
{
	static const char text[] =
		"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\n"
		"apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: default}\n";
	struct rs_store *s;

	(void)state;
	try_bad(text, false, POD_REFUSED("5:1") "defined twice, first at f:1:1");
	s = try_good(text, false, RS_ADMIT_LENIENT);
	rs_store_free(s);
}

static void node_fields(void **state)
{
	struct rs_store *s = try_good(
		"apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n"
		"spec: {podCIDR: 10.9.0.0/24, podCIDRs: [10.1.0.0/24, \"fd00:1::/64\"]}\n"
		"status: {addresses: [{type: Hostname, address: h}, {type: InternalIP, address: "
		"192.0.2.1}, {type: ExternalIP, address: \"2001:db8::1\"}]}\n",
		false, RS_ADMIT_STRICT);
	const struct rs_node *n = rs_store_node(s, "n1");
	char buf[RS_CIDR_STRLEN];

	(void)state;
	assert_non_null(n);
	assert_int_equal(n->n_pod_cidrs, 2);
	assert_string_equal(rs_cidr_str(&n->pod_cidrs[0], buf), "10.1.0.0/24");
	assert_int_equal(n->n_addrs, 2);
	rs_store_free(s);
	s = try_good(
		"apiVersion: v1\nkind: Node\nmetadata: {name: n1}\nspec: {podCIDR: 10.9.0.0/24}\n",
		false, RS_ADMIT_STRICT);
	assert_int_equal(rs_store_node(s, "n1")->n_pod_cidrs, 1);
	rs_store_free(s);
	try_bad("apiVersion: v1\nkind: Node\nmetadata: {name: n1}\nspec: {podCIDRs: [x]}\n", false,
		"f:4:19: Node n1: spec.podCIDRs[0]: \"x\" is not a CIDR (address/length)");
}

static void json_c_objects(void **state)
{
	static const char text[] =
		"{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"items\":[{\"metadata\":"
		"{\"name\":\"a\",\"namespace\":\"default\",\"labels\":{\"k\":\"v\"},"
		"\"annotations\":{\"z\":\"a\\u0000b\"}},\"spec\":{\"hostNetwork\":true,"
		"\"containers\":[{\"ports\":[{\"name\":\"w\",\"containerPort\":80}]}]}}]}";
	struct json_object *o = json_tokener_parse(text);
	struct rs_store *s = rs_store_new();
	rs_auto_err err = { 0 };

	(void)state;
	assert_int_equal(rs_decode_json(s, "pods", o, RS_ADMIT_LENIENT, &err), 0);
	assert_true(the_pod(s)->host_network);
	assert_null(the_pod(s)->meta.pos.file);
	assert_int_equal(the_pod(s)->ports[0].port, 80);
	assert_string_equal(rs_labels_get(&the_pod(s)->meta.labels, "k"), "v");
	json_object_put(o);
	o = json_tokener_parse("{\"kind\":\"Pod\",\"apiVersion\":\"v1\"}");
	assert_true(rs_decode_json(s, "pods", o, RS_ADMIT_STRICT, &err) < 0);
	assert_string_equal(rs_err_str(&err), "pods: Pod: metadata.name: the name is missing");
	json_object_put(o);
	rs_store_free(s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(C17_restartable_init_containers_count),
		cmocka_unit_test(E_29_all_pod_ips),
		cmocka_unit_test(F4_F5_phase_and_deletion),
		cmocka_unit_test(pod_fields),
		cmocka_unit_test(G1_names),
		cmocka_unit_test(G3_null_wherever_a_list_or_map_can_be),
		cmocka_unit_test(G8_messages_are_safe_for_a_terminal),
		cmocka_unit_test(XB8_bad_address_costs_only_itself_under_lenient),
		cmocka_unit_test(XB9_bad_object_costs_only_itself_under_lenient),
		cmocka_unit_test(labels_are_read_as_kubernetes_reads_them),
		cmocka_unit_test(misspelled_metadata_warns),
		cmocka_unit_test(lists_are_unrolled),
		cmocka_unit_test(unknown_kinds_are_counted),
		cmocka_unit_test(one_name_twice_is_refused),
		cmocka_unit_test(node_fields),
		cmocka_unit_test(json_c_objects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
