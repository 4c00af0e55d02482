/* SPDX-License-Identifier: Apache-2.0 */
/* simulate.h - the model of `ripstop simulate`: simrows.c and simflows.c make it, simtext.c and
 * simjson.c show it. */
#ifndef RIPSTOP_CLI_WHATIF_SIMULATE_H
#define RIPSTOP_CLI_WHATIF_SIMULATE_H

#include "cli/whatif/whatif.h"

/* Which subjects of all that could be there a list holds. */
enum sim_cover {
	COVER_LIST,
	COVER_ALL,
	COVER_PODS,   /* all but the outside */
	COVER_BUT_FEW /* all but `few` */
};

/* Clients that may open the same at the same servers, by the same rules. */
struct sim_row {
	struct rs_u32s from, to;
	enum sim_cover cover; /* of from */
	struct rs_u32s few;
	char *ports;
	char *rules; /* "shop/db-allow-api ingress[0]"; "not isolated" */
};

/* A flow of the records and what the world does with it. */
struct sim_flow {
	char *from, *to;
	struct rs_addr src, dst;
	uint8_t proto;
	uint16_t port;
	uint64_t seen, dropped; /* records */
	bool allowed;
	char *why, *where;
};

struct sim {
	struct whatif *w;
	struct cli_world *cw;
	enum cli_by by;
	uint64_t open, closed;
	bool listed;	  /* false: too many pairs */
	const char *hint; /* a path that lint may look at; NULL: none */
	struct rs_vec(struct sim_row) rows;
	struct rs_u32s free[RS_DIRECTIONS]; /* subjects of which a pod is not isolated */
	size_t n_pods;			    /* subjects that are pods */
	/* --traffic */
	bool traffic;
	struct record_counts records;
	size_t strangers, n_denied;
	struct rs_vec(struct sim_flow) flows; /* those denied first */
};

void sim_make(struct sim *s);
int sim_read_traffic(struct sim *s, const char *path, struct rs_err *err);
void sim_free(struct sim *s);

void sim_text(struct cli_run *r, const struct sim *s);
struct json_object *sim_json(const struct sim *s);

#endif
