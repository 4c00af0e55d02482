/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netlink.h - lib/netlink: links, addresses, routes, neighbours and sysctls, over libnl-3.
 *
 * What flows in: names and plain values. What flows out: kernel state, or an error that names the
 * object ("link rs3a91c0: No such device"). A handle belongs to the network namespace in which it
 * was opened and stays there; it is used by one thread. Library names (nl_*, rtnl_*) stay inside.
 *
 * Every function returns 0 or a negative errno. EPERM is classified as CNI code 104 with a hint.
 */
#ifndef RIPSTOP_NETLINK_NETLINK_H
#define RIPSTOP_NETLINK_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ripstop/addr.h>
#include <ripstop/error.h>

#define RS_NL_IFNAME_LEN 16
/* Routes of ours carry this protocol number, and only those are ever removed. rtnetlink.h leaves
 * 4..255 to user space; 91 is used by nobody in iproute2's rt_protos. */
#define RS_NL_ROUTE_PROTO 91

struct rs_nl;

/* A handle in the calling thread's network namespace. */
int rs_nl_open(struct rs_nl **out, struct rs_err *err);
/* A handle in the namespace of netns_fd: the thread enters it for the moment of the open and is
 * brought back, on every path. */
int rs_nl_open_netns(int netns_fd, struct rs_nl **out, struct rs_err *err);
void rs_nl_close(struct rs_nl *nl);

/*
 * From gather to flush, what changes links, addresses, neighbours or routes only waits; then it
 * goes in one datagram, in its order, and is answered once. The kernel does not stop at the first
 * that fails, which is the one that the error names. forget() drops what waits.
 */
void rs_nl_gather(struct rs_nl *nl);
int rs_nl_flush(struct rs_nl *nl, struct rs_err *err);
void rs_nl_forget(struct rs_nl *nl);

/* Open a network namespace path: -EINVAL with code 8 when it is missing, no nsfs file, or the
 * caller's own namespace (compared by device and inode). O_CLOEXEC. */
int rs_netns_open(const char *path, int *fd, struct rs_err *err);
/* Run fn inside that namespace and come back; abort() if there is no coming back. */
int rs_netns_do(int netns_fd, int (*fn)(void *arg, struct rs_err *err), void *arg,
		struct rs_err *err);

struct rs_link {
	uint32_t ifindex;
	char name[RS_NL_IFNAME_LEN];
	uint8_t mac[6];
	uint32_t mtu;
	uint32_t group;
	bool up;
	uint32_t peer_ifindex; /* veth: IFLA_LINK; 0 otherwise */
	char kind[16];	       /* "veth", "" */
	bool noarp;
	bool carrier;
	bool sends; /* has a carrier and its queue; until then what is sent is lost */
};

/* -ENODEV when there is none. */
int rs_link_get(struct rs_nl *nl, const char *name, struct rs_link *out, struct rs_err *err);
/* Its index alone, for much less than the whole. */
int rs_link_index(struct rs_nl *nl, const char *name, uint32_t *out, struct rs_err *err);
int rs_link_get_index(struct rs_nl *nl, uint32_t ifindex, struct rs_link *out, struct rs_err *err);
/* All links; caller frees *out. */
int rs_link_list(struct rs_nl *nl, struct rs_link **out, size_t *n, struct rs_err *err);

struct rs_veth {
	const char *host_name;
	const char *pod_name;
	int pod_netns_fd;
	uint8_t host_mac[6];
	uint8_t pod_mac[6];
	uint32_t mtu;
	uint32_t group; /* of the host end, from its creation on: never for a moment without */
};

/* One RTM_NEWLINK: both ends down and with one queue, host end NOARP and in its group. Before it
 * goes up its IPv6 address generation is to be set. *host: the host end's index.
 * -EEXIST when either name is taken (nothing is changed then). */
int rs_veth_create(struct rs_nl *nl, const struct rs_veth *v, uint32_t *host, struct rs_err *err);

int rs_link_set_up(struct rs_nl *nl, uint32_t ifindex, bool up, struct rs_err *err);
int rs_link_set_noarp(struct rs_nl *nl, uint32_t ifindex, struct rs_err *err);
int rs_link_set_group(struct rs_nl *nl, uint32_t ifindex, uint32_t group, struct rs_err *err);
/* No IPv6 address of its own making; on a kernel without IPv6 nothing is to be done. */
int rs_link_set_no_addrgen(struct rs_nl *nl, uint32_t ifindex, struct rs_err *err);
/* IPv4 settings of a link, by linux/ip.h's IPV4_DEVCONF_*; as a file each under
 * /proc/sys/net/ipv4/conf/LINK, in one request. */
struct rs_link_setting {
	uint16_t which;
	uint32_t value;
};
int rs_link_set_ipv4(struct rs_nl *nl, uint32_t ifindex, const struct rs_link_setting *v, size_t n,
		     struct rs_err *err);
/* Deleting what is gone is no error. */
int rs_link_del(struct rs_nl *nl, uint32_t ifindex, struct rs_err *err);

/* All links of a group at once: the kernel's waiting, which is most of a deletion, is done once.
 * None there is no error; group 0, in which every link begins, is -EINVAL. */
int rs_link_del_group(struct rs_nl *nl, uint32_t group, struct rs_err *err);

/*
 * News of links that go (RTNLGRP_LINK), of this namespace alone. The kernel sends them when nobody
 * finds the link any more, before whoever deletes it has waited for its last users. *fd does not
 * block. Some may be lost when many come at once.
 */
int rs_link_news_open(int *fd, struct rs_err *err);
int rs_link_news_listen(int fd, bool on);
void rs_link_news_read(int fd, void (*gone)(void *arg, uint32_t ifindex), void *arg);

/* len: prefix length; flags set for us: nodad, permanent. */
int rs_addr_add_link(struct rs_nl *nl, uint32_t ifindex, const struct rs_addr *a, unsigned int len,
		     struct rs_err *err);
struct rs_link_addr {
	uint32_t ifindex;
	struct rs_addr addr;
	uint8_t len;
};
/* Addresses of all links of the namespace (of one when ifindex is not 0); caller frees. */
int rs_addr_list(struct rs_nl *nl, uint32_t ifindex, struct rs_link_addr **out, size_t *n,
		 struct rs_err *err);

/* Permanent neighbour entry. */
int rs_neigh_set(struct rs_nl *nl, uint32_t ifindex, const struct rs_addr *a, const uint8_t mac[6],
		 struct rs_err *err);
struct rs_neigh {
	struct rs_addr addr;
	uint8_t mac[6];
	bool permanent;
};
/* Neighbours of one link, both families; caller frees. */
int rs_neigh_list(struct rs_nl *nl, uint32_t ifindex, struct rs_neigh **out, size_t *n,
		  struct rs_err *err);

struct rs_route {
	struct rs_cidr dst;
	uint32_t ifindex;   /* 0 for unreachable */
	struct rs_addr via; /* family 0: none (scope link) */
	struct rs_addr src; /* preferred source; family 0: none */
	bool onlink;
	bool unreachable;
	uint32_t mtu;	   /* 0: none */
	uint32_t priority; /* metric; 0: default */
	uint8_t protocol;  /* told by rs_route_list, ignored elsewhere */
};

#define RS_NL_PROTO_RA 9 /* protocol of a route that came from a router advertisement */

/* Add a route with RS_NL_ROUTE_PROTO in the main table; -EEXIST when one of that destination and
 * metric exists and replace is false. */
int rs_route_add(struct rs_nl *nl, const struct rs_route *r, bool replace, struct rs_err *err);
/* Remove ours; none there is no error. */
int rs_route_del(struct rs_nl *nl, const struct rs_route *r, struct rs_err *err);
/* Routes of the main table, ours only when ours_only; caller frees. */
int rs_route_list(struct rs_nl *nl, int family, bool ours_only, struct rs_route **out, size_t *n,
		  struct rs_err *err);
/* Interface of the default route and its MTU; family RS_AF_IP4 or RS_AF_IP6. -ENOENT when none. */
int rs_uplink(struct rs_nl *nl, int family, struct rs_link *out, struct rs_err *err);

/* Write /proc/sys/<path> ("net/ipv4/conf/rs1/rp_filter") if it does not hold the value already.
 * A missing file is -ENOENT. Acts on the calling thread's namespace. */
int rs_sysctl_set(const char *path, const char *value, struct rs_err *err);
/* The same for files of one folder, of which an open one is given. */
int rs_sysctl_folder(const char *path, struct rs_err *err);
int rs_sysctl_set_at(int folder, const char *name, const char *value, struct rs_err *err);
int rs_sysctl_get(const char *path, char *buf, size_t size, struct rs_err *err);

#endif
