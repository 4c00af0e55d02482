/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cliworld.h - cli/world/ makes one world of objects to ask: from files (-f), from the agent of
 * this node, or, for kubectl ripstop, from the cluster by kubectl.
 *
 * What flows in: objects. What flows out: a store, every pod of it as a subject (as if one node
 * held them all), the Services beside it, and the IR that the one compiler of lib/policy makes of
 * them. So explain, rules, matrix, diff, simulate, lint and test ask the code that also makes the
 * kernel's rules, whoever the objects came from.
 *
 * Workloads (Deployment, StatefulSet, DaemonSet, ReplicaSet, Job, CronJob) of files stand for
 * their pods: one endpoint each, with the labels and ports of the pod template and the workload's
 * name. A workload whose pods are in the same files too (by controller ownerReference) gets none
 * of its own.
 *
 * Pods in the host network and pods that have finished are no endpoints: no policy is about them.
 * Two of one namespace and name (a Deployment and a StatefulSet "web"): the workload's endpoint is
 * called "web (StatefulSet)".
 *
 * Pod ranges are --cluster-cidr, else the podCIDRs of Nodes that were read, else 10.244.0.0/16;
 * and fd00:10:244::/56 only where a pod, Node or Service shows that IPv6 is in use (instead, if
 * IPv4 is not). An endpoint without an address gets one of ours in each family of these ranges:
 * the first free ones, in the order of (namespace, name). An ipBlock inside a range may decide by
 * it; given_ip says which endpoints have addresses of their own.
 */
#ifndef RIPSTOP_CLI_WORLD_CLIWORLD_H
#define RIPSTOP_CLI_WORLD_CLIWORLD_H

#include <ripstop/object.h>
#include <ripstop/workload.h>

#include "cli/cli.h"
#include "policy/policy.h"

/* A subject and peer of the world; the one at index i is world.locals[i]. Sorted by (ns, name), but
 * for hypothetical ones, which come last. */
struct cli_endpoint {
	const char *ns;
	const char *name;
	const char *workload_kind; /* "Deployment"; "Pod" for a bare pod */
	const char *workload;	   /* its name; by ownerReferences where the object is a pod */
	const char *node;	   /* NULL: not known */
	bool is_template;	   /* stands for the pods of a workload */
	bool hypothetical;	   /* of an operand: in no file and no cluster */
	bool given_ip;		   /* its addresses are its own, not ours */
	struct rs_pos pos;	   /* file NULL for objects from an API */
};

/* An address behind a Service, from EndpointSlices; where there are none, from the selector. */
struct cli_backend {
	struct rs_addr addr;
	const char *pod_ns, *pod_name; /* an endpoint, or targetRef of kind Pod; else NULL */
	bool ready;
	const char
		*port_name; /* of the Service's port that this one serves; NULL: the unnamed one */
	uint8_t proto;
	uint16_t port; /* of the backend, after the translation */
};

struct cli_service {
	const struct rs_service *o; /* what was written: addresses, ports, selector */
	struct cli_backend *backends;
	size_t n_backends;
	bool from_slices;
	size_t n_host; /* pods in the host network that its selector finds: no endpoints */
};

struct cli_world {
	const char *origin; /* "files", "agent", "kubectl": metadata.source */
	char *from;	    /* for people: "k8s/ (41 files)", "context prod" */
	struct rs_store *store;
	struct rs_world w; /* locals = every pod, of which n_sorted exist; complete false */
	struct cli_endpoint *ends;
	size_t n_ends;	   /* = w.n_locals */
	size_t n_left_out; /* pods and workloads in the host network, and finished pods */
	bool families[2];  /* in use by the pods: IPv4, IPv6 */
	struct cli_service *services; /* sorted by (ns, name) */
	size_t n_services;
	bool knows_services; /* the origin had a way to tell; false: agent */
	struct rs_conditions conditions;
	size_t n_files;
	size_t n_objects; /* read, of kinds that count */
	size_t n_skipped; /* of other kinds */
	char *skipped;	  /* which: "8 ConfigMap, 4 Secret"; NULL when none */
	struct rs_compiler *compiler;
	struct rs_ir *ir;	       /* cli_world_ir() */
	struct cli_world_arena *arena; /* owns what the above borrows */
};

/*
 * Read what r's flags name: every -f (files, folders, "-"; -R goes into folders of folders), else
 * the live objects (r->kube: by kubectl; otherwise the agent's). Objects of a file that name no
 * namespace are in that of -n, as with kubectl apply -n. Warnings go to stderr. 0, or an exit code
 * after the error was told. Free with cli_world_free().
 */
int cli_world_open(struct cli_run *r, struct cli_world **out);

/* The same from paths, without a word on stderr: for diff --against DIR, and for tests. */
struct cli_world_paths {
	const char *const *v;
	size_t n;
	bool recursive;
	const char *cluster_cidr; /* NULL: not given */
	const char *namespace;	  /* NULL: "default" */
	struct rs_store *told;	  /* cli_read_texts(): warned of folders left out; NULL: none is */
};

int cli_world_files(const struct cli_world_paths *paths, struct cli_world **out,
		    struct rs_err *err);

/* Only the texts, for who makes something else of them: each file in order. take owns text. */
typedef int (*cli_take_text)(void *arg, const char *file, char *text, size_t len, bool json,
			     struct rs_err *err);
int cli_read_texts(const struct cli_world_paths *paths, cli_take_text take, void *arg,
		   size_t *n_files, struct rs_err *err);

/* The exit code of its failure. */
int cli_world_code(int rc);

/*
 * A world of objects that somebody else has read (by rs_decode_json_with()): takes s and x, also
 * when it fails. Services are known when x holds what the origin says of them.
 */
int cli_world_make(struct rs_store *s, struct rs_extras *x, const char *cluster_cidr,
		   const char *origin, struct cli_world **out, struct rs_err *err);

void cli_world_free(struct cli_world *cw); /* NULL is legal */

/* Whether it holds that Namespace, or a pod or workload of it. */
bool cli_world_has_namespace(const struct cli_world *cw, const char *ns);

/* The IR of the whole world; compiled at the first call. Owned by cw. */
int cli_world_ir(struct cli_world *cw, const struct rs_ir **ir, struct rs_err *err);

/* The IR in which only these endpoints are subjects: all that judges flows between them, and a
 * small part of the work. Owned by cw, until the next call. */
int cli_world_ir_of(struct cli_world *cw, const size_t *ends, size_t n, const struct rs_ir **ir,
		    struct rs_err *err);

/* The endpoint of that name: a pod's, a workload's, or a pod "db-0" of a StatefulSet db. NULL. */
const struct cli_endpoint *cli_world_endpoint(const struct cli_world *cw, const char *ns,
					      const char *name);
const struct rs_local_pod *cli_world_pod(const struct cli_world *cw, const struct cli_endpoint *e);

/* Whether a Service's selector finds pods with these labels; an empty one finds none. */
bool cli_service_selects(const struct rs_service *o, const struct rs_labels *labels);

/* "shop/web": escaped nowhere, allocated. Workloads and pods read alike. */
char *cli_endpoint_text(const struct cli_endpoint *e);

/* Another pod like endpoint i, with an address of its own, before cli_world_ir(). Takes name. */
int cli_world_sibling(struct cli_world *cw, size_t i, char *name, size_t *out, struct rs_err *err);

/*
 * What an operand of the grammar means (docs/cli.md, Operands): [NS/]POD, pod/NS/NAME,
 * deploy|sts|ds|rs|job|cronjob/NS/NAME, ns/NAME, svc/NS/NAME, node[/NAME], IP, CIDR, world,
 * 'app=api,tier=be@shop'. One of the kinds below; a hypothetical pod is added to the world (it
 * must be resolved before cli_world_ir()).
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

/* The exit code of a failure is cli_operand_code(rc). */
int cli_operand_code(int rc);
int cli_world_operand(struct cli_world *cw, const char *text, const char *default_ns,
		      struct cli_operand *out, struct rs_err *err);
void cli_operand_clear(struct cli_operand *o);

/* "5432", "tcp/5432", "udp/53", "tcp/8000-8100", "http" (a named port: resolved at the server),
 * "icmp". proto 0: ICMP of the family at hand. */
struct cli_port {
	uint8_t proto;
	uint16_t lo, hi;
	const char *name; /* NULL: a number */
	bool any_proto;	  /* a name without a protocol; proto is TCP then */
};
int cli_port_parse(const char *text, struct cli_port *out, struct rs_err *err);

#endif
