/* SPDX-License-Identifier: Apache-2.0 */
/*
 * looking.h - which pods may be others than they were at a compile, to the rules of this one: those
 * that changed, that came to this node or left it, and those that a selector holds which was not in
 * use before.
 */
#ifndef RIPSTOP_POLICY_LOOKING_H
#define RIPSTOP_POLICY_LOOKING_H

#include "policy/kept.h"
#include "policy/renaming.h"

/* What a pod was when k was made, and what it is. A pod of this node counts by its record alone. */
struct rs_looked {
	const char *ns, *name;
	const struct rs_kept_local *was_local; /* NULL: it was none of this node's */
	const struct rs_pod *was;	       /* in the store; NULL: it was not */
	const struct rs_local_pod *local;
	const struct rs_pod *pod;
};

struct rs_looking {
	struct rs_cc *c;
	const struct rs_kept *k;
	const struct rs_renaming *names;
	struct rs_intern was_here, is_here; /* names of this node's pods: index */
	struct rs_intern looked_at;	    /* names of v */
	struct rs_vec(struct rs_looked) v;
	size_t tried; /* new selectors on pods */
};

/* c, k and names are set. False: all have to be looked at. To be cleared in any case. */
bool rs_looking_choose(struct rs_looking *a);
void rs_looking_clear(struct rs_looking *a);

#endif
