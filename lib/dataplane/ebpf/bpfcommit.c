// SPDX-License-Identifier: Apache-2.0
/*
 * bpfcommit.c - brings the maps from the model to the next IR: as a difference that one store makes
 * valid, or as a whole new set where there is nothing to differ from.
 */
#include "dataplane/ebpf/ebpf.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

#define FIRST_EPOCH 1

/*
 * A program reads the epoch and then the values. x86 keeps loads in that order. Elsewhere a grace
 * period between the writes and the store does: a program that sees the store began after it.
 */
static void order_writes(struct rs_ebpf *e)
{
#if !defined(__x86_64__)
	rs_nft_grace_begin(&e->grace);
	rs_nft_grace_wait(&e->grace);
#else
	(void)e;
#endif
}

static void turn_epoch(const struct rs_bpf_set *s, uint64_t epoch, uint64_t generation)
{
	s->cfg->generation[epoch & 1] = generation;
	__atomic_store_n(&s->cfg->epoch, epoch, __ATOMIC_RELEASE);
}

/* ---- leavings -------------------------------------------------------------------------------- */

static bool is_trie(enum rs_bpf_map m)
{
	return rs_bpf_tables[m].data;
}

/* Elements that are absent at the current epoch; but not what a commit took up again. */
static void delete_leavings(struct rs_ebpf *e, enum rs_bpf_map m, const struct rs_bpf_plan *now)
{
	struct rs_bpf_table *t = &e->leavings[m];
	size_t at;

	for (size_t i = 0; i < t->n; i++) {
		const uint8_t *key = rs_bpf_key(t, m, i);

		if (!rs_bpf_table_find(&now->t[m], m, key, &at))
			(void)bpf_map_delete_elem(e->set.map[m], key);
	}
	rs_bpf_table_free(t);
}

/* Of hashes only behind the writes of a commit: the memory of a deleted element is given out again
 * at once, and a program may still look at it until the grace period that comes then. */
static void delete_all_leavings(struct rs_ebpf *e, bool tries, const struct rs_bpf_plan *now)
{
	for (int m = 0; m < RS_BPF_MAPS; m++)
		if (is_trie(m) == tries)
			delete_leavings(e, m, now);
}

static void gather_leavings(struct rs_ebpf *e, const struct rs_bpf_steps *steps)
{
	for (size_t i = 0; i < steps->n; i++) {
		const struct rs_bpf_step *st = &steps->v[i];

		if (st->leaves)
			rs_bpf_table_add(&e->leavings[st->map], st->map, st->key, st->value);
	}
}

/* ---- a difference ---------------------------------------------------------------------------- */

int rs_ebpf_carry_out(struct rs_ebpf *e, struct rs_bpf_steps *steps, const struct rs_bpf_book *book,
		      uint64_t generation, struct rs_dp_commit *done, struct rs_err *err)
{
	uint64_t epoch = e->set.cfg->epoch + 1;
	int rc;

	rs_nft_grace_wait(&e->grace);
	delete_all_leavings(e, true, e->model);
	rc = rs_bpf_rules_write(&e->set, book, err);
	if (!rc)
		rc = rs_bpf_steps_apply(&e->set, steps, epoch, err);
	if (rc)
		return rc;
	order_writes(e);
	turn_epoch(&e->set, epoch, generation);
	done->changed = done->bumped = true; /* every packet is judged anew */
	done->messages = steps->n;
	return 0;
}

void rs_ebpf_settle(struct rs_ebpf *e, const struct rs_bpf_steps *steps,
		    const struct rs_bpf_plan *now, bool carried_out)
{
	/* Also after a failure, which may have been for want of room. */
	delete_all_leavings(e, false, now);
	if (carried_out)
		gather_leavings(e, steps);
	rs_nft_grace_begin(&e->grace);
}

static int apply(struct rs_ebpf *e, const struct rs_bpf_plan *to, const struct rs_bpf_book *book,
		 struct rs_dp_commit *done, struct rs_err *err)
{
	struct rs_bpf_steps steps = { 0 };
	int rc = 0;

	rs_bpf_steps_make(e->model, to, &steps);
	if (steps.n) {
		rc = rs_ebpf_carry_out(e, &steps, book, to->generation, done, err);
		rs_ebpf_settle(e, &steps, rc ? e->model : to, !rc);
	}
	rs_vec_free(&steps);
	return rc;
}

/* ---- a whole new set ------------------------------------------------------------------------- */

static char free_place(const struct rs_ebpf *e)
{
	if (e->set.place)
		return e->set.place == 'a' ? 'b' : 'a';
	/* Of two sets that cannot be adopted the one that judges stays until the new one does. */
	return rs_bpf_pins_linked(&e->cfg, 'a') ? 'b' : 'a';
}

static int fill(struct rs_ebpf *e, struct rs_bpf_set *s, const struct rs_bpf_plan *to,
		const struct rs_bpf_book *book, size_t *n, struct rs_err *err)
{
	struct rs_bpf_steps steps = { 0 };
	int rc;

	s->cfg->link_group = e->cfg.link_group;
	s->cfg->log_rate = e->cfg.log_rate;
	s->cfg->netns = rs_bpf_netns();
	turn_epoch(s, FIRST_EPOCH, 0);
	rs_bpf_steps_make(NULL, to, &steps);
	rc = rs_bpf_rules_write(s, book, err);
	if (!rc)
		rc = rs_bpf_steps_apply(s, &steps, FIRST_EPOCH + 1, err);
	*n = steps.n;
	rs_vec_free(&steps);
	if (!rc)
		turn_epoch(s, FIRST_EPOCH + 1, to->generation);
	return rc;
}

static int install_at(struct rs_ebpf *e, struct rs_bpf_set *s, char place,
		      const struct rs_bpf_plan *to, struct rs_err *err)
{
	int rc = rs_bpf_pins_clear(&e->cfg, place, err);

	if (!rc)
		rc = rs_bpf_set_install(&e->cfg, s, place, err);
	rs_ebpf_tc_forget(e);
	if (!rc)
		rc = rs_ebpf_tc_sync(e, s, place, to, err);
	if (rc) {
		(void)rs_ebpf_tc_remove(e, place, NULL);
		(void)rs_bpf_pins_clear(&e->cfg, place, NULL);
		rs_bpf_set_detach(s);
	}
	return rc;
}

/* Both judge until the old one is gone. */
static int replace_set(struct rs_ebpf *e, struct rs_bpf_set *s, const struct rs_bpf_plan *to,
		       struct rs_err *err)
{
	char place = free_place(e), other = place == 'a' ? 'b' : 'a';
	rs_auto_err why = { 0 };
	int rc = install_at(e, s, place, to, &why);

	/* Others have that place at the hooks or at devices, and nobody of ours the other. */
	if (rc == -EBUSY && !e->set.place && !rs_bpf_pins_linked(&e->cfg, other)) {
		rs_err_clear(&why);
		place = other;
		rc = install_at(e, s, place, to, &why);
	}
	if (rc) {
		rs_err_move(err, &why);
		return rc;
	}
	rs_bpf_set_unload(&e->set);
	e->set = *s;
	rs_bpf_set_empty(s);
	rs_ebpf_log_follow(e);
	rs_ebpf_watch_follow(e);
	for (int m = 0; m < RS_BPF_MAPS; m++)
		rs_bpf_table_free(&e->leavings[m]);
	rc = rs_ebpf_tc_remove(e, place == 'a' ? 'b' : 'a', err);
	if (!rc)
		rc = rs_ebpf_tc_remove_strays(e, place, err);
	return rc ? rc : rs_bpf_pins_remove(&e->cfg, place, err);
}

/* A set without pins. */
static int fresh_set(struct rs_ebpf *e, struct rs_bpf_set *s, struct rs_err *err)
{
	if (!e->spare.obj)
		return rs_bpf_set_load(&e->cfg, 0, s, err);
	*s = e->spare;
	rs_bpf_set_empty(&e->spare);
	return 0;
}

static int rebuild(struct rs_ebpf *e, const struct rs_bpf_plan *to, const struct rs_bpf_book *book,
		   struct rs_dp_commit *done, struct rs_err *err)
{
	struct rs_bpf_set s;
	int rc = rs_ebpf_anchor_keep(e->nl, err);

	if (!rc)
		rc = fresh_set(e, &s, err);
	if (rc)
		return rc;
	rc = fill(e, &s, to, book, &done->messages, err);
	if (!rc)
		rc = replace_set(e, &s, to, err);
	if (s.obj)
		rs_bpf_set_unload(&s);
	if (rc)
		return rc;
	done->changed = done->rebuilt = done->bumped = true;
	snprintf(done->why, sizeof(done->why), "%s", e->why_not ? e->why_not : "there is no set");
	e->open_node = false;
	return 0;
}

/* ---- commit ---------------------------------------------------------------------------------- */

/* An IR that says nothing of rules is what a kernel enforces: its cells go on counting where they
 * do. */
static int plan_next(struct rs_ebpf *e, const struct rs_ir *next, struct rs_bpf_plan **to,
		     struct rs_bpf_book **book, struct rs_err *err)
{
	uint32_t most = e->cfg.bpf_entries ? e->cfg.bpf_entries : RS_BPF_WHYS;
	bool mute = e->model && rs_bpf_book_is_mute(next);
	int rc;

	/* Those of two states are there at once. */
	*book = mute ? e->book : rs_bpf_book_make(e->book, next, most / 2);
	rc = rs_bpf_plan_from_ir(next, mute ? NULL : *book, to, err);
	if (!rc && mute)
		rs_bpf_plan_keep_rules(*to, e->model);
	return rc;
}

static int attempt(struct rs_ebpf *e, const struct rs_ir *next, struct rs_dp_commit *done,
		   struct rs_err *err)
{
	struct rs_bpf_plan *to = NULL;
	struct rs_bpf_book *book = NULL;
	int rc = e->known ? 0 : rs_ebpf_load(e, err);

	if (!rc)
		rc = plan_next(e, next, &to, &book, err);
	if (!rc && e->model)
		rc = rs_ebpf_tc_sync(e, &e->set, e->set.place, to, err);
	if (!rc)
		rc = e->model ? apply(e, to, book, done, err) : rebuild(e, to, book, done, err);
	if (rc) {
		rs_bpf_plan_free(to);
		if (book != e->book)
			rs_bpf_book_free(book);
		return rc;
	}
	if (book != e->book)
		rs_bpf_rules_forget(&e->set, e->book, book);
	rs_bpf_book_booked(book);
	rs_ebpf_set_model(e, to, book);
	return 0;
}

int rs_ebpf_commit(struct rs_dp *dp, const struct rs_ir *next, struct rs_dp_commit *done,
		   struct rs_err *err)
{
	struct rs_ebpf *e = rs_ebpf_of(dp);
	int64_t since = rs_mono_ms();
	int rc = 0;

	memset(done, 0, sizeof(*done));
	for (int i = 0; !rc && i < 2; i++) {
		rc = attempt(e, next, done, err);
		if (rc)
			e->known = false;
		if (rc != -ESTALE || i)
			break;
		rc = 0; /* what the maps held was not what we thought: read, and once more */
	}
	if (rc) {
		rs_bpf_explain_error(err);
		rs_err_wrap(err, "commit generation %llu", (unsigned long long)next->generation);
		return rc;
	}
	done->ms = (double)(rs_mono_ms() - since);
	e->known = true;
	return 0;
}
