/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compile.h - the inside of a compile: objects to a draft (relations with symbolic numbers),
 * draft to IR.
 *
 * Steps, each in a file of its own, each reading what the former left in struct rs_cc:
 *	inuse.c   subjects; policies that select them; their rules; the atoms these name
 *	ranges.c  address intervals by the ipBlocks that hold them: range classes
 *	facets.c  peers by the atoms they satisfy
 *	classes.c addresses by their claimants' facets to exact classes
 *		  (or, from those of the compile before, reclass.c)
 *	groups.c  subjects by the policies that isolate them and their named ports
 *	cells.c   what each (group, class) may, where it differs from the lookup without it
 *	number.c  symbolic numbers to kernel numbers
 *	emit.c    the IR
 *
 * Everything is walked in sorted order (namespace, name; address), so equal worlds give equal
 * drafts.
 */
#ifndef RIPSTOP_POLICY_COMPILE_H
#define RIPSTOP_POLICY_COMPILE_H

#include "policy/intern.h"
#include "policy/portset.h"
#include "policy/span.h"
#include "policy/world.h"

/* (named port id, number): the number a pod declares under a name and protocol. */
static inline uint64_t rs_named_pair(uint32_t id, uint16_t port)
{
	return (uint64_t)id << 16 | port;
}

/* A set of pods that rules name: which namespaces, and which pods in them. */
struct rs_atom {
	uint32_t ns;	 /* of rs_cc.ns_names: the policy's own namespace; RS_NONE: by ns_dim */
	uint32_t ns_dim; /* of rs_cc.ns_dims: a namespaceSelector */
	const struct rs_selector *pods; /* NULL: all pods of those namespaces */
	struct rs_hash hash;
};

struct rs_cpolicy {
	const struct rs_policy *p;
	uint32_t first_rule[RS_DIRECTIONS]; /* rules [first, first + n) of rs_cc.rules */
	uint32_t n_rules[RS_DIRECTIONS];
	bool no_blocks; /* its ipBlocks are beyond the budget: its groups deny */
};

struct rs_crule {
	const struct rs_rule *rule; /* its position in rs_cc.rules is its number in the IR */
	uint32_t policy;
	enum rs_direction dir;
	uint32_t index;
	struct rs_u32s atoms;
	uint32_t block;	      /* of rs_cc.blocks, RS_NONE without ipBlocks */
	struct rs_u32s named; /* per port of the rule: of rs_cc.named, RS_NONE when not named */
};

struct rs_subject {
	const struct rs_local_pod *pod;
	bool closed;
	struct rs_u32s policies[RS_DIRECTIONS]; /* of rs_cc.policies, ascending */
	uint32_t group[RS_DIRECTIONS];		/* of the draft */
};

/* What a pod is to this node's rules, its address aside. Facet 0 is empty: nobody's peer by
 * selector. */
struct rs_facet {
	struct rs_u32s atoms;
	struct rs_u64s named; /* rs_named_pair() of egress rules' names */
	struct rs_hash hash;
	struct rs_u32s classes; /* of the draft: those that hold this facet */
};

/* ---- the draft: the relations with symbolic numbers ------------------------------------------ */

struct rs_draft_class {
	bool range;
	uint32_t range_cls;	/* exact class: the range class under it (index of the draft) */
	struct rs_u32s members; /* exact: facets, all of which must allow; range: blocks */
	uint32_t n_addrs;	/* exact: addresses that have it */
	struct rs_hash key;
};

struct rs_draft_addr {
	struct rs_addr addr;
	uint32_t cls;
	const char *comment; /* of rs_draft.names, or of the IR that is in force */
};

struct rs_draft_range {
	struct rs_addr lo, hi;
	uint32_t cls;
};

struct rs_draft_local {
	struct rs_addr addr;
	uint32_t subject;
	uint32_t group[RS_DIRECTIONS];
};

enum rs_group_kind {
	RS_GROUP_OPEN,	 /* no policy isolates */
	RS_GROUP_CLOSED, /* nobody knows what it may: nothing */
	RS_GROUP_ISOLATED,
};

struct rs_draft_group {
	enum rs_direction dir;
	enum rs_group_kind kind;
	struct rs_u32s policies;
	struct rs_u64s named; /* ingress: the subject's numbers for the names that its rules use */
	struct rs_hash key;
	bool over_budget;
	uint32_t content;
	uint32_t why, n_why;
};

struct rs_draft_cell {
	uint32_t group, cls, content;
	uint32_t why, n_why;
};

#define RS_CONTENT_ALL 0u
#define RS_CONTENT_NONE 1u

struct rs_draft {
	struct rs_vec(struct rs_draft_class) classes; /* [0] is the world */
	struct rs_vec(struct rs_draft_range) ranges;
	struct rs_vec(struct rs_draft_addr) addrs;
	struct rs_vec(char *) names; /* owned */
	struct rs_vec(struct rs_draft_local) locals;
	struct rs_vec(struct rs_draft_group) groups;
	struct rs_vec(struct rs_draft_cell) cells;
	struct rs_vec(struct rs_ports) contents;
	struct rs_vec(struct rs_ir_portrule) whys;
};

/* ---- the whole ------------------------------------------------------------------------------- */

struct rs_classifier;

struct rs_subjects rs_vec(struct rs_subject);

struct rs_cc {
	const struct rs_world *w;
	struct rs_conditions *conditions;
	uint32_t max_cells;

	struct rs_subjects subjects;		   /* by namespace, name, first address */
	struct rs_subjects expected;		   /* likewise; nothing but their groups counts */
	struct rs_vec(struct rs_cpolicy) policies; /* by namespace, name */
	struct rs_vec(struct rs_crule) rules;

	struct rs_intern ns_names;
	struct rs_intern ns_dims; /* canonical namespaceSelectors */
	struct rs_vec(const struct rs_selector *) ns_dim_sel;
	struct rs_intern atom_keys;
	struct rs_vec(struct rs_atom) atoms;
	struct rs_intern named;	       /* (protocol, name) of every named port in use */
	struct rs_vec(bool) named_out; /* an egress rule uses it: peers are told apart by it */
	struct rs_intern blocks; /* by intervals: what all ipBlocks of one rule hold together */
	struct rs_vec(struct rs_hash) block_hash;

	struct rs_intern facet_keys;
	struct rs_vec(struct rs_facet) facets;
	struct rs_intern range_keys, class_keys; /* keys of draft classes */
	struct rs_vec(uint32_t) range_cls_of;	 /* range_keys id to draft class */
	struct rs_intern content_keys, why_keys;
	struct rs_vec(struct rs_u32s) why_at; /* why_keys id to {first, n} */

	struct rs_classifier *classifier; /* of classes.c */
	const struct rs_cc *old;	  /* of an earlier compile over the same store, or NULL */
	uint64_t old_since;		  /* the store's sequence then */
	struct rs_draft d;
};

void rs_cc_free(struct rs_cc *c); /* NULL is legal */
void rs_draft_free_addrs(struct rs_draft *d);
void rs_cc_in_use(struct rs_cc *c);
int rs_cc_ranges(struct rs_cc *c, struct rs_err *err);
void rs_cc_classes(struct rs_cc *c);
void rs_cc_groups(struct rs_cc *c);
void rs_cc_cells(struct rs_cc *c);

static inline uint8_t rs_draft_ir_dir(enum rs_direction dir)
{
	return dir == RS_INGRESS ? RS_DIR_IN : RS_DIR_OUT;
}

/* The draft's cells under these numbers (by index of the draft), sorted as in an IR; first_why is
 * the index of the draft's. Groups without a number yet (0) come first, in any order. */
void rs_draft_ir_cells(const struct rs_draft *d, const uint32_t *groups, const uint32_t *classes,
		       const uint32_t *profiles, struct rs_ir_cell *out);

/* The draft's range class of an address; 0 outside all ranges. */
uint32_t rs_draft_range_of(const struct rs_draft *d, const struct rs_addr *a);

/* Number of a named port in use, RS_NONE when no rule uses it. */
uint32_t rs_cc_named_find(const struct rs_cc *c, uint8_t proto, const char *name);

struct rs_numbers; /* number.h */
struct rs_ir *rs_cc_emit(const struct rs_cc *c, const struct rs_numbers *n);

#endif
