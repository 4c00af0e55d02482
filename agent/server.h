/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.h - the control socket: frames in, one answer for each, in order; see <ripstop/ctl.h>.
 *
 * It never blocks and trusts nobody: the peer's uid is checked, frames, clients and buffers are
 * limited, idle and slow clients are dropped.
 */
#ifndef RIPSTOP_AGENT_SERVER_H
#define RIPSTOP_AGENT_SERVER_H

#include <json-c/json_types.h>

#include "agent/agent.h"

struct rs_server;
struct rs_request; /* a question that waits for its answer */

/* The answer; consumes req and the object (NULL is an empty result). Call one of them once, now or
 * later; the client may have gone meanwhile. */
void rs_request_answer(struct rs_request *req, struct json_object *result);
void rs_request_fail(struct rs_request *req, const struct rs_err *err);

struct rs_ctl_op {
	const char *name;
	void (*run)(struct rs_agent *a, struct rs_request *req, struct json_object *body);
	bool told; /* of what is in force: what was heard before it is committed first */
};

int rs_server_start(struct rs_agent *a, struct rs_err *err);
void rs_server_stop(struct rs_server *s);
void rs_server_sweep(struct rs_server *s, int64_t now_ms); /* once a second */

#endif
