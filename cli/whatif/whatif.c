// SPDX-License-Identifier: Apache-2.0
/*
 * whatif.c - cli/whatif/ judges manifests before they are applied; this file compares all pairs of
 * subjects on both sides.
 *
 * Folded twice: endpoints of one key are alike (reach.h), and subjects whose endpoints have the
 * same keys on each side are one fold. A row is one client fold against all server folds; only what
 * is shown is ever unfolded.
 */
#include "cli/whatif/whatif.h"

#include <string.h>

#define NO_KEY UINT32_MAX

/* What an endpoint is on one side: its key of each family, or none. */
struct kind {
	uint32_t key[FAMILIES];
};

/* A member of a subject on one side. lone: there is one pod of it, which is no pair with itself. */
struct member {
	uint32_t kind;
	uint32_t lone;
};

struct set {
	const struct member *v;
	size_t n;
};

struct half {
	struct cli_world *world;
	const struct rs_ir *ir;
	struct rs_intern keys, kinds, sets;
	struct rs_reach_table *table;
	uint32_t *of_end; /* kind of each endpoint */
	struct kind *all_kinds;
	struct set *all_sets;
	struct rs_u32s book; /* a number of the table to one of the book */
	/* of the row at hand */
	uint32_t *row[FAMILIES];     /* by key, of the client kind that was last */
	const struct member *single; /* the client's only kind: all is in `row` */
	struct ports *ports;	     /* else: by set */
	struct ports self;	     /* a subject of the client's fold and itself */
};

/* The keys of a fold that is of one kind on each side, which nearly all are. */
struct plain {
	bool is;
	uint32_t key[SIDES][FAMILIES];
};

struct fold {
	uint32_t set[SIDES];
	uint32_t outside;
	uint32_t aside; /* its pairs with others that are aside are not asked for */
};

struct whatif {
	struct subjects subjects;
	struct portbook *book;
	struct half half[SIDES];
	int sides;
	const char *only;	/* a namespace that one end of each pair lies in; NULL: any */
	struct rs_intern folds; /* struct fold */
	struct fold *all_folds;
	struct plain *plain;	/* by fold */
	struct rs_u32s members; /* of each fold: how many compared subjects */
	uint64_t counts[CHANGES];
	uint8_t *found;	 /* by fold: bits of the changes that it has as a client */
	uint32_t row;	 /* the client fold of the row at hand */
	uint8_t *change; /* of the row: by server fold */
	uint8_t self;	 /* of the row */
};

/* ---- making one ------------------------------------------------------------------------------ */

static uint32_t key_of(struct half *h, const struct rs_addr *a)
{
	struct rs_reach_key key;

	if (a->family == RS_AF_NONE)
		return NO_KEY;
	rs_reach_key(h->ir, a, &key);
	return rs_intern_put(&h->keys, &key, sizeof(key), NULL);
}

static struct rs_addr pod_addr(const struct rs_local_pod *p, int family_idx)
{
	struct rs_addr none = { 0 };
	size_t i;

	for (i = 0; i < p->n_ips; i++)
		if (family_index(p->ips[i].family) == family_idx)
			return p->ips[i];
	return none;
}

struct rs_addr subject_addr(const struct whatif *w, enum side side, const struct subject *s,
			    size_t i, int family_idx)
{
	struct rs_addr none = { 0 };

	if (s->outside)
		return s->addr[family_idx];
	if (i >= s->ends[side].n)
		return none;
	return pod_addr(&w->half[side].world->w.locals[s->ends[side].v[i]], family_idx);
}

static uint32_t kind_of(struct half *h, const struct rs_addr addrs[FAMILIES])
{
	struct kind k;
	int f;

	for (f = 0; f < FAMILIES; f++)
		k.key[f] = key_of(h, &addrs[f]);
	return rs_intern_put(&h->kinds, &k, sizeof(k), NULL);
}

static void find_kinds(struct half *h)
{
	size_t i;
	int f;

	h->of_end = rs_new0(uint32_t, h->world->n_ends + 1);
	for (i = 0; i < h->world->n_ends; i++) {
		struct rs_addr addrs[FAMILIES];

		for (f = 0; f < FAMILIES; f++)
			addrs[f] = pod_addr(&h->world->w.locals[i], f);
		h->of_end[i] = kind_of(h, addrs);
	}
}

static int member_cmp(const void *a, const void *b)
{
	const struct member *x = a, *y = b;

	return x->kind < y->kind ? -1 : x->kind > y->kind;
}

/* A template stands for any number of pods; so does the only pod of a workload. */
static bool is_lone(const struct cli_endpoint *e, const struct subject *s, size_t pods)
{
	bool workload = strcmp(s->kind, "Pod") && strcmp(s->kind, "Namespace");

	return !e->is_template && !(workload && pods == 1);
}

static uint32_t set_of(struct whatif *w, enum side side, const struct subject *s)
{
	struct half *h = &w->half[side];
	struct rs_vec(struct member) v = { 0 };
	size_t i, n = 0;
	uint32_t set;

	if (s->outside)
		*rs_vec_push(&v) = (struct member){ kind_of(h, s->addr), true };
	for (i = 0; i < s->ends[side].n; i++) {
		uint32_t end = s->ends[side].v[i];

		*rs_vec_push(&v) = (struct member){ h->of_end[end], is_lone(&h->world->ends[end], s,
									    s->ends[side].n) };
	}
	if (v.n > 1)
		qsort(v.v, v.n, sizeof(*v.v), member_cmp);
	for (i = 0; i < v.n; i++)
		if (n && v.v[n - 1].kind == v.v[i].kind)
			v.v[n - 1].lone = false;
		else
			v.v[n++] = v.v[i];
	set = rs_intern_put(&h->sets, v.v, n * sizeof(*v.v), NULL);
	rs_vec_free(&v);
	return set;
}

static void make_half(struct half *h)
{
	rs_autofree struct rs_reach_key *keys = rs_new0(struct rs_reach_key, h->keys.by_id.n + 1);
	size_t i, len, n = h->keys.by_id.n;
	int f;

	for (i = 0; i < n; i++)
		memcpy(&keys[i], rs_intern_key(&h->keys, (uint32_t)i, &len), sizeof(keys[i]));
	h->all_kinds = rs_new0(struct kind, h->kinds.by_id.n + 1);
	for (i = 0; i < h->kinds.by_id.n; i++)
		memcpy(&h->all_kinds[i], rs_intern_key(&h->kinds, (uint32_t)i, &len),
		       sizeof(struct kind));
	h->all_sets = rs_new0(struct set, h->sets.by_id.n + 1);
	for (i = 0; i < h->sets.by_id.n; i++) {
		h->all_sets[i].v = rs_intern_key(&h->sets, (uint32_t)i, &len);
		h->all_sets[i].n = len / sizeof(struct member);
	}
	h->table = rs_reach_table_new(h->ir, keys, n);
	for (f = 0; f < FAMILIES; f++)
		h->row[f] = rs_new0(uint32_t, n + 1);
	h->ports = rs_new0(struct ports, h->sets.by_id.n + 1);
}

bool whatif_listed(const struct whatif *w, const struct subject *s)
{
	return !w->only || (s->ns && !strcmp(s->ns, w->only));
}

bool whatif_compared(const struct whatif *w, const struct subject *s)
{
	return w->sides == 1 || s->outside || (s->ends[BEFORE].n && s->ends[AFTER].n);
}

static void make_folds(struct whatif *w)
{
	size_t i;
	int side;

	for (i = 0; i < w->subjects.n; i++) {
		struct subject *s = &w->subjects.v[i];
		struct fold f = { .outside = s->outside,
				  .aside = s->outside || !whatif_listed(w, s) };
		bool fresh;

		if (!whatif_compared(w, s))
			continue;
		for (side = 0; side < w->sides; side++)
			f.set[side] = set_of(w, (enum side)side, s);
		s->fold = rs_intern_put(&w->folds, &f, sizeof(f), &fresh);
		if (fresh)
			rs_vec_push(&w->members);
		w->members.v[s->fold]++;
	}
	w->all_folds = rs_new0(struct fold, w->members.n + 1);
	for (i = 0; i < w->members.n; i++) {
		size_t len;

		memcpy(&w->all_folds[i], rs_intern_key(&w->folds, (uint32_t)i, &len),
		       sizeof(struct fold));
	}
	w->plain = rs_new0(struct plain, w->members.n + 1);
	w->found = rs_new0(uint8_t, w->members.n + 1);
	w->change = rs_new0(uint8_t, w->members.n + 1);
	w->row = UINT32_MAX;
}

static void find_plain(struct whatif *w)
{
	size_t i;
	int side, f;

	for (i = 0; i < w->members.n; i++) {
		struct plain *p = &w->plain[i];

		p->is = true;
		for (side = 0; side < w->sides && p->is; side++) {
			const struct half *h = &w->half[side];
			struct set set = h->all_sets[w->all_folds[i].set[side]];

			p->is = set.n == 1;
			for (f = 0; f < FAMILIES && p->is; f++)
				p->key[side][f] = h->all_kinds[set.v[0].kind].key[f];
		}
	}
}

static void half_free(struct half *h)
{
	int f;

	rs_intern_free(&h->keys);
	rs_intern_free(&h->kinds);
	rs_intern_free(&h->sets);
	rs_reach_table_free(h->table);
	rs_vec_free(&h->book);
	free(h->of_end);
	free(h->all_kinds);
	free(h->all_sets);
	free(h->ports);
	for (f = 0; f < FAMILIES; f++)
		free(h->row[f]);
}

void whatif_free(struct whatif *w)
{
	int side;

	if (!w)
		return;
	for (side = 0; side < SIDES; side++)
		half_free(&w->half[side]);
	subjects_free(&w->subjects);
	portbook_free(w->book);
	rs_intern_free(&w->folds);
	rs_vec_free(&w->members);
	free(w->all_folds);
	free(w->plain);
	free(w->found);
	free(w->change);
	free(w);
}

const struct subjects *whatif_subjects(const struct whatif *w)
{
	return &w->subjects;
}

int whatif_sides(const struct whatif *w)
{
	return w->sides;
}

struct portbook *whatif_book(struct whatif *w)
{
	return w->book;
}

struct cli_world *whatif_world(const struct whatif *w, enum side side)
{
	return w->half[side].world;
}

const struct rs_ir *whatif_ir(const struct whatif *w, enum side side)
{
	return w->half[side].ir;
}

/* ---- a row ----------------------------------------------------------------------------------- */

/* The row in numbers of the book. */
static void fill_row(struct whatif *w, struct half *h, uint32_t key, uint32_t *row)
{
	size_t n = h->keys.by_id.n, i;

	rs_reach_table_row(h->table, key, row);
	for (i = h->book.n; i < rs_reach_table_count(h->table); i++)
		*rs_vec_push(&h->book) =
			portbook_put(w->book, rs_reach_table_get(h->table, (uint32_t)i));
	for (i = 0; i < n; i++)
		row[i] = h->book.v[row[i]];
}

static inline void add_ports(struct whatif *w, struct ports *p, int f, uint32_t number)
{
	if (!p->shared[f]) {
		p->any[f] = p->all[f] = number;
		p->shared[f] = true;
	} else {
		p->any[f] = portbook_or(w->book, p->any[f], number);
		p->all[f] = portbook_and(w->book, p->all[f], number);
	}
}

/* One client kind of the row against the members of a set. not_self: leave its lone self out. */
static void add_set(struct whatif *w, struct half *h, const struct member *client, struct set set,
		    bool not_self, struct ports *p)
{
	const struct kind *c = &h->all_kinds[client->kind];
	size_t i;
	int f;

	for (i = 0; i < set.n; i++) {
		const struct kind *s = &h->all_kinds[set.v[i].kind];

		if (not_self && client->lone && client->kind == set.v[i].kind)
			continue;
		for (f = 0; f < FAMILIES; f++)
			if (c->key[f] != NO_KEY && s->key[f] != NO_KEY)
				add_ports(w, p, f, h->row[f][s->key[f]]);
	}
}

static void half_row(struct whatif *w, struct half *h, uint32_t client_set)
{
	struct set clients = h->all_sets[client_set];
	size_t i, k, n = h->sets.by_id.n;
	int f;

	h->single = clients.n == 1 ? clients.v : NULL;
	if (!h->single)
		memset(h->ports, 0, n * sizeof(*h->ports));
	memset(&h->self, 0, sizeof(h->self));
	for (i = 0; i < clients.n; i++) {
		const struct kind *c = &h->all_kinds[clients.v[i].kind];

		for (f = 0; f < FAMILIES; f++)
			if (c->key[f] != NO_KEY)
				fill_row(w, h, c->key[f], h->row[f]);
		for (k = 0; k < n && !h->single; k++)
			add_set(w, h, &clients.v[i], h->all_sets[k], false, &h->ports[k]);
		add_set(w, h, &clients.v[i], clients, true, &h->self);
	}
}

/* Of the row's client and a set of servers. */
static struct ports ports_to(struct whatif *w, struct half *h, uint32_t set)
{
	struct ports p = { 0 };

	if (!h->single)
		return h->ports[set];
	add_set(w, h, h->single, h->all_sets[set], false, &p);
	return p;
}

static enum change compare(const struct ports *b, const struct ports *a)
{
	const struct pair p = { .ports = { *b, *a } };
	bool was = false, is = false, same = true, use[FAMILIES];
	int f;

	pair_families(&p, SIDES, use);
	for (f = 0; f < FAMILIES; f++) {
		if (!use[f])
			continue;
		was |= b->any[f] != NO_PORTS;
		is |= a->any[f] != NO_PORTS;
		same &= b->any[f] == a->any[f] && b->all[f] == a->all[f];
	}
	if (!was && !is)
		return CLOSED;
	if (same)
		return SAME;
	return !is ? LOST : !was ? GAINED : CHANGED;
}

/* Where both sides are one number of the book in each family; that is nearly everywhere. */
static bool is_alike(const struct whatif *w, const struct plain *c, const struct plain *s,
		     enum change *out)
{
	int f, last = w->sides - 1;
	bool open = false;

	for (f = 0; f < FAMILIES; f++) {
		bool was = c->key[BEFORE][f] != NO_KEY && s->key[BEFORE][f] != NO_KEY;
		bool is = c->key[last][f] != NO_KEY && s->key[last][f] != NO_KEY;
		uint32_t n = was ? w->half[BEFORE].row[f][s->key[BEFORE][f]] : NO_PORTS;

		if (was != is || (is && n != w->half[last].row[f][s->key[last][f]]))
			return false;
		open |= n != NO_PORTS;
	}
	*out = open ? SAME : CLOSED;
	return true;
}

static enum change change_to(struct whatif *w, const struct plain *client, uint32_t server)
{
	struct fold s = w->all_folds[server];
	struct ports b, a;
	enum change change;

	if (client->is && w->plain[server].is && is_alike(w, client, &w->plain[server], &change))
		return change;
	b = ports_to(w, &w->half[BEFORE], s.set[BEFORE]);
	a = ports_to(w, &w->half[w->sides - 1], s.set[w->sides - 1]);
	return compare(&b, &a);
}

static void make_row(struct whatif *w, uint32_t client)
{
	const struct half *last = &w->half[w->sides - 1];
	struct fold c = w->all_folds[client];
	uint32_t i;
	int side;

	if (w->row == client)
		return;
	w->row = client;
	for (side = 0; side < w->sides; side++)
		half_row(w, &w->half[side], c.set[side]);
	for (i = 0; i < w->members.n; i++)
		w->change[i] = c.aside && w->all_folds[i].aside
				       ? CLOSED
				       : change_to(w, &w->plain[client], i);
	w->self = c.aside ? CLOSED : compare(&w->half[BEFORE].self, &last->self);
}

static void count(const struct cli_run *r, struct whatif *w)
{
	uint32_t c, s;

	cli_progress_begin(r, "comparing", w->members.n);
	for (c = 0; c < w->members.n; c++) {
		cli_progress_step(c);
		make_row(w, c);
		for (s = 0; s < w->members.n; s++) {
			uint64_t n = (uint64_t)w->members.v[c] * w->members.v[s];

			if (c == s)
				n -= w->members.v[c];
			w->counts[w->change[s]] += n;
			if (n)
				w->found[c] |= (uint8_t)(1u << w->change[s]);
		}
		w->counts[w->self] += w->members.v[c];
		w->found[c] |= (uint8_t)(1u << w->self);
	}
	cli_progress_end();
}

void whatif_count(const struct whatif *w, uint64_t counts[CHANGES])
{
	memcpy(counts, w->counts, sizeof(w->counts));
}

int whatif_new(const struct cli_run *r, struct cli_world *const worlds[SIDES], const char *only,
	       struct whatif **out, struct rs_err *err)
{
	struct whatif *w = *out = rs_new(struct whatif);
	int side, rc;

	w->book = portbook_new();
	w->only = only;
	for (side = 0; side < SIDES && worlds[side]; side++) {
		w->half[side].world = worlds[side];
		rc = cli_world_ir(worlds[side], &w->half[side].ir, err);
		if (rc < 0)
			return rc;
		find_kinds(&w->half[side]);
		w->sides++;
	}
	subjects_collect(worlds, r->opt.by, &w->subjects);
	subjects_add_outside(worlds, &w->subjects);
	make_folds(w);
	for (side = 0; side < w->sides; side++)
		make_half(&w->half[side]);
	find_plain(w);
	count(r, w);
	return 0;
}

/* ---- pairs ----------------------------------------------------------------------------------- */

static void pair_of_row(struct whatif *w, uint32_t from, uint32_t to, struct pair *out)
{
	struct fold s = w->all_folds[w->subjects.v[to].fold];
	int side;

	*out = (struct pair){ .from = from, .to = to };
	out->change = from == to ? w->self : w->change[w->subjects.v[to].fold];
	for (side = 0; side < w->sides; side++)
		out->ports[side] =
			from == to ? w->half[side].self : ports_to(w, &w->half[side], s.set[side]);
}

void whatif_walk(struct whatif *w, unsigned int wanted,
		 bool (*each)(void *ctx, const struct pair *p), void *ctx)
{
	uint32_t from, to;
	struct pair p;

	for (from = 0; from < w->subjects.n; from++) {
		uint32_t fold = w->subjects.v[from].fold;

		if (!whatif_compared(w, &w->subjects.v[from]) || !(w->found[fold] & wanted))
			continue;
		make_row(w, fold);
		for (to = 0; to < w->subjects.n; to++) {
			if (!whatif_compared(w, &w->subjects.v[to]))
				continue;
			pair_of_row(w, from, to, &p);
			if ((wanted & 1u << p.change) && !each(ctx, &p))
				return;
		}
	}
}

bool whatif_pair(struct whatif *w, uint32_t from, uint32_t to, struct pair *out)
{
	const struct subject *c = &w->subjects.v[from], *s = &w->subjects.v[to];

	if (!whatif_compared(w, c) || !whatif_compared(w, s) || (c->outside && s->outside))
		return false;
	make_row(w, c->fold);
	pair_of_row(w, from, to, out);
	return out->ports[BEFORE].shared[0] || out->ports[BEFORE].shared[1];
}
