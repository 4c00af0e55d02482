// SPDX-License-Identifier: Apache-2.0
/* rset_take.c - tables, chains and rules from netlink messages; what only the whole table shows. */
#include "ruleset/rset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "ruleset/rset_attr.h"

/* Newer than the headers that this is built with: the table stays when its owner dies. */
#define TABLE_PERSIST 0x4u

#define COMMENT_TYPE 0 /* of nft(8)'s notes behind a rule: type, length, text */

#define A RSET_A

struct rs_ruleset *rset_new(const char *table)
{
	struct rs_ruleset *r = rs_new(struct rs_ruleset);

	r->table = rs_strdup(table);
	return r;
}

static void rule_free(struct rset_rule *rule)
{
	for (size_t i = 0; i < rule->exprs.n; i++)
		rset_expr_free(&rule->exprs.v[i]);
	rs_vec_free(&rule->exprs);
	free(rule->comment);
}

static void chain_free(struct rset_chain *c)
{
	for (size_t i = 0; i < c->rules.n; i++)
		rule_free(&c->rules.v[i]);
	rs_vec_free(&c->rules);
	free(c->name);
	free(c);
}

void rs_ruleset_free(struct rs_ruleset *r)
{
	struct rset_chain *c, *next_chain;
	struct rset_set *s, *next_set;

	if (!r)
		return;
	HASH_ITER(hh, r->chains, c, next_chain) {
		HASH_DEL(r->chains, c);
		chain_free(c);
	}
	HASH_ITER(hh, r->sets, s, next_set) {
		HASH_DEL(r->sets, s);
		rset_set_free(s);
	}
	for (size_t i = 0; i < r->counters.n; i++)
		free(r->counters.v[i].name);
	rs_vec_free(&r->counters);
	rs_vec_free(&r->bases);
	free(r->table);
	free(r);
}

struct rset_chain *rset_chain_find(const struct rs_ruleset *r, const char *name)
{
	struct rset_chain *c;

	HASH_FIND(hh, r->chains, name, strlen(name), c);
	return c;
}

struct rset_set *rset_set_find(const struct rs_ruleset *r, const char *name)
{
	struct rset_set *s;

	HASH_FIND(hh, r->sets, name, strlen(name), s);
	return s;
}

/* ---- table and chains ------------------------------------------------------------------------ */

static int take_table(struct rs_ruleset *r, const struct nlmsghdr *h, struct rs_err *err)
{
	struct rset_in in;
	uint32_t flags;

	rset_open_msg(&in, h,
		      A(NFTA_TABLE_NAME) | A(NFTA_TABLE_FLAGS) | A(NFTA_TABLE_USE) |
			      A(NFTA_TABLE_HANDLE) | A(NFTA_TABLE_PAD) | A(NFTA_TABLE_USERDATA) |
			      A(NFTA_TABLE_OWNER),
		      "table", err);
	if (strcmp(rset_str(&in, NFTA_TABLE_NAME), r->table) != 0)
		return in.rc;
	flags = rset_u32_or(&in, NFTA_TABLE_FLAGS, 0);
	rset_flags(&in, flags, NFT_TABLE_F_DORMANT | NFT_TABLE_F_OWNER | TABLE_PERSIST, "flags");
	r->seen = true;
	r->dormant = flags & NFT_TABLE_F_DORMANT;
	return in.rc;
}

static void take_hook(struct rset_in *in, struct rset_chain *c)
{
	struct rset_in hook;

	rset_open(&hook, in->v[NFTA_CHAIN_HOOK], A(NFTA_HOOK_HOOKNUM) | A(NFTA_HOOK_PRIORITY),
		  "hook", in->err);
	c->base = true;
	c->hook = rset_u32(&hook, NFTA_HOOK_HOOKNUM);
	c->prio = (int32_t)rset_u32(&hook, NFTA_HOOK_PRIORITY);
	in->rc = in->rc ? in->rc : hook.rc;
	if (c->hook > NF_INET_POST_ROUTING)
		rset_refuse(in, EOPNOTSUPP, "hook %u is not understood", c->hook);
	c->policy = rset_u32_or(in, NFTA_CHAIN_POLICY, NF_ACCEPT);
	if (c->policy > NF_ACCEPT)
		rset_refuse(in, EOPNOTSUPP, "policy %u is not understood", c->policy);
}

/* A chain of type nat sees the first packet of a flow only and rewrites it. */
static void check_type(struct rset_in *in)
{
	const char *type = rset_str(in, NFTA_CHAIN_TYPE);

	if (!in->rc && strcmp(type, "filter") != 0 && strcmp(type, "route") != 0)
		rset_refuse(in, EOPNOTSUPP, "type %.*s is not understood", RSET_NAME, type);
}

static void take_chain_parts(struct rset_in *in, struct rset_chain *c)
{
	uint32_t flags = rset_u32_or(in, NFTA_CHAIN_FLAGS, 0);

	rset_flags(in, flags, NFT_CHAIN_BASE | NFT_CHAIN_BINDING, "flags");
	c->handle = rset_u64_or(in, NFTA_CHAIN_HANDLE, 0);
	if (!in->v[NFTA_CHAIN_HOOK])
		return;
	take_hook(in, c);
	check_type(in);
}

static int take_chain(struct rs_ruleset *r, const struct nlmsghdr *h, struct rs_err *err)
{
	struct rset_chain *c;
	struct rset_in in;
	const char *name;

	rset_open_msg(&in, h,
		      A(NFTA_CHAIN_TABLE) | A(NFTA_CHAIN_HANDLE) | A(NFTA_CHAIN_NAME) |
			      A(NFTA_CHAIN_HOOK) | A(NFTA_CHAIN_POLICY) | A(NFTA_CHAIN_USE) |
			      A(NFTA_CHAIN_TYPE) | A(NFTA_CHAIN_COUNTERS) | A(NFTA_CHAIN_PAD) |
			      A(NFTA_CHAIN_FLAGS) | A(NFTA_CHAIN_ID) | A(NFTA_CHAIN_USERDATA),
		      "chain", err);
	if (in.v[NFTA_CHAIN_TABLE] && strcmp(rset_str(&in, NFTA_CHAIN_TABLE), r->table) != 0)
		return 0; /* a dump of chains brings those of every table */
	name = rset_str(&in, NFTA_CHAIN_NAME);
	if (!in.rc && rset_chain_find(r, name))
		rset_refuse(&in, EBADMSG, "two of one name");
	c = rs_new(struct rset_chain);
	c->name = rs_strdup(name);
	take_chain_parts(&in, c);
	if (in.rc) {
		rs_err_wrap(err, "chain %.*s", RSET_NAME, name);
		chain_free(c);
		return in.rc;
	}
	HASH_ADD_KEYPTR(hh, r->chains, c->name, strlen(c->name), c);
	return 0;
}

/* ---- rules ----------------------------------------------------------------------------------- */

char *rset_comment(const struct nlattr *notes)
{
	const uint8_t *p = notes ? mnl_attr_get_payload(notes) : NULL;
	size_t left = notes ? mnl_attr_get_payload_len(notes) : 0;
	struct rs_strbuf b = { 0 };

	while (left >= 2 && left - 2 >= p[1]) {
		if (p[0] == COMMENT_TYPE) {
			rs_autofree char *raw = rs_strndup((const char *)p + 2, p[1]);

			rs_strbuf_puts_safe(&b, raw);
			return rs_strbuf_steal(&b);
		}
		left -= 2u + p[1];
		p += 2 + p[1];
	}
	return NULL;
}

static int take_exprs(struct rs_ruleset *r, const struct nlattr *list, struct rset_rule *rule,
		      struct rs_err *err)
{
	const struct nlattr *a;
	int rc = 0;

	if (!list)
		return 0;
	mnl_attr_for_each_nested(a, list)
	{
		if (!rc)
			rc = rset_take_expr(r, a, rs_vec_push(&rule->exprs), err);
	}
	return rc;
}

int rset_take_rule(struct rs_ruleset *r, const struct nlmsghdr *h, struct rs_err *err)
{
	struct rset_rule rule = { 0 };
	struct rset_chain *c;
	struct rset_in in;
	const char *name;

	/* No NFTA_RULE_COMPAT: a rule of iptables-nft is not understood. */
	rset_open_msg(&in, h,
		      A(NFTA_RULE_TABLE) | A(NFTA_RULE_CHAIN) | A(NFTA_RULE_HANDLE) |
			      A(NFTA_RULE_EXPRESSIONS) | A(NFTA_RULE_POSITION) |
			      A(NFTA_RULE_USERDATA) | A(NFTA_RULE_PAD) | A(NFTA_RULE_ID),
		      "rule", err);
	if (strcmp(rset_str(&in, NFTA_RULE_TABLE), r->table) != 0)
		return in.rc;
	name = rset_str(&in, NFTA_RULE_CHAIN);
	c = in.rc ? NULL : rset_chain_find(r, name);
	if (!c)
		rset_refuse(&in, EBADMSG, "of no chain of the name %.*s", RSET_NAME, name);
	rule.handle = rset_u64_or(&in, NFTA_RULE_HANDLE, 0);
	if (!in.rc)
		in.rc = take_exprs(r, in.v[NFTA_RULE_EXPRESSIONS], &rule, err);
	if (in.rc) {
		rule_free(&rule);
		return rs_err_wrap(err, "chain %.*s, rule handle %llu", RSET_NAME, name,
				   (unsigned long long)rule.handle);
	}
	rule.comment = rset_comment(in.v[NFTA_RULE_USERDATA]);
	*rs_vec_push(&c->rules) = rule;
	r->n_rules++;
	return 0;
}

/* ---- counters -------------------------------------------------------------------------------- */

/* Other objects of the table play no part until a rule refers to one, and is refused then. */
static int take_object(struct rs_ruleset *r, const struct nlmsghdr *h, struct rs_err *err)
{
	struct rset_counter *c;
	struct rset_in in, data;

	rset_open_msg(&in, h,
		      A(NFTA_OBJ_TABLE) | A(NFTA_OBJ_NAME) | A(NFTA_OBJ_TYPE) | A(NFTA_OBJ_DATA) |
			      A(NFTA_OBJ_USE) | A(NFTA_OBJ_HANDLE) | A(NFTA_OBJ_PAD) |
			      A(NFTA_OBJ_USERDATA),
		      "object", err);
	if (strcmp(rset_str(&in, NFTA_OBJ_TABLE), r->table) != 0 ||
	    rset_u32(&in, NFTA_OBJ_TYPE) != NFT_OBJECT_COUNTER)
		return in.rc;
	rset_open(&data, in.v[NFTA_OBJ_DATA],
		  A(NFTA_COUNTER_BYTES) | A(NFTA_COUNTER_PACKETS) | A(NFTA_COUNTER_PAD), "counter",
		  err);
	if (in.rc || data.rc)
		return in.rc ? in.rc : data.rc;
	c = rs_vec_push(&r->counters);
	c->name = rs_strdup(rset_str(&in, NFTA_OBJ_NAME));
	c->packets = rset_u64_or(&data, NFTA_COUNTER_PACKETS, 0);
	c->bytes = rset_u64_or(&data, NFTA_COUNTER_BYTES, 0);
	return in.rc ? in.rc : data.rc;
}

int rset_take(struct rs_ruleset *r, const struct nlmsghdr *h, struct rs_err *err)
{
	if (NFNL_SUBSYS_ID(h->nlmsg_type) != NFNL_SUBSYS_NFTABLES ||
	    h->nlmsg_len < NLMSG_LENGTH(sizeof(struct nfgenmsg)))
		return rs_err_set(err, EBADMSG, "a message of type %u", h->nlmsg_type);
	switch (NFNL_MSG_TYPE(h->nlmsg_type)) {
	case NFT_MSG_NEWTABLE:
		return take_table(r, h, err);
	case NFT_MSG_NEWCHAIN:
		return take_chain(r, h, err);
	case NFT_MSG_NEWSET:
		return rset_take_set(r, h, err);
	case NFT_MSG_NEWRULE:
		return rset_take_rule(r, h, err);
	case NFT_MSG_NEWSETELEM:
		return rset_take_elems(r, h, err);
	case NFT_MSG_NEWOBJ:
		return take_object(r, h, err);
	default:
		return rs_err_set(err, EBADMSG, "a message of type %u", h->nlmsg_type);
	}
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Of one priority the kernel runs the one first that was made last. */
static int base_cmp(const void *a, const void *b)
{
	const struct rset_chain *x = *(struct rset_chain *const *)a;
	const struct rset_chain *y = *(struct rset_chain *const *)b;

	if (x->hook != y->hook)
		return x->hook < y->hook ? -1 : 1;
	if (x->prio != y->prio)
		return x->prio < y->prio ? -1 : 1;
	return x->handle > y->handle ? -1 : x->handle < y->handle;
}

static int check_set(const struct rset_set *s, struct rs_err *err)
{
	/* Its content would change under the walk. */
	if (s->filled && s->looked_up)
		return rs_err_set(err, EOPNOTSUPP,
				  "set %.*s: filled and looked up by packets, is not understood",
				  RSET_NAME, s->name);
	/* Kernels differ. */
	if (s->looked_up_inv && s->has_catchall)
		return rs_err_set(err, EOPNOTSUPP,
				  "set %.*s: an inverted lookup with a catch-all element is not "
				  "understood",
				  RSET_NAME, s->name);
	return 0;
}

int rset_finish(struct rs_ruleset *r, struct rs_err *err)
{
	struct rset_chain *c, *next_chain;
	struct rset_set *s, *next_set;
	int rc = 0;

	HASH_ITER(hh, r->sets, s, next_set) {
		rset_index(s);
		if (!rc)
			rc = check_set(s, err);
	}
	r->bases.n = 0;
	HASH_ITER(hh, r->chains, c, next_chain) {
		if (c->base && !r->dormant)
			*rs_vec_push(&r->bases) = c;
	}
	if (r->bases.n)
		qsort(r->bases.v, r->bases.n, sizeof(*r->bases.v), base_cmp);
	return rc;
}
