/* SPDX-License-Identifier: Apache-2.0 */
/* ebpf_bed.h - what the files of ebpf_kernel share, beside nft_check.h. */
#ifndef RIPSTOP_TESTS_NETNS_EBPF_BED_H
#define RIPSTOP_TESTS_NETNS_EBPF_BED_H

#include <stdbool.h>

#define EBPF_DIR "/sys/fs/bpf/bed"

/* A bpffs that only this process and its children see. */
bool ebpf_own_bpffs(void);
/* Open the eBPF dataplane from now on; behind the default configuration. */
void ebpf_use(void);

/* ebpf_state.c: the maps between two states, commits that fail or were never finished, damage. */
void test_unseen(void);
void test_unfinished(void);
void test_full(void);
void test_lists(void);
void test_moves(void);
void test_damage(void);
void test_pins(void);
void test_replaced(void);
void test_other_node(void);

/* ebpf_counts.c: packets and bytes of rules. */
void test_counts(void);

/* ebpf_sources.c: what the guards remember. */
void test_sources(void);

/*
 * ebpf_stand.c: programs at a device of the node, as others see, put and take them away; by links
 * (tcx), or by clsact filters where cfg.bpf_clsact or the kernel wants it so.
 */
char *stand_programs(const char *dev); /* in their order; caller frees */
void stand_detach(const char *dev);    /* ours at its ingress */
void stand_foreign(const char *dev);   /* one that has nothing to say */
void stand_no_room(const char *dev);   /* so many of them that ours has no place */
void stand_clear(const char *dev);     /* take them away */
bool stand_gone(const char *dev);      /* ours are, soon */
bool stand_only_foreign(const char *dev);

/* ebpf_tc.c: programs at devices; what a pod sends that is isolated for egress. */
void test_devices(void);
void test_way_out(void);

#endif
