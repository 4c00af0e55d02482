/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger.h - whether anybody else may have changed our table, without reading it.
 *
 * The kernel numbers the transactions of a network namespace one by one, and nothing but a
 * transaction changes a table (packets make elements in two dynamic sets of ours, which nobody
 * compares). So where every number since a moment at which the kernel was known to hold the model
 * is accounted for, by a batch of ours or by news (watch.h) of a transaction that was about other
 * tables alone, the kernel holds the model still. Anything doubtful ends the ledger, and the table
 * is read.
 */
#ifndef RIPSTOP_DATAPLANE_NFT_LEDGER_H
#define RIPSTOP_DATAPLANE_NFT_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include <libmnl/libmnl.h>

struct rs_nft_ledger { /* zero initialisation: nothing is known */
	bool known;
	uint32_t base;	 /* the number at which the kernel held the model */
	uint32_t own;	 /* transactions of ours since */
	uint32_t others; /* of others, none about our table */
};

/* The number of the last transaction of this network namespace; 0 with an error. */
int rs_nft_generation(struct mnl_socket *nl, uint32_t *out);

/* The kernel held the model when this was the last number; 0: nobody knows. */
void rs_nft_ledger_begin(struct rs_nft_ledger *l, uint32_t base);
void rs_nft_ledger_end(struct rs_nft_ledger *l);
/* All numbers from the base to this one are accounted for. */
bool rs_nft_ledger_closes(const struct rs_nft_ledger *l, uint32_t number);

#endif
