// SPDX-License-Identifier: Apache-2.0
/* nft.c - lib/dataplane/nft renders an IR as one nftables table; this file is its front door. */
#include "dataplane/nft/nft.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <string.h>

#include "base/base.h"
#include "dataplane/nft/encode.h"
#include "dataplane/nft/foreign.h"
#include "dataplane/nft/watch.h"

bool rs_nft_cache(const struct rs_nft *n)
{
	return n->cfg.verdict_cache && !n->conflict && !n->no_stamps;
}

static void set_plan(struct rs_nft_plan **slot, const struct rs_nft_plan *other,
		     struct rs_nft_plan *p)
{
	if (*slot != other && *slot != p)
		rs_nft_plan_free(*slot);
	*slot = p;
}

void rs_nft_set_model(struct rs_nft *n, struct rs_nft_plan *p)
{
	set_plan(&n->model, n->want, p);
}

void rs_nft_set_want(struct rs_nft *n, struct rs_nft_plan *p)
{
	set_plan(&n->want, n->model, p);
}

int rs_nft_explain_error(struct rs_err *err)
{
	switch (err ? err->num : 0) {
	case EPERM:
	case EACCES:
		if (!err->hint)
			rs_err_hint(err, "CAP_NET_ADMIN is missing in this network namespace, or "
					 "another process owns table inet " RS_NFT_TABLE);
		return rs_err_cni(err, RS_CNI_KERNEL);
	case EOPNOTSUPP:
	case EPROTONOSUPPORT:
	case ENOPROTOOPT:
	case EAFNOSUPPORT:
		rs_err_hint(err,
			    "this kernel has no nf_tables, or it lacks an expression that we need "
			    "(modules nf_tables, nft_ct, nft_log, nft_limit, nf_conntrack)");
		return rs_err_cni(err, RS_CNI_KERNEL);
	default:
		return err ? -err->num : -EIO;
	}
}

int rs_nft_check_others(struct rs_nft *n, struct rs_err *err)
{
	char *text;
	int rc;

	if (!n->others_changed)
		return 0;
	rc = rs_nft_foreign_scan(n->nl, n->cfg.ct_mark_mask, &text, err);
	if (rc)
		return rc;
	n->others_changed = false;
	if (!text != !n->conflict)
		n->known = false; /* the fixed rules have to be others now */
	free(n->conflict);
	n->conflict = text;
	return 0;
}

static bool same_plan(const struct rs_nft_plan *a, const struct rs_nft_plan *b)
{
	struct rs_nft_diff d;
	bool same;

	rs_nft_diff_make(a, b, &d);
	same = !d.edits;
	rs_nft_diff_free(&d);
	return same;
}

int rs_nft_load(struct rs_nft *n, struct rs_err *err)
{
	rs_auto_kernel k = { 0 };
	int rc;

	rs_nft_listen(n);
	rc = rs_nft_check_others(n, err);
	if (!rc)
		rc = rs_nft_readback(n->nl, &n->cfg, rs_nft_cache(n), &k, err);
	rs_nft_ledger_begin(&n->ledger, rc ? 0 : k.generation);
	if (!rc)
		rc = rs_nft_claim(n, &k, err);
	if (rc) {
		rs_nft_explain_error(err);
		return rc;
	}
	n->exists = k.exists;
	for (size_t i = 0; i < k.n_stamps; i++)
		rs_nft_stamps_hold(&n->stamps, (uint16_t)((k.stamps[i] & n->stamps.mask) >>
							  __builtin_ctz(n->stamps.mask)));
	if (n->want && (!k.usable || !same_plan(n->want, k.plan)))
		n->drifted = true;
	rs_nft_set_model(n, NULL);
	free(n->why_not);
	n->why_not = k.usable || !k.exists ? NULL : rs_steal_ptr(&k.why_not);
	if (k.usable) {
		free(rs_steal_ptr(&n->dump_note));
		n->stamp = (uint16_t)(k.stamps[0] >> __builtin_ctz(n->stamps.mask));
		n->stamp_handle = k.stamp_handle;
		rs_nft_set_model(n, rs_steal_ptr(&k.plan));
	}
	n->rules = k.rules;
	n->known = true;
	return 0;
}

static void nft_close(struct rs_dp *dp)
{
	struct rs_nft *n = rs_nft_of(dp);

	if (!dp)
		return;
	rs_nft_set_model(n, NULL);
	rs_nft_set_want(n, NULL);
	rs_nft_stamps_free(&n->stamps);
	rs_nft_grace_end(&n->grace);
	rs_nflog_close(&n->log);
	if (n->watch)
		mnl_socket_close(n->watch);
	if (n->nl)
		mnl_socket_close(n->nl);
	free(n->conflict);
	free(n->no_stamps);
	free(n->owner_note);
	free(n->why_not);
	free(n->dump_note);
	free(n);
}

static int check_config(const struct rs_dp_config *cfg, struct rs_err *err)
{
	/* Group 0 is every link's, and its neighbour is 1: both would make uplinks into pods. */
	if (cfg->link_group < 2)
		return rs_err_set(err, EINVAL, "link group %u: it must be 2 or more",
				  cfg->link_group);
	return 0;
}

static int nft_open(const struct rs_dp_config *cfg, struct rs_dp **out, struct rs_err *err)
{
	struct rs_nft *n = rs_new(struct rs_nft);
	int rc = check_config(cfg, err);

	n->dp.ops = &rs_dp_nft;
	n->cfg = *cfg;
	n->others_changed = true;
	rs_nft_grace_owe(&n->grace); /* what was committed before us is not known */
	if (!rc)
		rc = rs_nft_stamps_init(&n->stamps, cfg->ct_mark_mask, err);
	if (!rc)
		rc = rs_nft_socket(0, &n->nl, err);
	if (!rc)
		rc = rs_nft_watch_open(mnl_socket_get_portid(n->nl), &n->watch, err);
	if (rc) {
		nft_close(&n->dp);
		return rs_err_wrap(err, "open the nft dataplane");
	}
	*out = &n->dp;
	return 0;
}

static int nft_read(struct rs_dp *dp, struct rs_ir **out, struct rs_err *err)
{
	struct rs_nft *n = rs_nft_of(dp);
	rs_auto_err why = { 0 };
	int rc = rs_nft_load(n, err);

	*out = NULL;
	if (rc || !n->model)
		return rc;
	if (rs_nft_plan_to_ir(n->model, out, &why) < 0) {
		/* Nothing that we could have made: make it anew. */
		rs_nft_set_model(n, NULL);
		n->why_not = rs_asprintf("its elements are no policy: %s", rs_err_str(&why));
	}
	if (n->model)
		rs_nft_plan_slim(n->model);
	return 0;
}

static char *nft_print(struct rs_dp *dp, const struct rs_ir *ir)
{
	rs_auto_plan struct rs_nft_plan *p = rs_nft_plan_from_ir(ir);

	(void)dp; /* elements and profile chains do not depend on the configuration */
	return rs_nft_plan_print(p);
}

static bool nft_is_open(const struct rs_dp *dp)
{
	const struct rs_nft *n = (const struct rs_nft *)dp;

	return n->known && !n->exists;
}

static int nft_watch_fd(const struct rs_dp *dp)
{
	return mnl_socket_get_fd(((const struct rs_nft *)dp)->watch);
}

/* Nothing may match the cache any more, at once; the rules follow with the next commit. */
static int close_cache(struct rs_nft *n, struct rs_err *err)
{
	rs_auto_batch b;
	int rc;

	rs_nft_batch_begin(&b);
	rs_nft_put_stamp(&b, RS_NFT_TABLE, rs_nft_stamp_bits(n->cfg.ct_mark_mask, n->stamp), 0,
			 true);
	rc = rs_nft_send(n, &b, NULL, err);
	rs_nft_grace_begin(&n->grace);
	return rc;
}

static int nft_watch_read(struct rs_dp *dp, bool *foreign, char **who, struct rs_err *err)
{
	struct rs_nft *n = rs_nft_of(dp);
	bool was_cached = rs_nft_cache(n), was_known = n->known;
	struct rs_nft_news news;
	int rc = rs_nft_watch_drain(n->watch, n->ledger.base, &news, err);

	*foreign = news.ours;
	*who = news.who;
	rs_nft_take_news(n, &news);
	if (!rc)
		rc = rs_nft_check_others(n, err);
	if (!rc && was_cached && n->conflict && was_known && n->model) {
		/* A failure means that the element is gone already, or that audit will find
		 * worse. */
		(void)close_cache(n, NULL);
	}
	*foreign |= was_known && !n->known;
	if (*foreign)
		n->known = false;
	return rc;
}

static char *nft_conditions(struct rs_dp *dp)
{
	struct rs_nft *n = rs_nft_of(dp);
	const char *const lines[] = { n->conflict, n->no_stamps, n->owner_note, n->dump_note };
	struct rs_strbuf b = { 0 };

	for (size_t i = 0; i < RS_ARRAY_SIZE(lines); i++)
		if (lines[i])
			rs_strbuf_printf(&b, "%s%s", b.len ? "\n" : "", lines[i]);
	return b.len ? rs_strbuf_steal(&b) : NULL;
}

static int nft_remove(struct rs_dp *dp, struct rs_err *err)
{
	struct rs_nft *n = rs_nft_of(dp);
	rs_auto_err why = { 0 };
	rs_auto_batch b;
	int rc;

	rs_nft_batch_begin(&b);
	rs_nft_put_table_del(&b, RS_NFT_TABLE);
	rc = rs_nft_send(n, &b, NULL, &why);
	if (rc && rc != -ENOENT) {
		/* A reader is told whose table it is. */
		if (rc != -EPERM || rs_nft_load(n, err) != -EPERM) {
			rs_err_move(err, &why);
			rs_nft_explain_error(err);
		}
		rs_err_wrap(err, "remove table inet %s", RS_NFT_TABLE);
		return rc;
	}
	rs_nft_set_model(n, NULL);
	rs_nft_set_want(n, NULL);
	n->known = false;
	return 0;
}

static int nft_log_open(struct rs_dp *dp, struct rs_err *err)
{
	struct rs_nft *n = rs_nft_of(dp);
	int rc;

	if (!n->cfg.log_rate)
		return rs_err_set(err, ENODATA, "no drop records are made (log rate 0)");
	rc = rs_nflog_open(&n->log, n->cfg.nflog_group, RS_NFT_LOG_SNAPLEN, err);
	return rc < 0 ? rs_err_wrap(err, "drop records") : 0;
}

static void nft_prepare(struct rs_dp *dp)
{
	rs_nft_grace_go(&rs_nft_of(dp)->grace);
}

static int nft_log_fd(const struct rs_dp *dp)
{
	const struct rs_nft *n = (const struct rs_nft *)dp;

	return n->log.nl ? mnl_socket_get_fd(n->log.nl) : -1;
}

static int nft_log_read(struct rs_dp *dp, size_t max, rs_dp_drop_fn *fn, void *arg,
			struct rs_err *err)
{
	return rs_nflog_read(&rs_nft_of(dp)->log, max, fn, arg, err);
}

const struct rs_dp_ops rs_dp_nft = {
	.name = "nft",
	.probe = rs_nft_probe,
	.open = nft_open,
	.read = nft_read,
	.commit = rs_nft_commit,
	.shift = rs_nft_shift,
	.joins = true,
	.prepare = nft_prepare,
	.print = nft_print,
	.audit = rs_nft_audit,
	.untouched = rs_nft_untouched,
	.holding = rs_nft_holding,
	.stats = rs_nft_stats,
	.watch_fd = nft_watch_fd,
	.watch_read = nft_watch_read,
	.conditions = nft_conditions,
	.remove = nft_remove,
	.close = nft_close,
	.is_open = nft_is_open,
	.log_open = nft_log_open,
	.log_fd = nft_log_fd,
	.log_read = nft_log_read,
	.log_counts = rs_nft_log_counts,
};
