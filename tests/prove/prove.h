/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prove.h - the differential test: random clusters, each judged by independent readings that must
 * agree on every flow.
 *
 *	gen*.c		seed, number -> a case (deterministic)
 *	morph.c		a case -> a changed case with a known relation between the verdicts
 *	judge*.c	a case -> verdicts of: oracle (C), IR evaluation, the interpreter of the real
 *			nft ruleset read back from the kernel, explain
 *	second.c	a case -> verdicts and rule ids of oracle2.py (pipe)
 *	shrink.c	a case that fails -> the smallest case that still fails
 *	golden_out.c	a case -> a folder of tests/golden
 *	prove.c		the program: workers, counting, the closing table
 *	packets.py	cases -> real pods, real packets, through the real plugin and agent
 *
 * A case is JSON throughout, so that every reader gets it from the same text:
 *
 *	{ "objects": [ ...Kubernetes objects as the API server writes them... ],
 *	  "world": {
 *	    "lenient": bool,	objects are taken with their faults, as from an API server; false: as
 *				from a folder, and no object has a fault
 *	    "podRanges": ["10.244.0.0/16", "fd00:10:244::/48"],
 *	    "nodes": [ { "name": "n1", "ranges": ["10.244.1.0/24", "fd00:10:244:1::/64"],
 *			 "addresses": ["192.0.2.1", "fd00:192::1"] }, ... 1 to 3 ],
 *	    "hosts": [ { "name": "outside", "addresses": ["192.0.2.10", "fd00:192::10"] }, ... ] },
 *	  "flows": [ { "src": END, "dst": END, "proto": 6, "port": 80, "family": 4 }, ... <= 100 ] }
 *	END: { "pod": "ns/name" } | { "node": "n1" } | { "host": "outside" }
 *
 * - A pod's node is the node whose range holds its address (spec.nodeName says the same). Pods with
 *   hostNetwork or without an address are never ends; a hostNetwork pod's address is its node's.
 * - "port" is the server's, 0 for protocols without ports; proto 1 goes with family 4, 58 with 6.
 * - Both ends have an address of the family. A pod in phase Succeeded or Failed is never an end, but
 *   another pod or host may hold or have held its address.
 * - Addresses of live pods are unique, except where `world.lenient` and the case is about that.
 * - Every node enforces. So the verdict of a flow is: egress half at the node of src (if src is a
 *   pod) and ingress half at the node of dst (if dst is a pod). A node as source passes to its own
 *   pods; to other nodes' pods it is a plain address. A node as destination is judged by the egress
 *   half of src alone.
 */
#ifndef RIPSTOP_TESTS_PROVE_H
#define RIPSTOP_TESTS_PROVE_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ripstop/error.h>

#define PV_MAX_FLOWS 100
#define PV_MAX_NODES 3

struct pv_case {
	json_object *root; /* the object above; owned */
};

void pv_case_free(struct pv_case *c);
struct pv_case pv_case_copy(const struct pv_case *c); /* deep */

/* ---- random numbers: one stream, the same on every machine ------------------------------------- */

struct pv_rng {
	uint64_t s[4]; /* xoshiro256**, seeded by splitmix64 */
};

void pv_rng_seed(struct pv_rng *r, uint64_t seed, uint64_t stream);
uint64_t pv_rng_next(struct pv_rng *r);
uint32_t pv_below(struct pv_rng *r, uint32_t n); /* 0 .. n-1; n >= 1 */
bool pv_chance(struct pv_rng *r, uint32_t percent);

/* ---- generator ----------------------------------------------------------------------------------- */

struct pv_shape {
	uint32_t max_pods;     /* 2 .. 60 */
	uint32_t max_policies; /* 1 .. 40 */
	uint32_t flows;	       /* 1 .. PV_MAX_FLOWS */
	uint32_t max_nodes;    /* 1 .. PV_MAX_NODES */
	bool strict;	       /* no faults in objects: can be fed to an agent as a folder */
};

/* World number `index` of `seed`. The same arguments give the same text, always. */
void pv_generate(uint64_t seed, uint64_t index, const struct pv_shape *shape, struct pv_case *out);

/* New flows for the objects of c, replacing those it has (after a history, after a morph). */
void pv_flows(struct pv_rng *r, uint32_t n, struct pv_case *c);

/* ---- metamorphic rules ---------------------------------------------------------------------------- */

enum pv_relation {
	PV_SAME,	 /* every flow has the verdict it had */
	PV_ONLY_LOOSER,	 /* no flow that was allowed is denied */
	PV_SAME_OUTSIDE, /* flows with no end in namespace `ns` have the verdict they had */
};

struct pv_morphed {
	struct pv_case c; /* flows of the same number and order as the original's */
	enum pv_relation relation;
	const char *name; /* of the rule, for the report: "permuted lists", ... */
	char ns[64];
};

size_t pv_morphs(void); /* how many rules there are */
/* False when this rule has nothing to change in this case. */
bool pv_morph(const struct pv_case *c, size_t rule, struct pv_rng *r, struct pv_morphed *out);

/* ---- judging --------------------------------------------------------------------------------------- */

enum pv_reader {
	PV_ORACLE,
	PV_IR,
	PV_RULESET, /* of the kernel */
	PV_SECOND,  /* oracle2.py */
	PV_EXPLAIN, /* what `ripstop explain` says: rs_explain() at the node of each end */
	PV_OFFLINE, /* and from files: rs_explain() of a world in which every pod is a subject */
	PV_EBPF,    /* the eBPF programs, loaded and with their maps committed */
	PV_READERS,
};

struct pv_verdicts {
	size_t n;			    /* flows */
	int8_t v[PV_READERS][PV_MAX_FLOWS]; /* 1 allow, 0 deny, -1 not asked */
	char *hits[PV_MAX_FLOWS];	    /* of oracle2.py: "A1 B3 D2"; NULL when not asked */
	/* Of PV_RULESET and PV_EBPF: another packet of the flow (answer, stale stamp, ICMP error, TCP or SCTP in
	 * mid-stream, through a Service) whose fate does not follow from the verdict; NULL when all do. */
	char *broken[PV_MAX_FLOWS];
};

void pv_verdicts_free(struct pv_verdicts *v);

struct pv_judge;

/* readers: bits 1 << enum pv_reader. With PV_RULESET or PV_EBPF the calling process must be in a network
 * namespace of its own: the judge opens the real dataplane there (one namespace a node). */
int pv_judge_new(unsigned int readers, struct pv_judge **out, struct rs_err *err);
void pv_judge_free(struct pv_judge *j);

/* From now on ask only these of the readers that it was made with. */
void pv_judge_use(struct pv_judge *j, unsigned int readers);

/*
 * Judge every flow of c. Compilers and dataplanes live on from call to call, so that each world is
 * committed as a difference to the one before; `fresh` starts them anew.
 */
int pv_judge_case(struct pv_judge *j, const struct pv_case *c, bool fresh, struct pv_verdicts *out,
		  struct rs_err *err);

/* ---- what follows a mismatch ------------------------------------------------------------------------ */

/* True while the case still shows what went wrong. */
typedef bool (*pv_still_fails)(void *ctx, const struct pv_case *c);

/* Smaller and smaller, until nothing can be left out: objects, items of lists, fields, flows. */
void pv_shrink(struct pv_case *c, pv_still_fails fails, void *ctx, unsigned int max_steps);

/* Write tests/golden/NAME-shaped folder `dir` (must not exist): objects.yaml, world, flows with the
 * verdicts given (1 allow, 0 deny). Seen from the node of `node_index`. */
int pv_golden_write(const struct pv_case *c, const int8_t *verdicts, size_t node_index,
		    const char *dir, struct rs_err *err);

#endif
