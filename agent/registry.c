// SPDX-License-Identifier: Apache-2.0
/* registry.c - entries of the registry: taking in, leaving, listing; see registry.h. */
#include "agent/registry_internal.h"

#include <errno.h>
#include <string.h>

struct rs_registry *rs_registry_new(const struct rs_registry_config *cfg)
{
	struct rs_registry *r = rs_new(struct rs_registry);

	r->cfg = *cfg;
	return r;
}

char *rs_attached_key(const char *container_id, const char *ifname)
{
	return rs_asprintf("%s/%s", container_id, ifname);
}

static void attached_free(struct rs_attached *a)
{
	if (!a)
		return;
	rs_endpoint_free(a->rec);
	rs_labels_free(&a->labels);
	rs_container_ports_free(a->ports, a->n_ports);
	free(a->conflict);
	free(a->key);
	free(a);
}

void rs_registry_free(struct rs_registry *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->entries.n; i++)
		attached_free(r->entries.v[i]);
	for (size_t i = 0; i < r->graves.n; i++)
		rs_endpoint_free(r->graves.v[i]);
	for (size_t i = 0; i < r->damaged.n; i++)
		free(r->damaged.v[i]);
	for (size_t i = 0; i < r->strays.n; i++)
		free(r->strays.v[i].key);
	rs_vec_free(&r->strays);
	rs_vec_free(&r->entries);
	rs_vec_free(&r->graves);
	rs_vec_free(&r->damaged);
	rs_glance_free(&r->glance);
	free(r->locals);
	free(r);
}

/* ---- finding --------------------------------------------------------------------------------- */

struct rs_attached *rs_registry_find(const struct rs_registry *r, const char *container_id,
				     const char *ifname)
{
	for (size_t i = 0; i < r->entries.n; i++) {
		const struct rs_endpoint *e = r->entries.v[i]->rec;

		if (!strcmp(e->container_id, container_id) && !strcmp(e->ifname, ifname))
			return r->entries.v[i];
	}
	return NULL;
}

struct rs_attached *rs_registry_by_pod(const struct rs_registry *r, const char *ns,
				       const char *name)
{
	struct rs_attached *best = NULL;

	for (size_t i = 0; i < r->entries.n; i++) {
		struct rs_attached *a = r->entries.v[i];

		if (strcmp(a->rec->pod_ns, ns) != 0 || strcmp(a->rec->pod_name, name) != 0)
			continue;
		if (!best || (best->conflict && !a->conflict) ||
		    a->rec->created_s > best->rec->created_s)
			best = a;
	}
	return best;
}

static bool holds(const struct rs_endpoint *e, const struct rs_addr *a)
{
	for (size_t i = 0; i < e->n_ips; i++)
		if (!rs_addr_cmp(&e->ips[i], a))
			return true;
	return false;
}

struct rs_attached *rs_registry_by_addr(const struct rs_registry *r, const struct rs_addr *a)
{
	for (size_t i = 0; i < r->entries.n; i++)
		if (!r->entries.v[i]->conflict && holds(r->entries.v[i]->rec, a))
			return r->entries.v[i];
	return NULL;
}

/* An entry, other than `self`, that holds one of e's addresses. */
static struct rs_attached *rival(const struct rs_registry *r, const struct rs_endpoint *e,
				 const struct rs_attached *self, const struct rs_addr **which)
{
	for (size_t i = 0; i < e->n_ips; i++) {
		struct rs_attached *a = rs_registry_by_addr(r, &e->ips[i]);

		*which = &e->ips[i];
		if (a && a != self)
			return a;
	}
	return NULL;
}

/* ---- order and the compiler's view ----------------------------------------------------------- */

static int by_name(const void *pa, const void *pb)
{
	const struct rs_attached *a = *(struct rs_attached *const *)pa;
	const struct rs_attached *b = *(struct rs_attached *const *)pb;
	int d = strcmp(a->rec->pod_ns, b->rec->pod_ns);

	if (d == 0)
		d = strcmp(a->rec->pod_name, b->rec->pod_name);
	return d ? d : strcmp(a->key, b->key);
}

struct rs_attached *const *rs_registry_list(struct rs_registry *r, size_t *n)
{
	if (r->entries.n && !r->sorted)
		qsort(r->entries.v, r->entries.n, sizeof(*r->entries.v), by_name);
	r->sorted = true;
	*n = r->entries.n;
	return r->entries.v;
}

static void fill_local(struct rs_local_pod *l, const struct rs_attached *a)
{
	l->ns = a->rec->pod_ns;
	l->name = a->rec->pod_name;
	l->labels = &a->labels;
	l->closed = a->closed;
	l->ips = a->rec->ips;
	l->n_ips = a->rec->n_ips;
	l->ports = a->ports;
	l->n_ports = a->n_ports;
	l->ifindex = a->has_link ? a->rec->host_ifindex : 0;
	l->ifname = a->rec->host_ifname;
	l->stamp = a->stamp;
	memcpy(l->mac, a->rec->pod_mac, sizeof(l->mac));
	l->ll = a->rec->ll;
}

const struct rs_local_pod *rs_registry_locals(struct rs_registry *r, size_t *n)
{
	struct rs_attached *const *v = rs_registry_list(r, n);
	size_t used = 0;

	free(r->locals);
	r->locals = rs_new0(struct rs_local_pod, *n);
	for (size_t i = 0; i < *n; i++)
		if (!v[i]->conflict)
			fill_local(&r->locals[used++], v[i]);
	*n = used;
	return r->locals;
}

/* ---- links ----------------------------------------------------------------------------------- */

/* Whether the host's link is the one the record speaks of. -ENODEV when it is not there at all. */
int rs_attached_verify_link(const struct rs_registry *r, const struct rs_endpoint *e,
			    struct rs_err *err)
{
	struct rs_link link = { 0 };
	int rc = r->cfg.host->link(r->cfg.host->arg, e->host_ifname, &link, err);

	if (rc < 0)
		return rc;
	if (!e->host_ifindex || link.ifindex != e->host_ifindex)
		return rs_err_set(err, ENODEV, "link %s has index %u, the record says %u",
				  e->host_ifname, link.ifindex, e->host_ifindex);
	if (strcmp(link.kind, "veth") != 0)
		return rs_err_set(err, EINVAL, "link %s is no veth", e->host_ifname);
	if (link.group != r->cfg.link_group)
		return rs_err_set(err, EINVAL, "link %s is in group %u, pod links are in %u",
				  e->host_ifname, link.group, r->cfg.link_group);
	return 0;
}

/* One entry whose link is to be looked at again; whether the guard changes. */
static bool check_link(const struct rs_registry *r, struct rs_attached *a, int64_t now_ms)
{
	rs_auto_err err = { 0 };
	int rc = rs_attached_verify_link(r, a->rec, &err);
	bool had = a->has_link;

	if (rc == 0) {
		a->has_link = true;
		a->gone_since_ms = 0;
	} else if (rc == -ENODEV) {
		a->has_link = false;
		if (!a->gone_since_ms)
			a->gone_since_ms = now_ms;
	} else if (rc == -EINVAL) {
		a->has_link = false; /* there, but not as a pod link: closed, never released */
		a->gone_since_ms = 0;
	}
	return had != a->has_link;
}

bool rs_registry_check_links(struct rs_registry *r, int64_t now_ms, int64_t limit_ms)
{
	bool changed = false;

	for (size_t i = 0; i < r->entries.n;) {
		struct rs_attached *a = r->entries.v[i];

		changed |= check_link(r, a, now_ms);
		if (a->gone_since_ms && now_ms - a->gone_since_ms >= limit_ms) {
			rs_log(RS_LOG_WARN, "released: its link is gone and no DEL came", "pod",
			       a->rec->pod_name, "namespace", a->rec->pod_ns, "containerID",
			       a->rec->container_id, "link", a->rec->host_ifname, NULL);
			rs_registry_entomb(r, rs_endpoint_copy(a->rec));
			rs_registry_drop(r, a);
			changed = true;
		} else {
			i++;
		}
	}
	return changed;
}

/* ---- coming and going ------------------------------------------------------------------------ */

static void labels_from_record(struct rs_attached *a)
{
	for (size_t i = 0; i < a->rec->n_labels; i++)
		rs_labels_set(&a->labels, a->rec->labels[i].key, a->rec->labels[i].value);
	a->ports = rs_new0(struct rs_container_port, a->rec->n_ports);
	for (size_t i = 0; i < a->rec->n_ports; i++) {
		a->ports[i].name = rs_strdup(a->rec->ports[i].name);
		a->ports[i].proto = a->rec->ports[i].proto;
		a->ports[i].port = a->rec->ports[i].port;
	}
	a->n_ports = a->rec->n_ports;
}

struct rs_attached *rs_registry_insert(struct rs_registry *r, struct rs_endpoint *rec)
{
	struct rs_attached *a = rs_new(struct rs_attached);

	a->key = rs_attached_key(rec->container_id, rec->ifname);
	a->rec = rec;
	labels_from_record(a);
	a->stamp = rs_local_stamp();
	a->closed = r->cfg.labels_from_api && rec->label_origin != RS_LABELS_API;
	*rs_vec_push(&r->entries) = a;
	r->sorted = false;
	r->news = true;
	return a;
}

void rs_registry_drop(struct rs_registry *r, struct rs_attached *a)
{
	for (size_t i = 0; i < r->entries.n; i++)
		if (r->entries.v[i] == a) {
			r->entries.v[i] = r->entries.v[--r->entries.n];
			r->sorted = false;
			attached_free(a);
			return;
		}
}

static bool record_is_gone(const struct rs_registry *r, const struct rs_endpoint *e)
{
	struct rs_endpoint *now = NULL;
	int rc = rs_endpoint_load(r->cfg.records, e->container_id, e->ifname, &now, NULL);

	rs_endpoint_free(now);
	return rc == -ENOENT;
}

static int verify_addrs(struct rs_registry *r, const struct rs_endpoint *e,
			const struct rs_attached *self, struct rs_err *err)
{
	const struct rs_addr *which = NULL;
	struct rs_attached *other;
	char text[RS_ADDR_STRLEN];

	if (e->n_ips == 0)
		return rs_err_set(err, EINVAL, "the record holds no address");
	for (size_t i = 0; i < e->n_ips; i++) {
		int rc = r->cfg.host->own_addr(r->cfg.host->arg, &e->ips[i], err);

		if (rc < 0)
			return rc;
		if (rc > 0)
			return rs_err_set(err, EADDRINUSE, "%s is this node's own address",
					  rs_addr_str(&e->ips[i], text));
	}
	while ((other = rival(r, e, self, &which))) {
		if (!record_is_gone(r, other->rec)) {
			rs_err_set(err, EADDRINUSE, "%s is held by pod %s/%s (%s)",
				   rs_addr_str(which, text), other->rec->pod_ns,
				   other->rec->pod_name, other->key);
			return rs_err_cni(err, RS_CNI_TRY_AGAIN);
		}
		rs_registry_drop(r, other);
	}
	return 0;
}

static int verify(struct rs_registry *r, const struct rs_endpoint *e,
		  const struct rs_attached *self, struct rs_err *err)
{
	int rc;

	if (e->state != RS_ENDPOINT_LIVE)
		return rs_err_set(err, ESTALE, "the record is a tombstone: its DEL has begun");
	if (!e->boot_id || strcmp(e->boot_id, r->cfg.boot_id) != 0)
		return rs_err_set(err, ESTALE, "the record is of another boot");
	rc = rs_attached_verify_link(r, e, err);
	return rc < 0 ? rc : verify_addrs(r, e, self, err);
}

int rs_registry_record(const struct rs_registry *r, const char *container_id, const char *ifname,
		       struct rs_endpoint **out, struct rs_err *err)
{
	return rs_endpoint_load(r->cfg.records, container_id, ifname, out, err);
}

int rs_registry_admit(struct rs_registry *r, const char *container_id, const char *ifname,
		      struct rs_attached **out, struct rs_err *err)
{
	struct rs_endpoint *rec = NULL;
	struct rs_attached *old;
	int rc = rs_endpoint_load(r->cfg.records, container_id, ifname, &rec, err);

	if (rc < 0)
		return rc;
	old = rs_registry_find(r, container_id, ifname);
	rc = verify(r, rec, old, err);
	if (rc < 0) {
		rs_endpoint_free(rec);
		return rc;
	}
	if (old)
		rs_registry_drop(r, old);
	*out = rs_registry_insert(r, rec);
	(*out)->has_link = true;
	if ((*out)->closed && rec->n_labels)
		rs_log(RS_LOG_INFO, "labels of the runtime are not used: the API's count", "pod",
		       rec->pod_name, "namespace", rec->pod_ns, "origin",
		       rs_label_origin_name(rec->label_origin), NULL);
	return 0;
}

/* At start: of two records with one address the one whose link is there counts, else the older. */
void rs_registry_settle_conflicts(struct rs_registry *r)
{
	for (size_t i = 0; i < r->entries.n; i++) {
		struct rs_attached *a = r->entries.v[i];
		const struct rs_addr *which = NULL;
		struct rs_attached *b = a->conflict ? NULL : rival(r, a->rec, a, &which);
		struct rs_attached *loser;
		char text[RS_ADDR_STRLEN];

		if (!b)
			continue;
		if (a->has_link != b->has_link)
			loser = a->has_link ? b : a;
		else
			loser = a->rec->created_s > b->rec->created_s ? a : b;
		loser->conflict = rs_asprintf("%s is held by %s too", rs_addr_str(which, text),
					      loser == a ? b->key : a->key);
		i--; /* it may have more than one rival */
	}
}
