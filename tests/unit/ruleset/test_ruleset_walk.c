// SPDX-License-Identifier: Apache-2.0
/*
 * test_ruleset_walk.c - tables made of hand-written netlink messages: what the reading half refuses and
 * what it survives, and the walks that no nft script can bring about.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "ruleset/rset.h"

#define MAX_MESSAGES 64

/* Messages one behind the other, so that the hostile tests can spoil any byte of them. */
static struct {
	char buf[65536] __attribute__((aligned(8)));
	size_t at[MAX_MESSAGES + 1];
	size_t n;
	struct nlmsghdr *open;
	struct nlattr *exprs;
} m;

static void begin(uint16_t type)
{
	struct nfgenmsg *g;

	m.open = mnl_nlmsg_put_header(m.buf + m.at[m.n]);
	m.open->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	g = mnl_nlmsg_put_extra_header(m.open, sizeof(*g));
	g->nfgen_family = NFPROTO_INET;
}

static void end(void)
{
	assert_true(m.n < MAX_MESSAGES);
	m.at[m.n + 1] = m.at[m.n] + MNL_ALIGN(m.open->nlmsg_len);
	m.n++;
}

static void u32(uint16_t type, uint32_t v)
{
	mnl_attr_put_u32(m.open, type, htonl(v));
}

static void table(void)
{
	memset(&m, 0, sizeof(m));
	begin(NFT_MSG_NEWTABLE);
	mnl_attr_put_strz(m.open, NFTA_TABLE_NAME, "x");
	u32(NFTA_TABLE_FLAGS, 0);
	end();
}

static void chain(const char *name, bool base, uint32_t policy)
{
	begin(NFT_MSG_NEWCHAIN);
	mnl_attr_put_strz(m.open, NFTA_CHAIN_TABLE, "x");
	mnl_attr_put_strz(m.open, NFTA_CHAIN_NAME, name);
	if (base) {
		struct nlattr *n = mnl_attr_nest_start(m.open, NFTA_CHAIN_HOOK);

		u32(NFTA_HOOK_HOOKNUM, NF_INET_LOCAL_IN);
		u32(NFTA_HOOK_PRIORITY, 0);
		mnl_attr_nest_end(m.open, n);
		u32(NFTA_CHAIN_POLICY, policy);
		mnl_attr_put_strz(m.open, NFTA_CHAIN_TYPE, "filter");
	}
	end();
}

static void rule(const char *in)
{
	begin(NFT_MSG_NEWRULE);
	mnl_attr_put_strz(m.open, NFTA_RULE_TABLE, "x");
	mnl_attr_put_strz(m.open, NFTA_RULE_CHAIN, in);
	mnl_attr_put_u64(m.open, NFTA_RULE_HANDLE, htobe64(100 + m.n));
	m.exprs = mnl_attr_nest_start(m.open, NFTA_RULE_EXPRESSIONS);
}

static void rule_end(void)
{
	mnl_attr_nest_end(m.open, m.exprs);
	end();
}

static struct nlattr *outer;

static struct nlattr *expr(const char *name)
{
	outer = mnl_attr_nest_start(m.open, NFTA_LIST_ELEM);
	mnl_attr_put_strz(m.open, NFTA_EXPR_NAME, name);
	return mnl_attr_nest_start(m.open, NFTA_EXPR_DATA);
}

static void expr_end(struct nlattr *data)
{
	mnl_attr_nest_end(m.open, data);
	mnl_attr_nest_end(m.open, outer);
}

static void value(uint16_t type, const void *v, size_t len)
{
	struct nlattr *n = mnl_attr_nest_start(m.open, type);

	mnl_attr_put(m.open, NFTA_DATA_VALUE, len, v);
	mnl_attr_nest_end(m.open, n);
}

static void verdict_data(uint16_t type, int code, const char *to)
{
	struct nlattr *n = mnl_attr_nest_start(m.open, type);
	struct nlattr *v = mnl_attr_nest_start(m.open, NFTA_DATA_VERDICT);

	u32(NFTA_VERDICT_CODE, (uint32_t)code);
	if (to)
		mnl_attr_put_strz(m.open, NFTA_VERDICT_CHAIN, to);
	mnl_attr_nest_end(m.open, v);
	mnl_attr_nest_end(m.open, n);
}

static void verdict(int code, const char *to)
{
	struct nlattr *e = expr("immediate");

	u32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	verdict_data(NFTA_IMMEDIATE_DATA, code, to);
	expr_end(e);
}

static void meta(uint32_t key, uint32_t reg)
{
	struct nlattr *e = expr("meta");

	u32(NFTA_META_KEY, key);
	u32(NFTA_META_DREG, reg);
	expr_end(e);
}

static void cmp(uint32_t reg, uint32_t op, const void *v, size_t len)
{
	struct nlattr *e = expr("cmp");

	u32(NFTA_CMP_SREG, reg);
	u32(NFTA_CMP_OP, op);
	value(NFTA_CMP_DATA, v, len);
	expr_end(e);
}

static void imm(uint32_t reg, const void *v, size_t len)
{
	struct nlattr *e = expr("immediate");

	u32(NFTA_IMMEDIATE_DREG, reg);
	value(NFTA_IMMEDIATE_DATA, v, len);
	expr_end(e);
}

static void set(const char *name, uint32_t flags, uint32_t klen)
{
	begin(NFT_MSG_NEWSET);
	mnl_attr_put_strz(m.open, NFTA_SET_TABLE, "x");
	mnl_attr_put_strz(m.open, NFTA_SET_NAME, name);
	u32(NFTA_SET_FLAGS, flags);
	u32(NFTA_SET_KEY_LEN, klen);
	if (flags & NFT_SET_MAP) {
		u32(NFTA_SET_DATA_TYPE, NFT_DATA_VERDICT);
		u32(NFTA_SET_DATA_LEN, 16);
	}
	end();
}

static void elem(const char *in, const char *key, uint32_t flags, int code, const char *to)
{
	struct nlattr *list, *one;

	begin(NFT_MSG_NEWSETELEM);
	mnl_attr_put_strz(m.open, NFTA_SET_ELEM_LIST_TABLE, "x");
	mnl_attr_put_strz(m.open, NFTA_SET_ELEM_LIST_SET, in);
	list = mnl_attr_nest_start(m.open, NFTA_SET_ELEM_LIST_ELEMENTS);
	one = mnl_attr_nest_start(m.open, NFTA_LIST_ELEM);
	value(NFTA_SET_ELEM_KEY, key, 4);
	if (flags)
		u32(NFTA_SET_ELEM_FLAGS, flags);
	if (code != NFT_BREAK)
		verdict_data(NFTA_SET_ELEM_DATA, code, to);
	mnl_attr_nest_end(m.open, one);
	mnl_attr_nest_end(m.open, list);
	end();
}

static void lookup(const char *in, uint32_t sreg, bool map)
{
	struct nlattr *e = expr("lookup");

	mnl_attr_put_strz(m.open, NFTA_LOOKUP_SET, in);
	u32(NFTA_LOOKUP_SREG, sreg);
	if (map)
		u32(NFTA_LOOKUP_DREG, NFT_REG_VERDICT);
	u32(NFTA_LOOKUP_FLAGS, 0);
	expr_end(e);
}

/* ---- reading and walking what was written ----------------------------------------------------- */

static int load(struct rs_ruleset **out, struct rs_err *err)
{
	int rc = 0;

	*out = rset_new("x");
	for (size_t i = 0; i < m.n && !rc; i++)
		rc = rset_take(*out, (const void *)(m.buf + m.at[i]), err);
	return rc ? rc : rset_finish(*out, err);
}

static struct rs_packet packet(void)
{
	struct rs_packet p = {
		.proto = 6, .ct_state = RS_CT_NEW, .ct_proto = 6, .iif = 3, .ttl = 64
	};

	rs_addr_parse("10.0.0.1", &p.src, NULL);
	rs_addr_parse("10.0.0.9", &p.dst, NULL);
	p.orig.src = p.reply.dst = p.src;
	p.orig.dst = p.reply.src = p.dst;
	return p;
}

static struct rs_walk walk_of(struct rs_packet p)
{
	rs_auto_err err = { 0 };
	struct rs_ruleset *r;
	struct rs_walk w;

	if (load(&r, &err) || rs_ruleset_walk(r, RS_HOOK_INPUT, &p, &w, NULL, NULL, &err))
		fail_msg("%s", rs_err_str(&err));
	rs_ruleset_free(r);
	return w;
}

static void refused(int num, const char *word)
{
	rs_auto_err err = { 0 };
	struct rs_ruleset *r;

	assert_int_equal(load(&r, &err), -num);
	if (!strstr(rs_err_str(&err), word))
		fail_msg("no \"%s\" in: %s", word, rs_err_str(&err));
	rs_ruleset_free(r);
}

/* ---- tests ------------------------------------------------------------------------------------- */

/* depth jumps, then an accept. */
static struct rs_walk walk_deep(int depth)
{
	char name[16], next[16];

	table();
	chain("base", true, NF_ACCEPT);
	for (int i = 0; i < depth; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		chain(name, false, 0);
	}
	rule("base");
	verdict(NFT_JUMP, "c0");
	rule_end();
	for (int i = 0; i < depth; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		snprintf(next, sizeof(next), "c%d", i + 1);
		rule(name);
		if (i + 1 < depth)
			verdict(NFT_JUMP, next);
		else
			verdict(NF_ACCEPT, NULL);
		rule_end();
	}
	return walk_of(packet());
}

static void test_depth(void **state)
{
	(void)state;
	assert_true(walk_deep(16).accept);
	assert_false(walk_deep(17).accept); /* the stack holds 16 */
}

static void test_loop_ends(void **state)
{
	struct rs_packet p = packet();
	rs_auto_err err = { 0 };
	struct rs_ruleset *r;
	struct rs_walk w;

	(void)state;
	table();
	chain("base", true, NF_ACCEPT);
	chain("a", false, 0);
	rule("base");
	verdict(NFT_GOTO, "a");
	rule_end();
	rule("a");
	verdict(NFT_GOTO, "a");
	rule_end();
	assert_int_equal(load(&r, &err), 0);
	assert_int_equal(rs_ruleset_walk(r, RS_HOOK_INPUT, &p, &w, NULL, NULL, &err), -ELOOP);
	rs_ruleset_free(r);
}

/* One byte loaded into a register clears the other three of its word. */
static void test_short_load_clears(void **state)
{
	static const uint8_t ones[16] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
					  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	static const uint8_t want[8] = { 6, 0, 0, 0, 0xff, 0xff, 0xff, 0xff };

	(void)state;
	table();
	chain("base", true, NF_DROP);
	rule("base");
	imm(NFT_REG_1, ones, sizeof(ones));
	meta(NFT_META_L4PROTO, NFT_REG32_00); /* the first word of NFT_REG_1 */
	cmp(NFT_REG_1, NFT_CMP_EQ, want, sizeof(want));
	verdict(NF_ACCEPT, NULL);
	rule_end();
	assert_true(walk_of(packet()).accept);
}

/* What one rule loads is there in the next one and in a chain behind a jump. */
static void test_registers_stay(void **state)
{
	static const uint8_t v[4] = { 1, 2, 3, 4 };

	(void)state;
	table();
	chain("base", true, NF_DROP);
	chain("a", false, 0);
	rule("base");
	imm(NFT_REG32_15, v, 4);
	rule_end();
	rule("base");
	verdict(NFT_JUMP, "a");
	rule_end();
	rule("a");
	cmp(NFT_REG32_15, NFT_CMP_EQ, v, 4);
	verdict(NF_ACCEPT, NULL);
	rule_end();
	assert_true(walk_of(packet()).accept);
}

static void test_no_link_no_group(void **state)
{
	struct rs_packet p = packet();
	uint32_t zero = 0;

	(void)state;
	table();
	chain("base", true, NF_DROP);
	rule("base");
	meta(NFT_META_IIFGROUP, NFT_REG_1);
	cmp(NFT_REG_1, NFT_CMP_EQ, &zero, 4);
	verdict(NF_ACCEPT, NULL);
	rule_end();
	assert_true(walk_of(p).accept);
	p.iif = 0;
	assert_false(walk_of(p).accept);
}

/* [10.0.0.0, 10.0.0.9) and [10.0.0.9, 10.0.1.0), listed in any order. */
static void intervals(bool both)
{
	table();
	chain("base", true, NF_DROP);
	set("s", NFT_SET_INTERVAL | NFT_SET_MAP, 4);
	rule("base");
	{
		struct nlattr *e = expr("payload");

		u32(NFTA_PAYLOAD_DREG, NFT_REG_1);
		u32(NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
		u32(NFTA_PAYLOAD_OFFSET, 16);
		u32(NFTA_PAYLOAD_LEN, 4);
		expr_end(e);
	}
	lookup("s", NFT_REG_1, true);
	rule_end();
	if (both) {
		elem("s", "\x0a\0\1\0", NFT_SET_ELEM_INTERVAL_END, NFT_BREAK, NULL);
		elem("s", "\x0a\0\0\x09", 0, NF_ACCEPT, NULL);
	}
	elem("s", "\x0a\0\0\x09", NFT_SET_ELEM_INTERVAL_END, NFT_BREAK, NULL);
	elem("s", "\x0a\0\0\0", 0, NF_ACCEPT, NULL);
}

static void test_interval_end(void **state)
{
	struct rs_packet p = packet();

	(void)state;
	intervals(false);
	assert_false(walk_of(p).accept); /* 10.0.0.9 is the first behind */
	p.dst.b[3] = 8;
	assert_true(walk_of(p).accept);
	p.dst.b[3] = 0;
	assert_true(walk_of(p).accept);
	p.dst.b[0] = 9;
	assert_false(walk_of(p).accept);
}

static void test_end_and_start_at_one_key(void **state)
{
	(void)state;
	intervals(true);
	assert_true(walk_of(packet()).accept);
}

static void test_unknown_attribute(void **state)
{
	struct nlattr *e;

	(void)state;
	table();
	chain("base", true, NF_ACCEPT);
	rule("base");
	e = expr("cmp");
	u32(NFTA_CMP_SREG, NFT_REG_1);
	u32(NFTA_CMP_OP, NFT_CMP_EQ);
	u32(29, 1);
	value(NFTA_CMP_DATA, "abcd", 4);
	expr_end(e);
	rule_end();
	refused(EOPNOTSUPP, "cmp: attribute 29 is not understood");
}

static void test_unknown_expression(void **state)
{
	(void)state;
	table();
	chain("base", true, NF_ACCEPT);
	rule("base");
	expr_end(expr("wormhole"));
	rule_end();
	refused(EOPNOTSUPP, "chain base, rule handle 102: expression wormhole is not understood");
}

static void test_unknown_flags(void **state)
{
	struct nlattr *e;

	(void)state;
	table();
	chain("base", true, NF_ACCEPT);
	set("s", 0x8000, 4);
	refused(EOPNOTSUPP, "flags 0x8000");
	table();
	chain("base", true, NF_ACCEPT);
	set("s", 0, 4);
	rule("base");
	e = expr("lookup");
	mnl_attr_put_strz(m.open, NFTA_LOOKUP_SET, "s");
	u32(NFTA_LOOKUP_SREG, NFT_REG_1);
	u32(NFTA_LOOKUP_FLAGS, 2);
	expr_end(e);
	rule_end();
	refused(EOPNOTSUPP, "lookup: flags 0x2");
}

static void test_bad_registers(void **state)
{
	static const uint32_t regs[] = { 5, 7, 24, 0xffffffff, NFT_REG_VERDICT };
	uint8_t v[20] = { 0 };

	(void)state;
	for (size_t i = 0; i < RS_ARRAY_SIZE(regs); i++) {
		table();
		chain("base", true, NF_ACCEPT);
		rule("base");
		cmp(regs[i], NFT_CMP_EQ, v, 4);
		rule_end();
		refused(EBADMSG, "register");
	}
	table();
	chain("base", true, NF_ACCEPT);
	rule("base");
	cmp(NFT_REG_4, NFT_CMP_EQ, v, sizeof(v)); /* four words are left there */
	rule_end();
	refused(EBADMSG, "register 4 does not hold 20 bytes");
}

static void test_missing_targets(void **state)
{
	(void)state;
	table();
	chain("base", true, NF_ACCEPT);
	rule("base");
	verdict(NFT_JUMP, "nowhere");
	rule_end();
	refused(EBADMSG, "nowhere");
	table();
	chain("base", true, NF_ACCEPT);
	rule("base");
	verdict(3, NULL); /* NF_QUEUE */
	rule_end();
	refused(EOPNOTSUPP, "code 3");
}

static void test_bad_packets(void **state)
{
	struct rs_packet p = packet();
	rs_auto_err err = { 0 };
	struct rs_ruleset *r;
	struct rs_walk w;

	(void)state;
	table();
	assert_int_equal(load(&r, &err), 0);
	p.dst.family = 6;
	assert_int_equal(rs_ruleset_walk(r, RS_HOOK_INPUT, &p, &w, NULL, NULL, &err), -EINVAL);
	p = packet();
	p.ct_state = RS_CT_NEW | RS_CT_ESTABLISHED;
	assert_int_equal(rs_ruleset_walk(r, RS_HOOK_INPUT, &p, &w, NULL, NULL, &err), -EINVAL);
	p = packet();
	p.reply.src.family = 0;
	assert_int_equal(rs_ruleset_walk(r, RS_HOOK_INPUT, &p, &w, NULL, NULL, &err), -EINVAL);
	rs_ruleset_free(r);
}

/* A table with a bit of everything, for the two tests below. */
static void everything(void)
{
	uint32_t mark = 7;

	intervals(true);
	chain("a", false, 0);
	rule("a");
	meta(NFT_META_MARK, NFT_REG32_03);
	cmp(NFT_REG32_03, NFT_CMP_GTE, &mark, 4);
	expr_end(expr("counter"));
	verdict(NFT_RETURN, NULL);
	rule_end();
	rule("base");
	verdict(NFT_JUMP, "a");
	rule_end();
}

static uint32_t draw(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* Whatever a message holds: an error or a table that can be walked. The sanitized build watches. */
static void test_spoilt_messages(void **state)
{
	static char clean[sizeof(m.buf)];
	struct rs_packet p = packet();
	size_t len, taken = 0, refusals = 0;
	uint32_t seed = 5;

	(void)state;
	everything();
	len = m.at[m.n];
	memcpy(clean, m.buf, len);
	for (int i = 0; i < 20000; i++) {
		struct rs_ruleset *r;
		struct rs_walk w;

		for (uint32_t k = draw(&seed) % 4 + 1; k; k--) {
			size_t msg = draw(&seed) % m.n, from = m.at[msg] + sizeof(struct nlmsghdr);

			/* The kernel's own lengths of messages are true; all behind them is not. */
			m.buf[from + draw(&seed) % (m.at[msg + 1] - from)] ^=
				(char)(draw(&seed) % 3 ? 1u << draw(&seed) % 8 : draw(&seed));
		}
		if (!load(&r, NULL)) {
			taken++;
			rs_ruleset_walk(r, RS_HOOK_INPUT, &p, &w, NULL, NULL, NULL);
		} else {
			refusals++;
		}
		rs_ruleset_free(r);
		memcpy(m.buf, clean, len);
	}
	assert_true(taken > 100 && refusals > 100);
}

static void test_cut_messages(void **state)
{
	(void)state;
	everything();
	for (size_t i = 0; i < m.n; i++) {
		struct nlmsghdr *h = (void *)(m.buf + m.at[i]);
		uint32_t whole = h->nlmsg_len;

		for (h->nlmsg_len = sizeof(*h); h->nlmsg_len < whole; h->nlmsg_len += 4) {
			struct rs_ruleset *r;
			/* On the heap, with nothing behind it. */
			rs_autofree void *copy = rs_memdup(h, h->nlmsg_len);

			r = rset_new("x");
			for (size_t k = 0; k < i; k++)
				assert_int_equal(rset_take(r, (void *)(m.buf + m.at[k]), NULL), 0);
			rset_take(r, copy, NULL);
			rs_ruleset_free(r);
		}
		h->nlmsg_len = whole;
	}
}

static void count_rule(void *ctx, const char *c, uint64_t handle, const char *text,
		       const char *outcome)
{
	struct rs_strbuf *b = ctx;

	rs_strbuf_printf(b, "%s %llu %s: %s\n", c, (unsigned long long)handle, text, outcome);
}

static void test_trace(void **state)
{
	rs_auto_strbuf b = { 0 };
	struct rs_packet p = packet();
	struct rs_ruleset *r;
	struct rs_walk w;

	(void)state;
	p.dst.b[0] = 99;
	everything();
	assert_int_equal(load(&r, NULL), 0);
	assert_int_equal(rs_ruleset_walk(r, RS_HOOK_INPUT, &p, &w, count_rule, &b, NULL), 0);
	rs_ruleset_free(r);
	assert_string_equal(rs_strbuf_str(&b),
			    "base 103 [ payload 4b @ network header + 16 -> r0 ] "
			    "[ lookup r0 @s -> verdict ]: break\n"
			    "base 110 [ jump a ]: jump a\n"
			    "a 109 [ meta mark -> r3 ] [ cmp r3 >= 0x07000000 ] [ counter ] "
			    "[ return ]: break\n");
	assert_int_equal(w.rules_seen, 3);
	assert_true(w.by_policy);
	assert_string_equal(w.chain, "base");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_loop_ends),
		cmocka_unit_test(test_short_load_clears),
		cmocka_unit_test(test_registers_stay),
		cmocka_unit_test(test_no_link_no_group),
		cmocka_unit_test(test_interval_end),
		cmocka_unit_test(test_end_and_start_at_one_key),
		cmocka_unit_test(test_unknown_attribute),
		cmocka_unit_test(test_unknown_expression),
		cmocka_unit_test(test_unknown_flags),
		cmocka_unit_test(test_bad_registers),
		cmocka_unit_test(test_missing_targets),
		cmocka_unit_test(test_bad_packets),
		cmocka_unit_test(test_spoilt_messages),
		cmocka_unit_test(test_cut_messages),
		cmocka_unit_test(test_trace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
