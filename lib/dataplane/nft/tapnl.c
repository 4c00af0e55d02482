// SPDX-License-Identifier: Apache-2.0
/* tapnl.c - messages of nf_tables attribute by attribute (linux/netfilter/nf_tables.h); see
 * tapnl.h. */
/* Before the kernel's headers, which then leave its names alone. */
#include <netinet/in.h>

#include "dataplane/nft/tapnl.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>

/* nft(8) keeps a table's comment as an attribute of its own within the user data. */
#define TABLE_COMMENT 0

static void put_u32(struct nlmsghdr *h, uint16_t type, uint32_t v)
{
	mnl_attr_put_u32(h, type, htonl(v));
}

void rs_tapnl_table(struct rs_nft_batch *b, const char *table, uint32_t flags, const char *comment)
{
	struct nlmsghdr *h = rs_nft_batch_msg(b, NFT_MSG_NEWTABLE, NLM_F_CREATE, 1024);
	size_t n = strnlen(comment, 200) + 1;
	uint8_t data[2 + 201] = { TABLE_COMMENT, (uint8_t)n };

	memcpy(data + 2, comment, n - 1);
	mnl_attr_put_strz(h, NFTA_TABLE_NAME, table);
	put_u32(h, NFTA_TABLE_FLAGS, flags);
	mnl_attr_put(h, NFTA_TABLE_USERDATA, 2 + n, data);
	rs_nft_batch_put(b, h);
}

void rs_tapnl_chain(struct rs_nft_batch *b, const char *table, const char *chain, bool at_hook,
		    uint32_t hook, int32_t prio)
{
	struct nlmsghdr *h = rs_nft_batch_msg(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE, 1024);
	struct nlattr *nest;

	mnl_attr_put_strz(h, NFTA_CHAIN_TABLE, table);
	mnl_attr_put_strz(h, NFTA_CHAIN_NAME, chain);
	if (at_hook) {
		nest = mnl_attr_nest_start(h, NFTA_CHAIN_HOOK);
		put_u32(h, NFTA_HOOK_HOOKNUM, hook);
		put_u32(h, NFTA_HOOK_PRIORITY, (uint32_t)prio);
		mnl_attr_nest_end(h, nest);
		mnl_attr_put_strz(h, NFTA_CHAIN_TYPE, "filter");
		put_u32(h, NFTA_CHAIN_POLICY, NF_ACCEPT);
	}
	rs_nft_batch_put(b, h);
}

void rs_tapnl_begin(struct nlmsghdr *h, const char *name, struct rs_tapnl_expr *e)
{
	e->elem = mnl_attr_nest_start(h, NFTA_LIST_ELEM);
	mnl_attr_put_strz(h, NFTA_EXPR_NAME, name);
	e->data = mnl_attr_nest_start(h, NFTA_EXPR_DATA);
}

void rs_tapnl_end(struct nlmsghdr *h, const struct rs_tapnl_expr *e)
{
	mnl_attr_nest_end(h, e->data);
	mnl_attr_nest_end(h, e->elem);
}

void rs_tapnl_value(struct nlmsghdr *h, uint16_t type, const void *data, size_t n)
{
	struct nlattr *nest = mnl_attr_nest_start(h, type);

	mnl_attr_put(h, NFTA_DATA_VALUE, n, data);
	mnl_attr_nest_end(h, nest);
}

/* ---- expressions of a rule ------------------------------------------------------------------- */

static uint32_t reg(uint8_t r)
{
	return (uint32_t)NFT_REG32_00 + r;
}

static void put_verdict(struct nlmsghdr *h, const struct rs_nft_x *x)
{
	struct nlattr *data, *verdict;

	put_u32(h, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	data = mnl_attr_nest_start(h, NFTA_IMMEDIATE_DATA);
	verdict = mnl_attr_nest_start(h, NFTA_DATA_VERDICT);
	put_u32(h, NFTA_VERDICT_CODE, x->key);
	if (x->name)
		mnl_attr_put_strz(h, NFTA_VERDICT_CHAIN, x->name);
	mnl_attr_nest_end(h, verdict);
	mnl_attr_nest_end(h, data);
}

static void put_attributes(struct nlmsghdr *h, const struct rs_nft_x *x)
{
	switch (x->op) {
	case OP_META:
		put_u32(h, NFTA_META_KEY, x->key);
		put_u32(h, NFTA_META_DREG, reg(x->dreg));
		return;
	case OP_PAYLOAD:
		put_u32(h, NFTA_PAYLOAD_DREG, reg(x->dreg));
		put_u32(h, NFTA_PAYLOAD_BASE, x->key);
		put_u32(h, NFTA_PAYLOAD_OFFSET, x->arg);
		put_u32(h, NFTA_PAYLOAD_LEN, x->len);
		return;
	case OP_CMP:
		put_u32(h, NFTA_CMP_SREG, reg(x->sreg));
		put_u32(h, NFTA_CMP_OP, x->key);
		rs_tapnl_value(h, NFTA_CMP_DATA, x->data, x->len);
		return;
	case OP_RANGE:
		put_u32(h, NFTA_RANGE_SREG, reg(x->sreg));
		put_u32(h, NFTA_RANGE_OP, NFT_RANGE_EQ);
		rs_tapnl_value(h, NFTA_RANGE_FROM_DATA, x->data, x->len);
		rs_tapnl_value(h, NFTA_RANGE_TO_DATA, x->data2, x->len);
		return;
	case OP_BITWISE:
		put_u32(h, NFTA_BITWISE_SREG, reg(x->sreg));
		put_u32(h, NFTA_BITWISE_DREG, reg(x->dreg));
		put_u32(h, NFTA_BITWISE_LEN, x->len);
		rs_tapnl_value(h, NFTA_BITWISE_MASK, x->data, x->len);
		rs_tapnl_value(h, NFTA_BITWISE_XOR, x->data2, x->len);
		return;
	case OP_VERDICT:
		put_verdict(h, x);
		return;
	default:
		abort();
	}
}

static const char *name_of(enum rs_nft_op op)
{
	switch (op) {
	case OP_META:
		return "meta";
	case OP_PAYLOAD:
		return "payload";
	case OP_CMP:
		return "cmp";
	case OP_RANGE:
		return "range";
	case OP_BITWISE:
		return "bitwise";
	default:
		return "immediate";
	}
}

void rs_tapnl_exprs(struct nlmsghdr *h, const struct rs_nft_rule *r)
{
	struct rs_tapnl_expr e;
	size_t i;

	for (i = 0; i < r->n; i++) {
		rs_tapnl_begin(h, name_of(r->x[i].op), &e);
		put_attributes(h, &r->x[i]);
		rs_tapnl_end(h, &e);
	}
}
