// SPDX-License-Identifier: Apache-2.0
/*
 * hist_feed.c - how the node hears of changes. A watch keeps the order within a kind; between kinds
 * there is none (F27). News may come late, twice, after an older version, squashed, or as a whole
 * list.
 */
#include <errno.h>
#include <string.h>

#include "base/jsonio.h"
#include "object/store.h"
#include "tests/prove/hist.h"

/* ---- telling --------------------------------------------------------------------------------- */

void hist_news_free(struct hist_news *n)
{
	free(n->ns);
	free(n->name);
	json_object_put(n->o);
	json_object_put(n->then);
}

static struct hist_news *tell(struct hist *h, enum rs_kind kind, json_object *o)
{
	struct hist_news *n = rs_vec_push(&h->news[kind]);

	n->kind = kind;
	n->ns = hist_ns(o) ? rs_strdup(hist_ns(o)) : NULL;
	n->name = rs_strdup(hist_name(o));
	h->settled = false;
	return n;
}

static void new_version(struct hist *h, json_object *o)
{
	rs_autofree char *text = rs_asprintf("%u", 1000 + h->serial++);

	json_object_object_add(hist_meta(o), "resourceVersion", json_object_new_string(text));
}

void hist_put(struct hist *h, enum rs_kind kind, json_object *o)
{
	struct hist_object *obj = hist_find(h, kind, hist_ns(o), hist_name(o));
	struct hist_news *n;

	new_version(h, o);
	if (!obj) {
		obj = rs_vec_push(&h->objects);
		obj->kind = kind;
	}
	json_object_put(obj->then);
	obj->then = obj->o;
	obj->o = o;
	n = tell(h, kind, o);
	n->o = hist_copy(o);
	n->then = obj->then && pv_chance(&h->rng, 20) ? hist_copy(obj->then) : NULL;
}

void hist_drop(struct hist *h, struct hist_object *obj)
{
	tell(h, obj->kind, obj->o);
	json_object_put(obj->o);
	json_object_put(obj->then);
	*obj = h->objects.v[--h->objects.n];
}

/* ---- hearing --------------------------------------------------------------------------------- */

int hist_decode(struct rs_store *s, json_object *o, struct rs_err *err)
{
	const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);

	return rs_decode_text(s, "history.json", text, strlen(text), true, RS_ADMIT_LENIENT, err);
}

static int put(struct hist *h, json_object *o)
{
	rs_auto_err err = { 0 };

	if (hist_decode(h->store, o, &err) < 0)
		return hist_fail(h, HIST_ERROR, "decode: %s", rs_err_str(&err));
	return 0;
}

static int apply(struct hist *h, const struct hist_news *n)
{
	if (n->then && put(h, n->then) < 0)
		return -1;
	if (n->o)
		return put(h, n->o);
	rs_store_del(h->store, n->kind, n->ns, n->name);
	if (rs_store_find(h->store, n->kind, n->ns, n->name))
		return hist_fail(h, HIST_STORE, "%s %s/%s is there after its deletion",
				 rs_kind_name(n->kind), n->ns ? n->ns : "", n->name);
	return 0;
}

/* What is told again changes nothing. */
static int apply_again(struct hist *h, struct hist_news *n)
{
	uint64_t revision = rs_store_revision(h->store);
	int rc;

	json_object_put(n->then);
	n->then = NULL;
	rc = apply(h, n);
	if (rc == 0 && rs_store_revision(h->store) != revision)
		return hist_fail(h, HIST_STORE, "%s %s/%s told twice is a change",
				 rs_kind_name(n->kind), n->ns ? n->ns : "", n->name);
	return rc;
}

static void forget_news(struct hist *h, enum rs_kind kind, size_t i)
{
	hist_news_free(&h->news[kind].v[i]);
	memmove(&h->news[kind].v[i], &h->news[kind].v[i + 1],
		(h->news[kind].n - i - 1) * sizeof(h->news[kind].v[0]));
	h->news[kind].n--;
}

int hist_deliver(struct hist *h, enum rs_kind kind)
{
	struct hist_news *n = h->news[kind].v;
	int rc;

	if (!h->listed[kind])
		return hist_relist(h, kind);
	if (!h->news[kind].n)
		return 0;
	rc = apply(h, n);
	if (rc == 0 && pv_chance(&h->rng, 25))
		rc = apply_again(h, n);
	forget_news(h, kind, 0);
	return rc;
}

/* Whatever is on its way, each kind at its own pace. */
int hist_deliver_all(struct hist *h)
{
	enum rs_kind left[RS_KINDS];
	int rc = 0;

	while (rc == 0) {
		uint32_t n = 0;

		for (int k = 0; k < RS_KINDS; k++)
			if (h->news[k].n || !h->listed[k])
				left[n++] = (enum rs_kind)k;
		if (!n)
			break;
		rc = hist_deliver(h, left[pv_below(&h->rng, n)]);
	}
	return rc;
}

/* ---- lists (F16) ----------------------------------------------------------------------------- */

/* What the store holds of this kind and the list does not is deleted. */
static void delete_vanished(struct hist *h, enum rs_kind kind)
{
	struct rs_vec(struct hist_news) gone = { 0 };
	size_t n = 0, i;
	const struct rs_meta *const *v = rs_store_metas(h->store, kind, &n);

	for (i = 0; i < n; i++)
		if (!hist_find(h, kind, v[i]->ns, v[i]->name))
			*rs_vec_push(&gone) = (struct hist_news){
				.ns = v[i]->ns ? rs_strdup(v[i]->ns) : NULL,
				.name = rs_strdup(v[i]->name),
			};
	for (i = 0; i < gone.n; i++) {
		rs_store_del(h->store, kind, gone.v[i].ns, gone.v[i].name);
		hist_news_free(&gone.v[i]);
	}
	rs_vec_free(&gone);
}

int hist_relist(struct hist *h, enum rs_kind kind)
{
	bool first = pv_chance(&h->rng, 50);
	int rc = 0;

	while (h->news[kind].n)
		forget_news(h, kind, h->news[kind].n - 1);
	if (first)
		delete_vanished(h, kind);
	for (size_t i = 0; rc == 0 && i < h->objects.n; i++)
		if (h->objects.v[i].kind == kind)
			rc = put(h, h->objects.v[i].o);
	if (!first)
		delete_vanished(h, kind);
	h->listed[kind] = true;
	rs_store_set_synced(h->store, kind, true);
	h->settled = false;
	return rc;
}

int hist_relist_step(struct hist *h)
{
	enum rs_kind kind = (enum rs_kind)pv_below(&h->rng, RS_KINDS);
	int rc;

	/* Something must have vanished behind the node's back. */
	if (pv_chance(&h->rng, 70)) {
		struct hist_object *obj = hist_pick(h, kind);

		if (obj && (kind == RS_KIND_POLICY || kind == RS_KIND_POD))
			hist_drop(h, obj);
	}
	hist_note(h, "relist %ss, %zu news lost", rs_kind_name(kind), h->news[kind].n);
	rc = hist_relist(h, kind);
	return rc;
}

/* ---- steps ----------------------------------------------------------------------------------- */

int hist_some(struct hist *h)
{
	enum rs_kind kind = (enum rs_kind)pv_below(&h->rng, RS_KINDS);
	uint32_t n = 1 + pv_below(&h->rng, 4);
	int rc = 0;

	hist_note(h, "up to %u news of %ss arrive, one by one", n, rs_kind_name(kind));
	while (rc == 0 && n--) {
		rc = hist_deliver(h, kind);
		if (rc == 0 && pv_chance(&h->rng, 30))
			rc = hist_compile(h, HIST_COMMITTED);
	}
	return rc;
}

int hist_any_order(struct hist *h)
{
	hist_note(h, "all news arrive, kinds in any order");
	return hist_deliver_all(h);
}

/* One kind runs ahead of all others. */
int hist_reordered(struct hist *h)
{
	enum rs_kind kind = (enum rs_kind)pv_below(&h->rng, RS_KINDS);
	int rc = 0;

	hist_note(h, "%ss run ahead", rs_kind_name(kind));
	while (rc == 0 && (h->news[kind].n || !h->listed[kind]))
		rc = hist_deliver(h, kind);
	return rc == 0 ? hist_compile(h, HIST_COMMITTED) : rc;
}

static bool later_news(const struct hist *h, enum rs_kind kind, size_t i)
{
	const struct hist_news *a = &h->news[kind].v[i];

	for (size_t k = i + 1; k < h->news[kind].n; k++) {
		const struct hist_news *b = &h->news[kind].v[k];

		if (!strcmp(a->ns ? a->ns : "", b->ns ? b->ns : "") && !strcmp(a->name, b->name))
			return true;
	}
	return false;
}

int hist_squash(struct hist *h)
{
	size_t lost = 0;

	for (int k = 0; k < RS_KINDS; k++)
		for (size_t i = 0; i < h->news[k].n;)
			if (later_news(h, (enum rs_kind)k, i)) {
				forget_news(h, (enum rs_kind)k, i);
				lost++;
			} else {
				i++;
			}
	hist_note(h, "%zu news squashed into later ones", lost);
	return 0;
}
