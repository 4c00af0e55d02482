// SPDX-License-Identifier: Apache-2.0
/* test_workload.c - workloads, Services and EndpointSlices from text; see <ripstop/workload.h>. */
#include "decode_try.h"

#include <json-c/json.h>
#include <ripstop/workload.h>

#include "object/decode.h"

struct both {
	struct rs_store *s;
	struct rs_extras *x;
};

static int decode(struct both *b, const char *text, enum rs_admit admit, struct rs_err *err)
{
	int rc;

	b->s = rs_store_new();
	b->x = rs_extras_new();
	rc = rs_decode_text_with(b->s, b->x, "f", text, strlen(text), false, admit, err);
	return rc < 0 ? rc : rs_extras_finish(b->x, err);
}

static void both_free(struct both *b)
{
	rs_extras_free(b->x);
	rs_store_free(b->s);
}

static struct both good(const char *text, enum rs_admit admit)
{
	rs_auto_err err = { 0 };
	struct both b;

	if (decode(&b, text, admit, &err) < 0)
		fail_msg("refused: %s", rs_err_str(&err));
	return b;
}

static void bad(const char *text, const char *message)
{
	rs_auto_err err = { 0 };
	struct both b;

	assert_true(decode(&b, text, RS_ADMIT_STRICT, &err) < 0);
	assert_string_equal(rs_err_str(&err), message);
	both_free(&b);
}

#define APPS(kind, name) "apiVersion: apps/v1\nkind: " kind "\nmetadata: {name: " name "}\n"
#define TEMPLATE "template: {metadata: {labels: {app: a}}, spec: {containers: []}}"

/* ---- workloads ------------------------------------------------------------------------------- */

static void a_template_gives_labels_and_ports(void **state)
{
	struct both b =
		good(APPS("Deployment",
			  "web") "spec:\n"
				 "  replicas: 3\n"
				 "  template:\n"
				 "    metadata: {labels: {tier: fe, app: web}}\n"
				 "    spec:\n"
				 "      initContainers:\n"
				 "      - {name: i, ports: [{name: once, containerPort: 1}]}\n"
				 "      - {name: s, restartPolicy: Always, ports: [{name: side, "
				 "containerPort: 2}]}\n"
				 "      containers:\n"
				 "      - {name: c, ports: [{name: http, containerPort: 80}, "
				 "{containerPort: 9}]}\n",
		     RS_ADMIT_STRICT);
	const struct rs_workload *w = b.x->workloads;

	(void)state;
	assert_int_equal(b.x->n_workloads, 1);
	assert_string_equal(w->kind, "Deployment");
	assert_string_equal(w->meta.ns, "default");
	assert_string_equal(w->meta.name, "web");
	assert_string_equal(w->meta.pos.file, "f");
	assert_int_equal(w->meta.pos.line, 1);
	assert_int_equal(w->labels.n, 2);
	assert_string_equal(rs_labels_get(&w->labels, "app"), "web");
	assert_false(w->host_network);
	assert_int_equal(w->n_ports, 2);
	assert_string_equal(w->ports[0].name, "http");
	assert_string_equal(w->ports[1].name, "side");
	assert_null(w->owner_kind);
	both_free(&b);
}

static void every_kind_has_its_template(void **state)
{
	struct both b =
		good(APPS("StatefulSet", "a") "spec: {" TEMPLATE "}\n---\n" APPS(
			     "DaemonSet",
			     "b") "spec: {template: {spec: {hostNetwork: "
				  "true}}}\n---\n" APPS("ReplicaSet",
							"c") "spec: {" TEMPLATE "}\n---\n"
							     "apiVersion: batch/v1\nkind: "
							     "Job\nmetadata: {name: "
							     "d}\nspec: {" TEMPLATE "}\n---\n"
							     "apiVersion: batch/v1\nkind: "
							     "CronJob\nmetadata: {name: "
							     "e}\n"
							     "spec: {jobTemplate: {spec: "
							     "{" TEMPLATE "}}}\n",
		     RS_ADMIT_STRICT);
	static const char *const kinds[] = { "StatefulSet", "DaemonSet", "ReplicaSet", "Job",
					     "CronJob" };
	size_t i;

	(void)state;
	assert_int_equal(b.x->n_workloads, 5);
	for (i = 0; i < 5; i++) {
		assert_string_equal(b.x->workloads[i].kind, kinds[i]);
		assert_int_equal(b.x->workloads[i].host_network, i == 1);
		assert_int_equal(b.x->workloads[i].labels.n, i == 1 ? 0 : i == 3 ? 3 : 1);
	}
	assert_string_equal(rs_labels_get(&b.x->workloads[3].labels, "job-name"), "d");
	assert_string_equal(
		rs_labels_get(&b.x->workloads[3].labels, "batch.kubernetes.io/job-name"), "d");
	both_free(&b);
}

static void the_controller_is_the_owner(void **state)
{
	struct both b = good("apiVersion: apps/v1\nkind: ReplicaSet\nmetadata:\n  name: r\n"
			     "  ownerReferences: [{kind: X, name: z}, {kind: Deployment, name: d, "
			     "controller: true}]\n"
			     "spec: {" TEMPLATE "}\n",
			     RS_ADMIT_STRICT);

	(void)state;
	assert_string_equal(b.x->workloads[0].owner_kind, "Deployment");
	assert_string_equal(b.x->workloads[0].owner_name, "d");
	both_free(&b);
}

static void faults_are_told_with_their_place(void **state)
{
	(void)state;
	bad(APPS("Deployment", "a") "spec: {}\n",
	    "f:4:7: Deployment default/a: spec.template: the pod template is missing");
	bad(APPS("Deployment", "a") "spec: {template: []}\n",
	    "f:4:18: Deployment default/a: spec.template: a list where a map is expected");
	bad(APPS("Deployment", "a") "spec: {template: {metadata: {labels: {app: 1}}}}\n",
	    "f:4:44: Deployment default/a: spec.template.metadata.labels[app]: 1 is read as a "
	    "number: put it in quotes");
	bad(APPS("Deployment", "a") "spec: {template: {metadata: {labels: {app: '{{ x }}'}}}}\n",
	    "f:4:44: Deployment default/a: spec.template.metadata.labels[app]: \"{{ x }}\" is "
	    "template text: render it first (helm template)");
	bad(APPS("StatefulSet", "A_b") "spec: {" TEMPLATE "}\n",
	    "f:3:18: StatefulSet: metadata.name: \"A_b\" is not a DNS name (lower-case "
	    "letters, digits, '-' and '.' inside)");
	bad("apiVersion: apps/v1beta2\nkind: Deployment\nmetadata: {name: a}\n",
	    "f:1:13: document: apiVersion: \"apps/v1beta2\" is not the apiVersion of a Deployment "
	    "(apps/v1)");
	bad("apiVersion: apps/v1\nkind: deployment\nmetadata: {name: a}\n",
	    "f:2:7: document: kind: kind is written \"Deployment\", not \"deployment\"");
	bad(APPS("Deployment", "a") "spec: {" TEMPLATE
				    "}\n---\n" APPS("Deployment", "a") "spec: {" TEMPLATE "}\n",
	    "f:6:1: Deployment default/a: defined twice, first at f:1:1");
}

/* ---- Services -------------------------------------------------------------------------------- */

static void a_service(void **state)
{
	struct both b = good(
		"apiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: shop}\n"
		"spec:\n"
		"  type: LoadBalancer\n"
		"  externalTrafficPolicy: Local\n"
		"  clusterIP: 10.96.0.9\n"
		"  clusterIPs: [10.96.0.9, 'fd00::9']\n"
		"  externalIPs: [192.0.2.1]\n"
		"  selector: {app: db}\n"
		"  ports:\n"
		"  - {name: pg, port: 5432, targetPort: pg, nodePort: 30001}\n"
		"  - {name: dns, protocol: UDP, port: 53, targetPort: 5353}\n"
		"  - {port: 9}\n"
		"status: {loadBalancer: {ingress: [{ip: 192.0.2.2}, {hostname: x.example}]}}\n",
		RS_ADMIT_STRICT);
	const struct rs_service *v = b.x->services;

	(void)state;
	assert_int_equal(b.x->n_services, 1);
	assert_string_equal(v->type, "LoadBalancer");
	assert_true(v->local_only);
	assert_false(v->headless);
	assert_int_equal(v->n_ips, 4);
	assert_int_equal(v->n_cluster_ips, 2);
	assert_int_equal(v->n_ports, 3);
	assert_int_equal(v->ports[0].target_kind, RS_TARGET_NAME);
	assert_string_equal(v->ports[0].target_name, "pg");
	assert_int_equal(v->ports[0].node_port, 30001);
	assert_int_equal(v->ports[1].target_kind, RS_TARGET_NUMBER);
	assert_int_equal(v->ports[1].target, 5353);
	assert_int_equal(v->ports[1].proto, RS_PROTO_UDP);
	assert_int_equal(v->ports[2].target_kind, RS_TARGET_SAME);
	assert_null(v->ports[2].name);
	both_free(&b);
	b = good("apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"
		 "spec: {clusterIP: None, ports: [{port: 1, nodePort: 0}]}\n",
		 RS_ADMIT_STRICT);
	assert_true(b.x->services[0].headless);
	assert_int_equal(b.x->services[0].n_ips, 0);
	assert_string_equal(b.x->services[0].type, "ClusterIP");
	both_free(&b);
}

static void service_faults(void **state)
{
#define SVC(spec) "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {" spec "}\n"
	(void)state;
	bad(SVC("clusterIP: x"),
	    "f:4:19: Service default/a: spec.clusterIP: \"x\" is not an IP address");
	bad(SVC("ports: [{port: 0}]"),
	    "f:4:23: Service default/a: spec.ports[0].port: 0 is not a port (1..65535)");
	bad(SVC("ports: [{port: 1, targetPort: 'A B'}]"),
	    "f:4:38: Service default/a: spec.ports[0].targetPort: \"A B\" is not a port name "
	    "(lower-case letters, digits, single '-' inside)");
	bad(SVC("ports: [null]"),
	    "f:4:16: Service default/a: spec.ports[0]: null where a port is expected");
}

/* ---- EndpointSlices -------------------------------------------------------------------------- */

static void a_slice(void **state)
{
	struct both b = good("apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
			     "metadata: {name: db-x, namespace: shop, labels: "
			     "{kubernetes.io/service-name: db}}\n"
			     "addressType: IPv4\n"
			     "endpoints:\n"
			     "- {addresses: [10.0.0.1], targetRef: {kind: Pod, name: db-0}}\n"
			     "- {addresses: [10.0.0.2], conditions: {ready: false}}\n"
			     "- {addresses: [10.0.0.3], conditions: {ready: true}, targetRef: "
			     "{kind: Node, name: n1}}\n"
			     "ports: [{name: pg, port: 5432}, {protocol: UDP}]\n",
			     RS_ADMIT_STRICT);
	const struct rs_slice *e = b.x->slices;

	(void)state;
	assert_int_equal(b.x->n_slices, 1);
	assert_string_equal(e->service, "db");
	assert_int_equal(e->n_ends, 3);
	assert_string_equal(e->ends[0].pod_ns, "shop");
	assert_string_equal(e->ends[0].pod_name, "db-0");
	assert_true(e->ends[0].ready);
	assert_false(e->ends[1].ready);
	assert_null(e->ends[1].pod_name);
	assert_true(e->ends[2].ready);
	assert_null(e->ends[2].pod_name);
	assert_int_equal(e->n_ports, 2);
	assert_int_equal(e->ports[1].port, 0);
	assert_int_equal(e->ports[1].proto, RS_PROTO_UDP);
	both_free(&b);
	b = good("apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a}\n"
		 "addressType: FQDN\nendpoints: [{addresses: [x.example]}]\n",
		 RS_ADMIT_STRICT);
	assert_int_equal(b.x->slices[0].n_ends, 0);
	assert_null(b.x->slices[0].service);
	both_free(&b);
}

/* ---- together -------------------------------------------------------------------------------- */

static void other_kinds_are_counted_and_groups_told_apart(void **state)
{
	struct both b = good(
		"apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: a}\n---\n"
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: '{{ y }}'}\n---\n"
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n---\n"
		"apiVersion: v1\nkind: ReplicationController\nmetadata: {name: b}\n",
		RS_ADMIT_STRICT);
	size_t n;

	(void)state;
	assert_int_equal(b.x->n_services, 0);
	assert_int_equal(b.x->n_skipped, 3);
	assert_string_equal(b.x->skipped[0].kind, "ConfigMap");
	assert_int_equal(b.x->skipped[0].n, 2);
	assert_string_equal(b.x->skipped[2].kind, "Service");
	rs_store_warnings(b.s, &n);
	assert_int_equal(n, 0);
	both_free(&b);
}

static void lists_are_unrolled_and_sorted(void **state)
{
	struct both b = good(
		"apiVersion: v1\nkind: List\nitems:\n"
		"- {apiVersion: apps/v1, kind: StatefulSet, metadata: {name: b}, spec: {" TEMPLATE
		"}}\n"
		"- {apiVersion: apps/v1, kind: Deployment, metadata: {name: b}, spec: {" TEMPLATE
		"}}\n"
		"---\n"
		"apiVersion: apps/v1\nkind: DeploymentList\nitems:\n"
		"- {metadata: {name: a}, spec: {" TEMPLATE "}}\n",
		RS_ADMIT_STRICT);

	(void)state;
	assert_int_equal(b.x->n_workloads, 3);
	assert_string_equal(b.x->workloads[0].meta.name, "a");
	assert_string_equal(b.x->workloads[0].kind, "Deployment");
	assert_string_equal(b.x->workloads[1].kind, "Deployment");
	assert_string_equal(b.x->workloads[2].kind, "StatefulSet");
	both_free(&b);
}

/* As kubectl apply -n does; and the namespaces of workloads exist. */
static void a_namespace_for_those_that_name_none(void **state)
{
	static const char text[] = APPS(
		"Deployment", "a") "spec: {" TEMPLATE "}\n---\n"
				   "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n---\n"
				   "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: x}\n";
	struct both b = { rs_store_new(), rs_extras_new() };
	rs_auto_err err = { 0 };

	(void)state;
	b.x->namespace = "shop";
	assert_int_equal(rs_decode_text_with(b.s, b.x, "f", text, strlen(text), false,
					     RS_ADMIT_STRICT, &err),
			 0);
	assert_string_equal(b.x->workloads[0].meta.ns, "shop");
	assert_non_null(rs_store_pod(b.s, "shop", "p"));
	assert_non_null(rs_store_pod(b.s, "x", "p"));
	rs_store_finish_with(b.s, b.x);
	assert_true(rs_store_namespace(b.s, "shop")->implied);
	assert_string_equal(rs_labels_get(&rs_store_namespace(b.s, "shop")->meta.labels,
					  "kubernetes.io/metadata.name"),
			    "shop");
	both_free(&b);
	b = good(APPS("Deployment", "a") "spec: {" TEMPLATE "}\n", RS_ADMIT_STRICT);
	rs_store_finish_with(b.s, b.x);
	assert_true(rs_store_namespace(b.s, "default")->implied);
	assert_true(has_warning(b.s, "used and not defined"));
	both_free(&b);
}

/* What an API server once admitted costs only itself. */
static void a_bad_object_costs_only_itself_under_lenient(void **state)
{
	rs_auto_err err = { 0 };
	struct json_object *o = json_tokener_parse(
		"{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":["
		"{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"a\","
		"\"namespace\":\"n\"},\"spec\":{\"ports\":[{\"port\":0}]}},"
		"{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"b\","
		"\"namespace\":\"n\"},\"spec\":{\"clusterIP\":\"10.0.0.1\"}}]}");
	struct both b = { rs_store_new(), rs_extras_new() };

	(void)state;
	assert_non_null(o);
	assert_int_equal(rs_decode_json_with(b.s, b.x, "kubectl", o, RS_ADMIT_LENIENT, &err), 0);
	assert_int_equal(b.x->n_services, 1);
	assert_string_equal(b.x->services[0].meta.name, "b");
	assert_true(has_warning(b.s, "0 is not a port"));
	json_object_put(o);
	both_free(&b);
}

/* Who does not ask for them gets what there was before. */
static void without_extras_they_are_skipped(void **state)
{
	struct rs_store *s = try_good(APPS("Deployment", "a") "spec: 7\n", false, RS_ADMIT_STRICT);

	(void)state;
	assert_true(has_warning(s, "1 object skipped: Ripstop does not read Deployment (apps/v1)"));
	rs_store_free(s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_template_gives_labels_and_ports),
		cmocka_unit_test(every_kind_has_its_template),
		cmocka_unit_test(the_controller_is_the_owner),
		cmocka_unit_test(faults_are_told_with_their_place),
		cmocka_unit_test(a_service),
		cmocka_unit_test(service_faults),
		cmocka_unit_test(a_slice),
		cmocka_unit_test(other_kinds_are_counted_and_groups_told_apart),
		cmocka_unit_test(lists_are_unrolled_and_sorted),
		cmocka_unit_test(a_namespace_for_those_that_name_none),
		cmocka_unit_test(a_bad_object_costs_only_itself_under_lenient),
		cmocka_unit_test(without_extras_they_are_skipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
