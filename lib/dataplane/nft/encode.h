/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encode.h - plain data to netlink messages of a batch. Nothing here talks to the kernel.
 */
#ifndef RIPSTOP_DATAPLANE_NFT_ENCODE_H
#define RIPSTOP_DATAPLANE_NFT_ENCODE_H

#include <libnftnl/rule.h>

#include "dataplane/nft/batch.h"
#include "dataplane/nft/plan.h"
#include "dataplane/nft/skeleton.h"

/* table: RS_NFT_TABLE, or the name of another one of ours. */
void rs_nft_put_table(struct rs_nft_batch *b, const char *table, uint32_t flags,
		      const char *comment);
void rs_nft_put_table_del(struct rs_nft_batch *b, const char *table);
/* A chain at a hook, of a type of nft(8) ("filter", "nat"); type NULL: one to jump to. */
void rs_nft_put_chain(struct rs_nft_batch *b, const char *table, const char *chain,
		      const char *type, uint32_t hook, int32_t prio);
/* At the end of its chain; takes the rule. */
void rs_nft_put_built(struct rs_nft_batch *b, struct nftnl_rule *rule);
/* Counters, sets, chains and rules. */
void rs_nft_put_skeleton(struct rs_nft_batch *b, const char *table,
			 const struct rs_nft_skeleton *s);
/* Replace one rule; handle as the kernel gave it. */
void rs_nft_put_rule_replace(struct rs_nft_batch *b, const char *table, const struct rs_nft_rule *r,
			     uint64_t handle);

/* Entries of a set: those of `only`, or all when it is NULL. */
void rs_nft_put_elems(struct rs_nft_batch *b, const char *table, const struct rs_nft_plan *p,
		      enum rs_nft_set_id id, const struct rs_nft_indexes *only, bool del);
/* The element of stamp_now: our bits of ct mark, and the generation as its comment. */
void rs_nft_put_stamp(struct rs_nft_batch *b, const char *table, uint32_t bits, uint64_t generation,
		      bool del);

void rs_nft_put_profile(struct rs_nft_batch *b, const char *table, const struct rs_nft_plan *p,
			size_t i);
void rs_nft_put_profile_del(struct rs_nft_batch *b, const char *table, const struct rs_nft_plan *p,
			    size_t i);
void rs_nft_put_profile_change(struct rs_nft_batch *b, const char *table,
			       const struct rs_nft_plan *p, size_t i);

/* All state of a plan into an empty table; and the steps of a difference, in an
 * order that works. */
void rs_nft_put_plan(struct rs_nft_batch *b, const char *table, const struct rs_nft_plan *p);
void rs_nft_put_diff(struct rs_nft_batch *b, const char *table, const struct rs_nft_plan *from,
		     const struct rs_nft_plan *to, const struct rs_nft_diff *d);

/* One rule as libnftnl sees it: to send it, and to compare it with the kernel's. */
struct nftnl_rule *rs_nft_rule_encode(const struct rs_nft_rule *r, const char *table);

#endif
