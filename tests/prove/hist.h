/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hist.h - random histories of one node: whatever came on whatever way, the end is what a build
 * from scratch of the same state gives.
 *
 *	history.c	the program: options, workers, shrinking, the closing lines
 *	hist_run.c	one history: steps drawn and played
 *	hist_state.c	the state that all is about: objects of the cluster, pods of this node
 *	hist_events.c	what happens to pods, in the API and on this node
 *	hist_policies.c	what happens to namespaces, policies and nodes
 *	hist_moves.c	a while in which only pods of other nodes change
 *	hist_feed.c	how it is told: late, twice, out of order between kinds, squashed, relisted
 *	hist_node.c	the node: store, compiler, the real dataplane in a network namespace
 *	hist_check.c	now against from scratch: IR, kernel, rules read back, verdicts
 *	hist_numbers.c	what number.h promises, from one IR to the next
 *
 * A step is a kind and a seed. Each is played with random numbers of its own seed on the state that
 * it finds, so that a history stays one when steps are left out: that is how a failing one is
 * shrunk.
 */
#ifndef RIPSTOP_TESTS_PROVE_HIST_H
#define RIPSTOP_TESTS_PROVE_HIST_H

#include <ripstop/dataplane.h>
#include <ripstop/ruleset.h>

#include "base/base.h"
#include "policy/policy.h"
#include "tests/prove/prove.h"

/* What a finding is about; a line of its own at the end of a run. */
enum hist_aspect {
	HIST_FINE,
	HIST_IR,	 /* the IR differs from one made from scratch */
	HIST_KERNEL,	 /* the kernel does not hold what was committed, or more */
	HIST_VERDICT,	 /* a flow is judged in another way */
	HIST_NUMBERS,	 /* a number lives on where it may not */
	HIST_GENERATION, /* it rises without a difference, or does not with one */
	HIST_STORE,	 /* a delivery that says nothing new changed the store, ... */
	HIST_MOVES,	 /* moves and a compile differ */
	HIST_UNSYNCED,	 /* the kernel changed before everything was known (F15) */
	HIST_ERROR,	 /* a call failed */
	HIST_ASPECTS,
};

struct hist_step {
	uint8_t kind; /* index into hist_steps */
	uint64_t seed;
};

struct hist_object {
	enum rs_kind kind;
	json_object *o;	   /* as it is; owned */
	json_object *then; /* as it was before its last change; owned, or NULL */
};

struct hist_news { /* on its way to the store */
	enum rs_kind kind;
	char *ns; /* NULL for kinds without one */
	char *name;
	json_object *o;	   /* owned; NULL: deleted */
	json_object *then; /* an older version that comes first; owned, or NULL */
};

struct hist_local { /* a pod that hangs on this node; its record, for the agent */
	char *ns;
	char *name;
	struct rs_labels labels;
	struct rs_container_port *ports;
	size_t n_ports;
	bool closed;
	struct rs_addr ips[2];
	size_t n_ips;
	uint32_t ifindex;
};

/* The highest numbers that one compiler has given out, committed or not. */
struct hist_numbers {
	uint32_t max_class, max_group, max_profile;
};

struct hist {
	struct pv_rng rng; /* of the step in play */
	struct pv_case base, donor;
	const char *node; /* name of this one */
	struct rs_vec(struct rs_cidr) ranges;
	struct rs_vec(struct rs_cidr) pod_ranges;
	struct rs_vec(struct rs_addr) hosts;
	uint32_t serial; /* makes names, versions and links */

	/* the state */
	struct rs_vec(struct hist_object) objects;
	struct rs_vec(struct hist_local) locals;

	/* on its way */
	struct rs_vec(struct hist_news) news[RS_KINDS];

	/* the node */
	int ns_now, ns_scratch, ns_home;
	struct rs_store *store;
	bool listed[RS_KINDS];
	struct rs_compiler *compiler;
	struct rs_dp *dp;
	struct rs_ir *ir;     /* in force as the compiler knows it; owned, NULL: none */
	struct rs_ir *kernel; /* the relations that are in force; owned, NULL: none */
	bool seeded;	      /* ir was read back: it says nothing of policies */
	struct hist_numbers numbers;
	bool unsure;  /* read the kernel before the next commit */
	bool settled; /* nothing happened since the last commit */
	bool moved;   /* ...which was one of moves */

	struct rs_strbuf log; /* a line for what each step did */
	enum hist_aspect aspect;
	char *why;
	uint64_t checks, compiles, quick, commits, moves, unsynced, flows;
};

/* One history from its first world to its last check. */
struct hist_result {
	enum hist_aspect aspect;
	char *why; /* owned */
	char *log; /* owned */
	uint64_t checks, compiles, quick, commits, moves, unsynced, flows;
};

struct hist_kind {
	const char *name; /* a line at the end of a run */
	uint8_t weight;
	int (*play)(struct hist *h);
};

extern const struct hist_kind hist_steps[];
size_t hist_kinds(void);

/* Draw n steps; play them. The same arguments do the same, always. */
struct hist_step *hist_draw(uint64_t seed, uint64_t index, size_t n);
void hist_play(uint64_t seed, uint64_t index, const struct hist_step *steps, size_t n,
	       struct hist_result *out);

/* ---- inside ---------------------------------------------------------------------------------- */

/* Remember what is wrong (the first counts) and return -1. */
int hist_fail(struct hist *h, enum hist_aspect aspect, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void hist_note(struct hist *h, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* hist_state.c */
json_object *hist_copy(json_object *o);
json_object *hist_meta(json_object *o);
const char *hist_ns(json_object *o); /* NULL for kinds without one */
const char *hist_name(json_object *o);
json_object *hist_sub(json_object *o, const char *key); /* made where it is missing */
void hist_state_free(struct hist *h);
int hist_state_begin(struct hist *h, struct rs_err *err);
struct hist_object *hist_pick(struct hist *h, enum rs_kind kind); /* NULL: there is none */
struct hist_object *hist_find(struct hist *h, enum rs_kind kind, const char *ns, const char *name);
/* A pod of this node that could hang here now; NULL: there is none. */
struct hist_object *hist_pick_homeless(struct hist *h);
/* An object of the first worlds, to take parts of. */
json_object *hist_sample(struct hist *h, enum rs_kind kind);
bool hist_addr_taken(const struct hist *h, const struct rs_addr *a);
bool hist_fresh_addr(struct hist *h, int family, struct rs_addr *out);
struct hist_local *hist_add_local(struct hist *h, const char *ns, const char *name,
				  const struct rs_addr *ips, size_t n_ips);
void hist_del_local(struct hist *h, size_t i);
/* Locals as the compiler takes them, labels of those with an object from the store. Free both. */
struct rs_local_pod *hist_locals(const struct hist *h, const struct rs_store *store);
struct rs_store *hist_scratch_store(struct hist *h, struct rs_err *err);
struct rs_world hist_world(const struct hist *h, const struct rs_store *store,
			   const struct rs_local_pod *locals);

/* hist_feed.c: every change of an object is told. The object takes the place of the one with its
 * name. */
void hist_put(struct hist *h, enum rs_kind kind, json_object *o);
void hist_drop(struct hist *h, struct hist_object *obj);
int hist_deliver(struct hist *h, enum rs_kind kind); /* the next of its kind */
int hist_deliver_all(struct hist *h);
int hist_relist(struct hist *h, enum rs_kind kind);
int hist_decode(struct rs_store *s, json_object *o, struct rs_err *err);
void hist_news_free(struct hist_news *n);
int hist_some(struct hist *h);
int hist_any_order(struct hist *h);
int hist_squash(struct hist *h);
int hist_relist_step(struct hist *h);
int hist_reordered(struct hist *h);

/* hist_node.c */
enum hist_fate {
	HIST_COMMITTED,
	HIST_THROWN_AWAY, /* compiled, never sent */
	HIST_ACK_LOST,	  /* sent and in force, and the compiler never heard so */
};
int hist_node_begin(struct hist *h);
void hist_node_free(struct hist *h);
int hist_enter(int ns, struct rs_err *err);
int hist_compile(struct hist *h, enum hist_fate fate);
int hist_commit_step(struct hist *h);
int hist_lost_step(struct hist *h);
int hist_restart(struct hist *h);
int hist_foreign(struct hist *h);

/* A dataplane handle in that namespace that owns nothing. */
int hist_open(struct hist *h, int ns, struct rs_dp **out);
void hist_close(struct rs_dp **dp);
/* The kernel holds the relations of this IR, and a diff of both. */
int hist_kernel_holds(struct hist *h, enum hist_aspect aspect, const char *when);

/* hist_check.c */
int hist_check(struct hist *h);

/* hist_numbers.c */
void hist_numbers_see(struct hist_numbers *n, const struct rs_ir *ir);
/* NULL, or what the step from the last committed IR (NULL: none) to this one breaks. The caller
 * frees. */
char *hist_numbers_check(const struct hist_numbers *n, const struct rs_ir *last, bool seeded,
			 const struct rs_ir *ir);
/* The same relations under the same numbers. */
bool hist_numbers_same(const struct rs_ir *a, const struct rs_ir *b);

#endif
