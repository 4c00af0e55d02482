/* SPDX-License-Identifier: Apache-2.0 */
/*
 * join.h - what an ADD waits for before it is let in: that its pod and the policies of its
 * namespace are known as they stood when it began.
 *
 * With a source that can read afresh (an API server) that is a fresh read, again and again until
 * the pod is there and is the one that the runtime means: by UID, or, for a static pod, by the
 * annotation kubernetes.io/config.hash of its mirror, which is the UID that the runtime knows. A
 * runtime that tells no UID means the pod of that name. Only for
 * sources that have fresh().
 *
 * Who waits too long is told why by join->why; the caller keeps the deadline.
 */
#ifndef RIPSTOP_AGENT_JOIN_H
#define RIPSTOP_AGENT_JOIN_H

#include <ripstop/endpoint.h>
#include <ripstop/source.h>

#include "base/base.h"

enum rs_join_state {
	RS_JOIN_NEW,
	RS_JOIN_READING, /* the source knows when it goes on */
	RS_JOIN_RESTING, /* until again_ms */
	RS_JOIN_DONE,
};

struct rs_join {
	enum rs_join_state state;
	struct rs_endpoint *rec; /* owned; whose pod it is */
	int64_t number;		 /* of the fresh read */
	int64_t again_ms, rest_ms;
	struct rs_err why; /* how the last read ended; num 0: none has ended yet */
};

/* Whether the object is the pod of that record. */
bool rs_join_same_pod(const struct rs_endpoint *rec, const struct rs_pod *pod);

/* Go on; rec must be set. True once there is nothing more to wait for. */
bool rs_join_step(struct rs_join *j, struct rs_source *src, int64_t now_ms);

/* When step() wants to be called even if the source is silent; INT64_MAX: never. */
int64_t rs_join_due(const struct rs_join *j);

/* One sentence on what it waits for. */
int rs_join_explain(const struct rs_join *j, struct rs_err *err);

void rs_join_clear(struct rs_join *j, struct rs_source *src);

#endif
