/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema.h - the fixed shape of `table inet ripstop`: its sets, chains, counters and names.
 *
 * Names are no words of nft's grammar (a test lists every object by its name), and the layout
 * number goes up with every change of anything here or in skeleton.c: a table of another number
 * is made anew.
 *
 * Listing: `nft list table inet ripstop` and `nft -j` work; re-loading the output does not, because
 * nft has no syntax for "a lookup's result is a word of the next lookup's key".
 *
 * NFLOG prefix of a dropped packet: "rs1 R D" - format 1, R = enum rs_drop_reason as one digit, D =
 * "i" (towards the pod) or "o" (from the pod). Which pod, peer and policy it was is in the packet
 * itself and is resolved when the record is read; one prefix a rule keeps the rules fixed.
 */
#ifndef RIPSTOP_DATAPLANE_NFT_SCHEMA_H
#define RIPSTOP_DATAPLANE_NFT_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ripstop/dataplane.h>

#define RS_NFT_TABLE "ripstop"
#ifndef RS_NFT_LAYOUT /* a test of upgrades builds the same tree with another number */
#define RS_NFT_LAYOUT 4
#endif
#define RS_NFT_LOG_FORMAT "rs1 %d %c"
#define RS_NFT_LOG_SNAPLEN 128 /* bytes of a dropped packet that its record has */
#define RS_NFT_NAME_LEN 24

enum rs_nft_set_id {
	SET_CLS4,
	SET_CLS6,
	SET_RNG4,
	SET_RNG6,
	SET_IN4,
	SET_IN6,
	SET_OUT4,
	SET_OUT6,
	SET_CELLS,
	SET_DFLT,
	SET_PORTS_IN,
	SET_PORTS_OUT,
	SET_GUARD4,
	SET_GUARD6,
	SET_GUARD_LL,
	SET_PLINKS,
	SET_SELF4,
	SET_SELF6,
	SET_FREE4,
	SET_FREE6,
	SET_OWN4,
	SET_OWN6,
	SETS_OF_STATE, /* those above mirror the IR; those below live with the rules */
	SET_STAMP_NOW = SETS_OF_STATE,
	SET_RATE4,
	SET_RATE6,
	SET_RATE_LINK,
	SETS,
};

enum rs_nft_data {
	DATA_NONE,    /* a set */
	DATA_MARK,    /* number to number */
	DATA_VERDICT, /* number to "goto chain" */
};

struct rs_nft_set_def {
	const char *name;
	uint32_t key_type; /* nft(8) data types, six bits a field */
	uint8_t key_len;   /* bytes of one key in the kernel */
	uint8_t words;	   /* leading host-order 32-bit words of the key: ordered as numbers */
	enum rs_nft_data data;
	bool interval;
	bool counted; /* every element counts its lookups */
	bool dynamic; /* filled by packets */
	bool big;     /* comments are not kept in the model */
	const char *comment;
};

extern const struct rs_nft_set_def rs_nft_sets[SETS];

/* Id of a name; -1 when there is none. */
int rs_nft_set_by_name(const char *name);

/* Key bytes of one entry in a plan: an interval holds both ends. */
static inline size_t rs_nft_stride(const struct rs_nft_set_def *d)
{
	return d->interval ? 2u * d->key_len : d->key_len;
}

struct rs_nft_chain_def {
	const char *name;
	bool base;
	uint32_t hook;
	int32_t prio;
};

extern const struct rs_nft_chain_def rs_nft_chains[];
extern const size_t rs_nft_n_chains;

/* Chains of a profile are named by direction and number: "in_p17", "out_p17". */
void rs_nft_profile_chain(char out[RS_NFT_NAME_LEN], uint8_t dir, uint32_t profile);
/* The way back; false when the name is none of these. */
bool rs_nft_profile_of_chain(const char *name, uint8_t *dir, uint32_t *profile);

struct rs_nft_counter_def {
	const char *name;
	int reason; /* enum rs_drop_reason; -1: no drop of ours to report */
};

extern const struct rs_nft_counter_def rs_nft_counters[];
extern const size_t rs_nft_n_counters;

#define RS_NFT_COUNTER_LOGGED "n_logged"

/* First comment of the table. "layout N" is what read() looks for. */
extern const char rs_nft_table_comment[];

#endif
