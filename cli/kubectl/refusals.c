// SPDX-License-Identifier: Apache-2.0
/* refusals.c - what a kubectl that has ended means: an answer, or why there is none. */
#include "cli/kubectl/kubectl.h"

#include <errno.h>
#include <string.h>

#define MAX_DEPTH 100

void kube_answer_clear(struct kube_answer *a)
{
	json_object_put(a->o);
	free(a->cause);
	free(a->hint);
	memset(a, 0, sizeof(*a));
}

void kube_refuse(struct kube_answer *a, int code, char *cause, const char *hint)
{
	kube_answer_clear(a);
	a->code = code;
	a->cause = cause;
	a->hint = rs_strdup(hint);
}

int kube_tell(const struct kube_answer *a, const char *node)
{
	cli_speak_of(node);
	cli_error(a->hint, "%s", a->cause ? a->cause : "no answer");
	cli_speak_of(NULL);
	return a->code;
}

/* The rest of the last line that begins so; NULL when there is none. The caller frees it. */
static char *told(const struct kube_child *c, const char *begins)
{
	const char *line = rs_strbuf_str(&c->told), *found = NULL;

	for (; *line; line = strchr(line, '\n') + 1)
		if (!strncmp(line, begins, strlen(begins)))
			found = line + strlen(begins);
	return found ? rs_strndup(found, strcspn(found, "\n")) : NULL;
}

/* The last line, without "error: " or "Error from server (Forbidden): " before it. */
static char *last_told(const struct kube_child *c)
{
	rs_autofree char *line = told(c, "");
	static const char *const before[] = { "error: ", "Error from server " };
	const char *s = line, *end;
	size_t i;

	for (i = 0; s && i < RS_ARRAY_SIZE(before); i++)
		if (!strncmp(s, before[i], strlen(before[i])))
			s += strlen(before[i]);
	if (s && *s == '(' && (end = strstr(s, "): ")))
		s = end + 3;
	return rs_strdup(s);
}

/* ---- kubectl itself -------------------------------------------------------------------------- */

static bool has(const struct kube_child *c, const char *word)
{
	return strstr(rs_strbuf_str(&c->told), word) != NULL;
}

static const char *hint_of(const struct kube_child *c)
{
	if (has(c, "orbidden"))
		return "the rights that are needed stand in "
		       "manifests/optional/kubectl-ripstop-rbac.yaml";
	if (has(c, "(Unauthorized)") || has(c, "logged in"))
		return "log in to the cluster; kubectl auth whoami says who you are to it";
	if (has(c, "nable to connect") || has(c, "connection to the server") ||
	    has(c, "Error in configuration"))
		return "does kubectl get pods answer, with the same --context or --kubeconfig?";
	if (has(c, "container not found") || has(c, "unable to upgrade connection"))
		return "kubectl describe tells how that pod is";
	return NULL;
}

static void kubectl_failed(const struct kube_child *c, struct kube_answer *a)
{
	rs_autofree char *line = last_told(c);

	kube_refuse(a, CLI_NO_AGENT,
		    line ? rs_asprintf("kubectl: %s", line)
			 : rs_asprintf("kubectl ended with code %d and did not say why", c->status),
		    hint_of(c));
}

static void not_run(const struct kube_child *c, struct kube_answer *a)
{
	switch (-c->status) {
	case ENOENT:
		kube_refuse(a, CLI_NO_AGENT, rs_strdup("kubectl is not in PATH"),
			    "install it: the cluster is asked by kubectl and by nothing else");
		return;
	case EMSGSIZE:
		kube_refuse(a, CLI_NO_AGENT,
			    rs_asprintf("kubectl answers more than %zu MiB", c->max_out / RS_MIB),
			    "ask less: --node NODE, -n NAMESPACE");
		return;
	case ETIMEDOUT:
		kube_refuse(a, CLI_TIMEOUT, rs_strdup("no answer within the time of --timeout"),
			    NULL);
		return;
	case EINTR:
		kube_refuse(a, CLI_NO_AGENT, rs_strdup("kubectl was killed by a signal"), NULL);
		return;
	default:
		kube_refuse(a, CLI_NO_AGENT, rs_asprintf("run kubectl: %s", strerror(-c->status)),
			    NULL);
	}
}

/* ---- the ripstop in the container ------------------------------------------------------------ */

static int remote_code(int code)
{
	switch (code) {
	case CLI_USAGE:
	case CLI_NOT_FOUND:
	case CLI_BAD_INPUT:
	case CLI_TIMEOUT:
		return code;
	default:
		return CLI_NO_AGENT;
	}
}

static void ripstop_failed(const struct kube_child *c, struct kube_answer *a)
{
	rs_autofree char *said = told(c, "ripstop: "), *hint = told(c, "  hint: ");

	if (c->status == 126 || c->status == 127)
		kube_refuse(a, CLI_NO_AGENT,
			    rs_strdup("no ripstop can be run in the agent's container"),
			    "is its image one of Ripstop's?");
	else if (said)
		kube_refuse(a, remote_code(c->status), rs_steal_ptr(&said), hint);
	else
		kube_refuse(a, remote_code(c->status),
			    rs_asprintf("ripstop ended with code %d in the agent's container",
					c->status),
			    NULL);
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Codes 0, 1 and 7 are answers, of which the object says which: 1 is kubectl's failure too. */
static bool is_answer(const struct kube_child *c)
{
	return c->status == CLI_YES || c->status == CLI_NO ||
	       (c->status == CLI_DISAGREES && c->out.len);
}

bool kube_failed(const struct kube_child *c, bool remote, struct kube_answer *a)
{
	rs_autofree char *ended = told(c, "command terminated with exit code");

	memset(a, 0, sizeof(*a));
	if (c->status < 0)
		not_run(c, a);
	else if (remote && ended && !is_answer(c))
		ripstop_failed(c, a);
	else if (c->status != 0 && !(remote && ended))
		kubectl_failed(c, a);
	return a->code != 0;
}

void kube_read(const struct kube_child *c, const char *kind, bool remote, bool maybe,
	       struct kube_answer *a)
{
	rs_auto_err err = { 0 };

	if (kube_failed(c, remote, a))
		return;
	if (maybe && !c->out.len)
		return;
	if (rs_json_parse(rs_strbuf_str(&c->out), c->out.len, MAX_DEPTH, &a->o, &err) < 0)
		kube_refuse(a, CLI_NO_AGENT,
			    rs_asprintf("%s gave no answer that can be used: %s",
					remote ? "the agent" : "kubectl", rs_err_str(&err)),
			    NULL);
	else if (strcmp(rs_json_text(a->o, "kind", ""), kind))
		kube_refuse(a, CLI_NO_AGENT,
			    rs_asprintf("%s answered with something else than a %s",
					remote ? "the agent" : "kubectl", kind),
			    "are this program and the agents of one release? see: kubectl "
			    "ripstop version");
}
