// SPDX-License-Identifier: Apache-2.0
/* test_ipam_crash.c - leases when writers die, race, or find the disk full or read-only. */
#include "ipam/ipam.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"

#define BOOT "11111111-2222-3333-4444-555555555555"
#define WRITERS 50
#define POOL "10.1.0.0/28" /* 14 addresses */

static char state[64];

static int rm_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static int setup(void **arg)
{
	(void)arg;
	strcpy(state, "/tmp/rs-ipamc-XXXXXX");
	return mkdtemp(state) ? 0 : -1;
}

static int teardown(void **arg)
{
	(void)arg;
	return nftw(state, rm_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct rs_ipam *open_pool(const char *dir, uint32_t rest_s, struct rs_err *err)
{
	struct rs_cidr range;
	/* Patient: fifty writers of a loaded machine may wait long, and the lock is not tested. */
	struct rs_ipam_config cfg = { .state_dir = dir,
				      .ranges = &range,
				      .n_ranges = 1,
				      .rest_s = rest_s,
				      .boot_id = BOOT,
				      .lock_ms = 120000 };
	struct rs_ipam *ipam = NULL;

	rs_cidr_parse(POOL, &range, NULL, NULL);
	rs_ipam_open(&cfg, &ipam, err);
	return ipam;
}

static void put_file(const char *name, const char *text)
{
	rs_autofree char *path = rs_asprintf("%s/leases/%s", state, name);
	rs_autofclose FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
}

/* What a kill can leave behind, at every point between two system calls. */
static void test_leftovers_of_a_killed_writer_XF10(void **arg)
{
	struct rs_ipam *ipam = open_pool(state, 30, NULL);
	rs_autofree char *held = rs_asprintf("%s/leases/10.1.0.1", state);
	rs_autofree char *resting = rs_asprintf("%s/leases/10.1.0.1.resting", state);
	rs_autofree char *text = NULL;
	rs_autofree char *tmp = rs_asprintf("%s/leases/.00000000000000ff.tmp", state);
	struct rs_addr a, out[2];
	struct rs_ipam_usage u;
	size_t n;

	(void)arg;
	/* Before the link: a temporary file, empty or whole. */
	put_file(".00000000000000ff.tmp", "{\"version\":1,");
	assert_int_equal(rs_ipam_acquire(ipam, "a", "eth0", out, &n, NULL), 0);
	assert_int_equal(access(tmp, F_OK), -1);
	rs_addr_parse("10.1.0.1", &a, NULL);
	assert_int_equal(rs_addr_cmp(&a, &out[0]), 0);
	/* Between link and unlink of the temporary file. */
	assert_int_equal(link(held, tmp), 0);
	assert_int_equal(rs_ipam_verify(ipam, "a", "eth0", &a, 1, NULL), 0);
	/* Between taking a rested address and dropping its old file: the holder counts. */
	assert_int_equal(rs_file_read(held, 4096, &text, NULL, NULL), 0);
	put_file("10.1.0.1.resting", text);
	assert_int_equal(rs_ipam_usage(ipam, &u, NULL), 0);
	assert_int_equal(u.held, 1);
	assert_int_equal(u.resting, 0);
	assert_int_equal(rs_ipam_acquire(ipam, "b", "eth0", out, &n, NULL), 0);
	assert_int_not_equal(rs_addr_cmp(&a, &out[0]), 0);
	assert_int_equal(rs_ipam_verify(ipam, "a", "eth0", &a, 1, NULL), 0);
	/* And it can be released over that leftover. */
	assert_int_equal(rs_ipam_release(ipam, "a", "eth0", NULL), 0);
	assert_int_equal(access(held, F_OK), -1);
	assert_int_equal(access(resting, F_OK), 0);
	rs_ipam_close(ipam);
}

/* One writer: takes and gives back, and marks in a file of its own making what it holds. O_EXCL
 * fails if somebody else marks the same address. */
static int writer(int nr, int rounds, bool leave)
{
	rs_auto_err err = { 0 };
	struct rs_ipam *ipam = open_pool(state, 0, &err);
	struct rs_addr out[2];
	char id[16], text[RS_ADDR_STRLEN];
	size_t n;
	int i, rc;

	snprintf(id, sizeof(id), "c%d", nr);
	for (i = 0; i < rounds; i++) {
		rs_autofree char *mark = NULL;
		int fd;

		rc = rs_ipam_acquire(ipam, id, "eth0", out, &n, &err);
		if (rc < 0 && err.cni == RS_CNI_POOL)
			continue;
		if (rc < 0)
			return 2;
		mark = rs_asprintf("%s/mark-%s", state, rs_addr_str(&out[0], text));
		fd = open(mark, O_CREAT | O_EXCL | O_WRONLY, 0600);
		if (fd < 0)
			return 3;
		close(fd);
		if (leave)
			return 0;
		if (unlink(mark) < 0 || rs_ipam_release(ipam, id, "eth0", &err) < 0)
			return 4;
	}
	rs_ipam_close(ipam);
	return 0;
}

static void run_writers(int rounds)
{
	int i, status;

	for (i = 0; i < WRITERS; i++)
		if (fork() == 0)
			_exit(writer(i, rounds, false));
	while (wait(&status) > 0)
		assert_int_equal(status, 0);
}

static void test_fifty_at_once_XF9(void **arg)
{
	struct rs_ipam_usage u;
	struct rs_ipam *ipam;

	(void)arg;
	run_writers(20);
	ipam = open_pool(state, 0, NULL);
	assert_int_equal(rs_ipam_usage(ipam, &u, NULL), 0);
	assert_int_equal(u.held, 0);
	assert_int_equal(u.total, 14);
	rs_ipam_close(ipam);
}

/* Writers that die at random points: what is left is held or free, and the pool is whole after
 * their DELs. */
static void test_killed_writers_lose_nothing_XF10(void **arg)
{
	struct rs_ipam *ipam = open_pool(state, 0, NULL);
	unsigned int seed = 3;
	struct rs_ipam_usage u;
	struct rs_addr out[2];
	char id[16];
	size_t n;
	int i;

	(void)arg;
	for (i = 0; i < 150; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			struct rs_ipam *mine = open_pool(state, 0, NULL);

			for (;;) {
				rs_ipam_acquire(mine, "victim", "eth0", out, &n, NULL);
				rs_ipam_release(mine, "victim", "eth0", NULL);
			}
		}
		usleep(300 + (useconds_t)(rand_r(&seed) % 3000));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		assert_int_equal(rs_ipam_usage(ipam, &u, NULL), 0);
		assert_in_range(u.held, 0, 1);
		assert_int_equal(rs_ipam_release(ipam, "victim", "eth0", NULL), 0);
	}
	for (i = 0; i < 14; i++) {
		snprintf(id, sizeof(id), "c%d", i);
		assert_int_equal(rs_ipam_acquire(ipam, id, "eth0", out, &n, NULL), 0);
	}
	assert_int_equal(rs_ipam_acquire(ipam, "one-more", "eth0", out, &n, NULL), -EADDRNOTAVAIL);
	rs_ipam_close(ipam);
}

/* A state folder on a file system of its own, in a mount namespace of a child's own. */
static int in_tmpfs(const char *options, int (*fn)(const char *dir))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0 ||
		    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount("none", state, "tmpfs", 0, options) < 0)
			_exit(77);
		_exit(fn(state));
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void fill_up(const char *dir)
{
	rs_autofree char *path = rs_asprintf("%s/filler", dir);
	rs_autoclose int fd = open(path, O_CREAT | O_WRONLY, 0600);
	char block[4096] = { 1 };

	while (write(fd, block, sizeof(block)) > 0)
		;
}

static int on_full_disk(const char *dir)
{
	rs_auto_err err = { 0 };
	struct rs_ipam *ipam = open_pool(dir, 30, &err);
	struct rs_ipam_usage u;
	struct rs_addr out[2];
	size_t n;

	if (!ipam || rs_ipam_acquire(ipam, "a", "eth0", out, &n, &err) < 0)
		return 1;
	fill_up(dir);
	if (rs_ipam_acquire(ipam, "b", "eth0", out, &n, &err) != -ENOSPC)
		return 2;
	if (err.cni != RS_CNI_IO || !strstr(err.msg, "/leases") || !err.hint)
		return 3;
	rs_err_clear(&err);
	/* Nothing half-held, and a DEL needs no space: the address rests, it is not free at once. */
	if (rs_ipam_usage(ipam, &u, NULL) < 0 || u.held != 1 || u.resting != 0)
		return 4;
	if (rs_ipam_release(ipam, "a", "eth0", &err) < 0)
		return 5;
	if (rs_ipam_usage(ipam, &u, NULL) < 0 || u.held != 0 || u.resting != 1)
		return 6;
	rs_ipam_close(ipam);
	return 0;
}

static void test_full_disk_XF15(void **arg)
{
	int rc = in_tmpfs("size=64k", on_full_disk);

	(void)arg;
	if (rc == 77)
		skip();
	assert_int_equal(rc, 0);
}

static int without_inodes(const char *dir)
{
	rs_auto_err err = { 0 };
	struct rs_ipam *ipam = open_pool(dir, 30, &err);
	struct rs_addr out[2];
	size_t n;

	if (!ipam || rs_ipam_acquire(ipam, "a", "eth0", out, &n, &err) < 0)
		return 1;
	while (rs_ipam_acquire(ipam, "b", "eth0", out, &n, &err) == 0)
		rs_ipam_release(ipam, "b", "eth0", NULL);
	if (err.num != ENOSPC || err.cni != RS_CNI_IO)
		return 2;
	return rs_ipam_release(ipam, "a", "eth0", &err) < 0 ? 3 : 0;
}

static void test_no_inode_left_XF15(void **arg)
{
	int rc = in_tmpfs("nr_inodes=8", without_inodes);

	(void)arg;
	if (rc == 77)
		skip();
	assert_int_equal(rc, 0);
}

static int make_filler(const char *dir, int nr)
{
	rs_autofree char *path = rs_asprintf("%s/filler%d", dir, nr);
	rs_autoclose int fd = open(path, O_CREAT | O_WRONLY, 0600);

	return fd < 0 ? -1 : 0;
}

/* Room for the first family's lease, not for the second's: neither may stay. */
static int half_of_a_pair(const char *dir)
{
	struct rs_cidr v[2];
	struct rs_ipam_config cfg = {
		.state_dir = dir, .ranges = v, .n_ranges = 2, .rest_s = 30, .boot_id = BOOT
	};
	struct rs_ipam *ipam = NULL;
	struct rs_ipam_usage u;
	struct rs_addr out[2];
	size_t n;
	int i, nr = 0;

	rs_cidr_parse(POOL, &v[0], NULL, NULL);
	rs_cidr_parse("fd00::/120", &v[1], NULL, NULL);
	if (rs_ipam_open(&cfg, &ipam, NULL) < 0)
		return 1;
	while (make_filler(dir, nr) == 0)
		nr++;
	/* tmpfs counts a link as an inode: two for a lease that is being written, one when it is. */
	for (i = 0; i < 2; i++) {
		rs_autofree char *path = rs_asprintf("%s/filler%d", dir, --nr);

		unlink(path);
	}
	if (rs_ipam_acquire(ipam, "a", "eth0", out, &n, NULL) != -ENOSPC || n != 0)
		return 2;
	if (rs_ipam_usage(ipam, &u, NULL) < 0 || u.held || u.resting)
		return 3;
	return 0;
}

static void test_all_families_or_none_XF15(void **arg)
{
	int rc = in_tmpfs("nr_inodes=32", half_of_a_pair);

	(void)arg;
	if (rc == 77)
		skip();
	assert_int_equal(rc, 0);
}

static int on_read_only_disk(const char *dir)
{
	rs_auto_err err = { 0 };
	struct rs_ipam *ipam = open_pool(dir, 30, &err);
	struct rs_addr out[2];
	size_t n;

	if (!ipam || rs_ipam_acquire(ipam, "a", "eth0", out, &n, &err) < 0)
		return 1;
	if (mount(NULL, dir, NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
		return 77;
	if (rs_ipam_acquire(ipam, "b", "eth0", out, &n, &err) != -EROFS || err.cni != RS_CNI_IO)
		return 2;
	if (!strstr(err.msg, dir) || !err.hint)
		return 3;
	rs_err_clear(&err);
	if (rs_ipam_release(ipam, "a", "eth0", &err) != -EROFS || err.cni != RS_CNI_IO)
		return 4;
	rs_ipam_close(ipam);
	/* It can be opened and read still. */
	ipam = open_pool(dir, 30, &err);
	return !ipam || rs_ipam_verify(ipam, "a", "eth0", out, 0, NULL) != -ENOENT ? 5 : 0;
}

static void test_read_only_disk_XF15(void **arg)
{
	int rc = in_tmpfs("size=64k", on_read_only_disk);

	(void)arg;
	if (rc == 77)
		skip();
	assert_int_equal(rc, 0);
}

static void test_folder_of_others_is_refused_XG8(void **arg)
{
	rs_autofree char *path = rs_asprintf("%s/leases", state);
	rs_auto_err err = { 0 };

	(void)arg;
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chmod(path, 0777), 0);
	assert_null(open_pool(state, 30, &err));
	assert_int_equal(err.num, EACCES);
	assert_int_equal(err.cni, RS_CNI_IO);
	assert_non_null(strstr(err.msg, path));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_leftovers_of_a_killed_writer_XF10),
		T(test_fifty_at_once_XF9),
		T(test_killed_writers_lose_nothing_XF10),
		T(test_full_disk_XF15),
		T(test_no_inode_left_XF15),
		T(test_all_families_or_none_XF15),
		T(test_read_only_disk_XF15),
		T(test_folder_of_others_is_refused_XG8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
