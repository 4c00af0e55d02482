// SPDX-License-Identifier: Apache-2.0
/* second.c - the process of the second oracle; see second.h. */
#include "tests/prove/second.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/base.h"
#include "base/jsonio.h"

#define PATIENCE_MS 300000 /* for one case, on a machine that is busy with others */

static const char *script = "tests/prove/oracle2.py";

struct pv_second {
	pid_t pid;
	int to;
	int from;
	struct rs_strbuf in;
};

static int start(const char *option, pid_t *pid, int *to, int *from, struct rs_err *err)
{
	int in[2], out[2];

	if (access(script, R_OK) < 0)
		return rs_err_sys(err, errno, "%s (run from the top of the tree)", script);
	if (pipe2(in, O_CLOEXEC) < 0)
		return rs_err_sys(err, errno, "pipe");
	if (pipe2(out, O_CLOEXEC) < 0) {
		close(in[0]);
		close(in[1]);
		return rs_err_sys(err, errno, "pipe");
	}
	*pid = fork();
	if (*pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		execlp("python3", "python3", script, option, NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	*to = in[1];
	*from = out[0];
	return *pid < 0 ? rs_err_sys(err, errno, "fork") : 0;
}

void pv_second_use(const char *path)
{
	script = path;
}

int pv_second_new(struct pv_second **out, struct rs_err *err)
{
	struct pv_second *s = rs_new(struct pv_second);
	int rc = start(NULL, &s->pid, &s->to, &s->from, err);

	signal(SIGPIPE, SIG_IGN); /* its death shows in the write */
	if (rc < 0) {
		free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void pv_second_free(struct pv_second *s)
{
	if (!s)
		return;
	close(s->to); /* the end of its input ends it */
	close(s->from);
	waitpid(s->pid, NULL, 0);
	rs_strbuf_free(&s->in);
	free(s);
}

int pv_second_send(struct pv_second *s, const struct pv_case *c, struct rs_err *err)
{
	const char *text = json_object_to_json_string_ext(c->root, JSON_C_TO_STRING_PLAIN);
	rs_autofree char *line = rs_asprintf("%s\n", text);
	size_t len = strlen(line), at = 0;

	while (at < len) {
		ssize_t n = write(s->to, line + at, len - at);

		if (n < 0 && errno != EINTR)
			return rs_err_sys(err, errno, "%s does not listen", script);
		at += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* One line of what it says; the newline goes. */
static int read_line(int fd, struct rs_strbuf *b, struct rs_err *err)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char part[65536];
	ssize_t n;

	rs_strbuf_reset(b);
	while (!b->len || b->s[b->len - 1] != '\n') {
		if (poll(&p, 1, PATIENCE_MS) == 0)
			return rs_err_set(err, ETIMEDOUT, "%s is silent", script);
		n = read(fd, part, sizeof(part));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return rs_err_set(err, EPIPE, "%s has ended", script);
		rs_strbuf_add(b, part, (size_t)n);
	}
	return 0;
}

static char *words_of(json_object *list)
{
	struct rs_strbuf b = { 0 };
	size_t i, n = json_object_array_length(list);

	for (i = 0; i < n; i++)
		rs_strbuf_printf(&b, "%s%s", i ? " " : "",
				 json_object_get_string(json_object_array_get_idx(list, i)));
	return rs_strbuf_steal(&b);
}

static int take(json_object *o, struct pv_verdicts *out, struct rs_err *err)
{
	json_object *v = rs_json_get(o, "verdicts"), *h = rs_json_get(o, "hits");
	const char *why = rs_json_text(o, "error", NULL);
	size_t i;

	if (why)
		return rs_err_set(err, EBADMSG, "the second oracle refuses: %s", why);
	if (!json_object_is_type(v, json_type_array) || json_object_array_length(v) != out->n ||
	    !json_object_is_type(h, json_type_array) || json_object_array_length(h) != out->n)
		return rs_err_set(err, EPROTO, "%s: not one entry for each flow", script);
	for (i = 0; i < out->n; i++) {
		out->v[PV_SECOND][i] =
			(int8_t)json_object_get_boolean(json_object_array_get_idx(v, i));
		out->hits[i] = words_of(json_object_array_get_idx(h, i));
	}
	return 0;
}

int pv_second_fetch(struct pv_second *s, struct pv_verdicts *out, struct rs_err *err)
{
	rs_autojson json_object *o = NULL;
	int rc = read_line(s->from, &s->in, err);

	if (rc == 0)
		rc = rs_json_parse(s->in.s, s->in.len, 16, &o, err);
	return rc < 0 ? rc : take(o, out, err);
}

int pv_second_ids(char **out, struct rs_err *err)
{
	rs_auto_strbuf all = { 0 };
	char part[4096];
	pid_t pid;
	int to, from, status;
	ssize_t n;

	if (start("--ids", &pid, &to, &from, err) < 0)
		return -EIO;
	close(to);
	while ((n = read(from, part, sizeof(part))) > 0)
		rs_strbuf_add(&all, part, (size_t)n);
	close(from);
	waitpid(pid, &status, 0);
	if (status || !all.len)
		return rs_err_set(err, EPROTO, "%s --ids gave no list", script);
	*out = rs_strbuf_steal(&all);
	return 0;
}
