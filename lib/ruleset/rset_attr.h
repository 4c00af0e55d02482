/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rset_attr.h - reads netlink attributes strictly: what is not known, not of the right length or
 * missing is an error. Its parsers of one nest share a struct in which the first error stays, so
 * that a decoder reads all it wants and looks once.
 */
#ifndef RIPSTOP_RULESET_RSET_ATTR_H
#define RIPSTOP_RULESET_RSET_ATTR_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stdint.h>

#include <ripstop/error.h>

#define RSET_ATTRS 32
#define RSET_A(type) (1u << (type))

struct rset_in {
	const struct nlattr *v[RSET_ATTRS];
	const char *what; /* of error messages: "cmp", "chain" */
	struct rs_err *err;
	int rc; /* 0 or the first error */
};

/* known: bits RSET_A(type). Any other attribute is -EOPNOTSUPP. nest NULL: an empty nest. */
void rset_open(struct rset_in *in, const struct nlattr *nest, uint32_t known, const char *what,
	       struct rs_err *err);
/* The attributes of a message behind its struct nfgenmsg. */
void rset_open_msg(struct rset_in *in, const struct nlmsghdr *h, uint32_t known, const char *what,
		   struct rs_err *err);

/* Numbers come in network order. Without "_or" they must be there. */
uint8_t rset_u8(struct rset_in *in, int type);
uint16_t rset_u16_or(struct rset_in *in, int type, uint16_t otherwise);
uint32_t rset_u32(struct rset_in *in, int type);
uint32_t rset_u32_or(struct rset_in *in, int type, uint32_t otherwise);
uint64_t rset_u64_or(struct rset_in *in, int type, uint64_t otherwise);
const char *rset_str(struct rset_in *in, int type); /* "" after an error */

/* A register as the index of its word, for a value of len bytes. */
uint8_t rset_reg(struct rset_in *in, int type, uint32_t len);
uint8_t rset_reg_or_verdict(struct rset_in *in, int type, uint32_t len);

/* Bytes of a nested NFTA_DATA_VALUE, 1 to RSET_VALUE_MAX of them; the caller frees. */
uint8_t *rset_value(struct rset_in *in, int type, uint8_t *len);

/* Keep an error of this nest; the first one stays. */
void rset_refuse(struct rset_in *in, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Refuse a number that has other bits than those of `known`. */
void rset_flags(struct rset_in *in, uint32_t flags, uint32_t known, const char *name);

/* ---- parts of expressions and of elements ---------------------------------------------------- */

struct rs_ruleset;
struct rset_verdict;
struct rset_state;

/* The verdict of a NFTA_DATA_* nest; an error is kept in `data`. */
void rset_take_verdict(struct rs_ruleset *r, struct rset_in *data, struct rset_verdict *v);

/* The expressions that an element carries, each NULL or there; leaves: one of them ends the rule
 * for a first packet. */
int rset_take_stateful(struct rs_ruleset *r, const struct nlattr *one, const struct nlattr *list,
		       struct rset_state *state, struct rs_err *err);

#endif
