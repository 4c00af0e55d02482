// SPDX-License-Identifier: Apache-2.0
/*
 * packed.c - one walk over all that an object points to, made three times in its life: to measure
 * it, to copy it into one block, and to give its words back. See packed.h.
 */
#include "object/packed.h"

#include <string.h>

#include "base/base.h"
#include "object/store.h"
#include "object/wordpool.h"

enum turn {
	MEASURE,
	COPY,
	RELEASE,
};

/* Arrays come first in the block, then what needs no alignment. */
struct walk {
	enum turn turn;
	size_t arrays, bytes; /* MEASURE: how much there is of each */
	char *array, *byte;   /* COPY: where the next one comes */
};

/* An array, or the object itself. What is in it is walked where the answer says. */
static void *array(struct walk *w, void *v, size_t n, size_t size)
{
	size_t len = (n * size + 7) & ~(size_t)7;
	void *to = w->array;

	if (!v || w->turn == RELEASE)
		return v;
	if (w->turn == MEASURE) {
		w->arrays += len;
		return v;
	}
	if (n)
		memcpy(to, v, n * size);
	w->array += len;
	return to;
}

/* Bytes that hold no pointer. */
static void *bytes(struct walk *w, void *v, size_t len)
{
	void *to = w->byte;

	if (!v || w->turn == RELEASE)
		return v;
	if (w->turn == MEASURE) {
		w->bytes += len;
		return v;
	}
	if (len)
		memcpy(to, v, len);
	w->byte += len;
	return to;
}

/* A string of this object's own. */
static char *text(struct walk *w, char *s)
{
	return bytes(w, s, s ? strlen(s) + 1 : 0);
}

/* A string that others have too. */
static char *word(const struct walk *w, char *s)
{
	if (w->turn == COPY)
		return rs_word_take(s);
	if (w->turn == RELEASE)
		rs_word_drop(s);
	return s;
}

/* Pods of a StatefulSet carry their own name as a label. */
static char *label_value(const struct walk *w, const struct rs_meta *m, char *s)
{
	bool own = w->turn != MEASURE && m->name && !strcmp(s, m->name);

	return own ? m->name : word(w, s);
}

_Static_assert(_Alignof(struct rs_addr) == 1 && _Alignof(struct rs_cidr) == 1,
	       "addresses lie among the bytes");

static void *addrs(struct walk *w, struct rs_addr *v, size_t n)
{
	return bytes(w, v, n * sizeof(*v));
}

static void *cidrs(struct walk *w, struct rs_cidr *v, size_t n)
{
	return bytes(w, v, n * sizeof(*v));
}

static void metadata(struct walk *w, struct rs_meta *m)
{
	size_t i;

	m->ns = word(w, m->ns);
	m->name = text(w, m->name);
	m->uid = text(w, m->uid);
	m->resource_version = text(w, m->resource_version);
	m->labels.v = array(w, m->labels.v, m->labels.n, sizeof(*m->labels.v));
	for (i = 0; i < m->labels.n; i++) {
		struct rs_label *l = &m->labels.v[i];

		l->key = word(w, l->key);
		l->value = label_value(w, m, l->value);
	}
}

/* ---- pods and nodes -------------------------------------------------------------------------- */

static struct rs_meta *pod(struct walk *w, struct rs_pod *p)
{
	size_t i;

	p = array(w, p, 1, sizeof(*p));
	metadata(w, &p->meta);
	p->node = word(w, p->node);
	p->config_hash = text(w, p->config_hash);
	p->owner_kind = word(w, p->owner_kind);
	p->owner_name = word(w, p->owner_name);
	p->ips = addrs(w, p->ips, p->n_ips);
	p->ports = array(w, p->ports, p->n_ports, sizeof(*p->ports));
	for (i = 0; i < p->n_ports; i++)
		p->ports[i].name = word(w, p->ports[i].name);
	return &p->meta;
}

static struct rs_meta *node(struct walk *w, struct rs_node *n)
{
	n = array(w, n, 1, sizeof(*n));
	metadata(w, &n->meta);
	n->pod_cidrs = cidrs(w, n->pod_cidrs, n->n_pod_cidrs);
	n->addrs = addrs(w, n->addrs, n->n_addrs);
	return &n->meta;
}

/* ---- policies -------------------------------------------------------------------------------- */

static void requirement(struct walk *w, struct rs_requirement *r)
{
	size_t i;

	r->key = word(w, r->key);
	r->values = array(w, r->values, r->n_values, sizeof(*r->values));
	for (i = 0; i < r->n_values; i++)
		r->values[i] = word(w, r->values[i]);
}

static void selector(struct walk *w, struct rs_selector *s)
{
	size_t i;

	s->why = text(w, s->why);
	s->reqs = array(w, s->reqs, s->n_reqs, sizeof(*s->reqs));
	for (i = 0; i < s->n_reqs; i++)
		requirement(w, &s->reqs[i]);
}

static void peer(struct walk *w, struct rs_peer *p)
{
	p->why = text(w, p->why);
	selector(w, &p->ns_selector);
	selector(w, &p->pod_selector);
	p->block.except = cidrs(w, p->block.except, p->block.n_except);
}

static void rule(struct walk *w, struct rs_rule *r)
{
	size_t i;

	r->peers = array(w, r->peers, r->n_peers, sizeof(*r->peers));
	for (i = 0; i < r->n_peers; i++)
		peer(w, &r->peers[i]);
	r->ports = array(w, r->ports, r->n_ports, sizeof(*r->ports));
	for (i = 0; i < r->n_ports; i++) {
		r->ports[i].why = text(w, r->ports[i].why);
		r->ports[i].name = word(w, r->ports[i].name);
	}
}

static struct rs_meta *policy(struct walk *w, struct rs_policy *p)
{
	size_t i;
	int d;

	p = array(w, p, 1, sizeof(*p));
	metadata(w, &p->meta);
	selector(w, &p->subject);
	for (d = 0; d < RS_DIRECTIONS; d++) {
		p->rules[d] = array(w, p->rules[d], p->n_rules[d], sizeof(*p->rules[d]));
		for (i = 0; i < p->n_rules[d]; i++)
			rule(w, &p->rules[d][i]);
	}
	return &p->meta;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* The object's metadata, which lies at its beginning: of the copy where one is made. */
static struct rs_meta *walk(struct walk *w, enum rs_kind kind, struct rs_meta *o)
{
	void *it = o;

	switch (kind) {
	case RS_KIND_POD:
		return pod(w, it);
	case RS_KIND_POLICY:
		return policy(w, it);
	case RS_KIND_NODE:
		return node(w, it);
	default:
		return o;
	}
}

struct rs_meta *rs_object_pack(enum rs_kind kind, struct rs_meta *o)
{
	struct walk measure = { .turn = MEASURE }, copy = { .turn = COPY };
	struct rs_meta *packed;

	if (o->packed || kind == RS_KIND_NAMESPACE)
		return o;
	walk(&measure, kind, o);
	copy.array = rs_calloc(1, measure.arrays + measure.bytes);
	copy.byte = copy.array + measure.arrays;
	packed = walk(&copy, kind, o);
	packed->packed = true;
	rs_object_free(kind, o);
	return packed;
}

void rs_packed_free(enum rs_kind kind, struct rs_meta *o)
{
	struct walk release = { .turn = RELEASE };

	walk(&release, kind, o);
	free(o);
}
