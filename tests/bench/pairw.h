/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pairw.h - what is measured in a world W(P, N): two pods of this node in namespace w-0000, app=pair, tier=pair, and
 * PAIRW_POLICIES policies that select both.
 *
 * The policies have W's shape (2 ingress rules and 1 egress rule of 2 peers and 2 ports). Only the last one in the
 * order of names lets the pair talk to each other: over tcp and udp, PAIRW_PORT to PAIRW_PORT_LAST.
 */
#ifndef RIPSTOP_TESTS_BENCH_PAIRW_H
#define RIPSTOP_TESTS_BENCH_PAIRW_H

#include "tests/bench/podpair.h"
#include "tests/bench/worldw.h"

#define PAIRW_POLICIES 12u
#define PAIRW_PORT 5000u
#define PAIRW_PORT_LAST 5100u
#define PAIRW_CLOSED 6000u /* a port that no policy of the pair names */
#define PAIRW_NS "w-0000"
#define PAIRW_LABELS "app:pair,tier:pair"

/* The pair's addresses: behind those of the world's local pods. */
struct rs_addr pairw_addr(int nth);

void pairw_put_policies(struct worldw *w);
/* The two pods, as objects and as pods of this node on these links. */
void pairw_put_pods(struct worldw *w, const struct podpair *p);

#endif
