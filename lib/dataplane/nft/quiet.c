// SPDX-License-Identifier: Apache-2.0
/*
 * quiet.c - a large batch of ours, sent while we do not listen.
 *
 * For each object of a batch the kernel writes a notification as soon as anybody is in the group,
 * and it does so inside the commit: two fifths of the time that it takes. Our filter (watch.c)
 * throws them all away. So we leave the group for the time of the send.
 *
 * What somebody else does meanwhile is not told, but it is numbered (ledger.h): the number is asked
 * for before leaving and after coming back, and where they differ by more than our own transaction,
 * something may have been missed. That is noted to ourselves, as if the socket had overflowed: the
 * table is read, other tables are looked through. News from outside the two is told as ever, at
 * most twice.
 */
#include "dataplane/nft/nft.h"

#include "base/base.h"
#include "dataplane/nft/watch.h"

/* Below this asking and leaving cost more than notifications do. */
#define QUIET_BYTES 4096u

static bool leave(struct rs_nft *n, uint32_t *before)
{
	return rs_nft_generation(n->nl, before) == 0 && rs_nft_watch_member(n->watch, false) == 0;
}

static bool numbered_right(struct rs_nft *n, uint32_t before, bool committed)
{
	uint32_t now, want = before + committed;

	/* 0 is left out when the numbers wrap. */
	return rs_nft_generation(n->nl, &now) == 0 && now == want + (committed && !want);
}

/* A socket that cannot come back is told as one that has missed something: what follows is a read
 * of the table, which tries again. */
static void come_back(struct rs_nft *n, uint32_t before, bool committed)
{
	n->deaf = rs_nft_watch_member(n->watch, true) < 0;
	if (!n->deaf && numbered_right(n, before, committed))
		return;
	rs_nft_ledger_end(&n->ledger);
	if (rs_nft_watch_note(n->watch) < 0)
		n->known = false;
}

int rs_nft_send_quietly(struct rs_nft *n, struct rs_nft_batch *b, double *ms, struct rs_err *err)
{
	uint32_t before = 0;
	bool quiet = b->len >= QUIET_BYTES && leave(n, &before);
	int rc = rs_nft_batch_send(b, n->nl, ms, err);

	if (quiet)
		come_back(n, before, rc == 0);
	return rc;
}

void rs_nft_listen(struct rs_nft *n)
{
	if (n->deaf)
		n->deaf = rs_nft_watch_member(n->watch, true) < 0;
}
