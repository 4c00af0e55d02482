// SPDX-License-Identifier: Apache-2.0
/* planedit.c - a few entries of a large plan change in place; see plan.h. Pure. */
#include "dataplane/nft/plan.h"

#include <string.h>

#include "base/arrayedit.h"

/* The first entry that is not below key. */
static size_t lower(const struct rs_nft_plan *p, enum rs_nft_set_id id, const uint8_t *key)
{
	size_t lo = 0, hi = p->set[id].n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (rs_nft_key_cmp(&rs_nft_sets[id], rs_nft_key(p, id, mid), key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool rs_nft_plan_find(const struct rs_nft_plan *p, enum rs_nft_set_id id, const uint8_t *key,
		      size_t *at)
{
	*at = lower(p, id, key);
	return *at < p->set[id].n && !rs_nft_key_cmp(&rs_nft_sets[id], rs_nft_key(p, id, *at), key);
}

static void remove_gone(struct rs_nft_plan *p, enum rs_nft_set_id id,
			const struct rs_nft_plan *from, const struct rs_nft_plan *to, size_t *index)
{
	struct rs_nft_elems *e = &p->set[id];
	size_t stride = rs_nft_stride(&rs_nft_sets[id]), n = 0, at, i;

	for (i = 0; i < from->set[id].n; i++) {
		const uint8_t *key = rs_nft_key(from, id, i);

		if (!rs_nft_plan_find(to, id, key, &at) && rs_nft_plan_find(p, id, key, &at))
			index[n++] = at;
	}
	rs_array_remove(e->keys, e->n, stride, index, n);
	rs_array_remove(e->data, e->n, sizeof(*e->data), index, n);
	rs_array_remove(e->text, e->n, sizeof(*e->text), index, n);
	rs_array_remove(e->hash, e->n, sizeof(*e->hash), index, n);
	e->n -= n;
}

static void reserve(struct rs_nft_elems *e, size_t stride, size_t n)
{
	if (e->n + n <= e->cap)
		return;
	e->cap = e->n + n + e->n / 16 + 16;
	e->keys = rs_reallocarray(e->keys, e->cap, stride);
	e->data = rs_reallocarray(e->data, e->cap, sizeof(*e->data));
	e->text = rs_reallocarray(e->text, e->cap, sizeof(*e->text));
	e->hash = rs_reallocarray(e->hash, e->cap, sizeof(*e->hash));
}

static void open_all(struct rs_nft_elems *e, size_t stride, const size_t *index, size_t n)
{
	reserve(e, stride, n);
	rs_array_open(e->keys, e->n, stride, index, n);
	rs_array_open(e->data, e->n, sizeof(*e->data), index, n);
	rs_array_open(e->text, e->n, sizeof(*e->text), index, n);
	rs_array_open(e->hash, e->n, sizeof(*e->hash), index, n);
	e->n += n;
}

/* Comments of big sets are not kept (rs_nft_plan_slim()): their hashes are. Others are read again
 * (lift.c). */
static uint32_t keep_comment(struct rs_nft_plan *p, enum rs_nft_set_id id,
			     const struct rs_nft_plan *to, size_t i)
{
	const char *text = rs_nft_sets[id].big ? NULL : rs_nft_comment(to, id, i);
	size_t at = p->pool.len;

	if (!text)
		return 0;
	rs_strbuf_add(&p->pool, text, strlen(text) + 1);
	return (uint32_t)at;
}

static void put(struct rs_nft_plan *p, enum rs_nft_set_id id, size_t at,
		const struct rs_nft_plan *to, size_t i)
{
	size_t stride = rs_nft_stride(&rs_nft_sets[id]);
	struct rs_nft_elems *e = &p->set[id];

	memcpy(e->keys + at * stride, rs_nft_key(to, id, i), stride);
	e->data[at] = to->set[id].data[i];
	e->hash[at] = to->set[id].hash[i];
	e->text[at] = keep_comment(p, id, to, i);
}

static void put_new(struct rs_nft_plan *p, enum rs_nft_set_id id, const struct rs_nft_plan *to,
		    size_t *index)
{
	rs_autofree size_t *which = rs_new0(size_t, to->set[id].n);
	size_t i, n = 0;

	for (i = 0; i < to->set[id].n; i++) {
		size_t at;

		if (rs_nft_plan_find(p, id, rs_nft_key(to, id, i), &at)) {
			put(p, id, at, to, i);
		} else {
			which[n] = i;
			index[n++] = at;
		}
	}
	open_all(&p->set[id], rs_nft_stride(&rs_nft_sets[id]), index, n);
	for (i = 0; i < n; i++)
		put(p, id, index[i] + i, to, which[i]);
}

void rs_nft_plan_edit(struct rs_nft_plan *p, const struct rs_nft_plan *from,
		      const struct rs_nft_plan *to)
{
	for (int id = 0; id < SETS_OF_STATE; id++) {
		size_t most = from->set[id].n + to->set[id].n;
		rs_autofree size_t *index = rs_new0(size_t, most);

		if (!most)
			continue;
		remove_gone(p, (enum rs_nft_set_id)id, from, to, index);
		put_new(p, (enum rs_nft_set_id)id, to, index);
	}
	p->generation = to->generation;
}
