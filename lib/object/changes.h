/* SPDX-License-Identifier: Apache-2.0 */
/* changes.h - the store's memory of its last changes: a ring that owns the objects that went. */
#ifndef RIPSTOP_OBJECT_CHANGES_H
#define RIPSTOP_OBJECT_CHANGES_H

#include "object/store.h"

struct rs_change;

struct rs_changes { /* zero initialisation keeps nothing, and counts */
	uint64_t sequence;
	uint64_t kept_from;
	struct rs_change *v; /* number i lies at i % RS_STORE_CHANGES; NULL: none are kept */
};

/* Keep what comes from now on. */
void rs_changes_begin(struct rs_changes *c);

/* Something was put (now) or deleted (now is NULL). Takes `was`, which may be NULL. */
void rs_changes_add(struct rs_changes *c, enum rs_kind kind, struct rs_meta *was,
		    const struct rs_meta *now, bool same);
bool rs_changes_since(const struct rs_changes *c, uint64_t since, size_t *n);
struct rs_store_change rs_changes_at(const struct rs_changes *c, uint64_t since, size_t i);
void rs_changes_free(struct rs_changes *c);

#endif
