// SPDX-License-Identifier: Apache-2.0
/* diff.c - what separates two plans, as entries to delete and to add. Pure. */
#include "dataplane/nft/plan.h"

#include <string.h>

static void diff_set(const struct rs_nft_plan *from, const struct rs_nft_plan *to, int id,
		     struct rs_nft_diff *d)
{
	const struct rs_nft_set_def *def = &rs_nft_sets[id];
	const struct rs_nft_elems *a = &from->set[id], *b = &to->set[id];
	size_t i = 0, j = 0;

	while (i < a->n || j < b->n) {
		int c = i == a->n   ? 1
			: j == b->n ? -1
				    : rs_nft_key_cmp(def, rs_nft_key(from, id, i),
						     rs_nft_key(to, id, j));
		bool same = !c && a->data[i] == b->data[j] && a->hash[i] == b->hash[j];

		/* The same key with other data cannot be updated in place: both, in one batch. */
		if (c <= 0 && !same)
			*rs_vec_push(&d->set[id].del) = (uint32_t)i;
		if (c >= 0 && !same)
			*rs_vec_push(&d->set[id].add) = (uint32_t)j;
		i += c <= 0;
		j += c >= 0;
	}
	d->edits += d->set[id].del.n + d->set[id].add.n;
}

static int profile_order(const struct rs_nft_profile *a, const struct rs_nft_profile *b)
{
	if (a->dir != b->dir)
		return a->dir < b->dir ? -1 : 1;
	return (a->profile > b->profile) - (a->profile < b->profile);
}

static bool same_rules(const struct rs_nft_plan *pa, const struct rs_nft_profile *a,
		       const struct rs_nft_plan *pb, const struct rs_nft_profile *b)
{
	if (a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++) {
		const struct rs_ir_port *x = &pa->ports.v[a->first + i];
		const struct rs_ir_port *y = &pb->ports.v[b->first + i];

		if (x->proto != y->proto || x->lo != y->lo || x->hi != y->hi ||
		    x->allow != y->allow)
			return false;
	}
	return true;
}

static void diff_profiles(const struct rs_nft_plan *from, const struct rs_nft_plan *to,
			  struct rs_nft_diff *d)
{
	size_t i = 0, j = 0;

	while (i < from->profiles.n || j < to->profiles.n) {
		int c = i == from->profiles.n ? 1
			: j == to->profiles.n
				? -1
				: profile_order(&from->profiles.v[i], &to->profiles.v[j]);

		if (c < 0)
			*rs_vec_push(&d->chain_del) = (uint32_t)i;
		else if (c > 0)
			*rs_vec_push(&d->chain_add) = (uint32_t)j;
		else if (!same_rules(from, &from->profiles.v[i], to, &to->profiles.v[j]))
			*rs_vec_push(&d->chain_change) = (uint32_t)j;
		i += c <= 0;
		j += c >= 0;
	}
	d->edits += d->chain_del.n + d->chain_add.n + d->chain_change.n;
}

void rs_nft_diff_make(const struct rs_nft_plan *from, const struct rs_nft_plan *to,
		      struct rs_nft_diff *d)
{
	memset(d, 0, sizeof(*d));
	for (int id = 0; id < SETS_OF_STATE; id++)
		diff_set(from, to, id, d);
	diff_profiles(from, to, d);
}

void rs_nft_diff_free(struct rs_nft_diff *d)
{
	for (int id = 0; id < SETS_OF_STATE; id++) {
		rs_vec_free(&d->set[id].del);
		rs_vec_free(&d->set[id].add);
	}
	rs_vec_free(&d->chain_del);
	rs_vec_free(&d->chain_add);
	rs_vec_free(&d->chain_change);
}
