/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_say.h - how a bench program in C is started and what it tells: `PROGRAM --build DIR --seconds N`, JSON Lines on
 * stdout for tests/bench/bench.py (docs/bench.md has the kinds of lines), everything else on stderr.
 */
#ifndef RIPSTOP_TESTS_BENCH_SAY_H
#define RIPSTOP_TESTS_BENCH_SAY_H

struct bench_args {
	const char *build;
	double seconds;	   /* that the program may take */
	double started_ms; /* bench_now_ms() */
};

/* Ends the program, with what is wrong, where the words are none of these. */
void bench_args_read(struct bench_args *a, int argc, char **argv);

double bench_now_ms(void); /* of CLOCK_MONOTONIC */

/* Of the seconds, the share that has passed. */
double bench_share_gone(const struct bench_args *a);

/* One sample. round pairs it with those of other series; negative: with none. */
void bench_value(const char *series, int round, double value, const char *unit);
void bench_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void bench_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
