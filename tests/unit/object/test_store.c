// SPDX-License-Identifier: Apache-2.0
/* test_store.c - objects by name, sorted views, what counts as a change, a folder's namespaces. */
#include "decode_try.h"

#include "object/store.h"

#define POD(rest) "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: x, uid: u, " rest
#define POLICY(rest)                                              \
	"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n" \
	"metadata: {name: p, namespace: x}\nspec:\n" rest

/* Whether decoding b over a is a change of what Ripstop reads. */
static bool changes(const char *a, const char *b)
{
	struct rs_store *s = try_good(a, false, RS_ADMIT_LENIENT);
	uint64_t before = rs_store_revision(s);
	rs_auto_err err = { 0 };
	bool changed;

	assert_int_equal(rs_decode_text(s, "g", b, strlen(b), false, RS_ADMIT_LENIENT, &err), 0);
	changed = rs_store_revision(s) != before;
	rs_store_free(s);
	return changed;
}

static void a_change_is_what_ripstop_reads(void **state)
{
	static const char pod[] = POD("resourceVersion: \"1\"}\nspec: {nodeName: n-1}\n");

	(void)state;
	assert_false(changes(pod, pod));
	assert_false(changes(
		pod, POD("resourceVersion: \"2\", generation: 5}\nspec: {nodeName: n-1}\n")));
	assert_false(changes(pod, POD("annotations: {q: r}}\n\n\nspec: {nodeName: n-1}\n")));
	assert_true(changes(pod, POD("labels: {a: b}}\nspec: {nodeName: n-1}\n")));
	assert_true(changes(pod, POD("deletionTimestamp: \"x\"}\nspec: {nodeName: n-1}\n")));
	assert_true(changes(pod, POD("}\nspec: {nodeName: n-2}\n")));
	assert_true(changes(pod, POD("}\nspec: {nodeName: n-1, hostNetwork: true}\n")));
	assert_true(changes(pod, POD("}\nspec: {nodeName: n-1}\nstatus: {podIP: 10.0.0.1}\n")));
	assert_true(changes(pod, POD("}\nspec: {nodeName: n-1}\nstatus: {phase: Failed}\n")));
	assert_true(changes(pod, POD("}\nspec: {nodeName: n-1, containers: [{ports: [{name: web, "
				     "containerPort: 80}]}]}\n")));
}

static void a_change_of_any_part_of_a_policy(void **state)
{
	static const char base[] = POLICY(
		"  podSelector: {matchLabels: {a: b}}\n"
		"  ingress: [{from: [{podSelector: {}}, {ipBlock: {cidr: 10.0.0.0/8, except: "
		"[10.1.0.0/16]}}], ports: [{port: 80}, {port: web}]}]\n");
	static const char *const parts[][2] = {
		{ "{a: b}", "{a: c}" },
		{ "{podSelector: {}}", "{namespaceSelector: {}}" },
		{ "10.0.0.0/8", "10.0.0.0/9" },
		{ "10.1.0.0/16", "10.2.0.0/16" },
		{ "port: 80", "port: 81" },
		{ "port: 80", "port: 80, endPort: 81" },
		{ "port: 80", "port: 80, protocol: UDP" },
		{ "port: web", "port: api" },
		{ "ports:", "ignored:" },
		{ "  ingress", "  policyTypes: [Ingress, Egress]\n  ingress" },
		{ "port: web", "port: WEB" },
	};
	size_t i;

	(void)state;
	assert_false(changes(base, base));
	for (i = 0; i < RS_ARRAY_SIZE(parts); i++) {
		const char *at = strstr(base, parts[i][0]);
		rs_autofree char *other = NULL;

		assert_non_null(at);
		other = rs_asprintf("%.*s%s%s", (int)(at - base), base, parts[i][1],
				    at + strlen(parts[i][0]));
		if (!changes(base, other))
			fail_msg("%s for %s is no change", parts[i][1], parts[i][0]);
	}
}

static void an_equal_object_brings_its_position(void **state)
{
	struct rs_store *s = try_good("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n", false,
				      RS_ADMIT_STRICT);
	struct rs_pod *p = rs_new(struct rs_pod);

	(void)state;
	p->meta.ns = rs_strdup("default");
	p->meta.name = rs_strdup("a");
	p->meta.pos.line = 77;
	assert_false(rs_store_put_pod(s, p));
	assert_int_equal(rs_store_pod(s, "default", "a")->meta.pos.line, 77);
	rs_store_free(s);
}

static struct rs_pod *new_pod(const char *ns, const char *name)
{
	struct rs_pod *p = rs_new(struct rs_pod);

	p->meta.ns = rs_strdup(ns);
	p->meta.name = rs_strdup(name);
	return p;
}

static void views_are_sorted_and_follow(void **state)
{
	struct rs_store *s = rs_store_new();
	const struct rs_pod *const *v;
	size_t n;

	(void)state;
	v = rs_store_pods(s, &n);
	assert_int_equal(n, 0);
	assert_non_null(v);
	rs_store_put_pod(s, new_pod("b", "a"));
	rs_store_put_pod(s, new_pod("a", "z"));
	rs_store_put_pod(s, new_pod("a", "b"));
	v = rs_store_pods(s, &n);
	assert_int_equal(n, 3);
	assert_string_equal(v[0]->meta.name, "b");
	assert_string_equal(v[1]->meta.name, "z");
	assert_string_equal(v[2]->meta.ns, "b");
	assert_true(rs_store_del(s, RS_KIND_POD, "a", "z"));
	assert_false(rs_store_del(s, RS_KIND_POD, "a", "z"));
	rs_store_pods(s, &n);
	assert_int_equal(n, 2);
	assert_null(rs_store_pod(s, "a", "z"));
	assert_int_equal(rs_store_revision(s), 4);
	rs_store_free(s);
}

/* "a/b-c" and "a-b/c" must not meet in one key (semantics G1). */
static void G1_keys_do_not_collide(void **state)
{
	struct rs_store *s = rs_store_new();
	size_t n;

	(void)state;
	rs_store_put_pod(s, new_pod("a", "b-c"));
	rs_store_put_pod(s, new_pod("a-b", "c"));
	rs_store_pods(s, &n);
	assert_int_equal(n, 2);
	rs_store_free(s);
}

static void F15_synced_needs_every_kind(void **state)
{
	struct rs_store *s = rs_store_new();
	int kind;

	(void)state;
	for (kind = 0; kind < RS_KINDS; kind++) {
		assert_false(rs_store_synced(s));
		rs_store_set_synced(s, (enum rs_kind)kind, true);
	}
	assert_true(rs_store_synced(s));
	rs_store_set_synced(s, RS_KIND_POD, false);
	assert_false(rs_store_synced(s));
	rs_store_free(s);
}

static void D10_folder_namespaces(void **state)
{
	struct rs_store *s = try_good(
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: x, labels: {a: b, "
		"kubernetes.io/metadata.name: forged}}\n---\n"
		"apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: used}\n---\n" POLICY(""),
		false, RS_ADMIT_STRICT);
	const struct rs_namespace *used;

	(void)state;
	rs_store_finish_folder(s);
	assert_string_equal(rs_labels_get(&rs_store_namespace(s, "x")->meta.labels,
					  "kubernetes.io/metadata.name"),
			    "x");
	assert_string_equal(rs_labels_get(&rs_store_namespace(s, "x")->meta.labels, "a"), "b");
	assert_false(rs_store_namespace(s, "x")->implied);
	used = rs_store_namespace(s, "used");
	assert_non_null(used);
	assert_true(used->implied);
	assert_int_equal(used->meta.labels.n, 1);
	assert_true(has_warning(s, "without labels of its own: namespace used"));
	rs_store_free(s);
}

static void warnings_are_bounded(void **state)
{
	struct rs_store *s = rs_store_new();
	size_t n;
	int i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		rs_store_warn(s, "w%d", i);
		rs_store_warn(s, "w0");
	}
	for (i = 0; i < 1000; i++)
		rs_store_skip(s, i & 1 ? "A" : "B", "v1");
	rs_store_warnings(s, &n);
	assert_int_equal(n, 201);
	assert_true(has_warning(s, "further warnings are not shown"));
	rs_store_free(s);
}

static void stores_compare_whole(void **state)
{
	static const char text[] = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n";
	struct rs_store *a = try_good(text, false, RS_ADMIT_STRICT);
	struct rs_store *b = try_good(text, false, RS_ADMIT_STRICT);

	(void)state;
	assert_true(rs_store_equal(a, b));
	rs_store_warn(b, "w");
	assert_false(rs_store_equal(a, b));
	rs_store_warn(a, "w");
	rs_store_put_pod(a, new_pod("q", "q"));
	assert_false(rs_store_equal(a, b));
	rs_store_put_pod(b, new_pod("q", "r"));
	assert_false(rs_store_equal(a, b));
	rs_store_free(a);
	rs_store_free(b);
}

static void a_list_takes_the_place_of_a_list_F16(void **state)
{
	struct rs_store *s = rs_store_new(), *staged = rs_store_new();

	(void)state;
	rs_store_put_pod(s, new_pod("a", "kept"));
	rs_store_put_pod(s, new_pod("a", "gone"));
	rs_store_put_pod(staged, new_pod("a", "new"));
	rs_store_warn(staged, "w\\");
	assert_true(rs_store_mark(s, RS_KIND_POD, "a", "kept", 7));
	assert_false(rs_store_mark(s, RS_KIND_POD, "a", "new", 7));
	assert_true(rs_store_move(s, staged, RS_KIND_POD, 7));
	assert_null(rs_store_pod(staged, "a", "new"));
	assert_true(has_warning(s, "w\\\\"));
	assert_non_null(rs_store_pod(s, "a", "gone"));
	assert_true(rs_store_sweep(s, RS_KIND_POD, 7));
	assert_null(rs_store_pod(s, "a", "gone"));
	assert_non_null(rs_store_pod(s, "a", "kept"));
	assert_non_null(rs_store_pod(s, "a", "new"));
	/* The same again changes nothing. */
	rs_store_put_pod(staged, new_pod("a", "new"));
	rs_store_mark(s, RS_KIND_POD, "a", "kept", 8);
	assert_false(rs_store_move(s, staged, RS_KIND_POD, 8));
	assert_false(rs_store_sweep(s, RS_KIND_POD, 8));
	rs_store_free(s);
	rs_store_free(staged);
}

static void expect_change(const struct rs_store *s, uint64_t since, size_t i, const char *name,
			  bool was, bool same)
{
	struct rs_store_change ch = rs_store_change(s, since, i);

	assert_int_equal(ch.kind, RS_KIND_POD);
	assert_string_equal(ch.ns, "a");
	assert_string_equal(ch.name, name);
	assert_int_equal(ch.was != NULL, was);
	assert_int_equal(ch.same, same);
}

/* Who keeps what it made of a store learns what was done to it since, or that nobody knows any more. */
static void changes_are_told_in_their_order(void **state)
{
	struct rs_store *s = rs_store_new(), *other = rs_store_new();
	uint64_t before;
	size_t n;

	(void)state;
	assert_int_not_equal(rs_store_serial(s), rs_store_serial(other));
	rs_store_put_pod(s, new_pod("a", "early"));
	assert_false(rs_store_changes(s, 0, &n));
	for (int k = 0; k < RS_KINDS; k++)
		rs_store_set_synced(s, (enum rs_kind)k, true);
	before = rs_store_sequence(s);
	assert_true(rs_store_changes(s, before, &n));
	assert_int_equal(n, 0);
	rs_store_put_pod(s, new_pod("a", "x"));
	rs_store_put_pod(s, new_pod("a", "x"));
	rs_store_del(s, RS_KIND_POD, "a", "early");
	rs_store_del(s, RS_KIND_POD, "a", "nobody");
	assert_true(rs_store_changes(s, before, &n));
	assert_int_equal(n, 3);
	expect_change(s, before, 0, "x", false, false);
	expect_change(s, before, 1, "x", true, true);
	expect_change(s, before, 2, "early", true, false);
	assert_false(rs_store_changes(s, before - 1, &n));
	assert_false(rs_store_changes(s, before + 4, &n));
	for (unsigned int i = 0; i < RS_STORE_CHANGES - 3; i++)
		rs_store_put_pod(s, new_pod("a", "x"));
	assert_true(rs_store_changes(s, before, &n));
	expect_change(s, before, 2, "early", true, false);
	rs_store_put_pod(s, new_pod("a", "y"));
	assert_false(rs_store_changes(s, before, &n));
	rs_store_free(s);
	rs_store_free(other);
}

/* Every object of the kind once, in order, and the one that the store has now. */
static void expect_view(const struct rs_store *s, size_t expected)
{
	const struct rs_pod *const *v;
	size_t n;

	v = rs_store_pods(s, &n);
	assert_int_equal(n, expected);
	for (size_t i = 0; i < n; i++) {
		int d = i ? strcmp(v[i - 1]->meta.ns, v[i]->meta.ns) : -1;

		assert_true(d < 0 || (!d && strcmp(v[i - 1]->meta.name, v[i]->meta.name) < 0));
		assert_ptr_equal(v[i], rs_store_pod(s, v[i]->meta.ns, v[i]->meta.name));
	}
}

/* Asked after each change, after a few, and after more than a view follows. */
static void views_follow_any_number_of_changes(void **state)
{
	struct rs_store *s = rs_store_new();
	bool there[4][64] = { 0 };
	uint64_t seed = 88172645463325252u;
	size_t count = 0;

	(void)state;
	for (unsigned int round = 0; round < 400; round++) {
		unsigned int n = round % 50 == 49 ? 6000 : 1 + round % 7;

		for (unsigned int i = 0; i < n; i++) {
			char ns[8], name[8];
			bool *is;

			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			is = &there[(seed >> 8) & 3][(seed >> 16) & 63];
			snprintf(ns, sizeof(ns), "n%u", (unsigned int)(seed >> 8) & 3);
			snprintf(name, sizeof(name), "p%u", (unsigned int)(seed >> 16) & 63);
			if (*is && (seed >> 32) % 2) {
				assert_true(rs_store_del(s, RS_KIND_POD, ns, name));
				*is = false;
				count--;
			} else {
				rs_store_put_pod(s, new_pod(ns, name));
				count += !*is;
				*is = true;
			}
		}
		expect_view(s, count);
	}
	rs_store_free(s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_takes_the_place_of_a_list_F16),
		cmocka_unit_test(a_change_is_what_ripstop_reads),
		cmocka_unit_test(a_change_of_any_part_of_a_policy),
		cmocka_unit_test(an_equal_object_brings_its_position),
		cmocka_unit_test(views_are_sorted_and_follow),
		cmocka_unit_test(views_follow_any_number_of_changes),
		cmocka_unit_test(G1_keys_do_not_collide),
		cmocka_unit_test(F15_synced_needs_every_kind),
		cmocka_unit_test(D10_folder_namespaces),
		cmocka_unit_test(warnings_are_bounded),
		cmocka_unit_test(stores_compare_whole),
		cmocka_unit_test(changes_are_told_in_their_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
