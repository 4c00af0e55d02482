// SPDX-License-Identifier: Apache-2.0
/* objtable.c - open addressing over an array without gaps; see objtable.h. */
#include "object/objtable.h"

#include <string.h>

#include "base/base.h"
#include "object/keyed_hash.h"

/* Each part for itself, so that they need not be joined; the key is nobody's to know. */
static uint32_t hash_of(const char *ns, const char *name)
{
	uint32_t h = ns ? rs_keyed_hash(ns, strlen(ns)) : 0;

	return h * 31 + rs_keyed_hash(name, strlen(name));
}

static bool is_named(const struct rs_meta *o, const char *ns, const char *name)
{
	return !strcmp(o->name, name) && !strcmp(o->ns ? o->ns : "", ns ? ns : "");
}

static size_t next(const struct rs_objtable *t, size_t at)
{
	return (at + 1) & (t->places - 1);
}

static size_t home(const struct rs_objtable *t, size_t slot)
{
	return t->v[slot].hash & (t->places - 1);
}

struct rs_objslot *rs_objtable_find(const struct rs_objtable *t, const char *ns, const char *name)
{
	uint32_t hash = hash_of(ns, name);
	size_t at;

	if (!t->places)
		return NULL;
	for (at = hash & (t->places - 1); t->index[at]; at = next(t, at)) {
		struct rs_objslot *s = &t->v[t->index[at] - 1];

		if (s->hash == hash && is_named(s->object, ns, name))
			return s;
	}
	return NULL;
}

static void put_index(struct rs_objtable *t, size_t slot)
{
	size_t at = home(t, slot);

	while (t->index[at])
		at = next(t, at);
	t->index[at] = (uint32_t)slot + 1;
}

static void grow(struct rs_objtable *t)
{
	size_t i;

	t->places = t->places ? t->places * 2 : 16;
	free(t->index);
	t->index = rs_new0(uint32_t, t->places);
	for (i = 0; i < t->n; i++)
		put_index(t, i);
}

struct rs_objslot *rs_objtable_add(struct rs_objtable *t, struct rs_meta *o)
{
	if (t->n >= UINT32_MAX - 1)
		rs_oom();
	if (t->n >= t->places / 4 * 3)
		grow(t);
	t->v = rs_vec_grow_(t->v, t->n, &t->cap, sizeof(*t->v));
	t->v[t->n] = (struct rs_objslot){ .object = o, .hash = hash_of(o->ns, o->name) };
	put_index(t, t->n);
	return &t->v[t->n++];
}

/* Where the index says `slot`. */
static size_t index_of(const struct rs_objtable *t, size_t slot)
{
	size_t at = home(t, slot);

	while (t->index[at] != slot + 1)
		at = next(t, at);
	return at;
}

/* Whatever was pushed past the gap moves back. */
static void close_gap(struct rs_objtable *t, size_t gap)
{
	size_t mask = t->places - 1, at = gap;

	for (;;) {
		t->index[gap] = 0;
		do {
			at = next(t, at);
			if (!t->index[at])
				return;
		} while (((at - home(t, t->index[at] - 1)) & mask) < ((at - gap) & mask));
		t->index[gap] = t->index[at];
		gap = at;
	}
}

void rs_objtable_remove(struct rs_objtable *t, struct rs_objslot *slot)
{
	size_t i = (size_t)(slot - t->v), last = t->n - 1;

	close_gap(t, index_of(t, i));
	if (i != last) {
		t->index[index_of(t, last)] = (uint32_t)i + 1;
		t->v[i] = t->v[last];
	}
	t->n--;
}

void rs_objtable_free(struct rs_objtable *t)
{
	free(t->v);
	free(t->index);
	memset(t, 0, sizeof(*t));
}
