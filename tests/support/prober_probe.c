// SPDX-License-Identifier: Apache-2.0
/*
 * Mode probe: try every flow once, all at the same time. What has no answer yet is given up when
 * nothing has arrived anywhere for the rest of the time asked for, counted from the last try.
 * Silence is counted in short slices, each of which ends in a look at every socket: a pause of the
 * whole machine counts as one slice.
 *
 * Output: "ID ok|blocked|error WHY", one line a flow in the order of the input. `ok` means that the
 * packet arrived at the other end and that its answer came back (KIND_IP: that it arrived). `blocked` means silence;
 * whatever else happens (a reset, an ICMP error) is an `error`, for a policy only ever drops.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "prober_stream.h"

#define FIRST_PORT 20000 /* of raw SCTP: one a flow */

#define SLICE_MS 50
#define LEAST_MS 300 /* of silence, however long the tries took */
#define LOUDEST 20   /* times the silence asked for: then it ends, whatever still arrives */

static const int resend_at_ms[] = { 0, 100, 300, 700 };
static size_t open_flows;
static bool real_sctp; /* associations of the kernel's; else an INIT made by hand, and its answer */

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

/* ---- clients with sockets: TCP, UDP, SCTP where the kernel has it ---------------------------- */

static int socket_proto(const struct flow *f)
{
	if (f->kind == KIND_SCTP)
		return real_sctp ? IPPROTO_SCTP : 0;
	if (f->kind == KIND_TCP)
		return IPPROTO_TCP;
	return f->kind == KIND_UDP ? IPPROTO_UDP : 0;
}

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
	} else if (f->kind != KIND_UDP && !f->connected) {
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
	bool udp = f->kind == KIND_UDP;
	int fd = ns_socket(f->src_ns, f->dst.sa.sa_family, udp ? SOCK_DGRAM : SOCK_STREAM,
			   socket_proto(f));

	f->watch.fd = fd;
	if ((!f->any_src && bind(fd, &f->src.sa, addr_len(&f->src))) ||
	    (connect(fd, &f->dst.sa, addr_len(&f->dst)) && errno != EINPROGRESS)) {
		decide(f, FATE_ERROR, strerror(errno));
		return;
	}
	watch_add(&f->watch, fd, udp ? EPOLLIN : EPOLLOUT, client_ready);
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

/* Zero bytes first: they are a valid plain header for GRE, for UDP-Lite with a sum, and nothing to the others. */
struct plain {
	uint16_t zero[3];
	uint16_t sum;
	struct token token;
};

/*
 * Conntrack takes no UDP-Lite without a sum that it finds right, and it reckons with UDP's number in the pseudo header
 * (nf_conntrack_proto_udp.c, udplite_error). So must we; coverage 0 is all of it.
 */
static void udplite_sum(const struct flow *f, struct plain *p)
{
	bool four = f->dst.sa.sa_family == AF_INET;
	size_t len = four ? 4 : 16, n = 2 * len;
	uint8_t b[2 * 16 + 8 + sizeof(*p)] = { 0 };

	memcpy(b, four ? (const void *)&f->src.in.sin_addr : &f->src.in6.sin6_addr, len);
	memcpy(b + len, four ? (const void *)&f->dst.in.sin_addr : &f->dst.in6.sin6_addr, len);
	b[n + 3] = sizeof(*p);
	b[n + 7] = IPPROTO_UDP;
	memcpy(b + n + 8, p, sizeof(*p));
	p->sum = inet_sum(b, n + 8 + sizeof(*p));
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
		if (n < (ssize_t)sizeof(struct plain))
			continue;
		memcpy(&t, p + offsetof(struct plain, token), sizeof(t));
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
	struct plain p = { .token = token_for(f) };
	struct raw *r = raw_socket(f->src_ns, f->dst.sa.sa_family, f->port, ip_ready);

	if (f->port == IPPROTO_UDPLITE && !f->any_src)
		udplite_sum(f, &p);
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
		if (real_sctp)
			break; /* it repeats an INIT too */
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
	if (f->kind == KIND_UDP)
		listen_for(f, IPPROTO_UDP, echo_datagram);
	else if (socket_proto(f))
		listen_for(f, socket_proto(f), accept_stream);
	else if (f->kind == KIND_SCTP && f->dst_ns >= 0)
		raw_socket(f->dst_ns, f->dst.sa.sa_family, IPPROTO_SCTP, sctp_ready);
	else if (f->kind == KIND_IP && f->dst_ns >= 0)
		raw_socket(f->dst_ns, f->dst.sa.sa_family, f->port, ip_ready);
	else if (f->kind == KIND_UDPNEW || f->kind == KIND_TCPNEW)
		die("flow %s: that kind is for flood", f->id);
}

/* How many sockets had something. */
static int turn(double ms)
{
	struct epoll_event ev[256];
	int n = epoll_wait(pr.epfd, ev, 256, (int)ms), i;

	for (i = 0; i < n; i++) {
		struct watch *w = ev[i].data.ptr;

		w->ready(w, ev[i].events);
	}
	return n;
}

static void drain(double until)
{
	double left;

	while (open_flows && (left = until - now_ms()) > 0)
		(void)turn(left + 1);
}

static void drain_until_silence(double ms)
{
	double silent = 0, end = now_ms() + LOUDEST * ms;

	while (open_flows && silent < ms && now_ms() < end)
		silent = turn(SLICE_MS) > 0 ? 0 : silent + SLICE_MS;
}

int mode_probe(int timeout_ms)
{
	static const char *const words[] = { "blocked", "ok", "error" };
	char line[512];
	double start, left;
	size_t i, k;

	while (fgets(line, sizeof(line), stdin))
		if (!parse_line(line))
			die("line '%s' is neither ns nor flow", line);
	open_flows = pr.n_flows;
	real_sctp = kernel_has_sctp();
	for (i = 0; i < pr.n_flows; i++)
		flow_listen(&pr.flows[i]);
	for (i = 0; i < pr.n_flows; i++)
		if (socket_proto(&pr.flows[i]))
			client_open(&pr.flows[i]);
	start = now_ms();
	for (k = 0; k < sizeof(resend_at_ms) / sizeof(resend_at_ms[0]); k++) {
		drain(start + resend_at_ms[k]);
		for (i = 0; i < pr.n_flows; i++)
			if (pr.flows[i].fate == FATE_OPEN)
				flow_send(&pr.flows[i]);
	}
	left = timeout_ms - (now_ms() - start);
	drain_until_silence(patience(left > LEAST_MS ? left : LEAST_MS));
	for (i = 0; i < pr.n_flows; i++)
		printf("%s %s %s\n", pr.flows[i].id, words[pr.flows[i].fate], pr.flows[i].why);
	return 0;
}
