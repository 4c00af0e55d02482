// SPDX-License-Identifier: Apache-2.0
/* addresses.c - how full this node's pod ranges are, by family; see addresses.h. */
#include "agent/addresses.h"

#include <string.h>

#include "ipam/ipam.h"

struct counting {
	const char *boot_id;
	struct rs_address_use *use;
};

/* Leases of another boot are void. A damaged file is a condition of its own. */
static int see_lease(struct rs_lease *l, const char *name, const struct rs_err *why, void *arg)
{
	const struct counting *c = arg;

	(void)name;
	(void)why;
	if (l && l->state == RS_LEASE_HELD && l->boot_id && !strcmp(l->boot_id, c->boot_id))
		c->use[l->addr.family == RS_AF_IP6].held++;
	if (l)
		rs_lease_clear(l);
	return 0;
}

static int count_held(struct rs_agent *a, struct rs_address_use use[2], struct rs_err *err)
{
	struct rs_ipam_config cfg = { .state_dir = a->opt.state_dir, .boot_id = a->boot_id };
	struct counting c = { .boot_id = a->boot_id, .use = use };
	struct rs_ipam *ipam = NULL;
	int rc = rs_ipam_open(&cfg, &ipam, err);

	if (rc < 0)
		return rc;
	rc = rs_ipam_each(ipam, see_lease, &c, err);
	rs_ipam_close(ipam);
	return rc;
}

/* As docs/ipam.md: neither network nor broadcast address, nor the all-zero host of IPv6. */
static uint64_t given_out(const struct rs_cidr *c)
{
	unsigned int bits = rs_addr_bits(c->addr.family) - c->len;
	uint64_t n = bits < 64 ? UINT64_C(1) << bits : UINT64_MAX;

	if (c->addr.family == RS_AF_IP6)
		return bits ? n - 1 : n;
	return bits > 1 ? n - 2 : n;
}

int rs_address_use(struct rs_agent *a, struct rs_address_use use[2], struct rs_err *err)
{
	struct rs_world w;

	memset(use, 0, 2 * sizeof(*use));
	use[0].family = 4;
	use[1].family = 6;
	rs_reconcile_ranges(a->rec, &w);
	for (size_t i = 0; i < w.n_node_ranges; i++) {
		const struct rs_cidr *c = &w.node_ranges[i];
		uint64_t *total = &use[c->addr.family == RS_AF_IP6].total;

		if (__builtin_add_overflow(*total, given_out(c), total))
			*total = UINT64_MAX;
	}
	return count_held(a, use, err);
}
