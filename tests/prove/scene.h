/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scene.h - a case of prove.h decoded by the real decoder: the store, who is local to which node, and
 * every flow with its addresses. The readers of judge.c share it; nothing here gives a verdict.
 */
#ifndef RIPSTOP_TESTS_PROVE_SCENE_H
#define RIPSTOP_TESTS_PROVE_SCENE_H

#include "base/base.h"
#include "policy/policy.h"
#include "tests/prove/prove.h"

#define PV_UPLINK 2u /* index of every node's link to the others */
#define PV_FIRST_LINK 100u

struct pv_place { /* a node or a host */
	const char *name;
	struct rs_addr addr[2]; /* IPv4, IPv6; family 0 where there is none */
};

struct pv_node {
	struct pv_place at;
	struct rs_vec(struct rs_cidr) ranges;
	struct rs_vec(struct rs_local_pod) locals;
};

enum pv_end_kind {
	PV_END_POD,
	PV_END_NODE,
	PV_END_HOST,
};

struct pv_end {
	enum pv_end_kind kind;
	int node;			/* of a pod or a node; -1 for a host */
	const struct rs_local_pod *pod; /* PV_END_POD */
	const char *name;		/* of a node or host */
	struct rs_addr addr;		/* in the family of the flow */
};

struct pv_flow {
	struct pv_end src;
	struct pv_end dst;
	uint8_t proto;
	uint16_t port;
	uint8_t family;
};

struct pv_scene {
	bool lenient;
	struct rs_store *store;
	struct rs_vec(struct rs_cidr) pod_ranges;
	struct pv_node nodes[PV_MAX_NODES];
	size_t n_nodes;
	struct rs_vec(struct pv_place) hosts;
	struct pv_flow flows[PV_MAX_FLOWS];
	size_t n_flows;
};

/* The case must outlive the scene (names are borrowed). -EINVAL: the case breaks a promise of
 * prove.h; -EBADMSG: the decoder refuses an object. */
int pv_scene_make(const struct pv_case *c, struct pv_scene **out, struct rs_err *err);
void pv_scene_free(struct pv_scene *s); /* NULL is legal */

/* What the policy room of that node sees. */
struct rs_world pv_scene_world(const struct pv_scene *s, size_t node);

/* "x/a -> host outside tcp/80 @4" */
char *pv_flow_text(const struct pv_flow *f);

RS_DEFINE_CLEANUP(pv_scene_release, struct pv_scene *, pv_scene_free)
#define pv_auto_scene rs_cleanup(pv_scene_release)

#endif
