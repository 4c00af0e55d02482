// SPDX-License-Identifier: Apache-2.0
/* reclass.c - classes of the compile before, and the pods that may be others now; see reclass.h. */
#include "policy/reclass.h"

#include <string.h>

#include "base/base.h"
#include "object/store.h"
#include "policy/classify.h"
#include "policy/looking.h"

/* An address that one of them had or has; nobody: it has gone. */
struct touch {
	struct rs_addr addr;
	const struct rs_looked *holder;
};

/* A class of the compile before in the words of this one. */
struct turned {
	struct rs_u32s facets; /* none: it is no class any more */
	bool known;
	uint32_t range, cls; /* where an address of it was put last; range RS_NONE: none yet */
};

/* Exact classes of k by their numbers in force: open addressing, of a power of two. */
struct numbers {
	uint32_t *no, *cls;
	size_t mask;
};

struct again {
	struct rs_cc *c;
	struct rs_kept *k;
	const struct rs_store *store;
	const struct rs_ir *last;
	struct rs_renaming names;
	struct rs_looking pods;
	struct rs_intern touched; /* addresses of touches */
	struct rs_vec(struct touch) touches;
	struct rs_vec(struct rs_addr) ips;
	struct numbers numbers;
	uint32_t *class_at;    /* of k, by address of last */
	struct turned *turned; /* by class of k */
	size_t range_at;
};

/* ---- the addresses of pods that are looked at ------------------------------------------------ */

/* Into a->ips. False: one does not count. */
static bool claims_of(struct again *a, const struct rs_pod *pod)
{
	size_t i;

	a->ips.n = 0;
	for (i = 0; pod && rs_pod_is_peer(pod) && i < pod->n_ips; i++) {
		if (!rs_pod_ip_counts(a->c->w, pod, &pod->ips[i]))
			return false;
		*rs_vec_push(&a->ips) = pod->ips[i];
	}
	return true;
}

static bool claims_here(struct again *a, const struct rs_addr *ips, size_t n)
{
	size_t i;

	a->ips.n = 0;
	for (i = 0; i < n; i++)
		if (ips[i].family != RS_AF_NONE)
			*rs_vec_push(&a->ips) = ips[i];
	return true;
}

static void touch(struct again *a, const struct rs_addr *addr, const struct rs_looked *holder)
{
	bool fresh;
	uint32_t id = rs_intern_put(&a->touched, addr, sizeof(*addr), &fresh);

	if (fresh)
		rs_vec_push(&a->touches)->addr = *addr;
	a->touches.v[id].holder = holder;
}

/* It is here for a selector that is new: its addresses are what they were. */
static bool unchanged(const struct rs_looked *l)
{
	return l->pod == l->was && !l->was_local && !l->local;
}

static bool stay(struct again *a, const struct rs_looked *l)
{
	size_t i;

	if (!claims_of(a, l->pod))
		return false;
	for (i = 0; i < a->ips.n; i++) {
		if (rs_claimset_count(&a->k->c->classifier->claimed, &a->ips.v[i]) != 1)
			return false;
		touch(a, &a->ips.v[i], l);
	}
	return true;
}

static bool leave(struct again *a, const struct rs_looked *l)
{
	struct rs_claimset *claimed = &a->k->c->classifier->claimed;
	size_t i;

	if (l->was_local ? !claims_here(a, l->was_local->ips, l->was_local->n_ips)
			 : !claims_of(a, l->was))
		return false;
	for (i = 0; i < a->ips.n; i++) {
		if (rs_claimset_count(claimed, &a->ips.v[i]) != 1)
			return false;
		rs_claimset_remove(claimed, &a->ips.v[i]);
		touch(a, &a->ips.v[i], NULL);
	}
	return true;
}

static bool arrive(struct again *a, const struct rs_looked *l)
{
	struct rs_claimset *claimed = &a->k->c->classifier->claimed;
	size_t i;

	if (l->local ? !claims_here(a, l->local->ips, l->local->n_ips) : !claims_of(a, l->pod))
		return false;
	for (i = 0; i < a->ips.n; i++) {
		if (rs_claimset_add(claimed, &a->ips.v[i]) != 1)
			return false;
		touch(a, &a->ips.v[i], l);
	}
	return true;
}

static bool reclaim(struct again *a)
{
	size_t i;

	a->k->open = true;
	for (i = 0; i < a->pods.v.n; i++)
		if (unchanged(&a->pods.v.v[i]) ? !stay(a, &a->pods.v.v[i])
					       : !leave(a, &a->pods.v.v[i]))
			return false;
	for (i = 0; i < a->pods.v.n; i++)
		if (!unchanged(&a->pods.v.v[i]) && !arrive(a, &a->pods.v.v[i]))
			return false;
	return true;
}

/* ---- classes that are in force --------------------------------------------------------------- */

static size_t number_place(const struct numbers *t, uint32_t no)
{
	size_t i = (size_t)(no * UINT32_C(0x9e3779b1) >> 8) & t->mask;

	while (t->no[i] && t->no[i] != no)
		i = (i + 1) & t->mask;
	return i;
}

/* False: two have one number. */
static bool put_numbers(struct again *a)
{
	const struct rs_draft *d = &a->k->c->d;
	struct numbers *t = &a->numbers;
	size_t i;

	for (t->mask = 16; t->mask < 2 * d->classes.n; t->mask *= 2)
		;
	t->no = rs_new0(uint32_t, t->mask);
	t->cls = rs_new0(uint32_t, t->mask--);
	for (i = 0; i < d->classes.n; i++) {
		size_t at = number_place(t, a->k->class_no[i]);

		if (d->classes.v[i].range)
			continue;
		if (t->no[at] || !a->k->class_no[i])
			return false;
		t->no[at] = a->k->class_no[i];
		t->cls[at] = (uint32_t)i;
	}
	return true;
}

static bool index_classes(struct again *a)
{
	size_t i;

	if (!put_numbers(a))
		return false;
	a->class_at = rs_new0(uint32_t, a->last->n_addrs);
	for (i = 0; i < a->last->n_addrs; i++) {
		size_t at = number_place(&a->numbers, a->last->addrs[i].cls);

		if (!a->numbers.no[at])
			return false;
		a->class_at[i] = a->numbers.cls[at];
	}
	return true;
}

static struct turned *turn(struct again *a, uint32_t cls)
{
	const struct rs_u32s *members = &a->k->c->d.classes.v[cls].members;
	struct turned *t = &a->turned[cls];
	size_t i;

	if (t->known)
		return t;
	t->known = true;
	t->range = RS_NONE;
	for (i = 0; i < members->n; i++) {
		uint32_t facet = rs_renaming_facet(&a->names, members->v[i]);

		/* One claimant without atoms: what all may is what its range may. */
		if (!facet) {
			t->facets.n = 0;
			break;
		}
		*rs_vec_push(&t->facets) = facet;
	}
	rs_u32s_sort_unique(&t->facets);
	return t;
}

/* ---- the addresses anew ---------------------------------------------------------------------- */

/* Asked for addresses that rise. */
static uint32_t range_of(struct again *a, const struct rs_addr *addr)
{
	const struct rs_draft *d = &a->c->d;

	while (a->range_at < d->ranges.n && rs_addr_cmp(&d->ranges.v[a->range_at].hi, addr) < 0)
		a->range_at++;
	if (a->range_at < d->ranges.n && rs_addr_cmp(&d->ranges.v[a->range_at].lo, addr) <= 0)
		return d->ranges.v[a->range_at].cls;
	return 0;
}

static void put_addr(struct again *a, const struct rs_addr *addr, uint32_t cls, const char *comment)
{
	*rs_vec_push(&a->c->d.addrs) =
		(struct rs_draft_addr){ .addr = *addr, .cls = cls, .comment = comment };
	a->c->d.classes.v[cls].n_addrs++;
}

static void put_old(struct again *a, size_t i)
{
	const struct rs_ir_addr *was = &a->last->addrs[i];
	struct turned *t = turn(a, a->class_at[i]);
	uint32_t range;

	if (!t->facets.n)
		return;
	range = range_of(a, &was->addr);
	if (t->range != range) {
		t->range = range;
		t->cls = rs_classifier_put_class(a->c, range, &t->facets);
	}
	put_addr(a, &was->addr, t->cls, was->comment);
}

static uint32_t facet_of(struct again *a, const struct rs_looked *l)
{
	struct rs_view v = { .ns = l->ns, .name = l->name };

	if (l->local) {
		rs_view_local(a->c->w, l->local, &v);
	} else {
		v.labels = &l->pod->meta.labels;
		v.ports = l->pod->ports;
		v.n_ports = l->pod->n_ports;
		v.ns_labels = rs_world_ns_labels(a->c->w, l->ns);
	}
	return rs_classifier_facet_of(a->c->classifier, &v);
}

static void put_touched(struct again *a, const struct touch *t)
{
	uint32_t facet = t->holder ? facet_of(a, t->holder) : 0, cls;
	struct rs_u32s facets = { 0 };
	char *name;

	if (!facet)
		return;
	*rs_vec_push(&facets) = facet;
	cls = rs_classifier_put_class(a->c, range_of(a, &t->addr), &facets);
	rs_vec_free(&facets);
	name = rs_asprintf("%s/%s", t->holder->ns, t->holder->name);
	*rs_vec_push(&a->c->d.names) = name;
	put_addr(a, &t->addr, cls, name);
}

static int cmp_touch(const void *x, const void *y)
{
	return rs_addr_cmp(&((const struct touch *)x)->addr, &((const struct touch *)y)->addr);
}

static void make_room(struct again *a)
{
	size_t most = a->last->n_addrs + a->touches.n;

	a->c->d.addrs.v = rs_reallocarray(NULL, most, sizeof(*a->c->d.addrs.v));
	a->c->d.addrs.cap = most;
}

/* In the order of addresses, as classes are numbered by the first of theirs. */
static void put_all(struct again *a)
{
	size_t i = 0, k = 0;

	make_room(a);
	if (a->touches.n > 1)
		qsort(a->touches.v, a->touches.n, sizeof(*a->touches.v), cmp_touch);
	while (i < a->last->n_addrs || k < a->touches.n) {
		int d = i == a->last->n_addrs ? 1
			: k == a->touches.n
				? -1
				: rs_addr_cmp(&a->last->addrs[i].addr, &a->touches.v[k].addr);

		if (d < 0)
			put_old(a, i);
		else
			put_touched(a, &a->touches.v[k]);
		i += d <= 0;
		k += d >= 0;
	}
}

/* ---- what the next one needs ----------------------------------------------------------------- */

/* Stored pods that may have another facet although they are the same object: a table with open
 * addressing, of a power of two. */
struct pointers {
	uintptr_t *v;
	size_t mask;
};

static size_t pointer_place(const struct pointers *t, uintptr_t p)
{
	size_t i = (size_t)((uint64_t)p * UINT64_C(0x9e3779b97f4a7c15) >> 32) & t->mask;

	while (t->v[i] && t->v[i] != p)
		i = (i + 1) & t->mask;
	return i;
}

static struct pointers looked_pods(const struct again *a)
{
	struct pointers t = { .mask = 16 };
	size_t i;

	while (t.mask < 4 * a->pods.v.n)
		t.mask *= 2;
	t.v = rs_new0(uintptr_t, t.mask--);
	for (i = 0; i < a->pods.v.n; i++) {
		uintptr_t p = (uintptr_t)a->pods.v.v[i].pod;

		if (p)
			t.v[pointer_place(&t, p)] = p;
	}
	return t;
}

/* What each stored pod was is known as long as the store knows what changed since. */
static void carry_known(struct again *a, struct rs_classifier *to, struct rs_classifier *from)
{
	struct pointers skip;
	size_t n, i;

	if (!rs_store_changes(a->store, from->known_since, &n))
		return;
	to->known_since = from->known_since;
	to->known_locals = from->known_locals;
	to->known = from->known;
	memset(&from->known, 0, sizeof(from->known));
	skip = looked_pods(a);
	for (i = 0; i < to->known.n; i++) {
		struct rs_known *k = &to->known.v[i];

		if (k->facet == RS_NONE)
			continue;
		if (skip.v[pointer_place(&skip, (uintptr_t)k->pod)])
			k->facet = RS_NONE;
		else
			k->facet = rs_renaming_facet(&a->names, k->facet);
	}
	free(skip.v);
}

static void carry_on(struct again *a)
{
	struct rs_classifier *to = a->c->classifier, *from = a->k->c->classifier;

	to->claimed = from->claimed;
	memset(&from->claimed, 0, sizeof(from->claimed));
	to->told = from->told;
	memset(&from->told, 0, sizeof(from->told));
	carry_known(a, to, from);
	rs_classifier_done(to);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void build(struct again *a)
{
	a->turned = rs_new0(struct turned, a->k->c->d.classes.n);
	a->c->classifier = rs_classifier_begin(a->c);
	put_all(a);
	rs_classifier_expect(a->c->classifier);
	carry_on(a);
}

static void again_free(struct again *a)
{
	size_t i;

	for (i = 0; a->turned && i < a->k->c->d.classes.n; i++)
		rs_vec_free(&a->turned[i].facets);
	free(a->turned);
	rs_renaming_clear(&a->names);
	rs_looking_clear(&a->pods);
	rs_intern_free(&a->touched);
	rs_vec_free(&a->touches);
	rs_vec_free(&a->ips);
	free(a->numbers.no);
	free(a->numbers.cls);
	free(a->class_at);
}

bool rs_cc_reclass(struct rs_cc *c, struct rs_kept *k, const struct rs_ir *last)
{
	struct again a = { .c = c, .k = k, .store = c->w->store, .last = last };
	bool ok;

	a.pods = (struct rs_looking){ .c = c, .k = k, .names = &a.names };
	ok = rs_renaming_make(&a.names, c, k->c) && rs_looking_choose(&a.pods) &&
	     index_classes(&a) && reclaim(&a);
	if (ok)
		build(&a);
	again_free(&a);
	return ok;
}
