// SPDX-License-Identifier: Apache-2.0
/* nl_netns.c - entering another network namespace for a moment and always coming back. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>
#include <linux/nsfs.h>

#include "base/base.h"
#include "netlink/netlink.h"

#define OWN_NETNS "/proc/thread-self/ns/net"

static int refuse(struct rs_err *err, const char *path, const char *why)
{
	rs_err_set(err, EINVAL, "network namespace %s: %s", path, why);
	return rs_err_cni(err, RS_CNI_NETNS);
}

static int check_kind(int fd, const char *path, struct rs_err *err)
{
	struct stat st, own;
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
		return refuse(err, path, "it cannot be examined");
	if (fs.f_type != NSFS_MAGIC || ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return refuse(err, path, "it is no network namespace");
	if (stat(OWN_NETNS, &own) < 0)
		return rs_err_sys(err, errno, "stat %s", OWN_NETNS);
	if (st.st_dev == own.st_dev && st.st_ino == own.st_ino)
		return refuse(err, path, "it is the host's own; a pod needs one of its own");
	return 0;
}

int rs_netns_open(const char *path, int *fd, struct rs_err *err)
{
	/* O_NONBLOCK: a FIFO in its place must not hang us. */
	rs_autoclose int ns = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int rc;

	if (ns < 0) {
		rs_err_sys(err, errno, "open network namespace %s", path);
		rs_err_cni(err, RS_CNI_NETNS);
		return -EINVAL;
	}
	rc = check_kind(ns, path, err);
	if (rc < 0)
		return rc;
	*fd = rs_steal_fd(&ns);
	return 0;
}

int rs_netns_do(int netns_fd, int (*fn)(void *arg, struct rs_err *err), void *arg,
		struct rs_err *err)
{
	rs_autoclose int own = open(OWN_NETNS, O_RDONLY | O_CLOEXEC);
	int rc;

	if (own < 0)
		return rs_err_sys(err, errno, "open %s", OWN_NETNS);
	if (setns(netns_fd, CLONE_NEWNET) < 0) {
		int num = errno;

		rs_err_sys(err, num, "enter the pod's network namespace");
		rs_err_cni(err, num == EPERM ? RS_CNI_KERNEL : RS_CNI_NETNS);
		if (num == EPERM)
			rs_err_hint(err, "run it as root, or with the capability SYS_ADMIN");
		return -num;
	}
	rc = fn(arg, err);
	/* Going on in the pod's namespace would plumb the wrong side. */
	if (setns(own, CLONE_NEWNET) < 0)
		abort();
	return rc;
}

static int open_here(void *arg, struct rs_err *err)
{
	return rs_nl_open(arg, err);
}

int rs_nl_open_netns(int netns_fd, struct rs_nl **out, struct rs_err *err)
{
	return rs_netns_do(netns_fd, open_here, out, err);
}
