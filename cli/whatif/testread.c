// SPDX-License-Identifier: Apache-2.0
/* testread.c - documents of kind NetworkPolicyTest in the files that -f names. */
#include "cli/whatif/assert.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "object/decode.h"

#define MAX_DEPTH 32
#define MAX_FILES 10000

RS_DEFINE_CLEANUP(cleanup_doc, struct rs_doc_reader *, rs_doc_close)

struct reading {
	const struct cli_run *r;
	struct suites *out;
	const char *file;
	size_t n_files;
	bool other; /* of the path at hand: a document that is no suite */
};

static int fault(const struct reading *g, struct rs_doc_pos pos, struct rs_err *err,
		 const char *fmt, const char *word)
{
	rs_autofree char *what = rs_asprintf(fmt, word);

	return rs_err_set(err, EINVAL, "%s:%d:%d: %s", g->file, pos.line, pos.col, what);
}

/* ---- fields ---------------------------------------------------------------------------------- */

static int known_fields(const struct reading *g, const struct rs_doc_node *map,
			const char *const *names, struct rs_err *err)
{
	const struct rs_doc_item *i;

	for (i = map->items; i; i = i->next) {
		const char *near;

		if (rs_dec_listed(i->key, names))
			continue;
		near = rs_dec_nearest(i->key, names);
		fault(g, i->pos, err, "unknown field \"%.64s\"", i->key);
		return near ? rs_err_hint(err, "is \"%s\" meant?", near) : -EINVAL;
	}
	return 0;
}

static const struct rs_doc_node *field(const struct rs_doc_node *map, const char *key)
{
	const struct rs_doc_item *i = map->type == RS_DOC_MAP ? rs_doc_get(map, key) : NULL;

	return i && i->value->type != RS_DOC_NULL ? i->value : NULL;
}

/* A string, or a number as it is written. */
static int take_text(const struct reading *g, const struct rs_doc_node *map, const char *key,
		     bool must, char **out, struct rs_err *err)
{
	const struct rs_doc_node *n = field(map, key);

	if (!n)
		return must ? fault(g, map->pos, err, "no \"%s\"", key) : 0;
	if ((n->type != RS_DOC_STRING && n->type != RS_DOC_INT) || !*n->text)
		return fault(g, n->pos, err, "\"%s\" is not a word", key);
	*out = rs_strdup(n->text);
	return 0;
}

static int take_expect(const struct reading *g, const struct rs_doc_node *map, bool *allow,
		       struct rs_err *err)
{
	const struct rs_doc_node *n = field(map, "expect");

	if (!n)
		return fault(g, map->pos, err, "no \"%s\"", "expect");
	if (n->type != RS_DOC_STRING || (strcmp(n->text, "allow") && strcmp(n->text, "deny")))
		return fault(g, n->pos, err, "\"expect\" is allow or deny, not %s",
			     n->text ? n->text : rs_doc_type_name(n->type));
	*allow = !strcmp(n->text, "allow");
	return 0;
}

static int read_assertion(const struct reading *g, const struct rs_doc_node *n, struct suite *s,
			  struct rs_err *err)
{
	static const char *const names[] = { "name", "from", "to", "port", "expect", NULL };
	struct assertion *a;
	int rc;

	if (n->type != RS_DOC_MAP)
		return fault(g, n->pos, err, "a test is a map, not %s", rs_doc_type_name(n->type));
	a = rs_vec_push(&s->tests);
	a->line = n->pos.line;
	a->col = n->pos.col;
	rc = known_fields(g, n, names, err);
	if (rc == 0)
		rc = take_text(g, n, "from", true, &a->from, err);
	if (rc == 0)
		rc = take_text(g, n, "to", true, &a->to, err);
	if (rc == 0)
		rc = take_text(g, n, "port", true, &a->port, err);
	if (rc == 0)
		rc = take_expect(g, n, &a->allow, err);
	if (rc == 0)
		rc = take_text(g, n, "name", false, &a->name, err);
	if (rc == 0 && !a->name)
		a->name = rs_asprintf("%s -> %s %s %s", a->from, a->to, a->port,
				      a->allow ? "allow" : "deny");
	return rc;
}

static char *beside(const char *file, const char *path)
{
	const char *slash = strrchr(file, '/');

	if (*path == '/' || !slash)
		return rs_strdup(path);
	return rs_asprintf("%.*s/%s", (int)(slash - file), file, path);
}

static int read_list(const struct reading *g, const struct rs_doc_node *root, const char *key,
		     const struct rs_doc_item **first, struct rs_err *err)
{
	const struct rs_doc_node *n = field(root, key);

	*first = NULL;
	if (n && n->type != RS_DOC_LIST)
		return fault(g, n->pos, err, "\"%s\" is a list", key);
	*first = n ? n->items : NULL;
	return 0;
}

static int read_manifests(const struct reading *g, const struct rs_doc_node *root, struct suite *s,
			  struct rs_err *err)
{
	const struct rs_doc_item *i;
	int rc = read_list(g, root, "manifests", &i, err);

	for (; rc == 0 && i; i = i->next) {
		if (i->value->type != RS_DOC_STRING || !*i->value->text)
			return fault(g, i->pos, err, "\"%s\" is a list of paths", "manifests");
		s->manifests = rs_reallocarray(s->manifests, s->n_manifests + 1, sizeof(char *));
		s->manifests[s->n_manifests++] = beside(g->file, i->value->text);
	}
	return rc;
}

static int read_metadata(const struct reading *g, const struct rs_doc_node *root, struct suite *s,
			 struct rs_err *err)
{
	const struct rs_doc_node *meta = field(root, "metadata");
	int rc = 0;

	if (meta && meta->type != RS_DOC_MAP)
		return fault(g, meta->pos, err, "\"%s\" is a map", "metadata");
	if (meta)
		rc = take_text(g, meta, "name", false, &s->name, err);
	if (rc == 0 && meta)
		rc = take_text(g, meta, "namespace", false, &s->ns, err);
	if (!s->name)
		s->name = rs_strdup(g->file);
	return rc;
}

static int read_suite(struct reading *g, const struct rs_doc_node *root, struct rs_err *err)
{
	static const char *const names[] = { "apiVersion", "kind",  "metadata",
					     "manifests",  "tests", NULL };
	struct suite *s = rs_vec_push(g->out);
	const struct rs_doc_node *version = field(root, "apiVersion");
	const struct rs_doc_item *i;
	int rc;

	s->file = rs_strdup(g->file);
	if (!version || version->type != RS_DOC_STRING || strcmp(version->text, "ripstop.dev/v1"))
		return fault(g, version ? version->pos : root->pos, err,
			     "a NetworkPolicyTest has apiVersion %s", "ripstop.dev/v1");
	rc = known_fields(g, root, names, err);
	if (rc == 0)
		rc = read_metadata(g, root, s, err);
	if (rc == 0)
		rc = read_manifests(g, root, s, err);
	if (rc == 0)
		rc = read_list(g, root, "tests", &i, err);
	if (rc == 0 && !i)
		return fault(g, root->pos, err, "no \"%s\"", "tests");
	for (; rc == 0 && i; i = i->next)
		rc = read_assertion(g, i->value, s, err);
	return rc;
}

/* ---- files ----------------------------------------------------------------------------------- */

static bool ends_in(const char *name, const char *suffix)
{
	size_t n = strlen(name), m = strlen(suffix);

	return n > m && !strcasecmp(name + n - m, suffix);
}

static bool is_suite(const struct rs_doc_node *root)
{
	const struct rs_doc_node *kind = field(root, "kind");

	return kind && kind->type == RS_DOC_STRING && !strcmp(kind->text, "NetworkPolicyTest");
}

static int read_file(struct reading *g, const char *path, struct rs_err *err)
{
	rs_cleanup(cleanup_doc) struct rs_doc_reader *doc = NULL;
	const struct rs_doc_node *root;
	rs_autofree char *text = NULL;
	size_t len;
	int rc = rs_file_read(path, RS_DOC_MAX_BYTES, &text, &len, err);

	if (rc == 0 && ++g->n_files > MAX_FILES)
		rc = rs_err_set(err, EFBIG, "%s: more than %d files", path, MAX_FILES);
	g->file = path;
	if (rc == 0)
		rc = rs_doc_open(path, text, len,
				 ends_in(path, ".json") ? RS_DOC_JSON : RS_DOC_YAML, true, &doc,
				 err);
	while (rc == 0 && (rc = rs_doc_next(doc, &root, err)) == 1) {
		bool suite = is_suite(root);

		rc = suite ? read_suite(g, root, err) : 0;
		g->other |= !suite && root->type != RS_DOC_NULL;
	}
	return rc;
}

static int read_path(struct reading *g, const char *path, int depth, struct rs_err *err);

static int wanted(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static int read_folder(struct reading *g, const char *path, int depth, struct rs_err *err)
{
	struct dirent **v = NULL;
	int n = scandir(path, &v, wanted, alphasort), i, rc = 0;

	if (n < 0)
		return rs_err_sys(err, errno, "%s", path);
	for (i = 0; i < n; i++) {
		rs_autofree char *full = rs_asprintf("%s/%s", path, v[i]->d_name);
		struct stat st;
		bool folder = stat(full, &st) == 0 && S_ISDIR(st.st_mode);
		bool manifest =
			ends_in(full, ".yaml") || ends_in(full, ".yml") || ends_in(full, ".json");

		if (rc == 0 && (folder ? g->r->opt.recursive && depth < MAX_DEPTH : manifest))
			rc = read_path(g, full, depth + 1, err);
		free(v[i]);
	}
	free(v);
	return rc;
}

/* What is neither file nor folder (standard input, a pipe) holds manifests. */
static int read_path(struct reading *g, const char *path, int depth, struct rs_err *err)
{
	struct stat st;

	if (!strcmp(path, "-")) {
		g->other = true;
		return 0;
	}
	if (stat(path, &st) < 0)
		return rs_err_sys(err, errno, "%s", path);
	if (S_ISDIR(st.st_mode))
		return read_folder(g, path, depth, err);
	if (S_ISREG(st.st_mode))
		return read_file(g, path, err);
	g->other = true;
	return 0;
}

int suites_read(const struct cli_run *r, struct suites *out, struct paths *manifests,
		struct rs_err *err)
{
	struct reading g = { .r = r, .out = out };
	size_t i;
	int rc = 0;

	for (i = 0; i < r->opt.n_files && rc == 0; i++) {
		size_t before = out->n;

		g.other = false;
		rc = read_path(&g, r->opt.files[i], 0, err);
		if (rc == 0 && (g.other || out->n == before))
			*rs_vec_push(manifests) = r->opt.files[i];
	}
	return rc;
}

void suites_free(struct suites *v)
{
	size_t i, k;

	for (i = 0; i < v->n; i++) {
		struct suite *s = &v->v[i];

		for (k = 0; k < s->tests.n; k++) {
			free(s->tests.v[k].name);
			free(s->tests.v[k].from);
			free(s->tests.v[k].to);
			free(s->tests.v[k].port);
			free(s->tests.v[k].reason);
			free(s->tests.v[k].where);
		}
		rs_vec_free(&s->tests);
		for (k = 0; k < s->n_manifests; k++)
			free(s->manifests[k]);
		free(s->manifests);
		free(s->file);
		free(s->name);
		free(s->ns);
	}
	rs_vec_free(v);
}
