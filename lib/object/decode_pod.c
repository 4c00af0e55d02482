// SPDX-License-Identifier: Apache-2.0
/* decode_pod.c - the parts of a Pod that decide who it is on the network. */
#include "object/decode.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "object/syntax.h"

/* Ports grow one by one: containers are many lists. */
struct ports {
	struct rs_vec(struct rs_container_port) vec;
};

static int one_port(struct rs_dec *d, const struct rs_at *at, struct ports *ports)
{
	struct rs_container_port p = { 0 };
	const char *name, *fault;
	struct rs_at field;

	if (!at->node)
		return rs_dec_fail(d, at, "null where a port is expected");
	if (rs_dec_type(d, at, RS_DOC_MAP) < 0)
		return -EINVAL;
	field = rs_at_field(at, "containerPort");
	if (rs_dec_port(d, &field, &p.port) < 0 || rs_dec_proto(d, at, &p.proto) < 0 ||
	    rs_dec_string(d, at, "name", &name) < 0)
		return -EINVAL;
	/* An empty name is none, as in Go; only named ports can be meant by a policy. */
	if (!name || !*name)
		return 0;
	fault = rs_syntax_port_name(name);
	field = rs_at_field(at, "name");
	if (fault)
		return rs_dec_fail(d, &field, "\"%.64s\" %s", name, fault);
	p.name = rs_strdup(name);
	*rs_vec_push(&ports->vec) = p;
	return 0;
}

static int container(struct rs_dec *d, const struct rs_at *at, struct ports *ports)
{
	struct rs_at list = rs_at_field(at, "ports");
	const struct rs_doc_item *item;
	size_t n = 0;
	int rc = rs_dec_type(d, &list, RS_DOC_LIST);

	if (rc < 0)
		return rs_dec_contain(d, rc, NULL);
	for (item = rs_at_first(&list); item; item = item->next) {
		struct rs_at port = rs_at_item(&list, n++, item);

		rc = rs_dec_contain(d, one_port(d, &port, ports), NULL);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Init containers count only when they run on beside the others (semantics C17). */
static int restartable(struct rs_dec *d, const struct rs_at *at, bool *out)
{
	const char *policy;

	if (rs_dec_string(d, at, "restartPolicy", &policy) < 0)
		return -EINVAL;
	*out = policy && !strcmp(policy, "Always");
	return 0;
}

static int containers(struct rs_dec *d, const struct rs_at *spec, const char *field, bool init,
		      struct ports *ports)
{
	struct rs_at list = rs_at_field(spec, field);
	const struct rs_doc_item *item;
	size_t n = 0;

	if (rs_dec_type(d, &list, RS_DOC_LIST) < 0)
		return -EINVAL;
	for (item = rs_at_first(&list); item; item = item->next) {
		struct rs_at at = rs_at_item(&list, n++, item);
		bool counts = true;

		if (rs_dec_type(d, &at, RS_DOC_MAP) < 0)
			return -EINVAL;
		if (init && restartable(d, &at, &counts) < 0)
			return -EINVAL;
		if (counts && container(d, &at, ports) < 0)
			return -EINVAL;
	}
	return 0;
}

/* ---- status ---------------------------------------------------------------------------------- */

static int add_ip(struct rs_dec *d, const struct rs_at *at, struct rs_pod *p)
{
	const char *text;
	struct rs_addr a;
	size_t i;

	if (rs_dec_text(d, at, &text) < 0)
		return -EINVAL;
	/* A host-network pod that has not started yet. */
	if (!*text)
		return 0;
	if (rs_addr_parse(text, &a, NULL) < 0)
		return rs_dec_fail(d, at, "\"%.64s\" is not an IP address", text);
	for (i = 0; i < p->n_ips; i++)
		if (!rs_addr_cmp(&p->ips[i], &a))
			return 0;
	p->ips[p->n_ips++] = a;
	return 0;
}

/* More addresses than any pod has; keeps the search for equal ones short. */
#define MAX_POD_IPS 64

static int pod_ips(struct rs_dec *d, const struct rs_at *status, struct rs_pod *p)
{
	struct rs_at list = rs_at_field(status, "podIPs"), one = rs_at_field(status, "podIP");
	const struct rs_doc_item *item;
	size_t n = 0;

	if (rs_dec_type(d, &list, RS_DOC_LIST) < 0)
		return -EINVAL;
	if (rs_at_count(&list) > MAX_POD_IPS)
		return rs_dec_fail(d, &list, "more than %d addresses", MAX_POD_IPS);
	p->ips = rs_new0(struct rs_addr, rs_at_count(&list) + 1);
	for (item = rs_at_first(&list); item; item = item->next) {
		struct rs_at at = rs_at_item(&list, n++, item), ip;
		int rc = rs_dec_type(d, &at, RS_DOC_MAP);

		ip = rs_at_field(&at, "ip");
		if (rc == 0)
			rc = add_ip(d, &ip, p);
		if (rs_dec_contain(d, rc, NULL) < 0)
			return rc;
	}
	if (!rs_at_count(&list) && one.node)
		return rs_dec_contain(d, add_ip(d, &one, p), NULL);
	return 0;
}

static int phase(struct rs_dec *d, const struct rs_at *status, enum rs_phase *out)
{
	static const char *const names[] = { [RS_PHASE_PENDING] = "Pending",
					     [RS_PHASE_RUNNING] = "Running",
					     [RS_PHASE_SUCCEEDED] = "Succeeded",
					     [RS_PHASE_FAILED] = "Failed" };
	const char *text;
	size_t i;

	if (rs_dec_string(d, status, "phase", &text) < 0)
		return -EINVAL;
	for (i = RS_PHASE_PENDING; text && i < RS_ARRAY_SIZE(names); i++)
		if (!strcmp(text, names[i]))
			*out = (enum rs_phase)i;
	return 0;
}

/* ---- metadata that only pods need ------------------------------------------------------------ */

int rs_dec_owner(struct rs_dec *d, const struct rs_at *meta, char **owner_kind, char **owner_name)
{
	struct rs_at list = rs_at_field(meta, "ownerReferences");
	const struct rs_doc_item *item;
	size_t n = 0;

	if (rs_dec_type(d, &list, RS_DOC_LIST) < 0)
		return -EINVAL;
	for (item = rs_at_first(&list); item; item = item->next) {
		struct rs_at at = rs_at_item(&list, n++, item);
		const char *kind, *name;
		bool controller;

		if (rs_dec_type(d, &at, RS_DOC_MAP) < 0 ||
		    rs_dec_bool(d, &at, "controller", &controller) < 0 ||
		    rs_dec_string(d, &at, "kind", &kind) < 0 ||
		    rs_dec_string(d, &at, "name", &name) < 0)
			return -EINVAL;
		if (!controller || *owner_name)
			continue;
		*owner_kind = rs_strdup(kind);
		*owner_name = rs_strdup(name);
	}
	return 0;
}

static int config_hash(struct rs_dec *d, const struct rs_at *meta, struct rs_pod *p)
{
	struct rs_at annotations = rs_at_field(meta, "annotations");
	const char *hash;

	if (rs_dec_type(d, &annotations, RS_DOC_MAP) < 0 ||
	    rs_dec_string(d, &annotations, "kubernetes.io/config.hash", &hash) < 0)
		return -EINVAL;
	p->config_hash = rs_strdup(hash);
	return 0;
}

/* ---- the pod --------------------------------------------------------------------------------- */

int rs_dec_pod_spec(struct rs_dec *d, const struct rs_at *spec, struct rs_pod *p)
{
	struct ports ports = { 0 };
	const char *node;
	int rc;

	if (rs_dec_type(d, spec, RS_DOC_MAP) < 0 ||
	    rs_dec_bool(d, spec, "hostNetwork", &p->host_network) < 0 ||
	    rs_dec_string(d, spec, "nodeName", &node) < 0)
		return -EINVAL;
	p->node = node && *node ? rs_strdup(node) : NULL;
	rc = containers(d, spec, "containers", false, &ports);
	if (rc == 0)
		rc = containers(d, spec, "initContainers", true, &ports);
	p->ports = ports.vec.v;
	p->n_ports = ports.vec.n;
	return rc;
}

int rs_dec_pod(struct rs_dec *d, const struct rs_at *root, struct rs_pod *p)
{
	struct rs_at meta = rs_at_field(root, "metadata"), spec = rs_at_field(root, "spec");
	struct rs_at status = rs_at_field(root, "status");

	if (rs_dec_meta(d, root, true, &p->meta) < 0 ||
	    rs_dec_owner(d, &meta, &p->owner_kind, &p->owner_name) < 0 ||
	    config_hash(d, &meta, p) < 0 || rs_dec_pod_spec(d, &spec, p) < 0 ||
	    rs_dec_type(d, &status, RS_DOC_MAP) < 0 || phase(d, &status, &p->phase) < 0)
		return -EINVAL;
	return pod_ips(d, &status, p);
}
