// SPDX-License-Identifier: Apache-2.0
/* aside.c - room for who was woken; see aside.h. */
#include "base/aside.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/file.h"

#define STAT_BYTES 4096
/* proc_pid_stat(5): "processor" is the 39th field; the 2nd ends with the last parenthesis. */
#define FIELDS_BETWEEN 37

/* -1: unknown. */
static int processor_of(pid_t pid)
{
	rs_autofree char *text = NULL;
	char path[32], *p, *end;
	size_t len;
	long cpu;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (pid <= 0 || rs_file_read(path, STAT_BYTES, &text, &len, NULL) < 0)
		return -1;
	p = strrchr(text, ')');
	for (int i = 0; p && i < FIELDS_BETWEEN; i++)
		p = strchr(p + 1, ' ');
	if (!p)
		return -1;
	cpu = strtol(p + 1, &end, 10);
	return end != p + 1 && cpu >= 0 && cpu < CPU_SETSIZE ? (int)cpu : -1;
}

void rs_step_aside(pid_t pid)
{
	int here = sched_getcpu();
	cpu_set_t may, others;

	if (here < 0 || processor_of(pid) != here || sched_getaffinity(0, sizeof(may), &may) < 0)
		return;
	others = may;
	CPU_CLR(here, &others);
	if (CPU_COUNT(&others) && sched_setaffinity(0, sizeof(others), &others) == 0)
		sched_setaffinity(0, sizeof(may), &may);
}
