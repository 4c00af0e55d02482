// SPDX-License-Identifier: Apache-2.0
/* call.c - one question to the agent of this node, and what its failures mean. */
#include "cli/cli.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <ripstop/ctl.h>

#define TIMEOUT_MS 5000

static const char *socket_of(const struct cli_run *r)
{
	return r->opt.socket ? r->opt.socket : RS_CTL_SOCKET;
}

bool cli_agent_lives(const struct cli_run *r)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const char *path = socket_of(r);
	int fd, rc;

	if (strlen(path) >= sizeof(sa.sun_path))
		return true; /* the question itself will tell */
	memcpy(sa.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	rc = fd < 0 ? 0 : connect(fd, (struct sockaddr *)&sa, sizeof(sa));
	if (rc < 0)
		rc = -errno;
	if (fd >= 0)
		close(fd);
	return rc != -ENOENT && rc != -ECONNREFUSED && rc != -ENOTDIR;
}

static int exit_of(const struct cli_run *r, int rc)
{
	switch (-rc) {
	case ENOENT: /* the socket, or what was asked for? */
		return access(socket_of(r), F_OK) < 0 ? CLI_NO_AGENT : CLI_NOT_FOUND;
	case EINVAL:
	case EDOM:
	case ERANGE:
	case EAFNOSUPPORT:
		return CLI_USAGE;
	case EBADMSG:
		return CLI_BAD_INPUT;
	case EUCLEAN:
		return CLI_DISAGREES;
	case ETIMEDOUT:
		return CLI_TIMEOUT;
	default:
		return CLI_NO_AGENT;
	}
}

static int failed(const struct cli_run *r, int rc, struct rs_err *err)
{
	rs_autofree char *hint = NULL;
	int code = exit_of(r, rc);

	if (code == CLI_NO_AGENT && (rc == -ENOENT || rc == -ECONNREFUSED))
		hint = rs_asprintf(
			"no agent listens there: start one (systemctl start ripstop-agent, or "
			"ripstop-agent --manifests DIR), or name its socket with --socket PATH");
	else if (err->hint)
		hint = rs_strdup(err->hint);
	cli_error(hint, "%s", rs_err_str(err));
	return code;
}

int cli_call(struct cli_run *r, struct json_object *request, const char *op, const char *kind,
	     struct json_object **result)
{
	rs_autojson struct json_object *req = request;
	rs_autojson struct json_object *o = NULL;
	rs_auto_err err = { 0 };
	int rc;

	json_object_object_add(req, "op", json_object_new_string(op));
	rc = rs_ctl_call(socket_of(r), req, r->opt.timeout_ms ? r->opt.timeout_ms : TIMEOUT_MS, &o,
			 &err);
	if (rc < 0)
		return failed(r, rc, &err);
	if (strcmp(rs_json_text(o, "kind", ""), kind)) {
		cli_error("are this program and the agent of one release? see: ripstop version",
			  "the agent answered %s with something else than a %s", op, kind);
		return CLI_NO_AGENT;
	}
	*result = rs_steal_ptr(&o);
	return 0;
}
