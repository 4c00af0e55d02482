// SPDX-License-Identifier: Apache-2.0
/* worldread.c - the manifests that -f names: files, folders, standard input. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/world/worldparts.h"

#define MAX_FILES 10000
#define MAX_BYTES (64UL * RS_MIB) /* of all files together */
#define MAX_DEPTH 32		  /* of folders in folders */

struct reading {
	struct rs_store *s;
	struct rs_extras *x;
	bool recursive;
	size_t n_files;
	size_t left; /* bytes that may still come */
	bool stdin_read;
	size_t n_folders; /* of one folder, that were not gone into */
};

/* ---- one text -------------------------------------------------------------------------------- */

static bool ends_in(const char *name, const char *suffix)
{
	size_t n = strlen(name), m = strlen(suffix);

	return n > m && !strcasecmp(name + n - m, suffix);
}

/* Files of other tools that lie beside manifests; what to do about each. */
static const char *advice(const char *file)
{
	static const struct {
		const char *name, *hint;
	} known[] = {
		{ "kustomization.yaml", "build it first: kustomize build DIR | ripstop ... -f -" },
		{ "kustomization.yml", "build it first: kustomize build DIR | ripstop ... -f -" },
		{ "Chart.yaml", "render the chart first: helm template DIR | ripstop ... -f -" },
		{ "values.yaml", "render the chart first: helm template DIR | ripstop ... -f -" },
	};
	const char *slash = strrchr(file, '/'), *base = slash ? slash + 1 : file;
	size_t i;

	for (i = 0; i < RS_ARRAY_SIZE(known); i++)
		if (!strcmp(base, known[i].name))
			return known[i].hint;
	return NULL;
}

static bool looks_like_json(const char *text)
{
	text += strspn(text, " \t\r\n");
	return *text == '{' || *text == '[';
}

static int decode(struct reading *r, const char *file, const char *text, size_t len,
		  struct rs_err *err)
{
	bool json = ends_in(file, ".json") || (r->stdin_read && looks_like_json(text));
	const char *hint = advice(file);
	int rc = rs_decode_text_with(r->s, r->x, file, text, len, json, RS_ADMIT_STRICT, err);

	if (rc < 0 && hint)
		rs_err_hint(err, "%s", hint);
	return rc;
}

static int too_large(const char *file, size_t max, struct rs_err *err)
{
	if (max < RS_DOC_MAX_BYTES)
		return rs_err_set(err, EFBIG, "%s: the files together hold more than %lu MiB", file,
				  MAX_BYTES / RS_MIB);
	return rs_err_set(err, EFBIG, "%s: larger than %lu MiB", file, RS_DOC_MAX_BYTES / RS_MIB);
}

/* All of a descriptor that may be a pipe. */
static int read_all(int fd, const char *file, size_t max, struct rs_strbuf *b, struct rs_err *err)
{
	char chunk[65536];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof(chunk)))) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return rs_err_sys(err, errno, "read %s", file);
		if (b->len + (size_t)n > max)
			return too_large(file, max, err);
		rs_strbuf_add(b, chunk, (size_t)n);
	}
	return 0;
}

static int take(struct reading *r, int fd, const char *file, struct rs_err *err)
{
	size_t max = r->left < RS_DOC_MAX_BYTES ? r->left : RS_DOC_MAX_BYTES;
	rs_auto_strbuf b = { 0 };
	int rc;

	if (r->n_files == MAX_FILES)
		return rs_err_set(err, E2BIG, "%s: more than %d files", file, MAX_FILES);
	rc = read_all(fd, file, max, &b, err);
	if (rc < 0)
		return rc;
	r->n_files++;
	r->left -= b.len;
	return decode(r, file, rs_strbuf_str(&b), b.len, err);
}

/* ---- folders --------------------------------------------------------------------------------- */

struct names {
	struct rs_vec(char *) v;
};

static void names_free(struct names *n)
{
	while (n->v.n)
		free(n->v.v[--n->v.n]);
	rs_vec_free(&n->v);
}

static bool is_manifest(const char *name)
{
	return ends_in(name, ".yaml") || ends_in(name, ".yml") || ends_in(name, ".json");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list(int dirfd, const char *path, struct names *out, struct rs_err *err)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rs_autoclosedir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!dir) {
		int errnum = errno;

		if (fd >= 0)
			close(fd);
		return rs_err_sys(err, errnum, "read %s", path);
	}
	for (errno = 0; (e = readdir(dir)); errno = 0) {
		if (e->d_name[0] == '.')
			continue;
		/* Folders are told from files later. */
		if (out->v.n > 4 * MAX_FILES)
			return rs_err_set(err, E2BIG, "%s holds more than %d entries", path,
					  4 * MAX_FILES);
		*rs_vec_push(&out->v) = rs_strdup(e->d_name);
	}
	if (errno)
		return rs_err_sys(err, errno, "read %s", path);
	if (out->v.n)
		qsort(out->v.v, out->v.n, sizeof(char *), by_name);
	return 0;
}

static int read_folder(struct reading *r, int dirfd, const char *path, int depth,
		       struct rs_err *err);

/* A folder that a link names is not entered: it may lead round in circles. */
static int enter(struct reading *r, int dirfd, const char *name, const char *path, int depth,
		 struct rs_err *err)
{
	rs_autoclose int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return rs_err_sys(err, errno, "open %s", path);
	if (depth == MAX_DEPTH)
		return rs_err_set(err, E2BIG, "%s: more than %d folders deep", path, MAX_DEPTH);
	return read_folder(r, fd, path, depth + 1, err);
}

static int entry(struct reading *r, int dirfd, const char *name, const char *path, int depth,
		 struct rs_err *err)
{
	rs_autoclose int fd = -1;
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return rs_err_sys(err, errno, "%s", path);
	if (S_ISDIR(st.st_mode) && r->recursive)
		return enter(r, dirfd, name, path, depth, err);
	if (S_ISDIR(st.st_mode))
		r->n_folders++;
	if (!is_manifest(name))
		return 0;
	if (S_ISLNK(st.st_mode) && fstatat(dirfd, name, &st, 0) < 0)
		return rs_err_sys(err, errno, "%s", path);
	if (S_ISDIR(st.st_mode))
		return 0;
	/* Looked at before it is opened: opening a device can do things. */
	if (!S_ISREG(st.st_mode))
		return rs_err_set(err, EINVAL, "%s: not a regular file", path);
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return rs_err_sys(err, errno, "open %s", path);
	return take(r, fd, path, err);
}

static int read_folder(struct reading *r, int dirfd, const char *path, int depth,
		       struct rs_err *err)
{
	struct names names = { 0 };
	int rc = list(dirfd, path, &names, err);
	size_t i;

	for (i = 0; i < names.v.n && rc == 0; i++) {
		rs_autofree char *file = rs_asprintf("%s/%s", path, names.v.v[i]);

		rc = entry(r, dirfd, names.v.v[i], file, depth, err);
	}
	names_free(&names);
	return rc;
}

/* ---- what -f may be -------------------------------------------------------------------------- */

static int take_stdin(struct reading *r, struct rs_err *err)
{
	if (r->stdin_read)
		return rs_err_set(err, EINVAL, "-f - was given twice");
	r->stdin_read = true;
	return take(r, STDIN_FILENO, "stdin", err);
}

/* "k8s/" and "k8s" name the same; positions read alike. */
static char *trimmed(const char *path)
{
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		n--;
	return rs_strndup(path, n);
}

static int take_folder(struct reading *r, int fd, const char *path, struct rs_err *err)
{
	size_t before = r->n_files;
	int rc;

	r->n_folders = 0;
	rc = read_folder(r, fd, path, 0, err);
	if (rc == 0 && r->n_files > before && r->n_folders)
		rs_store_warn(r->s, "%s holds %zu folder%s: what is in %s is not read without -R",
			      path, r->n_folders, r->n_folders == 1 ? "" : "s",
			      r->n_folders == 1 ? "it" : "them");
	if (rc < 0 || r->n_files > before)
		return rc;
	rs_err_set(err, EINVAL, "%s holds no manifest (*.yaml, *.yml, *.json)", path);
	return r->recursive ? -EINVAL
			    : rs_err_hint(err, "-R goes into the folders of a folder too");
}

static int take_path(struct reading *r, const char *given, struct rs_err *err)
{
	rs_autofree char *path = trimmed(given);
	rs_autoclose int fd = -1;
	struct stat st;

	if (!strcmp(given, "-"))
		return take_stdin(r, err);
	/* A pipe is waited for: <(helm template ...) is one. */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return rs_err_sys(err, errno, "open %s", path);
	if (S_ISDIR(st.st_mode))
		return take_folder(r, fd, path, err);
	return take(r, fd, path, err);
}

int cli_read_paths(const struct cli_world_paths *paths, struct rs_store *s, struct rs_extras *x,
		   size_t *n_files, struct rs_err *err)
{
	struct reading r = { .s = s, .x = x, .recursive = paths->recursive, .left = MAX_BYTES };
	size_t i;
	int rc = 0;

	for (i = 0; i < paths->n && rc == 0; i++)
		rc = take_path(&r, paths->v[i], err);
	*n_files = r.n_files;
	return rc;
}
