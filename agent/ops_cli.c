// SPDX-License-Identifier: Apache-2.0
/* ops_cli.c - what the command line asks: status, pods, policies, rules, version; see
 * docs/json.md. */
#include "agent/ops.h"

#include <errno.h>
#include <string.h>

#include "base/jsonio.h"

static void add_int(struct json_object *o, const char *key, int64_t n)
{
	json_object_object_add(o, key, json_object_new_int64(n));
}

static void add_bool(struct json_object *o, const char *key, bool b)
{
	json_object_object_add(o, key, json_object_new_boolean(b));
}

/* ---- status ---------------------------------------------------------------------------------- */

static void add_dataplane(struct rs_agent *a, struct json_object *status)
{
	struct json_object *o = json_object_new_object(), *drops = json_object_new_object();
	double ms = rs_reconcile_last_commit_ms(a->rec);
	struct rs_dp_stats s = { 0 };
	rs_auto_err err = { 0 };

	rs_json_add_str(o, "name", a->dp->ops->name);
	add_bool(o, "inSync", a->in_sync);
	add_bool(o, "verdictCache", a->opt.verdict_cache);
	if (ms >= 0)
		json_object_object_add(o, "lastCommitMs", json_object_new_double(ms));
	json_object_object_add(status, "dataplane", o);
	if (a->dp->ops->stats(a->dp, &s, &err) < 0) {
		rs_json_add_str(o, "error", rs_err_str(&err));
		json_object_put(drops);
		return;
	}
	add_int(o, "elements", (int64_t)s.elements);
	add_int(o, "rules", (int64_t)s.rules);
	for (int i = 0; i < RS_DROP_REASONS; i++)
		add_int(drops, rs_drop_reason_name((enum rs_drop_reason)i),
			(int64_t)s.drops[i].packets);
	json_object_object_add(status, "drops", drops);
	rs_dp_stats_free(&s);
}

/* Each kind for itself, where the source asks for each. */
static void add_kinds(const struct rs_source *src, struct json_object *source)
{
	struct json_object *list = json_object_new_array();

	for (int k = 0; k < RS_KINDS; k++) {
		struct json_object *o = json_object_new_object();
		struct rs_source_kind s = { 0 };

		src->ops->kind(src, (enum rs_kind)k, &s);
		rs_json_add_str(o, "kind", rs_kind_name((enum rs_kind)k));
		add_bool(o, "synced", s.synced);
		if (s.age_s >= 0)
			add_int(o, "ageSeconds", s.age_s);
		add_int(o, "lists", (int64_t)s.lists);
		add_int(o, "watches", (int64_t)s.watches);
		add_int(o, "events", (int64_t)s.events);
		add_int(o, "failures", (int64_t)s.failures);
		add_int(o, "unreadable", (int64_t)s.unreadable);
		rs_json_add_str(o, "error", s.error);
		json_object_array_add(list, o);
	}
	json_object_object_add(source, "kinds", list);
}

static void add_source(struct rs_agent *a, struct json_object *status)
{
	rs_autofree char *origin = rs_origin_name(&a->opt);
	struct json_object *o = json_object_new_object();
	const struct rs_err *err = rs_reconcile_source_error(a->rec);
	int64_t age = a->src->ops->age_s(a->src);

	rs_json_add_str(o, "kind", a->src->ops->name);
	rs_json_add_str(o, "path", origin);
	add_bool(o, "synced", rs_reconcile_synced(a->rec));
	if (age >= 0)
		add_int(o, "ageSeconds", age);
	if (err->num)
		rs_json_add_str(o, "error", rs_err_str(err));
	rs_json_add_str(o, "hint", err->hint);
	if (a->src->ops->kind)
		add_kinds(a->src, o);
	json_object_object_add(status, "source", o);
}

static void add_objects(const struct rs_world *w, struct json_object *status)
{
	struct json_object *o = json_object_new_object(), *ipam = json_object_new_object();
	struct json_object *ranges = json_object_new_array();
	char text[RS_CIDR_STRLEN];
	size_t n;

	rs_store_namespaces(w->store, &n);
	add_int(o, "namespaces", (int64_t)n);
	rs_store_pods(w->store, &n);
	add_int(o, "pods", (int64_t)n);
	rs_store_policies(w->store, &n);
	add_int(o, "policies", (int64_t)n);
	json_object_object_add(status, "objects", o);
	for (size_t i = 0; i < w->n_node_ranges; i++)
		json_object_array_add(
			ranges, json_object_new_string(rs_cidr_str(&w->node_ranges[i], text)));
	json_object_object_add(ipam, "ranges", ranges);
	json_object_object_add(status, "ipam", ipam);
}

static bool isolated(const struct rs_world *w, const struct rs_attached *e, enum rs_direction dir)
{
	size_t n = 0;

	free(rs_policies_of(w, e->rec->pod_ns, &e->labels, dir, &n));
	return n > 0;
}

static void add_endpoints(struct rs_agent *a, const struct rs_world *w, struct json_object *status)
{
	struct json_object *o = json_object_new_object();
	size_t n, in = 0, out = 0, closed = 0;
	struct rs_attached *const *v = rs_registry_list(a->reg, &n);

	for (size_t i = 0; i < n; i++) {
		bool shut = v[i]->closed || v[i]->conflict;

		closed += shut;
		in += shut || isolated(w, v[i], RS_INGRESS);
		out += shut || isolated(w, v[i], RS_EGRESS);
	}
	add_int(o, "total", (int64_t)n);
	add_int(o, "isolatedIngress", (int64_t)in);
	add_int(o, "isolatedEgress", (int64_t)out);
	add_int(o, "closed", (int64_t)closed);
	json_object_object_add(status, "endpoints", o);
}

static void add_conditions(struct rs_agent *a, const struct rs_world *w, struct json_object *status)
{
	struct json_object *list = json_object_new_array(), *warnings = json_object_new_array();
	const char *const *text;
	size_t n;

	rs_board_update(a);
	for (size_t i = 0; i < a->conditions.n; i++) {
		struct json_object *c = json_object_new_object();

		rs_json_add_str(c, "type", a->conditions.v[i].type);
		rs_json_add_str(c, "message", a->conditions.v[i].text);
		json_object_array_add(list, c);
	}
	json_object_object_add(status, "conditions", list);
	text = rs_store_warnings(w->store, &n);
	for (size_t i = 0; i < n; i++)
		json_object_array_add(warnings, json_object_new_string(text[i]));
	json_object_object_add(status, "warnings", warnings);
}

void rs_op_status(struct rs_agent *a, struct rs_request *req, struct json_object *body)
{
	struct json_object *o = rs_op_object(a, "Status");
	rs_autofree char *why = rs_agent_why_not_ready(a);
	struct rs_world w;

	(void)body;
	rs_reconcile_world(a->rec, &w);
	rs_json_add_str(o, "version", RIPSTOP_VERSION);
	add_bool(o, "ready", !why);
	rs_json_add_str(o, "notReadyReason", why);
	add_int(o, "uptimeSeconds", (rs_mono_ms() - a->started_ms) / 1000);
	add_int(o, "rssBytes", (int64_t)rs_process_rss());
	add_dataplane(a, o);
	rs_op_add_drops(a, o);
	add_source(a, o);
	add_objects(&w, o);
	add_endpoints(a, &w, o);
	add_conditions(a, &w, o);
	rs_request_answer(req, o);
}

/* ---- pods ------------------------------------------------------------------------------------ */

static struct json_object *labels_json(const struct rs_labels *l)
{
	struct json_object *o = json_object_new_object();

	for (size_t i = 0; i < l->n; i++)
		rs_json_add_str(o, l->v[i].key, l->v[i].value);
	return o;
}

static struct json_object *ips_json(const struct rs_addr *v, size_t n)
{
	struct json_object *o = json_object_new_array();
	char text[RS_ADDR_STRLEN];

	for (size_t i = 0; i < n; i++)
		json_object_array_add(o, json_object_new_string(rs_addr_str(&v[i], text)));
	return o;
}

static struct json_object *isolation_json(const struct rs_world *w, const struct rs_attached *e,
					  enum rs_direction dir)
{
	struct json_object *o = json_object_new_object(), *names = json_object_new_array();
	size_t n = 0;
	rs_autofree const struct rs_policy **v =
		rs_policies_of(w, e->rec->pod_ns, &e->labels, dir, &n);

	for (size_t i = 0; i < n; i++) {
		rs_autofree char *name = rs_asprintf("%s/%s", v[i]->meta.ns, v[i]->meta.name);

		json_object_array_add(names, json_object_new_string(name));
	}
	add_bool(o, "isolated", n || e->closed);
	json_object_object_add(o, "policies", names);
	return o;
}

static const char *state_of(const struct rs_attached *e)
{
	if (!e->programmed || e->conflict)
		return "pending";
	return e->closed ? "closed" : "enforced";
}

static struct json_object *pod_json(struct rs_agent *a, const struct rs_world *w,
				    const struct rs_attached *e)
{
	struct json_object *o = json_object_new_object();

	rs_json_add_str(o, "namespace", e->rec->pod_ns);
	rs_json_add_str(o, "name", e->rec->pod_name);
	json_object_object_add(o, "ips", ips_json(e->rec->ips, e->rec->n_ips));
	rs_json_add_str(o, "interface", e->rec->host_ifname);
	rs_json_add_str(o, "containerID", e->rec->container_id);
	json_object_object_add(o, "labels", labels_json(&e->labels));
	rs_json_add_str(o, "labelsFrom", rs_label_origin_name(e->rec->label_origin));
	json_object_object_add(o, "ingress", isolation_json(w, e, RS_INGRESS));
	json_object_object_add(o, "egress", isolation_json(w, e, RS_EGRESS));
	rs_json_add_str(o, "state", state_of(e));
	if (e->programmed)
		json_object_object_add(o, "generation", json_object_new_uint64(e->generation));
	rs_op_add_pod_drops(a, o);
	return o;
}

void rs_op_pods(struct rs_agent *a, struct rs_request *req, struct json_object *body)
{
	struct json_object *o = rs_op_object(a, "PodList"), *items = json_object_new_array();
	const char *ns = rs_json_text(body, "namespace", NULL);
	struct rs_attached *const *v;
	struct rs_world w;
	size_t n;
	bool all = false;

	rs_json_opt_bool(body, "all", &all, NULL);
	rs_reconcile_world(a->rec, &w);
	v = rs_registry_list(a->reg, &n);
	for (size_t i = 0; i < n; i++)
		if (all || !ns || !strcmp(v[i]->rec->pod_ns, ns))
			json_object_array_add(items, pod_json(a, &w, v[i]));
	json_object_object_add(o, "items", items);
	rs_request_answer(req, o);
}

/* ---- policies -------------------------------------------------------------------------------- */

static void add_where(struct json_object *o, const struct rs_pos *pos)
{
	rs_autofree char *text = NULL;

	if (!pos->file)
		return;
	text = rs_asprintf("%s:%d:%d", pos->file, pos->line, pos->col);
	rs_json_add_str(o, "where", text);
}

static void warn(struct json_object *list, const char *dir, size_t rule, const char *why)
{
	rs_autofree char *text = rs_asprintf("spec.%s[%zu] has a part that matches nothing: %s",
					     dir, rule, why ? why : "it is invalid");

	json_object_array_add(list, json_object_new_string(text));
}

static void add_rule_warnings(struct json_object *list, const struct rs_policy *p,
			      enum rs_direction dir)
{
	static const char *const names[] = { "ingress", "egress" };

	for (size_t i = 0; i < p->n_rules[dir]; i++) {
		const struct rs_rule *r = &p->rules[dir][i];

		for (size_t j = 0; j < r->n_peers; j++)
			if (r->peers[j].invalid)
				warn(list, names[dir], i, r->peers[j].why);
		for (size_t j = 0; j < r->n_ports; j++)
			if (r->ports[j].invalid)
				warn(list, names[dir], i, r->ports[j].why);
	}
}

static struct json_object *warnings_json(const struct rs_policy *p)
{
	struct json_object *list = json_object_new_array();

	if (p->subject_invalid)
		json_object_array_add(
			list, json_object_new_string("spec.podSelector is invalid: the whole "
						     "namespace is isolated"));
	add_rule_warnings(list, p, RS_INGRESS);
	add_rule_warnings(list, p, RS_EGRESS);
	return list;
}

static bool selects(const struct rs_policy *p, const struct rs_attached *e)
{
	return !strcmp(p->meta.ns, e->rec->pod_ns) &&
	       (p->subject_invalid || rs_selector_matches(&p->subject, &e->labels));
}

static struct json_object *policy_json(struct rs_agent *a, const struct rs_policy *p)
{
	struct json_object *o = json_object_new_object(), *types = json_object_new_array();
	struct json_object *pods = json_object_new_array();
	rs_autofree char *selector = rs_selector_str(&p->subject);
	size_t n;
	struct rs_attached *const *v = rs_registry_list(a->reg, &n);

	rs_json_add_str(o, "namespace", p->meta.ns);
	rs_json_add_str(o, "name", p->meta.name);
	if (p->isolates[RS_INGRESS])
		json_object_array_add(types, json_object_new_string("Ingress"));
	if (p->isolates[RS_EGRESS])
		json_object_array_add(types, json_object_new_string("Egress"));
	json_object_object_add(o, "types", types);
	rs_json_add_str(o, "podSelector", selector);
	for (size_t i = 0; i < n; i++) {
		rs_autofree char *name =
			rs_asprintf("%s/%s", v[i]->rec->pod_ns, v[i]->rec->pod_name);

		if (selects(p, v[i]))
			json_object_array_add(pods, json_object_new_string(name));
	}
	json_object_object_add(o, "selects", pods);
	add_int(o, "ingressRules", (int64_t)p->n_rules[RS_INGRESS]);
	add_int(o, "egressRules", (int64_t)p->n_rules[RS_EGRESS]);
	add_where(o, &p->meta.pos);
	json_object_object_add(o, "warnings", warnings_json(p));
	return o;
}

void rs_op_policies(struct rs_agent *a, struct rs_request *req, struct json_object *body)
{
	const char *ns = rs_json_text(body, "namespace", NULL);
	const char *name = rs_json_text(body, "name", NULL);
	struct json_object *o = rs_op_object(a, "PolicyList"), *items = json_object_new_array();
	const struct rs_policy *const *v;
	struct rs_world w;
	size_t n;

	rs_reconcile_world(a->rec, &w);
	v = rs_store_policies(w.store, &n);
	for (size_t i = 0; i < n; i++)
		if ((!ns || !strcmp(v[i]->meta.ns, ns)) &&
		    (!name || !strcmp(v[i]->meta.name, name)))
			json_object_array_add(items, policy_json(a, v[i]));
	json_object_object_add(o, "items", items);
	if (name && !json_object_array_length(items)) {
		rs_auto_err err = { 0 };

		rs_err_set(&err, ENOENT, "no policy %s%s%s", ns ? ns : "", ns ? "/" : "", name);
		json_object_put(o);
		rs_request_fail(req, &err);
		return;
	}
	rs_request_answer(req, o);
}

/* ---- rules ----------------------------------------------------------------------------------- */

static struct json_object *rule_json(const struct rs_effective_rule *r)
{
	struct json_object *o = json_object_new_object();

	rs_json_add_str(o, "peers", r->peers);
	rs_json_add_str(o, "ports", r->ports);
	rs_json_add_str(o, "source", r->source);
	add_int(o, "index", r->index);
	rs_json_add_str(o, "where", r->where);
	add_bool(o, "allowsNothing", r->allows_nothing);
	rs_json_add_str(o, "whyNothing", r->why_nothing);
	return o;
}

static struct json_object *half_json(const struct rs_effective_rules *r, enum rs_direction dir)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();

	add_bool(o, "isolated", r->isolated[dir]);
	json_object_object_add(o, "isolatedBy",
			       rs_op_strings(r->isolated_by[dir], r->n_isolated_by[dir]));
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].dir == dir)
			json_object_array_add(list, rule_json(&r->v[i]));
	json_object_object_add(o, "rules", list);
	return o;
}

static struct json_object *rules_pod_json(struct rs_agent *a, const struct rs_world *w,
					  const char *ns, const char *name)
{
	struct json_object *o = json_object_new_object();
	const struct rs_attached *e = rs_registry_by_pod(a->reg, ns, name);
	const struct rs_pod *pod = rs_store_pod(w->store, ns, name);

	rs_json_add_str(o, "namespace", ns);
	rs_json_add_str(o, "name", name);
	if (e) {
		json_object_object_add(o, "ips", ips_json(e->rec->ips, e->rec->n_ips));
		json_object_object_add(o, "labels", labels_json(&e->labels));
	} else if (pod) {
		json_object_object_add(o, "ips", ips_json(pod->ips, pod->n_ips));
		json_object_object_add(o, "labels", labels_json(&pod->meta.labels));
	}
	return o;
}

static int rules(struct rs_agent *a, struct json_object *body, struct json_object **out,
		 struct rs_err *err)
{
	rs_autofree char *ns = NULL, *name = NULL;
	struct rs_effective_rules *r = NULL;
	struct rs_world w;
	int rc = rs_operand_pod(rs_json_text(body, "pod", ""),
				rs_json_text(body, "namespace", NULL), &ns, &name, err);

	if (rc < 0)
		return rc;
	rs_reconcile_world(a->rec, &w);
	rc = rs_effective_rules(&w, ns, name, &r, err);
	if (rc == -ENOENT)
		return rs_operand_no_pod(a, ns, name, err);
	if (rc < 0)
		return rc;
	*out = rs_op_object(a, "Rules");
	json_object_object_add(*out, "pod", rules_pod_json(a, &w, ns, name));
	json_object_object_add(*out, "ingress", half_json(r, RS_INGRESS));
	json_object_object_add(*out, "egress", half_json(r, RS_EGRESS));
	rs_op_add_rules_drops(a, *out);
	rs_effective_rules_free(r);
	return 0;
}

void rs_op_rules(struct rs_agent *a, struct rs_request *req, struct json_object *body)
{
	struct json_object *o = NULL;
	rs_auto_err err = { 0 };

	if (rules(a, body, &o, &err) < 0)
		rs_request_fail(req, &err);
	else
		rs_request_answer(req, o);
}

void rs_op_version(struct rs_agent *a, struct rs_request *req, struct json_object *body)
{
	struct json_object *o = rs_op_object(a, "Version");

	(void)body;
	rs_json_add_str(o, "version", RIPSTOP_VERSION);
	rs_json_add_str(o, "agent", RIPSTOP_VERSION);
	rs_request_answer(req, o);
}
