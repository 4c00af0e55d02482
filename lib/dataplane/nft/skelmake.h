/* SPDX-License-Identifier: Apache-2.0 */
/* skelmake.h - what the files that write the fixed rules have in common. */
#ifndef RIPSTOP_DATAPLANE_NFT_SKELMAKE_H
#define RIPSTOP_DATAPLANE_NFT_SKELMAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/nft/skeleton.h"

struct rs_nft_maker {
	struct rs_nft_skeleton *s;
	const struct rs_dp_config *cfg;
	bool cache;
	uint16_t stamp;
};

/* An empty rule at the end of a chain, valid until the next one is made. */
struct rs_nft_rule *rs_nft_rule_new(struct rs_nft_maker *m, const char *chain);
/* comment is a literal. */
void rs_rule_note(struct rs_nft_rule *r, const char *comment);

/* guard, from_others, from_pod, pod_icmp6 */
void rs_nft_make_guard(struct rs_nft_maker *m);

#endif
