/* SPDX-License-Identifier: Apache-2.0 */
/*
 * classify.h - what facets.c and classes.c know after a compile, kept so that a pod which comes,
 * goes or changes later can be placed without looking at the others (moves.c).
 */
#ifndef RIPSTOP_POLICY_CLASSIFY_H
#define RIPSTOP_POLICY_CLASSIFY_H

#include "policy/claimset.h"
#include "policy/compile.h"

/* A pod of this node or of the store holds an address. */
struct rs_claim {
	struct rs_addr addr;
	uint32_t facet;
	bool local;
	const char *ns, *name;
};

/* What a stored pod is. The pointer is compared, never read: it may have gone. */
struct rs_known {
	const struct rs_pod *pod;
	uint32_t facet; /* RS_NONE: it had no address that counts */
};

struct rs_reuse;

/*
 * Answers that a compile gets again and again, by the place where a word lies: in a store equal
 * words lie in one place, and while a compile runs nobody moves them.
 */
struct rs_memo {
	struct {
		const char *key;
		bool asked_for;
	} keys[64];
	struct {
		const char *name;
		uint8_t proto;
		uint32_t id;
	} ports[16];
};

/* Everything that is asked of a pod's labels, indexed so that few atoms are tried for each pod. */
struct rs_classifier {
	struct rs_cc *c;
	struct rs_intern keys;	/* label keys that any selector of pods names */
	struct rs_intern pairs; /* key and value of one In requirement of an atom */
	struct rs_vec(struct rs_u32s) by_pair;
	struct rs_u32s loose; /* atoms without an In requirement */
	struct rs_intern seen;
	struct rs_u32s seen_facet;
	struct rs_u32s found;
	struct rs_u64s named;
	struct rs_strbuf key;
	struct rs_memo memo;
	/* the namespace at hand */
	const char *ns;
	uint32_t ns_id;
	const struct rs_labels *ns_labels;
	bool *dim_matches;
	struct rs_vec(struct rs_claim) claims;
	struct rs_vec(struct rs_known) known; /* stored pods, in the store's order */
	uint64_t known_since;		      /* the store's sequence when they were listed */
	size_t known_locals;		      /* pods of this node then */
	struct rs_reuse *reuse;		      /* of an earlier compile; NULL: nothing */
	struct rs_claimset claimed;	      /* the same, for moves */
	size_t outside;
	char *first_outside;
	struct rs_conditions told; /* about addresses */
};

/* ---- facets.c -------------------------------------------------------------------------------- */

/* c has its atoms and named ports. */
struct rs_classifier *rs_classifier_new(struct rs_cc *c);
void rs_classifier_free(struct rs_classifier *x); /* NULL is legal */

/* The pod's namespace is the one at hand. */
void rs_classifier_enter(struct rs_classifier *x, const struct rs_view *v);
/* The facet of a pod, in a compile. */
uint32_t rs_classifier_facet_of(struct rs_classifier *x, const struct rs_view *v);

/* The facet with these atoms and named ports, both sorted; one more where there is none. */
uint32_t rs_classifier_facet(struct rs_cc *c, const struct rs_u32s *atoms,
			     const struct rs_u64s *named);

/* Whether an atom may match pods of the namespace at hand. */
bool rs_classifier_reaches(const struct rs_classifier *x, uint32_t atom);

/* The facet of a pod as seen now. RS_NONE: one that no compile has seen. */
uint32_t rs_classifier_known_facet(struct rs_classifier *x, const struct rs_view *v);

/* ---- classes.c ------------------------------------------------------------------------------- */

/* A classifier that has seen nobody; c has its atoms and named ports. */
struct rs_classifier *rs_classifier_begin(struct rs_cc *c);
/* Every address has its class: tell the conditions. */
void rs_classifier_done(struct rs_classifier *x);

/* The exact class of these facets, sorted, over a range class; one more where there is none. */
uint32_t rs_classifier_put_class(struct rs_cc *c, uint32_t range, const struct rs_u32s *facets);

/* Classes for the pods that are expected, over the ranges of this node, where they will be: an
 * address may move there without a compile. Nobody has them until then. */
void rs_classifier_expect(struct rs_classifier *x);

/* The exact class of one facet over a range class; RS_NONE when the draft has none. */
uint32_t rs_classifier_class(const struct rs_cc *c, uint32_t range, uint32_t facet);

/* The pod's addresses that count, into ips (room for p->n_ips); false: one does not. */
bool rs_classifier_ips(const struct rs_world *w, const struct rs_pod *p, struct rs_addr *ips,
		       size_t *n);

#endif
