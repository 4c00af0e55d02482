// SPDX-License-Identifier: Apache-2.0
/*
 * skeleton.c - the fixed rules of the table, with the reason of each.
 *
 * Three rules of writing: a lookup in a map gets a register and a comparison after it (kernel 6.1
 * refuses it otherwise, and nft would print the rule without its condition); every chain that
 * judges ends in a verdict of ours; what is absent is never open.
 */
/* Before the kernel's headers, which then leave its names alone. */
#include <netinet/in.h>

#include "dataplane/nft/skeleton.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "dataplane/nft/nftmatch.h"
#include "dataplane/nft/schema.h"
#include "dataplane/nft/skelmake.h"

#define STATE_INVALID 0x01u
#define STATE_RELATED 0x04u
#define STATE_NEW 0x08u
#define STATE_UNTRACKED 0x40u

#define ICMP6_FIRST_ND 133
#define ICMP6_LAST_ND 137

uint32_t rs_nft_stamp_bits(uint32_t mask, uint16_t stamp)
{
	return ((uint32_t)stamp << __builtin_ctz(mask)) & mask;
}

struct rs_nft_rule *rs_nft_rule_new(struct rs_nft_maker *m, const char *chain)
{
	struct rs_nft_skeleton *s = m->s;
	struct rs_nft_rule *r;

	s->v = rs_vec_grow_(s->v, s->n, &s->cap, sizeof(*s->v));
	r = &s->v[s->n++];
	memset(r, 0, sizeof(*r));
	r->chain = chain;
	return r;
}

void rs_rule_note(struct rs_nft_rule *r, const char *comment)
{
	r->comment = comment;
}

/* ---- the judging chains ---------------------------------------------------------------------- */

static void accept_stamped(struct rs_nft_maker *m, struct rs_nft_rule *r)
{
	uint32_t zero = 0, mask = m->cfg->ct_mark_mask;

	rs_x_ct(r, NFT_CT_MARK, -1, 0);
	rs_x_bitwise(r, 0, 0, &mask, &zero, 4);
	rs_x_lookup(r, "stamp_now", 0, RS_REG_NONE, false);
	rs_rule_say(r, "ct mark & 0x%08x @stamp_now", mask);
	rs_v_accept(r);
	rs_rule_note(r, "allowed by the rules in force");
}

static void match_groups(struct rs_nft_rule *r)
{
	rs_m_byte4(r, 16, 0xf0, NFT_CMP_EQ, 0xe0);
	rs_rule_say(r, "ip daddr 224.0.0.0/4");
}

static void match_pods_group(struct rs_nft_rule *r)
{
	uint32_t zero = 0;

	match_groups(r);
	rs_x_addr(r, 4, false, 8);
	rs_x_lookup(r, "grp_out4", 8, 0, false);
	rs_x_cmp(r, 0, NFT_CMP_NEQ, &zero, 4);
	rs_rule_say(r, "ip saddr map @grp_out4 != 0");
}

/*
 * Where the node routes multicast, an IPv4 packet comes to postrouting without the link that it
 * came by, and looks made here (IPv6 keeps the link). A pod's is known by its source; towards pods
 * a group that can be routed is nobody's, as in IPv6. 224.0.0.0/24 never is routed: it stays the
 * node's own.
 */
static void make_routed_groups(struct rs_nft_maker *m)
{
	static const uint8_t local[] = { 224, 0, 0 };
	struct rs_nft_rule *r = rs_nft_rule_new(m, "made_here");

	match_pods_group(r);
	rs_m_state(r, STATE_INVALID | STATE_UNTRACKED, "invalid,untracked");
	rs_x_addr(r, 4, false, 8);
	rs_x_lookup(r, "free4", 8, RS_REG_NONE, true);
	rs_rule_say(r, "ip saddr != @free4");
	rs_v_goto(r, "invalid_from");
	r = rs_nft_rule_new(m, "made_here");
	match_pods_group(r);
	rs_v_goto(r, "judge");
	rs_rule_note(r, "a pod's, routed to a group");
	r = rs_nft_rule_new(m, "made_here");
	match_groups(r);
	rs_m_to_pod(r, m->cfg->link_group);
	rs_x_payload(r, NFT_PAYLOAD_NETWORK_HEADER, 16, sizeof(local), 0);
	rs_x_cmp(r, 0, NFT_CMP_NEQ, local, sizeof(local));
	rs_rule_say(r, "ip daddr != 224.0.0.0/24");
	rs_v_goto(r, "judge");
	rs_rule_note(r, "routed to a group");
}

static void make_made_here(struct rs_nft_maker *m)
{
	struct rs_nft_rule *r = rs_nft_rule_new(m, "made_here");

	rs_m_to_pod(r, m->cfg->link_group);
	rs_m_options(r);
	rs_m_packet_in(r, 4, true, "free4", true);
	rs_v_goto(r, "invalid_to");
	rs_rule_note(r, "error of this node that a source route steers");
	make_routed_groups(m);
	r = rs_nft_rule_new(m, "made_here");
	rs_v_accept(r);
	rs_rule_note(r, "made by this node");
}

/*
 * Of a flow that is stamped, and neither an error nor what a helper expected, an IPv4 packet meets
 * the first rule alone. One of this node may meet it, too: without options it passes either way.
 */
static void make_forwarded(struct rs_nft_maker *m)
{
	struct rs_nft_rule *r;

	if (m->cache) {
		r = rs_nft_rule_new(m, "forwarded");
		rs_m_plain4(r);
		rs_m_not_state(r, STATE_RELATED, "related");
		accept_stamped(m, r);
	}
	r = rs_nft_rule_new(m, "forwarded");
	rs_m_iif(r, 0);
	rs_v_goto(r, "made_here");
	r = rs_nft_rule_new(m, "forwarded");
	rs_m_plain4(r);
	rs_m_not_state(r, STATE_RELATED | STATE_INVALID | STATE_UNTRACKED,
		       "related,invalid,untracked");
	rs_v_goto(r, "known_flow");
	rs_rule_note(r, "and not stamped");
	rs_v_goto(rs_nft_rule_new(m, "forwarded"), "judge");
}

static void make_hooks(struct rs_nft_maker *m)
{
	struct rs_nft_rule *r;

	make_forwarded(m);
	make_made_here(m);
	r = rs_nft_rule_new(m, "to_node");
	rs_m_pod_link(r, m->cfg->link_group, NFT_META_IIFGROUP, NFT_CMP_NEQ);
	rs_v_accept(r);
	r = rs_nft_rule_new(m, "to_node");
	rs_m_state(r, STATE_RELATED, "related");
	rs_v_jump(r, "related_pkt");
	r = rs_nft_rule_new(m, "to_node");
	rs_m_direction(r, REPLY);
	rs_v_accept(r);
	rs_rule_note(r, "answer to a flow that the node began");
	rs_v_goto(rs_nft_rule_new(m, "to_node"), "judge");
}

static void make_judge(struct rs_nft_maker *m)
{
	struct rs_nft_rule *r = rs_nft_rule_new(m, "judge");

	rs_m_state(r, STATE_RELATED, "related");
	rs_v_jump(r, "related_pkt");
	if (m->cache)
		accept_stamped(m, rs_nft_rule_new(m, "judge"));
	rs_v_goto(rs_nft_rule_new(m, "judge"), "fresh");
}

/*
 * A helper's new connection inherits its master's mark, so it is judged without the cache. An error
 * that a pod sends must be about a flow of which its source is an end: conntrack checks the quoted
 * packet and where the error goes, never who sent it.
 */
static void make_related(struct rs_nft_maker *m)
{
	struct rs_nft_rule *r = rs_nft_rule_new(m, "related_pkt");

	rs_m_l4(r, IPPROTO_ICMP, NFT_CMP_NEQ, "icmp");
	rs_m_l4(r, IPPROTO_ICMPV6, NFT_CMP_NEQ, "icmpv6");
	rs_v_goto(r, "fresh");
	r = rs_nft_rule_new(m, "related_pkt");
	rs_m_pod_link(r, m->cfg->link_group, NFT_META_IIFGROUP, NFT_CMP_NEQ);
	rs_x_verdict(r, NFT_RETURN, NULL);
	rs_rule_say(r, "return");
	for (int f = 4; f <= 6; f += 2)
		for (int dir = ORIGINAL; dir <= REPLY; dir++) {
			r = rs_nft_rule_new(m, "related_pkt");
			rs_m_family(r, f);
			rs_x_addr(r, f, false, 0);
			rs_x_end(r, f, dir, f == 4 ? 1 : 4);
			rs_x_lookup(r, f == 4 ? "self4" : "self6", 0, RS_REG_NONE, false);
			rs_x_verdict(r, NFT_RETURN, NULL);
			rs_rule_say(r, "%s saddr . ct %s %s saddr @self%d return", rs_ip(f),
				    dir == ORIGINAL ? "original" : "reply", rs_ip(f), f);
		}
	r = rs_nft_rule_new(m, "related_pkt");
	rs_v_goto(r, "invalid_from");
	rs_rule_note(r, "error about somebody else's flow");
}

/*
 * An entry that a packet in mid-stream made may stand the wrong way round: its client is whoever
 * sent that packet. TCP's data do that, and SCTP's heartbeats, of either end. Conntrack takes no
 * INIT that has another chunk beside it, so the first chunk says all.
 */
static void make_midstream(struct rs_nft_maker *m)
{
	uint8_t mask = 0x17, zero = 0, syn = 0x02, init = 1;

	for (int sctp = 0; sctp < 2; sctp++) {
		struct rs_nft_rule *r = rs_nft_rule_new(m, "known_flow");

		rs_m_l4(r, sctp ? IPPROTO_SCTP : IPPROTO_TCP, NFT_CMP_EQ, sctp ? "sctp" : "tcp");
		rs_x_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, sctp ? 12 : 13, 1, 0);
		if (!sctp)
			rs_x_bitwise(r, 0, 0, &mask, &zero, 1);
		rs_x_cmp(r, 0, NFT_CMP_NEQ, sctp ? &init : &syn, 1);
		rs_rule_say(r,
			    sctp ? "first chunk != init" : "tcp flags & (fin|syn|rst|ack) != syn");
		rs_m_state(r, STATE_NEW | STATE_RELATED, "new,related");
		rs_v_jump(r, "isolated_end");
		rs_rule_note(r, "taken up in mid-stream: who opened it is not known");
	}
}

/* What neither half knows: an end on a pod link without a group, or traffic that is not ours. */
static void make_strangers(struct rs_nft_maker *m)
{
	struct rs_nft_rule *r = rs_nft_rule_new(m, "known_flow");

	rs_m_from_pod(r, m->cfg->link_group);
	rs_v_goto(r, "unprog_from");
	r = rs_nft_rule_new(m, "known_flow");
	rs_m_to_pod(r, m->cfg->link_group);
	rs_v_goto(r, "unprog_to");
	r = rs_nft_rule_new(m, "known_flow");
	rs_v_accept(r);
	rs_rule_note(r, "no pod of ours: not judged, not stamped");
}

/* A pod link carries an end of the flow: the client in this direction, the server in the other. */
static void make_missing(struct rs_nft_maker *m, const char *chain, uint8_t from_dir,
			 uint8_t to_dir)
{
	struct rs_nft_rule *r = rs_nft_rule_new(m, chain);

	rs_m_from_pod(r, m->cfg->link_group);
	rs_m_direction(r, from_dir);
	rs_v_goto(r, "unprog_from");
	r = rs_nft_rule_new(m, chain);
	rs_m_to_pod(r, m->cfg->link_group);
	rs_m_direction(r, to_dir);
	rs_v_goto(r, "unprog_to");
}

static void make_server(struct rs_nft_maker *m, const char *chain)
{
	struct rs_nft_rule *r;

	for (int f = 4; f <= 6; f += 2) {
		r = rs_nft_rule_new(m, chain);
		rs_m_end_in(r, f, REPLY, f == 4 ? "grp_in4" : "grp_in6");
		rs_v_goto(r, f == 4 ? "ingress4" : "ingress6");
	}
}

/* What conntrack knows as a flow. */
static void make_flow(struct rs_nft_maker *m)
{
	make_midstream(m);
	for (int f = 4; f <= 6; f += 2) {
		struct rs_nft_rule *r = rs_nft_rule_new(m, "known_flow");

		rs_x_end(r, f, ORIGINAL, 0);
		rs_x_end(r, f, REPLY, f == 4 ? 1 : 4);
		rs_x_lookup(r, f == 4 ? "self4" : "self6", 0, RS_REG_NONE, false);
		rs_rule_say(r, "ct original %s saddr . ct reply %s saddr @self%d", rs_ip(f),
			    rs_ip(f), f);
		rs_v_goto(r, "restamp");
		r = rs_nft_rule_new(m, "known_flow");
		rs_m_end_in(r, f, ORIGINAL, f == 4 ? "grp_out4" : "grp_out6");
		rs_v_goto(r, f == 4 ? "client4" : "client6");
	}
	make_missing(m, "known_flow", ORIGINAL, REPLY);
	make_server(m, "known_flow");
	make_strangers(m);
}

static void make_fresh(struct rs_nft_maker *m)
{
	struct rs_nft_rule *r = rs_nft_rule_new(m, "fresh");

	rs_m_family(r, 6);
	rs_m_l4(r, IPPROTO_ICMPV6, NFT_CMP_EQ, "icmpv6");
	rs_m_on_link(r);
	rs_m_icmp6_type(r, ICMP6_FIRST_ND, ICMP6_LAST_ND);
	rs_v_accept(r);
	rs_rule_note(r, "neighbour discovery: hop limit 255 was never forwarded");
	r = rs_nft_rule_new(m, "fresh");
	rs_m_state(r, STATE_INVALID | STATE_UNTRACKED, "invalid,untracked");
	rs_v_goto(r, "no_flow");
	rs_v_goto(rs_nft_rule_new(m, "fresh"), "known_flow");
}

/*
 * The node's own listener reports carry the link they leave by as the one they came from, so they
 * do not look made here. From a pod none gets this far (guard), and nobody forwards the
 * link-local scope.
 */
static void make_own_listener(struct rs_nft_maker *m)
{
	static const uint8_t types[][2] = { { 130, 132 }, { 143, 143 } };
	static const uint8_t link_scope[] = { 0xff, 0x02 };

	for (size_t i = 0; i < RS_ARRAY_SIZE(types); i++) {
		struct rs_nft_rule *r = rs_nft_rule_new(m, "no_flow");

		rs_m_family(r, 6);
		rs_m_l4(r, IPPROTO_ICMPV6, NFT_CMP_EQ, "icmpv6");
		rs_m_icmp6_type(r, types[i][0], types[i][1]);
		rs_x_payload(r, NFT_PAYLOAD_NETWORK_HEADER, 24, sizeof(link_scope), 0);
		rs_x_cmp(r, 0, NFT_CMP_EQ, link_scope, sizeof(link_scope));
		rs_rule_say(r, "ip6 daddr ff02::/16");
		rs_v_accept(r);
		rs_rule_note(r, "listener messages of this node");
	}
}

static void make_no_flow(struct rs_nft_maker *m)
{
	struct rs_nft_rule *r;

	make_own_listener(m);
	rs_v_jump(rs_nft_rule_new(m, "no_flow"), "isolated_end");
	r = rs_nft_rule_new(m, "no_flow");
	rs_v_accept(r);
	rs_rule_note(r, "no isolated end");
	for (int to = 0; to < 2; to++)
		for (int f = 4; f <= 6; f += 2) {
			r = rs_nft_rule_new(m, "isolated_end");
			if (to)
				rs_m_to_pod(r, m->cfg->link_group);
			else
				rs_m_from_pod(r, m->cfg->link_group);
			rs_m_packet_in(r, f, to, f == 4 ? "free4" : "free6", true);
			rs_v_goto(r, to ? "invalid_to" : "invalid_from");
		}
}

/* ---- the two halves -------------------------------------------------------------------------- */

/* peers NULL: the group's default, which is one lookup shorter. The key is first written whole with
 * one wide immediate: nft can show that, and only that. */
static void half_rule(struct rs_nft_maker *m, const char *chain, int family, uint8_t dir,
		      const char *peers, const char *comment)
{
	uint32_t key[3] = { dir, 0, 0 }, port_key[2] = { dir, 0 };
	int self = dir == RS_DIR_OUT ? ORIGINAL : REPLY;
	const char *groups = dir == RS_DIR_OUT ? (family == 4 ? "grp_out4" : "grp_out6")
					       : (family == 4 ? "grp_in4" : "grp_in6");
	const char *ports = dir == RS_DIR_OUT ? "ports_out" : "ports_in";
	struct rs_nft_rule *r = rs_nft_rule_new(m, chain);

	rs_x_imm(r, key, peers ? 12 : 8, 0);
	rs_x_end(r, family, self, 8);
	rs_x_lookup(r, groups, 8, 1, false);
	if (peers) {
		rs_x_end(r, family, !self, 8);
		rs_x_lookup(r, peers, 8, 2, false);
	}
	rs_x_imm(r, port_key, 8, 4);
	rs_x_lookup(r, peers ? "cells" : "dflt", 0, 5, false);
	rs_x_lookup(r, ports, 4, RS_REG_VERDICT, false);
	rs_rule_say(r, "%u . @%s[%s]", dir, groups, dir == RS_DIR_OUT ? "client" : "server");
	if (peers)
		rs_rule_say(r, ". @%s[%s]", peers, dir == RS_DIR_OUT ? "server" : "client");
	rs_rule_say(r, "in @%s: vmap @%s", peers ? "cells" : "dflt", ports);
	rs_rule_note(r, comment);
}

static void make_half(struct rs_nft_maker *m, uint8_t dir)
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
		rs_v_goto(rs_nft_rule_new(m, chain), dir == RS_DIR_OUT ? "deny_out" : "deny_in");
	}
}

/* The egress half is jumped to and its allow is `return`: with a goto into the ingress half a
 * kernel without memory in its validation would walk every pair of profiles. */
static void make_client(struct rs_nft_maker *m)
{
	for (int f = 4; f <= 6; f += 2) {
		const char *chain = f == 4 ? "client4" : "client6";

		rs_v_jump(rs_nft_rule_new(m, chain), f == 4 ? "egress4" : "egress6");
		rs_v_goto(rs_nft_rule_new(m, chain), "server_half");
	}
	make_server(m, "server_half");
	make_missing(m, "server_half", REPLY, ORIGINAL);
	rs_v_goto(rs_nft_rule_new(m, "server_half"), "restamp");
}

static void make_restamp(struct rs_nft_maker *m)
{
	uint32_t keep = ~m->cfg->ct_mark_mask;
	uint32_t bits = rs_nft_stamp_bits(m->cfg->ct_mark_mask, m->stamp);
	struct rs_nft_rule *r;

	if (m->cache) {
		/* No verdict in this rule: replacing it then re-validates nothing. */
		r = rs_nft_rule_new(m, "restamp");
		rs_x_ct(r, NFT_CT_MARK, -1, 0);
		rs_x_bitwise(r, 0, 0, &keep, &bits, 4);
		rs_x_ct_mark(r, 0);
		rs_rule_say(r, "ct mark set ct mark & 0x%08x | the stamp", keep);
		r->stamps = true;
	}
	rs_v_accept(rs_nft_rule_new(m, "restamp"));
}

/* ---- drops ----------------------------------------------------------------------------------- */

static void log_rule(struct rs_nft_maker *m, struct rs_nft_rule *r, const char *set, uint8_t reg,
		     const char *prefix)
{
	rs_x_rate(r, set, reg, m->cfg->log_rate);
	rs_x_counter(r, RS_NFT_COUNTER_LOGGED);
	rs_x_log(r, prefix, m->cfg->nflog_group);
	rs_rule_say(r,
		    "update @%s limit rate %u/second counter " RS_NFT_COUNTER_LOGGED
		    " log prefix \"%s\" group %u",
		    set, m->cfg->log_rate, prefix, m->cfg->nflog_group);
}

static void make_deny(struct rs_nft_maker *m, const char *chain, const char *counter, int dir,
		      int reason)
{
	char prefix[16];

	snprintf(prefix, sizeof(prefix), RS_NFT_LOG_FORMAT, reason, dir == ORIGINAL ? 'o' : 'i');
	for (int f = 4; m->cfg->log_rate && f <= 6; f += 2) {
		struct rs_nft_rule *r = rs_nft_rule_new(m, chain);

		rs_x_end(r, f, dir, 8);
		rs_rule_say(r, "ct %s %s saddr", dir == ORIGINAL ? "original" : "reply", rs_ip(f));
		log_rule(m, r, f == 4 ? "rate4" : "rate6", 8, prefix);
	}
	rs_v_drop(rs_nft_rule_new(m, chain), counter);
}

static void make_link_drop(struct rs_nft_maker *m, const char *chain, const char *counter, bool to,
			   int reason)
{
	char prefix[16];

	snprintf(prefix, sizeof(prefix), RS_NFT_LOG_FORMAT, reason, to ? 'i' : 'o');
	if (m->cfg->log_rate) {
		struct rs_nft_rule *r = rs_nft_rule_new(m, chain);

		rs_x_meta(r, to ? NFT_META_OIF : NFT_META_IIF, 8);
		rs_rule_say(r, "%s", to ? "oif" : "iif");
		log_rule(m, r, "rate_link", 8, prefix);
	}
	rs_v_drop(rs_nft_rule_new(m, chain), counter);
}

void rs_nft_skeleton_make(struct rs_nft_skeleton *s, const struct rs_dp_config *cfg, bool cache,
			  uint16_t stamp)
{
	struct rs_nft_maker m = { .s = s, .cfg = cfg, .cache = cache, .stamp = stamp };

	memset(s, 0, sizeof(*s));
	rs_nft_make_guard(&m);
	make_hooks(&m);
	make_judge(&m);
	make_related(&m);
	make_fresh(&m);
	make_flow(&m);
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

void rs_nft_skeleton_restamp(struct rs_nft_skeleton *s, const struct rs_dp_config *cfg,
			     uint16_t stamp)
{
	struct rs_nft_maker m = { .s = s, .cfg = cfg, .cache = true, .stamp = stamp };

	memset(s, 0, sizeof(*s));
	make_restamp(&m);
}

void rs_nft_skeleton_free(struct rs_nft_skeleton *s)
{
	free(s->v);
	memset(s, 0, sizeof(*s));
}
