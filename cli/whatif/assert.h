/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assert.h - assertions about manifests: documents of kind NetworkPolicyTest.
 *
 * testread.c reads them, testrun.c judges them, testsay.c shows what came out (and as JUnit XML),
 * cmd_test.c is the verb.
 */
#ifndef RIPSTOP_CLI_WHATIF_ASSERT_H
#define RIPSTOP_CLI_WHATIF_ASSERT_H

#include "cli/whatif/whatif.h"

struct assertion {
	char *name, *from, *to, *port;
	bool allow; /* what is expected */
	int line, col;
	/* what came out */
	bool passed;
	char *reason; /* a line */
	char *where;  /* of the rule that decided or came closest; may be NULL */
};

struct suite {
	char *file;
	char *name;	  /* metadata.name, else the file's */
	char *ns;	  /* of plain names: metadata.namespace; NULL: not given */
	char **manifests; /* paths, relative ones joined with the file's folder */
	size_t n_manifests;
	struct rs_vec(struct assertion) tests;
};

struct suites rs_vec(struct suite);

/* Paths of -f that hold manifests too, borrowed from the run. */
struct paths rs_vec(const char *);

/* The suites in what -f names, and the paths that hold more than suites. -EINVAL with file, line
 * and column where one cannot be read. */
int suites_read(const struct cli_run *r, struct suites *out, struct paths *manifests,
		struct rs_err *err);
void suites_free(struct suites *s);

/* Judge every assertion of a suite in a world whose rules are not made yet. -EINVAL where an
 * assertion is no assertion (an operand or port that is none), with its place. */
int suite_run(struct cli_world *cw, struct suite *s, const char *ns, struct rs_err *err);

size_t suites_failed(const struct suites *s);
void suites_put(struct cli_run *r, const struct suites *s, const char *source);

/* Text of an object in JUnit XML; ` NAME="TEXT"`. */
void junit_text(struct cli_run *r, const char *text);
void junit_attribute(struct cli_run *r, const char *name, const char *text);

#endif
