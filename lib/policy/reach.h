/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reach.h - what one address may open at another, over all protocols and ports: both halves of
 * the IR put together. For matrices and differences, which ask for whole worlds.
 *
 * Addresses of one key are alike: they have the same groups and the same class, so the same row and
 * the same column. A caller folds endpoints by key and asks once for each pair of keys.
 */
#ifndef RIPSTOP_POLICY_REACH_H
#define RIPSTOP_POLICY_REACH_H

#include <ripstop/ir.h>

/* An allowed range; proto is the IP protocol number, ports in host order, both inclusive (0 to 0
 * where the protocol has none). proto RS_REACH_ANY: every protocol, ICMP included. */
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
	uint32_t cls;
	uint32_t range_cls;
};

void rs_reach_key(const struct rs_ir *ir, const struct rs_addr *a, struct rs_reach_key *out);

/* Between two different ends, from their keys (a pod reaches itself always: the caller's to say). */
void rs_ir_reach(const struct rs_ir *ir, const struct rs_reach_key *client,
		 const struct rs_reach_key *server, struct rs_reach *out);
void rs_reach_clear(struct rs_reach *r);
bool rs_reach_equal(const struct rs_reach *a, const struct rs_reach *b);

/* "any", "tcp/80,443 udp/53", "none"; allocated. */
char *rs_reach_str(const struct rs_reach *r);

#endif
