// SPDX-License-Identifier: Apache-2.0
/*
 * bench_control.c - what a change costs between the object in memory and the committed kernel, in a network namespace
 * of its own.
 *
 *	bench_control POLICIES PODS ROUNDS
 *
 * One JSON object a line: {"world": [P, N], "what": NAME, "ms": [compile, commit]}, where what is full, join, leave,
 * relabel, policy-add, policy-change or policy-del. `full` is a new compiler and an empty kernel, three times; the
 * others follow each other ROUNDS times. The last line tells sizes.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <ripstop/dataplane.h>

#include "base/base.h"
#include "tests/bench/worldw.h"

struct bed {
	struct worldw *w;
	struct rs_compiler *compiler;
	struct rs_dp *dp;
	struct rs_ir *ir;
};

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void die(const char *what, struct rs_err *err)
{
	fprintf(stderr, "bench_control: %s: %s\n", what, rs_err_str(err));
	exit(1);
}

static void report(const struct bed *b, const char *what, const struct rs_dp_commit *done,
		   double compile, double commit)
{
	printf("{\"world\": [%zu, %zu], \"what\": \"%s\", \"ms\": [%.3f, %.3f], \"send\": %.3f, "
	       "\"messages\": %zu, \"bumped\": %d}\n",
	       b->w->n_policies, b->w->n_pods, what, compile, commit, done->ms, done->messages,
	       done->bumped);
	fflush(stdout);
}

/* As the agent does it (agent/reconcile.c): moves where they are enough. */
static bool shift(struct bed *b, const char *what)
{
	struct rs_dp_commit done;
	struct rs_ir_moves m;
	rs_auto_err err = { 0 };
	double t0 = now_ms(), t1;

	if (!rs_compile_moves(b->compiler, &b->w->w, &m))
		return false;
	t1 = now_ms();
	if (b->dp->ops->shift(b->dp, b->ir, &m, &done, &err) < 0)
		die("shift", &err);
	rs_ir_apply(b->ir, &m);
	rs_compiler_moved(b->compiler, &m);
	rs_ir_moves_clear(&m);
	report(b, what, &done, t1 - t0, now_ms() - t1);
	return true;
}

static void step(struct bed *b, const char *what)
{
	struct rs_dp_commit done;
	rs_auto_err err = { 0 };
	struct rs_ir *ir;
	double t0 = now_ms(), t1;

	if (shift(b, what))
		return;
	if (rs_compile(b->compiler, &b->w->w, &ir, NULL, &err) < 0)
		die("compile", &err);
	t1 = now_ms();
	if (b->dp->ops->commit(b->dp, ir, &done, &err) < 0)
		die("commit", &err);
	rs_compiler_committed(b->compiler, ir);
	rs_ir_free(b->ir);
	b->ir = ir;
	report(b, what, &done, t1 - t0, now_ms() - t1);
}

static void open_empty(struct bed *b)
{
	struct rs_dp_config cfg;
	rs_auto_err err = { 0 };
	struct rs_ir *was = NULL;

	if (b->dp) {
		if (b->dp->ops->remove(b->dp, &err) < 0)
			die("remove", &err);
		b->dp->ops->close(b->dp);
	}
	rs_dp_config_default(&cfg);
	if (rs_dp_nft.open(&cfg, &b->dp, &err) < 0)
		die("open", &err);
	if (b->dp->ops->read(b->dp, &was, &err) < 0)
		die("read", &err);
	rs_ir_free(was);
	rs_compiler_free(b->compiler);
	b->compiler = rs_compiler_new(NULL);
}

int main(int argc, char **argv)
{
	size_t policies = argc > 1 ? strtoul(argv[1], NULL, 10) : 100;
	size_t pods = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;
	size_t rounds = argc > 3 ? strtoul(argv[3], NULL, 10) : 10;
	struct bed b = { 0 };

	if (unshare(CLONE_NEWNET) < 0) {
		perror("bench_control: unshare (it needs root)");
		return 1;
	}
	b.w = worldw_new(policies, pods);
	for (int i = 0; i < 3; i++) {
		open_empty(&b);
		step(&b, "full");
	}
	for (size_t i = 0; i < rounds; i++) {
		size_t far = pods - 1 - i % (pods > 500 ? pods / 2 : 50);

		worldw_put_pod(b.w, pods + i, 0);
		step(&b, "join");
		worldw_put_pod(b.w, far, 1);
		step(&b, "relabel");
		worldw_put_pod(b.w, far, 0);
		step(&b, "relabel");
		worldw_del_pod(b.w, pods + i);
		step(&b, "leave");
		worldw_put_policy(b.w, policies + i, 0);
		step(&b, "policy-add");
		worldw_put_policy(b.w, policies + i, 1);
		step(&b, "policy-change");
		worldw_del_policy(b.w, policies + i);
		step(&b, "policy-del");
	}
	printf("{\"world\": [%zu, %zu], \"sizes\": {\"addrs\": %zu, \"groups\": %zu, \"cells\": "
	       "%zu, \"profiles\": %zu, "
	       "\"ranges\": %zu}}\n",
	       policies, pods, b.ir->n_addrs, b.ir->n_groups, b.ir->n_cells, b.ir->n_profiles,
	       b.ir->n_ranges);
	b.dp->ops->close(b.dp);
	rs_compiler_free(b.compiler);
	rs_ir_free(b.ir);
	worldw_free(b.w);
	return 0;
}
