// SPDX-License-Identifier: Apache-2.0
/* rule.c - writes rules as plain data, one expression a call. */
#include "dataplane/nft/rule.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct rs_nft_x *add(struct rs_nft_rule *r, enum rs_nft_op op)
{
	struct rs_nft_x *x;

	if (r->n == RS_NFT_MAX_EXPRS)
		abort(); /* rules are written by this program: a longer one is a bug */
	x = &r->x[r->n++];
	memset(x, 0, sizeof(*x));
	x->op = op;
	x->sreg = RS_REG_NONE;
	x->dreg = RS_REG_NONE;
	return x;
}

void rs_rule_say(struct rs_nft_rule *r, const char *fmt, ...)
{
	size_t at = strlen(r->words);
	va_list ap;

	if (at && at + 1 < sizeof(r->words))
		r->words[at++] = ' ';
	va_start(ap, fmt);
	vsnprintf(r->words + at, sizeof(r->words) - at, fmt, ap);
	va_end(ap);
}

void rs_x_meta(struct rs_nft_rule *r, uint32_t key, uint8_t dreg)
{
	struct rs_nft_x *x = add(r, OP_META);

	x->key = key;
	x->dreg = dreg;
}

void rs_x_ct(struct rs_nft_rule *r, uint32_t key, int dir, uint8_t dreg)
{
	struct rs_nft_x *x = add(r, OP_CT);

	x->key = key;
	x->arg = (uint32_t)(dir + 1);
	x->dreg = dreg;
}

void rs_x_ct_mark(struct rs_nft_rule *r, uint8_t sreg)
{
	add(r, OP_CT_MARK)->sreg = sreg;
}

void rs_x_payload(struct rs_nft_rule *r, uint32_t base, uint32_t off, uint8_t len, uint8_t dreg)
{
	struct rs_nft_x *x = add(r, OP_PAYLOAD);

	x->key = base;
	x->arg = off;
	x->len = len;
	x->dreg = dreg;
}

void rs_x_cmp(struct rs_nft_rule *r, uint8_t sreg, uint32_t op, const void *data, uint8_t len)
{
	struct rs_nft_x *x = add(r, OP_CMP);

	x->sreg = sreg;
	x->key = op;
	x->len = len;
	memcpy(x->data, data, len);
}

void rs_x_range(struct rs_nft_rule *r, uint8_t sreg, const void *lo, const void *hi, uint8_t len)
{
	struct rs_nft_x *x = add(r, OP_RANGE);

	x->sreg = sreg;
	x->len = len;
	memcpy(x->data, lo, len);
	memcpy(x->data2, hi, len);
}

void rs_x_bitwise(struct rs_nft_rule *r, uint8_t sreg, uint8_t dreg, const void *mask,
		  const void * xor, uint8_t len)
{
	struct rs_nft_x *x = add(r, OP_BITWISE);

	x->sreg = sreg;
	x->dreg = dreg;
	x->len = len;
	memcpy(x->data, mask, len);
	memcpy(x->data2, xor, len);
}

void rs_x_lookup(struct rs_nft_rule *r, const char *set, uint8_t sreg, uint8_t dreg, bool inv)
{
	struct rs_nft_x *x = add(r, OP_LOOKUP);

	x->name = set;
	x->sreg = sreg;
	x->dreg = dreg;
	x->inv = inv;
}

void rs_x_imm(struct rs_nft_rule *r, const void *data, uint8_t len, uint8_t dreg)
{
	struct rs_nft_x *x = add(r, OP_IMM);

	x->dreg = dreg;
	x->len = len;
	memcpy(x->data, data, len);
}

void rs_x_verdict(struct rs_nft_rule *r, int code, const char *chain)
{
	struct rs_nft_x *x = add(r, OP_VERDICT);

	x->key = (uint32_t)code;
	x->name = chain;
}

void rs_x_counter(struct rs_nft_rule *r, const char *name)
{
	add(r, OP_COUNTER)->name = name;
}

void rs_x_log(struct rs_nft_rule *r, const char *prefix, uint16_t group)
{
	snprintf(r->prefix, sizeof(r->prefix), "%s", prefix);
	add(r, OP_LOG)->arg = group;
}

void rs_x_rate(struct rs_nft_rule *r, const char *set, uint8_t sreg, uint32_t rate)
{
	struct rs_nft_x *x = add(r, OP_RATE);

	x->name = set;
	x->sreg = sreg;
	x->arg = rate;
}
