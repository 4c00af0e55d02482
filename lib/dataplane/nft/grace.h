/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grace.h - RCU grace periods between batches.
 *
 * Every packet that was inside the rules when something was freed, moved or refused must have left
 * them before anything else changes. Over two commits it could read a number that has got another
 * meaning, or write the stamp of the newest rules onto the oldest verdict; and a stamp is chosen
 * only when no packet can write an older one behind the dump.
 *
 * A thread of its own waits for it once the batch's news are out, so the next commit, which as a
 * rule comes later, finds it done. It takes a turn on every processor, a fraction of a millisecond
 * on an idle machine: no thread interrupts a forwarded packet, so those there were are gone when
 * one has run (the toy RCU of Documentation/RCU/whatisRCU.rst, 5B). Where that does not hold or a
 * processor is out of reach, membarrier(2) waits, some 10 to 30 ms. Without membarrier or a thread
 * a second counts as one.
 */
#ifndef RIPSTOP_DATAPLANE_NFT_GRACE_H
#define RIPSTOP_DATAPLANE_NFT_GRACE_H

#include <stdbool.h>
#include <stdint.h>

struct rs_nft_waiter;

struct rs_nft_grace { /* zero initialisation owes none */
	int64_t since_ms;
	bool owed;
	bool due;	 /* the thread is to wait for one, and was not told yet */
	uint64_t waited; /* batches that came so soon that they needed one */
	struct rs_nft_waiter *w;
};

/* One is owed, from now on: what may have changed was not by us. */
void rs_nft_grace_owe(struct rs_nft_grace *g);
/* The same, and the thread is to wait for it: a batch of ours was sent. */
void rs_nft_grace_begin(struct rs_nft_grace *g);
/* Now; it may take the caller's processor. At the latest when somebody waits. */
void rs_nft_grace_go(struct rs_nft_grace *g);
/* Until all that are owed are over. */
void rs_nft_grace_wait(struct rs_nft_grace *g);
/* The thread ends by itself. */
void rs_nft_grace_end(struct rs_nft_grace *g);

#endif
