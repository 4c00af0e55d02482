/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h - an IR as the elements and profile chains of our table: plain data, sorted, pure.
 *
 *	plan.c	IR -> plan		lift.c	plan -> IR (what read() answers)
 *	print.c	plan -> text		diff.c	two plans -> what to delete and add
 *	encode.c plan -> netlink	readback.c kernel -> plan
 *
 * Invariants: entries of a set are sorted by rs_nft_key_cmp() without duplicates; an interval is
 * one entry with both ends inclusive; profiles are sorted by (dir, profile), ports of a profile
 * in the order of evaluation (every other protocol last).
 */
#ifndef RIPSTOP_DATAPLANE_NFT_PLAN_H
#define RIPSTOP_DATAPLANE_NFT_PLAN_H

#include <ripstop/dataplane.h>

#include "base/base.h"
#include "dataplane/nft/schema.h"

#define RS_NFT_COMMENT_MAX 120 /* nft(8) reads at most 127 */

struct rs_nft_elems {
	uint8_t *keys;	/* n times the set's stride */
	uint32_t *data; /* number, or profile of the chain to go to; 0 in sets */
	uint32_t *text; /* offset of the comment in its pool; 0: none */
	uint32_t *hash; /* of the comment; 0: none */
	size_t n;
	size_t cap;
};

struct rs_nft_profile {
	uint8_t dir;
	uint32_t profile;
	uint32_t first; /* plan->ports[first .. first + n) */
	uint32_t n;
};

struct rs_nft_plan {
	struct rs_nft_elems set[SETS_OF_STATE];
	struct rs_vec(struct rs_nft_profile) profiles;
	struct rs_vec(struct rs_ir_port) ports;
	struct rs_strbuf pool;	   /* comments of small sets, NUL after each */
	struct rs_strbuf big_pool; /* of big ones; released by rs_nft_plan_slim() */
	uint64_t generation;
};

struct rs_nft_plan *rs_nft_plan_new(void);
void rs_nft_plan_free(struct rs_nft_plan *p); /* NULL is legal */
RS_DEFINE_CLEANUP(rs_cleanup_plan, struct rs_nft_plan *, rs_nft_plan_free)
#define rs_auto_plan rs_cleanup(rs_cleanup_plan)

struct rs_nft_plan *rs_nft_plan_from_ir(const struct rs_ir *ir);
/* -EBADMSG when the plan is not one that an IR could have made (a damaged table). */
int rs_nft_plan_to_ir(const struct rs_nft_plan *p, struct rs_ir **out, struct rs_err *err);

/* Forget the comments of big sets (their hashes stay): for a plan that is only compared from now
 * on. */
void rs_nft_plan_slim(struct rs_nft_plan *p);

/* Append an entry; the comment is made harmless for a listing and cut. Then rs_nft_plan_sort(). */
void rs_nft_plan_add(struct rs_nft_plan *p, enum rs_nft_set_id id, const void *key, uint32_t data,
		     const char *comment);
/* The same for a pod's address (ir has its groups) and for what its link may send from. */
void rs_nft_plan_local(struct rs_nft_plan *p, const struct rs_ir *ir, const struct rs_ir_local *l);
void rs_nft_plan_guard(struct rs_nft_plan *p, const struct rs_ir_guard *g);
void rs_nft_plan_sort(struct rs_nft_plan *p);

bool rs_nft_plan_find(const struct rs_nft_plan *p, enum rs_nft_set_id id, const uint8_t *key,
		      size_t *at); /* false: where it would be */
/* Of the plan p the entries of `from` go or change, and those of `to` are there afterwards; both
 * are sorted, and hold nothing but entries. */
void rs_nft_plan_edit(struct rs_nft_plan *p, const struct rs_nft_plan *from,
		      const struct rs_nft_plan *to);

int rs_nft_key_cmp(const struct rs_nft_set_def *d, const uint8_t *a, const uint8_t *b);
const uint8_t *rs_nft_key(const struct rs_nft_plan *p, enum rs_nft_set_id id, size_t i);
const char *rs_nft_comment(const struct rs_nft_plan *p, enum rs_nft_set_id id, size_t i);
/* "element cls4 10.0.0.7", for messages. */
void rs_nft_elem_str(struct rs_strbuf *b, const struct rs_nft_plan *p, enum rs_nft_set_id id,
		     size_t i);
/* Set elements as the kernel counts them (an interval has two). */
size_t rs_nft_plan_elements(const struct rs_nft_plan *p);

/* The readable text; comments included. Caller frees. */
char *rs_nft_plan_print(const struct rs_nft_plan *p);
/* The whole fixed part (sets, chains, rules). Caller frees. */
char *rs_nft_skeleton_print(const struct rs_dp_config *cfg);

/* ---- differences ----------------------------------------------------------------------------- */

struct rs_nft_indexes rs_vec(uint32_t);

struct rs_nft_diff {
	struct {
		struct rs_nft_indexes del; /* into the old plan */
		struct rs_nft_indexes add; /* into the new plan; a changed one is in both */
	} set[SETS_OF_STATE];
	struct rs_nft_indexes chain_del;    /* old profiles */
	struct rs_nft_indexes chain_add;    /* new profiles */
	struct rs_nft_indexes chain_change; /* new profiles: same name, other rules */
	size_t edits;
};

void rs_nft_diff_make(const struct rs_nft_plan *from, const struct rs_nft_plan *to,
		      struct rs_nft_diff *d);
void rs_nft_diff_free(struct rs_nft_diff *d);

#endif
