// SPDX-License-Identifier: Apache-2.0
/* folder_read.c - all manifests of a folder, in the order of their names; see folder.h. */
#include "source/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

struct names {
	struct rs_vec(char *) vec;
};

static void names_free(struct names *n)
{
	size_t i;

	for (i = 0; i < n->vec.n; i++)
		free(n->vec.v[i]);
	rs_vec_free(&n->vec);
}

static bool ends_in(const char *name, const char *suffix)
{
	size_t n = strlen(name), m = strlen(suffix);

	return n > m && !strcasecmp(name + n - m, suffix);
}

/* Editors' swap and backup files end in something else or begin with a dot. */
bool rs_folder_wants(const char *name)
{
	return name[0] != '.' &&
	       (ends_in(name, ".yaml") || ends_in(name, ".yml") || ends_in(name, ".json"));
}

/* A descriptor of its own for readdir(), which closedir() takes with it. */
static DIR *list_open(int dirfd)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir && fd >= 0)
		close(fd);
	return dir;
}

static bool is_folder(int dirfd, const struct dirent *e)
{
	struct stat st;

	if (e->d_type != DT_UNKNOWN && e->d_type != DT_LNK)
		return e->d_type == DT_DIR;
	return fstatat(dirfd, e->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list(int dirfd, const char *path, struct rs_store *s, struct names *out,
		struct rs_err *err)
{
	rs_autoclosedir DIR *dir = list_open(dirfd);
	const struct dirent *e;

	if (!dir)
		return rs_err_sys(err, errno, "read %s", path);
	for (errno = 0; (e = readdir(dir)); errno = 0) {
		if (rs_folder_wants(e->d_name)) {
			if (out->vec.n == RS_FOLDER_MAX_FILES)
				return rs_err_set(err, E2BIG, "%s holds more than %d manifests",
						  path, RS_FOLDER_MAX_FILES);
			*rs_vec_push(&out->vec) = rs_strdup(e->d_name);
		} else if (e->d_name[0] != '.' && is_folder(dirfd, e)) {
			rs_store_warn(s, "%s/%s is a folder: what is in it is not read", path,
				      e->d_name);
		}
	}
	if (errno)
		return rs_err_sys(err, errno, "read %s", path);
	if (out->vec.n)
		qsort(out->vec.v, out->vec.n, sizeof(char *), by_name);
	return 0;
}

static int too_large(const char *file, size_t left, struct rs_err *err)
{
	if (left < RS_DOC_MAX_BYTES)
		return rs_err_set(err, EFBIG, "%s: the manifests together hold more than %lu MiB",
				  file, RS_FOLDER_MAX_BYTES / RS_MIB);
	return rs_err_set(err, EFBIG, "%s: larger than %lu MiB", file, RS_DOC_MAX_BYTES / RS_MIB);
}

/* One manifest. *left: bytes that the folder may still have. */
static int read_one(int dirfd, const char *file, const char *name, struct rs_store *s, size_t *left,
		    bool *broken, struct rs_err *err)
{
	size_t max = *left < RS_DOC_MAX_BYTES ? *left : RS_DOC_MAX_BYTES, len = 0;
	rs_autofree char *text = NULL;
	struct stat st;
	int rc;

	/* Looked at before it is opened: opening a device can do things. */
	if (fstatat(dirfd, name, &st, 0) == 0 && !S_ISREG(st.st_mode))
		return rs_err_set(err, EINVAL, "%s: not a regular file", file);
	rc = rs_file_read_at(dirfd, name, max, &text, &len, NULL);
	if (rc == -EFBIG)
		return too_large(file, *left, err);
	if (rc == -EINVAL)
		return rs_err_set(err, EINVAL, "%s: not a regular file", file);
	if (rc < 0) {
		*broken = true;
		return rs_err_sys(err, -rc, "%s", file);
	}
	*left -= len;
	return rs_decode_text(s, file, text, len, ends_in(name, ".json"), RS_ADMIT_STRICT, err);
}

int rs_folder_read(int dirfd, const char *path, struct rs_store *s, size_t *files, bool *broken,
		   struct rs_err *err)
{
	size_t left = RS_FOLDER_MAX_BYTES, i;
	struct names names = { 0 };
	int rc = list(dirfd, path, s, &names, err);

	*files = names.vec.n;
	*broken = rc < 0 && rc != -E2BIG;
	for (i = 0; i < names.vec.n && rc == 0; i++) {
		rs_autofree char *file = rs_asprintf("%s/%s", path, names.vec.v[i]);

		rc = read_one(dirfd, file, names.vec.v[i], s, &left, broken, err);
	}
	names_free(&names);
	return rc;
}

/* ---- what inotify does not tell -------------------------------------------------------------- */

static void mix(uint64_t *h, const void *data, size_t n)
{
	const unsigned char *p = data;

	while (n--)
		*h = (*h ^ *p++) * 0x100000001b3ULL; /* FNV-1a */
}

static void mix_stat(uint64_t *h, const struct stat *st, bool content)
{
	mix(h, &st->st_dev, sizeof(st->st_dev));
	mix(h, &st->st_ino, sizeof(st->st_ino));
	if (!content)
		return;
	mix(h, &st->st_size, sizeof(st->st_size));
	mix(h, &st->st_mtim, sizeof(st->st_mtim));
}

/* Sums, because readdir() promises no order. */
static uint64_t links(int dirfd)
{
	rs_autoclosedir DIR *dir = list_open(dirfd);
	const struct dirent *e;
	uint64_t sum = 0;

	while (dir && (e = readdir(dir))) {
		uint64_t h = 0xcbf29ce484222325ULL;
		struct stat st = { 0 };

		if ((e->d_type != DT_LNK && e->d_type != DT_UNKNOWN) || !rs_folder_wants(e->d_name))
			continue;
		mix(&h, e->d_name, strlen(e->d_name));
		if (fstatat(dirfd, e->d_name, &st, 0) == 0)
			mix_stat(&h, &st, true);
		sum += h;
	}
	return sum;
}

int rs_folder_fingerprint(const char *path, uint64_t *out)
{
	rs_autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t h = 0xcbf29ce484222325ULL;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	mix_stat(&h, &st, false);
	*out = h + links(fd);
	return 0;
}
