// SPDX-License-Identifier: Apache-2.0
/* cni_sysctl.c - switches of a pod's links and of forwarding; the agent may not write them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "plugin/cni.h"

struct knob {
	const char *name;
	const char *value;
};

static const struct knob host4[] = {
	{ "rp_filter", "0" }, /* the guard judges sources, and knows more */
	{ "forwarding", "1" },	     { "proxy_arp", "0" },	{ "route_localnet", "0" },
	{ "accept_redirects", "0" }, { "send_redirects", "0" },
};

static const struct knob host6[] = {
	{ "accept_ra", "0" }, { "autoconf", "0" },	   { "accept_dad", "0" },
	{ "proxy_ndp", "0" }, { "accept_redirects", "0" },
};

static const struct knob pod6[] = {
	{ "accept_ra", "0" },
	{ "autoconf", "0" },
	{ "accept_dad", "0" },
	{ "accept_redirects", "0" },
};

/* A kernel without the family has no such file; that matters only to a pod that uses it. */
static int set_all(const char *family, const char *link, const struct knob *k, size_t n,
		   bool needed, struct rs_err *err)
{
	size_t i;

	for (i = 0; i < n; i++) {
		rs_autofree char *path = rs_asprintf("net/%s/conf/%s/%s", family, link, k[i].name);
		int rc = rs_sysctl_set(path, k[i].value, err);

		if (rc < 0 && (needed || rc != -ENOENT))
			return rc;
		rs_err_clear(err);
	}
	return 0;
}

static int enable6(const char *link, struct rs_err *err)
{
	static const struct knob on[] = { { "disable_ipv6", "0" } };

	return set_all("ipv6", link, on, 1, true, err);
}

int cni_sysctl_host_link(const struct rs_endpoint *e, struct rs_err *err)
{
	static const struct knob forward[] = { { "forwarding", "1" } };
	bool six = cni_has_family(e, RS_AF_IP6);
	int rc = set_all("ipv4", e->host_ifname, host4, RS_ARRAY_SIZE(host4),
			 cni_has_family(e, RS_AF_IP4), err);

	if (rc == 0)
		rc = set_all("ipv6", e->host_ifname, host6, RS_ARRAY_SIZE(host6), six, err);
	if (rc == 0 && six)
		rc = enable6(e->host_ifname, err);
	if (rc == 0 && six)
		rc = set_all("ipv6", e->host_ifname, forward, 1, true, err);
	return rc;
}

static int pod_link(void *arg, struct rs_err *err)
{
	const struct rs_endpoint *e = arg;
	bool six = cni_has_family(e, RS_AF_IP6);
	int rc = set_all("ipv6", e->ifname, pod6, RS_ARRAY_SIZE(pod6), six, err);

	if (rc == 0 && six)
		rc = enable6(e->ifname, err);
	return rc;
}

int cni_sysctl_pod_link(int netns_fd, const struct rs_endpoint *e, struct rs_err *err)
{
	return rs_netns_do(netns_fd, pod_link, (void *)(uintptr_t)e, err);
}

/* A forwarding host ignores router advertisements unless its link says 2: without this the node
 * would lose its default route some time later. */
static int keep_ra_uplinks(struct rs_nl *host, struct rs_err *err)
{
	struct rs_route *list = NULL;
	size_t n = 0, i;
	int rc = rs_route_list(host, RS_AF_IP6, false, &list, &n, err);

	for (i = 0; rc == 0 && i < n; i++) {
		rs_autofree char *path = NULL;
		struct rs_link link;
		char value[16];

		if (list[i].dst.len || list[i].protocol != RS_NL_PROTO_RA ||
		    rs_link_get_index(host, list[i].ifindex, &link, NULL) < 0)
			continue;
		path = rs_asprintf("net/ipv6/conf/%s/accept_ra", link.name);
		/* 0: a daemon handles advertisements itself. */
		if (rs_sysctl_get(path, value, sizeof(value), NULL) == 0 && !strcmp(value, "1"))
			rc = rs_sysctl_set(path, "2", err);
	}
	free(list);
	return rc;
}

static int forward6(struct rs_nl *host, struct rs_err *err)
{
	static const char path[] = "net/ipv6/conf/all/forwarding";
	char value[16];
	int rc = rs_sysctl_get(path, value, sizeof(value), err);

	if (rc < 0 || !strcmp(value, "1"))
		return rc;
	rc = keep_ra_uplinks(host, err);
	return rc < 0 ? rc : rs_sysctl_set(path, "1", err);
}

int cni_sysctl_forwarding(struct rs_nl *host, const struct rs_endpoint *e, struct rs_err *err)
{
	int rc = 0;

	if (cni_has_family(e, RS_AF_IP4))
		rc = rs_sysctl_set("net/ipv4/ip_forward", "1", err);
	if (rc == 0 && cni_has_family(e, RS_AF_IP6))
		rc = forward6(host, err);
	if (rc == -ENOENT) {
		rs_err_wrap(err, "the kernel lacks a family that the pod has an address of");
		rs_err_cni(err, RS_CNI_KERNEL);
	}
	return rc;
}
