// SPDX-License-Identifier: Apache-2.0
/* test_nflog.c - messages of the NFLOG socket and the packets in them: lib/dataplane/nft/nflogmsg.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>

#include "base/base.h"
#include "dataplane/nft/nflog.h"

static char buf[4096];

static struct nlmsghdr *start(const char *prefix)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(memset(buf, 0, sizeof(buf)));

	h->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET;
	mnl_nlmsg_put_extra_header(h, sizeof(struct nfgenmsg));
	if (prefix)
		mnl_attr_put_strz(h, NFULA_PREFIX, prefix);
	return h;
}

static struct rs_nflog_msg parse(const struct nlmsghdr *h)
{
	struct rs_nflog_msg m;

	rs_nflog_parse(h, &m);
	return m;
}

static struct rs_dp_drop packet(const void *bytes, size_t n)
{
	struct nlmsghdr *h = start("rs1 0 i");

	mnl_attr_put(h, NFULA_PAYLOAD, n, bytes);
	return parse(h).drop;
}

static void prefixes(void **state)
{
	static const char *const bad[] = { "",	      "rs1",	  "rs1 0",   "rs1 0 x", "rs1 6 i",
					   "rs1 / i", "rs1 0 ii", "rs2 0 i", "rs1  0i", "RS1 0 i" };
	struct rs_nflog_msg m = parse(start("rs1 3 o"));

	(void)state;
	assert_true(m.ours && m.drop.from_pod);
	assert_int_equal(m.drop.reason, RS_DROP_SPOOFED);
	m = parse(start("rs1 0 i"));
	assert_true(m.ours && !m.drop.from_pod);
	assert_int_equal(m.drop.reason, RS_DROP_POLICY_INGRESS);
	for (size_t i = 0; i < RS_ARRAY_SIZE(bad); i++)
		assert_false(parse(start(bad[i])).ours);
	assert_false(parse(start(NULL)).ours);
}

static void the_kernels_attributes(void **state)
{
	struct nfulnl_msg_packet_timestamp t = { .sec = htobe64(1795305067),
						 .usec = htobe64(412345) };
	struct nlmsghdr *h = start("rs1 1 o");
	struct rs_nflog_msg m;

	(void)state;
	mnl_attr_put_u32(h, NFULA_SEQ, htonl(77));
	mnl_attr_put_u32(h, NFULA_IFINDEX_INDEV, htonl(12));
	mnl_attr_put_u32(h, NFULA_IFINDEX_OUTDEV, htonl(13));
	mnl_attr_put(h, NFULA_TIMESTAMP, sizeof(t), &t);
	mnl_attr_put_u32(h, NFULA_CT_INFO, htonl(3));
	m = parse(h);
	assert_true(m.has_seq && m.drop.tracked && m.drop.reply && !m.drop.related);
	assert_int_equal(m.seq, 77);
	assert_int_equal(m.drop.iif, 12);
	assert_int_equal(m.drop.oif, 13);
	assert_int_equal(m.drop.time_ns, 1795305067412345000);
	h = start("rs1 1 o");
	mnl_attr_put_u32(h, NFULA_CT_INFO, htonl(1));
	m = parse(h);
	assert_true(m.drop.tracked && !m.drop.reply && m.drop.related);
	h = start("rs1 1 o");
	mnl_attr_put_u16(h, NFULA_SEQ, 1); /* too short */
	assert_false(parse(h).has_seq);
	h->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
	assert_false(parse(h).ours);
}

static const uint8_t ip4_tcp[] = { 0x45, 0, 0,	40, 0,	  7,	0,    0,    64,	  6,	0, 0, 10, 0,
				   0,	 1, 10, 0,  0,	  2,	0x9c, 0x40, 0x15, 0x38, 0, 0, 0,  1,
				   0,	 0, 0,	0,  0x50, 0x12, 0,    0,    0,	  0,	0, 0 };

static void a_tcp_packet(void **state)
{
	struct rs_dp_drop d = packet(ip4_tcp, sizeof(ip4_tcp));
	char text[RS_ADDR_STRLEN];

	(void)state;
	assert_string_equal(rs_addr_str(&d.src, text), "10.0.0.1");
	assert_string_equal(rs_addr_str(&d.dst, text), "10.0.0.2");
	assert_true(d.has_ports && d.has_flags && !d.has_icmp);
	assert_int_equal(d.proto, 6);
	assert_int_equal(d.sport, 40000);
	assert_int_equal(d.dport, 5432);
	assert_int_equal(d.tcp_flags, 0x12);
}

/* Whatever is cut off is not made up. */
static void every_length_of_a_packet(void **state)
{
	(void)state;
	for (size_t n = 0; n <= sizeof(ip4_tcp); n++) {
		struct rs_dp_drop d = packet(ip4_tcp, n);

		assert_int_equal(d.src.family, n < 20 ? 0 : RS_AF_IP4);
		assert_int_equal(d.has_ports, n >= 24);
		assert_int_equal(d.has_flags, n >= 34);
	}
}

static void fragments_and_options(void **state)
{
	uint8_t p[64];
	struct rs_dp_drop d;

	(void)state;
	memcpy(p, ip4_tcp, sizeof(ip4_tcp));
	p[7] = 9; /* a later fragment */
	d = packet(p, sizeof(ip4_tcp));
	assert_true(d.src.family && !d.has_ports);
	p[6] = 0x20; /* the first one */
	p[7] = 0;
	assert_true(packet(p, sizeof(ip4_tcp)).has_ports);
	memmove(p + 24, p + 20, 20);
	p[0] = 0x46;
	d = packet(p, 44);
	assert_int_equal(d.dport, 5432);
	p[0] = 0x44; /* a header shorter than a header */
	assert_int_equal(packet(p, 44).src.family, 0);
	p[0] = 0x4f; /* longer than what is there */
	d = packet(p, 44);
	assert_true(d.src.family && !d.has_ports);
}

static void ip6_with_extensions(void **state)
{
	uint8_t p[128] = { 0x60 };
	struct rs_dp_drop d;

	(void)state;
	p[6] = 0; /* hop by hop, 16 bytes; a first fragment; UDP */
	p[40] = 44;
	p[41] = 1;
	p[56] = 17;
	p[64] = 0x30;
	p[65] = 0x39;
	p[67] = 53;
	d = packet(p, 72);
	assert_int_equal(d.proto, 17);
	assert_int_equal(d.sport, 12345);
	assert_int_equal(d.dport, 53);
	p[59] = 8; /* a later fragment */
	d = packet(p, 72);
	assert_int_equal(d.proto, 17);
	assert_false(d.has_ports);
	p[59] = 0;
	p[41] = 200; /* longer than the packet */
	assert_false(packet(p, 72).has_ports);
	p[6] = 58;
	p[40] = 128;
	p[41] = 0;
	d = packet(p, 48);
	assert_true(d.has_icmp);
	assert_int_equal(d.icmp_type, 128);
	p[6] = 0; /* of the extension only a piece is there */
	p[40] = 17;
	d = packet(p, 44);
	assert_int_equal(d.proto, 0);
	/* Nothing but extension headers ends somewhere. */
	for (size_t i = 40; i < sizeof(p); i += 8)
		memset(p + i, 0, 8);
	p[6] = 0;
	assert_false(packet(p, sizeof(p)).has_ports);
}

static void whole_messages(void **state)
{
	struct nlmsghdr *h = start("rs1 0 i");

	(void)state;
	assert_true(rs_nflog_whole(h, (int)h->nlmsg_len));
	assert_false(rs_nflog_whole(h, (int)h->nlmsg_len - 1));
	assert_false(rs_nflog_whole(h, 0));
	assert_false(rs_nflog_whole(h, -8));
	h->nlmsg_len = 0xfffffff0;
	assert_false(rs_nflog_whole(h, 4000));
	h->nlmsg_len = 3;
	assert_false(rs_nflog_whole(h, 4000));
}

/* A message that ends within a word ends there: no attribute reaches behind it (fuzz_nflog). */
static void a_message_ends_where_it_says(void **state)
{
	struct nfulnl_msg_packet_timestamp t = { .sec = htobe64(5), .usec = htobe64(6) };
	struct nlmsghdr *h = start("rs1 0 i");

	(void)state;
	mnl_attr_put(h, NFULA_TIMESTAMP, sizeof(t), &t);
	assert_int_equal(parse(h).drop.time_ns, 5000006000);
	h->nlmsg_len--;
	assert_int_equal(parse(h).drop.time_ns, 0);
}

/* Nothing of a first packet is told of a second one (found by fuzz_nflog). */
static void a_second_packet_takes_the_place_of_the_first(void **state)
{
	struct nlmsghdr *h = start("rs1 0 i");
	struct rs_dp_drop d;

	(void)state;
	mnl_attr_put(h, NFULA_PAYLOAD, sizeof(ip4_tcp), ip4_tcp);
	mnl_attr_put(h, NFULA_PAYLOAD, 20, ip4_tcp);
	d = parse(h).drop;
	assert_int_equal(d.src.family, RS_AF_IP4);
	assert_int_equal(d.proto, 6);
	assert_false(d.has_ports || d.has_flags);
	assert_int_equal(d.sport + d.dport + d.tcp_flags, 0);
	mnl_attr_put(h, NFULA_PAYLOAD, 4, ip4_tcp);
	d = parse(h).drop;
	assert_int_equal(d.src.family + d.dst.family + d.proto, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefixes),
		cmocka_unit_test(the_kernels_attributes),
		cmocka_unit_test(a_tcp_packet),
		cmocka_unit_test(every_length_of_a_packet),
		cmocka_unit_test(fragments_and_options),
		cmocka_unit_test(ip6_with_extensions),
		cmocka_unit_test(whole_messages),
		cmocka_unit_test(a_message_ends_where_it_says),
		cmocka_unit_test(a_second_packet_takes_the_place_of_the_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
