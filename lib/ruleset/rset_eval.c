// SPDX-License-Identifier: Apache-2.0
/* rset_eval.c - what one expression does to registers and verdict (net/netfilter/nft_*.c). */
#include "ruleset/rset.h"

#include <arpa/inet.h>
#include <endian.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

static uint8_t *at(struct rset_view *w, uint8_t reg)
{
	return w->regs.b + reg * 4;
}

static void leave_unless(struct rset_view *w, bool holds)
{
	if (!holds)
		w->regs.verdict.code = NFT_BREAK;
}

static bool compares(int d, uint32_t op)
{
	switch (op) {
	case NFT_CMP_EQ:
		return d == 0;
	case NFT_CMP_NEQ:
		return d != 0;
	case NFT_CMP_LT:
		return d < 0;
	case NFT_CMP_LTE:
		return d <= 0;
	case NFT_CMP_GT:
		return d > 0;
	default: /* NFT_CMP_GTE */
		return d >= 0;
	}
}

static void eval_range(struct rset_view *w, const struct rset_expr *x)
{
	bool in = memcmp(at(w, x->sreg), x->data, x->len) >= 0 &&
		  memcmp(at(w, x->sreg), x->data2, x->len) <= 0;

	leave_unless(w, in == (x->key == NFT_RANGE_EQ));
}

/* Whole words; what the mask does not name becomes zero. */
static void eval_mask(struct rset_view *w, const struct rset_expr *x)
{
	uint8_t *to = at(w, x->dreg), *from = at(w, x->sreg);
	size_t n = (x->len + 3u) / 4 * 4;

	for (size_t i = 0; i < n; i++)
		to[i] = i < x->len ? (uint8_t)((from[i] & x->data[i]) ^ x->data2[i]) : 0;
}

/* A row of words in host order, the first is the highest. */
static void eval_shift(struct rset_view *w, const struct rset_expr *x)
{
	uint32_t v[RSET_WORDS], by, carry = 0;
	size_t n = (x->len + 3u) / 4;

	memcpy(v, at(w, x->sreg), n * 4);
	memcpy(&by, x->data, sizeof(by));
	for (size_t k = 0; k < n; k++) {
		size_t i = x->key == NFT_BITWISE_LSHIFT ? n - 1 - k : k;
		uint32_t old = v[i];

		if (x->key == NFT_BITWISE_LSHIFT) {
			v[i] = old << by | carry;
			carry = old >> (32 - by);
		} else {
			v[i] = carry | old >> by;
			carry = old << (32 - by);
		}
	}
	memcpy(at(w, x->dreg), v, n * 4);
}

/* To network order and back are the same step. */
static void eval_byteorder(struct rset_view *w, const struct rset_expr *x)
{
	uint8_t *to = at(w, x->dreg), *from = at(w, x->sreg);
	uint8_t v[RSET_VALUE_MAX];

	memcpy(v, from, x->len);
	if (htonl(1) == 1) {
		memcpy(to, v, x->len);
		return;
	}
	for (size_t i = 0; i < x->len; i++)
		to[i] = v[i / x->size * x->size + x->size - 1 - i % x->size];
}

/* A value that does not fill its last word clears the rest of it. */
static void put_value(struct rset_view *w, uint8_t reg, const uint8_t *v, size_t len)
{
	if (len % 4)
		memset(at(w, reg) + len / 4 * 4, 0, 4);
	memcpy(at(w, reg), v, len);
}

/* What was found by rules that did not match in the end is forgotten again: see run_rule(). */
static void note_found(struct rset_view *w, const struct rset_set *s, const struct rset_elem *e)
{
	struct rs_walk *o = w->found;

	if (o->n_found == RS_WALK_FOUND)
		return;
	o->found[o->n_found].set = s;
	o->found[o->n_found++].elem = e;
	w->rule_found++;
}

static void eval_lookup(struct rset_view *w, const struct rset_expr *x)
{
	const struct rset_elem *e = rset_set_get(x->set, at(w, x->sreg));

	if ((e != NULL) == x->inv) {
		w->regs.verdict.code = NFT_BREAK;
		return;
	}
	if (!e)
		return;
	if (x->dreg == RSET_VERDICT)
		w->regs.verdict = e->verdict;
	else if (x->dreg != RSET_NO_REG)
		put_value(w, x->dreg, e->key + rset_data_at(x->set), x->set->dlen);
	leave_unless(w, !e->leaves);
	note_found(w, x->set, e);
}

static void eval_immediate(struct rset_view *w, const struct rset_expr *x)
{
	if (x->dreg == RSET_VERDICT)
		w->regs.verdict = x->verdict;
	else
		put_value(w, x->dreg, x->data, x->len);
}

int rset_eval(struct rset_view *w, const struct rset_expr *x, struct rs_err *err)
{
	switch (x->op) {
	case RSET_META:
	case RSET_CT:
	case RSET_PAYLOAD:
		return rset_load(w, x, err);
	case RSET_META_SET:
	case RSET_CT_SET:
		rset_store(w, x);
		break;
	case RSET_CMP:
		leave_unless(w, compares(memcmp(at(w, x->sreg), x->data, x->len), x->key));
		break;
	case RSET_RANGE:
		eval_range(w, x);
		break;
	case RSET_BITWISE:
		if (x->key == NFT_BITWISE_BOOL)
			eval_mask(w, x);
		else
			eval_shift(w, x);
		break;
	case RSET_BYTEORDER:
		eval_byteorder(w, x);
		break;
	case RSET_LOOKUP:
		eval_lookup(w, x);
		break;
	case RSET_IMMEDIATE:
		eval_immediate(w, x);
		break;
	case RSET_DYNSET: /* the update succeeds; a deletion says nothing */
		leave_unless(w, x->key == NFT_DYNSET_OP_DELETE || (!x->inv && !x->leaves));
		break;
	case RSET_LIMIT: /* not reached by a first packet */
		leave_unless(w, !x->inv);
		break;
	case RSET_LOG:
		w->log_prefix = x->text ? x->text : "";
		break;
	case RSET_NOTRACK:
		rset_notrack(w);
		break;
	case RSET_COUNTER:
		w->counter = x->text;
		break;
	case RSET_NOTHING:
		break;
	}
	return 0;
}
