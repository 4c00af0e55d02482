// SPDX-License-Identifier: Apache-2.0
/* cni_environ.c - the CNI_* environment of a call, checked before anything else looks at it. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "plugin/cni.h"

#define ARGS_MAX (64u * 1024u)
#define POD_NAME_MAX 253

static const struct {
	const char *name;
	bool id, netns, ifname, path; /* what it needs */
} verbs[] = {
	[CNI_ADD] = { "ADD", true, true, true, true },
	[CNI_DEL] = { "DEL", true, false, true, true },
	[CNI_CHECK] = { "CHECK", true, true, true, true },
	[CNI_GC] = { "GC", false, false, false, true },
	[CNI_STATUS] = { "STATUS", false, false, false, true },
	[CNI_VERSION] = { "VERSION", false, false, false, false },
};

const char *cni_verb_name(enum cni_verb verb)
{
	return verbs[verb].name;
}

static bool unset(const char *s)
{
	return !s || !*s;
}

static int parse_verb(const char *command, enum cni_verb *out, struct rs_err *err)
{
	size_t i;

	for (i = 0; i < RS_ARRAY_SIZE(verbs); i++) {
		if (command && !strcmp(command, verbs[i].name)) {
			*out = (enum cni_verb)i;
			return 0;
		}
	}
	return rs_err_set(err, EINVAL,
			  "CNI_COMMAND is none of ADD, DEL, CHECK, GC, STATUS, VERSION");
}

/* All that is missing is named at once. */
static int check_present(enum cni_verb verb, const struct cni_env_raw *raw, struct rs_err *err)
{
	rs_auto_strbuf b = { 0 };

	if (verbs[verb].id && unset(raw->container_id))
		rs_strbuf_puts(&b, " CNI_CONTAINERID");
	if (verbs[verb].netns && unset(raw->netns))
		rs_strbuf_puts(&b, " CNI_NETNS");
	if (verbs[verb].ifname && unset(raw->ifname))
		rs_strbuf_puts(&b, " CNI_IFNAME");
	if (verbs[verb].path && unset(raw->path))
		rs_strbuf_puts(&b, " CNI_PATH");
	if (b.len)
		return rs_err_set(err, EINVAL, "%s needs%s in the environment", verbs[verb].name,
				  b.s);
	return 0;
}

static int check_netns(const char *netns, struct rs_err *err)
{
	const char *p;

	if (netns[0] != '/')
		return rs_err_set(err, EINVAL, "CNI_NETNS is not an absolute path");
	if (strlen(netns) >= PATH_MAX)
		return rs_err_set(err, ENAMETOOLONG, "CNI_NETNS is longer than a path can be");
	for (p = netns; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return rs_err_set(err, EINVAL, "CNI_NETNS holds a control character");
	return 0;
}

static int check_id(const char *id, struct rs_err *err)
{
	if (rs_container_id_check(id, err) == 0)
		return 0;
	rs_err_hint(err, "it begins with a letter or a digit; then _ . - are allowed too");
	return rs_err_wrap(err, "CNI_CONTAINERID");
}

static int check_ifname(const char *ifname, struct rs_err *err)
{
	return rs_ifname_check(ifname, err) < 0 ? rs_err_wrap(err, "CNI_IFNAME") : 0;
}

static int check_values(enum cni_verb verb, const struct cni_env_raw *raw, struct rs_err *err)
{
	int rc = 0;

	if (verbs[verb].id)
		rc = check_id(raw->container_id, err);
	if (rc == 0 && verbs[verb].ifname)
		rc = check_ifname(raw->ifname, err);
	/* DEL never opens it, so a strange one must not keep a pod's resources. */
	if (rc == 0 && verbs[verb].netns)
		rc = check_netns(raw->netns, err);
	return rc;
}

/* ---- CNI_ARGS -------------------------------------------------------------------------------- */

struct args {
	bool ignore_unknown;
	char *unknown; /* the first one */
	char *ns, *ripstop_ns, *name, *uid;
	char *labels;
};

static void args_clear(struct args *a)
{
	free(a->unknown);
	free(a->ns);
	free(a->ripstop_ns);
	free(a->name);
	free(a->uid);
	free(a->labels);
}

static bool is_true(const char *s)
{
	return !strcmp(s, "1") || !strcasecmp(s, "true");
}

static void args_set(struct args *a, const char *key, const char *value)
{
	char **slot = !strcmp(key, "K8S_POD_NAMESPACE")	  ? &a->ns
		      : !strcmp(key, "RIPSTOP_NAMESPACE") ? &a->ripstop_ns
		      : !strcmp(key, "K8S_POD_NAME")	  ? &a->name
		      : !strcmp(key, "K8S_POD_UID")	  ? &a->uid
		      : !strcmp(key, "RIPSTOP_LABELS")	  ? &a->labels
							  : NULL;

	if (slot) {
		free(*slot);
		*slot = rs_strdup(value);
	} else if (!strcmp(key, "IgnoreUnknown")) {
		a->ignore_unknown = is_true(value);
	} else if (strcmp(key, "K8S_POD_INFRA_CONTAINER_ID") && !a->unknown) {
		a->unknown = rs_strndup(key, 64);
	}
}

static int args_split(struct args *a, const char *text, struct rs_err *err)
{
	if (strlen(text) > ARGS_MAX)
		return rs_err_set(err, E2BIG, "CNI_ARGS is longer than %u bytes", ARGS_MAX);
	while (*text) {
		size_t len = strcspn(text, ";");
		rs_autofree char *pair = rs_strndup(text, len);
		char *eq = strchr(pair, '=');

		if (len && !eq)
			return rs_err_set(err, EINVAL, "CNI_ARGS is not of the form KEY=VALUE;...");
		if (len) {
			*eq = '\0';
			args_set(a, pair, eq + 1);
		}
		text += len;
		text += *text == ';';
	}
	if (a->unknown && !a->ignore_unknown) {
		rs_auto_strbuf b = { 0 };

		rs_strbuf_puts_safe(&b, a->unknown);
		return rs_err_set(err, EINVAL,
				  "CNI_ARGS: unknown key %s (IgnoreUnknown=1 allows it)",
				  rs_strbuf_str(&b));
	}
	return 0;
}

/* An empty value is as good as none. */
static int take_name(const char *key, char **from, char **to, struct rs_err *err)
{
	if (unset(*from))
		return 0;
	if (!cni_is_name(*from, POD_NAME_MAX))
		return rs_err_set(err, EINVAL,
				  "CNI_ARGS: %s is no name of at most %d letters, digits, _ . -",
				  key, POD_NAME_MAX);
	*to = rs_steal_ptr(from);
	return 0;
}

static int parse_args(const char *text, struct cni_env *out, struct rs_err *err)
{
	rs_cleanup(args_clear) struct args a = { 0 };
	int rc = args_split(&a, text, err);

	if (rc == 0)
		rc = take_name("K8S_POD_NAMESPACE", &a.ns, &out->pod_ns, err);
	if (rc == 0 && !out->pod_ns)
		rc = take_name("RIPSTOP_NAMESPACE", &a.ripstop_ns, &out->pod_ns, err);
	if (rc == 0)
		rc = take_name("K8S_POD_NAME", &a.name, &out->pod_name, err);
	if (rc == 0)
		rc = take_name("K8S_POD_UID", &a.uid, &out->pod_uid, err);
	if (rc == 0 && a.labels) {
		out->has_labels = true;
		rc = cni_labels_parse(&out->labels, a.labels, err);
		if (rc < 0)
			rs_err_wrap(err, "CNI_ARGS: RIPSTOP_LABELS");
	}
	return rc;
}

int cni_env_parse(const struct cni_env_raw *raw, struct cni_env *out, struct rs_err *err)
{
	int rc;

	memset(out, 0, sizeof(*out));
	rc = parse_verb(raw->command, &out->verb, err);
	if (rc == 0)
		rc = check_present(out->verb, raw, err);
	if (rc == 0)
		rc = check_values(out->verb, raw, err);
	/* Who the pod is matters only when it joins. */
	if (rc == 0 && out->verb == CNI_ADD && raw->args)
		rc = parse_args(raw->args, out, err);
	if (rc < 0) {
		rs_err_cni(err, RS_CNI_ENV);
		cni_env_clear(out);
		return rc;
	}
	out->container_id = verbs[out->verb].id ? rs_strdup(raw->container_id) : NULL;
	out->ifname = verbs[out->verb].ifname ? rs_strdup(raw->ifname) : NULL;
	out->netns = verbs[out->verb].netns ? rs_strdup(raw->netns) : NULL;
	out->path = rs_strdup(raw->path);
	return 0;
}

void cni_env_clear(struct cni_env *env)
{
	free(env->container_id);
	free(env->netns);
	free(env->ifname);
	free(env->path);
	free(env->pod_ns);
	free(env->pod_name);
	free(env->pod_uid);
	cni_labels_clear(&env->labels);
	memset(env, 0, sizeof(*env));
}
