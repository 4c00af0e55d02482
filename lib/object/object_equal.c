// SPDX-License-Identifier: Apache-2.0
/* object_equal.c - do two objects say the same to Ripstop? See object_equal.h. */
#include "object/object_equal.h"

#include <string.h>

static bool str_equal(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool meta_equal(const struct rs_meta *a, const struct rs_meta *b)
{
	return str_equal(a->ns, b->ns) && str_equal(a->name, b->name) &&
	       str_equal(a->uid, b->uid) && a->deleting == b->deleting &&
	       rs_labels_equal(&a->labels, &b->labels);
}

static bool addrs_equal(const struct rs_addr *a, size_t n_a, const struct rs_addr *b, size_t n_b)
{
	return n_a == n_b && (!n_a || !memcmp(a, b, n_a * sizeof(*a)));
}

/* Neither type has padding. */
static bool cidrs_equal(const struct rs_cidr *a, size_t n_a, const struct rs_cidr *b, size_t n_b)
{
	return n_a == n_b && (!n_a || !memcmp(a, b, n_a * sizeof(*a)));
}

static bool requirement_equal(const struct rs_requirement *a, const struct rs_requirement *b)
{
	size_t i;

	if (a->op != b->op || a->n_values != b->n_values || !str_equal(a->key, b->key))
		return false;
	for (i = 0; i < a->n_values; i++)
		if (strcmp(a->values[i], b->values[i]))
			return false;
	return true;
}

static bool selector_equal(const struct rs_selector *a, const struct rs_selector *b)
{
	size_t i;

	if (a->present != b->present || a->invalid != b->invalid || a->n_reqs != b->n_reqs ||
	    !str_equal(a->why, b->why))
		return false;
	for (i = 0; i < a->n_reqs; i++)
		if (!requirement_equal(&a->reqs[i], &b->reqs[i]))
			return false;
	return true;
}

static bool peer_equal(const struct rs_peer *a, const struct rs_peer *b)
{
	return a->invalid == b->invalid && str_equal(a->why, b->why) &&
	       a->has_block == b->has_block && !rs_cidr_cmp(&a->block.cidr, &b->block.cidr) &&
	       cidrs_equal(a->block.except, a->block.n_except, b->block.except,
			   b->block.n_except) &&
	       selector_equal(&a->ns_selector, &b->ns_selector) &&
	       selector_equal(&a->pod_selector, &b->pod_selector);
}

static bool port_equal(const struct rs_policy_port *a, const struct rs_policy_port *b)
{
	return a->invalid == b->invalid && a->kind == b->kind && a->proto == b->proto &&
	       a->lo == b->lo && a->hi == b->hi && str_equal(a->name, b->name) &&
	       str_equal(a->why, b->why);
}

static bool rule_equal(const struct rs_rule *a, const struct rs_rule *b)
{
	size_t i;

	if (a->any_peer != b->any_peer || a->any_port != b->any_port || a->n_peers != b->n_peers ||
	    a->n_ports != b->n_ports)
		return false;
	for (i = 0; i < a->n_peers; i++)
		if (!peer_equal(&a->peers[i], &b->peers[i]))
			return false;
	for (i = 0; i < a->n_ports; i++)
		if (!port_equal(&a->ports[i], &b->ports[i]))
			return false;
	return true;
}

bool rs_policy_equal(const struct rs_policy *a, const struct rs_policy *b)
{
	size_t i;
	int d;

	if (a->subject_invalid != b->subject_invalid || !meta_equal(&a->meta, &b->meta) ||
	    !selector_equal(&a->subject, &b->subject))
		return false;
	for (d = 0; d < RS_DIRECTIONS; d++) {
		if (a->isolates[d] != b->isolates[d] || a->n_rules[d] != b->n_rules[d])
			return false;
		for (i = 0; i < a->n_rules[d]; i++)
			if (!rule_equal(&a->rules[d][i], &b->rules[d][i]))
				return false;
	}
	return true;
}

bool rs_pod_equal(const struct rs_pod *a, const struct rs_pod *b)
{
	size_t i;

	if (a->host_network != b->host_network || a->phase != b->phase ||
	    a->n_ports != b->n_ports || !meta_equal(&a->meta, &b->meta) ||
	    !str_equal(a->node, b->node) || !str_equal(a->config_hash, b->config_hash) ||
	    !str_equal(a->owner_kind, b->owner_kind) || !str_equal(a->owner_name, b->owner_name) ||
	    !addrs_equal(a->ips, a->n_ips, b->ips, b->n_ips))
		return false;
	for (i = 0; i < a->n_ports; i++)
		if (a->ports[i].proto != b->ports[i].proto ||
		    a->ports[i].port != b->ports[i].port ||
		    !str_equal(a->ports[i].name, b->ports[i].name))
			return false;
	return true;
}

bool rs_namespace_equal(const struct rs_namespace *a, const struct rs_namespace *b)
{
	return a->implied == b->implied && meta_equal(&a->meta, &b->meta);
}

bool rs_node_equal(const struct rs_node *a, const struct rs_node *b)
{
	return meta_equal(&a->meta, &b->meta) &&
	       cidrs_equal(a->pod_cidrs, a->n_pod_cidrs, b->pod_cidrs, b->n_pod_cidrs) &&
	       addrs_equal(a->addrs, a->n_addrs, b->addrs, b->n_addrs) &&
	       a->n_internal == b->n_internal;
}
