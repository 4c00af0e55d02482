/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stamp.h - the values that mark a flow as "allowed by the rules in force".
 *
 * A stamp lives in our bits of ct mark and so outlives rules, table and agent. One is taken only
 * when no flow of this namespace can hold it: conntrack is dumped once, what was given out since
 * is remembered, and when all are used it is dumped again; flows that still hold old stamps then
 * have our bits set to zero (they are judged on their next packet anyway). 0 is never a stamp: it
 * is what new flows have.
 */
#ifndef RIPSTOP_DATAPLANE_NFT_STAMP_H
#define RIPSTOP_DATAPLANE_NFT_STAMP_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/nft/batch.h"

struct rs_nft_stamps {
	uint32_t mask;
	uint32_t last; /* highest stamp that fits in the mask */
	bool loaded;
	uint8_t *held; /* one bit a stamp */
};

/* mask: contiguous bits, at least 2 and at most 16. */
int rs_nft_stamps_init(struct rs_nft_stamps *s, uint32_t mask, struct rs_err *err);
void rs_nft_stamps_free(struct rs_nft_stamps *s);

/* Dump conntrack: what is held from now on is what flows hold. */
int rs_nft_stamps_load(struct rs_nft_stamps *s, struct mnl_socket *nl, struct rs_err *err);
void rs_nft_stamps_hold(struct rs_nft_stamps *s, uint16_t stamp);

/* The next stamp after `current` that no flow holds; it counts as held from then on. */
int rs_nft_stamps_next(struct rs_nft_stamps *s, struct mnl_socket *nl, uint16_t current,
		       uint16_t *out, struct rs_err *err);

#endif
