/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lease.h - inside lib/ipam: the lease files as a table in memory, and the few changes of one file.
 *
 *	ADDR		 held by the key in it
 *	ADDR.resting	 released; the file's mtime says when
 *
 * A release is two steps that need no space on the disk: set mtime, rename. Where both names exist
 * (a crash between taking a rested address and dropping its old file) the held one counts.
 */
#ifndef RIPSTOP_IPAM_LEASE_H
#define RIPSTOP_IPAM_LEASE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/statedir.h"
#include "base/vec.h"
#include "ipam/ipam.h"

#define RS_LEASE_DIR "leases"
#define RS_LEASE_MAX_BYTES 4096u

/* One lease file. since of a resting one is its mtime. */
struct lease_file {
	struct rs_lease lease;
	struct timespec since;
	bool stale;   /* of another boot: void */
	bool damaged; /* held by nobody knows whom: its address is given to no one */
};

struct lease_table {
	struct rs_vec(struct lease_file) files; /* sorted by address, held before resting */
	struct rs_err damage;			/* the first damaged file, if there is any */
};

/* Read the whole folder. A damaged file is noted in damage; the address that its name tells of is a
 * row without a key. A resting file whose text is damaged rests all the same. */
int lease_table_load(const struct rs_statedir *d, const char *boot_id, struct lease_table *t,
		     struct rs_err *err);
/*
 * The same by what can be told without reading JSON: names, times, and whether a held file's text
 * has this boot's id and the container's in it. Only rows of that container have their strings, and
 * resting files of another boot are not known as such. Only under the lock: temporary files of dead
 * writers go on the way.
 */
int lease_table_glance(const struct rs_statedir *d, const char *boot_id, const char *container_id,
		       struct lease_table *t, struct rs_err *err);
void lease_table_free(struct lease_table *t);
#define auto_lease_table __attribute__((cleanup(lease_table_free))) struct lease_table

/* Take one file into a table; what load and glance share. */
int lease_table_take(const struct rs_statedir *d, const char *boot_id, const char *name,
		     struct lease_table *t, struct rs_err *err);
/* Sort what was taken; of two files of one address the held one stays. */
void lease_table_settle(struct lease_table *t);

/* Read one file by name; -EBADMSG (code 103) when it is damaged. */
int lease_read(const struct rs_statedir *d, const char *name, struct lease_file *out,
	       struct rs_err *err);

/* File name of an address in a state. */
#define LEASE_NAME_LEN (RS_ADDR_STRLEN + 8)
const char *lease_name(const struct rs_addr *a, enum rs_lease_state state,
		       char buf[LEASE_NAME_LEN]);

/* The address and state that a name tells of; false when it tells of none. *canonical: it is the
 * one form of a name that we write. */
bool lease_name_parse(const char *name, struct rs_addr *a, enum rs_lease_state *state,
		      bool *canonical);
/* Since when a resting file rests; -EBADMSG when it is no regular file, -ENOENT when it is gone. */
int lease_resting_since(const struct rs_statedir *d, const char *name, struct timespec *since);

/* Changes; only under the lock. */
int lease_hold(const struct rs_statedir *d, const struct rs_lease *l, struct rs_err *err);
int lease_rest(const struct rs_statedir *d, const struct rs_addr *a, struct timespec now,
	       struct rs_err *err);
/* Start a resting file's time anew: its stamp lies in the future. */
int lease_restamp(const struct rs_statedir *d, const struct rs_addr *a, struct timespec now,
		  struct rs_err *err);

#endif
