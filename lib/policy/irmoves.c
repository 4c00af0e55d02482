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
	for (i = 0; i < m->n_locals; i++)
		free((char *)(uintptr_t)m->locals[i].comment);
	for (i = 0; i < m->n_guards; i++)
		free((char *)(uintptr_t)m->guards[i].ifname);
	free(m->v);
	free(m->locals);
	free(m->guards);
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

/* v with room for n more than the used ones; *cap is told. */
static void *make_room(struct rs_ir *ir, void *v, size_t used, size_t n, size_t *cap, size_t size)
{
	size_t has = *cap ? *cap : used;
	void *more;

	if (used + n <= has)
		return v;
	*cap = used + n + used / 16 + 64;
	more = rs_ir_alloc(ir, *cap, size);
	if (used)
		memcpy(more, v, used * size);
	return more;
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
	ir->addrs = make_room(ir, ir->addrs, ir->n_addrs, n, &ir->cap_addrs, sizeof(*ir->addrs));
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

/* ---- pods of this node ----------------------------------------------------------------------- */

static void add_locals(struct rs_ir *ir, const struct rs_ir_moves *m)
{
	size_t i, k;

	ir->locals = make_room(ir, ir->locals, ir->n_locals, m->n_locals, &ir->cap_locals,
			       sizeof(*ir->locals));
	for (i = 0; i < m->n_locals; i++) {
		const struct rs_ir_local *l = &m->locals[i];

		for (k = 0; k < ir->n_locals && rs_addr_cmp(&ir->locals[k].addr, &l->addr) < 0; k++)
			;
		memmove(&ir->locals[k + 1], &ir->locals[k],
			(ir->n_locals++ - k) * sizeof(*ir->locals));
		ir->locals[k] = *l;
		ir->locals[k].comment = rs_ir_strdup(ir, l->comment);
	}
}

static void add_guards(struct rs_ir *ir, const struct rs_ir_moves *m)
{
	size_t i, k;

	ir->guards = make_room(ir, ir->guards, ir->n_guards, m->n_guards, &ir->cap_guards,
			       sizeof(*ir->guards));
	for (i = 0; i < m->n_guards; i++) {
		const struct rs_ir_guard *g = &m->guards[i];

		for (k = 0; k < ir->n_guards && rs_ir_guard_cmp(&ir->guards[k], g) < 0; k++)
			;
		memmove(&ir->guards[k + 1], &ir->guards[k],
			(ir->n_guards++ - k) * sizeof(*ir->guards));
		ir->guards[k] = *g;
		ir->guards[k].ifname = rs_ir_strdup(ir, g->ifname);
	}
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
	if (m->n_locals)
		add_locals(ir, m);
	if (m->n_guards)
		add_guards(ir, m);
	ir->generation = m->generation;
}
