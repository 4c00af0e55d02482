// SPDX-License-Identifier: Apache-2.0
/* morph_words.c - the same said in other words: defaults, selectors, blocks, ranges. */
#include <string.h>

#include "base/base.h"
#include "tests/prove/gen.h"
#include "tests/prove/gen_flows.h"
#include "tests/prove/morph.h"

#define METADATA_NAME "kubernetes.io/metadata.name"

static void keep(json_object *item, json_object *out)
{
	json_object_array_add(out, json_object_get(item));
}

/* ---- defaults -------------------------------------------------------------------------------- */

static void tcp_written(struct morph *m, json_object *port, json_object *out)
{
	if (!fl_get(port, "protocol")) {
		gen_add_str(port, "protocol", "TCP");
		m->changed = true;
	}
	keep(port, out);
}

static void defaults_of_rule(struct morph *m, json_object *policy, json_object *rule)
{
	(void)policy;
	morph_rewrite(m, rule, "ports", tcp_written);
}

static void defaults_of_policy(struct morph *m, json_object *policy, json_object *same)
{
	json_object *spec = morph_spec(same), *list;
	int bits = morph_isolates(policy);

	if (fl_count(fl_get(spec, "policyTypes")) || bits < 0)
		return;
	list = json_object_new_array();
	gen_push_str(list, "Ingress");
	if (bits & 2)
		gen_push_str(list, "Egress");
	json_object_object_add(spec, "policyTypes", list);
	if (!fl_get(spec, "podSelector"))
		json_object_object_add(spec, "podSelector", json_object_new_object());
	m->changed = true;
}

/* What the API server would have written (A2, A9, C3). */
void morph_defaults(struct morph *m)
{
	morph_each_rule(m, defaults_of_rule);
	morph_each_policy(m, defaults_of_policy);
}

/* ---- selectors ------------------------------------------------------------------------------- */

static void as_expressions(struct morph *m, json_object *policy, json_object *selector)
{
	json_object *map = fl_get(selector, "matchLabels"), *list, *e, *values;

	(void)policy;
	if (!map || !json_object_object_length(map))
		return;
	list = fl_get(selector, "matchExpressions");
	list = fl_count(list) ? json_object_get(list) : json_object_new_array();
	json_object_object_foreach(map, key, value)
	{
		e = json_object_new_object();
		gen_add_str(e, "key", key);
		gen_add_str(e, "operator", "In");
		values = json_object_new_array();
		gen_push_str(values, json_object_get_string(value));
		json_object_object_add(e, "values", values);
		json_object_array_add(list, e);
	}
	json_object_object_add(selector, "matchExpressions", list);
	json_object_object_del(selector, "matchLabels");
	m->changed = true;
}

/* API: "a single {key,value} in matchLabels is equivalent to" In with that value. A fault among the
 * expressions spoils the selector before and after. */
void morph_expressions(struct morph *m)
{
	morph_each_selector(m, as_expressions);
}

/* Whether this label names that namespace and no other. */
static bool one_of_that_name(const struct morph *m, const char *ns)
{
	size_t n = morph_count(m, "Namespace"), i;
	bool itself = false;

	for (i = 0; i < n; i++) {
		json_object *o = morph_nth(m, "Namespace", i);
		json_object *labels = fl_get(fl_get(o, "metadata"), "labels");

		if (strcmp(fl_text(labels, METADATA_NAME), ns) != 0)
			continue;
		if (strcmp(morph_name_of(o), ns) != 0)
			return false;
		itself = true;
	}
	return itself;
}

static void own_namespace(struct morph *m, json_object *policy, json_object *peer)
{
	json_object *s, *labels;
	const char *ns = morph_ns_of(policy);

	if (!fl_get(peer, "podSelector") || fl_get(peer, "namespaceSelector") ||
	    fl_get(peer, "ipBlock") || !one_of_that_name(m, ns))
		return;
	labels = json_object_new_object();
	gen_add_str(labels, METADATA_NAME, ns);
	s = json_object_new_object();
	json_object_object_add(s, "matchLabels", labels);
	json_object_object_add(peer, "namespaceSelector", s);
	m->changed = true;
}

/* podSelector alone means the policy's own namespace (B3); its name is a label where it is known. */
void morph_own_namespace(struct morph *m)
{
	morph_each_peer(m, own_namespace);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

#define MAX_EXCEPTS 32

struct block {
	struct rs_cidr cidr;
	struct rs_cidr excepts[MAX_EXCEPTS];
	size_t n;
};

/* A peer that is a block without a fault. */
static bool read_block(json_object *peer, struct block *b)
{
	json_object *o = fl_get(peer, "ipBlock"), *list = fl_get(o, "except");

	if (!o || fl_get(peer, "podSelector") || fl_get(peer, "namespaceSelector") ||
	    rs_cidr_parse(fl_text(o, "cidr"), &b->cidr, NULL, NULL) < 0 ||
	    fl_count(list) > MAX_EXCEPTS)
		return false;
	for (b->n = 0; b->n < fl_count(list); b->n++) {
		const char *s = json_object_get_string(json_object_array_get_idx(list, b->n));
		struct rs_cidr *e = &b->excepts[b->n];

		if (rs_cidr_parse(s, e, NULL, NULL) < 0 || !rs_cidr_covers(&b->cidr, e) ||
		    e->len == b->cidr.len)
			return false;
	}
	return true;
}

/* The peer for one half with the excepts that lie in it; NULL when they leave nothing of it. */
static json_object *half_peer(const struct block *b, const struct rs_cidr *half)
{
	json_object *peer = json_object_new_object(), *o = json_object_new_object();
	json_object *list = json_object_new_array();
	char text[RS_CIDR_STRLEN];
	size_t i;

	gen_add_str(o, "cidr", rs_cidr_str(half, text));
	json_object_object_add(peer, "ipBlock", o);
	json_object_object_add(o, "except", list);
	for (i = 0; i < b->n; i++) {
		if (!rs_cidr_covers(half, &b->excepts[i]))
			continue;
		if (b->excepts[i].len == half->len) {
			json_object_put(peer);
			return NULL;
		}
		gen_push_str(list, rs_cidr_str(&b->excepts[i], text));
	}
	return peer;
}

static void halves(struct morph *m, json_object *peer, json_object *out)
{
	struct block b;
	struct rs_cidr lower, upper;
	json_object *one, *two;

	if (!read_block(peer, &b) || b.cidr.len == rs_addr_bits(b.cidr.addr.family)) {
		keep(peer, out);
		return;
	}
	lower = (struct rs_cidr){ .addr = b.cidr.addr, .len = (uint8_t)(b.cidr.len + 1) };
	upper = lower;
	upper.addr = rs_cidr_last(&lower);
	rs_addr_next(&upper.addr);
	one = half_peer(&b, &lower);
	two = half_peer(&b, &upper);
	/* A list must not become empty: that would be everybody. */
	if (!one && !two)
		keep(peer, out);
	else
		m->changed = true;
	if (one)
		json_object_array_add(out, one);
	if (two)
		json_object_array_add(out, two);
}

static void split_of_rule(struct morph *m, json_object *policy, json_object *rule)
{
	const char *peers = morph_peers_field(rule);

	(void)policy;
	if (peers)
		morph_rewrite(m, rule, peers, halves);
}

/* A block is the union of its halves; an except is a strict part of the block, so it lies in one half
 * or is one. A v4-mapped block has v4-mapped halves: they match nothing either. */
void morph_split_blocks(struct morph *m)
{
	morph_each_rule(m, split_of_rule);
}

static void nest(struct morph *m, json_object *policy, json_object *peer)
{
	struct block b;
	struct rs_cidr inner;
	char text[RS_CIDR_STRLEN];
	size_t i;

	(void)policy;
	if (!read_block(peer, &b) || !b.n)
		return;
	i = pv_below(m->r, (uint32_t)b.n);
	inner = b.excepts[i];
	if (inner.len < rs_addr_bits(inner.addr.family))
		inner.len++;
	gen_push_str(fl_get(fl_get(peer, "ipBlock"), "except"), rs_cidr_str(&inner, text));
	m->changed = true;
}

/* An except inside an except takes nothing more away (B14). */
void morph_nested_excepts(struct morph *m)
{
	morph_each_peer(m, nest);
}

/* ---- ranges ---------------------------------------------------------------------------------- */

static int64_t valid_number(json_object *o)
{
	int64_t n = o && json_object_is_type(o, json_type_int) ? json_object_get_int64(o) : 0;

	return n >= 1 && n <= 65535 ? n : 0;
}

static void put_part(json_object *like, int64_t lo, int64_t hi, json_object *out)
{
	json_object *part = morph_copy(like);

	gen_add_int(part, "port", lo);
	json_object_object_del(part, "endPort");
	if (hi > lo)
		gen_add_int(part, "endPort", hi);
	json_object_array_add(out, part);
}

static void parts(struct morph *m, json_object *port, json_object *out)
{
	int64_t lo = valid_number(fl_get(port, "port")), hi = valid_number(fl_get(port, "endPort"));
	int64_t middle;

	if (!lo || hi <= lo) {
		keep(port, out);
		return;
	}
	m->changed = true;
	if (hi - lo < 8) {
		for (; lo <= hi; lo++)
			put_part(port, lo, lo, out);
		return;
	}
	middle = lo + pv_below(m->r, (uint32_t)(hi - lo));
	/* The upper part first, and one port in both. */
	put_part(port, middle, hi, out);
	put_part(port, lo, middle, out);
}

static void ranges_of_rule(struct morph *m, json_object *policy, json_object *rule)
{
	(void)policy;
	morph_rewrite(m, rule, "ports", parts);
}

/* Ports are ORed, ranges include both ends (C7, C8). An unknown protocol stays one in every part. */
void morph_split_ranges(struct morph *m)
{
	morph_each_rule(m, ranges_of_rule);
}
