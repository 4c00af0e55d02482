// SPDX-License-Identifier: Apache-2.0
/* labelwords.c - -l: a selector as kubectl writes it, over the labels of items. */
#include "cli/cli.h"

#include <string.h>

#define KEY "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./"
#define SPACE " \t"

/* A walk over the selector's text. */
struct walk {
	const char *p;
	bool bad;
};

static void skip(struct walk *w)
{
	w->p += strspn(w->p, SPACE);
}

static bool take(struct walk *w, const char *sign)
{
	skip(w);
	if (strncmp(w->p, sign, strlen(sign)))
		return false;
	w->p += strlen(sign);
	return true;
}

/* A key or a value; a value may be empty. */
static char *word(struct walk *w, bool may_be_empty)
{
	size_t n;
	char *s;

	skip(w);
	n = strspn(w->p, KEY);
	if (!n && !may_be_empty)
		w->bad = true;
	s = rs_strndup(w->p, n);
	w->p += n;
	return s;
}

/* "(a,b)": whether value is one of them. */
static bool is_among(struct walk *w, const char *value)
{
	bool found = false;

	if (!take(w, "("))
		w->bad = true;
	do {
		rs_autofree char *one = word(w, true);

		found |= value && !strcmp(one, value);
	} while (!w->bad && take(w, ","));
	if (!take(w, ")"))
		w->bad = true;
	return found;
}

/* "in" and "notin" are words of their own, not the beginning of one. */
static bool take_word(struct walk *w, const char *what)
{
	skip(w);
	if (strncmp(w->p, what, strlen(what)) || !strchr(SPACE "(", w->p[strlen(what)]))
		return false;
	return take(w, what);
}

/* What stands behind the key. A label that is not there differs from every value. */
static bool compare(struct walk *w, const char *value)
{
	rs_autofree char *wanted = NULL;
	bool equal;

	if (take_word(w, "in"))
		return is_among(w, value);
	if (take_word(w, "notin"))
		return !is_among(w, value);
	equal = !take(w, "!=");
	if (equal && !take(w, "==") && !take(w, "="))
		return value; /* the key alone */
	wanted = word(w, true);
	return (value && !strcmp(value, wanted)) == equal;
}

static bool requirement(struct walk *w, struct json_object *labels)
{
	bool absent = take(w, "!");
	rs_autofree char *key = word(w, false);
	const char *value = rs_json_text(labels, key, NULL);

	return absent ? !value : compare(w, value);
}

/* All of its requirements; false and w->bad where it is no selector. */
static bool matches(const char *selector, struct json_object *labels, bool *bad)
{
	struct walk w = { .p = selector };
	bool all = true;

	do
		all &= requirement(&w, labels);
	while (!w.bad && take(&w, ","));
	skip(&w);
	*bad = w.bad || *w.p;
	return all && !*bad;
}

bool cli_is_selector(const char *text)
{
	bool bad;

	matches(text, NULL, &bad);
	return !bad;
}

void cli_keep_labeled(const struct cli_run *r, struct json_object *list)
{
	struct json_object *items = rs_json_get(list, "items"), *kept;
	size_t i, n = cli_count(list, "items");
	bool bad;

	if (!r->opt.selector)
		return;
	kept = json_object_new_array();
	for (i = 0; i < n; i++) {
		struct json_object *item = json_object_array_get_idx(items, i);

		if (matches(r->opt.selector, rs_json_get(item, "labels"), &bad))
			json_object_array_add(kept, json_object_get(item));
	}
	json_object_object_add(list, "items", kept);
}
