// SPDX-License-Identifier: Apache-2.0
/* leasenames.c - the folder of leases as an ADD needs it, without reading it whole; see lease.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "ipam/lease.h"

struct glance {
	const struct rs_statedir *d;
	const char *boot_id;
	char *boot_mark, *key_mark; /* as they stand in a file that we wrote */
	struct lease_table *t;
	struct rs_err *err;
};

/* The beginning of a file; 0 when it cannot be had that simply. */
static size_t peek(const struct rs_statedir *d, const char *name, char *buf, size_t size)
{
	rs_autoclose int fd =
		openat(d->fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
	ssize_t n = fd < 0 ? 0 : read(fd, buf, size);

	return n > 0 ? (size_t)n : 0;
}

static bool holds(const char *text, size_t len, const char *mark)
{
	return memmem(text, len, mark, strlen(mark)) != NULL;
}

/* Of this boot, and not of the container that asks. What does not say so in our own words is read
 * in earnest. */
static bool is_anothers(const struct glance *g, const char *name)
{
	char text[RS_LEASE_MAX_BYTES];
	size_t len = peek(g->d, name, text, sizeof(text));

	return holds(text, len, g->boot_mark) && !holds(text, len, g->key_mark);
}

static int glance_one(const char *name, void *arg)
{
	struct lease_file f = { 0 };
	struct glance *g = arg;
	bool canonical = false, known;
	int rc;

	if (!lease_name_parse(name, &f.lease.addr, &f.lease.state, &canonical) || !canonical)
		return lease_table_take(g->d, g->boot_id, name, g->t, g->err);
	if (f.lease.state == RS_LEASE_RESTING) {
		rc = lease_resting_since(g->d, name, &f.since);
		if (rc == -ENOENT)
			return 0;
		known = rc == 0;
	} else {
		known = is_anothers(g, name);
	}
	if (!known)
		return lease_table_take(g->d, g->boot_id, name, g->t, g->err);
	*rs_vec_push(&g->t->files) = f;
	return 0;
}

int lease_table_glance(const struct rs_statedir *d, const char *boot_id, const char *container_id,
		       struct lease_table *t, struct rs_err *err)
{
	struct glance g = { .d = d, .boot_id = boot_id, .t = t, .err = err };
	int rc;

	memset(t, 0, sizeof(*t));
	g.boot_mark = rs_asprintf("\"bootID\":\"%s\"", boot_id);
	/* A containerID is made of letters that JSON writes as they are. */
	g.key_mark = rs_asprintf("\"%s\"", container_id);
	rc = rs_statedir_each_swept(d, glance_one, &g, err);
	free(g.boot_mark);
	free(g.key_mark);
	if (rc < 0) {
		lease_table_free(t);
		return rc;
	}
	lease_table_settle(t);
	return 0;
}
