// SPDX-License-Identifier: Apache-2.0
/* repair.c - a foreign change of our rules is noticed, named, counted and undone. */
#include "agent/agent.h"

#include <string.h>

#define LOGGED_DRIFTS 8

static void log_drifts(const struct rs_dp_drifts *d, const char *who)
{
	for (size_t i = 0; i < d->n && i < LOGGED_DRIFTS; i++)
		rs_log(RS_LOG_WARN, "the kernel's rules were changed by somebody else", "object",
		       d->v[i].object, "what", d->v[i].what, "who", who, NULL);
	if (d->n > LOGGED_DRIFTS)
		rs_log(RS_LOG_WARN, "and more differences", "n", RS_LOG_U64(d->n - LOGGED_DRIFTS),
		       NULL);
}

int rs_repair_audit(struct rs_agent *a, const char *who, int64_t now_ms, struct rs_err *err)
{
	struct rs_dp_drifts d = { 0 };
	int n, rc;

	/* Nothing committed and nothing adopted: nothing that could have drifted. */
	if (!rs_reconcile_ir(a->rec))
		return 0;
	rc = a->dp->ops->audit(a->dp, &d, err);
	if (rc < 0)
		return rs_err_wrap(err, "audit");
	n = (int)d.n;
	a->in_sync = n == 0;
	if (n) {
		log_drifts(&d, who);
		a->metrics.drift += d.n;
		rc = rs_reconcile_repair(a->rec, now_ms, err);
		a->in_sync = rc == 0;
		rs_loop_kick(a);
	}
	rs_dp_drifts_free(&d);
	return rc < 0 ? rc : n;
}

void rs_repair_watch(struct rs_agent *a, int64_t now_ms)
{
	rs_autofree char *who = NULL;
	rs_auto_err err = { 0 };
	bool foreign = false;

	if (a->dp->ops->watch_read(a->dp, &foreign, &who, &err) < 0) {
		/* Notifications were lost: what happened is not known, so look. */
		rs_log(RS_LOG_WARN, "ruleset notifications", "error", rs_err_str(&err), NULL);
		rs_err_clear(&err);
		foreign = true;
	}
	rs_masquerade_sync(a); /* a table of its own: any change of another table may be of it */
	if (!foreign)
		return;
	if (rs_repair_audit(a, who, now_ms, &err) < 0)
		rs_log(RS_LOG_ERROR, "not repaired", "error", rs_err_str(&err), NULL);
	rs_repair_conditions(a);
}

void rs_repair_conditions(struct rs_agent *a)
{
	free(a->dp_conditions);
	a->dp_conditions = a->dp->ops->conditions(a->dp);
}
