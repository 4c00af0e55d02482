// SPDX-License-Identifier: Apache-2.0
/* Which podCIDRs count: agent/noderanges.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "agent/noderanges.h"
#include "base/file.h"

static struct rs_store *store;

static int setup(void **state)
{
	(void)state;
	store = rs_store_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rs_store_free(store);
	return 0;
}

/* Words of `ranges` and `addresses` stand apart by one space; an address "!x" is an ExternalIP. */
static void node(const char *name, const char *ranges, const char *addresses)
{
	struct rs_node *n = rs_new(struct rs_node);
	rs_autofree char *r = rs_strdup(ranges), *a = rs_strdup(addresses);
	char *save = NULL;

	n->meta.name = rs_strdup(name);
	n->pod_cidrs = rs_new0(struct rs_cidr, 8);
	n->addrs = rs_new0(struct rs_addr, 8);
	for (char *p = strtok_r(r, " ", &save); p; p = strtok_r(NULL, " ", &save))
		assert_int_equal(rs_cidr_parse(p, &n->pod_cidrs[n->n_pod_cidrs++], NULL, NULL), 0);
	for (char *p = strtok_r(a, " ", &save); p; p = strtok_r(NULL, " ", &save)) {
		n->n_internal += p[0] != '!';
		assert_int_equal(rs_addr_parse(p + (p[0] == '!'), &n->addrs[n->n_addrs++], NULL),
				 0);
	}
	rs_store_put_node(store, n);
}

/* "cidr@node" (an own one with a star) and "<cidr via" where one is told, in the order of the
 * answer; then the conditions, a line each. */
static char *read_all(const char *own)
{
	struct rs_node_ranges r;
	struct rs_strbuf b = { 0 };
	struct rs_cidr mine = { 0 };
	char c[RS_CIDR_STRLEN], v[RS_ADDR_STRLEN];

	if (own)
		assert_int_equal(rs_cidr_parse(own, &mine, NULL, NULL), 0);
	rs_node_ranges_read(store, "me", &mine, own ? 1 : 0, &r);
	for (size_t i = 0; i < r.n; i++)
		rs_strbuf_printf(&b, "%s@%s%s%s%s ", rs_cidr_str(&r.v[i].cidr, c), r.v[i].node,
				 r.v[i].own ? "*" : "", r.v[i].via.family ? "<" : "",
				 r.v[i].via.family ? rs_addr_str(&r.v[i].via, v) : "");
	for (size_t i = 0; i < r.refused.n; i++)
		rs_strbuf_printf(&b, "\n%s: %s", r.refused.v[i].type, r.refused.v[i].text);
	rs_node_ranges_free(&r);
	return rs_strbuf_steal(&b);
}

static void gives(const char *own, const char *want)
{
	rs_autofree char *have = read_all(own);

	assert_string_equal(have, want);
}

static void both_families_and_the_right_next_hop(void **state)
{
	(void)state;
	node("b", "10.0.2.0/24 fd00:2::/64", "192.0.2.2 192.0.2.22 fd00::2 !203.0.113.2");
	/* This node's in its own order, whatever the addresses: the first is a pod's primary. */
	node("me", "fd00:1::/64 10.0.1.0/24", "192.0.2.1");
	node("a", "10.0.3.0/24", "!203.0.113.3");
	gives(NULL, "fd00:1::/64@me* 10.0.1.0/24@me*<192.0.2.1 10.0.3.0/24@a "
		    "10.0.2.0/24@b<192.0.2.2 fd00:2::/64@b<fd00::2 ");
}

static void configured_ranges_stand_above_the_own_node_object(void **state)
{
	(void)state;
	node("me", "10.0.1.0/24", "192.0.2.1");
	node("b", "10.0.9.128/25", "192.0.2.2");
	gives("10.0.9.0/24", "10.0.9.0/24@me* \n"
			     "PodCIDRRefused: node b: podCIDR 10.0.9.128/25 is not used: it "
			     "overlaps 10.0.9.0/24 of node me");
}

static void of_two_that_overlap_the_own_then_the_first_name_counts(void **state)
{
	(void)state;
	node("z", "10.1.0.0/16", "");
	node("a", "10.1.2.0/24 10.2.0.0/24", "");
	node("b", "10.2.0.0/24 10.1.2.0/25", "");
	node("me", "10.1.9.0/24", "");
	gives(NULL, "10.1.9.0/24@me* 10.1.2.0/24@a 10.2.0.0/24@a \n"
		    "PodCIDRRefused: node b: podCIDR 10.1.2.0/25 is not used: it overlaps "
		    "10.1.2.0/24 of node a\n"
		    "PodCIDRRefused: node z: podCIDR 10.1.0.0/16 is not used: it overlaps "
		    "10.1.2.0/24 of node a\n"
		    "PodCIDRRefused: node b: podCIDR 10.2.0.0/24 is not used: it overlaps "
		    "10.2.0.0/24 of node a");
}

static void what_cannot_be_a_range_of_pods(void **state)
{
	(void)state;
	node("a", "0.0.0.0/0 ::/0 127.0.0.0/8 169.254.0.0/16 224.0.0.0/4 fe80::/64", "");
	node("b", "::ffff:10.0.0.0/104", "");
	node("c", "", "192.0.2.3");
	gives(NULL,
	      "\n"
	      "PodCIDRRefused: node a: podCIDR 0.0.0.0/0 is not used: it is a default route\n"
	      "PodCIDRRefused: node a: podCIDR ::/0 is not used: it is a default route\n"
	      "PodCIDRRefused: node a: podCIDR 127.0.0.0/8 is not used: it cannot be a range "
	      "of pods\n"
	      "PodCIDRRefused: node a: podCIDR 169.254.0.0/16 is not used: it cannot be a "
	      "range of pods\n"
	      "PodCIDRRefused: node a: podCIDR 224.0.0.0/4 is not used: it cannot be a range "
	      "of pods\n"
	      "PodCIDRRefused: node a: podCIDR fe80::/64 is not used: it cannot be a range of "
	      "pods\n"
	      "PodCIDRRefused: node b: podCIDR ::ffff:10.0.0.0/104 is not used: it cannot be a "
	      "range of pods\n"
	      "NodeWithoutPodCIDR: node c has no podCIDR: there is no route to its pods");
}

static void a_range_that_holds_a_nodes_address(void **state)
{
	(void)state;
	node("a", "192.0.2.0/24", "10.0.0.1");
	node("b", "10.0.0.0/31", "192.0.2.255");
	node("c", "10.0.0.2/31", "!10.0.0.4");
	node("d", "10.0.0.4/32 10.0.0.5/32", "");
	gives(NULL,
	      "10.0.0.2/31@c 10.0.0.5/32@d \n"
	      "PodCIDRRefused: node a: podCIDR 192.0.2.0/24 is not used: it holds the address "
	      "192.0.2.255 of node b\n"
	      "PodCIDRRefused: node b: podCIDR 10.0.0.0/31 is not used: it holds the address "
	      "10.0.0.1 of node a\n"
	      "PodCIDRRefused: node d: podCIDR 10.0.0.4/32 is not used: it holds the address "
	      "10.0.0.4 of node c");
}

/* As many conditions as a person reads; the rest is a number. */
static void many_faults_are_counted(void **state)
{
	rs_autofree char *have = NULL;
	size_t lines = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		rs_autofree char *name = rs_asprintf("n%03d", i);

		node(name, "0.0.0.0/0", "");
	}
	have = read_all(NULL);
	for (const char *p = have; (p = strchr(p, '\n')) != NULL; p++)
		lines++;
	assert_int_equal(lines, 33);
	assert_non_null(strstr(have, "and 68 more of the kind"));
}

static void equal_only_when_nothing_differs(void **state)
{
	struct rs_node_ranges a, b;

	(void)state;
	node("a", "10.0.1.0/24", "192.0.2.1");
	rs_node_ranges_read(store, "me", NULL, 0, &a);
	rs_node_ranges_read(store, "me", NULL, 0, &b);
	assert_true(rs_node_ranges_equal(&a, &b));
	rs_node_ranges_free(&b);
	node("a", "10.0.1.0/24", "192.0.2.9");
	rs_node_ranges_read(store, "me", NULL, 0, &b);
	assert_false(rs_node_ranges_equal(&a, &b));
	rs_node_ranges_free(&b);
	node("a", "10.0.1.0/24", "192.0.2.1");
	node("b", "0.0.0.0/0", "");
	rs_node_ranges_read(store, "me", NULL, 0, &b);
	assert_false(rs_node_ranges_equal(&a, &b));
	rs_node_ranges_free(&b);
	rs_node_ranges_free(&a);
}

/* 5,000 nodes of two families; all right, and then all in one heap. The times are printed. */
static void many_nodes(void **state)
{
	struct rs_node_ranges r;
	int64_t start;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		rs_autofree char *name = rs_asprintf("n%04d", i);
		rs_autofree char *ranges =
			rs_asprintf("10.%d.%d.0/24 fd00:%x::/64", i / 256, i % 256, i + 1);
		rs_autofree char *addrs = rs_asprintf("172.16.%d.%d", i / 256, i % 256);

		node(name, ranges, addrs);
	}
	start = rs_mono_ms();
	rs_node_ranges_read(store, "n0000", NULL, 0, &r);
	printf("         5,000 nodes: %d ms\n", (int)(rs_mono_ms() - start));
	assert_int_equal(r.n, 10000);
	assert_int_equal(r.refused.n, 0);
	start = rs_mono_ms();
	for (int i = 0; i < 10; i++)
		assert_true(rs_node_ranges_current(&r, store));
	printf("         seen to be the same: %.1f ms\n", (double)(rs_mono_ms() - start) / 10);
	node("n4999", "10.200.0.0/24", "");
	assert_false(rs_node_ranges_current(&r, store));
	rs_node_ranges_free(&r);
	node("0wide", "10.0.0.0/8", "");
	start = rs_mono_ms();
	rs_node_ranges_read(store, "n0000", NULL, 0, &r);
	printf("         and one range over all of them: %d ms\n", (int)(rs_mono_ms() - start));
	/* This node's own first, so the wide one is refused, and then nothing overlaps. */
	assert_int_equal(r.n, 9999);
	assert_int_equal(r.refused.n, 1);
	rs_node_ranges_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(both_families_and_the_right_next_hop, setup,
						teardown),
		cmocka_unit_test_setup_teardown(configured_ranges_stand_above_the_own_node_object,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			of_two_that_overlap_the_own_then_the_first_name_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_a_range_of_pods, setup, teardown),
		cmocka_unit_test_setup_teardown(a_range_that_holds_a_nodes_address, setup,
						teardown),
		cmocka_unit_test_setup_teardown(many_faults_are_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(equal_only_when_nothing_differs, setup, teardown),
		cmocka_unit_test_setup_teardown(many_nodes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
