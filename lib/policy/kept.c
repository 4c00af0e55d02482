// SPDX-License-Identifier: Apache-2.0
/* kept.c - what a compile leaves behind, and whether the world is still the one it was of; see
 * kept.h. */
#include "policy/kept.h"

#include <string.h>

#include "base/base.h"
#include "object/store.h"
#include "policy/classify.h"

/* ---- the world without its store ------------------------------------------------------------- */

static void put_addr(struct rs_strbuf *b, const struct rs_addr *a)
{
	rs_key_bytes(b, a, sizeof(*a));
}

static void put_labels(struct rs_strbuf *b, const struct rs_labels *l)
{
	size_t i;

	rs_key_u32(b, (uint32_t)l->n);
	for (i = 0; i < l->n; i++) {
		rs_key_str(b, l->v[i].key);
		rs_key_str(b, l->v[i].value);
	}
}

/* What a stamp stands for. */
static void put_content(struct rs_strbuf *b, const struct rs_local_pod *p)
{
	size_t i;

	rs_key_str(b, p->ns);
	rs_key_str(b, p->name);
	rs_key_str(b, p->ifname);
	put_labels(b, p->labels);
	rs_key_u32(b, (uint32_t)p->n_ips);
	for (i = 0; i < p->n_ips; i++)
		put_addr(b, &p->ips[i]);
	rs_key_u32(b, (uint32_t)p->n_ports);
	for (i = 0; i < p->n_ports; i++) {
		rs_key_str(b, p->ports[i].name);
		rs_key_u32(b, (uint32_t)p->ports[i].proto << 16 | p->ports[i].port);
	}
}

uint64_t rs_local_stamp(void)
{
	static _Atomic uint64_t last;

	return ++last;
}

struct rs_hash rs_kept_local_hash(const struct rs_local_pod *p, struct rs_strbuf *b)
{
	rs_strbuf_reset(b);
	rs_key_u32(b, p->ifindex);
	rs_key_u32(b, p->closed);
	rs_key_bytes(b, p->mac, sizeof(p->mac));
	put_addr(b, &p->ll);
	rs_key_bytes(b, &p->stamp, sizeof(p->stamp));
	if (!p->stamp)
		put_content(b, p);
	return rs_hash_bytes(b->s, b->len);
}

static void put_cidrs(struct rs_strbuf *b, const struct rs_cidr *v, size_t n)
{
	size_t i;

	rs_key_u32(b, (uint32_t)n);
	for (i = 0; i < n; i++) {
		put_addr(b, &v[i].addr);
		rs_key_u32(b, v[i].len);
	}
}

static struct rs_hash world_hash(const struct rs_world *w)
{
	rs_auto_strbuf b = { 0 };

	rs_key_u32(&b, w->complete);
	rs_key_u32(&b, w->max_cells_per_group);
	put_cidrs(&b, w->pod_ranges, w->n_pod_ranges);
	put_cidrs(&b, w->node_ranges, w->n_node_ranges);
	return rs_hash_bytes(b.s, b.len);
}

static struct rs_hash expected_hash(const struct rs_world *w)
{
	rs_auto_strbuf b = { 0 }, one = { 0 };
	size_t i;

	rs_key_u32(&b, (uint32_t)w->n_expected);
	for (i = 0; i < w->n_expected; i++) {
		struct rs_hash h = rs_kept_local_hash(&w->expected[i], &one);

		rs_key_bytes(&b, &h, sizeof(h));
	}
	return rs_hash_bytes(b.s, b.len);
}

bool rs_kept_same_expected(const struct rs_kept *k, const struct rs_world *w)
{
	struct rs_hash now = expected_hash(w);

	return !rs_hash_cmp(&now, &k->expected);
}

bool rs_kept_same_locals(const struct rs_kept *k, const struct rs_world *w)
{
	rs_auto_strbuf b = { 0 };
	size_t i;

	if (k->n_locals != w->n_locals)
		return false;
	for (i = 0; i < k->n_locals; i++) {
		struct rs_hash now = rs_kept_local_hash(&w->locals[i], &b);

		if (rs_hash_cmp(&now, &k->locals[i].hash) != 0)
			return false;
	}
	return true;
}

bool rs_kept_follows(const struct rs_kept *k, const struct rs_world *w, size_t *n)
{
	struct rs_hash now = world_hash(w);

	return !k->open && rs_store_serial(w->store) == k->serial &&
	       rs_store_changes(w->store, k->sequence, n) && !rs_hash_cmp(&now, &k->world);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void keep_locals(struct rs_kept *k, const struct rs_world *w)
{
	rs_auto_strbuf b = { 0 };
	size_t i;

	k->n_locals = w->n_locals;
	k->locals = rs_new0(struct rs_kept_local, w->n_locals);
	for (i = 0; i < w->n_locals; i++) {
		const struct rs_local_pod *p = &w->locals[i];

		k->locals[i] = (struct rs_kept_local){
			.ns = rs_strdup(p->ns),
			.name = rs_strdup(p->name),
			.ips = rs_memdup(p->ips, p->n_ips * sizeof(*p->ips)),
			.n_ips = p->n_ips,
			.hash = rs_kept_local_hash(p, &b),
		};
	}
}

struct rs_kept *rs_kept_new(struct rs_cc *c, uint32_t *class_no)
{
	struct rs_kept *k = rs_new(struct rs_kept);

	k->c = c;
	k->class_no = class_no;
	k->serial = rs_store_serial(c->w->store);
	k->sequence = rs_store_sequence(c->w->store);
	k->world = world_hash(c->w);
	k->expected = expected_hash(c->w);
	keep_locals(k, c->w);
	c->w = NULL;
	c->old = NULL;
	c->conditions = NULL;
	rs_draft_free_addrs(&c->d);
	rs_vec_free(&c->d.cells);
	return k;
}

void rs_kept_free(struct rs_kept *k)
{
	size_t i;

	if (!k)
		return;
	rs_cc_free(k->c);
	free(k->class_no);
	for (i = 0; i < k->n_locals; i++) {
		free(k->locals[i].ns);
		free(k->locals[i].name);
		free(k->locals[i].ips);
	}
	free(k->locals);
	free(k);
}

const struct rs_cc *rs_kept_cc(const struct rs_kept *k, const struct rs_store *s, uint64_t *since)
{
	if (!k || rs_store_serial(s) != k->serial)
		return NULL;
	*since = k->c->classifier->known_since;
	return k->c;
}
