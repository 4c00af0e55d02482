/* SPDX-License-Identifier: Apache-2.0 */
/*
 * foreign.h - other tables that write our bits of ct mark: to them every stamp is theirs to forge.
 */
#ifndef RIPSTOP_DATAPLANE_NFT_FOREIGN_H
#define RIPSTOP_DATAPLANE_NFT_FOREIGN_H

#include <libmnl/libmnl.h>

#include <ripstop/error.h>

/*
 * *text: one line for each rule that may write bits of mask, NULL when there is none (caller
 * frees). Sees nftables and iptables-nft; rules of iptables-legacy cannot be read this way.
 */
int rs_nft_foreign_scan(struct mnl_socket *nl, uint32_t mask, char **text, struct rs_err *err);

#endif
