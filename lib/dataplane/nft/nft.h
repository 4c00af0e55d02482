/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft.h - the handle behind rs_dp_nft and what its files share.
 *
 * The model is what the kernel holds of ours, as far as we know: from a read or from the last
 * commit. While it is not known (a start, a failed batch, foreign news) the next commit reads
 * first.
 */
#ifndef RIPSTOP_DATAPLANE_NFT_NFT_H
#define RIPSTOP_DATAPLANE_NFT_NFT_H

#include "dataplane/nft/batch.h"
#include "dataplane/nft/grace.h"
#include "dataplane/nft/ledger.h"
#include "dataplane/nft/nflog.h"
#include "dataplane/nft/plan.h"
#include "dataplane/nft/readback.h"
#include "dataplane/nft/stamp.h"

struct rs_nft {
	struct rs_dp dp;
	struct rs_dp_config cfg;
	struct mnl_socket *nl;
	struct mnl_socket *watch;
	struct rs_nflog log;
	struct rs_nft_stamps stamps;

	bool known;		   /* model says what the kernel holds (NULL: nothing usable) */
	bool exists;		   /* a table of our name is there, whatever it holds */
	bool drifted;		   /* somebody else changed it: the next change bumps */
	struct rs_nft_plan *model; /* may be the same as want */
	struct rs_nft_plan *want;  /* of the last commit */
	uint16_t stamp;
	uint64_t stamp_handle;
	struct rs_nft_grace grace;   /* after a commit that freed, moved or refused something */
	struct rs_nft_ledger ledger; /* since the kernel was seen to hold the model, or given it */
	size_t rules;
	bool deaf; /* watch is not in its group (quiet.c) */

	bool others_changed; /* other tables: look through them again */
	char *conflict;	     /* lines of rs_nft_foreign_scan() */
	char *no_stamps;     /* why no stamp can be chosen; the cache is off then */
	bool own_tried;	     /* own is known */
	bool own;	     /* the table carries owner and persist */
	char *owner_note;    /* why the table is not owned although that was asked for */
	char *why_not;	     /* why what was read could not be adopted */
	char *dump_note;     /* this kernel does not answer with the rules that it was given */
};

/* Flows are compared with a stamp: wanted, and nothing speaks against it. */
bool rs_nft_cache(const struct rs_nft *n);

/* Make the model known. Leaves model NULL when the kernel's table cannot be adopted. */
int rs_nft_load(struct rs_nft *n, struct rs_err *err);
void rs_nft_set_model(struct rs_nft *n, struct rs_nft_plan *p);
void rs_nft_set_want(struct rs_nft *n, struct rs_nft_plan *p);
/* Look through other tables if they changed. */
int rs_nft_check_others(struct rs_nft *n, struct rs_err *err);

int rs_nft_commit(struct rs_dp *dp, const struct rs_ir *next, struct rs_dp_commit *done,
		  struct rs_err *err);
int rs_nft_shift(struct rs_dp *dp, const struct rs_ir *now, const struct rs_ir_moves *m,
		 struct rs_dp_commit *done, struct rs_err *err);
/* One batch that leads from a plan, or the part of it that changes, to another. */
int rs_nft_send_diff(struct rs_nft *n, const struct rs_nft_plan *from, const struct rs_nft_plan *to,
		     const struct rs_nft_diff *d, bool refuses, struct rs_dp_commit *done,
		     struct rs_err *err);
/* Notifications that nobody has asked for yet: a model that is known to be wrong is given up. */
void rs_nft_hear_news(struct rs_nft *n);
struct rs_nft_news;
void rs_nft_take_news(struct rs_nft *n, const struct rs_nft_news *news);
/* A batch of ours: every one goes this way, for the ledger. */
int rs_nft_send(struct rs_nft *n, struct rs_nft_batch *b, double *ms, struct rs_err *err);
/* For rs_nft_send(): without notifications of it, where it is large. */
int rs_nft_send_quietly(struct rs_nft *n, struct rs_nft_batch *b, double *ms, struct rs_err *err);
/* Before the table is read: news of what comes later. */
void rs_nft_listen(struct rs_nft *n);
bool rs_nft_untouched(struct rs_dp *dp);
int rs_nft_audit(struct rs_dp *dp, struct rs_dp_drifts *out, struct rs_err *err);
int rs_nft_holding(struct rs_dp *dp, struct rs_dp_holding *want, struct rs_dp_holding *have,
		   struct rs_err *err);
int rs_nft_stats(struct rs_dp *dp, struct rs_dp_stats *out, struct rs_err *err);
int rs_nft_log_counts(struct rs_dp *dp, struct rs_dp_log_counts *out, struct rs_err *err);
int rs_nft_probe(const struct rs_dp_config *cfg, struct rs_err *err);

/* Flags of the table that we make. */
uint32_t rs_nft_table_flags(const struct rs_nft *n);
/* Make sure that the table, if there is one, is ours to change: claim an orphan. */
int rs_nft_claim(struct rs_nft *n, struct rs_nft_kernel *k, struct rs_err *err);

/* "pid 4411 (ripstop-agent)" that holds this netlink port here; NULL when it cannot be found. */
char *rs_nft_port_holder(uint32_t port);

/* Classify an error of the kernel for people: privilege, missing feature. Returns it. */
int rs_nft_explain_error(struct rs_err *err);

static inline struct rs_nft *rs_nft_of(struct rs_dp *dp)
{
	return (struct rs_nft *)dp; /* its first member */
}

#endif
