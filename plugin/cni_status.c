// SPDX-License-Identifier: Apache-2.0
/* cni_status.c - STATUS: would an ADD issued now succeed? Answered without a socket call. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "plugin/cni.h"

static int check_agent(const struct cni_call *c, const struct rs_node_info *node,
		       struct rs_err *err)
{
	int64_t age = rs_now_s() - node->written_s;

	/* A clock that was set back makes it younger than now; that proves nothing against it. */
	if (age > c->conf.status_max_age_s) {
		rs_err_set(err, ESTALE, "the agent last wrote %s/%s %" PRId64 " s ago (limit %d s)",
			   c->conf.state_dir, RS_NODE_FILE, age, c->conf.status_max_age_s);
		return rs_err_hint(err, "is ripstop-agent running?");
	}
	if (!node->ready)
		return rs_err_set(err, EAGAIN, "the agent is not ready: %s",
				  node->why_not ? node->why_not : "it gives no reason");
	return 0;
}

static int check_folder(const char *state_dir, const char *sub, struct rs_err *err)
{
	rs_autofree char *path = rs_asprintf("%s/%s", state_dir, sub);
	struct statvfs vfs;

	/* Not there yet: ADD makes it, if the folder above lets it. */
	if (access(path, F_OK) < 0 && errno == ENOENT)
		path[strlen(state_dir)] = '\0';
	if (access(path, W_OK | X_OK) < 0)
		return rs_err_sys(err, errno, "state folder %s is not writable", path);
	if (statvfs(path, &vfs) < 0)
		return rs_err_sys(err, errno, "statvfs %s", path);
	if (vfs.f_blocks && !vfs.f_bavail)
		return rs_err_set(err, ENOSPC, "the file system of %s is full", path);
	if (vfs.f_files && !vfs.f_favail)
		return rs_err_set(err, ENOSPC, "the file system of %s has no free inode", path);
	return 0;
}

static int check_leases(struct cni_call *c, const struct rs_node_info *node, struct rs_err *err)
{
	rs_cleanup(cni_cleanup_ipam) struct rs_ipam *ipam = NULL;
	rs_cleanup(cni_cleanup_nl) struct rs_nl *nl = NULL;
	int rc;

	if (c->conf.ipam_type)
		return cni_delegate(c, CNI_STATUS, NULL, err);
	rc = rs_nl_open(&nl, err);
	if (rc == 0)
		rc = cni_ranges(c, node, nl, err);
	if (rc == 0)
		rc = cni_ipam_open(c, &ipam, err);
	return rc < 0 ? rc : rs_ipam_check_free(ipam, err);
}

static int check(struct cni_call *c, struct rs_node_info *node, struct rs_err *err)
{
	int rc = rs_node_info_read(c->conf.state_dir, node, err);

	if (rc < 0)
		return rs_err_wrap(err, "no sign of an agent");
	rc = check_agent(c, node, err);
	if (rc == 0)
		rc = check_folder(c->conf.state_dir, "endpoints", err);
	if (rc == 0)
		rc = check_folder(c->conf.state_dir, "leases", err);
	return rc < 0 ? rc : check_leases(c, node, err);
}

int cni_status(struct cni_call *c, struct rs_err *err)
{
	rs_cleanup(rs_node_info_clear) struct rs_node_info node = { 0 };
	int rc = check(c, &node, err);

	/* Whatever ADD would say: to STATUS it means one thing. */
	if (rc < 0 && err->cni != RS_CNI_UNAVAILABLE && err->cni != RS_CNI_LIMITED)
		err->cni = RS_CNI_UNAVAILABLE;
	return rc;
}
