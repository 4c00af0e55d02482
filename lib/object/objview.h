/* SPDX-License-Identifier: Apache-2.0 */
/*
 * objview.h - a store's objects of one kind, sorted by namespace and name: made when somebody asks,
 * and from then on kept as long as a few objects change between one question and the next.
 */
#ifndef RIPSTOP_OBJECT_OBJVIEW_H
#define RIPSTOP_OBJECT_OBJVIEW_H

#include <ripstop/object.h>

struct rs_objview { /* zero initialisation is one that has to be made */
	const void **v;
	size_t n, cap;
	bool fresh;
	unsigned int edits; /* what changes since somebody asked have cost */
};

/* Room for n objects, which the caller puts into v in any order; then sort. */
void rs_objview_begin(struct rs_objview *view, size_t n);
void rs_objview_sort(struct rs_objview *view);

/* now took the place of was (NULL: of nothing); both have one name. was is going. */
void rs_objview_put(struct rs_objview *view, const struct rs_meta *was, const struct rs_meta *now);
void rs_objview_gone(struct rs_objview *view, const struct rs_meta *was);

void rs_objview_free(struct rs_objview *view);

#endif
