// SPDX-License-Identifier: Apache-2.0
/* tarball.c - a POSIX ustar archive through zlib, in memory. */
#include "cli/bundle/bundle.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <zlib.h>

#define BLOCK 512
#define CHUNK 65536
#define GZIP 16 /* added to the window bits: a gzip header instead of zlib's */

/* IEEE 1003.1, "ustar Interchange Format": numbers are octal text. */
struct ustar {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type;
	char linkname[100], magic[6], version[2], uname[32], gname[32], devmajor[8], devminor[8];
	char prefix[155], pad[12];
};

_Static_assert(sizeof(struct ustar) == BLOCK, "a header is one block");

struct tarball {
	z_stream z;
	int64_t now_s;
	int rc; /* of the first failure */
	struct rs_strbuf out;
};

static void feed(struct tarball *t, const void *data, size_t len, int flush)
{
	unsigned char buf[CHUNK];
	int rc = Z_OK;

	t->z.next_in = (void *)(uintptr_t)data;
	t->z.avail_in = (unsigned int)len;
	if (len > UINT32_MAX)
		t->rc = -EFBIG;
	while (!t->rc && (t->z.avail_in || (flush == Z_FINISH && rc != Z_STREAM_END))) {
		t->z.next_out = buf;
		t->z.avail_out = sizeof(buf);
		rc = deflate(&t->z, flush);
		if (rc == Z_STREAM_ERROR)
			t->rc = -EIO;
		else
			rs_strbuf_add(&t->out, buf, sizeof(buf) - t->z.avail_out);
	}
}

struct tarball *tarball_new(int64_t now_s)
{
	struct tarball *t = rs_new(struct tarball);

	t->now_s = now_s;
	if (deflateInit2(&t->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + GZIP, 8,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		rs_oom();
	return t;
}

void tarball_free(struct tarball *t)
{
	if (!t)
		return;
	deflateEnd(&t->z);
	rs_strbuf_free(&t->out);
	free(t);
}

static void octal(char *field, size_t size, unsigned long long n)
{
	snprintf(field, size, "%0*llo", (int)size - 1, n);
}

static void sum_up(struct ustar *h)
{
	const unsigned char *p = (const void *)h;
	unsigned int sum = 0;

	memset(h->checksum, ' ', sizeof(h->checksum));
	for (size_t i = 0; i < sizeof(*h); i++)
		sum += p[i];
	/* Six digits, NUL, space. */
	snprintf(h->checksum, sizeof(h->checksum) - 1, "%06o", sum);
}

void tarball_add(struct tarball *t, const char *name, const void *data, size_t len)
{
	static const char zeros[BLOCK];
	struct ustar h = { .type = '0', .magic = "ustar", .version = { '0', '0' } };

	snprintf(h.name, sizeof(h.name), "%s", name);
	octal(h.mode, sizeof(h.mode), 0600);
	octal(h.uid, sizeof(h.uid), 0);
	octal(h.gid, sizeof(h.gid), 0);
	octal(h.size, sizeof(h.size), len);
	octal(h.mtime, sizeof(h.mtime), (unsigned long long)t->now_s);
	snprintf(h.uname, sizeof(h.uname), "root");
	snprintf(h.gname, sizeof(h.gname), "root");
	sum_up(&h);
	feed(t, &h, sizeof(h), Z_NO_FLUSH);
	feed(t, data, len, Z_NO_FLUSH);
	feed(t, zeros, (BLOCK - len % BLOCK) % BLOCK, Z_NO_FLUSH);
}

int tarball_end(struct tarball *t, struct rs_strbuf *out, struct rs_err *err)
{
	static const char end[2 * BLOCK];
	int rc;

	feed(t, end, sizeof(end), Z_FINISH);
	rc = t->rc;
	if (rc == 0) {
		*out = t->out;
		memset(&t->out, 0, sizeof(t->out));
	}
	tarball_free(t);
	return rc < 0 ? rs_err_set(err, -rc, "pack the archive") : 0;
}
