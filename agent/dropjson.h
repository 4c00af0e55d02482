/* SPDX-License-Identifier: Apache-2.0 */
/* dropjson.h - the form of a record: docs/schema/flow-record.json. */
#ifndef RIPSTOP_AGENT_DROPJSON_H
#define RIPSTOP_AGENT_DROPJSON_H

#include "agent/droprecord.h"

/* What was found out about a packet; all but the ends may be NULL. */
struct rs_drop_story {
	struct json_object *source, *destination, *denied_by, *nearest;
	char *note;
};

static inline bool rs_drop_by_policy(const struct rs_dp_drop *d)
{
	return d->reason == RS_DROP_POLICY_INGRESS || d->reason == RS_DROP_POLICY_EGRESS;
}

/* The end of the flow that refused it. */
static inline enum rs_direction rs_drop_direction(const struct rs_dp_drop *d)
{
	return d->from_pod ? RS_EGRESS : RS_INGRESS;
}

/* The story is borrowed, its objects are shared; the caller puts the result. */
struct json_object *rs_drop_json(const struct rs_agent *a, const struct rs_dp_drop *d,
				 const struct rs_drop_mark *mark,
				 const struct rs_drop_story *story);

#endif
