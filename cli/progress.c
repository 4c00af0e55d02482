// SPDX-License-Identifier: Apache-2.0
/* progress.c - a bar on stderr while something takes longer than half a second. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

#define PATIENCE_MS 500
#define BAR_EVERY_MS 100
#define LINE_EVERY_MS 5000
#define BAR_CELLS 30

/* One at a time. */
static struct {
	const char *what; /* NULL: none runs */
	size_t total, done;
	enum cli_progress mode;
	int64_t next; /* when it is to be shown again */
	bool shown;
} now;

void cli_progress_begin(const struct cli_run *r, const char *what, size_t total)
{
	now.mode = r->opt.progress;
	if (now.mode == CLI_PROGRESS_AUTO && (r->watching || !isatty(STDERR_FILENO)))
		now.mode = CLI_PROGRESS_NONE;
	now.what = what;
	now.total = total;
	now.done = 0;
	now.shown = false;
	now.next = rs_mono_ms() + PATIENCE_MS;
}

/* "2 of 40 (5%)", or "2" when nobody knows of how many. */
static void put_count(struct rs_strbuf *b)
{
	if (now.total)
		rs_strbuf_printf(b, "%zu of %zu (%zu%%)", now.done, now.total,
				 now.done * 100 / now.total);
	else
		rs_strbuf_printf(b, "%zu", now.done);
}

static void show_line(void)
{
	rs_auto_strbuf b = { 0 };

	put_count(&b);
	fprintf(stderr, "%sripstop: %s: %s\n", cli_self.before, now.what, b.s);
	now.next += LINE_EVERY_MS;
}

static void show_bar(void)
{
	rs_auto_strbuf b = { 0 };
	size_t i, full = now.total ? now.done * BAR_CELLS / now.total : 0;

	rs_strbuf_printf(&b, "\r%s  ", now.what);
	if (now.total) {
		rs_strbuf_putc(&b, '|');
		for (i = 0; i < BAR_CELLS; i++)
			rs_strbuf_putc(&b, i < full ? '#' : '.');
		rs_strbuf_puts(&b, "|  ");
	}
	put_count(&b);
	rs_strbuf_puts(&b, "\033[K");
	fputs(b.s, stderr);
	now.shown = true;
	now.next += BAR_EVERY_MS;
}

void cli_progress_step(size_t done)
{
	now.done = now.total && done > now.total ? now.total : done;
	if (!now.what || now.mode == CLI_PROGRESS_NONE || rs_mono_ms() < now.next)
		return;
	now.next = rs_mono_ms();
	if (now.mode == CLI_PROGRESS_PLAIN)
		show_line();
	else
		show_bar();
}

void cli_progress_hide(void)
{
	if (now.shown)
		fputs("\r\033[K", stderr);
	now.shown = false;
}

void cli_progress_end(void)
{
	cli_progress_hide();
	now.what = NULL;
}
