// SPDX-License-Identifier: Apache-2.0
/* matrixcells.c - cells between rows of parties, and rows that are equal made one; see matrix.h. */
#include <string.h>

#include "cli/matrix/matrixparts.h"

enum mx_kind mx_kind(uint32_t cell)
{
	return cell == RS_REACH_NONE ? MX_NONE : cell == RS_REACH_ALL ? MX_ALL : MX_SOME;
}

/* ---- rows of parties with the same units ----------------------------------------------------- */

static int cmp_units(const struct matrix *m, uint32_t a, uint32_t b)
{
	const struct mx_party *x = &m->parties.v[a], *y = &m->parties.v[b];
	size_t i;

	/* Each namespace of --by ns has its own counts, and the world is no pod. */
	if (x->n_shares != y->n_shares)
		return x->n_shares < y->n_shares ? -1 : 1;
	if (m->by == CLI_BY_NS || !x->ns || !y->ns)
		return a < b ? -1 : a > b;
	for (i = 0; i < x->n_shares; i++) {
		uint32_t u = m->shares.v[x->first_share + i].unit;
		uint32_t v = m->shares.v[y->first_share + i].unit;

		if (u != v)
			return u < v ? -1 : 1;
	}
	return 0;
}

static int by_units(const void *a, const void *b, void *arg)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	int c = cmp_units(arg, x, y);

	return c ? c : x < y ? -1 : x > y;
}

static int by_first(const void *a, const void *b, void *arg)
{
	const struct matrix *m = arg;
	uint32_t x = m->members[((const struct mx_row *)a)->first_member];
	uint32_t y = m->members[((const struct mx_row *)b)->first_member];

	return x < y ? -1 : x > y;
}

static void sort_rows(struct matrix *m)
{
	size_t i, k;

	qsort_r(m->rows, m->n_rows, sizeof(*m->rows), by_first, m);
	for (i = 0; i < m->n_rows; i++)
		for (k = 0; k < m->rows[i].n_members; k++)
			m->parties.v[m->members[m->rows[i].first_member + k]].row = (uint32_t)i;
}

void mx_make_rows(struct matrix *m)
{
	size_t n = m->parties.n, i;

	m->members = rs_new0(uint32_t, n);
	m->rows = rs_new0(struct mx_row, n);
	for (i = 0; i < n; i++)
		m->members[i] = (uint32_t)i;
	qsort_r(m->members, n, sizeof(*m->members), by_units, m);
	for (i = 0; i < n; i++) {
		const struct mx_party *p = &m->parties.v[m->members[i]];
		struct mx_row *row;

		if (!i || cmp_units(m, m->members[i - 1], m->members[i]))
			m->rows[m->n_rows++].first_member = i;
		row = &m->rows[m->n_rows - 1];
		row->n_members++;
		memcpy(row->isolated, p->isolated, sizeof(row->isolated));
	}
	sort_rows(m);
}

/* ---- cells ----------------------------------------------------------------------------------- */

/* Which rows hold a unit. */
struct holders {
	size_t *first;	    /* by unit, and one behind */
	struct mx_share *v; /* unit: the row */
};

static const struct mx_party *first_of(const struct matrix *m, size_t row)
{
	return &m->parties.v[m->members[m->rows[row].first_member]];
}

static void find_holders(const struct matrix *m, struct holders *h)
{
	size_t i, k, n = 0, *at;

	h->first = rs_new0(size_t, m->units.n + 1);
	for (i = 0; i < m->n_rows; i++) {
		const struct mx_party *p = first_of(m, i);

		for (k = 0; k < p->n_shares; k++, n++)
			h->first[m->shares.v[p->first_share + k].unit + 1]++;
	}
	for (i = 0; i < m->units.n; i++)
		h->first[i + 1] += h->first[i];
	h->v = rs_new0(struct mx_share, n + 1);
	at = rs_memdup(h->first, (m->units.n + 1) * sizeof(*at));
	for (i = 0; i < m->n_rows; i++) {
		const struct mx_party *p = first_of(m, i);

		for (k = 0; k < p->n_shares; k++) {
			const struct mx_share *s = &m->shares.v[p->first_share + k];

			h->v[at[s->unit]++] = (struct mx_share){ (uint32_t)i, s->n };
		}
	}
	free(at);
}

/* Of a range some ports may be open: then the answer is neither yes nor no. */
static uint32_t answer_range(const struct rs_reach *r, const struct mx_unit *server)
{
	bool any = false;
	size_t i;

	for (i = 0; i < r->n; i++) {
		const struct rs_reach_port *p = &r->v[i];

		if (p->proto == RS_REACH_ANY)
			return RS_REACH_ALL;
		if (p->proto != server->proto || p->hi < server->lo || p->lo > server->hi)
			continue;
		if (p->lo <= server->lo && p->hi >= server->hi)
			return RS_REACH_ALL;
		any = true;
	}
	return any ? MX_MIXED : RS_REACH_NONE;
}

/* What the asked port makes of a row of the table; a server without such a port has none open. */
static void answer_port(const struct matrix *m, uint32_t *row)
{
	size_t i;

	for (i = 0; m->q.text && i < m->units.n; i++) {
		const struct mx_unit *u = &m->units.v[i];

		if (u->proto || u->icmp)
			row[i] = answer_range(rs_reach_table_get(m->table, row[i]), u);
		else
			row[i] = RS_REACH_NONE;
	}
}

#define UNSET (UINT32_MAX - 1)

static inline uint32_t joined(uint32_t cell, uint32_t answer)
{
	return cell == UNSET || cell == answer ? answer : MX_MIXED;
}

/* A pod makes no pair with itself; the pods of a template do, as one pair. */
static uint64_t pairs_of(const struct mx_party *p, const struct mx_share *to, uint32_t n, bool same)
{
	if (!same)
		return (uint64_t)n * to->n;
	return p->n_ends == 1 ? !p->alone : (uint64_t)n * (to->n - 1);
}

/* One unit of a row as the client of all units of all rows. */
static void fill_row(struct matrix *m, size_t from, uint32_t unit, uint32_t n, const uint32_t *row)
{
	uint32_t *cells = m->cells + from * m->n_rows;
	size_t to, k;

	for (to = 0; to < m->n_rows; to++) {
		const struct mx_party *p = first_of(m, to);
		const struct mx_share *s = m->shares.v + p->first_share;
		uint32_t cell = cells[to];
		struct mx_count *c = m->counts ? &m->counts[from * m->n_rows + to] : NULL;

		for (k = 0; k < p->n_shares; k++) {
			uint32_t answer = row[s[k].unit];
			uint64_t pairs;

			if (!c) {
				cell = joined(cell, answer);
				continue;
			}
			pairs = pairs_of(p, &s[k], n, from == to && s[k].unit == unit);
			c->n[mx_kind(answer)] += pairs;
			cell = pairs ? joined(cell, answer) : cell;
		}
		cells[to] = cell;
	}
}

void mx_make_cells(struct matrix *m)
{
	size_t square = m->n_rows * m->n_rows, u, k;
	rs_autofree uint32_t *row = rs_new0(uint32_t, m->units.n);
	struct holders h = { 0 };

	find_holders(m, &h);
	m->cells = rs_new0(uint32_t, square);
	for (k = 0; k < square; k++)
		m->cells[k] = UNSET;
	if (m->by == CLI_BY_NS)
		m->counts = rs_new0(struct mx_count, square);
	for (u = 0; u < m->units.n; u++) {
		rs_reach_table_row(m->table, u, row);
		answer_port(m, row);
		for (k = h.first[u]; k < h.first[u + 1]; k++)
			fill_row(m, h.v[k].unit, (uint32_t)u, h.v[k].n, row);
	}
	for (k = 0; k < square; k++)
		if (m->cells[k] == UNSET) /* a namespace of one pod, with itself */
			m->cells[k] = RS_REACH_ALL;
	free(h.first);
	free(h.v);
}

/* ---- rows that are equal --------------------------------------------------------------------- */

static uint64_t mix(uint64_t h, uint64_t x)
{
	h = (h ^ x) * 0x9e3779b97f4a7c15ULL;
	return h ^ h >> 29;
}

struct likeness {
	const struct matrix *m;
	uint64_t *hash;
};

/* The order in which a hash meets its cells must not depend on where the row stands. */
static void hash_rows(struct likeness *l)
{
	const struct matrix *m = l->m;
	size_t n = m->n_rows, i, k;
	rs_autofree uint64_t *column = rs_new0(uint64_t, n);

	for (i = 0; i < n; i++)
		l->hash[i] = mix(m->rows[i].isolated[0], m->rows[i].isolated[1]);
	for (i = 0; i < n; i++)
		for (k = 0; k < n; k++) {
			l->hash[i] = mix(l->hash[i], mx_cell(m, i, k));
			column[k] = mix(column[k], mx_cell(m, i, k));
		}
	for (i = 0; i < n; i++)
		l->hash[i] = mix(l->hash[i], column[i]);
}

/* Both as clients and as servers, towards each other too; then all four cells of the two agree. */
static bool alike(const struct matrix *m, size_t a, size_t b)
{
	size_t k;

	if (!first_of(m, a)->ns || !first_of(m, b)->ns ||
	    memcmp(m->rows[a].isolated, m->rows[b].isolated, sizeof(m->rows[a].isolated)) != 0)
		return false;
	for (k = 0; k < m->n_rows; k++)
		if (mx_cell(m, a, k) != mx_cell(m, b, k) || mx_cell(m, k, a) != mx_cell(m, k, b))
			return false;
	return true;
}

static int by_hash(const void *a, const void *b, void *arg)
{
	const struct likeness *l = arg;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	if (l->hash[x] != l->hash[y])
		return l->hash[x] < l->hash[y] ? -1 : 1;
	return x < y ? -1 : x > y;
}

/* into[i]: the first row that i is like, perhaps itself. Returns how many stay. */
static size_t find_alike(const struct matrix *m, uint32_t *into)
{
	struct likeness l = { m, rs_new0(uint64_t, m->n_rows) };
	rs_autofree uint32_t *order = rs_new0(uint32_t, m->n_rows);
	size_t i, k, left = m->n_rows;

	hash_rows(&l);
	for (i = 0; i < m->n_rows; i++)
		into[i] = order[i] = (uint32_t)i;
	qsort_r(order, m->n_rows, sizeof(*order), by_hash, &l);
	for (i = 0; i < m->n_rows; i = k) {
		for (k = i + 1; k < m->n_rows && l.hash[order[k]] == l.hash[order[i]]; k++)
			if (alike(m, order[i], order[k])) {
				into[order[k]] = order[i];
				left--;
			}
	}
	free(l.hash);
	return left;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* The members of row `old` and of those that are like it, in their order, behind `at`. */
static size_t take_members(const struct matrix *m, const uint32_t *into, size_t old,
			   uint32_t *members, size_t at)
{
	size_t first = at, i;

	for (i = old; i < m->n_rows; i++)
		if (into[i] == old) {
			memcpy(members + at, m->members + m->rows[i].first_member,
			       m->rows[i].n_members * sizeof(*members));
			at += m->rows[i].n_members;
		}
	qsort(members + first, at - first, sizeof(*members), by_number);
	return at;
}

static void keep_rows(struct matrix *m, const uint32_t *into, size_t left)
{
	uint32_t *members = rs_new0(uint32_t, m->parties.n);
	uint32_t *cells = rs_new0(uint32_t, left * left);
	rs_autofree size_t *old = rs_new0(size_t, left);
	struct mx_row *rows = rs_new0(struct mx_row, left);
	size_t i, k, n = 0, at = 0;

	for (i = 0; i < m->n_rows; i++) {
		if (into[i] != i)
			continue;
		rows[n] = m->rows[i];
		rows[n].first_member = at;
		at = take_members(m, into, i, members, at);
		rows[n].n_members = at - rows[n].first_member;
		old[n++] = i;
	}
	for (i = 0; i < left; i++)
		for (k = 0; k < left; k++)
			cells[i * left + k] = mx_cell(m, old[i], old[k]);
	free(m->members);
	free(m->rows);
	free(m->cells);
	m->members = members;
	m->rows = rows;
	m->cells = cells;
	m->n_rows = left;
	sort_rows(m);
}

/* Rows stand in the order of their first members, so the first of those alike has the first one:
 * their order does not change. */
void mx_fold_rows(struct matrix *m)
{
	rs_autofree uint32_t *into = rs_new0(uint32_t, m->n_rows);
	size_t left;

	if (m->by == CLI_BY_NS)
		return;
	left = find_alike(m, into);
	if (left < m->n_rows)
		keep_rows(m, into, left);
}

/* ---- reading --------------------------------------------------------------------------------- */

bool mx_is_self(const struct matrix *m, size_t from, size_t to)
{
	return from == to && m->rows[from].n_members == 1 && first_of(m, from)->alone;
}

bool mx_is_open(const struct matrix *m, size_t from, size_t to)
{
	return !m->rows[from].isolated[RS_EGRESS] && !m->rows[to].isolated[RS_INGRESS];
}

char *mx_cell_text(const struct matrix *m, uint32_t cell)
{
	static const char *const answers[] = { "denied", "some", "allowed" };

	if (m->q.text)
		return rs_strdup(answers[mx_kind(cell)]);
	if (cell == MX_MIXED)
		return rs_strdup("mixed");
	return rs_reach_str(rs_reach_table_get(m->table, cell));
}

char *mx_row_text(const struct matrix *m, size_t row)
{
	size_t n = m->rows[row].n_members;

	if (n == 1)
		return rs_strdup(first_of(m, row)->text);
	return rs_asprintf("%s +%zu", first_of(m, row)->text, n - 1);
}
