// SPDX-License-Identifier: Apache-2.0
/* nl_addr.c - addresses and neighbours of links. */
#include <errno.h>
#include <string.h>

#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "netlink/nl_internal.h"

int rs_addr_add_link(struct rs_nl *nl, uint32_t ifindex, const struct rs_addr *a, unsigned int len,
		     struct rs_err *err)
{
	struct ifaddrmsg ifa = {
		.ifa_family = (uint8_t)rs_nl_af(a->family),
		.ifa_prefixlen = (uint8_t)len,
		.ifa_flags = IFA_F_PERMANENT | (a->family == RS_AF_IP6 ? IFA_F_NODAD : 0),
		.ifa_scope = rs_addr_is_linklocal(a) ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
		.ifa_index = ifindex,
	};
	struct nl_msg *msg = rs_nl_msg(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &ifa, sizeof(ifa));
	char text[RS_ADDR_STRLEN];
	int rc = 0;

	RS_NL_PUT(rc, rs_nl_put_addr(msg, IFA_LOCAL, a));
	RS_NL_PUT(rc, rs_nl_put_addr(msg, IFA_ADDRESS, a));
	return rs_nl_change(nl, msg, 0, err, "add address %s/%u to the link with index %u",
			    rs_addr_str(a, text), len, ifindex);
}

struct addrs {
	uint32_t ifindex;
	struct rs_vec(struct rs_link_addr) a;
};

static int on_addr(struct nlmsghdr *h, void *arg)
{
	struct nlattr *tb[IFA_MAX + 1];
	struct addrs *addrs = arg;
	struct ifaddrmsg *ifa;
	struct rs_link_addr *out;
	struct rs_addr a;

	if (h->nlmsg_type != RTM_NEWADDR)
		return 0;
	if (nlmsg_parse(h, sizeof(*ifa), tb, IFA_MAX, NULL) < 0)
		return -EPROTO;
	ifa = nlmsg_data(h);
	if (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6)
		return 0;
	if (addrs->ifindex && ifa->ifa_index != addrs->ifindex)
		return 0;
	/* On a point-to-point link ADDRESS is the other end; LOCAL is ours wherever it is given. */
	if (!rs_nl_get_addr(tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS], ifa->ifa_family, &a))
		return 0;
	out = rs_vec_push(&addrs->a);
	out->ifindex = ifa->ifa_index;
	out->addr = a;
	out->len = ifa->ifa_prefixlen;
	return 0;
}

int rs_addr_list(struct rs_nl *nl, uint32_t ifindex, struct rs_link_addr **out, size_t *n,
		 struct rs_err *err)
{
	struct ifaddrmsg ifa = { .ifa_family = AF_UNSPEC, .ifa_index = ifindex };
	struct addrs addrs = { .ifindex = ifindex };
	int rc = -EAGAIN, tries;

	for (tries = 0; rc == -EAGAIN && tries < RS_NL_DUMP_TRIES; tries++) {
		addrs.a.n = 0;
		rc = rs_nl_talk(nl, rs_nl_msg(RTM_GETADDR, NLM_F_DUMP, &ifa, sizeof(ifa)), on_addr,
				&addrs);
	}
	if (rc < 0) {
		rs_vec_free(&addrs.a);
		return rs_nl_fail(err, rc, "list addresses");
	}
	*out = addrs.a.v;
	*n = addrs.a.n;
	return 0;
}

int rs_neigh_set(struct rs_nl *nl, uint32_t ifindex, const struct rs_addr *a, const uint8_t mac[6],
		 struct rs_err *err)
{
	struct ndmsg nd = {
		.ndm_family = (uint8_t)rs_nl_af(a->family),
		.ndm_ifindex = (int)ifindex,
		.ndm_state = NUD_PERMANENT,
	};
	struct nl_msg *msg = rs_nl_msg(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &nd, sizeof(nd));
	char text[RS_ADDR_STRLEN];
	int rc = 0;

	RS_NL_PUT(rc, rs_nl_put_addr(msg, NDA_DST, a));
	RS_NL_PUT(rc, nla_put(msg, NDA_LLADDR, 6, mac));
	return rs_nl_change(nl, msg, 0, err, "add neighbour %s to the link with index %u",
			    rs_addr_str(a, text), ifindex);
}

struct neighs {
	uint32_t ifindex;
	struct rs_vec(struct rs_neigh) v;
};

static int on_neigh(struct nlmsghdr *h, void *arg)
{
	struct nlattr *tb[NDA_MAX + 1];
	struct neighs *neighs = arg;
	struct rs_neigh *out;
	struct ndmsg *nd;
	struct rs_addr a;

	if (h->nlmsg_type != RTM_NEWNEIGH)
		return 0;
	if (nlmsg_parse(h, sizeof(*nd), tb, NDA_MAX, NULL) < 0)
		return -EPROTO;
	nd = nlmsg_data(h);
	if ((nd->ndm_family != AF_INET && nd->ndm_family != AF_INET6) ||
	    (uint32_t)nd->ndm_ifindex != neighs->ifindex ||
	    !rs_nl_get_addr(tb[NDA_DST], nd->ndm_family, &a))
		return 0;
	out = rs_vec_push(&neighs->v);
	out->addr = a;
	out->permanent = nd->ndm_state & NUD_PERMANENT;
	if (tb[NDA_LLADDR] && nla_len(tb[NDA_LLADDR]) == (int)sizeof(out->mac))
		memcpy(out->mac, nla_data(tb[NDA_LLADDR]), sizeof(out->mac));
	return 0;
}

int rs_neigh_list(struct rs_nl *nl, uint32_t ifindex, struct rs_neigh **out, size_t *n,
		  struct rs_err *err)
{
	struct ndmsg nd = { .ndm_family = AF_UNSPEC };
	struct neighs neighs = { .ifindex = ifindex };
	int rc = -EAGAIN, tries;

	for (tries = 0; rc == -EAGAIN && tries < RS_NL_DUMP_TRIES; tries++) {
		struct nl_msg *msg = rs_nl_msg(RTM_GETNEIGH, NLM_F_DUMP, &nd, sizeof(nd));

		neighs.v.n = 0;
		rc = 0;
		RS_NL_PUT(rc, nla_put_u32(msg, NDA_IFINDEX, ifindex));
		rc = rs_nl_talk(nl, msg, on_neigh, &neighs);
	}
	if (rc < 0) {
		rs_vec_free(&neighs.v);
		return rs_nl_fail(err, rc, "list neighbours of the link with index %u", ifindex);
	}
	*out = neighs.v.v;
	*n = neighs.v.n;
	return 0;
}
