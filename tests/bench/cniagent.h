/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cniagent.h - the real agent for the measured plugin: nft dataplane, a folder with the world W(P, N) and the policies
 * of pairw.h, which select every pod that is added. It runs in the namespaces that the caller is in, and dies with the
 * caller.
 */
#ifndef RIPSTOP_TESTS_BENCH_CNIAGENT_H
#define RIPSTOP_TESTS_BENCH_CNIAGENT_H

#include <stddef.h>

#define CNIAGENT_RANGE "10.128.1.0/24"
#define CNIAGENT_ADDRESSES 254u
/* Seconds that an address is not given out again; 30 on a real node, which is not emptied every few seconds. */
#define CNIAGENT_REST 2
#define CNIAGENT_CONFIG                                                                   \
	"{\"cniVersion\":\"1.0.0\",\"name\":\"bench\",\"type\":\"ripstop\",\"mtu\":1500," \
	"\"ipam\":{\"type\":\"ripstop\",\"ranges\":[\"" CNIAGENT_RANGE "\"],\"restSeconds\":2}}"

/* build: where its program is. */
void cniagent_init(const char *build);

/* NULL, or why it does not run; caller frees. */
char *cniagent_start(size_t policies, size_t pods);

/* Bind n pods to its node, as a scheduler does some time before their ADDs: NAME-0 and so on in the pair's namespace
 * with these labels ("key:value,..."), instead of those of that name before. Returns when the agent has had time for it.
 * NULL: all is well, or why not; caller frees. */
char *cniagent_bind(const char *name, const char *labels, size_t n);

/* Before n addresses are asked for: wait until enough have rested since then. */
void cniagent_let_rest(size_t n, double emptied);

#endif
