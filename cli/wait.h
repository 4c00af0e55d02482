/* SPDX-License-Identifier: Apache-2.0 */
/* wait.h - `wait`: what is waited for, and what one node says of it. */
#ifndef RIPSTOP_CLI_WAIT_H
#define RIPSTOP_CLI_WAIT_H

#include "cli/cli.h"

struct cli_wait {
	bool policy; /* else a pod */
	char *ns, *name;
	char *uid;	    /* of the policy that is meant; NULL: the one that the agent knows */
	int64_t generation; /* at least this one; 0: any */
	int64_t deadline;   /* rs_mono_ms() */
	bool answered;	    /* a round before this one was: this one may be cut off silently */
};

/* Add what a node's answer (PolicyList or PodList) says: {"node", "enforced", "why", "pods"}. answer
 * NULL: it does not know the object. Returns whether that node needs no more waiting. */
bool cli_wait_judge(const struct cli_wait *w, const char *node, struct json_object *answer,
		    struct json_object *nodes);

/* Ask every node that counts, once. 0, or an exit code after the error was told; *done says whether
 * all of them enforce it. */
int cli_wait_round(struct cli_run *r, struct cli_wait *w, struct json_object *nodes, bool *done);

#define CLI_WAIT_MS 30000 /* without --timeout */

/* Ask again and again, until it is in force or `limit` ms are over. *nodes is the last round's, to
 * be put by the caller. 0, or an exit code after the error was told. It changes the run's
 * --timeout, which bounds a single question. */
int cli_wait(struct cli_run *r, struct cli_wait *w, int64_t limit, struct json_object **nodes,
	     bool *done);
/* "NODE: why not; ..." of those that do not enforce it; the caller frees it. */
char *cli_wait_why(struct json_object *nodes);

#endif
