// SPDX-License-Identifier: Apache-2.0
/* labels.c - sets of labels, their text forms, and selectors as kubectl writes them. */
#include <ripstop/object.h>

#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "object/labels.h"
#include "object/syntax.h"

/* Index of key, or of the place where it belongs. */
static size_t place(const struct rs_labels *l, const char *key, bool *found)
{
	size_t lo = 0, hi = l->n;

	*found = false;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int d = strcmp(l->v[mid].key, key);

		if (d == 0) {
			*found = true;
			return mid;
		}
		if (d < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const char *rs_labels_get(const struct rs_labels *l, const char *key)
{
	bool found;
	size_t i = place(l, key, &found);

	return found ? l->v[i].value : NULL;
}

void rs_labels_set(struct rs_labels *l, const char *key, const char *value)
{
	char *copy = rs_strdup(value);
	bool found;
	size_t i = place(l, key, &found);

	if (found) {
		free(l->v[i].value);
		l->v[i].value = copy;
		return;
	}
	l->v = rs_reallocarray(l->v, l->n + 1, sizeof(*l->v));
	memmove(l->v + i + 1, l->v + i, (l->n - i) * sizeof(*l->v));
	l->v[i] = (struct rs_label){ .key = rs_strdup(key), .value = copy };
	l->n++;
}

void rs_labels_free(struct rs_labels *l)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		free(l->v[i].key);
		free(l->v[i].value);
	}
	free(l->v);
	*l = (struct rs_labels){ 0 };
}

struct rs_labels rs_labels_copy(const struct rs_labels *l)
{
	struct rs_labels copy = { .n = l->n };
	size_t i;

	if (!l->n)
		return copy;
	copy.v = rs_new0(struct rs_label, l->n);
	for (i = 0; i < l->n; i++) {
		copy.v[i].key = rs_strdup(l->v[i].key);
		copy.v[i].value = rs_strdup(l->v[i].value);
	}
	return copy;
}

/* Objects of a store share words. */
static bool same_word(const char *a, const char *b)
{
	return a == b || !strcmp(a, b);
}

bool rs_labels_equal(const struct rs_labels *a, const struct rs_labels *b)
{
	size_t i;

	if (a->n != b->n)
		return false;
	for (i = 0; i < a->n; i++)
		if (!same_word(a->v[i].key, b->v[i].key) ||
		    !same_word(a->v[i].value, b->v[i].value))
			return false;
	return true;
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct rs_label *)a)->key, ((const struct rs_label *)b)->key);
}

const char *rs_labels_sort(struct rs_labels *l)
{
	size_t i;

	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), by_key);
	for (i = 1; i < l->n; i++)
		if (!strcmp(l->v[i - 1].key, l->v[i].key))
			return l->v[i].key;
	return NULL;
}

/* ---- text ------------------------------------------------------------------------------------ */

char *rs_labels_str(const struct rs_labels *l)
{
	struct rs_strbuf b = { 0 };
	size_t i;

	for (i = 0; i < l->n; i++) {
		if (i)
			rs_strbuf_putc(&b, ',');
		rs_strbuf_puts_safe(&b, l->v[i].key);
		rs_strbuf_putc(&b, '=');
		rs_strbuf_puts_safe(&b, l->v[i].value);
	}
	return rs_strbuf_steal(&b);
}

int rs_label_check(const char *key, const char *value, struct rs_err *err)
{
	const char *fault = rs_syntax_label_key(key);
	rs_auto_strbuf shown = { 0 };

	if (fault) {
		rs_strbuf_puts_safe(&shown, key);
		return rs_err_set(err, EINVAL, "label key \"%.253s\" %s", rs_strbuf_str(&shown),
				  fault);
	}
	fault = rs_syntax_label_value(value);
	if (!fault)
		return 0;
	rs_strbuf_puts_safe(&shown, value);
	return rs_err_set(err, EINVAL, "value \"%.253s\" of label %s %s", rs_strbuf_str(&shown),
			  key, fault);
}

/* One "key SEP value" of n bytes, appended unsorted. */
static int parse_one(const char *s, size_t n, char sep, struct rs_labels *l, size_t *cap,
		     struct rs_err *err)
{
	rs_autofree char *item = rs_strndup(s, n);
	char *mid = strchr(item, sep);
	int rc;

	if (!mid) {
		rs_auto_strbuf shown = { 0 };

		rs_strbuf_puts_safe(&shown, item);
		return rs_err_set(err, EINVAL, "\"%.128s\" is not a label (KEY%cVALUE)",
				  rs_strbuf_str(&shown), sep);
	}
	*mid = '\0';
	rc = rs_label_check(item, mid + 1, err);
	if (rc < 0)
		return rc;
	l->v = rs_vec_grow_(l->v, l->n, cap, sizeof(*l->v));
	l->v[l->n++] = (struct rs_label){ .key = rs_strdup(item), .value = rs_strdup(mid + 1) };
	return 0;
}

int rs_labels_parse(const char *text, char sep, struct rs_labels *out, struct rs_err *err)
{
	struct rs_labels l = { 0 };
	const char *twice;
	size_t cap = 0;
	int rc = 0;

	while (*text && rc == 0) {
		size_t n = strcspn(text, ",");

		rc = parse_one(text, n, sep, &l, &cap, err);
		text += n;
		if (rc == 0 && *text == ',' && !*++text)
			rc = rs_err_set(err, EINVAL, "the list of labels ends with a comma");
	}
	twice = rc == 0 ? rs_labels_sort(&l) : NULL;
	if (twice)
		rc = rs_err_set(err, EINVAL, "label %s is given twice", twice);
	if (rc < 0) {
		rs_labels_free(&l);
		return rc;
	}
	*out = l;
	return 0;
}

static void put_values(struct rs_strbuf *b, const struct rs_requirement *r)
{
	size_t i;

	for (i = 0; i < r->n_values; i++) {
		rs_strbuf_putc(b, i ? ',' : '(');
		rs_strbuf_puts_safe(b, r->values[i]);
	}
	rs_strbuf_puts(b, i ? ")" : "()");
}

static void put_requirement(struct rs_strbuf *b, const struct rs_requirement *r)
{
	if (r->op == RS_OP_NOT_EXISTS)
		rs_strbuf_putc(b, '!');
	rs_strbuf_puts_safe(b, r->key);
	if (r->op == RS_OP_IN && r->n_values == 1) {
		rs_strbuf_putc(b, '=');
		rs_strbuf_puts_safe(b, r->values[0]);
	} else if (r->op == RS_OP_IN || r->op == RS_OP_NOT_IN) {
		rs_strbuf_puts(b, r->op == RS_OP_IN ? " in " : " notin ");
		put_values(b, r);
	}
}

char *rs_selector_str(const struct rs_selector *s)
{
	struct rs_strbuf b = { 0 };
	size_t i;

	if (s->invalid)
		return rs_strdup("<invalid>");
	if (!s->present)
		return rs_strdup("<none>");
	if (!s->n_reqs)
		return rs_strdup("<all>");
	for (i = 0; i < s->n_reqs; i++) {
		if (i)
			rs_strbuf_putc(&b, ',');
		put_requirement(&b, &s->reqs[i]);
	}
	return rs_strbuf_steal(&b);
}
