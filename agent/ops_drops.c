// SPDX-License-Identifier: Apache-2.0
/* ops_drops.c - drops and judgements in the answers that are about something else. */
#include "agent/dropwatch.h"
#include "agent/judged.h"
#include "agent/ops.h"
#include "base/jsonio.h"

static const char *const halves[RS_DIRECTIONS] = { "ingress", "egress" };

static void add_number(struct json_object *o, const char *key, uint64_t n)
{
	json_object_object_add(o, key, json_object_new_uint64(n));
}

static void add_moment(struct json_object *o, const char *key, int64_t ns)
{
	if (ns > 0)
		rs_json_add_time(o, key, ns / 1000000000);
}

static struct json_object *recent_json(const struct rs_droplog *log)
{
	struct json_object *o = json_object_new_object();
	uint64_t n = 0;
	const char *top = rs_droplog_top(log, (rs_now_s() - RS_DROP_SPAN_S) * 1000000000, &n);

	add_number(o, "seconds", RS_DROP_SPAN_S);
	add_number(o, "packets", rs_droplog_recent(log, rs_mono_ms()));
	rs_json_add_str(o, "topPolicy", top);
	if (top)
		add_number(o, "topRecords", n);
	return o;
}

void rs_op_add_drops(struct rs_agent *a, struct json_object *status)
{
	const struct rs_drop_account *c = rs_dropwatch_account(a->drops);
	struct json_object *records = json_object_new_object();
	const char *why = rs_dropwatch_why_not(a->drops);

	json_object_object_add(status, "dropRecords", records);
	if (why) {
		rs_json_add_str(records, "whyNone", why);
		return;
	}
	rs_dropwatch_settle(a->drops);
	json_object_object_add(status, "recentDrops", recent_json(rs_dropwatch_log(a->drops)));
	add_moment(records, "since", c->since_ns);
	add_number(records, "records", c->records);
	add_number(records, "suppressed", c->suppressed);
	add_number(records, "lost", c->lost);
}

/* Records of this pod at both its ends; absent where none are made. */
static void add_records(struct rs_agent *a, struct json_object *o, struct json_object *pod,
			bool by_policy)
{
	rs_autofree char *name = rs_asprintf("%s/%s", rs_json_text(pod, "namespace", ""),
					     rs_json_text(pod, "name", ""));

	if (rs_dropwatch_why_not(a->drops))
		return;
	for (int dir = 0; dir < RS_DIRECTIONS; dir++) {
		struct json_object *half = rs_json_get(o, halves[dir]);
		int64_t last = 0;

		add_number(half, "dropRecords",
			   rs_droplog_pod(rs_dropwatch_log(a->drops), name, (enum rs_direction)dir,
					  by_policy, &last));
		add_moment(half, "lastDrop", last);
	}
}

void rs_op_add_pod_drops(struct rs_agent *a, struct json_object *pod)
{
	add_records(a, pod, pod, false);
}

static void add_judged(const struct rs_ir *ir, const struct rs_dp_stats *s,
		       const struct rs_addr *pod, enum rs_direction dir, struct json_object *rule)
{
	uint32_t index = (uint32_t)json_object_get_int64(rs_json_get(rule, "index"));
	const char *policy = rs_json_text(rule, "source", "");
	int64_t n = rs_judged_rule(ir, s, pod, dir, policy, index);
	const struct rs_dp_counter *passed = rs_passed_rule(s, dir, policy, index, n);

	if (n >= 0)
		add_number(rule, "judged", (uint64_t)n);
	if (passed) {
		add_number(rule, "packets", passed->packets);
		add_number(rule, "bytes", passed->bytes);
	}
}

/* Only of a pod of this node; the addresses of a pod are in one group. */
void rs_op_add_rules_drops(struct rs_agent *a, struct json_object *rules)
{
	struct json_object *pod = rs_json_get(rules, "pod");
	const struct rs_attached *e = rs_registry_by_pod(a->reg, rs_json_text(pod, "namespace", ""),
							 rs_json_text(pod, "name", ""));
	const struct rs_ir *ir = rs_reconcile_ir(a->rec);
	struct rs_dp_stats s = { 0 };

	if (!e)
		return;
	add_records(a, rules, pod, true);
	if (!ir || !e->rec->n_ips || !rs_reconcile_clean(a->rec) ||
	    a->dp->ops->stats(a->dp, &s, NULL) < 0)
		return;
	for (int dir = 0; dir < RS_DIRECTIONS; dir++) {
		struct json_object *list = rs_json_get(rs_json_get(rules, halves[dir]), "rules");
		size_t n = list ? json_object_array_length(list) : 0;

		for (size_t i = 0; i < n; i++)
			add_judged(ir, &s, &e->rec->ips[0], (enum rs_direction)dir,
				   json_object_array_get_idx(list, i));
	}
	rs_dp_stats_free(&s);
}
