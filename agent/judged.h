/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judged.h - how often the kernel judged packets of the peers of a rule, as its counters tell.
 *
 * The kernel counts lookups of cells, (group of pods, class of peers). So a number is of all pods
 * of a group, of packets that were judged (those of a flow that was allowed are not judged again),
 * whatever port they went to, and since the cell was made. 0 says that the rule has let nothing
 * through.
 */
#ifndef RIPSTOP_AGENT_JUDGED_H
#define RIPSTOP_AGENT_JUDGED_H

#include <ripstop/dataplane.h>
#include <ripstop/ir.h>
#include <ripstop/object.h>

/* Of a rule (index in that direction of the policy "namespace/name") for a pod with that address;
 * -1: the counters cannot tell. */
int64_t rs_judged_rule(const struct rs_ir *ir, const struct rs_dp_stats *s,
		       const struct rs_addr *pod, enum rs_direction dir, const char *policy,
		       uint32_t index);

/* What that rule has let through on this node, whichever pod it was; NULL: that is not counted, or
 * it may have been counted for another rule with the same ports. judged: of the function above. */
const struct rs_dp_counter *rs_passed_rule(const struct rs_dp_stats *s, enum rs_direction dir,
					   const char *policy, uint32_t index, int64_t judged);

#endif
