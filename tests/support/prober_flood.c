// SPDX-License-Identifier: Apache-2.0
/*
 * Mode flood: numbered packets at a steady rate on every flow until told to stop, and a count of what
 * arrived and what did not. Sockets may be made before their interface exists: what cannot be sent
 * yet is counted as not sent, and tried again with the next packet.
 *
 * Input: ns and flow lines (kinds udp, udpnew, tcpnew), then `go`, answered by "ready". Commands:
 *
 *	report		counts so far, then "end"
 *	stop		stop sending, wait for stragglers, report, leave (so does the end of the input)
 *
 * A report line: "ID sent N received N lost N unsent N first MS last MS at MS,MS..." where first and
 * last are arrivals, `lost` is what was sent and never came, and `at` holds the times of the first
 * lost packets when some arrived at all. Times are of CLOCK_MONOTONIC.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "prober.h"

#define MAX_PACKETS 2000000u
#define PENDING 64u /* connections that tcpnew keeps open at a time */
#define STRAGGLER_MS 500

struct stream {
	uint32_t sent; /* numbers given out */
	uint32_t unsent;
	uint32_t received;
	double *sent_at;
	uint8_t *got;
	uint32_t cap;
	double first, last;
	double due;
	int pending[PENDING];
	uint32_t by_port[65536]; /* tcpnew: number of the connection that has this source port */
};

static double interval_ms;
static bool sending = true;

static void record(struct flow *f, uint32_t seq)
{
	struct stream *s = f->more;

	if (seq >= s->sent || s->got[seq])
		return;
	s->got[seq] = 1;
	s->received++;
	s->last = now_ms();
	if (s->received == 1)
		s->first = s->last;
}

static void datagram_ready(struct watch *w, uint32_t events)
{
	struct token t;
	ssize_t n;

	(void)events;
	while ((n = recv(w->fd, &t, sizeof(t), 0)) >= 0)
		if (n == sizeof(t) && t.magic == TOKEN_MAGIC && t.flow < pr.n_flows)
			record(&pr.flows[t.flow], t.seq);
}

/* A connection is known by its source port; only one tcpnew flow may go to one address and port. */
static void accept_ready(struct watch *w, uint32_t events)
{
	union address to = { 0 }, from = { 0 };
	socklen_t len;
	struct flow *f;
	int fd;

	(void)events;
	for (;;) {
		len = sizeof(from);
		fd = accept4(w->fd, &from.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		len = sizeof(to);
		getsockname(fd, &to.sa, &len);
		close(fd);
		for (f = pr.flows; f < pr.flows + pr.n_flows; f++)
			if (f->kind == KIND_TCPNEW && addr_same(&f->dst, &to) &&
			    f->port == addr_port(&to))
				record(f, ((struct stream *)f->more)->by_port[addr_port(&from)]);
	}
}

static uint32_t next_number(struct stream *s)
{
	if (s->sent == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 1024;
		s->sent_at = need(realloc(s->sent_at, s->cap * sizeof(*s->sent_at)));
		s->got = need(realloc(s->got, s->cap));
		memset(s->got + s->sent, 0, s->cap - s->sent);
	}
	s->sent_at[s->sent] = now_ms();
	return s->sent++;
}

static void take_back(struct stream *s)
{
	s->sent--;
	s->unsent++;
}

static void send_datagram(struct flow *f)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	struct stream *s = f->more;
	struct token t = { .magic = TOKEN_MAGIC, .flow = (uint32_t)(f - pr.flows) };

	/* Dissolving the association gives the source port back; the next send gets another. */
	if (f->kind == KIND_UDPNEW)
		(void)!connect(f->watch.fd, &none, sizeof(none));
	t.seq = next_number(s);
	if (sendto(f->watch.fd, &t, sizeof(t), 0, &f->dst.sa, addr_len(&f->dst)) < 0)
		take_back(s);
}

static void send_connection(struct flow *f)
{
	struct stream *s = f->more;
	int fd = ns_socket(f->src_ns, f->dst.sa.sa_family, SOCK_STREAM, 0);
	uint32_t seq = next_number(s);
	int *slot = &s->pending[seq % PENDING];
	union address own = { 0 };
	socklen_t len = sizeof(own);

	if ((!f->any_src && bind(fd, &f->src.sa, addr_len(&f->src))) ||
	    (connect(fd, &f->dst.sa, addr_len(&f->dst)) && errno != EINPROGRESS)) {
		close(fd);
		take_back(s);
		return;
	}
	getsockname(fd, &own.sa, &len);
	s->by_port[addr_port(&own)] = seq;
	if (*slot)
		close(*slot);
	*slot = fd;
}

static void flow_start(struct flow *f)
{
	struct stream *s = need(calloc(1, sizeof(*s)));

	f->more = s;
	s->due = now_ms();
	if (f->kind == KIND_TCPNEW) {
		listen_for(f, IPPROTO_TCP, accept_ready);
		return;
	}
	if (f->kind != KIND_UDP && f->kind != KIND_UDPNEW)
		die("flow %s: that kind is not for flood", f->id);
	listen_for(f, IPPROTO_UDP, datagram_ready);
	f->watch.fd = ns_socket(f->src_ns, f->dst.sa.sa_family, SOCK_DGRAM, 0);
	if (!f->any_src && bind(f->watch.fd, &f->src.sa, addr_len(&f->src)))
		die("flow %s: bind: %s", f->id, strerror(errno));
}

static void flow_tick(struct flow *f, double now)
{
	struct stream *s = f->more;
	int burst = 0;

	/* After a long sleep the missed packets are sent at once, but not without bound. */
	while (s->due <= now && s->sent < MAX_PACKETS && burst++ < 64) {
		if (f->kind == KIND_TCPNEW)
			send_connection(f);
		else
			send_datagram(f);
		s->due += interval_ms;
	}
	if (s->due <= now)
		s->due = now;
}

static void report(void)
{
	const struct stream *s;
	uint32_t k, shown;
	size_t i;

	for (i = 0; i < pr.n_flows; i++) {
		s = pr.flows[i].more;
		printf("%s sent %u received %u lost %u unsent %u first %.3f last %.3f at ",
		       pr.flows[i].id, s->sent, s->received, s->sent - s->received, s->unsent,
		       s->first, s->last);
		shown = 0;
		for (k = 0; k < s->sent && s->received && shown < 8; k++)
			if (!s->got[k])
				printf("%s%.1f", shown++ ? "," : "", s->sent_at[k]);
		printf("%s\n", shown ? "" : "-");
	}
	puts("end");
	fflush(stdout);
}

static void turn(int timeout_ms)
{
	struct epoll_event ev[128];
	int n = epoll_wait(pr.epfd, ev, 128, timeout_ms), i;

	for (i = 0; i < n; i++) {
		struct watch *w = ev[i].data.ptr;

		w->ready(w, ev[i].events);
	}
}

static void command_ready(struct watch *w, uint32_t events)
{
	char buf[256];
	ssize_t n = read(w->fd, buf, sizeof(buf) - 1);

	(void)events;
	if (n < 0 && errno == EAGAIN)
		return;
	buf[n > 0 ? n : 0] = '\0';
	if (strstr(buf, "report"))
		report();
	if (n <= 0 || strstr(buf, "stop"))
		sending = false;
}

int mode_flood(double rate, int max_ms)
{
	static struct watch commands;
	char line[512];
	double end;
	size_t i;

	if (rate <= 0 || rate > 1e6)
		die("a rate of %g packets a second", rate);
	interval_ms = 1e3 / rate;
	setvbuf(stdin, NULL, _IONBF, 0); /* what follows `go` is read by the loop */
	while (fgets(line, sizeof(line), stdin) && strcmp(line, "go\n"))
		if (!parse_line(line))
			die("line '%s' is neither ns nor flow", line);
	for (i = 0; i < pr.n_flows; i++)
		flow_start(&pr.flows[i]);
	puts("ready");
	fflush(stdout);
	fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
	watch_add(&commands, STDIN_FILENO, EPOLLIN, command_ready);
	end = now_ms() + max_ms;
	while (sending && now_ms() < end) {
		for (i = 0; i < pr.n_flows; i++)
			flow_tick(&pr.flows[i], now_ms());
		turn(interval_ms >= 1 ? 1 : 0);
	}
	sending = false;
	epoll_ctl(pr.epfd, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
	for (end = now_ms() + STRAGGLER_MS; now_ms() < end;)
		turn(10);
	report();
	return 0;
}
