// SPDX-License-Identifier: Apache-2.0
/* bench_say.c - arguments and JSON Lines of bench programs; see bench_say.h. */
#include "tests/bench/bench_say.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"

double bench_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

void bench_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

static double positive(const char *text)
{
	char *end = NULL;
	double v = strtod(text, &end);

	if (!end || end == text || *end || !(v > 0) || v > 86400)
		bench_die("--seconds %s: not a number of seconds", text);
	return v;
}

void bench_args_read(struct bench_args *a, int argc, char **argv)
{
	*a = (struct bench_args){ .build = "build/rel", .seconds = 60 };
	a->started_ms = bench_now_ms();
	for (int i = 1; i < argc; i += 2) {
		if (i + 1 == argc)
			bench_die("%s: a value is missing", argv[i]);
		if (!strcmp(argv[i], "--build"))
			a->build = argv[i + 1];
		else if (!strcmp(argv[i], "--seconds"))
			a->seconds = positive(argv[i + 1]);
		else
			bench_die("%s: only --build DIR and --seconds N are known", argv[i]);
	}
}

double bench_share_gone(const struct bench_args *a)
{
	return (bench_now_ms() - a->started_ms) / (a->seconds * 1e3);
}

/* A line at a time, so that what was measured is told when the program dies. */
static void put_line(const struct rs_strbuf *b)
{
	puts(b->s);
	fflush(stdout);
}

void bench_value(const char *series, int round, double value, const char *unit)
{
	rs_auto_strbuf b = { 0 };

	rs_strbuf_puts(&b, "{\"series\":");
	rs_strbuf_put_json(&b, series);
	if (round >= 0)
		rs_strbuf_printf(&b, ",\"round\":%d", round);
	rs_strbuf_printf(&b, ",\"value\":%.6g,\"unit\":", value);
	rs_strbuf_put_json(&b, unit);
	rs_strbuf_putc(&b, '}');
	put_line(&b);
}

void bench_note(const char *fmt, ...)
{
	rs_auto_strbuf b = { 0 };
	rs_autofree char *text;
	va_list ap;

	va_start(ap, fmt);
	text = rs_vasprintf(fmt, ap);
	va_end(ap);
	rs_strbuf_puts(&b, "{\"note\":");
	rs_strbuf_put_json(&b, text);
	rs_strbuf_putc(&b, '}');
	put_line(&b);
}
