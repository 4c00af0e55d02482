// SPDX-License-Identifier: Apache-2.0
/* ipam_folder.c - `ripstop ipam` where no agent lives: the state folder itself is read. */
#include "cli/cli.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "cli/ipam_folder.h"
#include "endpoint/node.h"
#include "inventory/inventory.h"

/* The links of the namespace that we are in, by name: whose they are is not known here. */
static struct rs_inventory_link *see_links(size_t *n)
{
	struct if_nameindex *all = if_nameindex();
	struct rs_inventory_link *v;

	*n = 0;
	while (all && all[*n].if_index)
		(*n)++;
	v = rs_new0(struct rs_inventory_link, *n);
	for (size_t i = 0; i < *n; i++)
		memcpy(v[i].name, all[i].if_name, strnlen(all[i].if_name, sizeof(v[i].name) - 1));
	if (all)
		if_freenameindex(all);
	return v;
}

static struct json_object *new_object(const char *node)
{
	struct json_object *o = json_object_new_object(), *meta = json_object_new_object();

	rs_json_add_str(o, "apiVersion", "ripstop.dev/v1");
	rs_json_add_str(o, "kind", "Ipam");
	rs_json_add_str(meta, "node", node);
	rs_json_add_str(meta, "source", "files");
	json_object_object_add(o, "metadata", meta);
	return o;
}

int cli_ipam_folder(const char *state_dir, bool check, struct json_object **out, struct rs_err *err)
{
	struct rs_inventory_config cfg = { .state_dir = state_dir,
					   .rest_s = RS_INVENTORY_REST_S,
					   .cni_cache = RS_CNI_CACHE };
	rs_autofree struct rs_inventory_link *links = see_links(&cfg.n_links);
	rs_autojson struct json_object *o = NULL;
	struct rs_node_info node = { 0 };
	int rc;

	if (rs_node_info_read(state_dir, &node, NULL) == 0) {
		cfg.ranges = node.ranges;
		cfg.n_ranges = node.n_ranges;
	}
	o = new_object(node.node);
	cfg.links = links;
	rc = rs_inventory_json(&cfg, check, o, err);
	rs_node_info_clear(&node);
	if (rc == 0)
		*out = rs_steal_ptr(&o);
	return rc;
}
