// SPDX-License-Identifier: Apache-2.0
/* bundle.c - `ripstop bundle`: one archive with all that somebody who helps would ask for. */
#include "cli/bundle/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What is never in it, and why. */
static const struct {
	const char *what, *why;
} never[] = {
	{ "Secrets, ConfigMaps, environment variables", "Ripstop reads none" },
	{ "payloads of packets", "no record holds any" },
	{ "flows of conntrack", "they tell who spoke with whom; only their number is in" },
	{ "the agent's log",
	  "it goes to stderr: journalctl -u ripstop-agent, or kubectl logs, has it" },
};

static struct json_object *omitted_json(const struct bundle *b)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < b->parts.n; i++) {
		const struct bundle_part *p = &b->parts.v[i];
		struct json_object *o;

		if (!p->why)
			continue;
		o = json_object_new_object();
		rs_json_add_str(o, "what", p->what);
		rs_json_add_str(o, "file", p->name);
		rs_json_add_str(o, "why", p->why);
		json_object_object_add(o, "failed", json_object_new_boolean(p->failed));
		json_object_array_add(list, o);
	}
	for (size_t i = 0; i < RS_ARRAY_SIZE(never); i++) {
		struct json_object *o = json_object_new_object();

		rs_json_add_str(o, "what", never[i].what);
		rs_json_add_str(o, "why", never[i].why);
		json_object_object_add(o, "failed", json_object_new_boolean(false));
		json_object_array_add(list, o);
	}
	return list;
}

static struct json_object *manifest(const struct bundle *b, struct json_object *files)
{
	struct json_object *o = json_object_new_object(), *meta = json_object_new_object();

	rs_json_add_str(o, "apiVersion", "ripstop.dev/v1");
	rs_json_add_str(o, "kind", "Bundle");
	rs_json_add_str(meta, "node", b->node);
	rs_json_add_str(meta, "source", "agent");
	json_object_object_add(o, "metadata", meta);
	rs_json_add_str(o, "version", RIPSTOP_VERSION);
	rs_json_add_time(o, "time", time(NULL));
	json_object_object_add(o, "redacted", json_object_new_boolean(b->r->opt.redact));
	json_object_object_add(o, "files", json_object_get(files));
	json_object_object_add(o, "omitted", omitted_json(b));
	return o;
}

static void add_file(struct tarball *t, const char *dir, const char *name, struct json_object *o,
		     struct json_object *files, const char *what)
{
	const char *text = json_object_to_json_string_ext(
		o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
	rs_autofree char *path = rs_asprintf("%s/%s", dir, name);
	struct json_object *item;

	tarball_add(t, path, text, strlen(text));
	if (!files)
		return;
	item = json_object_new_object();
	rs_json_add_str(item, "name", name);
	rs_json_add_str(item, "what", what);
	json_object_object_add(item, "bytes", json_object_new_uint64(strlen(text)));
	json_object_array_add(files, item);
}

/* The manifest comes last: it lists the others. *m is it. */
static int pack(const struct bundle *b, const char *dir, struct rs_strbuf *out,
		struct json_object **m, struct rs_err *err)
{
	rs_autojson struct json_object *files = json_object_new_array();
	struct tarball *t = tarball_new(rs_now_s());

	for (size_t i = 0; i < b->parts.n; i++)
		if (b->parts.v[i].o)
			add_file(t, dir, b->parts.v[i].name, b->parts.v[i].o, files,
				 b->parts.v[i].what);
	*m = manifest(b, files);
	add_file(t, dir, "MANIFEST.json", *m, NULL, NULL);
	return tarball_end(t, out, err);
}

/* ---- where it goes --------------------------------------------------------------------------- */

char *cli_stamped_name(const char *kind, const char *what)
{
	char when[24];
	time_t now = time(NULL);
	char *s;
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm);
	s = rs_asprintf("ripstop-%s-%.40s-%s", kind, what, when);
	for (char *p = s; *p; p++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.", *p))
			*p = '_';
	return s;
}

char *cli_bundle_name(const char *what)
{
	return cli_stamped_name("bundle", what);
}

static int cannot(const char *path)
{
	int errnum = errno;

	cli_error(errnum == EEXIST ? "name another file with -O, or remove it" : NULL,
		  "write %s: %s", path, strerror(errnum));
	return CLI_NO_AGENT;
}

static int write_all(int fd, const char *path, const struct rs_strbuf *data)
{
	size_t done = 0;

	while (done < data->len) {
		ssize_t n = write(fd, data->s + done, data->len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cannot(path);
		done += (size_t)n;
	}
	return 0;
}

int cli_new_file(const char *path, int *fd)
{
	*fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return *fd < 0 ? cannot(path) : 0;
}

static int write_file(const char *path, const struct rs_strbuf *data)
{
	rs_autoclose int fd = -1;
	int code = cli_new_file(path, &fd);

	if (code)
		return code;
	code = write_all(fd, path, data);
	if (code == 0 && fsync(fd) < 0)
		code = cannot(path);
	if (code)
		unlink(path);
	return code;
}

int cli_bundle_put(struct cli_run *r, const char *name, const struct rs_strbuf *data)
{
	const char *given = r->opt.output_file;
	rs_autofree char *own = rs_asprintf("%s.tar.gz", name);
	int code;

	/* r->out is text, which is made fit for a terminal. */
	if (given && !strcmp(given, "-"))
		return write_all(STDOUT_FILENO, "stdout", data);
	code = write_file(given ? given : own, data);
	if (code)
		return code;
	cli_put(r, "wrote ");
	cli_put_safe(r, given ? given : own);
	cli_putf(r, " (%zu kB)", (data->len + 1023) / 1024);
	return 0;
}

int cli_bundle_check(struct cli_run *r)
{
	if (!r->opt.output_file || strcmp(r->opt.output_file, "-") || !isatty(STDOUT_FILENO))
		return 0;
	cli_error("send it on: -O - > FILE", "what %s writes is nothing for a terminal",
		  r->cmd->name);
	return CLI_USAGE;
}

static size_t tell_failures(const struct bundle *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->parts.n; i++)
		if (b->parts.v[i].failed) {
			cli_warn("%s: %s", b->parts.v[i].name, b->parts.v[i].why);
			n++;
		}
	return n;
}

static void put_summary(struct cli_run *r, const struct bundle *b, struct json_object *m)
{
	if (!r->out.len)
		return;
	cli_putf(r, ": %zu files\n", cli_count(m, "files") + 1);
	cli_put(r, "not included: Secrets, environment variables, payloads, flows, the agent's "
		   "log. ");
	cli_put(r, b->r->opt.redact ? "Names, labels and addresses are hashes.\n"
				    : "Names, labels and addresses are; --redact makes hashes of "
				      "them.\n");
}

int cli_cmd_bundle(struct cli_run *r)
{
	struct bundle b = { .r = r, .node = rs_strdup("node") };
	rs_autojson struct json_object *m = NULL;
	rs_autofree char *dir = NULL;
	rs_auto_strbuf data = { 0 };
	rs_auto_err err = { 0 };
	size_t n_failed;
	int code = cli_bundle_check(r);

	if (code == 0) {
		bundle_collect(&b);
		if (r->opt.redact)
			bundle_redact(&b);
		dir = cli_bundle_name(b.node);
		if (pack(&b, dir, &data, &m, &err) < 0) {
			cli_error(NULL, "%s", rs_err_str(&err));
			code = CLI_NO_AGENT;
		}
	}
	if (code == 0)
		code = cli_bundle_put(r, dir, &data);
	if (code == 0) {
		put_summary(r, &b, m);
		n_failed = tell_failures(&b);
		code = n_failed ? CLI_PARTIAL : CLI_YES;
	}
	bundle_clear(&b);
	return code;
}
