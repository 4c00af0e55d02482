/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source.h - SEAM: where objects come from. One ops struct, one implementation a file in
 * lib/source.
 *
 * A source owns a store and keeps it current. It has no loop of its own: the agent polls one
 * descriptor and calls dispatch() when it is readable or when the time-out has passed. The
 * descriptor is stable for the life of the source (a source with many of them hands out an epoll).
 *
 *	rs_source_folder.open(&cfg, &src, &err);
 *	rc = src->ops->dispatch(src, &changed, &err);	// first call reads everything
 *	store = src->ops->store(src);
 *
 * Failure keeps the last good state: dispatch() returns the error, store() still answers with what
 * was good before (an empty, unsynced store if there never was any).
 */
#ifndef RIPSTOP_SOURCE_H
#define RIPSTOP_SOURCE_H

#include <stdbool.h>

#include <ripstop/error.h>
#include <ripstop/object.h>

struct rs_source;

struct rs_source_config {
	const char *path; /* folder: the directory */
	int debounce_ms;  /* folder: quiet time before a reload; 0 means 200 */

	/* api: who we are and where the server is. NULL: the pod's service account, and the
	 * server that KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT name. */
	const char *kubeconfig;
	const char *api_server; /* "https://host:port" in place of either; NULL: none */
	const char *sa_dir; /* the service account's token and ca.crt; NULL: where pods have it */
	/* api: policies that were deleted while their namespace is being deleted are kept in
	 * held/ there, over a restart; NULL: only in memory. */
	const char *state_dir;
	/* api: pods of this node are those that such a deletion could open; NULL: all are. */
	const char *node_name;
	/* api: 0 means the value in brackets. */
	int page_size;	    /* objects a page of a list (500) */
	int backoff_ms;	    /* first wait after a failure (800); doubles, with jitter */
	int backoff_max_ms; /* its bound (30000) */
	int watch_s;	    /* the server is asked to end a watch then (random 300 to 600) */
	int idle_ms;	    /* a watch without a byte for so long is opened anew (120000) */
	int answer_ms;	    /* a list without a byte for so long has failed (15000) */
	int ask_ms;	    /* a policy's end waits so long to hear of its namespace (1000) */
};

/* How one kind stands; for status and metrics. */
struct rs_source_kind {
	bool synced;
	int64_t age_s; /* since the last sign of life: an event, a bookmark, a list; -1: never */
	uint64_t lists, watches, events; /* begun, begun, taken */
	uint64_t failures;		 /* requests that ended otherwise than they should */
	uint64_t unreadable;		 /* objects that could not be decoded, and were left out */
	const char *error;		 /* why it is not as it should be; NULL: it is. Borrowed
					  * until the next dispatch() */
};

struct rs_source_ops {
	const char *name; /* "folder", "api" */

	/* Make the source; touches nothing but what it watches. The caller closes it. A folder
	 * that is missing or unreadable is no error here: dispatch() reports it, and goes on
	 * trying. */
	int (*open)(const struct rs_source_config *cfg, struct rs_source **out, struct rs_err *err);

	/* Readable when dispatch() has work. Never negative, never changes. */
	int (*fd)(const struct rs_source *src);

	/* Milliseconds until dispatch() wants to be called anyway; -1 for never. */
	int (*timeout_ms)(const struct rs_source *src);

	/* Take what is there; never blocks. *changed (not NULL) tells whether store() differs. A
	 * source that asks for each kind on its own can have a failure and a change at once. */
	int (*dispatch)(struct rs_source *src, bool *changed, struct rs_err *err);

	/* The last good state; valid until the next dispatch(). Never NULL. */
	const struct rs_store *(*store)(const struct rs_source *src);

	/* Seconds since the source last heard from its origin; for status. -1 when never. */
	int64_t (*age_s)(const struct rs_source *src);

	void (*close)(struct rs_source *src); /* NULL is legal */

	/* The rest only an API has; NULL elsewhere. */

	void (*kind)(const struct rs_source *src, enum rs_kind kind, struct rs_source_kind *out);

	/* List every kind anew, at once; the state stays until the lists are there. */
	void (*resync)(struct rs_source *src);

	/*
	 * Fresh read: what existed when it began is in store() when it is done, however far behind
	 * the watches are. It reads one pod and the policies of its namespace by consistent LIST.
	 * fresh() begins one and returns its number, or a negative errno. fresh_state() returns
	 * -EINPROGRESS until it is over, then 0, or why not (-ENOENT: there is no such pod);
	 * over, the number is forgotten. dispatch() moves it on. fresh_drop() forgets it early.
	 */
	int64_t (*fresh)(struct rs_source *src, const char *ns, const char *pod,
			 struct rs_err *err);
	int (*fresh_state)(struct rs_source *src, int64_t number, struct rs_err *err);
	void (*fresh_drop)(struct rs_source *src, int64_t number);
};

/* Every implementation starts with this member. */
struct rs_source {
	const struct rs_source_ops *ops;
};

/* A folder of *.yaml, *.yml and *.json (not recursive; names that begin with a dot are skipped, so
 * a ConfigMap's ..data symlink swap is one reload). */
extern const struct rs_source_ops rs_source_folder;

/*
 * A Kubernetes API server: list and watch of Pods (without finished ones), Namespaces,
 * NetworkPolicies and Nodes, over HTTPS. docs/source.md tells how it behaves when the server does
 * not. `changed` is told only once every kind has been seen whole.
 */
extern const struct rs_source_ops rs_source_api;

/* ---- writing --------------------------------------------------------------------------------- */

/*
 * A poster hands new objects to the API server that a source of that configuration would read
 * from. Sources never write. It has a descriptor, connections and a reading of the credential of
 * its own: whatever becomes of a request, the watches go on. Nothing blocks.
 *
 *	rc = rs_poster_open(&cfg, &p, &err);
 *	rc = rs_poster_send(p, "/apis/events.k8s.io/v1/namespaces/shop/events", json, done, x, &err);
 *	rs_poster_run(p);	// the descriptor is readable, and now and then: time-outs
 */
struct rs_poster;

struct rs_posted {
	int status;	   /* of HTTP; 0: there was no answer */
	int retry_after_s; /* the server wants to be left alone so long; 0: it said nothing */
};

/* err is NULL when the server has taken the object (any 2xx), else it holds the server's words. */
typedef void rs_posted_fn(void *arg, const struct rs_posted *r, const struct rs_err *err);

/* cfg as for rs_source_api; of its numbers only answer_ms counts. */
int rs_poster_open(const struct rs_source_config *cfg, struct rs_poster **out, struct rs_err *err);
void rs_poster_close(struct rs_poster *p); /* NULL is legal; ends a request without done() */

/* One object at a time: -EBUSY while another is on its way. Below 0 done() is not called, else once
 * by a later rs_poster_run(), and it may send the next. path and body are copied. */
int rs_poster_send(struct rs_poster *p, const char *path, const char *body, rs_posted_fn *done,
		   void *arg, struct rs_err *err);
void rs_poster_run(struct rs_poster *p);
int rs_poster_fd(const struct rs_poster *p);	     /* never changes */
int rs_poster_timeout_ms(const struct rs_poster *p); /* until run() is due anyway; -1: never */

#endif
