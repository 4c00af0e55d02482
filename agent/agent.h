/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.h - the running agent: what it holds, for the files that serve requests and timers.
 *
 * One thread, one loop. Everything here lives from main() to its end.
 */
#ifndef RIPSTOP_AGENT_AGENT_H
#define RIPSTOP_AGENT_AGENT_H

#include <time.h>

#include <ripstop/dataplane.h>
#include <ripstop/endpoint.h>
#include <ripstop/source.h>

#include "agent/host.h"
#include "agent/log.h"
#include "agent/metrics.h"
#include "agent/options.h"
#include "agent/reconcile.h"
#include "agent/registry.h"
#include "base/base.h"

struct event_base;
struct rs_server;
struct rs_httpd;
struct rs_loop;
struct rs_masquerade;
struct rs_cnifiles;
struct rs_dropwatch;
struct rs_events;
struct rs_reaper;

#define RS_REPAIRS_KEPT 20

/* What became of foreign changes since the start. */
struct rs_repairs {
	uint64_t times;
	uint64_t mended;	     /* differences, all in all */
	int64_t last_s;		     /* wall clock, like all here */
	char *last[RS_REPAIRS_KEPT]; /* differences of the last time, the first ones */
	size_t n_last;
	char *who; /* changed it last, as far as the kernel told; NULL: not known */
	int64_t who_s;
};

struct rs_agent {
	struct rs_options opt;
	char boot_id[RS_BOOT_ID_LEN];
	int lock_fd;
	int node_fd; /* rs_lock_node(); negative: none */
	int64_t started_ms;
	struct rs_host host;
	struct rs_host_real *host_real;
	struct rs_endpoint_store *records;
	struct rs_registry *reg;
	struct rs_reaper *reaper; /* NULL: each DEL deletes its own link */
	struct rs_metrics metrics;
	struct rs_source *src;
	struct rs_dp *dp;
	char *why_not_first; /* the dataplane that was asked for cannot be; NULL: it is that one */
	bool other_judges;   /* rules of another dataplane are still in force */
	char *why_other_stays; /* the last try to remove them; NULL: none failed */
	struct rs_reconcile *rec;
	struct rs_conditions conditions; /* as last shown */
	char *dp_conditions;		 /* as the backend last told; NULL: none */
	struct rs_conditions routes;	 /* routes that could not be set */
	struct rs_conditions leases;	 /* damaged lease files */
	struct timespec leases_seen;	 /* the folder's time when it was last read */
	uint64_t routes_serial;		 /* of the node ranges that the routes were made for */
	bool routes_done;
	struct rs_masquerade *masq;   /* NULL: not looked at yet */
	struct rs_cnifiles *cnifiles; /* NULL without --install-conflist */
	struct rs_dropwatch *drops;
	struct rs_events *events; /* NULL without --events */
	bool in_sync;		  /* the last audit found no difference */
	struct rs_repairs repairs;
	bool serving;	 /* the control socket listens */
	char *node_json; /* as last written, without its time */
	int64_t node_written_ms;
	struct event_base *base;
	struct rs_loop *loop;
	struct rs_server *server;
	struct rs_httpd *httpd;
};

/* lock.c: one agent a state folder. The lock is held while *fd is open. */
int rs_lock_take(const char *state_dir, int *fd, struct rs_err *err);
/* One agent a network namespace. *fd stays as it is where a stranger holds the name. */
int rs_lock_node(int *fd, struct rs_err *err);
/* Drop those who asked whether we live. */
void rs_lock_sweep(int fd);

/* nodefile.c: write STATE/node.json when it changed or is 10 s old. */
void rs_nodefile_update(struct rs_agent *a, int64_t now_ms);

/* routes.c: an unreachable route for every pod range of this node, so that nothing is forwarded to
 * an address that nobody holds; and away with those of ranges that are no longer ours. */
void rs_routes_sync(struct rs_agent *a, bool look); /* look: even if no Node object changed */
/* -EADDRINUSE when --node-ranges hold an address of this node and no pod lives here yet. */
int rs_routes_check(struct rs_agent *a, struct rs_err *err);
int rs_routes_remove(struct rs_nl *nl, struct rs_err *err);

/* peers.c: routes to the pod ranges of other nodes, by their InternalIP. Part of rs_routes_sync();
 * what cannot be routed is a condition. Before the first sync nothing is removed. */
void rs_peers_sync(struct rs_agent *a);
int rs_peers_remove(struct rs_nl *nl, struct rs_err *err);

/* masquerade.c: look whether the kernel masquerades as it should, and make it so. */
void rs_masquerade_sync(struct rs_agent *a);
void rs_masquerade_conditions(const struct rs_agent *a, struct rs_conditions *c);
int rs_masquerade_remove(struct rs_err *err);
void rs_masquerade_free(struct rs_masquerade *m); /* the kernel keeps it */

/* choice.c: the dataplane that is configured, or the one that is taken in its place. */
int rs_choice_open(struct rs_agent *a, struct rs_err *err);
/* Whether there is one for the one that is open, which failed before it enforced anything. */
bool rs_choice_has_another(const struct rs_agent *a);
int rs_choice_take_another(struct rs_agent *a, const struct rs_err *why, struct rs_err *err);
bool rs_choice_is_fallback(const struct rs_agent *a);
char *rs_choice_reason(const struct rs_agent *a); /* why this one; the caller frees it */
void rs_choice_conditions(const struct rs_agent *a, struct rs_conditions *c);

/* otherplane.c: an agent that was started with another dataplane has left its rules. Whether they
 * are there; and away with them once ours are whole. */
bool rs_otherplane_judges(const struct rs_agent *a);
void rs_otherplane_leave(struct rs_agent *a, bool again); /* again: though a try has failed */
const char *rs_otherplane_name(const struct rs_agent *a); /* NULL: its rules are not there */
void rs_otherplane_conditions(const struct rs_agent *a, struct rs_conditions *c);
int rs_otherplane_remove(struct rs_agent *a, struct rs_err *err); /* whole or not */

/* origin.c: a folder, or an API server. */
bool rs_origin_is_api(const struct rs_options *o);
struct rs_source_config rs_origin_config(const struct rs_options *o); /* borrows from o */
int rs_origin_open(const struct rs_options *o, struct rs_source **out, struct rs_err *err);
char *rs_origin_name(const struct rs_options *o); /* folder or address; the caller frees it */
void rs_origin_conditions(const struct rs_agent *a, struct rs_conditions *c);

/* gc.c: tombstones, vanished records, links gone for five minutes. */
void rs_gc_run(struct rs_agent *a, int64_t now_ms);

/* leasefiles.c: look for damaged lease files, where the folder has changed since the last time. */
void rs_leasefiles_look(struct rs_agent *a);

/* repair.c */
void rs_repair_watch(struct rs_agent *a, int64_t now_ms); /* the dataplane's watch is readable */
/* Compare kernel and state, report, and mend unless that is switched off. Returns how many
 * differences, or negative. */
int rs_repair_audit(struct rs_agent *a, const char *who, int64_t now_ms, struct rs_err *err);
/* Certain, and cheap to find out: an audit would find nothing. */
bool rs_repair_untouched(const struct rs_agent *a);
/* Compare only. The caller frees *d. */
int rs_repair_look(struct rs_agent *a, struct rs_dp_drifts *d, struct rs_err *err);
/* Commit anew what was found to differ. */
int rs_repair_mend(struct rs_agent *a, const struct rs_dp_drifts *d, int64_t now_ms,
		   struct rs_err *err);
void rs_repair_conditions(struct rs_agent *a); /* ask the backend again */
void rs_repair_free(struct rs_repairs *r);

/* agent.c: NULL when an ADD issued now would be served, else one sentence. Caller frees. */
char *rs_agent_why_not_ready(const struct rs_agent *a);

/* board.c: gather the conditions; one log line for each that comes or goes. */
void rs_board_update(struct rs_agent *a);

/* scrape.c: the text of /metrics. */
char *rs_scrape(struct rs_agent *a);
uint64_t rs_process_rss(void);

/* uninstall.c */
int rs_uninstall(struct rs_agent *a, struct rs_err *err);

/* loop.c: timers, signals and descriptors. run() returns on SIGTERM or SIGINT. */
int rs_loop_start(struct rs_agent *a, struct rs_err *err);
int rs_loop_run(struct rs_agent *a, struct rs_err *err);
void rs_loop_stop(struct rs_agent *a);
void rs_loop_follow(struct rs_agent *a); /* another dataplane is open: listen to that one */
void rs_loop_kick(struct rs_agent *a);	 /* run the reconciler as soon as it is due */
void rs_loop_settle(struct rs_agent *a); /* run it now if it is */

#endif
