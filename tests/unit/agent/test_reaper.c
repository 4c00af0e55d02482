// SPDX-License-Identifier: Apache-2.0
/* test_reaper.c - links that leave, against the real kernel, in a network namespace of its own. */
#include "agent/reaper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/log.h"
#include "base/base.h"
#include "netlink/netlink.h"

#define GROUP 0x5249u
#define PODS 6

static struct rs_nl *nl;

/* How one wish ended. */
struct end {
	int answers;
	bool gone;
};

static int setup(void **state)
{
	(void)state;
	rs_log_setup(RS_LOG_ERROR, false);
	if (unshare(CLONE_NEWNET) == 0)
		rs_nl_open(&nl, NULL);
	return 0;
}

#define NEED_ROOT()             \
	do {                    \
		if (!nl)        \
			skip(); \
	} while (0)

static uint32_t make_link(const char *name, uint32_t group)
{
	static uint8_t nr;
	rs_autofree char *peer = rs_asprintf("p%s", name);
	struct rs_veth v = { .host_name = name,
			     .pod_name = peer,
			     .host_mac = { 2, 0, 0, 1, 0, ++nr },
			     .pod_mac = { 2, 0, 0, 2, 0, nr },
			     .mtu = 1500,
			     .group = group };
	rs_autoclose int ns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	rs_auto_err err = { 0 };
	uint32_t index = 0;

	v.pod_netns_fd = ns;
	if (rs_veth_create(nl, &v, &index, &err) < 0)
		fail_msg("%s", rs_err_str(&err));
	return index;
}

static void make_pods(uint32_t index[PODS])
{
	for (int i = 0; i < PODS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "rs%d", i);
		index[i] = make_link(name, GROUP);
	}
}

static bool is_there(uint32_t ifindex)
{
	struct rs_link l;

	return rs_link_get_index(nl, ifindex, &l, NULL) == 0;
}

static void ended(void *arg, bool gone)
{
	struct end *e = arg;

	e->answers++;
	e->gone = gone;
}

static struct rs_reaper *new_reaper(void)
{
	struct rs_reaper *r = NULL;

	assert_int_equal(rs_reaper_new(GROUP, &r, NULL), 0);
	return r;
}

/* Rounds until all have been answered. */
static void wait_for(struct rs_reaper *r, const struct end *ends, size_t n)
{
	struct pollfd p = { .fd = rs_reaper_fd(r), .events = POLLIN };

	for (size_t i = 0; i < n; i++)
		while (!ends[i].answers) {
			assert_int_equal(poll(&p, 1, 30000), 1);
			rs_reaper_round(r);
		}
}

/* Of a record that has the hardware address of the link which there is. */
static void wish(struct rs_reaper *r, uint32_t ifindex, const char *name, struct end *end)
{
	struct rs_endpoint rec = { .host_ifindex = ifindex };
	struct rs_link l = { 0 };

	rs_link_get_index(nl, ifindex, &l, NULL);
	memcpy(rec.host_mac, l.mac, sizeof(l.mac));
	snprintf(rec.host_ifname, sizeof(rec.host_ifname), "%s", name);
	rs_reaper_wish(r, &rec, 1000, ended, end);
}

static void wish_all(struct rs_reaper *r, const uint32_t index[PODS], struct end ends[PODS])
{
	for (int i = 0; i < PODS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "rs%d", i);
		wish(r, index[i], name, &ends[i]);
	}
}

static void test_all_that_wait_go(void **state)
{
	struct end ends[PODS] = { { 0 } };
	uint32_t index[PODS], other;
	struct rs_reaper *r;

	(void)state;
	NEED_ROOT();
	r = new_reaper();
	make_pods(index);
	other = make_link("rsother", GROUP);
	wish_all(r, index, ends);
	wait_for(r, ends, PODS);
	for (int i = 0; i < PODS; i++) {
		assert_int_equal(ends[i].answers, 1);
		assert_true(ends[i].gone);
		assert_false(is_there(index[i]));
	}
	assert_true(is_there(other));
	rs_link_del(nl, other, NULL);
	rs_reaper_free(r);
}

/* The first is a round of its own; the others gather meanwhile, and are told when the last of them has gone. */
static void test_a_round_is_told_as_one(void **state)
{
	struct end ends[PODS] = { { 0 } };
	uint32_t index[PODS];
	struct rs_reaper *r;
	int n = 0;

	(void)state;
	NEED_ROOT();
	r = new_reaper();
	make_pods(index);
	wish_all(r, index, ends);
	while (n < PODS - 1) {
		struct pollfd p = { .fd = rs_reaper_fd(r), .events = POLLIN };

		assert_int_equal(poll(&p, 1, 30000), 1);
		rs_reaper_round(r);
		for (int i = n = 0; i < PODS; i++) {
			n += i && ends[i].answers;
			assert_true(!ends[i].answers || !is_there(index[i]));
		}
		assert_true(n == 0 || n == PODS - 1);
	}
	rs_reaper_free(r);
}

/* The answer does not wait until the kernel has freed the link: that comes, as a round, later. */
static void test_gone_is_told_when_it_is(void **state)
{
	struct pollfd p = { .events = POLLIN };
	bool told_before = false;
	struct rs_reaper *r;

	(void)state;
	NEED_ROOT();
	r = new_reaper();
	p.fd = rs_reaper_fd(r);
	/* Both may come at once on a machine that sleeps. */
	for (int i = 0; i < 5 && !told_before; i++) {
		uint32_t index = make_link("rs0", GROUP);
		struct end end = { 0 };

		wish(r, index, "rs0", &end);
		wait_for(r, &end, 1);
		assert_true(end.gone && !is_there(index));
		told_before = poll(&p, 1, 2000) == 1;
		rs_reaper_round(r);
		assert_int_equal(end.answers, 1);
	}
	assert_true(told_before);
	rs_reaper_free(r);
}

/* What lies in the condemned group and was not asked for is nobody's to delete: one by one then. */
static void test_a_stranger_in_the_group_stays(void **state)
{
	struct end ends[PODS] = { { 0 } };
	uint32_t index[PODS], other;
	struct rs_reaper *r;

	(void)state;
	NEED_ROOT();
	r = new_reaper();
	make_pods(index);
	other = make_link("rsother", GROUP ^ 1);
	wish_all(r, index, ends);
	wait_for(r, ends, PODS);
	for (int i = 0; i < PODS; i++)
		assert_true(ends[i].gone && !is_there(index[i]));
	assert_true(is_there(other));
	rs_link_del(nl, other, NULL);
	rs_reaper_free(r);
}

/* Gone already; of another name; in another group; with another hardware address: only the first counts as gone, none
 * is deleted. */
static void test_only_what_is_the_pods(void **state)
{
	struct rs_endpoint other = { .host_ifname = "rsother", .host_mac = { 2, 9 } };
	struct end ends[4] = { { 0 } };
	struct rs_reaper *r;
	uint32_t named, grouped;

	(void)state;
	NEED_ROOT();
	r = new_reaper();
	named = make_link("rsnamed", GROUP);
	grouped = make_link("rsgrouped", 7);
	other.host_ifindex = make_link("rsother", GROUP);
	for (int twice = 0; twice < 2; twice++) {
		memset(ends, 0, sizeof(ends));
		wish(r, 999999, "rs0", &ends[0]);
		/* Each alone, then all in one round. */
		if (!twice)
			wait_for(r, ends, 1);
		wish(r, named, "rs1", &ends[1]);
		if (!twice)
			wait_for(r, ends, 2);
		wish(r, grouped, "rsgrouped", &ends[2]);
		if (!twice)
			wait_for(r, ends, 3);
		rs_reaper_wish(r, &other, 1000, ended, &ends[3]);
		wait_for(r, ends, 4);
		assert_true(ends[0].gone);
		assert_true(!ends[1].gone && !ends[2].gone && !ends[3].gone);
		assert_true(is_there(named) && is_there(grouped) && is_there(other.host_ifindex));
	}
	rs_link_del(nl, other.host_ifindex, NULL);
	rs_link_del(nl, named, NULL);
	rs_link_del(nl, grouped, NULL);
	rs_reaper_free(r);
}

/* Who has waited for long is told once, and not again when its round ends. */
static void test_patience_has_an_end(void **state)
{
	struct end ends[PODS] = { { 0 } };
	uint32_t index[PODS];
	struct rs_reaper *r;

	(void)state;
	NEED_ROOT();
	r = new_reaper();
	make_pods(index);
	wish_all(r, index, ends);
	rs_reaper_sweep(r, 1000 + 5000);
	assert_int_equal(ends[0].answers, 0);
	rs_reaper_sweep(r, 1000 + 5001);
	for (int i = 0; i < PODS; i++)
		assert_true(ends[i].answers == 1 && !ends[i].gone);
	for (int i = 0; i < PODS; i++)
		while (is_there(index[i])) {
			struct pollfd p = { .fd = rs_reaper_fd(r), .events = POLLIN };

			assert_int_equal(poll(&p, 1, 30000), 1);
			rs_reaper_round(r);
		}
	for (int i = 0; i < PODS; i++)
		assert_int_equal(ends[i].answers, 1);
	rs_reaper_free(r);
}

static void test_who_waits_is_answered_at_the_end(void **state)
{
	struct end ends[PODS] = { { 0 } };
	uint32_t index[PODS];
	struct rs_reaper *r;

	(void)state;
	NEED_ROOT();
	r = new_reaper();
	make_pods(index);
	wish_all(r, index, ends);
	rs_reaper_free(r);
	for (int i = 0; i < PODS; i++) {
		assert_true(ends[i].answers == 1 && !ends[i].gone);
		rs_link_del(nl, index[i], NULL);
	}
	rs_reaper_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_that_wait_go),
		cmocka_unit_test(test_a_round_is_told_as_one),
		cmocka_unit_test(test_gone_is_told_when_it_is),
		cmocka_unit_test(test_a_stranger_in_the_group_stays),
		cmocka_unit_test(test_only_what_is_the_pods),
		cmocka_unit_test(test_patience_has_an_end),
		cmocka_unit_test(test_who_waits_is_answered_at_the_end),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
