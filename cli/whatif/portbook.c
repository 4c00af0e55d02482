// SPDX-License-Identifier: Apache-2.0
/* portbook.c - sets of ports by number, so that the sides of a difference compare numbers. */
#include "cli/whatif/whatif.h"

#include <string.h>

#include "policy/intern.h"

struct portbook {
	struct rs_intern contents;
	struct rs_intern combined; /* (x, y, and or or), each to a number of results */
	struct rs_vec(struct rs_reach) sets;
	struct rs_u32s results;
};

struct portbook *portbook_new(void)
{
	struct portbook *b = rs_new(struct portbook);
	struct rs_reach_port any = { RS_REACH_ANY, 0, UINT16_MAX };
	struct rs_reach none = { 0 }, all = { .v = &any, .n = 1 };

	portbook_put(b, &none);
	portbook_put(b, &all);
	return b;
}

void portbook_free(struct portbook *b)
{
	size_t i;

	if (!b)
		return;
	for (i = 0; i < b->sets.n; i++)
		free(b->sets.v[i].v);
	rs_vec_free(&b->sets);
	rs_vec_free(&b->results);
	rs_intern_free(&b->contents);
	rs_intern_free(&b->combined);
	free(b);
}

uint32_t portbook_put(struct portbook *b, const struct rs_reach *r)
{
	rs_auto_strbuf key = { 0 };
	uint32_t number;
	bool fresh;
	size_t i;

	rs_key_u32(&key, (uint32_t)r->n);
	for (i = 0; i < r->n; i++) {
		rs_key_u32(&key, r->v[i].proto);
		rs_key_u32(&key, (uint32_t)r->v[i].lo << 16 | r->v[i].hi);
	}
	number = rs_intern_put(&b->contents, key.s, key.len, &fresh);
	if (fresh)
		*rs_vec_push(&b->sets) = (struct rs_reach){
			.v = r->n ? rs_memdup(r->v, r->n * sizeof(*r->v)) : NULL,
			.n = r->n,
		};
	return number;
}

const struct rs_reach *portbook_get(const struct portbook *b, uint32_t number)
{
	return &b->sets.v[number];
}

/* ---- and, or --------------------------------------------------------------------------------- */

static void put(struct rs_reach *r, struct rs_reach_port p)
{
	struct rs_reach_port *last = r->n ? &r->v[r->n - 1] : NULL;

	if (last && last->proto == p.proto && last->hi + 1u >= p.lo)
		last->hi = p.hi > last->hi ? p.hi : last->hi;
	else
		r->v[r->n++] = p;
}

static bool earlier(const struct rs_reach_port *x, const struct rs_reach_port *y)
{
	return x->proto != y->proto ? x->proto < y->proto : x->lo < y->lo;
}

static void unite(const struct rs_reach *x, const struct rs_reach *y, struct rs_reach *out)
{
	size_t i = 0, j = 0;

	while (i < x->n || j < y->n)
		if (j == y->n || (i < x->n && earlier(&x->v[i], &y->v[j])))
			put(out, x->v[i++]);
		else
			put(out, y->v[j++]);
}

static void intersect(const struct rs_reach *x, const struct rs_reach *y, struct rs_reach *out)
{
	size_t i = 0, j = 0;

	while (i < x->n && j < y->n) {
		const struct rs_reach_port *p = &x->v[i], *q = &y->v[j];
		uint16_t lo = p->lo > q->lo ? p->lo : q->lo, hi = p->hi < q->hi ? p->hi : q->hi;

		if (p->proto == q->proto && lo <= hi)
			put(out, (struct rs_reach_port){ p->proto, lo, hi });
		if (p->proto < q->proto || (p->proto == q->proto && p->hi < q->hi))
			i++;
		else
			j++;
	}
}

static uint32_t combine(struct portbook *b, uint32_t x, uint32_t y, bool both)
{
	uint32_t key[] = { x < y ? x : y, x < y ? y : x, both }, at;
	const struct rs_reach *rx = portbook_get(b, x), *ry = portbook_get(b, y);
	rs_autofree struct rs_reach_port *v = NULL;
	struct rs_reach r = { 0 };
	bool fresh;

	at = rs_intern_put(&b->combined, key, sizeof(key), &fresh);
	if (!fresh)
		return b->results.v[at];
	r.v = v = rs_new0(struct rs_reach_port, rx->n + ry->n);
	if (both)
		intersect(rx, ry, &r);
	else
		unite(rx, ry, &r);
	return *rs_vec_push(&b->results) = portbook_put(b, &r);
}

uint32_t portbook_or(struct portbook *b, uint32_t x, uint32_t y)
{
	if (x == y || y == NO_PORTS || x == ALL_PORTS)
		return x;
	if (x == NO_PORTS || y == ALL_PORTS)
		return y;
	return combine(b, x, y, false);
}

uint32_t portbook_and(struct portbook *b, uint32_t x, uint32_t y)
{
	if (x == y || y == ALL_PORTS || x == NO_PORTS)
		return x;
	if (x == ALL_PORTS || y == NO_PORTS)
		return y;
	return combine(b, x, y, true);
}

/* ---- what one has and the other has not ------------------------------------------------------ */

/* The first port of a run that y does not have. */
static bool first_beyond(const struct rs_reach *y, struct rs_reach_port *run)
{
	size_t i;

	for (i = 0; i < y->n; i++) {
		const struct rs_reach_port *q = &y->v[i];

		if (q->proto == RS_REACH_ANY)
			return false;
		if (q->proto != run->proto || q->hi < run->lo || q->lo > run->lo)
			continue;
		if (q->hi >= run->hi)
			return false;
		run->lo = q->hi + 1;
	}
	return true;
}

bool portbook_beyond(const struct portbook *b, uint32_t x, uint32_t y, uint8_t icmp,
		     struct rs_reach_port *out)
{
	const struct rs_reach_port every[] = {
		{ RS_PROTO_TCP, 1, UINT16_MAX },
		{ RS_PROTO_UDP, 1, UINT16_MAX },
		{ RS_PROTO_SCTP, 1, UINT16_MAX },
		{ icmp, 0, 0 },
	};
	const struct rs_reach *rx = portbook_get(b, x), *ry = portbook_get(b, y);
	bool any = rx->n && rx->v[0].proto == RS_REACH_ANY;
	size_t i, n = any ? RS_ARRAY_SIZE(every) : rx->n;

	for (i = 0; i < n; i++) {
		*out = any ? every[i] : rx->v[i];
		if (first_beyond(ry, out))
			return true;
	}
	return false;
}
