// SPDX-License-Identifier: Apache-2.0
/* answer_rules.c - the answer about one pod: who may reach it, whom it may reach. */
#include "answer/answer.h"

static struct json_object *rule_json(const struct rs_effective_rule *r)
{
	struct json_object *o = json_object_new_object();

	rs_json_add_str(o, "peers", r->peers);
	rs_json_add_str(o, "ports", r->ports);
	rs_json_add_str(o, "source", r->source);
	json_object_object_add(o, "index", json_object_new_int64(r->index));
	rs_json_add_str(o, "where", r->where);
	json_object_object_add(o, "allowsNothing", json_object_new_boolean(r->allows_nothing));
	rs_json_add_str(o, "whyNothing", r->why_nothing);
	return o;
}

static struct json_object *half_json(const struct rs_effective_rules *r, enum rs_direction dir)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();

	json_object_object_add(o, "isolated", json_object_new_boolean(r->isolated[dir]));
	json_object_object_add(o, "isolatedBy",
			       rs_answer_strings(r->isolated_by[dir], r->n_isolated_by[dir]));
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].dir == dir)
			json_object_array_add(list, rule_json(&r->v[i]));
	json_object_object_add(o, "rules", list);
	return o;
}

static struct json_object *pod_json(const struct rs_answer_pod *pod)
{
	struct json_object *o = json_object_new_object();

	rs_json_add_str(o, "namespace", pod->ns);
	rs_json_add_str(o, "name", pod->name);
	if (!pod->labels)
		return o;
	json_object_object_add(o, "ips", rs_answer_ips(pod->ips, pod->n_ips));
	json_object_object_add(o, "labels", rs_answer_labels(pod->labels));
	return o;
}

int rs_answer_rules(struct json_object *o, const struct rs_world *w,
		    const struct rs_answer_pod *pod, struct rs_err *err)
{
	struct rs_effective_rules *r = NULL;
	int rc = rs_effective_rules(w, pod->ns, pod->name, &r, err);

	if (rc < 0)
		return rc;
	json_object_object_add(o, "pod", pod_json(pod));
	json_object_object_add(o, "ingress", half_json(r, RS_INGRESS));
	json_object_object_add(o, "egress", half_json(r, RS_EGRESS));
	rs_effective_rules_free(r);
	return 0;
}
