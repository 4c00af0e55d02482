// SPDX-License-Identifier: Apache-2.0
/* ops_kernel.c - what a packet of a flow looks like on this node, for `explain --kernel`: by which
 * links it comes and goes, and whose kernel is meant. */
#include "agent/ops.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/jsonio.h"

static struct json_object *link_json(const struct rs_link *l, const uint8_t mac[6])
{
	struct json_object *o = json_object_new_object();

	rs_json_add_str(o, "interface", l->name);
	json_object_object_add(o, "index", json_object_new_int64(l->ifindex));
	json_object_object_add(o, "group", json_object_new_int64(l->group));
	if (mac) {
		rs_autofree char *text = rs_asprintf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0],
						     mac[1], mac[2], mac[3], mac[4], mac[5]);

		rs_json_add_str(o, "mac", text);
	}
	return o;
}

int rs_op_add_link(struct rs_agent *a, struct json_object *end, const struct rs_addr *addr,
		   struct rs_err *err)
{
	const struct rs_attached *local = rs_registry_by_addr(a->reg, addr);
	struct rs_link link;
	int rc;

	if (!local) {
		rc = a->host.own_addr(a->host.arg, addr, err);
		if (rc > 0)
			json_object_object_add(end, "own", json_object_new_boolean(true));
		return rc < 0 ? rc : 0;
	}
	rc = a->host.link(a->host.arg, local->rec->host_ifname, &link, err);
	if (rc == -ENODEV) {
		rs_err_clear(err);
		return 0;
	}
	if (rc == 0)
		json_object_object_add(end, "link", link_json(&link, local->rec->pod_mac));
	return rc;
}

void rs_op_add_node(struct rs_agent *a, struct json_object *result, int family)
{
	struct json_object *o = json_object_new_object();
	struct rs_link up;
	struct stat ns;

	rs_json_add_str(o, "dataplane", a->dp->ops->name);
	if (a->dp->ops == &rs_dp_ebpf)
		rs_json_add_str(o, "pins", a->opt.bpf_dir);
	if (stat("/proc/self/ns/net", &ns) == 0)
		json_object_object_add(o, "netns", json_object_new_uint64(ns.st_ino));
	json_object_object_add(o, "committed", json_object_new_boolean(rs_reconcile_clean(a->rec)));
	if (rs_uplink(rs_host_netlink(a->host_real), family == 6 ? RS_AF_IP6 : RS_AF_IP4, &up,
		      NULL) == 0)
		json_object_object_add(o, "uplink", link_json(&up, NULL));
	json_object_object_add(result, "local", o);
}
