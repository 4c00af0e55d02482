// SPDX-License-Identifier: Apache-2.0
/* droprecord.c - a dropped packet becomes a record; see droprecord.h. */
#include "agent/droprecord.h"

#include <string.h>

#include "agent/dropjson.h"
#include "base/jsonio.h"

#define REMEMBERED 128
#define REMEMBER_MS 1000
/* Explaining walks all policies of a namespace: a flood must not keep the loop from its work. */
#define EXPLAINS_A_SECOND 50
#define MAX_LABELS 32

/* What one record has in common with the next of its flow. */
struct known {
	struct rs_dp_drop key;
	uint64_t generation, revision;
	int64_t until_ms;
	struct rs_drop_story story;
	char *src, *dst, *pod, *policy, *policies;
};

struct rs_droprecord {
	struct rs_agent *agent;
	struct known known[REMEMBERED];
	size_t turn;
	int64_t second; /* the one in which `explained` were */
	unsigned int explained;
};

struct rs_droprecord *rs_droprecord_new(struct rs_agent *a)
{
	struct rs_droprecord *r = rs_new(struct rs_droprecord);

	r->agent = a;
	return r;
}

static void known_clear(struct known *k)
{
	json_object_put(k->story.source);
	json_object_put(k->story.destination);
	json_object_put(k->story.denied_by);
	json_object_put(k->story.nearest);
	free(k->story.note);
	free(k->src);
	free(k->dst);
	free(k->pod);
	free(k->policy);
	free(k->policies);
	memset(k, 0, sizeof(*k));
}

void rs_droprecord_free(struct rs_droprecord *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < REMEMBERED; i++)
		known_clear(&r->known[i]);
	free(r);
}

/* ---- ends ------------------------------------------------------------------------------------ */

struct end {
	const struct rs_addr *addr;
	const struct rs_attached *local;
	const struct rs_pod *pod; /* of the store, also of a local one */
	bool node;
};

static const struct rs_attached *by_link(struct rs_agent *a, uint32_t ifindex)
{
	size_t n;
	struct rs_attached *const *v = rs_registry_list(a->reg, &n);

	for (size_t i = 0; i < n && ifindex; i++)
		if (v[i]->rec->host_ifindex == ifindex)
			return v[i];
	return NULL;
}

static const struct rs_pod *by_address(const struct rs_store *s, const struct rs_addr *addr)
{
	size_t n;
	const struct rs_pod *const *pods = rs_store_pods(s, &n);

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < pods[i]->n_ips; j++)
			if (!pods[i]->host_network && !rs_pod_finished(pods[i]) &&
			    !rs_addr_cmp(&pods[i]->ips[j], addr))
				return pods[i];
	return NULL;
}

/* forged: whose address it is says nothing. */
static void find_end(struct rs_agent *a, const struct rs_world *w, const struct rs_addr *addr,
		     uint32_t ifindex, bool forged, struct end *e)
{
	*e = (struct end){ .addr = addr, .local = by_link(a, ifindex) };
	if (!e->local && !forged && addr->family)
		e->local = rs_registry_by_addr(a->reg, addr);
	if (e->local)
		e->pod = rs_store_pod(w->store, e->local->rec->pod_ns, e->local->rec->pod_name);
	else if (!forged && addr->family)
		e->pod = by_address(w->store, addr);
	if (!e->local && !e->pod && !forged && addr->family)
		e->node = a->host.own_addr(a->host.arg, addr, NULL) > 0;
}

static const char *ns_of(const struct end *e)
{
	return e->local ? e->local->rec->pod_ns : e->pod ? e->pod->meta.ns : NULL;
}

static const char *name_of(const struct end *e)
{
	return e->local ? e->local->rec->pod_name : e->pod ? e->pod->meta.name : NULL;
}

static char *full_name(const struct end *e)
{
	return name_of(e) ? rs_asprintf("%s/%s", ns_of(e), name_of(e)) : NULL;
}

static struct json_object *labels_json(const struct rs_labels *l)
{
	struct json_object *o = json_object_new_array();

	for (size_t i = 0; i < l->n && i < MAX_LABELS; i++) {
		rs_autofree char *text = rs_asprintf("%s=%s", l->v[i].key, l->v[i].value);

		rs_utf8_scrub(text, strlen(text));
		json_object_array_add(o, json_object_new_string(text));
	}
	return o;
}

/* A ReplicaSet that a Deployment made is called like it, and ends in the template's hash. */
static struct json_object *workload_json(const struct rs_pod *pod)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();
	const char *hash = rs_labels_get(&pod->meta.labels, "pod-template-hash");
	size_t len = strlen(pod->owner_name), tail = hash ? strlen(hash) + 1 : 0;
	bool made = !strcmp(pod->owner_kind, "ReplicaSet") && hash && len > tail &&
		    pod->owner_name[len - tail] == '-' &&
		    !strcmp(pod->owner_name + len - tail + 1, hash);
	rs_autofree char *name = rs_strndup(pod->owner_name, made ? len - tail : len);

	rs_json_add_str(o, "kind", made ? "Deployment" : pod->owner_kind);
	rs_json_add_str(o, "name", name);
	json_object_array_add(list, o);
	return list;
}

static struct json_object *end_json(const struct rs_world *w, const struct end *e, bool forged)
{
	struct json_object *o = json_object_new_object(), *labels = NULL;

	rs_json_add_str(o, "namespace", ns_of(e));
	rs_json_add_str(o, "pod_name", name_of(e));
	if (e->pod && e->pod->owner_kind && e->pod->owner_name)
		json_object_object_add(o, "workloads", workload_json(e->pod));
	if (e->local)
		labels = labels_json(&e->local->labels);
	else if (e->pod)
		labels = labels_json(&e->pod->meta.labels);
	else if (e->node)
		json_object_array_add(labels = json_object_new_array(),
				      json_object_new_string("reserved:host"));
	else if (e->addr->family && !forged &&
		 !rs_cidrs_contain(w->pod_ranges, w->n_pod_ranges, e->addr))
		json_object_array_add(labels = json_object_new_array(),
				      json_object_new_string("reserved:world"));
	if (labels)
		json_object_object_add(o, "labels", labels);
	return o;
}

/* ---- why ------------------------------------------------------------------------------------- */

static bool refuses(const struct rs_ir *ir, const struct rs_addr *client,
		    const struct rs_addr *server, uint8_t proto, uint16_t port, bool client_end)
{
	struct rs_ir_verdict v;
	const struct rs_ir_half *h = client_end ? &v.out : &v.in;

	rs_ir_eval(ir, client, server, proto, port, &v);
	return h->applies && !h->allow;
}

/* Where the kernel did not tell which way of its flow a packet went: of the two it is the one that
 * the rules in force refuse. */
static void orient(const struct rs_ir *ir, struct rs_dp_drop *d)
{
	bool there, back;

	if (d->tracked || d->related || !rs_drop_by_policy(d) || !ir || !d->src.family)
		return;
	there = refuses(ir, &d->src, &d->dst, d->proto, d->dport, d->from_pod);
	back = refuses(ir, &d->dst, &d->src, d->proto, d->sport, d->from_pod);
	d->tracked = there != back;
	d->reply = back && !there;
}

static void add_policy(struct known *k, struct rs_strbuf *all, const char *ns, const char *name)
{
	struct json_object *o = json_object_new_object();

	rs_json_add_str(o, "kind", "NetworkPolicy");
	rs_json_add_str(o, "namespace", ns);
	rs_json_add_str(o, "name", name);
	rs_json_add_str(o, "cause", "isolates");
	json_object_array_add(k->story.denied_by, o);
	rs_strbuf_printf(all, "%s%s/%s", all->len ? ", " : "", ns, name);
	if (!k->policy)
		k->policy = rs_strdup(rs_strbuf_str(all));
}

/* Where the kernel told which group of rules refused, and those are in force: its policies. */
static const struct rs_ir_group *group_of(const struct rs_ir *ir, const struct rs_dp_drop *d,
					  enum rs_direction dir)
{
	const struct rs_ir_group *g = NULL;

	if (ir && d->group && d->generation == ir->generation)
		g = rs_ir_group(ir, dir == RS_EGRESS ? RS_DIR_OUT : RS_DIR_IN, d->group);
	return g && g->n_policies ? g : NULL;
}

static void find_policies(const struct rs_world *w, const struct rs_ir *ir,
			  const struct rs_dp_drop *d, const struct rs_attached *subject,
			  struct known *k)
{
	enum rs_direction dir = rs_drop_direction(d);
	const struct rs_ir_group *g = group_of(ir, d, dir);
	rs_auto_strbuf all = { 0 };
	size_t n = 0;
	rs_autofree const struct rs_policy **v =
		g ? NULL : rs_policies_of(w, subject->rec->pod_ns, &subject->labels, dir, &n);

	k->story.denied_by = json_object_new_array();
	for (uint32_t i = 0; g && i < g->n_policies; i++) {
		const struct rs_ir_policy *p =
			&ir->policies[ir->group_policies[g->first_policy + i]];

		add_policy(k, &all, p->ns, p->name);
	}
	for (size_t i = 0; i < n; i++)
		add_policy(k, &all, v[i]->meta.ns, v[i]->meta.name);
	k->policies = rs_strbuf_steal(&all);
	if (subject->closed)
		k->story.note = rs_strdup("the pod's labels are not known: it is closed");
}

static struct json_object *nearest_json(const struct rs_half_explained *h)
{
	const char *path = h->miss_rule ? strchr(h->miss_rule, ' ') : NULL;
	struct json_object *o;
	rs_autofree char *policy = NULL, *why = NULL;

	if (!path || !h->known || h->verdict != RS_VERDICT_DENY)
		return NULL;
	o = json_object_new_object();
	policy = rs_strndup(h->miss_rule, (size_t)(path - h->miss_rule));
	why = rs_asprintf("%s; %s", h->miss_ports ? h->miss_ports : "",
			  h->miss_peers ? h->miss_peers : "");
	rs_json_add_str(o, "policy", policy);
	rs_json_add_str(o, "path", path + 1);
	rs_json_add_str(o, "where", h->miss_where);
	rs_json_add_str(o, "ports", h->miss_ports);
	rs_json_add_str(o, "peers", h->miss_peers);
	rs_json_add_str(o, "why", why);
	return o;
}

/* A packet of the flow's server has its ends the other way round. */
static void make_flow(const struct rs_dp_drop *d, const struct end *src, const struct end *dst,
		      struct rs_flow *f)
{
	const struct end *client = d->reply ? dst : src, *server = d->reply ? src : dst;

	*f = (struct rs_flow){
		.src = { .ns = ns_of(client),
			 .name = name_of(client),
			 .addr = *client->addr,
			 .node = client->node },
		.dst = { .ns = ns_of(server),
			 .name = name_of(server),
			 .addr = *server->addr,
			 .node = server->node },
		.proto = d->proto,
		.port = d->reply ? d->sport : d->dport,
	};
}

static bool may_explain(struct rs_droprecord *r, int64_t now_ms)
{
	if (r->second != now_ms / 1000) {
		r->second = now_ms / 1000;
		r->explained = 0;
	}
	return r->explained++ < EXPLAINS_A_SECOND;
}

/* The rule that came closest, of the policies in force: none where they are about to change, or
 * where the flow is not the packet's own (an error quotes another). */
static void find_nearest(struct rs_droprecord *r, const struct rs_world *w,
			 const struct rs_dp_drop *d, const struct end *src, const struct end *dst,
			 int64_t now_ms, struct known *k)
{
	struct rs_agent *a = r->agent;
	struct rs_explanation *x = NULL;
	struct rs_flow flow;
	rs_auto_err err = { 0 };

	if (!rs_drop_by_policy(d) || d->related || !(d->has_ports || d->has_icmp) ||
	    !rs_reconcile_clean(a->rec) || !may_explain(r, now_ms))
		return;
	make_flow(d, src, dst, &flow);
	if (rs_explain(w, rs_reconcile_ir(a->rec), &flow, &x, &err) < 0)
		return;
	k->story.nearest = nearest_json(d->from_pod ? &x->egress : &x->ingress);
	rs_explanation_free(x);
}

static const char *note_of(const struct rs_dp_drop *d)
{
	switch (d->reason) {
	case RS_DROP_NOT_PROGRAMMED:
		return "the pod's link has no rules yet, or no longer";
	case RS_DROP_SPOOFED:
		return d->iif ? "the source address is not of the link that it came from"
			      : "the source address is not the sender's";
	case RS_DROP_INVALID:
		return "no flow that is known, or not begun as one";
	case RS_DROP_MALFORMED:
		return "the headers cannot be read";
	default:
		return NULL;
	}
}

static void find_out(struct rs_droprecord *r, const struct rs_dp_drop *d, int64_t now_ms,
		     struct known *k)
{
	bool forged = d->reason == RS_DROP_SPOOFED, mine = d->from_pod != d->reply;
	struct rs_agent *a = r->agent;
	const struct rs_attached *subject;
	struct end src, dst;
	struct rs_world w;

	rs_reconcile_world(a->rec, &w);
	find_end(a, &w, &d->src, d->iif, forged, &src);
	find_end(a, &w, &d->dst, d->oif, false, &dst);
	/* For policy reasons the end of the flow; else the link is what refused. */
	if (!rs_drop_by_policy(d))
		mine = d->from_pod;
	subject = mine ? src.local : dst.local;
	k->story.source = end_json(&w, &src, forged);
	k->story.destination = end_json(&w, &dst, false);
	k->src = full_name(&src);
	k->dst = full_name(&dst);
	k->pod = subject ? full_name(mine ? &src : &dst) : NULL;
	if (rs_drop_by_policy(d) && subject)
		find_policies(&w, rs_reconcile_ir(a->rec), d, subject, k);
	find_nearest(r, &w, d, &src, &dst, now_ms, k);
	if (!k->story.note && note_of(d))
		k->story.note = rs_strdup(note_of(d));
	if (!k->policies)
		k->policies = rs_strdup("");
}

/* ---- what is remembered ---------------------------------------------------------------------- */

/* What may differ from packet to packet of a flow; none of it changes who it is between. */
static struct rs_dp_drop key_of(const struct rs_dp_drop *d)
{
	struct rs_dp_drop key = *d;

	key.time_ns = 0;
	key.tcp_flags = 0;
	if (key.reply)
		key.dport = 0;
	else
		key.sport = 0;
	return key;
}

/* Member by member: padding is nobody's. */
static bool same_key(const struct rs_dp_drop *a, const struct rs_dp_drop *b)
{
	return a->reason == b->reason && a->from_pod == b->from_pod && a->iif == b->iif &&
	       a->oif == b->oif && a->proto == b->proto && a->sport == b->sport &&
	       a->dport == b->dport && a->reply == b->reply && a->related == b->related &&
	       a->has_ports == b->has_ports && a->has_icmp == b->has_icmp &&
	       !rs_addr_cmp(&a->src, &b->src) && !rs_addr_cmp(&a->dst, &b->dst);
}

static const struct known *look_up(struct rs_droprecord *r, const struct rs_dp_drop *d)
{
	struct rs_agent *a = r->agent;
	uint64_t generation = rs_reconcile_generation(a->rec);
	uint64_t revision = rs_store_revision(a->src->ops->store(a->src));
	struct rs_dp_drop key = key_of(d);
	int64_t now_ms = rs_mono_ms();
	struct known *k;

	for (size_t i = 0; i < REMEMBERED; i++) {
		k = &r->known[i];
		if (k->until_ms > now_ms && k->generation == generation &&
		    k->revision == revision && same_key(&k->key, &key))
			return k;
	}
	k = &r->known[r->turn++ % REMEMBERED];
	known_clear(k);
	find_out(r, d, now_ms, k);
	k->key = key;
	k->generation = generation;
	k->revision = revision;
	k->until_ms = now_ms + REMEMBER_MS;
	return k;
}

static char *copy(const char *s)
{
	return s ? rs_strdup(s) : NULL;
}

void rs_droprecord_make(struct rs_droprecord *r, const struct rs_dp_drop *drop,
			const struct rs_drop_mark *mark, struct rs_drop_made *out)
{
	struct rs_dp_drop d = *drop;
	const struct known *k;
	struct json_object *o;

	orient(rs_reconcile_ir(r->agent->rec), &d);
	k = look_up(r, &d);
	o = rs_drop_json(r->agent, &d, mark, &k->story);
	*out = (struct rs_drop_made){
		.entry = { .time_ns = mark->time_ns,
			   .reason = d.reason,
			   .dir = rs_drop_direction(&d),
			   .src = copy(k->src),
			   .dst = copy(k->dst),
			   .policy = copy(k->policy),
			   .text = rs_json_print(o) },
		.pod = copy(k->pod),
		.policies = rs_strdup(k->policies),
		.drop = d,
		.more = mark->suppressed > 0,
	};
	out->entry.len = strlen(out->entry.text);
	json_object_put(o);
}
