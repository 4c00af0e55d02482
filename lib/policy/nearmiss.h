/* SPDX-License-Identifier: Apache-2.0 */
/* nearmiss.h - of the rules that do not allow a flow, the one that comes closest, and what it
 * lacks. */
#ifndef RIPSTOP_POLICY_NEARMISS_H
#define RIPSTOP_POLICY_NEARMISS_H

#include "base/strbuf.h"
#include "policy/match.h"

/* One direction of a flow as the subject's policies see it. */
struct rs_half {
	enum rs_direction dir;
	const struct rs_local_pod *subject;
	const struct rs_view *peer; /* NULL: no known pod */
	const char *peer_text;	    /* "shop/web" or "192.0.2.1" */
	struct rs_addr peer_addr;
	const char *server_text;		  /* whose port it is */
	const struct rs_container_port *declared; /* by the server */
	size_t n_declared;
	uint8_t proto;
	uint16_t port;
};

/* "tcp/5432", "icmp" */
void rs_put_flow_port(struct rs_strbuf *b, const struct rs_half *h);

bool rs_half_rule_allows(const struct rs_half *h, const struct rs_policy *p,
			 const struct rs_rule *r);

/* Fills the miss_ members of out; leaves them NULL where no policy has a rule. */
void rs_near_miss(const struct rs_half *h, const struct rs_policy *const *policies, size_t n,
		  struct rs_half_explained *out);

#endif
