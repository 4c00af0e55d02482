// SPDX-License-Identifier: Apache-2.0
/* put_record.c - drop records as lines; see put_record.h. */
#include "cli/put_record.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/put_yaml.h"

#define ENDS_WIDTH 52
#define HOW_WIDTH 8

/* ---- parts ----------------------------------------------------------------------------------- */

/* The record's time in the local zone; the text itself where it is none. */
static void put_time(struct cli_run *r, const char *text, bool wide)
{
	struct tm tm = { 0 };
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	time_t s;
	char out[64];

	if (!rest || *rest != '.' || strspn(rest + 1, "0123456789") < 3) {
		cli_put_safe(r, text);
		return;
	}
	s = timegm(&tm);
	if (!localtime_r(&s, &tm))
		return;
	strftime(out, sizeof(out), wide ? "%Y-%m-%d %H:%M:%S" : "%H:%M:%S", &tm);
	cli_putf(r, "%s%.4s", out, rest);
}

/* The one member of l4 and its name. */
static struct json_object *l4_of(struct json_object *record, const char **name)
{
	struct json_object *l4 = rs_json_get(record, "l4");
	struct json_object_iterator it;

	*name = NULL;
	if (!json_object_is_type(l4, json_type_object) || !json_object_object_length(l4))
		return NULL;
	it = json_object_iter_begin(l4);
	*name = json_object_iter_peek_name(&it);
	return json_object_iter_peek_value(&it);
}

/* Text of an end: the pod, else the address; with the port. */
static void add_end(struct rs_strbuf *b, struct json_object *record, const char *which,
		    struct json_object *l4, bool wide)
{
	struct json_object *end = rs_json_get(record, which);
	const char *ip = rs_json_text(rs_json_get(record, "IP"), which, "?");
	const char *ns = rs_json_text(end, "namespace", NULL);
	const char *name = rs_json_text(end, "pod_name", NULL);
	rs_autofree char *key = rs_asprintf("%s_port", which);
	struct json_object *port = rs_json_get(l4, key);
	bool bracket = !name && port && strchr(ip, ':');

	if (name) {
		rs_strbuf_puts_safe(b, ns ? ns : "?");
		rs_strbuf_putc(b, '/');
	}
	rs_strbuf_puts(b, bracket ? "[" : "");
	rs_strbuf_puts_safe(b, name ? name : ip);
	rs_strbuf_puts(b, bracket ? "]" : "");
	if (json_object_is_type(port, json_type_int))
		rs_strbuf_printf(b, ":%d", json_object_get_int(port));
	if (name && wide) {
		rs_strbuf_puts(b, " (");
		rs_strbuf_puts_safe(b, ip);
		rs_strbuf_putc(b, ')');
	}
}

static void add_flags(struct rs_strbuf *b, struct json_object *flags)
{
	struct json_object_iterator it, end;
	bool first = true;

	if (!json_object_is_type(flags, json_type_object))
		return;
	end = json_object_iter_end(flags);
	for (it = json_object_iter_begin(flags); !json_object_iter_equal(&it, &end);
	     json_object_iter_next(&it)) {
		rs_strbuf_putc(b, first ? ' ' : ',');
		rs_strbuf_puts_safe(b, json_object_iter_peek_name(&it));
		first = false;
	}
}

/* "tcp SYN", "icmp 8/0", "protocol 47". */
static void add_protocol(struct rs_strbuf *b, struct json_object *record)
{
	static const struct {
		const char *name, *word;
	} words[] = { { "TCP", "tcp" },
		      { "UDP", "udp" },
		      { "SCTP", "sctp" },
		      { "ICMPv4", "icmp" },
		      { "ICMPv6", "icmpv6" } };
	const char *name;
	struct json_object *l4 = l4_of(record, &name);
	rs_autofree char *number = cli_cell_number(record, "ip_protocol");
	rs_autofree char *type = cli_cell_number(l4, "type"), *code = cli_cell_number(l4, "code");

	if (!name) {
		rs_strbuf_printf(b, "protocol %s", number);
		return;
	}
	for (size_t i = 0; i < RS_ARRAY_SIZE(words); i++)
		if (!strcmp(name, words[i].name))
			rs_strbuf_puts(b, words[i].word);
	if (!strncmp(name, "ICMP", 4))
		rs_strbuf_printf(b, " %s/%s", type, code);
	add_flags(b, rs_json_get(l4, "flags"));
}

static void put_padded(struct cli_run *r, const struct rs_strbuf *b, int width)
{
	cli_putf(r, "  %-*s", width, rs_strbuf_str(b));
}

/* ---- why ------------------------------------------------------------------------------------- */

/* "by shop/default-deny (+1)"; all of them with -o wide. */
static void put_policies(struct cli_run *r, struct json_object *by, bool wide)
{
	size_t n = json_object_array_length(by), i;

	cli_put(r, "  by ");
	for (i = 0; i < n && (wide || !i); i++) {
		struct json_object *p = json_object_array_get_idx(by, i);

		cli_put(r, i ? ", " : "");
		cli_put_safe(r, rs_json_text(p, "namespace", "?"));
		cli_put(r, "/");
		cli_put_safe(r, rs_json_text(p, "name", "?"));
	}
	if (i < n)
		cli_putf(r, " (+%zu)", n - i);
}

/* The half of the rule that fails: "podSelector app=api", "tcp/80 is not among tcp/5432". */
static void put_miss(struct cli_run *r, struct json_object *nearest, bool wide)
{
	const char *peers = rs_json_text(nearest, "peers", ""),
		   *cut = strstr(peers, " does NOT match");
	rs_autofree char *short_peers = cut ? rs_strndup(peers, (size_t)(cut - peers)) : NULL;

	if (!nearest)
		return;
	cli_put(r, "  miss: ");
	if (wide) {
		cli_put_safe(r, rs_json_text(nearest, "policy", "?"));
		cli_put(r, " ");
		cli_put_safe(r, rs_json_text(nearest, "path", "?"));
		cli_put(r, ": ");
		cli_put_safe(r, rs_json_text(nearest, "why", "?"));
	} else {
		cli_put_safe(r, cut ? short_peers : rs_json_text(nearest, "ports", "?"));
	}
}

void cli_put_why(struct cli_run *r, struct json_object *record, bool wide)
{
	struct json_object *by = rs_json_get(record, "ingress_denied_by");
	const char *note = rs_json_text(record, "note", NULL);

	if (!by)
		by = rs_json_get(record, "egress_denied_by");
	if (json_object_is_type(by, json_type_array) && json_object_array_length(by)) {
		put_policies(r, by, wide);
		put_miss(r, rs_json_get(record, "nearest"), wide);
		return;
	}
	cli_put(r, "  ");
	cli_put_safe(r, rs_json_text(record, "reason", "?"));
	if (note) {
		cli_put(r, ": ");
		cli_put_safe(r, note);
	}
}

void cli_put_record(struct cli_run *r, struct json_object *record)
{
	bool wide = r->opt.output == CLI_WIDE;
	const char *dir = rs_json_text(record, "traffic_direction", "?"), *name;
	struct json_object *l4 = l4_of(record, &name);
	rs_auto_strbuf ends = { 0 }, how = { 0 };

	put_time(r, rs_json_text(record, "time", "?"), wide);
	cli_put(r, "  ");
	cli_put_colored(r, CLI_BAD, "DENY");
	cli_putf(r, " %-7s", !strcmp(dir, "INGRESS") ? "ingress" : "egress");
	add_end(&ends, record, "source", l4, wide);
	rs_strbuf_puts(&ends, " -> ");
	add_end(&ends, record, "destination", l4, wide);
	put_padded(r, &ends, ENDS_WIDTH);
	if (rs_json_get(record, "IP"))
		add_protocol(&how, record);
	else
		rs_strbuf_puts(&how, "no IP");
	put_padded(r, &how, HOW_WIDTH);
	cli_put_why(r, record, wide);
	if (cli_true(record, "is_reply"))
		cli_put(r, "  (an answer)");
	cli_put(r, "\n");
}

/* ---- for programs ---------------------------------------------------------------------------- */

void cli_put_line(struct cli_run *r, struct json_object *o)
{
	cli_put_json_text(&r->out, o, JSON_C_TO_STRING_PLAIN);
	cli_put(r, "\n");
}

static void move(struct json_object *to, const char *name, struct json_object *from,
		 const char *key)
{
	struct json_object *v = rs_json_get(from, key);

	if (v)
		json_object_object_add(to, name, json_object_get(v));
}

/* Numbers of Cilium's monitor: a drop, a verdict of policy; and of its reasons. */
static struct json_object *event_type(struct json_object *record)
{
	static const struct {
		const char *name;
		int code;
	} reasons[] = { { "POLICY_DENIED", 133 },
			{ "INVALID_SOURCE_IP", 132 },
			{ "INVALID_PACKET_DROPPED", 134 },
			{ "CT_TRUNCATED_OR_INVALID_HEADER", 135 },
			{ "DROP_EP_NOT_READY", 203 } };
	const char *reason = rs_json_text(record, "drop_reason_desc", "");
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "type", json_object_new_int(1));
	for (size_t i = 0; i < RS_ARRAY_SIZE(reasons); i++)
		if (!strcmp(reason, reasons[i].name))
			json_object_object_add(o, "sub_type", json_object_new_int(reasons[i].code));
	return o;
}

void cli_put_hubble(struct cli_run *r, struct json_object *record)
{
	static const char *const same[] = {
		"time",
		"verdict",
		"IP",
		"l4",
		"source",
		"destination",
		"node_name",
		"traffic_direction",
		"is_reply",
		"drop_reason_desc",
		"ingress_denied_by",
		"egress_denied_by",
		"nearest",
	};
	rs_autojson struct json_object *o = json_object_new_object();
	struct json_object *flow = json_object_new_object();

	for (size_t i = 0; i < RS_ARRAY_SIZE(same); i++)
		move(flow, same[i], record, same[i]);
	rs_json_add_str(flow, "Type", "L3_L4");
	json_object_object_add(flow, "event_type", event_type(record));
	json_object_object_add(o, "flow", flow);
	move(o, "node_name", record, "node_name");
	move(o, "time", record, "time");
	cli_put_line(r, o);
}
