// SPDX-License-Identifier: Apache-2.0
/*
 * endpoint.c - lib/endpoint keeps the attachment records, one file for each (containerID, ifname);
 * see <ripstop/endpoint.h>.
 */
#include <ripstop/endpoint.h>

#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "base/statedir.h"
#include "endpoint/endpoint_file.h"

struct rs_endpoint_store {
	struct rs_statedir dir;
};

RS_DEFINE_CLEANUP(cleanup_endpoint, struct rs_endpoint *, rs_endpoint_free)

int rs_endpoint_store_open(const char *state_dir, struct rs_endpoint_store **out,
			   struct rs_err *err)
{
	struct rs_endpoint_store *s = rs_new(struct rs_endpoint_store);
	int rc = rs_statedir_open(state_dir, RS_ENDPOINT_DIR, &s->dir, err);

	*out = NULL;
	if (rc < 0) {
		free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void rs_endpoint_store_patience(struct rs_endpoint_store *s, int lock_ms)
{
	s->dir.lock_ms = lock_ms;
}

void rs_endpoint_store_close(struct rs_endpoint_store *s)
{
	if (!s)
		return;
	rs_statedir_close(&s->dir);
	free(s);
}

/* The file name of a key whose parts were checked. */
static int name_of(const char *container_id, const char *ifname, char **name, struct rs_err *err)
{
	int rc = rs_container_id_check(container_id, err);

	if (rc == 0)
		rc = rs_ifname_check(ifname, err);
	if (rc == 0)
		*name = rs_endpoint_file_name(container_id, ifname);
	return rc;
}

static int damaged(struct rs_endpoint_store *s, const char *name, struct rs_err *why,
		   struct rs_err *err)
{
	rs_err_set(err, EBADMSG, "record %s/%s is damaged: %s", s->dir.path, name, rs_err_str(why));
	rs_err_hint(err, "look at the file; when no such container runs any more, delete it");
	rs_err_cni(err, RS_CNI_IO);
	rs_err_clear(why);
	return -EBADMSG;
}

/* Content and name must tell of the same key, or a copied file would stand for two. */
static int same_key(const struct rs_endpoint *e, const char *name, struct rs_err *err)
{
	rs_autofree char *id = NULL;
	rs_autofree char *ifname = NULL;
	int rc = rs_endpoint_file_key(name, &id, &ifname, err);

	if (rc < 0)
		return rc;
	if (strcmp(id, e->container_id) || strcmp(ifname, e->ifname))
		return rs_err_set(err, EBADMSG, "it tells of container %s, interface %s",
				  e->container_id, e->ifname);
	return 0;
}

static int load_file(struct rs_endpoint_store *s, const char *name, struct rs_endpoint **out,
		     struct rs_err *err)
{
	rs_cleanup(cleanup_endpoint) struct rs_endpoint *e = NULL;
	rs_autofree char *text = NULL;
	struct rs_err why = { 0 };
	size_t len = 0;
	int rc;

	rc = rs_statedir_read(&s->dir, name, RS_ENDPOINT_MAX_BYTES, &text, &len, &why);
	if (rc == -EFBIG || rc == -EINVAL || rc == -ELOOP)
		return damaged(s, name, &why, err);
	if (rc < 0) {
		rs_err_move(err, &why);
		return rc;
	}
	rc = rs_endpoint_from_json(text, len, &e, &why);
	if (rc == 0)
		rc = same_key(e, name, &why);
	if (rc < 0)
		return damaged(s, name, &why, err);
	*out = rs_steal_ptr(&e);
	return 0;
}

static int text_of(const struct rs_endpoint *e, char **text, struct rs_err *err)
{
	rs_autofree char *json = rs_endpoint_to_json(e);
	struct rs_endpoint *back = NULL;
	size_t len = strlen(json);
	int rc;

	/* What cannot be read back must not be written: it would be a pod that nobody can find. */
	rc = rs_endpoint_from_json(json, len, &back, err);
	rs_endpoint_free(back);
	if (rc < 0) {
		rs_err_wrap(err, "record of container %s", e->container_id);
		return rc;
	}
	*text = rs_steal_ptr(&json);
	return 0;
}

int rs_endpoint_create(struct rs_endpoint_store *s, const struct rs_endpoint *e, struct rs_err *err)
{
	rs_autofree char *name = NULL;
	rs_autofree char *text = NULL;
	rs_autoclose int lock = -1;
	int rc = name_of(e->container_id, e->ifname, &name, err);

	if (rc == 0)
		rc = text_of(e, &text, err);
	if (rc < 0)
		return rc;
	lock = rs_statedir_lock(&s->dir, err);
	if (lock < 0)
		return lock;
	rs_statedir_sweep(&s->dir);
	rc = rs_statedir_write_boot(&s->dir, name, text, RS_FILE_CREATE, err);
	if (rc == -EEXIST) {
		rs_err_set(
			err, EEXIST,
			"container %s, interface %s is attached already: there is a record %s/%s",
			e->container_id, e->ifname, s->dir.path, name);
		rs_err_cni(err, RS_CNI_ATTACHED);
		rs_err_hint(err, "DEL it first; that works with a damaged record too");
	}
	return rc;
}

/* Under the lock: replace a record that exists. A tombstone stays one: what is gone does not come
 * back because somebody had read the record before. */
static int replace_locked(struct rs_endpoint_store *s, const struct rs_endpoint *e,
			  const struct rs_endpoint *old, const char *name, struct rs_err *err)
{
	rs_autofree char *text = NULL;
	int rc;

	if (old->state == RS_ENDPOINT_TOMBSTONE && e->state == RS_ENDPOINT_LIVE)
		return rs_err_set(err, ESTALE, "container %s, interface %s was detached meanwhile",
				  e->container_id, e->ifname);
	rc = text_of(e, &text, err);
	if (rc == 0)
		rc = rs_statedir_write_boot(&s->dir, name, text, RS_FILE_REPLACE, err);
	return rc;
}

int rs_endpoint_update(struct rs_endpoint_store *s, const struct rs_endpoint *e, struct rs_err *err)
{
	rs_cleanup(cleanup_endpoint) struct rs_endpoint *old = NULL;
	rs_autofree char *name = NULL;
	rs_autoclose int lock = -1;
	int rc = name_of(e->container_id, e->ifname, &name, err);

	if (rc < 0)
		return rc;
	lock = rs_statedir_lock(&s->dir, err);
	if (lock < 0)
		return lock;
	rc = load_file(s, name, &old, err);
	if (rc < 0)
		return rc;
	return replace_locked(s, e, old, name, err);
}

int rs_endpoint_modify(struct rs_endpoint_store *s, const char *container_id, const char *ifname,
		       void (*fn)(struct rs_endpoint *e, void *arg), void *arg, struct rs_err *err)
{
	rs_cleanup(cleanup_endpoint) struct rs_endpoint *e = NULL;
	rs_cleanup(cleanup_endpoint) struct rs_endpoint *old = NULL;
	rs_autofree char *name = NULL;
	rs_autoclose int lock = -1;
	int rc = name_of(container_id, ifname, &name, err);

	if (rc < 0)
		return rc;
	lock = rs_statedir_lock(&s->dir, err);
	if (lock < 0)
		return lock;
	rc = load_file(s, name, &old, err);
	if (rc < 0)
		return rc;
	e = rs_endpoint_copy(old);
	fn(e, arg);
	if (strcmp(e->container_id, container_id) || strcmp(e->ifname, ifname))
		return rs_err_set(err, EINVAL, "a record's key cannot be changed");
	return replace_locked(s, e, old, name, err);
}

int rs_endpoint_load(struct rs_endpoint_store *s, const char *container_id, const char *ifname,
		     struct rs_endpoint **out, struct rs_err *err)
{
	rs_autofree char *name = NULL;
	int rc = name_of(container_id, ifname, &name, err);

	*out = NULL;
	return rc < 0 ? rc : load_file(s, name, out, err);
}

int rs_endpoint_remove(struct rs_endpoint_store *s, const char *container_id, const char *ifname,
		       struct rs_err *err)
{
	rs_autofree char *name = NULL;
	rs_autoclose int lock = -1;
	int rc = name_of(container_id, ifname, &name, err);

	if (rc < 0)
		return rc;
	lock = rs_statedir_lock(&s->dir, err);
	if (lock < 0)
		return lock;
	return rs_statedir_unlink(&s->dir, name, err);
}

struct walk {
	struct rs_endpoint_store *s;
	bool (*skip)(int folder, const char *name, void *arg);
	int (*fn)(struct rs_endpoint *e, const char *name, const struct rs_err *why, void *arg);
	void *arg;
};

static int visit(const char *name, void *arg)
{
	struct walk *w = arg;
	struct rs_endpoint *e = NULL;
	rs_auto_err why = { 0 };
	int rc;

	if (w->skip && w->skip(w->s->dir.fd, name, w->arg))
		return 0;
	rc = load_file(w->s, name, &e, &why);
	if (rc == -ENOENT) /* removed while we walked */
		return 0;
	return rc < 0 ? w->fn(NULL, name, &why, w->arg) : w->fn(e, name, NULL, w->arg);
}

int rs_endpoint_each(struct rs_endpoint_store *s,
		     int (*fn)(struct rs_endpoint *e, const char *name, const struct rs_err *why,
			       void *arg),
		     void *arg, struct rs_err *err)
{
	return rs_endpoint_each_but(s, NULL, fn, arg, err);
}

int rs_endpoint_each_but(struct rs_endpoint_store *s,
			 bool (*skip)(int folder, const char *name, void *arg),
			 int (*fn)(struct rs_endpoint *e, const char *name,
				   const struct rs_err *why, void *arg),
			 void *arg, struct rs_err *err)
{
	struct walk w = { .s = s, .skip = skip, .fn = fn, .arg = arg };

	return rs_statedir_each(&s->dir, visit, &w, err);
}
