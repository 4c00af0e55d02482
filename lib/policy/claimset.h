/* SPDX-License-Identifier: Apache-2.0 */
/*
 * claimset.h - how many pods claim an address, in eight bytes each: a table of digests with a count
 * that stops at RS_CLAIMS_MANY. Two addresses with one digest look like one that is claimed twice,
 * which costs a compile and nothing else.
 */
#ifndef RIPSTOP_POLICY_CLAIMSET_H
#define RIPSTOP_POLICY_CLAIMSET_H

#include <stddef.h>
#include <stdint.h>

#include <ripstop/addr.h>

#define RS_CLAIMS_MANY 15u /* so many or more; never goes down again */

struct rs_claimset { /* zero initialisation is an empty one */
	uint64_t *v; /* digest in the upper 60 bits, count below; 0: free */
	size_t cap;  /* a power of two */
	size_t n;
};

/* The counts are those after the call. */
unsigned int rs_claimset_add(struct rs_claimset *s, const struct rs_addr *a);
unsigned int rs_claimset_remove(struct rs_claimset *s, const struct rs_addr *a);
unsigned int rs_claimset_count(const struct rs_claimset *s, const struct rs_addr *a);
void rs_claimset_free(struct rs_claimset *s);

#endif
