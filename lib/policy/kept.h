/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kept.h - what a compile leaves behind, so that what changes afterwards costs what it is, not what
 * the world is: for moves (moves.h), for the next compile (reclass.h, reuse.h).
 *
 * Kept is the classifier (selectors in use, facets, classes and their numbers, how many claim an
 * address) with the store's moment, and of this node's pods what classes hang on. It holds no
 * pointer into the store that is ever followed.
 */
#ifndef RIPSTOP_POLICY_KEPT_H
#define RIPSTOP_POLICY_KEPT_H

#include "policy/compile.h"

/* A pod of this node as it was compiled. */
struct rs_kept_local {
	char *ns, *name;
	struct rs_addr *ips;
	size_t n_ips;
	struct rs_hash hash; /* of all that is known of it */
};

/* A pod that was expected (rs_world.expected). */
struct rs_kept_expected {
	char *ns, *name;
	struct rs_hash hash;	       /* of what decides its groups and its facet */
	uint32_t group[RS_DIRECTIONS]; /* numbers in force */
};

struct rs_kept {
	struct rs_cc *c;
	uint32_t *class_no;	      /* of the draft's classes */
	uint64_t serial, sequence;    /* of the store, moves included */
	struct rs_hash world;	      /* of what is neither in the store nor a pod */
	struct rs_kept_local *locals; /* in the world's order */
	size_t n_locals;
	struct rs_kept_expected *expected; /* by namespace, name */
	size_t n_expected;
	size_t moved; /* addresses, since the compile */
	bool open;    /* its claims are not those of what is committed */
};

/* Takes c (whose world and conditions are not looked at again) and the draft's class numbers;
 * group_no are those of its groups. */
struct rs_kept *rs_kept_new(struct rs_cc *c, uint32_t *class_no, const uint32_t *group_no);
void rs_kept_free(struct rs_kept *k); /* NULL is legal */

static inline void rs_kept_drop(struct rs_kept **k)
{
	rs_kept_free(*k);
	*k = NULL;
}

/* The same store, of which all changes since then are known (*n of them), and the same ranges. */
bool rs_kept_follows(const struct rs_kept *k, const struct rs_world *w, size_t *n);

/*
 * Pods of this node that came since and were expected, by their place in w's locals; room for
 * RS_KEPT_JOINS. False: there are more, or not only such changes of this node's pods and of those
 * that are expected.
 */
#define RS_KEPT_JOINS 256u

struct rs_kept_join {
	size_t local;	 /* of w->locals */
	size_t expected; /* of k->expected */
};

bool rs_kept_joins(const struct rs_kept *k, const struct rs_world *w, struct rs_kept_join *joins,
		   size_t *n);
/* They have. */
void rs_kept_joined(struct rs_kept *k, const struct rs_world *w, const struct rs_kept_join *joins,
		    size_t n);

/* The buffer's content is lost; one for many pods saves what growing one for each would cost. */
struct rs_hash rs_kept_local_hash(const struct rs_local_pod *p, struct rs_strbuf *b);

/* What was compiled, for a later compile to look at, and the store's sequence when its pods were;
 * NULL: it was another store. */
const struct rs_cc *rs_kept_cc(const struct rs_kept *k, const struct rs_store *s, uint64_t *since);

#endif
