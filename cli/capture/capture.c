// SPDX-License-Identifier: Apache-2.0
/* capture.c - `ripstop capture` on the node of the pod; see seeing.h. */
#include "cli/capture/seeing.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "cli/world/cliworld.h"

#define COUNT 1000
#define DURATION_MS 60000
#define SNAPLEN 256
/* Of each place; of what passes it too, so more than the packets that are wanted. */
#define COPIES_A_PACKET 10
#define LEAST_COPIES 100000

struct capture {
	struct cli_run *r;
	struct capture_why *why;
	char *path; /* "-": stdout */
	int fd;
	bool only_dropped;
	size_t max, n, n_dropped, n_unknown;
	bool spent;
	uint64_t lost;
	int code;		/* of a failed write */
	bool closed;		/* the reader of our stdout has gone */
	struct rs_strbuf block; /* not yet written */
};

/* ---- writing --------------------------------------------------------------------------------- */

static bool write_out(struct capture *c)
{
	size_t done = 0;

	while (done < c->block.len) {
		ssize_t n = write(c->fd, c->block.s + done, c->block.len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EPIPE) {
			c->closed = true;
			return false;
		}
		if (n < 0) {
			cli_error(NULL, "write %s: %s", c->path, strerror(errno));
			c->code = CLI_NO_AGENT;
			return false;
		}
		done += (size_t)n;
	}
	rs_strbuf_reset(&c->block);
	return true;
}

static bool take(const struct rs_capture_packet *p, void *arg)
{
	struct capture *c = arg;
	rs_autofree char *comment = NULL;

	if (c->n == c->max || (c->only_dropped && p->fate == RS_CAPTURE_PASSED))
		return c->n == c->max;
	comment = capture_why(c->why, p);
	pcapng_packet(&c->block, p, comment);
	c->n++;
	c->n_dropped += p->fate == RS_CAPTURE_DROPPED || p->fate == RS_CAPTURE_GUARD;
	c->n_unknown += p->fate == RS_CAPTURE_UNKNOWN;
	return !write_out(c) || c->n == c->max;
}

/* ---- what is wanted -------------------------------------------------------------------------- */

static void want_port(const char *text, struct rs_capture_want *want)
{
	struct cli_port port = { 0 };

	if (!text || cli_port_parse(text, &port, NULL) < 0)
		return;
	want->n_protos = port.proto ? 1 : 2;
	want->protos[0] = port.proto ? port.proto : IPPROTO_ICMP;
	want->protos[1] = IPPROTO_ICMPV6;
	want->has_port = port.proto != 0;
	want->lo = port.lo;
	want->hi = port.hi;
}

static struct rs_capture_want wanted(const struct cli_run *r, const struct rs_endpoint *e)
{
	size_t count = r->opt.count ? (size_t)r->opt.count : COUNT,
	       copies = count * COPIES_A_PACKET;
	int64_t ms = r->opt.duration_ms ? r->opt.duration_ms : DURATION_MS;
	struct rs_capture_want want = {
		.link = e->host_ifindex,
		.copies = (uint32_t)(copies < LEAST_COPIES ? LEAST_COPIES : copies),
		.seconds = (uint32_t)((ms + 999) / 1000),
		.snaplen = r->opt.snaplen ? (uint32_t)r->opt.snaplen : SNAPLEN,
	};

	want.has_peer = r->opt.peer && cli_peer_parse(r->opt.peer, &want.peer, NULL) == 0;
	want_port(r->opt.port, &want);
	return want;
}

/* ---- the run --------------------------------------------------------------------------------- */

static int signals(sigset_t *stop, sigset_t *before)
{
	sigemptyset(stop);
	sigaddset(stop, SIGINT);
	sigaddset(stop, SIGTERM);
	sigaddset(stop, SIGHUP);
	sigprocmask(SIG_BLOCK, stop, before);
	signal(SIGPIPE, SIG_IGN); /* EPIPE tells */
	return signalfd(-1, stop, SFD_CLOEXEC);
}

/* Those that came are obeyed already. */
static void signals_end(const sigset_t *stop, const sigset_t *before)
{
	const struct timespec none = { 0 };

	while (sigtimedwait(stop, NULL, &none) > 0)
		;
	sigprocmask(SIG_SETMASK, before, NULL);
}

static int soonest(int64_t left, int wait_ms)
{
	return (int)(wait_ms >= 0 && wait_ms < left ? wait_ms : left);
}

/* Until there is enough, or time, or a signal. */
static int loop(struct capture *c, struct rs_capture *k, int signal_fd, int64_t deadline)
{
	/* Of stdout: somebody must still read it, though nothing comes. */
	struct pollfd fds[] = { { .fd = rs_capture_fd(k), .events = POLLIN },
				{ .fd = signal_fd, .events = POLLIN },
				{ .fd = strcmp(c->path, "-") ? -1 : c->fd, .events = 0 } };
	rs_auto_err err = { 0 };
	int rc = 0;

	while (rc == 0 && rs_mono_ms() < deadline) {
		if (poll(fds, RS_ARRAY_SIZE(fds),
			 soonest(deadline - rs_mono_ms(), rs_capture_wait_ms(k))) < 0 &&
		    errno != EINTR)
			break;
		if (fds[1].revents || fds[2].revents)
			break;
		rc = rs_capture_read(k, take, c, &err);
	}
	if (rc < 0)
		cli_error(NULL, "%s", rs_err_str(&err));
	return rc < 0 ? CLI_NO_AGENT : 0;
}

static void summary(struct capture *c)
{
	rs_auto_strbuf b = { 0 };

	rs_strbuf_printf(&b, "%zu packet%s, %zu dropped", c->n, c->n == 1 ? "" : "s", c->n_dropped);
	if (c->n_unknown)
		rs_strbuf_printf(&b, ", %zu with a verdict that is not known", c->n_unknown);
	if (c->lost)
		rs_strbuf_printf(&b, ", %llu copies lost", (unsigned long long)c->lost);
	if (!strcmp(c->path, "-")) {
		fprintf(stderr, "%s\n", b.s);
	} else {
		cli_put(c->r, "wrote ");
		cli_put_safe(c->r, c->path);
		cli_putf(c->r, ": %s\n", b.s);
	}
	if (c->spent && c->n < c->max)
		cli_warn("it ended early: its rules had copied as many packets as they may");
}

static int open_file(struct capture *c, const struct rs_endpoint *e)
{
	rs_autofree char *what = rs_asprintf("%s_%s", e->pod_ns, e->pod_name);
	rs_autofree char *own = cli_stamped_name("capture", what);

	c->path = c->r->opt.output_file ? rs_strdup(c->r->opt.output_file)
					: rs_asprintf("%s.pcapng", own);
	c->fd = STDOUT_FILENO;
	return strcmp(c->path, "-") ? cli_new_file(c->path, &c->fd) : 0;
}

static int record(struct capture *c, struct rs_capture *k, const struct rs_endpoint *e,
		  uint32_t snaplen)
{
	rs_autofree char *about = rs_asprintf("%s of pod %s/%s; the host's link is %s", e->ifname,
					      e->pod_ns, e->pod_name, e->host_ifname);
	int64_t ms = c->r->opt.duration_ms ? c->r->opt.duration_ms : DURATION_MS;
	rs_autoclose int signal_fd = -1;
	sigset_t stop, before;
	int code = 0;

	signal_fd = signals(&stop, &before);
	pcapng_begin(&c->block, e->host_ifname, about, snaplen);
	if (write_out(c))
		code = loop(c, k, signal_fd, rs_mono_ms() + ms);
	c->spent = rs_capture_spent(k);
	c->lost = rs_capture_lost(k);
	rs_capture_close(k, take, c);
	pcapng_end(&c->block, c->n, c->lost);
	write_out(c);
	signals_end(&stop, &before);
	return code ? code : c->code;
}

/* The file is made once packets can come: a failure leaves none behind. */
static int see(struct capture *c, const struct rs_endpoint *e)
{
	struct rs_capture_want want = wanted(c->r, e);
	rs_auto_err err = { 0 };
	struct rs_capture *k;
	int code;

	if (rs_capture_open(&want, &k, &err) < 0) {
		cli_error(err.hint ? err.hint : "it needs CAP_NET_ADMIN: run it as root", "%s",
			  rs_err_str(&err));
		return CLI_NO_AGENT;
	}
	code = open_file(c, e);
	if (code) {
		rs_capture_close(k, NULL, NULL);
		return code;
	}
	code = record(c, k, e, want.snaplen);
	if (code == 0)
		summary(c);
	return code;
}

int cli_capture_here(struct cli_run *r)
{
	struct capture c = { .r = r,
			     .fd = -1,
			     .only_dropped = r->opt.verdict != NULL,
			     .max = r->opt.count ? (size_t)r->opt.count : COUNT };
	rs_autofree char *operand = cli_qualified(r, r->operands[0]);
	struct rs_endpoint *e = NULL;
	int code = capture_find(r, operand, &e);

	if (code == 0) {
		c.why = capture_why_new(r);
		code = see(&c, e);
	}
	if (c.fd > STDERR_FILENO)
		close(c.fd);
	capture_why_free(c.why);
	rs_strbuf_free(&c.block);
	rs_endpoint_free(e);
	free(c.path);
	return code;
}
