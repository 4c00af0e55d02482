/* SPDX-License-Identifier: Apache-2.0 */
/*
 * folder.h - the inside of the folder source: watching (folder_watch.c), reading (folder_read.c)
 * and deciding what counts (folder.c).
 */
#ifndef RIPSTOP_SOURCE_FOLDER_H
#define RIPSTOP_SOURCE_FOLDER_H

#include <sys/types.h>

#include <ripstop/source.h>

#include "base/vec.h"

#define RS_FOLDER_MAX_FILES 10000
#define RS_FOLDER_MAX_BYTES (64UL * 1024 * 1024)

/* ---- watching -------------------------------------------------------------------------------- */

struct rs_folder_watch {
	int fd; /* inotify */
	int wd; /* of the folder, -1 when it is not watched */
	/* Manifests that were written to and are still open: what they hold is half a thought. */
	struct rs_vec(char *) writing;
};

enum rs_folder_event {
	RS_FOLDER_TOUCHED = 1,	/* something that may matter happened */
	RS_FOLDER_REPLACED = 2, /* the folder itself was removed, moved away or unmounted */
};

int rs_folder_watch_open(struct rs_folder_watch *w, struct rs_err *err);
void rs_folder_watch_close(struct rs_folder_watch *w);

/* Watch the folder that path names now, instead of the one watched before. */
int rs_folder_watch_add(struct rs_folder_watch *w, const char *path, struct rs_err *err);

/* Watch nothing. */
void rs_folder_watch_drop(struct rs_folder_watch *w);

/* Take all events there are; returns flags of enum rs_folder_event. */
int rs_folder_watch_drain(struct rs_folder_watch *w);

/* ---- reading --------------------------------------------------------------------------------- */

/* Is this the name of a manifest? */
bool rs_folder_wants(const char *name);

/*
 * Read the manifests of the open folder into s. path is for messages and positions. *files is how
 * many there were. *broken tells an error of the file system from one of a manifest.
 */
int rs_folder_read(int dirfd, const char *path, struct rs_store *s, size_t *files, bool *broken,
		   struct rs_err *err);

/*
 * A number that changes when the folder is another one or when what a symbolic link in it leads to
 * changed, which inotify does not tell. -errno when the folder cannot be opened.
 */
int rs_folder_fingerprint(const char *path, uint64_t *out);

#endif
