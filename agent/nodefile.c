// SPDX-License-Identifier: Apache-2.0
/* nodefile.c - keeps STATE/node.json true and young: the plugin's STATUS and
 * ranges come from it. */
#include "agent/agent.h"

#include <string.h>

#include "endpoint/node.h"

#define RENEW_MS 10000

static void fill(struct rs_agent *a, const struct rs_world *w, struct rs_node_info *n)
{
	n->boot_id = rs_strdup(a->boot_id);
	n->node = rs_strdup(a->opt.node_name);
	n->dataplane = rs_strdup(a->dp->ops->name);
	n->version = rs_strdup(RIPSTOP_VERSION);
	n->ranges = rs_memdup(w->node_ranges, w->n_node_ranges * sizeof(*w->node_ranges));
	n->n_ranges = w->n_node_ranges;
	n->mtu = a->opt.mtu;
	n->link_group = a->opt.link_group;
	n->why_not = a->serving ? rs_agent_why_not_ready(a) : rs_strdup("the agent is starting");
	n->ready = !n->why_not;
}

/* Whether the agent before us, in this boot, left the node ready. */
static bool was_ready(const struct rs_agent *a)
{
	struct rs_node_info n = { 0 };
	bool is = rs_node_info_read(a->opt.state_dir, &n, NULL) == 0 && n.ready && n.boot_id &&
		  !strcmp(n.boot_id, a->boot_id);

	rs_node_info_clear(&n);
	return is;
}

/* An API server takes its time to tell all, or is away: until we have committed something, what our
 * predecessor wrote stays and ages, so that a restart does not flap the node. */
static bool predecessor_speaks(const struct rs_agent *a)
{
	rs_autofree char *why = NULL;

	if (a->node_json || !a->src->ops->fresh || a->metrics.commit_errors)
		return false;
	why = rs_reconcile_why_not_ready(a->rec);
	return why && was_ready(a);
}

void rs_nodefile_update(struct rs_agent *a, int64_t now_ms)
{
	rs_autofree char *text = NULL;
	struct rs_node_info n = { 0 };
	rs_auto_err err = { 0 };
	struct rs_world w;

	if (predecessor_speaks(a))
		return;
	rs_reconcile_ranges(a->rec, &w);
	fill(a, &w, &n);
	text = rs_node_info_to_json(&n);
	if (!a->node_json || strcmp(a->node_json, text) != 0 ||
	    now_ms - a->node_written_ms >= RENEW_MS) {
		n.written_s = rs_now_s();
		if (rs_node_info_write(a->opt.state_dir, &n, &err) < 0) {
			rs_log(RS_LOG_ERROR, "node.json not written", "error", rs_err_str(&err),
			       NULL);
		} else {
			free(a->node_json);
			a->node_json = rs_steal_ptr(&text);
			a->node_written_ms = now_ms;
		}
	}
	rs_node_info_clear(&n);
}
