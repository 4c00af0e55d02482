// SPDX-License-Identifier: Apache-2.0
/* alloc.c - allocation that is always checked; see alloc.h. */
#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

void rs_oom(void)
{
	abort();
}

void *rs_calloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (!p)
		rs_oom();
	return p;
}

void *rs_reallocarray(void *p, size_t n, size_t size)
{
	void *q = reallocarray(p, n ? n : 1, size ? size : 1);

	if (!q)
		rs_oom();
	return q;
}

char *rs_strdup(const char *s)
{
	return s ? rs_strndup(s, strlen(s)) : NULL;
}

char *rs_strndup(const char *s, size_t n)
{
	char *copy;

	if (!s)
		return NULL;
	copy = strndup(s, n);
	if (!copy)
		rs_oom();
	return copy;
}

void *rs_memdup(const void *p, size_t n)
{
	void *copy = rs_calloc(1, n);

	if (n)
		memcpy(copy, p, n);
	return copy;
}

char *rs_vasprintf(const char *fmt, va_list ap)
{
	char *s = NULL;

	if (vasprintf(&s, fmt, ap) < 0)
		rs_oom();
	return s;
}

char *rs_asprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = rs_vasprintf(fmt, ap);
	va_end(ap);
	return s;
}
