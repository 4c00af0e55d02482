// SPDX-License-Identifier: Apache-2.0
/* changes.c - a ring of the last changes of a store; see changes.h. */
#include "object/changes.h"

#include <string.h>

#include "base/base.h"

/* The object that went, or the name of the one that came. */
struct rs_change {
	enum rs_kind kind;
	bool same;
	struct rs_meta *was;
	char *ns, *name; /* only without `was` */
};

static void clear(struct rs_change *e)
{
	if (e->was)
		rs_object_free(e->kind, e->was);
	free(e->ns);
	free(e->name);
	memset(e, 0, sizeof(*e));
}

void rs_changes_begin(struct rs_changes *c)
{
	if (c->v)
		return;
	c->v = rs_new0(struct rs_change, RS_STORE_CHANGES);
	c->kept_from = c->sequence;
}

void rs_changes_add(struct rs_changes *c, enum rs_kind kind, struct rs_meta *was,
		    const struct rs_meta *now, bool same)
{
	struct rs_change *e;

	if (!c->v) {
		c->sequence++;
		if (was)
			rs_object_free(kind, was);
		return;
	}
	e = &c->v[c->sequence++ % RS_STORE_CHANGES];
	clear(e);
	*e = (struct rs_change){ .kind = kind, .same = same, .was = was };
	if (!was && now) {
		e->ns = now->ns ? rs_strdup(now->ns) : NULL;
		e->name = rs_strdup(now->name);
	}
	if (c->sequence - c->kept_from > RS_STORE_CHANGES)
		c->kept_from = c->sequence - RS_STORE_CHANGES;
}

void rs_changes_free(struct rs_changes *c)
{
	size_t i;

	for (i = 0; c->v && i < RS_STORE_CHANGES; i++)
		clear(&c->v[i]);
	free(c->v);
	memset(c, 0, sizeof(*c));
}

bool rs_changes_since(const struct rs_changes *c, uint64_t since, size_t *n)
{
	*n = 0;
	if (!c->v || since < c->kept_from || since > c->sequence)
		return false;
	*n = (size_t)(c->sequence - since);
	return true;
}

struct rs_store_change rs_changes_at(const struct rs_changes *c, uint64_t since, size_t i)
{
	const struct rs_change *e = &c->v[(since + i) % RS_STORE_CHANGES];

	return (struct rs_store_change){
		.kind = e->kind,
		.ns = e->was ? e->was->ns : e->ns,
		.name = e->was ? e->was->name : e->name,
		.was = e->was,
		.same = e->same,
	};
}
