/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rset.h - a table as data: what the decoding half (rset_take*.c) makes of netlink messages and the
 * walking half (rset_walk.c and what it calls) interprets.
 *
 * Registers are what the kernel has: 20 words of 4 bytes, of which the first four are the verdict
 * register; sreg and dreg are indices of words, bounds are checked when an expression is decoded.
 */
#ifndef RIPSTOP_RULESET_RSET_H
#define RIPSTOP_RULESET_RSET_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ripstop/ruleset.h>

#include "base/base.h"

#define RSET_WORDS 20
#define RSET_REG_BYTES (RSET_WORDS * 4)
#define RSET_VERDICT 0 /* word index of the verdict register */
#define RSET_FIRST 4   /* of the first data register */
#define RSET_NO_REG 0xff
#define RSET_VALUE_MAX 64 /* bytes of one value, NFT_DATA_VALUE_MAXLEN */
#define RSET_JUMPS 16	  /* NFT_JUMP_STACK_SIZE of the kernel */
#define RSET_NAME 64	  /* what messages show of a name; the kernel's bound is 256 */

/* Lookups of chains and sets by name: short, of this table only, so a plain hash will do. */
static inline unsigned int rset_name_hash(const void *key, size_t len)
{
	const uint8_t *p = key;
	unsigned int h = 2166136261u;

	while (len--)
		h = (h ^ *p++) * 16777619u;
	return h;
}

#define HASH_FUNCTION(key, len, hashv) ((hashv) = rset_name_hash(key, len))
#define uthash_fatal(msg) rs_oom()
#include <uthash.h>

enum rset_op {
	RSET_META,
	RSET_META_SET,
	RSET_CT,
	RSET_CT_SET,
	RSET_PAYLOAD,
	RSET_CMP,
	RSET_RANGE,
	RSET_BITWISE,
	RSET_BYTEORDER,
	RSET_LOOKUP,
	RSET_IMMEDIATE,
	RSET_DYNSET,
	RSET_LIMIT,
	RSET_LOG,
	RSET_NOTRACK,
	RSET_COUNTER, /* a counter of the table's, by name */
	RSET_NOTHING, /* what has no effect on where a packet goes */
};

struct rset_verdict {
	int32_t code; /* NF_DROP, NF_ACCEPT, NFT_CONTINUE .. NFT_RETURN */
	struct rset_chain *chain;
};

struct rset_expr {
	enum rset_op op;
	uint8_t sreg;
	uint8_t dreg;
	uint8_t len;  /* bytes of the value */
	uint8_t size; /* byteorder: of one number */
	uint8_t dir;  /* ct: of the tuple */
	bool inv;     /* lookup, dynset, limit: inverted */
	bool leaves;  /* dynset: an expression of its element ends the rule */
	uint32_t key; /* meta, ct: key; payload: base; others: operation */
	uint32_t off; /* payload */
	struct rset_set *set;
	struct rset_verdict verdict; /* immediate into the verdict register */
	uint8_t *data;		     /* cmp, immediate, range (from), bitwise (mask) */
	uint8_t *data2;		     /* range (to), bitwise (xor) */
	char *text;		     /* log prefix, name of a counter, name of the expression */
	bool counted;		     /* a counter of its own, and what it has counted */
	uint64_t packets;
};

/* What the expressions of an element come to. */
struct rset_state {
	bool leaves;  /* one of them ends the rule */
	bool counted; /* one of them counts lookups */
	uint64_t packets;
};

struct rset_rule {
	uint64_t handle;
	char *comment; /* printable; NULL when it has none */
	struct rs_vec(struct rset_expr) exprs;
};

struct rset_chain {
	char *name;
	uint64_t handle;
	bool base;
	uint32_t hook;
	int32_t prio;
	uint32_t policy;
	struct rs_vec(struct rset_rule) rules;
	UT_hash_handle hh;
};

struct rset_elem {
	uint8_t *key; /* klen bytes, then klen of the end of a range, then dlen of data */
	uint32_t seq; /* as listed: the first of several that match wins */
	bool end;     /* the first key behind an interval */
	bool leaves;  /* an expression of the element ends the rule */
	bool counted;
	uint64_t packets; /* lookups that found it */
	char *comment;	  /* printable; NULL when it has none */
	struct rset_verdict verdict;
};

#define RSET_FIELDS 16

struct rset_set {
	char *name;
	uint32_t flags;	   /* NFT_SET_* */
	uint32_t key_type; /* data types of nft(8), six bits a field */
	uint32_t klen;
	uint32_t dlen; /* 0 without data; of a verdict: 0 */
	bool verdicts;
	bool ranges;		     /* concatenated ranges: every element has two keys */
	uint8_t fields[RSET_FIELDS]; /* bytes of each; in the key each begins at a whole word */
	size_t n_fields;
	bool filled;	/* by packets: a dynset names it */
	bool looked_up; /* by a lookup that may be asked in a walk */
	bool looked_up_inv;
	bool has_catchall;
	struct rset_elem catchall;
	struct rs_vec(struct rset_elem) elems; /* sorted by rset_index() */
	UT_hash_handle hh;
};

struct rset_counter {
	char *name;
	uint64_t packets;
	uint64_t bytes;
};

struct rs_ruleset {
	char *table;
	bool seen;    /* the table's own message came */
	bool dormant; /* its chains are not hooked in */
	struct rset_chain *chains;
	struct rset_set *sets;
	struct rs_vec(struct rset_chain *) bases; /* by hook, then in the order of running */
	struct rs_vec(struct rset_counter) counters;
	size_t n_rules;
	size_t n_elems;
};

/* Where in an element's bytes its data begins. */
static inline size_t rset_data_at(const struct rset_set *s)
{
	return (size_t)s->klen * (s->ranges ? 2 : 1);
}

/* ---- decoding -------------------------------------------------------------------------------- */

struct rs_ruleset *rset_new(const char *table);

/*
 * Take one message of the kernel (new table, chain, set, rule, elements); messages about other
 * tables are passed over. Order: table, chains, sets, rules, elements. -EOPNOTSUPP: not understood;
 * -EBADMSG: not what the kernel writes.
 */
int rset_take(struct rs_ruleset *r, const struct nlmsghdr *h, struct rs_err *err);

/* After the last message: sort, and refuse what only the whole shows. */
int rset_finish(struct rs_ruleset *r, struct rs_err *err);

struct rset_chain *rset_chain_find(const struct rs_ruleset *r, const char *name);
struct rset_set *rset_set_find(const struct rs_ruleset *r, const char *name);

/* Parts of rset_take(), a file each. */
int rset_take_rule(struct rs_ruleset *r, const struct nlmsghdr *h, struct rs_err *err);
int rset_take_set(struct rs_ruleset *r, const struct nlmsghdr *h, struct rs_err *err);
int rset_take_elems(struct rs_ruleset *r, const struct nlmsghdr *h, struct rs_err *err);
int rset_take_expr(struct rs_ruleset *r, const struct nlattr *nest, struct rset_expr *x,
		   struct rs_err *err);
void rset_expr_free(struct rset_expr *x);
void rset_set_free(struct rset_set *s);
/* nft(8)'s comment among the notes behind a rule or an element, printable; NULL: none. */
char *rset_comment(const struct nlattr *notes);

/* Sort the elements, so that rset_set_get() can search. */
void rset_index(struct rset_set *s);

/* The element that the kernel's lookup of key finds, else the catch-all element, else NULL. */
const struct rset_elem *rset_set_get(const struct rset_set *s, const uint8_t *key);

/* ---- walking --------------------------------------------------------------------------------- */

/* The bytes of a packet that its description gives; which ones, a bit each. */
struct rset_image {
	uint8_t link[14];
	uint8_t net[40];
	uint8_t trans[20];
	uint64_t link_known;
	uint64_t net_known;
	uint64_t trans_known;
};

void rset_image_make(struct rset_image *im, const struct rs_packet *p);

struct rset_regs {
	uint8_t b[RSET_REG_BYTES];
	struct rset_verdict verdict;
};

/* What expressions see of the packet, in one base chain. */
struct rset_view {
	const struct rs_packet *p;
	struct rset_image image;
	bool no_flow_yet; /* this hook's chain runs before conntrack */
	bool notrack;
	uint32_t mark;
	uint32_t ct_mark;
	bool marked;
	const char *log_prefix; /* of the last log statement; NULL when none ran */
	const char *counter;	/* of the last counter by name, in this rule */
	struct rs_walk *found;	/* takes what lookups find */
	size_t rule_found;	/* of them, in this rule */
	struct rset_regs regs;
};

/* Loads. Sets regs.verdict to NFT_BREAK where the packet has no such thing; an error: its
 * description does not say. */
int rset_load(struct rset_view *w, const struct rset_expr *x, struct rs_err *err);
void rset_store(struct rset_view *w, const struct rset_expr *x);
void rset_notrack(struct rset_view *w);

/* Run one expression. */
int rset_eval(struct rset_view *w, const struct rset_expr *x, struct rs_err *err);

/* Words for people. */
void rset_say_rule(struct rs_strbuf *b, const struct rset_rule *rule);
void rset_say_verdict(struct rs_strbuf *b, const struct rset_verdict *v);
const char *rset_meta_name(uint32_t key); /* NULL: this room does not know it */
const char *rset_ct_name(uint32_t key);

#endif
