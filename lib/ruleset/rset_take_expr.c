// SPDX-License-Identifier: Apache-2.0
/*
 * rset_take_expr.c - one expression of a rule from its netlink attributes. What the walk could not
 * follow is refused here, so that a table that was read can be walked.
 */
#include "ruleset/rset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "ruleset/rset_attr.h"

struct taker {
	struct rs_ruleset *r;
	struct rset_in in;
	struct rset_expr *x;
};

void rset_expr_free(struct rset_expr *x)
{
	free(x->data);
	free(x->data2);
	free(x->text);
}

static uint32_t words(uint32_t len)
{
	return (len + 3) / 4 * 4;
}

/* ---- loads ----------------------------------------------------------------------------------- */

static void take_meta(struct taker *t)
{
	t->x->key = rset_u32(&t->in, NFTA_META_KEY);
	if (!rset_meta_name(t->x->key))
		rset_refuse(&t->in, EOPNOTSUPP, "key %u is not understood", t->x->key);
	if (!t->in.v[NFTA_META_SREG]) {
		t->x->dreg = rset_reg(&t->in, NFTA_META_DREG, 4);
		if (t->x->key == NFT_META_NFTRACE)
			rset_refuse(&t->in, EOPNOTSUPP, "key nftrace is not understood");
		return;
	}
	t->x->op = RSET_META_SET;
	t->x->sreg = rset_reg(&t->in, NFTA_META_SREG, 4);
	if (t->x->key != NFT_META_MARK && t->x->key != NFT_META_NFTRACE)
		rset_refuse(&t->in, EOPNOTSUPP, "writing of key %u is not understood", t->x->key);
}

static uint32_t ct_len(uint32_t key)
{
	switch (key) {
	case NFT_CT_SRC:
	case NFT_CT_DST:
	case NFT_CT_SRC_IP6:
	case NFT_CT_DST_IP6:
		return 16;
	default:
		return 4;
	}
}

static bool of_a_direction(uint32_t key)
{
	return ct_len(key) == 16 || key == NFT_CT_PROTO_SRC || key == NFT_CT_PROTO_DST ||
	       key == NFT_CT_SRC_IP || key == NFT_CT_DST_IP;
}

static void take_ct(struct taker *t)
{
	struct rset_expr *x = t->x;

	x->key = rset_u32(&t->in, NFTA_CT_KEY);
	if (!rset_ct_name(x->key))
		rset_refuse(&t->in, EOPNOTSUPP, "key %u is not understood", x->key);
	if (t->in.v[NFTA_CT_DIRECTION] || of_a_direction(x->key))
		x->dir = rset_u8(&t->in, NFTA_CT_DIRECTION);
	if (x->dir > 1)
		rset_refuse(&t->in, EOPNOTSUPP, "direction %u is not understood", x->dir);
	if (!t->in.v[NFTA_CT_SREG]) {
		x->dreg = rset_reg(&t->in, NFTA_CT_DREG, ct_len(x->key));
		return;
	}
	x->op = RSET_CT_SET;
	x->sreg = rset_reg(&t->in, NFTA_CT_SREG, 4);
	if (x->key != NFT_CT_MARK)
		rset_refuse(&t->in, EOPNOTSUPP, "writing of key %u is not understood", x->key);
}

static void take_payload(struct taker *t)
{
	struct rset_expr *x = t->x;
	uint32_t len = rset_u32(&t->in, NFTA_PAYLOAD_LEN);

	x->key = rset_u32(&t->in, NFTA_PAYLOAD_BASE);
	x->off = rset_u32(&t->in, NFTA_PAYLOAD_OFFSET);
	x->dreg = rset_reg(&t->in, NFTA_PAYLOAD_DREG, words(len > RSET_VALUE_MAX ? 0 : len));
	x->len = (uint8_t)len;
	if (x->key > NFT_PAYLOAD_TRANSPORT_HEADER)
		rset_refuse(&t->in, EOPNOTSUPP, "base %u is not understood", x->key);
	if (!len || len > RSET_VALUE_MAX || x->off > UINT16_MAX)
		rset_refuse(&t->in, EOPNOTSUPP, "%u bytes at %u are not understood", len, x->off);
}

/* ---- comparisons ----------------------------------------------------------------------------- */

static void take_cmp(struct taker *t)
{
	t->x->data = rset_value(&t->in, NFTA_CMP_DATA, &t->x->len);
	t->x->sreg = rset_reg(&t->in, NFTA_CMP_SREG, t->x->len);
	t->x->key = rset_u32(&t->in, NFTA_CMP_OP);
	if (t->x->key > NFT_CMP_GTE)
		rset_refuse(&t->in, EOPNOTSUPP, "operation %u is not understood", t->x->key);
}

static void take_range(struct taker *t)
{
	uint8_t to = 0;

	t->x->data = rset_value(&t->in, NFTA_RANGE_FROM_DATA, &t->x->len);
	t->x->data2 = rset_value(&t->in, NFTA_RANGE_TO_DATA, &to);
	t->x->sreg = rset_reg(&t->in, NFTA_RANGE_SREG, t->x->len);
	t->x->key = rset_u32(&t->in, NFTA_RANGE_OP);
	if (t->x->key > NFT_RANGE_NEQ)
		rset_refuse(&t->in, EOPNOTSUPP, "operation %u is not understood", t->x->key);
	if (to != t->x->len)
		rset_refuse(&t->in, EBADMSG, "ends of %u and %u bytes", t->x->len, to);
}

static void take_lookup(struct taker *t)
{
	struct rset_expr *x = t->x;
	const char *name = rset_str(&t->in, NFTA_LOOKUP_SET);
	uint32_t flags = rset_u32_or(&t->in, NFTA_LOOKUP_FLAGS, 0);

	rset_flags(&t->in, flags, NFT_LOOKUP_F_INV, "flags");
	x->inv = flags & NFT_LOOKUP_F_INV;
	x->dreg = RSET_NO_REG;
	x->set = rset_set_find(t->r, name);
	if (!x->set) {
		rset_refuse(&t->in, EBADMSG, "no set of the name %.*s", RSET_NAME, name);
		return;
	}
	x->sreg = rset_reg(&t->in, NFTA_LOOKUP_SREG, x->set->klen);
	x->set->looked_up = true;
	x->set->looked_up_inv |= x->inv;
	if (!t->in.v[NFTA_LOOKUP_DREG])
		return;
	x->dreg = rset_reg_or_verdict(&t->in, NFTA_LOOKUP_DREG, words(x->set->dlen));
	if (x->inv || (x->dreg == RSET_VERDICT) != x->set->verdicts ||
	    (!x->set->verdicts && !x->set->dlen))
		rset_refuse(&t->in, EBADMSG, "set %.*s gives no such value", RSET_NAME, name);
}

/* ---- values ---------------------------------------------------------------------------------- */

static void take_shift(struct taker *t)
{
	uint8_t len = 0;
	uint32_t by = 0;

	t->x->data = rset_value(&t->in, NFTA_BITWISE_DATA, &len);
	if (len == 4)
		memcpy(&by, t->x->data, sizeof(by));
	if (!by || by > 31)
		rset_refuse(&t->in, EOPNOTSUPP, "a shift by %u is not understood", by);
}

static void take_bitwise(struct taker *t)
{
	struct rset_expr *x = t->x;
	uint32_t len = rset_u32(&t->in, NFTA_BITWISE_LEN);
	uint8_t mask = 0, xor = 0;

	x->key = rset_u32_or(&t->in, NFTA_BITWISE_OP, NFT_BITWISE_BOOL);
	x->sreg = rset_reg(&t->in, NFTA_BITWISE_SREG, words(len & 0xff));
	x->dreg = rset_reg(&t->in, NFTA_BITWISE_DREG, words(len & 0xff));
	if (!len || len > RSET_VALUE_MAX)
		rset_refuse(&t->in, EOPNOTSUPP, "%u bytes are not understood", len);
	x->len = (uint8_t)len;
	if (x->key == NFT_BITWISE_LSHIFT || x->key == NFT_BITWISE_RSHIFT) {
		take_shift(t);
		return;
	}
	if (x->key != NFT_BITWISE_BOOL)
		rset_refuse(&t->in, EOPNOTSUPP, "operation %u is not understood", x->key);
	x->data = rset_value(&t->in, NFTA_BITWISE_MASK, &mask);
	x->data2 = rset_value(&t->in, NFTA_BITWISE_XOR, &xor);
	if (mask != x->len || xor != x->len)
		rset_refuse(&t->in, EBADMSG, "mask of %u, xor of %u for %u bytes", mask, xor, len);
}

/* One number, or a row of 32-bit ones: kernels differ about rows of the other sizes. */
static void take_byteorder(struct taker *t)
{
	struct rset_expr *x = t->x;
	uint32_t len = rset_u32(&t->in, NFTA_BYTEORDER_LEN);
	uint32_t size = rset_u32(&t->in, NFTA_BYTEORDER_SIZE);

	x->key = rset_u32(&t->in, NFTA_BYTEORDER_OP);
	x->sreg = rset_reg(&t->in, NFTA_BYTEORDER_SREG, words(len & 0xff));
	x->dreg = rset_reg(&t->in, NFTA_BYTEORDER_DREG, words(len & 0xff));
	if (x->key > NFT_BYTEORDER_HTON)
		rset_refuse(&t->in, EOPNOTSUPP, "operation %u is not understood", x->key);
	if (!((size == 2 || size == 8) && len == size) &&
	    !(size == 4 && len && len <= RSET_VALUE_MAX && len % 4 == 0))
		rset_refuse(&t->in, EOPNOTSUPP, "%u bytes in pieces of %u are not understood", len,
			    size);
	x->len = (uint8_t)len;
	x->size = (uint8_t)size;
}

static void take_immediate(struct taker *t)
{
	struct rset_in data;

	t->x->dreg = rset_reg_or_verdict(&t->in, NFTA_IMMEDIATE_DREG, 0);
	if (t->x->dreg == RSET_VERDICT) {
		rset_open(&data, t->in.v[NFTA_IMMEDIATE_DATA], RSET_A(NFTA_DATA_VERDICT),
			  t->in.what, t->in.err);
		rset_take_verdict(t->r, &data, &t->x->verdict);
		t->in.rc = t->in.rc ? t->in.rc : data.rc;
		return;
	}
	t->x->data = rset_value(&t->in, NFTA_IMMEDIATE_DATA, &t->x->len);
	rset_reg(&t->in, NFTA_IMMEDIATE_DREG, words(t->x->len));
}

/* It refuses the packet, with an answer to its sender. */
static void take_reject(struct taker *t)
{
	t->x->dreg = RSET_VERDICT;
	t->x->verdict.code = NF_DROP;
}

/* ---- what keeps state ------------------------------------------------------------------------ */

static void take_limit(struct taker *t)
{
	uint32_t flags = rset_u32_or(&t->in, NFTA_LIMIT_FLAGS, 0);

	rset_flags(&t->in, flags, NFT_LIMIT_F_INV, "flags");
	t->x->inv = flags & NFT_LIMIT_F_INV;
}

static void take_log(struct taker *t)
{
	if (t->in.v[NFTA_LOG_PREFIX])
		t->x->text = rs_strdup(rset_str(&t->in, NFTA_LOG_PREFIX));
}

static void take_objref(struct taker *t)
{
	uint32_t type = rset_u32(&t->in, NFTA_OBJREF_IMM_TYPE);

	if (type != NFT_OBJECT_COUNTER)
		rset_refuse(&t->in, EOPNOTSUPP, "objects of type %u are not understood", type);
	t->x->text = rs_strdup(rset_str(&t->in, NFTA_OBJREF_IMM_NAME));
}

static void take_dynset(struct taker *t)
{
	struct rset_expr *x = t->x;
	struct rset_state state = { 0 };
	const char *name = rset_str(&t->in, NFTA_DYNSET_SET_NAME);
	uint32_t flags = rset_u32_or(&t->in, NFTA_DYNSET_FLAGS, 0);

	rset_flags(&t->in, flags, NFT_DYNSET_F_INV | NFT_DYNSET_F_EXPR, "flags");
	x->inv = flags & NFT_DYNSET_F_INV;
	x->key = rset_u32(&t->in, NFTA_DYNSET_OP);
	if (x->key > NFT_DYNSET_OP_DELETE)
		rset_refuse(&t->in, EOPNOTSUPP, "operation %u is not understood", x->key);
	x->set = rset_set_find(t->r, name);
	if (!x->set) {
		rset_refuse(&t->in, EBADMSG, "no set of the name %.*s", RSET_NAME, name);
		return;
	}
	x->set->filled = true;
	x->sreg = rset_reg(&t->in, NFTA_DYNSET_SREG_KEY, x->set->klen);
	if (t->in.rc)
		return;
	t->in.rc = rset_take_stateful(t->r, t->in.v[NFTA_DYNSET_EXPR],
				      t->in.v[NFTA_DYNSET_EXPRESSIONS], &state, t->in.err);
	x->leaves = state.leaves;
}

static void take_counter(struct taker *t)
{
	t->x->counted = true;
	t->x->packets = rset_u64_or(&t->in, NFTA_COUNTER_PACKETS, 0);
}

static void take_nothing(struct taker *t)
{
	(void)t;
}

/* ---- the table of expressions ---------------------------------------------------------------- */

#define A RSET_A

static const struct kind {
	const char *name;
	uint32_t known; /* attributes */
	enum rset_op op;
	void (*take)(struct taker *t);
} kinds[] = {
	{ "meta", A(NFTA_META_DREG) | A(NFTA_META_KEY) | A(NFTA_META_SREG), RSET_META, take_meta },
	{ "ct", A(NFTA_CT_DREG) | A(NFTA_CT_KEY) | A(NFTA_CT_DIRECTION) | A(NFTA_CT_SREG), RSET_CT,
	  take_ct },
	{ "payload",
	  A(NFTA_PAYLOAD_DREG) | A(NFTA_PAYLOAD_BASE) | A(NFTA_PAYLOAD_OFFSET) |
		  A(NFTA_PAYLOAD_LEN),
	  RSET_PAYLOAD, take_payload },
	{ "cmp", A(NFTA_CMP_SREG) | A(NFTA_CMP_OP) | A(NFTA_CMP_DATA), RSET_CMP, take_cmp },
	{ "range",
	  A(NFTA_RANGE_SREG) | A(NFTA_RANGE_OP) | A(NFTA_RANGE_FROM_DATA) | A(NFTA_RANGE_TO_DATA),
	  RSET_RANGE, take_range },
	{ "bitwise",
	  A(NFTA_BITWISE_SREG) | A(NFTA_BITWISE_DREG) | A(NFTA_BITWISE_LEN) | A(NFTA_BITWISE_MASK) |
		  A(NFTA_BITWISE_XOR) | A(NFTA_BITWISE_OP) | A(NFTA_BITWISE_DATA),
	  RSET_BITWISE, take_bitwise },
	{ "byteorder",
	  A(NFTA_BYTEORDER_SREG) | A(NFTA_BYTEORDER_DREG) | A(NFTA_BYTEORDER_OP) |
		  A(NFTA_BYTEORDER_LEN) | A(NFTA_BYTEORDER_SIZE),
	  RSET_BYTEORDER, take_byteorder },
	{ "lookup",
	  A(NFTA_LOOKUP_SET) | A(NFTA_LOOKUP_SREG) | A(NFTA_LOOKUP_DREG) | A(NFTA_LOOKUP_FLAGS),
	  RSET_LOOKUP, take_lookup },
	{ "immediate", A(NFTA_IMMEDIATE_DREG) | A(NFTA_IMMEDIATE_DATA), RSET_IMMEDIATE,
	  take_immediate },
	{ "reject", A(NFTA_REJECT_TYPE) | A(NFTA_REJECT_ICMP_CODE), RSET_IMMEDIATE, take_reject },
	{ "dynset",
	  A(NFTA_DYNSET_SET_NAME) | A(NFTA_DYNSET_OP) | A(NFTA_DYNSET_SREG_KEY) |
		  A(NFTA_DYNSET_SREG_DATA) | A(NFTA_DYNSET_TIMEOUT) | A(NFTA_DYNSET_EXPR) |
		  A(NFTA_DYNSET_PAD) | A(NFTA_DYNSET_FLAGS) | A(NFTA_DYNSET_EXPRESSIONS),
	  RSET_DYNSET, take_dynset },
	{ "limit",
	  A(NFTA_LIMIT_RATE) | A(NFTA_LIMIT_UNIT) | A(NFTA_LIMIT_BURST) | A(NFTA_LIMIT_TYPE) |
		  A(NFTA_LIMIT_FLAGS) | A(NFTA_LIMIT_PAD),
	  RSET_LIMIT, take_limit },
	{ "log",
	  A(NFTA_LOG_GROUP) | A(NFTA_LOG_PREFIX) | A(NFTA_LOG_SNAPLEN) | A(NFTA_LOG_QTHRESHOLD) |
		  A(NFTA_LOG_LEVEL) | A(NFTA_LOG_FLAGS),
	  RSET_LOG, take_log },
	{ "objref", A(NFTA_OBJREF_IMM_TYPE) | A(NFTA_OBJREF_IMM_NAME), RSET_COUNTER, take_objref },
	{ "counter", A(NFTA_COUNTER_BYTES) | A(NFTA_COUNTER_PACKETS) | A(NFTA_COUNTER_PAD),
	  RSET_NOTHING, take_counter },
	{ "last", A(NFTA_LAST_SET) | A(NFTA_LAST_MSECS) | A(NFTA_LAST_PAD), RSET_NOTHING,
	  take_nothing },
	{ "notrack", 0, RSET_NOTRACK, take_nothing },
};

#undef A

static const struct kind *kind_of(const char *name)
{
	for (size_t i = 0; i < RS_ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	return NULL;
}

int rset_take_expr(struct rs_ruleset *r, const struct nlattr *nest, struct rset_expr *x,
		   struct rs_err *err)
{
	struct taker t = { .r = r, .x = x };
	const struct nlattr *data;
	const struct kind *k;
	const char *name;

	rset_open(&t.in, nest, RSET_A(NFTA_EXPR_NAME) | RSET_A(NFTA_EXPR_DATA), "expression", err);
	name = rset_str(&t.in, NFTA_EXPR_NAME);
	if (t.in.rc)
		return t.in.rc;
	k = kind_of(name);
	if (!k)
		return rs_err_set(err, EOPNOTSUPP, "expression %.*s is not understood", RSET_NAME,
				  name);
	data = t.in.v[NFTA_EXPR_DATA];
	rset_open(&t.in, data, k->known, k->name, err);
	x->op = k->op;
	x->sreg = x->dreg = RSET_NO_REG;
	if (!t.in.rc)
		k->take(&t);
	if (!t.in.rc && !x->text && x->op == RSET_NOTHING)
		x->text = rs_strdup(k->name);
	return t.in.rc;
}

/* ---- shared with sets ------------------------------------------------------------------------ */

static bool known_code(int32_t code)
{
	return code == NF_ACCEPT || code == NF_DROP || (code <= NFT_CONTINUE && code >= NFT_RETURN);
}

void rset_take_verdict(struct rs_ruleset *r, struct rset_in *data, struct rset_verdict *v)
{
	struct rset_in in;
	const char *name;

	if (!data->rc && !data->v[NFTA_DATA_VERDICT])
		rset_refuse(data, EBADMSG, "no verdict");
	if (data->rc)
		return;
	rset_open(&in, data->v[NFTA_DATA_VERDICT],
		  RSET_A(NFTA_VERDICT_CODE) | RSET_A(NFTA_VERDICT_CHAIN), "verdict", data->err);
	v->code = (int32_t)rset_u32(&in, NFTA_VERDICT_CODE);
	if (!known_code(v->code))
		rset_refuse(&in, EOPNOTSUPP, "code %d is not understood", v->code);
	if (v->code == NFT_JUMP || v->code == NFT_GOTO) {
		name = rset_str(&in, NFTA_VERDICT_CHAIN);
		v->chain = rset_chain_find(r, name);
		if (!v->chain)
			rset_refuse(&in, EBADMSG, "no chain of the name %.*s", RSET_NAME, name);
	}
	data->rc = in.rc;
}

static int one_stateful(struct rs_ruleset *r, const struct nlattr *nest, struct rset_state *state,
			struct rs_err *err)
{
	struct rset_expr x = { 0 };
	int rc = rset_take_expr(r, nest, &x, err);

	if (!rc && x.op != RSET_NOTHING && x.op != RSET_LIMIT)
		rc = rs_err_set(err, EOPNOTSUPP, "an element's expression is not understood");
	if (!rc && x.op == RSET_LIMIT && x.inv)
		state->leaves = true;
	if (!rc && x.counted) {
		state->counted = true;
		state->packets = x.packets;
	}
	rset_expr_free(&x);
	return rc;
}

int rset_take_stateful(struct rs_ruleset *r, const struct nlattr *one, const struct nlattr *list,
		       struct rset_state *state, struct rs_err *err)
{
	const struct nlattr *a;
	int rc = one ? one_stateful(r, one, state, err) : 0;

	if (!list)
		return rc;
	mnl_attr_for_each_nested(a, list)
	{
		if (!rc)
			rc = one_stateful(r, a, state, err);
	}
	return rc;
}
