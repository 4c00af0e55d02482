/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reconcile.h - from state to kernel: gather what changed, compile once, commit once, answer all.
 *
 * What flows in: attach and detach requests, "the objects changed", "the kernel was touched". What
 * flows out: commits, and one answer for each request, after the commit that serves it. Requests
 * that wait together share one compile and one batch. Nothing is compiled before the source has
 * synced: until then the kernel keeps what it had.
 *
 * No loop and no clock in here: the caller asks rs_reconcile_due() when to call rs_reconcile_run(),
 * and passes the time in milliseconds of a clock that never jumps.
 */
#ifndef RIPSTOP_AGENT_RECONCILE_H
#define RIPSTOP_AGENT_RECONCILE_H

#include <ripstop/dataplane.h>
#include <ripstop/source.h>

#include "agent/metrics.h"
#include "agent/noderanges.h"
#include "agent/registry.h"
#include "policy/policy.h"

struct rs_reconcile_config {
	struct rs_registry *reg; /* borrowed, like all here */
	struct rs_dp *dp;
	bool guarded; /* another dataplane judges: pods without a rule of ours are not open */
	struct rs_source *src;
	struct rs_metrics *metrics;
	const char *node_name;
	const struct rs_cidr *node_ranges; /* configured; none: of the Node object */
	size_t n_node_ranges;
	const struct rs_cidr *cluster_ranges; /* configured; none: see rs_reconcile_world() */
	size_t n_cluster_ranges;
};

/* How a request ended. Everything is borrowed for the call. */
struct rs_outcome {
	const char *ns; /* pod; NULL when no record told */
	const char *name;
	const struct rs_endpoint *rec; /* attach only */
	uint64_t generation;
	int64_t ms;		  /* since the request came */
	const struct rs_err *err; /* NULL on success */
};

typedef void rs_done_fn(void *arg, const struct rs_outcome *o);

struct rs_reconcile;

/* fence.c: *ir, as read back, is NULL and the kernel holds nothing of ours, while pods live here:
 * closes them with an empty IR, which *ir then is. */
int rs_fence_pods(struct rs_registry *reg, struct rs_dp *dp, struct rs_ir **ir, struct rs_err *err);

/* Adopts what the kernel enforces. */
int rs_reconcile_new(const struct rs_reconcile_config *cfg, struct rs_reconcile **out,
		     struct rs_err *err);
void rs_reconcile_free(struct rs_reconcile *rc); /* requests that wait are answered: try again */

/* deadline_ms: the request is answered with "try again" when it could not be served by then. */
void rs_reconcile_attach(struct rs_reconcile *rc, const char *container_id, const char *ifname,
			 int64_t now_ms, int64_t deadline_ms, rs_done_fn *done, void *arg);
void rs_reconcile_detach(struct rs_reconcile *rc, const char *container_id, const char *ifname,
			 int64_t now_ms, int64_t deadline_ms, rs_done_fn *done, void *arg);

/* Let the source take what is there (its error is kept for status and answers). */
void rs_reconcile_dispatch(struct rs_reconcile *rc, int64_t now_ms);
/* Another source of the same kind from now on (reload). The caller closes the old one. */
void rs_reconcile_set_source(struct rs_reconcile *rc, struct rs_source *src, int64_t now_ms);

/* Another dataplane from now on: what it enforces is adopted. The caller closes the old one. After
 * an error all is as it was. */
int rs_reconcile_set_dataplane(struct rs_reconcile *rc, struct rs_dp *dp, bool guarded,
			       struct rs_err *err);

/* The registry changed, or graves wait for a commit. */
void rs_reconcile_touch(struct rs_reconcile *rc);

/* Somebody else touched the kernel's rules: read them back and commit what should be there. */
int rs_reconcile_repair(struct rs_reconcile *rc, int64_t now_ms, struct rs_err *err);

/* Milliseconds until run() wants to be called; 0: now; -1: nothing waits. */
int64_t rs_reconcile_due(const struct rs_reconcile *rc, int64_t now_ms);
void rs_reconcile_run(struct rs_reconcile *rc, int64_t now_ms);

/* ---- for those who report -------------------------------------------------------------------- */

bool rs_reconcile_synced(const struct rs_reconcile *rc);
/* NULL when an ADD issued now would be served, else one sentence. Caller frees. */
char *rs_reconcile_why_not_ready(const struct rs_reconcile *rc);
uint64_t rs_reconcile_generation(const struct rs_reconcile *rc); /* of what is in force; 0: none */
/* In force, or NULL. Only meaningful with the world while rs_reconcile_clean(). */
const struct rs_ir *rs_reconcile_ir(const struct rs_reconcile *rc);
bool rs_reconcile_clean(
	const struct rs_reconcile *rc); /* what is in force is of the newest state */
const struct rs_err *rs_reconcile_source_error(const struct rs_reconcile *rc); /* num 0: none */
/* The dataplane took no policy yet, has none in force, and has just refused one: why. Else NULL. */
const struct rs_err *rs_reconcile_refused(const struct rs_reconcile *rc);
double rs_reconcile_last_commit_ms(const struct rs_reconcile *rc); /* below 0: none yet */

/* What is compiled, as of now; valid until registry, source or reconciler change. */
void rs_reconcile_world(struct rs_reconcile *rc, struct rs_world *w);
/* With the pods that are yet to come, which only a compile wants to know; valid until the same. */
void rs_reconcile_expect(struct rs_reconcile *rc, struct rs_world *w, int64_t now_ms);
/* The same without this node's pods, for those who only want to know the ranges. */
void rs_reconcile_ranges(struct rs_reconcile *rc, struct rs_world *w);

/* The nodes' pod ranges; valid until registry, source or reconciler change. The serial goes up
 * when anything in them does. */
const struct rs_node_ranges *rs_reconcile_node_ranges(struct rs_reconcile *rc);

void rs_reconcile_conditions(const struct rs_reconcile *rc, struct rs_conditions *out);

#endif
