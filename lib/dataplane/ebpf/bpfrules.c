// SPDX-License-Identifier: Apache-2.0
/* bpfrules.c - the book in the kernel: slots of rs_hits that count, and in rs_rules for whom. */
#include "dataplane/ebpf/ebpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

int rs_bpf_rules_read(const struct rs_bpf_set *s, const struct rs_bpf_plan *model,
		      struct rs_bpf_book **out, struct rs_err *err)
{
	rs_auto_bpf_book *b = rs_bpf_book_new();
	uint32_t slot, next;
	const void *at = NULL;

	while (bpf_map_get_next_key(s->rules, at, &next) == 0) {
		struct rs_bpf_rule r;

		slot = next;
		at = &slot;
		if (bpf_map_lookup_elem(s->rules, &slot, &r) == 0)
			rs_bpf_book_add(b, slot, &r);
	}
	if (errno != ENOENT)
		return rs_err_sys(err, errno, "read rs_rules");
	rs_bpf_book_adopt(b, &model->t[RS_BPF_MAP_WHYS]);
	*out = rs_steal_ptr(&b);
	return 0;
}

static int begin_at_0(const struct rs_bpf_set *s, uint32_t slot)
{
	int cpus = libbpf_num_possible_cpus();
	rs_autofree struct rs_bpf_count *v = NULL;

	if (cpus < 1)
		return -EINVAL;
	v = rs_new0(struct rs_bpf_count, (size_t)cpus);
	return bpf_map_update_elem(s->hits, &slot, v, BPF_ANY) ? -errno : 0;
}

static int write_rule(const struct rs_bpf_set *s, const struct rs_bpf_booked *x)
{
	struct rs_bpf_rule r = { .dir = x->dir, .index = x->index };
	int rc = x->dirty ? begin_at_0(s, x->slot) : 0;

	if (rc)
		return rc;
	snprintf(r.ns, sizeof(r.ns), "%s", x->ns);
	snprintf(r.name, sizeof(r.name), "%s", x->name);
	return bpf_map_update_elem(s->rules, &x->slot, &r, BPF_ANY) ? -errno : 0;
}

int rs_bpf_rules_write(const struct rs_bpf_set *s, const struct rs_bpf_book *book,
		       struct rs_err *err)
{
	for (size_t i = 0; book && i < book->rules.n; i++) {
		const struct rs_bpf_booked *x = &book->rules.v[i];
		int rc = x->fresh ? write_rule(s, x) : 0;

		if (rc)
			return rs_err_sys(err, -rc, "write rs_rules %u", x->slot);
	}
	return 0;
}

void rs_bpf_rules_forget(const struct rs_bpf_set *s, const struct rs_bpf_book *before,
			 const struct rs_bpf_book *now)
{
	for (size_t i = 0, j = 0; before && i < before->rules.n; i++) {
		const struct rs_bpf_booked *x = &before->rules.v[i];

		while (now && j < now->rules.n && rs_bpf_booked_cmp(&now->rules.v[j], x) < 0)
			j++;
		if (!now || j == now->rules.n || rs_bpf_booked_cmp(&now->rules.v[j], x))
			(void)bpf_map_delete_elem(s->rules, &x->slot);
	}
}

static int count_one(const struct rs_bpf_set *s, uint32_t slot, struct rs_bpf_count *each, int cpus,
		     struct rs_dp_counter *n)
{
	if (bpf_map_lookup_elem(s->hits, &slot, each))
		return -errno;
	for (int c = 0; c < cpus; c++) {
		n->packets += each[c].packets;
		n->bytes += each[c].bytes;
	}
	return 0;
}

int rs_bpf_rules_count(const struct rs_bpf_set *s, const struct rs_bpf_book *book,
		       struct rs_dp_stats *out, struct rs_err *err)
{
	int cpus = libbpf_num_possible_cpus();
	rs_autofree struct rs_bpf_count *each = NULL;

	if (!book || cpus < 1)
		return 0;
	each = rs_new0(struct rs_bpf_count, (size_t)cpus);
	out->passed = rs_new0(struct rs_dp_passed, book->rules.n);
	for (size_t i = 0; i < book->rules.n; i++) {
		const struct rs_bpf_booked *x = &book->rules.v[i];
		struct rs_dp_passed *p = &out->passed[out->n_passed];
		int rc = !x->slot || x->partly ? 0 : count_one(s, x->slot, each, cpus, &p->n);

		if (rc)
			return rs_err_sys(err, -rc, "read rs_hits");
		if (!x->slot || x->partly)
			continue;
		p->ns = rs_strdup(x->ns);
		p->name = rs_strdup(x->name);
		p->dir = (uint8_t)x->dir;
		p->index = x->index;
		out->n_passed++;
	}
	return 0;
}
