/* SPDX-License-Identifier: Apache-2.0 */
/*
 * whatif.h - cli/whatif/ holds the verbs that judge manifests before anybody applies them: diff,
 * simulate and test.
 *
 * What flows in: one or two worlds of cli/world. What flows out: pairs of subjects (workloads, pods
 * or namespaces, and the outside) with the ports that are open between them, on each side, and the
 * policy behind a difference.
 *
 * Rooms inside: portbook.c (sets of ports as small numbers that both sides share), subjects.c and
 * outside.c (who is compared), whatif.c (all pairs, folded by key), pairtext.c and blame.c (words:
 * the ports, and which policy makes the difference), traffic.c (flow records), overlay.c (a folder
 * put over the live objects), judgeflow.c (one flow). Above them the verbs: diff.h, simulate.h and
 * assert.h (test), each with its cmd_*.c.
 */
#ifndef RIPSTOP_CLI_WHATIF_WHATIF_H
#define RIPSTOP_CLI_WHATIF_WHATIF_H

#include "base/base.h"
#include "cli/world/cliworld.h"
#include "policy/intern.h"
#include "policy/reach.h"
#include "policy/span.h"

/* A difference has two sides; `simulate` has one, BEFORE. */
enum side {
	BEFORE,
	AFTER,
	SIDES,
};

/* Families as indices: IPv4, IPv6. */
#define FAMILIES 2
static inline int family_index(int family)
{
	return family == RS_AF_IP6;
}

/* ---- portbook.c: sets of ports --------------------------------------------------------------- */

/*
 * Equal sets have equal numbers, whichever side they are from. NO_PORTS and ALL_PORTS are fixed.
 */
struct portbook;

#define NO_PORTS 0u
#define ALL_PORTS 1u

struct portbook *portbook_new(void);
void portbook_free(struct portbook *b);				     /* NULL is legal */
uint32_t portbook_put(struct portbook *b, const struct rs_reach *r); /* copies */
const struct rs_reach *portbook_get(const struct portbook *b, uint32_t number);
uint32_t portbook_or(struct portbook *b, uint32_t x, uint32_t y);
uint32_t portbook_and(struct portbook *b, uint32_t x, uint32_t y);
/* A (protocol, port) that x has and y has not; false when there is none. icmp: the protocol number
 * that stands for what has no ports. */
bool portbook_beyond(const struct portbook *b, uint32_t x, uint32_t y, uint8_t icmp,
		     struct rs_reach_port *out);

/* ---- subjects.c, outside.c: who is compared -------------------------------------------------- */

struct subject {
	char *text;		      /* "shop/web", "world", "10.0.0.0/8" */
	const char *ns, *kind, *name; /* NULL for the outside; borrowed from a world */
	struct rs_u32s ends[SIDES];   /* of the worlds' endpoints */
	bool outside;
	struct rs_spans spans;	       /* the outside: its addresses */
	struct rs_addr addr[FAMILIES]; /* one of them each; family 0: none */
	uint32_t fold;
};

struct subjects {
	struct subject *v;
	size_t n, cap;
	uint32_t *of_end[SIDES]; /* of each endpoint of the worlds */
};

/* The subjects of one or two worlds (NULL: no such side), sorted: pods by text, then the outside,
 * of which "world" is the last. Those of two sides that have one name are one. */
void subjects_collect(struct cli_world *const worlds[SIDES], enum cli_by by, struct subjects *out);
void subjects_add_outside(struct cli_world *const worlds[SIDES], struct subjects *out);
void subjects_free(struct subjects *s);
/* The outside that holds an address; UINT32_MAX. */
uint32_t subjects_of_addr(const struct subjects *s, const struct rs_addr *a);

/* ---- whatif.c: all pairs --------------------------------------------------------------------- */

/* Ports of a pair on one side. any: of some pair of its pods; all: of every pair of them. */
struct ports {
	uint32_t any[FAMILIES];
	uint32_t all[FAMILIES];
	bool shared[FAMILIES]; /* some pair of its pods has addresses of that family */
};

enum change {
	CLOSED, /* on both sides */
	SAME,	/* open, and nothing differs */
	LOST,
	GAINED,
	CHANGED,
	CHANGES,
};

struct pair {
	uint32_t from, to;
	struct ports ports[SIDES];
	enum change change;
};

struct whatif;

/* By what r's --by says. Borrowed: the worlds, and `only`, the namespace that one end of each pair
 * lies in (NULL: any); other pairs count as CLOSED. -errno when a world cannot be compiled.
 * worlds[AFTER] NULL: one side. */
int whatif_new(const struct cli_run *r, struct cli_world *const worlds[SIDES], const char *only,
	       struct whatif **out, struct rs_err *err);
void whatif_free(struct whatif *w); /* NULL is legal */

const struct subjects *whatif_subjects(const struct whatif *w);
struct portbook *whatif_book(struct whatif *w);
struct cli_world *whatif_world(const struct whatif *w, enum side side);
const struct rs_ir *whatif_ir(const struct whatif *w, enum side side);
int whatif_sides(const struct whatif *w);
/* Whether it lies in the namespace that was asked for. */
bool whatif_listed(const struct whatif *w, const struct subject *s);
/* Whether it is on both sides, so that its pairs are compared. */
bool whatif_compared(const struct whatif *w, const struct subject *s);

/* How many pairs of each kind there are. */
void whatif_count(const struct whatif *w, uint64_t counts[CHANGES]);

/* Every pair of a kind whose bit is set in `wanted`, by client, then by server; until each returns
 * false. */
void whatif_walk(struct whatif *w, unsigned int wanted,
		 bool (*each)(void *ctx, const struct pair *p), void *ctx);

/* One pair; false where there is nothing to judge (a bare pod and itself, two outsides, ...). */
bool whatif_pair(struct whatif *w, uint32_t from, uint32_t to, struct pair *out);

/* The address of its endpoint i on that side, or of the outside, of one family; family 0 when it
 * has none. */
struct rs_addr subject_addr(const struct whatif *w, enum side side, const struct subject *s,
			    size_t i, int family_idx);

/* ---- pairtext.c, blame.c: what is said of a pair --------------------------------------------- */

/* Families that count for a pair: those that both sides have; where they share none, all. */
void pair_families(const struct pair *p, int sides, bool use[FAMILIES]);

/* "tcp/80,443", "any", "none"; "tcp/80 (some pods)" where its pods differ, "IPv4 tcp/80; IPv6 none"
 * where the families do. Allocated. */
char *pair_ports_text(struct whatif *w, const struct pair *p, enum side side);
/* {"text", "kind", "namespace", "name"}, of the outside "ranges". */
struct json_object *subject_json(const struct subject *s);

/* Why a pair differs. */
struct blame {
	char *why;    /* "new: shop/default-deny isolates ingress of shop/db"; NULL: not known */
	char *policy; /* "shop/default-deny" */
	char *where;  /* "file:line:col"; NULL for objects without a file */
};
void blame_pair(struct whatif *w, const struct pair *p, struct blame *out);
void blame_clear(struct blame *b);

/* ---- overlay.c: both worlds of a difference -------------------------------------------------- */

/*
 * Read both sides as r's flags say: -f is AFTER; BEFORE is the folder of --against, or what is
 * live, and then AFTER is what -f holds put over it. A pod or workload without an address of its
 * own has the same one on both sides. 0, or an exit code after the error was told. The caller frees
 * both, also when it fails.
 */
int overlay_open(struct cli_run *r, struct cli_world *worlds[SIDES]);

/* ---- traffic.c: flow records ----------------------------------------------------------------- */

/* An end of a record: a pod by name, or an address. */
struct record_end {
	const char *ns, *pod;		      /* NULL: no pod */
	const char *workload_kind, *workload; /* NULL: not told */
	struct rs_addr addr;		      /* family 0: none */
};

struct record {
	struct record_end from, to;
	uint8_t proto;
	uint16_t port;
	bool dropped;
	uint64_t n; /* packets or connections that it stands for */
	size_t line;
};

struct record_counts {
	size_t read;
	size_t other; /* no flow, a reply, without ports that we know */
};

/* Call each() for every record of a file of JSON Lines ("-": standard input) that is a flow. Text
 * in a record is borrowed until each() returns. */
int traffic_read(const char *path, void (*each)(void *ctx, const struct record *r), void *ctx,
		 struct record_counts *counts, struct rs_err *err);

/* Standard input cannot be records and manifests at once: 0, or an exit code after that was
 * told. */
int traffic_check(const struct cli_run *r);

/* Who the ends of records are, in one world. */
struct lookup;

struct lookup *lookup_new(const struct cli_world *cw);
void lookup_free(struct lookup *l); /* NULL is legal */
/* *end: index of an endpoint; UINT32_MAX for an address outside. False when it is neither. */
bool lookup_end(const struct lookup *l, const struct record_end *e, uint32_t *end);

#endif
