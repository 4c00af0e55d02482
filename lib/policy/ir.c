// SPDX-License-Identifier: Apache-2.0
/* ir.c - memory of an IR, look-ups in its relations, equality; see <ripstop/ir.h>. */
#include <string.h>

#include "base/base.h"
#include "policy/irtools.h"

#define CHUNK (64UL * 1024)

struct chunk {
	struct chunk *next;
	size_t used, size;
	_Alignas(16) char data[];
};

struct rs_ir_arena {
	struct chunk *chunks;
	unsigned int shared; /* others that hold the IR */
	uint64_t applied;    /* rs_ir_moves.sequence of the last moves */
};

struct rs_ir *rs_ir_new(void)
{
	struct rs_ir *ir = rs_new(struct rs_ir);

	ir->arena = rs_new(struct rs_ir_arena);
	return ir;
}

void rs_ir_free(struct rs_ir *ir)
{
	struct chunk *c, *next;

	if (!ir || ir->arena->shared) {
		if (ir)
			ir->arena->shared--;
		return;
	}
	for (c = ir->arena->chunks; c; c = next) {
		next = c->next;
		free(c);
	}
	free(ir->arena);
	free(ir);
}

struct rs_ir *rs_ir_share(const struct rs_ir *ir)
{
	ir->arena->shared++;
	return (struct rs_ir *)(uintptr_t)ir;
}

bool rs_ir_applies(struct rs_ir *ir, uint64_t sequence)
{
	if (sequence && ir->arena->applied == sequence)
		return false;
	ir->arena->applied = sequence;
	return true;
}

static struct chunk *chunk_new(size_t size)
{
	struct chunk *c = rs_calloc(1, sizeof(*c) + size);

	c->size = size;
	return c;
}

/* Large arrays get a chunk of their own, behind the one that small pieces are cut from. */
void *rs_ir_alloc(struct rs_ir *ir, size_t n, size_t size)
{
	struct chunk *c = ir->arena->chunks, *own;
	size_t bytes;
	void *p;

	if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX / 2)
		rs_oom();
	bytes = (bytes + 15) & ~(size_t)15;
	if (bytes > CHUNK / 4) {
		own = chunk_new(bytes);
		own->used = bytes;
		if (c) {
			own->next = c->next;
			c->next = own;
		} else {
			ir->arena->chunks = own;
		}
		return own->data;
	}
	if (!c || c->size - c->used < bytes) {
		own = chunk_new(CHUNK);
		own->next = c;
		ir->arena->chunks = c = own;
	}
	p = c->data + c->used;
	c->used += bytes;
	return p;
}

const char *rs_ir_strdup(struct rs_ir *ir, const char *s)
{
	size_t n;
	char *copy;

	if (!s)
		return NULL;
	n = strlen(s) + 1;
	copy = rs_ir_alloc(ir, n, 1);
	memcpy(copy, s, n);
	return copy;
}

/* ---- look-ups -------------------------------------------------------------------------------- */

static int cmp_addr(const void *key, const void *item)
{
	return rs_addr_cmp(key, &((const struct rs_ir_addr *)item)->addr);
}

static int cmp_local(const void *key, const void *item)
{
	return rs_addr_cmp(key, &((const struct rs_ir_local *)item)->addr);
}

static int cmp_range(const void *key, const void *item)
{
	const struct rs_ir_range *r = item;

	if (rs_addr_cmp(key, &r->lo) < 0)
		return -1;
	return rs_addr_cmp(key, &r->hi) > 0;
}

static int cmp_group(const void *a, const void *b)
{
	const struct rs_ir_group *x = a, *y = b;

	if (x->dir != y->dir)
		return x->dir < y->dir ? -1 : 1;
	return x->group < y->group ? -1 : x->group > y->group;
}

int rs_ir_cell_cmp(const void *a, const void *b)
{
	const struct rs_ir_cell *x = a, *y = b;

	if (x->dir != y->dir)
		return x->dir < y->dir ? -1 : 1;
	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	return x->cls < y->cls ? -1 : x->cls > y->cls;
}

static int cmp_profile(const void *a, const void *b)
{
	const struct rs_ir_profile *x = a, *y = b;

	return x->profile < y->profile ? -1 : x->profile > y->profile;
}

/* bsearch(3) with an empty array: its pointer may be NULL, which the standard does not allow. */
static void *find(const void *key, const void *v, size_t n, size_t size,
		  int (*cmp)(const void *, const void *))
{
	return n ? bsearch(key, v, n, size, cmp) : NULL;
}

bool rs_ir_class_exact(const struct rs_ir *ir, const struct rs_addr *a, uint32_t *cls)
{
	const struct rs_ir_addr *e = find(a, ir->addrs, ir->n_addrs, sizeof(*e), cmp_addr);

	if (e && cls)
		*cls = e->cls;
	return e;
}

uint32_t rs_ir_class_range(const struct rs_ir *ir, const struct rs_addr *a)
{
	const struct rs_ir_range *r = find(a, ir->ranges, ir->n_ranges, sizeof(*r), cmp_range);

	return r ? r->cls : RS_CLASS_WORLD;
}

const struct rs_ir_local *rs_ir_local(const struct rs_ir *ir, const struct rs_addr *a)
{
	return find(a, ir->locals, ir->n_locals, sizeof(struct rs_ir_local), cmp_local);
}

const struct rs_ir_group *rs_ir_group(const struct rs_ir *ir, enum rs_ir_dir dir, uint32_t group)
{
	struct rs_ir_group key = { .dir = (uint8_t)dir, .group = group };

	return find(&key, ir->groups, ir->n_groups, sizeof(key), cmp_group);
}

const struct rs_ir_cell *rs_ir_cell(const struct rs_ir *ir, enum rs_ir_dir dir, uint32_t group,
				    uint32_t cls)
{
	struct rs_ir_cell key = { .dir = (uint8_t)dir, .group = group, .cls = cls };

	return find(&key, ir->cells, ir->n_cells, sizeof(key), rs_ir_cell_cmp);
}

const struct rs_ir_profile *rs_ir_profile(const struct rs_ir *ir, uint32_t profile)
{
	struct rs_ir_profile key = { .profile = profile };

	return find(&key, ir->profiles, ir->n_profiles, sizeof(key), cmp_profile);
}

const struct rs_ir_port *rs_ir_profile_ports(const struct rs_ir *ir, uint32_t profile, size_t *n)
{
	static const struct rs_ir_port everything = { 0, 0, UINT16_MAX, true };
	const struct rs_ir_profile *p;

	*n = 0;
	if (profile == RS_PROFILE_ALLOW)
		*n = 1;
	if (profile == RS_PROFILE_ALLOW || profile == RS_PROFILE_DENY)
		return &everything;
	p = rs_ir_profile(ir, profile);
	if (!p)
		return &everything; /* and no entry of it: a profile that nobody knows denies */
	*n = p->n;
	return ir->ports + p->first;
}

/* ---- equality -------------------------------------------------------------------------------- */

static bool same_addresses(const struct rs_ir *a, const struct rs_ir *b)
{
	size_t i;

	if (a->n_addrs != b->n_addrs || a->n_ranges != b->n_ranges || a->n_locals != b->n_locals)
		return false;
	for (i = 0; i < a->n_addrs; i++)
		if (rs_addr_cmp(&a->addrs[i].addr, &b->addrs[i].addr) != 0 ||
		    a->addrs[i].cls != b->addrs[i].cls)
			return false;
	for (i = 0; i < a->n_ranges; i++)
		if (!rs_ir_same_range(&a->ranges[i], &b->ranges[i]))
			return false;
	for (i = 0; i < a->n_locals; i++)
		if (!rs_ir_same_local(&a->locals[i], &b->locals[i]))
			return false;
	return true;
}

static bool same_cells(const struct rs_ir *a, const struct rs_ir *b)
{
	size_t i;

	if (a->n_groups != b->n_groups || a->n_cells != b->n_cells)
		return false;
	for (i = 0; i < a->n_groups; i++)
		if (cmp_group(&a->groups[i], &b->groups[i]) != 0 ||
		    a->groups[i].profile != b->groups[i].profile ||
		    a->groups[i].isolated != b->groups[i].isolated)
			return false;
	for (i = 0; i < a->n_cells; i++)
		if (rs_ir_cell_cmp(&a->cells[i], &b->cells[i]) != 0 ||
		    a->cells[i].profile != b->cells[i].profile)
			return false;
	return true;
}

static bool same_ports(const struct rs_ir_port *a, const struct rs_ir_port *b, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (a[i].proto != b[i].proto || a[i].lo != b[i].lo || a[i].hi != b[i].hi ||
		    a[i].allow != b[i].allow)
			return false;
	return true;
}

/* The two fixed profiles mean the same whether listed or not. */
static size_t skip_fixed(const struct rs_ir *ir)
{
	size_t i = 0;

	while (i < ir->n_profiles && ir->profiles[i].profile < RS_PROFILE_FIRST)
		i++;
	return i;
}

static bool same_profiles(const struct rs_ir *a, const struct rs_ir *b)
{
	size_t i = skip_fixed(a), k = skip_fixed(b);

	if (a->n_profiles - i != b->n_profiles - k)
		return false;
	for (; i < a->n_profiles; i++, k++) {
		const struct rs_ir_profile *x = &a->profiles[i], *y = &b->profiles[k];

		if (x->profile != y->profile || x->n != y->n ||
		    !same_ports(a->ports + x->first, b->ports + y->first, x->n))
			return false;
	}
	return true;
}

/* The pod's MAC and the link's name are for listings: a link that is made anew has another
 * index. */
static bool same_guards(const struct rs_ir *a, const struct rs_ir *b)
{
	size_t i;

	if (a->n_guards != b->n_guards)
		return false;
	for (i = 0; i < a->n_guards; i++)
		if (a->guards[i].ifindex != b->guards[i].ifindex ||
		    rs_addr_cmp(&a->guards[i].addr, &b->guards[i].addr) != 0 ||
		    rs_addr_cmp(&a->guards[i].ll, &b->guards[i].ll) != 0)
			return false;
	return true;
}

bool rs_ir_same_node_ranges(const struct rs_ir *a, const struct rs_ir *b)
{
	size_t i;

	if (a->n_node_ranges != b->n_node_ranges)
		return false;
	for (i = 0; i < a->n_node_ranges; i++)
		if (rs_cidr_cmp(&a->node_ranges[i], &b->node_ranges[i]) != 0)
			return false;
	return true;
}

bool rs_ir_equal(const struct rs_ir *a, const struct rs_ir *b)
{
	return same_addresses(a, b) && same_cells(a, b) && same_profiles(a, b) &&
	       same_guards(a, b) && rs_ir_same_node_ranges(a, b);
}

/* ---- copies ---------------------------------------------------------------------------------- */

static void *copied(struct rs_ir *ir, const void *v, size_t n, size_t size)
{
	void *p = rs_ir_alloc(ir, n, size);

	if (n)
		memcpy(p, v, n * size);
	return p;
}

struct rs_ir *rs_ir_copy_relations(const struct rs_ir *from)
{
	struct rs_ir *ir = rs_ir_new();
	size_t i;

#define COPY(field)                                                                         \
	do {                                                                                \
		ir->n_##field = from->n_##field;                                            \
		ir->field = copied(ir, from->field, from->n_##field, sizeof(*from->field)); \
	} while (0)
	COPY(addrs);
	COPY(ranges);
	COPY(locals);
	COPY(groups);
	COPY(cells);
	COPY(profiles);
	COPY(ports);
	COPY(guards);
	COPY(node_ranges);
#undef COPY
	ir->generation = from->generation;
	for (i = 0; i < ir->n_addrs; i++)
		ir->addrs[i].comment = NULL;
	for (i = 0; i < ir->n_locals; i++)
		ir->locals[i].comment = NULL;
	for (i = 0; i < ir->n_guards; i++)
		ir->guards[i].ifname = NULL;
	for (i = 0; i < ir->n_groups; i++)
		ir->groups[i].n_policies = ir->groups[i].n_why = 0;
	for (i = 0; i < ir->n_cells; i++)
		ir->cells[i].n_why = 0;
	return ir;
}
