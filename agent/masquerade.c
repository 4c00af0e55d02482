// SPDX-License-Identifier: Apache-2.0
/* masquerade.c - what leaves the cluster's pod ranges takes the node's address: which ranges, and
 * when to look whether the kernel still does it. */
#include "agent/agent.h"

#include <errno.h>
#include <ripstop/masquerade.h>
#include <string.h>

struct rs_masquerade {
	struct rs_masq *nat;
	uint64_t made_for; /* hash of the ranges that the kernel was given last; 0: none */
	char *error;	   /* why it is not in force; NULL: it is, or it is off */
};

static uint64_t hash_ranges(uint64_t h, const struct rs_cidr *v, size_t n)
{
	const uint8_t *p = (const uint8_t *)v;

	for (size_t i = 0; i < n * sizeof(*v); i++)
		h = (h ^ p[i]) * 0x100000001b3; /* FNV-1a */
	return (h ^ n) * 0x100000001b3;
}

/* The cluster's ranges, those of all nodes that count, and what the operator excludes. */
static struct rs_cidr *kept(struct rs_agent *a, const struct rs_world *w, size_t *n)
{
	const struct rs_cidr_list *x = &a->opt.masquerade_exclude;
	size_t n_nodes = 0;
	rs_autofree struct rs_cidr *nodes =
		rs_node_ranges_cidrs(rs_reconcile_node_ranges(a->rec), false, &n_nodes);
	struct rs_cidr *v = rs_new0(struct rs_cidr, w->n_pod_ranges + n_nodes + x->n);

	*n = 0;
	for (size_t i = 0; i < w->n_pod_ranges; i++)
		v[(*n)++] = w->pod_ranges[i];
	for (size_t i = 0; i < n_nodes; i++)
		v[(*n)++] = nodes[i];
	for (size_t i = 0; i < x->n; i++)
		v[(*n)++] = x->v[i];
	return v;
}

static void tell(struct rs_agent *a, int rc, uint64_t hash, const struct rs_err *err)
{
	struct rs_masquerade *m = a->masq;

	free(m->error);
	m->error = rc < 0 ? rs_strdup(rs_err_str(err)) : NULL;
	if (rc > 0 && hash && m->made_for == hash) {
		a->metrics.drift++;
		rs_log(RS_LOG_WARN, "masquerade was changed by somebody else and is made again",
		       "table", "inet " RS_MASQ_TABLE, NULL);
	} else if (rc > 0) {
		rs_log(RS_LOG_INFO, hash ? "masquerade set" : "masquerade removed", "table",
		       "inet " RS_MASQ_TABLE, NULL);
	}
	if (rc >= 0)
		m->made_for = hash;
}

void rs_masquerade_sync(struct rs_agent *a)
{
	rs_autofree struct rs_cidr *keep = NULL;
	struct rs_masq_want want = { 0 };
	rs_auto_err err = { 0 };
	uint64_t hash = 0;
	struct rs_world w;
	int rc = 0;

	/* Before the first sync the ranges may only not be known yet: what is there stays. */
	if (a->dp->ops == &rs_dp_null || !rs_reconcile_synced(a->rec))
		return;
	if (!a->masq)
		a->masq = rs_new(struct rs_masquerade);
	rs_reconcile_ranges(a->rec, &w);
	if (rs_options_masquerade(&a->opt) && w.n_node_ranges) {
		keep = kept(a, &w, &want.n_keep);
		want.keep = keep;
		want.from = w.node_ranges;
		want.n_from = w.n_node_ranges;
		hash = hash_ranges(0xcbf29ce484222325, want.from, want.n_from);
		hash = hash_ranges(hash, want.keep, want.n_keep) | 1;
	}
	if (!a->masq->nat)
		rc = rs_masq_open(&a->masq->nat, &err);
	if (rc == 0)
		rc = rs_masq_sync(a->masq->nat, &want, &err);
	tell(a, rc, hash, &err);
}

void rs_masquerade_conditions(const struct rs_agent *a, struct rs_conditions *c)
{
	if (a->masq && a->masq->error)
		rs_conditions_add(c, "MasqueradeMissing",
				  "pods' traffic leaves with their own addresses: %s",
				  a->masq->error);
}

int rs_masquerade_remove(struct rs_err *err)
{
	struct rs_masq *nat = NULL;
	int rc = rs_masq_open(&nat, err);

	if (rc == 0)
		rc = rs_masq_sync(nat, NULL, err);
	rs_masq_close(nat);
	return rc < 0 ? rc : 0;
}

void rs_masquerade_free(struct rs_masquerade *m)
{
	if (!m)
		return;
	rs_masq_close(m->nat);
	free(m->error);
	free(m);
}
