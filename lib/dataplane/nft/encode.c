// SPDX-License-Identifier: Apache-2.0
/* encode.c - tables, chains, sets, counters and rules to netlink messages (elements: elem.c). */
#include "dataplane/nft/encode.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/object.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>

#include "base/base.h"

#define RATE_SET_SIZE 65535
#define RATE_TIMEOUT_MS 60000
/* nft(8)'s notes on byte order: 1 host, 2 network. */
#define ORDER_HOST 1
#define ORDER_NET 2

static void *must(void *p)
{
	if (!p)
		rs_oom();
	return p;
}

void rs_nft_put_table(struct rs_nft_batch *b, const char *table, uint32_t flags,
		      const char *comment)
{
	struct nftnl_table *t = must(nftnl_table_alloc());
	struct nftnl_udata_buf *u = must(nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN));
	struct nlmsghdr *h;

	nftnl_table_set_str(t, NFTNL_TABLE_NAME, table);
	nftnl_table_set_u32(t, NFTNL_TABLE_FAMILY, NFPROTO_INET);
	if (flags)
		nftnl_table_set_u32(t, NFTNL_TABLE_FLAGS, flags);
	nftnl_udata_put_strz(u, NFTNL_UDATA_TABLE_COMMENT, comment);
	nftnl_table_set_data(t, NFTNL_TABLE_USERDATA, nftnl_udata_buf_data(u),
			     nftnl_udata_buf_len(u));
	nftnl_udata_buf_free(u);
	h = rs_nft_batch_msg(b, NFT_MSG_NEWTABLE, NLM_F_CREATE, 1024);
	nftnl_table_nlmsg_build_payload(h, t);
	rs_nft_batch_put(b, h);
	nftnl_table_free(t);
}

void rs_nft_put_table_del(struct rs_nft_batch *b, const char *table)
{
	struct nlmsghdr *h = rs_nft_batch_msg(b, NFT_MSG_DELTABLE, 0, 256);

	mnl_attr_put_strz(h, NFTA_TABLE_NAME, table);
	rs_nft_batch_put(b, h);
}

/* ---- expressions ----------------------------------------------------------------------------- */

/* The kernel answers with the 128-bit name where one begins, so write that one. */
static uint32_t reg(uint8_t r)
{
	if (r == RS_REG_VERDICT)
		return NFT_REG_VERDICT;
	return (uint32_t)(r % 4 ? NFT_REG32_00 + r : NFT_REG_1 + r / 4);
}

static struct nftnl_expr *make(const char *name)
{
	return must(nftnl_expr_alloc(name));
}

static struct nftnl_expr *encode_load(const struct rs_nft_x *x)
{
	struct nftnl_expr *e;

	switch (x->op) {
	case OP_META:
		e = make("meta");
		nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, x->key);
		nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, reg(x->dreg));
		return e;
	case OP_CT:
		e = make("ct");
		nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, x->key);
		if (x->arg)
			nftnl_expr_set_u8(e, NFTNL_EXPR_CT_DIR, (uint8_t)(x->arg - 1));
		nftnl_expr_set_u32(e, NFTNL_EXPR_CT_DREG, reg(x->dreg));
		return e;
	case OP_CT_MARK:
		e = make("ct");
		nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, NFT_CT_MARK);
		nftnl_expr_set_u32(e, NFTNL_EXPR_CT_SREG, reg(x->sreg));
		return e;
	default: /* OP_PAYLOAD */
		e = make("payload");
		nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, x->key);
		nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, x->arg);
		nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, x->len);
		nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, reg(x->dreg));
		return e;
	}
}

static struct nftnl_expr *encode_match(const struct rs_nft_x *x)
{
	struct nftnl_expr *e;

	switch (x->op) {
	case OP_CMP:
		e = make("cmp");
		nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, reg(x->sreg));
		nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, x->key);
		nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, x->data, x->len);
		return e;
	case OP_RANGE:
		e = make("range");
		nftnl_expr_set_u32(e, NFTNL_EXPR_RANGE_SREG, reg(x->sreg));
		nftnl_expr_set_u32(e, NFTNL_EXPR_RANGE_OP, NFT_RANGE_EQ);
		nftnl_expr_set(e, NFTNL_EXPR_RANGE_FROM_DATA, x->data, x->len);
		nftnl_expr_set(e, NFTNL_EXPR_RANGE_TO_DATA, x->data2, x->len);
		return e;
	default: /* OP_LOOKUP */
		e = make("lookup");
		nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, reg(x->sreg));
		if (x->dreg != RS_REG_NONE)
			nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_DREG, reg(x->dreg));
		nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, x->name);
		/* Also when there are none: so the kernel answers, and answers are compared. */
		nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_FLAGS, x->inv ? NFT_LOOKUP_F_INV : 0);
		return e;
	}
}

static struct nftnl_expr *encode_value(const struct rs_nft_x *x)
{
	struct nftnl_expr *e;

	switch (x->op) {
	case OP_BITWISE:
		e = make("bitwise");
		nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_SREG, reg(x->sreg));
		nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_DREG, reg(x->dreg));
		nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
		nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_LEN, x->len);
		nftnl_expr_set(e, NFTNL_EXPR_BITWISE_MASK, x->data, x->len);
		nftnl_expr_set(e, NFTNL_EXPR_BITWISE_XOR, x->data2, x->len);
		return e;
	case OP_IMM:
		e = make("immediate");
		nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, reg(x->dreg));
		nftnl_expr_set(e, NFTNL_EXPR_IMM_DATA, x->data, x->len);
		return e;
	default: /* OP_VERDICT */
		e = make("immediate");
		nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
		nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, x->key);
		if (x->name)
			nftnl_expr_set_str(e, NFTNL_EXPR_IMM_CHAIN, x->name);
		return e;
	}
}

static struct nftnl_expr *encode_rate(const struct rs_nft_x *x)
{
	struct nftnl_expr *e = make("dynset"), *limit = make("limit");

	nftnl_expr_set_u64(limit, NFTNL_EXPR_LIMIT_RATE, x->arg);
	nftnl_expr_set_u64(limit, NFTNL_EXPR_LIMIT_UNIT, 1);
	nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_BURST, x->arg);
	nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
	nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_SREG_KEY, reg(x->sreg));
	nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_OP, NFT_DYNSET_OP_UPDATE);
	nftnl_expr_set_str(e, NFTNL_EXPR_DYNSET_SET_NAME, x->name);
	nftnl_expr_set_u64(e, NFTNL_EXPR_DYNSET_TIMEOUT, RATE_TIMEOUT_MS);
	nftnl_expr_set(e, NFTNL_EXPR_DYNSET_EXPR, limit, 0);
	return e;
}

static struct nftnl_expr *encode_side(const struct rs_nft_x *x, const char *prefix)
{
	struct nftnl_expr *e;

	switch (x->op) {
	case OP_COUNTER:
		e = make("objref");
		nftnl_expr_set_u32(e, NFTNL_EXPR_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
		nftnl_expr_set_str(e, NFTNL_EXPR_OBJREF_IMM_NAME, x->name);
		return e;
	case OP_LOG:
		e = make("log");
		nftnl_expr_set_u16(e, NFTNL_EXPR_LOG_GROUP, (uint16_t)x->arg);
		nftnl_expr_set_str(e, NFTNL_EXPR_LOG_PREFIX, prefix);
		nftnl_expr_set_u32(e, NFTNL_EXPR_LOG_SNAPLEN, RS_NFT_LOG_SNAPLEN);
		return e;
	default:
		return encode_rate(x);
	}
}

static struct nftnl_expr *encode_expr(const struct rs_nft_x *x, const char *prefix)
{
	switch (x->op) {
	case OP_META:
	case OP_CT:
	case OP_CT_MARK:
	case OP_PAYLOAD:
		return encode_load(x);
	case OP_CMP:
	case OP_RANGE:
	case OP_LOOKUP:
		return encode_match(x);
	case OP_BITWISE:
	case OP_IMM:
	case OP_VERDICT:
		return encode_value(x);
	case OP_COUNTER:
	case OP_LOG:
	case OP_RATE:
		break;
	}
	return encode_side(x, prefix);
}

struct nftnl_rule *rs_nft_rule_encode(const struct rs_nft_rule *r, const char *table)
{
	struct nftnl_rule *rule = must(nftnl_rule_alloc());

	nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, table);
	nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, r->chain);
	nftnl_rule_set_u32(rule, NFTNL_RULE_FAMILY, NFPROTO_INET);
	if (r->comment) {
		struct nftnl_udata_buf *u = must(nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN));

		nftnl_udata_put_strz(u, NFTNL_UDATA_RULE_COMMENT, r->comment);
		nftnl_rule_set_data(rule, NFTNL_RULE_USERDATA, nftnl_udata_buf_data(u),
				    nftnl_udata_buf_len(u));
		nftnl_udata_buf_free(u);
	}
	for (size_t i = 0; i < r->n; i++)
		nftnl_rule_add_expr(rule, encode_expr(&r->x[i], r->prefix));
	return rule;
}

static void put_built(struct rs_nft_batch *b, struct nftnl_rule *rule, uint16_t flags)
{
	struct nlmsghdr *h = rs_nft_batch_msg(b, NFT_MSG_NEWRULE, NLM_F_CREATE | flags, 16384);

	nftnl_rule_nlmsg_build_payload(h, rule);
	rs_nft_batch_put(b, h);
	nftnl_rule_free(rule);
}

void rs_nft_put_built(struct rs_nft_batch *b, struct nftnl_rule *rule)
{
	put_built(b, rule, NLM_F_APPEND);
}

static void put_rule(struct rs_nft_batch *b, const char *table, const struct rs_nft_rule *r)
{
	put_built(b, rs_nft_rule_encode(r, table), NLM_F_APPEND);
}

void rs_nft_put_rule_replace(struct rs_nft_batch *b, const char *table, const struct rs_nft_rule *r,
			     uint64_t handle)
{
	struct nftnl_rule *rule = rs_nft_rule_encode(r, table);

	nftnl_rule_set_u64(rule, NFTNL_RULE_HANDLE, handle);
	put_built(b, rule, NLM_F_REPLACE);
}

/* ---- what the rules stand on ----------------------------------------------------------------- */

void rs_nft_put_chain(struct rs_nft_batch *b, const char *table, const char *chain,
		      const char *type, uint32_t hook, int32_t prio)
{
	struct nftnl_chain *c = must(nftnl_chain_alloc());
	struct nlmsghdr *h;

	nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, table);
	nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, chain);
	if (type) {
		nftnl_chain_set_u32(c, NFTNL_CHAIN_HOOKNUM, hook);
		nftnl_chain_set_s32(c, NFTNL_CHAIN_PRIO, prio);
		nftnl_chain_set_str(c, NFTNL_CHAIN_TYPE, type);
		nftnl_chain_set_u32(c, NFTNL_CHAIN_POLICY, NF_ACCEPT);
	}
	h = rs_nft_batch_msg(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE, 1024);
	nftnl_chain_nlmsg_build_payload(h, c);
	rs_nft_batch_put(b, h);
	nftnl_chain_free(c);
}

static void put_counter(struct rs_nft_batch *b, const char *table, const char *name)
{
	struct nftnl_obj *o = must(nftnl_obj_alloc());
	struct nlmsghdr *h;

	nftnl_obj_set_str(o, NFTNL_OBJ_TABLE, table);
	nftnl_obj_set_str(o, NFTNL_OBJ_NAME, name);
	nftnl_obj_set_u32(o, NFTNL_OBJ_FAMILY, NFPROTO_INET);
	nftnl_obj_set_u32(o, NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
	nftnl_obj_set_u64(o, NFTNL_OBJ_CTR_PKTS, 0);
	nftnl_obj_set_u64(o, NFTNL_OBJ_CTR_BYTES, 0);
	h = rs_nft_batch_msg(b, NFT_MSG_NEWOBJ, NLM_F_CREATE, 1024);
	nftnl_obj_nlmsg_build_payload(h, o);
	rs_nft_batch_put(b, h);
	nftnl_obj_free(o);
}

static uint32_t set_flags(const struct rs_nft_set_def *d)
{
	uint32_t flags = 0;

	if (d->interval)
		flags |= NFT_SET_INTERVAL;
	if (d->data != DATA_NONE)
		flags |= NFT_SET_MAP;
	if (d->dynamic)
		flags |= NFT_SET_EVAL | NFT_SET_TIMEOUT;
	return flags;
}

/* nft(8) prints numbers the wrong way round without these notes. */
static void set_notes(struct nftnl_set *s, const struct rs_nft_set_def *d)
{
	struct nftnl_udata_buf *u = must(nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN));

	nftnl_udata_put_u32(u, NFTNL_UDATA_SET_KEYBYTEORDER,
			    d->words && d->key_len == 4 ? ORDER_HOST : ORDER_NET);
	if (d->data != DATA_NONE)
		nftnl_udata_put_u32(u, NFTNL_UDATA_SET_DATABYTEORDER,
				    d->data == DATA_MARK ? ORDER_HOST : ORDER_NET);
	if (d->comment)
		nftnl_udata_put_strz(u, NFTNL_UDATA_SET_COMMENT, d->comment);
	nftnl_set_set_data(s, NFTNL_SET_USERDATA, nftnl_udata_buf_data(u), nftnl_udata_buf_len(u));
	nftnl_udata_buf_free(u);
}

static void put_set(struct rs_nft_batch *b, const char *table, uint32_t id)
{
	const struct rs_nft_set_def *d = &rs_nft_sets[id];
	struct nftnl_set *s = must(nftnl_set_alloc());
	struct nlmsghdr *h;

	nftnl_set_set_str(s, NFTNL_SET_TABLE, table);
	nftnl_set_set_str(s, NFTNL_SET_NAME, d->name);
	nftnl_set_set_u32(s, NFTNL_SET_FAMILY, NFPROTO_INET);
	nftnl_set_set_u32(s, NFTNL_SET_FLAGS, set_flags(d));
	nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, d->key_type);
	nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, d->key_len);
	nftnl_set_set_u32(s, NFTNL_SET_ID, id + 1);
	if (d->data != DATA_NONE) {
		nftnl_set_set_u32(s, NFTNL_SET_DATA_TYPE,
				  d->data == DATA_VERDICT ? NFT_DATA_VERDICT : 19);
		nftnl_set_set_u32(s, NFTNL_SET_DATA_LEN, 4);
	}
	if (d->dynamic) {
		nftnl_set_set_u32(s, NFTNL_SET_DESC_SIZE, RATE_SET_SIZE);
		nftnl_set_set_u64(s, NFTNL_SET_TIMEOUT, RATE_TIMEOUT_MS);
	}
	if (d->counted)
		nftnl_set_add_expr(s, make("counter"));
	set_notes(s, d);
	h = rs_nft_batch_msg(b, NFT_MSG_NEWSET, NLM_F_CREATE, 1024);
	nftnl_set_nlmsg_build_payload(h, s);
	rs_nft_batch_put(b, h);
	nftnl_set_free(s);
}

void rs_nft_put_skeleton(struct rs_nft_batch *b, const char *table, const struct rs_nft_skeleton *s)
{
	for (size_t i = 0; i < rs_nft_n_counters; i++)
		put_counter(b, table, rs_nft_counters[i].name);
	for (uint32_t i = 0; i < SETS; i++)
		put_set(b, table, i);
	/* The hooks last: a base chain is live as soon as the kernel has it. */
	for (int base = 0; base < 2; base++)
		for (size_t i = 0; i < rs_nft_n_chains; i++) {
			const struct rs_nft_chain_def *d = &rs_nft_chains[i];

			if (d->base == base)
				rs_nft_put_chain(b, table, d->name, base ? "filter" : NULL, d->hook,
						 d->prio);
		}
	for (size_t i = 0; i < s->n; i++)
		put_rule(b, table, &s->v[i]);
}

/* ---- profile chains -------------------------------------------------------------------------- */

static void put_ports(struct rs_nft_batch *b, const char *table, const struct rs_nft_plan *p,
		      const struct rs_nft_profile *pr, const char *chain)
{
	struct rs_nft_rule r;

	for (uint32_t i = 0; i < pr->n; i++) {
		const struct rs_ir_port *port = &p->ports.v[pr->first + i];

		rs_nft_port_rule(&r, pr->dir, port->proto, port->lo, port->hi, port->allow);
		r.chain = chain;
		put_rule(b, table, &r);
	}
	rs_nft_port_end(&r, pr->dir);
	r.chain = chain;
	put_rule(b, table, &r);
}

void rs_nft_put_profile(struct rs_nft_batch *b, const char *table, const struct rs_nft_plan *p,
			size_t i)
{
	const struct rs_nft_profile *pr = &p->profiles.v[i];
	char chain[RS_NFT_NAME_LEN];

	rs_nft_profile_chain(chain, pr->dir, pr->profile);
	rs_nft_put_chain(b, table, chain, NULL, 0, 0);
	put_ports(b, table, p, pr, chain);
}

static void put_chain_named(struct rs_nft_batch *b, const char *table, const char *chain,
			    uint16_t type)
{
	struct nlmsghdr *h = rs_nft_batch_msg(b, type, 0, 256);

	/* Chain and rule messages have the same first two attributes. */
	mnl_attr_put_strz(h, NFTA_CHAIN_TABLE, table);
	mnl_attr_put_strz(h, type == NFT_MSG_DELRULE ? NFTA_RULE_CHAIN : NFTA_CHAIN_NAME, chain);
	rs_nft_batch_put(b, h);
}

void rs_nft_put_profile_del(struct rs_nft_batch *b, const char *table, const struct rs_nft_plan *p,
			    size_t i)
{
	char chain[RS_NFT_NAME_LEN];

	rs_nft_profile_chain(chain, p->profiles.v[i].dir, p->profiles.v[i].profile);
	/* Its rules go with it: the message does not say NLM_F_NONREC. */
	put_chain_named(b, table, chain, NFT_MSG_DELCHAIN);
}

void rs_nft_put_profile_change(struct rs_nft_batch *b, const char *table,
			       const struct rs_nft_plan *p, size_t i)
{
	char chain[RS_NFT_NAME_LEN];

	rs_nft_profile_chain(chain, p->profiles.v[i].dir, p->profiles.v[i].profile);
	put_chain_named(b, table, chain, NFT_MSG_DELRULE);
	put_ports(b, table, p, &p->profiles.v[i], chain);
}

void rs_nft_put_plan(struct rs_nft_batch *b, const char *table, const struct rs_nft_plan *p)
{
	for (size_t i = 0; i < p->profiles.n; i++)
		rs_nft_put_profile(b, table, p, i);
	for (int id = 0; id < SETS_OF_STATE; id++)
		rs_nft_put_elems(b, table, p, id, NULL, false);
}

void rs_nft_put_diff(struct rs_nft_batch *b, const char *table, const struct rs_nft_plan *from,
		     const struct rs_nft_plan *to, const struct rs_nft_diff *d)
{
	/* A chain is held by the element that goes to it: elements first out, last in. */
	for (int id = 0; id < SETS_OF_STATE; id++)
		if (d->set[id].del.n)
			rs_nft_put_elems(b, table, from, id, &d->set[id].del, true);
	for (size_t i = 0; i < d->chain_del.n; i++)
		rs_nft_put_profile_del(b, table, from, d->chain_del.v[i]);
	for (size_t i = 0; i < d->chain_change.n; i++)
		rs_nft_put_profile_change(b, table, to, d->chain_change.v[i]);
	for (size_t i = 0; i < d->chain_add.n; i++)
		rs_nft_put_profile(b, table, to, d->chain_add.v[i]);
	for (int id = 0; id < SETS_OF_STATE; id++)
		if (d->set[id].add.n)
			rs_nft_put_elems(b, table, to, id, &d->set[id].add, false);
}
