// SPDX-License-Identifier: Apache-2.0
/*
 * skeleton.c - the fixed rules of the table, with the reason of each.
 *
 * Three rules of writing: a lookup in a map gets a register and a comparison after it (kernel 6.1
 * refuses it otherwise, and nft would print the rule without its condition); every chain that judges
 * ends in a verdict of ours; what is absent is never open.
 */
#include "dataplane/nft/skeleton.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "dataplane/nft/schema.h"

#define STATE_INVALID 0x01u
#define STATE_RELATED 0x04u
#define STATE_NEW 0x08u
#define STATE_UNTRACKED 0x40u

#define LOOPBACK_INDEX 1u
#define ICMP6_FIRST_ND 133
#define ICMP6_LAST_ND 137

#define ORIGINAL IP_CT_DIR_ORIGINAL
#define REPLY IP_CT_DIR_REPLY

struct maker {
	struct rs_nft_skeleton *s;
	const struct rs_dp_config *cfg;
	bool cache;
	uint16_t stamp;
};

uint32_t rs_nft_stamp_bits(uint32_t mask, uint16_t stamp)
{
	return ((uint32_t)stamp << __builtin_ctz(mask)) & mask;
}

static struct rs_nft_rule *rule(struct maker *m, const char *chain)
{
	struct rs_nft_skeleton *s = m->s;
	struct rs_nft_rule *r;

	s->v = rs_vec_grow_(s->v, s->n, &s->cap, sizeof(*s->v));
	r = &s->v[s->n++];
	memset(r, 0, sizeof(*r));
	r->chain = chain;
	return r;
}

/* ---- matches: the expressions and their words in one place ------------------------------------- */

static void m_family(struct rs_nft_rule *r, int family)
{
	uint8_t proto = family == 4 ? NFPROTO_IPV4 : NFPROTO_IPV6;

	rs_x_meta(r, NFT_META_NFPROTO, 0);
	rs_x_cmp(r, 0, NFT_CMP_EQ, &proto, 1);
}

/* A pod link: our group or the neighbouring one, in which condemned links wait for their removal. */
static void m_pod_link(struct rs_nft_rule *r, const struct maker *m, uint32_t key, uint32_t op)
{
	uint32_t mask = ~1u, zero = 0, group = m->cfg->link_group & ~1u;

	rs_x_meta(r, key, 0);
	rs_x_bitwise(r, 0, 0, &mask, &zero, 4);
	rs_x_cmp(r, 0, op, &group, 4);
	rs_rule_say(r, "%s %s pods", key == NFT_META_IIFGROUP ? "iifgroup" : "oifgroup",
		    op == NFT_CMP_EQ ? "in" : "not in");
}

static void m_from_pod(struct rs_nft_rule *r, const struct maker *m)
{
	m_pod_link(r, m, NFT_META_IIFGROUP, NFT_CMP_EQ);
}

static void m_to_pod(struct rs_nft_rule *r, const struct maker *m)
{
	m_pod_link(r, m, NFT_META_OIFGROUP, NFT_CMP_EQ);
}

static void m_iif(struct rs_nft_rule *r, uint32_t index)
{
	rs_x_meta(r, NFT_META_IIF, 0);
	rs_x_cmp(r, 0, NFT_CMP_EQ, &index, 4);
	rs_rule_say(r, "iif %u", index);
}

static void m_state(struct rs_nft_rule *r, uint32_t bits, const char *words)
{
	uint32_t zero = 0;

	rs_x_ct(r, NFT_CT_STATE, -1, 0);
	rs_x_bitwise(r, 0, 0, &bits, &zero, 4);
	rs_x_cmp(r, 0, NFT_CMP_NEQ, &zero, 4);
	rs_rule_say(r, "ct state %s", words);
}

static void m_direction(struct rs_nft_rule *r, uint8_t dir)
{
	rs_x_ct(r, NFT_CT_DIRECTION, -1, 0);
	rs_x_cmp(r, 0, NFT_CMP_EQ, &dir, 1);
	rs_rule_say(r, "ct direction %s", dir == ORIGINAL ? "original" : "reply");
}

static void m_l4(struct rs_nft_rule *r, uint8_t proto, uint32_t op, const char *words)
{
	rs_x_meta(r, NFT_META_L4PROTO, 0);
	rs_x_cmp(r, 0, op, &proto, 1);
	rs_rule_say(r, "meta l4proto %s%s", op == NFT_CMP_EQ ? "" : "!= ", words);
}

static void m_icmp6_type(struct rs_nft_rule *r, uint8_t lo, uint8_t hi)
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

static void m_on_link(struct rs_nft_rule *r)
{
	uint8_t limit = 255;

	rs_x_payload(r, NFT_PAYLOAD_NETWORK_HEADER, 7, 1, 0);
	rs_x_cmp(r, 0, NFT_CMP_EQ, &limit, 1);
	rs_rule_say(r, "ip6 hoplimit 255");
}

/* The packet's own source or destination into register reg. */
static void x_addr(struct rs_nft_rule *r, int family, bool dst, uint8_t reg)
{
	uint32_t off = family == 4 ? (dst ? 16 : 12) : (dst ? 24 : 8);

	rs_x_payload(r, NFT_PAYLOAD_NETWORK_HEADER, off, family == 4 ? 4 : 16, reg);
}

/* The flow's client (original source) or server (source of the replies) into register reg. */
static void x_end(struct rs_nft_rule *r, int family, int dir, uint8_t reg)
{
	rs_x_ct(r, family == 4 ? NFT_CT_SRC_IP : NFT_CT_SRC_IP6, dir, reg);
}

static const char *ip(int family)
{
	return family == 4 ? "ip" : "ip6";
}

/* "this end of the flow is in map set", as a comparison that nft prints. */
static void m_end_in(struct rs_nft_rule *r, int family, int dir, const char *set)
{
	uint32_t zero = 0;

	x_end(r, family, dir, 8);
	rs_x_lookup(r, set, 8, 0, false);
	rs_x_cmp(r, 0, NFT_CMP_NEQ, &zero, 4);
	rs_rule_say(r, "ct %s %s saddr map @%s != 0", dir == ORIGINAL ? "original" : "reply",
		    ip(family), set);
}

static void m_guard(struct rs_nft_rule *r, int family, const char *set)
{
	m_family(r, family);
	rs_x_meta(r, NFT_META_IIF, 0);
	x_addr(r, family, false, 1);
	rs_x_lookup(r, set, 0, RS_REG_NONE, false);
	rs_rule_say(r, "iif . %s saddr @%s", ip(family), set);
}

static void m_packet_in(struct rs_nft_rule *r, int family, bool dst, const char *set, bool inv)
{
	m_family(r, family);
	x_addr(r, family, dst, 8);
	rs_x_lookup(r, set, 8, RS_REG_NONE, inv);
	rs_rule_say(r, "%s %s %s@%s", ip(family), dst ? "daddr" : "saddr", inv ? "!= " : "", set);
}

static void v_goto(struct rs_nft_rule *r, const char *chain)
{
	rs_x_verdict(r, NFT_GOTO, chain);
	rs_rule_say(r, "goto %s", chain);
}

static void v_jump(struct rs_nft_rule *r, const char *chain)
{
	rs_x_verdict(r, NFT_JUMP, chain);
	rs_rule_say(r, "jump %s", chain);
}

static void v_accept(struct rs_nft_rule *r)
{
	rs_x_verdict(r, NF_ACCEPT, NULL);
	rs_rule_say(r, "accept");
}

static void v_drop(struct rs_nft_rule *r, const char *counter)
{
	rs_x_counter(r, counter);
	rs_x_verdict(r, NF_DROP, NULL);
	rs_rule_say(r, "counter %s drop", counter);
}

static void note(struct rs_nft_rule *r, const char *comment)
{
	r->comment = comment;
}

/* ---- the guard --------------------------------------------------------------------------------- */

static void make_guard(struct maker *m)
{
	struct rs_nft_rule *r = rule(m, "guard");

	m_from_pod(r, m);
	v_goto(r, "from_pod");
	r = rule(m, "guard");
	m_iif(r, LOOPBACK_INDEX);
	v_accept(r);
	for (int f = 4; f <= 6; f += 2) {
		r = rule(m, "guard");
		m_packet_in(r, f, false, f == 4 ? "own4" : "own6", false);
		v_goto(r, "spoofed");
		note(r, "a pod's address on a link that is no pod's");
	}
}

/* With route_localnet the node's 127.0.0.1 would answer a pod. */
static void make_no_loopback(struct maker *m)
{
	static const uint8_t one[16] = { [15] = 1 };
	struct rs_nft_rule *r = rule(m, "from_pod");
	uint8_t net = 127;

	m_family(r, 4);
	rs_x_payload(r, NFT_PAYLOAD_NETWORK_HEADER, 16, 1, 0);
	rs_x_cmp(r, 0, NFT_CMP_EQ, &net, 1);
	rs_rule_say(r, "ip daddr 127.0.0.0/8");
	v_goto(r, "spoofed");
	r = rule(m, "from_pod");
	m_family(r, 6);
	x_addr(r, 6, true, 0);
	rs_x_cmp(r, 0, NFT_CMP_EQ, one, sizeof(one));
	rs_rule_say(r, "ip6 daddr ::1");
	v_goto(r, "spoofed");
}

static void make_from_pod(struct maker *m)
{
	struct rs_nft_rule *r;

	make_no_loopback(m);
	r = rule(m, "from_pod");
	m_family(r, 6);
	m_l4(r, IPPROTO_ICMPV6, NFT_CMP_EQ, "icmpv6");
	v_jump(r, "pod_icmp6");
	for (int f = 4; f <= 6; f += 2) {
		r = rule(m, "from_pod");
		m_guard(r, f, f == 4 ? "guard4" : "guard6");
		v_accept(r);
	}
	r = rule(m, "from_pod");
	rs_x_meta(r, NFT_META_IIF, 0);
	rs_x_lookup(r, "plinks", 0, RS_REG_NONE, true);
	rs_rule_say(r, "iif != @plinks");
	v_goto(r, "unprog_from");
	v_goto(rule(m, "from_pod"), "spoofed");
}

/* A pod's kernel looks for routers, listeners and duplicates on its own: no use here, no alarm. What
 * could steer the node (router advertisement, redirect) goes the same way. */
static void make_pod_icmp6(struct maker *m)
{
	static const uint8_t quiet[][2] = { { 130, 134 }, { 137, 137 }, { 143, 143 } };
	static const uint8_t zero[16];
	struct rs_nft_rule *r;

	for (size_t i = 0; i < RS_ARRAY_SIZE(quiet); i++) {
		r = rule(m, "pod_icmp6");
		m_icmp6_type(r, quiet[i][0], quiet[i][1]);
		v_drop(r, "n_quiet");
		note(r, "router and listener messages, redirects");
	}
	r = rule(m, "pod_icmp6");
	x_addr(r, 6, false, 0);
	rs_x_cmp(r, 0, NFT_CMP_EQ, zero, sizeof(zero));
	rs_rule_say(r, "ip6 saddr ::");
	v_drop(r, "n_quiet");
	note(r, "duplicate address detection");
	r = rule(m, "pod_icmp6");
	m_on_link(r);
	m_icmp6_type(r, 135, 136);
	m_guard(r, 6, "guard_ll");
	v_accept(r);
	note(r, "neighbour discovery from the link-local address we gave");
}

/* ---- the judging chains ------------------------------------------------------------------------ */

static void make_hooks(struct maker *m)
{
	struct rs_nft_rule *r = rule(m, "forwarded");

	m_iif(r, 0);
	v_accept(r);
	note(r, "made by this node");
	v_goto(rule(m, "forwarded"), "judge");

	r = rule(m, "to_node");
	m_pod_link(r, m, NFT_META_IIFGROUP, NFT_CMP_NEQ);
	v_accept(r);
	r = rule(m, "to_node");
	m_state(r, STATE_RELATED, "related");
	v_jump(r, "related_pkt");
	r = rule(m, "to_node");
	m_direction(r, REPLY);
	v_accept(r);
	note(r, "answer to a flow that the node began");
	v_goto(rule(m, "to_node"), "judge");
}

static void make_judge(struct maker *m)
{
	uint32_t zero = 0, mask = m->cfg->ct_mark_mask;
	struct rs_nft_rule *r = rule(m, "judge");

	m_state(r, STATE_RELATED, "related");
	v_jump(r, "related_pkt");
	if (m->cache) {
		r = rule(m, "judge");
		rs_x_ct(r, NFT_CT_MARK, -1, 0);
		rs_x_bitwise(r, 0, 0, &mask, &zero, 4);
		rs_x_lookup(r, "stamp_now", 0, RS_REG_NONE, false);
		rs_rule_say(r, "ct mark & 0x%08x @stamp_now", mask);
		v_accept(r);
		note(r, "allowed by the rules in force");
	}
	v_goto(rule(m, "judge"), "fresh");
}

/*
 * A helper's new connection inherits its master's mark, so it is judged without the cache. An error
 * that a pod sends must be about a flow of which its source is an end: conntrack checks the quoted
 * packet and where the error goes, never who sent it.
 */
static void make_related(struct maker *m)
{
	struct rs_nft_rule *r = rule(m, "related_pkt");

	m_l4(r, IPPROTO_ICMP, NFT_CMP_NEQ, "icmp");
	m_l4(r, IPPROTO_ICMPV6, NFT_CMP_NEQ, "icmpv6");
	v_goto(r, "fresh");
	r = rule(m, "related_pkt");
	m_pod_link(r, m, NFT_META_IIFGROUP, NFT_CMP_NEQ);
	rs_x_verdict(r, NFT_RETURN, NULL);
	rs_rule_say(r, "return");
	for (int f = 4; f <= 6; f += 2)
		for (int dir = ORIGINAL; dir <= REPLY; dir++) {
			r = rule(m, "related_pkt");
			m_family(r, f);
			x_addr(r, f, false, 0);
			x_end(r, f, dir, f == 4 ? 1 : 4);
			rs_x_lookup(r, f == 4 ? "self4" : "self6", 0, RS_REG_NONE, false);
			rs_x_verdict(r, NFT_RETURN, NULL);
			rs_rule_say(r, "%s saddr . ct %s %s saddr @self%d return", ip(f),
				    dir == ORIGINAL ? "original" : "reply", ip(f), f);
		}
	r = rule(m, "related_pkt");
	v_goto(r, "invalid_from");
	note(r, "error about somebody else's flow");
}

static void make_midstream(struct maker *m)
{
	uint8_t mask = 0x17, zero = 0, syn = 0x02;
	struct rs_nft_rule *r = rule(m, "fresh");

	m_state(r, STATE_NEW | STATE_RELATED, "new,related");
	m_l4(r, IPPROTO_TCP, NFT_CMP_EQ, "tcp");
	rs_x_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1, 0);
	rs_x_bitwise(r, 0, 0, &mask, &zero, 1);
	rs_x_cmp(r, 0, NFT_CMP_NEQ, &syn, 1);
	rs_rule_say(r, "tcp flags & (fin|syn|rst|ack) != syn");
	v_jump(r, "isolated_end");
	note(r, "taken up in mid-stream: who opened it is not known");
}

/* What neither half knows: an end on a pod link without a group, or traffic that is not ours. */
static void make_strangers(struct maker *m)
{
	struct rs_nft_rule *r = rule(m, "fresh");

	m_from_pod(r, m);
	v_goto(r, "unprog_from");
	r = rule(m, "fresh");
	m_to_pod(r, m);
	v_goto(r, "unprog_to");
	r = rule(m, "fresh");
	v_accept(r);
	note(r, "no pod of ours: not judged, not stamped");
}

/* A pod link carries an end of the flow: the client in this direction, the server in the other. */
static void make_missing(struct maker *m, const char *chain, uint8_t from_dir, uint8_t to_dir)
{
	struct rs_nft_rule *r = rule(m, chain);

	m_from_pod(r, m);
	m_direction(r, from_dir);
	v_goto(r, "unprog_from");
	r = rule(m, chain);
	m_to_pod(r, m);
	m_direction(r, to_dir);
	v_goto(r, "unprog_to");
}

static void make_server(struct maker *m, const char *chain)
{
	struct rs_nft_rule *r;

	for (int f = 4; f <= 6; f += 2) {
		r = rule(m, chain);
		m_end_in(r, f, REPLY, f == 4 ? "grp_in4" : "grp_in6");
		v_goto(r, f == 4 ? "ingress4" : "ingress6");
	}
}

static void make_fresh(struct maker *m)
{
	struct rs_nft_rule *r = rule(m, "fresh");

	m_family(r, 6);
	m_l4(r, IPPROTO_ICMPV6, NFT_CMP_EQ, "icmpv6");
	m_on_link(r);
	m_icmp6_type(r, ICMP6_FIRST_ND, ICMP6_LAST_ND);
	v_accept(r);
	note(r, "neighbour discovery: hop limit 255 was never forwarded");
	r = rule(m, "fresh");
	m_state(r, STATE_INVALID | STATE_UNTRACKED, "invalid,untracked");
	v_goto(r, "no_flow");
	make_midstream(m);
	for (int f = 4; f <= 6; f += 2) {
		r = rule(m, "fresh");
		x_end(r, f, ORIGINAL, 0);
		x_end(r, f, REPLY, f == 4 ? 1 : 4);
		rs_x_lookup(r, f == 4 ? "self4" : "self6", 0, RS_REG_NONE, false);
		rs_rule_say(r, "ct original %s saddr . ct reply %s saddr @self%d", ip(f), ip(f), f);
		v_goto(r, "restamp");
	}
	for (int f = 4; f <= 6; f += 2) {
		r = rule(m, "fresh");
		m_end_in(r, f, ORIGINAL, f == 4 ? "grp_out4" : "grp_out6");
		v_goto(r, f == 4 ? "client4" : "client6");
	}
	make_missing(m, "fresh", ORIGINAL, REPLY);
	make_server(m, "fresh");
	make_strangers(m);
}

static void make_no_flow(struct maker *m)
{
	struct rs_nft_rule *r;

	v_jump(rule(m, "no_flow"), "isolated_end");
	r = rule(m, "no_flow");
	v_accept(r);
	note(r, "no isolated end");
	for (int to = 0; to < 2; to++)
		for (int f = 4; f <= 6; f += 2) {
			r = rule(m, "isolated_end");
			if (to)
				m_to_pod(r, m);
			else
				m_from_pod(r, m);
			m_packet_in(r, f, to, f == 4 ? "free4" : "free6", true);
			v_goto(r, to ? "invalid_to" : "invalid_from");
		}
}

/* ---- the two halves ---------------------------------------------------------------------------- */

/* peers NULL: the group's default, which is one lookup shorter. The key is first written whole with
 * one wide immediate: nft can show that, and only that. */
static void half_rule(struct maker *m, const char *chain, int family, uint8_t dir,
		      const char *peers, const char *comment)
{
	uint32_t key[3] = { dir, 0, 0 }, port_key[2] = { dir, 0 };
	int self = dir == RS_DIR_OUT ? ORIGINAL : REPLY;
	const char *groups = dir == RS_DIR_OUT ? (family == 4 ? "grp_out4" : "grp_out6") :
						 (family == 4 ? "grp_in4" : "grp_in6");
	const char *ports = dir == RS_DIR_OUT ? "ports_out" : "ports_in";
	struct rs_nft_rule *r = rule(m, chain);

	rs_x_imm(r, key, peers ? 12 : 8, 0);
	x_end(r, family, self, 8);
	rs_x_lookup(r, groups, 8, 1, false);
	if (peers) {
		x_end(r, family, !self, 8);
		rs_x_lookup(r, peers, 8, 2, false);
	}
	rs_x_imm(r, port_key, 8, 4);
	rs_x_lookup(r, peers ? "cells" : "dflt", 0, 5, false);
	rs_x_lookup(r, ports, 4, RS_REG_VERDICT, false);
	rs_rule_say(r, "%u . @%s[%s]", dir, groups, dir == RS_DIR_OUT ? "client" : "server");
	if (peers)
		rs_rule_say(r, ". @%s[%s]", peers, dir == RS_DIR_OUT ? "server" : "client");
	rs_rule_say(r, "in @%s: vmap @%s", peers ? "cells" : "dflt", ports);
	note(r, comment);
}

static void make_half(struct maker *m, uint8_t dir)
{
	static const char *const words[2][2][3] = {
		{ { "1 . @grp_in4[server] . @cls4[client] @cells -> ports",
		    "1 . @grp_in4[server] . @rng4[client] @cells -> ports",
		    "1 . @grp_in4[server] @dflt -> ports" },
		  { "1 . @grp_in6[server] . @cls6[client] @cells -> ports",
		    "1 . @grp_in6[server] . @rng6[client] @cells -> ports",
		    "1 . @grp_in6[server] @dflt -> ports" } },
		{ { "2 . @grp_out4[client] . @cls4[server] @cells -> ports",
		    "2 . @grp_out4[client] . @rng4[server] @cells -> ports",
		    "2 . @grp_out4[client] @dflt -> ports" },
		  { "2 . @grp_out6[client] . @cls6[server] @cells -> ports",
		    "2 . @grp_out6[client] . @rng6[server] @cells -> ports",
		    "2 . @grp_out6[client] @dflt -> ports" } },
	};
	static const char *const chains[2][2] = { { "ingress4", "ingress6" },
						  { "egress4", "egress6" } };

	for (int f = 4; f <= 6; f += 2) {
		const char *const *w = words[dir == RS_DIR_OUT][f == 6];
		const char *chain = chains[dir == RS_DIR_OUT][f == 6];

		half_rule(m, chain, f, dir, f == 4 ? "cls4" : "cls6", w[0]);
		half_rule(m, chain, f, dir, f == 4 ? "rng4" : "rng6", w[1]);
		half_rule(m, chain, f, dir, NULL, w[2]);
		v_goto(rule(m, chain), dir == RS_DIR_OUT ? "deny_out" : "deny_in");
	}
}

/* The egress half is jumped to and its allow is `return`: with a goto into the ingress half a kernel
 * without memory in its validation would walk every pair of profiles. */
static void make_client(struct maker *m)
{
	for (int f = 4; f <= 6; f += 2) {
		const char *chain = f == 4 ? "client4" : "client6";

		v_jump(rule(m, chain), f == 4 ? "egress4" : "egress6");
		v_goto(rule(m, chain), "server_half");
	}
	make_server(m, "server_half");
	make_missing(m, "server_half", REPLY, ORIGINAL);
	v_goto(rule(m, "server_half"), "restamp");
}

static void make_restamp(struct maker *m)
{
	uint32_t keep = ~m->cfg->ct_mark_mask;
	uint32_t bits = rs_nft_stamp_bits(m->cfg->ct_mark_mask, m->stamp);
	struct rs_nft_rule *r;

	if (m->cache) {
		/* No verdict in this rule: replacing it then re-validates nothing. */
		r = rule(m, "restamp");
		rs_x_ct(r, NFT_CT_MARK, -1, 0);
		rs_x_bitwise(r, 0, 0, &keep, &bits, 4);
		rs_x_ct_mark(r, 0);
		rs_rule_say(r, "ct mark set ct mark & 0x%08x | the stamp", keep);
		r->stamps = true;
	}
	v_accept(rule(m, "restamp"));
}

/* ---- drops ------------------------------------------------------------------------------------- */

static void log_rule(struct maker *m, struct rs_nft_rule *r, const char *set, uint8_t reg,
		     const char *prefix)
{
	rs_x_rate(r, set, reg, m->cfg->log_rate);
	rs_x_counter(r, RS_NFT_COUNTER_LOGGED);
	rs_x_log(r, prefix, m->cfg->nflog_group);
	rs_rule_say(r, "update @%s limit rate %u/second counter " RS_NFT_COUNTER_LOGGED
		       " log prefix \"%s\" group %u", set, m->cfg->log_rate, prefix,
		    m->cfg->nflog_group);
}

static void make_deny(struct maker *m, const char *chain, const char *counter, int dir, int reason)
{
	char prefix[16];

	snprintf(prefix, sizeof(prefix), RS_NFT_LOG_FORMAT, reason, dir == ORIGINAL ? 'o' : 'i');
	for (int f = 4; m->cfg->log_rate && f <= 6; f += 2) {
		struct rs_nft_rule *r = rule(m, chain);

		x_end(r, f, dir, 8);
		rs_rule_say(r, "ct %s %s saddr", dir == ORIGINAL ? "original" : "reply", ip(f));
		log_rule(m, r, f == 4 ? "rate4" : "rate6", 8, prefix);
	}
	v_drop(rule(m, chain), counter);
}

static void make_link_drop(struct maker *m, const char *chain, const char *counter, bool to,
			   int reason)
{
	char prefix[16];

	snprintf(prefix, sizeof(prefix), RS_NFT_LOG_FORMAT, reason, to ? 'i' : 'o');
	if (m->cfg->log_rate) {
		struct rs_nft_rule *r = rule(m, chain);

		rs_x_meta(r, to ? NFT_META_OIF : NFT_META_IIF, 8);
		rs_rule_say(r, "%s", to ? "oif" : "iif");
		log_rule(m, r, "rate_link", 8, prefix);
	}
	v_drop(rule(m, chain), counter);
}

void rs_nft_skeleton_make(struct rs_nft_skeleton *s, const struct rs_dp_config *cfg, bool cache,
			  uint16_t stamp)
{
	struct maker m = { .s = s, .cfg = cfg, .cache = cache, .stamp = stamp };

	memset(s, 0, sizeof(*s));
	make_guard(&m);
	make_from_pod(&m);
	make_pod_icmp6(&m);
	make_hooks(&m);
	make_judge(&m);
	make_related(&m);
	make_fresh(&m);
	make_no_flow(&m);
	make_client(&m);
	make_half(&m, RS_DIR_OUT);
	make_half(&m, RS_DIR_IN);
	make_restamp(&m);
	make_deny(&m, "deny_in", "n_deny_in", REPLY, RS_DROP_POLICY_INGRESS);
	make_deny(&m, "deny_out", "n_deny_out", ORIGINAL, RS_DROP_POLICY_EGRESS);
	make_link_drop(&m, "unprog_to", "n_unprog_to", true, RS_DROP_NOT_PROGRAMMED);
	make_link_drop(&m, "unprog_from", "n_unprog_from", false, RS_DROP_NOT_PROGRAMMED);
	make_link_drop(&m, "spoofed", "n_spoofed", false, RS_DROP_SPOOFED);
	make_link_drop(&m, "invalid_to", "n_invalid_to", true, RS_DROP_INVALID);
	make_link_drop(&m, "invalid_from", "n_invalid_from", false, RS_DROP_INVALID);
}

void rs_nft_skeleton_free(struct rs_nft_skeleton *s)
{
	free(s->v);
	memset(s, 0, sizeof(*s));
}

/* ---- rules of profile chains ------------------------------------------------------------------- */

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
		v_goto(r, dir == RS_DIR_IN ? "deny_in" : "deny_out");
	} else if (dir == RS_DIR_IN) {
		v_goto(r, "restamp");
	} else {
		rs_x_verdict(r, NFT_RETURN, NULL);
		rs_rule_say(r, "return");
	}
}

void rs_nft_port_end(struct rs_nft_rule *r, uint8_t dir)
{
	rs_nft_port_rule(r, dir, 0, 0, 65535, false);
}
