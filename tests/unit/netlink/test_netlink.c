// SPDX-License-Identifier: Apache-2.0
/* test_netlink.c - lib/netlink against the real kernel, in network namespaces of its own. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/ip.h>

#include <cmocka.h>

#include "base/base.h"
#include "netlink/netlink.h"

#define GROUP 0x5249

static int host_ns = -1, pod_ns = -1;
static char host_path[64], pod_path[64], root_path[64];

static struct rs_addr addr(const char *s)
{
	struct rs_addr a;

	assert_int_equal(rs_addr_parse(s, &a, NULL), 0);
	return a;
}

static struct rs_cidr cidr(const char *s)
{
	struct rs_cidr c;

	assert_int_equal(rs_cidr_parse(s, &c, NULL, NULL), 0);
	return c;
}

/* A namespace is kept alive by its descriptor alone: nothing is left behind. */
static int new_netns(char path[64])
{
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	snprintf(path, 64, "/proc/self/fd/%d", fd);
	return fd;
}

static int setup(void **state)
{
	int root = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	(void)state;
	snprintf(root_path, sizeof(root_path), "/proc/self/fd/%d", root);
	pod_ns = new_netns(pod_path);
	host_ns = new_netns(host_path);
	return 0;
}

#define NEED_ROOT()              \
	do {                     \
		if (host_ns < 0) \
			skip();  \
	} while (0)

static const struct rs_veth veth = {
	.host_name = "rsf0",
	.pod_name = "eth0",
	.host_mac = { 2, 0, 0, 0, 0, 1 },
	.pod_mac = { 2, 0, 0, 0, 0, 2 },
	.mtu = 1400,
	.group = GROUP,
};

/* A pair between the two namespaces and a handle in each. */
struct pair {
	struct rs_nl *host, *pod;
	struct rs_link h, p;
};

static void pair_open(struct pair *t)
{
	struct rs_veth v = veth;
	struct rs_err err = { 0 };

	v.pod_netns_fd = pod_ns;
	assert_int_equal(rs_nl_open(&t->host, &err), 0);
	assert_int_equal(rs_nl_open_netns(pod_ns, &t->pod, &err), 0);
	assert_int_equal(rs_veth_create(t->host, &v, &t->h.ifindex, &err), 0);
	assert_int_equal(rs_link_set_no_addrgen(t->host, t->h.ifindex, &err), 0);
	assert_int_equal(rs_link_get_index(t->host, t->h.ifindex, &t->h, &err), 0);
	assert_int_equal(rs_link_get(t->pod, "eth0", &t->p, &err), 0);
}

static void pair_close(struct pair *t)
{
	assert_int_equal(rs_link_del(t->host, t->h.ifindex, NULL), 0);
	rs_nl_close(t->host);
	rs_nl_close(t->pod);
}

struct gone {
	uint32_t host;
	int n, others;
};

static void count_gone(void *arg, uint32_t ifindex)
{
	struct gone *g = arg;

	g->n += ifindex == g->host;
	g->others += ifindex != g->host;
}

static void test_news_of_links_that_go(void **state)
{
	struct gone g = { 0 };
	struct pair t;
	int fd;

	(void)state;
	NEED_ROOT();
	assert_int_equal(rs_link_news_open(&fd, NULL), 0);
	for (int listens = 0; listens < 2; listens++) {
		assert_int_equal(rs_link_news_listen(fd, listens), 0);
		pair_open(&t);
		g.host = t.h.ifindex;
		rs_link_news_read(fd, count_gone, &g);
		assert_int_equal(g.n, 0);
		pair_close(&t);
		rs_link_news_read(fd, count_gone, &g);
		assert_int_equal(g.n, listens);
	}
	assert_int_equal(g.others, 0); /* the pod's end lies elsewhere */
	assert_int_equal(rs_link_news_listen(fd, false), 0);
	pair_open(&t);
	pair_close(&t);
	rs_link_news_read(fd, count_gone, &g);
	assert_int_equal(g.n, 1);
	close(fd);
}

static void test_veth_is_born_down_grouped_noarp(void **state)
{
	struct pair t;
	uint32_t index = 0;
	char mode[16];

	(void)state;
	NEED_ROOT();
	pair_open(&t);
	assert_int_equal(t.h.group, GROUP);
	assert_false(t.h.up);
	assert_true(t.h.noarp);
	assert_int_equal(t.h.mtu, 1400);
	assert_memory_equal(t.h.mac, veth.host_mac, 6);
	assert_string_equal(t.h.kind, "veth");
	assert_int_equal(t.h.peer_ifindex, t.p.ifindex);
	assert_int_equal(t.p.peer_ifindex, t.h.ifindex);
	assert_int_equal(rs_link_index(t.pod, "eth0", &index, NULL), 0); /* of its own namespace */
	assert_int_equal(index, t.p.ifindex);
	assert_false(t.p.up);
	assert_false(t.p.noarp);
	assert_memory_equal(t.p.mac, veth.pod_mac, 6);
	assert_int_equal(
		rs_sysctl_get("net/ipv6/conf/rsf0/addr_gen_mode", mode, sizeof(mode), NULL), 0);
	assert_string_equal(mode, "1");
	pair_close(&t);
}

/* Setting flags keeps the others; the peer sees the carrier only when both are up. */
static void test_up_down_keeps_noarp(void **state)
{
	struct rs_link l;
	struct pair t;

	(void)state;
	NEED_ROOT();
	pair_open(&t);
	assert_int_equal(rs_link_set_up(t.pod, t.p.ifindex, true, NULL), 0);
	assert_int_equal(rs_link_get(t.pod, "eth0", &l, NULL), 0);
	assert_true(l.up);
	assert_false(l.carrier);
	assert_false(l.sends);
	assert_int_equal(rs_link_set_up(t.host, t.h.ifindex, true, NULL), 0);
	assert_int_equal(rs_link_get_index(t.host, t.h.ifindex, &l, NULL), 0);
	assert_true(l.up && l.noarp && l.carrier && l.sends);
	assert_int_equal(rs_link_set_up(t.host, t.h.ifindex, false, NULL), 0);
	assert_int_equal(rs_link_set_group(t.host, t.h.ifindex, GROUP + 1, NULL), 0);
	assert_int_equal(rs_link_get_index(t.host, t.h.ifindex, &l, NULL), 0);
	assert_false(l.up);
	assert_int_equal(l.group, GROUP + 1);
	pair_close(&t);
}

static void test_second_veth_of_a_name_changes_nothing(void **state)
{
	struct rs_veth v = veth;
	struct rs_link l;
	rs_auto_err err = { 0 };
	struct pair t;

	(void)state;
	NEED_ROOT();
	pair_open(&t);
	v.pod_netns_fd = pod_ns;
	v.pod_name = "eth1";
	assert_int_equal(rs_veth_create(t.host, &v, &l.ifindex, &err), -EEXIST);
	assert_int_equal(rs_link_get(t.pod, "eth1", &l, NULL), -ENODEV);
	v.host_name = "rsf1";
	v.pod_name = "eth0";
	assert_int_equal(rs_veth_create(t.host, &v, &l.ifindex, &err), -EEXIST);
	assert_int_equal(rs_link_get(t.host, "rsf1", &l, NULL), -ENODEV);
	pair_close(&t);
}

static void test_missing_link(void **state)
{
	rs_auto_err err = { 0 };
	struct rs_nl *nl;
	struct rs_link l;

	(void)state;
	NEED_ROOT();
	assert_int_equal(rs_nl_open(&nl, NULL), 0);
	assert_int_equal(rs_link_get(nl, "nosuch0", &l, &err), -ENODEV);
	assert_non_null(strstr(rs_err_str(&err), "nosuch0"));
	assert_int_equal(rs_link_get(nl, "a-name-that-is-too-long", &l, &err), -ENODEV);
	assert_int_equal(rs_link_index(nl, "nosuch0", &l.ifindex, &err), -ENODEV);
	assert_int_equal(rs_link_index(nl, "a-name-that-is-too-long", &l.ifindex, &err), -ENODEV);
	assert_int_equal(rs_link_get_index(nl, 0, &l, &err), -ENODEV);
	assert_int_equal(rs_link_del(nl, 0, &err), 0);
	assert_int_equal(rs_link_del(nl, 999999, &err), 0);
	assert_int_equal(rs_link_set_up(nl, 999999, true, &err), -ENODEV);
	rs_nl_close(nl);
}

static void check_addr(struct rs_nl *nl, uint32_t ifindex, const char *text, unsigned int len)
{
	struct rs_addr want = addr(text);
	struct rs_link_addr *list;
	size_t n, i, hits = 0;

	assert_int_equal(rs_addr_list(nl, ifindex, &list, &n, NULL), 0);
	for (i = 0; i < n; i++) {
		assert_int_equal(list[i].ifindex, ifindex);
		hits += list[i].len == len && rs_addr_cmp(&list[i].addr, &want) == 0;
	}
	free(list);
	assert_int_equal(hits, 1);
}

/* What waits changes nothing; then all of it happens, in its order. */
static void test_gathered_changes_go_together(void **state)
{
	struct rs_route r = { .dst = cidr("10.9.0.7/32") };
	struct rs_addr a = addr("10.9.0.7");
	struct rs_link_addr *list;
	rs_auto_err err = { 0 };
	struct rs_link l;
	struct pair t;
	size_t n;

	(void)state;
	NEED_ROOT();
	pair_open(&t);
	rs_nl_gather(t.host);
	assert_int_equal(rs_link_set_up(t.host, t.h.ifindex, true, &err), 0);
	assert_int_equal(rs_addr_add_link(t.host, t.h.ifindex, &a, 32, &err), 0);
	r.ifindex = t.h.ifindex;
	r.dst = cidr("10.9.1.0/24");
	assert_int_equal(rs_route_add(t.host, &r, false, &err), 0);
	/* Questions do not wait. */
	assert_int_equal(rs_link_get_index(t.host, t.h.ifindex, &l, &err), 0);
	assert_false(l.up);
	assert_int_equal(rs_nl_flush(t.host, &err), 0);
	assert_int_equal(rs_link_get_index(t.host, t.h.ifindex, &l, &err), 0);
	assert_true(l.up);
	assert_int_equal(rs_addr_list(t.host, t.h.ifindex, &list, &n, &err), 0);
	assert_in_range(n, 1, 2); /* and a link-local one */
	free(list);
	/* Afterwards nothing waits any more, and nothing is left to flush. */
	assert_int_equal(rs_link_set_up(t.host, t.h.ifindex, false, &err), 0);
	assert_int_equal(rs_link_get_index(t.host, t.h.ifindex, &l, &err), 0);
	assert_false(l.up);
	assert_int_equal(rs_nl_flush(t.host, &err), 0);
	pair_close(&t);
}

/* The first that fails is named, wherever it stands; the handle is good for more. */
static void test_gathered_changes_that_fail(void **state)
{
	struct rs_addr a = addr("10.9.0.8"), b = addr("10.9.0.9");
	rs_auto_err err = { 0 };
	struct rs_link l;
	struct pair t;

	(void)state;
	NEED_ROOT();
	pair_open(&t);
	for (int last = 0; last < 2; last++) {
		rs_nl_gather(t.host);
		rs_link_set_up(t.host, t.h.ifindex, true, NULL);
		if (last)
			rs_addr_add_link(t.host, t.h.ifindex, &b, 32, NULL);
		rs_addr_add_link(t.host, 999999, &a, 32, NULL);
		if (!last) {
			rs_link_set_up(t.host, 999998, true, NULL);
			rs_link_set_up(t.host, t.h.ifindex, true, NULL);
		}
		assert_int_equal(rs_nl_flush(t.host, &err), -ENODEV);
		assert_non_null(strstr(rs_err_str(&err), "10.9.0.8/32"));
		assert_int_equal(rs_link_get_index(t.host, t.h.ifindex, &l, NULL), 0);
		assert_true(l.up);
	}
	/* Forgotten is not done. */
	rs_nl_gather(t.host);
	rs_link_set_up(t.host, t.h.ifindex, false, NULL);
	rs_nl_forget(t.host);
	assert_int_equal(rs_link_get_index(t.host, t.h.ifindex, &l, NULL), 0);
	assert_true(l.up);
	pair_close(&t);
}

static void test_ipv4_settings(void **state)
{
	static const struct rs_link_setting v[] = {
		{ IPV4_DEVCONF_FORWARDING, 1 },
		{ IPV4_DEVCONF_RP_FILTER, 2 },
		{ IPV4_DEVCONF_ROUTE_LOCALNET, 1 },
	};
	rs_auto_err err = { 0 };
	struct pair t;
	char got[16];

	(void)state;
	NEED_ROOT();
	pair_open(&t);
	assert_int_equal(rs_link_set_ipv4(t.host, t.h.ifindex, v, RS_ARRAY_SIZE(v), &err), 0);
	rs_sysctl_get("net/ipv4/conf/rsf0/forwarding", got, sizeof(got), NULL);
	assert_string_equal(got, "1");
	rs_sysctl_get("net/ipv4/conf/rsf0/rp_filter", got, sizeof(got), NULL);
	assert_string_equal(got, "2");
	rs_sysctl_get("net/ipv4/conf/rsf0/route_localnet", got, sizeof(got), NULL);
	assert_string_equal(got, "1");
	assert_int_equal(rs_link_set_ipv4(t.host, 999999, v, RS_ARRAY_SIZE(v), &err), -ENODEV);
	pair_close(&t);
}

/* Of a group all go, in one request, and no other; also when there is none. */
static void test_a_group_goes_at_once(void **state)
{
	struct rs_veth v = veth;
	rs_auto_err err = { 0 };
	struct rs_link *list;
	struct pair t;
	size_t n;

	(void)state;
	NEED_ROOT();
	pair_open(&t);
	v.pod_netns_fd = pod_ns;
	for (int i = 0; i < 5; i++) {
		char host[16], pod[16];
		struct rs_link l;

		snprintf(host, sizeof(host), "rsg%d", i);
		snprintf(pod, sizeof(pod), "eth%d", i + 1);
		v.host_name = host;
		v.pod_name = pod;
		v.host_mac[5] = v.pod_mac[4] = (uint8_t)(i + 10);
		v.group = i == 4 ? GROUP : GROUP ^ 1;
		assert_int_equal(rs_veth_create(t.host, &v, &l.ifindex, &err), 0);
	}
	assert_int_equal(rs_link_del_group(t.host, GROUP ^ 1, &err), 0);
	assert_int_equal(rs_link_list(t.host, &list, &n, &err), 0);
	assert_int_equal(n, 3); /* lo, rsf0, rsg4 */
	free(list);
	assert_int_equal(rs_link_del_group(t.host, GROUP ^ 1, &err), 0);
	/* In group 0 are all the others' links. */
	assert_int_equal(rs_link_del_group(t.host, 0, &err), -EINVAL);
	assert_int_equal(rs_link_del_group(t.host, GROUP, &err), 0);
	assert_int_equal(rs_link_list(t.host, &list, &n, &err), 0);
	assert_int_equal(n, 1);
	free(list);
	rs_nl_close(t.host);
	rs_nl_close(t.pod);
}

static void test_addresses_and_neighbours(void **state)
{
	struct rs_addr a4 = addr("10.9.0.2"), a6 = addr("fd00:9::2"), ll = addr("fe80::2");
	struct rs_neigh *list;
	struct pair t;
	size_t n;

	(void)state;
	NEED_ROOT();
	pair_open(&t);
	assert_int_equal(rs_addr_add_link(t.pod, t.p.ifindex, &a4, 32, NULL), 0);
	assert_int_equal(rs_addr_add_link(t.pod, t.p.ifindex, &a6, 128, NULL), 0);
	assert_int_equal(rs_addr_add_link(t.pod, t.p.ifindex, &ll, 64, NULL), 0);
	assert_int_equal(rs_addr_add_link(t.pod, t.p.ifindex, &a4, 32, NULL), -EEXIST);
	check_addr(t.pod, t.p.ifindex, "10.9.0.2", 32);
	check_addr(t.pod, t.p.ifindex, "fd00:9::2", 128);
	check_addr(t.pod, t.p.ifindex, "fe80::2", 64);

	assert_int_equal(rs_neigh_set(t.host, t.h.ifindex, &a4, t.p.mac, NULL), 0);
	assert_int_equal(rs_neigh_set(t.host, t.h.ifindex, &a4, t.p.mac, NULL), 0);
	assert_int_equal(rs_neigh_set(t.host, t.h.ifindex, &a6, t.p.mac, NULL), 0);
	/* Entries that are set while the link is down are there when it comes up. */
	assert_int_equal(rs_link_set_up(t.host, t.h.ifindex, true, NULL), 0);
	assert_int_equal(rs_neigh_list(t.host, t.h.ifindex, &list, &n, NULL), 0);
	assert_int_equal(n, 2);
	assert_true(list[0].permanent && list[1].permanent);
	assert_memory_equal(list[0].mac, veth.pod_mac, 6);
	free(list);
	pair_close(&t);
}

static size_t count_routes(struct rs_nl *nl, int family, bool ours, const struct rs_cidr *dst)
{
	struct rs_route *list;
	size_t n, i, hits = 0;

	assert_int_equal(rs_route_list(nl, family, ours, &list, &n, NULL), 0);
	for (i = 0; i < n; i++)
		hits += rs_cidr_cmp(&list[i].dst, dst) == 0;
	free(list);
	return hits;
}

static void test_routes(void **state)
{
	struct rs_route r4 = { .dst = cidr("10.9.0.2/32") }, r6 = { .dst = cidr("fd00:9::2/128") };
	struct rs_route no = { .dst = cidr("10.9.0.0/24"), .unreachable = true };
	struct rs_route no6 = { .dst = cidr("fd00:9::/64"), .unreachable = true };
	rs_auto_err err = { 0 };
	struct pair t;

	(void)state;
	NEED_ROOT();
	pair_open(&t);
	r4.ifindex = r6.ifindex = t.h.ifindex;
	/* The kernel takes no route over a link that is down. */
	assert_int_equal(rs_route_add(t.host, &r4, false, &err), -ENETDOWN);
	assert_non_null(strstr(rs_err_str(&err), "10.9.0.2/32"));
	assert_int_equal(rs_link_set_up(t.host, t.h.ifindex, true, NULL), 0);
	assert_int_equal(rs_route_add(t.host, &r4, false, NULL), 0);
	assert_int_equal(rs_route_add(t.host, &r6, false, NULL), 0);
	assert_int_equal(rs_route_add(t.host, &r4, false, NULL), -EEXIST);
	assert_int_equal(rs_route_add(t.host, &r6, false, NULL), -EEXIST);
	assert_int_equal(rs_route_add(t.host, &r4, true, NULL), 0);
	assert_int_equal(rs_route_add(t.host, &no, false, NULL), 0);
	assert_int_equal(rs_route_add(t.host, &no6, false, NULL), 0);
	assert_int_equal(count_routes(t.host, RS_AF_IP4, true, &r4.dst), 1);
	assert_int_equal(count_routes(t.host, RS_AF_IP6, true, &r6.dst), 1);
	assert_int_equal(count_routes(t.host, RS_AF_IP4, true, &no.dst), 1);
	assert_int_equal(count_routes(t.host, RS_AF_IP6, true, &no6.dst), 1);
	assert_int_equal(rs_route_del(t.host, &r4, NULL), 0);
	assert_int_equal(rs_route_del(t.host, &r4, NULL), 0);
	assert_int_equal(rs_route_del(t.host, &no, NULL), 0);
	assert_int_equal(rs_route_del(t.host, &no6, NULL), 0);
	assert_int_equal(count_routes(t.host, RS_AF_IP4, false, &r4.dst), 0);
	assert_int_equal(count_routes(t.host, RS_AF_IP4, false, &no.dst), 0);
	assert_int_equal(count_routes(t.host, RS_AF_IP6, false, &no6.dst), 0);
	pair_close(&t);
}

/* What someone else put there is not listed as ours and survives our removal. */
static void test_foreign_routes_stay(void **state)
{
	struct rs_route r = { .dst = cidr("198.51.100.0/24") };
	struct pair t;

	(void)state;
	NEED_ROOT();
	pair_open(&t);
	r.ifindex = t.h.ifindex;
	assert_int_equal(rs_link_set_up(t.host, t.h.ifindex, true, NULL), 0);
	assert_int_equal(system("ip route add 198.51.100.0/24 dev rsf0 proto static"), 0);
	assert_int_equal(count_routes(t.host, RS_AF_IP4, true, &r.dst), 0);
	assert_int_equal(rs_route_del(t.host, &r, NULL), 0);
	assert_int_equal(count_routes(t.host, RS_AF_IP4, false, &r.dst), 1);
	pair_close(&t);
}

static void test_gateway_route_and_uplink(void **state)
{
	struct rs_route gw = { .dst = cidr("169.254.1.1/32") };
	struct rs_route def = { .dst = cidr("0.0.0.0/0"), .via = addr("169.254.1.1"), .mtu = 1380 };
	struct rs_route def6 = { .dst = cidr("::/0"), .via = addr("fe80::1") };
	struct rs_route *list;
	struct rs_link up;
	struct pair t;
	size_t n;

	(void)state;
	NEED_ROOT();
	pair_open(&t);
	gw.ifindex = def.ifindex = def6.ifindex = t.p.ifindex;
	assert_int_equal(rs_uplink(t.pod, RS_AF_IP4, &up, NULL), -ENOENT);
	assert_int_equal(rs_link_set_up(t.pod, t.p.ifindex, true, NULL), 0);
	assert_int_equal(rs_route_add(t.pod, &gw, false, NULL), 0);
	assert_int_equal(rs_route_add(t.pod, &def, false, NULL), 0);
	assert_int_equal(rs_route_add(t.pod, &def6, false, NULL), 0);
	assert_int_equal(rs_uplink(t.pod, RS_AF_IP4, &up, NULL), 0);
	assert_string_equal(up.name, "eth0");
	assert_int_equal(rs_uplink(t.pod, RS_AF_IP6, &up, NULL), 0);
	assert_int_equal(up.ifindex, t.p.ifindex);
	assert_int_equal(rs_route_list(t.pod, RS_AF_IP4, true, &list, &n, NULL), 0);
	assert_int_equal(n, 2);
	assert_int_equal(list[0].dst.len ? list[1].mtu : list[0].mtu, 1380);
	assert_int_equal(rs_addr_cmp(list[0].dst.len ? &list[1].via : &list[0].via, &def.via), 0);
	free(list);
	pair_close(&t);
}

static void test_netns_open_refuses(void **state)
{
	const char *bad[] = { "/nonexistent/ns", "/etc/passwd", "/proc/self/ns/mnt", "/",
			      host_path };
	size_t i;
	int fd = -1;

	(void)state;
	NEED_ROOT();
	for (i = 0; i < RS_ARRAY_SIZE(bad); i++) {
		rs_auto_err err = { 0 };

		assert_int_equal(rs_netns_open(bad[i], &fd, &err), -EINVAL);
		assert_int_equal(err.cni, RS_CNI_NETNS);
		assert_int_equal(fd, -1);
	}
	assert_int_equal(rs_netns_open(pod_path, &fd, NULL), 0);
	close(fd);
}

static void test_netns_open_survives_a_fifo(void **state)
{
	char dir[] = "/tmp/rsf-XXXXXX";
	rs_autofree char *fifo = NULL;
	rs_auto_err err = { 0 };
	int fd = -1;

	(void)state;
	NEED_ROOT();
	assert_non_null(mkdtemp(dir));
	fifo = rs_asprintf("%s/fifo", dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(rs_netns_open(fifo, &fd, &err), -EINVAL);
	assert_int_equal(err.cni, RS_CNI_NETNS);
	unlink(fifo);
	rmdir(dir);
}

static int note_netns(void *arg, struct rs_err *err)
{
	struct stat st;

	(void)err;
	stat("/proc/thread-self/ns/net", &st);
	*(ino_t *)arg = st.st_ino;
	return -ENOTTY;
}

static void test_netns_do_comes_back(void **state)
{
	ino_t before, inside, after;

	(void)state;
	NEED_ROOT();
	note_netns(&before, NULL);
	assert_int_equal(rs_netns_do(pod_ns, note_netns, &inside, NULL), -ENOTTY);
	note_netns(&after, NULL);
	assert_int_equal(before, after);
	assert_int_not_equal(before, inside);
}

static void test_sysctl(void **state)
{
	rs_autoclose int folder = -1;
	char v[16];

	(void)state;
	NEED_ROOT();
	assert_int_equal(rs_sysctl_set("net/ipv4/ip_forward", "1", NULL), 0);
	assert_int_equal(rs_sysctl_get("net/ipv4/ip_forward", v, sizeof(v), NULL), 0);
	assert_string_equal(v, "1");
	assert_int_equal(rs_sysctl_set("net/ipv4/conf/nosuch0/rp_filter", "0", NULL), -ENOENT);
	assert_int_equal(rs_sysctl_set("net/../kernel/panic", "0", NULL), -EINVAL);
	assert_int_equal(rs_sysctl_set("kernel/panic", "0", NULL), -EINVAL);
	assert_int_equal(rs_sysctl_folder("net/ipv4/conf/nosuch0", NULL), -ENOENT);
	assert_int_equal(rs_sysctl_folder("net/../kernel", NULL), -EINVAL);
	folder = rs_sysctl_folder("net/ipv4/conf/lo", NULL);
	assert_true(folder >= 0);
	for (int i = 0; i < 3; i++) {
		static const char *const values[] = { "2", "2", "1" };

		assert_int_equal(rs_sysctl_set_at(folder, "rp_filter", values[i], NULL), 0);
		rs_sysctl_get("net/ipv4/conf/lo/rp_filter", v, sizeof(v), NULL);
		assert_string_equal(v, values[i]);
	}
	assert_int_equal(rs_sysctl_set_at(folder, "nosuch", "1", NULL), -ENOENT);
	assert_int_equal(rs_sysctl_set_at(folder, "../all/rp_filter", "1", NULL), -EINVAL);
}

static void test_many_links_are_all_listed(void **state)
{
	struct rs_link *list;
	size_t n, before, i;
	struct rs_nl *nl;

	(void)state;
	NEED_ROOT();
	assert_int_equal(rs_nl_open(&nl, NULL), 0);
	assert_int_equal(rs_link_list(nl, &list, &before, NULL), 0);
	free(list);
	for (i = 0; i < 100; i++) {
		rs_autofree char *h = rs_asprintf("rsf%zu", i), *p = rs_asprintf("rsp%zu", i);
		struct rs_veth v = veth;
		struct rs_link l;

		v.host_name = h;
		v.pod_name = p;
		v.pod_netns_fd = pod_ns;
		v.pod_mac[5] = v.host_mac[5] = (uint8_t)i;
		assert_int_equal(rs_veth_create(nl, &v, &l.ifindex, NULL), 0);
	}
	assert_int_equal(rs_link_list(nl, &list, &n, NULL), 0);
	assert_int_equal(n, before + 100);
	for (i = 0; i < n; i++) {
		if (list[i].group == GROUP)
			assert_int_equal(rs_link_del(nl, list[i].ifindex, NULL), 0);
	}
	free(list);
	rs_nl_close(nl);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_veth_is_born_down_grouped_noarp),
		cmocka_unit_test(test_up_down_keeps_noarp),
		cmocka_unit_test(test_second_veth_of_a_name_changes_nothing),
		cmocka_unit_test(test_missing_link),
		cmocka_unit_test(test_gathered_changes_go_together),
		cmocka_unit_test(test_gathered_changes_that_fail),
		cmocka_unit_test(test_ipv4_settings),
		cmocka_unit_test(test_a_group_goes_at_once),
		cmocka_unit_test(test_addresses_and_neighbours),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_foreign_routes_stay),
		cmocka_unit_test(test_gateway_route_and_uplink),
		cmocka_unit_test(test_netns_open_refuses),
		cmocka_unit_test(test_netns_open_survives_a_fifo),
		cmocka_unit_test(test_netns_do_comes_back),
		cmocka_unit_test(test_sysctl),
		cmocka_unit_test(test_many_links_are_all_listed),
		cmocka_unit_test(test_news_of_links_that_go),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
