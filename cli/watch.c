// SPDX-License-Identifier: Apache-2.0
/*
 * watch.c - -w: the same question again and again.
 *
 * On a terminal each answer takes the place of the one before, written at once over the old one
 * so that nothing flickers, on the terminal's second screen; the last answer stays when it ends.
 * Into a pipe or a file answers follow each other; JSON is then one line an answer. An agent that
 * goes away meanwhile is told and asked again. Ctrl-C, SIGTERM and a reader that hangs up end it,
 * with the exit code of the last answer.
 */
#include "cli/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/term.h"

#define INTERVAL_MS 2000
#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"

static int wake[2];
static volatile sig_atomic_t ending;
static bool on_screen;

/* 0, or an errno. */
static int put_all(const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, text, len);

		if (n < 0 && errno != EINTR)
			return errno;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* The second time somebody means it: an answer that does not come is not waited for. */
static void on_signal(int nr)
{
	int saved = errno;

	if (nr != SIGWINCH) {
		if (ending) {
			if (on_screen)
				put_all(LEAVE, strlen(LEAVE));
			_exit(128 + nr);
		}
		ending = 1;
	}
	if (write(wake[1], "", 1) < 0) {
		/* It is full: it wakes anyway. */
	}
	errno = saved;
}

static void catch_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGWINCH };
	struct sigaction act = { .sa_handler = on_signal };
	size_t i;

	for (i = 0; i < RS_ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &act, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* Until the next answer is due, the window changes or all is over. False: nobody reads us. */
static bool rest(int64_t until)
{
	struct pollfd p[2] = { { .fd = wake[0], .events = POLLIN }, { .fd = STDOUT_FILENO } };
	char drain[64];
	int64_t left = until - rs_mono_ms();

	while (!ending && left > 0) {
		int n = poll(p, 2, (int)left);

		if (n > 0 && p[1].revents & (POLLERR | POLLHUP | POLLNVAL))
			return false;
		if (n > 0 && p[0].revents) {
			while (read(wake[0], drain, sizeof(drain)) > 0)
				;
			return true;
		}
		left = until - rs_mono_ms();
	}
	return true;
}

/* ---- a terminal ------------------------------------------------------------------------------ */

/* What stood there is erased before, not behind: on the last column that would take a letter. */
static void put_line(struct rs_strbuf *b, const char *text)
{
	rs_strbuf_puts(b, "\033[K");
	rs_strbuf_puts(b, text);
	rs_strbuf_puts(b, "\r\n");
}

static void put_title(struct rs_strbuf *b, const struct cli_run *r, size_t width)
{
	rs_auto_strbuf title = { 0 };
	rs_autofree char *piece = NULL;
	time_t now = time(NULL);
	struct tm tm;
	char clock[16];
	const char *p;

	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&now, &tm));
	rs_strbuf_printf(&title, "%sripstop %s   %s, every %g s, Ctrl-C ends it", cli_self.before,
			 r->cmd->name, clock,
			 (r->opt.interval_ms ? r->opt.interval_ms : INTERVAL_MS) / 1000.0);
	p = title.s;
	piece = cli_term_cut(&p, width);
	put_line(b, piece);
}

/* The lines of text that there is room for. */
static void put_lines(struct rs_strbuf *b, const char *text, size_t width, size_t room)
{
	size_t hidden = 0;

	while (*text) {
		size_t len = strcspn(text, "\n");
		rs_autofree char *line = rs_strndup(text, len);
		const char *p = line;

		do {
			rs_autofree char *piece = cli_term_cut(&p, width);

			if (room) {
				put_line(b, piece ? piece : "");
				room--;
			} else {
				hidden++;
			}
		} while (*p);
		text += len + (text[len] == '\n');
	}
	if (hidden)
		rs_strbuf_printf(b, "\033[K(%zu more lines)", hidden);
}

static int put_frame(const struct cli_run *r, const char *text)
{
	rs_auto_strbuf b = { 0 };
	size_t width, height;

	cli_term_size(&width, &height);
	if (!width || height < 4) {
		width = 80;
		height = 24;
	}
	if (!on_screen)
		rs_strbuf_puts(&b, ENTER);
	on_screen = true;
	rs_strbuf_puts(&b, "\033[?7l\033[H");
	put_title(&b, r, width);
	put_lines(&b, text, width, height - 3);
	rs_strbuf_puts(&b, "\033[J\033[?7h");
	return put_all(b.s, b.len);
}

/* ---- again and again ------------------------------------------------------------------------- */

struct answer {
	int code;
	struct rs_strbuf out, said;
};

static void clear(struct answer *a)
{
	rs_strbuf_free(&a->out);
	rs_strbuf_free(&a->said);
}

/* One question. What is said of it on stderr goes into the picture on a terminal. */
static void ask(struct cli_run *r, int (*run)(struct cli_run *r), bool terminal, struct answer *a)
{
	size_t height;

	memset(a, 0, sizeof(*a));
	r->n_tables = 0;
	memset(r->named, 0, ((size_t)r->n_operands + 1) * sizeof(*r->named));
	cli_term_size(&r->width, &height);
	cli_say_into(terminal ? &a->said : NULL);
	a->code = run(r);
	cli_say_into(NULL);
	a->out = r->out;
	memset(&r->out, 0, sizeof(r->out));
}

static int show(const struct cli_run *r, const struct answer *a, bool terminal)
{
	rs_auto_strbuf frame = { 0 };

	if (!terminal)
		return put_all(rs_strbuf_str(&a->out), a->out.len);
	rs_strbuf_puts(&frame, rs_strbuf_str(&a->out));
	rs_strbuf_puts(&frame, rs_strbuf_str(&a->said));
	return put_frame(r, rs_strbuf_str(&frame));
}

/* An agent that is started anew, a pod that is: the next answer may be a better one. */
static bool is_passing(int code)
{
	return code == CLI_NO_AGENT || code == CLI_TIMEOUT || code == CLI_NOT_FOUND;
}

static bool is_hopeless(int code, bool first)
{
	return code >= CLI_USAGE && code != CLI_PARTIAL && (first || !is_passing(code));
}

/* The last answer stays on the terminal. */
static void leave(const struct answer *last)
{
	if (on_screen) {
		put_all(LEAVE, strlen(LEAVE));
		put_all(rs_strbuf_str(&last->out), last->out.len);
	}
	on_screen = false;
	fputs(rs_strbuf_str(&last->said), stderr);
}

static int fail(int error)
{
	if (error == EPIPE)
		return CLI_YES;
	cli_error(NULL, "write the answer: %s", strerror(error));
	return CLI_NO_AGENT;
}

static int loop(struct cli_run *r, int (*run)(struct cli_run *r), bool terminal,
		struct answer *last)
{
	int interval = r->opt.interval_ms ? r->opt.interval_ms : INTERVAL_MS, error = 0;
	bool first = true, read = true;

	while (!ending && read && !error) {
		int64_t due = rs_mono_ms() + interval;
		struct answer a;

		ask(r, run, terminal, &a);
		/* What was interrupted is no answer. */
		if (ending && !first) {
			clear(&a);
			break;
		}
		clear(last);
		*last = a;
		if (is_hopeless(a.code, first))
			break;
		error = show(r, last, terminal);
		first = false;
		read = error || rest(due);
	}
	return error ? fail(error) : last->code;
}

int cli_watch(struct cli_run *r, int (*run)(struct cli_run *r))
{
	bool terminal = isatty(STDOUT_FILENO) && !cli_wants_object(r);
	struct answer last = { 0 };
	int code;

	if (pipe2(wake, O_CLOEXEC | O_NONBLOCK) < 0) {
		cli_error(NULL, "watch: %s", strerror(errno));
		return CLI_NO_AGENT;
	}
	catch_signals();
	r->watching = true;
	code = loop(r, run, terminal, &last);
	leave(&last);
	clear(&last);
	return code;
}
