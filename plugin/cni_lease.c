// SPDX-License-Identifier: Apache-2.0
/* cni_lease.c - where addresses come from: the ranges, their checks, the built-in store. */
#include <errno.h>
#include <string.h>

#include "plugin/cni.h"

static int refuse(const struct rs_cidr *range, const struct rs_link_addr *a, struct rs_nl *host,
		  struct rs_err *err)
{
	char r[RS_CIDR_STRLEN], t[RS_ADDR_STRLEN];
	struct rs_link link = { .name = "?" };
	bool single = range->len == rs_addr_bits(range->addr.family);

	rs_link_get_index(host, a->ifindex, &link, NULL);
	if (single)
		rs_err_set(err, EADDRINUSE, "address %s is this node's own (link %s)",
			   rs_addr_str(&a->addr, t), link.name);
	else
		rs_err_set(err, EADDRINUSE, "range %s holds this node's own address %s (link %s)",
			   rs_cidr_str(range, r), rs_addr_str(&a->addr, t), link.name);
	rs_err_hint(err, "choose another range, or remove the address if it is left over");
	return rs_err_cni(err, RS_CNI_CONFIG);
}

int cni_refuse_node_addrs(struct rs_nl *host, const struct rs_cidr *ranges, size_t n,
			  struct rs_err *err)
{
	struct rs_link_addr *list = NULL;
	size_t count = 0, i, j;
	int rc = rs_addr_list(host, 0, &list, &count, err);

	for (i = 0; rc == 0 && i < count; i++)
		for (j = 0; rc == 0 && j < n; j++)
			if (rs_cidr_contains(&ranges[j], &list[i].addr))
				rc = refuse(&ranges[j], &list[i], host, err);
	free(list);
	return rc;
}

int cni_ranges(struct cni_call *c, const struct rs_node_info *node, struct rs_nl *host,
	       struct rs_err *err)
{
	struct cni_config *conf = &c->conf;

	if (!conf->n_ranges && node->n_ranges) {
		free(conf->ranges);
		conf->ranges = rs_memdup(node->ranges, node->n_ranges * sizeof(*node->ranges));
		conf->n_ranges = node->n_ranges;
	}
	if (!conf->n_ranges) {
		rs_err_set(err, ENOENT,
			   "this node's pod ranges are not known: neither ipam.ranges "
			   "nor %s/%s names any",
			   conf->state_dir, RS_NODE_FILE);
		rs_err_hint(err, "the agent writes them once it knows its node; "
				 "or set ipam.ranges in the network configuration");
		return rs_err_cni(err, RS_CNI_TRY_AGAIN);
	}
	return cni_refuse_node_addrs(host, conf->ranges, conf->n_ranges, err);
}

int cni_ipam_open(struct cni_call *c, struct rs_ipam **out, struct rs_err *err)
{
	struct rs_ipam_config cfg = {
		.state_dir = c->conf.state_dir,
		.ranges = c->conf.ranges,
		.n_ranges = c->conf.n_ranges,
		.rest_s = c->conf.rest_s,
	};

	return rs_ipam_open(&cfg, out, err);
}
