// SPDX-License-Identifier: Apache-2.0
/* moves.c - pods of other nodes that come, go or change between two compiles; see moves.h. */
#include "policy/moves.h"

#include <string.h>

#include "base/base.h"
#include "object/store.h"
#include "policy/classify.h"

/* More of them at once are compiled: that is not slower, and gathers better. */
#define MAX_MOVES 4096u

/* Each leaves something in the IR until the next compile. */
#define MAX_MOVED (64u * 1024)

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

/* Nothing of a Node or Namespace is kept; of a policy in use its selectors are, where they lay. */
static bool harmless(const struct rs_world *w, const struct rs_store_change *ch)
{
	switch (ch->kind) {
	case RS_KIND_POD:
		return !rs_world_local(w, ch->ns, ch->name);
	case RS_KIND_POLICY:
		return !in_use(w, (const struct rs_policy *)(const void *)ch->was) &&
		       !in_use(w, rs_store_policy(w->store, ch->ns, ch->name));
	default:
		return ch->same;
	}
}

static bool holds(const struct rs_kept *k, const struct rs_world *w, size_t *n)
{
	size_t i;

	if (k->moved > MAX_MOVED || !rs_kept_follows(k, w, n) || *n > MAX_MOVES)
		return false;
	for (i = 0; i < *n; i++) {
		const struct rs_store_change ch = rs_store_change(w->store, k->sequence, i);

		if (!harmless(w, &ch))
			return false;
	}
	return rs_kept_same_locals(k, w) && rs_kept_same_expected(k, w);
}

void rs_kept_settle(struct rs_kept *k)
{
	k->open = false;
}

/* ---- one change ------------------------------------------------------------------------------ */

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
};

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

/* The first change of a pod tells what it was. */
static bool first_of(struct placing *p, const struct rs_store_change *ch)
{
	rs_auto_strbuf key = { 0 };
	bool fresh;

	if (ch->kind != RS_KIND_POD)
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

bool rs_kept_moves(struct rs_kept *k, const struct rs_world *w, struct rs_ir_moves *out)
{
	struct placing p = { .k = k, .w = w };
	size_t n;
	bool ok;

	if (!holds(k, w, &n))
		return false;
	ok = leave(&p, n) && arrive(&p, n) && recount(&p);
	if (ok) {
		tell(&p, out);
		out->sequence = k->sequence = rs_store_sequence(w->store);
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
	return 0;
}
