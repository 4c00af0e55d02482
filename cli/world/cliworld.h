/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cliworld.h - cli/world/ makes one world of objects to ask: from files (-f), from the agent of
 * this node, or, for kubectl ripstop, from the cluster by kubectl.
 *
 * What flows in: objects. What flows out: a store, every pod of it as a subject (as if one node held
 * them all), the Services beside it, and the IR that the one compiler of lib/policy makes of them.
 * So explain, rules, matrix, diff, simulate, lint and test ask the code that also makes the kernel's
 * rules, whoever the objects came from.
 *
 * Workloads (Deployment, StatefulSet, DaemonSet, ReplicaSet, Job, CronJob) of files stand for their
 * pods: one endpoint each, with the labels and ports of the pod template and the workload's name. A
 * workload whose pods are in the same files too (by controller ownerReference) gets none of its own.
 *
 * An endpoint without an address gets one of ours: the first free ones of the cluster's pod range
 * (--cluster-cidr, else 10.244.0.0/16 and fd00:10:244::/56), in the order of (namespace, name). An
 * ipBlock inside that range may decide by it; given_ip says which endpoints those are.
 */
#ifndef RIPSTOP_CLI_WORLD_CLIWORLD_H
#define RIPSTOP_CLI_WORLD_CLIWORLD_H

#include <ripstop/object.h>

#include "cli/cli.h"
#include "policy/policy.h"

/* A subject and peer of the world; the one at index i is world.locals[i]. Sorted by (ns, name). */
struct cli_endpoint {
	const char *ns;
	const char *name;
	const char *workload_kind; /* "Deployment"; "Pod" for a bare pod */
	const char *workload;	   /* its name; by ownerReferences where the object is a pod */
	const char *node;	   /* NULL: not known */
	bool is_template;	   /* stands for the pods of a workload */
	bool given_ip;		   /* its addresses are its own, not ours */
	struct rs_pos pos;	   /* file NULL for objects from an API */
};

enum cli_target_kind {
	CLI_TARGET_SAME, /* targetPort absent: the port itself */
	CLI_TARGET_NUMBER,
	CLI_TARGET_NAME,
};

struct cli_service_port {
	char *name; /* NULL when unnamed */
	uint8_t proto;
	uint16_t port;
	uint16_t node_port; /* 0: none */
	enum cli_target_kind target_kind;
	uint16_t target;
	char *target_name;
};

/* An address behind a Service, from EndpointSlices; where there are none, from the selector. */
struct cli_backend {
	struct rs_addr addr;
	char *pod_ns, *pod_name; /* targetRef of kind Pod, else NULL */
	bool ready;
	char *port_name; /* of the Service's port that this one serves; NULL: the unnamed one */
	uint8_t proto;
	uint16_t port; /* of the backend, after the translation */
};

struct cli_service {
	struct rs_meta meta;
	char *type; /* "ClusterIP", "NodePort", "LoadBalancer", "ExternalName" */
	bool headless;
	bool local_only;	/* externalTrafficPolicy: Local */
	struct rs_addr *ips;	/* clusterIPs, externalIPs, then load balancer addresses */
	size_t n_ips;
	size_t n_cluster_ips;	/* of ips, the first */
	struct rs_labels selector; /* n 0: none, its backends come from slices only */
	struct cli_service_port *ports;
	size_t n_ports;
	struct cli_backend *backends;
	size_t n_backends;
	bool from_slices;
};

struct cli_world {
	const char *origin; /* "files", "agent", "kubectl": metadata.source */
	char *from;	    /* for people: "k8s/ (41 files)", "context prod" */
	struct rs_store *store;
	struct rs_world w; /* locals = every pod; complete false */
	struct cli_endpoint *ends;
	size_t n_ends; /* = w.n_locals */
	struct cli_service *services; /* sorted by (ns, name) */
	size_t n_services;
	bool knows_services; /* the origin had a way to tell; false: agent */
	struct rs_conditions conditions;
	size_t n_files;
	size_t n_objects; /* read, of kinds that count */
	size_t n_skipped; /* of other kinds; warnings of the store name them */
	struct rs_compiler *compiler;
	struct rs_ir *ir; /* cli_world_ir() */
	struct cli_world_arena *arena; /* owns what the above borrows */
};

/*
 * Read what r's flags name: every -f (files, folders, "-"; -R goes into folders of folders), else
 * the live objects (r->kube: by kubectl; otherwise the agent's). 0, or an exit code after the error
 * was told. Free with cli_world_free().
 */
int cli_world_open(struct cli_run *r, struct cli_world **out);

/* The same from paths, without a word on stderr: for diff --against DIR, and for tests. */
int cli_world_files(const char *const *paths, size_t n, bool recursive, const char *cluster_cidr,
		    struct cli_world **out, struct rs_err *err);

void cli_world_free(struct cli_world *cw); /* NULL is legal */

/* The IR of the whole world; compiled at the first call. Owned by cw. */
int cli_world_ir(struct cli_world *cw, const struct rs_ir **ir, struct rs_err *err);

/* The endpoint of that name: a pod's, a workload's, or a pod "db-0" of a StatefulSet db. NULL. */
const struct cli_endpoint *cli_world_endpoint(const struct cli_world *cw, const char *ns,
					      const char *name);
const struct rs_local_pod *cli_world_pod(const struct cli_world *cw, const struct cli_endpoint *e);

/* "shop/web": escaped nowhere, allocated. Workloads and pods read alike. */
char *cli_endpoint_text(const struct cli_endpoint *e);

/*
 * What an operand of the grammar means (docs/cli.md, Operands): [NS/]POD, pod/NS/NAME,
 * deploy|sts|ds|rs|job|cronjob/NS/NAME, ns/NAME, svc/NS/NAME, node[/NAME], IP, CIDR, world,
 * 'app=api,tier=be@shop'. One of the kinds below; a hypothetical pod is added to the world (it must
 * be resolved before cli_world_ir()).
 */
enum cli_operand_kind {
	CLI_OPERAND_ENDPOINTS, /* one or more of the world: ends */
	CLI_OPERAND_ADDRESS,   /* nobody's: addr; world has its text "world" */
	CLI_OPERAND_RANGE,     /* cidr */
	CLI_OPERAND_SERVICE,
	CLI_OPERAND_NODE,
};

struct cli_operand {
	enum cli_operand_kind kind;
	const char *text;
	size_t *ends; /* indices into cw->ends */
	size_t n_ends;
	struct rs_addr addr4, addr6; /* family 0: none */
	struct rs_cidr range;
	const struct cli_service *service;
};

int cli_world_operand(struct cli_world *cw, const char *text, const char *default_ns,
		      struct cli_operand *out, struct rs_err *err);
void cli_operand_clear(struct cli_operand *o);

/* "5432", "tcp/5432", "udp/53", "tcp/8000-8100", "http" (a named port: resolved at the server),
 * "icmp". proto 0: ICMP of the family at hand. */
struct cli_port {
	uint8_t proto;
	uint16_t lo, hi;
	const char *name; /* NULL: a number */
};
int cli_port_parse(const char *text, struct cli_port *out, struct rs_err *err);

#endif
