/* SPDX-License-Identifier: Apache-2.0 */
/* numberworld.h - a small world that is changed step by step: for numbers, and for what a step may refuse. */
#ifndef RIPSTOP_TESTS_NUMBERWORLD_H
#define RIPSTOP_TESTS_NUMBERWORLD_H

#include "policytest.h"

#define BASE                                                                               \
	NS("shop", "team: s")                                                              \
	NS("other", "team: o")                                                             \
	PORTS_POD("shop", "db", "app: db", "10.0.0.1", "{name: sql, containerPort: 5432}") \
	POD("shop", "api", "app: api", "10.0.0.2")                                         \
	POD("shop", "api2", "app: api", "10.0.0.3")                                        \
	POD("shop", "web", "app: web", "10.0.0.4")                                         \
	POD("other", "job", "app: job", "10.0.0.5")

#define ALLOW_API(port)                                                                  \
	POLICY("shop", "a",                                                              \
	       "podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: " \
	       "{matchLabels: "                                                          \
	       "{app: api}}}], ports: [{port: " port "}]}, {from: [{ipBlock: {cidr: "    \
	       "192.0.2.0/24}}]}]")
#define ALLOW_WEB                                                                                 \
	POLICY("shop", "b",                                                                       \
	       "podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress, Egress], ingress: " \
	       "[{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}]}], "      \
	       "egress: "                                                                         \
	       "[{ports: [{port: sql}]}]")

static inline struct tw *base(void)
{
	struct tw *t = tw_new(BASE ALLOW_API("80") ALLOW_WEB);

	tw_local(t, "shop", "db");
	tw_local(t, "shop", "web");
	tw_range(t, "10.0.0.0/16");
	tw_compile(t);
	return t;
}

static inline void put(struct tw *t, enum rs_kind kind, const char *ns, const char *name, const char *text)
{
	rs_store_del(t->store, kind, ns, name);
	if (text)
		tw_yaml(t, text);
}

/* One step: the IR before it stays readable in *before. */
static inline void step(struct tw *t, struct rs_ir **before)
{
	rs_ir_free(*before);
	*before = t->ir;
	t->ir = NULL;
	tw_compile(t);
}

/* May be reached from that range on that port. */
#define BLOCK(name, cidr, port)                                            \
	POLICY("shop", name,                                               \
	       "podSelector: {}, ingress: [{from: [{ipBlock: {cidr: " cidr \
	       "}}], ports: [{port: " port "}]}]")

static inline uint32_t in_group(const struct tw *t, const char *addr)
{
	struct rs_addr a = A(addr);

	return rs_ir_local(t->ir, &a)->in_group;
}

static inline void relabel_local(struct tw *t, size_t i, const char *app)
{
	rs_labels_set((struct rs_labels *)(uintptr_t)t->locals[i].labels, "app", app);
}

#endif
