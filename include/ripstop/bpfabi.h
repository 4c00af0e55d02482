/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/*
 * bpfabi.h - what the kernel programs (bpf/) and user space (lib/dataplane/ebpf) agree on: keys and
 * values of the maps, the description of a packet, the records of drops.
 *
 * Two slots and an epoch. Every value that renders a part of the IR has two slots, each with the
 * epoch from which it holds. A program reads the current epoch once, at its start, and takes of
 * every value the slot with the highest epoch that is not above it: all its look-ups see one state.
 * A commit writes the slots that nobody can read (those of an older state) with the next epoch,
 * adds what is new, and then moves the current epoch by one store. Epoch 0 marks an empty slot.
 * Absent is: no element, no slot that counts, or a value that says so.
 *
 * The layout number is part of the pins' folder: any change here or of a map's shape is a new one.
 */
#ifndef RIPSTOP_BPFABI_H
#define RIPSTOP_BPFABI_H

#include <linux/types.h>

#ifndef RS_BPF_LAYOUT /* a test of upgrades builds the same tree with another number */
#define RS_BPF_LAYOUT 4
#endif

/* Families as in <ripstop/addr.h>; RS_BPF_AF_LINK: a[0] is an interface index (rate limits). */
#define RS_BPF_AF_IP4 4
#define RS_BPF_AF_IP6 6
#define RS_BPF_AF_LINK 1

/* IPv4 in a[0], the rest 0; network byte order. */
struct rs_bpf_addr {
	__u32 family;
	__u32 a[4];
};

/* Of tries: plen counts the family's 32 bits too. */
struct rs_bpf_prefix {
	__u32 plen;
	struct rs_bpf_addr addr;
};

#define RS_BPF_FAMILY_BITS 32

/* ---- relations ------------------------------------------------------------------------------- */

/* rs_ends: everything that is known of one address. flags 0: absent. */
#define RS_BPF_END_CLASS 1u /* cls is its exact class */
#define RS_BPF_END_LOCAL 2u /* an address of a local pod; a group of 0 is absent */
#define RS_BPF_END_FREE 4u  /* isolated in no direction */

struct rs_bpf_end {
	__u32 flags;
	__u32 cls;
	__u32 in_group;
	__u32 out_group;
};

struct rs_bpf_end_slots {
	__u64 epoch[2];
	struct rs_bpf_end v[2];
};

/* A number; 0 is absent. rs_ranges: class. rs_own: 1. rs_ports: verdict. rs_whys: rule. */
struct rs_bpf_num_slots {
	__u64 epoch[2];
	__u32 v[2];
};

/* rs_cells. profile 0: absent. rule: where what it lets through is counted: a slot of rs_hits,
 * 0 for nowhere, or RS_BPF_RULE_LIST and the number of a list in rs_whys. */
struct rs_bpf_cell_value {
	__u32 profile;
	__u32 rule;
};

struct rs_bpf_cell_slots {
	__u64 epoch[2];
	struct rs_bpf_cell_value v[2];
	__u64 judged; /* first packets of flows for which this cell was looked up */
};

#define RS_BPF_RULES 16384 /* slots of rs_hits; 0 is nobody's */
#define RS_BPF_RULE_LIST 0x80000000u
#define RS_BPF_WHYS 262144

/* rs_rules, by slot of rs_hits: no program looks at it; the next agent does. */
struct rs_bpf_rule {
	__u32 dir; /* enum rs_ir_dir */
	__u32 index;
	char ns[64];
	char name[256];
};

/* rs_cells. cls RS_BPF_DEFAULT: the group's default, whose profile has two flags for people. */
#define RS_BPF_DEFAULT 0xffffffffu
#define RS_BPF_PROFILE_MASK 0x3fffffffu
#define RS_BPF_GROUP_ISOLATED 0x80000000u
#define RS_BPF_GROUP_OVER_BUDGET 0x40000000u

struct rs_bpf_cell {
	__u32 dir; /* enum rs_ir_dir */
	__u32 group;
	__u32 cls;
};

/* rs_runs: what a profile allows of a protocol (0: of all others). n RS_BPF_RUNS_MORE: more than
 * fits, or something is denied: it stands in rs_ports, and no run here holds any port. */
#define RS_BPF_RUNS 4
#define RS_BPF_RUNS_MORE 0xffffu

struct rs_bpf_runs_key {
	__u32 profile;
	__u32 proto;
};

struct rs_bpf_runs {
	__u16 n; /* 0: absent */
	__u16 pad;
	__u16 lo[RS_BPF_RUNS]; /* host order, both ends inclusive */
	__u16 hi[RS_BPF_RUNS];
};

struct rs_bpf_runs_slots {
	__u64 epoch[2];
	struct rs_bpf_runs v[2];
};

/* rs_ports and rs_whys, tries: b is the profile, or the number of the list (4 bytes), protocol,
 * port (2), all highest byte first. plen 40: every port of a protocol; more: so many bits of the
 * port. */
struct rs_bpf_port {
	__u32 plen;
	__u8 b[8];
};

#define RS_BPF_PORT_ALLOW 1u
#define RS_BPF_PORT_DENY 2u

#define RS_BPF_PROFILE_ALLOW 1u /* as in ir.h */
#define RS_BPF_PROFILE_DENY 2u

/* rs_links, by interface index: what a pod link may send from. n 0: absent. */
#define RS_BPF_LINK_ADDRS 8

struct rs_bpf_link {
	__u32 n;
	struct rs_bpf_addr addr[RS_BPF_LINK_ADDRS];
	struct rs_bpf_addr ll; /* family 0: none */
	__u8 mac[6];
	__u8 pad[2];
	char name[16]; /* of the host's end, for people */
};

struct rs_bpf_link_slots {
	__u64 epoch[2];
	struct rs_bpf_link v[2];
};

/* rs_cfg, one element, mapped into user space. */
struct rs_bpf_cfg {
	__u64 epoch;	     /* moved by one store */
	__u64 generation[2]; /* of the IR; that of epoch E stands at E & 1 */
	__u64 netns;	     /* cookie of the network namespace that the programs are for */
	__u32 link_group;
	__u32 log_rate; /* records a second and pod; 0: none */
	__u32 devices; /* ebpf-tc: as rs_tc_devices said when a program stood at each; 0: unknown */
	__u32 pad;
};

/* ---- judging --------------------------------------------------------------------------------- */

enum rs_bpf_state {
	RS_BPF_CT_NONE, /* untracked, invalid */
	RS_BPF_CT_NEW,
	RS_BPF_CT_ESTABLISHED,
	RS_BPF_CT_RELATED,
};

/* A packet, as every front end describes it to the judge. */
struct rs_bpf_view {
	struct rs_bpf_addr src; /* of the packet */
	struct rs_bpf_addr dst;
	struct rs_bpf_addr client; /* of the flow, where there is one: source of the original */
	struct rs_bpf_addr server; /* and of the replies */
	__u32 iif;		   /* 0: made by this node */
	__u32 oif;
	__u32 iif_group;
	__u32 oif_group;
	__u32 len;   /* 0: no packet, a description only: nothing counts it */
	__u16 sport; /* of the packet, host order */
	__u16 dport;
	__u16 port;	 /* of the server, host order; 0 where the protocol has none */
	__u8 flow_proto; /* of the flow */
	__u8 state;	 /* enum rs_bpf_state */
	__u8 reply;	 /* the packet goes from server to client */
	__u8 l4;	 /* of the packet, behind all extension headers */
	__u8 l4_read;	 /* the next members are from its transport header */
	__u8 tcp_flags;
	__u8 sctp_chunk; /* type of the first */
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 hops;    /* IPv6 hop limit */
	__u8 options; /* an IPv4 header of more, or fewer, than five words */
	__u8 broken;  /* enum rs_bpf_broken */
};

enum rs_bpf_broken {
	RS_BPF_WHOLE,
	RS_BPF_NO_HEADER, /* no readable IP header: all else is 0 */
	RS_BPF_ENDLESS,	  /* more extension headers than are walked through */
};

/* Reasons as enum rs_drop_reason. A verdict is RS_BPF_ACCEPT or an index into rs_counts. */
enum rs_bpf_reason {
	RS_BPF_POLICY_INGRESS,
	RS_BPF_POLICY_EGRESS,
	RS_BPF_NOT_PROGRAMMED,
	RS_BPF_SPOOFED,
	RS_BPF_INVALID,
	RS_BPF_MALFORMED,
	RS_BPF_REASONS,
};

#define RS_BPF_DROP(reason, from_pod) (2 * (reason) + (from_pod))

enum {
	RS_BPF_COUNT_QUIET = 2 * RS_BPF_REASONS, /* a pod's kernel talking to itself */
	RS_BPF_COUNT_LOGGED,			 /* drops that the limit let have a record */
	RS_BPF_COUNTS,
	RS_BPF_ACCEPT = 255,
};

struct rs_bpf_count {
	__u64 packets;
	__u64 bytes;
};

/* rs_rates: the records that a pod may still cause in this second. */
struct rs_bpf_rate {
	__u64 since_ns;
	__u32 left;
	__u32 pad;
};

/* rs_memos: what was allowed between two ends at an epoch; which of them, a hash of the ends says.
 * Programs alone write here. */
#define RS_BPF_MEMOS 1024 /* a processor; a power of two up to 65536 */

struct rs_bpf_memo {
	__u32 turn; /* odd: being written */
	__u32 what; /* port, protocol << 16, family << 24 */
	__u64 epoch;
	__u32 client[4];
	__u32 server[4];
	__u32 by_out; /* the rule that allowed, as the programs have it between them; 0: no group */
	__u32 by_in;
	__u32 pad[2];
};

/* rs_sources: a source address that a pod link was found to have at an epoch; where, a hash of both
 * says. Programs alone write here. */
#define RS_BPF_SOURCES 512 /* a processor; a power of two up to 65536 */

struct rs_bpf_source {
	__u32 turn; /* odd: being written */
	__u32 iif;
	__u64 epoch;
	__u64 a[2];  /* of an address, */
	__u64 frame; /* its family and the link's MAC, as bpf_source.h has them */
	__u64 pad[3];
};

/*
 * rs_notes (ebpf-tc), with the time since boot: what conntrack cannot be asked. A pod's answer to a
 * socket of its node that is not connected; that this node (to) asked a pod for an echo; a client
 * whose SCTP association was let begin.
 */
struct rs_bpf_note {
	struct rs_bpf_addr from;
	struct rs_bpf_addr to;
	__u16 from_port;
	__u16 to_port;
	__u32 proto;
};

/* rs_events: a record of a drop. */
struct rs_bpf_event {
	__u64 time_ns;	  /* since boot, as CLOCK_MONOTONIC */
	__u64 generation; /* of the rules that refused */
	__u32 verdict;
	__u32 group; /* whose policies denied it; 0: another reason */
	struct rs_bpf_view view;
};

/* ---- programs that user space runs ----------------------------------------------------------- */

enum rs_bpf_hook {
	RS_BPF_HOOK_GUARD,
	RS_BPF_HOOK_FORWARDED,
	RS_BPF_HOOK_TO_NODE,
};

/* rs_judge: a described packet at a hook. The head is what the kernel takes for Ethernet. */
struct rs_bpf_case {
	__u8 head[16];
	__u32 hook;
	struct rs_bpf_view view;
};

/* Maps that mirror the IR. */
enum rs_bpf_map {
	RS_BPF_MAP_ENDS,
	RS_BPF_MAP_RANGES,
	RS_BPF_MAP_CELLS,
	RS_BPF_MAP_RUNS,
	RS_BPF_MAP_PORTS,
	RS_BPF_MAP_LINKS,
	RS_BPF_MAP_OWN,
	RS_BPF_MAP_WHYS,
	RS_BPF_MAPS,
};

enum rs_bpf_edit_op {
	RS_BPF_EDIT_SET,    /* the value from `epoch` on */
	RS_BPF_EDIT_CANCEL, /* as if `epoch` had not been set */
};

/* rs_edit: change a slot of an element that is there, in place: an update by the system call would
 * put another element in its stead, and free one that a reader may still hold. */
enum rs_bpf_edited {
	RS_BPF_EDIT_DONE,
	RS_BPF_EDIT_ABSENT,
};

struct rs_bpf_edit {
	__u8 head[16]; /* what the kernel takes for Ethernet */
	__u32 map;     /* enum rs_bpf_map */
	__u32 op;      /* enum rs_bpf_edit_op */
	__u64 epoch;
	union {
		struct rs_bpf_addr end;
		struct rs_bpf_prefix prefix;
		struct rs_bpf_cell cell;
		struct rs_bpf_runs_key runs;
		struct rs_bpf_port port;
		__u32 link;
		__u8 bytes[32];
	} key;
	union {
		struct rs_bpf_end end;
		struct rs_bpf_link link;
		struct rs_bpf_runs runs;
		struct rs_bpf_cell_value cell;
		__u32 num;
		__u8 bytes[216];
	} value;
};

#endif
