/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tapnl.h - tables, chains and the expressions of rule.h as netlink messages, by libmnl alone.
 *
 * encode.h does the same by libnftnl, which is under the GPL: the command line, which makes a
 * capture's table, links no such library (NOTICE).
 */
#ifndef RIPSTOP_DATAPLANE_NFT_TAPNL_H
#define RIPSTOP_DATAPLANE_NFT_TAPNL_H

#include "dataplane/nft/batch.h"
#include "dataplane/nft/rule.h"

void rs_tapnl_table(struct rs_nft_batch *b, const char *table, uint32_t flags, const char *comment);
/* at_hook false: one to jump to. */
void rs_tapnl_chain(struct rs_nft_batch *b, const char *table, const char *chain, bool at_hook,
		    uint32_t hook, int32_t prio);

/* Into a list of expressions: those of a rule (meta, payload, cmp, range, bitwise and verdicts; any
 * other one is a bug, and aborts), and one by hand. */
void rs_tapnl_exprs(struct nlmsghdr *h, const struct rs_nft_rule *r);

struct rs_tapnl_expr {
	struct nlattr *elem, *data;
};

void rs_tapnl_begin(struct nlmsghdr *h, const char *name, struct rs_tapnl_expr *e);
void rs_tapnl_end(struct nlmsghdr *h, const struct rs_tapnl_expr *e);
/* NFTA_DATA_VALUE within attribute `type`. */
void rs_tapnl_value(struct nlmsghdr *h, uint16_t type, const void *data, size_t n);

#endif
