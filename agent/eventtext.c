// SPDX-License-Identifier: Apache-2.0
/* eventtext.c - the words and the form of a Kubernetes Event; see eventtext.h. */
#include "agent/eventtext.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/jsonio.h"
#include "object/syntax.h"

#define NAME_MAX_LEN 253
#define POLICIES_NAMED 3
#define POLICIES_LEN 360
#define PLAIN_NAME "abcdefghijklmnopqrstuvwxyz0123456789.-/"

/* ---- the note of a drop ---------------------------------------------------------------------- */

static const char *proto_name(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_SCTP:
		return "sctp";
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return "icmp";
	default:
		return NULL;
	}
}

/* "tcp/5432", "icmp", "protocol 47". */
static void put_port(struct rs_strbuf *out, const struct rs_event_drop *d)
{
	const char *name = proto_name(d->proto);

	if (!name)
		rs_strbuf_printf(out, "protocol %u", d->proto);
	else if (d->has_port)
		rs_strbuf_printf(out, "%s/%u", name, d->port);
	else
		rs_strbuf_puts(out, name);
}

static void put_peer(struct rs_strbuf *out, const struct rs_event_drop *d)
{
	char addr[RS_ADDR_STRLEN];

	rs_addr_str(&d->addr, addr);
	if (!d->peer) {
		rs_strbuf_puts(out, addr);
		return;
	}
	rs_strbuf_puts_safe(out, d->peer);
	rs_strbuf_printf(out, " (%s)", addr);
}

/* "NetworkPolicies a/b, c/d, e/f and 2 more isolate it and do not allow this" */
static void put_policies(struct rs_strbuf *out, const char *policies)
{
	rs_autofree char *copy = rs_strdup(policies);
	rs_auto_strbuf names = { 0 };
	char *save = NULL, *p;
	size_t n = 0, named = 0;

	for (p = strtok_r(copy, ", ", &save); p; p = strtok_r(NULL, ", ", &save))
		if (!n++ || (named < POLICIES_NAMED && names.len + strlen(p) < POLICIES_LEN)) {
			rs_strbuf_puts(&names, named++ ? ", " : "");
			rs_strbuf_puts_safe(&names, p);
		}
	if (!n) {
		rs_strbuf_puts(out, "its labels are not known, so nothing may pass");
		return;
	}
	rs_strbuf_printf(out, "NetworkPolic%s %s", n > 1 ? "ies" : "y", rs_strbuf_str(&names));
	if (n > named)
		rs_strbuf_printf(out, " and %zu more", n - named);
	rs_strbuf_puts(out, n > 1 ? " isolate it and do not allow this"
				  : " isolates it and does not allow this");
}

/* A command that somebody may copy into a shell holds nothing that a shell reads otherwise, and is
 * whole. */
static void put_command(struct rs_strbuf *out, const struct rs_event_drop *d)
{
	rs_auto_strbuf operands = { 0 };
	rs_autofree char *pod = rs_asprintf("%s/%s", d->ns, d->pod);
	char addr[RS_ADDR_STRLEN];
	const char *peer = d->peer ? d->peer : rs_addr_str(&d->addr, addr);
	bool in = d->dir == RS_INGRESS;

	rs_strbuf_puts(out, "kubectl ripstop explain");
	if (!proto_name(d->proto) || strspn(pod, PLAIN_NAME) != strlen(pod) ||
	    (d->peer && strspn(d->peer, PLAIN_NAME) != strlen(d->peer)))
		return;
	rs_strbuf_printf(&operands, " %s %s ", in ? peer : pod, in ? pod : peer);
	put_port(&operands, d);
	if (out->len + operands.len <= RS_EVENT_NOTE_MAX)
		rs_strbuf_puts(out, rs_strbuf_str(&operands));
}

char *rs_event_drop_note(const struct rs_event_drop *d, uint64_t packets)
{
	bool in = d->dir == RS_INGRESS;
	rs_auto_strbuf b = { 0 };

	rs_strbuf_printf(&b, "%s%llu packet%s dropped at the %s of this pod, the last one ",
			 d->more ? "at least " : "", (unsigned long long)packets,
			 packets == 1 ? " was" : "s were", in ? "ingress" : "egress");
	put_port(&b, d);
	rs_strbuf_puts(&b, in ? " from " : " to ");
	put_peer(&b, d);
	rs_strbuf_puts(&b, ": ");
	put_policies(&b, d->policies);
	rs_strbuf_puts(&b, "; to learn more: ");
	put_command(&b, d);
	return rs_strbuf_steal(&b);
}

/* ---- the object ------------------------------------------------------------------------------ */

/* No longer than max bytes, and no half of a character at its end. */
static char *clip(const char *s, size_t max)
{
	size_t n = strlen(s);

	if (n > max)
		for (n = max; n && ((unsigned char)s[n] & 0xc0) == 0x80; n--)
			;
	return rs_strndup(s, n);
}

/* OBJECT.TAIL, as kubelet and others name theirs; a long object name gives way. */
static char *make_name(const char *object, const char *tail)
{
	size_t room = NAME_MAX_LEN - 1 - strlen(tail), n = strlen(object);

	if (n > room)
		n = room;
	while (n && strchr("-.", object[n - 1]))
		n--;
	return rs_asprintf("%.*s.%s", (int)n, object, tail);
}

/* metav1.MicroTime: six digits behind the point, no fewer. */
static struct json_object *regarding_json(const struct rs_event_about *a)
{
	struct json_object *o = json_object_new_object();

	rs_json_add_str(o, "apiVersion", a->api_version);
	rs_json_add_str(o, "kind", a->kind);
	rs_json_add_str(o, "namespace", a->ns);
	rs_json_add_str(o, "name", a->name);
	rs_json_add_str(o, "uid", a->uid);
	return o;
}

static struct json_object *series_json(const struct rs_event_words *w)
{
	struct json_object *o = json_object_new_object();
	uint64_t count = w->count < INT32_MAX ? w->count : INT32_MAX;

	json_object_object_add(o, "count", json_object_new_int64((int64_t)count));
	rs_json_add_time_us(o, "lastObservedTime", w->last_ns);
	return o;
}

static struct json_object *event_json(const struct rs_event_words *w, const char *ns,
				      const char *name)
{
	struct json_object *o = json_object_new_object(), *meta = json_object_new_object();
	rs_autofree char *instance = clip(w->node, RS_EVENT_INSTANCE_MAX);
	rs_autofree char *note = clip(w->note, RS_EVENT_NOTE_MAX);

	rs_json_add_str(o, "apiVersion", "events.k8s.io/v1");
	rs_json_add_str(o, "kind", "Event");
	rs_json_add_str(meta, "namespace", ns);
	rs_json_add_str(meta, "name", name);
	json_object_object_add(o, "metadata", meta);
	rs_json_add_time_us(o, "eventTime", w->first_ns);
	rs_json_add_str(o, "type", "Warning");
	rs_json_add_str(o, "reason", w->reason);
	rs_json_add_str(o, "action", w->action);
	rs_json_add_str(o, "note", note);
	rs_json_add_str(o, "reportingController", "ripstop.dev/agent");
	rs_json_add_str(o, "reportingInstance", instance);
	json_object_object_add(o, "regarding", regarding_json(&w->about));
	if (w->count > 1)
		json_object_object_add(o, "series", series_json(w));
	return o;
}

bool rs_event_compose(const struct rs_event_words *w, char **path, char **body)
{
	const char *ns = w->about.ns ? w->about.ns : "default";
	rs_autojson struct json_object *o = NULL;
	rs_autofree char *name = NULL;

	if (strlen(w->tail) > NAME_MAX_LEN / 2 || rs_syntax_dns_label(ns) ||
	    rs_syntax_dns_subdomain(w->about.name))
		return false;
	name = make_name(w->about.name, w->tail);
	if (rs_syntax_dns_subdomain(name))
		return false;
	o = event_json(w, ns, name);
	*path = rs_asprintf("/apis/events.k8s.io/v1/namespaces/%s/events", ns);
	*body = rs_json_print(o);
	return true;
}
