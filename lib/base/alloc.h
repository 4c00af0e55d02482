/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alloc.h - allocation that is always checked, in one place.
 *
 * Every function here returns memory or does not return: on exhaustion rs_oom() aborts the
 * process. Why that and not -ENOMEM in every caller is docs/decisions/0001-out-of-memory.md: the
 * kernel keeps the rules that are in force, so dying is closed, while a half-run compile need not
 * be. Sizes that come from outside are bounded by the parsers' budgets before they get here.
 * Memory is released with free(3).
 */
#ifndef RIPSTOP_BASE_ALLOC_H
#define RIPSTOP_BASE_ALLOC_H

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

/* Out of memory: abort. Never returns. */
void rs_oom(void) __attribute__((noreturn, cold));

/* n objects of size bytes, zeroed; the product is checked for overflow. n == 0 gives a valid
 * pointer. */
void *rs_calloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));

/* Resize to n objects of size bytes; new bytes are not initialised. The product is checked. */
void *rs_reallocarray(void *p, size_t n, size_t size) __attribute__((returns_nonnull));

/* Copies; s == NULL gives NULL. */
char *rs_strdup(const char *s);
char *rs_strndup(const char *s, size_t n);
void *rs_memdup(const void *p, size_t n);

char *rs_asprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2), returns_nonnull));
char *rs_vasprintf(const char *fmt, va_list ap) __attribute__((returns_nonnull));

#define rs_new(type) ((type *)rs_calloc(1, sizeof(type)))
#define rs_new0(type, n) ((type *)rs_calloc((n), sizeof(type)))

#endif
