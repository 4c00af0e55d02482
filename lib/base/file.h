/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h - whole small files, read with a bound and written so that a crash leaves all or nothing.
 *
 * Errors name the path and are classified as CNI code 5 (state folder) where the plugin cares.
 */
#ifndef RIPSTOP_BASE_FILE_H
#define RIPSTOP_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <ripstop/error.h>

/*
 * Read a regular file of at most max bytes. *buf is NUL-terminated (the NUL is not counted in *len,
 * which may be NULL) and owned by the caller. -EFBIG when it is larger, -EINVAL when not regular.
 */
int rs_file_read(const char *path, size_t max, char **buf, size_t *len, struct rs_err *err);

/* The same relative to an open directory. */
int rs_file_read_at(int dirfd, const char *name, size_t max, char **buf, size_t *len,
		    struct rs_err *err);

/* How rs_file_write_at() makes the new file visible. */
enum rs_file_mode {
	RS_FILE_CREATE,	 /* link(2): -EEXIST when the name exists, which is then untouched */
	RS_FILE_REPLACE, /* rename(2): the old content is gone only once the new is on disk */
};

/* Write a temporary file, fsync it, make it visible, fsync the directory. Permissions 0600. */
int rs_file_write_at(int dirfd, const char *name, const void *data, size_t len,
		     enum rs_file_mode mode, struct rs_err *err);

/* The same with permissions of the caller's choice. */
int rs_file_write_perm_at(int dirfd, const char *name, const void *data, size_t len,
			  enum rs_file_mode mode, mode_t perm, struct rs_err *err);

/* As rs_file_write_at(), but a power failure may take the name back: for what the next boot makes
 * void. What has a name is whole all the same, and a process that dies loses nothing. */
int rs_file_write_boot_at(int dirfd, const char *name, const void *data, size_t len,
			  enum rs_file_mode mode, struct rs_err *err);

/* Create path and its missing parents with mode (each); an existing directory is fine. */
int rs_mkdir_p(const char *path, mode_t mode, struct rs_err *err);

/* This boot's id from /proc/sys/kernel/random/boot_id, 36 characters and a NUL. */
#define RS_BOOT_ID_LEN 37
int rs_boot_id(char out[RS_BOOT_ID_LEN], struct rs_err *err);

/* Wall clock, seconds since the epoch; and a clock that never jumps, milliseconds. */
int64_t rs_now_s(void);
int64_t rs_mono_ms(void);

#endif
