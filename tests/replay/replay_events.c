// SPDX-License-Identifier: Apache-2.0
/*
 * replay_events.c - commands for what an API server tells: event by event, kind by kind, in any
 * order.
 *
 *	labels-from-api yes		from the next start on only objects give labels
 *	put				objects up to `end`, an event each
 *	delete KIND [NS/]NAME
 *	list KIND			all objects of that kind up to `end`; the others are gone
 *	synced KIND yes|no
 *	put-pods N NS/PREFIX IP [labels=a:b]	N pods of other nodes from that address on, an event each
 *	as-from-scratch			what is in force is what one compile from nothing gives
 *	addresses N			so many addresses have a class
 */
#include <string.h>

#include "tests/prove/canon.h"
#include "tests/replay/replay_player.h"

static int kind_of(struct player *p, enum rs_kind *out)
{
	for (int k = 0; k < RS_KINDS; k++)
		if (!strcmp(p->words[1], rs_kind_name((enum rs_kind)k))) {
			*out = (enum rs_kind)k;
			return 0;
		}
	return play_fail(p, "no kind %s", p->words[1]);
}

static bool says_yes(const char *word)
{
	return !strcmp(word, "yes");
}

int play_labels_from_api(struct player *p)
{
	p->s.labels_from_api = says_yes(p->words[1]);
	return 0;
}

int play_put(struct player *p)
{
	rs_auto_strbuf text = { 0 };
	rs_auto_err err = { 0 };

	play_text(p, &text);
	return stage_put(&p->s, rs_strbuf_str(&text), &err) < 0
		       ? play_fail(p, "put: %s", rs_err_str(&err))
		       : 0;
}

int play_delete(struct player *p)
{
	char *name = p->words[2], *slash = strchr(name, '/');
	enum rs_kind kind;

	if (kind_of(p, &kind) < 0)
		return -1;
	if (slash)
		*slash = '\0';
	return stage_delete(&p->s, kind, slash ? name : NULL, slash ? slash + 1 : name)
		       ? 0
		       : play_fail(p, "it was not there");
}

int play_list(struct player *p)
{
	rs_auto_strbuf text = { 0 };
	rs_auto_err err = { 0 };
	enum rs_kind kind;

	if (kind_of(p, &kind) < 0)
		return -1;
	play_text(p, &text);
	return stage_list(&p->s, kind, rs_strbuf_str(&text), &err) < 0
		       ? play_fail(p, "list: %s", rs_err_str(&err))
		       : 0;
}

int play_synced(struct player *p)
{
	enum rs_kind kind;

	if (kind_of(p, &kind) < 0)
		return -1;
	stage_synced(&p->s, kind, says_yes(p->words[2]));
	return 0;
}

/* {app: web} as JSON, of "app:web". */
static char *labels_json(const char *text)
{
	struct rs_labels l = { 0 };
	struct rs_strbuf b = { 0 };

	if (text && rs_labels_parse(text, ':', &l, NULL) < 0)
		rs_strbuf_puts(&b, "(bad labels)");
	for (size_t i = 0; i < l.n; i++) {
		rs_strbuf_puts(&b, i ? "," : "");
		rs_strbuf_put_json(&b, l.v[i].key);
		rs_strbuf_putc(&b, ':');
		rs_strbuf_put_json(&b, l.v[i].value);
	}
	rs_labels_free(&l);
	if (!b.len)
		rs_strbuf_puts(&b, "");
	return rs_strbuf_steal(&b);
}

int play_put_pods(struct player *p)
{
	long n = strtol(p->words[1], NULL, 10);
	const char *slash = strchr(p->words[2], '/');
	rs_autofree char *labels = labels_json(play_option(p, "labels"));
	char ip[RS_ADDR_STRLEN];
	rs_auto_err err = { 0 };
	struct rs_addr a;

	if (!slash || rs_addr_parse(p->words[3], &a, &err) < 0)
		return play_fail(p, "NS/PREFIX and an address");
	for (long i = 0; i < n; i++, rs_addr_next(&a)) {
		rs_autofree char *text =
			rs_asprintf("{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{"
				    "\"namespace\":\"%.*s\","
				    "\"name\":\"%s%ld\",\"labels\":{%s}},\"status\":{\"podIPs\":[{"
				    "\"ip\":\"%s\"}]}}",
				    (int)(slash - p->words[2]), p->words[2], slash + 1, i,
				    labels ? labels : "", rs_addr_str(&a, ip));

		if (stage_put(&p->s, text, &err) < 0)
			return play_fail(p, "put: %s", rs_err_str(&err));
	}
	return 0;
}

int play_as_from_scratch(struct player *p)
{
	const struct rs_ir *now = rs_reconcile_ir(p->s.rec);
	struct rs_compiler *c = rs_compiler_new(NULL);
	rs_autofree char *a = NULL, *b = NULL, *diff = NULL;
	struct rs_ir *ir = NULL;
	rs_auto_err err = { 0 };
	struct rs_world w;
	int rc;

	rs_reconcile_world(p->s.rec, &w);
	rs_reconcile_expect(p->s.rec, &w, p->s.now_ms);
	rc = rs_compile(c, &w, &ir, NULL, &err);
	rs_compiler_free(c);
	if (rc < 0 || !now)
		return play_fail(p, "%s", now ? rs_err_str(&err) : "nothing is in force");
	a = pv_canon(now, true);
	b = pv_canon(ir, true);
	rs_ir_free(ir);
	diff = pv_canon_diff(a, b);
	return diff ? play_fail(p, "now, and from scratch:\n%s", diff) : 0;
}

int play_addresses(struct player *p)
{
	const struct rs_ir *ir = rs_reconcile_ir(p->s.rec);
	size_t n = strtoul(p->words[1], NULL, 10), is = ir ? ir->n_addrs : 0;

	return is == n ? 0 : play_fail(p, "%zu addresses", is);
}
