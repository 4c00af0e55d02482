/* SPDX-License-Identifier: Apache-2.0 */
/* replay_stage.h - a scripted node: its source, links, leases and clock are what the story says. */
#ifndef RIPSTOP_REPLAY_STAGE_H
#define RIPSTOP_REPLAY_STAGE_H

#include "agent/reconcile.h"

#define STAGE_MAX 64

struct stage_link {
	char name[RS_IFNAME_LEN];
	uint32_t ifindex;
	uint32_t group;
};

struct stage_answer {
	char *container_id;
	int cni; /* 0 with errnum 0: success */
	int errnum;
	char *message;
	uint64_t generation;
};

struct stage {
	char *dir;
	int64_t now_ms;
	const char *boot;
	struct rs_endpoint_store *records;
	struct rs_host host;
	struct rs_registry *reg;
	struct rs_reconcile *rec;
	struct rs_dp *dp;
	struct rs_metrics metrics;
	struct stage_link links[STAGE_MAX];
	size_t n_links;
	struct stage_answer answers[STAGE_MAX];
	size_t n_answers;
	char *released[STAGE_MAX];
	size_t n_released;
	char *own_addr;
	unsigned int commits; /* calls, of which some change nothing */
	bool commit_fails;
	bool unprepared;	/* a commit, and no prepare() since */
	size_t n_answers_then;	/* when prepare() came */
	struct rs_addr refused; /* no commit with a pod of that address; family 0: none */
	bool groups_refused;	/* nor one with a group that isolates */
	bool unsynced;		/* a kind is not known (random events) */
	bool labels_from_api;	/* from the next start on */
	bool fresh_reads;	/* the same */
};

int stage_open(struct stage *s, struct rs_err *err);
void stage_close(struct stage *s);

/* The agent's life: start reads records and adopts, stop forgets all but files and kernel. */
int stage_start(struct stage *s, struct rs_err *err);
void stage_stop(struct stage *s);

/* The source: what it has read; an error instead; nothing yet. */
int stage_objects(struct stage *s, const char *text, struct rs_err *err);
void stage_forget_objects(void);
void stage_source_error(struct stage *s, const char *message);

/* As an API server tells: one event after the other, each kind for itself. */
int stage_put(struct stage *s, const char *text, struct rs_err *err);
bool stage_delete(struct stage *s, enum rs_kind kind, const char *ns, const char *name);
/* The whole list of a kind: what is not in it is deleted, and the kind is known then. */
int stage_list(struct stage *s, enum rs_kind kind, const char *text, struct rs_err *err);
void stage_synced(struct stage *s, enum rs_kind kind, bool synced);

/* replay_fresh.c: the source asks a server of its own. */
int64_t stage_fresh(struct rs_source *src, const char *ns, const char *pod, struct rs_err *err);
int stage_fresh_state(struct rs_source *src, int64_t number, struct rs_err *err);
void stage_fresh_drop(struct rs_source *src, int64_t number);
void stage_fresh_clear(void);

struct stage_link *stage_link(struct stage *s, const char *name);
rs_done_fn stage_done;
struct stage_call {
	struct stage *stage;
	char *container_id;
};

#endif
