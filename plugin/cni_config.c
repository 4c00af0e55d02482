// SPDX-License-Identifier: Apache-2.0
/* cni_config.c - the network configuration on stdin: version, name, places, limits. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include <sys/un.h>

#include "plugin/cni.h"

#define NETWORK_NAME_MAX 200
#define MTU_MIN 576
#define MTU_MAX 65535
#define TIMEOUT_MAX_S 600
#define SOCKET_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)
#define STATE_DIR_MAX 1024

int cni_version_number(const char *version)
{
	static const struct {
		const char *text;
		int number;
	} known[] = { { "0.3.1", 31 }, { "0.4.0", 40 }, { "1.0.0", 100 }, { "1.1.0", 110 } };
	size_t i;

	for (i = 0; version && i < RS_ARRAY_SIZE(known); i++)
		if (!strcmp(version, known[i].text))
			return known[i].number;
	return 0;
}

static int parse_version(struct cni_config *c, enum cni_verb verb, struct rs_err *err)
{
	int need = verb == CNI_CHECK ? 40 : verb == CNI_GC || verb == CNI_STATUS ? 110 : 0;
	int rc = rs_json_opt_str(c->raw, "cniVersion", 32, &c->version, err);
	bool said;

	if (rc < 0)
		return rs_err_cni(err, RS_CNI_DECODE);
	said = c->version != NULL;
	if (!said) /* the specification's meaning of silence */
		c->version = rs_strdup("0.1.0");
	if (!cni_version_number(c->version)) {
		rs_auto_strbuf b = { 0 };

		rs_strbuf_puts_safe(&b, c->version);
		rs_err_set(err, ENOTSUP,
			   "cniVersion %s is not supported; 0.3.1, 0.4.0, 1.0.0 and 1.1.0 are",
			   said ? rs_strbuf_str(&b) : "is missing, which means 0.1.0: that");
		return rs_err_cni(err, RS_CNI_VERSION);
	}
	if (cni_version_number(c->version) < need) {
		rs_err_set(err, ENOTSUP,
			   "%s needs cniVersion %s or later, the configuration has %s",
			   cni_verb_name(verb), need == 40 ? "0.4.0" : "1.1.0", c->version);
		return rs_err_cni(err, RS_CNI_VERSION);
	}
	return 0;
}

static int parse_name(struct cni_config *c, struct rs_err *err)
{
	int rc = rs_json_str(c->raw, "name", NETWORK_NAME_MAX, &c->name, err);

	if (rc == 0 && !cni_is_name(c->name, NETWORK_NAME_MAX))
		rc = rs_err_set(
			err, EINVAL,
			"name must begin with a letter or digit; then also _ . - are allowed");
	return rc;
}

static int parse_path(struct cni_config *c, const char *key, size_t max, char **out,
		      struct rs_err *err)
{
	int rc = rs_json_opt_str(c->raw, key, max, out, err);

	if (rc == 0 && *out && **out != '/')
		rc = rs_err_set(err, EINVAL, "%s is not an absolute path", key);
	return rc;
}

static int parse_places(struct cni_config *c, struct rs_err *err)
{
	int rc = parse_path(c, "stateDir", STATE_DIR_MAX, &c->state_dir, err);

	if (rc == 0)
		rc = parse_path(c, "socket", SOCKET_MAX, &c->socket, err);
	if (rc < 0)
		return rc;
	if (!c->state_dir)
		c->state_dir = rs_strdup(CNI_STATE_DIR);
	/* The socket lies in the state folder, so one key moves a whole node. */
	if (!c->socket)
		c->socket = rs_asprintf("%s/agent.sock", c->state_dir);
	if (strlen(c->socket) > SOCKET_MAX)
		return rs_err_set(err, ENAMETOOLONG, "socket: longer than %zu bytes", SOCKET_MAX);
	return 0;
}

static int parse_numbers(struct cni_config *c, enum cni_verb verb, struct rs_err *err)
{
	int64_t timeout = 10, age = 120, mtu = 0;
	int rc = rs_json_opt_int(c->raw, "timeoutSeconds", 1, TIMEOUT_MAX_S, &timeout, err);

	/* A bad number cannot keep a pod's resources: releasing goes by the default. */
	if (verb == CNI_DEL || verb == CNI_GC)
		rc = 0;
	if (rc == 0 && verb == CNI_STATUS)
		rc = rs_json_opt_int(c->raw, "statusMaxAgeSeconds", 1, INT_MAX, &age, err);
	if (rc == 0 && verb == CNI_ADD)
		rc = rs_json_opt_int(c->raw, "mtu", 0, MTU_MAX, &mtu, err);
	if (rc == 0 && mtu && mtu < MTU_MIN)
		rc = rs_err_set(err, EINVAL, "mtu is not within %d..%d", MTU_MIN, MTU_MAX);
	c->timeout_s = (int)timeout;
	c->status_max_age_s = (int)age;
	c->mtu = (uint32_t)mtu;
	return rc;
}

static int parse_objects(struct cni_config *c, enum cni_verb verb, struct rs_err *err)
{
	c->prev_result = rs_json_get(c->raw, "prevResult");
	c->dns = rs_json_get(c->raw, "dns");
	if (c->prev_result && !json_object_is_type(c->prev_result, json_type_object))
		return rs_err_set(err, EINVAL, "prevResult is not an object");
	if (c->dns && !json_object_is_type(c->dns, json_type_object))
		return rs_err_set(err, EINVAL, "dns is not an object");
	if (verb == CNI_ADD && c->prev_result) {
		rs_err_set(err, ENOTSUP,
			   "there is a prevResult: ripstop must be the first plugin of the chain; "
			   "behind another one its rules would not hold");
		return rs_err_hint(err, "put ripstop first in the list of plugins");
	}
	if (verb == CNI_CHECK && !c->prev_result)
		return rs_err_set(err, EINVAL, "CHECK needs a prevResult");
	return 0;
}

static int parse_config(struct cni_config *c, enum cni_verb verb, struct rs_err *err)
{
	int rc = parse_name(c, err);

	if (rc == 0)
		rc = parse_places(c, err);
	if (rc == 0)
		rc = parse_numbers(c, verb, err);
	if (rc == 0)
		rc = cni_config_ipam(c, verb, err);
	if (rc == 0 && (verb == CNI_ADD || verb == CNI_CHECK))
		rc = parse_objects(c, verb, err);
	if (rc == 0 && verb == CNI_ADD)
		rc = cni_config_labels(c, err);
	if (rc == 0 && verb == CNI_GC)
		rc = cni_config_attachments(c, err);
	if (rc == 0 && verb == CNI_ADD)
		cni_config_warn_unknown(c);
	return rc;
}

int cni_config_parse(const char *text, size_t len, enum cni_verb verb, struct cni_config *out,
		     struct rs_err *err)
{
	int rc;

	memset(out, 0, sizeof(*out));
	rc = rs_json_parse(text, len, CNI_STDIN_DEPTH, &out->raw, err);
	if (rc < 0) {
		rs_err_wrap(err, "network configuration on stdin");
		rs_err_cni(err, RS_CNI_DECODE);
		return rc;
	}
	rc = parse_version(out, verb, err);
	if (rc == 0)
		rc = parse_config(out, verb, err);
	if (rc < 0) {
		rs_err_wrap(err, "network configuration");
		rs_err_cni(err, RS_CNI_CONFIG);
	}
	return rc;
}

void cni_config_clear(struct cni_config *c)
{
	size_t i;

	for (i = 0; i < c->attachments.n; i++) {
		free(c->attachments.v[i].container_id);
		free(c->attachments.v[i].ifname);
	}
	rs_vec_free(&c->attachments);
	cni_labels_clear(&c->labels);
	rs_strbuf_free(&c->warnings);
	free(c->version);
	free(c->name);
	free(c->socket);
	free(c->state_dir);
	free(c->ipam_type);
	free(c->ranges);
	json_object_put(c->raw);
	memset(c, 0, sizeof(*c));
}
