// SPDX-License-Identifier: Apache-2.0
/* claimset.c - a table of counted digests with open addressing; see claimset.h. */
#include "policy/claimset.h"

#include <string.h>

#include "base/base.h"
#include "policy/intern.h"

#define COUNT 15ULL

static uint64_t digest(const struct rs_addr *a)
{
	uint64_t d = rs_hash_bytes(a, sizeof(*a)).a & ~COUNT;

	return d ? d : ~COUNT;
}

/* Where the digest is, or would be. */
static size_t place(const struct rs_claimset *s, uint64_t d)
{
	size_t i = (size_t)(d >> 8) & (s->cap - 1);

	while (s->v[i] && (s->v[i] & ~COUNT) != d)
		i = (i + 1) & (s->cap - 1);
	return i;
}

static void grow(struct rs_claimset *s)
{
	struct rs_claimset to = { .cap = s->cap ? s->cap * 2 : 256, .n = s->n };
	size_t i;

	to.v = rs_new0(uint64_t, to.cap);
	for (i = 0; i < s->cap; i++)
		if (s->v[i])
			to.v[place(&to, s->v[i] & ~COUNT)] = s->v[i];
	free(s->v);
	*s = to;
}

unsigned int rs_claimset_add(struct rs_claimset *s, const struct rs_addr *a)
{
	uint64_t d = digest(a);
	size_t i;

	if (s->n >= s->cap / 4 * 3)
		grow(s);
	i = place(s, d);
	if (!s->v[i]) {
		s->v[i] = d;
		s->n++;
	}
	if ((s->v[i] & COUNT) < RS_CLAIMS_MANY)
		s->v[i]++;
	return (unsigned int)(s->v[i] & COUNT);
}

/* Close the gap at i: whatever was pushed past it moves back. */
static void close_gap(struct rs_claimset *s, size_t i)
{
	size_t mask = s->cap - 1, k = i;

	for (;;) {
		size_t home;

		s->v[i] = 0;
		do {
			k = (k + 1) & mask;
			if (!s->v[k])
				return;
			home = (size_t)(s->v[k] >> 8) & mask;
		} while (((k - home) & mask) < ((k - i) & mask));
		s->v[i] = s->v[k];
		i = k;
	}
}

unsigned int rs_claimset_remove(struct rs_claimset *s, const struct rs_addr *a)
{
	size_t i;
	unsigned int n;

	if (!s->cap)
		return 0;
	i = place(s, digest(a));
	n = (unsigned int)(s->v[i] & COUNT);
	if (!s->v[i] || n == RS_CLAIMS_MANY)
		return n;
	s->v[i]--;
	if (--n)
		return n;
	close_gap(s, i);
	s->n--;
	return 0;
}

unsigned int rs_claimset_count(const struct rs_claimset *s, const struct rs_addr *a)
{
	return s->cap ? (unsigned int)(s->v[place(s, digest(a))] & COUNT) : 0;
}

void rs_claimset_free(struct rs_claimset *s)
{
	free(s->v);
	memset(s, 0, sizeof(*s));
}
