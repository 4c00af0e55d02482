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
 * Failure keeps the last good state: dispatch() returns the error, `changed` stays false, store()
 * still answers with what was good before (an empty, unsynced store if there never was any).
 */
#ifndef RIPSTOP_SOURCE_H
#define RIPSTOP_SOURCE_H

#include <stdbool.h>

#include <ripstop/error.h>
#include <ripstop/object.h>

struct rs_source;

struct rs_source_config {
	const char *path;     /* folder: the directory */
	int debounce_ms;      /* folder: quiet time before a reload; 0 means 200 */
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

	/* Take what is there; never blocks. *changed (not NULL) tells whether store() differs. */
	int (*dispatch)(struct rs_source *src, bool *changed, struct rs_err *err);

	/* The last good state; valid until the next dispatch(). Never NULL. */
	const struct rs_store *(*store)(const struct rs_source *src);

	/* Seconds since the source last heard from its origin; for status. -1 when never. */
	int64_t (*age_s)(const struct rs_source *src);

	void (*close)(struct rs_source *src); /* NULL is legal */
};

/* Every implementation starts with this member. */
struct rs_source {
	const struct rs_source_ops *ops;
};

/* A folder of *.yaml, *.yml and *.json (not recursive; names that begin with a dot are skipped, so
 * a ConfigMap's ..data symlink swap is one reload). */
extern const struct rs_source_ops rs_source_folder;

#endif
