// SPDX-License-Identifier: Apache-2.0
/* nl_sysctl.c - /proc/sys/net of the calling thread's network namespace. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "netlink/netlink.h"

static int open_sysctl(const char *path, int flags, struct rs_err *err)
{
	rs_autofree char *full = NULL;
	int fd;

	/* A link's name stands in the path: it may not climb out of net/. */
	if (strncmp(path, "net/", 4) != 0 || strstr(path, "/../") || strstr(path, "/./"))
		return rs_err_set(err, EINVAL, "sysctl %s: not a name under net/", path);
	full = rs_asprintf("/proc/sys/%s", path);
	fd = open(full, flags | O_CLOEXEC);
	if (fd < 0)
		return rs_err_sys(err, errno, "sysctl %s", path);
	return fd;
}

int rs_sysctl_get(const char *path, char *buf, size_t size, struct rs_err *err)
{
	rs_autoclose int fd = open_sysctl(path, O_RDONLY, err);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read(fd, buf, size - 1);
	if (n < 0)
		return rs_err_sys(err, errno, "read sysctl %s", path);
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return 0;
}

static int write_sysctl(const char *path, const char *value, struct rs_err *err)
{
	rs_autoclose int fd = open_sysctl(path, O_WRONLY, err);
	size_t len = strlen(value);

	if (fd < 0)
		return fd;
	if (write(fd, value, len) != (ssize_t)len)
		return rs_err_sys(err, errno, "write %s to sysctl %s", value, path);
	return 0;
}

int rs_sysctl_set(const char *path, const char *value, struct rs_err *err)
{
	char old[64];
	int rc = rs_sysctl_get(path, old, sizeof(old), err);

	if (rc < 0 || strcmp(old, value) == 0)
		return rc;
	rc = write_sysctl(path, value, err);
	if (rc == -EROFS || rc == -EACCES || rc == -EPERM) {
		rs_err_cni(err, RS_CNI_KERNEL);
		rs_err_hint(err, "/proc/sys must be writable here, or the value set beforehand");
	}
	return rc;
}
