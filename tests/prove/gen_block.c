// SPDX-License-Identifier: Apache-2.0
/* gen_block.c - ipBlocks: around addresses that somebody has, with excepts, and as odd as texts go. */
#include "tests/prove/gen.h"

#include <stdio.h>
#include <string.h>

#include "base/base.h"

struct rs_cidr gen_masked(const struct rs_addr *a, uint32_t len)
{
	struct rs_cidr c = { .addr = *a, .len = (uint8_t)len };
	uint32_t i;

	for (i = len; i < rs_addr_bits(a->family); i++)
		c.addr.b[i / 8] &= (uint8_t) ~(0x80U >> (i % 8));
	return c;
}

static uint32_t some_length(struct pv_gen *g, int family)
{
	static const uint8_t four[] = { 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 16, 8, 1, 0 };
	static const uint8_t six[] = {
		128, 127, 126, 125, 124, 123, 122, 120, 112, 64, 60, 48, 1, 0
	};
	uint32_t at = gen_choose(g->rng, 12, 4, 7, 8, 8, 8, 9, 9, 14, 4, 7, 4, 2, 4);

	return family == RS_AF_IP4 ? four[at] : six[at];
}

static struct rs_addr some_address(struct pv_gen *g)
{
	return g->anchors[pv_below(g->rng, g->n_anchors)];
}

/* ---- texts ----------------------------------------------------------------------------------- */

/* "010.244.001.7": an old API server took it, and meant decimal (B16). */
static void leading_zeros(const struct rs_addr *a, char text[RS_ADDR_STRLEN])
{
	snprintf(text, RS_ADDR_STRLEN, "%03u.%u.%02u.%03u", a->b[0], a->b[1], a->b[2], a->b[3]);
}

static void uncompressed(const struct rs_addr *a, char text[RS_ADDR_STRLEN])
{
	size_t n = 0, i;

	for (i = 0; i < 16; i += 2)
		n += (size_t)snprintf(text + n, RS_ADDR_STRLEN - n, "%s%02X%02x", i ? ":" : "",
				      a->b[i], a->b[i + 1]);
}

/* The same block as c, which holds inside. */
static void put_text(struct pv_gen *g, const struct rs_cidr *c, const struct rs_addr *inside,
		     char out[RS_CIDR_STRLEN])
{
	uint32_t odd = gen_theme(g, GEN_ODD_CIDRS) ? 30 : 4;
	const struct rs_addr *a = &c->addr;
	char text[RS_ADDR_STRLEN];
	bool host_bits = pv_chance(g->rng, odd), zeros = pv_chance(g->rng, odd);

	if (host_bits)
		a = inside;
	if (!zeros)
		rs_addr_str(a, text);
	else if (a->family == RS_AF_IP4)
		leading_zeros(a, text);
	else
		uncompressed(a, text);
	snprintf(out, RS_CIDR_STRLEN, "%.45s/%u", text, c->len);
}

/* ---- excepts --------------------------------------------------------------------------------- */

struct block {
	struct rs_cidr cidr;
	struct rs_addr inside;
	struct rs_cidr excepts[8];
	uint32_t n;
};

/* An address of the block: somebody's if there is one. */
static struct rs_addr address_in(struct pv_gen *g, const struct rs_cidr *c)
{
	struct rs_addr a = some_address(g);
	uint32_t try;

	for (try = 0; try < 6; try++) {
		if (rs_cidr_contains(c, &a))
			return a;
		a = some_address(g);
	}
	a = pv_chance(g->rng, 50) ? rs_cidr_first(c) : rs_cidr_last(c);
	return a;
}

static uint32_t longer_length(struct pv_gen *g, const struct rs_cidr *c)
{
	uint32_t bits = rs_addr_bits(c->addr.family), len;

	if (pv_chance(g->rng, 35))
		return c->len + 1U;
	len = some_length(g, c->addr.family);
	if (len > c->len)
		return len;
	return c->len + 1U + pv_below(g->rng, bits - c->len);
}

static void put_halves(struct block *b, const struct rs_cidr *of)
{
	struct rs_addr last = rs_cidr_last(of);

	b->excepts[b->n++] = gen_masked(&last, of->len + 1U);
	b->excepts[b->n++] = gen_masked(&of->addr, of->len + 1U);
}

static void one_except(struct pv_gen *g, struct block *b)
{
	uint32_t bits = rs_addr_bits(b->cidr.addr.family), len;
	const struct rs_cidr *outer = &b->cidr;
	struct rs_addr a;

	/* Inside another except, or the same once more. */
	if (b->n && pv_chance(g->rng, 35)) {
		outer = &b->excepts[pv_below(g->rng, b->n)];
		if (outer->len == bits) {
			b->excepts[b->n] = *outer;
			b->n++;
			return;
		}
	}
	a = address_in(g, outer);
	len = longer_length(g, outer);
	b->excepts[b->n++] = gen_masked(&a, len);
}

static void make_excepts(struct pv_gen *g, struct block *b)
{
	uint32_t n = gen_choose(g->rng, 50, 20, 16, 8, 6);
	struct rs_cidr swap;

	if (b->cidr.len >= rs_addr_bits(b->cidr.addr.family))
		return;
	/* All of it, by halves: allowed as text, and matches nothing (B13). */
	if (pv_chance(g->rng, 8)) {
		put_halves(b, &b->cidr);
		return;
	}
	while (n--)
		one_except(g, b);
	/* The inner one first as often as last. */
	if (b->n > 1 && pv_chance(g->rng, 50)) {
		swap = b->excepts[0];
		b->excepts[0] = b->excepts[b->n - 1];
		b->excepts[b->n - 1] = swap;
	}
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static void choose_block(struct pv_gen *g, struct block *b)
{
	static const char *const fixed[] = { "127.0.0.0/8", "169.254.0.0/16", "fe80::/10",
					     "10.0.0.0/8", "224.0.0.0/4" };

	if (pv_chance(g->rng, 3)) {
		rs_cidr_parse(gen_pick(g->rng, fixed), &b->cidr, NULL, NULL);
		b->inside = b->cidr.addr;
		return;
	}
	b->inside = some_address(g);
	b->cidr = gen_masked(&b->inside, some_length(g, b->inside.family));
}

static void put_excepts(struct pv_gen *g, const struct block *b, json_object *out)
{
	json_object *list = json_object_new_array();
	char text[RS_CIDR_STRLEN];
	uint32_t i;

	for (i = 0; i < b->n; i++) {
		struct rs_addr inside = rs_cidr_last(&b->excepts[i]);

		put_text(g, &b->excepts[i], &inside, text);
		gen_push_str(list, text);
	}
	if (b->n || pv_chance(g->rng, 15)) {
		json_object_object_add(out, "except", list);
		return;
	}
	json_object_put(list);
	if (pv_chance(g->rng, 8))
		json_object_object_add(out, "except", NULL);
}

/* Faults of a block; each makes its peer match nothing. */
static void spoil(struct pv_gen *g, const struct block *b, json_object *o)
{
	static const char *const bad[] = { "10.244.0.0",  "10.244.0.0/33", "all",	   "",
					   "10.244.0/16", "fd00::/129",	   "10.244.0.0/-1" };
	json_object *list = json_object_new_array();
	char text[RS_CIDR_STRLEN];

	switch (pv_below(g->rng, 4)) {
	case 0:
		gen_add_str(o, "cidr", gen_pick(g->rng, bad));
		break;
	case 1: /* outside its block */
		gen_push_str(list, b->cidr.addr.family == RS_AF_IP4 ? "203.0.113.0/24"
								    : "2001:db8:ffff::/48");
		json_object_object_add(o, "except", list);
		return;
	case 2: /* not a strict part of it */
		gen_push_str(list, rs_cidr_str(&b->cidr, text));
		json_object_object_add(o, "except", list);
		return;
	default: /* of the other family */
		gen_push_str(list, b->cidr.addr.family == RS_AF_IP4 ? "fd00:10:244:1::/64"
								    : "10.244.1.0/24");
		json_object_object_add(o, "except", list);
		return;
	}
	json_object_put(list);
}

/* A v4-mapped block means either family to somebody, so nobody to us (B17). */
static bool mapped(struct pv_gen *g, const struct block *b, json_object *o)
{
	char text[RS_ADDR_STRLEN], whole[80];

	if (b->cidr.addr.family != RS_AF_IP4 ||
	    !pv_chance(g->rng, gen_theme(g, GEN_ODD_CIDRS) ? 25 : 2))
		return false;
	snprintf(whole, sizeof(whole), "::ffff:%s/%u", rs_addr_str(&b->cidr.addr, text),
		 96U + b->cidr.len);
	gen_add_str(o, "cidr", whole);
	return true;
}

json_object *gen_block(struct pv_gen *g)
{
	json_object *o = json_object_new_object();
	struct block b = { 0 };
	char text[RS_CIDR_STRLEN];

	choose_block(g, &b);
	if (mapped(g, &b, o))
		return o;
	make_excepts(g, &b);
	put_text(g, &b.cidr, &b.inside, text);
	gen_add_str(o, "cidr", text);
	put_excepts(g, &b, o);
	if (gen_fault(g, 5))
		spoil(g, &b, o);
	return o;
}
