// SPDX-License-Identifier: Apache-2.0
/*
 * Mode probe: try every flow once, all at the same time, with one deadline.
 *
 * Output: "ID ok|blocked|error WHY", one line a flow in the order of the input. `ok` means that the
 * packet arrived at the other end and that its answer came back (KIND_IP: that it arrived). `blocked` means silence;
 * whatever else happens (a reset, an ICMP error) is an `error`, for a policy only ever drops.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "prober.h"

#define FIRST_PORT 20000 /* of raw SCTP: one a flow */

static const int resend_at_ms[] = { 0, 100, 300, 700 };
static size_t open_flows;

struct sctp_init {
	uint16_t sport, dport;
	uint32_t vtag, sum;
	uint8_t type, flags;
	uint16_t len;
	uint32_t tag, window;
	uint16_t out, in;
	uint32_t tsn;
};

struct icmp_echo {
	uint8_t type, code;
	uint16_t sum, id, seq;
	struct token token;
};

static void decide(struct flow *f, enum fate fate, const char *why)
{
	if (f->fate != FATE_OPEN)
		return;
	f->fate = fate;
	snprintf(f->why, sizeof(f->why), "%s", why);
	open_flows--;
	if (f->watch.fd >= 0)
		close(f->watch.fd);
	f->watch.fd = -1;
}

static struct flow *flow_of(const struct token *t, ssize_t n)
{
	if (n < (ssize_t)sizeof(*t) || t->magic != TOKEN_MAGIC || t->flow >= pr.n_flows)
		return NULL;
	return &pr.flows[t->flow];
}

static struct token token_for(const struct flow *f)
{
	return (struct token){ .magic = TOKEN_MAGIC, .flow = (uint32_t)(f - pr.flows) };
}

/* ---- servers --------------------------------------------------------------------------------- */

static void echo_stream(struct watch *w, uint32_t events)
{
	char buf[256];
	ssize_t n = recv(w->fd, buf, sizeof(buf), 0);

	(void)events;
	if (n > 0) {
		(void)!send(w->fd, buf, (size_t)n, MSG_NOSIGNAL);
		return;
	}
	close(w->fd);
	free(w);
}

static void accept_stream(struct watch *w, uint32_t events)
{
	struct watch *peer;
	int fd;

	(void)events;
	while ((fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		peer = need(calloc(1, sizeof(*peer)));
		watch_add(peer, fd, EPOLLIN, echo_stream);
	}
}

static void echo_datagram(struct watch *w, uint32_t events)
{
	union address from;
	socklen_t len = sizeof(from);
	char buf[256];
	ssize_t n;

	(void)events;
	while ((n = recvfrom(w->fd, buf, sizeof(buf), 0, &from.sa, &len)) > 0) {
		(void)!sendto(w->fd, buf, (size_t)n, 0, &from.sa, len);
		len = sizeof(from);
	}
}

/* ---- TCP and UDP clients --------------------------------------------------------------------- */

static void client_answer(struct flow *f)
{
	struct token t;
	ssize_t n = recv(f->watch.fd, &t, sizeof(t), 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0)
		decide(f, FATE_ERROR, strerror(errno));
	else if (flow_of(&t, n) == f)
		decide(f, FATE_OK, "");
	else
		decide(f, FATE_ERROR, n ? "an answer that is not ours" : "closed by the peer");
}

static void client_ready(struct watch *w, uint32_t events)
{
	struct epoll_event in = { .events = EPOLLIN, .data.ptr = w };
	struct flow *f = (struct flow *)w;
	struct token t = token_for(f);
	socklen_t len = sizeof(int);
	int soerr = 0;

	if (f->fate != FATE_OPEN)
		return;
	if (events & (EPOLLERR | EPOLLHUP)) {
		getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &soerr, &len);
		decide(f, FATE_ERROR, soerr ? strerror(soerr) : "hung up");
	} else if (f->kind == KIND_TCP && !f->connected) {
		f->connected = true;
		epoll_ctl(pr.epfd, EPOLL_CTL_MOD, w->fd, &in);
		if (send(w->fd, &t, sizeof(t), MSG_NOSIGNAL) < 0)
			decide(f, FATE_ERROR, strerror(errno));
	} else if (events & EPOLLIN) {
		client_answer(f);
	}
}

static void client_open(struct flow *f)
{
	bool tcp = f->kind == KIND_TCP;
	int fd = ns_socket(f->src_ns, f->dst.sa.sa_family, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);

	f->watch.fd = fd;
	if ((!f->any_src && bind(fd, &f->src.sa, addr_len(&f->src))) ||
	    (connect(fd, &f->dst.sa, addr_len(&f->dst)) && errno != EINPROGRESS)) {
		decide(f, FATE_ERROR, strerror(errno));
		return;
	}
	watch_add(&f->watch, fd, tcp ? EPOLLOUT : EPOLLIN, client_ready);
}

/* ---- ICMP, SCTP and other protocols over raw sockets ----------------------------------------- */

/* The payload behind the IPv4 header that a raw socket delivers; IPv6 raw sockets deliver none. */
static const uint8_t *raw_recv(struct raw *r, uint8_t *buf, size_t size, ssize_t *n)
{
	size_t skip = 0;

	*n = recv(r->watch.fd, buf, size, 0);
	if (*n <= 0)
		return NULL;
	if (r->family == AF_INET)
		skip = (buf[0] & 0xfu) * 4u;
	*n -= (ssize_t)skip;
	return *n < 0 ? buf : buf + skip;
}

static void icmp_ready(struct watch *w, uint32_t events)
{
	struct raw *r = (struct raw *)w;
	int reply = r->family == AF_INET ? 0 : 129;
	struct icmp_echo echo;
	uint8_t buf[2048];
	const uint8_t *p;
	struct flow *f;
	ssize_t n;

	(void)events;
	while ((p = raw_recv(r, buf, sizeof(buf), &n))) {
		if (n < (ssize_t)sizeof(echo))
			continue;
		memcpy(&echo, p, sizeof(echo));
		f = flow_of(&echo.token, sizeof(echo.token));
		if (f && echo.type == reply && f->kind == KIND_ICMP && f->src_ns == r->ns &&
		    f->dst.sa.sa_family == r->family)
			decide(f, FATE_OK, "");
	}
}

static void sctp_send(int fd, const struct flow *f, bool answer, uint32_t vtag)
{
	uint16_t own = htons((uint16_t)(FIRST_PORT + (f - pr.flows)));
	uint16_t far = htons((uint16_t)f->port);
	struct {
		struct sctp_init init;
		uint32_t cookie[2];
	} p = {
		.init = { .sport = answer ? far : own, .dport = answer ? own : far, .vtag = vtag,
			  .type = answer ? 2 : 1, .len = htons(answer ? 28 : 20),
			  .tag = htonl((uint32_t)(f - pr.flows) + 1), .window = htonl(65536),
			  .out = htons(1), .in = htons(1), .tsn = htonl(1) },
		.cookie = { htonl(0x00070008), htonl(TOKEN_MAGIC) }, /* parameter: state cookie */
	};
	size_t n = sizeof(p.init) + (answer ? sizeof(p.cookie) : 0);
	uint32_t sum = crc32c(&p, n);

	p.init.sum = htole32(sum);
	if (answer)
		(void)send_from(fd, &f->dst, &f->src, &p, n);
	else
		(void)send_from(fd, &f->src, &f->dst, &p, n);
}

static void sctp_ready(struct watch *w, uint32_t events)
{
	struct raw *r = (struct raw *)w;
	struct sctp_init init;
	uint8_t buf[2048];
	const uint8_t *p;
	struct flow *f;
	size_t i;
	ssize_t n;

	(void)events;
	while ((p = raw_recv(r, buf, sizeof(buf), &n))) {
		if (n < (ssize_t)sizeof(init))
			continue;
		memcpy(&init, p, sizeof(init));
		i = (size_t)(ntohs(init.type == 1 ? init.sport : init.dport) - FIRST_PORT);
		if (i >= pr.n_flows || pr.flows[i].kind != KIND_SCTP)
			continue;
		f = &pr.flows[i];
		if (f->dst.sa.sa_family != r->family)
			continue;
		if (init.type == 1 && f->dst_ns == r->ns && ntohs(init.dport) == f->port)
			sctp_send(w->fd, f, true, init.tag);
		else if (init.type == 2 && f->src_ns == r->ns)
			decide(f, FATE_OK, "");
	}
}

static void ip_ready(struct watch *w, uint32_t events)
{
	struct raw *r = (struct raw *)w;
	struct token t;
	uint8_t buf[2048];
	const uint8_t *p;
	struct flow *f;
	ssize_t n;

	(void)events;
	while ((p = raw_recv(r, buf, sizeof(buf), &n))) {
		if (n < 4 + (ssize_t)sizeof(t))
			continue;
		memcpy(&t, p + 4, sizeof(t));
		f = flow_of(&t, sizeof(t));
		if (f && f->kind == KIND_IP && f->dst_ns == r->ns && f->port == r->proto &&
		    f->dst.sa.sa_family == r->family)
			decide(f, FATE_OK, "");
	}
}

static void icmp_send(const struct flow *f)
{
	int family = f->dst.sa.sa_family;
	struct icmp_echo echo = { .type = family == AF_INET ? 8 : 128,
				  .id = htons((uint16_t)(f - pr.flows)), .token = token_for(f) };
	struct raw *r = raw_socket(f->src_ns, family, family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6,
				   icmp_ready);

	if (family == AF_INET)
		echo.sum = inet_sum(&echo, sizeof(echo));
	(void)send_from(r->watch.fd, f->any_src ? NULL : &f->src, &f->dst, &echo, sizeof(echo));
}

static void ip_send(const struct flow *f)
{
	/* Four zero bytes first: they are a valid plain header for GRE, and nothing to the others. */
	struct {
		uint32_t zero;
		struct token token;
	} p = { .token = token_for(f) };
	struct raw *r = raw_socket(f->src_ns, f->dst.sa.sa_family, f->port, ip_ready);

	(void)send_from(r->watch.fd, f->any_src ? NULL : &f->src, &f->dst, &p, sizeof(p));
}

static void flow_send(struct flow *f)
{
	struct token t = token_for(f);
	struct raw *r;

	switch (f->kind) {
	case KIND_UDP:
		if (send(f->watch.fd, &t, sizeof(t), MSG_NOSIGNAL) < 0 && errno != EAGAIN)
			decide(f, FATE_ERROR, strerror(errno));
		break;
	case KIND_ICMP:
		icmp_send(f);
		break;
	case KIND_SCTP:
		r = raw_socket(f->src_ns, f->dst.sa.sa_family, IPPROTO_SCTP, sctp_ready);
		sctp_send(r->watch.fd, f, false, 0);
		break;
	case KIND_IP:
		ip_send(f);
		break;
	default:
		break; /* the kernel repeats a SYN by itself */
	}
}

static void flow_listen(struct flow *f)
{
	if (f->kind == KIND_TCP)
		listen_for(f, true, accept_stream);
	else if (f->kind == KIND_UDP)
		listen_for(f, false, echo_datagram);
	else if (f->kind == KIND_SCTP && f->dst_ns >= 0)
		raw_socket(f->dst_ns, f->dst.sa.sa_family, IPPROTO_SCTP, sctp_ready);
	else if (f->kind == KIND_IP && f->dst_ns >= 0)
		raw_socket(f->dst_ns, f->dst.sa.sa_family, f->port, ip_ready);
	else if (f->kind == KIND_UDPNEW || f->kind == KIND_TCPNEW)
		die("flow %s: that kind is for flood", f->id);
}

static void drain(double until)
{
	struct epoll_event ev[256];
	double left;
	int n, i;

	while (open_flows && (left = until - now_ms()) > 0) {
		n = epoll_wait(pr.epfd, ev, 256, (int)left + 1);
		for (i = 0; i < n; i++) {
			struct watch *w = ev[i].data.ptr;

			w->ready(w, ev[i].events);
		}
	}
}

int mode_probe(int timeout_ms)
{
	static const char *const words[] = { "blocked", "ok", "error" };
	char line[512];
	double start;
	size_t i, k;

	while (fgets(line, sizeof(line), stdin))
		if (!parse_line(line))
			die("line '%s' is neither ns nor flow", line);
	open_flows = pr.n_flows;
	for (i = 0; i < pr.n_flows; i++)
		flow_listen(&pr.flows[i]);
	for (i = 0; i < pr.n_flows; i++)
		if (pr.flows[i].kind == KIND_TCP || pr.flows[i].kind == KIND_UDP)
			client_open(&pr.flows[i]);
	start = now_ms();
	for (k = 0; k < sizeof(resend_at_ms) / sizeof(resend_at_ms[0]); k++) {
		drain(start + resend_at_ms[k]);
		for (i = 0; i < pr.n_flows; i++)
			if (pr.flows[i].fate == FATE_OPEN)
				flow_send(&pr.flows[i]);
	}
	drain(start + timeout_ms);
	for (i = 0; i < pr.n_flows; i++)
		printf("%s %s %s\n", pr.flows[i].id, words[pr.flows[i].fate], pr.flows[i].why);
	return 0;
}
