// SPDX-License-Identifier: Apache-2.0
/* gen_pods.c - pods of every phase and family, hosts, and where they lie. */
#include "tests/prove/gen.h"

#include <stdio.h>
#include <string.h>

#include "base/base.h"

/* ---- places ---------------------------------------------------------------------------------- */

static uint32_t range_size(const struct gen_node *n, int f)
{
	uint32_t bits = rs_addr_bits(f ? RS_AF_IP6 : RS_AF_IP4) - n->range[f].len;

	return bits > 8 ? 256 : 1U << bits;
}

static struct rs_addr at_offset(const struct rs_cidr *range, uint32_t offset)
{
	struct rs_addr a = range->addr;

	rs_addr_add(&a, offset);
	return a;
}

/* A free offset, most often the first or last address of a block of 4 to 64; 0 when there is none.
 * The first and last address of the range itself are nobody's. */
static uint32_t free_offset(struct pv_gen *g, uint32_t node, int f)
{
	uint32_t size = range_size(&g->nodes[node], f), try, offset, step;

	for (try = 0; try < 16; try++) {
		step = 4U << pv_below(g->rng, 5);
		offset = step * pv_below(g->rng, size / step);
		offset += size - pv_below(g->rng, 2);
		offset %= size;
		if (offset && offset < size - 1 && !g->taken[node][f][offset])
			return offset;
	}
	for (offset = 1; offset < size - 1; offset++)
		if (!g->taken[node][f][offset])
			return offset;
	return 0;
}

static void place(struct pv_gen *g, uint32_t node, const bool families[2], struct rs_addr addr[2])
{
	uint32_t same = 0, offset;
	int f;

	for (f = 0; f < 2; f++) {
		if (!families[f])
			continue;
		/* Both families in step, as a node's own counter would give them, or not. */
		offset = f && same && !g->taken[node][f][same] && pv_chance(g->rng, 60)
				 ? same
				 : free_offset(g, node, f);
		if (!offset)
			continue;
		same = offset;
		g->taken[node][f][offset] = true;
		addr[f] = at_offset(&g->nodes[node].range[f], offset);
	}
}

/* ---- containers ------------------------------------------------------------------------------ */

static void put_protocol(struct pv_gen *g, json_object *port)
{
	static const char *const protocols[] = { NULL, "TCP", "UDP", "SCTP" };
	const char *protocol = protocols[gen_choose(g->rng, 30, 30, 25, 15)];

	if (protocol)
		gen_add_str(port, "protocol", protocol);
}

static json_object *container_ports(struct pv_gen *g)
{
	json_object *list = json_object_new_array();
	uint32_t n = gen_choose(g->rng, 1, 3, 4, 3), used = 0, i, name;

	for (i = 0; i < n; i++) {
		json_object *port = json_object_new_object();

		name = pv_below(g->rng, g->n_port_names + !gen_theme(g, GEN_NAMED));
		/* A name stands once in a container; another one may use it again. */
		if (name < g->n_port_names && !(used & (1U << name))) {
			gen_add_str(port, "name", g->port_names[name]);
			used |= 1U << name;
		}
		gen_add_int(port, "containerPort", g->ports[pv_below(g->rng, g->n_ports)]);
		if (pv_chance(g->rng, 30))
			gen_add_int(port, "hostPort", g->ports[pv_below(g->rng, g->n_ports)]);
		put_protocol(g, port);
		json_object_array_add(list, port);
	}
	return list;
}

static json_object *container(struct pv_gen *g, const char *name)
{
	json_object *c = json_object_new_object();

	gen_add_str(c, "name", name);
	gen_add_str(c, "image", "example.com/image");
	if (pv_chance(g->rng, 92))
		json_object_object_add(c, "ports", container_ports(g));
	else if (pv_chance(g->rng, 50))
		json_object_object_add(c, "ports", NULL);
	return c;
}

static void put_containers(struct pv_gen *g, json_object *spec)
{
	json_object *list = json_object_new_array(), *c;

	json_object_array_add(list, container(g, "main"));
	if (pv_chance(g->rng, 45))
		json_object_array_add(list, container(g, "side"));
	json_object_object_add(spec, "containers", list);
	/* The API gives these no ports; what a broken writer puts there counts for nothing (C18). */
	if (pv_chance(g->rng, 90)) {
		list = json_object_new_array();
		json_object_array_add(list, container(g, "debugger"));
		json_object_object_add(spec, "ephemeralContainers", list);
	}
	if (!pv_chance(g->rng, 45))
		return;
	list = json_object_new_array();
	c = container(g, "first");
	if (pv_chance(g->rng, 60))
		gen_add_str(c, "restartPolicy", "Always");
	json_object_array_add(list, c);
	json_object_object_add(spec, "initContainers", list);
}

/* ---- pods ------------------------------------------------------------------------------------ */

static void put_ips(struct pv_gen *g, const struct gen_pod *p, json_object *status)
{
	json_object *list = json_object_new_array(), *o;
	char text[RS_ADDR_STRLEN];
	bool six_first = pv_chance(g->rng, 15);
	int first = p->addr[0].family == RS_AF_NONE, i, n = 0;

	if (six_first && p->addr[1].family != RS_AF_NONE)
		first = 1;
	for (i = 0; i < 2; i++) {
		const struct rs_addr *a = &p->addr[i ^ first];

		if (a->family == RS_AF_NONE)
			continue;
		o = json_object_new_object();
		gen_add_str(o, "ip", rs_addr_str(a, text));
		json_object_array_add(list, o);
		if (!n++)
			gen_add_str(status, "podIP", text);
	}
	/* The older field alone says all there is to say about one address. */
	if (n == 1 && pv_chance(g->rng, 10))
		json_object_put(list);
	else
		json_object_object_add(status, "podIPs", list);
}

enum fate {
	RUNNING,
	PENDING,
	PENDING_NO_IP,
	FINISHED,
	TERMINATING,
	HOST_NETWORK,
	NO_PHASE
};

static enum fate choose_fate(struct pv_gen *g, uint32_t i)
{
	uint32_t fate = gen_choose(g->rng, 64, 7, 4, 8, 7, 7, 3);

	if (i < 2)
		return RUNNING;
	if (gen_theme(g, GEN_GHOSTS) && pv_chance(g->rng, 25))
		return FINISHED;
	return (enum fate)fate;
}

static const char *phase_of(struct pv_gen *g, enum fate fate)
{
	switch (fate) {
	case PENDING:
	case PENDING_NO_IP:
		return "Pending";
	case FINISHED:
		return pv_chance(g->rng, 60) ? "Succeeded" : "Failed";
	case NO_PHASE:
		return pv_chance(g->rng, 50) ? "Unknown" : NULL;
	default:
		return "Running";
	}
}

/* A finished pod's address may be another's by now. */
static bool share_address(struct pv_gen *g, struct gen_pod *p)
{
	const struct gen_pod *heir = &g->pods[pv_below(g->rng, g->n_pods)];

	if (heir->finished || heir->host_network || heir->liar ||
	    (heir->addr[0].family == RS_AF_NONE && heir->addr[1].family == RS_AF_NONE))
		return false;
	p->node = heir->node;
	memcpy(p->addr, heir->addr, sizeof(p->addr));
	p->shares = true;
	return true;
}

static void choose_place(struct pv_gen *g, struct gen_pod *p, enum fate fate)
{
	bool families[2] = { g->has[0], g->has[1] };
	uint32_t which = gen_choose(g->rng, 70, 17, 13);

	if (g->has[0] && g->has[1] && which && g->n_pods >= 2)
		families[which == 1] = false;
	p->finished = fate == FINISHED;
	p->host_network = fate == HOST_NETWORK;
	if (fate == PENDING_NO_IP)
		return;
	if (p->host_network) {
		memcpy(p->addr, g->nodes[p->node].addr, sizeof(p->addr));
		return;
	}
	if (p->finished && pv_chance(g->rng, 45) && share_address(g, p))
		return;
	place(g, p->node, families, p->addr);
}

static void pod_object(struct pv_gen *g, struct gen_pod *p, enum fate fate)
{
	json_object *spec = json_object_new_object(), *status = json_object_new_object();
	json_object *o, *meta;
	const char *phase = phase_of(g, fate);

	o = gen_object(g, "Pod", g->ns[p->ns].name, p->name, &meta);
	p->labels = gen_labels(g);
	if (p->labels)
		json_object_object_add(meta, "labels", p->labels);
	if (fate == TERMINATING)
		gen_add_str(meta, "deletionTimestamp", "2026-01-01T00:00:00Z");
	gen_add_str(spec, "nodeName", g->nodes[p->node].name);
	if (p->host_network)
		json_object_object_add(spec, "hostNetwork", json_object_new_boolean(true));
	put_containers(g, spec);
	json_object_object_add(o, "spec", spec);
	if (phase)
		gen_add_str(status, "phase", phase);
	if (fate != PENDING_NO_IP)
		put_ips(g, p, status);
	else if (pv_chance(g->rng, 30))
		json_object_object_add(status, "podIPs", NULL);
	json_object_object_add(o, "status", status);
}

static void anchor_pod(struct pv_gen *g, const struct gen_pod *p)
{
	gen_anchor(g, &p->addr[0]);
	gen_anchor(g, &p->addr[1]);
}

static void one_pod(struct pv_gen *g)
{
	struct gen_pod *p = &g->pods[g->n_pods];
	enum fate fate = choose_fate(g, g->n_pods);

	/* Both of the first two have every family: there is always a flow. */
	p->ns = pv_below(g->rng, g->n_ns);
	p->node = pv_below(g->rng, g->n_nodes);
	snprintf(p->name, sizeof(p->name), "p%u", g->n_pods);
	choose_place(g, p, fate);
	pod_object(g, p, fate);
	anchor_pod(g, p);
	g->n_pods++;
}

void gen_pods(struct pv_gen *g)
{
	static const uint8_t tops[] = { 8, 20, 60 };
	uint32_t max = tops[gen_choose(g->rng, 45, 38, 17)], n, i;

	if (max > g->shape.max_pods)
		max = g->shape.max_pods;
	n = 2 + pv_below(g->rng, max - 1);
	for (i = 0; i < n; i++)
		one_pod(g);
	g->star = pv_below(g->rng, 2);
}

/* ---- hosts ----------------------------------------------------------------------------------- */

static struct gen_host *new_host(struct pv_gen *g)
{
	struct gen_host *h = &g->hosts[g->n_hosts++];

	if (g->n_hosts == 1)
		snprintf(h->name, sizeof(h->name), "outside");
	else
		snprintf(h->name, sizeof(h->name), "outside%u", g->n_hosts);
	return h;
}

static void anchor_host(struct pv_gen *g, const struct gen_host *h)
{
	gen_anchor(g, &h->addr[0]);
	gen_anchor(g, &h->addr[1]);
}

/* Beyond the cluster, at the edges of blocks; node addresses are 1 to 3. */
static void outside_hosts(struct pv_gen *g)
{
	static const uint8_t edges[] = { 7,  8,	 15,  16,  31,	32,  47,  48,
					 63, 64, 127, 128, 191, 192, 223, 224 };
	static const struct rs_cidr net[2] = {
		{ .addr = { .family = RS_AF_IP4, .b = { 192, 0, 2 } }, .len = 24 },
		{ .addr = { .family = RS_AF_IP6, .b = { 0xfd, 0, 1, 0x92 } }, .len = 64 },
	};
	uint32_t n = 1 + pv_below(g->rng, 5), taken = 0, i;
	int f;

	while (n) {
		struct gen_host *h;

		i = pv_below(g->rng, RS_ARRAY_SIZE(edges));
		if (taken & (1U << i))
			continue;
		taken |= 1U << i;
		h = new_host(g);
		for (f = 0; f < 2; f++)
			if (g->has[f])
				h->addr[f] = at_offset(&net[f], edges[i]);
		anchor_host(g, h);
		n--;
	}
}

/* In the pod ranges, but no pod's: beside pods, or in no node's range. */
static void strangers(struct pv_gen *g)
{
	uint32_t n = 1 + pv_below(g->rng, 2), node, far;
	int f;

	while (n--) {
		struct gen_host *h = new_host(g);

		far = pv_below(g->rng, 2);
		node = pv_below(g->rng, g->n_nodes);
		if (!far) {
			place(g, node, g->has, h->addr);
		} else {
			for (f = 0; f < 2; f++) {
				if (!g->has[f])
					continue;
				h->addr[f] = g->cluster[f].addr;
				h->addr[f].b[f ? 7 : 2] = 200;
				rs_addr_add(&h->addr[f], 16 * (n + 1) - far);
			}
		}
		anchor_host(g, h);
	}
}

/* Hosts that hold what a finished pod held. */
static void heirs(struct pv_gen *g)
{
	uint32_t i, made = 0;

	for (i = 0; i < g->n_pods && made < 3; i++) {
		const struct gen_pod *p = &g->pods[i];

		if (!p->finished || p->shares)
			continue;
		if (p->addr[0].family == RS_AF_NONE && p->addr[1].family == RS_AF_NONE)
			continue;
		memcpy(new_host(g)->addr, p->addr, sizeof(p->addr));
		made++;
	}
}

static void link_local_hosts(struct pv_gen *g)
{
	struct gen_host *h;

	if (!g->has[0])
		return;
	h = new_host(g);
	rs_addr_parse(pv_chance(g->rng, 50) ? "169.254.20.10" : "169.254.169.254", &h->addr[0],
		      NULL);
	anchor_host(g, h);
	anchor_host(g, h);
}

/* A podIP that its node does not own: another pod's, a stranger's, a host's. */
static void lie(struct pv_gen *g, struct gen_pod *p)
{
	const struct gen_pod *victim = &g->pods[pv_below(g->rng, g->n_pods)];
	const struct gen_host *host = &g->hosts[pv_below(g->rng, g->n_hosts)];
	bool a_pod = pv_chance(g->rng, 60);
	uint32_t node;
	int f;

	memcpy(p->addr, a_pod ? victim->addr : host->addr, sizeof(p->addr));
	p->liar = true;
	for (node = 0; node < g->n_nodes; node++)
		for (f = 0; f < 2; f++)
			if (p->addr[f].family != RS_AF_NONE && node == p->node &&
			    rs_cidr_contains(&g->nodes[node].range[f], &p->addr[f]))
				p->node = (node + 1) % g->n_nodes;
	for (f = 0; f < 2; f++)
		if (p->addr[f].family != RS_AF_NONE &&
		    rs_cidr_contains(&g->nodes[p->node].range[f], &p->addr[f]))
			p->addr[f].family = RS_AF_NONE;
}

static void liars(struct pv_gen *g)
{
	uint32_t n = 1 + pv_below(g->rng, 3);

	while (n-- && g->n_pods < GEN_MAX_PODS) {
		struct gen_pod *p = &g->pods[g->n_pods];

		p->ns = pv_below(g->rng, g->n_ns);
		p->node = pv_below(g->rng, g->n_nodes);
		snprintf(p->name, sizeof(p->name), "p%u", g->n_pods);
		lie(g, p);
		pod_object(g, p, RUNNING);
		g->n_pods++;
	}
}

void gen_hosts(struct pv_gen *g)
{
	outside_hosts(g);
	if (gen_theme(g, GEN_STRANGERS))
		strangers(g);
	heirs(g);
	if (gen_theme(g, GEN_LINK_LOCAL))
		link_local_hosts(g);
	if (gen_theme(g, GEN_LIARS))
		liars(g);
}
