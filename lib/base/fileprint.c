// SPDX-License-Identifier: Apache-2.0
/* fileprint.c - states of files by what stat(2) says; see fileprint.h. */
#include "base/fileprint.h"

#include <time.h>

struct rs_file_print rs_file_print_of(const struct stat *st)
{
	return (struct rs_file_print){ st->st_dev, st->st_ino, st->st_size, st->st_mtim,
				       st->st_ctim };
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool rs_file_print_same(const struct rs_file_print *a, const struct rs_file_print *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       same_time(&a->mtime, &b->mtime) && same_time(&a->ctime, &b->ctime);
}

bool rs_file_print_rests(const struct rs_file_print *p)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec - p->ctime.tv_sec >= 2;
}
