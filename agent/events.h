/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.h - tells the API server of drops, faulty policies and conditions: Kubernetes Events, only
 * where --events switches them on.
 *
 * One request at a time, at most one a second, on a connection of its own. Nothing waits for it:
 * what the server does not take is counted and gone. The rules for what becomes an Event are in
 * eventbox.h.
 */
#ifndef RIPSTOP_AGENT_EVENTS_H
#define RIPSTOP_AGENT_EVENTS_H

#include "agent/agent.h"
#include "agent/droprecord.h"
#include "agent/eventbox.h"

struct rs_events;

/* *out stays NULL where they are off; NULL is legal in all that follows. */
int rs_events_new(struct rs_agent *a, struct rs_events **out, struct rs_err *err);
void rs_events_free(struct rs_events *e);

int rs_events_fd(const struct rs_events *e);		   /* -1: none */
void rs_events_run(struct rs_events *e);		   /* it is readable */
void rs_events_tick(struct rs_events *e, int64_t mono_ms); /* every second */

/* A record was made. */
void rs_events_drop(struct rs_events *e, const struct rs_drop_made *made);

/* That the server refuses them. */
void rs_events_conditions(const struct rs_events *e, struct rs_conditions *c);
const char *rs_event_result_name(enum rs_event_result r);
uint64_t rs_events_count(const struct rs_events *e, enum rs_event_result r);

#endif
