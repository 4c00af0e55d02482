/* SPDX-License-Identifier: Apache-2.0 */
/*
 * number.h - numbers bound to meanings, so that a commit touches only what changed and a packet
 * whose look-ups straddle a commit never reads one meaning with another's number.
 *
 * Meanings: a class is its atoms (selectors, ipBlocks, declared ports), a group its policies
 * (namespace, name, uid) and its subject's port numbers, a profile its ports. While a meaning
 * lives its number stays; when it is gone its number is never given out again (counters only
 * rise). What is known of an IR that was read back from the kernel is only its members: there a
 * meaning is recognised by the first of its members (range, address, local address) that holds an
 * unclaimed number, and from then on bound.
 *
 * Why that is safe. A packet makes its look-ups one after another: address to class, local
 * address to group, (group, class) to profile, profile to verdict. Across one commit a first part
 * of them sees the old state, the rest the new one. Wanted: the verdict is one that the old or
 * the new state gives. Take an address that had class N in the old state (groups alike):
 *   - it has N in the new state too: whatever cells it reads, both look-ups exist in one state.
 *   - it has left N, and no cell of N changed: the cell read is the old verdict.
 *   - it has left N, and N is gone: no cell is found, so the look-up ends at the range class or
 *     at the default, in the new state; v1 rules only add, so that allows at most what the new
 *     state allows it.
 *   - it has left N, which lives on with a changed cell: the leak of the first prototype. Here,
 *     and only here, N's meaning gets a fresh number, N is gone, and the case before applies.
 * So: a number keeps living over a step only if no address left it or none of its cells changed.
 * "Left" is membership; "changed" is a cell (or a group's default) that is new or different; a
 * cell that vanished counts too, unless its other end vanished (then it cannot be reached but by
 * the third case). The check looks at members and cells only, never at keys: a wrong guess of a
 * meaning (two keys with one digest, a seed that was recognised badly) costs a larger commit,
 * never a leak.
 *
 * What is not proven here:
 *   - A packet that straddles a commit in which both its ends moved (one pod relabelled or deleted,
 *     the other relabelled or selected by other policies) may be judged by one end's old and the
 *     other's new place. That is the verdict of a history in which one move came first; objects
 *     have no common order (semantics F27).
 *   - The argument is about one half. A commit that at once tightens the egress half and loosens
 *     the ingress half of a flow may let a straddling packet through: egress judged before,
 *     ingress after.
 *   - A packet that stays over two commits: an address leaves N in the first, a cell of N changes
 *     in the second. Whoever commits keeps commits that free or move something an RCU grace
 *     period apart.
 *   - With tiers (Deny) the third case no longer holds by itself; the argument must be made anew.
 *   - While a number is replaced, a straddling packet of a remaining member may be dropped. It is
 *     sent again.
 */
#ifndef RIPSTOP_POLICY_NUMBER_H
#define RIPSTOP_POLICY_NUMBER_H

#include "policy/compile.h"

/* Draft number to kernel number. */
struct rs_numbers {
	uint32_t *classes;
	uint32_t *groups;
	uint32_t *profiles; /* by content */
};

/* What was committed last, and which meaning each of its numbers has. */
struct rs_numbering {
	struct rs_ir *last;			 /* relations only; NULL: nothing is in force */
	struct rs_intern class_keys, group_keys; /* digest to position in the arrays */
	struct rs_u32s class_no, group_no;
	bool bound; /* the meaning of every number of a class is known */
	uint32_t next_class, next_group, next_profile;
};

struct rs_numbering *rs_numbering_new(const struct rs_ir *seed);
void rs_numbering_free(struct rs_numbering *n);
/* No number that `used` has given out is given out by n. */
void rs_numbering_floor(struct rs_numbering *n, const struct rs_numbering *used);

/* Give every meaning of the draft its number; *next is the state after this draft is committed
 * (without its IR). -EOVERFLOW when the numbers are used up. */
int rs_number_draft(const struct rs_numbering *last, const struct rs_draft *d,
		    struct rs_numbers *out, struct rs_numbering **next, struct rs_err *err);
void rs_numbers_free(struct rs_numbers *n);

#endif
