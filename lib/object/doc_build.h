/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doc_build.h - the inside of the document tree, shared by its front ends: an arena, the builder
 * that holds every budget, and the reader that a front end implements.
 */
#ifndef RIPSTOP_OBJECT_DOC_BUILD_H
#define RIPSTOP_OBJECT_DOC_BUILD_H

#include "object/doc.h"

#include <ripstop/object.h>

/* Memory that is released all at once; one chunk is kept for the next document. */
struct rs_doc_chunk;
struct rs_doc_arena {
	struct rs_doc_chunk *chunks;
};

void *rs_doc_alloc(struct rs_doc_arena *a, size_t n);
char *rs_doc_strndup(struct rs_doc_arena *a, const char *s, size_t n);

struct rs_doc_frame {
	struct rs_doc_node *node;
	struct rs_doc_item *last;
	struct rs_doc_item *open; /* a map's item whose value is yet to come */
};

struct rs_doc_build {
	const char *name;
	bool unique_keys;
	bool keep; /* documents live until the reader is closed */
	struct rs_doc_arena arena;
	struct rs_doc_frame frames[RS_DOC_MAX_DEPTH];
	unsigned int depth;
	const struct rs_doc_node *root;
	/* Of the whole text, so that many small documents cannot evade the budgets. */
	uint64_t nodes;
	uint64_t alias_nodes;
};

struct rs_doc_reader_ops {
	int (*next)(struct rs_doc_reader *r, struct rs_err *err);
	void (*close)(struct rs_doc_reader *r);
};

/* Every front end's reader starts with this member. */
struct rs_doc_reader {
	const struct rs_doc_reader_ops *ops;
	struct rs_doc_build b;
};

/* "name:line:col: message"; 0:0 is left out. Returns -errnum. */
int rs_doc_fail(const struct rs_doc_build *b, struct rs_doc_pos pos, struct rs_err *err, int errnum,
		const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* A node within the budget; NULL with err set when it is used up. */
struct rs_doc_node *rs_doc_node(struct rs_doc_build *b, enum rs_doc_type type,
				struct rs_doc_pos pos, struct rs_err *err);

/* True when the next thing must be a key. */
bool rs_doc_wants_key(const struct rs_doc_build *b);
void rs_doc_put_key(struct rs_doc_build *b, const char *key, struct rs_doc_pos pos);

/* Put a finished scalar where the builder stands. */
void rs_doc_put(struct rs_doc_build *b, const struct rs_doc_node *node);

/* Put a finished node again (an alias), counted with all that it holds. */
int rs_doc_put_again(struct rs_doc_build *b, const struct rs_doc_node *node, struct rs_doc_pos pos,
		     struct rs_err *err);

/* Enter a list or map, which rs_doc_end() leaves. */
int rs_doc_begin(struct rs_doc_build *b, struct rs_doc_node *node, struct rs_err *err);
int rs_doc_end(struct rs_doc_build *b, struct rs_err *err);

void rs_doc_open_yaml(const char *text, size_t len, struct rs_doc_reader **out);
void rs_doc_open_json_text(const char *text, size_t len, struct rs_doc_reader **out);

/* What a plain (unquoted) YAML scalar is, as sigs.k8s.io/yaml reads it; fills type and value. */
void rs_yaml_resolve(const char *text, struct rs_doc_node *node);

#endif
