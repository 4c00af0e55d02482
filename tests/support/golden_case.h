/* SPDX-License-Identifier: Apache-2.0 */
/*
 * golden_case.h - reads a folder of tests/golden into memory: the world around the objects, the local
 * pods that grow from state to state, and the flows with their expected verdicts.
 *
 * The format is tests/golden/README.md. This half only reads; golden_runner.c judges.
 */
#ifndef RIPSTOP_TESTS_GOLDEN_CASE_H
#define RIPSTOP_TESTS_GOLDEN_CASE_H

#include "base/base.h"
#include "policy/policy.h"

struct golden_host {
	char *name;
	struct rs_addr addrs[2];
	size_t n;
};

struct golden_world {
	bool lenient;	 /* objects with their faults, as an API server hands them out */
	bool complete;	 /* and all there are */
	char *node_name; /* a pod whose spec.nodeName is another one is remote; NULL: not asked */
	struct rs_vec(struct rs_cidr) pod_ranges;
	struct rs_vec(struct rs_cidr) node_ranges;
	struct golden_host node;
	struct rs_vec(struct golden_host) hosts;
};

/* A pod of this node; labels and ports are the last that an object told. */
struct golden_local {
	char *ns;
	char *name;
	char ifname[16];
	struct rs_labels labels;
	struct rs_container_port *ports;
	size_t n_ports;
	struct rs_addr ips[2];
	size_t n_ips;
	bool in_objects; /* of the present state */
};

struct golden_locals {
	struct golden_local *v;
	size_t n;
	size_t cap;
};

struct golden_end {
	char *ns; /* NULL: not a pod */
	char *name;
	struct rs_addr addr[2]; /* IPv4, IPv6; family 0 where there is none */
	bool node;
};

struct golden_flow {
	int line;
	bool allow;
	struct golden_end src;
	struct golden_end dst;
	char *proto_text;
	uint8_t proto[2]; /* ICMP has a number of its own in each family */
	uint16_t port;
	bool family[2];
};

struct golden_flows {
	struct golden_flow *v;
	size_t n;
	size_t cap;
};

/* dir/world, or the defaults where there is no such file. */
int golden_world_read(const char *dir, struct golden_world *out, struct rs_err *err);
void golden_world_free(struct golden_world *w);

/* Take in the local pods of a new state; those that are gone from the objects stay. */
int golden_locals_update(struct golden_locals *l, const struct golden_world *w,
			 const struct rs_store *store, struct rs_err *err);
void golden_locals_free(struct golden_locals *l);

/* What the policy room sees of them: every one for which `keep` says so (NULL: all). */
struct rs_local_pod *golden_locals_view(const struct golden_locals *l, bool (*keep)(size_t index),
					size_t *n);

int golden_flows_read(const char *path, const struct golden_world *w, const struct rs_store *store,
		      const struct golden_locals *locals, struct golden_flows *out,
		      struct rs_err *err);
void golden_flows_free(struct golden_flows *f);

#endif
