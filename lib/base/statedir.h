/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statedir.h - one folder of small state files that several processes change at once.
 *
 * Every change happens under one flock on the folder itself: it needs no file (a full disk cannot
 * keep anybody from locking), it cannot be deleted and made anew behind a waiter's back, and the
 * kernel drops it when its holder dies. Names that begin with a dot are temporary files of
 * rs_file_write_at(); one that is seen under the lock has lost its writer.
 *
 * Errors are CNI code 5 and name the path.
 */
#ifndef RIPSTOP_BASE_STATEDIR_H
#define RIPSTOP_BASE_STATEDIR_H

#include <stdbool.h>
#include <stddef.h>

#include <ripstop/error.h>

#include "base/file.h"

struct rs_statedir {
	int fd;
	char *path;
	int lock_ms; /* how long to wait for the lock; 0: 10 s */
};

/* Open STATE/sub, making both (0700) when they are missing. A folder that others may write to, or
 * that belongs to another user, is refused: what lies in it is believed. */
int rs_statedir_open(const char *state_dir, const char *sub, struct rs_statedir *out,
		     struct rs_err *err);
void rs_statedir_close(struct rs_statedir *d);

/* Take the lock; returns a descriptor whose close releases it. -ETIMEDOUT (code 11) after 10 s. */
int rs_statedir_lock(const struct rs_statedir *d, struct rs_err *err);

/* Remove temporary files whose writer died. Only under the lock; failures do not matter. */
void rs_statedir_sweep(const struct rs_statedir *d);

/* rs_file_write_at() and the like, with the path in the error. */
int rs_statedir_write(const struct rs_statedir *d, const char *name, const char *text,
		      enum rs_file_mode mode, struct rs_err *err);
/* rs_file_write_boot_at(). */
int rs_statedir_write_boot(const struct rs_statedir *d, const char *name, const char *text,
			   enum rs_file_mode mode, struct rs_err *err);
int rs_statedir_read(const struct rs_statedir *d, const char *name, size_t max, char **text,
		     size_t *len, struct rs_err *err);
/* What is not there is no error. */
int rs_statedir_unlink(const struct rs_statedir *d, const char *name, struct rs_err *err);

/* Call fn for every name that does not begin with a dot; non-zero ends the walk and is returned. */
int rs_statedir_each(const struct rs_statedir *d, int (*fn)(const char *name, void *arg), void *arg,
		     struct rs_err *err);

/* The same, and temporary files whose writer died are removed on the way. Only under the lock. */
int rs_statedir_each_swept(const struct rs_statedir *d, int (*fn)(const char *name, void *arg),
			   void *arg, struct rs_err *err);

#endif
