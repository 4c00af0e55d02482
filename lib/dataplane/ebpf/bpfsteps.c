// SPDX-License-Identifier: Apache-2.0
/*
 * bpfsteps.c - the difference of two states as steps, and the steps in the kernel.
 *
 * Of a trie every prefix of both states stays for a moment, and the longest one answers: so each
 * carries what its own state says about it, its own value or that of the next wider prefix.
 */
#include "dataplane/ebpf/ebpf.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "base/base.h"

/* Longest chain of prefixes inside each other. */
#define DEPTH (8 * 20 + 33)

static const uint8_t absent[sizeof(struct rs_bpf_link)];

static struct rs_bpf_step *push(struct rs_bpf_steps *out, enum rs_bpf_map m, const uint8_t *key,
				const uint8_t *value)
{
	struct rs_bpf_step *s = rs_vec_push(out);

	s->map = m;
	s->key = key;
	s->value = value;
	return s;
}

/* What the widest-to-narrowest chain of one state says at a key. */
struct chain {
	const struct rs_bpf_table *t;
	size_t v[DEPTH];
	size_t n;
};

static const uint8_t *says(struct chain *c, enum rs_bpf_map m, const uint8_t *key, bool here,
			   size_t at)
{
	while (c->n && !rs_bpf_covers(m, rs_bpf_key(c->t, m, c->v[c->n - 1]), key))
		c->n--;
	if (here && rs_bpf_tables[m].data)
		c->v[c->n++] = at;
	if (here)
		return rs_bpf_value(c->t, m, at);
	return c->n ? rs_bpf_value(c->t, m, c->v[c->n - 1]) : absent;
}

static void step(struct rs_bpf_steps *out, enum rs_bpf_map m, const uint8_t *key,
		 const uint8_t *was, const uint8_t *will, bool had, bool has)
{
	struct rs_bpf_step *s;

	if (had && has && !memcmp(was, will, rs_bpf_tables[m].value))
		return;
	s = push(out, m, key, will);
	s->leaves = !has;
	s->op = had ? RS_BPF_STEP_SET : RS_BPF_STEP_ADD;
	if (had && !memcmp(was, will, rs_bpf_tables[m].value))
		s->op = RS_BPF_STEP_KEEP;
	if (!had && rs_bpf_tables[m].data)
		memcpy(&s->before, was, sizeof(s->before));
}

static void walk(enum rs_bpf_map m, const struct rs_bpf_table *from, const struct rs_bpf_table *to,
		 struct rs_bpf_steps *out)
{
	struct chain old = { .t = from }, new = { .t = to };
	size_t i = 0, j = 0;

	while (i < from->n || j < to->n) {
		int c = i == from->n ? 1
			: j == to->n
				? -1
				: rs_bpf_key_cmp(m, rs_bpf_key(from, m, i), rs_bpf_key(to, m, j));
		const uint8_t *key = c <= 0 ? rs_bpf_key(from, m, i) : rs_bpf_key(to, m, j);
		const uint8_t *was = says(&old, m, key, c <= 0, i);
		const uint8_t *will = says(&new, m, key, c >= 0, j);

		step(out, m, key, was, will, c <= 0, c >= 0);
		i += c <= 0;
		j += c >= 0;
	}
}

void rs_bpf_steps_make(const struct rs_bpf_plan *from, const struct rs_bpf_plan *to,
		       struct rs_bpf_steps *out)
{
	static const struct rs_bpf_table none;

	for (int m = 0; m < RS_BPF_MAPS; m++)
		walk(m, from ? &from->t[m] : &none, &to->t[m], out);
}

/* ---- in the kernel --------------------------------------------------------------------------- */

static int run_edit(const struct rs_bpf_set *s, const struct rs_bpf_step *st,
		    enum rs_bpf_edit_op op, uint64_t epoch)
{
	struct rs_bpf_edit e = { .map = st->map, .op = op, .epoch = epoch };
	int rc;

	memcpy(&e.key, st->key, rs_bpf_tables[st->map].key);
	memcpy(&e.value, st->value, rs_bpf_tables[st->map].value);
	rc = rs_bpf_run_edit(s, &e);
	return rc > 0 ? -ESTALE : rc;
}

/* The oldest epoch there is: what was so, was always so. */
#define ALWAYS 1

static int add(const struct rs_bpf_set *s, struct rs_bpf_step *st, uint64_t epoch)
{
	const struct rs_bpf_table_def *d = &rs_bpf_tables[st->map];
	uint8_t slots[sizeof(struct rs_bpf_link_slots)] = { 0 };
	uint64_t epochs[2] = { epoch, st->before ? ALWAYS : 0 };

	memcpy(slots, epochs, sizeof(epochs));
	memcpy(slots + sizeof(epochs), st->value, d->value);
	if (st->before)
		memcpy(slots + sizeof(epochs) + d->value, &st->before, sizeof(st->before));
	st->made = bpf_map_update_elem(s->map[st->map], st->key, slots, BPF_NOEXIST) == 0;
	if (st->made)
		return 0;
	/* A leaving: absent now, there from the next epoch on. */
	return errno == EEXIST ? run_edit(s, st, RS_BPF_EDIT_SET, epoch) : -errno;
}

static int do_step(const struct rs_bpf_set *s, struct rs_bpf_step *st, uint64_t epoch)
{
	switch (st->op) {
	case RS_BPF_STEP_ADD:
		return add(s, st, epoch);
	case RS_BPF_STEP_SET:
		return run_edit(s, st, RS_BPF_EDIT_SET, epoch);
	case RS_BPF_STEP_KEEP:
		break;
	}
	return 0;
}

static void undo(const struct rs_bpf_set *s, const struct rs_bpf_steps *steps, size_t n,
		 uint64_t epoch)
{
	while (n-- > 0) {
		const struct rs_bpf_step *st = &steps->v[n];

		if (st->made)
			(void)bpf_map_delete_elem(s->map[st->map], st->key);
		else if (st->op != RS_BPF_STEP_KEEP)
			(void)run_edit(s, st, RS_BPF_EDIT_CANCEL, epoch);
	}
}

static int failed(const struct rs_bpf_step *st, int rc, struct rs_err *err)
{
	rs_autofree char *name = rs_bpf_key_str(st->map, st->key);

	if (rc != -E2BIG && rc != -ENOSPC)
		return rs_err_sys(err, -rc, "write %s", name);
	rs_err_set(err, ENOSPC, "write %s: map %s is full", name, rs_bpf_tables[st->map].name);
	rs_err_hint(err, "the rules in force stay as they are");
	return -ENOSPC;
}

int rs_bpf_steps_apply(const struct rs_bpf_set *s, const struct rs_bpf_steps *steps, uint64_t epoch,
		       struct rs_err *err)
{
	for (size_t i = 0; i < steps->n; i++) {
		int rc = do_step(s, &steps->v[i], epoch);

		if (rc) {
			undo(s, steps, i, epoch);
			return failed(&steps->v[i], rc, err);
		}
	}
	return 0;
}
