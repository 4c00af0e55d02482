/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mapset.h - what the maps of the eBPF dataplane that are in the kernel do to a packet: they are
 * asked by their pins, and a described packet is judged by what they say.
 *
 * The second reading of the maps, as <ripstop/ruleset.h> is of the nft rules: it shares no code
 * with what writes them (lib/dataplane/ebpf) nor with the programs (bpf/), only the shape of keys
 * and values (<ripstop/bpfabi.h>). Each walk is of one epoch: one that changed on the way is begun
 * again.
 *
 * Nothing in the kernel changes, and no privilege of BPF is needed, only that of opening the pins.
 */
#ifndef RIPSTOP_MAPSET_H
#define RIPSTOP_MAPSET_H

#include <ripstop/ruleset.h>

struct rs_mapset;

/*
 * The set that is pinned below dir (two while one takes the other's place: both judge). -ENOENT:
 * none is. -ESTALE: one of another layout is, made by another release.
 */
int rs_mapset_open(const char *dir, struct rs_mapset **out, struct rs_err *err);
void rs_mapset_close(struct rs_mapset *m); /* NULL is legal */

/* -EXDEV: the programs are those of another network namespace than the calling thread's. */
int rs_mapset_check_netns(const struct rs_mapset *m, struct rs_err *err);

#define RS_MAPWALK_FOUND 16

/* An element, in words. */
struct rs_mapfound {
	char map[16];
	char key[96];
	char value[128];
	bool counted; /* judged says how often it was looked up for a flow's first packet */
	uint64_t judged;
};

struct rs_mapwalk {
	bool accept;
	bool attached;	    /* the pin of the hook's link is there; else nothing judges */
	char program[24];   /* "rs_nf_forwarded" */
	const char *reason; /* of a drop, as in <ripstop/dataplane.h>, or "quiet"; NULL: accepted */
	uint64_t generation;
	size_t n_found; /* of those that were found, the first ones */
	struct rs_mapfound found[RS_MAPWALK_FOUND];
};

/* What the programs at a hook do to a packet; RS_HOOK_PREROUTING is the guard's. Hooks that have no
 * program are -EINVAL. -EAGAIN: the maps changed all the time. */
int rs_mapset_walk(const struct rs_mapset *m, enum rs_hook hook, const struct rs_packet *p,
		   struct rs_mapwalk *out, struct rs_err *err);

#endif
