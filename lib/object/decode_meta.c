// SPDX-License-Identifier: Apache-2.0
/* decode_meta.c - metadata, which every kind has. */
#include "object/decode.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "object/labels.h"
#include "object/syntax.h"

static int one_label(struct rs_dec *d, const struct rs_at *at, struct rs_label *out)
{
	const char *value = "", *fault;

	/* Go reads null as the empty string; from a file it is more likely a slip. */
	if ((at->node || d->admit == RS_ADMIT_STRICT) && rs_dec_text(d, at, &value) < 0)
		return -EINVAL;
	fault = d->admit == RS_ADMIT_STRICT ? rs_syntax_label_key(at->key) : NULL;
	if (fault)
		return rs_dec_fail(d, at, "the key %s", fault);
	fault = d->admit == RS_ADMIT_STRICT ? rs_syntax_label_value(value) : NULL;
	if (fault)
		return rs_dec_fail(d, at, "\"%.64s\" %s", value, fault);
	out->key = rs_strdup(at->key);
	out->value = rs_strdup(value);
	return 0;
}

int rs_dec_labels(struct rs_dec *d, const struct rs_at *up, const char *field, struct rs_labels *l)
{
	struct rs_at map = rs_at_field(up, field);
	const struct rs_doc_item *item;

	if (rs_dec_type(d, &map, RS_DOC_MAP) < 0)
		return -EINVAL;
	if (!rs_at_count(&map))
		return 0;
	l->v = rs_new0(struct rs_label, map.node->n);
	for (item = rs_at_first(&map); item; item = item->next) {
		struct rs_at at = rs_at_key(&map, item);

		if (one_label(d, &at, &l->v[l->n]) < 0)
			return -EINVAL;
		l->n++;
	}
	rs_labels_sort(l);
	return 0;
}

static int name(struct rs_dec *d, const struct rs_at *meta, bool namespaced, struct rs_meta *m)
{
	struct rs_at at = rs_at_field(meta, "name");
	const char *text, *fault;

	if (!at.node)
		return rs_dec_fail(d, &at, "the name is missing");
	if (rs_dec_text(d, &at, &text) < 0)
		return -EINVAL;
	fault = !namespaced && !strcmp(d->kind, "Namespace") ? rs_syntax_dns_label(text)
							     : rs_syntax_dns_subdomain(text);
	if (fault)
		return rs_dec_fail(d, &at, "\"%.64s\" %s", text, fault);
	d->name = m->name = rs_strdup(text);
	return 0;
}

static int namespace(struct rs_dec *d, const struct rs_at *meta, struct rs_meta *m)
{
	struct rs_at at = rs_at_field(meta, "namespace");
	const char *text = "default", *fault;

	if (d->extras && d->extras->namespace)
		text = d->extras->namespace;
	if (at.node && rs_dec_text(d, &at, &text) < 0)
		return -EINVAL;
	if (!at.node && d->admit == RS_ADMIT_LENIENT)
		return rs_dec_fail(d, &at, "the namespace is missing");
	fault = rs_syntax_dns_label(text);
	if (fault)
		return rs_dec_fail(d, &at, "\"%.64s\" %s", text, fault);
	d->ns = m->ns = rs_strdup(text);
	return 0;
}

static void number(const struct rs_at *meta, const char *field, int64_t *out)
{
	struct rs_at at = rs_at_field(meta, field);

	if (at.node && at.node->type == RS_DOC_INT)
		*out = at.node->integer;
}

/* A misspelled field here moves an object to another namespace or takes its labels away. */
static void warn_unknown(struct rs_dec *d, const struct rs_at *meta)
{
	static const char *const fields[] = { "name",
					      "namespace",
					      "labels",
					      "annotations",
					      "uid",
					      "resourceVersion",
					      "generation",
					      "generateName",
					      "creationTimestamp",
					      "deletionTimestamp",
					      "deletionGracePeriodSeconds",
					      "finalizers",
					      "managedFields",
					      "ownerReferences",
					      "selfLink",
					      NULL };
	const struct rs_doc_item *item;

	if (d->admit != RS_ADMIT_STRICT)
		return;
	for (item = rs_at_first(meta); item; item = item->next) {
		struct rs_at at = *meta;
		const char *near;

		if (rs_dec_listed(item->key, fields))
			continue;
		at.pos = item->pos;
		near = rs_dec_nearest(item->key, fields);
		rs_dec_warn(d, &at, "unknown field \"%.64s\" is ignored%s%s%s", item->key,
			    near ? " (is \"" : "", near ? near : "", near ? "\" meant?)" : "");
	}
}

int rs_dec_meta(struct rs_dec *d, const struct rs_at *root, bool namespaced, struct rs_meta *m)
{
	struct rs_at meta = rs_at_field(root, "metadata");
	const char *uid, *version;

	m->pos = rs_dec_pos(d, root);
	if (rs_dec_type(d, &meta, RS_DOC_MAP) < 0)
		return -EINVAL;
	if (name(d, &meta, namespaced, m) < 0)
		return -EINVAL;
	if (namespaced && namespace(d, &meta, m) < 0)
		return -EINVAL;
	if (rs_dec_string(d, &meta, "uid", &uid) < 0 ||
	    rs_dec_string(d, &meta, "resourceVersion", &version) < 0 ||
	    rs_dec_labels(d, &meta, "labels", &m->labels) < 0)
		return -EINVAL;
	m->uid = rs_strdup(uid);
	m->resource_version = rs_strdup(version);
	number(&meta, "generation", &m->generation);
	m->deleting = rs_at_field(&meta, "deletionTimestamp").node != NULL;
	warn_unknown(d, &meta);
	return 0;
}
