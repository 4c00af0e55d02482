// SPDX-License-Identifier: Apache-2.0
/* recordfit.c - whether a drop record is of a packet with certain ends; see recordfit.h. */
#include "cli/recordfit.h"

#include <netinet/in.h>
#include <string.h>

uint8_t cli_protocol(const char *name, int family)
{
	if (!strcmp(name, "tcp"))
		return IPPROTO_TCP;
	if (!strcmp(name, "udp"))
		return IPPROTO_UDP;
	if (!strcmp(name, "sctp"))
		return IPPROTO_SCTP;
	return family == RS_AF_IP4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
}

static bool same_addr(struct json_object *record, const char *key, const struct rs_addr *a)
{
	struct rs_addr b;

	return rs_addr_parse(rs_json_text(rs_json_get(record, "IP"), key, ""), &b, NULL) == 0 &&
	       rs_addr_cmp(a, &b) == 0;
}

static bool same_port(struct json_object *l4, const char *key, int port)
{
	struct json_object *v = rs_json_get(l4, key);

	return port < 0 ||
	       (json_object_is_type(v, json_type_int) && json_object_get_int64(v) == port);
}

static const char *l4_name(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return "TCP";
	case IPPROTO_UDP:
		return "UDP";
	case IPPROTO_SCTP:
		return "SCTP";
	case IPPROTO_ICMP:
		return "ICMPv4";
	case IPPROTO_ICMPV6:
		return "ICMPv6";
	default:
		return NULL;
	}
}

bool cli_record_is_of(struct json_object *record, const struct cli_tuple *t)
{
	const char *name = l4_name(t->proto);
	struct json_object *l4 = name ? rs_json_get(rs_json_get(record, "l4"), name) : NULL;

	if (!same_addr(record, "source", &t->src) || !same_addr(record, "destination", &t->dst))
		return false;
	if (!l4) /* another protocol, or a later fragment */
		return json_object_get_int64(rs_json_get(record, "ip_protocol")) == t->proto;
	return same_port(l4, "source_port", t->sport) &&
	       same_port(l4, "destination_port", t->dport);
}
