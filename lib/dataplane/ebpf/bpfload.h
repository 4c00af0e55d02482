/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpfload.h - the programs and maps of one set, loaded into the kernel and, if asked for, pinned.
 *
 * A set is whole in itself: its maps, its programs, its links. There are two places for one, a and
 * b, so that a new set can be filled and attached while the old one still judges; each place has
 * its own priorities at the hooks. Pins: DIR/vLAYOUTa/NAME.
 */
#ifndef RIPSTOP_DATAPLANE_EBPF_BPFLOAD_H
#define RIPSTOP_DATAPLANE_EBPF_BPFLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include <ripstop/bpfabi.h>
#include <ripstop/dataplane.h>

#include "base/vec.h"

/* Hooks that have a program: those of enum rs_bpf_hook. */
#define RS_BPF_HOOKS 3
#define RS_BPF_FAMILIES 2
#define RS_BPF_LINKS (RS_BPF_HOOKS * RS_BPF_FAMILIES)

/* Newer than the headers and the libbpf of Debian 12. */
#define RS_BPF_PROG_NETFILTER 32
#define RS_BPF_ATTACH_NETFILTER 45

/* Programs at tc. */
enum rs_bpf_tc_prog {
	RS_BPF_TC_GUARD, /* beside the netfilter hooks; the others are ebpf-tc's */
	RS_BPF_TC_FROM_POD,
	RS_BPF_TC_TO_POD,
	RS_BPF_TC_FROM_WORLD,
	RS_BPF_TC_TO_WORLD,
	RS_BPF_TC_SOCKETS, /* at no device: where sockets of this node are looked up */
	RS_BPF_TCS,
};

struct bpf_object;

/* A program's link at a device (bpftcx.h). */
struct rs_bpf_tcx {
	uint32_t ifindex;
	bool in;
	int fd;
};

struct rs_bpf_set {
	char place; /* 'a', 'b'; 0: not pinned */
	struct bpf_object *obj;
	int map[RS_BPF_MAPS];
	int cfg_fd, counts, rates, events, hits, rules;
	int prog[RS_BPF_HOOKS];
	int pinned[RS_BPF_HOOKS]; /* the programs that the links run; -1: none, or of ebpf-tc */
	int edit, judge, trial;
	int tc[RS_BPF_TCS]; /* -1: not of this front end */
	int tc_devices;
	struct rs_bpf_cfg *cfg; /* the map's memory */
	int link[RS_BPF_LINKS]; /* -1: not attached; of ebpf-tc the first alone is used */
	struct rs_bpf_tcxs rs_vec(struct rs_bpf_tcx) tcx;
};

/* Load with the maps pinned at place, or with new ones where place is 0. -ESTALE: the pins are not
 * of this shape. */
int rs_bpf_set_load(const struct rs_dp_config *cfg, char place, struct rs_bpf_set *out,
		    struct rs_err *err);
void rs_bpf_set_empty(struct rs_bpf_set *s);  /* one that holds nothing */
void rs_bpf_set_unload(struct rs_bpf_set *s); /* pins stay, and with them what they hold */
void rs_bpf_set_detach(struct rs_bpf_set *s); /* let go of the links: those without pins end */

/* The programs pinned at s->place are these, and use these maps; opens its links. -ESTALE; -EBUSY
 * when they are another node's. */
int rs_bpf_set_adopt(const struct rs_dp_config *cfg, struct rs_bpf_set *s, struct rs_err *err);

/* The pins of a set that is in use are still there, and are its own. -ESTALE. */
int rs_bpf_set_check(const struct rs_dp_config *cfg, const struct rs_bpf_set *s,
		     struct rs_err *err);
/* Pin again what is not: we hold it all. */
int rs_bpf_set_pin(const struct rs_dp_config *cfg, const struct rs_bpf_set *s, struct rs_err *err);
/* Attach the program of a link again that stands at its hook no longer. */
int rs_bpf_set_attach(const struct rs_dp_config *cfg, struct rs_bpf_set *s, int link,
		      struct rs_err *err);

/* Attach and pin everything at place. */
int rs_bpf_set_install(const struct rs_dp_config *cfg, struct rs_bpf_set *s, char place,
		       struct rs_err *err);

/* Remove the pins of every set but the one at `keep` (0: of all), of other layouts too. */
int rs_bpf_pins_remove(const struct rs_dp_config *cfg, char keep, struct rs_err *err);
/* Of one place, of every layout. */
int rs_bpf_pins_clear(const struct rs_dp_config *cfg, char place, struct rs_err *err);
/* -EBUSY: what is pinned is of another network namespace. */
int rs_bpf_pins_ours(const struct rs_dp_config *cfg, struct rs_err *err);
/* Whether a link of any set is pinned; of a place (0: of any). */
bool rs_bpf_pins_linked(const struct rs_dp_config *cfg, char place);

/* How many links a set has. */
int rs_bpf_links(const struct rs_dp_config *cfg);
bool rs_bpf_has_tc(const struct rs_dp_config *cfg, int prog);
const char *rs_bpf_tc_name(int prog);
uint32_t rs_bpf_object_id(int fd); /* of a program, map or link; 0: none */
/* RS_BPF_TC_SOCKETS, for this network namespace. A link, or -errno. */
int rs_bpf_attach_sockets(int prog);
/* Somebody may have detached it: its pin says nothing of that. */
bool rs_bpf_sockets_attached(int link);

/* The link of a hook and family (0: IPv4). -errno. */
int rs_bpf_attach(int prog, unsigned int hook, unsigned int family, int priority);
int rs_bpf_priority(unsigned int hook, char place);
unsigned int rs_bpf_hook_number(unsigned int hook); /* enum nf_inet_hooks */

/* The number that moves with every device; 0: it could not be read. */
uint32_t rs_bpf_run_devices(const struct rs_bpf_set *s);

/* One edit, or one judgement; a negative errno when the program cannot be run. */
int rs_bpf_run_edit(const struct rs_bpf_set *s, const struct rs_bpf_edit *e);
int rs_bpf_run_judge(const struct rs_bpf_set *s, const struct rs_bpf_case *c);

/* The cookie of the network namespace that we are in; 0 where the kernel tells none. */
uint64_t rs_bpf_netns(void);
/* The folder of a set's pins. Caller frees. */
char *rs_bpf_set_folder(const struct rs_dp_config *cfg, char place);

/* Classify for people: privilege, missing feature. Returns it. */
int rs_bpf_explain_error(struct rs_err *err);

#endif
