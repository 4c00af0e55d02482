// SPDX-License-Identifier: Apache-2.0
/*
 * object.c - lib/object turns documents into Kubernetes objects as plain structs and keeps them
 * in a store. This file: what the objects are called and how they are released.
 *
 * Rooms inside: doc.c and doc_*.c (a document tree with positions, from YAML, JSON and json-c),
 * yaml_scalar.c (what a plain scalar means), decode.c and decode_*.c (one file a kind, with the
 * validation of the API server), syntax.c (names), labels.c (labels and selectors),
 * object_equal.c (did anything change), object_encode.c (JSON again), store.c (the objects by
 * name, over objtable.c), packed.c and wordpool.c (how they lie there), extras.c (kinds that only
 * the command line reads).
 */
#include <ripstop/object.h>

#include <stdlib.h>

#include "base/base.h"
#include "object/object_free.h"
#include "object/packed.h"

const char *rs_kind_name(enum rs_kind kind)
{
	static const char *const names[RS_KINDS] = {
		[RS_KIND_NAMESPACE] = "Namespace",
		[RS_KIND_POD] = "Pod",
		[RS_KIND_POLICY] = "NetworkPolicy",
		[RS_KIND_NODE] = "Node",
	};

	return names[kind];
}

void rs_meta_free_in(struct rs_meta *m)
{
	free(m->ns);
	free(m->name);
	free(m->uid);
	free(m->resource_version);
	rs_labels_free(&m->labels);
}

void rs_selector_free_in(struct rs_selector *s)
{
	size_t i, k;

	for (i = 0; i < s->n_reqs; i++) {
		free(s->reqs[i].key);
		for (k = 0; k < s->reqs[i].n_values; k++)
			free(s->reqs[i].values[k]);
		free(s->reqs[i].values);
	}
	free(s->reqs);
	free(s->why);
	s->reqs = NULL;
	s->n_reqs = 0;
	s->why = NULL;
}

void rs_peer_free_in(struct rs_peer *p)
{
	rs_selector_free_in(&p->ns_selector);
	rs_selector_free_in(&p->pod_selector);
	free(p->block.except);
	free(p->why);
}

void rs_rule_free_in(struct rs_rule *r)
{
	size_t i;

	for (i = 0; i < r->n_peers; i++)
		rs_peer_free_in(&r->peers[i]);
	for (i = 0; i < r->n_ports; i++) {
		free(r->ports[i].name);
		free(r->ports[i].why);
	}
	free(r->peers);
	free(r->ports);
}

void rs_rules_free(struct rs_rule *rules, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		rs_rule_free_in(&rules[i]);
	free(rules);
}

/* What a store has packed is released whole. */
static bool packed_free(enum rs_kind kind, struct rs_meta *m)
{
	if (!m->packed)
		return false;
	rs_packed_free(kind, m);
	return true;
}

void rs_policy_free(struct rs_policy *p)
{
	int d;

	if (!p || packed_free(RS_KIND_POLICY, &p->meta))
		return;
	rs_meta_free_in(&p->meta);
	rs_selector_free_in(&p->subject);
	for (d = 0; d < RS_DIRECTIONS; d++)
		rs_rules_free(p->rules[d], p->n_rules[d]);
	free(p);
}

void rs_pod_free(struct rs_pod *p)
{
	size_t i;

	if (!p || packed_free(RS_KIND_POD, &p->meta))
		return;
	rs_meta_free_in(&p->meta);
	for (i = 0; i < p->n_ports; i++)
		free(p->ports[i].name);
	free(p->ports);
	free(p->ips);
	free(p->node);
	free(p->config_hash);
	free(p->owner_kind);
	free(p->owner_name);
	free(p);
}

void rs_namespace_free(struct rs_namespace *n)
{
	if (!n)
		return;
	rs_meta_free_in(&n->meta);
	free(n);
}

void rs_node_free(struct rs_node *n)
{
	if (!n || packed_free(RS_KIND_NODE, &n->meta))
		return;
	rs_meta_free_in(&n->meta);
	free(n->pod_cidrs);
	free(n->addrs);
	free(n);
}
