/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpftcx.h - programs at devices as links (tcx, kernel 6.6): they need no qdisc, so a device that
 * is up loses no packet when one comes. Coming and going each waits for an RCU grace period, which
 * is 10 to 30 ms with all links of the node locked (tcx_entry_sync()).
 *
 * A link belongs to a set: its pin lies with the set's others, link_tc_<ifindex>_<in or out>, the
 * set holds it open besides, and it stands as long as one of the two is there and the device is.
 */
#ifndef RIPSTOP_DATAPLANE_EBPF_BPFTCX_H
#define RIPSTOP_DATAPLANE_EBPF_BPFTCX_H

#include <stdbool.h>
#include <stdint.h>

#include <ripstop/dataplane.h>

#include "dataplane/ebpf/bpfload.h"

/* This kernel has them, and we may ask. */
bool rs_bpf_tcx_has(void);

/* Before all others at that end of the device; pinned. What stands there for this set already
 * stays if it is whole. -errno: -ENODEV, -ERANGE when there is no room: 63 stand there. */
int rs_bpf_tcx_put(const struct rs_dp_config *cfg, struct rs_bpf_set *s, uint32_t ifindex, bool in,
		   int prog);

/* This set has a link there, though somebody may have detached it. */
bool rs_bpf_tcx_holds(const struct rs_bpf_set *s, uint32_t ifindex, bool in);

/* prog stands there by a link of this set, and the link has its pin. */
bool rs_bpf_tcx_stands(const struct rs_dp_config *cfg, const struct rs_bpf_set *s, uint32_t ifindex,
		       bool in, int prog);

/* Hold those that are pinned for a set that is adopted. */
void rs_bpf_tcx_adopt(const struct rs_dp_config *cfg, struct rs_bpf_set *s);

/* Let go of those, pin and all, whose device is gone. Of those that are `used` nobody asks. */
void rs_bpf_tcx_prune(const struct rs_dp_config *cfg, struct rs_bpf_set *s,
		      bool (*used)(uint32_t ifindex, void *arg), void *arg);

/* Close them: those without pins end. */
void rs_bpf_tcx_release(struct rs_bpf_set *s);

#endif
