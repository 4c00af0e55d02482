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

static void put_ports(struct rs_strbuf *b, const struct rs_local_pod *p)
{
	size_t i;

	rs_key_u32(b, (uint32_t)p->n_ports);
	for (i = 0; i < p->n_ports; i++) {
		rs_key_str(b, p->ports[i].name);
		rs_key_u32(b, (uint32_t)p->ports[i].proto << 16 | p->ports[i].port);
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
	put_ports(b, p);
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

/* Of a pod without its address and link. */
static struct rs_hash subject_hash(const struct rs_local_pod *p, struct rs_strbuf *b)
{
	rs_strbuf_reset(b);
	rs_key_u32(b, p->closed);
	rs_key_str(b, p->ns);
	rs_key_str(b, p->name);
	put_labels(b, p->labels);
	put_ports(b, p);
	return rs_hash_bytes(b->s, b->len);
}

bool rs_kept_follows(const struct rs_kept *k, const struct rs_world *w, size_t *n)
{
	struct rs_hash now = world_hash(w);

	return !k->open && rs_store_serial(w->store) == k->serial &&
	       rs_store_changes(w->store, k->sequence, n) && !rs_hash_cmp(&now, &k->world);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void keep_local(struct rs_kept_local *to, const struct rs_local_pod *p, struct rs_strbuf *b)
{
	*to = (struct rs_kept_local){
		.ns = rs_strdup(p->ns),
		.name = rs_strdup(p->name),
		.ips = rs_memdup(p->ips, p->n_ips * sizeof(*p->ips)),
		.n_ips = p->n_ips,
		.hash = rs_kept_local_hash(p, b),
	};
}

static void keep_locals(struct rs_kept *k, const struct rs_world *w)
{
	rs_auto_strbuf b = { 0 };
	size_t i;

	k->n_locals = w->n_locals;
	k->locals = rs_new0(struct rs_kept_local, w->n_locals);
	for (i = 0; i < w->n_locals; i++)
		keep_local(&k->locals[i], &w->locals[i], &b);
}

static void keep_expected(struct rs_kept *k, const uint32_t *group_no)
{
	const struct rs_subjects *s = &k->c->expected;
	rs_auto_strbuf b = { 0 };
	size_t i;
	int dir;

	k->n_expected = s->n;
	k->expected = rs_new0(struct rs_kept_expected, s->n);
	for (i = 0; i < s->n; i++) {
		const struct rs_local_pod *p = s->v[i].pod;

		k->expected[i].ns = rs_strdup(p->ns);
		k->expected[i].name = rs_strdup(p->name);
		k->expected[i].hash = subject_hash(p, &b);
		for (dir = 0; dir < RS_DIRECTIONS; dir++)
			k->expected[i].group[dir] = group_no[s->v[i].group[dir]];
	}
}

struct rs_kept *rs_kept_new(struct rs_cc *c, uint32_t *class_no, const uint32_t *group_no)
{
	struct rs_kept *k = rs_new(struct rs_kept);

	k->c = c;
	k->class_no = class_no;
	k->serial = rs_store_serial(c->w->store);
	k->sequence = rs_store_sequence(c->w->store);
	k->world = world_hash(c->w);
	keep_locals(k, c->w);
	keep_expected(k, group_no);
	c->w = NULL;
	c->old = NULL;
	c->conditions = NULL;
	rs_draft_free_addrs(&c->d);
	rs_vec_free(&c->d.cells);
	return k;
}

static void free_expected(struct rs_kept_expected *e)
{
	free(e->ns);
	free(e->name);
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
	for (i = 0; i < k->n_expected; i++)
		free_expected(&k->expected[i]);
	free(k->locals);
	free(k->expected);
	free(k);
}

const struct rs_cc *rs_kept_cc(const struct rs_kept *k, const struct rs_store *s, uint64_t *since)
{
	if (!k || rs_store_serial(s) != k->serial)
		return NULL;
	*since = k->c->classifier->known_since;
	return k->c;
}

/* ---- pods that were expected and came -------------------------------------------------------- */

static int cmp_name(const char *ns, const char *name, const char *ns2, const char *name2)
{
	int d = strcmp(ns, ns2);

	return d ? d : strcmp(name, name2);
}

static bool same_name(const struct rs_local_pod *a, const struct rs_local_pod *b)
{
	return !cmp_name(a->ns, a->name, b->ns, b->name);
}

/* Two pods of one name (one is made anew) are nothing for a short cut. */
static bool is_alone(const struct rs_world *w, size_t i)
{
	return (!i || !same_name(&w->locals[i - 1], &w->locals[i])) &&
	       (i + 1 == w->n_locals || !same_name(&w->locals[i], &w->locals[i + 1]));
}

static bool find_expected(const struct rs_kept *k, const struct rs_local_pod *p,
			  struct rs_strbuf *b, size_t *at)
{
	size_t lo = 0, hi = k->n_expected;
	struct rs_hash now;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (cmp_name(k->expected[mid].ns, k->expected[mid].name, p->ns, p->name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*at = lo;
	if (lo == k->n_expected ||
	    cmp_name(k->expected[lo].ns, k->expected[lo].name, p->ns, p->name) != 0)
		return false;
	now = subject_hash(p, b);
	return !rs_hash_cmp(&now, &k->expected[lo].hash);
}

/* Nobody else came to be expected, is so no more, or is another. */
static bool others_expected(const struct rs_kept *k, const struct rs_world *w,
			    const struct rs_kept_join *joins, size_t n, struct rs_strbuf *b)
{
	size_t i, j = 0, at = 0;

	for (i = 0; i < k->n_expected; i++) {
		struct rs_hash now;

		if (at < n && joins[at].expected == i) {
			at++;
			continue;
		}
		if (j == w->n_expected)
			return false;
		now = subject_hash(&w->expected[j++], b);
		if (rs_hash_cmp(&now, &k->expected[i].hash) != 0)
			return false;
	}
	return j == w->n_expected;
}

bool rs_kept_joins(const struct rs_kept *k, const struct rs_world *w, struct rs_kept_join *joins,
		   size_t *n)
{
	rs_auto_strbuf b = { 0 };
	size_t i, j = 0;

	*n = 0;
	if (w->n_locals < k->n_locals || w->n_locals - k->n_locals > RS_KEPT_JOINS ||
	    (w->n_locals > k->n_locals && w->n_sorted != w->n_locals))
		return false;
	for (i = 0; i < w->n_locals; i++) {
		struct rs_hash now = rs_kept_local_hash(&w->locals[i], &b);

		if (j < k->n_locals && !rs_hash_cmp(&now, &k->locals[j].hash)) {
			j++;
			continue;
		}
		if (*n == w->n_locals - k->n_locals || !is_alone(w, i) ||
		    !find_expected(k, &w->locals[i], &b, &joins[*n].expected))
			return false;
		joins[(*n)++].local = i;
	}
	return j == k->n_locals && others_expected(k, w, joins, *n, &b);
}

void rs_kept_joined(struct rs_kept *k, const struct rs_world *w, const struct rs_kept_join *joins,
		    size_t n)
{
	struct rs_kept_local *v = rs_new0(struct rs_kept_local, w->n_locals);
	rs_auto_strbuf b = { 0 };
	size_t i, j = 0, at = 0, left = 0;

	for (i = 0; i < w->n_locals; i++) {
		if (at < n && joins[at].local == i) {
			keep_local(&v[i], &w->locals[i], &b);
			at++;
		} else {
			v[i] = k->locals[j++];
		}
	}
	free(k->locals);
	k->locals = v;
	k->n_locals = w->n_locals;
	for (i = 0, at = 0; i < k->n_expected; i++) {
		if (at < n && joins[at].expected == i) {
			free_expected(&k->expected[i]);
			at++;
		} else {
			k->expected[left++] = k->expected[i];
		}
	}
	k->n_expected = left;
}
