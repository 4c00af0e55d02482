// SPDX-License-Identifier: Apache-2.0
/* dropfile.c - the file of --drop-log: one record a line, turned over when it is full. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/dropwatch.h"

struct rs_dropfile {
	char *path; /* NULL: stdout */
	int fd;
	bool regular;
	size_t size, max;
	unsigned int keep;
	uint64_t unwritten;
	struct rs_err err;
};

static int reopen(struct rs_dropfile *f, struct rs_err *err)
{
	struct stat st;

	f->fd = f->path ? open(f->path,
			       O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY |
				       O_NONBLOCK,
			       0600)
			: STDOUT_FILENO;
	if (f->fd < 0 || fstat(f->fd, &st) < 0)
		return rs_err_sys(err, errno, "drop log %s", f->path ? f->path : "stdout");
	f->regular = f->path && S_ISREG(st.st_mode);
	f->size = f->regular ? (size_t)st.st_size : 0;
	return 0;
}

int rs_dropfile_open(const char *path, size_t max_bytes, unsigned int keep,
		     struct rs_dropfile **out, struct rs_err *err)
{
	struct rs_dropfile *f = rs_new(struct rs_dropfile);
	int rc;

	f->path = strcmp(path, "-") != 0 ? rs_strdup(path) : NULL;
	f->max = max_bytes;
	f->keep = keep;
	rc = reopen(f, err);
	if (rc < 0) {
		rs_dropfile_close(f);
		return rc;
	}
	*out = f;
	return 0;
}

void rs_dropfile_close(struct rs_dropfile *f)
{
	if (!f)
		return;
	if (f->path && f->fd >= 0)
		close(f->fd);
	free(f->path);
	rs_err_clear(&f->err);
	free(f);
}

/* PATH.2 becomes PATH.3, ..., PATH becomes PATH.1. */
static int turn_over(struct rs_dropfile *f, struct rs_err *err)
{
	close(f->fd);
	f->fd = -1;
	if (!f->keep && unlink(f->path) < 0 && errno != ENOENT)
		return rs_err_sys(err, errno, "drop log: remove %s", f->path);
	for (unsigned int i = f->keep; i > 0; i--) {
		rs_autofree char *to = rs_asprintf("%s.%u", f->path, i);
		rs_autofree char *from =
			i > 1 ? rs_asprintf("%s.%u", f->path, i - 1) : rs_strdup(f->path);

		if (rename(from, to) < 0 && errno != ENOENT)
			return rs_err_sys(err, errno, "drop log: rename %s", from);
	}
	return reopen(f, err);
}

/* A pipe that can take PIPE_BUF bytes takes them at once. */
static bool would_wait(const struct rs_dropfile *f, size_t len)
{
	struct pollfd p = { .fd = f->fd, .events = POLLOUT };

	return !f->regular && (len > PIPE_BUF || poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT));
}

static int write_line(struct rs_dropfile *f, const char *line, size_t len, struct rs_err *err)
{
	ssize_t n;
	int rc = 0;

	if (f->fd < 0)
		rc = reopen(f, err);
	if (rc == 0 && f->regular && f->size && f->size + len > f->max)
		rc = turn_over(f, err);
	if (rc < 0)
		return rc;
	if (would_wait(f, len))
		return rs_err_set(err, EAGAIN, "drop log: its reader is too slow");
	n = write(f->fd, line, len);
	if (n < 0)
		return rs_err_sys(err, errno, "drop log %s", f->path ? f->path : "stdout");
	f->size += (size_t)n;
	if ((size_t)n < len)
		return rs_err_set(err, ENOSPC, "drop log: half a line was written");
	return 0;
}

void rs_dropfile_put(struct rs_dropfile *f, const char *line, size_t len)
{
	rs_auto_strbuf text = { 0 };

	rs_strbuf_add(&text, line, len);
	rs_strbuf_putc(&text, '\n');
	rs_err_clear(&f->err);
	if (write_line(f, text.s, text.len, &f->err) < 0)
		f->unwritten++;
}

uint64_t rs_dropfile_unwritten(const struct rs_dropfile *f)
{
	return f ? f->unwritten : 0;
}

const struct rs_err *rs_dropfile_error(const struct rs_dropfile *f)
{
	return &f->err;
}
