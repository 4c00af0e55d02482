// SPDX-License-Identifier: Apache-2.0
/* selfpeer.c - `ripstop __listen` and `__connect`: the server and the client of `test --self`,
 * whose pods have our image, in which there is no other program. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/hidden.h"

#define MAX_PORTS 4
#define BACKLOG 64

static bool read_port(const char *text, uint16_t *port)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	*port = (uint16_t)n;
	if (*text >= '0' && *text <= '9' && !*end && !errno && n > 0 && n <= 65535)
		return true;
	cli_error(NULL, "\"%s\" is no port", text);
	return false;
}

static int usage(const char *what)
{
	cli_error("these verbs are there for kubectl ripstop test --self", "usage: ripstop %s",
		  what);
	return CLI_USAGE;
}

/* ---- the server ------------------------------------------------------------------------------ */

static int bind_any(int fd, int family, uint16_t port)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port) };
	const int on = 1, off = 0;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (family == AF_INET)
		return bind(fd, (struct sockaddr *)&four, sizeof(four));
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	return bind(fd, (struct sockaddr *)&six, sizeof(six));
}

/* Both families by one socket; IPv4 alone where the kernel has no IPv6. */
static int listen_at(uint16_t port)
{
	static const int families[] = { AF_INET6, AF_INET };

	for (size_t i = 0; i < RS_ARRAY_SIZE(families); i++) {
		int fd = socket(families[i], SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

		if (fd >= 0 && bind_any(fd, families[i], port) == 0 && listen(fd, BACKLOG) == 0)
			return fd;
		if (fd >= 0)
			close(fd);
	}
	cli_error(NULL, "listen on port %u: %s", port, strerror(errno));
	return -1;
}

/* The line fits into any socket's buffer; nothing is read, so nobody can hold us up. */
static void answer(int listener, const char *line)
{
	rs_autoclose int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0 && send(fd, line, strlen(line), MSG_NOSIGNAL) < 0)
		return; /* it has gone */
}

static char *greeting(void)
{
	char name[256] = "";

	gethostname(name, sizeof(name) - 1);
	return rs_asprintf(CLI_PEER_GREETING "%s\n", name);
}

/* The first process of a container gets no SIGTERM that it does not ask for. */
static int signals_fd(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* p[0] are the signals. */
static void serve(struct pollfd *p, nfds_t n)
{
	int64_t end = rs_mono_ms() + CLI_PEER_LIFE_S * 1000L, left;
	rs_autofree char *line = greeting();

	while ((left = end - rs_mono_ms()) > 0) {
		int ready = poll(p, n, (int)left);

		if (ready > 0 && p[0].revents)
			return;
		for (nfds_t i = 1; i < n && ready > 0; i++)
			if (p[i].revents)
				answer(p[i].fd, line);
	}
}

int cli_listen(int argc, char **argv)
{
	struct pollfd p[1 + MAX_PORTS];
	nfds_t n = 1;
	int code = CLI_YES;

	if (argc < 2 || argc > 1 + MAX_PORTS)
		return usage("__listen PORT...");
	p[0] = (struct pollfd){ .fd = signals_fd(), .events = POLLIN };
	for (int i = 1; i < argc && code == CLI_YES; i++) {
		uint16_t port;

		if (!read_port(argv[i], &port)) {
			code = CLI_USAGE;
			break;
		}
		p[n] = (struct pollfd){ .fd = listen_at(port), .events = POLLIN };
		if (p[n].fd < 0)
			code = CLI_NO_AGENT;
		else
			n++;
	}
	if (code == CLI_YES)
		serve(p, n);
	while (n--)
		close(p[n].fd);
	return code;
}

/* ---- the client ------------------------------------------------------------------------------ */

static socklen_t fill(struct sockaddr_storage *to, const struct rs_addr *a, uint16_t port)
{
	struct sockaddr_in *four = (struct sockaddr_in *)to;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)to;

	memset(to, 0, sizeof(*to));
	if (a->family == RS_AF_IP4) {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		memcpy(&four->sin_addr, a->b, 4);
		return sizeof(*four);
	}
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(port);
	memcpy(&six->sin6_addr, a->b, 16);
	return sizeof(*six);
}

static bool becomes(int fd, short what, int64_t end)
{
	struct pollfd p = { .fd = fd, .events = what };
	int64_t left;
	int n;

	do {
		left = end - rs_mono_ms();
		n = left > 0 ? poll(&p, 1, (int)left) : 0;
	} while (n < 0 && errno == EINTR);
	return n > 0;
}

/* 0, or an errno; ETIMEDOUT when nothing came. */
static int reach(int fd, const struct rs_addr *a, uint16_t port, int64_t end)
{
	struct sockaddr_storage to;
	socklen_t len = fill(&to, a, port), size = sizeof(int);
	int error = 0;

	if (connect(fd, (struct sockaddr *)&to, len) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	if (!becomes(fd, POLLOUT, end))
		return ETIMEDOUT;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? errno : error;
}

/* Its first line, escaped. 0, or an errno: it ends, or says too much, without one. */
static int read_line(int fd, int64_t end, struct rs_strbuf *out)
{
	char line[CLI_PEER_MAX_LINE];
	size_t len = 0;

	while (len < sizeof(line)) {
		ssize_t n;
		char *eol;

		if (!becomes(fd, POLLIN, end))
			return ETIMEDOUT;
		n = read(fd, line + len, sizeof(line) - len);
		if (n <= 0)
			return n < 0 ? errno : ECONNRESET;
		eol = memchr(line + len, '\n', (size_t)n);
		len += (size_t)n;
		if (eol) {
			*eol = '\0';
			rs_strbuf_puts_safe(out, line);
			rs_strbuf_putc(out, '\n');
			return 0;
		}
	}
	return EBADMSG;
}

int cli_connect(int argc, char **argv, struct rs_strbuf *out)
{
	int64_t end = rs_mono_ms() + CLI_PEER_WAIT_MS;
	rs_autoclose int fd = -1;
	struct rs_addr a;
	uint16_t port;
	int error;

	if (argc != 3 || rs_addr_parse(argv[1], &a, NULL) < 0)
		return usage("__connect ADDRESS PORT");
	if (!read_port(argv[2], &port))
		return CLI_USAGE;
	fd = socket(a.family == RS_AF_IP4 ? AF_INET : AF_INET6,
		    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	error = fd < 0 ? errno : reach(fd, &a, port, end);
	if (!error)
		error = read_line(fd, end, out);
	if (!error)
		return CLI_YES;
	if (error == ETIMEDOUT)
		return CLI_NO;
	cli_error(NULL, "%s port %u: %s", argv[1], port, strerror(error));
	return CLI_NOT_FOUND;
}
