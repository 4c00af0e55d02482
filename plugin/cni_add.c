// SPDX-License-Identifier: Apache-2.0
/*
 * cni_add.c - ADD: a transaction. All is checked first; then record, address, link (down), and
 * while the agent works the link is dressed; only then does it go up. Any failure gives everything
 * back in reverse.
 */
#include <errno.h>
#include <string.h>

#include <sys/random.h>

#include "plugin/cni.h"

/* How long an ADD that failed may still wait for the agent to forget the pod. */
#define UNDO_MS 2000

struct add {
	struct cni_call *call;
	struct cni_plumb plumb;
	struct rs_node_info node;
	struct rs_endpoint_store *store;
	struct rs_ipam *ipam; /* NULL: external */
	struct rs_endpoint *e;
	struct cni_routes routes;
	struct json_object *delegated; /* the external plugin's result */
	struct json_object *dns;       /* borrowed */
	bool asked_delegate;
	bool asked_agent;
	bool nobody; /* no agent was ever there to be asked */
};

static void add_clear(struct add *a)
{
	cni_plumb_close(&a->plumb);
	rs_node_info_clear(&a->node);
	rs_endpoint_store_close(a->store);
	rs_ipam_close(a->ipam);
	rs_endpoint_free(a->e);
	rs_vec_free(&a->routes);
	json_object_put(a->delegated);
}

/* Locally administered, unicast, drawn anew: a successor never has its predecessor's. */
static int draw_mac(uint8_t mac[6], struct rs_err *err)
{
	if (getrandom(mac, 6, 0) != 6)
		return rs_err_sys(err, errno, "getrandom");
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 0x02);
	return 0;
}

/* fe80::/64 and the modified EUI-64 of the address (RFC 4291). */
static struct rs_addr link_local(const uint8_t mac[6])
{
	struct rs_addr a = {
		.family = RS_AF_IP6,
		.b = { 0xfe, 0x80, [8] = mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4],
		       mac[5] },
	};

	return a;
}

static void take_labels(struct rs_endpoint *e, struct cni_call *c)
{
	struct cni_labels *from = NULL;

	if (c->env.has_labels) {
		from = &c->env.labels;
		e->label_origin = RS_LABELS_CNI_ARGS;
	} else if (c->conf.has_labels) {
		from = &c->conf.labels;
		e->label_origin = RS_LABELS_CONFIG;
	}
	if (!from)
		return;
	cni_labels_sort(from);
	e->labels = from->v;
	e->n_labels = from->n;
	memset(from, 0, sizeof(*from));
}

static int describe(struct add *a, struct rs_err *err)
{
	struct rs_endpoint *e = rs_new(struct rs_endpoint);
	struct cni_env *env = &a->call->env;
	char boot[RS_BOOT_ID_LEN];
	int rc = rs_boot_id(boot, err);

	a->e = e;
	e->state = RS_ENDPOINT_LIVE;
	e->container_id = rs_strdup(env->container_id);
	e->ifname = rs_strdup(env->ifname);
	e->network = rs_strdup(a->call->conf.name);
	e->netns = rs_strdup(env->netns);
	e->boot_id = rc == 0 ? rs_strdup(boot) : NULL;
	e->pod_ns = rs_strdup(env->pod_ns ? env->pod_ns : "default");
	e->pod_name = rs_strdup(env->pod_name ? env->pod_name : env->container_id);
	e->pod_uid = rs_strdup(env->pod_uid);
	e->ipam_external = a->call->conf.ipam_type != NULL;
	e->created_s = rs_now_s();
	take_labels(e, a->call);
	rs_endpoint_host_ifname(e->container_id, e->ifname, e->host_ifname);
	if (rc == 0)
		rc = draw_mac(e->pod_mac, err);
	if (rc == 0)
		rc = draw_mac(e->host_mac, err);
	return rc;
}

/* The configuration's, else the node's, else the uplink's. */
static uint32_t choose_mtu(const struct add *a)
{
	static const int families[] = { RS_AF_IP4, RS_AF_IP6 };
	struct rs_link up;
	size_t i;

	if (a->call->conf.mtu)
		return a->call->conf.mtu;
	if (a->node.mtu)
		return a->node.mtu;
	for (i = 0; i < RS_ARRAY_SIZE(families); i++)
		if (rs_uplink(a->plumb.host, families[i], &up, NULL) == 0 && up.mtu)
			return up.mtu < 65535 ? up.mtu : 65535;
	return CNI_MTU_DEFAULT;
}

static int read_node(struct add *a, struct rs_err *err)
{
	int rc = rs_node_info_read(a->call->conf.state_dir, &a->node, err);

	/* Damaged is like absent: whatever is then missing says so itself. */
	if (rc < 0 && rc != -ENOENT)
		cni_warn("%s", rs_err_str(err));
	rs_err_clear(err);
	return 0;
}

/* Everything that can be known before anything is changed. */
static int prepare(struct add *a, struct rs_err *err)
{
	struct cni_call *c = a->call;
	int rc = cni_plumb_open(&a->plumb, c, err);

	if (rc == 0)
		rc = read_node(a, err);
	if (rc == 0 && !c->conf.ipam_type)
		rc = cni_ranges(c, &a->node, a->plumb.host, err);
	if (rc == 0 && !c->conf.ipam_type)
		rc = cni_ipam_open(c, &a->ipam, err);
	if (rc == 0)
		rc = rs_endpoint_store_open(c->conf.state_dir, &a->store, err);
	if (rc == 0)
		rc = describe(a, err);
	if (rc == 0)
		a->e->mtu = choose_mtu(a);
	return rc;
}

static int refuse_taken(struct add *a, struct rs_err *err)
{
	struct rs_cidr single[RS_ENDPOINT_MAX_IPS];
	size_t i;

	for (i = 0; i < a->e->n_ips; i++) {
		single[i].addr = a->e->ips[i];
		single[i].len = (uint8_t)rs_addr_bits(a->e->ips[i].family);
	}
	return cni_refuse_node_addrs(a->plumb.host, single, a->e->n_ips, err);
}

static int ask_delegate(struct add *a, struct rs_err *err)
{
	int rc;

	a->asked_delegate = true;
	rc = cni_delegate(a->call, CNI_ADD, &a->delegated, err);
	if (rc == 0)
		rc = cni_delegate_take(a->delegated, a->e, &a->routes, &a->dns, err);
	return rc < 0 ? rc : refuse_taken(a, err);
}

static void add_default_route(struct add *a, int family)
{
	struct rs_cidr all = { .addr = { .family = (uint8_t)family } };
	size_t i;

	if (!cni_has_family(a->e, family))
		return;
	for (i = 0; i < a->routes.n; i++)
		if (rs_cidr_cmp(&a->routes.v[i], &all) == 0)
			return;
	*rs_vec_push(&a->routes) = all;
}

static int get_addresses(struct add *a, struct rs_err *err)
{
	struct rs_endpoint *e = a->e;
	int rc = a->ipam ? rs_ipam_acquire(a->ipam, e->container_id, e->ifname, e->ips, &e->n_ips,
					   err)
			 : ask_delegate(a, err);

	if (rc < 0)
		return rc;
	if (cni_has_family(e, RS_AF_IP6)) {
		e->ll = link_local(e->pod_mac);
		if (e->mtu < CNI_MTU_MIN6) {
			rs_err_set(err, EINVAL, "mtu %u is too small for IPv6 (%d)", e->mtu,
				   CNI_MTU_MIN6);
			return rs_err_cni(err, RS_CNI_CONFIG);
		}
	}
	add_default_route(a, RS_AF_IP4);
	add_default_route(a, RS_AF_IP6);
	if (a->call->conf.dns && json_object_object_length(a->call->conf.dns))
		a->dns = a->call->conf.dns;
	return 0;
}

static uint32_t group_of(const struct add *a)
{
	return a->node.link_group ? a->node.link_group : RS_LINK_GROUP;
}

static int dress(void *arg, struct rs_err *err)
{
	struct add *a = arg;

	return cni_plumb_dress(&a->plumb, a->e, &a->routes, err);
}

static int build(struct add *a, struct rs_err *err)
{
	int rc = get_addresses(a, err);

	if (rc == 0)
		rc = cni_plumb_create(&a->plumb, a->store, a->e, group_of(a), err);
	if (rc == 0)
		rc = rs_endpoint_update(a->store, a->e, err);
	if (rc < 0)
		return rc;
	/* Rules and link are made at once; neither lets a packet through before the gate. */
	a->asked_agent = true;
	rc = cni_agent_attach(a->call, dress, a, &a->nobody, err);
	return rc < 0 ? rc : cni_plumb_open_gate(&a->plumb, a->e, err);
}

static void undo(struct add *a)
{
	struct cni_release r = {
		.conf = &a->call->conf,
		.store = a->store,
		.ipam = a->ipam,
		.container_id = a->e->container_id,
		.ifname = a->e->ifname,
		.ask_agent = a->asked_agent,
		.unheard = a->nobody,
		.timeout_ms = UNDO_MS,
	};
	rs_auto_err err = { 0 };

	if (cni_release(&r, &err) < 0)
		cni_warn("undoing the failed ADD: %s; DEL will try again", rs_err_str(&err));
	if (a->asked_delegate && cni_delegate(a->call, CNI_DEL, NULL, &err) < 0)
		cni_warn("undoing the failed ADD: %s", rs_err_str(&err));
}

static int add(struct add *a, struct rs_err *err)
{
	int rc = prepare(a, err);

	if (rc == 0)
		/* From here on DEL finds what has to be cleared, wherever we die. */
		rc = rs_endpoint_create(a->store, a->e, err);
	if (rc < 0)
		return rc;
	rc = build(a, err);
	if (rc < 0)
		undo(a);
	return rc;
}

int cni_add(struct cni_call *c, struct json_object **result, struct rs_err *err)
{
	rs_cleanup(add_clear) struct add a = { .call = c, .plumb = { .netns_fd = -1 } };
	int rc = add(&a, err);

	if (rc < 0)
		return rc;
	*result = cni_result(c, a.e, &a.routes, a.dns);
	return 0;
}
