// SPDX-License-Identifier: Apache-2.0
/*
 * oracle.c - a second, independent reading of the NetworkPolicy API text: one flow, one verdict.
 *
 * Written sentence by sentence from the documentation of networking.k8s.io/v1 NetworkPolicy
 * (quoted below in our own words as "API:") and from what this project decided where that text is
 * silent ("Ours:"). It is slow and plain on purpose, and it calls nothing that the compiler calls:
 * labels, blocks and named ports are read here once more, so a fault would have to be made twice.
 *
 * It judges a cluster in which every pod's node enforces, so both ends count wherever they run.
 */
#include "policy/policy.h"

#include <string.h>

#include "base/base.h"

/* A pod that answers at an end of the flow. */
struct party {
	const char *ns;
	const char *name;
	const struct rs_labels *labels;
	const struct rs_container_port *ports;
	size_t n_ports;
	const void *identity; /* the record or object it came from: same pod or not */
	bool closed;	      /* nobody knows its labels */
	bool known_peer;      /* its labels and port names may be used to recognise it as a peer */
};

struct parties {
	struct party *v;
	size_t n;
};

static void parties_free(struct parties *p)
{
	free(p->v);
}

static bool same_text(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static bool same_addr(const struct rs_addr *a, const struct rs_addr *b)
{
	return a->family != RS_AF_NONE && a->family == b->family &&
	       memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

/* ---- blocks
 * ------------------------------------------------------------------------------------ */

static bool bit(const struct rs_addr *a, unsigned int i)
{
	return a->b[i / 8] & (0x80 >> (i % 8));
}

/* A block holds the addresses of its family that agree with it in the first `len` bits. */
static bool block_holds(const struct rs_cidr *c, const struct rs_addr *a)
{
	unsigned int i;

	if (a->family == RS_AF_NONE || a->family != c->addr.family)
		return false;
	for (i = 0; i < c->len; i++)
		if (bit(&c->addr, i) != bit(a, i))
			return false;
	return true;
}

/* Ours: a block inside ::ffff:0:0/96 could mean either family, so it means no address at all. */
static bool block_is_mapped(const struct rs_cidr *c)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return c->addr.family == RS_AF_IP6 && c->len >= 96 && !memcmp(c->addr.b, prefix, 12);
}

/* API: an ipBlock selects a CIDR; `except` lists CIDRs that are not to be included in this
 * block. */
static bool ipblock_matches(const struct rs_ipblock *block, const struct rs_addr *a)
{
	size_t i;

	if (block_is_mapped(&block->cidr) || !block_holds(&block->cidr, a))
		return false;
	for (i = 0; i < block->n_except; i++)
		if (block_holds(&block->except[i], a))
			return false;
	return true;
}

/* ---- labels
 * ------------------------------------------------------------------------------------ */

static const char *label_value(const struct rs_labels *labels, const char *key)
{
	size_t i;

	for (i = 0; i < labels->n; i++)
		if (strcmp(labels->v[i].key, key) == 0)
			return labels->v[i].value;
	return NULL;
}

static bool value_listed(const struct rs_requirement *r, const char *value)
{
	size_t i;

	for (i = 0; i < r->n_values; i++)
		if (strcmp(r->values[i], value) == 0)
			return true;
	return false;
}

/*
 * API (LabelSelectorRequirement): In: the label exists and its value is in the list. NotIn: the
 * label does not exist, or its value is not in the list. Exists and DoesNotExist look at the key
 * only. In and NotIn need values, the other two must have none; one that breaks this is invalid.
 */
static bool requirement_holds(const struct rs_requirement *r, const struct rs_labels *labels)
{
	const char *value = label_value(labels, r->key);

	switch (r->op) {
	case RS_OP_IN:
		return value && value_listed(r, value);
	case RS_OP_NOT_IN:
		return r->n_values && (!value || !value_listed(r, value));
	case RS_OP_EXISTS:
		return !r->n_values && value;
	case RS_OP_NOT_EXISTS:
		return !r->n_values && !value;
	}
	return false; /* an operator of a later API */
}

/* API: all requirements are ANDed; an empty selector matches all objects. Ours: an invalid one
 * none. */
static bool selector_holds(const struct rs_selector *s, const struct rs_labels *labels)
{
	size_t i;

	if (s->invalid)
		return false;
	for (i = 0; i < s->n_reqs; i++)
		if (!requirement_holds(&s->reqs[i], labels))
			return false;
	return true;
}

/* ---- peers
 * ------------------------------------------------------------------------------------- */

/* API: namespaceSelector selects namespaces by their labels. Ours: one that nobody knows has none
 * to look at, so no selector takes it, not even NotIn or the empty one. */
static bool namespace_selected(const struct rs_world *w, const struct rs_selector *s,
			       const char *ns)
{
	const struct rs_namespace *o = rs_store_namespace(w->store, ns);

	return o && selector_holds(s, &o->meta.labels);
}

/*
 * API: podSelector alone selects pods of the policy's own namespace; namespaceSelector alone all
 * pods of the selected namespaces; both in one item the selected pods of the selected namespaces;
 * ipBlock selects addresses, and if it is set no other field may be. Ours: selectors take pods
 * only (never a node, a hostNetwork pod or an outside host), a block takes any address, pods'
 * included, and an item with none of the three takes nothing.
 */
static bool peer_matches(const struct rs_world *w, const struct rs_policy *policy,
			 const struct rs_peer *peer, const struct party *who,
			 const struct rs_addr *addr)
{
	if (peer->invalid)
		return false;
	if (peer->has_block)
		return ipblock_matches(&peer->block, addr);
	if (!peer->ns_selector.present && !peer->pod_selector.present)
		return false;
	if (!who || !who->known_peer)
		return false;
	if (peer->ns_selector.present) {
		if (!namespace_selected(w, &peer->ns_selector, who->ns))
			return false;
	} else if (strcmp(who->ns, policy->meta.ns) != 0) {
		return false;
	}
	return !peer->pod_selector.present || selector_holds(&peer->pod_selector, who->labels);
}

/* API: items of from/to are combined with OR; if the field is empty or missing the rule matches
 * all sources (destinations). */
static bool peers_match(const struct rs_world *w, const struct rs_policy *policy,
			const struct rs_rule *rule, const struct party *who,
			const struct rs_addr *addr)
{
	size_t i;

	if (rule->any_peer)
		return true;
	for (i = 0; i < rule->n_peers; i++)
		if (peer_matches(w, policy, &rule->peers[i], who, addr))
			return true;
	return false;
}

/* ---- ports
 * ------------------------------------------------------------------------------------- */

/* API: a string names a port of the pod. Ours: of the pod that is the destination, in both
 * directions; name and protocol must be equal; every port of that name counts. */
static bool named_port_is(const struct rs_policy_port *want, const struct party *server,
			  uint16_t port)
{
	size_t i;

	for (i = 0; server && i < server->n_ports; i++)
		if (server->ports[i].proto == want->proto && server->ports[i].port == port &&
		    same_text(server->ports[i].name, want->name))
			return true;
	return false;
}

/* API: without `port` all ports of the protocol; with endPort all from port to endPort. */
static bool port_matches(const struct rs_policy_port *want, const struct party *server,
			 const struct rs_flow *flow)
{
	if (want->invalid || want->proto != flow->proto)
		return false;
	switch (want->kind) {
	case RS_PORT_ANY:
		return true;
	case RS_PORT_RANGE:
		return want->lo <= flow->port && flow->port <= want->hi;
	case RS_PORT_NAMED:
		return named_port_is(want, server, flow->port);
	}
	return false;
}

/* API: items of ports are combined with OR; if the field is empty or missing the rule matches all
 * ports. Ours: only such a rule allows what has no ports, ICMP among it. */
static bool ports_match(const struct rs_rule *rule, const struct party *server,
			const struct rs_flow *flow)
{
	size_t i;

	if (rule->any_port)
		return true;
	for (i = 0; i < rule->n_ports; i++)
		if (port_matches(&rule->ports[i], server, flow))
			return true;
	return false;
}

/* ---- one end
 * ----------------------------------------------------------------------------------- */

/* API: podSelector selects pods of the policy's own namespace; policyTypes says for which direction
 * it speaks. Ours: a subject that cannot be read is the whole namespace. */
static bool policy_selects(const struct rs_policy *policy, const struct party *subject,
			   enum rs_direction dir)
{
	if (strcmp(policy->meta.ns, subject->ns) != 0 || !policy->isolates[dir])
		return false;
	if (policy->subject_invalid || policy->subject.invalid)
		return true;
	return selector_holds(&policy->subject, subject->labels);
}

/* API: traffic is allowed when it matches peers AND ports of at least one rule. */
static bool policy_allows(const struct rs_world *w, const struct rs_policy *policy,
			  enum rs_direction dir, const struct party *peer,
			  const struct rs_addr *peer_addr, const struct party *server,
			  const struct rs_flow *flow)
{
	const struct rs_rule *rule;
	size_t i;

	if (policy->subject_invalid || policy->subject.invalid)
		return false;
	for (i = 0; i < policy->n_rules[dir]; i++) {
		rule = &policy->rules[dir][i];
		if (peers_match(w, policy, rule, peer, peer_addr) &&
		    ports_match(rule, server, flow))
			return true;
	}
	return false;
}

/*
 * API: a pod is isolated in a direction once any policy selects it for that direction; then only
 * what some policy allows is allowed: policies add up, their order means nothing. A pod that
 * no policy selects takes and sends everything.
 */
static bool end_allows(const struct rs_world *w, enum rs_direction dir, const struct party *subject,
		       const struct party *peer, const struct rs_addr *peer_addr,
		       const struct party *server, const struct rs_flow *flow)
{
	const struct rs_policy *const *policies;
	bool isolated = false;
	size_t i, n;

	if (subject->closed)
		return false;
	policies = rs_store_policies(w->store, &n);
	for (i = 0; i < n; i++) {
		if (!policy_selects(policies[i], subject, dir))
			continue;
		isolated = true;
		if (policy_allows(w, policies[i], dir, peer, peer_addr, server, flow))
			return true;
	}
	return !isolated;
}

/* ---- who is at an address
 * ---------------------------------------------------------------------- */

static bool inside_any(const struct rs_cidr *blocks, size_t n, const struct rs_addr *a)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (block_holds(&blocks[i], a))
			return true;
	return false;
}

/* Ours: a podIP is believed only inside the podCIDRs of its pod's node; where those are not known,
 * inside the cluster's pod ranges, if any are. An API server's node that is not there yet holds no
 * pod. */
static bool pod_ip_counts(const struct rs_world *w, const struct rs_pod *pod,
			  const struct rs_addr *a)
{
	const struct rs_node *node = pod->node ? rs_store_node(w->store, pod->node) : NULL;

	if (node && node->n_pod_cidrs)
		return inside_any(node->pod_cidrs, node->n_pod_cidrs, a);
	if (w->complete && !node)
		return false;
	return !w->n_pod_ranges || inside_any(w->pod_ranges, w->n_pod_ranges, a);
}

static bool holds_addr(const struct rs_addr *ips, size_t n, const struct rs_addr *a)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (same_addr(&ips[i], a))
			return true;
	return false;
}

/* Does this end mean a pod of that name and those addresses? An address is the better witness. */
static bool end_is(const struct rs_flow_end *end, const char *ns, const char *name,
		   const struct rs_addr *ips, size_t n_ips)
{
	if (end->addr.family != RS_AF_NONE)
		return holds_addr(ips, n_ips, &end->addr);
	return same_text(end->name, name) && same_text(end->ns, ns);
}

/* Ours: a pod of this node is what its record says it is; if the API calls it finished, or no
 * longer has it, it is still a subject until its link goes, but no longer anybody's peer. */
static void add_local(const struct rs_world *w, const struct rs_local_pod *l, struct parties *out)
{
	const struct rs_pod *pod = rs_store_pod(w->store, l->ns, l->name);

	out->v[out->n++] = (struct party){
		.ns = l->ns,
		.name = l->name,
		.labels = l->labels,
		.ports = l->ports,
		.n_ports = l->n_ports,
		.identity = l,
		.closed = l->closed,
		.known_peer = !l->closed && (pod ? !rs_pod_finished(pod) : !w->complete),
	};
}

static bool has_record(const struct rs_world *w, const struct rs_pod *pod)
{
	size_t i;

	for (i = 0; i < w->n_locals; i++)
		if (same_text(w->locals[i].ns, pod->meta.ns) &&
		    same_text(w->locals[i].name, pod->meta.name))
			return true;
	return false;
}

/* API: the effect on hostNetwork pods is undefined. Ours: they are the node, never subject and
 * never a selector's peer. Finished pods have left their address. */
static void add_remote(const struct rs_world *w, const struct rs_pod *pod,
		       const struct rs_flow_end *end, struct parties *out)
{
	if (pod->host_network || rs_pod_finished(pod) || has_record(w, pod) ||
	    !end_is(end, pod->meta.ns, pod->meta.name, pod->ips, pod->n_ips))
		return;
	if (end->addr.family != RS_AF_NONE && !pod_ip_counts(w, pod, &end->addr))
		return;
	out->v[out->n++] = (struct party){
		.ns = pod->meta.ns,
		.name = pod->meta.name,
		.labels = &pod->meta.labels,
		.ports = pod->ports,
		.n_ports = pod->n_ports,
		.identity = pod,
		.known_peer = true,
	};
}

/* Every pod that an end may be. A record of this node decides alone; returns whether one did. */
static bool find_parties(const struct rs_world *w, const struct rs_flow_end *end,
			 struct parties *out)
{
	const struct rs_pod *const *pods;
	size_t i, n;

	pods = rs_store_pods(w->store, &n);
	out->v = rs_new0(struct party, w->n_locals + n);
	if (end->node)
		return false;
	for (i = 0; i < w->n_locals; i++)
		if (end_is(end, w->locals[i].ns, w->locals[i].name, w->locals[i].ips,
			   w->locals[i].n_ips))
			add_local(w, &w->locals[i], out);
	if (out->n)
		return true;
	for (i = 0; i < n; i++)
		add_remote(w, pods[i], end, out);
	return false;
}

/* ---- the flow
 * ---------------------------------------------------------------------------------- */

/* API: a connection needs the source's egress AND the destination's ingress. */
static bool pair_allows(const struct rs_world *w, const struct rs_flow *flow,
			const struct party *src, const struct party *dst)
{
	const struct party *resolves = dst && dst->known_peer ? dst : NULL;

	/* API: a pod cannot block access to itself. */
	if (src && dst && src->identity == dst->identity)
		return true;
	if (src && !end_allows(w, RS_EGRESS, src, dst, &flow->dst.addr, resolves, flow))
		return false;
	return !dst || end_allows(w, RS_INGRESS, dst, src, &flow->src.addr, dst, flow);
}

enum rs_verdict rs_oracle(const struct rs_world *w, const struct rs_flow *flow)
{
	__attribute__((cleanup(parties_free))) struct parties src = { 0 };
	__attribute__((cleanup(parties_free))) struct parties dst = { 0 };
	bool dst_local;
	size_t i, j;

	if (same_addr(&flow->src.addr, &flow->dst.addr))
		return RS_VERDICT_ALLOW;
	find_parties(w, &flow->src, &src);
	dst_local = find_parties(w, &flow->dst, &dst);
	/* API: traffic from the node where the pod runs is always allowed. */
	if (flow->src.node && dst_local)
		return RS_VERDICT_ALLOW;
	/* Ours: where several pods claim one address, only what is allowed for all of them is.
	 * An end that is no pod still takes one turn: the other end judges it by its address. */
	for (i = 0; i < (src.n ? src.n : 1); i++)
		for (j = 0; j < (dst.n ? dst.n : 1); j++)
			if (!pair_allows(w, flow, src.n ? &src.v[i] : NULL,
					 dst.n ? &dst.v[j] : NULL))
				return RS_VERDICT_DENY;
	return RS_VERDICT_ALLOW;
}
