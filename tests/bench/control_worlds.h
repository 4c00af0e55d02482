/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_worlds.h - what W(P, N) does not have and bench_control measures: a namespace of 5,000 pods that is relabelled,
 * and a pod whose peers have a port verdict each.
 */
#ifndef RIPSTOP_TESTS_BENCH_CONTROL_WORLDS_H
#define RIPSTOP_TESTS_BENCH_CONTROL_WORLDS_H

#include "tests/bench/worldw.h"

#define CROWD_PODS 5000u

/* The namespace w-crowd with its pods, on other nodes, and a policy about pod 0 that knows namespaces by team=a. */
void crowd_put(struct worldw *w);
/* Label the namespace. */
void crowd_label(struct worldw *w, const char *team);

/* One pod of this node whose n peers, on other nodes, may each reach another port: n profiles and one. And two guests,
 * pods WORLDW_LOCAL + n and the next, that share what they may. */
struct worldw *profiles_new(size_t n);
/* Put a guest (anew). */
void profiles_guest(struct worldw *w, size_t i);

#endif
