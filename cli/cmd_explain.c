// SPDX-License-Identifier: Apache-2.0
/* cmd_explain.c - `ripstop explain SRC DST PORT`: the verdict on a flow and the rule behind it. */
#include "cli/cli.h"

#include <string.h>

/* ---- operands -------------------------------------------------------------------------------- */

static bool is_number(const char *s)
{
	size_t len = strspn(s, "0123456789");
	long port = len && len <= 5 && !s[len] ? strtol(s, NULL, 10) : 0;

	return port >= 1 && port <= 65535;
}

static bool is_port(const char *s)
{
	static const char *const protocols[] = { "tcp/", "udp/", "sctp/" };
	size_t i;

	if (!strcmp(s, "icmp"))
		return true;
	for (i = 0; i < RS_ARRAY_SIZE(protocols); i++)
		if (!strncmp(s, protocols[i], strlen(protocols[i])))
			return is_number(s + strlen(protocols[i]));
	return is_number(s);
}

/* The node and the world are in no namespace, whatever -n says. */
static char *end_operand(const struct cli_run *r, const char *operand)
{
	if (!strcmp(operand, "node") || !strcmp(operand, "world"))
		return rs_strdup(operand);
	return cli_qualified(r, operand);
}

static struct json_object *request(const struct cli_run *r)
{
	struct json_object *req = json_object_new_object();
	rs_autofree char *src = end_operand(r, r->operands[0]);
	rs_autofree char *dst = end_operand(r, r->operands[1]);

	rs_json_add_str(req, "src", src);
	rs_json_add_str(req, "dst", dst);
	rs_json_add_str(req, "port", r->operands[2]);
	if (r->opt.family)
		json_object_object_add(req, "family", json_object_new_int(r->opt.family));
	return req;
}

/* ---- the screen ------------------------------------------------------------------------------ */

static void put_end(struct rs_strbuf *b, struct json_object *end, bool with_ip)
{
	const char *name = rs_json_text(end, "name", NULL);
	const char *ip = rs_json_text(end, "ip", NULL), *text = rs_json_text(end, "text", "?");

	if (name) {
		rs_strbuf_puts_safe(b, rs_json_text(end, "namespace", "-"));
		rs_strbuf_putc(b, '/');
	}
	rs_strbuf_puts_safe(b, name ? name : text);
	if (with_ip && ip && (name || strcmp(ip, text))) {
		rs_strbuf_puts(b, " (");
		rs_strbuf_puts_safe(b, ip);
		rs_strbuf_puts(b, ")");
	}
}

static bool has_word(struct json_object *o, const char *key, const char *word)
{
	return !strcmp(rs_json_text(o, key, ""), word);
}

static void put_verdict(struct cli_run *r, struct json_object *o)
{
	struct json_object *port = rs_json_get(o, "port");

	if (has_word(o, "verdict", "unknown"))
		cli_put_colored(r, CLI_WARN, "UNKNOWN");
	else if (has_word(o, "verdict", "allowed"))
		cli_put_colored(r, CLI_GOOD, "ALLOWED");
	else
		cli_put_colored(r, CLI_BAD, "DENIED");
	cli_put(r, "   ");
	put_end(&r->out, rs_json_get(o, "source"), true);
	cli_put(r, " -> ");
	put_end(&r->out, rs_json_get(o, "destination"), true);
	cli_put(r, " ");
	cli_put_safe(r, rs_json_text(o, "protocol", "?"));
	if (json_object_is_type(port, json_type_int))
		cli_putf(r, "/%lld", (long long)json_object_get_int64(port));
	cli_put(r, "\n");
}

/* The reason, and the rule behind it unless the reason names it already. */
static void put_reason(struct cli_run *r, struct json_object *half)
{
	const char *reason = rs_json_text(half, "reason", NULL);
	const char *rule = rs_json_text(half, "rule", NULL);
	const char *where = rs_json_text(half, "where", NULL);
	bool named = reason && rule && strstr(reason, rule);

	cli_put_safe(r, reason ? reason : rule ? rule : "no reason was given");
	if (reason && rule && !named) {
		cli_put(r, ": ");
		cli_put_safe(r, rule);
	}
	if (rule && where && !(reason && strstr(reason, where))) {
		cli_put(r, "   ");
		cli_put_safe(r, where);
	}
	cli_put(r, "\n");
}

static void put_step(struct cli_run *r, int nr, const char *title, size_t width,
		     struct json_object *half)
{
	struct json_object *known = rs_json_get(half, "known");
	bool judged = half && (!known || json_object_get_boolean(known));
	bool allowed = has_word(half, "verdict", "allowed");

	cli_putf(r, "  %d %-*s  ", nr, (int)width, title);
	if (!judged) {
		const char *reason =
			rs_json_text(half, "reason", "no policy judges it on this node");

		cli_put(r, "-      ");
		cli_put_safe(r, reason);
		cli_put(r, "\n");
		return;
	}
	cli_put_colored(r, allowed ? CLI_GOOD : CLI_BAD, allowed ? "ALLOW" : "DENY");
	cli_put(r, allowed ? "  " : "   ");
	put_reason(r, half);
}

/* "egress of shop/web", and where it was judged when more nodes than one were asked. */
static void put_title(struct rs_strbuf *b, const char *before, struct json_object *end,
		      struct json_object *half)
{
	const char *node = rs_json_text(half, "node", NULL);

	rs_strbuf_puts(b, before);
	put_end(b, end, false);
	if (!node)
		return;
	rs_strbuf_puts(b, " on ");
	rs_strbuf_puts_safe(b, node);
}

static void put_steps(struct cli_run *r, struct json_object *o)
{
	struct json_object *egress = rs_json_get(o, "egress"), *ingress = rs_json_get(o, "ingress");
	rs_auto_strbuf out = { 0 }, in = { 0 };
	size_t width;

	put_title(&out, "egress of ", rs_json_get(o, "source"), egress);
	put_title(&in, "ingress of ", rs_json_get(o, "destination"), ingress);
	width = out.len > in.len ? out.len : in.len;
	put_step(r, 1, out.s, width, egress);
	put_step(r, 2, in.s, width, ingress);
}

static void put_line(struct cli_run *r, struct json_object *o, const char *key, const char *before)
{
	const char *text = rs_json_text(o, key, NULL);

	if (!text || !*text)
		return;
	cli_put(r, before);
	cli_put_safe(r, text);
	cli_put(r, "\n");
}

/* The rule that came closest, and what would have made it fit. */
static void put_miss(struct cli_run *r, struct json_object *half, const char *title)
{
	struct json_object *miss = rs_json_get(half, "miss");
	const char *where = rs_json_text(miss, "where", NULL);

	if (!miss)
		return;
	cli_putf(r, "%s: ", title);
	cli_put_safe(r, rs_json_text(miss, "rule", "-"));
	if (where) {
		cli_put(r, "   ");
		cli_put_safe(r, where);
	}
	cli_put(r, "\n");
	put_line(r, miss, "ports", "     ports  ");
	put_line(r, miss, "peers", "     peers  ");
	put_line(r, miss, "hint", "  To allow it: ");
}

static void put_screen(struct cli_run *r, struct json_object *o)
{
	struct json_object *out = rs_json_get(o, "egress"), *in = rs_json_get(o, "ingress");
	bool both = rs_json_get(out, "miss") && rs_json_get(in, "miss");

	put_verdict(r, o);
	put_steps(r, o);
	put_miss(r, out, both ? "Closest egress rule" : "Closest rule");
	put_miss(r, in, both ? "Closest ingress rule" : "Closest rule");
	put_line(r, o, "note", "Note: ");
}

/* kubectl ripstop may not know it: a node that judges one end did not answer. */
static int exit_of(const struct cli_run *r, struct json_object *o)
{
	if (has_word(o, "verdict", "unknown"))
		return CLI_PARTIAL;
	return has_word(o, "verdict", "allowed") == (r->opt.expect == CLI_EXPECT_ALLOW) ? CLI_YES
											: CLI_NO;
}

int cli_cmd_explain(struct cli_run *r)
{
	rs_autojson struct json_object *o = NULL;
	int code;

	if (!is_port(r->operands[2])) {
		cli_error("5432 (TCP), tcp/5432, udp/53, sctp/9 or icmp; ports are 1 to 65535",
			  "explain: \"%s\" is no port", r->operands[2]);
		return CLI_USAGE;
	}
	code = cli_call(r, request(r), "explain", "ExplainResult", &o);
	if (code)
		return code;
	if (!has_word(o, "verdict", "allowed") && !has_word(o, "verdict", "denied") &&
	    !(r->kube && has_word(o, "verdict", "unknown"))) {
		cli_error("are this program and the agent of one release? see: ripstop version",
			  "the agent's verdict \"%s\" is neither allowed nor denied",
			  rs_json_text(o, "verdict", ""));
		return CLI_NO_AGENT;
	}
	if (cli_wants_object(r))
		cli_put_object(r, o);
	else
		put_screen(r, o);
	return exit_of(r, o);
}
