// SPDX-License-Identifier: Apache-2.0
/* hist_state.c - the objects of the cluster and the pods of this node, as they truly are. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/jsonio.h"
#include "tests/prove/hist.h"

json_object *hist_copy(json_object *o)
{
	json_object *copy = NULL;

	if (json_object_deep_copy(o, &copy, NULL) < 0)
		rs_oom();
	return copy;
}

json_object *hist_sub(json_object *o, const char *key)
{
	json_object *sub = rs_json_get(o, key);

	if (sub)
		return sub;
	sub = json_object_new_object();
	json_object_object_add(o, key, sub);
	return sub;
}

json_object *hist_meta(json_object *o)
{
	return rs_json_get(o, "metadata");
}

const char *hist_ns(json_object *o)
{
	return rs_json_text(hist_meta(o), "namespace", NULL);
}

const char *hist_name(json_object *o)
{
	return rs_json_text(hist_meta(o), "name", NULL);
}

static bool kind_of(json_object *o, enum rs_kind *kind)
{
	const char *text = rs_json_text(o, "kind", "");

	for (int k = 0; k < RS_KINDS; k++)
		if (!strcmp(text, rs_kind_name((enum rs_kind)k))) {
			*kind = (enum rs_kind)k;
			return true;
		}
	return false;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void local_clear(struct hist_local *l)
{
	free(l->ns);
	free(l->name);
	rs_labels_free(&l->labels);
	for (size_t i = 0; i < l->n_ports; i++)
		free(l->ports[i].name);
	free(l->ports);
}

void hist_state_free(struct hist *h)
{
	for (size_t i = 0; i < h->objects.n; i++) {
		json_object_put(h->objects.v[i].o);
		json_object_put(h->objects.v[i].then);
	}
	for (size_t i = 0; i < h->locals.n; i++)
		local_clear(&h->locals.v[i]);
	for (int k = 0; k < RS_KINDS; k++) {
		for (size_t i = 0; i < h->news[k].n; i++)
			hist_news_free(&h->news[k].v[i]);
		rs_vec_free(&h->news[k]);
	}
	rs_vec_free(&h->objects);
	rs_vec_free(&h->locals);
	rs_vec_free(&h->ranges);
	rs_vec_free(&h->pod_ranges);
	rs_vec_free(&h->hosts);
	pv_case_free(&h->base);
	pv_case_free(&h->donor);
}

static json_object *objects_of(const struct pv_case *c)
{
	return rs_json_get(c->root, "objects");
}

static int read_ranges(json_object *list, struct rs_cidr *v, struct rs_err *err)
{
	for (size_t i = 0; i < json_object_array_length(list); i++)
		if (rs_cidr_parse(json_object_get_string(json_object_array_get_idx(list, i)), &v[i],
				  NULL, err) < 0)
			return -EINVAL;
	return 0;
}

#define read_list(list, vec, err)                                     \
	({                                                            \
		for (size_t n_ = json_object_array_length(list); n_;) \
			n_--, rs_vec_push(vec);                       \
		read_ranges(list, (vec)->v, err);                     \
	})

static void read_hosts(struct hist *h, json_object *hosts)
{
	for (size_t i = 0; i < json_object_array_length(hosts); i++) {
		json_object *list = rs_json_get(json_object_array_get_idx(hosts, i), "addresses");

		for (size_t k = 0; k < json_object_array_length(list); k++) {
			struct rs_addr a = { 0 };

			rs_addr_parse(json_object_get_string(json_object_array_get_idx(list, k)),
				      &a, NULL);
			if (a.family)
				*rs_vec_push(&h->hosts) = a;
		}
	}
}

/* The objects of the first world, all of them news; this node is its first. */
int hist_state_begin(struct hist *h, struct rs_err *err)
{
	json_object *world = rs_json_get(h->base.root, "world"), *list = objects_of(&h->base);
	json_object *node = json_object_array_get_idx(rs_json_get(world, "nodes"), 0);
	enum rs_kind kind;
	int rc;

	h->node = rs_json_text(node, "name", "n1");
	rc = read_list(rs_json_get(node, "ranges"), &h->ranges, err);
	if (rc == 0)
		rc = read_list(rs_json_get(world, "podRanges"), &h->pod_ranges, err);
	read_hosts(h, rs_json_get(world, "hosts"));
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		json_object *o = json_object_array_get_idx(list, i);

		if (kind_of(o, &kind) && hist_name(o))
			hist_put(h, kind, hist_copy(o));
	}
	return rc;
}

/* ---- objects --------------------------------------------------------------------------------- */

struct hist_object *hist_pick(struct hist *h, enum rs_kind kind)
{
	struct hist_object *got = NULL;
	uint32_t seen = 0;

	for (size_t i = 0; i < h->objects.n; i++)
		if (h->objects.v[i].kind == kind && pv_below(&h->rng, ++seen) == 0)
			got = &h->objects.v[i];
	return got;
}

struct hist_object *hist_find(struct hist *h, enum rs_kind kind, const char *ns, const char *name)
{
	for (size_t i = 0; i < h->objects.n; i++) {
		struct hist_object *obj = &h->objects.v[i];
		const char *its = hist_ns(obj->o);

		if (obj->kind == kind && !strcmp(its ? its : "", ns ? ns : "") &&
		    !strcmp(hist_name(obj->o), name))
			return obj;
	}
	return NULL;
}

static bool is_local(const struct hist *h, json_object *o)
{
	for (size_t i = 0; i < h->locals.n; i++)
		if (!strcmp(h->locals.v[i].ns, hist_ns(o)) &&
		    !strcmp(h->locals.v[i].name, hist_name(o)))
			return true;
	return false;
}

struct hist_object *hist_pick_homeless(struct hist *h)
{
	struct hist_object *got = NULL;
	uint32_t seen = 0;

	for (size_t i = 0; i < h->objects.n; i++) {
		struct hist_object *obj = &h->objects.v[i];
		json_object *spec = rs_json_get(obj->o, "spec");

		if (obj->kind != RS_KIND_POD || is_local(h, obj->o) ||
		    json_object_get_boolean(rs_json_get(spec, "hostNetwork")) ||
		    strcmp(rs_json_text(spec, "nodeName", ""), h->node) != 0)
			continue;
		if (pv_below(&h->rng, ++seen) == 0)
			got = obj;
	}
	return got;
}

json_object *hist_sample(struct hist *h, enum rs_kind kind)
{
	json_object *list = objects_of(pv_chance(&h->rng, 60) ? &h->base : &h->donor), *got = NULL;
	enum rs_kind its;
	uint32_t seen = 0;

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		json_object *o = json_object_array_get_idx(list, i);

		if (kind_of(o, &its) && its == kind && pv_below(&h->rng, ++seen) == 0)
			got = o;
	}
	return got;
}

/* ---- addresses ------------------------------------------------------------------------------- */

bool hist_addr_taken(const struct hist *h, const struct rs_addr *a)
{
	for (size_t i = 0; i < h->locals.n; i++)
		for (size_t k = 0; k < h->locals.v[i].n_ips; k++)
			if (!rs_addr_cmp(&h->locals.v[i].ips[k], a))
				return true;
	return false;
}

/* Few addresses, so that they come again soon. */
bool hist_fresh_addr(struct hist *h, int family, struct rs_addr *out)
{
	for (size_t i = 0; i < h->ranges.n; i++) {
		if (h->ranges.v[i].addr.family != family)
			continue;
		for (int tries = 0; tries < 40; tries++) {
			*out = rs_cidr_first(&h->ranges.v[i]);
			if (rs_addr_add(out, 2 + pv_below(&h->rng, 28)) && !hist_addr_taken(h, out))
				return true;
		}
	}
	return false;
}

/* ---- pods of this node ----------------------------------------------------------------------- */

struct hist_local *hist_add_local(struct hist *h, const char *ns, const char *name,
				  const struct rs_addr *ips, size_t n_ips)
{
	struct hist_local *l = rs_vec_push(&h->locals);

	l->ns = rs_strdup(ns);
	l->name = rs_strdup(name);
	l->closed = true; /* until its labels are known */
	memcpy(l->ips, ips, n_ips * sizeof(*ips));
	l->n_ips = n_ips;
	l->ifindex = 100 + h->serial++;
	return l;
}

void hist_del_local(struct hist *h, size_t i)
{
	local_clear(&h->locals.v[i]);
	h->locals.v[i] = h->locals.v[--h->locals.n];
}

static struct rs_local_pod as_pod(const struct hist_local *l)
{
	return (struct rs_local_pod){
		.ns = l->ns,
		.name = l->name,
		.labels = &l->labels,
		.closed = l->closed,
		.ips = l->ips,
		.n_ips = l->n_ips,
		.ports = l->ports,
		.n_ports = l->n_ports,
		.ifindex = l->ifindex,
		.ifname = "rshist",
		.mac = { 2, 0, 0, 0, (uint8_t)(l->ifindex >> 8), (uint8_t)l->ifindex },
		.ll = { RS_AF_IP6,
			{ 0xfe,
			  0x80, [14] = (uint8_t)(l->ifindex >> 8), [15] = (uint8_t)l->ifindex } },
	};
}

static int by_pod(const void *pa, const void *pb)
{
	const struct rs_local_pod *a = pa, *b = pb;
	int d = strcmp(a->ns, b->ns);

	if (d == 0)
		d = strcmp(a->name, b->name);
	return d ? d : (a->ifindex > b->ifindex) - (a->ifindex < b->ifindex);
}

struct rs_local_pod *hist_locals(const struct hist *h, const struct rs_store *store)
{
	struct rs_local_pod *v = rs_new0(struct rs_local_pod, h->locals.n);

	for (size_t i = 0; i < h->locals.n; i++) {
		const struct rs_pod *pod =
			rs_store_pod(store, h->locals.v[i].ns, h->locals.v[i].name);

		v[i] = as_pod(&h->locals.v[i]);
		if (!pod)
			continue;
		v[i].labels = &pod->meta.labels;
		v[i].ports = pod->ports;
		v[i].n_ports = pod->n_ports;
		v[i].closed = false;
	}
	if (h->locals.n)
		qsort(v, h->locals.n, sizeof(*v), by_pod);
	return v;
}

/* ---- what a build from scratch starts from --------------------------------------------------- */

struct rs_store *hist_scratch_store(struct hist *h, struct rs_err *err)
{
	struct rs_store *s = rs_store_new();
	int rc = 0;

	/* The other way round: no order of arrival may matter. */
	for (size_t i = h->objects.n; rc == 0 && i-- > 0;)
		rc = hist_decode(s, h->objects.v[i].o, err);
	for (int k = 0; k < RS_KINDS; k++)
		rs_store_set_synced(s, (enum rs_kind)k, true);
	if (rc == 0)
		return s;
	rs_store_free(s);
	return NULL;
}

/* As the agent makes it: this node's ranges are those of its object, if there is one. */
struct rs_world hist_world(const struct hist *h, const struct rs_store *store,
			   const struct rs_local_pod *locals)
{
	const struct rs_node *node = rs_store_node(store, h->node);
	bool told = node && node->n_pod_cidrs;

	return (struct rs_world){
		.store = store,
		.locals = locals,
		.n_locals = h->locals.n,
		.pod_ranges = h->pod_ranges.v,
		.n_pod_ranges = h->pod_ranges.n,
		.node_ranges = told ? node->pod_cidrs : h->ranges.v,
		.n_node_ranges = told ? node->n_pod_cidrs : h->ranges.n,
	};
}
