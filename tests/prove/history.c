// SPDX-License-Identifier: Apache-2.0
/*
 * history - random histories of events: duplicated, reordered, split, squashed, with restarts,
 * failed commits and foreign hands between; the end is the same IR and the same kernel as from
 * scratch.
 *
 *	history --histories N --seed S [--steps N] [--from I] [--jobs N]
 *
 * History number i of a seed is the same on every machine. A failing one is shrunk and printed.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/prove/hist.h"

#define MAX_KINDS 64
#define SHRINK_RUNS 600

static const char *const aspects[HIST_ASPECTS] = {
	[HIST_IR] = "same_IR_as_from_scratch",
	[HIST_KERNEL] = "same_kernel_state_as_from_scratch",
	[HIST_VERDICT] = "same_verdicts_as_from_scratch",
	[HIST_NUMBERS] = "no_number_means_two_things",
	[HIST_GENERATION] = "generation_rises_with_the_IR_alone",
	[HIST_MOVES] = "moves_come_to_what_a_compile_does",
	[HIST_STORE] = "told_twice_is_told_once",
	[HIST_UNSYNCED] = "F15_half_a_list_is_not_compiled",
	[HIST_ERROR] = "no_call_fails",
};

struct options {
	uint64_t seed, from, histories;
	size_t steps;
	unsigned int jobs;
};

/* Written by one worker, read by the parent. */
struct tally {
	uint64_t histories, failed, checks, compiles, quick, commits, moves, unsynced, flows;
	uint64_t played[MAX_KINDS];
	bool in_failed[MAX_KINDS];
	bool broken[HIST_ASPECTS];
	uint64_t now;
};

static void result_clear(struct hist_result *r)
{
	free(r->why);
	free(r->log);
}

/* ---- a failing history ----------------------------------------------------------------------- */

struct shrinker {
	uint64_t seed, index;
	struct hist_step *v;
	size_t n;
	enum hist_aspect aspect;
	unsigned int runs;
};

/* Leave out [at, at + len) for good if it fails as before without. */
static bool without(struct shrinker *s, size_t at, size_t len)
{
	struct hist_step *fewer = rs_new0(struct hist_step, s->n);
	struct hist_result r;
	bool still;

	memcpy(fewer, s->v, at * sizeof(*fewer));
	memcpy(fewer + at, s->v + at + len, (s->n - at - len) * sizeof(*fewer));
	hist_play(s->seed, s->index, fewer, s->n - len, &r);
	still = r.aspect == s->aspect;
	result_clear(&r);
	s->runs++;
	if (still) {
		memcpy(s->v, fewer, (s->n - len) * sizeof(*fewer));
		s->n -= len;
	}
	free(fewer);
	return still;
}

static void shrink(struct shrinker *s)
{
	for (size_t len = s->n / 2; len; len /= 2)
		for (size_t at = 0; at + len <= s->n && s->runs < SHRINK_RUNS;)
			if (!without(s, at, len))
				at += len;
}

static void report(struct tally *t, struct shrinker *s)
{
	struct hist_result r;
	char *line, *save = NULL;

	shrink(s);
	hist_play(s->seed, s->index, s->v, s->n, &r);
	printf("FAIL history %" PRIu64 " of seed %" PRIu64 ": %s, in %zu steps:\n", s->index,
	       s->seed, aspects[s->aspect], s->n);
	for (line = strtok_r(r.log, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		printf("  %s\n", line);
	printf("  => %s\n",
	       r.why ? r.why : "it fails no more: it hangs on more than seed and steps");
	for (size_t i = 0; i < s->n; i++)
		t->in_failed[s->v[i].kind] = true;
	result_clear(&r);
}

/* ---- workers --------------------------------------------------------------------------------- */

static void one_history(const struct options *o, struct tally *t, uint64_t index)
{
	struct hist_step *steps = hist_draw(o->seed, index, o->steps);
	struct hist_result r;

	t->now = index;
	hist_play(o->seed, index, steps, o->steps, &r);
	t->histories++;
	t->checks += r.checks;
	t->compiles += r.compiles;
	t->quick += r.quick;
	t->commits += r.commits;
	t->moves += r.moves;
	t->unsynced += r.unsynced;
	t->flows += r.flows;
	for (size_t i = 0; i < o->steps; i++)
		t->played[steps[i].kind]++;
	if (r.aspect) {
		struct shrinker s = { o->seed, index, steps, o->steps, r.aspect, 0 };

		t->broken[r.aspect] = true;
		if (!t->failed++)
			report(t, &s);
	}
	result_clear(&r);
	free(steps);
}

static int own_namespace(void)
{
	if (unshare(CLONE_NEWNET) == 0)
		return 0;
	return errno == EPERM ? unshare(CLONE_NEWUSER | CLONE_NEWNET) : -1;
}

static int work(const struct options *o, struct tally *t, unsigned int number)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (own_namespace() < 0) {
		fprintf(stderr, "history: no network namespace: %s\n", strerror(errno));
		return 1;
	}
	for (uint64_t i = number; i < o->histories; i += o->jobs)
		one_history(o, t, o->from + i);
	return 0;
}

static unsigned int run_workers(const struct options *o, struct tally *t)
{
	rs_autofree pid_t *pids = rs_new0(pid_t, o->jobs);
	unsigned int bad = 0, i;
	int status;

	fflush(NULL);
	for (i = 0; i < o->jobs; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			/* Not _exit(): a sanitizer counts then what is left. */
			exit(work(o, &t[i], i));
		}
		if (pids[i] < 0) {
			perror("history: fork");
			exit(1);
		}
	}
	for (i = 0; i < o->jobs; i++) {
		if (waitpid(pids[i], &status, 0) == pids[i] && status == 0)
			continue;
		printf("FAIL worker %u ended with status %d in history %" PRIu64 "\n", i, status,
		       t[i].now);
		bad++;
	}
	return bad;
}

/* ---- the closing lines ----------------------------------------------------------------------- */

static void sum_up(const struct tally *t, unsigned int jobs, struct tally *sum)
{
	for (unsigned int i = 0; i < jobs; i++) {
		sum->histories += t[i].histories;
		sum->failed += t[i].failed;
		sum->checks += t[i].checks;
		sum->compiles += t[i].compiles;
		sum->quick += t[i].quick;
		sum->commits += t[i].commits;
		sum->moves += t[i].moves;
		sum->unsynced += t[i].unsynced;
		sum->flows += t[i].flows;
		for (size_t k = 0; k < MAX_KINDS; k++) {
			sum->played[k] += t[i].played[k];
			sum->in_failed[k] |= t[i].in_failed[k];
		}
		for (size_t k = 0; k < HIST_ASPECTS; k++)
			sum->broken[k] |= t[i].broken[k];
	}
}

static void line(bool ok, const char *name, uint64_t n, unsigned int *passed, unsigned int *failed)
{
	printf("%-8s %s  %" PRIu64 " times\n", ok ? "passed" : "failed", name, n);
	(*(ok ? passed : failed))++;
}

static int close_up(const struct options *o, const struct tally *sum, unsigned int dead, int64_t ms)
{
	unsigned int passed = 0, failed = dead;
	size_t i;

	for (i = 0; i < hist_kinds(); i++)
		line(sum->played[i] && !sum->in_failed[i], hist_steps[i].name, sum->played[i],
		     &passed, &failed);
	for (i = HIST_FINE + 1; i < HIST_ASPECTS; i++) {
		uint64_t n = i == HIST_UNSYNCED	    ? sum->unsynced
			     : i == HIST_MOVES	    ? sum->moves
			     : i == HIST_VERDICT    ? sum->flows
			     : i == HIST_IR	    ? sum->checks
			     : i == HIST_KERNEL	    ? sum->checks
			     : i == HIST_NUMBERS    ? sum->compiles
			     : i == HIST_GENERATION ? sum->compiles
						    : sum->histories;

		line(n && !sum->broken[i], aspects[i], n, &passed, &failed);
	}
	line(sum->quick, "compiles_from_the_one_before", sum->quick, &passed, &failed);
	printf("seed %" PRIu64 ": %" PRIu64 " histories of %zu steps, %" PRIu64 " failed, %" PRIu64
	       " checks, %" PRIu64 " compiles, %" PRIu64 " commits, %.1f s, %u workers\n",
	       o->seed, sum->histories, o->steps, sum->failed, sum->checks, sum->compiles,
	       sum->commits, (double)ms / 1000, o->jobs);
	printf("%u passed, %u failed, 0 skipped\n", passed, failed);
	return failed != 0;
}

static int run(const struct options *o)
{
	struct tally sum = { 0 }, *t;
	int64_t since = rs_mono_ms();
	unsigned int dead;

	t = mmap(NULL, o->jobs * sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		 0);
	if (t == MAP_FAILED)
		rs_oom();
	dead = run_workers(o, t);
	sum_up(t, o->jobs, &sum);
	munmap(t, o->jobs * sizeof(*t));
	return close_up(o, &sum, dead, rs_mono_ms() - since);
}

/* ---- options --------------------------------------------------------------------------------- */

static const struct option longopts[] = {
	{ "histories", 1, NULL, 'n' }, { "seed", 1, NULL, 's' }, { "steps", 1, NULL, 'S' },
	{ "from", 1, NULL, 'f' },      { "jobs", 1, NULL, 'j' }, { 0 },
};

static void usage(void)
{
	fputs("usage: history --histories N --seed S [--steps N] [--from I] [--jobs N]\n", stderr);
	exit(2);
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t v;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-')
		usage();
	return v;
}

int main(int argc, char **argv)
{
	struct options o = { .seed = 1, .histories = 20, .steps = 100, .jobs = 1 };
	int c;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		uint64_t v = c == '?' ? 0 : number(optarg);

		if (c == 'n')
			o.histories = v;
		else if (c == 's')
			o.seed = v;
		else if (c == 'S')
			o.steps = v;
		else if (c == 'f')
			o.from = v;
		else if (c == 'j')
			o.jobs = (unsigned int)v;
		else
			usage();
	}
	if (optind != argc || !o.jobs || o.jobs > 256 || !o.histories || o.steps > 100000)
		usage();
	return run(&o);
}
