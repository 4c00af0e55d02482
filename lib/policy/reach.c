// SPDX-License-Identifier: Apache-2.0
/* reach.c - the ports that both halves of a flow allow, between two keys; see reach.h. */
#include "policy/reach.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "policy/irtools.h"
#include "policy/reachtools.h"
#include "policy/words.h"

void rs_reach_key(const struct rs_ir *ir, const struct rs_addr *a, struct rs_reach_key *out)
{
	const struct rs_ir_local *l = rs_ir_local(ir, a);

	out->out_group = l ? l->out_group : UINT32_MAX;
	out->in_group = l ? l->in_group : UINT32_MAX;
	if (!rs_ir_class_exact(ir, a, &out->cls))
		out->cls = RS_CLASS_WORLD;
	out->range_cls = rs_ir_class_range(ir, a);
}

static int cmp_u32(uint32_t a, uint32_t b)
{
	return a < b ? -1 : a > b;
}

int rs_reach_key_cmp(const struct rs_reach_key *a, const struct rs_reach_key *b)
{
	int c = cmp_u32(a->out_group, b->out_group);

	c = c ? c : cmp_u32(a->in_group, b->in_group);
	c = c ? c : cmp_u32(a->cls, b->cls);
	return c ? c : cmp_u32(a->range_cls, b->range_cls);
}

/* ---- lists of ports -------------------------------------------------------------------------- */

static void put(struct rs_reach *r, size_t *cap, uint8_t proto, uint16_t lo, uint16_t hi)
{
	if (r->n == *cap) {
		*cap = *cap ? *cap * 2 : 4;
		r->v = rs_reallocarray(r->v, *cap, sizeof(*r->v));
	}
	r->v[r->n++] = (struct rs_reach_port){ proto, lo, hi };
}

void rs_reach_of_profile(const struct rs_ir *ir, uint32_t profile, struct rs_reach *out)
{
	const struct rs_ir_port *v;
	size_t n, i, cap = 0;

	memset(out, 0, sizeof(*out));
	v = rs_ir_profile_ports(ir, profile, &n);
	for (i = 0; i < n; i++)
		if (v[i].allow)
			put(out, &cap, v[i].proto, v[i].lo, v[i].hi);
}

static bool is_any(const struct rs_reach *r)
{
	return r->n && r->v[0].proto == RS_REACH_ANY;
}

static void copy(const struct rs_reach *from, struct rs_reach *to)
{
	memset(to, 0, sizeof(*to));
	to->n = from->n;
	to->v = from->n ? rs_memdup(from->v, from->n * sizeof(*from->v)) : NULL;
}

/* Both are sorted and merged, so what they share is too: the run that ends first is left behind. */
void rs_reach_both(const struct rs_reach *a, const struct rs_reach *b, struct rs_reach *out)
{
	size_t i = 0, j = 0, cap = 0;

	if (is_any(a) || is_any(b)) {
		copy(is_any(a) ? b : a, out);
		return;
	}
	memset(out, 0, sizeof(*out));
	while (i < a->n && j < b->n) {
		const struct rs_reach_port *x = &a->v[i], *y = &b->v[j];
		uint16_t lo = x->lo > y->lo ? x->lo : y->lo, hi = x->hi < y->hi ? x->hi : y->hi;

		if (x->proto == y->proto && lo <= hi)
			put(out, &cap, x->proto, lo, hi);
		if (x->proto < y->proto || (x->proto == y->proto && x->hi < y->hi))
			i++;
		else
			j++;
	}
}

void rs_reach_clear(struct rs_reach *r)
{
	free(r->v);
	memset(r, 0, sizeof(*r));
}

bool rs_reach_equal(const struct rs_reach *a, const struct rs_reach *b)
{
	size_t i;

	if (a->n != b->n)
		return false;
	for (i = 0; i < a->n; i++)
		if (a->v[i].proto != b->v[i].proto || a->v[i].lo != b->v[i].lo ||
		    a->v[i].hi != b->v[i].hi)
			return false;
	return true;
}

bool rs_reach_allows(const struct rs_reach *r, uint8_t proto, uint16_t port)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		if (r->v[i].proto == RS_REACH_ANY ||
		    (r->v[i].proto == proto && r->v[i].lo <= port && port <= r->v[i].hi))
			return true;
	return false;
}

char *rs_reach_str(const struct rs_reach *r)
{
	struct rs_strbuf b = { 0 };
	size_t i;

	for (i = 0; i < r->n; i++) {
		const struct rs_reach_port *p = &r->v[i];

		if (i && r->v[i - 1].proto == p->proto) {
			rs_strbuf_printf(&b, ",%u", p->lo);
			if (p->hi != p->lo)
				rs_strbuf_printf(&b, "-%u", p->hi);
			continue;
		}
		if (i)
			rs_strbuf_putc(&b, ' ');
		rs_put_port_range(&b, p->proto, p->lo, p->hi);
	}
	return b.len ? rs_strbuf_steal(&b) : rs_strdup("none");
}

/* ---- one pair -------------------------------------------------------------------------------- */

static void half(const struct rs_ir *ir, enum rs_ir_dir dir, uint32_t group,
		 const struct rs_reach_key *peer, struct rs_reach *out, bool *isolated)
{
	const struct rs_ir_cell *cell = NULL;
	const struct rs_ir_group *g;

	*isolated = false;
	if (group == UINT32_MAX) {
		rs_reach_of_profile(ir, RS_PROFILE_ALLOW, out);
		return;
	}
	g = rs_ir_group(ir, dir, group);
	*isolated = !g || g->isolated;
	if (peer->cls != RS_CLASS_WORLD)
		cell = rs_ir_cell(ir, dir, group, peer->cls);
	if (!cell && peer->range_cls != RS_CLASS_WORLD)
		cell = rs_ir_cell(ir, dir, group, peer->range_cls);
	rs_reach_of_profile(ir, cell ? cell->profile : g ? g->profile : RS_PROFILE_DENY, out);
}

void rs_ir_reach(const struct rs_ir *ir, const struct rs_reach_key *client,
		 const struct rs_reach_key *server, struct rs_reach *out)
{
	struct rs_reach eg, in;
	bool eg_isolated, in_isolated;

	half(ir, RS_DIR_OUT, client->out_group, server, &eg, &eg_isolated);
	half(ir, RS_DIR_IN, server->in_group, client, &in, &in_isolated);
	rs_reach_both(&eg, &in, out);
	out->out_isolated = eg_isolated;
	out->in_isolated = in_isolated;
	rs_reach_clear(&eg);
	rs_reach_clear(&in);
}
