// SPDX-License-Identifier: Apache-2.0
/* inuse.c - first step of a compile: local subjects, the policies that select them, what those
 * name. */
#include <string.h>

#include "base/base.h"
#include "policy/compile.h"

static int cmp_subject(const void *a, const void *b)
{
	const struct rs_local_pod *x = ((const struct rs_subject *)a)->pod;
	const struct rs_local_pod *y = ((const struct rs_subject *)b)->pod;
	int d = strcmp(x->ns, y->ns);
	size_t i;

	if (!d)
		d = strcmp(x->name, y->name);
	for (i = 0; !d && i < x->n_ips && i < y->n_ips; i++)
		d = rs_addr_cmp(&x->ips[i], &y->ips[i]);
	return d ? d : (int)x->ifindex - (int)y->ifindex;
}

static void collect(const struct rs_local_pod *pods, size_t n, struct rs_subjects *out)
{
	size_t i;

	for (i = 0; i < n; i++) {
		struct rs_subject *s = rs_vec_push(out);

		s->pod = &pods[i];
		s->closed = s->pod->closed;
	}
	if (out->n > 1)
		qsort(out->v, out->n, sizeof(*out->v), cmp_subject);
}

/* Marks and remembers, per subject, which of its namespace's policies select it, by their positions
 * in the store's array. */
static void select_policies(struct rs_subject *s, const struct rs_policy *const *all, size_t first,
			    size_t n, bool *used)
{
	size_t i;
	int dir;

	if (s->closed)
		return;
	for (i = first; i < first + n; i++) {
		if (!rs_policy_selects(all[i], s->pod->labels))
			continue;
		for (dir = 0; dir < RS_DIRECTIONS; dir++) {
			if (!all[i]->isolates[dir])
				continue;
			*rs_vec_push(&s->policies[dir]) = (uint32_t)i;
			used[i] = true;
		}
	}
}

/* Subjects are sorted, so those of a namespace follow each other. */
static void select_all(struct rs_subjects *s, const struct rs_policy *const *all, size_t n_all,
		       bool *used)
{
	size_t first = 0, n = 0, i;

	for (i = 0; i < s->n; i++) {
		const char *ns = s->v[i].pod->ns;

		if (!i || strcmp(s->v[i - 1].pod->ns, ns) != 0)
			n = rs_policies_in(all, n_all, ns, &first);
		select_policies(&s->v[i], all, first, n, used);
	}
}

/* ---- canonical selectors: equal meaning, equal bytes ----------------------------------------- */

static int cmp_strp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *requirement_key(const struct rs_requirement *r, size_t *len)
{
	rs_autofree char **values = rs_new0(char *, r->n_values);
	struct rs_strbuf b = { 0 };
	size_t i;

	rs_key_str(&b, r->key);
	rs_key_u32(&b, (uint32_t)r->op);
	for (i = 0; i < r->n_values; i++)
		values[i] = r->values[i];
	if (r->n_values)
		qsort(values, r->n_values, sizeof(*values), cmp_strp);
	for (i = 0; i < r->n_values; i++)
		if (!i || strcmp(values[i - 1], values[i]) != 0)
			rs_key_str(&b, values[i]);
	*len = b.len;
	return rs_strbuf_steal(&b);
}

struct part {
	char *s;
	size_t len;
};

static int cmp_part(const void *a, const void *b)
{
	const struct part *x = a, *y = b;
	int d = memcmp(x->s, y->s, x->len < y->len ? x->len : y->len);

	return d ? d : (x->len > y->len) - (x->len < y->len);
}

/* Most have one requirement with one value: the key that it would have below. */
static void single_key(struct rs_strbuf *b, const struct rs_requirement *r)
{
	size_t at = b->len;
	uint32_t len;

	rs_key_u32(b, 0);
	rs_key_str(b, r->key);
	rs_key_u32(b, (uint32_t)r->op);
	if (r->n_values)
		rs_key_str(b, r->values[0]);
	len = (uint32_t)(b->len - at - sizeof(len));
	memcpy(b->s + at, &len, sizeof(len));
}

/* An absent selector and an empty one are the same here: callers have told them apart already. */
static void selector_key(struct rs_strbuf *b, const struct rs_selector *s)
{
	size_t n = s->present ? s->n_reqs : 0, i;
	rs_autofree struct part *parts = NULL;

	if (n == 1 && s->reqs[0].n_values < 2) {
		single_key(b, &s->reqs[0]);
		return;
	}
	parts = rs_new0(struct part, n);

	for (i = 0; i < n; i++)
		parts[i].s = requirement_key(&s->reqs[i], &parts[i].len);
	if (n)
		qsort(parts, n, sizeof(*parts), cmp_part);
	for (i = 0; i < n; i++) {
		if (!i || cmp_part(&parts[i - 1], &parts[i]) != 0) {
			rs_key_u32(b, (uint32_t)parts[i].len);
			rs_strbuf_add(b, parts[i].s, parts[i].len);
		}
	}
	for (i = 0; i < n; i++)
		free(parts[i].s);
}

/* ---- atoms ----------------------------------------------------------------------------------- */

static uint32_t ns_dim(struct rs_cc *c, const struct rs_selector *s)
{
	rs_auto_strbuf key = { 0 };
	bool fresh;
	uint32_t id;

	selector_key(&key, s);
	id = rs_intern_put(&c->ns_dims, rs_strbuf_str(&key), key.len, &fresh);
	if (fresh)
		*rs_vec_push(&c->ns_dim_sel) = s;
	return id;
}

static uint32_t atom_of(struct rs_cc *c, const struct rs_policy *p, const struct rs_peer *peer)
{
	bool by_ns = peer->ns_selector.present;
	rs_auto_strbuf key = { 0 };
	struct rs_atom *a;
	bool fresh;
	uint32_t id;

	rs_key_u32(&key, by_ns);
	if (by_ns)
		selector_key(&key, &peer->ns_selector);
	else
		rs_key_str(&key, p->meta.ns);
	rs_key_u32(&key, RS_NONE); /* no length: the namespace's part ends here */
	selector_key(&key, &peer->pod_selector);
	id = rs_intern_put(&c->atom_keys, rs_strbuf_str(&key), key.len, &fresh);
	if (!fresh)
		return id;
	a = rs_vec_push(&c->atoms);
	a->ns = by_ns ? RS_NONE : rs_intern_put(&c->ns_names, p->meta.ns, strlen(p->meta.ns), NULL);
	a->ns_dim = by_ns ? ns_dim(c, &peer->ns_selector) : RS_NONE;
	a->pods = peer->pod_selector.present ? &peer->pod_selector : NULL;
	a->hash = rs_hash_bytes(rs_strbuf_str(&key), key.len);
	return id;
}

static uint32_t block_of(struct rs_cc *c, struct rs_spans *s)
{
	size_t bytes;
	bool fresh;
	uint32_t id;

	rs_spans_normalise(s);
	if (!s->n)
		return RS_NONE;
	bytes = s->n * sizeof(*s->v);
	id = rs_intern_put(&c->blocks, s->v, bytes, &fresh);
	if (fresh)
		*rs_vec_push(&c->block_hash) = rs_hash_bytes(s->v, bytes);
	return id;
}

/* All ipBlocks of one rule are one atom: within a rule it makes no difference which of them
 * holds. */
static void rule_peers(struct rs_cc *c, const struct rs_policy *p, struct rs_crule *r)
{
	struct rs_spans spans = { 0 };
	size_t i;

	r->block = RS_NONE;
	if (r->rule->any_peer)
		return;
	for (i = 0; i < r->rule->n_peers; i++) {
		const struct rs_peer *peer = &r->rule->peers[i];

		if (peer->invalid)
			continue;
		if (peer->has_block)
			rs_spans_add_block(&spans, &peer->block);
		else if ((peer->ns_selector.present || peer->pod_selector.present) &&
			 !peer->ns_selector.invalid && !peer->pod_selector.invalid)
			*rs_vec_push(&r->atoms) = atom_of(c, p, peer);
	}
	r->block = block_of(c, &spans);
	rs_u32s_sort_unique(&r->atoms);
	rs_vec_free(&spans);
}

static void named_key(struct rs_strbuf *b, uint8_t proto, const char *name)
{
	rs_key_u32(b, proto);
	rs_key_str(b, name);
}

uint32_t rs_cc_named_find(const struct rs_cc *c, uint8_t proto, const char *name)
{
	rs_auto_strbuf key = { 0 };

	named_key(&key, proto, name);
	return rs_intern_find(&c->named, rs_strbuf_str(&key), key.len);
}

static void rule_ports(struct rs_cc *c, struct rs_crule *r)
{
	size_t i;

	for (i = 0; !r->rule->any_port && i < r->rule->n_ports; i++) {
		const struct rs_policy_port *port = &r->rule->ports[i];
		rs_auto_strbuf key = { 0 };
		uint32_t id = RS_NONE;
		bool fresh;

		if (!port->invalid && port->kind == RS_PORT_NAMED) {
			named_key(&key, port->proto, port->name);
			id = rs_intern_put(&c->named, rs_strbuf_str(&key), key.len, &fresh);
			if (fresh)
				*rs_vec_push(&c->named_out) = false;
			if (r->dir == RS_EGRESS)
				c->named_out.v[id] = true;
		}
		*rs_vec_push(&r->named) = id;
	}
}

/* ---- faults that a person should know of ----------------------------------------------------- */

static void report_rule(struct rs_cc *c, const struct rs_crule *r)
{
	const struct rs_meta *m = &c->policies.v[r->policy].p->meta;
	const char *dir = r->dir == RS_EGRESS ? "egress" : "ingress";
	const char *list = r->dir == RS_EGRESS ? "to" : "from";
	size_t i;

	for (i = 0; i < r->rule->n_peers; i++) {
		const struct rs_peer *p = &r->rule->peers[i];
		const char *why = p->why ? p->why : p->ns_selector.why;

		if (!p->invalid && !p->ns_selector.invalid && !p->pod_selector.invalid)
			continue;
		rs_conditions_add(c->conditions, "InvalidPolicy",
				  "%s/%s spec.%s[%u].%s[%zu] matches nothing: %s", m->ns, m->name,
				  dir, r->index, list, i,
				  why			? why
				  : p->pod_selector.why ? p->pod_selector.why
							: "it is not valid");
		rs_conditions_about(c->conditions, m);
	}
	for (i = 0; i < r->rule->n_ports; i++) {
		const struct rs_policy_port *p = &r->rule->ports[i];

		if (!p->invalid)
			continue;
		rs_conditions_add(c->conditions, "InvalidPolicy",
				  "%s/%s spec.%s[%u].ports[%zu] matches nothing: %s", m->ns,
				  m->name, dir, r->index, i, p->why ? p->why : "it is not valid");
		rs_conditions_about(c->conditions, m);
	}
}

static void report_subject(struct rs_cc *c, const struct rs_policy *p)
{
	rs_conditions_add(c->conditions, "InvalidPolicy",
			  "%s/%s spec.podSelector is not valid (%s): every pod of the namespace is "
			  "isolated and its rules allow nothing",
			  p->meta.ns, p->meta.name,
			  p->subject.why ? p->subject.why : "it cannot be read");
	rs_conditions_about(c->conditions, &p->meta);
}

static void add_rules(struct rs_cc *c, uint32_t policy, enum rs_direction dir)
{
	const struct rs_policy *p = c->policies.v[policy].p;
	size_t i;

	c->policies.v[policy].first_rule[dir] = (uint32_t)c->rules.n;
	if (!p->isolates[dir] || rs_policy_subject_bad(p))
		return;
	for (i = 0; i < p->n_rules[dir]; i++) {
		struct rs_crule *r = rs_vec_push(&c->rules);

		r->rule = &p->rules[dir][i];
		r->policy = policy;
		r->dir = dir;
		r->index = (uint32_t)i;
		rule_peers(c, p, r);
		rule_ports(c, r);
		report_rule(c, r);
	}
	c->policies.v[policy].n_rules[dir] = (uint32_t)p->n_rules[dir];
}

/* From positions in the store's array to those in rs_cc.policies. */
static void place_policies(struct rs_subjects *s, const uint32_t *place)
{
	size_t i, k;
	int dir;

	for (i = 0; i < s->n; i++)
		for (dir = 0; dir < RS_DIRECTIONS; dir++)
			for (k = 0; k < s->v[i].policies[dir].n; k++)
				s->v[i].policies[dir].v[k] = place[s->v[i].policies[dir].v[k]];
}

void rs_cc_in_use(struct rs_cc *c)
{
	const struct rs_policy *const *all;
	rs_autofree uint32_t *place = NULL;
	rs_autofree bool *used = NULL;
	size_t n_all, i;

	all = rs_store_policies(c->w->store, &n_all);
	used = rs_new0(bool, n_all);
	place = rs_new0(uint32_t, n_all);
	collect(c->w->locals, c->w->n_locals, &c->subjects);
	collect(c->w->expected, c->w->n_expected, &c->expected);
	select_all(&c->subjects, all, n_all, used);
	select_all(&c->expected, all, n_all, used);
	for (i = 0; i < n_all; i++) {
		if (!used[i])
			continue;
		place[i] = (uint32_t)c->policies.n;
		rs_vec_push(&c->policies)->p = all[i];
		add_rules(c, place[i], RS_INGRESS);
		add_rules(c, place[i], RS_EGRESS);
		if (rs_policy_subject_bad(all[i]))
			report_subject(c, all[i]);
	}
	place_policies(&c->subjects, place);
	place_policies(&c->expected, place);
}
