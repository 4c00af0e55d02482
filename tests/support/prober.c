// SPDX-License-Identifier: Apache-2.0
/* The prober's front door: command line and input; see prober.h for what it does and reads. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "prober.h"

#define MAX_FLOWS 40000 /* SCTP source ports are made of the flow's number */

struct prober pr;

void die(const char *fmt, ...)
{
	va_list ap;

	fputs("prober: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(2);
}

void *need(void *p)
{
	if (!p)
		die("out of memory");
	return p;
}

/* The same clock as Python's time.monotonic(). */
double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

double patience(double ms)
{
	const char *s = getenv("RIPSTOP_TEST_SLOW");
	double slow = s ? atof(s) : 1;

	return slow > 1 ? ms * slow : ms;
}

static int find_ns(const char *name)
{
	size_t i;

	if (!strcmp(name, "-"))
		return -1;
	for (i = 0; i < pr.n_ns; i++)
		if (!strcmp(pr.ns[i].name, name))
			return (int)i;
	die("no namespace '%s' was named before", name);
}

int find_flow(const char *id)
{
	size_t i;

	for (i = 0; i < pr.n_flows; i++)
		if (!strcmp(pr.flows[i].id, id))
			return (int)i;
	return -1;
}

static void parse_addr(const char *s, union address *out)
{
	memset(out, 0, sizeof(*out));
	if (strchr(s, ':')) {
		out->in6.sin6_family = AF_INET6;
		if (inet_pton(AF_INET6, s, &out->in6.sin6_addr) == 1)
			return;
	} else {
		out->in.sin_family = AF_INET;
		if (inet_pton(AF_INET, s, &out->in.sin_addr) == 1)
			return;
	}
	die("'%s' is no address", s);
}

static enum kind parse_kind(const char *s)
{
	static const char *const names[] = { "tcp", "udp", "sctp", "icmp", "ip", "udpnew", "tcpnew" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(s, names[i]))
			return (enum kind)i;
	die("'%s' is no kind of flow", s);
}

static void add_ns(const char *name, const char *path)
{
	struct ns *n;

	pr.ns = need(realloc(pr.ns, (pr.n_ns + 1) * sizeof(*pr.ns)));
	n = &pr.ns[pr.n_ns++];
	memset(n, 0, sizeof(*n));
	snprintf(n->name, sizeof(n->name), "%s", name);
	n->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (n->fd < 0)
		die("open %s: %s", path, strerror(errno));
}

static void add_flow(char *v[7])
{
	struct flow *f;

	if (pr.n_flows >= MAX_FLOWS)
		die("more than %d flows", MAX_FLOWS);
	f = &pr.flows[pr.n_flows++];
	snprintf(f->id, sizeof(f->id), "%s", v[0]);
	f->watch.fd = -1;
	f->kind = parse_kind(v[1]);
	f->src_ns = find_ns(v[2]);
	f->any_src = !strcmp(v[3], "*");
	f->dst_ns = find_ns(v[4]);
	parse_addr(v[5], &f->dst);
	if (!f->any_src)
		parse_addr(v[3], &f->src);
	f->port = atoi(v[6]);
	if (f->src_ns < 0 || f->port < 0 || f->port > 65535)
		die("flow %s: no source, or a port out of range", f->id);
	if (!f->any_src && f->src.sa.sa_family != f->dst.sa.sa_family)
		die("flow %s: its ends are of different families", f->id);
	addr_set_port(&f->dst, f->port);
}

bool parse_line(char *line)
{
	char *v[8] = { NULL };
	char *save = NULL, *word;
	int n = 0;

	line[strcspn(line, "\n")] = '\0';
	if (!*line || *line == '#')
		return true;
	if (strncmp(line, "ns ", 3) && strncmp(line, "flow ", 5))
		return false;
	for (word = strtok_r(line, " ", &save); word && n < 8; word = strtok_r(NULL, " ", &save))
		v[n++] = word;
	if (n == 3 && !strcmp(v[0], "ns"))
		add_ns(v[1], v[2]);
	else if (n == 8 && !strcmp(v[0], "flow"))
		add_flow(v + 1);
	else
		die("a line has %d fields", n);
	return true;
}

static void raise_limits(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r))
		return;
	r.rlim_cur = r.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &r);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	raise_limits();
	signal(SIGPIPE, SIG_IGN);
	pr.flows = need(calloc(MAX_FLOWS, sizeof(*pr.flows)));
	pr.epfd = epoll_create1(EPOLL_CLOEXEC);
	pr.home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (pr.epfd < 0 || pr.home < 0)
		die("start: %s", strerror(errno));
	if (!strcmp(mode, "probe"))
		return mode_probe(argc > 2 ? atoi(argv[2]) : 1500);
	if (!strcmp(mode, "flood"))
		return mode_flood(argc > 2 ? atof(argv[2]) : 100, argc > 3 ? atoi(argv[3]) : 10000);
	if (!strcmp(mode, "hold"))
		return mode_hold();
	if (!strcmp(mode, "stream"))
		return mode_stream(argc > 2 ? atof(argv[2]) : 100);
	die("usage: prober probe [MS] | flood [PACKETS-A-SECOND-AND-FLOW] [MAX-MS] | hold | "
	    "stream [RATE]");
}
