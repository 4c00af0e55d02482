// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_stdin.c - what a runtime hands to the plugin: environment and stdin, and an IPAM plugin's answer.
 *
 * Input: lines KEY=VALUE (the CNI_* variables), an empty line, then stdin. Beyond not crashing: what was
 * accepted satisfies the checks of the specification, and every error prints as a JSON object.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/cni.h"

#define NEED(cond)               \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)

static void check_error(const struct rs_err *err)
{
	rs_autojson struct json_object *o = cni_error_json("1.0.0", err), *back = NULL;
	rs_autofree char *text = rs_json_print(o);

	NEED(err->num > 0 && err->cni > 0 && err->msg);
	NEED(rs_json_parse(text, strlen(text), 8, &back, NULL) == 0);
	NEED(rs_json_get(back, "code") && rs_json_get(back, "msg"));
}

static const char **slot(struct cni_env_raw *raw, const char *key)
{
	return !strcmp(key, "CNI_COMMAND")	 ? &raw->command
	       : !strcmp(key, "CNI_CONTAINERID") ? &raw->container_id
	       : !strcmp(key, "CNI_NETNS")	 ? &raw->netns
	       : !strcmp(key, "CNI_IFNAME")	 ? &raw->ifname
	       : !strcmp(key, "CNI_PATH")	 ? &raw->path
	       : !strcmp(key, "CNI_ARGS")	 ? &raw->args
						 : NULL;
}

/* Reads the variables in place; returns where stdin begins. */
static char *read_env(char *text, struct cni_env_raw *raw)
{
	char *line;

	while (text && *text && (line = strsep(&text, "\n")) && *line) {
		char *eq = strchr(line, '=');
		const char **to;

		if (!eq)
			continue;
		*eq = '\0';
		to = slot(raw, line);
		if (to)
			*to = eq + 1;
	}
	return text;
}

static void try_env(const struct cni_env_raw *raw)
{
	rs_auto_err err = { 0 };
	struct cni_env env;
	size_t i;

	if (cni_env_parse(raw, &env, &err) < 0) {
		check_error(&err);
		return;
	}
	NEED(!env.container_id || rs_container_id_check(env.container_id, NULL) == 0);
	NEED(!env.ifname || rs_ifname_check(env.ifname, NULL) == 0);
	NEED(!env.netns || env.netns[0] == '/');
	NEED(env.verb != CNI_ADD || (env.container_id && env.netns && env.ifname));
	cni_labels_sort(&env.labels);
	for (i = 1; i < env.labels.n; i++)
		NEED(strcmp(env.labels.v[i - 1].key, env.labels.v[i].key) < 0);
	cni_env_clear(&env);
}

static void try_config(const char *text, size_t len, enum cni_verb verb)
{
	rs_auto_err err = { 0 };
	struct cni_config c;

	if (cni_config_parse(text, len, verb, &c, &err) < 0) {
		check_error(&err);
	} else {
		NEED(cni_is_name(c.name, 200) && c.state_dir[0] == '/' && c.socket[0] == '/');
		NEED(!c.ipam_type || !strchr(c.ipam_type, '/'));
		NEED(verb != CNI_ADD || !c.prev_result);
		NEED(verb == CNI_GC || !c.has_attachments);
		NEED(c.timeout_s > 0 && cni_version_number(c.version));
	}
	cni_config_clear(&c);
}

static void try_delegated(const char *text, size_t len)
{
	rs_autojson struct json_object *o = NULL;
	struct json_object *dns = NULL;
	struct cni_routes routes = { 0 };
	struct rs_endpoint e = { 0 };
	rs_auto_err err = { 0 };

	if (rs_json_parse(text, len, CNI_STDIN_DEPTH, &o, NULL) == 0 &&
	    cni_delegate_take(o, &e, &routes, &dns, &err) == 0)
		NEED(e.n_ips > 0 && e.n_ips <= RS_ENDPOINT_MAX_IPS);
	rs_vec_free(&routes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	rs_autofree char *copy = rs_strndup((const char *)data, size);
	struct cni_env_raw raw = { 0 };
	/* A NUL ends the environment as it does in reality; stdin may hold any. */
	const char *split = size > 1 ? memmem(data, size, "\n\n", 2) : NULL;
	const char *text = split ? split + 2 : (const char *)data;
	size_t len = size - (size_t)(text - (const char *)data);
	rs_autojson struct json_object *version = cni_version(text, len);
	int verb;

	NEED(version);
	read_env(copy, &raw);
	try_env(&raw);
	for (verb = CNI_ADD; verb <= CNI_STATUS; verb++)
		try_config(text, len, (enum cni_verb)verb);
	try_delegated(text, len);
	return 0;
}
