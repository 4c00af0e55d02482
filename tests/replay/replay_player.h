/* SPDX-License-Identifier: Apache-2.0 */
/* replay_player.h - a story while it is played, for the files that hold its commands. */
#ifndef RIPSTOP_REPLAY_PLAYER_H
#define RIPSTOP_REPLAY_PLAYER_H

#include <stdio.h>

#include "tests/replay/replay_stage.h"

#define MAX_WORDS 12

struct player {
	struct stage s;
	const char *file;
	int line;
	char *words[MAX_WORDS + 1];
	size_t n;
	int played; /* lines that did or expected something */
	FILE *story;
	char *why; /* of the failure */
};

/* Returns -1. */
int play_fail(struct player *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "key=value" among the words; NULL, or def, without one. */
const char *play_option(const struct player *p, const char *key);
long play_number(const struct player *p, const char *key, long def);
/* The lines up to one that is `end`. */
void play_text(struct player *p, struct rs_strbuf *text);

/* replay_events.c: what an API server tells, event by event. */
int play_labels_from_api(struct player *p);
int play_put(struct player *p);
int play_delete(struct player *p);
int play_list(struct player *p);
int play_synced(struct player *p);
int play_put_pods(struct player *p);
int play_as_from_scratch(struct player *p);
int play_addresses(struct player *p);

/* replay_fresh.c: a server that can be asked. */
int play_fresh_reads(struct player *p);
int play_server_put(struct player *p);
int play_server_delete(struct player *p);
int play_answer_reads(struct player *p);
int play_fail_reads(struct player *p);
int play_refuse_reads(struct player *p);
int play_reads(struct player *p);
int play_reads_waiting(struct player *p);

/* replay_random.c */
int play_random(struct player *p);

#endif
