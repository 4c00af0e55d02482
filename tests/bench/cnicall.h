/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cnicall.h - processes that are started the way a container runtime starts a plugin: environment, configuration on
 * stdin, answer on stdout, exit status.
 *
 * All that can be made before is made by cc_prepare(), so that between cc_start() and the end of cc_wait() there is
 * nothing but the process itself.
 */
#ifndef RIPSTOP_TESTS_BENCH_CNICALL_H
#define RIPSTOP_TESTS_BENCH_CNICALL_H

#include <stdbool.h>
#include <sys/types.h>

#define CC_WORDS 12

struct cc_call {
	char *argv[CC_WORDS]; /* both NULL-terminated; of the call */
	char *env[CC_WORDS];
	int in, out;
	pid_t pid;
	int status; /* 0: it succeeded */
};

void cc_arg(struct cc_call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cc_env(struct cc_call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* input may be NULL: nothing on stdin. */
void cc_prepare(struct cc_call *c, const char *input);
void cc_start(struct cc_call *c);
bool cc_wait(struct cc_call *c);

/* The beginning of what it said, on one line; caller frees. */
char *cc_said(const struct cc_call *c);
void cc_clear(struct cc_call *c);

#endif
