/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap.h - inside lib/dataplane/nft: the parts of <ripstop/capture.h>.
 *
 * tap.c makes the table and reads the copies, taprules.c writes its rules, tappair.c (pure) finds
 * for each copy from before a place the one from behind it.
 */
#ifndef RIPSTOP_DATAPLANE_NFT_TAP_H
#define RIPSTOP_DATAPLANE_NFT_TAP_H

#include <ripstop/capture.h>

#include "dataplane/nft/batch.h"

/* Each place has a point before it and one behind. */
enum tap_point {
	TAP_GUARD,
	TAP_GUARD_PASSED,
	TAP_FORWARDED,
	TAP_FORWARDED_PASSED,
	TAP_TO_NODE,
	TAP_TO_NODE_PASSED,
	TAP_POINTS,
};

/* NFLOG prefix of a copy: "cap P", P = the point. */
#define TAP_PREFIX "cap "

/* until_ns: wall clock, when the rules cease to match. */
void rs_tap_put_table(struct rs_nft_batch *b, const char *table, const struct rs_capture_want *want,
		      uint16_t group, uint64_t until_ns);

/* ---- tappair.c ------------------------------------------------------------------------------- */

/* No copy from behind a place comes later than this after the one from before it. */
#define TAP_PATIENCE_MS 300

struct rs_tap_pairs;

struct rs_tap_pairs *rs_tap_pairs_new(void);
void rs_tap_pairs_free(struct rs_tap_pairs *t); /* NULL is legal */

/* A copy, read at now_ms (monotonic). p's data are copied; its fate is ignored. */
void rs_tap_pairs_add(struct rs_tap_pairs *t, enum tap_point point,
		      const struct rs_capture_packet *p, int64_t now_ms);
/* Copies were lost: what is not decided yet never will be. */
void rs_tap_pairs_lost(struct rs_tap_pairs *t);
/* The oldest one, when it is decided by now; valid until the next call. NULL: none is. */
const struct rs_capture_packet *rs_tap_pairs_next(struct rs_tap_pairs *t, int64_t now_ms);
/* Monotonic milliseconds when the oldest one will be; -1: there is none. */
int64_t rs_tap_pairs_due(const struct rs_tap_pairs *t);

#endif
