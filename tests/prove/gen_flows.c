// SPDX-License-Identifier: Apache-2.0
/*
 * gen_flows.c - flows for the objects of a case: which pairs, which ports. Reads nothing but the JSON,
 * so that it serves a case that was morphed, shrunk or written by hand.
 */
#include "tests/prove/gen_flows.h"

#include "base/base.h"
#include "tests/prove/gen.h"

/* Whether this pair says something: one end a pod, and no address twice but a pod's own. */
static bool possible(const struct fl_end *src, const struct fl_end *dst, int f)
{
	if (src->addr[f].family == RS_AF_NONE || dst->addr[f].family == RS_AF_NONE)
		return false;
	if (src->what != FL_POD && dst->what != FL_POD)
		return false;
	if (src != dst && !rs_addr_cmp(&src->addr[f], &dst->addr[f]))
		return false;
	/* No link but a pod's own brings an address of this node's range. */
	if (src->what == FL_HOST || dst->what == FL_HOST)
		return src->node != dst->node;
	return true;
}

/* ---- at random ------------------------------------------------------------------------------- */

static uint8_t some_proto(struct pv_rng *r, int f)
{
	static const uint8_t other[] = { 47, 50, 136, 2, 89, 33 };

	switch (gen_choose(r, 54, 20, 12, 8, 6)) {
	case 0:
		return FL_TCP;
	case 1:
		return FL_UDP;
	case 2:
		return FL_SCTP;
	case 3:
		return f ? 58 : 1;
	default:
		return gen_pick(r, other);
	}
}

static bool has_ports(uint8_t proto)
{
	return proto == FL_TCP || proto == FL_UDP || proto == FL_SCTP;
}

static void some_port(struct pv_rng *r, const struct fl_world *w, struct fl_flow *out)
{
	const struct fl_end *dst = out->dst;
	uint32_t at;

	out->proto = some_proto(r, out->f);
	out->port = 0;
	if (!has_ports(out->proto))
		return;
	if (dst->n_ports && pv_chance(r, 40)) {
		at = pv_below(r, (uint32_t)dst->n_ports);
		out->port = dst->ports[at].port;
		if (pv_chance(r, 75))
			out->proto = dst->ports[at].proto;
		return;
	}
	if (w->n_ports && pv_chance(r, 90))
		out->port = w->ports[pv_below(r, (uint32_t)w->n_ports)];
	else
		out->port = (uint16_t)(1 + pv_below(r, 65535));
}

/* Pods that a policy selects come first; NULL when there is none of the kind. */
static const struct fl_end *some_end(struct pv_rng *r, const struct fl_world *w, enum fl_what what)
{
	bool selected = what == FL_POD && pv_chance(r, 60);
	const struct fl_end *e, *last = NULL;
	uint32_t try;

	for (try = 0; try < 24; try++) {
		e = &w->ends[pv_below(r, (uint32_t)w->n_ends)];
		if (e->what != what)
			continue;
		last = e;
		if (!selected || e->selected)
			return e;
	}
	return last;
}

static bool at_random(struct pv_rng *r, const struct fl_world *w, struct fl_flow *out)
{
	const struct fl_end *a = some_end(r, w, FL_POD), *b;

	switch (gen_choose(r, 64, 22, 8, 6)) {
	case 0:
		b = some_end(r, w, FL_POD);
		if (a == b)
			return false;
		break;
	case 1:
		b = some_end(r, w, FL_HOST);
		break;
	case 2:
		b = some_end(r, w, FL_NODE);
		break;
	default:
		b = a;
		break;
	}
	if (!a || !b)
		return false;
	out->src = a;
	out->dst = b;
	if (pv_chance(r, 50)) {
		out->src = b;
		out->dst = a;
	}
	out->f = (int)pv_below(r, 2);
	some_port(r, w, out);
	return true;
}

/* ---- the list -------------------------------------------------------------------------------- */

static bool one_flow(struct pv_rng *r, const struct fl_world *w, struct fl_flow *out)
{
	bool found = pv_chance(r, 60) ? fl_aimed(r, w, out) : at_random(r, w, out);

	if (!found)
		return false;
	if (!possible(out->src, out->dst, out->f)) {
		out->f = !out->f;
		if (!possible(out->src, out->dst, out->f))
			return false;
	}
	if (out->proto == 1 || out->proto == 58)
		out->proto = out->f ? 58 : 1;
	return true;
}

static bool seen(const struct fl_flow *flows, uint32_t n, const struct fl_flow *x)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		if (flows[i].src == x->src && flows[i].dst == x->dst && flows[i].f == x->f &&
		    flows[i].proto == x->proto && flows[i].port == x->port)
			return true;
	return false;
}

static json_object *end_json(const struct fl_end *e)
{
	json_object *o = json_object_new_object();

	gen_add_str(o, e->what == FL_POD ? "pod" : e->what == FL_NODE ? "node" : "host", e->name);
	return o;
}

static json_object *flow_json(const struct fl_flow *x)
{
	json_object *o = json_object_new_object();

	json_object_object_add(o, "src", end_json(x->src));
	json_object_object_add(o, "dst", end_json(x->dst));
	gen_add_int(o, "proto", x->proto);
	gen_add_int(o, "port", x->port);
	gen_add_int(o, "family", x->f ? 6 : 4);
	return o;
}

void pv_flows(struct pv_rng *r, uint32_t n, struct pv_case *c)
{
	json_object *list = json_object_new_array();
	struct fl_flow flows[PV_MAX_FLOWS] = { 0 };
	struct fl_world *w = fl_world_new(c);
	uint32_t tries = 0, got = 0;

	if (n > PV_MAX_FLOWS)
		n = PV_MAX_FLOWS;
	/* A small world runs out of new ones: then some come twice. */
	while (w->n_ends && got < n && tries++ < 60 * n) {
		if (!one_flow(r, w, &flows[got]))
			continue;
		if (tries < 30 * n && seen(flows, got, &flows[got]))
			continue;
		json_object_array_add(list, flow_json(&flows[got++]));
	}
	json_object_object_add(c->root, "flows", list);
	fl_world_free(w);
}
