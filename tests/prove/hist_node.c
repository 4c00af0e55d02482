// SPDX-License-Identifier: Apache-2.0
/*
 * hist_node.c - the node of a history: what its agent does with store, compiler and dataplane, and
 * what goes wrong on the way (commits that fail or whose answer is lost, restarts, foreign hands).
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/nft/encode.h"
#include "policy/irtools.h"
#include "tests/prove/canon.h"
#include "tests/prove/hist.h"

/* ---- namespaces and handles ------------------------------------------------------------------ */

static int own_ns(struct rs_err *err)
{
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? rs_err_sys(err, errno, "own network namespace") : fd;
}

int hist_enter(int ns, struct rs_err *err)
{
	return setns(ns, CLONE_NEWNET) < 0 ? rs_err_sys(err, errno, "setns") : 0;
}

static int make_ns(int *out, struct rs_err *err)
{
	if (unshare(CLONE_NEWNET) < 0)
		return rs_err_sys(err, errno, "a network namespace");
	*out = own_ns(err);
	return *out < 0 ? *out : 0;
}

int hist_open(struct hist *h, int ns, struct rs_dp **out)
{
	struct rs_dp_config cfg;
	rs_auto_err err = { 0 };
	int rc = hist_enter(ns, &err);

	rs_dp_config_default(&cfg);
	cfg.own_table = false; /* others take part */
	if (rc == 0)
		rc = rs_dp_nft.open(&cfg, out, &err);
	return rc < 0 ? hist_fail(h, HIST_ERROR, "open: %s", rs_err_str(&err)) : 0;
}

void hist_close(struct rs_dp **dp)
{
	if (*dp)
		rs_dp_nft.close(*dp);
	*dp = NULL;
}

int hist_node_begin(struct hist *h)
{
	rs_auto_err err = { 0 };
	int rc;

	h->ns_now = h->ns_scratch = -1;
	h->ns_home = own_ns(&err);
	rc = h->ns_home < 0 ? h->ns_home : make_ns(&h->ns_now, &err);
	if (rc == 0)
		rc = make_ns(&h->ns_scratch, &err);
	if (rc < 0)
		return hist_fail(h, HIST_ERROR, "%s", rs_err_str(&err));
	h->store = rs_store_new();
	h->compiler = rs_compiler_new(NULL);
	return hist_open(h, h->ns_now, &h->dp);
}

void hist_node_free(struct hist *h)
{
	hist_close(&h->dp);
	rs_compiler_free(h->compiler);
	rs_store_free(h->store);
	rs_ir_free(h->ir);
	rs_ir_free(h->kernel);
	if (h->ns_home >= 0 && hist_enter(h->ns_home, NULL) < 0)
		abort(); /* nothing may go on in a namespace that is not its own */
	for (int *ns = (int[]){ h->ns_now, h->ns_scratch, h->ns_home, -1 }; *ns >= 0; ns++)
		close(*ns);
}

/* ---- what the kernel holds ------------------------------------------------------------------- */

int hist_kernel_holds(struct hist *h, enum hist_aspect aspect, const char *when)
{
	struct rs_dp *dp = NULL;
	struct rs_ir *seen = NULL;
	rs_auto_err err = { 0 };
	int rc = hist_open(h, h->ns_now, &dp);

	if (rc == 0 && rs_dp_nft.read(dp, &seen, &err) < 0)
		rc = hist_fail(h, HIST_ERROR, "read: %s", rs_err_str(&err));
	if (rc == 0 && !seen != !h->kernel)
		rc = hist_fail(h, aspect, "%s: the kernel holds %s table", when,
			       seen ? "a" : "no usable");
	if (rc == 0 && seen && !hist_numbers_same(seen, h->kernel)) {
		rs_autofree char *a = pv_canon(h->kernel, false), *b = pv_canon(seen, false);
		rs_autofree char *diff = pv_canon_diff(a, b);

		rc = hist_fail(h, aspect, "%s: the kernel holds another IR:\n%s", when,
			       diff ? diff : "(other numbers)");
	}
	rs_ir_free(seen);
	hist_close(&dp);
	return rc;
}

static int read_again(struct hist *h)
{
	struct rs_ir *seen = NULL;
	rs_auto_err err = { 0 };
	int rc = rs_dp_nft.read(h->dp, &seen, &err);

	rs_ir_free(seen);
	return rc < 0 ? hist_fail(h, HIST_ERROR, "read: %s", rs_err_str(&err)) : 0;
}

static int commit(struct hist *h, const struct rs_ir *ir, struct rs_dp_commit *done)
{
	rs_auto_err err = { 0 };
	int rc = hist_enter(h->ns_now, &err);

	if (h->unsure && rc == 0)
		rc = read_again(h);
	if (rc < 0)
		return -1;
	if (rs_dp_nft.commit(h->dp, ir, done, &err) < 0)
		return hist_fail(h, HIST_ERROR, "commit: %s", rs_err_str(&err));
	h->unsure = false;
	h->commits++;
	rs_ir_free(h->kernel);
	h->kernel = rs_ir_copy_relations(ir);
	return 0;
}

/* ---- one compile ----------------------------------------------------------------------------- */

static struct rs_container_port *ports_copy(const struct rs_pod *pod)
{
	struct rs_container_port *v = rs_new0(struct rs_container_port, pod->n_ports);

	for (size_t i = 0; i < pod->n_ports; i++) {
		v[i] = pod->ports[i];
		v[i].name = v[i].name ? rs_strdup(v[i].name) : NULL;
	}
	return v;
}

/* A pod of this node keeps the labels that were known last, whatever becomes of its object. */
static void relabel(struct hist *h)
{
	for (size_t i = 0; i < h->locals.n; i++) {
		struct hist_local *l = &h->locals.v[i];
		const struct rs_pod *pod = rs_store_pod(h->store, l->ns, l->name);

		if (!pod)
			continue;
		rs_labels_free(&l->labels);
		for (size_t k = 0; k < l->n_ports; k++)
			free(l->ports[k].name);
		free(l->ports);
		l->labels = rs_labels_copy(&pod->meta.labels);
		l->ports = ports_copy(pod);
		l->n_ports = pod->n_ports;
		l->closed = false;
	}
}

/* Half of what there is to know is never compiled; what is in force stays (F15). */
static int wait_for_sync(struct hist *h)
{
	h->unsynced++;
	hist_note(h, "  not everything is listed: nothing is compiled");
	return hist_kernel_holds(h, HIST_UNSYNCED, "before everything is listed");
}

static int check_step(struct hist *h, const struct rs_ir *ir)
{
	rs_autofree char *why = hist_numbers_check(&h->numbers, h->ir, h->seeded, ir);
	bool same = h->ir && hist_numbers_same(h->ir, ir);
	uint64_t want = h->ir ? h->ir->generation + !same : 1;

	hist_numbers_see(&h->numbers, ir);
	if (why)
		return hist_fail(h, HIST_NUMBERS, "%s", why);
	if (ir->generation != want)
		return hist_fail(h, HIST_GENERATION, "generation %llu, expected %llu",
				 (unsigned long long)ir->generation, (unsigned long long)want);
	return 0;
}

static int commit_compiled(struct hist *h, struct rs_ir *ir, enum hist_fate fate)
{
	struct rs_dp_commit done = { 0 };
	bool idle = h->settled && h->ir;

	if (idle && !hist_numbers_same(h->ir, ir))
		return hist_fail(h, h->moved ? HIST_MOVES : HIST_GENERATION,
				 "another IR although nothing happened");
	if (fate == HIST_THROWN_AWAY)
		return 0;
	if (commit(h, ir, &done) < 0)
		return -1;
	if (idle && done.changed)
		return hist_fail(h, HIST_KERNEL, "a commit changed the kernel, nothing happened");
	h->unsure = fate == HIST_ACK_LOST;
	return 0;
}

static bool all_told(const struct hist *h)
{
	for (int k = 0; k < RS_KINDS; k++)
		if (h->news[k].n || !h->listed[k])
			return false;
	return true;
}

/* The moves are in force: what is there now is h->ir with them, and a bump is there when one may
 * be needed. */
static int take_moves(struct hist *h, const struct rs_ir_moves *m, const struct rs_dp_commit *done,
		      enum hist_fate fate)
{
	struct rs_ir *before = rs_ir_copy_relations(h->ir), *after = rs_ir_copy_relations(h->ir);
	bool may;

	rs_ir_apply(after, m);
	may = !rs_ir_equal(before, after) && rs_ir_may_refuse(before, after);
	rs_ir_free(before);
	rs_ir_free(h->kernel);
	h->kernel = after;
	h->commits++;
	h->moves += m->n > 0;
	h->unsure = fate == HIST_ACK_LOST;
	if (done->bumped != may)
		return hist_fail(h, HIST_MOVES, "moves %s, but the step %s refuse something",
				 done->bumped ? "bump" : "do not bump", may ? "may" : "cannot");
	if (fate == HIST_ACK_LOST)
		return 0;
	rs_ir_apply(h->ir, m);
	rs_compiler_moved(h->compiler, m);
	h->settled = all_told(h);
	return 0;
}

/* 1: the quick way was enough. */
static int try_moves(struct hist *h, const struct rs_world *w, enum hist_fate fate)
{
	struct rs_dp_commit done = { 0 };
	rs_auto_err err = { 0 };
	struct rs_ir_moves m;
	int rc;

	if (h->unsure || !h->ir || !rs_compile_moves(h->compiler, w, true, &m))
		return 0;
	rc = fate == HIST_THROWN_AWAY ? -ESTALE : hist_enter(h->ns_now, &err);
	if (rc == 0)
		rc = rs_dp_nft.shift(h->dp, h->ir, &m, &done, &err);
	if (rc == 0)
		rc = take_moves(h, &m, &done, fate) < 0 ? -1 : 1;
	else if (rc == -ESTALE)
		rc = 0;
	else
		rc = hist_fail(h, HIST_ERROR, "shift: %s", rs_err_str(&err));
	rs_ir_moves_clear(&m);
	return rc;
}

int hist_compile(struct hist *h, enum hist_fate fate)
{
	rs_autofree struct rs_local_pod *pods = NULL;
	rs_auto_err err = { 0 };
	struct rs_ir *ir = NULL;
	struct rs_world w;
	uint64_t quick;
	int rc;

	if (!rs_store_synced(h->store))
		return wait_for_sync(h);
	relabel(h);
	pods = hist_locals(h, h->store);
	w = hist_world(h, h->store, pods);
	rc = try_moves(h, &w, fate);
	/* Every other time the long way has to come to the same. */
	if (rc < 0 || (rc > 0 && (fate != HIST_COMMITTED || pv_chance(&h->rng, 50))))
		return rc < 0 ? rc : 0;
	h->moved = rc > 0;
	h->settled |= h->moved;
	quick = rs_compiler_quick(h->compiler);
	if (rs_compile(h->compiler, &w, &ir, NULL, &err) < 0)
		return hist_fail(h, HIST_ERROR, "compile: %s", rs_err_str(&err));
	h->compiles++;
	h->quick += rs_compiler_quick(h->compiler) - quick;
	rc = check_step(h, ir);
	if (rc == 0)
		rc = commit_compiled(h, ir, fate);
	if (rc < 0 || fate != HIST_COMMITTED) {
		rs_ir_free(ir);
		h->settled = false;
		return rc;
	}
	rs_compiler_committed(h->compiler, ir);
	rs_ir_free(h->ir);
	h->ir = ir;
	h->seeded = false;
	h->settled = all_told(h);
	return 0;
}

int hist_commit_step(struct hist *h)
{
	hist_note(h, "compile and commit");
	return hist_compile(h, HIST_COMMITTED);
}

int hist_lost_step(struct hist *h)
{
	enum hist_fate fate = pv_chance(&h->rng, 50) ? HIST_THROWN_AWAY : HIST_ACK_LOST;

	hist_note(h, "compile, %s",
		  fate == HIST_ACK_LOST ? "commit, and the answer is lost" : "and nothing is sent");
	return hist_compile(h, fate);
}

/* ---- restarts (F14, F15) --------------------------------------------------------------------- */

static void forget_objects(struct hist *h)
{
	rs_store_free(h->store);
	h->store = rs_store_new();
	for (int k = 0; k < RS_KINDS; k++) {
		while (h->news[k].n)
			hist_news_free(&h->news[k].v[--h->news[k].n]);
		h->listed[k] = false;
	}
}

/* Nothing happened while it was away: what it reads and what it compiles are one. */
static int adopts(struct hist *h)
{
	int rc = hist_deliver_all(h);

	h->settled = true;
	if (rc == 0 && !h->ir)
		return hist_fail(h, HIST_KERNEL, "nothing was adopted");
	return rc == 0 ? hist_compile(h, HIST_COMMITTED) : rc;
}

int hist_restart(struct hist *h)
{
	bool settled = h->settled && h->kernel && !h->unsure;
	struct rs_ir *seed = NULL;
	rs_auto_err err = { 0 };

	hist_note(h, "restart%s", settled ? ", all settled" : "");
	rs_compiler_free(h->compiler);
	h->compiler = NULL;
	hist_close(&h->dp);
	if (hist_kernel_holds(h, HIST_KERNEL, "after the agent's end") < 0 ||
	    hist_open(h, h->ns_now, &h->dp) < 0)
		return -1;
	if (rs_dp_nft.read(h->dp, &seed, &err) < 0)
		return hist_fail(h, HIST_ERROR, "read: %s", rs_err_str(&err));
	rs_ir_free(h->ir);
	h->ir = seed;
	h->seeded = true;
	h->unsure = h->settled = false;
	h->compiler = rs_compiler_new(seed);
	memset(&h->numbers, 0, sizeof(h->numbers));
	hist_numbers_see(&h->numbers, seed);
	forget_objects(h);
	return settled && pv_chance(&h->rng, 50) ? adopts(h) : 0;
}

/* ---- foreign hands (F28) --------------------------------------------------------------------- */

static int delete_element(struct hist *h, struct mnl_socket *nl, struct rs_err *err)
{
	rs_auto_plan struct rs_nft_plan *p = rs_nft_plan_from_ir(h->kernel);
	struct rs_nft_indexes one = { 0 };
	enum rs_nft_set_id id = SETS_OF_STATE;
	uint32_t seen = 0;
	rs_auto_batch b;
	int rc;

	for (int i = 0; i < SETS_OF_STATE; i++)
		if (p->set[i].n && pv_below(&h->rng, ++seen) == 0)
			id = (enum rs_nft_set_id)i;
	if (id == SETS_OF_STATE)
		return 1;
	*rs_vec_push(&one) = pv_below(&h->rng, (uint32_t)p->set[id].n);
	rs_nft_batch_begin(&b);
	rs_nft_put_elems(&b, RS_NFT_TABLE, p, id, &one, true);
	rc = rs_nft_batch_send(&b, nl, NULL, err);
	rs_vec_free(&one);
	return rc;
}

/* 0: done; 1: there is nothing to delete. */
static int strike(struct hist *h)
{
	struct mnl_socket *nl = NULL;
	rs_auto_err err = { 0 };
	struct rs_dp *dp = NULL;
	int rc = hist_enter(h->ns_now, &err);

	if (rc == 0 && pv_chance(&h->rng, 20)) {
		hist_note(h, "a stranger deletes the table");
		rc = hist_open(h, h->ns_now, &dp);
		if (rc == 0)
			rc = rs_dp_nft.remove(dp, &err);
		hist_close(&dp);
	} else if (rc == 0) {
		hist_note(h, "a stranger deletes an element");
		rc = rs_nft_socket(0, &nl, &err);
		if (rc == 0)
			rc = delete_element(h, nl, &err);
		if (nl)
			mnl_socket_close(nl);
	}
	return rc < 0 ? hist_fail(h, HIST_ERROR, "strike: %s", rs_err_str(&err)) : rc;
}

static int drifts(struct hist *h, size_t *n)
{
	struct rs_dp_drifts d = { 0 };
	rs_auto_err err = { 0 };

	if (rs_dp_nft.audit(h->dp, &d, &err) < 0)
		return hist_fail(h, HIST_ERROR, "audit: %s", rs_err_str(&err));
	*n = d.n;
	rs_dp_drifts_free(&d);
	return 0;
}

int hist_foreign(struct hist *h)
{
	struct rs_dp_commit done = { 0 };
	bool foreign = false;
	char *who = NULL;
	rs_auto_err err = { 0 };
	size_t n = 0;
	int rc;

	if (!h->kernel || h->unsure || h->seeded)
		return 0;
	rc = strike(h);
	if (rc)
		return rc < 0 ? rc : 0;
	h->settled = false;
	/* A commit that comes at once has to notice by itself. */
	if (pv_chance(&h->rng, 40) && rs_store_synced(h->store))
		return hist_compile(h, HIST_COMMITTED) < 0
			       ? -1
			       : hist_kernel_holds(h, HIST_KERNEL,
						   "after a commit on a wrong idea");
	if (rs_dp_nft.watch_read(h->dp, &foreign, &who, &err) < 0)
		return hist_fail(h, HIST_ERROR, "watch: %s", rs_err_str(&err));
	free(who);
	if (!foreign)
		return hist_fail(h, HIST_KERNEL, "the stranger was not noticed");
	/* An audit reads the kernel; the next commit must find its way without one as well. */
	if (pv_chance(&h->rng, 50)) {
		if (drifts(h, &n) < 0)
			return -1;
		if (!n)
			return hist_fail(h, HIST_KERNEL, "the audit finds nothing");
	}
	if (pv_chance(&h->rng, 50) && rs_store_synced(h->store))
		rc = hist_compile(h, HIST_COMMITTED);
	else
		rc = commit(h, h->ir, &done);
	if (rc == 0)
		rc = drifts(h, &n);
	if (rc == 0 && n)
		return hist_fail(h, HIST_KERNEL, "%zu drifts are left after the repair", n);
	return rc == 0 ? hist_kernel_holds(h, HIST_KERNEL, "after the repair") : rc;
}
