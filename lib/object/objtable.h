/* SPDX-License-Identifier: Apache-2.0 */
/*
 * objtable.h - objects of one kind by namespace and name, some 25 bytes for each: an array of them,
 * and a table of places in it. The names are read where the objects have them.
 */
#ifndef RIPSTOP_OBJECT_OBJTABLE_H
#define RIPSTOP_OBJECT_OBJTABLE_H

#include <ripstop/object.h>

struct rs_objslot {
	struct rs_meta *object; /* every kind begins with its metadata */
	uint32_t hash;
	uint32_t mark; /* of the list that last held it; see rs_store_sweep() */
};

struct rs_objtable { /* zero initialisation is an empty one */
	struct rs_objslot *v;
	size_t n, cap;
	uint32_t *index; /* place in v, plus one; 0: free */
	size_t places;	 /* of index: a power of two */
};

/* NULL: it is not there. A slot lies where it is until the next call that adds or removes one. */
struct rs_objslot *rs_objtable_find(const struct rs_objtable *t, const char *ns, const char *name);
/* A slot for an object which is not there yet. */
struct rs_objslot *rs_objtable_add(struct rs_objtable *t, struct rs_meta *o);
/* The last slot takes the place of this one. The object is the caller's. */
void rs_objtable_remove(struct rs_objtable *t, struct rs_objslot *slot);
/* Not the objects. */
void rs_objtable_free(struct rs_objtable *t);

#endif
