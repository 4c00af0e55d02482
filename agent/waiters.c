// SPDX-License-Identifier: Apache-2.0
/* waiters.c - attach and detach requests, from their coming to their answer; see reconcile.h. */
#include "agent/reconcile_internal.h"

#include <errno.h>
#include <string.h>

#include "agent/log.h"

static void add_waiter(struct rs_reconcile *rc, struct waiter w, const char *container_id,
		       const char *ifname)
{
	w.container_id = rs_strdup(container_id);
	w.ifname = rs_strdup(ifname);
	*rs_vec_push(&rc->waiters) = w;
}

void rs_reconcile_attach(struct rs_reconcile *rc, const char *container_id, const char *ifname,
			 int64_t now_ms, int64_t deadline_ms, rs_done_fn *done, void *arg)
{
	add_waiter(rc,
		   (struct waiter){ .attach = true,
				    .begun_ms = now_ms,
				    .deadline_ms = deadline_ms,
				    .done = done,
				    .arg = arg },
		   container_id, ifname);
}

void rs_reconcile_detach(struct rs_reconcile *rc, const char *container_id, const char *ifname,
			 int64_t now_ms, int64_t deadline_ms, rs_done_fn *done, void *arg)
{
	add_waiter(
		rc,
		(struct waiter){
			.begun_ms = now_ms, .deadline_ms = deadline_ms, .done = done, .arg = arg },
		container_id, ifname);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void waiter_clear(struct rs_reconcile *rc, struct waiter *w)
{
	rs_join_clear(&w->join, rc->cfg.src);
	free(w->container_id);
	free(w->ifname);
	free(w->ns);
	free(w->name);
}

/* Answer one and forget it; the callback may queue new requests. */
void rs_waiter_answer(struct rs_reconcile *rc, size_t i, int64_t now_ms, const struct rs_err *err)
{
	struct waiter w = rc->waiters.v[i];
	const struct rs_attached *a =
		w.attach ? rs_registry_find(rc->cfg.reg, w.container_id, w.ifname) : NULL;
	const struct rs_endpoint *rec = a ? a->rec : w.join.rec;
	struct rs_outcome o = {
		.ns = rec ? rec->pod_ns : w.ns,
		.name = rec ? rec->pod_name : w.name,
		.rec = rec,
		.generation = rs_reconcile_generation(rc),
		.ms = now_ms - w.begun_ms,
		.err = err,
	};

	memmove(&rc->waiters.v[i], &rc->waiters.v[i + 1],
		(rc->waiters.n - i - 1) * sizeof(*rc->waiters.v));
	rc->waiters.n--;
	w.done(w.arg, &o);
	waiter_clear(rc, &w);
}

void rs_waiters_free(struct rs_reconcile *rc)
{
	rs_auto_err err = { 0 };

	rs_err_set(&err, EAGAIN, "the agent stops");
	rs_err_cni(&err, RS_CNI_TRY_AGAIN);
	while (rc->waiters.n)
		rs_waiter_answer(rc, rc->waiters.n - 1, rc->waiters.v[rc->waiters.n - 1].begun_ms,
				 &err);
	rs_vec_free(&rc->waiters);
}

static void fill_late(const struct rs_reconcile *rc, const struct waiter *w, struct rs_err *err)
{
	if (!rs_reconcile_synced(rc)) {
		rs_reconcile_fill_not_synced(rc, err);
		return;
	}
	if (!w->attach || w->join.state == RS_JOIN_DONE || rs_join_explain(&w->join, err) == 0)
		rs_err_set(err, ETIMEDOUT, "the agent could not serve it in time");
	rs_err_cni(err, RS_CNI_TRY_AGAIN);
}

void rs_waiters_expire(struct rs_reconcile *rc, int64_t now_ms)
{
	for (size_t i = 0; i < rc->waiters.n;) {
		rs_auto_err err = { 0 };

		if (now_ms < rc->waiters.v[i].deadline_ms) {
			i++;
			continue;
		}
		fill_late(rc, &rc->waiters.v[i], &err);
		rs_waiter_answer(rc, i, now_ms, &err);
	}
}

static bool same_key(const struct waiter *a, const struct waiter *b)
{
	return !strcmp(a->container_id, b->container_id) && !strcmp(a->ifname, b->ifname);
}

/* An ADD that came before its DEL waits for nothing any more; returns where the DEL stands now. */
static size_t give_up(struct rs_reconcile *rc, size_t del, int64_t now_ms)
{
	rs_auto_err err = { 0 };

	rs_err_set(&err, ESTALE, "its DEL has begun");
	rs_err_cni(&err, RS_CNI_TRY_AGAIN);
	for (size_t i = 0; i < del;) {
		const struct waiter *w = &rc->waiters.v[i];

		if (w->attach && !w->ready && same_key(w, &rc->waiters.v[del])) {
			rs_waiter_answer(rc, i, now_ms, &err);
			del--;
		} else {
			i++;
		}
	}
	return del;
}

/* ---- before the first sync ------------------------------------------------------------------- */

static bool in_force(const struct rs_reconcile *rc, const struct rs_endpoint *e)
{
	for (size_t i = 0; rc->ir && i < e->n_ips; i++)
		if (rs_ir_local(rc->ir, &e->ips[i]))
			return true;
	return false;
}

/* An ADD that waits until its deadline: a source that is still telling, and an API server, which
 * may come back any moment. A folder that cannot be read waits for a person. */
static bool worth_waiting(const struct rs_reconcile *rc, const struct waiter *w)
{
	return w->attach && (!rc->source_err.num || rc->cfg.src->ops->fresh);
}

/*
 * Without objects nothing can be compiled. A DEL is served when the kernel holds nothing of it;
 * otherwise the plugin leaves a tombstone, and the first commit serves that.
 */
void rs_waiters_unsynced(struct rs_reconcile *rc, int64_t now_ms)
{
	rs_auto_err err = { 0 };

	rs_reconcile_fill_not_synced(rc, &err);
	for (size_t i = 0; i < rc->waiters.n;) {
		const struct waiter *w;
		struct rs_attached *a;
		bool held;

		if (worth_waiting(rc, &rc->waiters.v[i])) {
			i++;
			continue;
		}
		if (!rc->waiters.v[i].attach)
			i = give_up(rc, i, now_ms);
		w = &rc->waiters.v[i];
		a = rs_registry_find(rc->cfg.reg, w->container_id, w->ifname);
		held = a && in_force(rc, a->rec);
		if (!w->attach && !held && a)
			rs_registry_drop(rc->cfg.reg, a);
		rs_waiter_answer(rc, i, now_ms, w->attach || held ? &err : NULL);
	}
}

/* ---- into the registry ----------------------------------------------------------------------- */

/* 1: its pod is known; 0: not yet. */
static int join(struct rs_reconcile *rc, struct waiter *w, int64_t now_ms, struct rs_err *err)
{
	int code = 0;

	if (!rc->cfg.src->ops->fresh)
		return 1;
	if (!w->join.rec)
		code = rs_registry_record(rc->cfg.reg, w->container_id, w->ifname, &w->join.rec,
					  err);
	return code < 0 ? code : rs_join_step(&w->join, rc->cfg.src, now_ms);
}

/* 1: part of the next commit. */
static int admit(struct rs_reconcile *rc, struct waiter *w, int64_t now_ms, struct rs_err *err)
{
	struct rs_attached *a = NULL;
	int code = w->ready ? 1 : join(rc, w, now_ms, err);

	if (code <= 0)
		return code;
	code = rs_registry_admit(rc->cfg.reg, w->container_id, w->ifname, &a, err);
	if (code < 0)
		return code;
	w->admitted = w->ready = true;
	rc->dirty = true;
	return 1;
}

static size_t count_joins(const struct rs_reconcile *rc, bool ready)
{
	size_t n = 0;

	for (size_t i = 0; i < rc->waiters.n; i++)
		n += rc->waiters.v[i].attach && rc->waiters.v[i].ready == ready;
	return n;
}

/* Joins whose pod is known, as many as one commit takes. Those that fail are answered at once. */
static void admit_all(struct rs_reconcile *rc, int64_t now_ms)
{
	size_t ready = count_joins(rc, true);

	for (size_t i = 0; i < rc->waiters.n;) {
		struct waiter *w = &rc->waiters.v[i];
		rs_auto_err err = { 0 };
		bool was = w->ready;
		int code = 0;

		if (w->attach && (was || !rc->batch_max || ready < rc->batch_max))
			code = admit(rc, w, now_ms, &err);
		ready += w->attach && w->ready && !was;
		if (code < 0)
			rs_waiter_answer(rc, i, now_ms, &err);
		else
			i++;
	}
}

static void remove_one(struct rs_reconcile *rc, struct waiter *w, struct rs_attached *a)
{
	w->ready = true;
	if (!a)
		return;
	w->ns = rs_strdup(a->rec->pod_ns);
	w->name = rs_strdup(a->rec->pod_name);
	rs_registry_drop(rc->cfg.reg, a);
	rc->dirty = true;
}

/* Leaves go first: a successor's address may be its predecessor's. */
static void remove_all(struct rs_reconcile *rc, int64_t now_ms)
{
	for (size_t i = 0; i < rc->waiters.n;) {
		struct waiter *w;
		struct rs_attached *a;

		if (rc->waiters.v[i].attach) {
			i++;
			continue;
		}
		i = give_up(rc, i, now_ms);
		w = &rc->waiters.v[i];
		a = rs_registry_find(rc->cfg.reg, w->container_id, w->ifname);
		if (!a && !rc->dirty) {
			rs_waiter_answer(rc, i, now_ms, NULL);
			continue;
		}
		remove_one(rc, w, a);
		i++;
	}
}

void rs_waiters_admit(struct rs_reconcile *rc, int64_t now_ms)
{
	remove_all(rc, now_ms);
	admit_all(rc, now_ms);
}

/* ---- after the commit ------------------------------------------------------------------------ */

bool rs_waiters_ready(const struct rs_reconcile *rc)
{
	for (size_t i = 0; i < rc->waiters.n; i++)
		if (rc->waiters.v[i].ready)
			return true;
	return false;
}

/* Nothing unserved is programmed by a later commit. */
static void take_back(struct rs_reconcile *rc, struct waiter *w)
{
	struct rs_attached *a = rs_registry_find(rc->cfg.reg, w->container_id, w->ifname);

	if (w->attach && w->admitted && a)
		rs_registry_drop(rc->cfg.reg, a);
}

static void answer_ready(struct rs_reconcile *rc, int64_t now_ms, bool joins_only,
			 const struct rs_err *err)
{
	for (size_t i = 0, left = rc->waiters.n; left; left--) {
		const struct waiter *w = &rc->waiters.v[i];

		if (!w->ready || (joins_only && !w->attach)) {
			i++;
			continue;
		}
		if (err)
			take_back(rc, &rc->waiters.v[i]);
		rs_waiter_answer(rc, i, now_ms, err);
	}
}

void rs_waiters_served(struct rs_reconcile *rc, int64_t now_ms)
{
	answer_ready(rc, now_ms, false, NULL);
	rc->batch_max = rc->batch_max < count_joins(rc, false) ? 2 * rc->batch_max : 0;
}

/* One pod that the kernel refuses must not fail those that came with it: half of them are tried,
 * and half of those, until it is alone. Leaves wait for a commit that it is no part of. */
void rs_waiters_refused(struct rs_reconcile *rc, int64_t now_ms, const struct rs_err *err)
{
	size_t n = count_joins(rc, true);

	if (n <= 1) {
		answer_ready(rc, now_ms, n == 1, err);
		return;
	}
	rc->batch_max = n / 2;
	for (size_t i = 0; i < rc->waiters.n; i++) {
		struct waiter *w = &rc->waiters.v[i];

		if (!w->attach || !w->ready)
			continue;
		take_back(rc, w);
		w->ready = w->admitted = false;
	}
}

/* ---- time ------------------------------------------------------------------------------------ */

/* When it wants a run whatever its deadline; INT64_MAX: somebody else's turn. */
static int64_t wants(const struct rs_reconcile *rc, const struct waiter *w)
{
	if (!w->attach)
		return 0;
	if (!rs_reconcile_synced(rc))
		return worth_waiting(rc, w) ? INT64_MAX : 0;
	return rc->heard ? 0 : rs_join_due(&w->join);
}

int64_t rs_waiters_due(const struct rs_reconcile *rc)
{
	int64_t at = INT64_MAX;

	for (size_t i = 0; i < rc->waiters.n; i++) {
		const struct waiter *w = &rc->waiters.v[i];
		int64_t when = wants(rc, w);

		if (when > w->deadline_ms)
			when = w->deadline_ms;
		if (when < at)
			at = when;
	}
	return at;
}
