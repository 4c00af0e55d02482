/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reach.h - what one address may open at another, over all protocols and ports: both halves of
 * the IR put together. For matrices and differences, which ask for whole worlds.
 *
 * Addresses of one key are alike: they have the same groups and the same class, so the same row and
 * the same column. A caller folds endpoints by key and asks once for each pair of keys: one pair by
 * rs_ir_reach(), a whole world by a table, whose answers are small numbers.
 */
#ifndef RIPSTOP_POLICY_REACH_H
#define RIPSTOP_POLICY_REACH_H

#include <ripstop/ir.h>

/* An allowed range; proto is the IP protocol number, ports in host order, both inclusive (0 to 0
 * where the protocol has none). proto RS_REACH_ANY: every protocol, ICMP included; it stands alone,
 * from 0 to 65535. */
#define RS_REACH_ANY 0u

struct rs_reach_port {
	uint8_t proto;
	uint16_t lo, hi;
};

/* Sorted, disjoint, merged where they touch. */
struct rs_reach {
	struct rs_reach_port *v;
	size_t n;
	bool out_isolated; /* a policy isolates the client's egress */
	bool in_isolated;
};

struct rs_reach_key {
	uint32_t out_group; /* UINT32_MAX: not a local end */
	uint32_t in_group;
	uint32_t cls; /* RS_CLASS_WORLD: no exact class */
	uint32_t range_cls;
};

void rs_reach_key(const struct rs_ir *ir, const struct rs_addr *a, struct rs_reach_key *out);
/* Order of keys, for sorting and folding. */
int rs_reach_key_cmp(const struct rs_reach_key *a, const struct rs_reach_key *b);

/* Between two different ends, from their keys (a pod reaches itself always: the caller's to say).
 * A half whose end is not local allows everything. Release with rs_reach_clear(). */
void rs_ir_reach(const struct rs_ir *ir, const struct rs_reach_key *client,
		 const struct rs_reach_key *server, struct rs_reach *out);
void rs_reach_clear(struct rs_reach *r);
/* The ports alone: who isolates whom is not compared. */
bool rs_reach_equal(const struct rs_reach *a, const struct rs_reach *b);
/* Whether (proto, port) is among them; port 0 for protocols without ports. */
bool rs_reach_allows(const struct rs_reach *r, uint8_t proto, uint16_t port);

/* "any", "tcp/80,443,8000-8100 udp" (udp: every port), "none"; allocated. */
char *rs_reach_str(const struct rs_reach *r);

/* ---- whole worlds ---------------------------------------------------------------------------- */

/*
 * A table answers for each pair of n keys with the number of a reach; equal numbers are equal ports
 * and the other way round. RS_REACH_NONE and RS_REACH_ALL are fixed. A row costs some n steps plus
 * the cells of one group and one class, and the table's memory does not grow with the pairs.
 */
struct rs_reach_table;

#define RS_REACH_NONE 0u
#define RS_REACH_ALL 1u

/* ir must outlive the table; keys are copied. */
struct rs_reach_table *rs_reach_table_new(const struct rs_ir *ir, const struct rs_reach_key *keys,
					  size_t n);
void rs_reach_table_free(struct rs_reach_table *t); /* NULL is legal */

/* row[j]: what keys[client] may open at keys[j]. */
void rs_reach_table_row(struct rs_reach_table *t, size_t client, uint32_t *row);

/* Whether a policy isolates that key's ends in a direction; false for ends that are not local. */
bool rs_reach_table_isolated(const struct rs_reach_table *t, size_t key, enum rs_ir_dir dir);

/* How many numbers are given out so far, and what one stands for (its two flags are false). Valid
 * until the next row. */
size_t rs_reach_table_count(const struct rs_reach_table *t);
const struct rs_reach *rs_reach_table_get(const struct rs_reach_table *t, uint32_t number);

#endif
