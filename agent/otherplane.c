// SPDX-License-Identifier: Apache-2.0
/*
 * otherplane.c - from one dataplane to another: the rules of the one that was used before judge on,
 * beside ours, until ours are whole and verified.
 */
#include "agent/agent.h"

#include <errno.h>
#include <string.h>

static const struct rs_dp_ops *other_than(const struct rs_dp_ops *ours)
{
	if (ours == &rs_dp_nft)
		return &rs_dp_ebpf; /* ebpf-tc is another shape of it, and known by it */
	return ours == &rs_dp_ebpf || ours == &rs_dp_ebpf_tc ? &rs_dp_nft : NULL;
}

static int open_other(const struct rs_agent *a, struct rs_dp **out, struct rs_err *err)
{
	struct rs_dp_config cfg = rs_options_dataplane(&a->opt);

	return other_than(a->dp->ops)->open(&cfg, out, err);
}

/* What is there and cannot be read judges too, unless it is another node's (-EBUSY). */
bool rs_otherplane_judges(const struct rs_agent *a)
{
	struct rs_dp *dp = NULL;
	struct rs_ir *ir = NULL;
	bool judges;
	int rc;

	if (!other_than(a->dp->ops) || open_other(a, &dp, NULL) < 0)
		return false;
	rc = dp->ops->read(dp, &ir, NULL);
	judges = rc == 0 ? !dp->ops->is_open(dp) : rc != -EBUSY;
	rs_ir_free(ir);
	dp->ops->close(dp);
	if (judges)
		rs_log(RS_LOG_INFO, "rules of another dataplane are in force, until ours are too",
		       "other", other_than(a->dp->ops)->name, NULL);
	return judges;
}

/* Ours are in force and are what they should be. */
static bool is_whole(struct rs_agent *a)
{
	rs_autofree char *why = rs_reconcile_why_not_ready(a->rec);
	struct rs_dp_drifts d = { 0 };
	bool whole;

	if (why)
		return false;
	whole = a->dp->ops->audit(a->dp, &d, NULL) == 0 && !d.n;
	rs_dp_drifts_free(&d);
	return whole;
}

int rs_otherplane_remove(struct rs_agent *a, struct rs_err *err)
{
	struct rs_dp *dp = NULL;
	int rc;

	if (!other_than(a->dp->ops))
		return 0;
	rc = open_other(a, &dp, err);
	if (rc == 0)
		rc = dp->ops->remove(dp, err);
	if (dp)
		dp->ops->close(dp);
	if (rc == -EBUSY) { /* another node's */
		rs_err_clear(err);
		rc = 0;
	}
	return rc;
}

/* Pods that only we know are closed by them: again with the next audit, told once. */
static void note_failure(struct rs_agent *a, const struct rs_err *err)
{
	char *why = err->hint ? rs_asprintf("%s; %s", rs_err_str(err), err->hint)
			      : rs_strdup(rs_err_str(err));

	if (!a->why_other_stays || strcmp(a->why_other_stays, why) != 0)
		rs_log(RS_LOG_ERROR, "remove the rules of the dataplane before", "error", why,
		       NULL);
	free(a->why_other_stays);
	a->why_other_stays = why;
}

void rs_otherplane_leave(struct rs_agent *a, bool again)
{
	rs_auto_err err = { 0 };

	if (!a->other_judges || (a->why_other_stays && !again) || !is_whole(a))
		return;
	if (rs_otherplane_remove(a, &err) < 0) {
		note_failure(a, &err);
		return;
	}
	a->other_judges = false;
	free(rs_steal_ptr(&a->why_other_stays));
	rs_log(RS_LOG_INFO, "the rules of the dataplane before are gone", "other",
	       other_than(a->dp->ops)->name, NULL);
}

const char *rs_otherplane_name(const struct rs_agent *a)
{
	return a->other_judges ? other_than(a->dp->ops)->name : NULL;
}

void rs_otherplane_conditions(const struct rs_agent *a, struct rs_conditions *c)
{
	if (!a->other_judges)
		return;
	if (a->why_other_stays)
		rs_conditions_add(c, "OtherDataplane",
				  "rules of %s judge beside those of %s, and pods that came since "
				  "are closed by them: %s",
				  other_than(a->dp->ops)->name, a->dp->ops->name,
				  a->why_other_stays);
	else
		rs_conditions_add(c, "OtherDataplane",
				  "rules of %s judge too, until those of %s are in force and whole",
				  other_than(a->dp->ops)->name, a->dp->ops->name);
}
