// SPDX-License-Identifier: Apache-2.0
/* schema.c - the tables behind schema.h. */
#include "dataplane/nft/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/netfilter.h>

/* Data types of nft(8); a concatenation holds six bits a field. */
#define TY_IP4 7u
#define TY_IP6 8u
#define TY_MARK 19u
#define TY_LINK 20u
#define TY2(a, b) ((a) << 6 | (b))
#define TY3(a, b, c) ((a) << 12 | (b) << 6 | (c))

#define STR_(x) #x
#define STR(x) STR_(x)

const char rs_nft_table_comment[] = "layout " STR(
	RS_NFT_LAYOUT) ", made by ripstop-agent. nft cannot load this table again: leave it out of "
		       "saved rulesets.";

const struct rs_nft_set_def rs_nft_sets[SETS] = {
	[SET_CLS4] = { .name = "cls4",
		       .key_type = TY_IP4,
		       .key_len = 4,
		       .data = DATA_MARK,
		       .big = true,
		       .comment = "address to exact class" },
	[SET_CLS6] = { .name = "cls6",
		       .key_type = TY_IP6,
		       .key_len = 16,
		       .data = DATA_MARK,
		       .big = true },
	[SET_RNG4] = { .name = "rng4",
		       .key_type = TY_IP4,
		       .key_len = 4,
		       .data = DATA_MARK,
		       .interval = true,
		       .comment = "address range to class (ipBlocks)" },
	[SET_RNG6] = { .name = "rng6",
		       .key_type = TY_IP6,
		       .key_len = 16,
		       .data = DATA_MARK,
		       .interval = true },
	[SET_IN4] = { .name = "grp_in4",
		      .key_type = TY_IP4,
		      .key_len = 4,
		      .data = DATA_MARK,
		      .comment = "local address to ingress group" },
	[SET_IN6] = { .name = "grp_in6", .key_type = TY_IP6, .key_len = 16, .data = DATA_MARK },
	[SET_OUT4] = { .name = "grp_out4",
		       .key_type = TY_IP4,
		       .key_len = 4,
		       .data = DATA_MARK,
		       .comment = "local address to egress group" },
	[SET_OUT6] = { .name = "grp_out6", .key_type = TY_IP6, .key_len = 16, .data = DATA_MARK },
	[SET_CELLS] = { .name = "cells",
			.key_type = TY3(TY_MARK, TY_MARK, TY_MARK),
			.key_len = 12,
			.words = 3,
			.data = DATA_MARK,
			.counted = true,
			.comment = "direction (1 in, 2 out) . group . class to port profile" },
	[SET_DFLT] = { .name = "dflt",
		       .key_type = TY2(TY_MARK, TY_MARK),
		       .key_len = 8,
		       .words = 2,
		       .data = DATA_MARK,
		       .counted = true,
		       .comment = "direction . group to port profile of everybody else" },
	[SET_PORTS_IN] = { .name = "ports_in",
			   .key_type = TY2(TY_MARK, TY_MARK),
			   .key_len = 8,
			   .words = 2,
			   .data = DATA_VERDICT,
			   .comment = "1 . port profile" },
	[SET_PORTS_OUT] = { .name = "ports_out",
			    .key_type = TY2(TY_MARK, TY_MARK),
			    .key_len = 8,
			    .words = 2,
			    .data = DATA_VERDICT,
			    .comment = "2 . port profile" },
	[SET_GUARD4] = { .name = "guard4",
			 .key_type = TY2(TY_LINK, TY_IP4),
			 .key_len = 8,
			 .words = 1,
			 .comment = "pod link . source that it may use" },
	[SET_GUARD6] = { .name = "guard6",
			 .key_type = TY2(TY_LINK, TY_IP6),
			 .key_len = 20,
			 .words = 1 },
	[SET_GUARD_LL] = { .name = "guard_ll",
			   .key_type = TY2(TY_LINK, TY_IP6),
			   .key_len = 20,
			   .words = 1,
			   .comment = "pod link . link-local address we gave it" },
	[SET_PLINKS] = { .name = "plinks",
			 .key_type = TY_LINK,
			 .key_len = 4,
			 .words = 1,
			 .comment = "pod links with an address" },
	[SET_SELF4] = { .name = "self4",
			.key_type = TY2(TY_IP4, TY_IP4),
			.key_len = 8,
			.comment = "a pod and itself" },
	[SET_SELF6] = { .name = "self6", .key_type = TY2(TY_IP6, TY_IP6), .key_len = 32 },
	[SET_FREE4] = { .name = "free4",
			.key_type = TY_IP4,
			.key_len = 4,
			.comment = "local addresses isolated in no direction" },
	[SET_FREE6] = { .name = "free6", .key_type = TY_IP6, .key_len = 16 },
	[SET_OWN4] = { .name = "own4",
		       .key_type = TY_IP4,
		       .key_len = 4,
		       .interval = true,
		       .comment = "pod ranges of this node" },
	[SET_OWN6] = { .name = "own6", .key_type = TY_IP6, .key_len = 16, .interval = true },
	[SET_STAMP_NOW] = { .name = "stamp_now",
			    .key_type = TY_MARK,
			    .key_len = 4,
			    .words = 1,
			    .comment = "our bits of ct mark: allowed by the rules in force" },
	[SET_RATE4] = { .name = "rate4",
			.key_type = TY_IP4,
			.key_len = 4,
			.dynamic = true,
			.comment = "drop records by pod" },
	[SET_RATE6] = { .name = "rate6", .key_type = TY_IP6, .key_len = 16, .dynamic = true },
	[SET_RATE_LINK] = { .name = "rate_link",
			    .key_type = TY_LINK,
			    .key_len = 4,
			    .words = 1,
			    .dynamic = true },
};

/* Below defragmentation (-400) and before conntrack (-200); after IPVS (98, 99) and before SNAT
 * (100). */
const struct rs_nft_chain_def rs_nft_chains[] = {
	{ "guard", true, NF_INET_PRE_ROUTING, -310 },
	{ "from_others", false, 0, 0 },
	{ "from_pod", false, 0, 0 },
	{ "pod_icmp6", false, 0, 0 },
	{ "forwarded", true, NF_INET_POST_ROUTING, 99 },
	{ "made_here", false, 0, 0 },
	{ "to_node", true, NF_INET_LOCAL_IN, 110 },
	{ "judge", false, 0, 0 },
	{ "related_pkt", false, 0, 0 },
	{ "fresh", false, 0, 0 },
	{ "known_flow", false, 0, 0 },
	{ "no_flow", false, 0, 0 },
	{ "isolated_end", false, 0, 0 },
	{ "client4", false, 0, 0 },
	{ "client6", false, 0, 0 },
	{ "server_half", false, 0, 0 },
	{ "egress4", false, 0, 0 },
	{ "egress6", false, 0, 0 },
	{ "ingress4", false, 0, 0 },
	{ "ingress6", false, 0, 0 },
	{ "restamp", false, 0, 0 },
	{ "deny_in", false, 0, 0 },
	{ "deny_out", false, 0, 0 },
	{ "unprog_to", false, 0, 0 },
	{ "unprog_from", false, 0, 0 },
	{ "spoofed", false, 0, 0 },
	{ "invalid_to", false, 0, 0 },
	{ "invalid_from", false, 0, 0 },
};
const size_t rs_nft_n_chains = sizeof(rs_nft_chains) / sizeof(rs_nft_chains[0]);

const struct rs_nft_counter_def rs_nft_counters[] = {
	{ "n_deny_in", RS_DROP_POLICY_INGRESS },
	{ "n_deny_out", RS_DROP_POLICY_EGRESS },
	{ "n_unprog_to", RS_DROP_NOT_PROGRAMMED },
	{ "n_unprog_from", RS_DROP_NOT_PROGRAMMED },
	{ "n_spoofed", RS_DROP_SPOOFED },
	{ "n_invalid_to", RS_DROP_INVALID },
	{ "n_invalid_from", RS_DROP_INVALID },
	{ "n_quiet", -1 }, /* a pod's kernel talking to itself: DAD, MLD, RS */
	{ RS_NFT_COUNTER_LOGGED, -1 },
};
const size_t rs_nft_n_counters = sizeof(rs_nft_counters) / sizeof(rs_nft_counters[0]);

int rs_nft_set_by_name(const char *name)
{
	for (int i = 0; i < SETS; i++)
		if (!strcmp(rs_nft_sets[i].name, name))
			return i;
	return -1;
}

void rs_nft_profile_chain(char out[RS_NFT_NAME_LEN], uint8_t dir, uint32_t profile)
{
	snprintf(out, RS_NFT_NAME_LEN, "%s_p%u", dir == RS_DIR_IN ? "in" : "out", profile);
}

bool rs_nft_profile_of_chain(const char *name, uint8_t *dir, uint32_t *profile)
{
	char again[RS_NFT_NAME_LEN];
	unsigned int n;

	if (sscanf(name, "in_p%u", &n) == 1)
		*dir = RS_DIR_IN;
	else if (sscanf(name, "out_p%u", &n) == 1)
		*dir = RS_DIR_OUT;
	else
		return false;
	*profile = n;
	rs_nft_profile_chain(again, *dir, n);
	return !strcmp(again, name);
}
