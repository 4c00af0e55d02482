/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world.h - how the policy engine looks at pods: one view for this node's pods and for all others.
 *
 * Here is decided who is a peer at all: the one place that knows about hostNetwork, finished pods,
 * addresses outside their node's ranges, and local records that override the store.
 */
#ifndef RIPSTOP_POLICY_WORLD_H
#define RIPSTOP_POLICY_WORLD_H

#include "base/vec.h"
#include "policy/policy.h"

/* A pod as a peer. Borrowed from the world. */
struct rs_view {
	const char *ns;
	const char *name;
	const struct rs_labels *labels;	   /* NULL: no selector matches and no port is declared */
	const struct rs_labels *ns_labels; /* NULL: the namespace is unknown */
	const struct rs_container_port *ports;
	size_t n_ports;
	const struct rs_local_pod *local; /* NULL: another node's pod */
};

const struct rs_local_pod *rs_world_local(const struct rs_world *w, const char *ns,
					  const char *name);
const struct rs_labels *rs_world_ns_labels(const struct rs_world *w, const char *ns);

/* A local pod always holds its addresses; when it has finished or is closed, nothing selects it. */
void rs_view_local(const struct rs_world *w, const struct rs_local_pod *p, struct rs_view *out);

/* Whether a pod of the store (one that is not local) holds addresses as a peer at all. */
bool rs_pod_is_peer(const struct rs_pod *p);
/* A podIP counts only inside its node's podCIDRs, else inside the cluster's pod ranges, where
 * known. */
bool rs_pod_ip_counts(const struct rs_world *w, const struct rs_pod *p, const struct rs_addr *ip);

struct rs_views rs_vec(struct rs_view);

/*
 * All that live at an address: the local pod alone if there is one, else every pod of the store
 * that claims it. None: nobody known. Slow (walks the store): for explaining one flow.
 */
void rs_world_claims(const struct rs_world *w, const struct rs_addr *a, struct rs_views *out);

/* Whether the policy has pods with these labels, in its own namespace, as subjects. */
bool rs_policy_selects(const struct rs_policy *p, const struct rs_labels *labels);
bool rs_policy_subject_bad(const struct rs_policy *p);

/* The policies of one namespace in the store's sorted array: [*first, *first + n). */
size_t rs_policies_in(const struct rs_policy *const *all, size_t n_all, const char *ns,
		      size_t *first);

#endif
