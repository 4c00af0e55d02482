/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ruleset.h - what the nft rules that are in the kernel do to a packet: one table is read back over
 * netlink and a described packet is walked through one of its base chains.
 *
 * It is the second reading of the rules: it shares no code with what writes them
 * (lib/dataplane/nft), knows nothing of the IR, and goes by the meaning that the kernel gives to
 * every expression (net/netfilter/nft_*.c). An expression, attribute, flag or key that it does not
 * know makes the reading fail with -EOPNOTSUPP and is named; it never guesses a verdict. Jumps are
 * bounded as in the kernel (NFT_JUMP_STACK_SIZE).
 *
 * Used by the differential test; explain asks it what the kernel really does.
 *
 * Not modelled, by design: rate limits (a limit always lets through, as it does for a first
 * packet) and dynamic sets (an update succeeds). Counters do not
 * change. What a walk writes (ct
 * mark) is in the result, not in the ruleset. Elements that expire later count as they were read.
 */
#ifndef RIPSTOP_RULESET_H
#define RIPSTOP_RULESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ripstop/addr.h>
#include <ripstop/error.h>

struct rs_ruleset;

/*
 * Read `table inet NAME` of the network namespace of the calling thread: chains, rules, sets, maps
 * and their elements, all of one generation (a change in between is retried, a bounded number of
 * times). -ENOENT: no such table. -EOPNOTSUPP: something in it is not understood. -EAGAIN: it
 * changed all the time. Free with rs_ruleset_free().
 */
int rs_ruleset_read(const char *table, struct rs_ruleset **out, struct rs_err *err);
void rs_ruleset_free(struct rs_ruleset *r); /* NULL is legal */

size_t rs_ruleset_rules(const struct rs_ruleset *r);
size_t rs_ruleset_elements(const struct rs_ruleset *r);

/* A named counter of the table, as it was read; false: there is none of that name. */
bool rs_ruleset_counter(const struct rs_ruleset *r, const char *name, uint64_t *packets,
			uint64_t *bytes);

/* The state of a packet's flow as conntrack gives it; one bit each, as in the kernel's ct state. */
enum rs_ct_state {
	RS_CT_INVALID = 0x01,
	RS_CT_ESTABLISHED = 0x02,
	RS_CT_RELATED = 0x04,
	RS_CT_NEW = 0x08,
	RS_CT_UNTRACKED = 0x40,
};

/* One direction of a flow. Ports in host order; for ICMP echo: sport is the identifier as
 * conntrack keeps it (proto-src), dport is type and code. 0 where the protocol has none. */
struct rs_ct_tuple {
	struct rs_addr src;
	struct rs_addr dst;
	uint16_t sport;
	uint16_t dport;
};

/*
 * A packet at a hook. What it does not have (a flow, a link's group, an Ethernet header) makes the
 * rule that asks be left, as in the kernel (NFT_BREAK). What it has but is not said here (a byte of
 * its payload, its length) is an error of the walk or of the reading, -EOPNOTSUPP: no guess.
 *
 * A chain before connection tracking (hook prerouting or output, priority below -200) sees no flow,
 * whatever stands here; at prerouting with iif 1 (lo) it sees it, because the packet brought it.
 */
struct rs_packet {
	struct rs_addr src; /* of its header, at this hook; both of one family */
	struct rs_addr dst;
	uint8_t proto;	  /* of its last header: IP protocol number */
	uint8_t ttl;	  /* or hop limit */
	uint8_t ip_words; /* IPv4: length of its header in 4-byte words; 0 means 5, no options */
	uint16_t sport;	  /* TCP, UDP, SCTP: host order */
	uint16_t dport;
	uint8_t tcp_flags;  /* byte 13 of the TCP header */
	uint8_t sctp_chunk; /* type of the first SCTP chunk: 1 is INIT */
	uint8_t icmp_type;  /* ICMP and ICMPv6 */
	uint8_t icmp_code;
	uint8_t src_mac[6]; /* of its Ethernet header, zero when has_mac is false */
	bool has_mac;
	uint32_t iif;	    /* index, 0: none (made by this node) */
	uint32_t oif;	    /* index, 0: not known at this hook */
	uint32_t iif_group; /* link group of iif and oif */
	uint32_t oif_group;
	uint32_t mark;

	uint8_t ct_state; /* enum rs_ct_state; RS_CT_INVALID and RS_CT_UNTRACKED: no flow below */
	bool ct_reply;	  /* this packet goes in the reply direction */
	uint8_t ct_proto; /* the flow's protocol (not the packet's: an ICMP error quotes another) */
	uint32_t ct_mark;
	struct rs_ct_tuple orig;  /* client -> what it asked for (before DNAT) */
	struct rs_ct_tuple reply; /* real server -> client as the server sees it (after SNAT) */
};

enum rs_hook {
	RS_HOOK_PREROUTING,
	RS_HOOK_INPUT,
	RS_HOOK_FORWARD,
	RS_HOOK_OUTPUT,
	RS_HOOK_POSTROUTING,
};

#define RS_WALK_FOUND 24 /* elements of a walk that are kept; later ones are not */

struct rset_set;
struct rset_elem;

struct rs_walk {
	bool accept;	   /* what the table's chains at this hook decide, in priority order */
	bool by_policy;	   /* the end of a base chain decided, no rule */
	char chain[64];	   /* where the last verdict fell */
	uint64_t handle;   /* of that rule; 0 with by_policy */
	char comment[128]; /* of that rule, printable; "" when it has none */
	uint32_t mark;	   /* of the packet, after the walk */
	uint32_t ct_mark;  /* of its flow, after the walk */
	bool marked;	   /* a rule wrote ct mark */
	bool notrack;	   /* a rule kept it from having a flow: untracked at later hooks */
	bool logged;	   /* a log statement ran */
	char log_prefix[64];
	size_t rules_seen;
	char counter[64]; /* named counter of that rule; "" when it has none */

	/* What the lookups of matching rules found, in their order: rs_walk_found(). */
	size_t n_found;
	struct {
		const struct rset_set *set;
		const struct rset_elem *elem;
	} found[RS_WALK_FOUND];
};

/* An element, in words; the key as nft(8) would write it, as far as its types are known here. */
struct rs_element {
	char set[64];
	char key[160];
	char value[96];	   /* of a map: what the key stands for; "" in a set */
	char comment[128]; /* printable; "" when it has none */
	bool counted;	   /* lookups: how many have found it, when the table was read */
	uint64_t packets;
};

/* Element i of w->found; false behind the last. The ruleset must live. */
bool rs_walk_found(const struct rs_walk *w, size_t i, struct rs_element *out);

/*
 * Walk p through every base chain of the table at `hook`, lowest priority first; drop is final, an
 * accept ends one chain only. trace (may be NULL) is called for every rule that was looked at, with
 * the outcome "match", "break" or the verdict; text is valid during the call.
 */
typedef void (*rs_walk_trace)(void *ctx, const char *chain, uint64_t handle, const char *text,
			      const char *outcome);
int rs_ruleset_walk(const struct rs_ruleset *r, enum rs_hook hook, const struct rs_packet *p,
		    struct rs_walk *out, rs_walk_trace trace, void *ctx, struct rs_err *err);

#endif
