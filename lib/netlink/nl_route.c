// SPDX-License-Identifier: Apache-2.0
/* nl_route.c - routes of the main table, and the uplink that they tell of. */
#include <errno.h>
#include <string.h>

#include <linux/rtnetlink.h>

#include "netlink/nl_internal.h"

static int fail(struct rs_err *err, int rc, const char *what, const struct rs_route *r)
{
	char text[RS_CIDR_STRLEN];

	return rs_nl_fail(err, rc, "%s route %s", what, rs_cidr_str(&r->dst, text));
}

static int put_metrics(struct nl_msg *msg, uint32_t mtu)
{
	struct nlattr *m = nla_nest_start(msg, RTA_METRICS);

	if (!m || nla_put_u32(msg, RTAX_MTU, mtu) < 0)
		return -EMSGSIZE;
	nla_nest_end(msg, m);
	return 0;
}

static struct nl_msg *route_msg(int type, int flags, const struct rs_route *r, uint8_t scope)
{
	struct rtmsg rtm = {
		.rtm_family = (uint8_t)rs_nl_af(r->dst.addr.family),
		.rtm_dst_len = r->dst.len,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RS_NL_ROUTE_PROTO,
		.rtm_scope = scope,
		.rtm_type = r->unreachable ? RTN_UNREACHABLE : RTN_UNICAST,
		.rtm_flags = r->onlink ? RTNH_F_ONLINK : 0,
	};
	struct nl_msg *msg = rs_nl_msg(type, flags, &rtm, sizeof(rtm));
	int rc = 0;

	if (r->dst.len)
		RS_NL_PUT(rc, rs_nl_put_addr(msg, RTA_DST, &r->dst.addr));
	if (r->ifindex && !r->unreachable)
		RS_NL_PUT(rc, nla_put_u32(msg, RTA_OIF, r->ifindex));
	if (r->via.family)
		RS_NL_PUT(rc, rs_nl_put_addr(msg, RTA_GATEWAY, &r->via));
	if (r->priority)
		RS_NL_PUT(rc, nla_put_u32(msg, RTA_PRIORITY, r->priority));
	return msg;
}

int rs_route_add(struct rs_nl *nl, const struct rs_route *r, bool replace, struct rs_err *err)
{
	int flags = NLM_F_CREATE | (replace ? NLM_F_REPLACE : NLM_F_EXCL);
	uint8_t scope = r->via.family || r->unreachable ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	char text[RS_CIDR_STRLEN];
	struct nl_msg *msg;
	int rc = 0;

	if (r->via.family && r->via.family != r->dst.addr.family)
		return fail(err, -EAFNOSUPPORT, "add", r);
	msg = route_msg(RTM_NEWROUTE, flags, r, scope);
	if (r->src.family)
		RS_NL_PUT(rc, rs_nl_put_addr(msg, RTA_PREFSRC, &r->src));
	if (r->mtu)
		RS_NL_PUT(rc, put_metrics(msg, r->mtu));
	if (rc < 0) {
		nlmsg_free(msg);
		return fail(err, rc, "add", r);
	}
	return rs_nl_change(nl, msg, 0, err, "add route %s", rs_cidr_str(&r->dst, text));
}

int rs_route_del(struct rs_nl *nl, const struct rs_route *r, struct rs_err *err)
{
	int rc = rs_nl_talk(nl, route_msg(RTM_DELROUTE, 0, r, RT_SCOPE_NOWHERE), NULL, NULL);

	if (rc < 0 && rc != -ESRCH && rc != -ENODEV)
		return fail(err, rc, "remove", r);
	return 0;
}

struct routes {
	bool ours_only;
	struct rs_vec(struct rs_route) r;
};

static void parse_hop(struct rs_route *r, struct nlattr *multipath, int af)
{
	struct rtnexthop *hop = nla_data(multipath);
	struct nlattr *tb[RTA_MAX + 1];

	/* Of several next hops the first stands for all: it names the uplink. */
	if (nla_len(multipath) < (int)sizeof(*hop) || hop->rtnh_len < sizeof(*hop) ||
	    hop->rtnh_len > nla_len(multipath))
		return;
	r->ifindex = (uint32_t)hop->rtnh_ifindex;
	if (nla_parse(tb, RTA_MAX, (struct nlattr *)(void *)((char *)hop + RTNH_LENGTH(0)),
		      hop->rtnh_len - (int)RTNH_LENGTH(0), NULL) == 0)
		rs_nl_get_addr(tb[RTA_GATEWAY], af, &r->via);
}

static void parse_mtu(struct rs_route *r, struct nlattr *metrics)
{
	struct nlattr *tb[RTAX_MAX + 1];

	if (nla_parse_nested(tb, RTAX_MAX, metrics, NULL) == 0 && tb[RTAX_MTU])
		r->mtu = nla_get_u32(tb[RTAX_MTU]);
}

static void parse_route(struct rs_route *r, const struct rtmsg *rtm, struct nlattr **tb)
{
	int af = rtm->rtm_family;

	r->dst.addr.family = af == AF_INET ? RS_AF_IP4 : RS_AF_IP6;
	r->dst.len = rtm->rtm_dst_len;
	rs_nl_get_addr(tb[RTA_DST], af, &r->dst.addr);
	r->unreachable = rtm->rtm_type == RTN_UNREACHABLE;
	r->protocol = rtm->rtm_protocol;
	r->onlink = rtm->rtm_flags & RTNH_F_ONLINK;
	if (tb[RTA_OIF] && !r->unreachable)
		r->ifindex = nla_get_u32(tb[RTA_OIF]);
	rs_nl_get_addr(tb[RTA_GATEWAY], af, &r->via);
	rs_nl_get_addr(tb[RTA_PREFSRC], af, &r->src);
	if (tb[RTA_PRIORITY])
		r->priority = nla_get_u32(tb[RTA_PRIORITY]);
	if (tb[RTA_METRICS])
		parse_mtu(r, tb[RTA_METRICS]);
	if (tb[RTA_MULTIPATH] && !r->ifindex)
		parse_hop(r, tb[RTA_MULTIPATH], af);
}

static int on_route(struct nlmsghdr *h, void *arg)
{
	struct nlattr *tb[RTA_MAX + 1];
	struct routes *routes = arg;
	struct rtmsg *rtm;
	uint32_t table;

	if (h->nlmsg_type != RTM_NEWROUTE)
		return 0;
	if (nlmsg_parse(h, sizeof(*rtm), tb, RTA_MAX, NULL) < 0)
		return -EPROTO;
	rtm = nlmsg_data(h);
	table = tb[RTA_TABLE] ? nla_get_u32(tb[RTA_TABLE]) : rtm->rtm_table;
	if (table != RT_TABLE_MAIN || (rtm->rtm_flags & RTM_F_CLONED))
		return 0;
	if (rtm->rtm_family != AF_INET && rtm->rtm_family != AF_INET6)
		return 0;
	if (routes->ours_only && rtm->rtm_protocol != RS_NL_ROUTE_PROTO)
		return 0;
	parse_route(rs_vec_push(&routes->r), rtm, tb);
	return 0;
}

int rs_route_list(struct rs_nl *nl, int family, bool ours_only, struct rs_route **out, size_t *n,
		  struct rs_err *err)
{
	struct rtmsg rtm = {
		.rtm_family = (uint8_t)rs_nl_af(family),
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = ours_only ? RS_NL_ROUTE_PROTO : 0,
	};
	struct routes routes = { .ours_only = ours_only };
	int rc = -EAGAIN, tries;

	for (tries = 0; rc == -EAGAIN && tries < RS_NL_DUMP_TRIES; tries++) {
		routes.r.n = 0;
		rc = rs_nl_talk(nl, rs_nl_msg(RTM_GETROUTE, NLM_F_DUMP, &rtm, sizeof(rtm)),
				on_route, &routes);
	}
	/* A namespace that never had a route of the family has no such table: nothing to list. */
	if (rc == -ENOENT) {
		routes.r.n = 0;
		rc = 0;
	}
	if (rc < 0) {
		rs_vec_free(&routes.r);
		return rs_nl_fail(err, rc, "list routes");
	}
	*out = routes.r.v;
	*n = routes.r.n;
	return 0;
}

int rs_uplink(struct rs_nl *nl, int family, struct rs_link *out, struct rs_err *err)
{
	const struct rs_route *best = NULL;
	struct rs_route *list = NULL;
	uint32_t ifindex = 0;
	size_t n = 0, i;
	int rc = rs_route_list(nl, family, false, &list, &n, err);

	if (rc < 0)
		return rc;
	for (i = 0; i < n; i++) {
		if (list[i].dst.len || list[i].unreachable || !list[i].ifindex)
			continue;
		if (!best || list[i].priority < best->priority)
			best = &list[i];
	}
	if (best)
		ifindex = best->ifindex;
	free(list);
	if (!ifindex)
		return rs_err_set(err, ENOENT, "there is no IPv%d default route", family);
	return rs_link_get_index(nl, ifindex, out, err);
}
