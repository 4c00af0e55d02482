// SPDX-License-Identifier: Apache-2.0
/* ops_cli.c - what the command line asks: status, pods, policies, rules, version; see
 * docs/json.md. */
#include "agent/addresses.h"
#include "agent/cnifiles.h"
#include "agent/install.h"
#include "agent/ops.h"

#include <errno.h>
#include <string.h>

#include "answer/answer.h"
#include "base/jsonio.h"
#include "policy/world.h"

static void add_int(struct json_object *o, const char *key, int64_t n)
{
	json_object_object_add(o, key, json_object_new_int64(n));
}

static void add_bool(struct json_object *o, const char *key, bool b)
{
	json_object_object_add(o, key, json_object_new_boolean(b));
}

/* ---- status ---------------------------------------------------------------------------------- */

/* Why it is this one. */
static void add_choice(struct rs_agent *a, struct json_object *o)
{
	rs_autofree char *reason = rs_choice_reason(a);

	rs_json_add_str(o, "configured", a->opt.dataplane);
	add_bool(o, "fallback", rs_choice_is_fallback(a));
	rs_json_add_str(o, "why", reason);
	rs_json_add_str(o, "beside", rs_otherplane_name(a));
}

static void add_dataplane(struct rs_agent *a, struct json_object *status)
{
	struct json_object *o = json_object_new_object(), *drops = json_object_new_object();
	double ms = rs_reconcile_last_commit_ms(a->rec);
	struct rs_dp_stats s = { 0 };
	rs_auto_err err = { 0 };

	rs_json_add_str(o, "name", a->dp->ops->name);
	add_choice(a, o);
	add_bool(o, "inSync", a->in_sync);
	if (a->dp->ops == &rs_dp_nft)
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

static struct json_object *family_json(const struct rs_address_use *u)
{
	struct json_object *o = json_object_new_object();

	add_int(o, "family", u->family);
	json_object_object_add(o, "total", json_object_new_uint64(u->total));
	json_object_object_add(o, "used", json_object_new_uint64(u->held));
	json_object_object_add(o, "free",
			       json_object_new_uint64(u->total > u->held ? u->total - u->held : 0));
	return o;
}

static void add_ipam(struct rs_agent *a, const struct rs_world *w, struct json_object *status)
{
	struct json_object *o = json_object_new_object(), *ranges = json_object_new_array();
	struct json_object *families = json_object_new_array();
	struct rs_address_use use[2];
	char text[RS_CIDR_STRLEN];
	rs_auto_err err = { 0 };

	for (size_t i = 0; i < w->n_node_ranges; i++)
		json_object_array_add(
			ranges, json_object_new_string(rs_cidr_str(&w->node_ranges[i], text)));
	json_object_object_add(o, "ranges", ranges);
	json_object_object_add(status, "ipam", o);
	if (rs_address_use(a, use, &err) < 0)
		rs_json_add_str(o, "error", rs_err_str(&err));
	for (size_t i = 0; i < RS_ARRAY_SIZE(use) && !err.num; i++)
		if (use[i].total)
			json_object_array_add(families, family_json(&use[i]));
	json_object_object_add(o, "families", families);
}

/* Where the agent keeps the conflist: whether a runtime takes ours. */
static void add_cni(struct rs_agent *a, struct json_object *status)
{
	struct json_object *o;
	rs_autofree char *path = NULL;
	const char *other;
	bool written;

	if (!a->cnifiles)
		return;
	rs_cnifiles_order(a->cnifiles, &written, &other);
	path = rs_asprintf("%s/%s", a->opt.cni_conf_dir, RS_CONFLIST_NAME);
	o = json_object_new_object();
	rs_json_add_str(o, "conflist", path);
	add_bool(o, "written", written);
	add_bool(o, "first", written && !other);
	rs_json_add_str(o, "before", other);
	json_object_object_add(status, "cni", o);
}

static void add_objects(const struct rs_world *w, struct json_object *status)
{
	struct json_object *o = json_object_new_object();
	size_t n;

	rs_store_namespaces(w->store, &n);
	add_int(o, "namespaces", (int64_t)n);
	rs_store_pods(w->store, &n);
	add_int(o, "pods", (int64_t)n);
	rs_store_policies(w->store, &n);
	add_int(o, "policies", (int64_t)n);
	json_object_object_add(status, "objects", o);
}

static bool is_isolated(const struct rs_world *w, const struct rs_attached *e,
			enum rs_direction dir)
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
		in += shut || is_isolated(w, v[i], RS_INGRESS);
		out += shut || is_isolated(w, v[i], RS_EGRESS);
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
	add_ipam(a, &w, o);
	add_cni(a, o);
	add_objects(&w, o);
	add_endpoints(a, &w, o);
	add_conditions(a, &w, o);
	rs_request_answer(req, o);
}

/* ---- pods ------------------------------------------------------------------------------------ */

static struct json_object *isolation(const struct rs_world *w, const struct rs_attached *e,
				     enum rs_direction dir)
{
	return rs_answer_isolation(w, e->rec->pod_ns, &e->labels, e->closed, dir);
}

static const char *state_of(const struct rs_attached *e)
{
	if (!e->programmed || e->conflict)
		return "pending";
	return e->closed ? "closed" : "enforced";
}

/* Whether what the agent knows is what the kernel does. */
static void add_enforced(struct rs_agent *a, struct json_object *o, const char *pod_in_the_way)
{
	const char *why = pod_in_the_way		? pod_in_the_way
			  : !rs_reconcile_clean(a->rec) ? "it is not committed yet"
			  : !a->in_sync ? "the kernel's rules were changed by somebody else"
					: NULL;

	add_bool(o, "enforced", !why);
	rs_json_add_str(o, "whyNotEnforced", why);
}

static const char *pod_in_the_way(const struct rs_attached *e)
{
	if (e->conflict)
		return e->conflict;
	return e->programmed ? NULL : "a pod is not programmed yet";
}

static struct json_object *pod_json(struct rs_agent *a, const struct rs_world *w,
				    const struct rs_attached *e)
{
	struct json_object *o = json_object_new_object();

	rs_json_add_str(o, "namespace", e->rec->pod_ns);
	rs_json_add_str(o, "name", e->rec->pod_name);
	json_object_object_add(o, "ips", rs_answer_ips(e->rec->ips, e->rec->n_ips));
	rs_json_add_str(o, "interface", e->rec->host_ifname);
	rs_json_add_str(o, "containerID", e->rec->container_id);
	json_object_object_add(o, "labels", rs_answer_labels(&e->labels));
	rs_json_add_str(o, "labelsFrom", rs_label_origin_name(e->rec->label_origin));
	json_object_object_add(o, "ingress", isolation(w, e, RS_INGRESS));
	json_object_object_add(o, "egress", isolation(w, e, RS_EGRESS));
	rs_json_add_str(o, "state", state_of(e));
	add_enforced(a, o, e->closed ? "nobody knows its labels: it is closed" : pod_in_the_way(e));
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

static struct rs_answer_pod answer_pod(const struct rs_attached *e)
{
	return (struct rs_answer_pod){ .ns = e->rec->pod_ns,
				       .name = e->rec->pod_name,
				       .labels = &e->labels,
				       .ips = e->rec->ips,
				       .n_ips = e->rec->n_ips };
}

/* Whose state decides whether the policy is in force: the pods of this node that it selects. */
static const char *selected_in_the_way(struct rs_agent *a, struct json_object *item)
{
	struct json_object *list = rs_json_get(item, "selects");
	const char *why = NULL;

	for (size_t i = 0; i < json_object_array_length(list) && !why; i++) {
		const char *text = json_object_get_string(json_object_array_get_idx(list, i));
		const char *slash = strchr(text, '/');
		rs_autofree char *ns = rs_strndup(text, slash ? (size_t)(slash - text) : 0);
		const struct rs_attached *e =
			slash ? rs_registry_by_pod(a->reg, ns, slash + 1) : NULL;

		why = e ? pod_in_the_way(e) : NULL;
	}
	return why;
}

static void add_states(struct rs_agent *a, const struct rs_store *store, struct json_object *o)
{
	struct json_object *items = rs_json_get(o, "items");

	for (size_t i = 0; i < json_object_array_length(items); i++) {
		struct json_object *item = json_object_array_get_idx(items, i);
		const struct rs_policy *p = rs_store_policy(
			store, rs_json_text(item, "namespace", ""), rs_json_text(item, "name", ""));

		if (!p)
			continue;
		rs_json_add_str(item, "uid", p->meta.uid);
		if (p->meta.generation)
			add_int(item, "objectGeneration", p->meta.generation);
		add_enforced(a, item, selected_in_the_way(a, item));
	}
}

void rs_op_policies(struct rs_agent *a, struct rs_request *req, struct json_object *body)
{
	struct json_object *o = rs_op_object(a, "PolicyList");
	rs_autofree struct rs_answer_pod *pods = NULL;
	struct rs_attached *const *v;
	rs_auto_err err = { 0 };
	struct rs_world w;
	size_t n;
	int rc;

	rs_reconcile_world(a->rec, &w);
	v = rs_registry_list(a->reg, &n);
	pods = rs_new0(struct rs_answer_pod, n);
	for (size_t i = 0; i < n; i++)
		pods[i] = answer_pod(v[i]);
	rc = rs_answer_policies(o, &w, pods, n, rs_json_text(body, "namespace", NULL),
				rs_json_text(body, "name", NULL), &err);
	if (rc == 0) {
		add_states(a, w.store, o);
		rs_request_answer(req, o);
		return;
	}
	json_object_put(o);
	rs_request_fail(req, &err);
}

/* ---- rules ----------------------------------------------------------------------------------- */

static int rules(struct rs_agent *a, struct json_object *body, struct json_object *o,
		 struct rs_err *err)
{
	rs_autofree char *ns = NULL, *name = NULL;
	struct rs_answer_pod pod = { 0 };
	const struct rs_attached *e;
	const struct rs_pod *stored;
	struct rs_world w;
	int rc = rs_operand_pod(rs_json_text(body, "pod", ""),
				rs_json_text(body, "namespace", NULL), &ns, &name, err);

	if (rc < 0)
		return rc;
	rs_reconcile_world(a->rec, &w);
	e = rs_registry_by_pod(a->reg, ns, name);
	stored = rs_store_pod(w.store, ns, name);
	if (e)
		pod = answer_pod(e);
	else if (stored)
		pod = (struct rs_answer_pod){ .labels = &stored->meta.labels,
					      .ips = stored->ips,
					      .n_ips = stored->n_ips };
	pod.ns = ns;
	pod.name = name;
	rc = rs_answer_rules(o, &w, &pod, err);
	if (rc == 0)
		rs_op_add_rules_drops(a, o);
	return rc == -ENOENT ? rs_operand_no_pod(a, ns, name, err) : rc;
}

void rs_op_rules(struct rs_agent *a, struct rs_request *req, struct json_object *body)
{
	struct json_object *o = rs_op_object(a, "Rules");
	rs_auto_err err = { 0 };

	if (rules(a, body, o, &err) == 0) {
		rs_request_answer(req, o);
		return;
	}
	json_object_put(o);
	rs_request_fail(req, &err);
}

void rs_op_version(struct rs_agent *a, struct rs_request *req, struct json_object *body)
{
	struct json_object *o = rs_op_object(a, "Version");

	(void)body;
	rs_json_add_str(o, "version", RIPSTOP_VERSION);
	rs_json_add_str(o, "agent", RIPSTOP_VERSION);
	rs_request_answer(req, o);
}
