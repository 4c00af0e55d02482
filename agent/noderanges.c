// SPDX-License-Identifier: Apache-2.0
/* noderanges.c - sorts the nodes' podCIDRs into those that count and those that do not; see
 * noderanges.h. */
#include "agent/noderanges.h"

#include <stdlib.h>
#include <string.h>

#define SHOWN 32 /* conditions of one kind of trouble; more are counted */

struct address {
	struct rs_addr addr;
	const char *node;
};

struct claim {
	struct rs_cidr cidr;
	const struct rs_node *node; /* NULL: configured */
	bool own;
	size_t order; /* the lower one of two that overlap counts */
	bool out;
};

struct reader {
	const char *own_name;
	struct rs_vec(struct address) addresses; /* of all nodes, sorted */
	struct rs_vec(struct claim) claims;
	struct rs_conditions *refused;
	size_t hidden;
};

/* ---- conditions ------------------------------------------------------------------------------ */

static void complain(struct reader *r, const char *type, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void complain(struct reader *r, const char *type, const char *fmt, ...)
{
	rs_autofree char *text = NULL;
	va_list ap;

	if (r->refused->n >= SHOWN) {
		r->hidden++;
		return;
	}
	va_start(ap, fmt);
	text = rs_vasprintf(fmt, ap);
	va_end(ap);
	rs_conditions_add(r->refused, type, "%s", text);
}

static const char *name_of(const struct reader *r, const struct claim *c)
{
	return c->node ? c->node->meta.name : r->own_name;
}

static void refuse(struct reader *r, struct claim *c, const char *why)
{
	char text[RS_CIDR_STRLEN];

	c->out = true;
	complain(r, "PodCIDRRefused", "node %s: podCIDR %s is not used: %s", name_of(r, c),
		 rs_cidr_str(&c->cidr, text), why);
}

/* ---- what cannot be -------------------------------------------------------------------------- */

static int by_addr(const void *a, const void *b)
{
	const struct address *x = a, *y = b;

	return rs_addr_cmp(&x->addr, &y->addr);
}

/* An address of a node inside the range, NULL when there is none. */
static const struct address *address_inside(const struct reader *r, const struct rs_cidr *c)
{
	size_t lo = 0, hi = r->addresses.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (rs_addr_cmp(&r->addresses.v[mid].addr, &c->addr) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < r->addresses.n && rs_cidr_contains(c, &r->addresses.v[lo].addr))
		return &r->addresses.v[lo];
	return NULL;
}

static void check_alone(struct reader *r, struct claim *c)
{
	const struct address *held;
	char text[RS_ADDR_STRLEN];

	/* Configured ranges were checked where they were read. */
	if (!c->node)
		return;
	if (!c->cidr.len) {
		refuse(r, c, "it is a default route");
	} else if (rs_addr_is_loopback(&c->cidr.addr) || rs_addr_is_linklocal(&c->cidr.addr) ||
		   rs_addr_is_multicast(&c->cidr.addr) || rs_cidr_is_v4mapped(&c->cidr)) {
		refuse(r, c, "it cannot be a range of pods");
	} else if ((held = address_inside(r, &c->cidr)) != NULL) {
		rs_autofree char *why = rs_asprintf("it holds the address %s of node %s",
						    rs_addr_str(&held->addr, text), held->node);

		refuse(r, c, why);
	}
}

/* ---- what overlaps --------------------------------------------------------------------------- */

/* By first address, the wider one first: what overlaps stands side by side. */
static int by_cidr(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	int d = rs_addr_cmp(&x->cidr.addr, &y->cidr.addr);

	if (d)
		return d;
	if (x->cidr.len != y->cidr.len)
		return x->cidr.len < y->cidr.len ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static int by_order(const void *a, const void *b)
{
	const struct claim *const *x = a, *const *y = b;

	return (*x)->order < (*y)->order ? -1 : (*x)->order > (*y)->order;
}

static int back_in_order(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;

	return by_order(&x, &y);
}

static void refuse_overlap(struct reader *r, struct claim *c, const struct claim *by)
{
	char text[RS_CIDR_STRLEN];
	rs_autofree char *why = rs_asprintf("it overlaps %s of node %s",
					    rs_cidr_str(&by->cidr, text), name_of(r, by));

	refuse(r, c, why);
}

/* Where c would stand among taken ones, which are sorted and lie apart. */
static size_t place(struct claim *const *taken, size_t n, const struct claim *c)
{
	size_t lo = 0;

	while (lo < n) {
		size_t mid = lo + (n - lo) / 2;

		if (rs_addr_cmp(&taken[mid]->cidr.addr, &c->cidr.addr) < 0)
			lo = mid + 1;
		else
			n = mid;
	}
	return lo;
}

/* v: n claims of which the first covers all others. Among those that are taken already only the
 * neighbours can overlap the next. */
static void settle_heap(struct reader *r, struct claim *v, size_t n)
{
	rs_autofree struct claim **heap = rs_new0(struct claim *, n);
	rs_autofree struct claim **taken = rs_new0(struct claim *, n);
	size_t n_taken = 0;

	for (size_t i = 0; i < n; i++)
		heap[i] = &v[i];
	qsort(heap, n, sizeof(struct claim *), by_order);
	for (size_t i = 0; i < n; i++) {
		size_t at = place(taken, n_taken, heap[i]);

		if (at < n_taken && rs_cidr_overlaps(&taken[at]->cidr, &heap[i]->cidr)) {
			refuse_overlap(r, heap[i], taken[at]);
		} else if (at && rs_cidr_overlaps(&taken[at - 1]->cidr, &heap[i]->cidr)) {
			refuse_overlap(r, heap[i], taken[at - 1]);
		} else {
			memmove(&taken[at + 1], &taken[at], (n_taken - at) * sizeof(*taken));
			taken[at] = heap[i];
			n_taken++;
		}
	}
}

/* Blocks lie inside each other or apart: a block and all that it covers are one heap. */
static void settle(struct reader *r)
{
	struct claim *v = r->claims.v;
	size_t n = r->claims.n, end;

	if (n)
		qsort(v, n, sizeof(*v), by_cidr);
	for (size_t i = 0; i < n; i = end) {
		end = i + 1;
		while (end < n && rs_cidr_overlaps(&v[i].cidr, &v[end].cidr))
			end++;
		if (end - i > 1)
			settle_heap(r, &v[i], end - i);
	}
}

/* ---- in and out ------------------------------------------------------------------------------ */

static void claim(struct reader *r, const struct rs_cidr *c, const struct rs_node *node, bool own)
{
	/* This node's own before those of others, which come by name. */
	size_t order = r->claims.n + (own ? 0 : SIZE_MAX / 2);
	struct claim new = { .cidr = *c, .node = node, .own = own, .order = order };

	check_alone(r, &new);
	if (!new.out)
		*rs_vec_push(&r->claims) = new;
}

static void take_node(struct reader *r, const struct rs_node *node, bool own)
{
	if (!own && !node->n_pod_cidrs)
		complain(r, "NodeWithoutPodCIDR",
			 "node %s has no podCIDR: there is no route to its pods", node->meta.name);
	for (size_t i = 0; i < node->n_pod_cidrs; i++)
		claim(r, &node->pod_cidrs[i], node, own);
}

static void gather_addresses(struct reader *r, const struct rs_node *const *nodes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < nodes[i]->n_addrs; j++)
			*rs_vec_push(&r->addresses) =
				(struct address){ nodes[i]->addrs[j], nodes[i]->meta.name };
	if (r->addresses.n)
		qsort(r->addresses.v, r->addresses.n, sizeof(*r->addresses.v), by_addr);
}

static struct rs_addr internal_ip(const struct rs_node *node, int family)
{
	for (size_t i = 0; i < node->n_internal; i++)
		if (node->addrs[i].family == family)
			return node->addrs[i];
	return (struct rs_addr){ 0 };
}

static void give(struct reader *r, struct rs_node_ranges *out)
{
	if (r->claims.n)
		qsort(r->claims.v, r->claims.n, sizeof(*r->claims.v), back_in_order);
	out->v = rs_new0(struct rs_node_range, r->claims.n);
	for (size_t i = 0; i < r->claims.n; i++) {
		const struct claim *c = &r->claims.v[i];
		struct rs_node_range *to = &out->v[out->n];

		if (c->out)
			continue;
		to->cidr = c->cidr;
		to->node = rs_strdup(name_of(r, c));
		to->own = c->own;
		if (c->node)
			to->via = internal_ip(c->node, c->cidr.addr.family);
		out->n++;
	}
}

static void put_input(struct rs_strbuf *b, const struct rs_store *store)
{
	size_t n = 0;
	const struct rs_node *const *nodes = rs_store_nodes(store, &n);

	for (size_t i = 0; i < n; i++) {
		const struct rs_node *o = nodes[i];
		size_t counts[] = { o->n_pod_cidrs, o->n_addrs, o->n_internal };

		rs_strbuf_add(b, o->meta.name, strlen(o->meta.name) + 1);
		rs_strbuf_add(b, counts, sizeof(counts));
		if (o->n_pod_cidrs)
			rs_strbuf_add(b, o->pod_cidrs, o->n_pod_cidrs * sizeof(*o->pod_cidrs));
		if (o->n_addrs)
			rs_strbuf_add(b, o->addrs, o->n_addrs * sizeof(*o->addrs));
	}
}

bool rs_node_ranges_current(const struct rs_node_ranges *r, const struct rs_store *store)
{
	rs_auto_strbuf now = { 0 };

	put_input(&now, store);
	return now.len == r->input.len && (!now.len || !memcmp(now.s, r->input.s, now.len));
}

void rs_node_ranges_read(const struct rs_store *store, const char *own_name,
			 const struct rs_cidr *own, size_t n_own, struct rs_node_ranges *out)
{
	struct reader r = { .own_name = own_name, .refused = &out->refused };
	size_t n = 0;
	const struct rs_node *const *nodes = rs_store_nodes(store, &n);

	memset(out, 0, sizeof(*out));
	put_input(&out->input, store);
	gather_addresses(&r, nodes, n);
	for (size_t i = 0; i < n_own; i++)
		claim(&r, &own[i], NULL, true);
	for (size_t i = 0; i < n; i++) {
		bool is_own = !strcmp(nodes[i]->meta.name, own_name);

		if (!is_own || !n_own)
			take_node(&r, nodes[i], is_own);
	}
	settle(&r);
	give(&r, out);
	if (r.hidden)
		rs_conditions_add(&out->refused, "PodCIDRRefused", "and %zu more of the kind",
				  r.hidden);
	rs_vec_free(&r.addresses);
	rs_vec_free(&r.claims);
}

bool rs_node_ranges_equal(const struct rs_node_ranges *a, const struct rs_node_ranges *b)
{
	if (a->n != b->n || a->refused.n != b->refused.n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (rs_cidr_cmp(&a->v[i].cidr, &b->v[i].cidr) ||
		    rs_addr_cmp(&a->v[i].via, &b->v[i].via) || a->v[i].own != b->v[i].own ||
		    strcmp(a->v[i].node, b->v[i].node) != 0)
			return false;
	for (size_t i = 0; i < a->refused.n; i++)
		if (strcmp(a->refused.v[i].text, b->refused.v[i].text) != 0)
			return false;
	return true;
}

void rs_node_ranges_free(struct rs_node_ranges *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->v[i].node);
	free(r->v);
	rs_strbuf_free(&r->input);
	rs_conditions_free(&r->refused);
	memset(r, 0, sizeof(*r));
}

struct rs_cidr *rs_node_ranges_cidrs(const struct rs_node_ranges *r, bool own_only, size_t *n)
{
	struct rs_cidr *v = rs_new0(struct rs_cidr, r->n);

	*n = 0;
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].own || !own_only)
			v[(*n)++] = r->v[i].cidr;
	return v;
}
