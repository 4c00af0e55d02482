// SPDX-License-Identifier: Apache-2.0
/*
 * doc_json.c - JSON text (RFC 8259, strictly) to document trees; see doc.h. A text may hold several
 * values one after the other, as kubectl reads them. Own code, because json-c keeps no positions.
 */
#include "object/doc_build.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"

struct json_reader {
	struct rs_doc_reader base;
	const char *p;
	const char *end;
	/* Line and column of `mark`, which follows p: every byte is counted once. */
	const char *mark;
	struct rs_doc_pos pos;
	struct rs_strbuf scratch;
};

static struct json_reader *json_reader(struct rs_doc_reader *r)
{
	return (struct json_reader *)r;
}

static struct rs_doc_pos here(struct json_reader *j)
{
	for (; j->mark < j->p; j->mark++) {
		if (*j->mark == '\n') {
			j->pos.line++;
			j->pos.col = 1;
		} else if ((*j->mark & 0xc0) != 0x80) {
			j->pos.col++;
		}
	}
	return j->pos;
}

static int bad(struct json_reader *j, struct rs_err *err, const char *what)
{
	return rs_doc_fail(&j->base.b, here(j), err, EINVAL, "not JSON: %s", what);
}

static int peek(const struct json_reader *j)
{
	return j->p < j->end ? (unsigned char)*j->p : -1;
}

static void skip_blanks(struct json_reader *j)
{
	while (j->p < j->end && memchr(" \t\r\n", *j->p, 4))
		j->p++;
}

/* ---- strings --------------------------------------------------------------------------------- */

static void put_utf8(struct rs_strbuf *b, uint32_t c)
{
	if (c < 0x80) {
		rs_strbuf_putc(b, (char)c);
		return;
	}
	if (c < 0x800) {
		rs_strbuf_putc(b, (char)(0xc0 | c >> 6));
	} else {
		if (c < 0x10000) {
			rs_strbuf_putc(b, (char)(0xe0 | c >> 12));
		} else {
			rs_strbuf_putc(b, (char)(0xf0 | c >> 18));
			rs_strbuf_putc(b, (char)(0x80 | (c >> 12 & 0x3f)));
		}
		rs_strbuf_putc(b, (char)(0x80 | (c >> 6 & 0x3f)));
	}
	rs_strbuf_putc(b, (char)(0x80 | (c & 0x3f)));
}

/* Four hex digits behind p, which moves over them; -1 when they are not there. */
static int32_t hex4(struct json_reader *j)
{
	int32_t value = 0;
	int i;

	if (j->end - j->p < 4)
		return -1;
	for (i = 0; i < 4; i++) {
		char c = *j->p;

		value <<= 4;
		if (c >= '0' && c <= '9')
			value |= c - '0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			value |= (c | 0x20) - 'a' + 10;
		else
			return -1;
		j->p++;
	}
	return value;
}

static int unicode_escape(struct json_reader *j, struct rs_err *err)
{
	int32_t c = hex4(j), low;

	if (c < 0)
		return bad(j, err, "\\u needs four hexadecimal digits");
	if (c == 0)
		return bad(j, err, "a string holds a NUL character");
	if (c >= 0xdc00 && c <= 0xdfff)
		return bad(j, err, "half of a surrogate pair");
	if (c >= 0xd800 && c <= 0xdbff) {
		if (j->end - j->p < 2 || j->p[0] != '\\' || j->p[1] != 'u')
			return bad(j, err, "half of a surrogate pair");
		j->p += 2;
		low = hex4(j);
		if (low < 0xdc00 || low > 0xdfff)
			return bad(j, err, "half of a surrogate pair");
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	put_utf8(&j->scratch, (uint32_t)c);
	return 0;
}

static int escape(struct json_reader *j, struct rs_err *err)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *hit;

	j->p++;
	if (peek(j) == 'u') {
		j->p++;
		return unicode_escape(j, err);
	}
	hit = peek(j) > 0 ? strchr(from, *j->p) : NULL;
	if (!hit)
		return bad(j, err, "unknown escape in a string");
	rs_strbuf_putc(&j->scratch, to[hit - from]);
	j->p++;
	return 0;
}

/* Length of the well-formed UTF-8 sequence at p (Unicode table 3-7), 0 when there is none. */
static size_t utf8_len(const char *p, size_t left)
{
	const unsigned char *s = (const unsigned char *)p;
	unsigned char lo = 0x80, hi = 0xbf;
	size_t n, i;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (s[0] == 0xe0)
		lo = 0xa0;
	else if (s[0] == 0xed)
		hi = 0x9f;
	else if (s[0] == 0xf0)
		lo = 0x90;
	else if (s[0] == 0xf4)
		hi = 0x8f;
	if (left < n || s[1] < lo || s[1] > hi)
		return 0;
	for (i = 2; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

/* A run of bytes that stand for themselves. */
static int plain_run(struct json_reader *j, struct rs_err *err)
{
	const char *start = j->p;

	while (j->p < j->end && *j->p != '"' && *j->p != '\\') {
		size_t n = utf8_len(j->p, (size_t)(j->end - j->p));

		if (!n)
			return bad(j, err, "a string is not UTF-8");
		if ((unsigned char)*j->p < 0x20)
			return bad(j, err, "a control character in a string");
		j->p += n;
	}
	rs_strbuf_add(&j->scratch, start, (size_t)(j->p - start));
	return 0;
}

/* p stands on the opening quote. */
static int string(struct json_reader *j, const char **out, struct rs_err *err)
{
	rs_strbuf_reset(&j->scratch);
	j->p++;
	while (peek(j) != '"') {
		int rc;

		if (peek(j) < 0)
			return bad(j, err, "the text ends inside a string");
		rc = *j->p == '\\' ? escape(j, err) : plain_run(j, err);
		if (rc < 0)
			return rc;
	}
	j->p++;
	*out = rs_doc_strndup(&j->base.b.arena, rs_strbuf_str(&j->scratch), j->scratch.len);
	return 0;
}

/* ---- scalars --------------------------------------------------------------------------------- */

static size_t digits(struct json_reader *j)
{
	const char *start = j->p;

	while (j->p < j->end && *j->p >= '0' && *j->p <= '9')
		j->p++;
	return (size_t)(j->p - start);
}

/* Move over the number; *whole when it has neither fraction nor exponent. */
static bool number_syntax(struct json_reader *j, bool *whole)
{
	const char *start;

	*whole = true;
	if (peek(j) == '-')
		j->p++;
	start = j->p;
	if (!digits(j) || (*start == '0' && j->p - start > 1))
		return false;
	if (peek(j) == '.') {
		*whole = false;
		j->p++;
		if (!digits(j))
			return false;
	}
	if (peek(j) == 'e' || peek(j) == 'E') {
		*whole = false;
		j->p++;
		if (peek(j) == '+' || peek(j) == '-')
			j->p++;
		if (!digits(j))
			return false;
	}
	return true;
}

static bool to_int(const char *s, int64_t *out)
{
	bool minus = *s == '-';
	int64_t v = 0;

	for (s += minus; *s; s++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, *s - '0', &v))
			return false;
	return minus ? (*out = v, true) : !__builtin_sub_overflow((int64_t)0, v, out);
}

static int number(struct json_reader *j, struct rs_doc_node *node, struct rs_err *err)
{
	const char *start = j->p;
	bool whole;

	if (!number_syntax(j, &whole))
		return bad(j, err, "malformed number");
	node->text = rs_doc_strndup(&j->base.b.arena, start, (size_t)(j->p - start));
	node->type = whole && to_int(node->text, &node->integer) ? RS_DOC_INT : RS_DOC_FLOAT;
	return 0;
}

static int literal(struct json_reader *j, struct rs_doc_node *node, struct rs_err *err)
{
	static const struct {
		const char *word;
		enum rs_doc_type type;
		bool value;
	} words[] = { { "null", RS_DOC_NULL, false },
		      { "true", RS_DOC_BOOL, true },
		      { "false", RS_DOC_BOOL, false } };
	size_t i;

	for (i = 0; i < RS_ARRAY_SIZE(words); i++) {
		size_t n = strlen(words[i].word);

		if ((size_t)(j->end - j->p) < n || memcmp(j->p, words[i].word, n))
			continue;
		node->type = words[i].type;
		node->boolean = words[i].value;
		node->text = words[i].word;
		j->p += n;
		return 0;
	}
	return bad(j, err, "a value is expected here");
}

/* A scalar, or the opening of a list or map. */
static int value(struct json_reader *j, struct rs_err *err)
{
	struct rs_doc_node *node = rs_doc_node(&j->base.b, RS_DOC_NULL, here(j), err);
	int c = peek(j), rc;

	if (!node)
		return -E2BIG;
	if (c < 0)
		return bad(j, err, "the text ends where a value is expected");
	if (c == '{' || c == '[') {
		j->p++;
		node->type = c == '{' ? RS_DOC_MAP : RS_DOC_LIST;
		return rs_doc_begin(&j->base.b, node, err);
	}
	if (c == '"') {
		node->type = RS_DOC_STRING;
		rc = string(j, &node->text, err);
	} else if (c == '-' || (c >= '0' && c <= '9')) {
		rc = number(j, node, err);
	} else {
		rc = literal(j, node, err);
	}
	if (rc == 0)
		rs_doc_put(&j->base.b, node);
	return rc;
}

/* ---- structure ------------------------------------------------------------------------------- */

static int key(struct json_reader *j, struct rs_err *err)
{
	struct rs_doc_pos pos = here(j);
	const char *text;
	int rc;

	if (peek(j) != '"')
		return bad(j, err, "a key in double quotes is expected here");
	rc = string(j, &text, err);
	if (rc < 0)
		return rc;
	skip_blanks(j);
	if (peek(j) != ':')
		return bad(j, err, "':' is expected behind a key");
	j->p++;
	rs_doc_put_key(&j->base.b, text, pos);
	return 0;
}

/* One member of the innermost list or map, or its end. */
static int member(struct json_reader *j, struct rs_err *err)
{
	const struct rs_doc_node *in = j->base.b.frames[j->base.b.depth - 1].node;
	bool map = in->type == RS_DOC_MAP;
	int rc = 0;

	if (peek(j) == (map ? '}' : ']')) {
		j->p++;
		return rs_doc_end(&j->base.b, err);
	}
	if (in->n) {
		if (peek(j) != ',')
			return bad(j, err,
				   map ? "',' or '}' is expected here"
				       : "',' or ']' is expected here");
		j->p++;
		skip_blanks(j);
	}
	if (map)
		rc = key(j, err);
	if (rc < 0)
		return rc;
	skip_blanks(j);
	return value(j, err);
}

static int json_next(struct rs_doc_reader *r, struct rs_err *err)
{
	struct json_reader *j = json_reader(r);
	int rc;

	skip_blanks(j);
	if (j->p == j->end)
		return 0;
	rc = value(j, err);
	while (rc == 0 && r->b.depth) {
		skip_blanks(j);
		rc = member(j, err);
	}
	return rc < 0 ? rc : 1;
}

static void json_close(struct rs_doc_reader *r)
{
	struct json_reader *j = json_reader(r);

	rs_strbuf_free(&j->scratch);
	free(j);
}

void rs_doc_open_json_text(const char *text, size_t len, struct rs_doc_reader **out)
{
	static const struct rs_doc_reader_ops ops = { .next = json_next, .close = json_close };
	struct json_reader *j = rs_new(struct json_reader);

	j->base.ops = &ops;
	j->p = text;
	j->end = text + len;
	/* Some editors put a byte order mark; it means nothing. */
	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		j->p += 3;
	j->mark = j->p;
	j->pos = (struct rs_doc_pos){ .line = 1, .col = 1 };
	*out = &j->base;
}
