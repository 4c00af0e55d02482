// SPDX-License-Identifier: Apache-2.0
/* nftmatch.c - matches and verdicts as expressions and as words, and the rules of
 * profile chains. */
/* Before the kernel's headers, which then leave its names alone. */
#include <netinet/in.h>

#include "dataplane/nft/nftmatch.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <string.h>

#include <ripstop/ir.h>

#include "dataplane/nft/skeleton.h"

void rs_m_family(struct rs_nft_rule *r, int family)
{
	uint8_t proto = family == 4 ? NFPROTO_IPV4 : NFPROTO_IPV6;

	rs_x_meta(r, NFT_META_NFPROTO, 0);
	rs_x_cmp(r, 0, NFT_CMP_EQ, &proto, 1);
}

/* IPv4 without options: one byte says both, and costs the kernel no call. */
void rs_m_plain4(struct rs_nft_rule *r)
{
	uint8_t plain = 0x45;

	rs_x_payload(r, NFT_PAYLOAD_NETWORK_HEADER, 0, 1, 0);
	rs_x_cmp(r, 0, NFT_CMP_EQ, &plain, 1);
	rs_rule_say(r, "ip version 4 hdrlength 5");
}

void rs_m_byte4(struct rs_nft_rule *r, uint32_t at, uint8_t mask, uint32_t op, uint8_t value)
{
	uint8_t zero = 0;

	rs_m_family(r, 4);
	rs_x_payload(r, NFT_PAYLOAD_NETWORK_HEADER, at, 1, 0);
	rs_x_bitwise(r, 0, 0, &mask, &zero, 1);
	rs_x_cmp(r, 0, op, &value, 1);
}

void rs_m_options(struct rs_nft_rule *r)
{
	rs_m_byte4(r, 0, 0x0f, NFT_CMP_NEQ, 5);
	rs_rule_say(r, "ip hdrlength != 5");
}

/* A pod link: our group or the neighbouring one, in which condemned links wait for
 * their removal. */
void rs_m_pod_link(struct rs_nft_rule *r, uint32_t link_group, uint32_t key, uint32_t op)
{
	uint32_t mask = ~1u, zero = 0, group = link_group & ~1u;

	rs_x_meta(r, key, 0);
	rs_x_bitwise(r, 0, 0, &mask, &zero, 4);
	rs_x_cmp(r, 0, op, &group, 4);
	rs_rule_say(r, "%s %s pods", key == NFT_META_IIFGROUP ? "iifgroup" : "oifgroup",
		    op == NFT_CMP_EQ ? "in" : "not in");
}

void rs_m_from_pod(struct rs_nft_rule *r, uint32_t link_group)
{
	rs_m_pod_link(r, link_group, NFT_META_IIFGROUP, NFT_CMP_EQ);
}

void rs_m_to_pod(struct rs_nft_rule *r, uint32_t link_group)
{
	rs_m_pod_link(r, link_group, NFT_META_OIFGROUP, NFT_CMP_EQ);
}

void rs_m_iif(struct rs_nft_rule *r, uint32_t index)
{
	rs_x_meta(r, NFT_META_IIF, 0);
	rs_x_cmp(r, 0, NFT_CMP_EQ, &index, 4);
	rs_rule_say(r, "iif %u", index);
}

static void match_state(struct rs_nft_rule *r, uint32_t bits, uint32_t op)
{
	uint32_t zero = 0;

	rs_x_ct(r, NFT_CT_STATE, -1, 0);
	rs_x_bitwise(r, 0, 0, &bits, &zero, 4);
	rs_x_cmp(r, 0, op, &zero, 4);
}

void rs_m_state(struct rs_nft_rule *r, uint32_t bits, const char *words)
{
	match_state(r, bits, NFT_CMP_NEQ);
	rs_rule_say(r, "ct state %s", words);
}

void rs_m_not_state(struct rs_nft_rule *r, uint32_t bits, const char *words)
{
	match_state(r, bits, NFT_CMP_EQ);
	rs_rule_say(r, "ct state not %s", words);
}

void rs_m_direction(struct rs_nft_rule *r, uint8_t dir)
{
	rs_x_ct(r, NFT_CT_DIRECTION, -1, 0);
	rs_x_cmp(r, 0, NFT_CMP_EQ, &dir, 1);
	rs_rule_say(r, "ct direction %s", dir == ORIGINAL ? "original" : "reply");
}

void rs_m_l4(struct rs_nft_rule *r, uint8_t proto, uint32_t op, const char *words)
{
	rs_x_meta(r, NFT_META_L4PROTO, 0);
	rs_x_cmp(r, 0, op, &proto, 1);
	rs_rule_say(r, "meta l4proto %s%s", op == NFT_CMP_EQ ? "" : "!= ", words);
}

void rs_m_icmp6_type(struct rs_nft_rule *r, uint8_t lo, uint8_t hi)
{
	rs_x_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1, 0);
	if (lo == hi)
		rs_x_cmp(r, 0, NFT_CMP_EQ, &lo, 1);
	else
		rs_x_range(r, 0, &lo, &hi, 1);
	if (lo == hi)
		rs_rule_say(r, "icmpv6 type %u", lo);
	else
		rs_rule_say(r, "icmpv6 type %u-%u", lo, hi);
}

void rs_m_on_link(struct rs_nft_rule *r)
{
	uint8_t limit = 255;

	rs_x_payload(r, NFT_PAYLOAD_NETWORK_HEADER, 7, 1, 0);
	rs_x_cmp(r, 0, NFT_CMP_EQ, &limit, 1);
	rs_rule_say(r, "ip6 hoplimit 255");
}

/* The packet's own source or destination into register reg. */
void rs_x_addr(struct rs_nft_rule *r, int family, bool dst, uint8_t reg)
{
	uint32_t off = family == 4 ? (dst ? 16 : 12) : (dst ? 24 : 8);

	rs_x_payload(r, NFT_PAYLOAD_NETWORK_HEADER, off, family == 4 ? 4 : 16, reg);
}

/* The flow's client (original source) or server (source of the replies) into register reg. */
void rs_x_end(struct rs_nft_rule *r, int family, int dir, uint8_t reg)
{
	rs_x_ct(r, family == 4 ? NFT_CT_SRC_IP : NFT_CT_SRC_IP6, dir, reg);
}

const char *rs_ip(int family)
{
	return family == 4 ? "ip" : "ip6";
}

/* "this end of the flow is in map set", as a comparison that nft prints. */
void rs_m_end_in(struct rs_nft_rule *r, int family, int dir, const char *set)
{
	uint32_t zero = 0;

	rs_x_end(r, family, dir, 8);
	rs_x_lookup(r, set, 8, 0, false);
	rs_x_cmp(r, 0, NFT_CMP_NEQ, &zero, 4);
	rs_rule_say(r, "ct %s %s saddr map @%s != 0", dir == ORIGINAL ? "original" : "reply",
		    rs_ip(family), set);
}

/* Of a packet of this family. */
void rs_m_source(struct rs_nft_rule *r, int family, const char *set)
{
	rs_x_meta(r, NFT_META_IIF, 0);
	rs_x_addr(r, family, false, 1);
	rs_x_lookup(r, set, 0, RS_REG_NONE, false);
	rs_rule_say(r, "iif . %s saddr @%s", rs_ip(family), set);
}

void rs_m_guard(struct rs_nft_rule *r, int family, const char *set)
{
	rs_m_family(r, family);
	rs_m_source(r, family, set);
}

void rs_m_packet_in(struct rs_nft_rule *r, int family, bool dst, const char *set, bool inv)
{
	rs_m_family(r, family);
	rs_x_addr(r, family, dst, 8);
	rs_x_lookup(r, set, 8, RS_REG_NONE, inv);
	rs_rule_say(r, "%s %s %s@%s", rs_ip(family), dst ? "daddr" : "saddr", inv ? "!= " : "",
		    set);
}

void rs_v_goto(struct rs_nft_rule *r, const char *chain)
{
	rs_x_verdict(r, NFT_GOTO, chain);
	rs_rule_say(r, "goto %s", chain);
}

void rs_v_jump(struct rs_nft_rule *r, const char *chain)
{
	rs_x_verdict(r, NFT_JUMP, chain);
	rs_rule_say(r, "jump %s", chain);
}

void rs_v_accept(struct rs_nft_rule *r)
{
	rs_x_verdict(r, NF_ACCEPT, NULL);
	rs_rule_say(r, "accept");
}

void rs_v_drop(struct rs_nft_rule *r, const char *counter)
{
	rs_x_counter(r, counter);
	rs_x_verdict(r, NF_DROP, NULL);
	rs_rule_say(r, "counter %s drop", counter);
}

/* ---- rules of profile chains ----------------------------------------------------------------- */

static const char *proto_name(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_SCTP:
		return "sctp";
	default:
		return NULL;
	}
}

static void match_ports(struct rs_nft_rule *r, uint16_t lo, uint16_t hi)
{
	uint16_t a = htons(lo), b = htons(hi);

	if (lo == 0 && hi == 65535)
		return;
	rs_x_ct(r, NFT_CT_PROTO_SRC, REPLY, 0);
	if (lo == hi) {
		rs_x_cmp(r, 0, NFT_CMP_EQ, &a, 2);
		rs_rule_say(r, "ct reply proto-src %u", lo);
	} else {
		rs_x_range(r, 0, &a, &b, 2);
		rs_rule_say(r, "ct reply proto-src %u-%u", lo, hi);
	}
}

/* nft shows ports behind `ct protocol` as hexadecimal. */
static void port_note(struct rs_nft_rule *r, uint8_t proto, uint16_t lo, uint16_t hi)
{
	const char *name = proto_name(proto);
	char number[8];

	snprintf(number, sizeof(number), "%u", proto);
	if (lo == 0 && hi == 65535)
		snprintf(r->note, sizeof(r->note), "%s", name ? name : number);
	else if (lo == hi)
		snprintf(r->note, sizeof(r->note), "%s %u", name ? name : number, lo);
	else
		snprintf(r->note, sizeof(r->note), "%s %u-%u", name ? name : number, lo, hi);
	r->comment = r->note;
}

void rs_nft_port_rule(struct rs_nft_rule *r, uint8_t dir, uint8_t proto, uint16_t lo, uint16_t hi,
		      bool allow)
{
	memset(r, 0, sizeof(*r));
	if (proto) {
		rs_x_ct(r, NFT_CT_PROTOCOL, -1, 0);
		rs_x_cmp(r, 0, NFT_CMP_EQ, &proto, 1);
		if (proto_name(proto))
			rs_rule_say(r, "ct protocol %s", proto_name(proto));
		else
			rs_rule_say(r, "ct protocol %u", proto);
		match_ports(r, lo, hi);
		port_note(r, proto, lo, hi);
	}
	if (!allow) {
		rs_v_goto(r, dir == RS_DIR_IN ? "deny_in" : "deny_out");
	} else if (dir == RS_DIR_IN) {
		rs_v_goto(r, "restamp");
	} else {
		rs_x_verdict(r, NFT_RETURN, NULL);
		rs_rule_say(r, "return");
	}
}

void rs_nft_port_end(struct rs_nft_rule *r, uint8_t dir)
{
	rs_nft_port_rule(r, dir, 0, 0, 65535, false);
}
