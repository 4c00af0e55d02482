/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reuse.h - what an earlier compile found out about pods that have not changed since.
 *
 * A pod's facet is the atoms that it satisfies. Where neither the pod nor the labels of its
 * namespace changed, it satisfies what it satisfied, but for atoms that were not in use then. So
 * its old facet is translated, once for all pods that have it, unless an atom that is new may reach
 * into its namespace. Facets get the numbers that they would get without this.
 */
#ifndef RIPSTOP_POLICY_REUSE_H
#define RIPSTOP_POLICY_REUSE_H

#include "policy/classify.h"

struct rs_reuse;

/* x's compile has its atoms and named ports; old is of an earlier one over the same store, whose
 * changes are counted from `since`. NULL when nothing can be used. */
struct rs_reuse *rs_reuse_new(struct rs_classifier *x, const struct rs_cc *old, uint64_t since);
void rs_reuse_free(struct rs_reuse *r); /* NULL is legal */

/* The facet of a stored pod, whose namespace is the one at hand of x; RS_NONE: look at it. To be
 * called for pods in the store's order. */
uint32_t rs_reuse_facet(struct rs_reuse *r, const struct rs_pod *p);

#endif
