// SPDX-License-Identifier: Apache-2.0
/* lint.c - a run of the linter, from texts to findings in order; see lint.h. */
#include "cli/lint/lint.h"

#include <string.h>

struct lint *lint_new(void)
{
	struct lint *l = rs_new(struct lint);

	l->store = rs_store_new();
	l->extras = rs_extras_new();
	return l;
}

void lint_free(struct lint *l)
{
	size_t i;

	if (!l)
		return;
	for (i = 0; i < l->policies.n; i++) {
		rs_policy_free(l->policies.v[i].p);
		free(l->policies.v[i].ns);
		free(l->policies.v[i].name);
	}
	for (i = 0; i < l->spaces.n; i++)
		rs_labels_free(&l->spaces.v[i].labels);
	for (i = 0; i < l->found.n; i++) {
		free(l->found.v[i].path);
		free(l->found.v[i].text);
	}
	rs_vec_free(&l->policies);
	rs_vec_free(&l->ends);
	rs_vec_free(&l->spaces);
	rs_vec_free(&l->callers);
	rs_vec_free(&l->makers);
	rs_vec_free(&l->pod_ranges);
	rs_vec_free(&l->found);
	rs_store_free(l->store);
	rs_extras_free(l->extras);
	lint_texts_free(l);
	free(l);
}

/* By namespace and name; those of one name as they came. */
static int by_name(const void *a, const void *b)
{
	const struct lint_policy *p = a, *q = b;
	int d = strcmp(p->ns, q->ns);

	if (!d)
		d = strcmp(p->name, q->name);
	if (!d)
		d = (p->text->number > q->text->number) - (p->text->number < q->text->number);
	return d ? d : (p->number > q->number) - (p->number < q->number);
}

static void check_twice(struct lint *l, struct lint_policy *p, const struct lint_policy *before)
{
	struct lint_at root = lint_root(p), meta = lint_field(&root, "metadata");
	struct lint_at at = lint_field(&meta, "name");

	if (strcmp(p->name, "?") && !strcmp(p->ns, before->ns) && !strcmp(p->name, before->name))
		lint_say(l, p, &at, LINT_DEFINED_TWICE, "defined twice, first at %s:%d:%d",
			 before->text->name, before->pos.line, before->pos.col);
}

static void settle_policies(struct lint *l)
{
	size_t i;

	if (l->policies.n)
		qsort(l->policies.v, l->policies.n, sizeof(*l->policies.v), by_name);
	lint_read_ignores(l);
	for (i = 0; i < l->policies.n; i++) {
		lint_check_fields(l, &l->policies.v[i]);
		lint_decode_policy(l, &l->policies.v[i]);
		if (i)
			check_twice(l, &l->policies.v[i], &l->policies.v[i - 1]);
	}
}

static int by_place(const void *a, const void *b)
{
	const struct lint_finding *f = a, *g = b;
	size_t x = f->pol->text->number, y = g->pol->text->number;

	if (x != y)
		return x < y ? -1 : 1;
	if (f->pos.line != g->pos.line)
		return f->pos.line < g->pos.line ? -1 : 1;
	if (f->pos.col != g->pos.col)
		return f->pos.col < g->pos.col ? -1 : 1;
	if (f->id != g->id)
		return f->id < g->id ? -1 : 1;
	return strcmp(f->text, g->text);
}

int lint_run(struct lint *l, const char *cluster_cidr, struct rs_err *err)
{
	int rc = rs_extras_finish(l->extras, err);

	if (rc == 0)
		rc = lint_world_settle(l, cluster_cidr, err);
	if (rc < 0)
		return rc;
	settle_policies(l);
	lint_check_types(l);
	lint_check_selectors(l);
	lint_check_pairs(l);
	lint_check_blocks(l);
	lint_check_ports(l);
	lint_check_dns(l);
	lint_check_shadows(l);
	lint_check_callers(l);
	if (l->found.n)
		qsort(l->found.v, l->found.n, sizeof(*l->found.v), by_place);
	return 0;
}

size_t lint_count(const struct lint *l, enum lint_severity s)
{
	size_t i, n = 0;

	for (i = 0; i < l->found.n; i++)
		n += l->found.v[i].severity == s && !l->found.v[i].suppressed;
	return n;
}
