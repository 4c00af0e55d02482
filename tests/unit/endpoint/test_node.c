// SPDX-License-Identifier: Apache-2.0
/* test_node.c - node.json: written by the agent, read by the plugin. */
#include "endpoint/node.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"

static char state[64];

static int setup(void **arg)
{
	(void)arg;
	strcpy(state, "/tmp/rs-node-XXXXXX");
	return mkdtemp(state) ? 0 : -1;
}

static int teardown(void **arg)
{
	rs_autofree char *path = rs_asprintf("%s/" RS_NODE_FILE, state);

	(void)arg;
	unlink(path);
	return rmdir(state);
}

static struct rs_node_info sample(const char *boot)
{
	struct rs_node_info n = { .mtu = 1450, .link_group = 0x5250, .ready = true };

	n.boot_id = rs_strdup(boot);
	n.node = rs_strdup("worker-1");
	n.dataplane = rs_strdup("nft");
	n.ranges = rs_new0(struct rs_cidr, 2);
	n.n_ranges = 2;
	rs_cidr_parse("10.244.1.0/24", &n.ranges[0], NULL, NULL);
	rs_cidr_parse("fd00:1::/64", &n.ranges[1], NULL, NULL);
	n.written_s = 1700000000;
	return n;
}

static void test_write_and_read(void **arg)
{
	char boot[RS_BOOT_ID_LEN];
	struct rs_node_info n, back;

	(void)arg;
	assert_int_equal(rs_node_info_read(state, &back, NULL), -ENOENT);
	assert_int_equal(rs_boot_id(boot, NULL), 0);
	n = sample(boot);
	assert_int_equal(rs_node_info_write(state, &n, NULL), 0);
	assert_int_equal(rs_node_info_write(state, &n, NULL), 0);
	assert_int_equal(rs_node_info_read(state, &back, NULL), 0);
	assert_int_equal(back.n_ranges, 2);
	assert_int_equal(rs_cidr_cmp(&back.ranges[1], &n.ranges[1]), 0);
	assert_true(back.ready);
	assert_int_equal(back.mtu, 1450);
	assert_int_equal(back.link_group, 0x5250);
	assert_string_equal(back.node, "worker-1");
	assert_null(back.why_not);
	rs_node_info_clear(&back);
	rs_node_info_clear(&n);
}

static void test_other_boot_is_absent_XF1(void **arg)
{
	struct rs_node_info n = sample("00000000-0000-0000-0000-000000000000"), back;
	rs_auto_err err = { 0 };

	(void)arg;
	assert_int_equal(rs_node_info_write(state, &n, NULL), 0);
	assert_int_equal(rs_node_info_read(state, &back, &err), -ENOENT);
	assert_non_null(strstr(rs_err_str(&err), "last boot"));
	rs_node_info_clear(&n);
}

static void test_damage_XF16(void **arg)
{
	rs_autofree char *path = rs_asprintf("%s/" RS_NODE_FILE, state);
	struct rs_node_info n = sample("b"), back;
	rs_autofree char *text = rs_node_info_to_json(&n);
	rs_auto_err err = { 0 };
	size_t i;
	FILE *f;

	(void)arg;
	for (i = 0; i < strlen(text); i++)
		assert_int_equal(rs_node_info_from_json(text, i, &back, NULL), -EBADMSG);
	f = fopen(path, "w");
	fputs("{\"fileVersion\":1,", f);
	fclose(f);
	assert_int_equal(rs_node_info_read(state, &back, &err), -EBADMSG);
	assert_int_equal(err.cni, RS_CNI_IO);
	assert_non_null(strstr(rs_err_str(&err), path));
	rs_node_info_clear(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_write_and_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_boot_is_absent_XF1, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage_XF16, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
