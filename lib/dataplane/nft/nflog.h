/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nflog.h - listens to the NFLOG group to which our rules copy the head of what they drop.
 *
 * NET_ADMIN in the network namespace is enough. Nothing here blocks. A record that does not fit
 * into the socket is lost, and counted: each has a number of its group.
 */
#ifndef RIPSTOP_DATAPLANE_NFT_NFLOG_H
#define RIPSTOP_DATAPLANE_NFT_NFLOG_H

#include <libmnl/libmnl.h>

#include <ripstop/dataplane.h>

struct rs_nflog {
	struct mnl_socket *nl; /* NULL while closed */
	char *buf;	       /* of one read; as aligned as malloc() has it */
	size_t size;
	uint32_t next; /* number that the next record should have */
	uint64_t received;
	uint64_t gaps;	   /* numbers that were missed */
	uint64_t overruns; /* times that something did not fit, seen before the next number */
};

struct rs_nflog_msg;
typedef void rs_nflog_fn(const struct rs_nflog_msg *m, void *arg);

/* copy: bytes of each packet. -EBUSY when another program listens to that group. Nothing to do when
 * it is open. */
int rs_nflog_open(struct rs_nflog *l, uint16_t group, uint32_t copy, struct rs_err *err);
void rs_nflog_close(struct rs_nflog *l);
/* At most max messages, whoever's rule made them; each is handed to fn. How many there were. */
int rs_nflog_each(struct rs_nflog *l, size_t max, rs_nflog_fn *fn, void *arg, struct rs_err *err);
/* The same, of our drops only. */
int rs_nflog_read(struct rs_nflog *l, size_t max, rs_dp_drop_fn *fn, void *arg, struct rs_err *err);

/* ---- nflogmsg.c: the bytes of one message; pure ---------------------------------------------- */

struct rs_nflog_msg {
	bool has_seq;
	bool ours; /* it bears the prefix of our drops */
	uint32_t seq;
	struct rs_dp_drop drop; /* but for reason and from_pod, of any packet */
	/* Inside the message; NULL and 0 when there is none. */
	const char *prefix;
	const uint8_t *packet;
	size_t packet_len;
};

/* Whether a whole message stands at h, of which left bytes are there. mnl_nlmsg_ok() takes a length
 * above INT_MAX for one. */
static inline bool rs_nflog_whole(const struct nlmsghdr *h, int left)
{
	return left > 0 && mnl_nlmsg_ok(h, left) && h->nlmsg_len <= (uint32_t)left;
}

/* h is whole. */
void rs_nflog_parse(const struct nlmsghdr *h, struct rs_nflog_msg *out);

#endif
