// SPDX-License-Identifier: Apache-2.0
/*
 * replay_fresh.c - a server that can be asked: what it holds is told to nobody until a fresh read is
 * answered.
 *
 *	fresh-reads yes			from the next start on the source can read afresh
 *	server-put			one object up to `end`, into the server
 *	server-delete KIND NS/NAME
 *	answer-reads [NS/POD]		all reads on their way, or those for that pod, are answered
 *	fail-reads MESSAGE		they end with it, for a reason that may pass
 *	refuse-reads yes|no		no read can even begin
 *	reads N				so many were begun
 *	reads-waiting N			so many are neither over nor forgotten
 */
#include <errno.h>
#include <string.h>

#include "base/vec.h"
#include "tests/replay/replay_player.h"

struct object {
	enum rs_kind kind;
	char *ns, *name, *text;
};

struct read {
	int64_t number;
	char *ns, *pod;
	bool over;
	struct rs_err err;
};

static struct {
	struct rs_vec(struct object) objects;
	struct rs_vec(struct read) reads;
	int64_t begun;
	bool refuse;
} server;

/* ---- the source's part ----------------------------------------------------------------------- */

static void read_forget(size_t i)
{
	struct read *r = &server.reads.v[i];

	free(r->ns);
	free(r->pod);
	rs_err_clear(&r->err);
	*r = server.reads.v[--server.reads.n];
}

static struct read *read_find(int64_t number)
{
	for (size_t i = 0; i < server.reads.n; i++)
		if (server.reads.v[i].number == number)
			return &server.reads.v[i];
	return NULL;
}

int64_t stage_fresh(struct rs_source *src, const char *ns, const char *pod, struct rs_err *err)
{
	(void)src;
	if (server.refuse)
		return rs_err_set(err, EAGAIN, "too many reads are on their way");
	*rs_vec_push(&server.reads) = (struct read){ .number = ++server.begun,
						     .ns = rs_strdup(ns),
						     .pod = rs_strdup(pod) };
	return server.begun;
}

int stage_fresh_state(struct rs_source *src, int64_t number, struct rs_err *err)
{
	struct read *r = read_find(number);
	int rc;

	(void)src;
	if (!r)
		return rs_err_set(err, EINVAL, "no read has this number");
	if (!r->over)
		return -EINPROGRESS;
	rc = -r->err.num;
	if (rc < 0)
		rs_err_move(err, &r->err);
	read_forget((size_t)(r - server.reads.v));
	return rc;
}

void stage_fresh_drop(struct rs_source *src, int64_t number)
{
	struct read *r = read_find(number);

	(void)src;
	if (r)
		read_forget((size_t)(r - server.reads.v));
}

static void object_forget(size_t i)
{
	struct object *o = &server.objects.v[i];

	free(o->ns);
	free(o->name);
	free(o->text);
	*o = server.objects.v[--server.objects.n];
}

void stage_fresh_clear(void)
{
	while (server.objects.n)
		object_forget(server.objects.n - 1);
	while (server.reads.n)
		read_forget(server.reads.n - 1);
	rs_vec_free(&server.objects);
	rs_vec_free(&server.reads);
	memset(&server, 0, sizeof(server));
}

/* ---- what the server holds ------------------------------------------------------------------- */

int play_fresh_reads(struct player *p)
{
	p->s.fresh_reads = !strcmp(p->words[1], "yes");
	return 0;
}

static bool server_delete(enum rs_kind kind, const char *ns, const char *name)
{
	for (size_t i = 0; i < server.objects.n; i++) {
		const struct object *o = &server.objects.v[i];

		if (o->kind == kind && !strcmp(o->ns, ns) && !strcmp(o->name, name)) {
			object_forget(i);
			return true;
		}
	}
	return false;
}

int play_server_put(struct player *p)
{
	struct rs_store *one = rs_store_new();
	struct object o = { .kind = RS_KIND_POD };
	const struct rs_meta *const *v;
	rs_auto_strbuf text = { 0 };
	rs_auto_err err = { 0 };
	size_t n = 0;
	int rc;

	play_text(p, &text);
	rc = rs_decode_text(one, "server", rs_strbuf_str(&text), text.len, false, RS_ADMIT_LENIENT,
			    &err);
	v = (const void *)rs_store_pods(one, &n);
	if (!n) {
		o.kind = RS_KIND_POLICY;
		v = (const void *)rs_store_policies(one, &n);
	}
	if (rc == 0 && n == 1) {
		server_delete(o.kind, v[0]->ns, v[0]->name);
		o.ns = rs_strdup(v[0]->ns);
		o.name = rs_strdup(v[0]->name);
		o.text = rs_strbuf_steal(&text);
		*rs_vec_push(&server.objects) = o;
	}
	rs_store_free(one);
	if (rc < 0)
		return play_fail(p, "%s", rs_err_str(&err));
	return n == 1 ? 0 : play_fail(p, "one Pod or one NetworkPolicy");
}

int play_server_delete(struct player *p)
{
	char *slash = strchr(p->words[2], '/');
	enum rs_kind kind = strcmp(p->words[1], "Pod") ? RS_KIND_POLICY : RS_KIND_POD;

	if (!slash)
		return play_fail(p, "NS/NAME");
	*slash = '\0';
	return server_delete(kind, p->words[2], slash + 1) ? 0 : play_fail(p, "it has none");
}

/* ---- answers --------------------------------------------------------------------------------- */

/* The source knows of the pod and of the namespace's policies what the server holds. */
static int fold(struct stage *s, struct read *r, struct rs_err *err)
{
	const struct rs_policy *const *v;
	struct rs_world w;
	bool found = false;
	size_t n, i = 0;

	rs_reconcile_world(s->rec, &w);
	for (v = rs_store_policies(w.store, &n); i < n;) {
		if (strcmp(v[i]->meta.ns, r->ns) != 0) {
			i++;
			continue;
		}
		stage_delete(s, RS_KIND_POLICY, r->ns, v[i]->meta.name);
		v = rs_store_policies(w.store, &n);
	}
	stage_delete(s, RS_KIND_POD, r->ns, r->pod);
	for (i = 0; i < server.objects.n; i++) {
		const struct object *o = &server.objects.v[i];
		bool pod = o->kind == RS_KIND_POD;

		if (strcmp(o->ns, r->ns) != 0 || (pod && strcmp(o->name, r->pod) != 0))
			continue;
		found |= pod;
		if (stage_put(s, o->text, err) < 0)
			return -err->num;
	}
	if (!found)
		rs_err_set(&r->err, ENOENT, "the server has no pod %s/%s", r->ns, r->pod);
	r->over = true;
	return 0;
}

int play_answer_reads(struct player *p)
{
	const char *slash = p->n > 1 ? strchr(p->words[1], '/') : NULL;
	rs_auto_err err = { 0 };
	int answered = 0;

	for (size_t i = 0; i < server.reads.n; i++) {
		struct read *r = &server.reads.v[i];

		if (r->over || (slash && strcmp(r->pod, slash + 1) != 0))
			continue;
		if (fold(&p->s, r, &err) < 0)
			return play_fail(p, "%s", rs_err_str(&err));
		answered++;
	}
	rs_reconcile_dispatch(p->s.rec, p->s.now_ms);
	return answered ? 0 : play_fail(p, "nobody asks");
}

int play_fail_reads(struct player *p)
{
	int failed = 0;

	for (size_t i = 0; i < server.reads.n; i++) {
		struct read *r = &server.reads.v[i];

		if (r->over)
			continue;
		rs_err_set(&r->err, ECONNREFUSED, "%s", p->words[1]);
		rs_err_hint(&r->err, "look at the server");
		r->over = true;
		failed++;
	}
	rs_reconcile_dispatch(p->s.rec, p->s.now_ms);
	return failed ? 0 : play_fail(p, "nobody asks");
}

int play_refuse_reads(struct player *p)
{
	server.refuse = !strcmp(p->words[1], "yes");
	return 0;
}

/* ---- expectations ---------------------------------------------------------------------------- */

int play_reads(struct player *p)
{
	long n = strtol(p->words[1], NULL, 10);

	return server.begun == n ? 0 : play_fail(p, "%lld reads", (long long)server.begun);
}

int play_reads_waiting(struct player *p)
{
	size_t n = strtoul(p->words[1], NULL, 10), is = 0;

	for (size_t i = 0; i < server.reads.n; i++)
		is += !server.reads.v[i].over;
	return is == n ? 0 : play_fail(p, "%zu wait", is);
}
