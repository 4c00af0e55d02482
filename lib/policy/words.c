// SPDX-License-Identifier: Apache-2.0
/* words.c - ports, peers and rules in words; see words.h. */
#include "policy/words.h"

#include <netinet/in.h>
#include <stdio.h>

#include "base/base.h"

const char *rs_proto_name(uint8_t proto, char buf[16])
{
	switch (proto) {
	case 0:
		return "any";
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_SCTP:
		return "sctp";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "icmpv6";
	}
	snprintf(buf, 16, "proto %u", proto);
	return buf;
}

void rs_put_port_range(struct rs_strbuf *b, uint8_t proto, uint16_t lo, uint16_t hi)
{
	char buf[16];

	rs_strbuf_puts(b, rs_proto_name(proto, buf));
	if (lo == 0 && hi == UINT16_MAX)
		return;
	rs_strbuf_printf(b, "/%u", lo);
	if (hi != lo)
		rs_strbuf_printf(b, "-%u", hi);
}

void rs_put_rule_ports(struct rs_strbuf *b, const struct rs_rule *r)
{
	char buf[16];
	size_t i;

	if (r->any_port) {
		rs_strbuf_puts(b, "any");
		return;
	}
	for (i = 0; i < r->n_ports; i++) {
		const struct rs_policy_port *p = &r->ports[i];

		if (i)
			rs_strbuf_putc(b, ',');
		if (p->invalid) {
			rs_strbuf_puts(b, "(invalid)");
		} else if (p->kind == RS_PORT_NAMED) {
			rs_strbuf_printf(b, "%s/", rs_proto_name(p->proto, buf));
			rs_strbuf_puts_safe(b, p->name);
		} else if (p->kind == RS_PORT_ANY) {
			rs_strbuf_puts(b, rs_proto_name(p->proto, buf));
		} else {
			rs_put_port_range(b, p->proto, p->lo, p->hi);
		}
	}
}

void rs_put_selector(struct rs_strbuf *b, const struct rs_selector *s)
{
	rs_autofree char *text = rs_selector_str(s);

	rs_strbuf_puts(b, text);
}

void rs_put_labels(struct rs_strbuf *b, const struct rs_labels *l)
{
	rs_autofree char *text = NULL;

	if (!l || !l->n) {
		rs_strbuf_puts(b, "no labels");
		return;
	}
	text = rs_labels_str(l);
	rs_strbuf_puts(b, text);
}

static void put_block(struct rs_strbuf *b, const struct rs_ipblock *block)
{
	char text[RS_CIDR_STRLEN];
	size_t i;

	rs_strbuf_puts(b, rs_cidr_str(&block->cidr, text));
	for (i = 0; i < block->n_except; i++)
		rs_strbuf_printf(b, "%s%s", i ? "," : " except ",
				 rs_cidr_str(&block->except[i], text));
}

void rs_put_peer(struct rs_strbuf *b, const struct rs_policy *p, const struct rs_peer *peer)
{
	if (peer->invalid) {
		rs_strbuf_puts(b, "(invalid)");
		return;
	}
	if (peer->has_block) {
		put_block(b, &peer->block);
		return;
	}
	if (peer->ns_selector.present) {
		rs_strbuf_puts(b, "namespaces ");
		rs_put_selector(b, &peer->ns_selector);
	} else {
		rs_strbuf_puts(b, "ns/");
		rs_strbuf_puts_safe(b, p->meta.ns);
	}
	rs_strbuf_puts(b, " pods ");
	if (peer->pod_selector.present)
		rs_put_selector(b, &peer->pod_selector);
	else
		rs_strbuf_puts(b, "<all>");
}

char *rs_rule_name(const struct rs_policy *p, enum rs_direction dir, size_t index)
{
	struct rs_strbuf b = { 0 };

	rs_strbuf_puts_safe(&b, p->meta.ns);
	rs_strbuf_putc(&b, '/');
	rs_strbuf_puts_safe(&b, p->meta.name);
	rs_strbuf_printf(&b, " spec.%s[%zu]", dir == RS_INGRESS ? "ingress" : "egress", index);
	return rs_strbuf_steal(&b);
}

char *rs_pos_text(const struct rs_pos *pos)
{
	struct rs_strbuf b = { 0 };

	if (!pos->file)
		return NULL;
	rs_strbuf_puts_safe(&b, pos->file);
	rs_strbuf_printf(&b, ":%d:%d", pos->line, pos->col);
	return rs_strbuf_steal(&b);
}

char *rs_pod_text(const char *ns, const char *name)
{
	struct rs_strbuf b = { 0 };

	rs_strbuf_puts_safe(&b, ns);
	rs_strbuf_putc(&b, '/');
	rs_strbuf_puts_safe(&b, name);
	return rs_strbuf_steal(&b);
}
