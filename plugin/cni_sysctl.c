// SPDX-License-Identifier: Apache-2.0
/* cni_sysctl.c - switches of a pod's links and of forwarding; the agent may not write them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <linux/ip.h>

#include "plugin/cni.h"

struct knob {
	const char *name;
	const char *value;
};

static const struct rs_link_setting host4[] = {
	{ IPV4_DEVCONF_RP_FILTER, 0 }, /* the guard judges sources, and knows more */
	{ IPV4_DEVCONF_FORWARDING, 1 },	    { IPV4_DEVCONF_PROXY_ARP, 0 },
	{ IPV4_DEVCONF_ROUTE_LOCALNET, 0 }, { IPV4_DEVCONF_ACCEPT_REDIRECTS, 0 },
	{ IPV4_DEVCONF_SEND_REDIRECTS, 0 },
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

static int set_each(int folder, const struct knob *k, size_t n, struct rs_err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = rs_sysctl_set_at(folder, k[i].name, k[i].value, err);
	return rc;
}

/* A kernel without the family has no such folder; that matters only to a pod that uses it. */
static int set_six(const char *link, const struct knob *k, size_t n, bool six,
		   const struct knob *more, size_t n_more, struct rs_err *err)
{
	rs_autofree char *path = rs_asprintf("net/ipv6/conf/%s", link);
	rs_autoclose int folder = rs_sysctl_folder(path, err);
	int rc = folder < 0 ? folder : set_each(folder, k, n, err);

	if (rc == -ENOENT && !six) {
		rs_err_clear(err);
		return 0;
	}
	if (rc == 0 && six)
		rc = set_each(folder, more, n_more, err);
	if (rc < 0)
		rs_err_wrap(err, "%s", path);
	return rc;
}

int cni_sysctl_host_link(struct rs_nl *host, const struct rs_endpoint *e, struct rs_err *err)
{
	static const struct knob used[] = { { "disable_ipv6", "0" }, { "forwarding", "1" } };
	int rc = rs_link_set_ipv4(host, e->host_ifindex, host4, RS_ARRAY_SIZE(host4), err);

	if (rc == 0)
		rc = set_six(e->host_ifname, host6, RS_ARRAY_SIZE(host6),
			     cni_has_family(e, RS_AF_IP6), used, RS_ARRAY_SIZE(used), err);
	return rc;
}

static int pod_link(void *arg, struct rs_err *err)
{
	static const struct knob used[] = { { "disable_ipv6", "0" } };
	const struct rs_endpoint *e = arg;

	return set_six(e->ifname, pod6, RS_ARRAY_SIZE(pod6), cni_has_family(e, RS_AF_IP6), used,
		       RS_ARRAY_SIZE(used), err);
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
