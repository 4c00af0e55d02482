/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dataplane.h - SEAM: one ops struct between the agent and a kernel mechanism that enforces an IR.
 *
 * Implementations: nft (lib/dataplane/nft), ebpf (lib/dataplane/ebpf), null (remembers what it was
 * given; dry runs and tests that are not about packets; never an acceptance). A backend renders the
 * relations of <ripstop/ir.h> and holds no policy logic.
 *
 * Life: probe -> open -> read -> commit ... commit -> close. close() leaves the kernel as it is:
 * only remove() takes rules away. All calls come from one thread.
 *
 * After a failed call the kernel holds what it held before (one atomic batch), and the handle can
 * be used again unless its text says otherwise.
 */
#ifndef RIPSTOP_DATAPLANE_H
#define RIPSTOP_DATAPLANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ripstop/error.h>
#include <ripstop/ir.h>

/* Drop reasons, one list for dataplanes, metrics, records and the command line. */
enum rs_drop_reason {
	RS_DROP_POLICY_INGRESS,
	RS_DROP_POLICY_EGRESS,
	RS_DROP_NOT_PROGRAMMED, /* a pod link without a group */
	RS_DROP_SPOOFED,	/* not that link's source, or a pod's from elsewhere */
	RS_DROP_INVALID,	/* no flow, mid-stream TCP, error about another's flow */
	RS_DROP_MALFORMED,
	RS_DROP_REASONS,
};

/* "policy-ingress", ... */
const char *rs_drop_reason_name(enum rs_drop_reason r);

#define RS_BPF_PIN_DIR "/sys/fs/bpf/ripstop"

struct rs_dp_config {
	uint32_t link_group;   /* of pod links; xor 1 is that of condemned ones */
	uint32_t ct_mark_mask; /* our bits: 16 side by side; default 0xffff0000 */
	bool verdict_cache;    /* false: every packet is judged */
	uint16_t nflog_group;  /* default 41 */
	uint32_t log_rate;     /* drop records a second and pod, default 10; 0: no records */
	/* nft: nobody else may change the table while we live, and it stays when we die (owner and
	 * persist, kernel 6.9 and later; else a condition says so). Default true. */
	bool own_table;
	const char *bpf_dir;  /* ebpf: folder of the pins, in a bpffs; NULL: RS_BPF_PIN_DIR */
	uint32_t bpf_entries; /* ebpf: most elements of a map; 0: as the programs say */
	bool bpf_tc;	      /* set by rs_dp_ebpf_tc: the verdict is given at tc */
	bool bpf_clsact;      /* ebpf, tests: programs at devices as on a kernel before 6.6 */
};

void rs_dp_config_default(struct rs_dp_config *cfg);

struct rs_dp_counter {
	uint64_t packets;
	uint64_t bytes;
};

/* Judgements of one cell, as counted by the kernel (lookups, not flows). */
struct rs_dp_judged {
	uint8_t dir;
	uint32_t group;
	uint32_t cls;
	uint64_t judged;
};

/* What a rule has let through on this node, both ways, as far as the kernel counts that. */
struct rs_dp_passed {
	char *ns; /* of the policy */
	char *name;
	uint8_t dir; /* enum rs_ir_dir */
	uint32_t index;
	struct rs_dp_counter n;
};

struct rs_dp_stats {
	struct rs_dp_counter drops[RS_DROP_REASONS];
	/* Sorted by namespace, name, direction, index; owned. No rule is here that is not counted
	 * wherever it decides; a backend that counts none has none. */
	struct rs_dp_passed *passed;
	size_t n_passed;
	struct rs_dp_judged *judged; /* sorted by key; owned by the struct */
	size_t n_judged;
	size_t elements; /* set elements in the kernel */
	size_t rules;
	uint64_t log_suppressed; /* dropped packets that the log limit kept from being recorded */
};

void rs_dp_stats_free(struct rs_dp_stats *s);
/* By direction, group and class, as `judged` of rs_dp_stats is. */
void rs_dp_judged_sort(struct rs_dp_judged *v, size_t n);

/* A dropped packet of which the kernel made a record: what its first bytes tell. A family of 0
 * means that they were no IP packet. */
struct rs_dp_drop {
	enum rs_drop_reason reason;
	bool from_pod;	   /* the pod's own sending was refused; else what came to it */
	int64_t time_ns;   /* wall clock; 0: the kernel told none */
	uint32_t iif, oif; /* interface indexes; 0: none */
	struct rs_addr src, dst;
	uint8_t proto;
	bool has_ports, has_flags, has_icmp;
	bool tracked;	     /* conntrack told the next two */
	bool reply;	     /* a packet of the flow's server */
	bool related;	     /* an error about the flow, or what a helper expected */
	uint32_t group;	     /* whose policies refused, where the kernel tells; 0 */
	uint64_t generation; /* of the rules that did; 0 */
	uint16_t sport, dport;
	uint8_t tcp_flags;
	uint8_t icmp_type, icmp_code;
};

typedef void rs_dp_drop_fn(const struct rs_dp_drop *d, void *arg);

/* Of records, as the kernel counts now. */
struct rs_dp_log_counts {
	uint64_t dropped;  /* packets, of all reasons, since the table was made */
	uint64_t logged;   /* of these, those that passed the log limit */
	uint64_t received; /* records, since log_open() */
	uint64_t gaps;	   /* records that the sequence numbers miss since then */
};

/* What commit() did, for the log and the metrics. */
struct rs_dp_commit {
	bool changed;	 /* false: the kernel had it all already, nothing was sent */
	bool rebuilt;	 /* the table was made anew (new layout, damage, first start) */
	bool bumped;	 /* every live flow is judged again */
	size_t messages; /* of the batch */
	size_t bytes;
	double ms; /* send to acknowledgement */
	char why[256]; /* with rebuilt: why nothing could be adopted ("chain judge: ..."), for the log */
};

/* A difference between what the kernel holds and what it should hold. */
struct rs_dp_drift {
	char *object; /* "element grp_in4 10.0.0.7", "rule judge handle 12", "table" */
	char *what;   /* "missing", "foreign", "changed" */
};

struct rs_dp_drifts {
	struct rs_dp_drift *v;
	size_t n;
};

void rs_dp_drifts_free(struct rs_dp_drifts *d);

/* How much of ours there is; for people. Elements that packets made do not count. */
struct rs_dp_holding {
	size_t tables;
	size_t chains;
	size_t rules;
	size_t sets;
	size_t elements;
};

struct rs_dp;

struct rs_dp_ops {
	const char *name; /* "nft", "null" */

	/* Can this kernel, with our privileges, carry it? 0, or an error (CNI code 104) that
	 * says which feature or capability is missing. Changes nothing; what it loaded may wait for
	 * the open() that follows. */
	int (*probe)(const struct rs_dp_config *cfg, struct rs_err *err);

	/* Open the netlink sockets. Changes nothing in the kernel. */
	int (*open)(const struct rs_dp_config *cfg, struct rs_dp **out, struct rs_err *err);

	/*
	 * Read back what the kernel enforces, as an IR (people's parts empty): the base for
	 * numbering and for the next difference. *out is NULL when there is nothing of this
	 * layout that could be adopted (no table, another layout number, damaged rules); commit()
	 * then makes it anew, in one batch. The caller frees *out.
	 */
	int (*read)(struct rs_dp *dp, struct rs_ir **out, struct rs_err *err);

	/*
	 * Make the kernel enforce next, in one atomic batch, as a difference to what it holds.
	 * The generation stamp is bumped in the same batch unless the step from what is in force
	 * is proven (rs_ir_may_refuse) to refuse nothing that is accepted now. next is borrowed
	 * for the call.
	 */
	int (*commit)(struct rs_dp *dp, const struct rs_ir *next, struct rs_dp_commit *done,
		      struct rs_err *err);

	/*
	 * commit() of what the moves make of `now`, the IR of the last commit, at a cost that goes
	 * by their number. -ESTALE: the kernel is not known to hold what they start from; commit
	 * the whole. After any other error too. NULL: this backend has only commit().
	 */
	int (*shift)(struct rs_dp *dp, const struct rs_ir *now, const struct rs_ir_moves *moves,
		     struct rs_dp_commit *done, struct rs_err *err);
	bool joins; /* shift() takes moves with pods of this node that come */

	/*
	 * Nobody waits for the answer to a commit any more: what the next one needs of it is made
	 * ready, on a thread. Without this call the next one takes longer. NULL: nothing to do.
	 */
	void (*prepare)(struct rs_dp *dp);

	/* The text of what commit() would install for ir from nothing: the golden file. Pure;
	 * dp may be NULL (then cfg of rs_dp_config_default is used). Caller frees. */
	char *(*print)(struct rs_dp *dp, const struct rs_ir *ir);

	/* Compare kernel and last committed IR. 0 and an empty list when in sync. */
	int (*audit)(struct rs_dp *dp, struct rs_dp_drifts *out, struct rs_err *err);

	/*
	 * The cheap question: true where it is certain that audit() would find nothing, as nobody
	 * but us has changed our rules since the kernel held the last committed IR. false: not
	 * known. NULL: this backend cannot tell.
	 */
	bool (*untouched)(struct rs_dp *dp);

	/* What the kernel should hold after the last commit, and what it does. Changes nothing. */
	int (*holding)(struct rs_dp *dp, struct rs_dp_holding *want, struct rs_dp_holding *have,
		       struct rs_err *err);

	int (*stats)(struct rs_dp *dp, struct rs_dp_stats *out, struct rs_err *err);

	/* Readable when somebody else changed the ruleset; -1 when the backend cannot tell. */
	int (*watch_fd)(const struct rs_dp *dp);
	/* Drain it. *foreign: our objects may have been touched by someone else: audit. `who` gets
	 * "pid 4411 (nft)" or NULL; caller frees. */
	int (*watch_read)(struct rs_dp *dp, bool *foreign, char **who, struct rs_err *err);

	/* Conditions a person should know ("table inet foo writes ct mark bits that are ours");
	 * newline-separated, NULL when none; caller frees. */
	char *(*conditions)(struct rs_dp *dp);

	/* Take everything of ours out of the kernel (uninstall). */
	int (*remove)(struct rs_dp *dp, struct rs_err *err);

	void (*close)(struct rs_dp *dp); /* NULL is legal; the kernel keeps its rules */

	/* After read() gave no IR: the kernel holds nothing of ours at all, every packet passes. */
	bool (*is_open)(const struct rs_dp *dp);

	/*
	 * Drop records; all four are NULL where a backend makes none. -ENODATA: the configuration
	 * asks for none. -EBUSY: another program listens to our group.
	 */
	int (*log_open)(struct rs_dp *dp, struct rs_err *err);
	int (*log_fd)(const struct rs_dp *dp); /* -1 while it is not open */
	/* Hand at most max records to fn. How many messages were read; 0: nothing waits. */
	int (*log_read)(struct rs_dp *dp, size_t max, rs_dp_drop_fn *fn, void *arg,
			struct rs_err *err);
	/* Cheap: no elements are read. */
	int (*log_counts)(struct rs_dp *dp, struct rs_dp_log_counts *out, struct rs_err *err);
};

struct rs_dp {
	const struct rs_dp_ops *ops;
};

extern const struct rs_dp_ops rs_dp_nft;
extern const struct rs_dp_ops rs_dp_ebpf;
extern const struct rs_dp_ops rs_dp_ebpf_tc; /* the same maps, judged at tc: docs/decisions/0011 */
extern const struct rs_dp_ops rs_dp_null;

/* By name; NULL when there is none of that name. */
const struct rs_dp_ops *rs_dp_by_name(const char *name);

#endif
