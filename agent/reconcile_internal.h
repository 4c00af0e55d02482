/* SPDX-License-Identifier: Apache-2.0 */
/* reconcile_internal.h - what reconcile.c and waiters.c share. */
#ifndef RIPSTOP_AGENT_RECONCILE_INTERNAL_H
#define RIPSTOP_AGENT_RECONCILE_INTERNAL_H

#include "agent/expected.h"
#include "agent/join.h"
#include "agent/reconcile.h"
#include "base/base.h"

/* A request that is not answered yet. */
struct waiter {
	bool attach;
	bool admitted; /* its entry is in the registry since this run */
	bool ready;    /* part of the next commit, which answers it */
	struct rs_join join;
	char *container_id;
	char *ifname;
	char *ns, *name; /* of a detached entry; NULL when unknown */
	int64_t begun_ms;
	int64_t deadline_ms;
	rs_done_fn *done;
	void *arg;
};

struct rs_reconcile {
	struct rs_reconcile_config cfg;
	struct rs_compiler *compiler;
	struct rs_expected *expected;
	int64_t alone_ms; /* until then no pod is expected: a commit with them was refused */
	struct rs_ir *ir;
	struct rs_conditions compiled;
	struct rs_err source_err;
	struct rs_err commit_err;
	struct rs_vec(struct waiter) waiters;
	size_t batch_max; /* joins that one commit takes, after one that failed; 0: all */
	struct rs_cidr *node_ranges, *pod_ranges; /* of the last world */
	struct rs_node_ranges nodes;		  /* of the store at that revision */
	uint64_t nodes_revision;
	bool nodes_known;
	bool dirty;
	bool heard;	    /* the source moved: fresh reads may be over */
	bool committed;	    /* by this process */
	bool refused;	    /* by the dataplane: the last commit */
	bool fenced;	    /* what is in force closes all pods, and was made at our start */
	bool unsure;	    /* a commit failed: read the kernel before the next */
	int64_t changed_ms; /* objects changed and are not committed since; 0: none */
	int64_t retry_ms;   /* after a failure; 0: none */
	int64_t backoff_ms;
	double last_commit_ms;
};

/* ---- waiters.c: requests from their coming to their answer ----------------------------------- */

void rs_waiter_answer(struct rs_reconcile *rc, size_t i, int64_t now_ms, const struct rs_err *err);
void rs_waiters_expire(struct rs_reconcile *rc, int64_t now_ms);
/* Before the first sync: answer who can be. */
void rs_waiters_unsynced(struct rs_reconcile *rc, int64_t now_ms);
/* Leaves into the registry, then joins whose pod is known; those that fail are answered. */
void rs_waiters_admit(struct rs_reconcile *rc, int64_t now_ms);
bool rs_waiters_ready(const struct rs_reconcile *rc); /* one waits for the next commit */
/* The commit is done: it answers all that were let in for it. */
void rs_waiters_served(struct rs_reconcile *rc, int64_t now_ms);
/* It failed: what was let in for it goes again. One join is answered, of several some are tried. */
void rs_waiters_refused(struct rs_reconcile *rc, int64_t now_ms, const struct rs_err *err);
/* When the first of them wants a run; INT64_MAX: none does. */
int64_t rs_waiters_due(const struct rs_reconcile *rc);
void rs_waiters_free(struct rs_reconcile *rc); /* all are answered: try again */

/* Why nothing can be compiled. */
void rs_reconcile_fill_not_synced(const struct rs_reconcile *rc, struct rs_err *err);

#endif
