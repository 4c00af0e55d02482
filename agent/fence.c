// SPDX-License-Identifier: Apache-2.0
/* fence.c - at start: pods without any rule of ours in the kernel are closed before anything
 * else. */
#include "agent/reconcile.h"

#include "agent/registry_internal.h"

/*
 * Somebody flushed the table while no agent lived. What should be there may not be known for long
 * (a folder that cannot be read); an empty table closes every pod link until it is.
 */
int rs_fence_pods(struct rs_registry *reg, struct rs_dp *dp, struct rs_ir **ir, struct rs_err *err)
{
	struct rs_dp_commit done = { 0 };
	size_t n = reg->entries.n + reg->damaged.n;
	int rc;

	if (*ir || !n || !dp->ops->is_open(dp))
		return 0;
	*ir = rs_ir_new();
	(*ir)->generation = 1;
	rc = dp->ops->commit(dp, *ir, &done, err);
	if (rc < 0) {
		rs_ir_free(*ir);
		*ir = NULL;
		return rs_err_wrap(err, "close the pods of this node");
	}
	rs_log(RS_LOG_WARN, "the rules were gone: pods are closed until the policies are known",
	       "pods", RS_LOG_U64(n), NULL);
	return 0;
}
