// SPDX-License-Identifier: Apache-2.0
/* decode_walk.c - faults with their path, and typed access to fields; see decode.h. */
#include "object/decode.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "object/encode.h"

/* ---- faults ---------------------------------------------------------------------------------- */

/* Paths are as deep as documents: RS_DOC_MAX_DEPTH bounds the recursion. */
static void put_path(struct rs_strbuf *b, const struct rs_at *at)
{
	if (!at || !at->up)
		return;
	put_path(b, at->up);
	if (at->field) {
		if (b->len)
			rs_strbuf_putc(b, '.');
		rs_strbuf_puts(b, at->field);
	} else if (at->key) {
		rs_strbuf_printf(b, "[%.128s]", at->key);
	} else {
		rs_strbuf_printf(b, "[%zu]", at->index);
	}
}

static bool is_template(const struct rs_at *at)
{
	return at->node && at->node->type == RS_DOC_STRING && strstr(at->node->text, "{{");
}

int rs_dec_fail(struct rs_dec *d, const struct rs_at *at, const char *fmt, ...)
{
	rs_auto_strbuf b = { 0 };
	va_list ap;

	put_path(&b, at);
	if (b.len)
		rs_strbuf_puts(&b, ": ");
	if (is_template(at)) {
		rs_strbuf_printf(&b, "\"%.64s\" is template text: render it first (helm template)",
				 at->node->text);
	} else {
		va_start(ap, fmt);
		rs_strbuf_vprintf(&b, fmt, ap);
		va_end(ap);
	}
	free(d->fault);
	d->fault = rs_strbuf_steal(&b);
	d->fault_pos = at->pos;
	return -EINVAL;
}

int rs_dec_encoded_fault(struct rs_dec *d, const struct rs_at *at)
{
	const char *why = NULL;

	if (!d->encoded || !at->node || at->node->type != RS_DOC_MAP)
		return 0;
	if (rs_dec_string(d, at, RS_ENCODED_FAULT, &why) < 0)
		return -EINVAL;
	if (!why)
		return 0;
	/* The words are those of the first reading, path and all. */
	free(d->fault);
	d->fault = rs_strdup(why);
	d->fault_pos = at->pos;
	return -EINVAL;
}

static void put_where(struct rs_strbuf *b, const struct rs_dec *d, struct rs_doc_pos pos)
{
	if (d->file)
		rs_strbuf_printf(b, "%s:", d->file);
	if (d->file && pos.line)
		rs_strbuf_printf(b, "%d:%d:", pos.line, pos.col);
	if (d->file)
		rs_strbuf_putc(b, ' ');
	rs_strbuf_puts(b, d->kind);
	if (d->name && d->ns)
		rs_strbuf_printf(b, " %s/%s", d->ns, d->name);
	else if (d->name)
		rs_strbuf_printf(b, " %s", d->name);
	rs_strbuf_puts(b, ": ");
}

int rs_dec_contain(struct rs_dec *d, int rc, char **why)
{
	if (rc >= 0 || d->admit == RS_ADMIT_STRICT)
		return rc;
	if (why) {
		free(*why);
		*why = rs_steal_ptr(&d->fault);
	} else {
		rs_auto_strbuf b = { 0 };

		put_where(&b, d, d->fault_pos);
		rs_strbuf_puts(&b, d->fault);
		rs_store_warn(d->store, "%s", rs_strbuf_str(&b));
	}
	free(rs_steal_ptr(&d->fault));
	return 0;
}

void rs_dec_warn(struct rs_dec *d, const struct rs_at *at, const char *fmt, ...)
{
	rs_auto_strbuf b = { 0 };
	size_t start;
	va_list ap;

	put_where(&b, d, at->pos);
	start = b.len;
	{
		rs_auto_strbuf path = { 0 };

		put_path(&path, at);
		rs_strbuf_puts(&b, rs_strbuf_str(&path));
	}
	if (b.len > start)
		rs_strbuf_puts(&b, ": ");
	va_start(ap, fmt);
	rs_strbuf_vprintf(&b, fmt, ap);
	va_end(ap);
	rs_store_warn(d->store, "%s", rs_strbuf_str(&b));
}

struct rs_pos rs_dec_pos(const struct rs_dec *d, const struct rs_at *at)
{
	return (struct rs_pos){ .file = d->file, .line = at->pos.line, .col = at->pos.col };
}

/* ---- walking --------------------------------------------------------------------------------- */

static const struct rs_doc_node *not_null(const struct rs_doc_node *node)
{
	return node->type == RS_DOC_NULL ? NULL : node;
}

struct rs_at rs_at_field(const struct rs_at *map, const char *field)
{
	const struct rs_doc_item *item = map->node ? rs_doc_get(map->node, field) : NULL;
	struct rs_at at = { .up = map, .field = field, .pos = map->pos };

	if (item) {
		at.node = not_null(item->value);
		at.pos = item->value->pos;
	}
	return at;
}

struct rs_at rs_at_item(const struct rs_at *list, size_t index, const struct rs_doc_item *item)
{
	return (struct rs_at){
		.up = list, .index = index, .node = not_null(item->value), .pos = item->value->pos
	};
}

struct rs_at rs_at_key(const struct rs_at *map, const struct rs_doc_item *item)
{
	return (struct rs_at){
		.up = map, .key = item->key, .node = not_null(item->value), .pos = item->value->pos
	};
}

static bool is_scalar(const struct rs_doc_node *node)
{
	return node->type != RS_DOC_LIST && node->type != RS_DOC_MAP;
}

int rs_dec_type(struct rs_dec *d, const struct rs_at *at, enum rs_doc_type type)
{
	const struct rs_doc_node *node = at->node;

	if (!node || node->type == type)
		return 0;
	if (type == RS_DOC_STRING && is_scalar(node))
		return rs_dec_fail(d, at, "%.64s is read as %s: put it in quotes", node->text,
				   rs_doc_type_name(node->type));
	if (is_scalar(node))
		return rs_dec_fail(d, at, "\"%.64s\" is %s where %s is expected", node->text,
				   rs_doc_type_name(node->type), rs_doc_type_name(type));
	return rs_dec_fail(d, at, "%s where %s is expected", rs_doc_type_name(node->type),
			   rs_doc_type_name(type));
}

int rs_dec_text(struct rs_dec *d, const struct rs_at *at, const char **out)
{
	if (!at->node)
		return rs_dec_fail(d, at, "null where a string is expected (an empty one is \"\")");
	if (rs_dec_type(d, at, RS_DOC_STRING) < 0)
		return -EINVAL;
	*out = at->node->text;
	return 0;
}

int rs_dec_string(struct rs_dec *d, const struct rs_at *map, const char *field, const char **out)
{
	struct rs_at at = rs_at_field(map, field);

	*out = NULL;
	return at.node ? rs_dec_text(d, &at, out) : 0;
}

int rs_dec_bool(struct rs_dec *d, const struct rs_at *map, const char *field, bool *out)
{
	struct rs_at at = rs_at_field(map, field);

	*out = false;
	if (rs_dec_type(d, &at, RS_DOC_BOOL) < 0)
		return -EINVAL;
	if (at.node)
		*out = at.node->boolean;
	return 0;
}

/* ---- unknown fields -------------------------------------------------------------------------- */

static unsigned int min3(unsigned int a, unsigned int b, unsigned int c)
{
	if (b < a)
		a = b;
	return c < a ? c : a;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* Edits (Levenshtein, case not counted) from a to b; both at most 31 bytes long. */
static unsigned int edits(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b), i, k;
	unsigned int row[32];

	for (k = 0; k <= m; k++)
		row[k] = (unsigned int)k;
	for (i = 1; i <= n; i++) {
		unsigned int diagonal = row[0];

		row[0] = (unsigned int)i;
		for (k = 1; k <= m; k++) {
			unsigned int up = row[k];

			row[k] = min3(up + 1, row[k - 1] + 1,
				      diagonal + (lower(a[i - 1]) != lower(b[k - 1])));
			diagonal = up;
		}
	}
	return row[m];
}

const char *rs_dec_nearest(const char *word, const char *const *names)
{
	const char *best = NULL;
	unsigned int least = 4;

	if (strlen(word) > 31)
		return NULL;
	for (; *names; names++) {
		unsigned int n = edits(word, *names);

		if (n < least && n < strlen(*names) / 2 + 1) {
			least = n;
			best = *names;
		}
	}
	return best;
}

bool rs_dec_listed(const char *word, const char *const *names)
{
	for (; *names; names++)
		if (!strcmp(word, *names))
			return true;
	return false;
}

int rs_dec_known(struct rs_dec *d, const struct rs_at *map, const char *const *names)
{
	const struct rs_doc_item *item;

	if (d->admit != RS_ADMIT_STRICT)
		return 0;
	for (item = rs_at_first(map); item; item = item->next) {
		struct rs_at at = *map;
		const char *near;

		if (rs_dec_listed(item->key, names))
			continue;
		at.pos = item->pos;
		near = rs_dec_nearest(item->key, names);
		return rs_dec_fail(d, &at, "unknown field \"%.64s\"%s%s%s", item->key,
				   near ? " (is \"" : "", near ? near : "",
				   near ? "\" meant?)" : "");
	}
	return 0;
}

/* ---- ports ----------------------------------------------------------------------------------- */

int rs_dec_proto(struct rs_dec *d, const struct rs_at *map, uint8_t *proto)
{
	struct rs_at at = rs_at_field(map, "protocol");
	const char *text = "TCP";

	if (at.node && rs_dec_text(d, &at, &text) < 0)
		return -EINVAL;
	if (!strcmp(text, "TCP"))
		*proto = RS_PROTO_TCP;
	else if (!strcmp(text, "UDP"))
		*proto = RS_PROTO_UDP;
	else if (!strcmp(text, "SCTP"))
		*proto = RS_PROTO_SCTP;
	else
		return rs_dec_fail(d, &at, "\"%.64s\" is not a protocol (TCP, UDP, SCTP)", text);
	return 0;
}

int rs_dec_port(struct rs_dec *d, const struct rs_at *at, uint16_t *port)
{
	const struct rs_doc_node *node = at->node;

	if (!node)
		return rs_dec_fail(d, at, "a port number is missing");
	if (node->type == RS_DOC_FLOAT)
		return rs_dec_fail(d, at, "%.64s is not a whole number", node->text);
	if (rs_dec_type(d, at, RS_DOC_INT) < 0)
		return -EINVAL;
	if (node->integer < 1 || node->integer > 65535)
		return rs_dec_fail(d, at, "%.64s is not a port (1..65535)", node->text);
	*port = (uint16_t)node->integer;
	return 0;
}
