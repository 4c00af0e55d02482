// SPDX-License-Identifier: Apache-2.0
/* call.c - one question to the agent, what its failures mean, and names of objects. */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ripstop/ctl.h>

static void say(const char *prefix, const char *text)
{
	rs_auto_strbuf b = { 0 };

	rs_strbuf_puts(&b, prefix);
	rs_strbuf_puts_safe(&b, text);
	rs_strbuf_putc(&b, '\n');
	fputs(b.s, stderr);
}

void cli_error(const char *hint, const char *fmt, ...)
{
	rs_autofree char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = rs_vasprintf(fmt, ap);
	va_end(ap);
	say("ripstop: ", text);
	if (hint)
		say("  hint: ", hint);
}

void cli_warn(const char *fmt, ...)
{
	rs_autofree char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = rs_vasprintf(fmt, ap);
	va_end(ap);
	say("ripstop: warning: ", text);
}

/* ---- the call -------------------------------------------------------------------------------- */

static int exit_of(const struct cli_run *r, int rc)
{
	switch (-rc) {
	case ENOENT: /* the socket, or what was asked for? */
		return access(r->opt.socket, F_OK) < 0 ? CLI_NO_AGENT : CLI_NOT_FOUND;
	case EINVAL:
	case EDOM:
	case ERANGE:
	case EAFNOSUPPORT:
		return CLI_USAGE;
	case EBADMSG:
		return CLI_BAD_INPUT;
	case ETIMEDOUT:
		return CLI_TIMEOUT;
	default:
		return CLI_NO_AGENT;
	}
}

static int failed(const struct cli_run *r, int rc, struct rs_err *err)
{
	rs_autofree char *hint = NULL;
	int code = exit_of(r, rc);

	if (code == CLI_NO_AGENT && (rc == -ENOENT || rc == -ECONNREFUSED))
		hint = rs_asprintf(
			"no agent listens there: start one (systemctl start ripstop-agent, or "
			"ripstop-agent --manifests DIR), or name its socket with --socket PATH");
	else if (err->hint)
		hint = rs_strdup(err->hint);
	cli_error(hint, "%s", rs_err_str(err));
	return code;
}

int cli_call(struct cli_run *r, struct json_object *request, const char *op, const char *kind,
	     struct json_object **result)
{
	rs_autojson struct json_object *req = request;
	rs_autojson struct json_object *o = NULL;
	rs_auto_err err = { 0 };
	int rc;

	json_object_object_add(req, "op", json_object_new_string(op));
	rc = rs_ctl_call(r->opt.socket, req, r->opt.timeout_ms, &o, &err);
	if (rc < 0)
		return failed(r, rc, &err);
	if (strcmp(rs_json_text(o, "kind", ""), kind)) {
		cli_error("are this program and the agent of one release? see: ripstop version",
			  "the agent answered %s with something else than a %s", op, kind);
		return CLI_NO_AGENT;
	}
	*result = rs_steal_ptr(&o);
	return 0;
}

/* ---- names ----------------------------------------------------------------------------------- */

bool cli_is_plain_name(const char *operand)
{
	struct rs_addr a;

	return !strpbrk(operand, "/:=@,") && strcmp(operand, "world") && strcmp(operand, "node") &&
	       rs_addr_parse(operand, &a, NULL) < 0;
}

char *cli_qualified(const struct cli_run *r, const char *operand)
{
	if (r->opt.namespace && cli_is_plain_name(operand))
		return rs_asprintf("%s/%s", r->opt.namespace, operand);
	return rs_strdup(operand);
}

static bool names(const char *operand, struct json_object *item)
{
	const char *slash = strchr(operand, '/'), *ns = rs_json_text(item, "namespace", "");
	const char *name = slash ? slash + 1 : operand;

	if (slash && (strlen(ns) != (size_t)(slash - operand) || strncmp(ns, operand, strlen(ns))))
		return false;
	return !strcmp(rs_json_text(item, "name", ""), name);
}

void cli_keep_named(const struct cli_run *r, struct json_object *list, const char **missing)
{
	struct json_object *items = rs_json_get(list, "items");
	struct json_object *kept = json_object_new_array();
	rs_autofree bool *used = rs_new0(bool, (size_t)r->n_operands);
	size_t i, n = cli_count(list, "items");
	int k;

	*missing = NULL;
	for (i = 0; i < n; i++) {
		struct json_object *item = json_object_array_get_idx(items, i);
		bool wanted = r->n_operands == 0;

		if (r->opt.namespace &&
		    strcmp(rs_json_text(item, "namespace", ""), r->opt.namespace))
			continue;
		for (k = 0; k < r->n_operands; k++)
			if (names(r->operands[k], item))
				wanted = used[k] = true;
		if (wanted)
			json_object_array_add(kept, json_object_get(item));
	}
	for (k = r->n_operands - 1; k >= 0; k--)
		if (!used[k])
			*missing = r->operands[k];
	json_object_object_add(list, "items", kept);
}
