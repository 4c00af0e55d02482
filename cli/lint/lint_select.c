// SPDX-License-Identifier: Apache-2.0
/* lint_select.c - selectors and namespaces: what they match of the pods among the files. */
#include "cli/lint/lint.h"

#include <string.h>

#include "policy/policy.h"

#define NAME_LABEL "kubernetes.io/metadata.name"

/* ---- subjects -------------------------------------------------------------------------------- */

/* Pods of the host's network that the subject selector takes, though no policy counts for them. */
static void check_host_network(struct lint *l, struct lint_policy *pol, const struct lint_at *at,
			       struct lint_names *host, size_t selected)
{
	if (!host->n)
		return;
	lint_say_as(l, pol, at, LINT_HOST_NETWORK_POD, selected ? LINT_NOTE : LINT_WARNING,
		    "the policy has no effect on %s, which use%s the host's network%s",
		    lint_names_str(host), host->n == 1 ? "s" : "",
		    selected ? "" : ", and it selects no other pod");
}

static void check_subject(struct lint *l, struct lint_policy *pol)
{
	struct lint_at root = lint_root(pol), spec = lint_field(&root, "spec");
	struct lint_at at = lint_field(&spec, "podSelector");
	rs_autofree char *text = rs_selector_str(&pol->p->subject);
	struct lint_names host = { 0 };
	size_t n, i, selected = 0;
	const struct lint_end *e = lint_ends_of(l, pol->ns, &n);

	if (lint_selector_contradicts(&pol->p->subject)) {
		lint_say(l, pol, &at, LINT_SELECTOR_CONTRADICTION,
			 "podSelector %s excludes itself: no pod can match it", text);
		return;
	}
	for (i = 0; i < n; i++) {
		selected += lint_selects(pol, &e[i]);
		if (e[i].host_network && rs_selector_matches(&pol->p->subject, e[i].labels))
			lint_names_add(&host, &e[i]);
	}
	if (n && !selected && !host.n)
		lint_say_as(
			l, pol, &at, LINT_SELECTOR_MATCHES_NOTHING,
			lint_space(l, pol->ns)->has_makers ? LINT_NOTE : LINT_WARNING,
			"podSelector %s matches no pod or workload of %s (these files hold %zu)",
			text, pol->ns, n);
	check_host_network(l, pol, &at, &host, selected);
	lint_names_free(&host);
}

/* ---- the policy's namespace ------------------------------------------------------------------ */

static void check_namespace(struct lint *l, struct lint_policy *pol)
{
	struct lint_at root = lint_root(pol), meta = lint_field(&root, "metadata");
	struct lint_at at = lint_field(&meta, "namespace");
	const struct lint_space *meant = NULL;
	bool any_defined = false;
	size_t i;

	if (lint_space(l, pol->ns) || lint_is_system_space(pol->ns))
		return;
	for (i = 0; i < l->spaces.n; i++) {
		any_defined |= l->spaces.v[i].defined;
		if (lint_one_slip(l->spaces.v[i].name, pol->ns))
			meant = &l->spaces.v[i];
	}
	if (meant)
		lint_say(l, pol, &at, LINT_UNDEFINED_NAMESPACE,
			 "namespace %s is not among these files: is %s meant?", pol->ns,
			 meant->name);
	else if (any_defined)
		lint_say_as(l, pol, &at, LINT_UNDEFINED_NAMESPACE, LINT_NOTE,
			    "namespace %s is not among the namespaces of these files", pol->ns);
}

/* ---- a label `name` of namespaces ------------------------------------------------------------ */

static bool somebody_has(const struct lint *l, const char *key)
{
	size_t i;

	for (i = 0; i < l->spaces.n; i++)
		if (l->spaces.v[i].defined && rs_labels_get(&l->spaces.v[i].labels, key))
			return true;
	return false;
}

/* The place of a requirement: the label's key, or the expression. */
static void say_name_label(struct lint *l, struct lint_policy *pol, const struct lint_at *sel,
			   const struct rs_requirement *r)
{
	struct lint_at map = lint_field(sel, "matchLabels");
	const struct rs_doc_item *item = map.node ? rs_doc_get(map.node, r->key) : NULL;
	struct lint_at at = item ? lint_key(&map, item) : lint_field(sel, "matchExpressions");

	lint_say(l, pol, &at, LINT_NAMESPACE_NAME_LABEL,
		 "no namespace of these files has a label `%s`, which Kubernetes does not set: "
		 "write " NAME_LABEL "%s%s",
		 r->key, r->n_values == 1 ? ": " : "", r->n_values == 1 ? r->values[0] : "");
}

/* Only where the label must be there. Where people do set it, it is theirs to use. */
static bool name_label(struct lint *l, struct lint_policy *pol, const struct lint_at *sel,
		       const struct rs_selector *s)
{
	size_t i;

	for (i = 0; i < s->n_reqs; i++) {
		const struct rs_requirement *r = &s->reqs[i];

		if (r->op != RS_OP_IN || strcmp(r->key, "name") || somebody_has(l, r->key))
			continue;
		say_name_label(l, pol, sel, r);
		return true;
	}
	return false;
}

/* ---- namespaceSelector ----------------------------------------------------------------------- */

static const struct rs_requirement *by_name(const struct rs_selector *s)
{
	size_t i;

	for (i = 0; i < s->n_reqs; i++)
		if (s->reqs[i].op == RS_OP_IN && !strcmp(s->reqs[i].key, NAME_LABEL))
			return &s->reqs[i];
	return NULL;
}

static const char *slip_of(const struct lint *l, const struct rs_requirement *r)
{
	size_t i, k;

	for (i = 0; i < r->n_values; i++)
		for (k = 0; k < l->spaces.n; k++)
			if (lint_one_slip(r->values[i], l->spaces.v[k].name))
				return l->spaces.v[k].name;
	return NULL;
}

/* Namespaces of other repositories may match. But a label that is kept here should match here. */
static void no_space(const struct lint_site *s, const struct lint_at *at,
		     const struct rs_selector *sel)
{
	const struct rs_requirement *name = by_name(sel);
	rs_autofree char *text = rs_selector_str(sel);
	const char *meant = name ? slip_of(s->l, name) : NULL;
	size_t i, n_defined = 0;
	bool kept = false;

	if (meant)
		lint_say(s->l, s->pol, at, LINT_PEER_MATCHES_NOTHING,
			 "namespaceSelector %s matches no namespace of these files: is %s meant?",
			 text, meant);
	if (name)
		return;
	for (i = 0; i < s->l->spaces.n; i++)
		n_defined += s->l->spaces.v[i].defined;
	for (i = 0; i < sel->n_reqs; i++)
		kept |= somebody_has(s->l, sel->reqs[i].key);
	if (n_defined)
		lint_say_as(
			s->l, s->pol, at, LINT_PEER_MATCHES_NOTHING,
			kept ? LINT_WARNING : LINT_NOTE,
			"namespaceSelector %s matches none of the %zu namespaces of these files",
			text, n_defined);
}

/* ---- pods of a peer -------------------------------------------------------------------------- */

struct tally {
	size_t pods; /* of the namespaces that the peer takes */
	size_t spaces;
	size_t taken, host;
	bool has_makers;
};

static struct tally tally(const struct lint_site *s, const struct rs_peer *p)
{
	struct tally t = { 0 };
	size_t i, k, n;

	for (i = 0; i < s->l->spaces.n; i++) {
		const struct lint_space *space = &s->l->spaces.v[i];
		const struct lint_end *e;

		if (!lint_peer_takes_space(s->pol, p, space))
			continue;
		t.spaces++;
		t.has_makers |= space->has_makers;
		e = lint_ends_of(s->l, space->name, &n);
		t.pods += n;
		for (k = 0; k < n; k++) {
			bool takes = lint_peer_takes_labels(p, &e[k]);

			t.taken += takes && !e[k].host_network;
			t.host += takes && e[k].host_network;
		}
	}
	return t;
}

/* What a distribution runs there is seldom among anybody's files. */
static bool of_the_system(const struct rs_peer *p)
{
	const struct rs_requirement *name = by_name(&p->ns_selector);
	size_t i;

	for (i = 0; name && i < name->n_values; i++)
		if (lint_is_system_space(name->values[i]))
			return true;
	return false;
}

static void no_pod(const struct lint_site *s, const struct lint_at *at, const struct rs_peer *p,
		   const struct tally *t)
{
	rs_autofree char *text = rs_selector_str(&p->pod_selector);

	if (t->host)
		lint_say(s->l, s->pol, at, LINT_PEER_MATCHES_NOTHING,
			 "podSelector %s matches only pods of the host's network, whose address is "
			 "the node's: no selector lets them through",
			 text);
	else if (!p->ns_selector.present)
		lint_say_as(
			s->l, s->pol, at, LINT_PEER_MATCHES_NOTHING,
			t->has_makers ? LINT_NOTE : LINT_WARNING,
			"podSelector %s matches no pod or workload of %s (these files hold %zu)",
			text, s->pol->ns, t->pods);
	else if (!of_the_system(p))
		lint_say_as(s->l, s->pol, at, LINT_PEER_MATCHES_NOTHING,
			    p->ns_selector.n_reqs && !t->has_makers ? LINT_WARNING : LINT_NOTE,
			    "podSelector %s matches no pod or workload of the namespaces that the "
			    "peer selects (these files hold %zu)",
			    text, t->pods);
}

static bool contradiction(const struct lint_site *s, const struct lint_at *at,
			  const struct rs_selector *sel)
{
	rs_autofree char *text = NULL;

	if (!lint_selector_contradicts(sel))
		return false;
	text = rs_selector_str(sel);
	lint_say(s->l, s->pol, at, LINT_SELECTOR_CONTRADICTION,
		 "%s %s excludes itself: nothing can match it", at->key, text);
	return true;
}

static void check_peer(const struct lint_site *s, size_t i)
{
	const struct rs_peer *p = &s->rule->peers[i];
	struct lint_at at = lint_peer_at(s, i), pods = lint_field(&at, "podSelector");
	struct lint_at spaces = lint_field(&at, "namespaceSelector");
	struct tally t;

	if (p->has_block || contradiction(s, &pods, &p->pod_selector) ||
	    contradiction(s, &spaces, &p->ns_selector) ||
	    name_label(s->l, s->pol, &spaces, &p->ns_selector) || lint_is_paired(s, i))
		return;
	t = tally(s, p);
	if (p->ns_selector.present && p->ns_selector.n_reqs && !t.spaces)
		no_space(s, &spaces, &p->ns_selector);
	else if (t.pods && !t.taken && p->pod_selector.n_reqs)
		no_pod(s, &pods, p, &t);
}

static void check_peers(const struct lint_site *s)
{
	size_t i;

	for (i = 0; i < s->rule->n_peers; i++)
		check_peer(s, i);
}

void lint_check_selectors(struct lint *l)
{
	size_t i;

	for (i = 0; i < l->policies.n; i++) {
		if (!l->policies.v[i].p)
			continue;
		check_namespace(l, &l->policies.v[i]);
		check_subject(l, &l->policies.v[i]);
	}
	lint_each_rule(l, check_peers);
}
