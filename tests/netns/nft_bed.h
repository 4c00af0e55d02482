/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft_bed.h - a small node made of network namespaces, all inside one process: pods on routed veth
 * links, a world behind an uplink, and hand-made IRs for them.
 */
#ifndef RIPSTOP_TESTS_NETNS_NFT_BED_H
#define RIPSTOP_TESTS_NETNS_NFT_BED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <ripstop/dataplane.h>

enum bed_place {
	POD_A,
	POD_B,
	POD_C,
	PODS,
	WORLD = PODS,
	NODE,
	PLACES,
};

/* Make it (needs root). The calling process is inside NODE afterwards. */
void bed_make(void);
void bed_enter(enum bed_place place);

/* Run a shell command in a place; its exit status. Output is dropped unless out is not NULL. */
int bed_sh(enum bed_place place, char **out, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

const char *bed_addr(enum bed_place place, int family);
uint32_t bed_ifindex(enum bed_place pod);

/* The host's end of a pod goes up or down. */
void bed_link(enum bed_place pod, bool up);

/* Sockets for what the calls below do not do. A raw socket's port is its protocol. */
socklen_t bed_sockaddr(struct sockaddr_storage *s, const char *ip, int family, uint16_t port);
int bed_socket(enum bed_place place, int family, int type, uint16_t port);
bool bed_readable(int fd); /* soon */

/* One message each way. true: it arrived. */
bool bed_udp(enum bed_place from, enum bed_place to, int family, uint16_t port);
bool bed_tcp(enum bed_place from, enum bed_place to, int family, uint16_t port);
bool bed_ping(enum bed_place from, enum bed_place to, int family);

/* A datagram with a forged IPv4 source. */
bool bed_forged(enum bed_place from, const char *src, enum bed_place to, uint16_t port);

/* An open TCP connection. */
struct bed_conn {
	int client;
	int server;
};
bool bed_open(struct bed_conn *c, enum bed_place from, enum bed_place to, int family,
	      uint16_t port);
bool bed_talk(const struct bed_conn *c); /* client to server */
/* What has arrived until now is no answer to a later bed_talk(). */
void bed_forget(const struct bed_conn *c);
void bed_close(struct bed_conn *c);

/* ---- IRs ------------------------------------------------------------------------------------- */

/*
 * Pod a: isolated in no direction, class 10. Pod b: ingress isolated; from class 10 profile 3 (tcp
 * 8080, udp 5353, tcp 9000-9100), from 192.0.2.0/24 and fd00:192::/64 (class 20) profile 4 (tcp 8080). Pod c: isolated in
 * both directions, default deny.
 */
struct bed_policy {
	bool no_b_allow; /* without the cell for class 10 */
	bool without_c;
	bool more_for_b; /* profile 5 (also tcp 7000) instead of 3 */
	uint32_t extra;	 /* so many more addresses of class 11 */
	uint64_t generation;
};
struct rs_ir *bed_ir(const struct bed_policy *p);

#endif
