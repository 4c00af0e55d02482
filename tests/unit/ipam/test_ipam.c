// SPDX-License-Identifier: Apache-2.0
/* test_ipam.c - which address is given out, when it comes back, and what bad ranges and files do. */
#include "ipam/ipam.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "ipam/lease.h"
#include "ipam/pick.h"

#define BOOT "11111111-2222-3333-4444-555555555555"
#define NEXT_BOOT "99999999-2222-3333-4444-555555555555"

static char state[64];
static int64_t now;
static const char *boot;
static struct rs_addr excluded[4];
static size_t n_excluded;

static int rm_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static int setup(void **arg)
{
	(void)arg;
	now = 1000;
	boot = BOOT;
	n_excluded = 0;
	strcpy(state, "/tmp/rs-ipam-XXXXXX");
	return mkdtemp(state) ? 0 : -1;
}

static int teardown(void **arg)
{
	(void)arg;
	return nftw(state, rm_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int try_open(const char *ranges, struct rs_ipam **out, struct rs_err *err)
{
	rs_autofree char *copy = rs_strdup(ranges);
	struct rs_cidr v[4];
	struct rs_ipam_config cfg = {
		.state_dir = state,
		.ranges = v,
		.exclude = excluded,
		.n_exclude = n_excluded,
		.rest_s = 30,
		.boot_id = boot,
		.now_s = now,
	};
	char *save = NULL, *s;

	for (s = strtok_r(copy, " ", &save); s; s = strtok_r(NULL, " ", &save))
		assert_int_equal(rs_cidr_parse(s, &v[cfg.n_ranges++], NULL, NULL), 0);
	return rs_ipam_open(&cfg, out, err);
}

static struct rs_ipam *must_open(const char *ranges)
{
	struct rs_ipam *ipam = NULL;
	rs_auto_err err = { 0 };

	if (try_open(ranges, &ipam, &err) < 0)
		fail_msg("%s", rs_err_str(&err));
	return ipam;
}

/* The addresses that a key gets, or its error code as "code N". */
static const char *get(const char *ranges, const char *id)
{
	static char text[2 * RS_ADDR_STRLEN];
	struct rs_ipam *ipam = must_open(ranges);
	char a[RS_ADDR_STRLEN], b[RS_ADDR_STRLEN];
	rs_auto_err err = { 0 };
	struct rs_addr out[2];
	size_t n;

	if (rs_ipam_acquire(ipam, id, "eth0", out, &n, &err) < 0)
		snprintf(text, sizeof(text), "code %d", err.cni);
	else
		snprintf(text, sizeof(text), "%s%s%s", rs_addr_str(&out[0], a), n > 1 ? " " : "",
			 n > 1 ? rs_addr_str(&out[1], b) : "");
	rs_ipam_close(ipam);
	return text;
}

static void drop(const char *id)
{
	struct rs_ipam *ipam = must_open("");

	assert_int_equal(rs_ipam_release(ipam, id, "eth0", NULL), 0);
	rs_ipam_close(ipam);
}

static void put_file(const char *name, const char *text)
{
	rs_autofree char *path = rs_asprintf("%s/leases/%s", state, name);
	rs_autofclose FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
}

static void put_folder(const char *name)
{
	rs_autofree char *path = rs_asprintf("%s/leases/%s", state, name);

	assert_int_equal(mkdir(path, 0700), 0);
}

static void forget(const char *name)
{
	rs_autofree char *path = rs_asprintf("%s/leases/%s", state, name);

	assert_int_equal(unlink(path), 0);
}

static void stamp(const char *name, int64_t at)
{
	rs_autofree char *path = rs_asprintf("%s/leases/%s", state, name);
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = at } };

	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static bool file_is_there(const char *name)
{
	rs_autofree char *path = rs_asprintf("%s/leases/%s", state, name);

	return access(path, F_OK) == 0;
}

struct seen {
	int held, resting, bad;
};

static int see(struct rs_lease *l, const char *name, const struct rs_err *why, void *arg)
{
	struct seen *s = arg;

	(void)name;
	if (!l) {
		assert_int_equal(why->cni, RS_CNI_LEASES);
		s->bad++;
		return 0;
	}
	*(l->state == RS_LEASE_HELD ? &s->held : &s->resting) += 1;
	rs_lease_clear(l);
	return 0;
}

static void test_walks_round_robin(void **arg)
{
	(void)arg;
	assert_string_equal(get("10.1.0.0/29", "a"), "10.1.0.1");
	assert_string_equal(get("10.1.0.0/29", "b"), "10.1.0.2");
	drop("a");
	now += 100;
	/* Never used before used, though .1 has rested enough. */
	assert_string_equal(get("10.1.0.0/29", "c"), "10.1.0.3");
	assert_string_equal(get("10.1.0.0/29", "d"), "10.1.0.4");
	drop("c");
	now += 1;
	drop("d");
	assert_string_equal(get("10.1.0.0/29", "e"), "10.1.0.5");
	assert_string_equal(get("10.1.0.0/29", "f"), "10.1.0.6");
	now += 100;
	/* Longest rested first: .1, then .3, then .4. */
	assert_string_equal(get("10.1.0.0/29", "g"), "10.1.0.1");
	assert_string_equal(get("10.1.0.0/29", "h"), "10.1.0.3");
	assert_string_equal(get("10.1.0.0/29", "i"), "10.1.0.4");
	assert_string_equal(get("10.1.0.0/29", "j"), "code 100");
}

static void test_rests_before_reuse_XF19(void **arg)
{
	struct rs_ipam *ipam;
	rs_auto_err err = { 0 };
	struct rs_addr out[2];
	size_t n;

	(void)arg;
	assert_string_equal(get("10.1.0.0/30", "a"), "10.1.0.1");
	assert_string_equal(get("10.1.0.0/30", "b"), "10.1.0.2");
	drop("b");
	now += 29;
	ipam = must_open("10.1.0.0/30");
	assert_int_equal(rs_ipam_acquire(ipam, "c", "eth0", out, &n, &err), -EAGAIN);
	assert_int_equal(err.cni, RS_CNI_TRY_AGAIN);
	assert_non_null(strstr(rs_err_str(&err), "free in 1 s"));
	assert_int_equal(rs_ipam_check_free(ipam, NULL), -EAGAIN);
	rs_ipam_close(ipam);
	now += 1;
	assert_string_equal(get("10.1.0.0/30", "c"), "10.1.0.2");
}

/* A stamp from the future must neither free an address at once nor keep it for ever. */
static void test_clock_that_jumped_back(void **arg)
{
	(void)arg;
	get("10.1.0.0/30", "a");
	get("10.1.0.0/30", "b");
	now += 100000;
	drop("a");
	now -= 100000;
	assert_string_equal(get("10.1.0.0/30", "c"), "code 11");
	now += 30;
	assert_string_equal(get("10.1.0.0/30", "c"), "10.1.0.1");
}

static void test_edges_are_not_given_out_XF17(void **arg)
{
	(void)arg;
	rs_addr_parse("10.1.0.1", &excluded[0], NULL);
	rs_addr_parse("10.1.0.2", &excluded[1], NULL);
	rs_addr_parse("10.9.0.2", &excluded[2], NULL);
	n_excluded = 3;
	assert_string_equal(get("10.1.0.0/29", "a"), "10.1.0.3");
	assert_string_equal(get("10.1.0.0/29", "b"), "10.1.0.4");
	assert_string_equal(get("10.1.0.0/29", "c"), "10.1.0.5");
	assert_string_equal(get("10.1.0.0/29", "d"), "10.1.0.6");
	assert_string_equal(get("10.1.0.0/29", "e"), "code 100");
}

static void test_tiny_ranges_XF17(void **arg)
{
	(void)arg;
	assert_string_equal(get("10.1.0.0/31", "a"), "10.1.0.0");
	assert_string_equal(get("10.1.0.0/31", "b"), "10.1.0.1");
	assert_string_equal(get("10.1.0.0/31", "c"), "code 100");
	assert_string_equal(get("10.2.0.5/32", "d"), "10.2.0.5");
	assert_string_equal(get("10.2.0.5/32", "e"), "code 100");
	assert_string_equal(get("fd00::/127", "f"), "fd00::");
	assert_string_equal(get("fd00::9/128", "g"), "fd00::9");
	assert_string_equal(get("fd00::4/126", "h"), "fd00::5");
}

static void test_top_of_the_space_XF17(void **arg)
{
	static const char top[] = "fdff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127";

	(void)arg;
	assert_string_equal(get(top, "a"), "fdff:ffff:ffff:ffff:ffff:ffff:ffff:fffe");
	assert_string_equal(get(top, "b"), "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	assert_string_equal(get(top, "c"), "code 100");
}

static void test_both_families_or_none(void **arg)
{
	struct rs_ipam_usage u;
	struct rs_ipam *ipam;

	(void)arg;
	assert_string_equal(get("fd00::/64 10.1.0.0/30", "a"), "10.1.0.1 fd00::1");
	assert_string_equal(get("fd00::/64 10.1.0.0/30", "b"), "10.1.0.2 fd00::2");
	assert_string_equal(get("fd00::/64 10.1.0.0/30", "c"), "code 100");
	ipam = must_open("fd00::/64 10.1.0.0/30");
	assert_int_equal(rs_ipam_usage(ipam, &u, NULL), 0);
	assert_int_equal(u.held, 4);
	assert_true(u.total == UINT64_MAX);
	rs_ipam_close(ipam);
}

static void test_second_range_when_the_first_is_full(void **arg)
{
	(void)arg;
	assert_string_equal(get("10.1.0.0/31 10.2.0.0/24", "a"), "10.1.0.0");
	assert_string_equal(get("10.1.0.0/31 10.2.0.0/24", "b"), "10.1.0.1");
	assert_string_equal(get("10.1.0.0/31 10.2.0.0/24", "c"), "10.2.0.1");
}

static void test_one_key_holds_once_XF3(void **arg)
{
	(void)arg;
	assert_string_equal(get("10.1.0.0/24", "a"), "10.1.0.1");
	assert_string_equal(get("10.1.0.0/24", "a"), "code 105");
	drop("a");
	assert_string_equal(get("10.1.0.0/24", "a"), "10.1.0.2");
}

static void test_release_compares_the_key_XF7(void **arg)
{
	struct rs_ipam *ipam;
	struct rs_addr a;

	(void)arg;
	get("10.1.0.0/24", "a");
	drop("b");
	drop("never");
	ipam = must_open("10.1.0.0/24");
	assert_int_equal(rs_ipam_release(ipam, "a", "eth1", NULL), 0);
	rs_addr_parse("10.1.0.1", &a, NULL);
	assert_int_equal(rs_ipam_verify(ipam, "a", "eth0", &a, 1, NULL), 0);
	assert_int_equal(rs_ipam_verify(ipam, "a", "eth0", &a, 0, NULL), -ENOENT);
	assert_int_equal(rs_ipam_verify(ipam, "b", "eth0", &a, 1, NULL), -ENOENT);
	rs_ipam_close(ipam);
	drop("a");
	drop("a");
	ipam = must_open("10.1.0.0/24");
	assert_int_equal(rs_ipam_verify(ipam, "a", "eth0", &a, 1, NULL), -ENOENT);
	rs_ipam_close(ipam);
}

static void test_leases_of_another_boot_are_void_XF1(void **arg)
{
	struct rs_ipam_usage u;
	struct rs_ipam *ipam;

	(void)arg;
	get("10.1.0.0/30", "a");
	get("10.1.0.0/30", "b");
	drop("b");
	boot = NEXT_BOOT;
	ipam = must_open("10.1.0.0/30");
	assert_int_equal(rs_ipam_usage(ipam, &u, NULL), 0);
	assert_int_equal(u.total, 2);
	assert_int_equal(u.held, 0);
	assert_int_equal(u.resting, 0);
	assert_int_equal(rs_ipam_check_free(ipam, NULL), 0);
	rs_ipam_close(ipam);
	/* The same key again, and at once. */
	assert_string_equal(get("10.1.0.0/30", "b"), "10.1.0.1");
	assert_string_equal(get("10.1.0.0/30", "a"), "10.1.0.2");
	assert_string_equal(get("10.1.0.0/30", "c"), "code 100");
}

/* Whose a damaged file is nobody can tell: its own address is given to no one, the others are. */
static void test_a_damaged_file_blocks_its_own_address_XF16(void **arg)
{
	static const char *const texts[] = { "",	 "{",	      "null", "{\"version\":1}",
					     "\xff\xfe", "\"bootID\"" };
	struct rs_ipam *ipam;
	rs_auto_err err = { 0 };
	struct rs_addr out[2];
	size_t i, n;

	(void)arg;
	get("10.1.0.0/29", "a");
	for (i = 0; i < RS_ARRAY_SIZE(texts); i++) {
		put_file("10.1.0.2", texts[i]);
		assert_string_equal(get("10.1.0.0/29", "b"), "10.1.0.3");
		drop("b");
		forget("10.1.0.3.resting");
	}
	/* Nor by a release, whatever the record says. */
	ipam = must_open("10.1.0.0/29");
	rs_addr_parse("10.1.0.2", &out[0], NULL);
	assert_int_equal(rs_ipam_release_addrs(ipam, "b", "eth0", out, 1, NULL), 0);
	assert_true(file_is_there("10.1.0.2"));
	assert_int_equal(rs_ipam_check_free(ipam, NULL), 0);
	/* Once it is what is missing, it is named. */
	assert_string_equal(get("10.1.0.0/29", "w"), "10.1.0.3");
	assert_string_equal(get("10.1.0.0/29", "x"), "10.1.0.4");
	assert_string_equal(get("10.1.0.0/29", "y"), "10.1.0.5");
	assert_string_equal(get("10.1.0.0/29", "z"), "10.1.0.6");
	assert_int_equal(rs_ipam_check_free(ipam, NULL), -EBADMSG);
	assert_int_equal(rs_ipam_acquire(ipam, "b", "eth0", out, &n, &err), -EBADMSG);
	assert_int_equal(err.cni, RS_CNI_LEASES);
	assert_non_null(strstr(rs_err_str(&err), "no address is left"));
	assert_non_null(strstr(rs_err_str(&err), "leases/10.1.0.2"));
	assert_non_null(err.hint);
	/* A release goes on all the same. */
	assert_int_equal(rs_ipam_release(ipam, "a", "eth0", NULL), 0);
	assert_true(file_is_there("10.1.0.1.resting"));
	rs_ipam_close(ipam);
}

/* A file with damage elsewhere is no reason for an empty pool. */
static void test_damage_outside_the_ranges_XF16(void **arg)
{
	(void)arg;
	assert_string_equal(get("10.1.0.0/31", "a"), "10.1.0.0");
	put_file("10.9.0.2", "x");
	put_file("what-is-this", "x");
	assert_string_equal(get("10.1.0.0/31", "b"), "10.1.0.1");
	assert_string_equal(get("10.1.0.0/31", "c"), "code 100");
}

/* A rest is told by name and time; a text that was damaged meanwhile changes nothing about it. */
static void test_a_damaged_text_rests_all_the_same_XF16(void **arg)
{
	(void)arg;
	get("10.1.0.0/31", "a");
	get("10.1.0.0/31", "b");
	drop("a");
	put_file("10.1.0.0.resting", "x");
	stamp("10.1.0.0.resting", now);
	now += 29;
	assert_string_equal(get("10.1.0.0/31", "c"), "code 11");
	now += 1;
	assert_string_equal(get("10.1.0.0/31", "c"), "10.1.0.0");
	/* What is no file cannot be given out. */
	drop("c");
	forget("10.1.0.0.resting");
	put_folder("10.1.0.0.resting");
	now += 100;
	assert_string_equal(get("10.1.0.0/31", "d"), "code 103");
}

/* A name has one form only; what has another, or is none, is nobody's lease and in nobody's way but
 * its address's. */
static void test_misnamed_files_are_damage_XF16(void **arg)
{
	static const char *const names[] = { "10.1.0.9", "010.1.0.1", "10.1.0.1.bak", "core",
					     "FD00::1" };
	struct rs_lease l = { .container_id = (char *)"a",
			      .ifname = (char *)"eth0",
			      .boot_id = (char *)BOOT,
			      .since_s = 5 };
	rs_autofree char *text = NULL;
	struct rs_ipam *ipam;
	size_t i;

	(void)arg;
	rs_addr_parse("10.1.0.1", &l.addr, NULL);
	text = rs_lease_to_json(&l);
	get("10.1.0.0/24", "x");
	for (i = 0; i < RS_ARRAY_SIZE(names); i++) {
		struct seen s = { 0 };

		put_file(names[i], text);
		ipam = must_open("10.1.0.0/24");
		assert_int_equal(rs_ipam_each(ipam, see, &s, NULL), 0);
		assert_int_equal(s.bad, 1);
		rs_ipam_close(ipam);
		assert_string_equal(get("10.1.0.0/24", "b"), i ? "10.1.0.2" : "10.1.0.10");
		drop("b");
		forget(i ? "10.1.0.2.resting" : "10.1.0.10.resting");
		forget(names[i]);
	}
	put_file("FD00::1", text);
	assert_string_equal(get("fd00::/64", "c"), "fd00::2");
	put_file(".hidden", text);
	assert_string_equal(get("10.1.0.0/24", "b"), "10.1.0.2");
}

/* Held files are searched, not parsed: one name within another, and our own words elsewhere. */
static void test_whose_a_lease_is_XF3(void **arg)
{
	struct rs_lease l = { .container_id = (char *)"held",
			      .ifname = (char *)"eth0",
			      .boot_id = (char *)BOOT,
			      .since_s = 5 };
	rs_autofree char *text = NULL;

	(void)arg;
	assert_string_equal(get("10.1.0.0/24", "web-10"), "10.1.0.1");
	assert_string_equal(get("10.1.0.0/24", "web-1"), "10.1.0.2");
	assert_string_equal(get("10.1.0.0/24", "eth0"), "10.1.0.3");
	assert_string_equal(get("10.1.0.0/24", "state"), "10.1.0.4");
	assert_string_equal(get("10.1.0.0/24", "web-1"), "code 105");
	/* Written otherwise, with blanks, it is a lease all the same. */
	rs_addr_parse("10.1.0.5", &l.addr, NULL);
	text = rs_asprintf("{\"version\": 1, \"address\": \"10.1.0.5\", \"state\": \"held\", "
			   "\"containerID\": \"held\", \"ifname\": \"eth0\", "
			   "\"bootID\": \"%s\", \"since\": 5}",
			   BOOT);
	put_file("10.1.0.5", text);
	assert_string_equal(get("10.1.0.0/24", "held"), "code 105");
	assert_string_equal(get("10.1.0.0/24", "other"), "10.1.0.6");
}

static void test_release_by_address_compares_the_key_XF7(void **arg)
{
	struct rs_addr a[2];
	struct rs_ipam *ipam;

	(void)arg;
	get("10.1.0.0/24 fd00::/64", "a");
	get("10.1.0.0/24 fd00::/64", "b");
	rs_addr_parse("10.1.0.1", &a[0], NULL);
	rs_addr_parse("fd00::1", &a[1], NULL);
	ipam = must_open("10.1.0.0/24 fd00::/64");
	assert_int_equal(rs_ipam_release_addrs(ipam, "b", "eth0", a, 2, NULL), 0);
	assert_int_equal(rs_ipam_release_addrs(ipam, "a", "eth1", a, 2, NULL), 0);
	assert_true(file_is_there("10.1.0.1") && file_is_there("fd00::1"));
	assert_int_equal(rs_ipam_release_addrs(ipam, "a", "eth0", a, 2, NULL), 0);
	assert_true(file_is_there("10.1.0.1.resting") && file_is_there("fd00::1.resting"));
	assert_true(file_is_there("10.1.0.2") && file_is_there("fd00::2"));
	assert_int_equal(rs_ipam_release_addrs(ipam, "a", "eth0", a, 2, NULL), 0);
	rs_ipam_close(ipam);
}

static void test_cut_and_flipped_text_XF16(void **arg)
{
	struct rs_lease l = { .container_id = (char *)"a",
			      .ifname = (char *)"eth0",
			      .boot_id = (char *)BOOT,
			      .since_s = 5 },
			back;
	rs_autofree char *text = NULL;
	size_t i, bit, len;

	(void)arg;
	rs_addr_parse("10.1.0.1", &l.addr, NULL);
	text = rs_lease_to_json(&l);
	len = strlen(text);
	for (i = 0; i < len; i++) {
		assert_int_equal(rs_lease_from_json(text, i, &back, NULL), -EBADMSG);
		for (bit = 0; bit < 8; bit++) {
			text[i] ^= (char)(1 << bit);
			if (rs_lease_from_json(text, len, &back, NULL) == 0)
				rs_lease_clear(&back);
			text[i] ^= (char)(1 << bit);
		}
	}
	assert_int_equal(rs_lease_from_json(text, len, &back, NULL), 0);
	assert_string_equal(back.container_id, "a");
	rs_lease_clear(&back);
}

static void test_bad_ranges(void **arg)
{
	static const char *const bad[] = { "0.0.0.0/0",
					   "::/0",
					   "127.0.0.0/24",
					   "126.0.0.0/7",
					   "169.254.1.0/24",
					   "224.1.0.0/16",
					   "0.1.0.0/16",
					   "fd00::/63",
					   "fe80::/64",
					   "ff02::/64",
					   "::/64",
					   "::ffff:10.0.0.0/120",
					   "10.1.0.0/16 10.1.5.0/24",
					   "240.0.0.0/4" };
	size_t i;

	(void)arg;
	for (i = 0; i < RS_ARRAY_SIZE(bad); i++) {
		struct rs_ipam *ipam = NULL;
		rs_auto_err err = { 0 };

		if (try_open(bad[i], &ipam, &err) != -EINVAL || err.cni != RS_CNI_CONFIG)
			fail_msg("taken: %s", bad[i]);
		assert_null(ipam);
	}
	assert_string_equal(get("", "a"), "code 7");
}

static bool keep_b(const char *container_id, const char *ifname, void *arg)
{
	(void)ifname, (void)arg;
	return !strcmp(container_id, "b");
}

static void test_sweep_takes_the_rest_XF18(void **arg)
{
	struct rs_ipam_usage u;
	struct rs_ipam *ipam;

	(void)arg;
	get("10.1.0.0/24", "a");
	get("10.1.0.0/24", "b");
	get("10.1.0.0/24", "c");
	ipam = must_open("10.1.0.0/24");
	assert_int_equal(rs_ipam_sweep(ipam, keep_b, NULL, NULL), 2);
	assert_int_equal(rs_ipam_sweep(ipam, keep_b, NULL, NULL), 0);
	assert_int_equal(rs_ipam_usage(ipam, &u, NULL), 0);
	assert_int_equal(u.total, 254);
	assert_int_equal(u.held, 1);
	assert_int_equal(u.resting, 2);
	rs_ipam_close(ipam);
}

static void test_each_tells_all(void **arg)
{
	struct rs_ipam *ipam;
	struct seen s = { 0 };

	(void)arg;
	get("10.1.0.0/24", "a");
	get("10.1.0.0/24", "b");
	drop("a");
	put_file("10.1.0.77", "x");
	ipam = must_open("10.1.0.0/24");
	assert_int_equal(rs_ipam_each(ipam, see, &s, NULL), 0);
	assert_int_equal(s.held, 1);
	assert_int_equal(s.resting, 1);
	assert_int_equal(s.bad, 1);
	rs_ipam_close(ipam);
}

/* A /64 is 2^64 addresses: the time must follow the files, and their number must stay small. */
static void test_big_range_stays_small(void **arg)
{
	struct seen s = { 0 };
	struct rs_ipam *ipam;
	int i;

	(void)arg;
	assert_string_equal(get("fd00::/64", "keeper"), "fd00::1");
	for (i = 0; i < PICK_KEEP + 60; i++) {
		assert_int_equal(strncmp(get("fd00::/64", "a"), "fd00::", 6), 0);
		drop("a");
		now += 31;
	}
	ipam = must_open("fd00::/64");
	assert_int_equal(rs_ipam_each(ipam, see, &s, NULL), 0);
	assert_int_equal(s.held, 1);
	assert_in_range(s.resting, PICK_KEEP, PICK_KEEP + 1);
	rs_ipam_close(ipam);
	/* Forward all the same: nothing that was dropped comes back while the range has more. */
	assert_string_equal(get("fd00::/64", "z"), "fd00::13e");
}

/* Thousands of random steps against a model: no duplicate, none before its rest is over. */
static void test_random_history_XF4(void **arg)
{
	char holder[15][8] = { "" };
	int64_t freed[15];
	unsigned int seed = 7;
	int step, i, next_id = 0;

	(void)arg;
	for (i = 0; i < 15; i++)
		freed[i] = -1000;
	for (step = 0; step < 1500; step++) {
		now += rand_r(&seed) % 8;
		i = rand_r(&seed) % 15;
		if (rand_r(&seed) % 2 && holder[i][0]) {
			drop(holder[i]);
			holder[i][0] = '\0';
			freed[i] = now;
			continue;
		}
		char id[8];
		const char *got;

		snprintf(id, sizeof(id), "c%d", next_id++);
		got = get("10.1.0.0/28", id);
		if (!strncmp(got, "code", 4)) {
			for (i = 1; i < 15; i++)
				assert_true(holder[i][0] || now - freed[i] < 30);
			continue;
		}
		i = atoi(got + strlen("10.1.0."));
		assert_in_range(i, 1, 14);
		assert_string_equal(holder[i], "");
		assert_true(now - freed[i] >= 30);
		strcpy(holder[i], id);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_walks_round_robin),
		T(test_rests_before_reuse_XF19),
		T(test_clock_that_jumped_back),
		T(test_edges_are_not_given_out_XF17),
		T(test_tiny_ranges_XF17),
		T(test_top_of_the_space_XF17),
		T(test_both_families_or_none),
		T(test_second_range_when_the_first_is_full),
		T(test_one_key_holds_once_XF3),
		T(test_release_compares_the_key_XF7),
		T(test_leases_of_another_boot_are_void_XF1),
		T(test_a_damaged_file_blocks_its_own_address_XF16),
		T(test_damage_outside_the_ranges_XF16),
		T(test_a_damaged_text_rests_all_the_same_XF16),
		T(test_misnamed_files_are_damage_XF16),
		T(test_whose_a_lease_is_XF3),
		T(test_release_by_address_compares_the_key_XF7),
		T(test_cut_and_flipped_text_XF16),
		T(test_bad_ranges),
		T(test_sweep_takes_the_rest_XF18),
		T(test_each_tells_all),
		T(test_big_range_stays_small),
		T(test_random_history_XF4),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
