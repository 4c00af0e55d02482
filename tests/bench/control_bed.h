/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_bed.h - a world, its compiler and a real table of the nft dataplane in a network namespace of its own, and one
 * step as the agent takes it (agent/reconcile.c): moves where they are enough, else a compile and a commit.
 *
 * A step that follows another which refused something within a second waits for a grace period of RCU before it sends
 * (lib/dataplane/nft/grace.c). That wait is the same whatever the world is, and is told apart: the program is linked with
 * --wrap=rs_nft_grace_wait, and timed there.
 */
#ifndef RIPSTOP_TESTS_BENCH_CONTROL_BED_H
#define RIPSTOP_TESTS_BENCH_CONTROL_BED_H

#include <stdbool.h>

#include <ripstop/dataplane.h>

#include "tests/bench/worldw.h"

struct bed {
	const char *name; /* of its size, in names of series: "100", "10k", "100k" */
	struct worldw *w;
	struct rs_compiler *compiler;
	struct rs_dp *dp;
	struct rs_ir *ir;
	int ns; /* descriptor of its network namespace */
};

/* What one step took, in milliseconds. */
struct cost {
	double total;  /* from the objects in memory to the committed kernel, without `grace` */
	double commit; /* of it, the kernel's: the batch from its sending to its acknowledgement */
	double grace;  /* waited for packets of the step before */
	bool moves;    /* no compile was needed */
	bool bumped;
	size_t messages;
};

/* w goes to the bed. Its kernel is empty. */
void bed_open(struct bed *b, const char *name, struct worldw *w);
void bed_close(struct bed *b);

/* An empty kernel and a compiler that knows nothing, as before the first commit. */
void bed_empty(struct bed *b);

/* Bring what has changed in b->w to the kernel. Ends the program when that fails. */
void bed_step(struct bed *b, struct cost *c);

#endif
