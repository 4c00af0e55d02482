// SPDX-License-Identifier: Apache-2.0
/* plugin.c - ripstop-cni: one CNI call, from its environment and stdin to its one answer. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/cni.h"

static void about(void)
{
	fprintf(stderr,
		"ripstop CNI plugin %s: gives pods routed links whose traffic NetworkPolicy "
		"rules.\n"
		"Container runtimes run it (CNI 0.3.1, 0.4.0, 1.0.0, 1.1.0); CNI_COMMAND is not "
		"set.\n",
		RIPSTOP_VERSION);
}

/* A runtime may start us without them; a file that we open must never become number 1. */
static void keep_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);
}

static int read_some(struct rs_strbuf *b, int64_t until, bool *end, struct rs_err *err)
{
	struct pollfd p = { .fd = 0, .events = POLLIN };
	int64_t left = until - rs_mono_ms();
	char buf[4096];
	ssize_t n;

	if (left <= 0 || poll(&p, 1, (int)left) == 0)
		return rs_err_set(err, ETIMEDOUT, "stdin: no end of input within %d s",
				  CNI_STDIN_WAIT_MS / 1000);
	n = read(0, buf, sizeof(buf));
	if (n < 0 && errno != EINTR && errno != EAGAIN)
		return rs_err_sys(err, errno, "read stdin");
	if (n > 0)
		rs_strbuf_add(b, buf, (size_t)n);
	*end = n == 0;
	if (b->len > CNI_STDIN_MAX)
		return rs_err_set(err, EFBIG, "stdin: more than %u bytes", CNI_STDIN_MAX);
	return 0;
}

static int read_stdin(struct rs_strbuf *b, struct rs_err *err)
{
	int64_t until = rs_mono_ms() + CNI_STDIN_WAIT_MS;
	bool end = false;
	int rc = 0;

	while (rc == 0 && !end)
		rc = read_some(b, until, &end, err);
	if (rc < 0)
		rs_err_cni(err, RS_CNI_DECODE);
	return rc;
}

static int dispatch(struct cni_call *c, struct json_object **result, struct rs_err *err)
{
	switch (c->env.verb) {
	case CNI_ADD:
		return cni_add(c, result, err);
	case CNI_DEL:
		return cni_del(c, err);
	case CNI_CHECK:
		return cni_check(c, err);
	case CNI_GC:
		return cni_gc(c, err);
	case CNI_STATUS:
		return cni_status(c, err);
	case CNI_VERSION:
		break;
	}
	return rs_err_set(err, EINVAL, "verb %d is not handled", c->env.verb);
}

static void print_warnings(struct cni_call *c)
{
	char *line, *rest = c->conf.warnings.s;

	while (rest && *rest && (line = strsep(&rest, "\n")))
		cni_warn("%s", line);
}

static int perform(struct cni_call *c, const struct rs_strbuf *in, struct json_object **result,
		   struct rs_err *err)
{
	int rc = cni_config_parse(rs_strbuf_str(in), in->len, c->env.verb, &c->conf, err);

	if (rc < 0)
		return rc;
	print_warnings(c);
	rc = dispatch(c, result, err);
	/* STATUS is asked many times a minute, and its answer is the agent's own word. */
	if (rc < 0 && c->env.verb != CNI_STATUS)
		cni_agent_report(c, err);
	return rc;
}

static int call(struct cni_call *c, struct json_object **result, struct rs_err *err)
{
	struct cni_env_raw raw = {
		.command = getenv("CNI_COMMAND"),
		.container_id = getenv("CNI_CONTAINERID"),
		.netns = getenv("CNI_NETNS"),
		.ifname = getenv("CNI_IFNAME"),
		.path = getenv("CNI_PATH"),
		.args = getenv("CNI_ARGS"),
	};
	rs_auto_strbuf in = { 0 };
	int rc = cni_env_parse(&raw, &c->env, err);

	if (rc < 0)
		return rc;
	rc = read_stdin(&in, err);
	if (c->env.verb == CNI_VERSION) {
		*result = cni_version(rs_strbuf_str(&in), rc < 0 ? 0 : in.len);
		return 0;
	}
	return rc < 0 ? rc : perform(c, &in, result, err);
}

/* The answer is printed last and once. */
static int print(struct json_object *o)
{
	rs_autofree char *text = rs_json_print(o);

	if (printf("%s\n", text) < 0 || fflush(stdout) != 0) {
		cni_warn("the answer could not be written to stdout");
		return -EIO;
	}
	return 0;
}

int main(void)
{
	rs_autojson struct json_object *out = NULL;
	struct cni_call c = { 0 };
	rs_auto_err err = { 0 };
	int rc;

	if (!getenv("CNI_COMMAND")) {
		about();
		return 0;
	}
	keep_standard_fds();
	signal(SIGPIPE, SIG_IGN);
	umask(077);
	c.start_ms = rs_mono_ms();
	rc = call(&c, &out, &err);
	if (rc < 0) {
		json_object_put(out);
		out = cni_error_json(c.conf.version, &err);
	}
	if (out && print(out) < 0)
		rc = -EIO;
	cni_config_clear(&c.conf);
	cni_env_clear(&c.env);
	return rc < 0;
}
