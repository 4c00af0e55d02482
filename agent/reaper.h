/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reaper.h - deletes the links of pods whose DEL has come; those that come together in one request.
 *
 * Who deletes a link waits in the kernel until its memory is free, some 20 ms, whether it is one
 * link or a hundred; gone it is in less than one, and the kernel tells so whoever listens. So it is
 * done on threads, and the answer comes with the news. No packet of the link is on its way in the
 * kernel by then (unregister_netdevice_many() has waited for them), so its pod's rules may go.
 *
 * What is wished while links are going is the next round. Of several links each is moved into the
 * condemned group (the neighbour of the pods' own, which the guard matches too), and if it held
 * nothing else it is deleted as one. Those who wished in one round are told together, when the last
 * of its links has gone: what they do next is one commit. An agent that dies in between leaves
 * links that any DEL still finds.
 *
 * All functions are the loop's; threads are started when they are needed.
 */
#ifndef RIPSTOP_AGENT_REAPER_H
#define RIPSTOP_AGENT_REAPER_H

#include <stdbool.h>
#include <stdint.h>

#include <ripstop/endpoint.h>
#include <ripstop/error.h>

struct rs_reaper;

/* gone: the link is not there any more; else it is for somebody else to delete. */
typedef void rs_reaped_fn(void *arg, bool gone);

/* link_group: of the pods' links. */
int rs_reaper_new(uint32_t link_group, struct rs_reaper **out, struct rs_err *err);
/* Whoever waits is answered: not gone. */
void rs_reaper_free(struct rs_reaper *r);

/* The link that the record names, by index, name and hardware address, if it is a veth of the pods'
 * group; another is left alone. fn is called once, never before this returns. */
void rs_reaper_wish(struct rs_reaper *r, const struct rs_endpoint *rec, int64_t now_ms,
		    rs_reaped_fn *fn, void *arg);

/* Readable when a link has gone or a round is over: then rs_reaper_round(). */
int rs_reaper_fd(const struct rs_reaper *r);
void rs_reaper_round(struct rs_reaper *r);

/* Those who have waited for long (the kernel holds the thread) are answered: not gone. */
void rs_reaper_sweep(struct rs_reaper *r, int64_t now_ms);

#endif
