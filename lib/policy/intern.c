// SPDX-License-Identifier: Apache-2.0
/* intern.c - equal byte strings share one small number; see intern.h. */
#include "policy/intern.h"

#include <string.h>

#include "object/keyed_hash.h"

#define CHUNK_MIN 256u
#define CHUNK_MAX (64u * 1024)

/* Keys lie in pieces of memory that grow with the table and never move. */
struct rs_intern_chunk {
	struct rs_intern_chunk *next;
	size_t used, size;
	_Alignas(8) char data[];
};

static char *room(struct rs_intern *t, size_t len)
{
	struct rs_intern_chunk *c = t->chunks;
	size_t size = c ? c->size * 2 : CHUNK_MIN;
	char *at;

	len = (len + 7) & ~(size_t)7;
	if (!c || c->size - c->used < len) {
		size = size > CHUNK_MAX ? CHUNK_MAX : size;
		size = size < len ? len : size;
		c = rs_reallocarray(NULL, 1, sizeof(*c) + size);
		*c = (struct rs_intern_chunk){ .next = t->chunks, .size = size };
		t->chunks = c;
	}
	at = c->data + c->used;
	c->used += len;
	return at;
}

/* Where the key's number is, or would be. */
static size_t place(const struct rs_intern *t, uint32_t hash, const void *key, size_t len)
{
	size_t at = hash & (t->places - 1);

	for (; t->index[at]; at = (at + 1) & (t->places - 1)) {
		const struct rs_intern_entry *e = &t->by_id.v[t->index[at] - 1];

		if (e->hash == hash && e->len == len && (!len || !memcmp(e->key, key, len)))
			break;
	}
	return at;
}

static void grow(struct rs_intern *t)
{
	size_t i, at;

	t->places = t->places ? t->places * 2 : 16;
	free(t->index);
	t->index = rs_new0(uint32_t, t->places);
	for (i = 0; i < t->by_id.n; i++) {
		at = t->by_id.v[i].hash & (t->places - 1);
		while (t->index[at])
			at = (at + 1) & (t->places - 1);
		t->index[at] = (uint32_t)i + 1;
	}
}

static uint32_t find(const struct rs_intern *t, const void *key, size_t len, uint32_t hash)
{
	uint32_t number = t->index[place(t, hash, key, len)];

	return number ? number - 1 : RS_NONE;
}

static uint32_t put(struct rs_intern *t, const void *key, size_t len, uint32_t hash, bool *fresh)
{
	struct rs_intern_entry *e;
	char *copy;
	size_t at;

	if (t->by_id.n >= t->places / 4 * 3)
		grow(t);
	at = place(t, hash, key, len);
	if (fresh)
		*fresh = !t->index[at];
	if (t->index[at])
		return t->index[at] - 1;
	/* RS_NONE is no number, and neither is what stands for it in the index. */
	if (t->by_id.n >= RS_NONE - 1 || len > UINT32_MAX)
		rs_oom();
	copy = room(t, len + 1);
	if (len)
		memcpy(copy, key, len);
	copy[len] = '\0';
	e = rs_vec_push(&t->by_id);
	*e = (struct rs_intern_entry){ .key = copy, .len = (uint32_t)len, .hash = hash };
	t->index[at] = (uint32_t)t->by_id.n;
	return t->index[at] - 1;
}

uint32_t rs_intern_find(const struct rs_intern *t, const void *key, size_t len)
{
	return t->places ? find(t, key, len, rs_keyed_hash(key, len)) : RS_NONE;
}

uint32_t rs_intern_put(struct rs_intern *t, const void *key, size_t len, bool *fresh)
{
	return put(t, key, len, rs_keyed_hash(key, len), fresh);
}

uint32_t rs_intern_find_digest(const struct rs_intern *t, const struct rs_hash *key)
{
	return t->places ? find(t, key, sizeof(*key), (uint32_t)key->a) : RS_NONE;
}

uint32_t rs_intern_put_digest(struct rs_intern *t, const struct rs_hash *key, bool *fresh)
{
	return put(t, key, sizeof(*key), (uint32_t)key->a, fresh);
}

/* Numbers of one table follow each other. */
uint32_t rs_intern_find_number(const struct rs_intern *t, uint32_t key)
{
	return t->places ? find(t, &key, sizeof(key), key) : RS_NONE;
}

uint32_t rs_intern_put_number(struct rs_intern *t, uint32_t key, bool *fresh)
{
	return put(t, &key, sizeof(key), key, fresh);
}

const void *rs_intern_key(const struct rs_intern *t, uint32_t id, size_t *len)
{
	if (len)
		*len = t->by_id.v[id].len;
	return t->by_id.v[id].key;
}

void rs_intern_free(struct rs_intern *t)
{
	struct rs_intern_chunk *c, *next;

	for (c = t->chunks; c; c = next) {
		next = c->next;
		free(c);
	}
	t->chunks = NULL;
	free(t->index);
	t->index = NULL;
	t->places = 0;
	rs_vec_free(&t->by_id);
}

void rs_key_str(struct rs_strbuf *b, const char *s)
{
	size_t n = s ? strlen(s) : 0;

	rs_key_u32(b, s ? (uint32_t)n : RS_NONE);
	if (n)
		rs_key_bytes(b, s, n);
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

	for (i = 1; i < v->n && v->v[i - 1] < v->v[i];)
		i++;
	if (i >= v->n) /* most are */
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

	for (i = 1; i < v->n && v->v[i - 1] < v->v[i];)
		i++;
	if (i >= v->n)
		return;
	qsort(v->v, v->n, sizeof(*v->v), cmp_u64);
	for (i = 0; i < v->n; i++)
		if (!n || v->v[n - 1] != v->v[i])
			v->v[n++] = v->v[i];
	v->n = n;
}
