/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object_equal.h - do two objects say the same to Ripstop? Positions, resourceVersion and
 * generation do not count: they change with every heartbeat and every blank line.
 */
#ifndef RIPSTOP_OBJECT_EQUAL_H
#define RIPSTOP_OBJECT_EQUAL_H

#include <ripstop/object.h>

bool rs_namespace_equal(const struct rs_namespace *a, const struct rs_namespace *b);
bool rs_pod_equal(const struct rs_pod *a, const struct rs_pod *b);
bool rs_policy_equal(const struct rs_policy *a, const struct rs_policy *b);
bool rs_node_equal(const struct rs_node *a, const struct rs_node *b);

#endif
