// SPDX-License-Identifier: Apache-2.0
/* cnicall.c - one call of a plugin; see cnicall.h. */
#include "tests/bench/cnicall.h"

#include <errno.h>
#include <spawn.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "tests/bench/benchkit.h"

static void append(char **list, char *word)
{
	size_t n = 0;

	while (list[n])
		n++;
	if (n + 1 >= CC_WORDS)
		bench_die("too many words for a call");
	list[n] = word;
}

void cc_arg(struct cc_call *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	append(c->argv, rs_vasprintf(fmt, ap));
	va_end(ap);
}

void cc_env(struct cc_call *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	append(c->env, rs_vasprintf(fmt, ap));
	va_end(ap);
}

void cc_prepare(struct cc_call *c, const char *input)
{
	c->in = bk_memfile(input ? input : "", input ? strlen(input) : 0);
	c->out = bk_memfile("", 0);
}

void cc_start(struct cc_call *c)
{
	posix_spawn_file_actions_t act;
	int rc;

	posix_spawn_file_actions_init(&act);
	posix_spawn_file_actions_adddup2(&act, c->in, 0);
	posix_spawn_file_actions_adddup2(&act, c->out, 1);
	posix_spawn_file_actions_adddup2(&act, c->out, 2);
	rc = posix_spawn(&c->pid, c->argv[0], &act, NULL, c->argv, c->env);
	posix_spawn_file_actions_destroy(&act);
	if (rc)
		bench_die("start %s: %s", c->argv[0], strerror(rc));
}

bool cc_wait(struct cc_call *c)
{
	while (waitpid(c->pid, &c->status, 0) < 0)
		if (errno != EINTR)
			bench_die("wait for %s: %s", c->argv[0], strerror(errno));
	return c->status == 0;
}

char *cc_said(const struct cc_call *c)
{
	rs_auto_strbuf b = { 0 };
	char raw[400], *p;
	ssize_t n = pread(c->out, raw, sizeof(raw) - 1, 0);

	raw[n > 0 ? n : 0] = '\0';
	for (p = raw; *p; p++)
		if (*p == '\n' || *p == '\t')
			*p = ' ';
	rs_strbuf_puts_safe(&b, raw);
	return rs_strbuf_steal(&b);
}

void cc_clear(struct cc_call *c)
{
	for (size_t i = 0; i < CC_WORDS; i++) {
		free(c->argv[i]);
		free(c->env[i]);
	}
	close(c->in);
	close(c->out);
	memset(c, 0, sizeof(*c));
}
