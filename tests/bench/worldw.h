/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worldw.h - the world W(P, N) that every figure of `make bench` is about: P policies, N pods.
 *
 * max(P / 10, 1) namespaces w-0000, ...; N pods spread evenly over them (pod i lies in namespace i mod their
 * number), of which the first 250 are this node's. Labels of a pod: app (50 values a namespace), tier (5), version
 * (3) and id, which is its own. Policy j lies in namespace j mod their number and selects one app. It has 2 ingress
 * rules and 1 egress rule; each has 2 peers (a podSelector; a namespaceSelector of 3 values with a podSelector) and
 * 2 ports (one by name, one range), and of every fourth policy each rule also an ipBlock /16 with 2 excepts. No two
 * policies are equal. Everything follows from (P, N) and a version, which tells apart worlds that follow each other.
 */
#ifndef RIPSTOP_TESTS_BENCH_WORLDW_H
#define RIPSTOP_TESTS_BENCH_WORLDW_H

#include "policy/policy.h"

#define WORLDW_LOCAL 250u

struct worldw {
	size_t n_policies, n_pods, n_namespaces;
	struct rs_store *store;
	struct rs_local_pod *locals;
	size_t n_locals;
	struct rs_cidr pod_range, node_range;
	struct rs_world w;
};

struct worldw *worldw_new(size_t n_policies, size_t n_pods);
void worldw_free(struct worldw *w);

/* Put pod i anew (i may be n_pods and more: a pod that comes); version other than 0 gives another tier. */
void worldw_put_pod(struct worldw *w, size_t i, unsigned int version);
/* The same as it is before its ADD: without an address. */
void worldw_put_pending(struct worldw *w, size_t i);
/* The same with the labels of another pod of its namespace, all but its own id. */
void worldw_put_pod_like(struct worldw *w, size_t i, size_t like);
void worldw_del_pod(struct worldw *w, size_t i);
/* Put policy j anew; version other than 0 gives it other ports. */
void worldw_put_policy(struct worldw *w, size_t j, unsigned int version);
void worldw_del_policy(struct worldw *w, size_t j);

/* The address of pod i. */
struct rs_addr worldw_addr(size_t i);

/* The namespace of pod or policy i; valid until the next call. */
const char *worldw_ns(const struct worldw *w, size_t i);

#endif
