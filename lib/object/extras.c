// SPDX-License-Identifier: Apache-2.0
/* extras.c - the objects of <ripstop/workload.h>: which kinds they are, where they are kept. */
#include <ripstop/workload.h>

#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "object/decode.h"
#include "object/object_free.h"

const struct rs_extra_kind rs_extra_kinds[] = {
	{ "Deployment", "apps/v1", "apps/", RS_EXTRA_WORKLOAD },
	{ "StatefulSet", "apps/v1", "apps/", RS_EXTRA_WORKLOAD },
	{ "DaemonSet", "apps/v1", "apps/", RS_EXTRA_WORKLOAD },
	{ "ReplicaSet", "apps/v1", "apps/", RS_EXTRA_WORKLOAD },
	{ "Job", "batch/v1", "batch/", RS_EXTRA_WORKLOAD },
	{ "CronJob", "batch/v1", "batch/", RS_EXTRA_WORKLOAD },
	{ "Service", "v1", "", RS_EXTRA_SERVICE },
	{ "EndpointSlice", "discovery.k8s.io/v1", "discovery.k8s.io/", RS_EXTRA_SLICE },
	{ 0 },
};

/* ---- release --------------------------------------------------------------------------------- */

static void workload_free_in(struct rs_workload *w)
{
	size_t i;

	rs_meta_free_in(&w->meta);
	free(w->owner_kind);
	free(w->owner_name);
	rs_labels_free(&w->labels);
	for (i = 0; i < w->n_ports; i++)
		free(w->ports[i].name);
	free(w->ports);
}

static void service_free_in(struct rs_service *v)
{
	size_t i;

	rs_meta_free_in(&v->meta);
	rs_labels_free(&v->selector);
	for (i = 0; i < v->n_ports; i++) {
		free(v->ports[i].name);
		free(v->ports[i].target_name);
	}
	free(v->ports);
	free(v->ips);
	free(v->type);
}

static void slice_free_in(struct rs_slice *e)
{
	size_t i;

	rs_meta_free_in(&e->meta);
	free(e->service);
	for (i = 0; i < e->n_ends; i++) {
		free(e->ends[i].pod_ns);
		free(e->ends[i].pod_name);
	}
	free(e->ends);
	for (i = 0; i < e->n_ports; i++)
		free(e->ports[i].name);
	free(e->ports);
}

struct rs_extras *rs_extras_new(void)
{
	return rs_new(struct rs_extras);
}

void rs_extras_free(struct rs_extras *x)
{
	size_t i;

	if (!x)
		return;
	for (i = 0; i < x->n_workloads; i++)
		workload_free_in(&x->workloads[i]);
	for (i = 0; i < x->n_services; i++)
		service_free_in(&x->services[i]);
	for (i = 0; i < x->n_slices; i++)
		slice_free_in(&x->slices[i]);
	for (i = 0; i < x->n_skipped; i++)
		free(x->skipped[i].kind);
	free(x->workloads);
	free(x->services);
	free(x->slices);
	free(x->skipped);
	free(x);
}

/* ---- taking ---------------------------------------------------------------------------------- */

/* A zeroed place behind the last item, which the caller counts when it is to stay. */
static void *place(void *array, size_t n, size_t *cap, size_t size)
{
	void **v = array;

	*v = rs_vec_grow_(*v, n, cap, size);
	return memset((char *)*v + n * size, 0, size);
}

int rs_dec_extra(struct rs_dec *d, const struct rs_extra_kind *k, const struct rs_at *root)
{
	struct rs_extras *x = d->extras;

	switch (k->shape) {
	case RS_EXTRA_WORKLOAD: {
		struct rs_workload *w =
			place(&x->workloads, x->n_workloads, &x->cap_workloads, sizeof(*w));

		w->kind = k->name;
		return rs_dec_workload(d, root, w);
	}
	case RS_EXTRA_SERVICE:
		return rs_dec_service(
			d, root,
			place(&x->services, x->n_services, &x->cap_services, sizeof(*x->services)));
	default:
		return rs_dec_slice(
			d, root,
			place(&x->slices, x->n_slices, &x->cap_slices, sizeof(*x->slices)));
	}
}

void rs_extras_settle(struct rs_extras *x, const struct rs_extra_kind *k, bool keep)
{
	switch (k->shape) {
	case RS_EXTRA_WORKLOAD:
		x->n_workloads += keep;
		if (!keep)
			workload_free_in(&x->workloads[x->n_workloads]);
		return;
	case RS_EXTRA_SERVICE:
		x->n_services += keep;
		if (!keep)
			service_free_in(&x->services[x->n_services]);
		return;
	default:
		x->n_slices += keep;
		if (!keep)
			slice_free_in(&x->slices[x->n_slices]);
	}
}

/* Names of kinds are anybody's: so many are told apart. */
#define MAX_SKIPPED 256

void rs_extras_skip(struct rs_extras *x, const char *kind)
{
	rs_autofree char *name = rs_strndup(kind, 128);
	struct rs_skipped *s;
	size_t lo = 0;

	while (lo < x->n_skipped && strcmp(x->skipped[lo].kind, name) < 0)
		lo++;
	if (lo < x->n_skipped && !strcmp(x->skipped[lo].kind, name)) {
		x->skipped[lo].n++;
		return;
	}
	if (x->n_skipped == MAX_SKIPPED) {
		x->skipped[MAX_SKIPPED - 1].n++;
		return;
	}
	place(&x->skipped, x->n_skipped, &x->cap_skipped, sizeof(*s));
	s = &x->skipped[lo];
	memmove(s + 1, s, (x->n_skipped++ - lo) * sizeof(*s));
	*s = (struct rs_skipped){ .kind = rs_steal_ptr(&name), .n = 1 };
}

/* ---- finishing ------------------------------------------------------------------------------- */

/* Every item begins with its metadata; those of one name stay in the order they were read in. */
struct order {
	const struct rs_meta *meta;
	const char *kind;
};

static int by_name(const void *a, const void *b)
{
	const struct order *x = a, *y = b;
	int cmp = strcmp(x->meta->ns, y->meta->ns);

	if (!cmp)
		cmp = strcmp(x->meta->name, y->meta->name);
	if (!cmp)
		cmp = strcmp(x->kind, y->kind);
	return cmp ? cmp : (x->meta > y->meta) - (x->meta < y->meta);
}

static int check_twice(const struct order *v, size_t n, struct rs_err *err)
{
	size_t i;

	for (i = 1; i < n; i++) {
		const struct rs_meta *a = v[i - 1].meta, *b = v[i].meta;

		if (strcmp(a->ns, b->ns) || strcmp(a->name, b->name) ||
		    strcmp(v[i - 1].kind, v[i].kind))
			continue;
		return rs_err_set(
			err, EINVAL, "%s:%d:%d: %s %s/%s: defined twice, first at %s:%d:%d",
			b->pos.file ? b->pos.file : "-", b->pos.line, b->pos.col, v[i].kind, b->ns,
			b->name, a->pos.file ? a->pos.file : "-", a->pos.line, a->pos.col);
	}
	return 0;
}

/* Sort n items of size bytes, each with its metadata in front, as v says. */
static void permute(void *items, const struct order *v, size_t n, size_t size)
{
	rs_autofree char *copy = rs_calloc(n, size);
	size_t i;

	for (i = 0; i < n; i++)
		memcpy(copy + i * size, v[i].meta, size);
	if (n)
		memcpy(items, copy, n * size);
}

static int finish(void *items, size_t n, size_t size, const char *kind, struct rs_err *err)
{
	rs_autofree struct order *v = rs_new0(struct order, n);
	size_t i;
	int rc;

	for (i = 0; i < n; i++) {
		const void *item = (const char *)items + i * size;

		v[i].meta = item;
		v[i].kind = kind ? kind : ((const struct rs_workload *)item)->kind;
	}
	if (n)
		qsort(v, n, sizeof(*v), by_name);
	rc = check_twice(v, n, err);
	permute(items, v, n, size);
	return rc;
}

int rs_extras_finish(struct rs_extras *x, struct rs_err *err)
{
	int rc;

	_Static_assert(!offsetof(struct rs_workload, meta) && !offsetof(struct rs_service, meta) &&
			       !offsetof(struct rs_slice, meta),
		       "metadata stands in front");
	rc = finish(x->workloads, x->n_workloads, sizeof(*x->workloads), NULL, err);
	if (rc == 0)
		rc = finish(x->services, x->n_services, sizeof(*x->services), "Service", err);
	if (rc == 0)
		rc = finish(x->slices, x->n_slices, sizeof(*x->slices), "EndpointSlice", err);
	return rc;
}
