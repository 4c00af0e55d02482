// SPDX-License-Identifier: Apache-2.0
/* lease.c - lease files: their text, the folder as a table, the changes of one; see lease.h. */
#include "ipam/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base.h"
#include "base/jsonio.h"

#define LEASE_VERSION 1
#define LEASE_DEPTH 3
#define RESTING_SUFFIX ".resting"

static const char *const state_names[] = {
	[RS_LEASE_HELD] = "held",
	[RS_LEASE_RESTING] = "resting",
};

void rs_lease_clear(struct rs_lease *l)
{
	free(l->container_id);
	free(l->ifname);
	free(l->boot_id);
	memset(l, 0, sizeof(*l));
}

/* ---- text ------------------------------------------------------------------------------------ */

char *rs_lease_to_json(const struct rs_lease *l)
{
	rs_autojson struct json_object *o = json_object_new_object();
	char text[RS_ADDR_STRLEN];

	json_object_object_add(o, "version", json_object_new_int(LEASE_VERSION));
	rs_json_add_str(o, "address", rs_addr_str(&l->addr, text));
	rs_json_add_str(o, "state", state_names[l->state]);
	rs_json_add_str(o, "containerID", l->container_id);
	rs_json_add_str(o, "ifname", l->ifname);
	rs_json_add_str(o, "bootID", l->boot_id);
	json_object_object_add(o, "since", json_object_new_int64(l->since_s));
	return rs_json_print(o);
}

static int parse_state(struct json_object *o, struct rs_lease *l, struct rs_err *err)
{
	rs_autofree char *word = NULL;
	int rc = rs_json_str(o, "state", 32, &word, err);

	if (rc < 0)
		return rc;
	if (!strcmp(word, state_names[RS_LEASE_HELD]))
		l->state = RS_LEASE_HELD;
	else if (!strcmp(word, state_names[RS_LEASE_RESTING]))
		l->state = RS_LEASE_RESTING;
	else
		return rs_err_set(err, EBADMSG, "state is neither held nor resting");
	return 0;
}

static int parse_lease(struct json_object *o, struct rs_lease *l, struct rs_err *err)
{
	rs_autofree char *addr = NULL;
	int64_t version = 0;
	int rc = rs_json_int(o, "version", 1, LEASE_VERSION, &version, err);

	if (rc == 0)
		rc = rs_json_str(o, "address", RS_ADDR_STRLEN - 1, &addr, err);
	if (rc == 0 && rs_addr_parse(addr, &l->addr, NULL) < 0)
		rc = rs_err_set(err, EBADMSG, "address is none");
	if (rc == 0)
		rc = parse_state(o, l, err);
	if (rc == 0)
		rc = rs_json_str(o, "containerID", 256, &l->container_id, err);
	if (rc == 0)
		rc = rs_json_str(o, "ifname", 64, &l->ifname, err);
	if (rc == 0)
		rc = rs_json_str(o, "bootID", 64, &l->boot_id, err);
	if (rc == 0)
		rc = rs_json_int(o, "since", 0, INT64_MAX, &l->since_s, err);
	return rc;
}

int rs_lease_from_json(const char *text, size_t len, struct rs_lease *out, struct rs_err *err)
{
	rs_autojson struct json_object *o = NULL;
	int rc;

	memset(out, 0, sizeof(*out));
	if (len > RS_LEASE_MAX_BYTES)
		return rs_err_set(err, EBADMSG, "%zu bytes, at most %u are allowed", len,
				  RS_LEASE_MAX_BYTES);
	rc = rs_json_parse(text, len, LEASE_DEPTH, &o, err);
	if (rc == 0)
		rc = parse_lease(o, out, err);
	if (rc < 0)
		rs_lease_clear(out);
	return rc;
}

/* ---- one file -------------------------------------------------------------------------------- */

const char *lease_name(const struct rs_addr *a, enum rs_lease_state state, char buf[LEASE_NAME_LEN])
{
	char text[RS_ADDR_STRLEN];

	snprintf(buf, LEASE_NAME_LEN, "%s%s", rs_addr_str(a, text),
		 state == RS_LEASE_RESTING ? RESTING_SUFFIX : "");
	return buf;
}

bool lease_name_parse(const char *name, struct rs_addr *a, enum rs_lease_state *state,
		      bool *canonical)
{
	const size_t tail = strlen(RESTING_SUFFIX);
	char text[LEASE_NAME_LEN], want[LEASE_NAME_LEN];
	size_t len = strnlen(name, sizeof(text));

	if (len >= sizeof(text))
		return false;
	memcpy(text, name, len + 1);
	*state = RS_LEASE_HELD;
	if (len > tail && !strcmp(text + len - tail, RESTING_SUFFIX)) {
		text[len - tail] = '\0';
		*state = RS_LEASE_RESTING;
	}
	if (rs_addr_parse(text, a, NULL) < 0)
		return false;
	*canonical = !strcmp(name, lease_name(a, *state, want));
	return true;
}

int lease_resting_since(const struct rs_statedir *d, const char *name, struct timespec *since)
{
	struct stat st;

	if (fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	*since = st.st_mtim;
	return S_ISREG(st.st_mode) ? 0 : -EBADMSG;
}

static int damaged(const struct rs_statedir *d, const char *name, struct rs_err *why,
		   struct rs_err *err)
{
	rs_err_set(err, EBADMSG, "lease file %s/%s is damaged: %s", d->path, name, rs_err_str(why));
	rs_err_cni(err, RS_CNI_LEASES);
	rs_err_hint(err, "make sure that no pod uses that address, then delete the file");
	rs_err_clear(why);
	return -EBADMSG;
}

/* The name, in its one canonical form, must be that of the address in the file. */
static int name_fits(const char *name, struct rs_lease *l, struct rs_err *err)
{
	char want[LEASE_NAME_LEN];

	if (!strcmp(name, lease_name(&l->addr, RS_LEASE_HELD, want))) {
		if (l->state != RS_LEASE_HELD)
			return rs_err_set(err, EBADMSG, "it says resting, its name says held");
		return 0;
	}
	if (!strcmp(name, lease_name(&l->addr, RS_LEASE_RESTING, want))) {
		l->state = RS_LEASE_RESTING;
		return 0;
	}
	return rs_err_set(err, EBADMSG, "its name and its address differ");
}

int lease_read(const struct rs_statedir *d, const char *name, struct lease_file *out,
	       struct rs_err *err)
{
	rs_autofree char *text = NULL;
	struct rs_err why = { 0 };
	struct stat st;
	size_t len = 0;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = rs_statedir_read(d, name, RS_LEASE_MAX_BYTES, &text, &len, &why);
	if (rc == -EFBIG || rc == -EINVAL || rc == -ELOOP)
		return damaged(d, name, &why, err);
	if (rc < 0) {
		rs_err_move(err, &why);
		return rc;
	}
	rc = rs_lease_from_json(text, len, &out->lease, &why);
	if (rc == 0)
		rc = name_fits(name, &out->lease, &why);
	if (rc < 0) {
		rs_lease_clear(&out->lease);
		return damaged(d, name, &why, err);
	}
	out->since.tv_sec = out->lease.since_s;
	if (out->lease.state == RS_LEASE_RESTING && fstatat(d->fd, name, &st, 0) == 0) {
		out->since = st.st_mtim;
		out->lease.since_s = st.st_mtim.tv_sec;
	}
	return 0;
}

int lease_hold(const struct rs_statedir *d, const struct rs_lease *l, struct rs_err *err)
{
	rs_autofree char *text = rs_lease_to_json(l);
	char name[LEASE_NAME_LEN];
	int rc;

	rc = rs_statedir_write_boot(d, lease_name(&l->addr, RS_LEASE_HELD, name), text,
				    RS_FILE_CREATE, err);
	if (rc < 0)
		return rc;
	/* Its time as a resting one is over. Should this fail, the held file still counts. */
	unlinkat(d->fd, lease_name(&l->addr, RS_LEASE_RESTING, name), 0);
	return 0;
}

int lease_restamp(const struct rs_statedir *d, const struct rs_addr *a, struct timespec now,
		  struct rs_err *err)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, now };
	char name[LEASE_NAME_LEN];
	int rc;

	lease_name(a, RS_LEASE_RESTING, name);
	if (utimensat(d->fd, name, times, 0) == 0)
		return 0;
	rc = rs_err_sys(err, errno, "%s: set the time of %s", d->path, name);
	rs_err_cni(err, RS_CNI_IO);
	return rc;
}

int lease_rest(const struct rs_statedir *d, const struct rs_addr *a, struct timespec now,
	       struct rs_err *err)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, now };
	char held[LEASE_NAME_LEN], resting[LEASE_NAME_LEN];
	int rc;

	lease_name(a, RS_LEASE_HELD, held);
	lease_name(a, RS_LEASE_RESTING, resting);
	/* The stamp first: the other way round a crash would leave a rest that began at the ADD. No
	 * fsync: after a power failure the boot is another one and every lease void. */
	if (utimensat(d->fd, held, times, 0) == 0 && renameat(d->fd, held, d->fd, resting) == 0)
		return 0;
	rc = rs_err_sys(err, errno, "%s: release %s", d->path, held);
	rs_err_cni(err, RS_CNI_IO);
	return rc;
}

/* ---- the folder ------------------------------------------------------------------------------ */

static void note_damage(struct lease_table *t, struct rs_err *why)
{
	if (!t->damage.num)
		rs_err_move(&t->damage, why);
	rs_err_clear(why);
}

/* Whose a damaged file is nobody can tell, but its name says which address it is about. A rest
 * needs no text. */
static void take_damaged(const struct rs_statedir *d, const char *name, struct lease_table *t,
			 struct rs_err *why)
{
	struct lease_file f = { 0 };
	bool canonical;

	note_damage(t, why);
	if (!lease_name_parse(name, &f.lease.addr, &f.lease.state, &canonical))
		return;
	f.damaged = !canonical || f.lease.state == RS_LEASE_HELD ||
		    lease_resting_since(d, name, &f.since) < 0;
	if (f.damaged)
		f.lease.state = RS_LEASE_HELD;
	*rs_vec_push(&t->files) = f;
}

int lease_table_take(const struct rs_statedir *d, const char *boot_id, const char *name,
		     struct lease_table *t, struct rs_err *err)
{
	struct rs_err why = { 0 };
	struct lease_file f;
	int rc = lease_read(d, name, &f, &why);

	if (rc == -EBADMSG) {
		take_damaged(d, name, t, &why);
		return 0;
	}
	if (rc == -ENOENT) {
		rs_err_clear(&why);
		return 0;
	}
	if (rc < 0) {
		rs_err_move(err, &why);
		return rc;
	}
	f.stale = strcmp(f.lease.boot_id, boot_id) != 0;
	*rs_vec_push(&t->files) = f;
	return 0;
}

struct loading {
	const struct rs_statedir *d;
	const char *boot_id;
	struct lease_table *t;
	struct rs_err *err;
};

static int load_one(const char *name, void *arg)
{
	struct loading *l = arg;

	return lease_table_take(l->d, l->boot_id, name, l->t, l->err);
}

static int by_address(const void *a, const void *b)
{
	const struct lease_file *x = a, *y = b;
	int c = rs_addr_cmp(&x->lease.addr, &y->lease.addr);

	return c ? c : (int)x->lease.state - (int)y->lease.state;
}

/* Held and resting files of one address: only the held one is a row. */
static void drop_shadowed(struct lease_table *t)
{
	size_t i, n = 0;

	for (i = 0; i < t->files.n; i++) {
		struct lease_file *f = &t->files.v[i];

		if (n && !rs_addr_cmp(&t->files.v[n - 1].lease.addr, &f->lease.addr))
			rs_lease_clear(&f->lease);
		else
			t->files.v[n++] = *f;
	}
	t->files.n = n;
}

int lease_table_load(const struct rs_statedir *d, const char *boot_id, struct lease_table *t,
		     struct rs_err *err)
{
	struct loading l = { .d = d, .boot_id = boot_id, .t = t, .err = err };
	int rc;

	memset(t, 0, sizeof(*t));
	rc = rs_statedir_each(d, load_one, &l, err);
	if (rc < 0) {
		lease_table_free(t);
		return rc;
	}
	lease_table_settle(t);
	return 0;
}

void lease_table_settle(struct lease_table *t)
{
	if (t->files.n)
		qsort(t->files.v, t->files.n, sizeof(*t->files.v), by_address);
	drop_shadowed(t);
}

void lease_table_free(struct lease_table *t)
{
	size_t i;

	for (i = 0; i < t->files.n; i++)
		rs_lease_clear(&t->files.v[i].lease);
	rs_vec_free(&t->files);
	rs_err_clear(&t->damage);
}
