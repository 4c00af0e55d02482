// SPDX-License-Identifier: Apache-2.0
/* reconcile.c - gather, compile, commit, answer; see reconcile.h. */
#include "agent/reconcile_internal.h"

#include <errno.h>
#include <string.h>

#include "agent/log.h"

#define RETRY_FIRST_MS 500
#define RETRY_MAX_MS 30000
#define ALONE_MS 30000 /* without those who are expected, after a commit with them failed */

int rs_reconcile_new(const struct rs_reconcile_config *cfg, struct rs_reconcile **out,
		     struct rs_err *err)
{
	struct rs_ir *ir = NULL;
	int rc = cfg->dp->ops->read(cfg->dp, &ir, err);
	bool adopted = ir != NULL;

	if (rc < 0)
		return rs_err_wrap(err, "read what the kernel enforces");
	if (!cfg->guarded)
		rc = rs_fence_pods(cfg->reg, cfg->dp, &ir, err);
	if (rc < 0)
		return rc;
	*out = rs_new(struct rs_reconcile);
	(*out)->cfg = *cfg;
	(*out)->ir = ir;
	(*out)->compiler = rs_compiler_new(ir);
	(*out)->expected = rs_expected_new(cfg->node_name);
	(*out)->dirty = true;
	(*out)->fenced = ir && !adopted;
	(*out)->last_commit_ms = -1;
	return 0;
}

void rs_reconcile_free(struct rs_reconcile *rc)
{
	if (!rc)
		return;
	rs_waiters_free(rc);
	rs_compiler_free(rc->compiler);
	rs_expected_free(rc->expected);
	rs_ir_free(rc->ir);
	rs_conditions_free(&rc->compiled);
	rs_err_clear(&rc->source_err);
	rs_err_clear(&rc->commit_err);
	free(rc->node_ranges);
	free(rc->pod_ranges);
	rs_node_ranges_free(&rc->nodes);
	free(rc);
}

void rs_reconcile_fill_not_synced(const struct rs_reconcile *rc, struct rs_err *err)
{
	const struct rs_source_ops *ops = rc->cfg.src->ops;

	if (rc->source_err.num) {
		rs_err_set(err, EAGAIN, "no policy is known: %s", rs_err_str(&rc->source_err));
		if (!ops->fresh)
			rs_err_hint(err, "mend the manifests; nothing new is let in until they can "
					 "be read");
		else if (rc->source_err.hint)
			rs_err_hint(err, "%s", rc->source_err.hint);
	} else {
		rs_err_set(err, EAGAIN, "not synced: the %s source has not told all objects yet",
			   ops->name);
	}
	rs_err_cni(err, RS_CNI_TRY_AGAIN);
}

/* ---- the source ------------------------------------------------------------------------------ */

void rs_reconcile_dispatch(struct rs_reconcile *rc, int64_t now_ms)
{
	rs_auto_err err = { 0 };
	bool changed = false;
	int code = rc->cfg.src->ops->dispatch(rc->cfg.src, &changed, &err);

	rc->heard = true;
	if (code < 0) {
		if (strcmp(rs_err_str(&rc->source_err), rs_err_str(&err)) != 0)
			rs_log(RS_LOG_ERROR, "objects not taken, the last good state stays",
			       "source", rc->cfg.src->ops->name, "error", rs_err_str(&err),
			       err.hint ? "hint" : NULL, err.hint, NULL);
		rs_err_move(&rc->source_err, &err);
	} else if (rc->source_err.num) {
		rs_log(RS_LOG_INFO, "objects can be read again", "source", rc->cfg.src->ops->name,
		       NULL);
		rs_err_clear(&rc->source_err);
	}
	if (!changed)
		return;
	rc->dirty = true;
	rc->nodes_revision = UINT64_MAX; /* another store may count anew */
	if (!rc->changed_ms)
		rc->changed_ms = now_ms;
}

void rs_reconcile_set_source(struct rs_reconcile *rc, struct rs_source *src, int64_t now_ms)
{
	rc->cfg.src = src;
	rc->dirty = true;
	rc->nodes_revision = UINT64_MAX; /* another store may count anew */
	rc->changed_ms = now_ms;
	rs_err_clear(&rc->source_err);
}

int rs_reconcile_set_dataplane(struct rs_reconcile *rc, struct rs_dp *dp, bool guarded,
			       struct rs_err *err)
{
	struct rs_ir *ir = NULL;
	int code = dp->ops->read(dp, &ir, err);

	if (code == 0 && !guarded)
		code = rs_fence_pods(rc->cfg.reg, dp, &ir, err);
	if (code < 0)
		return rs_err_wrap(err, "read what the kernel enforces");
	rs_compiler_free(rc->compiler);
	rs_ir_free(rc->ir);
	rc->cfg.dp = dp;
	rc->cfg.guarded = guarded;
	rc->ir = ir;
	rc->compiler = rs_compiler_new(ir);
	rc->dirty = true;
	rc->committed = rc->unsure = rc->refused = rc->fenced = false;
	rc->retry_ms = rc->backoff_ms = 0;
	rs_err_clear(&rc->commit_err);
	return 0;
}

void rs_reconcile_touch(struct rs_reconcile *rc)
{
	rc->dirty = true;
}

/* ---- the world ------------------------------------------------------------------------------- */

const struct rs_node_ranges *rs_reconcile_node_ranges(struct rs_reconcile *rc)
{
	const struct rs_reconcile_config *cfg = &rc->cfg;
	const struct rs_store *store = cfg->src->ops->store(cfg->src);
	struct rs_node_ranges now;

	if (rc->nodes_known && rc->nodes_revision == rs_store_revision(store))
		return &rc->nodes;
	if (rc->nodes_known && rs_node_ranges_current(&rc->nodes, store)) {
		rc->nodes_revision = rs_store_revision(store);
		return &rc->nodes;
	}
	rs_node_ranges_read(store, cfg->node_name, cfg->node_ranges, cfg->n_node_ranges, &now);
	now.serial = rc->nodes.serial + !rs_node_ranges_equal(&rc->nodes, &now);
	rs_node_ranges_free(&rc->nodes);
	rc->nodes = now;
	rc->nodes_known = true;
	rc->nodes_revision = rs_store_revision(store);
	return &rc->nodes;
}

/* Pod ranges are the configured cluster's, else the configured node's, else all Node objects'. */
void rs_reconcile_ranges(struct rs_reconcile *rc, struct rs_world *w)
{
	const struct rs_reconcile_config *cfg = &rc->cfg;
	const struct rs_store *store = cfg->src->ops->store(cfg->src);

	memset(w, 0, sizeof(*w));
	free(rc->node_ranges);
	free(rc->pod_ranges);
	rc->node_ranges = rc->pod_ranges = NULL;
	w->store = store;
	w->complete = cfg->src->ops->fresh != NULL;
	w->node_ranges = cfg->node_ranges;
	w->n_node_ranges = cfg->n_node_ranges;
	if (!w->n_node_ranges)
		w->node_ranges = rc->node_ranges =
			rs_node_ranges_cidrs(rs_reconcile_node_ranges(rc), true, &w->n_node_ranges);
	w->pod_ranges = cfg->n_cluster_ranges ? cfg->cluster_ranges : cfg->node_ranges;
	w->n_pod_ranges = cfg->n_cluster_ranges ? cfg->n_cluster_ranges : cfg->n_node_ranges;
	if (!w->n_pod_ranges)
		w->pod_ranges = rc->pod_ranges =
			rs_node_ranges_cidrs(rs_reconcile_node_ranges(rc), false, &w->n_pod_ranges);
}

void rs_reconcile_world(struct rs_reconcile *rc, struct rs_world *w)
{
	rs_reconcile_ranges(rc, w);
	w->locals = rs_registry_locals(rc->cfg.reg, &w->n_locals);
	w->n_sorted = w->n_locals;
}

void rs_reconcile_expect(struct rs_reconcile *rc, struct rs_world *w, int64_t now_ms)
{
	if (now_ms >= rc->alone_ms)
		w->expected = rs_expected_list(rc->expected, w->store, rc->cfg.reg, &w->n_expected);
}

/* ---- compile and commit ---------------------------------------------------------------------- */

static void failed(struct rs_reconcile *rc, int64_t now_ms, struct rs_err *err)
{
	rc->cfg.metrics->commit_errors++;
	rc->dirty = rc->unsure = true;
	rc->backoff_ms = rc->backoff_ms ? rc->backoff_ms * 2 : RETRY_FIRST_MS;
	if (rc->backoff_ms > RETRY_MAX_MS)
		rc->backoff_ms = RETRY_MAX_MS;
	rc->retry_ms = now_ms + rc->backoff_ms;
	rs_log(RS_LOG_ERROR, "commit failed, the kernel keeps what it had", "error",
	       rs_err_str(err), "retry_ms", RS_LOG_U64(rc->backoff_ms), NULL);
	rs_err_move(&rc->commit_err, err);
}

static void log_commit(const struct rs_ir *ir, const struct rs_dp_commit *done, const char *why)
{
	rs_autofree char *ms = rs_asprintf("%.3f", done->ms);

	rs_log(done->changed ? RS_LOG_INFO : RS_LOG_DEBUG, "committed", "why", why, "generation",
	       RS_LOG_U64(ir->generation), "changed", done->changed ? "true" : "false", "rebuilt",
	       done->rebuilt ? "true" : "false", "bumped", done->bumped ? "true" : "false",
	       "messages", RS_LOG_U64(done->messages), "ms", ms,
	       done->rebuilt && done->why[0] ? "rebuilt_because" : NULL, done->why, NULL);
}

static void count_commit(struct rs_reconcile *rc, const struct rs_dp_commit *done)
{
	struct rs_metrics *m = rc->cfg.metrics;

	if (!done->changed)
		return;
	m->commits++;
	m->bumps += done->bumped;
	rs_hist_observe(&m->commit_s, done->ms / 1000);
	rc->last_commit_ms = done->ms;
}

static void succeeded(struct rs_reconcile *rc, struct rs_ir *ir, int64_t now_ms)
{
	size_t n;
	struct rs_attached *const *v = rs_registry_list(rc->cfg.reg, &n);

	if (ir != rc->ir) {
		rs_compiler_committed(rc->compiler, ir);
		rs_ir_free(rc->ir);
		rc->ir = ir;
	}
	for (size_t i = 0; i < n; i++) {
		if (!v[i]->programmed && !v[i]->conflict) {
			v[i]->programmed = true;
			v[i]->generation = ir->generation;
		}
	}
	if (rc->changed_ms)
		rs_hist_observe(&rc->cfg.metrics->programming_s,
				(double)(now_ms - rc->changed_ms) / 1000);
	rc->changed_ms = 0;
	rc->dirty = false;
	rc->committed = true;
	rc->unsure = false;
	rc->retry_ms = rc->backoff_ms = 0;
	rs_err_clear(&rc->commit_err);
}

/* So that the backend's next difference starts from what is really there. */
static int read_again(struct rs_reconcile *rc, struct rs_err *err)
{
	struct rs_ir *seen = NULL;
	int code = rc->cfg.dp->ops->read(rc->cfg.dp, &seen, err);

	rs_ir_free(seen);
	return code;
}

/* The quick way, where nothing changed but pods of other nodes, or pods came that were expected.
 * Whatever keeps it from being gone is found again, or told, by the long one. */
static bool shift(struct rs_reconcile *rc, const struct rs_world *w, int64_t now_ms)
{
	const struct rs_dp_ops *ops = rc->cfg.dp->ops;
	struct rs_dp_commit done = { 0 };
	struct rs_ir_moves moves;
	rs_auto_err err = { 0 };
	bool ok;

	if (!ops->shift || rc->unsure || !rc->committed ||
	    !rs_compile_moves(rc->compiler, w, ops->joins, &moves))
		return false;
	ok = ops->shift(rc->cfg.dp, rc->ir, &moves, &done, &err) == 0;
	if (ok) {
		rs_ir_apply(rc->ir, &moves);
		rs_compiler_moved(rc->compiler, &moves);
		log_commit(rc->ir, &done,
			   moves.n_locals ? "pods that were expected" : "pods of other nodes");
		count_commit(rc, &done);
		succeeded(rc, rc->ir, now_ms);
	}
	rs_ir_moves_clear(&moves);
	return ok;
}

static int whole(struct rs_reconcile *rc, const struct rs_world *w, struct rs_err *err,
		 int64_t now_ms)
{
	struct rs_conditions conditions = { 0 };
	struct rs_dp_commit done = { 0 };
	struct rs_ir *ir = NULL;
	int code = rs_compile(rc->compiler, w, &ir, &conditions, err);

	rc->refused = false;
	if (code < 0) {
		rs_conditions_free(&conditions);
		return rs_err_wrap(err, "compile");
	}
	rs_conditions_free(&rc->compiled);
	rc->compiled = conditions;
	if (rc->unsure)
		code = read_again(rc, err);
	if (code == 0)
		code = rc->cfg.dp->ops->commit(rc->cfg.dp, ir, &done, err);
	rc->refused = code < 0;
	if (code < 0) {
		rs_ir_free(ir);
		return rs_err_wrap(err, "commit");
	}
	log_commit(ir, &done, "state");
	count_commit(rc, &done);
	succeeded(rc, ir, now_ms);
	return 0;
}

/* Pods that do not hang on this node yet must not keep those that do from their rules. */
static int without_expected(struct rs_reconcile *rc, struct rs_world *w, struct rs_err *err,
			    int64_t now_ms)
{
	rs_log(RS_LOG_WARN,
	       "commit failed; without the pods that are yet to come it is tried again", "error",
	       rs_err_str(err), "expected", RS_LOG_U64(w->n_expected), NULL);
	rs_err_clear(err);
	rc->alone_ms = now_ms + ALONE_MS;
	rc->unsure = true;
	w->n_expected = 0;
	return whole(rc, w, err, now_ms);
}

static int commit(struct rs_reconcile *rc, struct rs_err *err, int64_t now_ms)
{
	struct rs_world w;
	int code;

	rs_registry_relabel(rc->cfg.reg, rc->cfg.src->ops->store(rc->cfg.src));
	rs_reconcile_world(rc, &w);
	rs_reconcile_expect(rc, &w, now_ms);
	if (shift(rc, &w, now_ms))
		return 0;
	code = whole(rc, &w, err, now_ms);
	return code < 0 && w.n_expected ? without_expected(rc, &w, err, now_ms) : code;
}

/*
 * Before the first sync the adopted rules themselves are what should be there.
 */
int rs_reconcile_repair(struct rs_reconcile *rc, int64_t now_ms, struct rs_err *err)
{
	struct rs_dp_commit done = { 0 };
	int code;

	if (!rc->ir)
		return 0;
	code = read_again(rc, err);
	if (code == 0)
		code = rc->cfg.dp->ops->commit(rc->cfg.dp, rc->ir, &done, err);
	if (code < 0) {
		rs_auto_err kept = { 0 };

		rs_err_set(&kept, -code, "repair: %s", rs_err_str(err));
		failed(rc, now_ms, &kept);
		return rs_err_wrap(err, "repair");
	}
	log_commit(rc->ir, &done, "repair");
	count_commit(rc, &done);
	return 0;
}

/* ---- one run --------------------------------------------------------------------------------- */

static void run_synced(struct rs_reconcile *rc, int64_t now_ms)
{
	rs_auto_err err = { 0 };

	rs_waiters_admit(rc, now_ms);
	/* After a failure the next try waits for its time, or for a request that brings its own. */
	if (!rc->dirty || (rc->retry_ms && now_ms < rc->retry_ms && !rs_waiters_ready(rc)))
		return;
	if (commit(rc, &err, now_ms) < 0) {
		rs_auto_err kept = { 0 };

		rs_err_set(&kept, err.num, "%s", rs_err_str(&err));
		if (err.hint)
			rs_err_hint(&kept, "%s", err.hint);
		rs_err_cni(&err, RS_CNI_TRY_AGAIN);
		failed(rc, now_ms, &kept);
		rs_waiters_refused(rc, now_ms, &err);
		return;
	}
	rs_registry_bury(rc->cfg.reg);
	rs_waiters_served(rc, now_ms);
}

void rs_reconcile_run(struct rs_reconcile *rc, int64_t now_ms)
{
	rc->heard = false;
	rs_waiters_expire(rc, now_ms);
	if (rs_reconcile_synced(rc))
		run_synced(rc, now_ms);
	else
		rs_waiters_unsynced(rc, now_ms);
	/* All who can be are answered. */
	if (rc->cfg.dp->ops->prepare)
		rc->cfg.dp->ops->prepare(rc->cfg.dp);
}

int64_t rs_reconcile_due(const struct rs_reconcile *rc, int64_t now_ms)
{
	int64_t at = rs_waiters_due(rc);

	if (rc->dirty && rs_reconcile_synced(rc)) {
		int64_t commit_ms = rc->retry_ms ? rc->retry_ms : now_ms;

		at = commit_ms < at ? commit_ms : at;
	}
	if (at == INT64_MAX)
		return -1;
	return at > now_ms ? at - now_ms : 0;
}

/* ---- reports --------------------------------------------------------------------------------- */

bool rs_reconcile_synced(const struct rs_reconcile *rc)
{
	return rs_store_synced(rc->cfg.src->ops->store(rc->cfg.src));
}

char *rs_reconcile_why_not_ready(const struct rs_reconcile *rc)
{
	rs_auto_err err = { 0 };

	if (!rs_reconcile_synced(rc)) {
		rs_reconcile_fill_not_synced(rc, &err);
		return rs_strdup(rs_err_str(&err));
	}
	if (rc->commit_err.num)
		return rs_asprintf("the last commit failed: %s", rs_err_str(&rc->commit_err));
	if (!rc->committed)
		return rs_strdup("nothing is committed yet");
	return NULL;
}

uint64_t rs_reconcile_generation(const struct rs_reconcile *rc)
{
	return rc->ir ? rc->ir->generation : 0;
}

const struct rs_ir *rs_reconcile_ir(const struct rs_reconcile *rc)
{
	return rc->ir;
}

bool rs_reconcile_clean(const struct rs_reconcile *rc)
{
	return rc->committed && !rc->dirty && !rc->commit_err.num;
}

const struct rs_err *rs_reconcile_source_error(const struct rs_reconcile *rc)
{
	return &rc->source_err;
}

const struct rs_err *rs_reconcile_refused(const struct rs_reconcile *rc)
{
	bool nothing = !rc->ir || rc->fenced;

	return rc->refused && nothing && !rc->committed ? &rc->commit_err : NULL;
}

double rs_reconcile_last_commit_ms(const struct rs_reconcile *rc)
{
	return rc->last_commit_ms;
}

void rs_reconcile_conditions(const struct rs_reconcile *rc, struct rs_conditions *out)
{
	for (size_t i = 0; i < rc->compiled.n; i++)
		rs_conditions_copy(out, &rc->compiled.v[i]);
	if (rc->source_err.num)
		rs_conditions_add(out, "SourceError", "%s", rs_err_str(&rc->source_err));
	if (rc->commit_err.num)
		rs_conditions_add(out, "CommitFailed", "%s", rs_err_str(&rc->commit_err));
}
