// SPDX-License-Identifier: Apache-2.0
/* wordpool.c - a hash table of counted words; see wordpool.h. */
#include "object/wordpool.h"

#include <stdint.h>
#include <string.h>

#include "base/base.h"
#include "object/keyed_hash.h"

struct word {
	struct word *next; /* of those in one place */
	uint32_t hash;
	uint32_t holders;
	char text[];
};

static struct {
	struct word **v;
	size_t places; /* a power of two */
	size_t n;
} pool;

static struct word **place(uint32_t hash)
{
	return &pool.v[hash & (pool.places - 1)];
}

static void grow(void)
{
	struct word **old = pool.v, *w, *next;
	size_t n = pool.places, i;

	pool.places = n ? n * 2 : 256;
	pool.v = rs_new0(struct word *, pool.places);
	for (i = 0; i < n; i++)
		for (w = old[i]; w; w = next) {
			next = w->next;
			w->next = *place(w->hash);
			*place(w->hash) = w;
		}
	free(old);
}

static struct word *add(const char *s, size_t len, uint32_t hash)
{
	struct word *w = rs_calloc(1, sizeof(*w) + len + 1);

	if (pool.n >= pool.places)
		grow();
	memcpy(w->text, s, len + 1);
	w->hash = hash;
	w->next = *place(hash);
	*place(hash) = w;
	pool.n++;
	return w;
}

char *rs_word_take(const char *s)
{
	struct word *w = NULL;
	uint32_t hash;
	size_t len;

	if (!s)
		return NULL;
	len = strlen(s);
	hash = rs_keyed_hash(s, len);
	if (pool.v)
		for (w = *place(hash); w && (w->hash != hash || strcmp(w->text, s) != 0);)
			w = w->next;
	if (!w)
		w = add(s, len, hash);
	if (++w->holders == 0)
		rs_oom();
	return w->text;
}

void rs_word_drop(const char *word)
{
	struct word *w, **at;

	if (!word)
		return;
	w = (struct word *)((uintptr_t)word - offsetof(struct word, text));
	if (--w->holders)
		return;
	for (at = place(w->hash); *at != w;)
		at = &(*at)->next;
	*at = w->next;
	free(w);
	if (--pool.n)
		return;
	free(pool.v);
	memset(&pool, 0, sizeof(pool));
}
