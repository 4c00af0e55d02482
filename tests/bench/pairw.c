// SPDX-License-Identifier: Apache-2.0
/* pairw.c - the measured pair's pods and policies; see pairw.h. */
#include "tests/bench/pairw.h"

#include <string.h>

#include "base/base.h"

struct rs_addr pairw_addr(int nth)
{
	return (struct rs_addr){ .family = RS_AF_IP4,
				 .b = { 10, 128, 0,
					(uint8_t)(WORLDW_LOCAL + 1 + (unsigned int)nth) } };
}

/* ---- policies -------------------------------------------------------------------------------- */

static void select_in(struct rs_selector *s, const char *key, char **values, size_t n)
{
	s->present = true;
	s->reqs = rs_new0(struct rs_requirement, 1);
	s->n_reqs = 1;
	s->reqs[0] = (struct rs_requirement){
		.key = rs_strdup(key), .op = RS_OP_IN, .values = values, .n_values = n
	};
}

static void select_one(struct rs_selector *s, const char *key, char *value)
{
	char **values = rs_new0(char *, 1);

	values[0] = value;
	select_in(s, key, values, 1);
}

/* Peer 0: pods of an app of the own namespace; peer 1: a tier of three namespaces. */
static void fill_peers(const struct worldw *w, struct rs_rule *r, size_t k, size_t turn, bool last)
{
	char **names = rs_new0(char *, 3);

	r->n_peers = 2;
	r->peers = rs_new0(struct rs_peer, 2);
	select_one(&r->peers[0].pod_selector, "app",
		   last ? rs_strdup("pair") : rs_asprintf("app-%zu", (k + turn * 17) % 50));
	for (size_t i = 0; i < 3; i++)
		names[i] = rs_strdup(worldw_ns(w, k + 1 + i * (turn + 1)));
	select_in(&r->peers[1].ns_selector, "kubernetes.io/metadata.name", names, 3);
	select_one(&r->peers[1].pod_selector, "tier", rs_asprintf("tier-%zu", (k + turn) % 5));
}

static struct rs_policy_port range(uint8_t proto, size_t lo, size_t hi)
{
	return (struct rs_policy_port){
		.kind = RS_PORT_RANGE, .proto = proto, .lo = (uint16_t)lo, .hi = (uint16_t)hi
	};
}

static void fill_ports(struct rs_rule *r, size_t k, size_t turn, bool last)
{
	size_t lo = 10000 + k * 211 + turn * 67;

	r->n_ports = 2;
	r->ports = rs_new0(struct rs_policy_port, 2);
	if (last) {
		r->ports[0] = range(RS_PROTO_TCP, PAIRW_PORT, PAIRW_PORT_LAST);
		r->ports[1] = range(RS_PROTO_UDP, PAIRW_PORT, PAIRW_PORT_LAST);
		return;
	}
	r->ports[0] = (struct rs_policy_port){ .kind = RS_PORT_NAMED,
					       .proto = RS_PROTO_TCP,
					       .name = rs_strdup(turn % 2 ? "metrics" : "http") };
	r->ports[1] = range(RS_PROTO_TCP, lo, lo + 100);
}

static void fill_rules(const struct worldw *w, struct rs_policy *p, enum rs_direction dir, size_t n,
		       size_t k)
{
	p->isolates[dir] = true;
	p->n_rules[dir] = n;
	p->rules[dir] = rs_new0(struct rs_rule, n);
	for (size_t i = 0; i < n; i++) {
		bool last = k + 1 == PAIRW_POLICIES && i + 1 == n;

		fill_peers(w, &p->rules[dir][i], k, i + 2 * dir, last);
		fill_ports(&p->rules[dir][i], k, i + 2 * dir, last);
	}
}

void pairw_put_policies(struct worldw *w)
{
	for (size_t k = 0; k < PAIRW_POLICIES; k++) {
		struct rs_policy *p = rs_new(struct rs_policy);

		p->meta.ns = rs_strdup(PAIRW_NS);
		p->meta.name = rs_asprintf("zz-pair-%02zu", k);
		select_one(&p->subject, "app", rs_strdup("pair"));
		fill_rules(w, p, RS_INGRESS, 2, k);
		fill_rules(w, p, RS_EGRESS, 1, k);
		rs_store_put_policy(w->store, p);
	}
}

/* ---- pods ------------------------------------------------------------------------------------ */

static struct rs_labels labels_of(const char *name)
{
	struct rs_labels l = { 0 };

	rs_labels_set(&l, "app", "pair");
	rs_labels_set(&l, "tier", "pair");
	rs_labels_set(&l, "version", "v0");
	rs_labels_set(&l, "id", name);
	return l;
}

static struct rs_container_port *ports_of(size_t *n)
{
	struct rs_container_port *p = rs_new0(struct rs_container_port, 2);

	p[0] = (struct rs_container_port){ rs_strdup("http"), RS_PROTO_TCP, 8080 };
	p[1] = (struct rs_container_port){ rs_strdup("metrics"), RS_PROTO_TCP, 9100 };
	*n = 2;
	return p;
}

static void put_object(struct worldw *w, const char *name, const struct podpair_end *e)
{
	struct rs_pod *p = rs_new(struct rs_pod);

	p->meta.ns = rs_strdup(PAIRW_NS);
	p->meta.name = rs_strdup(name);
	p->meta.labels = labels_of(name);
	p->node = rs_strdup("here");
	p->phase = RS_PHASE_RUNNING;
	p->ips = rs_memdup(&e->addr, sizeof(e->addr));
	p->n_ips = 1;
	p->ports = ports_of(&p->n_ports);
	rs_store_put_pod(w->store, p);
}

/* As worldw_free() will free it. */
static void fill_local(struct rs_local_pod *l, const char *name, const struct podpair_end *e)
{
	struct rs_labels labels = labels_of(name);

	memset(l, 0, sizeof(*l));
	l->ns = rs_strdup(PAIRW_NS);
	l->name = rs_strdup(name);
	l->labels = rs_memdup(&labels, sizeof(labels));
	l->ips = rs_memdup(&e->addr, sizeof(e->addr));
	l->n_ips = 1;
	l->ports = ports_of(&l->n_ports);
	l->ifindex = e->ifindex;
	l->ifname = rs_strdup(e->ifname);
	memcpy(l->mac, e->mac, sizeof(l->mac));
}

void pairw_put_pods(struct worldw *w, const struct podpair *p)
{
	static const char *const names[] = { "pair-client", "pair-server" };

	w->locals = rs_reallocarray(w->locals, w->n_locals + 2, sizeof(*w->locals));
	for (size_t i = 0; i < 2; i++) {
		put_object(w, names[i], &p->pod[i]);
		fill_local(&w->locals[w->n_locals++], names[i], &p->pod[i]);
	}
	w->w.locals = w->locals;
	w->w.n_locals = w->n_locals;
}
