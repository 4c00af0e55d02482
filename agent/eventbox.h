/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eventbox.h - what becomes a Kubernetes Event, when, and how many of them there are.
 *
 * What flows in: drops by policy, and the conditions as they stand. What flows out: Events ready to
 * be posted, one at a time, the oldest first. Pure data with bounds: no socket, no clock.
 *
 * Each drop, each condition of the node that begins and each policy with a fault has an Event of
 * its own, which is sent or fails, or is suppressed; so these three numbers add up. A drop that is
 * suppressed still counts in the note of the next Event of its kind. What lasts is tried again
 * after a failure, and counts again.
 */
#ifndef RIPSTOP_AGENT_EVENTBOX_H
#define RIPSTOP_AGENT_EVENTBOX_H

#include <ripstop/dataplane.h>

#include "agent/eventtext.h"
#include "policy/policy.h"

/* One of a kind (pod, direction, policies; or condition) in this time. */
#define RS_EVENT_QUIET_MS (5 * 60 * 1000)
/* A first packet waits so long for others to be counted with. */
#define RS_EVENT_GATHER_MS 1000
/* Of this node, in any minute; and of these, about drops. */
#define RS_EVENTS_A_MINUTE 20
#define RS_EVENT_DROPS_A_MINUTE 15
/* That wait to be sent: the oldest makes room. */
#define RS_EVENT_QUEUE 64
/* Kinds of drops that are remembered: the one that was quiet the longest makes room. */
#define RS_EVENT_ROWS 512
/* Conditions and faulty policies that are remembered, and of these, policies that are looked at: of
 * more at once the rest is not told. */
#define RS_EVENT_LASTING 128
#define RS_EVENT_FAULTS 96

enum rs_event_result {
	RS_EVENT_SENT,
	RS_EVENT_SUPPRESSED,
	RS_EVENT_FAILED,
	RS_EVENT_RESULTS,
};

/* An Event that waits, or is on its way. */
struct rs_event {
	struct rs_event *next;
	char *path, *body;
	char *lasting; /* what it is about lasts, and is told again if this fails; NULL: a drop */
	uint64_t turn; /* of a drop: which of them it is */
};

struct rs_eventbox;

struct rs_eventbox *rs_eventbox_new(const char *node);
void rs_eventbox_free(struct rs_eventbox *b); /* NULL is legal */

/* Whether a drop is one to tell: a policy's; not a pod's own noise, nor what is said about a flow
 * by somebody else, nor forged. */
bool rs_event_of_drop(const struct rs_dp_drop *d);

void rs_eventbox_drop(struct rs_eventbox *b, const struct rs_event_drop *d, int64_t mono_ms);

/* The conditions of now; node: whose they are. */
void rs_eventbox_lasting(struct rs_eventbox *b, const struct rs_conditions *c,
			 const struct rs_event_about *node, int64_t mono_ms, int64_t wall_ns);

/* Now and then: drops that have been gathered become Events. */
void rs_eventbox_turn(struct rs_eventbox *b, int64_t mono_ms, int64_t wall_ns);

/* The oldest that waits, the caller's until rs_eventbox_end(); NULL: none does. */
struct rs_event *rs_eventbox_take(struct rs_eventbox *b);
/* What became of it; frees it. */
void rs_eventbox_end(struct rs_eventbox *b, struct rs_event *e, enum rs_event_result r);

uint64_t rs_eventbox_count(const struct rs_eventbox *b, enum rs_event_result r);
size_t rs_eventbox_waiting(const struct rs_eventbox *b);

#endif
