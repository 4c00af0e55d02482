// SPDX-License-Identifier: Apache-2.0
/* lock.c - a second agent on one state folder is refused, with the first one's process id. */
#include "agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

static int refused(int fd, const char *path, struct rs_err *err)
{
	char pid[24] = { 0 };
	ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);
	size_t digits = n > 0 ? strspn(pid, "0123456789") : 0;

	pid[digits] = '\0';
	rs_err_set(err, EBUSY, "another agent runs on this state folder: pid %s holds %s",
		   digits ? pid : "(unknown)", path);
	return rs_err_hint(err, "stop it first, or give this one a --state-dir of its own");
}

static int check_folder(const char *state_dir, struct rs_err *err)
{
	struct stat st;

	if (stat(state_dir, &st) < 0)
		return rs_err_sys(err, errno, "stat %s", state_dir);
	if (st.st_uid != geteuid())
		return rs_err_set(err, EPERM, "state folder %s belongs to uid %u, not to us",
				  state_dir, st.st_uid);
	if ((st.st_mode & 077) && chmod(state_dir, 0700) < 0)
		return rs_err_sys(err, errno, "chmod 0700 %s", state_dir);
	return 0;
}

int rs_lock_take(const char *state_dir, int *out, struct rs_err *err)
{
	rs_autofree char *path = rs_asprintf("%s/agent.lock", state_dir);
	rs_autofree char *pid = rs_asprintf("%d\n", (int)getpid());
	rs_autoclose int fd = -1;
	int rc = rs_mkdir_p(state_dir, 0700, err);

	if (rc == 0)
		rc = check_folder(state_dir, err);
	if (rc < 0)
		return rc;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return rs_err_sys(err, errno, "open %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? refused(fd, path, err)
					    : rs_err_sys(err, errno, "lock %s", path);
	if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, strlen(pid), 0) < 0)
		return rs_err_sys(err, errno, "write %s", path);
	*out = rs_steal_fd(&fd);
	return 0;
}
