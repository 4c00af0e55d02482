// SPDX-License-Identifier: Apache-2.0
/* number.c - numbers bound to meanings; the argument stands in number.h. */
#include "policy/number.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "policy/irtools.h"

/* One kind of number (classes, or groups of both directions) while a draft gets its own. */
struct side {
	uint32_t *no;  /* draft index to number, 0: none yet */
	bool *left;    /* an address left that number */
	bool *changed; /* a cell of that number is not what it was */
	size_t n;
	struct rs_intern claimed; /* numbers given to this draft... */
	struct rs_u32s by;	  /* ...and to which of its members */
	struct rs_intern bound;	  /* numbers whose meaning is known */
};

struct job {
	const struct rs_numbering *last;
	const struct rs_draft *d;
	struct side cls, grp;
	uint32_t *content; /* draft content to profile number, 0: not used */
};

/* ---- the state ------------------------------------------------------------------------------- */

static void raise_to(uint32_t *next, uint32_t seen)
{
	if (seen != UINT32_MAX && seen >= *next)
		*next = seen + 1;
}

static void raise_all(struct rs_numbering *n, const struct rs_ir *ir)
{
	size_t i;

	for (i = 0; i < ir->n_addrs; i++)
		raise_to(&n->next_class, ir->addrs[i].cls);
	for (i = 0; i < ir->n_ranges; i++)
		raise_to(&n->next_class, ir->ranges[i].cls);
	for (i = 0; i < ir->n_cells; i++) {
		raise_to(&n->next_class, ir->cells[i].cls);
		raise_to(&n->next_group, ir->cells[i].group);
		raise_to(&n->next_profile, ir->cells[i].profile);
	}
	for (i = 0; i < ir->n_groups; i++) {
		raise_to(&n->next_group, ir->groups[i].group);
		raise_to(&n->next_profile, ir->groups[i].profile);
	}
	for (i = 0; i < ir->n_locals; i++) {
		raise_to(&n->next_group, ir->locals[i].in_group);
		raise_to(&n->next_group, ir->locals[i].out_group);
	}
	for (i = 0; i < ir->n_profiles; i++)
		raise_to(&n->next_profile, ir->profiles[i].profile);
}

struct rs_numbering *rs_numbering_new(const struct rs_ir *seed)
{
	struct rs_numbering *n = rs_new(struct rs_numbering);

	n->next_class = RS_CLASS_WORLD + 1;
	n->next_group = 1;
	n->next_profile = RS_PROFILE_FIRST;
	if (seed) {
		raise_all(n, seed);
		n->last = rs_ir_copy_relations(seed);
	}
	return n;
}

void rs_numbering_floor(struct rs_numbering *n, const struct rs_numbering *used)
{
	raise_to(&n->next_class, used->next_class - 1);
	raise_to(&n->next_group, used->next_group - 1);
	raise_to(&n->next_profile, used->next_profile - 1);
}

void rs_numbering_free(struct rs_numbering *n)
{
	if (!n)
		return;
	rs_ir_free(n->last);
	rs_intern_free(&n->class_keys);
	rs_intern_free(&n->group_keys);
	rs_vec_free(&n->class_no);
	rs_vec_free(&n->group_no);
	free(n);
}

/* ---- proposals ------------------------------------------------------------------------------- */

static void side_init(struct side *s, size_t n, const struct rs_u32s *bound)
{
	size_t i;

	memset(s, 0, sizeof(*s));
	s->n = n;
	s->no = rs_new0(uint32_t, n);
	s->left = rs_new0(bool, n);
	s->changed = rs_new0(bool, n);
	for (i = 0; i < bound->n; i++)
		rs_intern_put_number(&s->bound, bound->v[i], NULL);
}

static void side_free(struct side *s)
{
	free(s->no);
	free(s->left);
	free(s->changed);
	rs_intern_free(&s->claimed);
	rs_intern_free(&s->bound);
	rs_vec_free(&s->by);
}

static void claim(struct side *s, uint32_t member, uint32_t no)
{
	bool fresh;

	if (s->no[member] || !no)
		return;
	rs_intern_put_number(&s->claimed, no, &fresh);
	if (!fresh)
		return;
	*rs_vec_push(&s->by) = member;
	s->no[member] = no;
}

/* Which member of the draft holds a number, RS_NONE when none does. */
static uint32_t holder(const struct side *s, uint32_t no)
{
	uint32_t id = rs_intern_find_number(&s->claimed, no);

	return id == RS_NONE ? RS_NONE : s->by.v[id];
}

static void claim_unbound(struct side *s, uint32_t member, uint32_t no)
{
	if (rs_intern_find_number(&s->bound, no) == RS_NONE)
		claim(s, member, no);
}

static void claim_by_key(struct side *s, uint32_t member, const struct rs_hash *key,
			 const struct rs_intern *keys, const struct rs_u32s *numbers)
{
	uint32_t id = rs_intern_find_digest(keys, key);

	if (id != RS_NONE)
		claim(s, member, numbers->v[id]);
}

static void propose(struct job *j)
{
	const struct rs_draft *d = j->d;
	const struct rs_ir *ir = j->last->last;
	uint32_t no;
	size_t i;

	for (i = 1; i < d->classes.n; i++)
		claim_by_key(&j->cls, (uint32_t)i, &d->classes.v[i].key, &j->last->class_keys,
			     &j->last->class_no);
	for (i = 0; i < d->groups.n; i++)
		claim_by_key(&j->grp, (uint32_t)i, &d->groups.v[i].key, &j->last->group_keys,
			     &j->last->group_no);
	for (i = 0; ir && i < d->ranges.n; i++)
		claim_unbound(&j->cls, d->ranges.v[i].cls,
			      rs_ir_class_range(ir, &d->ranges.v[i].lo));
	for (i = 0; ir && !j->last->bound && i < d->addrs.n; i++)
		if (rs_ir_class_exact(ir, &d->addrs.v[i].addr, &no))
			claim_unbound(&j->cls, d->addrs.v[i].cls, no);
	for (i = 0; ir && i < d->locals.n; i++) {
		const struct rs_ir_local *l = rs_ir_local(ir, &d->locals.v[i].addr);

		if (!l)
			continue;
		claim_unbound(&j->grp, d->locals.v[i].group[RS_INGRESS], l->in_group);
		claim_unbound(&j->grp, d->locals.v[i].group[RS_EGRESS], l->out_group);
	}
}

/* ---- profiles: the content is the meaning ---------------------------------------------------- */

static void ports_key(struct rs_strbuf *b, const struct rs_ir_port *v, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		rs_key_u32(b, (uint32_t)v[i].proto << 8 | v[i].allow);
		rs_key_u32(b, (uint32_t)v[i].lo << 16 | v[i].hi);
	}
}

static void index_profiles(const struct rs_ir *ir, struct rs_intern *keys, struct rs_u32s *no)
{
	size_t i;
	bool fresh;

	for (i = 0; ir && i < ir->n_profiles; i++) {
		const struct rs_ir_profile *p = &ir->profiles[i];
		rs_auto_strbuf key = { 0 };

		if (p->profile < RS_PROFILE_FIRST)
			continue;
		ports_key(&key, ir->ports + p->first, p->n);
		rs_intern_put(keys, rs_strbuf_str(&key), key.len, &fresh);
		if (fresh)
			*rs_vec_push(no) = p->profile;
	}
}

static void number_content(struct job *j, uint32_t content, const struct rs_intern *keys,
			   const struct rs_u32s *no, uint32_t *next)
{
	const struct rs_ports *ports = &j->d->contents.v[content];
	rs_auto_strbuf key = { 0 };
	uint32_t id;

	if (j->content[content])
		return;
	ports_key(&key, ports->v, ports->n);
	id = rs_intern_find(keys, rs_strbuf_str(&key), key.len);
	if (content == RS_CONTENT_ALL)
		j->content[content] = RS_PROFILE_ALLOW;
	else if (content == RS_CONTENT_NONE)
		j->content[content] = RS_PROFILE_DENY;
	else
		j->content[content] = id != RS_NONE ? no->v[id] : (*next)++;
}

static void number_profiles(struct job *j, uint32_t *next)
{
	struct rs_intern keys = { 0 };
	struct rs_u32s no = { 0 };
	size_t i;

	index_profiles(j->last->last, &keys, &no);
	for (i = 0; i < j->d->groups.n; i++)
		number_content(j, j->d->groups.v[i].content, &keys, &no, next);
	for (i = 0; i < j->d->cells.n; i++)
		number_content(j, j->d->cells.v[i].content, &keys, &no, next);
	rs_intern_free(&keys);
	rs_vec_free(&no);
}

/* ---- what left, what changed ----------------------------------------------------------------- */

static void mark(struct side *s, bool *flags, uint32_t no)
{
	uint32_t member = holder(s, no);

	if (member != RS_NONE)
		flags[member] = true;
}

static const struct rs_draft_addr *draft_addr(const struct rs_draft *d, const struct rs_addr *a,
					      size_t *at)
{
	while (*at < d->addrs.n && rs_addr_cmp(&d->addrs.v[*at].addr, a) < 0)
		(*at)++;
	if (*at < d->addrs.n && !rs_addr_cmp(&d->addrs.v[*at].addr, a))
		return &d->addrs.v[*at];
	return NULL;
}

/* Whether the draft gives all of [lo, hi] the number no. */
static bool covered(const struct job *j, const struct rs_ir_range *r, size_t *at)
{
	struct rs_addr next = r->lo;
	size_t i;

	while (*at < j->d->ranges.n && rs_addr_cmp(&j->d->ranges.v[*at].hi, &r->lo) < 0)
		(*at)++;
	for (i = *at; i < j->d->ranges.n; i++) {
		const struct rs_draft_range *n = &j->d->ranges.v[i];

		if (rs_addr_cmp(&n->lo, &next) > 0 || j->cls.no[n->cls] != r->cls)
			return false;
		if (rs_addr_cmp(&n->hi, &r->hi) >= 0)
			return true;
		next = n->hi;
		rs_addr_next(&next);
	}
	return false;
}

static void mark_left(struct job *j)
{
	const struct rs_ir *ir = j->last->last;
	size_t i, at = 0, k = 0;

	for (i = 0; i < ir->n_addrs; i++) {
		const struct rs_draft_addr *a = draft_addr(j->d, &ir->addrs[i].addr, &at);

		if (!a || j->cls.no[a->cls] != ir->addrs[i].cls)
			mark(&j->cls, j->cls.left, ir->addrs[i].cls);
	}
	for (i = 0, at = 0; i < ir->n_ranges; i++)
		if (!covered(j, &ir->ranges[i], &at))
			mark(&j->cls, j->cls.left, ir->ranges[i].cls);
	for (i = 0; i < ir->n_locals; i++) {
		const struct rs_ir_local *l = &ir->locals[i];
		const struct rs_draft_local *n = NULL;

		while (k < j->d->locals.n && rs_addr_cmp(&j->d->locals.v[k].addr, &l->addr) < 0)
			k++;
		if (k < j->d->locals.n && !rs_addr_cmp(&j->d->locals.v[k].addr, &l->addr))
			n = &j->d->locals.v[k];
		if (!n || j->grp.no[n->group[RS_INGRESS]] != l->in_group)
			mark(&j->grp, j->grp.left, l->in_group);
		if (!n || j->grp.no[n->group[RS_EGRESS]] != l->out_group)
			mark(&j->grp, j->grp.left, l->out_group);
	}
}

static void mark_cell(struct job *j, const struct rs_ir_cell *now)
{
	const struct rs_draft_cell *d = &j->d->cells.v[now->first_why];

	j->grp.changed[d->group] = j->cls.changed[d->cls] = true;
}

/* One that is gone. */
static void mark_old_cell(struct job *j, const struct rs_ir_cell *was)
{
	uint32_t g = holder(&j->grp, was->group), n = holder(&j->cls, was->cls);

	if (g != RS_NONE && n != RS_NONE)
		j->grp.changed[g] = j->cls.changed[n] = true;
}

/* Both sorted. A cell with a fresh end (0) stands before all others, and finds none. */
static void mark_cells(struct job *j)
{
	size_t n = j->d->cells.n, i = 0, k = 0;
	const struct rs_ir *ir = j->last->last;
	rs_autofree struct rs_ir_cell *now = rs_new0(struct rs_ir_cell, n);

	rs_draft_ir_cells(j->d, j->grp.no, j->cls.no, j->content, now);
	while (i < n || k < ir->n_cells) {
		int d = i == n		   ? 1
			: k == ir->n_cells ? -1
					   : rs_ir_cell_cmp(&now[i], &ir->cells[k]);

		if (d < 0 || (!d && now[i].profile != ir->cells[k].profile))
			mark_cell(j, &now[i]);
		if (d > 0)
			mark_old_cell(j, &ir->cells[k]);
		i += d <= 0;
		k += d >= 0;
	}
}

static void mark_defaults(struct job *j)
{
	size_t i;

	for (i = 0; i < j->d->groups.n; i++) {
		const struct rs_draft_group *g = &j->d->groups.v[i];
		const struct rs_ir_group *was =
			rs_ir_group(j->last->last, rs_draft_ir_dir(g->dir), j->grp.no[i]);

		if (!was || was->profile != j->content[g->content] ||
		    was->isolated != (g->kind != RS_GROUP_OPEN))
			j->grp.changed[i] = true;
	}
}

static void settle(struct side *s, size_t first, uint32_t *next)
{
	size_t i;

	for (i = first; i < s->n; i++)
		if (!s->no[i] || (s->left[i] && s->changed[i]))
			s->no[i] = (*next)++;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int room_left(const struct rs_numbering *n, const struct rs_draft *d, struct rs_err *err)
{
	if (d->classes.n < UINT32_MAX - n->next_class && d->groups.n < UINT32_MAX - n->next_group &&
	    d->contents.n < UINT32_MAX - n->next_profile)
		return 0;
	return rs_err_set(err, EOVERFLOW,
			  "the numbers of classes, groups or profiles are used up: "
			  "the table must be made anew");
}

static struct rs_numbering *bind(const struct job *j)
{
	struct rs_numbering *n = rs_new(struct rs_numbering);
	bool fresh;
	size_t i;

	n->bound = true;
	for (i = 1; i < j->d->classes.n; i++) {
		rs_intern_put_digest(&n->class_keys, &j->d->classes.v[i].key, &fresh);
		if (fresh)
			*rs_vec_push(&n->class_no) = j->cls.no[i];
		n->bound &= fresh;
	}
	for (i = 0; i < j->d->groups.n; i++) {
		rs_intern_put_digest(&n->group_keys, &j->d->groups.v[i].key, &fresh);
		if (fresh)
			*rs_vec_push(&n->group_no) = j->grp.no[i];
	}
	return n;
}

int rs_number_draft(const struct rs_numbering *last, const struct rs_draft *d,
		    struct rs_numbers *out, struct rs_numbering **next, struct rs_err *err)
{
	uint32_t next_class = last->next_class, next_group = last->next_group;
	uint32_t next_profile = last->next_profile;
	struct job j = { .last = last, .d = d };
	int rc = room_left(last, d, err);

	if (rc < 0)
		return rc;
	side_init(&j.cls, d->classes.n, &last->class_no);
	side_init(&j.grp, d->groups.n, &last->group_no);
	j.content = rs_new0(uint32_t, d->contents.n);
	propose(&j);
	number_profiles(&j, &next_profile);
	if (last->last) {
		mark_left(&j);
		mark_cells(&j);
		mark_defaults(&j);
	}
	settle(&j.cls, 1, &next_class);
	settle(&j.grp, 0, &next_group);
	*next = bind(&j);
	(*next)->next_class = next_class;
	(*next)->next_group = next_group;
	(*next)->next_profile = next_profile;
	out->classes = rs_steal_ptr(&j.cls.no);
	out->groups = rs_steal_ptr(&j.grp.no);
	out->profiles = rs_steal_ptr(&j.content);
	side_free(&j.cls);
	side_free(&j.grp);
	return 0;
}

void rs_numbers_free(struct rs_numbers *n)
{
	free(n->classes);
	free(n->groups);
	free(n->profiles);
}
