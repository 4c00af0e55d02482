// SPDX-License-Identifier: Apache-2.0
/* relabel.c - whose labels and named ports a local pod has; see registry.h. */
#include "agent/join.h"
#include "agent/registry_internal.h"

#include <errno.h>
#include <string.h>

#include "object/store.h"

const char *rs_label_origin_name(enum rs_label_origin o)
{
	switch (o) {
	case RS_LABELS_CNI_ARGS:
		return "cni-args";
	case RS_LABELS_CONFIG:
		return "config";
	case RS_LABELS_MANIFEST:
		return "manifest";
	case RS_LABELS_API:
		return "api";
	case RS_LABELS_NONE:
		break;
	}
	return "none";
}

void rs_container_ports_free(struct rs_container_port *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i].name);
	free(v);
}

static struct rs_container_port *ports_copy(const struct rs_container_port *v, size_t n)
{
	struct rs_container_port *copy = rs_new0(struct rs_container_port, n);

	for (size_t i = 0; i < n; i++) {
		copy[i] = v[i];
		copy[i].name = rs_strdup(v[i].name);
	}
	return copy;
}

static bool ports_equal(const struct rs_attached *a, const struct rs_pod *pod)
{
	if (a->n_ports != pod->n_ports)
		return false;
	for (size_t i = 0; i < a->n_ports; i++)
		if (a->ports[i].proto != pod->ports[i].proto ||
		    a->ports[i].port != pod->ports[i].port ||
		    strcmp(a->ports[i].name ? a->ports[i].name : "",
			   pod->ports[i].name ? pod->ports[i].name : "") != 0)
			return false;
	return true;
}

static void free_record_labels(struct rs_endpoint *e)
{
	for (size_t i = 0; i < e->n_labels; i++) {
		free(e->labels[i].key);
		free(e->labels[i].value);
	}
	free(e->labels);
	for (size_t i = 0; i < e->n_ports; i++)
		free(e->ports[i].name);
	free(e->ports);
}

static void labels_into_record(struct rs_endpoint *e, const struct rs_attached *a,
			       enum rs_label_origin origin)
{
	free_record_labels(e);
	e->label_origin = origin;
	e->n_labels = a->labels.n;
	e->labels = rs_new0(struct rs_endpoint_label, a->labels.n);
	for (size_t i = 0; i < a->labels.n; i++) {
		e->labels[i].key = rs_strdup(a->labels.v[i].key);
		e->labels[i].value = rs_strdup(a->labels.v[i].value);
	}
	e->n_ports = 0;
	e->ports = rs_new0(struct rs_endpoint_port, a->n_ports);
	for (size_t i = 0; i < a->n_ports; i++) {
		if (!a->ports[i].name)
			continue;
		e->ports[e->n_ports].name = rs_strdup(a->ports[i].name);
		e->ports[e->n_ports].proto = a->ports[i].proto;
		e->ports[e->n_ports++].port = a->ports[i].port;
	}
}

struct rewrite {
	const struct rs_attached *a;
	enum rs_label_origin origin;
};

static void put_labels(struct rs_endpoint *e, void *arg)
{
	const struct rewrite *w = arg;

	if (e->state == RS_ENDPOINT_LIVE)
		labels_into_record(e, w->a, w->origin);
}

/* Under the folder's lock: a DEL may have turned the record into a tombstone, which stays one. */
static int rewrite(const struct rs_registry *r, const struct rs_attached *a,
		   enum rs_label_origin origin, struct rs_err *err)
{
	struct rewrite w = { a, origin };
	int rc = rs_endpoint_modify(r->cfg.records, a->rec->container_id, a->rec->ifname,
				    put_labels, &w, err);

	return rc == -ENOENT || rc == -ESTALE ? 0 : rc;
}

void rs_registry_save_labels(struct rs_registry *r)
{
	for (size_t i = 0; i < r->entries.n; i++) {
		struct rs_attached *a = r->entries.v[i];
		rs_auto_err err = { 0 };

		if (!a->unsaved)
			continue;
		if (rewrite(r, a, a->rec->label_origin, &err) < 0) {
			rs_log(RS_LOG_WARN, "records keep older labels for now", "pod",
			       a->rec->pod_name, "namespace", a->rec->pod_ns, "error",
			       rs_err_str(&err), NULL);
			return;
		}
		a->unsaved = false;
	}
}

static bool relabel_one(const struct rs_registry *r, struct rs_attached *a,
			const struct rs_store *store)
{
	enum rs_label_origin origin = r->cfg.labels_from_api ? RS_LABELS_API : RS_LABELS_MANIFEST;
	const struct rs_pod *pod = rs_store_pod(store, a->rec->pod_ns, a->rec->pod_name);
	bool changed;

	/* No object, or its namesake's: what was last known stays, from wherever it came. */
	if (!pod || !rs_join_same_pod(a->rec, pod))
		return false;
	changed = a->closed || !rs_labels_equal(&a->labels, &pod->meta.labels) ||
		  !ports_equal(a, pod);
	if (!changed && a->rec->label_origin == origin)
		return false;
	rs_labels_free(&a->labels);
	a->labels = rs_labels_copy(&pod->meta.labels);
	rs_container_ports_free(a->ports, a->n_ports);
	a->ports = ports_copy(pod->ports, pod->n_ports);
	a->n_ports = pod->n_ports;
	if (changed)
		a->stamp = rs_local_stamp();
	a->closed = false;
	labels_into_record(a->rec, a, origin);
	a->unsaved = true;
	return changed;
}

/* Entries of that pod: several, where its successor is here already. */
static bool relabel_named(struct rs_registry *r, const char *ns, const char *name,
			  const struct rs_store *store)
{
	bool changed = false;
	size_t i, n;
	struct rs_attached *const *v = rs_registry_list(r, &n);
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int d = strcmp(v[mid]->rec->pod_ns, ns);

		if ((d ? d : strcmp(v[mid]->rec->pod_name, name)) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (i = lo; i < n; i++) {
		if (strcmp(v[i]->rec->pod_ns, ns) != 0 || strcmp(v[i]->rec->pod_name, name) != 0)
			break;
		changed |= relabel_one(r, v[i], store);
	}
	return changed;
}

/* An entry hangs on nothing but its own pod's object. */
static bool relabel_changed(struct rs_registry *r, const struct rs_store *store, size_t n)
{
	bool changed = false;

	for (size_t i = 0; i < n; i++) {
		struct rs_store_change ch = rs_store_change(store, r->labels_sequence, i);

		if (ch.kind == RS_KIND_POD)
			changed |= relabel_named(r, ch.ns, ch.name, store);
	}
	return changed;
}

bool rs_registry_relabel(struct rs_registry *r, const struct rs_store *store)
{
	bool changed = false;
	size_t n;

	if (!r->news && r->labels_serial == rs_store_serial(store) &&
	    rs_store_changes(store, r->labels_sequence, &n)) {
		changed = relabel_changed(r, store, n);
	} else {
		for (size_t i = 0; i < r->entries.n; i++)
			changed |= relabel_one(r, r->entries.v[i], store);
	}
	r->labels_serial = rs_store_serial(store);
	r->labels_sequence = rs_store_sequence(store);
	r->news = false;
	return changed;
}
