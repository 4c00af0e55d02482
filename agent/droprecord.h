/* SPDX-License-Identifier: Apache-2.0 */
/*
 * droprecord.h - makes a record of a dropped packet: who it was between, whose policies refused it
 * and which rule came closest, all of it as of now: addresses are soon somebody else's.
 *
 * The field names are those of Hubble's flows where it has one; see docs/monitor.md and
 * docs/schema/flow-record.json.
 */
#ifndef RIPSTOP_AGENT_DROPRECORD_H
#define RIPSTOP_AGENT_DROPRECORD_H

#include "agent/agent.h"
#include "agent/droplog.h"

struct rs_droprecord;

/* Remembers who the last flows were between, and explains a bounded number of them a second. */
struct rs_droprecord *rs_droprecord_new(struct rs_agent *a);
void rs_droprecord_free(struct rs_droprecord *r);

struct rs_drop_mark {
	uint64_t id;
	int64_t time_ns;
	uint64_t suppressed; /* known to be since the record before */
};

struct rs_drop_made {
	struct rs_drop_entry entry; /* the caller's, as all here */
	char *pod;		    /* of this node, that refused; NULL: none */
	char *policies;		    /* "a/b, c/d", never NULL */
	struct rs_dp_drop drop;	    /* with its direction, as far as that could be told */
	bool more;		    /* others before it have no record */
};

void rs_droprecord_make(struct rs_droprecord *r, const struct rs_dp_drop *drop,
			const struct rs_drop_mark *mark, struct rs_drop_made *out);

#endif
