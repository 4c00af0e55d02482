/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gen.h - the inside of the generator: one random cluster while it is being made.
 *
 *	gen.c		the world: sizes, words, nodes, namespaces; then the parts in order
 *	gen_pods.c	pods and hosts, and where they lie
 *	gen_select.c	label selectors
 *	gen_block.c	ipBlocks
 *	gen_ports.c	port entries
 *	gen_policy.c	policies, rules, peers
 *	gen_flows.c	flows, aimed at what the objects say (reads the JSON alone)
 *
 * Two things make random objects meet: each world has few words (labels, port names and numbers), and
 * addresses and blocks lie around the same powers of two. Every choice draws from one stream, one
 * draw a statement: C leaves the order of arguments open, and a case must be the same everywhere.
 *
 * "Lenient" worlds hold what an API server may hand out: faults of an older or newer API, namespaces
 * nobody knows, addresses that their node does not own. All else is admitted by a folder.
 */
#ifndef RIPSTOP_TESTS_PROVE_GEN_H
#define RIPSTOP_TESTS_PROVE_GEN_H

#include <ripstop/addr.h>

#include "tests/prove/prove.h"

#define GEN_MAX_NS 6
#define GEN_MAX_PODS 64
#define GEN_MAX_HOSTS 12
#define GEN_MAX_ANCHORS 256

struct gen_node {
	char name[8];
	struct rs_cidr range[2]; /* [0] IPv4, [1] IPv6; len 0: none */
	struct rs_addr addr[2];	 /* family RS_AF_NONE: none */
};

struct gen_ns {
	const char *name;
	json_object *labels; /* borrowed from its object; NULL: nobody knows it */
};

struct gen_pod {
	uint32_t ns;
	uint32_t node;
	char name[12];
	json_object *labels; /* borrowed; NULL: none */
	struct rs_addr addr[2];
	bool host_network;
	bool finished;
	bool shares; /* finished, and another pod holds its address now */
	bool liar;   /* claims an address that its node does not own */
};

struct gen_host {
	char name[12];
	struct rs_addr addr[2];
};

/* What a world is about: each bit makes one rare thing frequent there. */
enum gen_theme {
	GEN_ONE_SUBJECT = 1 << 0, /* every policy selects one pod (A19) */
	GEN_BLOCKS = 1 << 1,	  /* mostly ipBlocks */
	GEN_NAMED = 1 << 2,	  /* mostly named ports */
	GEN_FAULTS = 1 << 3,	  /* many faults */
	GEN_STRANGERS = 1 << 4,	  /* addresses in the pod ranges that are no pod's */
	GEN_UNKNOWN_NS = 1 << 5,  /* a namespace without its object (B24) */
	GEN_LIARS = 1 << 6,	  /* podIPs outside their node's ranges */
	GEN_LINK_LOCAL = 1 << 7,  /* hosts at link-local addresses (B30) */
	GEN_ODD_CIDRS = 1 << 8,	  /* host bits, leading zeros, v4-mapped */
	GEN_GHOSTS = 1 << 9,	  /* many finished pods (F4) */
};

struct pv_gen {
	struct pv_rng *rng;
	struct pv_shape shape;
	bool lenient;
	uint32_t themes;
	bool has[2]; /* families of the cluster */

	struct rs_cidr cluster[2];
	struct gen_node nodes[PV_MAX_NODES];
	uint32_t n_nodes;
	bool taken[PV_MAX_NODES][2][256]; /* by the offset in the node's range */
	struct gen_ns ns[GEN_MAX_NS];
	uint32_t n_ns;
	struct gen_pod pods[GEN_MAX_PODS];
	uint32_t n_pods;
	struct gen_host hosts[GEN_MAX_HOSTS];
	uint32_t n_hosts;
	struct rs_addr anchors[GEN_MAX_ANCHORS]; /* addresses worth a block around them */
	uint32_t n_anchors;

	/* the words of this world */
	const char *keys[4];
	uint32_t n_keys;
	const char *values[4];
	uint32_t n_values;
	const char *port_names[4];
	uint32_t n_port_names;
	uint16_t ports[6];
	uint32_t n_ports;

	uint32_t star; /* with GEN_ONE_SUBJECT: the pod */

	json_object *objects;
};

/* ---- words ----------------------------------------------------------------------------------- */

#define gen_pick(r, list) ((list)[pv_below(r, (uint32_t)(sizeof(list) / sizeof((list)[0])))])

/* Which of n weights; they need not add up to 100. */
uint32_t gen_weighted(struct pv_rng *r, const uint8_t *weights, uint32_t n);
#define gen_choose(r, ...)                                  \
	gen_weighted((r), (const uint8_t[]){ __VA_ARGS__ }, \
		     (uint32_t)sizeof((const uint8_t[]){ __VA_ARGS__ }))

bool gen_theme(const struct pv_gen *g, enum gen_theme theme);

/* Whether to make a fault here: never in a strict world. */
bool gen_fault(struct pv_gen *g, uint32_t percent);

/* ---- JSON ------------------------------------------------------------------------------------ */

void gen_add_str(json_object *o, const char *key, const char *value);
void gen_add_int(json_object *o, const char *key, int64_t value);
void gen_push_str(json_object *list, const char *value);
/* apiVersion, kind and metadata {name, namespace (NULL: none)}; pushed onto g->objects. */
json_object *gen_object(struct pv_gen *g, const char *kind, const char *ns, const char *name,
			json_object **meta);

/* ---- parts ----------------------------------------------------------------------------------- */

json_object *gen_labels(struct pv_gen *g); /* NULL: none */
void gen_pods(struct pv_gen *g);
void gen_hosts(struct pv_gen *g);
void gen_anchor(struct pv_gen *g, const struct rs_addr *a);

/* What a selector is meant to take: a pod's or a namespace's labels; NULL: nothing in particular. */
json_object *gen_selector(struct pv_gen *g, json_object *aim, bool of_namespaces);
json_object *gen_block(struct pv_gen *g);
struct rs_cidr gen_masked(const struct rs_addr *a, uint32_t len); /* the block around an address */
json_object *gen_port(struct pv_gen *g);
void gen_policies(struct pv_gen *g);

#endif
