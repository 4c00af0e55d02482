/* SPDX-License-Identifier: Apache-2.0 */
/*
 * skeleton.h - the fixed rules: written once, the same for every policy.
 */
#ifndef RIPSTOP_DATAPLANE_NFT_SKELETON_H
#define RIPSTOP_DATAPLANE_NFT_SKELETON_H

#include <ripstop/dataplane.h>

#include "dataplane/nft/rule.h"

struct rs_nft_skeleton {
	struct rs_nft_rule *v; /* in the order of rs_nft_chains, then of evaluation */
	size_t n;
	size_t cap;
};

/* stamp: the value (not shifted) that allowed flows get; cache false: no compare, no stamp. */
void rs_nft_skeleton_make(struct rs_nft_skeleton *s, const struct rs_dp_config *cfg, bool cache,
			  uint16_t stamp);
/* Of it the chain that stamps, alone. */
void rs_nft_skeleton_restamp(struct rs_nft_skeleton *s, const struct rs_dp_config *cfg,
			     uint16_t stamp);
void rs_nft_skeleton_free(struct rs_nft_skeleton *s);

/* One rule of a profile chain: proto 0 is every protocol; the last rule of the chain has deny
 * set. */
void rs_nft_port_rule(struct rs_nft_rule *r, uint8_t dir, uint8_t proto, uint16_t lo, uint16_t hi,
		      bool allow);
void rs_nft_port_end(struct rs_nft_rule *r, uint8_t dir);

/* Our bits of ct mark that mean this stamp. */
uint32_t rs_nft_stamp_bits(uint32_t mask, uint16_t stamp);

#endif
