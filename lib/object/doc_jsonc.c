// SPDX-License-Identifier: Apache-2.0
/* doc_jsonc.c - a json-c object as a document tree, for objects that came over HTTP; see doc.h. */
#include "object/doc_build.h"

#include <errno.h>
#include <string.h>

#include <json-c/json.h>

#include "base/base.h"

struct jsonc_reader {
	struct rs_doc_reader base;
	struct json_object *o;
	bool done;
};

static struct jsonc_reader *jsonc_reader(struct rs_doc_reader *r)
{
	return (struct jsonc_reader *)r;
}

static int add(struct rs_doc_build *b, struct json_object *o, struct rs_err *err);

static int add_list(struct rs_doc_build *b, struct json_object *o, struct rs_err *err)
{
	size_t n = json_object_array_length(o), i;
	int rc = 0;

	for (i = 0; i < n && rc == 0; i++)
		rc = add(b, json_object_array_get_idx(o, i), err);
	return rc < 0 ? rc : rs_doc_end(b, err);
}

static int add_map(struct rs_doc_build *b, struct json_object *o, struct rs_err *err)
{
	struct json_object_iterator i = json_object_iter_begin(o);
	struct json_object_iterator end = json_object_iter_end(o);
	int rc = 0;

	for (; rc == 0 && !json_object_iter_equal(&i, &end); json_object_iter_next(&i)) {
		const char *key = json_object_iter_peek_name(&i);

		rs_doc_put_key(b, rs_doc_strndup(&b->arena, key, strlen(key)),
			       (struct rs_doc_pos){ 0 });
		rc = add(b, json_object_iter_peek_value(&i), err);
	}
	return rc < 0 ? rc : rs_doc_end(b, err);
}

/* A NUL cannot be kept; U+FFFD in its place makes a value that equals no valid one. */
static const char *string(struct rs_doc_build *b, struct json_object *o)
{
	size_t len = (size_t)json_object_get_string_len(o);
	const char *s = json_object_get_string(o);
	rs_auto_strbuf out = { 0 };
	size_t i;

	if (!memchr(s, '\0', len))
		return rs_doc_strndup(&b->arena, s, len);
	for (i = 0; i < len; i++) {
		if (s[i])
			rs_strbuf_putc(&out, s[i]);
		else
			rs_strbuf_puts(&out, "\xef\xbf\xbd");
	}
	return rs_doc_strndup(&b->arena, rs_strbuf_str(&out), out.len);
}

static void scalar(struct rs_doc_build *b, struct rs_doc_node *node, struct json_object *o)
{
	const char *text;

	switch (json_object_get_type(o)) {
	case json_type_boolean:
		node->type = RS_DOC_BOOL;
		node->boolean = json_object_get_boolean(o);
		break;
	case json_type_int:
		/* Above INT64_MAX json-c saturates: no field of ours reaches that far. */
		node->type = RS_DOC_INT;
		node->integer = json_object_get_int64(o);
		break;
	case json_type_double:
		node->type = RS_DOC_FLOAT;
		break;
	case json_type_string:
		node->type = RS_DOC_STRING;
		node->text = string(b, o);
		return;
	default:
		node->type = RS_DOC_NULL;
		break;
	}
	text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
	node->text = rs_doc_strndup(&b->arena, text, strlen(text));
}

/* Recursion ends at RS_DOC_MAX_DEPTH: rs_doc_begin() refuses to go deeper. */
static int add(struct rs_doc_build *b, struct json_object *o, struct rs_err *err)
{
	enum json_type type = json_object_get_type(o);
	struct rs_doc_node *node = rs_doc_node(b, RS_DOC_NULL, (struct rs_doc_pos){ 0 }, err);
	int rc;

	if (!node)
		return -E2BIG;
	if (type != json_type_object && type != json_type_array) {
		scalar(b, node, o);
		rs_doc_put(b, node);
		return 0;
	}
	node->type = type == json_type_object ? RS_DOC_MAP : RS_DOC_LIST;
	rc = rs_doc_begin(b, node, err);
	if (rc < 0)
		return rc;
	return type == json_type_object ? add_map(b, o, err) : add_list(b, o, err);
}

static int jsonc_next(struct rs_doc_reader *r, struct rs_err *err)
{
	struct jsonc_reader *j = jsonc_reader(r);
	int rc;

	if (j->done)
		return 0;
	j->done = true;
	rc = add(&r->b, j->o, err);
	return rc < 0 ? rc : 1;
}

static void jsonc_close(struct rs_doc_reader *r)
{
	free(jsonc_reader(r));
}

void rs_doc_open_json(const char *name, struct json_object *o, struct rs_doc_reader **out)
{
	static const struct rs_doc_reader_ops ops = { .next = jsonc_next, .close = jsonc_close };
	struct jsonc_reader *j = rs_new(struct jsonc_reader);

	j->base.ops = &ops;
	j->base.b.name = name;
	j->o = o;
	*out = &j->base;
}
