/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gen_flows.h - what the generator of flows knows of a case: who can be an end, and which numbers the
 * policies speak of. Read from the JSON by gen_ends.c; gen_aim.c picks flows at the edges of one rule,
 * gen_flows.c mixes those with flows at random.
 *
 * Nothing here gives a verdict: where an aim misses, the flow is merely less interesting.
 */
#ifndef RIPSTOP_TESTS_PROVE_GEN_FLOWS_H
#define RIPSTOP_TESTS_PROVE_GEN_FLOWS_H

#include <ripstop/addr.h>

#include "tests/prove/prove.h"

enum fl_what {
	FL_POD,
	FL_NODE,
	FL_HOST
};

#define FL_NO_NODE 1000
#define FL_TCP 6
#define FL_UDP 17
#define FL_SCTP 132

struct fl_port {
	const char *name; /* "": none */
	uint8_t proto;
	uint16_t port;
};

struct fl_end {
	enum fl_what what;
	char name[136]; /* "ns/name", "n1", "outside" */
	const char *ns; /* pods */
	json_object *labels;
	struct rs_addr addr[2];
	uint32_t node; /* whose range holds the address; FL_NO_NODE */
	bool selected; /* some policy selects it */
	struct fl_port ports[64];
	size_t n_ports;
};

struct fl_world {
	struct fl_end *ends;
	size_t n_ends;
	uint16_t ports[512]; /* every number of the policies, and its neighbours */
	size_t n_ports;
	json_object **policies; /* borrowed */
	size_t n_policies;
	json_object *objects;
};

struct fl_flow {
	const struct fl_end *src;
	const struct fl_end *dst;
	int f; /* 0: IPv4, 1: IPv6 */
	uint8_t proto;
	uint16_t port;
};

struct fl_world *fl_world_new(const struct pv_case *c);
void fl_world_free(struct fl_world *w);

/* JSON that may lack anything: a missing member, list or string is none. */
json_object *fl_get(json_object *o, const char *key);
size_t fl_count(json_object *list);
const char *fl_text(json_object *o, const char *key);
/* The labels of a namespace; NULL when its object is missing or has none. */
json_object *fl_namespace_labels(const struct fl_world *w, const char *name);

/* Whether a selector that is no fault takes these labels; absent and null take all. */
bool fl_selects(json_object *selector, json_object *labels);

/* A flow at the edge of some rule; false when this try found none. */
bool fl_aimed(struct pv_rng *r, const struct fl_world *w, struct fl_flow *out);

#endif
