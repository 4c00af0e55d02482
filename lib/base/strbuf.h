/* SPDX-License-Identifier: Apache-2.0 */
/*
 * strbuf.h - a string that grows.
 *
 * Invariants: `s` is NULL only while `len` and `cap` are 0; otherwise s[len] == '\0' and len < cap.
 * Zero initialisation is a valid empty buffer. The owner releases it with rs_strbuf_free() (or
 * declares it `rs_auto_strbuf`) or takes the string with rs_strbuf_steal().
 */
#ifndef RIPSTOP_BASE_STRBUF_H
#define RIPSTOP_BASE_STRBUF_H

#include <stdarg.h>
#include <stddef.h>

struct rs_strbuf {
	char *s;
	size_t len;
	size_t cap;
};

#define rs_auto_strbuf __attribute__((cleanup(rs_strbuf_free))) struct rs_strbuf

void rs_strbuf_free(struct rs_strbuf *b);
void rs_strbuf_reset(struct rs_strbuf *b); /* length 0, memory kept */
void rs_strbuf_add(struct rs_strbuf *b, const void *data, size_t n);
void rs_strbuf_puts(struct rs_strbuf *b, const char *s);
void rs_strbuf_putc(struct rs_strbuf *b, char c);
void rs_strbuf_printf(struct rs_strbuf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void rs_strbuf_vprintf(struct rs_strbuf *b, const char *fmt, va_list ap);

/*
 * Append text that came from outside so that a terminal cannot be steered by it: bytes below 0x20,
 * 0x7f, C1 controls, bidirectional overrides and invalid UTF-8 appear as \xNN (per byte);
 * backslash as \\. Everything a person sees of an object goes through this.
 */
void rs_strbuf_puts_safe(struct rs_strbuf *b, const char *s);

/* Append s as a JSON string with its quotes. Invalid UTF-8 becomes U+FFFD. */
void rs_strbuf_put_json(struct rs_strbuf *b, const char *s);

/* The string, never NULL; the buffer is empty afterwards and the caller owns it. */
char *rs_strbuf_steal(struct rs_strbuf *b);

/* The string, never NULL, still owned by the buffer. */
static inline const char *rs_strbuf_str(const struct rs_strbuf *b)
{
	return b->s ? b->s : "";
}

#endif
