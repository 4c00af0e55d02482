// SPDX-License-Identifier: Apache-2.0
/*
 * lint_ignore.c - rules that a policy's author has looked at and means: the annotation
 *
 *	ripstop.dev/lint-ignore: no-dns,shadowed-rule
 *
 * or a comment of the same words, anywhere in the policy's lines or right above them.
 */
#include "cli/lint/lint.h"

#include <string.h>

#define WORD "ripstop.dev/lint-ignore"

/* ---- a list of rules ------------------------------------------------------------------------- */

static void unknown(struct lint *l, struct lint_policy *pol, const struct lint_at *at,
		    const char *id)
{
	const char *near = lint_rule_nearest(id);

	lint_say(l, pol, at, LINT_UNKNOWN_IGNORED_RULE, "there is no rule \"%.64s\"%s%s%s", id,
		 near ? ": is " : "", near ? near : "", near ? " meant?" : "");
}

static void take_list(struct lint *l, struct lint_policy *pol, const struct lint_at *at,
		      const char *text, size_t len)
{
	static const char blank[] = ", \t\r";
	const char *end = text + len;

	while (text < end) {
		rs_autofree char *id = NULL;
		enum lint_id rule;
		size_t n = 0;

		if (strchr(blank, *text)) {
			text++;
			continue;
		}
		while (text + n < end && !strchr(blank, text[n]))
			n++;
		id = rs_strndup(text, n);
		rule = lint_rule_find(text, n);
		if (rule == LINT_RULES)
			unknown(l, pol, at, id);
		else
			pol->ignores[rule] = true;
		text += n;
	}
}

static void from_annotation(struct lint *l, struct lint_policy *pol)
{
	struct lint_at root = lint_root(pol), meta = lint_field(&root, "metadata");
	struct lint_at map = lint_field(&meta, "annotations");
	const struct rs_doc_item *item = map.node ? rs_doc_get(map.node, WORD) : NULL;
	struct lint_at at;

	if (!item || item->value->type != RS_DOC_STRING)
		return;
	at = lint_key(&map, item);
	take_list(l, pol, &at, item->value->text, strlen(item->value->text));
}

/* ---- comments -------------------------------------------------------------------------------- */

struct line {
	const char *s;
	size_t len;
};

static bool next_line(const char **text, const char *end, struct line *out)
{
	const char *nl;

	if (*text >= end)
		return false;
	nl = memchr(*text, '\n', (size_t)(end - *text));
	out->s = *text;
	out->len = (size_t)((nl ? nl : end) - *text);
	*text = nl ? nl + 1 : end;
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Where the list of rules begins in a comment of ours; NULL when the line has none. */
static const char *comment(const struct line *line)
{
	const char *end = line->s + line->len, *p = line->s;

	for (; (p = memchr(p, '#', (size_t)(end - p))); p++) {
		const char *q = p + 1;

		if (p > line->s && !is_blank(p[-1]))
			continue;
		while (q < end && is_blank(*q))
			q++;
		if ((size_t)(end - q) <= strlen(WORD) || strncmp(q, WORD ":", strlen(WORD) + 1))
			continue;
		return q + strlen(WORD) + 1;
	}
	return NULL;
}

static char first_char(const struct line *line)
{
	size_t i = 0;

	while (i < line->len && is_blank(line->s[i]))
		i++;
	return i < line->len ? line->s[i] : '\0';
}

static bool is_separator(const struct line *line)
{
	return line->len >= 3 && !strncmp(line->s, "---", 3);
}

/* A comment that waits for the object that it stands above. */
struct waiting {
	const char *list, *end;
	int line, col;
	bool alone;   /* nothing but it in its line */
	size_t owner; /* the object whose lines it stands in: number in starts plus one */
};

struct comments {
	struct rs_vec(struct waiting) v;
};

static void gather(const struct lint_text *t, struct comments *out)
{
	const char *p = t->text, *end = p + t->len;
	size_t next = 0, owner = 0;
	struct line line;
	int n;

	for (n = 1; next_line(&p, end, &line); n++) {
		const char *list = comment(&line);

		if (is_separator(&line))
			owner = 0;
		while (next < t->starts.n && t->starts.v[next].line <= n)
			owner = ++next;
		if (list)
			*rs_vec_push(&out->v) = (struct waiting){ .list = list,
								  .end = line.s + line.len,
								  .line = n,
								  .alone = first_char(&line) == '#',
								  .owner = owner };
	}
}

#define ABOVE_MAX 100 /* lines */

/* Whether nothing but comments and white space stands from that line to the one where it begins. */
static bool is_right_above(const struct lint_text *t, const struct waiting *w, int start)
{
	const char *p = w->list, *end = t->text + t->len;
	struct line line;
	int n;

	if (start - w->line > ABOVE_MAX)
		return false;
	for (n = w->line; n < start && next_line(&p, end, &line); n++) {
		char c = first_char(&line);

		if (n > w->line && c && c != '#' && !is_separator(&line))
			return false;
	}
	return true;
}

static size_t owner_of(const struct lint_text *t, const struct waiting *w)
{
	size_t next = w->owner;

	/* Without an owner: the first that begins below. */
	while (next < t->starts.n && t->starts.v[next].line <= w->line)
		next++;
	if (w->alone && next < t->starts.n && is_right_above(t, w, t->starts.v[next].line))
		return t->starts.v[next].policy;
	return w->owner ? t->starts.v[w->owner - 1].policy : 0;
}

static struct lint_policy *policy_of(struct lint *l, const struct lint_text *t, size_t number)
{
	size_t i;

	for (i = 0; number && i < l->policies.n; i++)
		if (l->policies.v[i].text == t && l->policies.v[i].number == number)
			return &l->policies.v[i];
	return NULL;
}

static void from_comments(struct lint *l, const struct lint_text *t)
{
	struct comments all = { 0 };
	size_t i;

	if (t->json || !memmem(t->text, t->len, WORD, strlen(WORD)))
		return;
	gather(t, &all);
	for (i = 0; i < all.v.n; i++) {
		const struct waiting *w = &all.v.v[i];
		struct lint_policy *pol = policy_of(l, t, owner_of(t, w));
		struct lint_at root, at;

		if (!pol)
			continue;
		root = lint_root(pol);
		at = (struct lint_at){ .up = &root, .pos = { w->line, 1 } };
		take_list(l, pol, &at, w->list, (size_t)(w->end - w->list));
	}
	rs_vec_free(&all.v);
}

void lint_read_ignores(struct lint *l)
{
	size_t i;

	for (i = 0; i < l->policies.n; i++)
		from_annotation(l, &l->policies.v[i]);
	for (i = 0; i < l->texts.n; i++)
		from_comments(l, l->texts.v[i]);
}
