// SPDX-License-Identifier: Apache-2.0
/* ebpf.c - lib/dataplane/ebpf renders an IR as maps of kernel programs at netfilter hooks; this
 * file is its front door. */
#include "dataplane/ebpf/ebpf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "dataplane/nft/batch.h"
#include "dataplane/nft/watch.h"

#define TRIAL_PRIORITY 2000000

void rs_ebpf_set_model(struct rs_ebpf *e, struct rs_bpf_plan *p)
{
	if (e->model != p)
		rs_bpf_plan_free(e->model);
	e->model = p;
}

static void forget(struct rs_ebpf *e)
{
	rs_ebpf_set_model(e, NULL);
	for (int m = 0; m < RS_BPF_MAPS; m++)
		rs_bpf_table_free(&e->leavings[m]);
	rs_bpf_set_unload(&e->set);
	rs_ebpf_tc_forget(e);
	e->known = false;
}

/* ---- what is pinned -------------------------------------------------------------------------- */

static int adopt_at(struct rs_ebpf *e, char place, struct rs_err *err)
{
	struct rs_bpf_set s;
	int rc = rs_bpf_set_load(&e->cfg, place, &s, err);

	if (!rc)
		rc = rs_bpf_set_adopt(&e->cfg, &s, err);
	if (!rc && !e->cfg.bpf_tc)
		rc = rs_bpf_hooks_check(e->nl, &s, err);
	if (!rc) {
		e->set = s;
		e->set.cfg->log_rate = e->cfg.log_rate;
		rs_ebpf_log_follow(e);
		return 0;
	}
	if (s.obj)
		rs_bpf_set_unload(&s);
	return rc;
}

static int find_set(struct rs_ebpf *e, struct rs_err *err)
{
	free(rs_steal_ptr(&e->why_not));
	for (const char *place = "ab"; *place && !e->set.obj; place++) {
		rs_auto_err why = { 0 };
		int rc = rs_bpf_pins_linked(&e->cfg, *place) ? adopt_at(e, *place, &why) : -ENOENT;

		if (!rc || rc == -ENOENT)
			continue;
		if (rc != -ESTALE) {
			rs_err_move(err, &why);
			return rc;
		}
		if (!e->why_not)
			e->why_not = rs_strdup(rs_err_str(&why));
	}
	return 0;
}

static int read_maps(struct rs_ebpf *e, struct rs_err *err)
{
	struct rs_bpf_plan *p = NULL;
	int rc;

	for (int m = 0; m < RS_BPF_MAPS; m++)
		rs_bpf_table_free(&e->leavings[m]);
	rc = rs_bpf_dump(&e->set, true, &p, e->leavings, err);
	if (!rc)
		rs_ebpf_set_model(e, p);
	/* What was written before us, and mended now, may still be looked at. */
	rs_nft_grace_owe(&e->grace);
	return rc;
}

int rs_ebpf_check(struct rs_ebpf *e, struct rs_err *err)
{
	int rc = rs_bpf_set_check(&e->cfg, &e->set, err);

	if (!rc && !e->cfg.bpf_tc)
		rc = rs_bpf_hooks_check(e->nl, &e->set, err);
	return rc ? rc : rs_ebpf_anchor_check(e->nl, err);
}

int rs_ebpf_load(struct rs_ebpf *e, struct rs_err *err)
{
	int rc = 0;

	rs_ebpf_set_model(e, NULL);
	if (e->set.obj)
		rc = rs_ebpf_anchor_keep(e->nl, err);
	if (!rc && e->set.obj && rs_ebpf_check(e, NULL))
		forget(e);
	if (!rc && !e->set.obj)
		rc = find_set(e, err);
	if (!rc && e->set.obj)
		rc = rs_ebpf_anchor_keep(e->nl, err);
	if (!rc && e->set.obj)
		rc = read_maps(e, err);
	if (rc) {
		rs_bpf_explain_error(err);
		return rc;
	}
	e->open_node = !rs_bpf_pins_linked(&e->cfg, 0);
	e->known = true;
	return 0;
}

static int ebpf_read(struct rs_dp *dp, struct rs_ir **out, struct rs_err *err)
{
	struct rs_ebpf *e = rs_ebpf_of(dp);
	rs_auto_err why = { 0 };
	int rc = rs_ebpf_load(e, err);

	*out = NULL;
	if (rc || !e->model)
		return rc;
	if (rs_bpf_plan_to_ir(e->model, out, &why) < 0) {
		/* Nothing that we could have made: make it anew. */
		rs_ebpf_set_model(e, NULL);
		free(e->why_not);
		e->why_not = rs_asprintf("its maps are no policy: %s", rs_err_str(&why));
	}
	return 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void ebpf_close(struct rs_dp *dp)
{
	struct rs_ebpf *e = rs_ebpf_of(dp);

	if (!dp)
		return;
	rs_ebpf_log_close(e);
	forget(e);
	rs_nft_grace_end(&e->grace);
	rs_ebpf_tc_close(e);
	if (e->watch)
		mnl_socket_close(e->watch);
	if (e->nl)
		mnl_socket_close(e->nl);
	free(e->why_not);
	free(e->dir);
	free(e);
}

static int open_as(const struct rs_dp_ops *ops, const struct rs_dp_config *cfg, bool tc,
		   struct rs_dp **out, struct rs_err *err)
{
	struct rs_ebpf *e;
	int rc;

	/* Group 0 is every link's, and its neighbour is 1: both would make uplinks into pods. */
	if (cfg->link_group < 2)
		return rs_err_set(err, EINVAL, "link group %u: it must be 2 or more",
				  cfg->link_group);
	e = rs_new(struct rs_ebpf);
	e->dp.ops = ops;
	e->cfg = *cfg;
	e->cfg.bpf_tc = tc;
	e->tc.both = -1;
	e->dir = rs_strdup(cfg->bpf_dir ? cfg->bpf_dir : RS_BPF_PIN_DIR);
	e->cfg.bpf_dir = e->dir;
	for (int i = 0; i < RS_BPF_LINKS; i++)
		e->set.link[i] = -1;
	for (int i = 0; i < RS_BPF_TCS; i++)
		e->set.tc[i] = -1;
	rc = rs_nft_socket(0, &e->nl, err);
	if (!rc)
		rc = rs_nft_watch_open(mnl_socket_get_portid(e->nl), &e->watch, err);
	if (!rc)
		rc = rs_ebpf_tc_open(e, err);
	if (rc) {
		ebpf_close(&e->dp);
		return rs_err_wrap(err, "open the ebpf dataplane");
	}
	*out = &e->dp;
	return 0;
}

static int ebpf_open(const struct rs_dp_config *cfg, struct rs_dp **out, struct rs_err *err)
{
	return open_as(&rs_dp_ebpf, cfg, false, out, err);
}

static int tc_open(const struct rs_dp_config *cfg, struct rs_dp **out, struct rs_err *err)
{
	return open_as(&rs_dp_ebpf_tc, cfg, true, out, err);
}

/* Everything is loaded, and a program that accepts hangs at a hook for a moment. */
int rs_ebpf_probe(const struct rs_dp_config *cfg, struct rs_err *err)
{
	struct rs_bpf_set s;
	int rc = rs_bpf_set_load(cfg, 0, &s, err), fd;

	if (!rc) {
		fd = rs_bpf_attach(s.trial, RS_BPF_HOOK_TO_NODE, 0, TRIAL_PRIORITY);
		rs_bpf_set_unload(&s);
		if (fd >= 0) {
			close(fd);
			return 0;
		}
		rc = rs_err_sys(err, -fd, "attach a program to a netfilter hook");
	}
	rs_bpf_explain_error(err);
	rs_err_wrap(err, "the kernel does not take the ebpf dataplane");
	rs_err_cni(err, RS_CNI_KERNEL);
	return rc;
}

/* Here the one at the look-ups of sockets, which knows no pod and lets everything pass. */
static int tc_probe(const struct rs_dp_config *cfg, struct rs_err *err)
{
	struct rs_dp_config tc = *cfg;
	struct rs_bpf_set s;
	int rc, fd;

	tc.bpf_tc = true;
	rc = rs_bpf_set_load(&tc, 0, &s, err);
	if (!rc) {
		fd = rs_bpf_attach_sockets(s.tc[RS_BPF_TC_SOCKETS]);
		rs_bpf_set_unload(&s);
		if (fd >= 0) {
			close(fd);
			return 0;
		}
		rc = rs_err_sys(err, -fd, "attach a program to the look-up of sockets");
	}
	rs_bpf_explain_error(err);
	rs_err_wrap(err, "the kernel does not take the ebpf-tc dataplane");
	rs_err_cni(err, RS_CNI_KERNEL);
	return rc;
}

static char *ebpf_print(struct rs_dp *dp, const struct rs_ir *ir)
{
	rs_auto_bpf_plan *p = NULL;

	(void)dp; /* the maps do not depend on the configuration */
	if (rs_bpf_plan_from_ir(ir, &p, NULL))
		return rs_strdup("");
	return rs_bpf_plan_print(p);
}

static bool ebpf_is_open(const struct rs_dp *dp)
{
	const struct rs_ebpf *e = (const struct rs_ebpf *)dp;

	return e->known && e->open_node;
}

/* Of the anchor alone: the kernel tells nobody that a map or a link was changed; audit finds it. */
static int ebpf_watch_fd(const struct rs_dp *dp)
{
	const struct rs_ebpf *e = (const struct rs_ebpf *)dp;

	return e->tc.watch ? rs_ebpf_tc_watch(e) : mnl_socket_get_fd(e->watch);
}

static int ebpf_watch_read(struct rs_dp *dp, bool *foreign, char **who, struct rs_err *err)
{
	struct rs_ebpf *e = rs_ebpf_of(dp);
	struct rs_nft_news news;
	int rc;

	rs_ebpf_tc_hear(e);
	rc = rs_nft_watch_drain(e->watch, &news, err);
	*foreign = e->model && (news.ours || news.others) &&
		   rs_ebpf_anchor_check(e->nl, NULL) == -ESTALE;
	*who = news.who;
	return rc;
}

static char *ebpf_conditions(struct rs_dp *dp)
{
	const struct rs_ebpf *e = rs_ebpf_of(dp);

	return e->tc.why ? rs_strdup(e->tc.why) : NULL;
}

static int ebpf_remove(struct rs_dp *dp, struct rs_err *err)
{
	struct rs_ebpf *e = rs_ebpf_of(dp);
	int rc = rs_bpf_pins_ours(&e->cfg, err);

	if (!rc)
		rc = rs_ebpf_tc_remove(e, 0, err);
	if (!rc)
		rc = rs_bpf_pins_remove(&e->cfg, 0, err);
	rs_ebpf_log_close(e);
	forget(e);
	if (!rc)
		rc = rs_ebpf_anchor_remove(e->nl, err);
	return rc;
}

const struct rs_dp_ops rs_dp_ebpf = {
	.name = "ebpf",
	.probe = rs_ebpf_probe,
	.open = ebpf_open,
	.read = ebpf_read,
	.commit = rs_ebpf_commit,
	.shift = rs_ebpf_shift,
	.print = ebpf_print,
	.audit = rs_ebpf_audit,
	.holding = rs_ebpf_holding,
	.stats = rs_ebpf_stats,
	.watch_fd = ebpf_watch_fd,
	.watch_read = ebpf_watch_read,
	.conditions = ebpf_conditions,
	.remove = ebpf_remove,
	.close = ebpf_close,
	.is_open = ebpf_is_open,
	.log_open = rs_ebpf_log_open,
	.log_fd = rs_ebpf_log_fd,
	.log_read = rs_ebpf_log_read,
	.log_counts = rs_ebpf_log_counts,
};

const struct rs_dp_ops rs_dp_ebpf_tc = {
	.name = "ebpf-tc",
	.probe = tc_probe,
	.open = tc_open,
	.read = ebpf_read,
	.commit = rs_ebpf_commit,
	.shift = rs_ebpf_shift,
	.print = ebpf_print,
	.audit = rs_ebpf_audit,
	.holding = rs_ebpf_holding,
	.stats = rs_ebpf_stats,
	.watch_fd = ebpf_watch_fd,
	.watch_read = ebpf_watch_read,
	.conditions = ebpf_conditions,
	.remove = ebpf_remove,
	.close = ebpf_close,
	.is_open = ebpf_is_open,
	.log_open = rs_ebpf_log_open,
	.log_fd = rs_ebpf_log_fd,
	.log_read = rs_ebpf_log_read,
	.log_counts = rs_ebpf_log_counts,
};
