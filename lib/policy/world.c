// SPDX-License-Identifier: Apache-2.0
/* world.c - who is a peer, who is a subject; see world.h. */
#include "policy/world.h"

#include <string.h>

#include "base/base.h"

static int cmp_name(const struct rs_local_pod *p, const char *ns, const char *name)
{
	int cmp = strcmp(p->ns, ns);

	return cmp ? cmp : strcmp(p->name, name);
}

const struct rs_local_pod *rs_world_local(const struct rs_world *w, const char *ns,
					  const char *name)
{
	size_t lo = 0, hi = w->n_sorted, i;

	/* The first of that name: a pod may hang here twice while it is made anew. */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (cmp_name(&w->locals[mid], ns, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < w->n_sorted && !cmp_name(&w->locals[lo], ns, name))
		return &w->locals[lo];
	for (i = w->n_sorted; i < w->n_locals; i++)
		if (!cmp_name(&w->locals[i], ns, name))
			return &w->locals[i];
	return NULL;
}

const struct rs_labels *rs_world_ns_labels(const struct rs_world *w, const char *ns)
{
	const struct rs_namespace *n = rs_store_namespace(w->store, ns);

	return n ? &n->meta.labels : NULL;
}

void rs_view_local(const struct rs_world *w, const struct rs_local_pod *p, struct rs_view *out)
{
	const struct rs_pod *stored = rs_store_pod(w->store, p->ns, p->name);
	bool finished = stored ? rs_pod_finished(stored) : w->complete;
	bool peer = !p->closed && !finished;

	*out = (struct rs_view){
		.ns = p->ns,
		.name = p->name,
		.labels = peer ? p->labels : NULL,
		.ns_labels = rs_world_ns_labels(w, p->ns),
		.ports = p->ports,
		.n_ports = peer ? p->n_ports : 0,
		.local = p,
	};
}

bool rs_pod_is_peer(const struct rs_pod *p)
{
	return !p->host_network && !rs_pod_finished(p);
}

bool rs_pod_ip_counts(const struct rs_world *w, const struct rs_pod *p, const struct rs_addr *ip)
{
	const struct rs_node *node = p->node ? rs_store_node(w->store, p->node) : NULL;

	if (ip->family == RS_AF_NONE)
		return false;
	if (node && node->n_pod_cidrs)
		return rs_cidrs_contain(node->pod_cidrs, node->n_pod_cidrs, ip);
	if (!node && w->complete)
		return false;
	return !w->n_pod_ranges || rs_cidrs_contain(w->pod_ranges, w->n_pod_ranges, ip);
}

static bool holds(const struct rs_addr *ips, size_t n, const struct rs_addr *a)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!rs_addr_cmp(&ips[i], a))
			return true;
	return false;
}

void rs_world_claims(const struct rs_world *w, const struct rs_addr *a, struct rs_views *out)
{
	const struct rs_pod *const *pods;
	size_t i, n;

	out->n = 0;
	for (i = 0; i < w->n_locals; i++)
		if (holds(w->locals[i].ips, w->locals[i].n_ips, a))
			rs_view_local(w, &w->locals[i], rs_vec_push(out));
	if (out->n)
		return;
	pods = rs_store_pods(w->store, &n);
	for (i = 0; i < n; i++) {
		const struct rs_pod *p = pods[i];

		if (!rs_pod_is_peer(p) || !holds(p->ips, p->n_ips, a) ||
		    !rs_pod_ip_counts(w, p, a) || rs_world_local(w, p->meta.ns, p->meta.name))
			continue;
		*rs_vec_push(out) = (struct rs_view){
			.ns = p->meta.ns,
			.name = p->meta.name,
			.labels = &p->meta.labels,
			.ns_labels = rs_world_ns_labels(w, p->meta.ns),
			.ports = p->ports,
			.n_ports = p->n_ports,
		};
	}
}

bool rs_policy_subject_bad(const struct rs_policy *p)
{
	return p->subject_invalid || p->subject.invalid;
}

bool rs_policy_selects(const struct rs_policy *p, const struct rs_labels *labels)
{
	if (rs_policy_subject_bad(p) || !p->subject.present)
		return true;
	return rs_selector_matches(&p->subject, labels);
}

size_t rs_policies_in(const struct rs_policy *const *all, size_t n_all, const char *ns,
		      size_t *first)
{
	size_t lo = 0, hi = n_all, end;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(all[mid]->meta.ns, ns) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (end = lo; end < n_all && !strcmp(all[end]->meta.ns, ns);)
		end++;
	*first = lo;
	return end - lo;
}

const struct rs_policy **rs_policies_of(const struct rs_world *w, const char *ns,
					const struct rs_labels *labels, enum rs_direction dir,
					size_t *n)
{
	const struct rs_policy *const *all;
	const struct rs_policy **out;
	size_t n_all, first, count, i;

	all = rs_store_policies(w->store, &n_all);
	count = rs_policies_in(all, n_all, ns, &first);
	out = rs_calloc(count, sizeof(const struct rs_policy *));
	*n = 0;
	for (i = first; i < first + count; i++)
		if (all[i]->isolates[dir] && rs_policy_selects(all[i], labels))
			out[(*n)++] = all[i];
	return out;
}
