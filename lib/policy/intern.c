// SPDX-License-Identifier: Apache-2.0
/* intern.c - equal byte strings share one small number; see intern.h. */
#include "policy/intern.h"

#include <string.h>

#include "object/keyed_hash.h"

struct rs_intern_entry {
	UT_hash_handle hh;
	uint32_t id;
	size_t len;
	char key[];
};

uint32_t rs_intern_find(const struct rs_intern *t, const void *key, size_t len)
{
	struct rs_intern_entry *e = NULL;

	HASH_FIND(hh, t->head, key, len, e);
	return e ? e->id : RS_NONE;
}

uint32_t rs_intern_put(struct rs_intern *t, const void *key, size_t len, bool *fresh)
{
	struct rs_intern_entry *e = NULL;

	HASH_FIND(hh, t->head, key, len, e);
	if (fresh)
		*fresh = !e;
	if (e)
		return e->id;
	e = rs_calloc(1, sizeof(*e) + len + 1);
	e->id = (uint32_t)t->by_id.n;
	e->len = len;
	if (len)
		memcpy(e->key, key, len);
	HASH_ADD_KEYPTR(hh, t->head, e->key, len, e);
	*rs_vec_push(&t->by_id) = e;
	return e->id;
}

const void *rs_intern_key(const struct rs_intern *t, uint32_t id, size_t *len)
{
	if (len)
		*len = t->by_id.v[id]->len;
	return t->by_id.v[id]->key;
}

void rs_intern_free(struct rs_intern *t)
{
	size_t i;

	HASH_CLEAR(hh, t->head);
	for (i = 0; i < t->by_id.n; i++)
		free(t->by_id.v[i]);
	rs_vec_free(&t->by_id);
}

void rs_key_u32(struct rs_strbuf *b, uint32_t v)
{
	rs_strbuf_add(b, &v, sizeof(v));
}

void rs_key_str(struct rs_strbuf *b, const char *s)
{
	size_t n = s ? strlen(s) : 0;

	rs_key_u32(b, s ? (uint32_t)n : RS_NONE);
	if (n)
		rs_strbuf_add(b, s, n);
}

struct rs_hash rs_hash_bytes(const void *p, size_t n)
{
	uint64_t v[2];

	rs_keyed_hash128(p, n, v);
	return (struct rs_hash){ v[0], v[1] };
}

int rs_hash_cmp(const void *a, const void *b)
{
	const struct rs_hash *x = a, *y = b;

	if (x->a != y->a)
		return x->a < y->a ? -1 : 1;
	if (x->b != y->b)
		return x->b < y->b ? -1 : 1;
	return 0;
}

static int cmp_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static int cmp_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

void rs_u32s_sort_unique(struct rs_u32s *v)
{
	size_t i, n = 0;

	if (v->n < 2)
		return;
	qsort(v->v, v->n, sizeof(*v->v), cmp_u32);
	for (i = 0; i < v->n; i++)
		if (!n || v->v[n - 1] != v->v[i])
			v->v[n++] = v->v[i];
	v->n = n;
}

uint32_t rs_u32s_find(const struct rs_u32s *v, uint32_t x)
{
	size_t lo = 0, hi = v->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (v->v[mid] < x)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < v->n && v->v[lo] == x ? (uint32_t)lo : RS_NONE;
}

void rs_u64s_sort_unique(struct rs_u64s *v)
{
	size_t i, n = 0;

	if (v->n < 2)
		return;
	qsort(v->v, v->n, sizeof(*v->v), cmp_u64);
	for (i = 0; i < v->n; i++)
		if (!n || v->v[n - 1] != v->v[i])
			v->v[n++] = v->v[i];
	v->n = n;
}
