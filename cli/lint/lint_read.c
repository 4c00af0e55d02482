// SPDX-License-Identifier: Apache-2.0
/*
 * lint_read.c - texts to trees, which stay, and to objects. Policies are decoded one by one, so
 * that an invalid one is a finding; any other object that is read must be valid, as everywhere.
 */
#include "cli/lint/lint.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "object/decode.h"
#include "object/store.h"

static const char *text_of(const struct rs_doc_node *map, const char *key)
{
	const struct rs_doc_item *item = rs_doc_get(map, key);

	return item && item->value->type == RS_DOC_STRING ? item->value->text : NULL;
}

/* A member of members: "spec", "service", NULL. */
static const struct rs_doc_node *member(const struct rs_doc_node *map, const char *const *path)
{
	for (; map && *path; path++) {
		const struct rs_doc_item *item = rs_doc_get(map, *path);

		map = item ? item->value : NULL;
	}
	return map;
}

/* ---- who the API server calls ---------------------------------------------------------------- */

static void add_caller(struct lint *l, const char *kind, const struct rs_doc_node *root,
		       const struct rs_doc_node *service)
{
	const struct rs_doc_node *meta = member(root, (const char *[]){ "metadata", NULL });
	const struct rs_doc_node *port;
	struct lint_caller c = { .kind = kind, .port = 443 };

	if (!service || !meta)
		return;
	port = member(service, (const char *[]){ "port", NULL });
	c.name = text_of(meta, "name");
	c.ns = text_of(service, "namespace");
	c.service = text_of(service, "name");
	if (port && port->type == RS_DOC_INT && port->integer > 0 && port->integer < 65536)
		c.port = (uint16_t)port->integer;
	if (c.name && c.ns && c.service)
		*rs_vec_push(&l->callers) = c;
}

static void add_webhooks(struct lint *l, const char *kind, const struct rs_doc_node *root)
{
	const struct rs_doc_node *list = member(root, (const char *[]){ "webhooks", NULL });
	const struct rs_doc_item *item = list && list->type == RS_DOC_LIST ? list->items : NULL;

	for (; item; item = item->next)
		add_caller(
			l, kind, root,
			member(item->value, (const char *[]){ "clientConfig", "service", NULL }));
}

/* kind is the document's own text, which stays. */
static void add_callers(struct lint *l, const char *kind, const struct rs_doc_node *root)
{
	if (!strcmp(kind, "ValidatingWebhookConfiguration") ||
	    !strcmp(kind, "MutatingWebhookConfiguration"))
		add_webhooks(l, kind, root);
	else if (!strcmp(kind, "APIService"))
		add_caller(l, kind, root,
			   member(root, (const char *[]){ "spec", "service", NULL }));
	else if (!strcmp(kind, "CustomResourceDefinition"))
		add_caller(l, kind, root,
			   member(root, (const char *[]){ "spec", "conversion", "webhook",
							  "clientConfig", "service", NULL }));
}

/* ---- who makes pods -------------------------------------------------------------------------- */

/* A custom resource, which an operator may turn into pods; its group is somebody's domain. */
static bool may_make_pods(const char *kind, const char *version)
{
	const char *slash = strchr(version, '/');
	size_t n = slash ? (size_t)(slash - version) : 0;

	if (!n)
		return !strcmp(kind, "ReplicationController");
	return memchr(version, '.', n) && (n < 7 || strncmp(version + n - 7, ".k8s.io", 7));
}

static void add_maker(struct lint *l, const char *kind, const char *version,
		      const struct rs_doc_node *root)
{
	const struct rs_doc_node *meta = member(root, (const char *[]){ "metadata", NULL });
	const char *ns = meta ? text_of(meta, "namespace") : NULL;

	if (!version || !may_make_pods(kind, version))
		return;
	if (!ns)
		ns = l->extras->namespace ? l->extras->namespace : "default";
	*rs_vec_push(&l->makers) = ns;
}

/* ---- policies -------------------------------------------------------------------------------- */

static const struct rs_doc_node *find_template(const struct rs_doc_node *node)
{
	const struct rs_doc_node *found = NULL;
	const struct rs_doc_item *item;

	if (node->type == RS_DOC_STRING)
		return strstr(node->text, "{{") ? node : NULL;
	if (node->type != RS_DOC_LIST && node->type != RS_DOC_MAP)
		return NULL;
	for (item = node->items; item && !found; item = item->next)
		found = find_template(item->value);
	return found;
}

/* Annotations may hold whatever text; elsewhere a template is no policy yet. */
static int check_rendered(const struct lint_text *t, const struct rs_doc_node *root,
			  struct rs_err *err)
{
	static const char *const paths[][3] = { { "spec", NULL },
						{ "metadata", "name", NULL },
						{ "metadata", "namespace", NULL },
						{ "metadata", "labels", NULL } };
	size_t i;

	for (i = 0; i < RS_ARRAY_SIZE(paths); i++) {
		const struct rs_doc_node *at = member(root, paths[i]);

		at = at ? find_template(at) : NULL;
		if (!at)
			continue;
		rs_err_set(err, EINVAL, "%s:%d:%d: NetworkPolicy: \"%.64s\" is template text",
			   t->name, at->pos.line, at->pos.col, at->text);
		return rs_err_hint(err, "render it first: helm template DIR | ripstop lint -f -");
	}
	return 0;
}

static int add_policy(struct lint *l, struct lint_text *t, const struct rs_doc_node *root,
		      struct rs_err *err)
{
	const struct rs_doc_node *meta = member(root, (const char *[]){ "metadata", NULL });
	const char *name = meta ? text_of(meta, "name") : NULL;
	const char *ns = meta ? text_of(meta, "namespace") : NULL;
	int rc = check_rendered(t, root, err);

	if (rc < 0)
		return rc;
	if (!ns)
		ns = l->extras->namespace ? l->extras->namespace : "default";
	rs_vec_push(&t->starts)->line = root->pos.line;
	t->starts.v[t->starts.n - 1].policy = ++t->n_policies;
	*rs_vec_push(&l->policies) = (struct lint_policy){ .text = t,
							   .root = root,
							   .pos = root->pos,
							   .ns = rs_strdup(ns),
							   .name = rs_strdup(name ? name : "?"),
							   .number = t->n_policies };
	return 0;
}

/* The path that a fault begins with goes into the finding's own. */
static void say_fault(struct lint *l, struct lint_policy *pol, const struct rs_dec *d)
{
	const char *colon = strstr(d->fault, ": ");
	rs_autofree char *path = NULL;
	struct lint_at root = lint_root(pol), at;

	if (!colon || (strncmp(d->fault, "spec", 4) && strncmp(d->fault, "metadata", 8)))
		colon = NULL;
	path = colon ? rs_strndup(d->fault, (size_t)(colon - d->fault)) : NULL;
	at = (struct lint_at){
		.up = &root, .key = path ? path : "", .there = path, .pos = d->fault_pos
	};
	lint_say(l, pol, &at, LINT_INVALID_FIELD, "%s", colon ? colon + 2 : d->fault);
}

int lint_decode_policy(struct lint *l, struct lint_policy *pol)
{
	struct rs_dec d = { .store = l->store,
			    .extras = l->extras,
			    .label = pol->text->name,
			    .admit = RS_ADMIT_STRICT,
			    .kind = "NetworkPolicy" };
	struct rs_at root = { .node = pol->root, .pos = pol->pos };
	struct rs_policy *p = rs_new(struct rs_policy);
	int rc;

	d.file = rs_store_file(l->store, pol->text->name);
	rc = rs_dec_policy(&d, &root, p);
	if (rc == 0) {
		pol->p = p;
		return 0;
	}
	rs_policy_free(p);
	/* Faults that have been told field by field are not told again. */
	if (!pol->n_errors)
		say_fault(l, pol, &d);
	free(d.fault);
	return rc;
}

/* ---- documents ------------------------------------------------------------------------------- */

static int add_root(struct lint *l, struct lint_text *t, const struct rs_doc_node *root,
		    const char *inherited, struct rs_err *err);

static int add_list(struct lint *l, struct lint_text *t, const struct rs_doc_node *root,
		    const char *inherited, struct rs_err *err)
{
	const struct rs_doc_node *items = member(root, (const char *[]){ "items", NULL });
	const struct rs_doc_item *item;
	int rc = 0;

	if (!items || items->type != RS_DOC_LIST)
		return rs_decode_doc(l->store, l->extras, t->name, root, RS_ADMIT_STRICT, err);
	for (item = items->items; item && rc == 0; item = item->next)
		rc = add_root(l, t, item->value, inherited, err);
	return rc;
}

/* Of another group, or with a slip in kind or version, it is the decoder's to say. */
static bool is_policy(const char *kind, const char *version)
{
	return !strcmp(kind, "NetworkPolicy") &&
	       (!version || !strcmp(version, "networking.k8s.io/v1"));
}

static int add_root(struct lint *l, struct lint_text *t, const struct rs_doc_node *root,
		    const char *inherited, struct rs_err *err)
{
	const char *kind = root->type == RS_DOC_MAP ? text_of(root, "kind") : NULL;
	const char *version = kind ? text_of(root, "apiVersion") : NULL;

	if (!kind && root->type == RS_DOC_MAP)
		kind = inherited;
	if (kind && is_policy(kind, version) && (version || inherited))
		return add_policy(l, t, root, err);
	if (kind && !strcmp(kind, "List"))
		return add_list(l, t, root, NULL, err);
	if (kind && !strcmp(kind, "NetworkPolicyList") && version)
		return add_list(l, t, root, "NetworkPolicy", err);
	rs_vec_push(&t->starts)->line = root->pos.line;
	if (kind)
		add_callers(l, kind, root);
	if (kind)
		add_maker(l, kind, version, root);
	return rs_decode_doc(l->store, l->extras, t->name, root, RS_ADMIT_STRICT, err);
}

static int add_documents(struct lint *l, struct lint_text *t, struct rs_err *err)
{
	const struct rs_doc_node *root;
	int rc = rs_doc_open(t->name, t->text, t->len, t->json ? RS_DOC_JSON : RS_DOC_YAML, true,
			     &t->reader, err);

	if (rc < 0)
		return rc;
	rs_doc_keep(t->reader);
	while ((rc = rs_doc_next(t->reader, &root, err)) > 0) {
		if (root->type == RS_DOC_NULL)
			continue;
		rc = add_root(l, t, root, NULL, err);
		if (rc < 0)
			return rc;
	}
	return rc;
}

int lint_add_text(struct lint *l, const char *name, char *text, size_t len, bool json,
		  struct rs_err *err)
{
	struct lint_text *t = rs_new(struct lint_text);

	t->number = l->texts.n;
	t->name = rs_strdup(name);
	t->text = text;
	t->len = len;
	t->json = json;
	*rs_vec_push(&l->texts) = t;
	return add_documents(l, t, err);
}

void lint_texts_free(struct lint *l)
{
	while (l->texts.n) {
		struct lint_text *t = l->texts.v[--l->texts.n];

		rs_doc_close(t->reader);
		rs_vec_free(&t->starts);
		free(t->name);
		free(t->text);
		free(t);
	}
	rs_vec_free(&l->texts);
}
