/* SPDX-License-Identifier: Apache-2.0 */
/*
 * span.h - sets of addresses as sorted, disjoint intervals over both families.
 *
 * "Normal" means sorted, disjoint, and no two that touch: then equal sets have equal bytes.
 */
#ifndef RIPSTOP_POLICY_SPAN_H
#define RIPSTOP_POLICY_SPAN_H

#include <ripstop/object.h>

#include "base/vec.h"

struct rs_span {
	struct rs_addr lo;
	struct rs_addr hi;
};

struct rs_spans rs_vec(struct rs_span);

void rs_spans_add_cidr(struct rs_spans *s, const struct rs_cidr *c);
void rs_spans_normalise(struct rs_spans *s);
/* Append the addresses of an ipBlock: its cidr without its excepts. A v4-mapped block has none. */
void rs_spans_add_block(struct rs_spans *s, const struct rs_ipblock *b);
bool rs_ipblock_contains(const struct rs_ipblock *b, const struct rs_addr *a);

#endif
