// SPDX-License-Identifier: Apache-2.0
/* dataplane.c - lib/dataplane makes a kernel mechanism enforce an IR; here are its backends by
 * name. */
#include <ripstop/dataplane.h>
#include <ripstop/linkgroup.h>

#include <stdlib.h>
#include <string.h>

#include "base/base.h"

static const char *const reasons[RS_DROP_REASONS] = {
	[RS_DROP_POLICY_INGRESS] = "policy-ingress",
	[RS_DROP_POLICY_EGRESS] = "policy-egress",
	[RS_DROP_NOT_PROGRAMMED] = "not-programmed",
	[RS_DROP_SPOOFED] = "spoofed",
	[RS_DROP_INVALID] = "invalid",
	[RS_DROP_MALFORMED] = "malformed",
};

const char *rs_drop_reason_name(enum rs_drop_reason r)
{
	return (size_t)r < RS_ARRAY_SIZE(reasons) ? reasons[r] : "unknown";
}

void rs_dp_config_default(struct rs_dp_config *cfg)
{
	memset(cfg, 0, sizeof(*cfg));
	cfg->link_group = RS_LINK_GROUP;
	cfg->ct_mark_mask = 0xffff0000;
	cfg->verdict_cache = true;
	cfg->nflog_group = 41;
	cfg->log_rate = 10;
	cfg->own_table = true;
}

void rs_dp_stats_free(struct rs_dp_stats *s)
{
	for (size_t i = 0; i < s->n_passed; i++) {
		free(s->passed[i].ns);
		free(s->passed[i].name);
	}
	free(s->passed);
	free(s->judged);
	memset(s, 0, sizeof(*s));
}

static int judged_cmp(const void *a, const void *b)
{
	const struct rs_dp_judged *x = a, *y = b;

	if (x->dir != y->dir)
		return x->dir < y->dir ? -1 : 1;
	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	return (x->cls > y->cls) - (x->cls < y->cls);
}

void rs_dp_judged_sort(struct rs_dp_judged *v, size_t n)
{
	if (n)
		qsort(v, n, sizeof(*v), judged_cmp);
}

void rs_dp_drifts_free(struct rs_dp_drifts *d)
{
	for (size_t i = 0; i < d->n; i++) {
		free(d->v[i].object);
		free(d->v[i].what);
	}
	free(d->v);
	memset(d, 0, sizeof(*d));
}

const struct rs_dp_ops *rs_dp_by_name(const char *name)
{
	static const struct rs_dp_ops *const all[] = { &rs_dp_nft, &rs_dp_ebpf, &rs_dp_ebpf_tc,
						       &rs_dp_null };

	for (size_t i = 0; i < RS_ARRAY_SIZE(all); i++)
		if (name && !strcmp(all[i]->name, name))
			return all[i];
	return NULL;
}
