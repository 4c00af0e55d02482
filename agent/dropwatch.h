/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dropwatch.h - keeps the drop records coming: opens them, reads them in small portions, writes the
 * drop log file, and looks at the kernel's counters so that nothing is missing unseen.
 */
#ifndef RIPSTOP_AGENT_DROPWATCH_H
#define RIPSTOP_AGENT_DROPWATCH_H

#include "agent/agent.h"
#include "agent/droplog.h"

struct rs_dropwatch;

/* Never fails for want of records: rs_dropwatch_why_not() tells. -errno when the file of
 * --drop-log cannot be opened. */
int rs_dropwatch_new(struct rs_agent *a, struct rs_dropwatch **out, struct rs_err *err);
void rs_dropwatch_free(struct rs_dropwatch *w);

int rs_dropwatch_fd(const struct rs_dropwatch *w); /* -1: nothing is open; may change in tick() */
void rs_dropwatch_read(struct rs_dropwatch *w);	   /* it is readable: take a portion */
void rs_dropwatch_tick(struct rs_dropwatch *w, int64_t mono_ms); /* every few seconds */

/* Another dataplane is open: its records from now on. NULL is legal. */
void rs_dropwatch_follow(struct rs_dropwatch *w);

/* Take all that waits, and look at the counters. */
void rs_dropwatch_settle(struct rs_dropwatch *w);

/* NULL while records are made, else why there are none. */
const char *rs_dropwatch_why_not(const struct rs_dropwatch *w);
const struct rs_droplog *rs_dropwatch_log(const struct rs_dropwatch *w);
const struct rs_drop_account *rs_dropwatch_account(const struct rs_dropwatch *w);
uint64_t rs_dropwatch_unwritten(const struct rs_dropwatch *w);
void rs_dropwatch_conditions(const struct rs_dropwatch *w, struct rs_conditions *c);

/* ---- dropfile.c: JSON Lines into a file that is turned over by size ------------------------- */

struct rs_dropfile;

/* path "-" is stdout. keep: how many old files stay, PATH.1 the youngest. */
int rs_dropfile_open(const char *path, size_t max_bytes, unsigned int keep,
		     struct rs_dropfile **out, struct rs_err *err);
void rs_dropfile_close(struct rs_dropfile *f); /* NULL is legal */
/* One line; never waits for a reader of a pipe. What cannot be written is counted. */
void rs_dropfile_put(struct rs_dropfile *f, const char *line, size_t len);
uint64_t rs_dropfile_unwritten(const struct rs_dropfile *f);
/* Of the last write; num 0: it went well. */
const struct rs_err *rs_dropfile_error(const struct rs_dropfile *f);

#endif
