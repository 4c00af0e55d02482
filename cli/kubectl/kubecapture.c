// SPDX-License-Identifier: Apache-2.0
/*
 * kubecapture.c - `kubectl ripstop capture POD`: `ripstop capture ... -O -` in the container of the
 * agent of POD's node, what it writes into a file of ours or to stdout, as it comes.
 *
 * How long it can go on over there: it ends by itself after its count and its duration. Ctrl-C
 * here, a reader that goes, and the end of this program in any way close its stdin, upon which it
 * gets a SIGTERM (cli/leash.c), and SIGKILL 5 s later. Where the connection is lost without a word
 * the node learns of it by its own time-outs (minutes to hours): there the duration is the bound.
 */
#include "cli/kubectl/kubectl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define GRACE_MS 3000

struct capture {
	struct cli_run *r;
	char *path; /* NULL: stdout */
	struct kube_sink out;
	struct kube_child child;
	bool deaf; /* nobody reads us */
};

/* ---- where it goes --------------------------------------------------------------------------- */

static int cannot_write(const struct capture *c, int error)
{
	cli_error(error == EEXIST ? "name another file with -O, or remove it" : NULL,
		  "write %s: %s", c->path ? c->path : "stdout", strerror(error));
	return CLI_NO_AGENT;
}

static int open_out(struct capture *c, const struct kube_pod *p)
{
	rs_autofree char *what = rs_asprintf("%s_%s", p->ns, p->name);
	rs_autofree char *own = cli_stamped_name("capture", what);
	const char *given = c->r->opt.output_file;

	c->out.fd = STDOUT_FILENO;
	if (given && !strcmp(given, "-"))
		return 0;
	c->path = given ? rs_strdup(given) : rs_asprintf("%s.pcapng", own);
	return cli_new_file(c->path, &c->out.fd);
}

/* An empty file is no capture. */
static int close_out(struct capture *c)
{
	int error = c->out.error;

	if (!c->path)
		return 0;
	if (!error && fsync(c->out.fd) < 0)
		error = errno;
	if (close(c->out.fd) < 0 && !error)
		error = errno;
	if (!c->out.total)
		unlink(c->path);
	return error ? cannot_write(c, error) : 0;
}

/* ---- what is run ----------------------------------------------------------------------------- */

/* What is ours, and not the node's: where it goes, and the pod's namespace. */
static bool goes_there(const struct cli_run *r, const struct cli_flag *f)
{
	return f->set && f->group & r->cmd->flags && !(f->group & CLI_F_COMMON) &&
	       strcmp(f->name, "output-file") != 0 && strcmp(f->name, "namespace") != 0;
}

/* The same flags and operands, the pod by its full name. */
static void question(struct capture *c, const struct kube_pod *p)
{
	const struct cli_run *r = c->r;
	rs_autofree char *name = rs_asprintf("%s/%s", p->ns, p->name);

	kube_words(&c->child, (const char *const[]){ r->cmd->name, "-O", "-", NULL });
	for (size_t i = 0; i < r->n_given; i++) {
		const struct cli_given *g = &r->given[i];
		rs_autofree char *word = g->value ? rs_asprintf("--%s=%s", g->flag->name, g->value)
						  : rs_asprintf("--%s", g->flag->name);

		if (goes_there(r, g->flag))
			kube_word(&c->child, word);
	}
	kube_words(&c->child, (const char *const[]){ "--", name, NULL });
	for (int i = 1; i < r->n_operands; i++)
		kube_word(&c->child, r->operands[i]);
}

static void take(struct kube_child *child, const char *data, size_t n)
{
	struct capture *c = child->arg;

	kube_sink_add(&c->out, data, n);
}

/* Until it has ended. A signal gives it the time to end well. */
static void stream(struct capture *c)
{
	struct pollfd out = { .fd = c->out.fd };

	c->child.take = take;
	c->child.arg = c;
	c->child.grace_ms = GRACE_MS;
	kube_start(&c->child);
	for (;;) {
		out.events = kube_sink_left(&c->out) ? POLLOUT : 0;
		if (!kube_turn(&c->child, 1, 0, &out))
			break;
		kube_sink_flush(&c->out);
		c->child.held = kube_sink_full(&c->out);
		if (c->out.error || out.revents & (POLLERR | POLLHUP | POLLNVAL)) {
			c->deaf = true;
			kube_stop(&c->child);
		}
	}
	if (!c->deaf)
		kube_sink_finish(&c->out, kube_caught() ? GRACE_MS : -1);
}

/* ---- how it ended ---------------------------------------------------------------------------- */

/* What it says of its end, which spawn.c kept for a failure. */
static void put_told(const struct kube_child *child)
{
	for (const char *s = rs_strbuf_str(&child->told); *s; s += strcspn(s, "\n") + 1) {
		rs_autofree char *line = rs_strndup(s, strcspn(s, "\n"));
		rs_auto_strbuf b = { 0 };

		rs_strbuf_puts_safe(&b, line);
		rs_strbuf_putc(&b, '\n');
		fputs(b.s, stderr);
	}
}

static void put_summary(const struct capture *c)
{
	rs_auto_strbuf b = { 0 };

	if (!c->path || !c->out.total)
		return;
	rs_strbuf_puts_safe(&b, c->path);
	fprintf(stderr, "wrote %s (%llu kB)\n", b.s,
		(unsigned long long)(c->out.total + 1023) / 1024);
}

/* Exit code 1 has no meaning of its own, and is what it was. */
static int ended(struct capture *c, const char *node)
{
	struct kube_answer a = { 0 };
	int code;

	if (c->deaf || (kube_caught() && c->child.status < 0))
		return CLI_YES;
	code = kube_failed(&c->child, true, &a) ? kube_tell(&a, node) : c->child.status;
	if (!a.code)
		put_told(&c->child);
	kube_answer_clear(&a);
	return code;
}

static int conclude(struct capture *c, const char *node)
{
	int failed = close_out(c), code;

	if (!c->path && c->out.error && c->out.error != EPIPE)
		failed = cannot_write(c, c->out.error);
	code = failed ? failed : ended(c, node);
	if (!failed)
		put_summary(c);
	return code;
}

static int capture(struct capture *c)
{
	struct cli_run *r = c->r;
	rs_autofree char *operand = cli_qualified(r, r->operands[0]);
	struct kube_agents agents = { 0 };
	struct kube_answer a = { 0 };
	struct kube_pod p = { 0 };
	int code = kube_find_pod(r, operand, &p, &a);

	if (!code) {
		kube_answer_clear(&a);
		code = kube_find_agents(r, r->opt.node ? r->opt.node : p.node, &agents, &a);
	}
	if (!code && agents.v[0].trouble)
		kube_not_running(r, &agents.v[0], &a);
	if (a.code) {
		code = kube_caught() ? CLI_YES : kube_tell(&a, NULL);
	} else if (!(code = open_out(c, &p))) {
		kube_enter(r, &c->child, &agents.v[0], true);
		question(c, &p);
		stream(c);
		code = conclude(c, agents.v[0].node);
	}
	kube_answer_clear(&a);
	kube_agents_clear(&agents);
	kube_pod_clear(&p);
	return code;
}

int kube_capture(struct cli_run *r)
{
	struct capture c = { .r = r, .out = { .fd = -1 } };
	int code = cli_bundle_check(r);

	if (code)
		return code;
	if (!kube_catch())
		return CLI_NO_AGENT;
	code = capture(&c);
	kube_release();
	kube_child_clear(&c.child);
	kube_sink_clear(&c.out);
	free(c.path);
	return code;
}
