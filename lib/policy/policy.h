/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.h - lib/policy is the pure middle: it turns objects and local pods into the IR of
 * <ripstop/ir.h>, and says why. No descriptor, no clock, no global: every test is a function
 * call.
 *
 * What flows in: a world (the store, this node's pods, the pod ranges). What flows out: an IR with
 * stable numbers, an explanation of one flow, conditions. Objects are compiled from state, never
 * from events.
 *
 * Rooms inside: selector.c (labels against selectors), compile.c and its neighbours (classes,
 * groups, cells, profiles), kept.c and its (what the next compile need not find out again),
 * number.c (numbers bound to meanings), ir.c (allocation, print, compare), eval.c (one flow against
 * an IR), refuse.c (may this step refuse something), explain.c (reasons, nearest miss), oracle.c (a
 * second, independent reading of the API text, for tests and for cross-checks; shares nothing with
 * the compiler).
 */
#ifndef RIPSTOP_POLICY_POLICY_H
#define RIPSTOP_POLICY_POLICY_H

#include <ripstop/ir.h>
#include <ripstop/object.h>

/*
 * A pod of this node, as the agent knows it: from its record, its link and its last known labels.
 * As a subject it keeps these until DEL, whatever the API says or forgets. Borrowed by all calls.
 */
struct rs_local_pod {
	const char *ns;
	const char *name;
	const struct rs_labels *labels; /* last known; never NULL */
	bool closed;			/* nobody knows its labels: default deny both ways */
	const struct rs_addr *ips;
	size_t n_ips;
	const struct rs_container_port *ports; /* last known named ports */
	size_t n_ports;
	uint32_t ifindex; /* 0: no link (its guard is left out) */
	const char *ifname;
	uint8_t mac[6];
	struct rs_addr ll;
	/*
	 * Stands for all that is pointed to here (names, labels, addresses, ports), so that nobody
	 * has to read it to know that it is what it was: equal stamps, equal content. Whoever
	 * changes any of it draws a new one. 0: there is none, and all is read.
	 */
	uint64_t stamp;
};

uint64_t rs_local_stamp(void); /* never drawn before in this process, and not 0 */

struct rs_world {
	const struct rs_store *store;
	const struct rs_local_pod *locals;
	size_t n_locals;
	size_t n_sorted; /* the first so many are sorted by (ns, name): quicker to find */
	/* Pods that will hang on this node: their groups, with all that these may, are compiled
	 * as if they did, so that a join finds them in the kernel. They have no address (ips and
	 * links are not looked at), so nothing is judged by them. */
	const struct rs_local_pod *expected;
	size_t n_expected;
	const struct rs_cidr *pod_ranges; /* of the cluster: "unknown pod" inside them */
	size_t n_pod_ranges;
	const struct rs_cidr *node_ranges; /* of this node */
	size_t n_node_ranges;
	/* The store is an API server's: what it does not hold does not exist, and finished pods are
	 * not in it. So a pod of a Node that is not known has no address yet, and a pod of this
	 * node without an object has finished. A folder may leave both out. */
	bool complete;
	bool everyone; /* the locals are the pods of all nodes: only words depend on it */
	uint32_t max_cells_per_group; /* 0: RS_MAX_CELLS_PER_GROUP */
};

#define RS_MAX_CELLS_PER_GROUP 65536u

/* The object that a condition is about, as it was compiled. */
struct rs_condition_about {
	char *ns, *name;
	char *uid; /* NULL: not known */
	int64_t generation;
};

/* A line for `status` and ripstop_condition{type}. */
struct rs_condition {
	char *type; /* "InvalidPolicy", "CellBudget", "AddressClaimedTwice", ... */
	char *text;
	struct rs_condition_about *about; /* a NetworkPolicy; NULL: none */
};

struct rs_conditions {
	struct rs_condition *v;
	size_t n;
	size_t cap;
};

void rs_conditions_add(struct rs_conditions *c, const char *type, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* What was added last is about this object. */
void rs_conditions_about(struct rs_conditions *c, const struct rs_meta *m);
/* Add one of another list, as it stands there. */
void rs_conditions_copy(struct rs_conditions *c, const struct rs_condition *from);
void rs_conditions_free(struct rs_conditions *c);

/* ---- selectors ------------------------------------------------------------------------------- */

bool rs_selector_matches(const struct rs_selector *s, const struct rs_labels *labels);

/* ---- compiling ------------------------------------------------------------------------------- */

/*
 * Keeps the numbering across compiles: a number is bound to its meaning (a class to its atoms, a
 * group to its policies and port resolution, a profile to its ports), is never used again for
 * another one, and where one batch both moves an address out of a class or group and changes what
 * that number may do, the changed meaning gets a fresh number (a packet's lookups may straddle a
 * commit; failures of the first prototype: numbers reused inside a batch).
 */
struct rs_compiler;

/*
 * seed: the IR read back from the kernel, or NULL. Meanings that are recognised in it (by member
 * address, range and profile content, and equal cells) keep their numbers, so that an agent that
 * starts again finds nothing to change; all new numbers lie above every number in the seed.
 */
struct rs_compiler *rs_compiler_new(const struct rs_ir *seed);
void rs_compiler_free(struct rs_compiler *c);

/*
 * Compile. The new IR (caller frees) carries generation + 1 when it differs from the last one of
 * this compiler, else the same generation. conditions may be NULL. Fails only for resource limits.
 * Commit it, then tell the compiler with rs_compiler_committed(). A failed batch is simply compiled
 * again: meanings that were committed keep their numbers, and no new number of an IR that was not
 * committed is given out again, as the kernel may hold it for all that.
 */
int rs_compile(struct rs_compiler *c, const struct rs_world *w, struct rs_ir **out,
	       struct rs_conditions *conditions, struct rs_err *err);
/* The compiler holds that IR, too, from then on. */
void rs_compiler_committed(struct rs_compiler *c, const struct rs_ir *ir);

/* Of its compiles those that looked only at pods which may have become others (reclass.h), for
 * tests and benchmarks: what comes of them is the same. */
uint64_t rs_compiler_quick(const struct rs_compiler *c);

/*
 * The quick way, whose cost does not grow with the world: since the last IR that was compiled
 * and committed only pods of other nodes came, went or changed, in which no rule sees what it had
 * not seen before, and policies that select none of this node's pods; and, with joins, pods that
 * were expected came to hang on this node. True: *out leads from that IR
 * to the one that rs_compile() would make (which may be the same: no moves). Commit it, apply it
 * and tell rs_compiler_moved(); or, as after false, compile.
 */
bool rs_compile_moves(struct rs_compiler *c, const struct rs_world *w, bool joins,
		      struct rs_ir_moves *out);
void rs_compiler_moved(struct rs_compiler *c, const struct rs_ir_moves *m);

/* ---- explaining ------------------------------------------------------------------------------ */

/* An end of a flow: a pod of the store or of this node (by name), or an address that is no
 * pod's. */
struct rs_flow_end {
	const char *ns;	  /* pod: namespace and name */
	const char *name; /* NULL: not a pod */
	struct rs_addr addr;
	bool node; /* this node itself, by local origin (source) or its own address (destination) */
};

struct rs_flow {
	struct rs_flow_end src;
	struct rs_flow_end dst;
	uint8_t proto; /* IP protocol number: 6, 17, 132, 1, 58, ... */
	uint16_t port; /* of the destination, host order; 0 without ports */
};

enum rs_verdict {
	RS_VERDICT_ALLOW,
	RS_VERDICT_DENY,
};

struct rs_half_explained {
	bool known; /* false: that end is not judged here (another node's pod, or no pod) */
	enum rs_verdict verdict;
	char *reason; /* one sentence */
	/* isolating policies, sorted: "namespace/name" */
	char **isolated_by;
	size_t n_isolated_by;
	/* the deciding rule, when one allows */
	char *rule;  /* "shop/db-allow-api spec.ingress[0]" */
	char *where; /* "file:line:col", NULL for objects without a file */
	/* the nearest miss, when none allows and there is a rule at all */
	char *miss_rule;
	char *miss_where;
	char *miss_ports; /* "tcp/5432 matches" or "tcp/5433 is not among tcp/5432" */
	char *miss_peers; /* "podSelector app=api does NOT match: the pod has app=web" */
	char *miss_hint;  /* what would change it */
};

struct rs_explanation {
	enum rs_verdict verdict;
	char *denied_at; /* "egress of shop/web", "ingress of shop/db"; NULL when allowed */
	char *note;	 /* self traffic, node origin, ...; NULL when nothing to say */
	struct rs_half_explained egress;
	struct rs_half_explained ingress;
};

/*
 * Explain a flow from the objects of w, and cross-check it against ir (may be NULL): where the
 * rules compiled into ir give another verdict, the call fails with -EUCLEAN and says so.
 */
int rs_explain(const struct rs_world *w, const struct rs_ir *ir, const struct rs_flow *flow,
	       struct rs_explanation **out, struct rs_err *err);
void rs_explanation_free(struct rs_explanation *x);

/* One effective rule line of a pod, for `ripstop rules`. */
struct rs_effective_rule {
	enum rs_direction dir;
	char *peers;  /* "ns/shop pods app=api (2 pods)", "10.0.0.0/8 except 10.1.0.0/16", "any" */
	char *ports;  /* "tcp/5432,udp/53", "any" */
	char *source; /* "shop/db-allow-api" */
	uint32_t index;
	char *where;
	bool allows_nothing;
	char *why_nothing;
};

struct rs_effective_rules {
	bool isolated[RS_DIRECTIONS];
	char **isolated_by[RS_DIRECTIONS];
	size_t n_isolated_by[RS_DIRECTIONS];
	struct rs_effective_rule *v;
	size_t n;
};

/* -ENOENT when w has no such pod. */
int rs_effective_rules(const struct rs_world *w, const char *ns, const char *name,
		       struct rs_effective_rules **out, struct rs_err *err);
void rs_effective_rules_free(struct rs_effective_rules *r);

/* Policies that select the pod in a direction; n set; caller frees the array (not the objects). */
const struct rs_policy **rs_policies_of(const struct rs_world *w, const char *ns,
					const struct rs_labels *labels, enum rs_direction dir,
					size_t *n);

/* ---- the oracle ------------------------------------------------------------------------------ */

/* Slow, plain, independent. Ends as in rs_flow; the verdict of the whole flow for a cluster in
 * which every pod's node enforces. Local pods of w override the store's labels and addresses. */
enum rs_verdict rs_oracle(const struct rs_world *w, const struct rs_flow *flow);

#endif
