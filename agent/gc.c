// SPDX-License-Identifier: Apache-2.0
/* gc.c - what no DEL will ever release: containerd never calls GC, so the agent looks itself. */
#include "agent/agent.h"

#define LINK_GONE_MS (5 * 60 * 1000)
#define FEW_PODS 8 /* their links are asked for one by one: a node may have any number of others */

void rs_gc_run(struct rs_agent *a, int64_t now_ms)
{
	rs_auto_err err = { 0 };
	bool changed;
	size_t pods;
	int left;

	rs_registry_list(a->reg, &pods);
	if (pods > FEW_PODS)
		rs_host_hold_links(a->host_real);
	left = rs_registry_scan(a->reg, false, now_ms, LINK_GONE_MS, &err);
	changed = rs_registry_check_links(a->reg, now_ms, LINK_GONE_MS);
	rs_host_release_links(a->host_real);
	rs_registry_save_labels(a->reg);
	rs_leasefiles_look(a);
	if (left < 0)
		rs_log(RS_LOG_ERROR, "records not read", "error", rs_err_str(&err), NULL);
	if (changed || left > 0 || rs_registry_graves(a->reg)) {
		rs_reconcile_touch(a->rec);
		rs_loop_kick(a);
	}
}
