// SPDX-License-Identifier: Apache-2.0
/* loop.c - the one loop: descriptors, timers and signals, over libevent. */
#include "agent/agent.h"

#include <errno.h>
#include <event2/event.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>

#include "agent/cnifiles.h"
#include "agent/dropwatch.h"
#include "agent/events.h"
#include "agent/httpd.h"
#include "agent/reaper.h"
#include "agent/server.h"

#define TICK_S 1
#define GC_EVERY 10
#define AUDIT_EVERY 60
#define READ_EVERY (60 * AUDIT_EVERY) /* whatever the kernel's count of changes says */

struct rs_loop {
	struct rs_agent *agent;
	struct event *source, *source_timer, *watch, *run, *after, *tick;
	struct event *term, *intr, *hup, *cni, *drops, *events, *reaper;
	unsigned int ticks;
	bool routes_due;  /* the ranges may have changed */
	bool board_due;	  /* so may conditions */
	uint64_t trimmed; /* the generation when memory was given back last */
};

static void arm(struct event *ev, int64_t ms)
{
	struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };

	evtimer_add(ev, &tv);
}

/*
 * The reconciler runs from a timer, never from a request: everything that became readable in this
 * turn of the loop is taken first and shares its compile and its batch.
 */
void rs_loop_kick(struct rs_agent *a)
{
	int64_t due = rs_reconcile_due(a->rec, rs_mono_ms());

	if (!a->loop)
		return;
	if (due >= 0)
		arm(a->loop->run, due);
	else
		evtimer_del(a->loop->run);
}

/* The first commit failed: what was there before judges on, and with the other dataplane this one
 * need not be the last word. */
static void take_another(struct rs_agent *a)
{
	const struct rs_err *refused = rs_reconcile_refused(a->rec);
	rs_auto_err why = { 0 }, err = { 0 };

	if (!refused || !rs_choice_has_another(a))
		return;
	rs_err_set(&why, refused->num, "%s", rs_err_str(refused));
	if (refused->hint)
		rs_err_hint(&why, "%s", refused->hint);
	if (rs_choice_take_another(a, &why, &err) < 0)
		rs_log(RS_LOG_ERROR, "another dataplane", "error", rs_err_str(&err), NULL);
	else
		rs_reconcile_run(a->rec, rs_mono_ms());
}

static void watch_drops(struct rs_loop *l);

/* Programs make records once they are loaded, by the first commit. */
static void open_drops(struct rs_loop *l)
{
	if (rs_dropwatch_why_not(l->agent->drops))
		rs_dropwatch_follow(l->agent->drops);
	watch_drops(l);
}

static void on_run(evutil_socket_t fd, short what, void *arg)
{
	struct rs_loop *l = arg;
	struct rs_agent *a = l->agent;
	uint64_t before = rs_reconcile_generation(a->rec);

	(void)fd;
	(void)what;
	rs_reconcile_run(a->rec, rs_mono_ms());
	take_another(a);
	if (l->routes_due && rs_reconcile_synced(a->rec)) {
		l->routes_due = false;
		rs_routes_sync(a, false);
	}
	if (before != rs_reconcile_generation(a->rec))
		open_drops(l);
	l->board_due |= before != rs_reconcile_generation(a->rec) || a->conditions.n;
	/* Once the answers are on their way. */
	arm(l->after, 0);
	rs_loop_kick(a);
}

static void on_after(evutil_socket_t fd, short what, void *arg)
{
	struct rs_loop *l = arg;

	(void)fd;
	(void)what;
	if (l->board_due)
		rs_board_update(l->agent);
	l->board_due = false;
	rs_registry_save_labels(l->agent->reg);
	rs_otherplane_leave(l->agent, false);
	rs_nodefile_update(l->agent, rs_mono_ms());
}

/* What a run leaves to be done counts too: who is told that a node is ready finds its node.json. */
void rs_loop_settle(struct rs_agent *a)
{
	struct rs_loop *l = a->loop;

	if (!l)
		return;
	if (rs_reconcile_due(a->rec, rs_mono_ms()) == 0)
		on_run(-1, 0, l);
	if (evtimer_pending(l->after, NULL)) {
		evtimer_del(l->after);
		on_after(-1, 0, l);
	}
}

static void arm_source(struct rs_loop *l)
{
	int ms = l->agent->src->ops->timeout_ms(l->agent->src);

	if (ms >= 0)
		arm(l->source_timer, ms);
	else
		evtimer_del(l->source_timer);
}

static void on_source(evutil_socket_t fd, short what, void *arg)
{
	struct rs_loop *l = arg;
	struct rs_agent *a = l->agent;
	int had = rs_reconcile_source_error(a->rec)->num;

	(void)fd;
	(void)what;
	rs_reconcile_dispatch(a->rec, rs_mono_ms());
	if (had != rs_reconcile_source_error(a->rec)->num) {
		rs_board_update(a);
		rs_nodefile_update(a, rs_mono_ms());
	}
	if (rs_reconcile_due(a->rec, rs_mono_ms()) == 0)
		l->routes_due = true;
	arm_source(l);
	rs_loop_kick(a);
}

static void on_watch(evutil_socket_t fd, short what, void *arg)
{
	struct rs_loop *l = arg;

	(void)fd;
	(void)what;
	rs_repair_watch(l->agent, rs_mono_ms());
}

static void audit(struct rs_agent *a, bool read)
{
	rs_auto_err err = { 0 };

	if ((read || !rs_repair_untouched(a)) && rs_repair_audit(a, NULL, rs_mono_ms(), &err) < 0)
		rs_log(RS_LOG_ERROR, "audit", "error", rs_err_str(&err), NULL);
	rs_repair_conditions(a);
	rs_otherplane_leave(a, true);
	rs_routes_sync(a, true);
}

/* The runtime's folders. They come last: what is written there says that pods can come. */
static void sync_cnifiles(struct rs_agent *a)
{
	rs_autofree char *why = rs_reconcile_why_not_ready(a->rec);

	rs_cnifiles_sync(a->cnifiles, a->serving && !why, rs_mono_ms());
	rs_board_update(a);
	rs_nodefile_update(a, rs_mono_ms());
}

static void on_cni(evutil_socket_t fd, short what, void *arg)
{
	struct rs_loop *l = arg;

	(void)fd;
	(void)what;
	sync_cnifiles(l->agent);
}

static void on_drops(evutil_socket_t fd, short what, void *arg)
{
	struct rs_loop *l = arg;

	(void)fd;
	(void)what;
	rs_dropwatch_read(l->agent->drops);
}

static void on_events(evutil_socket_t fd, short what, void *arg)
{
	struct rs_loop *l = arg;

	(void)fd;
	(void)what;
	rs_events_run(l->agent->events);
}

static void on_reaped(evutil_socket_t fd, short what, void *arg)
{
	struct rs_loop *l = arg;

	(void)fd;
	(void)what;
	rs_reaper_round(l->agent->reaper);
}

/* They may come later: another program had their group. */
static void watch_drops(struct rs_loop *l)
{
	int fd = rs_dropwatch_fd(l->agent->drops);

	if (fd < 0 || l->drops)
		return;
	l->drops = event_new(l->agent->base, fd, EV_READ | EV_PERSIST, on_drops, l);
	if (!l->drops || event_add(l->drops, NULL) < 0)
		rs_oom();
}

/* What a compile, or the audit, has left behind in the heap goes back to the system. */
static void give_back(struct rs_loop *l)
{
	uint64_t now = rs_reconcile_generation(l->agent->rec);

	if (l->ticks % AUDIT_EVERY != 0 && (l->ticks % GC_EVERY != 0 || l->trimmed == now))
		return;
	l->trimmed = now;
	malloc_trim(0);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct rs_loop *l = arg;
	struct rs_agent *a = l->agent;
	int64_t now = rs_mono_ms();

	(void)fd;
	(void)what;
	l->ticks++;
	rs_server_sweep(a->server, now);
	rs_httpd_sweep(a->httpd);
	rs_reaper_sweep(a->reaper, now);
	rs_lock_sweep(a->node_fd);
	if (l->ticks % GC_EVERY == 0) {
		rs_gc_run(a, now);
		rs_dropwatch_tick(a->drops, now);
		watch_drops(l);
	}
	if (l->ticks % AUDIT_EVERY == 0)
		audit(a, l->ticks % READ_EVERY == 0);
	if (l->ticks % GC_EVERY == 0)
		rs_board_update(a);
	rs_events_tick(a->events, now);
	if (a->cnifiles)
		sync_cnifiles(a);
	rs_nodefile_update(a, now);
	give_back(l);
}

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
	struct rs_loop *l = arg;

	(void)what;
	rs_log(RS_LOG_INFO, "stopping, the kernel keeps its rules", "signal",
	       fd == SIGTERM ? "SIGTERM" : "SIGINT", NULL);
	event_base_loopbreak(l->agent->base);
}

/* ---- reload ---------------------------------------------------------------------------------- */

static void watch_source(struct rs_loop *l)
{
	struct rs_agent *a = l->agent;

	if (l->source)
		event_free(l->source);
	l->source = event_new(a->base, a->src->ops->fd(a->src), EV_READ | EV_PERSIST, on_source, l);
	if (!l->source || event_add(l->source, NULL) < 0)
		rs_oom();
	arm_source(l);
}

/* A new reading of the folder takes the old one's place only when it is good. An API server is
 * asked for all its lists again. */
static int reload(struct rs_loop *l, struct rs_err *err)
{
	struct rs_agent *a = l->agent;
	struct rs_source *old = a->src, *fresh = NULL;
	bool changed = false;
	int rc;

	if (old->ops->resync) {
		old->ops->resync(old);
		arm_source(l);
		return 0;
	}
	rc = rs_origin_open(&a->opt, &fresh, err);
	if (rc == 0)
		rc = fresh->ops->dispatch(fresh, &changed, err);
	if (rc < 0) {
		if (fresh)
			fresh->ops->close(fresh);
		return rc;
	}
	a->src = fresh;
	rs_reconcile_set_source(a->rec, fresh, rs_mono_ms());
	l->routes_due = true;
	watch_source(l);
	old->ops->close(old);
	return 0;
}

static void on_hup(evutil_socket_t fd, short what, void *arg)
{
	struct rs_loop *l = arg;
	rs_autofree char *origin = rs_origin_name(&l->agent->opt);
	rs_auto_err err = { 0 };

	(void)fd;
	(void)what;
	if (reload(l, &err) < 0)
		rs_log(RS_LOG_ERROR, "not reloaded, the last good state stays", "error",
		       rs_err_str(&err), NULL);
	else
		rs_log(RS_LOG_INFO, "reloaded", "origin", origin, NULL);
	rs_loop_kick(l->agent);
}

/* ---- start and stop -------------------------------------------------------------------------- */

static struct event *new_event(struct rs_loop *l, int fd, short what, event_callback_fn fn)
{
	struct event *ev = event_new(l->agent->base, fd, what, fn, l);

	if (!ev || (what && event_add(ev, NULL) < 0))
		rs_oom();
	return ev;
}

static void watch_rules(struct rs_loop *l)
{
	int fd = l->agent->dp->ops->watch_fd(l->agent->dp);

	if (fd >= 0)
		l->watch = new_event(l, fd, EV_READ | EV_PERSIST, on_watch);
}

void rs_loop_follow(struct rs_agent *a)
{
	struct rs_loop *l = a->loop;

	if (!l)
		return;
	if (l->watch)
		event_free(rs_steal_ptr(&l->watch));
	if (l->drops)
		event_free(rs_steal_ptr(&l->drops));
	watch_rules(l);
	watch_drops(l);
}

int rs_loop_start(struct rs_agent *a, struct rs_err *err)
{
	struct timeval second = { TICK_S, 0 };
	struct rs_loop *l;
	int fd;

	a->base = event_base_new();
	if (!a->base)
		return rs_err_set(err, ENOMEM, "make the event loop");
	a->loop = l = rs_new(struct rs_loop);
	l->agent = a;
	l->routes_due = true;
	signal(SIGPIPE, SIG_IGN);
	l->run = new_event(l, -1, 0, on_run);
	l->after = new_event(l, -1, 0, on_after);
	l->source_timer = new_event(l, -1, 0, on_source);
	l->tick = new_event(l, -1, EV_PERSIST, on_tick);
	event_add(l->tick, &second);
	l->term = new_event(l, SIGTERM, EV_SIGNAL | EV_PERSIST, on_stop);
	l->intr = new_event(l, SIGINT, EV_SIGNAL | EV_PERSIST, on_stop);
	l->hup = new_event(l, SIGHUP, EV_SIGNAL | EV_PERSIST, on_hup);
	watch_rules(l);
	fd = rs_cnifiles_fd(a->cnifiles);
	if (fd >= 0)
		l->cni = new_event(l, fd, EV_READ | EV_PERSIST, on_cni);
	fd = rs_events_fd(a->events);
	if (fd >= 0)
		l->events = new_event(l, fd, EV_READ | EV_PERSIST, on_events);
	l->reaper = new_event(l, rs_reaper_fd(a->reaper), EV_READ | EV_PERSIST, on_reaped);
	watch_drops(l);
	watch_source(l);
	return 0;
}

int rs_loop_run(struct rs_agent *a, struct rs_err *err)
{
	rs_loop_kick(a);
	if (event_base_dispatch(a->base) < 0)
		return rs_err_set(err, EIO, "the event loop broke");
	return 0;
}

void rs_loop_stop(struct rs_agent *a)
{
	struct rs_loop *l = a->loop;

	if (l) {
		struct event *all[] = { l->source, l->source_timer, l->watch, l->run, l->after,
					l->tick,   l->term,	    l->intr,  l->hup, l->cni,
					l->drops,  l->events,	    l->reaper };

		for (size_t i = 0; i < RS_ARRAY_SIZE(all); i++)
			if (all[i])
				event_free(all[i]);
		a->loop = NULL;
		free(l);
	}
	if (a->base)
		event_base_free(a->base);
	a->base = NULL;
}
