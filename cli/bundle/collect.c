// SPDX-License-Identifier: Apache-2.0
/* collect.c - what goes into a support archive: answers of the agent, and what this machine's
 * kernel and files say. Nothing is run, and a part that fails does not keep the others out. */
#include "cli/bundle/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <ripstop/ctl.h>

#include "cli/doctor/doctor.h"
#include "netlink/netlink.h"
#include "netlink/nl_rules.h"

#define MAX_RULES_OF 1000
#define MAX_ELEMENTS 50000
#define TIMEOUT_MS 5000
#define MAX_PAGES 1000

static struct bundle_part *add_part(struct bundle *b, char *name, const char *what)
{
	struct bundle_part *p = rs_vec_push(&b->parts);

	p->name = name;
	p->what = what;
	return p;
}

static void failed(struct bundle_part *p, const struct rs_err *err)
{
	p->why = rs_strdup(rs_err_str(err));
	p->failed = true;
}

void bundle_clear(struct bundle *b)
{
	for (size_t i = 0; i < b->parts.n; i++) {
		free(b->parts.v[i].name);
		free(b->parts.v[i].why);
		json_object_put(b->parts.v[i].o);
	}
	rs_vec_free(&b->parts);
	free(b->node);
}

/* ---- the agent ------------------------------------------------------------------------------- */

/* Quietly: what fails stands in the archive. */
static int ask(struct bundle *b, const char *op, struct json_object *request,
	       struct json_object **out, struct rs_err *err)
{
	rs_autojson struct json_object *req = request;
	const struct cli_options *o = &b->r->opt;

	rs_json_add_str(req, "op", op);
	return rs_ctl_call(o->socket ? o->socket : RS_CTL_SOCKET, req,
			   o->timeout_ms ? o->timeout_ms : TIMEOUT_MS, out, err);
}

static struct json_object *ask_part(struct bundle *b, const char *op, struct json_object *request,
				    char *name, const char *what)
{
	struct bundle_part *p = add_part(b, name, what);
	rs_auto_err err = { 0 };

	if (ask(b, op, request, &p->o, &err) < 0)
		failed(p, &err);
	/* An agent of an older release. */
	if (p->why && err.num == EOPNOTSUPP)
		p->failed = false;
	return p->o;
}

static struct json_object *all(void)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "all", json_object_new_boolean(true));
	return o;
}

static void rules_of(struct bundle *b, struct json_object *pods)
{
	struct json_object *items = rs_json_get(pods, "items"), *list = json_object_new_array();
	struct bundle_part *p = add_part(b, rs_strdup("rules.json"), "the rules of every pod here");
	size_t n = cli_count(pods, "items");
	rs_auto_err err = { 0 };

	for (size_t i = 0; i < n && i < MAX_RULES_OF && !err.num; i++) {
		struct json_object *pod = json_object_array_get_idx(items, i), *o = NULL;
		struct json_object *req = json_object_new_object();
		rs_autofree char *name = rs_asprintf("%s/%s", rs_json_text(pod, "namespace", ""),
						     rs_json_text(pod, "name", ""));

		rs_json_add_str(req, "pod", name);
		/* It may have gone since. */
		if (ask(b, "rules", req, &o, &err) < 0 && err.num == ENOENT)
			rs_err_clear(&err);
		if (o)
			json_object_array_add(list, o);
	}
	p->o = json_object_new_object();
	rs_json_add_str(p->o, "kind", "List");
	json_object_object_add(p->o, "items", list);
	if (n > MAX_RULES_OF)
		json_object_object_add(p->o, "omitted", json_object_new_uint64(n - MAX_RULES_OF));
	if (err.num)
		failed(p, &err);
}

/* All pages of a kind. */
static void objects_of(struct bundle *b, const char *kind)
{
	struct bundle_part *p =
		add_part(b, rs_asprintf("objects-%s.json", kind), "the objects that are in force");
	struct json_object *list = json_object_new_array();
	rs_autofree char *after = NULL;
	rs_auto_err err = { 0 };
	int rc = 0, pages = 0;

	do {
		rs_autojson struct json_object *page = NULL;
		struct json_object *req = json_object_new_object();

		rs_json_add_str(req, "of", kind);
		rs_json_add_str(req, "after", after);
		rc = ask(b, "objects", req, &page, &err);
		for (size_t i = 0; i < cli_count(page, "items"); i++)
			json_object_array_add(list, json_object_get(json_object_array_get_idx(
							    rs_json_get(page, "items"), i)));
		free(after);
		after = rs_strdup(rs_json_text(page, "next", NULL));
	} while (rc == 0 && after && ++pages < MAX_PAGES);
	p->o = json_object_new_object();
	rs_json_add_str(p->o, "apiVersion", "v1");
	rs_json_add_str(p->o, "kind", "List");
	json_object_object_add(p->o, "items", list);
	if (rc < 0 && err.num != EOPNOTSUPP)
		failed(p, &err);
	else if (rc < 0)
		p->why = rs_strdup(rs_err_str(&err));
}

static void from_agent(struct bundle *b)
{
	static const char *const kinds[] = { "Namespace", "Pod", "NetworkPolicy", "Node" };
	struct json_object *o = ask_part(b, "status", json_object_new_object(),
					 rs_strdup("status.json"), "ripstop status");
	const char *node = rs_json_text(rs_json_get(o, "metadata"), "node", NULL);
	struct json_object *pods;

	if (node) {
		free(b->node);
		b->node = rs_strdup(node);
	}
	ask_part(b, "version", json_object_new_object(), rs_strdup("version.json"),
		 "releases of agent and command line");
	if (!o)
		return;
	pods = ask_part(b, "pods", all(), rs_strdup("pods.json"), "ripstop pods");
	ask_part(b, "policies", all(), rs_strdup("policies.json"), "ripstop policies");
	rules_of(b, pods);
	for (size_t i = 0; i < RS_ARRAY_SIZE(kinds); i++)
		objects_of(b, kinds[i]);
	ask_part(b, "verify", json_object_new_object(), rs_strdup("verify.json"),
		 "the kernel against what should be in force");
	ask_part(b, "records", json_object_new_object(), rs_strdup("records.json"),
		 "the last drop records: headers, no payload");
	ask_part(b, "ipam", json_object_new_object(), rs_strdup("ipam.json"),
		 "leases of addresses");
}

/* ---- this machine ---------------------------------------------------------------------------- */

static void doctor(struct bundle *b)
{
	size_t n[DOCTOR_STATES];

	add_part(b, rs_strdup("doctor.json"), "ripstop doctor")->o = doctor_run(b->r, NULL, n);
}

static void ruleset(struct bundle *b)
{
	struct bundle_part *p = add_part(b, rs_strdup("nftables.json"),
					 "every nf_tables table, as the kernel tells it");
	rs_auto_err err = { 0 };

	if (rs_nl_rules(MAX_ELEMENTS, &p->o, &err) < 0)
		failed(p, &err);
}

static struct json_object *link_json(const struct rs_link *l)
{
	struct json_object *o = json_object_new_object();

	rs_json_add_str(o, "interface", l->name);
	json_object_object_add(o, "index", json_object_new_int64(l->ifindex));
	rs_json_add_str(o, "linkKind", *l->kind ? l->kind : NULL);
	json_object_object_add(o, "mtu", json_object_new_int64(l->mtu));
	json_object_object_add(o, "group", json_object_new_int64(l->group));
	json_object_object_add(o, "up", json_object_new_boolean(l->up));
	json_object_object_add(o, "carrier", json_object_new_boolean(l->carrier));
	json_object_object_add(o, "noarp", json_object_new_boolean(l->noarp));
	return o;
}

static struct json_object *list_of(struct bundle_part *p)
{
	struct json_object *list = json_object_new_array();

	p->o = json_object_new_object();
	json_object_object_add(p->o, "items", list);
	return list;
}

static void links(struct bundle *b, struct rs_nl *nl)
{
	struct bundle_part *p = add_part(b, rs_strdup("links.json"), "links of the node");
	struct json_object *list = list_of(p);
	struct rs_link *v = NULL;
	rs_auto_err err = { 0 };
	size_t n = 0;

	if (rs_link_list(nl, &v, &n, &err) < 0)
		failed(p, &err);
	for (size_t i = 0; i < n; i++)
		json_object_array_add(list, link_json(&v[i]));
	free(v);
}

static void add_addr(struct json_object *o, const char *key, const struct rs_addr *a)
{
	char buf[RS_ADDR_STRLEN];

	if (a->family)
		rs_json_add_str(o, key, rs_addr_str(a, buf));
}

static struct json_object *route_json(const struct rs_route *r)
{
	struct json_object *o = json_object_new_object();
	char buf[RS_CIDR_STRLEN];

	rs_json_add_str(o, "destination", rs_cidr_str(&r->dst, buf));
	add_addr(o, "via", &r->via);
	add_addr(o, "src", &r->src);
	if (r->ifindex)
		json_object_object_add(o, "index", json_object_new_int64(r->ifindex));
	json_object_object_add(o, "protocol", json_object_new_int(r->protocol));
	json_object_object_add(o, "metric", json_object_new_int64(r->priority));
	if (r->unreachable)
		json_object_object_add(o, "unreachable", json_object_new_boolean(true));
	return o;
}

static void routes(struct bundle *b, struct rs_nl *nl)
{
	struct bundle_part *p = add_part(b, rs_strdup("routes.json"), "routes of the main table");
	struct json_object *list = list_of(p);
	static const int families[] = { RS_AF_IP4, RS_AF_IP6 };
	rs_auto_err err = { 0 };

	for (size_t f = 0; f < RS_ARRAY_SIZE(families) && !p->failed; f++) {
		struct rs_route *v = NULL;
		size_t n = 0;

		if (rs_route_list(nl, families[f], false, &v, &n, &err) < 0)
			failed(p, &err);
		for (size_t i = 0; i < n; i++)
			json_object_array_add(list, route_json(&v[i]));
		free(v);
	}
}

static void from_netlink(struct bundle *b)
{
	struct rs_nl *nl = NULL;
	rs_auto_err err = { 0 };

	if (rs_nl_open(&nl, &err) < 0) {
		failed(add_part(b, rs_strdup("links.json"), "links of the node"), &err);
		return;
	}
	links(b, nl);
	routes(b, nl);
	rs_nl_close(nl);
}

/* Each is read as text; one that is not there is left out. */
static void files(struct bundle *b, char *name, const char *what, const char *const *paths,
		  size_t n)
{
	struct bundle_part *p = add_part(b, name, what);
	struct doctor d = { .r = b->r, .root = "" };

	p->o = json_object_new_object();
	for (size_t i = 0; i < n; i++) {
		rs_autofree char *text = doctor_read(&d, paths[i] + 1);

		rs_json_add_str(p->o, paths[i], text);
	}
}

static void from_files(struct bundle *b)
{
	static const char *const sysctls[] = {
		"/proc/sys/kernel/osrelease",
		"/proc/sys/net/ipv4/ip_forward",
		"/proc/sys/net/ipv4/conf/all/rp_filter",
		"/proc/sys/net/ipv4/conf/default/rp_filter",
		"/proc/sys/net/ipv4/conf/all/proxy_arp",
		"/proc/sys/net/ipv4/conf/all/route_localnet",
		"/proc/sys/net/ipv6/conf/all/forwarding",
		"/proc/sys/net/ipv6/conf/all/disable_ipv6",
		"/proc/sys/net/ipv6/conf/all/accept_ra",
		"/proc/sys/net/ipv6/conf/default/accept_ra",
		"/proc/sys/net/bridge/bridge-nf-call-iptables",
		"/proc/sys/net/bridge/bridge-nf-call-ip6tables",
		"/proc/sys/net/netfilter/nf_conntrack_tcp_loose",
		"/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal",
		"/proc/sys/net/core/netdev_max_backlog",
		"/proc/sys/fs/inotify/max_user_instances",
		"/proc/sys/fs/inotify/max_user_watches",
	};
	static const char *const conntrack[] = {
		"/proc/sys/net/netfilter/nf_conntrack_count",
		"/proc/sys/net/netfilter/nf_conntrack_max",
		"/proc/net/stat/nf_conntrack",
	};

	files(b, rs_strdup("sysctls.json"), "switches of the kernel", sysctls,
	      RS_ARRAY_SIZE(sysctls));
	files(b, rs_strdup("conntrack.json"), "how many flows there are, no flow itself", conntrack,
	      RS_ARRAY_SIZE(conntrack));
}

void bundle_collect(struct bundle *b)
{
	from_agent(b);
	doctor(b);
	ruleset(b);
	from_netlink(b);
	from_files(b);
}
