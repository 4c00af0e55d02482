// SPDX-License-Identifier: Apache-2.0
/* ops_objects.c - the objects themselves, page by page, for readers that judge by them: matrix,
 * diff, lint and simulate of the live state. */
#include "agent/ops.h"

#include <errno.h>
#include <string.h>

#include <ripstop/ctl.h>

#include "base/jsonio.h"
#include "object/object_encode.h"
#include "object/store.h"

/* A page takes the loop some ten milliseconds, in which no pod can join. */
#define PAGE_BYTES (128 * RS_KIB)
/* An object alone may be larger, as long as a frame holds it and what stands around it. */
#define MAX_BYTES (RS_CTL_MAX_FRAME - 64 * RS_KIB)
#define MAX_ITEMS 10000

struct page {
	struct rs_agent *a;
	struct rs_world w;
	enum rs_kind kind;
	const char *after; /* "ns/name", or the name where there are no namespaces; NULL */
	int64_t max;
	struct json_object *items, *closed;
	size_t bytes, n;
	char *last; /* of the items; NULL: none yet */
	bool more;
};

static char *name_of(const char *ns, const char *name)
{
	return ns ? rs_asprintf("%s/%s", ns, name) : rs_strdup(name);
}

/* Whether ns/name stands behind page->after, as the store sorts them. */
static bool is_behind(const struct page *p, const char *ns, const char *name)
{
	const char *slash = p->after ? strchr(p->after, '/') : NULL;
	size_t len = slash ? (size_t)(slash - p->after) : 0;
	int d;

	if (!p->after)
		return true;
	if (!slash)
		return strcmp(name, p->after) > 0;
	d = strncmp(ns ? ns : "", p->after, len);
	if (d == 0 && ns && ns[len])
		d = 1;
	return d > 0 || (d == 0 && strcmp(name, slash + 1) > 0);
}

/* Takes o. 0 when it is in the page, 1 when the page is full. */
static int add_item(struct page *p, struct json_object *o, const char *ns, const char *name,
		    struct rs_err *err)
{
	rs_autojson struct json_object *item = o;
	rs_autofree char *text = rs_json_print(item);
	size_t len = strlen(text) + 1;

	if (len > MAX_BYTES) {
		rs_autofree char *full = name_of(ns, name);

		return rs_err_set(err, EMSGSIZE, "%s %s is larger than a message of %u bytes",
				  rs_kind_name(p->kind), full, RS_CTL_MAX_FRAME);
	}
	if (p->n && (p->bytes + len > PAGE_BYTES || p->n >= (size_t)p->max)) {
		p->more = true;
		return 1;
	}
	json_object_array_add(p->items, rs_steal_ptr(&item));
	p->bytes += len;
	p->n++;
	free(p->last);
	p->last = name_of(ns, name);
	return 0;
}

/* ---- pods: those of the store, and what hangs on this node ----------------------------------- */

/* What is compiled counts: labels, ports and addresses of a pod that hangs here are the record's,
 * and a pod without an object is one too. */
static struct json_object *local_json(const struct page *p, const struct rs_attached *e)
{
	const struct rs_pod *known = rs_store_pod(p->w.store, e->rec->pod_ns, e->rec->pod_name);
	struct rs_pod pod = { 0 };

	if (known)
		pod = *known;
	pod.meta.ns = e->rec->pod_ns;
	pod.meta.name = e->rec->pod_name;
	pod.meta.labels = e->labels;
	pod.node = p->a->opt.node_name;
	pod.ips = e->rec->ips;
	pod.n_ips = e->rec->n_ips;
	pod.ports = e->ports;
	pod.n_ports = e->n_ports;
	return rs_encode_pod(&pod);
}

static int add_local(struct page *p, const struct rs_attached *e, struct rs_err *err)
{
	int rc = add_item(p, local_json(p, e), e->rec->pod_ns, e->rec->pod_name, err);

	if (rc == 0 && e->closed)
		json_object_array_add(p->closed, json_object_new_string(p->last));
	return rc;
}

static int order(const struct rs_pod *pod, const struct rs_attached *e)
{
	int d;

	if (!pod || !e)
		return pod ? -1 : 1;
	d = strcmp(pod->meta.ns, e->rec->pod_ns);
	return d ? d : strcmp(pod->meta.name, e->rec->pod_name);
}

/* Of a pod and its successor under one name, the youngest is meant. */
static size_t skip_namesakes(struct rs_attached *const *v, size_t i, size_t n)
{
	const struct rs_endpoint *first = v[i++]->rec;

	while (i < n && !strcmp(first->pod_ns, v[i]->rec->pod_ns) &&
	       !strcmp(first->pod_name, v[i]->rec->pod_name))
		i++;
	return i;
}

static int add_pods(struct page *p, struct rs_err *err)
{
	size_t n, m, i = 0, k = 0;
	const struct rs_pod *const *v = rs_store_pods(p->w.store, &n);
	struct rs_attached *const *w = rs_registry_list(p->a->reg, &m);
	int rc = 0;

	while (rc == 0 && (i < n || k < m)) {
		const struct rs_pod *pod = i < n ? v[i] : NULL;
		const struct rs_attached *e = k < m ? w[k] : NULL;
		int d = order(pod, e);

		if (d < 0 && is_behind(p, pod->meta.ns, pod->meta.name))
			rc = add_item(p, rs_encode_pod(pod), pod->meta.ns, pod->meta.name, err);
		if (d >= 0 && is_behind(p, e->rec->pod_ns, e->rec->pod_name))
			rc = add_local(
				p, rs_registry_by_pod(p->a->reg, e->rec->pod_ns, e->rec->pod_name),
				err);
		i += d <= 0;
		k = d >= 0 ? skip_namesakes(w, k, m) : k;
	}
	return rc;
}

/* ---- the other kinds ------------------------------------------------------------------------- */

static bool is_implied(const struct page *p, const struct rs_meta *m)
{
	return p->kind == RS_KIND_NAMESPACE && rs_store_namespace(p->w.store, m->name)->implied;
}

static int add_objects(struct page *p, struct rs_err *err)
{
	size_t n;
	const struct rs_meta *const *v = rs_store_metas(p->w.store, p->kind, &n);
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		if (is_behind(p, v[i]->ns, v[i]->name) && !is_implied(p, v[i]))
			rc = add_item(p, rs_encode(p->kind, v[i]), v[i]->ns, v[i]->name, err);
	return rc;
}

/* ---- the operation --------------------------------------------------------------------------- */

static int kind_of(const char *name, enum rs_kind *kind, struct rs_err *err)
{
	for (int k = 0; k < RS_KINDS; k++)
		if (!strcmp(name, rs_kind_name((enum rs_kind)k))) {
			*kind = (enum rs_kind)k;
			return 0;
		}
	return rs_err_set(err, EINVAL,
			  "objects: kind '%.40s' is none of Namespace, Pod, NetworkPolicy, Node",
			  name);
}

/* The same text means that nothing changed in between, an agent that started anew included. */
static char *revision(const struct page *p)
{
	return rs_asprintf("%lld.%llu.%llu", (long long)p->a->started_ms,
			   (unsigned long long)rs_store_revision(p->w.store),
			   (unsigned long long)rs_reconcile_generation(p->a->rec));
}

static struct json_object *page_json(struct page *p)
{
	struct json_object *o = rs_op_object(p->a, "ObjectPage");
	struct json_object *ranges = json_object_new_array();
	rs_autofree char *rev = revision(p);
	char text[RS_CIDR_STRLEN];

	rs_json_add_str(o, "revision", rev);
	for (size_t i = 0; i < p->w.n_pod_ranges; i++)
		json_object_array_add(
			ranges, json_object_new_string(rs_cidr_str(&p->w.pod_ranges[i], text)));
	json_object_object_add(o, "podRanges", ranges);
	json_object_object_add(o, "items", json_object_get(p->items));
	if (json_object_array_length(p->closed))
		json_object_object_add(o, "closed", json_object_get(p->closed));
	if (p->more)
		rs_json_add_str(o, "next", p->last);
	return o;
}

static int objects(struct rs_agent *a, struct json_object *body, struct json_object **out,
		   struct rs_err *err)
{
	rs_autojson struct json_object *items = json_object_new_array();
	rs_autojson struct json_object *closed = json_object_new_array();
	struct page p = { .a = a, .items = items, .closed = closed, .max = MAX_ITEMS };
	int rc = kind_of(rs_json_text(body, "of", ""), &p.kind, err);

	if (rc == 0)
		rc = rs_json_opt_int(body, "max", 1, MAX_ITEMS, &p.max, err);
	if (rc < 0)
		return rc;
	if (!rs_reconcile_synced(a->rec))
		return rs_err_set(err, EAGAIN, "the agent has not read all objects yet");
	p.after = rs_json_text(body, "after", NULL);
	rs_reconcile_world(a->rec, &p.w);
	rc = p.kind == RS_KIND_POD ? add_pods(&p, err) : add_objects(&p, err);
	if (rc >= 0)
		*out = page_json(&p);
	free(p.last);
	return rc < 0 ? rc : 0;
}

void rs_op_objects(struct rs_agent *a, struct rs_request *req, struct json_object *body)
{
	struct json_object *o = NULL;
	rs_auto_err err = { 0 };

	if (objects(a, body, &o, &err) < 0)
		rs_request_fail(req, &err);
	else
		rs_request_answer(req, o);
}
