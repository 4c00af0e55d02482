// SPDX-License-Identifier: Apache-2.0
/* judged.c - from counters of cells to rules; see judged.h. */
#include "agent/judged.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"

struct search {
	const struct rs_ir *ir;
	const struct rs_dp_stats *s;
	const char *policy;
	uint32_t index;
	uint8_t dir;
	uint32_t group;
	int64_t judged;
	bool found; /* it decides somewhere */
	bool doubt; /* packets of its peers may have been counted elsewhere */
};

static uint64_t count_of(const struct search *q, uint32_t cls)
{
	size_t lo = 0, hi = q->s->n_judged;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct rs_dp_judged *j = &q->s->judged[mid];
		int d = j->dir != q->dir       ? (j->dir < q->dir ? -1 : 1)
			: j->group != q->group ? (j->group < q->group ? -1 : 1)
			: j->cls != cls	       ? (j->cls < cls ? -1 : 1)
					       : 0;

		if (!d)
			return j->judged;
		if (d < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return 0;
}

static bool is_rule(const struct search *q, uint32_t number)
{
	const struct rs_ir_rule *r;
	const char *slash = strchr(q->policy, '/');
	size_t len = slash ? (size_t)(slash - q->policy) : 0;

	if (number >= q->ir->n_rules || !slash)
		return false;
	r = &q->ir->rules[number];
	return r->dir == q->dir && r->index == q->index && strlen(r->ns) == len &&
	       !strncmp(r->ns, q->policy, len) && !strcmp(r->name, slash + 1);
}

static bool decides(const struct search *q, uint32_t first, uint32_t n)
{
	for (uint32_t i = first; i < first + n; i++)
		if (is_rule(q, q->ir->whys[i].rule))
			return true;
	return false;
}

static bool is_range(const struct rs_ir *ir, uint32_t cls)
{
	for (size_t i = 0; i < ir->n_ranges; i++)
		if (ir->ranges[i].cls == cls)
			return true;
	return false;
}

/* Classes whose answer is that of their range, or of the group's default, have no cell of their
 * own: what is counted there may have been theirs, allowed by another rule with the same ports. */
static void take(struct search *q, uint32_t cls, uint32_t first, uint32_t n, bool fallback)
{
	uint64_t judged = count_of(q, cls);

	if (decides(q, first, n)) {
		q->found = true;
		q->judged += (int64_t)judged;
	} else if (fallback && n && judged) {
		q->doubt = true;
	}
}

int64_t rs_judged_rule(const struct rs_ir *ir, const struct rs_dp_stats *s,
		       const struct rs_addr *pod, enum rs_direction dir, const char *policy,
		       uint32_t index)
{
	const struct rs_ir_local *local = rs_ir_local(ir, pod);
	struct search q = { .ir = ir, .s = s, .policy = policy, .index = index };
	const struct rs_ir_group *g;

	if (!local || !s->n_judged)
		return -1;
	q.dir = dir == RS_EGRESS ? RS_DIR_OUT : RS_DIR_IN;
	q.group = q.dir == RS_DIR_OUT ? local->out_group : local->in_group;
	g = rs_ir_group(ir, (enum rs_ir_dir)q.dir, q.group);
	if (!g)
		return -1;
	take(&q, RS_CLASS_WORLD, g->first_why, g->n_why, true);
	for (size_t i = 0; i < ir->n_cells; i++) {
		const struct rs_ir_cell *c = &ir->cells[i];

		if (c->dir == q.dir && c->group == q.group)
			take(&q, c->cls, c->first_why, c->n_why, is_range(ir, c->cls));
	}
	if (!q.found || (!q.judged && q.doubt))
		return -1;
	return q.judged;
}

static int passed_cmp(const void *a, const void *b)
{
	const struct rs_dp_passed *x = a, *y = b;
	int c = strcmp(x->ns, y->ns);

	if (!c)
		c = strcmp(x->name, y->name);
	if (!c)
		c = (x->dir > y->dir) - (x->dir < y->dir);
	return c ? c : (x->index > y->index) - (x->index < y->index);
}

const struct rs_dp_counter *rs_passed_rule(const struct rs_dp_stats *s, enum rs_direction dir,
					   const char *policy, uint32_t index, int64_t judged)
{
	const char *slash = strchr(policy, '/');
	rs_autofree char *ns = slash ? rs_strndup(policy, (size_t)(slash - policy)) : NULL;
	rs_autofree char *name = slash ? rs_strdup(slash + 1) : NULL;
	struct rs_dp_passed key = { .ns = ns,
				    .name = name,
				    .dir = dir == RS_EGRESS ? RS_DIR_OUT : RS_DIR_IN,
				    .index = index };
	const struct rs_dp_passed *p = NULL;

	if (slash && s->n_passed)
		p = bsearch(&key, s->passed, s->n_passed, sizeof(key), passed_cmp);
	return p && (p->n.packets || judged >= 0) ? &p->n : NULL;
}
