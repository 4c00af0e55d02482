// SPDX-License-Identifier: Apache-2.0
/* irmoves.c - moves of addresses between the classes of an IR, in place; see <ripstop/ir.h>. */
#include <string.h>

#include "base/arrayedit.h"
#include "base/base.h"
#include "policy/irtools.h"

void rs_ir_moves_clear(struct rs_ir_moves *m)
{
	size_t i;

	for (i = 0; i < m->n; i++)
		free(m->v[i].comment);
	free(m->v);
	memset(m, 0, sizeof(*m));
}

/* The first address that is not below a. */
static size_t lower(const struct rs_ir *ir, const struct rs_addr *a)
{
	size_t lo = 0, hi = ir->n_addrs;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (rs_addr_cmp(&ir->addrs[mid].addr, a) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool at(const struct rs_ir *ir, size_t i, const struct rs_addr *a)
{
	return i < ir->n_addrs && !rs_addr_cmp(&ir->addrs[i].addr, a);
}

/* Those that leave, and those that stay under another class. */
static void change_and_remove(struct rs_ir *ir, const struct rs_ir_moves *m, size_t *index)
{
	size_t i, n = 0;

	for (i = 0; i < m->n; i++) {
		const struct rs_ir_move *v = &m->v[i];
		size_t k = lower(ir, &v->addr);

		if (!at(ir, k, &v->addr))
			continue;
		if (v->to == RS_CLASS_NONE) {
			index[n++] = k;
		} else {
			ir->addrs[k].cls = v->to;
			ir->addrs[k].comment = rs_ir_strdup(ir, v->comment);
		}
	}
	rs_array_remove(ir->addrs, ir->n_addrs, sizeof(*ir->addrs), index, n);
	ir->n_addrs -= n;
}

static void make_room(struct rs_ir *ir, size_t n)
{
	size_t cap = ir->cap_addrs ? ir->cap_addrs : ir->n_addrs;
	struct rs_ir_addr *v;

	if (ir->n_addrs + n <= cap)
		return;
	cap = ir->n_addrs + n + ir->n_addrs / 16 + 64;
	v = rs_ir_alloc(ir, cap, sizeof(*v));
	if (ir->n_addrs)
		memcpy(v, ir->addrs, ir->n_addrs * sizeof(*v));
	ir->addrs = v;
	ir->cap_addrs = cap;
}

static void add_new(struct rs_ir *ir, const struct rs_ir_moves *m, size_t *index)
{
	rs_autofree size_t *which = rs_new0(size_t, m->n);
	size_t i, n = 0;

	for (i = 0; i < m->n; i++) {
		size_t k = lower(ir, &m->v[i].addr);

		if (m->v[i].to == RS_CLASS_NONE || at(ir, k, &m->v[i].addr))
			continue;
		which[n] = i;
		index[n++] = k;
	}
	make_room(ir, n);
	rs_array_open(ir->addrs, ir->n_addrs, sizeof(*ir->addrs), index, n);
	for (i = 0; i < n; i++) {
		const struct rs_ir_move *v = &m->v[which[i]];

		ir->addrs[index[i] + i] = (struct rs_ir_addr){
			.addr = v->addr,
			.cls = v->to,
			.comment = rs_ir_strdup(ir, v->comment),
		};
	}
	ir->n_addrs += n;
}

void rs_ir_apply(struct rs_ir *ir, const struct rs_ir_moves *m)
{
	rs_autofree size_t *index = NULL;

	if (!rs_ir_applies(ir, m->sequence))
		return;
	index = rs_new0(size_t, m->n);
	if (m->n) {
		change_and_remove(ir, m, index);
		add_new(ir, m, index);
	}
	ir->generation = m->generation;
}
