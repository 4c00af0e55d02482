/* SPDX-License-Identifier: Apache-2.0 */
/* stock.h - inside lib/inventory: what was read, and what is wrong with it. */
#ifndef RIPSTOP_INVENTORY_STOCK_H
#define RIPSTOP_INVENTORY_STOCK_H

#include <ripstop/endpoint.h>

#include "base/base.h"
#include "base/file.h"
#include "inventory/inventory.h"
#include "ipam/ipam.h"

struct stock {
	const struct rs_inventory_config *cfg;
	char boot_id[RS_BOOT_ID_LEN];
	int64_t now_s;			       /* since boot */
	struct rs_vec(struct rs_lease) leases; /* by address, held before resting */
	struct rs_vec(struct rs_endpoint *) records;
	struct rs_vec(char *) damaged; /* "leases/10.0.0.7: why" */
};

int stock_read(const struct rs_inventory_config *cfg, struct stock *s, struct rs_err *err);
void stock_free(struct stock *s);

/* Of that key; NULL. */
const struct rs_endpoint *stock_record(const struct stock *s, const char *container_id,
				       const char *ifname);

/* Add "check": leaks, what was compared and what could not be. */
void stock_check(const struct stock *s, struct json_object *o);

#endif
