/* SPDX-License-Identifier: Apache-2.0 */
/*
 * podpair.h - a node with two pods, in three network namespaces: routed links dressed as the plugin dresses them
 * (link group, NOARP, permanent neighbours on both ends, the gateway on the link), IPv4.
 */
#ifndef RIPSTOP_TESTS_BENCH_PODPAIR_H
#define RIPSTOP_TESTS_BENCH_PODPAIR_H

#include <stdint.h>

#include <ripstop/addr.h>

struct podpair_end {
	int ns;
	struct rs_addr addr;
	uint32_t ifindex; /* of the node's end */
	char ifname[16];
	uint8_t mac[6];
};

struct podpair {
	int node_ns;
	struct podpair_end pod[2];
};

/* Ends the program when it cannot be made. The node's ends are down. */
void podpair_make(struct podpair *p, const struct rs_addr addr[2]);
/* Behind the rules, as ADD opens a pod's gate: ends up, and a route to each. Likewise. */
void podpair_open(const struct podpair *p);

/* What kube-proxy in its nftables mode leaves on a node: conntrack, and its maps and chains for SERVICES Services.
 * Nonzero when nft refuses or is not there. */
int podpair_kube_proxy(const struct podpair *p);

#endif
