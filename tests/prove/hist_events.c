// SPDX-License-Identifier: Apache-2.0
/* hist_events.c - what happens to objects and to the pods of this node. */
#include <stdio.h>
#include <string.h>

#include "base/jsonio.h"
#include "tests/prove/hist_events.h"

#define MAX_LOCALS 24

static void set_str(json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, json_object_new_string(value));
}

static void set_uid(struct hist *h, json_object *o)
{
	rs_autofree char *uid = rs_asprintf("uid-%u", h->serial++);

	set_str(hist_meta(o), "uid", uid);
}

static void set_ips(json_object *o, const struct rs_addr *ips, size_t n)
{
	json_object *status = hist_sub(o, "status"), *list = json_object_new_array();
	char text[RS_ADDR_STRLEN];

	for (size_t i = 0; i < n; i++) {
		json_object *ip = json_object_new_object();

		set_str(ip, "ip", rs_addr_str(&ips[i], text));
		json_object_array_add(list, ip);
	}
	json_object_object_del(status, "podIP");
	json_object_object_add(status, "podIPs", list);
}

/* Fresh addresses of this node, one a family at most. */
static size_t fresh_ips(struct hist *h, struct rs_addr ips[2])
{
	size_t n = 0;

	for (int family = 4; family <= 6; family += 2)
		if (pv_chance(&h->rng, 90) && hist_fresh_addr(h, family, &ips[n]))
			n++;
	return n;
}

static void take_labels(struct hist *h, json_object *o)
{
	json_object *from =
		hist_sample(h, pv_chance(&h->rng, 80) ? RS_KIND_POD : RS_KIND_NAMESPACE);
	json_object *labels = from ? rs_json_get(hist_meta(from), "labels") : NULL;

	json_object_object_del(hist_meta(o), "labels");
	if (labels)
		json_object_object_add(hist_meta(o), "labels", hist_copy(labels));
}

/* A copy of an object that a step changes and puts back. */
static json_object *changed(struct hist *h, enum rs_kind kind)
{
	struct hist_object *obj = hist_pick(h, kind);

	return obj ? hist_copy(obj->o) : NULL;
}

static int put(struct hist *h, enum rs_kind kind, json_object *o, const char *what)
{
	hist_note(h, "%s %s/%s %s", rs_kind_name(kind), hist_ns(o) ? hist_ns(o) : "", hist_name(o),
		  what);
	hist_put(h, kind, o);
	return 0;
}

/* ---- pods ------------------------------------------------------------------------------------ */

int hist_pod_comes(struct hist *h)
{
	json_object *from = hist_sample(h, RS_KIND_POD), *o, *status;
	struct hist_object *ns = hist_pick(h, RS_KIND_NAMESPACE);
	rs_autofree char *name = rs_asprintf("h%u", h->serial++);
	struct rs_addr ips[2];

	if (!from)
		return 0;
	o = hist_copy(from);
	set_str(hist_meta(o), "name", name);
	if (ns)
		set_str(hist_meta(o), "namespace", hist_name(ns->o));
	set_uid(h, o);
	take_labels(h, o);
	set_str(hist_sub(o, "spec"), "nodeName", h->node);
	json_object_object_del(hist_sub(o, "spec"), "hostNetwork");
	status = json_object_new_object();
	set_str(status, "phase", "Pending");
	json_object_object_add(o, "status", status);
	if (pv_chance(&h->rng, 50))
		set_ips(o, ips, fresh_ips(h, ips));
	return put(h, RS_KIND_POD, o, "comes");
}

int hist_pod_goes(struct hist *h)
{
	struct hist_object *obj = hist_pick(h, RS_KIND_POD);

	if (!obj)
		return 0;
	hist_note(h, "Pod %s/%s goes", hist_ns(obj->o), hist_name(obj->o));
	hist_drop(h, obj);
	return 0;
}

int hist_pod_relabelled(struct hist *h)
{
	json_object *o = changed(h, RS_KIND_POD);

	if (!o)
		return 0;
	take_labels(h, o);
	return put(h, RS_KIND_POD, o, "relabelled");
}

int hist_pod_phase(struct hist *h)
{
	static const char *const phases[] = { "Pending", "Running", "Succeeded", "Failed", "Odd" };
	json_object *o = changed(h, RS_KIND_POD);

	if (!o)
		return 0;
	set_str(hist_sub(o, "status"), "phase", phases[pv_below(&h->rng, 5)]);
	return put(h, RS_KIND_POD, o, "has another phase");
}

int hist_pod_terminates(struct hist *h)
{
	json_object *o = changed(h, RS_KIND_POD);

	if (!o)
		return 0;
	set_str(hist_meta(o), "deletionTimestamp", "2026-01-01T00:00:00Z");
	return put(h, RS_KIND_POD, o, "terminates");
}

int hist_pod_addressed(struct hist *h)
{
	json_object *o = changed(h, RS_KIND_POD);
	struct rs_addr ips[2];

	if (!o)
		return 0;
	if (pv_chance(&h->rng, 25))
		json_object_object_del(hist_sub(o, "status"), "podIPs");
	else
		set_ips(o, ips, fresh_ips(h, ips));
	return put(h, RS_KIND_POD, o, "has another address");
}

/* The API's UID is not the one that a record may know (static pods). */
int hist_pod_uid(struct hist *h)
{
	json_object *o = changed(h, RS_KIND_POD);

	if (!o)
		return 0;
	set_uid(h, o);
	return put(h, RS_KIND_POD, o, "has another UID");
}

/* ---- pods of this node ----------------------------------------------------------------------- */

static void drop_local(struct hist *h, uint32_t i)
{
	hist_note(h, "DEL %s/%s", h->locals.v[i].ns, h->locals.v[i].name);
	hist_del_local(h, i);
	h->settled = false;
}

static int attach(struct hist *h, const char *ns, const char *name)
{
	struct rs_addr ips[2];
	char text[RS_ADDR_STRLEN];
	size_t n;

	if (h->locals.n >= MAX_LOCALS)
		drop_local(h, pv_below(&h->rng, (uint32_t)h->locals.n));
	n = fresh_ips(h, ips);
	if (!n)
		return 0;
	hist_note(h, "ADD %s/%s with %s", ns, name, rs_addr_str(&ips[0], text));
	hist_add_local(h, ns, name, ips, n);
	h->settled = false;
	return 0;
}

int hist_add(struct hist *h)
{
	struct hist_object *obj = hist_pick_homeless(h);

	if (!obj && hist_pod_comes(h) == 0)
		obj = hist_pick_homeless(h);
	return obj ? attach(h, hist_ns(obj->o), hist_name(obj->o)) : 0;
}

int hist_del(struct hist *h)
{
	if (h->locals.n)
		drop_local(h, pv_below(&h->rng, (uint32_t)h->locals.n));
	return 0;
}

/* The record's address comes first; status may say it later, never, or something else. */
int hist_add_before_status(struct hist *h)
{
	struct hist_object *obj = hist_pick_homeless(h);
	const struct hist_local *l;
	json_object *o;
	int rc;

	if (!obj)
		return hist_add(h);
	o = hist_copy(obj->o);
	json_object_object_del(hist_sub(o, "status"), "podIPs");
	json_object_object_del(hist_sub(o, "status"), "podIP");
	rc = attach(h, hist_ns(o), hist_name(o));
	put(h, RS_KIND_POD, o, "has no address in its status");
	if (rc || !h->locals.n || !pv_chance(&h->rng, 60))
		return rc;
	if (pv_chance(&h->rng, 50))
		rc = hist_compile(h, HIST_COMMITTED);
	l = &h->locals.v[h->locals.n - 1];
	obj = hist_find(h, RS_KIND_POD, l->ns, l->name);
	if (rc || !obj)
		return rc;
	o = hist_copy(obj->o);
	set_ips(o, l->ips, l->n_ips);
	return put(h, RS_KIND_POD, o, "has its address in its status now");
}

/* The address of one pod goes on to another one, in any order of events (F6). */
int hist_address_goes_on(struct hist *h)
{
	struct hist_object *heir = hist_pick_homeless(h), *was;
	struct rs_addr ips[2];
	rs_autofree char *ns = NULL, *name = NULL;
	bool early = pv_chance(&h->rng, 50);
	struct hist_local *l;
	size_t n;

	if (!heir || !h->locals.n)
		return hist_add(h);
	l = &h->locals.v[pv_below(&h->rng, (uint32_t)h->locals.n)];
	n = l->n_ips;
	memcpy(ips, l->ips, sizeof(ips));
	ns = rs_strdup(l->ns);
	name = rs_strdup(l->name);
	hist_note(h, "%s/%s takes the address of %s/%s, whose object goes %s", hist_ns(heir->o),
		  hist_name(heir->o), ns, name, early ? "first" : "last");
	was = hist_find(h, RS_KIND_POD, ns, name);
	if (early && was)
		hist_drop(h, was);
	heir = hist_pick_homeless(h);
	hist_del_local(h, (size_t)(l - h->locals.v));
	h->settled = false;
	if (heir) {
		json_object *o = hist_copy(heir->o);

		hist_add_local(h, hist_ns(o), hist_name(o), ips, n);
		set_ips(o, ips, n);
		hist_put(h, RS_KIND_POD, o);
	}
	was = hist_find(h, RS_KIND_POD, ns, name);
	if (!early && was)
		hist_drop(h, was);
	return 0;
}

/* The same name, another UID, another sandbox; the old sandbox's DEL may be late (F19). */
int hist_successor(struct hist *h)
{
	uint32_t i = h->locals.n ? pv_below(&h->rng, (uint32_t)h->locals.n) : 0, ifindex;
	rs_autofree char *ns = NULL, *name = NULL;
	struct hist_object *obj;
	int rc;

	if (!h->locals.n)
		return hist_add(h);
	ns = rs_strdup(h->locals.v[i].ns);
	name = rs_strdup(h->locals.v[i].name);
	ifindex = h->locals.v[i].ifindex;
	obj = hist_find(h, RS_KIND_POD, ns, name);
	if (obj && pv_chance(&h->rng, 70)) {
		json_object *o = hist_copy(obj->o);

		if (pv_chance(&h->rng, 50))
			hist_drop(h, obj);
		set_uid(h, o);
		take_labels(h, o);
		put(h, RS_KIND_POD, o, "has a successor");
	}
	rc = attach(h, ns, name);
	if (rc == 0 && pv_chance(&h->rng, 60))
		rc = hist_compile(h, HIST_COMMITTED);
	for (i = 0; i < h->locals.n; i++)
		if (h->locals.v[i].ifindex == ifindex) {
			drop_local(h, i);
			break;
		}
	return rc;
}
