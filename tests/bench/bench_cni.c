// SPDX-License-Identifier: Apache-2.0
/*
 * bench_cni.c - ADD and DEL of the plugin with its agent committing policy, side by side with the least that the
 * kernel must do and with the reference plugins, which know no policy (docs/bench-net.md).
 *
 *	bench_cni --build DIR --seconds N
 *
 * Three parts: one pod at a time, 64 at once, a node of 200 pods that is drained.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "tests/bench/benchkit.h"
#include "tests/bench/cnibed.h"

#define ALONE_ROUNDS 25u
#define ALONE_PODS 2u
#define QUIET_US 1100000
#define ALONE_SHARE 0.8 /* of the time, at most */
#define MANY 64u
#define AT_ONCE_ROUNDS 25u
#define DRAIN_COSTS 3 /* times what a round of 64 does */
#define ENOUGH 21u
#define DRAIN_ROUNDS 5u
#define DEBIAN_DIR "/usr/lib/cni"

/* Parts, as bits. */
enum {
	ALONE = 1,
	AT_ONCE = 2,
	DRAIN = 4,
};

struct entry {
	struct cb_contestant c;
	unsigned int parts;
	size_t failed, done;
	char *why; /* the first failure */
};

static struct entry entries[] = {
	{ .c = { .name = "ripstop", .kind = CB_RIPSTOP, .program = "ripstop-cni" },
	  .parts = ALONE | AT_ONCE | DRAIN },
	{ .c = { .name = "floor", .kind = CB_FLOOR, .program = "tests/bench/cni_floor" },
	  .parts = ALONE | AT_ONCE },
	{ .c = { .name = "ptp", .kind = CB_PTP, .dir = DEBIAN_DIR, .program = "ptp" },
	  .parts = ALONE | AT_ONCE | DRAIN },
	{ .c = { .name = "bridge", .kind = CB_BRIDGE, .dir = DEBIAN_DIR, .program = "bridge" },
	  .parts = ALONE },
	{ .c = { .name = "ptp-new", .kind = CB_PTP, .program = "ptp" }, .parts = ALONE | AT_ONCE },
	{ .c = { .name = "bridge-new", .kind = CB_BRIDGE, .program = "bridge" }, .parts = ALONE },
};

#define ENTRIES RS_ARRAY_SIZE(entries)

static void skip(const struct entry *e, const char *why)
{
	static const struct {
		unsigned int part;
		const char *prefix;
	} series[] = { { ALONE, "cni.add." },
		       { ALONE, "cni.del." },
		       { AT_ONCE, "cni.add64." },
		       { AT_ONCE, "cni.del64." },
		       { DRAIN, "cni.drain200." } };

	for (size_t i = 0; i < RS_ARRAY_SIZE(series); i++) {
		char name[64];

		if (!(e->parts & series[i].part))
			continue;
		snprintf(name, sizeof(name), "%s%s", series[i].prefix, e->c.name);
		bk_skip(name, "%s", why);
	}
}

/* A call, or several at once, took so long. False: negative, it failed, which is told and is no sample. Consumes why. */
static bool took(struct entry *e, double ms, char *why, size_t round, const char *what)
{
	char series[64];

	e->done++;
	if (ms < 0) {
		e->failed++;
		if (!e->why)
			e->why = rs_steal_ptr(&why);
		free(why);
		return false;
	}
	if (what) {
		snprintf(series, sizeof(series), "cni.%s.%s", what, e->c.name);
		bench_value(series, (int)round, ms, "ms");
	}
	return true;
}

static bool timed(struct entry *e, bool add, size_t first, size_t n, size_t round, const char *what)
{
	char *why = NULL;
	double ms = cb_run(&e->c, add, first, n, &why);

	return took(e, ms, why, round, what);
}

/* Quiet before each: nothing that an agent did just before, and no warm cache, is of help. */
static bool quietly(struct entry *e, bool add, size_t first, size_t round, const char *what)
{
	usleep(QUIET_US);
	return timed(e, add, first, 1, round, what);
}

/* The node's first pod under its policies; a second one beside it; and that again without a pause. */
static void alone_with_twelve(struct entry *e, size_t round)
{
	if (!quietly(e, true, 0, round, "add"))
		return;
	if (quietly(e, true, 1, round, "add-next") && quietly(e, false, 1, round, "del-next") &&
	    timed(e, true, 1, 1, round, "add-soon"))
		timed(e, false, 1, 1, round, "del-soon");
	quietly(e, false, 0, round, "del");
}

/* The node's first pod of its kind. */
static void alone_as(struct entry *e, enum cb_pods pods, size_t round, const char *add,
		     const char *del)
{
	e->c.pods = pods;
	if (quietly(e, true, 0, round, add))
		quietly(e, false, 0, round, del);
	e->c.pods = CB_PAIR;
}

/* The others make no difference between these cases. Those that no bar is about do not wait. */
static void alone_plainly(struct entry *e, size_t round)
{
	bool judged = e->c.kind == CB_FLOOR || (e->parts & DRAIN);

	if (judged && quietly(e, true, 0, round, "add"))
		quietly(e, false, 0, round, "del");
	else if (!judged && timed(e, true, 0, 1, round, "add"))
		timed(e, false, 0, 1, round, "del");
}

static void alone(struct entry *e, size_t round)
{
	if (e->c.kind != CB_RIPSTOP) {
		alone_plainly(e, round);
		return;
	}
	alone_with_twelve(e, round);
	alone_as(e, CB_ONE, round, "add-one", "del-one");
	cb_expect(&e->c, 0);
	alone_as(e, CB_STRANGER, round, "add-cold", "del-cold");
	cb_expect(&e->c, ALONE_PODS);
}

static void at_once(struct entry *e, size_t round)
{
	char *why = NULL;
	double ms;

	if (timed(e, true, 0, MANY, round, "add64"))
		timed(e, false, 0, MANY, round, "del64");
	if (e->c.kind != CB_FLOOR)
		return;
	ms = cb_run_nothing(&e->c, MANY, &why);
	took(e, ms, why, round, "none64");
}

static void drain(struct entry *e, size_t round)
{
	if (timed(e, true, 0, CB_PODS, round, NULL))
		timed(e, false, 0, CB_PODS, round, "drain200");
}

static void one_round(unsigned int part, size_t round, void (*fn)(struct entry *, size_t))
{
	size_t order[ENTRIES];

	for (size_t i = 0; i < ENTRIES; i++)
		order[i] = i;
	bk_shuffle(order, ENTRIES);
	for (size_t i = 0; i < ENTRIES; i++)
		if (entries[order[i]].c.ready && (entries[order[i]].parts & part))
			fn(&entries[order[i]], round);
}

/* Rounds of a part, at least one, while another one as they were so far, and `reserve` times as much, fit before the
 * end. How many. */
static size_t rounds(unsigned int part, size_t most, double end, double reserve,
		     void (*fn)(struct entry *, size_t))
{
	double begun = bk_now(), now = begun;
	size_t n = 0;

	while (n < most && (!n || now + (now - begun) / (double)n * (1 + reserve) <= end)) {
		one_round(part, ++n, fn);
		now = bk_now();
	}
	return n;
}

static void expect(size_t n)
{
	for (size_t i = 0; i < ENTRIES; i++)
		if (entries[i].c.kind == CB_RIPSTOP && entries[i].c.ready)
			cb_expect(&entries[i].c, n);
}

static void tell_rounds(const char *what, size_t n, size_t wanted)
{
	if (n < wanted)
		bench_note("cni %s: only %zu rounds fitted into the time", what, n);
}

static void run(double end)
{
	double now = bk_now();
	size_t n;

	n = rounds(ALONE, ALONE_ROUNDS, now + (end - now) * ALONE_SHARE, 0, alone);
	tell_rounds("alone", n, ENOUGH);
	expect(MANY);
	n = rounds(AT_ONCE, AT_ONCE_ROUNDS, end, DRAIN_COSTS, at_once);
	tell_rounds("64 at once", n, ENOUGH);
	expect(CB_PODS);
	n = rounds(DRAIN, DRAIN_ROUNDS, end, 0, drain);
	bench_note("cni drain of 200: %zu rounds; it has no bar", n);
}

static void tell_failures(void)
{
	for (size_t i = 0; i < ENTRIES; i++)
		if (entries[i].failed)
			bench_note("cni %s: %zu of %zu calls or groups of calls failed and are no "
				   "samples; the first: %s",
				   entries[i].c.name, entries[i].failed, entries[i].done,
				   entries[i].why ? entries[i].why : "");
}

static void make_all(const char *build, const char *newest)
{
	for (size_t i = 0; i < ENTRIES; i++) {
		struct cb_contestant *c = &entries[i].c;
		rs_autofree char *why = NULL;

		if (!c->dir)
			c->dir = c->kind == CB_PTP || c->kind == CB_BRIDGE ? newest : build;
		why = cb_contestant_make(c);
		if (why && c->kind == CB_RIPSTOP)
			bench_die("%s", why);
		if (why)
			skip(&entries[i], why);
	}
}

int main(int argc, char **argv)
{
	rs_autofree char *build = NULL, *newest = NULL;
	struct bench_args args;

	bench_args_read(&args, argc, argv);
	bk_need_root();
	build = realpath(args.build, NULL);
	if (!build)
		bench_die("%s: %s", args.build, strerror(errno));
	newest = rs_asprintf("%s/tests/bench/cni-new", build);
	cb_open(build);
	make_all(build, newest);
	bench_note("cni: the agent holds W(%u, %u) and 12 policies that select each measured pod; "
		   "IPv4; plugins' state on tmpfs",
		   CB_WORLD_POLICIES, CB_WORLD_PODS);
	run(args.started_ms / 1e3 + args.seconds);
	tell_failures();
	return 0;
}
