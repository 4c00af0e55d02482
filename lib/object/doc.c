// SPDX-License-Identifier: Apache-2.0
/* doc.c - the document tree and its builder, which holds every budget; see doc.h, doc_build.h. */
#include "object/doc_build.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/base.h"

#define CHUNK_FIRST (16 * RS_KIB)
#define CHUNK_MAX RS_MIB

/* Aliases may make a text ten times as large as it is written, and a little more; then it is a
 * bomb. */
#define ALIAS_FREE 10000
#define ALIAS_RATIO 10

struct rs_doc_chunk {
	struct rs_doc_chunk *next;
	size_t size;
	size_t used;
	_Alignas(16) char mem[];
};

static struct rs_doc_chunk *add_chunk(struct rs_doc_arena *a, size_t n)
{
	size_t size = a->chunks ? a->chunks->size * 2 : CHUNK_FIRST;
	struct rs_doc_chunk *c;

	if (size > CHUNK_MAX)
		size = CHUNK_MAX;
	if (size < n)
		size = n;
	/* Not zeroed: a chunk is large and rs_doc_alloc() clears what it hands out. */
	c = rs_reallocarray(NULL, 1, sizeof(*c) + size);
	*c = (struct rs_doc_chunk){ .next = a->chunks, .size = size };
	a->chunks = c;
	return c;
}

static void *take(struct rs_doc_arena *a, size_t n)
{
	struct rs_doc_chunk *c = a->chunks;
	void *p;

	n = (n + 7) & ~(size_t)7;
	if (!c || c->size - c->used < n)
		c = add_chunk(a, n);
	p = c->mem + c->used;
	c->used += n;
	return p;
}

void *rs_doc_alloc(struct rs_doc_arena *a, size_t n)
{
	return memset(take(a, n), 0, n);
}

char *rs_doc_strndup(struct rs_doc_arena *a, const char *s, size_t n)
{
	char *copy = take(a, n + 1);

	memcpy(copy, s, n);
	copy[n] = '\0';
	return copy;
}

/* Keep the last chunk for the next document unless everything goes. */
static void arena_reset(struct rs_doc_arena *a, bool all)
{
	while (a->chunks && (all || a->chunks->next)) {
		struct rs_doc_chunk *c = a->chunks;

		a->chunks = c->next;
		free(c);
	}
	if (a->chunks)
		a->chunks->used = 0;
}

const struct rs_doc_item *rs_doc_get(const struct rs_doc_node *map, const char *key)
{
	const struct rs_doc_item *i;

	if (map->type != RS_DOC_MAP)
		return NULL;
	for (i = map->items; i && strcmp(i->key, key); i = i->next)
		;
	return i;
}

const char *rs_doc_type_name(enum rs_doc_type type)
{
	static const char *const names[] = {
		[RS_DOC_NULL] = "null",	      [RS_DOC_BOOL] = "a bool",
		[RS_DOC_INT] = "a number",    [RS_DOC_FLOAT] = "a number",
		[RS_DOC_STRING] = "a string", [RS_DOC_LIST] = "a list",
		[RS_DOC_MAP] = "a map",
	};

	return names[type];
}

int rs_doc_fail(const struct rs_doc_build *b, struct rs_doc_pos pos, struct rs_err *err, int errnum,
		const char *fmt, ...)
{
	rs_autofree char *msg = NULL;
	rs_auto_strbuf line = { 0 };
	va_list ap;

	va_start(ap, fmt);
	msg = rs_vasprintf(fmt, ap);
	va_end(ap);
	rs_strbuf_puts_safe(&line, b->name);
	if (pos.line)
		rs_strbuf_printf(&line, ":%d:%d", pos.line, pos.col);
	rs_strbuf_puts(&line, ": ");
	rs_strbuf_puts_safe(&line, msg);
	return rs_err_set(err, errnum, "%s", rs_strbuf_str(&line));
}

/* ---- building -------------------------------------------------------------------------------- */

static int count_nodes(struct rs_doc_build *b, uint64_t n, struct rs_doc_pos pos,
		       struct rs_err *err)
{
	b->nodes += n;
	if (b->nodes + b->alias_nodes > RS_DOC_MAX_NODES)
		return rs_doc_fail(b, pos, err, E2BIG, "too many nodes: more than %lu in one text",
				   RS_DOC_MAX_NODES);
	return 0;
}

struct rs_doc_node *rs_doc_node(struct rs_doc_build *b, enum rs_doc_type type,
				struct rs_doc_pos pos, struct rs_err *err)
{
	struct rs_doc_node *node;

	if (count_nodes(b, 1, pos, err) < 0)
		return NULL;
	node = rs_doc_alloc(&b->arena, sizeof(*node));
	node->type = type;
	node->pos = pos;
	node->size = 1;
	node->height = 1;
	return node;
}

bool rs_doc_wants_key(const struct rs_doc_build *b)
{
	const struct rs_doc_frame *f = b->depth ? &b->frames[b->depth - 1] : NULL;

	return f && f->node->type == RS_DOC_MAP && !f->open;
}

static struct rs_doc_item *add_item(struct rs_doc_build *b, struct rs_doc_frame *f)
{
	struct rs_doc_item *item = rs_doc_alloc(&b->arena, sizeof(*item));

	if (f->last)
		f->last->next = item;
	else
		f->node->items = item;
	f->last = item;
	f->node->n++;
	return item;
}

void rs_doc_put_key(struct rs_doc_build *b, const char *key, struct rs_doc_pos pos)
{
	struct rs_doc_frame *f = &b->frames[b->depth - 1];

	f->open = add_item(b, f);
	f->open->key = key;
	f->open->pos = pos;
}

/* Fill the slot that waits for a value. The frame's own size and height follow in account(). */
static void attach(struct rs_doc_build *b, const struct rs_doc_node *node)
{
	struct rs_doc_frame *f;
	struct rs_doc_item *item;

	if (!b->depth) {
		b->root = node;
		return;
	}
	f = &b->frames[b->depth - 1];
	item = f->open;
	if (!item) {
		item = add_item(b, f);
		item->pos = node->pos;
	}
	item->value = node;
	f->open = NULL;
}

/* A finished child counts in the node that holds it. No overflow: both are within the budgets. */
static void account(struct rs_doc_build *b, const struct rs_doc_node *node)
{
	struct rs_doc_node *parent;

	if (!b->depth)
		return;
	parent = b->frames[b->depth - 1].node;
	parent->size += node->size;
	if (parent->height < node->height + 1)
		parent->height = (uint16_t)(node->height + 1);
}

void rs_doc_put(struct rs_doc_build *b, const struct rs_doc_node *node)
{
	attach(b, node);
	account(b, node);
}

static int too_deep(const struct rs_doc_build *b, struct rs_doc_pos pos, struct rs_err *err)
{
	return rs_doc_fail(b, pos, err, E2BIG, "nested more than %d levels deep", RS_DOC_MAX_DEPTH);
}

int rs_doc_put_again(struct rs_doc_build *b, const struct rs_doc_node *node, struct rs_doc_pos pos,
		     struct rs_err *err)
{
	if (b->depth + node->height - 1u > RS_DOC_MAX_DEPTH)
		return too_deep(b, pos, err);
	b->alias_nodes += node->size;
	if (b->alias_nodes > ALIAS_FREE + ALIAS_RATIO * b->nodes)
		return rs_doc_fail(b, pos, err, E2BIG,
				   "too many nodes: aliases expand this text beyond measure");
	if (count_nodes(b, 0, pos, err) < 0)
		return -E2BIG;
	rs_doc_put(b, node);
	return 0;
}

int rs_doc_begin(struct rs_doc_build *b, struct rs_doc_node *node, struct rs_err *err)
{
	if (b->depth == RS_DOC_MAX_DEPTH)
		return too_deep(b, node->pos, err);
	attach(b, node);
	b->frames[b->depth++] = (struct rs_doc_frame){ .node = node };
	return 0;
}

static int by_key(const void *a, const void *b)
{
	const struct rs_doc_item *x = *(const struct rs_doc_item *const *)a;
	const struct rs_doc_item *y = *(const struct rs_doc_item *const *)b;
	int d = strcmp(x->key, y->key);

	if (d)
		return d;
	if (x->pos.line != y->pos.line)
		return x->pos.line < y->pos.line ? -1 : 1;
	return (x->pos.col > y->pos.col) - (x->pos.col < y->pos.col);
}

/* Take out the items whose value was cleared. */
static void drop_cleared(struct rs_doc_node *map)
{
	struct rs_doc_item *i, *next, *last = NULL;

	map->n = 0;
	for (i = (struct rs_doc_item *)(uintptr_t)map->items; i; i = next) {
		next = (struct rs_doc_item *)(uintptr_t)i->next;
		if (!i->value)
			continue;
		if (last)
			last->next = i;
		else
			map->items = i;
		last = i;
		map->n++;
	}
	if (last)
		last->next = NULL;
}

/*
 * A key that stands twice is an error, or the last one counts (as in Go). Sorted, because a hostile
 * map may have a million keys.
 */
static int make_unique(const struct rs_doc_build *b, struct rs_doc_node *map, struct rs_err *err)
{
	struct rs_doc_item *few[32], **all = few, *i;
	rs_autofree struct rs_doc_item **many = NULL;
	size_t n = 0, k;
	bool cleared = false;

	if (map->n > RS_ARRAY_SIZE(few))
		all = many = rs_calloc(map->n, sizeof(*many));
	for (i = (struct rs_doc_item *)(uintptr_t)map->items; i;
	     i = (struct rs_doc_item *)(uintptr_t)i->next)
		all[n++] = i;
	qsort(all, n, sizeof(*all), by_key);
	for (k = 1; k < n; k++) {
		if (strcmp(all[k - 1]->key, all[k]->key))
			continue;
		if (b->unique_keys)
			return rs_doc_fail(b, all[k]->pos, err, EINVAL,
					   "\"%.64s\" is given twice, first in line %d",
					   all[k]->key, all[k - 1]->pos.line);
		all[k - 1]->value = NULL;
		cleared = true;
	}
	if (cleared)
		drop_cleared(map);
	return 0;
}

int rs_doc_end(struct rs_doc_build *b, struct rs_err *err)
{
	struct rs_doc_node *node = b->frames[--b->depth].node;

	account(b, node);
	if (node->type == RS_DOC_MAP && node->n > 1)
		return make_unique(b, node, err);
	return 0;
}

/* ---- readers --------------------------------------------------------------------------------- */

int rs_doc_open(const char *name, const char *text, size_t len, enum rs_doc_format format,
		bool unique_keys, struct rs_doc_reader **out, struct rs_err *err)
{
	static const char protobuf[] = { 'k', '8', 's', '\0' };
	const struct rs_doc_build b = { .name = name };

	if (len > RS_DOC_MAX_BYTES)
		return rs_doc_fail(&b, (struct rs_doc_pos){ 0 }, err, EFBIG,
				   "%zu bytes are more than a text may have (%lu)", len,
				   RS_DOC_MAX_BYTES);
	/* what an API server sends to those who do not ask for JSON */
	if (len >= sizeof(protobuf) && !memcmp(text, protobuf, sizeof(protobuf)))
		return rs_doc_fail(&b, (struct rs_doc_pos){ 1, 1 }, err, EINVAL,
				   "this is protobuf: ask for application/json");
	if (format == RS_DOC_JSON)
		rs_doc_open_json_text(text, len, out);
	else
		rs_doc_open_yaml(text, len, out);
	(*out)->b.name = name;
	(*out)->b.unique_keys = unique_keys;
	return 0;
}

int rs_doc_next(struct rs_doc_reader *r, const struct rs_doc_node **root, struct rs_err *err)
{
	int rc;

	if (!r->b.keep)
		arena_reset(&r->b.arena, false);
	r->b.depth = 0;
	r->b.root = NULL;
	rc = r->ops->next(r, err);
	*root = rc > 0 ? r->b.root : NULL;
	return rc;
}

void rs_doc_keep(struct rs_doc_reader *r)
{
	r->b.keep = true;
}

void rs_doc_close(struct rs_doc_reader *r)
{
	if (!r)
		return;
	arena_reset(&r->b.arena, true);
	r->ops->close(r);
}
