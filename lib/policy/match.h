/* SPDX-License-Identifier: Apache-2.0 */
/*
 * match.h - one rule against one flow, read straight from the object: for explaining, not for
 * compiling.
 *
 * `who` is the peer pod, NULL for an address that no known pod holds: selectors and named ports
 * never match that.
 */
#ifndef RIPSTOP_POLICY_MATCH_H
#define RIPSTOP_POLICY_MATCH_H

#include "policy/world.h"

/* Whether a peer item has the form of selectors (and is valid). */
bool rs_peer_by_selector(const struct rs_peer *peer);
bool rs_peer_matches(const struct rs_policy *p, const struct rs_peer *peer,
		     const struct rs_view *who, const struct rs_addr *addr);
bool rs_rule_peers_match(const struct rs_policy *p, const struct rs_rule *r,
			 const struct rs_view *who, const struct rs_addr *addr);

/* Ports that the flow's server declares: its own in either direction; NULL for no known pod. */
bool rs_port_matches(const struct rs_policy_port *port, const struct rs_container_port *declared,
		     size_t n_declared, uint8_t proto, uint16_t number);
bool rs_rule_ports_match(const struct rs_rule *r, const struct rs_container_port *declared,
			 size_t n_declared, uint8_t proto, uint16_t number);

#endif
