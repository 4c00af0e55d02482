/* SPDX-License-Identifier: Apache-2.0 */
/*
 * masquerade.h - the node's address for what leaves the cluster: `table inet ripstop-nat`.
 *
 * A table of its own beside the policy's: it says nothing about who may, it is made anew in one
 * batch whenever it is not what it should be, and flows that are under way keep their translation
 * all the same (conntrack holds it). Its one chain hooks in at postrouting, srcnat (100): behind
 * our policy hook (99), which judges the pod's own address.
 *
 * All calls come from one thread. Nothing here looks by itself: call sync() when the ruleset was
 * changed by somebody.
 */
#ifndef RIPSTOP_MASQUERADE_H
#define RIPSTOP_MASQUERADE_H

#include <stddef.h>

#include <ripstop/addr.h>
#include <ripstop/error.h>

#define RS_MASQ_TABLE "ripstop-nat"

/* From a range of `from` to an address in none of `keep`. Ranges may overlap. */
struct rs_masq_want {
	const struct rs_cidr *from;
	size_t n_from;
	const struct rs_cidr *keep;
	size_t n_keep;
};

struct rs_masq;

/* Changes nothing in the kernel. */
int rs_masq_open(struct rs_masq **out, struct rs_err *err);
void rs_masq_close(struct rs_masq *m); /* NULL is legal; the kernel keeps the table */

/*
 * Make the kernel hold just that: no table where want is NULL or has no `from`. 1 when something
 * had to be changed, 0 when it was there already. After an error the kernel holds what it held.
 */
int rs_masq_sync(struct rs_masq *m, const struct rs_masq_want *want, struct rs_err *err);

#endif
