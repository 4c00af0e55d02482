/* SPDX-License-Identifier: Apache-2.0 */
/* nft_check.h - counting checks, and the dataplane's calls with their errors told. */
#ifndef RIPSTOP_TESTS_NETNS_NFT_CHECK_H
#define RIPSTOP_TESTS_NETNS_NFT_CHECK_H

#include "nft_bed.h"

extern int passed, failed, skipped;
extern struct rs_dp_config cfg;
extern const struct rs_dp_ops *bed_ops; /* what open_dp() opens; nft if nobody says otherwise */
extern const struct bed_policy full;	/* generation 7, everything on */

bool check(bool ok, const char *what);
struct rs_dp *open_dp(void);
bool commit(struct rs_dp *dp, const struct bed_policy *p, struct rs_dp_commit *done);
/* read() answers with an IR that equals p's. */
bool reads(struct rs_dp *dp, const struct bed_policy *p);
/* How many drifts; with expect: how many that say so, the others are printed. */
size_t drifts(struct rs_dp *dp, const char *expect);

/* The kernel lists our table, as text and as JSON. */
bool lists(void);

/* Conntrack of the node: empty it; flows with a bit of mask in their mark. */
void forget_flows(void);
unsigned int marked_flows(uint32_t mask);

/* nft_packets.c */
void test_packets(void);
void test_plain_packets(void); /* those of it that every dataplane must judge alike */
/* nft_hard.c: packets that try to get around the rules */
void test_hard(void);
void test_hard_packets(void); /* likewise */
/* nft_records.c */
void test_records(struct rs_dp *dp);
/* nft_owner.c */
void test_owner(void);
/* nft_stale.c: changes between two looks, stamps, grace periods */
void test_stale(void);
/* nft_ledger.c: whether anybody else may have changed the table, without reading it */
void test_ledger(void);
/* nft_quiet.c: changes while we do not listen */
extern bool never_joins; /* what does not listen from its start does not begin to after a batch */
void test_quiet(void);

#endif
