// SPDX-License-Identifier: Apache-2.0
/* batch.c - builds a netlink batch in memory, sends it whole and reads all the answers. */
#include "dataplane/nft/batch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/base.h"

#define SLACK 8192u /* what one small message and the end of the batch need */
#define RECV_BUFFER (8 * 1024 * 1024)

static char *space(struct rs_nft_batch *b, size_t need)
{
	if (b->len + need > b->cap) {
		b->cap = b->cap ? b->cap : 64 * 1024;
		while (b->len + need > b->cap)
			b->cap *= 2;
		b->buf = rs_reallocarray(b->buf, b->cap, 1);
	}
	return b->buf + b->len;
}

static struct nlmsghdr *header(char *at, uint16_t type, uint16_t flags, uint32_t seq,
			       uint8_t family, uint16_t resource)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(at);
	struct nfgenmsg *g;

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = seq;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = family;
	g->version = NFNETLINK_V0;
	g->res_id = htons(resource);
	return h;
}

/* The begin of a batch, or its end. */
static void add_bound(struct rs_nft_batch *b, char *at, uint16_t type)
{
	b->len += NLMSG_ALIGN(
		header(at, type, 0, b->seq++, AF_UNSPEC, NFNL_SUBSYS_NFTABLES)->nlmsg_len);
}

void rs_nft_batch_begin(struct rs_nft_batch *b)
{
	char *p;

	memset(b, 0, sizeof(*b));
	p = space(b, SLACK);
	b->first_seq = b->seq = (uint32_t)rs_mono_ms();
	add_bound(b, p, NFNL_MSG_BATCH_BEGIN);
}

void rs_nft_batch_free(struct rs_nft_batch *b)
{
	free(b->buf);
	memset(b, 0, sizeof(*b));
}

struct nlmsghdr *rs_nft_batch_msg(struct rs_nft_batch *b, uint16_t type, uint16_t flags,
				  size_t room)
{
	char *p = space(b, room + SLACK);

	b->last = b->len;
	return header(p, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, b->seq++,
		      NFPROTO_INET, 0);
}

void rs_nft_batch_put(struct rs_nft_batch *b, struct nlmsghdr *h)
{
	b->len += NLMSG_ALIGN(h->nlmsg_len);
	b->messages++;
}

int rs_nft_socket(unsigned int groups, struct mnl_socket **out, struct rs_err *err)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	int one = 1, size = RECV_BUFFER;

	if (!nl)
		return rs_err_sys(err, errno, "netlink socket (netfilter)");
	if (mnl_socket_bind(nl, groups, MNL_SOCKET_AUTOPID) < 0) {
		int e = errno;

		mnl_socket_close(nl);
		return rs_err_sys(err, e, "bind netlink socket (netfilter)");
	}
	/* All of these only make answers better; a refusal is no fault. */
	mnl_socket_setsockopt(nl, NETLINK_EXT_ACK, &one, sizeof(one));
	mnl_socket_setsockopt(nl, NETLINK_CAP_ACK, &one, sizeof(one));
	setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	*out = nl;
	return 0;
}

/* The kernel takes a batch only in one piece, so the send buffer must hold it. */
static int make_room(struct mnl_socket *nl, size_t len, struct rs_err *err)
{
	int fd = mnl_socket_get_fd(nl), have = 0, want;
	socklen_t size = sizeof(have);

	if (len > INT_MAX / 4)
		return rs_err_set(err, EMSGSIZE, "a batch of %zu bytes is more than netlink takes",
				  len);
	want = (int)len + 65536;
	if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &have, &size) == 0 && have > want)
		return 0;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &want, sizeof(want)) < 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &want, sizeof(want)) < 0)
		return rs_err_sys(err, errno, "send buffer of %d bytes", want);
	return 0;
}

static const char *type_name(uint16_t type)
{
	static const char *const names[] = {
		[NFT_MSG_NEWTABLE] = "new table",
		[NFT_MSG_DELTABLE] = "delete table",
		[NFT_MSG_NEWCHAIN] = "new chain",
		[NFT_MSG_DELCHAIN] = "delete chain",
		[NFT_MSG_NEWRULE] = "new rule",
		[NFT_MSG_DELRULE] = "delete rule",
		[NFT_MSG_NEWSET] = "new set",
		[NFT_MSG_NEWSETELEM] = "new elements",
		[NFT_MSG_DELSETELEM] = "delete elements",
		[NFT_MSG_NEWOBJ] = "new counter",
	};
	uint8_t n = NFNL_MSG_TYPE(type);

	return n < RS_ARRAY_SIZE(names) && names[n] ? names[n] : "message";
}

/* What a message is about: attribute 1 in a table's, 3 in a chain's, 2 in all others of ours. */
static const char *name_of(const struct nlmsghdr *h)
{
	uint8_t type = NFNL_MSG_TYPE(h->nlmsg_type);
	const struct nlattr *attr;
	uint16_t want = 2;

	if (type == NFT_MSG_NEWTABLE || type == NFT_MSG_DELTABLE)
		want = NFTA_TABLE_NAME;
	if (type == NFT_MSG_NEWCHAIN || type == NFT_MSG_DELCHAIN)
		want = NFTA_CHAIN_NAME;
	mnl_attr_for_each(attr, h, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(attr) == want &&
		    mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
			return mnl_attr_get_str(attr);
	}
	return "";
}

static int describe(const struct rs_nft_batch *b, uint32_t seq, int errnum, struct rs_err *err)
{
	size_t at = 0;

	while (at + sizeof(struct nlmsghdr) <= b->len) {
		const struct nlmsghdr *h = (const void *)(b->buf + at);

		if (h->nlmsg_seq == seq && at)
			return rs_err_sys(err, errnum, "nf_tables: %s %s", type_name(h->nlmsg_type),
					  name_of(h));
		at += NLMSG_ALIGN(h->nlmsg_len);
	}
	return rs_err_sys(err, errnum, "nf_tables: the batch as a whole");
}

/*
 * Netlink works inside the send, so every answer is there when it returns: read until there is
 * none. Several messages may fail; the first one is the cause of the others.
 */
static int read_answers(const struct rs_nft_batch *b, struct mnl_socket *nl, uint32_t ack,
			struct rs_err *err)
{
	rs_autofree char *buf = rs_calloc(1, 65536);
	int fd = mnl_socket_get_fd(nl), first = 0;
	uint32_t first_seq = 0;
	bool acked = false;

	for (;;) {
		ssize_t got = recv(fd, buf, 65536, MSG_DONTWAIT);
		struct nlmsghdr *h = (void *)buf;
		int left = (int)got;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == ENOBUFS) {
			first = first ? first : ENOBUFS;
			continue;
		}
		if (got < 0)
			break;
		for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
			struct nlmsgerr *e = mnl_nlmsg_get_payload(h);

			if (h->nlmsg_type != NLMSG_ERROR || h->nlmsg_seq < b->first_seq)
				continue;
			acked |= !e->error && h->nlmsg_seq == ack;
			if (e->error && !first) {
				first = -e->error;
				first_seq = h->nlmsg_seq;
			}
		}
	}
	if (first)
		return describe(b, first_seq, first, err);
	if (!acked)
		return rs_err_set(err, EPROTO,
				  "nf_tables: the kernel did not acknowledge the batch");
	return 0;
}

int rs_nft_batch_send(struct rs_nft_batch *b, struct mnl_socket *nl, double *ms, struct rs_err *err)
{
	struct nlmsghdr *last = (void *)(b->buf + b->last);
	struct timespec t0, t1;
	int rc;

	if (!b->messages)
		return rs_err_set(err, EINVAL, "an empty batch");
	last->nlmsg_flags |= NLM_F_ACK;
	add_bound(b, space(b, SLACK), NFNL_MSG_BATCH_END);
	last = (void *)(b->buf + b->last);
	rc = make_room(nl, b->len, err);
	if (rc)
		return rc;
	clock_gettime(CLOCK_MONOTONIC, &t0);
	if (mnl_socket_sendto(nl, b->buf, b->len) < 0)
		return rs_err_sys(err, errno, "nf_tables: send a batch of %zu bytes", b->len);
	rc = read_answers(b, nl, last->nlmsg_seq, err);
	clock_gettime(CLOCK_MONOTONIC, &t1);
	if (ms)
		*ms = (double)(t1.tv_sec - t0.tv_sec) * 1e3 +
		      (double)(t1.tv_nsec - t0.tv_nsec) / 1e6;
	return rc;
}

static bool has_end(const char *buf, ssize_t got)
{
	const struct nlmsghdr *h = (const void *)buf;
	int left = (int)got;

	for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left))
		if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
			return true;
	return false;
}

int rs_nft_dump(struct mnl_socket *nl, struct nlmsghdr *h, mnl_cb_t cb, void *arg)
{
	rs_autofree char *buf = rs_calloc(1, 65536);
	unsigned int port = mnl_socket_get_portid(nl);
	uint32_t seq = h->nlmsg_seq;
	bool interrupted = false;
	int rc = 1;

	if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
		return -errno;
	while (rc > 0) {
		ssize_t got = mnl_socket_recvfrom(nl, buf, 65536);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		errno = 0;
		rc = mnl_cb_run(buf, (size_t)got, seq, port, cb, arg);
		/* libmnl reports an interrupted dump (NLM_F_DUMP_INTR) as EINTR; the rest of
		 * it must still be read, or it would be taken for the answer to the next
		 * request. */
		if (rc < 0 && errno == EINTR) {
			interrupted = true;
			rc = !has_end(buf, got);
		}
	}
	if (rc < 0)
		return errno ? -errno : -EIO;
	return interrupted ? -EINTR : 0;
}
