// SPDX-License-Identifier: Apache-2.0
/* test_packed.c - objects say the same packed as loose; words are shared; tables of many objects. */
#include "decode_try.h"

#include "base/jsonio.h"
#include "object/decode.h"
#include "object/object_encode.h"
#include "object/object_equal.h"
#include "object/packed.h"
#include "object/store.h"
#include "object/wordpool.h"

static const char pod_text[] =
	"apiVersion: v1\nkind: Pod\nmetadata: {name: web-0, namespace: shop, uid: u-1, "
	"resourceVersion: \"77\", labels: {app: web, empty: \"\", tier: be, "
	"statefulset.kubernetes.io/pod-name: web-0}, annotations: {kubernetes.io/config.hash: "
	"c-1}, "
	"ownerReferences: [{controller: true, kind: StatefulSet, name: web}]}\n"
	"spec: {nodeName: n-1, containers: [{ports: [{name: http, containerPort: 80}, "
	"{name: dns, containerPort: 53, protocol: UDP}]}]}\n"
	"status: {phase: Running, podIPs: [{ip: 10.0.0.1}, {ip: \"fd00::1\"}]}\n";

/* Every kind of part, and every fault that is taken. */
static const char policy_text[] =
	"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
	"metadata: {name: p, namespace: shop, uid: u-2, labels: {team: a}}\n"
	"spec:\n"
	"  podSelector: {matchLabels: {app: web}, matchExpressions: [{key: tier, operator: NotIn, "
	"values: [a, b, c]}, {key: x, operator: Exists}]}\n"
	"  policyTypes: [Ingress, Egress]\n"
	"  ingress:\n"
	"  - from: [{podSelector: {}}, {namespaceSelector: {matchLabels: {team: a}}, podSelector: "
	"{matchLabels: {app: api}}}, {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16, "
	"10.2.0.0/16]}}, {}, {podSelector: {matchExpressions: [{key: k, operator: Odd}]}}]\n"
	"    ports: [{port: 80}, {port: http}, {port: 1, endPort: 9}, {protocol: GRE}]\n"
	"  - {}\n"
	"  egress: [{to: [{ipBlock: {cidr: \"fd00::/8\"}}]}, {ports: [{port: 53, protocol: "
	"UDP}]}]\n";

static const char node_text[] =
	"apiVersion: v1\nkind: Node\nmetadata: {name: n-1, uid: u-3, labels: {zone: z-1}}\n"
	"spec: {podCIDRs: [10.0.0.0/24, \"fd00::/64\"]}\n"
	"status: {addresses: [{type: InternalIP, address: 192.0.2.1}]}\n";

/* As the decoder makes it: an allocation for every string. The file is the store's. */
static void *loose(struct rs_store *s, enum rs_kind kind, const char *text)
{
	struct rs_dec d = { .store = s, .label = "f", .admit = RS_ADMIT_LENIENT, .kind = "it" };
	struct rs_doc_reader *r = NULL;
	const struct rs_doc_node *doc;
	struct rs_at root = { 0 };
	rs_auto_err err = { 0 };
	void *o = NULL;
	int rc = -1;

	d.file = rs_store_file(s, "f");
	assert_int_equal(rs_doc_open("f", text, strlen(text), RS_DOC_YAML, false, &r, &err), 0);
	assert_int_equal(rs_doc_next(r, &doc, &err), 1);
	root.node = doc;
	root.pos = doc->pos;
	if (kind == RS_KIND_POD)
		rc = rs_dec_pod(&d, &root, o = rs_new(struct rs_pod));
	else if (kind == RS_KIND_POLICY)
		rc = rs_dec_policy(&d, &root, o = rs_new(struct rs_policy));
	else if (kind == RS_KIND_NODE)
		rc = rs_dec_node(&d, &root, o = rs_new(struct rs_node));
	assert_int_equal(rc, 0);
	rs_doc_close(r);
	return o;
}

static char *encoded(enum rs_kind kind, const struct rs_meta *m)
{
	rs_autojson struct json_object *o = rs_encode(kind, m);

	return rs_json_print(o);
}

static bool equal(enum rs_kind kind, const void *a, const void *b)
{
	if (kind == RS_KIND_POD)
		return rs_pod_equal(a, b);
	return kind == RS_KIND_POLICY ? rs_policy_equal(a, b) : rs_node_equal(a, b);
}

static void packed_says_the_same(void **state)
{
	static const struct {
		enum rs_kind kind;
		const char *text;
	} cases[] = { { RS_KIND_POD, pod_text },
		      { RS_KIND_POLICY, policy_text },
		      { RS_KIND_NODE, node_text } };
	struct rs_store *files = rs_store_new();

	(void)state;
	for (size_t i = 0; i < RS_ARRAY_SIZE(cases); i++) {
		enum rs_kind kind = cases[i].kind;
		struct rs_meta *was = loose(files, kind, cases[i].text);
		struct rs_meta *now = rs_object_pack(kind, loose(files, kind, cases[i].text));
		rs_autofree char *a = encoded(kind, was), *b = encoded(kind, now);

		assert_false(was->packed);
		assert_true(now->packed);
		assert_string_equal(a, b);
		assert_true(equal(kind, was, now));
		assert_int_equal(was->pos.line, now->pos.line);
		/* Again is once. */
		assert_ptr_equal(rs_object_pack(kind, now), now);
		rs_object_free(kind, was);
		rs_object_free(kind, now);
	}
	rs_store_free(files);
}

/* What is no part of the object for others to compare, but for people to read. */
static void reasons_and_places_are_kept(void **state)
{
	struct rs_store *s = try_good(policy_text, false, RS_ADMIT_LENIENT);
	const struct rs_rule *r = rs_store_policy(s, "shop", "p")->rules[RS_INGRESS];

	(void)state;
	assert_string_equal(r->peers[3].why, "spec.ingress[0].from[3]: a peer needs podSelector, "
					     "namespaceSelector or ipBlock");
	assert_true(r->peers[4].pod_selector.invalid);
	assert_non_null(strstr(r->peers[4].pod_selector.why, "\"Odd\" is not an operator"));
	assert_non_null(strstr(r->ports[3].why, "\"GRE\" is not a protocol"));
	assert_int_equal(r->ports[2].pos.line, 9);
	assert_string_equal(r->ports[2].pos.file, "f");
	rs_store_free(s);
}

static void words_are_one_pointer(void **state)
{
	struct rs_store *a = try_good(pod_text, false, RS_ADMIT_LENIENT);
	struct rs_store *b = try_good(pod_text, false, RS_ADMIT_LENIENT);
	const struct rs_pod *p = rs_store_pod(a, "shop", "web-0");
	const struct rs_pod *q = rs_store_pod(b, "shop", "web-0");

	(void)state;
	for (size_t i = 0; i < p->meta.labels.n; i++)
		assert_ptr_equal(p->meta.labels.v[i].key, q->meta.labels.v[i].key);
	assert_ptr_equal(rs_labels_get(&p->meta.labels, "app"),
			 rs_labels_get(&q->meta.labels, "app"));
	assert_ptr_equal(p->meta.ns, q->meta.ns);
	assert_ptr_equal(p->node, q->node);
	assert_ptr_equal(p->ports[0].name, q->ports[0].name);
	/* Its own name needs no second copy. */
	assert_ptr_equal(rs_labels_get(&p->meta.labels, "statefulset.kubernetes.io/pod-name"),
			 p->meta.name);
	/* They outlive who brought them. */
	rs_store_free(a);
	assert_string_equal(q->meta.ns, "shop");
	assert_string_equal(rs_labels_get(&q->meta.labels, "app"), "web");
	assert_string_equal(rs_labels_get(&q->meta.labels, "empty"), "");
	assert_string_equal(q->owner_kind, "StatefulSet");
	rs_store_free(b);
}

static void many_words(void **state)
{
	enum {
		N = 3000
	};
	char *held[N];
	size_t i;

	(void)state;
	for (i = 0; i < N; i++) {
		rs_autofree char *text = rs_asprintf("word-%zu", i % (N / 2));

		held[i] = rs_word_take(text);
		assert_string_equal(held[i], text);
		assert_ptr_not_equal(held[i], text);
	}
	for (i = 0; i < N / 2; i++) {
		assert_ptr_equal(held[i], held[i + N / 2]);
		rs_word_drop(held[i]);
	}
	for (i = N / 2; i < N; i++) {
		rs_autofree char *text = rs_asprintf("word-%zu", i % (N / 2));

		assert_string_equal(held[i], text);
		rs_word_drop(held[i]);
	}
	assert_null(rs_word_take(NULL));
	rs_word_drop(NULL);
}

/* ---- many objects ---------------------------------------------------------------------------- */

#define NAMES 700
#define STEPS 20000

static void put_pod(struct rs_store *s, unsigned int i, int line)
{
	struct rs_pod *p = rs_new(struct rs_pod);

	p->meta.ns = rs_asprintf("ns-%u", i % 7);
	p->meta.name = rs_asprintf("pod-%u", i);
	p->meta.pos.line = line;
	rs_store_put_pod(s, p);
}

static void check_all(const struct rs_store *s, const int *line)
{
	const struct rs_pod *const *v;
	size_t n, want = 0;

	for (unsigned int i = 0; i < NAMES; i++) {
		rs_autofree char *ns = rs_asprintf("ns-%u", i % 7);
		rs_autofree char *name = rs_asprintf("pod-%u", i);
		const struct rs_pod *p = rs_store_pod(s, ns, name);

		assert_int_equal(p ? p->meta.pos.line : 0, line[i]);
		want += line[i] != 0;
	}
	v = rs_store_pods(s, &n);
	assert_int_equal(n, want);
	for (size_t i = 1; i < n; i++) {
		int d = strcmp(v[i - 1]->meta.ns, v[i]->meta.ns);

		assert_true(d < 0 || (d == 0 && strcmp(v[i - 1]->meta.name, v[i]->meta.name) < 0));
	}
}

/* Against a list that is too simple to be wrong. */
static void objects_come_and_go(void **state)
{
	struct rs_store *s = rs_store_new();
	static int line[NAMES];
	unsigned int seed = 1;

	(void)state;
	for (int step = 1; step <= STEPS; step++) {
		unsigned int i, what;

		seed = seed * 1103515245 + 12345;
		i = (seed >> 8) % NAMES;
		what = (seed >> 20) % (step / 4000 % 2 ? 4 : 2); /* it grows and shrinks */
		if (!what) {
			put_pod(s, i, step);
			line[i] = step;
		} else {
			rs_autofree char *ns = rs_asprintf("ns-%u", i % 7);
			rs_autofree char *name = rs_asprintf("pod-%u", i);

			assert_int_equal(rs_store_del(s, RS_KIND_POD, ns, name), line[i] != 0);
			line[i] = 0;
		}
		if (step % 1000 == 0)
			check_all(s, line);
	}
	rs_store_free(s);
}

static void a_sweep_leaves_what_is_marked(void **state)
{
	struct rs_store *s = rs_store_new();
	static int line[NAMES];
	size_t n;

	(void)state;
	for (unsigned int i = 0; i < NAMES; i++) {
		rs_autofree char *ns = rs_asprintf("ns-%u", i % 7);
		rs_autofree char *name = rs_asprintf("pod-%u", i);

		put_pod(s, i, 1);
		line[i] = i % 3 == 0;
		if (line[i])
			rs_store_mark(s, RS_KIND_POD, ns, name, 5);
	}
	assert_true(rs_store_sweep(s, RS_KIND_POD, 5));
	check_all(s, line);
	assert_false(rs_store_sweep(s, RS_KIND_POD, 5));
	assert_true(rs_store_sweep(s, RS_KIND_POD, 6));
	rs_store_pods(s, &n);
	assert_int_equal(n, 0);
	rs_store_free(s);
}

/* Cluster-scoped kinds have no namespace; a name is not two because a slash stands in it. */
static void a_namespace_is_no_part_of_a_name(void **state)
{
	struct rs_store *s = rs_store_new();
	struct rs_pod *p = rs_new(struct rs_pod);

	(void)state;
	p->meta.ns = rs_strdup("a");
	p->meta.name = rs_strdup("b");
	rs_store_put_pod(s, p);
	assert_non_null(rs_store_pod(s, "a", "b"));
	assert_null(rs_store_find(s, RS_KIND_POD, NULL, "a/b"));
	assert_null(rs_store_find(s, RS_KIND_POD, "", "a/b"));
	assert_null(rs_store_find(s, RS_KIND_POD, "a", ""));
	assert_null(rs_store_find(s, RS_KIND_NODE, NULL, "b"));
	rs_store_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packed_says_the_same),
		cmocka_unit_test(reasons_and_places_are_kept),
		cmocka_unit_test(words_are_one_pointer),
		cmocka_unit_test(many_words),
		cmocka_unit_test(objects_come_and_go),
		cmocka_unit_test(a_sweep_leaves_what_is_marked),
		cmocka_unit_test(a_namespace_is_no_part_of_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
