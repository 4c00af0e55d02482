// SPDX-License-Identifier: Apache-2.0
/* answer.c - what all answers are made of, and the answer about policies; see answer.h. */
#include "answer/answer.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "policy/words.h"
#include "policy/world.h"

struct json_object *rs_answer_new(const char *kind, const char *source,
				  struct json_object **metadata)
{
	struct json_object *o = json_object_new_object(), *meta = json_object_new_object();

	rs_json_add_str(o, "apiVersion", "ripstop.dev/v1");
	rs_json_add_str(o, "kind", kind);
	rs_json_add_str(meta, "source", source);
	json_object_object_add(o, "metadata", meta);
	if (metadata)
		*metadata = meta;
	return o;
}

struct json_object *rs_answer_strings(char *const *v, size_t n)
{
	struct json_object *o = json_object_new_array();

	for (size_t i = 0; i < n; i++)
		json_object_array_add(o, json_object_new_string(v[i]));
	return o;
}

struct json_object *rs_answer_labels(const struct rs_labels *l)
{
	struct json_object *o = json_object_new_object();

	for (size_t i = 0; i < l->n; i++)
		rs_json_add_str(o, l->v[i].key, l->v[i].value);
	return o;
}

struct json_object *rs_answer_ips(const struct rs_addr *v, size_t n)
{
	struct json_object *o = json_object_new_array();
	char text[RS_ADDR_STRLEN];

	for (size_t i = 0; i < n; i++)
		json_object_array_add(o, json_object_new_string(rs_addr_str(&v[i], text)));
	return o;
}

static void add_name(struct json_object *list, const char *ns, const char *name)
{
	rs_autofree char *text = rs_asprintf("%s/%s", ns, name);

	json_object_array_add(list, json_object_new_string(text));
}

struct json_object *rs_answer_isolation(const struct rs_world *w, const char *ns,
					const struct rs_labels *labels, bool closed,
					enum rs_direction dir)
{
	struct json_object *o = json_object_new_object(), *names = json_object_new_array();
	size_t n = 0;
	rs_autofree const struct rs_policy **v = rs_policies_of(w, ns, labels, dir, &n);

	for (size_t i = 0; i < n; i++)
		add_name(names, v[i]->meta.ns, v[i]->meta.name);
	json_object_object_add(o, "isolated", json_object_new_boolean(n || closed));
	json_object_object_add(o, "policies", names);
	return o;
}

/* ---- policies -------------------------------------------------------------------------------- */

static void add_int(struct json_object *o, const char *key, size_t n)
{
	json_object_object_add(o, key, json_object_new_int64((int64_t)n));
}

static void add_warning(struct json_object *list, const char *dir, size_t rule, const char *why)
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
				add_warning(list, names[dir], i, r->peers[j].why);
		for (size_t j = 0; j < r->n_ports; j++)
			if (r->ports[j].invalid)
				add_warning(list, names[dir], i, r->ports[j].why);
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

static struct json_object *types_json(const struct rs_policy *p)
{
	struct json_object *types = json_object_new_array();

	if (p->isolates[RS_INGRESS])
		json_object_array_add(types, json_object_new_string("Ingress"));
	if (p->isolates[RS_EGRESS])
		json_object_array_add(types, json_object_new_string("Egress"));
	return types;
}

static struct json_object *policy_json(const struct rs_policy *p,
				       const struct rs_answer_pod *subjects, size_t n)
{
	struct json_object *o = json_object_new_object(), *pods = json_object_new_array();
	rs_autofree char *selector = rs_selector_str(&p->subject);
	rs_autofree char *where = rs_pos_text(&p->meta.pos);

	rs_json_add_str(o, "namespace", p->meta.ns);
	rs_json_add_str(o, "name", p->meta.name);
	json_object_object_add(o, "types", types_json(p));
	rs_json_add_str(o, "podSelector", selector);
	for (size_t i = 0; i < n; i++)
		if (!strcmp(p->meta.ns, subjects[i].ns) && rs_policy_selects(p, subjects[i].labels))
			add_name(pods, subjects[i].ns, subjects[i].name);
	json_object_object_add(o, "selects", pods);
	rs_json_add_str(o, "uid", p->meta.uid);
	if (p->meta.generation)
		json_object_object_add(o, "objectGeneration",
				       json_object_new_int64(p->meta.generation));
	add_int(o, "ingressRules", p->n_rules[RS_INGRESS]);
	add_int(o, "egressRules", p->n_rules[RS_EGRESS]);
	rs_json_add_str(o, "where", where);
	json_object_object_add(o, "warnings", warnings_json(p));
	return o;
}

int rs_answer_policies(struct json_object *o, const struct rs_world *w,
		       const struct rs_answer_pod *subjects, size_t n, const char *ns,
		       const char *name, struct rs_err *err)
{
	struct json_object *items = json_object_new_array();
	size_t n_policies;
	const struct rs_policy *const *v = rs_store_policies(w->store, &n_policies);

	for (size_t i = 0; i < n_policies; i++)
		if ((!ns || !strcmp(v[i]->meta.ns, ns)) &&
		    (!name || !strcmp(v[i]->meta.name, name)))
			json_object_array_add(items, policy_json(v[i], subjects, n));
	json_object_object_add(o, "items", items);
	if (name && !json_object_array_length(items))
		return rs_err_set(err, ENOENT, "no policy %s%s%s", ns ? ns : "", ns ? "/" : "",
				  name);
	return 0;
}
