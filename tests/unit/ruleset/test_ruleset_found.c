// SPDX-License-Identifier: Apache-2.0
/* test_ruleset_found.c - what a walk tells of the elements that it found, and of counters. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "ruleset/rset.h"

#define TYPE_IP4 7u
#define TYPE_IP6 8u
#define TYPE_PORT 13u
#define TYPE_MARK 19u
#define TYPE_LINK 20u

static struct rset_set *new_set(struct rs_ruleset *r, const char *name, uint32_t type,
				uint32_t klen, uint32_t dlen, uint32_t flags)
{
	struct rset_set *s = rs_new(struct rset_set);

	s->name = rs_strdup(name);
	s->key_type = type;
	s->klen = klen;
	s->dlen = dlen;
	s->flags = flags;
	HASH_ADD_KEYPTR(hh, r->sets, s->name, strlen(s->name), s);
	return s;
}

static void add(struct rset_set *s, const void *key, const void *data, const char *comment)
{
	struct rset_elem *e = rs_vec_push(&s->elems);

	memset(e, 0, sizeof(*e));
	e->key = rs_calloc(2ul * s->klen + s->dlen, 1);
	memcpy(e->key, key, s->klen);
	if (data)
		memcpy(e->key + rset_data_at(s), data, s->dlen);
	e->comment = rs_strdup(comment);
}

static struct rset_chain *new_base(struct rs_ruleset *r)
{
	struct rset_chain *c = rs_new(struct rset_chain);

	c->name = rs_strdup("base");
	c->base = true;
	c->hook = NF_INET_LOCAL_IN;
	c->policy = NF_ACCEPT;
	HASH_ADD_KEYPTR(hh, r->chains, c->name, strlen(c->name), c);
	return c;
}

static struct rset_expr *expr(struct rset_rule *rule, enum rset_op op)
{
	struct rset_expr *x = rs_vec_push(&rule->exprs);

	memset(x, 0, sizeof(*x));
	x->op = op;
	x->sreg = x->dreg = RSET_NO_REG;
	return x;
}

static struct rset_rule *new_rule(struct rset_chain *c, uint64_t handle)
{
	struct rset_rule *rule = rs_vec_push(&c->rules);

	memset(rule, 0, sizeof(*rule));
	rule->handle = handle;
	return rule;
}

/* The destination, looked up in s. */
static void look_up(struct rset_rule *rule, struct rset_set *s)
{
	struct rset_expr *x = expr(rule, RSET_PAYLOAD);

	x->key = NFT_PAYLOAD_NETWORK_HEADER;
	x->off = 16;
	x->len = 4;
	x->dreg = RSET_FIRST;
	x = expr(rule, RSET_LOOKUP);
	x->set = s;
	x->sreg = RSET_FIRST;
}

static void verdict(struct rset_rule *rule, int code)
{
	struct rset_expr *x = expr(rule, RSET_IMMEDIATE);

	x->dreg = RSET_VERDICT;
	x->verdict.code = code;
}

static struct rs_packet packet(void)
{
	return (struct rs_packet){ .src = { RS_AF_IP4, { 10, 0, 0, 1 } },
				   .dst = { RS_AF_IP4, { 10, 0, 0, 9 } },
				   .proto = 6,
				   .ct_state = RS_CT_INVALID };
}

static struct rs_walk walk(struct rs_ruleset *r)
{
	struct rs_packet p = packet();
	rs_auto_err err = { 0 };
	struct rs_walk w;

	assert_int_equal(rset_finish(r, &err), 0);
	assert_int_equal(rs_ruleset_walk(r, RS_HOOK_INPUT, &p, &w, NULL, NULL, &err), 0);
	return w;
}

static const uint8_t nine[] = { 10, 0, 0, 9 };

/* A rule that found something and then did not match decided nothing: it is not told. */
static void test_found_of_matching_rules(void **state)
{
	struct rs_ruleset *r = rset_new("x");
	struct rset_set *a = new_set(r, "a", TYPE_IP4, 4, 0, 0),
			*b = new_set(r, "b", TYPE_IP4, 4, 0, 0);
	struct rset_chain *base = new_base(r);
	struct rset_rule *rule = new_rule(base, 1);
	struct rs_element e;
	struct rs_walk w;

	(void)state;
	add(a, nine, NULL, NULL);
	add(b, nine, NULL, "shop/db");
	b->elems.v[0].counted = true;
	b->elems.v[0].packets = 12;
	look_up(rule, a);
	expr(rule, RSET_LIMIT)->inv = true; /* a first packet does not reach it */
	verdict(rule, NF_ACCEPT);
	rule = new_rule(base, 2);
	look_up(rule, b);
	expr(rule, RSET_COUNTER)->text = rs_strdup("n_deny");
	verdict(rule, NF_DROP);
	w = walk(r);
	assert_false(w.accept);
	assert_int_equal(w.handle, 2);
	assert_string_equal(w.counter, "n_deny");
	assert_int_equal(w.n_found, 1);
	assert_true(rs_walk_found(&w, 0, &e));
	assert_string_equal(e.set, "b");
	assert_string_equal(e.key, "10.0.0.9");
	assert_string_equal(e.value, "");
	assert_string_equal(e.comment, "shop/db");
	assert_true(e.counted);
	assert_int_equal(e.packets, 12);
	assert_false(rs_walk_found(&w, 1, &e));
	rs_ruleset_free(r);
}

/* The counter of a rule that did not decide is not the reason. */
static void test_counter_of_the_deciding_rule(void **state)
{
	struct rs_ruleset *r = rset_new("x");
	struct rset_chain *base = new_base(r);
	struct rset_rule *rule = new_rule(base, 1);
	struct rset_counter *c = rs_vec_push(&r->counters);
	uint64_t packets = 0, bytes = 0;

	(void)state;
	*c = (struct rset_counter){ .name = rs_strdup("n_logged"), .packets = 7, .bytes = 70 };
	expr(rule, RSET_COUNTER)->text = rs_strdup("n_logged");
	rule = new_rule(base, 2);
	verdict(rule, NF_DROP);
	assert_string_equal(walk(r).counter, "");
	assert_true(rs_ruleset_counter(r, "n_logged", &packets, &bytes));
	assert_int_equal(packets, 7);
	assert_int_equal(bytes, 70);
	assert_false(rs_ruleset_counter(r, "n_other", &packets, &bytes));
	rs_ruleset_free(r);
}

/* More than are kept: the first ones stay, and nothing is written behind them. */
static void test_no_more_than_are_kept(void **state)
{
	struct rs_ruleset *r = rset_new("x");
	struct rset_set *s = new_set(r, "s", TYPE_IP4, 4, 0, 0);
	struct rset_chain *base = new_base(r);
	struct rs_element e;
	struct rs_walk w;

	(void)state;
	add(s, nine, NULL, NULL);
	for (size_t i = 0; i < RS_WALK_FOUND + 10; i++)
		look_up(new_rule(base, i + 1), s);
	w = walk(r);
	assert_int_equal(w.n_found, RS_WALK_FOUND);
	assert_true(rs_walk_found(&w, RS_WALK_FOUND - 1, &e));
	assert_false(rs_walk_found(&w, RS_WALK_FOUND, &e));
	rs_ruleset_free(r);
}

static void expect_key(struct rset_set *s, size_t i, const char *key, const char *value)
{
	struct rs_walk w = { .n_found = 1 };
	struct rs_element e;

	w.found[0].set = s;
	w.found[0].elem = i == SIZE_MAX ? &s->catchall : &s->elems.v[i];
	assert_true(rs_walk_found(&w, 0, &e));
	assert_string_equal(e.key, key);
	assert_string_equal(e.value, value);
}

static void test_keys_in_words(void **state)
{
	static const uint8_t six[16] = { 0xfd, [15] = 1 }, port[4] = { 0x15, 0x38 };
	struct rs_ruleset *r = rset_new("x");
	struct rset_set *cells = new_set(r, "cells", TYPE_MARK << 12 | TYPE_MARK << 6 | TYPE_MARK,
					 12, 4, NFT_SET_MAP);
	struct rset_set *guard = new_set(r, "guard6", TYPE_LINK << 6 | TYPE_IP6, 20, 0, 0);
	struct rset_set *odd = new_set(r, "odd", 3, 4, 3, NFT_SET_MAP);
	struct rset_set *ports = new_set(r, "ports", TYPE_PORT, 2, 0, 0);
	struct rset_set *short_key = new_set(r, "short", TYPE_IP4 << 6 | TYPE_IP4, 4, 0, 0);
	uint32_t cell[3] = { 1, 5, 900 }, profile = 3, link[5] = { 7 };

	(void)state;
	memcpy(&link[1], six, sizeof(six));
	add(cells, cell, &profile, NULL);
	add(guard, link, NULL, NULL);
	add(odd, nine, "abc", NULL);
	add(ports, port, NULL, NULL);
	add(short_key, nine, NULL, NULL);
	expect_key(cells, 0, "1 . 5 . 900", "3");
	expect_key(guard, 0, "7 . fd00::1", "");
	expect_key(odd, 0, "0x0a000009", "0x616263"); /* a type that is not known here */
	expect_key(ports, 0, "5432", "");
	expect_key(short_key, 0, "0x0a000009", ""); /* its types do not fill the key */
	odd->has_catchall = true;
	odd->catchall.key = rs_calloc(11, 1);
	expect_key(odd, SIZE_MAX, "*", "0x000000");
	rs_ruleset_free(r);
}

static void test_intervals_in_words(void **state)
{
	static const uint8_t a[] = { 10, 0, 0, 0 }, b[] = { 10, 0, 1, 0 }, c[] = { 10, 0, 1, 1 };
	struct rs_ruleset *r = rset_new("x");
	struct rset_set *s = new_set(r, "rng4", TYPE_IP4, 4, 0, NFT_SET_INTERVAL);

	(void)state;
	add(s, a, NULL, NULL);
	add(s, b, NULL, NULL);
	add(s, c, NULL, NULL);
	expect_key(s, 0, "10.0.0.0-10.0.0.255", "");
	expect_key(s, 1, "10.0.1.0", "");
	expect_key(s, 2, "10.0.1.1-255.255.255.255", "");
	rs_ruleset_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found_of_matching_rules),
		cmocka_unit_test(test_counter_of_the_deciding_rule),
		cmocka_unit_test(test_no_more_than_are_kept),
		cmocka_unit_test(test_keys_in_words),
		cmocka_unit_test(test_intervals_in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
