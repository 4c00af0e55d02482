// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_decode.c - libFuzzer entry for manifests: the first byte chooses the syntax (bit 0: JSON) and
 * the admission (bit 1: LENIENT) and whether workloads and Services are read too (bit 2), the rest is the text. Beside memory safety it checks what must hold
 * of every decoded object, whatever was written.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <ripstop/object.h>
#include <ripstop/workload.h>

#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_rule(const struct rs_rule *r)
{
	size_t i;

	check(!(r->any_peer && r->n_peers) && !(r->any_port && r->n_ports));
	for (i = 0; i < r->n_peers; i++) {
		const struct rs_peer *p = &r->peers[i];
		bool selects = p->ns_selector.present || p->pod_selector.present;

		check(p->invalid || p->has_block != selects);
		check(!p->invalid || p->why);
	}
	for (i = 0; i < r->n_ports; i++) {
		const struct rs_policy_port *p = &r->ports[i];

		check(p->invalid || p->kind != RS_PORT_RANGE || (p->lo && p->lo <= p->hi));
		check(p->invalid || p->kind != RS_PORT_NAMED || p->name);
		check(!p->invalid || p->why);
	}
}

static void check_policy(const struct rs_policy *p, enum rs_admit admit)
{
	size_t i;
	int d;

	check(p->meta.ns && p->meta.name && p->subject.present);
	check(p->subject_invalid == p->subject.invalid);
	check(admit == RS_ADMIT_LENIENT || !p->subject_invalid);
	check(p->isolates[RS_INGRESS] || p->isolates[RS_EGRESS]);
	for (d = 0; d < RS_DIRECTIONS; d++) {
		check(p->isolates[d] || !p->n_rules[d]);
		for (i = 0; i < p->n_rules[d]; i++)
			check_rule(&p->rules[d][i]);
	}
	free(rs_selector_str(&p->subject));
}

static void check_store(struct rs_store *s, enum rs_admit admit)
{
	const struct rs_policy *const *policies;
	const struct rs_pod *const *pods;
	size_t n, i;

	policies = rs_store_policies(s, &n);
	for (i = 0; i < n; i++)
		check_policy(policies[i], admit);
	pods = rs_store_pods(s, &n);
	for (i = 0; i < n; i++) {
		check(pods[i]->meta.ns && pods[i]->meta.name);
		free(rs_labels_str(&pods[i]->meta.labels));
	}
}

static void check_extras(struct rs_extras *x)
{
	size_t i, k;

	for (i = 0; i < x->n_workloads; i++) {
		check(x->workloads[i].meta.ns && x->workloads[i].meta.name && x->workloads[i].kind);
		for (k = 0; k < x->workloads[i].n_ports; k++)
			check(x->workloads[i].ports[k].name && x->workloads[i].ports[k].port);
	}
	for (i = 0; i < x->n_services; i++) {
		check(x->services[i].type && x->services[i].n_cluster_ips <= x->services[i].n_ips);
		for (k = 0; k < x->services[i].n_ports; k++)
			check((x->services[i].ports[k].target_kind == RS_TARGET_NAME) ==
			      (x->services[i].ports[k].target_name != NULL));
	}
	for (i = 0; i < x->n_slices; i++)
		for (k = 0; k < x->slices[i].n_ends; k++)
			check(x->slices[i].ends[k].addr.family);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rs_extras *x;
	enum rs_admit admit;
	rs_auto_err err = { 0 };
	rs_autofree char *text = NULL;
	struct rs_store *s;
	int rc;

	if (!size)
		return 0;
	admit = data[0] & 2 ? RS_ADMIT_LENIENT : RS_ADMIT_STRICT;
	/* A copy of its own size, so that reading past the end is noticed. */
	text = rs_memdup(data + 1, size - 1);
	s = rs_store_new();
	x = data[0] & 4 ? rs_extras_new() : NULL;
	rc = rs_decode_text_with(s, x, "f", text ? text : "", size - 1, data[0] & 1, admit, &err);
	if (rc == 0 && x)
		rc = rs_extras_finish(x, &err);
	check(rc == 0 || err.msg);
	if (rc == 0) {
		rs_store_finish_with(s, x);
		check_store(s, admit);
	}
	if (x)
		check_extras(x);
	rs_extras_free(x);
	rs_store_free(s);
	return 0;
}
