/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bundle.h - inside cli/bundle/: the parts of a support archive.
 *
 * collect.c asks and reads, redact.c takes names and addresses out, tarball.c packs, bundle.c is
 * the verb. Everything is in memory until the end, so that what is left out can be told in front,
 * and an archive is whole or is not.
 */
#ifndef RIPSTOP_CLI_BUNDLE_H
#define RIPSTOP_CLI_BUNDLE_H

#include "cli/cli.h"

/* A file of the archive; o is NULL when it could not be had. */
struct bundle_part {
	char *name; /* "status.json" */
	const char *what;
	struct json_object *o;
	char *why;   /* o NULL: why not */
	bool failed; /* and it should have been there */
};

struct bundle {
	struct cli_run *r;
	char *node; /* never NULL */
	struct rs_vec(struct bundle_part) parts;
};

/* Everything that can be had. */
void bundle_collect(struct bundle *b);
void bundle_clear(struct bundle *b);

/*
 * Replace names, label keys and values, file names and addresses in every part: the same word by
 * the same hash in all of them, under a key that nobody keeps. Elements of sets and the data of
 * rules' expressions go, because addresses hide in them. Then *node is redacted too.
 */
void bundle_redact(struct bundle *b);

/* ---- tarball.c: a tar archive in gzip, in memory --------------------------------------------- */

struct tarball;

struct tarball *tarball_new(int64_t now_s);
/* A file of at most 99 bytes of name, mode 0600, root's. */
void tarball_add(struct tarball *t, const char *name, const void *data, size_t len);
/* The whole archive; t is freed. -EFBIG, -ENOMEM. */
int tarball_end(struct tarball *t, struct rs_strbuf *out, struct rs_err *err);
void tarball_free(struct tarball *t);

#endif
