// SPDX-License-Identifier: Apache-2.0
/* Sockets in foreign network namespaces, raw sends with a chosen source, and checksums. */
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "prober.h"

#define RECEIVE_BUFFER (8 * 1024 * 1024)

static int inside = -1;

void ns_enter(int ns)
{
	if (ns == inside)
		return;
	if (setns(ns < 0 ? pr.home : pr.ns[ns].fd, CLONE_NEWNET))
		die("enter namespace %s: %s", ns < 0 ? "home" : pr.ns[ns].name, strerror(errno));
	inside = ns;
}

int ns_socket(int ns, int family, int type, int proto)
{
	const int one = 1, size = RECEIVE_BUFFER;
	int fd;

	ns_enter(ns);
	fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, proto);
	if (fd < 0)
		die("socket in %s: %s", pr.ns[ns].name, strerror(errno));
	if (type != SOCK_STREAM)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	/* A fresh pod gets its address only after our socket was made. */
	(void)setsockopt(fd, SOL_IP, IP_FREEBIND, &one, sizeof(one));
	if (family == AF_INET6)
		(void)setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (family == AF_INET6)
		(void)setsockopt(fd, SOL_IPV6, IPV6_FREEBIND, &one, sizeof(one));
	return fd;
}

void watch_add(struct watch *w, int fd, uint32_t events, void (*ready)(struct watch *, uint32_t))
{
	struct epoll_event ev = { .events = events, .data.ptr = w };

	w->fd = fd;
	w->ready = ready;
	if (epoll_ctl(pr.epfd, EPOLL_CTL_ADD, fd, &ev))
		die("epoll: %s", strerror(errno));
}

socklen_t addr_len(const union address *a)
{
	return a->sa.sa_family == AF_INET ? sizeof(a->in) : sizeof(a->in6);
}

bool addr_same(const union address *a, const union address *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
	return !memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof(a->in6.sin6_addr));
}

void addr_set_port(union address *a, int port)
{
	if (a->sa.sa_family == AF_INET)
		a->in.sin_port = htons((uint16_t)port);
	else
		a->in6.sin6_port = htons((uint16_t)port);
}

int addr_port(const union address *a)
{
	return ntohs(a->sa.sa_family == AF_INET ? a->in.sin_port : a->in6.sin6_port);
}

ssize_t send_from(int fd, const union address *src, const union address *dst, const void *p,
		  size_t n)
{
	union {
		char room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
		struct cmsghdr align;
	} control = { 0 };
	union address to = *dst;
	struct iovec iov = { .iov_base = (void *)(uintptr_t)p, .iov_len = n };
	struct msghdr msg = { .msg_name = &to, .msg_namelen = addr_len(dst), .msg_iov = &iov,
			      .msg_iovlen = 1 };
	struct cmsghdr *c;

	addr_set_port(&to, 0);
	if (src) {
		msg.msg_control = &control;
		msg.msg_controllen = dst->sa.sa_family == AF_INET ?
					     CMSG_SPACE(sizeof(struct in_pktinfo)) :
					     CMSG_SPACE(sizeof(struct in6_pktinfo));
		c = CMSG_FIRSTHDR(&msg);
		if (dst->sa.sa_family == AF_INET) {
			struct in_pktinfo info = { .ipi_spec_dst = src->in.sin_addr };

			c->cmsg_level = SOL_IP;
			c->cmsg_type = IP_PKTINFO;
			c->cmsg_len = CMSG_LEN(sizeof(info));
			memcpy(CMSG_DATA(c), &info, sizeof(info));
		} else {
			struct in6_pktinfo info = { .ipi6_addr = src->in6.sin6_addr };

			c->cmsg_level = SOL_IPV6;
			c->cmsg_type = IPV6_PKTINFO;
			c->cmsg_len = CMSG_LEN(sizeof(info));
			memcpy(CMSG_DATA(c), &info, sizeof(info));
		}
	}
	return sendmsg(fd, &msg, MSG_DONTWAIT);
}

/* ---- listeners and raw sockets, one of each kind --------------------------------------------- */

struct listener {
	struct watch watch;
	int ns;
	int proto;
	union address at;
	struct listener *next;
};

static struct listener *listeners;

void listen_for(struct flow *f, int proto, void (*ready)(struct watch *, uint32_t))
{
	bool stream = proto != IPPROTO_UDP;
	struct listener *l;
	int fd;

	if (f->dst_ns < 0)
		return;
	for (l = listeners; l; l = l->next)
		if (l->ns == f->dst_ns && l->proto == proto && !memcmp(&l->at, &f->dst, sizeof(l->at)))
			return;
	fd = ns_socket(f->dst_ns, f->dst.sa.sa_family, stream ? SOCK_STREAM : SOCK_DGRAM, proto);
	if (bind(fd, &f->dst.sa, addr_len(&f->dst)) || (stream && listen(fd, 4096)))
		die("listen for %s in %s: %s", f->id, pr.ns[f->dst_ns].name, strerror(errno));
	l = need(calloc(1, sizeof(*l)));
	l->ns = f->dst_ns;
	l->proto = proto;
	l->at = f->dst;
	l->next = listeners;
	listeners = l;
	watch_add(&l->watch, fd, EPOLLIN, ready);
}

struct raw_entry {
	struct raw raw;
	struct raw_entry *next;
};

static struct raw_entry *raws;

struct raw *raw_socket(int ns, int family, int proto, void (*ready)(struct watch *, uint32_t))
{
	struct raw_entry *r;

	for (r = raws; r; r = r->next)
		if (r->raw.ns == ns && r->raw.family == family && r->raw.proto == proto)
			return &r->raw;
	r = need(calloc(1, sizeof(*r)));
	r->raw.ns = ns;
	r->raw.family = family;
	r->raw.proto = proto;
	r->next = raws;
	raws = r;
	watch_add(&r->raw.watch, ns_socket(ns, family, SOCK_RAW, proto), EPOLLIN, ready);
	return &r->raw;
}

/* ---- checksums ------------------------------------------------------------------------------- */

/* Castagnoli, as SCTP wants it (RFC 4960 appendix B), bit by bit: packets here are tiny. */
uint32_t crc32c(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint32_t crc = 0xffffffff;
	size_t i;
	int k;

	for (i = 0; i < n; i++) {
		crc ^= b[i];
		for (k = 0; k < 8; k++)
			crc = crc & 1 ? (crc >> 1) ^ 0x82f63b78 : crc >> 1;
	}
	return ~crc;
}

uint16_t inet_sum(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint32_t sum = 0;
	size_t i;

	for (i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)(b[i] << 8 | b[i + 1]);
	if (n & 1)
		sum += (uint32_t)(b[n - 1] << 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}
