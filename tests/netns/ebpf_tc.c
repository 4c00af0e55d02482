// SPDX-License-Identifier: Apache-2.0
/*
 * ebpf_tc.c - programs at devices: the guard's second line at a pod's link, and what ebpf-tc does
 * where a packet has no way out to be judged at.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "dataplane/ebpf/bpftcx.h"
#include "dataplane/ebpf/ebpf.h"
#include "ebpf_bed.h"
#include "nft_check.h"

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

/* ---- frames ---------------------------------------------------------------------------------- */

static const uint8_t gateway_mac[6] = { 2, 0xee, 0xee, 0xee, 0xee, 0xee };

static void send_frame(enum bed_place from, uint8_t *f, size_t len, uint16_t proto)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_halen = 6 };
	int fd;

	f[12] = (uint8_t)(proto >> 8);
	f[13] = (uint8_t)proto;
	memcpy(f, gateway_mac, 6);
	bed_enter(from);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	to.sll_ifindex = (int)if_nametoindex("eth0");
	if (fd < 0 || sendto(fd, f, len, 0, (void *)&to, sizeof(to)) < 0)
		check(false, "a frame is sent");
	bed_enter(NODE);
	close(fd);
}

/* A datagram of b to a, from that hardware address. true: it arrived. */
static bool frame_from(const uint8_t *mac, const char *src)
{
	uint8_t f[64] = { 0 }, *ip = f + 14;
	uint16_t ports[4] = { htons(3333), htons(99), htons(9), 0 };
	int rx = bed_socket(POD_A, 4, SOCK_DGRAM, 99);
	uint32_t sum = 0;
	bool got;

	memcpy(f + 6, mac, 6);
	memcpy(ip, (uint8_t[]){ 0x45, 0, 0, 29, 0, 7, 0, 0, 64, 17 }, 10);
	inet_pton(AF_INET, src, ip + 12);
	inet_pton(AF_INET, bed_addr(POD_A, 4), ip + 16);
	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
	sum = ~((sum & 0xffff) + (sum >> 16));
	ip[10] = (uint8_t)(sum >> 8);
	ip[11] = (uint8_t)sum;
	memcpy(ip + 20, ports, sizeof(ports));
	send_frame(POD_B, f, 14 + 29, ETH_P_IP);
	got = bed_readable(rx);
	close(rx);
	return got;
}

static void send_arp(const uint8_t *mac, const char *sender)
{
	uint8_t f[64] = { 0 }, *a = f + 14;

	memcpy(f + 6, (uint8_t[]){ 2, 0, 0, 0, 0, 3 }, 6);
	memcpy(a, (uint8_t[]){ 0, 1, 8, 0, 6, 4, 0, 1 }, 8);
	memcpy(a + 8, mac, 6);
	inet_pton(AF_INET, sender, a + 14);
	send_frame(POD_B, f, 60, ETH_P_ARP);
}

static void test_frames(struct rs_dp *dp)
{
	static const uint8_t own[6] = { 2, 0, 0, 0, 0, 3 }, other[6] = { 2, 0, 0, 0, 0, 4 };
	uint64_t before = drops_of(dp, RS_DROP_SPOOFED);
	uint8_t f[64] = { 0 };

	check(frame_from(own, bed_addr(POD_B, 4)), "control: a frame with the pod's addresses");
	check(!frame_from(other, bed_addr(POD_B, 4)), "another hardware address: dropped");
	check(!frame_from(own, bed_addr(POD_C, 4)), "another pod's address: dropped");
	check(drops_of(dp, RS_DROP_SPOOFED) == before + 2, "both count as spoofed");
	send_arp(own, bed_addr(POD_B, 4));
	send_arp(own, "0.0.0.0");
	check(drops_of(dp, RS_DROP_SPOOFED) == before + 2, "ARP of its own is no spoofing");
	send_arp(own, bed_addr(POD_C, 4));
	send_arp(other, bed_addr(POD_B, 4));
	check(drops_of(dp, RS_DROP_SPOOFED) == before + 4, "for another's address or MAC it is");
	memcpy(f + 6, own, 6);
	send_frame(POD_B, f, 60, 0x88cc);
	check(drops_of(dp, RS_DROP_SPOOFED) == before + 4, "what is no IP goes silently");
}

/* By itself: the guard at the netfilter hook is taken away. */
static void test_second_line(struct rs_dp *dp)
{
	uint64_t before = drops_of(dp, RS_DROP_SPOOFED);

	if (bed_ops == &rs_dp_ebpf_tc)
		return;
	for (int i = 0; i < RS_BPF_FAMILIES; i++)
		bpf_link_detach(rs_ebpf_of(dp)->set.link[i]);
	check(!bed_forged(POD_B, bed_addr(POD_C, 4), POD_A, 5353) &&
		      drops_of(dp, RS_DROP_SPOOFED) == before + 1,
	      "without the other guard a forged source is dropped and counted still");
	stand_detach("rsb");
	bed_forged(POD_B, bed_addr(POD_C, 4), POD_A, 5353);
	check(drops_of(dp, RS_DROP_SPOOFED) == before + 1, "control: without both nobody does");
	check(drifts(dp, NULL) >= 2 && commit(dp, &full, NULL) && drifts(dp, NULL) == 0,
	      "audit finds both, and they are mended");
	check(!bed_forged(POD_B, bed_addr(POD_C, 4), POD_A, 5353) &&
		      drops_of(dp, RS_DROP_SPOOFED) > 0,
	      "and guard again");
}

static void test_lost_filter(struct rs_dp *dp)
{
	rs_autofree char *before = stand_programs("rsb"), *after = NULL;

	check(strstr(before, "rs_tc_") != NULL, "a program stands at a pod's link");
	check(drifts(dp, NULL) == 0, "control: no drift");
	stand_detach("rsb");
	check(drifts(dp, "at device rsb") == 1, "a filter that somebody took away is found");
	check(drifts(dp, "at device rsb") == 1, "and found again: looking mends nothing");
	check(commit(dp, &full, NULL) && drifts(dp, NULL) == 0, "and mended");
	after = stand_programs("rsb");
	check(strstr(after, "rs_tc_") != NULL && !rs_ebpf_of(dp)->tc.why, "as it was");
}

static void test_next_agent(struct rs_dp **dp)
{
	rs_autofree char *before = stand_programs("rsb"), *after = NULL;

	(*dp)->ops->close(*dp);
	*dp = open_dp();
	check(commit(*dp, &full, NULL), "the next agent");
	after = stand_programs("rsb");
	check(!strcmp(before, after), "leaves the programs where they stand");
	check(!rs_ebpf_of(*dp)->tc.why, "and knows them as its own");
	printf("     %s", after);
}

static size_t pins_at_devices(void)
{
	rs_autofree char *text = NULL;

	bed_sh(NODE, &text, "ls " EBPF_DIR "/*/ | grep -c ^link_tc_");
	return strtoul(text, NULL, 10);
}

/* A link ends with its device; its pin has to be told. */
static void test_gone_device(struct rs_dp *dp)
{
	size_t before = pins_at_devices();
	struct rs_ebpf *e = rs_ebpf_of(dp);
	int prog = e->set.tc[bed_ops == &rs_dp_ebpf_tc ? RS_BPF_TC_FROM_POD : RS_BPF_TC_GUARD];
	uint32_t index;

	if (cfg.bpf_clsact || !rs_bpf_tcx_has())
		return;
	bed_sh(NODE, NULL, "ip link add gone0 type veth peer name gone1");
	index = if_nametoindex("gone0");
	check(rs_bpf_tcx_put(&e->cfg, &e->set, index, true, prog) == 0 &&
		      rs_bpf_tcx_stands(&e->cfg, &e->set, index, true, prog) &&
		      pins_at_devices() == before + 1,
	      "a link at a device has a pin");
	bed_sh(NODE, NULL, "ip link del gone0");
	check(!rs_bpf_tcx_stands(&e->cfg, &e->set, index, true, prog), "the device goes");
	check(commit(dp, &full, NULL) && pins_at_devices() == before, "and the pin with it");
}

/* Whoever came before us has his say behind us. */
static void test_first(void)
{
	rs_autofree char *text = stand_programs("rsc");
	const char *ours = strstr(text, "rs_tc_"), *theirs = strstr(text, "foreign");

	check(ours && theirs && ours < theirs, "before the other one");
}

/* Where ours should stand: it stays. */
static void test_foreign(void)
{
	struct rs_dp *dp = open_dp();
	rs_autofree char *why = NULL;
	bool ok;

	check(dp->ops->remove(dp, NULL) == 0, "nothing of ours");
	check(stand_gone("rsb"), "no program is left");
	stand_no_room("rsc");
	ok = commit(dp, &full, NULL);
	if (bed_ops == &rs_dp_ebpf_tc) {
		check(!ok, "a pod whose link is other programs' is refused");
		check(stand_only_foreign("rsc"), "and theirs stay");
	} else {
		why = dp->ops->conditions(dp);
		check(ok && why && strstr(why, "rsc"), "the second line has no place: a condition");
		printf("     %s\n", why ? why : "-");
	}
	stand_clear("rsc");
	stand_foreign("rsc");
	check(commit(dp, &full, NULL), "without them ours stands");
	free(rs_steal_ptr(&why));
	why = dp->ops->conditions(dp);
	check(!why, "and nothing is to be told");
	test_first();
	check(dp->ops->remove(dp, NULL) == 0 && stand_only_foreign("rsc"),
	      "taken away again, and others' programs stay");
	stand_clear("rsc");
	dp->ops->close(dp);
}

void test_devices(void)
{
	struct rs_dp *dp = open_dp();

	commit(dp, &full, NULL);
	test_frames(dp);
	test_second_line(dp);
	test_lost_filter(dp);
	test_gone_device(dp);
	test_next_agent(&dp);
	dp->ops->close(dp);
	test_foreign();
}

/* ---- what a pod isolated for egress sends ---------------------------------------------------- */

/* `full`, and c may reach a at tcp 8080 and udp 5353, the world and its node at tcp 8080. */
static bool commit_way_out(struct rs_dp *dp)
{
	const struct rs_ir_cell more[] = {
		{ .dir = RS_DIR_OUT, .group = 2, .cls = 10, .profile = 3 },
		{ .dir = RS_DIR_OUT, .group = 2, .cls = 20, .profile = 4 },
	};
	struct rs_ir *ir = bed_ir(&full);
	struct rs_ir_cell *all = rs_ir_alloc(ir, ir->n_cells + 2, sizeof(*all));
	struct rs_dp_commit done;
	rs_auto_err err = { 0 };
	int rc;

	memcpy(all, ir->cells, ir->n_cells * sizeof(*all));
	memcpy(all + ir->n_cells, more, sizeof(more));
	ir->cells = all;
	ir->n_cells += 2;
	ir->generation = 100;
	rc = dp->ops->commit(dp, ir, &done, &err);
	if (rc)
		printf("     %s\n", rs_err_str(&err));
	rs_ir_free(ir);
	return rc == 0;
}

static void say(bool ok, int family, const char *what)
{
	rs_autofree char *line = rs_asprintf("v%d %s", family, what);

	check(ok, line);
}

/* There and back between a socket of the node, not connected, and one of c. */
static bool answered(int family)
{
	int rx = bed_socket(POD_C, family, SOCK_DGRAM, 53);
	int tx = bed_socket(NODE, family, SOCK_DGRAM, 0);
	struct sockaddr_storage s, from;
	socklen_t len = bed_sockaddr(&s, bed_addr(POD_C, family), family, 53), flen = sizeof(from);
	char c;
	bool got = sendto(tx, "q", 1, 0, (void *)&s, len) == 1 && bed_readable(rx) &&
		   recvfrom(rx, &c, 1, 0, (void *)&from, &flen) == 1 &&
		   sendto(rx, "a", 1, 0, (void *)&from, flen) == 1 && bed_readable(tx);

	close(rx);
	close(tx);
	return got;
}

static bool refused(int family)
{
	int tx = bed_socket(NODE, family, SOCK_DGRAM, 0);
	struct sockaddr_storage s;
	socklen_t len = bed_sockaddr(&s, bed_addr(POD_C, family), family, 54);
	char c;
	bool got = connect(tx, (void *)&s, len) == 0 && send(tx, "q", 1, 0) == 1 &&
		   bed_readable(tx) && recv(tx, &c, 1, MSG_DONTWAIT) < 0 && errno == ECONNREFUSED;

	close(tx);
	return got;
}

/* A denial at the look-up of a socket, which the kernel answers. */
static bool silent(int family)
{
	int rx = bed_socket(NODE, family, SOCK_DGRAM, 53);
	int tx = bed_socket(POD_C, family, SOCK_DGRAM, 0);
	struct sockaddr_storage s;
	socklen_t len = bed_sockaddr(&s, bed_addr(NODE, family), family, 53);
	bool ok = connect(tx, (void *)&s, len) == 0 && send(tx, "q", 1, 0) == 1 &&
		  !bed_readable(tx) && !bed_readable(rx);

	close(rx);
	close(tx);
	return ok;
}

static void test_plain_way_out(void)
{
	for (int f = 4; f <= 6; f += 2) {
		say(bed_tcp(POD_C, POD_A, f, 8080) && !bed_tcp(POD_C, POD_A, f, 81), f,
		    "tcp c to a, by port");
		say(bed_udp(POD_C, POD_A, f, 5353) && !bed_udp(POD_C, POD_A, f, 5354), f,
		    "udp c to a, by port");
		say(bed_tcp(POD_C, WORLD, f, 8080) && !bed_tcp(POD_C, WORLD, f, 81), f,
		    "tcp c to the world, by port");
		say(bed_tcp(POD_C, NODE, f, 8080) && !bed_tcp(POD_C, NODE, f, 81), f,
		    "tcp c to its node, by port");
		say(!bed_udp(POD_C, NODE, f, 8080) && silent(f), f,
		    "udp c to its node, and nobody tells");
		say(!bed_ping(POD_C, NODE, f) && !bed_ping(POD_C, WORLD, f), f,
		    "icmp of c, whose rules have ports");
		say(bed_tcp(NODE, POD_C, f, 80) && bed_udp(NODE, POD_C, f, 53), f, "node to c");
		say(bed_ping(NODE, POD_C, f), f, "and c's answer to an echo request of its node");
		say(answered(f), f, "and to a socket that is not connected");
		say(refused(f), f, "and its error about what nobody there listens to");
	}
}

static bool udp_to(const char *vip, int family, enum bed_place backend, uint16_t port)
{
	int rx = bed_socket(backend, family, SOCK_DGRAM, port);
	int tx = bed_socket(POD_C, family, SOCK_DGRAM, 0);
	struct sockaddr_storage s;
	socklen_t len = bed_sockaddr(&s, vip, family, 53);
	bool got;

	(void)!sendto(tx, "q", 1, 0, (void *)&s, len);
	got = bed_readable(rx);
	close(rx);
	close(tx);
	return got;
}

static bool tcp_to(const char *vip, int family, enum bed_place backend, uint16_t port)
{
	int l = bed_socket(backend, family, SOCK_STREAM, port);
	int c = bed_socket(POD_C, family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct sockaddr_storage s;
	socklen_t len = bed_sockaddr(&s, vip, family, 53);
	bool got = listen(l, 4) == 0;

	(void)!connect(c, (void *)&s, len);
	got = got && bed_readable(l);
	close(c);
	close(l);
	return got;
}

/* Translated behind the program at the pod's link, which cannot know to where. */
static void test_translated(void)
{
	bed_sh(NODE, NULL,
	       "nft 'add table inet svc; add chain inet svc pre { type nat hook prerouting "
	       "priority dstnat; };"
	       "add rule inet svc pre ip daddr 10.96.0.1 udp dport 53 dnat ip to 10.244.0.2:5353;"
	       "add rule inet svc pre ip daddr 10.96.0.2 udp dport 53 dnat ip to 10.244.0.2:5354;"
	       "add rule inet svc pre ip daddr 10.96.0.3 udp dport 53 dnat ip to 192.0.2.1:8080;"
	       "add rule inet svc pre ip daddr 10.96.0.4 udp dport 53 dnat ip to 192.0.2.2:8080;"
	       "add rule inet svc pre ip daddr 10.96.0.1 tcp dport 53 dnat ip to 192.0.2.1:8080;"
	       "add rule inet svc pre ip daddr 10.96.0.2 tcp dport 53 dnat ip to 192.0.2.1:81;"
	       "add rule inet svc pre ip daddr 10.96.0.3 tcp dport 53 dnat ip to 192.0.2.2:8080;"
	       "add rule inet svc pre ip daddr 10.96.0.4 tcp dport 53 dnat ip to 192.0.2.2:81'");
	check(udp_to("10.96.0.1", 4, POD_A, 5353), "udp to a Service with an allowed backend");
	check(!udp_to("10.96.0.2", 4, POD_A, 5354), "one whose backend is denied");
	check(!udp_to("10.96.0.3", 4, NODE, 8080), "one whose backend is its node, denied");
	check(!udp_to("10.96.0.4", 4, WORLD, 8080), "one whose backend is in the world, denied");
	check(tcp_to("10.96.0.1", 4, NODE, 8080), "tcp to a Service at its node, allowed");
	check(!tcp_to("10.96.0.2", 4, NODE, 81), "and denied");
	check(tcp_to("10.96.0.3", 4, WORLD, 8080), "tcp to a Service in the world, allowed");
	check(!tcp_to("10.96.0.4", 4, WORLD, 81), "and denied");
}

/* A device that came while nobody looked. */
static void test_new_device(struct rs_dp *dp)
{
	bool foreign = false;
	char *who = NULL;
	struct bed_conn c;

	check(bed_open(&c, POD_C, WORLD, 4, 8080) && bed_talk(&c), "a connection of c's");
	bed_sh(NODE, NULL, "ip link add new0 type veth peer name new1; ip link set new0 up");
	check(bed_talk(&c), "goes on when a device comes");
	check(!tcp_to("10.96.0.3", 4, WORLD, 8080) && !bed_tcp(POD_C, WORLD, 4, 8080),
	      "but new ones wait until a program stands there");
	check(bed_tcp(POD_B, WORLD, 4, 8080), "those of a pod that may send to anybody do not");
	if (bed_ops == &rs_dp_ebpf_tc)
		check(dp->ops->watch_read(dp, &foreign, &who, NULL) == 0, "which is heard of");
	free(who);
	check(tcp_to("10.96.0.3", 4, WORLD, 8080), "and mended");
	bed_close(&c);
	bed_sh(NODE, NULL, "ip link del new0");
}

static void test_revoked(struct rs_dp *dp)
{
	struct bed_conn to_node, to_world;

	check(bed_open(&to_node, POD_C, NODE, 4, 8080) && bed_talk(&to_node) &&
		      bed_open(&to_world, POD_C, WORLD, 4, 8080) && bed_talk(&to_world),
	      "two connections of c's");
	check(commit(dp, &full, NULL), "revoked");
	check(!bed_talk(&to_node), "to its node: cut");
	check(!bed_talk(&to_world), "to the world: cut");
	bed_close(&to_node);
	bed_close(&to_world);
}

/* What one end sends after conntrack forgot the connection is dropped, and has an entry: one that
 * takes that end for the client. b may send to anybody. */
static void test_turned_round(struct rs_dp *dp)
{
	static const struct bed_policy closed = { .generation = 101, .no_b_allow = true };
	char c;

	for (int f = 4; f <= 6; f += 2) {
		struct bed_conn conn;

		check(commit(dp, &full, NULL) && bed_open(&conn, POD_A, POD_B, f, 8080) &&
			      bed_talk(&conn),
		      "a connection of a's");
		check(commit(dp, &closed, NULL), "is revoked");
		forget_flows();
		(void)send(conn.server, "push", 4, MSG_NOSIGNAL | MSG_DONTWAIT);
		say(!(bed_readable(conn.client) && recv(conn.client, &c, 1, MSG_DONTWAIT) == 1), f,
		    "what its server sends then does not reach a");
		say(!bed_talk(&conn), f, "and nothing of a's gets in as its answer");
		bed_close(&conn);
	}
}

/* One of two fragments of a datagram that has options behind its fragment header: put together, it
 * fits no fragments that came, and the node has to cut it anew. */
static void send_piece(int fd, const struct sockaddr_storage *to, const uint8_t *from,
		       const uint8_t *dst, const uint8_t *data, size_t len, uint16_t offset_more)
{
	uint8_t m[128] = { 0x60, 0, 0, 0, 0, (uint8_t)(8 + len), 44, 64 };

	memcpy(m + 8, from, 16);
	memcpy(m + 24, dst, 16);
	m[40] = 60;
	m[42] = (uint8_t)(offset_more >> 8);
	m[43] = (uint8_t)offset_more;
	m[47] = 77; /* id */
	memcpy(m + 48, data, len);
	(void)!sendto(fd, m, 48 + len, 0, (const void *)to, sizeof(struct sockaddr_in6));
}

/* From the world, to a socket of a pod. */
static bool recut(enum bed_place pod, uint16_t port)
{
	/* 8 bytes of options, a UDP header, 24 bytes: longer than a piece with its header */
	uint8_t data[40] = { 17, 0, 1, 4 }, src[16], dst[16];
	int rx = bed_socket(pod, 6, SOCK_DGRAM, port), tx;
	struct sockaddr_storage to;
	uint32_t sum = 17 + 32;
	bool got;

	inet_pton(AF_INET6, bed_addr(WORLD, 6), src);
	inet_pton(AF_INET6, bed_addr(pod, 6), dst);
	bed_sockaddr(&to, bed_addr(pod, 6), 6, 0);
	memcpy(data + 8, (uint16_t[]){ htons(3333), htons(port), htons(32), 0 }, 8);
	for (int i = 0; i < 16; i += 2)
		sum += (uint32_t)(src[i] << 8 | src[i + 1]) + (uint32_t)(dst[i] << 8 | dst[i + 1]);
	for (int i = 8; i < 40; i += 2)
		sum += (uint32_t)(data[i] << 8 | data[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	data[14] = (uint8_t)(~sum >> 8);
	data[15] = (uint8_t)~sum;
	bed_enter(WORLD);
	tx = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	bed_enter(NODE);
	send_piece(tx, &to, src, dst, data, 24, 1);
	send_piece(tx, &to, src, dst, data + 24, 16, 24);
	got = bed_readable(rx);
	close(tx);
	close(rx);
	return got;
}

static void test_recut(void)
{
	check(recut(POD_A, 99), "control: a datagram that the node cuts anew comes to a free pod");
	check(!recut(POD_C, 99) && !recut(POD_B, 99), "and to no isolated one");
}

void test_way_out(void)
{
	struct rs_dp *dp = open_dp();

	check(commit_way_out(dp), "a pod isolated for egress, with three ways out");
	test_plain_way_out();
	test_translated();
	if (bed_ops == &rs_dp_ebpf_tc)
		test_new_device(dp);
	check(commit_way_out(dp), "again");
	test_revoked(dp);
	test_turned_round(dp);
	test_recut();
	bed_sh(NODE, NULL, "nft delete table inet svc");
	dp->ops->close(dp);
}
