/* SPDX-License-Identifier: Apache-2.0 */
/*
 * benchkit.h - what the programs of `make bench` that make links and send packets share beside bench_say.h: dice,
 * network namespaces, other programs.
 *
 * Namespaces are held by descriptors alone, so that nothing stays behind, however a program ends. Whatever fails here
 * ends the program.
 */
#ifndef RIPSTOP_TESTS_BENCH_BENCHKIT_H
#define RIPSTOP_TESTS_BENCH_BENCHKIT_H

#include <stddef.h>

#include "tests/bench/bench_say.h"

void bk_need_root(void);

static inline double bk_now(void) /* seconds of a clock that never jumps */
{
	return bench_now_ms() / 1e3;
}

/* Below n, from a generator that gives the same numbers in every run. */
size_t bk_random(size_t n);
void bk_shuffle(size_t *v, size_t n);

/* A series or a group of them that is left out. */
void bk_skip(const char *series, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A new network namespace with its loopback up; the caller is in it afterwards. */
int bk_ns_new(void);
void bk_ns_enter(int ns);
/* Of the namespace that the caller is in. */
void bk_sysctl(const char *path, const char *value);

/* A bpffs of this program's own at BK_BPFFS: pins keep what their maker left, and all go with the program. NULL, or why
 * there is none. Names in it hold no dot. */
#define BK_BPFFS "/sys/fs/bpf"
const char *bk_bpffs(void);

/* A file in memory that holds this text, at its beginning: somebody's stdin. */
int bk_memfile(const char *text, size_t len);
/* Let nft(8) take this ruleset; its exit status (127: it is not there). */
int bk_nft(const char *text, size_t len);

/* From now on on one processor: packets between namespaces are then its work alone. */
void bk_pin(void);

#endif
