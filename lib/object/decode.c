// SPDX-License-Identifier: Apache-2.0
/* decode.c - from texts to objects in a store: documents, lists, kinds; see decode.h. */
#include "object/decode.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "object/object_encode.h"
#include "object/store.h"

RS_DEFINE_CLEANUP(cleanup_reader, struct rs_doc_reader *, rs_doc_close)

/* The error of a refused text: "file:line:col: Kind ns/name: path: what". */
static int refuse(struct rs_dec *d, struct rs_err *err)
{
	rs_autofree char *fault = rs_steal_ptr(&d->fault);
	rs_auto_strbuf b = { 0 };

	rs_strbuf_puts_safe(&b, d->label);
	if (d->fault_pos.line)
		rs_strbuf_printf(&b, ":%d:%d", d->fault_pos.line, d->fault_pos.col);
	rs_strbuf_puts(&b, ": ");
	if (d->kind)
		rs_strbuf_puts_safe(&b, d->kind);
	if (d->name) {
		rs_strbuf_putc(&b, ' ');
		if (d->ns) {
			rs_strbuf_puts_safe(&b, d->ns);
			rs_strbuf_putc(&b, '/');
		}
		rs_strbuf_puts_safe(&b, d->name);
	}
	if (d->kind)
		rs_strbuf_puts(&b, ": ");
	rs_strbuf_puts_safe(&b, fault ? fault : "refused");
	return rs_err_set(err, EINVAL, "%s", rs_strbuf_str(&b));
}

/* ---- one object of a kind that is read ------------------------------------------------------- */

static void *object_new(enum rs_kind kind)
{
	static const size_t sizes[RS_KINDS] = {
		[RS_KIND_NAMESPACE] = sizeof(struct rs_namespace),
		[RS_KIND_POD] = sizeof(struct rs_pod),
		[RS_KIND_POLICY] = sizeof(struct rs_policy),
		[RS_KIND_NODE] = sizeof(struct rs_node),
	};

	return rs_calloc(1, sizes[kind]);
}

static int decode_kind(struct rs_dec *d, enum rs_kind kind, const struct rs_at *root, void *o)
{
	switch (kind) {
	case RS_KIND_NAMESPACE:
		return rs_dec_namespace(d, root, o);
	case RS_KIND_POD:
		return rs_dec_pod(d, root, o);
	case RS_KIND_POLICY:
		return rs_dec_policy(d, root, o);
	default:
		return rs_dec_node(d, root, o);
	}
}

/* Two of one name in a folder: which one counts would depend on the names of the files. */
static int check_twice(struct rs_dec *d, enum rs_kind kind, const struct rs_at *root)
{
	const struct rs_meta *first;

	if (d->admit != RS_ADMIT_STRICT)
		return 0;
	first = rs_store_find(d->store, kind, d->ns, d->name);
	if (!first)
		return 0;
	return rs_dec_fail(d, root, "defined twice, first at %s:%d:%d",
			   first->pos.file ? first->pos.file : "-", first->pos.line,
			   first->pos.col);
}

static int decode_object(struct rs_dec *d, enum rs_kind kind, const struct rs_at *root,
			 struct rs_err *err)
{
	void *o = object_new(kind);
	int rc;

	d->kind = rs_kind_name(kind);
	d->ns = d->name = NULL;
	rc = decode_kind(d, kind, root, o);
	if (rc == 0)
		rc = check_twice(d, kind, root);
	if (rc == 0) {
		d->ns = d->name = NULL;
		rs_store_put(d->store, kind, o);
		return 0;
	}
	/* The message names the object, so it is made while there is one. */
	rc = rs_dec_contain(d, rc, NULL);
	if (rc < 0)
		rc = refuse(d, err);
	d->ns = d->name = NULL;
	rs_object_free(kind, o);
	return rc;
}

/* ---- one object beside the four -------------------------------------------------------------- */

static int decode_extra(struct rs_dec *d, const struct rs_extra_kind *k, const struct rs_at *root,
			struct rs_err *err)
{
	bool keep;
	int rc;

	d->kind = k->name;
	d->ns = d->name = NULL;
	rc = rs_dec_extra(d, k, root);
	keep = rc == 0;
	if (rc < 0)
		rc = rs_dec_contain(d, rc, NULL) < 0 ? refuse(d, err) : 0;
	rs_extras_settle(d->extras, k, keep);
	d->ns = d->name = NULL;
	return rc;
}

static void skip(struct rs_dec *d, const char *kind, const char *api_version)
{
	if (d->extras)
		rs_extras_skip(d->extras, kind);
	else
		rs_store_skip(d->store, kind, api_version);
}

/* ---- which kind it is ------------------------------------------------------------------------ */

static const char *group_version(enum rs_kind kind)
{
	return kind == RS_KIND_POLICY ? "networking.k8s.io/v1" : "v1";
}

/* Groups whose kinds of our names mean what ours mean, in some version. */
static bool our_group(enum rs_kind kind, const char *api_version)
{
	if (kind != RS_KIND_POLICY)
		return !strchr(api_version, '/');
	return !strncmp(api_version, "networking.k8s.io/", 18) ||
	       !strncmp(api_version, "extensions/", 11) || !strchr(api_version, '/');
}

/* Skipped in silence, a slip of the pen would be a policy that is not in force. */
static int check_spelling(struct rs_dec *d, const struct rs_at *root, const char *kind,
			  const char *api_version, const char *ours, const char *version)
{
	struct rs_at at = rs_at_field(root, "kind");

	if (strcmp(kind, ours))
		return rs_dec_fail(d, &at, "kind is written \"%s\", not \"%.64s\"", ours, kind);
	at = rs_at_field(root, "apiVersion");
	if (strcmp(api_version, version))
		return rs_dec_fail(d, &at, "\"%.64s\" is not the apiVersion of a %s (%s)",
				   api_version, ours, version);
	return 1;
}

/* 1: one of the four; 0: another; negative: a fault. */
static int classify(struct rs_dec *d, const struct rs_at *root, const char *kind,
		    const char *api_version, enum rs_kind *out)
{
	int k;

	for (k = 0; k < RS_KINDS; k++) {
		const char *ours = rs_kind_name((enum rs_kind)k);

		if (strcasecmp(kind, ours))
			continue;
		if (!our_group((enum rs_kind)k, api_version))
			return 0;
		*out = (enum rs_kind)k;
		return check_spelling(d, root, kind, api_version, ours,
				      group_version((enum rs_kind)k));
	}
	return 0;
}

static bool in_group(const struct rs_extra_kind *k, const char *api_version)
{
	if (!*k->group)
		return !strchr(api_version, '/');
	return !strncmp(api_version, k->group, strlen(k->group));
}

/* The same for the kinds beside the four, which count only where somebody wants them. */
static int classify_extra(struct rs_dec *d, const struct rs_at *root, const char *kind,
			  const char *api_version, const struct rs_extra_kind **out)
{
	const struct rs_extra_kind *k;

	for (k = rs_extra_kinds; d->extras && k->name; k++) {
		if (strcasecmp(kind, k->name) || !in_group(k, api_version))
			continue;
		*out = k;
		return check_spelling(d, root, kind, api_version, k->name, k->version);
	}
	return 0;
}

/* What the items of a list are when they do not say so themselves, as in an answer of the API. */
struct inherited {
	const char *kind;
	const char *api_version;
};

static int decode_root(struct rs_dec *d, const struct rs_at *root, const struct inherited *from,
		       struct rs_err *err);

static bool is_list_of(const char *kind, const char *ours)
{
	size_t len = strlen(ours);

	return !strncmp(kind, ours, len) && !strcmp(kind + len, "List");
}

/* A list of kinds that are read, or of mixed ones; other lists are skipped whole. */
static bool wanted_list(const struct rs_dec *d, const char *kind)
{
	const struct rs_extra_kind *x;
	int k;

	if (!strcmp(kind, "List"))
		return true;
	for (k = 0; k < RS_KINDS; k++)
		if (is_list_of(kind, rs_kind_name((enum rs_kind)k)))
			return true;
	for (x = rs_extra_kinds; d->extras && x->name; x++)
		if (is_list_of(kind, x->name))
			return true;
	return false;
}

/* Lists in lists go no deeper than documents do. */
static int decode_list(struct rs_dec *d, const struct rs_at *root, const char *kind,
		       const char *api_version, struct rs_err *err)
{
	struct rs_at items = rs_at_field(root, "items");
	rs_autofree char *of = rs_strndup(kind, strlen(kind) - 4);
	struct inherited from = { .kind = *of ? of : NULL,
				  .api_version = *of ? api_version : NULL };
	const struct rs_doc_item *item;
	size_t n = 0;
	int rc = 0;

	d->kind = kind;
	d->ns = d->name = NULL;
	if (rs_dec_type(d, &items, RS_DOC_LIST) < 0)
		return rs_dec_contain(d, -EINVAL, NULL) < 0 ? refuse(d, err) : 0;
	if (!items.node)
		return 0;
	for (item = items.node->items; item && rc == 0; item = item->next) {
		/* Paths begin at the object, not at the list around it. */
		struct rs_at at = rs_at_item(NULL, n++, item);

		rc = decode_root(d, &at, &from, err);
	}
	return rc;
}

/* kind and apiVersion of a document; a fault when it is no object at all. */
static int header(struct rs_dec *d, const struct rs_at *root, const struct inherited *from,
		  const char **kind, const char **api_version)
{
	if (!root->node || root->node->type != RS_DOC_MAP)
		return rs_dec_fail(d, root, "a Kubernetes object is expected here, not %s",
				   root->node ? rs_doc_type_name(root->node->type) : "null");
	if (rs_dec_string(d, root, "kind", kind) < 0 ||
	    rs_dec_string(d, root, "apiVersion", api_version) < 0)
		return -EINVAL;
	if (!*kind)
		*kind = from->kind;
	if (!*api_version)
		*api_version = from->api_version;
	if (!*kind || !**kind)
		return rs_dec_fail(d, root, "not a Kubernetes object: it has no kind");
	if (!*api_version)
		return rs_dec_fail(d, root, "not a Kubernetes object: it has no apiVersion");
	return 0;
}

static int decode_root(struct rs_dec *d, const struct rs_at *root, const struct inherited *from,
		       struct rs_err *err)
{
	const char *kind = NULL, *api_version = NULL;
	const struct rs_extra_kind *extra = NULL;
	enum rs_kind ours = RS_KINDS;
	int rc;

	d->kind = "document";
	d->ns = d->name = NULL;
	rc = header(d, root, from, &kind, &api_version);
	if (rc == 0 && wanted_list(d, kind))
		return decode_list(d, root, kind, api_version, err);
	if (rc == 0)
		rc = classify(d, root, kind, api_version, &ours);
	if (rc == 0)
		rc = classify_extra(d, root, kind, api_version, &extra);
	if (rc < 0)
		return rs_dec_contain(d, rc, NULL) < 0 ? refuse(d, err) : 0;
	if (rc > 0)
		return extra ? decode_extra(d, extra, root, err)
			     : decode_object(d, ours, root, err);
	skip(d, kind, api_version);
	return 0;
}

/* ---- texts ----------------------------------------------------------------------------------- */

static int decode_document(struct rs_dec *d, const struct rs_doc_node *node, struct rs_err *err)
{
	static const struct inherited nothing;
	struct rs_at root = { .node = node, .pos = node->pos };

	/* Nothing but comments between two "---". */
	if (node->type == RS_DOC_NULL)
		return 0;
	return decode_root(d, &root, &nothing, err);
}

static int decode_documents(struct rs_dec *d, struct rs_doc_reader *r, struct rs_err *err)
{
	const struct rs_doc_node *node;
	int rc;

	while ((rc = rs_doc_next(r, &node, err)) > 0) {
		rc = decode_document(d, node, err);
		if (rc < 0)
			return rc;
	}
	return rc;
}

int rs_decode_doc(struct rs_store *s, struct rs_extras *x, const char *file,
		  const struct rs_doc_node *doc, enum rs_admit admit, struct rs_err *err)
{
	struct rs_dec d = { .store = s, .extras = x, .label = file, .admit = admit };

	d.file = rs_store_file(s, file);
	return decode_document(&d, doc, err);
}

int rs_decode_text_with(struct rs_store *s, struct rs_extras *x, const char *file, const char *text,
			size_t len, bool json, enum rs_admit admit, struct rs_err *err)
{
	rs_cleanup(cleanup_reader) struct rs_doc_reader *r = NULL;
	struct rs_dec d = { .store = s, .extras = x, .label = file, .admit = admit };
	int rc = rs_doc_open(file, text, len, json ? RS_DOC_JSON : RS_DOC_YAML,
			     admit == RS_ADMIT_STRICT, &r, err);

	d.file = rs_store_file(s, file);
	return rc < 0 ? rc : decode_documents(&d, r, err);
}

int rs_decode_text(struct rs_store *s, const char *file, const char *text, size_t len, bool json,
		   enum rs_admit admit, struct rs_err *err)
{
	return rs_decode_text_with(s, NULL, file, text, len, json, admit, err);
}

int rs_decode_json_with(struct rs_store *s, struct rs_extras *x, const char *name,
			struct json_object *o, enum rs_admit admit, struct rs_err *err)
{
	rs_cleanup(cleanup_reader) struct rs_doc_reader *r = NULL;
	struct rs_dec d = { .store = s, .extras = x, .label = name, .admit = admit };

	rs_doc_open_json(name, o, &r);
	return decode_documents(&d, r, err);
}

int rs_decode_encoded(struct rs_store *s, const char *name, struct json_object *o,
		      struct rs_err *err)
{
	rs_cleanup(cleanup_reader) struct rs_doc_reader *r = NULL;
	struct rs_dec d = { .store = s, .label = name, .admit = RS_ADMIT_LENIENT, .encoded = true };

	rs_doc_open_json(name, o, &r);
	return decode_documents(&d, r, err);
}

int rs_decode_json(struct rs_store *s, const char *name, struct json_object *o, enum rs_admit admit,
		   struct rs_err *err)
{
	return rs_decode_json_with(s, NULL, name, o, admit, err);
}
