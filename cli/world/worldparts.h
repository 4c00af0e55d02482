/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worldparts.h - the inside of cli/world: reading files (worldread.c), endpoints (worldends.c) and
 * their addresses (worldaddr.c), Services (worldservices.c), operands (operand.c), and the whole
 * (cliworld.c).
 */
#ifndef RIPSTOP_CLI_WORLD_WORLDPARTS_H
#define RIPSTOP_CLI_WORLD_WORLDPARTS_H

#include "base/vec.h"
#include "cli/world/cliworld.h"

/* Addresses that are given out: the next one of each range, past those that are taken. */
struct cli_addresses {
	struct rs_cidr *ranges; /* = w.pod_ranges */
	size_t n_ranges;
	struct rs_addr *next;  /* of each range */
	bool *full;	       /* ... there is none */
	struct rs_addr *taken; /* sorted */
	size_t n_taken;
};

/* A pod that is none: it has finished, or it is in the host network. */
struct cli_absent {
	const char *ns;
	const char *name;
	const char *kind; /* "Pod", "DaemonSet" */
	const struct rs_labels *labels;
	bool finished;
};

struct cli_world_arena {
	struct rs_extras *x;
	struct rs_local_pod *locals; /* = w.locals */
	size_t cap_locals, cap_ends;
	struct rs_vec(void *) blocks;
	struct rs_vec(struct rs_labels *) labels; /* of hypothetical pods */
	struct rs_vec(struct cli_absent) absent;
	struct cli_addresses addresses;
	struct rs_ir *part; /* of cli_world_ir_of() */
};

/* Memory that lives as long as the world. */
void *cli_world_keep(struct cli_world *cw, void *block);

/* ---- worldread.c ----------------------------------------------------------------------------- */

int cli_read_paths(const struct cli_world_paths *paths, struct rs_store *s, struct rs_extras *x,
		   size_t *n_files, struct rs_err *err);

/* ---- worldends.c ----------------------------------------------------------------------------- */

/* Pods and workloads of the store and the extras, in order, without addresses of ours. */
void cli_make_ends(struct cli_world *cw);

/* A hypothetical pod behind the others. Takes labels. Its index. */
size_t cli_add_hypothetical(struct cli_world *cw, const char *ns, const char *name,
			    struct rs_labels *labels);

/* ---- worldaddr.c ----------------------------------------------------------------------------- */

int cli_make_ranges(struct cli_world *cw, const char *cluster_cidr, struct rs_err *err);
/* Give endpoint i addresses, unless it has its own. */
int cli_give_address(struct cli_world *cw, size_t i, struct rs_err *err);
/* Another one for its address j, which must be one of ours. */
int cli_move_address(struct cli_world *cw, size_t i, size_t j, struct rs_err *err);
void cli_addresses_free(struct cli_addresses *a);

/* ---- worldservices.c ------------------------------------------------------------------------- */

void cli_make_services(struct cli_world *cw);

#endif
