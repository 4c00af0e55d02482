// SPDX-License-Identifier: Apache-2.0
/* strbuf.c - a string that grows; see strbuf.h. */
#include "base/strbuf.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

/* Most are short, and grow a few bytes at a time: one allocation is enough for them. */
#define FIRST_BYTES 96u

static void grow(struct rs_strbuf *b, size_t more)
{
	size_t want;

	if (__builtin_add_overflow(b->len, more, &want) || __builtin_add_overflow(want, 1, &want))
		rs_oom();
	if (want <= b->cap)
		return;
	if (want < b->cap + b->cap / 2)
		want = b->cap + b->cap / 2;
	if (want < FIRST_BYTES)
		want = FIRST_BYTES;
	b->s = rs_reallocarray(b->s, want, 1);
	b->cap = want;
}

void rs_strbuf_free(struct rs_strbuf *b)
{
	free(b->s);
	memset(b, 0, sizeof(*b));
}

void rs_strbuf_reset(struct rs_strbuf *b)
{
	b->len = 0;
	if (b->s)
		b->s[0] = '\0';
}

void rs_strbuf_add(struct rs_strbuf *b, const void *data, size_t n)
{
	grow(b, n);
	if (n)
		memcpy(b->s + b->len, data, n);
	b->len += n;
	b->s[b->len] = '\0';
}

void rs_strbuf_puts(struct rs_strbuf *b, const char *s)
{
	rs_strbuf_add(b, s, strlen(s));
}

void rs_strbuf_putc(struct rs_strbuf *b, char c)
{
	rs_strbuf_add(b, &c, 1);
}

void rs_strbuf_vprintf(struct rs_strbuf *b, const char *fmt, va_list ap)
{
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	if (n < 0)
		rs_oom();
	grow(b, (size_t)n);
	vsnprintf(b->s + b->len, (size_t)n + 1, fmt, again);
	va_end(again);
	b->len += (size_t)n;
}

void rs_strbuf_printf(struct rs_strbuf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	rs_strbuf_vprintf(b, fmt, ap);
	va_end(ap);
}

/*
 * Length of the well-formed UTF-8 sequence at p (RFC 3629), 0 when it is malformed.
 * The code point goes to *cp.
 */
static size_t utf8_len(const unsigned char *p, uint32_t *cp)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n, i;

	if (p[0] < 0x80) {
		*cp = p[0];
		return 1;
	}
	n = (p[0] & 0xe0) == 0xc0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : (p[0] & 0xf8) == 0xf0 ? 4 : 0;
	if (!n)
		return 0;
	*cp = p[0] & (0x7fu >> n);
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*cp = *cp << 6 | (p[i] & 0x3f);
	}
	if (*cp < least[n] || *cp > 0x10ffff || (*cp >= 0xd800 && *cp <= 0xdfff))
		return 0;
	return n;
}

/* Control, format and direction characters that change what a terminal shows of other text. */
static int steers_terminal(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp <= 0x9f) || cp == 0x061c ||
	       (cp >= 0x200b && cp <= 0x200f) || (cp >= 0x2028 && cp <= 0x202e) ||
	       (cp >= 0x2060 && cp <= 0x206f) || cp == 0xfeff;
}

void rs_strbuf_puts_safe(struct rs_strbuf *b, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	while (*p) {
		uint32_t cp = 0;
		size_t n = utf8_len(p, &cp), i;

		if (*p == '\\') {
			rs_strbuf_puts(b, "\\\\");
			n = 1;
		} else if (n && !steers_terminal(cp)) {
			rs_strbuf_add(b, p, n);
		} else {
			n = n ? n : 1;
			for (i = 0; i < n; i++)
				rs_strbuf_printf(b, "\\x%02x", p[i]);
		}
		p += n;
	}
}

void rs_strbuf_put_json(struct rs_strbuf *b, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	rs_strbuf_putc(b, '"');
	while (*p) {
		uint32_t cp = 0;
		size_t n = utf8_len(p, &cp);

		if (!n) {
			rs_strbuf_puts(b, "\xef\xbf\xbd");
			n = 1;
		} else if (cp == '"' || cp == '\\') {
			rs_strbuf_putc(b, '\\');
			rs_strbuf_putc(b, (char)cp);
		} else if (cp < 0x20 || cp == 0x7f) {
			rs_strbuf_printf(b, "\\u%04x", cp);
		} else {
			rs_strbuf_add(b, p, n);
		}
		p += n;
	}
	rs_strbuf_putc(b, '"');
}

/* What is kept takes no more than it needs. */
char *rs_strbuf_steal(struct rs_strbuf *b)
{
	char *s = b->s ? b->s : rs_strdup("");

	if (b->cap == FIRST_BYTES)
		s = rs_reallocarray(s, b->len + 1, 1);
	memset(b, 0, sizeof(*b));
	return s;
}
