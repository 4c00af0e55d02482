/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.h - what the registry asks of this machine: its pod links, its own addresses, its leases.
 *
 * A small seam of its own, so that the registry runs in tests against a scripted machine.
 */
#ifndef RIPSTOP_AGENT_HOST_H
#define RIPSTOP_AGENT_HOST_H

#include <ripstop/endpoint.h>

#include "netlink/netlink.h"

/* The agent's patience with the locks of the state folder: a plugin that was stopped while it held
 * one must not stop the loop. What could not be written is tried again. */
#define RS_LOCK_MS 200

struct rs_host {
	/* The link of that name; -ENODEV when there is none. Any other error means: not known. */
	int (*link)(void *arg, const char *name, struct rs_link *out, struct rs_err *err);
	/* 1 when the address is the node's own, 0 when not. */
	int (*own_addr)(void *arg, const struct rs_addr *a, struct rs_err *err);
	/* Give the leases of a record back; none there is no error. */
	int (*release)(void *arg, const struct rs_endpoint *e, struct rs_err *err);
	void *arg;
};

/* The real one: netlink in the agent's namespace, leases in state_dir. Closed with the handle. */
struct rs_host_real;
int rs_host_open(const char *state_dir, struct rs_host *host, struct rs_host_real **out,
		 struct rs_err *err);
void rs_host_close(struct rs_host_real *h);
struct rs_nl *rs_host_netlink(struct rs_host_real *h);

/* For one who asks for many links at once: list them all now, and answer from that list until it is
 * released. Without a list each is asked for, as ever. */
void rs_host_hold_links(struct rs_host_real *h);
void rs_host_release_links(struct rs_host_real *h);

#endif
