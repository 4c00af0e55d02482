// SPDX-License-Identifier: Apache-2.0
/* nflog.c - binds the NFLOG group and drains it; see nflog.h. */
#include "dataplane/nft/nflog.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <sys/socket.h>

#include "base/base.h"
#include "dataplane/nft/batch.h"

/* Some 500 records: a second of fifty flooding pods. */
#define RECEIVE_BUFFER (512 * 1024)
/* The attributes of a message, beside the packet. */
#define ATTRIBUTES_MAX 4096

/* All in one message, so that no record is made in a form that was not asked for. Each is sent at
 * once: the kernel would else keep some back, and they would look lost. */
static int bind_group(struct mnl_socket *nl, uint16_t group, uint32_t copy, uint16_t flags)
{
	struct nfulnl_msg_config_cmd bind = { .command = NFULNL_CFG_CMD_BIND };
	struct nfulnl_msg_config_mode mode = { .copy_range = htonl(copy),
					       .copy_mode = NFULNL_COPY_PACKET };
	char buf[RS_NFT_REQUEST];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g;

	h->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	h->nlmsg_seq = 1;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = 0;
	g->version = NFNETLINK_V0;
	g->res_id = htons(group);
	mnl_attr_put(h, NFULA_CFG_CMD, sizeof(bind), &bind);
	mnl_attr_put(h, NFULA_CFG_MODE, sizeof(mode), &mode);
	mnl_attr_put_u32(h, NFULA_CFG_QTHRESH, htonl(1));
	mnl_attr_put_u16(h, NFULA_CFG_FLAGS, htons(flags));
	return rs_nft_dump(nl, h, NULL, NULL);
}

int rs_nflog_open(struct rs_nflog *l, uint16_t group, uint32_t copy, struct rs_err *err)
{
	struct mnl_socket *nl;
	int size = RECEIVE_BUFFER, rc;

	if (l->nl)
		return 0;
	rc = rs_nft_socket(0, &nl, err);
	if (rc)
		return rc;
	setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	rc = bind_group(nl, group, copy, NFULNL_CFG_F_SEQ | NFULNL_CFG_F_CONNTRACK);
	if (rc == -EOPNOTSUPP) /* no ctnetlink: which way a packet of a flow went is not told */
		rc = bind_group(nl, group, copy, NFULNL_CFG_F_SEQ);
	if (rc) {
		mnl_socket_close(nl);
		rs_err_sys(err, -rc, "listen to NFLOG group %u", group);
		if (rc == -EBUSY)
			rs_err_hint(err, "another program listens to that group "
					 "(/proc/net/netfilter/nfnetlink_log names its port)");
		return rc;
	}
	*l = (struct rs_nflog){ .nl = nl, .buf = rs_calloc(1, copy + ATTRIBUTES_MAX) };
	l->size = copy + ATTRIBUTES_MAX;
	return 0;
}

void rs_nflog_close(struct rs_nflog *l)
{
	if (l->nl)
		mnl_socket_close(l->nl);
	l->nl = NULL;
	free(l->buf);
	l->buf = NULL;
}

static void take(struct rs_nflog *l, const struct nlmsghdr *h, rs_nflog_fn *fn, void *arg)
{
	struct rs_nflog_msg m;

	rs_nflog_parse(h, &m);
	if (m.has_seq) {
		l->gaps += m.seq - l->next;
		l->next = m.seq + 1;
	}
	fn(&m, arg);
}

int rs_nflog_each(struct rs_nflog *l, size_t max, rs_nflog_fn *fn, void *arg, struct rs_err *err)
{
	int n = 0;

	if (!l->nl)
		return 0;
	while ((size_t)n < max) {
		ssize_t got = recv(mnl_socket_get_fd(l->nl), l->buf, l->size, MSG_DONTWAIT);
		const struct nlmsghdr *h = (const void *)l->buf;
		int left = (int)got;

		/* ENOBUFS: some did not fit. The numbers and the counters tell how many. */
		l->overruns += got < 0 && errno == ENOBUFS;
		if (got < 0 && (errno == EINTR || errno == ENOBUFS))
			continue;
		if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return n;
		if (got < 0)
			return rs_err_sys(err, errno, "read from NFLOG");
		for (; rs_nflog_whole(h, left); h = mnl_nlmsg_next(h, &left))
			take(l, h, fn, arg);
		n++;
	}
	return n;
}

struct reader {
	struct rs_nflog *l;
	rs_dp_drop_fn *fn;
	void *arg;
};

static void take_drop(const struct rs_nflog_msg *m, void *arg)
{
	struct reader *r = arg;

	if (!m->ours)
		return;
	r->l->received++;
	r->fn(&m->drop, r->arg);
}

int rs_nflog_read(struct rs_nflog *l, size_t max, rs_dp_drop_fn *fn, void *arg, struct rs_err *err)
{
	struct reader r = { l, fn, arg };
	int rc = rs_nflog_each(l, max, take_drop, &r, err);

	return rc < 0 ? rs_err_wrap(err, "drop records") : rc;
}
