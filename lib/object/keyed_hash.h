/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyed_hash.h - uthash with a hash whose key is drawn at random in every process: names of objects
 * come from outside and must not be choosable so that they all fall into one bucket. Include this
 * instead of <uthash.h>.
 */
#ifndef RIPSTOP_OBJECT_KEYED_HASH_H
#define RIPSTOP_OBJECT_KEYED_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"

/* SipHash-1-3 of n bytes. */
uint32_t rs_keyed_hash(const void *data, size_t n);
/* Wide enough to stand for the bytes themselves: nobody outside can make two that are equal. */
void rs_keyed_hash128(const void *data, size_t n, uint64_t out[2]);

#define HASH_FUNCTION(key, len, hash) ((hash) = rs_keyed_hash((key), (len)))

#include <uthash.h>

#undef uthash_fatal
#define uthash_fatal(msg) rs_oom()

#endif
