// SPDX-License-Identifier: Apache-2.0
/* kubeconfig.c - the parts of a kubeconfig that we stand for, the others refused; see apiconf.h. */
#include "source/apiconf.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "object/doc.h"

#define MAX_FILE RS_MIB

RS_DEFINE_CLEANUP(cleanup_reader, struct rs_doc_reader *, rs_doc_close)

struct reader {
	const char *file;
	struct rs_err *err;
	const char *section; /* "cluster \"c\"": what is being read, for messages */
};

static int fail(const struct reader *r, struct rs_doc_pos pos, const char *field, const char *what)
{
	return rs_err_set(r->err, EINVAL, "%s:%d:%d: %s%s%s: %s", r->file, pos.line, pos.col,
			  r->section ? r->section : "", r->section ? ": " : "", field, what);
}

/* ---- walking --------------------------------------------------------------------------------- */

/* A string field of a map; absent and null leave *out NULL. */
static int text(const struct reader *r, const struct rs_doc_node *map, const char *field,
		const char **out, struct rs_doc_pos *pos)
{
	const struct rs_doc_item *item = rs_doc_get(map, field);

	*out = NULL;
	if (pos)
		*pos = item ? item->value->pos : map->pos;
	if (!item || item->value->type == RS_DOC_NULL)
		return 0;
	if (item->value->type != RS_DOC_STRING || !*item->value->text)
		return fail(r, item->value->pos, field, "a string that is not empty is expected");
	*out = item->value->text;
	return 0;
}

/* The map `what` of the entry of list that has this name; *out stays NULL when there is none. */
static int named(struct reader *r, const struct rs_doc_node *root, const char *list,
		 const char *what, const char *name, const struct rs_doc_node **out)
{
	const struct rs_doc_item *item = rs_doc_get(root, list), *at, *found;
	const char *its = NULL;

	*out = NULL;
	if (!item || item->value->type != RS_DOC_LIST)
		return fail(r, item ? item->pos : root->pos, list,
			    item ? "a list is expected" : "missing");
	for (at = item->value->items; at; at = at->next) {
		if (at->value->type != RS_DOC_MAP)
			return fail(r, at->pos, list, "a map is expected in this list");
		if (text(r, at->value, "name", &its, NULL) < 0)
			return -EINVAL;
		if (!its || strcmp(its, name))
			continue;
		found = rs_doc_get(at->value, what);
		if (!found || found->value->type != RS_DOC_MAP)
			return fail(r, at->pos, what, found ? "a map is expected" : "missing");
		*out = found->value;
		return 0;
	}
	return 0;
}

static int need(struct reader *r, const struct rs_doc_node *root, const char *list,
		const char *what, const char *name, const struct rs_doc_node **out)
{
	rs_autofree char *why = NULL;
	const struct rs_doc_item *item = rs_doc_get(root, list);

	if (named(r, root, list, what, name, out) < 0)
		return -EINVAL;
	if (*out)
		return 0;
	why = rs_asprintf("no entry is named \"%.100s\"", name);
	return fail(r, item->pos, list, why);
}

/* Fields that would make us someone else, or trust more than we do. */
static int refuse(const struct reader *r, const struct rs_doc_node *map, const char *const *fields)
{
	for (; *fields; fields++) {
		const struct rs_doc_item *item = rs_doc_get(map, *fields);
		const struct rs_doc_node *v = item ? item->value : NULL;

		if (!v || v->type == RS_DOC_NULL || (v->type == RS_DOC_BOOL && !v->boolean))
			continue;
		return fail(r, item->pos, *fields, "is not supported");
	}
	return 0;
}

/* ---- base64 ---------------------------------------------------------------------------------- */

static int sextet(char c)
{
	static const char set[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(set, c) : NULL;

	return at ? (int)(at - set) : -1;
}

/* RFC 4648 with padding; line breaks, which YAML may leave in it, are skipped. NULL: it is none. */
static char *unbase64(const char *s, size_t *len)
{
	rs_auto_strbuf out = { 0 };
	unsigned int bits = 0, n = 0, pad = 0;

	for (; *s; s++) {
		int v = sextet(*s);

		if (*s == '\n' || *s == '\r' || *s == ' ')
			continue;
		if (*s == '=' && n % 4 >= 2 && n % 4 + pad < 4) {
			pad++;
			continue;
		}
		if (v < 0 || pad)
			return NULL;
		bits = bits << 6 | (unsigned int)v;
		n++;
		if (n % 4 != 1)
			rs_strbuf_putc(&out, (char)(bits >> ((4 - n % 4) % 4 * 2) & 0xff));
	}
	if (n % 4 + pad != (n % 4 ? 4 : 0))
		return NULL;
	*len = out.len;
	return rs_strbuf_steal(&out);
}

/* ---- pem and files --------------------------------------------------------------------------- */

static char *beside(const struct reader *r, const char *path)
{
	const char *slash = strrchr(r->file, '/');

	if (*path == '/' || !slash)
		return rs_strdup(path);
	return rs_asprintf("%.*s/%s", (int)(slash - r->file), r->file, path);
}

/* `field` names a file, `field`-data holds the text; as in kubectl, the text wins. */
static int pem(const struct reader *r, const struct rs_doc_node *map, const char *field,
	       struct rs_api_pem *out)
{
	rs_autofree char *data_field = rs_asprintf("%s-data", field);
	const char *file, *data;
	struct rs_doc_pos pos;

	if (text(r, map, field, &file, NULL) < 0 || text(r, map, data_field, &data, &pos) < 0)
		return -EINVAL;
	if (data) {
		out->data = unbase64(data, &out->len);
		return out->data ? 0 : fail(r, pos, data_field, "not base64");
	}
	out->file = file ? beside(r, file) : NULL;
	return 0;
}

/* ---- the three sections ---------------------------------------------------------------------- */

static int cluster(struct reader *r, const struct rs_doc_node *map, struct rs_apiconf *c)
{
	static const char *const refused[] = { "insecure-skip-tls-verify", "proxy-url",
					       "tls-server-name", NULL };
	struct rs_doc_pos pos;
	const char *server;

	if (refuse(r, map, refused) < 0 || text(r, map, "server", &server, &pos) < 0)
		return -EINVAL;
	if (!server)
		return fail(r, pos, "server", "missing");
	c->server = rs_strdup(server);
	return pem(r, map, "certificate-authority", &c->ca);
}

static int user(struct reader *r, const struct rs_doc_node *map, struct rs_apiconf *c)
{
	static const char *const refused[] = {
		"exec",	  "auth-provider", "username",	    "password", "as",
		"as-uid", "as-groups",	   "as-user-extra", NULL
	};
	const char *token, *file;
	bool has_cert, has_key;

	if (refuse(r, map, refused) < 0 || text(r, map, "token", &token, NULL) < 0 ||
	    text(r, map, "tokenFile", &file, NULL) < 0 ||
	    pem(r, map, "client-certificate", &c->cert) < 0 ||
	    pem(r, map, "client-key", &c->key) < 0)
		return -EINVAL;
	/* As in client-go the file, which is kept fresh, goes before the text. */
	c->token_file = file ? beside(r, file) : NULL;
	c->token = token && !file ? rs_strdup(token) : NULL;
	has_cert = c->cert.file || c->cert.data;
	has_key = c->key.file || c->key.data;
	if (has_cert != has_key)
		return fail(r, map->pos, has_cert ? "client-key" : "client-certificate",
			    "missing beside the other");
	return 0;
}

static int context(struct reader *r, const struct rs_doc_node *root, struct rs_apiconf *c)
{
	const char *current, *cluster_name, *user_name;
	const struct rs_doc_node *map, *its;
	struct rs_doc_pos pos;

	if (text(r, root, "current-context", &current, &pos) < 0)
		return -EINVAL;
	if (!current)
		return fail(r, pos, "current-context", "missing");
	if (need(r, root, "contexts", "context", current, &map) < 0 ||
	    text(r, map, "cluster", &cluster_name, &pos) < 0 ||
	    text(r, map, "user", &user_name, NULL) < 0)
		return -EINVAL;
	if (!cluster_name)
		return fail(r, pos, "context: cluster", "missing");
	if (need(r, root, "clusters", "cluster", cluster_name, &its) < 0)
		return -EINVAL;
	r->section = "cluster";
	if (cluster(r, its, c) < 0)
		return -EINVAL;
	r->section = NULL;
	if (!user_name)
		return 0;
	if (need(r, root, "users", "user", user_name, &its) < 0)
		return -EINVAL;
	r->section = "user";
	return user(r, its, c);
}

int rs_kubeconfig_read(const char *file, struct rs_apiconf *out, struct rs_err *err)
{
	rs_cleanup(cleanup_reader) struct rs_doc_reader *doc = NULL;
	struct reader r = { .file = file, .err = err };
	const struct rs_doc_node *root = NULL;
	rs_autofree char *yaml = NULL;
	size_t len = 0;
	int rc = rs_file_read(file, MAX_FILE, &yaml, &len, err);

	if (rc == 0)
		rc = rs_doc_open(file, yaml, len, RS_DOC_YAML, true, &doc, err);
	if (rc == 0)
		rc = rs_doc_next(doc, &root, err);
	if (rc < 0)
		return rs_err_wrap(err, "kubeconfig");
	if (!rc || root->type != RS_DOC_MAP)
		rc = rs_err_set(err, EINVAL, "%s: a map is expected in it", file);
	else
		rc = context(&r, root, out);
	explicit_bzero(yaml, len);
	return rc < 0 ? rs_err_wrap(err, "kubeconfig") : 0;
}
