// SPDX-License-Identifier: Apache-2.0
/* doc_yaml.c - YAML text to document trees, by libyaml's events; see doc.h. */
#include "object/doc_build.h"

#include <errno.h>
#include <string.h>

#include <yaml.h>

#include "base/base.h"
#include "object/keyed_hash.h"

#define MAX_TAG_DIRECTIVES 64

struct anchor {
	UT_hash_handle hh;
	char *name;
	const struct rs_doc_node *node; /* the last one of this name */
	bool open;			/* its end has not been seen */
};

struct yaml_reader {
	struct rs_doc_reader base;
	yaml_parser_t parser;
	const char *text;
	size_t len;
	bool checked;
	size_t doc_line; /* where the document at hand begins, from 0 */
	struct anchor *anchors;
	struct anchor *open_anchors[RS_DOC_MAX_DEPTH];
};

static struct yaml_reader *yaml_reader(struct rs_doc_reader *r)
{
	return (struct yaml_reader *)r;
}

static struct rs_doc_pos pos_of(const yaml_mark_t *m)
{
	/* Texts are bounded, so line and column fit. */
	return (struct rs_doc_pos){ .line = (int)m->line + 1, .col = (int)m->column + 1 };
}

/* Template braces outside comments, not before line number `from`; NULL when there are none. */
static const char *find_template(const char *text, size_t len, size_t from)
{
	const char *end = text + len, *line = text;
	size_t number;

	for (number = 0; line < end; number++) {
		const char *eol = memchr(line, '\n', (size_t)(end - line));
		const char *stop = eol ? eol : end, *p = line;
		const char *hit = NULL;

		while (p < stop && (*p == ' ' || *p == '\t'))
			p++;
		if (number >= from && p < stop && *p != '#')
			hit = memmem(p, (size_t)(stop - p), "{{", 2);
		if (hit)
			return hit;
		line = stop + 1;
	}
	return NULL;
}

/* Lines and characters up to an offset of the text. */
static struct rs_doc_pos pos_at(const char *text, size_t offset)
{
	struct rs_doc_pos pos = { .line = 1, .col = 1 };
	size_t i;

	for (i = 0; i < offset; i++) {
		if (text[i] == '\n') {
			pos.line++;
			pos.col = 1;
		} else if ((text[i] & 0xc0) != 0x80) {
			pos.col++;
		}
	}
	return pos;
}

/* A fault of the syntax; where templates are the likely cause, say that instead. */
static int syntax(struct yaml_reader *y, struct rs_doc_pos pos, struct rs_err *err,
		  const char *what)
{
	const char *braces = find_template(y->text, y->len, y->doc_line);

	if (braces) {
		rs_doc_fail(&y->base.b, pos_at(y->text, (size_t)(braces - y->text)), err, EINVAL,
			    "template text (\"{{\") is not YAML; reading stopped at %d:%d: %s",
			    pos.line, pos.col, what);
		return rs_err_hint(err, "Render it first (helm template) and use the result.");
	}
	return rs_doc_fail(&y->base.b, pos, err, EINVAL, "not YAML: %s", what);
}

static int parser_error(struct yaml_reader *y, struct rs_err *err)
{
	const yaml_parser_t *p = &y->parser;
	const char *problem = p->problem ? p->problem : "unknown fault";
	rs_autofree char *what = NULL;
	struct rs_doc_pos pos;

	if (p->error == YAML_MEMORY_ERROR)
		rs_oom();
	if (p->error == YAML_READER_ERROR) {
		size_t at = p->problem_offset < y->len ? p->problem_offset : y->len;

		pos = pos_at(y->text, at);
	} else {
		pos = pos_of(&p->problem_mark);
	}
	if (p->context && p->context_mark.line + 1 != (size_t)pos.line)
		what = rs_asprintf("%s %s that begins in line %zu", problem, p->context,
				   p->context_mark.line + 1);
	else
		what = rs_asprintf("%s%s%s", problem, p->context ? " " : "",
				   p->context ? p->context : "");
	return syntax(y, pos, err, what);
}

/* ---- anchors --------------------------------------------------------------------------------- */

static struct anchor *note_anchor(struct yaml_reader *y, const yaml_char_t *name,
				  const struct rs_doc_node *node)
{
	const char *key = (const char *)name;
	struct anchor *a;

	if (!name)
		return NULL;
	HASH_FIND_STR(y->anchors, key, a);
	if (!a) {
		a = rs_new(struct anchor);
		a->name = rs_strdup(key);
		HASH_ADD_KEYPTR(hh, y->anchors, a->name, strlen(a->name), a);
	}
	a->node = node;
	a->open = false;
	return a;
}

static void forget_anchors(struct yaml_reader *y)
{
	struct anchor *a, *next;

	HASH_ITER(hh, y->anchors, a, next) {
		HASH_DEL(y->anchors, a);
		free(a->name);
		free(a);
	}
}

static int on_alias(struct yaml_reader *y, const yaml_event_t *e, struct rs_err *err)
{
	const char *name = (const char *)e->data.alias.anchor;
	struct rs_doc_build *b = &y->base.b;
	struct rs_doc_pos pos = pos_of(&e->start_mark);
	struct anchor *a;

	HASH_FIND_STR(y->anchors, name, a);
	if (!a)
		return rs_doc_fail(b, pos, err, EINVAL, "alias *%.64s has no anchor above it",
				   name);
	if (a->open)
		return rs_doc_fail(b, pos, err, EINVAL, "alias *%.64s stands inside its own anchor",
				   name);
	if (rs_doc_wants_key(b))
		return rs_doc_fail(b, pos, err, EINVAL, "an alias cannot be a key");
	return rs_doc_put_again(b, a->node, pos, err);
}

/* ---- scalars --------------------------------------------------------------------------------- */

static bool tag_is(const char *tag, const char *name)
{
	static const char prefix[] = "tag:yaml.org,2002:";

	return !strncmp(tag, prefix, sizeof(prefix) - 1) && !strcmp(tag + sizeof(prefix) - 1, name);
}

/* Give the node its type; -EINVAL when the tag and the text do not fit. */
static int resolve(struct rs_doc_node *node, const char *text, const char *tag, bool plain)
{
	if (!tag && !plain) {
		node->type = RS_DOC_STRING;
		return 0;
	}
	if (tag && (tag_is(tag, "str") || !strcmp(tag, "!"))) {
		node->type = RS_DOC_STRING;
		return 0;
	}
	rs_yaml_resolve(text, node);
	if (!tag)
		return 0;
	if ((tag_is(tag, "int") && node->type == RS_DOC_INT) ||
	    (tag_is(tag, "bool") && node->type == RS_DOC_BOOL) ||
	    (tag_is(tag, "null") && node->type == RS_DOC_NULL))
		return 0;
	if (tag_is(tag, "float") && (node->type == RS_DOC_INT || node->type == RS_DOC_FLOAT)) {
		node->type = RS_DOC_FLOAT;
		return 0;
	}
	return -EINVAL;
}

/* A key is a string; one that only looks like another type would surprise its author. */
static int put_key(struct rs_doc_build *b, const struct rs_doc_node *node, bool plain,
		   struct rs_err *err)
{
	char canonical[24];

	if (plain && !strcmp(node->text, "<<"))
		return rs_doc_fail(b, node->pos, err, EINVAL,
				   "merge keys (<<) are not supported: write the fields out");
	if (node->type == RS_DOC_INT)
		snprintf(canonical, sizeof(canonical), "%lld", (long long)node->integer);
	if (node->type != RS_DOC_STRING &&
	    !(node->type == RS_DOC_INT && !strcmp(canonical, node->text)))
		return rs_doc_fail(b, node->pos, err, EINVAL,
				   "the key %.64s is read as %s: put it in quotes", node->text,
				   rs_doc_type_name(node->type));
	rs_doc_put_key(b, node->text, node->pos);
	return 0;
}

static int on_scalar(struct yaml_reader *y, const yaml_event_t *e, struct rs_err *err)
{
	const char *text = (const char *)e->data.scalar.value;
	const char *tag = (const char *)e->data.scalar.tag;
	bool plain = e->data.scalar.plain_implicit;
	struct rs_doc_pos pos = pos_of(&e->start_mark);
	struct rs_doc_build *b = &y->base.b;
	struct rs_doc_node *node = rs_doc_node(b, RS_DOC_STRING, pos, err);

	if (!node)
		return -E2BIG;
	if (memchr(text, '\0', e->data.scalar.length))
		return rs_doc_fail(b, pos, err, EINVAL, "a string holds a NUL character");
	node->text = rs_doc_strndup(&b->arena, text, e->data.scalar.length);
	if (resolve(node, node->text, tag, plain) < 0)
		return rs_doc_fail(b, pos, err, EINVAL, "the tag %.64s does not fit %.64s", tag,
				   node->text);
	note_anchor(y, e->data.scalar.anchor, node);
	if (rs_doc_wants_key(b))
		return put_key(b, node, !tag && plain, err);
	rs_doc_put(b, node);
	return 0;
}

/* ---- lists and maps -------------------------------------------------------------------------- */

static int on_begin(struct yaml_reader *y, const yaml_event_t *e, struct rs_err *err)
{
	bool map = e->type == YAML_MAPPING_START_EVENT;
	const yaml_char_t *name =
		map ? e->data.mapping_start.anchor : e->data.sequence_start.anchor;
	const char *tag =
		(const char *)(map ? e->data.mapping_start.tag : e->data.sequence_start.tag);
	struct rs_doc_pos pos = pos_of(&e->start_mark);
	struct rs_doc_build *b = &y->base.b;
	struct rs_doc_node *node;
	struct anchor *a;
	int rc;

	if (rs_doc_wants_key(b))
		return syntax(y, pos, err, "a key must be a string");
	if (tag && strcmp(tag, "!") && !tag_is(tag, map ? "map" : "seq"))
		return rs_doc_fail(b, pos, err, EINVAL, "the tag %.64s does not fit %s", tag,
				   map ? "a map" : "a list");
	node = rs_doc_node(b, map ? RS_DOC_MAP : RS_DOC_LIST, pos, err);
	if (!node)
		return -E2BIG;
	rc = rs_doc_begin(b, node, err);
	if (rc < 0)
		return rc;
	a = note_anchor(y, name, node);
	if (a)
		a->open = true;
	y->open_anchors[b->depth - 1] = a;
	return 0;
}

static int on_end(struct yaml_reader *y, struct rs_err *err)
{
	struct rs_doc_build *b = &y->base.b;
	struct anchor *a = y->open_anchors[b->depth - 1];

	/* An inner anchor may have taken the name over. */
	if (a && a->node == b->frames[b->depth - 1].node)
		a->open = false;
	return rs_doc_end(b, err);
}

/* 1 when the event ends the document, 2 when it ends the text. */
static int on_event(struct yaml_reader *y, const yaml_event_t *e, struct rs_err *err)
{
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		y->doc_line = e->start_mark.line;
		return 0;
	case YAML_ALIAS_EVENT:
		return on_alias(y, e, err);
	case YAML_SCALAR_EVENT:
		return on_scalar(y, e, err);
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return on_begin(y, e, err);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return on_end(y, err);
	case YAML_DOCUMENT_END_EVENT:
		return 1;
	case YAML_STREAM_END_EVENT:
		return 2;
	default:
		return 0;
	}
}

/*
 * libyaml compares every %TAG directive with all before it, so a megabyte of them takes minutes.
 * Manifests have none; a line break is what libyaml takes for one (also NEL, LS and PS).
 */
static int check_directives(struct yaml_reader *y, struct rs_err *err)
{
	static const char word[] = "%TAG", breaks[] = "\n\r\x85\xa8\xa9";
	const char *p = y->text, *end = y->text + y->len;
	size_t n = 0;

	for (; p < end && (p = memmem(p, (size_t)(end - p), word, 4)); p += 4) {
		if (p > y->text && !memchr(breaks, p[-1], sizeof(breaks) - 1))
			continue;
		if (++n > MAX_TAG_DIRECTIVES)
			return rs_doc_fail(&y->base.b, pos_at(y->text, (size_t)(p - y->text)), err,
					   E2BIG, "more than %d %%TAG directives",
					   MAX_TAG_DIRECTIVES);
	}
	return 0;
}

static int yaml_next(struct rs_doc_reader *r, struct rs_err *err)
{
	struct yaml_reader *y = yaml_reader(r);
	int rc = 0;

	if (!y->checked && check_directives(y, err) < 0)
		return -E2BIG;
	y->checked = true;
	forget_anchors(y);
	while (!rc) {
		yaml_event_t e;

		if (!yaml_parser_parse(&y->parser, &e))
			return parser_error(y, err);
		rc = on_event(y, &e, err);
		yaml_event_delete(&e);
	}
	return rc == 2 ? 0 : rc;
}

static void yaml_close(struct rs_doc_reader *r)
{
	struct yaml_reader *y = yaml_reader(r);

	forget_anchors(y);
	yaml_parser_delete(&y->parser);
	free(y);
}

void rs_doc_open_yaml(const char *text, size_t len, struct rs_doc_reader **out)
{
	static const struct rs_doc_reader_ops ops = { .next = yaml_next, .close = yaml_close };
	struct yaml_reader *y = rs_new(struct yaml_reader);

	if (!yaml_parser_initialize(&y->parser))
		rs_oom();
	yaml_parser_set_encoding(&y->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&y->parser, (const unsigned char *)text, len);
	y->text = text;
	y->len = len;
	y->base.ops = &ops;
	*out = &y->base;
}
