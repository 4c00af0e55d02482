/* SPDX-License-Identifier: Apache-2.0 */
/* folder_try.h - a folder source of its own for each test, polled as the agent polls it. */
#ifndef RIPSTOP_TESTS_FOLDER_TRY_H
#define RIPSTOP_TESTS_FOLDER_TRY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <ripstop/source.h>

#include "base/base.h"

#define POD(name) "apiVersion: v1\nkind: Pod\nmetadata: {name: " name "}\n"
#define DEBOUNCE 30

struct world {
	char root[64]; /* of its own for each test */
	char *dir;     /* root/m, the folder of manifests */
	struct rs_source *src;
	struct rs_err err;
	bool changed;
};

static const struct rs_source_ops *const ops = &rs_source_folder;

/* ---- the world of a test --------------------------------------------------------------------- */

static inline int setup(void **state)
{
	struct world *w = rs_new(struct world);

	snprintf(w->root, sizeof(w->root), "/tmp/rs-folder-XXXXXX");
	if (!mkdtemp(w->root))
		return -1;
	w->dir = rs_asprintf("%s/m", w->root);
	*state = w;
	return 0;
}

static inline int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static inline void remove_tree(const char *path)
{
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline int teardown(void **state)
{
	struct world *w = *state;

	ops->close(w->src);
	rs_err_clear(&w->err);
	remove_tree(w->root);
	free(w->dir);
	free(w);
	return 0;
}

static inline void make_dir(const char *path)
{
	assert_int_equal(mkdir(path, 0755), 0);
}

static inline void put_in(const char *dir, const char *name, const char *text)
{
	rs_autofree char *path = rs_asprintf("%s/%s", dir, name);
	rs_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static inline void put(struct world *w, const char *name, const char *text)
{
	put_in(w->dir, name, text);
}

static inline void drop(struct world *w, const char *name)
{
	rs_autofree char *path = rs_asprintf("%s/%s", w->dir, name);

	assert_int_equal(unlink(path), 0);
}

/* Open the source and dispatch once; returns what dispatch() answered. */
static inline int start_at(struct world *w, const char *path)
{
	const struct rs_source_config cfg = { .path = path, .debounce_ms = DEBOUNCE };

	assert_int_equal(ops->open(&cfg, &w->src, &w->err), 0);
	assert_true(ops->fd(w->src) >= 0);
	assert_int_equal(ops->timeout_ms(w->src), 0);
	assert_int_equal(ops->age_s(w->src), -1);
	return ops->dispatch(w->src, &w->changed, &w->err);
}

static inline int start(struct world *w)
{
	return start_at(w, w->dir);
}

/* Poll as the agent does until `ms` have passed or something changed. Returns the last answer. */
static inline int run(struct world *w, int ms)
{
	int64_t end = rs_mono_ms() + ms;
	bool changed = false;
	int rc = 0;

	while (!changed && rs_mono_ms() < end) {
		struct pollfd p = { .fd = ops->fd(w->src), .events = POLLIN };
		int left = (int)(end - rs_mono_ms()), t = ops->timeout_ms(w->src);

		poll(&p, 1, t < left ? t : left > 0 ? left : 0);
		rs_err_clear(&w->err);
		rc = ops->dispatch(w->src, &changed, &w->err);
	}
	w->changed = changed;
	return rc;
}

static inline bool has_pod(const struct world *w, const char *name)
{
	return rs_store_pod(ops->store(w->src), "default", name) != NULL;
}

static inline bool warns(const struct world *w, const char *part)
{
	size_t n, i;
	const char *const *v = rs_store_warnings(ops->store(w->src), &n);

	for (i = 0; i < n; i++)
		if (strstr(v[i], part))
			return true;
	return false;
}

static inline void expect_error(const struct world *w, const char *format)
{
	rs_autofree char *expect = rs_asprintf(format, w->dir);

	assert_string_equal(rs_err_str(&w->err), expect);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
