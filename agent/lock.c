// SPDX-License-Identifier: Apache-2.0
/* lock.c - a second agent on one state folder or on one node is refused; the first one is named. */
#include "agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static int refused(int fd, const char *path, struct rs_err *err)
{
	char pid[24] = { 0 };
	ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);
	size_t digits = n > 0 ? strspn(pid, "0123456789") : 0;

	pid[digits] = '\0';
	rs_err_set(err, EBUSY, "another agent runs on this state folder: pid %s holds %s",
		   digits ? pid : "(unknown)", path);
	return rs_err_hint(err, "stop it first: a node has one agent");
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

/* ---- the node -------------------------------------------------------------------------------- */

#define NODE_NAME "ripstop-agent"
#define NODE_BACKLOG 128

/*
 * Who holds the name? Abstract names have no rights: one that a process of another user took is no
 * agent and must not keep us from starting. -EBUSY for an agent, 0 for anything else.
 */
static int ask_holder(const struct sockaddr_un *sa, socklen_t len, struct rs_err *err)
{
	rs_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred peer = { 0 };
	socklen_t size = sizeof(peer);

	if (fd < 0)
		return rs_err_sys(err, errno, "socket");
	if (connect(fd, (const struct sockaddr *)sa, len) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
	    (peer.uid != 0 && peer.uid != geteuid())) {
		rs_log(RS_LOG_WARN, "the abstract socket that keeps a second agent away is taken",
		       "name", NODE_NAME, "uid", RS_LOG_U64(peer.uid), NULL);
		return 0;
	}
	rs_err_set(err, EBUSY, "another agent runs in this network namespace: pid %d",
		   (int)peer.pid);
	return rs_err_hint(err, "stop it first: two would undo each other's rules");
}

int rs_lock_node(int *out, struct rs_err *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	socklen_t len = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(NODE_NAME);
	rs_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return rs_err_sys(err, errno, "socket");
	/* An abstract name belongs to the network namespace, as our table does: it dies with us */
	memcpy(sa.sun_path + 1, NODE_NAME, strlen(NODE_NAME));
	if (bind(fd, (struct sockaddr *)&sa, len) < 0)
		return errno == EADDRINUSE ? ask_holder(&sa, len, err)
					   : rs_err_sys(err, errno, "bind @%s", NODE_NAME);
	if (listen(fd, NODE_BACKLOG) < 0)
		return rs_err_sys(err, errno, "listen on @%s", NODE_NAME);
	*out = rs_steal_fd(&fd);
	return 0;
}

void rs_lock_sweep(int fd)
{
	int i, peer;

	for (i = 0; fd >= 0 && i < NODE_BACKLOG; i++) {
		peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		if (peer < 0)
			return;
		close(peer);
	}
}
