/* SPDX-License-Identifier: Apache-2.0 */
/* irtools.h - what this room alone needs of an IR, beside <ripstop/ir.h>. */
#ifndef RIPSTOP_POLICY_IRTOOLS_H
#define RIPSTOP_POLICY_IRTOOLS_H

#include <ripstop/ir.h>

int rs_ir_cell_cmp(const void *a, const void *b);
/* Entries of a profile, the two fixed ones included; an unknown number has none: deny. */
const struct rs_ir_port *rs_ir_profile_ports(const struct rs_ir *ir, uint32_t profile, size_t *n);
/* One entry of a relation against another: key and number, never the people's parts. */
static inline bool rs_ir_same_range(const struct rs_ir_range *a, const struct rs_ir_range *b)
{
	return rs_addr_cmp(&a->lo, &b->lo) == 0 && rs_addr_cmp(&a->hi, &b->hi) == 0 &&
	       a->cls == b->cls;
}

static inline bool rs_ir_same_local(const struct rs_ir_local *a, const struct rs_ir_local *b)
{
	return rs_addr_cmp(&a->addr, &b->addr) == 0 && a->in_group == b->in_group &&
	       a->out_group == b->out_group;
}

/* The order of guards, for qsort(3) too. */
int rs_ir_guard_cmp(const void *a, const void *b);
bool rs_ir_same_node_ranges(const struct rs_ir *a, const struct rs_ir *b);
/* One more holder: rs_ir_free() of each. What rs_ir_apply() does to it all of them see. */
struct rs_ir *rs_ir_share(const struct rs_ir *ir);
/* Whether moves of that sequence are still to be made; from now on they are. */
bool rs_ir_applies(struct rs_ir *ir, uint64_t sequence);
/* The relations and numbers without the people's parts. */
struct rs_ir *rs_ir_copy_relations(const struct rs_ir *from);

#endif
