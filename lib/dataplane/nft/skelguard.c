// SPDX-License-Identifier: Apache-2.0
/* skelguard.c - of the fixed rules those of the guard: who may send from a pod's link, and who may
 * not claim to be a pod. */
/* Before the kernel's headers, which then leave its names alone. */
#include <netinet/in.h>

#include "dataplane/nft/skelmake.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "base/base.h"
#include "dataplane/nft/nftmatch.h"

#define LOOPBACK_INDEX 1u

/* Nearly all that a pod sends, past the rules of from_pod by what it asks of each: no options, not
 * to 127.0.0.0/8, and one of its own sources. */
static void make_usual(struct rs_nft_maker *m)
{
	struct rs_nft_rule *r = rs_nft_rule_new(m, "guard");
	uint8_t net = 127;

	rs_m_plain4(r);
	rs_x_payload(r, NFT_PAYLOAD_NETWORK_HEADER, 16, 1, 0);
	rs_x_cmp(r, 0, NFT_CMP_NEQ, &net, 1);
	rs_rule_say(r, "ip daddr != 127.0.0.0/8");
	rs_m_source(r, 4, "guard4");
	rs_v_accept(r);
	rs_rule_note(r, "the usual packet of a pod");
}

static void make_guard(struct rs_nft_maker *m)
{
	struct rs_nft_rule *r = rs_nft_rule_new(m, "guard");

	rs_m_pod_link(r, m->cfg->link_group, NFT_META_IIFGROUP, NFT_CMP_NEQ);
	rs_v_goto(r, "from_others");
	make_usual(m);
	rs_v_goto(rs_nft_rule_new(m, "guard"), "from_pod");

	r = rs_nft_rule_new(m, "from_others");
	rs_m_iif(r, LOOPBACK_INDEX);
	rs_v_accept(r);
	for (int f = 4; f <= 6; f += 2) {
		r = rs_nft_rule_new(m, "from_others");
		rs_m_packet_in(r, f, false, f == 4 ? "own4" : "own6", false);
		rs_v_goto(r, "spoofed");
		rs_rule_note(r, "a pod's address on a link that is no pod's");
	}
}

/* With route_localnet the node's 127.0.0.1 would answer a pod. */
static void make_no_loopback(struct rs_nft_maker *m)
{
	static const uint8_t one[16] = { [15] = 1 };
	struct rs_nft_rule *r = rs_nft_rule_new(m, "from_pod");
	uint8_t net = 127;

	rs_m_family(r, 6);
	rs_x_addr(r, 6, true, 0);
	rs_x_cmp(r, 0, NFT_CMP_EQ, one, sizeof(one));
	rs_rule_say(r, "ip6 daddr ::1");
	rs_v_goto(r, "spoofed");
	r = rs_nft_rule_new(m, "from_pod");
	rs_m_family(r, 4);
	rs_x_payload(r, NFT_PAYLOAD_NETWORK_HEADER, 16, 1, 0);
	rs_x_cmp(r, 0, NFT_CMP_EQ, &net, 1);
	rs_rule_say(r, "ip daddr 127.0.0.0/8");
	rs_v_goto(r, "spoofed");
}

/*
 * The kernel answers a packet with a wrong option, or one that dies here, by an error that quotes
 * it and goes back the way its source route names: a channel out of an isolated pod, and (see
 * skeleton.c) into one. It does so before it asks whether source routes are accepted, and a match
 * of the option itself would not see it behind a wrong one. So isolated ends have no options.
 */
static void make_no_options(struct rs_nft_maker *m)
{
	struct rs_nft_rule *r = rs_nft_rule_new(m, "from_pod");

	rs_m_options(r);
	rs_m_packet_in(r, 4, false, "free4", true);
	rs_v_goto(r, "invalid_from");
	rs_rule_note(r, "options of an isolated pod");
}

static void make_from_pod(struct rs_nft_maker *m)
{
	struct rs_nft_rule *r;

	make_no_loopback(m);
	r = rs_nft_rule_new(m, "from_pod");
	rs_m_family(r, 6);
	rs_m_l4(r, IPPROTO_ICMPV6, NFT_CMP_EQ, "icmpv6");
	rs_v_jump(r, "pod_icmp6");
	r = rs_nft_rule_new(m, "from_pod");
	rs_m_family(r, 6);
	rs_m_source(r, 6, "guard6");
	rs_v_accept(r);
	make_no_options(m);
	r = rs_nft_rule_new(m, "from_pod");
	rs_m_family(r, 4);
	rs_m_source(r, 4, "guard4");
	rs_v_accept(r);
	r = rs_nft_rule_new(m, "from_pod");
	rs_x_meta(r, NFT_META_IIF, 0);
	rs_x_lookup(r, "plinks", 0, RS_REG_NONE, true);
	rs_rule_say(r, "iif != @plinks");
	rs_v_goto(r, "unprog_from");
	rs_v_goto(rs_nft_rule_new(m, "from_pod"), "spoofed");
}

/* A pod's kernel looks for routers, listeners and duplicates on its own: no use here, no
 * alarm. What could steer the node (router advertisement, redirect) goes the same way. */
static void make_pod_icmp6(struct rs_nft_maker *m)
{
	static const uint8_t quiet[][2] = { { 130, 134 }, { 137, 137 }, { 143, 143 } };
	static const uint8_t zero[16];
	struct rs_nft_rule *r;

	for (size_t i = 0; i < RS_ARRAY_SIZE(quiet); i++) {
		r = rs_nft_rule_new(m, "pod_icmp6");
		rs_m_icmp6_type(r, quiet[i][0], quiet[i][1]);
		rs_v_drop(r, "n_quiet");
		rs_rule_note(r, "router and listener messages, redirects");
	}
	r = rs_nft_rule_new(m, "pod_icmp6");
	rs_x_addr(r, 6, false, 0);
	rs_x_cmp(r, 0, NFT_CMP_EQ, zero, sizeof(zero));
	rs_rule_say(r, "ip6 saddr ::");
	rs_v_drop(r, "n_quiet");
	rs_rule_note(r, "duplicate address detection");
	r = rs_nft_rule_new(m, "pod_icmp6");
	rs_m_on_link(r);
	rs_m_icmp6_type(r, 135, 136);
	rs_m_guard(r, 6, "guard_ll");
	rs_v_accept(r);
	rs_rule_note(r, "neighbour discovery from the link-local address we gave");
}

void rs_nft_make_guard(struct rs_nft_maker *m)
{
	make_guard(m);
	make_from_pod(m);
	make_pod_icmp6(m);
}
