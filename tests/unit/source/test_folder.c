// SPDX-License-Identifier: Apache-2.0
/* test_folder.c - a folder of manifests as a source: what is read, and when it counts. */
#include "folder_try.h"

#include <sys/mman.h>

/* ---- reading --------------------------------------------------------------------------------- */

static void reads_all_manifests(void **state)
{
	struct world *w = *state;
	rs_autofree char *sub = rs_asprintf("%s/sub", w->dir);
	rs_autofree char *file = rs_asprintf("%s/b.yml", w->dir);

	make_dir(w->dir);
	make_dir(sub);
	put(w, "a.yaml", POD("a") "---\n" POD("a2"));
	put(w, "b.yml", "\n" POD("b"));
	put(w, "c.json", "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"c\"}}");
	put(w, "d.YAML", POD("d"));
	put(w, ".hidden.yaml", "]");
	put(w, ".a.yaml.swp", "]");
	put(w, "a.yaml~", "]");
	put(w, "README.md", "]");
	put_in(sub, "e.yaml", POD("e"));
	assert_int_equal(start(w), 0);
	assert_true(w->changed);
	assert_true(rs_store_synced(ops->store(w->src)));
	assert_true(has_pod(w, "a") && has_pod(w, "a2") && has_pod(w, "b") && has_pod(w, "c") &&
		    has_pod(w, "d"));
	assert_false(has_pod(w, "e"));
	assert_true(warns(w, "/sub is a folder: what is in it is not read"));
	assert_string_equal(rs_store_pod(ops->store(w->src), "default", "b")->meta.pos.file, file);
	assert_int_equal(rs_store_pod(ops->store(w->src), "default", "b")->meta.pos.line, 2);
	assert_int_equal(ops->age_s(w->src), 0);
	assert_int_equal(run(w, 100), 0);
	assert_false(w->changed);
}

static void first_state_bad_means_no_state(void **state)
{
	struct world *w = *state;

	make_dir(w->dir);
	put(w, "a.yaml", POD("a"));
	put(w, "z.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: A}\n");
	assert_int_equal(start(w), -EINVAL);
	assert_false(w->changed);
	assert_false(rs_store_synced(ops->store(w->src)));
	assert_false(has_pod(w, "a"));
	expect_error(w, "%s/z.yaml:3:18: Pod: metadata.name: \"A\" is not a DNS name (lower-case "
			"letters, digits, '-' and '.' inside)");
	assert_int_equal(ops->age_s(w->src), -1);
	put(w, "z.yaml", POD("z"));
	assert_int_equal(run(w, 2000), 0);
	assert_true(w->changed && has_pod(w, "z"));
}

static void changes_are_taken_whole(void **state)
{
	struct world *w = *state;
	uint64_t before;

	make_dir(w->dir);
	put(w, "a.yaml", POD("a"));
	assert_int_equal(start(w), 0);
	before = rs_store_revision(ops->store(w->src));
	put(w, "b.yaml", POD("b"));
	assert_int_equal(run(w, 2000), 0);
	assert_true(w->changed && has_pod(w, "a") && has_pod(w, "b"));
	assert_true(rs_store_revision(ops->store(w->src)) > before);
	drop(w, "a.yaml");
	assert_int_equal(run(w, 2000), 0);
	assert_true(w->changed && !has_pod(w, "a") && has_pod(w, "b"));
	before = rs_store_revision(ops->store(w->src));
	put(w, "b.yaml", "# moved\n" POD("b"));
	assert_int_equal(run(w, 300), 0);
	assert_false(w->changed);
	assert_int_equal(rs_store_revision(ops->store(w->src)), before);
	assert_int_equal(rs_store_pod(ops->store(w->src), "default", "b")->meta.pos.line, 2);
}

static void bad_change_keeps_the_last_good_state(void **state)
{
	struct world *w = *state;

	make_dir(w->dir);
	put(w, "a.yaml", POD("a"));
	assert_int_equal(start(w), 0);
	put(w, "a.yaml", POD("b"));
	put(w, "c.json", "{\n \"a\" 1}");
	assert_int_equal(run(w, 300), -EINVAL);
	expect_error(w,
		     "%s/c.json:2:6: not JSON: ':' is expected behind a key (the last good state "
		     "stays)");
	assert_true(has_pod(w, "a") && !has_pod(w, "b"));
	assert_true(rs_store_synced(ops->store(w->src)));
	drop(w, "c.json");
	assert_int_equal(run(w, 2000), 0);
	assert_true(has_pod(w, "b") && !has_pod(w, "a"));
}

/* A file that somebody still writes is not read: half a policy may allow what the whole forbids. */
static void half_written_file_waits(void **state)
{
	struct world *w = *state;
	rs_autofree char *path = rs_asprintf("%s/a.yaml", w->dir);
	int fd;

	make_dir(w->dir);
	put(w, "a.yaml", POD("a"));
	assert_int_equal(start(w), 0);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(run(w, 5 * DEBOUNCE), 0);
	assert_false(w->changed);
	assert_true(has_pod(w, "a"));
	assert_int_equal(write(fd, POD("b"), strlen(POD("b"))), strlen(POD("b")));
	assert_int_equal(run(w, 5 * DEBOUNCE), 0);
	assert_true(has_pod(w, "a"));
	close(fd);
	assert_int_equal(run(w, 2000), 0);
	assert_true(w->changed && has_pod(w, "b"));
}

#define VERSIONED 100

/*
 * Set by the writer when the machine kept it waiting in the middle of a version for about as long as
 * the source calls quiet: then half a version is what the folder honestly held. Shared memory.
 */
static volatile int *stalled;

static int64_t rename_timed(const char *from, const char *to, int64_t last)
{
	int64_t now;

	assert_int_equal(rename(from, to), 0);
	now = rs_mono_ms();
	if (last && now - last >= DEBOUNCE / 2)
		*stalled = 1;
	return now;
}

/* Give every file the same new version, each by rename(2), as a careful writer does. */
static void put_version(struct world *w, int version)
{
	int64_t last = 0;
	int i;

	for (i = 0; i < VERSIONED; i++) {
		rs_autofree char *text =
			rs_asprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: p%d, "
				    "labels: {v: v%d}}\n",
				    i, version);
		rs_autofree char *tmp = rs_asprintf("%s/tmp", w->dir);
		rs_autofree char *path = rs_asprintf("%s/p%d.yaml", w->dir, i);

		put(w, "tmp", text);
		last = rename_timed(tmp, path, last);
	}
}

static bool one_version(const struct rs_store *s)
{
	size_t n, i;
	const struct rs_pod *const *pods = rs_store_pods(s, &n);

	assert_int_equal(n, VERSIONED);
	for (i = 1; i < n; i++)
		if (strcmp(rs_labels_get(&pods[i]->meta.labels, "v"),
			   rs_labels_get(&pods[0]->meta.labels, "v")) != 0)
			return false;
	return true;
}

/* Whoever changes many files is never seen half way. */
static void F12_a_state_is_never_a_mix(void **state)
{
	struct world *w = *state;
	int status, version, rc, taken = 0, mixed = 0;
	pid_t pid;

	make_dir(w->dir);
	stalled = mmap(NULL, sizeof(*stalled), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(stalled != MAP_FAILED);
	put_version(w, 0);
	*stalled = 0;
	assert_int_equal(start(w), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		/* Pauses around the debounce time, so that writing and reading meet. */
		for (version = 1; version <= 40; version++) {
			put_version(w, version);
			usleep((useconds_t)(DEBOUNCE * 1000 + version % 8 * 500));
		}
		_exit(0);
	}
	while (waitpid(pid, &status, WNOHANG) == 0) {
		/* On a slow machine the folder may never be still for long enough: then it says so. */
		rc = run(w, 500);
		assert_true(rc == 0 || rc == -EAGAIN);
		taken += rc == 0 && w->changed;
		mixed += !one_version(ops->store(w->src));
	}
	assert_true(!mixed || *stalled);
	for (version = 0, rc = -EAGAIN; rc == -EAGAIN && version < 30; version++)
		rc = run(w, 1000);
	assert_int_equal(rc, 0);
	taken += w->changed;
	assert_true(one_version(ops->store(w->src)));
	assert_true(taken > 0);
}

/* ---- what is no manifest --------------------------------------------------------------------- */

static void only_regular_files(void **state)
{
	struct world *w = *state;
	rs_autofree char *fifo = rs_asprintf("%s/p.yaml", w->dir);

	make_dir(w->dir);
	put(w, "a.yaml", POD("a"));
	assert_int_equal(start(w), 0);
	assert_int_equal(mkfifo(fifo, 0644), 0);
	assert_int_equal(run(w, 300), -EINVAL);
	expect_error(w, "%s/p.yaml: not a regular file (the last good state stays)");
	unlink(fifo);
	assert_int_equal(symlink("/dev/zero", fifo), 0);
	assert_int_equal(run(w, 300), -EINVAL);
	expect_error(w, "%s/p.yaml: not a regular file (the last good state stays)");
	unlink(fifo);
	make_dir(fifo);
	assert_int_equal(run(w, 300), -EINVAL);
	rmdir(fifo);
	assert_int_equal(symlink("nowhere", fifo), 0);
	assert_int_equal(run(w, 300), -ENOENT);
	expect_error(w, "%s/p.yaml: No such file or directory (the last good state stays)");
	unlink(fifo);
	assert_int_equal(run(w, 300), 0);
}

static void XG5_budgets(void **state)
{
	struct world *w = *state;
	rs_autofree char *big = rs_asprintf("%s/big.yaml", w->dir);
	int i;

	make_dir(w->dir);
	put(w, "big.yaml", "");
	assert_int_equal(truncate(big, 50 * (off_t)RS_MIB), 0);
	assert_int_equal(start(w), -EFBIG);
	expect_error(w, "%s/big.yaml: larger than 16 MiB");
	unlink(big);
	for (i = 0; i < 10001; i++) {
		char name[32];

		snprintf(name, sizeof(name), "f%d.yaml", i);
		put(w, name, "");
	}
	assert_int_equal(run(w, 3000), -E2BIG);
	expect_error(w, "%s holds more than 10000 manifests");
}

static void XG5_bytes_of_the_whole_folder(void **state)
{
	struct world *w = *state;
	rs_autofree char *text = rs_calloc(1, 13 * RS_MIB + 1);
	int i;

	memset(text, '\n', 13 * RS_MIB);
	make_dir(w->dir);
	for (i = 0; i < 5; i++) {
		char name[32];

		snprintf(name, sizeof(name), "f%d.json", i);
		put(w, name, text);
	}
	assert_int_equal(start(w), -EFBIG);
	expect_error(w, "%s/f4.json: the manifests together hold more than 64 MiB");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(reads_all_manifests),
		TEST(first_state_bad_means_no_state),
		TEST(changes_are_taken_whole),
		TEST(bad_change_keeps_the_last_good_state),
		TEST(half_written_file_waits),
		TEST(F12_a_state_is_never_a_mix),
		TEST(only_regular_files),
		TEST(XG5_budgets),
		TEST(XG5_bytes_of_the_whole_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
