/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glance.h - record files that have not changed since they were read need not be read again.
 *
 * Remembered are files with which nothing is to be done: the record of an entry, and what cannot be
 * read as a record. Whatever changes a file, also behind our back, changes its print
 * (base/fileprint.h), and it is read at the next look.
 */
#ifndef RIPSTOP_AGENT_GLANCE_H
#define RIPSTOP_AGENT_GLANCE_H

#include <stdint.h>

#include "base/fileprint.h"

struct rs_glance_file;

struct rs_glance { /* zero initialisation remembers nothing */
	struct rs_glance_file *files;
	struct rs_file_print now; /* of the file that was looked at last */
	bool rests;		  /* it may be remembered */
	uint64_t skipped;	  /* files that need not be read, so far */
};

/* What is remembered of a file. */
struct rs_glance_note {
	char *container_id, *ifname; /* of its record; NULL: it is none */
	char *damage;		     /* a line about it */
};

/* Look at a file of that folder. Its note if it is as it was when that was made, else NULL. */
const struct rs_glance_note *rs_glance_look(struct rs_glance *g, int folder, const char *name);
/* Of the file that was looked at last and then read. The strings are copied. */
void rs_glance_keep(struct rs_glance *g, const char *name, const struct rs_glance_note *note);
/* All files were looked at: forget those that are gone. */
void rs_glance_sweep(struct rs_glance *g);
void rs_glance_free(struct rs_glance *g);

#endif
