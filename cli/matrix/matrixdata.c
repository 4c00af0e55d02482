// SPDX-License-Identifier: Apache-2.0
/*
 * matrixdata.c - what the page of matrix.js knows, as one JSON text inside it; see matrix.h.
 *
 * Not the cells, which would be millions, but what they come from: the groups, the classes and the
 * cells of the IR. The page puts two halves together as rs_ir_reach() does and finds in the same
 * numbers which rule decided. Strings are shared and escaped twice: for the reader (control
 * characters, overrides of direction) and for the page ("<" cannot end the script element).
 *
 *	s	strings; all other texts are numbers in here
 *	ports	by number: [proto, lo, hi, ...]; 0 is none, 1 is all
 *	why	by number: [proto, lo, hi, rule, ...]; rule -1: none
 *	policy	[text, where, [ingress rules], [egress rules]]
 *	rule	[policy, ingress 0 or egress 1, index, where, peers, ports, asked port matches,
 *		[near, ...], how near to other pods, how near to the world]
 *	near	by number: namespaces whose pods a peer is about, though it may not match them
 *	out, in	groups: [isolated, over budget, [policies], ports, why, [class, ports, why, ...]]
 *	unit	[out group, in group, class, range class, asked proto, lo, hi]; -1: none
 *	party	[ns, text, kind, labels, row, alone, ends, [unit, count, example, ...]]
 *	rows	[party, ...]
 *	pairs	with --by ns, by row and column: all, some, none, ...
 */
#include "cli/matrix/matrixparts.h"

#include <string.h>

#include "policy/intern.h"
#include "policy/match.h"
#include "policy/words.h"

struct data {
	const struct matrix *m;
	struct rs_strbuf *b;
	struct rs_intern strings, ports, whys, nears;
	struct rs_u32s classes;
	uint32_t *rule_base;	  /* by policy of the IR: number of its first ingress rule */
	struct rs_u32s groups[2]; /* of units; by RS_DIR_IN - 1, RS_DIR_OUT - 1 */
};

/* ---- texts ----------------------------------------------------------------------------------- */

/* Of text that is escaped for the reader already. */
static void put_json_string(struct rs_strbuf *b, const char *text)
{
	rs_auto_strbuf json = { 0 };
	const char *p;

	rs_strbuf_put_json(&json, text);
	for (p = rs_strbuf_str(&json); *p; p++)
		if (*p == '<' || *p == '>' || *p == '&')
			rs_strbuf_printf(b, "\\u%04x", *p);
		else
			rs_strbuf_putc(b, *p);
}

static void put_json_raw(struct rs_strbuf *b, const char *text)
{
	rs_auto_strbuf safe = { 0 };

	rs_strbuf_puts_safe(&safe, text);
	put_json_string(b, rs_strbuf_str(&safe));
}

/* Of text that is escaped for the reader already; NULL is -1. */
static int64_t text_number(struct data *d, const char *text)
{
	return text ? (int64_t)rs_intern_put(&d->strings, text, strlen(text) + 1, NULL) : -1;
}

/* Of text as an object has it. */
static int64_t raw_number(struct data *d, const char *text)
{
	rs_auto_strbuf safe = { 0 };

	if (text)
		rs_strbuf_puts_safe(&safe, text);
	return text_number(d, text ? rs_strbuf_str(&safe) : NULL);
}

static void put_text(struct data *d, const char *text)
{
	rs_strbuf_printf(d->b, "%lld", (long long)text_number(d, text));
}

static void put_raw(struct data *d, const char *text)
{
	rs_strbuf_printf(d->b, "%lld", (long long)raw_number(d, text));
}

static void put_texts(struct data *d)
{
	size_t i, len;

	rs_strbuf_puts(d->b, ",\"s\":[");
	for (i = 0; i < d->strings.by_id.n; i++) {
		rs_strbuf_puts(d->b, i ? "," : "");
		put_json_string(d->b, rs_intern_key(&d->strings, (uint32_t)i, &len));
	}
	rs_strbuf_puts(d->b, "]\n");
}

/* Lists that were interned as their own JSON. */
static void put_lists(struct data *d, const char *key, const struct rs_intern *t)
{
	size_t i, len;

	rs_strbuf_printf(d->b, ",\"%s\":[", key);
	for (i = 0; i < t->by_id.n; i++)
		rs_strbuf_printf(d->b, "%s%s", i ? "," : "",
				 (const char *)rs_intern_key(t, (uint32_t)i, &len));
	rs_strbuf_puts(d->b, "]\n");
}

static uint32_t list_number(struct rs_intern *t, struct rs_strbuf *b)
{
	rs_strbuf_putc(b, ']');
	return rs_intern_put(t, b->s, b->len + 1, NULL);
}

/* ---- policies and rules ---------------------------------------------------------------------- */

static const struct rs_policy *policy_of(const struct data *d, size_t i)
{
	const struct rs_ir_policy *p = &d->m->ir->policies[i];

	return rs_store_policy(d->m->cw->store, p->ns, p->name);
}

static void number_rules(struct data *d)
{
	uint32_t n = 0;
	size_t i;

	d->rule_base = rs_new0(uint32_t, d->m->ir->n_policies + 1);
	for (i = 0; i < d->m->ir->n_policies; i++) {
		const struct rs_policy *p = policy_of(d, i);

		d->rule_base[i] = n;
		n += p ? (uint32_t)(p->n_rules[RS_INGRESS] + p->n_rules[RS_EGRESS]) : 0;
	}
}

static int64_t rule_number(const struct data *d, uint32_t rule)
{
	const struct rs_ir *ir = d->m->ir;
	const struct rs_ir_rule *r;
	size_t lo = 0, hi = ir->n_policies;

	if (rule == UINT32_MAX)
		return -1;
	r = &ir->rules[rule];
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(ir->policies[mid].ns, r->ns);

		c = c ? c : strcmp(ir->policies[mid].name, r->name);
		if (!c) {
			const struct rs_policy *p = policy_of(d, mid);
			size_t skip = p && r->dir == RS_DIR_OUT ? p->n_rules[RS_INGRESS] : 0;

			return (int64_t)(d->rule_base[mid] + skip + r->index);
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return -1;
}

static bool asked_port_matches(const struct mx_question *q, const struct rs_rule *r)
{
	return q->text && !q->port.name &&
	       rs_rule_ports_match(r, NULL, 0, q->port.proto ? q->port.proto : 1, q->port.lo);
}

/* The namespaces of parties that a peer's selector of namespaces, or its policy's own, holds. */
static uint32_t near_number(struct data *d, const struct rs_policy *p, const struct rs_peer *peer)
{
	rs_auto_strbuf b = { 0 };
	const char *last = NULL;
	size_t i;

	rs_strbuf_putc(&b, '[');
	for (i = 0; i < d->m->parties.n; i++) {
		const char *ns = d->m->parties.v[i].ns;
		const struct rs_labels *labels;

		if (!ns || (last && !strcmp(ns, last)))
			continue;
		last = ns;
		labels = rs_world_ns_labels(&d->m->cw->w, ns);
		if (peer->ns_selector.present
			    ? !labels || !rs_selector_matches(&peer->ns_selector, labels)
			    : strcmp(ns, p->meta.ns) != 0)
			continue;
		rs_strbuf_printf(&b, b.len > 1 ? ",%lld" : "%lld", (long long)raw_number(d, ns));
	}
	return list_number(&d->nears, &b);
}

/* How near a rule comes to a peer that it does not match, as explain ranks it: 3 for pods of the
 * namespaces in `near` and for addresses in a block, 2 for others that it could be about, or 1. */
static void put_nearness(struct data *d, const struct rs_policy *p, const struct rs_rule *r)
{
	int pods = 0, world = 0;
	bool any = false;
	size_t i;

	rs_strbuf_puts(d->b, ",[");
	for (i = 0; i < r->n_peers; i++) {
		const struct rs_peer *peer = &r->peers[i];
		int of_world = 1;

		if (peer->invalid)
			continue;
		if (peer->has_block)
			of_world = rs_cidr_contains(&peer->block.cidr, &d->m->world) ? 3 : 2;
		world = of_world > world ? of_world : world;
		pods = !peer->has_block ? 2 : pods > 1 ? pods : 1;
		if (peer->has_block)
			continue;
		rs_strbuf_printf(d->b, any ? ",%u" : "%u", near_number(d, p, peer));
		any = true;
	}
	rs_strbuf_printf(d->b, "],%d,%d]", pods, world);
}

static void put_rule(struct data *d, const struct rs_policy *p, size_t policy,
		     enum rs_direction dir, size_t index)
{
	const struct rs_rule *r = &p->rules[dir][index];
	rs_autofree char *where = rs_pos_text(&r->pos);
	rs_auto_strbuf peers = { 0 }, ports = { 0 };
	size_t i;

	for (i = 0; i < r->n_peers; i++) {
		rs_strbuf_puts(&peers, i ? "; " : "");
		rs_put_peer(&peers, p, &r->peers[i]);
	}
	if (!r->n_peers)
		rs_strbuf_puts(&peers, r->any_peer ? "any" : "nobody");
	rs_put_rule_ports(&ports, r);
	rs_strbuf_printf(d->b, "[%zu,%d,%zu,", policy, dir == RS_EGRESS, index);
	put_text(d, where);
	rs_strbuf_putc(d->b, ',');
	put_text(d, rs_strbuf_str(&peers));
	rs_strbuf_putc(d->b, ',');
	put_text(d, rs_strbuf_str(&ports));
	rs_strbuf_printf(d->b, ",%d", asked_port_matches(&d->m->q, r));
	put_nearness(d, p, r);
}

static void put_rules(struct data *d)
{
	bool first = true;
	size_t i, k;
	int dir;

	rs_strbuf_puts(d->b, ",\"rule\":[");
	for (i = 0; i < d->m->ir->n_policies; i++) {
		const struct rs_policy *p = policy_of(d, i);

		for (dir = 0; p && dir < RS_DIRECTIONS; dir++)
			for (k = 0; k < p->n_rules[dir]; k++) {
				rs_strbuf_puts(d->b, first ? "" : ",");
				put_rule(d, p, i, (enum rs_direction)dir, k);
				first = false;
			}
	}
	rs_strbuf_puts(d->b, "]\n");
}

static void put_rule_numbers(struct data *d, uint32_t first, size_t n)
{
	size_t k;

	rs_strbuf_puts(d->b, ",[");
	for (k = 0; k < n; k++)
		rs_strbuf_printf(d->b, k ? ",%zu" : "%zu", first + k);
	rs_strbuf_putc(d->b, ']');
}

static void put_policies(struct data *d)
{
	size_t i;

	rs_strbuf_puts(d->b, ",\"policy\":[");
	for (i = 0; i < d->m->ir->n_policies; i++) {
		const struct rs_ir_policy *o = &d->m->ir->policies[i];
		const struct rs_policy *p = policy_of(d, i);
		rs_autofree char *text = rs_asprintf("%s/%s", o->ns, o->name);
		rs_autofree char *where = p ? rs_pos_text(&p->meta.pos) : NULL;
		size_t n_in = p ? p->n_rules[RS_INGRESS] : 0;

		rs_strbuf_puts(d->b, i ? ",[" : "[");
		put_raw(d, text);
		rs_strbuf_putc(d->b, ',');
		put_text(d, where);
		put_rule_numbers(d, d->rule_base[i], n_in);
		put_rule_numbers(d, d->rule_base[i] + (uint32_t)n_in,
				 p ? p->n_rules[RS_EGRESS] : 0);
		rs_strbuf_putc(d->b, ']');
	}
	rs_strbuf_puts(d->b, "]\n");
}

/* ---- groups ---------------------------------------------------------------------------------- */

static uint32_t ports_number(struct data *d, uint32_t profile)
{
	rs_auto_strbuf b = { 0 };
	struct rs_reach r;
	size_t i;

	rs_reach_of_profile(d->m->ir, profile, &r);
	rs_strbuf_putc(&b, '[');
	for (i = 0; i < r.n; i++)
		rs_strbuf_printf(&b, "%s%u,%u,%u", i ? "," : "", r.v[i].proto, r.v[i].lo,
				 r.v[i].hi);
	rs_reach_clear(&r);
	return list_number(&d->ports, &b);
}

static uint32_t why_number(struct data *d, uint32_t first, uint32_t n)
{
	rs_auto_strbuf b = { 0 };
	uint32_t i;

	rs_strbuf_putc(&b, '[');
	for (i = 0; i < n; i++) {
		const struct rs_ir_portrule *w = &d->m->ir->whys[first + i];

		rs_strbuf_printf(&b, "%s%u,%u,%u,%lld", i ? "," : "", w->proto, w->lo, w->hi,
				 (long long)rule_number(d, w->rule));
	}
	return list_number(&d->whys, &b);
}

static int64_t place(const struct rs_u32s *v, uint32_t x)
{
	uint32_t at = rs_u32s_find(v, x);

	return at == RS_NONE ? -1 : (int64_t)at;
}

static int64_t class_place(const struct data *d, uint32_t cls)
{
	return cls == RS_CLASS_WORLD ? -1 : place(&d->classes, cls);
}

static void index_units(struct data *d)
{
	size_t i;

	for (i = 0; i < d->m->units.n; i++) {
		const struct rs_reach_key *k = &d->m->units.v[i].key;

		*rs_vec_push(&d->classes) = k->cls;
		*rs_vec_push(&d->classes) = k->range_cls;
		if (k->in_group != UINT32_MAX)
			*rs_vec_push(&d->groups[RS_DIR_IN - 1]) = k->in_group;
		if (k->out_group != UINT32_MAX)
			*rs_vec_push(&d->groups[RS_DIR_OUT - 1]) = k->out_group;
	}
	rs_u32s_sort_unique(&d->classes);
	rs_u32s_sort_unique(&d->groups[0]);
	rs_u32s_sort_unique(&d->groups[1]);
}

/* Cells of classes that no unit has are of no use to the page. */
static void put_cells(struct data *d, enum rs_ir_dir dir, uint32_t group)
{
	const struct rs_ir *ir = d->m->ir;
	bool first = true;
	size_t i;

	rs_strbuf_puts(d->b, ",[");
	for (i = rs_reach_first_cell(ir, dir, group); i < ir->n_cells; i++) {
		const struct rs_ir_cell *c = &ir->cells[i];
		int64_t cls = class_place(d, c->cls);

		if (c->dir != dir || c->group != group)
			break;
		if (cls < 0)
			continue;
		rs_strbuf_printf(d->b, "%s%lld,%u,%u", first ? "" : ",", (long long)cls,
				 ports_number(d, c->profile),
				 why_number(d, c->first_why, c->n_why));
		first = false;
	}
	rs_strbuf_putc(d->b, ']');
}

static void put_group(struct data *d, enum rs_ir_dir dir, uint32_t group)
{
	const struct rs_ir *ir = d->m->ir;
	const struct rs_ir_group *g = rs_ir_group(ir, dir, group);
	uint32_t i;

	rs_strbuf_printf(d->b, "[%d,%d,[", !g || g->isolated, g && g->over_budget);
	for (i = 0; g && i < g->n_policies; i++)
		rs_strbuf_printf(d->b, i ? ",%u" : "%u", ir->group_policies[g->first_policy + i]);
	rs_strbuf_printf(d->b, "],%u,%u", ports_number(d, g ? g->profile : RS_PROFILE_DENY),
			 g ? why_number(d, g->first_why, g->n_why) : why_number(d, 0, 0));
	put_cells(d, dir, group);
	rs_strbuf_putc(d->b, ']');
}

static void put_groups(struct data *d, const char *key, enum rs_ir_dir dir)
{
	const struct rs_u32s *v = &d->groups[dir - 1];
	size_t i;

	rs_strbuf_printf(d->b, ",\"%s\":[", key);
	for (i = 0; i < v->n; i++) {
		rs_strbuf_puts(d->b, i ? "," : "");
		put_group(d, dir, v->v[i]);
	}
	rs_strbuf_puts(d->b, "]\n");
}

/* ---- units, parties, rows -------------------------------------------------------------------- */

static void put_units(struct data *d)
{
	size_t i;

	rs_strbuf_puts(d->b, ",\"unit\":[");
	for (i = 0; i < d->m->units.n; i++) {
		const struct mx_unit *u = &d->m->units.v[i];

		rs_strbuf_printf(d->b, "%s[%lld,%lld,%lld,%lld", i ? "," : "",
				 (long long)place(&d->groups[RS_DIR_OUT - 1], u->key.out_group),
				 (long long)place(&d->groups[RS_DIR_IN - 1], u->key.in_group),
				 (long long)class_place(d, u->key.cls),
				 (long long)class_place(d, u->key.range_cls));
		if (d->m->q.text)
			rs_strbuf_printf(d->b, ",%d,%u,%u", u->icmp || u->proto ? u->proto : -1,
					 u->lo, u->hi);
		rs_strbuf_putc(d->b, ']');
	}
	rs_strbuf_puts(d->b, "]\n");
}

static void put_party(struct data *d, const struct mx_party *p)
{
	rs_autofree char *labels = p->labels ? rs_labels_str(p->labels) : NULL;
	size_t i;

	rs_strbuf_putc(d->b, '[');
	put_raw(d, p->ns);
	rs_strbuf_putc(d->b, ',');
	put_raw(d, p->text);
	rs_strbuf_putc(d->b, ',');
	put_raw(d, p->kind);
	rs_strbuf_putc(d->b, ',');
	put_text(d, labels);
	rs_strbuf_printf(d->b, ",%u,%d,%zu,[", p->row, p->alone, p->n_ends);
	for (i = 0; i < p->n_shares; i++) {
		const struct mx_share *s = &d->m->shares.v[p->first_share + i];

		rs_strbuf_printf(d->b, "%s%u,%u,", i ? "," : "", s->unit, s->n);
		put_raw(d, p->n_shares > 1 ? s->example : NULL);
	}
	rs_strbuf_puts(d->b, "]]");
}

static void put_parties(struct data *d)
{
	const struct matrix *m = d->m;
	size_t i, k;

	rs_strbuf_puts(d->b, ",\"party\":[");
	for (i = 0; i < m->parties.n; i++) {
		rs_strbuf_puts(d->b, i ? "," : "");
		put_party(d, &m->parties.v[i]);
	}
	rs_strbuf_puts(d->b, "]\n,\"rows\":[");
	for (i = 0; i < m->n_rows; i++) {
		rs_strbuf_puts(d->b, i ? ",[" : "[");
		for (k = 0; k < m->rows[i].n_members; k++)
			rs_strbuf_printf(d->b, k ? ",%u" : "%u",
					 m->members[m->rows[i].first_member + k]);
		rs_strbuf_putc(d->b, ']');
	}
	rs_strbuf_puts(d->b, "]\n");
}

static void put_pairs(struct data *d)
{
	const struct matrix *m = d->m;
	size_t i;

	if (!m->counts)
		return;
	rs_strbuf_puts(d->b, ",\"pairs\":[");
	for (i = 0; i < m->n_rows * m->n_rows; i++)
		rs_strbuf_printf(d->b, "%s%llu,%llu,%llu", i ? "," : "",
				 (unsigned long long)m->counts[i].n[MX_ALL],
				 (unsigned long long)m->counts[i].n[MX_SOME],
				 (unsigned long long)m->counts[i].n[MX_NONE]);
	rs_strbuf_puts(d->b, "]\n");
}

static void put_head(struct data *d)
{
	static const char *const by[] = { "workload", "pod", "namespace" };
	const struct matrix *m = d->m;
	char world[RS_ADDR_STRLEN];

	rs_strbuf_printf(d->b, "{\"version\":1,\"by\":\"%s\",\"family\":%d,\"world\":\"%s\"",
			 by[m->by], m->family, rs_addr_str(&m->world, world));
	rs_strbuf_printf(d->b, ",\"pods\":%zu,\"policies\":%zu,\"from\":", m->cw->n_ends,
			 m->ir->n_policies);
	put_json_raw(d->b, m->cw->from);
	rs_strbuf_puts(d->b, ",\"port\":");
	if (m->q.text)
		put_json_raw(d->b, m->q.text);
	else
		rs_strbuf_puts(d->b, "null");
	rs_strbuf_putc(d->b, '\n');
}

void mx_put_data(struct rs_strbuf *b, const struct matrix *m)
{
	struct data d = { .m = m, .b = b };

	ports_number(&d, RS_PROFILE_DENY); /* 0 and 1, in this order */
	ports_number(&d, RS_PROFILE_ALLOW);
	index_units(&d);
	number_rules(&d);
	put_head(&d);
	put_policies(&d);
	put_rules(&d);
	put_groups(&d, "out", RS_DIR_OUT);
	put_groups(&d, "in", RS_DIR_IN);
	put_units(&d);
	put_parties(&d);
	put_pairs(&d);
	put_lists(&d, "ports", &d.ports);
	put_lists(&d, "why", &d.whys);
	put_lists(&d, "near", &d.nears);
	put_texts(&d); /* the last: the others found its strings */
	rs_strbuf_puts(b, "}");
	rs_intern_free(&d.strings);
	rs_intern_free(&d.ports);
	rs_intern_free(&d.whys);
	rs_intern_free(&d.nears);
	rs_vec_free(&d.classes);
	rs_vec_free(&d.groups[0]);
	rs_vec_free(&d.groups[1]);
	free(d.rule_base);
}
