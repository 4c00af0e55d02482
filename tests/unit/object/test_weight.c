// SPDX-License-Identifier: Apache-2.0
/* test_weight.c - large objects, and what of an object is kept: measured on the heap. */
#include <malloc.h>

#include "decode_try.h"

#define PEERS 10000
#define NOISE (1024 * 1024)
#define SLACK 256 /* what the allocator may round up */

/* Of the sanitizers' allocator, which mallinfo2() does not see. */
extern size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t heap_now(void)
{
	struct mallinfo2 m;

	if (__sanitizer_get_current_allocated_bytes)
		return __sanitizer_get_current_allocated_bytes();
	m = mallinfo2();
	return m.uordblks + m.hblkhd;
}

/* What a store with this text holds on to. */
static size_t weight(const char *text)
{
	size_t before = heap_now(), after;
	struct rs_store *s = try_good(text, true, RS_ADMIT_LENIENT);

	after = heap_now();
	rs_store_free(s);
	assert_true(after > before);
	return after - before;
}

static char *noise(size_t n)
{
	char *s = rs_calloc(1, n + 1);

	memset(s, 'x', n);
	return s;
}

#define LABELS "\"name\":\"web\",\"namespace\":\"shop\",\"labels\":{\"app\":\"web\",\"t\":\"x\"}"
#define SPEC "\"spec\":{\"nodeName\":\"n1\",\"containers\":[{\"name\":\"c\",\"ports\":[" \
	     "{\"name\":\"http\",\"containerPort\":8080}]%s}]%s}"
#define STATUS "\"status\":{\"phase\":\"Running\",\"podIP\":\"10.0.0.1\"," \
	       "\"podIPs\":[{\"ip\":\"10.0.0.1\"},{\"ip\":\"fd00::1\"}]%s}"
#define POD(meta, container, spec, status)                                              \
	rs_asprintf("{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{" LABELS "%s}," SPEC \
		    "," STATUS "}",                                                         \
		    meta, container, spec, status)

static void G9_managed_fields_are_not_kept(void **state)
{
	rs_autofree char *much = noise(NOISE);
	rs_autofree char *fields = rs_asprintf(
		",\"managedFields\":[{\"manager\":\"kubelet\",\"operation\":\"Update\","
		"\"fieldsV1\":{\"f:spec\":{\"f:%s\":{\"f:x\":[{}]}}}}]",
		much);
	rs_autofree char *lean = POD("", "", "", ""), *fat = POD(fields, "", "", "");
	rs_autofree char *label = rs_asprintf(",\"uid\":\"%s\"", much);
	rs_autofree char *kept = POD(label, "", "", "");
	size_t base;

	(void)state;
	weight(lean); /* what the first one of a process allocates for good */
	base = weight(lean);
	printf("     a pod: %zu bytes; its text with managedFields: %zu\n", base, strlen(fat));
	assert_true(strlen(fat) > NOISE);
	assert_true(weight(fat) <= base + SLACK);
	/* control: what is kept is seen */
	assert_true(weight(kept) >= NOISE);
}

static void G10_only_what_rules_need_is_kept(void **state)
{
	rs_autofree char *much = noise(10000);
	rs_autofree char *meta = rs_asprintf(
		",\"annotations\":{\"a\":\"%s\"},\"finalizers\":[\"%s\"],\"generateName\":\"%s\"",
		much, much, much);
	rs_autofree char *container = rs_asprintf(
		",\"image\":\"%s\",\"env\":[{\"name\":\"PASSWORD\",\"value\":\"%s\"}],\"args\":"
		"[\"%s\"],\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"%s\"}]",
		much, much, much, much);
	rs_autofree char *spec = rs_asprintf(
		",\"volumes\":[{\"name\":\"%s\"}],\"tolerations\":[{\"key\":\"%s\"}],"
		"\"serviceAccountName\":\"%s\"",
		much, much, much);
	rs_autofree char *status = rs_asprintf(
		",\"hostIP\":\"192.0.2.1\",\"conditions\":[{\"type\":\"%s\"}],"
		"\"containerStatuses\":[{\"name\":\"c\",\"imageID\":\"%s\"}]",
		much, much);
	rs_autofree char *lean = POD("", "", "", "");
	rs_autofree char *fat = POD(meta, container, spec, status);
	struct rs_store *s = try_good(fat, true, RS_ADMIT_LENIENT);
	const struct rs_pod *p = rs_store_pod(s, "shop", "web");

	(void)state;
	assert_non_null(p);
	assert_string_equal(rs_labels_get(&p->meta.labels, "app"), "web");
	assert_int_equal(p->meta.labels.n, 2);
	assert_string_equal(p->node, "n1");
	assert_int_equal(p->n_ips, 2);
	assert_int_equal(p->phase, RS_PHASE_RUNNING);
	assert_int_equal(p->n_ports, 1);
	assert_string_equal(p->ports[0].name, "http");
	assert_int_equal(p->ports[0].port, 8080);
	rs_store_free(s);
	assert_true(strlen(fat) > 100000);
	assert_true(weight(fat) <= weight(lean) + SLACK);
}

/* ---- many objects ---------------------------------------------------------------------------- */

#define MANY 1000

/* Of a template, as controllers make them: one label of its own each. */
static char *pods_of_a_template(void)
{
	struct rs_strbuf b = { 0 };

	rs_strbuf_puts(&b, "{\"kind\":\"List\",\"apiVersion\":\"v1\",\"items\":[");
	for (int i = 0; i < MANY; i++)
		rs_strbuf_printf(
			&b,
			"%s{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"namespace\":"
			"\"shop-%d\",\"name\":\"web-6d4cf56db6-%05d\",\"uid\":"
			"\"0b1e5a1c-5f0a-4c5e-9d0e-1b2c3d4e%04d\",\"resourceVersion\":\"%d\","
			"\"labels\":{\"app.kubernetes.io/name\":\"web\",\"app.kubernetes.io/"
			"part-of\":\"shop\",\"pod-template-hash\":\"6d4cf56db6\",\"id\":\"%d\"},"
			"\"ownerReferences\":[{\"controller\":true,\"kind\":\"ReplicaSet\",\"name\":"
			"\"web-6d4cf56db6\"}]},\"spec\":{\"nodeName\":\"node-%d.example.net\","
			"\"containers\":[{\"name\":\"c\",\"ports\":[{\"name\":\"http\","
			"\"containerPort\":8080},{\"name\":\"metrics\",\"containerPort\":9100}]}]},"
			"\"status\":{\"phase\":\"Running\",\"podIPs\":[{\"ip\":\"10.0.%d.%d\"}]}}",
			i ? "," : "", i % 10, i, i, 100000 + i, i, i % 20, i >> 8, i & 255);
	rs_strbuf_puts(&b, "]}");
	return rs_strbuf_steal(&b);
}

static char *policies(void)
{
	struct rs_strbuf b = { 0 };

	rs_strbuf_puts(&b, "{\"kind\":\"List\",\"apiVersion\":\"v1\",\"items\":[");
	for (int i = 0; i < MANY; i++)
		rs_strbuf_printf(
			&b,
			"%s{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\","
			"\"metadata\":{\"namespace\":\"shop-%d\",\"name\":\"policy-%d\"},"
			"\"spec\":{\"podSelector\":{\"matchLabels\":{\"app\":\"web\"}},"
			"\"ingress\":[{\"from\":[{\"podSelector\":{\"matchLabels\":{\"app\":"
			"\"api\"}}},{\"namespaceSelector\":{\"matchExpressions\":[{\"key\":"
			"\"kubernetes.io/metadata.name\",\"operator\":\"In\",\"values\":[\"a\",\"b\","
			"\"c\"]}]},\"podSelector\":{\"matchLabels\":{\"tier\":\"be\"}}}],\"ports\":"
			"[{\"port\":\"http\"},{\"port\":%d}]}]}}",
			i ? "," : "", i % 10, i, 1000 + i);
	rs_strbuf_puts(&b, "]}");
	return rs_strbuf_steal(&b);
}

/* What one more object costs in a large cluster: less than half of an allocation for every
 * string. */
static void what_one_more_costs(void **state)
{
	rs_autofree char *pods = pods_of_a_template(), *rules = policies();
	size_t pod = weight(pods) / MANY, policy = weight(rules) / MANY;

	(void)state;
	printf("     one of %d pods: %zu bytes; one of %d policies: %zu\n", MANY, pod, MANY,
	       policy);
	assert_true(pod <= 450);
	assert_true(policy <= 900);
}

/* Words that many share are no less released with the last of them. */
static void all_of_it_is_given_back(void **state)
{
	rs_autofree char *pods = pods_of_a_template(), *rules = policies();
	size_t before;

	(void)state;
	weight(pods); /* what the first ones of a process allocate for good */
	weight(rules);
	before = heap_now();
	for (int i = 0; i < 4; i++) {
		weight(pods);
		weight(rules);
	}
	/* The allocator keeps some small pieces for itself; a word of each would be more. */
	assert_true(heap_now() < before + 16 * MANY);
}

/* 10,000 peers with excepts: as large as etcd lets an object be. */
static char *large_policy(void)
{
	rs_auto_strbuf b = { 0 };
	int i;

	rs_strbuf_puts(&b, "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\","
			   "\"metadata\":{\"name\":\"large\",\"namespace\":\"shop\"},\"spec\":{"
			   "\"podSelector\":{},\"policyTypes\":[\"Ingress\"],\"ingress\":[{"
			   "\"from\":[");
	for (i = 0; i < PEERS; i++)
		rs_strbuf_printf(&b,
				 "%s{ \"ipBlock\" : { \"cidr\":\"100.%d.%d.0/24\",\"except\":["
				 "\"100.%d.%d.0/28\",\"100.%d.%d.64/28\",\"100.%d.%d.128/28\","
				 "\"100.%d.%d.192/28\",\"100.%d.%d.240/28\"]}}",
				 i ? ",\n      " : "", i >> 8, i & 255, i >> 8, i & 255, i >> 8, i & 255,
				 i >> 8, i & 255, i >> 8, i & 255, i >> 8, i & 255);
	rs_strbuf_puts(&b, "]}]}}");
	return rs_strbuf_steal(&b);
}

static void G4_an_object_as_large_as_etcd_holds(void **state)
{
	rs_autofree char *text = large_policy();
	struct rs_store *s = try_good(text, true, RS_ADMIT_STRICT);
	const struct rs_policy *p = rs_store_policy(s, "shop", "large");
	struct rs_cidr last;

	(void)state;
	printf("     %zu bytes of text, %d peers\n", strlen(text), PEERS);
	assert_true(strlen(text) > 1500 * 1000);
	assert_non_null(p);
	assert_int_equal(p->n_rules[RS_INGRESS], 1);
	assert_int_equal(p->rules[RS_INGRESS][0].n_peers, PEERS);
	assert_int_equal(rs_cidr_parse("100.39.15.0/24", &last, NULL, NULL), 0);
	assert_int_equal(
		rs_cidr_cmp(&p->rules[RS_INGRESS][0].peers[PEERS - 1].block.cidr, &last), 0);
	assert_int_equal(p->rules[RS_INGRESS][0].peers[PEERS - 1].block.n_except, 5);
	rs_store_free(s);
}

static void G4_what_is_beyond_the_bounds_is_refused(void **state)
{
	rs_autofree char *deep = noise(4 * RS_DOC_MAX_DEPTH);
	rs_autofree char *text = NULL;

	(void)state;
	memset(deep, '[', strlen(deep));
	text = rs_asprintf("{\"kind\":\"Pod\",\"metadata\":%s", deep);
	try_bad(text, true, "f:1:89: nested more than 64 levels deep");
}

static void G11_protobuf_is_no_json(void **state)
{
	/* a Pod as an API server sends it to those who ask for application/vnd.kubernetes.protobuf */
	static const char body[] = "k8s\0\n\t\n\2v1\022\3Pod\022\026\n\024\n\3web\022\0\032\4shop\"\0*\0";
	int json;

	(void)state;
	for (json = 0; json < 2; json++) {
		struct rs_store *s = rs_store_new();
		rs_auto_err err = { 0 };
		size_t n;

		assert_true(rs_decode_text(s, "f", body, sizeof(body) - 1, json, RS_ADMIT_LENIENT,
					   &err) < 0);
		assert_string_equal(rs_err_str(&err),
				    "f:1:1: this is protobuf: ask for application/json");
		rs_store_pods(s, &n);
		assert_int_equal(n, 0);
		rs_store_free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(G4_an_object_as_large_as_etcd_holds),
		cmocka_unit_test(G4_what_is_beyond_the_bounds_is_refused),
		cmocka_unit_test(G9_managed_fields_are_not_kept),
		cmocka_unit_test(G10_only_what_rules_need_is_kept),
		cmocka_unit_test(what_one_more_costs),
		cmocka_unit_test(all_of_it_is_given_back),
		cmocka_unit_test(G11_protobuf_is_no_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
