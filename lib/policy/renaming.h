/* SPDX-License-Identifier: Apache-2.0 */
/*
 * renaming.h - facets of an earlier compile in the words of this one.
 *
 * A facet is the atoms that a pod satisfies and the numbers that it declares under port names which
 * tell peers apart. Both have other numbers in each compile. A pod that has not changed, in a
 * namespace that has not, satisfies what it satisfied, but for atoms that were not in use then.
 */
#ifndef RIPSTOP_POLICY_RENAMING_H
#define RIPSTOP_POLICY_RENAMING_H

#include "policy/compile.h"

struct rs_renaming {
	struct rs_cc *c;
	const struct rs_cc *old;
	uint32_t *atoms;      /* of old to those of c; RS_NONE: not in use any more */
	uint32_t *named;      /* the same of named ports that tell peers apart */
	uint32_t *facets;     /* the same, as far as they were asked for */
	struct rs_u32s fresh; /* atoms of c that old has not */
};

/* c has its atoms and named ports. False: peers are told apart by a name that they were not asked
 * for. To be cleared in any case. */
bool rs_renaming_make(struct rs_renaming *r, struct rs_cc *c, const struct rs_cc *old);
void rs_renaming_clear(struct rs_renaming *r);

/* The facet of c with what is left of that one; one more where there is none. */
uint32_t rs_renaming_facet(struct rs_renaming *r, uint32_t facet);

#endif
