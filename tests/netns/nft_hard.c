// SPDX-License-Identifier: Apache-2.0
/*
 * nft_hard.c - packets that other designs misjudge: errors, packets without a flow, TCP taken up in
 * mid-stream, fragments, Services by a foreign table; and the records and counts of what was judged.
 */
#include "nft_check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"

static uint64_t drops_of(struct rs_dp *dp, enum rs_drop_reason reason)
{
	struct rs_dp_stats st;
	uint64_t n;

	if (dp->ops->stats(dp, &st, NULL) < 0)
		return UINT64_MAX;
	n = st.drops[reason].packets;
	rs_dp_stats_free(&st);
	return n;
}

static void want(bool ok, int family, const char *what)
{
	rs_autofree char *line = rs_asprintf("v%d %s", family, what);

	check(ok, line);
}

/* ---- errors ---------------------------------------------------------------------------------- */

static uint16_t port_of(int fd)
{
	struct sockaddr_in6 a = { 0 };
	socklen_t len = sizeof(a);

	getsockname(fd, (void *)&a, &len);
	return ntohs(a.sin6_port); /* at the same place in both families */
}

static uint16_t sum_of(const uint8_t *m, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)(m[i] << 8 | m[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* "Port unreachable" about a datagram of a to b, sent to a. */
static void send_error(enum bed_place liar, int family, uint16_t from, uint16_t to)
{
	uint8_t m[8 + 40 + 8] = { family == 4 ? 3 : 1, family == 4 ? 3 : 4 };
	size_t ip = family == 4 ? 20 : 40, alen = family == 4 ? 4 : 16;
	uint8_t *q = m + 8, *udp = q + ip, *src = q + (family == 4 ? 12 : 8);
	uint16_t ports[4] = { htons(from), htons(to), htons(9), 0 }, sum;
	struct sockaddr_storage s;
	socklen_t len = bed_sockaddr(&s, bed_addr(POD_A, family), family, 0);
	int af = family == 4 ? AF_INET : AF_INET6;
	int fd = bed_socket(liar, family, SOCK_RAW, family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);

	q[0] = family == 4 ? 0x45 : 0x60;
	if (family == 4)
		memcpy(q + 2, (uint8_t[]){ 0, 29, 0, 1, 0, 0, 64, 17 }, 8);
	else
		memcpy(q + 4, (uint8_t[]){ 0, 9, 17, 64 }, 4);
	inet_pton(af, bed_addr(POD_A, family), src);
	inet_pton(af, bed_addr(POD_B, family), src + alen);
	memcpy(udp, ports, sizeof(ports));
	if (family == 4) {
		sum = sum_of(q, ip);
		memcpy(q + 10, &sum, 2);
		sum = sum_of(m, 8 + ip + 8);
		memcpy(m + 2, &sum, 2);
	}
	check(sendto(fd, m, 8 + ip + 8, 0, (void *)&s, len) > 0, "  an error is sent");
	close(fd);
}

/* A socket of a, connected to b, through which one datagram went. */
static int talk_to_b(int family, uint16_t port)
{
	int fd = bed_socket(POD_A, family, SOCK_DGRAM, 0);
	struct sockaddr_storage s;
	socklen_t len = bed_sockaddr(&s, bed_addr(POD_B, family), family, port);

	if (connect(fd, (void *)&s, len) < 0 || send(fd, "x", 1, 0) != 1)
		exit(1);
	return fd;
}

static bool refused(int fd)
{
	char c;

	return bed_readable(fd) && recv(fd, &c, 1, MSG_DONTWAIT) < 0 && errno == ECONNREFUSED;
}

static void test_errors(struct rs_dp *dp)
{
	for (int f = 4; f <= 6; f += 2) {
		uint64_t before = drops_of(dp, RS_DROP_INVALID);
		int a = talk_to_b(f, 5353), b;

		want(refused(a), f, "a genuine error of a pod passes");
		close(a);
		b = bed_socket(POD_B, f, SOCK_DGRAM, 5353);
		a = talk_to_b(f, 5353);
		want(bed_readable(b), f, "  a flow from a to b");
		send_error(POD_B, f, port_of(a), 5353);
		want(refused(a), f, "control: an error made by b about it passes");
		want(drops_of(dp, RS_DROP_INVALID) == before, f, "  nothing was dropped");
		send_error(POD_C, f, port_of(a), 5353);
		want(!refused(a), f, "an error forged by c about it does not");
		want(drops_of(dp, RS_DROP_INVALID) == before + 1, f, "  and counts as one invalid");
		close(a);
		close(b);
	}
}

/* ---- no flow --------------------------------------------------------------------------------- */

static void test_notrack(struct rs_dp *dp)
{
	uint64_t before = drops_of(dp, RS_DROP_INVALID);

	bed_sh(NODE, NULL,
	       "nft 'add table inet foreign; add chain inet foreign pre { type filter hook "
	       "prerouting priority raw; }; add rule inet foreign pre udp dport { 5353, 5354 } "
	       "notrack'");
	for (int f = 4; f <= 6; f += 2) {
		want(bed_udp(WORLD, POD_A, f, 5353), f,
		     "control: an untracked datagram between free ends passes");
		want(!bed_udp(POD_A, POD_B, f, 5353), f,
		     "one to an isolated pod does not, whatever its port");
		want(!bed_udp(POD_C, POD_A, f, 5354), f, "nor does one from there");
	}
	want(drops_of(dp, RS_DROP_INVALID) == before + 4, 0, "they count as invalid");
	bed_sh(NODE, NULL, "nft delete table inet foreign");
	want(bed_udp(POD_A, POD_B, 4, 5353), 4, "control: tracked it passes");
}

/* One ICMPv6 message with an ordinary hop limit, which the node has to forward. */
static bool routed(enum bed_place from, enum bed_place to, uint8_t type)
{
	uint8_t m[24] = { type }, got[256];
	int rx = bed_socket(to, 6, SOCK_RAW, IPPROTO_ICMPV6);
	int tx = bed_socket(from, 6, SOCK_RAW, IPPROTO_ICMPV6), hops = 64;
	struct sockaddr_storage s;
	socklen_t len = bed_sockaddr(&s, bed_addr(to, 6), 6, 0);
	bool hit = false;

	memset(m + 8, 0x5a, 16);
	setsockopt(tx, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof(hops));
	(void)!sendto(tx, m, sizeof(m), 0, (void *)&s, len);
	while (!hit && bed_readable(rx))
		hit = recv(rx, got, sizeof(got), 0) == sizeof(m) && got[0] == type &&
		      got[8] == 0x5a;
	close(rx);
	close(tx);
	return hit;
}

static void test_icmp6(void)
{
	static const uint8_t types[] = { 130, 131, 132, 133, 134, 135, 136, 143 };

	for (size_t i = 0; i < RS_ARRAY_SIZE(types); i++) {
		rs_autofree char *line = rs_asprintf("icmpv6 type %u, routed: to a free pod only, "
						     "never to or from an isolated one",
						     types[i]);

		check(routed(WORLD, POD_A, types[i]) && !routed(WORLD, POD_C, types[i]) &&
			      !routed(POD_C, WORLD, types[i]),
		      line);
	}
	check(routed(POD_A, WORLD, 135) && routed(POD_A, WORLD, 136) && !routed(POD_A, WORLD, 134),
	      "from a free pod what steers nobody passes, an advertisement of a router does not");
}

/* Its reports on a pod link look as if they had come from there. */
static void test_own_listener(struct rs_dp *dp)
{
	uint64_t before = drops_of(dp, RS_DROP_INVALID);
	struct ipv6_mreq m = { .ipv6mr_interface = bed_ifindex(POD_C) };
	int fd = bed_socket(NODE, 6, SOCK_DGRAM, 0);

	inet_pton(AF_INET6, "ff15::4242", &m.ipv6mr_multiaddr);
	check(setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &m, sizeof(m)) == 0,
	      "the node listens to a group on a pod link");
	usleep(1500000);
	check(drops_of(dp, RS_DROP_INVALID) == before, "its reports are not the pod's fault");
	close(fd);
}

/* ---- TCP in mid-stream ----------------------------------------------------------------------- */

static void test_midstream(struct rs_dp *dp)
{
	for (int f = 4; f <= 6; f += 2) {
		struct bed_conn to_b, from_b, free_ends;
		uint64_t before = drops_of(dp, RS_DROP_INVALID);

		want(bed_open(&to_b, POD_A, POD_B, f, 8080) && bed_talk(&to_b) &&
			     bed_open(&from_b, POD_B, POD_A, f, 81) && bed_talk(&from_b) &&
			     bed_open(&free_ends, WORLD, POD_A, f, 80) && bed_talk(&free_ends),
		     f, "three connections");
		forget_flows();
		want(bed_talk(&free_ends), f, "control: between free ends one goes on");
		want(!bed_talk(&to_b) && !bed_talk(&from_b), f, "those of an isolated pod are cut");
		want(drops_of(dp, RS_DROP_INVALID) >= before + 2, f, "and count as invalid");
		want(bed_tcp(POD_A, POD_B, f, 8080), f, "a new connection is judged and passes");
		bed_close(&to_b);
		bed_close(&from_b);
		bed_close(&free_ends);
	}
}

/* ---- fragments ------------------------------------------------------------------------------- */

static bool big_udp(int family, uint16_t port)
{
	static const char big[4000];
	char got[sizeof(big)];
	int rx = bed_socket(POD_B, family, SOCK_DGRAM, port);
	int tx = bed_socket(POD_A, family, SOCK_DGRAM, 0);
	struct sockaddr_storage s;
	socklen_t len = bed_sockaddr(&s, bed_addr(POD_B, family), family, port);
	bool hit;

	(void)!sendto(tx, big, sizeof(big), 0, (void *)&s, len);
	hit = bed_readable(rx) && recv(rx, got, sizeof(got), MSG_DONTWAIT) == sizeof(big);
	close(rx);
	close(tx);
	return hit;
}

static void test_fragments(struct rs_dp *dp)
{
	for (int f = 4; f <= 6; f += 2) {
		uint64_t before = drops_of(dp, RS_DROP_POLICY_INGRESS);

		want(big_udp(f, 5353), f, "a datagram in fragments to an allowed port passes");
		want(drops_of(dp, RS_DROP_POLICY_INGRESS) == before, f, "  whole");
		want(!big_udp(f, 5354), f, "one to another port does not");
		want(drops_of(dp, RS_DROP_POLICY_INGRESS) > before, f, "  by policy");
	}
}

/* ---- Services -------------------------------------------------------------------------------- */

/* There and back through a virtual address. */
static bool service(const char *vip, int family, enum bed_place backend, uint16_t port)
{
	int rx = bed_socket(backend, family, SOCK_DGRAM, port);
	int tx = bed_socket(POD_A, family, SOCK_DGRAM, 0);
	struct sockaddr_storage s, from;
	socklen_t len = bed_sockaddr(&s, vip, family, 53), flen = sizeof(from);
	char c;
	bool hit;

	hit = connect(tx, (void *)&s, len) == 0 && send(tx, "q", 1, 0) == 1 && bed_readable(rx) &&
	      recvfrom(rx, &c, 1, 0, (void *)&from, &flen) == 1 &&
	      sendto(rx, "a", 1, 0, (void *)&from, flen) == 1 && bed_readable(tx) &&
	      recv(tx, &c, 1, MSG_DONTWAIT) == 1;
	close(rx);
	close(tx);
	return hit;
}

static void test_services(struct rs_dp *dp)
{
	static const char *const vips[2][3] = {
		{ "10.96.0.1", "10.96.0.2", "10.96.0.3" },
		{ "fd00:96::1", "fd00:96::2", "fd00:96::3" },
	};

	bed_sh(NODE, NULL,
	       "nft 'add table inet svc; add chain inet svc pre { type nat hook prerouting "
	       "priority dstnat; };"
	       "add rule inet svc pre ip daddr 10.96.0.1 udp dport 53 dnat ip to 10.244.0.3:5353;"
	       "add rule inet svc pre ip daddr 10.96.0.2 udp dport 53 dnat ip to 10.244.0.3:5354;"
	       "add rule inet svc pre ip daddr 10.96.0.3 udp dport 53 dnat ip to 10.244.0.4:5353;"
	       "add rule inet svc pre ip6 daddr fd00:96::1 udp dport 53 dnat ip6 to "
	       "[fd00:10:244::3]:5353;"
	       "add rule inet svc pre ip6 daddr fd00:96::2 udp dport 53 dnat ip6 to "
	       "[fd00:10:244::3]:5354;"
	       "add rule inet svc pre ip6 daddr fd00:96::3 udp dport 53 dnat ip6 to "
	       "[fd00:10:244::4]:5353'");
	for (int f = 4; f <= 6; f += 2) {
		const char *const *v = vips[f == 6];
		uint64_t before = drops_of(dp, RS_DROP_POLICY_INGRESS);

		want(service(v[0], f, POD_B, 5353), f,
		     "a Service whose backend port is allowed: there and back");
		want(!service(v[1], f, POD_B, 5354), f, "one whose backend port is not");
		want(!service(v[2], f, POD_C, 5353), f, "one whose backend denies all");
		want(drops_of(dp, RS_DROP_POLICY_INGRESS) == before + 2, f,
		     "  judged on the backend, by its policy");
	}
	bed_sh(NODE, NULL, "nft delete table inet svc");
}

/* ---- counts ---------------------------------------------------------------------------------- */

static uint64_t judged(struct rs_dp *dp, uint8_t dir, uint32_t group, uint32_t cls)
{
	struct rs_dp_stats st;
	uint64_t n = UINT64_MAX;

	if (dp->ops->stats(dp, &st, NULL) < 0)
		return n;
	for (size_t i = 0; i < st.n_judged; i++)
		if (st.judged[i].dir == dir && st.judged[i].group == group &&
		    st.judged[i].cls == cls)
			n = st.judged[i].judged;
	rs_dp_stats_free(&st);
	return n;
}

static void test_judged(struct rs_dp *dp)
{
	uint64_t b = judged(dp, RS_DIR_IN, 2, 10), c = judged(dp, RS_DIR_IN, 3, RS_CLASS_WORLD);
	uint64_t out = judged(dp, RS_DIR_OUT, 1, RS_CLASS_WORLD);
	struct bed_conn conn;

	check(bed_open(&conn, POD_A, POD_B, 4, 8080) && bed_talk(&conn) && bed_talk(&conn),
	      "a connection of many packets");
	check(judged(dp, RS_DIR_IN, 2, 10) == b + 1, "is judged once by its cell");
	check(judged(dp, RS_DIR_OUT, 1, RS_CLASS_WORLD) == out + 1,
	      "and once by the client's default");
	bed_close(&conn);
	for (int i = 0; i < 3; i++)
		bed_udp(POD_A, POD_C, 6, 7);
	check(judged(dp, RS_DIR_IN, 3, RS_CLASS_WORLD) == c + 3,
	      "three denied datagrams are three judgements of the default");
	check(judged(dp, RS_DIR_IN, 2, 10) == b + 1, "and none of another cell");
}

void test_hard_packets(void)
{
	struct rs_dp *dp = open_dp();

	commit(dp, &full, &(struct rs_dp_commit){ 0 });
	test_errors(dp);
	test_notrack(dp);
	dp->ops->close(dp);
	dp = open_dp(); /* other tables came and went */
	commit(dp, &full, &(struct rs_dp_commit){ 0 });
	test_icmp6();
	test_own_listener(dp);
	test_midstream(dp);
	test_fragments(dp);
	test_services(dp);
	test_judged(dp);
	dp->ops->close(dp);
}

void test_hard(void)
{
	struct rs_dp *dp;

	test_hard_packets();
	dp = open_dp();
	commit(dp, &full, &(struct rs_dp_commit){ 0 });
	test_records(dp);
	dp->ops->close(dp);
}
