/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * bpf_near.h - the kernel's memory, read where it lies: a load an access, and no call. On most
 * machines a call costs more than what the helper does, as returns are guarded since Spectre.
 *
 * A load from an address that is not there gives 0. Kernels before 6.2 cannot: there `near` is
 * false at load time, and the readers go by helpers.
 */
#ifndef RIPSTOP_BPF_NEAR_H
#define RIPSTOP_BPF_NEAR_H

#include "bpf/bpf_kernel.h"

extern void *bpf_rdonly_cast(const void *at, __u32 type) __ksym __weak;
extern void *bpf_cast_to_kern_ctx(void *ctx) __ksym __weak;

/* Whatever lies there: of all kernel types this one is in every kernel, and of bytes. */
struct in6_addr {
	union {
		__u8 u6_addr8[16];
	} in6_u;
} RS_RELOCATED;

#define RS_IS_NEAR (bpf_rdonly_cast && bpf_cast_to_kern_ctx)

#define RS_NEAR(type, at)                                                    \
	(*(const type *)&((const struct in6_addr *)bpf_rdonly_cast(          \
				  (const void *)(unsigned long)(at),         \
				  bpf_core_type_id_kernel(struct in6_addr))) \
		  ->in6_u.u6_addr8[0])

/* len is known when it is compiled. */
static __always_inline void rs_near_copy(__u64 at, void *to, __u32 len)
{
	__u8 *b = to;
	__u32 i = 0;

	for (; i + 4 <= len; i += 4)
		*(__u32 *)(b + i) = RS_NEAR(__u32, at + i);
	for (; i + 2 <= len; i += 2)
		*(__u16 *)(b + i) = RS_NEAR(__u16, at + i);
	for (; i < len; i++)
		b[i] = RS_NEAR(__u8, at + i);
}

#endif
