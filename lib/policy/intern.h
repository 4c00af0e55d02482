/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intern.h - equal byte strings share one small number: 0, 1, 2 ... in the order of first sight.
 *
 * Zero initialisation is an empty table. Keys are copied; a key pointer stays valid until free.
 */
#ifndef RIPSTOP_POLICY_INTERN_H
#define RIPSTOP_POLICY_INTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/strbuf.h"
#include "base/vec.h"

#define RS_NONE UINT32_MAX

struct rs_intern_entry {
	const void *key;
	uint32_t len;
	uint32_t hash;
};

struct rs_intern_chunk;

struct rs_intern {
	struct rs_vec(struct rs_intern_entry) by_id;
	uint32_t *index; /* open addressing: a number plus one; 0: free */
	size_t places;	 /* of index: a power of two */
	struct rs_intern_chunk *chunks;
};

struct rs_u32s rs_vec(uint32_t);
struct rs_u64s rs_vec(uint64_t);

/* A 128-bit digest with a key of this process: what must stay equal over compiles, when small
 * numbers do not. */
struct rs_hash {
	uint64_t a, b;
};

/* The number of a key, added when it is new (*fresh, may be NULL). */
uint32_t rs_intern_put(struct rs_intern *t, const void *key, size_t len, bool *fresh);
/* RS_NONE when it was never put. */
uint32_t rs_intern_find(const struct rs_intern *t, const void *key, size_t len);
/*
 * The same for keys that are digests, or numbers that we give out ourselves: nobody outside can
 * choose them, so they need not be hashed with a key. A table has keys of one kind alone.
 */
uint32_t rs_intern_put_digest(struct rs_intern *t, const struct rs_hash *key, bool *fresh);
uint32_t rs_intern_find_digest(const struct rs_intern *t, const struct rs_hash *key);
uint32_t rs_intern_put_number(struct rs_intern *t, uint32_t key, bool *fresh);
uint32_t rs_intern_find_number(const struct rs_intern *t, uint32_t key);
/* Behind its bytes lies a NUL, which *len (may be NULL) does not count. */
const void *rs_intern_key(const struct rs_intern *t, uint32_t id, size_t *len);
void rs_intern_free(struct rs_intern *t);

/* Append n bytes, a number or a length-prefixed string: the parts of a key that cannot run into
 * each other, where n is always the same. Inline, for there are dozens in a key. */
static inline void rs_key_bytes(struct rs_strbuf *b, const void *p, size_t n)
{
	if (b->cap - b->len <= n) {
		rs_strbuf_add(b, p, n);
		return;
	}
	memcpy(b->s + b->len, p, n);
	b->len += n;
	b->s[b->len] = '\0';
}

static inline void rs_key_u32(struct rs_strbuf *b, uint32_t v)
{
	rs_key_bytes(b, &v, sizeof(v));
}

void rs_key_str(struct rs_strbuf *b, const char *s);

struct rs_hash rs_hash_bytes(const void *p, size_t n);
int rs_hash_cmp(const void *a, const void *b);

void rs_u32s_sort_unique(struct rs_u32s *v);
/* Where x is in a sorted v; RS_NONE when it is not. */
uint32_t rs_u32s_find(const struct rs_u32s *v, uint32_t x);
void rs_u64s_sort_unique(struct rs_u64s *v);

#endif
