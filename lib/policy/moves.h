/* SPDX-License-Identifier: Apache-2.0 */
/*
 * moves.h - pods of other nodes that come, go or change after a compile, and pods of this node that
 * were expected and come, cost what they are, not what the world is.
 *
 * What was kept (kept.h) is enough as long as the store tells of no change but pods' and of
 * policies that select no pod of this node, this node's own pods and the ranges are the same but
 * for pods that were expected, and every address that is touched has one claimant at most. A pod
 * whose facet or class is not known, a class that loses its last address, an address outside its
 * node's range: all these are left to a compile. So the IR after a move is the one that
 * rs_compile() would make, numbers included (no cell changes, so number.h renumbers nothing).
 */
#ifndef RIPSTOP_POLICY_MOVES_H
#define RIPSTOP_POLICY_MOVES_H

#include "policy/kept.h"

/* The moves up to now; joins: with pods of this node among them, else those are left to a compile,
 * too. After false, or at a second call without rs_kept_settle(), k is worth
 * nothing for moves; after false a compile may start from it. */
bool rs_kept_moves(struct rs_kept *k, const struct rs_world *w, bool joins,
		   struct rs_ir_moves *out);
void rs_kept_settle(struct rs_kept *k); /* they are committed */

/* 1 when one changes a class, 0 when none does: what the generation goes up by. */
uint64_t rs_ir_moves_count(const struct rs_ir_moves *m);

#endif
