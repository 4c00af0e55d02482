/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doc.h - a small immutable document tree with positions: what YAML and JSON texts look like to
 * the decoders. Three front ends fill it through one builder: YAML text (libyaml events), JSON
 * text, and json-c objects. All budgets (depth, nodes, aliases) are held by the builder.
 *
 * Ownership: nodes live in the arena of their reader and are gone at the next document, unless
 * rs_doc_keep() was called.
 */
#ifndef RIPSTOP_OBJECT_DOC_H
#define RIPSTOP_OBJECT_DOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json_types.h>

#include <ripstop/error.h>

enum rs_doc_type {
	RS_DOC_NULL,
	RS_DOC_BOOL,
	RS_DOC_INT,
	RS_DOC_FLOAT, /* every number that is no int64 */
	RS_DOC_STRING,
	RS_DOC_LIST,
	RS_DOC_MAP,
};

/* Where something stands; 0:0 when nobody knows (json-c objects carry no positions). */
struct rs_doc_pos {
	int line;
	int col; /* characters, not bytes */
};

struct rs_doc_node;

/* One member of a list or map; several items may share one value (YAML aliases). */
struct rs_doc_item {
	const struct rs_doc_item *next;
	const char *key;       /* NULL in a list */
	struct rs_doc_pos pos; /* of the key; in a list, of the value */
	const struct rs_doc_node *value;
};

struct rs_doc_node {
	enum rs_doc_type type;
	struct rs_doc_pos pos;
	const char *text; /* scalars: a string's value, else as written */
	union {
		bool boolean;
		int64_t integer;
		const struct rs_doc_item *items; /* first one */
	};
	uint32_t n;	 /* items */
	uint32_t size;	 /* nodes of the subtree with aliases expanded, itself included */
	uint16_t height; /* levels of the subtree: 1 for a scalar */
};

/* The member of that key, NULL when it is absent. */
const struct rs_doc_item *rs_doc_get(const struct rs_doc_node *map, const char *key);

/* "a map", "a string", ... */
const char *rs_doc_type_name(enum rs_doc_type type);

/* ---- reading texts --------------------------------------------------------------------------- */

struct rs_doc_reader;

enum rs_doc_format {
	RS_DOC_YAML,
	RS_DOC_JSON,
};

/*
 * A reader of the documents of one text, both borrowed until close. name is used in errors, which
 * start with "name:line:col: ". unique_keys: a key that a map has twice is an error; without it the
 * last one counts, as in Go.
 */
int rs_doc_open(const char *name, const char *text, size_t len, enum rs_doc_format format,
		bool unique_keys, struct rs_doc_reader **out, struct rs_err *err);

/* The next document: 1, 0 at the end, negative errno. *root lives until the next call. */
int rs_doc_next(struct rs_doc_reader *r, const struct rs_doc_node **root, struct rs_err *err);

/* All documents of this reader live until it is closed. */
void rs_doc_keep(struct rs_doc_reader *r);

/* A reader of one json-c object (borrowed until close); the positions are 0:0. */
void rs_doc_open_json(const char *name, struct json_object *o, struct rs_doc_reader **out);

void rs_doc_close(struct rs_doc_reader *r);

#endif
