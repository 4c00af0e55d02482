// SPDX-License-Identifier: Apache-2.0
/*
 * bpfshift.c - moves of addresses between classes, committed as what they are: the plan of the
 * whole world is neither made nor compared.
 */
#include "dataplane/ebpf/ebpf.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"

/* What the maps say of an address; flags 0: nothing. */
static struct rs_bpf_end end_of(const struct rs_bpf_plan *model, const struct rs_bpf_addr *a)
{
	const struct rs_bpf_table *t = &model->t[RS_BPF_MAP_ENDS];
	struct rs_bpf_end e = { 0 };
	size_t at;

	if (rs_bpf_table_find(t, RS_BPF_MAP_ENDS, (const uint8_t *)a, &at))
		memcpy(&e, rs_bpf_value(t, RS_BPF_MAP_ENDS, at), sizeof(e));
	return e;
}

static bool starts_from(const struct rs_bpf_end *e, uint32_t cls)
{
	if (!(e->flags & RS_BPF_END_CLASS))
		return cls == RS_CLASS_NONE;
	return e->cls == cls;
}

static void move(struct rs_bpf_end *e, uint32_t cls)
{
	e->flags &= ~RS_BPF_END_CLASS;
	e->cls = 0;
	if (cls == RS_CLASS_NONE)
		return;
	e->flags |= RS_BPF_END_CLASS;
	e->cls = cls;
}

static void put(struct rs_bpf_plan *p, const struct rs_bpf_addr *key, const struct rs_bpf_end *e)
{
	if (e->flags)
		rs_bpf_table_add(&p->t[RS_BPF_MAP_ENDS], RS_BPF_MAP_ENDS, key, e);
}

/* The addresses that move, before and after; false: the model is not what the moves start from. */
static bool plans_of(const struct rs_bpf_plan *model, const struct rs_ir_moves *m,
		     struct rs_bpf_plan *from, struct rs_bpf_plan *to)
{
	for (size_t i = 0; i < m->n; i++) {
		struct rs_bpf_addr key = rs_bpf_addr_of(&m->v[i].addr);
		struct rs_bpf_end e = end_of(model, &key);

		if (!starts_from(&e, m->v[i].from))
			return false;
		put(from, &key, &e);
		move(&e, m->v[i].to);
		put(to, &key, &e);
	}
	rs_bpf_table_order(&from->t[RS_BPF_MAP_ENDS], RS_BPF_MAP_ENDS);
	rs_bpf_table_order(&to->t[RS_BPF_MAP_ENDS], RS_BPF_MAP_ENDS);
	return true;
}

static int carry_out(struct rs_ebpf *e, const struct rs_bpf_plan *from,
		     const struct rs_bpf_plan *to, uint64_t generation, struct rs_dp_commit *done,
		     struct rs_err *err)
{
	struct rs_bpf_steps steps = { 0 };
	int rc = 0;

	rs_bpf_steps_make(from, to, &steps);
	if (steps.n) {
		rc = rs_ebpf_carry_out(e, &steps, NULL, generation, done, err);
		if (!rc) {
			rs_bpf_table_edit(&e->model->t[RS_BPF_MAP_ENDS], RS_BPF_MAP_ENDS,
					  &from->t[RS_BPF_MAP_ENDS], &to->t[RS_BPF_MAP_ENDS]);
			e->model->generation = generation;
		}
		rs_ebpf_settle(e, &steps, e->model, !rc);
	}
	rs_vec_free(&steps);
	return rc;
}

int rs_ebpf_shift(struct rs_dp *dp, const struct rs_ir *now, const struct rs_ir_moves *m,
		  struct rs_dp_commit *done, struct rs_err *err)
{
	rs_auto_bpf_plan *from = rs_bpf_plan_new();
	rs_auto_bpf_plan *to = rs_bpf_plan_new();
	struct rs_ebpf *e = rs_ebpf_of(dp);
	int64_t since = rs_mono_ms();
	int rc;

	(void)now; /* the model is the same, as far as it is known */
	memset(done, 0, sizeof(*done));
	/* A link that comes wants its programs too, which commit() brings. */
	if (m->n_locals || !e->known || !e->model || !plans_of(e->model, m, from, to))
		return rs_err_set(err, ESTALE, "the maps are not known to hold what moves");
	rc = carry_out(e, from, to, m->generation, done, err);
	done->ms = (double)(rs_mono_ms() - since);
	if (rc) {
		e->known = false;
		rs_bpf_explain_error(err);
		rs_err_wrap(err, "commit generation %llu", (unsigned long long)m->generation);
		return rc;
	}
	return 0;
}
