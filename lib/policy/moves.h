/* SPDX-License-Identifier: Apache-2.0 */
/*
 * moves.h - what a compile keeps, so that pods of other nodes that come, go or change afterwards
 * cost what they are, not what the world is.
 *
 * Kept is the classifier (selectors in use, facets, classes and their numbers, how many claim an
 * address) with the store's moment. It holds as long as the store tells of no change but pods' and
 * of policies that select no pod of this node, this node's own pods and the ranges are the same,
 * and every address that is touched has one claimant at most. A pod whose facet or class is not
 * known, a class that loses its last address, an address outside its node's range: all these are
 * left to a compile. So the IR after a move is the one that rs_compile() would make, numbers
 * included (no cell changes, so number.h renumbers nothing).
 */
#ifndef RIPSTOP_POLICY_MOVES_H
#define RIPSTOP_POLICY_MOVES_H

#include "policy/compile.h"

struct rs_kept;

/* Takes c (whose world and conditions are not looked at again) and the draft's class numbers. */
struct rs_kept *rs_kept_new(struct rs_cc *c, uint32_t *class_no);
void rs_kept_free(struct rs_kept *k); /* NULL is legal */

static inline void rs_kept_drop(struct rs_kept **k)
{
	rs_kept_free(*k);
	*k = NULL;
}

/* What was compiled, for a later compile to look at, and the store's sequence then; NULL: it was
 * another store. */
const struct rs_cc *rs_kept_cc(const struct rs_kept *k, const struct rs_store *s, uint64_t *since);

/* The moves up to now. After false, or at a second call without rs_kept_settle(), k is worth
 * nothing. */
bool rs_kept_moves(struct rs_kept *k, const struct rs_world *w, struct rs_ir_moves *out);
void rs_kept_settle(struct rs_kept *k); /* they are committed */

/* 1 when one changes a class, 0 when none does: what the generation goes up by. */
uint64_t rs_ir_moves_count(const struct rs_ir_moves *m);

#endif
