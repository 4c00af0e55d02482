/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inventory.h - lib/inventory counts what the state folder holds: leases, resting addresses,
 * records; and compares them with each other, with links and with the runtime's cache, to find
 * leaks.
 *
 * What flows in: the folder, this node's ranges, the links that are there. What flows out: the JSON
 * of `ripstop ipam`. It reads only, takes no lock, and what is younger than a minute is nobody's
 * leak: an ADD or a DEL may be under way.
 */
#ifndef RIPSTOP_INVENTORY_INVENTORY_H
#define RIPSTOP_INVENTORY_INVENTORY_H

#include <json-c/json_types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ripstop/addr.h>
#include <ripstop/error.h>

#define RS_INVENTORY_YOUNG_S 60
#define RS_INVENTORY_REST_S 30 /* what the plugin takes where its configuration is silent */
#define RS_CNI_CACHE "/var/lib/cni/results"

struct rs_inventory_link {
	char name[16];
	bool of_pod; /* it is in the link group of pods */
};

struct rs_inventory_config {
	const char *state_dir; /* with its folders leases and endpoints; not made here */
	const struct rs_cidr *ranges;
	size_t n_ranges;
	uint32_t rest_s;
	const struct rs_inventory_link *links;
	size_t n_links;
	bool knows_pod_links;  /* of_pod says something */
	const char *cni_cache; /* the runtime's results; left out where it cannot be read */
};

/*
 * Add "stateDir", "ranges", "leases" and, with check, "check" to o. -ENOENT: there is no such folder.
 */
int rs_inventory_json(const struct rs_inventory_config *cfg, bool check, struct json_object *o,
		      struct rs_err *err);

#endif
