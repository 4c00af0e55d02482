// SPDX-License-Identifier: Apache-2.0
/* plan.c - turns an IR into the elements and profile chains of our table. Pure. */
#include "dataplane/nft/plan.h"

#include <stdlib.h>
#include <string.h>

struct rs_nft_plan *rs_nft_plan_new(void)
{
	struct rs_nft_plan *p = rs_new(struct rs_nft_plan);

	/* Offset 0 means "no comment". */
	rs_strbuf_putc(&p->pool, '\0');
	rs_strbuf_putc(&p->big_pool, '\0');
	return p;
}

void rs_nft_plan_free(struct rs_nft_plan *p)
{
	if (!p)
		return;
	for (int i = 0; i < SETS_OF_STATE; i++) {
		free(p->set[i].keys);
		free(p->set[i].data);
		free(p->set[i].text);
		free(p->set[i].hash);
	}
	rs_vec_free(&p->profiles);
	rs_vec_free(&p->ports);
	rs_strbuf_free(&p->pool);
	rs_strbuf_free(&p->big_pool);
	free(p);
}

void rs_nft_plan_slim(struct rs_nft_plan *p)
{
	rs_strbuf_free(&p->big_pool);
}

int rs_nft_key_cmp(const struct rs_nft_set_def *d, const uint8_t *a, const uint8_t *b)
{
	size_t at = 0;

	for (int w = 0; w < d->words; w++, at += 4) {
		uint32_t x, y;

		memcpy(&x, a + at, 4);
		memcpy(&y, b + at, 4);
		if (x != y)
			return x < y ? -1 : 1;
	}
	return memcmp(a + at, b + at, rs_nft_stride(d) - at);
}

const uint8_t *rs_nft_key(const struct rs_nft_plan *p, enum rs_nft_set_id id, size_t i)
{
	return p->set[id].keys + i * rs_nft_stride(&rs_nft_sets[id]);
}

const char *rs_nft_comment(const struct rs_nft_plan *p, enum rs_nft_set_id id, size_t i)
{
	const struct rs_strbuf *pool = rs_nft_sets[id].big ? &p->big_pool : &p->pool;
	uint32_t at = p->set[id].text[i];

	return at && at < pool->len ? pool->s + at : NULL;
}

static void make_room(struct rs_nft_elems *e, size_t stride, size_t cap)
{
	e->cap = cap;
	e->keys = rs_reallocarray(e->keys, e->cap, stride);
	e->data = rs_reallocarray(e->data, e->cap, sizeof(*e->data));
	e->text = rs_reallocarray(e->text, e->cap, sizeof(*e->text));
	e->hash = rs_reallocarray(e->hash, e->cap, sizeof(*e->hash));
}

static void grow(struct rs_nft_elems *e, size_t stride)
{
	if (e->n == e->cap)
		make_room(e, stride, e->cap ? e->cap * 2 : 16);
}

/* ---- comments: one for every pod of the cluster, so by words of eight bytes ------------------ */

#define EACH(byte) (UINT64_C(0x0101010101010101) * (uint8_t)(byte))

static uint64_t zero_bytes(uint64_t w)
{
	return (w - EACH(1)) & ~w & EACH(0x80);
}

/* Whether none of its bytes could end the quotes of a listing or steer a terminal. */
static bool plain(uint64_t w)
{
	uint64_t low = (w - EACH(0x20)) & ~w, high = w;

	return !(((low | high) & EACH(0x80)) | zero_bytes(w ^ EACH(0x7f)) |
		 zero_bytes(w ^ EACH('"')) | zero_bytes(w ^ EACH('\\')));
}

static void make_plain(char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (text[i] < 0x20 || text[i] > 0x7e || text[i] == '"' || text[i] == '\\')
			text[i] = '?';
}

/* Of n bytes, and of the spaces behind them in the last word. False: they are not plain. The hash
 * is written down nowhere, so any will do; 0 stands for none. */
static bool hash_plain(const char *text, size_t n, uint32_t *hash)
{
	uint64_t h = n, word;

	for (size_t i = 0; i < n; i += sizeof(word)) {
		memcpy(&word, text + i, sizeof(word));
		if (!plain(word))
			return false;
		h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 29;
	}
	*hash = (uint32_t)(h ^ h >> 32);
	*hash += !*hash;
	return true;
}

/* Copies at most RS_NFT_COMMENT_MAX bytes; what is not plain becomes '?'. */
static uint32_t put_comment(struct rs_strbuf *pool, const char *text, uint32_t *hash)
{
	static const char spaces[sizeof(uint64_t)] = "        ";
	size_t at = pool->len, n = strnlen(text, RS_NFT_COMMENT_MAX);
	char *copy;

	rs_strbuf_add(pool, text, n);
	rs_strbuf_add(pool, spaces, sizeof(spaces));
	copy = pool->s + at;
	if (!hash_plain(copy, n, hash)) {
		make_plain(copy, n);
		hash_plain(copy, n, hash);
	}
	copy[n] = copy[n + 1] = '\0';
	pool->len = at + n + 1;
	return (uint32_t)at;
}

void rs_nft_plan_add(struct rs_nft_plan *p, enum rs_nft_set_id id, const void *key, uint32_t data,
		     const char *comment)
{
	const struct rs_nft_set_def *d = &rs_nft_sets[id];
	struct rs_nft_elems *e = &p->set[id];
	size_t stride = rs_nft_stride(d);

	grow(e, stride);
	memcpy(e->keys + e->n * stride, key, stride);
	e->data[e->n] = data;
	e->text[e->n] = 0;
	e->hash[e->n] = 0;
	if (comment && *comment)
		e->text[e->n] =
			put_comment(d->big ? &p->big_pool : &p->pool, comment, &e->hash[e->n]);
	e->n++;
}

/* ---- order ----------------------------------------------------------------------------------- */

struct order {
	const struct rs_nft_set_def *def;
	const struct rs_nft_elems *e;
	size_t stride;
};

static int by_key(const void *a, const void *b, void *arg)
{
	const struct order *o = arg;
	uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
	int c = rs_nft_key_cmp(o->def, o->e->keys + i * o->stride, o->e->keys + j * o->stride);

	/* Of equal keys the one that came first stays. */
	return c ? c : (i > j) - (i < j);
}

static bool sorted(const struct order *o)
{
	for (size_t i = 1; i < o->e->n; i++)
		if (rs_nft_key_cmp(o->def, o->e->keys + (i - 1) * o->stride,
				   o->e->keys + i * o->stride) >= 0)
			return false;
	return true;
}

static void sort_set(struct rs_nft_elems *e, const struct rs_nft_set_def *def)
{
	struct order o = { .def = def, .e = e, .stride = rs_nft_stride(def) };
	struct rs_nft_elems to = { 0 };
	rs_autofree uint32_t *index = NULL;

	if (sorted(&o))
		return;
	index = rs_new0(uint32_t, e->n);
	for (size_t i = 0; i < e->n; i++)
		index[i] = (uint32_t)i;
	qsort_r(index, e->n, sizeof(*index), by_key, &o);
	for (size_t i = 0; i < e->n; i++) {
		const uint8_t *key = e->keys + index[i] * o.stride;

		if (to.n && !rs_nft_key_cmp(def, to.keys + (to.n - 1) * o.stride, key))
			continue;
		grow(&to, o.stride);
		memcpy(to.keys + to.n * o.stride, key, o.stride);
		to.data[to.n] = e->data[index[i]];
		to.text[to.n] = e->text[index[i]];
		to.hash[to.n++] = e->hash[index[i]];
	}
	free(e->keys);
	free(e->data);
	free(e->text);
	free(e->hash);
	*e = to;
}

static int profile_cmp(const void *a, const void *b)
{
	const struct rs_nft_profile *x = a, *y = b;

	if (x->dir != y->dir)
		return x->dir < y->dir ? -1 : 1;
	return x->profile < y->profile ? -1 : x->profile > y->profile;
}

void rs_nft_plan_sort(struct rs_nft_plan *p)
{
	for (int i = 0; i < SETS_OF_STATE; i++)
		sort_set(&p->set[i], &rs_nft_sets[i]);
	if (p->profiles.n)
		qsort(p->profiles.v, p->profiles.n, sizeof(*p->profiles.v), profile_cmp);
}

/* ---- the relations --------------------------------------------------------------------------- */

static bool is4(const struct rs_addr *a)
{
	return a->family == RS_AF_IP4;
}

/* Both families at their number, as they come sorted. */
static void make_room_for_addrs(struct rs_nft_plan *p, const struct rs_ir *ir)
{
	size_t n4 = 0;

	while (n4 < ir->n_addrs && is4(&ir->addrs[n4].addr))
		n4++;
	if (n4)
		make_room(&p->set[SET_CLS4], rs_nft_stride(&rs_nft_sets[SET_CLS4]), n4);
	if (ir->n_addrs > n4)
		make_room(&p->set[SET_CLS6], rs_nft_stride(&rs_nft_sets[SET_CLS6]),
			  ir->n_addrs - n4);
}

static void put_addrs(struct rs_nft_plan *p, const struct rs_ir *ir)
{
	make_room_for_addrs(p, ir);
	for (size_t i = 0; i < ir->n_addrs; i++) {
		const struct rs_ir_addr *a = &ir->addrs[i];

		rs_nft_plan_add(p, is4(&a->addr) ? SET_CLS4 : SET_CLS6, a->addr.b, a->cls,
				a->comment);
	}
}

static void put_range(struct rs_nft_plan *p, enum rs_nft_set_id id, const struct rs_addr *lo,
		      const struct rs_addr *hi, uint32_t data)
{
	size_t n = rs_addr_bytes(lo->family);
	uint8_t key[32];

	memcpy(key, lo->b, n);
	memcpy(key + n, hi->b, n);
	rs_nft_plan_add(p, id, key, data, NULL);
}

static void put_ranges(struct rs_nft_plan *p, const struct rs_ir *ir)
{
	for (size_t i = 0; i < ir->n_ranges; i++) {
		const struct rs_ir_range *r = &ir->ranges[i];

		put_range(p, is4(&r->lo) ? SET_RNG4 : SET_RNG6, &r->lo, &r->hi, r->cls);
	}
	/* Of nested ranges the outer one is enough, and intervals must not overlap. */
	for (size_t i = 0; i < ir->n_node_ranges; i++) {
		const struct rs_cidr *c = &ir->node_ranges[i];
		struct rs_addr lo = rs_cidr_first(c), hi = rs_cidr_last(c);
		bool covered = false;

		for (size_t j = 0; j < ir->n_node_ranges && !covered; j++)
			covered = j != i && rs_cidr_covers(&ir->node_ranges[j], c) &&
				  (rs_cidr_cmp(&ir->node_ranges[j], c) || j < i);
		if (!covered)
			put_range(p, is4(&lo) ? SET_OWN4 : SET_OWN6, &lo, &hi, 0);
	}
}

static bool isolated(const struct rs_ir *ir, enum rs_ir_dir dir, uint32_t group)
{
	const struct rs_ir_group *g = rs_ir_group(ir, dir, group);

	return !g || g->isolated; /* a group that is not there is no reason to trust */
}

void rs_nft_plan_local(struct rs_nft_plan *p, const struct rs_ir *ir, const struct rs_ir_local *l)
{
	size_t n = rs_addr_bytes(l->addr.family);
	bool v4 = is4(&l->addr);
	uint8_t pair[32];

	if (l->in_group)
		rs_nft_plan_add(p, v4 ? SET_IN4 : SET_IN6, l->addr.b, l->in_group, l->comment);
	if (l->out_group)
		rs_nft_plan_add(p, v4 ? SET_OUT4 : SET_OUT6, l->addr.b, l->out_group, l->comment);
	memcpy(pair, l->addr.b, n);
	memcpy(pair + n, l->addr.b, n);
	rs_nft_plan_add(p, v4 ? SET_SELF4 : SET_SELF6, pair, 0, NULL);
	if (!isolated(ir, RS_DIR_IN, l->in_group) && !isolated(ir, RS_DIR_OUT, l->out_group))
		rs_nft_plan_add(p, v4 ? SET_FREE4 : SET_FREE6, l->addr.b, 0, NULL);
}

/* "rs3a91c0 02:00:00:00:00:02 fe80::1"; lift.c reads it back. By hand: there are many, and all of
 * them are compared with those of the kernel at every commit. */
static void guard_text(const struct rs_ir_guard *g, char text[RS_NFT_COMMENT_MAX + 1])
{
	static const char hex[] = "0123456789abcdef";
	const char *name = g->ifname && *g->ifname ? g->ifname : "-";
	size_t n = strnlen(name, 32);

	memcpy(text, name, n);
	text[n++] = ' ';
	for (int i = 0; i < 6; i++) {
		text[n++] = hex[g->mac[i] >> 4];
		text[n++] = hex[g->mac[i] & 15];
		text[n++] = i < 5 ? ':' : ' ';
	}
	text[n] = '-';
	text[n + 1] = '\0';
	if (g->ll.family == RS_AF_IP6)
		rs_addr_str(&g->ll, text + n);
}

void rs_nft_plan_guard(struct rs_nft_plan *p, const struct rs_ir_guard *g)
{
	char text[RS_NFT_COMMENT_MAX + 1];
	uint8_t key[20];

	guard_text(g, text);
	memcpy(key, &g->ifindex, 4);
	memcpy(key + 4, g->addr.b, rs_addr_bytes(g->addr.family));
	rs_nft_plan_add(p, is4(&g->addr) ? SET_GUARD4 : SET_GUARD6, key, 0, text);
	rs_nft_plan_add(p, SET_PLINKS, &g->ifindex, 0, NULL);
	if (g->ll.family != RS_AF_IP6)
		return;
	memcpy(key + 4, g->ll.b, 16);
	rs_nft_plan_add(p, SET_GUARD_LL, key, 0, NULL);
}

static void put_profile(struct rs_nft_plan *p, const struct rs_ir *ir,
			const struct rs_ir_profile *pr, uint8_t dir)
{
	struct rs_nft_profile *to = rs_vec_push(&p->profiles);
	uint32_t key[2] = { dir, pr->profile };

	to->dir = dir;
	to->profile = pr->profile;
	to->first = (uint32_t)p->ports.n;
	if (pr->profile == RS_PROFILE_ALLOW)
		*rs_vec_push(&p->ports) = (struct rs_ir_port){ .hi = 65535, .allow = true };
	/* What names a protocol first, then every other one. */
	for (int pass = 0; pr->profile >= RS_PROFILE_FIRST && pass < 2; pass++)
		for (uint32_t i = 0; i < pr->n; i++) {
			const struct rs_ir_port *port = &ir->ports[pr->first + i];

			if ((port->proto == 0) == (pass == 1))
				*rs_vec_push(&p->ports) = *port;
		}
	to->n = (uint32_t)p->ports.n - to->first;
	rs_nft_plan_add(p, dir == RS_DIR_IN ? SET_PORTS_IN : SET_PORTS_OUT, key, pr->profile, NULL);
}

static size_t find_profile(const struct rs_ir *ir, uint32_t profile)
{
	size_t lo = 0, hi = ir->n_profiles;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (ir->profiles[mid].profile < profile)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < ir->n_profiles && ir->profiles[lo].profile == profile ? lo : SIZE_MAX;
}

/* A cell whose profile has no chain would be a lookup that misses, and the next, wider cell would
 * answer: a number that is not listed denies. */
static uint32_t known_profile(const struct rs_ir *ir, uint32_t profile)
{
	if (profile == RS_PROFILE_ALLOW || find_profile(ir, profile) != SIZE_MAX)
		return profile;
	return RS_PROFILE_DENY;
}

static void put_cells(struct rs_nft_plan *p, const struct rs_ir *ir)
{
	for (size_t i = 0; i < ir->n_groups; i++) {
		const struct rs_ir_group *g = &ir->groups[i];
		uint32_t key[2] = { g->dir, g->group };

		rs_nft_plan_add(p, SET_DFLT, key, known_profile(ir, g->profile),
				g->over_budget ? "isolated, over budget"
				: g->isolated  ? "isolated"
					       : "open");
	}
	for (size_t i = 0; i < ir->n_cells; i++) {
		const struct rs_ir_cell *c = &ir->cells[i];
		uint32_t key[3] = { c->dir, c->group, c->cls };

		rs_nft_plan_add(p, SET_CELLS, key, known_profile(ir, c->profile), NULL);
	}
}

static void mark_profile(const struct rs_ir *ir, uint8_t *used, uint8_t dir, uint32_t profile)
{
	size_t i = find_profile(ir, profile);

	if (i != SIZE_MAX)
		used[i] |= dir;
}

static void put_profiles(struct rs_nft_plan *p, const struct rs_ir *ir)
{
	rs_autofree uint8_t *used = rs_new0(uint8_t, ir->n_profiles);

	for (size_t i = 0; i < ir->n_groups; i++)
		mark_profile(ir, used, ir->groups[i].dir, ir->groups[i].profile);
	for (size_t i = 0; i < ir->n_cells; i++)
		mark_profile(ir, used, ir->cells[i].dir, ir->cells[i].profile);
	/* The two fixed ones are always there, listed in the IR or not. */
	for (uint32_t fixed = RS_PROFILE_ALLOW; fixed <= RS_PROFILE_DENY; fixed++) {
		struct rs_ir_profile pr = { .profile = fixed };

		put_profile(p, ir, &pr, RS_DIR_IN);
		put_profile(p, ir, &pr, RS_DIR_OUT);
	}
	for (size_t i = 0; i < ir->n_profiles; i++) {
		if (ir->profiles[i].profile < RS_PROFILE_FIRST)
			continue;
		/* One that nobody uses still has to come back from read(). */
		if (!used[i] || (used[i] & RS_DIR_IN))
			put_profile(p, ir, &ir->profiles[i], RS_DIR_IN);
		if (used[i] & RS_DIR_OUT)
			put_profile(p, ir, &ir->profiles[i], RS_DIR_OUT);
	}
}

struct rs_nft_plan *rs_nft_plan_from_ir(const struct rs_ir *ir)
{
	struct rs_nft_plan *p = rs_nft_plan_new();

	p->generation = ir->generation;
	put_addrs(p, ir);
	put_ranges(p, ir);
	for (size_t i = 0; i < ir->n_locals; i++)
		rs_nft_plan_local(p, ir, &ir->locals[i]);
	put_cells(p, ir);
	for (size_t i = 0; i < ir->n_guards; i++)
		rs_nft_plan_guard(p, &ir->guards[i]);
	put_profiles(p, ir);
	rs_nft_plan_sort(p);
	return p;
}

size_t rs_nft_plan_elements(const struct rs_nft_plan *p)
{
	size_t n = 0;

	for (int i = 0; i < SETS_OF_STATE; i++)
		n += p->set[i].n * (rs_nft_sets[i].interval ? 2 : 1);
	return n;
}
