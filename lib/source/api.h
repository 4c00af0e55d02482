/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api.h - the inside of the API source: the store and its kinds (api.c), when to list and when to
 * watch (apikind.c), what answers say about objects (apitake.c), fresh reads (apifresh.c), policies
 * that outlive their end (apihold.c) and how their namespaces stand (apiask.c).
 *
 * One kind is always in one place: IDLE (waiting for its due time), INITIAL (a watch that tells the
 * whole list first), LIST (a page of a list), WATCH. A list grows in a staging store and takes the
 * old one's place in one step, so no mixture of two states is ever compiled.
 */
#ifndef RIPSTOP_SOURCE_API_H
#define RIPSTOP_SOURCE_API_H

#include <ripstop/source.h>

#include "base/vec.h"
#include "source/apiconf.h"
#include "source/apihttp.h"
#include "source/apisplit.h"

struct json_object;
struct rs_api;

enum rs_apiphase {
	RS_API_IDLE,
	RS_API_INITIAL,
	RS_API_LIST,
	RS_API_WATCH,
};

struct rs_apikind {
	struct rs_api *api;
	enum rs_kind kind;
	enum rs_apiphase phase;
	bool relist;	/* what follows IDLE: a list, else a watch */
	bool no_stream; /* the server does not know sendInitialEvents */
	bool list_next; /* this once, read by pages */
	bool synced;
	bool good;	/* the request at hand was answered with 200 */
	int64_t due_ms; /* IDLE: when it ends */
	int64_t opened_ms;
	int64_t heard_ms; /* 0: never */
	int watch_s;
	unsigned int fails;  /* in a row; what the wait doubles by */
	unsigned int wasted; /* watches in a row that were answered and told nothing */
	struct rs_http_req *req;
	struct rs_split *split;
	struct rs_store *staging;
	uint32_t mark;		/* of the list that was begun last */
	uint64_t taken_at_open; /* events, to see whether a watch told any */
	char *rv;		/* where the watch stands */
	char *list_rv, *cont;	/* of the page at hand */
	struct rs_err failure;
	struct rs_source_kind n; /* counters */
};

/* State of one namespace (or one pod in it) that a fresh read brought and a watch has not reached:
 * older news about it is stale. */
struct rs_apifloor {
	enum rs_kind kind;
	char *ns;
	char *name; /* NULL: everything of that kind in ns */
	uint64_t rv;
};

struct rs_apifresh;
struct rs_apiheld; /* a policy that outlives its end at the API */
struct rs_apiask;  /* how does this namespace stand? */

struct rs_api {
	struct rs_source base;
	struct rs_apiconf conf;
	struct rs_source_config cfg; /* numbers only, defaults put in */
	struct rs_http *http;	     /* lists and watches */
	struct rs_http *reads; /* what is asked now and then: its connections go when nothing is */
	int epfd;	       /* of both */
	struct rs_store *store;
	struct rs_apikind kinds[RS_KINDS];
	struct rs_vec(struct rs_apifloor) floors;
	struct rs_apiheld *held; /* a hash table */
	size_t held_files, held_bytes;
	bool held_warned;
	bool restored;
	struct rs_apiask *asks;
	char *node_name; /* NULL: not known */
	char *state_dir; /* NULL: nothing is saved */
	struct rs_apifresh *fresh;
	int64_t fresh_last;
	bool changed; /* and not told yet */
};

/* ---- api.c ----------------------------------------------------------------------------------- */

/* Percent-encoded for a URL; NULL stays NULL. */
char *rs_api_escape(const char *text);

/* ---- apikind.c ------------------------------------------------------------------------------- */

/* "pods", "/api/v1/pods" */
const char *rs_apikind_plural(enum rs_kind kind);
const char *rs_apikind_path(enum rs_kind kind);

void rs_apikind_init(struct rs_apikind *k, struct rs_api *api, enum rs_kind kind);
void rs_apikind_clear(struct rs_apikind *k); /* its request is ended already */
void rs_apikind_run(struct rs_apikind *k, int64_t now);
int64_t rs_apikind_due(const struct rs_apikind *k); /* rs_mono_ms() time; -1: never */
void rs_apikind_resync(struct rs_apikind *k);
/* An event, a bookmark or a whole list came: all is well. */
void rs_apikind_alive(struct rs_apikind *k);

/* Names the API rule that is missing, when status is 401 or 403. */
void rs_api_blame(struct rs_err *err, int status, enum rs_kind kind, const char *what);

/* ---- apitake.c ------------------------------------------------------------------------------- */

/* A resourceVersion as a number; 0 when it is none. */
uint64_t rs_api_version(const char *text);

/* One item of a list into staging, unless the store has it as it is. */
int rs_apitake_item(struct rs_apikind *k, const char *text, size_t len, struct rs_err *err);
/* What is around the items: fills list_rv and cont. */
int rs_apitake_rest(enum rs_kind kind, const char *text, size_t len, char **rv, char **cont,
		    struct rs_err *err);
/* One event of a watch, in phase INITIAL or WATCH. -ESTALE: a list is needed. -EOPNOTSUPP: the
 * server does not know sendInitialEvents. */
int rs_apitake_event(struct rs_apikind *k, const char *text, size_t len, struct rs_err *err);

void rs_apitake_begin(struct rs_apikind *k);		      /* a list begins */
void rs_apitake_drop(struct rs_apikind *k);		      /* and comes to nothing */
void rs_apitake_finish(struct rs_apikind *k, const char *rv); /* or takes the old one's place */

/* Decode an object of that kind into s. Negative when it is none of that kind, or cannot be named;
 * 0 when it is left out with a warning in s, 1 when it is in s. */
int rs_apitake_decode(struct rs_store *s, enum rs_kind kind, struct json_object *o,
		      struct rs_err *err);

struct rs_apiname {
	char *ns;
	char *name;
};

struct rs_apinames {
	struct rs_vec(struct rs_apiname) v;
};

void rs_apinames_free(struct rs_apinames *n);

/* The same from text: an item of a fresh read. One that is left out adds its name to odd. */
int rs_apitake_one(struct rs_store *s, enum rs_kind kind, const char *text, size_t len,
		   struct rs_apinames *odd, struct rs_err *err);

/* Take what a fresh read brought: all there is of ns (and name), as of rv. What it could not
 * decode (odd) is there all the same: what was last readable of it stays. */
void rs_apitake_fold(struct rs_apikind *k, struct rs_store *from, const struct rs_apinames *odd,
		     const char *ns, const char *name, const char *rv);

/* ---- apihold.c ------------------------------------------------------------------------------- */

/* Before an object is deleted: whether it stays, for a moment or until its namespace is gone.
 * o: what was told of its end, NULL for nothing. */
bool rs_apihold_keep(struct rs_api *api, enum rs_kind kind, const char *ns, const char *name,
		     struct json_object *o);
/* The end of an object that is known already: only now there may be something to save. */
void rs_apihold_told(struct rs_api *api, enum rs_kind kind, const char *ns, const char *name,
		     struct json_object *o);
/* Before the sweep of a list of policies: those that stay get its mark. */
void rs_apihold_listed(struct rs_apikind *k);
/* Namespaces have changed: what was held for one that is gone goes. */
void rs_apihold_settle(struct rs_api *api);
/* A question about a namespace begins: whether anything waits for its answer. */
bool rs_apihold_asked(struct rs_api *api, const char *ns);
/* Its answer; NULL: there is no such namespace. */
void rs_apihold_answer(struct rs_api *api, const char *name, const struct rs_namespace *ns);
/* What has waited too long goes. */
void rs_apihold_expire(struct rs_api *api, int64_t now);
/* Once, when every kind has been seen: take what an agent before us saved. */
void rs_apihold_restore(struct rs_api *api);
void rs_apihold_clear(struct rs_api *api);

/* ---- apiask.c -------------------------------------------------------------------------------- */

void rs_apiask_begin(struct rs_api *api, const char *ns); /* in the next run */
void rs_apiask_run(struct rs_api *api, int64_t now);
int64_t rs_apiask_due(const struct rs_api *api); /* rs_mono_ms() time; -1: never */
void rs_apiask_clear(struct rs_api *api);	 /* requests are ended already */

/* ---- apifresh.c ------------------------------------------------------------------------------ */

int64_t rs_apifresh_begin(struct rs_api *api, const char *ns, const char *pod, struct rs_err *err);
int rs_apifresh_state(struct rs_api *api, int64_t number, struct rs_err *err);
void rs_apifresh_drop(struct rs_api *api, int64_t number);
void rs_apifresh_clear(struct rs_api *api); /* requests are ended already */

#endif
