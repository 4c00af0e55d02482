// SPDX-License-Identifier: Apache-2.0
/* cni_check.c - CHECK: is everything still as ADD left it? What others added is not judged. */
#include <errno.h>
#include <string.h>

#include "plugin/cni.h"

struct check {
	struct cni_call *call;
	struct cni_plumb plumb;
	struct rs_endpoint_store *store;
	struct rs_endpoint *e;
};

static void check_clear(struct check *k)
{
	cni_plumb_close(&k->plumb);
	rs_endpoint_store_close(k->store);
	rs_endpoint_free(k->e);
}

static int load(struct check *k, struct rs_err *err)
{
	struct cni_call *c = k->call;
	int rc = rs_endpoint_store_open(c->conf.state_dir, &k->store, err);

	if (rc == 0)
		rc = rs_endpoint_load(k->store, c->env.container_id, c->env.ifname, &k->e, err);
	if (rc == -ENOENT)
		return rs_err_set(err, ENOENT, "there is no record of this attachment");
	if (rc == 0 && k->e->state != RS_ENDPOINT_LIVE)
		return rs_err_set(err, ESTALE, "the attachment was released");
	return rc;
}

static bool holds(const struct rs_addr *v, size_t n, const struct rs_addr *a)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (rs_addr_cmp(&v[i], a) == 0)
			return true;
	return false;
}

#define PREV_IPS_MAX 64

static int check_prev_ips(struct check *k, struct rs_err *err)
{
	struct rs_addr claimed[PREV_IPS_MAX];
	char text[RS_ADDR_STRLEN];
	size_t n = 0, i;
	int rc = cni_result_ips(k->call->conf.prev_result, claimed, PREV_IPS_MAX, &n, err);

	if (rc < 0) {
		rs_err_wrap(err, "prevResult");
		return rs_err_cni(err, RS_CNI_CONFIG);
	}
	for (i = 0; i < k->e->n_ips; i++)
		if (!holds(claimed, n, &k->e->ips[i]))
			return rs_err_set(err, ENOENT,
					  "prevResult does not name the pod's address %s",
					  rs_addr_str(&k->e->ips[i], text));
	return 0;
}

static int check_prev_interface(struct check *k, struct rs_err *err)
{
	struct json_object *a = rs_json_get(k->call->conf.prev_result, "interfaces");
	char mac[18];
	size_t i;

	if (!json_object_is_type(a, json_type_array)) {
		rs_err_set(err, EINVAL, "prevResult has no list of interfaces");
		return rs_err_cni(err, RS_CNI_CONFIG);
	}
	cni_mac_str(k->e->pod_mac, mac);
	for (i = 0; i < json_object_array_length(a); i++) {
		struct json_object *o = json_object_array_get_idx(a, i);

		if (*rs_json_text(o, "sandbox", "") &&
		    !strcmp(rs_json_text(o, "name", ""), k->e->ifname) &&
		    !strcasecmp(rs_json_text(o, "mac", mac), mac))
			return 0;
	}
	return rs_err_set(err, ENOENT, "prevResult does not name the pod's interface %s (%s)",
			  k->e->ifname, mac);
}

static int check_pod_link(struct check *k, struct rs_err *err)
{
	struct rs_link *l = &k->plumb.pod_link;
	int rc = rs_link_get(k->plumb.pod, k->e->ifname, l, err);

	if (rc < 0)
		return rs_err_wrap(err, "inside the pod");
	if (!l->up)
		return rs_err_set(err, ENETDOWN, "interface %s in the pod is down", l->name);
	if (memcmp(l->mac, k->e->pod_mac, sizeof(l->mac)))
		return rs_err_set(err, EINVAL, "interface %s in the pod has another MAC address",
				  l->name);
	if (strcmp(l->kind, "veth") || l->peer_ifindex != k->e->host_ifindex)
		return rs_err_set(err, EINVAL,
				  "interface %s in the pod is not the peer of the node's link %s",
				  l->name, k->e->host_ifname);
	return 0;
}

static int check_host_link(struct check *k, struct rs_err *err)
{
	struct rs_link *l = &k->plumb.host_link;
	uint32_t group = cni_link_group(&k->call->conf);
	int rc = rs_link_get_index(k->plumb.host, k->e->host_ifindex, l, err);

	if (rc < 0)
		return rc;
	if (!l->up || !l->noarp || strcmp(l->name, k->e->host_ifname))
		return rs_err_set(err, EINVAL, "the node's link %s is down, renamed or does ARP",
				  k->e->host_ifname);
	/* The guard knows pods by this group: outside it the pod is not held to its address. */
	if (l->group != group)
		return rs_err_set(err, EINVAL, "the node's link %s is in group %u, not %u", l->name,
				  l->group, group);
	return 0;
}

static int check_addresses(struct check *k, struct rs_err *err)
{
	struct rs_link_addr *list = NULL;
	char text[RS_ADDR_STRLEN];
	size_t n = 0, i, j;
	int rc = rs_addr_list(k->plumb.pod, k->plumb.pod_link.ifindex, &list, &n, err);

	for (i = 0; rc == 0 && i < k->e->n_ips; i++) {
		for (j = 0; j < n && rs_addr_cmp(&list[j].addr, &k->e->ips[i]); j++)
			;
		if (j == n)
			rc = rs_err_set(err, EADDRNOTAVAIL, "the pod's interface lacks %s",
					rs_addr_str(&k->e->ips[i], text));
	}
	free(list);
	return rc;
}

static int find_route(struct rs_nl *nl, const struct rs_cidr *dst, const struct rs_addr *via,
		      uint32_t ifindex, const char *where, struct rs_err *err)
{
	struct rs_route *list = NULL;
	char text[RS_CIDR_STRLEN];
	size_t n = 0, i;
	int rc = rs_route_list(nl, dst->addr.family, true, &list, &n, err);

	for (i = 0; rc == 0 && i < n; i++)
		if (rs_cidr_cmp(&list[i].dst, dst) == 0 && list[i].ifindex == ifindex &&
		    (via ? rs_addr_cmp(&list[i].via, via) == 0 : !list[i].via.family))
			break;
	if (rc == 0 && i == n)
		rc = rs_err_set(err, ENOENT, "%s lacks its route to %s", where,
				rs_cidr_str(dst, text));
	free(list);
	return rc;
}

static int find_neighbour(struct rs_nl *nl, uint32_t ifindex, const struct rs_addr *a,
			  const uint8_t mac[6], const char *where, struct rs_err *err)
{
	struct rs_neigh *list = NULL;
	char text[RS_ADDR_STRLEN];
	size_t n = 0, i;
	int rc = rs_neigh_list(nl, ifindex, &list, &n, err);

	for (i = 0; rc == 0 && i < n; i++)
		if (list[i].permanent && rs_addr_cmp(&list[i].addr, a) == 0 &&
		    memcmp(list[i].mac, mac, 6) == 0)
			break;
	if (rc == 0 && i == n)
		rc = rs_err_set(err, ENOENT, "%s lacks its permanent neighbour %s", where,
				rs_addr_str(a, text));
	free(list);
	return rc;
}

static int check_gateway(struct check *k, int family, struct rs_err *err)
{
	struct rs_cidr all = { .addr = { .family = (uint8_t)family } };
	struct rs_addr gw = cni_gateway(family);
	uint32_t ifindex = k->plumb.pod_link.ifindex;
	int rc;

	if (!cni_has_family(k->e, family))
		return 0;
	rc = find_route(k->plumb.pod, &all, &gw, ifindex, "the pod", err);
	if (rc == 0)
		rc = find_neighbour(k->plumb.pod, ifindex, &gw, k->e->host_mac, "the pod", err);
	return rc;
}

static int check_host_routes(struct check *k, struct rs_err *err)
{
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < k->e->n_ips; i++) {
		const struct rs_addr *a = &k->e->ips[i];
		struct rs_cidr dst = { .addr = *a, .len = (uint8_t)rs_addr_bits(a->family) };

		rc = find_route(k->plumb.host, &dst, NULL, k->e->host_ifindex, "the node", err);
		if (rc == 0)
			rc = find_neighbour(k->plumb.host, k->e->host_ifindex, a, k->e->pod_mac,
					    "the node", err);
	}
	return rc;
}

static int check_lease(struct check *k, struct rs_err *err)
{
	rs_cleanup(cni_cleanup_ipam) struct rs_ipam *ipam = NULL;
	int rc;

	if (k->e->ipam_external)
		return k->call->conf.ipam_type
			       ? cni_delegate(k->call, CNI_CHECK, NULL, err)
			       : rs_err_set(err, EINVAL,
					    "the address came from another IPAM plugin "
					    "than the configuration names now");
	rc = cni_ipam_open(k->call, &ipam, err);
	if (rc == 0)
		rc = rs_ipam_verify(ipam, k->e->container_id, k->e->ifname, k->e->ips, k->e->n_ips,
				    err);
	return rc;
}

static int check_rules(struct check *k, struct rs_err *err)
{
	int rc = cni_agent_check(k->call, err);

	if (rc != -ENOTCONN)
		return rc < 0 ? rs_err_wrap(err, "the agent says") : 0;
	cni_warn("no agent answered: the pod's rules were not verified (%s)", rs_err_str(err));
	rs_err_clear(err);
	return 0;
}

int cni_check(struct cni_call *c, struct rs_err *err)
{
	static int (*const steps[])(struct check * k, struct rs_err * err) = {
		load,
		check_prev_ips,
		check_prev_interface,
		check_pod_link,
		check_host_link,
		check_addresses,
		check_host_routes,
		check_lease,
	};
	rs_cleanup(check_clear) struct check k = { .call = c, .plumb = { .netns_fd = -1 } };
	size_t i;
	int rc = cni_plumb_open(&k.plumb, c, err);

	for (i = 0; rc == 0 && i < RS_ARRAY_SIZE(steps); i++)
		rc = steps[i](&k, err);
	if (rc == 0)
		rc = check_gateway(&k, RS_AF_IP4, err);
	if (rc == 0)
		rc = check_gateway(&k, RS_AF_IP6, err);
	return rc < 0 ? rc : check_rules(&k, err);
}
