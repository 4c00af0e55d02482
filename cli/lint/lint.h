/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lint.h - cli/lint/ finds the mistakes that people make in NetworkPolicies, in files, without a
 * cluster. docs/lint.md says what each rule means.
 *
 * What flows in: texts. What flows out: findings, each with the rule, the very field (file, line,
 * column, path) and one sentence. Nothing here prints; lint_print.c renders into a cli_run.
 *
 * Rooms inside: lint_read.c (texts to trees, objects and the world around them), lint_site.c (paths
 * and findings), lint_table.c (the rules), lint_cover.c (what covers what), and one file for each
 * family of rules. A rule looks at the tree of a policy, for the positions, and at the object that
 * the one decoder made of it, for the meaning; both are walked side by side.
 *
 * False positives are the worst defect of a linter. So a rule claims only what these files prove: a
 * selector matches nothing only where the pods of that namespace are among the files. What is
 * likely and not proven is a note, which does not change the exit code.
 */
#ifndef RIPSTOP_CLI_LINT_LINT_H
#define RIPSTOP_CLI_LINT_LINT_H

#include <ripstop/object.h>
#include <ripstop/workload.h>

#include "base/base.h"
#include "base/vec.h"
#include "object/doc.h"

/* ---- the rules ------------------------------------------------------------------------------- */

enum lint_severity {
	LINT_NOTE,
	LINT_WARNING,
	LINT_ERROR,
};

/* In the order of the table, which is that of docs/lint.md. */
enum lint_id {
	LINT_UNKNOWN_FIELD,
	LINT_INVALID_FIELD,
	LINT_INVALID_LABEL,
	LINT_INVALID_PORT,
	LINT_INVALID_END_PORT,
	LINT_UNKNOWN_PROTOCOL,
	LINT_EMPTY_PEER,
	LINT_INVALID_IP_BLOCK,
	LINT_DEFINED_TWICE,
	LINT_SELECTOR_MATCHES_NOTHING,
	LINT_PEER_MATCHES_NOTHING,
	LINT_SELECTOR_CONTRADICTION,
	LINT_OR_INSTEAD_OF_AND,
	LINT_AND_INSTEAD_OF_OR,
	LINT_NAMESPACE_NAME_LABEL,
	LINT_UNDEFINED_NAMESPACE,
	LINT_HOST_NETWORK_POD,
	LINT_POLICY_TYPES_OMITTED,
	LINT_RULES_IGNORED,
	LINT_EMPTY_PEER_LIST,
	LINT_EMPTY_PORT_LIST,
	LINT_DNS_UDP_ONLY,
	LINT_DNS_TCP_ONLY,
	LINT_NO_DNS,
	LINT_UNDECLARED_NAMED_PORT,
	LINT_NAMED_PORT_TO_IP_BLOCK,
	LINT_SERVICE_IP_IN_IP_BLOCK,
	LINT_POD_IP_IN_IP_BLOCK,
	LINT_IP_BLOCK_HOST_BITS,
	LINT_IP_BLOCK_LEADING_ZEROS,
	LINT_IP_BLOCK_V4_MAPPED,
	LINT_IP_BLOCK_ALL_EXCEPTED,
	LINT_WEBHOOK_LOCK_OUT,
	LINT_API_SERVICE_LOCK_OUT,
	LINT_SHADOWED_RULE,
	LINT_DUPLICATE_RULE,
	LINT_DUPLICATE_ITEM,
	LINT_SCTP,
	LINT_UNKNOWN_IGNORED_RULE,
	LINT_RULES,
};

struct lint_rule {
	const char *id;		     /* stable: people write it into their files */
	enum lint_severity severity; /* the highest that it has */
	const char *title;	     /* a few words */
	const char *why;	     /* why it matters */
	const char *fix;	     /* what to do */
};

extern const struct lint_rule lint_rules[LINT_RULES];
const char *lint_severity_name(enum lint_severity s);
/* LINT_RULES when there is none of that name (n bytes). */
enum lint_id lint_rule_find(const char *id, size_t n);
const char *lint_rule_nearest(const char *id); /* NULL: none is near */

/* ---- what is looked at ----------------------------------------------------------------------- */

/* A pod, or a workload that stands for its pods. */
struct lint_end {
	const char *ns;
	const char *name;
	const char *kind; /* "Pod", "Deployment" */
	const struct rs_labels *labels;
	const struct rs_container_port *ports;
	size_t n_ports;
	const struct rs_addr *ips;
	size_t n_ips;
	bool host_network;
};

/* A namespace that these files define, or that holds a pod of theirs. */
struct lint_space {
	const char *name;
	struct rs_labels labels; /* with kubernetes.io/metadata.name */
	bool defined;
	bool has_makers;	  /* objects of theirs may make pods that nobody sees here */
	size_t first_end, n_ends; /* of ends */
};

struct lint_policy {
	const struct lint_text *text;
	const struct rs_doc_node *root;
	struct rs_doc_pos pos;
	struct rs_policy *p; /* NULL: it is invalid, and said so */
	char *ns, *name;     /* as far as they can be read; "?" */
	size_t number;	     /* among the policies of its text */
	bool ignores[LINT_RULES];
	size_t n_errors;
};

/* Who calls a Service from the API server. */
struct lint_caller {
	const char *kind; /* "ValidatingWebhookConfiguration", "APIService", ... */
	const char *name;
	const char *ns, *service;
	uint16_t port;
};

struct lint_finding {
	enum lint_id id;
	enum lint_severity severity;
	const struct lint_policy *pol;
	struct rs_doc_pos pos;
	char *path; /* "spec.ingress[0].from[1]" */
	char *text;
	bool suppressed;
};

/* Where an object of a text begins. */
struct lint_start {
	int line;
	size_t policy; /* its number among the policies of the text, plus one; 0: another kind */
};

/* A text and the trees of it. */
struct lint_text {
	size_t number; /* in the order in which they came */
	char *name;
	char *text;
	size_t len;
	bool json;
	struct rs_doc_reader *reader;
	struct rs_vec(struct lint_start) starts;
	size_t n_policies;
};

struct lint {
	struct rs_vec(struct lint_text *) texts;
	struct rs_store *store;
	struct rs_extras *extras;
	struct rs_vec(struct lint_policy) policies; /* sorted by (ns, name) once settled */
	struct rs_vec(struct lint_end) ends;	    /* likewise */
	struct rs_vec(struct lint_space) spaces;    /* by name */
	struct rs_vec(const char *) makers;	    /* namespaces of custom resources; borrowed */
	struct rs_vec(struct lint_caller) callers;
	struct rs_vec(struct rs_cidr) pod_ranges;
	bool ranges_given; /* by --cluster-cidr or by Node objects, not assumed */
	struct rs_vec(struct lint_finding) found;
	bool disabled[LINT_RULES];
	enum lint_severity least;
};

/* ---- the front door -------------------------------------------------------------------------- */

struct lint *lint_new(void);
void lint_free(struct lint *l);

/* Add a text (taken); name is what findings call it. A text that cannot be read is an error. */
int lint_add_text(struct lint *l, const char *name, char *text, size_t len, bool json,
		  struct rs_err *err);

/* After the last text: look at everything. cluster_cidr NULL: the usual ranges are assumed. */
int lint_run(struct lint *l, const char *cluster_cidr, struct rs_err *err);

/* Findings of that severity that are shown. */
size_t lint_count(const struct lint *l, enum lint_severity s);

/* ---- lint_read.c: texts to trees and objects ------------------------------------------------- */

void lint_texts_free(struct lint *l);
/* The object of a policy whose fields have been looked at, or the fault that the decoder sees. */
int lint_decode_policy(struct lint *l, struct lint_policy *pol);

/* ---- lint_site.c: paths and findings --------------------------------------------------------- */

/* One step of a path; lives on the stack. node is NULL where the field is absent or null. */
struct lint_at {
	const struct lint_at *up;
	const char *key; /* NULL: item `index` of a list */
	size_t index;
	bool free_key; /* a label's key */
	bool there;    /* the field is written, null or not */
	const struct rs_doc_node *node;
	struct rs_doc_pos
		pos; /* of the key, or of the item; where it is absent, of what holds it */
};

struct lint_at lint_root(const struct lint_policy *pol);
struct lint_at lint_field(const struct lint_at *map, const char *key);
struct lint_at lint_key(const struct lint_at *map, const struct rs_doc_item *item);
struct lint_at lint_item(const struct lint_at *list, size_t i, const struct rs_doc_item *item);
/* The items of a node of that type; NULL when it is another one. */
const struct rs_doc_item *lint_items(const struct lint_at *at, enum rs_doc_type type);
char *lint_path(const struct lint_at *at);

void lint_say(struct lint *l, struct lint_policy *pol, const struct lint_at *at, enum lint_id id,
	      const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* With another severity than the rule's own. */
void lint_say_as(struct lint *l, struct lint_policy *pol, const struct lint_at *at, enum lint_id id,
		 enum lint_severity severity, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

/* A rule of a policy, in tree and object. */
struct lint_site {
	struct lint *l;
	struct lint_policy *pol;
	enum rs_direction dir;
	size_t index;
	const struct rs_rule *rule;
	const struct lint_at *at;
	struct lint_at peers_at, ports_at; /* the lists, and their items */
	const struct rs_doc_item **peers, **ports;
};

/* Every rule that counts of every valid policy, in order. */
void lint_each_rule(struct lint *l, void (*look)(const struct lint_site *s));
struct lint_at lint_peer_at(const struct lint_site *s, size_t i);
struct lint_at lint_port_at(const struct lint_site *s, size_t i);
/* The policies of the same namespace, itself included. */
const struct lint_policy *lint_neighbours(const struct lint *l, const struct lint_policy *pol,
					  const struct lint_policy **end);
const char *lint_peers_key(enum rs_direction dir); /* "from", "to" */
const char *lint_rules_key(enum rs_direction dir); /* "ingress", "egress" */

/* "shop/api, shop/web and 3 more" */
struct lint_names {
	struct rs_strbuf b;
	size_t n;
};
void lint_names_add(struct lint_names *names, const struct lint_end *e);
const char *lint_names_str(struct lint_names *names);
void lint_names_free(struct lint_names *names);

/* ---- lint_world.c: what the files say about pods and namespaces ------------------------------ */

int lint_world_settle(struct lint *l, const char *cluster_cidr, struct rs_err *err);
const struct lint_space *lint_space(const struct lint *l, const char *name);
/* Labels of a namespace; of one that nobody defines only its name. In `room` if need be. */
const struct rs_labels *lint_space_labels(const struct lint *l, const char *name,
					  struct rs_labels *room);
/* Pods and workloads of a namespace, hostNetwork ones included. */
const struct lint_end *lint_ends_of(const struct lint *l, const char *ns, size_t *n);
bool lint_selects(const struct lint_policy *pol, const struct lint_end *e); /* as a subject */
bool lint_peer_takes_space(const struct lint_policy *pol, const struct rs_peer *p,
			   const struct lint_space *s);
bool lint_peer_takes_labels(const struct rs_peer *p, const struct lint_end *e);
bool lint_declares(const struct lint_end *e, const struct rs_policy_port *p);
/* Namespaces that every cluster has. */
bool lint_is_system_space(const char *name);
/* Typed with one slip: a letter too many, too few, or two changed places. Not web-1 and web-2. */
bool lint_one_slip(const char *a, const char *b);

/* ---- lint_cover.c: what allows at least what ------------------------------------------------- */

bool lint_selector_covers(const struct rs_selector *outer, const struct rs_selector *inner);
bool lint_selector_contradicts(const struct rs_selector *s);
/* Peers of one policy's namespace. */
bool lint_peer_covers(const struct lint *l, const char *ns, const struct rs_peer *outer,
		      const struct rs_peer *inner);
bool lint_peers_cover(const struct lint *l, const char *ns, const struct rs_rule *outer,
		      const struct rs_rule *inner);
bool lint_port_covers(const struct rs_policy_port *outer, const struct rs_policy_port *inner);
bool lint_rule_covers(const struct lint *l, const char *ns, const struct rs_rule *outer,
		      const struct rs_rule *inner);
/* Whether a rule's ports take this one. */
bool lint_ports_take(const struct rs_rule *r, uint8_t proto, uint16_t port);

/* ---- the families ---------------------------------------------------------------------------- */

void lint_check_fields(struct lint *l, struct lint_policy *pol); /* before the decoder */
void lint_check_types(struct lint *l);
void lint_check_selectors(struct lint *l);
void lint_check_pairs(struct lint *l); /* AND and OR */
/* Whether peer i is told as half of such a slip: then nothing else is said of its pods. */
bool lint_is_paired(const struct lint_site *s, size_t i);
void lint_check_blocks(struct lint *l);
void lint_check_ports(struct lint *l);
void lint_check_dns(struct lint *l);
void lint_check_shadows(struct lint *l);
void lint_check_callers(struct lint *l);

/* Rules that a comment or an annotation of the policy switches off. */
void lint_read_ignores(struct lint *l);

#endif
