/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cnibed.h - where plugins are measured: pods (namespaces that a plugin may fill and must empty again) and contestants,
 * each with a node namespace of its own. All of it lives in a mount namespace with a /run of its own, so that nothing
 * stays behind, and every path is the one of a real node.
 */
#ifndef RIPSTOP_TESTS_BENCH_CNIBED_H
#define RIPSTOP_TESTS_BENCH_CNIBED_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/bench/cnicall.h"

#define CB_PODS 200u
#define CB_WORLD_POLICIES 100u
#define CB_WORLD_PODS 1000u
/* What one policy of the world selects, w-0000/policy-10: two ingress rules and an egress rule, no block. Pods that have
 * them may not talk to each other. */
#define CB_ONE_LABELS "app:app-1,tier:tier-0,version:v0"

enum cb_kind {
	CB_RIPSTOP,
	CB_FLOOR,
	CB_PTP,
	CB_BRIDGE,
};

/* Pods of the ripstop plugin. */
enum cb_pods {
	CB_PAIR,     /* the pair's policies select them; bound to the node by cb_expect() before */
	CB_ONE,	     /* one policy does, likewise */
	CB_STRANGER, /* the pair's policies, and nobody had heard of them: CNI_ARGS tell their labels */
};

struct rs_nl;

struct cb_contestant {
	const char *name; /* as in the names of series: "ptp-new" */
	enum cb_kind kind;
	const char *dir; /* of its programs */
	const char *program;
	bool ready;
	int node_ns;
	struct rs_nl *nl;	  /* of the node */
	enum cb_pods pods;
	size_t links;		  /* of the node, without pods */
	double emptied;		  /* when its last DEL ended */
	unsigned int id[CB_PODS]; /* of the attachment that a pod has or had last */
};

/* Namespaces of mounts, of CB_PODS pods. build: an absolute path. */
void cb_open(const char *build);

/* Make its node, for the ripstop plugin also its agent with world W and the pair's policies, and see that it works.
 * NULL, or why it cannot take part; caller frees. */
char *cb_contestant_make(struct cb_contestant *c);

/* The node's agent hears of n pods of the pair's kind, some time before their ADDs as on any node. */
void cb_expect(const struct cb_contestant *c, size_t n);

/* ADD or DEL of n pods from `first` on, all at once; the pods before `first` are there. Milliseconds from the first
 * start to the last end; negative when one failed, *why then says how (caller frees) and these pods are empty. A DEL whose
 * link is there when it has returned has failed. */
double cb_run(struct cb_contestant *c, bool add, size_t first, size_t n, char **why);

/* The floor's program n times at once, and it does nothing: what processes alone cost. As cb_run(). */
double cb_run_nothing(const struct cb_contestant *c, size_t n, char **why);

/* Whether the contestant's pods 0 and 1 talk to each other on that port. */
bool cb_talk(const struct cb_contestant *c, unsigned int port);

#endif
