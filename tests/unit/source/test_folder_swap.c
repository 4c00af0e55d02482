// SPDX-License-Identifier: Apache-2.0
/* test_folder_swap.c - folders of manifests that are missing, removed, emptied or swapped. */
#include "folder_try.h"

/* ---- folders that come and go ---------------------------------------------------------------- */

static void missing_folder_is_waited_for(void **state)
{
	struct world *w = *state;

	assert_int_equal(start(w), -ENOENT);
	expect_error(w, "open the folder of manifests %s: No such file or directory");
	assert_false(rs_store_synced(ops->store(w->src)));
	assert_true(ops->timeout_ms(w->src) <= 1000);
	assert_int_equal(run(w, 100), -ENOENT);
	make_dir(w->dir);
	put(w, "a.yaml", POD("a"));
	assert_int_equal(run(w, 3000), 0);
	assert_true(w->changed && has_pod(w, "a"));
}

static void removed_folder_keeps_the_last_good_state(void **state)
{
	struct world *w = *state;

	make_dir(w->dir);
	put(w, "a.yaml", POD("a"));
	assert_int_equal(start(w), 0);
	remove_tree(w->dir);
	assert_int_equal(run(w, 500), -ENOENT);
	expect_error(w, "open the folder of manifests %s: No such file or directory (the last good "
			"state stays)");
	assert_true(has_pod(w, "a") && rs_store_synced(ops->store(w->src)));
	/* It comes back empty, perhaps with the same inode: that opens nothing. */
	make_dir(w->dir);
	assert_int_equal(run(w, 1500), -ENOTEMPTY);
	assert_true(has_pod(w, "a"));
	put(w, "b.yaml", POD("b"));
	assert_int_equal(run(w, 2000), 0);
	assert_true(has_pod(w, "b") && !has_pod(w, "a"));
}

static void moved_folder_keeps_the_last_good_state(void **state)
{
	struct world *w = *state;
	rs_autofree char *aside = rs_asprintf("%s/aside", w->root);

	make_dir(w->dir);
	put(w, "a.yaml", POD("a"));
	assert_int_equal(start(w), 0);
	assert_int_equal(rename(w->dir, aside), 0);
	assert_int_equal(run(w, 500), -ENOENT);
	assert_true(has_pod(w, "a"));
	assert_int_equal(rename(aside, w->dir), 0);
	run(w, 1500);
	assert_int_equal(run(w, 100), 0);
	assert_true(has_pod(w, "a"));
	put(w, "b.yaml", POD("b"));
	assert_int_equal(run(w, 2000), 0);
	assert_true(has_pod(w, "b"));
}

static void empty_folder_is_a_state(void **state)
{
	struct world *w = *state;

	make_dir(w->dir);
	assert_int_equal(start(w), 0);
	assert_true(rs_store_synced(ops->store(w->src)));
	assert_true(warns(w, "holds no manifest: no policy is in force"));
	put(w, "a.yaml", POD("a"));
	assert_int_equal(run(w, 2000), 0);
	assert_false(warns(w, "no manifest"));
	/* The folder is the same one: somebody deleted the file and meant it. */
	drop(w, "a.yaml");
	assert_int_equal(run(w, 2000), 0);
	assert_true(w->changed && !has_pod(w, "a"));
}

static void folder_by_symlink_is_followed(void **state)
{
	struct world *w = *state;
	rs_autofree char *one = rs_asprintf("%s/one", w->root);
	rs_autofree char *two = rs_asprintf("%s/two", w->root);
	rs_autofree char *three = rs_asprintf("%s/three", w->root);
	rs_autofree char *tmp = rs_asprintf("%s/tmp", w->root);

	make_dir(one);
	make_dir(two);
	make_dir(three);
	put_in(one, "a.yaml", POD("a"));
	put_in(two, "b.yaml", POD("b"));
	assert_int_equal(symlink("one", w->dir), 0);
	assert_int_equal(start(w), 0);
	assert_int_equal(symlink("two", tmp), 0);
	assert_int_equal(rename(tmp, w->dir), 0);
	assert_int_equal(run(w, 4000), 0);
	assert_true(w->changed && has_pod(w, "b") && !has_pod(w, "a"));
	assert_int_equal(symlink("three", tmp), 0);
	assert_int_equal(rename(tmp, w->dir), 0);
	assert_int_equal(run(w, 4000), -ENOTEMPTY);
	assert_true(has_pod(w, "b"));
}

/* How the kubelet swaps a ConfigMap: names link into ..data, which is renamed over. */
static void configmap_swap_is_one_reload(void **state)
{
	struct world *w = *state;
	rs_autofree char *v1 = rs_asprintf("%s/..v1", w->dir), *v2 = rs_asprintf("%s/..v2", w->dir);
	rs_autofree char *data = rs_asprintf("%s/..data", w->dir);
	rs_autofree char *tmp = rs_asprintf("%s/..data_tmp", w->dir);
	rs_autofree char *link = rs_asprintf("%s/a.yaml", w->dir);
	uint64_t before;

	make_dir(w->dir);
	make_dir(v1);
	make_dir(v2);
	put_in(v1, "a.yaml", POD("a"));
	put_in(v2, "a.yaml", POD("b"));
	assert_int_equal(symlink("..v1", data), 0);
	assert_int_equal(symlink("..data/a.yaml", link), 0);
	assert_int_equal(start(w), 0);
	assert_true(has_pod(w, "a"));
	before = rs_store_revision(ops->store(w->src));
	assert_int_equal(symlink("..v2", tmp), 0);
	assert_int_equal(rename(tmp, data), 0);
	assert_int_equal(run(w, 1000), 0);
	assert_true(w->changed && has_pod(w, "b") && !has_pod(w, "a"));
	assert_int_equal(rs_store_revision(ops->store(w->src)), before + 1);
}

static void changed_target_of_a_link_is_noticed(void **state)
{
	struct world *w = *state;
	rs_autofree char *link = rs_asprintf("%s/a.yaml", w->dir);

	make_dir(w->dir);
	put_in(w->root, "target", POD("a"));
	assert_int_equal(symlink("../target", link), 0);
	assert_int_equal(start(w), 0);
	put_in(w->root, "target", POD("bb"));
	assert_int_equal(run(w, 4000), 0);
	assert_true(w->changed && has_pod(w, "bb"));
}

static void a_file_is_no_folder(void **state)
{
	struct world *w = *state;

	put_in(w->root, "m", POD("a"));
	assert_int_equal(start(w), -ENOTDIR);
	expect_error(w, "open the folder of manifests %s: Not a directory");
}

/* Root reads everything, so this runs as nobody, in a child. */
static void unreadable_folder_keeps_the_last_good_state(void **state)
{
	struct world *w = *state;
	int status;
	pid_t pid;

	if (getuid())
		skip();
	make_dir(w->dir);
	put(w, "a.yaml", POD("a"));
	assert_int_equal(chown(w->dir, 65534, 65534), 0);
	assert_int_equal(chmod(w->root, 0755), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		int failed = setgid(65534) || setuid(65534);

		failed = failed || start(w) || chmod(w->dir, 0) || run(w, 500) != -EACCES ||
			 !has_pod(w, "a") || chmod(w->dir, 0755) || run(w, 1500) < 0;
		_exit(failed);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void open_wants_a_name(void **state)
{
	struct rs_source_config cfg = { .path = "" };
	struct world *w = *state;

	assert_int_equal(ops->open(&cfg, &w->src, &w->err), -EINVAL);
	assert_null(w->src);
	ops->close(NULL);
	make_dir(w->dir);
	put(w, "a.yaml", "]");
	{
		rs_autofree char *slashes = rs_asprintf("%s///", w->dir);

		assert_int_equal(start_at(w, slashes), -EINVAL);
		expect_error(w, "%s/a.yaml:1:1: not YAML: did not find expected node content while "
				"parsing a block node");
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(missing_folder_is_waited_for),
		TEST(removed_folder_keeps_the_last_good_state),
		TEST(moved_folder_keeps_the_last_good_state),
		TEST(empty_folder_is_a_state),
		TEST(folder_by_symlink_is_followed),
		TEST(configmap_swap_is_one_reload),
		TEST(changed_target_of_a_link_is_noticed),
		TEST(a_file_is_no_folder),
		TEST(unreadable_folder_keeps_the_last_good_state),
		TEST(open_wants_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
