// SPDX-License-Identifier: Apache-2.0
/* dropjson.c - a dropped packet and what was found out about it, as JSON; see dropjson.h. */
#include "agent/dropjson.h"

#include <netinet/in.h>
#include <stdio.h>

#include "base/jsonio.h"

static struct json_object *ip_json(const struct rs_dp_drop *d)
{
	struct json_object *o = json_object_new_object();
	char text[RS_ADDR_STRLEN];

	rs_json_add_str(o, "source", rs_addr_str(&d->src, text));
	rs_json_add_str(o, "destination", rs_addr_str(&d->dst, text));
	rs_json_add_str(o, "ipVersion", d->src.family == RS_AF_IP6 ? "IPv6" : "IPv4");
	return o;
}

static struct json_object *flags_json(uint8_t flags)
{
	static const char *const names[] = {
		"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"
	};
	struct json_object *o = json_object_new_object();

	for (size_t i = 0; i < RS_ARRAY_SIZE(names); i++)
		if (flags & 1u << i)
			json_object_object_add(o, names[i], json_object_new_boolean(true));
	return o;
}

static const char *l4_name(const struct rs_dp_drop *d)
{
	switch (d->proto) {
	case IPPROTO_TCP:
		return d->has_ports ? "TCP" : NULL;
	case IPPROTO_UDP:
		return d->has_ports ? "UDP" : NULL;
	case IPPROTO_SCTP:
		return d->has_ports ? "SCTP" : NULL;
	case IPPROTO_ICMP:
		return d->has_icmp ? "ICMPv4" : NULL;
	case IPPROTO_ICMPV6:
		return d->has_icmp ? "ICMPv6" : NULL;
	default:
		return NULL;
	}
}

static void add_l4(struct json_object *record, const struct rs_dp_drop *d)
{
	struct json_object *o, *p;
	const char *name = l4_name(d);

	if (!name) {
		json_object_object_add(record, "ip_protocol", json_object_new_int(d->proto));
		return;
	}
	o = json_object_new_object();
	p = json_object_new_object();
	json_object_object_add(p, d->has_ports ? "source_port" : "type",
			       json_object_new_int(d->has_ports ? d->sport : d->icmp_type));
	json_object_object_add(p, d->has_ports ? "destination_port" : "code",
			       json_object_new_int(d->has_ports ? d->dport : d->icmp_code));
	if (d->has_flags)
		json_object_object_add(p, "flags", flags_json(d->tcp_flags));
	json_object_object_add(o, name, p);
	json_object_object_add(record, "l4", o);
}

static const char *hubble_reason(enum rs_drop_reason reason)
{
	static const char *const names[RS_DROP_REASONS] = {
		[RS_DROP_POLICY_INGRESS] = "POLICY_DENIED",
		[RS_DROP_POLICY_EGRESS] = "POLICY_DENIED",
		[RS_DROP_NOT_PROGRAMMED] = "DROP_EP_NOT_READY",
		[RS_DROP_SPOOFED] = "INVALID_SOURCE_IP",
		[RS_DROP_INVALID] = "INVALID_PACKET_DROPPED",
		[RS_DROP_MALFORMED] = "CT_TRUNCATED_OR_INVALID_HEADER",
	};

	return names[reason];
}

static const char *severity(enum rs_drop_reason reason)
{
	switch (reason) {
	case RS_DROP_SPOOFED:
	case RS_DROP_MALFORMED:
		return "warning";
	case RS_DROP_POLICY_INGRESS:
	case RS_DROP_POLICY_EGRESS:
		return "notice";
	default:
		return "info";
	}
}

struct json_object *rs_drop_json(const struct rs_agent *a, const struct rs_dp_drop *d,
				 const struct rs_drop_mark *mark, const struct rs_drop_story *story)
{
	struct json_object *o = json_object_new_object();
	bool in = rs_drop_direction(d) == RS_INGRESS;

	json_object_object_add(o, "v", json_object_new_int(1));
	json_object_object_add(o, "id", json_object_new_uint64(mark->id));
	rs_json_add_time_us(o, "time", mark->time_ns);
	rs_json_add_str(o, "type", rs_drop_by_policy(d) ? "policy-verdict" : "drop");
	rs_json_add_str(o, "verdict", "DROPPED");
	rs_json_add_str(o, "reason", rs_drop_reason_name(d->reason));
	rs_json_add_str(o, "drop_reason_desc", hubble_reason(d->reason));
	rs_json_add_str(o, "severity", severity(d->reason));
	rs_json_add_str(o, "traffic_direction", in ? "INGRESS" : "EGRESS");
	if (d->tracked)
		json_object_object_add(o, "is_reply", json_object_new_boolean(d->reply));
	rs_json_add_str(o, "node_name", a->opt.node_name);
	rs_json_add_str(o, "backend", a->dp->ops->name);
	json_object_object_add(o, "count", json_object_new_int(1));
	if (d->src.family) {
		json_object_object_add(o, "IP", ip_json(d));
		add_l4(o, d);
	}
	json_object_object_add(o, "source", json_object_get(story->source));
	json_object_object_add(o, "destination", json_object_get(story->destination));
	if (story->denied_by && json_object_array_length(story->denied_by))
		json_object_object_add(o, in ? "ingress_denied_by" : "egress_denied_by",
				       json_object_get(story->denied_by));
	if (story->nearest)
		json_object_object_add(o, "nearest", json_object_get(story->nearest));
	rs_json_add_str(o, "note", story->note);
	json_object_object_add(o, "suppressed_since_last",
			       json_object_new_uint64(mark->suppressed));
	return o;
}
