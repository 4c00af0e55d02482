// SPDX-License-Identifier: Apache-2.0
/*
 * Mode hold: keep flows open and use them on request, to see what a change does to them.
 *
 * Commands on stdin, each answered by one line "ID ok|blocked|error WHY":
 *
 *	flow ID tcp|udp ...	name it (prober.h); nothing is sent and nothing is answered
 *	open ID MS		connect; a UDP flow exchanges one datagram
 *	ping ID MS		a message of the client reaches the server and its answer comes back
 *	push ID MS		a message of the server reaches the client
 *	quit
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "prober.h"

struct held {
	int listener;
	int client;
	int server;
	union address peer; /* of a UDP client, as its server sees it */
	uint32_t seq;
};

static void answer(const char *id, int rc)
{
	if (!rc)
		printf("%s ok\n", id);
	else if (rc == ETIMEDOUT)
		printf("%s blocked\n", id);
	else
		printf("%s error %s\n", id, strerror(rc));
	fflush(stdout);
}

static int wait_for(int fd, short events, double until)
{
	struct pollfd p = { .fd = fd, .events = events };
	double left = until - now_ms();

	if (left <= 0 || poll(&p, 1, (int)left + 1) == 0)
		return ETIMEDOUT;
	return 0;
}

/* Wait until exactly this message arrives; older ones of the same flow are passed over. */
static int take(int fd, uint32_t seq, union address *from, double until)
{
	socklen_t len = sizeof(*from);
	struct token t;
	ssize_t n;
	int rc;

	for (;;) {
		rc = wait_for(fd, POLLIN, until);
		if (rc)
			return rc;
		len = sizeof(*from);
		n = recvfrom(fd, &t, sizeof(t), MSG_DONTWAIT, from ? &from->sa : NULL,
			     from ? &len : NULL);
		if (n < 0 && errno == EAGAIN)
			continue;
		if (n <= 0)
			return n ? errno : ECONNRESET;
		if (n == sizeof(t) && t.seq == seq)
			return 0;
	}
}

static int give(const struct flow *f, int fd, uint32_t seq, const union address *to)
{
	struct token t = { .magic = TOKEN_MAGIC, .flow = (uint32_t)(f - pr.flows), .seq = seq };

	if (sendto(fd, &t, sizeof(t), MSG_DONTWAIT | MSG_NOSIGNAL, to ? &to->sa : NULL,
		   to ? addr_len(to) : 0) < 0)
		return errno;
	return 0;
}

static int ping(struct flow *f, struct held *h, double until)
{
	bool udp = f->kind == KIND_UDP;
	uint32_t seq = ++h->seq;
	int rc = give(f, h->client, seq, NULL);

	if (!rc)
		rc = take(udp ? h->listener : h->server, seq, udp ? &h->peer : NULL, until);
	if (!rc)
		rc = give(f, udp ? h->listener : h->server, seq, udp ? &h->peer : NULL);
	if (!rc)
		rc = take(h->client, seq, NULL, until);
	return rc;
}

static int push(struct flow *f, struct held *h, double until)
{
	bool udp = f->kind == KIND_UDP;
	uint32_t seq = ++h->seq;
	int rc = give(f, udp ? h->listener : h->server, seq, udp ? &h->peer : NULL);

	return rc ? rc : take(h->client, seq, NULL, until);
}

static int open_flow(struct flow *f, struct held *h, double until)
{
	int type = f->kind == KIND_UDP ? SOCK_DGRAM : SOCK_STREAM;
	socklen_t len = sizeof(int);
	int soerr = 0, rc;

	h->listener = ns_socket(f->dst_ns, f->dst.sa.sa_family, type, 0);
	h->client = ns_socket(f->src_ns, f->dst.sa.sa_family, type, 0);
	if (bind(h->listener, &f->dst.sa, addr_len(&f->dst)) ||
	    (type == SOCK_STREAM && listen(h->listener, 8)))
		return errno;
	if (!f->any_src && bind(h->client, &f->src.sa, addr_len(&f->src)))
		return errno;
	if (connect(h->client, &f->dst.sa, addr_len(&f->dst)) && errno != EINPROGRESS)
		return errno;
	if (type == SOCK_DGRAM)
		return ping(f, h, until);
	rc = wait_for(h->client, POLLOUT, until);
	if (!rc)
		rc = wait_for(h->listener, POLLIN, until);
	if (rc)
		return rc;
	getsockopt(h->client, SOL_SOCKET, SO_ERROR, &soerr, &len);
	if (soerr)
		return soerr;
	h->server = accept4(h->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	return h->server < 0 ? errno : 0;
}

static void command(const char *verb, const char *id, int ms)
{
	int i = find_flow(id);
	double until = now_ms() + patience(ms);
	struct flow *f = &pr.flows[i < 0 ? 0 : i];

	if (i < 0 || (strcmp(verb, "open") && !f->more)) {
		answer(id, ENOENT);
	} else if (!strcmp(verb, "open")) {
		f->more = need(calloc(1, sizeof(struct held)));
		answer(id, open_flow(f, f->more, until));
	} else if (!strcmp(verb, "ping")) {
		answer(id, ping(f, f->more, until));
	} else if (!strcmp(verb, "push")) {
		answer(id, push(f, f->more, until));
	} else {
		answer(id, EINVAL);
	}
}

int mode_hold(void)
{
	char line[512], verb[16], id[128];
	int ms;

	while (fgets(line, sizeof(line), stdin)) {
		if (parse_line(line))
			continue;
		if (sscanf(line, "%15s %127s %d", verb, id, &ms) == 3)
			command(verb, id, ms);
		else if (!strncmp(line, "quit", 4))
			break;
		else
			die("'%s' is no command", line);
	}
	return 0;
}
