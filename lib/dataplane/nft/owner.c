// SPDX-License-Identifier: Apache-2.0
/*
 * owner.c - a table that only we may change, and that outlives us.
 *
 * `owner` alone would let the table die with our socket: open. With `persist` beside it the table
 * stays, as an orphan that anybody may change until the next agent claims it. Only both or neither.
 */
#include "dataplane/nft/nft.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>

#include "base/base.h"
#include "dataplane/nft/encode.h"

#define FLAG_OWNER 0x2u
#define FLAG_PERSIST 0x4u /* kernel 6.9 */
#define TRIAL_TABLE "ripstop_owner_trial"

uint32_t rs_nft_table_flags(const struct rs_nft *n)
{
	return n->own ? FLAG_OWNER | FLAG_PERSIST : 0;
}

/* Once in a life: a table with both flags, gone again in the same batch. */
static void try_both(struct rs_nft *n)
{
	rs_auto_err why = { 0 };
	rs_auto_batch b = { 0 };

	if (n->own_tried || !n->cfg.own_table)
		return;
	rs_nft_batch_begin(&b);
	rs_nft_put_table(&b, TRIAL_TABLE, FLAG_OWNER | FLAG_PERSIST, rs_nft_table_comment);
	rs_nft_put_table_del(&b, TRIAL_TABLE);
	n->own = rs_nft_send(n, &b, NULL, &why) == 0;
	n->own_tried = n->own || why.num != EPERM;
	free(n->owner_note);
	n->owner_note =
		n->own || !n->own_tried
			? NULL
			: rs_asprintf("this kernel does not take owner and persist together (6.9 "
				      "does): another program can flush table inet %s",
				      RS_NFT_TABLE);
}

static int claim_orphan(struct rs_nft *n, struct rs_err *err)
{
	rs_auto_batch b = { 0 };

	rs_nft_batch_begin(&b);
	rs_nft_put_table(&b, RS_NFT_TABLE, FLAG_OWNER | FLAG_PERSIST, rs_nft_table_comment);
	return rs_nft_send(n, &b, NULL, err);
}

static int not_ours(uint32_t port, struct rs_err *err)
{
	rs_autofree char *who = rs_nft_port_holder(port);

	rs_err_set(err, EPERM,
		   "table inet %s belongs to another living process: %s%snetlink port %u",
		   RS_NFT_TABLE, who ? who : "", who ? ", " : "", port);
	return rs_err_hint(err, "stop the other agent of this network namespace");
}

/* The flag cannot be changed: the table is made anew. */
static void refuse_flags(const struct rs_nft *n, struct rs_nft_kernel *k)
{
	k->usable = false;
	free(k->why_not);
	k->why_not = rs_asprintf("the table is %s, it has to be %s",
				 n->own ? "anybody's" : "kept for an owner",
				 n->own ? "owned" : "anybody's");
}

int rs_nft_claim(struct rs_nft *n, struct rs_nft_kernel *k, struct rs_err *err)
{
	bool owned = k->flags & FLAG_OWNER;
	int rc = 0;

	try_both(n);
	if (!k->exists)
		return 0;
	if (owned && k->owner != mnl_socket_get_portid(n->nl))
		return not_ours(k->owner, err);
	if (!k->usable || owned)
		return 0;
	if (n->own && (k->flags & FLAG_PERSIST))
		rc = claim_orphan(n, err);
	else if (n->own != ((k->flags & FLAG_PERSIST) != 0))
		refuse_flags(n, k);
	return rc ? rs_err_wrap(err, "claim table inet %s", RS_NFT_TABLE) : 0;
}
