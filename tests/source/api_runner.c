// SPDX-License-Identifier: Apache-2.0
/*
 * api_runner.c - runs the API source as the agent would, for test_api.py: one command a line on
 * stdin (dump, resync, fresh NS POD, post PATH BODY, quit), one JSON object a line on stdout.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <ripstop/source.h>

#include "base/base.h"
#include "base/jsonio.h"
#include "object/store.h"

struct run {
	struct rs_source *src;
	struct rs_poster *poster; /* as soon as something is to be posted */
	const struct rs_source_config *cfg;
	struct rs_err err;
	uint64_t changes, turns;
	struct rs_vec(int64_t) fresh;
	char in[4096];
	size_t n_in;
	bool quit;
};

static void say(struct json_object *o)
{
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	fflush(stdout);
	json_object_put(o);
}

/* A null where there is none. */
static void add_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, text ? json_object_new_string(text) : NULL);
}

/* ---- dump ------------------------------------------------------------------------------------ */

static struct json_object *meta(const struct rs_meta *m)
{
	struct json_object *o = json_object_new_object();
	rs_autofree char *labels = rs_labels_str(&m->labels);

	rs_json_add_str(o, "uid", m->uid);
	rs_json_add_str(o, "rv", m->resource_version);
	rs_json_add_str(o, "labels", labels);
	return o;
}

static struct json_object *addresses(const struct rs_pod *p)
{
	struct json_object *list = json_object_new_array();
	char text[RS_ADDR_STRLEN];
	size_t i;

	for (i = 0; i < p->n_ips; i++)
		json_object_array_add(list, json_object_new_string(rs_addr_str(&p->ips[i], text)));
	return list;
}

static struct json_object *objects(const struct rs_store *s, enum rs_kind kind)
{
	struct json_object *all = json_object_new_object();
	size_t n, i;
	const struct rs_meta *const *v = rs_store_metas(s, kind, &n);

	for (i = 0; i < n; i++) {
		rs_autofree char *key = v[i]->ns ? rs_asprintf("%s/%s", v[i]->ns, v[i]->name)
						 : rs_strdup(v[i]->name);
		struct json_object *o = meta(v[i]);

		if (kind == RS_KIND_POD)
			json_object_object_add(o, "ips", addresses((const struct rs_pod *)v[i]));
		json_object_object_add(all, key, o);
	}
	return all;
}

static struct json_object *kind_state(const struct rs_source *src, enum rs_kind kind)
{
	struct json_object *o = json_object_new_object();
	struct rs_source_kind k;

	src->ops->kind(src, kind, &k);
	json_object_object_add(o, "synced", json_object_new_boolean(k.synced));
	json_object_object_add(o, "age", json_object_new_int64(k.age_s));
	json_object_object_add(o, "lists", json_object_new_uint64(k.lists));
	json_object_object_add(o, "watches", json_object_new_uint64(k.watches));
	json_object_object_add(o, "events", json_object_new_uint64(k.events));
	json_object_object_add(o, "failures", json_object_new_uint64(k.failures));
	json_object_object_add(o, "unreadable", json_object_new_uint64(k.unreadable));
	add_text(o, "error", k.error);
	json_object_object_add(o, "objects", objects(src->ops->store(src), kind));
	return o;
}

static void dump(const struct run *r)
{
	struct json_object *o = json_object_new_object(), *warnings = json_object_new_array();
	const struct rs_store *s = r->src->ops->store(r->src);
	const char *const *w;
	struct rusage use;
	size_t n, i;
	int kind;

	getrusage(RUSAGE_SELF, &use);
	for (kind = 0; kind < RS_KINDS; kind++)
		json_object_object_add(o, rs_kind_name((enum rs_kind)kind),
				       kind_state(r->src, (enum rs_kind)kind));
	json_object_object_add(o, "synced", json_object_new_boolean(rs_store_synced(s)));
	json_object_object_add(o, "age", json_object_new_int64(r->src->ops->age_s(r->src)));
	json_object_object_add(o, "changes", json_object_new_uint64(r->changes));
	json_object_object_add(o, "turns", json_object_new_uint64(r->turns));
	json_object_object_add(o, "rss_kb", json_object_new_int64(use.ru_maxrss));
	json_object_object_add(
		o, "cpu_ms",
		json_object_new_int64(use.ru_utime.tv_sec * 1000 + use.ru_utime.tv_usec / 1000 +
				      use.ru_stime.tv_sec * 1000 + use.ru_stime.tv_usec / 1000));
	add_text(o, "error", r->err.num ? rs_err_str(&r->err) : NULL);
	add_text(o, "hint", r->err.hint);
	w = rs_store_warnings(s, &n);
	for (i = 0; i < n; i++)
		json_object_array_add(warnings, json_object_new_string(w[i]));
	json_object_object_add(o, "warnings", warnings);
	say(o);
}

/* ---- commands -------------------------------------------------------------------------------- */

static void say_fresh(int64_t number, int rc, const struct rs_err *err)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "fresh", json_object_new_int64(number));
	json_object_object_add(o, "rc", json_object_new_int(rc));
	add_text(o, "error", rc < 0 ? rs_err_str(err) : NULL);
	say(o);
}

static void begin_fresh(struct run *r, char *args)
{
	char *ns = strsep(&args, " ");
	rs_auto_err err = { 0 };
	int64_t number = r->src->ops->fresh(r->src, ns, args ? args : "", &err);

	if (number < 0)
		say_fresh(0, (int)number, &err);
	else
		*rs_vec_push(&r->fresh) = number;
}

static void poll_fresh(struct run *r)
{
	size_t i;

	for (i = 0; i < r->fresh.n;) {
		rs_auto_err err = { 0 };
		int64_t number = r->fresh.v[i];
		int rc = r->src->ops->fresh_state(r->src, number, &err);

		if (rc == -EINPROGRESS) {
			i++;
			continue;
		}
		r->fresh.v[i] = r->fresh.v[--r->fresh.n];
		say_fresh(number, rc, &err);
	}
}

static void on_posted(void *arg, const struct rs_posted *p, const struct rs_err *err)
{
	struct json_object *o = json_object_new_object();

	(void)arg;
	json_object_object_add(o, "post", json_object_new_int(p->status));
	json_object_object_add(o, "retry_after", json_object_new_int(p->retry_after_s));
	add_text(o, "error", err ? rs_err_str(err) : NULL);
	say(o);
}

static void post(struct run *r, char *args)
{
	char *path = strsep(&args, " ");
	rs_auto_err err = { 0 };
	int rc = r->poster ? 0 : rs_poster_open(r->cfg, &r->poster, &err);

	if (rc == 0)
		rc = rs_poster_send(r->poster, path, args ? args : "", on_posted, r, &err);
	if (rc < 0)
		on_posted(r, &(struct rs_posted){ .status = rc }, &err);
}

static void command(struct run *r, char *line)
{
	if (!strcmp(line, "dump"))
		dump(r);
	else if (!strcmp(line, "resync"))
		r->src->ops->resync(r->src);
	else if (!strncmp(line, "fresh ", 6))
		begin_fresh(r, line + 6);
	else if (!strncmp(line, "post ", 5))
		post(r, line + 5);
	else
		r->quit = true;
}

static void read_commands(struct run *r)
{
	ssize_t n = read(0, r->in + r->n_in, sizeof(r->in) - r->n_in - 1);
	char *rest = r->in, *line;

	if (n <= 0) {
		r->quit = true;
		return;
	}
	r->n_in += (size_t)n;
	r->in[r->n_in] = '\0';
	while (strchr(rest, '\n') && (line = strsep(&rest, "\n")))
		command(r, line);
	r->n_in = strlen(rest);
	memmove(r->in, rest, r->n_in);
}

/* ---- main ------------------------------------------------------------------------------------ */

static void turn(struct run *r)
{
	struct pollfd fds[3] = { { .fd = r->src->ops->fd(r->src), .events = POLLIN },
				 { .fd = 0, .events = POLLIN },
				 { .fd = r->poster ? rs_poster_fd(r->poster) : -1,
				   .events = POLLIN } };
	int ms = r->src->ops->timeout_ms(r->src);
	int posted_ms = r->poster ? rs_poster_timeout_ms(r->poster) : -1;
	rs_auto_err err = { 0 };
	bool changed = false;

	poll(fds, 3, ms < 0 || (posted_ms >= 0 && posted_ms < ms) ? posted_ms : ms);
	if (r->poster)
		rs_poster_run(r->poster);
	r->src->ops->dispatch(r->src, &changed, &err);
	rs_err_move(&r->err, &err);
	r->changes += changed;
	r->turns++;
	poll_fresh(r);
	if (fds[1].revents)
		read_commands(r);
}

static bool option(struct rs_source_config *cfg, const char *name, const char *value)
{
	const struct {
		const char *name;
		const char **text;
		int *number;
	} table[] = {
		{ "--kubeconfig", &cfg->kubeconfig, NULL },
		{ "--api-server", &cfg->api_server, NULL },
		{ "--sa-dir", &cfg->sa_dir, NULL },
		{ "--state-dir", &cfg->state_dir, NULL },
		{ "--node-name", &cfg->node_name, NULL },
		{ "--page", NULL, &cfg->page_size },
		{ "--backoff-ms", NULL, &cfg->backoff_ms },
		{ "--backoff-max-ms", NULL, &cfg->backoff_max_ms },
		{ "--watch-s", NULL, &cfg->watch_s },
		{ "--idle-ms", NULL, &cfg->idle_ms },
		{ "--answer-ms", NULL, &cfg->answer_ms },
		{ "--ask-ms", NULL, &cfg->ask_ms },
	};

	for (size_t i = 0; i < RS_ARRAY_SIZE(table); i++) {
		if (strcmp(name, table[i].name))
			continue;
		if (table[i].text)
			*table[i].text = value;
		else
			*table[i].number = (int)strtol(value, NULL, 10);
		return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	struct rs_source_config cfg = { 0 };
	struct run r = { .cfg = &cfg };

	for (int i = 1; i + 1 < argc; i += 2)
		if (!option(&cfg, argv[i], argv[i + 1]))
			return 2;
	if (rs_source_api.open(&cfg, &r.src, &r.err) < 0) {
		fprintf(stderr, "%s\n%s\n", rs_err_str(&r.err), r.err.hint ? r.err.hint : "");
		rs_err_clear(&r.err);
		return 1;
	}
	while (!r.quit)
		turn(&r);
	rs_poster_close(r.poster);
	r.src->ops->close(r.src);
	rs_vec_free(&r.fresh);
	rs_err_clear(&r.err);
	return 0;
}
