/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words.h - how ports, peers and rules are written for people. Everything that came from an
 * object is escaped on its way.
 */
#ifndef RIPSTOP_POLICY_WORDS_H
#define RIPSTOP_POLICY_WORDS_H

#include "base/strbuf.h"
#include "policy/policy.h"

/* "tcp", "icmp", "proto 47"; buf holds at least 16 bytes. */
const char *rs_proto_name(uint8_t proto, char buf[16]);
/* "tcp/80", "tcp/80-90", "tcp" (every port), "any" (protocol 0). */
void rs_put_port_range(struct rs_strbuf *b, uint8_t proto, uint16_t lo, uint16_t hi);
/* "tcp/5432,udp/53,tcp/web" or "any". */
void rs_put_rule_ports(struct rs_strbuf *b, const struct rs_rule *r);
/* "ns/shop pods app=api", "namespaces team=a pods <all>", "10.0.0.0/8 except 10.1.0.0/16". */
void rs_put_peer(struct rs_strbuf *b, const struct rs_policy *p, const struct rs_peer *peer);
/* "app=api", "<all>", "<none>", escaped. */
void rs_put_selector(struct rs_strbuf *b, const struct rs_selector *s);
/* "app=web,tier=fe" or "no labels", escaped. */
void rs_put_labels(struct rs_strbuf *b, const struct rs_labels *l);
/* "shop/db-allow-api spec.ingress[0]" */
char *rs_rule_name(const struct rs_policy *p, enum rs_direction dir, size_t index);
/* "file:line:col", NULL when there is no file. */
char *rs_pos_text(const struct rs_pos *pos);
/* "shop/db-0", escaped. */
char *rs_pod_text(const char *ns, const char *name);

#endif
