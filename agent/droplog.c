// SPDX-License-Identifier: Apache-2.0
/* droplog.c - the ring of records, the table of who dropped, the account; see droplog.h. */
#include "agent/droplog.h"

#include <string.h>

#define SLOT_MS 10000
#define MAX_POLICIES 1024
#define RING_MIN 16
#define SLOTS (RS_DROP_SPAN_S * 1000 / SLOT_MS)

struct rs_droplog {
	struct rs_drop_entry *ring;
	size_t size;	      /* of the ring, which grows with its entries: most nodes have none */
	size_t max, first, n; /* max: what size may become */
	size_t bytes, max_bytes;
	uint64_t next;
	struct rs_vec(struct rs_drop_row) rows;
	size_t max_rows;
	struct rs_vec(struct rs_drop_policy) policies;
	uint64_t slots[SLOTS];
	int64_t slot; /* number of the one that is being filled */
	uint64_t dropped;
};

/* ---- the account ----------------------------------------------------------------------------- */

void rs_drop_account_open(struct rs_drop_account *a, const struct rs_dp_log_counts *now,
			  int64_t now_ns)
{
	memset(a, 0, sizeof(*a));
	a->open = true;
	a->since_ns = now_ns;
	a->last = *now;
}

void rs_drop_account_look(struct rs_drop_account *a, const struct rs_dp_log_counts *now)
{
	/* A counter that went back began anew. */
	bool anew = now->dropped < a->last.dropped || now->logged < a->last.logged;
	uint64_t dropped = now->dropped - (anew ? 0 : a->last.dropped);
	uint64_t logged = now->logged - (anew ? 0 : a->last.logged);
	uint64_t due = a->logged; /* all of these have come, or are lost */

	a->dropped += dropped;
	a->logged += logged;
	a->suppressed += dropped > logged ? dropped - logged : 0;
	a->records = now->received;
	a->last = *now;
	if (now->gaps > a->lost)
		a->lost = now->gaps;
	if (due > a->records && due - a->records > a->lost)
		a->lost = due - a->records;
	if (anew && a->logged < a->records + a->lost) {
		/* Some came between the last look and the new beginning. */
		a->dropped += a->records + a->lost - a->logged;
		a->logged = a->records + a->lost;
	}
}

/* ---- the ring -------------------------------------------------------------------------------- */

struct rs_droplog *rs_droplog_new(size_t max_records, size_t max_bytes, size_t max_rows)
{
	struct rs_droplog *l = rs_new(struct rs_droplog);

	l->max = max_records;
	l->max_bytes = max_bytes;
	l->max_rows = max_rows;
	l->next = 1;
	return l;
}

static void entry_clear(struct rs_drop_entry *e)
{
	free(e->src);
	free(e->dst);
	free(e->policy);
	free(e->text);
}

static void forget_oldest(struct rs_droplog *l)
{
	l->bytes -= l->ring[l->first].len;
	entry_clear(&l->ring[l->first]);
	l->first = (l->first + 1) % l->size;
	l->n--;
}

void rs_droplog_free(struct rs_droplog *l)
{
	if (!l)
		return;
	while (l->n)
		forget_oldest(l);
	for (size_t i = 0; i < l->rows.n; i++) {
		free(l->rows.v[i].pod);
		free(l->rows.v[i].policies);
	}
	for (size_t i = 0; i < l->policies.n; i++)
		free(l->policies.v[i].name);
	rs_vec_free(&l->rows);
	rs_vec_free(&l->policies);
	free(l->ring);
	free(l);
}

uint64_t rs_droplog_next(const struct rs_droplog *l)
{
	return l->next;
}

/* Twice as long, the oldest at its beginning. */
static void grow(struct rs_droplog *l)
{
	size_t size = l->size ? l->size * 2 : RING_MIN;
	struct rs_drop_entry *ring;

	size = size < l->max ? size : l->max;
	ring = rs_new0(struct rs_drop_entry, size);
	for (size_t i = 0; i < l->n; i++)
		ring[i] = l->ring[(l->first + i) % l->size];
	free(l->ring);
	l->ring = ring;
	l->size = size;
	l->first = 0;
}

void rs_droplog_add(struct rs_droplog *l, struct rs_drop_entry *e)
{
	while (l->n == l->max || (l->n && l->bytes + e->len > l->max_bytes))
		forget_oldest(l);
	if (l->n == l->size)
		grow(l);
	e->id = l->next++;
	l->ring[(l->first + l->n++) % l->size] = *e;
	l->bytes += e->len;
	memset(e, 0, sizeof(*e));
}

size_t rs_droplog_count(const struct rs_droplog *l)
{
	return l->n;
}

const struct rs_drop_entry *rs_droplog_at(const struct rs_droplog *l, size_t i)
{
	return &l->ring[(l->first + i) % l->size];
}

/* ---- who dropped ----------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : !a && !b;
}

static struct rs_drop_row *row_of(struct rs_droplog *l, const char *pod,
				  const struct rs_drop_entry *e, const char *policies)
{
	struct rs_drop_row *quiet = NULL, *r;

	for (size_t i = 0; i < l->rows.n; i++) {
		r = &l->rows.v[i];
		if (r->dir == e->dir && r->reason == e->reason && same_text(r->pod, pod) &&
		    !strcmp(r->policies, policies))
			return r;
		if (!quiet || r->last_ns < quiet->last_ns)
			quiet = r;
	}
	if (l->rows.n < l->max_rows) {
		r = rs_vec_push(&l->rows);
	} else {
		r = quiet;
		free(r->pod);
		free(r->policies);
	}
	*r = (struct rs_drop_row){ .pod = pod ? rs_strdup(pod) : NULL,
				   .dir = e->dir,
				   .reason = e->reason,
				   .policies = rs_strdup(policies) };
	return r;
}

static void count_policy(struct rs_droplog *l, const char *name, enum rs_direction dir)
{
	struct rs_drop_policy *p;

	for (size_t i = 0; i < l->policies.n; i++)
		if (l->policies.v[i].dir == dir && same_text(l->policies.v[i].name, name)) {
			l->policies.v[i].records++;
			return;
		}
	if (name && l->policies.n >= MAX_POLICIES) {
		count_policy(l, NULL, dir);
		return;
	}
	p = rs_vec_push(&l->policies);
	*p = (struct rs_drop_policy){ .name = name ? rs_strdup(name) : NULL,
				      .dir = dir,
				      .records = 1 };
}

void rs_droplog_tally(struct rs_droplog *l, const char *pod, const struct rs_drop_entry *e,
		      const char *policies)
{
	struct rs_drop_row *r = row_of(l, pod, e, policies);
	rs_autofree char *copy = rs_strdup(policies);
	char *save = NULL;

	r->packets++;
	r->last_ns = e->time_ns;
	for (char *p = strtok_r(copy, ", ", &save); p; p = strtok_r(NULL, ", ", &save))
		count_policy(l, p, e->dir);
}

const struct rs_drop_policy *rs_droplog_policies(const struct rs_droplog *l, size_t *n)
{
	*n = l->policies.n;
	return l->policies.v;
}

const struct rs_drop_row *rs_droplog_rows(const struct rs_droplog *l, size_t *n)
{
	*n = l->rows.n;
	return l->rows.v;
}

uint64_t rs_droplog_pod(const struct rs_droplog *l, const char *pod, enum rs_direction dir,
			bool by_policy, int64_t *last_ns)
{
	uint64_t n = 0;

	*last_ns = 0;
	for (size_t i = 0; i < l->rows.n; i++) {
		const struct rs_drop_row *r = &l->rows.v[i];
		bool policy =
			r->reason == RS_DROP_POLICY_INGRESS || r->reason == RS_DROP_POLICY_EGRESS;

		if (r->dir != dir || !same_text(r->pod, pod) || (by_policy && !policy))
			continue;
		n += r->packets;
		if (r->last_ns > *last_ns)
			*last_ns = r->last_ns;
	}
	return n;
}

/* ---- the last minutes ------------------------------------------------------------------------ */

void rs_droplog_pulse(struct rs_droplog *l, uint64_t dropped, int64_t mono_ms)
{
	int64_t slot = mono_ms / SLOT_MS;

	if (slot - l->slot >= SLOTS)
		memset(l->slots, 0, sizeof(l->slots));
	else
		for (int64_t i = l->slot + 1; i <= slot; i++)
			l->slots[i % SLOTS] = 0;
	l->slot = slot;
	l->slots[slot % SLOTS] += dropped - l->dropped;
	l->dropped = dropped;
}

uint64_t rs_droplog_recent(const struct rs_droplog *l, int64_t mono_ms)
{
	int64_t now = mono_ms / SLOT_MS;
	uint64_t n = 0;

	for (int64_t i = l->slot; i > l->slot - SLOTS && i > now - SLOTS && i >= 0; i--)
		n += l->slots[i % SLOTS];
	return n;
}

struct named {
	const char *name;
	uint64_t n;
};

const char *rs_droplog_top(const struct rs_droplog *l, int64_t since_ns, uint64_t *n)
{
	struct rs_vec(struct named) seen = { 0 };
	struct named best = { 0 };

	for (size_t i = 0; i < l->n; i++) {
		const struct rs_drop_entry *e = rs_droplog_at(l, i);
		size_t k = 0;

		if (!e->policy || e->time_ns < since_ns)
			continue;
		while (k < seen.n && strcmp(seen.v[k].name, e->policy) != 0)
			k++;
		if (k == seen.n)
			rs_vec_push(&seen)->name = e->policy;
		if (++seen.v[k].n > best.n)
			best = seen.v[k];
	}
	rs_vec_free(&seen);
	*n = best.n;
	return best.name;
}
