// SPDX-License-Identifier: Apache-2.0
/* glance.c - notes about record files, by their names and prints; see glance.h. */
#include "agent/glance.h"

#include <fcntl.h>
#include <string.h>

#include "base/base.h"
#include "object/keyed_hash.h"

struct rs_glance_file {
	UT_hash_handle hh;
	struct rs_file_print print;
	struct rs_glance_note note;
	bool seen; /* since the last sweep */
	char name[];
};

static void forget(struct rs_glance *g, struct rs_glance_file *f)
{
	HASH_DEL(g->files, f);
	free(f->note.container_id);
	free(f->note.ifname);
	free(f->note.damage);
	free(f);
}

const struct rs_glance_note *rs_glance_look(struct rs_glance *g, int folder, const char *name)
{
	struct rs_glance_file *f;
	struct stat st;

	HASH_FIND_STR(g->files, name, f);
	g->rests = false;
	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		g->now = rs_file_print_of(&st);
		g->rests = rs_file_print_rests(&g->now);
		if (f && rs_file_print_same(&f->print, &g->now)) {
			f->seen = true;
			g->skipped++;
			return &f->note;
		}
	}
	if (f)
		forget(g, f);
	return NULL;
}

void rs_glance_keep(struct rs_glance *g, const char *name, const struct rs_glance_note *note)
{
	struct rs_glance_file *f;

	HASH_FIND_STR(g->files, name, f);
	if (f)
		forget(g, f);
	if (!g->rests)
		return;
	f = rs_calloc(1, sizeof(*f) + strlen(name) + 1);
	memcpy(f->name, name, strlen(name) + 1);
	f->print = g->now;
	f->seen = true;
	f->note = (struct rs_glance_note){ rs_strdup(note->container_id), rs_strdup(note->ifname),
					   rs_strdup(note->damage) };
	HASH_ADD_STR(g->files, name, f);
}

void rs_glance_sweep(struct rs_glance *g)
{
	struct rs_glance_file *f, *next;

	HASH_ITER(hh, g->files, f, next) {
		if (!f->seen)
			forget(g, f);
		else
			f->seen = false;
	}
}

void rs_glance_free(struct rs_glance *g)
{
	struct rs_glance_file *f, *next;

	HASH_ITER(hh, g->files, f, next)
		forget(g, f);
}
