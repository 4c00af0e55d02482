// SPDX-License-Identifier: Apache-2.0
/*
 * bench_control.c - what a change costs between the objects in memory and the committed kernel, at three sizes of world W
 * in turn, each in a network namespace of its own.
 *
 *	bench_control --build DIR --seconds N
 *
 * Series, SIZE one of 100, 10k, 100k (pods; 10, 1k, 10k policies), each in ms and each also as .commit, which is the
 * kernel's part of it alone:
 *	control.full.SIZE			a compiler that knows nothing and an empty kernel
 *	control.join|relabel|leave.SIZE		a pod of another node
 *	control.join-here|leave-here|relabel-here.SIZE	a pod of this node, which was expected
 *	control.expect-here.SIZE		its object comes, bound to this node, where that brings rules
 *	control.join-cold.SIZE			a pod of this node of which nobody had heard
 *	control.policy-add|-change|-del.SIZE	a policy that selects a pod of this node
 *	control.crowd.SIZE			a namespace of 5,000 pods gets another label
 *	control.bump.50|5000			every live flow is to be judged again, at so many profiles
 * What is waited for a grace period is not in them; it is control.grace.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "tests/bench/bench_say.h"
#include "tests/bench/control_bed.h"
#include "tests/bench/control_worlds.h"

#define SIZES 3
#define ROUNDS 41  /* of what is quick */
#define MIN_SLOW 5 /* of what may be slow: at least, and at most */
#define MAX_SLOW 21
#define LABEL_PERIOD 1050 /* labels of W repeat after so many pods of a namespace */

static const struct {
	const char *name;
	size_t policies, pods;
} sizes[SIZES] = { { "100", 10, 100 }, { "10k", 1000, 10000 }, { "100k", 10000, 100000 } };

static struct bed beds[SIZES];
static size_t n_steps, n_moves;

static void tell(const char *what, const char *size, int round, const struct cost *c)
{
	rs_autofree char *series = rs_asprintf("control.%s.%s", what, size);
	rs_autofree char *commit = rs_asprintf("control.%s.%s.commit", what, size);

	bench_value(series, round, c->total, "ms");
	bench_value(commit, round, c->commit, "ms");
	if (c->grace > 0.01) /* else it was over already */
		bench_value("control.grace", round, c->grace, "ms");
}

/* False: nothing was sent, so nothing was measured. */
static bool may_step(struct bed *b, const char *what, int round)
{
	struct cost c;

	bed_step(b, &c);
	if (!c.messages)
		return false;
	n_steps++;
	n_moves += c.moves;
	tell(what, b->name, round, &c);
	return true;
}

static void step(struct bed *b, const char *what, int round)
{
	if (!may_step(b, what, round))
		bench_die("%s at %s: nothing was sent, so nothing was measured", what, b->name);
}

/* ---- full builds ----------------------------------------------------------------------------- */

static void full(struct bed *b, int round)
{
	struct cost c;

	bed_empty(b);
	bed_step(b, &c);
	tell("full", b->name, round, &c);
}

/* ---- pods of other nodes --------------------------------------------------------------------- */

/* A pod of another node that is not in the world yet, in the namespace of pod i. */
static size_t guest(const struct worldw *w, size_t i)
{
	size_t last = w->n_pods > WORLDW_LOCAL ? w->n_pods : WORLDW_LOCAL;
	size_t in_ns = (last / w->n_namespaces / LABEL_PERIOD + 1) * LABEL_PERIOD;

	return in_ns * w->n_namespaces + i % w->n_namespaces;
}

static uint32_t class_of(const struct bed *b, size_t pod)
{
	struct rs_addr a = worldw_addr(pod);
	uint32_t cls = RS_CLASS_WORLD;

	rs_ir_class_exact(b->ir, &a, &cls);
	return cls;
}

/* Two pods of one namespace that this node's rules tell apart, from namespace `from` on. */
static void find_pair(const struct bed *b, size_t from, size_t *one, size_t *other)
{
	const struct worldw *w = b->w;

	for (size_t k = 0; k < w->n_namespaces; k++) {
		*one = (from + k) % w->n_namespaces;
		for (*other = *one; *other < w->n_pods; *other += w->n_namespaces)
			if (class_of(b, *other) != class_of(b, *one))
				return;
	}
	bench_die("no rule of %s tells pods of a namespace apart", b->name);
}

static void elsewhere(struct bed *b, int round)
{
	struct worldw *w = b->w;
	size_t one, other, i;

	find_pair(b, (size_t)round, &one, &other);
	i = guest(w, one);
	worldw_put_pod_like(w, i, one);
	step(b, "join", round);
	worldw_put_pod_like(w, i, other);
	step(b, "relabel", round);
	worldw_del_pod(w, i);
	step(b, "leave", round);
}

/* ---- pods of this node, and policies about them ---------------------------------------------- */

/* Pod 0 gets the labels of another pod of its namespace, in its object and in its record. */
static void relabel_first(struct bed *b, size_t like, int round)
{
	struct worldw *w = b->w;
	struct rs_labels *l = (struct rs_labels *)(void *)(uintptr_t)w->locals[0].labels;

	worldw_put_pod_like(w, 0, like);
	rs_labels_free(l);
	*l = rs_labels_copy(&rs_store_pod(w->store, worldw_ns(w, 0), "pod-0")->meta.labels);
	w->locals[0].stamp = rs_local_stamp();
	step(b, "relabel-here", round);
}

static int cmp_local(const void *a, const void *b)
{
	const struct rs_local_pod *x = a, *y = b;
	int d = strcmp(x->ns, y->ns);

	return d ? d : strcmp(x->name, y->name);
}

/* The first n records, sorted as the registry has them. */
static void show_locals(struct worldw *w, size_t n)
{
	static struct rs_local_pod sorted[WORLDW_LOCAL];

	memcpy(sorted, w->locals, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), cmp_local);
	w->w.locals = sorted;
	w->w.n_locals = w->w.n_sorted = n;
}

/* Shown as W has them again, to all that follows. */
static void show_plainly(struct bed *b)
{
	struct worldw *w = b->w;
	struct cost c;

	w->w.locals = w->locals;
	w->w.n_locals = w->n_locals;
	w->w.n_sorted = 0;
	bed_step(b, &c);
}

/* The last of the records comes and goes. */
static void leave_here(struct bed *b, int round)
{
	show_locals(b->w, b->w->n_locals - 1);
	worldw_del_pod(b->w, b->w->n_locals - 1);
	step(b, "leave-here", round);
}

static void join_here(struct bed *b, const char *what, int round)
{
	b->w->locals[b->w->n_locals - 1].stamp = rs_local_stamp();
	show_locals(b->w, b->w->n_locals);
	step(b, what, round);
}

/* As the agent: the object is there before the ADD. */
static void expect_here(struct bed *b, int round)
{
	struct worldw *w = b->w;
	struct rs_local_pod pod = w->locals[w->n_locals - 1];

	worldw_put_pending(w, w->n_locals - 1);
	pod.ips = NULL;
	pod.n_ips = 0;
	w->w.expected = &pod;
	w->w.n_expected = 1;
	may_step(b, "expect-here", round);
	w->w.expected = NULL;
	w->w.n_expected = 0;
}

static void here(struct bed *b, int round)
{
	struct worldw *w = b->w;

	leave_here(b, round);
	expect_here(b, round);
	join_here(b, "join-here", round);
	leave_here(b, round);
	worldw_put_pod(w, w->n_locals - 1, 0);
	join_here(b, "join-cold", round);
	show_plainly(b);
	if (round >= MIN_SLOW)
		return;
	relabel_first(b, w->n_namespaces, round);
	relabel_first(b, 0, round);
}

/* A policy that W does not have and that selects local pod i: number j selects app j / namespaces of 50. */
static size_t policy_about(const struct worldw *w, size_t i)
{
	size_t ns = i % w->n_namespaces, app = (i / w->n_namespaces + ns) % 50;

	return (50 + app) * w->n_namespaces + ns;
}

static void policies(struct bed *b, int round)
{
	struct worldw *w = b->w;
	size_t j = policy_about(w, (size_t)round % w->n_locals);

	worldw_put_policy(w, j, 0);
	step(b, "policy-add", round);
	worldw_put_policy(w, j, 1);
	step(b, "policy-change", round);
	worldw_del_policy(w, j);
	step(b, "policy-del", round);
}

/* ---- the crowd ------------------------------------------------------------------------------- */

static void crowd(struct bed *b, int round)
{
	struct cost c;

	if (!round) {
		crowd_put(b->w);
		bed_step(b, &c);
	}
	crowd_label(b->w, round % 2 ? "z" : "a");
	step(b, "crowd", round);
}

/* ---- phases ---------------------------------------------------------------------------------- */

typedef void round_fn(struct bed *b, int round);

/* Rounds of all sizes in turn, until the share of the time is gone; the order changes from round to round. */
static void rounds(const struct bench_args *a, round_fn *fn, double until, int min, int max)
{
	for (int r = 0; r < max && (r < min || bench_share_gone(a) < until); r++)
		for (int i = 0; i < SIZES; i++)
			fn(&beds[(i + r) % SIZES], r);
}

/* A pod goes that a rule lets in: one element, and all flows are judged again. */
static void bump(struct bed *b, size_t profiles, int round)
{
	size_t guest_no = WORLDW_LOCAL + profiles;
	struct cost c;

	worldw_del_pod(b->w, guest_no);
	bed_step(b, &c);
	if (!c.bumped)
		bench_die("the generation did not go up");
	bench_value(profiles < 100 ? "control.bump.50" : "control.bump.5000", round, c.commit,
		    "ms");
	profiles_guest(b->w, guest_no);
	bed_step(b, &c);
}

static void bumps(void)
{
	static const size_t n[] = { 50, 5000 };
	struct bed b[2];
	struct cost c;

	for (int i = 0; i < 2; i++) {
		bed_open(&b[i], i ? "5000" : "50", profiles_new(n[i]));
		bed_step(&b[i], &c);
		if (b[i].ir->n_profiles < n[i])
			bench_die("%zu profiles where %zu were meant", b[i].ir->n_profiles, n[i]);
	}
	for (int r = 0; r < ROUNDS; r++)
		for (int i = 0; i < 2; i++)
			bump(&b[(i + r) % 2], n[(i + r) % 2], r);
	for (int i = 0; i < 2; i++)
		bed_close(&b[i]);
}

static size_t n_quick(void)
{
	size_t n = 0;

	for (int i = 0; i < SIZES; i++)
		n += rs_compiler_quick(beds[i].compiler);
	return n;
}

static void note_sizes(void)
{
	for (int i = 0; i < SIZES; i++) {
		const struct rs_ir *ir = beds[i].ir;

		bench_note("control: W(%zu, %zu) is %zu addresses, %zu ranges, %zu groups, %zu "
			   "cells, %zu "
			   "profiles",
			   sizes[i].policies, sizes[i].pods, ir->n_addrs, ir->n_ranges,
			   ir->n_groups, ir->n_cells, ir->n_profiles);
	}
}

int main(int argc, char **argv)
{
	struct bench_args a;

	bench_args_read(&a, argc, argv);
	for (int i = 0; i < SIZES; i++)
		bed_open(&beds[i], sizes[i].name, worldw_new(sizes[i].policies, sizes[i].pods));
	rounds(&a, full, 0.4, MIN_SLOW, MAX_SLOW);
	note_sizes();
	rounds(&a, elsewhere, 1, ROUNDS, ROUNDS);
	bench_note("control: %zu of %zu steps of pods of other nodes went without a compile",
		   n_moves, n_steps);
	n_moves = n_steps = 0;
	bumps();
	rounds(&a, here, 1, MAX_SLOW, MAX_SLOW); /* a ratio asks for so many */
	rounds(&a, policies, 0.85, MIN_SLOW, MAX_SLOW);
	bench_note("control: of %zu steps about pods of this node %zu compiles looked only at what "
		   "may have changed",
		   n_steps, n_quick());
	rounds(&a, crowd, 0.95, MIN_SLOW, MAX_SLOW);
	for (int i = 0; i < SIZES; i++)
		bed_close(&beds[i]);
	return 0;
}
