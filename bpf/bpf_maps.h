/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * bpf_maps.h - the maps. Their shapes are the ABI of <ripstop/bpfabi.h>; sizes are upper bounds,
 * which user space may lower before it loads.
 *
 * No hash is preallocated: of 100,000 possible addresses a node uses a few thousand.
 */
#ifndef RIPSTOP_BPF_MAPS_H
#define RIPSTOP_BPF_MAPS_H

#include "bpf/bpf_kernel.h"

#include <ripstop/bpfabi.h>

#define RS_MAP(name, kind, key_t, value_t, most, bits) \
	struct {                                       \
		__uint(type, kind);                    \
		__type(key, key_t);                    \
		__type(value, value_t);                \
		__uint(max_entries, most);             \
		__uint(map_flags, bits);               \
	} name SEC(".maps")

RS_MAP(rs_cfg, BPF_MAP_TYPE_ARRAY, __u32, struct rs_bpf_cfg, 1, BPF_F_MMAPABLE);

RS_MAP(rs_ends, BPF_MAP_TYPE_HASH, struct rs_bpf_addr, struct rs_bpf_end_slots, 262144,
       BPF_F_NO_PREALLOC);
RS_MAP(rs_ranges, BPF_MAP_TYPE_LPM_TRIE, struct rs_bpf_prefix, struct rs_bpf_num_slots, 131072,
       BPF_F_NO_PREALLOC);
RS_MAP(rs_cells, BPF_MAP_TYPE_HASH, struct rs_bpf_cell, struct rs_bpf_cell_slots, 262144,
       BPF_F_NO_PREALLOC);
RS_MAP(rs_runs, BPF_MAP_TYPE_HASH, struct rs_bpf_runs_key, struct rs_bpf_runs_slots, 131072,
       BPF_F_NO_PREALLOC);
RS_MAP(rs_ports, BPF_MAP_TYPE_LPM_TRIE, struct rs_bpf_port, struct rs_bpf_num_slots, 262144,
       BPF_F_NO_PREALLOC);
RS_MAP(rs_links, BPF_MAP_TYPE_HASH, __u32, struct rs_bpf_link_slots, 4096, BPF_F_NO_PREALLOC);
RS_MAP(rs_own, BPF_MAP_TYPE_LPM_TRIE, struct rs_bpf_prefix, struct rs_bpf_num_slots, 8192,
       BPF_F_NO_PREALLOC);

RS_MAP(rs_whys, BPF_MAP_TYPE_LPM_TRIE, struct rs_bpf_port, struct rs_bpf_num_slots, RS_BPF_WHYS,
       BPF_F_NO_PREALLOC);

RS_MAP(rs_hits, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct rs_bpf_count, RS_BPF_RULES, 0);
RS_MAP(rs_rules, BPF_MAP_TYPE_HASH, __u32, struct rs_bpf_rule, RS_BPF_RULES, BPF_F_NO_PREALLOC);

RS_MAP(rs_counts, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct rs_bpf_count, RS_BPF_COUNTS, 0);
RS_MAP(rs_rates, BPF_MAP_TYPE_LRU_HASH, struct rs_bpf_addr, struct rs_bpf_rate, 4096, 0);

RS_MAP(rs_memos, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct rs_bpf_memo, RS_BPF_MEMOS, 0);

RS_MAP(rs_sources, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct rs_bpf_source, RS_BPF_SOURCES, 0);

RS_MAP(rs_notes, BPF_MAP_TYPE_LRU_HASH, struct rs_bpf_note, __u64, 4096, 0);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 262144);
} rs_events SEC(".maps");

#endif
