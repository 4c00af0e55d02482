// SPDX-License-Identifier: Apache-2.0
/* test_inventory.c - a state folder with one thing wrong at a time, and what is said of it. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ripstop/endpoint.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "base/file.h"
#include "base/jsonio.h"
#include "inventory/inventory.h"
#include "ipam/ipam.h"

#define OLD_S 1000

static struct {
	char dir[64];
	char boot_id[RS_BOOT_ID_LEN];
	struct rs_cidr range;
	struct rs_ipam *ipam;
	struct rs_endpoint_store *records;
	struct rs_inventory_link link;
	int64_t now_s;
} bed;

static void open_ipam(const char *boot_id, int64_t now_s)
{
	struct rs_ipam_config cfg = { .state_dir = bed.dir,
				      .ranges = &bed.range,
				      .n_ranges = 1,
				      .rest_s = 30,
				      .boot_id = boot_id,
				      .now_s = now_s };
	rs_auto_err err = { 0 };

	rs_ipam_close(bed.ipam);
	assert_int_equal(rs_ipam_open(&cfg, &bed.ipam, &err), 0);
}

static int setup(void **state)
{
	struct timespec now;
	rs_auto_err err = { 0 };

	(void)state;
	memset(&bed, 0, sizeof(bed));
	strcpy(bed.dir, "/tmp/rs-inventory-XXXXXX");
	assert_non_null(mkdtemp(bed.dir));
	assert_int_equal(rs_boot_id(bed.boot_id, &err), 0);
	assert_int_equal(rs_cidr_parse("10.9.0.0/29", &bed.range, NULL, &err), 0);
	clock_gettime(CLOCK_BOOTTIME, &now);
	bed.now_s = now.tv_sec;
	open_ipam(bed.boot_id, bed.now_s > OLD_S ? bed.now_s - OLD_S : 1);
	assert_int_equal(rs_endpoint_store_open(bed.dir, &bed.records, &err), 0);
	strcpy(bed.link.name, "rslink");
	bed.link.of_pod = true;
	return 0;
}

static int teardown(void **state)
{
	rs_autofree char *command = rs_asprintf("rm -rf %s", bed.dir);

	(void)state;
	rs_ipam_close(bed.ipam);
	rs_endpoint_store_close(bed.records);
	return system(command);
}

static struct rs_addr lease(const char *id)
{
	struct rs_addr out[2];
	rs_auto_err err = { 0 };
	size_t n;

	assert_int_equal(rs_ipam_acquire(bed.ipam, id, "eth0", out, &n, &err), 0);
	assert_int_equal(n, 1);
	return out[0];
}

static void record(const char *id, const struct rs_addr *a, enum rs_endpoint_state s, bool external)
{
	struct rs_endpoint e = { .state = s,
				 .container_id = (char *)(uintptr_t)id,
				 .ifname = (char *)(uintptr_t) "eth0",
				 .network = (char *)(uintptr_t) "net",
				 .netns = (char *)(uintptr_t) "/run/netns/x",
				 .boot_id = bed.boot_id,
				 .pod_ns = (char *)(uintptr_t) "shop",
				 .pod_name = (char *)(uintptr_t)id,
				 .host_ifname = "rslink",
				 .host_ifindex = 7,
				 .pod_mac = { 2, 0, 0, 0, 0, 1 },
				 .host_mac = { 2, 0, 0, 0, 0, 2 },
				 .mtu = 1500,
				 .ips = { *a },
				 .n_ips = 1,
				 .ipam_external = external,
				 .created_s = (int64_t)time(NULL) - OLD_S };
	rs_auto_err err = { 0 };

	if (rs_endpoint_create(bed.records, &e, &err) < 0)
		fail_msg("%s", rs_err_str(&err));
}

static struct json_object *look(const char *cache)
{
	struct rs_inventory_config cfg = { .state_dir = bed.dir,
					   .ranges = &bed.range,
					   .n_ranges = 1,
					   .rest_s = 30,
					   .links = &bed.link,
					   .n_links = 1,
					   .knows_pod_links = true,
					   .cni_cache = cache };
	struct json_object *o = json_object_new_object();
	rs_auto_err err = { 0 };

	if (rs_inventory_json(&cfg, true, o, &err) < 0)
		fail_msg("%s", rs_err_str(&err));
	return o;
}

/* "what: object" of every leak, sorted as they were found; "" when there is none. */
static void expect_leaks(const char *cache, const char *want)
{
	rs_autojson struct json_object *o = look(cache);
	struct json_object *list = rs_json_get(rs_json_get(o, "check"), "leaks");
	rs_auto_strbuf b = { 0 };

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *x = json_object_array_get_idx(list, i);

		rs_strbuf_printf(&b, "%s%s: %s", i ? "; " : "", rs_json_text(x, "what", "?"),
				 rs_json_text(x, "object", "?"));
	}
	assert_string_equal(rs_strbuf_str(&b), want);
}

static void expect_range(uint64_t held, uint64_t resting, uint64_t free_ones)
{
	rs_autojson struct json_object *o = look(NULL);
	struct json_object *range = json_object_array_get_idx(rs_json_get(o, "ranges"), 0);

	assert_int_equal(json_object_get_int64(rs_json_get(range, "total")), 6);
	assert_int_equal(json_object_get_int64(rs_json_get(range, "held")), held);
	assert_int_equal(json_object_get_int64(rs_json_get(range, "resting")), resting);
	assert_int_equal(json_object_get_int64(rs_json_get(range, "free")), free_ones);
}

static void test_all_is_well(void **state)
{
	struct rs_addr a = lease("a");

	(void)state;
	record("a", &a, RS_ENDPOINT_LIVE, false);
	expect_leaks(NULL, "");
	expect_range(1, 0, 5);
}

/* Resting counts until it is over; then the address is free, and its old file is no lease. */
static void test_resting(void **state)
{
	rs_auto_err err = { 0 };

	(void)state;
	lease("a");
	lease("b");
	assert_int_equal(rs_ipam_release(bed.ipam, "a", "eth0", &err), 0); /* long ago */
	open_ipam(bed.boot_id, bed.now_s);
	assert_int_equal(rs_ipam_release(bed.ipam, "b", "eth0", &err), 0);
	bed.link.of_pod = false;
	expect_leaks(NULL, "");
	expect_range(0, 1, 5);
}

static void test_lease_without_a_record(void **state)
{
	(void)state;
	lease("a");
	bed.link.of_pod = false;
	expect_leaks(NULL, "lease without a record: 10.9.0.1");
}

static void test_young_lease(void **state)
{
	(void)state;
	open_ipam(bed.boot_id, bed.now_s);
	lease("a");
	expect_leaks(NULL, ""); /* and its link may be that of the same ADD */
}

static void test_void_lease(void **state)
{
	(void)state;
	open_ipam("00000000-0000-0000-0000-000000000000", bed.now_s - OLD_S);
	lease("a");
	bed.link.of_pod = false;
	expect_leaks(NULL, "");
	expect_range(0, 0, 6);
}

static void test_record_without_its_lease(void **state)
{
	struct rs_addr a = { RS_AF_IP4, { 10, 9, 0, 3 } };

	(void)state;
	record("a", &a, RS_ENDPOINT_LIVE, false);
	expect_leaks(NULL, "record without its lease: shop/a 10.9.0.3");
}

static void test_external_ipam_has_no_lease(void **state)
{
	struct rs_addr a = { RS_AF_IP4, { 10, 9, 0, 3 } };

	(void)state;
	record("a", &a, RS_ENDPOINT_LIVE, true);
	expect_leaks(NULL, "");
}

static void test_lease_of_another(void **state)
{
	struct rs_addr a = lease("b");

	(void)state;
	record("a", &a, RS_ENDPOINT_LIVE, false);
	expect_leaks(NULL, "lease without a record: 10.9.0.1; record whose address is leased to "
			   "another: shop/a 10.9.0.1");
}

static void test_address_in_two_records(void **state)
{
	struct rs_addr a = { RS_AF_IP4, { 10, 9, 0, 3 } };

	(void)state;
	record("a", &a, RS_ENDPOINT_LIVE, true);
	record("b", &a, RS_ENDPOINT_LIVE, true);
	expect_leaks(NULL, "address in two records: shop/a 10.9.0.3 and shop/b");
}

/* A DEL that no agent saw: its address is still held, by right. */
static void test_tombstone(void **state)
{
	struct rs_addr a = lease("a");

	(void)state;
	record("a", &a, RS_ENDPOINT_TOMBSTONE, false);
	bed.link.name[0] = 'x'; /* its link went with the pod */
	bed.link.of_pod = false;
	expect_leaks(NULL, "");
}

static void test_links(void **state)
{
	struct rs_addr a = lease("a");

	(void)state;
	record("a", &a, RS_ENDPOINT_LIVE, false);
	strcpy(bed.link.name, "rsother");
	expect_leaks(NULL, "record without its link: shop/a; pod link without a record: rsother");
	bed.link.of_pod = false;
	expect_leaks(NULL, "record without its link: shop/a");
}

static void touch(const char *dir, const char *name)
{
	rs_autofree char *path = rs_asprintf("%s/%s", dir, name);
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

/* Results of our network that we know nothing of; those of others are none of our business. */
static void test_cache(void **state)
{
	rs_autofree char *cache = rs_asprintf("%s/cache", bed.dir);
	struct rs_addr a = lease("a");

	(void)state;
	record("a", &a, RS_ENDPOINT_LIVE, false);
	assert_int_equal(mkdir(cache, 0700), 0);
	touch(cache, "net-a-eth0");
	touch(cache, "other-b-eth0");
	expect_leaks(cache, "");
	touch(cache, "net-gone-eth0");
	expect_leaks(cache, "cached result without a record: net-gone-eth0");
}

static void test_damage(void **state)
{
	rs_autofree char *leases = rs_asprintf("%s/leases", bed.dir);

	(void)state;
	touch(leases, "10.9.0.5");
	bed.link.of_pod = false;
	{
		rs_autojson struct json_object *o = look(NULL);
		struct json_object *list = rs_json_get(rs_json_get(o, "check"), "leaks");

		assert_int_equal(json_object_array_length(list), 1);
		assert_string_equal(rs_json_text(json_object_array_get_idx(list, 0), "what", ""),
				    "damaged file");
	}
}

/* Nothing is made where there is nothing. */
static void test_no_folder(void **state)
{
	rs_autofree char *none = rs_asprintf("%s/none", bed.dir);
	struct rs_inventory_config cfg = { .state_dir = none, .rest_s = 30 };
	rs_autojson struct json_object *o = json_object_new_object();
	rs_auto_err err = { 0 };

	(void)state;
	assert_int_equal(rs_inventory_json(&cfg, true, o, &err), -ENOENT);
	assert_int_equal(access(cfg.state_dir, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_is_well, setup, teardown),
		cmocka_unit_test_setup_teardown(test_resting, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lease_without_a_record, setup, teardown),
		cmocka_unit_test_setup_teardown(test_young_lease, setup, teardown),
		cmocka_unit_test_setup_teardown(test_void_lease, setup, teardown),
		cmocka_unit_test_setup_teardown(test_record_without_its_lease, setup, teardown),
		cmocka_unit_test_setup_teardown(test_external_ipam_has_no_lease, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lease_of_another, setup, teardown),
		cmocka_unit_test_setup_teardown(test_address_in_two_records, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tombstone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_links, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cache, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_folder, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
