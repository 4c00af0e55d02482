/* SPDX-License-Identifier: Apache-2.0 */
/* addresses.h - how full this node's pod ranges are. */
#ifndef RIPSTOP_AGENT_ADDRESSES_H
#define RIPSTOP_AGENT_ADDRESSES_H

#include "agent/agent.h"

struct rs_address_use {
	int family;	/* 4, 6 */
	uint64_t total; /* that can be given out; 0: no range of the family */
	uint64_t held;	/* by pods; one that rests is held by nobody */
};

/* Of IPv4 and IPv6. Reads the leases, without their lock: a moment's picture. */
int rs_address_use(struct rs_agent *a, struct rs_address_use use[2], struct rs_err *err);

#endif
