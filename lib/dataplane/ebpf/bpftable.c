// SPDX-License-Identifier: Apache-2.0
/* bpftable.c - sorted tables of keys and values, and the arithmetic of prefixes. */
#include "dataplane/ebpf/bpfplan.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/arrayedit.h"
#include "base/base.h"

#define NUM(n, k, d)                                                                               \
	{                                                                                          \
		.name = n, .key = sizeof(k), .value = 4, .slots = sizeof(struct rs_bpf_num_slots), \
		.data = d                                                                          \
	}

const struct rs_bpf_table_def rs_bpf_tables[RS_BPF_MAPS] = {
	[RS_BPF_MAP_ENDS] = { .name = "rs_ends",
			      .key = sizeof(struct rs_bpf_addr),
			      .value = sizeof(struct rs_bpf_end),
			      .slots = sizeof(struct rs_bpf_end_slots) },
	[RS_BPF_MAP_RANGES] = NUM("rs_ranges", struct rs_bpf_prefix, 20),
	[RS_BPF_MAP_CELLS] = { .name = "rs_cells",
			       .key = sizeof(struct rs_bpf_cell),
			       .value = sizeof(struct rs_bpf_cell_value),
			       .slots = sizeof(struct rs_bpf_cell_slots) },
	[RS_BPF_MAP_RUNS] = { .name = "rs_runs",
			      .key = sizeof(struct rs_bpf_runs_key),
			      .value = sizeof(struct rs_bpf_runs),
			      .slots = sizeof(struct rs_bpf_runs_slots) },
	[RS_BPF_MAP_PORTS] = NUM("rs_ports", struct rs_bpf_port, 8),
	[RS_BPF_MAP_LINKS] = { .name = "rs_links",
			       .key = 4,
			       .value = sizeof(struct rs_bpf_link),
			       .slots = sizeof(struct rs_bpf_link_slots) },
	[RS_BPF_MAP_OWN] = NUM("rs_own", struct rs_bpf_prefix, 20),
	[RS_BPF_MAP_WHYS] = NUM("rs_whys", struct rs_bpf_port, 8),
};

struct rs_bpf_addr rs_bpf_addr_of(const struct rs_addr *a)
{
	struct rs_bpf_addr to = { .family = a->family };

	memcpy(to.a, a->b, rs_addr_bytes(a->family));
	return to;
}

struct rs_addr rs_bpf_addr_to(const struct rs_bpf_addr *a)
{
	struct rs_addr to = { .family = (uint8_t)a->family };

	memcpy(to.b, a->a, rs_addr_bytes(to.family));
	return to;
}

const uint8_t *rs_bpf_key(const struct rs_bpf_table *t, enum rs_bpf_map m, size_t i)
{
	return t->keys + i * rs_bpf_tables[m].key;
}

const uint8_t *rs_bpf_value(const struct rs_bpf_table *t, enum rs_bpf_map m, size_t i)
{
	return t->values + i * rs_bpf_tables[m].value;
}

static uint32_t word(const uint8_t *b)
{
	uint32_t w;

	memcpy(&w, b, sizeof(w));
	return w;
}

static int cmp_words(const uint8_t *a, const uint8_t *b, size_t words)
{
	for (size_t i = 0; i < words; i++, a += 4, b += 4)
		if (word(a) != word(b))
			return word(a) < word(b) ? -1 : 1;
	return 0;
}

int rs_bpf_key_cmp(enum rs_bpf_map m, const uint8_t *a, const uint8_t *b)
{
	const struct rs_bpf_table_def *d = &rs_bpf_tables[m];
	int c;

	if (m == RS_BPF_MAP_CELLS || m == RS_BPF_MAP_RUNS || m == RS_BPF_MAP_LINKS)
		return cmp_words(a, b, d->key / 4u);
	if (!d->data)
		return memcmp(a, b, d->key);
	c = memcmp(a + 4, b + 4, d->data);
	return c ? c : cmp_words(a, b, 1);
}

bool rs_bpf_covers(enum rs_bpf_map m, const uint8_t *outer, const uint8_t *inner)
{
	uint32_t len = word(outer), bytes = len / 8, rest = len % 8;

	if (!rs_bpf_tables[m].data || len > word(inner))
		return false;
	if (memcmp(outer + 4, inner + 4, bytes) != 0)
		return false;
	return !rest || !((outer[4 + bytes] ^ inner[4 + bytes]) >> (8 - rest));
}

bool rs_bpf_is_absent(enum rs_bpf_map m, const uint8_t *value)
{
	if (m == RS_BPF_MAP_LINKS)
		return !((const struct rs_bpf_link *)(const void *)value)->n;
	return !word(value); /* flags of an end, a cell's profile, how many runs, the number */
}

void rs_bpf_table_add(struct rs_bpf_table *t, enum rs_bpf_map m, const void *key, const void *value)
{
	const struct rs_bpf_table_def *d = &rs_bpf_tables[m];

	if (t->n == t->cap) {
		t->cap = t->cap ? t->cap * 2 : 16;
		t->keys = rs_reallocarray(t->keys, t->cap, d->key);
		t->values = rs_reallocarray(t->values, t->cap, d->value);
	}
	memcpy(t->keys + t->n * d->key, key, d->key);
	memcpy(t->values + t->n * d->value, value, d->value);
	t->n++;
}

void rs_bpf_table_free(struct rs_bpf_table *t)
{
	free(t->keys);
	free(t->values);
	memset(t, 0, sizeof(*t));
}

bool rs_bpf_table_find(const struct rs_bpf_table *t, enum rs_bpf_map m, const uint8_t *key,
		       size_t *at)
{
	size_t lo = 0, hi = t->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (rs_bpf_key_cmp(m, rs_bpf_key(t, m, mid), key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*at = lo;
	return lo < t->n && !rs_bpf_key_cmp(m, rs_bpf_key(t, m, lo), key);
}

/* ---- order ----------------------------------------------------------------------------------- */

struct order {
	const struct rs_bpf_table *t;
	enum rs_bpf_map m;
};

static int by_key(const void *a, const void *b, void *arg)
{
	const struct order *o = arg;
	uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
	int c = rs_bpf_key_cmp(o->m, rs_bpf_key(o->t, o->m, i), rs_bpf_key(o->t, o->m, j));

	return c ? c : (i > j) - (i < j);
}

static bool in_order(const struct order *o)
{
	for (size_t i = 1; i < o->t->n; i++)
		if (rs_bpf_key_cmp(o->m, rs_bpf_key(o->t, o->m, i - 1),
				   rs_bpf_key(o->t, o->m, i)) >= 0)
			return false;
	return true;
}

void rs_bpf_table_order(struct rs_bpf_table *t, enum rs_bpf_map m)
{
	struct order o = { .t = t, .m = m };
	struct rs_bpf_table to = { 0 };
	rs_autofree uint32_t *index = NULL;

	if (in_order(&o))
		return;
	index = rs_new0(uint32_t, t->n);
	for (size_t i = 0; i < t->n; i++)
		index[i] = (uint32_t)i;
	qsort_r(index, t->n, sizeof(*index), by_key, &o);
	for (size_t i = 0; i < t->n; i++) {
		const uint8_t *key = rs_bpf_key(t, m, index[i]);

		if (!to.n || rs_bpf_key_cmp(m, rs_bpf_key(&to, m, to.n - 1), key))
			rs_bpf_table_add(&to, m, key, rs_bpf_value(t, m, index[i]));
	}
	rs_bpf_table_free(t);
	*t = to;
}

/* Of a trie: entries that say what the next wider one does. */
static void prune(struct rs_bpf_table *t, enum rs_bpf_map m, struct rs_bpf_table *repeats)
{
	const struct rs_bpf_table_def *d = &rs_bpf_tables[m];
	size_t open[8 * 20 + 33], depth = 0, to = 0;

	for (size_t i = 0; i < t->n; i++) {
		const uint8_t *key = rs_bpf_key(t, m, i), *value = rs_bpf_value(t, m, i);

		while (depth && !rs_bpf_covers(m, rs_bpf_key(t, m, open[depth - 1]), key))
			depth--;
		if (depth && !memcmp(rs_bpf_value(t, m, open[depth - 1]), value, d->value)) {
			if (repeats)
				rs_bpf_table_add(repeats, m, key, value);
			continue;
		}
		memmove(t->keys + to * d->key, key, d->key);
		memmove(t->values + to * d->value, value, d->value);
		open[depth++] = to++;
	}
	t->n = to;
}

void rs_bpf_table_sort(struct rs_bpf_table *t, enum rs_bpf_map m, struct rs_bpf_table *repeats)
{
	rs_bpf_table_order(t, m);
	if (rs_bpf_tables[m].data)
		prune(t, m, repeats);
}

/* ---- a few entries of a large table ---------------------------------------------------------- */

static void remove_gone(struct rs_bpf_table *t, enum rs_bpf_map m, const struct rs_bpf_table *from,
			const struct rs_bpf_table *to, size_t *index)
{
	size_t n = 0, at;

	for (size_t i = 0; i < from->n; i++) {
		const uint8_t *key = rs_bpf_key(from, m, i);

		if (!rs_bpf_table_find(to, m, key, &at) && rs_bpf_table_find(t, m, key, &at))
			index[n++] = at;
	}
	rs_array_remove(t->keys, t->n, rs_bpf_tables[m].key, index, n);
	rs_array_remove(t->values, t->n, rs_bpf_tables[m].value, index, n);
	t->n -= n;
}

static void open_slots(struct rs_bpf_table *t, enum rs_bpf_map m, const size_t *index, size_t n)
{
	const struct rs_bpf_table_def *d = &rs_bpf_tables[m];

	if (t->n + n > t->cap) {
		t->cap = t->n + n + t->n / 16 + 16;
		t->keys = rs_reallocarray(t->keys, t->cap, d->key);
		t->values = rs_reallocarray(t->values, t->cap, d->value);
	}
	rs_array_open(t->keys, t->n, d->key, index, n);
	rs_array_open(t->values, t->n, d->value, index, n);
	t->n += n;
}

static void fill_slot(struct rs_bpf_table *t, enum rs_bpf_map m, size_t at,
		      const struct rs_bpf_table *to, size_t i)
{
	const struct rs_bpf_table_def *d = &rs_bpf_tables[m];

	memcpy(t->keys + at * d->key, rs_bpf_key(to, m, i), d->key);
	memcpy(t->values + at * d->value, rs_bpf_value(to, m, i), d->value);
}

void rs_bpf_table_edit(struct rs_bpf_table *t, enum rs_bpf_map m, const struct rs_bpf_table *from,
		       const struct rs_bpf_table *to)
{
	rs_autofree size_t *index = rs_new0(size_t, from->n + to->n);
	rs_autofree size_t *which = rs_new0(size_t, to->n);
	size_t n = 0, at;

	remove_gone(t, m, from, to, index);
	for (size_t i = 0; i < to->n; i++) {
		if (rs_bpf_table_find(t, m, rs_bpf_key(to, m, i), &at)) {
			fill_slot(t, m, at, to, i);
			continue;
		}
		which[n] = i;
		index[n++] = at;
	}
	open_slots(t, m, index, n);
	for (size_t i = 0; i < n; i++)
		fill_slot(t, m, index[i] + i, to, which[i]);
}

/* ---- ranges to prefixes ---------------------------------------------------------------------- */

static bool bit_of(const uint8_t *a, unsigned int i)
{
	return a[i / 8] >> (7 - i % 8) & 1;
}

static void set_tail(uint8_t *a, unsigned int from, unsigned int bits, bool ones)
{
	for (unsigned int i = from; i < bits; i++) {
		uint8_t b = (uint8_t)(0x80 >> i % 8);

		a[i / 8] = ones ? (uint8_t)(a[i / 8] | b) : (uint8_t)(a[i / 8] & ~b);
	}
}

/* a + 1; false when it was the last one. */
static bool increment(uint8_t *a, unsigned int nbytes)
{
	for (unsigned int i = nbytes; i-- > 0;)
		if (++a[i])
			return true;
	return false;
}

void rs_bpf_split(const uint8_t *lo, const uint8_t *hi, unsigned int nbytes, rs_bpf_prefix_fn *fn,
		  void *arg)
{
	unsigned int bits = nbytes * 8, len;
	uint8_t at[16], last[16];

	memcpy(at, lo, nbytes);
	do {
		/* The widest prefix that begins here and does not reach beyond hi. */
		for (len = bits; len > 0 && !bit_of(at, len - 1); len--) {
			memcpy(last, at, nbytes);
			set_tail(last, len - 1, bits, true);
			if (memcmp(last, hi, nbytes) > 0)
				break;
		}
		memcpy(last, at, nbytes);
		set_tail(last, len, bits, true);
		fn(at, len, arg);
		memcpy(at, last, nbytes);
	} while (memcmp(last, hi, nbytes) < 0 && increment(at, nbytes));
}

/* ---- words ----------------------------------------------------------------------------------- */

static char *prefix_str(enum rs_bpf_map m, const uint8_t *key)
{
	struct rs_bpf_prefix p;
	char text[RS_ADDR_STRLEN];
	struct rs_addr a;

	memcpy(&p, key, sizeof(p));
	a = rs_bpf_addr_to(&p.addr);
	return rs_asprintf("%s %s/%u", rs_bpf_tables[m].name, rs_addr_str(&a, text),
			   p.plen - RS_BPF_FAMILY_BITS);
}

static char *port_str(const char *map, const uint8_t *key)
{
	const uint8_t *b = key + 4;
	uint32_t profile = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];

	if (word(key) <= 40)
		return rs_asprintf("%s %u proto %u", map, profile, b[4]);
	return rs_asprintf("%s %u proto %u port %u/%u", map, profile, b[4], b[5] << 8 | b[6],
			   word(key) - 40);
}

char *rs_bpf_key_str(enum rs_bpf_map m, const uint8_t *key)
{
	char text[RS_ADDR_STRLEN];
	struct rs_bpf_addr a;
	struct rs_addr addr;

	switch (m) {
	case RS_BPF_MAP_ENDS:
		memcpy(&a, key, sizeof(a));
		addr = rs_bpf_addr_to(&a);
		return rs_asprintf("rs_ends %s", rs_addr_str(&addr, text));
	case RS_BPF_MAP_RANGES:
	case RS_BPF_MAP_OWN:
		return prefix_str(m, key);
	case RS_BPF_MAP_PORTS:
	case RS_BPF_MAP_WHYS:
		return port_str(rs_bpf_tables[m].name, key);
	case RS_BPF_MAP_CELLS:
		if (word(key + 8) == RS_BPF_DEFAULT)
			return rs_asprintf("rs_cells %u . %u default", word(key), word(key + 4));
		return rs_asprintf("rs_cells %u . %u . %u", word(key), word(key + 4),
				   word(key + 8));
	case RS_BPF_MAP_RUNS:
		return rs_asprintf("rs_runs %u proto %u", word(key), word(key + 4));
	case RS_BPF_MAP_LINKS:
		return rs_asprintf("rs_links %u", word(key));
	case RS_BPF_MAPS:
		break;
	}
	return rs_strdup("?");
}
