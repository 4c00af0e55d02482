// SPDX-License-Identifier: Apache-2.0
/* ops_ipam.c - ipam: leases and records of the state folder, and what does not fit together. */
#include "agent/ops.h"

#include <string.h>

#include "base/jsonio.h"
#include "inventory/inventory.h"

struct seen {
	struct rs_vec(struct rs_inventory_link) v;
};

static int see_links(struct rs_agent *a, struct seen *s, struct rs_err *err)
{
	rs_autofree struct rs_link *links = NULL;
	size_t n = 0;
	int rc = rs_link_list(rs_host_netlink(a->host_real), &links, &n, err);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct rs_inventory_link *l = rs_vec_push(&s->v);

		memset(l, 0, sizeof(*l));
		memcpy(l->name, links[i].name, strnlen(links[i].name, sizeof(l->name) - 1));
		l->of_pod = (links[i].group & ~1u) == (a->opt.link_group & ~1u);
	}
	return rc;
}

static int ipam(struct rs_agent *a, bool check, struct json_object *o, struct rs_err *err)
{
	struct rs_inventory_config cfg = { .state_dir = a->opt.state_dir,
					   .rest_s = RS_INVENTORY_REST_S,
					   .knows_pod_links = true,
					   .cni_cache = RS_CNI_CACHE };
	struct seen seen = { 0 };
	struct rs_world w;
	int rc = see_links(a, &seen, err);

	rs_reconcile_world(a->rec, &w);
	cfg.ranges = w.node_ranges;
	cfg.n_ranges = w.n_node_ranges;
	cfg.links = seen.v.v;
	cfg.n_links = seen.v.n;
	if (rc == 0)
		rc = rs_inventory_json(&cfg, check, o, err);
	rs_vec_free(&seen.v);
	return rc;
}

void rs_op_ipam(struct rs_agent *a, struct rs_request *req, struct json_object *body)
{
	struct json_object *o = rs_op_object(a, "Ipam");
	rs_auto_err err = { 0 };
	bool check = false;
	int rc = rs_json_opt_bool(body, "check", &check, &err);

	if (rc == 0)
		rc = ipam(a, check, o, &err);
	if (rc == 0) {
		rs_request_answer(req, o);
		return;
	}
	json_object_put(o);
	rs_request_fail(req, &err);
}
