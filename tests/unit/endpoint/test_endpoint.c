// SPDX-License-Identifier: Apache-2.0
/* test_endpoint.c - attachment records: names, text, and the folder of files. */
#include <ripstop/endpoint.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "endpoint/endpoint_file.h"

static char state[64];
static struct rs_endpoint_store *store;

static int rm_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static int setup(void **arg)
{
	(void)arg;
	strcpy(state, "/tmp/rs-endpoint-XXXXXX");
	assert_non_null(mkdtemp(state));
	assert_int_equal(rs_endpoint_store_open(state, &store, NULL), 0);
	return 0;
}

static int teardown(void **arg)
{
	(void)arg;
	rs_endpoint_store_close(store);
	return nftw(state, rm_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct rs_endpoint *sample(const char *id)
{
	struct rs_endpoint *e = rs_new(struct rs_endpoint);

	e->container_id = rs_strdup(id);
	e->ifname = rs_strdup("eth0");
	e->network = rs_strdup("ripstop");
	e->netns = rs_strdup("/run/netns/x");
	e->boot_id = rs_strdup("11111111-2222-3333-4444-555555555555");
	e->pod_ns = rs_strdup("shop");
	e->pod_name = rs_strdup("db-0");
	e->label_origin = RS_LABELS_CONFIG;
	e->labels = rs_new0(struct rs_endpoint_label, 2);
	e->n_labels = 2;
	e->labels[0].key = rs_strdup("app");
	e->labels[0].value = rs_strdup("db");
	e->labels[1].key = rs_strdup("tier");
	e->labels[1].value = rs_strdup("");
	e->ports = rs_new0(struct rs_endpoint_port, 1);
	e->n_ports = 1;
	e->ports[0].name = rs_strdup("pg");
	e->ports[0].proto = 6;
	e->ports[0].port = 5432;
	rs_endpoint_host_ifname(id, "eth0", e->host_ifname);
	e->host_ifindex = 7;
	memcpy(e->pod_mac, "\x02\x00\x5e\x10\x00\xff", 6);
	e->mtu = 1450;
	rs_addr_parse("10.1.0.7", &e->ips[0], NULL);
	rs_addr_parse("fd00::7", &e->ips[1], NULL);
	rs_addr_parse("fe80::1", &e->ll, NULL);
	e->n_ips = 2;
	e->created_s = 1700000000;
	return e;
}

static void put_file(const char *name, const char *text)
{
	rs_autofree char *path = rs_asprintf("%s/endpoints/%s", state, name);
	rs_autofclose FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
}

static void test_container_ids_XF11(void **arg)
{
	static const char *const bad[] = { "",	  "../x", "-a",	 ".a",	     "_a",	"a/b",
					   "a b", "a\n",  "a:b", "\xc3\xa4", "a\x1b[0m" };
	char longest[RS_CONTAINER_ID_MAX + 2];
	size_t i;

	(void)arg;
	for (i = 0; i < RS_ARRAY_SIZE(bad); i++) {
		rs_auto_err err = { 0 };

		assert_int_equal(rs_container_id_check(bad[i], &err), -EINVAL);
		assert_int_equal(err.cni, RS_CNI_ENV);
	}
	assert_int_equal(rs_container_id_check(NULL, NULL), -EINVAL);
	assert_int_equal(rs_container_id_check("A0_.-z", NULL), 0);
	memset(longest, 'a', sizeof(longest) - 1);
	longest[RS_CONTAINER_ID_MAX + 1] = '\0';
	assert_int_equal(rs_container_id_check(longest, NULL), -EINVAL);
	longest[RS_CONTAINER_ID_MAX] = '\0';
	assert_int_equal(rs_container_id_check(longest, NULL), 0);
}

static void test_ifnames_XF11(void **arg)
{
	static const char *const bad[] = { "",	   ".",	      "..",
					   "a/b",  "a:b",     "a b",
					   "a\t",  "eth%d",   "0123456789abcdef",
					   "all",  "default", "\xc2\xa0",
					   "a\x7f" };
	size_t i;

	(void)arg;
	for (i = 0; i < RS_ARRAY_SIZE(bad); i++) {
		rs_auto_err err = { 0 };

		assert_int_equal(rs_ifname_check(bad[i], &err), -EINVAL);
		assert_int_equal(err.cni, RS_CNI_ENV);
	}
	assert_int_equal(rs_ifname_check("0123456789abcde", NULL), 0);
	assert_int_equal(rs_ifname_check("...", NULL), 0);
}

static void test_host_names_differ_XF8(void **arg)
{
	char a[RS_IFNAME_LEN], b[RS_IFNAME_LEN];

	(void)arg;
	rs_endpoint_host_ifname("abc", "eth0", a);
	assert_int_equal(strlen(a), 13);
	assert_int_equal(strspn(a + 2, "0123456789abcdef"), 11);
	rs_endpoint_host_ifname("abc", "eth0", b);
	assert_string_equal(a, b);
	rs_endpoint_host_ifname("abce", "th0", b);
	assert_string_not_equal(a, b);
}

static void test_file_names_are_injective_XF11(void **arg)
{
	rs_autofree char *name = rs_endpoint_file_name("a.json", "b.json");
	rs_autofree char *id = NULL;
	rs_autofree char *ifname = NULL;

	(void)arg;
	assert_int_equal(rs_endpoint_file_key(name, &id, &ifname, NULL), 0);
	assert_string_equal(id, "a.json");
	assert_string_equal(ifname, "b.json");
	assert_int_equal(rs_endpoint_file_key("a.json", &id, &ifname, NULL), -EBADMSG);
	assert_int_equal(rs_endpoint_file_key("a:.json", &id, &ifname, NULL), -EBADMSG);
	assert_int_equal(rs_endpoint_file_key(".json:", &id, &ifname, NULL), -EBADMSG);
	assert_int_equal(rs_endpoint_file_key("a:b:c.json", &id, &ifname, NULL), -EBADMSG);
}

static void test_record_survives_the_round(void **arg)
{
	struct rs_endpoint *e = sample("c1"), *back = NULL, *copy;
	rs_autofree char *text = rs_endpoint_to_json(e);
	rs_autofree char *again = NULL;
	rs_autofree char *third = NULL;

	(void)arg;
	assert_int_equal(rs_endpoint_from_json(text, strlen(text), &back, NULL), 0);
	again = rs_endpoint_to_json(back);
	assert_string_equal(text, again);
	assert_string_equal(back->labels[1].value, "");
	assert_int_equal(back->ports[0].port, 5432);
	assert_memory_equal(back->pod_mac, e->pod_mac, 6);
	assert_null(back->pod_uid);
	copy = rs_endpoint_copy(back);
	third = rs_endpoint_to_json(copy);
	assert_string_equal(text, third);
	rs_endpoint_free(copy);
	rs_endpoint_free(e);
	rs_endpoint_free(back);
}

/* No prefix of a record is a record, and no single flipped bit may crash the reader. */
static void test_cut_and_flipped_text_XF16(void **arg)
{
	struct rs_endpoint *e = sample("c1"), *back;
	rs_autofree char *text = rs_endpoint_to_json(e);
	size_t i, bit, len = strlen(text);

	(void)arg;
	for (i = 0; i < len; i++) {
		back = (void *)1;
		assert_int_equal(rs_endpoint_from_json(text, i, &back, NULL), -EBADMSG);
		assert_null(back);
	}
	for (i = 0; i < len; i++)
		for (bit = 0; bit < 8; bit++) {
			text[i] ^= (char)(1 << bit);
			rs_endpoint_from_json(text, len, &back, NULL);
			rs_endpoint_free(back);
			text[i] ^= (char)(1 << bit);
		}
	rs_endpoint_free(e);
}

#define HEAD                                                                           \
	"{\"version\":1,\"state\":\"live\",\"containerID\":\"c\",\"ifname\":\"eth0\"," \
	"\"bootID\":\"b\",\"namespace\":\"n\",\"pod\":\"p\",\"labelsFrom\":\"none\""

static void test_bad_records_XF16(void **arg)
{
	static const char *const bad[] = {
		"",
		"[]",
		"null",
		"{}",
		"{\"version\":1}",
		HEAD "}x",
		HEAD ",\"ips\":{}}",
		HEAD ",\"ips\":[\"10.0.0\"]}",
		HEAD ",\"ips\":[1]}",
		HEAD ",\"ips\":[\"1.1.1.1\",\"1.1.1.1\",\"1.1.1.1\",\"1.1.1.1\",\"1.1.1.1\","
		     "\"1.1.1.1\",\"1.1.1.1\",\"1.1.1.1\",\"1.1.1.1\"]}",
		HEAD ",\"labels\":[]}",
		HEAD ",\"labels\":{\"a\":1}}",
		HEAD ",\"labels\":{\"\":\"\"}}",
		HEAD ",\"labels\":{\"a\":\"x\\u0000y\"}}",
		HEAD ",\"podMac\":\"1:2:3:4:5:6\"}",
		HEAD ",\"podMac\":\"00:00:00:00:00:0g\"}",
		HEAD ",\"mtu\":-1}",
		HEAD ",\"mtu\":4294967296}",
		HEAD ",\"mtu\":1.5}",
		HEAD ",\"hostIfname\":\"a/b\"}",
		HEAD ",\"ports\":[{\"name\":\"x\",\"protocol\":6}]}",
		HEAD ",\"ports\":[{\"name\":\"x\",\"protocol\":256,\"port\":1}]}",
		HEAD ",\"ports\":[null]}",
		HEAD ",\"ipamExternal\":\"yes\"}",
		HEAD ",\"version\":2}",
		HEAD ",\"containerID\":\"../c\"}",
		HEAD ",\"state\":\"x\"}",
		HEAD ",\"created\":[[[[[[[[[[[]]]]]]]]]]]}",
	};
	struct rs_endpoint *e;
	size_t i;

	(void)arg;
	assert_int_equal(rs_endpoint_from_json(HEAD "}", strlen(HEAD) + 1, &e, NULL), 0);
	rs_endpoint_free(e);
	for (i = 0; i < RS_ARRAY_SIZE(bad); i++)
		if (rs_endpoint_from_json(bad[i], strlen(bad[i]), &e, NULL) != -EBADMSG)
			fail_msg("taken: %s", bad[i]);
}

static void test_create_is_once_XF3(void **arg)
{
	struct rs_endpoint *e = sample("c1"), *back = NULL;
	rs_auto_err err = { 0 };

	(void)arg;
	assert_int_equal(rs_endpoint_create(store, e, NULL), 0);
	free(e->pod_name);
	e->pod_name = rs_strdup("other");
	assert_int_equal(rs_endpoint_create(store, e, &err), -EEXIST);
	assert_int_equal(err.cni, RS_CNI_ATTACHED);
	assert_int_equal(rs_endpoint_load(store, "c1", "eth0", &back, NULL), 0);
	assert_string_equal(back->pod_name, "db-0");
	rs_endpoint_free(back);
	rs_endpoint_free(e);
}

static void test_remove_twice_XF5(void **arg)
{
	struct rs_endpoint *e = sample("c1"), *back;

	(void)arg;
	assert_int_equal(rs_endpoint_create(store, e, NULL), 0);
	assert_int_equal(rs_endpoint_remove(store, "c1", "eth0", NULL), 0);
	assert_int_equal(rs_endpoint_remove(store, "c1", "eth0", NULL), 0);
	assert_int_equal(rs_endpoint_load(store, "c1", "eth0", &back, NULL), -ENOENT);
	/* An update must not bring back what a DEL has removed. */
	assert_int_equal(rs_endpoint_update(store, e, NULL), -ENOENT);
	assert_int_equal(rs_endpoint_remove(store, "../../etc/passwd", "eth0", NULL), -EINVAL);
	rs_endpoint_free(e);
}

static void bury(struct rs_endpoint *e, void *arg)
{
	(void)arg;
	e->state = RS_ENDPOINT_TOMBSTONE;
}

static void test_tombstone_stays_XA14(void **arg)
{
	struct rs_endpoint *e = sample("c1"), *back = NULL;

	(void)arg;
	assert_int_equal(rs_endpoint_create(store, e, NULL), 0);
	assert_int_equal(rs_endpoint_modify(store, "c1", "eth0", bury, NULL, NULL), 0);
	assert_int_equal(rs_endpoint_update(store, e, NULL), -ESTALE);
	assert_int_equal(rs_endpoint_load(store, "c1", "eth0", &back, NULL), 0);
	assert_int_equal(back->state, RS_ENDPOINT_TOMBSTONE);
	rs_endpoint_free(back);
	rs_endpoint_free(e);
}

struct seen {
	int good, bad;
	char names[256];
};

static int see(struct rs_endpoint *e, const char *name, const struct rs_err *why, void *arg)
{
	struct seen *s = arg;

	if (e) {
		s->good++;
	} else {
		s->bad++;
		assert_non_null(strstr(why->msg, name));
		assert_non_null(why->hint);
	}
	rs_endpoint_free(e);
	return 0;
}

static void test_damaged_files_are_told_and_left_XF16(void **arg)
{
	struct rs_endpoint *e = sample("c1"), *back;
	rs_autofree char *text = rs_endpoint_to_json(e);
	rs_autofree char *fifo = rs_asprintf("%s/endpoints/f:eth0.json", state);
	rs_auto_err err = { 0 };
	struct seen s = { 0 };

	(void)arg;
	assert_int_equal(rs_endpoint_create(store, e, NULL), 0);
	put_file("c2:eth0.json", "");
	put_file("c3:eth0.json", text); /* a copy tells of another container */
	put_file("core", "x");
	put_file(".0123456789abcdef.tmp", "{");
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(rs_endpoint_each(store, see, &s, NULL), 0);
	assert_int_equal(s.good, 1);
	assert_int_equal(s.bad, 4);
	assert_int_equal(rs_endpoint_load(store, "c3", "eth0", &back, &err), -EBADMSG);
	assert_int_equal(rs_endpoint_update(store, e, NULL), 0);
	rs_endpoint_free(e);
}

static int stop_at_once(struct rs_endpoint *e, const char *name, const struct rs_err *why,
			void *arg)
{
	(void)name, (void)why, (void)arg;
	rs_endpoint_free(e);
	return 42;
}

static void test_each_stops(void **arg)
{
	struct rs_endpoint *e = sample("c1");

	(void)arg;
	rs_endpoint_create(store, e, NULL);
	assert_int_equal(rs_endpoint_each(store, stop_at_once, NULL, NULL), 42);
	rs_endpoint_free(e);
}

/* A writer that was killed between its temporary file and the link leaves nothing that counts. */
static void test_leftovers_go_XF2(void **arg)
{
	struct rs_endpoint *e = sample("c1");
	rs_autofree char *path = rs_asprintf("%s/endpoints/.00000000000000aa.tmp", state);

	(void)arg;
	put_file(".00000000000000aa.tmp", "{\"version\":1");
	assert_int_equal(rs_endpoint_create(store, e, NULL), 0);
	assert_int_equal(access(path, F_OK), -1);
	rs_endpoint_free(e);
}

static void add_label(struct rs_endpoint *e, void *arg)
{
	(void)arg;
	e->mtu++;
}

/* Twenty writers, ten changes each: none is lost. */
static void test_modify_is_atomic_XF9(void **arg)
{
	struct rs_endpoint *e = sample("c1"), *back = NULL;
	int i, k, status;

	(void)arg;
	e->mtu = 0;
	assert_int_equal(rs_endpoint_create(store, e, NULL), 0);
	for (i = 0; i < 20; i++)
		if (fork() == 0) {
			for (k = 0; k < 10; k++)
				if (rs_endpoint_modify(store, "c1", "eth0", add_label, NULL, NULL))
					_exit(1);
			_exit(0);
		}
	while (wait(&status) > 0)
		assert_int_equal(status, 0);
	assert_int_equal(rs_endpoint_load(store, "c1", "eth0", &back, NULL), 0);
	assert_int_equal(back->mtu, 200);
	rs_endpoint_free(back);
	rs_endpoint_free(e);
}

static void test_folder_of_others_is_refused_XG8(void **arg)
{
	rs_autofree char *path = rs_asprintf("%s/endpoints", state);
	struct rs_endpoint_store *again;
	rs_auto_err err = { 0 };
	struct stat st;

	(void)arg;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(chmod(path, 0777), 0);
	assert_int_equal(rs_endpoint_store_open(state, &again, &err), -EACCES);
	assert_int_equal(err.cni, RS_CNI_IO);
}

/* c1266001 and c9497275 (eth0) get the same 44 bits. */
static void test_two_keys_of_one_link_name_XF8(void **arg)
{
	rs_autofree char *file = rs_asprintf("%s/endpoints/c9497275:eth0.json", state);
	struct rs_endpoint *e = sample("c1266001");
	char *rival = NULL;
	char a[RS_IFNAME_LEN], b[RS_IFNAME_LEN];
	FILE *f;

	(void)arg;
	rs_endpoint_host_ifname("c1266001", "eth0", a);
	rs_endpoint_host_ifname("c9497275", "eth0", b);
	assert_string_equal(a, b);
	memcpy(e->host_ifname, a, sizeof(a));
	assert_int_equal(rs_endpoint_create(store, e, NULL), 0);
	assert_int_equal(rs_endpoint_name_rival(store, "c1266001", "eth0", &rival, NULL), 0);
	assert_null(rival);
	assert_int_equal(rs_endpoint_name_rival(store, "c1", "eth0", &rival, NULL), 0);
	assert_null(rival);
	assert_int_equal(rs_endpoint_name_rival(store, "c9497275", "eth0", &rival, NULL), 0);
	assert_string_equal(rival, "c1266001:eth0.json");
	free(rival);
	/* A record that cannot be read still has its name. */
	f = fopen(file, "w");
	assert_non_null(f);
	fputs("{", f);
	fclose(f);
	assert_int_equal(rs_endpoint_name_rival(store, "c1266001", "eth0", &rival, NULL), 0);
	assert_string_equal(rival, "c9497275:eth0.json");
	free(rival);
	rs_endpoint_free(e);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_container_ids_XF11),
		cmocka_unit_test(test_ifnames_XF11),
		cmocka_unit_test(test_host_names_differ_XF8),
		cmocka_unit_test(test_file_names_are_injective_XF11),
		cmocka_unit_test(test_record_survives_the_round),
		cmocka_unit_test(test_cut_and_flipped_text_XF16),
		cmocka_unit_test(test_bad_records_XF16),
		T(test_create_is_once_XF3),
		T(test_remove_twice_XF5),
		T(test_tombstone_stays_XA14),
		T(test_damaged_files_are_told_and_left_XF16),
		T(test_each_stops),
		T(test_two_keys_of_one_link_name_XF8),
		T(test_leftovers_go_XF2),
		T(test_modify_is_atomic_XF9),
		T(test_folder_of_others_is_refused_XG8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
