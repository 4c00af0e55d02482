/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch.h - one netlink batch: many messages, one send, one acknowledgement, all or nothing.
 */
#ifndef RIPSTOP_DATAPLANE_NFT_BATCH_H
#define RIPSTOP_DATAPLANE_NFT_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include <libmnl/libmnl.h>

#include <ripstop/error.h>

struct rs_nft_batch {
	char *buf;
	size_t len;
	size_t cap;
	uint32_t first_seq;
	uint32_t seq;
	size_t messages;
	size_t last; /* offset of the last message inside the batch */
};

void rs_nft_batch_begin(struct rs_nft_batch *b);
void rs_nft_batch_free(struct rs_nft_batch *b);
#define rs_auto_batch __attribute__((cleanup(rs_nft_batch_free))) struct rs_nft_batch

/* Head of the next message, with room for `room` bytes of payload; fill it, then _put() it. */
struct nlmsghdr *rs_nft_batch_msg(struct rs_nft_batch *b, uint16_t type, uint16_t flags,
				  size_t room);
void rs_nft_batch_put(struct rs_nft_batch *b, struct nlmsghdr *h);

/* A netlink socket of the netfilter family, close-on-exec, with extended acknowledgements. */
int rs_nft_socket(unsigned int groups, struct mnl_socket **out, struct rs_err *err);

/* Close the batch, send it, read every answer. The error names the first message that failed. */
int rs_nft_batch_send(struct rs_nft_batch *b, struct mnl_socket *nl, double *ms,
		      struct rs_err *err);

/* Room for the request of a dump. */
#define RS_NFT_REQUEST 1024

/*
 * One dump: request h, cb for every message. A dump
 * that the kernel marks as interrupted is -EINTR and the caller begins again.
 */
int rs_nft_dump(struct mnl_socket *nl, struct nlmsghdr *h, mnl_cb_t cb, void *arg);

#endif
