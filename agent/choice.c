// SPDX-License-Identifier: Apache-2.0
/*
 * choice.c - which dataplane enforces: the one that is configured or, where this node cannot carry
 * it, the one that every node can. A node never runs without one because of what was asked for.
 */
#include "agent/agent.h"

#include <errno.h>
#include <string.h>

#include "agent/dropwatch.h"

static const struct choice {
	const char *asked;
	const struct rs_dp_ops *first;
	const struct rs_dp_ops
		*then; /* where the first cannot be; NULL: the agent does not start */
	bool either;   /* either is what was asked for */
} table[] = {
	{ "nft", &rs_dp_nft, NULL, false },
	{ "ebpf", &rs_dp_ebpf, &rs_dp_nft, false },
	{ "ebpf-tc", &rs_dp_ebpf_tc, &rs_dp_nft, false },
	{ "auto", &rs_dp_ebpf, &rs_dp_nft, true },
	{ "null", &rs_dp_null, NULL, false },
};

static const struct choice *choice_of(const struct rs_agent *a)
{
	for (size_t i = 0; i < RS_ARRAY_SIZE(table); i++)
		if (!strcmp(table[i].asked, a->opt.dataplane))
			return &table[i];
	return NULL;
}

static int open_one(const struct rs_agent *a, const struct rs_dp_ops *ops, struct rs_dp **out,
		    struct rs_err *err)
{
	struct rs_dp_config cfg = rs_options_dataplane(&a->opt);
	int rc = ops->probe(&cfg, err);

	if (rc == 0)
		rc = ops->open(&cfg, out, err);
	return rc < 0 ? rs_err_wrap(err, "dataplane %s", ops->name) : 0;
}

/* Why it is not the first of the row. */
static void note(struct rs_agent *a, const struct choice *c, const struct rs_err *why)
{
	free(a->why_not_first);
	a->why_not_first = why->hint ? rs_asprintf("%s; %s", rs_err_str(why), why->hint)
				     : rs_strdup(rs_err_str(why));
	rs_log(c->either ? RS_LOG_INFO : RS_LOG_WARN, "another dataplane than the first enforces",
	       "asked", c->asked, "first", c->first->name, "chosen", c->then->name, "error",
	       rs_err_str(why), why->hint ? "hint" : NULL, why->hint, NULL);
}

int rs_choice_open(struct rs_agent *a, struct rs_err *err)
{
	const struct choice *c = choice_of(a);
	rs_auto_err why = { 0 };
	int rc;

	if (!c)
		return rs_err_set(err, ENOSYS, "no dataplane '%s'", a->opt.dataplane);
	rc = open_one(a, c->first, &a->dp, &why);
	if (rc < 0 && c->then) {
		note(a, c, &why);
		rs_err_clear(&why);
		rc = open_one(a, c->then, &a->dp, &why);
	}
	if (rc < 0) {
		if (a->why_not_first)
			rs_err_wrap(&why, "%s; and", a->why_not_first);
		rs_err_move(err, &why);
		return rc;
	}
	a->other_judges = rs_otherplane_judges(a);
	return 0;
}

bool rs_choice_has_another(const struct rs_agent *a)
{
	const struct choice *c = choice_of(a);

	return c && c->then && a->dp && a->dp->ops == c->first;
}

int rs_choice_take_another(struct rs_agent *a, const struct rs_err *why, struct rs_err *err)
{
	const struct choice *c = choice_of(a);
	struct rs_dp *first = a->dp, *then = NULL;
	int rc = open_one(a, c->then, &then, err);

	if (rc < 0)
		return rc;
	a->dp = then;
	a->other_judges = rs_otherplane_judges(a);
	/* Before the first goes: what judges is read first, what listens is moved first. */
	if (a->rec)
		rc = rs_reconcile_set_dataplane(a->rec, then, a->other_judges, err);
	if (rc < 0) {
		a->dp = first;
		then->ops->close(then);
		a->other_judges = rs_otherplane_judges(a);
		return rc;
	}
	note(a, c, why);
	rs_dropwatch_follow(a->drops);
	rs_loop_follow(a);
	if (!a->other_judges)
		(void)first->ops->remove(first, NULL); /* the half that it could make */
	first->ops->close(first);
	rs_repair_conditions(a);
	return 0;
}

/* ---- for those who report -------------------------------------------------------------------- */

bool rs_choice_is_fallback(const struct rs_agent *a)
{
	const struct choice *c = choice_of(a);

	return c && a->why_not_first && !c->either;
}

char *rs_choice_reason(const struct rs_agent *a)
{
	const struct choice *c = choice_of(a);

	if (!c || (!c->either && !a->why_not_first))
		return rs_strdup("as configured");
	if (!a->why_not_first)
		return rs_asprintf("auto: programs of %s load and attach on this node",
				   c->first->name);
	return rs_asprintf("%s cannot be used on this node: %s", c->first->name, a->why_not_first);
}

void rs_choice_conditions(const struct rs_agent *a, struct rs_conditions *c)
{
	if (rs_choice_is_fallback(a))
		rs_conditions_add(c, "DataplaneFallback",
				  "%s enforces in place of %s, which is configured: %s",
				  a->dp->ops->name, a->opt.dataplane, a->why_not_first);
	if (a->dp->ops == &rs_dp_null)
		rs_conditions_add(c, "NoEnforcement", "dataplane null: no policy is enforced");
}
