/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walks.h - a flow's packets through the rules that were read back from each node's kernel: the first
 * packet gives the verdict, those that follow must keep it.
 */
#ifndef RIPSTOP_TESTS_PROVE_WALKS_H
#define RIPSTOP_TESTS_PROVE_WALKS_H

#include <ripstop/dataplane.h>
#include <ripstop/ruleset.h>

#include "tests/prove/scene.h"

struct pv_walks {
	const struct pv_scene *scene;
	const struct rs_ruleset *rules[PV_MAX_NODES]; /* NULL: no flow may touch that node */
	struct rs_dp *bpf[PV_MAX_NODES];	      /* instead of rules; no stamps then */
	uint32_t stamp[PV_MAX_NODES]; /* what the rules in force write into ct mark */
	uint64_t packets;	      /* walked so far */
};

/* Learn each node's stamp. */
int pv_walks_begin(struct pv_walks *w, struct rs_err *err);

/*
 * The verdict of the first packet. *broken (the caller frees) is NULL, or says which other packet of the
 * same flow has a fate that does not follow from it: the answer, the cached path, a packet with a
 * stale stamp, an ICMP error about the flow, the way through a Service, TCP or SCTP in mid-stream.
 */
int pv_walks_flow(struct pv_walks *w, const struct pv_flow *f, bool *allow, char **broken,
		  struct rs_err *err);

#endif
