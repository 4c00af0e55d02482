/* SPDX-License-Identifier: Apache-2.0 */
/*
 * noderanges.h - which podCIDRs of the Node objects count, whose they are, and by what address.
 *
 * What flows in: the store, this node's name, its configured ranges. What flows out: the ranges
 * that count, no two overlapping, this node's first and in their order, and a condition for each
 * that does not. A podCIDR is
 * refused that cannot be a range of pods (a default route, loopback, link-local, multicast), that
 * holds an address of a node, or that overlaps the range of another node: of two that overlap this
 * node's own counts, else that of the first name. Pure: no kernel, no clock.
 */
#ifndef RIPSTOP_AGENT_NODERANGES_H
#define RIPSTOP_AGENT_NODERANGES_H

#include <ripstop/object.h>

#include "base/base.h"
#include "policy/policy.h"

struct rs_node_range {
	struct rs_cidr cidr;
	char *node;
	bool own;
	struct rs_addr via; /* InternalIP of its node, of that family; family 0: it has none */
};

struct rs_node_ranges {
	struct rs_node_range *v;
	size_t n;
	struct rs_conditions refused;
	struct rs_strbuf input; /* what of the Node objects was read, byte by byte */
	uint64_t serial; /* of the caller's: see rs_reconcile_node_ranges() */
};

/* own: the configured ranges of this node; they count whatever Node objects say. */
void rs_node_ranges_read(const struct rs_store *store, const char *own_name,
			 const struct rs_cidr *own, size_t n_own, struct rs_node_ranges *out);
/* Would reading again give the same? Much cheaper than to read: most changes are of pods. */
bool rs_node_ranges_current(const struct rs_node_ranges *r, const struct rs_store *store);
bool rs_node_ranges_equal(const struct rs_node_ranges *a, const struct rs_node_ranges *b);
void rs_node_ranges_free(struct rs_node_ranges *r);

/* The ranges alone, of all nodes or only this one's. Caller frees. */
struct rs_cidr *rs_node_ranges_cidrs(const struct rs_node_ranges *r, bool own_only, size_t *n);

#endif
