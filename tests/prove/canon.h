/* SPDX-License-Identifier: Apache-2.0 */
/*
 * canon.h - an IR as text in which every number stands as what it means: a class and a group as
 * their members, a profile as its ports. Two IRs have one text if and only if they are the same
 * relations up to a renumbering. Numbers are bound to the history of a node (lib/policy/number.h),
 * so two nodes that came to the same state by other ways agree in this text alone.
 */
#ifndef RIPSTOP_TESTS_PROVE_CANON_H
#define RIPSTOP_TESTS_PROVE_CANON_H

#include <ripstop/ir.h>

/*
 * Caller frees. What no IR may hold stands in it as a line that begins with "orphan": a number of a
 * cell, a group or a profile that nothing leads to. people: with the parts for people that an IR
 * read back from a kernel lacks (policies of a group, rules of cells).
 */
char *pv_canon(const struct rs_ir *ir, bool people);

/* The ports of a profile: "tcp/80 udp/53", "allow", "deny". Caller frees. */
char *pv_canon_profile(const struct rs_ir *ir, uint32_t profile);

/* "isolated by a/x, a/y": which policies made this group. Caller frees. */
char *pv_canon_policies(const struct rs_ir *ir, const struct rs_ir_group *g);

/* The first line in which two texts differ: "-what a has\n+what b has\n", NULL when none. Caller
 * frees. */
char *pv_canon_diff(const char *a, const char *b);

#endif
