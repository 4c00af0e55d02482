/* SPDX-License-Identifier: Apache-2.0 */
/* pick.h - inside lib/ipam: which address comes next. Pure: reads a table, changes nothing. */
#ifndef RIPSTOP_IPAM_PICK_H
#define RIPSTOP_IPAM_PICK_H

#include "ipam/lease.h"

/* Rested files that are kept of a range of more than PICK_SMALL addresses: enough to know which
 * have rested longest, few enough to read them all at every ADD. A small range keeps them all. */
#define PICK_SMALL 4096
#define PICK_KEEP 256

struct pick_ranges {
	struct rs_cidr *v;
	size_t n;
	struct rs_addr *exclude;
	size_t n_exclude;
	uint32_t rest_s;
};

/* Of a family: -EADDRNOTAVAIL (code 100) when all are held, -EAGAIN (code 11) when some rest. */
int pick_address(const struct pick_ranges *r, int family, const struct lease_table *t,
		 struct timespec now, struct rs_addr *out, struct rs_err *err);

bool pick_has_family(const struct pick_ranges *r, int family);

/* Whether a resting row is resting still. */
bool pick_resting(const struct lease_file *f, uint32_t rest_s, struct timespec now);

/* Addresses of a range that can be given out; capped at UINT64_MAX. */
uint64_t pick_total(const struct pick_ranges *r, const struct rs_cidr *c);

/* The longest-rested row of a big range that has more rested ones than it keeps; NULL: none. */
const struct lease_file *pick_prunable(const struct pick_ranges *r, const struct lease_table *t,
				       struct timespec now);

#endif
