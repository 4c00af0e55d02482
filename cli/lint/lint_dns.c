// SPDX-License-Identifier: Apache-2.0
/* lint_dns.c - DNS: over one protocol only, or not at all. */
#include "cli/lint/lint.h"

#include <string.h>

#include "policy/policy.h"

#define DNS 53

/* ---- one protocol only ----------------------------------------------------------------------- */

static bool is_dns_port(const struct rs_policy_port *p)
{
	return p->kind == RS_PORT_RANGE && p->lo == DNS && p->hi == DNS;
}

/* Whether some rule of the namespace lets the same subjects and the peer have port 53 of proto. */
static bool peer_has(const struct lint_site *s, const struct rs_peer *peer, uint8_t proto)
{
	const struct lint_policy *q, *end;
	size_t k;

	for (q = lint_neighbours(s->l, s->pol, &end); q < end; q++) {
		if (!q->p || !lint_selector_covers(&q->p->subject, &s->pol->p->subject))
			continue;
		for (k = 0; k < q->p->n_rules[s->dir]; k++) {
			const struct rs_rule *r = &q->p->rules[s->dir][k];
			const struct rs_rule one = { .peers = (struct rs_peer *)(uintptr_t)peer,
						     .n_peers = peer != NULL,
						     .any_peer = !peer };

			if (lint_ports_take(r, proto, DNS) &&
			    lint_peers_cover(s->l, q->ns, r, &one))
				return true;
		}
	}
	return false;
}

static bool all_peers_have(const struct lint_site *s, uint8_t proto)
{
	size_t i;

	if (s->rule->any_peer)
		return peer_has(s, NULL, proto);
	for (i = 0; i < s->rule->n_peers; i++)
		if (!peer_has(s, &s->rule->peers[i], proto))
			return false;
	return true;
}

static void check_one_protocol(const struct lint_site *s)
{
	size_t i;

	for (i = 0; i < s->rule->n_ports; i++) {
		const struct rs_policy_port *p = &s->rule->ports[i];
		struct lint_at at = lint_port_at(s, i), written = lint_field(&at, "protocol");

		if (!is_dns_port(p))
			continue;
		if (p->proto == RS_PROTO_UDP && !all_peers_have(s, RS_PROTO_TCP))
			lint_say(s->l, s->pol, &at, LINT_DNS_UDP_ONLY,
				 "port 53 is allowed over UDP and not over TCP");
		/* Into a DNS server zone transfers alone may be meant. */
		if (p->proto == RS_PROTO_TCP && s->dir == RS_EGRESS &&
		    !all_peers_have(s, RS_PROTO_UDP))
			lint_say(s->l, s->pol, &at, LINT_DNS_TCP_ONLY,
				 "port 53 is allowed over TCP%s and not over UDP",
				 written.there ? "" : " (no protocol is written)");
	}
}

/* ---- not at all ------------------------------------------------------------------------------ */

/* Peers among which the cluster's DNS may be, as far as anybody can tell from these files. */
static bool may_be_dns_peer(const struct lint *l, const struct rs_peer *p)
{
	const struct lint_space *s = lint_space(l, "kube-system");
	size_t i;

	if (p->has_block)
		return true;
	if (!p->ns_selector.present)
		return false;
	if (s && s->defined)
		return rs_selector_matches(&p->ns_selector, &s->labels);
	/* Its own labels are not known, but its name is. */
	for (i = 0; i < p->ns_selector.n_reqs; i++) {
		const struct rs_requirement *r = &p->ns_selector.reqs[i];
		struct rs_label name = { (char *)(uintptr_t) "kubernetes.io/metadata.name",
					 (char *)(uintptr_t) "kube-system" };
		const struct rs_labels labels = { &name, 1 };
		const struct rs_selector one = { .present = true,
						 .reqs = (struct rs_requirement *)(uintptr_t)r,
						 .n_reqs = 1 };

		if (!strcmp(r->key, name.key) && !rs_selector_matches(&one, &labels))
			return false;
	}
	return true;
}

static bool names_dns(const struct rs_rule *r)
{
	size_t i;

	for (i = 0; i < r->n_ports; i++)
		if (is_dns_port(&r->ports[i]) ||
		    (r->ports[i].kind == RS_PORT_NAMED &&
		     (strstr(r->ports[i].name, "dns") || strstr(r->ports[i].name, "domain"))))
			return true;
	return false;
}

/* In doubt yes: nobody is told that DNS is missing where it may be meant by a wide rule. */
static bool allows_dns(const struct lint *l, const char *ns, const struct rs_rule *r)
{
	size_t i;

	if (names_dns(r))
		return true;
	if (!lint_ports_take(r, RS_PROTO_UDP, DNS) && !lint_ports_take(r, RS_PROTO_TCP, DNS))
		return false;
	if (r->any_peer || !strcmp(ns, "kube-system"))
		return true;
	for (i = 0; i < r->n_peers; i++)
		if (may_be_dns_peer(l, &r->peers[i]))
			return true;
	return false;
}

/* Pods are reached by the names of their Services; addresses need no DNS. */
static bool leads_to_pods(const struct rs_rule *r)
{
	size_t i;

	for (i = 0; i < r->n_peers; i++)
		if (!r->peers[i].has_block)
			return true;
	return r->any_peer;
}

/* The egress of one pod, or of whoever a policy selects. */
struct egress {
	bool isolated, dns, to_pods, any;
	struct lint_policy *blame; /* the policy to name: the first one with egress rules */
};

static void add_policy(const struct lint *l, struct lint_policy *pol, struct egress *e)
{
	size_t i;

	if (!pol->p->isolates[RS_EGRESS])
		return;
	e->isolated = true;
	if (!e->blame || (!e->blame->p->n_rules[RS_EGRESS] && pol->p->n_rules[RS_EGRESS]))
		e->blame = pol;
	for (i = 0; i < pol->p->n_rules[RS_EGRESS]; i++) {
		const struct rs_rule *r = &pol->p->rules[RS_EGRESS][i];

		e->any = true;
		e->dns |= allows_dns(l, pol->ns, r);
		e->to_pods |= leads_to_pods(r);
	}
}

struct complaint {
	struct lint_names names;
	bool to_pods, any;
};

static void say_no_dns(struct lint *l, struct lint_policy *pol, struct complaint *c)
{
	struct lint_at root = lint_root(pol), spec = lint_field(&root, "spec");
	struct lint_at out = lint_field(&spec, "egress"), types = lint_field(&spec, "policyTypes");
	const char *who = c->names.n ? lint_names_str(&c->names) : "the selected pods";

	if (!c->any)
		lint_say_as(l, pol, out.there ? &out : &types, LINT_NO_DNS, LINT_NOTE,
			    "egress of %s is shut altogether, DNS included", who);
	else
		lint_say_as(l, pol, out.there ? &out : &types, LINT_NO_DNS,
			    c->to_pods ? LINT_WARNING : LINT_NOTE,
			    "egress of %s is isolated, and no policy allows DNS", who);
}

/* Policies of a namespace lie side by side. */
static size_t run_of(const struct lint *l, size_t first)
{
	size_t i = first;

	while (i < l->policies.n && !strcmp(l->policies.v[i].ns, l->policies.v[first].ns))
		i++;
	return i;
}

static void judge_end(struct lint *l, size_t first, size_t last, const struct lint_end *end,
		      struct complaint *by_policy)
{
	struct egress e = { 0 };
	struct complaint *c;
	size_t i;

	for (i = first; i < last; i++)
		if (l->policies.v[i].p && lint_selects(&l->policies.v[i], end))
			add_policy(l, &l->policies.v[i], &e);
	if (!e.isolated || e.dns)
		return;
	c = &by_policy[e.blame - &l->policies.v[first]];
	lint_names_add(&c->names, end);
	c->to_pods |= e.to_pods;
	c->any |= e.any;
}

/* Without pods in the files: told where no policy of the namespace could be the one for DNS. */
static void judge_namespace(struct lint *l, size_t first, size_t last)
{
	struct complaint c = { 0 };
	struct egress e = { 0 };
	size_t i;

	for (i = first; i < last; i++)
		if (l->policies.v[i].p)
			add_policy(l, &l->policies.v[i], &e);
	c.to_pods = e.to_pods;
	c.any = e.any;
	if (e.isolated && e.any && !e.dns)
		say_no_dns(l, e.blame, &c);
}

static void check_namespace(struct lint *l, size_t first, size_t last)
{
	rs_autofree struct complaint *c = rs_new0(struct complaint, last - first);
	size_t i, n;
	const struct lint_end *e = lint_ends_of(l, l->policies.v[first].ns, &n);

	if (!n)
		judge_namespace(l, first, last);
	for (i = 0; i < n; i++)
		if (!e[i].host_network)
			judge_end(l, first, last, &e[i], c);
	for (i = first; i < last; i++) {
		if (c[i - first].names.n)
			say_no_dns(l, &l->policies.v[i], &c[i - first]);
		lint_names_free(&c[i - first].names);
	}
}

void lint_check_dns(struct lint *l)
{
	size_t first, last;

	lint_each_rule(l, check_one_protocol);
	for (first = 0; first < l->policies.n; first = last) {
		last = run_of(l, first);
		check_namespace(l, first, last);
	}
}
