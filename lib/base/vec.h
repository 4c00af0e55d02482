/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vec.h - a growing array as a plain struct of pointer, count and capacity.
 *
 *	struct rs_vec(struct rs_addr) addrs = {0};	// members: v, n, cap
 *	*rs_vec_push(&addrs) = a;			// the new slot is zeroed
 *	rs_vec_free(&addrs);			// releases the array, not what items point to
 */
#ifndef RIPSTOP_BASE_VEC_H
#define RIPSTOP_BASE_VEC_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define rs_vec(type)                                                                               \
	{                                                                                          \
		type *v;                                                                           \
		size_t n;                                                                          \
		size_t cap;                                                                        \
	}

/* Room for one more item of size bytes; grows by half. */
static inline void *rs_vec_grow_(void *v, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return v;
	*cap = *cap ? *cap + *cap / 2 + 1 : 8;
	return rs_reallocarray(v, *cap, size);
}

#define rs_vec_push(vec)                                                                           \
	({                                                                                         \
		__typeof__(vec) rs_v_ = (vec);                                                     \
		rs_v_->v = rs_vec_grow_(rs_v_->v, rs_v_->n, &rs_v_->cap, sizeof(*rs_v_->v));       \
		memset(&rs_v_->v[rs_v_->n], 0, sizeof(*rs_v_->v));                                 \
		&rs_v_->v[rs_v_->n++];                                                             \
	})

#define rs_vec_free(vec)                                                                           \
	do {                                                                                       \
		free((vec)->v);                                                                    \
		(vec)->v = NULL;                                                                   \
		(vec)->n = (vec)->cap = 0;                                                         \
	} while (0)

#endif
