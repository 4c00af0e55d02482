// SPDX-License-Identifier: Apache-2.0
/* endpoint_json.c - the JSON text of an attachment record, and back. */
#include <ripstop/endpoint.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/jsonio.h"
#include "endpoint/endpoint_file.h"

#define RECORD_DEPTH 8
#define TEXT_MAX 4096	/* any one string of a record */
#define LABELS_MAX 4096 /* Kubernetes bounds an object's bytes, not its labels */
#define PORTS_MAX 4096

static const char *const state_names[] = {
	[RS_ENDPOINT_LIVE] = "live",
	[RS_ENDPOINT_TOMBSTONE] = "tombstone",
};

static const char *const origin_names[] = {
	[RS_LABELS_NONE] = "none",     [RS_LABELS_CNI_ARGS] = "cni-args",
	[RS_LABELS_CONFIG] = "config", [RS_LABELS_MANIFEST] = "manifest",
	[RS_LABELS_API] = "api",
};

void rs_endpoint_free(struct rs_endpoint *e)
{
	size_t i;

	if (!e)
		return;
	for (i = 0; i < e->n_labels; i++) {
		free(e->labels[i].key);
		free(e->labels[i].value);
	}
	for (i = 0; i < e->n_ports; i++)
		free(e->ports[i].name);
	free(e->labels);
	free(e->ports);
	free(e->container_id);
	free(e->ifname);
	free(e->network);
	free(e->netns);
	free(e->boot_id);
	free(e->pod_ns);
	free(e->pod_name);
	free(e->pod_uid);
	free(e);
}

RS_DEFINE_CLEANUP(cleanup_endpoint, struct rs_endpoint *, rs_endpoint_free)

struct rs_endpoint *rs_endpoint_copy(const struct rs_endpoint *e)
{
	struct rs_endpoint *c = rs_memdup(e, sizeof(*e));
	size_t i;

	c->container_id = rs_strdup(e->container_id);
	c->ifname = rs_strdup(e->ifname);
	c->network = rs_strdup(e->network);
	c->netns = rs_strdup(e->netns);
	c->boot_id = rs_strdup(e->boot_id);
	c->pod_ns = rs_strdup(e->pod_ns);
	c->pod_name = rs_strdup(e->pod_name);
	c->pod_uid = rs_strdup(e->pod_uid);
	c->labels = rs_new0(struct rs_endpoint_label, e->n_labels);
	c->ports = rs_new0(struct rs_endpoint_port, e->n_ports);
	for (i = 0; i < e->n_labels; i++) {
		c->labels[i].key = rs_strdup(e->labels[i].key);
		c->labels[i].value = rs_strdup(e->labels[i].value);
	}
	for (i = 0; i < e->n_ports; i++) {
		c->ports[i] = e->ports[i];
		c->ports[i].name = rs_strdup(e->ports[i].name);
	}
	return c;
}

/* ---- to text --------------------------------------------------------------------------------- */

static void add_int(struct json_object *o, const char *key, int64_t n)
{
	json_object_object_add(o, key, json_object_new_int64(n));
}

static void add_mac(struct json_object *o, const char *key, const uint8_t m[6])
{
	char text[18];

	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
		 m[5]);
	rs_json_add_str(o, key, text);
}

static struct json_object *labels_to_json(const struct rs_endpoint *e)
{
	struct json_object *o = json_object_new_object();
	size_t i;

	for (i = 0; i < e->n_labels; i++)
		rs_json_add_str(o, e->labels[i].key, e->labels[i].value);
	return o;
}

static struct json_object *ports_to_json(const struct rs_endpoint *e)
{
	struct json_object *a = json_object_new_array();
	size_t i;

	for (i = 0; i < e->n_ports; i++) {
		struct json_object *o = json_object_new_object();

		rs_json_add_str(o, "name", e->ports[i].name);
		add_int(o, "protocol", e->ports[i].proto);
		add_int(o, "port", e->ports[i].port);
		json_object_array_add(a, o);
	}
	return a;
}

static struct json_object *ips_to_json(const struct rs_endpoint *e)
{
	struct json_object *a = json_object_new_array();
	char text[RS_ADDR_STRLEN];
	size_t i;

	for (i = 0; i < e->n_ips; i++)
		json_object_array_add(a, json_object_new_string(rs_addr_str(&e->ips[i], text)));
	return a;
}

static void add_link(struct json_object *o, const struct rs_endpoint *e)
{
	char text[RS_ADDR_STRLEN];

	if (e->host_ifname[0])
		rs_json_add_str(o, "hostIfname", e->host_ifname);
	add_int(o, "hostIfindex", e->host_ifindex);
	add_mac(o, "podMac", e->pod_mac);
	add_mac(o, "hostMac", e->host_mac);
	if (e->ll.family)
		rs_json_add_str(o, "linkLocal", rs_addr_str(&e->ll, text));
	add_int(o, "mtu", e->mtu);
	json_object_object_add(o, "ips", ips_to_json(e));
}

char *rs_endpoint_to_json(const struct rs_endpoint *e)
{
	rs_autojson struct json_object *o = json_object_new_object();

	add_int(o, "version", RS_ENDPOINT_VERSION);
	rs_json_add_str(o, "state", state_names[e->state]);
	rs_json_add_str(o, "containerID", e->container_id);
	rs_json_add_str(o, "ifname", e->ifname);
	rs_json_add_str(o, "network", e->network);
	rs_json_add_str(o, "netns", e->netns);
	rs_json_add_str(o, "bootID", e->boot_id);
	rs_json_add_str(o, "namespace", e->pod_ns);
	rs_json_add_str(o, "pod", e->pod_name);
	rs_json_add_str(o, "uid", e->pod_uid);
	rs_json_add_str(o, "labelsFrom", origin_names[e->label_origin]);
	json_object_object_add(o, "labels", labels_to_json(e));
	json_object_object_add(o, "ports", ports_to_json(e));
	add_link(o, e);
	json_object_object_add(o, "ipamExternal", json_object_new_boolean(e->ipam_external));
	add_int(o, "created", e->created_s);
	return rs_json_print(o);
}

/* ---- from text ------------------------------------------------------------------------------- */

static int parse_word(struct json_object *o, const char *key, const char *const *names, size_t n,
		      unsigned int *out, struct rs_err *err)
{
	rs_autofree char *word = NULL;
	int rc = rs_json_str(o, key, 32, &word, err);
	unsigned int i;

	if (rc < 0)
		return rc;
	for (i = 0; i < n; i++)
		if (!strcmp(word, names[i])) {
			*out = i;
			return 0;
		}
	return rs_err_set(err, EBADMSG, "%s is none of ours", key);
}

static int parse_version(struct json_object *o, struct rs_err *err)
{
	int64_t v = 0;
	int rc = rs_json_int(o, "version", 1, INT32_MAX, &v, err);

	if (rc == 0 && v > RS_ENDPOINT_VERSION)
		return rs_err_set(err, EBADMSG, "version %lld, this program knows up to %d",
				  (long long)v, RS_ENDPOINT_VERSION);
	return rc;
}

static int parse_key(struct json_object *o, struct rs_endpoint *e, struct rs_err *err)
{
	unsigned int word = 0;
	int rc = parse_version(o, err);

	if (rc == 0)
		rc = parse_word(o, "state", state_names, RS_ARRAY_SIZE(state_names), &word, err);
	e->state = word;
	if (rc == 0)
		rc = rs_json_str(o, "containerID", RS_CONTAINER_ID_MAX, &e->container_id, err);
	if (rc == 0)
		rc = rs_container_id_check(e->container_id, err);
	if (rc == 0)
		rc = rs_json_str(o, "ifname", RS_IFNAME_LEN - 1, &e->ifname, err);
	if (rc == 0)
		rc = rs_ifname_check(e->ifname, err);
	return rc;
}

static int parse_names(struct json_object *o, struct rs_endpoint *e, struct rs_err *err)
{
	int rc = rs_json_str(o, "bootID", 64, &e->boot_id, err);

	if (rc == 0)
		rc = rs_json_opt_str(o, "network", TEXT_MAX, &e->network, err);
	if (rc == 0)
		rc = rs_json_opt_str(o, "netns", TEXT_MAX, &e->netns, err);
	if (rc == 0)
		rc = rs_json_str(o, "namespace", TEXT_MAX, &e->pod_ns, err);
	if (rc == 0)
		rc = rs_json_str(o, "pod", TEXT_MAX, &e->pod_name, err);
	if (rc == 0)
		rc = rs_json_opt_str(o, "uid", TEXT_MAX, &e->pod_uid, err);
	return rc;
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct rs_endpoint_label *)a)->key,
		      ((const struct rs_endpoint_label *)b)->key);
}

static int parse_labels(struct json_object *o, struct rs_endpoint *e, struct rs_err *err)
{
	struct json_object *labels = rs_json_get(o, "labels");
	struct json_object_iterator it, end;
	size_t n;

	if (!labels)
		return 0;
	if (!json_object_is_type(labels, json_type_object))
		return rs_err_set(err, EBADMSG, "labels is not an object");
	n = (size_t)json_object_object_length(labels);
	if (n > LABELS_MAX)
		return rs_err_set(err, EBADMSG, "%zu labels, at most %d are allowed", n,
				  LABELS_MAX);
	e->labels = rs_new0(struct rs_endpoint_label, n);
	end = json_object_iter_end(labels);
	for (it = json_object_iter_begin(labels); !json_object_iter_equal(&it, &end);
	     json_object_iter_next(&it)) {
		struct json_object *v = json_object_iter_peek_value(&it);
		const char *key = json_object_iter_peek_name(&it);
		const char *text = json_object_get_string(v);

		if (!*key || !json_object_is_type(v, json_type_string) ||
		    strlen(text) != (size_t)json_object_get_string_len(v))
			return rs_err_set(err, EBADMSG, "labels: a key or value is no plain text");
		e->labels[e->n_labels].key = rs_strdup(key);
		e->labels[e->n_labels++].value = rs_strdup(text);
	}
	qsort(e->labels, e->n_labels, sizeof(*e->labels), by_key);
	return 0;
}

/* An absent array is an empty one; *n is its length, at most max. */
static int get_array(struct json_object *o, const char *key, size_t max, struct json_object **a,
		     size_t *n, struct rs_err *err)
{
	*n = 0;
	*a = rs_json_get(o, key);
	if (!*a)
		return 0;
	if (!json_object_is_type(*a, json_type_array))
		return rs_err_set(err, EBADMSG, "%s is not an array", key);
	*n = json_object_array_length(*a);
	if (*n > max)
		return rs_err_set(err, EBADMSG, "%s has %zu items, at most %zu are allowed", key,
				  *n, max);
	return 0;
}

static int parse_ports(struct json_object *o, struct rs_endpoint *e, struct rs_err *err)
{
	struct json_object *a;
	size_t n, i;
	int rc = get_array(o, "ports", PORTS_MAX, &a, &n, err);

	if (rc < 0 || !n)
		return rc;
	e->ports = rs_new0(struct rs_endpoint_port, n);
	for (i = 0; i < n && rc == 0; i++) {
		struct json_object *item = json_object_array_get_idx(a, i);
		struct rs_endpoint_port *p = &e->ports[e->n_ports];
		int64_t proto = 0, port = 0;

		rc = rs_json_str(item, "name", TEXT_MAX, &p->name, err);
		if (rc == 0)
			e->n_ports++;
		if (rc == 0)
			rc = rs_json_int(item, "protocol", 1, UINT8_MAX, &proto, err);
		if (rc == 0)
			rc = rs_json_int(item, "port", 1, UINT16_MAX, &port, err);
		p->proto = (uint8_t)proto;
		p->port = (uint16_t)port;
	}
	if (rc < 0)
		rs_err_wrap(err, "ports[%zu]", i - 1);
	return rc;
}

static int parse_ips(struct json_object *o, struct rs_endpoint *e, struct rs_err *err)
{
	struct json_object *a;
	size_t n, i;
	int rc = get_array(o, "ips", RS_ENDPOINT_MAX_IPS, &a, &n, err);

	for (i = 0; i < n && rc == 0; i++) {
		struct json_object *item = json_object_array_get_idx(a, i);

		if (!json_object_is_type(item, json_type_string) ||
		    rs_addr_parse(json_object_get_string(item), &e->ips[i], NULL) < 0)
			rc = rs_err_set(err, EBADMSG, "ips[%zu] is not an address", i);
	}
	e->n_ips = rc == 0 ? n : 0;
	return rc;
}

static int parse_mac(struct json_object *o, const char *key, uint8_t mac[6], struct rs_err *err)
{
	rs_autofree char *text = NULL;
	int rc = rs_json_opt_str(o, key, 17, &text, err);
	int end = 0;

	if (rc < 0 || !text)
		return rc;
	if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2],
		   &mac[3], &mac[4], &mac[5], &end) != 6 ||
	    end != 17 || text[17])
		return rs_err_set(err, EBADMSG, "%s is not a MAC address", key);
	return 0;
}

static int parse_host_ifname(struct json_object *o, struct rs_endpoint *e, struct rs_err *err)
{
	rs_autofree char *name = NULL;
	int rc = rs_json_opt_str(o, "hostIfname", RS_IFNAME_LEN - 1, &name, err);

	if (rc == 0 && name)
		rc = rs_ifname_check(name, err);
	if (rc == 0 && name)
		memcpy(e->host_ifname, name, strlen(name) + 1);
	return rc;
}

static int parse_link(struct json_object *o, struct rs_endpoint *e, struct rs_err *err)
{
	rs_autofree char *ll = NULL;
	int64_t ifindex = 0, mtu = 0;
	int rc = parse_host_ifname(o, e, err);

	if (rc == 0)
		rc = rs_json_opt_int(o, "hostIfindex", 0, INT32_MAX, &ifindex, err);
	if (rc == 0)
		rc = rs_json_opt_int(o, "mtu", 0, UINT32_MAX, &mtu, err);
	if (rc == 0)
		rc = parse_mac(o, "podMac", e->pod_mac, err);
	if (rc == 0)
		rc = parse_mac(o, "hostMac", e->host_mac, err);
	if (rc == 0)
		rc = rs_json_opt_str(o, "linkLocal", RS_ADDR_STRLEN, &ll, err);
	if (rc == 0 && ll && rs_addr_parse(ll, &e->ll, NULL) < 0)
		rc = rs_err_set(err, EBADMSG, "linkLocal is not an address");
	e->host_ifindex = (uint32_t)ifindex;
	e->mtu = (uint32_t)mtu;
	return rc;
}

static int parse_all(struct json_object *o, struct rs_endpoint *e, struct rs_err *err)
{
	unsigned int origin = RS_LABELS_NONE;
	int rc = parse_key(o, e, err);

	if (rc == 0)
		rc = parse_names(o, e, err);
	if (rc == 0)
		rc = parse_word(o, "labelsFrom", origin_names, RS_ARRAY_SIZE(origin_names), &origin,
				err);
	e->label_origin = origin;
	if (rc == 0)
		rc = parse_labels(o, e, err);
	if (rc == 0)
		rc = parse_ports(o, e, err);
	if (rc == 0)
		rc = parse_link(o, e, err);
	if (rc == 0)
		rc = parse_ips(o, e, err);
	if (rc == 0)
		rc = rs_json_opt_bool(o, "ipamExternal", &e->ipam_external, err);
	if (rc == 0)
		rc = rs_json_opt_int(o, "created", INT64_MIN, INT64_MAX, &e->created_s, err);
	return rc;
}

int rs_endpoint_from_json(const char *text, size_t len, struct rs_endpoint **out,
			  struct rs_err *err)
{
	rs_cleanup(cleanup_endpoint) struct rs_endpoint *e = rs_new(struct rs_endpoint);
	rs_autojson struct json_object *o = NULL;
	struct rs_err why = { 0 };
	int rc = 0;

	*out = NULL;
	if (len > RS_ENDPOINT_MAX_BYTES)
		rc = rs_err_set(&why, EBADMSG, "%zu bytes, at most %u are allowed", len,
				RS_ENDPOINT_MAX_BYTES);
	if (rc == 0)
		rc = rs_json_parse(text, len, RECORD_DEPTH, &o, &why);
	if (rc == 0)
		rc = parse_all(o, e, &why);
	if (rc == 0) {
		*out = rs_steal_ptr(&e);
		return 0;
	}
	/* Whatever check it was that failed: the record is damaged, and nobody's request is bad. */
	rs_err_set(err, EBADMSG, "%s", rs_err_str(&why));
	rs_err_clear(&why);
	return -EBADMSG;
}
