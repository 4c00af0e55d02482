// SPDX-License-Identifier: Apache-2.0
/* netlink.c - lib/netlink reads and changes links, addresses, routes, neighbours. */
#include "netlink/netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netlink.h>

#include "netlink/nl_internal.h"

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

struct talk {
	rs_nl_fn fn;
	void *arg;
	bool done;
	bool interrupted;
	uint32_t seq;
	int rc;
};

/* What is not about this request was left by one that was given up. */
static int on_seq(struct nl_msg *msg, void *arg)
{
	const struct talk *t = arg;

	return nlmsg_hdr(msg)->nlmsg_seq == t->seq ? NL_OK : NL_SKIP;
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *arg)
{
	struct talk *t = arg;

	(void)from;
	t->rc = e->error;
	t->done = true;
	return NL_STOP;
}

static int on_end(struct nl_msg *msg, void *arg)
{
	struct talk *t = arg;

	(void)msg;
	t->done = true;
	return NL_STOP;
}

static int on_interrupt(struct nl_msg *msg, void *arg)
{
	struct talk *t = arg;

	(void)msg;
	t->interrupted = true;
	return NL_OK;
}

static int on_valid(struct nl_msg *msg, void *arg)
{
	struct talk *t = arg;

	/* The rest of the answer is still read, so that the socket stays usable. */
	if (t->fn && t->rc == 0)
		t->rc = t->fn(nlmsg_hdr(msg), t->arg);
	return NL_OK;
}

static int receive(struct rs_nl *nl, struct talk *t)
{
	struct nl_cb *cb = nl_cb_alloc(NL_CB_CUSTOM);

	if (!cb)
		rs_oom();
	nl_cb_set(cb, NL_CB_SEQ_CHECK, NL_CB_CUSTOM, on_seq, t);
	nl_cb_err(cb, NL_CB_CUSTOM, on_error, t);
	nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_end, t);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_end, t);
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_valid, t);
	nl_cb_set(cb, NL_CB_DUMP_INTR, NL_CB_CUSTOM, on_interrupt, t);
	while (!t->done) {
		int rc = nl_recvmsgs(nl->sk, cb);

		if (rc < 0 && !t->done) {
			t->rc = -EPROTO;
			break;
		}
	}
	nl_cb_put(cb);
	return t->rc;
}

int rs_nl_talk(struct rs_nl *nl, struct nl_msg *msg, rs_nl_fn fn, void *arg)
{
	struct talk t = { .fn = fn, .arg = arg };
	int rc = nl_send_auto(nl->sk, msg);

	t.seq = nlmsg_hdr(msg)->nlmsg_seq;
	nlmsg_free(msg);
	if (rc < 0)
		return rc == -NLE_NOMEM ? -ENOBUFS : -EIO;
	rc = receive(nl, &t);
	if (rc == 0 && t.interrupted)
		return -EAGAIN;
	return rc;
}

struct nl_msg *rs_nl_msg(int type, int flags, const void *hdr, size_t len)
{
	struct nl_msg *msg = nlmsg_alloc_simple(type, NLM_F_REQUEST | flags);

	if (!msg || nlmsg_append(msg, (void *)(uintptr_t)hdr, len, NLMSG_ALIGNTO) < 0)
		rs_oom();
	return msg;
}

int rs_nl_fail(struct rs_err *err, int rc, const char *fmt, ...)
{
	rs_autofree char *what = NULL;
	va_list ap;

	va_start(ap, fmt);
	what = rs_vasprintf(fmt, ap);
	va_end(ap);
	rs_err_sys(err, -rc, "%s", what);
	if (rc == -EPERM || rc == -EACCES) {
		rs_err_cni(err, RS_CNI_KERNEL);
		rs_err_hint(err, "run it as root, or with the capability NET_ADMIN");
	} else if (rc == -EOPNOTSUPP) {
		rs_err_cni(err, RS_CNI_KERNEL);
	}
	return rc;
}

/* ---- several changes at once ----------------------------------------------------------------- */

struct flush {
	struct rs_nl *nl;
	bool done;
	size_t failed; /* the first; beyond the last: none */
	int rc;
};

/* The answer to one of them: only errors come, and the last one's whatever it is. */
static void hear(struct flush *f, uint32_t seq, int rc)
{
	size_t n = f->nl->asked.n, i = 0;

	while (i < n && f->nl->asked.v[i].seq != seq)
		i++;
	if (i < f->failed && i < n && rc < 0 && rc != -f->nl->asked.v[i].fine) {
		f->failed = i;
		f->rc = rc;
	}
	f->done |= i + 1 == n;
}

static int on_one_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *arg)
{
	struct flush *f = arg;

	(void)from;
	hear(f, e->msg.nlmsg_seq, e->error);
	return f->done ? NL_STOP : NL_SKIP;
}

static int on_last_ack(struct nl_msg *msg, void *arg)
{
	struct flush *f = arg;

	hear(f, nlmsg_hdr(msg)->nlmsg_seq, 0);
	return f->done ? NL_STOP : NL_SKIP;
}

static int on_any_seq(struct nl_msg *msg, void *arg)
{
	(void)msg, (void)arg;
	return NL_OK;
}

static int hear_all(struct flush *f)
{
	struct nl_cb *cb = nl_cb_alloc(NL_CB_CUSTOM);

	if (!cb)
		rs_oom();
	nl_cb_set(cb, NL_CB_SEQ_CHECK, NL_CB_CUSTOM, on_any_seq, NULL);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_last_ack, f);
	nl_cb_err(cb, NL_CB_CUSTOM, on_one_error, f);
	while (!f->done && (nl_recvmsgs(f->nl->sk, cb) >= 0 || f->done))
		;
	nl_cb_put(cb);
	return f->done ? f->rc : -EPROTO;
}

/* One datagram, in which the last message alone asks for an answer. */
static int send_all(struct rs_nl *nl)
{
	rs_auto_strbuf b = { 0 };

	for (size_t i = 0; i < nl->asked.n; i++) {
		struct rs_nl_asked *a = &nl->asked.v[i];
		struct nlmsghdr *h = nlmsg_hdr(a->msg);

		h->nlmsg_seq = a->seq = nl_socket_use_seq(nl->sk);
		h->nlmsg_pid = nl_socket_get_local_port(nl->sk);
		h->nlmsg_flags |= i + 1 == nl->asked.n ? NLM_F_ACK : 0;
		rs_strbuf_add(&b, (const char *)h, h->nlmsg_len);
		while (b.len % NLMSG_ALIGNTO)
			rs_strbuf_putc(&b, '\0');
	}
	return nl_sendto(nl->sk, b.s, b.len) < 0 ? -EIO : 0;
}

void rs_nl_gather(struct rs_nl *nl)
{
	nl->gathers = true;
}

void rs_nl_forget(struct rs_nl *nl)
{
	for (size_t i = 0; i < nl->asked.n; i++) {
		nlmsg_free(nl->asked.v[i].msg);
		free(nl->asked.v[i].what);
	}
	rs_vec_free(&nl->asked);
	nl->gathers = false;
}

int rs_nl_flush(struct rs_nl *nl, struct rs_err *err)
{
	struct flush f = { .nl = nl, .failed = SIZE_MAX };
	int rc = nl->asked.n ? send_all(nl) : 0;

	if (rc == 0 && nl->asked.n)
		rc = hear_all(&f);
	if (rc < 0)
		rs_nl_fail(err, rc, "%s",
			   f.failed < nl->asked.n ? nl->asked.v[f.failed].what : "netlink");
	rs_nl_forget(nl);
	return rc;
}

int rs_nl_change(struct rs_nl *nl, struct nl_msg *msg, int fine, struct rs_err *err,
		 const char *fmt, ...)
{
	rs_autofree char *what = NULL;
	struct rs_nl_asked *a;
	va_list ap;
	int rc;

	va_start(ap, fmt);
	what = rs_vasprintf(fmt, ap);
	va_end(ap);
	if (nl->gathers) {
		a = rs_vec_push(&nl->asked);
		a->msg = msg;
		a->what = rs_steal_ptr(&what);
		a->fine = fine;
		return 0;
	}
	rc = rs_nl_talk(nl, msg, NULL, NULL);
	return rc < 0 && rc != -fine ? rs_nl_fail(err, rc, "%s", what) : 0;
}

/* ---- addresses, handles ---------------------------------------------------------------------- */

int rs_nl_put_addr(struct nl_msg *msg, int type, const struct rs_addr *a)
{
	return nla_put(msg, type, (int)rs_addr_bytes(a->family), a->b);
}

bool rs_nl_get_addr(const struct nlattr *attr, int af, struct rs_addr *out)
{
	int family = af == AF_INET ? RS_AF_IP4 : RS_AF_IP6;

	if (!attr || (size_t)nla_len(attr) != rs_addr_bytes(family))
		return false;
	memset(out, 0, sizeof(*out));
	out->family = (uint8_t)family;
	memcpy(out->b, nla_data(attr), rs_addr_bytes(family));
	return true;
}

int rs_nl_open(struct rs_nl **out, struct rs_err *err)
{
	struct nl_sock *sk = nl_socket_alloc();
	int one = 1, rc;

	if (!sk)
		rs_oom();
	rc = nl_connect(sk, NETLINK_ROUTE);
	if (rc < 0) {
		nl_socket_free(sk);
		rs_err_set(err, EIO, "open a netlink socket: %s", nl_geterror(rc));
		return rs_err_cni(err, RS_CNI_KERNEL);
	}
	/* Room for any answer, so that none has to be looked at before it is read. */
	nl_socket_set_msg_buf_size(sk, 64 * RS_KIB);
	/* Lets dumps filter in the kernel (4.20); the answers are filtered again here. */
	setsockopt(nl_socket_get_fd(sk), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof(one));
	*out = rs_new(struct rs_nl);
	(*out)->sk = sk;
	return 0;
}

void rs_nl_close(struct rs_nl *nl)
{
	if (!nl)
		return;
	rs_nl_forget(nl);
	nl_socket_free(nl->sk);
	free(nl);
}
