// SPDX-License-Identifier: Apache-2.0
/* worldends.c - who is an endpoint: pods, and workloads that no pod of theirs stands for. */
#include <errno.h>
#include <string.h>

#include "cli/world/worldparts.h"

/* An endpoint and its local pod, until both arrays are in order. */
struct draft {
	struct cli_endpoint e;
	struct rs_local_pod l;
};

struct drafts {
	struct rs_vec(struct draft) v;
};

/* ---- whose pod it is ------------------------------------------------------------------------- */

static const struct rs_workload *workload_of(const struct cli_world *cw, const char *kind,
					     const char *ns, const char *name)
{
	const struct rs_extras *x = cw->arena->x;
	size_t lo = 0, hi = x->n_workloads;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct rs_workload *w = &x->workloads[mid];
		int cmp = strcmp(w->meta.ns, ns);

		if (!cmp)
			cmp = strcmp(w->meta.name, name);
		if (!cmp)
			cmp = strcmp(w->kind, kind);
		if (!cmp)
			return w;
		if (cmp < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* "web-5d9c7" without "-5d9c7"; NULL when it does not end so. */
static char *without_suffix(const char *name, const char *suffix)
{
	size_t n = strlen(name), m = strlen(suffix);

	if (!m || n <= m + 1 || strcmp(name + n - m, suffix) || name[n - m - 1] != '-')
		return NULL;
	return rs_strndup(name, n - m - 1);
}

/* A Job of a CronJob that is known, by its name: "backup-28912345". */
static char *cron_job(const struct cli_world *cw, const char *ns, const char *job)
{
	const char *dash = strrchr(job, '-');
	rs_autofree char *name = dash ? without_suffix(job, dash + 1) : NULL;

	if (!name || strspn(dash + 1, "0123456789") != strlen(dash + 1))
		return NULL;
	return workload_of(cw, "CronJob", ns, name) ? rs_steal_ptr(&name) : NULL;
}

/* The workload that a person made, not the one that it made in turn. */
static void find_workload(struct cli_world *cw, const struct rs_pod *p, struct cli_endpoint *e)
{
	const char *hash = rs_labels_get(&p->meta.labels, "pod-template-hash");
	const struct rs_workload *w;
	char *name;

	e->workload_kind = "Pod";
	e->workload = p->meta.name;
	if (!p->owner_kind || !p->owner_name || !strcmp(p->owner_kind, "Node"))
		return;
	e->workload_kind = p->owner_kind;
	e->workload = p->owner_name;
	w = workload_of(cw, p->owner_kind, p->meta.ns, p->owner_name);
	if (w && w->owner_kind && w->owner_name) {
		e->workload_kind = w->owner_kind;
		e->workload = w->owner_name;
	} else if (!strcmp(p->owner_kind, "ReplicaSet") && hash &&
		   (name = without_suffix(p->owner_name, hash))) {
		e->workload_kind = "Deployment";
		e->workload = cli_world_keep(cw, name);
	} else if (!strcmp(p->owner_kind, "Job") &&
		   (name = cron_job(cw, p->meta.ns, p->owner_name))) {
		e->workload_kind = "CronJob";
		e->workload = cli_world_keep(cw, name);
	}
}

/* ---- pods ------------------------------------------------------------------------------------ */

static void add_absent(struct cli_world *cw, const struct rs_meta *m, const char *kind,
		       const struct rs_labels *labels, bool finished)
{
	*rs_vec_push(&cw->arena->absent) = (struct cli_absent){
		.ns = m->ns, .name = m->name, .kind = kind, .labels = labels, .finished = finished
	};
}

static void add_pod(struct cli_world *cw, const struct rs_pod *p, struct drafts *out)
{
	struct draft *d;

	if (p->host_network || rs_pod_finished(p)) {
		add_absent(cw, &p->meta, "Pod", &p->meta.labels, !p->host_network);
		return;
	}
	d = rs_vec_push(&out->v);
	d->e = (struct cli_endpoint){ .ns = p->meta.ns,
				      .name = p->meta.name,
				      .node = p->node,
				      .given_ip = p->n_ips > 0,
				      .pos = p->meta.pos };
	find_workload(cw, p, &d->e);
	d->l = (struct rs_local_pod){ .ns = p->meta.ns,
				      .name = p->meta.name,
				      .labels = &p->meta.labels,
				      .ips = p->ips,
				      .n_ips = p->n_ips,
				      .ports = p->ports,
				      .n_ports = p->n_ports };
}

/* ---- workloads ------------------------------------------------------------------------------- */

static int by_workload(const void *a, const void *b)
{
	const struct cli_endpoint *x = *(const struct cli_endpoint *const *)a;
	const struct cli_endpoint *y = *(const struct cli_endpoint *const *)b;
	int cmp = strcmp(x->ns, y->ns);

	if (!cmp)
		cmp = strcmp(x->workload, y->workload);
	return cmp ? cmp : strcmp(x->workload_kind, y->workload_kind);
}

/* The pods by their workload, to ask whether a workload has any. */
static const struct cli_endpoint **index_workloads(const struct drafts *d)
{
	const struct cli_endpoint **v = rs_new0(const struct cli_endpoint *, d->v.n);
	size_t i;

	for (i = 0; i < d->v.n; i++)
		v[i] = &d->v.v[i].e;
	if (d->v.n)
		qsort(v, d->v.n, sizeof(*v), by_workload);
	return v;
}

static bool has_pods(const struct cli_endpoint **index, size_t n, const struct rs_workload *w)
{
	const struct cli_endpoint key = { .ns = w->meta.ns,
					  .workload = w->meta.name,
					  .workload_kind = w->kind };
	const struct cli_endpoint *p = &key;

	return n && bsearch(&p, index, n, sizeof(p), by_workload);
}

static struct draft template(const struct rs_workload *w)
{
	return (struct draft){
		.e = { .ns = w->meta.ns,
		       .name = w->meta.name,
		       .workload_kind = w->kind,
		       .workload = w->meta.name,
		       .is_template = true,
		       .pos = w->meta.pos },
		.l = { .ns = w->meta.ns,
		       .name = w->meta.name,
		       .labels = &w->labels,
		       .ports = w->ports,
		       .n_ports = w->n_ports },
	};
}

static void add_workloads(struct cli_world *cw, struct drafts *out)
{
	const struct rs_extras *x = cw->arena->x;
	rs_autofree const struct cli_endpoint **index = index_workloads(out);
	size_t i, n_pods = out->v.n;
	struct drafts more = { 0 };

	for (i = 0; i < x->n_workloads; i++) {
		const struct rs_workload *w = &x->workloads[i];

		if (w->owner_kind && w->owner_name &&
		    workload_of(cw, w->owner_kind, w->meta.ns, w->owner_name))
			continue;
		if (w->host_network)
			add_absent(cw, &w->meta, w->kind, &w->labels, false);
		else if (!has_pods(index, n_pods, w))
			*rs_vec_push(&more.v) = template(w);
	}
	for (i = 0; i < more.v.n; i++)
		*rs_vec_push(&out->v) = more.v.v[i];
	rs_vec_free(&more.v);
}

/* ---- order and names ------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	const struct draft *x = a, *y = b;
	int cmp = strcmp(x->e.ns, y->e.ns);

	if (!cmp)
		cmp = strcmp(x->e.name, y->e.name);
	/* A pod before a workload of its name. */
	return cmp ? cmp
		   : strcmp(x->e.is_template ? x->e.workload_kind : "",
			    y->e.is_template ? y->e.workload_kind : "");
}

static bool same_name(const struct draft *a, const struct draft *b)
{
	return !strcmp(a->e.ns, b->e.ns) && !strcmp(a->e.name, b->e.name);
}

/* No name of Kubernetes holds a blank or parentheses, so the new one is nobody's. */
static void rename_twins(struct cli_world *cw, struct drafts *d)
{
	rs_autofree bool *twin = rs_new0(bool, d->v.n);
	size_t i;

	for (i = 1; i < d->v.n; i++)
		if (same_name(&d->v.v[i - 1], &d->v.v[i]))
			twin[i - 1] = twin[i] = true;
	for (i = 0; i < d->v.n; i++) {
		struct draft *t = &d->v.v[i];

		if (!twin[i] || !t->e.is_template)
			continue;
		t->e.name = cli_world_keep(
			cw, rs_asprintf("%s (%s)", t->e.workload, t->e.workload_kind));
		t->l.name = t->e.name;
	}
}

static void sort(struct drafts *d)
{
	if (d->v.n)
		qsort(d->v.v, d->v.n, sizeof(*d->v.v), by_name);
}

/* An address and the pod that claims it. */
struct claim {
	const struct rs_addr *ip;
	struct draft *d;
};

static int by_ip(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	int cmp = rs_addr_cmp(x->ip, y->ip);

	return cmp ? cmp : (x->d > y->d) - (x->d < y->d);
}

/* The first pod keeps its addresses; the other one gets some of ours. */
static void lose_address(struct cli_world *cw, const struct claim *first, const struct claim *other)
{
	char text[RS_ADDR_STRLEN];

	rs_store_warn(cw->store, "%s/%s and %s/%s both claim %s: it counts for the first",
		      first->d->e.ns, first->d->e.name, other->d->e.ns, other->d->e.name,
		      rs_addr_str(other->ip, text));
	other->d->l.n_ips = 0;
	other->d->e.given_ip = false;
}

static void part_shared_ips(struct cli_world *cw, struct drafts *d)
{
	struct rs_vec(struct claim) v = { 0 };
	size_t i, j, first = 0;

	for (i = 0; i < d->v.n; i++)
		for (j = 0; j < d->v.v[i].l.n_ips; j++)
			*rs_vec_push(&v) = (struct claim){ &d->v.v[i].l.ips[j], &d->v.v[i] };
	if (v.n)
		qsort(v.v, v.n, sizeof(*v.v), by_ip);
	for (i = 1; i < v.n; i++) {
		if (rs_addr_cmp(v.v[first].ip, v.v[i].ip) || !v.v[first].d->l.n_ips)
			first = i;
		else if (v.v[i].d->l.n_ips)
			lose_address(cw, &v.v[first], &v.v[i]);
	}
	rs_vec_free(&v);
}

void cli_make_ends(struct cli_world *cw)
{
	struct drafts d = { 0 };
	size_t i, n;
	const struct rs_pod *const *pods = rs_store_pods(cw->store, &n);

	for (i = 0; i < n; i++)
		add_pod(cw, pods[i], &d);
	add_workloads(cw, &d);
	sort(&d);
	rename_twins(cw, &d);
	sort(&d);
	part_shared_ips(cw, &d);
	cw->ends = rs_new0(struct cli_endpoint, d.v.n);
	cw->arena->locals = rs_new0(struct rs_local_pod, d.v.n);
	for (i = 0; i < d.v.n; i++) {
		cw->ends[i] = d.v.v[i].e;
		cw->arena->locals[i] = d.v.v[i].l;
	}
	cw->n_ends = cw->w.n_locals = cw->w.n_sorted = d.v.n;
	cw->arena->cap_ends = cw->arena->cap_locals = d.v.n;
	cw->w.locals = cw->arena->locals;
	rs_vec_free(&d.v);
}

size_t cli_add_hypothetical(struct cli_world *cw, const char *ns, const char *name,
			    struct rs_labels *labels)
{
	struct cli_world_arena *a = cw->arena;
	size_t i = cw->n_ends;

	*rs_vec_push(&a->labels) = labels;
	cw->ends = rs_vec_grow_(cw->ends, i, &a->cap_ends, sizeof(*cw->ends));
	a->locals = rs_vec_grow_(a->locals, i, &a->cap_locals, sizeof(*a->locals));
	cw->ends[i] = (struct cli_endpoint){ .ns = ns,
					     .name = name,
					     .workload_kind = "Pod",
					     .workload = name,
					     .hypothetical = true };
	a->locals[i] = (struct rs_local_pod){ .ns = ns, .name = name, .labels = labels };
	cw->w.locals = a->locals;
	cw->w.n_locals = ++cw->n_ends;
	return i;
}

int cli_world_sibling(struct cli_world *cw, size_t i, char *name, size_t *out, struct rs_err *err)
{
	struct rs_labels labels = rs_labels_copy(cw->w.locals[i].labels);
	struct cli_endpoint like = cw->ends[i];

	*out = cli_add_hypothetical(cw, like.ns, cli_world_keep(cw, name),
				    rs_memdup(&labels, sizeof(labels)));
	cw->arena->locals[*out].ports = cw->arena->locals[i].ports;
	cw->arena->locals[*out].n_ports = cw->arena->locals[i].n_ports;
	cw->ends[*out].workload_kind = like.workload_kind;
	cw->ends[*out].workload = like.workload;
	cw->ends[*out].pos = like.pos;
	return cli_give_address(cw, *out, err);
}
