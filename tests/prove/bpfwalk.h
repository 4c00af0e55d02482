/* SPDX-License-Identifier: Apache-2.0 */
/* bpfwalk.h - packets of a walk, judged by the eBPF programs that are in the kernel, with the maps
 * as they were committed. */
#ifndef RIPSTOP_TESTS_PROVE_BPFWALK_H
#define RIPSTOP_TESTS_PROVE_BPFWALK_H

#include <ripstop/dataplane.h>
#include <ripstop/ruleset.h>

/* A bpffs that only this process sees. */
int pv_bpf_mount(struct rs_err *err);

/* Commit to the dataplane of a node, which is opened first if need be. The calling thread is in its
 * network namespace. */
int pv_bpf_commit(struct rs_dp **dp, size_t node, const struct rs_ir *ir, struct rs_err *err);

int pv_bpf_walk(struct rs_dp *dp, enum rs_hook hook, const struct rs_packet *p, struct rs_walk *out,
		struct rs_err *err);

#endif
