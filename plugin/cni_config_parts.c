// SPDX-License-Identifier: Apache-2.0
/* cni_config_parts.c - the nested parts of the network configuration: ipam, labels, attachments. */
#include <errno.h>
#include <string.h>

#include "plugin/cni.h"

#define IPAM_TYPE_MAX 128
#define RANGES_MAX 16
#define REST_DEFAULT_S 30
#define REST_MAX_S (7 * 24 * 3600)
#define TEXT_MAX 1024

static int parse_ranges(struct cni_config *c, struct json_object *ipam, struct rs_err *err)
{
	struct json_object *a = rs_json_get(ipam, "ranges");
	size_t i, n;

	if (!a)
		return 0;
	if (!json_object_is_type(a, json_type_array))
		return rs_err_set(err, EINVAL, "ipam.ranges is not a list of CIDRs");
	n = json_object_array_length(a);
	if (n > RANGES_MAX)
		return rs_err_set(err, E2BIG, "ipam.ranges: %zu ranges, at most %d are allowed", n,
				  RANGES_MAX);
	c->ranges = rs_new0(struct rs_cidr, n);
	for (i = 0; i < n; i++) {
		struct json_object *o = json_object_array_get_idx(a, i);

		if (!json_object_is_type(o, json_type_string))
			return rs_err_set(err, EINVAL, "ipam.ranges[%zu] is not a string", i);
		if (rs_cidr_parse(json_object_get_string(o), &c->ranges[i], NULL, err) < 0)
			return rs_err_wrap(err, "ipam.ranges[%zu]", i);
	}
	c->n_ranges = n;
	return 0;
}

static void warn_keys(struct cni_config *c, struct json_object *o, const char *where,
		      const char *const *known, size_t n)
{
	json_object_object_foreach(o, key, value)
	{
		size_t i;

		(void)value;
		for (i = 0; i < n && strcmp(key, known[i]); i++)
			;
		if (i < n)
			continue;
		rs_strbuf_printf(&c->warnings, "unknown key %s", where);
		rs_strbuf_puts_safe(&c->warnings, key);
		rs_strbuf_puts(&c->warnings, " in the network configuration is ignored\n");
	}
}

static int parse_builtin(struct cni_config *c, enum cni_verb verb, struct json_object *ipam,
			 struct rs_err *err)
{
	static const char *const known[] = { "type", "ranges", "restSeconds" };
	int64_t rest = REST_DEFAULT_S;
	int rc = rs_json_opt_int(ipam, "restSeconds", 0, REST_MAX_S, &rest, err);

	if (rc < 0)
		return rs_err_wrap(err, "ipam");
	c->rest_s = (uint32_t)rest;
	if (verb == CNI_ADD)
		warn_keys(c, ipam, "ipam.", known, RS_ARRAY_SIZE(known));
	return parse_ranges(c, ipam, err);
}

int cni_config_ipam(struct cni_config *c, enum cni_verb verb, struct rs_err *err)
{
	struct json_object *ipam = rs_json_get(c->raw, "ipam");
	int rc;

	c->rest_s = REST_DEFAULT_S;
	if (!ipam)
		return 0;
	if (!json_object_is_type(ipam, json_type_object))
		return rs_err_set(err, EINVAL, "ipam is not an object");
	rc = rs_json_opt_str(ipam, "type", IPAM_TYPE_MAX, &c->ipam_type, err);
	if (rc < 0)
		return rs_err_wrap(err, "ipam");
	if (c->ipam_type && !strcmp(c->ipam_type, "ripstop")) {
		free(c->ipam_type);
		c->ipam_type = NULL;
	}
	/* The type becomes a file name. */
	if (c->ipam_type && !cni_is_name(c->ipam_type, IPAM_TYPE_MAX))
		return rs_err_set(err, EINVAL, "ipam.type is not the name of a plugin");
	if (c->ipam_type || verb == CNI_DEL || verb == CNI_GC || verb == CNI_CHECK)
		return 0;
	return parse_builtin(c, verb, ipam, err);
}

static int take_label(struct cni_config *c, struct json_object *o, struct rs_err *err)
{
	rs_autofree char *key = NULL, *value = NULL;
	struct json_object *v = rs_json_get(o, "value");
	int rc;

	if (!json_object_is_type(o, json_type_object))
		return rs_err_set(err, EINVAL, "it is not an object of key and value");
	rc = rs_json_str(o, "key", TEXT_MAX, &key, err);
	/* A label may have an empty value. */
	if (rc == 0 &&
	    !(json_object_is_type(v, json_type_string) && json_object_get_string_len(v) == 0))
		rc = rs_json_str(o, "value", TEXT_MAX, &value, err);
	if (rc == 0)
		rc = cni_label_add(&c->labels, key, value ? value : "", err);
	return rc;
}

int cni_config_labels(struct cni_config *c, struct rs_err *err)
{
	struct json_object *args = rs_json_get(c->raw, "args");
	struct json_object *a = rs_json_get(rs_json_get(args, "cni"), "labels");
	size_t i;

	if (!a)
		return 0;
	if (!json_object_is_type(a, json_type_array))
		return rs_err_set(err, EINVAL, "args.cni.labels is not a list");
	c->has_labels = true;
	for (i = 0; i < json_object_array_length(a); i++)
		if (take_label(c, json_object_array_get_idx(a, i), err) < 0)
			return rs_err_wrap(err, "args.cni.labels[%zu]", i);
	return 0;
}

static int take_attachment(struct cni_config *c, struct json_object *o, struct rs_err *err)
{
	struct cni_attachment *slot = rs_vec_push(&c->attachments);
	int rc = rs_json_str(o, "containerID", TEXT_MAX, &slot->container_id, err);

	if (rc == 0)
		rc = rs_json_str(o, "ifname", TEXT_MAX, &slot->ifname, err);
	return rc;
}

/* A list that cannot be read whole deletes nothing: what it meant to keep is not known. */
int cni_config_attachments(struct cni_config *c, struct rs_err *err)
{
	struct json_object *a = rs_json_get(c->raw, "cni.dev/valid-attachments");
	size_t i;

	if (!a)
		return 0;
	if (!json_object_is_type(a, json_type_array))
		return rs_err_set(err, EINVAL, "cni.dev/valid-attachments is not a list");
	for (i = 0; i < json_object_array_length(a); i++)
		if (take_attachment(c, json_object_array_get_idx(a, i), err) < 0)
			return rs_err_wrap(err, "cni.dev/valid-attachments[%zu]", i);
	c->has_attachments = true;
	return 0;
}

bool cni_config_is_valid_attachment(const struct cni_config *c, const char *container_id,
				    const char *ifname)
{
	size_t i;

	for (i = 0; i < c->attachments.n; i++)
		if (!strcmp(c->attachments.v[i].container_id, container_id) &&
		    !strcmp(c->attachments.v[i].ifname, ifname))
			return true;
	return false;
}

/* What the runtime was asked to pass and we do not act upon. */
static void warn_capabilities(struct cni_config *c)
{
	struct json_object *caps = rs_json_get(c->raw, "capabilities");

	if (!json_object_is_type(caps, json_type_object))
		return;
	json_object_object_foreach(caps, key, value)
	{
		if (!json_object_get_boolean(value))
			continue;
		rs_strbuf_puts(&c->warnings, "capability ");
		rs_strbuf_puts_safe(&c->warnings, key);
		rs_strbuf_puts(&c->warnings, " is not one of ripstop's and has no effect here\n");
	}
}

void cni_config_warn_unknown(struct cni_config *c)
{
	static const char *const known[] = {
		"cniVersion",
		"name",
		"type",
		"mtu",
		"ipam",
		"dns",
		"socket",
		"stateDir",
		"args",
		"timeoutSeconds",
		"prevResult",
		"capabilities",
		"runtimeConfig",
		"statusMaxAgeSeconds",
		"cni.dev/valid-attachments",
		"cni.dev/attachments",
	};

	warn_keys(c, c->raw, "", known, RS_ARRAY_SIZE(known));
	warn_capabilities(c);
}
