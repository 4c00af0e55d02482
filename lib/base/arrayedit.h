/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arrayedit.h - take items out of a large sorted array, or make room for new ones, in one pass that
 * moves each byte at most once: a few changes to 100,000 items cost a memmove(3), not a copy.
 */
#ifndef RIPSTOP_BASE_ARRAYEDIT_H
#define RIPSTOP_BASE_ARRAYEDIT_H

#include <stddef.h>

/* Remove the items at the ascending, distinct indexes at[0 .. n_at) of v; n - n_at are left. */
void rs_array_remove(void *v, size_t n, size_t size, const size_t *at, size_t n_at);

/*
 * Open a slot before each of the items at the ascending indexes at[0 .. n_at) (n: behind the
 * last; the same index twice: two slots). v has room for n + n_at. Slot i is then item at[i] +
 * i, and holds what it held: fill it.
 */
void rs_array_open(void *v, size_t n, size_t size, const size_t *at, size_t n_at);

#endif
