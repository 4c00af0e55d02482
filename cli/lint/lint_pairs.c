// SPDX-License-Identifier: Apache-2.0
/*
 * lint_pairs.c - AND and OR of selectors: one dash decides. Only what the pods of the files, or the
 * selectors themselves, show to be a slip is told.
 *
 *	from:					from:
 *	- namespaceSelector: A			- namespaceSelector: A
 *	- podSelector: B	# A or B	  podSelector: B	# A and B
 */
#include "cli/lint/lint.h"

#include <string.h>

#include "policy/policy.h"

/* What podSelector B takes of the policy's own namespace, and of those of A. */
struct shares {
	size_t own_pods, own;
	size_t other_pods, other;
	bool takes_own; /* A takes the policy's own namespace */
};

static size_t taken(const struct rs_selector *pods, const struct lint_end *e, size_t n)
{
	size_t i, found = 0;

	for (i = 0; i < n; i++)
		found += !e[i].host_network && rs_selector_matches(pods, e[i].labels);
	return found;
}

static struct shares shares(const struct lint_site *s, const struct rs_peer *spaces,
			    const struct rs_selector *pods)
{
	struct rs_labels room = { 0 };
	struct shares out = { 0 };
	size_t i, n;

	out.takes_own = rs_selector_matches(&spaces->ns_selector,
					    lint_space_labels(s->l, s->pol->ns, &room));
	rs_labels_free(&room);
	for (i = 0; i < s->l->spaces.n; i++) {
		const struct lint_space *space = &s->l->spaces.v[i];
		const struct lint_end *e = lint_ends_of(s->l, space->name, &n);

		if (!strcmp(space->name, s->pol->ns)) {
			out.own_pods += n;
			out.own += taken(pods, e, n);
		} else if (lint_peer_takes_space(s->pol, spaces, space)) {
			out.other_pods += n;
			out.other += taken(pods, e, n);
		}
	}
	return out;
}

/* The cluster's DNS, whose pods stand in kube-system and nowhere else. */
static bool is_dns_selector(const struct rs_selector *s)
{
	size_t i;

	for (i = 0; i < s->n_reqs; i++)
		if (!strcmp(s->reqs[i].key, "k8s-app") && s->reqs[i].op == RS_OP_IN &&
		    s->reqs[i].n_values == 1 && !strcmp(s->reqs[i].values[0], "kube-dns"))
			return true;
	return false;
}

/* Items i (namespaces only) and i + 1 (pods only) of one rule. */
static bool is_pair(const struct rs_rule *r, size_t i)
{
	const struct rs_peer *a, *b;

	if (i + 1 >= r->n_peers)
		return false;
	a = &r->peers[i];
	b = &r->peers[i + 1];
	return a->ns_selector.present && !a->pod_selector.present && !b->has_block &&
	       !b->ns_selector.present && b->pod_selector.n_reqs;
}

enum doubt {
	NONE,
	MAYBE, /* a note */
	SLIP,
	REDUNDANT,
};

static enum doubt doubt(const struct lint_site *s, size_t i)
{
	const struct rs_peer *a = &s->rule->peers[i], *b = &s->rule->peers[i + 1];
	struct shares x = shares(s, a, &b->pod_selector);

	if (x.takes_own)
		return REDUNDANT;
	if (is_dns_selector(&b->pod_selector) && strcmp(s->pol->ns, "kube-system"))
		return SLIP;
	if (x.own_pods && !x.own && x.other)
		return SLIP;
	if (x.own && !x.other)
		return NONE;
	return !x.own_pods || x.own ? MAYBE : NONE;
}

/* One item with both selectors that no pod satisfies, while pods of its own namespace would. */
static bool is_and_slip(const struct lint_site *s, size_t i)
{
	const struct rs_peer *p = &s->rule->peers[i];
	struct shares x;

	if (!p->ns_selector.present || !p->pod_selector.n_reqs)
		return false;
	x = shares(s, p, &p->pod_selector);
	return !x.takes_own && x.other_pods && !x.other && x.own;
}

bool lint_is_paired(const struct lint_site *s, size_t i)
{
	return (i && is_pair(s->rule, i - 1) && doubt(s, i - 1) >= SLIP) || is_and_slip(s, i);
}

static void check_or(const struct lint_site *s, size_t i)
{
	struct lint_at at = lint_peer_at(s, i + 1);
	const struct rs_peer *a = &s->rule->peers[i], *b = &s->rule->peers[i + 1];
	rs_autofree char *spaces = rs_selector_str(&a->ns_selector);
	rs_autofree char *pods = rs_selector_str(&b->pod_selector);

	switch (doubt(s, i)) {
	case NONE:
		return;
	case MAYBE:
		lint_say_as(
			s->l, s->pol, &at, LINT_OR_INSTEAD_OF_AND, LINT_NOTE,
			"these are alternatives: all pods of the namespaces %s, and the pods %s "
			"of %s",
			spaces, pods, s->pol->ns);
		return;
	case SLIP:
		lint_say(s->l, s->pol, &at, LINT_OR_INSTEAD_OF_AND,
			 "podSelector %s is an item of its own, so all pods of the namespaces %s "
			 "are "
			 "allowed, and it looks for its pods in %s only",
			 pods, spaces, s->pol->ns);
		return;
	case REDUNDANT:
		lint_say(
			s->l, s->pol, &at, LINT_OR_INSTEAD_OF_AND,
			"podSelector %s narrows nothing: the item before it allows all pods of the "
			"namespaces %s, and %s is one of them",
			pods, spaces, s->pol->ns);
	}
}

static void check_and(const struct lint_site *s, size_t i)
{
	const struct rs_peer *p = &s->rule->peers[i];
	struct lint_at at = lint_peer_at(s, i);
	rs_autofree char *spaces = NULL, *pods = NULL;

	if (!is_and_slip(s, i))
		return;
	spaces = rs_selector_str(&p->ns_selector);
	pods = rs_selector_str(&p->pod_selector);
	lint_say(s->l, s->pol, &at, LINT_AND_INSTEAD_OF_OR,
		 "no pod of the namespaces %s matches podSelector %s, while pods of %s do", spaces,
		 pods, s->pol->ns);
}

static void check_rule(const struct lint_site *s)
{
	size_t i;

	for (i = 0; i < s->rule->n_peers; i++) {
		if (is_pair(s->rule, i))
			check_or(s, i);
		check_and(s, i);
	}
}

void lint_check_pairs(struct lint *l)
{
	lint_each_rule(l, check_rule);
}
