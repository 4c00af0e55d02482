// SPDX-License-Identifier: Apache-2.0
/*
 * groups.c - fourth step of a compile: local pods that the same policies isolate, with the same
 * numbers behind the port names that those policies use, share a group. Every local address has
 * one a direction.
 */
#include <string.h>

#include "base/base.h"
#include "policy/compile.h"

/* The subject's own numbers for the names in ingress rules (semantics C10, C14, C16). */
static void resolve_named(const struct rs_cc *c, const struct rs_subject *s, struct rs_u64s *out)
{
	rs_autofree bool *used = rs_new0(bool, c->named_out.n);
	size_t i, k, n;

	for (i = 0; i < s->policies[RS_INGRESS].n; i++) {
		const struct rs_cpolicy *p = &c->policies.v[s->policies[RS_INGRESS].v[i]];

		for (k = 0; k < p->n_rules[RS_INGRESS]; k++) {
			const struct rs_crule *r = &c->rules.v[p->first_rule[RS_INGRESS] + k];

			for (n = 0; n < r->named.n; n++)
				if (r->named.v[n] != RS_NONE)
					used[r->named.v[n]] = true;
		}
	}
	for (i = 0; i < s->pod->n_ports; i++) {
		const struct rs_container_port *p = &s->pod->ports[i];
		uint32_t id = p->name ? rs_cc_named_find(c, p->proto, p->name) : RS_NONE;

		if (id != RS_NONE && used[id])
			*rs_vec_push(out) = rs_named_pair(id, p->port);
	}
	rs_u64s_sort_unique(out);
}

/* Known in all compiles by its policies and ports, whatever their numbers. */
static struct rs_hash group_hash(const struct rs_cc *c, const struct rs_draft_group *g)
{
	rs_auto_strbuf b = { 0 };
	size_t i, len;

	rs_key_u32(&b, g->dir);
	rs_key_u32(&b, g->kind);
	for (i = 0; i < g->policies.n; i++) {
		const struct rs_meta *m = &c->policies.v[g->policies.v[i]].p->meta;

		rs_key_str(&b, m->ns);
		rs_key_str(&b, m->name);
		rs_key_str(&b, m->uid);
	}
	for (i = 0; i < g->named.n; i++) {
		const void *name = rs_intern_key(&c->named, (uint32_t)(g->named.v[i] >> 16), &len);

		rs_key_u32(&b, (uint32_t)(g->named.v[i] & 0xffff));
		rs_strbuf_add(&b, name, len);
	}
	return rs_hash_bytes(b.s, b.len);
}

static void symbolic_key(struct rs_strbuf *b, const struct rs_draft_group *g)
{
	size_t i;

	rs_key_u32(b, g->dir);
	rs_key_u32(b, g->kind);
	rs_key_u32(b, (uint32_t)g->policies.n);
	for (i = 0; i < g->policies.n; i++)
		rs_key_u32(b, g->policies.v[i]);
	for (i = 0; i < g->named.n; i++)
		rs_strbuf_add(b, &g->named.v[i], sizeof(g->named.v[i]));
}

static void group_free(struct rs_draft_group *g)
{
	rs_vec_free(&g->policies);
	rs_vec_free(&g->named);
}

static void describe(const struct rs_cc *c, const struct rs_subject *s, enum rs_direction dir,
		     struct rs_draft_group *g)
{
	size_t i;

	g->dir = dir;
	g->kind = s->closed	       ? RS_GROUP_CLOSED
		  : s->policies[dir].n ? RS_GROUP_ISOLATED
				       : RS_GROUP_OPEN;
	if (g->kind != RS_GROUP_ISOLATED)
		return;
	for (i = 0; i < s->policies[dir].n; i++) {
		*rs_vec_push(&g->policies) = s->policies[dir].v[i];
		if (c->policies.v[s->policies[dir].v[i]].no_blocks)
			g->over_budget = true;
	}
	if (dir == RS_INGRESS)
		resolve_named(c, s, &g->named);
}

static uint32_t group_of(struct rs_cc *c, struct rs_intern *keys, const struct rs_subject *s,
			 enum rs_direction dir)
{
	struct rs_draft_group g = { 0 };
	rs_auto_strbuf key = { 0 };
	bool fresh;
	uint32_t id;

	describe(c, s, dir, &g);
	symbolic_key(&key, &g);
	id = rs_intern_put(keys, key.s, key.len, &fresh);
	if (!fresh) {
		group_free(&g);
		return id;
	}
	g.key = group_hash(c, &g);
	*rs_vec_push(&c->d.groups) = g;
	return id;
}

static int cmp_local(const void *a, const void *b)
{
	return rs_addr_cmp(&((const struct rs_draft_local *)a)->addr,
			   &((const struct rs_draft_local *)b)->addr);
}

/* Pods of this node that share an address: whose packet is it? Nobody's. */
static void merge_locals(struct rs_cc *c, struct rs_intern *keys)
{
	static const struct rs_subject nobody = { .closed = true };
	size_t i, n = 0;
	int dir;

	for (i = 0; i < c->d.locals.n; i++) {
		struct rs_draft_local *last = n ? &c->d.locals.v[n - 1] : NULL;

		if (!last || cmp_local(last, &c->d.locals.v[i]) != 0)
			c->d.locals.v[n++] = c->d.locals.v[i];
		else if (last->subject != c->d.locals.v[i].subject)
			for (dir = 0; dir < RS_DIRECTIONS; dir++)
				last->group[dir] =
					group_of(c, keys, &nobody, (enum rs_direction)dir);
	}
	c->d.locals.n = n;
}

static void list_locals(struct rs_cc *c, struct rs_intern *keys)
{
	size_t i, k;

	for (i = 0; i < c->subjects.n; i++) {
		const struct rs_subject *s = &c->subjects.v[i];

		for (k = 0; k < s->pod->n_ips; k++) {
			struct rs_draft_local *l;

			if (s->pod->ips[k].family == RS_AF_NONE)
				continue;
			l = rs_vec_push(&c->d.locals);
			l->addr = s->pod->ips[k];
			l->subject = (uint32_t)i;
			memcpy(l->group, s->group, sizeof(l->group));
		}
	}
	if (c->d.locals.n > 1)
		qsort(c->d.locals.v, c->d.locals.n, sizeof(*c->d.locals.v), cmp_local);
	merge_locals(c, keys);
}

static void group_all(struct rs_cc *c, struct rs_intern *keys, struct rs_subjects *s,
		      enum rs_direction dir)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		s->v[i].group[dir] = group_of(c, keys, &s->v[i], dir);
}

void rs_cc_groups(struct rs_cc *c)
{
	struct rs_intern keys = { 0 };
	int dir;

	for (dir = 0; dir < RS_DIRECTIONS; dir++) {
		group_all(c, &keys, &c->subjects, (enum rs_direction)dir);
		group_all(c, &keys, &c->expected, (enum rs_direction)dir);
	}
	list_locals(c, &keys);
	rs_intern_free(&keys);
}
