// SPDX-License-Identifier: Apache-2.0
/* statedir.c - a folder of small state files; see statedir.h. */
#include "base/statedir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"

#define LOCK_WAIT_MS 10000

static int io_failed(const struct rs_statedir *d, struct rs_err *err)
{
	int rc = err && err->num ? -err->num : -EIO;

	rs_err_wrap(err, "%s", d->path);
	rs_err_cni(err, RS_CNI_IO);
	if (rc == -ENOSPC || rc == -EDQUOT)
		rs_err_hint(err, "free space on the file system of %s", d->path);
	else if (rc == -EROFS || rc == -EACCES || rc == -EPERM)
		rs_err_hint(err, "%s must be writable for the user that runs Ripstop", d->path);
	return rc;
}

static int open_folder(const char *path)
{
	return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int rs_statedir_open(const char *state_dir, const char *sub, struct rs_statedir *out,
		     struct rs_err *err)
{
	rs_autofree char *path = rs_asprintf("%s/%s", state_dir, sub);
	rs_autoclose int fd = open_folder(path);
	struct stat st;
	int rc = 0;

	out->fd = -1;
	out->path = NULL;
	out->lock_ms = 0;
	if (fd < 0) {
		rc = rs_mkdir_p(path, 0700, err);
		fd = rc < 0 ? -1 : open_folder(path);
	}
	if (rc < 0) {
		rs_err_cni(err, RS_CNI_IO);
		return rc;
	}
	if (fd < 0 || fstat(fd, &st) < 0) {
		rc = rs_err_sys(err, errno, "open folder %s", path);
		rs_err_cni(err, RS_CNI_IO);
		return rc;
	}
	if (st.st_uid != geteuid() || (st.st_mode & 022)) {
		rc = rs_err_set(err, EACCES, "folder %s: others than its owner may write to it",
				path);
		rs_err_cni(err, RS_CNI_IO);
		rs_err_hint(err, "chown it to the user that runs Ripstop and chmod it to 0700");
		return rc;
	}
	out->fd = rs_steal_fd(&fd);
	out->path = rs_steal_ptr(&path);
	return 0;
}

void rs_statedir_close(struct rs_statedir *d)
{
	if (d->fd >= 0)
		close(d->fd);
	free(d->path);
	d->fd = -1;
	d->path = NULL;
}

/*
 * Polled, not blocking: a holder that was stopped must not hang a pod's start for ever. Everyone
 * asks equally often, at odd moments: with a growing pause newcomers would win against those who
 * have waited long.
 */
static int lock_wait(int fd, int wait_ms)
{
	int64_t until = rs_mono_ms() + wait_ms;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		struct timespec ts;

		clock_gettime(CLOCK_MONOTONIC, &ts);
		ts.tv_sec = 0;
		ts.tv_nsec = 1000000 + ts.tv_nsec % 1000003;

		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (rs_mono_ms() >= until)
			return -ETIMEDOUT;
		nanosleep(&ts, NULL);
	}
	return 0;
}

int rs_statedir_lock(const struct rs_statedir *d, struct rs_err *err)
{
	/* A description of its own: the lock belongs to it, not to the process. */
	rs_autoclose int fd = openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int wait_ms = d->lock_ms ? d->lock_ms : LOCK_WAIT_MS;
	int rc;

	if (fd < 0) {
		rs_err_sys(err, errno, "lock");
		return io_failed(d, err);
	}
	rc = lock_wait(fd, wait_ms);
	if (rc == -ETIMEDOUT) {
		rs_err_set(err, ETIMEDOUT, "%s: another process has held the lock for %d ms",
			   d->path, wait_ms);
		rs_err_cni(err, RS_CNI_TRY_AGAIN);
		return rc;
	}
	if (rc < 0) {
		rs_err_sys(err, -rc, "lock");
		return io_failed(d, err);
	}
	return rs_steal_fd(&fd);
}

static DIR *open_listing(const struct rs_statedir *d)
{
	int fd = openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

	if (!dir && fd >= 0)
		close(fd);
	return dir;
}

static void sweep_one(const struct rs_statedir *d, const char *name)
{
	size_t len = strlen(name);

	if (name[0] == '.' && len > 4 && !strcmp(name + len - 4, ".tmp"))
		unlinkat(d->fd, name, 0);
}

void rs_statedir_sweep(const struct rs_statedir *d)
{
	rs_autoclosedir DIR *dir = open_listing(d);
	struct dirent *de;

	while (dir && (de = readdir(dir)))
		sweep_one(d, de->d_name);
}

static int written(const struct rs_statedir *d, int rc, struct rs_err *why, struct rs_err *err)
{
	if (rc < 0) {
		io_failed(d, why);
		rs_err_move(err, why);
	}
	return rc;
}

int rs_statedir_write(const struct rs_statedir *d, const char *name, const char *text,
		      enum rs_file_mode mode, struct rs_err *err)
{
	struct rs_err why = { 0 };
	int rc = rs_file_write_at(d->fd, name, text, strlen(text), mode, &why);

	return written(d, rc, &why, err);
}

int rs_statedir_write_boot(const struct rs_statedir *d, const char *name, const char *text,
			   enum rs_file_mode mode, struct rs_err *err)
{
	struct rs_err why = { 0 };
	int rc = rs_file_write_boot_at(d->fd, name, text, strlen(text), mode, &why);

	return written(d, rc, &why, err);
}

int rs_statedir_read(const struct rs_statedir *d, const char *name, size_t max, char **text,
		     size_t *len, struct rs_err *err)
{
	struct rs_err why = { 0 };
	int rc = rs_file_read_at(d->fd, name, max, text, len, &why);

	if (rc < 0)
		io_failed(d, &why);
	if (rc < 0)
		rs_err_move(err, &why);
	return rc;
}

int rs_statedir_unlink(const struct rs_statedir *d, const char *name, struct rs_err *err)
{
	int rc;

	if (unlinkat(d->fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	rc = rs_err_sys(err, errno, "remove %s", name);
	io_failed(d, err);
	return rc;
}

static int walk(const struct rs_statedir *d, bool sweep, int (*fn)(const char *name, void *arg),
		void *arg, struct rs_err *err)
{
	rs_autoclosedir DIR *dir = open_listing(d);
	struct dirent *de;
	int rc = 0;

	if (!dir) {
		rc = rs_err_sys(err, errno, "list");
		io_failed(d, err);
		return rc;
	}
	while (rc == 0 && (errno = 0, de = readdir(dir)))
		if (de->d_name[0] != '.')
			rc = fn(de->d_name, arg);
		else if (sweep)
			sweep_one(d, de->d_name);
	if (rc == 0 && errno) {
		rc = rs_err_sys(err, errno, "list");
		io_failed(d, err);
	}
	return rc;
}

int rs_statedir_each(const struct rs_statedir *d, int (*fn)(const char *name, void *arg), void *arg,
		     struct rs_err *err)
{
	return walk(d, false, fn, arg, err);
}

int rs_statedir_each_swept(const struct rs_statedir *d, int (*fn)(const char *name, void *arg),
			   void *arg, struct rs_err *err)
{
	return walk(d, true, fn, arg, err);
}
