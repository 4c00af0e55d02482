/* SPDX-License-Identifier: Apache-2.0 */
/*
 * droplog.h - what the agent remembers of dropped packets: the last records, who dropped how many,
 * and an account in which records, suppressed and lost make up what the kernel dropped.
 *
 * Pure data with bounds: no socket, no clock. droprecord.c makes the records, dropwatch.c feeds
 * them in.
 */
#ifndef RIPSTOP_AGENT_DROPLOG_H
#define RIPSTOP_AGENT_DROPLOG_H

#include <ripstop/dataplane.h>
#include <ripstop/object.h>

#include "base/base.h"

/* ---- the account ----------------------------------------------------------------------------- */

/*
 * Since the records were opened. Kernel counters may begin anew (the table was made again); what
 * was dropped between the last look and that moment is not known and not counted.
 */
struct rs_drop_account {
	bool open;
	int64_t since_ns; /* wall clock */
	uint64_t dropped; /* packets; records + suppressed + lost where all has been read */
	uint64_t logged;
	uint64_t suppressed; /* kept back by the log limit */
	uint64_t records;
	uint64_t lost; /* recorded by the kernel, but they did not reach us */
	struct rs_dp_log_counts last;
};

/* The counters as the records are opened; what they hold already is none of ours. */
void rs_drop_account_open(struct rs_drop_account *a, const struct rs_dp_log_counts *now,
			  int64_t now_ns);
/* A look, with the socket read empty just before. Lost is what the records' numbers miss, and what
 * the kernel had logged at the look before and has still not come. */
void rs_drop_account_look(struct rs_drop_account *a, const struct rs_dp_log_counts *now);

/* ---- the last records ------------------------------------------------------------------------ */

struct rs_drop_entry {
	uint64_t id; /* from 1, one more for each */
	int64_t time_ns;
	enum rs_drop_reason reason;
	enum rs_direction dir;
	char *src, *dst; /* "namespace/name" of a pod, else NULL */
	char *policy;	 /* the first that isolates, or NULL */
	char *text;	 /* the record as JSON, one line without its end */
	size_t len;
};

/* A row: how many records one end of a kind made. */
struct rs_drop_row {
	char *pod; /* "namespace/name" of the end that refused; NULL: none of this node's */
	enum rs_direction dir;
	enum rs_drop_reason reason;
	char *policies; /* "a/b, c/d"; "" when none isolates */
	uint64_t packets;
	int64_t last_ns;
};

/* Records of packets that a policy helped to refuse: one that two isolate counts for both. */
struct rs_drop_policy {
	char *name; /* "namespace/name"; NULL: all for which there was no room */
	enum rs_direction dir;
	uint64_t records;
};

struct rs_droplog;

struct rs_droplog *rs_droplog_new(size_t max_records, size_t max_bytes, size_t max_rows);
void rs_droplog_free(struct rs_droplog *l);

/* The id that the next record gets. */
uint64_t rs_droplog_next(const struct rs_droplog *l);
/* Take the entry (its strings too), but for its id. */
void rs_droplog_add(struct rs_droplog *l, struct rs_drop_entry *e);
size_t rs_droplog_count(const struct rs_droplog *l);
/* 0 is the oldest. */
const struct rs_drop_entry *rs_droplog_at(const struct rs_droplog *l, size_t i);

/* Count a record; the row that was quiet the longest makes room for a new one. */
void rs_droplog_tally(struct rs_droplog *l, const char *pod, const struct rs_drop_entry *e,
		      const char *policies);
const struct rs_drop_row *rs_droplog_rows(const struct rs_droplog *l, size_t *n);
const struct rs_drop_policy *rs_droplog_policies(const struct rs_droplog *l, size_t *n);
/* Of all rows of a pod and direction; by_policy: those of policy reasons only. */
uint64_t rs_droplog_pod(const struct rs_droplog *l, const char *pod, enum rs_direction dir,
			bool by_policy, int64_t *last_ns);

/* ---- the last minutes ------------------------------------------------------------------------ */

#define RS_DROP_SPAN_S 300

/* Packets dropped so far, as of now; and those of the last RS_DROP_SPAN_S seconds. */
void rs_droplog_pulse(struct rs_droplog *l, uint64_t dropped, int64_t mono_ms);
uint64_t rs_droplog_recent(const struct rs_droplog *l, int64_t mono_ms);
/* The policy that most records since that moment name, and how many do; NULL: none. */
const char *rs_droplog_top(const struct rs_droplog *l, int64_t since_ns, uint64_t *n);

#endif
