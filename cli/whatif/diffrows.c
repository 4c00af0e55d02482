// SPDX-License-Identifier: Apache-2.0
/* diffrows.c - the pairs of a difference that are shown: those in use first, then in order. */
#include "cli/whatif/diff.h"

#include <string.h>

const char *const change_words[CHANGES] = {
	[CLOSED] = "closed", [SAME] = "unchanged",  [LOST] = "lost",
	[GAINED] = "gained", [CHANGED] = "changed",
};

#define DIFFERENT (1u << LOST | 1u << GAINED | 1u << CHANGED)

/* ---- pairs in use ---------------------------------------------------------------------------- */

/* One port of a pair, as records have it. */
struct use {
	uint32_t from, to;
	uint8_t proto;
	uint16_t port;
	bool dropped;
	uint64_t n;
};

struct uses {
	struct diff *d;
	struct lookup *lookups[SIDES];
	struct rs_vec(struct use) v;
};

static bool find_subject(const struct uses *u, const struct record_end *e, uint32_t *out)
{
	const struct subjects *s = whatif_subjects(u->d->w);
	uint32_t end;
	int side;

	for (side = 0; side < SIDES; side++) {
		if (!lookup_end(u->lookups[side], e, &end))
			continue;
		*out = end == UINT32_MAX ? subjects_of_addr(s, &e->addr) : s->of_end[side][end];
		return *out != UINT32_MAX;
	}
	return false;
}

static void take_record(void *ctx, const struct record *r)
{
	struct uses *u = ctx;
	struct use use = { .proto = r->proto, .port = r->port, .dropped = r->dropped, .n = r->n };

	if (find_subject(u, &r->from, &use.from) && find_subject(u, &r->to, &use.to))
		*rs_vec_push(&u->v) = use;
	else
		u->d->strangers++;
}

static int by_pair(const void *a, const void *b)
{
	const struct use *x = a, *y = b;

	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return x->to < y->to ? -1 : x->to > y->to;
}

/* Whether that port is open between some of the pods, and between all of them. */
static bool is_open(struct whatif *w, const struct pair *p, enum side side, const struct use *u,
		    bool all)
{
	const struct ports *ports = &p->ports[side];
	bool use[FAMILIES];
	int f;

	pair_families(p, SIDES, use);
	for (f = 0; f < FAMILIES; f++) {
		const struct rs_reach *r =
			portbook_get(whatif_book(w), all ? ports->all[f] : ports->any[f]);

		if (use[f] && rs_reach_allows(r, u->proto, u->port) != all)
			return !all;
	}
	return all;
}

/* A flow that the change cuts off, of some pods at least; or lets through. */
static bool concerns(struct whatif *w, const struct pair *p, const struct use *u)
{
	if (u->dropped)
		return !is_open(w, p, BEFORE, u, true) && is_open(w, p, AFTER, u, false);
	return is_open(w, p, BEFORE, u, false) && !is_open(w, p, AFTER, u, true);
}

static void add_used(struct diff *d, const struct use *v, size_t n)
{
	struct diff_row row = { 0 };
	struct diff_section *s;
	size_t i;

	if (!whatif_pair(d->w, v[0].from, v[0].to, &row.pair) ||
	    !(DIFFERENT & 1u << row.pair.change))
		return;
	for (i = 0; i < n; i++)
		if (v[i].dropped == (row.pair.change == GAINED) && concerns(d->w, &row.pair, &v[i]))
			row.seen += v[i].n;
	s = &d->sections[row.pair.change];
	if (row.seen) {
		*rs_vec_push(&s->rows) = row;
		s->in_use++;
	}
}

static int by_use(const void *a, const void *b)
{
	const struct diff_row *x = a, *y = b;

	if (x->seen != y->seen)
		return x->seen < y->seen ? 1 : -1;
	if (x->pair.from != y->pair.from)
		return x->pair.from < y->pair.from ? -1 : 1;
	return x->pair.to < y->pair.to ? -1 : x->pair.to > y->pair.to;
}

static int take_traffic(struct diff *d, const char *path, struct rs_err *err)
{
	struct uses u = { .d = d };
	size_t i, k;
	int side, rc;

	for (side = 0; side < SIDES; side++)
		u.lookups[side] = lookup_new(whatif_world(d->w, (enum side)side));
	rc = traffic_read(path, take_record, &u, &d->records, err);
	if (u.v.n > 1)
		qsort(u.v.v, u.v.n, sizeof(*u.v.v), by_pair);
	for (i = 0; i < u.v.n && rc == 0; i = k) {
		for (k = i + 1; k < u.v.n && !by_pair(&u.v.v[i], &u.v.v[k]); k++)
			;
		add_used(d, &u.v.v[i], k - i);
	}
	for (side = 0; side < SIDES; side++)
		lookup_free(u.lookups[side]);
	rs_vec_free(&u.v);
	for (i = LOST; i < CHANGES; i++)
		if (d->sections[i].rows.n > 1)
			qsort(d->sections[i].rows.v, d->sections[i].rows.n, sizeof(struct diff_row),
			      by_use);
	d->traffic = true;
	return rc;
}

/* ---- the others ------------------------------------------------------------------------------ */

struct filler {
	struct diff *d;
	size_t limit;
	size_t open; /* sections that want more rows */
};

static bool wants_more(const struct filler *f, const struct diff_section *s)
{
	return s->rows.n < f->limit && s->rows.n < s->total;
}

static bool is_shown(const struct diff_section *s, const struct pair *p)
{
	size_t i;

	for (i = 0; i < s->in_use && i < s->rows.n; i++)
		if (s->rows.v[i].pair.from == p->from && s->rows.v[i].pair.to == p->to)
			return true;
	return false;
}

static bool take_pair(void *ctx, const struct pair *p)
{
	struct filler *f = ctx;
	struct diff_section *s = &f->d->sections[p->change];

	if (!wants_more(f, s) || is_shown(s, p))
		return true;
	rs_vec_push(&s->rows)->pair = *p;
	if (!wants_more(f, s))
		f->open--;
	return f->open > 0;
}

static void fill(struct diff *d, size_t limit)
{
	struct filler f = { .d = d, .limit = limit };
	unsigned int wanted = 0;
	int c;
	size_t i;

	for (c = LOST; c < CHANGES; c++) {
		struct diff_section *s = &d->sections[c];

		if (s->rows.n > limit)
			s->rows.n = limit;
		if (wants_more(&f, s)) {
			f.open++;
			wanted |= 1u << c;
		}
	}
	if (f.open)
		whatif_walk(d->w, wanted, take_pair, &f);
	for (c = LOST; c < CHANGES; c++)
		for (i = 0; i < d->sections[c].rows.n; i++)
			blame_pair(d->w, &d->sections[c].rows.v[i].pair,
				   &d->sections[c].rows.v[i].blame);
}

static void find_one_sided(struct diff *d)
{
	const struct subjects *s = whatif_subjects(d->w);
	uint32_t i;

	for (i = 0; i < s->n; i++)
		if (!whatif_compared(d->w, &s->v[i]) && whatif_listed(d->w, &s->v[i]))
			*rs_vec_push(s->v[i].ends[AFTER].n ? &d->appeared : &d->vanished) = i;
}

int diff_make(struct whatif *w, const char *traffic, size_t limit, struct diff *out,
	      struct rs_err *err)
{
	uint64_t counts[CHANGES];
	int c, rc = 0;

	out->w = w;
	whatif_count(w, counts);
	for (c = LOST; c < CHANGES; c++)
		out->sections[c].total = counts[c];
	out->unchanged = counts[SAME];
	find_one_sided(out);
	if (traffic)
		rc = take_traffic(out, traffic, err);
	if (rc == 0)
		fill(out, limit);
	return rc;
}

bool diff_differs(const struct diff *d)
{
	return d->sections[LOST].total || d->sections[GAINED].total || d->sections[CHANGED].total ||
	       d->appeared.n || d->vanished.n;
}

void diff_free(struct diff *d)
{
	size_t i;
	int c;

	for (c = 0; c < CHANGES; c++) {
		for (i = 0; i < d->sections[c].rows.n; i++)
			blame_clear(&d->sections[c].rows.v[i].blame);
		rs_vec_free(&d->sections[c].rows);
	}
	rs_vec_free(&d->appeared);
	rs_vec_free(&d->vanished);
}
