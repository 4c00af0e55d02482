/* SPDX-License-Identifier: Apache-2.0 */
/* watch.h - hears of changes to the ruleset that somebody else made. */
#ifndef RIPSTOP_DATAPLANE_NFT_WATCH_H
#define RIPSTOP_DATAPLANE_NFT_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/nft/batch.h"

/* own_port: changes made through that netlink port are not reported. */
int rs_nft_watch_open(uint32_t own_port, struct mnl_socket **out, struct rs_err *err);

struct rs_nft_news {
	bool ours;	       /* our table was touched, or something may have been missed */
	bool others;	       /* another table was */
	uint32_t transactions; /* of others, after the number `since` */
	char *who;	       /* "pid 4411 (nft)"; caller frees */
};

/* Drain; never blocks. since: of a transaction (ledger.h). */
int rs_nft_watch_drain(struct mnl_socket *nl, uint32_t since, struct rs_nft_news *news,
		       struct rs_err *err);

/* Be in the group of notifications, or leave it: the kernel writes none while nobody is. */
int rs_nft_watch_member(struct mnl_socket *nl, bool in);
/* The socket becomes readable, and the next drain tells that anything may have been missed. */
int rs_nft_watch_note(struct mnl_socket *nl);

#endif
