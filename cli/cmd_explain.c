// SPDX-License-Identifier: Apache-2.0
/* cmd_explain.c - `ripstop explain SRC DST PORT`: the verdict on a flow and the rule behind it. */
#include "cli/cli.h"
#include "cli/offline/offline.h"

#include <string.h>

/* ---- the question ---------------------------------------------------------------------------- */

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
	if (r->opt.kernel)
		json_object_object_add(req, "kernel", json_object_new_boolean(true));
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

/* One end of all that was asked about: a range as it was given, else as of one flow. */
static void put_asked_end(struct rs_strbuf *b, struct json_object *end)
{
	const char *range = rs_json_text(end, "range", NULL);

	if (range)
		rs_strbuf_puts_safe(b, range);
	else
		put_end(b, end, true);
}

static void put_asked(struct rs_strbuf *b, struct json_object *o)
{
	const char *ports = rs_json_text(o, "ports", NULL);
	struct json_object *port = rs_json_get(o, "port"), *flows = rs_json_get(o, "flows");

	put_asked_end(b, rs_json_get(o, "source"));
	rs_strbuf_puts(b, " -> ");
	put_asked_end(b, rs_json_get(o, "destination"));
	rs_strbuf_puts(b, " ");
	rs_strbuf_puts_safe(b, ports ? ports : rs_json_text(o, "protocol", "?"));
	if (!ports && json_object_is_type(port, json_type_int))
		rs_strbuf_printf(b, "/%lld", (long long)json_object_get_int64(port));
	if (flows && !rs_json_get(o, "parts"))
		rs_strbuf_printf(b, "   (all %lld flows alike)",
				 (long long)json_object_get_int64(flows));
}

/* The one flow that is explained. */
static void put_flow(struct rs_strbuf *b, struct json_object *o)
{
	struct json_object *port = rs_json_get(o, "port");

	put_end(b, rs_json_get(o, "source"), true);
	rs_strbuf_puts(b, " -> ");
	put_end(b, rs_json_get(o, "destination"), true);
	rs_strbuf_puts(b, " ");
	rs_strbuf_puts_safe(b, rs_json_text(o, "protocol", "?"));
	if (json_object_is_type(port, json_type_int))
		rs_strbuf_printf(b, "/%lld", (long long)json_object_get_int64(port));
}

static void put_verdict(struct cli_run *r, struct json_object *o)
{
	if (has_word(o, "verdict", "unknown"))
		cli_put_colored(r, CLI_WARN, "UNKNOWN");
	else if (has_word(o, "verdict", "allowed"))
		cli_put_colored(r, CLI_GOOD, "ALLOWED");
	else
		cli_put_colored(r, CLI_BAD, "DENIED");
	cli_put(r, "   ");
	put_asked(&r->out, o);
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

static void put_explained(struct cli_run *r, struct json_object *o)
{
	struct json_object *out = rs_json_get(o, "egress"), *in = rs_json_get(o, "ingress");
	bool both = rs_json_get(out, "miss") && rs_json_get(in, "miss");

	put_steps(r, o);
	put_miss(r, out, both ? "Closest egress rule" : "Closest rule");
	put_miss(r, in, both ? "Closest ingress rule" : "Closest rule");
}

/* ---- questions that stand for more than one flow --------------------------------------------- */

/* Flows of one question that end differently: which of them. */
static void put_parts(struct cli_run *r, struct json_object *o)
{
	struct json_object *parts = rs_json_get(o, "parts");
	size_t i, n = cli_count(o, "parts");

	for (i = 0; i < n; i++) {
		struct json_object *p = json_object_array_get_idx(parts, i);
		bool allowed = has_word(p, "verdict", "allowed");

		cli_put(r, "     ");
		cli_put_colored(r, allowed ? CLI_GOOD : CLI_BAD, allowed ? "ALLOW" : "DENY ");
		cli_put(r, "  ");
		cli_put_safe(r, rs_json_text(p, "source", "-"));
		cli_put(r, " -> ");
		cli_put_safe(r, rs_json_text(p, "destination", "-"));
		cli_put(r, " ");
		cli_put_safe(r, rs_json_text(p, "ports", ""));
		cli_put(r, "\n");
	}
	if (!n)
		return;
	cli_put(r, "The first that is denied, ");
	put_flow(&r->out, o);
	cli_put(r, ":\n");
}

static void put_through(struct cli_run *r, struct json_object *o)
{
	struct json_object *s = rs_json_get(o, "service");
	rs_autofree char *ready = cli_cell_number(s, "ready");
	rs_autofree char *waiting = cli_cell_number(s, "notReady");
	rs_autofree char *allowed = cli_cell_number(s, "allowed");
	rs_autofree char *denied = cli_cell_number(s, "denied");
	const char *name = rs_json_text(s, "portName", NULL);

	cli_put(r, cli_true(s, "headless") ? "  0 the Service's name" : "  0 the Service's port");
	if (name && !cli_true(s, "headless")) {
		cli_put(r, " ");
		cli_put_safe(r, name);
	}
	cli_putf(r, " leads to %s ready backend%s", ready, strcmp(ready, "1") ? "s" : "");
	if (strcmp(waiting, "0"))
		cli_putf(r, " (%s more not ready)", waiting);
	cli_putf(r, ", by %s",
		 has_word(s, "backendsFrom", "selector") ? "its selector" : "EndpointSlices");
	if (strcmp(allowed, "0") && strcmp(denied, "0"))
		cli_putf(r, ": %s allowed, %s denied", allowed, denied);
	cli_put(r, "\n");
}

/* Pods of one workload that fare alike are told of once. */
static bool alike(struct json_object *a, struct json_object *b)
{
	struct json_object *x = rs_json_get(rs_json_get(a, "destination"), "workload");
	struct json_object *y = rs_json_get(rs_json_get(b, "destination"), "workload");

	return x && json_object_equal(x, y) &&
	       has_word(a, "verdict", rs_json_text(b, "verdict", ""));
}

static void put_backends(struct cli_run *r, struct json_object *o)
{
	struct json_object *list = rs_json_get(o, "backends");
	size_t i, k, n = cli_count(o, "backends");

	for (i = 0; i < n; i = k) {
		struct json_object *b = json_object_array_get_idx(list, i);

		for (k = i + 1; k < n && alike(b, json_object_array_get_idx(list, k));)
			k++;
		cli_put(r, "Backend ");
		put_flow(&r->out, b);
		if (k > i + 1)
			cli_putf(r, ", and %zu alike", k - i - 1);
		cli_put(r, "\n");
		put_explained(r, b);
		put_line(r, b, "note", "  Note: ");
	}
}

static void put_screen(struct cli_run *r, struct json_object *o)
{
	put_verdict(r, o);
	if (rs_json_get(o, "service")) {
		put_through(r, o);
		put_backends(r, o);
	} else {
		put_parts(r, o);
		put_explained(r, o);
	}
	put_line(r, o, "note", "Note: ");
	cli_kernel_put(r, o);
}

/* kubectl ripstop may not know it: a node that judges one end did not answer. */
static int exit_of(const struct cli_run *r, struct json_object *o)
{
	if (has_word(o, "verdict", "unknown"))
		return CLI_PARTIAL;
	return has_word(o, "verdict", "allowed") == (r->opt.expect == CLI_EXPECT_ALLOW) ? CLI_YES
											: CLI_NO;
}

static int ask(struct cli_run *r, struct json_object **o)
{
	struct cli_port port;
	rs_auto_err err = { 0 };

	if (cli_port_parse(r->operands[2], &port, &err) < 0) {
		cli_error(err.hint, "explain: %s", rs_err_str(&err));
		return CLI_USAGE;
	}
	if (cli_is_offline(r) || port.name || port.lo != port.hi) {
		if (!r->opt.kernel)
			return cli_offline_explain(r, o);
		cli_error(
			"without -f, between pods by name, addresses, node or world, for one port",
			"--kernel asks the rules of nodes, and this question is answered from "
			"objects");
		return CLI_USAGE;
	}
	return cli_call(r, request(r), "explain", "ExplainResult", o);
}

int cli_cmd_explain(struct cli_run *r)
{
	rs_autojson struct json_object *o = NULL;
	int code = ask(r, &o);

	if (code)
		return code;
	if (!has_word(o, "verdict", "allowed") && !has_word(o, "verdict", "denied") &&
	    !(r->kube && has_word(o, "verdict", "unknown"))) {
		cli_error("are this program and the agent of one release? see: ripstop version",
			  "the agent's verdict \"%s\" is neither allowed nor denied",
			  rs_json_text(o, "verdict", ""));
		return CLI_NO_AGENT;
	}
	if (r->opt.kernel && (code = cli_kernel_compare(r, request, &o)))
		return code;
	if (cli_wants_object(r))
		cli_put_object(r, o);
	else
		put_screen(r, o);
	return cli_kernel_exit(o, exit_of(r, o));
}
