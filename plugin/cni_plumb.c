// SPDX-License-Identifier: Apache-2.0
/* cni_plumb.c - the pod's link: made down, dressed on both ends, opened last. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "plugin/cni.h"

#define SENDS_WITHIN_MS 500

int cni_plumb_open(struct cni_plumb *p, const struct cni_call *c, struct rs_err *err)
{
	uint32_t taken;
	int rc;

	p->netns_fd = -1;
	rc = rs_netns_open(c->env.netns, &p->netns_fd, err);
	if (rc == 0)
		rc = rs_nl_open(&p->host, err);
	if (rc == 0)
		rc = rs_nl_open_netns(p->netns_fd, &p->pod, err);
	if (rc < 0 || c->env.verb != CNI_ADD)
		return rc;
	rc = rs_link_index(p->pod, c->env.ifname, &taken, err);
	if (rc == -ENODEV) {
		rs_err_clear(err);
		return 0;
	}
	if (rc < 0)
		return rc;
	rs_err_set(err, EEXIST, "the network namespace has an interface %s already", c->env.ifname);
	rs_err_hint(err, "DEL the attachment first, or ask for another CNI_IFNAME");
	return rs_err_cni(err, RS_CNI_ENV);
}

void cni_plumb_close(struct cni_plumb *p)
{
	rs_nl_close(p->host);
	rs_nl_close(p->pod);
	if (p->netns_fd >= 0)
		close(p->netns_fd);
}

/* The link of that name may be a living pod's: then this attachment cannot be made, another can. */
static int refuse_rival(struct rs_endpoint_store *store, const struct rs_endpoint *e,
			struct rs_err *err)
{
	rs_autofree char *rival = NULL;
	int rc = rs_endpoint_name_rival(store, e->container_id, e->ifname, &rival, err);

	if (rc < 0 || !rival)
		return rc;
	rs_err_set(err, EEXIST, "the link name %s is in use by the attachment of %s",
		   e->host_ifname, rival);
	rs_err_hint(err,
		    "names are a hash of containerID and interface: a new sandbox gets another");
	return rs_err_cni(err, RS_CNI_TRY_AGAIN);
}

/* A link of this very name in our group that nobody has a record of: left by a node that lost its
 * state folder. */
static int remove_stale(struct cni_plumb *p, struct rs_endpoint_store *store,
			const struct rs_endpoint *e, uint32_t group, struct rs_err *err)
{
	const char *name = e->host_ifname;
	struct rs_link old;
	int rc = refuse_rival(store, e, err);

	if (rc == 0)
		rc = rs_link_get(p->host, name, &old, err);
	if (rc < 0)
		return rc;
	if (strcmp(old.kind, "veth") || (old.group != group && old.group != (group ^ 1))) {
		rs_err_set(err, EEXIST, "the node has a link %s already and it is not Ripstop's",
			   name);
		rs_err_hint(err, "look at it with: ip -d link show %s", name);
		return rs_err_cni(err, RS_CNI_ENV);
	}
	cni_warn("removing link %s that an earlier attachment left", name);
	return rs_link_del(p->host, old.ifindex, err);
}

int cni_plumb_create(struct cni_plumb *p, struct rs_endpoint_store *store, struct rs_endpoint *e,
		     uint32_t group, struct rs_err *err)
{
	struct rs_veth v = {
		.host_name = e->host_ifname,
		.pod_name = e->ifname,
		.pod_netns_fd = p->netns_fd,
		.mtu = e->mtu,
		.group = group,
	};
	int rc;

	memcpy(v.host_mac, e->host_mac, sizeof(v.host_mac));
	memcpy(v.pod_mac, e->pod_mac, sizeof(v.pod_mac));
	rc = rs_veth_create(p->host, &v, &e->host_ifindex, err);
	if (rc == -EEXIST) {
		rc = remove_stale(p, store, e, group, err);
		if (rc == 0)
			rc = rs_veth_create(p->host, &v, &e->host_ifindex, err);
	}
	if (rc < 0)
		return rc;
	return rs_link_index(p->pod, e->ifname, &p->pod_link.ifindex, err);
}

static int pod_addresses(struct cni_plumb *p, const struct rs_endpoint *e, struct rs_err *err)
{
	uint32_t ifindex = p->pod_link.ifindex;
	size_t i;
	int rc = 0;

	/* /128 too: no other link-local neighbour exists on this link. */
	if (e->ll.family)
		rc = rs_addr_add_link(p->pod, ifindex, &e->ll, 128, err);
	for (i = 0; rc == 0 && i < e->n_ips; i++)
		rc = rs_addr_add_link(p->pod, ifindex, &e->ips[i], rs_addr_bits(e->ips[i].family),
				      err);
	return rc;
}

static int pod_gateway(struct cni_plumb *p, const struct rs_endpoint *e, int family,
		       struct rs_err *err)
{
	struct rs_route onlink = {
		.dst = { .addr = cni_gateway(family), .len = (uint8_t)rs_addr_bits(family) },
		.ifindex = p->pod_link.ifindex,
	};
	int rc;

	if (!cni_has_family(e, family))
		return 0;
	/* Nobody answers ARP or neighbour discovery for the gateway, and nobody needs to. */
	rc = rs_neigh_set(p->pod, p->pod_link.ifindex, &onlink.dst.addr, e->host_mac, err);
	return rc < 0 ? rc : rs_route_add(p->pod, &onlink, false, err);
}

static int pod_routes(struct cni_plumb *p, const struct cni_routes *routes, struct rs_err *err)
{
	size_t i;

	for (i = 0; i < routes->n; i++) {
		struct rs_route r = {
			.dst = routes->v[i],
			.via = cni_gateway(routes->v[i].addr.family),
			.ifindex = p->pod_link.ifindex,
		};
		int rc = rs_route_add(p->pod, &r, false, err);

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* The pod's end goes up here (the kernel takes no routes over a link that is down); without a
 * carrier, because the host's end is down, nothing leaves it. */
static int ask_pod(struct cni_plumb *p, const struct rs_endpoint *e,
		   const struct cni_routes *routes, struct rs_err *err)
{
	int rc = rs_link_set_no_addrgen(p->pod, p->pod_link.ifindex, err);

	if (rc == 0)
		rc = rs_link_set_up(p->pod, p->pod_link.ifindex, true, err);
	if (rc == 0)
		rc = pod_addresses(p, e, err);
	if (rc == 0)
		rc = pod_gateway(p, e, RS_AF_IP4, err);
	if (rc == 0)
		rc = pod_gateway(p, e, RS_AF_IP6, err);
	if (rc == 0)
		rc = pod_routes(p, routes, err);
	return rc;
}

static int dress_pod(struct cni_plumb *p, const struct rs_endpoint *e,
		     const struct cni_routes *routes, struct rs_err *err)
{
	int rc = cni_sysctl_pod_link(p->netns_fd, e, err);

	if (rc == 0) {
		rs_nl_gather(p->pod);
		rc = ask_pod(p, e, routes, err);
	}
	if (rc == 0)
		rc = rs_nl_flush(p->pod, err);
	rs_nl_forget(p->pod);
	return rc < 0 ? rs_err_wrap(err, "inside the pod") : 0;
}

static int host_neighbours(struct cni_plumb *p, const struct rs_endpoint *e, struct rs_err *err)
{
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < e->n_ips; i++)
		rc = rs_neigh_set(p->host, e->host_ifindex, &e->ips[i], e->pod_mac, err);
	return rc;
}

static int dress_host(struct cni_plumb *p, const struct rs_endpoint *e, struct rs_err *err)
{
	int rc;

	rs_nl_gather(p->host);
	rc = rs_link_set_no_addrgen(p->host, e->host_ifindex, err);
	if (rc == 0)
		rc = cni_sysctl_host_link(p->host, e, err);
	if (rc == 0)
		rc = host_neighbours(p, e, err);
	if (rc == 0)
		rc = rs_nl_flush(p->host, err);
	rs_nl_forget(p->host);
	return rc;
}

int cni_plumb_dress(struct cni_plumb *p, const struct rs_endpoint *e,
		    const struct cni_routes *routes, struct rs_err *err)
{
	int rc = dress_host(p, e, err);

	return rc < 0 ? rc : dress_pod(p, e, routes, err);
}

static int ask_gate(struct cni_plumb *p, const struct rs_endpoint *e, struct rs_err *err)
{
	int rc = rs_link_set_up(p->host, e->host_ifindex, true, err);

	for (size_t i = 0; rc == 0 && i < e->n_ips; i++) {
		struct rs_route r = {
			.dst = { .addr = e->ips[i],
				 .len = (uint8_t)rs_addr_bits(e->ips[i].family) },
			.ifindex = e->host_ifindex,
		};

		rc = rs_route_add(p->host, &r, false, err);
	}
	return rc;
}

/*
 * The pod's end has its carrier now. Since Linux 6.8 asking for the link makes it ready to send at
 * once (linkwatch_sync_dev); before, a worker of the kernel does, as a rule within a millisecond.
 * Without this the pod's first packets could be lost.
 */
static void await_sending(struct cni_plumb *p)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	struct rs_link link;

	for (int i = 0; i < SENDS_WITHIN_MS; i++) {
		if (rs_link_get_index(p->pod, p->pod_link.ifindex, &link, NULL) < 0 || link.sends)
			return;
		nanosleep(&pause, NULL);
	}
	cni_warn("the pod's link had no queue after %d ms: its first packets may be lost",
		 SENDS_WITHIN_MS);
}

int cni_plumb_open_gate(struct cni_plumb *p, const struct rs_endpoint *e, struct rs_err *err)
{
	/* Not before an agent has answered: an ADD that fails makes no router of the machine,
	 * and the agent has put its unreachable routes. */
	int rc = cni_sysctl_forwarding(p->host, e, err);

	if (rc < 0)
		return rc;
	rs_nl_gather(p->host);
	rc = ask_gate(p, e, err);
	if (rc == 0)
		rc = rs_nl_flush(p->host, err);
	rs_nl_forget(p->host);
	if (rc == -EEXIST)
		rs_err_hint(err, "another link of this node holds the pod's address");
	if (rc == 0)
		await_sending(p);
	return rc;
}
