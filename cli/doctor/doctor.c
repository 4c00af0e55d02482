// SPDX-License-Identifier: Apache-2.0
/* doctor.c - `ripstop doctor`: is this machine as Ripstop needs it? Reads only; needs no agent. */
#include "cli/doctor/doctor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#define MAX_FILE (8 * RS_MIB)

static const char *const states[DOCTOR_STATES] = { "ok", "warn", "fail" };

/* ---- what the checks use --------------------------------------------------------------------- */

void doctor_say(struct doctor *d, enum doctor_state state, const char *check, const char *why,
		const char *fix, const char *fmt, ...)
{
	struct json_object *o = json_object_new_object();
	rs_autofree char *found = NULL;
	va_list ap;

	va_start(ap, fmt);
	found = rs_vasprintf(fmt, ap);
	va_end(ap);
	rs_json_add_str(o, "check", check);
	rs_json_add_str(o, "state", states[state]);
	rs_json_add_str(o, "found", found);
	rs_json_add_str(o, "why", why);
	rs_json_add_str(o, "fix", fix);
	json_object_array_add(d->items, o);
	d->n[state]++;
}

char *doctor_path(const struct doctor *d, const char *path)
{
	return rs_asprintf("%s/%s", d->root, path);
}

/* Files of /proc and /sys tell no size, so this reads until the end. */
char *doctor_read(const struct doctor *d, const char *path)
{
	rs_autofree char *full = doctor_path(d, path);
	rs_autofclose FILE *f = fopen(full, "re");
	rs_auto_strbuf b = { 0 };
	char buf[4096];
	size_t n;

	while (f && b.len < MAX_FILE && (n = fread(buf, 1, sizeof(buf), f)) > 0)
		rs_strbuf_add(&b, buf, n);
	if (!f || ferror(f))
		return NULL;
	while (b.len && b.s[b.len - 1] == '\n')
		b.s[--b.len] = '\0';
	return rs_strbuf_steal(&b);
}

bool doctor_number(const struct doctor *d, const char *path, long long *out)
{
	rs_autofree char *text = doctor_read(d, path);
	char *end;

	if (!text || !*text)
		return false;
	errno = 0;
	*out = strtoll(text, &end, 10);
	return !errno && end != text;
}

bool doctor_exists(const struct doctor *d, const char *path)
{
	rs_autofree char *full = doctor_path(d, path);
	struct stat st;

	return lstat(full, &st) == 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void doctor_list(const struct doctor *d, const char *path, struct doctor_names *out)
{
	rs_autofree char *full = doctor_path(d, path);
	rs_autoclosedir DIR *dir = opendir(full);
	const struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			*rs_vec_push(out) = rs_strdup(e->d_name);
	if (out->n)
		qsort(out->v, out->n, sizeof(*out->v), by_name);
}

void doctor_names_free(struct doctor_names *v)
{
	for (size_t i = 0; i < v->n; i++)
		free(v->v[i]);
	rs_vec_free(v);
}

char *doctor_release(const struct doctor *d)
{
	char *text = doctor_read(d, "proc/sys/kernel/osrelease");
	struct utsname u;

	if (text || *d->root)
		return text ? text : rs_strdup("unknown");
	return uname(&u) == 0 ? rs_strdup(u.release) : rs_strdup("unknown");
}

/* ---- the whole ------------------------------------------------------------------------------- */

struct json_object *doctor_run(struct cli_run *r, const char *root, size_t n[DOCTOR_STATES])
{
	rs_autofree char *trimmed = rs_strdup(root ? root : "");
	struct doctor d = { .r = r, .root = trimmed, .items = json_object_new_array() };
	struct json_object *o = json_object_new_object(), *meta = json_object_new_object();
	struct json_object *summary = json_object_new_object();
	size_t len = strlen(trimmed);

	while (len && trimmed[len - 1] == '/')
		trimmed[--len] = '\0';
	doctor_kernel(&d);
	doctor_cni(&d);
	doctor_net(&d);
	doctor_rules(&d);
	doctor_agent(&d);
	rs_json_add_str(o, "apiVersion", "ripstop.dev/v1");
	rs_json_add_str(o, "kind", "Doctor");
	rs_json_add_str(meta, "source", "local");
	if (len)
		rs_json_add_str(meta, "root", trimmed);
	json_object_object_add(o, "metadata", meta);
	for (int s = 0; s < DOCTOR_STATES; s++) {
		json_object_object_add(summary, states[s], json_object_new_uint64(d.n[s]));
		n[s] = d.n[s];
	}
	json_object_object_add(o, "summary", summary);
	json_object_object_add(o, "items", d.items);
	return o;
}

/* ---- for people ------------------------------------------------------------------------------ */

static const struct cli_column columns[] = {
	{ "STATE", false }, { "CHECK", false }, { "FOUND", false },
	{ "WHY", false },   { "DO", false },
};

static enum cli_color color_of(const char *state)
{
	return !strcmp(state, "ok") ? CLI_GOOD : !strcmp(state, "warn") ? CLI_WARN : CLI_BAD;
}

static void put_table(struct cli_run *r, struct json_object *o)
{
	struct json_object *items = rs_json_get(o, "items");
	struct cli_table *t =
		cli_table_new(columns, RS_ARRAY_SIZE(columns), 0, RS_ARRAY_SIZE(columns));

	for (size_t i = 0; i < cli_count(o, "items"); i++) {
		struct json_object *item = json_object_array_get_idx(items, i);
		char *cells[RS_ARRAY_SIZE(columns)] = {
			cli_cell(item, "state"), cli_cell(item, "check"), cli_cell(item, "found"),
			cli_cell(item, "why"),	 cli_cell(item, "fix"),
		};

		cli_table_row(t, cells);
	}
	cli_table_end(r, t, "", !r->opt.no_headers);
}

static void put_more(struct cli_run *r, const char *word, struct json_object *item, const char *key)
{
	const char *text = rs_json_text(item, key, NULL);

	if (!text)
		return;
	cli_putf(r, "      %-4s ", word);
	cli_put_safe(r, text);
	cli_put(r, "\n");
}

static void put_item(struct cli_run *r, struct json_object *item)
{
	const char *state = rs_json_text(item, "state", "-");
	bool ok = !strcmp(state, "ok");
	rs_autofree char *padded = rs_asprintf("%-4s", state);

	cli_put_colored(r, color_of(state), padded);
	cli_putf(r, "  %-13s ", rs_json_text(item, "check", "-"));
	cli_put_safe(r, rs_json_text(item, "found", "-"));
	cli_put(r, "\n");
	if (!ok || r->opt.output == CLI_WIDE)
		put_more(r, "why:", item, "why");
	if (!ok)
		put_more(r, "do:", item, "fix");
}

static void put_lines(struct cli_run *r, struct json_object *o, const size_t n[DOCTOR_STATES])
{
	struct json_object *items = rs_json_get(o, "items");

	for (size_t i = 0; i < cli_count(o, "items"); i++)
		put_item(r, json_object_array_get_idx(items, i));
	cli_putf(r, "%zu ok, %zu to look at, %zu that must be mended\n", n[DOCTOR_OK],
		 n[DOCTOR_WARN], n[DOCTOR_FAIL]);
}

int cli_cmd_doctor(struct cli_run *r)
{
	rs_autojson struct json_object *o = NULL;
	size_t n[DOCTOR_STATES] = { 0 };
	struct stat st;

	if (r->opt.root && (stat(r->opt.root, &st) < 0 || !S_ISDIR(st.st_mode))) {
		cli_error(NULL, "--root %s is no folder", r->opt.root);
		return CLI_USAGE;
	}
	o = doctor_run(r, r->opt.root, n);
	if (cli_wants_object(r))
		cli_put_object(r, o);
	else if (r->opt.output == CLI_CSV || r->opt.output == CLI_MD)
		put_table(r, o);
	else
		put_lines(r, o, n);
	return n[DOCTOR_FAIL] ? CLI_NO : CLI_YES;
}
