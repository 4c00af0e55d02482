// SPDX-License-Identifier: Apache-2.0
/* match.c - one rule against one flow; see match.h. */
#include "policy/match.h"

#include <string.h>

#include "policy/span.h"

bool rs_peer_by_selector(const struct rs_peer *peer)
{
	if (peer->invalid || peer->has_block)
		return false;
	return (peer->ns_selector.present || peer->pod_selector.present) &&
	       !peer->ns_selector.invalid && !peer->pod_selector.invalid;
}

bool rs_peer_matches(const struct rs_policy *p, const struct rs_peer *peer,
		     const struct rs_view *who, const struct rs_addr *addr)
{
	if (peer->invalid)
		return false;
	if (peer->has_block)
		return rs_ipblock_contains(&peer->block, addr);
	if (!rs_peer_by_selector(peer) || !who || !who->labels)
		return false;
	if (peer->ns_selector.present ? !rs_selector_matches(&peer->ns_selector, who->ns_labels)
				      : strcmp(p->meta.ns, who->ns) != 0)
		return false;
	return !peer->pod_selector.present || rs_selector_matches(&peer->pod_selector, who->labels);
}

bool rs_rule_peers_match(const struct rs_policy *p, const struct rs_rule *r,
			 const struct rs_view *who, const struct rs_addr *addr)
{
	size_t i;

	if (r->any_peer)
		return true;
	for (i = 0; i < r->n_peers; i++)
		if (rs_peer_matches(p, &r->peers[i], who, addr))
			return true;
	return false;
}

bool rs_port_matches(const struct rs_policy_port *port, const struct rs_container_port *declared,
		     size_t n_declared, uint8_t proto, uint16_t number)
{
	size_t i;

	if (port->invalid || port->proto != proto)
		return false;
	switch (port->kind) {
	case RS_PORT_ANY:
		return true;
	case RS_PORT_RANGE:
		return port->lo <= number && number <= port->hi;
	case RS_PORT_NAMED:
		for (i = 0; i < n_declared; i++)
			if (declared[i].name && declared[i].proto == proto &&
			    declared[i].port == number && !strcmp(declared[i].name, port->name))
				return true;
		return false;
	}
	return false;
}

bool rs_rule_ports_match(const struct rs_rule *r, const struct rs_container_port *declared,
			 size_t n_declared, uint8_t proto, uint16_t number)
{
	size_t i;

	if (r->any_port)
		return true;
	for (i = 0; i < r->n_ports; i++)
		if (rs_port_matches(&r->ports[i], declared, n_declared, proto, number))
			return true;
	return false;
}
