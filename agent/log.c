// SPDX-License-Identifier: Apache-2.0
/* log.c - the agent's log lines; see log.h. */
#include "agent/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MAX_PAIRS 32

static struct {
	enum rs_log_level lowest;
	bool json;
} setup = { RS_LOG_INFO, false };

static const char *const level_names[] = { "debug", "info", "warn", "error" };

void rs_log_setup(enum rs_log_level lowest, bool json)
{
	setup.lowest = lowest;
	setup.json = json;
}

char *rs_log_u64_(char buf[24], uint64_t n)
{
	snprintf(buf, 24, "%llu", (unsigned long long)n);
	return buf;
}

static void put_time(struct rs_strbuf *out, int64_t ms)
{
	time_t s = (time_t)(ms / 1000);
	struct tm tm = { 0 };
	char text[32];

	gmtime_r(&s, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	rs_strbuf_printf(out, "%s.%03dZ", text, (int)(ms % 1000));
}

/* A value stands bare only when nobody could read it as two. */
static bool needs_quotes(const char *s)
{
	return !*s || s[strcspn(s, " \"=")] != '\0';
}

static void put_logfmt_value(struct rs_strbuf *out, const char *value)
{
	rs_auto_strbuf safe = { 0 };
	const char *s;

	rs_strbuf_puts_safe(&safe, value);
	s = rs_strbuf_str(&safe);
	if (!needs_quotes(s)) {
		rs_strbuf_puts(out, s);
		return;
	}
	rs_strbuf_putc(out, '"');
	for (; *s; s++) {
		if (*s == '"')
			rs_strbuf_putc(out, '\\');
		rs_strbuf_putc(out, *s);
	}
	rs_strbuf_putc(out, '"');
}

static void put_logfmt(struct rs_strbuf *out, int64_t ms, enum rs_log_level level, const char *msg,
		       const char *const *pairs)
{
	rs_strbuf_puts(out, "ts=");
	put_time(out, ms);
	rs_strbuf_printf(out, " level=%s msg=", level_names[level]);
	put_logfmt_value(out, msg);
	for (; pairs[0]; pairs += 2) {
		if (!pairs[1])
			continue;
		rs_strbuf_printf(out, " %s=", pairs[0]);
		put_logfmt_value(out, pairs[1]);
	}
}

/* Values pass the terminal's escape first, so that a JSON log is as harmless to print as logfmt. */
static void put_json_value(struct rs_strbuf *out, const char *value)
{
	rs_auto_strbuf safe = { 0 };

	rs_strbuf_puts_safe(&safe, value);
	rs_strbuf_put_json(out, rs_strbuf_str(&safe));
}

static void put_json(struct rs_strbuf *out, int64_t ms, enum rs_log_level level, const char *msg,
		     const char *const *pairs)
{
	rs_strbuf_puts(out, "{\"ts\":\"");
	put_time(out, ms);
	rs_strbuf_printf(out, "\",\"level\":\"%s\",\"msg\":", level_names[level]);
	put_json_value(out, msg);
	for (; pairs[0]; pairs += 2) {
		if (!pairs[1])
			continue;
		rs_strbuf_putc(out, ',');
		rs_strbuf_put_json(out, pairs[0]);
		rs_strbuf_putc(out, ':');
		put_json_value(out, pairs[1]);
	}
	rs_strbuf_putc(out, '}');
}

void rs_log_format(struct rs_strbuf *out, bool json, int64_t ms, enum rs_log_level level,
		   const char *msg, const char *const *pairs)
{
	if (json)
		put_json(out, ms, level, msg, pairs);
	else
		put_logfmt(out, ms, level, msg, pairs);
}

static int64_t wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void rs_log(enum rs_log_level level, const char *msg, ...)
{
	const char *pairs[2 * MAX_PAIRS + 1] = { 0 };
	rs_auto_strbuf line = { 0 };
	va_list ap;
	size_t n;

	if (level < setup.lowest)
		return;
	va_start(ap, msg);
	for (n = 0; n < MAX_PAIRS; n++) {
		pairs[2 * n] = va_arg(ap, const char *);
		if (!pairs[2 * n])
			break;
		pairs[2 * n + 1] = va_arg(ap, const char *);
	}
	va_end(ap);
	pairs[2 * n] = NULL;
	rs_log_format(&line, setup.json, wall_ms(), level, msg, pairs);
	rs_strbuf_putc(&line, '\n');
	/* One write, so that lines of several processes do not mix. */
	if (write(STDERR_FILENO, line.s, line.len) < 0)
		return;
}
