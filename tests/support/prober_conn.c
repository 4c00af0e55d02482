// SPDX-License-Identifier: Apache-2.0
/* Mode stream over sockets of the kernel that connect: TCP, and SCTP where the kernel has it. */
#include <errno.h>
#include <linux/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "prober_stream.h"

#define SCTP_NO_DELAY 3 /* SCTP_NODELAY of linux/sctp.h */

static void take_bytes(struct live *l, enum way way, const uint8_t *p, size_t n)
{
	struct token t;

	while (n) {
		size_t k = sizeof(t) - l->in[way].n;

		k = k < n ? k : n;
		memcpy(l->in[way].bytes + l->in[way].n, p, k);
		l->in[way].n += k;
		p += k;
		n -= k;
		if (l->in[way].n < sizeof(t))
			return;
		memcpy(&t, l->in[way].bytes, sizeof(t));
		l->in[way].n = 0;
		stream_arrived(&t);
	}
}

static void read_all(struct watch *w, struct live *l, enum way way)
{
	uint8_t buf[4096];
	ssize_t n;

	while ((n = recv(w->fd, buf, sizeof(buf), 0)) > 0)
		take_bytes(l, way, buf, (size_t)n);
	if (!n || errno != EAGAIN) /* the end, or reset: it says no more */
		epoll_ctl(pr.epfd, EPOLL_CTL_DEL, w->fd, NULL);
}

static void at_client(struct watch *w, uint32_t events)
{
	(void)events;
	read_all(w, live_of((struct flow *)w), DOWN);
}

static void at_server(struct watch *w, uint32_t events)
{
	(void)events;
	read_all(w, (struct live *)w, UP);
}

static void no_delay(const struct flow *f, int fd)
{
	const int one = 1;

	if (f->kind == KIND_TCP)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	else
		(void)setsockopt(fd, IPPROTO_SCTP, SCTP_NO_DELAY, &one, sizeof(one));
}

static void accepted(struct watch *w, uint32_t events)
{
	struct live *l = (struct live *)((char *)w - offsetof(struct live, listener));
	int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	if (l->open) { /* one connection is enough */
		close(fd);
		return;
	}
	no_delay(l->f, fd);
	watch_add(&l->server, fd, EPOLLIN, at_server);
	l->open = true;
}

/* Whether an address is one of the namespace's own; ns_socket() lets bind() take any. */
static bool is_own(int ns, const union address *a)
{
	union address probe = *a;
	int fd = ns_socket(ns, a->sa.sa_family, SOCK_DGRAM, IPPROTO_UDP), off = 0;
	bool own;

	setsockopt(fd, SOL_IP, IP_FREEBIND, &off, sizeof(off));
	if (a->sa.sa_family == AF_INET6)
		setsockopt(fd, SOL_IPV6, IPV6_FREEBIND, &off, sizeof(off));
	addr_set_port(&probe, 0);
	own = !bind(fd, &probe.sa, addr_len(&probe));
	close(fd);
	return own;
}

/*
 * An SCTP server on every address offers all of them to the client as paths, and a policy may allow
 * to one what it forbids to another: so it has the one that is asked for. A virtual address is none
 * of its own.
 */
static bool bind_server(const struct flow *f, int fd, int proto)
{
	union address any = { .sa.sa_family = f->dst.sa.sa_family };

	if (proto == IPPROTO_SCTP && is_own(f->dst_ns, &f->dst))
		any = f->dst;
	addr_set_port(&any, f->port);
	return !bind(fd, &any.sa, addr_len(&any));
}

void conn_start(struct flow *f, int proto)
{
	struct live *l = live_of(f);
	int family = f->dst.sa.sa_family;
	int s = ns_socket(f->dst_ns, family, SOCK_STREAM, proto);
	int c = ns_socket(f->src_ns, family, SOCK_STREAM, proto);

	if (!bind_server(f, s, proto) || listen(s, 8) ||
	    (!f->any_src && bind(c, &f->src.sa, addr_len(&f->src))))
		die("flow %s: bind and listen: %s", f->id, strerror(errno));
	watch_add(&l->listener, s, EPOLLIN, accepted);
	no_delay(f, c);
	if (connect(c, &f->dst.sa, addr_len(&f->dst)) && errno != EINPROGRESS)
		die("flow %s: connect: %s", f->id, strerror(errno));
	watch_add(&f->watch, c, EPOLLIN, at_client);
}

bool conn_send(struct flow *f, enum way way)
{
	struct live *l = live_of(f);
	int fd = way == UP ? f->watch.fd : l->server.fd;
	struct token t = stream_token(f, way);
	ssize_t n;

	if (l->out[way].n) { /* the rest of one that only half went */
		n = send(fd, l->out[way].bytes + sizeof(t) - l->out[way].n, l->out[way].n,
			 MSG_NOSIGNAL);
		if (n < 0 || (l->out[way].n -= (size_t)n))
			return false;
	}
	n = send(fd, &t, sizeof(t), MSG_NOSIGNAL);
	if (n < 0)
		return false;
	memcpy(l->out[way].bytes, &t, sizeof(t));
	l->out[way].n = sizeof(t) - (size_t)n;
	return true;
}

uint32_t conn_lost(const struct flow *f, enum way way)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	int fd = way == UP ? f->watch.fd : live_of(f)->server.fd;

	/* What the other end reports as double had not been lost: a timer of a busy machine. */
	if (!live_of(f)->open || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) ||
	    info.tcpi_total_retrans < info.tcpi_dsack_dups)
		return 0;
	return info.tcpi_total_retrans - info.tcpi_dsack_dups;
}
