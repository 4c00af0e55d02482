/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prober.h - one process that sends real packets between many network namespaces.
 *
 * A socket keeps the namespace in which it was made, so the prober enters each namespace once,
 * opens what it needs there, comes back, and runs all flows from one epoll loop.
 *
 * Input, one fact a line (fields separated by one space; '#' starts a comment line):
 *
 *	ns NAME PATH				a namespace and its file
 *	flow ID KIND SRCNS SRC DSTNS DST PORT	KIND: tcp udp sctp icmp ip (probe, PORT of ip is the protocol)
 *						      udp udpnew tcpnew (flood), tcp udp (hold),
 *						      tcp udp sctp icmp (stream)
 *
 * SRC may be "*": the kernel chooses. Listeners are made in DSTNS for every flow; DSTNS "-" has none.
 */
#ifndef RIPSTOP_TESTS_PROBER_H
#define RIPSTOP_TESTS_PROBER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum kind {
	KIND_TCP,
	KIND_UDP,
	KIND_SCTP,
	KIND_ICMP,
	KIND_IP,
	KIND_UDPNEW, /* every datagram from a source port of its own */
	KIND_TCPNEW, /* every packet is the SYN of a connection of its own */
};

enum fate {
	FATE_OPEN,
	FATE_OK,
	FATE_ERROR,
};

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

struct ns {
	char name[64];
	int fd;
};

/* What epoll hands back; embedded first in everything that waits for input. */
struct watch {
	void (*ready)(struct watch *w, uint32_t events);
	int fd;
};

struct flow {
	struct watch watch; /* the client's socket */
	char id[128];
	enum kind kind;
	int src_ns; /* index into prober.ns */
	int dst_ns; /* -1: nobody listens */
	bool any_src;
	union address src;
	union address dst; /* with its port, in network order */
	int port;	   /* or IP protocol number */
	enum fate fate;
	bool connected;
	char why[96];
	void *more; /* of the mode */
};

struct prober {
	struct ns *ns;
	size_t n_ns;
	struct flow *flows;
	size_t n_flows;
	int epfd;
	int home; /* our own namespace */
};

extern struct prober pr;

#define TOKEN_MAGIC 0x52535031u

/* Every payload starts with it: whose packet it is. */
struct token {
	uint32_t magic;
	uint32_t flow;
	uint32_t seq;
	uint32_t pad;
};

_Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void *need(void *p);
double now_ms(void);
double patience(double ms); /* a wait, times RIPSTOP_TEST_SLOW where machines are emulated */

/* prober.c: input */
bool parse_line(char *line); /* false: not a line of ours (a command) */
int find_flow(const char *id);

/* prober_net.c: sockets in namespaces */
void ns_enter(int ns); /* -1: come home */
int ns_socket(int ns, int family, int type, int proto);
void watch_add(struct watch *w, int fd, uint32_t events, void (*ready)(struct watch *, uint32_t));
socklen_t addr_len(const union address *a);
bool addr_same(const union address *a, const union address *b); /* without ports */
void addr_set_port(union address *a, int port);
int addr_port(const union address *a);
/* Send with a chosen source address (raw sockets). */
ssize_t send_from(int fd, const union address *src, const union address *dst, const void *p,
		  size_t n);
/* One listener for each (namespace, proto, address, port); proto IPPROTO_TCP, _UDP or _SCTP. */
void listen_for(struct flow *f, int proto, void (*ready)(struct watch *, uint32_t));
/* Raw socket for (namespace, family, protocol), made at its first use. */
struct raw {
	struct watch watch;
	int ns;
	int family;
	int proto;
};
struct raw *raw_socket(int ns, int family, int proto, void (*ready)(struct watch *, uint32_t));
uint32_t crc32c(const void *p, size_t n);
uint16_t inet_sum(const void *p, size_t n);

int mode_probe(int timeout_ms);
int mode_flood(double rate, int max_ms);
int mode_hold(void);
int mode_stream(double rate);

#endif
