// SPDX-License-Identifier: Apache-2.0
/*
 * lint_ports.c - ports: names that nobody declares, SCTP. A name is resolved where the traffic
 * ends: at the selected pods for ingress, at the peers for egress.
 */
#include "cli/lint/lint.h"

#include <string.h>

static const char *proto_name(uint8_t proto)
{
	return proto == RS_PROTO_TCP ? "TCP" : proto == RS_PROTO_UDP ? "UDP" : "SCTP";
}

/* How many pods a name could be resolved at, and how many declare it. */
struct servers {
	size_t n;
	size_t declare;
	size_t other_proto; /* declare the name for another protocol */
};

static void count_server(struct servers *v, const struct lint_end *e,
			 const struct rs_policy_port *p)
{
	size_t i;

	if (e->host_network)
		return;
	v->n++;
	v->declare += lint_declares(e, p);
	for (i = 0; i < e->n_ports; i++)
		v->other_proto += e->ports[i].proto != p->proto && e->ports[i].name &&
				  !strcmp(e->ports[i].name, p->name);
}

static struct servers subjects(const struct lint_site *s, const struct rs_policy_port *p)
{
	struct servers v = { 0 };
	size_t i, n;
	const struct lint_end *e = lint_ends_of(s->l, s->pol->ns, &n);

	for (i = 0; i < n; i++)
		if (lint_selects(s->pol, &e[i]))
			count_server(&v, &e[i], p);
	return v;
}

static void peer_servers(const struct lint_site *s, const struct rs_peer *peer,
			 const struct rs_policy_port *p, struct servers *v)
{
	size_t i, k, n;

	for (i = 0; i < s->l->spaces.n; i++) {
		const struct lint_space *space = &s->l->spaces.v[i];
		const struct lint_end *e;

		if (!lint_peer_takes_space(s->pol, peer, space))
			continue;
		e = lint_ends_of(s->l, space->name, &n);
		for (k = 0; k < n; k++)
			if (lint_peer_takes_labels(peer, &e[k]))
				count_server(v, &e[k], p);
	}
}

static struct servers destinations(const struct lint_site *s, const struct rs_policy_port *p)
{
	struct servers v = { 0 };
	size_t i;

	for (i = 0; s->rule->any_peer && i < s->l->ends.n; i++)
		count_server(&v, &s->l->ends.v[i], p);
	for (i = 0; i < s->rule->n_peers; i++)
		peer_servers(s, &s->rule->peers[i], p, &v);
	return v;
}

static bool only_blocks(const struct rs_rule *r)
{
	size_t i;

	for (i = 0; i < r->n_peers && r->peers[i].has_block; i++)
		;
	return r->n_peers && i == r->n_peers;
}

static void check_named(const struct lint_site *s, const struct lint_at *at,
			const struct rs_policy_port *p)
{
	struct servers v;

	if (s->dir == RS_EGRESS && only_blocks(s->rule)) {
		lint_say(s->l, s->pol, at, LINT_NAMED_PORT_TO_IP_BLOCK,
			 "port \"%s\" is a name, and the peers of this rule are addresses, which "
			 "declare none",
			 p->name);
		return;
	}
	v = s->dir == RS_INGRESS ? subjects(s, p) : destinations(s, p);
	if (!v.n || v.declare)
		return;
	/* Towards everybody the pods of other repositories count, too. */
	lint_say_as(s->l, s->pol, at, LINT_UNDECLARED_NAMED_PORT,
		    s->rule->any_peer && s->dir == RS_EGRESS ? LINT_NOTE : LINT_WARNING,
		    "port \"%s\" (%s) allows nothing: no pod that %s declares it (these files hold "
		    "%zu)%s",
		    p->name, proto_name(p->proto),
		    s->dir == RS_INGRESS ? "the policy selects" : "the rule leads to", v.n,
		    v.other_proto ? ", but for another protocol" : "");
}

static void check_rule(const struct lint_site *s)
{
	size_t i;

	for (i = 0; i < s->rule->n_ports; i++) {
		const struct rs_policy_port *p = &s->rule->ports[i];
		struct lint_at item = lint_port_at(s, i), at = lint_field(&item, "port");

		if (p->kind == RS_PORT_NAMED)
			check_named(s, &at, p);
		if (p->proto == RS_PROTO_SCTP) {
			at = lint_field(&item, "protocol");
			lint_say(s->l, s->pol, &at, LINT_SCTP,
				 "SCTP needs a kernel module on every node and a network plugin "
				 "that knows it");
		}
	}
}

void lint_check_ports(struct lint *l)
{
	lint_each_rule(l, check_rule);
}
