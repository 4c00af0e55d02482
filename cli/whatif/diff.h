/* SPDX-License-Identifier: Apache-2.0 */
/* diff.h - the model of `ripstop diff`: diffrows.c makes it, difftext.c and diffjson.c show it. */
#ifndef RIPSTOP_CLI_WHATIF_DIFF_H
#define RIPSTOP_CLI_WHATIF_DIFF_H

#include "cli/whatif/whatif.h"

struct diff_row {
	struct pair pair;
	struct blame blame;
	uint64_t seen; /* records of a flow that is open now and would not be; GAINED: that was
			* dropped and would not be */
};

struct diff_section {
	uint64_t total;
	uint64_t in_use;		     /* pairs of which records were seen */
	struct rs_vec(struct diff_row) rows; /* the first of them, those in use before the others */
};

struct diff {
	struct whatif *w;
	const char *before, *after; /* for people: where each is from */
	enum cli_by by;
	const char *only; /* -n; NULL: every namespace */
	struct diff_section sections[CHANGES]; /* of LOST, GAINED and CHANGED */
	uint64_t unchanged;
	struct rs_u32s appeared, vanished; /* subjects */
	bool traffic;			   /* records were read */
	struct record_counts records;
	size_t strangers; /* records of which an end is in neither world */
};

/* Up to `limit` rows a section. traffic: a file of records, or NULL. Free with diff_free() also
 * when it fails. */
int diff_make(struct whatif *w, const char *traffic, size_t limit, struct diff *out,
	      struct rs_err *err);
void diff_free(struct diff *d);
bool diff_differs(const struct diff *d);

/* "lost", "gained", "changed". */
extern const char *const change_words[CHANGES];

struct json_object *diff_json(const struct diff *d, const char *source);
void diff_text(struct cli_run *r, const struct diff *d);

#endif
