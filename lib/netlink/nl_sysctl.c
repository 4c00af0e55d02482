// SPDX-License-Identifier: Apache-2.0
/* nl_sysctl.c - /proc/sys/net of the calling thread's network namespace. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "netlink/netlink.h"

static int full_path(const char *path, char **full, struct rs_err *err)
{
	/* A link's name stands in the path: it may not climb out of net/. */
	if (strncmp(path, "net/", 4) != 0 || strstr(path, "/../") || strstr(path, "/./"))
		return rs_err_set(err, EINVAL, "sysctl %s: not a name under net/", path);
	*full = rs_asprintf("/proc/sys/%s", path);
	return 0;
}

/* The value without its line's end. */
static int read_value(int fd, const char *name, char *buf, size_t size, struct rs_err *err)
{
	ssize_t n = read(fd, buf, size - 1);

	if (n < 0)
		return rs_err_sys(err, errno, "read sysctl %s", name);
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return 0;
}

int rs_sysctl_get(const char *path, char *buf, size_t size, struct rs_err *err)
{
	rs_autofree char *full = NULL;
	rs_autoclose int fd = -1;
	int rc = full_path(path, &full, err);

	if (rc < 0)
		return rc;
	fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return rs_err_sys(err, errno, "sysctl %s", path);
	return read_value(fd, path, buf, size, err);
}

static bool is_read_only(int num)
{
	return num == EROFS || num == EACCES || num == EPERM;
}

static int not_writable(const char *name, const char *value, int num, struct rs_err *err)
{
	int rc = rs_err_sys(err, num, "write %s to sysctl %s", value, name);

	if (is_read_only(num)) {
		rs_err_cni(err, RS_CNI_KERNEL);
		rs_err_hint(err, "/proc/sys must be writable here, or the value set beforehand");
	}
	return rc;
}

/* What holds its value already needs no right to write. name: for the error. */
static int set_at(int folder, const char *file, const char *name, const char *value,
		  struct rs_err *err)
{
	rs_autoclose int fd = openat(folder, file, O_RDWR | O_CLOEXEC);
	size_t len = strlen(value);
	int why = fd < 0 ? errno : 0, rc;
	char old[64];

	if (is_read_only(why))
		fd = openat(folder, file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return rs_err_sys(err, errno, "sysctl %s", name);
	rc = read_value(fd, name, old, sizeof(old), err);
	if (rc < 0 || strcmp(old, value) == 0)
		return rc;
	if (why || pwrite(fd, value, len, 0) != (ssize_t)len)
		return not_writable(name, value, why ? why : errno, err);
	return 0;
}

int rs_sysctl_set(const char *path, const char *value, struct rs_err *err)
{
	rs_autofree char *full = NULL;
	int rc = full_path(path, &full, err);

	return rc < 0 ? rc : set_at(AT_FDCWD, full, path, value, err);
}

int rs_sysctl_folder(const char *path, struct rs_err *err)
{
	rs_autofree char *full = NULL;
	int rc = full_path(path, &full, err), fd;

	if (rc < 0)
		return rc;
	fd = open(full, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? rs_err_sys(err, errno, "sysctl folder %s", path) : fd;
}

int rs_sysctl_set_at(int folder, const char *name, const char *value, struct rs_err *err)
{
	if (strchr(name, '/'))
		return rs_err_set(err, EINVAL, "sysctl %s: not a name", name);
	return set_at(folder, name, name, value, err);
}
