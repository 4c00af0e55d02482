/* SPDX-License-Identifier: Apache-2.0 */
/*
 * portset.h - what ports a set of rules allows, and which rule allows each first.
 *
 * Rules are painted in their order; what is painted stays. Runs are disjoint and sorted by
 * (protocol, lo). `all` means that a run of protocol 0 (every protocol, any port) lies under the
 * others.
 */
#ifndef RIPSTOP_POLICY_PORTSET_H
#define RIPSTOP_POLICY_PORTSET_H

#include <ripstop/ir.h>

#include "base/vec.h"

struct rs_portset {
	struct rs_vec(struct rs_ir_portrule) runs;
	bool all;
};

struct rs_ports rs_vec(struct rs_ir_port);

void rs_portset_free(struct rs_portset *s);
void rs_portset_paint(struct rs_portset *s, uint8_t proto, uint16_t lo, uint16_t hi, uint32_t rule);
void rs_portset_paint_all(struct rs_portset *s, uint32_t rule);
/* a becomes what both allow; the rules named are a's where a has one. */
void rs_portset_intersect(struct rs_portset *a, const struct rs_portset *b);
/* The content without rules: sorted, merged. Everything is one entry of protocol 0. */
void rs_portset_content(const struct rs_portset *s, struct rs_ports *out);

/* Whether a content allows (proto, port). */
bool rs_ports_allow(const struct rs_ir_port *v, size_t n, uint8_t proto, uint16_t port);
/* Whether everything that a allows, b allows. Both sorted and merged. */
bool rs_ports_subset(const struct rs_ir_port *a, size_t na, const struct rs_ir_port *b, size_t nb);

#endif
