// SPDX-License-Identifier: Apache-2.0
/* ops.c - the table of operations, and the operands they share. */
#include "agent/ops.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "answer/answer.h"
#include "base/jsonio.h"

/* attach and detach share a commit with all that comes in the same turn of the loop. */
static const struct rs_ctl_op ops[] = {
	{ "attach", rs_op_attach, false },    { "detach", rs_op_detach, false },
	{ "check", rs_op_check, true },	      { "report", rs_op_report, false },
	{ "status", rs_op_status, true },     { "pods", rs_op_pods, true },
	{ "policies", rs_op_policies, true }, { "rules", rs_op_rules, true },
	{ "explain", rs_op_explain, true },   { "version", rs_op_version, false },
	{ "objects", rs_op_objects, true },   { "verify", rs_op_verify, true },
	{ "ipam", rs_op_ipam, false },	      { "records", rs_op_records, true },
};

const struct rs_ctl_op *rs_op_find(const char *name)
{
	for (size_t i = 0; i < RS_ARRAY_SIZE(ops); i++)
		if (!strcmp(ops[i].name, name))
			return &ops[i];
	return NULL;
}

struct json_object *rs_op_object(struct rs_agent *a, const char *kind)
{
	struct json_object *meta, *o = rs_answer_new(kind, a->src->ops->name, &meta);
	uint64_t generation = rs_reconcile_generation(a->rec);

	rs_json_add_str(meta, "node", a->opt.node_name);
	if (generation)
		json_object_object_add(meta, "generation", json_object_new_uint64(generation));
	return o;
}

int rs_operand_pod(const char *text, const char *def, char **ns, char **name, struct rs_err *err)
{
	const char *slash;

	if (!strncmp(text, "pod/", 4) && strchr(text + 4, '/'))
		text += 4;
	slash = strchr(text, '/');
	if (!*text || (slash && (slash == text || !slash[1] || strchr(slash + 1, '/'))))
		return rs_err_set(err, EINVAL, "'%.100s' is no pod: write [NAMESPACE/]NAME", text);
	*ns = slash ? rs_strndup(text, (size_t)(slash - text)) : rs_strdup(def ? def : "default");
	*name = rs_strdup(slash ? slash + 1 : text);
	return 0;
}

static void add_namespace(struct rs_strbuf *out, const char *ns, const char *name)
{
	rs_strbuf_puts(out, out->len ? ", " : "did you mean ");
	rs_strbuf_printf(out, "%s/%s", ns, name);
}

int rs_operand_no_pod(struct rs_agent *a, const char *ns, const char *name, struct rs_err *err)
{
	rs_auto_strbuf hint = { 0 };
	struct rs_world w;
	size_t n, found = 0;
	const struct rs_pod *const *pods;

	rs_reconcile_world(a->rec, &w);
	rs_err_set(err, ENOENT, "no pod %s/%s", ns, name);
	for (size_t i = 0; i < w.n_locals && found < 5; i++)
		if (!strcmp(w.locals[i].name, name) && ++found)
			add_namespace(&hint, w.locals[i].ns, name);
	pods = rs_store_pods(w.store, &n);
	for (size_t i = 0; i < n && found < 5; i++)
		if (!strcmp(pods[i]->meta.name, name) &&
		    !rs_registry_by_pod(a->reg, pods[i]->meta.ns, name) && ++found)
			add_namespace(&hint, pods[i]->meta.ns, name);
	if (found)
		return rs_err_hint(err, "%s?", rs_strbuf_str(&hint));
	return rs_err_hint(err, "`ripstop pods -A` lists the pods of this node");
}

static int parse_port(const char *s, uint16_t *port)
{
	unsigned int n = 0;

	if (!*s || strlen(s) > 5 || strspn(s, "0123456789") != strlen(s))
		return -EINVAL;
	for (; *s; s++)
		n = n * 10 + (unsigned int)(*s - '0');
	if (n < 1 || n > UINT16_MAX)
		return -EINVAL;
	*port = (uint16_t)n;
	return 0;
}

int rs_operand_port(const char *text, uint8_t *proto, uint16_t *port, struct rs_err *err)
{
	static const struct {
		const char *prefix;
		uint8_t proto;
	} protos[] = { { "tcp/", RS_PROTO_TCP },
		       { "udp/", RS_PROTO_UDP },
		       { "sctp/", RS_PROTO_SCTP } };
	const char *number = text;

	*proto = RS_PROTO_TCP;
	*port = 0;
	if (!strcmp(text, "icmp")) {
		*proto = 0;
		return 0;
	}
	for (size_t i = 0; i < RS_ARRAY_SIZE(protos); i++)
		if (!strncmp(text, protos[i].prefix, strlen(protos[i].prefix))) {
			*proto = protos[i].proto;
			number = text + strlen(protos[i].prefix);
		}
	if (parse_port(number, port) < 0)
		return rs_err_set(
			err, EINVAL,
			"'%.40s' is no port: write 5432, tcp/5432, udp/53, sctp/9 or icmp", text);
	return 0;
}
