// SPDX-License-Identifier: Apache-2.0
/* gen_aim.c - a flow at the edge of one rule of one policy: its subject, a peer that it means or just
 * misses, a port that it names or the one beside it. */
#include <string.h>

#include "base/base.h"
#include "tests/prove/gen.h"
#include "tests/prove/gen_flows.h"

static json_object *some_item(struct pv_rng *r, json_object *list)
{
	size_t n = fl_count(list);

	return n ? json_object_array_get_idx(list, pv_below(r, (uint32_t)n)) : NULL;
}

/* ---- choosing among ends --------------------------------------------------------------------- */

struct choice {
	const struct fl_end *best;
	uint32_t weight;
};

/* One of those offered, each as likely as its weight. */
static void offer(struct pv_rng *r, struct choice *c, const struct fl_end *e, uint32_t weight)
{
	if (!weight)
		return;
	c->weight += weight;
	if (pv_below(r, c->weight) < weight)
		c->best = e;
}

static const struct fl_end *some_subject(struct pv_rng *r, const struct fl_world *w, const char *ns,
					 json_object *selector)
{
	struct choice c = { 0 };
	size_t i;

	for (i = 0; i < w->n_ends; i++)
		if (w->ends[i].what == FL_POD && !strcmp(w->ends[i].ns, ns) &&
		    fl_selects(selector, w->ends[i].labels))
			offer(r, &c, &w->ends[i], 1);
	return c.best;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

/* 2: the first or last address of it, or the one beside it; 1: inside; 0: elsewhere. */
static uint32_t nearness(const struct rs_cidr *c, const struct rs_addr *a)
{
	struct rs_addr first = rs_cidr_first(c), last = rs_cidr_last(c);
	uint32_t edge = !rs_addr_cmp(&first, a) || !rs_addr_cmp(&last, a);

	if (a->family != c->addr.family)
		return 0;
	if (rs_addr_prev(&first) && !rs_addr_cmp(&first, a))
		return 2;
	if (rs_addr_next(&last) && !rs_addr_cmp(&last, a))
		return 2;
	return edge ? 2 : rs_cidr_contains(c, a);
}

/* The IPv4 block that a v4-mapped one would be to somebody who took it for that. */
static struct rs_cidr as_four(const struct rs_cidr *mapped)
{
	struct rs_cidr c = { .addr.family = RS_AF_IP4, .len = (uint8_t)(mapped->len - 96) };

	memcpy(c.addr.b, mapped->addr.b + 12, 4);
	return c;
}

static void offer_block(struct pv_rng *r, const struct fl_world *w, const char *text,
			const struct fl_end * not, struct choice *c)
{
	struct rs_cidr cidr;
	size_t i;
	int f;

	if (rs_cidr_parse(text, &cidr, NULL, NULL) < 0)
		return;
	if (rs_cidr_is_v4mapped(&cidr))
		cidr = as_four(&cidr);
	for (i = 0; i < w->n_ends; i++)
		for (f = 0; f < 2; f++)
			if (&w->ends[i] != not )
				offer(r, c, &w->ends[i], nearness(&cidr, &w->ends[i].addr[f]));
}

static const struct fl_end *near_block(struct pv_rng *r, const struct fl_world *w,
				       json_object *block, const struct fl_end * not )
{
	json_object *excepts = fl_get(block, "except");
	struct choice c = { 0 };
	size_t i;

	offer_block(r, w, fl_text(block, "cidr"), not, &c);
	for (i = 0; i < fl_count(excepts); i++)
		offer_block(r, w, json_object_get_string(json_object_array_get_idx(excepts, i)),
			    not, &c);
	return c.best;
}

/* ---- peers ----------------------------------------------------------------------------------- */

static const struct fl_end *selected_peer(struct pv_rng *r, const struct fl_world *w,
					  const char *ns, json_object *peer,
					  const struct fl_end * not )
{
	json_object *pods = fl_get(peer, "podSelector"),
		    *spaces = fl_get(peer, "namespaceSelector");
	struct choice c = { 0 };
	size_t i;

	for (i = 0; i < w->n_ends; i++) {
		const struct fl_end *e = &w->ends[i];
		bool in_ns;

		if (e->what != FL_POD || e == not )
			continue;
		in_ns = spaces ? fl_selects(spaces, fl_namespace_labels(w, e->ns))
			       : !strcmp(e->ns, ns);
		/* Both halves, one of them, and now and then neither. */
		if (in_ns && fl_selects(pods, e->labels))
			offer(r, &c, e, 6);
		else if (in_ns || fl_selects(pods, e->labels))
			offer(r, &c, e, 2);
	}
	return c.best;
}

static const struct fl_end *any_end(struct pv_rng *r, const struct fl_world *w,
				    const struct fl_end * not )
{
	struct choice c = { 0 };
	size_t i;

	for (i = 0; i < w->n_ends; i++)
		if (&w->ends[i] != not )
			offer(r, &c, &w->ends[i], w->ends[i].what == FL_POD ? 2 : 3);
	return c.best;
}

static const struct fl_end *some_peer(struct pv_rng *r, const struct fl_world *w, const char *ns,
				      json_object *peers, const struct fl_end *subject)
{
	json_object *peer = some_item(r, peers), *block = fl_get(peer, "ipBlock");
	const struct fl_end *e = NULL;

	if (pv_chance(r, 15))
		return any_end(r, w, subject);
	if (block)
		e = near_block(r, w, block, subject);
	else if (fl_get(peer, "podSelector") || fl_get(peer, "namespaceSelector"))
		e = selected_peer(r, w, ns, peer, subject);
	return e ? e : any_end(r, w, subject);
}

/* ---- ports ----------------------------------------------------------------------------------- */

static uint8_t another_proto(struct pv_rng *r, uint8_t proto)
{
	static const uint8_t protos[] = { FL_TCP, FL_UDP, FL_SCTP };
	uint8_t other = gen_pick(r, protos);

	return other == proto ? (proto == FL_TCP ? FL_UDP : FL_TCP) : other;
}

/* A number that somebody gives this name: the destination, else anybody. */
static uint32_t number_of(struct pv_rng *r, const struct fl_world *w, const struct fl_end *dst,
			  const char *name, uint8_t *proto)
{
	uint32_t weight = 0, port = 0;
	bool elsewhere = pv_chance(r, 25);
	size_t i, k;

	for (i = 0; i < w->n_ends; i++) {
		const struct fl_end *e = &w->ends[i];

		if ((e == dst) == elsewhere)
			continue;
		for (k = 0; k < e->n_ports; k++) {
			if (strcmp(e->ports[k].name, name) != 0)
				continue;
			weight++;
			if (pv_below(r, weight))
				continue;
			port = e->ports[k].port;
			if (pv_chance(r, 50))
				*proto = e->ports[k].proto;
		}
	}
	return port;
}

static uint32_t number_near(struct pv_rng *r, json_object *port, json_object *end)
{
	int64_t lo = json_object_get_int64(port);
	int64_t hi = end ? json_object_get_int64(end) : lo;

	switch (gen_choose(r, 30, 30, 14, 14, 12)) {
	case 0:
		return (uint32_t)lo;
	case 1:
		return (uint32_t)hi;
	case 2:
		return (uint32_t)(lo - 1);
	case 3:
		return (uint32_t)(hi + 1);
	default:
		return (uint32_t)((lo + hi) / 2);
	}
}

/* A rule without ports takes all protocols, and one with ports no other than the three. */
static uint8_t portless(struct pv_rng *r, int f)
{
	static const uint8_t other[] = { 47, 50, 136 };

	return pv_chance(r, 60) ? (f ? 58 : 1) : gen_pick(r, other);
}

static bool aim_port(struct pv_rng *r, const struct fl_world *w, json_object *ports,
		     struct fl_flow *out)
{
	json_object *entry = some_item(r, ports), *port = fl_get(entry, "port");
	const char *name = fl_text(entry, "protocol");
	uint32_t number = w->ports[0];

	out->port = 0;
	out->proto = FL_TCP;
	if (!strcmp(name, "UDP"))
		out->proto = FL_UDP;
	else if (!strcmp(name, "SCTP"))
		out->proto = FL_SCTP;
	if (pv_chance(r, ports && fl_count(ports) ? 5 : 25)) {
		out->proto = portless(r, out->f);
		return true;
	}
	/* A number in quotes: the number that it is not. */
	if (port && json_object_is_type(port, json_type_string) && json_object_get_int(port))
		number = (uint32_t)json_object_get_int(port);
	else if (port && json_object_is_type(port, json_type_string))
		number = number_of(r, w, out->dst, json_object_get_string(port), &out->proto);
	else if (port)
		number = number_near(r, port, fl_get(entry, "endPort"));
	else if (w->n_ports)
		number = w->ports[pv_below(r, (uint32_t)w->n_ports)];
	if (pv_chance(r, 12))
		out->proto = another_proto(r, out->proto);
	out->port = (uint16_t)number;
	return number >= 1 && number <= 65535;
}

/* ---- the flow -------------------------------------------------------------------------------- */

bool fl_aimed(struct pv_rng *r, const struct fl_world *w, struct fl_flow *out)
{
	json_object *policy, *spec, *rule;
	const struct fl_end *subject, *peer;
	bool egress;
	const char *ns;

	if (!w->n_policies)
		return false;
	policy = w->policies[pv_below(r, (uint32_t)w->n_policies)];
	egress = pv_chance(r, 50);
	spec = fl_get(policy, "spec");
	ns = fl_text(fl_get(policy, "metadata"), "namespace");
	rule = some_item(r, fl_get(spec, egress ? "egress" : "ingress"));
	if (!rule && pv_chance(r, 60))
		return false;
	subject = some_subject(r, w, ns, fl_get(spec, "podSelector"));
	if (!subject)
		return false;
	peer = some_peer(r, w, ns, fl_get(rule, egress ? "to" : "from"), subject);
	if (!peer)
		return false;
	out->src = egress ? subject : peer;
	out->dst = egress ? peer : subject;
	out->f = (int)pv_below(r, 2);
	return aim_port(r, w, fl_get(rule, "ports"), out);
}
