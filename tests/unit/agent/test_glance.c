// SPDX-License-Identifier: Apache-2.0
/*
 * Records that have not changed are not read again (agent/glance.h), and whatever changes one, behind
 * our back too, is found at the next scan.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/registry_internal.h"
#include "base/base.h"

#define BOOT "11111111-2222-3333-4444-555555555555"
#define GROUP 7u

static char state[64];
static struct rs_endpoint_store *store;
static struct rs_host host;
static struct rs_registry *reg;

/* ---- a machine whose links are all there ----------------------------------------------------- */

static int any_link(void *arg, const char *name, struct rs_link *out, struct rs_err *err)
{
	(void)arg;
	(void)err;
	*out = (struct rs_link){ .ifindex = 7, .group = GROUP };
	snprintf(out->name, sizeof(out->name), "%s", name);
	strcpy(out->kind, "veth");
	return 0;
}

static int no_own_addr(void *arg, const struct rs_addr *a, struct rs_err *err)
{
	(void)arg;
	(void)a;
	(void)err;
	return 0;
}

static int nothing_to_release(void *arg, const struct rs_endpoint *e, struct rs_err *err)
{
	(void)arg;
	(void)e;
	(void)err;
	return 0;
}

static int rm_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

/* ---- records --------------------------------------------------------------------------------- */

static struct rs_endpoint *record(const char *id, uint8_t last)
{
	struct rs_endpoint *e = rs_new(struct rs_endpoint);

	e->container_id = rs_strdup(id);
	e->ifname = rs_strdup("eth0");
	e->network = rs_strdup("ripstop");
	e->netns = rs_strdup("/run/netns/x");
	e->boot_id = rs_strdup(BOOT);
	e->pod_ns = rs_strdup("shop");
	e->pod_name = rs_strdup(id);
	rs_endpoint_host_ifname(id, "eth0", e->host_ifname);
	e->host_ifindex = 7;
	e->ips[0] = (struct rs_addr){ .family = RS_AF_IP4, .b = { 10, 1, 0, last } };
	e->n_ips = 1;
	e->mtu = 1450;
	e->created_s = 1700000000;
	return e;
}

static void create(const char *id, uint8_t last)
{
	struct rs_endpoint *e = record(id, last);
	rs_auto_err err = { 0 };

	if (rs_endpoint_create(store, e, &err) < 0)
		fail_msg("%s", rs_err_str(&err));
	rs_endpoint_free(e);
}

static char *path_of(const char *id)
{
	return rs_asprintf("%s/endpoints/%s:eth0.json", state, id);
}

/* One byte, in place, the file's size and date as they were. */
static void poke(const char *id, off_t at, char byte)
{
	rs_autofree char *path = path_of(id);
	rs_autoclose int fd = open(path, O_RDWR | O_CLOEXEC);
	struct timespec times[2];
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	assert_int_equal(futimens(fd, times), 0);
}

static char byte_at(const char *id, off_t at)
{
	rs_autofree char *path = path_of(id);
	rs_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	char c = 0;

	assert_int_equal(pread(fd, &c, 1, at), 1);
	return c;
}

/* ---- scans ----------------------------------------------------------------------------------- */

/* How many files were not read, of those that there are. */
static uint64_t scan(void)
{
	uint64_t before = reg->glance.skipped;
	rs_auto_err err = { 0 };

	if (rs_registry_scan(reg, false, 1000, 300000, &err) < 0)
		fail_msg("%s", rs_err_str(&err));
	return reg->glance.skipped - before;
}

/* Files that were written just now are read again and again. */
static void rest(void)
{
	nanosleep(&(struct timespec){ 2, 100000000 }, NULL);
}

static size_t entries(void)
{
	size_t n;

	rs_registry_list(reg, &n);
	return n;
}

static size_t damaged(void)
{
	size_t n;

	rs_registry_damaged(reg, &n);
	return n;
}

static int setup(void **arg)
{
	struct rs_registry_config cfg = { .boot_id = BOOT, .link_group = GROUP };

	(void)arg;
	strcpy(state, "/tmp/rs-glance-XXXXXX");
	assert_non_null(mkdtemp(state));
	assert_int_equal(rs_endpoint_store_open(state, &store, NULL), 0);
	host = (struct rs_host){ any_link, no_own_addr, nothing_to_release, NULL };
	cfg.records = store;
	cfg.host = &host;
	create("one", 1);
	create("two", 2);
	create("three", 3);
	reg = rs_registry_new(&cfg);
	assert_int_equal(rs_registry_scan(reg, true, 0, 0, NULL), 0);
	assert_int_equal(entries(), 3);
	return 0;
}

static int teardown(void **arg)
{
	(void)arg;
	rs_registry_free(reg);
	rs_endpoint_store_close(store);
	return nftw(state, rm_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void files_at_rest_are_read_once(void **arg)
{
	(void)arg;
	assert_int_equal(scan(), 0);
	assert_int_equal(scan(), 0); /* too young to be trusted */
	rest();
	assert_int_equal(scan(), 0);
	assert_int_equal(scan(), 3);
	assert_int_equal(scan(), 3);
	assert_int_equal(entries(), 3);
	/* A new record is nobody's entry: it is looked at each time. */
	create("four", 4);
	assert_int_equal(scan(), 3);
	rest();
	assert_int_equal(scan(), 3);
	assert_int_equal(scan(), 3);
	assert_int_equal(entries(), 3);
}

static void what_changes_is_found_at_once(void **arg)
{
	rs_autofree char *gone = NULL;
	struct rs_endpoint *e = record("two", 2);
	char first;

	(void)arg;
	rest();
	scan();
	assert_int_equal(scan(), 3);
	/* A tombstone. */
	e->state = RS_ENDPOINT_TOMBSTONE;
	assert_int_equal(rs_endpoint_update(store, e, NULL), 0);
	rs_endpoint_free(e);
	assert_int_equal(scan(), 2);
	assert_int_equal(entries(), 2);
	assert_int_equal(rs_registry_graves(reg), 1);
	assert_int_equal(rs_registry_bury(reg), 1);
	/* A byte in place, size and date as before; and mended the same way. */
	first = byte_at("one", 0);
	poke("one", 0, 'x');
	assert_int_equal(scan(), 1);
	assert_int_equal(damaged(), 1);
	assert_int_equal(entries(), 2);
	rest();
	scan();
	assert_int_equal(scan(), 2); /* the damaged one as well */
	assert_int_equal(damaged(), 1);
	poke("one", 0, first);
	assert_int_equal(scan(), 1);
	assert_int_equal(damaged(), 0);
	/* A file that is gone. */
	gone = path_of("three");
	assert_int_equal(unlink(gone), 0);
	scan();
	assert_int_equal(entries(), 1);
	assert_non_null(rs_registry_find(reg, "one", "eth0"));
}

/* An entry that goes leaves a record that has to be looked at again. */
static void a_record_whose_entry_has_gone(void **arg)
{
	(void)arg;
	rest();
	scan();
	assert_int_equal(scan(), 3);
	rs_registry_drop(reg, rs_registry_find(reg, "two", "eth0"));
	scan();
	assert_int_equal(reg->strays.n, 1);
	scan();
	assert_int_equal(reg->strays.n, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(files_at_rest_are_read_once, setup, teardown),
		cmocka_unit_test_setup_teardown(what_changes_is_found_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(a_record_whose_entry_has_gone, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
