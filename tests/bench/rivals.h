/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rivals.h - the same objects as rules of two other kinds, as text for nft(8): what `packets` is compared with.
 *
 * Chains: as iptables with ipsets has it (Calico, kube-router): a chain for each policy that selects a pod of this
 * node, a set of addresses for each of its rules, a chain for each such pod that jumps to its policies' chains in the
 * order of names and drops at its end. Per peer: a pod's chain has a rule for every address that may talk to it.
 *
 * Both begin with `ct state established,related accept`, as those do; and a map finds the pod's chain, where iptables
 * would walk a list of all pods.
 */
#ifndef RIPSTOP_TESTS_BENCH_RIVALS_H
#define RIPSTOP_TESTS_BENCH_RIVALS_H

#include "base/base.h"
#include "tests/bench/worldw.h"

enum rival {
	RIVAL_CHAINS,
	RIVAL_PER_PEER,
};

/* How many rules of policies, and addresses in them, the text came to. */
struct rival_size {
	size_t rules;
	size_t addresses;
};

void rivals_text(enum rival kind, const struct worldw *w, struct rs_strbuf *out,
		 struct rival_size *size);

#endif
