// SPDX-License-Identifier: Apache-2.0
/* worldw.c - objects of the world W(P, N); see worldw.h. */
#include "tests/bench/worldw.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

#define APPS 50u
#define TIERS 5u
#define VERSIONS 3u

static void set_label(struct rs_labels *l, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void set_label(struct rs_labels *l, const char *key, const char *fmt, ...)
{
	char text[64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	rs_labels_set(l, key, text);
}

const char *worldw_ns(const struct worldw *w, size_t i)
{
	static char text[32];

	snprintf(text, sizeof(text), "w-%04zu", i % w->n_namespaces);
	return text;
}

/* Pods of this node are the first 250; their addresses are the node's range 10.128.0.0/24. The rest lie in
 * 10.129.0.0/16 and up. */
struct rs_addr worldw_addr(size_t i)
{
	uint32_t v = i < WORLDW_LOCAL ? 0x0a800001u + (uint32_t)i
				      : 0x0a810000u + (uint32_t)(i - WORLDW_LOCAL);
	struct rs_addr a = { .family = RS_AF_IP4 };

	a.b[0] = (uint8_t)(v >> 24);
	a.b[1] = (uint8_t)(v >> 16);
	a.b[2] = (uint8_t)(v >> 8);
	a.b[3] = (uint8_t)v;
	return a;
}

/* ---- pods ------------------------------------------------------------------------------------ */

static void pod_labels(const struct worldw *w, struct rs_labels *l, size_t i, unsigned int version)
{
	size_t in_ns = i / w->n_namespaces;

	set_label(l, "app", "app-%zu", (in_ns + i % w->n_namespaces) % APPS);
	set_label(l, "tier", "tier-%zu", (in_ns / 7 + version) % TIERS);
	set_label(l, "version", "v%zu", in_ns % VERSIONS);
	set_label(l, "id", "pod-%zu", i);
}

static struct rs_container_port *pod_ports(size_t *n)
{
	struct rs_container_port *p = rs_new0(struct rs_container_port, 2);

	p[0] = (struct rs_container_port){ rs_strdup("http"), RS_PROTO_TCP, 8080 };
	p[1] = (struct rs_container_port){ rs_strdup("metrics"), RS_PROTO_TCP, 9100 };
	*n = 2;
	return p;
}

static void put_pod(struct worldw *w, size_t i, size_t like, unsigned int version, bool pending)
{
	struct rs_pod *p = rs_new(struct rs_pod);
	rs_autofree char *id = rs_asprintf("pod-%zu", i);

	p->meta.ns = rs_strdup(worldw_ns(w, i));
	p->meta.name = rs_strdup(id);
	pod_labels(w, &p->meta.labels, like, version);
	rs_labels_set(&p->meta.labels, "id", id);
	p->node = rs_strdup(i < WORLDW_LOCAL ? "here" : "elsewhere");
	p->phase = pending ? RS_PHASE_PENDING : RS_PHASE_RUNNING;
	p->ips = rs_new0(struct rs_addr, 1);
	p->ips[0] = worldw_addr(i);
	p->n_ips = !pending;
	p->ports = pod_ports(&p->n_ports);
	rs_store_put_pod(w->store, p);
}

void worldw_put_pod(struct worldw *w, size_t i, unsigned int version)
{
	put_pod(w, i, i, version, false);
}

void worldw_put_pending(struct worldw *w, size_t i)
{
	put_pod(w, i, i, 0, true);
}

void worldw_put_pod_like(struct worldw *w, size_t i, size_t like)
{
	put_pod(w, i, like, 0, false);
}

void worldw_del_pod(struct worldw *w, size_t i)
{
	rs_autofree char *name = rs_asprintf("pod-%zu", i);

	rs_store_del(w->store, RS_KIND_POD, worldw_ns(w, i), name);
}

/* ---- policies -------------------------------------------------------------------------------- */

static struct rs_requirement *add_req(struct rs_selector *s, const char *key, enum rs_op op)
{
	struct rs_requirement *r;

	s->present = true;
	s->reqs = rs_reallocarray(s->reqs, s->n_reqs + 1, sizeof(*s->reqs));
	r = &s->reqs[s->n_reqs++];
	*r = (struct rs_requirement){ .key = rs_strdup(key), .op = op };
	return r;
}

static void add_value(struct rs_requirement *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void add_value(struct rs_requirement *r, const char *fmt, ...)
{
	char text[64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->values = rs_reallocarray(r->values, r->n_values + 1, sizeof(*r->values));
	r->values[r->n_values++] = rs_strdup(text);
}

/* Peer 0: pods of the same namespace; peer 1: pods of three namespaces; peer 2: a block. `turn` tells the rules of
 * one policy apart, and policies that select the same app. */
static void fill_peers(const struct worldw *w, struct rs_rule *r, size_t j, size_t turn)
{
	size_t app = (j / w->n_namespaces + turn * 11 + 1) % APPS;
	struct rs_requirement *q;

	r->n_peers = j % 4 ? 2 : 3;
	r->peers = rs_new0(struct rs_peer, r->n_peers);
	add_value(add_req(&r->peers[0].pod_selector, "app", RS_OP_IN), "app-%zu", app);
	q = add_req(&r->peers[1].ns_selector, "kubernetes.io/metadata.name", RS_OP_IN);
	for (size_t k = 1; k <= 3; k++)
		add_value(q, "w-%04zu", (j + k * (turn + 1)) % w->n_namespaces);
	add_value(add_req(&r->peers[1].pod_selector, "tier", RS_OP_IN), "tier-%zu",
		  (j + turn) % TIERS);
	if (r->n_peers < 3)
		return;
	r->peers[2].has_block = true;
	r->peers[2].block.cidr.addr =
		(struct rs_addr){ .family = RS_AF_IP4,
				  .b = { 172, (uint8_t)(16 + (j / 4 + turn) % 200) } };
	r->peers[2].block.cidr.len = 16;
	r->peers[2].block.n_except = 2;
	r->peers[2].block.except = rs_new0(struct rs_cidr, 2);
	for (size_t k = 0; k < 2; k++) {
		r->peers[2].block.except[k] = r->peers[2].block.cidr;
		r->peers[2].block.except[k].len = 24;
		r->peers[2].block.except[k].addr.b[2] = (uint8_t)((j / 4 + k * 100) % 256);
	}
}

static void fill_ports(struct rs_rule *r, size_t j, size_t turn, unsigned int version)
{
	uint16_t lo = (uint16_t)(10000 + (j * 7 + turn * 3 + version) % 20000);

	r->n_ports = 2;
	r->ports = rs_new0(struct rs_policy_port, 2);
	r->ports[0] = (struct rs_policy_port){ .kind = RS_PORT_NAMED,
					       .proto = RS_PROTO_TCP,
					       .name = rs_strdup(turn % 2 ? "metrics" : "http") };
	r->ports[1] = (struct rs_policy_port){
		.kind = RS_PORT_RANGE, .proto = RS_PROTO_TCP, .lo = lo, .hi = (uint16_t)(lo + 100)
	};
}

static void fill_rules(const struct worldw *w, struct rs_policy *p, enum rs_direction dir, size_t n,
		       size_t j, unsigned int version)
{
	p->isolates[dir] = true;
	p->n_rules[dir] = n;
	p->rules[dir] = rs_new0(struct rs_rule, n);
	for (size_t i = 0; i < n; i++) {
		fill_peers(w, &p->rules[dir][i], j, i + 2 * dir);
		fill_ports(&p->rules[dir][i], j, i + 2 * dir, version);
	}
}

void worldw_put_policy(struct worldw *w, size_t j, unsigned int version)
{
	struct rs_policy *p = rs_new(struct rs_policy);

	p->meta.ns = rs_strdup(worldw_ns(w, j));
	p->meta.name = rs_asprintf("policy-%zu", j);
	add_value(add_req(&p->subject, "app", RS_OP_IN), "app-%zu", j / w->n_namespaces % APPS);
	fill_rules(w, p, RS_INGRESS, 2, j, version);
	fill_rules(w, p, RS_EGRESS, 1, j, version);
	rs_store_put_policy(w->store, p);
}

void worldw_del_policy(struct worldw *w, size_t j)
{
	rs_autofree char *name = rs_asprintf("policy-%zu", j);

	rs_store_del(w->store, RS_KIND_POLICY, worldw_ns(w, j), name);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void put_namespace(struct worldw *w, size_t i)
{
	struct rs_namespace *n = rs_new(struct rs_namespace);

	n->meta.name = rs_strdup(worldw_ns(w, i));
	rs_labels_set(&n->meta.labels, "kubernetes.io/metadata.name", n->meta.name);
	rs_store_put_namespace(w->store, n);
}

static void make_locals(struct worldw *w)
{
	w->n_locals = w->n_pods < WORLDW_LOCAL ? w->n_pods : WORLDW_LOCAL;
	w->locals = rs_new0(struct rs_local_pod, w->n_locals);
	for (size_t i = 0; i < w->n_locals; i++) {
		struct rs_local_pod *l = &w->locals[i];
		struct rs_labels *labels = rs_new(struct rs_labels);
		struct rs_addr *ip = rs_new(struct rs_addr);

		pod_labels(w, labels, i, 0);
		*ip = worldw_addr(i);
		l->ns = rs_strdup(worldw_ns(w, i));
		l->name = rs_asprintf("pod-%zu", i);
		l->labels = labels;
		l->stamp = rs_local_stamp();
		l->ips = ip;
		l->n_ips = 1;
		l->ports = pod_ports(&l->n_ports);
		l->ifindex = (uint32_t)(1000 + i);
		l->ifname = rs_asprintf("w%zu", i);
		memcpy(l->mac, (uint8_t[]){ 2, 0, 0, 0, (uint8_t)(i >> 8), (uint8_t)i }, 6);
	}
}

struct worldw *worldw_new(size_t n_policies, size_t n_pods)
{
	struct worldw *w = rs_new(struct worldw);

	w->n_policies = n_policies;
	w->n_pods = n_pods;
	w->n_namespaces = n_policies >= 10 ? n_policies / 10 : 1;
	w->store = rs_store_new();
	for (size_t i = 0; i < w->n_namespaces; i++)
		put_namespace(w, i);
	for (size_t i = 0; i < n_pods; i++)
		worldw_put_pod(w, i, 0);
	for (size_t j = 0; j < n_policies; j++)
		worldw_put_policy(w, j, 0);
	for (int k = 0; k < RS_KINDS; k++)
		rs_store_set_synced(w->store, (enum rs_kind)k, true);
	make_locals(w);
	rs_cidr_parse("10.128.0.0/9", &w->pod_range, NULL, NULL);
	rs_cidr_parse("10.128.0.0/24", &w->node_range, NULL, NULL);
	w->w = (struct rs_world){ .store = w->store,
				  .locals = w->locals,
				  .n_locals = w->n_locals,
				  .pod_ranges = &w->pod_range,
				  .n_pod_ranges = 1,
				  .node_ranges = &w->node_range,
				  .n_node_ranges = 1 };
	return w;
}

void worldw_free(struct worldw *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->n_locals; i++) {
		struct rs_local_pod *l = &w->locals[i];

		rs_labels_free((struct rs_labels *)l->labels);
		free((void *)l->labels);
		for (size_t k = 0; k < l->n_ports; k++)
			free(l->ports[k].name);
		free((void *)l->ports);
		free((void *)l->ips);
		free((void *)l->ns);
		free((void *)l->name);
		free((void *)l->ifname);
	}
	free(w->locals);
	rs_store_free(w->store);
	free(w);
}
