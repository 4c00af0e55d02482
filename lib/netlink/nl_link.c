// SPDX-License-Identifier: Apache-2.0
/* nl_link.c - links: look, create a veth pair, change one thing, delete. */
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#include "netlink/nl_internal.h"

/* linux/if.h and net/if.h do not live together; these are the two values we need. */
#define ADDR_GEN_NONE 1 /* IN6_ADDR_GEN_MODE_NONE */

struct links {
	struct rs_vec(struct rs_link) l;
};

static void parse_kind(struct rs_link *l, struct nlattr *info)
{
	struct nlattr *tb[IFLA_INFO_MAX + 1];

	if (!info || nla_parse_nested(tb, IFLA_INFO_MAX, info, NULL) < 0)
		return;
	if (tb[IFLA_INFO_KIND])
		nla_strlcpy(l->kind, tb[IFLA_INFO_KIND], sizeof(l->kind));
}

static void parse_attrs(struct rs_link *l, struct nlattr **tb)
{
	if (tb[IFLA_IFNAME])
		nla_strlcpy(l->name, tb[IFLA_IFNAME], sizeof(l->name));
	if (tb[IFLA_ADDRESS] && nla_len(tb[IFLA_ADDRESS]) == (int)sizeof(l->mac))
		memcpy(l->mac, nla_data(tb[IFLA_ADDRESS]), sizeof(l->mac));
	if (tb[IFLA_MTU])
		l->mtu = nla_get_u32(tb[IFLA_MTU]);
	if (tb[IFLA_GROUP])
		l->group = nla_get_u32(tb[IFLA_GROUP]);
	if (tb[IFLA_LINK])
		l->peer_ifindex = nla_get_u32(tb[IFLA_LINK]);
	parse_kind(l, tb[IFLA_LINKINFO]);
}

static int on_link(struct nlmsghdr *h, void *arg)
{
	struct nlattr *tb[IFLA_MAX + 1];
	struct links *links = arg;
	struct ifinfomsg *ifi;
	struct rs_link *l;

	if (h->nlmsg_type != RTM_NEWLINK)
		return 0;
	if (nlmsg_parse(h, sizeof(*ifi), tb, IFLA_MAX, NULL) < 0)
		return -EPROTO;
	ifi = nlmsg_data(h);
	l = rs_vec_push(&links->l);
	l->ifindex = (uint32_t)ifi->ifi_index;
	l->up = ifi->ifi_flags & IFF_UP;
	l->noarp = ifi->ifi_flags & IFF_NOARP;
	l->carrier = ifi->ifi_flags & IFF_LOWER_UP;
	/* A link with a new carrier has its queue when a worker of the kernel gets to it. */
	l->sends = l->up && l->carrier && tb[IFLA_QDISC] && nla_strcmp(tb[IFLA_QDISC], "noop") != 0;
	parse_attrs(l, tb);
	return 0;
}

static int get(struct rs_nl *nl, const char *name, uint32_t ifindex, int flags, struct links *out)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex };
	struct nl_msg *msg = rs_nl_msg(RTM_GETLINK, flags, &ifi, sizeof(ifi));
	int rc = 0;

	if (name)
		RS_NL_PUT(rc, nla_put_string(msg, IFLA_IFNAME, name));
	RS_NL_PUT(rc, nla_put_u32(msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS));
	if (rc < 0) {
		nlmsg_free(msg);
		return rc;
	}
	return rs_nl_talk(nl, msg, on_link, out);
}

static int get_one(struct rs_nl *nl, const char *name, uint32_t ifindex, struct rs_link *out)
{
	struct links links = { 0 };
	int rc = get(nl, name, ifindex, 0, &links);

	if (rc == 0 && links.l.n != 1)
		rc = -ENODEV;
	if (rc == 0)
		*out = links.l.v[0];
	rs_vec_free(&links.l);
	return rc;
}

int rs_link_get(struct rs_nl *nl, const char *name, struct rs_link *out, struct rs_err *err)
{
	int rc = strlen(name) < RS_NL_IFNAME_LEN ? get_one(nl, name, 0, out) : -ENODEV;

	return rc < 0 ? rs_nl_fail(err, rc, "link %s", name) : 0;
}

int rs_link_get_index(struct rs_nl *nl, uint32_t ifindex, struct rs_link *out, struct rs_err *err)
{
	int rc = ifindex ? get_one(nl, NULL, ifindex, out) : -ENODEV;

	return rc < 0 ? rs_nl_fail(err, rc, "link with index %u", ifindex) : 0;
}

int rs_link_list(struct rs_nl *nl, struct rs_link **out, size_t *n, struct rs_err *err)
{
	struct links links = { 0 };
	int rc = -EAGAIN, tries;

	for (tries = 0; rc == -EAGAIN && tries < RS_NL_DUMP_TRIES; tries++) {
		links.l.n = 0;
		rc = get(nl, NULL, 0, NLM_F_DUMP, &links);
	}
	if (rc < 0) {
		rs_vec_free(&links.l);
		return rs_nl_fail(err, rc, "list links");
	}
	*out = links.l.v;
	*n = links.l.n;
	return 0;
}

/* Without the lock that answers about links are written under; each ADD and DEL holds it. */
int rs_link_index(struct rs_nl *nl, const char *name, uint32_t *out, struct rs_err *err)
{
	size_t len = strlen(name);
	struct ifreq r = { 0 };

	if (len >= sizeof(r.ifr_name))
		return rs_nl_fail(err, -ENODEV, "link %s", name);
	memcpy(r.ifr_name, name, len);
	if (ioctl(nl_socket_get_fd(nl->sk), SIOCGIFINDEX, &r) < 0)
		return rs_nl_fail(err, -errno, "link %s", name);
	*out = (uint32_t)r.ifr_ifindex;
	return 0;
}

/* As many as either end uses. By default the kernel makes one for each processor that there may
 * be, each with its files in /sys, and then takes all but one away again. */
static int put_queues(struct nl_msg *msg)
{
	int rc = 0;

	RS_NL_PUT(rc, nla_put_u32(msg, IFLA_NUM_TX_QUEUES, 1));
	RS_NL_PUT(rc, nla_put_u32(msg, IFLA_NUM_RX_QUEUES, 1));
	return rc;
}

/* The peer's description: a header of its own, then attributes. */
static int put_peer(struct nl_msg *msg, const struct rs_veth *v)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC };
	struct nlattr *peer = nla_nest_start(msg, VETH_INFO_PEER);
	int rc = 0;

	if (!peer || nlmsg_append(msg, &ifi, sizeof(ifi), NLMSG_ALIGNTO) < 0)
		return -EMSGSIZE;
	RS_NL_PUT(rc, nla_put_string(msg, IFLA_IFNAME, v->pod_name));
	RS_NL_PUT(rc, nla_put_u32(msg, IFLA_NET_NS_FD, (uint32_t)v->pod_netns_fd));
	RS_NL_PUT(rc, nla_put(msg, IFLA_ADDRESS, sizeof(v->pod_mac), v->pod_mac));
	RS_NL_PUT(rc, nla_put_u32(msg, IFLA_MTU, v->mtu));
	RS_NL_PUT(rc, put_queues(msg));
	nla_nest_end(msg, peer);
	return rc;
}

static int put_veth(struct nl_msg *msg, const struct rs_veth *v)
{
	struct nlattr *info, *data;
	int rc = 0;

	RS_NL_PUT(rc, nla_put_string(msg, IFLA_IFNAME, v->host_name));
	RS_NL_PUT(rc, nla_put(msg, IFLA_ADDRESS, sizeof(v->host_mac), v->host_mac));
	RS_NL_PUT(rc, nla_put_u32(msg, IFLA_MTU, v->mtu));
	RS_NL_PUT(rc, nla_put_u32(msg, IFLA_GROUP, v->group));
	RS_NL_PUT(rc, put_queues(msg));
	info = nla_nest_start(msg, IFLA_LINKINFO);
	if (rc < 0 || !info)
		return -EMSGSIZE;
	RS_NL_PUT(rc, nla_put_string(msg, IFLA_INFO_KIND, "veth"));
	data = nla_nest_start(msg, IFLA_INFO_DATA);
	if (rc < 0 || !data)
		return -EMSGSIZE;
	rc = put_peer(msg, v);
	nla_nest_end(msg, data);
	nla_nest_end(msg, info);
	return rc;
}

int rs_veth_create(struct rs_nl *nl, const struct rs_veth *v, uint32_t *host, struct rs_err *err)
{
	struct ifinfomsg ifi = {
		.ifi_family = AF_UNSPEC,
		.ifi_flags = IFF_NOARP,
		.ifi_change = IFF_NOARP,
	};
	struct nl_msg *msg = rs_nl_msg(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &ifi, sizeof(ifi));
	int rc = put_veth(msg, v);

	if (rc < 0) {
		nlmsg_free(msg);
		return rs_nl_fail(err, rc, "create veth %s", v->host_name);
	}
	rc = rs_nl_talk(nl, msg, NULL, NULL);
	if (rc < 0)
		return rs_nl_fail(err, rc, "create veth %s (peer %s)", v->host_name, v->pod_name);
	return rs_link_index(nl, v->host_name, host, err);
}

static int set_flags(struct rs_nl *nl, uint32_t ifindex, unsigned int flags, unsigned int mask,
		     struct rs_err *err)
{
	struct ifinfomsg ifi = {
		.ifi_family = AF_UNSPEC,
		.ifi_index = (int)ifindex,
		.ifi_flags = flags,
		.ifi_change = mask,
	};

	return rs_nl_change(nl, rs_nl_msg(RTM_NEWLINK, 0, &ifi, sizeof(ifi)), 0, err,
			    "link with index %u: set flags", ifindex);
}

int rs_link_set_up(struct rs_nl *nl, uint32_t ifindex, bool up, struct rs_err *err)
{
	return set_flags(nl, ifindex, up ? IFF_UP : 0, IFF_UP, err);
}

int rs_link_set_noarp(struct rs_nl *nl, uint32_t ifindex, struct rs_err *err)
{
	return set_flags(nl, ifindex, IFF_NOARP, IFF_NOARP, err);
}

int rs_link_set_group(struct rs_nl *nl, uint32_t ifindex, uint32_t group, struct rs_err *err)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex };
	struct nl_msg *msg = rs_nl_msg(RTM_NEWLINK, 0, &ifi, sizeof(ifi));
	int rc = 0;

	RS_NL_PUT(rc, nla_put_u32(msg, IFLA_GROUP, group));
	return rs_nl_change(nl, msg, 0, err, "link with index %u: set group %u", ifindex, group);
}

static int put_addrgen(struct nl_msg *msg)
{
	struct nlattr *spec = nla_nest_start(msg, IFLA_AF_SPEC), *six;
	int rc = 0;

	if (!spec)
		return -EMSGSIZE;
	six = nla_nest_start(msg, AF_INET6);
	if (!six)
		return -EMSGSIZE;
	RS_NL_PUT(rc, nla_put_u8(msg, IFLA_INET6_ADDR_GEN_MODE, ADDR_GEN_NONE));
	nla_nest_end(msg, six);
	nla_nest_end(msg, spec);
	return rc;
}

int rs_link_set_no_addrgen(struct rs_nl *nl, uint32_t ifindex, struct rs_err *err)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex };
	struct nl_msg *msg = rs_nl_msg(RTM_NEWLINK, 0, &ifi, sizeof(ifi));
	int rc = put_addrgen(msg);

	if (rc < 0) {
		nlmsg_free(msg);
		return rs_nl_fail(err, rc, "link with index %u", ifindex);
	}
	/* A kernel or a link without IPv6 generates nothing anyway. */
	return rs_nl_change(nl, msg, EAFNOSUPPORT, err,
			    "link with index %u: IPv6 address generation off", ifindex);
}

static int put_ipv4(struct nl_msg *msg, const struct rs_link_setting *v, size_t n)
{
	struct nlattr *spec = nla_nest_start(msg, IFLA_AF_SPEC), *four, *conf;
	int rc = 0;

	if (!spec)
		return -EMSGSIZE;
	four = nla_nest_start(msg, AF_INET);
	if (!four)
		return -EMSGSIZE;
	conf = nla_nest_start(msg, IFLA_INET_CONF);
	if (!conf)
		return -EMSGSIZE;
	for (size_t i = 0; i < n; i++)
		RS_NL_PUT(rc, nla_put_u32(msg, v[i].which, v[i].value));
	nla_nest_end(msg, conf);
	nla_nest_end(msg, four);
	nla_nest_end(msg, spec);
	return rc;
}

int rs_link_set_ipv4(struct rs_nl *nl, uint32_t ifindex, const struct rs_link_setting *v, size_t n,
		     struct rs_err *err)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex };
	struct nl_msg *msg = rs_nl_msg(RTM_NEWLINK, 0, &ifi, sizeof(ifi));
	int rc = put_ipv4(msg, v, n);

	if (rc < 0) {
		nlmsg_free(msg);
		return rs_nl_fail(err, rc, "link with index %u", ifindex);
	}
	return rs_nl_change(nl, msg, 0, err, "link with index %u: IPv4 settings", ifindex);
}

int rs_link_del(struct rs_nl *nl, uint32_t ifindex, struct rs_err *err)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex };
	int rc;

	/* Index 0 names no link: some kernels would take the first attribute instead. */
	if (!ifindex)
		return 0;
	rc = rs_nl_talk(nl, rs_nl_msg(RTM_DELLINK, 0, &ifi, sizeof(ifi)), NULL, NULL);
	if (rc < 0 && rc != -ENODEV)
		return rs_nl_fail(err, rc, "delete the link with index %u", ifindex);
	return 0;
}

int rs_link_del_group(struct rs_nl *nl, uint32_t group, struct rs_err *err)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC };
	struct nl_msg *msg;
	int rc = 0;

	if (!group)
		return rs_err_set(err, EINVAL, "links of group 0 are not deleted");
	msg = rs_nl_msg(RTM_DELLINK, 0, &ifi, sizeof(ifi));
	RS_NL_PUT(rc, nla_put_u32(msg, IFLA_GROUP, group));
	rc = rs_nl_talk(nl, msg, NULL, NULL);
	if (rc < 0 && rc != -ENODEV)
		return rs_nl_fail(err, rc, "delete the links of group %u", group);
	return 0;
}
