// SPDX-License-Identifier: Apache-2.0
/* doctor_agent.c - the agent of this node: its folder and socket, whether it lives and of which
 * release, and the libraries of an agent that is installed on the host. */
#include "cli/doctor/doctor.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <linux/magic.h>

#include <ripstop/ctl.h>

#define STATE "run/ripstop"

/* ---- folder and socket ----------------------------------------------------------------------- */

static const char why_state[] = "leases, records and the socket lie there: who can write it can "
				"give a pod another pod's address or labels";

static void state_folder(struct doctor *d)
{
	rs_autofree char *full = doctor_path(d, STATE);
	struct statfs fs;
	struct stat st;

	if (lstat(full, &st) < 0)
		doctor_say(d, DOCTOR_WARN, "state", why_state,
			   "start the agent: it makes the folder", "/" STATE " is not there");
	else if (!S_ISDIR(st.st_mode) || st.st_uid != 0 || (st.st_mode & 077))
		doctor_say(d, DOCTOR_FAIL, "state", why_state,
			   "chown root and chmod 0700 it, and ask who could write it",
			   "/" STATE ": uid %u, mode %04o, not root and 0700", st.st_uid,
			   st.st_mode & 07777u);
	else if (!*d->root && statfs(full, &fs) == 0 && fs.f_type != TMPFS_MAGIC)
		doctor_say(d, DOCTOR_WARN, "state",
			   "what is in it must not survive a boot: leases would stay for pods "
			   "that are gone",
			   "mount a tmpfs at /run", "/" STATE " is on no tmpfs");
	else
		doctor_say(d, DOCTOR_OK, "state", why_state, NULL, "/" STATE " is root's alone");
}

static void socket_file(struct doctor *d, const char *path)
{
	static const char why[] = "who may speak to it may read all policy and ask for pods to be "
				  "attached";
	struct stat st;

	if (lstat(path, &st) < 0)
		return;
	if (!S_ISSOCK(st.st_mode) || st.st_uid != 0 || (st.st_mode & 077))
		doctor_say(d, DOCTOR_FAIL, "socket", why, "restart the agent: it makes it anew",
			   "%s: uid %u, mode %04o, not root's socket of 0600", path, st.st_uid,
			   st.st_mode & 07777u);
	else
		doctor_say(d, DOCTOR_OK, "socket", why, NULL, "%s is root's alone", path);
}

/* ---- alive ----------------------------------------------------------------------------------- */

static const char why_alive[] =
	"without an agent the kernel keeps its rules, but no pod can join and no change is put in "
	"force";

static struct json_object *ask(const char *path, const char *op, struct rs_err *err)
{
	rs_autojson struct json_object *req = json_object_new_object();
	struct json_object *o = NULL;

	rs_json_add_str(req, "op", op);
	rs_ctl_call(path, req, 3000, &o, err);
	return o;
}

static void dataplane(struct doctor *d, struct json_object *status)
{
	static const char why[] = "what enforces must be what was meant, and alone";
	struct json_object *o = rs_json_get(status, "dataplane");
	const char *name = rs_json_text(o, "name", "none");
	const char *reason = rs_json_text(o, "why", NULL);
	const char *beside = rs_json_text(o, "beside", NULL);

	if (beside)
		doctor_say(d, DOCTOR_WARN, "dataplane", why, "see ripstop status",
			   "%s; rules of %s judge too", name, beside);
	else if (cli_true(o, "fallback"))
		doctor_say(d, DOCTOR_WARN, "dataplane", why,
			   "mend what is missing and restart the agent, or configure dataplane: "
			   "auto",
			   "%s, not %s: %s", name, rs_json_text(o, "configured", "the other one"),
			   reason ? reason : "it gives no reason");
	else if (reason)
		doctor_say(d, DOCTOR_OK, "dataplane", why, NULL, "%s: %s", name, reason);
}

static void readiness(struct doctor *d, const char *path)
{
	rs_auto_err err = { 0 };
	rs_autojson struct json_object *o = ask(path, "status", &err);
	size_t n = cli_count(o, "conditions");

	if (!o)
		doctor_say(d, DOCTOR_FAIL, "agent", why_alive, "see its log",
			   "it gives no status: %s", rs_err_str(&err));
	else if (!cli_true(o, "ready"))
		doctor_say(d, DOCTOR_FAIL, "agent", why_alive, "see ripstop status",
			   "it is not ready: %s",
			   rs_json_text(o, "notReadyReason", "it gives no reason"));
	else if (n)
		doctor_say(d, DOCTOR_WARN, "agent",
			   "each condition says what is not as it should be", "see ripstop status",
			   "it is ready, with %zu conditions", n);
	else
		doctor_say(d, DOCTOR_OK, "agent", why_alive, NULL,
			   "it is ready, without conditions");
	if (o)
		dataplane(d, o);
}

static void alive(struct doctor *d, const char *path)
{
	rs_auto_err err = { 0 };
	rs_autojson struct json_object *o = ask(path, "version", &err);
	const char *version = rs_json_text(o, "agent", NULL);

	if (!o) {
		doctor_say(d, DOCTOR_WARN, "agent", why_alive,
			   err.num == EACCES ? "run doctor as root"
					     : "systemctl start ripstop-agent, or kubectl apply -f "
					       "manifests/",
			   "none answers: %s", rs_err_str(&err));
		return;
	}
	if (!version || strcmp(version, RIPSTOP_VERSION))
		doctor_say(d, DOCTOR_WARN, "agent",
			   "a newer command line may ask what an older agent does not know",
			   "use the ripstop of the agent's release",
			   "its release is %s, this program's " RIPSTOP_VERSION,
			   version ? version : "not told");
	else
		doctor_say(d, DOCTOR_OK, "agent", why_alive, NULL, "release %s, as this program",
			   version);
	readiness(d, path);
}

/* ---- libraries ------------------------------------------------------------------------------- */

static bool has_library(const struct doctor *d, const char *name)
{
	static const char *const dirs[] = { "usr/lib/x86_64-linux-gnu",
					    "usr/lib/aarch64-linux-gnu",
					    "lib/x86_64-linux-gnu",
					    "lib/aarch64-linux-gnu",
					    "usr/lib64",
					    "usr/lib",
					    "usr/local/lib" };

	for (size_t i = 0; i < RS_ARRAY_SIZE(dirs); i++) {
		rs_autofree char *path = rs_asprintf("%s/%s", dirs[i], name);

		if (doctor_exists(d, path))
			return true;
	}
	return false;
}

static void libraries(struct doctor *d)
{
	static const char why[] = "an agent on the host takes them from the host; an image brings "
				  "its own";
	/* libelf is libbpf's. */
	static const char *const names[] = { "libevent-2.1.so.7", "libssl.so.3",
					     "libcrypto.so.3",	  "libz.so.1",
					     "libyaml-0.so.2",	  "libjson-c.so.5",
					     "libnftnl.so.11",	  "libmnl.so.0",
					     "libbpf.so.1",	  "libelf.so.1",
					     "libnl-3.so.200" };
	rs_auto_strbuf missing = { 0 };

	if (!doctor_exists(d, "usr/bin/ripstop-agent")) {
		doctor_say(d, DOCTOR_OK, "libraries", why, NULL,
			   "no agent is installed in /usr/bin");
		return;
	}
	for (size_t i = 0; i < RS_ARRAY_SIZE(names); i++)
		if (!has_library(d, names[i]))
			rs_strbuf_printf(&missing, "%s%s", missing.len ? ", " : "", names[i]);
	if (missing.len)
		doctor_say(d, DOCTOR_FAIL, "libraries", why, "make deps, or apt-get install them",
			   "not found: %s", missing.s);
	else
		doctor_say(d, DOCTOR_OK, "libraries", why, NULL, "all that the agent links");
}

void doctor_agent(struct doctor *d)
{
	rs_autofree char *path = d->r->opt.socket ? rs_strdup(d->r->opt.socket)
						  : doctor_path(d, STATE "/agent.sock");

	state_folder(d);
	socket_file(d, path);
	alive(d, path);
	libraries(d);
}
