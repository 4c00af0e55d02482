// SPDX-License-Identifier: Apache-2.0
/*
 * watch.c - listens to the nf_tables notification group.
 *
 * A filter inside the kernel keeps our own changes out of the socket: a build of 100,000 elements
 * would overflow it with news of ourselves. The kernel writes them all the same, for as long as
 * anybody is in the group: a large batch is sent while we are not (quiet.c).
 */
#include "dataplane/nft/watch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "base/base.h"
#include "dataplane/nft/schema.h"

static int keep_own_out(struct mnl_socket *nl, uint32_t own_port)
{
	/* A notification carries the port of whoever asked for the change; loads are big-endian. */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_pid)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(own_port), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog prog = { .len = RS_ARRAY_SIZE(code), .filter = code };

	return setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}

int rs_nft_watch_open(uint32_t own_port, struct mnl_socket **out, struct rs_err *err)
{
	struct mnl_socket *nl;
	int rc = rs_nft_socket(1u << (NFNLGRP_NFTABLES - 1), &nl, err);

	if (rc)
		return rs_err_wrap(err, "watch the ruleset");
	if (keep_own_out(nl, own_port) < 0) {
		rc = rs_err_sys(err, errno, "watch the ruleset: socket filter");
		mnl_socket_close(nl);
		return rc;
	}
	*out = nl;
	return 0;
}

/* The end of a transaction; news of what it did have come before. */
static void see_generation(const struct nlmsghdr *h, uint32_t since, struct rs_nft_news *news)
{
	const struct nlattr *a;
	const char *name = NULL;
	uint32_t pid = 0;

	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) == NFTA_GEN_ID && mnl_attr_get_payload_len(a) == 4)
			news->transactions += (int32_t)(ntohl(mnl_attr_get_u32(a)) - since) > 0;
		if (mnl_attr_get_type(a) == NFTA_GEN_PROC_PID && mnl_attr_get_payload_len(a) == 4)
			pid = ntohl(mnl_attr_get_u32(a));
		if (mnl_attr_get_type(a) == NFTA_GEN_PROC_NAME &&
		    mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0)
			name = mnl_attr_get_str(a);
	}
	if (news->ours && !news->who && name) {
		struct rs_strbuf b = { 0 };

		rs_strbuf_printf(&b, "pid %u (", pid);
		rs_strbuf_puts_safe(&b, name);
		rs_strbuf_putc(&b, ')');
		news->who = rs_strbuf_steal(&b);
	}
}

/* Attribute 1 is the table's name in every kind of message but the one that ends a transaction. One
 * without attributes is our own note. */
static void see(const struct nlmsghdr *h, uint32_t since, struct rs_nft_news *news)
{
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;

	if (NFNL_SUBSYS_ID(h->nlmsg_type) != NFNL_SUBSYS_NFTABLES ||
	    mnl_nlmsg_get_payload_len(h) < sizeof(*g))
		return;
	if (NFNL_MSG_TYPE(h->nlmsg_type) == NFT_MSG_NEWGEN) {
		see_generation(h, since, news);
		return;
	}
	if (mnl_nlmsg_get_payload_len(h) == sizeof(*g))
		news->ours = news->others = true;
	mnl_attr_for_each(a, h, sizeof(*g))
	{
		if (mnl_attr_get_type(a) != 1 || mnl_attr_validate(a, MNL_TYPE_NUL_STRING) < 0)
			continue;
		if (g->nfgen_family == NFPROTO_INET && !strcmp(mnl_attr_get_str(a), RS_NFT_TABLE))
			news->ours = true;
		else
			news->others = true;
	}
}

int rs_nft_watch_drain(struct mnl_socket *nl, uint32_t since, struct rs_nft_news *news,
		       struct rs_err *err)
{
	rs_autofree char *buf = rs_calloc(1, 65536);

	memset(news, 0, sizeof(*news));
	for (;;) {
		ssize_t got = recv(mnl_socket_get_fd(nl), buf, 65536, MSG_DONTWAIT);
		const struct nlmsghdr *h = (const void *)buf;
		int left = (int)got;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == ENOBUFS) {
			/* More news than the socket holds: what was lost is not known. */
			news->ours = news->others = true;
			continue;
		}
		if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return 0;
		if (got < 0)
			return rs_err_sys(err, errno, "watch the ruleset");
		for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left))
			see(h, since, news);
	}
}

int rs_nft_watch_member(struct mnl_socket *nl, bool in)
{
	int group = NFNLGRP_NFTABLES;

	return mnl_socket_setsockopt(nl, in ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP,
				     &group, sizeof(group)) < 0
		       ? -errno
		       : 0;
}

int rs_nft_watch_note(struct mnl_socket *nl)
{
	char buf[MNL_NLMSG_HDRLEN + sizeof(struct nfgenmsg)];
	const struct sockaddr_nl self = { .nl_family = AF_NETLINK,
					  .nl_pid = mnl_socket_get_portid(nl) };
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	h->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE;
	mnl_nlmsg_put_extra_header(h, sizeof(struct nfgenmsg));
	if (sendto(mnl_socket_get_fd(nl), buf, h->nlmsg_len, MSG_DONTWAIT,
		   (const struct sockaddr *)&self, sizeof(self)) < 0)
		return -errno;
	return 0;
}
