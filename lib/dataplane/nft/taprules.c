// SPDX-License-Identifier: Apache-2.0
/*
 * taprules.c - the table of a capture.
 *
 * At each point a chain says which packets are meant, and a second one copies them: until the time
 * is over, and so often. Neither has a verdict, so no packet's fate changes.
 */
/* Before the kernel's headers, which then leave its names alone. */
#include <netinet/in.h>

#include "dataplane/nft/tap.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "dataplane/nft/nftmatch.h"
#include "dataplane/nft/tapnl.h"

#define FLAG_OWNER 0x2u /* without persist: it goes with our socket */
#define COMMENT "a capture of ripstop's: it copies packets and goes with its program"
#define HOUR 3600u

static const struct {
	const char *chain, *copies;
	uint32_t hook;
	int32_t prio;
} points[TAP_POINTS] = {
	/* Before and behind what judges there: the base chains of table ripstop (schema.c), or the
	 * eBPF programs of both places (bpfpins.c), which share their priorities with nobody. At
	 * 100 source NAT may come first: see tappair.c. */
	[TAP_GUARD] = { "at_guard", "copy_guard", NF_INET_PRE_ROUTING, -313 },
	[TAP_GUARD_PASSED] = { "past_guard", "copy_past_guard", NF_INET_PRE_ROUTING, -309 },
	[TAP_FORWARDED] = { "at_forwarded", "copy_forwarded", NF_INET_POST_ROUTING, 96 },
	[TAP_FORWARDED_PASSED] = { "past_forwarded", "copy_past_forwarded", NF_INET_POST_ROUTING,
				   100 },
	[TAP_TO_NODE] = { "at_to_node", "copy_to_node", NF_INET_LOCAL_IN, 109 },
	[TAP_TO_NODE_PASSED] = { "past_to_node", "copy_past_to_node", NF_INET_LOCAL_IN, 113 },
};

struct tap {
	struct rs_nft_batch *b;
	const char *table;
	const struct rs_capture_want *want;
	enum tap_point point;
	uint16_t group;
	uint64_t until_ns;
};

/* more: what comes behind the expressions of r; may be NULL. */
static void put_rule(struct tap *t, const struct rs_nft_rule *r,
		     void (*more)(struct nlmsghdr *h, const struct tap *t))
{
	struct nlmsghdr *h =
		rs_nft_batch_msg(t->b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, 4096);
	struct nlattr *list;

	mnl_attr_put_strz(h, NFTA_RULE_TABLE, t->table);
	mnl_attr_put_strz(h, NFTA_RULE_CHAIN, r->chain);
	list = mnl_attr_nest_start(h, NFTA_RULE_EXPRESSIONS);
	rs_tapnl_exprs(h, r);
	if (more)
		more(h, t);
	mnl_attr_nest_end(h, list);
	rs_nft_batch_put(t->b, h);
}

/* ---- which packets --------------------------------------------------------------------------- */

static void match_link(struct rs_nft_rule *r, const struct tap *t, bool from_pod)
{
	rs_x_meta(r, from_pod ? NFT_META_IIF : NFT_META_OIF, 0);
	rs_x_cmp(r, 0, NFT_CMP_EQ, &t->want->link, sizeof(t->want->link));
}

static void match_peer(struct rs_nft_rule *r, const struct tap *t, bool from_pod)
{
	const struct rs_cidr *c = &t->want->peer;
	uint8_t mask[16] = { 0 }, zero[16] = { 0 };
	uint8_t bytes = (uint8_t)rs_addr_bytes(c->addr.family);

	for (unsigned int bit = 0; bit < c->len; bit++)
		mask[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	rs_m_family(r, c->addr.family);
	rs_x_addr(r, c->addr.family, from_pod, 0);
	rs_x_bitwise(r, 0, 0, mask, zero, bytes);
	rs_x_cmp(r, 0, NFT_CMP_EQ, c->addr.b, bytes);
}

static void match_port(struct rs_nft_rule *r, const struct tap *t, bool dst)
{
	uint16_t lo = htons(t->want->lo), hi = htons(t->want->hi);

	rs_x_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, dst ? 2 : 0, 2, 0);
	rs_x_range(r, 0, &lo, &hi, 2);
}

/* proto NULL: every one. */
static void put_match(struct tap *t, bool from_pod, const uint8_t *proto, bool dst)
{
	struct rs_nft_rule r = { .chain = points[t->point].chain };

	match_link(&r, t, from_pod);
	if (t->want->has_peer)
		match_peer(&r, t, from_pod);
	if (proto)
		rs_m_l4(&r, *proto, NFT_CMP_EQ, "");
	if (t->want->has_port)
		match_port(&r, t, dst);
	rs_v_goto(&r, points[t->point].copies);
	put_rule(t, &r, NULL);
}

static void put_matches(struct tap *t)
{
	bool forwarded = t->point == TAP_FORWARDED || t->point == TAP_FORWARDED_PASSED;
	const struct rs_capture_want *w = t->want;

	for (int from_pod = 1; from_pod >= !forwarded; from_pod--)
		for (size_t i = 0; i < w->n_protos || (!i && !w->n_protos); i++)
			for (int dst = 1; dst >= !w->has_port; dst--)
				put_match(t, from_pod, w->n_protos ? &w->protos[i] : NULL, dst);
}

/* ---- the copy -------------------------------------------------------------------------------- */

/* The clock is a number of the host's order, and only the net's order compares by size. */
static void put_until(struct nlmsghdr *h, uint64_t until_ns)
{
	uint64_t until = htobe64(until_ns);
	struct rs_tapnl_expr e;

	rs_tapnl_begin(h, "meta", &e);
	mnl_attr_put_u32(h, NFTA_META_KEY, htonl(NFT_META_TIME_NS));
	mnl_attr_put_u32(h, NFTA_META_DREG, htonl(NFT_REG_1));
	rs_tapnl_end(h, &e);
	rs_tapnl_begin(h, "byteorder", &e);
	mnl_attr_put_u32(h, NFTA_BYTEORDER_SREG, htonl(NFT_REG_1));
	mnl_attr_put_u32(h, NFTA_BYTEORDER_DREG, htonl(NFT_REG_1));
	mnl_attr_put_u32(h, NFTA_BYTEORDER_OP, htonl(NFT_BYTEORDER_HTON));
	mnl_attr_put_u32(h, NFTA_BYTEORDER_LEN, htonl(sizeof(until)));
	mnl_attr_put_u32(h, NFTA_BYTEORDER_SIZE, htonl(sizeof(until)));
	rs_tapnl_end(h, &e);
	rs_tapnl_begin(h, "cmp", &e);
	mnl_attr_put_u32(h, NFTA_CMP_SREG, htonl(NFT_REG_1));
	mnl_attr_put_u32(h, NFTA_CMP_OP, htonl(NFT_CMP_LT));
	rs_tapnl_value(h, NFTA_CMP_DATA, &until, sizeof(until));
	rs_tapnl_end(h, &e);
}

/* One an hour, after so many at once. */
static void put_limit(struct nlmsghdr *h, uint32_t copies)
{
	struct rs_tapnl_expr e;

	rs_tapnl_begin(h, "limit", &e);
	mnl_attr_put_u64(h, NFTA_LIMIT_RATE, htobe64(1));
	mnl_attr_put_u64(h, NFTA_LIMIT_UNIT, htobe64(HOUR));
	mnl_attr_put_u32(h, NFTA_LIMIT_BURST, htonl(copies));
	mnl_attr_put_u32(h, NFTA_LIMIT_TYPE, htonl(NFT_LIMIT_PKTS));
	rs_tapnl_end(h, &e);
}

static void put_log(struct nlmsghdr *h, const struct tap *t)
{
	struct rs_tapnl_expr e;
	char prefix[16];

	snprintf(prefix, sizeof(prefix), TAP_PREFIX "%d", (int)t->point);
	rs_tapnl_begin(h, "log", &e);
	mnl_attr_put_u16(h, NFTA_LOG_GROUP, htons(t->group));
	mnl_attr_put_strz(h, NFTA_LOG_PREFIX, prefix);
	mnl_attr_put_u32(h, NFTA_LOG_SNAPLEN, htonl(t->want->snaplen));
	rs_tapnl_end(h, &e);
}

static void copy(struct nlmsghdr *h, const struct tap *t)
{
	put_until(h, t->until_ns);
	put_limit(h, t->want->copies);
	put_log(h, t);
}

static void put_copy(struct tap *t)
{
	struct rs_nft_rule r = { .chain = points[t->point].copies };

	put_rule(t, &r, copy);
}

/* From behind to before: a packet that the table meets half made has no copy from before only. */
void rs_tap_put_table(struct rs_nft_batch *b, const char *table, const struct rs_capture_want *want,
		      uint16_t group, uint64_t until_ns)
{
	struct tap t = {
		.b = b, .table = table, .want = want, .group = group, .until_ns = until_ns
	};

	rs_tapnl_table(b, table, FLAG_OWNER, COMMENT);
	for (int p = TAP_POINTS - 1; p >= 0; p--) {
		t.point = (enum tap_point)p;
		rs_tapnl_chain(b, table, points[p].copies, false, 0, 0);
		rs_tapnl_chain(b, table, points[p].chain, true, points[p].hook, points[p].prio);
		put_matches(&t);
		put_copy(&t);
	}
}
