// SPDX-License-Identifier: Apache-2.0
/* lift.c - the way back: elements and profile chains to an IR, with a fault named where none
 * fits. */
#include "dataplane/nft/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct rs_addr addr_of(int family, const uint8_t *b)
{
	struct rs_addr a = { .family = (uint8_t)family };

	memcpy(a.b, b, rs_addr_bytes(family));
	return a;
}

static void lift_addrs(const struct rs_nft_plan *p, struct rs_ir *ir)
{
	static const enum rs_nft_set_id ids[2] = { SET_CLS4, SET_CLS6 };

	ir->addrs = rs_ir_alloc(ir, p->set[SET_CLS4].n + p->set[SET_CLS6].n, sizeof(*ir->addrs));
	for (int f = 0; f < 2; f++)
		for (size_t i = 0; i < p->set[ids[f]].n; i++) {
			struct rs_ir_addr *a = &ir->addrs[ir->n_addrs++];

			a->addr = addr_of(f ? RS_AF_IP6 : RS_AF_IP4, rs_nft_key(p, ids[f], i));
			a->cls = p->set[ids[f]].data[i];
			a->comment = rs_ir_strdup(ir, rs_nft_comment(p, ids[f], i));
		}
}

static void lift_ranges(const struct rs_nft_plan *p, struct rs_ir *ir)
{
	static const enum rs_nft_set_id ids[2] = { SET_RNG4, SET_RNG6 };

	ir->ranges = rs_ir_alloc(ir, p->set[SET_RNG4].n + p->set[SET_RNG6].n, sizeof(*ir->ranges));
	for (int f = 0; f < 2; f++)
		for (size_t i = 0; i < p->set[ids[f]].n; i++) {
			struct rs_ir_range *r = &ir->ranges[ir->n_ranges++];
			const uint8_t *key = rs_nft_key(p, ids[f], i);

			r->lo = addr_of(f ? RS_AF_IP6 : RS_AF_IP4, key);
			r->hi = addr_of(f ? RS_AF_IP6 : RS_AF_IP4, key + (f ? 16 : 4));
			r->cls = p->set[ids[f]].data[i];
		}
}

/* lo..hi as one CIDR block; false when it is none. */
static bool block_of(struct rs_addr lo, struct rs_addr hi, struct rs_cidr *out)
{
	/* Longest first: lo of a shorter block may have bits below its length. */
	for (unsigned int len = rs_addr_bits(lo.family) + 1; len-- > 0;) {
		struct rs_cidr c = { .addr = lo, .len = (uint8_t)len };
		struct rs_addr first = rs_cidr_first(&c), last = rs_cidr_last(&c);

		if (!rs_addr_cmp(&first, &lo) && !rs_addr_cmp(&last, &hi)) {
			*out = c;
			return true;
		}
	}
	return false;
}

static int lift_own(const struct rs_nft_plan *p, struct rs_ir *ir, struct rs_err *err)
{
	static const enum rs_nft_set_id ids[2] = { SET_OWN4, SET_OWN6 };

	ir->node_ranges =
		rs_ir_alloc(ir, p->set[SET_OWN4].n + p->set[SET_OWN6].n, sizeof(*ir->node_ranges));
	for (int f = 0; f < 2; f++)
		for (size_t i = 0; i < p->set[ids[f]].n; i++) {
			const uint8_t *key = rs_nft_key(p, ids[f], i);

			if (!block_of(addr_of(f ? RS_AF_IP6 : RS_AF_IP4, key),
				      addr_of(f ? RS_AF_IP6 : RS_AF_IP4, key + (f ? 16 : 4)),
				      &ir->node_ranges[ir->n_node_ranges++]))
				return rs_err_set(err, EBADMSG,
						  "set %s: entry %zu is no CIDR block",
						  rs_nft_sets[ids[f]].name, i);
		}
	return 0;
}

/* An address that is in only one of the two maps gets group 0 for the other: absent. */
static void lift_locals(const struct rs_nft_plan *p, struct rs_ir *ir)
{
	static const enum rs_nft_set_id ins[2] = { SET_IN4, SET_IN6 };
	static const enum rs_nft_set_id outs[2] = { SET_OUT4, SET_OUT6 };

	ir->locals = rs_ir_alloc(
		ir, p->set[SET_IN4].n + p->set[SET_IN6].n + p->set[SET_OUT4].n + p->set[SET_OUT6].n,
		sizeof(*ir->locals));
	for (int f = 0; f < 2; f++) {
		const struct rs_nft_elems *in = &p->set[ins[f]], *out = &p->set[outs[f]];
		size_t i = 0, j = 0;

		while (i < in->n || j < out->n) {
			struct rs_ir_local *l = &ir->locals[ir->n_locals++];
			const char *text;
			int c;

			c = i == in->n ? 1
			    : j == out->n
				    ? -1
				    : rs_nft_key_cmp(&rs_nft_sets[ins[f]], rs_nft_key(p, ins[f], i),
						     rs_nft_key(p, outs[f], j));
			text = c <= 0 ? rs_nft_comment(p, ins[f], i)
				      : rs_nft_comment(p, outs[f], j);
			l->addr = addr_of(f ? RS_AF_IP6 : RS_AF_IP4,
					  c <= 0 ? rs_nft_key(p, ins[f], i)
						 : rs_nft_key(p, outs[f], j));
			l->comment = rs_ir_strdup(ir, text);
			if (c <= 0)
				l->in_group = in->data[i++];
			if (c >= 0)
				l->out_group = out->data[j++];
		}
	}
}

static void lift_cells(const struct rs_nft_plan *p, struct rs_ir *ir)
{
	const struct rs_nft_elems *groups = &p->set[SET_DFLT], *cells = &p->set[SET_CELLS];
	uint32_t key[3];

	ir->groups = rs_ir_alloc(ir, groups->n, sizeof(*ir->groups));
	for (size_t i = 0; i < groups->n; i++) {
		struct rs_ir_group *g = &ir->groups[ir->n_groups++];
		const char *text = rs_nft_comment(p, SET_DFLT, i);

		memcpy(key, rs_nft_key(p, SET_DFLT, i), 8);
		g->dir = (uint8_t)key[0];
		g->group = key[1];
		g->profile = groups->data[i];
		g->isolated = !text || strcmp(text, "open") != 0;
		g->over_budget = text && strstr(text, "over budget");
	}
	ir->cells = rs_ir_alloc(ir, cells->n, sizeof(*ir->cells));
	for (size_t i = 0; i < cells->n; i++) {
		struct rs_ir_cell *c = &ir->cells[ir->n_cells++];

		memcpy(key, rs_nft_key(p, SET_CELLS, i), 12);
		c->dir = (uint8_t)key[0];
		c->group = key[1];
		c->cls = key[2];
		c->profile = cells->data[i];
	}
}

static bool parse_guard(struct rs_ir *ir, struct rs_ir_guard *g, const char *text)
{
	unsigned int m[6];
	char name[32], ll[RS_ADDR_STRLEN];

	if (!text || sscanf(text, "%31s %2x:%2x:%2x:%2x:%2x:%2x %45s", name, &m[0], &m[1], &m[2],
			    &m[3], &m[4], &m[5], ll) != 8)
		return false;
	for (int i = 0; i < 6; i++)
		g->mac[i] = (uint8_t)m[i];
	g->ifname = strcmp(name, "-") ? rs_ir_strdup(ir, name) : NULL;
	return !strcmp(ll, "-") || rs_addr_parse(ll, &g->ll, NULL) == 0;
}

static int guard_cmp(const void *a, const void *b)
{
	const struct rs_ir_guard *x = a, *y = b;

	if (x->ifindex != y->ifindex)
		return x->ifindex < y->ifindex ? -1 : 1;
	return rs_addr_cmp(&x->addr, &y->addr);
}

static int lift_guards(const struct rs_nft_plan *p, struct rs_ir *ir, struct rs_err *err)
{
	static const enum rs_nft_set_id ids[2] = { SET_GUARD4, SET_GUARD6 };

	ir->guards =
		rs_ir_alloc(ir, p->set[SET_GUARD4].n + p->set[SET_GUARD6].n, sizeof(*ir->guards));
	for (int f = 0; f < 2; f++)
		for (size_t i = 0; i < p->set[ids[f]].n; i++) {
			struct rs_ir_guard *g = &ir->guards[ir->n_guards++];
			const uint8_t *key = rs_nft_key(p, ids[f], i);

			memcpy(&g->ifindex, key, 4);
			g->addr = addr_of(f ? RS_AF_IP6 : RS_AF_IP4, key + 4);
			if (!parse_guard(ir, g, rs_nft_comment(p, ids[f], i)))
				return rs_err_set(err, EBADMSG,
						  "set %s: entry %zu has no usable comment",
						  rs_nft_sets[ids[f]].name, i);
		}
	if (ir->n_guards)
		qsort(ir->guards, ir->n_guards, sizeof(*ir->guards), guard_cmp);
	return 0;
}

static int port_cmp(const void *a, const void *b)
{
	const struct rs_ir_port *x = a, *y = b;

	if (x->proto != y->proto)
		return x->proto < y->proto ? -1 : 1;
	return (x->lo > y->lo) - (x->lo < y->lo);
}

static bool same_ports(const struct rs_nft_plan *p, const struct rs_nft_profile *a,
		       const struct rs_nft_profile *b)
{
	if (a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++) {
		const struct rs_ir_port *x = &p->ports.v[a->first + i];
		const struct rs_ir_port *y = &p->ports.v[b->first + i];

		if (x->proto != y->proto || x->lo != y->lo || x->hi != y->hi ||
		    x->allow != y->allow)
			return false;
	}
	return true;
}

static int profile_number_cmp(const void *a, const void *b)
{
	const struct rs_nft_profile *const *x = a, *const *y = b;

	if ((*x)->profile != (*y)->profile)
		return (*x)->profile < (*y)->profile ? -1 : 1;
	return ((*x)->dir > (*y)->dir) - ((*x)->dir < (*y)->dir);
}

static int lift_profiles(const struct rs_nft_plan *p, struct rs_ir *ir, struct rs_err *err)
{
	size_t n = p->profiles.n;
	rs_autofree const struct rs_nft_profile **by = rs_new0(const struct rs_nft_profile *, n);

	ir->profiles = rs_ir_alloc(ir, n, sizeof(*ir->profiles));
	ir->ports = rs_ir_alloc(ir, p->ports.n, sizeof(*ir->ports));
	for (size_t i = 0; i < n; i++)
		by[i] = &p->profiles.v[i];
	if (n)
		qsort(by, n, sizeof(*by), profile_number_cmp);
	for (size_t i = 0; i < n; i++) {
		struct rs_ir_profile *pr;

		if (i && by[i - 1]->profile == by[i]->profile) {
			if (!same_ports(p, by[i - 1], by[i]))
				return rs_err_set(err, EBADMSG, "profile %u: its two chains differ",
						  by[i]->profile);
			continue;
		}
		pr = &ir->profiles[ir->n_profiles++];
		pr->profile = by[i]->profile;
		pr->first = (uint32_t)ir->n_ports;
		pr->n = by[i]->n;
		if (!pr->n)
			continue;
		memcpy(&ir->ports[ir->n_ports], &p->ports.v[by[i]->first],
		       pr->n * sizeof(*ir->ports));
		qsort(&ir->ports[ir->n_ports], pr->n, sizeof(*ir->ports), port_cmp);
		ir->n_ports += pr->n;
	}
	return 0;
}

int rs_nft_plan_to_ir(const struct rs_nft_plan *p, struct rs_ir **out, struct rs_err *err)
{
	struct rs_ir *ir = rs_ir_new();
	int rc;

	ir->generation = p->generation;
	lift_addrs(p, ir);
	lift_ranges(p, ir);
	lift_locals(p, ir);
	lift_cells(p, ir);
	rc = lift_own(p, ir, err);
	if (!rc)
		rc = lift_guards(p, ir, err);
	if (!rc)
		rc = lift_profiles(p, ir, err);
	if (rc) {
		rs_ir_free(ir);
		return rc;
	}
	*out = ir;
	return 0;
}
