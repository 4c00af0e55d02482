/* SPDX-License-Identifier: Apache-2.0 */
/*
 * live.h - the live halves of cli_world_open(): the objects as somebody holds them now.
 *
 * `ripstop` reads them from the agent of this node (live.c), `kubectl ripstop` from the cluster by
 * kubectl (kubectl/kubelive.c); cli_self.live says which. Both give a store as if it had been read
 * from files, and what no agent knows: Services and EndpointSlices.
 */
#ifndef RIPSTOP_CLI_WORLD_LIVE_H
#define RIPSTOP_CLI_WORLD_LIVE_H

#include <ripstop/object.h>

#include "cli/cli.h"

struct cli_ranges rs_vec(struct rs_cidr);

struct cli_live {
	const char *origin; /* "agent", "kubectl" */
	char *from;	    /* for people: "the agent of worker-1, generation 412" */
	struct rs_store *store;
	struct cli_ranges pod_ranges; /* of the cluster; none: not known */
	struct json_object *services; /* array of Service objects; NULL: nobody could tell */
	struct json_object *slices;   /* array of EndpointSlices; NULL likewise */
	size_t n_objects;
};

/* 0, or an exit code after the error was told. Free with cli_live_clear() either way. */
int cli_live_agent(struct cli_run *r, struct cli_live *out);
void cli_live_clear(struct cli_live *l);

#endif
