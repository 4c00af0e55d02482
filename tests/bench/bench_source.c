// SPDX-License-Identifier: Apache-2.0
/*
 * bench_source.c - what the agent makes of an API server's answers, a second: splitter, decoder and store (lib/source,
 * lib/object), fed with pods as a server tells them (recorded_pod.json), in pieces as libcurl hands them over. No
 * network and no TLS.
 *
 *	bench_source --build DIR --seconds N
 *
 * Series, each in MB/s and as .objects in objects/s:
 *	source.list	a list into an empty store
 *	source.relist	the same list again, as after a 410: what is known in its version is not decoded
 *	source.watch	events that change each of these pods
 * and source.parse: json-c making a tree of each object, and nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/jsonio.h"
#include "object/store.h"
#include "source/api.h"
#include "tests/bench/bench_say.h"

#define SHAPE "tests/bench/recorded_pod.json"
#define PIECE 16384u /* libcurl's buffer */
#define PODS 2000u
#define DEPTH 64
#define MIN_ROUNDS 21
#define MAX_ROUNDS 201

struct texts {
	struct rs_strbuf list, watch;
	size_t *at; /* where object i begins in list; PODS + 1 of them */
};

/* ---- the text -------------------------------------------------------------------------------- */

static char *read_shape(void)
{
	static char text[65536];
	int fd = open(SHAPE, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0 || n == sizeof(text) - 1)
		bench_die("%s: %s (run it at the top of the tree)", SHAPE, strerror(errno));
	close(fd);
	text[strcspn(text, "\n")] = '\0';
	return text;
}

/* The value of @WORD@ for pod i. */
static char *value_of(const char *word, size_t i, unsigned int version)
{
	if (!strcmp(word, "NAME"))
		return rs_asprintf("web-6d4b75cb6d-%05zu", i);
	if (!strcmp(word, "NS"))
		return rs_asprintf("w-%04zu", i % 100);
	if (!strcmp(word, "UID"))
		return rs_asprintf("4f9d2c1b-77aa-4a1e-8d0f-%012zu", i);
	if (!strcmp(word, "RV"))
		return rs_asprintf("%zu", 1000000 + version * PODS + i);
	if (!strcmp(word, "LABELS"))
		return rs_asprintf("\"app\":\"app-%zu\",\"id\":\"pod-%zu\",\"pod-template-hash\":"
				   "\"6d4b75cb6d\",\"tier\":\"tier-%zu\",\"version\":\"v%zu\"",
				   i % 50, i, (i + version) % 5, i % 3);
	if (!strcmp(word, "NODE"))
		return rs_asprintf("e-%04zu", i / 250);
	if (!strcmp(word, "IP"))
		return rs_asprintf("10.129.%zu.%zu", i / 250, i % 250 + 1);
	if (!strcmp(word, "PHASE"))
		return rs_strdup("Running");
	bench_die("%s: @%s@ means nothing", SHAPE, word);
}

static void put_pod(struct rs_strbuf *b, const char *shape, size_t i, unsigned int version)
{
	for (const char *p = shape, *q; *p; p = q) {
		rs_autofree char *word = NULL, *value = NULL;
		size_t n = strspn(p + (*p == '@'), "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

		if (*p != '@' || !n || p[n + 1] != '@') {
			q = p + 1 + strcspn(p + 1, "@");
			rs_strbuf_add(b, p, (size_t)(q - p));
			continue;
		}
		word = rs_strndup(p + 1, n);
		value = value_of(word, i, version);
		rs_strbuf_puts(b, value);
		q = p + n + 2;
	}
}

static void make_list(struct texts *t, const char *shape)
{
	t->at = rs_new0(size_t, PODS + 1);
	rs_strbuf_puts(&t->list, "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":"
				 "{\"resourceVersion\":\"1000000\"},\"items\":[");
	for (size_t i = 0; i < PODS; i++) {
		if (i)
			rs_strbuf_putc(&t->list, ',');
		t->at[i] = t->list.len;
		put_pod(&t->list, shape, i, 0);
	}
	t->at[PODS] = t->list.len + 1;
	rs_strbuf_puts(&t->list, "]}\n");
}

static void make_watch(struct texts *t, const char *shape, unsigned int version)
{
	rs_strbuf_reset(&t->watch);
	for (size_t i = 0; i < PODS; i++) {
		rs_strbuf_puts(&t->watch, "{\"type\":\"MODIFIED\",\"object\":{\"kind\":\"Pod\","
					  "\"apiVersion\":\"v1\",");
		put_pod(&t->watch, shape + 1, i, version);
		rs_strbuf_puts(&t->watch, "}\n");
	}
}

/* ---- through the agent's code ---------------------------------------------------------------- */

static int take_item(void *arg, enum rs_split_part part, const char *text, size_t len,
		     struct rs_err *err)
{
	struct rs_apikind *k = arg;

	if (part == RS_SPLIT_REST)
		return rs_apitake_rest(k->kind, text, len, &k->list_rv, &k->cont, err);
	return rs_apitake_item(k, text, len, err);
}

static int take_event(void *arg, enum rs_split_part part, const char *text, size_t len,
		      struct rs_err *err)
{
	(void)part;
	return rs_apitake_event(arg, text, len, err);
}

static void feed(struct rs_apikind *k, enum rs_split_form form, const struct rs_strbuf *b)
{
	struct rs_split *s = rs_split_new(form, form == RS_SPLIT_LIST ? take_item : take_event, k);
	rs_auto_err err = { 0 };
	int rc = 0;

	for (size_t at = 0; at < b->len && rc == 0; at += PIECE)
		rc = rs_split_feed(s, b->s + at, b->len - at < PIECE ? b->len - at : PIECE, &err);
	if (rc < 0 || rs_split_end(s, &err) < 0)
		bench_die("%s", rs_err_str(&err));
	rs_split_free(s);
}

static void list(struct rs_apikind *k, const struct texts *t)
{
	rs_apitake_begin(k);
	k->phase = RS_API_LIST;
	feed(k, RS_SPLIT_LIST, &t->list);
	rs_apitake_finish(k, k->list_rv);
}

static void watch(struct rs_apikind *k, const struct texts *t)
{
	k->phase = RS_API_WATCH;
	feed(k, RS_SPLIT_STREAM, &t->watch);
}

static void parse(const struct texts *t)
{
	for (size_t i = 0; i < PODS; i++) {
		rs_autojson struct json_object *o = NULL;
		rs_auto_err err = { 0 };

		if (rs_json_parse(t->list.s + t->at[i], t->at[i + 1] - t->at[i] - 1, DEPTH, &o,
				  &err) < 0)
			bench_die("pod %zu: %s", i, rs_err_str(&err));
	}
}

/* ---- rounds ---------------------------------------------------------------------------------- */

static void tell(const char *series, int round, size_t bytes, double ms)
{
	rs_autofree char *objects = rs_asprintf("%s.objects", series);

	bench_value(series, round, (double)bytes / 1e3 / ms, "MB/s");
	bench_value(objects, round, PODS / ms * 1e3, "1/s");
}

static void check(const struct rs_apikind *k)
{
	size_t n;

	rs_store_pods(k->api->store, &n);
	if (n != PODS || k->n.unreadable)
		bench_die("%zu pods of %u, %llu unreadable", n, PODS,
			  (unsigned long long)k->n.unreadable);
}

static void one_round(struct texts *t, const char *shape, int round)
{
	struct rs_api api = { .store = rs_store_new() };
	struct rs_apikind *k = &api.kinds[RS_KIND_POD];
	double t0, t1;

	make_watch(t, shape, 1 + (unsigned int)round % 4);
	rs_apikind_init(k, &api, RS_KIND_POD);
	t0 = bench_now_ms();
	list(k, t);
	t1 = bench_now_ms();
	tell("source.list", round, t->list.len, t1 - t0);
	list(k, t);
	t0 = bench_now_ms();
	tell("source.relist", round, t->list.len, t0 - t1);
	watch(k, t);
	t1 = bench_now_ms();
	tell("source.watch", round, t->watch.len, t1 - t0);
	check(k);
	rs_apikind_clear(k);
	rs_store_free(api.store);
	t0 = bench_now_ms();
	parse(t);
	tell("source.parse", round, t->list.len, bench_now_ms() - t0);
}

int main(int argc, char **argv)
{
	const char *shape = read_shape();
	struct texts t = { 0 };
	struct bench_args a;

	bench_args_read(&a, argc, argv);
	make_list(&t, shape);
	for (int r = 0; r < MAX_ROUNDS && (r < MIN_ROUNDS || bench_share_gone(&a) < 0.9); r++)
		one_round(&t, shape, r);
	bench_note("source: %u pods of %zu bytes, in pieces of %u; one thread", PODS,
		   t.list.len / PODS, PIECE);
	rs_strbuf_free(&t.list);
	rs_strbuf_free(&t.watch);
	free(t.at);
	return 0;
}
