// SPDX-License-Identifier: Apache-2.0
/* moves.c - pods of other nodes that come, go or change between two compiles, and pods of this node
 * that come; see moves.h. */
#include "policy/moves.h"

#include <string.h>

#include "base/base.h"
#include "object/store.h"
#include "policy/classify.h"
#include "policy/irtools.h"

/* More of them at once are compiled: that is not slower, and gathers better. */
#define MAX_MOVES 4096u

/* Each leaves something in the IR until the next compile. */
#define MAX_MOVED (64u * 1024)

/* An address that is touched: its draft class before and after, RS_NONE for none. */
struct touch {
	struct rs_addr addr;
	uint32_t from, to;
	char *comment;
};

struct touches rs_vec(struct touch);

/* A claim that came or went, to be taken back. */
struct reclaimed {
	struct rs_addr addr;
	bool came;
};

struct placing {
	struct rs_kept *k;
	const struct rs_world *w;
	struct rs_vec(struct reclaimed) claims;
	struct rs_intern seen; /* addresses of v */
	struct touches v;
	struct rs_intern done; /* pods that were looked at */
	struct rs_kept_join joins[RS_KEPT_JOINS];
	size_t n_joins;
};

/* ---- whether it still holds ------------------------------------------------------------------ */

static bool selects_one(const struct rs_policy *p, const struct rs_local_pod *v, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!v[i].closed && !strcmp(v[i].ns, p->meta.ns) &&
		    rs_policy_selects(p, v[i].labels))
			return true;
	return false;
}

/* As inuse.c has it: a policy that selects none of this node's pods is not looked at. */
static bool in_use(const struct rs_world *w, const struct rs_policy *p)
{
	return p && (selects_one(p, w->locals, w->n_locals) ||
		     selects_one(p, w->expected, w->n_expected));
}

/* Of its object counts, for a pod that hangs here, whether it has finished (rs_view_local()). */
static bool local_harmless(const struct rs_world *w, const struct rs_store_change *ch)
{
	const struct rs_pod *was = (const struct rs_pod *)(const void *)ch->was;
	const struct rs_pod *now = rs_store_pod(w->store, ch->ns, ch->name);

	return was && now && rs_pod_finished(was) == rs_pod_finished(now);
}

/* Nothing of a Node or Namespace is kept; of a policy in use its selectors are, where they lay. */
static bool harmless(const struct rs_world *w, const struct rs_store_change *ch)
{
	switch (ch->kind) {
	case RS_KIND_POD:
		return !rs_world_local(w, ch->ns, ch->name) || local_harmless(w, ch);
	case RS_KIND_POLICY:
		return !in_use(w, (const struct rs_policy *)(const void *)ch->was) &&
		       !in_use(w, rs_store_policy(w->store, ch->ns, ch->name));
	default:
		return ch->same;
	}
}

/* A pod that comes and whose object changed, or holds an address already, is compiled. */
static bool plainly_joins(const struct rs_kept *k, const struct rs_world *w, size_t changes,
			  const struct rs_local_pod *p)
{
	const struct rs_pod *stored = rs_store_pod(w->store, p->ns, p->name);
	size_t i;

	if (p->closed || !stored || stored->n_ips)
		return false;
	for (i = 0; i < changes; i++) {
		const struct rs_store_change ch = rs_store_change(w->store, k->sequence, i);

		/* The same again is what an ADD reads of it. */
		if (ch.kind == RS_KIND_POD && !ch.same && !strcmp(ch.ns, p->ns) &&
		    !strcmp(ch.name, p->name))
			return false;
	}
	return true;
}

static bool holds(struct placing *p, bool joins, size_t *n)
{
	const struct rs_kept *k = p->k;
	const struct rs_world *w = p->w;
	size_t i;

	if (k->moved > MAX_MOVED || !rs_kept_follows(k, w, n) || *n > MAX_MOVES)
		return false;
	for (i = 0; i < *n; i++) {
		const struct rs_store_change ch = rs_store_change(w->store, k->sequence, i);

		if (!harmless(w, &ch))
			return false;
	}
	if (!rs_kept_joins(k, w, p->joins, &p->n_joins) || (p->n_joins && !joins))
		return false;
	for (i = 0; i < p->n_joins; i++)
		if (!plainly_joins(k, w, *n, &w->locals[p->joins[i].local]))
			return false;
	return true;
}

void rs_kept_settle(struct rs_kept *k)
{
	k->open = false;
}

/* ---- one change ------------------------------------------------------------------------------ */

/* How many claims there are then. */
static unsigned int claim(struct placing *p, const struct rs_addr *a, bool comes)
{
	struct rs_claimset *claimed = &p->k->c->classifier->claimed;

	*rs_vec_push(&p->claims) = (struct reclaimed){ *a, comes };
	return comes ? rs_claimset_add(claimed, a) : rs_claimset_remove(claimed, a);
}

/* A compile can still start from what is committed. */
static void take_back(struct placing *p)
{
	struct rs_claimset *claimed = &p->k->c->classifier->claimed;

	while (p->claims.n) {
		const struct reclaimed *r = &p->claims.v[--p->claims.n];

		if (r->came)
			rs_claimset_remove(claimed, &r->addr);
		else
			rs_claimset_add(claimed, &r->addr);
	}
}

static struct touch *touch(struct placing *p, const struct rs_addr *a)
{
	bool fresh;
	uint32_t id = rs_intern_put(&p->seen, a, sizeof(*a), &fresh);

	if (fresh) {
		struct touch *t = rs_vec_push(&p->v);

		t->addr = *a;
		t->from = t->to = RS_NONE;
	}
	return &p->v.v[id];
}

/* Where that pod has its addresses: their class, or RS_NONE where only their range counts. */
static bool place(struct placing *p, const struct rs_pod *pod, struct rs_addr *ips, size_t *n,
		  uint32_t *facet)
{
	struct rs_view v = {
		.ns = pod->meta.ns,
		.name = pod->meta.name,
		.labels = &pod->meta.labels,
		.ns_labels = rs_world_ns_labels(p->w, pod->meta.ns),
		.ports = pod->ports,
		.n_ports = pod->n_ports,
	};

	if (!rs_classifier_ips(p->w, pod, ips, n))
		return false;
	*facet = *n ? rs_classifier_known_facet(p->k->c->classifier, &v) : 0;
	return *facet != RS_NONE;
}

static bool class_of(const struct placing *p, const struct rs_addr *a, uint32_t facet,
		     uint32_t *cls)
{
	*cls = RS_NONE;
	if (!facet)
		return true;
	*cls = rs_classifier_class(p->k->c, rs_draft_range_of(&p->k->c->d, a), facet);
	return *cls != RS_NONE;
}

static bool take_away(struct placing *p, const struct rs_pod *pod)
{
	rs_autofree struct rs_addr *ips = rs_new0(struct rs_addr, pod->n_ips);
	uint32_t facet;
	size_t n, i;

	if (!place(p, pod, ips, &n, &facet))
		return false;
	for (i = 0; i < n; i++) {
		struct touch *t;

		if (rs_claimset_count(&p->k->c->classifier->claimed, &ips[i]) != 1)
			return false;
		claim(p, &ips[i], false);
		t = touch(p, &ips[i]);
		if (!class_of(p, &ips[i], facet, &t->from))
			return false;
		t->to = RS_NONE;
	}
	return true;
}

static bool put_there(struct placing *p, const struct rs_pod *pod)
{
	rs_autofree struct rs_addr *ips = rs_new0(struct rs_addr, pod->n_ips);
	uint32_t facet;
	size_t n, i;

	if (!place(p, pod, ips, &n, &facet))
		return false;
	for (i = 0; i < n; i++) {
		struct touch *t = touch(p, &ips[i]);

		if (claim(p, &ips[i], true) != 1 || !class_of(p, &ips[i], facet, &t->to))
			return false;
		free(t->comment);
		t->comment = rs_asprintf("%s/%s", pod->meta.ns, pod->meta.name);
	}
	return true;
}

/* The first change of a pod tells what it was. A pod of this node is where its record says. */
static bool first_of(struct placing *p, const struct rs_store_change *ch)
{
	rs_auto_strbuf key = { 0 };
	bool fresh;

	if (ch->kind != RS_KIND_POD || rs_world_local(p->w, ch->ns, ch->name))
		return false;
	rs_key_str(&key, ch->ns);
	rs_key_str(&key, ch->name);
	rs_intern_put(&p->done, key.s, key.len, &fresh);
	return fresh;
}

static bool leave(struct placing *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		struct rs_store_change ch = rs_store_change(p->w->store, p->k->sequence, i);

		if (!first_of(p, &ch))
			continue;
		if (ch.was && !take_away(p, (const struct rs_pod *)(const void *)ch.was))
			return false;
	}
	return true;
}

static bool arrive(struct placing *p, size_t n)
{
	size_t i;

	rs_intern_free(&p->done);
	for (i = 0; i < n; i++) {
		struct rs_store_change ch = rs_store_change(p->w->store, p->k->sequence, i);
		const struct rs_pod *now;

		if (!first_of(p, &ch))
			continue;
		now = rs_store_pod(p->w->store, ch.ns, ch.name);
		if (now && !put_there(p, now))
			return false;
	}
	return true;
}

/* ---- pods of this node that come ------------------------------------------------------------- */

static bool join_address(struct placing *p, const struct rs_local_pod *l, const struct rs_addr *a,
			 uint32_t facet)
{
	struct touch *t;

	if (!rs_cidrs_contain(p->w->node_ranges, p->w->n_node_ranges, a) || claim(p, a, true) != 1)
		return false;
	t = touch(p, a);
	if (!class_of(p, a, facet, &t->to))
		return false;
	free(t->comment);
	t->comment = rs_asprintf("%s/%s", l->ns, l->name);
	return true;
}

static bool goes_to(const struct placing *p, uint32_t cls)
{
	size_t i;

	for (i = 0; i < p->v.n; i++)
		if (p->v.v[i].to == cls)
			return true;
	return false;
}

/* A compile would make a class no more that was for this pod alone and that it does not get. */
static bool leaves_none(const struct placing *p, uint32_t facet)
{
	const struct rs_draft *d = &p->k->c->d;
	size_t i;

	for (i = 0; facet && i < p->w->n_node_ranges; i++) {
		uint32_t cls = rs_classifier_class(
			p->k->c, rs_draft_range_of(d, &p->w->node_ranges[i].addr), facet);

		if (cls != RS_NONE && !d->classes.v[cls].n_addrs && !goes_to(p, cls))
			return false;
	}
	return true;
}

static bool join(struct placing *p)
{
	size_t i, k;

	for (i = 0; i < p->n_joins; i++) {
		const struct rs_local_pod *l = &p->w->locals[p->joins[i].local];
		struct rs_view v;
		uint32_t facet;

		rs_view_local(p->w, l, &v);
		facet = rs_classifier_known_facet(p->k->c->classifier, &v);
		if (facet == RS_NONE)
			return false;
		for (k = 0; k < l->n_ips; k++)
			if (l->ips[k].family != RS_AF_NONE &&
			    !join_address(p, l, &l->ips[k], facet))
				return false;
		if (!leaves_none(p, facet))
			return false;
	}
	return true;
}

static int cmp_local(const void *a, const void *b)
{
	return rs_addr_cmp(&((const struct rs_ir_local *)a)->addr,
			   &((const struct rs_ir_local *)b)->addr);
}

static void tell_one(const struct rs_local_pod *l, const struct rs_kept_expected *e,
		     const struct rs_addr *a, struct rs_ir_moves *out)
{
	struct rs_ir_guard *g;

	out->locals[out->n_locals++] = (struct rs_ir_local){
		.addr = *a,
		.in_group = e->group[RS_INGRESS],
		.out_group = e->group[RS_EGRESS],
		.comment = rs_asprintf("%s/%s", l->ns, l->name),
	};
	if (!l->ifindex)
		return;
	g = &out->guards[out->n_guards++];
	*g = (struct rs_ir_guard){
		.ifindex = l->ifindex,
		.addr = *a,
		.ll = l->ll,
		.ifname = rs_strdup(l->ifname),
	};
	memcpy(g->mac, l->mac, sizeof(g->mac));
}

static void tell_joins(const struct placing *p, struct rs_ir_moves *out)
{
	size_t i, k, n = 0;

	for (i = 0; i < p->n_joins; i++)
		n += p->w->locals[p->joins[i].local].n_ips;
	out->locals = rs_new0(struct rs_ir_local, n);
	out->guards = rs_new0(struct rs_ir_guard, n);
	for (i = 0; i < p->n_joins; i++) {
		const struct rs_local_pod *l = &p->w->locals[p->joins[i].local];

		for (k = 0; k < l->n_ips; k++)
			if (l->ips[k].family != RS_AF_NONE)
				tell_one(l, &p->k->expected[p->joins[i].expected], &l->ips[k], out);
	}
	if (out->n_locals > 1)
		qsort(out->locals, out->n_locals, sizeof(*out->locals), cmp_local);
	if (out->n_guards > 1)
		qsort(out->guards, out->n_guards, sizeof(*out->guards), rs_ir_guard_cmp);
}

/* ---- what it comes to ------------------------------------------------------------------------ */

/* A class that nobody has any more goes, with its cells. */
static bool recount(struct placing *p)
{
	struct rs_draft *d = &p->k->c->d;
	size_t i;

	for (i = 0; i < p->v.n; i++)
		if (p->v.v[i].to != RS_NONE)
			d->classes.v[p->v.v[i].to].n_addrs++;
	for (i = 0; i < p->v.n; i++)
		if (p->v.v[i].from != RS_NONE && !--d->classes.v[p->v.v[i].from].n_addrs)
			return false;
	return true;
}

static int cmp_move(const void *a, const void *b)
{
	return rs_addr_cmp(&((const struct rs_ir_move *)a)->addr,
			   &((const struct rs_ir_move *)b)->addr);
}

static uint32_t number(const struct rs_kept *k, uint32_t cls)
{
	return cls == RS_NONE ? RS_CLASS_NONE : k->class_no[cls];
}

static void tell(struct placing *p, struct rs_ir_moves *out)
{
	size_t i;

	out->v = rs_new0(struct rs_ir_move, p->v.n);
	for (i = 0; i < p->v.n; i++) {
		struct touch *t = &p->v.v[i];

		if (t->from == RS_NONE && t->to == RS_NONE)
			continue;
		out->v[out->n++] = (struct rs_ir_move){
			.addr = t->addr,
			.from = number(p->k, t->from),
			.to = number(p->k, t->to),
			.comment = t->to == RS_NONE ? NULL : rs_steal_ptr(&t->comment),
		};
	}
	if (out->n > 1)
		qsort(out->v, out->n, sizeof(*out->v), cmp_move);
}

static void placing_free(struct placing *p)
{
	size_t i;

	for (i = 0; i < p->v.n; i++)
		free(p->v.v[i].comment);
	rs_vec_free(&p->v);
	rs_vec_free(&p->claims);
	rs_intern_free(&p->seen);
	rs_intern_free(&p->done);
}

bool rs_kept_moves(struct rs_kept *k, const struct rs_world *w, bool joins, struct rs_ir_moves *out)
{
	static _Atomic uint64_t serial;
	struct placing p = { .k = k, .w = w };
	size_t n;
	bool ok;

	if (!holds(&p, joins, &n))
		return false;
	ok = leave(&p, n) && arrive(&p, n) && join(&p) && recount(&p);
	if (ok) {
		tell(&p, out);
		if (p.n_joins) {
			tell_joins(&p, out);
			rs_kept_joined(k, w, p.joins, p.n_joins);
		}
		out->sequence = ++serial;
		k->sequence = rs_store_sequence(w->store);
		k->moved += out->n;
		k->open = true;
	} else {
		take_back(&p);
	}
	placing_free(&p);
	return ok;
}

uint64_t rs_ir_moves_count(const struct rs_ir_moves *m)
{
	size_t i;

	for (i = 0; i < m->n; i++)
		if (m->v[i].from != m->v[i].to)
			return 1;
	return m->n_locals > 0;
}
