// SPDX-License-Identifier: Apache-2.0
/* audit.c - what separates the kernel from the last commit, by name; and the counters. */
#include "dataplane/nft/nft.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>
#include <libnftnl/common.h>
#include <libnftnl/object.h>

#include "base/base.h"

struct drifts {
	struct rs_vec(struct rs_dp_drift) v;
};

static void drift(struct drifts *d, char *object, const char *what)
{
	struct rs_dp_drift *x = rs_vec_push(&d->v);

	x->object = object;
	x->what = rs_strdup(what);
}

static char *elem_name(const struct rs_nft_plan *p, int id, size_t i)
{
	struct rs_strbuf b = { 0 };

	rs_nft_elem_str(&b, p, id, i);
	return rs_strbuf_steal(&b);
}

/* Both lists are in the order of keys: a key in both has changed. */
static void drift_set(struct drifts *out, const struct rs_nft_plan *want,
		      const struct rs_nft_plan *have, const struct rs_nft_diff *d, int id)
{
	const struct rs_nft_indexes *a = &d->set[id].del, *b = &d->set[id].add;
	size_t i = 0, j = 0;

	while (i < a->n || j < b->n) {
		int c = i == a->n ? 1
			: j == b->n
				? -1
				: rs_nft_key_cmp(&rs_nft_sets[id], rs_nft_key(want, id, a->v[i]),
						 rs_nft_key(have, id, b->v[j]));

		if (c > 0)
			drift(out, elem_name(have, id, b->v[j]), "foreign");
		else
			drift(out, elem_name(want, id, a->v[i]), c ? "missing" : "changed");
		i += c <= 0;
		j += c >= 0;
	}
}

static void drift_chain(struct drifts *out, const struct rs_nft_plan *p, size_t i, const char *what)
{
	char name[RS_NFT_NAME_LEN];

	rs_nft_profile_chain(name, p->profiles.v[i].dir, p->profiles.v[i].profile);
	drift(out, rs_asprintf("chain %s", name), what);
}

static void compare(struct drifts *out, const struct rs_nft_plan *want,
		    const struct rs_nft_plan *have)
{
	struct rs_nft_diff d;

	rs_nft_diff_make(want, have, &d);
	for (int id = 0; id < SETS_OF_STATE; id++)
		drift_set(out, want, have, &d, id);
	for (size_t i = 0; i < d.chain_del.n; i++)
		drift_chain(out, want, d.chain_del.v[i], "missing");
	for (size_t i = 0; i < d.chain_add.n; i++)
		drift_chain(out, have, d.chain_add.v[i], "foreign");
	for (size_t i = 0; i < d.chain_change.n; i++)
		drift_chain(out, have, d.chain_change.v[i], "changed");
	rs_nft_diff_free(&d);
}

/* Of the rules the first fault is known; the elements are compared all the same. */
static void compare_damaged(struct drifts *out, const struct rs_nft_plan *want,
			    const struct rs_nft_kernel *k)
{
	struct rs_nft_diff d;

	drift(out, rs_strdup(k->why_not), "changed");
	if (!k->elements)
		return;
	rs_nft_diff_make(want, k->plan, &d);
	for (int id = 0; id < SETS_OF_STATE; id++)
		drift_set(out, want, k->plan, &d, id);
	rs_nft_diff_free(&d);
}

int rs_nft_audit(struct rs_dp *dp, struct rs_dp_drifts *out, struct rs_err *err)
{
	struct rs_nft *n = rs_nft_of(dp);
	const struct rs_nft_plan *want = n->want ? n->want : n->model;
	struct drifts d = { 0 };
	rs_auto_kernel k = { 0 };
	int rc;

	memset(out, 0, sizeof(*out));
	rs_nft_listen(n);
	rc = rs_nft_check_others(n, err);
	if (!rc)
		rc = rs_nft_readback(n->nl, &n->cfg, rs_nft_cache(n), &k, err);
	if (rc)
		return rs_err_wrap(err, "audit");
	if (want && !k.exists)
		drift(&d, rs_asprintf("table inet %s", RS_NFT_TABLE), "missing");
	else if (want && !k.usable)
		compare_damaged(&d, want, &k);
	else if (want)
		compare(&d, want, k.plan);
	if (want && k.usable && k.stamps[0] >> __builtin_ctz(n->stamps.mask) != n->stamp)
		drift(&d, rs_strdup("element stamp_now"), "changed");
	rs_nft_ledger_begin(&n->ledger, d.v.n ? 0 : k.generation);
	if (d.v.n) {
		n->known = false;
		n->drifted = true;
	}
	out->v = d.v.v;
	out->n = d.v.n;
	return 0;
}

/* ---- counters -------------------------------------------------------------------------------- */

struct counting {
	struct rs_dp_stats *s;
	uint64_t dropped;
	uint64_t logged;
	struct rs_vec(struct rs_dp_judged) judged;
};

static int on_counter(const struct nlmsghdr *h, void *arg)
{
	struct nftnl_obj *o = nftnl_obj_alloc();
	struct counting *c = arg;
	uint64_t packets, bytes;
	const char *name;

	if (!o || nftnl_obj_nlmsg_parse(h, o) < 0 ||
	    strcmp(nftnl_obj_get_str(o, NFTNL_OBJ_TABLE), RS_NFT_TABLE) != 0)
		goto out;
	name = nftnl_obj_get_str(o, NFTNL_OBJ_NAME);
	packets = nftnl_obj_get_u64(o, NFTNL_OBJ_CTR_PKTS);
	bytes = nftnl_obj_get_u64(o, NFTNL_OBJ_CTR_BYTES);
	if (!strcmp(name, RS_NFT_COUNTER_LOGGED))
		c->logged = packets;
	for (size_t i = 0; i < rs_nft_n_counters; i++) {
		const struct rs_nft_counter_def *d = &rs_nft_counters[i];

		if (d->reason < 0 || strcmp(d->name, name) != 0)
			continue;
		c->s->drops[d->reason].packets += packets;
		c->s->drops[d->reason].bytes += bytes;
		c->dropped += packets;
	}
out:
	nftnl_obj_free(o);
	return MNL_CB_OK;
}

static int on_cell(const struct rs_nft_raw_elem *e, void *arg)
{
	uint32_t key[3] = { 0, 0, RS_CLASS_WORLD };
	struct counting *c = arg;
	struct rs_dp_judged *j;

	if (!e->counted || e->key_len > sizeof(key))
		return 0;
	memcpy(key, e->key, e->key_len);
	j = rs_vec_push(&c->judged);
	j->dir = (uint8_t)key[0];
	j->group = key[1];
	j->cls = key[2];
	j->judged = e->packets;
	return 0;
}

static int count_drops(struct rs_nft *n, struct counting *c)
{
	char buf[RS_NFT_REQUEST];
	struct nlmsghdr *h = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETOBJ, NFPROTO_INET, NLM_F_DUMP,
						   (uint32_t)rs_mono_ms());

	mnl_attr_put_strz(h, NFTA_OBJ_TABLE, RS_NFT_TABLE);
	return rs_nft_dump(n->nl, h, on_counter, c);
}

static int count(struct rs_nft *n, struct counting *c)
{
	int rc = count_drops(n, c);

	if (!rc)
		rc = rs_nft_each_elem(n->nl, RS_NFT_TABLE, rs_nft_sets[SET_CELLS].name, on_cell, c);
	if (!rc)
		rc = rs_nft_each_elem(n->nl, RS_NFT_TABLE, rs_nft_sets[SET_DFLT].name, on_cell, c);
	return rc;
}

int rs_nft_stats(struct rs_dp *dp, struct rs_dp_stats *out, struct rs_err *err)
{
	struct rs_nft *n = rs_nft_of(dp);
	struct counting c;
	int rc = -EINTR;

	for (int i = 0; i < 8 && rc == -EINTR; i++) {
		memset(out, 0, sizeof(*out));
		memset(&c, 0, sizeof(c));
		c.s = out;
		rc = count(n, &c);
		if (rc)
			rs_vec_free(&c.judged);
	}
	if (rc)
		return rs_err_sys(err, -rc, "read the counters of table inet %s", RS_NFT_TABLE);
	rs_dp_judged_sort(c.judged.v, c.judged.n);
	out->judged = c.judged.v;
	out->n_judged = c.judged.n;
	out->log_suppressed = n->cfg.log_rate && c.dropped > c.logged ? c.dropped - c.logged : 0;
	out->elements = n->model ? rs_nft_plan_elements(n->model) : 0;
	out->rules = n->rules;
	return 0;
}

int rs_nft_log_counts(struct rs_dp *dp, struct rs_dp_log_counts *out, struct rs_err *err)
{
	struct rs_nft *n = rs_nft_of(dp);
	struct rs_dp_stats unused;
	struct counting c;
	int rc = -EINTR;

	for (int i = 0; i < 8 && rc == -EINTR; i++) {
		memset(&unused, 0, sizeof(unused));
		c = (struct counting){ .s = &unused };
		rc = count_drops(n, &c);
	}
	if (rc)
		return rs_err_sys(err, -rc, "read the counters of table inet %s", RS_NFT_TABLE);
	out->dropped = c.dropped;
	out->logged = c.logged;
	out->received = n->log.received;
	out->gaps = n->log.gaps;
	return 0;
}
