/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expected.h - pods that are bound to this node and do not hang on it yet.
 *
 * The scheduler binds a pod (spec.nodeName) before the kubelet makes its sandbox; between the two
 * lie image pulls, volumes, or at least some 100 ms. So what the pod's policies need of the kernel
 * can be there when its ADD comes, which then brings little more than its address. A pod that has
 * finished or is being deleted, one of the host's network and one that is in the registry are not
 * expected. Nothing is opened by expecting a pod: it has no address yet (policy.h, rs_world).
 *
 * What flows in: the store, the registry. What flows out: the array that rs_world.expected wants.
 * Following the store costs what changed in it, not what it holds.
 */
#ifndef RIPSTOP_AGENT_EXPECTED_H
#define RIPSTOP_AGENT_EXPECTED_H

#include "agent/registry.h"

/* More than a kubelet takes at once; of more, the first by (namespace, name). */
#define RS_EXPECTED_MAX 256u

struct rs_expected;

/* node_name is borrowed; NULL: no pod is ever expected. */
struct rs_expected *rs_expected_new(const char *node_name);
void rs_expected_free(struct rs_expected *e); /* NULL is legal */

/* Sorted by (namespace, name). Valid until the next call or change of store or registry. */
const struct rs_local_pod *rs_expected_list(struct rs_expected *e, const struct rs_store *store,
					    struct rs_registry *reg, size_t *n);

#endif
