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
	bool stale; /* of another boot: void */
};

struct lease_table {
	struct rs_vec(struct lease_file) files; /* sorted by address, held before resting */
	struct rs_err damage;			/* the first damaged file, if there is any */
};

/* Read the whole folder. A damaged file is noted in damage and is no row of the table. */
int lease_table_load(const struct rs_statedir *d, const char *boot_id, struct lease_table *t,
		     struct rs_err *err);
void lease_table_free(struct lease_table *t);
#define auto_lease_table __attribute__((cleanup(lease_table_free))) struct lease_table

/* Read one file by name; -EBADMSG (code 103) when it is damaged. */
int lease_read(const struct rs_statedir *d, const char *name, struct lease_file *out,
	       struct rs_err *err);

/* File name of an address in a state. */
#define LEASE_NAME_LEN (RS_ADDR_STRLEN + 8)
const char *lease_name(const struct rs_addr *a, enum rs_lease_state state,
		       char buf[LEASE_NAME_LEN]);

/* Changes; only under the lock. */
int lease_hold(const struct rs_statedir *d, const struct rs_lease *l, struct rs_err *err);
int lease_rest(const struct rs_statedir *d, const struct rs_addr *a, struct timespec now,
	       struct rs_err *err);
/* Start a resting file's time anew: its stamp lies in the future. */
int lease_restamp(const struct rs_statedir *d, const struct rs_addr *a, struct timespec now,
		  struct rs_err *err);

#endif
