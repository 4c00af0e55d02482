// SPDX-License-Identifier: Apache-2.0
/* compile.c - objects and local pods to an IR: the order of the steps of compile.h. */
#include "policy/compile.h"

#include "base/base.h"
#include "policy/classify.h"
#include "policy/irtools.h"
#include "policy/moves.h"
#include "policy/number.h"
#include "policy/reclass.h"

struct rs_compiler {
	struct rs_numbering *last;
	struct rs_numbering *pending;	/* what `last` becomes once pending_ir is committed */
	const struct rs_ir *pending_ir; /* compared, never read: its owner may have freed it */
	struct rs_kept *kept;		/* of the compile that made `last`; NULL: compile */
	struct rs_kept *pending_kept;
	struct rs_kept *before; /* of the newest compile, when it is none of these */
	bool before_last;	/* ...and that is the one that made `last` */
	uint64_t quick;
};

struct rs_compiler *rs_compiler_new(const struct rs_ir *seed)
{
	struct rs_compiler *c = rs_new(struct rs_compiler);

	c->last = rs_numbering_new(seed);
	return c;
}

void rs_compiler_free(struct rs_compiler *c)
{
	if (!c)
		return;
	rs_numbering_free(c->last);
	rs_numbering_free(c->pending);
	rs_kept_free(c->kept);
	rs_kept_free(c->pending_kept);
	rs_kept_free(c->before);
	free(c);
}

/* It does not hold any more; the next compile looks at it. */
static void set_before(struct rs_compiler *c, struct rs_kept **k)
{
	if (!*k)
		return;
	rs_kept_free(c->before);
	c->before_last = k == &c->kept;
	c->before = rs_steal_ptr(k);
}

static void free_subjects(struct rs_subjects *s)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		rs_vec_free(&s->v[i].policies[RS_INGRESS]);
		rs_vec_free(&s->v[i].policies[RS_EGRESS]);
	}
	rs_vec_free(s);
}

static void free_lists(struct rs_cc *c)
{
	size_t i;

	free_subjects(&c->subjects);
	free_subjects(&c->expected);
	for (i = 0; i < c->rules.n; i++) {
		rs_vec_free(&c->rules.v[i].atoms);
		rs_vec_free(&c->rules.v[i].named);
	}
	for (i = 0; i < c->facets.n; i++) {
		rs_vec_free(&c->facets.v[i].atoms);
		rs_vec_free(&c->facets.v[i].named);
		rs_vec_free(&c->facets.v[i].classes);
	}
	for (i = 0; i < c->why_at.n; i++)
		rs_vec_free(&c->why_at.v[i]);
	rs_vec_free(&c->policies);
	rs_vec_free(&c->rules);
	rs_vec_free(&c->ns_dim_sel);
	rs_vec_free(&c->atoms);
	rs_vec_free(&c->named_out);
	rs_vec_free(&c->block_hash);
	rs_vec_free(&c->facets);
	rs_vec_free(&c->range_cls_of);
	rs_vec_free(&c->why_at);
}

static void free_tables(struct rs_cc *c)
{
	rs_intern_free(&c->ns_names);
	rs_intern_free(&c->ns_dims);
	rs_intern_free(&c->atom_keys);
	rs_intern_free(&c->named);
	rs_intern_free(&c->blocks);
	rs_intern_free(&c->facet_keys);
	rs_intern_free(&c->range_keys);
	rs_intern_free(&c->class_keys);
	rs_intern_free(&c->content_keys);
	rs_intern_free(&c->why_keys);
}

void rs_draft_free_addrs(struct rs_draft *d)
{
	size_t i;

	for (i = 0; i < d->names.n; i++)
		free(d->names.v[i]);
	rs_vec_free(&d->names);
	rs_vec_free(&d->addrs);
}

static void free_draft(struct rs_draft *d)
{
	size_t i;

	for (i = 0; i < d->classes.n; i++)
		rs_vec_free(&d->classes.v[i].members);
	rs_draft_free_addrs(d);
	for (i = 0; i < d->groups.n; i++) {
		rs_vec_free(&d->groups.v[i].policies);
		rs_vec_free(&d->groups.v[i].named);
	}
	for (i = 0; i < d->contents.n; i++)
		rs_vec_free(&d->contents.v[i]);
	rs_vec_free(&d->classes);
	rs_vec_free(&d->ranges);
	rs_vec_free(&d->locals);
	rs_vec_free(&d->groups);
	rs_vec_free(&d->cells);
	rs_vec_free(&d->contents);
	rs_vec_free(&d->whys);
}

void rs_cc_free(struct rs_cc *c)
{
	if (!c)
		return;
	rs_classifier_free(c->classifier);
	free_lists(c);
	free_tables(c);
	free_draft(&c->d);
	free(c);
}

uint64_t rs_compiler_quick(const struct rs_compiler *c)
{
	return c->quick;
}

/* Without its final numbers an IR cannot be compared, so the generation is set last. */
static void set_generation(struct rs_ir *ir, const struct rs_ir *last)
{
	if (!last)
		ir->generation = 1;
	else
		ir->generation = last->generation + !rs_ir_equal(ir, last);
}

static int compile(struct rs_compiler *comp, struct rs_cc *c, struct rs_ir **out,
		   struct rs_err *err)
{
	struct rs_numbering *next;
	struct rs_numbers no = { 0 };
	int rc;

	rs_cc_in_use(c);
	rc = rs_cc_ranges(c, err);
	if (rc < 0)
		return rc;
	if (comp->before && comp->before_last && rs_cc_reclass(c, comp->before, comp->last->last))
		comp->quick++;
	else
		rs_cc_classes(c);
	rs_cc_groups(c);
	rs_cc_cells(c);
	rc = rs_number_draft(comp->last, &c->d, &no, &next, err);
	if (rc < 0)
		return rc;
	/* A batch whose acknowledgement was lost is in force all the same: what this IR was given
	 * is given to nobody else, whether it is committed or not. */
	rs_numbering_floor(comp->last, next);
	*out = rs_cc_emit(c, &no);
	comp->pending_kept = rs_kept_new(c, rs_steal_ptr(&no.classes), no.groups);
	rs_numbers_free(&no);
	set_generation(*out, comp->last->last);
	rs_numbering_free(comp->pending);
	comp->pending = next;
	comp->pending_ir = *out;
	return 0;
}

int rs_compile(struct rs_compiler *comp, const struct rs_world *w, struct rs_ir **out,
	       struct rs_conditions *conditions, struct rs_err *err)
{
	struct rs_cc *c = rs_new(struct rs_cc);
	int rc;

	c->w = w;
	c->conditions = conditions;
	c->max_cells = w->max_cells_per_group ? w->max_cells_per_group : RS_MAX_CELLS_PER_GROUP;
	*out = NULL;
	set_before(comp, &comp->kept);
	set_before(comp, &comp->pending_kept); /* newer */
	c->old = rs_kept_cc(comp->before, w->store, &c->old_since);
	rc = compile(comp, c, out, err);
	if (rc == 0)
		rs_kept_drop(&comp->before);
	if (rc < 0)
		rs_cc_free(c);
	return rc < 0 ? rs_err_wrap(err, "compile policies") : 0;
}

bool rs_compile_moves(struct rs_compiler *comp, const struct rs_world *w, bool joins,
		      struct rs_ir_moves *out)
{
	*out = (struct rs_ir_moves){ 0 };
	if (!comp->kept || !comp->last->last || !rs_kept_moves(comp->kept, w, joins, out)) {
		set_before(comp, &comp->kept);
		return false;
	}
	out->generation = comp->last->last->generation + rs_ir_moves_count(out);
	return true;
}

void rs_compiler_moved(struct rs_compiler *comp, const struct rs_ir_moves *m)
{
	rs_ir_apply(comp->last->last, m);
	rs_kept_settle(comp->kept);
}

void rs_compiler_committed(struct rs_compiler *comp, const struct rs_ir *ir)
{
	struct rs_numbering *next;

	if (comp->pending && comp->pending_ir == ir) {
		next = rs_steal_ptr(&comp->pending);
		next->last = rs_ir_share(ir);
		rs_kept_drop(&comp->kept);
		comp->kept = rs_steal_ptr(&comp->pending_kept);
	} else if (comp->last->last && rs_ir_equal(comp->last->last, ir)) {
		return;
	} else {
		/* Not what was compiled last: its meanings are found again by their members. */
		rs_kept_drop(&comp->kept);
		comp->before_last = false;
		next = rs_numbering_new(ir);
		rs_numbering_floor(next, comp->last);
	}
	rs_numbering_free(comp->last);
	comp->last = next;
	rs_numbering_free(comp->pending);
	comp->pending = NULL;
	comp->pending_ir = NULL;
	rs_kept_drop(&comp->pending_kept);
}
