// SPDX-License-Identifier: Apache-2.0
/* spawn.c - kubectl as a child, or some of them side by side: no shell, bounded output; its stdin
 * is ours, a text, or a leash. */
#include "cli/kubectl/kubectl.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_LINE 4096
#define MAX_TOLD (64 * RS_KIB)
/* A question of a credential plugin has no end of line. */
#define PROMPT_MS 300
/* How often it is looked whether one that has been let go has gone. */
#define GRACE_MS 100
#define CHUNK 16384

void kube_word(struct kube_child *c, const char *word)
{
	*rs_vec_push(&c->argv) = rs_strdup(word);
}

void kube_words(struct kube_child *c, const char *const *words)
{
	for (; *words; words++)
		kube_word(c, *words);
}

void kube_child_clear(struct kube_child *c)
{
	size_t i;

	for (i = 0; i < c->argv.n; i++)
		free(c->argv.v[i]);
	rs_vec_free(&c->argv);
	rs_strbuf_free(&c->out);
	rs_strbuf_free(&c->told);
	rs_strbuf_free(&c->line);
}

/* ---- stderr ---------------------------------------------------------------------------------- */

/* Lines that belong to a failure are kept for its one message; klog's begin with a letter and the
 * date. */
static bool is_told(const char *line)
{
	static const char *const begins[] = {
		"error:",
		"Error from server",
		"Error in configuration",
		"Unable to connect to the server",
		"The connection to the server",
		"command terminated with exit code",
		"ripstop: ",
		"  hint: ",
	};
	size_t i;

	for (i = 0; i < RS_ARRAY_SIZE(begins); i++)
		if (!strncmp(line, begins[i], strlen(begins[i])))
			return true;
	return strchr("EWF", line[0]) && line[0] && strspn(line + 1, "0123456789") == 4 &&
	       line[5] == ' ';
}

static void show(struct kube_child *c, const char *end)
{
	rs_auto_strbuf b = { 0 };

	if (c->node && !c->midline) {
		rs_strbuf_puts_safe(&b, c->node);
		rs_strbuf_puts(&b, ": ");
	}
	rs_strbuf_puts_safe(&b, c->line.s);
	rs_strbuf_puts(&b, end);
	cli_progress_hide();
	fputs(b.s, stderr);
	fflush(stderr);
}

static void end_line(struct kube_child *c)
{
	if (!c->midline && is_told(rs_strbuf_str(&c->line))) {
		if (c->told.len + c->line.len < MAX_TOLD) {
			rs_strbuf_puts(&c->told, c->line.s);
			rs_strbuf_putc(&c->told, '\n');
		}
	} else if (c->line.len || c->midline) {
		rs_strbuf_puts(&c->line, "");
		show(c, "\n");
	}
	c->midline = false;
	rs_strbuf_reset(&c->line);
}

/* What has no end yet is shown when it can be a question, or is too long to wait for its end. */
static void show_part(struct kube_child *c)
{
	if (!c->line.len || (!c->midline && is_told(c->line.s)))
		return;
	show(c, "");
	c->midline = true;
	rs_strbuf_reset(&c->line);
}

static void take_stderr(struct kube_child *c, const char *data, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (data[i] == '\n') {
			end_line(c);
			continue;
		}
		/* A line is text: what comes behind a NUL would be lost. */
		rs_strbuf_putc(&c->line, data[i] ? data[i] : ' ');
		if (c->line.len >= MAX_LINE)
			end_line(c);
	}
}

/* ---- one child ------------------------------------------------------------------------------- */

static void stop(struct kube_child *c, int why)
{
	if (c->stopped)
		return;
	c->stopped = true;
	c->status = -why;
	kill(c->pid, SIGKILL);
}

static void take_stdout(struct kube_child *c, const char *data, size_t n)
{
	if (c->stopped)
		return;
	if (c->take)
		c->take(c, data, n);
	else if (n > c->max_out - c->out.len)
		stop(c, EMSGSIZE);
	else
		rs_strbuf_add(&c->out, data, n);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* What is there now, a piece of it. False: nothing more is. */
static bool drain_some(struct kube_child *c, int which)
{
	char buf[CHUNK];
	ssize_t n;

	if (c->fd[which] < 0)
		return false;
	n = read(c->fd[which], buf, sizeof(buf));
	if (n < 0)
		return errno == EINTR;
	if (n == 0)
		close_fd(&c->fd[which]);
	else if (which == 0)
		take_stdout(c, buf, (size_t)n);
	else
		take_stderr(c, buf, (size_t)n);
	return n > 0;
}

static void drain(struct kube_child *c, int which)
{
	while (drain_some(c, which))
		;
}

/* Its end counts, not that of its pipes: what a credential plugin left behind may hold them. */
static void reap(struct kube_child *c)
{
	int st = 0;

	drain(c, 0);
	drain(c, 1);
	end_line(c);
	while (waitpid(c->pid, &st, 0) < 0 && errno == EINTR)
		;
	if (!c->stopped)
		c->status = WIFEXITED(st) ? WEXITSTATUS(st) : -EINTR;
	close_fd(&c->fd[0]);
	close_fd(&c->fd[1]);
	close_fd(&c->pidfd);
	close_fd(&c->leash);
	c->pid = 0;
}

/* What we keep for ourselves (interrupt.c) is nothing for it. */
static int set_mask(posix_spawnattr_t *attr)
{
	sigset_t none;

	sigemptyset(&none);
	if (posix_spawnattr_setsigmask(attr, &none))
		return EINVAL;
	return posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK);
}

static int spawn_into(struct kube_child *c, int in, int out, int err)
{
	const int from[] = { in, out, err };
	posix_spawn_file_actions_t acts;
	posix_spawnattr_t attr;
	int rc;

	if (posix_spawn_file_actions_init(&acts) || posix_spawnattr_init(&attr))
		rs_oom();
	rc = set_mask(&attr);
	for (int i = 0; i < 3 && !rc; i++)
		if (from[i] >= 0)
			rc = posix_spawn_file_actions_adddup2(&acts, from[i], i);
	if (!rc)
		rc = posix_spawnp(&c->pid, c->argv.v[0], &acts, &attr, c->argv.v, environ);
	posix_spawn_file_actions_destroy(&acts);
	posix_spawnattr_destroy(&attr);
	return rc;
}

/* Our ends only: a child may not like an stdout that does not block. */
static int make_pipe(int fd[2])
{
	if (pipe2(fd, O_CLOEXEC) < 0)
		return errno;
	return fcntl(fd[0], F_SETFL, O_NONBLOCK) < 0 ? errno : 0;
}

/* The text as a file in memory: nobody has to be there to write it. */
static int text_file(const char *text, int *fd)
{
	size_t len = strlen(text);

	*fd = memfd_create("input", MFD_CLOEXEC);
	if (*fd < 0)
		return errno;
	if (write(*fd, text, len) != (ssize_t)len)
		return EIO;
	return lseek(*fd, 0, SEEK_SET) < 0 ? errno : 0;
}

/* *fd stays -1 when it is ours. Of a leash we keep the other end: it ends with us, however we
 * do. */
static int make_stdin(struct kube_child *c, int *fd)
{
	int pipe[2];

	if (c->input)
		return text_file(c->input, fd);
	if (!c->leashed)
		return 0;
	if (pipe2(pipe, O_CLOEXEC) < 0)
		return errno;
	*fd = pipe[0];
	c->leash = pipe[1];
	return 0;
}

static int start_piped(struct kube_child *c)
{
	int in = -1, out[2] = { -1, -1 }, err[2] = { -1, -1 }, rc;

	rc = make_stdin(c, &in);
	if (!rc)
		rc = make_pipe(out);
	if (!rc)
		rc = make_pipe(err);
	if (!rc)
		rc = spawn_into(c, in, out[1], err[1]);
	c->fd[0] = out[0];
	c->fd[1] = err[0];
	close_fd(&in);
	close_fd(&out[1]);
	close_fd(&err[1]);
	return rc;
}

void kube_start(struct kube_child *c)
{
	int rc;

	*rs_vec_push(&c->argv) = NULL;
	c->pidfd = c->leash = -1;
	rc = start_piped(c);
	if (!rc) {
		c->pidfd = pidfd_open(c->pid, 0);
		if (c->pidfd >= 0)
			return;
		stop(c, errno);
		reap(c);
		return;
	}
	c->pid = 0;
	c->status = -rc;
	close_fd(&c->fd[0]);
	close_fd(&c->fd[1]);
	close_fd(&c->leash);
}

void kube_stop(struct kube_child *c)
{
	if (c->pid)
		stop(c, EINTR);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static int sooner(int ms, int64_t other)
{
	if (other < 0)
		other = 0;
	return ms < 0 || other < ms ? (int)(other < 3600000 ? other : 3600000) : ms;
}

static int wait_ms(const struct kube_child *v, size_t n, int64_t deadline)
{
	int ms = -1;
	size_t i;

	for (i = 0; i < n; i++) {
		if (v[i].pid && v[i].line.len)
			ms = sooner(ms, PROMPT_MS);
		if (v[i].pid && v[i].until)
			ms = sooner(ms, GRACE_MS);
	}
	return deadline ? sooner(ms, deadline - rs_mono_ms()) : ms;
}

static void on_time(struct kube_child *v, size_t n, int64_t deadline, bool quiet)
{
	bool late = deadline && rs_mono_ms() >= deadline;
	size_t i;

	for (i = 0; i < n; i++) {
		if (v[i].pid && quiet)
			show_part(&v[i]);
		if (v[i].pid && late)
			stop(&v[i], ETIMEDOUT);
	}
}

/* A signal has come. One that is given time ends by itself once its leash is let go. */
static void end_all(struct kube_child *v, size_t n)
{
	int64_t now = rs_mono_ms();
	size_t i;

	for (i = 0; i < n; i++) {
		struct kube_child *c = &v[i];

		if (c->pid && c->leash >= 0 && c->grace_ms) {
			close_fd(&c->leash);
			c->until = now + c->grace_ms;
		} else if (c->pid && now >= c->until) {
			stop(c, EINTR);
		}
	}
}

static size_t watch(struct kube_child *v, size_t n, struct pollfd *p)
{
	size_t i, alive = 0;

	for (i = 0; i < n; i++) {
		bool on = v[i].pid != 0, listen = on && !v[i].held;

		p[3 * i] = (struct pollfd){ .fd = listen ? v[i].fd[0] : -1, .events = POLLIN };
		p[3 * i + 1] = (struct pollfd){ .fd = on ? v[i].fd[1] : -1, .events = POLLIN };
		p[3 * i + 2] = (struct pollfd){ .fd = on ? v[i].pidfd : -1, .events = POLLIN };
		alive += on;
	}
	return alive;
}

/* Of one that is taken as it comes a piece a turn: the others have theirs. */
static void take_turn(struct kube_child *c, const struct pollfd *p)
{
	if (p[0].revents && c->take)
		drain_some(c, 0);
	else if (p[0].revents)
		drain(c, 0);
	if (p[1].revents)
		drain(c, 1);
	if (p[2].revents)
		reap(c);
}

bool kube_turn(struct kube_child *v, size_t n, int64_t deadline, struct pollfd *more)
{
	struct pollfd p[3 * KUBE_MAX_CHILDREN + 2];
	bool ending = kube_caught();
	size_t i;
	int rc;

	if (!watch(v, n, p))
		return false;
	if (ending)
		end_all(v, n);
	p[3 * n] = (struct pollfd){ .fd = ending ? -1 : kube_signal_fd(), .events = POLLIN };
	p[3 * n + 1] = more ? *more : (struct pollfd){ .fd = -1 };
	rc = poll(p, 3 * n + 2, wait_ms(v, n, deadline));
	on_time(v, n, deadline, rc == 0);
	for (i = 0; i < n && rc > 0; i++)
		take_turn(&v[i], &p[3 * i]);
	if (more)
		more->revents = rc > 0 ? p[3 * n + 1].revents : 0;
	return true;
}

void kube_spawn(struct kube_child *v, size_t n, int64_t deadline)
{
	size_t i;

	for (i = 0; i < n; i++)
		kube_start(&v[i]);
	while (kube_turn(v, n, deadline, NULL))
		;
}
