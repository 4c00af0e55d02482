// SPDX-License-Identifier: Apache-2.0
/* dropwatch.c - reads drop records as they come; see dropwatch.h. */
#include "agent/dropwatch.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "agent/droprecord.h"
#include "agent/events.h"

#define MAX_RECORDS 2048
#define MAX_BYTES (2 * RS_MIB)
#define MAX_ROWS 512
/* At once; then the loop has its turn. */
#define PORTION 64
#define SETTLE_MAX 8192
#define RETRY_MS 5000
#define LOOK_MS 1000

struct rs_dropwatch {
	struct rs_agent *agent;
	struct rs_droplog *log;
	struct rs_drop_account account;
	struct rs_droprecord *maker;
	struct rs_dropfile *file;
	struct rs_err why_not;
	int64_t retry_ms, looked_ms;
	uint64_t told; /* suppressed, as the records have told */
	bool complained;
};

static int64_t wall_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The counters first: what is dropped between the two counts as lost, and nothing is missed. */
static int open_records(struct rs_dropwatch *w, struct rs_err *err)
{
	struct rs_dp *dp = w->agent->dp;
	struct rs_dp_log_counts counts = { 0 };
	int rc;

	if (!dp->ops->log_open)
		return rs_err_set(err, ENODATA, "dataplane %s makes no drop records",
				  dp->ops->name);
	rc = dp->ops->log_counts(dp, &counts, err);
	if (rc == 0)
		rc = dp->ops->log_open(dp, err);
	if (rc < 0)
		return rc;
	counts.received = counts.gaps = 0;
	rs_drop_account_open(&w->account, &counts, wall_ns());
	w->told = 0;
	return 0;
}

static void try_open(struct rs_dropwatch *w, int64_t mono_ms)
{
	rs_err_clear(&w->why_not);
	if (open_records(w, &w->why_not) < 0)
		w->retry_ms = mono_ms + RETRY_MS;
}

int rs_dropwatch_new(struct rs_agent *a, struct rs_dropwatch **out, struct rs_err *err)
{
	struct rs_dropwatch *w = rs_new(struct rs_dropwatch);
	int rc = 0;

	w->agent = a;
	w->log = rs_droplog_new(MAX_RECORDS, MAX_BYTES, MAX_ROWS);
	w->maker = rs_droprecord_new(a);
	if (a->opt.drop_log)
		rc = rs_dropfile_open(a->opt.drop_log, a->opt.drop_log_size * RS_MIB,
				      a->opt.drop_log_files, &w->file, err);
	if (rc < 0) {
		rs_dropwatch_free(w);
		return rc;
	}
	try_open(w, rs_mono_ms());
	*out = w;
	return 0;
}

void rs_dropwatch_follow(struct rs_dropwatch *w)
{
	if (!w)
		return;
	w->account.open = false;
	try_open(w, rs_mono_ms());
}

void rs_dropwatch_free(struct rs_dropwatch *w)
{
	if (!w)
		return;
	rs_droplog_free(w->log);
	rs_droprecord_free(w->maker);
	rs_dropfile_close(w->file);
	rs_err_clear(&w->why_not);
	free(w);
}

int rs_dropwatch_fd(const struct rs_dropwatch *w)
{
	struct rs_dp *dp = w->agent->dp;

	return dp->ops->log_fd ? dp->ops->log_fd(dp) : -1;
}

/* ---- one record ------------------------------------------------------------------------------ */

static void look(struct rs_dropwatch *w)
{
	struct rs_dp *dp = w->agent->dp;
	struct rs_dp_log_counts now;
	rs_auto_err err = { 0 };

	w->looked_ms = rs_mono_ms();
	if (!w->account.open || dp->ops->log_counts(dp, &now, &err) < 0)
		return;
	rs_drop_account_look(&w->account, &now);
	rs_droplog_pulse(w->log, w->account.dropped, w->looked_ms);
}

static void on_drop(const struct rs_dp_drop *d, void *arg)
{
	struct rs_dropwatch *w = arg;
	struct rs_drop_mark mark = { .id = rs_droplog_next(w->log),
				     .time_ns = d->time_ns ? d->time_ns : wall_ns(),
				     .suppressed = w->account.suppressed - w->told };
	struct rs_drop_made made;

	w->told = w->account.suppressed;
	rs_droprecord_make(w->maker, d, &mark, &made);
	if (w->file)
		rs_dropfile_put(w->file, made.entry.text, made.entry.len);
	rs_events_drop(w->agent->events, &made);
	rs_droplog_tally(w->log, made.pod, &made.entry, made.policies);
	rs_droplog_add(w->log, &made.entry);
	free(made.pod);
	free(made.policies);
}

static int take(struct rs_dropwatch *w, size_t max)
{
	struct rs_dp *dp = w->agent->dp;
	rs_auto_err err = { 0 };
	int n = dp->ops->log_read ? dp->ops->log_read(dp, max, on_drop, w, &err) : 0;

	if (n < 0)
		rs_log(RS_LOG_WARN, "drop records", "error", rs_err_str(&err), NULL);
	return n;
}

/* Read empty: then a look may tell what is missing. */
static bool drain(struct rs_dropwatch *w, size_t max)
{
	int n = take(w, max);

	return n >= 0 && (size_t)n < max;
}

void rs_dropwatch_read(struct rs_dropwatch *w)
{
	if (drain(w, PORTION) && rs_mono_ms() - w->looked_ms >= LOOK_MS)
		look(w);
}

void rs_dropwatch_settle(struct rs_dropwatch *w)
{
	/* Twice: what the first look has seen and the second reading does not find is lost. */
	for (int i = 0; i < 2 && drain(w, SETTLE_MAX); i++)
		look(w);
}

static void complain(struct rs_dropwatch *w)
{
	const struct rs_err *err = w->file ? rs_dropfile_error(w->file) : NULL;
	bool now = err && err->num;

	if (now && !w->complained)
		rs_log(RS_LOG_WARN, "the drop log is not complete", "error", rs_err_str(err), NULL);
	w->complained = now;
}

void rs_dropwatch_tick(struct rs_dropwatch *w, int64_t mono_ms)
{
	if (!w->account.open && w->why_not.num != ENODATA && mono_ms >= w->retry_ms)
		try_open(w, mono_ms);
	if (w->account.open)
		rs_dropwatch_settle(w);
	complain(w);
}

/* ---- for those who report -------------------------------------------------------------------- */

const char *rs_dropwatch_why_not(const struct rs_dropwatch *w)
{
	return w->account.open ? NULL : rs_err_str(&w->why_not);
}

const struct rs_droplog *rs_dropwatch_log(const struct rs_dropwatch *w)
{
	return w->log;
}

const struct rs_drop_account *rs_dropwatch_account(const struct rs_dropwatch *w)
{
	return &w->account;
}

uint64_t rs_dropwatch_unwritten(const struct rs_dropwatch *w)
{
	return rs_dropfile_unwritten(w->file);
}

void rs_dropwatch_conditions(const struct rs_dropwatch *w, struct rs_conditions *c)
{
	if (!w)
		return;
	if (!w->account.open && w->why_not.num != ENODATA)
		rs_conditions_add(c, "DropRecords", "no drop records: %s", rs_err_str(&w->why_not));
	if (w->complained)
		rs_conditions_add(c, "DropLog", "%s", rs_err_str(rs_dropfile_error(w->file)));
}
