/* SPDX-License-Identifier: Apache-2.0 */
/* mset.h - what the files of <ripstop/mapset.h> share: maps asked by pin, as they are at one
 * epoch. */
#ifndef RIPSTOP_RULESET_MSET_H
#define RIPSTOP_RULESET_MSET_H

#include <ripstop/bpfabi.h>
#include <ripstop/mapset.h>

enum mset_map {
	MSET_CFG,
	MSET_ENDS,
	MSET_RANGES,
	MSET_CELLS,
	MSET_RUNS,
	MSET_PORTS,
	MSET_LINKS,
	MSET_OWN,
	MSET_MAPS,
};

/* Links of a set by hook, as their pins are named. */
enum mset_hook {
	MSET_GUARD,
	MSET_FORWARDED,
	MSET_TO_NODE,
	MSET_HOOKS,
};

struct mset_place {
	int fd[MSET_MAPS];
	bool linked[MSET_HOOKS][2]; /* IPv4, IPv6 */
};

struct rs_mapset {
	struct mset_place place[2];
	size_t n;
};

/* A walk through one set. After a failed system call rc is negative and all that is looked up is
 * absent. */
struct mset_look {
	const struct mset_place *set;
	uint64_t epoch;
	uint32_t link_group;
	struct rs_mapwalk *out;
	int rc;
};

struct rs_bpf_addr mset_addr(const struct rs_addr *a);

int mset_read_cfg(const struct mset_place *set, struct rs_bpf_cfg *cfg);

/* The element of a key, as it is at the walk's epoch: false where there is none. */
bool mset_end(struct mset_look *l, const struct rs_addr *a, struct rs_bpf_end *out);
bool mset_link(struct mset_look *l, uint32_t index, struct rs_bpf_link *out);
uint32_t mset_prefix(struct mset_look *l, enum mset_map map, const struct rs_addr *a);
uint32_t mset_cell(struct mset_look *l, uint32_t dir, uint32_t group, uint32_t cls);
bool mset_runs(struct mset_look *l, uint32_t profile, uint8_t proto, struct rs_bpf_runs *out);
uint32_t mset_port(struct mset_look *l, uint32_t profile, uint8_t proto, uint16_t port);

#endif
