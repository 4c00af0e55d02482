// SPDX-License-Identifier: Apache-2.0
/* cni_delegate.c - an external IPAM plugin, run as the CNI specification says. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "plugin/cni.h"

#define OUTPUT_MAX (1024u * 1024u)
#define ROUTES_MAX 64

struct child {
	pid_t pid;
	int in;	 /* its stdin, -1 once all is written */
	int out; /* its stdout, -1 once it ended */
	int64_t until_ms;
	struct rs_strbuf text;
};

static char *find_in_path(const char *path, const char *type)
{
	while (*path) {
		size_t len = strcspn(path, ":");
		rs_autofree char *dir = rs_strndup(path, len);
		rs_autofree char *full = rs_asprintf("%s/%s", dir, type);
		struct stat st;

		if (dir[0] == '/' && stat(full, &st) == 0 && S_ISREG(st.st_mode) &&
		    access(full, X_OK) == 0)
			return rs_steal_ptr(&full);
		path += len;
		path += *path == ':';
	}
	return NULL;
}

static void run_child(const char *file, const char *type, const char *verb, int in, int out)
{
	char *const argv[] = { (char *)(uintptr_t)type, NULL };

	/* It dies with us: what it holds is then released by the DEL that follows. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	signal(SIGPIPE, SIG_DFL);
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || setenv("CNI_COMMAND", verb, 1) < 0)
		_exit(126);
	execv(file, argv);
	_exit(127);
}

static int start(struct child *ch, const char *file, const char *type, const char *verb,
		 struct rs_err *err)
{
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) < 0)
		return rs_err_sys(err, errno, "pipe");
	if (pipe2(out, O_CLOEXEC) < 0) {
		close(in[0]);
		close(in[1]);
		return rs_err_sys(err, errno, "pipe");
	}
	ch->pid = fork();
	if (ch->pid == 0)
		run_child(file, type, verb, in[0], out[1]);
	close(in[0]);
	close(out[1]);
	ch->in = in[1];
	ch->out = out[0];
	if (ch->pid < 0)
		return rs_err_sys(err, errno, "fork");
	fcntl(ch->in, F_SETFL, O_NONBLOCK);
	return 0;
}

static void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void feed(struct child *ch, const char **text, size_t *len)
{
	ssize_t n = write(ch->in, *text, *len);

	/* A plugin need not read its input to the end. */
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		*len = 0;
	if (n > 0) {
		*text += n;
		*len -= (size_t)n;
	}
	if (!*len)
		shut(&ch->in);
}

static int drain(struct child *ch, struct rs_err *err)
{
	char buf[4096];
	ssize_t n = read(ch->out, buf, sizeof(buf));

	if (n < 0 && errno == EINTR)
		return 0;
	if (n <= 0) {
		shut(&ch->out);
		return 0;
	}
	if (ch->text.len + (size_t)n > OUTPUT_MAX)
		return rs_err_set(err, EFBIG, "it printed more than %u bytes", OUTPUT_MAX);
	rs_strbuf_add(&ch->text, buf, (size_t)n);
	return 0;
}

static int too_slow(struct rs_err *err)
{
	rs_err_set(err, ETIMEDOUT, "it did not end in time");
	return rs_err_cni(err, RS_CNI_TRY_AGAIN);
}

static int talk(struct child *ch, const char *text, struct rs_err *err)
{
	size_t len = strlen(text);
	int rc = 0;

	while (rc == 0 && ch->out >= 0) {
		int64_t left = ch->until_ms - rs_mono_ms();
		struct pollfd p[2] = {
			{ .fd = ch->out, .events = POLLIN },
			{ .fd = ch->in, .events = POLLOUT },
		};

		if (left <= 0)
			return too_slow(err);
		if (poll(p, 2, (int)left) < 0 && errno != EINTR)
			return rs_err_sys(err, errno, "poll");
		if (p[1].revents)
			feed(ch, &text, &len);
		if (p[0].revents)
			rc = drain(ch, err);
	}
	return rc;
}

/* Its whole group. Only for a child that is not reaped yet: the number still is this child's. */
static void kill_child(const struct child *ch)
{
	kill(-ch->pid, SIGKILL);
	kill(ch->pid, SIGKILL);
}

/* Wait for the end of a child that may have closed its stdout and lives on; one whose talk failed
 * (rc) is killed first. */
static int reap(struct child *ch, int rc, int *status, struct rs_err *err)
{
	struct timespec ms = { .tv_nsec = 1000000 };

	for (;;) {
		pid_t got;

		if (rc < 0)
			kill_child(ch);
		got = waitpid(ch->pid, status, rc < 0 ? 0 : WNOHANG);
		if (got == ch->pid)
			return rc;
		if (got < 0 && errno != EINTR)
			return rs_err_sys(err, errno, "waitpid");
		if (got == 0 && rs_mono_ms() >= ch->until_ms)
			rc = too_slow(err);
		else if (got == 0)
			nanosleep(&ms, NULL);
	}
}

static int failed(struct child *ch, int status, struct rs_err *err)
{
	rs_autojson struct json_object *o = NULL;
	rs_auto_strbuf safe = { 0 };
	int64_t code = 0;

	if (WIFSIGNALED(status))
		return rs_err_set(err, EIO, "it was killed by signal %d", WTERMSIG(status));
	if (rs_json_parse(rs_strbuf_str(&ch->text), ch->text.len, CNI_STDIN_DEPTH, &o, NULL) < 0)
		return rs_err_set(err, EIO, "it ended with code %d and no error message",
				  WEXITSTATUS(status));
	rs_strbuf_puts_safe(&safe, rs_json_text(o, "msg", "it gave no reason"));
	rs_err_set(err, EIO, "%s", rs_strbuf_str(&safe));
	rs_json_opt_int(o, "code", 1, 65535, &code, NULL);
	if (code)
		rs_err_cni(err, (int)code);
	return -EIO;
}

static int answer(struct child *ch, int status, struct json_object **result, struct rs_err *err)
{
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return failed(ch, status, err);
	if (!result)
		return 0;
	return rs_json_parse(rs_strbuf_str(&ch->text), ch->text.len, CNI_STDIN_DEPTH, result, err);
}

static int run(struct cni_call *c, const char *file, enum cni_verb verb,
	       struct json_object **result, struct rs_err *err)
{
	rs_autofree char *text = rs_json_print(c->conf.raw);
	struct child ch = { .in = -1, .out = -1 };
	int status = 0, rc;

	/* Its own full time: an undo comes after ours has run out. */
	ch.until_ms = rs_mono_ms() + (int64_t)c->conf.timeout_s * 1000;
	rc = start(&ch, file, c->conf.ipam_type, cni_verb_name(verb), err);
	if (rc == 0) {
		rc = talk(&ch, text, err);
		rc = reap(&ch, rc, &status, err);
	}
	if (rc == 0)
		rc = answer(&ch, status, result, err);
	shut(&ch.in);
	shut(&ch.out);
	rs_strbuf_free(&ch.text);
	return rc;
}

int cni_delegate(struct cni_call *c, enum cni_verb verb, struct json_object **result,
		 struct rs_err *err)
{
	rs_autofree char *file = find_in_path(c->env.path, c->conf.ipam_type);
	int rc;

	if (!file) {
		rs_err_set(err, ENOENT, "IPAM plugin %s is in none of the folders of CNI_PATH",
			   c->conf.ipam_type);
		return rs_err_cni(err, RS_CNI_CONFIG);
	}
	rc = run(c, file, verb, result, err);
	if (rc < 0)
		rs_err_wrap(err, "IPAM plugin %s: %s", c->conf.ipam_type, cni_verb_name(verb));
	return rc;
}

/* ---- the answer to ADD ----------------------------------------------------------------------- */

static int check_ip(const struct rs_endpoint *e, size_t i, struct rs_err *err)
{
	const struct rs_addr *a = &e->ips[i];
	char text[RS_ADDR_STRLEN];
	size_t j;

	if (rs_addr_is_unspecified(a) || rs_addr_is_loopback(a) || rs_addr_is_linklocal(a) ||
	    rs_addr_is_multicast(a))
		return rs_err_set(err, EINVAL, "%s is no address for a pod", rs_addr_str(a, text));
	for (j = 0; j < i; j++)
		if (rs_addr_cmp(a, &e->ips[j]) == 0)
			return rs_err_set(err, EINVAL, "%s is given twice", rs_addr_str(a, text));
	return 0;
}

static int take_route(struct json_object *o, const struct rs_endpoint *e, struct cni_routes *routes,
		      struct rs_err *err)
{
	rs_autofree char *text = NULL;
	struct rs_cidr dst;
	size_t i;
	int rc = rs_json_str(o, "dst", 64, &text, err);

	if (rc == 0)
		rc = rs_cidr_parse(text, &dst, NULL, err);
	if (rc < 0)
		return rc;
	if (!cni_has_family(e, dst.addr.family))
		return rs_err_set(err, EINVAL, "%s: the pod has no address of that family", text);
	for (i = 0; i < routes->n; i++)
		if (rs_cidr_cmp(&routes->v[i], &dst) == 0)
			return 0;
	*rs_vec_push(routes) = dst;
	return 0;
}

static int take_routes(struct json_object *result, const struct rs_endpoint *e,
		       struct cni_routes *routes, struct rs_err *err)
{
	struct json_object *a = rs_json_get(result, "routes");
	size_t i;

	if (!a)
		return 0;
	if (!json_object_is_type(a, json_type_array))
		return rs_err_set(err, EINVAL, "routes is not a list");
	if (json_object_array_length(a) > ROUTES_MAX)
		return rs_err_set(err, E2BIG, "more than %d routes", ROUTES_MAX);
	for (i = 0; i < json_object_array_length(a); i++)
		if (take_route(json_object_array_get_idx(a, i), e, routes, err) < 0)
			return rs_err_wrap(err, "routes[%zu]", i);
	return 0;
}

int cni_delegate_take(struct json_object *result, struct rs_endpoint *e, struct cni_routes *routes,
		      struct json_object **dns, struct rs_err *err)
{
	struct json_object *d = rs_json_get(result, "dns");
	int rc = cni_result_ips(result, e->ips, RS_ENDPOINT_MAX_IPS, &e->n_ips, err);
	size_t i;

	if (rc == 0 && !e->n_ips)
		rc = rs_err_set(err, EINVAL, "it gave no address");
	for (i = 0; rc == 0 && i < e->n_ips; i++)
		rc = check_ip(e, i, err);
	if (rc == 0)
		rc = take_routes(result, e, routes, err);
	if (rc == 0 && json_object_is_type(d, json_type_object))
		*dns = d;
	return rc < 0 ? rs_err_wrap(err, "the IPAM plugin's result") : 0;
}
