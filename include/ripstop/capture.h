/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capture.h - the packets of one pod link, each with what became of it in the rules.
 *
 * A table of its own, `inet ripstop-capture-PID`, copies packets by NFLOG right before and right
 * behind each place where Ripstop drops: the guard (prerouting), the verdict on what is forwarded
 * (postrouting) and on what goes to the node (input). What arrives before such a place and not
 * behind it was dropped there. NET_ADMIN in the node's network namespace is enough, no packet
 * socket is opened, and nothing of the packet, its mark or its fate is changed.
 *
 * Bounds: the table belongs to our socket (flag owner, kernel 5.12) and goes with it however this
 * process ends; its rules match until a moment that stands in them, and each makes at most so many
 * copies. Packets behind the verdict are as they will be delivered but for source NAT.
 *
 * One thread; nothing blocks.
 */
#ifndef RIPSTOP_CAPTURE_H
#define RIPSTOP_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ripstop/addr.h>
#include <ripstop/dataplane.h>
#include <ripstop/error.h>

#define RS_CAPTURE_SNAPLEN_MAX 65000u
#define RS_CAPTURE_COPIES_MAX 1000000u

struct rs_capture_want {
	uint32_t link; /* interface index of the pod's link on the node */
	bool has_peer;
	struct rs_cidr peer; /* the other end's address, as policy sees it */
	uint8_t protos[2];   /* any of them; none: every protocol */
	size_t n_protos;
	bool has_port;
	uint16_t lo, hi;  /* at either end; with protocols that have ports */
	uint32_t copies;  /* of each place, 1 to RS_CAPTURE_COPIES_MAX */
	uint32_t seconds; /* from now; the rules match no longer than that and 2 more */
	uint32_t snaplen; /* bytes of each packet, at most RS_CAPTURE_SNAPLEN_MAX */
};

enum rs_capture_fate {
	RS_CAPTURE_PASSED,
	RS_CAPTURE_GUARD,   /* dropped by the guard: its source, or what it is */
	RS_CAPTURE_DROPPED, /* dropped by the verdict */
	RS_CAPTURE_UNKNOWN, /* copies were lost, or the capture ended meanwhile */
};

struct rs_capture_packet {
	enum rs_capture_fate fate;
	bool from_pod;
	int64_t time_ns;	/* wall clock, when its copy was read */
	struct rs_dp_drop head; /* addresses and ports */
	const uint8_t *data;	/* from the IP header on; valid during the call */
	size_t len;
	uint32_t full_len; /* by its IP header */
};

/* True: enough. */
typedef bool rs_capture_fn(const struct rs_capture_packet *p, void *arg);

struct rs_capture;

/* The link is not looked up: a number that no link has sees nothing. -EOPNOTSUPP: the kernel has no
 * tables that go with their owner. */
int rs_capture_open(const struct rs_capture_want *want, struct rs_capture **out,
		    struct rs_err *err);
int rs_capture_fd(const struct rs_capture *c);

/* Read what waits and hand on what is decided, in the order in which it came. 1 when fn had enough,
 * or when a place has made all its copies. */
int rs_capture_read(struct rs_capture *c, rs_capture_fn *fn, void *arg, struct rs_err *err);

/* Milliseconds until the next packet is decided by waiting; -1: none waits. */
int rs_capture_wait_ms(const struct rs_capture *c);

/* Whether a place has made all its copies; and copies that did not fit into our socket. */
bool rs_capture_spent(const struct rs_capture *c);
uint64_t rs_capture_lost(const struct rs_capture *c);

/* Takes the table away and hands on what still waits. fn may be NULL; NULL is legal. */
void rs_capture_close(struct rs_capture *c, rs_capture_fn *fn, void *arg);

#endif
