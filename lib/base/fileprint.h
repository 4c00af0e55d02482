/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fileprint.h - what tells one state of a file from another without reading it. The time of the
 * last change (ctime) is among it, which nobody can set: a file that was written in place and given
 * its old size and date is another.
 */
#ifndef RIPSTOP_BASE_FILEPRINT_H
#define RIPSTOP_BASE_FILEPRINT_H

#include <stdbool.h>
#include <sys/stat.h>

struct rs_file_print {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
};

struct rs_file_print rs_file_print_of(const struct stat *st);
bool rs_file_print_same(const struct rs_file_print *a, const struct rs_file_print *b);

/* Its last change lies so far back that the next one would get another time: clocks of file systems
 * stand still for some milliseconds. */
bool rs_file_print_rests(const struct rs_file_print *p);

#endif
