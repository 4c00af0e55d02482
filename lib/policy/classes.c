// SPDX-License-Identifier: Apache-2.0
/*
 * classes.c - third step of a compile, its second half: from what every pod is to this node's rules
 * (facets.c) the exact class of every address that some rule can tell from its neighbours.
 *
 * Pods with equal facets at addresses of one range class share a class. An address whose facet is
 * empty gets none: with no atom of its own it may exactly what its range may, so the lookup is
 * right without it.
 */
#include <string.h>

#include "base/base.h"
#include "object/store.h"
#include "policy/classify.h"
#include "policy/compile.h"
#include "policy/reuse.h"

#define MAX_NAMED_IN_CONDITIONS 20u

static void add_claims(struct rs_classifier *x, const struct rs_view *v, uint32_t facet,
		       const struct rs_addr *ips, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		struct rs_claim *c;

		if (ips[i].family == RS_AF_NONE)
			continue;
		c = rs_vec_push(&x->claims);
		c->addr = ips[i];
		c->facet = facet;
		c->local = v->local;
		c->ns = v->ns;
		c->name = v->name;
	}
}

bool rs_classifier_ips(const struct rs_world *w, const struct rs_pod *p, struct rs_addr *ips,
		       size_t *n)
{
	size_t i;

	*n = 0;
	for (i = 0; rs_pod_is_peer(p) && i < p->n_ips; i++) {
		if (!rs_pod_ip_counts(w, p, &p->ips[i]))
			return false;
		ips[(*n)++] = p->ips[i];
	}
	return true;
}

static void claim_outside(struct rs_classifier *x, const struct rs_pod *p, const struct rs_addr *ip)
{
	char text[RS_ADDR_STRLEN];

	if (!x->outside++)
		x->first_outside =
			rs_asprintf("%s/%s %s", p->meta.ns, p->meta.name, rs_addr_str(ip, text));
}

static uint32_t stored_facet(struct rs_classifier *x, const struct rs_pod *p, struct rs_view *v)
{
	uint32_t facet;

	if (!x->ns || strcmp(x->ns, v->ns) != 0)
		v->ns_labels = rs_world_ns_labels(x->c->w, v->ns);
	rs_classifier_enter(x, v);
	facet = x->reuse ? rs_reuse_facet(x->reuse, p) : RS_NONE;
	return facet == RS_NONE ? rs_classifier_facet_of(x, v) : facet;
}

static void add_stored(struct rs_classifier *x, const struct rs_pod *p)
{
	rs_autofree struct rs_addr *ips = rs_new0(struct rs_addr, p->n_ips);
	uint32_t facet = RS_NONE;
	size_t i, n = 0;
	struct rs_view v = {
		.ns = p->meta.ns,
		.name = p->meta.name,
		.labels = &p->meta.labels,
		.ports = p->ports,
		.n_ports = p->n_ports,
	};

	for (i = 0; i < p->n_ips; i++) {
		if (rs_pod_ip_counts(x->c->w, p, &p->ips[i]))
			ips[n++] = p->ips[i];
		else
			claim_outside(x, p, &p->ips[i]);
	}
	if (n)
		facet = stored_facet(x, p, &v);
	*rs_vec_push(&x->known) = (struct rs_known){ p, facet };
	add_claims(x, &v, facet, ips, n);
}

/* Whether the sorted subjects hold that pod; *at moves along, as the store's pods are sorted. */
static bool is_local(const struct rs_cc *c, const struct rs_pod *p, size_t *at)
{
	for (; *at < c->subjects.n; (*at)++) {
		const struct rs_local_pod *l = c->subjects.v[*at].pod;
		int d = strcmp(l->ns, p->meta.ns);

		if (!d)
			d = strcmp(l->name, p->meta.name);
		if (d >= 0)
			return d == 0;
	}
	return false;
}

static int cmp_claim(const void *a, const void *b)
{
	const struct rs_claim *x = a, *y = b;
	int d = rs_addr_cmp(&x->addr, &y->addr);

	if (!d)
		d = (int)y->local - (int)x->local;
	if (!d)
		d = strcmp(x->ns, y->ns);
	return d ? d : strcmp(x->name, y->name);
}

static void collect_claims(struct rs_classifier *x)
{
	const struct rs_pod *const *pods;
	size_t n, i, at = 0;

	for (i = 0; i < x->c->subjects.n; i++) {
		const struct rs_local_pod *p = x->c->subjects.v[i].pod;
		struct rs_view v;

		rs_view_local(x->c->w, p, &v);
		add_claims(x, &v, p->n_ips ? rs_classifier_facet_of(x, &v) : 0, p->ips, p->n_ips);
	}
	x->ns = NULL;
	pods = rs_store_pods(x->c->w->store, &n);
	for (i = 0; i < n; i++)
		if (!is_local(x->c, pods[i], &at) && rs_pod_is_peer(pods[i]))
			add_stored(x, pods[i]);
	if (x->claims.n > 1)
		qsort(x->claims.v, x->claims.n, sizeof(*x->claims.v), cmp_claim);
}

/* ---- addresses to classes -------------------------------------------------------------------- */

static struct rs_hash class_key(const struct rs_cc *c, uint32_t range, const struct rs_u32s *facets)
{
	rs_autofree struct rs_hash *v = rs_new0(struct rs_hash, facets->n + 1);
	size_t i;

	for (i = 0; i < facets->n; i++)
		v[i] = c->facets.v[facets->v[i]].hash;
	if (facets->n > 1)
		qsort(v, facets->n, sizeof(*v), rs_hash_cmp);
	v[facets->n] = c->d.classes.v[range].key;
	return rs_hash_bytes(v, (facets->n + 1) * sizeof(*v));
}

uint32_t rs_classifier_put_class(struct rs_cc *c, uint32_t range, const struct rs_u32s *facets)
{
	rs_auto_strbuf key = { 0 };
	struct rs_draft_class *cls;
	bool fresh;
	size_t i;
	uint32_t id, first = 1 + (uint32_t)c->range_cls_of.n; /* behind the world and the ranges */

	rs_key_u32(&key, range);
	for (i = 0; i < facets->n; i++)
		rs_key_u32(&key, facets->v[i]);
	id = rs_intern_put(&c->class_keys, key.s, key.len, &fresh) + first;
	if (!fresh)
		return id;
	cls = rs_vec_push(&c->d.classes);
	cls->range_cls = range;
	cls->key = class_key(c, range, facets);
	for (i = 0; i < facets->n; i++) {
		*rs_vec_push(&cls->members) = facets->v[i];
		*rs_vec_push(&c->facets.v[facets->v[i]].classes) = id;
	}
	return id;
}

uint32_t rs_classifier_class(const struct rs_cc *c, uint32_t range, uint32_t facet)
{
	rs_auto_strbuf key = { 0 };
	uint32_t id;

	rs_key_u32(&key, range);
	rs_key_u32(&key, facet);
	id = rs_intern_find(&c->class_keys, key.s, key.len);
	return id == RS_NONE ? RS_NONE : id + 1 + (uint32_t)c->range_cls_of.n;
}

/* Claims [from, to) hold one address. A local record is alone in counting. */
static size_t counting(const struct rs_classifier *x, size_t from, size_t to)
{
	size_t end = from;

	if (!x->claims.v[from].local)
		return to;
	while (end < to && x->claims.v[end].local)
		end++;
	return end;
}

/* "ns/name"; there is one for each address. */
static char *joined(const char *ns, const char *name)
{
	size_t a = strlen(ns), b = strlen(name);
	char *s = rs_calloc(1, a + b + 2);

	memcpy(s, ns, a);
	s[a] = '/';
	memcpy(s + a + 1, name, b);
	return s;
}

static char *claim_names(const struct rs_classifier *x, size_t from, size_t to)
{
	struct rs_strbuf b = { 0 };
	size_t i;

	if (to - from == 1)
		return joined(x->claims.v[from].ns, x->claims.v[from].name);
	for (i = from; i < to && i < from + 8; i++)
		rs_strbuf_printf(&b, "%s%s/%s", i > from ? " + " : "", x->claims.v[i].ns,
				 x->claims.v[i].name);
	if (i < to)
		rs_strbuf_printf(&b, " and %zu more", to - i);
	return rs_strbuf_steal(&b);
}

static void report_conflict(struct rs_classifier *x, size_t from, size_t to, unsigned int *told)
{
	const struct rs_claim *first = &x->claims.v[from];
	size_t count = counting(x, from, to);
	rs_autofree char *names = NULL;
	char text[RS_ADDR_STRLEN];

	if ((*told)++ >= MAX_NAMED_IN_CONDITIONS)
		return;
	names = claim_names(x, from, to);
	rs_addr_str(&first->addr, text);
	if (!first->local)
		rs_conditions_add(&x->told, "AddressClaimedTwice",
				  "%s is claimed by %s: only what is allowed for all is allowed",
				  text, names);
	else if (count > from + 1)
		rs_conditions_add(
			&x->told, "AddressClaimedTwice",
			"%s is held by more than one pod of this node (%s): there they are "
			"closed",
			text, names);
	else
		rs_conditions_add(&x->told, "AddressClaimedTwice",
				  "%s is claimed by %s: the first is this node's and counts", text,
				  names);
}

static void classify_address(struct rs_classifier *x, size_t from, size_t to,
			     struct rs_u32s *facets)
{
	size_t end = counting(x, from, to), i;
	struct rs_draft_addr *a;

	facets->n = 0;
	for (i = from; i < end; i++) {
		/* One claimant without atoms: what all may is what its range may. */
		if (!x->claims.v[i].facet)
			return;
		*rs_vec_push(facets) = x->claims.v[i].facet;
	}
	rs_u32s_sort_unique(facets);
	a = rs_vec_push(&x->c->d.addrs);
	a->addr = x->claims.v[from].addr;
	a->cls = rs_classifier_put_class(x->c, rs_draft_range_of(&x->c->d, &a->addr), facets);
	a->comment = *rs_vec_push(&x->c->d.names) = claim_names(x, from, end);
	x->c->d.classes.v[a->cls].n_addrs++;
}

/* Two claims of one pod (an address written twice) are one; of local pods, of one record. */
static bool same_pod(const struct rs_claim *a, const struct rs_claim *b)
{
	if (a->local || b->local)
		return a->local && b->local && a->name == b->name;
	return !strcmp(a->ns, b->ns) && !strcmp(a->name, b->name);
}

static void drop_repeats(struct rs_classifier *x)
{
	size_t i, n = 0;

	for (i = 0; i < x->claims.n; i++) {
		const struct rs_claim *last = n ? &x->claims.v[n - 1] : NULL;

		if (!last || rs_addr_cmp(&last->addr, &x->claims.v[i].addr) != 0 ||
		    !same_pod(last, &x->claims.v[i]))
			x->claims.v[n++] = x->claims.v[i];
	}
	x->claims.n = n;
}

static void classify_all(struct rs_classifier *x)
{
	struct rs_u32s facets = { 0 };
	unsigned int conflicts = 0;
	size_t from, to;

	for (from = 0; from < x->claims.n; from = to) {
		const struct rs_addr *a = &x->claims.v[from].addr;

		for (to = from + 1; to < x->claims.n && !rs_addr_cmp(&x->claims.v[to].addr, a);)
			to++;
		if (to - from > 1)
			report_conflict(x, from, to, &conflicts);
		classify_address(x, from, to, &facets);
	}
	rs_vec_free(&facets);
	if (conflicts > MAX_NAMED_IN_CONDITIONS)
		rs_conditions_add(&x->told, "AddressClaimedTwice",
				  "%u more addresses are claimed by more than one pod",
				  conflicts - MAX_NAMED_IN_CONDITIONS);
	if (x->outside)
		rs_conditions_add(
			&x->told, "PodAddressOutsideRanges",
			"%zu pod addresses lie outside their node's pod ranges and do not "
			"count (the first: %s)",
			x->outside, x->first_outside);
}

/* What later moves need of the claims is how many there are of an address; and what a pod is, they
 * find out by itself. */
static void keep_counts(struct rs_classifier *x)
{
	size_t i;

	for (i = 0; i < x->claims.n; i++)
		rs_claimset_add(&x->claimed, &x->claims.v[i].addr);
	rs_vec_free(&x->claims);
	rs_reuse_free(x->reuse);
	x->reuse = NULL;
	x->known_since = rs_store_sequence(x->c->w->store);
	x->known_locals = x->c->subjects.n;
}

struct rs_classifier *rs_classifier_begin(struct rs_cc *c)
{
	struct rs_u64s nothing = { 0 };
	struct rs_u32s none = { 0 };

	rs_classifier_facet(c, &none, &nothing);
	return rs_classifier_new(c);
}

void rs_classifier_done(struct rs_classifier *x)
{
	size_t i;

	for (i = 0; x->c->conditions && i < x->told.n; i++)
		rs_conditions_copy(x->c->conditions, &x->told.v[i]);
	rs_intern_free(&x->seen);
	rs_vec_free(&x->seen_facet);
}

static void expect_one(struct rs_classifier *x, const struct rs_local_pod *p)
{
	struct rs_view v = {
		.ns = p->ns,
		.name = p->name,
		.labels = p->labels,
		.ns_labels = rs_world_ns_labels(x->c->w, p->ns),
		.ports = p->ports,
		.n_ports = p->n_ports,
	};
	struct rs_u32s facets = { 0 };
	uint32_t facet;
	size_t i;

	x->ns = NULL;
	rs_classifier_enter(x, &v);
	facet = p->closed ? 0 : rs_classifier_facet_of(x, &v);
	if (!facet)
		return;
	*rs_vec_push(&facets) = facet;
	for (i = 0; i < x->c->w->n_node_ranges; i++)
		rs_classifier_put_class(
			x->c, rs_draft_range_of(&x->c->d, &x->c->w->node_ranges[i].addr), &facets);
	rs_vec_free(&facets);
}

void rs_classifier_expect(struct rs_classifier *x)
{
	size_t i;

	for (i = 0; i < x->c->expected.n; i++)
		expect_one(x, x->c->expected.v[i].pod);
}

void rs_cc_classes(struct rs_cc *c)
{
	struct rs_classifier *x = c->classifier = rs_classifier_begin(c);

	if (c->old)
		x->reuse = rs_reuse_new(x, c->old, c->old_since);
	collect_claims(x);
	drop_repeats(x);
	classify_all(x);
	rs_classifier_expect(x);
	keep_counts(x);
	rs_classifier_done(x);
}
