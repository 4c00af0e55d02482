// SPDX-License-Identifier: Apache-2.0
/* nearmiss.c - the rule that comes closest to allowing a flow, in words; see nearmiss.h. */
#include "policy/nearmiss.h"

#include <string.h>

#include "base/base.h"
#include "policy/span.h"
#include "policy/words.h"

struct candidate {
	const struct rs_policy *p;
	const struct rs_rule *r;
	size_t index;
	bool ports, peers;
};

static bool ports_match(const struct rs_half *h, const struct rs_rule *r)
{
	return rs_rule_ports_match(r, h->declared, h->n_declared, h->proto, h->port);
}

bool rs_half_rule_allows(const struct rs_half *h, const struct rs_policy *p,
			 const struct rs_rule *r)
{
	return ports_match(h, r) && rs_rule_peers_match(p, r, h->peer, &h->peer_addr);
}

/* ---- closeness ------------------------------------------------------------------------------- */

static bool ns_matches(const struct rs_half *h, const struct candidate *c,
		       const struct rs_peer *peer)
{
	if (!h->peer)
		return false;
	if (peer->ns_selector.present)
		return rs_selector_matches(&peer->ns_selector, h->peer->ns_labels);
	return !strcmp(c->p->meta.ns, h->peer->ns);
}

/* How near an item is that does not match: 3, only its last part fails (the labels of a pod of the
 * right namespace, an except); 2, it is about such peers; 1, it is about others; 0, about none. */
static int peer_fit(const struct rs_half *h, const struct candidate *c, const struct rs_peer *peer)
{
	if (peer->invalid)
		return 0;
	if (peer->has_block && rs_cidr_contains(&peer->block.cidr, &h->peer_addr))
		return 3;
	if (peer->has_block)
		return h->peer ? 1 : 2;
	if (!h->peer)
		return 1;
	return ns_matches(h, c, peer) ? 3 : 2;
}

/* The item that comes closest, the first of several. */
static size_t nearest_peer(const struct rs_half *h, const struct candidate *c)
{
	size_t i, best = 0;
	int fit, most = -1;

	for (i = 0; i < c->r->n_peers; i++) {
		fit = peer_fit(h, c, &c->r->peers[i]);
		if (fit > most) {
			most = fit;
			best = i;
		}
	}
	return best;
}

/* A rule for these ports first, then one for this peer, then the first that there is; of alike ones
 * the one with the nearer peer. */
static int rank(const struct rs_half *h, const struct candidate *c)
{
	int fit = c->r->n_peers ? peer_fit(h, c, &c->r->peers[nearest_peer(h, c)]) : 0;

	return (c->ports ? 8 : c->peers ? 4 : 1) + (c->peers ? 3 : fit);
}

static bool find_nearest(const struct rs_half *h, const struct rs_policy *const *policies, size_t n,
			 struct candidate *best)
{
	int best_rank = 0;
	size_t i, k;

	for (i = 0; i < n; i++) {
		const struct rs_policy *p = policies[i];

		for (k = 0; !rs_policy_subject_bad(p) && k < p->n_rules[h->dir]; k++) {
			struct candidate c = { p, &p->rules[h->dir][k], k, false, false };

			c.ports = ports_match(h, c.r);
			c.peers = rs_rule_peers_match(p, c.r, h->peer, &h->peer_addr);
			if (rank(h, &c) > best_rank) {
				best_rank = rank(h, &c);
				*best = c;
			}
		}
	}
	return best_rank > 0;
}

/* ---- ports ----------------------------------------------------------------------------------- */

void rs_put_flow_port(struct rs_strbuf *b, const struct rs_half *h)
{
	char buf[16];

	rs_strbuf_puts(b, rs_proto_name(h->proto, buf));
	if (h->proto == RS_PROTO_TCP || h->proto == RS_PROTO_UDP || h->proto == RS_PROTO_SCTP)
		rs_strbuf_printf(b, "/%u", h->port);
}

static bool declares(const struct rs_half *h, const struct rs_policy_port *p)
{
	size_t i;

	for (i = 0; i < h->n_declared; i++)
		if (h->declared[i].name && h->declared[i].proto == p->proto &&
		    !strcmp(h->declared[i].name, p->name))
			return true;
	return false;
}

static void put_undeclared(struct rs_strbuf *b, const struct rs_half *h, const struct rs_rule *r)
{
	size_t i;

	for (i = 0; i < r->n_ports; i++) {
		const struct rs_policy_port *p = &r->ports[i];

		if (p->invalid) {
			rs_strbuf_printf(b, "; ports[%zu] is not valid: ", i);
			rs_strbuf_puts_safe(b, p->why ? p->why : "it cannot be read");
		} else if (p->kind == RS_PORT_NAMED && !declares(h, p)) {
			rs_strbuf_puts(b, "; ");
			rs_strbuf_puts(b, h->server_text);
			rs_strbuf_puts(b, " declares no port named ");
			rs_strbuf_puts_safe(b, p->name);
		}
	}
}

static char *say_ports(const struct rs_half *h, const struct candidate *c)
{
	struct rs_strbuf b = { 0 };

	rs_put_flow_port(&b, h);
	if (c->ports) {
		rs_strbuf_puts(&b,
			       c->r->any_port ? " matches (the rule has no ports)" : " matches");
		return rs_strbuf_steal(&b);
	}
	rs_strbuf_puts(&b, " is not among ");
	rs_put_rule_ports(&b, c->r);
	put_undeclared(&b, h, c->r);
	return rs_strbuf_steal(&b);
}

/* ---- peers ----------------------------------------------------------------------------------- */

static void put_block_miss(struct rs_strbuf *b, const struct rs_half *h,
			   const struct rs_ipblock *block)
{
	char addr[RS_ADDR_STRLEN], cidr[RS_CIDR_STRLEN];
	size_t i;

	rs_strbuf_printf(b, "ipBlock %s does NOT match %s", rs_cidr_str(&block->cidr, cidr),
			 rs_addr_str(&h->peer_addr, addr));
	for (i = 0; i < block->n_except; i++)
		if (rs_cidr_contains(&block->cidr, &h->peer_addr) &&
		    rs_cidr_contains(&block->except[i], &h->peer_addr)) {
			rs_strbuf_printf(b, ": it lies in the except %s",
					 rs_cidr_str(&block->except[i], cidr));
			return;
		}
}

static void put_ns_miss(struct rs_strbuf *b, const struct rs_half *h, const struct candidate *c,
			const struct rs_peer *peer)
{
	if (!peer->ns_selector.present) {
		rs_strbuf_puts(b, "it names pods of namespace ");
		rs_strbuf_puts_safe(b, c->p->meta.ns);
		rs_strbuf_puts(b, " only: the pod is in ");
		rs_strbuf_puts_safe(b, h->peer->ns);
		return;
	}
	rs_strbuf_puts(b, "namespaceSelector ");
	rs_put_selector(b, &peer->ns_selector);
	rs_strbuf_puts(b, " does NOT match: namespace ");
	rs_strbuf_puts_safe(b, h->peer->ns);
	if (!h->peer->ns_labels) {
		rs_strbuf_puts(b, " is not known");
		return;
	}
	rs_strbuf_puts(b, " has ");
	rs_put_labels(b, h->peer->ns_labels);
}

static void put_selector_miss(struct rs_strbuf *b, const struct rs_half *h,
			      const struct candidate *c, const struct rs_peer *peer)
{
	char addr[RS_ADDR_STRLEN];

	if (!h->peer) {
		rs_put_peer(b, c->p, peer);
		rs_strbuf_printf(b,
				 " does NOT match %s: it is no pod's address, and selectors "
				 "match pods only",
				 rs_addr_str(&h->peer_addr, addr));
	} else if (!h->peer->labels) {
		rs_put_peer(b, c->p, peer);
		rs_strbuf_puts(b,
			       " does NOT match: the pod has finished or its labels are not known");
	} else if (!ns_matches(h, c, peer)) {
		put_ns_miss(b, h, c, peer);
	} else {
		rs_strbuf_puts(b, "podSelector ");
		rs_put_selector(b, &peer->pod_selector);
		rs_strbuf_puts(b, " does NOT match: the pod has ");
		rs_put_labels(b, h->peer->labels);
	}
}

static char *say_peers(const struct rs_half *h, const struct candidate *c)
{
	struct rs_strbuf b = { 0 };
	const struct rs_peer *peer;

	if (c->peers) {
		rs_strbuf_puts(&b, h->peer_text);
		rs_strbuf_puts(&b,
			       c->r->any_peer ? " matches (the rule is for any peer)" : " matches");
		return rs_strbuf_steal(&b);
	}
	if (!c->r->n_peers)
		return rs_strdup("the rule has no valid peer: it matches nobody");
	peer = &c->r->peers[nearest_peer(h, c)];
	if (peer->invalid) {
		rs_strbuf_puts(&b, "its peer is not valid and matches nobody: ");
		rs_strbuf_puts_safe(&b, peer->why ? peer->why : "it cannot be read");
	} else if (peer->has_block) {
		put_block_miss(&b, h, &peer->block);
	} else {
		put_selector_miss(&b, h, c, peer);
	}
	if (c->r->n_peers > 1)
		rs_strbuf_printf(&b, " (nor do its %zu other peers)", c->r->n_peers - 1);
	return rs_strbuf_steal(&b);
}

/* ---- what to do ------------------------------------------------------------------------------ */

static void put_port_hint(struct rs_strbuf *b, const struct rs_half *h, const char *rule)
{
	bool has_port =
		h->proto == RS_PROTO_TCP || h->proto == RS_PROTO_UDP || h->proto == RS_PROTO_SCTP;

	if (has_port) {
		rs_strbuf_puts(b, "add ");
		rs_put_flow_port(b, h);
		rs_strbuf_printf(b, " to %s.ports", rule);
		return;
	}
	rs_put_flow_port(b, h);
	rs_strbuf_printf(b, " is allowed only by a rule without ports: add one beside %s", rule);
}

static void put_peer_hint(struct rs_strbuf *b, const struct rs_half *h, const struct candidate *c,
			  const char *rule)
{
	const char *list = h->dir == RS_INGRESS ? "from" : "to";
	const struct rs_peer *peer;
	char addr[RS_ADDR_STRLEN];

	if (!h->peer) {
		rs_strbuf_printf(b, "add an ipBlock that holds %s to %s.%s",
				 rs_addr_str(&h->peer_addr, addr), rule, list);
		return;
	}
	peer = c->r->n_peers ? &c->r->peers[nearest_peer(h, c)] : NULL;
	if (peer && rs_peer_by_selector(peer) && ns_matches(h, c, peer) &&
	    peer->pod_selector.present) {
		rs_strbuf_printf(b, "label %s so that ", h->peer_text);
		rs_put_selector(b, &peer->pod_selector);
		rs_strbuf_puts(b, " matches it, or ");
	}
	rs_strbuf_printf(b, "add a peer that matches %s to %s.%s", h->peer_text, rule, list);
}

static char *say_hint(const struct rs_half *h, const struct candidate *c, const char *rule)
{
	struct rs_strbuf b = { 0 };

	if (!c->peers)
		put_peer_hint(&b, h, c, rule);
	if (!c->peers && !c->ports)
		rs_strbuf_puts(&b, ", and ");
	if (!c->ports)
		put_port_hint(&b, h, rule);
	return rs_strbuf_steal(&b);
}

void rs_near_miss(const struct rs_half *h, const struct rs_policy *const *policies, size_t n,
		  struct rs_half_explained *out)
{
	struct candidate c;

	if (!find_nearest(h, policies, n, &c))
		return;
	out->miss_rule = rs_rule_name(c.p, h->dir, c.index);
	out->miss_where = rs_pos_text(&c.r->pos);
	out->miss_ports = say_ports(h, &c);
	out->miss_peers = say_peers(h, &c);
	out->miss_hint = say_hint(h, &c, out->miss_rule);
}
