// SPDX-License-Identifier: Apache-2.0
/* reclass.c - classes of the compile before, and the pods that may be others now; see reclass.h. */
#include "policy/reclass.h"

#include <string.h>

#include "base/base.h"
#include "object/store.h"
#include "policy/classify.h"
#include "policy/renaming.h"

/* More pods than this, and all are looked at: it gathers better. */
#define MAX_LOOKED 4096u

/* A pod that is looked at: what it was when k was made, and what it is. */
struct looked {
	const char *ns, *name;
	const struct rs_kept_local *was_local; /* it counts alone, like the next but one */
	const struct rs_pod *was;
	const struct rs_local_pod *local;
	const struct rs_pod *pod;
};

/* An address that one of them had or has; nobody: it has gone. */
struct touch {
	struct rs_addr addr;
	const struct looked *holder;
};

/* A class of the compile before in the words of this one. */
struct turned {
	struct rs_u32s facets; /* none: it is no class any more */
	bool known;
	uint32_t range, cls; /* where an address of it was put last; range RS_NONE: none yet */
};

struct again {
	struct rs_cc *c;
	struct rs_kept *k;
	const struct rs_store *store;
	const struct rs_ir *last;
	struct rs_renaming names;
	struct rs_intern was_here, is_here; /* names of this node's pods: index */
	struct rs_intern looked_at;	    /* names of v */
	struct rs_vec(struct looked) v;
	struct rs_intern touched; /* addresses of touches */
	struct rs_vec(struct touch) touches;
	struct rs_vec(struct rs_addr) ips;
	struct rs_intern numbers; /* of exact classes, as they are in force */
	struct rs_u32s class_of;  /* of k, by number's id */
	struct turned *turned;	  /* by class of k */
	size_t range_at;
};

/* ---- which pods ------------------------------------------------------------------------------ */

static void name_key(struct rs_strbuf *b, const char *ns, const char *name)
{
	rs_strbuf_reset(b);
	rs_key_str(b, ns);
	rs_key_str(b, name);
}

/* False: two have one name. */
static bool put_name(struct rs_intern *t, struct rs_strbuf *b, const char *ns, const char *name)
{
	bool fresh;

	name_key(b, ns, name);
	rs_intern_put(t, b->s, b->len, &fresh);
	return fresh;
}

static bool index_locals(struct again *a)
{
	const struct rs_world *w = a->c->w;
	rs_auto_strbuf b = { 0 };
	bool ok = true;
	size_t i;

	for (i = 0; ok && i < a->k->n_locals; i++)
		ok = put_name(&a->was_here, &b, a->k->locals[i].ns, a->k->locals[i].name);
	for (i = 0; ok && i < w->n_locals; i++)
		ok = put_name(&a->is_here, &b, w->locals[i].ns, w->locals[i].name);
	return ok;
}

/* pod: as it is in the store. was: before the changes, if it is among them. */
static void look_at(struct again *a, const char *ns, const char *name, const struct rs_pod *pod,
		    const struct rs_pod *was)
{
	rs_auto_strbuf key = { 0 };
	struct looked *l;
	uint32_t was_id, is_id;
	bool fresh;

	name_key(&key, ns, name);
	rs_intern_put(&a->looked_at, key.s, key.len, &fresh);
	if (!fresh)
		return;
	was_id = rs_intern_find(&a->was_here, key.s, key.len);
	is_id = rs_intern_find(&a->is_here, key.s, key.len);
	l = rs_vec_push(&a->v);
	*l = (struct looked){
		.ns = ns,
		.name = name,
		.was_local = was_id == RS_NONE ? NULL : &a->k->locals[was_id],
		.was = was,
		.local = is_id == RS_NONE ? NULL : &a->c->w->locals[is_id],
		.pod = pod,
	};
}

static void look_at_unchanged(struct again *a, const char *ns, const char *name)
{
	const struct rs_pod *pod = rs_store_pod(a->store, ns, name);

	look_at(a, ns, name, pod, pod);
}

/* False: something changed on which more than itself depends. */
static bool look_at_changes(struct again *a, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		struct rs_store_change ch = rs_store_change(a->store, a->k->sequence, i);

		if (ch.kind == RS_KIND_POD)
			look_at(a, ch.ns, ch.name, rs_store_pod(a->store, ch.ns, ch.name),
				(const struct rs_pod *)(const void *)ch.was);
		else if (ch.kind != RS_KIND_POLICY && !ch.same)
			return false;
	}
	return true;
}

static void look_at_locals(struct again *a)
{
	const struct rs_world *w = a->c->w;
	struct rs_intern same = { 0 };
	rs_autofree bool *stays = rs_new0(bool, a->k->n_locals);
	size_t i;

	for (i = 0; i < a->k->n_locals; i++)
		rs_intern_put(&same, &a->k->locals[i].hash, sizeof(struct rs_hash), NULL);
	for (i = 0; i < w->n_locals; i++) {
		struct rs_hash hash = rs_kept_local_hash(&w->locals[i]);
		uint32_t id = rs_intern_find(&same, &hash, sizeof(hash));

		if (id == RS_NONE)
			look_at_unchanged(a, w->locals[i].ns, w->locals[i].name);
		else
			stays[id] = true;
	}
	for (i = 0; i < a->k->n_locals; i++)
		if (!stays[i])
			look_at_unchanged(a, a->k->locals[i].ns, a->k->locals[i].name);
	rs_intern_free(&same);
}

/* ---- which namespaces ------------------------------------------------------------------------ */

static void matching_namespaces(struct again *a, uint32_t dim, struct rs_intern *spaces)
{
	const struct rs_namespace *const *v;
	size_t n, i;

	v = rs_store_namespaces(a->store, &n);
	for (i = 0; i < n; i++)
		if (rs_selector_matches(a->c->ns_dim_sel.v[dim], &v[i]->meta.labels))
			rs_intern_put(spaces, v[i]->meta.name, strlen(v[i]->meta.name), NULL);
}

/* Those that a new atom may reach. One that no object speaks of is reached by its name alone. */
static void reached_namespaces(struct again *a, struct rs_intern *spaces)
{
	rs_autofree bool *done = rs_new0(bool, a->c->ns_dim_sel.n);
	size_t i, len;

	for (i = 0; i < a->names.fresh.n; i++) {
		const struct rs_atom *atom = &a->c->atoms.v[a->names.fresh.v[i]];
		const void *name;

		if (atom->ns_dim == RS_NONE) {
			name = rs_intern_key(&a->c->ns_names, atom->ns, &len);
			rs_intern_put(spaces, name, len, NULL);
		} else if (!done[atom->ns_dim]) {
			done[atom->ns_dim] = true;
			matching_namespaces(a, atom->ns_dim, spaces);
		}
	}
}

static void look_at_namespace(struct again *a, const char *ns)
{
	const struct rs_world *w = a->c->w;
	const struct rs_pod *const *pods;
	size_t n, lo = 0, hi, i;

	pods = rs_store_pods(a->store, &n);
	hi = n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(pods[mid]->meta.ns, ns) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < n && !strcmp(pods[lo]->meta.ns, ns) && a->v.n <= MAX_LOOKED; lo++)
		look_at(a, pods[lo]->meta.ns, pods[lo]->meta.name, pods[lo], pods[lo]);
	for (i = 0; i < w->n_locals; i++)
		if (!strcmp(w->locals[i].ns, ns))
			look_at_unchanged(a, w->locals[i].ns, w->locals[i].name);
}

static void look_at_reached(struct again *a)
{
	struct rs_intern spaces = { 0 };
	uint32_t i;

	reached_namespaces(a, &spaces);
	for (i = 0; i < spaces.by_id.n && a->v.n <= MAX_LOOKED; i++)
		look_at_namespace(a, rs_intern_key(&spaces, i, NULL));
	rs_intern_free(&spaces);
}

/* ---- their addresses ------------------------------------------------------------------------- */

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

static void touch(struct again *a, const struct rs_addr *addr, const struct looked *holder)
{
	bool fresh;
	uint32_t id = rs_intern_put(&a->touched, addr, sizeof(*addr), &fresh);

	if (fresh)
		rs_vec_push(&a->touches)->addr = *addr;
	a->touches.v[id].holder = holder;
}

/* It is here for a selector that is new: its addresses are what they were. */
static bool unchanged(const struct looked *l)
{
	return l->pod == l->was && !l->was_local && !l->local;
}

static bool stay(struct again *a, const struct looked *l)
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

static bool leave(struct again *a, const struct looked *l)
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

static bool arrive(struct again *a, const struct looked *l)
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
	for (i = 0; i < a->v.n; i++)
		if (unchanged(&a->v.v[i]) ? !stay(a, &a->v.v[i]) : !leave(a, &a->v.v[i]))
			return false;
	for (i = 0; i < a->v.n; i++)
		if (!unchanged(&a->v.v[i]) && !arrive(a, &a->v.v[i]))
			return false;
	return true;
}

/* ---- classes that are in force --------------------------------------------------------------- */

static bool index_classes(struct again *a)
{
	const struct rs_draft *d = &a->k->c->d;
	size_t i;

	for (i = 0; i < d->classes.n; i++) {
		bool fresh;

		if (d->classes.v[i].range)
			continue;
		rs_intern_put(&a->numbers, &a->k->class_no[i], sizeof(uint32_t), &fresh);
		if (!fresh)
			return false;
		*rs_vec_push(&a->class_of) = (uint32_t)i;
	}
	for (i = 0; i < a->last->n_addrs; i++)
		if (rs_intern_find(&a->numbers, &a->last->addrs[i].cls, sizeof(uint32_t)) ==
		    RS_NONE)
			return false;
	return true;
}

static struct turned *turn(struct again *a, uint32_t number)
{
	uint32_t id = rs_intern_find(&a->numbers, &number, sizeof(number));
	uint32_t cls = a->class_of.v[id];
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

static void put_addr(struct again *a, const struct rs_addr *addr, uint32_t cls, char *comment)
{
	*rs_vec_push(&a->c->d.addrs) =
		(struct rs_draft_addr){ .addr = *addr, .cls = cls, .comment = comment };
	a->c->d.classes.v[cls].n_addrs++;
}

static void put_old(struct again *a, const struct rs_ir_addr *was)
{
	struct turned *t = turn(a, was->cls);
	uint32_t range;

	if (!t->facets.n)
		return;
	range = range_of(a, &was->addr);
	if (t->range != range) {
		t->range = range;
		t->cls = rs_classifier_put_class(a->c, range, &t->facets);
	}
	put_addr(a, &was->addr, t->cls, rs_strdup(was->comment));
}

static uint32_t facet_of(struct again *a, const struct looked *l)
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
	struct rs_u32s facets = { 0 };
	uint32_t facet = t->holder ? facet_of(a, t->holder) : 0;

	if (!facet)
		return;
	*rs_vec_push(&facets) = facet;
	put_addr(a, &t->addr, rs_classifier_put_class(a->c, range_of(a, &t->addr), &facets),
		 rs_asprintf("%s/%s", t->holder->ns, t->holder->name));
	rs_vec_free(&facets);
}

static int cmp_touch(const void *x, const void *y)
{
	return rs_addr_cmp(&((const struct touch *)x)->addr, &((const struct touch *)y)->addr);
}

/* In the order of addresses, as classes are numbered by the first of theirs. */
static void put_all(struct again *a)
{
	size_t i = 0, k = 0;

	if (a->touches.n > 1)
		qsort(a->touches.v, a->touches.n, sizeof(*a->touches.v), cmp_touch);
	while (i < a->last->n_addrs || k < a->touches.n) {
		int d = i == a->last->n_addrs ? 1
			: k == a->touches.n
				? -1
				: rs_addr_cmp(&a->last->addrs[i].addr, &a->touches.v[k].addr);

		if (d < 0)
			put_old(a, &a->last->addrs[i]);
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

	while (t.mask < 4 * a->v.n)
		t.mask *= 2;
	t.v = rs_new0(uintptr_t, t.mask--);
	for (i = 0; i < a->v.n; i++) {
		uintptr_t p = (uintptr_t)a->v.v[i].pod;

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
	carry_on(a);
}

static void again_free(struct again *a)
{
	size_t i;

	for (i = 0; a->turned && i < a->k->c->d.classes.n; i++)
		rs_vec_free(&a->turned[i].facets);
	free(a->turned);
	rs_renaming_clear(&a->names);
	rs_intern_free(&a->was_here);
	rs_intern_free(&a->is_here);
	rs_intern_free(&a->looked_at);
	rs_vec_free(&a->v);
	rs_intern_free(&a->touched);
	rs_vec_free(&a->touches);
	rs_vec_free(&a->ips);
	rs_intern_free(&a->numbers);
	rs_vec_free(&a->class_of);
}

/* Pods of the store that are looked at for a change come first: those know what they were. */
static bool choose(struct again *a)
{
	size_t n;

	if (!rs_kept_follows(a->k, a->c->w, &n) || !index_locals(a) ||
	    !rs_renaming_make(&a->names, a->c, a->k->c) || !look_at_changes(a, n))
		return false;
	look_at_locals(a);
	look_at_reached(a);
	return a->v.n <= MAX_LOOKED && index_classes(a);
}

bool rs_cc_reclass(struct rs_cc *c, struct rs_kept *k, const struct rs_ir *last)
{
	struct again a = { .c = c, .k = k, .store = c->w->store, .last = last };
	bool ok = choose(&a) && reclaim(&a);

	if (ok)
		build(&a);
	again_free(&a);
	return ok;
}
