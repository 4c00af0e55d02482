/* SPDX-License-Identifier: Apache-2.0 */
/*
 * live.h - the live halves of cli_world_open(): the objects as somebody holds them now.
 *
 * `ripstop` reads them from the agent of this node (live.c), `kubectl ripstop` from the cluster by
 * kubectl (kubectl/kubelive.c); cli_self.live says which. Both give what files give: a store and,
 * where somebody could tell, Services and EndpointSlices.
 */
#ifndef RIPSTOP_CLI_WORLD_LIVE_H
#define RIPSTOP_CLI_WORLD_LIVE_H

#include <ripstop/workload.h>

#include "cli/cli.h"

struct cli_live {
	const char *origin; /* "agent", "kubectl" */
	char *from;	    /* for people: "the agent of worker-1, generation 412" */
	struct rs_store *store;
	struct rs_extras *x;
	char *pod_ranges; /* of the cluster, "10.0.0.0/8,fd00::/48"; NULL: those of the Nodes */
	bool knows_services;
};

/* 0, or an exit code after the error was told. Free with cli_live_clear() either way. */
int cli_live_agent(struct cli_run *r, struct cli_live *out);
void cli_live_clear(struct cli_live *l);

#endif
