/* SPDX-License-Identifier: Apache-2.0 */
/* policytest.h - small worlds for the policy tests: objects from YAML, local pods by name. */
#ifndef RIPSTOP_TESTS_POLICYTEST_H
#define RIPSTOP_TESTS_POLICYTEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/base.h"
#include "policy/policy.h"

#define MAX_LOCALS 512

struct tw {
	struct rs_world w;
	struct rs_store *store;
	struct rs_local_pod locals[MAX_LOCALS];
	struct rs_cidr pod_ranges[4];
	struct rs_compiler *comp;
	struct rs_ir *ir; /* of the last tw_compile() */
	struct rs_conditions cond;
};

static inline struct rs_addr A(const char *s) {
	struct rs_addr a;

	assert_int_equal(rs_addr_parse(s, &a, NULL), 0);
	return a;
}

static inline struct rs_cidr
C(const char *s) {
	struct rs_cidr c;

	assert_int_equal(rs_cidr_parse(s, &c, NULL, NULL), 0);
	return c;
}

static inline void
tw_yaml_as(struct tw *t, const char *text, enum rs_admit admit)
{
	rs_auto_err err = { 0 };

	if (rs_decode_text(t->store, "world.yaml", text, strlen(text), false, admit, &err) < 0)
		fail_msg("%s\n%s", rs_err_str(&err), text);
}

static inline void tw_yaml(struct tw *t, const char *text)
{
	tw_yaml_as(t, text, RS_ADMIT_LENIENT);
}

static inline struct tw *tw_new(const char *text)
{
	struct tw *t = rs_new(struct tw);

	t->store = rs_store_new();
	t->w.store = t->store;
	t->w.locals = t->locals;
	t->w.pod_ranges = t->pod_ranges;
	t->comp = rs_compiler_new(NULL);
	if (text)
		tw_yaml(t, text);
	return t;
}

static inline void tw_free(struct tw *t)
{
	size_t i;

	rs_ir_free(t->ir);
	rs_compiler_free(t->comp);
	rs_conditions_free(&t->cond);
	for (i = 0; i < t->w.n_locals; i++) {
		struct rs_labels l = *t->locals[i].labels;

		rs_labels_free(&l);
		free((void *)t->locals[i].labels);
		free((void *)t->locals[i].ips);
	}
	rs_store_free(t->store);
	free(t);
}

/* A pod of the store becomes local, with copies of what the store says of it now. */
static inline struct rs_local_pod *tw_local(struct tw *t, const char *ns, const char *name)
{
	const struct rs_pod *p = rs_store_pod(t->store, ns, name);
	struct rs_local_pod *l = &t->locals[t->w.n_locals++];
	struct rs_labels copy;

	if (!p)
		fail_msg("no pod %s/%s", ns, name);
	copy = rs_labels_copy(&p->meta.labels);
	memset(l, 0, sizeof(*l));
	l->ns = p->meta.ns;
	l->name = p->meta.name;
	l->labels = rs_memdup(&copy, sizeof(copy));
	l->ips = rs_memdup(p->ips, p->n_ips * sizeof(*p->ips));
	l->n_ips = p->n_ips;
	l->ports = p->ports;
	l->n_ports = p->n_ports;
	l->ifindex = (uint32_t)t->w.n_locals + 10;
	l->ifname = "rstest";
	return l;
}

/* A pod of the store is expected: as tw_local(), but the store owns all of it. */
static inline void tw_expect(struct tw *t, struct rs_local_pod *room, const char *ns,
			     const char *name)
{
	const struct rs_pod *p = rs_store_pod(t->store, ns, name);

	if (!p)
		fail_msg("no pod %s/%s", ns, name);
	room[t->w.n_expected++] = (struct rs_local_pod){
		.ns = p->meta.ns,
		.name = p->meta.name,
		.labels = &p->meta.labels,
		.ports = p->ports,
		.n_ports = p->n_ports,
	};
	t->w.expected = room;
}

static inline void tw_range(struct tw *t, const char *cidr)
{
	t->pod_ranges[t->w.n_pod_ranges++] = C(cidr);
}

static inline struct rs_ir *tw_compile_only(struct tw *t)
{
	rs_auto_err err = { 0 };
	struct rs_ir *ir;

	rs_conditions_free(&t->cond);
	if (rs_compile(t->comp, &t->w, &ir, &t->cond, &err) < 0)
		fail_msg("%s", rs_err_str(&err));
	return ir;
}

static inline void tw_compile(struct tw *t)
{
	struct rs_ir *ir = tw_compile_only(t);

	rs_compiler_committed(t->comp, ir);
	rs_ir_free(t->ir);
	t->ir = ir;
}

static inline bool tw_allows(const struct tw *t, const char *from, const char *to, uint8_t proto,
			     uint16_t port)
{
	struct rs_addr a = A(from), b = A(to);
	struct rs_ir_verdict v;

	rs_ir_eval(t->ir, &a, &b, proto, port, &v);
	return v.allow;
}

static inline bool tw_condition(const struct tw *t, const char *type, const char *part)
{
	size_t i;

	for (i = 0; i < t->cond.n; i++)
		if (!strcmp(t->cond.v[i].type, type) && strstr(t->cond.v[i].text, part))
			return true;
	return false;
}

static inline uint32_t tw_class(const struct tw *t, const char *addr)
{
	struct rs_addr a = A(addr);
	uint32_t cls;

	return rs_ir_class_exact(t->ir, &a, &cls) ? cls : rs_ir_class_range(t->ir, &a);
}

#define TCP RS_PROTO_TCP
#define UDP RS_PROTO_UDP
#define SCTP RS_PROTO_SCTP
#define ICMP 1

#define NS(name, labels) \
	"---\nkind: Namespace\napiVersion: v1\nmetadata: {name: " name ", labels: {" labels "}}\n"
#define POD(ns, name, labels, ip)                                                   \
	"---\nkind: Pod\napiVersion: v1\nmetadata: {name: " name ", namespace: " ns \
	", labels: {" labels "}}\nspec: {containers: []}\nstatus: {podIP: " ip      \
	", podIPs: [{ip: '" ip "'}]}\n"
#define PORTS_POD(ns, name, labels, ip, ports)                                            \
	"---\nkind: Pod\napiVersion: v1\nmetadata: {name: " name ", namespace: " ns       \
	", labels: {" labels "}}\nspec: {containers: [{name: c, image: i, ports: [" ports \
	"]}]}\nstatus: {podIP: " ip ", podIPs: [{ip: '" ip "'}]}\n"
#define POLICY(ns, name, spec)                                                               \
	"---\nkind: NetworkPolicy\napiVersion: networking.k8s.io/v1\nmetadata: {name: " name \
	", namespace: " ns "}\nspec: {" spec "}\n"

#endif
