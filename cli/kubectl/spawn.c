// SPDX-License-Identifier: Apache-2.0
/* spawn.c - kubectl as a child, or some of them side by side: no shell, bounded output. */
#include "cli/kubectl/kubectl.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_LINE 4096
#define MAX_TOLD (64 * RS_KIB)
/* A question of a credential plugin has no end of line. */
#define PROMPT_MS 300

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
	if (n > c->max_out - c->out.len)
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

/* All that is there now. */
static void drain(struct kube_child *c, int which)
{
	char buf[16384];
	ssize_t n;

	while (c->fd[which] >= 0) {
		n = read(c->fd[which], buf, sizeof(buf));
		if (n > 0 && which == 0)
			take_stdout(c, buf, (size_t)n);
		else if (n > 0)
			take_stderr(c, buf, (size_t)n);
		else if (n < 0 && errno == EINTR)
			continue;
		else if (n < 0 && errno == EAGAIN)
			return;
		else
			close_fd(&c->fd[which]);
	}
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
	c->pid = 0;
}

static int spawn_into(struct kube_child *c, const int out[2], const int err[2])
{
	posix_spawn_file_actions_t acts;
	int rc;

	if (posix_spawn_file_actions_init(&acts))
		rs_oom();
	rc = posix_spawn_file_actions_adddup2(&acts, out[1], STDOUT_FILENO);
	if (!rc)
		rc = posix_spawn_file_actions_adddup2(&acts, err[1], STDERR_FILENO);
	if (!rc)
		rc = posix_spawnp(&c->pid, c->argv.v[0], &acts, NULL, c->argv.v, environ);
	posix_spawn_file_actions_destroy(&acts);
	return rc;
}

/* Our ends only: a child may not like an stdout that does not block. */
static int make_pipe(int fd[2])
{
	if (pipe2(fd, O_CLOEXEC) < 0)
		return errno;
	return fcntl(fd[0], F_SETFL, O_NONBLOCK) < 0 ? errno : 0;
}

static void start(struct kube_child *c)
{
	int out[2] = { -1, -1 }, err[2] = { -1, -1 }, rc;

	*rs_vec_push(&c->argv) = NULL;
	c->pidfd = -1;
	rc = make_pipe(out);
	if (!rc)
		rc = make_pipe(err);
	if (!rc)
		rc = spawn_into(c, out, err);
	c->fd[0] = out[0];
	c->fd[1] = err[0];
	close_fd(&out[1]);
	close_fd(&err[1]);
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
}

/* ---- all of them ----------------------------------------------------------------------------- */

static int wait_ms(const struct kube_child *v, size_t n, int64_t deadline)
{
	int64_t ms = -1, left = deadline ? deadline - rs_mono_ms() : -1;
	size_t i;

	for (i = 0; i < n; i++)
		if (v[i].pid && v[i].line.len)
			ms = PROMPT_MS;
	if (deadline && left < 0)
		left = 0;
	if (deadline && (ms < 0 || left < ms))
		ms = left < 3600000 ? left : 3600000;
	return (int)ms;
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

static size_t watch(struct kube_child *v, size_t n, struct pollfd *p)
{
	size_t i, alive = 0;

	for (i = 0; i < n; i++) {
		bool on = v[i].pid != 0;

		p[3 * i] = (struct pollfd){ .fd = on ? v[i].fd[0] : -1, .events = POLLIN };
		p[3 * i + 1] = (struct pollfd){ .fd = on ? v[i].fd[1] : -1, .events = POLLIN };
		p[3 * i + 2] = (struct pollfd){ .fd = on ? v[i].pidfd : -1, .events = POLLIN };
		alive += on;
	}
	return alive;
}

void kube_spawn(struct kube_child *v, size_t n, int64_t deadline)
{
	struct pollfd p[3 * KUBE_AT_ONCE];
	size_t i;
	int rc;

	for (i = 0; i < n; i++)
		start(&v[i]);
	while (watch(v, n, p)) {
		rc = poll(p, 3 * n, wait_ms(v, n, deadline));
		on_time(v, n, deadline, rc == 0);
		for (i = 0; i < n && rc > 0; i++) {
			if (p[3 * i].revents)
				drain(&v[i], 0);
			if (p[3 * i + 1].revents)
				drain(&v[i], 1);
			if (p[3 * i + 2].revents)
				reap(&v[i]);
		}
	}
}
