/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object.h - Kubernetes objects as plain structs, and the store that holds them.
 *
 * What flows in: documents (YAML or JSON from a folder, JSON from the API server). What flows out:
 * structs with exactly the fields that Ripstop needs, in which absent, null and `{}` stay apart
 * where Kubernetes keeps them apart, and each rule remembers where it was written.
 *
 * Field meanings: k8s.io/api/networking/v1 NetworkPolicy, k8s.io/api/core/v1 Pod, Namespace, Node;
 * KEP-2079 (endPort). Defaults that the API server applies at write (protocol TCP, policyTypes) are
 * applied by the decoder, because a folder has not passed an API server.
 *
 * Two readings of a bad object ("admission"):
 *   RS_ADMIT_STRICT (folder): the first invalid field refuses the object, with file:line:column.
 *   RS_ADMIT_LENIENT (API): it was admitted by somebody else and is taken with its faults: an
 *   invalid rule, peer or port is kept and marked `invalid` with `why`, and matches nothing; a
 *   policy with an invalid subject selector has `subject_invalid` and isolates its whole
 *   namespace; one with an unknown policy type isolates both directions, and of its rules only
 *   those of a direction that it names count.
 *
 * Ownership: an object owns all it points to. Objects in a store belong to the store, which lays
 * them out anew and lets them share words, and are const for everyone else; a pointer stays valid
 * until that object is replaced or deleted in the store. Stores are used by one thread.
 */
#ifndef RIPSTOP_OBJECT_H
#define RIPSTOP_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ripstop/addr.h>
#include <ripstop/error.h>

/* Where something was written. file is NULL for objects from the API; line and column start at
 * 1. */
struct rs_pos {
	const char *file; /* owned by the enclosing store or document, shared by its objects */
	int line;
	int col;
};

struct rs_label {
	char *key;
	char *value; /* never NULL; "" is a value like any other (semantics D5) */
};

/* Sorted by key (strcmp), keys unique. */
struct rs_labels {
	struct rs_label *v;
	size_t n;
};

/* ---- selectors ------------------------------------------------------------------------------- */

enum rs_op {
	RS_OP_IN,
	RS_OP_NOT_IN,
	RS_OP_EXISTS,
	RS_OP_NOT_EXISTS,
};

struct rs_requirement {
	char *key;
	char **values; /* for In and NotIn; as written */
	uint32_t n_values;
	enum rs_op op;
};

/*
 * A LabelSelector. matchLabels become In requirements with one value, in front of the expressions.
 * `present` false: the field was absent or null ("this dimension is not used"). Present with no
 * requirement: matches everything. `invalid`: matches nothing (`why` says what is wrong).
 */
struct rs_selector {
	bool present;
	bool invalid;
	uint32_t n_reqs;
	struct rs_requirement *reqs;
	char *why;
	struct rs_pos pos;
};

/* ---- NetworkPolicy --------------------------------------------------------------------------- */

enum rs_proto {
	RS_PROTO_TCP = 6,
	RS_PROTO_UDP = 17,
	RS_PROTO_SCTP = 132,
};

enum rs_port_kind {
	RS_PORT_ANY,   /* `port` absent or null: every port of the protocol */
	RS_PORT_RANGE, /* number, or number with endPort */
	RS_PORT_NAMED, /* a name, never a numeric string read as a number (semantics C19) */
};

struct rs_policy_port {
	bool invalid;  /* unknown protocol, endPort without number, ...: matches nothing */
	uint8_t proto; /* enum rs_proto */
	uint16_t lo;   /* RANGE: 1..65535, host order, inclusive */
	uint16_t hi;
	enum rs_port_kind kind : 8;
	char *name; /* NAMED */
	char *why;
	struct rs_pos pos;
};

struct rs_ipblock {
	struct rs_cidr cidr;
	uint32_t n_except;
	struct rs_cidr *except;
};

/*
 * One item of from/to. Exactly one form is in use unless `invalid`:
 *   ns_selector and/or pod_selector present, or block present.
 * An item with none of the known fields is invalid and matches nothing (semantics B9): an empty
 * peer can never become "no peer constraint".
 */
struct rs_peer {
	bool invalid;
	bool has_block;
	char *why;
	struct rs_selector ns_selector;
	struct rs_selector pod_selector;
	struct rs_ipblock block;
	struct rs_pos pos;
};

/*
 * One ingress or egress rule. any_peer is set only where from/to was absent, null or `[]`
 * (semantics B8); any_port likewise for ports (C1: all ports of all protocols, ICMP included).
 * With any_peer false and no valid peer the rule allows nobody.
 */
struct rs_rule {
	bool any_peer;
	bool any_port;
	struct rs_peer *peers;
	size_t n_peers;
	struct rs_policy_port *ports;
	size_t n_ports;
	struct rs_pos pos;
};

struct rs_meta {
	char *ns; /* NULL for cluster-scoped kinds; "default" when a folder leaves it out */
	char *name;
	char *uid;		/* NULL when absent */
	char *resource_version; /* NULL when absent */
	int64_t generation;	/* 0 when absent */
	bool deleting;		/* deletionTimestamp is set */
	bool packed;		/* of a store that laid it out; for nobody else to set */
	struct rs_labels labels;
	struct rs_pos pos;
};

enum rs_direction {
	RS_INGRESS = 0,
	RS_EGRESS = 1,
	RS_DIRECTIONS = 2,
};

struct rs_policy {
	struct rs_meta meta;
	bool subject_invalid;
	bool isolates[RS_DIRECTIONS]; /* effective policyTypes, defaults applied (A2..A5) */
	struct rs_selector subject; /* absent means all pods (semantics A9): decoder sets present */
	struct rs_rule *rules[RS_DIRECTIONS]; /* empty where isolates is false */
	size_t n_rules[RS_DIRECTIONS];
};

/* ---- Pod, Namespace, Node -------------------------------------------------------------------- */

struct rs_container_port {
	char *name; /* NULL when unnamed; only named ones are kept */
	uint8_t proto;
	uint16_t port;
};

enum rs_phase {
	RS_PHASE_UNKNOWN, /* absent or a word we do not know: counts as live */
	RS_PHASE_PENDING,
	RS_PHASE_RUNNING,
	RS_PHASE_SUCCEEDED,
	RS_PHASE_FAILED,
};

struct rs_pod {
	struct rs_meta meta;
	char *node; /* spec.nodeName, NULL when absent */
	bool host_network;
	enum rs_phase phase;
	char *config_hash; /* annotation kubernetes.io/config.hash (static pods), or NULL */
	char *owner_kind;  /* controller ownerReference, NULL when absent */
	char *owner_name;
	struct rs_addr *ips; /* status.podIPs, or podIP when that is absent */
	size_t n_ips;
	struct rs_container_port *ports; /* containers and restartable init containers (C17) */
	size_t n_ports;
};

/* Finished pods are nobody's peer (semantics F4). */
static inline bool rs_pod_finished(const struct rs_pod *p)
{
	return p->phase == RS_PHASE_SUCCEEDED || p->phase == RS_PHASE_FAILED;
}

struct rs_namespace {
	struct rs_meta meta; /* meta.ns is NULL */
	bool implied;	     /* a folder uses it and does not define it */
};

struct rs_node {
	struct rs_meta meta;
	struct rs_cidr *pod_cidrs;
	size_t n_pod_cidrs;
	struct rs_addr *addrs; /* status.addresses of type InternalIP, then those of ExternalIP */
	size_t n_addrs;
	size_t n_internal;
};

void rs_policy_free(struct rs_policy *p);
void rs_pod_free(struct rs_pod *p);
void rs_namespace_free(struct rs_namespace *n);
void rs_node_free(struct rs_node *n);

/* ---- matching helpers that are only about labels --------------------------------------------- */

/* Value of key, or NULL. */
const char *rs_labels_get(const struct rs_labels *l, const char *key);
/* Set or replace (copies both); keeps the order. Not in an object of a store. */
void rs_labels_set(struct rs_labels *l, const char *key, const char *value);
void rs_labels_free(struct rs_labels *l);
struct rs_labels rs_labels_copy(const struct rs_labels *l);
bool rs_labels_equal(const struct rs_labels *a, const struct rs_labels *b);
/* "a=b,c=d", escaped for a terminal; "" when empty. */
char *rs_labels_str(const struct rs_labels *l);
/* Parse "app:web,tier:be" (RIPSTOP_LABELS; sep ':') or "app=web,tier=be" (sep '='); validated
 * as Kubernetes validates label keys and values (RFC 1123 subdomain prefix, 63-byte names). */
int rs_labels_parse(const char *text, char sep, struct rs_labels *out, struct rs_err *err);
int rs_label_check(const char *key, const char *value, struct rs_err *err);

/* "app=api,tier in (a,b),!x" as kubectl writes selectors; "<none>" if absent, "<all>" if empty. */
char *rs_selector_str(const struct rs_selector *s);

/* ---- the store ------------------------------------------------------------------------------- */

enum rs_kind {
	RS_KIND_NAMESPACE,
	RS_KIND_POD,
	RS_KIND_POLICY,
	RS_KIND_NODE,
	RS_KINDS,
};

/* "Namespace", "Pod", "NetworkPolicy", "Node". */
const char *rs_kind_name(enum rs_kind kind);

struct rs_store;

struct rs_store *rs_store_new(void);
void rs_store_free(struct rs_store *s);

/* Put takes o, which is not to be looked at again: what the store holds lies elsewhere. An object
 * of the same kind, namespace and name is replaced and freed. Returns true when anything that
 * Ripstop reads differs from what was there. */
bool rs_store_put_namespace(struct rs_store *s, struct rs_namespace *o);
bool rs_store_put_pod(struct rs_store *s, struct rs_pod *o);
bool rs_store_put_policy(struct rs_store *s, struct rs_policy *o);
bool rs_store_put_node(struct rs_store *s, struct rs_node *o);

/* Delete by name (ns is NULL for cluster-scoped kinds). Returns true when it was there. */
bool rs_store_del(struct rs_store *s, enum rs_kind kind, const char *ns, const char *name);

const struct rs_namespace *rs_store_namespace(const struct rs_store *s, const char *name);
const struct rs_pod *rs_store_pod(const struct rs_store *s, const char *ns, const char *name);
const struct rs_policy *rs_store_policy(const struct rs_store *s, const char *ns, const char *name);
const struct rs_node *rs_store_node(const struct rs_store *s, const char *name);

/* Arrays sorted by (namespace, name); valid until the next change of the store. */
const struct rs_namespace *const *rs_store_namespaces(const struct rs_store *s, size_t *n);
const struct rs_pod *const *rs_store_pods(const struct rs_store *s, size_t *n);
const struct rs_policy *const *rs_store_policies(const struct rs_store *s, size_t *n);
const struct rs_node *const *rs_store_nodes(const struct rs_store *s, size_t *n);

/* A kind counts as synced once its whole list has been seen; nothing is compiled before all
 * that the source provides are (semantics F15). */
void rs_store_set_synced(struct rs_store *s, enum rs_kind kind, bool synced);
bool rs_store_synced(const struct rs_store *s);

/* Goes up with every change that put/del reported. */
uint64_t rs_store_revision(const struct rs_store *s);

/* Warnings a person should see (implied namespaces, unknown kinds skipped); owned by the store. */
void rs_store_warn(struct rs_store *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *const *rs_store_warnings(const struct rs_store *s, size_t *n);

/* ---- decoding -------------------------------------------------------------------------------- */

enum rs_admit {
	RS_ADMIT_STRICT,
	RS_ADMIT_LENIENT,
};

/* Budgets of the parsers: more is refused with a clear error, never attempted. */
#define RS_DOC_MAX_BYTES (16UL * 1024 * 1024)
#define RS_DOC_MAX_DEPTH 64
#define RS_DOC_MAX_NODES 2000000UL

/*
 * Decode every document of text (YAML stream, or JSON, which is read as YAML with strict JSON
 * syntax when json is true) into s. `kind: List` and `*List` are unrolled. Kinds other than the
 * four are counted and skipped with a warning in s. `file` names the text in positions and errors
 * and is copied. Fails whole: on error s may hold some of the objects, so decode into a scratch
 * store and swap. Two objects of one kind and name in one store are an error under STRICT.
 */
int rs_decode_text(struct rs_store *s, const char *file, const char *text, size_t len, bool json,
		   enum rs_admit admit, struct rs_err *err);

/* After the last file of a folder: define namespaces that are used and not defined, and give every
 * namespace its kubernetes.io/metadata.name label. */
void rs_store_finish_folder(struct rs_store *s);

#endif
