// SPDX-License-Identifier: Apache-2.0
/* control_worlds.c - a crowded namespace, and a pod of many port verdicts; see control_worlds.h. */
#include "tests/bench/control_worlds.h"

#include <string.h>

#include "base/base.h"
#include "tests/bench/bench_say.h"

#define CROWD_NS "w-crowd"
#define NAME_LABEL "kubernetes.io/metadata.name"
#define FIRST_PORT 10000u
#define GUEST_PORT 9u

/* One object, as the API server writes it. */
static void put_text(struct worldw *w, const char *text)
{
	rs_auto_err err = { 0 };

	if (rs_decode_text(w->store, "bench", text, strlen(text), true, RS_ADMIT_LENIENT, &err) < 0)
		bench_die("%s", rs_err_str(&err));
}

/* ---- the crowd ------------------------------------------------------------------------------- */

void crowd_label(struct worldw *w, const char *team)
{
	struct rs_namespace *n = rs_new(struct rs_namespace);

	n->meta.name = rs_strdup(CROWD_NS);
	rs_labels_set(&n->meta.labels, NAME_LABEL, CROWD_NS);
	rs_labels_set(&n->meta.labels, "team", team);
	rs_store_put_namespace(w->store, n);
}

static void put_crowd_pod(struct worldw *w, size_t i)
{
	struct rs_pod *p = rs_new(struct rs_pod);

	p->meta.ns = rs_strdup(CROWD_NS);
	p->meta.name = rs_asprintf("crowd-%zu", i);
	rs_labels_set(&p->meta.labels, "app", i % 2 ? "odd" : "even");
	p->node = rs_strdup("elsewhere");
	p->phase = RS_PHASE_RUNNING;
	p->ips = rs_new0(struct rs_addr, 1);
	p->ips[0] = (struct rs_addr){ .family = RS_AF_IP4,
				      .b = { 10, 200, (uint8_t)(i >> 8), (uint8_t)i } };
	p->n_ips = 1;
	rs_store_put_pod(w->store, p);
}

void crowd_put(struct worldw *w)
{
	rs_autofree char *policy = rs_asprintf(
		"{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\",\"metadata\":"
		"{\"name\":\"crowd\",\"namespace\":\"%s\"},\"spec\":{\"podSelector\":"
		"{\"matchLabels\":{\"app\":\"app-0\"}},\"policyTypes\":[\"Ingress\"],\"ingress\":"
		"[{\"from\":[{\"namespaceSelector\":{\"matchLabels\":{\"team\":\"a\"}}}],"
		"\"ports\":[{\"port\":9999}]}]}}",
		worldw_ns(w, 0));

	crowd_label(w, "z");
	for (size_t i = 0; i < CROWD_PODS; i++)
		put_crowd_pod(w, i);
	put_text(w, policy);
}

/* ---- profiles -------------------------------------------------------------------------------- */

/* Pods of that label reach pod 0 on that port. */
static void put_port_policy(struct worldw *w, const char *key, const char *value, size_t port)
{
	rs_autofree char *policy = rs_asprintf(
		"{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\",\"metadata\":"
		"{\"name\":\"port-%zu\",\"namespace\":\"%s\"},\"spec\":{\"podSelector\":"
		"{\"matchLabels\":{\"app\":\"app-0\"}},\"policyTypes\":[\"Ingress\"],\"ingress\":"
		"[{\"from\":[{\"podSelector\":{\"matchLabels\":{\"%s\":\"%s\"}}}],"
		"\"ports\":[{\"port\":%zu}]}]}}",
		port, worldw_ns(w, 0), key, value, port);

	put_text(w, policy);
}

void profiles_guest(struct worldw *w, size_t i)
{
	worldw_put_pod_like(w, i, 0);
}

struct worldw *profiles_new(size_t n)
{
	struct worldw *w = worldw_new(0, 1);

	for (size_t i = 0; i < n; i++) {
		rs_autofree char *id = rs_asprintf("pod-%zu", WORLDW_LOCAL + i);

		worldw_put_pod(w, WORLDW_LOCAL + i, 0);
		put_port_policy(w, "id", id, FIRST_PORT + i);
	}
	put_port_policy(w, "version", "v0", GUEST_PORT);
	for (size_t i = 0; i < 2; i++)
		profiles_guest(w, WORLDW_LOCAL + n + i);
	return w;
}
