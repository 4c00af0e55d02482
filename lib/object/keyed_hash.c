// SPDX-License-Identifier: Apache-2.0
/* keyed_hash.c - SipHash-1-3 (Aumasson, Bernstein) with a key of this process; see keyed_hash.h. */
#include "object/keyed_hash.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static uint64_t key[2];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void draw_key(void)
{
	/* Up to 256 bytes arrive whole; without a random key we must not go on. */
	if (getrandom(key, sizeof(key), 0) != sizeof(key))
		abort();
}

static uint64_t rotate(uint64_t x, unsigned int n)
{
	return x << n | x >> (64 - n);
}

static inline __attribute__((always_inline)) void mix_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

static inline void absorb(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	mix_round(v);
	v[0] ^= word;
}

static void absorb_all(uint64_t v[4], const void *data, size_t n)
{
	const unsigned char *p = data;
	uint64_t word, last = (uint64_t)n << 56;
	size_t left = n, i;

	pthread_once(&once, draw_key);
	v[0] = key[0] ^ 0x736f6d6570736575ULL;
	v[1] = key[1] ^ 0x646f72616e646f6dULL;
	v[2] = key[0] ^ 0x6c7967656e657261ULL;
	v[3] = key[1] ^ 0x7465646279746573ULL;
	for (; left >= sizeof(word); left -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		absorb(v, word);
	}
	for (i = 0; i < left; i++)
		last |= (uint64_t)p[i] << (8 * i);
	absorb(v, last);
}

static uint64_t squeeze(uint64_t v[4])
{
	for (int i = 0; i < 3; i++)
		mix_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint32_t rs_keyed_hash(const void *data, size_t n)
{
	uint64_t v[4], word;

	absorb_all(v, data, n);
	v[2] ^= 0xff;
	word = squeeze(v);
	return (uint32_t)(word ^ word >> 32);
}

void rs_keyed_hash128(const void *data, size_t n, uint64_t out[2])
{
	uint64_t v[4];

	absorb_all(v, data, n);
	v[2] ^= 0xee;
	out[0] = squeeze(v);
	v[1] ^= 0xdd;
	out[1] = squeeze(v);
}
