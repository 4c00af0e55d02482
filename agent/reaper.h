/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reaper.h - deletes the links of pods whose DEL has come; those that come together in one request.
 *
 * Who deletes a link waits in the kernel until no packet holds it any more, some 30 ms, whether it
 * is one link or a hundred. So it is done on a thread of its own, while the loop takes the pods'
 * rules away, and what comes meanwhile is the next round. Of several links each is moved into the
 * condemned group (the neighbour of the pods' own, which the guard matches too); the group is read
 * back, and only if it holds nothing else it is deleted as one. An agent that dies in between
 * leaves links that are down and that any DEL still finds.
 *
 * All functions are the loop's; the thread is started by the first wish.
 */
#ifndef RIPSTOP_AGENT_REAPER_H
#define RIPSTOP_AGENT_REAPER_H

#include <stdbool.h>
#include <stdint.h>

#include <ripstop/error.h>

struct rs_reaper;

/* gone: the link is not there any more; else it is for somebody else to delete. */
typedef void rs_reaped_fn(void *arg, bool gone);

/* link_group: of the pods' links. */
int rs_reaper_new(uint32_t link_group, struct rs_reaper **out, struct rs_err *err);
/* Whoever waits is answered: not gone. */
void rs_reaper_free(struct rs_reaper *r);

/* fn is called once, never before this returns. */
void rs_reaper_wish(struct rs_reaper *r, uint32_t ifindex, const char *name, int64_t now_ms,
		    rs_reaped_fn *fn, void *arg);

/* Readable when a round is over: then rs_reaper_round(). */
int rs_reaper_fd(const struct rs_reaper *r);
void rs_reaper_round(struct rs_reaper *r);

/* Those who have waited for long (the kernel holds the thread) are answered: not gone. */
void rs_reaper_sweep(struct rs_reaper *r, int64_t now_ms);

#endif
