// SPDX-License-Identifier: Apache-2.0
/* flows.c - datagrams, connections and streams between two namespaces; see flows.h. */
#include "tests/bench/flows.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "tests/bench/benchkit.h"

#define SMALL 18
#define BATCH 64
#define PATIENCE 3 /* times the least, until a measurement on a busy machine is over */
#define CHUNK (256u * 1024u)
#define WAIT_MS 1000
#define QUIET_MS 300
#define LATE_US 2000 /* for what is still on its way */
#define BUFFER (4 * 1024 * 1024)

static struct sockaddr_in server_addr(const struct fl_path *p)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(p->port) };

	memcpy(&a.sin_addr, p->server.b, 4);
	return a;
}

/* In the namespace that the caller is in. */
static int new_socket(int type)
{
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		bench_die("socket: %s", strerror(errno));
	return fd;
}

static int listen_at(const struct fl_path *p, int type)
{
	struct sockaddr_in a = server_addr(p);
	int fd, one = 1, size = BUFFER;

	bk_ns_enter(p->server_ns);
	fd = new_socket(type);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (type == SOCK_DGRAM)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (bind(fd, (void *)&a, sizeof(a)) < 0 || (type == SOCK_STREAM && listen(fd, 64) < 0))
		bench_die("bind port %u: %s", p->port, strerror(errno));
	return fd;
}

/* A client's socket on its way; the caller is in the client's namespace. */
static int dial(const struct fl_path *p, int type)
{
	struct sockaddr_in a = server_addr(p);
	int fd = new_socket(type);

	if (connect(fd, (void *)&a, sizeof(a)) == 0 || errno == EINPROGRESS)
		return fd;
	close(fd);
	return -1;
}

static bool ready(int fd, short what, int ms)
{
	struct pollfd p = { .fd = fd, .events = what };

	return poll(&p, 1, ms) == 1;
}

/* What waits; a look is enough as a rule, for the packets have come before the sender's call was over. */
static ssize_t take(int fd, void *buf, size_t n)
{
	ssize_t got = recv(fd, buf, n, 0);

	if (got < 0 && errno == EAGAIN && ready(fd, POLLIN, WAIT_MS))
		got = recv(fd, buf, n, 0);
	return got;
}

/* ---- time -------------------------------------------------------------------------------------- */

/*
 * Time in which this thread had its processor. A slice counts when nobody else was given the processor within it: on an
 * idle machine all do, and on another one the figure is still that of packets.
 */
struct meter {
	double least, begun, last, counted;
	long taken; /* times that the processor was taken away */
	bool whole; /* the last slice counts */
};

static long times_taken(void)
{
	struct rusage r;

	getrusage(RUSAGE_THREAD, &r);
	return r.ru_nivcsw;
}

static void meter_begin(struct meter *m, double least)
{
	*m = (struct meter){ .least = least, .taken = times_taken() };
	m->begun = m->last = bk_now();
}

/* End a slice; how long it was. */
static double meter_slice(struct meter *m)
{
	double now = bk_now(), took = now - m->last;
	long taken = times_taken();

	m->whole = taken == m->taken;
	if (m->whole)
		m->counted += took;
	m->taken = taken;
	m->last = bk_now();
	return took;
}

static bool meter_goes_on(const struct meter *m)
{
	return m->counted < m->least && m->last - m->begun < PATIENCE * m->least;
}

/* Of what was done in the slices that count; negative when they are too few. */
static double meter_rate(const struct meter *m, double done)
{
	return done > 0 && m->counted * PATIENCE >= m->least ? done / m->counted : -1;
}

/* ---- datagrams ------------------------------------------------------------------------------- */

struct udp {
	int client, server;
};

static void udp_close(struct udp *u)
{
	close(u->client);
	close(u->server);
}

/* Both directions have been seen after it, twice: conntrack calls the flow assured. */
static bool udp_open(const struct fl_path *p, struct udp *u)
{
	char b[SMALL] = { 0 };
	struct sockaddr_in from;
	socklen_t len = sizeof(from);

	u->server = listen_at(p, SOCK_DGRAM);
	bk_ns_enter(p->client_ns);
	u->client = dial(p, SOCK_DGRAM);
	for (int i = 0; i < 3; i++) {
		if (send(u->client, b, sizeof(b), 0) < 0 || !ready(u->server, POLLIN, WAIT_MS) ||
		    recvfrom(u->server, b, sizeof(b), 0, (void *)&from, &len) < 0)
			goto fail;
		if (i == 0 && connect(u->server, (void *)&from, len) < 0)
			goto fail;
		if (send(u->server, b, sizeof(b), 0) < 0 || take(u->client, b, sizeof(b)) < 0)
			goto fail;
	}
	return true;
fail:
	udp_close(u);
	return false;
}

bool fl_udp_passes(const struct fl_path *p)
{
	int server = listen_at(p, SOCK_DGRAM), client;
	bool got;

	bk_ns_enter(p->client_ns);
	client = dial(p, SOCK_DGRAM);
	(void)!send(client, "x", 1, 0);
	got = ready(server, POLLIN, QUIET_MS);
	close(client);
	close(server);
	return got;
}

struct burst {
	struct mmsghdr m[BATCH];
	struct iovec v[BATCH];
	char b[BATCH][SMALL];
};

static void burst_fill(struct burst *x)
{
	memset(x, 0, sizeof(*x));
	for (size_t i = 0; i < BATCH; i++) {
		x->v[i] = (struct iovec){ x->b[i], SMALL };
		x->m[i].msg_hdr = (struct msghdr){ .msg_iov = &x->v[i], .msg_iovlen = 1 };
	}
}

static size_t take_all(int fd, struct burst *in)
{
	size_t got = 0;
	int n;

	do {
		n = recvmmsg(fd, in->m, BATCH, MSG_DONTWAIT, NULL);
		if (n > 0)
			got += (size_t)n;
	} while (n == BATCH);
	return got;
}

double fl_udp_rate(const struct fl_path *p, double seconds, double *lost)
{
	static struct burst out, in;
	size_t sent = 0, got = 0, counted = 0;
	struct meter m;
	struct udp u;

	*lost = 0;
	if (!udp_open(p, &u))
		return -1;
	burst_fill(&out);
	burst_fill(&in);
	meter_begin(&m, seconds);
	while (meter_goes_on(&m)) {
		int n = sendmmsg(u.client, out.m, BATCH, 0);
		size_t came = take_all(u.server, &in);

		meter_slice(&m);
		sent += n > 0 ? (size_t)n : 0;
		got += came;
		counted += m.whole ? came : 0;
	}
	if (got && got < sent) {
		usleep(LATE_US);
		*lost = (double)(sent - got - take_all(u.server, &in)) / (double)sent;
	}
	udp_close(&u);
	return meter_rate(&m, (double)counted);
}

/* ---- latency --------------------------------------------------------------------------------- */

#define MOST 200000u

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static bool round_trip(const struct udp *u)
{
	char b[SMALL] = { 0 };

	return send(u->client, b, sizeof(b), 0) > 0 && take(u->server, b, sizeof(b)) > 0 &&
	       send(u->server, b, sizeof(b), 0) > 0 && take(u->client, b, sizeof(b)) > 0;
}

bool fl_latency(const struct fl_path *p, double seconds, double *p50, double *p99)
{
	static float us[MOST];
	struct meter m;
	struct udp u;
	size_t n = 0;

	if (!udp_open(p, &u))
		return false;
	meter_begin(&m, seconds);
	while (meter_goes_on(&m) && n < MOST && round_trip(&u)) {
		double took = meter_slice(&m);

		if (m.whole)
			us[n++] = (float)(took * 1e6);
	}
	udp_close(&u);
	if (meter_rate(&m, (double)n) < 0)
		return false;
	qsort(us, n, sizeof(us[0]), by_value);
	*p50 = (double)us[n / 2];
	*p99 = (double)us[n * 99 / 100];
	return true;
}

/* ---- connections ----------------------------------------------------------------------------- */

#define FEW 4u /* connections of a slice */

static int take_connection(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0 && errno == EAGAIN && ready(listener, POLLIN, WAIT_MS))
		fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	return fd;
}

static void reset(int fd)
{
	struct linger now = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

/* The caller is in the client's namespace. */
static bool transaction(const struct fl_path *p, int listener)
{
	int client = dial(p, SOCK_STREAM), server = client < 0 ? -1 : take_connection(listener);
	bool ok = false;
	char b[1] = { 0 };

	if (server >= 0) {
		ok = send(client, b, 1, MSG_NOSIGNAL) == 1 && take(server, b, 1) == 1 &&
		     send(server, b, 1, MSG_NOSIGNAL) == 1 && take(client, b, 1) == 1;
		reset(client);
		close(server);
	} else if (client >= 0) {
		reset(client);
	}
	return ok;
}

double fl_connect_rate(const struct fl_path *p, double seconds)
{
	rs_autoclose int listener = listen_at(p, SOCK_STREAM);
	struct meter m;
	size_t n = 0;

	bk_ns_enter(p->client_ns);
	meter_begin(&m, seconds);
	while (meter_goes_on(&m)) {
		for (unsigned int i = 0; i < FEW; i++)
			if (!transaction(p, listener))
				return -1;
		meter_slice(&m);
		n += m.whole ? FEW : 0;
	}
	return meter_rate(&m, (double)n);
}

/* ---- one stream ------------------------------------------------------------------------------ */

static size_t drain(int fd, char *buf)
{
	size_t got = 0;
	ssize_t n;

	while ((n = recv(fd, buf, CHUNK, 0)) > 0)
		got += (size_t)n;
	return got;
}

static double stream(int client, int server, double seconds)
{
	static char out[CHUNK], in[CHUNK];
	size_t counted = 0;
	struct meter m;

	meter_begin(&m, seconds);
	while (meter_goes_on(&m)) {
		ssize_t sent = send(client, out, CHUNK, MSG_NOSIGNAL);
		size_t n = drain(server, in);

		if (sent <= 0 && !n && !ready(server, POLLIN, WAIT_MS))
			return -1;
		meter_slice(&m);
		counted += m.whole ? n : 0;
	}
	return meter_rate(&m, (double)counted * 8 / 1e9);
}

double fl_bulk_rate(const struct fl_path *p, double seconds)
{
	rs_autoclose int listener = listen_at(p, SOCK_STREAM);
	double rate = -1;
	int client, server;

	bk_ns_enter(p->client_ns);
	client = dial(p, SOCK_STREAM);
	server = client < 0 ? -1 : take_connection(listener);
	if (server >= 0) {
		stream(client, server, seconds / 10); /* its window opens */
		rate = stream(client, server, seconds);
		reset(client);
		close(server);
	} else if (client >= 0) {
		reset(client);
	}
	return rate;
}
