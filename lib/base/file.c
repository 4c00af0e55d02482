// SPDX-License-Identifier: Apache-2.0
/* file.c - whole small files; see file.h. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"

static int read_all(int fd, const char *name, size_t max, char **out, size_t *len,
		    struct rs_err *err)
{
	rs_autofree char *buf = rs_calloc(1, 4096);
	size_t cap = 4096, n = 0;

	for (;;) {
		ssize_t r;

		if (n + 1 >= cap) {
			cap *= 2;
			buf = rs_reallocarray(buf, cap, 1);
		}
		r = read(fd, buf + n, cap - n - 1);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return rs_err_sys(err, errno, "read %s", name);
		if (r == 0)
			break;
		n += (size_t)r;
		if (n > max)
			return rs_err_set(err, EFBIG, "%s is larger than %zu bytes", name, max);
	}
	buf[n] = '\0';
	*out = rs_steal_ptr(&buf);
	if (len)
		*len = n;
	return 0;
}

int rs_file_read_at(int dirfd, const char *name, size_t max, char **buf, size_t *len,
		    struct rs_err *err)
{
	/* O_NONBLOCK: a FIFO in the folder must not hang us. */
	rs_autoclose int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return rs_err_sys(err, errno, "open %s", name);
	if (fstat(fd, &st) < 0)
		return rs_err_sys(err, errno, "stat %s", name);
	if (!S_ISREG(st.st_mode))
		return rs_err_set(err, EINVAL, "%s is not a regular file", name);
	return read_all(fd, name, max, buf, len, err);
}

int rs_file_read(const char *path, size_t max, char **buf, size_t *len, struct rs_err *err)
{
	return rs_file_read_at(AT_FDCWD, path, max, buf, len, err);
}

static int write_all(int fd, const char *name, const char *data, size_t len, struct rs_err *err)
{
	while (len) {
		ssize_t w = write(fd, data, len);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return rs_err_sys(err, errno, "write %s", name);
		data += w;
		len -= (size_t)w;
	}
	if (fsync(fd) < 0)
		return rs_err_sys(err, errno, "fsync %s", name);
	return 0;
}

static int publish(int dirfd, const char *tmp, const char *name, enum rs_file_mode mode,
		   struct rs_err *err)
{
	int rc = mode == RS_FILE_CREATE ? linkat(dirfd, tmp, dirfd, name, 0)
					: renameat(dirfd, tmp, dirfd, name);

	if (rc < 0)
		return rs_err_sys(err, errno, "create %s", name);
	return 0;
}

static int write_at(int dirfd, const char *name, const void *data, size_t len,
		    enum rs_file_mode mode, mode_t perm, struct rs_err *err)
{
	rs_autofree char *tmp = NULL;
	rs_autoclose int fd = -1;
	uint64_t unique = 0;
	int rc;

	/* Random, not the process id: writers may live in different PID namespaces. */
	if (getrandom(&unique, sizeof(unique), 0) != sizeof(unique))
		return rs_err_sys(err, errno, "getrandom");
	/* Dot first: readers skip such names. */
	tmp = rs_asprintf(".%016llx.tmp", (unsigned long long)unique);
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return rs_err_sys(err, errno, "create a temporary file for %s", name);
	/* Before the sync, so that it is on disk with the data; the umask has no say in it. */
	rc = perm == 0600 || fchmod(fd, perm) == 0 ? 0 : rs_err_sys(err, errno, "chmod %s", name);
	if (rc == 0)
		rc = write_all(fd, name, data, len, err);
	if (rc == 0)
		rc = publish(dirfd, tmp, name, mode, err);
	if (rc < 0 || mode == RS_FILE_CREATE)
		unlinkat(dirfd, tmp, 0);
	return rc;
}

int rs_file_write_perm_at(int dirfd, const char *name, const void *data, size_t len,
			  enum rs_file_mode mode, mode_t perm, struct rs_err *err)
{
	int rc = write_at(dirfd, name, data, len, mode, perm, err);

	if (rc == 0 && dirfd != AT_FDCWD && fsync(dirfd) < 0)
		rc = rs_err_sys(err, errno, "fsync the folder of %s", name);
	return rc;
}

int rs_file_write_at(int dirfd, const char *name, const void *data, size_t len,
		     enum rs_file_mode mode, struct rs_err *err)
{
	return rs_file_write_perm_at(dirfd, name, data, len, mode, 0600, err);
}

int rs_file_write_boot_at(int dirfd, const char *name, const void *data, size_t len,
			  enum rs_file_mode mode, struct rs_err *err)
{
	return write_at(dirfd, name, data, len, mode, 0600, err);
}

int rs_mkdir_p(const char *path, mode_t mode, struct rs_err *err)
{
	rs_autofree char *copy = rs_strdup(path);
	struct stat st;
	char *p = copy;

	do {
		char saved;

		p += strspn(p, "/");
		p += strcspn(p, "/");
		saved = *p;
		*p = '\0';
		if (mkdir(copy, mode) < 0 && errno != EEXIST)
			return rs_err_sys(err, errno, "create folder %s", copy);
		*p = saved;
	} while (*p);
	if (stat(path, &st) < 0)
		return rs_err_sys(err, errno, "stat %s", path);
	if (!S_ISDIR(st.st_mode))
		return rs_err_set(err, ENOTDIR, "%s is not a folder", path);
	return 0;
}

static int read_boot_id(char out[RS_BOOT_ID_LEN], struct rs_err *err)
{
	rs_autofree char *text = NULL;
	size_t len = 0;
	int rc = rs_file_read("/proc/sys/kernel/random/boot_id", 64, &text, &len, err);

	if (rc < 0)
		return rc;
	if (len < RS_BOOT_ID_LEN - 1)
		return rs_err_set(err, EINVAL, "boot_id is too short");
	memcpy(out, text, RS_BOOT_ID_LEN - 1);
	out[RS_BOOT_ID_LEN - 1] = '\0';
	return 0;
}

/* No process outlives a boot, and an ADD asks three times. */
int rs_boot_id(char out[RS_BOOT_ID_LEN], struct rs_err *err)
{
	static _Thread_local char known[RS_BOOT_ID_LEN];
	int rc = *known ? 0 : read_boot_id(known, err);

	if (rc == 0)
		memcpy(out, known, RS_BOOT_ID_LEN);
	return rc;
}

int64_t rs_now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec;
}

int64_t rs_mono_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}
