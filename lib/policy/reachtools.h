/* SPDX-License-Identifier: Apache-2.0 */
/* reachtools.h - what reach.c and reachtable.c share, beside reach.h. */
#ifndef RIPSTOP_POLICY_REACHTOOLS_H
#define RIPSTOP_POLICY_REACHTOOLS_H

#include "policy/reach.h"

void rs_reach_of_profile(const struct rs_ir *ir, uint32_t profile, struct rs_reach *out);
/* What both allow. out is new. */
void rs_reach_both(const struct rs_reach *a, const struct rs_reach *b, struct rs_reach *out);

#endif
