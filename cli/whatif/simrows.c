// SPDX-License-Identifier: Apache-2.0
/* simrows.c - who reaches whom in one world: pairs with equal ports and rules are put together. */
#include "cli/whatif/simulate.h"

#include <string.h>

/* More open pairs than these are counted, not listed. */
#define MAX_PAIRS 250000

/* Rules that one cell names. */
#define MAX_RULES 3

#define MAX_LOOK 64

/* An open pair: texts by number. */
struct open_pair {
	uint32_t to, ports, rules, from;
};

struct gather {
	struct sim *s;
	struct rs_intern texts;
	struct rs_vec(struct open_pair) v;
};

/* ---- the rules of a pair --------------------------------------------------------------------- */

static void add_rule(struct rs_strbuf *b, size_t *n, const struct rs_ir *ir,
		     const struct rs_ir_half *h)
{
	const struct rs_ir_rule *r;
	rs_autofree char *text = NULL;

	if (!h->applies || !h->allow || h->rule == UINT32_MAX)
		return;
	r = &ir->rules[h->rule];
	text = rs_asprintf("%s/%s %s[%u]", r->ns, r->name,
			   r->dir == RS_DIR_IN ? "ingress" : "egress", r->index);
	if (b->s && strstr(b->s, text))
		return;
	if (++*n <= MAX_RULES)
		rs_strbuf_printf(b, "%s%s", b->len ? ", " : "", text);
	else if (*n == MAX_RULES + 1)
		rs_strbuf_puts(b, ", ...");
}

/* Two ends of a pair between which (proto, port) is open. */
static bool find_open(struct whatif *w, const struct pair *p, int f, uint8_t proto, uint16_t port,
		      struct rs_ir_verdict *v)
{
	const struct subjects *s = whatif_subjects(w);
	size_t n = s->v[p->from].outside ? 1 : s->v[p->from].ends[BEFORE].n, i;
	size_t m = s->v[p->to].outside ? 1 : s->v[p->to].ends[BEFORE].n, k;

	for (i = 0; i < n && i < MAX_LOOK; i++)
		for (k = 0; k < m && k < MAX_LOOK; k++) {
			struct rs_addr a = subject_addr(w, BEFORE, &s->v[p->from], i, f);
			struct rs_addr b = subject_addr(w, BEFORE, &s->v[p->to], k, f);

			if (!a.family || !b.family)
				continue;
			rs_ir_eval_others(whatif_ir(w, BEFORE), &a, &b, proto, port, v);
			if (v->allow)
				return true;
		}
	return false;
}

static char *rules_text(struct whatif *w, const struct pair *p)
{
	rs_auto_strbuf in = { 0 }, out = { 0 };
	size_t n_in = 0, n_out = 0, i;
	int f;

	for (f = 0; f < FAMILIES; f++) {
		const struct rs_reach *r = portbook_get(whatif_book(w), p->ports[BEFORE].any[f]);

		for (i = 0; i < r->n; i++) {
			uint8_t proto =
				r->v[i].proto == RS_REACH_ANY ? RS_PROTO_TCP : r->v[i].proto;
			struct rs_ir_verdict v;

			if (!find_open(w, p, f, proto, r->v[i].lo, &v))
				continue;
			add_rule(&out, &n_out, whatif_ir(w, BEFORE), &v.out);
			add_rule(&in, &n_in, whatif_ir(w, BEFORE), &v.in);
		}
	}
	if (!n_in && !n_out)
		return rs_strdup("not isolated");
	if (n_in && n_out)
		rs_strbuf_puts(&out, "; ");
	rs_strbuf_puts(&out, rs_strbuf_str(&in));
	return rs_strbuf_steal(&out);
}

/* ---- gathering ------------------------------------------------------------------------------- */

static uint32_t number(struct gather *g, const char *text)
{
	return rs_intern_put(&g->texts, text, strlen(text) + 1, NULL);
}

static bool take_pair(void *ctx, const struct pair *p)
{
	struct gather *g = ctx;
	rs_autofree char *ports = pair_ports_text(g->s->w, p, BEFORE);
	rs_autofree char *rules = rules_text(g->s->w, p);

	*rs_vec_push(&g->v) = (struct open_pair){
		.to = p->to, .ports = number(g, ports), .rules = number(g, rules), .from = p->from
	};
	return true;
}

static int pair_cmp(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;
	size_t i;

	for (i = 0; i < 4; i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	return 0;
}

/* ---- rows ------------------------------------------------------------------------------------ */

#define FEW 3

/* Who could be a client of that server and is not in `from`. */
static struct rs_u32s missing(struct whatif *w, const struct rs_u32s *from, uint32_t to)
{
	const struct subjects *s = whatif_subjects(w);
	struct rs_u32s out = { 0 };
	struct pair p;
	uint32_t i;
	size_t at = 0;

	for (i = 0; i < s->n; i++) {
		if (at < from->n && from->v[at] == i) {
			at++;
			continue;
		}
		if ((s->v[i].outside && s->v[to].outside) ||
		    (i == to && !whatif_pair(w, i, to, &p)))
			continue;
		*rs_vec_push(&out) = i;
	}
	return out;
}

static void find_cover(struct whatif *w, struct sim_row *row, uint32_t to)
{
	const struct subjects *s = whatif_subjects(w);
	struct rs_u32s gone = missing(w, &row->from, to);
	bool pods = true;
	size_t i;

	for (i = 0; i < gone.n; i++)
		pods &= s->v[gone.v[i]].outside;
	for (i = 0; i < row->from.n; i++)
		pods &= !s->v[row->from.v[i]].outside;
	if (!gone.n)
		row->cover = row->from.n > 1 ? COVER_ALL : COVER_LIST;
	else if (pods)
		row->cover = row->from.n > 2 ? COVER_PODS : COVER_LIST;
	else if (gone.n <= FEW && row->from.n > 3 && row->from.n > 2 * gone.n)
		row->cover = COVER_BUT_FEW;
	if (row->cover == COVER_BUT_FEW)
		row->few = gone;
	else
		rs_vec_free(&gone);
}

/* What makes two rows one: the same clients (in words), ports and rules. */
static uint32_t row_key(struct rs_intern *keys, const struct sim_row *row,
			const struct open_pair *p, bool *fresh)
{
	rs_auto_strbuf key = { 0 };
	const struct rs_u32s *v = row->cover == COVER_LIST ? &row->from : &row->few;

	rs_key_u32(&key, row->cover);
	rs_key_u32(&key, p->ports);
	rs_key_u32(&key, p->rules);
	if (v->n)
		rs_strbuf_add(&key, v->v, v->n * sizeof(*v->v));
	return rs_intern_put(keys, key.s, key.len, fresh);
}

static void free_row(struct sim_row *row)
{
	rs_vec_free(&row->from);
	rs_vec_free(&row->to);
	rs_vec_free(&row->few);
	free(row->ports);
	free(row->rules);
}

static void add_row(struct sim *s, struct gather *g, struct rs_intern *keys,
		    const struct open_pair *v, size_t n)
{
	struct sim_row row = { 0 };
	size_t i, len;
	uint32_t at;
	bool fresh;

	for (i = 0; i < n; i++)
		*rs_vec_push(&row.from) = v[i].from;
	find_cover(s->w, &row, v->to);
	at = row_key(keys, &row, v, &fresh);
	if (!fresh) {
		free_row(&row);
	} else {
		row.ports = rs_strdup(rs_intern_key(&g->texts, v->ports, &len));
		row.rules = rs_strdup(rs_intern_key(&g->texts, v->rules, &len));
		*rs_vec_push(&s->rows) = row;
	}
	*rs_vec_push(&s->rows.v[at].to) = v->to;
}

static void make_rows(struct sim *s)
{
	struct gather g = { .s = s };
	struct rs_intern keys = { 0 };
	size_t i, k;

	whatif_walk(s->w, 1u << SAME, take_pair, &g);
	if (g.v.n > 1)
		qsort(g.v.v, g.v.n, sizeof(*g.v.v), pair_cmp);
	for (i = 0; i < g.v.n; i = k) {
		for (k = i + 1;
		     k < g.v.n && !memcmp(&g.v.v[i], &g.v.v[k], offsetof(struct open_pair, from));
		     k++)
			;
		add_row(s, &g, &keys, &g.v.v[i], k - i);
	}
	rs_intern_free(&keys);
	rs_intern_free(&g.texts);
	rs_vec_free(&g.v);
}

/* ---- isolation ------------------------------------------------------------------------------- */

static bool end_is_free(const struct sim *s, uint32_t end, enum rs_direction dir)
{
	const struct rs_local_pod *p = &s->cw->w.locals[end];
	enum rs_ir_dir d = dir == RS_INGRESS ? RS_DIR_IN : RS_DIR_OUT;
	const struct rs_ir_local *l = p->n_ips ? rs_ir_local(s->cw->ir, &p->ips[0]) : NULL;
	const struct rs_ir_group *g =
		l ? rs_ir_group(s->cw->ir, d, d == RS_DIR_IN ? l->in_group : l->out_group) : NULL;

	return g && !g->isolated;
}

static void find_free(struct sim *s)
{
	const struct subjects *all = whatif_subjects(s->w);
	uint32_t i;
	size_t k;
	int dir;

	for (i = 0; i < all->n; i++) {
		s->n_pods += !all->v[i].outside;
		for (dir = 0; dir < RS_DIRECTIONS; dir++)
			for (k = 0; k < all->v[i].ends[BEFORE].n; k++)
				if (end_is_free(s, all->v[i].ends[BEFORE].v[k],
						(enum rs_direction)dir)) {
					*rs_vec_push(&s->free[dir]) = i;
					break;
				}
	}
}

void sim_make(struct sim *s)
{
	uint64_t counts[CHANGES];

	whatif_count(s->w, counts);
	s->open = counts[SAME];
	s->closed = counts[CLOSED];
	s->listed = s->open <= MAX_PAIRS;
	if (s->listed && !s->traffic)
		make_rows(s);
	find_free(s);
}

void sim_free(struct sim *s)
{
	size_t i;

	for (i = 0; i < s->rows.n; i++)
		free_row(&s->rows.v[i]);
	for (i = 0; i < s->flows.n; i++) {
		free(s->flows.v[i].from);
		free(s->flows.v[i].to);
		free(s->flows.v[i].why);
		free(s->flows.v[i].where);
	}
	rs_vec_free(&s->rows);
	rs_vec_free(&s->flows);
	rs_vec_free(&s->free[RS_INGRESS]);
	rs_vec_free(&s->free[RS_EGRESS]);
}
