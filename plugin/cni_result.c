// SPDX-License-Identifier: Apache-2.0
/* cni_result.c - what a call prints: results of every version, errors, warnings. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "plugin/cni.h"

void cni_warn(const char *fmt, ...)
{
	rs_auto_strbuf raw = { 0 };
	rs_auto_strbuf safe = { 0 };
	va_list ap;

	va_start(ap, fmt);
	rs_strbuf_vprintf(&raw, fmt, ap);
	va_end(ap);
	rs_strbuf_puts_safe(&safe, rs_strbuf_str(&raw));
	fprintf(stderr, "ripstop: %s\n", rs_strbuf_str(&safe));
}

const char *cni_mac_str(const uint8_t m[6], char buf[18])
{
	snprintf(buf, 18, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
	return buf;
}

struct rs_addr cni_gateway(int family)
{
	struct rs_addr a = { 0 };

	rs_addr_parse(family == RS_AF_IP4 ? CNI_GATEWAY4 : CNI_GATEWAY6, &a, NULL);
	return a;
}

bool cni_has_family(const struct rs_endpoint *e, int family)
{
	size_t i;

	for (i = 0; i < e->n_ips; i++)
		if (e->ips[i].family == family)
			return true;
	return false;
}

static struct json_object *interface(const char *name, const uint8_t mac[6], uint32_t mtu,
				     const char *sandbox, int version)
{
	struct json_object *o = json_object_new_object();
	char text[18];

	rs_json_add_str(o, "name", name);
	rs_json_add_str(o, "mac", cni_mac_str(mac, text));
	if (version >= 110)
		json_object_object_add(o, "mtu", json_object_new_int64(mtu));
	rs_json_add_str(o, "sandbox", sandbox);
	return o;
}

static struct json_object *ips_json(const struct rs_endpoint *e, int version)
{
	struct json_object *a = json_object_new_array();
	size_t i;

	for (i = 0; i < e->n_ips; i++) {
		struct rs_addr gw = cni_gateway(e->ips[i].family);
		struct json_object *o = json_object_new_object();
		char text[RS_CIDR_STRLEN];
		struct rs_cidr host = {
			.addr = e->ips[i],
			.len = (uint8_t)rs_addr_bits(e->ips[i].family),
		};

		if (version < 100)
			rs_json_add_str(o, "version", e->ips[i].family == RS_AF_IP4 ? "4" : "6");
		json_object_object_add(o, "interface", json_object_new_int(1));
		rs_json_add_str(o, "address", rs_cidr_str(&host, text));
		rs_json_add_str(o, "gateway", rs_addr_str(&gw, text));
		json_object_array_add(a, o);
	}
	return a;
}

static struct json_object *routes_json(const struct cni_routes *routes)
{
	struct json_object *a = json_object_new_array();
	char text[RS_CIDR_STRLEN];
	size_t i;

	for (i = 0; i < routes->n; i++) {
		struct rs_addr gw = cni_gateway(routes->v[i].addr.family);
		struct json_object *o = json_object_new_object();

		rs_json_add_str(o, "dst", rs_cidr_str(&routes->v[i], text));
		rs_json_add_str(o, "gw", rs_addr_str(&gw, text));
		json_object_array_add(a, o);
	}
	return a;
}

struct json_object *cni_result(const struct cni_call *c, const struct rs_endpoint *e,
			       const struct cni_routes *routes, struct json_object *dns)
{
	int version = cni_version_number(c->conf.version);
	struct json_object *o = json_object_new_object();
	struct json_object *links = json_object_new_array();

	json_object_array_add(links, interface(e->host_ifname, e->host_mac, e->mtu, "", version));
	json_object_array_add(links,
			      interface(e->ifname, e->pod_mac, e->mtu, c->env.netns, version));
	rs_json_add_str(o, "cniVersion", c->conf.version);
	json_object_object_add(o, "interfaces", links);
	json_object_object_add(o, "ips", ips_json(e, version));
	json_object_object_add(o, "routes", routes_json(routes));
	json_object_object_add(o, "dns", dns ? json_object_get(dns) : json_object_new_object());
	return o;
}

struct json_object *cni_error_json(const char *version, const struct rs_err *err)
{
	struct json_object *o = json_object_new_object();
	int code = err->cni ? err->cni : RS_CNI_INTERNAL;

	rs_json_add_str(o, "cniVersion",
			cni_version_number(version) ? version : CNI_VERSION_NEWEST);
	json_object_object_add(o, "code", json_object_new_int(code));
	rs_json_add_str(o, "msg", rs_err_str(err));
	rs_json_add_str(o, "details", err->hint);
	return o;
}

static int take_ip(struct json_object *o, struct rs_addr *out, struct rs_err *err)
{
	rs_autofree char *text = NULL;
	int rc = rs_json_str(o, "address", 64, &text, err);
	char *slash;

	if (rc < 0)
		return rc;
	slash = strchr(text, '/');
	/* Only the address counts: a pod's address is its own, whatever net it lies in. */
	if (slash)
		*slash = '\0';
	return rs_addr_parse(text, out, err);
}

int cni_result_ips(struct json_object *result, struct rs_addr *out, size_t max, size_t *n,
		   struct rs_err *err)
{
	struct json_object *a = rs_json_get(result, "ips");
	size_t i;

	*n = 0;
	if (!a)
		return 0;
	if (!json_object_is_type(a, json_type_array))
		return rs_err_set(err, EINVAL, "ips is not a list");
	if (json_object_array_length(a) > max)
		return rs_err_set(err, E2BIG, "%zu addresses, at most %zu are allowed",
				  json_object_array_length(a), max);
	for (i = 0; i < json_object_array_length(a); i++)
		if (take_ip(json_object_array_get_idx(a, i), &out[i], err) < 0)
			return rs_err_wrap(err, "ips[%zu]", i);
	*n = i;
	return 0;
}
