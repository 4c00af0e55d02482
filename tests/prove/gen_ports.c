// SPDX-License-Identifier: Apache-2.0
/* gen_ports.c - port entries: none, a number, a range, a name, and what is none of them. */
#include "tests/prove/gen.h"

#include <stdio.h>

#include "base/base.h"

static void put_protocol(struct pv_gen *g, json_object *p)
{
	static const char *const protocols[] = { NULL, "TCP", "UDP", "SCTP" };
	uint32_t at = gen_choose(g->rng, 30, 30, 24, 16);

	if (at)
		gen_add_str(p, "protocol", protocols[at]);
	else if (pv_chance(g->rng, 10))
		json_object_object_add(p, "protocol", NULL);
}

static uint32_t some_port(struct pv_gen *g)
{
	return g->ports[pv_below(g->rng, g->n_ports)];
}

static void put_range(struct pv_gen *g, json_object *p)
{
	uint32_t lo = some_port(g), hi = some_port(g), swap;

	if (hi < lo) {
		swap = lo;
		lo = hi;
		hi = swap;
	}
	switch (gen_choose(g->rng, 40, 20, 15, 12, 13)) {
	case 1: /* next to each other */
		hi = lo < 65535 ? lo + 1 : lo;
		break;
	case 2:
		hi = 65535;
		break;
	case 3:
		lo = 1;
		break;
	case 4:
		lo = lo > 3 ? lo - pv_below(g->rng, 3) : lo;
		break;
	default:
		break;
	}
	gen_add_int(p, "port", lo);
	gen_add_int(p, "endPort", hi);
}

static void put_name(struct pv_gen *g, json_object *p)
{
	if (pv_chance(g->rng, 6))
		gen_add_str(p, "port", "nobody-has-it");
	else
		gen_add_str(p, "port", g->port_names[pv_below(g->rng, g->n_port_names)]);
}

/* Each makes the entry match nothing (G2, C7, C9). */
static void spoil(struct pv_gen *g, json_object *p)
{
	static const char *const protocols[] = { "ICMP", "tcp", "", "QUIC" };

	switch (pv_below(g->rng, 6)) {
	case 0:
		gen_add_int(p, "port", 65535);
		gen_add_int(p, "endPort", 80);
		break;
	case 1:
		put_name(g, p);
		gen_add_int(p, "endPort", 65535);
		break;
	case 2:
		json_object_object_del(p, "port");
		gen_add_int(p, "endPort", 65535);
		break;
	case 3:
		gen_add_int(p, "port", pv_chance(g->rng, 50) ? 0 : 65536);
		json_object_object_del(p, "endPort");
		break;
	case 4:
		gen_add_int(p, "port", 1);
		gen_add_int(p, "endPort", 65536);
		break;
	default:
		gen_add_str(p, "protocol", gen_pick(g->rng, protocols));
		break;
	}
}

/* A number in quotes is a name, and no valid one (C19). */
static void put_digits(struct pv_gen *g, json_object *p)
{
	uint32_t port = some_port(g);
	char text[8];

	snprintf(text, sizeof(text), "%u", port);
	gen_add_str(p, "port", text);
	json_object_object_del(p, "endPort");
}

json_object *gen_port(struct pv_gen *g)
{
	json_object *p = json_object_new_object();
	uint32_t form = gen_theme(g, GEN_NAMED) ? gen_choose(g->rng, 10, 15, 15, 60)
						: gen_choose(g->rng, 14, 36, 30, 20);

	put_protocol(g, p);
	if (form == 0 && pv_chance(g->rng, 20))
		json_object_object_add(p, "port", NULL);
	if (form == 1)
		gen_add_int(p, "port", some_port(g));
	if (form == 2)
		put_range(g, p);
	if (form == 3)
		put_name(g, p);
	if (form != 2 && pv_chance(g->rng, 5))
		json_object_object_add(p, "endPort", NULL);
	if (gen_fault(g, 6))
		spoil(g, p);
	if (gen_fault(g, 4))
		put_digits(g, p);
	if (gen_fault(g, 2))
		gen_add_str(p, "laterField", "x");
	return p;
}
