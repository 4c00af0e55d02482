/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eventtext.h - the words and the form of a Kubernetes Event (events.k8s.io/v1): pure functions.
 *
 * What a note says of others' names is escaped, and everything has the length that the API server
 * takes (pkg/apis/core/validation/events.go).
 */
#ifndef RIPSTOP_AGENT_EVENTTEXT_H
#define RIPSTOP_AGENT_EVENTTEXT_H

#include <ripstop/object.h>

#include "base/base.h"

#define RS_EVENT_NOTE_MAX 1024
#define RS_EVENT_INSTANCE_MAX 128

/* The object that an Event is about. */
struct rs_event_about {
	const char *api_version, *kind;
	const char *ns;	  /* NULL: it is in none */
	const char *name; /* as Kubernetes names objects, else there is no Event */
	const char *uid;  /* NULL: not known */
};

struct rs_event_words {
	struct rs_event_about about;
	const char *node; /* the one who tells */
	const char *reason, *action, *note;
	const char
		*tail; /* what the Event's name ends in: distinct for each that is to be another */
	int64_t first_ns, last_ns; /* wall clock */
	uint64_t count;
};

/* Where it is posted and what; the caller frees both. False where the object's name and
 * namespace, or the tail, are none that Kubernetes takes. */
bool rs_event_compose(const struct rs_event_words *w, char **path, char **body);

/* What a policy refused of the traffic of a pod of this node. */
struct rs_event_drop {
	const char *ns, *pod, *uid;
	enum rs_direction dir; /* which end of the flow the pod is */
	const char *policies;  /* that isolate it: "a/b, c/d"; "": its labels are not known */
	const char *peer;      /* "namespace/name" of the other end, NULL: no pod */
	struct rs_addr addr;   /* of the other end */
	uint8_t proto;
	bool has_port;
	uint16_t port; /* of the flow's server */
	bool more;     /* packets were dropped of which there is no record */
	int64_t time_ns;
};

/* One sentence, about so many packets of which d was the last. The caller frees it. */
char *rs_event_drop_note(const struct rs_event_drop *d, uint64_t packets);

#endif
