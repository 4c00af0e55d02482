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
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>

#include "base/base.h"
#include "dataplane/nft/encode.h"
#include "dataplane/nft/nftmatch.h"

#define FLAG_OWNER 0x2u /* without persist: it goes with our socket */
#define COMMENT "a capture of ripstop's: it copies packets and goes with its program"
#define HOUR 3600u

static const struct {
	const char *chain, *copies;
	uint32_t hook;
	int32_t prio;
} points[TAP_POINTS] = {
	/* One step before and behind the base chains of table ripstop (schema.c). At 100 source NAT
	 * may come first: see tappair.c. */
	[TAP_GUARD] = { "at_guard", "copy_guard", NF_INET_PRE_ROUTING, -311 },
	[TAP_GUARD_PASSED] = { "past_guard", "copy_past_guard", NF_INET_PRE_ROUTING, -309 },
	[TAP_FORWARDED] = { "at_forwarded", "copy_forwarded", NF_INET_POST_ROUTING, 98 },
	[TAP_FORWARDED_PASSED] = { "past_forwarded", "copy_past_forwarded", NF_INET_POST_ROUTING,
				   100 },
	[TAP_TO_NODE] = { "at_to_node", "copy_to_node", NF_INET_LOCAL_IN, 109 },
	[TAP_TO_NODE_PASSED] = { "past_to_node", "copy_past_to_node", NF_INET_LOCAL_IN, 111 },
};

struct tap {
	struct rs_nft_batch *b;
	const char *table;
	const struct rs_capture_want *want;
	enum tap_point point;
};

static struct nftnl_expr *make(const char *name)
{
	struct nftnl_expr *e = nftnl_expr_alloc(name);

	if (!e)
		rs_oom();
	return e;
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
	rs_nft_put_built(t->b, rs_nft_rule_encode(&r, t->table));
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
static void add_until(struct nftnl_rule *rule, uint64_t until_ns)
{
	struct nftnl_expr *e = make("meta");
	uint64_t until = htobe64(until_ns);

	nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, NFT_META_TIME_NS);
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, NFT_REG_1);
	nftnl_rule_add_expr(rule, e);
	e = make("byteorder");
	nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_DREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_OP, NFT_BYTEORDER_HTON);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_LEN, sizeof(until));
	nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_SIZE, sizeof(until));
	nftnl_rule_add_expr(rule, e);
	e = make("cmp");
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, NFT_CMP_LT);
	nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, &until, sizeof(until));
	nftnl_rule_add_expr(rule, e);
}

/* One an hour, after so many at once. */
static void add_limit(struct nftnl_rule *rule, uint32_t copies)
{
	struct nftnl_expr *e = make("limit");

	nftnl_expr_set_u64(e, NFTNL_EXPR_LIMIT_RATE, 1);
	nftnl_expr_set_u64(e, NFTNL_EXPR_LIMIT_UNIT, HOUR);
	nftnl_expr_set_u32(e, NFTNL_EXPR_LIMIT_BURST, copies);
	nftnl_expr_set_u32(e, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
	nftnl_rule_add_expr(rule, e);
}

static void add_log(struct nftnl_rule *rule, const struct tap *t, uint16_t group)
{
	struct nftnl_expr *e = make("log");
	char prefix[16];

	snprintf(prefix, sizeof(prefix), TAP_PREFIX "%d", (int)t->point);
	nftnl_expr_set_u16(e, NFTNL_EXPR_LOG_GROUP, group);
	nftnl_expr_set_str(e, NFTNL_EXPR_LOG_PREFIX, prefix);
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOG_SNAPLEN, t->want->snaplen);
	nftnl_rule_add_expr(rule, e);
}

static void put_copy(struct tap *t, uint16_t group, uint64_t until_ns)
{
	struct rs_nft_rule r = { .chain = points[t->point].copies };
	struct nftnl_rule *rule = rs_nft_rule_encode(&r, t->table);

	add_until(rule, until_ns);
	add_limit(rule, t->want->copies);
	add_log(rule, t, group);
	rs_nft_put_built(t->b, rule);
}

/* From behind to before: a packet that the table meets half made has no copy from before only. */
void rs_tap_put_table(struct rs_nft_batch *b, const char *table, const struct rs_capture_want *want,
		      uint16_t group, uint64_t until_ns)
{
	struct tap t = { .b = b, .table = table, .want = want };

	rs_nft_put_table(b, table, FLAG_OWNER, COMMENT);
	for (int p = TAP_POINTS - 1; p >= 0; p--) {
		t.point = (enum tap_point)p;
		rs_nft_put_chain(b, table, points[p].copies, NULL, 0, 0);
		rs_nft_put_chain(b, table, points[p].chain, "filter", points[p].hook,
				 points[p].prio);
		put_matches(&t);
		put_copy(&t, group, until_ns);
	}
}
