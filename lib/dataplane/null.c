// SPDX-License-Identifier: Apache-2.0
/* null.c - a dataplane that only remembers what it was given: dry runs, and tests without
 * packets. */
#include <ripstop/dataplane.h>

#include <errno.h>
#include <string.h>

#include "base/base.h"

struct null_dp {
	struct rs_dp dp;
	struct rs_ir *ir; /* the last commit, relations only; NULL before the first */
};

static struct null_dp *of(struct rs_dp *dp)
{
	return (struct null_dp *)dp; /* its first member */
}

static int null_probe(const struct rs_dp_config *cfg, struct rs_err *err)
{
	(void)cfg;
	(void)err;
	return 0;
}

static int null_open(const struct rs_dp_config *cfg, struct rs_dp **out, struct rs_err *err)
{
	struct null_dp *n = rs_new(struct null_dp);

	(void)cfg;
	(void)err;
	n->dp.ops = &rs_dp_null;
	*out = &n->dp;
	return 0;
}

#define COPY(to, from, field)                                                               \
	do {                                                                                \
		(to)->n_##field = (from)->n_##field;                                        \
		(to)->field = rs_ir_alloc((to), (from)->n_##field, sizeof(*(from)->field)); \
		if ((from)->n_##field)                                                      \
			memcpy((to)->field, (from)->field,                                  \
			       (from)->n_##field * sizeof(*(from)->field));                 \
	} while (0)

/* Strings belong to the IR they came from, and rule ids mean nothing without their lists. */
static void forget_people(struct rs_ir *ir)
{
	for (size_t i = 0; i < ir->n_addrs; i++)
		ir->addrs[i].comment = NULL;
	for (size_t i = 0; i < ir->n_locals; i++)
		ir->locals[i].comment = NULL;
	for (size_t i = 0; i < ir->n_guards; i++)
		ir->guards[i].ifname = NULL;
	for (size_t i = 0; i < ir->n_groups; i++)
		ir->groups[i].n_policies = ir->groups[i].n_why = 0;
	for (size_t i = 0; i < ir->n_cells; i++)
		ir->cells[i].n_why = 0;
}

static struct rs_ir *copy_relations(const struct rs_ir *from)
{
	struct rs_ir *to = rs_ir_new();

	to->generation = from->generation;
	COPY(to, from, addrs);
	COPY(to, from, ranges);
	COPY(to, from, locals);
	COPY(to, from, groups);
	COPY(to, from, cells);
	COPY(to, from, profiles);
	COPY(to, from, ports);
	COPY(to, from, guards);
	COPY(to, from, node_ranges);
	forget_people(to);
	return to;
}

static int null_read(struct rs_dp *dp, struct rs_ir **out, struct rs_err *err)
{
	(void)err;
	*out = of(dp)->ir ? copy_relations(of(dp)->ir) : NULL;
	return 0;
}

static int null_commit(struct rs_dp *dp, const struct rs_ir *next, struct rs_dp_commit *done,
		       struct rs_err *err)
{
	struct null_dp *n = of(dp);

	(void)err;
	memset(done, 0, sizeof(*done));
	if (n->ir && rs_ir_equal(n->ir, next))
		return 0;
	done->changed = true;
	done->rebuilt = !n->ir;
	done->bumped = !n->ir || rs_ir_may_refuse(n->ir, next);
	rs_ir_free(n->ir);
	n->ir = copy_relations(next);
	return 0;
}

static int null_shift(struct rs_dp *dp, const struct rs_ir *now, const struct rs_ir_moves *moves,
		      struct rs_dp_commit *done, struct rs_err *err)
{
	struct null_dp *n = of(dp);

	memset(done, 0, sizeof(*done));
	if (!n->ir || !rs_ir_equal(n->ir, now))
		return rs_err_set(err, ESTALE, "nothing was committed that could move");
	done->bumped = rs_ir_moves_may_refuse(n->ir, moves);
	rs_ir_apply(n->ir, moves);
	done->changed = !rs_ir_equal(n->ir, now);
	return 0;
}

static char *null_print(struct rs_dp *dp, const struct rs_ir *ir)
{
	(void)dp;
	return rs_ir_print(ir);
}

static int null_audit(struct rs_dp *dp, struct rs_dp_drifts *out, struct rs_err *err)
{
	(void)dp;
	(void)err;
	memset(out, 0, sizeof(*out));
	return 0;
}

/* It has no kernel: both are what it remembers. */
static int null_holding(struct rs_dp *dp, struct rs_dp_holding *want, struct rs_dp_holding *have,
			struct rs_err *err)
{
	(void)dp;
	(void)err;
	memset(want, 0, sizeof(*want));
	memset(have, 0, sizeof(*have));
	return 0;
}

static int null_stats(struct rs_dp *dp, struct rs_dp_stats *out, struct rs_err *err)
{
	(void)dp;
	(void)err;
	memset(out, 0, sizeof(*out));
	return 0;
}

static int null_watch_fd(const struct rs_dp *dp)
{
	(void)dp;
	return -1;
}

static int null_watch_read(struct rs_dp *dp, bool *foreign, char **who, struct rs_err *err)
{
	(void)dp;
	(void)err;
	*foreign = false;
	*who = NULL;
	return 0;
}

static char *null_conditions(struct rs_dp *dp)
{
	(void)dp;
	return rs_strdup("the null dataplane enforces nothing");
}

static int null_remove(struct rs_dp *dp, struct rs_err *err)
{
	(void)err;
	rs_ir_free(of(dp)->ir);
	of(dp)->ir = NULL;
	return 0;
}

/* It never closes anything, so there is nothing to close in haste. */
static bool null_is_open(const struct rs_dp *dp)
{
	(void)dp;
	return false;
}

static void null_close(struct rs_dp *dp)
{
	if (!dp)
		return;
	rs_ir_free(of(dp)->ir);
	free(dp);
}

const struct rs_dp_ops rs_dp_null = {
	.name = "null",
	.probe = null_probe,
	.open = null_open,
	.read = null_read,
	.commit = null_commit,
	.shift = null_shift,
	.joins = true,
	.print = null_print,
	.audit = null_audit,
	.holding = null_holding,
	.stats = null_stats,
	.watch_fd = null_watch_fd,
	.watch_read = null_watch_read,
	.conditions = null_conditions,
	.remove = null_remove,
	.close = null_close,
	.is_open = null_is_open,
};
