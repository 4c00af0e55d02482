// SPDX-License-Identifier: Apache-2.0
/*
 * Mode stream: established flows with numbered packets at a steady rate in both directions, to see what a
 * change does to them: whether a single one passes after it, and whether others lose one.
 *
 * Input: ns and flow lines (kinds tcp, udp, sctp, icmp; every flow has a port of its own at its server), then
 * `go`, answered by "ready raw" or "ready socket" (how SCTP is spoken). The server listens on every address,
 * so that DST may be a virtual one. Then, each answered by one line or by a report:
 *
 *	open MS		wait until every flow works both ways: "open N of M"
 *	mark		take what has arrived; from now on `since` counts what is sent after this: "marked"
 *	report		two lines a flow, then "end"
 *	stop		stop sending, wait for stragglers, report, leave (so does the end of the input)
 *
 * A line: "ID up|down open 0|1 sent N received N unsent N again N since N of N first MS last MS holes I:N,...".
 * `again` is what TCP had to send again because it was lost. `holes`, after a stop, is what never came, by the
 * marks given before it was sent: "0:3,2:1" are three packets before the first mark, one after the second.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "prober_stream.h"

#define ECHO_ID 0x4000u
#define STRAGGLER_MS 3000

struct echo {
	uint8_t type, code;
	uint16_t sum, id, seq;
	struct token token;
};

static double interval_ms;
static bool sending = true, real_sctp;
static double open_until; /* an `open` that waits */
static uint32_t n_marks;

struct token stream_token(const struct flow *f, enum way way)
{
	return (struct token){ .magic = TOKEN_MAGIC,
			       .flow = (uint32_t)(f - pr.flows),
			       .seq = live_of(f)->tally[way].sent,
			       .pad = way };
}

void stream_arrived(const struct token *t)
{
	struct tally *y;

	if (t->magic != TOKEN_MAGIC || t->flow >= pr.n_flows || t->pad >= WAYS)
		return;
	y = &live_of(&pr.flows[t->flow])->tally[t->pad];
	if (t->seq >= y->cap || y->got[t->seq])
		return;
	y->got[t->seq] = 1;
	y->received++;
	if (t->seq < y->mark)
		return;
	y->last = now_ms();
	if (!y->since++)
		y->first = y->last;
}

/* ---- UDP and ICMP ---------------------------------------------------------------------------- */

static void from_server(struct watch *w, uint32_t events)
{
	struct token t;
	ssize_t n;

	(void)events;
	while ((n = recv(w->fd, &t, sizeof(t), 0)) >= 0 || errno == ECONNREFUSED)
		if (n == sizeof(t))
			stream_arrived(&t);
}

static void from_client(struct watch *w, uint32_t events)
{
	struct live *l = (struct live *)w; /* its first member */
	socklen_t len = sizeof(l->peer);
	struct token t;
	ssize_t n;

	(void)events;
	while ((n = recvfrom(w->fd, &t, sizeof(t), 0, &l->peer.sa, &len)) >= 0 ||
	       errno == ECONNREFUSED) {
		len = sizeof(l->peer);
		if (n != sizeof(t))
			continue;
		l->open = true;
		stream_arrived(&t);
	}
}

static void any_address(const struct flow *f, union address *out)
{
	memset(out, 0, sizeof(*out));
	out->sa.sa_family = f->dst.sa.sa_family;
	addr_set_port(out, f->port);
}

static void udp_start(struct flow *f)
{
	struct live *l = live_of(f);
	int family = f->dst.sa.sa_family;
	int c = ns_socket(f->src_ns, family, SOCK_DGRAM, 0);
	int s = ns_socket(f->dst_ns, family, SOCK_DGRAM, 0);
	union address any;

	any_address(f, &any);
	if (bind(s, &any.sa, addr_len(&any)) ||
	    (!f->any_src && bind(c, &f->src.sa, addr_len(&f->src))))
		die("flow %s: bind: %s", f->id, strerror(errno));
	(void)connect(c, &f->dst.sa, addr_len(&f->dst)); /* later, when there is no route yet */
	watch_add(&f->watch, c, EPOLLIN, from_server);
	watch_add(&l->server, s, EPOLLIN, from_client);
}

static bool udp_send(struct flow *f, enum way way)
{
	struct live *l = live_of(f);
	struct token t = stream_token(f, way);

	if (way == UP)
		return sendto(f->watch.fd, &t, sizeof(t), 0, &f->dst.sa, addr_len(&f->dst)) >= 0;
	return sendto(l->server.fd, &t, sizeof(t), 0, &l->peer.sa, addr_len(&l->peer)) >= 0;
}

static void echo_one(const struct raw *r, const struct echo *e, const union address *from)
{
	uint32_t i = ntohs(e->id) - ECHO_ID;
	bool up = e->type == 8 || e->type == 128;
	struct flow *f = &pr.flows[i < pr.n_flows ? i : 0];

	/* The kernel's own answers carry the token of the question: not counted. */
	if (i >= pr.n_flows || f->kind != KIND_ICMP || e->token.flow != i ||
	    f->dst.sa.sa_family != r->family || e->token.pad != (up ? UP : DOWN) ||
	    r->ns != (up ? f->dst_ns : f->src_ns))
		return;
	if (up) {
		live_of(f)->peer = *from;
		live_of(f)->open = true;
	}
	stream_arrived(&e->token);
}

static void echo_ready(struct watch *w, uint32_t events)
{
	struct raw *r = (struct raw *)w;
	union address from = { 0 };
	socklen_t len = sizeof(from);
	uint8_t buf[2048];
	struct echo e;
	size_t at;
	ssize_t n;

	(void)events;
	while ((n = recvfrom(w->fd, buf, sizeof(buf), 0, &from.sa, &len)) >= 0) {
		len = sizeof(from);
		at = r->family == AF_INET ? (size_t)(buf[0] & 15) * 4 : 0;
		if ((size_t)n < at + sizeof(e))
			continue;
		memcpy(&e, buf + at, sizeof(e));
		echo_one(r, &e, &from);
	}
}

static bool echo_send(struct flow *f, enum way way)
{
	const struct live *l = live_of(f);
	int family = f->dst.sa.sa_family;
	int proto = family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	struct echo e = { .type = family == AF_INET ? 8 : 128,
			  .id = htons((uint16_t)(ECHO_ID + (unsigned int)(f - pr.flows))),
			  .seq = htons((uint16_t)l->tally[way].sent),
			  .token = stream_token(f, way) };
	struct raw *r = raw_socket(way == UP ? f->src_ns : f->dst_ns, family, proto, echo_ready);

	if (way == DOWN)
		e.type = family == AF_INET ? 0 : 129;
	if (family == AF_INET)
		e.sum = inet_sum(&e, sizeof(e));
	return send_from(r->watch.fd, way == UP && !f->any_src ? &f->src : NULL,
			 way == UP ? &f->dst : &l->peer, &e, sizeof(e)) >= 0;
}

/* ---- all ------------------------------------------------------------------------------------- */

static void flow_start(struct flow *f)
{
	struct live *l = need(calloc(1, sizeof(*l)));

	f->more = l;
	l->f = f;
	if (f->dst_ns < 0)
		die("flow %s: it needs a server", f->id);
	switch (f->kind) {
	case KIND_UDP:
		udp_start(f);
		break;
	case KIND_ICMP: /* both ends listen before anything is sent */
		for (int end = 0; end < 2; end++)
			raw_socket(end ? f->src_ns : f->dst_ns, f->dst.sa.sa_family,
				   f->dst.sa.sa_family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6,
				   echo_ready);
		break;
	case KIND_TCP:
		conn_start(f, IPPROTO_TCP);
		break;
	case KIND_SCTP:
		if (real_sctp)
			conn_start(f, IPPROTO_SCTP);
		else
			assoc_start(f);
		break;
	default:
		die("flow %s: that kind is not for stream", f->id);
	}
}

static bool send_one(struct flow *f, enum way way)
{
	switch (f->kind) {
	case KIND_UDP:
		return udp_send(f, way);
	case KIND_ICMP:
		return echo_send(f, way);
	case KIND_SCTP:
		return real_sctp ? conn_send(f, way) : assoc_send(f, way);
	default:
		return conn_send(f, way);
	}
}

static void number(struct flow *f, enum way way)
{
	struct tally *y = &live_of(f)->tally[way];

	if (y->sent == y->cap) {
		y->cap = y->cap ? y->cap * 2 : 1024;
		y->got = need(realloc(y->got, y->cap));
		memset(y->got + y->sent, 0, y->cap - y->sent);
	}
	if (send_one(f, way))
		y->sent++;
	else
		y->unsent++;
}

static void tick(void)
{
	static double due;
	double now = now_ms();
	int burst = 0;

	/* After a long sleep the missed packets are sent at once, but not without bound. */
	if (!due)
		due = now;
	for (; due <= now && burst < 16; due += interval_ms, burst++)
		for (struct flow *f = pr.flows; f < pr.flows + pr.n_flows; f++) {
			if (!live_of(f)->open && f->kind == KIND_SCTP && !real_sctp)
				assoc_retry(f);
			/* What has no handshake opens by its first packet. */
			if (live_of(f)->open || f->kind == KIND_UDP || f->kind == KIND_ICMP)
				number(f, UP);
			if (live_of(f)->open)
				number(f, DOWN);
		}
	if (due <= now)
		due = now;
}

static int turn(int timeout_ms)
{
	struct epoll_event ev[128];
	int n = epoll_wait(pr.epfd, ev, 128, timeout_ms), i;

	for (i = 0; i < n; i++) {
		struct watch *w = ev[i].data.ptr;

		w->ready(w, ev[i].events);
	}
	return n;
}

static void print_holes(const struct tally *y)
{
	uint32_t missing, shown = 0;

	for (uint32_t i = 0; i <= n_marks; i++) {
		uint32_t end = i < n_marks ? y->marks[i] : y->sent;

		missing = 0;
		for (uint32_t k = i ? y->marks[i - 1] : 0; k < end; k++)
			missing += !y->got[k];
		if (missing)
			printf("%s%u:%u", shown++ ? "," : "", i, missing);
	}
	puts(shown ? "" : "-");
}

static void report(bool last)
{
	static const char *const names[WAYS] = { "up", "down" };

	for (const struct flow *f = pr.flows; f < pr.flows + pr.n_flows; f++)
		for (int way = UP; way < WAYS; way++) {
			const struct tally *y = &live_of(f)->tally[way];

			printf("%s %s open %d sent %u received %u unsent %u again %u since %u of "
			       "%u first %.3f last %.3f holes ",
			       f->id, names[way], live_of(f)->open, y->sent, y->received, y->unsent,
			       f->kind == KIND_TCP ? conn_lost(f, way) : 0, y->since,
			       y->sent - y->mark, y->first, y->last);
			if (last)
				print_holes(y);
			else
				puts("-");
		}
	puts("end");
	fflush(stdout);
}

static void mark(void)
{
	if (n_marks >= MOST_MARKS)
		die("more than %d marks", MOST_MARKS);
	for (int i = 0; i < 64; i++)
		if (turn(0) <= 0)
			break;
	for (struct flow *f = pr.flows; f < pr.flows + pr.n_flows; f++)
		for (int way = UP; way < WAYS; way++) {
			struct tally *y = &live_of(f)->tally[way];

			y->marks[n_marks] = y->mark = y->sent;
			y->since = 0;
			y->first = y->last = 0;
		}
	n_marks++;
	puts("marked");
	fflush(stdout);
}

/* Open is what has been heard at both ends. */
static void answer_open(void)
{
	size_t n = 0;

	for (struct flow *f = pr.flows; f < pr.flows + pr.n_flows; f++)
		n += live_of(f)->tally[UP].received && live_of(f)->tally[DOWN].received;
	if (n < pr.n_flows && now_ms() < open_until)
		return;
	printf("open %zu of %zu\n", n, pr.n_flows);
	fflush(stdout);
	open_until = 0;
}

static void command_ready(struct watch *w, uint32_t events)
{
	static bool busy;
	char buf[256];
	ssize_t n;

	(void)events;
	if (busy) /* mark() turns the loop */
		return;
	n = read(w->fd, buf, sizeof(buf) - 1);
	if (n < 0 && errno == EAGAIN)
		return;
	buf[n > 0 ? n : 0] = '\0';
	busy = true;
	if (!strncmp(buf, "open ", 5))
		open_until = now_ms() + atof(buf + 5);
	else if (!strcmp(buf, "mark\n"))
		mark();
	else if (!strcmp(buf, "report\n"))
		report(false);
	else
		sending = false;
	busy = false;
}

static bool all_there(void)
{
	for (struct flow *f = pr.flows; f < pr.flows + pr.n_flows; f++)
		for (int way = UP; way < WAYS; way++)
			if (live_of(f)->tally[way].received < live_of(f)->tally[way].sent)
				return false;
	return true;
}

int mode_stream(double rate)
{
	static struct watch commands;
	char line[512];
	double end;

	if (rate <= 0 || rate > 1e5)
		die("a rate of %g packets a second", rate);
	interval_ms = 1e3 / rate;
	real_sctp = kernel_has_sctp();
	setvbuf(stdin, NULL, _IONBF, 0); /* what follows `go` is read by the loop */
	while (fgets(line, sizeof(line), stdin) && strcmp(line, "go\n"))
		if (!parse_line(line))
			die("line '%s' is neither ns nor flow", line);
	for (size_t i = 0; i < pr.n_flows; i++)
		flow_start(&pr.flows[i]);
	printf("ready %s\n", real_sctp ? "socket" : "raw");
	fflush(stdout);
	fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
	watch_add(&commands, STDIN_FILENO, EPOLLIN, command_ready);
	while (sending) {
		tick();
		turn(interval_ms >= 1 ? 1 : 0);
		if (open_until)
			answer_open();
	}
	epoll_ctl(pr.epfd, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
	for (end = now_ms() + STRAGGLER_MS; now_ms() < end && !all_there();)
		turn(10);
	report(true);
	return 0;
}
