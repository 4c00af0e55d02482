/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reclass.h - the exact classes of a compile from those of the one before, where few pods can have
 * become others: what policies, pods of this node and some pods elsewhere change costs what it is.
 *
 * Some pods are looked at (looking.h). Every other satisfies what it satisfied, less what is not in
 * use any more (renaming.h); so whole classes are put into the words of this compile, and an
 * address among them has the class that its claimants would give it. The result is the one of
 * rs_cc_classes(), classes in the same order; only facets may have other numbers, and nothing that
 * leaves a compile depends on those.
 *
 * Left to rs_cc_classes() are: a namespace or Node that changed, other ranges, an address that is
 * looked at and that two claim or that does not count, two pods of this node with one name, a port
 * name by which peers were not told apart before, and more pods than are worth it.
 */
#ifndef RIPSTOP_POLICY_RECLASS_H
#define RIPSTOP_POLICY_RECLASS_H

#include <ripstop/ir.h>

#include "policy/kept.h"

/* c has its atoms, named ports and ranges; last is the IR that is in force, k was kept of its
 * compile and of the moves since. True: c is as after rs_cc_classes(). False: as before. Either way
 * k is good for rs_kept_cc() alone from now on. */
bool rs_cc_reclass(struct rs_cc *c, struct rs_kept *k, const struct rs_ir *last);

#endif
