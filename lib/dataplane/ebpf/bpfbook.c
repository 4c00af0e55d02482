// SPDX-License-Identifier: Apache-2.0
/* bpfbook.c - see bpfbook.h. */
#include "dataplane/ebpf/bpfbook.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"

#define PREFIXES 30 /* of a run of ports, at most */

struct rs_bpf_book *rs_bpf_book_new(void)
{
	struct rs_bpf_book *b = rs_new(struct rs_bpf_book);

	b->clean = 1;
	return b;
}

void rs_bpf_book_free(struct rs_bpf_book *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->rules.n; i++) {
		free(b->rules.v[i].ns);
		free(b->rules.v[i].name);
	}
	for (size_t i = 0; i < b->lists.n; i++)
		free(b->lists.v[i].v);
	rs_vec_free(&b->rules);
	rs_vec_free(&b->lists);
	free(b->whys);
	free(b);
}

bool rs_bpf_book_is_mute(const struct rs_ir *ir)
{
	return !ir->n_whys && !ir->n_policies;
}

/* ---- rules ----------------------------------------------------------------------------------- */

int rs_bpf_booked_cmp(const struct rs_bpf_booked *a, const struct rs_bpf_booked *b)
{
	int c = strcmp(a->ns, b->ns);

	if (!c)
		c = strcmp(a->name, b->name);
	if (!c)
		c = (a->dir > b->dir) - (a->dir < b->dir);
	return c ? c : (a->index > b->index) - (a->index < b->index);
}

static int booked_cmp(const void *a, const void *b)
{
	return rs_bpf_booked_cmp(a, b);
}

static int rule_cmp(const void *a, const void *b, void *arg)
{
	const struct rs_ir_rule *rules = arg;
	const struct rs_ir_rule *x = &rules[*(const uint32_t *)a],
				*y = &rules[*(const uint32_t *)b];

	return rs_bpf_booked_cmp(&(struct rs_bpf_booked){ .ns = (char *)x->ns,
							  .name = (char *)x->name,
							  .dir = x->dir,
							  .index = x->index },
				 &(struct rs_bpf_booked){ .ns = (char *)y->ns,
							  .name = (char *)y->name,
							  .dir = y->dir,
							  .index = y->index });
}

/* Work on one IR. */
struct work {
	const struct rs_ir *ir;
	const struct rs_bpf_book *old; /* never NULL */
	struct rs_bpf_book *b;
	uint32_t *at;	/* by rule of the IR: its place in b->rules, or RS_CLASS_NONE */
	uint8_t *taken; /* by slot: the old book has it, or a rule of the new one */
	uint8_t *numbers;
	uint32_t next;
	size_t entries, most; /* of rs_whys */
};

typedef void why_fn(struct work *w, uint32_t first, uint32_t n);

/* The reasons of groups and cells; equal ones mostly begin at one place. */
static void for_whys(struct work *w, why_fn *fn)
{
	const struct rs_ir *ir = w->ir;

	for (size_t i = 0; i < ir->n_groups; i++)
		if (ir->groups[i].n_why)
			fn(w, ir->groups[i].first_why, ir->groups[i].n_why);
	for (size_t i = 0; i < ir->n_cells; i++)
		if (ir->cells[i].n_why)
			fn(w, ir->cells[i].first_why, ir->cells[i].n_why);
}

static void mark_rules(struct work *w, uint32_t first, uint32_t n)
{
	if (first >= w->b->n_whys || n > w->b->n_whys - first || w->b->whys[first].n >= n)
		return;
	w->b->whys[first].n = n;
	for (uint32_t i = first; i < first + n; i++)
		if (w->ir->whys[i].rule < w->ir->n_rules)
			w->at[w->ir->whys[i].rule] = 0;
}

static bool fits(const struct rs_ir_rule *r)
{
	return strlen(r->ns) < sizeof(((struct rs_bpf_rule *)0)->ns) &&
	       strlen(r->name) < sizeof(((struct rs_bpf_rule *)0)->name);
}

static void add_rule(struct work *w, uint32_t rule)
{
	const struct rs_ir_rule *r = &w->ir->rules[rule];
	struct rs_bpf_booked *x;

	w->at[rule] = (uint32_t)w->b->rules.n;
	x = rs_vec_push(&w->b->rules);
	x->ns = rs_strdup(r->ns);
	x->name = rs_strdup(r->name);
	x->dir = r->dir;
	x->index = r->index;
	x->partly = !fits(r);
}

/* Both lists are in order. */
static void keep_slots(struct work *w)
{
	for (size_t i = 0, j = 0; i < w->b->rules.n; i++) {
		struct rs_bpf_booked *x = &w->b->rules.v[i];

		while (j < w->old->rules.n && rs_bpf_booked_cmp(&w->old->rules.v[j], x) < 0)
			j++;
		if (j < w->old->rules.n && !rs_bpf_booked_cmp(&w->old->rules.v[j], x))
			x->slot = w->old->rules.v[j].slot;
	}
	for (size_t j = 0; j < w->old->rules.n; j++)
		w->taken[w->old->rules.v[j].slot] = 1;
}

static void give_slots(struct work *w)
{
	uint32_t next = 1;

	w->b->clean = w->old->clean;
	for (size_t i = 0; i < w->b->rules.n; i++) {
		struct rs_bpf_booked *x = &w->b->rules.v[i];

		if (x->slot || x->partly)
			continue;
		while (next < RS_BPF_RULES && w->taken[next])
			next++;
		if (next == RS_BPF_RULES) {
			x->partly = true;
			continue;
		}
		w->taken[next] = 1;
		x->slot = next;
		x->fresh = true;
		x->dirty = next < w->old->clean;
		if (next >= w->b->clean)
			w->b->clean = next + 1;
	}
}

static void book_rules(struct work *w)
{
	rs_autofree uint32_t *order = rs_new0(uint32_t, w->ir->n_rules);
	size_t n = 0;

	for_whys(w, mark_rules);
	for (uint32_t i = 0; i < w->ir->n_rules; i++)
		if (w->at[i] != RS_CLASS_NONE)
			order[n++] = i;
	if (n)
		qsort_r(order, n, sizeof(*order), rule_cmp, w->ir->rules);
	for (size_t i = 0; i < n; i++) {
		if (i && !rule_cmp(&order[i - 1], &order[i], w->ir->rules))
			w->at[order[i]] = w->at[order[i - 1]]; /* one rule, twice */
		else
			add_rule(w, order[i]);
	}
	keep_slots(w);
	give_slots(w);
}

/* ---- lists ----------------------------------------------------------------------------------- */

static int where_cmp(const void *a, const void *b)
{
	const struct rs_bpf_where *x = a, *y = b;

	if (x->proto != y->proto)
		return x->proto < y->proto ? -1 : 1;
	return (x->lo > y->lo) - (x->lo < y->lo);
}

/* Runs that touch and count alike are one. */
static size_t merge(struct rs_bpf_where *v, size_t n)
{
	size_t to = 0;

	for (size_t i = 0; i < n; i++) {
		struct rs_bpf_where *last = to ? &v[to - 1] : NULL;

		if (last && last->proto == v[i].proto && last->slot == v[i].slot &&
		    last->hi + 1 == v[i].lo)
			last->hi = v[i].hi;
		else
			v[to++] = v[i];
	}
	return to;
}

static int list_cmp(const void *a, const void *b)
{
	const struct rs_bpf_list *x = a, *y = b;

	if (x->n != y->n)
		return x->n < y->n ? -1 : 1;
	for (size_t i = 0; i < x->n; i++) {
		const struct rs_bpf_where *p = &x->v[i], *q = &y->v[i];
		int c = where_cmp(p, q);

		if (!c)
			c = (p->hi > q->hi) - (p->hi < q->hi);
		if (!c)
			c = (p->slot > q->slot) - (p->slot < q->slot);
		if (c)
			return c;
	}
	return 0;
}

static void sort_lists(struct rs_bpf_book *b)
{
	if (b->lists.n)
		qsort(b->lists.v, b->lists.n, sizeof(*b->lists.v), list_cmp);
}

static uint32_t slot_of(const struct work *w, uint32_t rule)
{
	return rule < w->ir->n_rules ? w->b->rules.v[w->at[rule]].slot : 0;
}

/* All of one slot: that slot. 0 where a rule has none, and everything where there are more. */
static uint32_t one_slot(const struct work *w, uint32_t first, uint32_t n)
{
	uint32_t slot = slot_of(w, w->ir->whys[first].rule);
	bool same = true;

	for (uint32_t i = first; i < first + n; i++) {
		uint32_t s = slot_of(w, w->ir->whys[i].rule);

		if (!s)
			return 0;
		same &= s == slot;
	}
	return same ? slot : RS_BPF_RULE_LIST;
}

static uint32_t free_number(struct work *w)
{
	while (w->numbers[w->next]) /* there are more than lists can be */
		w->next++;
	return w->next++;
}

/* The list is the book's afterwards. RS_BPF_RULE_LIST and its number; 0: there is no room. Two of
 * one content have two numbers for a while, until the next book finds them here. */
static uint32_t book_list(struct work *w, struct rs_bpf_list *l)
{
	const struct rs_bpf_list *had = NULL;

	w->entries += l->n * PREFIXES;
	if (w->entries > w->most)
		return 0;
	if (w->old->lists.n)
		had = bsearch(l, w->old->lists.v, w->old->lists.n, sizeof(*l), list_cmp);
	l->number = had ? had->number : free_number(w);
	*rs_vec_push(&w->b->lists) = *l;
	l->v = NULL;
	return RS_BPF_RULE_LIST | l->number;
}

static uint32_t make_list(struct work *w, uint32_t first, uint32_t n)
{
	struct rs_bpf_list l = { .v = rs_new0(struct rs_bpf_where, n), .n = n };
	uint32_t rule;

	for (uint32_t i = 0; i < n; i++) {
		const struct rs_ir_portrule *r = &w->ir->whys[first + i];

		l.v[i] = (struct rs_bpf_where){ r->proto, r->lo, r->hi, slot_of(w, r->rule) };
		if (!r->proto) {
			l.v[i].lo = 0;
			l.v[i].hi = UINT16_MAX;
		}
	}
	qsort(l.v, n, sizeof(*l.v), where_cmp);
	l.n = merge(l.v, n);
	rule = book_list(w, &l);
	free(l.v);
	return rule;
}

static void book_why(struct work *w, uint32_t first, uint32_t n)
{
	struct rs_bpf_why *y;

	if (first >= w->b->n_whys || n > w->b->n_whys - first)
		return;
	y = &w->b->whys[first];
	if (y->known)
		return;
	y->known = true;
	y->rule = one_slot(w, first, y->n);
	if (y->rule == RS_BPF_RULE_LIST)
		y->rule = make_list(w, first, y->n);
	for (uint32_t i = first; !y->rule && i < first + y->n; i++)
		if (w->ir->whys[i].rule < w->ir->n_rules)
			w->b->rules.v[w->at[w->ir->whys[i].rule]].partly = true;
}

struct rs_bpf_book *rs_bpf_book_make(const struct rs_bpf_book *old, const struct rs_ir *ir,
				     size_t most)
{
	rs_auto_bpf_book *none = rs_bpf_book_new();
	struct work w = { .ir = ir, .old = old ? old : none, .b = rs_bpf_book_new(), .most = most };
	rs_autofree uint32_t *at = rs_new0(uint32_t, ir->n_rules);
	rs_autofree uint8_t *taken = rs_new0(uint8_t, RS_BPF_RULES);
	rs_autofree uint8_t *numbers = NULL;
	size_t n_numbers = ir->n_whys + 2;

	w.at = at;
	w.taken = taken;
	memset(at, 0xff, ir->n_rules * sizeof(*at));
	w.b->n_whys = ir->n_whys;
	w.b->whys = rs_new0(struct rs_bpf_why, ir->n_whys);
	book_rules(&w);
	for (size_t i = 0; i < w.old->lists.n; i++)
		if (w.old->lists.v[i].number >= n_numbers)
			n_numbers = w.old->lists.v[i].number + 1;
	n_numbers += ir->n_whys + 1;
	w.numbers = numbers = rs_new0(uint8_t, n_numbers);
	w.next = 1;
	for (size_t i = 0; i < w.old->lists.n; i++)
		numbers[w.old->lists.v[i].number] = 1;
	for_whys(&w, book_why);
	sort_lists(w.b);
	return w.b;
}

void rs_bpf_book_booked(struct rs_bpf_book *b)
{
	for (size_t i = 0; b && i < b->rules.n; i++)
		b->rules.v[i].fresh = b->rules.v[i].dirty = false;
}

/* ---- what cells say -------------------------------------------------------------------------- */

uint32_t rs_bpf_book_rule(const struct rs_bpf_book *b, uint32_t first_why, uint32_t n_why)
{
	return b && n_why && first_why < b->n_whys ? b->whys[first_why].rule : 0;
}

struct putting {
	struct rs_bpf_table *to;
	uint32_t number;
	uint8_t proto;
	uint32_t slot;
};

static void put_prefix(const uint8_t *first, unsigned int len, void *arg)
{
	const struct putting *p = arg;
	struct rs_bpf_port key = { .plen = 40 + len };

	for (int i = 0; i < 4; i++)
		key.b[i] = (uint8_t)(p->number >> (24 - 8 * i));
	key.b[4] = p->proto;
	memcpy(key.b + 5, first, 2);
	rs_bpf_table_add(p->to, RS_BPF_MAP_WHYS, &key, &p->slot);
}

void rs_bpf_book_put(const struct rs_bpf_book *b, struct rs_bpf_table *whys)
{
	for (size_t i = 0; b && i < b->lists.n; i++)
		for (size_t k = 0; k < b->lists.v[i].n; k++) {
			const struct rs_bpf_where *x = &b->lists.v[i].v[k];
			struct putting p = { whys, b->lists.v[i].number, x->proto, x->slot };
			uint8_t lo[2] = { (uint8_t)(x->lo >> 8), (uint8_t)x->lo };
			uint8_t hi[2] = { (uint8_t)(x->hi >> 8), (uint8_t)x->hi };

			rs_bpf_split(lo, hi, 2, put_prefix, &p);
		}
}

/* ---- read back ------------------------------------------------------------------------------- */

static bool ends(const char *s, size_t n)
{
	return memchr(s, '\0', n) != NULL;
}

void rs_bpf_book_add(struct rs_bpf_book *b, uint32_t slot, const struct rs_bpf_rule *r)
{
	struct rs_bpf_booked *x;

	if (!slot || slot >= RS_BPF_RULES || !ends(r->ns, sizeof(r->ns)) ||
	    !ends(r->name, sizeof(r->name)))
		return;
	x = rs_vec_push(&b->rules);
	x->ns = rs_strdup(r->ns);
	x->name = rs_strdup(r->name);
	x->dir = r->dir;
	x->index = r->index;
	x->slot = slot;
}

static uint32_t number_at(const struct rs_bpf_table *t, size_t i)
{
	const uint8_t *b = rs_bpf_key(t, RS_BPF_MAP_WHYS, i) + 4;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void take_entry(const struct rs_bpf_table *t, size_t i, struct rs_bpf_where *x)
{
	const uint8_t *key = rs_bpf_key(t, RS_BPF_MAP_WHYS, i);
	uint32_t plen;

	memcpy(&plen, key, sizeof(plen));
	memcpy(&x->slot, rs_bpf_value(t, RS_BPF_MAP_WHYS, i), sizeof(x->slot));
	x->proto = key[8];
	x->lo = (uint16_t)(key[9] << 8 | key[10]);
	x->hi = plen < 40 || plen > 56 ? x->lo : (uint16_t)(x->lo | ((1u << (56 - plen)) - 1));
}

void rs_bpf_book_adopt(struct rs_bpf_book *b, const struct rs_bpf_table *whys)
{
	for (size_t i = 0, end; i < whys->n; i = end) {
		uint32_t number = number_at(whys, i);
		struct rs_bpf_list *l;

		for (end = i + 1; end < whys->n && number_at(whys, end) == number;)
			end++;
		if (!number || number > RS_BPF_WHYS)
			continue; /* none of ours */
		l = rs_vec_push(&b->lists);
		l->number = number;
		l->v = rs_new0(struct rs_bpf_where, end - i);
		for (size_t k = i; k < end; k++)
			take_entry(whys, k, &l->v[k - i]);
		l->n = merge(l->v, end - i);
	}
	if (b->rules.n)
		qsort(b->rules.v, b->rules.n, sizeof(*b->rules.v), booked_cmp);
	sort_lists(b);
	b->clean = RS_BPF_RULES;
}
