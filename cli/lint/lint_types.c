// SPDX-License-Identifier: Apache-2.0
/* lint_types.c - directions and empty lists: what is left out, and what that means. */
#include "cli/lint/lint.h"

#include <string.h>

static const char *const types[] = { [RS_INGRESS] = "Ingress", [RS_EGRESS] = "Egress" };

static bool is_filled(const struct lint_at *list)
{
	return lint_items(list, RS_DOC_LIST) != NULL;
}

/* Without policyTypes ingress is isolated always, egress only where there are rules for it. */
static void check_omitted(struct lint *l, struct lint_policy *pol, const struct lint_at *spec)
{
	struct lint_at in = lint_field(spec, "ingress"), out = lint_field(spec, "egress");

	if (is_filled(&out) && !in.there)
		lint_say(l, pol, &out, LINT_POLICY_TYPES_OMITTED,
			 "there are only egress rules and no policyTypes, so all ingress to the "
			 "selected pods is denied, too");
}

static void check_ignored(struct lint *l, struct lint_policy *pol, const struct lint_at *spec,
			  enum rs_direction dir)
{
	struct lint_at list = lint_field(spec, lint_rules_key(dir));

	if (!list.there || pol->p->isolates[dir])
		return;
	if (is_filled(&list))
		lint_say(l, pol, &list, LINT_RULES_IGNORED,
			 "these rules do not count, because policyTypes does not name %s",
			 types[dir]);
	else
		lint_say_as(l, pol, &list, LINT_RULES_IGNORED, LINT_NOTE,
			    "an empty %s denies nothing, because policyTypes does not name %s",
			    list.key, types[dir]);
}

static void check_policy(struct lint *l, struct lint_policy *pol)
{
	struct lint_at root = lint_root(pol), spec = lint_field(&root, "spec");
	struct lint_at list = lint_field(&spec, "policyTypes");
	int dir;

	if (!is_filled(&list)) {
		check_omitted(l, pol, &spec);
		return;
	}
	for (dir = 0; dir < RS_DIRECTIONS; dir++)
		check_ignored(l, pol, &spec, (enum rs_direction)dir);
}

static void check_lists(const struct lint_site *s)
{
	if (s->rule->any_peer && s->peers_at.there)
		lint_say(s->l, s->pol, &s->peers_at, LINT_EMPTY_PEER_LIST,
			 "an empty %s allows every %s, not none", s->peers_at.key,
			 s->dir == RS_INGRESS ? "source" : "destination");
	if (s->rule->any_port && s->ports_at.there)
		lint_say(s->l, s->pol, &s->ports_at, LINT_EMPTY_PORT_LIST,
			 "an empty ports allows every port of every protocol, not none");
}

void lint_check_types(struct lint *l)
{
	size_t i;

	for (i = 0; i < l->policies.n; i++)
		if (l->policies.v[i].p)
			check_policy(l, &l->policies.v[i]);
	lint_each_rule(l, check_lists);
}
