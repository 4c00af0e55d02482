/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rule.h - a rule as plain data: a short program over sixteen 32-bit registers, and the same in
 * words.
 *
 * skeleton.c and plan.c write such rules, encode.c turns them into netlink, print.c shows the
 * words, readback.c compares them with the kernel's.
 */
#ifndef RIPSTOP_DATAPLANE_NFT_RULE_H
#define RIPSTOP_DATAPLANE_NFT_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RS_NFT_MAX_EXPRS 16
#define RS_REG_VERDICT 0xfe
#define RS_REG_NONE 0xff

enum rs_nft_op {
	OP_META,    /* key -> dreg */
	OP_CT,	    /* key, arg = direction + 1 or 0 -> dreg */
	OP_CT_MARK, /* sreg -> ct mark */
	OP_PAYLOAD, /* key = base, arg = offset, len -> dreg */
	OP_CMP,	    /* sreg, key = operator, data, len */
	OP_RANGE,   /* sreg in data .. data2, len */
	OP_BITWISE, /* dreg = (sreg & data) ^ data2, len */
	OP_LOOKUP,  /* sreg in name [-> dreg]; inv */
	OP_IMM,	    /* data, len -> dreg */
	OP_VERDICT, /* key = code, name = chain */
	OP_COUNTER, /* named counter */
	OP_LOG,	    /* name = prefix, arg = group */
	OP_RATE,    /* update set name with sreg, limit arg a second */
};

struct rs_nft_x {
	enum rs_nft_op op;
	uint8_t sreg;
	uint8_t dreg;
	uint8_t len;
	bool inv;
	uint32_t key;
	uint32_t arg;
	uint8_t data[16];
	uint8_t data2[16];
	const char *name; /* static storage, or 'text' of the owner */
};

struct rs_nft_rule {
	const char *chain;
	struct rs_nft_x x[RS_NFT_MAX_EXPRS];
	size_t n;
	char prefix[16]; /* of OP_LOG */
	char note[32];	 /* storage for a comment that is not a constant */
	char words[256];
	const char *comment; /* in the kernel too: for rules that nft cannot show */
	bool stamps;	     /* the one rule that a bump replaces */
};

void rs_rule_say(struct rs_nft_rule *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void rs_x_meta(struct rs_nft_rule *r, uint32_t key, uint8_t dreg);
/* dir: -1 none, 0 original, 1 reply */
void rs_x_ct(struct rs_nft_rule *r, uint32_t key, int dir, uint8_t dreg);
void rs_x_ct_mark(struct rs_nft_rule *r, uint8_t sreg);
void rs_x_payload(struct rs_nft_rule *r, uint32_t base, uint32_t off, uint8_t len, uint8_t dreg);
void rs_x_cmp(struct rs_nft_rule *r, uint8_t sreg, uint32_t op, const void *data, uint8_t len);
void rs_x_range(struct rs_nft_rule *r, uint8_t sreg, const void *lo, const void *hi, uint8_t len);
void rs_x_bitwise(struct rs_nft_rule *r, uint8_t sreg, uint8_t dreg, const void *mask,
		  const void * xor, uint8_t len);
void rs_x_lookup(struct rs_nft_rule *r, const char *set, uint8_t sreg, uint8_t dreg, bool inv);
void rs_x_imm(struct rs_nft_rule *r, const void *data, uint8_t len, uint8_t dreg);
void rs_x_verdict(struct rs_nft_rule *r, int code, const char *chain);
void rs_x_counter(struct rs_nft_rule *r, const char *name);
void rs_x_log(struct rs_nft_rule *r, const char *prefix, uint16_t group);
void rs_x_rate(struct rs_nft_rule *r, const char *set, uint8_t sreg, uint32_t rate);

#endif
