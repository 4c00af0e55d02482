// SPDX-License-Identifier: Apache-2.0
/* podpair.c - a node with two pods, and kube-proxy's rules on it; see podpair.h. */
#include "tests/bench/podpair.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ripstop/linkgroup.h>

#include "base/base.h"
#include "netlink/netlink.h"
#include "tests/bench/benchkit.h"

#define MTU 1500
#define SERVICES 50
#define GATEWAY                                              \
	{                                                    \
		.family = RS_AF_IP4, .b = { 169, 254, 1, 1 } \
	}

static void must(int rc, const struct rs_err *err)
{
	if (rc < 0)
		bench_die("the pods' links: %s", rs_err_str(err));
}

static void dress_pod(const struct podpair_end *e, const uint8_t gateway_mac[6])
{
	const struct rs_addr gateway = GATEWAY;
	struct rs_route via = { .dst = { .addr = { .family = RS_AF_IP4 } }, .via = gateway };
	struct rs_route onlink = { .dst = { .addr = gateway, .len = 32 } };
	struct rs_nl *nl = NULL;
	rs_auto_err err = { 0 };
	struct rs_link link;

	must(rs_nl_open_netns(e->ns, &nl, &err), &err);
	must(rs_link_get(nl, "eth0", &link, &err), &err);
	via.ifindex = onlink.ifindex = link.ifindex;
	must(rs_link_set_no_addrgen(nl, link.ifindex, &err), &err);
	must(rs_link_set_up(nl, link.ifindex, true, &err), &err);
	must(rs_addr_add_link(nl, link.ifindex, &e->addr, 32, &err), &err);
	must(rs_neigh_set(nl, link.ifindex, &gateway, gateway_mac, &err), &err);
	must(rs_route_add(nl, &onlink, false, &err), &err);
	must(rs_route_add(nl, &via, false, &err), &err);
	rs_nl_close(nl);
}

static void host_sysctls(const char *ifname)
{
	rs_autofree char *rp = rs_asprintf("net/ipv4/conf/%s/rp_filter", ifname);
	rs_autofree char *redirects = rs_asprintf("net/ipv4/conf/%s/send_redirects", ifname);

	bk_sysctl(rp, "0");
	bk_sysctl(redirects, "0");
}

/* The caller is in the node's namespace. */
static void make_pod(struct rs_nl *nl, struct podpair_end *e, int nth)
{
	struct rs_veth v = { .host_name = e->ifname,
			     .pod_name = "eth0",
			     .pod_netns_fd = e->ns,
			     .host_mac = { 2, 1, 0, 0, 0, (uint8_t)nth },
			     .pod_mac = { 2, 2, 0, 0, 0, (uint8_t)nth },
			     .mtu = MTU,
			     .group = RS_LINK_GROUP };
	rs_auto_err err = { 0 };

	snprintf(e->ifname, sizeof(e->ifname), "rsbench%d", nth);
	memcpy(e->mac, v.pod_mac, sizeof(e->mac));
	must(rs_veth_create(nl, &v, &e->ifindex, &err), &err);
	must(rs_link_set_no_addrgen(nl, e->ifindex, &err), &err);
	host_sysctls(e->ifname);
	dress_pod(e, v.host_mac);
	must(rs_neigh_set(nl, e->ifindex, &e->addr, e->mac, &err), &err);
}

/* As the plugin: a moment after its carrier has come a link still loses what is sent. */
static void await_sending(const struct podpair_end *e)
{
	struct rs_nl *nl = NULL;
	rs_auto_err err = { 0 };
	struct rs_link link;

	must(rs_nl_open_netns(e->ns, &nl, &err), &err);
	must(rs_link_get(nl, "eth0", &link, &err), &err);
	for (int i = 0; i < 500 && !link.sends; i++) {
		usleep(1000);
		must(rs_link_get_index(nl, link.ifindex, &link, &err), &err);
	}
	rs_nl_close(nl);
}

void podpair_open(const struct podpair *p)
{
	struct rs_nl *nl = NULL;
	rs_auto_err err = { 0 };

	bk_ns_enter(p->node_ns);
	must(rs_nl_open(&nl, &err), &err);
	for (int i = 0; i < 2; i++) {
		struct rs_route to = { .dst = { .addr = p->pod[i].addr, .len = 32 },
				       .ifindex = p->pod[i].ifindex };

		must(rs_link_set_up(nl, to.ifindex, true, &err), &err);
		must(rs_route_add(nl, &to, false, &err), &err);
	}
	rs_nl_close(nl);
	for (int i = 0; i < 2; i++)
		await_sending(&p->pod[i]);
}

void podpair_make(struct podpair *p, const struct rs_addr addr[2])
{
	struct rs_nl *nl = NULL;
	rs_auto_err err = { 0 };

	memset(p, 0, sizeof(*p));
	for (int i = 0; i < 2; i++) {
		p->pod[i].ns = bk_ns_new();
		p->pod[i].addr = addr[i];
	}
	p->node_ns = bk_ns_new();
	bk_sysctl("net/ipv4/conf/all/rp_filter", "0");
	bk_sysctl("net/ipv4/ip_forward", "1");
	must(rs_nl_open(&nl, &err), &err);
	for (int i = 0; i < 2; i++)
		make_pod(nl, &p->pod[i], i);
	rs_nl_close(nl);
}

/* ---- kube-proxy ------------------------------------------------------------------------------ */

/* Order and priorities as k8s.io/kubernetes pkg/proxy/nftables/proxier.go writes them. */
static const char hooks[] =
	"table ip kube-proxy {\n"
	" set cluster-ips { type ipv4_addr; }\n"
	" set nodeport-ips { type ipv4_addr; }\n"
	" map no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict; }\n"
	" map firewall-ips { type ipv4_addr . inet_proto . inet_service : verdict; }\n"
	" map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }\n"
	" map service-nodeports { type inet_proto . inet_service : verdict; }\n"
	" chain mark-for-masquerade { meta mark set meta mark | 0x4000; }\n"
	" chain masquerading { meta mark & 0x4000 == 0 return; meta mark set meta mark ^ 0x4000; "
	"masquerade fully-random; }\n"
	" chain cluster-ips-check { ip daddr @cluster-ips reject; }\n"
	" chain firewall-check { ip daddr . meta l4proto . th dport vmap @firewall-ips; }\n"
	" chain service-endpoints-check { ip daddr . meta l4proto . th dport vmap "
	"@no-endpoint-services; }\n"
	" chain services { ip daddr . meta l4proto . th dport vmap @service-ips; "
	"ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports; }\n"
	" chain filter-prerouting-pre-dnat { type filter hook prerouting priority -110; ct state "
	"new jump "
	"firewall-check; }\n"
	" chain filter-input { type filter hook input priority -110; ct state new jump "
	"service-endpoints-check; }\n"
	" chain filter-forward { type filter hook forward priority -110; ct state new jump "
	"service-endpoints-check; ct state new jump cluster-ips-check; }\n"
	" chain filter-output { type filter hook output priority -90; ct state new jump "
	"service-endpoints-check; "
	"ct state new jump firewall-check; }\n"
	" chain nat-prerouting { type nat hook prerouting priority -100; jump services; }\n"
	" chain nat-output { type nat hook output priority -100; jump services; }\n"
	" chain nat-postrouting { type nat hook postrouting priority 100; jump masquerading; }\n"
	"}\n";

static void put_service(struct rs_strbuf *b, unsigned int i)
{
	rs_strbuf_printf(
		b,
		"add chain ip kube-proxy endpoint-%u\n"
		"add rule ip kube-proxy endpoint-%u ip saddr 10.128.0.%u jump mark-for-masquerade\n"
		"add rule ip kube-proxy endpoint-%u meta l4proto tcp dnat to 10.128.0.%u:8080\n"
		"add chain ip kube-proxy service-%u\n"
		"add rule ip kube-proxy service-%u ip daddr 10.96.0.%u ip saddr != 10.128.0.0/9 "
		"jump "
		"mark-for-masquerade\n"
		"add rule ip kube-proxy service-%u numgen random mod 1 vmap { 0 : goto endpoint-%u "
		"}\n"
		"add element ip kube-proxy cluster-ips { 10.96.0.%u }\n"
		"add element ip kube-proxy service-ips { 10.96.0.%u . tcp . 80 : goto service-%u "
		"}\n",
		i, i, i, i, i, i, i, i, i, i, i, i, i);
}

int podpair_kube_proxy(const struct podpair *p)
{
	rs_auto_strbuf b = { 0 };

	rs_strbuf_puts(&b, hooks);
	for (unsigned int i = 1; i <= SERVICES; i++)
		put_service(&b, i);
	bk_ns_enter(p->node_ns);
	return bk_nft(b.s, b.len);
}
