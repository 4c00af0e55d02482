// SPDX-License-Identifier: Apache-2.0
/* lint_shadow.c - rules, peers and ports that add nothing, because another one allows as much. */
#include "cli/lint/lint.h"

#include <string.h>

/* ---- rules ----------------------------------------------------------------------------------- */

/* Of two alike the first one stays. */
static bool comes_first(const struct lint_policy *p, size_t i, const struct lint_policy *q,
			size_t k)
{
	return p == q ? i < k : p < q;
}

/* The rule k of policy q, seen as the one that makes s needless. */
static bool check_against(const struct lint_site *s, const struct lint_policy *q, size_t k)
{
	const struct rs_rule *outer = &q->p->rules[s->dir][k];
	bool same;

	if (!lint_rule_covers(s->l, q->ns, outer, s->rule))
		return false;
	same = lint_rule_covers(s->l, q->ns, s->rule, outer) &&
	       lint_selector_covers(&s->pol->p->subject, &q->p->subject);
	if (same && comes_first(s->pol, s->index, q, k))
		return false;
	if (q == s->pol)
		lint_say(s->l, s->pol, s->at, same ? LINT_DUPLICATE_RULE : LINT_SHADOWED_RULE,
			 same ? "this rule allows the same as %s[%zu]"
			      : "all that this rule allows is allowed by %s[%zu], too",
			 lint_rules_key(s->dir), k);
	else
		lint_say_as(s->l, s->pol, s->at, same ? LINT_DUPLICATE_RULE : LINT_SHADOWED_RULE,
			    LINT_NOTE,
			    same ? "this rule allows the same as %s[%zu] of policy %s"
				 : "all that this rule allows is allowed by %s[%zu] of policy %s, "
				   "too",
			    lint_rules_key(s->dir), k, q->name);
	return true;
}

static bool check_policy(const struct lint_site *s, const struct lint_policy *q)
{
	size_t k;

	if (!q->p || !lint_selector_covers(&q->p->subject, &s->pol->p->subject))
		return false;
	for (k = 0; k < q->p->n_rules[s->dir]; k++)
		if ((q != s->pol || k != s->index) && check_against(s, q, k))
			return true;
	return false;
}

/* Its own policy first: there it is most likely a slip. */
static void check_shadowed(const struct lint_site *s)
{
	const struct lint_policy *q, *end;

	if (check_policy(s, s->pol))
		return;
	for (q = lint_neighbours(s->l, s->pol, &end); q < end; q++)
		if (q != s->pol && check_policy(s, q))
			return;
}

/* ---- peers and ports of one rule ------------------------------------------------------------- */

/* More than anybody writes by hand: then nothing is claimed. */
#define ITEMS_MAX 1000u

static void check_peers(const struct lint_site *s)
{
	const struct rs_rule *r = s->rule;
	size_t i, k;

	for (i = 1; i < r->n_peers && r->n_peers <= ITEMS_MAX; i++) {
		struct lint_at at = lint_peer_at(s, i);

		for (k = 0; k < i; k++)
			if (lint_peer_covers(s->l, s->pol->ns, &r->peers[k], &r->peers[i]) &&
			    lint_peer_covers(s->l, s->pol->ns, &r->peers[i], &r->peers[k]))
				break;
		if (k < i)
			lint_say(s->l, s->pol, &at, LINT_DUPLICATE_ITEM,
				 "this peer is the same as %s[%zu]", lint_peers_key(s->dir), k);
	}
}

static void check_ports(const struct lint_site *s)
{
	const struct rs_rule *r = s->rule;
	size_t i, k;

	for (i = 1; i < r->n_ports && r->n_ports <= ITEMS_MAX; i++) {
		struct lint_at at = lint_port_at(s, i);

		for (k = 0; k < i; k++)
			if (lint_port_covers(&r->ports[k], &r->ports[i]) &&
			    lint_port_covers(&r->ports[i], &r->ports[k]))
				break;
		if (k < i)
			lint_say(s->l, s->pol, &at, LINT_DUPLICATE_ITEM,
				 "this port is the same as ports[%zu]", k);
	}
}

static void check_rule(const struct lint_site *s)
{
	check_shadowed(s);
	check_peers(s);
	check_ports(s);
}

void lint_check_shadows(struct lint *l)
{
	lint_each_rule(l, check_rule);
}
