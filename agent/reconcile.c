// SPDX-License-Identifier: Apache-2.0
/* reconcile.c - gather, compile, commit, answer; see reconcile.h. */
#include "agent/reconcile.h"

#include <errno.h>
#include <string.h>

#include "agent/log.h"

#define RETRY_FIRST_MS 500
#define RETRY_MAX_MS 30000

/* A request that is not answered yet. */
struct waiter {
	bool attach;
	bool admitted; /* its entry is in the registry since this run */
	char *container_id;
	char *ifname;
	char *ns, *name; /* of a detached entry; NULL when unknown */
	int64_t begun_ms;
	int64_t deadline_ms;
	rs_done_fn *done;
	void *arg;
};

struct rs_reconcile {
	struct rs_reconcile_config cfg;
	struct rs_compiler *compiler;
	struct rs_ir *ir;
	struct rs_conditions compiled;
	struct rs_err source_err;
	struct rs_err commit_err;
	struct rs_vec(struct waiter) waiters;
	struct rs_cidr *node_ranges, *pod_ranges; /* of the last world */
	struct rs_node_ranges nodes;		  /* of the store at that revision */
	uint64_t nodes_revision;
	bool nodes_known;
	bool dirty;
	bool committed;	    /* by this process */
	bool unsure;	    /* a commit failed: read the kernel before the next */
	int64_t changed_ms; /* objects changed and are not committed since; 0: none */
	int64_t retry_ms;   /* after a failure; 0: none */
	int64_t backoff_ms;
	double last_commit_ms;
};

int rs_reconcile_new(const struct rs_reconcile_config *cfg, struct rs_reconcile **out,
		     struct rs_err *err)
{
	struct rs_ir *ir = NULL;
	int rc = cfg->dp->ops->read(cfg->dp, &ir, err);

	if (rc < 0)
		return rs_err_wrap(err, "read what the kernel enforces");
	rc = rs_fence_pods(cfg->reg, cfg->dp, &ir, err);
	if (rc < 0)
		return rc;
	*out = rs_new(struct rs_reconcile);
	(*out)->cfg = *cfg;
	(*out)->ir = ir;
	(*out)->compiler = rs_compiler_new(ir);
	(*out)->dirty = true;
	(*out)->last_commit_ms = -1;
	return 0;
}

/* ---- requests -------------------------------------------------------------------------------- */

static void waiter_clear(struct waiter *w)
{
	free(w->container_id);
	free(w->ifname);
	free(w->ns);
	free(w->name);
}

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

/* Answer one and forget it; the callback may queue new requests. */
static void answer(struct rs_reconcile *rc, size_t i, int64_t now_ms, const struct rs_err *err)
{
	struct waiter w = rc->waiters.v[i];
	const struct rs_attached *a =
		w.attach ? rs_registry_find(rc->cfg.reg, w.container_id, w.ifname) : NULL;
	struct rs_outcome o = {
		.ns = a ? a->rec->pod_ns : w.ns,
		.name = a ? a->rec->pod_name : w.name,
		.rec = a ? a->rec : NULL,
		.generation = rs_reconcile_generation(rc),
		.ms = now_ms - w.begun_ms,
		.err = err,
	};

	memmove(&rc->waiters.v[i], &rc->waiters.v[i + 1],
		(rc->waiters.n - i - 1) * sizeof(*rc->waiters.v));
	rc->waiters.n--;
	w.done(w.arg, &o);
	waiter_clear(&w);
}

static void fill_not_synced(const struct rs_reconcile *rc, struct rs_err *err)
{
	if (rc->source_err.num) {
		rs_err_set(err, EAGAIN, "no policy is known: %s", rs_err_str(&rc->source_err));
		rs_err_hint(err,
			    "mend the manifests; nothing new is let in until they can be read");
	} else {
		rs_err_set(err, EAGAIN, "not synced: the %s source has not told all objects yet",
			   rc->cfg.src->ops->name);
	}
	rs_err_cni(err, RS_CNI_TRY_AGAIN);
}

void rs_reconcile_free(struct rs_reconcile *rc)
{
	rs_auto_err err = { 0 };

	if (!rc)
		return;
	rs_err_set(&err, EAGAIN, "the agent stops");
	rs_err_cni(&err, RS_CNI_TRY_AGAIN);
	while (rc->waiters.n)
		answer(rc, rc->waiters.n - 1, rc->waiters.v[rc->waiters.n - 1].begun_ms, &err);
	rs_vec_free(&rc->waiters);
	rs_compiler_free(rc->compiler);
	rs_ir_free(rc->ir);
	rs_conditions_free(&rc->compiled);
	rs_err_clear(&rc->source_err);
	rs_err_clear(&rc->commit_err);
	free(rc->node_ranges);
	free(rc->pod_ranges);
	rs_node_ranges_free(&rc->nodes);
	free(rc);
}

/* ---- the source ------------------------------------------------------------------------------ */

void rs_reconcile_dispatch(struct rs_reconcile *rc, int64_t now_ms)
{
	rs_auto_err err = { 0 };
	bool changed = false;
	int code = rc->cfg.src->ops->dispatch(rc->cfg.src, &changed, &err);

	if (code < 0) {
		if (strcmp(rs_err_str(&rc->source_err), rs_err_str(&err)) != 0)
			rs_log(RS_LOG_ERROR, "objects not taken, the last good state stays",
			       "source", rc->cfg.src->ops->name, "error", rs_err_str(&err), NULL);
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
void rs_reconcile_world(struct rs_reconcile *rc, struct rs_world *w)
{
	const struct rs_reconcile_config *cfg = &rc->cfg;
	const struct rs_store *store = cfg->src->ops->store(cfg->src);

	memset(w, 0, sizeof(*w));
	free(rc->node_ranges);
	free(rc->pod_ranges);
	rc->node_ranges = rc->pod_ranges = NULL;
	w->store = store;
	w->locals = rs_registry_locals(cfg->reg, &w->n_locals);
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

static int commit(struct rs_reconcile *rc, struct rs_err *err, int64_t now_ms)
{
	struct rs_world w;
	struct rs_conditions conditions = { 0 };
	struct rs_dp_commit done = { 0 };
	struct rs_ir *ir = NULL;
	int code;

	rs_registry_relabel(rc->cfg.reg, rc->cfg.src->ops->store(rc->cfg.src));
	rs_reconcile_world(rc, &w);
	code = rs_compile(rc->compiler, &w, &ir, &conditions, err);
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
	if (code < 0) {
		rs_ir_free(ir);
		return rs_err_wrap(err, "commit");
	}
	log_commit(ir, &done, "state");
	count_commit(rc, &done);
	succeeded(rc, ir, now_ms);
	return 0;
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

static void expire(struct rs_reconcile *rc, int64_t now_ms)
{
	for (size_t i = 0; i < rc->waiters.n;) {
		rs_auto_err err = { 0 };

		if (now_ms < rc->waiters.v[i].deadline_ms) {
			i++;
			continue;
		}
		if (!rs_reconcile_synced(rc)) {
			fill_not_synced(rc, &err);
		} else {
			rs_err_set(&err, ETIMEDOUT, "the agent could not serve it in time");
			rs_err_cni(&err, RS_CNI_TRY_AGAIN);
		}
		answer(rc, i, now_ms, &err);
	}
}

static bool in_force(const struct rs_reconcile *rc, const struct rs_endpoint *e)
{
	for (size_t i = 0; rc->ir && i < e->n_ips; i++)
		if (rs_ir_local(rc->ir, &e->ips[i]))
			return true;
	return false;
}

/*
 * Without objects nothing can be compiled: a folder that cannot be read refuses ADDs at once, a
 * source that is still telling lets them wait. A DEL is served when the kernel holds nothing of it;
 * otherwise the plugin leaves a tombstone, and the first commit serves that.
 */
static void run_unsynced(struct rs_reconcile *rc, int64_t now_ms)
{
	rs_auto_err err = { 0 };

	fill_not_synced(rc, &err);
	for (size_t i = 0; i < rc->waiters.n;) {
		const struct waiter *w = &rc->waiters.v[i];
		struct rs_attached *a = rs_registry_find(rc->cfg.reg, w->container_id, w->ifname);
		bool held = a && in_force(rc, a->rec);

		if (w->attach && !rc->source_err.num) {
			i++;
			continue;
		}
		if (!w->attach && !held && a)
			rs_registry_drop(rc->cfg.reg, a);
		answer(rc, i, now_ms, w->attach || held ? &err : NULL);
	}
}

/* Take the requests into the registry. Those that fail are answered at once. */
static void admit_all(struct rs_reconcile *rc, int64_t now_ms)
{
	for (size_t i = 0; i < rc->waiters.n;) {
		struct waiter *w = &rc->waiters.v[i];
		struct rs_attached *a = NULL;
		rs_auto_err err = { 0 };

		if (!w->attach) {
			i++;
			continue;
		}
		if (rs_registry_admit(rc->cfg.reg, w->container_id, w->ifname, &a, &err) < 0) {
			answer(rc, i, now_ms, &err);
			continue;
		}
		w->admitted = true;
		rc->dirty = true;
		i++;
	}
}

/* Leaves go first: a successor's address may be its predecessor's. */
static void remove_all(struct rs_reconcile *rc, int64_t now_ms)
{
	for (size_t i = 0; i < rc->waiters.n;) {
		struct waiter *w = &rc->waiters.v[i];
		struct rs_attached *a;

		if (w->attach) {
			i++;
			continue;
		}
		a = rs_registry_find(rc->cfg.reg, w->container_id, w->ifname);
		if (!a && !rc->dirty) {
			answer(rc, i, now_ms, NULL);
			continue;
		}
		if (a) {
			w->ns = rs_strdup(a->rec->pod_ns);
			w->name = rs_strdup(a->rec->pod_name);
			rs_registry_drop(rc->cfg.reg, a);
			rc->dirty = true;
		}
		i++;
	}
}

/* After a failed commit: what was let in for it goes again, so that nothing unserved is programmed
 * by a later one. */
static void undo_all(struct rs_reconcile *rc, int64_t now_ms, const struct rs_err *err)
{
	while (rc->waiters.n) {
		struct waiter *w = &rc->waiters.v[0];
		struct rs_attached *a = rs_registry_find(rc->cfg.reg, w->container_id, w->ifname);
		bool drop = w->attach && w->admitted && a;
		rs_autofree char *ns = drop ? rs_strdup(a->rec->pod_ns) : NULL;
		rs_autofree char *name = drop ? rs_strdup(a->rec->pod_name) : NULL;

		if (drop) {
			rs_registry_drop(rc->cfg.reg, a);
			w->ns = rs_steal_ptr(&ns);
			w->name = rs_steal_ptr(&name);
		}
		answer(rc, 0, now_ms, err);
	}
}

static void run_synced(struct rs_reconcile *rc, int64_t now_ms)
{
	rs_auto_err err = { 0 };
	size_t n;

	remove_all(rc, now_ms);
	admit_all(rc, now_ms);
	/* After a failure the next try waits for its time, or for a request that brings its own. */
	if (!rc->dirty || (rc->retry_ms && now_ms < rc->retry_ms && !rc->waiters.n))
		return;
	if (commit(rc, &err, now_ms) < 0) {
		rs_auto_err kept = { 0 };

		rs_err_set(&kept, err.num, "%s", rs_err_str(&err));
		rs_err_cni(&err, RS_CNI_TRY_AGAIN);
		failed(rc, now_ms, &kept);
		undo_all(rc, now_ms, &err);
		return;
	}
	rs_registry_bury(rc->cfg.reg);
	for (n = rc->waiters.n; n; n--)
		answer(rc, 0, now_ms, NULL);
}

void rs_reconcile_run(struct rs_reconcile *rc, int64_t now_ms)
{
	expire(rc, now_ms);
	if (rs_reconcile_synced(rc))
		run_synced(rc, now_ms);
	else
		run_unsynced(rc, now_ms);
}

int64_t rs_reconcile_due(const struct rs_reconcile *rc, int64_t now_ms)
{
	int64_t at = INT64_MAX;

	for (size_t i = 0; i < rc->waiters.n; i++) {
		bool stuck =
			!rs_reconcile_synced(rc) && rc->waiters.v[i].attach && !rc->source_err.num;

		if (!stuck)
			return 0;
		if (rc->waiters.v[i].deadline_ms < at)
			at = rc->waiters.v[i].deadline_ms;
	}
	if (rc->dirty && rs_reconcile_synced(rc))
		at = rc->retry_ms && rc->retry_ms < at ? rc->retry_ms : rc->retry_ms ? at : now_ms;
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
		fill_not_synced(rc, &err);
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

double rs_reconcile_last_commit_ms(const struct rs_reconcile *rc)
{
	return rc->last_commit_ms;
}

void rs_reconcile_conditions(const struct rs_reconcile *rc, struct rs_conditions *out)
{
	for (size_t i = 0; i < rc->compiled.n; i++)
		rs_conditions_add(out, rc->compiled.v[i].type, "%s", rc->compiled.v[i].text);
	if (rc->source_err.num)
		rs_conditions_add(out, "SourceError", "%s", rs_err_str(&rc->source_err));
	if (rc->commit_err.num)
		rs_conditions_add(out, "CommitFailed", "%s", rs_err_str(&rc->commit_err));
}
