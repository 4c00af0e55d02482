/* SPDX-License-Identifier: Apache-2.0 */
/* store.h - what decoders and sources may do to a store beyond <ripstop/object.h>. */
#ifndef RIPSTOP_OBJECT_STORE_H
#define RIPSTOP_OBJECT_STORE_H

#include <ripstop/object.h>

/* The store's own copy of a file name; the same name gives the same pointer. */
const char *rs_store_file(struct rs_store *s, const char *name);

/* Put o (by kind) as rs_store_put_*() does. */
bool rs_store_put(struct rs_store *s, enum rs_kind kind, void *o);

/* What the store holds under this name, NULL when nothing. */
const struct rs_meta *rs_store_find(const struct rs_store *s, enum rs_kind kind, const char *ns,
				    const char *name);

/* What every object of a kind has, sorted by (namespace, name); valid until the next change. */
const struct rs_meta *const *rs_store_metas(const struct rs_store *s, enum rs_kind kind, size_t *n);

/* Free an object of that kind; NULL is legal where the kind's own free allows it. */
void rs_object_free(enum rs_kind kind, void *o);

/* Count an object that was not read; one warning for each (kind, apiVersion), kept up to date. */
void rs_store_skip(struct rs_store *s, const char *kind, const char *api_version);

/* Whether all that Ripstop reads is the same in both (warnings included, positions not). */
bool rs_store_equal(const struct rs_store *a, const struct rs_store *b);

/*
 * A new list of a kind replaces the old one in one step: put a mark on what the list repeats
 * unchanged, move what is new or differs out of a scratch store (which keeps nothing of that kind;
 * what is moved gets the mark), then sweep what has another mark. move and sweep return whether
 * anything that Ripstop reads changed; mark returns whether the object is there.
 */
bool rs_store_mark(struct rs_store *s, enum rs_kind kind, const char *ns, const char *name,
		   uint32_t mark);
bool rs_store_marked(const struct rs_store *s, enum rs_kind kind, const char *ns, const char *name,
		     uint32_t mark);
bool rs_store_move(struct rs_store *s, struct rs_store *from, enum rs_kind kind, uint32_t mark);
bool rs_store_sweep(struct rs_store *s, enum rs_kind kind, uint32_t mark);

/*
 * What was done to a store since a moment, for those who keep something that they made of it. A
 * moment is (serial, sequence): serials of stores are never given out twice. Kept from the first
 * time that all kinds are synced, up to a bound.
 */
struct rs_store_change {
	enum rs_kind kind;
	const char *ns; /* NULL for cluster-scoped kinds */
	const char *name;
	const struct rs_meta *was; /* what was there before; NULL: nothing */
	bool same;		   /* an equal object took its place */
};

#define RS_STORE_CHANGES 1024u

uint64_t rs_store_serial(const struct rs_store *s);
/* Goes up with every put (an equal object's too: pointers to the old one are dead) and delete. */
uint64_t rs_store_sequence(const struct rs_store *s);
/* Changes since that sequence in their order, valid until the next change: *n of them, item i by
 * rs_store_change(). false when they are not kept so far back. */
bool rs_store_changes(const struct rs_store *s, uint64_t since, size_t *n);
struct rs_store_change rs_store_change(const struct rs_store *s, uint64_t since, size_t i);

/* Let s count on from an older store which it replaces. */
void rs_store_follow(struct rs_store *s, const struct rs_store *older, bool changed);

#endif
