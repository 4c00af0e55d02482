// SPDX-License-Identifier: Apache-2.0
/* arrayedit.c - removing from and inserting into arrays; see arrayedit.h. */
#include "base/arrayedit.h"

#include <string.h>

void rs_array_remove(void *v, size_t n, size_t size, const size_t *at, size_t n_at)
{
	char *p = v;
	size_t i;

	for (i = 0; i < n_at; i++) {
		size_t from = at[i] + 1, end = i + 1 < n_at ? at[i + 1] : n;

		if (end > from)
			memmove(p + (from - i - 1) * size, p + from * size, (end - from) * size);
	}
}

void rs_array_open(void *v, size_t n, size_t size, const size_t *at, size_t n_at)
{
	char *p = v;
	size_t i;

	for (i = n_at; i-- > 0;) {
		size_t end = i + 1 < n_at ? at[i + 1] : n;

		if (end > at[i])
			memmove(p + (at[i] + i + 1) * size, p + at[i] * size, (end - at[i]) * size);
	}
}
