// SPDX-License-Identifier: Apache-2.0
/*
 * lint_cover.c - whether one selector, peer, port or rule allows at least what another one does.
 *
 * By their text alone, in whatever cluster: "covers" is proven, "does not cover" is not.
 */
#include "cli/lint/lint.h"

#include <string.h>

#include "policy/policy.h"

/* ---- selectors ------------------------------------------------------------------------------- */

static bool has_value(const struct rs_requirement *r, const char *value)
{
	size_t i;

	for (i = 0; i < r->n_values; i++)
		if (!strcmp(r->values[i], value))
			return true;
	return false;
}

static bool values_within(const struct rs_requirement *inner, const struct rs_requirement *outer)
{
	size_t i;

	for (i = 0; i < inner->n_values; i++)
		if (!has_value(outer, inner->values[i]))
			return false;
	return true;
}

static bool values_disjoint(const struct rs_requirement *a, const struct rs_requirement *b)
{
	size_t i;

	for (i = 0; i < a->n_values; i++)
		if (has_value(b, a->values[i]))
			return false;
	return true;
}

/* Whether labels that satisfy `given` always satisfy `r`; both are of one key. */
static bool implies(const struct rs_requirement *given, const struct rs_requirement *r)
{
	switch (r->op) {
	case RS_OP_IN:
		return given->op == RS_OP_IN && values_within(given, r);
	case RS_OP_NOT_IN:
		return (given->op == RS_OP_IN && values_disjoint(given, r)) ||
		       (given->op == RS_OP_NOT_IN && values_within(r, given)) ||
		       given->op == RS_OP_NOT_EXISTS;
	case RS_OP_EXISTS:
		return given->op == RS_OP_IN || given->op == RS_OP_EXISTS;
	case RS_OP_NOT_EXISTS:
		return given->op == RS_OP_NOT_EXISTS;
	}
	return false;
}

static bool implied(const struct rs_selector *s, const struct rs_requirement *r)
{
	size_t i;

	for (i = 0; i < s->n_reqs; i++)
		if (!strcmp(s->reqs[i].key, r->key) && implies(&s->reqs[i], r))
			return true;
	return false;
}

bool lint_selector_covers(const struct rs_selector *outer, const struct rs_selector *inner)
{
	size_t i;

	for (i = 0; i < outer->n_reqs; i++)
		if (!implied(inner, &outer->reqs[i]))
			return false;
	return true;
}

/* Whether some value of r (In) is left by every other requirement of its key. */
static bool some_value_left(const struct rs_selector *s, const struct rs_requirement *r)
{
	size_t i, k;

	for (i = 0; i < r->n_values; i++) {
		bool fits = true;

		for (k = 0; k < s->n_reqs && fits; k++) {
			const struct rs_requirement *o = &s->reqs[k];

			if (strcmp(o->key, r->key))
				continue;
			fits = o->op == RS_OP_EXISTS ||
			       (o->op == RS_OP_IN && has_value(o, r->values[i])) ||
			       (o->op == RS_OP_NOT_IN && !has_value(o, r->values[i]));
		}
		if (fits)
			return true;
	}
	return false;
}

static bool is_absent_too(const struct rs_selector *s, const char *key)
{
	size_t i;

	for (i = 0; i < s->n_reqs; i++)
		if (s->reqs[i].op == RS_OP_NOT_EXISTS && !strcmp(s->reqs[i].key, key))
			return true;
	return false;
}

bool lint_selector_contradicts(const struct rs_selector *s)
{
	size_t i;

	for (i = 0; i < s->n_reqs; i++) {
		const struct rs_requirement *r = &s->reqs[i];

		if (r->op == RS_OP_IN && !some_value_left(s, r))
			return true;
		if (r->op == RS_OP_EXISTS && is_absent_too(s, r->key))
			return true;
	}
	return false;
}

/* ---- peers ----------------------------------------------------------------------------------- */

/* What the outer block leaves out must be left out by the inner one, or lie outside of it. */
static bool block_covers(const struct rs_ipblock *outer, const struct rs_ipblock *inner)
{
	size_t i, k;

	if (rs_cidr_is_v4mapped(&outer->cidr) || !rs_cidr_covers(&outer->cidr, &inner->cidr))
		return false;
	for (i = 0; i < outer->n_except; i++) {
		bool out = !rs_cidr_overlaps(&outer->except[i], &inner->cidr);

		for (k = 0; k < inner->n_except && !out; k++)
			out = rs_cidr_covers(&inner->except[k], &outer->except[i]);
		if (!out)
			return false;
	}
	return true;
}

static bool namespaces_cover(const struct lint *l, const char *ns, const struct rs_peer *outer,
			     const struct rs_peer *inner)
{
	struct rs_labels room = { 0 };
	bool covers;

	if (!outer->ns_selector.present)
		return !inner->ns_selector.present;
	if (inner->ns_selector.present)
		return lint_selector_covers(&outer->ns_selector, &inner->ns_selector);
	covers = rs_selector_matches(&outer->ns_selector, lint_space_labels(l, ns, &room));
	rs_labels_free(&room);
	return covers;
}

bool lint_peer_covers(const struct lint *l, const char *ns, const struct rs_peer *outer,
		      const struct rs_peer *inner)
{
	if (outer->has_block || inner->has_block)
		return outer->has_block && inner->has_block &&
		       block_covers(&outer->block, &inner->block);
	return namespaces_cover(l, ns, outer, inner) &&
	       lint_selector_covers(&outer->pod_selector, &inner->pod_selector);
}

/* More comparisons than anybody writes by hand: then nothing is claimed. */
#define COMPARISONS_MAX 1000000u

bool lint_peers_cover(const struct lint *l, const char *ns, const struct rs_rule *outer,
		      const struct rs_rule *inner)
{
	size_t i, k;

	if (outer->any_peer)
		return true;
	if (inner->any_peer || outer->n_peers * inner->n_peers > COMPARISONS_MAX)
		return false;
	for (i = 0; i < inner->n_peers; i++) {
		for (k = 0; k < outer->n_peers; k++)
			if (lint_peer_covers(l, ns, &outer->peers[k], &inner->peers[i]))
				break;
		if (k == outer->n_peers)
			return false;
	}
	return true;
}

/* ---- ports ----------------------------------------------------------------------------------- */

bool lint_port_covers(const struct rs_policy_port *outer, const struct rs_policy_port *inner)
{
	if (outer->proto != inner->proto)
		return false;
	switch (outer->kind) {
	case RS_PORT_ANY:
		return true;
	case RS_PORT_RANGE:
		return inner->kind == RS_PORT_RANGE && outer->lo <= inner->lo &&
		       inner->hi <= outer->hi;
	case RS_PORT_NAMED:
		return inner->kind == RS_PORT_NAMED && !strcmp(outer->name, inner->name);
	}
	return false;
}

static bool ports_cover(const struct rs_rule *outer, const struct rs_rule *inner)
{
	size_t i, k;

	if (outer->any_port)
		return true;
	if (inner->any_port || outer->n_ports * inner->n_ports > COMPARISONS_MAX)
		return false;
	for (i = 0; i < inner->n_ports; i++) {
		for (k = 0; k < outer->n_ports; k++)
			if (lint_port_covers(&outer->ports[k], &inner->ports[i]))
				break;
		if (k == outer->n_ports)
			return false;
	}
	return true;
}

bool lint_rule_covers(const struct lint *l, const char *ns, const struct rs_rule *outer,
		      const struct rs_rule *inner)
{
	return ports_cover(outer, inner) && lint_peers_cover(l, ns, outer, inner);
}

bool lint_ports_take(const struct rs_rule *r, uint8_t proto, uint16_t port)
{
	size_t i;

	if (r->any_port)
		return true;
	for (i = 0; i < r->n_ports; i++) {
		const struct rs_policy_port *p = &r->ports[i];

		if (p->proto == proto &&
		    (p->kind == RS_PORT_ANY ||
		     (p->kind == RS_PORT_RANGE && p->lo <= port && port <= p->hi)))
			return true;
	}
	return false;
}
