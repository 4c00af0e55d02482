// SPDX-License-Identifier: Apache-2.0
/* apisplit.c - finds the objects in an answer of the API server; see apisplit.h. */
#include "source/apisplit.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"

/* Deeper than any decoder goes. */
#define MAX_DEPTH 128
/* A buffer that one huge object made is not kept for the others. */
#define KEEP_BYTES (256UL * 1024)

enum where {
	OUTSIDE, /* between the values of a stream, around a list */
	REST,	 /* inside the list object, beside its items */
	ITEMS,	 /* between two items */
	VALUE,	 /* inside a value that will be handed out */
};

enum turn {
	FIRST, /* an item or the end */
	NEXT,  /* a comma or the end */
	ITEM,  /* an item */
};

struct rs_split {
	enum rs_split_form form;
	rs_split_fn *fn;
	void *arg;
	enum where where;
	enum turn turn;
	struct rs_strbuf value, rest;
	char open[MAX_DEPTH]; /* the brackets that are open in the value or the rest */
	size_t depth;
	bool in_string, escaped;
	bool wants_key, is_items; /* REST at depth 1 */
	bool had_items, done;
	size_t key_at; /* in rest */
};

struct rs_split *rs_split_new(enum rs_split_form form, rs_split_fn *fn, void *arg)
{
	struct rs_split *s = rs_new(struct rs_split);

	s->form = form;
	s->fn = fn;
	s->arg = arg;
	return s;
}

void rs_split_free(struct rs_split *s)
{
	if (!s)
		return;
	rs_strbuf_free(&s->value);
	rs_strbuf_free(&s->rest);
	free(s);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int garbage(struct rs_err *err, char c, const char *expected)
{
	return rs_err_set(err, EBADMSG, "not what an API server writes: byte 0x%02x where %s",
			  (unsigned char)c, expected);
}

static int enter(struct rs_split *s, char c, struct rs_err *err)
{
	if (s->depth == MAX_DEPTH)
		return rs_err_set(err, EFBIG, "an object is nested deeper than %d", MAX_DEPTH);
	s->open[s->depth++] = c;
	return 0;
}

static int leave(struct rs_split *s, char c, struct rs_err *err)
{
	char open = c == '}' ? '{' : '[';

	if (!s->depth || s->open[s->depth - 1] != open)
		return garbage(err, c, "another bracket must close first");
	s->depth--;
	return 0;
}

/* One byte of structure or of a string, for value and rest alike. */
static int step(struct rs_split *s, char c, struct rs_err *err)
{
	if (s->in_string) {
		if (s->escaped)
			s->escaped = false;
		else if (c == '\\')
			s->escaped = true;
		else if (c == '"')
			s->in_string = false;
		return 0;
	}
	switch (c) {
	case '"':
		s->in_string = true;
		return 0;
	case '{':
	case '[':
		return enter(s, c, err);
	case '}':
	case ']':
		return leave(s, c, err);
	default:
		/* Control bytes, a NUL among them, and what is no ASCII stand in strings only. */
		if (((unsigned char)c < 0x20 && !is_blank(c)) || (unsigned char)c > 0x7e)
			return garbage(err, c, "JSON is expected");
		return 0;
	}
}

/* ---- values ---------------------------------------------------------------------------------- */

static int value_done(struct rs_split *s, struct rs_err *err)
{
	int rc;

	s->where = s->form == RS_SPLIT_LIST ? ITEMS : OUTSIDE;
	s->turn = NEXT;
	rc = s->fn(s->arg, RS_SPLIT_VALUE, s->value.s, s->value.len, err);
	if (s->value.cap > KEEP_BYTES)
		rs_strbuf_free(&s->value);
	else
		rs_strbuf_reset(&s->value);
	return rc;
}

/* Strings are most of the bytes: over those that end nothing. */
static const char *run(const struct rs_split *s, const char *p, const char *end)
{
	if (s->in_string && !s->escaped)
		while (p < end && *p != '"' && *p != '\\')
			p++;
	return p;
}

static int feed_value(struct rs_split *s, const char **at, const char *end, struct rs_err *err)
{
	/* The list object and its items are open around it. */
	size_t bottom = s->form == RS_SPLIT_LIST ? 2 : 0;
	const char *p = *at;
	bool closed = false;
	int rc = 0;

	while (rc == 0 && !closed && (p = run(s, p, end)) < end) {
		rc = step(s, *p++, err);
		closed = s->depth == bottom;
	}
	if (rc < 0)
		return rc;
	if ((size_t)(p - *at) > RS_SPLIT_MAX_OBJECT - s->value.len)
		return rs_err_set(err, EFBIG, "an object is larger than %lu MiB",
				  RS_SPLIT_MAX_OBJECT / RS_MIB);
	rs_strbuf_add(&s->value, *at, (size_t)(p - *at));
	*at = p;
	return closed ? value_done(s, err) : 0;
}

static int begin_value(struct rs_split *s, char c, struct rs_err *err)
{
	if (c != '{')
		return garbage(err, c, "an object is expected");
	s->where = VALUE;
	return 0;
}

/* ---- lists ----------------------------------------------------------------------------------- */

static int feed_items(struct rs_split *s, const char **at, struct rs_err *err)
{
	char c = **at;

	if (c == ']' && s->turn != ITEM) {
		s->where = REST;
		s->is_items = false;
		return 0; /* the rest takes it */
	}
	if (s->turn != NEXT && !is_blank(c))
		return begin_value(s, c, err);
	++*at;
	if (is_blank(c))
		return 0;
	if (c != ',')
		return garbage(err, c, "',' or ']' is expected");
	s->turn = ITEM;
	return 0;
}

/* Follow the keys of the list object itself. Returns 1 when its items begin. */
static int note_key(struct rs_split *s, char c, bool was_string, struct rs_err *err)
{
	bool began = !was_string && s->in_string, ended = was_string && !s->in_string;

	if (began && s->wants_key)
		s->key_at = s->rest.len - 1;
	if (ended && s->wants_key) {
		s->is_items = s->rest.len - s->key_at == 7 &&
			      !memcmp(s->rest.s + s->key_at, "\"items\"", 7);
		s->wants_key = false;
	}
	if (was_string || s->in_string)
		return 0;
	if (c == ',' || c == '{')
		s->wants_key = true;
	if (c != '[' || !s->is_items)
		return 0;
	if (s->had_items)
		return rs_err_set(err, EBADMSG, "a list with two fields \"items\"");
	s->had_items = true;
	return 1;
}

static int feed_rest(struct rs_split *s, const char **at, struct rs_err *err)
{
	bool was_string = s->in_string, opens_items;
	char c = *(*at)++;
	int rc = step(s, c, err);

	if (rc < 0)
		return rc;
	if (s->rest.len >= RS_SPLIT_MAX_REST)
		return rs_err_set(err, EFBIG, "a list with more than %lu KiB beside its items",
				  RS_SPLIT_MAX_REST / RS_KIB);
	rs_strbuf_putc(&s->rest, c);
	opens_items = s->depth == 2 && c == '[' && !was_string;
	if (s->depth == 1 || opens_items) {
		rc = note_key(s, c, was_string, err);
		if (rc > 0) {
			s->where = ITEMS;
			s->turn = FIRST;
		}
	}
	if (rc < 0 || s->depth)
		return rc < 0 ? rc : 0;
	s->done = true;
	s->where = OUTSIDE;
	return s->fn(s->arg, RS_SPLIT_REST, s->rest.s, s->rest.len, err);
}

static int feed_outside(struct rs_split *s, const char **at, struct rs_err *err)
{
	char c = **at;

	if (is_blank(c)) {
		++*at;
		return 0;
	}
	if (s->done)
		return garbage(err, c, "the list has ended");
	if (s->form == RS_SPLIT_STREAM)
		return begin_value(s, c, err);
	if (c != '{')
		return garbage(err, c, "a list is expected");
	s->where = REST;
	return 0;
}

/* ---- the front ------------------------------------------------------------------------------- */

int rs_split_feed(struct rs_split *s, const char *data, size_t len, struct rs_err *err)
{
	const char *p = data, *end = data + len;
	int rc = 0;

	while (p < end && rc == 0) {
		switch (s->where) {
		case OUTSIDE:
			rc = feed_outside(s, &p, err);
			break;
		case REST:
			rc = feed_rest(s, &p, err);
			break;
		case ITEMS:
			rc = feed_items(s, &p, err);
			break;
		case VALUE:
			rc = feed_value(s, &p, end, err);
			break;
		}
	}
	return rc;
}

int rs_split_end(const struct rs_split *s, struct rs_err *err)
{
	if (s->form == RS_SPLIT_STREAM ? s->where == OUTSIDE : s->done)
		return 0;
	return rs_err_set(err, EBADMSG, "the answer ends in the middle");
}
