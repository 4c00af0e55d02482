// SPDX-License-Identifier: Apache-2.0
/* bpfdump.c - what the maps hold, read back. */
#include "dataplane/ebpf/ebpf.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "base/base.h"

#define BATCH 4096

struct dump {
	const struct rs_bpf_set *s;
	enum rs_bpf_map m;
	uint64_t now;
	bool mend;
	struct rs_bpf_table *to;
	struct rs_bpf_table *left;
	struct rs_bpf_judged *judged; /* of cells; may be NULL */
};

/* As the programs choose. */
static int slot_of(const uint64_t epoch[2], uint64_t now)
{
	bool a = epoch[0] && epoch[0] <= now, b = epoch[1] && epoch[1] <= now;

	if (a && (!b || epoch[0] > epoch[1]))
		return 0;
	return b ? 1 : -1;
}

/* The slots of a commit that died before its epoch came. */
static void cancel(const struct dump *d, const uint8_t *key, const uint64_t epoch[2])
{
	struct rs_bpf_edit e = { .map = d->m, .op = RS_BPF_EDIT_CANCEL };

	memcpy(&e.key, key, rs_bpf_tables[d->m].key);
	for (int i = 0; i < 2; i++) {
		e.epoch = epoch[i];
		if (epoch[i] > d->now)
			(void)rs_bpf_run_edit(d->s, &e);
	}
}

static void count_cell(const struct dump *d, const uint8_t *key, const uint8_t *slots)
{
	struct rs_dp_judged *j = rs_vec_push(d->judged);
	struct rs_bpf_cell_slots s;
	struct rs_bpf_cell cell;

	memcpy(&cell, key, sizeof(cell));
	memcpy(&s, slots, sizeof(s));
	j->dir = (uint8_t)cell.dir;
	j->group = cell.group;
	j->cls = cell.cls == RS_BPF_DEFAULT ? RS_CLASS_WORLD : cell.cls;
	j->judged = s.judged;
}

static void take(const struct dump *d, const uint8_t *key, const uint8_t *slots)
{
	static const uint8_t none[sizeof(struct rs_bpf_link)];
	const struct rs_bpf_table_def *def = &rs_bpf_tables[d->m];
	uint64_t epoch[2];
	const uint8_t *value;
	int i;

	memcpy(epoch, slots, sizeof(epoch));
	if (d->mend && (epoch[0] > d->now || epoch[1] > d->now))
		cancel(d, key, epoch);
	i = slot_of(epoch, d->now);
	value = i < 0 ? none : slots + sizeof(epoch) + (size_t)i * def->value;
	if (!rs_bpf_is_absent(d->m, value))
		rs_bpf_table_add(d->to, d->m, key, value);
	else if (d->left)
		rs_bpf_table_add(d->left, d->m, key, value);
	if (d->judged && d->m == RS_BPF_MAP_CELLS && !rs_bpf_is_absent(d->m, value))
		count_cell(d, key, slots);
}

/* In batches; a map that knows none (or a bucket larger than one) is walked key by key. */
static int walk_keys(const struct dump *d, struct rs_err *err)
{
	const struct rs_bpf_table_def *def = &rs_bpf_tables[d->m];
	uint8_t key[32], next[32], slots[sizeof(struct rs_bpf_link_slots)];
	const void *at = NULL;

	while (bpf_map_get_next_key(d->s->map[d->m], at, next) == 0) {
		memcpy(key, next, def->key);
		at = key;
		if (bpf_map_lookup_elem(d->s->map[d->m], key, slots) == 0)
			take(d, key, slots);
	}
	if (errno != ENOENT)
		return rs_err_sys(err, errno, "read %s", def->name);
	return 0;
}

static int walk_batches(const struct dump *d)
{
	const struct rs_bpf_table_def *def = &rs_bpf_tables[d->m];
	rs_autofree uint8_t *keys = rs_calloc(BATCH, def->key);
	rs_autofree uint8_t *slots = rs_calloc(BATCH, def->slots);
	uint8_t in[32], out[32];
	bool first = true;
	int rc = 0;

	while (!rc) {
		uint32_t n = BATCH;

		if (bpf_map_lookup_batch(d->s->map[d->m], first ? NULL : in, out, keys, slots, &n,
					 NULL))
			rc = -errno;
		if (rc && rc != -ENOENT)
			return rc;
		for (uint32_t i = 0; i < n; i++)
			take(d, keys + (size_t)i * def->key, slots + (size_t)i * def->slots);
		memcpy(in, out, sizeof(in));
		first = false;
	}
	return 0;
}

static int dump_map(struct dump *d, struct rs_err *err)
{
	int rc = walk_batches(d);

	if (rc) {
		d->to->n = 0;
		if (d->left)
			d->left->n = 0;
		if (d->judged)
			d->judged->n = 0;
		rc = walk_keys(d, err);
	}
	if (rc)
		return rc;
	/* Of a trie, what repeats its wider prefix was left by a commit too. */
	rs_bpf_table_sort(d->to, d->m, d->left);
	if (d->left)
		rs_bpf_table_order(d->left, d->m);
	return 0;
}

static int dump_all(const struct dump *of, struct rs_bpf_plan *p, struct rs_bpf_table *left,
		    struct rs_err *err)
{
	int rc = 0;

	for (int m = 0; m < RS_BPF_MAPS && !rc; m++) {
		struct dump d = *of;

		d.m = m;
		d.to = &p->t[m];
		d.left = left ? &left[m] : NULL;
		rc = dump_map(&d, err);
	}
	return rc;
}

int rs_bpf_dump(const struct rs_bpf_set *s, bool mend, struct rs_bpf_plan **out,
		struct rs_bpf_table *left, struct rs_err *err)
{
	struct dump d = { .s = s, .mend = mend };
	rs_auto_bpf_plan *p = rs_bpf_plan_new();
	int rc;

	d.now = __atomic_load_n(&s->cfg->epoch, __ATOMIC_ACQUIRE);
	p->generation = s->cfg->generation[d.now & 1];
	rc = dump_all(&d, p, left, err);
	if (rc)
		return rc;
	*out = rs_steal_ptr(&p);
	return 0;
}

int rs_bpf_dump_judged(const struct rs_bpf_set *s, struct rs_bpf_judged *out, struct rs_err *err)
{
	struct rs_bpf_table cells = { 0 };
	struct dump d = { .s = s, .m = RS_BPF_MAP_CELLS, .to = &cells, .judged = out };
	int rc;

	d.now = __atomic_load_n(&s->cfg->epoch, __ATOMIC_ACQUIRE);
	rc = dump_map(&d, err);
	rs_bpf_table_free(&cells);
	rs_dp_judged_sort(out->v, out->n);
	return rc;
}
