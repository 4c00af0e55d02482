/* SPDX-License-Identifier: Apache-2.0 */
/*
 * readback.h - what the kernel holds of ours, as a plan; every fixed part compared with what it
 * should be.
 */
#ifndef RIPSTOP_DATAPLANE_NFT_READBACK_H
#define RIPSTOP_DATAPLANE_NFT_READBACK_H

#include "dataplane/nft/batch.h"
#include "dataplane/nft/plan.h"

struct rs_nft_kernel {
	bool rules_only;  /* set by the caller: leave the elements where they are */
	bool exists;	  /* a table of our name */
	bool usable;	  /* of this layout, undamaged: plan is set */
	char *why_not;	  /* when it exists and is not usable */
	uint32_t flags;	  /* of the table */
	uint32_t owner;	  /* netlink port that owns it; 0: nobody */
	uint32_t *stamps; /* our bits of ct mark as stamp_now holds them, of a foreign layout too */
	size_t n_stamps;
	size_t stamps_cap;
	uint64_t stamp_handle; /* of the rule that stamps; 0 without one */
	struct rs_nft_plan *plan;
	bool elements; /* plan holds all of them, also where the table is not usable */
	size_t rules;
	uint32_t generation; /* of the ruleset all the while; 0: it was not one */
};

void rs_nft_kernel_clear(struct rs_nft_kernel *k);
#define rs_auto_kernel __attribute__((cleanup(rs_nft_kernel_clear))) struct rs_nft_kernel

/* Read it all, again when somebody changes the ruleset meanwhile. cache: as in
 * rs_nft_skeleton_make(). */
int rs_nft_readback(struct mnl_socket *nl, const struct rs_dp_config *cfg, bool cache,
		    struct rs_nft_kernel *out, struct rs_err *err);

/* A parsed element of a set; pointers into the message. */
struct rs_nft_raw_elem {
	const uint8_t *key;
	size_t key_len;
	const uint8_t *data; /* 4 bytes */
	const char *chain;   /* of a goto */
	const char *comment; /* not terminated: see comment_len */
	size_t comment_len;
	bool interval_end;
	bool counted;
	uint64_t packets;
};

/* All elements of a set; fn returns 0 or a negative errno that stops the dump. */
int rs_nft_each_elem(struct mnl_socket *nl, const char *table, const char *set,
		     int (*fn)(const struct rs_nft_raw_elem *e, void *arg), void *arg);

#endif
