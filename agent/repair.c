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

void rs_repair_free(struct rs_repairs *r)
{
	free(r->who);
	for (size_t i = 0; i < r->n_last; i++)
		free(r->last[i]);
	memset(r, 0, sizeof(*r));
}

/* The last mending, for `ripstop verify`. */
static void note_mended(struct rs_repairs *r, const struct rs_dp_drifts *d)
{
	while (r->n_last)
		free(r->last[--r->n_last]);
	while (r->n_last < d->n && r->n_last < RS_REPAIRS_KEPT) {
		const struct rs_dp_drift *x = &d->v[r->n_last];

		r->last[r->n_last++] = rs_asprintf("%s: %s", x->object, x->what);
	}
	r->mended += d->n;
	r->times++;
	r->last_s = rs_now_s();
}

static void note_who(struct rs_repairs *r, const char *who)
{
	if (!who)
		return;
	free(r->who);
	r->who = rs_strdup(who);
	r->who_s = rs_now_s();
}

int rs_repair_look(struct rs_agent *a, struct rs_dp_drifts *d, struct rs_err *err)
{
	int rc;

	memset(d, 0, sizeof(*d));
	rc = a->dp->ops->audit(a->dp, d, err);
	if (rc < 0)
		return rs_err_wrap(err, "audit");
	a->in_sync = d->n == 0;
	return 0;
}

int rs_repair_mend(struct rs_agent *a, const struct rs_dp_drifts *d, int64_t now_ms,
		   struct rs_err *err)
{
	int rc = rs_reconcile_repair(a->rec, now_ms, err);

	a->in_sync = rc == 0;
	if (rc == 0)
		note_mended(&a->repairs, d);
	rs_loop_kick(a);
	return rc;
}

bool rs_repair_untouched(const struct rs_agent *a)
{
	return a->in_sync && a->dp->ops->untouched && a->dp->ops->untouched(a->dp);
}

int rs_repair_audit(struct rs_agent *a, const char *who, int64_t now_ms, struct rs_err *err)
{
	struct rs_dp_drifts d = { 0 };
	bool was_in_sync = a->in_sync;
	int n, rc;

	/* Nothing committed and nothing adopted: nothing that could have drifted. */
	if (!rs_reconcile_ir(a->rec))
		return 0;
	rc = rs_repair_look(a, &d, err);
	if (rc < 0)
		return rc;
	n = (int)d.n;
	if (n)
		note_who(&a->repairs, who);
	/* Without repair what stays there is found again and again: it is told once. */
	if (n && (a->opt.repair || was_in_sync)) {
		log_drifts(&d, who);
		a->metrics.drift += d.n;
	}
	if (n && a->opt.repair)
		rc = rs_repair_mend(a, &d, now_ms, err);
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
