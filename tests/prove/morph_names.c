// SPDX-License-Identifier: Apache-2.0
/* morph_names.c - other names and other places. A name is no label: the verdicts stay. */
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "tests/prove/gen.h"
#include "tests/prove/gen_flows.h"
#include "tests/prove/morph.h"

#define METADATA_NAME "kubernetes.io/metadata.name"

/* ---- old name to new ------------------------------------------------------------------------- */

/* A JSON object serves as the map: {"old": "new"}. New names sort in another order than old ones. */
static void rename_to(struct morph *m, json_object *map, const char *old)
{
	uint32_t letter = pv_below(m->r, 26), number = pv_below(m->r, 100);
	char name[32];

	if (!*old || fl_get(map, old))
		return;
	snprintf(name, sizeof(name), "%c%u-%d", (char)('a' + letter), number,
		 json_object_object_length(map));
	gen_add_str(map, old, name);
}

static void replace(struct morph *m, json_object *o, const char *field, json_object *map)
{
	const char *to = fl_text(map, fl_text(o, field));

	if (!*to)
		return;
	gen_add_str(o, field, to);
	m->changed = true;
}

static json_object *world_list(const struct morph *m, const char *field)
{
	return fl_get(fl_get(m->root, "world"), field);
}

/* Every flow's ends: fn gets the end object. */
static void each_end(struct morph *m, json_object *map,
		     void (*fn)(struct morph *m, json_object *end, json_object *map))
{
	json_object *flows = fl_get(m->root, "flows");
	size_t i;

	for (i = 0; i < fl_count(flows); i++) {
		json_object *flow = json_object_array_get_idx(flows, i);

		fn(m, fl_get(flow, "src"), map);
		fn(m, fl_get(flow, "dst"), map);
	}
}

/* ---- policies -------------------------------------------------------------------------------- */

static void new_policy_name(struct morph *m, json_object *policy, json_object *same)
{
	char name[48];

	(void)same;
	snprintf(name, sizeof(name), "%c-%.24s.r", (char)('a' + pv_below(m->r, 26)),
		 morph_name_of(policy));
	gen_add_str(fl_get(policy, "metadata"), "name", name);
	m->changed = true;
}

void morph_rename_policies(struct morph *m)
{
	morph_each_policy(m, new_policy_name);
}

/* ---- pods ------------------------------------------------------------------------------------ */

static void pod_end(struct morph *m, json_object *end, json_object *map)
{
	replace(m, end, "pod", map);
}

/* The map is by "namespace/name": names repeat in other namespaces. */
void morph_rename_pods(struct morph *m)
{
	json_object *map = json_object_new_object();
	size_t n = morph_count(m, "Pod"), i;

	for (i = 0; i < n; i++) {
		json_object *pod = morph_nth(m, "Pod", i);
		rs_autofree char *old = rs_asprintf("%s/%s", morph_ns_of(pod), morph_name_of(pod));
		rs_autofree char *to = NULL;

		rename_to(m, map, old);
		gen_add_str(fl_get(pod, "metadata"), "name", fl_text(map, old));
		to = rs_asprintf("%s/%s", morph_ns_of(pod), fl_text(map, old));
		gen_add_str(map, old, to);
		m->changed = true;
	}
	each_end(m, map, pod_end);
	json_object_put(map);
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static void node_end(struct morph *m, json_object *end, json_object *map)
{
	replace(m, end, "node", map);
}

void morph_rename_nodes(struct morph *m)
{
	json_object *map = json_object_new_object(), *nodes = world_list(m, "nodes"), *o;
	size_t i;

	for (i = 0; i < fl_count(nodes); i++) {
		o = json_object_array_get_idx(nodes, i);
		rename_to(m, map, fl_text(o, "name"));
		replace(m, o, "name", map);
	}
	for (i = 0; i < morph_count(m, "Node"); i++)
		replace(m, fl_get(morph_nth(m, "Node", i), "metadata"), "name", map);
	for (i = 0; i < morph_count(m, "Pod"); i++)
		replace(m, morph_spec(morph_nth(m, "Pod", i)), "nodeName", map);
	each_end(m, map, node_end);
	json_object_put(map);
}

/* ---- namespaces ------------------------------------------------------------------------------ */

static void namespace_end(struct morph *m, json_object *end, json_object *map)
{
	const char *pod = fl_text(end, "pod"), *slash = strchr(pod, '/');
	rs_autofree char *ns = NULL, *to = NULL;

	(void)m;
	if (!slash)
		return;
	ns = rs_strndup(pod, (size_t)(slash - pod));
	to = rs_asprintf("%s%s", fl_text(map, ns), slash);
	gen_add_str(end, "pod", to);
}

static void names_in_expression(struct morph *m, json_object *e, json_object *map)
{
	json_object *values = fl_get(e, "values"), *out;
	size_t i;

	if (strcmp(fl_text(e, "key"), METADATA_NAME) != 0 || !fl_count(values))
		return;
	out = json_object_new_array();
	for (i = 0; i < fl_count(values); i++) {
		const char *old = json_object_get_string(json_object_array_get_idx(values, i));
		const char *to = fl_text(map, old);

		gen_push_str(out, *to ? to : old);
	}
	json_object_object_add(e, "values", out);
	m->changed = true;
}

static void names_in_selector(struct morph *m, json_object *selector, json_object *map)
{
	json_object *list = fl_get(selector, "matchExpressions");
	size_t i;

	replace(m, fl_get(selector, "matchLabels"), METADATA_NAME, map);
	for (i = 0; i < fl_count(list); i++)
		names_in_expression(m, json_object_array_get_idx(list, i), map);
}

static void names_in_peer(struct morph *m, json_object *policy, json_object *peer)
{
	(void)policy;
	names_in_selector(m, fl_get(peer, "namespaceSelector"), m->map);
}

/* Also where selectors ask for the label that holds the name; new names are no words of any world, so
 * what matched no name matches none now. */
void morph_rename_namespaces(struct morph *m)
{
	json_object *map = json_object_new_object(), *list = morph_objects(m), *o, *meta;
	size_t i;

	for (i = 0; i < fl_count(list); i++) {
		o = json_object_array_get_idx(list, i);
		rename_to(m, map, morph_ns_of(o));
		if (!strcmp(fl_text(o, "kind"), "Namespace"))
			rename_to(m, map, morph_name_of(o));
	}
	for (i = 0; i < fl_count(list); i++) {
		o = json_object_array_get_idx(list, i);
		meta = fl_get(o, "metadata");
		replace(m, meta, "namespace", map);
		if (strcmp(fl_text(o, "kind"), "Namespace") != 0)
			continue;
		replace(m, meta, "name", map);
		replace(m, fl_get(meta, "labels"), METADATA_NAME, map);
	}
	m->map = map;
	morph_each_peer(m, names_in_peer);
	each_end(m, map, namespace_end);
	json_object_put(map);
}

/* ---- places ---------------------------------------------------------------------------------- */

#define MAX_BLOCKS 4096

struct blocks {
	struct rs_cidr v[MAX_BLOCKS];
	size_t n;
};

static void note_cidr(struct blocks *b, const char *text)
{
	if (b->n < MAX_BLOCKS && rs_cidr_parse(text, &b->v[b->n], NULL, NULL) == 0)
		b->n++;
}

static void note_block(struct morph *m, json_object *policy, json_object *peer)
{
	json_object *block = fl_get(peer, "ipBlock"), *excepts = fl_get(block, "except");
	size_t i;

	(void)policy;
	if (block)
		note_cidr(m->blocks, fl_text(block, "cidr"));
	for (i = 0; i < fl_count(excepts); i++)
		note_cidr(m->blocks, json_object_get_string(json_object_array_get_idx(excepts, i)));
}

/* Whether no block and no except tells the two apart. */
static bool alike(const struct blocks *b, const struct rs_addr *x, const struct rs_addr *y)
{
	size_t i;

	for (i = 0; i < b->n; i++)
		if (rs_cidr_contains(&b->v[i], x) != rs_cidr_contains(&b->v[i], y))
			return false;
	return b->n < MAX_BLOCKS;
}

/* Whether anybody has it, had it or claims it. */
static bool taken(const struct morph *m, const char *address)
{
	const char *pods = json_object_to_json_string_ext(morph_objects(m), JSON_C_TO_STRING_PLAIN);
	rs_autofree char *quoted = rs_asprintf("\"%s\"", address);

	if (strstr(pods, quoted))
		return true;
	return strstr(
		json_object_to_json_string_ext(world_list(m, "hosts"), JSON_C_TO_STRING_PLAIN),
		quoted);
}

static bool new_address(struct morph *m, json_object *node, const struct rs_addr *old,
			char out[RS_ADDR_STRLEN])
{
	json_object *ranges = fl_get(node, "ranges");
	struct rs_cidr c;
	struct rs_addr a;
	uint32_t try;
	size_t i;

	for (i = 0; i < fl_count(ranges); i++) {
		if (rs_cidr_parse(json_object_get_string(json_object_array_get_idx(ranges, i)), &c,
				  NULL, NULL) < 0 ||
		    c.addr.family != old->family)
			continue;
		for (try = 0; try < 20; try++) {
			a = c.addr;
			rs_addr_add(&a, 1 + pv_below(m->r, 60));
			if (alike(m->blocks, old, &a) && !taken(m, rs_addr_str(&a, out)))
				return true;
		}
	}
	return false;
}

/* Every address of the pod anew, or none. */
static void move(struct morph *m, json_object *pod, json_object *node)
{
	json_object *status = fl_get(pod, "status"), *old = fl_get(status, "podIPs"), *list, *ip;
	char text[RS_ADDR_STRLEN];
	struct rs_addr a;
	size_t i;

	list = json_object_new_array();
	for (i = 0; i < fl_count(old); i++) {
		const char *s = fl_text(json_object_array_get_idx(old, i), "ip");

		if (rs_addr_parse(s, &a, NULL) < 0 || !new_address(m, node, &a, text))
			break;
		ip = json_object_new_object();
		gen_add_str(ip, "ip", text);
		json_object_array_add(list, ip);
	}
	if (!i || i < fl_count(old)) {
		json_object_put(list);
		return;
	}
	gen_add_str(status, "podIP", fl_text(json_object_array_get_idx(list, 0), "ip"));
	json_object_object_add(status, "podIPs", list);
	gen_add_str(morph_spec(pod), "nodeName", fl_text(node, "name"));
	m->changed = true;
}

/* Whether all its flows are with pods and with hosts outside the pod ranges. */
static bool may_move(const struct morph *m, const struct fl_world *w, const char *pod)
{
	json_object *flows = fl_get(m->root, "flows");
	size_t i, k;

	for (i = 0; i < fl_count(flows); i++) {
		json_object *flow = json_object_array_get_idx(flows, i);
		json_object *src = fl_get(flow, "src"), *dst = fl_get(flow, "dst");

		if (strcmp(fl_text(src, "pod"), pod) != 0 && strcmp(fl_text(dst, "pod"), pod) != 0)
			continue;
		if (*fl_text(src, "node") || *fl_text(dst, "node"))
			return false;
		for (k = 0; k < w->n_ends; k++)
			if (w->ends[k].what == FL_HOST && w->ends[k].node != FL_NO_NODE &&
			    (!strcmp(fl_text(src, "host"), w->ends[k].name) ||
			     !strcmp(fl_text(dst, "host"), w->ends[k].name)))
				return false;
	}
	return true;
}

static json_object *pod_named(const struct morph *m, const char *text)
{
	size_t n = morph_count(m, "Pod"), i;

	for (i = 0; i < n; i++) {
		json_object *pod = morph_nth(m, "Pod", i);
		rs_autofree char *name = rs_asprintf("%s/%s", morph_ns_of(pod), morph_name_of(pod));

		if (!strcmp(name, text))
			return pod;
	}
	return NULL;
}

static void move_some(struct morph *m, json_object *nodes)
{
	struct pv_case c = { .root = m->root };
	struct fl_world *w = fl_world_new(&c);
	size_t i;

	for (i = 0; i < w->n_ends; i++) {
		uint32_t to = pv_below(m->r, (uint32_t)fl_count(nodes));

		if (w->ends[i].what == FL_POD && may_move(m, w, w->ends[i].name))
			move(m, pod_named(m, w->ends[i].name),
			     json_object_array_get_idx(nodes, to));
	}
	fl_world_free(w);
}

/* To addresses that no policy tells from the old ones: it is all one where a pod lies (A16). A pod that
 * talks to a node stays: a node reaches its own pods. */
void morph_move_pods(struct morph *m)
{
	m->blocks = rs_new(struct blocks);
	morph_each_peer(m, note_block);
	move_some(m, world_list(m, "nodes"));
	free(m->blocks);
}
