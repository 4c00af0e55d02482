/* SPDX-License-Identifier: Apache-2.0 */
/*
 * benchkit.h - what the network programs of `make bench` share: arguments, clock, dice, the lines that they print, and
 * network namespaces.
 *
 * A program is started as `PROGRAM --build DIR --seconds N` and prints JSON Lines: samples, notes, and what it had to
 * leave out. Namespaces are held by descriptors alone, so that nothing stays behind, however the program ends.
 */
#ifndef RIPSTOP_TESTS_BENCH_BENCHKIT_H
#define RIPSTOP_TESTS_BENCH_BENCHKIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bk_args {
	const char *build;
	double seconds; /* that the program may take */
};

/* Ends the program (code 2) when it is called wrongly, (code 1) when it is not root. */
void bk_start(int argc, char **argv, const char *program, struct bk_args *out);
/* "PROGRAM: ..." on stderr, and code 1. */
void bk_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

double bk_now(void); /* seconds of a clock that never jumps */
/* Below n, from a generator that gives the same numbers in every run. */
size_t bk_random(size_t n);
void bk_shuffle(size_t *v, size_t n);

void bk_sample(const char *series, size_t round, double value, const char *unit);
void bk_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void bk_skip(const char *series, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A new network namespace with its loopback up; the caller is in it afterwards. */
int bk_ns_new(void);
void bk_ns_enter(int ns);
/* Of the namespace that the caller is in. */
void bk_sysctl(const char *path, const char *value);

/* A file in memory that holds this text, at its beginning: somebody's stdin. */
int bk_memfile(const char *text, size_t len);
/* Run a program with this text on its stdin; its exit status (127: it is not there). */
int bk_feed(char *const *argv, const char *text, size_t len);

/* From now on on one processor: packets between namespaces are then its work alone. */
void bk_pin(void);

#endif
