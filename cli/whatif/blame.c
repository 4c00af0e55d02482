// SPDX-License-Identifier: Apache-2.0
/*
 * blame.c - which policy makes a pair differ.
 *
 * A port that is open on one side and closed on the other has a half (egress of the client, ingress
 * of the server) that denies it there. Either that end was not isolated on the open side: then the
 * policy is one that isolates it. Or a rule allowed it there: then the policy is that rule's.
 */
#include "cli/whatif/whatif.h"

#include <string.h>

#include "object/object_equal.h"
#include "policy/words.h"

/* Of a subject, so many endpoints are looked at to find two of which the difference is true. */
#define MAX_LOOK 64

/* One port of a pair, judged on both sides. */
struct witness {
	struct whatif *w;
	const struct pair *pair;
	enum side open, closed;
	int family;
	struct rs_reach_port port;
	struct rs_ir_verdict verdict[SIDES];
};

static bool judge(struct witness *x, enum side side, size_t i, size_t k)
{
	const struct subjects *s = whatif_subjects(x->w);
	struct rs_addr c = subject_addr(x->w, side, &s->v[x->pair->from], i, x->family);
	struct rs_addr d = subject_addr(x->w, side, &s->v[x->pair->to], k, x->family);
	bool wanted = side == x->open;

	if (!c.family || !d.family)
		return false;
	rs_ir_eval_others(whatif_ir(x->w, side), &c, &d, x->port.proto, x->port.lo,
			  &x->verdict[side]);
	return x->verdict[side].allow == wanted;
}

static size_t looked_at(const struct subject *s, enum side side)
{
	size_t n = s->outside ? 1 : s->ends[side].n;

	return n < MAX_LOOK ? n : MAX_LOOK;
}

/* Some two ends of that side. */
static bool find_any(struct witness *x, enum side side)
{
	const struct subjects *s = whatif_subjects(x->w);
	size_t i, k;

	for (i = 0; i < looked_at(&s->v[x->pair->from], side); i++)
		for (k = 0; k < looked_at(&s->v[x->pair->to], side); k++)
			if (judge(x, side, i, k))
				return true;
	return false;
}

/* The place of an endpoint of the closed side among those of the open side; SIZE_MAX: none. */
static size_t same_end(const struct witness *x, const struct subject *s, size_t i)
{
	const struct cli_world *from = whatif_world(x->w, x->closed);
	const struct cli_world *to = whatif_world(x->w, x->open);
	const struct cli_endpoint *e, *found;
	size_t k;

	if (s->outside)
		return i;
	e = &from->ends[s->ends[x->closed].v[i]];
	found = cli_world_endpoint(to, e->ns, e->name);
	for (k = 0; found && k < s->ends[x->open].n; k++)
		if (s->ends[x->open].v[k] == (size_t)(found - to->ends))
			return k;
	return SIZE_MAX;
}

/* Two ends that are the same on both sides and of which the difference is true. */
static bool find_same(struct witness *x)
{
	const struct subjects *s = whatif_subjects(x->w);
	const struct subject *c = &s->v[x->pair->from], *d = &s->v[x->pair->to];
	size_t i, k;

	for (i = 0; i < looked_at(c, x->closed); i++)
		for (k = 0; k < looked_at(d, x->closed); k++)
			if (judge(x, x->closed, i, k) &&
			    judge(x, x->open, same_end(x, c, i), same_end(x, d, k)))
				return true;
	return false;
}

static bool find_ends(struct witness *x)
{
	return find_same(x) || (find_any(x, x->open) && find_any(x, x->closed));
}

/* ---- policies on both sides ------------------------------------------------------------------ */

enum fate {
	FATE_NEW,
	FATE_GONE,
	FATE_EDITED,
	FATE_SAME,
};

static const struct rs_policy *policy_of(const struct whatif *w, enum side side, const char *ns,
					 const char *name)
{
	return rs_store_policy(whatif_world(w, side)->store, ns, name);
}

static enum fate fate_of(const struct whatif *w, const char *ns, const char *name)
{
	const struct rs_policy *b = policy_of(w, BEFORE, ns, name);
	const struct rs_policy *a = policy_of(w, AFTER, ns, name);

	if (!b || !a)
		return b ? FATE_GONE : FATE_NEW;
	return rs_policy_equal(b, a) ? FATE_SAME : FATE_EDITED;
}

/* Of the policies that isolate a group the one with most to say: new or gone, then edited. */
static const struct rs_ir_policy *isolator(const struct whatif *w, const struct rs_ir *ir,
					   const struct rs_ir_group *g)
{
	const struct rs_ir_policy *best = NULL;
	enum fate best_fate = FATE_SAME;
	uint32_t i;

	for (i = 0; i < g->n_policies; i++) {
		const struct rs_ir_policy *p =
			&ir->policies[ir->group_policies[g->first_policy + i]];
		enum fate fate = fate_of(w, p->ns, p->name);

		if (!best || fate < best_fate) {
			best = p;
			best_fate = fate;
		}
	}
	return best;
}

/* ---- words ----------------------------------------------------------------------------------- */

static void name_policy(const struct whatif *w, const char *ns, const char *name, struct blame *out)
{
	const struct rs_policy *p = policy_of(w, AFTER, ns, name);

	if (out->policy)
		return;
	p = p ? p : policy_of(w, BEFORE, ns, name);
	out->policy = rs_asprintf("%s/%s", ns, name);
	out->where = p ? rs_pos_text(&p->meta.pos) : NULL;
}

static void say(struct blame *out, char *text)
{
	char *both = out->why && strcmp(out->why, text) ? rs_asprintf("%s; %s", out->why, text)
							: rs_strdup(text);

	free(text);
	free(out->why);
	out->why = both;
}

/* An end that is isolated on the closed side and was not, or will not be, on the other. */
static void blame_isolation(const struct witness *x, const struct rs_ir_group *g, const char *end,
			    struct blame *out)
{
	static const char *const lost[] = { "new: %s/%s isolates %s%s", "%s/%s isolates %s%s",
					    "changed: %s/%s isolates %s%s",
					    "%s/%s selects it now: isolates %s%s" };
	static const char *const gained[] = { "%s/%s isolated %s%s", "gone: %s/%s isolated %s%s",
					      "changed: %s/%s no longer isolates %s%s",
					      "%s/%s no longer selects it: isolated %s%s" };
	const struct rs_ir_policy *p = isolator(x->w, whatif_ir(x->w, x->closed), g);
	rs_autofree char *more = NULL;
	enum fate fate;

	if (!p)
		return;
	more = g->n_policies > 1 ? rs_asprintf(" (and %u more)", g->n_policies - 1) : NULL;
	fate = fate_of(x->w, p->ns, p->name);
	say(out, rs_asprintf((x->closed == AFTER ? lost : gained)[fate], p->ns, p->name, end,
			     more ? more : ""));
	name_policy(x->w, p->ns, p->name, out);
}

/* A rule that allows it on the open side only. */
static void blame_rule(const struct witness *x, const struct rs_ir_rule *r, struct blame *out)
{
	static const char *const lost[] = { "%s/%s %s[%u] allowed it",
					    "gone: %s/%s %s[%u] allowed it",
					    "changed: %s/%s, whose %s[%u] allowed it",
					    "%s/%s %s[%u] no longer matches: labels differ" };
	static const char *const gained[] = { "new: %s/%s %s[%u] allows it",
					      "%s/%s %s[%u] allows it",
					      "changed: %s/%s %s[%u] allows it",
					      "%s/%s %s[%u] matches now: labels differ" };
	enum fate fate = fate_of(x->w, r->ns, r->name);
	struct rs_pos pos = { r->file, r->line, r->col };
	bool rule_stands = x->open == AFTER || fate == FATE_GONE;

	say(out, rs_asprintf((x->closed == AFTER ? lost : gained)[fate], r->ns, r->name,
			     r->dir == RS_DIR_IN ? "ingress" : "egress", r->index));
	if (rule_stands && !out->policy) {
		out->policy = rs_asprintf("%s/%s", r->ns, r->name);
		out->where = rs_pos_text(&pos);
	}
	name_policy(x->w, r->ns, r->name, out);
}

static void blame_half(const struct witness *x, enum rs_ir_dir dir, const struct rs_ir_half *open,
		       const struct rs_ir_half *closed, struct blame *out)
{
	const struct subjects *s = whatif_subjects(x->w);
	const struct rs_ir *ir = whatif_ir(x->w, x->open);
	const struct rs_ir_group *g = rs_ir_group(ir, dir, open->group);
	uint32_t subject = dir == RS_DIR_IN ? x->pair->to : x->pair->from;
	rs_autofree char *end = NULL;

	if (!closed->applies || closed->allow)
		return;
	if (g && g->isolated && open->rule != UINT32_MAX) {
		blame_rule(x, &ir->rules[open->rule], out);
		return;
	}
	end = rs_asprintf("%s of %s", dir == RS_DIR_IN ? "ingress" : "egress", s->v[subject].text);
	g = rs_ir_group(whatif_ir(x->w, x->closed), dir, closed->group);
	if (g)
		blame_isolation(x, g, end, out);
}

/* A port that is open on one side only: of some pods, or of all of them. */
static bool find_port(struct witness *x)
{
	const struct ports *o = &x->pair->ports[x->open], *c = &x->pair->ports[x->closed];
	struct portbook *book = whatif_book(x->w);
	bool use[FAMILIES];

	pair_families(x->pair, SIDES, use);
	for (x->family = 0; x->family < FAMILIES; x->family++) {
		int f = x->family;
		uint8_t icmp = f ? 58 : 1;

		if (use[f] && (portbook_beyond(book, o->any[f], c->any[f], icmp, &x->port) ||
			       portbook_beyond(book, o->all[f], c->all[f], icmp, &x->port)))
			return find_ends(x);
	}
	return false;
}

static void blame_side(struct whatif *w, const struct pair *p, enum side open, struct blame *out)
{
	struct witness x = { .w = w, .pair = p, .open = open };

	x.closed = open == BEFORE ? AFTER : BEFORE;
	if (!find_port(&x))
		return;
	blame_half(&x, RS_DIR_OUT, &x.verdict[open].out, &x.verdict[x.closed].out, out);
	blame_half(&x, RS_DIR_IN, &x.verdict[open].in, &x.verdict[x.closed].in, out);
}

void blame_pair(struct whatif *w, const struct pair *p, struct blame *out)
{
	memset(out, 0, sizeof(*out));
	if (p->change != GAINED)
		blame_side(w, p, BEFORE, out);
	if (p->change != LOST)
		blame_side(w, p, AFTER, out);
}

void blame_clear(struct blame *b)
{
	free(b->why);
	free(b->policy);
	free(b->where);
	memset(b, 0, sizeof(*b));
}
