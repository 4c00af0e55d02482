/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ir.h - SEAM: what the policy engine hands to a dataplane. Five relations, and nothing else.
 *
 *	1 address   -> class		exact addresses (pods); address ranges (ipBlocks)
 *	2 local address -> group	one per direction, for every local pod, isolated or not
 *	3 (direction, group, class) -> profile
 *	4 profile   -> port verdicts
 *	5 local interface -> its addresses (the guard)
 *
 * How a packet of a flow client -> server, server port P is judged (on the conntrack tuple):
 *	egress half, when the client is a local address:
 *		g = egress group of the client
 *		cell (EGRESS, g, exact class of the server), if it has one and there is a cell;
 *		else cell (EGRESS, g, range class of the server), likewise;
 *		else g's default profile. The profile decides on (protocol, P); deny ends here.
 *	ingress half, when the server is a local address: the same with its ingress group and the
 *	client's class. Allowed means: every half that applies allows. Neither end local: not ours.
 *
 * A class is a set of peer atoms (selectors in use on this node, ipBlocks, named-port
 * resolutions); an address has exactly one exact class or none, and exactly one range class
 * (RS_CLASS_WORLD when no range holds it). A cell is stored only where its answer differs from
 * what the lookup without it would give. Numbers: class 0 is the world; groups and profiles start
 * at 1; profile RS_PROFILE_ALLOW and RS_PROFILE_DENY are fixed. Numbers are bound to their
 * meaning: see number.h.
 *
 * Backends render these relations and hold no policy logic. The rule ids beside the cells are for
 * people (explain, counters); the verdict never depends on them.
 *
 * All arrays are sorted by key (as the members stand, in order) without duplicates. An rs_ir is
 * immutable once built, but for rs_ir_apply(): its owner lets addresses move between classes.
 */
#ifndef RIPSTOP_IR_H
#define RIPSTOP_IR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ripstop/addr.h>
#include <ripstop/error.h>

#define RS_CLASS_WORLD 0u
#define RS_CLASS_NONE UINT32_MAX /* in a move: the address has no exact class */
#define RS_PROFILE_ALLOW 1u	 /* everything, every protocol */
#define RS_PROFILE_DENY 2u	 /* nothing */
#define RS_PROFILE_FIRST 3u	 /* first number of a computed profile */

enum rs_ir_dir {
	RS_DIR_IN = 1,	/* ingress half; the values are words of kernel keys: never change them */
	RS_DIR_OUT = 2, /* egress half */
};

/* 1a: exact address to class. comment: "namespace/pod", for listings. */
struct rs_ir_addr {
	struct rs_addr addr;
	uint32_t cls;
	const char *comment;
};

/* 1b: disjoint ranges (both ends inclusive, one family) to class; gaps are RS_CLASS_WORLD. */
struct rs_ir_range {
	struct rs_addr lo;
	struct rs_addr hi;
	uint32_t cls;
};

/* 2: every address of every local pod. */
struct rs_ir_local {
	struct rs_addr addr;
	uint32_t in_group;
	uint32_t out_group;
	const char *comment;
};

/* A group and its default. isolated false: no policy selects its pods; default is ALLOW. */
struct rs_ir_group {
	uint8_t dir; /* enum rs_ir_dir */
	uint32_t group;
	uint32_t profile; /* the default: what a peer of no stored cell gets */
	bool isolated;
	bool over_budget;      /* too many cells: everything is denied, and a condition says so */
	uint32_t first_policy; /* isolating: ir->policies[group_policies[first .. first+n)] */
	uint32_t n_policies;
	uint32_t first_why; /* of the default profile: ir->whys[first_why .. +n_why) */
	uint32_t n_why;
};

/* A run of ports of one protocol that one rule allows. proto 0: every protocol, any port. */
struct rs_ir_portrule {
	uint8_t proto;
	uint16_t lo;
	uint16_t hi;
	uint32_t rule; /* in ir->rules: the first that allows, by namespace, name, direction,
			* index; UINT32_MAX when nothing of a user allows (not isolated) */
};

/* 3: a cell. */
struct rs_ir_cell {
	uint8_t dir;
	uint32_t group;
	uint32_t cls;
	uint32_t profile;
	uint32_t first_why; /* ir->whys[first_why .. +n_why): the same decision with rule ids */
	uint32_t n_why;
};

/* 4: verdict of a run of ports. proto 0 with 0..65535: everything else too. Not listed: deny.
 * Entries of one profile are disjoint, sorted, merged. `allow` false is for tiers: not made yet. */
struct rs_ir_port {
	uint8_t proto;
	uint16_t lo;
	uint16_t hi;
	bool allow;
};

struct rs_ir_profile {
	uint32_t profile;
	uint32_t first; /* ir->ports[first .. first+n) */
	uint32_t n;
};

/* 5: what a pod link may send from. */
struct rs_ir_guard {
	uint32_t ifindex;
	struct rs_addr addr;
	uint8_t mac[6];	    /* of the pod's end; for listings and the neighbour entry */
	struct rs_addr ll;  /* the IPv6 link-local address we gave the pod; family 0 when none */
	const char *ifname; /* host side, for listings */
};

/* For people: "namespace/name ingress[2]". file is NULL for API objects. */
struct rs_ir_rule {
	const char *ns;
	const char *name;
	uint8_t dir; /* enum rs_ir_dir */
	uint32_t index;
	const char *file;
	int line;
	int col;
};

struct rs_ir_policy {
	const char *ns;
	const char *name;
};

struct rs_ir {
	uint64_t generation; /* shown to people; goes up with every IR that differs */

	struct rs_ir_addr *addrs;
	size_t n_addrs;
	size_t cap_addrs; /* room in addrs; 0: for n_addrs */
	struct rs_ir_range *ranges;
	size_t n_ranges;
	struct rs_ir_local *locals;
	size_t n_locals;
	size_t cap_locals; /* likewise */
	struct rs_ir_group *groups;
	size_t n_groups;
	struct rs_ir_cell *cells;
	size_t n_cells;
	struct rs_ir_profile *profiles; /* ALLOW and DENY included when used */
	size_t n_profiles;
	struct rs_ir_port *ports;
	size_t n_ports;
	struct rs_ir_guard *guards;
	size_t n_guards;
	size_t cap_guards; /* likewise */

	/* This node's pod ranges, and its pods' addresses that lie outside them: a source inside
	 * them on another link is forged. */
	struct rs_cidr *node_ranges;
	size_t n_node_ranges;

	/* for people */
	struct rs_ir_rule *rules;
	size_t n_rules;
	struct rs_ir_policy *policies; /* sorted by namespace, name */
	size_t n_policies;
	uint32_t *group_policies;
	size_t n_group_policies;
	struct rs_ir_portrule *whys; /* of cells and of group defaults */
	size_t n_whys;

	struct rs_ir_arena *arena; /* owns every string and array above */
};

/*
 * The step from one IR to the next where only exact addresses came, went or changed class, which is
 * all that happens when pods of other nodes do; and pods of this node came whose groups are there.
 * Sorted by address, no address twice. from and to may be equal: then only the comment differs.
 * Free with rs_ir_moves_clear().
 */
struct rs_ir_move {
	struct rs_addr addr;
	uint32_t from; /* RS_CLASS_NONE: it had none */
	uint32_t to;
	char *comment; /* owned; NULL where to is RS_CLASS_NONE */
};

struct rs_ir_moves {
	uint64_t generation; /* after them */
	uint64_t sequence;   /* never given out twice; 0: none. The same moves are applied once */
	struct rs_ir_move *v;
	size_t n;
	/* Pods of this node that come: relations 2 and 5, sorted so; their strings are owned. */
	struct rs_ir_local *locals;
	size_t n_locals;
	struct rs_ir_guard *guards;
	size_t n_guards;
};

void rs_ir_moves_clear(struct rs_ir_moves *m);

/* Make the moves in ir, which must hold what they start from. */
void rs_ir_apply(struct rs_ir *ir, const struct rs_ir_moves *m);

/* rs_ir_may_refuse() of ir and what the moves make of it. */
bool rs_ir_moves_may_refuse(const struct rs_ir *ir, const struct rs_ir_moves *m);

/* An empty IR; arrays are allocated with rs_ir_alloc() from its arena. */
struct rs_ir *rs_ir_new(void);
void rs_ir_free(struct rs_ir *ir);			    /* NULL is legal */
void *rs_ir_alloc(struct rs_ir *ir, size_t n, size_t size); /* zeroed, freed with the IR */
const char *rs_ir_strdup(struct rs_ir *ir, const char *s);  /* NULL gives NULL */

/* The verdict of one half or of both; UINT32_MAX where a number does not apply. */
struct rs_ir_half {
	bool applies; /* that end is local */
	bool allow;
	uint32_t group;
	uint32_t cls; /* class whose cell decided; RS_CLASS_WORLD for the group's default */
	uint32_t profile;
	uint32_t rule; /* index into ir->rules, UINT32_MAX when none */
};

struct rs_ir_verdict {
	bool allow;
	bool self; /* client and server are one address: always allowed */
	struct rs_ir_half out;
	struct rs_ir_half in;
};

/* proto: IP protocol number; port: host order, of the server, 0 for protocols without ports. */
void rs_ir_eval(const struct rs_ir *ir, const struct rs_addr *client, const struct rs_addr *server,
		uint8_t proto, uint16_t port, struct rs_ir_verdict *out);

/* The same between two pods that are alike, of which one stands for both: client and server may be
 * one address, and that is not a pod that reaches itself. */
void rs_ir_eval_others(const struct rs_ir *ir, const struct rs_addr *client,
		       const struct rs_addr *server, uint8_t proto, uint16_t port,
		       struct rs_ir_verdict *out);

/* Exact class of an address (false when it has none), its range class, its groups. */
bool rs_ir_class_exact(const struct rs_ir *ir, const struct rs_addr *a, uint32_t *cls);
uint32_t rs_ir_class_range(const struct rs_ir *ir, const struct rs_addr *a);
const struct rs_ir_local *rs_ir_local(const struct rs_ir *ir, const struct rs_addr *a);
const struct rs_ir_group *rs_ir_group(const struct rs_ir *ir, enum rs_ir_dir dir, uint32_t group);
const struct rs_ir_cell *rs_ir_cell(const struct rs_ir *ir, enum rs_ir_dir dir, uint32_t group,
				    uint32_t cls);
const struct rs_ir_profile *rs_ir_profile(const struct rs_ir *ir, uint32_t profile);

/* The golden text: one line a tuple, sections in the order above. Caller frees. */
char *rs_ir_print(const struct rs_ir *ir);

/* Whether the five relations, node_ranges and numbers are equal (people's parts are not
 * compared). */
bool rs_ir_equal(const struct rs_ir *a, const struct rs_ir *b);

/*
 * Whether going from a to b may refuse a tuple that a accepts. Proven loosening answers false;
 * everything unproven answers true (a first policy, a join, a relabel, a leave, a changed range).
 */
bool rs_ir_may_refuse(const struct rs_ir *a, const struct rs_ir *b);

#endif
