// SPDX-License-Identifier: Apache-2.0
/*
 * commit.c - brings the kernel from the model to the next IR in one batch: as a difference, or as a
 * whole new table when there is nothing to differ from.
 */
#include "dataplane/nft/nft.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>
#include <sys/random.h>
#include <libnftnl/common.h>
#include <libnftnl/rule.h>

#include "base/base.h"
#include "dataplane/nft/encode.h"
#include "dataplane/nft/skeleton.h"
#include "dataplane/nft/watch.h"

#define TRIAL_TABLE "ripstop_trial"

static int new_stamp(struct rs_nft *n, uint16_t from, uint16_t *out, struct rs_err *err)
{
	int rc = rs_nft_stamps_next(&n->stamps, n->nl, from, out, err);

	return rc ? rs_err_wrap(err, "choose a stamp") : 0;
}

/* Without a stamp there can be no cache; every packet is then judged, which refuses nothing
 * wrongly. */
static void give_up_cache(struct rs_nft *n, const struct rs_err *why)
{
	free(n->no_stamps);
	n->no_stamps = rs_asprintf("the verdict cache is off, every packet is judged: %s",
				   rs_err_str(why));
}

/* ---- a whole new table ----------------------------------------------------------------------- */

static int on_rule(const struct nlmsghdr *h, void *arg)
{
	struct nftnl_rule *r = nftnl_rule_alloc();
	uint64_t *handle = arg;

	if (r && nftnl_rule_nlmsg_parse(h, r) == 0 && !*handle &&
	    !strcmp(nftnl_rule_get_str(r, NFTNL_RULE_CHAIN), "restamp"))
		*handle = nftnl_rule_get_u64(r, NFTNL_RULE_HANDLE);
	nftnl_rule_free(r);
	return MNL_CB_OK;
}

static int find_stamp_rule(struct rs_nft *n, struct rs_err *err)
{
	char buf[RS_NFT_REQUEST];
	int rc = -EINTR;

	n->stamp_handle = 0;
	for (int i = 0; i < 8 && rc == -EINTR; i++) {
		struct nlmsghdr *h = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETRULE, NFPROTO_INET,
							   NLM_F_DUMP, (uint32_t)rs_mono_ms());

		mnl_attr_put_strz(h, NFTA_RULE_TABLE, RS_NFT_TABLE);
		mnl_attr_put_strz(h, NFTA_RULE_CHAIN, "restamp");
		rc = rs_nft_dump(n->nl, h, on_rule, &n->stamp_handle);
	}
	if (rc || !n->stamp_handle)
		return rs_err_set(err, rc ? -rc : ENOENT, "find the rule that stamps");
	return 0;
}

/* A start that the old table, which may go on stamping until it is gone, is unlikely to be at. */
static uint16_t random_start(const struct rs_nft *n)
{
	uint32_t r = 0;

	if (getrandom(&r, sizeof(r), GRND_NONBLOCK) != sizeof(r))
		r = (uint32_t)rs_mono_ms();
	return (uint16_t)(r % n->stamps.last + 1);
}

static int pick_rebuild_stamp(struct rs_nft *n, uint16_t *stamp)
{
	rs_auto_err why = { 0 };
	uint16_t old = n->stamp;
	int rc = rs_nft_stamps_load(&n->stamps, n->nl, &why);

	*stamp = 1;
	if (!rc) {
		free(n->no_stamps);
		n->no_stamps = NULL;
		if (old)
			rs_nft_stamps_hold(&n->stamps, old);
		rc = new_stamp(n, random_start(n), stamp, &why);
	}
	if (rc)
		give_up_cache(n, &why);
	return 0;
}

/* A grace period is owed also when an error hides that the kernel took the batch. */
static int send_move(struct rs_nft *n, struct rs_nft_batch *b, bool moves,
		     struct rs_dp_commit *done, struct rs_err *err)
{
	int rc = rs_nft_send(n, b, &done->ms, err);

	if (moves)
		rs_nft_grace_begin(&n->grace);
	if (rc)
		return rc;
	done->changed = true;
	done->messages = b->messages;
	done->bytes = b->len;
	return 0;
}

/* A kernel that answers with other rules than it was given would have its table made anew at every
 * start, and show drift for ever: say so once, with the rule. */
static void check_dump(struct rs_nft *n)
{
	rs_auto_kernel k = { .rules_only = true };

	free(n->dump_note);
	n->dump_note = NULL;
	if (rs_nft_readback(n->nl, &n->cfg, rs_nft_cache(n), &k, NULL) == 0 && !k.usable)
		n->dump_note = rs_asprintf("what was just written reads differently from this "
					   "kernel, each start makes the table anew: %s",
					   k.why_not ? k.why_not : "it is gone");
}

static int rebuild(struct rs_nft *n, const struct rs_nft_plan *to, struct rs_dp_commit *done,
		   struct rs_err *err)
{
	struct rs_nft_skeleton sk;
	uint32_t before, after;
	rs_auto_batch b;
	uint16_t stamp;
	int rc;

	rs_nft_grace_wait(&n->grace);
	pick_rebuild_stamp(n, &stamp);
	rs_nft_batch_begin(&b);
	if (n->exists)
		rs_nft_put_table_del(&b, RS_NFT_TABLE);
	rs_nft_put_table(&b, RS_NFT_TABLE, rs_nft_table_flags(n), rs_nft_table_comment);
	rs_nft_skeleton_make(&sk, &n->cfg, rs_nft_cache(n), stamp);
	rs_nft_put_skeleton(&b, RS_NFT_TABLE, &sk);
	rs_nft_put_plan(&b, RS_NFT_TABLE, to);
	rs_nft_put_stamp(&b, RS_NFT_TABLE, rs_nft_stamp_bits(n->cfg.ct_mark_mask, stamp),
			 to->generation, false);
	(void)rs_nft_generation(n->nl, &before); /* 0 where it cannot be known */
	rc = send_move(n, &b, true, done, err);
	n->rules = sk.n + to->profiles.n + to->ports.n;
	rs_nft_skeleton_free(&sk);
	if (rc)
		return rc;
	(void)rs_nft_generation(n->nl, &after);
	rs_nft_ledger_begin(&n->ledger, before && after == before + 1 ? after : 0);
	done->rebuilt = done->bumped = true;
	snprintf(done->why, sizeof(done->why), "%s",
		 n->why_not  ? n->why_not
		 : n->exists ? "the table is not known"
			     : "there is no table");
	n->exists = true;
	n->stamp = stamp;
	check_dump(n);
	return rs_nft_cache(n) ? find_stamp_rule(n, err) : 0;
}

/* ---- a difference ---------------------------------------------------------------------------- */

/* An address that leaves its class, a pod that comes, goes or has another group: rs_ir_may_refuse()
 * proves nothing of those, and most steps have one. A comment alone is none. */
static bool surely_unproven(const struct rs_nft *n, const struct rs_nft_plan *to,
			    const struct rs_nft_diff *d)
{
	static const enum rs_nft_set_id leave[] = { SET_CLS4, SET_CLS6, SET_IN4,
						    SET_IN6,  SET_OUT4, SET_OUT6 };
	size_t at;

	/* A pod of this node came or went. */
	if (d->set[SET_SELF4].add.n + d->set[SET_SELF4].del.n + d->set[SET_SELF6].add.n +
	    d->set[SET_SELF6].del.n)
		return true;
	for (size_t s = 0; s < RS_ARRAY_SIZE(leave); s++) {
		enum rs_nft_set_id id = leave[s];

		for (size_t i = 0; i < d->set[id].del.n; i++) {
			uint32_t was = d->set[id].del.v[i];

			if (!rs_nft_plan_find(to, id, rs_nft_key(n->model, id, was), &at) ||
			    to->set[id].data[at] != n->model->set[id].data[was])
				return true;
		}
	}
	return false;
}

static bool may_refuse(const struct rs_nft *n, const struct rs_nft_plan *to,
		       const struct rs_nft_diff *d, const struct rs_ir *next)
{
	struct rs_ir *now = NULL;
	bool may;

	if (n->drifted || surely_unproven(n, to, d) || rs_nft_plan_to_ir(n->model, &now, NULL) < 0)
		return true;
	may = rs_ir_may_refuse(now, next);
	rs_ir_free(now);
	return may;
}

static void put_new_stamp(struct rs_nft *n, struct rs_nft_batch *b, uint16_t stamp)
{
	struct rs_nft_skeleton sk;

	rs_nft_skeleton_restamp(&sk, &n->cfg, stamp);
	for (size_t i = 0; i < sk.n; i++)
		if (sk.v[i].stamps)
			rs_nft_put_rule_replace(b, RS_NFT_TABLE, &sk.v[i], n->stamp_handle);
	rs_nft_skeleton_free(&sk);
}

static bool removes(const struct rs_nft_diff *d)
{
	size_t n = d->chain_del.n + d->chain_change.n;

	for (int id = 0; id < SETS_OF_STATE; id++)
		n += d->set[id].del.n;
	return n > 0;
}

int rs_nft_send_diff(struct rs_nft *n, const struct rs_nft_plan *from, const struct rs_nft_plan *to,
		     const struct rs_nft_diff *d, bool refuses, struct rs_dp_commit *done,
		     struct rs_err *err)
{
	bool bump = refuses && rs_nft_cache(n);
	uint32_t mask = n->cfg.ct_mark_mask;
	uint16_t stamp = n->stamp;
	rs_auto_batch b = { 0 };
	int rc;

	rs_nft_grace_wait(&n->grace);
	rc = bump ? new_stamp(n, n->stamp, &stamp, err) : 0;
	if (rc)
		return rc;
	rs_nft_batch_begin(&b);
	rs_nft_put_diff(&b, RS_NFT_TABLE, from, to, d);
	rs_nft_put_stamp(&b, RS_NFT_TABLE, rs_nft_stamp_bits(mask, n->stamp), 0, true);
	rs_nft_put_stamp(&b, RS_NFT_TABLE, rs_nft_stamp_bits(mask, stamp), to->generation, false);
	if (bump)
		put_new_stamp(n, &b, stamp);
	rc = send_move(n, &b, refuses || removes(d), done, err);
	if (rc)
		return rc;
	n->stamp = stamp;
	done->bumped = bump;
	return 0;
}

static int apply(struct rs_nft *n, const struct rs_nft_plan *to, const struct rs_ir *next,
		 struct rs_dp_commit *done, struct rs_err *err)
{
	struct rs_nft_diff d;
	int rc = 0;

	rs_nft_diff_make(n->model, to, &d);
	if (d.edits)
		rc = rs_nft_send_diff(n, n->model, to, &d, may_refuse(n, to, &d, next), done, err);
	rs_nft_diff_free(&d);
	return rc;
}

/* What the kernel says when it does not hold what we thought. */
static bool stale(int rc)
{
	return rc == -ENOENT || rc == -EEXIST || rc == -EBUSY || rc == -ERESTART || rc == -EAGAIN;
}

static int attempt(struct rs_nft *n, const struct rs_nft_plan *to, const struct rs_ir *next,
		   bool whole, struct rs_dp_commit *done, struct rs_err *err)
{
	int rc = n->known ? rs_nft_check_others(n, err) : 0;

	if (!rc && !n->known)
		rc = rs_nft_load(n, err);
	if (rc)
		return rc;
	if (whole || !n->model)
		return rebuild(n, to, done, err);
	return apply(n, to, next, done, err);
}

/* News that nobody has asked for yet: a model that is known to be wrong would leave the damage
 * there. */
void rs_nft_hear_news(struct rs_nft *n)
{
	struct rs_nft_news news;

	if (rs_nft_watch_drain(n->watch, n->ledger.base, &news, NULL) < 0)
		news.ours = news.others = true;
	free(news.who);
	rs_nft_take_news(n, &news);
	if (news.ours && n->known) {
		n->known = false;
		n->drifted = true;
	}
}

static void add_failure(struct rs_dp_commit *done, int rc)
{
	size_t n = strlen(done->why);

	snprintf(done->why + n, sizeof(done->why) - n, " (after a difference that failed: %s)",
		 strerror(-rc));
}

int rs_nft_commit(struct rs_dp *dp, const struct rs_ir *next, struct rs_dp_commit *done,
		  struct rs_err *err)
{
	rs_auto_plan struct rs_nft_plan *to = rs_nft_plan_from_ir(next);
	struct rs_nft *n = rs_nft_of(dp);
	int rc = -EAGAIN, last = 0;

	rs_nft_hear_news(n);
	/* A difference; a difference to what is read anew; a whole table. */
	for (int i = 0; i < 3; i++) {
		memset(done, 0, sizeof(*done));
		rc = attempt(n, to, next, i == 2, done, err);
		if (!rc)
			break;
		n->known = false;
		if (!stale(rc))
			break;
		last = rc;
	}
	if (rc) {
		rs_nft_explain_error(err);
		rs_err_wrap(err, "commit generation %llu", (unsigned long long)next->generation);
		return rc;
	}
	if (done->rebuilt && last)
		add_failure(done, last);
	rs_nft_plan_slim(to);
	if (n->model != n->want)
		rs_nft_set_model(n, NULL);
	n->model = NULL;
	rs_nft_set_want(n, NULL);
	n->want = n->model = rs_steal_ptr(&to);
	n->drifted = false;
	return 0;
}

/* ---- probe ----------------------------------------------------------------------------------- */

/* The whole skeleton under another name, deleted in the same batch: no packet ever meets it. */
int rs_nft_probe(const struct rs_dp_config *cfg, struct rs_err *err)
{
	rs_auto_plan struct rs_nft_plan *empty = rs_nft_plan_new();
	struct mnl_socket *nl;
	struct rs_nft_skeleton sk;
	rs_auto_batch b = { 0 };
	int rc = rs_nft_socket(0, &nl, err);

	if (rc) {
		rs_nft_explain_error(err);
		return rs_err_cni(err, RS_CNI_KERNEL);
	}
	rs_nft_skeleton_make(&sk, cfg, cfg->verdict_cache, 1);
	rs_nft_batch_begin(&b);
	rs_nft_put_table(&b, TRIAL_TABLE, 0, rs_nft_table_comment);
	rs_nft_put_skeleton(&b, TRIAL_TABLE, &sk);
	rs_nft_put_plan(&b, TRIAL_TABLE, empty);
	rs_nft_put_table_del(&b, TRIAL_TABLE);
	rc = rs_nft_batch_send(&b, nl, NULL, err);
	rs_nft_skeleton_free(&sk);
	mnl_socket_close(nl);
	if (rc) {
		rs_nft_explain_error(err);
		rs_err_wrap(err, "the kernel does not take the nft dataplane");
		rs_err_cni(err, RS_CNI_KERNEL);
	}
	return rc;
}
