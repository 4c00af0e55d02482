// SPDX-License-Identifier: Apache-2.0
/* hist_policies.c - what happens to namespaces, policies and nodes. */
#include <stdio.h>
#include <string.h>

#include "base/jsonio.h"
#include "tests/prove/hist_events.h"

static int put(struct hist *h, enum rs_kind kind, json_object *o, const char *what)
{
	hist_note(h, "%s %s/%s %s", rs_kind_name(kind), hist_ns(o) ? hist_ns(o) : "", hist_name(o),
		  what);
	hist_put(h, kind, o);
	return 0;
}

static void set_uid(struct hist *h, json_object *o)
{
	rs_autofree char *uid = rs_asprintf("uid-%u", h->serial++);

	json_object_object_add(hist_meta(o), "uid", json_object_new_string(uid));
}

static json_object *changed(struct hist *h, enum rs_kind kind)
{
	struct hist_object *obj = hist_pick(h, kind);

	return obj ? hist_copy(obj->o) : NULL;
}

/* ---- namespaces ------------------------------------------------------------------------------ */

static void take_labels(struct hist *h, json_object *o)
{
	json_object *from =
		hist_sample(h, pv_chance(&h->rng, 60) ? RS_KIND_NAMESPACE : RS_KIND_POD);
	json_object *labels = from ? rs_json_get(hist_meta(from), "labels") : NULL;
	json_object *copy = labels ? hist_copy(labels) : json_object_new_object();

	json_object_object_add(copy, "kubernetes.io/metadata.name",
			       json_object_new_string(hist_name(o)));
	json_object_object_add(hist_meta(o), "labels", copy);
}

int hist_ns_relabelled(struct hist *h)
{
	json_object *o = changed(h, RS_KIND_NAMESPACE);

	if (!o)
		return 0;
	take_labels(h, o);
	return put(h, RS_KIND_NAMESPACE, o, "relabelled");
}

int hist_ns_goes(struct hist *h)
{
	struct hist_object *obj = hist_pick(h, RS_KIND_NAMESPACE);

	if (!obj)
		return 0;
	hist_note(h, "Namespace %s goes", hist_name(obj->o));
	hist_drop(h, obj);
	return 0;
}

/* One that there was, with other labels; deleted just before if it is there still (F24). */
int hist_ns_again(struct hist *h)
{
	json_object *from = hist_sample(h, RS_KIND_NAMESPACE), *o;
	struct hist_object *obj;

	if (!from)
		return 0;
	o = hist_copy(from);
	json_object_object_del(hist_meta(o), "deletionTimestamp");
	set_uid(h, o);
	take_labels(h, o);
	obj = hist_find(h, RS_KIND_NAMESPACE, NULL, hist_name(o));
	if (obj)
		hist_drop(h, obj);
	return put(h, RS_KIND_NAMESPACE, o, "made again");
}

/* ---- policies -------------------------------------------------------------------------------- */

static bool homed(struct hist *h, json_object *o)
{
	struct hist_object *ns = hist_pick(h, RS_KIND_NAMESPACE);

	if (ns)
		json_object_object_add(hist_meta(o), "namespace",
				       json_object_new_string(hist_name(ns->o)));
	return ns;
}

int hist_policy_comes(struct hist *h)
{
	json_object *from = hist_sample(h, RS_KIND_POLICY), *o;
	rs_autofree char *name = rs_asprintf("np%u", h->serial++);

	if (!from)
		return 0;
	o = hist_copy(from);
	json_object_object_add(hist_meta(o), "name", json_object_new_string(name));
	set_uid(h, o);
	homed(h, o);
	return put(h, RS_KIND_POLICY, o, "comes");
}

int hist_policy_goes(struct hist *h)
{
	struct hist_object *obj = hist_pick(h, RS_KIND_POLICY);

	if (!obj)
		return 0;
	hist_note(h, "NetworkPolicy %s/%s goes", hist_ns(obj->o), hist_name(obj->o));
	hist_drop(h, obj);
	return 0;
}

/* A part of it is another's now. */
int hist_policy_edited(struct hist *h)
{
	static const char *const parts[] = { "podSelector", "ingress", "egress", "policyTypes" };
	json_object *o = changed(h, RS_KIND_POLICY), *from = hist_sample(h, RS_KIND_POLICY);
	const char *part = parts[pv_below(&h->rng, 4)];
	json_object *value;

	if (!o || !from) {
		json_object_put(o);
		return 0;
	}
	value = rs_json_get(rs_json_get(from, "spec"), part);
	if (value)
		json_object_object_add(hist_sub(o, "spec"), part, hist_copy(value));
	else
		json_object_object_del(hist_sub(o, "spec"), part);
	return put(h, RS_KIND_POLICY, o, "edited");
}

/* A rule of a policy, of either direction; NULL: it has none. */
static json_object *some_rule(struct hist *h, json_object *policy, const char **peers)
{
	bool in = pv_chance(&h->rng, 50);
	json_object *rules = rs_json_get(rs_json_get(policy, "spec"), in ? "ingress" : "egress");
	size_t n =
		json_object_is_type(rules, json_type_array) ? json_object_array_length(rules) : 0;
	json_object *rule;

	*peers = in ? "from" : "to";
	if (!n)
		return NULL;
	rule = json_object_array_get_idx(rules, pv_below(&h->rng, (uint32_t)n));
	return json_object_is_type(rule, json_type_object) ? rule : NULL;
}

/* The same peers, other ports: cells of the same class and group change. */
int hist_policy_ports(struct hist *h)
{
	json_object *o = changed(h, RS_KIND_POLICY), *from = hist_sample(h, RS_KIND_POLICY);
	const char *peers;
	json_object *rule = o ? some_rule(h, o, &peers) : NULL;
	json_object *other = from ? some_rule(h, from, &peers) : NULL;

	if (!rule || !other) {
		json_object_put(o);
		return 0;
	}
	json_object_object_del(rule, "ports");
	if (rs_json_get(other, "ports"))
		json_object_object_add(rule, "ports", hist_copy(rs_json_get(other, "ports")));
	return put(h, RS_KIND_POLICY, o, "has other ports");
}

/* One block among these peers, or NULL. */
static const char *some_block(struct hist *h, json_object *list)
{
	const char *got = NULL;
	uint32_t seen = 0;

	if (!json_object_is_type(list, json_type_array))
		return NULL;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		json_object *peer = json_object_array_get_idx(list, i);
		const char *cidr =
			json_object_is_type(peer, json_type_object)
				? rs_json_text(rs_json_get(peer, "ipBlock"), "cidr", NULL)
				: NULL;

		if (cidr && pv_below(&h->rng, ++seen) == 0)
			got = cidr;
	}
	return got;
}

/* A part of a block that others name gets one of its own: it leaves the class of the rest. */
int hist_policy_block(struct hist *h)
{
	json_object *o = changed(h, RS_KIND_POLICY), *from = hist_sample(h, RS_KIND_POLICY);
	json_object *rule, *list, *peer;
	const char *peers = "from", *cidr;
	char text[RS_CIDR_STRLEN];
	struct rs_cidr c;

	rule = from ? some_rule(h, from, &peers) : NULL;
	cidr = rule ? some_block(h, rs_json_get(rule, peers)) : NULL;
	rule = o ? some_rule(h, o, &peers) : NULL;
	if (!cidr || !rule || rs_cidr_parse(cidr, &c, NULL, NULL) < 0) {
		json_object_put(o);
		return 0;
	}
	for (uint32_t n = 1 + pv_below(&h->rng, 4); n && c.len < rs_addr_bits(c.addr.family); n--)
		c.len++;
	list = rs_json_get(rule, peers);
	if (list && !json_object_is_type(list, json_type_array)) {
		json_object_put(o);
		return 0;
	}
	if (!list) {
		list = json_object_new_array();
		json_object_object_add(rule, peers, list);
	}
	peer = json_object_new_object();
	json_object_object_add(hist_sub(peer, "ipBlock"), "cidr",
			       json_object_new_string(rs_cidr_str(&c, text)));
	json_object_array_add(list, peer);
	return put(h, RS_KIND_POLICY, o, "has one more block");
}

/* Deleted and made again under its name, within one batch or two (F25). */
int hist_policy_again(struct hist *h)
{
	struct hist_object *obj = hist_pick(h, RS_KIND_POLICY);
	json_object *from = hist_sample(h, RS_KIND_POLICY), *o, *spec;
	int rc = 0;

	if (!obj || !from)
		return 0;
	o = hist_copy(obj->o);
	set_uid(h, o);
	spec = rs_json_get(from, "spec");
	if (spec && pv_chance(&h->rng, 70))
		json_object_object_add(o, "spec", hist_copy(spec));
	hist_drop(h, obj);
	if (pv_chance(&h->rng, 30)) {
		rc = hist_deliver(h, RS_KIND_POLICY);
		if (rc == 0)
			rc = hist_compile(h, HIST_COMMITTED);
	}
	put(h, RS_KIND_POLICY, o, "made again");
	return rc;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

/* A Node loses its ranges, gets those of another, or goes. */
int hist_node_changed(struct hist *h)
{
	struct hist_object *obj = hist_pick(h, RS_KIND_NODE);
	json_object *from = hist_sample(h, RS_KIND_NODE), *o, *ranges;

	if (!from)
		return 0;
	if (obj && pv_chance(&h->rng, 25)) {
		hist_note(h, "Node %s goes", hist_name(obj->o));
		hist_drop(h, obj);
		return 0;
	}
	o = hist_copy(from);
	if (obj && pv_chance(&h->rng, 60)) {
		/* Another's ranges under this one's name. */
		json_object_object_add(hist_meta(o), "name",
				       json_object_new_string(hist_name(obj->o)));
	}
	ranges = rs_json_get(hist_sub(o, "spec"), "podCIDRs");
	if (ranges && json_object_array_length(ranges) > 1 && pv_chance(&h->rng, 30))
		json_object_array_del_idx(ranges, pv_below(&h->rng, 2), 1);
	return put(h, RS_KIND_NODE, o, "has other ranges");
}
