// SPDX-License-Identifier: Apache-2.0
/* folder_watch.c - what inotify tells about the folder; see folder.h. */
#include "source/folder.h"

#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/base.h"

#define EVENTS                                                                              \
	(IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | \
	 IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)

/* One call takes no more than this many buffers: a storm of events must not hold the agent. */
#define MAX_BUFFERS 64

int rs_folder_watch_open(struct rs_folder_watch *w, struct rs_err *err)
{
	w->wd = -1;
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd < 0) {
		rs_err_sys(err, errno, "watch the manifests: inotify_init1");
		return rs_err_hint(err, "Raise fs.inotify.max_user_instances.");
	}
	return 0;
}

static void forget_writing(struct rs_folder_watch *w)
{
	size_t i;

	for (i = 0; i < w->writing.n; i++)
		free(w->writing.v[i]);
	w->writing.n = 0;
}

void rs_folder_watch_close(struct rs_folder_watch *w)
{
	forget_writing(w);
	rs_vec_free(&w->writing);
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

int rs_folder_watch_add(struct rs_folder_watch *w, const char *path, struct rs_err *err)
{
	int wd = inotify_add_watch(w->fd, path, EVENTS | IN_ONLYDIR);

	if (wd < 0 && errno == ENOSPC) {
		rs_err_sys(err, errno, "watch %s", path);
		return rs_err_hint(err, "Raise fs.inotify.max_user_watches.");
	}
	if (wd < 0)
		return rs_err_sys(err, errno, "watch %s", path);
	if (w->wd >= 0 && w->wd != wd)
		inotify_rm_watch(w->fd, w->wd);
	if (w->wd != wd)
		forget_writing(w);
	w->wd = wd;
	return 0;
}

void rs_folder_watch_drop(struct rs_folder_watch *w)
{
	if (w->wd >= 0)
		inotify_rm_watch(w->fd, w->wd);
	w->wd = -1;
	forget_writing(w);
}

static void note_writing(struct rs_folder_watch *w, const char *name, bool open)
{
	size_t i;

	for (i = 0; i < w->writing.n; i++)
		if (!strcmp(w->writing.v[i], name))
			break;
	if (open && i == w->writing.n && i < RS_FOLDER_MAX_FILES) {
		*rs_vec_push(&w->writing) = rs_strdup(name);
	} else if (!open && i < w->writing.n) {
		free(w->writing.v[i]);
		w->writing.v[i] = w->writing.v[--w->writing.n];
	}
}

static int on_name(struct rs_folder_watch *w, const struct inotify_event *e)
{
	bool wanted = rs_folder_wants(e->name);

	if (wanted)
		note_writing(w, e->name, (e->mask & IN_MODIFY) != 0);
	/* Other names matter as links on the way to manifests (..data), not by what they hold. */
	if (!wanted && e->mask & (IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB))
		return 0;
	return RS_FOLDER_TOUCHED;
}

static int on_event(struct rs_folder_watch *w, const struct inotify_event *e)
{
	if (e->mask & IN_Q_OVERFLOW) {
		forget_writing(w);
		return RS_FOLDER_TOUCHED;
	}
	if (e->wd != w->wd)
		return 0;
	if (e->mask & IN_IGNORED) {
		w->wd = -1;
		forget_writing(w);
		return RS_FOLDER_TOUCHED | RS_FOLDER_REPLACED;
	}
	if (e->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT))
		return RS_FOLDER_TOUCHED | RS_FOLDER_REPLACED;
	return e->len ? on_name(w, e) : RS_FOLDER_TOUCHED;
}

int rs_folder_watch_drain(struct rs_folder_watch *w)
{
	_Alignas(struct inotify_event) char buf[16384];
	int flags = 0, round;

	for (round = 0; round < MAX_BUFFERS; round++) {
		ssize_t n = read(w->fd, buf, sizeof(buf)), at = 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		while (at < n) {
			/* The kernel aligns and pads each event. */
			const struct inotify_event *e = (const void *)(buf + at);

			flags |= on_event(w, e);
			at += (ssize_t)(sizeof(*e) + e->len);
		}
	}
	return flags;
}
