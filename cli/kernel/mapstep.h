/* SPDX-License-Identifier: Apache-2.0 */
/* mapstep.h - inside cli/kernel/: the eBPF dataplane's answer at one hook, as a step of a packet's
 * way. */
#ifndef RIPSTOP_CLI_MAPSTEP_H
#define RIPSTOP_CLI_MAPSTEP_H

#include <ripstop/mapset.h>

#include "cli/cli.h"

/* The maps that are pinned where the agent says; NULL and a note where none are. */
int cli_maps_open(struct json_object *local, struct json_object *o, struct rs_mapset **maps,
		  struct rs_err *err);

/* What the program at a hook does to p, appended to steps. */
int cli_maps_step(const struct rs_mapset *maps, enum rs_hook hook, const char *name,
		  const struct rs_packet *p, struct json_object *steps, bool *accept,
		  struct rs_err *err);

#endif
