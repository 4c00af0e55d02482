// SPDX-License-Identifier: Apache-2.0
/* lint_site.c - where something is wrong: paths through the tree of a policy, and findings. */
#include "cli/lint/lint.h"

#include <stdarg.h>
#include <string.h>

static const char *const rules_keys[] = { [RS_INGRESS] = "ingress", [RS_EGRESS] = "egress" };
static const char *const peers_keys[] = { [RS_INGRESS] = "from", [RS_EGRESS] = "to" };

const char *lint_rules_key(enum rs_direction dir)
{
	return rules_keys[dir];
}

const char *lint_peers_key(enum rs_direction dir)
{
	return peers_keys[dir];
}

/* ---- steps ----------------------------------------------------------------------------------- */

struct lint_at lint_root(const struct lint_policy *pol)
{
	return (struct lint_at){ .there = true, .node = pol->root, .pos = pol->pos };
}

static const struct rs_doc_node *not_null(const struct rs_doc_node *node)
{
	return node->type == RS_DOC_NULL ? NULL : node;
}

struct lint_at lint_field(const struct lint_at *map, const char *key)
{
	struct lint_at at = { .up = map, .key = key, .pos = map->pos };
	const struct rs_doc_item *item = map->node ? rs_doc_get(map->node, key) : NULL;

	if (!item)
		return at;
	at.there = true;
	at.node = not_null(item->value);
	at.pos = item->pos;
	return at;
}

struct lint_at lint_key(const struct lint_at *map, const struct rs_doc_item *item)
{
	return (struct lint_at){ .up = map,
				 .key = item->key,
				 .free_key = true,
				 .there = true,
				 .node = not_null(item->value),
				 .pos = item->pos };
}

const struct rs_doc_item *lint_items(const struct lint_at *at, enum rs_doc_type type)
{
	return at->node && at->node->type == type ? at->node->items : NULL;
}

struct lint_at lint_item(const struct lint_at *list, size_t i, const struct rs_doc_item *item)
{
	return (struct lint_at){ .up = list,
				 .index = i,
				 .there = true,
				 .node = not_null(item->value),
				 .pos = item->pos };
}

/* Paths are as deep as documents: RS_DOC_MAX_DEPTH bounds the recursion. */
static void put_path(struct rs_strbuf *b, const struct lint_at *at)
{
	if (!at->up)
		return;
	put_path(b, at->up);
	if (!at->key)
		rs_strbuf_printf(b, "[%zu]", at->index);
	else if (at->free_key)
		rs_strbuf_printf(b, "[%.128s]", at->key);
	else
		rs_strbuf_printf(b, "%s%.128s", b->len ? "." : "", at->key);
}

/* Of the nearest step that is written: a field that is absent stands nowhere. */
char *lint_path(const struct lint_at *at)
{
	struct rs_strbuf b = { 0 };

	while (at->up && !at->there)
		at = at->up;
	put_path(&b, at);
	return rs_strbuf_steal(&b);
}

/* ---- walking --------------------------------------------------------------------------------- */

/* The items of a list by their number; a list with as many as the object has, or none at all. */
static const struct rs_doc_item **by_number(const struct lint_at *list, size_t n)
{
	const struct rs_doc_item **v = rs_calloc(n, sizeof(*v)), *item;
	size_t i = 0;

	for (item = lint_items(list, RS_DOC_LIST); item && i < n; item = item->next)
		v[i++] = item;
	return v;
}

struct lint_at lint_peer_at(const struct lint_site *s, size_t i)
{
	return lint_item(&s->peers_at, i, s->peers[i]);
}

struct lint_at lint_port_at(const struct lint_site *s, size_t i)
{
	return lint_item(&s->ports_at, i, s->ports[i]);
}

static void each_rule_of(struct lint *l, struct lint_policy *pol, enum rs_direction dir,
			 void (*look)(const struct lint_site *s))
{
	struct lint_at root = lint_root(pol), spec = lint_field(&root, "spec");
	struct lint_at list = lint_field(&spec, rules_keys[dir]);
	const struct rs_doc_item *item = lint_items(&list, RS_DOC_LIST);
	size_t i;

	for (i = 0; i < pol->p->n_rules[dir] && item; i++, item = item->next) {
		struct lint_at at = lint_item(&list, i, item);
		struct lint_site s = { .l = l,
				       .pol = pol,
				       .dir = dir,
				       .index = i,
				       .rule = &pol->p->rules[dir][i],
				       .at = &at };

		s.peers_at = lint_field(&at, peers_keys[dir]);
		s.ports_at = lint_field(&at, "ports");
		s.peers = by_number(&s.peers_at, s.rule->n_peers);
		s.ports = by_number(&s.ports_at, s.rule->n_ports);
		look(&s);
		free(s.peers);
		free(s.ports);
	}
}

void lint_each_rule(struct lint *l, void (*look)(const struct lint_site *s))
{
	size_t i;
	int dir;

	for (i = 0; i < l->policies.n; i++)
		for (dir = 0; dir < RS_DIRECTIONS; dir++)
			if (l->policies.v[i].p)
				each_rule_of(l, &l->policies.v[i], (enum rs_direction)dir, look);
}

const struct lint_policy *lint_neighbours(const struct lint *l, const struct lint_policy *pol,
					  const struct lint_policy **end)
{
	const struct lint_policy *first = pol, *last = pol + 1;

	while (first > l->policies.v && !strcmp(first[-1].ns, pol->ns))
		first--;
	while (last < l->policies.v + l->policies.n && !strcmp(last->ns, pol->ns))
		last++;
	*end = last;
	return first;
}

/* ---- findings -------------------------------------------------------------------------------- */

static void say(struct lint *l, struct lint_policy *pol, const struct lint_at *at, enum lint_id id,
		enum lint_severity severity, char *text)
{
	struct lint_finding *f;

	if (severity == LINT_ERROR)
		pol->n_errors++;
	if (l->disabled[id] || severity < l->least) {
		free(text);
		return;
	}
	f = rs_vec_push(&l->found);
	*f = (struct lint_finding){ .id = id,
				    .severity = severity,
				    .pol = pol,
				    .pos = at->pos,
				    .path = lint_path(at),
				    .text = text,
				    .suppressed = pol->ignores[id] };
}

void lint_say(struct lint *l, struct lint_policy *pol, const struct lint_at *at, enum lint_id id,
	      const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(l, pol, at, id, lint_rules[id].severity, rs_vasprintf(fmt, ap));
	va_end(ap);
}

void lint_say_as(struct lint *l, struct lint_policy *pol, const struct lint_at *at, enum lint_id id,
		 enum lint_severity severity, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(l, pol, at, id, severity, rs_vasprintf(fmt, ap));
	va_end(ap);
}

/* ---- a few names ----------------------------------------------------------------------------- */

#define NAMES_SHOWN 3

void lint_names_add(struct lint_names *names, const struct lint_end *e)
{
	if (names->n++ < NAMES_SHOWN)
		rs_strbuf_printf(&names->b, "%s%s/%s", names->b.len ? ", " : "", e->ns, e->name);
}

const char *lint_names_str(struct lint_names *names)
{
	if (names->n > NAMES_SHOWN)
		rs_strbuf_printf(&names->b, " and %zu more", names->n - NAMES_SHOWN);
	return rs_strbuf_str(&names->b);
}

void lint_names_free(struct lint_names *names)
{
	rs_strbuf_free(&names->b);
}
