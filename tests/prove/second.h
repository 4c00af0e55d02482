/* SPDX-License-Identifier: Apache-2.0 */
/*
 * second.h - oracle2.py at the other end of two pipes: a case a line there, verdicts a line back.
 */
#ifndef RIPSTOP_TESTS_PROVE_SECOND_H
#define RIPSTOP_TESTS_PROVE_SECOND_H

#include "tests/prove/prove.h"

struct pv_second;

/* Another program than tests/prove/oracle2.py; path is borrowed. */
void pv_second_use(const char *path);

int pv_second_new(struct pv_second **out, struct rs_err *err);
void pv_second_free(struct pv_second *s); /* NULL is legal */

/* Send now, go on with other work, fetch later: the two run side by side. */
int pv_second_send(struct pv_second *s, const struct pv_case *c, struct rs_err *err);
int pv_second_fetch(struct pv_second *s, struct pv_verdicts *out, struct rs_err *err);

/* The ids that it can count, one a line: the id, a space, what it means; the caller frees. */
int pv_second_ids(char **out, struct rs_err *err);

#endif
