// SPDX-License-Identifier: Apache-2.0
/*
 * knock.c - what the pods of the fault suites run: it answers, tries, and tells what became of it.
 *
 *     knock [-l PORT] [-i MS] [-a ADDRESS:PORT]... [-f ADDRESS:PORT]... [-s FIRST+COUNT:PORT]...
 *
 *     -l  answer there, TCP and UDP, and count who came: what may, and what may not
 *     -i  milliseconds between two tries (50)
 *     -a  what is allowed: each time a new connection and a datagram, and one connection that stays
 *     -f  what is forbidden: each time a new connection and a datagram
 *     -s  what is forbidden, at COUNT addresses from FIRST on: each time a datagram to all of them,
 *         and a connection to each fourth, for a container has 1024 descriptors
 *
 * Every message says in its first byte whether its sender takes it for allowed ('A') or forbidden
 * ('F'): a server that counts an 'F' has met what no rule let through, answer or not.
 *
 * One line of JSON at the start and then each second, all counts since the start. An allowed try
 * that has no answer after LATE_MS is lost; a forbidden one is given up after GIVEN_UP_MS.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LATE_MS 10000
#define GIVEN_UP_MS 1500
#define TARGETS 8
#define ADDRESSES 1024
#define RING 1024 /* datagrams under way: more than LATE_MS holds at the shortest interval */
#define SHORTEST_MS 20

enum what { LISTEN, SERVED, DATAGRAMS, TRY, STREAM, ANSWERS };

struct target;

struct sock {
	enum what what;
	int fd;
	int64_t since;
	struct target *target;
	struct sock *prev, *next; /* TRY: oldest first */
	bool sent;
};

struct target {
	char kind; /* 'A' or 'F' */
	struct sockaddr_in first;
	unsigned int count;
	struct sock *answers;
	struct sock *stream;
	uint64_t tried, passed, lost; /* connections */
	uint64_t sent, back, missing; /* datagrams */
	uint64_t said, heard, broken; /* messages on the connection that stays, and its ends */
	int64_t asked, worst; /* when its last message went, and the longest wait for an answer */
	struct {
		int64_t at; /* 0: answered, or never sent */
	} ring[RING];
	uint64_t oldest;
};

struct message {
	char kind;
	char pad[7];
	uint64_t number;
};

static struct target targets[TARGETS];
static int n_targets;
static struct sock head = { .prev = &head, .next = &head };
static uint64_t served_a, served_f;
static int ep;

static int64_t now_ms(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static struct sock *add(int fd, enum what what, struct target *t, uint32_t events)
{
	struct sock *s = calloc(1, sizeof(*s));
	struct epoll_event ev = { .events = events, .data.ptr = s };

	if (!s)
		die("calloc");
	*s = (struct sock){ .what = what, .fd = fd, .target = t, .since = now_ms(CLOCK_MONOTONIC) };
	if (what == TRY) {
		s->prev = head.prev;
		s->next = &head;
		head.prev->next = s;
		head.prev = s;
	}
	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) != 0)
		die("epoll_ctl");
	return s;
}

static void drop(struct sock *s)
{
	if (s->what == TRY) {
		s->prev->next = s->next;
		s->next->prev = s->prev;
	}
	if (s->target && s->target->stream == s)
		s->target->stream = NULL;
	close(s->fd);
	free(s);
}

/* ---- answering ------------------------------------------------------------------------------- */

static void listen_on(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int one = 1;
	int tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (tcp < 0 || udp < 0)
		die("socket");
	setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(tcp, (void *)&a, sizeof(a)) || bind(udp, (void *)&a, sizeof(a)) ||
	    listen(tcp, 512))
		die("listen");
	add(tcp, LISTEN, NULL, EPOLLIN);
	add(udp, DATAGRAMS, NULL, EPOLLIN);
}

static void count(const char *buf, ssize_t n)
{
	if (n > 0 && buf[0] == 'A')
		served_a++;
	else if (n > 0 && buf[0] == 'F')
		served_f++;
}

static void on_listen(struct sock *s)
{
	int fd;

	while ((fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		add(fd, SERVED, NULL, EPOLLIN);
}

static void on_served(struct sock *s)
{
	char buf[4096];
	ssize_t n = read(s->fd, buf, sizeof(buf));

	if (n < 0 && errno == EAGAIN)
		return;
	count(buf, n);
	if (n <= 0 || write(s->fd, buf, n) != n)
		drop(s);
}

static void on_datagrams(struct sock *s)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char buf[256];
	ssize_t n;

	while ((n = recvfrom(s->fd, buf, sizeof(buf), 0, (void *)&from, &len)) >= 0) {
		count(buf, n);
		sendto(s->fd, buf, n, 0, (void *)&from, len);
		len = sizeof(from);
	}
}

/* ---- trying ---------------------------------------------------------------------------------- */

static struct sockaddr_in address(const struct target *t, unsigned int i)
{
	struct sockaddr_in a = t->first;

	a.sin_addr.s_addr = htonl(ntohl(a.sin_addr.s_addr) + i);
	return a;
}

static struct sock *begin(struct target *t, const struct sockaddr_in *to, enum what what)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket"); /* what is not tried must not count */
	if (connect(fd, (const void *)to, sizeof(*to)) != 0 && errno != EINPROGRESS) {
		close(fd);
		return NULL;
	}
	return add(fd, what, t, EPOLLOUT);
}

static void try_all(struct target *t, uint64_t round, int64_t now)
{
	struct message m = { .kind = t->kind, .number = t->sent };
	struct sockaddr_in to;

	for (unsigned int i = 0; i < t->count; i++) {
		to = address(t, i);
		if (t->count == 1 || i % 4 == round % 4) {
			t->tried++;
			if (!begin(t, &to, TRY))
				t->lost++;
		}
		if (t->count == 1)
			t->ring[t->sent % RING].at = now;
		m.number = t->sent++;
		sendto(t->answers->fd, &m, sizeof(m), 0, (void *)&to, sizeof(to));
	}
	if (t->kind != 'A')
		return;
	if (!t->stream)
		t->stream = begin(t, &t->first, STREAM);
	if (t->stream && t->stream->sent && t->said == t->heard) {
		m = (struct message){ .kind = 'A', .number = t->said };
		t->asked = now;
		if (write(t->stream->fd, &m, sizeof(m)) == sizeof(m))
			t->said++;
	}
}

static bool connected(struct sock *s)
{
	socklen_t len = sizeof(int);
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = s };
	int err = 0;

	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0 || err)
		return false;
	s->sent = true;
	epoll_ctl(ep, EPOLL_CTL_MOD, s->fd, &ev);
	return true;
}

static void on_try(struct sock *s)
{
	struct message m = { .kind = s->target->kind };

	if (!s->sent) {
		if (connected(s) && write(s->fd, &m, sizeof(m)) == sizeof(m)) {
			/* A forbidden connection has done harm before anything is said on it. */
			s->target->passed += s->target->kind == 'F';
			return;
		}
	} else if (read(s->fd, &m, sizeof(m)) == sizeof(m)) {
		s->target->passed += s->target->kind == 'A';
		drop(s);
		return;
	}
	s->target->lost++;
	drop(s);
}

static void on_stream(struct sock *s)
{
	struct target *t = s->target;
	struct message m;
	int64_t waited;

	if (!s->sent) {
		if (!connected(s)) {
			t->broken++;
			drop(s);
		}
		return;
	}
	if (read(s->fd, &m, sizeof(m)) != sizeof(m)) {
		t->broken++;
		t->heard = t->said;
		drop(s);
		return;
	}
	t->heard++;
	waited = now_ms(CLOCK_MONOTONIC) - t->asked;
	if (waited > t->worst)
		t->worst = waited;
}

static void on_answers(struct sock *s)
{
	struct target *t = s->target;
	struct message m;

	while (recv(s->fd, &m, sizeof(m), 0) == sizeof(m)) {
		if (t->count == 1 && t->sent - m.number < RING) {
			if (!t->ring[m.number % RING].at)
				continue; /* twice, or after it was given up */
			t->ring[m.number % RING].at = 0;
		}
		t->back++;
	}
}

static void give_up(int64_t now)
{
	for (struct sock *s = head.next, *next; s != &head; s = next) {
		next = s->next;
		if (now - s->since > (s->target->kind == 'A' ? LATE_MS : GIVEN_UP_MS)) {
			s->target->lost++;
			drop(s);
		}
	}
	for (struct target *t = targets; t < targets + n_targets; t++) {
		if (t->stream && !t->stream->sent && now - t->stream->since > LATE_MS) {
			t->broken++;
			drop(t->stream);
		}
		if (t->stream && t->said > t->heard && now - t->asked > t->worst)
			t->worst = now - t->asked;
		for (; t->count == 1 && t->oldest < t->sent; t->oldest++) {
			int64_t at = t->ring[t->oldest % RING].at;

			if (at && now - at <= LATE_MS)
				break;
			t->missing += at != 0;
			t->ring[t->oldest % RING].at = 0;
		}
	}
}

/* ---- telling --------------------------------------------------------------------------------- */

static void tell_one(const char *name, uint64_t n)
{
	printf(", \"%s\": %llu", name, (unsigned long long)n);
}

static void tell(uint64_t rounds)
{
	char to[INET_ADDRSTRLEN];

	printf("{\"t\": %lld", (long long)now_ms(CLOCK_REALTIME));
	tell_one("rounds", rounds);
	printf(", \"served\": {\"A\": %llu, \"F\": %llu}, \"targets\": [",
	       (unsigned long long)served_a, (unsigned long long)served_f);
	for (struct target *t = targets; t < targets + n_targets; t++) {
		inet_ntop(AF_INET, &t->first.sin_addr, to, sizeof(to));
		printf("%s{\"kind\": \"%c\", \"to\": \"%s:%d\"", t == targets ? "" : ", ", t->kind,
		       to, ntohs(t->first.sin_port));
		tell_one("tried", t->tried);
		tell_one("passed", t->passed);
		tell_one("lost", t->lost);
		tell_one("sent", t->sent);
		tell_one("back", t->back);
		tell_one("missing", t->missing);
		tell_one("heard", t->heard);
		tell_one("broken", t->broken);
		tell_one("worst", t->worst);
		printf("}");
	}
	printf("]}\n");
	fflush(stdout);
}

static void add_target(char option, char *text)
{
	struct target *t = &targets[n_targets];
	char *colon = strrchr(text, ':');
	char *plus = strchr(text, '+');
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (++n_targets > TARGETS || !colon || fd < 0)
		die(text);
	*colon = '\0';
	if (plus)
		*plus = '\0';
	t->kind = option == 'a' ? 'A' : 'F';
	t->count = plus ? strtoul(plus + 1, NULL, 10) : 1;
	t->first.sin_family = AF_INET;
	t->first.sin_port = htons(strtoul(colon + 1, NULL, 10));
	if (inet_pton(AF_INET, text, &t->first.sin_addr) != 1 || t->count < 1 ||
	    t->count > ADDRESSES || (option == 's') != (plus != NULL))
		die(text);
	t->answers = add(fd, ANSWERS, t, EPOLLIN);
}

static void on_event(struct sock *s)
{
	static void (*const on[])(struct sock *) = {
		[LISTEN] = on_listen, [SERVED] = on_served, [DATAGRAMS] = on_datagrams,
		[TRY] = on_try, [STREAM] = on_stream, [ANSWERS] = on_answers,
	};

	on[s->what](s);
}

int main(int argc, char **argv)
{
	struct rlimit files;
	struct epoll_event ev[64];
	int64_t every = 50, next, told = 0, now;
	uint64_t rounds = 0;
	int c, n;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	ep = epoll_create1(EPOLL_CLOEXEC);
	while ((c = getopt(argc, argv, "l:i:a:f:s:")) != -1) {
		if (c == 'l')
			listen_on(strtoul(optarg, NULL, 10));
		else if (c == 'i')
			every = strtol(optarg, NULL, 10);
		else if (c == '?')
			return 2;
		else
			add_target(c, optarg);
	}
	if (every < SHORTEST_MS)
		return 2;
	next = now_ms(CLOCK_MONOTONIC);
	for (;;) {
		now = now_ms(CLOCK_MONOTONIC);
		if (now >= next && n_targets) {
			for (struct target *t = targets; t < targets + n_targets; t++)
				try_all(t, rounds, now);
			rounds++;
			next = now + every;
		}
		give_up(now);
		if (now - told >= 1000) {
			tell(rounds);
			told = now;
		}
		/* One at a time: what one closes must not come up again in the same harvest. */
		do {
			n = epoll_wait(ep, ev, 1, 0);
			if (n > 0)
				on_event(ev[0].data.ptr);
		} while (n > 0);
		now = now_ms(CLOCK_MONOTONIC);
		n = n_targets && next - now < 200 ? next - now : 200;
		epoll_wait(ep, ev, 1, n > 0 ? n : 0);
	}
}
