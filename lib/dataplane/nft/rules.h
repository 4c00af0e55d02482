/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rules.h - the kernel's rules of our table, gathered from a dump and compared with ours.
 */
#ifndef RIPSTOP_DATAPLANE_NFT_RULES_H
#define RIPSTOP_DATAPLANE_NFT_RULES_H

#include "dataplane/nft/readback.h"

struct nftnl_rule;
struct rs_nft_rules;

struct rs_nft_rules *rs_nft_rules_new(void);
void rs_nft_rules_free(struct rs_nft_rules *r);

/* A chain that exists, so that an empty one is noticed too. */
void rs_nft_rules_chain(struct rs_nft_rules *r, const char *name);
/* mnl_cb_t of a rule dump; arg is the struct. */
int rs_nft_rules_take(const struct nlmsghdr *h, void *arg);

/*
 * Compare: fixed chains with the skeleton (the stamp is the one of k), profile chains with what
 * their ports would make. Fills k->plan's profiles, k->stamp_handle and k->rules. NULL, or what
 * is wrong (caller frees).
 */
char *rs_nft_rules_check(struct rs_nft_rules *r, const struct rs_dp_config *cfg, bool cache,
			 struct rs_nft_kernel *k);

/* What a rule does, as libnftnl prints it: the same text, the same rule. Caller frees. */
char *rs_nft_rule_text(struct nftnl_rule *rule);

#endif
