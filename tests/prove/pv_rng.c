// SPDX-License-Identifier: Apache-2.0
/* pv_rng.c - random numbers that are the same on every machine, and the life of a case. */
#include "tests/prove/prove.h"

#include "base/base.h"

static uint64_t splitmix64(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static uint64_t rotl(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

/* Both numbers go through splitmix64 on their own: neighbouring streams have nothing in common. */
void pv_rng_seed(struct pv_rng *r, uint64_t seed, uint64_t stream)
{
	uint64_t a = seed, b = stream ^ 0x7269707374 /* "ripst" */, state;
	size_t i;

	state = splitmix64(&a);
	state ^= rotl(splitmix64(&b), 29);
	for (i = 0; i < RS_ARRAY_SIZE(r->s); i++)
		r->s[i] = splitmix64(&state);
}

uint64_t pv_rng_next(struct pv_rng *r)
{
	uint64_t result = rotl(r->s[1] * 5, 7) * 9, t = r->s[1] << 17;

	r->s[2] ^= r->s[0];
	r->s[3] ^= r->s[1];
	r->s[1] ^= r->s[2];
	r->s[0] ^= r->s[3];
	r->s[2] ^= t;
	r->s[3] = rotl(r->s[3], 45);
	return result;
}

/* The upper bits, scaled: the bias is below n / 2^32. */
uint32_t pv_below(struct pv_rng *r, uint32_t n)
{
	return (uint32_t)(((pv_rng_next(r) >> 32) * n) >> 32);
}

bool pv_chance(struct pv_rng *r, uint32_t percent)
{
	return pv_below(r, 100) < percent;
}

void pv_case_free(struct pv_case *c)
{
	json_object_put(c->root);
	c->root = NULL;
}

struct pv_case pv_case_copy(const struct pv_case *c)
{
	struct pv_case copy = { 0 };

	if (json_object_deep_copy(c->root, &copy.root, NULL) < 0)
		rs_oom();
	return copy;
}
