// SPDX-License-Identifier: Apache-2.0
/*
 * folder.c - a folder of manifests as a source: read whole into a scratch store, swapped in only
 * when every file is good. A state is taken only from a folder at rest: nobody writes to a
 * manifest, and nothing changed while it was read.
 */
#include <ripstop/source.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base.h"
#include "object/store.h"
#include "source/folder.h"

#define DEBOUNCE_MS 200
#define POLL_MS 2000	    /* looks for what inotify does not tell */
#define RETRY_MS 1000	    /* a folder that is missing or unreadable */
#define RETRY_FILE_MS 30000 /* a manifest that could not be read; a retry reads all of them */
#define OPEN_FILE_MS 10000  /* a manifest that stays open is waited for so long */
#define RESTLESS_MS 10000   /* a folder that changes longer than this is a fault worth telling */
#define FIRST_TRIES 3

struct folder {
	struct rs_source base;
	char *path;
	int debounce_ms;
	struct rs_folder_watch watch;
	struct rs_store *store; /* the last good state */
	bool loaded;		/* there was one */
	bool replaced;		/* another folder stands, or stood, where the good one was */
	struct stat id;		/* of the folder that the last good state came from */
	uint64_t fingerprint;
	bool dirty;
	int64_t dirty_since;
	int64_t due; /* the reload, when dirty */
	int64_t next_poll;
	int64_t retry_at;
	int64_t heard; /* last time the folder was known to be as loaded; 0: never */
	int retry_ms;  /* the failure may go away without an event: try so often; 0: it will not */
	struct rs_err failure; /* why the state is not what the folder says; empty when it is */
};

static struct folder *folder(const struct rs_source *src)
{
	return (struct folder *)(uintptr_t)src;
}

static void touch(struct folder *f, int64_t now)
{
	if (!f->dirty)
		f->dirty_since = now;
	f->dirty = true;
	f->due = now + (f->watch.writing.n ? OPEN_FILE_MS : f->debounce_ms);
}

static void take_events(struct folder *f, int64_t now)
{
	int flags = rs_folder_watch_drain(&f->watch);

	if (flags & RS_FOLDER_REPLACED)
		f->replaced = true;
	if (flags)
		touch(f, now);
}

/* ---- loading --------------------------------------------------------------------------------- */

static bool has_objects(const struct rs_store *s)
{
	size_t pods, policies;

	rs_store_pods(s, &pods);
	rs_store_policies(s, &policies);
	return pods || policies;
}

/*
 * No manifest at all. In the folder we know, somebody deleted them. In another folder under the
 * same name (a volume that is not mounted, a link that leads astray) that is more likely an
 * accident, and taking it at its word would open everything.
 */
static int check_empty(struct folder *f, const struct stat *id, struct rs_store *s,
		       struct rs_err *err)
{
	bool other = f->replaced || id->st_dev != f->id.st_dev || id->st_ino != f->id.st_ino;

	if (f->loaded && other && has_objects(f->store)) {
		rs_err_set(err, ENOTEMPTY,
			   "%s: an empty folder took the place of the one that was "
			   "read",
			   f->path);
		return rs_err_hint(err,
				   "Put the manifests there; to have none in force, put one file "
				   "that holds only a comment.");
	}
	rs_store_warn(s, "%s holds no manifest: no policy is in force", f->path);
	return 0;
}

static int load(struct folder *f, struct rs_store *s, struct stat *id, uint64_t *print,
		struct rs_err *err)
{
	rs_autoclose int fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool broken = false;
	size_t files = 0;
	int rc;

	f->retry_ms = RETRY_MS;
	if (fd < 0) {
		int errnum = errno;

		f->replaced |= errnum == ENOENT || errnum == ENOTDIR;
		rs_folder_watch_drop(&f->watch);
		return rs_err_sys(err, errnum, "open the folder of manifests %s", f->path);
	}
	rc = rs_folder_watch_add(&f->watch, f->path, err);
	if (rc < 0)
		return rc;
	if (fstat(fd, id) < 0)
		return rs_err_sys(err, errno, "stat %s", f->path);
	rc = rs_folder_fingerprint(f->path, print);
	if (rc < 0)
		return rs_err_sys(err, -rc, "read %s", f->path);
	rc = rs_folder_read(fd, f->path, s, &files, &broken, err);
	f->retry_ms = broken ? RETRY_FILE_MS : 0;
	if (rc == 0 && !files)
		rc = check_empty(f, id, s, err);
	return rc;
}

/* Whether the folder changed while it was read: then neither result nor error means anything. */
static bool is_disturbed(struct folder *f, const struct stat *id, uint64_t print)
{
	struct stat st;
	uint64_t after;

	take_events(f, rs_mono_ms());
	if (f->dirty || f->watch.wd < 0)
		return f->dirty;
	return print && stat(f->path, &st) == 0 && rs_folder_fingerprint(f->path, &after) == 0 &&
	       (st.st_dev != id->st_dev || st.st_ino != id->st_ino || after != print);
}

static void accept(struct folder *f, struct rs_store *s, const struct stat *id, bool *changed)
{
	int kind;

	rs_store_finish_folder(s);
	for (kind = 0; kind < RS_KINDS; kind++)
		rs_store_set_synced(s, (enum rs_kind)kind, true);
	*changed = !rs_store_equal(f->store, s);
	rs_store_follow(s, f->store, *changed);
	rs_store_free(f->store);
	f->store = s;
	f->loaded = true;
	f->replaced = false;
	f->id = *id;
	f->heard = rs_mono_ms();
	rs_err_clear(&f->failure);
}

/* One attempt. -EAGAIN: the folder is not at rest. Other failures are kept in f. */
static int reload(struct folder *f, bool *changed)
{
	int64_t since = f->dirty ? f->dirty_since : rs_mono_ms();
	struct rs_store *s = rs_store_new();
	rs_auto_err err = { 0 };
	struct stat id = { 0 };
	uint64_t print = 0;
	int rc;

	f->dirty = false;
	rc = load(f, s, &id, &print, &err);
	f->next_poll = rs_mono_ms() + (f->retry_ms == RETRY_MS ? RETRY_MS : POLL_MS);
	f->retry_at = rs_mono_ms() + f->retry_ms;
	if (is_disturbed(f, &id, print)) {
		rs_store_free(s);
		touch(f, rs_mono_ms());
		f->dirty_since = since;
		return -EAGAIN;
	}
	f->fingerprint = print;
	if (rc == 0) {
		accept(f, s, &id, changed);
		return 0;
	}
	rs_err_move(&f->failure, &err);
	rs_store_free(s);
	return rc;
}

/* ---- dispatch -------------------------------------------------------------------------------- */

/* Things that no event announces: another folder, a changed target of a link, a failure gone. */
static void poll_folder(struct folder *f, int64_t now)
{
	bool again = f->retry_ms && now >= f->retry_at;
	uint64_t print = 0;

	if (f->dirty || now < f->next_poll)
		return;
	f->next_poll = now + POLL_MS;
	if (again || rs_folder_fingerprint(f->path, &print) < 0 || print != f->fingerprint) {
		touch(f, now);
		f->due = again ? now : f->due;
	} else if (!f->failure.num) {
		f->heard = now;
	}
}

static void complain_restless(struct folder *f, int64_t now)
{
	if (!f->dirty || now - f->dirty_since < RESTLESS_MS)
		return;
	rs_err_set(&f->failure, EAGAIN, "%s has been changing for %" PRId64 " s without rest",
		   f->path, (now - f->dirty_since) / 1000);
}

/* The first state is read at once. */
static void first_load(struct folder *f, bool *changed)
{
	int tries;

	f->dirty_since = rs_mono_ms();
	for (tries = 0; tries < FIRST_TRIES; tries++)
		if (reload(f, changed) != -EAGAIN)
			return;
	rs_err_set(&f->failure, EAGAIN, "%s changes while it is read", f->path);
}

static int folder_dispatch(struct rs_source *src, bool *changed, struct rs_err *err)
{
	struct folder *f = folder(src);
	int64_t now = rs_mono_ms();

	*changed = false;
	if (!f->next_poll) {
		first_load(f, changed);
	} else {
		take_events(f, now);
		poll_folder(f, now);
		if (f->dirty && now >= f->due)
			reload(f, changed);
		complain_restless(f, now);
	}
	if (!f->failure.num)
		return 0;
	rs_err_set(err, f->failure.num, "%s%s", rs_err_str(&f->failure),
		   f->loaded ? " (the last good state stays)" : "");
	if (f->failure.hint)
		rs_err_hint(err, "%s", f->failure.hint);
	return -f->failure.num;
}

/* ---- the seam -------------------------------------------------------------------------------- */

static int folder_timeout_ms(const struct rs_source *src)
{
	const struct folder *f = folder(src);
	int64_t now = rs_mono_ms(), at = f->dirty ? f->due : f->next_poll;

	return at > now ? (int)(at - now) : 0;
}

static int folder_fd(const struct rs_source *src)
{
	return folder(src)->watch.fd;
}

static const struct rs_store *folder_store(const struct rs_source *src)
{
	return folder(src)->store;
}

static int64_t folder_age_s(const struct rs_source *src)
{
	const struct folder *f = folder(src);

	return f->heard ? (rs_mono_ms() - f->heard) / 1000 : -1;
}

static void folder_close(struct rs_source *src)
{
	struct folder *f = folder(src);

	if (!f)
		return;
	rs_folder_watch_close(&f->watch);
	rs_store_free(f->store);
	rs_err_clear(&f->failure);
	free(f->path);
	free(f);
}

static int folder_open(const struct rs_source_config *cfg, struct rs_source **out,
		       struct rs_err *err)
{
	struct folder *f;
	size_t n;
	int rc;

	if (!cfg->path || !*cfg->path)
		return rs_err_set(err, EINVAL, "the folder of manifests has no name");
	f = rs_new(struct folder);
	f->base.ops = &rs_source_folder;
	f->store = rs_store_new();
	f->debounce_ms = cfg->debounce_ms > 0 ? cfg->debounce_ms : DEBOUNCE_MS;
	f->path = rs_strdup(cfg->path);
	for (n = strlen(f->path); n > 1 && f->path[n - 1] == '/'; n--)
		f->path[n - 1] = '\0';
	rc = rs_folder_watch_open(&f->watch, err);
	if (rc < 0) {
		folder_close(&f->base);
		return rc;
	}
	*out = &f->base;
	return 0;
}

const struct rs_source_ops rs_source_folder = {
	.name = "folder",
	.open = folder_open,
	.fd = folder_fd,
	.timeout_ms = folder_timeout_ms,
	.dispatch = folder_dispatch,
	.store = folder_store,
	.age_s = folder_age_s,
	.close = folder_close,
};
