// SPDX-License-Identifier: Apache-2.0
/*
 * shift.c - moves of addresses between classes, and pods that come, committed as what they are: the
 * plan of the whole world is neither made nor compared.
 */
#include "dataplane/nft/nft.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"

static enum rs_nft_set_id set_of(const struct rs_addr *a)
{
	return a->family == RS_AF_IP4 ? SET_CLS4 : SET_CLS6;
}

/* What the kernel holds of the addresses that move, as the model has it; false: not what the moves
 * start from. */
static bool plan_from(const struct rs_nft_plan *model, const struct rs_ir_moves *m,
		      struct rs_nft_plan *from)
{
	size_t at;

	for (size_t i = 0; i < m->n; i++) {
		const struct rs_ir_move *v = &m->v[i];
		enum rs_nft_set_id id = set_of(&v->addr);
		bool there = rs_nft_plan_find(model, id, v->addr.b, &at);
		struct rs_nft_elems *e = &from->set[id];

		if (there != (v->from != RS_CLASS_NONE) ||
		    (there && model->set[id].data[at] != v->from))
			return false;
		if (!there)
			continue;
		rs_nft_plan_add(from, id, v->addr.b, v->from, NULL);
		e->hash[e->n - 1] = model->set[id].hash[at];
	}
	return true;
}

static void plan_to(const struct rs_ir *now, const struct rs_ir_moves *m, struct rs_nft_plan *to)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].to != RS_CLASS_NONE)
			rs_nft_plan_add(to, set_of(&m->v[i].addr), m->v[i].addr.b, m->v[i].to,
					m->v[i].comment);
	for (size_t i = 0; i < m->n_locals; i++)
		rs_nft_plan_local(to, now, &m->locals[i]);
	for (size_t i = 0; i < m->n_guards; i++)
		rs_nft_plan_guard(to, &m->guards[i]);
	to->generation = m->generation;
}

/* Nothing of a pod that comes is there: an address or link of another one is. */
static bool is_new(const struct rs_nft_plan *model, const struct rs_nft_plan *to)
{
	size_t at;

	for (int id = 0; id < SETS_OF_STATE; id++)
		for (size_t i = 0; id != SET_CLS4 && id != SET_CLS6 && i < to->set[id].n; i++)
			if (rs_nft_plan_find(model, (enum rs_nft_set_id)id,
					     rs_nft_key(to, (enum rs_nft_set_id)id, i), &at))
				return false;
	return true;
}

static int not_what_it_starts_from(struct rs_err *err)
{
	return rs_err_set(err, ESTALE, "the kernel is not known to hold what moves");
}

static int send_moves(struct rs_nft *n, const struct rs_nft_plan *from,
		      const struct rs_nft_plan *to, bool refuses, struct rs_dp_commit *done,
		      struct rs_err *err)
{
	struct rs_nft_diff d;
	int rc = 0;

	rs_nft_diff_make(from, to, &d);
	if (d.edits)
		rc = rs_nft_send_diff(n, from, to, &d, refuses, done, err);
	rs_nft_diff_free(&d);
	return rc;
}

int rs_nft_shift(struct rs_dp *dp, const struct rs_ir *now, const struct rs_ir_moves *m,
		 struct rs_dp_commit *done, struct rs_err *err)
{
	rs_auto_plan struct rs_nft_plan *from = rs_nft_plan_new(), *to = rs_nft_plan_new();
	struct rs_nft *n = rs_nft_of(dp);
	int rc;

	memset(done, 0, sizeof(*done));
	rs_nft_hear_news(n);
	if (!n->known || !n->model || n->model != n->want || n->drifted ||
	    !plan_from(n->model, m, from))
		return not_what_it_starts_from(err);
	rc = rs_nft_check_others(n, err);
	if (rc)
		return rc;
	plan_to(now, m, to);
	rs_nft_plan_sort(from);
	rs_nft_plan_sort(to);
	if (!is_new(n->model, to))
		return not_what_it_starts_from(err);
	rc = send_moves(n, from, to, rs_ir_moves_may_refuse(now, m), done, err);
	if (rc) {
		n->known = false;
		rs_nft_explain_error(err);
		return rs_err_wrap(err, "commit generation %llu",
				   (unsigned long long)m->generation);
	}
	rs_nft_plan_edit(n->model, from, to);
	return 0;
}
