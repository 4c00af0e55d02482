// SPDX-License-Identifier: Apache-2.0
/* test_encode.c - what rs_encode() writes, rs_decode_encoded() reads back equal: every golden case,
 * and objects with every fault that is taken from an API server. */
#include "decode_try.h"

#include <glob.h>

#include "base/file.h"
#include "base/jsonio.h"
#include "object/encode.h"
#include "object/object_equal.h"
#include "object/store.h"

#define MAX_TEXT (8 * RS_MIB)

/* All of s through JSON text, as it crosses the control socket. */
static struct rs_store *again(const struct rs_store *s)
{
	struct rs_store *out = rs_store_new();

	for (int k = 0; k < RS_KINDS; k++) {
		size_t n;
		const struct rs_meta *const *v = rs_store_metas(s, (enum rs_kind)k, &n);

		for (size_t i = 0; i < n; i++) {
			rs_autojson struct json_object *o = rs_encode((enum rs_kind)k, v[i]);
			rs_autojson struct json_object *parsed = NULL;
			rs_autofree char *text = rs_json_print(o);
			rs_auto_err err = { 0 };

			if (rs_json_parse(text, strlen(text), 32, &parsed, &err) < 0 ||
			    rs_decode_encoded(out, "again", parsed, &err) < 0)
				fail_msg("%s: %s", rs_err_str(&err), text);
		}
	}
	return out;
}

static bool same_object(enum rs_kind kind, const void *a, const void *b)
{
	switch (kind) {
	case RS_KIND_NAMESPACE:
		return rs_namespace_equal(a, b);
	case RS_KIND_POD:
		return rs_pod_equal(a, b);
	case RS_KIND_POLICY:
		return rs_policy_equal(a, b);
	default:
		return rs_node_equal(a, b);
	}
}

/* Equal by the fields and, where a part is invalid, by its reason: what else was read of an invalid
 * part before its fault means nothing. */
static size_t compare(const char *of, const struct rs_store *a, const struct rs_store *b,
		      bool faults)
{
	size_t total = 0;

	for (int k = 0; k < RS_KINDS; k++) {
		size_t n, m;
		const struct rs_meta *const *v = rs_store_metas(a, (enum rs_kind)k, &n);
		const struct rs_meta *const *w = rs_store_metas(b, (enum rs_kind)k, &m);

		assert_int_equal(n, m);
		for (size_t i = 0; i < n; i++) {
			rs_autojson struct json_object *ja = rs_encode((enum rs_kind)k, v[i]);
			rs_autojson struct json_object *jb = rs_encode((enum rs_kind)k, w[i]);
			rs_autofree char *ta = rs_json_print(ja), *tb = rs_json_print(jb);

			assert_string_equal(ta, tb);
			if (!faults && !same_object((enum rs_kind)k, v[i], w[i]))
				fail_msg("%s: %s is not equal: %s", of,
					 rs_kind_name((enum rs_kind)k), ta);
		}
		total += n;
	}
	return total;
}

static size_t round_trip(const char *path)
{
	struct rs_store *s = rs_store_new(), *t;
	rs_autofree char *text = NULL;
	rs_auto_err err = { 0 };
	size_t len, n;
	bool strict = true;

	assert_int_equal(rs_file_read(path, MAX_TEXT, &text, &len, &err), 0);
	if (rs_decode_text(s, path, text, len, false, RS_ADMIT_STRICT, &err) < 0) {
		/* A case whose objects have faults. */
		strict = false;
		rs_store_free(s);
		s = rs_store_new();
		rs_err_clear(&err);
		if (rs_decode_text(s, path, text, len, false, RS_ADMIT_LENIENT, &err) < 0)
			fail_msg("%s", rs_err_str(&err));
	}
	t = again(s);
	n = compare(path, s, t, !strict);
	rs_store_free(s);
	rs_store_free(t);
	return n;
}

static void golden_objects_come_back(void **state)
{
	size_t total = 0;
	glob_t g = { 0 };

	(void)state;
	assert_int_equal(glob("tests/golden/*/objects*.yaml", 0, NULL, &g), 0);
	assert_true(g.gl_pathc > 150);
	for (size_t i = 0; i < g.gl_pathc; i++)
		total += round_trip(g.gl_pathv[i]);
	assert_true(total > 1000);
	globfree(&g);
}

static const char faulty[] =
	"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
	"metadata: {name: p, namespace: x, uid: u-1, generation: 7, resourceVersion: '12',\n"
	"  deletionTimestamp: '2026-01-01T00:00:00Z', labels: {BAD KEY: v}}\n"
	"spec:\n"
	"  podSelector: {matchExpressions: [{key: a, operator: Near}]}\n"
	"  policyTypes: [Ingress, Sideways]\n"
	"  ingress:\n"
	"  - ports: [{protocol: ICMP}, {port: 80, endPort: 70}, {port: web}, {port: 1, endPort: "
	"9},\n"
	"            {protocol: SCTP}]\n"
	"    from: [{}, {podSelector: {matchLabels: {'-': x}}}, {ipBlock: {cidr: nonsense}},\n"
	"           {namespaceSelector: {}, podSelector: {matchLabels: {b: '', a: x}}},\n"
	"           {ipBlock: {cidr: '::/0', except: ['fd00::/8']}}]\n"
	"  - from: 7\n"
	"  - {}\n"
	"---\n"
	"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
	"metadata: {name: q, namespace: x}\nspec: 7\n"
	"---\n"
	"apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: x, annotations:\n"
	"  {kubernetes.io/config.hash: h}, ownerReferences: [{kind: Job, name: old},\n"
	"  {kind: ReplicaSet, name: web-1, controller: true}]}\n"
	"spec: {nodeName: n-1, hostNetwork: true, containers: [{ports: [{name: web, containerPort: "
	"80},\n"
	"  {name: dns, containerPort: 53, protocol: UDP}, {containerPort: 9}]}]}\n"
	"status: {phase: Running, podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}]}\n"
	"---\n"
	"apiVersion: v1\nkind: Node\nmetadata: {name: n-1}\n"
	"spec: {podCIDRs: [10.0.0.0/24, 'fd00::/64']}\n"
	"status: {addresses: [{type: ExternalIP, address: 192.0.2.1}, {type: Hostname, address: "
	"n},\n"
	"  {type: InternalIP, address: 10.9.0.1}]}\n";

static void faults_come_back_with_their_reasons(void **state)
{
	struct rs_store *s = try_good(faulty, false, RS_ADMIT_LENIENT), *t = again(s);
	const struct rs_policy *p = rs_store_policy(t, "x", "p");
	const struct rs_policy *q = rs_store_policy(t, "x", "q");
	const struct rs_rule *r = p->rules[RS_INGRESS];

	(void)state;
	compare("faulty", s, t, true);
	assert_true(p->subject_invalid && p->subject.invalid && p->meta.deleting);
	assert_string_equal(p->subject.why, rs_store_policy(s, "x", "p")->subject.why);
	assert_true(p->isolates[RS_INGRESS] && p->isolates[RS_EGRESS]);
	assert_int_equal(p->n_rules[RS_INGRESS], 3);
	assert_true(r[0].ports[0].invalid && r[0].ports[1].invalid && !r[0].ports[2].invalid);
	assert_true(strstr(r[0].ports[0].why, "ICMP") != NULL);
	assert_true(r[0].peers[0].invalid && r[0].peers[1].invalid && r[0].peers[2].invalid);
	assert_false(r[0].peers[3].invalid || r[0].peers[4].invalid);
	/* A rule that nobody could read allows nobody; an empty one everybody. */
	assert_true(!r[1].any_peer && !r[1].n_peers && !r[1].any_port && !r[1].n_ports);
	assert_true(r[2].any_peer && r[2].any_port);
	assert_true(q->subject_invalid && q->isolates[RS_INGRESS] && q->isolates[RS_EGRESS]);
	assert_true(rs_pod_equal(rs_store_pod(s, "x", "a"), rs_store_pod(t, "x", "a")));
	assert_string_equal(rs_store_pod(t, "x", "a")->owner_name, "web-1");
	assert_true(rs_node_equal(rs_store_node(s, "n-1"), rs_store_node(t, "n-1")));
	rs_store_free(s);
	rs_store_free(t);
}

/* The word for a fault is ours alone: from a file or an API server it is a field like any other. */
static void only_we_may_say_invalid(void **state)
{
	static const char text[] =
		"{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\","
		"\"metadata\":{\"name\":\"p\",\"namespace\":\"x\"},\"spec\":{\"podSelector\":"
		"{\"" RS_ENCODED_FAULT "\":\"no\"},\"ingress\":[{\"" RS_ENCODED_FAULT
		"\":\"no\"}]}}";
	struct rs_store *s = try_good(text, true, RS_ADMIT_LENIENT);
	const struct rs_policy *p = rs_store_policy(s, "x", "p");

	(void)state;
	assert_false(p->subject_invalid);
	assert_true(p->rules[RS_INGRESS][0].any_peer);
	rs_store_free(s);
	try_bad(text, true,
		"f:1:124: NetworkPolicy x/p: spec.podSelector: unknown field "
		"\"" RS_ENCODED_FAULT "\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_objects_come_back),
		cmocka_unit_test(faults_come_back_with_their_reasons),
		cmocka_unit_test(only_we_may_say_invalid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
