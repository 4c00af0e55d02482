// SPDX-License-Identifier: Apache-2.0
/* decode_selector.c - a LabelSelector, validated as ValidateLabelSelector does. */
#include "object/decode.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "object/object_free.h"
#include "object/syntax.h"

static int label_value(struct rs_dec *d, const struct rs_at *at, const char **value)
{
	const char *fault;

	if (rs_dec_text(d, at, value) < 0)
		return -EINVAL;
	fault = rs_syntax_label_value(*value);
	return fault ? rs_dec_fail(d, at, "\"%.64s\" %s", *value, fault) : 0;
}

static void one_value(struct rs_requirement *r, const char *value)
{
	r->values = rs_new(char *);
	r->values[0] = rs_strdup(value);
	r->n_values = 1;
}

static int match_labels(struct rs_dec *d, const struct rs_at *map, struct rs_selector *s)
{
	const struct rs_doc_item *item;

	for (item = rs_at_first(map); item; item = item->next) {
		struct rs_at at = rs_at_key(map, item);
		struct rs_requirement *r = &s->reqs[s->n_reqs];
		const char *fault = rs_syntax_label_key(item->key), *value;

		if (fault)
			return rs_dec_fail(d, &at, "the key %s", fault);
		if (label_value(d, &at, &value) < 0)
			return -EINVAL;
		s->n_reqs++;
		r->key = rs_strdup(item->key);
		r->op = RS_OP_IN;
		one_value(r, value);
	}
	return 0;
}

static int operator(struct rs_dec *d, const struct rs_at *expr, enum rs_op *op)
{
	static const char *const names[] = { [RS_OP_IN] = "In",
					     [RS_OP_NOT_IN] = "NotIn",
					     [RS_OP_EXISTS] = "Exists",
					     [RS_OP_NOT_EXISTS] = "DoesNotExist" };
	struct rs_at at = rs_at_field(expr, "operator");
	const char *text;
	size_t i;

	if (!at.node)
		return rs_dec_fail(d, &at, "the operator is missing");
	if (rs_dec_text(d, &at, &text) < 0)
		return -EINVAL;
	for (i = 0; i < RS_ARRAY_SIZE(names); i++) {
		if (!strcmp(text, names[i])) {
			*op = (enum rs_op)i;
			return 0;
		}
	}
	return rs_dec_fail(d, &at, "\"%.64s\" is not an operator (In, NotIn, Exists, DoesNotExist)",
			   text);
}

static int values(struct rs_dec *d, const struct rs_at *expr, struct rs_requirement *r)
{
	bool wants = r->op == RS_OP_IN || r->op == RS_OP_NOT_IN;
	struct rs_at list = rs_at_field(expr, "values");
	const struct rs_doc_item *item;
	size_t n = 0;

	if (rs_dec_type(d, &list, RS_DOC_LIST) < 0)
		return -EINVAL;
	if (wants && !rs_at_count(&list))
		return rs_dec_fail(d, &list, "In and NotIn need at least one value");
	if (!wants && rs_at_count(&list))
		return rs_dec_fail(d, &list, "Exists and DoesNotExist take no values");
	if (wants)
		r->values = rs_new0(char *, rs_at_count(&list));
	for (item = rs_at_first(&list); item; item = item->next) {
		struct rs_at at = rs_at_item(&list, n++, item);
		const char *value;

		if (label_value(d, &at, &value) < 0)
			return -EINVAL;
		r->values[r->n_values++] = rs_strdup(value);
	}
	return 0;
}

static int expression(struct rs_dec *d, const struct rs_at *expr, struct rs_requirement *r)
{
	static const char *const fields[] = { "key", "operator", "values", NULL };
	const char *key, *fault;
	struct rs_at at;

	if (!expr->node)
		return rs_dec_fail(d, expr, "null where an expression is expected");
	if (rs_dec_type(d, expr, RS_DOC_MAP) < 0 || rs_dec_known(d, expr, fields) < 0)
		return -EINVAL;
	at = rs_at_field(expr, "key");
	if (!at.node)
		return rs_dec_fail(d, &at, "the key is missing");
	if (rs_dec_text(d, &at, &key) < 0)
		return -EINVAL;
	fault = rs_syntax_label_key(key);
	if (fault)
		return rs_dec_fail(d, &at, "\"%.64s\" %s", key, fault);
	r->key = rs_strdup(key);
	if (operator(d, expr, &r->op) < 0)
		return -EINVAL;
	return values(d, expr, r);
}

static int match_expressions(struct rs_dec *d, const struct rs_at *list, struct rs_selector *s)
{
	const struct rs_doc_item *item;
	size_t n = 0;

	for (item = rs_at_first(list); item; item = item->next) {
		struct rs_at at = rs_at_item(list, n++, item);

		/* Counted first: what is half made is released with the selector. */
		if (expression(d, &at, &s->reqs[s->n_reqs++]) < 0)
			return -EINVAL;
	}
	return 0;
}

static int selector(struct rs_dec *d, const struct rs_at *at, struct rs_selector *s)
{
	static const char *const fields[] = { "matchLabels", "matchExpressions", NULL };
	struct rs_at labels, expressions;

	if (rs_dec_encoded_fault(d, at) < 0 || rs_dec_type(d, at, RS_DOC_MAP) < 0 ||
	    rs_dec_known(d, at, fields) < 0)
		return -EINVAL;
	labels = rs_at_field(at, "matchLabels");
	expressions = rs_at_field(at, "matchExpressions");
	if (rs_dec_type(d, &labels, RS_DOC_MAP) < 0 ||
	    rs_dec_type(d, &expressions, RS_DOC_LIST) < 0)
		return -EINVAL;
	if (!rs_at_count(&labels) && !rs_at_count(&expressions))
		return 0;
	s->reqs = rs_new0(struct rs_requirement, rs_at_count(&labels) + rs_at_count(&expressions));
	if (match_labels(d, &labels, s) < 0)
		return -EINVAL;
	return match_expressions(d, &expressions, s);
}

int rs_dec_selector(struct rs_dec *d, const struct rs_at *map, const char *field,
		    struct rs_selector *s)
{
	struct rs_at at = rs_at_field(map, field);
	char *why = NULL;
	int rc;

	s->pos = rs_dec_pos(d, &at);
	s->present = at.node != NULL;
	if (!at.node)
		return 0;
	rc = selector(d, &at, s);
	if (rc < 0 && rs_dec_contain(d, rc, &why) == 0) {
		rs_selector_free_in(s);
		s->invalid = true;
		s->why = why;
		return 0;
	}
	return rc;
}
