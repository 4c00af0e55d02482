/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cleanup.h - release at the end of the scope (GCC and clang `cleanup` attribute).
 *
 *	rs_autofree char *text = rs_strdup(s);
 *	rs_autoclose int fd = open(...);
 *	return rs_steal_ptr(&text);	// ownership leaves the function only by a steal
 *
 * A room with a handle of its own defines its attribute beside the handle with RS_DEFINE_CLEANUP.
 */
#ifndef RIPSTOP_BASE_CLEANUP_H
#define RIPSTOP_BASE_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define rs_cleanup(fn) __attribute__((cleanup(fn)))

/* Defines `static inline void NAME(type *p)` that calls fn(*p) when *p is not NULL. */
#define RS_DEFINE_CLEANUP(name, type, fn)                                                          \
	static inline void name(type *p)                                                           \
	{                                                                                          \
		if (*p)                                                                            \
			fn(*p);                                                                    \
	}

static inline void rs_cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void rs_cleanup_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

RS_DEFINE_CLEANUP(rs_cleanup_fclose, FILE *, fclose)
RS_DEFINE_CLEANUP(rs_cleanup_closedir, DIR *, closedir)

#define rs_autofree rs_cleanup(rs_cleanup_free)
#define rs_autoclose rs_cleanup(rs_cleanup_close)
#define rs_autofclose rs_cleanup(rs_cleanup_fclose)
#define rs_autoclosedir rs_cleanup(rs_cleanup_closedir)

/* Hand the value out and forget it here. */
#define rs_steal_ptr(pp)                                                                           \
	({                                                                                         \
		__typeof__(*(pp)) rs_stolen_ = *(pp);                                              \
		*(pp) = NULL;                                                                      \
		rs_stolen_;                                                                        \
	})

static inline int rs_steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

#endif
