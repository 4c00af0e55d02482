// SPDX-License-Identifier: Apache-2.0
/* sink.c - bytes on their way to stdout or a file, without waiting for who reads them. */
#include "cli/kubectl/kubectl.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define FULL RS_MIB

void kube_sink_add(struct kube_sink *s, const char *data, size_t n)
{
	if (!s->error)
		rs_strbuf_add(&s->b, data, n);
}

size_t kube_sink_left(const struct kube_sink *s)
{
	return s->error ? 0 : s->b.len - s->gone;
}

bool kube_sink_full(const struct kube_sink *s)
{
	return kube_sink_left(s) >= FULL;
}

/* A pipe that can be written to takes so many bytes at once; and so the descriptor, which others
 * share with us, may stay one that blocks. */
static bool write_some(struct kube_sink *s)
{
	size_t left = kube_sink_left(s);
	ssize_t n = write(s->fd, s->b.s + s->gone, left < PIPE_BUF ? left : PIPE_BUF);

	if (n < 0 && errno != EINTR && errno != EAGAIN)
		s->error = errno;
	if (n <= 0)
		return false;
	s->gone += (size_t)n;
	s->total += (uint64_t)n;
	return true;
}

static bool can_go(const struct kube_sink *s)
{
	struct pollfd p = { .fd = s->fd, .events = POLLOUT };

	return kube_sink_left(s) && poll(&p, 1, 0) > 0;
}

static void forget_gone(struct kube_sink *s)
{
	size_t left = kube_sink_left(s);

	if (left && s->gone)
		memmove(s->b.s, s->b.s + s->gone, left);
	s->b.len = left;
	s->gone = 0;
	if (s->b.s)
		s->b.s[left] = '\0';
}

void kube_sink_flush(struct kube_sink *s)
{
	while (can_go(s) && write_some(s))
		;
	forget_gone(s);
}

bool kube_sink_finish(struct kube_sink *s, int ms)
{
	int signals = kube_caught() ? -1 : kube_signal_fd();

	while (kube_sink_left(s)) {
		struct pollfd p[2] = { { .fd = s->fd, .events = POLLOUT },
				       { .fd = signals, .events = POLLIN } };

		if (poll(p, 2, ms) <= 0 || !p[0].revents)
			break;
		write_some(s);
	}
	return !kube_sink_left(s) && !s->error;
}

void kube_sink_clear(struct kube_sink *s)
{
	rs_strbuf_free(&s->b);
}
