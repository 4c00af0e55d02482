// SPDX-License-Identifier: Apache-2.0
/*
 * facets.c - third step of a compile, its first half: what every pod is to this node's rules (its
 * facet), found by an index of all that selectors ask for.
 */
#include <string.h>

#include "base/base.h"
#include "policy/classify.h"
#include "policy/compile.h"
#include "policy/reuse.h"

static void put_pair(struct rs_classifier *x, const char *key, const char *value, uint32_t atom)
{
	rs_auto_strbuf b = { 0 };
	bool fresh;
	uint32_t id;

	rs_key_str(&b, key);
	rs_key_str(&b, value);
	id = rs_intern_put(&x->pairs, b.s, b.len, &fresh);
	if (fresh)
		rs_vec_push(&x->by_pair);
	*rs_vec_push(&x->by_pair.v[id]) = atom;
}

static void index_atom(struct rs_classifier *x, uint32_t atom)
{
	const struct rs_selector *s = x->c->atoms.v[atom].pods;
	const struct rs_requirement *in = NULL;
	size_t i;

	for (i = 0; s && i < s->n_reqs; i++) {
		rs_intern_put(&x->keys, s->reqs[i].key, strlen(s->reqs[i].key), NULL);
		if (!in && s->reqs[i].op == RS_OP_IN)
			in = &s->reqs[i];
	}
	if (!in)
		*rs_vec_push(&x->loose) = atom;
	for (i = 0; in && i < in->n_values; i++)
		put_pair(x, in->key, in->values[i], atom);
}

struct rs_classifier *rs_classifier_new(struct rs_cc *c)
{
	struct rs_classifier *x = rs_new(struct rs_classifier);
	size_t i;

	x->c = c;
	x->dim_matches = rs_new0(bool, c->ns_dim_sel.n);
	for (i = 0; i < c->atoms.n; i++)
		index_atom(x, (uint32_t)i);
	return x;
}

void rs_classifier_free(struct rs_classifier *x)
{
	size_t i;

	if (!x)
		return;
	for (i = 0; i < x->by_pair.n; i++)
		rs_vec_free(&x->by_pair.v[i]);
	rs_vec_free(&x->by_pair);
	rs_intern_free(&x->keys);
	rs_intern_free(&x->pairs);
	rs_intern_free(&x->seen);
	rs_vec_free(&x->seen_facet);
	rs_vec_free(&x->loose);
	rs_vec_free(&x->found);
	rs_vec_free(&x->named);
	rs_strbuf_free(&x->key);
	free(x->dim_matches);
	rs_vec_free(&x->claims);
	rs_vec_free(&x->known);
	rs_reuse_free(x->reuse);
	rs_claimset_free(&x->claimed);
	free(x->first_outside);
	rs_conditions_free(&x->told);
	free(x);
}

void rs_classifier_enter(struct rs_classifier *x, const struct rs_view *v)
{
	size_t i;

	if (x->ns && !strcmp(x->ns, v->ns))
		return;
	x->ns = v->ns;
	x->ns_id = rs_intern_find(&x->c->ns_names, v->ns, strlen(v->ns));
	x->ns_labels = v->ns_labels;
	for (i = 0; i < x->c->ns_dim_sel.n; i++)
		x->dim_matches[i] = rs_selector_matches(x->c->ns_dim_sel.v[i], v->ns_labels);
}

static size_t memo_place(const char *word, size_t n)
{
	return ((uintptr_t)word >> 4) % n;
}

/* Whether any selector asks for that key. */
static bool asked_for(struct rs_classifier *x, const char *key)
{
	size_t at = memo_place(key, RS_ARRAY_SIZE(x->memo.keys));

	if (x->memo.keys[at].key != key) {
		x->memo.keys[at].key = key;
		x->memo.keys[at].asked_for = rs_intern_find(&x->keys, key, strlen(key)) != RS_NONE;
	}
	return x->memo.keys[at].asked_for;
}

static void add_place(struct rs_strbuf *key, const char *word)
{
	rs_strbuf_add(key, &word, sizeof(word));
}

/* The part of a pod that any rule can see: equal keys, equal facets. Words stand in it by where
 * they lie; equal ones that lie apart are looked at twice, and found to have one facet. */
static void visible_key(struct rs_classifier *x, const struct rs_view *v)
{
	size_t i;

	rs_strbuf_reset(&x->key);
	add_place(&x->key, v->ns);
	for (i = 0; i < v->labels->n; i++) {
		const struct rs_label *l = &v->labels->v[i];

		if (!asked_for(x, l->key))
			continue;
		add_place(&x->key, l->key);
		add_place(&x->key, l->value);
	}
	add_place(&x->key, NULL); /* the labels end here */
	for (i = 0; i < x->named.n; i++)
		rs_strbuf_add(&x->key, &x->named.v[i], sizeof(x->named.v[i]));
}

/* The number of that port's name, RS_NONE where peers are not told apart by it. */
static uint32_t port_id(struct rs_classifier *x, const struct rs_container_port *p)
{
	size_t at = memo_place(p->name, RS_ARRAY_SIZE(x->memo.ports));
	uint32_t id;

	if (x->memo.ports[at].name == p->name && x->memo.ports[at].proto == p->proto)
		return x->memo.ports[at].id;
	id = rs_cc_named_find(x->c, p->proto, p->name);
	if (id != RS_NONE && !x->c->named_out.v[id])
		id = RS_NONE;
	x->memo.ports[at].name = p->name;
	x->memo.ports[at].proto = p->proto;
	x->memo.ports[at].id = id;
	return id;
}

static void named_ports(struct rs_classifier *x, const struct rs_view *v)
{
	size_t i;

	x->named.n = 0;
	for (i = 0; x->c->named.by_id.n && i < v->n_ports; i++) {
		const struct rs_container_port *p = &v->ports[i];
		uint32_t id = p->name ? port_id(x, p) : RS_NONE;

		if (id != RS_NONE)
			*rs_vec_push(&x->named) = rs_named_pair(id, p->port);
	}
	rs_u64s_sort_unique(&x->named);
}

bool rs_classifier_reaches(const struct rs_classifier *x, uint32_t atom)
{
	const struct rs_atom *a = &x->c->atoms.v[atom];

	return a->ns_dim == RS_NONE ? a->ns == x->ns_id : x->dim_matches[a->ns_dim];
}

static void try_atoms(struct rs_classifier *x, const struct rs_u32s *atoms, const struct rs_view *v)
{
	size_t i;

	for (i = 0; i < atoms->n; i++) {
		const struct rs_atom *a = &x->c->atoms.v[atoms->v[i]];

		if (!rs_classifier_reaches(x, atoms->v[i]))
			continue;
		if (!a->pods || rs_selector_matches(a->pods, v->labels))
			*rs_vec_push(&x->found) = atoms->v[i];
	}
}

static void match_atoms(struct rs_classifier *x, const struct rs_view *v)
{
	rs_auto_strbuf b = { 0 };
	size_t i;

	x->found.n = 0;
	try_atoms(x, &x->loose, v);
	for (i = 0; i < v->labels->n; i++) {
		uint32_t id;

		rs_strbuf_reset(&b);
		rs_key_str(&b, v->labels->v[i].key);
		rs_key_str(&b, v->labels->v[i].value);
		id = rs_intern_find(&x->pairs, b.s, b.len);
		if (id != RS_NONE)
			try_atoms(x, &x->by_pair.v[id], v);
	}
	rs_u32s_sort_unique(&x->found);
}

/* Known in all compiles by its atoms and ports, whatever their numbers. */
static struct rs_hash facet_hash(const struct rs_cc *c, const struct rs_facet *f)
{
	size_t n = f->atoms.n + f->named.n, i;
	rs_autofree struct rs_hash *v = rs_new0(struct rs_hash, n);

	for (i = 0; i < f->atoms.n; i++)
		v[i] = c->atoms.v[f->atoms.v[i]].hash;
	for (i = 0; i < f->named.n; i++) {
		rs_auto_strbuf b = { 0 };
		size_t len;
		const void *name = rs_intern_key(&c->named, (uint32_t)(f->named.v[i] >> 16), &len);

		rs_key_u32(&b, (uint32_t)(f->named.v[i] & 0xffff));
		rs_strbuf_add(&b, name, len);
		v[f->atoms.n + i] = rs_hash_bytes(b.s, b.len);
	}
	if (n > 1)
		qsort(v, n, sizeof(*v), rs_hash_cmp);
	return rs_hash_bytes(v, n * sizeof(*v));
}

static void facet_key(struct rs_strbuf *key, const struct rs_u32s *atoms,
		      const struct rs_u64s *named)
{
	size_t i;

	rs_key_u32(key, (uint32_t)atoms->n);
	for (i = 0; i < atoms->n; i++)
		rs_key_u32(key, atoms->v[i]);
	for (i = 0; i < named->n; i++)
		rs_strbuf_add(key, &named->v[i], sizeof(named->v[i]));
}

uint32_t rs_classifier_facet(struct rs_cc *c, const struct rs_u32s *atoms,
			     const struct rs_u64s *named)
{
	rs_auto_strbuf key = { 0 };
	struct rs_facet *f;
	bool fresh;
	uint32_t id;

	facet_key(&key, atoms, named);
	id = rs_intern_put(&c->facet_keys, key.s, key.len, &fresh);
	if (!fresh)
		return id;
	f = rs_vec_push(&c->facets);
	/* There may be as many as pods: no room to spare. */
	if (atoms->n) {
		f->atoms.v = rs_memdup(atoms->v, atoms->n * sizeof(*atoms->v));
		f->atoms.n = f->atoms.cap = atoms->n;
	}
	if (named->n) {
		f->named.v = rs_memdup(named->v, named->n * sizeof(*named->v));
		f->named.n = f->named.cap = named->n;
	}
	f->hash = facet_hash(c, f);
	return id;
}

uint32_t rs_classifier_facet_of(struct rs_classifier *x, const struct rs_view *v)
{
	bool fresh;
	uint32_t id;

	if (!v->labels)
		return 0;
	rs_classifier_enter(x, v);
	named_ports(x, v);
	visible_key(x, v);
	id = rs_intern_put(&x->seen, x->key.s, x->key.len, &fresh);
	if (fresh) {
		match_atoms(x, v);
		*rs_vec_push(&x->seen_facet) = rs_classifier_facet(x->c, &x->found, &x->named);
	}
	return x->seen_facet.v[id];
}

uint32_t rs_classifier_known_facet(struct rs_classifier *x, const struct rs_view *v)
{
	rs_auto_strbuf key = { 0 };

	x->ns = NULL; /* the word may be gone, and all that was remembered by its place */
	memset(&x->memo, 0, sizeof(x->memo));
	rs_classifier_enter(x, v);
	named_ports(x, v);
	match_atoms(x, v);
	facet_key(&key, &x->found, &x->named);
	return rs_intern_find(&x->c->facet_keys, key.s, key.len);
}
